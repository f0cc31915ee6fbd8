/*
 * x86 decoder: walks the tables that tools/insngen makes from insn.def. See decode.h for what it promises.
 *
 * Order: prefixes, opcode map, (peek at ModRM) row, memory operand, operands and immediates, LOCK check.
 * Spec: Intel SDM vol. 2 sections 2.1-2.3, appendix A; AMD APM vol. 3 chapter 1.
 */
#include "cpu/x86/decode.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* One row that an opcode may stand for. */
struct row_match {
    uint8_t prefixes; /* accepted prefix classes: bit 0 none, 1 66, 2 F3, 3 F2 */
    uint8_t modrm_mask, modrm_val;
    uint8_t states; /* accepted states: bit number W | B << 1 | is64 << 2 */
    uint16_t row;
};

struct opcode_group {
    uint16_t first;
    uint8_t count;
};

struct opcode_index {
    uint16_t first; /* of row_matches; kind 3: of opcode_groups */
    uint8_t count, kind;
};

#include "cpu/x86/insn_rows.h"

enum { INDEX_NONE, INDEX_PLAIN, INDEX_MODRM, INDEX_GROUP };
enum { SHAPE_OPNDS = 7, SHAPE_MOD_IGNORED = 8, SHAPE_VVVV = 16 };
enum { PC_NONE, PC_66, PC_F3, PC_F2 }; /* prefix classes, numbered as VEX.pp */
enum { PK_NOT, PK_SEG, PK_66, PK_67, PK_LOCK, PK_F2, PK_F3, PK_REX };

/* What each byte is at the start of an instruction; segment overrides: PK_SEG | segment << 4. */
static const uint8_t prefix_kind[256] = {
    [0x26] = PK_SEG | X86_ES << 4, [0x2e] = PK_SEG | X86_CS << 4, [0x36] = PK_SEG | X86_SS << 4,
    [0x3e] = PK_SEG | X86_DS << 4, [0x64] = PK_SEG | X86_FS << 4, [0x65] = PK_SEG | X86_GS << 4,
    [0x66] = PK_66,                [0x67] = PK_67,                [0xf0] = PK_LOCK,
    [0xf2] = PK_F2,                [0xf3] = PK_F3,                [0x40 ... 0x4f] = PK_REX,
};

/* Bytes of an operand by size letter and operand size (index 0: 2, 1: 4, 2: 8). n and s depend on the mode instead. */
static const uint8_t size_bytes[Z_COUNT][3] = {
    [Z_b] = { 1, 1, 1 },     [Z_w] = { 2, 2, 2 },       [Z_d] = { 4, 4, 4 },  [Z_q] = { 8, 8, 8 },
    [Z_dq] = { 16, 16, 16 }, [Z_t] = { 10, 10, 10 },    [Z_v] = { 2, 4, 8 },  [Z_z] = { 2, 4, 4 },
    [Z_p] = { 4, 6, 10 },    [Z_a] = { 4, 8, 0 },       [Z_y] = { 4, 4, 8 },
    [Z_env] = { 14, 28, 28 }, [Z_sav] = { 94, 108, 108 },
};

/* 16-bit addressing by ModRM.rm: {base, index}; SDM vol. 2 table 2-1. */
static const int8_t addr16[8][2] = {
    { X86_RBX, X86_RSI }, { X86_RBX, X86_RDI }, { X86_RBP, X86_RSI }, { X86_RBP, X86_RDI },
    { X86_RSI, -1 },      { X86_RDI, -1 },      { X86_RBP, -1 },      { X86_RBX, -1 },
};

/* The decoder's own state. rex_* are 0 or 8, ready to be or-ed to a register number. */
struct cursor {
    const uint8_t *p;
    unsigned pos, limit;
    uint8_t pclass; /* PC_... */
    uint8_t rep;    /* 0, 0xf2, 0xf3: the last of them */
    uint8_t seg;    /* override in effect */
    bool rex_w;
    uint8_t rex_r, rex_x, rex_b;
    uint8_t vvvv;
    bool has_modrm;
};

/* Functions that return int: 0, or an enum x86_decode_error. */
static int out_of_bytes(const struct cursor *c)
{
    return c->limit == X86_INSN_MAX ? X86_DECODE_TOO_LONG : X86_DECODE_MORE;
}

static bool have(const struct cursor *c, unsigned n) { return c->limit - c->pos >= n; }

