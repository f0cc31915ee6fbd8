/*
 * Runs a sequence through the translator: x86_translate() and then the interpreter or the back end, with a runtime of our own in place of
 * accel/tcg: guest addresses are host addresses, rights are a table, nothing is kept from one sequence to the next.
 */
#include <signal.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "core/accel.h"
#include "core/machine.h"
#include "core/x86_entry.h"
#include "cpu/x86/cpu.h"
#include "cpu/x86/state.h"
#include "cpu/x86/translate.h"
#include "disas/disas.h"
#include "tcg/backend.h"
#include "tcg/codebuf.h"
#include "tests/diff/x86diff_util.h"

#define GPR_ONLY __attribute__((target("general-regs-only"), no_stack_protector))

enum { PF_PRESENT = 1, PF_WRITE = 2, PF_USER = 4, PF_FETCH = 16, VEC_PF = 14, VEC_GP = 13, VEC_DB = 1, MAX_REGIONS = 3000,
       CODEBUF_SIZE = 64 << 20, REGION_ROOM = 64 << 10, N_LIVE = 64 };

struct live { struct tcg_code code; struct ir_exit *exits; };

/* One process, one vCPU: the callbacks get the state only. */
static struct {
    struct machine machine;
    struct x86_cpu *x;
    struct x86_state fresh[3];           /* 16-bit, 32-bit, 64-bit */
    struct arena arena;
    bool verbose, running, have_backend;
    uint64_t rng;
    const struct xd_seq *q;
    struct tcg_codebuf cb;
    struct tcg_tlb *tlb;
    struct tcg_jump *miss;
    struct live live[N_LIVE];            /* regions of this run */
    unsigned n_live, n_regions;
    uint64_t bounce_size;
} emu;

static const uint8_t *page_bytes(uint64_t at)
{
    return at >= XD_CODE && at < XD_CODE + XD_CODE_SIZE ? (const uint8_t *)(uintptr_t)(at & ~(uint64_t)(XD_PAGE - 1)) : NULL;
}

/* ---- rights ---- */

static inline GPR_ONLY bool byte_ok(uint64_t a, bool write)
{
    if (a >= XD_RW && a < XD_RW + XD_RW_SIZE) {
        return true;
    }
    return !write && ((a >= XD_RO && a < XD_RW) || (a >= XD_CODE && a < XD_CODE + XD_CODE_SIZE));
}

static inline GPR_ONLY bool is_mapped(uint64_t a) { return byte_ok(a, false); }

/* 0, or the vector to raise; *bad is the first byte that may not be touched. */
static GPR_ONLY unsigned check(uint64_t at, unsigned size, bool write, uint64_t *bad)
{
    for (unsigned k = 0; k < size; k++) {
        uint64_t a = at + k;
        if ((int64_t)(a << 16) >> 16 != (int64_t)a) {
            return VEC_GP;
        }
        if (!byte_ok(a, write)) {
            *bad = a;
            return VEC_PF;
        }
    }
    return 0;
}

static GPR_ONLY void set_exception(struct x86_state *s, unsigned vector, uint32_t code, uint64_t cr2)
{
    s->exc.pending = true;
    s->exc.has_code = true;
    s->exc.soft = s->exc.icebp = false;
    s->exc.vector = (uint8_t)vector;
    s->exc.code = code;
    s->exc.cr2 = cr2;
}

/* ---- unwinding ---- */

static GPR_ONLY bool loc_value(const struct x86_state *s, const struct tcg_loc *l, uint64_t *v)
{
    switch (l->kind) {
    case LOC_SLOT: *v = *(const uint64_t *)((const char *)s + x86_cpu_ops.tcg->slots[l->v].offset); break;
    case LOC_S: *v = s->tcg.save_s; break;
    case LOC_T: *v = s->tcg.save_t; break;
    case LOC_I: *v = s->tcg.save_i; break;
    case LOC_STACK: *v = *(const uint64_t *)(uintptr_t)(s->tcg.host_rsp + (uint64_t)(int64_t)l->v); break;
    case LOC_CONST: *v = (uint64_t)(int64_t)l->v; return true;
    case LOC_ENV_CARRY: *v = cc_eflags(s->env.cc_op & 31, s->env.cc_op >> 5, s->env.cc_a, s->env.cc_b, s->env.cc_c) & 1; return true;
    default: return false;
    }
    if (l->high8) {
        *v = *v >> 8 & 0xff;
    } else if (l->w < IR_64) {
        *v &= (1ull << ir_bits(l->w)) - 1;
    }
    return true;
}

