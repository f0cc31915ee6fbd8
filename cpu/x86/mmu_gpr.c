/*
 * The page walk: linear to physical for every paging mode. Spec: Intel SDM vol. 3 chapter 4.
 *
 * Entries are read through the flat map straight from guest RAM; where there is none, an entry reads as all ones, as an empty bus
 * does. Accessed and dirty bits are set by compare-exchange after the whole walk has succeeded; an entry that changed
 * meanwhile makes the walk begin again. Not modelled: memory types (PAT, MTRR), since guest RAM is always coherent.
 *
 * General registers only: called from the TLB's slow path.
 */
#include "core/ram.h"
#include "core/region.h"
#include "cpu/x86/sys_priv.h"

#define PTE_P 1ull
#define PTE_W 2ull
#define PTE_U 4ull
#define PTE_A 0x20ull
#define PTE_D 0x40ull
#define PTE_PS 0x80ull
#define PTE_G 0x100ull
#define PTE_NX (1ull << 63)

enum { ERR_P = 1, ERR_W = 2, ERR_U = 4, ERR_RSVD = 8, ERR_I = 16, ERR_PK = 32 };

/* One entry met on the way. */
struct entry {
    void *host;               /* NULL: not in RAM */
    _Atomic uint8_t *flags;   /* of its RAM page */
    uint64_t value;
};

/* Host address of physical `pa` when it is RAM; *flags as in struct ram_block. */
static void *phys_host(struct cpu *c, uint64_t pa, _Atomic uint8_t **flags, bool *readonly)
{
    const struct flat_view *v = atomic_load_explicit(&c->memory->view, memory_order_acquire);
    unsigned lo = 0, hi = v ? v->n : 0;

    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        const struct flat_range *r = &v->r[mid];

        if (pa < r->start) {
            hi = mid;
        } else if (pa - r->start >= r->size) {
            lo = mid + 1;
        } else {
            struct ram_block *b = r->region->ram;
            uint64_t at = pa - r->start + r->offset;

            if (r->region->kind != REGION_RAM || at + 8 > b->size) {
                return NULL;
            }
            *flags = &b->flags[at >> PAGE_BITS];
            *readonly = r->readonly || b->readonly;
            return b->host + at;
        }
    }
    return NULL;
}

static uint64_t a20(const struct x86_state *s, uint64_t pa)
{
    return s->a20 || s->smm ? pa : pa & ~(1ull << 20);
}

static void entry_read(struct cpu *c, uint64_t pa, bool wide, struct entry *e)
{
    bool readonly = false;
    void *host = phys_host(c, a20(&x86_of(c)->s, pa), &e->flags, &readonly);

    if (!host) {
        e->value = wide ? ~0ull : 0xffffffffu;
    } else if (wide) {
        e->value = atomic_load_explicit((_Atomic uint64_t *)host, memory_order_acquire);
    } else {
        e->value = atomic_load_explicit((_Atomic uint32_t *)host, memory_order_acquire);
    }
    e->host = readonly ? NULL : host;
}

/* Sets bits in an entry; false: somebody else changed it. */
static bool entry_mark(const struct entry *e, bool wide, uint64_t bits)
{
    if ((e->value & bits) == bits || !e->host) {
        return true;
    }
    if (wide) {
        uint64_t old = e->value;
        if (!atomic_compare_exchange_strong((_Atomic uint64_t *)e->host, &old, old | bits)) {
            return false;
        }
    } else {
        uint32_t old = (uint32_t)e->value;
        if (!atomic_compare_exchange_strong((_Atomic uint32_t *)e->host, &old, old | (uint32_t)bits)) {
            return false;
        }
    }
    /* Dirty tracking sees this store, too. Code never hangs on a table's accessed bits, so translations stay. */
    if (atomic_load_explicit(e->flags, memory_order_relaxed) & ~(unsigned)RAM_CODE) {
        atomic_fetch_and(e->flags, RAM_CODE);
    }
    return true;
}

