/*
 * Address spaces: a tree of regions, flattened to a sorted array that readers use without a lock.
 *
 * The tree is built by boards and buses (containers, aliases, priorities; a higher priority wins where regions
 * overlap) and changed under the machine lock. Each change between region_begin() and region_commit() makes one
 * new flat view, swapped in atomically; then the listeners (TLB flush, KVM slots) are told. Old views are freed
 * once no vCPU can be reading them.
 *
 * A device access is (opaque, offset, size, value). Sizes, alignment and endianness are declared in region_ops and
 * enforced in region_read/write: wider accesses are split, narrower ones widened or refused, and the device
 * never sees an access that it did not declare.
 */
#ifndef CORE_REGION_H
#define CORE_REGION_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/ram.h"

enum access_status {
    ACCESS_OK = 0,
    ACCESS_NONE,      /* nothing is mapped there: reads give all ones on x86, a bus error on Arm */
    ACCESS_ERROR,     /* the device refuses */
};

struct region_ops {
    /* `size` is 1, 2, 4 or 8 and within [min,max]; offset is aligned to it unless `unaligned`.
     * Called with the machine lock held unless `unlocked`. Never call back into the same device. */
    enum access_status (*read)(void *opaque, uint64_t offset, unsigned size, uint64_t *value);
    enum access_status (*write)(void *opaque, uint64_t offset, unsigned size, uint64_t value);
    uint8_t min_size, max_size;   /* what the device implements; 0 means 1 and 4 */
    uint8_t max_access;           /* widest access the guest may make (0: 8); wider ones are split to max_size */
    bool big_endian, unaligned, unlocked;
};

enum region_kind { REGION_CONTAINER, REGION_RAM, REGION_IO, REGION_ALIAS };

struct region {
    const char *name;          /* for info mtree and guest_errors */
    enum region_kind kind;
    uint64_t size;             /* bytes; UINT64_MAX means the whole 2^64 */
    bool enabled;
    bool readonly;             /* guest stores to RAM here are dropped (ROM, PAM write protect) */
    /* RAM */
    struct ram_block *ram;
    uint64_t ram_offset;
    /* IO; read-only RAM may have them, too: writes go there */
    const struct region_ops *ops;
    void *opaque;
    /* ALIAS */
    struct region *target;
    uint64_t target_offset;
    /* place in the parent; owned by region.c */
    struct region *parent;
    uint64_t addr;
    int priority;
    GList *children;           /* by descending priority; of equals the one added last comes first */
    GList *aliases;            /* alias regions that show this one */
    struct address_space *space;   /* root regions only */
};

/* A piece of the flattened map: [start, start+size) is `region` from `offset` on. */
struct flat_range {
    uint64_t start, size;
    struct region *region;     /* RAM or IO, never alias or container */
    uint64_t offset;           /* into region->ram or handed to region->ops */
    bool readonly;
};

struct flat_view {
    unsigned n;
    struct flat_range r[];     /* sorted, disjoint */
};

struct region_listener {
    void (*changed)(void *opaque, struct address_space *as, const struct flat_view *from, const struct flat_view *to);
    void *opaque;
};

struct address_space {
    struct machine *machine;
    const char *name;                       /* "memory", "I/O" */
    struct region *root;
    struct flat_view *_Atomic view;         /* read with region_view() */
    GList *listeners;
    unsigned depth;                         /* nesting of region_begin() */
    bool pending;
    uint64_t layout;                        /* counts changes of the view, from 1: for who keeps what he has looked up. Machine lock */
};

/* Initialisers; the struct is the caller's (usually inside a device) and must outlive its place in the tree. */
void region_init_container(struct region *r, const char *name, uint64_t size);
void region_init_ram(struct region *r, const char *name, struct ram_block *ram, uint64_t offset, uint64_t size);
void region_init_io(struct region *r, const char *name, const struct region_ops *ops, void *opaque, uint64_t size);
void region_init_alias(struct region *r, const char *name, struct region *target, uint64_t offset, uint64_t size);

/* Tree changes. Machine lock. */
void region_add(struct region *parent, struct region *child, uint64_t addr, int priority);
void region_del(struct region *child);
void region_move(struct region *child, uint64_t addr);
void region_set_enabled(struct region *r, bool on);
void region_set_readonly(struct region *r, bool on);
void region_begin(struct machine *m);      /* group changes: one new view for all */
void region_commit(struct machine *m);

void address_space_init(struct address_space *as, struct machine *m, const char *name, struct region *root);
/* Every change of the flat view from now on; the first call, from NULL to what there is, comes at once. Machine lock. */
void address_space_listen(struct address_space *as, struct region_listener *l);
void address_space_unlisten(struct address_space *as, struct region_listener *l);

/* Reading. vCPU threads: a view stays valid until accel->run() or ops->service() returns. Other threads: while they
 * hold the machine lock. */
const struct flat_view *region_view(struct address_space *as);
const struct flat_range *region_find(const struct flat_view *v, uint64_t addr);   /* NULL: nothing there */

/*
 * Device or RAM access at a guest-physical (or port) address; takes the machine lock itself when the region wants it
 * and the caller does not hold it. size: 1, 2, 4, 8. value is in host order. ACCESS_NONE leaves *value all ones.
 */
enum access_status as_read(struct address_space *as, uint64_t addr, unsigned size, uint64_t *value);
enum access_status as_write(struct address_space *as, uint64_t addr, unsigned size, uint64_t value);
/* The same when the range is known (TLB slow path): offset is relative to the range's start. */
enum access_status range_read(struct machine *m, const struct flat_range *r, uint64_t offset, unsigned size, uint64_t *value);
enum access_status range_write(struct machine *m, const struct flat_range *r, uint64_t offset, unsigned size, uint64_t value);

void address_space_dump(struct address_space *as, GString *out);   /* info mtree */

#endif