static GPR_ONLY const struct tcg_map_row *find_row(uint64_t host, bool is_trap)
{
    for (unsigned k = 0; k < emu.n_live; k++) {
        const struct tcg_code *c = &emu.live[k].code;
        uint64_t off = host - (uint64_t)(uintptr_t)c->rx;
        for (unsigned r = 0; off < c->size && r < c->n_map; r++) {
            if (c->map[r].host_off == off && (c->map[r].trap != 0xff) == is_trap) {
                return &c->map[r];
            }
        }
    }
    return NULL;
}

static GPR_ONLY void restore(struct x86_state *s, const struct tcg_map_row *row)
{
    struct tcg_env *env = &s->env;
    uint64_t v[3] = { env->cc_a, env->cc_b, env->cc_c };

    if (!row) {
        __builtin_trap();                /* generated code without a map row */
    }
    env->pc = env->pcbase + (uint64_t)(int64_t)row->pc_off;
    if (row->cc != TCG_CC_KEPT) {
        for (unsigned k = 0; k < 3; k++) {
            loc_value(s, &row->loc[k], &v[k]);
        }
        env->cc_op = row->cc;
        env->cc_a = v[0];
        env->cc_b = v[1];
        env->cc_c = v[2];
    }
}

static GPR_ONLY void sync_state(struct x86_state *s)
{
    if (s->tcg.call_ra) {
        restore(s, find_row(s->tcg.call_ra, false));
    }
    s->tcg.call_ra = 0;
}

static GPR_ONLY __attribute__((noreturn)) void leave(struct x86_state *s)
{
    s->tcg.bounce_pending = 0;
    tcg_interp_unwind(&s->tcg, TCG_EXIT_RAISED);
    tcg_unwind(s, TCG_EXIT_RAISED);
}

static GPR_ONLY __attribute__((noreturn)) void fault(struct x86_state *s, unsigned vector, bool write, uint64_t bad)
{
    sync_state(s);
    set_exception(s, vector, vector == VEC_PF ? PF_USER | (write ? PF_WRITE : 0) | (is_mapped(bad) ? PF_PRESENT : 0) : 0, bad);
    leave(s);
}

static GPR_ONLY __attribute__((noreturn)) void trap(struct x86_state *s, enum tcg_trap t, uint64_t addr)
{
    sync_state(s);
    x86_cpu_ops.front->trap(&emu.x->cpu, t, addr);
    leave(s);
}

/* ---- what helpers ask of the engine ---- */

static GPR_ONLY bool answer(unsigned vector, bool write, uint64_t bad, struct mmu_fault *f)
{
    f->vector = vector;
    f->code = vector == VEC_PF ? PF_USER | (write ? PF_WRITE : 0) | (is_mapped(bad) ? PF_PRESENT : 0) : 0;
    f->addr = bad;
    return !vector;
}

static GPR_ONLY uint64_t ram_get(uint64_t va, unsigned size)
{
    switch (size) {
    case 1: return *(uint8_t *)(uintptr_t)va;
    case 2: return *(uint16_t *)(uintptr_t)va;
    case 4: return *(uint32_t *)(uintptr_t)va;
    default: return *(uint64_t *)(uintptr_t)va;
    }
}

static GPR_ONLY void ram_put(uint64_t va, unsigned size, uint64_t v)
{
    switch (size) {
    case 1: *(uint8_t *)(uintptr_t)va = (uint8_t)v; break;
    case 2: *(uint16_t *)(uintptr_t)va = (uint16_t)v; break;
    case 4: *(uint32_t *)(uintptr_t)va = (uint32_t)v; break;
    default: *(uint64_t *)(uintptr_t)va = v; break;
    }
}

static GPR_ONLY bool acc_ld(struct cpu *c, uint64_t va, unsigned size, unsigned regime, uint64_t *v, struct mmu_fault *f)
{
    uint64_t bad = 0;
    unsigned vec = check(va, size, false, &bad);

    (void)c, (void)regime;
    if (vec) {
        return answer(vec, false, bad, f);
    }
    *v = ram_get(va, size);
    return true;
}

