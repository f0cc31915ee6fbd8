/*
 * The front end's driver: decodes guest code and hands each instruction to its handler, until the region ends. Also what
 * all handlers share: operands, addresses, flags, exits, the stack.
 *
 * Left out here: AVX and up (VEX rows for general registers only). Spec: Intel SDM vol. 1 and 2.
 */
#include "cpu/x86/translate_priv.h"

#include <string.h>

#define X86_TR_TABLE
#include "cpu/x86/insn_handlers.h"
#include "core/ram.h"
#include "cpu/x86/translate.h"

enum { VEC_UD = 6, VEC_NM = 7, VEC_GP = 13 };

bool tr_has(const struct x86_tr *t, enum x86_feature f)
{
    return f == X86_FEAT_NONE || (t->cpu->cpuid_feature_words[f / 32] >> f % 32 & 1);
}

ir_ref tr_const(struct x86_tr *t, int64_t v)
{
    return ir_const(t->ir, v);
}

/* ---- registers and operands ---- */

ir_ref tr_reg(struct x86_tr *t, unsigned reg)
{
    return ir_get(t->ir, reg);
}

void tr_write_reg(struct x86_tr *t, unsigned reg, unsigned size, ir_ref v)
{
    switch (size) {
    case 1:
        v = ir_op2(t->ir, IR_insert8, IR_64, tr_reg(t, reg), v);
        break;
    case 2:
        v = ir_op2(t->ir, IR_insert16, IR_64, tr_reg(t, reg), v);
        break;
    case 4:
        v = ir_zext(t->ir, IR_32, v);
        break;
    }
    ir_put(t->ir, reg, v);
}

ir_ref tr_read(struct x86_tr *t, const struct x86_opnd *o)
{
    switch (o->kind) {
    case X86_OPND_REG:
        return tr_reg(t, o->reg);
    case X86_OPND_REG8H:
        return ir_op1(t->ir, IR_extract8h, IR_64, tr_reg(t, o->reg));
    case X86_OPND_IMM:
        return ir_const(t->ir, t->i->imm);
    case X86_OPND_IMM2:
        return ir_const(t->ir, t->i->imm2);
    default:
        return ir_ld(t->ir, tr_addr(t, &t->i->mem, o->size, false), tr_mem(t, o->size));
    }
}

void tr_write(struct x86_tr *t, const struct x86_opnd *o, ir_ref v)
{
    switch (o->kind) {
    case X86_OPND_REG:
        tr_write_reg(t, o->reg, o->size, v);
        break;
    case X86_OPND_REG8H:
        ir_put(t->ir, o->reg, ir_op2(t->ir, IR_insert8h, IR_64, tr_reg(t, o->reg), v));
        break;
    default:
        ir_st(t->ir, tr_addr(t, &t->i->mem, o->size, true), tr_mem(t, o->size), v);
    }
}

struct ir_mem tr_mem(struct x86_tr *t, unsigned size)
{
    return (struct ir_mem){.size = x86_width(size), .align = (t->mode & X86_MODE_ALIGN) && size > 1};
}

/* ---- addresses (SDM vol. 1, 3.7.5) ---- */

ir_ref tr_ea(struct x86_tr *t, const struct x86_mem *m)
{
    struct ir *ir = t->ir;
    ir_ref base = m->base >= 0 ? tr_reg(t, m->base) : 0;
    ir_ref index = m->index >= 0 ? tr_reg(t, m->index) : 0;
    if (m->rip_rel) {
        ir_ref ip = ir_pcrel(ir, (int64_t)t->next_off + m->disp);
        return t->i->addrsize == 4 ? ir_zext(ir, IR_32, ip) : ip;
    }
    if (!base && !index) {
        int64_t disp = m->disp;
        return ir_const(ir, t->i->addrsize == 8 ? disp : t->i->addrsize == 4 ? (int64_t)(uint32_t)disp : (int64_t)(uint16_t)disp);
    }
    if (t->i->addrsize == 8) {
        return ir_lea(ir, IR_64, base, index, m->scale, m->disp);
    }
    ir_ref ea = ir_lea(ir, IR_32, base, index, m->scale, m->disp);
    return t->i->addrsize == 2 ? ir_zext(ir, IR_16, ea) : ea;
}

