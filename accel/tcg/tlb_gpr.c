/*
 * The software TLB: inline tables (struct tcg_tlb), a second-level TLB per vCPU behind them, the choice of the address context in
 * force, and flushes. General registers only: generated code calls it with the guest's vectors live.
 *
 * Eight address spaces of four regimes each. Tables are cleared when they are next used after a flush, and then only
 * the lines that were filled. A flush of a space gives it a new number, which makes its second-level entries unreachable.
 */
#include "accel/tcg/accel_priv.h"

#define ITLB_MASK ((1u << ITLB_BITS) - 1)
#define PAGE_OF(va) ((va) & PAGE_MASK)

/* ---- clearing ---- */

static void entry_drop(struct vctx *ctx, unsigned i)
{
    atomic_store_explicit(&ctx->t.entry[i].read, tlb_invalid_tag(i), memory_order_relaxed);
    atomic_store_explicit(&ctx->t.entry[i].write, tlb_invalid_tag(i), memory_order_relaxed);
}

static void ctx_clear_map(struct vctx *ctx, bool all)
{
    for (unsigned w = 0; w < CODE_MAP_ENTRIES / 64; w++) {
        uint64_t keep = all ? 0 : ctx->mapped_global[w];

        for (uint64_t bits = ctx->mapped[w] & ~keep; bits; bits &= bits - 1) {
            ctx->t.code_map[w * 64 + (unsigned)__builtin_ctzll(bits)] = 0xfff;
        }
        ctx->mapped[w] &= keep;
        ctx->mapped_global[w] = keep;
    }
}

static void ctx_clean(struct accel_cpu *ac, struct vctx *ctx)
{
    if (!ctx->made) {
        for (unsigned i = 0; i < TLB_ENTRIES; i++) {
            entry_drop(ctx, i);
        }
        for (unsigned i = 0; i < CODE_MAP_ENTRIES; i++) {
            ctx->t.code_map[i] = 0xfff;      /* ids end at 4094 * 1024 */
        }
        ctx->made = true;
    } else {
        for (unsigned w = 0; w < TLB_ENTRIES / 64; w++) {
            uint64_t keep = ctx->stale_all ? 0 : ctx->filled_global[w];

            for (uint64_t bits = ctx->filled[w] & ~keep; bits; bits &= bits - 1) {
                entry_drop(ctx, w * 64 + (unsigned)__builtin_ctzll(bits));
            }
            ctx->filled[w] &= keep;
            ctx->filled_global[w] = keep;
        }
        ctx_clear_map(ctx, ctx->stale_all);
    }
    ctx->t.h.stale = false;
    ctx->stale_all = false;
    ac->st.clears++;
}

static inline void jump_empty(struct vcode *v, unsigned i)
{
    __atomic_store_n(&v->jump[i].pc, jump_invalid_pc(i), __ATOMIC_RELAXED);
}

static void jump_clear(struct vcode *v)
{
    for (unsigned w = 0; w < JUMP_ENTRIES / 64; w++) {
        for (uint64_t bits = v->filled[w]; bits; bits &= bits - 1) {
            jump_empty(v, w * 64 + (unsigned)__builtin_ctzll(bits));
        }
        v->filled[w] = 0;
    }
}

static void code_clean(struct vcode *v)
{
    if (!v->made) {
        for (unsigned i = 0; i < JUMP_ENTRIES; i++) {
            jump_empty(v, i);
        }
        v->mode = 0xffffffff;
        v->made = true;
    } else {
        jump_clear(v);
    }
    for (unsigned i = 0; i <= ITLB_MASK; i++) {
        v->itlb[i].tag = 0;
    }
    for (unsigned i = 0; v->stale_all && i < G_N_ELEMENTS(v->executed); i++) {
        v->executed[i] = 0;
    }
    v->stale = v->stale_all = v->local = false;
}

/* A private table's memory of pages goes with every flush; of a shared one code maps may still hold global pages. */
static void code_stale(struct vcode *v, bool all)
{
    v->stale = true;
    v->stale_all |= all;
}