static GPR_ONLY bool acc_st(struct cpu *c, uint64_t va, unsigned size, unsigned regime, uint64_t v, struct mmu_fault *f)
{
    uint64_t bad = 0;
    unsigned vec = check(va, size, true, &bad);

    (void)c, (void)regime;
    if (vec) {
        return answer(vec, true, bad, f);
    }
    ram_put(va, size, v);
    return true;
}

static GPR_ONLY void *acc_probe(struct cpu *c, uint64_t va, unsigned len, enum mem_access access, unsigned regime, struct mmu_fault *f)
{
    uint64_t bad = 0;
    unsigned vec = check(va, len, access == MEM_WRITE, &bad);

    (void)c, (void)regime;
    if (vec) {
        answer(vec, access == MEM_WRITE, bad, f);
        return NULL;
    }
    f->vector = MMU_NO_FAULT;
    return (va & (XD_PAGE - 1)) + len <= XD_PAGE ? (void *)(uintptr_t)va : NULL;
}

static GPR_ONLY __attribute__((noreturn)) void acc_unwind(struct cpu *c)
{
    struct x86_state *s = &x86_of(c)->s;

    sync_state(s);
    leave(s);
}

static GPR_ONLY void acc_sync(struct cpu *c) { sync_state(&x86_of(c)->s); }
static void acc_nothing(struct cpu *c) { (void)c; }
static void acc_flush(struct cpu *c, enum tlb_flush scope, uint32_t asid, uint64_t va) { (void)c, (void)scope, (void)asid, (void)va; }

static const struct accel_ops accel = {
    .name = "x86diff", .ld = acc_ld, .st = acc_st, .probe = acc_probe, .unwind = acc_unwind, .run_exclusive = acc_unwind, .sync = acc_sync,
    .kick = acc_nothing, .mode_changed = acc_nothing, .tlb_flush = acc_flush,
};

/* ---- interpreter's memory ---- */

static void access_or_fault(struct x86_state *s, uint64_t at, uint32_t desc)
{
    unsigned size = 1u << (desc & TCG_D_SIZE);
    uint64_t bad = 0;
    unsigned vec;

    vec = check(at, size, desc & TCG_D_WRITE, &bad);
    if (vec == VEC_GP) {
        fault(s, vec, false, 0);
    }
    if ((desc & TCG_D_ALIGN) && (at & (size - 1))) {
        trap(s, TCG_TRAP_ALIGN, at);
    }
    if (vec) {
        fault(s, vec, desc & TCG_D_WRITE, bad);
    }
}

static uint64_t int_ld(void *state, uint64_t at, uint32_t desc)
{
    access_or_fault(state, at, desc);
    return (desc & TCG_D_PROBE) && !(desc & TCG_D_READ) ? 0 : ram_get(at, 1u << (desc & TCG_D_SIZE));
}

static void int_st(void *state, uint64_t at, uint32_t desc, uint64_t v)
{
    access_or_fault(state, at, desc);
    ram_put(at, 1u << (desc & TCG_D_SIZE), v);
}

static void int_ld_bytes(void *state, uint64_t at, uint32_t desc, void *buf)
{
    access_or_fault(state, at, desc);
    memcpy(buf, (void *)(uintptr_t)at, 1u << (desc & TCG_D_SIZE));
}

static void int_st_bytes(void *state, uint64_t at, uint32_t desc, const void *buf)
{
    access_or_fault(state, at, desc);
    memcpy((void *)(uintptr_t)at, buf, 1u << (desc & TCG_D_SIZE));
}

static uint64_t int_rmw(void *state, uint64_t at, uint32_t desc, uint64_t (*fn)(uint64_t old, void *opaque), void *opaque)
{
    unsigned size = 1u << (desc & TCG_D_SIZE);
    uint64_t old;

    access_or_fault(state, at, desc);
    old = ram_get(at, size);
    ram_put(at, size, fn(old, opaque));
    return old;
}