/* Reads n = 1, 2, 4, 8 bytes, sign-extended. The caller has checked that they are there. */
static int64_t take(struct cursor *c, unsigned n)
{
    const uint8_t *p = c->p + c->pos;
    int16_t w;
    int32_t d;
    int64_t q;

    c->pos += n;
    switch (n) {
    case 1:
        return (int8_t)*p;
    case 2:
        memcpy(&w, p, 2);
        return w;
    case 4:
        memcpy(&d, p, 4);
        return d;
    default:
        memcpy(&q, p, 8);
        return q;
    }
}

/* Legacy prefixes and REX. Returns 0 or an error; c->pos is then at the opcode or escape byte. */
static int prefixes(struct x86_insn *i, struct cursor *c)
{
    bool is64 = i->mode == X86_CODE64;

    for (;; c->pos++) {
        if (c->pos >= c->limit)
            return out_of_bytes(c);
        uint8_t byte = c->p[c->pos], kind = prefix_kind[byte];
        if (kind == PK_NOT || (kind == PK_REX && !is64))
            return 0;
        i->rex = 0; /* a REX that is not the last prefix has no effect */
        switch (kind & 15) {
        case PK_SEG:
            i->seg = kind >> 4;
            if (!is64 || i->seg >= X86_FS)
                c->seg = i->seg;
            break;
        case PK_66:
            i->prefixes |= X86_PFX_66;
            break;
        case PK_67:
            i->prefixes |= X86_PFX_67;
            break;
        case PK_LOCK:
            i->prefixes |= X86_PFX_LOCK;
            break;
        case PK_F2:
        case PK_F3:
            c->rep = byte;
            break;
        case PK_REX:
            i->rex = byte;
            break;
        }
    }
}

static void rex_bits(struct x86_insn *i, struct cursor *c, uint8_t rex)
{
    i->rex = rex;
    c->rex_w = rex & 8;
    c->rex_r = (rex & 4) << 1;
    c->rex_x = (rex & 2) << 2;
    c->rex_b = (rex & 1) << 3;
}

/* C4/C5 at c->pos (SDM vol. 2 section 2.3.5). c->pos is then at the opcode. */
static int vex(struct x86_insn *i, struct cursor *c)
{
    bool three = c->p[c->pos] == 0xc4;
    bool is64 = i->mode == X86_CODE64;
    uint8_t b1, b2, map = 1;

    if (!have(c, three ? 4 : 3))
        return out_of_bytes(c);
    if (i->rex || c->rep || (i->prefixes & (X86_PFX_66 | X86_PFX_LOCK)))
        return X86_DECODE_UD;
    b1 = c->p[c->pos + 1];
    b2 = c->p[c->pos + 1 + three];
    c->pos += 2 + three;
    uint8_t rxb = three ? ~b1 >> 5 & 7 : (~b1 >> 5 & 4); /* R X B */
    if (three)
        map = b1 & 31;
    if (map < 1 || map > 3)
        return X86_DECODE_UD;
    i->map = X86_MAP_V0F + map - 1;
    i->prefixes |= X86_PFX_VEX;
    i->vex_l = b2 >> 2 & 1;
    /* Outside 64-bit mode R, X, B are no extensions, W is ignored, and so is the top bit of vvvv. */
    rex_bits(i, c, 0x40 | (is64 ? (three && b2 & 0x80 ? 8 : 0) | rxb : 0));
    c->vvvv = ~b2 >> 3 & (is64 ? 15 : 7);
    if (!is64 && !(b2 & 0x40))
        c->vvvv |= 16; /* still not 1111 for rows without the operand */
    c->pclass = b2 & 3;
    return i->vex_l ? X86_DECODE_UD : 0;
}

/* Map and opcode byte. c->pos is then behind the opcode. */
static int opcode(struct x86_insn *i, struct cursor *c)
{
    bool is64 = i->mode == X86_CODE64;
    uint8_t byte = c->p[c->pos];
    int err;

    i->map = X86_MAP_0;
    if ((byte & 0xfe) == 0xc4) {
        if (!have(c, 2))
            return out_of_bytes(c);
        if (is64 || c->p[c->pos + 1] >= 0xc0) {
            err = vex(i, c);
            if (err)
                return err;
            byte = c->p[c->pos];
        }
    } else if (byte == 0x0f) {
        if (!have(c, 2))
            return out_of_bytes(c);
        byte = c->p[++c->pos];
        i->map = X86_MAP_0F;
        if (byte == 0x38 || byte == 0x3a) {
            if (!have(c, 2))
                return out_of_bytes(c);
            i->map = byte == 0x38 ? X86_MAP_0F38 : X86_MAP_0F3A;
            byte = c->p[++c->pos];
        }
    }
    i->opcode_at = (uint8_t)c->pos++;
    i->opcode = byte;
    return 0;
}