/* Is the segment's base zero and its limit out of the way? */
static bool seg_is_flat(const struct x86_tr *t, unsigned seg)
{
    if (seg == X86_FS || seg == X86_GS) {
        return false;
    }
    if (t->code64) {
        return true;
    }
    return !(t->mode & (seg == X86_CS ? X86_MODE_CS_BASED : X86_MODE_DS_BASED));
}

struct ir_addr tr_seg_addr(struct x86_tr *t, unsigned seg, ir_ref offset, unsigned size, bool write)
{
    /* outside 64-bit code and real mode nothing is ever written through CS */
    if (seg_is_flat(t, seg) && !(write && seg == X86_CS && !t->code64 && tr_protected(t))) {
        return (struct ir_addr){.base = offset};
    }
    if (t->code64) {
        ir_ref base = ir_ldenv(t->ir, IR_64, seg == X86_FS ? X86_ENV(seg_base_fs) : X86_ENV(seg_base_gs));
        return (struct ir_addr){.base = offset, .index = base};
    }
    ir_ref form = ir_const(t->ir, seg | x86_width(size ? size : 1) << 8 | (write ? 1u << 16 : 0));
    return (struct ir_addr){.base = tr_call(t, &x86_helper_seg_linear, form, offset, 0, 0)};
}

struct ir_addr tr_addr(struct x86_tr *t, const struct x86_mem *m, unsigned size, bool write)
{
    if (t->i->addrsize != 8 || m->rip_rel || !t->code64) {
        return tr_seg_addr(t, m->seg, tr_ea(t, m), size, write);
    }
    /* the usual case keeps base, index and displacement apart for the host's addressing mode */
    struct ir_addr a = {.scale = m->scale, .disp = m->disp};
    if (m->disp != (int32_t)m->disp) {
        return tr_seg_addr(t, m->seg, tr_ea(t, m), size, write);
    }
    a.base = m->base >= 0 ? tr_reg(t, m->base) : 0;
    a.index = m->index >= 0 ? tr_reg(t, m->index) : 0;
    if (m->seg == X86_FS || m->seg == X86_GS) {
        ir_ref seg = ir_ldenv(t->ir, IR_64, m->seg == X86_FS ? X86_ENV(seg_base_fs) : X86_ENV(seg_base_gs));
        if (a.base && a.index) {
            a.base = ir_lea(t->ir, IR_64, a.base, a.index, a.scale, 0);
            a.index = 0;
        }
        if (!a.base && !a.index) {
            a.base = seg;
        } else if (!a.base) {
            a.base = seg;      /* index keeps its scale */
        } else {
            a.index = seg;
            a.scale = 0;
        }
    }
    return a;
}

ir_ref tr_addr_value(struct x86_tr *t, struct ir_addr a)
{
    if (!a.base && !a.index) {
        return ir_const(t->ir, a.disp);
    }
    return ir_lea(t->ir, IR_64, a.base, a.index, a.scale, a.disp);
}

/* ---- flags ---- */

ir_ref tr_flags(struct x86_tr *t)
{
    if (!t->flags) {
        t->flags = ir_getflags(t->ir);
    }
    return t->flags;
}

void tr_set_flags(struct x86_tr *t, ir_ref f)
{
    ir_putflags(t->ir, f);
    t->flags = f;
}

void tr_set(struct x86_tr *t, enum ir_cc kind, unsigned w, ir_ref a, ir_ref b, ir_ref c)
{
    tr_set_flags(t, ir_flags(t->ir, kind, w, a, b, c));
}

void tr_merge_flags(struct x86_tr *t, uint32_t mask, ir_ref bits)
{
    struct ir *ir = t->ir;
    ir_ref old = ir_op1(ir, IR_eflags, IR_32, tr_flags(t));
    ir_ref kept = ir_op2i(ir, IR_and, IR_32, old, X86_FL_ARITH & ~mask);
    ir_ref now = ir_op2i(ir, IR_and, IR_32, bits, mask);
    tr_set(t, IR_CC_EFLAGS, IR_32, ir_op2(ir, IR_or, IR_32, kept, now), 0, 0);
}

void tr_set_carry(struct x86_tr *t, ir_ref carry)
{
    ir_ref old = ir_op1(t->ir, IR_eflags, IR_32, tr_flags(t));
    tr_set(t, IR_CC_BITC, IR_32, carry, old, 0);
}

