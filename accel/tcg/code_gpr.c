/*
 * Finding regions: by key, by host address; what generated code asks at a jump-table miss and at an exit. General registers only.
 */
#include "accel/tcg/accel_priv.h"

struct code_page *code_page_find(const struct tcg_accel *ta, uint64_t page)
{
    struct code_page **leaf;

    if (page >> (PAGE_TOP_BITS + PAGE_LEAF_BITS)) {
        return NULL;
    }
    leaf = __atomic_load_n(&ta->pages[page >> PAGE_LEAF_BITS], __ATOMIC_ACQUIRE);
    return leaf ? __atomic_load_n(&leaf[page & ((1u << PAGE_LEAF_BITS) - 1)], __ATOMIC_ACQUIRE) : NULL;
}

struct code_region *code_by_host(const struct tcg_accel *ta, uint64_t host_pc)
{
    uint64_t off = host_pc - (uint64_t)(uintptr_t)ta->cb.rx;
    const struct code_gen *g;
    uint32_t i, n;

    if (off >= ta->cb.size) {
        return NULL;
    }
    g = &ta->gens[off / ta->gen_size];
    n = atomic_load_explicit(&g->n, memory_order_acquire);
    if ((off >> CHUNK_BITS) >= g->chunks_done) {
        i = n ? n - 1 : 0;
    } else {
        i = ta->chunk_first[off >> CHUNK_BITS];
    }
    while (i + 1 < n && (uint64_t)(uintptr_t)g->regions[i + 1]->rx <= host_pc) {
        i++;
    }
    if (i >= n || host_pc - (uint64_t)(uintptr_t)g->regions[i]->rx > g->regions[i]->size) {
        return NULL;
    }
    return g->regions[i];
}

void code_prove(struct accel_cpu *ac, const struct code_region *r, uint64_t next, const struct itlb_entry *it)
{
    if (r->proves) {
        code_map_fill(ac, next, code_page_find(ac->ta, r->page2)->id, it->global);
    }
}

struct code_region *code_find(struct accel_cpu *ac, const struct itlb_entry *it, uint64_t pc, uint32_t salt)
{
    struct tcg_accel *ta = ac->ta;
    unsigned off = pc & (PAGE_SIZE - 1);
    uint32_t mode = ac->key.mode;
    uint64_t page = it->page;
    struct code_region *r = atomic_load_explicit(&ta->hash[code_hash(ta, page, off, mode, salt)], memory_order_acquire);
    struct mmu_fault fault;

    ac->st.finds++;
    for (; r; r = atomic_load_explicit(&r->next, memory_order_acquire)) {
        if (r->page != page || r->offset != off || atomic_load_explicit(&r->mode, memory_order_relaxed) != mode || r->salt != salt ||
            atomic_load_explicit(&r->dead, memory_order_relaxed)) {
            continue;
        }
        if (!r->crosses) {
            return r;
        }
        it = itlb_get(ac, pc + PAGE_SIZE, &fault);
        if (!it) {
            return NULL;          /* the full path finds out what is wrong with the second page */
        }
        if (it->page == r->page2) {
            code_prove(ac, r, pc + PAGE_SIZE, it);
            return r;
        }
    }
    return NULL;
}

/* The region at linear `pc` if it can be had without translating; env.pcbase is set for it. */
static struct code_region *find_at(struct accel_cpu *ac, uint64_t pc, bool *global)
{
    struct mmu_fault fault;
    struct itlb_entry *it = itlb_get(ac, pc, &fault);
    struct code_region *r;

    if (!it) {
        return NULL;
    }
    *global = it->global;
    if (ac->key.salted) {
        ac->env->pc = pc;
        ac->front->key(ac->state, &ac->key);
    }
    r = code_find(ac, it, pc, ac->key.salted ? ac->key.salt : 0);
    if (r) {
        ac->env->pcbase = pc & PAGE_MASK;
    }
    return r;
}

