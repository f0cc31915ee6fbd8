/*
 * x86 decoder: walks the tables that tools/insngen makes from insn.def. See decode.h for what it promises.
 *
 * Order: prefixes, opcode map, (peek at ModRM) row, memory operand, operands and immediates, LOCK check.
 * Spec: Intel SDM vol. 2 sections 2.1-2.3, appendix A; AMD APM vol. 3 chapter 1.
 *
 * quick() is a little over 100 lines: it decodes usual instructions with everything in locals, and cut in two it would pass them all.
 */
#include "cpu/x86/decode.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* One row that an opcode may stand for. */
struct row_match {
    uint8_t prefixes; /* accepted prefix classes: bit 0 none, 1 66, 2 F3, 3 F2 */
    uint8_t modrm_mask, modrm_val;
    uint8_t states; /* accepted states: bit number W | B << 1 | is64 << 2; VEX: W | L << 1 | is64 << 2 */
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

/* An operand letter. */
struct opnd_spec {
    const char *name;
    uint8_t method;         /* M_PLAIN: register or memory, told by the rest; else what operand() switches on */
    uint8_t size, mem_size; /* Z_...: of the register form, of the memory form */
    uint8_t reg;            /* number if the opcode implies the register */
    uint8_t mask;           /* of the register number: 7 = REX does not extend it */
    uint8_t kind, place;    /* enum x86_opnd_kind of the register form, enum x86_opnd_place */
    uint8_t memory;         /* 1: may be memory */
};

#include "cpu/x86/insn_rows.h"

enum { INDEX_NONE, INDEX_PLAIN, INDEX_MODRM, INDEX_GROUP };
enum { SHAPE_OPNDS = 7, SHAPE_MOD_IGNORED = 8, SHAPE_VVVV = 16, SHAPE_VSIB = 32 };
enum { PC_NONE, PC_66, PC_F3, PC_F2 }; /* prefix classes, numbered as VEX.pp */
enum { PK_NOT, PK_SEG, PK_66, PK_67, PK_LOCK, PK_F2, PK_F3, PK_REX };

/* What each byte is at the start of an instruction; segment overrides: PK_SEG | segment << 4. */
static const uint8_t prefix_kind[256] = {
    [0x26] = PK_SEG | X86_ES << 4, [0x2e] = PK_SEG | X86_CS << 4, [0x36] = PK_SEG | X86_SS << 4,
    [0x3e] = PK_SEG | X86_DS << 4, [0x64] = PK_SEG | X86_FS << 4, [0x65] = PK_SEG | X86_GS << 4,
    [0x66] = PK_66,                [0x67] = PK_67,                [0xf0] = PK_LOCK,
    [0xf2] = PK_F2,                [0xf3] = PK_F3,                [0x40 ... 0x4f] = PK_REX,
};

/*
 * Bytes of an operand by size letter and column: operand size 2, 4, 8; the same with REX.W; these six in 64-bit mode; all of them with VEX.L.
 * Without VEX.L only the first twelve are looked at.
 */
#define ALL(x) { [0 ... 23] = x }
#define BY_L(x, y) { [0 ... 11] = x, [12 ... 23] = y }
#define BY_OPSIZE(x, y, z) { x, y, z, x, y, z, x, y, z, x, y, z } /* no VEX instruction has one of these */
#define BY_MODE(x, y) { x, x, x, x, x, x, y, y, y, y, y, y } /* nor these */
static const uint8_t size_bytes[Z_COUNT][24] = {
    [Z_b] = ALL(1),
    [Z_w] = ALL(2),
    [Z_d] = ALL(4),
    [Z_q] = ALL(8),
    [Z_dq] = ALL(16),
    [Z_t] = ALL(10),
    [Z_qq] = ALL(32),
    [Z_x] = BY_L(16, 32), /* a whole vector, half of one, a quarter, an eighth */
    [Z_h] = BY_L(8, 16),
    [Z_f] = BY_L(4, 8),
    [Z_e] = BY_L(2, 4),
    [Z_v] = BY_OPSIZE(2, 4, 8),
    [Z_z] = BY_OPSIZE(2, 4, 4),
    [Z_p] = BY_OPSIZE(4, 6, 10),
    [Z_a] = BY_OPSIZE(4, 8, 0),
    [Z_env] = BY_OPSIZE(14, 28, 28),
    [Z_sav] = BY_OPSIZE(94, 108, 108),
    [Z_n] = BY_MODE(4, 8),
    [Z_s] = BY_MODE(6, 10),
    [Z_y] = { 4, 4, 4, 8, 8, 8, 4, 4, 4, 8, 8, 8, 4, 4, 4, 8, 8, 8, 4, 4, 4, 8, 8, 8 }, /* 66 does not matter */
};
#undef ALL
#undef BY_L
#undef BY_OPSIZE
#undef BY_MODE

/* 16-bit addressing by ModRM.rm: {base, index}; SDM vol. 2 table 2-1. */
static const int8_t addr16[8][2] = {
    { X86_RBX, X86_RSI }, { X86_RBX, X86_RDI }, { X86_RBP, X86_RSI }, { X86_RBP, X86_RDI },
    { X86_RSI, -1 },      { X86_RDI, -1 },      { X86_RBP, -1 },      { X86_RBX, -1 },
};

/* The decoder's own state. rex_* are 0 or 8, ready to be or-ed to a register number. */
struct cursor {
    const uint8_t *p;
    unsigned pos, limit, avail;
    uint8_t column; /* of size_bytes */
    uint8_t reg[5]; /* register number by enum x86_opnd_place */
    uint8_t pclass; /* PC_... */
    uint8_t rep;    /* 0, 0xf2, 0xf3: the last of them */
    uint8_t seg;    /* override in effect */
    bool rex_w;
    uint8_t rex_r, rex_x, rex_b;
    uint8_t vvvv; /* bit 4: see vex() */
    uint8_t wb;   /* of a row's states: W and B, or VEX.W and VEX.L */
    bool has_modrm;
    bool memory; /* ModRM.mod != 3 */
};

/* Functions that return int: 0, or an enum x86_decode_error. */
static int out_of_bytes(const struct cursor *c)
{
    return c->limit == X86_INSN_MAX ? X86_DECODE_TOO_LONG : X86_DECODE_MORE;
}

static bool have(const struct cursor *c, unsigned n) { return c->limit - c->pos >= n; }

/* Reads n = 1..8 bytes, sign-extended. The caller has checked that they are there. */
static int64_t take(struct cursor *c, unsigned n)
{
    uint64_t v = 0;

    if (c->avail - c->pos >= 8)
        memcpy(&v, c->p + c->pos, 8);
    else
        memcpy(&v, c->p + c->pos, n);
    c->pos += n;
    return (int64_t)(v << (64 - n * 8)) >> (64 - n * 8);
}

/* Legacy prefixes and REX. Returns 0 or an error; c->pos is then at the opcode or escape byte. */
static int prefixes(struct x86_insn *i, struct cursor *c)
{
    bool is64 = i->mode == X86_CODE64;

    if (c->limit >= 2) { /* the usual case, at most a REX, without a branch on it */
        bool rex = is64 & ((c->p[0] & 0xf0) == 0x40);
        if (prefix_kind[c->p[rex]] == PK_NOT) {
            i->rex = rex ? c->p[0] : 0;
            c->pos = rex;
            return 0;
        }
    }
    for (;; c->pos++) {
        if (c->pos >= c->limit)
            return out_of_bytes(c);
        uint8_t byte = c->p[c->pos], kind = prefix_kind[byte];
        if (kind == PK_NOT || (kind == PK_REX && !is64))
            return 0;
        if (kind == PK_REX) {
            i->rex = byte;
            continue;
        }
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
    c->wb = c->rex_w | (rex & 1) << 1;
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
    i->vex_w = three && b2 & 0x80;
    /* Outside 64-bit mode R, X, B are no extensions, W does not make general registers wider, and the top bit of vvvv is ignored. */
    rex_bits(i, c, 0x40 | (is64 ? (three && b2 & 0x80 ? 8 : 0) | rxb : 0));
    c->vvvv = ~b2 >> 3 & (is64 ? 15 : 7);
    if (!is64 && !(b2 & 0x40))
        c->vvvv |= 16; /* still not 1111 for rows without the operand */
    c->pclass = b2 & 3;
    c->wb = i->vex_w | i->vex_l << 1;
    return 0;
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
    unsigned state = c->wb | (i->mode == X86_CODE64) << 2;
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
static void sizes(struct x86_insn *i, struct cursor *c)
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
    c->column = (i->opsize >> 2) + (c->rex_w ? 3 : 0) + (i->mode == X86_CODE64 ? 6 : 0) + i->vex_l * 12;
}

static uint8_t opnd_bytes(const struct cursor *c, unsigned size) { return size_bytes[size][c->column]; }

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
    unsigned n = opnd_bytes(c, s->size);
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
    case M_L: /* a vector register in the upper half; outside 64-bit mode its top bit is ignored */
        o->kind = X86_OPND_XMM;
        break;
    case M_J:
        o->kind = X86_OPND_REL;
        o->size = i->opsize;
        break;
    default:
        o->kind = second ? X86_OPND_IMM2 : X86_OPND_IMM;
        break;
    }
    if (!have(c, s->method == M_L ? 1 : n))
        return out_of_bytes(c);
    int64_t v = take(c, s->method == M_L ? 1 : n);
    if (s->method == M_L)
        o->reg = v >> 4 & (i->mode == X86_CODE64 ? 15 : 7);
    if (s->method == M_I && n <= 2 && s->size != Z_z && s->size != Z_v)
        v &= n == 1 ? 0xff : 0xffff;
    if (s->method == M_sI || s->size == Z_z)
        o->size = i->opsize;
    *(second ? &i->imm2 : &i->imm) = v;
    return 0;
}

