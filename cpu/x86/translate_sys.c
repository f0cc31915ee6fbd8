/*
 * System instructions: segments, tables, control and debug registers, MSRs, ports, flags that change the mode, waiting.
 * Mostly calls of helpers; after anything that may change the mode key the region ends. Spec: Intel SDM vol. 2, vol. 3.
 */
#include "cpu/x86/translate_priv.h"

#include "cpu/x86/insn_handlers.h"

enum { VEC_GP = 13 };

/* CPL 0 or #GP(0). True: raised. */
static bool not_cpl0(struct x86_tr *t)
{
    if (tr_cpl(t) == 0) {
        return false;
    }
    tr_fault(t, VEC_GP, 0);
    return true;
}

/* Instructions that exist in protected mode only: #UD in real and virtual-8086 mode. True: raised. */
static bool not_protected(struct x86_tr *t)
{
    if (tr_protected(t)) {
        return false;
    }
    tr_ud(t);
    return true;
}

/* CR4.UMIP keeps sldt, str, sgdt, sidt, smsw from user mode. True: raised. */
static bool umip(struct x86_tr *t)
{
    if (!(t->mode & X86_MODE_UMIP) || tr_cpl(t) == 0) {
        return false;
    }
    tr_fault(t, VEC_GP, 0);
    return true;
}

static ir_ref edx_eax(struct x86_tr *t)
{
    ir_ref lo = ir_zext(t->ir, IR_32, tr_reg(t, X86_RAX));
    return ir_op2(t->ir, IR_or, IR_64, lo, ir_op2i(t->ir, IR_shl, IR_64, tr_reg(t, X86_RDX), 32));
}

static void put_edx_eax(struct x86_tr *t, ir_ref v)
{
    ir_put(t->ir, X86_RAX, ir_zext(t->ir, IR_32, v));
    ir_put(t->ir, X86_RDX, ir_op2i(t->ir, IR_shr, IR_64, v, 32));
}

static ir_ref ecx(struct x86_tr *t)
{
    return ir_zext(t->ir, IR_32, tr_reg(t, X86_RCX));
}

/* ---- nothing to do ---- */

bool x86_tr_nop(struct x86_tr *t, const struct x86_insn *i)
{
    (void)t, (void)i;
    return true;
}

/* A spinning vCPU lets the others run: leave, so that a kick is seen soon. */
bool x86_tr_pause(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    ir_poll(t->ir, tr_target(t, t->next_off));
    return true;
}

bool x86_tr_fence(struct x86_tr *t, const struct x86_insn *i)
{
    if (i->row->arg == X86_FENCE_MFENCE) {
        ir_emit(t->ir, (struct ir_op){.op = IR_fence});
    }
    return true;
}

/* Caches are coherent here: only the access rights count. */
bool x86_tr_clflush(struct x86_tr *t, const struct x86_insn *i)
{
    ir_probe(t->ir, tr_addr(t, &i->mem, 1, false), (struct ir_mem){.size = IR_8});
    return true;
}

bool x86_tr_cache_flush(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    if (not_cpl0(t)) {
        return false;
    }
    tr_call(t, &x86_helper_wbinvd, 0, 0, 0, 0);
    return true;
}

/* ---- segment registers ---- */

static ir_ref selector(struct x86_tr *t, unsigned offset)
{
    return ir_ldenv(t->ir, IR_16, offset + (unsigned)__builtin_offsetof(struct x86_segment, selector));
}

static ir_ref seg_selector(struct x86_tr *t, unsigned seg)
{
    return selector(t, X86_ENV(seg) + seg * sizeof(struct x86_segment));
}

/* Loads a segment register; true: the mode key stays. */
static bool load_seg(struct x86_tr *t, unsigned seg, ir_ref sel)
{
    bool quiet = seg == X86_FS || seg == X86_GS || (t->code64 && seg != X86_SS);
    tr_call(t, quiet ? &x86_helper_load_seg_quiet : &x86_helper_load_seg, ir_const(t->ir, seg), sel, 0, 0);
    return quiet;
}