struct walk {
    struct cpu *c;
    struct x86_state *s;
    uint64_t va;
    enum mem_access access;
    unsigned regime;
    unsigned levels;              /* entries met */
    bool wide;
    struct entry e[5];
    uint64_t rights;              /* W and U of all levels anded, NX ored in bit 63 */
    uint64_t pa, page_size;
    bool global;
};

static bool page_fault(const struct walk *w, uint32_t code, struct mmu_fault *f)
{
    const struct x86_state *s = w->s;

    f->vector = X86_PF;
    f->code = code | (w->access == MEM_WRITE ? ERR_W : 0) | (w->regime == X86_REGIME_USER ? ERR_U : 0) |
              (w->access == MEM_EXEC && ((s->cr4 & CR4_SMEP) || ((s->efer & EFER_NXE) && (s->cr4 & CR4_PAE))) ? ERR_I : 0);
    f->addr = w->va;
    return false;
}

/* Reads the next entry: present and without reserved bits, or a fault. */
static bool step(struct walk *w, uint64_t pa, uint64_t reserved, struct mmu_fault *f)
{
    struct entry *e = &w->e[w->levels++];

    entry_read(w->c, pa, w->wide, e);
    if (!(e->value & PTE_P)) {
        return page_fault(w, 0, f);
    }
    if (e->value & reserved) {
        return page_fault(w, ERR_P | ERR_RSVD, f);
    }
    w->rights = (w->rights & (e->value | PTE_NX)) | (w->wide ? e->value & PTE_NX : 0);
    return true;
}

static void leaf(struct walk *w, uint64_t frame, uint64_t size)
{
    const struct entry *e = &w->e[w->levels - 1];

    w->pa = (frame & ~(size - 1)) | (w->va & (size - 1));
    w->page_size = size;
    w->global = (e->value & PTE_G) && (w->s->cr4 & CR4_PGE);
}

static bool walk_32(struct walk *w, struct mmu_fault *f)
{
    const struct x86_state *s = w->s;
    uint32_t va = (uint32_t)w->va;
    uint64_t e;

    if (!step(w, (s->cr3 & 0xfffff000) | (va >> 22) << 2, 0, f)) {
        return false;
    }
    e = w->e[0].value;
    if ((e & PTE_PS) && (s->cr4 & CR4_PSE)) {
        if (e & 1u << 21) {
            return page_fault(w, ERR_P | ERR_RSVD, f);
        }
        leaf(w, (e & 0xffc00000) | (e & 0x1fe000) << 19, 4ull << 20);   /* PSE-36: bits 20-13 are address bits 39-32 */
        return true;
    }
    if (!step(w, (e & 0xfffff000) | (va >> 12 & 0x3ff) << 2, 0, f)) {
        return false;
    }
    leaf(w, w->e[1].value & 0xfffff000, 4096);
    return true;
}

/* The levels that PAE and 4- and 5-level paging have in common, from `level` (5: PML5 ... 1: page table) down. */
static bool walk_wide(struct walk *w, uint64_t table, unsigned level, struct mmu_fault *f)
{
    const struct x86_state *s = w->s;
    const struct x86_cpu *x = x86_of(w->c);
    uint64_t frame_mask = ((1ull << x->phys_bits) - 1) & ~0xfffull;
    uint64_t reserved = ~((1ull << x->phys_bits) - 1) & (s->efer & EFER_LMA ? 0xfffffffffffffull : ~PTE_NX);
    uint64_t e;

    reserved |= s->efer & EFER_NXE ? 0 : PTE_NX;
    for (;; level--) {
        unsigned shift = 12 + 9 * (level - 1);

        if (!step(w, table + ((w->va >> shift & 0x1ff) << 3), reserved | (level >= 4 || (level == 3 && !x->page_1g) ? PTE_PS : 0), f)) {
            return false;
        }
        e = w->e[w->levels - 1].value;
        if (level == 1 || (e & PTE_PS)) {
            uint64_t size = 1ull << shift;

            if (level > 1 && (e & frame_mask & (size - 1) & ~0x1000ull)) {   /* bit 12 is PAT there */
                return page_fault(w, ERR_P | ERR_RSVD, f);
            }
            leaf(w, e & frame_mask, size);
            return true;
        }
        table = e & frame_mask;
    }
}