/* Operands that the opcode implies, other than registers. */
static void opnd_fixed(struct x86_insn *i, struct cursor *c, struct x86_opnd *o, const struct opnd_spec *s)
{
    uint8_t size = opnd_bytes(c, s->size);
    unsigned seg = c->seg == X86_SEG_NONE ? X86_DS : c->seg;

    switch (s->method) {
    case M_ONE:
        i->imm = 1;
        o->kind = X86_OPND_IMM;
        o->size = 1;
        o->place = X86_AT_FIXED;
        break;
    case M_BX:
        set_mem(i, o, X86_RBX, seg, size);
        break;
    case M_DI:
        set_mem(i, o, X86_RDI, seg, i->op[0].size);
        break;
    case M_X:
        set_mem(i, o, X86_RSI, seg, size);
        break;
    default: /* M_Y: no override */
        set_mem(i, o, X86_RDI, X86_ES, size);
        break;
    }
}

/* Segment, control and debug registers, of which not all numbers exist. */
static int opnd_system(struct x86_insn *i, struct cursor *c, struct x86_opnd *o, const struct opnd_spec *s)
{
    unsigned reg = c->reg[X86_AT_REG];

    o->place = X86_AT_REG;
    o->size = opnd_bytes(c, s->size);
    o->reg = reg;
    switch (s->method) {
    case M_C:
        o->kind = X86_OPND_CR;
        return 0x11d >> reg & 1 ? 0 : X86_DECODE_UD; /* 0 2 3 4 8 */
    case M_D:
        o->kind = X86_OPND_DR;
        return reg < 8 ? 0 : X86_DECODE_UD;
    default:
        o->kind = X86_OPND_SEG;
        o->reg = i->modrm >> 3 & 7;
        o->size = 2;
        return o->reg <= X86_GS ? 0 : X86_DECODE_UD;
    }
}

