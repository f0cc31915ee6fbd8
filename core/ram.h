/*
 * RAM blocks: host memory that backs guest RAM and ROM, and what is known of each of its pages.
 *
 * Every block gets a range of *RAM page numbers*, dense over the machine. The translator keys code by them, so
 * aliases, PAM, BAR moves and A20 never confuse it. Blocks are made while the machine is built and live as long
 * as the machine.
 *
 * Per page there is one byte of flags, changed by atomic or/and only:
 *   RAM_CODE          translated code lies on the page: a store must go through ram_store_notify()
 *   RAM_CLEAN_*       the client has seen the page as it is; the first store clears the bit
 * A TLB write entry may be hot only while no flag of the page is set, so that the slow path sees what it must.
 */
#ifndef CORE_RAM_H
#define CORE_RAM_H

#include <glib.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PAGE_BITS 12
#define PAGE_SIZE (1u << PAGE_BITS)
#define PAGE_MASK (~(uint64_t)(PAGE_SIZE - 1))

enum ram_page_flags {
    RAM_CODE            = 1u << 0,
    RAM_CLEAN_DISPLAY   = 1u << 1,
    RAM_CLEAN_MIGRATION = 1u << 2,
};

struct machine;

struct ram_block {
    char *name;               /* "pc.ram", "pc.bios": as users and snapshots name it */
    uint8_t *host;            /* size bytes, page aligned; never moves */
    uint64_t size;            /* bytes, multiple of PAGE_SIZE */
    uint64_t first_page;      /* RAM page number of byte 0 */
    bool readonly;            /* ROM: guest stores are dropped */
    _Atomic uint8_t *flags;   /* one per page */
    _Atomic uint64_t *writers; /* one per page: vCPUs (bit = index mod 64) that hold a hot TLB write entry */
};

/*
 * Makes a block of private anonymous memory (huge pages advised, nothing committed). The block belongs to the
 * machine. NULL and EMU_ERROR_HOST when the host refuses. Needs the machine lock.
 */
struct ram_block *ram_new(struct machine *m, const char *name, uint64_t size, bool readonly, GError **err);
void ram_free_all(struct machine *m);

/* The block that holds RAM page number `page`, or NULL. Any thread. */
struct ram_block *ram_find_page(struct machine *m, uint64_t page);
/* The block and offset of a host address inside guest RAM, or NULL. Any thread. */
struct ram_block *ram_find_host(struct machine *m, const void *host, uint64_t *offset);

/*
 * Called by everyone who wrote [offset, offset+len) of a block other than through a hot TLB entry (devices, DMA,
 * the TLB slow path, the debugger): clears CLEAN bits and, where RAM_CODE is set, has the accelerator invalidate
 * translations of exactly those bytes. Any thread, any lock.
 */
void ram_store_notify(struct machine *m, struct ram_block *b, uint64_t offset, uint64_t len);

/*
 * Dirty tracking for a client (one of RAM_CLEAN_*): collects and re-arms. Calls fn for each run of pages written
 * since the last call. vCPUs drop their write entries of re-armed pages before this returns.
 */
void ram_collect_dirty(struct machine *m, struct ram_block *b, uint8_t client, uint64_t offset, uint64_t len,
                       void (*fn)(void *opaque, uint64_t offset, uint64_t len), void *opaque);

#endif
