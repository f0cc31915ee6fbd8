/*
 * AVX instructions that are not one host instruction: vzeroupper and vzeroall, and those that touch memory lane by lane under a mask.
 * Spec: Intel SDM vol. 2, VZEROUPPER, VZEROALL, VMASKMOV, VPMASKMOV, VGATHERxxx, VPGATHERxxx, 2.3.12 (VSIB).
 *
 * A masked access works on state.native_tmp: the registers are stored there, a helper that needs general registers only goes over the
 * lanes, and what it has loaded becomes the destination. Lanes that are off never reach memory, not even a page walk.
 */
#include "cpu/x86/fpu_helpers.h"
#include "cpu/x86/translate_vec.h"

/* vmovups between a register and its place in state.native_tmp; l: 32 bytes. */
static void tmp_move(struct x86_tr *t, unsigned reg, unsigned place, bool store, bool l)
{
    struct ir_native n = {
        .kind = IR_NATIVE_VEC, .vex = true, .l = l, .map = 1, .opcode = store ? 0x11 : 0x10, .reg_kind = IR_NR_VEC, .reg = (uint8_t)reg,
        .rm_kind = IR_NR_STATE, .state_off = X86_ENV(native_tmp) + place, .mem = {.size = 4 + l, .write = store},
    };
    *(store ? &n.vec_read : &n.vec_written) = 1u << reg;
    ir_native(t->ir, &n, (struct ir_addr){0}, 0);
}

bool x86_tr_vzero(struct x86_tr *t, const struct x86_insn *i)
{
    bool all = i->row->arg == X86_VZERO_ALL;
    struct ir_native n = {.kind = IR_NATIVE_VEC, .vex = true, .l = all, .map = 1, .opcode = 0x77};

    if (t->code64) {
        n.vec_written = 0xffff;
        n.vec_read = all ? 0 : 0xffff;
        ir_native(t->ir, &n, (struct ir_addr){0}, 0);
        return true;
    }
    /* elsewhere only the first eight: each by an instruction that zeroes the upper half of what it writes */
    n.l = 0;
    n.opcode = all ? 0x57 : 0x28;                     /* vxorps r,r,r; vmovaps r,r */
    n.reg_kind = n.rm_kind = IR_NR_VEC;
    for (unsigned r = 0; r < 8; r++) {
        n.reg = n.rm = (uint8_t)r;
        n.vvvv_kind = all ? IR_NR_VEC : IR_NR_NONE;
        n.vvvv = all ? (uint8_t)r : 0;
        n.vec_written = n.vec_read = 1u << r;
        ir_native(t->ir, &n, (struct ir_addr){0}, 0);
    }
    return true;
}

/* Offset of the operand in its segment, without the vector index: the helper does the rest, lane by lane. */
static ir_ref offset_of(struct x86_tr *t)
{
    return tr_ea(t, &t->i->mem);
}

static uint64_t mask_form(struct x86_tr *t)
{
    const struct x86_insn *i = t->i;
    unsigned base = t->code64 && i->mem.seg < X86_FS ? X86_MF_FLAT : t->code64 ? X86_MF_BASE : X86_MF_LIMITS;

    return (uint64_t)i->mem.seg << X86_MF_SEG | (uint64_t)base << X86_MF_HOW | (uint64_t)i->addrsize << X86_MF_ADDRSIZE |
           (uint64_t)i->mem.scale << X86_MF_SCALE | (uint64_t)i->vex_l << X86_MF_LONG;
}

bool x86_tr_vmaskmov(struct x86_tr *t, const struct x86_insn *i)
{
    unsigned arg = i->row->arg;
    bool wide = arg == X86_VMASKMOV_LD8 || arg == X86_VMASKMOV_ST8, store = arg == X86_VMASKMOV_ST4 || arg == X86_VMASKMOV_ST8;
    uint64_t form = mask_form(t) | (uint64_t)wide << X86_MF_WIDE;

    tmp_move(t, i->op[1].reg, X86_TMP_MASK, true, i->vex_l);
    if (store) {
        tmp_move(t, i->op[2].reg, X86_TMP_DATA, true, i->vex_l);
    }
    tr_call(t, store ? &x86_helper_mask_store : &x86_helper_mask_load, offset_of(t), ir_const(t->ir, (int64_t)form), 0, 0);
    if (!store) {
        tmp_move(t, i->op[0].reg, X86_TMP_DATA, false, i->vex_l);
    }
    return true;
}

/*
 * Lanes that are done have their mask bits cleared, so the instruction can be begun again: if a lane faults behind others, what has been
 * done is committed and the instruction runs anew, and this lane is then the first.
 */
bool x86_tr_gather(struct x86_tr *t, const struct x86_insn *i)
{
    unsigned arg = i->row->arg, dst = i->op[0].reg, mask = i->op[2].reg, index = i->mem.vindex;
    bool wide = arg == X86_GATHER_D8 || arg == X86_GATHER_Q8, qword = arg == X86_GATHER_Q4 || arg == X86_GATHER_Q8;
    uint64_t form = mask_form(t) | (uint64_t)wide << X86_MF_WIDE | (uint64_t)qword << X86_MF_QINDEX;

    if (dst == mask || dst == index || mask == index) {
        return tr_ud(t);
    }
    tmp_move(t, dst, X86_TMP_DATA, true, true);
    tmp_move(t, mask, X86_TMP_MASK, true, true);
    tmp_move(t, index, X86_TMP_INDEX, true, i->vex_l);
    ir_ref left = tr_call(t, &x86_helper_gather, offset_of(t), ir_const(t->ir, (int64_t)form), 0, 0);
    tmp_move(t, dst, X86_TMP_DATA, false, true);
    tmp_move(t, mask, X86_TMP_MASK, false, i->vex_l);
    ir_exit_ifz(t->ir, IR_32, left, true, tr_target(t, t->off));
    return true;
}
