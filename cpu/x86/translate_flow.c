/*
 * Control flow and the stack: jumps, calls, returns, loops, push and pop, enter and leave, interrupts by instruction.
 * Spec: Intel SDM vol. 1 chapter 6, vol. 2.
 */
#include "cpu/x86/translate_priv.h"

#include "cpu/x86/insn_handlers.h"

/* ---- near jumps ---- */

/* Target of a relative branch as an offset in CS; salted modes, where it is a constant. */
static uint32_t rel_ip(const struct x86_tr *t, const struct x86_insn *i)
{
    uint32_t to = (uint32_t)(t->eip + i->len + (uint64_t)i->imm);
    return i->opsize == 2 ? (uint16_t)to : to;
}

/* The exit offset of a relative branch when the target page position is static; false: `*linear` has the target instead. */
static bool rel_target(struct x86_tr *t, const struct x86_insn *i, int64_t *off, ir_ref *linear)
{
    if (t->code64) {
        *off = (int64_t)t->next_off + i->imm;
        if (*off == (int32_t)*off) {
            return true;
        }
        *linear = ir_pcrel(t->ir, *off);
        return false;
    }
    if (t->src->key.salted) {
        uint32_t to = rel_ip(t, i);
        *off = (int64_t)t->off + ((int64_t)to - (int64_t)(uint32_t)t->eip);
        if (*off == (int32_t)*off) {
            return true;
        }
        *linear = tr_cs_linear(t, ir_const(t->ir, to));
        return false;
    }
    *off = (int64_t)t->next_off + i->imm;
    if (i->opsize == 4 && *off == (int32_t)*off) {
        return true;
    }
    *linear = ir_zext(t->ir, i->opsize == 2 ? IR_16 : IR_32, ir_pcrel(t->ir, *off));
    return false;
}

static bool jump_rel(struct x86_tr *t, const struct x86_insn *i)
{
    int64_t off;
    ir_ref linear;
    return rel_target(t, i, &off, &linear) ? tr_goto(t, off) : tr_goto_linear(t, linear, IR_IND_JUMP);
}

/* A value from a register, memory or the stack as a new linear PC. */
static ir_ref ip_linear(struct x86_tr *t, unsigned size, ir_ref ip)
{
    if (t->code64) {
        return ip;
    }
    return tr_cs_linear(t, ir_zext(t->ir, x86_width(size), ip));
}

/* jmp and call fault themselves when their target lies beyond CS's limit; a taken jcc does at its target only. */
static void check_rel(struct x86_tr *t, const struct x86_insn *i)
{
    tr_check_ip(t, ir_const(t->ir, rel_ip(t, i)));
}

bool x86_tr_jmp(struct x86_tr *t, const struct x86_insn *i)
{
    check_rel(t, i);
    return jump_rel(t, i);
}

bool x86_tr_jmp_ind(struct x86_tr *t, const struct x86_insn *i)
{
    return tr_goto_linear(t, ip_linear(t, i->op[0].size, tr_read(t, &i->op[0])), IR_IND_JUMP);
}

/* The fall-through of a conditional branch: stay in the region when the branch goes forward, else leave. */
static bool fall_through(struct x86_tr *t, int64_t taken)
{
    if (taken > (int64_t)t->off && !(t->mode & (X86_MODE_TF | X86_MODE_SHADOW))) {
        return true;
    }
    unsigned next = tr_target(t, t->next_off);
    t->ir->exits[next].flags_dead = tr_flags_dead_at(t, t->next_off);
    ir_exit_jump(t->ir, next);
    return false;
}

bool x86_tr_jcc(struct x86_tr *t, const struct x86_insn *i)
{
    int64_t off;
    ir_ref linear;
    ir_ref f = tr_flags(t);
    if (t->mode & X86_MODE_TF) {
        tr_step(t, TR_STEP_IF_NONZERO, ir_cond(t->ir, i->row->arg, f));
    }
    if (!rel_target(t, i, &off, &linear)) {
        /* too far for an exit's offset: leave for the next instruction if not taken */
        ir_exit_if(t->ir, i->row->arg ^ 1, f, tr_target(t, t->next_off));
        ir_exit_ind(t->ir, IR_IND_JUMP, linear);
        return false;
    }
    unsigned target = tr_target(t, off);
    t->ir->exits[target].flags_dead = tr_flags_dead_at(t, off);
    ir_exit_if(t->ir, i->row->arg, f, target);
    return fall_through(t, off);
}

/* rcx - 1 (by address size), for loop and jcxz. */
static ir_ref count_reg(struct x86_tr *t, const struct x86_insn *i)
{
    ir_ref c = tr_reg(t, X86_RCX);
    return i->addrsize == 8 ? c : ir_zext(t->ir, x86_width(i->addrsize), c);
}

