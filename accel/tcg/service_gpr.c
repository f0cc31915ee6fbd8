/*
 * What ISA helpers ask of the engine: guest memory in an explicit regime, probes, mode changes. General registers only: helpers
 * that generated code called run with the guest's vectors live. Devices are reached through native_call(), which saves them.
 */
#include "accel/tcg/accel_priv.h"

#ifdef __x86_64__
/* x87, SSE and AVX state: upper halves are in use, so the host has XSAVE. */
static void native_call_wide(void (*fn)(void *), void *arg)
{
    uint64_t area[(512 + 64 + 256 + 64) / 8];
    uint64_t *save = (uint64_t *)(((uintptr_t)area + 63) & ~(uintptr_t)63);
    uint32_t mxcsr = 0x1f80;

    for (unsigned i = 64; i < 72; i++) {
        save[i] = 0;                     /* the header: standard form */
    }
    __asm__ volatile("xsave64 (%0)\n\tvzeroupper\n\tfninit\n\tldmxcsr %1" : : "r"(save), "m"(mxcsr), "a"(7), "d"(0) : "memory");
    fn(arg);
    __asm__ volatile("xrstor64 (%0)" : : "r"(save), "a"(7), "d"(0) : "memory");
}
#endif

void native_call(struct accel_cpu *ac, void (*fn)(void *), void *arg)
{
#ifdef __x86_64__
    uint8_t area[512 + 16];
    uint8_t *save = (uint8_t *)(((uintptr_t)area + 15) & ~(uintptr_t)15);
    uint32_t mxcsr = 0x1f80;

    if (ac->scratch->in_code && !ac->scratch->vec_low && !ac->scratch->vec_saved) {
        native_call_wide(fn, arg);
        return;
    }
    __asm__ volatile("fxsave64 (%0)\n\tfninit\n\tldmxcsr %1" : : "r"(save), "m"(mxcsr) : "memory");
    fn(arg);
    __asm__ volatile("fxrstor64 (%0)" : : "r"(save) : "memory");
#else
    (void)ac;
    fn(arg);
#endif
}

static void fragment_of(struct fragment *f, const struct l2_entry *l2, uint64_t va, unsigned len)
{
    unsigned at = va & (PAGE_SIZE - 1);

    f->host = l2->host ? l2->host + at : NULL;
    f->block = l2->block;
    f->offset = l2->host ? (uint64_t)(f->host - l2->block->host) : 0;
    f->pa = l2->pa | at;
    f->len = len;
    f->readonly = l2->host && l2->readonly;
}

static uint64_t load(const void *p, unsigned size)
{
    switch (size) {
    case 1: return *(const volatile uint8_t *)p;
    case 2: return *(const volatile uint16_t *)p;
    case 4: return *(const volatile uint32_t *)p;
    case 8: return *(const volatile uint64_t *)p;
    default: {
        uint64_t v = 0;

        for (unsigned i = 0; i < size; i++) {
            v |= (uint64_t)((const volatile uint8_t *)p)[i] << 8 * i;
        }
        return v;
    }
    }
}

static void store(void *p, unsigned size, uint64_t v)
{
    switch (size) {
    case 1: *(volatile uint8_t *)p = (uint8_t)v; break;
    case 2: *(volatile uint16_t *)p = (uint16_t)v; break;
    case 4: *(volatile uint32_t *)p = (uint32_t)v; break;
    case 8: *(volatile uint64_t *)p = v; break;
    default:
        for (unsigned i = 0; i < size; i++) {
            ((volatile uint8_t *)p)[i] = (uint8_t)(v >> 8 * i);
        }
    }
}

