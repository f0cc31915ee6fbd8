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

/* Little-endian loads and stores of one value. */
uint16_t dma_ld16(struct address_space *as, uint64_t addr);
uint32_t dma_ld32(struct address_space *as, uint64_t addr);
uint64_t dma_ld64(struct address_space *as, uint64_t addr);
void dma_st16(struct address_space *as, uint64_t addr, uint16_t v);
void dma_st32(struct address_space *as, uint64_t addr, uint32_t v);
void dma_st64(struct address_space *as, uint64_t addr, uint64_t v);

#endif