/* Leaves to the branch's target if v != 0 (or == 0), else to the next instruction. */
static bool branch_on(struct x86_tr *t, const struct x86_insn *i, ir_ref v, bool nonzero)
{
    int64_t off;
    ir_ref linear;
    tr_step(t, nonzero ? TR_STEP_IF_NONZERO : TR_STEP_IF_ZERO, v);
    if (rel_target(t, i, &off, &linear)) {
        ir_exit_ifz(t->ir, IR_64, v, nonzero, tr_target(t, off));
        return fall_through(t, off);
    }
    ir_exit_ifz(t->ir, IR_64, v, !nonzero, tr_target(t, t->next_off));
    ir_exit_ind(t->ir, IR_IND_JUMP, linear);
    return false;
}

bool x86_tr_loop(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    ir_ref c = ir_op2i(ir, IR_sub, i->addrsize == 8 ? IR_64 : IR_32, count_reg(t, i), 1);
    if (i->addrsize == 2) {
        c = ir_zext(ir, IR_16, c);
    }
    ir_ref go = c;
    if (i->row->arg != X86_LOOP_ALWAYS) {
        ir_ref f = ir_flags(ir, IR_CC_CMP, IR_64, c, ir_const(ir, 0), 0);
        ir_ref more = ir_cond(ir, IR_COND_NZ, f);
        go = ir_op2(ir, IR_and, IR_32, more, ir_cond(ir, i->row->arg == X86_LOOP_E ? IR_COND_Z : IR_COND_NZ, tr_flags(t)));
    }
    tr_write_reg(t, X86_RCX, i->addrsize, c);
    return branch_on(t, i, go, true);
}

bool x86_tr_jcxz(struct x86_tr *t, const struct x86_insn *i)
{
    return branch_on(t, i, count_reg(t, i), false);
}

/* ---- calls and returns ---- */

bool x86_tr_call(struct x86_tr *t, const struct x86_insn *i)
{
    check_rel(t, i);
    tr_push(t, i->opsize, tr_next_ip(t));
    return jump_rel(t, i);
}

bool x86_tr_call_ind(struct x86_tr *t, const struct x86_insn *i)
{
    ir_ref to = ip_linear(t, i->op[0].size, tr_read(t, &i->op[0]));
    tr_push(t, i->opsize, tr_next_ip(t));
    return tr_goto_linear(t, to, IR_IND_CALL);
}

bool x86_tr_ret(struct x86_tr *t, const struct x86_insn *i)
{
    ir_ref sp = tr_reg(t, X86_RSP);
    ir_ref ip = ir_ld(t->ir, tr_stack(t, sp, 0, i->opsize, false), tr_mem(t, i->opsize));
    int64_t drop = i->opsize + (i->nopnd ? (int64_t)(uint16_t)i->imm : 0);
    ir_ref to = ip_linear(t, i->opsize, ip);
    tr_put_sp(t, tr_sp_add(t, sp, drop));
    return tr_goto_linear(t, to, IR_IND_RET);
}

/* ---- far transfers ---- */

/* Selector and offset of a far pointer operand, immediate or in memory. */
static void far_operand(struct x86_tr *t, const struct x86_insn *i, const struct x86_opnd *o, ir_ref *sel, ir_ref *offset)
{
    struct ir *ir = t->ir;
    if (o->kind == X86_OPND_PTR) {
        *offset = ir_const(ir, i->imm);
        *sel = ir_const(ir, (uint16_t)i->imm2);
        return;
    }
    ir_ref at = tr_addr_value(t, tr_addr(t, &i->mem, i->opsize, false));
    *offset = ir_ld(ir, (struct ir_addr){.base = at}, tr_mem(t, i->opsize));
    *sel = ir_ld(ir, (struct ir_addr){.base = at, .disp = i->opsize}, tr_mem(t, 2));
}

static ir_ref next_eip(struct x86_tr *t)
{
    return tr_next_ip(t);
}

bool x86_tr_callf(struct x86_tr *t, const struct x86_insn *i)
{
    ir_ref sel, offset;
    far_operand(t, i, &i->op[0], &sel, &offset);
    return tr_goto_linear(t, tr_call(t, &x86_helper_lcall, sel, offset, ir_const(t->ir, i->opsize), next_eip(t)), IR_IND_JUMP);
}

bool x86_tr_jmpf(struct x86_tr *t, const struct x86_insn *i)
{
    ir_ref sel, offset;
    far_operand(t, i, &i->op[0], &sel, &offset);
    return tr_goto_linear(t, tr_call(t, &x86_helper_ljmp, sel, offset, ir_const(t->ir, i->opsize), next_eip(t)), IR_IND_JUMP);
}

bool x86_tr_retf(struct x86_tr *t, const struct x86_insn *i)
{
    ir_ref drop = ir_const(t->ir, i->nopnd ? (uint16_t)i->imm : 0);
    return tr_goto_linear(t, tr_call(t, &x86_helper_lret, ir_const(t->ir, i->opsize), drop, 0, 0), IR_IND_RET);
}

bool x86_tr_iret(struct x86_tr *t, const struct x86_insn *i)
{
    tr_flags(t);
    return tr_goto_linear(t, tr_call(t, &x86_helper_iret, ir_const(t->ir, i->opsize), next_eip(t), 0, 0), IR_IND_RET);
}

