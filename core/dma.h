/*
 * DMA: how devices, loaders and debuggers reach guest memory. Only RAM is reached (a device cannot be made to
 * drive another device's registers, which is how re-entry bugs are born); bytes outside RAM read as all ones and are
 * dropped on write, and the call returns false. Stores mark pages dirty and invalidate translations.
 * Any thread; vCPUs may run.
 */
#ifndef CORE_DMA_H
#define CORE_DMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/region.h"

bool dma_read(struct address_space *as, uint64_t addr, void *buf, size_t len);
bool dma_write(struct address_space *as, uint64_t addr, const void *buf, size_t len);
bool dma_fill(struct address_space *as, uint64_t addr, uint8_t byte, size_t len);
/* dma_write that also writes ROM: for loaders at reset. */
bool dma_write_rom(struct address_space *as, uint64_t addr, const void *buf, size_t len);

/*
 * Maps [addr, addr+*len) for direct access; *len shrinks to what is contiguous RAM. NULL when addr is not RAM
 * (or is read-only and write is set). The mapping must be given back with the bytes really written.
 */
void *dma_map(struct address_space *as, uint64_t addr, size_t *len, bool write);
void dma_unmap(struct address_space *as, void *host, size_t written);

/*
 * A scattered transfer: guest ranges mapped for host I/O (readv, writev) until it is done. Ranges that are not RAM go to a bounce
 * buffer that reads as all ones and whose stores are dropped; sg_ok says whether there were any. The flat view may change while
 * the mapping lives: RAM blocks never move. At most DMA_SG_MAX bytes a list. Machine lock.
 */
struct iovec;
struct dma_sg {
    struct address_space *as;
    bool write;                 /* the guest's memory is written */
    bool ok;                    /* all of it is RAM (writable, for write) */
    struct iovec *iov;
    unsigned n, room;
    struct ram_block *last;     /* that the last piece lies in; NULL: a bounce buffer */
    uint64_t bytes;             /* sum of iov */
};
#define DMA_SG_MAX (1ull << 30)

void dma_sg_init(struct dma_sg *sg, struct address_space *as, bool write);
/* Appends [addr, addr+len). False: the list would be longer than DMA_SG_MAX; nothing was added. */
bool dma_sg_add(struct dma_sg *sg, uint64_t addr, uint64_t len);
/* The same for devices that refuse what is not RAM: false also then, with the list to be given up. */
bool dma_sg_add_ram(struct dma_sg *sg, uint64_t addr, uint64_t len);
/* The transfer is over: marks the first `written` bytes dirty (write lists) and frees the list. */
void dma_sg_end(struct dma_sg *sg, uint64_t written);
/* Copies between a list and a buffer from byte `offset` of the list on; bytes copied (less at the list's end). */
size_t dma_sg_read(const struct dma_sg *sg, uint64_t offset, void *buf, size_t len);
size_t dma_sg_write(struct dma_sg *sg, uint64_t offset, const void *buf, size_t len);

/* Little-endian loads and stores of one value. */
uint16_t dma_ld16(struct address_space *as, uint64_t addr);
uint32_t dma_ld32(struct address_space *as, uint64_t addr);
uint64_t dma_ld64(struct address_space *as, uint64_t addr);
void dma_st16(struct address_space *as, uint64_t addr, uint16_t v);
void dma_st32(struct address_space *as, uint64_t addr, uint32_t v);
void dma_st64(struct address_space *as, uint64_t addr, uint64_t v);

#endif
