/*
 * Memory accesses that the inline TLB and tcg_slow() cannot answer: devices, two pages at once, ROM, stores to code. The data
 * passes through the bounce buffer; a store is carried out by tcg_bounce_flush() after the instruction. The caller has
 * saved the guest's vectors, so this is ordinary C; it runs outside (it may wait for locks).
 */
#include <string.h>

#include "accel/tcg/accel_priv.h"

static unsigned piece(unsigned left)
{
    return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

bool mem_read(struct accel_cpu *ac, const struct fragment *f, void *buf)
{
    bool ok = true;

    if (f->host) {
        memcpy(buf, f->host, f->len);
        return true;
    }
    ac->st.io_reads++;
    for (unsigned at = 0, n; at < f->len; at += n) {
        uint64_t v = 0;

        n = piece(f->len - at);
        ok &= as_read(ac->c->memory, f->pa + at, n, &v) == ACCESS_OK;
        memcpy((uint8_t *)buf + at, &v, n);
    }
    return ok;
}

/* Sizes that have one are stored by one host instruction, so that nobody sees half of them. */
static void ram_store(uint8_t *host, const void *buf, unsigned len)
{
    uint64_t v = 0;

    if (len > 8 || (len & (len - 1))) {
        memcpy(host, buf, len);
        return;
    }
    memcpy(&v, buf, len);
    switch (len) {
    case 1: __atomic_store_n(host, (uint8_t)v, __ATOMIC_RELAXED); break;
    case 2: __atomic_store_n((uint16_t *)host, (uint16_t)v, __ATOMIC_RELAXED); break;
    case 4: __atomic_store_n((uint32_t *)host, (uint32_t)v, __ATOMIC_RELAXED); break;
    case 8: __atomic_store_n((uint64_t *)host, v, __ATOMIC_RELAXED); break;
    }
}

void mem_write(struct accel_cpu *ac, const struct fragment *f, const void *buf)
{
    if (f->host && !f->readonly) {
        ram_store(f->host, buf, f->len);
        ram_store_notify(ac->c->machine, f->block, f->offset, f->len);
        return;
    }
    ac->st.io_writes++;
    for (unsigned at = 0, n; at < f->len; at += n) {
        uint64_t v = 0;

        n = piece(f->len - at);
        memcpy(&v, (const uint8_t *)buf + at, n);
        as_write(ac->c->memory, f->pa + at, n, v);
    }
}

bool code_overlaps(const struct code_region *r, const struct ram_block *b, uint64_t offset, unsigned len)
{
    uint64_t page = b->first_page + (offset >> PAGE_BITS);
    unsigned from = offset & (PAGE_SIZE - 1);

    if (r->page == page && from < r->end && r->offset < from + len) {
        return true;
    }
    return r->crosses && r->page2 == page && from < r->end - PAGE_SIZE;
}

bool hits_running(struct accel_cpu *ac, const struct ram_block *b, uint64_t offset, unsigned len)
{
    const struct code_region *r = ac->interp_region;

    if (!r && ac->scratch->call_ra) {
        r = code_by_host(ac->ta, ac->scratch->call_ra);
    }
    return r && code_overlaps(r, b, offset, len);
}

static bool fragment_get(struct accel_cpu *ac, struct vctx *ctx, struct fragment *f, uint64_t va, unsigned len, uint32_t desc,
                         struct mmu_fault *fault)
{
    enum mem_access access = desc & TCG_D_WRITE ? MEM_WRITE : MEM_READ;
    struct l2_entry *l2 = mmu_get(ac, ctx->space, va, access, ctx->t.h.regime, fault);

    if (l2 && (desc & TCG_D_READ) && !(l2->rights & MMU_R)) {
        l2 = mmu_get(ac, ctx->space, va, MEM_READ, ctx->t.h.regime, fault);
    }
    if (!l2) {
        return false;
    }
    *f = (struct fragment){ .pa = l2->pa | (va & (PAGE_SIZE - 1)), .len = len };
    if (l2->host) {
        f->host = l2->host + (va & (PAGE_SIZE - 1));
        f->block = l2->block;
        f->offset = (uint64_t)(f->host - l2->block->host);
        f->readonly = l2->readonly;
    }
    return true;
}

static void alone(struct accel_cpu *ac, bool exclusive)
{
    ac->one_exclusive |= exclusive;
    tcg_sync(ac);
    tcg_leave(ac, TCG_EXIT_ONE);
}

/* Data breakpoints trap behind the one instruction that matches: so it runs alone, with nothing after it. */
static void watch(struct accel_cpu *ac, uint64_t addr, unsigned size, bool write)
{
    if (!ac->ops->watch || !ac->ops->watch(ac->c, addr, size, write, false)) {
        return;
    }
    if (!ac->c->in_exclusive) {
        alone(ac, true);
    }
    ac->ops->watch(ac->c, addr, size, write, true);
}

/* Where the access goes. Faults do not return. */
void access_fragments(struct accel_cpu *ac, uint64_t addr, uint32_t desc)
{
    unsigned size = 1u << (desc & TCG_D_SIZE), regime = desc >> TCG_D_REGIME & 15, first = PAGE_SIZE - (addr & (PAGE_SIZE - 1));
    struct vctx *ctx = regime ? ctx_of(ac, regime - 1) : ac->ctx;
    struct mmu_fault fault;

    first = MIN(first, size);
    ac->n_frag = first < size ? 2 : 1;
    if (!fragment_get(ac, ctx, &ac->frag[0], addr, first, desc, &fault) ||
        (ac->n_frag == 2 && !fragment_get(ac, ctx, &ac->frag[1], addr + first, size - first, desc, &fault))) {
        tcg_fault(ac, &fault);
    }
    if (!ac->frag[0].host || (ac->n_frag == 2 && !ac->frag[1].host)) {
        watch(ac, addr, size, (desc & TCG_D_WRITE) && !(desc & TCG_D_PROBE));
    }
}

uint64_t tcg_slow_full(void *state, uint64_t addr, uint32_t desc)
{
    struct accel_cpu *ac = accel_of_state(state);
    struct tcg_scratch *s = ac->scratch;
    uint8_t *at = s->bounce;
    bool store = (desc & TCG_D_WRITE) && !(desc & TCG_D_PROBE);      /* with PROBE: a load that demands write permission */

    vcpu_out(ac);
    ac->st.full++;
    access_fragments(ac, addr, desc);
    if ((desc & TCG_D_ATOMIC) && !ac->c->in_exclusive) {
        /* Two pages, a device, or code beside the data: with everybody else stopped any access is atomic. */
        alone(ac, true);
    }
    for (unsigned i = 0; i < ac->n_frag; i++) {
        const struct fragment *f = &ac->frag[i];

        if (store && f->host && hits_running(ac, f->block, f->offset, f->len)) {
            alone(ac, false);
        }
    }
    /* A store that does not cover the buffer's part by itself (masked ones) must find what is there. */
    for (unsigned i = 0; i < ac->n_frag; i++) {
        const struct fragment *f = &ac->frag[i];

        if ((desc & TCG_D_READ) || f->host) {
            mem_read(ac, f, at);
        }
        at += f->len;
    }
    if (store) {
        s->bounce_pending = 1;
        s->bounce_addr = addr;
        s->bounce_size = 1u << (desc & TCG_D_SIZE);
    }
    vcpu_in(ac);
    return (uint64_t)(uintptr_t)s->bounce - addr;
}

void tcg_bounce_flush(void *state)
{
    struct accel_cpu *ac = accel_of_state(state);
    const uint8_t *at = ac->scratch->bounce;

    ac->scratch->bounce_pending = 0;
    vcpu_out(ac);
    for (unsigned i = 0; i < ac->n_frag; i++) {
        mem_write(ac, &ac->frag[i], at);
        at += ac->frag[i].len;
    }
    vcpu_in(ac);
}

/* Around helpers that are ordinary C: they may wait for locks that somebody holds who waits for this vCPU. */
void tcg_outside(void *state, bool on)
{
    struct accel_cpu *ac = accel_of_state(state);

    if (on) {
        vcpu_out(ac);
    } else {
        vcpu_in(ac);
    }
}

/* Around helpers that reach devices by instruction (in, out). Inside an exclusive section the lock is held already. */
void tcg_lock(void *state, bool on)
{
    struct accel_cpu *ac = accel_of_state(state);

    if (on) {
        vcpu_out(ac);
        if (!machine_locked(ac->c->machine)) {
            machine_lock(ac->c->machine);
            ac->locked = true;
        }
        return;
    }
    if (ac->locked) {
        ac->locked = false;
        machine_unlock(ac->c->machine);
    }
    vcpu_in(ac);
}

/* The part of tcg_ld(), tcg_st() and tcg_probe() that is not plain RAM. arg: struct native_io. */
void native_io(void *arg)
{
    struct native_io *io = arg;
    bool inside = atomic_load_explicit(&io->ac->seq, memory_order_relaxed) & 1;

    if (io->kind != IO_READ && io->f.host && hits_running(io->ac, io->f.block, io->f.offset, io->f.len)) {
        io->self = true;
        return;
    }
    vcpu_out(io->ac);
    switch (io->kind) {
    case IO_READ:
        mem_read(io->ac, &io->f, io->buf);
        break;
    case IO_WRITE:
        mem_write(io->ac, &io->f, io->buf);
        break;
    case IO_DROP:
        tcg_invalidate(io->ac->c->machine, io->f.block, io->f.offset, io->f.len);
        break;
    }
    if (inside) {
        vcpu_in(io->ac);
    }
}