static int operand(struct x86_insn *i, struct cursor *c, struct x86_opnd *o, const struct opnd_spec *s)
{
    switch (s->method) {
    case M_I:
    case M_sI:
    case M_J:
    case M_L:
    case M_O:
    case M_A:
        return opnd_imm(i, c, o, s);
    case M_C:
    case M_D:
    case M_S:
        return opnd_system(i, c, o, s);
    default:
        opnd_fixed(i, c, o, s);
        return 0;
    }
}

/* A register, or memory if ModRM says so. Most operands are this; written to have few branches. */
static void operand_plain(struct x86_insn *i, struct cursor *c, struct x86_opnd *o, const struct opnd_spec *s)
{
    bool memory = c->memory & s->memory;
    uint8_t size = opnd_bytes(c, memory ? s->mem_size : s->size);
    uint8_t kind = memory ? X86_OPND_MEM : s->kind;
    uint8_t reg = c->reg[s->place] & s->mask;

    if (s->place == X86_AT_FIXED)
        reg = s->reg;
    if (memory) {
        i->mem.size = size;
        reg = 0;
    } else if (size == 1 && reg >= 4 && !i->rex && kind == X86_OPND_REG) {
        kind = X86_OPND_REG8H;
        reg -= 4;
    }
    *o = (struct x86_opnd){ kind, size, reg, s->place };
}

/* VSIB: the SIB byte's index is a vector register, whatever its number (SDM vol. 2, 2.3.12). */
static bool vector_index(struct x86_insn *i, struct cursor *c)
{
    i->mem.index = -1;
    if (i->addrsize == 2 || (i->modrm & 7) != 4)
        return false;
    i->mem.vindex = (c->p[i->opcode_at + 2] >> 3 & 7) | c->rex_x;
    i->mem.scale = c->p[i->opcode_at + 2] >> 6;
    return true;
}