/* Not crossing a page; size 1..8. */
static bool ld_part(struct accel_cpu *ac, struct vctx *ctx, uint64_t va, unsigned size, uint64_t *value, struct mmu_fault *fault)
{
    struct tlb_entry *e = &ctx->t.entry[(va >> PAGE_BITS) & (TLB_ENTRIES - 1)];
    struct l2_entry *l2;

    if (e->read == (va & PAGE_MASK)) {
        *value = load((void *)(uintptr_t)(va + e->addend), size);
        return true;
    }
    l2 = mmu_get(ac, ctx->space, va, MEM_READ, ctx->t.h.regime, fault);
    if (!l2) {
        return false;
    }
    if (l2->host) {
        tlb_fill_read(ctx, va, l2);
        *value = load(l2->host + (va & (PAGE_SIZE - 1)), size);
    } else {
        struct native_io io = { .ac = ac, .kind = IO_READ };

        fragment_of(&io.f, l2, va, size);
        native_call(ac, ac->native_io, &io);
        *value = load(io.buf, size);
    }
    return true;
}

bool tcg_ld(struct cpu *c, uint64_t va, unsigned size, unsigned regime, uint64_t *value, struct mmu_fault *fault)
{
    struct accel_cpu *ac = c->accel;
    struct vctx *ctx = ctx_of(ac, regime);
    unsigned first = PAGE_SIZE - (va & (PAGE_SIZE - 1));
    uint64_t low, high;

    if (first >= size) {
        return ld_part(ac, ctx, va, size, value, fault);
    }
    if (!ld_part(ac, ctx, va, first, &low, fault) || !ld_part(ac, ctx, va + first, size - first, &high, fault)) {
        return false;
    }
    *value = low | high << 8 * first;
    return true;
}

/* Nothing but the bytes is to be looked after when the fragment is stored to: no code in its lines, nobody collects dirty pages. */
static bool plain_store(const struct accel_cpu *ac, const struct fragment *f)
{
    uint8_t flags = atomic_load(&f->block->flags[f->offset >> PAGE_BITS]);
    unsigned at = f->offset & (PAGE_SIZE - 1);
    struct code_page *cp;

    if (flags != RAM_CODE) {
        return !flags;
    }
    cp = code_page_find(ac->ta, f->block->first_page + (f->offset >> PAGE_BITS));
    return cp && !(atomic_load(&cp->lines) & line_mask(at, at + f->len));
}

static void st_part(struct accel_cpu *ac, struct vctx *ctx, uint64_t va, const struct l2_entry *l2, unsigned size, uint64_t value)
{
    struct tlb_entry *e = &ctx->t.entry[(va >> PAGE_BITS) & (TLB_ENTRIES - 1)];
    struct native_io io = { .ac = ac, .kind = IO_WRITE };

    if (!l2->tag) {
        store((void *)(uintptr_t)(va + e->addend), size, value);
        return;
    }
    fragment_of(&io.f, l2, va, size);
    if (io.f.host && !io.f.readonly && plain_store(ac, &io.f)) {
        store(io.f.host, size, value);
        atomic_thread_fence(memory_order_seq_cst);
        if (plain_store(ac, &io.f)) {
            return;
        }
        /* watched, or it has become code meanwhile: the store again, with everything that belongs to it */
    }
    store(io.buf, size, value);
    native_call(ac, ac->native_io, &io);
    if (io.self) {
        /* The instruction's helper writes to the instruction's own region: the instruction again, alone. */
        tcg_sync(ac);
        tcg_leave(ac, TCG_EXIT_ONE);
    }
}

/* Where the store goes: *l2 with tag 0 stands for the own hot entry. False: fault. A copy: the next lookup may replace the entry. */
static bool st_probe(struct accel_cpu *ac, struct vctx *ctx, uint64_t va, struct l2_entry *l2, struct mmu_fault *fault)
{
    struct tlb_entry *e = &ctx->t.entry[(va >> PAGE_BITS) & (TLB_ENTRIES - 1)];
    const struct l2_entry *found;

    /* A hot entry is good only inside: outside, nobody waits for this vCPU. */
    if (e->write == (va & PAGE_MASK) && (atomic_load_explicit(&ac->seq, memory_order_relaxed) & 1)) {
        l2->tag = 0;
        return true;
    }
    found = mmu_get(ac, ctx->space, va, MEM_WRITE, ctx->t.h.regime, fault);
    if (!found) {
        return false;
    }
    *l2 = *found;
    return true;
}