static GPR_ONLY void rt_changed(void *state) { (void)state; }
static void rt_lock(void *state, bool on) { (void)state, (void)on; }
static void int_trap(void *state, enum tcg_trap t, uint64_t addr) { trap(state, t, addr); }

static const struct tcg_interp_mem int_mem = {
    .ld = int_ld, .st = int_st, .ld_bytes = int_ld_bytes, .st_bytes = int_st_bytes, .rmw = int_rmw, .changed = rt_changed, .lock = rt_lock,
    .outside = rt_lock, .trap = int_trap,
};

/* ---- the back end's runtime ---- */

static GPR_ONLY struct tcg_slow_result rt_slow(void *state, uint64_t at, uint32_t desc)
{
    struct x86_state *s = state;
    unsigned size = 1u << (desc & TCG_D_SIZE);
    uint64_t bad = 0, page = at & ~(uint64_t)(XD_PAGE - 1);
    unsigned vec = check(at, size, desc & TCG_D_WRITE, &bad);
    struct tlb_entry *e = &emu.tlb->entry[at >> 12 & (TLB_ENTRIES - 1)];

    if (vec == VEC_GP) {
        fault(s, vec, false, 0);
    }
    if ((desc & TCG_D_ALIGN) && (at & (size - 1))) {
        trap(s, TCG_TRAP_ALIGN, at);
    }
    if (vec) {
        fault(s, vec, desc & TCG_D_WRITE, bad);
    }
    emu.rng = emu.rng * 6364136223846793005ull + 1442695040888963407ull;
    if ((emu.rng >> 33 & 7) == 0 || at - page + size > XD_PAGE) {
        return (struct tcg_slow_result){ 0, 1 };
    }
    if (emu.rng >> 40 & 1) {
        e->addend = 0;
        e->read = page;
        e->write = byte_ok(page, true) ? page : tlb_invalid_tag(at >> 12 & (TLB_ENTRIES - 1));
    }
    return (struct tcg_slow_result){ 0, 0 };
}

/* By way of the bounce buffer, as devices and page-crossing accesses go. */
static uint64_t rt_slow_full(void *state, uint64_t at, uint32_t desc)
{
    struct x86_state *s = state;

    emu.bounce_size = 1u << (desc & TCG_D_SIZE);
    s->tcg.bounce_addr = at;
    memcpy(s->tcg.bounce, (void *)(uintptr_t)at, emu.bounce_size);
    s->tcg.bounce_pending = (desc & TCG_D_WRITE) && !(desc & TCG_D_PROBE);
    return (uint64_t)(uintptr_t)s->tcg.bounce - at;
}

static void rt_bounce_flush(void *state)
{
    struct x86_state *s = state;

    s->tcg.bounce_pending = 0;
    memcpy((void *)(uintptr_t)s->tcg.bounce_addr, s->tcg.bounce, emu.bounce_size);
}

static GPR_ONLY void *rt_link(void *state, uint64_t ra) { (void)state, (void)ra; return NULL; }

static uint8_t *region_at(struct x86_state *s);

/* An exit that is not patched: the target is found or made, and generated code goes on there; now and then the loop is gone through. */
static void *rt_link_full(void *state, uint64_t ra)
{
    struct x86_state *s = state;

    for (unsigned k = emu.n_live; k-- > 0;) {
        const struct live *l = &emu.live[k];
        for (unsigned i = 0; i < l->code.n_exits; i++) {
            const struct ir_exit *e = &l->exits[l->code.exits[i].target];
            uint64_t pc = s->env.pcbase + (uint64_t)(int64_t)e->off;
            uint8_t *to;
            if ((uint64_t)(uintptr_t)l->code.rx + l->code.exits[i].link_ra != ra) {
                continue;
            }
            s->env.pc = e->wrap32 ? (uint32_t)pc : pc;
            s->tcg.exit_reason = TCG_EXIT_LOOKUP;
            to = xd_random(&emu.rng) & 3 ? region_at(s) : NULL;
            return to;
        }
    }
    abort();
}

static GPR_ONLY void *rt_lookup(void *state, uint64_t pc)
{
    struct x86_state *s = state;

    s->env.pc = pc;
    s->tcg.exit_reason = TCG_EXIT_LOOKUP;
    return NULL;
}