static bool walk_tables(struct walk *w, struct mmu_fault *f)
{
    const struct x86_state *s = w->s;

    w->levels = 0;
    w->rights = PTE_W | PTE_U;
    if (!(s->cr4 & CR4_PAE)) {
        w->wide = false;
        return walk_32(w, f);
    }
    w->wide = true;
    if (s->efer & EFER_LMA) {
        return walk_wide(w, s->cr3 & 0xffffffffff000ull, s->cr4 & CR4_LA57 ? 5 : 4, f);
    }
    /* PAE: the four top entries are registers (SDM 4.4.1), without rights of their own */
    uint64_t top = s->pdpte[w->va >> 30 & 3];
    if (!(top & PTE_P)) {
        return page_fault(w, 0, f);
    }
    return walk_wide(w, top & 0xffffffffff000ull, 2, f);
}

/* MMU_* that the regime has on the page (SDM 4.6). */
static unsigned page_rights(const struct walk *w)
{
    const struct x86_state *s = w->s;
    bool user = w->rights & PTE_U, writable = w->rights & PTE_W, nx = w->rights & PTE_NX;

    if (w->regime == X86_REGIME_USER) {
        return user ? MMU_R | (writable ? MMU_W : 0) | (nx ? 0 : MMU_X) : 0;
    }
    unsigned r = nx || (user && (s->cr4 & CR4_SMEP)) ? 0 : MMU_X;

    if (user && (s->cr4 & CR4_SMAP) && w->regime != X86_REGIME_SUPER_AC) {
        return r;
    }
    return r | MMU_R | (writable || !(s->cr0 & CR0_WP) ? MMU_W : 0);
}

/*
 * What the page's protection key takes from data accesses (SDM vol. 3, 4.6.2): of user pages in long mode, also from the kernel, whose
 * writes it stops with CR0.WP only. Keys met are remembered: a new PKRU need not flush for others.
 */
static unsigned key_denies(struct walk *w)
{
    struct x86_state *s = w->s;
    unsigned key = w->e[w->levels - 1].value >> 59 & 15, bits = s->pkru >> (2 * key) & 3;

    if (!(s->cr4 & CR4_PKE) || !(s->efer & EFER_LMA) || !(w->rights & PTE_U)) {
        return 0;
    }
    s->pkeys_seen |= 1u << key;
    return bits & 1 ? MMU_R | MMU_W : (bits & 2) && (w->regime == X86_REGIME_USER || (s->cr0 & CR0_WP)) ? MMU_W : 0;
}

void x86_set_pkru(struct x86_state *s, uint32_t v)
{
    uint32_t changed = v ^ s->pkru;
    bool flush = false;

    for (unsigned key = 0; key < 16; key++) {
        flush |= (changed >> (2 * key) & 3) && (s->pkeys_seen >> key & 1);
    }
    s->pkru = v;
    if (flush) {
        s->pkeys_seen = 0;
        accel_of(s)->tlb_flush(cpu_of(s), TLB_FLUSH_ALL, 0, 0);
    }
}

/* Bytes of data breakpoint i, or 0 if it is not one or not armed (SDM vol. 3, 17.2.4, 17.2.5). */
static unsigned watch_len(const struct x86_state *s, unsigned i)
{
    static const uint8_t len[] = { 1, 2, 8, 4 };
    unsigned rw = s->dr[7] >> (16 + i * 4) & 3;

    return (s->dr[7] & 3u << (i * 2)) && (rw & 1) ? len[s->dr[7] >> (18 + i * 4) & 3] : 0;
}

static bool page_watched(const struct x86_state *s, uint64_t va)
{
    for (unsigned i = 0; i < 4; i++) {
        if (watch_len(s, i) && !((s->dr[i] ^ va) & ~0xfffull)) {
            return true;      /* breakpoints are aligned to their length: they lie in one page */
        }
    }
    return false;
}

