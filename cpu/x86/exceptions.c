/*
 * Delivery of exceptions and interrupts through the IDT (or the real-mode vector table), in every mode; double and triple faults.
 * Spec: Intel SDM vol. 3 chapter 6 (6.12 delivery, 6.13 error codes, 6.14 64-bit mode, table 6-5 double faults), 20.3 (virtual-8086).
 *
 * Runs between regions on the vCPU's thread: env.pc and flags are right, and a fault met on the way comes back as a value.
 */
#include <inttypes.h>

#include "base/log.h"
#include "core/dma.h"
#include "cpu/x86/sys_priv.h"

enum source { FROM_HARDWARE, FROM_FAULT, FROM_SOFT };

struct event {
    unsigned vector;
    enum source source;
    bool has_code;
    uint32_t code;
    uint64_t cr2;
    uint64_t pc;              /* linear address to come back to */
    bool rf;                  /* the image of EFLAGS gets RF: faults */
};

static unsigned event_ext(const struct event *e) { return e->source == FROM_SOFT ? 0 : 1; }

/* An IDT entry, with its long-mode upper half. */
struct idt_gate {
    unsigned selector, type, dpl, ist;
    bool present;
    uint64_t offset;
};

static bool idt_read(struct x86_state *s, const struct event *e, struct idt_gate *g, struct mmu_fault *f)
{
    unsigned size = x86_lma(s) ? 16 : 8, code = e->vector * 8 + 2 + event_ext(e);
    uint64_t v[2] = { 0, 0 };

    if (e->vector * size + size - 1 > s->idt.limit) {
        return fault_gp(f, code);
    }
    if (!mem_ld_n(s, s->idt.base + e->vector * size, 8, size / 8, X86_REGIME_IMPLICIT, v, f)) {
        return false;
    }
    g->selector = v[0] >> 16 & 0xffff;
    g->type = v[0] >> 40 & 0x1f;
    g->dpl = v[0] >> 45 & 3;
    g->present = v[0] >> 47 & 1;
    g->ist = v[0] >> 32 & 7;
    g->offset = (v[0] & 0xffff) | (v[0] >> 48) << 16 | v[1] << 32;
    if (x86_lma(s) ? g->type != SYS_INT32 && g->type != SYS_TRAP32
                   : g->type != SYS_TASK && g->type != SYS_INT16 && g->type != SYS_TRAP16 && g->type != SYS_INT32 && g->type != SYS_TRAP32) {
        return fault_gp(f, code);
    }
    if (e->source == FROM_SOFT && g->dpl < x86_cpl(s)) {
        return fault_gp(f, code);
    }
    return g->present || fault_set(f, X86_NP, code);
}

/* The handler's code segment; *cpl is the level it runs at. */
static bool handler_seg(struct x86_state *s, const struct event *e, const struct idt_gate *g, struct x86_desc *d, unsigned *cpl,
                        struct mmu_fault *f)
{
    unsigned sel = g->selector & 0xfffc, ext = event_ext(e), attr, now = x86_cpl(s);

    if (!sel) {
        return fault_gp(f, ext);
    }
    if (!x86_desc_get(s, g->selector, d, X86_GP, ext, f)) {
        return false;
    }
    attr = desc_attr(d);
    if ((attr & (SEG_S | SEG_CODE)) != (SEG_S | SEG_CODE) || seg_dpl(attr) > now ||
        (x86_lma(s) && (attr & (SEG_L | SEG_DB)) != SEG_L)) {
        return fault_gp(f, sel | ext);
    }
    if (!(attr & SEG_P)) {
        return fault_set(f, X86_NP, sel | ext);
    }
    *cpl = attr & SEG_EC ? now : seg_dpl(attr);
    if ((s->eflags & FL_VM) && *cpl) {
        return fault_gp(f, sel | ext);
    }
    return true;
}

static uint64_t flags_image(const struct x86_state *s, const struct event *e)
{
    return (x86_eflags(s) & ~(uint64_t)FL_RF) | (e->rf ? FL_RF : 0);
}

static uint64_t return_ip(const struct x86_state *s, const struct event *e)
{
    return x86_code64(s) ? e->pc : (uint32_t)(e->pc - s->seg[X86_CS].base);
}

static void enter_handler(struct x86_state *s, const struct idt_gate *g, unsigned cpl, const struct x86_desc *code)
{
    bool trap = g->type == SYS_TRAP16 || g->type == SYS_TRAP32;

    s->eflags &= ~(FL_TF | FL_NT | FL_RF | FL_VM | (trap ? 0 : FL_IF));
    x86_set_seg_desc(s, X86_CS, (g->selector & 0xfffc) | cpl, code);
    if (x86_lma(s)) {
        s->seg[X86_CS].base = s->seg_base[X86_CS] = 0;
    }
    x86_update_hflags(s);
    s->env.pc = x86_linear_pc(s, g->offset);
}

