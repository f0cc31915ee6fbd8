/*
 * x87: the host's own instruction. The guest's whole x87 state is in the host's while guest code uses it, so stack faults, C1, precision
 * control and pending errors are the host's. Instruction and data pointers are not kept (they read as zero).
 *
 * 80-bit operands have no memory access of their own size: they go through state.native_tmp. Environment and
 * whole-state images: helpers. Spec: Intel SDM vol. 1 chapter 8.
 */
#include "cpu/x86/fpu_helpers.h"
#include "cpu/x86/translate_vec.h"

static struct ir_native x87(const struct x86_insn *i)
{
    return (struct ir_native){
        .kind = IR_NATIVE_X87, .opcode = i->opcode, .reg = i->modrm >> 3 & 7, .fault_fp = !(i->row->marks & X86_ROW_NOWAIT),
    };
}

static const struct ir_addr no_addr;

bool x86_tr_x87_reg(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir_native n = x87(i);
    n.rm_kind = IR_NR_X87;
    n.rm = i->modrm & 7;
    ir_native(t->ir, &n, no_addr, 0);
    return true;
}

bool x86_tr_fwait(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir_native n = {.kind = IR_NATIVE_X87, .opcode = i->opcode, .fault_fp = true};
    ir_native(t->ir, &n, no_addr, 0);
    return true;
}

/*
 * Ten bytes. A store asks for write permission before the stack is popped, and begins with the old contents: a store that
 * ends in an unmasked error leaves memory alone.
 */
static void x87_mem80(struct x86_tr *t, struct ir_native *n, bool store)
{
    struct ir *ir = t->ir;
    ir_ref base = tr_addr_value(t, tr_addr(t, &t->i->mem, 8, store));
    struct ir_addr lo = {.base = base}, hi = {.base = base, .disp = 8};
    struct ir_mem m8 = {.size = IR_64, .intent = store}, m2 = {.size = IR_16, .intent = store};
    unsigned tmp = X86_ENV(native_tmp);

    m8.align = t->mode & X86_MODE_ALIGN;
    ir_ref a = ir_ld(ir, lo, m8);
    ir_ref b = ir_ld(ir, hi, m2);
    ir_stenv(ir, IR_64, tmp, a);
    ir_stenv(ir, IR_16, tmp + 8, b);
    n->rm_kind = IR_NR_STATE;
    n->state_off = tmp;
    n->mem = (struct ir_mem){.size = 4, .write = store};
    ir_native(ir, n, no_addr, 0);
    if (store) {
        ir_st(ir, lo, (struct ir_mem){.size = IR_64}, ir_ldenv(ir, IR_64, tmp));
        ir_st(ir, hi, (struct ir_mem){.size = IR_16}, ir_ldenv(ir, IR_16, tmp + 8));
    }
}

bool x86_tr_x87_mem(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir_native n = x87(i);
    unsigned size = i->op[0].size;
    bool store = i->row->arg == X86_X87_MEM_ST;

    if (size == 10) {
        x87_mem80(t, &n, store);
        return true;
    }
    n.rm_kind = IR_NR_MEM;
    n.mem = tr_native_mem(t, size, store);
    ir_native(t->ir, &n, tr_addr(t, &i->mem, size, store), 0);
    return true;
}

bool x86_tr_x87_cw(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir_native n = x87(i);
    bool store = i->row->arg == X86_X87_CW_FNSTCW;
    n.rm_kind = IR_NR_MEM;
    n.mem = tr_native_mem(t, 2, store);
    ir_native(t->ir, &n, tr_addr(t, &i->mem, 2, store), 0);
    return true;
}

/* fnstsw ax: by way of memory, since the host's own form writes the host's ax. */
bool x86_tr_x87_ax(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir_native n = {
        .kind = IR_NATIVE_X87, .opcode = 0xdd, .reg = 7, .rm_kind = IR_NR_STATE, .state_off = X86_ENV(native_tmp),
        .mem = {.size = IR_16, .write = true},
    };
    (void)i;
    ir_native(t->ir, &n, no_addr, 0);
    tr_write_reg(t, X86_RAX, 2, ir_ldenv(t->ir, IR_16, X86_ENV(native_tmp)));
    return true;
}

/* fcomi and sisters */
bool x86_tr_x87_flags(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir_native n = x87(i);
    n.rm_kind = IR_NR_X87;
    n.rm = i->modrm & 7;
    tr_set(t, IR_CC_EFLAGS, IR_32, ir_native(t->ir, &n, no_addr, 0), 0, 0);
    return true;
}

/* fcmovcc becomes fcmovne on "the condition holds". */
bool x86_tr_x87_cmov(struct x86_tr *t, const struct x86_insn *i)
{
    static const uint8_t cond[4] = {IR_COND_C, IR_COND_Z, IR_COND_BE, IR_COND_P};
    unsigned which = cond[i->modrm >> 3 & 3] + (i->opcode == 0xdb);
    struct ir_native n = x87(i);

    n.opcode = 0xdb;
    n.reg = 1;
    n.rm_kind = IR_NR_X87;
    n.rm = i->modrm & 7;
    ir_native(t->ir, &n, no_addr, ir_cond(t->ir, which, tr_flags(t)));
    return true;
}

/* The waiting forms meet a pending error first. */
bool x86_tr_x87_env(struct x86_tr *t, const struct x86_insn *i)
{
    unsigned arg = i->row->arg, field = i->opsize == 2 ? 2 : 4;
    bool store = arg == X86_X87_ENV_FNSTENV || arg == X86_X87_ENV_FNSAVE;
    const struct ir_helper *h = arg == X86_X87_ENV_FNSTENV ? &x86_helper_fnstenv : arg == X86_X87_ENV_FLDENV ? &x86_helper_fldenv :
                                arg == X86_X87_ENV_FNSAVE ? &x86_helper_fnsave : &x86_helper_frstor;

    if (!store) {
        struct ir_native wait = {.kind = IR_NATIVE_X87, .opcode = 0x9b, .fault_fp = true};
        ir_native(t->ir, &wait, no_addr, 0);
    }
    tr_call(t, h, tr_addr_value(t, tr_addr(t, &i->mem, 16, store)), ir_const(t->ir, field), 0, 0);
    return true;
}