static int find_row(struct x86_insn *i, struct cursor *c)
{
    const struct opcode_index *x = &opcode_index[i->map][i->opcode];
    unsigned first = x->first, count = x->count;
    unsigned state = c->rex_w | c->rex_b >> 2 | (i->mode == X86_CODE64) << 2;
    uint8_t modrm = 0;

    if (x->kind == INDEX_NONE)
        return X86_DECODE_UD;
    if (x->kind >= INDEX_MODRM) {
        if (!have(c, 1))
            return out_of_bytes(c);
        modrm = c->p[c->pos++];
        c->has_modrm = true;
    }
    i->modrm = modrm;
    if (x->kind == INDEX_GROUP) {
        const struct opcode_group *g = &opcode_groups[first + ((modrm >= 0xc0) << 3 | (modrm >> 3 & 7))];
        first = g->first;
        count = g->count;
    }
    for (const struct row_match *m = &row_matches[first]; count; m++, count--)
        if ((m->prefixes >> c->pclass & 1) && (modrm & m->modrm_mask) == m->modrm_val && (m->states >> state & 1)) {
            i->row = &x86_rows[m->row];
            return 0;
        }
    return X86_DECODE_UD;
}

/* Operand and address size (SDM vol. 1 table 3-4, vol. 2 section 2.2.1.2). */
static void sizes(struct x86_insn *i, const struct cursor *c)
{
    bool p66 = (i->prefixes & X86_PFX_66) && i->row->prefix != X86_RP_66;

    if (i->mode == X86_CODE64) {
        if (c->rex_w || (i->row->marks & X86_ROW_F64))
            i->opsize = 8;
        else if (p66)
            i->opsize = 2;
        else
            i->opsize = i->row->marks & X86_ROW_D64 ? 8 : 4;
    } else {
        i->opsize = (i->mode == X86_CODE32) != p66 ? 4 : 2;
    }
}

static uint8_t opnd_bytes(const struct x86_insn *i, const struct cursor *c, unsigned size)
{
    switch (size) {
    case Z_y: /* 66 does not matter */
        return c->rex_w ? 8 : 4;
    case Z_n:
        return i->mode == X86_CODE64 ? 8 : 4;
    case Z_s:
        return i->mode == X86_CODE64 ? 10 : 6;
    default:
        return size_bytes[size][i->opsize >> 2];
    }
}

static int memory16(struct x86_insn *i, struct cursor *c)
{
    struct x86_mem *m = &i->mem;
    unsigned mod = i->modrm >> 6, rm = i->modrm & 7;

    m->base = addr16[rm][0];
    m->index = addr16[rm][1];
    unsigned disp = mod; /* bytes: 0, 1, 2 */
    if (mod == 0 && rm == 6) {
        m->base = -1;
        disp = 2;
    }
    if (!have(c, disp))
        return out_of_bytes(c);
    if (disp)
        m->disp = take(c, disp);
    if (m->base == X86_RBP)
        m->seg = X86_SS;
    return 0;
}

/* ModRM with mod != 3: fills i->mem except size (SDM vol. 2 section 2.1.5). */
static int memory(struct x86_insn *i, struct cursor *c)
{
    struct x86_mem *m = &i->mem;
    unsigned mod = i->modrm >> 6, rm = i->modrm & 7;
    unsigned disp = mod == 2 ? 4 : mod;
    int err;

    m->disp = 0;
    m->scale = 0;
    m->rip_rel = false;
    m->index = -1;
    m->seg = X86_DS;
    if (i->addrsize == 2) {
        err = memory16(i, c);
        if (err)
            return err;
    } else {
        if (rm == 4) {
            if (!have(c, 1))
                return out_of_bytes(c);
            uint8_t sib = c->p[c->pos++];
            int index = (sib >> 3 & 7) | c->rex_x;
            if (index != 4) {
                m->index = (int8_t)index;
                m->scale = sib >> 6;
            }
            rm = sib & 7;
            m->base = (int8_t)(rm | c->rex_b);
            if (rm == 5 && mod == 0) {
                m->base = -1;
                disp = 4;
            }
        } else if (rm == 5 && mod == 0) {
            m->base = -1;
            m->rip_rel = i->mode == X86_CODE64;
            disp = 4;
        } else {
            m->base = (int8_t)(rm | c->rex_b);
        }
        if (!have(c, disp))
            return out_of_bytes(c);
        if (disp)
            m->disp = take(c, disp);
        if (m->base == X86_RSP || m->base == X86_RBP)
            m->seg = X86_SS;
    }
    if (c->seg != X86_SEG_NONE)
        m->seg = c->seg;
    return 0;
}