void tables_init(struct accel_cpu *ac)
{
    for (unsigned s = 0; s < TCG_SPACES; s++) {
        for (unsigned r = 0; r < TCG_REGIMES; r++) {
            struct vctx *ctx = &ac->tab->ctx[s][r];

            ac->spaces[s].ctx[r] = ctx;
            ac->spaces[s].code[r] = &ac->tab->code[s][r];
            ctx->space = &ac->spaces[s];
            ctx->t.h.jump = ac->tab->code[s][r].jump;
            ctx->t.h.regime = (uint8_t)r;
            ctx->t.h.stale = ctx->stale_all = true;
            ctx->t.h.mask = (TLB_ENTRIES - 1) * sizeof(struct tlb_entry);
            ctx->t.h.reserved = (uint64_t)(uintptr_t)ac;
            code_stale(&ac->tab->code[s][r], true);
        }
    }
    for (unsigned i = 0; i < JUMP_ENTRIES; i++) {
        ac->tab->miss[i].pc = jump_invalid_pc(i);
    }
    for (unsigned r = 0; r < TCG_REGIMES; r++) {
        code_stale(&ac->tab->shared[r], true);
    }
    ac->next_id = 1;
    ac->global_id = ac->next_id++;
    for (unsigned s = 0; s < TCG_SPACES; s++) {
        ac->spaces[s].l2_id = ac->next_id++;
    }
}

/* A new number. After 2^32 flushes numbers come round: old entries must not come back to life. */
static uint32_t new_id(struct accel_cpu *ac)
{
    if (!++ac->next_id) {
        for (unsigned i = 0; i < L2_SETS * L2_WAYS; i++) {
            (&ac->tab->l2[0][0])[i].tag = 0;
        }
        ac->next_id = 1;
    }
    return ac->next_id;
}

/* ---- the context in force ---- */

static void space_flush(struct accel_cpu *ac, struct vspace *sp, bool all)
{
    sp->l2_id = new_id(ac);
    for (unsigned r = 0; r < TCG_REGIMES; r++) {
        sp->ctx[r]->t.h.stale = true;
        sp->ctx[r]->stale_all |= all;
        code_stale(sp->code[r], true);
        if (all || ac->tab->shared[r].local) {
            code_stale(&ac->tab->shared[r], all);
        }
    }
}

static struct vspace *space_get(struct accel_cpu *ac, uint32_t asid)
{
    struct vspace *victim = &ac->spaces[0];

    for (unsigned i = 0; i < TCG_SPACES; i++) {
        struct vspace *sp = &ac->spaces[i];

        if (sp->used && sp->asid == asid) {
            return sp;
        }
        if (!sp->used || (victim->used && sp->stamp < victim->stamp)) {
            victim = sp;
        }
    }
    if (victim->used) {
        space_flush(ac, victim, false);
    }
    victim->used = true;
    victim->asid = asid;
    return victim;
}

/* The jump table in force; the kicker's choice stands. Whoever writes it looks at `kick` again afterwards. */
void set_jt(struct accel_cpu *ac)
{
    struct tcg_env *env = ac->env;
    struct vcode *v = ac->code;
    struct tcg_jump *jt = ac->tab->miss;

    ac->own_jt = false;
    if (!ac->key.salted) {
        if (v->mode != ac->key.mode) {
            /* A passing mode (interrupt shadow, single step) does not cost the table; one that stays takes it over. */
            if (v->mode == 0xffffffff || ++v->misfits > 64) {
                jump_clear(v);
                v->mode = ac->key.mode;
                v->misfits = 0;
            }
        } else {
            v->misfits = 0;
        }
        if (v->mode == ac->key.mode) {
            jt = v->jump;
            ac->own_jt = true;
        }
    }
    __atomic_store_n(&env->jt, jt, __ATOMIC_SEQ_CST);
    if (atomic_load(&env->kick)) {
        __atomic_store_n(&env->jt, ac->tab->miss, __ATOMIC_SEQ_CST);
    }
}

static struct vcode *code_pick(struct accel_cpu *ac, unsigned regime)
{
    struct vcode *v = &ac->tab->shared[regime];