static const struct tcg_runtime runtime = {
    .slow = rt_slow, .slow_full = rt_slow_full, .bounce_flush = rt_bounce_flush, .link = rt_link, .link_full = rt_link_full, .lookup = rt_lookup,
    .changed = rt_changed, .lock = rt_lock, .outside = rt_lock,
};

static GPR_ONLY void host_trap(void *state, uint64_t host_pc)
{
    struct x86_state *s = state;
    const struct tcg_map_row *row = find_row(host_pc, true);

    restore(s, row);
    s->tcg.call_ra = 0;
    x86_cpu_ops.front->trap(&emu.x->cpu, row->trap, 0);
    leave(s);
}

#ifdef __x86_64__
static bool fpe_hook(void *uc)
{
    uint64_t pc = (uint64_t)((ucontext_t *)uc)->uc_mcontext.gregs[REG_RIP];

    if (!emu.running || !codebuf_holds(&emu.cb, pc)) {
        return false;
    }
    tcg_host_trap_redirect(uc, host_trap);
    return true;
}
#endif

/* ---- translation ---- */

static void print_line(void *opaque, const char *text)
{
    (void)opaque;
    printf("    %s\n", text);
}

/* The region at env.pc as IR; false: its first instruction needs bytes that cannot be fetched. */
static bool translate(struct x86_state *s, struct ir *ir, bool unfolded)
{
    struct tcg_source src = { .cpu = &emu.x->cpu, .max_insns = xd_random(&emu.rng) & 3 ? 32 : 1 + (unsigned)(xd_random(&emu.rng) & 3) };
    uint64_t pc = s->env.pc;

    x86_cpu_ops.front->key(s, &src.key);
    src.pcbase = pc & ~(uint64_t)(XD_PAGE - 1);
    src.bytes = page_bytes(pc);
    src.offset = (unsigned)(pc & (XD_PAGE - 1));
    for (unsigned again = 0; again < 2; again++) {
        const char *wrong;
        uint32_t at = 0;
        ir_begin(ir, &emu.arena, x86_cpu_ops.tcg);
        ir->no_fold = unfolded;
        x86_cpu_ops.front->translate(ir, &src);
        if (src.need_next) {
            src.next = page_bytes(pc + XD_PAGE);
            src.need_next = false;
            if (!src.next) {
                return false;
            }
            continue;
        }
        ir_optimise(ir, 0);
        wrong = ir_verify(ir, &at);
        if (wrong || emu.verbose) {
            printf("  IR at %" PRIx64 "%s%s\n", pc, wrong ? ": broken rule: " : "", wrong ? wrong : "");
            ir_dump(ir, print_line, NULL);
        }
        if (wrong) {
            return false;
        }
        s->env.pcbase = src.pcbase;
        return true;
    }
    return false;
}

static uint8_t *region_at(struct x86_state *s)
{
    struct live *l = &emu.live[emu.n_live];
    struct ir ir;

    if (emu.n_live == N_LIVE || !page_bytes(s->env.pc) || s->env.pc == XD_STOP || !translate(s, &ir, false)) {
        return NULL;
    }
    if (codebuf_reserve(&emu.cb, REGION_ROOM) == SIZE_MAX) {
        codebuf_next_generation(&emu.cb);
    }
    if (!tcg_backend_x86_64.compile(&emu.cb, &ir, &emu.arena, &l->code)) {
        printf("not ok x86diff: not compiled: seed %" PRIu64 ", region at %" PRIx64 "\n", emu.q->seed, s->env.pc);
        exit(1);
    }
    l->exits = arena_alloc(&emu.arena, sizeof(ir.exits));
    memcpy(l->exits, ir.exits, sizeof(ir.exits));
    emu.n_live++;
    if (emu.verbose) {
        GString *g = g_string_new(NULL);
        disas_print(g, DISAS_X86_64, (uint64_t)(uintptr_t)l->code.rx, l->code.rx, l->code.size, 0);
        printf("  host code:\n%s", g->str);
        g_string_free(g, TRUE);
    }
    return l->code.rx;
}

/* ---- a run ---- */