/* Ends the instruction that loaded `seg`; SS brings the interrupt shadow (SDM vol. 3, 6.8.3). */
static bool seg_loaded(struct x86_tr *t, unsigned seg, bool quiet)
{
    if (seg == X86_SS) {
        tr_call(t, &x86_helper_set_shadow, ir_const(t->ir, 1), 0, 0, 0);
    }
    return quiet ? true : tr_end(t, TCG_EXIT_MODE);
}

bool x86_tr_mov_to_seg(struct x86_tr *t, const struct x86_insn *i)
{
    unsigned seg = i->op[0].reg;
    ir_ref sel = ir_zext(t->ir, IR_16, tr_read(t, &i->op[1]));
    return seg_loaded(t, seg, load_seg(t, seg, sel));
}

bool x86_tr_mov_from_seg(struct x86_tr *t, const struct x86_insn *i)
{
    ir_ref sel = seg_selector(t, i->op[1].reg);
    if (i->op[0].kind == X86_OPND_REG) {
        tr_write_reg(t, i->op[0].reg, i->opsize == 8 ? 8 : i->op[0].size, sel);
    } else {
        tr_write(t, &i->op[0], sel);
    }
    return true;
}

bool x86_tr_push_seg(struct x86_tr *t, const struct x86_insn *i)
{
    ir_ref sel = seg_selector(t, i->op[0].reg), sp = tr_reg(t, X86_RSP);
    /* pushes of 32 bits: Intel leaves the upper half of the stack slot alone (SDM vol. 2, PUSH) */
    unsigned size = i->opsize == 4 && t->cpu->intel ? 2 : i->opsize;

    ir_st(t->ir, tr_stack(t, sp, -(int64_t)i->opsize, size, true), tr_mem(t, size), sel);
    tr_put_sp(t, tr_sp_add(t, sp, -(int64_t)i->opsize));
    return true;
}

bool x86_tr_pop_seg(struct x86_tr *t, const struct x86_insn *i)
{
    unsigned seg = i->op[0].reg;
    ir_ref sp = tr_reg(t, X86_RSP);
    ir_ref sel = ir_ld(t->ir, tr_stack(t, sp, 0, 2, false), tr_mem(t, 2));
    bool quiet = load_seg(t, seg, sel);
    tr_put_sp(t, tr_sp_add(t, sp, i->opsize));
    return seg_loaded(t, seg, quiet);
}

bool x86_tr_lseg(struct x86_tr *t, const struct x86_insn *i)
{
    static const uint8_t segs[] = {
        [X86_LSEG_ES] = X86_ES, [X86_LSEG_DS] = X86_DS, [X86_LSEG_SS] = X86_SS, [X86_LSEG_FS] = X86_FS, [X86_LSEG_GS] = X86_GS,
    };
    unsigned seg = segs[i->row->arg];
    ir_ref at = tr_addr_value(t, tr_addr(t, &i->mem, i->opsize, false));
    ir_ref offset = ir_ld(t->ir, (struct ir_addr){.base = at}, tr_mem(t, i->opsize));
    ir_ref sel = ir_ld(t->ir, (struct ir_addr){.base = at, .disp = i->opsize}, tr_mem(t, 2));
    bool quiet = load_seg(t, seg, sel);
    tr_write(t, &i->op[0], offset);
    return seg_loaded(t, seg, quiet);
}

bool x86_tr_lar(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    if (not_protected(t)) {
        return false;
    }
    ir_ref sel = ir_zext(ir, IR_16, tr_read(t, &i->op[1]));
    ir_ref r = tr_call(t, i->row->arg == X86_LAR_LAR ? &x86_helper_lar : &x86_helper_lsl, sel, 0, 0, 0);
    ir_ref ok = ir_op2i(ir, IR_shr, IR_64, r, 32);
    ir_ref f = ir_flags(ir, IR_CC_LOGIC, IR_32, ok, 0, 0);
    unsigned reg = i->op[0].reg;
    ir_ref old = tr_reg(t, reg);
    ir_ref now = i->opsize == 2 ? ir_op2(ir, IR_insert16, IR_64, old, r) : ir_zext(ir, IR_32, r);
    ir_put(ir, reg, ir_select(ir, IR_64, IR_COND_NZ, f, now, old));
    tr_merge_flags(t, X86_FL_Z, ir_op2i(ir, IR_shl, IR_32, ok, 6));
    return true;
}