    if (ac->share_losses[regime] >= SHARE_LOSSES) {
        return ac->space->code[regime];
    }
    if (v->space != ac->space) {
        v->space = ac->space;
        if (v->local) {
            code_stale(v, false);
            if (++ac->share_losses[regime] == SHARE_LOSSES) {
                tlb_flush_all(ac);
                return ac->space->code[regime];
            }
        }
    }
    return v;
}

void ctx_select(struct accel_cpu *ac)
{
    struct tcg_key *key = &ac->key;

    ac->front->key(ac->state, key);
    if (!ac->space || !ac->space->used || ac->space->asid != key->asid) {
        ac->space = space_get(ac, key->asid);
    }
    ac->space->stamp = ++ac->clock;
    ac->ctx = ac->space->ctx[key->regime];
    ac->code = code_pick(ac, key->code_regime);
    if (ac->ctx->t.h.stale) {
        ctx_clean(ac, ac->ctx);
    }
    if (ac->code->stale) {
        code_clean(ac->code);
    }
    ac->ctx->t.h.asid = key->asid;
    ac->ctx->t.h.mode = key->mode;
    ac->env->ctx = &ac->ctx->t;
    set_jt(ac);
}

void tcg_changed(void *state)
{
    ctx_select(accel_of_state(state));
}

struct vctx *ctx_of(struct accel_cpu *ac, unsigned regime)
{
    struct vctx *ctx = ac->space->ctx[regime];

    if (ctx->t.h.stale) {
        ctx_clean(ac, ctx);
    }
    return ctx;
}

/* ---- translation: second-level TLB, then the guest's tables ---- */

static const struct flat_range *range_find(const struct flat_view *v, uint64_t addr)
{
    unsigned lo = 0, hi = v->n;

    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        const struct flat_range *r = &v->r[mid];

        if (addr < r->start) {
            hi = mid;
        } else if (addr - r->start < r->size) {
            return r;
        } else {
            lo = mid + 1;
        }
    }
    return NULL;
}

/* What backs the physical page; host stays NULL unless it is RAM, whole and aligned. */
static void l2_back(struct accel_cpu *ac, struct l2_entry *e)
{
    const struct flat_range *r = range_find(atomic_load_explicit(&ac->c->memory->view, memory_order_acquire), e->pa);
    uint64_t in = r ? e->pa - r->start : 0;

    e->host = NULL;
    if (r && r->region->kind == REGION_RAM && r->size - in >= PAGE_SIZE && !((r->offset + in) & (PAGE_SIZE - 1))) {
        e->block = r->region->ram;
        e->host = e->block->host + r->offset + in;
        e->readonly = r->readonly;
    }
}

static inline unsigned l2_set(uint64_t va)
{
    return (unsigned)((va >> PAGE_BITS) ^ (va >> (PAGE_BITS + 10)) ^ (va >> (PAGE_BITS + 20))) & (L2_SETS - 1);
}

static inline unsigned large_hash(uint64_t n)
{
    return (unsigned)(n ^ (n >> 12)) & 4095;
}

static void note_large(struct accel_cpu *ac, uint64_t va, uint64_t size)
{
    unsigned a = large_hash(va >> 21), b = large_hash(va >> 30) & 511;

    if (size > (4u << 20)) {
        ac->tab->large1g[b >> 6] |= 1ull << (b & 63);
        return;
    }
    ac->tab->large2m[a >> 6] |= 1ull << (a & 63);
    if (size > (2u << 20)) {
        /* 4 MiB: INVLPG may name the other half */
        a = large_hash((va >> 21) ^ 1);
        ac->tab->large2m[a >> 6] |= 1ull << (a & 63);
    }
}

struct l2_entry *mmu_get(struct accel_cpu *ac, struct vspace *sp, uint64_t va, enum mem_access access, unsigned regime,
                         struct mmu_fault *fault)
{
    static const uint8_t right[] = { [MEM_READ] = MMU_R, [MEM_WRITE] = MMU_W, [MEM_EXEC] = MMU_X };
    uint64_t tag = PAGE_OF(va) | regime << 1 | 1;
    struct l2_entry *set = ac->tab->l2[l2_set(va)], *e = NULL;
    struct mmu_result res;

