/*
 * MMX: the host's own instruction on the host's x87 registers, which hold the guest's state. A pending x87 error is the host's
 * trap. Spec: Intel SDM vol. 1 chapter 9.
 */
#include "cpu/x86/translate_vec.h"

bool x86_tr_mmx(struct x86_tr *t, const struct x86_insn *i)
{
    tr_native(t, i->row->arg == X86_MMX_RW ? TR_READ_WRITE : TR_WRITE);
    return true;
}

bool x86_tr_mmx_store(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    tr_native(t, TR_WRITE);
    return true;
}

bool x86_tr_mmx_from_gpr(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    tr_native(t, TR_READ_WRITE);
    return true;
}

bool x86_tr_mmx_to_gpr(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    tr_native(t, TR_WRITE);
    return true;
}

/* A pending x87 error comes first, and the x87 state becomes MMX's: `movd r32,mm` does both and writes no mm register. */
bool x86_tr_mmx_maskmov(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir_native n = {
        .kind = IR_NATIVE_MMX, .map = 1, .opcode = 0x7e, .reg_kind = IR_NR_MMX, .reg = i->op[0].reg, .rm_kind = IR_NR_INT_OUT,
        .fault_fp = true,
    };
    ir_native(t->ir, &n, (struct ir_addr){0}, 0);
    return tr_maskmov(t, true);
}

bool x86_tr_emms(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir_native n = {.kind = IR_NATIVE_MMX, .map = 1, .opcode = i->opcode, .fault_fp = true};
    ir_native(t->ir, &n, (struct ir_addr){0}, 0);
    return true;
}