bool x86_tr_ver(struct x86_tr *t, const struct x86_insn *i)
{
    if (not_protected(t)) {
        return false;
    }
    ir_ref sel = ir_zext(t->ir, IR_16, tr_read(t, &i->op[0]));
    ir_ref z = tr_call(t, i->row->arg == X86_VER_R ? &x86_helper_verr : &x86_helper_verw, sel, 0, 0, 0);
    tr_merge_flags(t, X86_FL_Z, ir_op2i(t->ir, IR_shl, IR_32, z, 6));
    return true;
}

bool x86_tr_arpl(struct x86_tr *t, const struct x86_insn *i)
{
    if (not_protected(t)) {
        return false;
    }
    struct ir *ir = t->ir;
    const struct x86_opnd *d = &i->op[0];
    struct ir_addr at = {0};
    struct ir_mem m = tr_mem(t, 2);
    ir_ref a;
    if (d->kind == X86_OPND_MEM) {
        at = tr_addr(t, &i->mem, 2, true);
        m.intent = true;
        a = ir_ld(ir, at, m);
    } else {
        a = tr_read(t, d);
    }
    ir_ref r = tr_call(t, &x86_helper_arpl, ir_zext(ir, IR_16, a), ir_zext(ir, IR_16, tr_read(t, &i->op[1])), 0, 0);
    if (d->kind == X86_OPND_MEM) {
        ir_st(ir, at, tr_mem(t, 2), r);
    } else {
        tr_write(t, d, r);
    }
    tr_merge_flags(t, X86_FL_Z, ir_op2i(ir, IR_shl, IR_32, ir_op2i(ir, IR_shr, IR_64, r, 32), 6));
    return true;
}

/* ---- descriptor tables ---- */

bool x86_tr_sys_store(struct x86_tr *t, const struct x86_insn *i)
{
    bool smsw = i->row->arg == X86_SYS_STORE_SMSW;
    if ((!smsw && not_protected(t)) || umip(t)) {
        return false;
    }
    ir_ref v = smsw ? ir_ldenv(t->ir, IR_32, X86_ENV(cr0))
                    : selector(t, i->row->arg == X86_SYS_STORE_SLDT ? X86_ENV(ldt) : X86_ENV(tr));
    if (i->op[0].kind == X86_OPND_REG) {
        tr_write_reg(t, i->op[0].reg, i->opsize, v);
    } else {
        tr_write(t, &i->op[0], v);
    }
    return true;
}

bool x86_tr_lldt(struct x86_tr *t, const struct x86_insn *i)
{
    if (not_protected(t) || not_cpl0(t)) {
        return false;
    }
    tr_call(t, &x86_helper_lldt, ir_zext(t->ir, IR_16, tr_read(t, &i->op[0])), 0, 0, 0);
    return true;
}

bool x86_tr_ltr(struct x86_tr *t, const struct x86_insn *i)
{
    if (not_protected(t) || not_cpl0(t)) {
        return false;
    }
    tr_call(t, &x86_helper_ltr, ir_zext(t->ir, IR_16, tr_read(t, &i->op[0])), 0, 0, 0);
    return true;
}

/* sgdt, sidt: limit, then base (8 bytes in 64-bit code, 4 elsewhere). */
bool x86_tr_sdt(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    if (umip(t)) {
        return false;
    }
    unsigned table = i->row->arg == X86_SDT_GDT ? X86_ENV(gdt) : X86_ENV(idt);
    unsigned size = t->code64 ? 8 : 4;
    ir_ref limit = ir_ldenv(ir, IR_16, table + (unsigned)__builtin_offsetof(struct x86_table, limit));
    ir_ref base = ir_ldenv(ir, IR_64, table + (unsigned)__builtin_offsetof(struct x86_table, base));
    ir_ref at = tr_addr_value(t, tr_addr(t, &i->mem, size, true));
    ir_st(ir, (struct ir_addr){.base = at}, tr_mem(t, 2), limit);
    ir_st(ir, (struct ir_addr){.base = at, .disp = 2}, tr_mem(t, size), base);
    return true;
}