    for (unsigned i = 0; i < L2_WAYS; i++) {
        if (set[i].tag == tag && (set[i].id == sp->l2_id || set[i].id == ac->global_id)) {
            e = &set[i];
            if (e->rights & right[access]) {
                ac->st.l2_hits++;
                return e;
            }
            break;
        }
    }
    ac->st.walks++;
    bool found = ac->ops->walk(ac->c, va, access, regime, true, &res, fault);
    if (ac->mmu_note) {
        native_call(ac, ac->mmu_note, &(struct mmu_note){ .ac = ac, .res = found ? &res : NULL, .fault = found ? NULL : fault,
                                                      .va = va, .access = access, .regime = regime });
    }
    if (!found) {
        ac->st.faults++;
        return NULL;
    }
    if (!e) {
        e = &set[ac->l2_victim++ % L2_WAYS];
        for (unsigned i = 0; i < L2_WAYS; i++) {
            if (!set[i].tag || (set[i].id != sp->l2_id && set[i].id != ac->global_id)) {
                e = &set[i];
                break;
            }
        }
    }
    e->tag = tag;
    e->id = res.global ? ac->global_id : sp->l2_id;
    e->pa = PAGE_OF(res.pa);
    e->rights = res.rights;
    l2_back(ac, e);
    if (res.watched) {
        e->host = NULL;      /* every access goes by the full path, which asks ops->watch() */
    }
    if (res.page_size > PAGE_SIZE) {
        note_large(ac, va, res.page_size);
    }
    return e;
}

static inline unsigned executed_hash(uint64_t va)
{
    uint64_t n = va >> PAGE_BITS;

    return (unsigned)(n ^ n >> EXECUTED_BITS) & ((1u << EXECUTED_BITS) - 1);
}

struct itlb_entry *itlb_get(struct accel_cpu *ac, uint64_t pc, struct mmu_fault *fault)
{
    struct vcode *v = ac->code;
    uint64_t n = pc >> PAGE_BITS;
    struct itlb_entry *it = &v->itlb[(n ^ (n >> ITLB_BITS)) & ITLB_MASK];
    struct l2_entry *l2;

    if (it->tag == (PAGE_OF(pc) | 1)) {
        return it;
    }
    fault->vector = MMU_NO_FAULT;
    l2 = mmu_get(ac, ac->space, pc, MEM_EXEC, ac->key.code_regime, fault);
    if (!l2 || !l2->host) {
        return NULL;
    }
    ac->st.itlb_fills++;
    it->tag = PAGE_OF(pc) | 1;
    it->host = l2->host;
    it->block = l2->block;
    it->page = l2->block->first_page + ((uint64_t)(l2->host - l2->block->host) >> PAGE_BITS);
    it->global = l2->id == ac->global_id;
    v->local |= !it->global;
    n = executed_hash(pc);
    v->executed[n >> 6] |= 1ull << (n & 63);
    return it;
}

/* ---- filling, and the slow path of generated code ---- */

static inline unsigned tlb_index(uint64_t va)
{
    return (va >> PAGE_BITS) & (TLB_ENTRIES - 1);
}

static struct tlb_entry *entry_take(struct vctx *ctx, uint64_t va, const struct l2_entry *l2)
{
    unsigned i = tlb_index(va);
    struct tlb_entry *e = &ctx->t.entry[i];
    uint64_t addend = (uint64_t)(uintptr_t)l2->host - PAGE_OF(va);

    if (e->addend != addend || (e->read != PAGE_OF(va) && e->write != PAGE_OF(va))) {
        entry_drop(ctx, i);
        e->addend = addend;
        e->info = (uint64_t)(uintptr_t)l2->host;
        ctx->filled[i >> 6] |= 1ull << (i & 63);
        ctx->t.h.fills++;
        ctx->filled_global[i >> 6] |= 1ull << (i & 63);
    }
    if (l2->id != ((struct accel_cpu *)(uintptr_t)ctx->t.h.reserved)->global_id) {
        ctx->filled_global[i >> 6] &= ~(1ull << (i & 63));
    }
    return e;
}