static bool soft_interrupt(struct x86_tr *t, const struct x86_insn *i, unsigned vector)
{
    tr_call(t, &x86_helper_raise_soft, ir_const(t->ir, vector), ir_const(t->ir, i->len), 0, 0);
    ir_exit_loop(t->ir, TCG_EXIT_RAISED, tr_target(t, t->off));
    return false;
}

bool x86_tr_int(struct x86_tr *t, const struct x86_insn *i)
{
    return soft_interrupt(t, i, (uint8_t)i->imm);
}

bool x86_tr_int3(struct x86_tr *t, const struct x86_insn *i)
{
    return soft_interrupt(t, i, 3);
}

bool x86_tr_into(struct x86_tr *t, const struct x86_insn *i)
{
    ir_ref f = tr_flags(t);
    if (t->mode & X86_MODE_TF) {                      /* either one or the other trap */
        tr_call(t, &x86_helper_into_step, ir_cond(t->ir, IR_COND_O, f), ir_const(t->ir, i->len), 0, 0);
        ir_exit_loop(t->ir, TCG_EXIT_EVENT, tr_target(t, t->next_off));
        return false;
    }
    ir_exit_if(t->ir, IR_COND_NO, f, tr_target(t, t->next_off));
    return soft_interrupt(t, i, 4);
}

bool x86_tr_int1(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    tr_call(t, &x86_helper_icebp, 0, 0, 0, 0);
    ir_exit_loop(t->ir, TCG_EXIT_RAISED, tr_target(t, t->off));
    return false;
}

/* ---- push and pop ---- */

bool x86_tr_push(struct x86_tr *t, const struct x86_insn *i)
{
    tr_push(t, i->opsize, tr_read(t, &i->op[0]));
    return true;
}

bool x86_tr_pop(struct x86_tr *t, const struct x86_insn *i)
{
    const struct x86_opnd *d = &i->op[0];
    ir_ref sp = tr_reg(t, X86_RSP);
    ir_ref v = ir_ld(t->ir, tr_stack(t, sp, 0, i->opsize, false), tr_mem(t, i->opsize));
    ir_ref next = tr_sp_add(t, sp, i->opsize);
    if (d->kind != X86_OPND_MEM) {
        tr_put_sp(t, next);
        tr_write(t, d, v);                        /* pop rsp: the popped value wins */
        return true;
    }
    /* an address that uses rsp sees it incremented (SDM, POP); AMD: if the address is of the stack's size */
    struct x86_mem m = i->mem;
    if (m.base == X86_RSP && (tr_sp_size(t) == i->addrsize || t->cpu->intel)) {
        m.disp += i->opsize;
    }
    ir_st(t->ir, tr_addr(t, &m, i->opsize, true), tr_mem(t, i->opsize), v);
    tr_put_sp(t, next);
    return true;
}

bool x86_tr_leave(struct x86_tr *t, const struct x86_insn *i)
{
    ir_ref bp = tr_reg(t, X86_RBP);
    ir_ref sp = tr_sp_size(t) == 8 ? bp : ir_zext(t->ir, x86_width(tr_sp_size(t)), bp);
    ir_ref v = ir_ld(t->ir, tr_stack(t, sp, 0, i->opsize, false), tr_mem(t, i->opsize));
    tr_put_sp(t, tr_sp_add(t, sp, i->opsize));
    tr_write_reg(t, X86_RBP, i->opsize, v);
    return true;
}

bool x86_tr_enter(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    ir_ref size = ir_const(ir, i->opsize), bytes = ir_const(ir, (uint16_t)i->imm), level = ir_const(ir, i->imm2 & 31);
    tr_call(t, &x86_helper_enter, size, bytes, level, 0);
    return true;
}

bool x86_tr_pusha(struct x86_tr *t, const struct x86_insn *i)
{
    unsigned size = i->opsize;
    ir_ref sp = tr_reg(t, X86_RSP);
    for (unsigned r = 0; r < 8; r++) {
        ir_st(t->ir, tr_stack(t, sp, -(int64_t)size * (r + 1), size, true), tr_mem(t, size), tr_reg(t, r));
    }
    tr_put_sp(t, tr_sp_add(t, sp, -8 * (int64_t)size));
    return true;
}

bool x86_tr_popa(struct x86_tr *t, const struct x86_insn *i)
{
    unsigned size = i->opsize;
    ir_ref sp = tr_reg(t, X86_RSP), v[8];
    for (unsigned k = 0; k < 8; k++) {
        v[7 - k] = ir_ld(t->ir, tr_stack(t, sp, (int64_t)size * k, size, false), tr_mem(t, size));
    }
    for (unsigned r = 0; r < 8; r++) {
        if (r != X86_RSP) {
            tr_write_reg(t, r, size, v[r]);
        }
    }
    tr_put_sp(t, tr_sp_add(t, sp, 8 * (int64_t)size));
    return true;
}

bool x86_tr_bound(struct x86_tr *t, const struct x86_insn *i)
{
    ir_ref at = tr_addr_value(t, tr_addr(t, &i->mem, i->opsize, false));
    tr_call(t, &x86_helper_bound, tr_read(t, &i->op[0]), at, ir_const(t->ir, i->opsize), 0);
    return true;
}