static void set_gpr(const struct x86_insn *i, struct x86_opnd *o, unsigned reg, uint8_t size)
{
    o->size = size;
    if (size == 1 && !i->rex && reg >= 4) {
        o->kind = X86_OPND_REG8H;
        o->reg = reg - 4;
    } else {
        o->kind = X86_OPND_REG;
        o->reg = reg;
    }
}

/* An implied memory operand [seg:base]; the second one of an instruction goes to mem2. */
static void set_mem(struct x86_insn *i, struct x86_opnd *o, int base, unsigned seg, uint8_t size)
{
    struct x86_mem *m = o != i->op && i->op[0].kind == X86_OPND_MEM ? &i->mem2 : &i->mem;

    *m = (struct x86_mem){ .base = (int8_t)base, .index = -1, .seg = seg, .size = size };
    o->kind = X86_OPND_MEM;
    o->size = size;
    o->place = X86_AT_FIXED;
}

/* Immediates, displacements, far pointers, moffs. */
static int opnd_imm(struct x86_insn *i, struct cursor *c, struct x86_opnd *o, const struct opnd_spec *s)
{
    unsigned n = opnd_bytes(i, c, s->size);
    bool second = o != i->op && o[-1].kind == X86_OPND_IMM;

    o->place = X86_AT_IMM;
    o->size = (uint8_t)n;
    switch (s->method) {
    case M_O:
        if (!have(c, i->addrsize))
            return out_of_bytes(c);
        i->mem = (struct x86_mem){ .base = -1, .index = -1, .seg = c->seg == X86_SEG_NONE ? X86_DS : c->seg, .size = o->size };
        i->mem.disp = take(c, i->addrsize);
        if (i->addrsize < 8)
            i->mem.disp &= (1LL << (i->addrsize * 8)) - 1;
        o->kind = X86_OPND_MEM;
        return 0;
    case M_A:
        if (!have(c, n))
            return out_of_bytes(c);
        o->kind = X86_OPND_PTR;
        i->imm = take(c, n - 2) & (n == 4 ? 0xffff : 0xffffffff);
        i->imm2 = take(c, 2) & 0xffff;
        return 0;
    case M_J:
        o->kind = X86_OPND_REL;
        o->size = i->opsize;
        break;
    default:
        o->kind = second ? X86_OPND_IMM2 : X86_OPND_IMM;
        break;
    }
    if (!have(c, n))
        return out_of_bytes(c);
    int64_t v = take(c, n);
    if (s->method == M_I && n <= 2 && s->size != Z_z && s->size != Z_v)
        v &= n == 1 ? 0xff : 0xffff;
    if (s->method == M_sI || s->size == Z_z)
        o->size = i->opsize;
    *(second ? &i->imm2 : &i->imm) = v;
    return 0;
}

/* Operands in ModRM.rm that may be memory. Returns false if it was one. */
static bool is_reg(struct x86_insn *i, const struct cursor *c, struct x86_opnd *o, const struct opnd_spec *s)
{
    o->place = X86_AT_RM;
    if (i->modrm >= 0xc0)
        return true;
    o->kind = X86_OPND_MEM;
    o->size = i->mem.size = opnd_bytes(i, c, s->mem_size);
    return false;
}

static int opnd_reg(struct x86_opnd *o, uint8_t kind, unsigned reg, uint8_t size)
{
    o->kind = kind;
    o->reg = reg;
    o->size = size;
    return 0;
}