void *tcg_lookup(void *state, uint64_t pc)
{
    struct accel_cpu *ac = accel_of_state(state);
    struct tcg_jump *j;
    struct code_region *r;
    bool global;

    ac->st.jump_misses++;
    if (atomic_load_explicit(&ac->env->kick, memory_order_relaxed) || !(r = find_at(ac, pc, &global))) {
        ac->env->pc = pc;
        ac->scratch->exit_reason = TCG_EXIT_LOOKUP;
        return NULL;
    }
    if (ac->own_jt && region_chains(r)) {
        unsigned i = jump_index(pc);
        uint32_t slot = 0;

        if (!atomic_compare_exchange_strong(&r->jump_slot, &slot, i + 1) && slot != i + 1) {
            atomic_store(&r->jump_slot, JUMP_MANY);
        }
        ac->code->filled[i >> 6] |= 1ull << (i & 63);
        j = &ac->code->jump[i];
        __atomic_store_n(&j->pc, jump_invalid_pc(i), __ATOMIC_RELAXED);
        __atomic_store_n(&j->code, r->rx, __ATOMIC_RELAXED);
        __atomic_store_n(&j->pc, pc, __ATOMIC_SEQ_CST);
        ac->st.jump_fills++;
        /* Who kills or adopts the region marks it and then looks at the tables: one of the two sees the other. */
        if (atomic_load(&r->dead) || atomic_load(&r->mode) != ac->key.mode) {
            __atomic_store_n(&j->pc, jump_invalid_pc(i), __ATOMIC_RELAXED);
        }
    }
    return r->rx;
}

struct code_exit *code_exit_find(const struct code_region *r, uint64_t ra)
{
    uint64_t off = ra - (uint64_t)(uintptr_t)r->rx;

    for (unsigned i = 0; i < r->n_exits; i++) {
        if (r->exits[i].c.link_ra == off) {
            return &r->exits[i];
        }
    }
    return NULL;
}

void code_map_fill(struct accel_cpu *ac, uint64_t linear, uint32_t id, bool global)
{
    unsigned slot = id % CODE_MAP_ENTRIES;
    uint64_t bit = 1ull << (slot & 63);

    ac->ctx->t.code_map[slot] = (linear & PAGE_MASK) | id / CODE_MAP_ENTRIES;
    ac->ctx->mapped[slot >> 6] |= bit;
    /* Pages that only a private struct vcode knows of are not found again by INVLPG after it was cleared. */
    if (global && ac->share_losses[ac->key.code_regime] < SHARE_LOSSES) {
        ac->ctx->mapped_global[slot >> 6] |= bit;
    } else {
        ac->ctx->mapped_global[slot >> 6] &= ~bit;
    }
}

/*
 * An exit that is not patched, or whose guard failed. The latter is the usual case after an address space switch: the target is
 * proved again, and the guard holds from then on.
 */
void *tcg_link(void *state, uint64_t ra)
{
    struct accel_cpu *ac = accel_of_state(state);
    struct code_region *from = code_by_host(ac->ta, ra), *to, *r;
    struct code_exit *e = from ? code_exit_find(from, ra) : NULL;
    struct code_page *cp;
    uint64_t target, pcbase = ac->env->pcbase;
    bool global;

    if (!e || atomic_load_explicit(&ac->env->kick, memory_order_relaxed)) {
        return NULL;
    }
    target = pcbase + (uint64_t)(int64_t)e->off;
    target = e->wrap32 ? (uint32_t)target : target;
    to = atomic_load_explicit(&e->to, memory_order_acquire);
    r = find_at(ac, target, &global);
    if (!r) {
        return NULL;
    }
    if (to == r) {
        ac->st.guard_misses++;
        if (e->c.cross && (cp = code_page_find(ac->ta, r->page)) && cp->id != NO_CODE_ID) {
            code_map_fill(ac, target, cp->id, global);
        }
        return r->rx;
    }
    /* Patching is the full path's work; what can never be patched goes on from here. */
    if (to || !region_chains(r) || from->no_chain || atomic_load(&from->dead)) {
        return r->rx;
    }
    ac->env->pcbase = pcbase;
    return NULL;
}