/* Long mode: always a 64-bit frame with SS:RSP, on RSPn, ISTn or the current stack, aligned to 16. */
static bool deliver_long(struct x86_state *s, const struct event *e, const struct idt_gate *g, struct mmu_fault *f)
{
    unsigned cpl, now = x86_cpl(s), n = e->has_code ? 6 : 5;
    uint64_t sp, v[6], *p = v;
    struct x86_desc code;

    if (!handler_seg(s, e, g, &code, &cpl, f)) {
        return false;
    }
    if (g->ist || cpl < now) {
        if (!x86_tss_rsp(s, g->ist ? g->ist + 3u : cpl, &sp, f)) {
            f->code |= f->vector == X86_PF ? 0 : event_ext(e);
            return false;
        }
    } else {
        sp = s->gpr[X86_RSP];
    }
    if (!x86_canonical(s, g->offset)) {
        return fault_gp(f, event_ext(e));
    }
    sp = (sp & ~15ull) - n * 8;
    if (!x86_canonical(s, sp)) {
        return fault_set(f, X86_SS_FAULT, event_ext(e));
    }
    if (e->has_code) {
        *p++ = e->code;
    }
    *p++ = return_ip(s, e);
    *p++ = s->seg[X86_CS].selector;
    *p++ = flags_image(s, e);
    *p++ = s->gpr[X86_RSP];
    *p++ = s->seg[X86_SS].selector;
    if (!mem_st_n(s, sp, 8, n, x86_regime_at(s, cpl), v, f) || !x86_desc_set_accessed(s, &code, f)) {
        return false;
    }
    if (cpl < now) {
        x86_set_seg_null(s, X86_SS, cpl);
    }
    s->gpr[X86_RSP] = sp;
    enter_handler(s, g, cpl, &code);
    return true;
}

/* 16- and 32-bit gates outside long mode. */
static bool deliver_protected(struct x86_state *s, const struct event *e, const struct idt_gate *g, struct mmu_fault *f)
{
    unsigned cpl, now = x86_cpl(s), ext = event_ext(e), size = g->type >= SYS_INT32 ? 4 : 2;
    uint64_t offset = size == 4 ? g->offset & 0xffffffff : g->offset & 0xffff;
    static const uint8_t vm_segs[] = { X86_GS, X86_FS, X86_DS, X86_ES };
    bool vm = s->eflags & FL_VM, inner;
    struct x86_desc code, ssd;
    struct x86_stack st;
    uint32_t ss = 0, esp;
    struct idt_gate gate = *g;

    if (!handler_seg(s, e, g, &code, &cpl, f)) {
        return false;
    }
    inner = cpl < now;
    if (inner) {
        if (!x86_tss_stack(s, cpl, ext, &ss, &esp, f) || !x86_check_stack_seg(s, ss, cpl, X86_TS, ext, &ssd, f)) {
            return false;
        }
        x86_stack_desc(s, &st, &ssd, esp, cpl, (ss & 0xfffc) | ext);
    } else {
        x86_stack_current(s, &st);
        st.code = ext;
    }
    if (offset > desc_limit(&code)) {
        return fault_gp(f, ext);
    }
    if (vm) {
        for (unsigned i = 0; i < 4; i++) {
            if (!x86_push(s, &st, size, s->seg[vm_segs[i]].selector, f)) {
                return false;
            }
        }
    }
    if (inner && (!x86_push(s, &st, size, s->seg[X86_SS].selector, f) || !x86_push(s, &st, size, s->gpr[X86_RSP], f))) {
        return false;
    }
    if (!x86_push(s, &st, size, flags_image(s, e), f) || !x86_push(s, &st, size, s->seg[X86_CS].selector, f) ||
        !x86_push(s, &st, size, return_ip(s, e), f) || (e->has_code && !x86_push(s, &st, size, e->code, f)) ||
        !x86_desc_set_accessed(s, &code, f)) {
        return false;
    }
    if (inner) {
        if (!x86_desc_set_accessed(s, &ssd, f)) {
            return false;
        }
        x86_set_seg_desc(s, X86_SS, ss, &ssd);
    }
    if (vm) {
        for (unsigned i = 0; i < 4; i++) {
            x86_set_seg_null(s, vm_segs[i], 0);
        }
    }
    x86_stack_commit(s, &st);
    gate.offset = offset;
    enter_handler(s, &gate, cpl, &code);
    return true;
}