/* Operands that the opcode implies. */
static int opnd_fixed(struct x86_insn *i, struct cursor *c, struct x86_opnd *o, const struct opnd_spec *s)
{
    uint8_t size = opnd_bytes(i, c, s->size);
    unsigned seg = c->seg == X86_SEG_NONE ? X86_DS : c->seg;

    switch (s->method) {
    case M_GPR:
        return opnd_reg(o, X86_OPND_REG, s->reg, size);
    case M_ONE:
        i->imm = 1;
        return opnd_reg(o, X86_OPND_IMM, 0, 1);
    case M_ST0:
        return opnd_reg(o, X86_OPND_ST, 0, size);
    case M_XMM0:
        return opnd_reg(o, X86_OPND_XMM, 0, size);
    case M_SEG:
        return opnd_reg(o, X86_OPND_SEG, s->reg, size);
    case M_BX:
        set_mem(i, o, X86_RBX, seg, size);
        return 0;
    case M_DI:
        set_mem(i, o, X86_RDI, seg, i->op[0].size);
        return 0;
    case M_X:
        set_mem(i, o, X86_RSI, seg, size);
        return 0;
    default: /* M_Y: no override */
        set_mem(i, o, X86_RDI, X86_ES, size);
        return 0;
    }
}

static int operand(struct x86_insn *i, struct cursor *c, struct x86_opnd *o, const struct opnd_spec *s)
{
    unsigned reg = i->modrm >> 3 & 7, rm = i->modrm & 7;

    switch (s->method) {
    case M_E:
        if (is_reg(i, c, o, s))
            set_gpr(i, o, rm | c->rex_b, opnd_bytes(i, c, s->size));
        return 0;
    case M_G:
        o->place = X86_AT_REG;
        set_gpr(i, o, reg | c->rex_r, opnd_bytes(i, c, s->size));
        return 0;
    case M_R:
        o->place = X86_AT_RM;
        set_gpr(i, o, rm | c->rex_b, opnd_bytes(i, c, s->size));
        return 0;
    case M_M:
        is_reg(i, c, o, s);
        return 0;
    case M_Z:
        o->place = X86_AT_OPCODE;
        set_gpr(i, o, (i->opcode & 7) | c->rex_b, opnd_bytes(i, c, s->size));
        return 0;
    case M_B:
        o->place = X86_AT_VVVV;
        set_gpr(i, o, c->vvvv & 15, opnd_bytes(i, c, s->size));
        return 0;
    case M_V:
        o->place = X86_AT_REG;
        return opnd_reg(o, X86_OPND_XMM, reg | c->rex_r, opnd_bytes(i, c, s->size));
    case M_W:
    case M_U:
        return is_reg(i, c, o, s) ? opnd_reg(o, X86_OPND_XMM, rm | c->rex_b, opnd_bytes(i, c, s->size)) : 0;
    case M_P:
        o->place = X86_AT_REG;
        return opnd_reg(o, X86_OPND_MMX, reg, opnd_bytes(i, c, s->size));
    case M_Q:
    case M_N:
        return is_reg(i, c, o, s) ? opnd_reg(o, X86_OPND_MMX, rm, opnd_bytes(i, c, s->size)) : 0;
    case M_C:
        reg |= c->rex_r;
        if (!(0x11d >> reg & 1)) /* 0 2 3 4 8 */
            return X86_DECODE_UD;
        o->place = X86_AT_REG;
        return opnd_reg(o, X86_OPND_CR, reg, opnd_bytes(i, c, s->size));
    case M_D:
        o->place = X86_AT_REG;
        return c->rex_r ? X86_DECODE_UD : opnd_reg(o, X86_OPND_DR, reg, opnd_bytes(i, c, s->size));
    case M_S:
        o->place = X86_AT_REG;
        return reg > X86_GS ? X86_DECODE_UD : opnd_reg(o, X86_OPND_SEG, reg, 2);
    case M_STI:
        o->place = X86_AT_RM;
        return opnd_reg(o, X86_OPND_ST, rm, opnd_bytes(i, c, s->size));
    case M_I:
    case M_sI:
    case M_J:
    case M_O:
    case M_A:
        return opnd_imm(i, c, o, s);
    default:
        return opnd_fixed(i, c, o, s);
    }
}