bool x86_tr_ldt(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    if (not_cpl0(t)) {
        return false;
    }
    unsigned size = t->code64 ? 8 : 4;
    ir_ref at = tr_addr_value(t, tr_addr(t, &i->mem, size, false));
    ir_ref limit = ir_ld(ir, (struct ir_addr){.base = at}, tr_mem(t, 2));
    ir_ref base = ir_ld(ir, (struct ir_addr){.base = at, .disp = 2}, tr_mem(t, size));
    if (!t->code64 && i->opsize == 2) {
        base = ir_op2i(ir, IR_and, IR_32, base, 0xffffff);
    }
    tr_call(t, i->row->arg == X86_LDT_GDT ? &x86_helper_lgdt : &x86_helper_lidt, base, limit, 0, 0);
    return true;
}

/* ---- control and debug registers ---- */

/*
 * Ends the region behind an instruction that may have changed the address space or the mode, without a trip through the run loop: the jump
 * table in force is that of the new one. For helpers that have the vCPU kicked when something waits.
 */
static bool go_on(struct x86_tr *t)
{
    tr_step(t, TR_STEP_ON, 0);
    ir_exit_ind(t->ir, IR_IND_JUMP, ir_pcrel(t->ir, t->next_off));
    return false;
}

bool x86_tr_mov_to_cr(struct x86_tr *t, const struct x86_insn *i)
{
    ir_ref v = tr_read(t, &i->op[1]);
    if (!t->code64) {
        v = ir_zext(t->ir, IR_32, v);
    }
    if (i->op[0].reg == 8) {
        tr_call(t, &x86_helper_mov_to_cr8, v, 0, 0, 0);
    } else {
        tr_call(t, &x86_helper_mov_to_cr, ir_const(t->ir, i->op[0].reg), v, 0, 0);
        if (i->op[0].reg == 3 && t->code64) {
            return go_on(t);
        }
    }
    return tr_end(t, TCG_EXIT_EVENT);
}

bool x86_tr_mov_from_cr(struct x86_tr *t, const struct x86_insn *i)
{
    ir_ref v = i->op[1].reg == 8 ? tr_call(t, &x86_helper_mov_from_cr8, 0, 0, 0, 0)
                                 : tr_call(t, &x86_helper_mov_from_cr, ir_const(t->ir, i->op[1].reg), 0, 0, 0);
    tr_write(t, &i->op[0], v);
    return true;
}

bool x86_tr_mov_to_dr(struct x86_tr *t, const struct x86_insn *i)
{
    tr_call(t, &x86_helper_mov_to_dr, ir_const(t->ir, i->op[0].reg), tr_read(t, &i->op[1]), 0, 0);
    return tr_end(t, TCG_EXIT_MODE);
}

bool x86_tr_mov_from_dr(struct x86_tr *t, const struct x86_insn *i)
{
    tr_write(t, &i->op[0], tr_call(t, &x86_helper_mov_from_dr, ir_const(t->ir, i->op[1].reg), 0, 0, 0));
    return true;
}

bool x86_tr_clts(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    tr_call(t, &x86_helper_clts, 0, 0, 0, 0);
    return tr_end(t, TCG_EXIT_MODE);
}

bool x86_tr_lmsw(struct x86_tr *t, const struct x86_insn *i)
{
    if (not_cpl0(t)) {                            /* comes before a fault of the operand */
        return false;
    }
    tr_call(t, &x86_helper_lmsw, ir_zext(t->ir, IR_16, tr_read(t, &i->op[0])), 0, 0, 0);
    return tr_end(t, TCG_EXIT_MODE);
}