void tlb_fill_read(struct vctx *ctx, uint64_t va, const struct l2_entry *l2)
{
    struct tlb_entry *e = entry_take(ctx, va, l2);

    atomic_store_explicit(&e->read, PAGE_OF(va), memory_order_relaxed);
}

bool ram_announce(struct accel_cpu *ac, struct ram_block *b, uint64_t index)
{
    uint64_t bit = 1ull << (ac->c->index & 63);
    uint8_t f;

    if (!(atomic_load_explicit(&b->writers[index], memory_order_relaxed) & bit)) {
        atomic_fetch_or(&b->writers[index], bit);
    }
    atomic_thread_fence(memory_order_seq_cst);
    f = atomic_load(&b->flags[index]);
    if (f & ~RAM_CODE) {
        atomic_fetch_and(&b->flags[index], RAM_CODE);
        f = atomic_load(&b->flags[index]);
    }
    return !f;
}

struct tcg_slow_result tcg_slow(void *state, uint64_t addr, uint32_t desc)
{
    struct accel_cpu *ac = accel_of_state(state);
    unsigned size = 1u << (desc & TCG_D_SIZE), regime = desc >> TCG_D_REGIME & 15;
    struct vctx *ctx = regime ? ctx_of(ac, regime - 1) : ac->ctx;
    enum mem_access access = desc & TCG_D_WRITE ? MEM_WRITE : MEM_READ;
    struct tlb_entry *e = &ctx->t.entry[tlb_index(addr)];
    uint64_t page = PAGE_OF(addr), index, host;
    struct mmu_fault fault = { .vector = MMU_NO_FAULT };
    struct l2_entry *l2;
    bool probe = (desc & (TCG_D_PROBE | TCG_D_READ)) == TCG_D_PROBE, intent = (desc & TCG_D_PROBE) && !probe;

    ac->st.slow++;
    regime = ctx->t.h.regime;
    if ((desc & TCG_D_ALIGN) && (addr & (size - 1))) {
        tcg_trap(ac, TCG_TRAP_ALIGN, addr);
    }
    if (PAGE_OF(addr + size - 1) != page) {
        if (probe) {
            if (!mmu_get(ac, ctx->space, addr, access, regime, &fault) ||
                !mmu_get(ac, ctx->space, PAGE_OF(addr + size - 1), access, regime, &fault)) {
                tcg_fault(ac, &fault);
            }
            return (struct tcg_slow_result){ 0, 0 };
        }
        return (struct tcg_slow_result){ 0, 1 };
    }
    if ((access == MEM_WRITE ? e->write : e->read) == page) {
        return (struct tcg_slow_result){ e->addend, 0 };
    }
    l2 = mmu_get(ac, ctx->space, addr, access, regime, &fault);
    if (!l2 || ((desc & TCG_D_READ) && !(l2->rights & MMU_R) && !mmu_get(ac, ctx->space, addr, MEM_READ, regime, &fault))) {
        tcg_fault(ac, &fault);
    }
    if (!l2->host) {
        return (struct tcg_slow_result){ 0, !probe };
    }
    host = (uint64_t)(uintptr_t)l2->host - page;
    if (access == MEM_READ) {
        tlb_fill_read(ctx, addr, l2);
        return (struct tcg_slow_result){ host, 0 };
    }
    if (l2->readonly || probe) {
        return (struct tcg_slow_result){ intent ? host : 0, !probe && !intent };
    }
    index = (uint64_t)(l2->host - l2->block->host) >> PAGE_BITS;
    if (ram_announce(ac, l2->block, index)) {
        e = entry_take(ctx, addr, l2);
        if (l2->rights & MMU_R) {
            atomic_store_explicit(&e->read, page, memory_order_relaxed);
        }
        atomic_store_explicit(&e->write, page, memory_order_relaxed);
    } else if (!intent && ram_flags_code(l2->block, index)) {
        struct code_page *cp = code_page_find(ac->ta, l2->block->first_page + index);
        unsigned at = addr & (PAGE_SIZE - 1);

        ac->st.code_stores++;
        if (!cp || (atomic_load(&cp->lines) & line_mask(at, at + size))) {
            ac->st.code_line_hits++;
            return (struct tcg_slow_result){ 0, 1 };
        }
    }
    return (struct tcg_slow_result){ host, 0 };
}