static int operands(struct x86_insn *i, struct cursor *c)
{
    unsigned shape = row_shape[i->row - x86_rows];
    int err;

    if (shape & SHAPE_MOD_IGNORED)
        i->modrm |= 0xc0; /* mov to and from cr, dr: always registers, no displacement follows */
    else if (c->has_modrm && i->modrm < 0xc0 && (err = memory(i, c)))
        return err;
    if ((i->prefixes & X86_PFX_VEX) && !(shape & SHAPE_VVVV) && c->vvvv)
        return X86_DECODE_UD;
    i->nopnd = shape & SHAPE_OPNDS;
    for (unsigned k = 0; k < i->nopnd; k++) {
        err = operand(i, c, &i->op[k], &opnd_specs[i->row->opnd[k]]);
        if (err)
            return err;
    }
    if ((i->prefixes & X86_PFX_LOCK) && (!(i->row->marks & X86_ROW_LOCK) || i->op[0].kind != X86_OPND_MEM))
        return X86_DECODE_UD;
    return 0;
}

static int decode(struct x86_insn *i, struct cursor *c, bool plain)
{
    int err = prefixes(i, c);

    if (err)
        return err;
    if (i->rex) {
        i->prefixes |= X86_PFX_REX;
        rex_bits(i, c, i->rex);
    }
    if (c->rep && !plain)
        c->pclass = c->rep == 0xf3 ? PC_F3 : PC_F2;
    else if (i->prefixes & X86_PFX_66)
        c->pclass = PC_66;
    if (i->mode == X86_CODE64)
        i->addrsize = i->prefixes & X86_PFX_67 ? 4 : 8;
    else
        i->addrsize = (i->mode == X86_CODE32) != !!(i->prefixes & X86_PFX_67) ? 4 : 2;
    err = opcode(i, c);
    if (!err)
        err = find_row(i, c);
    if (err)
        return err;
    sizes(i, c);
    if (c->rep && i->row->prefix == X86_RP_ANY)
        i->prefixes |= c->rep == 0xf3 ? X86_PFX_REP : X86_PFX_REPNE;
    return operands(i, c);
}

/* Copies the first n <= 15 of `avail` bytes and zeroes the rest of the 16. */
static void copy_bytes(struct x86_insn *i, const uint8_t *bytes, unsigned n, unsigned avail)
{
    uint64_t lo, hi;

    if (avail < 16) {
        memset(i->bytes, 0, sizeof(i->bytes));
        memcpy(i->bytes, bytes, n);
        return;
    }
    memcpy(&lo, bytes, 8);
    memcpy(&hi, bytes + 8, 8);
    if (n < 8) {
        lo &= (1ULL << (n * 8)) - 1;
        hi = 0;
    } else {
        hi &= (1ULL << ((n - 8) * 8)) - 1;
    }
    memcpy(i->bytes, &lo, 8);
    memcpy(i->bytes + 8, &hi, 8);
}

static int decode_bytes(struct x86_insn *i, const uint8_t *bytes, unsigned avail, enum x86_code_mode mode, bool plain)
{
    struct cursor c = { .p = bytes, .limit = avail < X86_INSN_MAX ? avail : X86_INSN_MAX, .seg = X86_SEG_NONE };

    memset(i, 0, offsetof(struct x86_insn, mem)); /* the rest is set where it means something */
    i->imm = i->imm2 = 0;
    i->mode = mode;
    i->seg = X86_SEG_NONE;
    int err = decode(i, &c, plain);
    i->len = (uint8_t)c.pos;
    copy_bytes(i, bytes, c.pos, avail);
    return err ? err : (int)c.pos;
}

int x86_decode(struct x86_insn *i, const uint8_t *bytes, unsigned avail, enum x86_code_mode mode)
{
    return decode_bytes(i, bytes, avail, mode, false);
}

int x86_decode_plain(struct x86_insn *i)
{
    uint8_t bytes[16];

    memcpy(bytes, i->bytes, sizeof(bytes));
    return decode_bytes(i, bytes, i->len, i->mode, true);
}

void x86_insn_name(const struct x86_insn *i, char *buf, unsigned size)
{
    const char *s = i->row->name, *by_addr = strchr(s, ':');
    unsigned skip = (by_addr ? i->addrsize : i->opsize) >> 2;
    char sep = by_addr ? ':' : '/';

    for (const char *next; skip && (next = strchr(s, sep)); skip--)
        s = next + 1;
    const char *end = strchr(s, sep);
    snprintf(buf, size, "%.*s", end ? (int)(end - s) : (int)strlen(s), s);
}

const char *x86_row_opnd(const struct x86_row *row, unsigned n)
{
    return n < 4 && row->opnd[n] ? opnd_specs[row->opnd[n]].name : NULL;
}
