/*
 * From an address to a region: lookup, translation, linking. Runs outside.
 *
 * The page's lines are announced as code before its bytes are read (accel_priv.h), for as far as a region could reach;
 * afterwards only what it really covers stays marked.
 */
#include <string.h>
#ifdef __x86_64__
#include <x86intrin.h>
#endif

#include "accel/tcg/accel_priv.h"
#include "base/log.h"

#define MAX_INSN_BYTES 16
#define COMPILE_ROOM 32768               /* more than any region: a generation with as much left is not full */

static uint64_t ticks(void)
{
#ifdef __x86_64__
    return __rdtsc();
#else
    return (uint64_t)g_get_monotonic_time() * 1000;
#endif
}

static void announce(struct tcg_accel *ta, struct code_page *cp, uint64_t lines)
{
    uint64_t old = atomic_load(&cp->lines);
    bool first = !ram_flags_code(cp->block, cp->index);

    if (!first && (old | lines) == old) {
        return;
    }
    atomic_store(&cp->lines, old | lines);
    if (first) {
        atomic_fetch_or(&cp->block->flags[cp->index], RAM_CODE);
    }
    atomic_thread_fence(memory_order_seq_cst);
    writers_drop(ta, cp->block, cp->index, first);
}

/* Marks what the page really holds after a translation (or none: r NULL). */
static void announced(struct code_page *cp, uint64_t before, const struct code_region *r, unsigned from, unsigned to)
{
    atomic_store(&cp->lines, r ? before | line_mask(from, to) : before);
    if (!cp->regions && !r) {
        atomic_fetch_and(&cp->block->flags[cp->index], (uint8_t)~RAM_CODE);
    }
}

/*
 * Host code for the IR; a new generation if this one is full. FIND_NO_ROOM: not without reclaiming. FIND_ONE: room is not what is missing (no
 * thunk fits any more, an operation the back end has not): its instructions are interpreted one by one.
 */
static enum find_result compile(struct tcg_accel *ta, struct ir *ir, struct arena *a, struct tcg_code *code)
{
    if (atomic_load(&ta->gens[ta->gen].n) >= (ta->backend ? ta->gen_size / 16 : 16384)) {
        return code_gen_next(ta) ? compile(ta, ir, a, code) : FIND_NO_ROOM;
    }
    if (!ta->backend || ta->backend->compile(&ta->cb, ir, a, code)) {
        return FIND_OK;
    }
    if (codebuf_reserve(&ta->cb, COMPILE_ROOM) != SIZE_MAX) {
        if (!ta->st.hopeless++) {
            g_warning("tcg: some guest code cannot be compiled and is interpreted (figures: hmp 'info jit')");
        }
        return FIND_ONE;
    }
    return code_gen_next(ta) ? compile(ta, ir, a, code) : FIND_NO_ROOM;
}

/* The region's record, its exits and its map: one piece of the generation's arena. */
static struct code_region *region_make(struct tcg_accel *ta, const struct ir *ir, const struct tcg_code *code, const struct ir *keep)
{
    size_t head = sizeof(struct code_region) + code->n_exits * sizeof(struct code_exit);
    uint8_t *map = arena_alloc(&ta->scratch, code->n_map * MAP_ROW_MAX);
    uint32_t map_bytes = ta->backend ? map_pack(code->map, code->n_map, map) : 0;
    struct code_region *r = arena_alloc(&ta->gens[ta->gen].arena, head + map_bytes);

    memset(r, 0, sizeof(*r));
    r->n_insns = (uint16_t)ir->n_insns;
    r->no_chain = ir->no_chain;
    r->ir = keep;
    if (!ta->backend) {
        return r;
    }
    r->rx = code->rx;
    r->size = code->size;
    r->map_bytes = map_bytes;
    r->map = memcpy((uint8_t *)r + head, map, map_bytes);
    r->n_exits = (uint16_t)code->n_exits;
    r->exits = (struct code_exit *)(r + 1);
    for (unsigned i = 0; i < code->n_exits; i++) {
        const struct ir_exit *e = &ir->exits[code->exits[i].target];

        r->exits[i] = (struct code_exit){ .c = code->exits[i], .off = e->off, .wrap32 = e->wrap32, .from = r };
    }
    ta->st.exits += code->n_exits;
    ta->st.code_bytes += code->size;
    ta->st.hot_bytes += code->hot_size;
    ta->st.host_insns += code->host_insns;
    return r;
}

/* The front end's and the passes' part. `next` may be NULL. */
static struct ir *make_ir(struct accel_cpu *ac, struct tcg_source *src, struct arena *a)
{
    struct ir *ir = arena_zalloc(a, sizeof(*ir));
    const char *broken;
    uint32_t at;