static int operands(struct x86_insn *i, struct cursor *c)
{
    unsigned shape = row_shape[i->row - x86_rows];
    int err;

    if (c->has_modrm && i->modrm < 0xc0 && !(shape & SHAPE_MOD_IGNORED)) { /* mov to and from cr, dr: always registers */
        c->memory = true;
        err = memory(i, c);
        if (err)
            return err;
        if ((shape & SHAPE_VSIB) && !vector_index(i, c))
            return X86_DECODE_UD;
    }
    c->reg[X86_AT_REG] = (i->modrm >> 3 & 7) | c->rex_r;
    c->reg[X86_AT_RM] = (i->modrm & 7) | c->rex_b;
    c->reg[X86_AT_OPCODE] = (i->opcode & 7) | c->rex_b;
    c->reg[X86_AT_VVVV] = c->vvvv & 15;
    if ((i->prefixes & X86_PFX_VEX) && !(shape & SHAPE_VVVV) && c->vvvv)
        return X86_DECODE_UD;
    i->nopnd = shape & SHAPE_OPNDS;
    for (unsigned k = 0; k < i->nopnd; k++) {
        const struct opnd_spec *spec = &opnd_specs[i->row->opnd[k]];
        if (spec->method == M_PLAIN) {
            operand_plain(i, c, &i->op[k], spec);
        } else {
            err = operand(i, c, &i->op[k], spec);
            if (err)
                return err;
        }
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
    i->prefixes |= i->rex ? X86_PFX_REX : 0;
    rex_bits(i, c, i->rex);
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
static inline void copy_bytes(struct x86_insn *i, const uint8_t *bytes, unsigned n, unsigned avail)
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
    struct cursor c = { .p = bytes, .limit = avail < X86_INSN_MAX ? avail : X86_INSN_MAX,
                        .avail = avail, .seg = X86_SEG_NONE };

    memset(i, 0, offsetof(struct x86_insn, mem)); /* the rest is set where it means something */
    i->imm = i->imm2 = 0;
    i->mode = mode;
    i->seg = X86_SEG_NONE;
    int err = decode(i, &c, plain);
    i->len = (uint8_t)c.pos;
    copy_bytes(i, bytes, c.pos, avail);
    return err ? err : (int)c.pos;
}

/*
 * The usual instruction by a short way: 64-bit code, no prefix but REX, maps 0 and 0F, operands that are registers, general memory or
 * one immediate. The same tables, with everything in locals: a translator spends its time here. 0: take the long way, which also names errors.
 * Reads up to QUICK_BYTES.
 */
enum { QUICK_BYTES = 24 };

static const uint8_t *quick_memory(struct x86_mem *m, const uint8_t *p, unsigned modrm, unsigned rex)
{
    unsigned mod = modrm >> 6, rm = modrm & 7, disp = mod == 2 ? 4 : mod;
    int base = (int)(rm | (rex & 1) << 3);

    *m = (struct x86_mem){ .index = -1, .seg = X86_DS };
    if (rm == 4) {
        unsigned sib = *p++, index = (sib >> 3 & 7) | (rex & 2) << 2;

        if (index != 4) {
            m->index = (int8_t)index;
            m->scale = (uint8_t)(sib >> 6);
        }
        base = (int)((sib & 7) | (rex & 1) << 3);
        if ((sib & 7) == 5 && mod == 0) {
            base = -1;
            disp = 4;
        }
    } else if (rm == 5 && mod == 0) {
        base = -1;
        m->rip_rel = true;
        disp = 4;
    }
    m->base = (int8_t)base;
    if (base == X86_RSP || base == X86_RBP)
        m->seg = X86_SS;
    if (disp == 1) {
        m->disp = (int8_t)*p;
    } else if (disp) {
        int32_t v;
        memcpy(&v, p, 4);
        m->disp = v;
    }
    return p + disp;
}

static int quick(struct x86_insn *i, const uint8_t *bytes)
{
    const uint8_t *p = bytes;
    unsigned rex = (*p & 0xf0) == 0x40 ? *p++ : 0, op = *p++, map = X86_MAP_0, modrm = 0;
    bool memory = false, wide = rex & 8;

    if (prefix_kind[op] != PK_NOT || (op & 0xfe) == 0xc4)
        return 0;
    if (op == 0x0f) {
        op = *p++;
        if ((op & 0xfd) == 0x38)
            return 0;
        map = X86_MAP_0F;
    }
    i->opcode_at = (uint8_t)(p - bytes - 1);

    const struct opcode_index *x = &opcode_index[map][op];
    unsigned first = x->first, count = x->count, state = 4 | (wide ? 1 : 0) | (rex & 1) << 1;

    if (x->kind == INDEX_NONE)
        return 0;
    if (x->kind >= INDEX_MODRM) {
        modrm = *p++;
        memory = modrm < 0xc0;
        if (x->kind == INDEX_GROUP) {
            const struct opcode_group *g = &opcode_groups[first + (memory ? 0 : 8) + (modrm >> 3 & 7)];
            first = g->first;
            count = g->count;
        }
    }
    const struct row_match *m = &row_matches[first];
    for (;; m++, count--) {
        if (!count)
            return 0;
        if ((m->prefixes & 1) && (modrm & m->modrm_mask) == m->modrm_val && (m->states >> state & 1))
            break;
    }
    const struct x86_row *row = &x86_rows[m->row];
    unsigned shape = row_shape[m->row], n = shape & SHAPE_OPNDS;
    uint8_t opsize = wide || (row->marks & (X86_ROW_F64 | X86_ROW_D64)) ? 8 : 4, column = (uint8_t)(6 + (wide ? 3 : 0) + (opsize >> 2));

    if (memory) {
        if (shape & SHAPE_MOD_IGNORED)
            return 0;
        p = quick_memory(&i->mem, p, modrm, rex);
    }
    for (unsigned k = 0; k < n; k++) {
        const struct opnd_spec *s = &opnd_specs[row->opnd[k]];
        uint8_t size = size_bytes[s->size][column], kind = s->kind, reg = 0;

        switch (s->method) {
        case M_PLAIN:
            if (memory & s->memory) {
                size = size_bytes[s->mem_size][column];
                kind = X86_OPND_MEM;
                i->mem.size = size;
                break;
            }
            reg = s->place == X86_AT_REG ? (modrm >> 3 & 7) | (rex & 4) << 1
                : s->place == X86_AT_FIXED ? s->reg : ((s->place == X86_AT_RM ? modrm : op) & 7) | (rex & 1) << 3;
            if (s->place == X86_AT_VVVV)
                return 0;
            reg &= s->place == X86_AT_FIXED ? 0xff : s->mask;
            if (size == 1 && reg >= 4 && !rex && kind == X86_OPND_REG) {
                kind = X86_OPND_REG8H;
                reg -= 4;
            }
            break;
        case M_I: case M_sI: case M_J:
            if (k && i->op[k - 1].kind == X86_OPND_IMM)
                return 0;
            memcpy(&i->imm, p, 8);
            p += size;
            i->imm = (int64_t)((uint64_t)i->imm << (64 - size * 8)) >> (64 - size * 8);
            if (s->method == M_I && size <= 2 && s->size != Z_z && s->size != Z_v)
                i->imm &= size == 1 ? 0xff : 0xffff;
            if (s->method != M_I || s->size == Z_z)
                size = opsize;
            i->op[k] = (struct x86_opnd){ s->method == M_J ? X86_OPND_REL : X86_OPND_IMM, size, 0, X86_AT_IMM };
            continue;
        default:
            return 0;
        }
        i->op[k] = (struct x86_opnd){ kind, size, reg, s->place };
    }
    for (unsigned k = n; k < 4; k++)
        i->op[k] = (struct x86_opnd){ 0 };
    i->row = row;
    memset(&i->len, 0, offsetof(struct x86_insn, opcode_at) - offsetof(struct x86_insn, len));
    i->mode = X86_CODE64;
    i->opsize = opsize;
    i->addrsize = 8;
    i->prefixes = rex ? X86_PFX_REX : 0;
    i->seg = X86_SEG_NONE;
    i->rex = (uint8_t)rex;
    i->map = (uint8_t)map;
    i->opcode = (uint8_t)op;
    i->modrm = (uint8_t)modrm;
    i->nopnd = (uint8_t)n;
    i->len = (uint8_t)(p - bytes);
    return i->len;
}

int x86_decode(struct x86_insn *i, const uint8_t *bytes, unsigned avail, enum x86_code_mode mode)
{
    if (mode == X86_CODE64 && avail >= QUICK_BYTES) {
        i->imm = i->imm2 = 0;
        int len = quick(i, bytes);
        if (len) {
            copy_bytes(i, bytes, (unsigned)len, avail);
            return len;
        }
    }
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