/* ---- calls and exits ---- */

ir_ref tr_call(struct x86_tr *t, const struct ir_helper *h, ir_ref a, ir_ref b, ir_ref c, ir_ref d)
{
    ir_ref r = ir_call(t->ir, h, a, b, c, d);
    if (h->effects & IR_EFF_FLAGS_W) {
        t->flags = 0;
    }
    return r;
}

void tr_step(struct x86_tr *t, enum tr_step kind, ir_ref v)
{
    if (t->mode & X86_MODE_TF) {
        tr_call(t, &x86_helper_step, ir_const(t->ir, kind), kind >= TR_STEP_IF_NONZERO ? v : ir_const(t->ir, 0), 0, 0);
    }
}

bool tr_ud(struct x86_tr *t)
{
    tr_call(t, &x86_helper_raise_ud, 0, 0, 0, 0);
    ir_exit_loop(t->ir, TCG_EXIT_RAISED, tr_target(t, t->off));
    return false;
}

bool tr_fault(struct x86_tr *t, unsigned vector, int code)
{
    tr_call(t, &x86_helper_raise, ir_const(t->ir, vector), ir_const(t->ir, code >= 0), ir_const(t->ir, code >= 0 ? code : 0), 0);
    ir_exit_loop(t->ir, TCG_EXIT_RAISED, tr_target(t, t->off));
    return false;
}

unsigned tr_target(struct x86_tr *t, int64_t off)
{
    return ir_exit_target(t->ir, (struct ir_exit){
        .off = (int32_t)off,
        .backward = off <= (int64_t)t->insn_off,
        .wrap32 = !t->code64,
    });
}

bool tr_end(struct x86_tr *t, enum tcg_exit_reason reason)
{
    tr_step(t, TR_STEP_ON, 0);
    ir_exit_loop(t->ir, reason, tr_target(t, t->next_off));
    return false;
}

bool tr_goto(struct x86_tr *t, int64_t off)
{
    if (off != (int32_t)off) {
        return tr_goto_linear(t, ir_pcrel(t->ir, off), IR_IND_JUMP);
    }
    tr_step(t, TR_STEP_BRANCH, 0);
    unsigned target = tr_target(t, off);
    t->ir->exits[target].flags_dead = tr_flags_dead_at(t, off);
    ir_exit_jump(t->ir, target);
    return false;
}

bool tr_goto_linear(struct x86_tr *t, ir_ref linear, enum ir_ind kind)
{
    tr_step(t, TR_STEP_BRANCH, 0);
    ir_exit_ind(t->ir, kind, linear);
    return false;
}

static bool salted(const struct x86_tr *t)
{
    return t->src->key.salted;
}

ir_ref tr_next_ip(struct x86_tr *t)
{
    if (t->code64) {
        return ir_pcrel(t->ir, t->next_off);
    }
    if (salted(t)) {
        uint32_t ip = (uint32_t)(t->eip + t->i->len);
        return ir_const(t->ir, t->code32 ? ip : (uint16_t)ip);
    }
    return ir_zext(t->ir, IR_32, ir_pcrel(t->ir, t->next_off));
}

void tr_check_ip(struct x86_tr *t, ir_ref ip)
{
    /* 16-bit code with an operand size of 32 can name offsets beyond any limit of such code */
    if ((t->mode & X86_MODE_CS_LIMIT) || (!t->code64 && !t->code32 && t->i->opsize == 4)) {
        tr_call(t, &x86_helper_check_ip, ip, 0, 0, 0);
    }
}

ir_ref tr_cs_linear(struct x86_tr *t, ir_ref ip)
{
    if (!salted(t)) {
        return ip;
    }
    tr_check_ip(t, ip);
    ir_ref base = ir_ldenv(t->ir, IR_64, X86_ENV(seg_base) + 8 * X86_CS);
    return ir_op2(t->ir, IR_add, IR_32, base, ip);
}

/* ---- the stack ---- */

unsigned tr_sp_size(struct x86_tr *t)
{
    return t->code64 ? 8 : t->mode & X86_MODE_SS32 ? 4 : 2;
}

