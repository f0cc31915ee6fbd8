/*
 * String instructions. Each is one call of a helper that does as many iterations as one stay allows; while iterations are
 * left the instruction leaves to itself, so that interrupts come in between. Spec: Intel SDM vol. 2, REP.
 */
#include "cpu/x86/translate_priv.h"

#include <string.h>

#include "cpu/x86/insn_handlers.h"

static ir_ref str_form(struct x86_tr *t, const struct x86_insn *i, unsigned size)
{
    struct x86_str_form f = {
        .size = x86_width(size), .addrsize = i->addrsize, .seg = i->seg == X86_SEG_NONE ? X86_DS : i->seg,
        .rep = i->prefixes & X86_PFX_REPNE ? 2 : i->prefixes & X86_PFX_REP ? 1 : 0,
        .based = !t->code64, .code64 = t->code64,
    };
    uint64_t word = 0;
    memcpy(&word, &f, sizeof(f));
    return ir_const(t->ir, (int64_t)word);
}

static bool string(struct x86_tr *t, const struct x86_insn *i, const struct ir_helper *h, unsigned size)
{
    tr_flags(t);
    ir_ref more = tr_call(t, h, str_form(t, i, size), 0, 0, 0);
    if (x86_insn_rep(i)) {
        tr_step(t, TR_STEP_ON, 0);
        ir_exit_ifz(t->ir, IR_32, more, true, tr_target(t, t->off));
        if (t->mode & X86_MODE_TF) {
            ir_exit_loop(t->ir, TCG_EXIT_EVENT, tr_target(t, t->next_off));
            return false;
        }
    }
    return true;
}

/* Index register after one element: up or down by EFLAGS.DF. */
static ir_ref step(struct x86_tr *t, unsigned size)
{
    struct ir *ir = t->ir;
    ir_ref fl = ir_ldenv(ir, IR_32, X86_ENV(eflags));
    ir_ref down = ir_op2i(ir, IR_and, IR_32, ir_op2i(ir, IR_shr, IR_32, fl, 10), 1);
    ir_ref twice = ir_op2i(ir, IR_shl, IR_64, down, x86_width(size) + 1);
    return ir_op2(ir, IR_sub, IR_64, ir_const(ir, size), twice);
}

/* Single elements in flat 64-bit code are worth emitting in line. */
static bool plain(const struct x86_tr *t, const struct x86_insn *i)
{
    return t->code64 && i->addrsize == 8 && !x86_insn_rep(i) && (i->seg == X86_SEG_NONE || i->seg < X86_FS);
}

bool x86_tr_movs(struct x86_tr *t, const struct x86_insn *i)
{
    unsigned size = i->op[0].size;
    if (!plain(t, i)) {
        return string(t, i, &x86_helper_rep_movs, size);
    }
    ir_ref si = tr_reg(t, X86_RSI), di = tr_reg(t, X86_RDI);
    ir_ref v = ir_ld(t->ir, (struct ir_addr){.base = si}, tr_mem(t, size));
    ir_st(t->ir, (struct ir_addr){.base = di}, tr_mem(t, size), v);
    ir_ref d = step(t, size);
    ir_put(t->ir, X86_RSI, ir_op2(t->ir, IR_add, IR_64, si, d));
    ir_put(t->ir, X86_RDI, ir_op2(t->ir, IR_add, IR_64, di, d));
    return true;
}

bool x86_tr_stos(struct x86_tr *t, const struct x86_insn *i)
{
    unsigned size = i->op[0].size;
    if (!plain(t, i)) {
        return string(t, i, &x86_helper_rep_stos, size);
    }
    ir_ref di = tr_reg(t, X86_RDI);
    ir_st(t->ir, (struct ir_addr){.base = di}, tr_mem(t, size), tr_reg(t, X86_RAX));
    ir_put(t->ir, X86_RDI, ir_op2(t->ir, IR_add, IR_64, di, step(t, size)));
    return true;
}

bool x86_tr_lods(struct x86_tr *t, const struct x86_insn *i)
{
    unsigned size = i->op[0].size;
    if (!plain(t, i)) {
        return string(t, i, &x86_helper_rep_lods, size);
    }
    ir_ref si = tr_reg(t, X86_RSI);
    ir_ref v = ir_ld(t->ir, (struct ir_addr){.base = si}, tr_mem(t, size));
    ir_put(t->ir, X86_RSI, ir_op2(t->ir, IR_add, IR_64, si, step(t, size)));
    tr_write_reg(t, X86_RAX, size, v);
    return true;
}

bool x86_tr_cmps(struct x86_tr *t, const struct x86_insn *i)
{
    return string(t, i, &x86_helper_rep_cmps, i->op[0].size);
}

bool x86_tr_scas(struct x86_tr *t, const struct x86_insn *i)
{
    return string(t, i, &x86_helper_rep_scas, i->op[1].size);
}

bool x86_tr_ins(struct x86_tr *t, const struct x86_insn *i)
{
    return string(t, i, &x86_helper_str_ins, i->op[0].size) && tr_io_done(t);
}

bool x86_tr_outs(struct x86_tr *t, const struct x86_insn *i)
{
    return string(t, i, &x86_helper_str_outs, i->op[1].size) && tr_io_done(t);
}