    ir_begin(ir, a, ac->ops->tcg);
    ir->off_mask = ac->ta->passes_off;
    ac->front->translate(ir, src);
    if (src->need_next) {
        return ir;
    }
    if (log_on(LOG_IN_ASM)) {
        trace_translation(ac, src, ir);
    }
    if (log_on(LOG_OP)) {
        trace_ir(LOG_OP, "op", ir);
    }
    ir_optimise(ir, ac->ta->passes_off);
    if (log_on(LOG_OP_OPT)) {
        trace_ir(LOG_OP_OPT, "op_opt", ir);
    }
    if (ac->ta->verify && (broken = ir_verify(ir, &at))) {
        trace_ir(~0u, "broken", ir);
        g_error("tcg: op %u of the region at 0x%" G_GINT64_MODIFIER "x: %s", at, src->pcbase + src->offset, broken);
    }
    return ir;
}

static enum find_result translate(struct accel_cpu *ac, struct itlb_entry it, uint64_t pc, uint32_t salt, struct code_region **out,
                                  struct mmu_fault *fault)
{
    struct tcg_accel *ta = ac->ta;
    struct tcg_source src = {
        .cpu = ac->c, .bytes = it.host, .offset = pc & (PAGE_SIZE - 1), .pcbase = pc & PAGE_MASK, .key = ac->key,
        .max_insns = ta->one_insn ? 1 : ta->max_insns,
    };
    bool keep = !ta->backend || ta->verify;
    struct code_page *cp = code_page_get(ta, it.block, (uint64_t)(it.host - it.block->host) >> PAGE_BITS), *cp2 = NULL;
    uint64_t before = atomic_load(&cp->lines), before2 = 0, t = ticks();
    unsigned reach = MIN(src.offset + src.max_insns * MAX_INSN_BYTES, PAGE_SIZE);
    struct tcg_code code = { 0 };
    struct code_region *r = NULL;
    struct itlb_entry *next = NULL;
    enum find_result res;
    struct ir *ir;

    announce(ta, cp, line_mask(src.offset, reach));
    arena_reset(&ta->scratch);
    ir = make_ir(ac, &src, keep ? &ta->gens[ta->gen].arena : &ta->scratch);
    if (src.need_next) {
        next = itlb_get(ac, src.pcbase + PAGE_SIZE, fault);
        if (!next) {
            announced(cp, before, NULL, 0, 0);
            return fault->vector == MMU_NO_FAULT ? FIND_ONE : FIND_FAULT;
        }
        cp2 = code_page_get(ta, next->block, (uint64_t)(next->host - next->block->host) >> PAGE_BITS);
        before2 = atomic_load(&cp2->lines);
        announce(ta, cp2, line_mask(0, MAX_INSN_BYTES));
        src.next = next->host;
        src.need_next = false;
        ir = make_ir(ac, &src, keep ? &ta->gens[ta->gen].arena : &ta->scratch);
    }
    ir->no_chain |= !ta->chain || ta->verify || log_on(LOG_NOCHAIN | LOG_EXEC | LOG_CPU);
    ir->second_page = src.crosses && cp2 && cp2->id != NO_CODE_ID ? cp2->id + 1 : 0;
    res = compile(ta, ir, &ta->scratch, &code);
    if (res != FIND_OK) {
        announced(cp, before, NULL, 0, 0);
        if (cp2) {
            announced(cp2, before2, NULL, 0, 0);
        }
        return res;
    }
    r = region_make(ta, ir, &code, keep ? ir : NULL);
    r->page = it.page;
    atomic_store(&r->mode, ac->key.mode);
    r->mode_bound = ir->mode_bound;
    r->salt = salt;
    r->offset = (uint16_t)src.offset;
    r->end = (uint16_t)(src.offset + MAX(ir->guest_bytes, 1));
    r->crosses = src.crosses && cp2;
    r->page2 = r->crosses ? cp2->page : 0;
    r->proves = r->crosses && ir->second_page;
    announced(cp, before, r, r->offset, MIN(r->end, PAGE_SIZE));
    if (cp2) {
        announced(cp2, before2, r->crosses ? r : NULL, 0, r->crosses ? r->end - PAGE_SIZE : 1);
    }
    code_add(ta, r, cp, r->crosses ? cp2 : NULL);
    if (r->crosses) {
        code_prove(ac, r, src.pcbase + PAGE_SIZE, next);
    }
    if (log_on(LOG_OUT_ASM) && ta->backend) {
        trace_host_code(&code);
    }
    ta->st.regions++;
    ta->st.crossing += r->crosses;
    ta->st.insns += ir->n_insns;
    ta->st.guest_bytes += ir->guest_bytes;
    ta->st.ticks += ticks() - t;
    *out = r;
    return FIND_OK;
}

enum find_result code_get(struct accel_cpu *ac, struct code_region **out, bool raise)
{
    struct tcg_accel *ta = ac->ta;
    uint64_t pc = ac->env->pc;
    struct mmu_fault fault;
    struct itlb_entry *it = itlb_get(ac, pc, &fault), entry;
    enum find_result res = FIND_OK;
    uint32_t salt;