ir_ref tr_sp_add(struct x86_tr *t, ir_ref sp, int64_t n)
{
    unsigned size = tr_sp_size(t);
    ir_ref v = ir_lea(t->ir, size == 8 ? IR_64 : IR_32, sp, 0, 0, n);
    return size == 2 ? ir_zext(t->ir, IR_16, v) : v;
}

struct ir_addr tr_stack(struct x86_tr *t, ir_ref sp, int64_t disp, unsigned size, bool write)
{
    if (t->code64) {
        return (struct ir_addr){.base = sp, .disp = disp};
    }
    return tr_seg_addr(t, X86_SS, tr_sp_add(t, sp, disp), size, write);
}

void tr_put_sp(struct x86_tr *t, ir_ref sp)
{
    tr_write_reg(t, X86_RSP, tr_sp_size(t), sp);
}

void tr_push(struct x86_tr *t, unsigned size, ir_ref v)
{
    ir_ref sp = tr_reg(t, X86_RSP);
    ir_st(t->ir, tr_stack(t, sp, -(int64_t)size, size, true), tr_mem(t, size), v);
    tr_put_sp(t, tr_sp_add(t, sp, -(int64_t)size));
}

/* ---- look-ahead: are the flags overwritten before anything can see them? ---- */

enum { LOOK_AHEAD = 5 };

static bool may_fault(const struct x86_insn *i)
{
    return (x86_insn_has_mem(i) && i->row->handler != X86_H_lea && i->row->handler != X86_H_nop) ||
           (i->row->marks & (X86_ROW_SYS | X86_ROW_VEC | X86_ROW_MMX | X86_ROW_X87 | X86_ROW_FPEXC | X86_ROW_ENDS | X86_ROW_STRING)) ||
           i->row->need != X86_FEAT_NONE;
}

/* Instructions that fault or touch memory without a memory operand in the table. */
static bool is_plain(unsigned handler)
{
    switch (handler) {
    case X86_H_alu: case X86_H_test: case X86_H_mov: case X86_H_movzx: case X86_H_movsx: case X86_H_lea: case X86_H_incdec:
    case X86_H_imul: case X86_H_nop: case X86_H_setcc: case X86_H_neg: case X86_H_not: case X86_H_cbw: case X86_H_cwd:
    case X86_H_shift: case X86_H_bswap:
        return true;
    default:
        return false;
    }
}

bool tr_flags_dead_at(struct x86_tr *t, int64_t off)
{
    if (off < 0 || off >= PAGE_SIZE || (t->mode & (X86_MODE_TF | X86_MODE_BREAK | X86_MODE_SHADOW)) || t->ir->no_chain) {
        return false;
    }
    uint32_t live = X86_FL_ARITH;
    for (unsigned n = 0; n < LOOK_AHEAD && off < PAGE_SIZE; n++) {
        struct x86_insn i;
        int len = x86_decode(&i, t->src->bytes + off, PAGE_SIZE - (unsigned)off, t->code64 ? X86_CODE64 : t->code32 ? X86_CODE32 : X86_CODE16);
        if (len <= 0) {
            return false;
        }
        if (i.row->handler == X86_H_jmp && !salted(t) && i.opsize != 2) {
            int64_t to = off + len + i.imm;
            if (to <= off || to >= PAGE_SIZE) {
                return false;
            }
            off = to;
            continue;
        }
        if (may_fault(&i) || !is_plain(i.row->handler) || (i.row->fl_read & live)) {
            return false;
        }
        if (i.row->handler == X86_H_shift) {
            /* rotates keep flags; a count of 0 or in CL may change none */
            bool count1 = i.op[1].kind == X86_OPND_IMM && (i.imm & 31) != 0 && i.row->arg >= X86_SHIFT_SHL;
            if (!count1) {
                return false;
            }
        }
        live &= ~(i.row->fl_written | i.row->fl_undef);
        if (!live) {
            return true;
        }
        off += len;
    }
    return false;
}

/* ---- the driver ---- */