bool x86_watch(struct cpu *c, uint64_t va, unsigned size, bool write, bool commit)
{
    struct x86_state *s = &x86_of(c)->s;
    uint32_t hit = 0;

    for (unsigned i = 0; i < 4; i++) {
        unsigned len = watch_len(s, i);
        uint64_t at = s->dr[i] & ~(uint64_t)(len - 1);
        bool any = s->dr[7] >> (17 + i * 4) & 1;      /* reads too */

        if (len && (write || any) && va < at + len && at < va + size) {
            hit |= 1u << i;
        }
    }
    if (commit && hit) {
        s->dr6_pending |= hit;
        x86_look(s);
    }
    return hit;
}

/* Are data breakpoints armed at all? */
bool x86_watches(const struct x86_state *s)
{
    return watch_len(s, 0) | watch_len(s, 1) | watch_len(s, 2) | watch_len(s, 3);
}

static void no_paging(struct walk *w, struct mmu_result *res)
{
    res->pa = a20(w->s, (uint32_t)w->va);
    res->page_size = 4096;
    res->rights = MMU_R | MMU_W | MMU_X;
    res->global = false;
    res->attr = 0;
}

bool x86_walk(struct cpu *c, uint64_t va, enum mem_access access, unsigned regime, bool commit, struct mmu_result *res,
              struct mmu_fault *fault)
{
    static const uint8_t need[] = { [MEM_READ] = MMU_R, [MEM_WRITE] = MMU_W, [MEM_EXEC] = MMU_X };
    struct walk w;

    w.c = c;
    w.s = &x86_of(c)->s;
    w.va = va;
    w.access = access;
    w.regime = regime;
    res->watched = (w.s->dr[7] & 0xff) && access != MEM_EXEC && page_watched(w.s, va);
    if (!(w.s->cr0 & CR0_PG)) {
        no_paging(&w, res);
        return true;
    }
    if (!(w.s->efer & EFER_LMA)) {
        w.va = (uint32_t)va;
    } else if (!x86_canonical(w.s, va)) {
        fault_gp(fault, 0);
        fault->addr = va;      /* exceptions.c makes #SS of it for stack accesses */
        return false;
    }
    for (;;) {
        bool ok = true;

        if (!walk_tables(&w, fault)) {
            return false;
        }
        unsigned denied = key_denies(&w);
        res->rights = page_rights(&w) & ~denied;
        if (!(res->rights & need[access])) {
            return page_fault(&w, ERR_P | (access != MEM_EXEC && (denied & need[access]) ? ERR_PK : 0), fault);
        }
        struct entry *last = &w.e[w.levels - 1];
        uint64_t leaf_bits = PTE_A | (access == MEM_WRITE ? PTE_D : 0);

        for (unsigned i = 0; commit && ok && i + 1 < w.levels; i++) {
            ok = entry_mark(&w.e[i], w.wide, PTE_A);
        }
        if (commit && ok) {
            ok = entry_mark(last, w.wide, leaf_bits);
        }
        if (!ok) {
            continue;
        }
        if (!((last->value | (commit ? leaf_bits : 0)) & PTE_D)) {
            res->rights &= ~MMU_W;
        }
        break;
    }
    res->pa = a20(w.s, w.pa);
    res->page_size = w.page_size;
    res->global = w.global;
    res->attr = 0;
    return true;
}

bool x86_load_pdptes(struct x86_state *s, uint64_t cr3)
{
    struct cpu *c = cpu_of(s);
    uint64_t reserved = ~((1ull << x86_of(c)->phys_bits) - 1) | 0x1e6;
    struct entry e;
    uint64_t v[4];

    for (unsigned i = 0; i < 4; i++) {
        entry_read(c, (cr3 & 0xffffffe0) + i * 8, true, &e);
        if ((e.value & PTE_P) && (e.value & reserved)) {
            return false;
        }
        v[i] = e.value;
    }
    for (unsigned i = 0; i < 4; i++) {
        s->pdpte[i] = v[i];
    }
    return true;
}