static void load_state(struct x86_state *s, const struct xd_seq *q)
{
    const struct xd_state *in = &q->init;

    *s = emu.fresh[q->mode >> 5];
    memcpy(s->gpr, in->gpr, sizeof(s->gpr));
    x86_set_eflags(s, in->eflags, ~0ull);
    s->env.pc = in->rip;
    s->mxcsr = in->mxcsr;
    memcpy(s->fx, in->fx, sizeof(in->fx));
    for (unsigned i = 0; i < 16; i++) {
        memcpy(s->vec[i], in->ymm[i], 32);
    }
    s->seg[X86_FS].base = s->seg_base_fs = in->fs_base;
    s->seg[X86_GS].base = s->seg_base_gs = in->gs_base;
    s->tcg.vec_low = in->low;
    s->env.ctx = emu.tlb;
    s->env.jt = emu.miss;
}

static void store_state(const struct x86_state *s, struct xd_state *out)
{
    memcpy(out->gpr, s->gpr, sizeof(s->gpr));
    out->rip = s->env.pc;
    out->eflags = (uint32_t)x86_eflags(s);
    out->mxcsr = s->mxcsr;
    memcpy(out->fx, s->fx, sizeof(out->fx));
    for (unsigned i = 0; i < 16; i++) {
        memcpy(out->ymm[i], s->vec[i], 32);
    }
    out->fs_base = s->seg_base_fs;
    out->gs_base = s->seg_base_gs;
}

/* As the host's kernel shows it: traps behind the instruction, software interrupts through gates that user code may not use as #GP. */
static int exception_seen(struct x86_state *s)
{
    int v = s->exc.vector;

    if (s->exc.soft && v != 3 && v != 4) {
        return VEC_GP;
    }
    if (s->exc.soft || s->exc.icebp) {
        s->env.pc += s->exc.soft_len;
    }
    return v;
}

static int steps(enum xd_engine e, struct x86_state *s)
{
    for (unsigned n = 0; n < MAX_REGIONS; n++) {
        struct tcg_key key;
        struct ir ir;
        if (s->exc.pending) {
            return exception_seen(s);
        }
        x86_cpu_ops.front->key(s, &key);
        if (key.mode & X86_MODE_EVENT) {
            return VEC_DB;
        }
        if (!page_bytes(s->env.pc)) {
            uint64_t pc = s->env.pc;
            bool odd = (int64_t)(pc << 16) >> 16 != (int64_t)pc;
            set_exception(s, odd ? VEC_GP : VEC_PF, PF_USER | PF_FETCH | (is_mapped(pc) ? PF_PRESENT : 0), pc);
            continue;
        }
        if (e == XD_INTERP) {
            if (!translate(s, &ir, xd_random(&emu.rng) & 1)) {
                return XD_LOST;
            }
            tcg_interp(s, &ir, &int_mem);
            continue;
        }
        uint8_t *code = region_at(s);
        if (!code) {
            emu.n_live = 0;
            code = region_at(s);
        }
        if (!code && s->env.pc != XD_STOP) {
            return XD_LOST;
        }
        if (!code) {                     /* the int3 at the end of all */
            s->env.pc++;
            return 3;
        }
        emu.running = true;
        tcg_backend_x86_64.enter(s, code);
        emu.running = false;
    }
    return XD_TIMEOUT;
}

static void tlb_clear(void)
{
    for (unsigned i = 0; i < TLB_ENTRIES; i++) {
        emu.tlb->entry[i].read = emu.tlb->entry[i].write = tlb_invalid_tag(i);
    }
}

void xd_emu_run(enum xd_engine e, const struct xd_seq *q, struct xd_result *r)
{
    struct x86_state *s = &emu.x->s;

    arena_reset(&emu.arena);
    emu.q = q;
    emu.rng = q->seed * 2 + e;
    emu.n_live = 0;
    if (e == XD_BACKEND) {
        /* the pages that a run can have filled */
        for (uint64_t at = XD_DATA; at < XD_NONE; at += XD_PAGE) {
            unsigned i = at >> 12 & (TLB_ENTRIES - 1);
            emu.tlb->entry[i].read = emu.tlb->entry[i].write = tlb_invalid_tag(i);
        }
        for (unsigned k = 0; k < 2; k++) {
            unsigned i = ((XD_CODE >> 12) + k) & (TLB_ENTRIES - 1);
            emu.tlb->entry[i].read = emu.tlb->entry[i].write = tlb_invalid_tag(i);
        }
    }
    load_state(s, q);
    r->vector = steps(e, s);
    r->code = s->exc.code;
    r->cr2 = s->exc.cr2;
    store_state(s, &r->s);
    if (q->mode == X86_CODE16) {
        r->s.gpr[X86_RSP] &= 0xffff;
    }
}