static bool deliver_task(struct x86_state *s, const struct event *e, const struct idt_gate *g, struct mmu_fault *f)
{
    unsigned sel = g->selector & 0xfffc, ext = event_ext(e), type;
    struct x86_desc d;
    bool switched = false;

    if ((g->selector & 4) || !sel) {
        return fault_gp(f, sel | ext);
    }
    if (!x86_desc_get(s, sel, &d, X86_GP, ext, f)) {
        return false;
    }
    type = desc_attr(&d) & (SEG_S | SEG_TYPE);
    if (type != SYS_TSS16 && type != SYS_TSS32) {
        return fault_gp(f, sel | ext);
    }
    if (!(desc_attr(&d) & SEG_P)) {
        return fault_set(f, X86_NP, sel | ext);
    }
    if (e->rf) {
        s->eflags |= FL_RF;
    }
    return x86_task_switch(s, sel, &d, TASK_CALL, (uint32_t)return_ip(s, e), e->has_code, e->code, f, &switched);
}

static bool deliver_real(struct x86_state *s, const struct event *e, struct mmu_fault *f)
{
    struct x86_stack st;
    uint64_t v;

    if (e->vector * 4 + 3 > s->idt.limit) {
        return fault_gp(f, 0);
    }
    if (!mem_ld(s, (uint32_t)(s->idt.base + e->vector * 4), 4, X86_REGIME_IMPLICIT, &v, f)) {
        return false;
    }
    x86_stack_current(s, &st);
    if (!x86_push(s, &st, 2, x86_eflags(s), f) || !x86_push(s, &st, 2, s->seg[X86_CS].selector, f) ||
        !x86_push(s, &st, 2, return_ip(s, e), f)) {
        return false;
    }
    x86_stack_commit(s, &st);
    s->eflags &= ~(FL_IF | FL_TF | FL_AC | FL_RF);
    x86_set_seg_real(s, X86_CS, v >> 16 & 0xffff);
    x86_update_hflags(s);
    s->env.pc = (uint32_t)(s->seg[X86_CS].base + (v & 0xffff));
    return true;
}

static bool deliver_once(struct x86_state *s, const struct event *e, struct mmu_fault *f)
{
    struct idt_gate g;

    if (e->vector == X86_PF && e->source == FROM_FAULT) {
        s->cr2 = e->cr2;
    }
    if (!(s->cr0 & CR0_PE)) {
        return deliver_real(s, e, f);
    }
    if (!idt_read(s, e, &g, f)) {
        return false;
    }
    if (x86_lma(s)) {
        return deliver_long(s, e, &g, f);
    }
    return g.type == SYS_TASK ? deliver_task(s, e, &g, f) : deliver_protected(s, e, &g, f);
}

static bool contributory(unsigned vector)
{
    return vector == X86_DE || (vector >= X86_TS && vector <= X86_GP);
}

void x86_triple_fault(struct x86_state *s)
{
    struct cpu *c = cpu_of(s);

    log_printf(LOG_INT | LOG_CPU_RESET, "vCPU %u: triple fault at %016" PRIx64 "\n", c->index, s->env.pc);
    s->shutdown = true;
    atomic_store(&c->halted, true);
    machine_request_reset(c->machine, SHUTDOWN_TRIPLE_FAULT);
}

static void log_event(struct x86_state *s, const struct event *e)
{
    static const char *const names[] = { "interrupt", "exception", "software interrupt" };

    log_printf(LOG_INT, "vCPU %u: %s %02x code %04x pc %04x:%016" PRIx64 " cpl %u sp %016" PRIx64 " cr2 %016" PRIx64 " rax %016" PRIx64 "\n",
               cpu_of(s)->index, names[e->source], e->vector, e->has_code ? e->code : 0, s->seg[X86_CS].selector, e->pc, x86_cpl(s),
               s->gpr[X86_RSP], e->vector == X86_PF ? e->cr2 : s->cr2, s->gpr[X86_RAX]);
}