bool x86_tr_invlpg(struct x86_tr *t, const struct x86_insn *i)
{
    tr_call(t, &x86_helper_invlpg, tr_addr_value(t, tr_addr(t, &i->mem, 1, false)), 0, 0, 0);
    return tr_end(t, TCG_EXIT_LOOKUP);
}

bool x86_tr_invpcid(struct x86_tr *t, const struct x86_insn *i)
{
    if (not_cpl0(t)) {
        return false;
    }
    ir_ref type = tr_read(t, &i->op[0]);
    tr_call(t, &x86_helper_invpcid, type, tr_addr_value(t, tr_addr(t, &i->mem, 16, false)), 0, 0);
    return tr_end(t, TCG_EXIT_LOOKUP);
}

/* ---- MSRs, time, identity, randomness ---- */

bool x86_tr_rdmsr(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    tr_call(t, &x86_helper_rdmsr, 0, 0, 0, 0);
    return true;
}

bool x86_tr_wrmsr(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    tr_call(t, &x86_helper_wrmsr, 0, 0, 0, 0);
    return tr_end(t, TCG_EXIT_EVENT);
}

bool x86_tr_rdtsc(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    if (t->mode & X86_MODE_TSD) {
        return tr_fault(t, VEC_GP, 0);
    }
    put_edx_eax(t, tr_call(t, &x86_helper_rdtsc, 0, 0, 0, 0));
    return true;
}

bool x86_tr_rdtscp(struct x86_tr *t, const struct x86_insn *i)
{
    if (!x86_tr_rdtsc(t, i)) {
        return false;
    }
    ir_put(t->ir, X86_RCX, ir_ldenv(t->ir, IR_32, X86_ENV(tsc_aux)));
    return true;
}

bool x86_tr_rdpid(struct x86_tr *t, const struct x86_insn *i)
{
    tr_write(t, &i->op[0], ir_ldenv(t->ir, IR_32, X86_ENV(tsc_aux)));
    return true;
}

bool x86_tr_rdpmc(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    put_edx_eax(t, tr_call(t, &x86_helper_rdpmc, ecx(t), 0, 0, 0));
    return true;
}

bool x86_tr_cpuid(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    tr_call(t, &x86_helper_cpuid, 0, 0, 0, 0);
    return true;
}

bool x86_tr_rdrand(struct x86_tr *t, const struct x86_insn *i)
{
    const struct ir_helper *h = i->row->arg == X86_RDRAND_RDRAND ? &x86_helper_rdrand : &x86_helper_rdseed;
    tr_write(t, &i->op[0], tr_call(t, h, ir_const(t->ir, x86_width(i->op[0].size)), 0, 0, 0));
    tr_set(t, IR_CC_EFLAGS, IR_32, ir_const(t->ir, X86_FL_C), 0, 0);
    return true;
}

bool x86_tr_xgetbv(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    if (!(t->mode & X86_MODE_OSXSAVE)) {
        return tr_ud(t);
    }
    put_edx_eax(t, tr_call(t, &x86_helper_xgetbv, ecx(t), 0, 0, 0));
    return true;
}

bool x86_tr_xsetbv(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    if (!(t->mode & X86_MODE_OSXSAVE)) {
        return tr_ud(t);
    }
    if (not_cpl0(t)) {
        return false;
    }
    tr_call(t, &x86_helper_xsetbv, ecx(t), edx_eax(t), 0, 0);
    return tr_end(t, TCG_EXIT_MODE);
}

bool x86_tr_pkru(struct x86_tr *t, const struct x86_insn *i)
{
    if (i->row->arg == X86_PKRU_WR) {
        tr_call(t, &x86_helper_wrpkru, ecx(t), edx_eax(t), 0, 0);
        return tr_end(t, TCG_EXIT_LOOKUP);
    }
    ir_ref v = tr_call(t, &x86_helper_rdpkru, ecx(t), 0, 0, 0);
    put_edx_eax(t, ir_zext(t->ir, IR_32, v));
    return true;
}