/* CR0.EM/TS/MP and CR4.OSFXSR decide whether vector and x87 instructions may run (SDM vol. 3, 2.5, 13.1). True: raised. */
static bool fpu_unavailable(struct x86_tr *t)
{
    uint32_t marks = t->i->row->marks, m = t->mode;
    if ((marks & X86_ROW_VEC) && (t->i->prefixes & X86_PFX_VEX)) {
        if (!(m & X86_MODE_AVX)) {
            tr_ud(t);
            return true;
        }
    } else if (marks & X86_ROW_VEC) {
        if ((m & X86_MODE_EM) || !(m & X86_MODE_OSFXSR)) {
            tr_ud(t);
            return true;
        }
    } else if (marks & X86_ROW_MMX) {
        if (m & X86_MODE_EM) {
            tr_ud(t);
            return true;
        }
    } else if (!(marks & X86_ROW_X87)) {
        return false;
    }
    bool fwait = t->i->row->handler == X86_H_fwait;
    bool nm = fwait ? (m & X86_MODE_TS) && (m & X86_MODE_MP)
                    : (m & X86_MODE_TS) || ((marks & X86_ROW_X87) && (m & X86_MODE_EM));
    if (nm) {
        tr_fault(t, VEC_NM, -1);
    }
    return nm;
}

/* sti was the last instruction here: the next one runs alone under its shadow, then events are looked for. */
static void shadow_alone(struct x86_tr *t)
{
    tr_call(t, &x86_helper_set_shadow, ir_const(t->ir, 0), 0, 0, 0);
    ir_exit_loop(t->ir, TCG_EXIT_MODE, tr_target(t, t->off));
}

/* Does the instruction lie within CS's limit (SDM vol. 3, 5.3)? False: #GP was raised. */
static bool within_code(struct x86_tr *t)
{
    uint64_t last = t->eip + (t->next_off - t->off) - 1;
    if (t->mode & X86_MODE_CS_LIMIT) {
        tr_check_ip(t, ir_const(t->ir, (int64_t)last));
        return true;
    }
    if (t->code64 || t->code32 || last <= 0xffff) {
        return true;
    }
    return tr_fault(t, VEC_GP, 0);
}

/* May the instruction's translation depend on bits of X86_MODE_OPTIONAL? */
static bool mode_bound(const struct x86_row *row)
{
    return (row->marks & (X86_ROW_SYS | X86_ROW_VEC | X86_ROW_MMX | X86_ROW_X87 | X86_ROW_FPEXC | X86_ROW_RAND)) || row->need != X86_FEAT_NONE;
}

/* Decodes at t->off into *i; false when the region ends here (an exit was emitted, or src says what is needed). */
static bool fetch(struct x86_tr *t, struct x86_insn *i, bool first)
{
    struct tcg_source *src = t->src;
    enum x86_code_mode code = t->code64 ? X86_CODE64 : t->code32 ? X86_CODE32 : X86_CODE16;
    int len = x86_decode(i, src->bytes + t->off, PAGE_SIZE - t->off, code);
    if (t->sti_shadow && (len <= 0 || (i->row->marks & X86_ROW_ENDS))) {
        shadow_alone(t);
        return false;
    }
    if (len == X86_DECODE_MORE) {
        if (!first) {
            t->next_off = t->off;
            ir_exit_jump(t->ir, tr_target(t, t->off));
            return false;
        }
        if (!src->next) {
            src->need_next = true;
            return false;
        }
        uint8_t buf[2 * X86_INSN_MAX] = {0};
        unsigned here = PAGE_SIZE - t->off;
        memcpy(buf, src->bytes + t->off, here);
        memcpy(buf + here, src->next, X86_INSN_MAX);
        len = x86_decode(i, buf, here + X86_INSN_MAX, code);
        src->crosses = true;
    }
    if (len > 0 && (i->prefixes & X86_PFX_VEX) && !tr_protected(t)) {
        len = X86_DECODE_UD;                          /* VEX needs protected mode (SDM vol. 2, 2.3.2) */
    }
    if (len > 0 && !tr_has(t, i->row->need)) {
        len = i->row->marks & X86_ROW_ELSE_NP ? x86_decode_plain(i) : X86_DECODE_UD;
    }
    t->ir->mode_bound |= len <= 0 || mode_bound(i->row);
    t->i = i;
    t->next_off = t->off + (len > 0 ? (unsigned)len : i->len);
    t->insn_off = t->off;
    ir_insn(t->ir, t->off, t->next_off - t->off);
    if (!within_code(t)) {
        return false;
    }
    if (t->mode & X86_MODE_BREAK) {
        tr_call(t, &x86_helper_code_break, ir_pcrel(t->ir, t->off), 0, 0, 0);
    }
    if (len > 0) {
        return !fpu_unavailable(t);
    }
    return len == X86_DECODE_TOO_LONG ? tr_fault(t, VEC_GP, 0) : tr_ud(t);
}