    if (!it) {
        res = fault.vector == MMU_NO_FAULT ? FIND_ONE : FIND_FAULT;
    } else {
        entry = *it;
        if (ac->key.salted) {
            ac->front->key(ac->state, &ac->key);
        }
        salt = ac->key.salted ? ac->key.salt : 0;
        *out = code_find(ac, &entry, pc, salt);
        if (!*out) {
            g_mutex_lock(&ta->lock);
            *out = code_find(ac, &entry, pc, salt);
            *out = *out ? *out : code_adopt(ac, entry.page, pc & (PAGE_SIZE - 1), salt);
            if (!*out) {
                res = translate(ac, entry, pc, salt, out, &fault);
                ta->need_room |= res == FIND_NO_ROOM;
            }
            g_mutex_unlock(&ta->lock);
        }
    }
    if (res == FIND_FAULT && raise) {
        ac->ops->raise(ac->c, &fault);
    }
    return res;
}

void *tcg_link_full(void *state, uint64_t ra)
{
    struct accel_cpu *ac = accel_of_state(state);
    struct tcg_accel *ta = ac->ta;
    struct code_region *from = code_by_host(ta, ra), *to = NULL;
    struct code_exit *e = from ? code_exit_find(from, ra) : NULL;
    struct mmu_fault fault;
    uint64_t target;

    g_assert(e);
    target = ac->env->pcbase + (uint64_t)(int64_t)e->off;
    target = e->wrap32 ? (uint32_t)target : target;
    ac->env->pc = target;
    ac->scratch->exit_reason = TCG_EXIT_LOOKUP;
    if (atomic_load(&ac->env->kick)) {
        return NULL;
    }
    vcpu_out(ac);
    ac->st.links_full++;
    /* A fault is raised by the run loop, which finds it again with nothing of this region on the stack. */
    if (code_get(ac, &to, false) == FIND_OK) {
        g_mutex_lock(&ta->lock);
        if (region_chains(to) && !from->no_chain && !atomic_load(&to->dead) && !atomic_load(&from->dead) &&
            !atomic_load(&e->to) && atomic_load(&from->mode) == ac->key.mode && atomic_load(&to->mode) == ac->key.mode && to->rx) {
            code_link(ta, e, to);
            if (e->c.cross) {
                struct code_page *cp = code_page_find(ta, to->page);

                if (cp->id != NO_CODE_ID) {
                    struct itlb_entry *it = itlb_get(ac, target, &fault);

                    code_map_fill(ac, target, cp->id, it && it->global);
                }
            }
        }
        g_mutex_unlock(&ta->lock);
    }
    vcpu_in(ac);
    if (!to || atomic_load(&ac->env->kick)) {
        return NULL;
    }
    ac->env->pcbase = target & PAGE_MASK;
    return to->rx;
}

/* ---- one instruction, uncached ---- */

/* The page at linear `pc` for fetching: RAM in place, or what the device answers for the 16 bytes from `at` on. */
static const uint8_t *fetch_page(struct accel_cpu *ac, uint64_t pc, unsigned at, uint8_t *buf, struct mmu_fault *fault)
{
    struct itlb_entry *it = itlb_get(ac, pc, fault);
    struct l2_entry *l2;
    uint64_t v;

    if (it) {
        return it->host;
    }
    if (fault->vector != MMU_NO_FAULT) {
        return NULL;
    }
    l2 = mmu_get(ac, ac->space, pc, MEM_EXEC, ac->key.code_regime, fault);
    if (!l2) {
        return NULL;
    }
    for (unsigned i = at; i < MIN(at + MAX_INSN_BYTES, PAGE_SIZE); i++) {
        as_read(ac->c->memory, l2->pa + i, 1, &v);
        buf[i] = (uint8_t)v;
    }
    return buf;
}

struct ir *code_one(struct accel_cpu *ac)
{
    uint64_t pc = ac->env->pc;
    struct tcg_source src = {
        .cpu = ac->c, .offset = pc & (PAGE_SIZE - 1), .pcbase = pc & PAGE_MASK, .key = ac->key, .max_insns = 1,
    };
    struct mmu_fault fault = { .vector = MMU_NO_FAULT };
    struct ir *ir;

    arena_reset(&ac->arena);
    if (!ac->fetch) {
        ac->fetch = g_malloc0(2 * PAGE_SIZE);
    }
    src.bytes = fetch_page(ac, pc, src.offset, ac->fetch, &fault);
    if (src.bytes) {
        ir = make_ir(ac, &src, &ac->arena);
        if (!src.need_next) {
            ir->no_chain = true;
            return ir;
        }
        src.need_next = false;
        src.next = fetch_page(ac, src.pcbase + PAGE_SIZE, 0, ac->fetch + PAGE_SIZE, &fault);
        if (src.next) {
            ir = make_ir(ac, &src, &ac->arena);
            ir->no_chain = true;
            return ir;
        }
    }
    ac->ops->raise(ac->c, &fault);
    return NULL;
}