bool tcg_st(struct cpu *c, uint64_t va, unsigned size, unsigned regime, uint64_t value, struct mmu_fault *fault)
{
    struct accel_cpu *ac = c->accel;
    struct vctx *ctx = ctx_of(ac, regime);
    unsigned first = PAGE_SIZE - (va & (PAGE_SIZE - 1));
    struct l2_entry l2, l2b;

    if (first >= size) {
        if (!st_probe(ac, ctx, va, &l2, fault)) {
            return false;
        }
        st_part(ac, ctx, va, &l2, size, value);
        return true;
    }
    if (!st_probe(ac, ctx, va, &l2, fault) || !st_probe(ac, ctx, va + first, &l2b, fault)) {
        return false;
    }
    st_part(ac, ctx, va, &l2, first, value);
    st_part(ac, ctx, va + first, &l2b, size - first, value >> 8 * first);
    return true;
}

/* As st_part() does it, with one fence for all. */
bool tcg_put(struct cpu *c, uint64_t va, const void *buf, unsigned len, unsigned regime, struct mmu_fault *fault)
{
    struct accel_cpu *ac = c->accel;
    struct vctx *ctx = ctx_of(ac, regime);
    const struct l2_entry *found = mmu_get(ac, ctx->space, va, MEM_WRITE, regime, fault);
    const uint8_t *from = buf;
    struct l2_entry l2;
    unsigned n;

    if (!found) {
        return false;
    }
    l2 = *found;
    if (l2.host && !l2.readonly) {
        struct fragment all;
        uint8_t *to = l2.host + (va & (PAGE_SIZE - 1));

        fragment_of(&all, &l2, va, len);
        if (plain_store(ac, &all)) {
            for (n = len; n >= 8; n -= 8, to += 8, from += 8) {
                store(to, 8, load(from, 8));
            }
            if (n) {
                store(to, n, load(from, n));
            }
            atomic_thread_fence(memory_order_seq_cst);
            if (plain_store(ac, &all)) {
                return true;
            }
        }
    }
    for (from = buf; len; len -= n, va += n, from += n) {
        n = len >= 8 ? 8 : len;
        st_part(ac, ctx, va, &l2, n, load(from, n));
    }
    return true;
}

enum { BULK = 64 };      /* bytes from which on it pays to give up translations so that a store can go the short way */

/* The page of a store in bulk holds translations: those that it overwrites go, before it rather than piece by piece. */
static bool announce_bulk(struct accel_cpu *ac, const struct l2_entry *l2, uint64_t va, unsigned len)
{
    struct native_io io = { .ac = ac, .kind = IO_DROP };
    uint64_t index = (uint64_t)(l2->host - l2->block->host) >> PAGE_BITS;

    if (ram_announce(ac, l2->block, index)) {
        return true;
    }
    if (len < BULK || !ram_flags_code(l2->block, index)) {
        return false;
    }
    fragment_of(&io.f, l2, va, len);
    native_call(ac, ac->native_io, &io);
    return !io.self && !ac->leave && ram_announce(ac, io.f.block, io.f.offset >> PAGE_BITS);
}

void *tcg_probe(struct cpu *c, uint64_t va, unsigned len, enum mem_access access, unsigned regime, struct mmu_fault *fault)
{
    struct accel_cpu *ac = c->accel;
    struct vctx *ctx = ctx_of(ac, regime);
    struct l2_entry *l2;
    uint8_t *host;

    fault->vector = MMU_NO_FAULT;
    if (len > PAGE_SIZE - (va & (PAGE_SIZE - 1))) {
        return NULL;
    }
    l2 = mmu_get(ac, ctx->space, va, access, regime, fault);
    if (!l2 || !l2->host) {
        return NULL;
    }
    host = l2->host + (va & (PAGE_SIZE - 1));
    if (access == MEM_WRITE &&
        (l2->readonly || !(atomic_load_explicit(&ac->seq, memory_order_relaxed) & 1) || !announce_bulk(ac, l2, va, len))) {
        return NULL;
    }
    return host;
}

void tcg_mode_changed(struct cpu *c)
{
    ctx_select(c->accel);
}