bool x86_tr_rsm(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    return tr_goto_linear(t, tr_call(t, &x86_helper_rsm, 0, 0, 0, 0), IR_IND_RET);
}

/* ---- system calls ---- */

bool x86_tr_syscall(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    tr_flags(t);
    return tr_goto_linear(t, tr_call(t, &x86_helper_syscall, ir_pcrel(t->ir, t->next_off), 0, 0, 0), IR_IND_CALL);
}

bool x86_tr_sysret(struct x86_tr *t, const struct x86_insn *i)
{
    return tr_goto_linear(t, tr_call(t, &x86_helper_sysret, ir_const(t->ir, i->opsize), 0, 0, 0), IR_IND_RET);
}

bool x86_tr_sysenter(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    return tr_goto_linear(t, tr_call(t, &x86_helper_sysenter, 0, 0, 0, 0), IR_IND_CALL);
}

bool x86_tr_sysexit(struct x86_tr *t, const struct x86_insn *i)
{
    return tr_goto_linear(t, tr_call(t, &x86_helper_sysexit, ir_const(t->ir, i->opsize), 0, 0, 0), IR_IND_RET);
}

bool x86_tr_swapgs(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    if (not_cpl0(t)) {
        return false;
    }
    struct ir *ir = t->ir;
    unsigned base = X86_ENV(seg) + X86_GS * sizeof(struct x86_segment) + (unsigned)__builtin_offsetof(struct x86_segment, base);
    ir_ref gs = ir_ldenv(ir, IR_64, X86_ENV(seg_base_gs));
    ir_ref kernel = ir_ldenv(ir, IR_64, X86_ENV(kernel_gs_base));
    ir_stenv(ir, IR_64, X86_ENV(kernel_gs_base), gs);
    ir_stenv(ir, IR_64, X86_ENV(seg_base_gs), kernel);
    ir_stenv(ir, IR_64, base, kernel);
    return true;
}

bool x86_tr_fsgsbase(struct x86_tr *t, const struct x86_insn *i)
{
    if (!(t->mode & X86_MODE_FSGSBASE)) {
        return tr_ud(t);
    }
    struct ir *ir = t->ir;
    const struct x86_opnd *o = &i->op[0];
    switch (i->row->arg) {
    case X86_FSGSBASE_RDFS:
        tr_write(t, o, ir_ldenv(ir, IR_64, X86_ENV(seg_base_fs)));
        break;
    case X86_FSGSBASE_RDGS:
        tr_write(t, o, ir_ldenv(ir, IR_64, X86_ENV(seg_base_gs)));
        break;
    default: {
        ir_ref v = tr_read(t, o);
        v = o->size == 4 ? ir_zext(ir, IR_32, v) : v;
        tr_call(t, i->row->arg == X86_FSGSBASE_WRFS ? &x86_helper_wrfsbase : &x86_helper_wrgsbase, v, 0, 0, 0);
    }
    }
    return true;
}

/* ---- flags that change what may happen ---- */

bool x86_tr_cli(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    if (!(t->mode & X86_MODE_IOPL_OK)) {
        tr_call(t, &x86_helper_cli_slow, 0, 0, 0, 0);
        return true;
    }
    ir_ref fl = ir_ldenv(t->ir, IR_32, X86_ENV(eflags));
    ir_stenv(t->ir, IR_32, X86_ENV(eflags), ir_op2i(t->ir, IR_and, IR_32, fl, ~(int64_t)X86_FL_I));
    return true;
}

bool x86_tr_sti(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    if (!(t->mode & X86_MODE_IOPL_OK)) {
        tr_call(t, &x86_helper_sti_slow, 0, 0, 0, 0);
        return tr_end(t, TCG_EXIT_MODE);
    }
    /* the shadow: the next instruction runs before the poll that follows it */
    ir_ref fl = ir_ldenv(t->ir, IR_32, X86_ENV(eflags));
    ir_stenv(t->ir, IR_32, X86_ENV(eflags), ir_op2i(t->ir, IR_or, IR_32, fl, X86_FL_I));
    t->sti_shadow = true;
    return true;
}