/* One instruction; false when the region has ended. */
static bool translate_one(struct x86_tr *t, struct x86_insn *i, bool first)
{
    bool shadowed = t->sti_shadow;
    if (!fetch(t, i, first)) {
        return false;
    }
    if (t->mode & X86_MODE_SHADOW) {
        tr_call(t, &x86_helper_end_shadow, 0, 0, 0, 0);
    }
    if ((i->row->marks & X86_ROW_NOWAIT) && !(t->mode & X86_MODE_NE)) {
        ir_stenv(t->ir, IR_8, X86_ENV(ignne), ir_const(t->ir, 0));      /* FNCLEX and its like end the error, and with it IGNNE# */
    }
    if (!x86_tr_table[i->row->handler](t, i)) {
        return false;
    }
    t->off = t->next_off;
    t->eip += i->len;
    if (t->mode & (X86_MODE_SHADOW | X86_MODE_TF)) {
        return tr_end(t, TCG_EXIT_EVENT);
    }
    if (shadowed) {
        /* an interrupt that IF held back comes now; else go on without a trip through the loop */
        ir_exit_ifz(t->ir, IR_8, ir_ldenv(t->ir, IR_8, X86_ENV(irq_waits)), false, tr_target(t, t->off));
        t->next_off = t->off;
        return tr_end(t, TCG_EXIT_EVENT);
    }
    return true;
}

/*
 * The region has the instructions it was to have. It goes on all the same between the maker of flags and their reader: across regions
 * flags go through memory, dearly. Not beyond the bytes that the caller counts on.
 */
static bool full_up(const struct x86_tr *t)
{
    enum x86_code_mode code = t->code64 ? X86_CODE64 : t->code32 ? X86_CODE32 : X86_CODE16;
    struct x86_insn i;

    return t->src->max_insns == 1 || !t->flags || t->off + X86_INSN_MAX > t->src->offset + t->src->max_insns * X86_INSN_MAX ||
           x86_decode(&i, t->src->bytes + t->off, PAGE_SIZE - t->off, code) <= 0 || !i.row->fl_read;
}

/*
 * A side exit leads here: most likely the way past is taken some day too, and the code from here on becomes a region of its own then. In a
 * region that is long already it had better begin here at once than be translated twice.
 */
enum { JOIN_MIN = 8 };

static bool joins(const struct x86_tr *t, unsigned n)
{
    for (unsigned e = 0; n >= JOIN_MIN && e < t->ir->n_exits; e++) {
        if (t->ir->exits[e].off == (int32_t)t->off) {
            return !t->sti_shadow;
        }
    }
    return false;
}

void x86_translate(struct ir *ir, struct tcg_source *src)
{
    struct x86_insn insn;
    struct x86_tr t = {
        .ir = ir, .src = src, .cpu = x86_of(src->cpu), .mode = src->key.mode, .off = src->offset, .eip = src->key.salt,
    };
    t.code64 = (t.mode & X86_MODE_CODE_MASK) == X86_MODE_CODE64;
    t.code32 = (t.mode & X86_MODE_CODE_MASK) == X86_MODE_CODE32;
    if (t.mode & (X86_MODE_TF | X86_MODE_SHADOW)) {
        ir->no_chain = true;
    }
    if (t.mode & X86_MODE_EVENT) {                    /* a debug trap is due before the instruction */
        ir_insn(ir, t.off, 0);
        ir_exit_loop(ir, TCG_EXIT_EVENT, tr_target(&t, t.off));
        return;
    }
    for (unsigned n = 0; ; n++) {
        if ((n && (t.off >= PAGE_SIZE || src->crosses || !ir_has_room(ir) || (n >= src->max_insns && full_up(&t))) && !t.sti_shadow) ||
            joins(&t, n)) {
            tr_goto(&t, t.off);
            break;
        }
        if (n && (t.off >= PAGE_SIZE || src->crosses || n >= src->max_insns) && t.sti_shadow) {
            shadow_alone(&t);
            break;
        }
        if (!translate_one(&t, &insn, n == 0)) {
            break;
        }
    }
}