/* Delivers, going over faults met on the way to #DF and on to shutdown (SDM table 6-5). */
static void deliver(struct x86_state *s, struct event e)
{
    struct mmu_fault f;

    s->shadow = s->shadow_ss = false;
    for (;;) {
        if (log_on(LOG_INT)) {
            log_event(s, &e);
        }
        s->in_delivery = true;
        s->delivering = e.vector;
        if (deliver_once(s, &e, &f)) {
            break;
        }
        bool first_bad = e.source == FROM_FAULT && (contributory(e.vector) || e.vector == X86_PF);

        if (e.source == FROM_FAULT && e.vector == X86_DF && (contributory(f.vector) || f.vector == X86_PF)) {
            x86_triple_fault(s);
            break;
        }
        if (f.vector == X86_PF) {
            s->cr2 = f.addr;
        }
        if (first_bad && (contributory(f.vector) || (f.vector == X86_PF && e.vector == X86_PF))) {
            f.vector = X86_DF;
            f.code = 0;
        }
        e = (struct event){ .vector = f.vector, .source = FROM_FAULT, .has_code = x86_vector_has_code(f.vector), .code = f.code,
                            .cr2 = f.addr, .pc = s->env.pc, .rf = true };
    }
    s->in_delivery = false;
    accel_of(s)->mode_changed(cpu_of(s));
}

/* Decodes the instruction at env.pc again; false if it cannot be read any more. */
static bool refetch(struct x86_state *s, struct x86_insn *i)
{
    struct cpu *c = cpu_of(s);
    uint8_t bytes[X86_INSN_MAX];
    unsigned n = 0;

    for (uint64_t pa; n < sizeof(bytes) && c->ops->debug_translate(c, s->env.pc + n, &pa); n++) {
        dma_read(c->memory, pa, &bytes[n], 1);
    }
    return x86_decode(i, bytes, n, X86_CODE64) > 0;
}

/*
 * What the page walk cannot know of an access in 64-bit mode, because it sees neither segment nor size (SDM vol. 1, 3.3.7.1): a
 * non-canonical address is #SS(0), not #GP(0), if it goes through SS; an access that begins below the hole and ends in it
 * is one of these, not a page fault.
 */
static void refine_canonical(struct x86_state *s)
{
    struct x86_exception *x = &s->exc;
    bool hole = x->vector == X86_GP && !x86_canonical(s, x->cr2);
    bool edge = x->vector == X86_PF && (x->cr2 + 64) >> 6 == (s->cr4 & CR4_LA57 ? 1ull << 50 : 1ull << 41);
    struct x86_insn i;

    if (x->soft || !x86_code64(s) || !(hole || edge) || !refetch(s, &i)) {
        return;
    }
    unsigned size = x86_insn_has_mem(&i) && i.mem.size ? i.mem.size : i.opsize;
    if (edge && x86_canonical(s, x->cr2 + size - 1)) {
        return;
    }
    bool stack = x86_insn_has_mem(&i) ? i.mem.seg == X86_SS : false;
    stack |= x->cr2 - (s->gpr[X86_RSP] - 8) <= 16 && i.mem.base != X86_RSP;      /* push, pop, call, ret */
    x->vector = stack ? X86_SS_FAULT : X86_GP;
    x->has_code = true;
    x->code = 0;
}

/* A #DB lets its handler at the debug registers and ends stepping by branches (SDM vol. 3, 17.2.4, 17.4.3). */
static void debug_entered(struct x86_state *s)
{
    s->dr[7] &= ~(uint64_t)DR7_GD;
    s->debugctl &= ~(uint64_t)DEBUGCTL_BTF;
    x86_update_hflags(s);
}

void x86_deliver_pending(struct x86_state *s)
{
    refine_canonical(s);
    const struct x86_exception *x = &s->exc;
    struct event e = { .vector = x->vector, .has_code = x->has_code, .code = x->code, .cr2 = x->cr2, .pc = s->env.pc };

    e.source = x->soft ? FROM_SOFT : x->external ? FROM_HARDWARE : FROM_FAULT;
    e.rf = !x->soft && !x->icebp && !x->external;
    if (x->soft || x->icebp) {
        uint64_t next = s->env.pc + x->soft_len;
        e.pc = x86_code64(s) ? next : (uint32_t)next;
    }
    s->exc.pending = false;
    s->dr6_pending = 0;      /* the faulting instruction did not complete; INT n traps by its handler's flags */
    if (e.vector == X86_DB) {
        debug_entered(s);
    }
    deliver(s, e);
}

void x86_deliver_irq(struct x86_state *s, unsigned vector)
{
    deliver(s, (struct event){ .vector = vector, .source = FROM_HARDWARE, .pc = s->env.pc });
}

void x86_deliver_nmi(struct x86_state *s)
{
    s->nmi_masked = true;
    deliver(s, (struct event){ .vector = X86_NMI, .source = FROM_HARDWARE, .pc = s->env.pc });
}

/* The debug traps that wait behind the last instruction. */
void x86_deliver_db(struct x86_state *s)
{
    s->dr[6] |= s->dr6_pending;
    s->dr6_pending = 0;
    debug_entered(s);
    deliver(s, (struct event){ .vector = X86_DB, .source = FROM_FAULT, .pc = s->env.pc });
}