bool x86_tr_ac(struct x86_tr *t, const struct x86_insn *i)
{
    if (tr_cpl(t) != 0) {
        return tr_ud(t);
    }
    tr_call(t, i->row->arg == X86_AC_STAC ? &x86_helper_stac : &x86_helper_clac, 0, 0, 0, 0);
    return true;
}

bool x86_tr_pushf(struct x86_tr *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    ir_ref v;
    if (t->mode & X86_MODE_VM) {
        tr_flags(t);
        v = tr_call(t, &x86_helper_pushf, 0, 0, 0, 0);
    } else {
        ir_ref arith = ir_op1(ir, IR_eflags, IR_32, tr_flags(t));
        ir_ref fl = ir_op2(ir, IR_or, IR_32, arith, ir_ldenv(ir, IR_32, X86_ENV(eflags)));
        v = ir_op2i(ir, IR_and, IR_32, fl, 0x00fcffff);   /* RF and VM are pushed clear */
    }
    tr_push(t, i->opsize, v);
    return true;
}

bool x86_tr_popf(struct x86_tr *t, const struct x86_insn *i)
{
    ir_ref sp = tr_reg(t, X86_RSP);
    ir_ref v = ir_ld(t->ir, tr_stack(t, sp, 0, i->opsize, false), tr_mem(t, i->opsize));
    tr_flags(t);
    tr_call(t, &x86_helper_popf, v, ir_const(t->ir, i->opsize), 0, 0);
    tr_put_sp(t, tr_sp_add(t, sp, i->opsize));
    return t->code64 ? go_on(t) : tr_end(t, TCG_EXIT_EVENT);
}

/* ---- waiting ---- */

bool x86_tr_hlt(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    tr_call(t, &x86_helper_hlt, 0, 0, 0, 0);
    return tr_end(t, TCG_EXIT_HALT);
}

bool x86_tr_monitor(struct x86_tr *t, const struct x86_insn *i)
{
    ir_ref rax = tr_reg(t, X86_RAX);
    ir_ref ea = i->addrsize == 8 ? rax : ir_zext(t->ir, x86_width(i->addrsize), rax);
    unsigned seg = i->seg == X86_SEG_NONE ? X86_DS : i->seg;
    tr_call(t, &x86_helper_monitor, tr_addr_value(t, tr_seg_addr(t, seg, ea, 1, false)), 0, 0, 0);
    return true;
}

bool x86_tr_mwait(struct x86_tr *t, const struct x86_insn *i)
{
    (void)i;
    tr_call(t, &x86_helper_mwait, 0, 0, 0, 0);
    return tr_end(t, TCG_EXIT_EVENT);
}

/* ---- ports ---- */

bool tr_io_done(struct x86_tr *t)
{
    return t->mode & X86_MODE_IOBP ? tr_end(t, TCG_EXIT_EVENT) : true;
}

bool x86_tr_in(struct x86_tr *t, const struct x86_insn *i)
{
    ir_ref port = ir_zext(t->ir, IR_16, tr_read(t, &i->op[1]));
    ir_ref v = tr_call(t, &x86_helper_in, port, ir_const(t->ir, i->op[0].size), 0, 0);
    tr_write(t, &i->op[0], v);
    return tr_io_done(t);
}

bool x86_tr_out(struct x86_tr *t, const struct x86_insn *i)
{
    ir_ref port = ir_zext(t->ir, IR_16, tr_read(t, &i->op[0]));
    tr_call(t, &x86_helper_out, port, ir_const(t->ir, i->op[1].size), tr_read(t, &i->op[1]), 0);
    /* a port may have moved memory under us (A20, shadow RAM): look again in firmware's modes; elsewhere an SMI that it caused is seen by the poll */
    if (!t->code64 || (t->mode & X86_MODE_IOBP)) {
        return tr_end(t, TCG_EXIT_EVENT);
    }
    ir_poll(t->ir, tr_target(t, t->next_off));
    return true;
}