/* ---- flushes ---- */

/* After a flush of the space in force: generated code goes on with it at once. */
static void refresh(struct accel_cpu *ac)
{
    if (ac->ctx && ac->ctx->t.h.stale) {
        ctx_clean(ac, ac->ctx);
    }
    if (ac->code && ac->code->stale) {
        code_clean(ac->code);
    }
}

void tlb_flush_all(struct accel_cpu *ac)
{
    ac->st.flushes++;
    ac->global_id = new_id(ac);
    for (unsigned i = 0; i < TCG_SPACES; i++) {
        space_flush(ac, &ac->spaces[i], true);
    }
    for (unsigned i = 0; i < 64; i++) {
        ac->tab->large2m[i] = 0;
    }
    for (unsigned i = 0; i < 8; i++) {
        ac->tab->large1g[i] = 0;
    }
    refresh(ac);
}

static bool code_drop_page(struct vcode *v, uint64_t va)
{
    uint64_t n = va >> PAGE_BITS;
    unsigned h = executed_hash(va);
    struct itlb_entry *it = &v->itlb[(n ^ (n >> ITLB_BITS)) & ITLB_MASK];

    if ((v->stale && v->stale_all) || !(v->executed[h >> 6] & (1ull << (h & 63)))) {
        return false;
    }
    if (it->tag == (PAGE_OF(va) | 1)) {
        it->tag = 0;
    }
    for (unsigned w = 0; w < JUMP_ENTRIES / 64; w++) {
        for (uint64_t bits = v->filled[w]; bits; bits &= bits - 1) {
            unsigned i = w * 64 + (unsigned)__builtin_ctzll(bits);

            if (PAGE_OF(v->jump[i].pc) == PAGE_OF(va)) {
                jump_empty(v, i);
            }
        }
    }
    return true;
}

static void map_drop_page(struct vctx *ctx, uint64_t va)
{
    for (unsigned w = 0; ctx->made && w < CODE_MAP_ENTRIES / 64; w++) {
        for (uint64_t bits = ctx->mapped[w]; bits; bits &= bits - 1) {
            unsigned i = w * 64 + (unsigned)__builtin_ctzll(bits);

            if (PAGE_OF(ctx->t.code_map[i]) == PAGE_OF(va)) {
                ctx->t.code_map[i] = 0xfff;
            }
        }
    }
}

/* Drops what the space knows of the page; `code`: some table of instruction fetches may know it. */
static void space_drop_page(struct vspace *sp, uint64_t va, bool code)
{
    unsigned i = tlb_index(va);

    for (unsigned r = 0; r < TCG_REGIMES; r++) {
        code |= code_drop_page(sp->code[r], va);
    }
    for (unsigned r = 0; r < TCG_REGIMES; r++) {
        struct vctx *ctx = sp->ctx[r];

        if (ctx->made && (ctx->t.entry[i].read == PAGE_OF(va) || ctx->t.entry[i].write == PAGE_OF(va))) {
            entry_drop(ctx, i);
        }
        if (code) {
            map_drop_page(ctx, va);
        }
    }
}

