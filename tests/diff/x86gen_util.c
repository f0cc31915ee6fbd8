/*
 * Random instruction sequences out of the table of cpu/x86/insn.def.
 *
 * A row is turned into bytes by trying: prefixes, opcode, a ModRM byte that the decoder takes for this row, random rest. Registers that
 * an address is made of are loaded right before (`mov`, no flags), so that most accesses hit the test's few pages. An instruction
 * that reads flags which the manual leaves undefined is not put behind one that leaves them so.
 */
#include <cpuid.h>
#include <string.h>

#include "tests/diff/x86diff_util.h"

enum { MAX_REAL = 8, TRIES = 60, DATA_SEL_FLAGS = 0x202 };

struct row {
    const struct x86_row *row;
    uint8_t op[16];                    /* opcode bytes that belong to it */
    uint8_t modrm[256];
    unsigned n_op, n_modrm;            /* n_modrm 0: no ModRM byte */
    bool vex, mode[3];                 /* 16-bit, 32-bit, 64-bit */
    const char *skip;
};

struct xd_gen {
    struct row *rows;
    unsigned n;
    GArray *pick[3];                   /* indices of testable rows, by mode likewise */
};

struct making {
    struct xd_gen *g;
    struct xd_seq *q;
    uint64_t rng;
    uint8_t *code, *mem;               /* of XD_CODE, of XD_RW */
    uint32_t undef;
    int jump_at;                       /* index in code of a rel32/rel8 to be aimed behind the next instruction, or -1 */
    unsigned jump_size;
    uint32_t jump_undef;               /* undefined flags where the jump leaves */
    bool last;                         /* nothing may follow */
};

