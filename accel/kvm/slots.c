/*
 * Guest memory: the flat view of the address space as KVM memory slots, and dirty pages. Spec: Documentation/virt/kvm/api.rst,
 * KVM_SET_USER_MEMORY_REGION, KVM_GET_DIRTY_LOG.
 *
 * A slot shows one piece of one RAM block. ROM is a read-only slot: what the guest stores there comes out as an MMIO exit and is dropped.
 * What has no slot comes out as MMIO too, so a vCPU that meets a piece just being replaced is served by the dispatcher.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>

#include "accel/kvm/kvm_priv.h"
#include "base/log.h"

static void slot_set(struct kvm_accel *k, unsigned n, uint64_t size)
{
    const struct kvm_slot *s = &k->slot[n];
    struct kvm_userspace_memory_region r = {
        .slot = n, .flags = (s->readonly ? KVM_MEM_READONLY : 0) | (s->logged ? KVM_MEM_LOG_DIRTY_PAGES : 0),
        .guest_phys_addr = s->gpa, .memory_size = size, .userspace_addr = (uintptr_t)s->block->host + s->offset,
    };

    if (kvm_ioctl(k->vm, KVM_SET_USER_MEMORY_REGION, &r)) {
        log_printf(LOG_UNIMP, "kvm: memory slot %u at 0x%" PRIx64 ", %" PRIu64 " bytes: %s\n", n, s->gpa, size, g_strerror(errno));
    }
}

static bool shows(const struct kvm_slot *s, const struct flat_range *r)
{
    return s->size == r->size && s->gpa == r->start && s->block == r->region->ram && s->offset == r->offset && s->readonly == r->readonly;
}

static bool is_ram(const struct flat_range *r)
{
    return r->region->kind == REGION_RAM && !((r->start | r->size | r->offset) & (PAGE_SIZE - 1));
}

static bool wanted(const struct kvm_slot *s, const struct flat_view *v)
{
    const struct flat_range *r = region_find(v, s->gpa);

    return r && is_ram(r) && shows(s, r);
}

static void slot_add(struct kvm_accel *k, const struct flat_range *r)
{
    unsigned at = KVM_SLOTS;

    for (unsigned n = 0; n < KVM_SLOTS; n++) {
        if (k->slot[n].size && shows(&k->slot[n], r)) {
            return;
        }
        if (!k->slot[n].size && at == KVM_SLOTS) {
            at = n;
        }
    }
    if (at == KVM_SLOTS) {
        log_unimp("kvm: more than %u pieces of memory: what is at 0x%" PRIx64 " is slow", KVM_SLOTS, r->start);
        return;
    }
    k->slot[at] = (struct kvm_slot){ .gpa = r->start, .size = r->size, .block = r->region->ram, .offset = r->offset, .readonly = r->readonly };
    slot_set(k, at, r->size);
}

void kvm_slots_changed(void *opaque, struct address_space *as, const struct flat_view *from, const struct flat_view *to)
{
    struct kvm_accel *k = opaque;

    (void)as;
    (void)from;
    for (unsigned n = 0; n < KVM_SLOTS; n++) {
        struct kvm_slot *s = &k->slot[n];

        if (s->size && !wanted(s, to)) {
            if (s->logged) {
                kvm_dirty_sync(k->machine, s->block, s->offset, s->size);
            }
            slot_set(k, n, 0);
            s->size = 0;
        }
    }
    for (unsigned i = 0; to && i < to->n; i++) {
        if (is_ram(&to->r[i])) {
            slot_add(k, &to->r[i]);
        }
    }
}

/* CLEAN bits of these pages were set: stores must be seen from now on. The kernel's log write-protects what it has handed out. */
void kvm_protect(struct machine *m, struct ram_block *b, uint64_t offset, uint64_t len)
{
    struct kvm_accel *k = m->hw_data;

    for (unsigned n = 0; n < KVM_SLOTS; n++) {
        struct kvm_slot *s = &k->slot[n];

        if (s->size && s->block == b && !s->logged && offset < s->offset + s->size && s->offset < offset + len) {
            s->logged = true;
            slot_set(k, n, s->size);
        }
    }
}

/* Tells ram_store_notify() of what guests have written since the last call. */
void kvm_dirty_sync(struct machine *m, struct ram_block *b, uint64_t offset, uint64_t len)
{
    struct kvm_accel *k = m->hw_data;

    for (unsigned n = 0; n < KVM_SLOTS; n++) {
        struct kvm_slot *s = &k->slot[n];
        uint64_t pages = s->size >> PAGE_BITS;
        g_autofree uint64_t *bits = NULL;
        struct kvm_dirty_log log = { .slot = n };

        if (!s->size || !s->logged || s->block != b || offset >= s->offset + s->size || s->offset >= offset + len) {
            continue;
        }
        bits = g_new0(uint64_t, (pages + 63) / 64);
        log.dirty_bitmap = bits;
        if (kvm_ioctl(k->vm, KVM_GET_DIRTY_LOG, &log)) {
            ram_store_notify(m, b, s->offset, s->size);       /* nothing is known: all of it */
            continue;
        }
        for (uint64_t w = 0; w < (pages + 63) / 64; w++) {
            for (uint64_t left = bits[w]; left; left &= left - 1) {
                uint64_t page = w * 64 + (unsigned)__builtin_ctzll(left);

                ram_store_notify(m, b, s->offset + (page << PAGE_BITS), PAGE_SIZE);
            }
        }
    }
}