void xd_emu_verbose(bool on) { emu.verbose = on; }
bool xd_emu_has_backend(void) { return emu.have_backend; }

/* ---- setting up ---- */

static void prepare(unsigned k)
{
    struct x86_entry e = {
        .mode = X86_ENTRY_LONG64, .cr0 = 0x80050033, .cr4 = 0x507a8, .efer = 0xd01, .rflags = 2,
        .cs = { 0, k == 2 ? 0xa0fb : 0xc0fb, 0xffffffff, 0 }, .data = { 0x2b, 0xc0f3, 0xffffffff, 0 },
        .tr = { 0x40, 0x8b, 0x67, 0 },
    };
    enum x86_code_mode mode = 16 << k;
    if (mode == X86_CODE16) {
        e.cs = (struct x86_entry_seg){ 0, 0xfb, 0xffff, XD_CODE };
        e.data = (struct x86_entry_seg){ xd_native_selector(X86_DS, mode), 0xf3, 0xffff, XD_DATA };
    }
    e.cs.selector = xd_native_selector(X86_CS, mode);
    struct x86_state *s = &emu.x->s;

    memset(s, 0, sizeof(*s));
    s->xcr0 = xd_native_has_avx() ? 7 : 3;
    x86_cpu_apply_entry(&emu.x->cpu, &e);
    for (unsigned i = 0; i < 6; i++) {
        s->seg[i].selector = xd_native_selector(i, mode);
    }
    s->a20 = true;
    s->monitor_addr = ~0ull;
    emu.fresh[k] = *s;
}

bool xd_emu_init(const char **why)
{
    GError *err = NULL;
    void *p;

    arena_init(&emu.arena);
    emu.machine.accel = &accel;
    emu.machine.spec.cpus = emu.machine.spec.max_cpus = emu.machine.spec.sockets = emu.machine.spec.dies = emu.machine.spec.cores =
        emu.machine.spec.threads = 1;
    if (posix_memalign(&p, 64, sizeof(struct x86_cpu))) {
        *why = "no memory";
        return false;
    }
    emu.x = memset(p, 0, sizeof(struct x86_cpu));
    emu.x->cpu.ops = &x86_cpu_ops;
    emu.x->cpu.machine = &emu.machine;
    emu.x->cpu.engine = &accel;
    emu.x->cpu.model = __builtin_cpu_is("amd") ? "max,vendor=AuthenticAMD" : "max";      /* where they differ, as the host does */
    if (!x86_cpu_ops.init(&emu.x->cpu, &err)) {
        *why = err->message;
        return false;
    }
    emu.tlb = memset(aligned_alloc(64, (sizeof(struct tcg_tlb) + 63) & ~63ull), 0, sizeof(struct tcg_tlb));
    emu.miss = aligned_alloc(64, JUMP_ENTRIES * sizeof(struct tcg_jump));
    for (unsigned i = 0; i < JUMP_ENTRIES; i++) {
        emu.miss[i] = (struct tcg_jump){ .pc = jump_invalid_pc(i) };
    }
    for (unsigned i = 0; i < CODE_MAP_ENTRIES; i++) {
        emu.tlb->code_map[i] = 0xfff;
    }
    emu.tlb->h.jump = emu.miss;
    emu.tlb->h.mask = (TLB_ENTRIES - 1) * sizeof(struct tlb_entry);
    tlb_clear();
#ifdef CONFIG_TCG_NATIVE
    if (!codebuf_init(&emu.cb, CODEBUF_SIZE, &err) || !tcg_backend_x86_64.init(&emu.cb, x86_cpu_ops.tcg, &runtime, &err)) {
        *why = err->message;
        return false;
    }
    xd_fpe_hook = fpe_hook;
    emu.have_backend = true;
#endif
    for (unsigned k = 0; k < 3; k++) {
        prepare(k);
    }
    return true;
}