uint64_t xd_random(uint64_t *rng)
{
    uint64_t z = *rng += 0x9e3779b97f4a7c15ull;        /* splitmix64 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static unsigned below(struct making *m, unsigned n) { return (unsigned)((xd_random(&m->rng) >> 32) * n >> 32); }
static bool chance(struct making *m, unsigned percent) { return below(m, 100) < percent; }

/* ---- values ---- */

static uint64_t interesting(uint64_t *rng)
{
    static const uint64_t some[] = {
        0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff,
        0x8000000000000000, 0xffffffffffffffff, 0xfffffffffffffffe, 0x0123456789abcdef,
        0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 0x7ff4000000000001,
        0x0000000000000001, 0x000fffffffffffff, 0x0010000000000000, 0x7fefffffffffffff, 0x41dfffffffc00000, 0x43e0000000000000,
        0x3f8000003f800000, 0x7f80000000000001, 0x7fc00000ff800000, 0x007fffff00800000, 0x4f0000004effffff, 0x3fe0000000000000,
        0x4000000040400000, 0x6162636400656667,
    };
    uint64_t r = xd_random(rng);
    switch (r >> 60) {
    case 0: case 1: case 2: case 3: case 4: return some[(uint32_t)r % (sizeof(some) / sizeof(some[0]))];
    case 5: case 6: return (uint64_t)(int8_t)r;
    case 7: return r & 0xffff;
    case 8: return (uint32_t)r;
    case 9: return 0x3ff0000000000000 + ((r & 0x3f) << 52) - (32ull << 52) + (r >> 12 & 0xfffff00000000);    /* a double of usual size */
    default: return xd_random(rng);
    }
}

/* ---- rows ---- */

static bool host_has(const struct x86_row *row)
{
    const struct x86_feature_bit *f = &x86_feature_bits[row->need];
    unsigned r[4];

    if (row->need == X86_FEAT_NONE || !f->leaf) {
        return true;
    }
    return __get_cpuid_count(f->leaf, f->subleaf, &r[0], &r[1], &r[2], &r[3]) && (r[f->reg] >> f->bit & 1);
}

static const char *reason_to_skip(const struct x86_row *row)
{
    switch (row->handler) {
    case X86_H_syscall: case X86_H_sysenter: return "enters the host's kernel";
    case X86_H_mov_to_seg: case X86_H_pop_seg: case X86_H_lseg: case X86_H_callf: case X86_H_jmpf: case X86_H_retf: case X86_H_iret:
    case X86_H_lar: case X86_H_ver: case X86_H_sysret: case X86_H_sysexit: return "depends on the kernel's descriptor tables";
    case X86_H_sys_store: case X86_H_sdt: case X86_H_pkru: case X86_H_xgetbv: return "its result is the host kernel's";
    case X86_H_in: case X86_H_out: case X86_H_ins: case X86_H_outs: return "depends on I/O rights";
    case X86_H_monitor: case X86_H_mwait: case X86_H_rsm: case X86_H_ac: case X86_H_rdpmc: return "system instruction whose fault depends on the host's set-up";
    case X86_H_int1: return "hypervisors get its return address wrong";
    case X86_H_xstate:
        return row->arg == X86_XSTATE_XSAVES || row->arg == X86_XSTATE_XRSTORS ? "privileged" : host_has(row) ? NULL : "the host CPU lacks it";
    case X86_H_fsgsbase: return xd_native_has_segs() ? NULL : "the host's kernel does not allow it";
    case X86_H_rdpid: return "result is not a function of the operands";
    default: break;
    }
    if (row->marks & X86_ROW_RAND) {
        return "result is not a function of the operands";
    }
    return host_has(row) ? NULL : "the host CPU lacks it";
}

/* Lead-in of a row: VEX or escape bytes. vvvv: also VEX.L in bit 4, and in bit 5 whether to use two bytes where these do. */
static unsigned put_lead(uint8_t *p, const struct x86_row *row, unsigned rex, unsigned vvvv)
{
    unsigned n = 0;
    static const uint8_t prefix[] = { [X86_RP_66] = 0x66, [X86_RP_F3] = 0xf3, [X86_RP_F2] = 0xf2, [X86_RP_N6] = 0 };

    if (row->map >= X86_MAP_V0F) {
        unsigned pp = row->prefix == X86_RP_66 ? 1 : row->prefix == X86_RP_F3 ? 2 : row->prefix == X86_RP_F2 ? 3 : 0;
        unsigned l = vvvv >> 4 & 1;
        if (!(rex & 11) && row->map == X86_MAP_V0F && vvvv >> 5 & 1) {
            p[n++] = 0xc5;
            p[n++] = (uint8_t)((~rex & 4) << 5 | (~vvvv & 15) << 3 | l << 2 | pp);
            return n;
        }
        p[n++] = 0xc4;
        p[n++] = (uint8_t)((~rex & 7) << 5 | (row->map - X86_MAP_V0F + 1));
        p[n++] = (uint8_t)((rex & 8) << 4 | (~vvvv & 15) << 3 | l << 2 | pp);
        return n;
    }
    if (prefix[row->prefix]) {
        p[n++] = prefix[row->prefix];
    }
    if (rex) {
        p[n++] = (uint8_t)(0x40 | rex);
    }
    if (row->map != X86_MAP_0) {
        p[n++] = 0x0f;
    }
    if (row->map >= X86_MAP_0F38) {
        p[n++] = row->map == X86_MAP_0F38 ? 0x38 : 0x3a;
    }
    return n;
}

static bool decodes_as(const struct x86_row *row, unsigned rex, unsigned l, unsigned op, int modrm, enum x86_code_mode mode)
{
    uint8_t b[24] = {0};
    struct x86_insn i;
    unsigned n;

    if (rex && mode != X86_CODE64 && row->map < X86_MAP_V0F) {
        return false;
    }
    n = put_lead(b, row, rex, l << 4);
    b[n++] = (uint8_t)op;
    if (modrm >= 0) {
        b[n++] = (uint8_t)modrm;
    }
    return x86_decode(&i, b, 15, mode) > 0 && i.row == row;
}

static bool any_mode(struct row *r, unsigned op, int modrm)
{
    bool ok = false;
    for (unsigned k = 0; k < 3; k++) {
        enum x86_code_mode mode = 16 << k;
        for (unsigned rex = 0; rex < 16; rex += rex ? 7 : 1) {           /* none, B, W */
            for (unsigned l = 0; l < 1u + r->vex; l++) {
                if (decodes_as(r->row, rex, l, op, modrm, mode)) {
                    r->mode[k] = ok = true;
                }
            }
        }
    }
    return ok;
}

/* Has an instruction of this row a ModRM byte? It has if changing the byte behind the opcode to a memory form makes it longer. */
static bool has_modrm(const struct x86_row *row)
{
    for (unsigned k = 0; k < 4; k++) {
        const char *o = x86_row_opnd(row, k);
        if (o && strchr("EGMTRPQNVWUHCDS", o[0]) && strcmp(o, "DX") && strcmp(o, "Dim") && strcmp(o, "SS") && strcmp(o, "DS") && strcmp(o, "ES") &&
            strcmp(o, "CS") && strncmp(o, "ST", 2) && strncmp(o, "GS", 2)) {
            return true;
        }
    }
    return false;
}

static void row_fill(struct row *r, const struct x86_row *row)
{
    r->row = row;
    r->vex = row->map >= X86_MAP_V0F;
    r->skip = reason_to_skip(row);
    /* with a ModRM byte the value 0 behind the opcode does not always decode: try all */
    for (unsigned op = row->opcode; op < row->opcode + 16u && op < 256; op++) {
        bool found = false;
        if (!has_modrm(row) && any_mode(r, op, -1)) {
            found = true;
        }
        for (unsigned m = 0; m < 256 && !found; m++) {
            found = any_mode(r, op, (int)m);
        }
        if (found) {
            r->op[r->n_op++] = (uint8_t)op;
        }
    }
    if (!r->n_op) {
        r->skip = r->skip ? r->skip : "no encoding found";
        return;
    }
    bool plain = !has_modrm(row) && any_mode(r, r->op[0], -1);
    for (unsigned m = 0; m < 256; m++) {
        if (any_mode(r, r->op[0], (int)m)) {
            r->modrm[r->n_modrm++] = (uint8_t)m;
        }
    }
    if (plain && r->n_modrm == 256) {
        r->n_modrm = 0;                  /* that byte means nothing */
    }
}

static bool named(const char *only, const char *name)
{
    size_t n = strcspn(name, "/:");
    for (const char *p = only; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
        if (strcspn(p, ",") == n && !memcmp(p, name, n)) {
            return true;
        }
    }
    return !only;
}

struct xd_gen *xd_gen_new(const char *only)
{
    struct xd_gen *g = g_new0(struct xd_gen, 1);

    g->n = x86_row_count;
    g->rows = g_new0(struct row, g->n);
    for (unsigned k = 0; k < 3; k++) {
        g->pick[k] = g_array_new(FALSE, FALSE, sizeof(unsigned));
    }
    for (unsigned i = 0; i < g->n; i++) {
        struct row *r = &g->rows[i];
        row_fill(r, &x86_rows[i]);
        for (unsigned k = 0; k < 3; k++) {
            if (!r->skip && r->mode[k] && named(only, r->row->name)) {
                g_array_append_val(g->pick[k], i);
            }
        }
    }
    return g;
}

void xd_gen_free(struct xd_gen *g)
{
    g_array_free(g->pick[0], TRUE);
    g_array_free(g->pick[1], TRUE);
    g_array_free(g->pick[2], TRUE);
    g_free(g->rows);
    g_free(g);
}

unsigned xd_gen_untested(const struct xd_gen *g, GString *out, unsigned *tested)
{
    unsigned n = 0;

    *tested = 0;
    for (unsigned i = 0; i < g->n; i++) {
        if (g->rows[i].skip) {
            g_string_append_printf(out, "  insn.def:%u %s: %s\n", g->rows[i].row->line, g->rows[i].row->name, g->rows[i].skip);
            n++;
        } else {
            ++*tested;
        }
    }
    return n;
}

/* ---- instructions ---- */

static uint64_t here(const struct making *m) { return m->q->start + m->q->len; }

static void append(struct making *m, const uint8_t *b, unsigned n, const struct x86_row *row)
{
    struct xd_seq *q = m->q;

    q->insn[q->n].off = (uint16_t)q->len;
    q->insn[q->n].len = (uint16_t)n;
    q->insn[q->n].row = row;
    q->insn[q->n].undef = m->undef;
    q->n++;
    memcpy(m->code + (q->start - XD_CODE) + q->len, b, n);
    q->len += n;
}

/* All 32 or 64 bits of a register. */
static unsigned mov_size(const struct making *m) { return m->q->mode == X86_CODE64 ? 10 : m->q->mode == X86_CODE32 ? 5 : 6; }

static void put_mov(struct making *m, unsigned reg, uint64_t v)
{
    uint8_t b[10];
    unsigned n = 0;

    if (m->q->mode == X86_CODE64) {
        b[n++] = 0x48 | (reg >> 3);
    } else if (m->q->mode == X86_CODE16) {
        b[n++] = 0x66;
    }
    b[n++] = 0xb8 | (reg & 7);
    memcpy(b + n, &v, m->q->mode == X86_CODE64 ? 8 : 4);
    append(m, b, mov_size(m), NULL);
}

/* Where an operand of `size` bytes is to lie. */
static uint64_t target(struct making *m, unsigned size, bool align16, bool safe)
{
    unsigned how = safe ? 50 : below(m, 100);
    uint64_t at;

    size = size ? size : 512;
    switch (how) {
    case 0: return XD_NONE + below(m, 2048);
    case 1: return XD_NONE - 1 - below(m, size > 1 ? size - 1 : 1);      /* runs into it */
    case 2: return XD_RO + below(m, XD_PAGE - 64);
    case 3: return XD_DATA + XD_PAGE - 1 - below(m, 64);
    case 4: return m->q->mode == X86_CODE64 ? 0x8000000000000000ull | XD_RW : XD_RO;
    case 5: case 6: case 7: case 8: case 9:
        at = XD_RW + XD_PAGE - below(m, size + 1);                       /* across pages */
        return align16 ? at & ~15ull : at;
    default:
        at = XD_RW + 256 + below(m, XD_RW_SIZE - 1024);
        return align16 && how < 95 ? at & ~15ull : at;
    }
}

struct place { unsigned modrm, sib, disp, disp_len; };      /* indices in the instruction; 0: none */

static struct place locate(const struct x86_insn *i, const uint8_t *b)
{
    struct place p = { .modrm = i->opcode_at + 1u };
    unsigned mod = b[p.modrm] >> 6, rm = b[p.modrm] & 7, at = p.modrm + 1;

    if (i->addrsize == 2) {
        p.disp = at;
        p.disp_len = mod == 1 ? 1 : mod == 2 || (mod == 0 && rm == 6) ? 2 : 0;
        return p;
    }
    if (rm == 4) {
        p.sib = at++;
    }
    p.disp = at;
    p.disp_len = mod == 1 ? 1 : mod == 2 || (mod == 0 && (rm == 5 || (rm == 4 && (b[p.sib] & 7) == 5))) ? 4 : 0;
    return p;
}

struct setup { unsigned n; struct { unsigned reg; uint64_t v; } mov[6]; };

static void want(struct setup *s, unsigned reg, uint64_t v)
{
    for (unsigned k = 0; k < s->n; k++) {
        if (s->mov[k].reg == reg) {
            s->mov[k].v = v;
            return;
        }
    }
    s->mov[s->n].reg = reg;
    s->mov[s->n++].v = v;
}

static uint64_t seg_base(const struct making *m, unsigned seg)
{
    if (m->q->mode == X86_CODE16) {
        return seg == X86_CS ? XD_CODE : XD_DATA;
    }
    return m->q->mode != X86_CODE64 ? 0 : seg == X86_FS ? m->q->init.fs_base : seg == X86_GS ? m->q->init.gs_base : 0;
}

/* Registers and displacement so that the general memory operand lies at `at`. False: this encoding cannot reach it. */
static bool aim(struct making *m, struct x86_insn *i, uint8_t *b, uint64_t *where, struct setup *s)
{
    uint64_t at = *where;
    struct place p = locate(i, b);
    uint64_t cut = i->addrsize == 8 ? ~0ull : i->addrsize == 4 ? 0xffffffff : 0xffff;
    const struct x86_mem *mem = &i->mem;

    at -= seg_base(m, mem->seg);
    if (mem->rip_rel) {
        uint32_t disp = (uint32_t)(at - (here(m) + i->len));
        memcpy(b + p.disp, &disp, 4);
        *where = (here(m) + i->len + (uint64_t)(int64_t)(int32_t)disp) & cut;
        return seg_base(m, mem->seg) == 0;
    }
    if (mem->base < 0 && mem->index < 0) {
        uint32_t disp = (uint32_t)at;
        memcpy(b + p.disp, &disp, p.disp_len);
        *where = ((uint64_t)(int64_t)(int32_t)disp & cut) + seg_base(m, mem->seg);
        return (uint64_t)(int64_t)(int32_t)disp == at || i->addrsize != 8;
    }
    uint64_t junk = i->addrsize == 4 && m->q->mode == X86_CODE64 && chance(m, 50) ? xd_random(&m->rng) << 32 : 0;
    junk |= i->addrsize == 2 && chance(m, 50) ? xd_random(&m->rng) << 16 & 0xffff0000 : 0;
    if (mem->base == mem->index) {
        unsigned k = 1 + (1u << mem->scale);
        uint64_t v = ((at - (uint64_t)mem->disp) & cut) / k;
        want(s, (unsigned)mem->base, v | junk);
        *where = v * k + (uint64_t)mem->disp + seg_base(m, mem->seg);
        return i->addrsize == 8 && at < XD_RESERVE_END && at > (uint64_t)mem->disp;
    }
    if (mem->base < 0) {
        uint64_t v = ((at - (uint64_t)mem->disp) & cut) >> mem->scale;
        want(s, (unsigned)mem->index, v | junk);
        *where = (v << mem->scale) + (uint64_t)mem->disp + seg_base(m, mem->seg);
        return at < XD_RESERVE_END && at > (uint64_t)mem->disp && mem->disp >= 0;
    }
    uint64_t index = 0;
    if (mem->index >= 0) {
        index = chance(m, 50) ? below(m, 64) : xd_random(&m->rng) & cut;
        want(s, (unsigned)mem->index, index);
    }
    *where = (at & cut) + seg_base(m, mem->seg);
    want(s, (unsigned)mem->base, ((at - (index << mem->scale) - (uint64_t)mem->disp) & cut) | junk);
    return true;
}

static void ignore(struct making *m, uint64_t at, unsigned len)
{
    struct xd_seq *q = m->q;

    if (q->n_ignore < 4) {
        q->ignore[q->n_ignore].at = at;
        q->ignore[q->n_ignore++].len = len;
    }
    m->last = true;                      /* nobody may look at it */
}

enum { XSAVE_IMAGE = 832 };

/* An image for xsave and its kin, most often where it can be; edx:eax names components that both sides have. */
static uint64_t xsave_image(struct making *m, struct setup *s)
{
    uint64_t at = chance(m, 15) ? target(m, XSAVE_IMAGE, true, false) : (XD_RW + below(m, XD_RW_SIZE - XSAVE_IMAGE)) & ~63ull;
    uint64_t head[8] = { below(m, 8) };
    uint8_t *p = m->mem + (at - XD_RW);

    want(s, X86_RAX, chance(m, 50) ? 7 : below(m, 8));
    want(s, X86_RDX, 0);
    if (at - XD_RW > XD_RW_SIZE - XSAVE_IMAGE) {
        return at;
    }
    head[1] = chance(m, 70) ? 0 : 1ull << 63 | (chance(m, 80) ? 7 : below(m, 8));
    head[chance(m, 95) ? 0 : below(m, 8)] |= chance(m, 10) ? 1ull << below(m, 64) : 0;
    head[0] &= ~0x602e0ull;              /* what hosts may have and we have not */
    head[1] &= ~0x602e0ull;
    memcpy(p + 512, head, sizeof(head));
    uint32_t mxcsr = (uint32_t)xd_random(&m->rng) & (chance(m, 90) ? 0xffff : 0x1ffff);
    memcpy(p + 24, &mxcsr, 4);
    return at;
}

/* x87 pointers and the last opcode are not kept by us; what an image shows of components in their initial state is the CPU's affair. */
static void hide_xsave(struct making *m, const struct x86_row *row, uint64_t at)
{
    m->q->partial_ok = m->q->any_operand = true;
    if (row->arg == X86_XSTATE_XSAVE) {
        ignore(m, at + 6, 18);
        ignore(m, at + 28, 4);
        ignore(m, at + 512, 8);
    } else if (row->arg != X86_XSTATE_XRSTOR) {
        ignore(m, at, XSAVE_IMAGE);
    }
}

/* x87 pointers and the last opcode are not kept by us. */
static void hide_pointers(struct making *m, const struct x86_insn *i, uint64_t at)
{
    const struct x86_row *row = i->row;

    /* stores of ten bytes come in pieces, too */
    m->q->partial_ok |= row->handler == X86_H_x87_env || row->handler == X86_H_fxstate ||
                        (row->handler == X86_H_x87_mem && row->arg == X86_X87_MEM_ST && i->mem.size == 10);

    if (row->handler == X86_H_x87_env && (row->arg == X86_X87_ENV_FNSTENV || row->arg == X86_X87_ENV_FNSAVE)) {
        ignore(m, at + (i->opsize == 2 ? 6 : 12), i->opsize == 2 ? 8 : 16);
    } else if (row->handler == X86_H_fxstate && row->arg == X86_FXSTATE_FXSAVE) {
        ignore(m, at + 6, 26);
    }
}

static bool is_stack_op(unsigned h)
{
    switch (h) {
    case X86_H_push: case X86_H_pop: case X86_H_pusha: case X86_H_popa: case X86_H_pushf: case X86_H_popf: case X86_H_call:
    case X86_H_call_ind: case X86_H_ret: case X86_H_enter: case X86_H_leave: case X86_H_push_seg:
        return true;
    default:
        return false;
    }
}

/* Memory operands that are not in the ModRM byte, registers with a meaning. */
static bool implicit(struct making *m, struct x86_insn *i, uint8_t *b, struct setup *s)
{
    unsigned h = i->row->handler;
    for (unsigned k = 0; k < i->nopnd; k++) {
        const struct x86_opnd *o = &i->op[k];
        if (o->kind != X86_OPND_MEM) {
            continue;
        }
        const struct x86_mem *mem = k && i->op[0].kind == X86_OPND_MEM ? &i->mem2 : &i->mem;
        if (o->place == X86_AT_IMM) {                                    /* moffs */
            uint64_t at = target(m, o->size, false, false) - seg_base(m, mem->seg);
            memcpy(b + i->opcode_at + 1, &at, i->addrsize);
        } else if (o->place == X86_AT_FIXED) {
            uint64_t at = target(m, 16, false, h == X86_H_vec_maskmov || h == X86_H_mmx_maskmov || chance(m, 60)) - seg_base(m, mem->seg);
            at = h == X86_H_xlat ? at - 128 : at;
            want(s, (unsigned)mem->base, i->addrsize == 2 ? (at & 0xffff) | (xd_random(&m->rng) & 0xffff0000) : at);
        }
    }
    if (i->row->marks & X86_ROW_STRING) {
        want(s, X86_RCX, chance(m, 5) ? 0 : below(m, 40));
    }
    if (is_stack_op(h) && (h == X86_H_popa || chance(m, 40))) {          /* a popa that faults leaves some registers loaded */
        want(s, X86_RSP, (target(m, 64, false, h == X86_H_popa || chance(m, 70)) & ~(chance(m, 80) ? 7ull : 0)) - seg_base(m, X86_SS));
    }
    if (h == X86_H_leave || h == X86_H_enter) {
        want(s, X86_RBP, (target(m, 64, false, chance(m, 80)) & ~7ull) - seg_base(m, X86_SS));
    }
    if (h == X86_H_bt && i->op[0].kind == X86_OPND_MEM && i->op[1].kind == X86_OPND_REG) {
        want(s, i->op[1].reg, (uint64_t)((int64_t)below(m, 4096) - 2048));
    }
    if (h == X86_H_shd && i->opsize == 2) {                              /* counts beyond 16: result undefined */
        if (i->op[2].kind == X86_OPND_IMM) {
            b[i->len - 1] &= 15;
        } else {
            want(s, X86_RCX, below(m, 17) | (xd_random(&m->rng) & 0xff00));
        }
    }
    if ((h == X86_H_jmp_ind || h == X86_H_call_ind) && i->op[0].kind == X86_OPND_REG) {
        want(s, i->op[0].reg, m->q->mode == X86_CODE16 ? XD_STOP - XD_CODE : XD_STOP);
    }
    if (h == X86_H_int && (b[i->opcode_at + 1] == 0x80 || chance(m, 50))) {
        b[i->opcode_at + 1] = (uint8_t)(3 + below(m, 3));
    }
    return m->q->mode != X86_CODE32 || i->addrsize != 2;
}

/* 16-bit code: the upper half of esp is not the test's, and nothing lies behind CS but code. */
static bool shows_esp(const struct x86_insn *i)
{
    unsigned h = i->row->handler;

    for (unsigned k = 0; k < i->nopnd; k++) {
        const struct x86_opnd *o = &i->op[k];
        if (o->kind == X86_OPND_REG && o->reg == X86_RSP && o->size > 2) {
            return true;
        }
        if (o->kind == X86_OPND_MEM && i->addrsize == 4 && (i->mem.base == X86_RSP || i->mem.index == X86_RSP)) {
            return true;
        }
    }
    return i->seg == X86_CS || ((h == X86_H_pusha || h == X86_H_enter) && i->opsize == 4);
}

static bool acceptable(struct making *m, const struct x86_insn *i)
{
    const struct x86_row *row = i->row;

    if (row->fl_read & m->undef) {
        return false;
    }
    switch (row->handler) {
    case X86_H_bswap: return i->opsize != 2;                             /* undefined */
    case X86_H_jmp: case X86_H_jcc: case X86_H_call: case X86_H_loop: case X86_H_jcxz: case X86_H_ret: case X86_H_call_ind:
    case X86_H_jmp_ind:
        /* cuts EIP to 16 bits; in 64-bit code on AMD only, where we do as Intel does */
        if (x86_insn_rep(i)) {
            return false;                /* AMD takes F2 and F3 for conditions of loopcc */
        }
        if (m->q->mode == X86_CODE16) {
            return !(i->prefixes & X86_PFX_66);
        }
        return i->opsize != 2 && !(i->prefixes & X86_PFX_66) && !(i->prefixes & X86_PFX_67 && m->q->mode == X86_CODE32);
    default: break;
    }
    if (i->map == X86_MAP_0F && i->opcode == 0x0d && i->modrm >= 0xc0) {
        return false;                    /* prefetch of a register: nop on Intel, #UD on AMD */
    }
    if (i->map == X86_MAP_0 && i->opcode == 0x90 && (i->rex & 1) && x86_insn_rep(i)) {
        return false;                    /* with REX.B pause on Intel, an exchange on AMD */
    }
    if (row->handler == X86_H_arpl && i->seg == X86_CS) {
        return false;                    /* AMD demands write access only if it writes */
    }
    if (i->prefixes & X86_PFX_67 && m->q->mode == X86_CODE32) {
        return false;
    }
    if (m->q->mode != X86_CODE64 && (i->seg == X86_FS || i->seg == X86_GS)) {
        return false;
    }
    return m->q->mode != X86_CODE16 || !shows_esp(i);
}

static unsigned put_prefixes(struct making *m, const struct row *r, uint8_t *b)
{
    unsigned n = 0;
    bool code64 = m->q->mode == X86_CODE64, string = r->row->marks & X86_ROW_STRING;
    static const uint8_t seg[] = { 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65 };

    if (chance(m, 6)) {
        b[n++] = seg[below(m, code64 && xd_native_has_segs() ? 6 : 4)];
    }
    if (m->q->mode != X86_CODE32 && chance(m, code64 ? 5 : 25)) {
        b[n++] = 0x67;
    }
    if (r->vex ? chance(m, 1) : r->row->prefix == X86_RP_ANY || r->row->prefix == X86_RP_N6 ? chance(m, 18) : chance(m, 2)) {
        b[n++] = 0x66;
    }
    if (string ? chance(m, 60) : chance(m, 1)) {
        b[n++] = chance(m, 50) ? 0xf3 : 0xf2;
    }
    if (r->row->marks & X86_ROW_LOCK ? chance(m, 15) : chance(m, 1)) {
        b[n++] = 0xf0;
    }
    return n;
}

static bool uses_vvvv(const struct x86_row *row)
{
    for (unsigned k = 0; k < 4; k++) {
        const char *o = x86_row_opnd(row, k);
        if (o && (o[0] == 'H' || o[0] == 'B') && strcmp(o, "Bx")) {
            return true;
        }
    }
    return false;
}

/* Bytes of an instruction of this row, decoded to *i. */
static bool encode(struct making *m, const struct row *r, uint8_t *b, struct x86_insn *i)
{
    unsigned n = put_prefixes(m, r, b);
    bool code64 = m->q->mode == X86_CODE64;
    unsigned rex = (code64 || r->vex) && chance(m, 60) ? below(m, 16) : 0;

    rex = r->vex && !code64 ? rex & 8 : rex;
    unsigned vvvv = uses_vvvv(r->row) || chance(m, 2) ? below(m, code64 ? 16 : 8) : 0;
    vvvv |= below(m, 4) << 4;
    n += put_lead(b + n, r->row, rex, vvvv);
    b[n++] = r->op[below(m, r->n_op)];
    if (r->n_modrm) {
        b[n++] = r->modrm[below(m, r->n_modrm)];
    }
    for (unsigned k = n; k < n + 12; k++) {
        b[k] = (uint8_t)xd_random(&m->rng);
        if (chance(m, 30)) {
            b[k] = chance(m, 50) ? 0 : 0xff;
        }
    }
    int len = x86_decode(i, b, 15, m->q->mode);
    return len > 0 && i->row == r->row && acceptable(m, i);
}

static void write_branch(struct making *m, const struct x86_insn *i, uint8_t *b)
{
    for (unsigned k = 0; k < i->nopnd; k++) {
        if (i->op[k].kind == X86_OPND_REL) {
            m->jump_size = i->len - i->opcode_at - 1u;
            memset(b + i->len - m->jump_size, 0, m->jump_size);
            m->jump_undef = m->undef;
            m->jump_at = chance(m, 50) ? (int)(m->q->start - XD_CODE + m->q->len + i->len - m->jump_size) : -1;
        }
    }
}

/* The jump at `at` goes over what was appended since the sequence was `from` bytes long. */
static void settle_branch(struct making *m, int at, unsigned from)
{
    if (at >= 0) {
        m->code[at] = (uint8_t)(m->q->len - from);                       /* little endian, rest is 0 */
        m->undef |= m->jump_undef;
    }
}

static void flags_after(struct making *m, const struct x86_insn *i)
{
    const struct x86_row *row = i->row;

    if (row->marks & (X86_ROW_SHIFT | X86_ROW_STRING)) {
        m->undef |= row->fl_undef | (row->marks & X86_ROW_SHIFT ? X86_FL_O : 0);      /* O: defined for a count of 1 only */
    } else {
        m->undef = (m->undef & ~row->fl_written) | row->fl_undef;
    }
}

static bool try_row(struct making *m, const struct row *r)
{
    uint8_t b[32];
    struct x86_insn i;
    struct setup s = {0};
    const uint8_t ret_to[5] = { /* push; in 16-bit code its first three bytes */ 0x68, (uint8_t)XD_STOP, (uint8_t)(XD_STOP >> 8), (uint8_t)(XD_STOP >> 16), (uint8_t)(XD_STOP >> 24) };
    bool mem = false;
    uint64_t at = 0;

    if (!encode(m, r, b, &i)) {
        return false;
    }
    for (unsigned k = 0; k < i.nopnd; k++) {
        mem |= i.op[k].kind == X86_OPND_MEM && i.op[k].place == X86_AT_RM;
    }
    if (!implicit(m, &i, b, &s)) {
        return false;
    }
    if (mem) {
        struct xd_seq *q = m->q;
        unsigned size = i.mem.size, h = r->row->handler;
        at = h == X86_H_xstate ? xsave_image(m, &s) : h == X86_H_jmp_ind || h == X86_H_call_ind ? XD_SLOT : target(m, size, r->row->marks & X86_ROW_ALIGN16 || size == 0, h == X86_H_arpl);
        unsigned old = q->len;
        struct setup probe = s;                       /* rip-relative: the movs before it count */
        uint64_t goal = at;
        aim(m, &i, b, &goal, &probe);
        q->len += probe.n * mov_size(m);
        bool ok = aim(m, &i, b, &at, &s);
        q->len = old;
        if (h == X86_H_xstate && ((i.mem.base | 2) == X86_RDX || (i.mem.index | 2) == X86_RDX)) {
            return false;                             /* they name the components */
        }
        if (r->row->need == X86_FEAT_SHA && ((at & 15) || seg_base(m, i.mem.seg))) {
            return false;                             /* AMD does not mind misaligned ones */
        }
        if (h == X86_H_shd && (i.mem.base == X86_RCX || i.mem.index == X86_RCX)) {
            return false;                             /* it is the count */
        }
        if (!ok || (h == X86_H_bt && i.op[1].kind == X86_OPND_REG && (i.op[1].reg == i.mem.base || i.op[1].reg == i.mem.index))) {
            return false;
        }
    }
    unsigned from = m->q->len;
    for (unsigned k = 0; k < s.n; k++) {
        put_mov(m, s.mov[k].reg, s.mov[k].v);
    }
    if (r->row->handler == X86_H_ret && chance(m, 90)) {
        append(m, ret_to, m->q->mode == X86_CODE16 ? 3 : 5, NULL);
    }
    /* decoded anew: immediates and displacements were edited */
    if (x86_decode(&i, b, 15, m->q->mode) <= 0 || i.row != r->row) {
        return false;
    }
    int aimed = m->jump_at;
    uint32_t jump_undef = m->jump_undef;
    m->jump_at = -1;
    write_branch(m, &i, b);
    append(m, b, i.len, r->row);
    flags_after(m, &i);
    if (aimed >= 0) {
        uint32_t own = m->jump_undef;
        m->jump_undef = jump_undef;
        settle_branch(m, aimed, from);
        m->jump_undef = own;
    }
    if (mem) {
        hide_pointers(m, &i, at);
        if (r->row->handler == X86_H_xstate) {
            hide_xsave(m, r->row, at);
        }
    }
    m->q->any_operand |= r->row->handler == X86_H_cmps || r->row->handler == X86_H_movs;
    if (r->row->handler == X86_H_pusha || r->row->handler == X86_H_enter || r->row->handler == X86_H_vec_maskmov ||
        r->row->handler == X86_H_mmx_maskmov) {
        m->q->partial_ok = true;
    }
    return true;
}

/* ---- state ---- */

static void make_x87(struct making *m, struct xd_state *s)
{
    uint16_t cw = chance(m, 60) ? 0x37f : (uint16_t)(0x40 | (xd_random(&m->rng) & 0xf3f)), sw = 0;

    if (chance(m, 50)) {
        cw |= 0x3f;
    }
    if (chance(m, 30)) {
        sw = (uint16_t)(xd_random(&m->rng) & 0x477f);
    }
    sw |= (uint16_t)(below(m, 8) << 11);
    if (sw & ~cw & 0x3f) {
        sw |= 0x8080;
    }
    memcpy(s->fx, &cw, 2);
    memcpy(s->fx + 2, &sw, 2);
    s->fx[4] = chance(m, 30) ? 0 : chance(m, 30) ? 0xff : (uint8_t)xd_random(&m->rng);
    for (unsigned i = 0; i < 8; i++) {
        static const uint16_t exps[] = { 0, 0x3fff, 0x4000, 0x7fff, 0xffff, 0x8000, 1, 0xbfff, 0x401e, 0x403e };
        uint64_t mant = chance(m, 60) ? xd_random(&m->rng) | 1ull << 63 : chance(m, 50) ? 1ull << 63 : interesting(&m->rng);
        uint16_t e = chance(m, 50) ? exps[below(m, 10)] : chance(m, 60) ? (uint16_t)(0x3ff0 + below(m, 64)) : (uint16_t)xd_random(&m->rng);
        mant = chance(m, 8) ? 0 : mant;
        memcpy(s->fx + 32 + 16 * i, &mant, 8);
        memcpy(s->fx + 40 + 16 * i, &e, 2);
    }
}

static void make_state(struct making *m, struct xd_state *s)
{
    bool code64 = m->q->mode == X86_CODE64;

    memset(s, 0, sizeof(*s));
    for (unsigned i = 0; i < 16; i++) {
        s->gpr[i] = i >= 8 && !code64 ? 0 : interesting(&m->rng);
        s->gpr[i] &= code64 ? ~0ull : 0xffffffff;
    }
    s->gpr[X86_RSP] = XD_RW + 4096 + below(m, 1024) * 4 - seg_base(m, X86_SS);
    s->rip = m->q->start;
    s->eflags = (uint32_t)(DATA_SEL_FLAGS | (xd_random(&m->rng) & (X86_FL_ARITH | X86_FL_D)) | (chance(m, 4) ? X86_FL_AC : 0));
    s->fs_base = xd_native_has_segs() ? XD_DATA + below(m, 4096) : 0;
    s->gs_base = xd_native_has_segs() ? (chance(m, 50) ? 0x123456789000ull : XD_DATA) : 0;
    s->low = !xd_native_has_avx() || chance(m, 20);
    s->mxcsr = chance(m, 60) ? 0x1f80 : chance(m, 60) ? 0x1f80 | (xd_random(&m->rng) & 0xe07f) : xd_random(&m->rng) & 0xffff;
    for (unsigned i = 0; i < (code64 ? 16u : 8u); i++) {
        uint64_t v[4] = { interesting(&m->rng), interesting(&m->rng), interesting(&m->rng), interesting(&m->rng) };
        memcpy(s->ymm[i], v, s->low ? 16 : 32);
    }
    make_x87(m, s);
}

static void make_memory(struct making *m, uint8_t *mem)
{
    uint64_t r = m->rng ^ 0x5555;
    for (unsigned i = 0; i < XD_RW_SIZE; i += 8) {
        uint64_t v = i & 8 ? interesting(&r) : xd_random(&r);
        memcpy(mem + i, &v, 8);
    }
}

void xd_gen_make(struct xd_gen *g, struct xd_seq *q, uint64_t seed, uint8_t *code, uint8_t *mem)
{
    struct making m = { .g = g, .q = q, .rng = seed, .code = code, .mem = mem, .jump_at = -1 };
    unsigned real = 1 + below(&m, MAX_REAL), k;

    memset(code, 0xcc, XD_CODE_SIZE);
    q->seed = seed;
    q->n = q->len = q->n_ignore = 0;
    q->partial_ok = q->any_operand = false;
    k = below(&m, 100);
    k = k < 15 && xd_native_has_16bit() ? 0 : k < 35 ? 1 : 2;
    while (!g->pick[k]->len) {
        k = (k + 1) % 3;
    }
    q->mode = 16 << k;
    q->start = XD_CODE + (chance(&m, 15) ? XD_PAGE - 1 - below(&m, 60) : below(&m, 64));
    make_state(&m, &q->init);
    make_memory(&m, mem);
    for (unsigned i = 0; i < real && !m.last && q->n < XD_MAX_INSNS - 8; i++) {
        const struct row *r = &g->rows[g_array_index(g->pick[k], unsigned, below(&m, g->pick[k]->len))];
        for (unsigned t = 0; t < TRIES && !try_row(&m, r); t++) {
        }
        if (chance(&m, 10)) {
            unsigned from = q->len;
            put_mov(&m, below(&m, q->mode == X86_CODE64 ? 16 : 8), interesting(&m.rng));
            settle_branch(&m, m.jump_at, from);
            m.jump_at = -1;
        }
    }
    q->insn[q->n].off = (uint16_t)q->len;
    q->insn[q->n].len = 1;
    q->insn[q->n].row = NULL;
    q->insn[q->n].undef = m.undef;
}