static void flush_page(struct accel_cpu *ac, uint32_t asid, uint64_t va)
{
    unsigned a = large_hash(va >> 21), b = large_hash(va >> 30) & 511;
    struct l2_entry *set = ac->tab->l2[l2_set(va)];
    bool code = false;

    ac->st.page_flushes++;
    if ((ac->tab->large2m[a >> 6] >> (a & 63) & 1) || (ac->tab->large1g[b >> 6] >> (b & 63) & 1)) {
        /* Pieces of a large page may lie anywhere in it, under any space if it is global. */
        tlb_flush_all(ac);
        return;
    }
    for (unsigned i = 0; i < L2_WAYS; i++) {
        if (PAGE_OF(set[i].tag) == PAGE_OF(va)) {
            set[i].tag = 0;
        }
    }
    (void)asid;
    for (unsigned r = 0; r < TCG_REGIMES; r++) {
        code |= code_drop_page(&ac->tab->shared[r], va);
    }
    for (unsigned i = 0; i < TCG_SPACES; i++) {
        if (ac->spaces[i].used) {
            space_drop_page(&ac->spaces[i], va, code);
        }
    }
}

void tcg_tlb_flush(struct cpu *c, enum tlb_flush scope, uint32_t asid, uint64_t va)
{
    struct accel_cpu *ac = c->accel;

    if (ac->mmu_note) {
        native_call(ac, ac->mmu_note, &(struct mmu_note){ .ac = ac, .va = va, .scope = scope, .asid = asid });
    }
    switch (scope) {
    case TLB_FLUSH_ALL:
        tlb_flush_all(ac);
        return;
    case TLB_FLUSH_NONGLOBAL:
    case TLB_FLUSH_ASID:
        ac->st.flushes++;
        for (unsigned i = 0; i < TCG_SPACES; i++) {
            if (ac->spaces[i].used && (scope == TLB_FLUSH_NONGLOBAL || ac->spaces[i].asid == asid)) {
                space_flush(ac, &ac->spaces[i], false);
            }
        }
        refresh(ac);
        return;
    case TLB_FLUSH_PAGE:
        flush_page(ac, asid, va);
        return;
    }
}

/* The vCPU's hot write entries of a RAM page become invalid. Own thread, or the vCPU is outside. */
void tlb_drop_writes(struct accel_cpu *ac, const struct ram_block *b, uint64_t index)
{
    uint64_t host = b ? (uint64_t)(uintptr_t)b->host + (index << PAGE_BITS) : 0;

    for (unsigned s = 0; s < TCG_SPACES; s++) {
        for (unsigned r = 0; ac->spaces[s].used && r < TCG_REGIMES; r++) {
            struct vctx *ctx = ac->spaces[s].ctx[r];

            for (unsigned w = 0; ctx->made && w < TLB_ENTRIES / 64; w++) {
                for (uint64_t bits = ctx->filled[w]; bits; bits &= bits - 1) {
                    unsigned i = w * 64 + (unsigned)__builtin_ctzll(bits);

                    if (!b || ctx->t.entry[i].info == host) {
                        atomic_store_explicit(&ctx->t.entry[i].write, tlb_invalid_tag(i), memory_order_relaxed);
                    }
                }
            }
        }
    }
}

static void code_drop_region(struct vcode *v, const struct code_region *r, uint32_t slot)
{
    if (!v->made) {
        return;
    }
    if (slot != JUMP_MANY) {
        if (__atomic_load_n(&v->jump[slot - 1].code, __ATOMIC_RELAXED) == r->rx) {
            jump_empty(v, slot - 1);
        }
        return;
    }
    for (unsigned w = 0; w < JUMP_ENTRIES / 64; w++) {
        for (uint64_t bits = __atomic_load_n(&v->filled[w], __ATOMIC_RELAXED); bits; bits &= bits - 1) {
            unsigned i = w * 64 + (unsigned)__builtin_ctzll(bits);

            if (__atomic_load_n(&v->jump[i].code, __ATOMIC_RELAXED) == r->rx) {
                jump_empty(v, i);
            }
        }
    }
}

/* A region died: jump tables lead there no more. Any thread. */
void jump_drop(struct accel_cpu *ac, const struct code_region *r)
{
    uint32_t slot = atomic_load(&r->jump_slot);

    if (!slot) {
        return;
    }
    for (unsigned g = 0; g < TCG_REGIMES; g++) {
        for (unsigned s = 0; s < TCG_SPACES; s++) {
            code_drop_region(&ac->tab->code[s][g], r, slot);
        }
        code_drop_region(&ac->tab->shared[g], r, slot);
    }
}
