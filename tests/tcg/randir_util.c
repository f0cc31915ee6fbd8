#include "tests/tcg/randir_util.h"

#include <string.h>

#define STATE(field) offsetof(struct randir_state, field)
#define GPR(n, home) { #n, STATE(gpr) + 8 * (n), IR_64, home }

static const struct tcg_slot slots[RANDIR_SLOTS] = {
    GPR(0, 0), GPR(1, 1), GPR(2, 2), GPR(3, 3), GPR(4, 12), GPR(5, 13), GPR(6, 6), GPR(7, 7),
    GPR(8, 8), GPR(9, -1), GPR(10, -1), GPR(11, -1), GPR(12, 14), GPR(13, -1), GPR(14, -1), GPR(15, -1),
};

const struct tcg_guest randir_guest = {
    .isa = "random",
    .slots = slots,
    .n_slots = RANDIR_SLOTS,
    .vec_offset = STATE(vec),
    .vec_stride = 64,
    .n_vec = 16,
    .n_vec_pinned = 14,
    .fx_offset = STATE(fx),
    .mxcsr_offset = STATE(mxcsr),
    .scratch_offset = STATE(tcg),
};

/* splitmix64 */
uint64_t randir_next(uint64_t *rng)
{
    uint64_t z = *rng += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

/* ---- memory of the interpreter ---- */

static uint8_t *host(struct randir_state *s, uint64_t addr, unsigned size)
{
    if (addr - RANDIR_LOW <= RANDIR_RAM - size) {
        return s->ram + (addr - RANDIR_LOW);
    }
    if (addr - RANDIR_HIGH <= RANDIR_RAM - size) {
        return s->ram + (addr - RANDIR_HIGH);
    }
    s->faults++;
    tcg_interp_unwind(&s->tcg, TCG_EXIT_RAISED);
    g_assert_not_reached();
}

static uint64_t mem_ld(void *state, uint64_t addr, uint32_t desc)
{
    unsigned size = 1u << (desc & TCG_D_SIZE);
    uint64_t v = 0;
    uint8_t *p = host(state, addr, size);

    if (!(desc & TCG_D_PROBE) || (desc & TCG_D_READ)) {
        memcpy(&v, p, size);
    }
    return v;
}

static void mem_st(void *state, uint64_t addr, uint32_t desc, uint64_t value)
{
    unsigned size = 1u << (desc & TCG_D_SIZE);
    memcpy(host(state, addr, size), &value, size);
}

static void mem_ld_bytes(void *state, uint64_t addr, uint32_t desc, void *buf)
{
    unsigned size = 1u << (desc & TCG_D_SIZE);
    memcpy(buf, host(state, addr, size), size);
}

static void mem_st_bytes(void *state, uint64_t addr, uint32_t desc, const void *buf)
{
    unsigned size = 1u << (desc & TCG_D_SIZE);
    memcpy(host(state, addr, size), buf, size);
}

static uint64_t mem_rmw(void *state, uint64_t addr, uint32_t desc, uint64_t (*fn)(uint64_t old, void *opaque), void *opaque)
{
    uint64_t old = mem_ld(state, addr, desc);
    mem_st(state, addr, desc, fn(old, opaque));
    return old;
}

static void mem_changed(void *state) { (void)state; }
static void mem_lock(void *state, bool on) { (void)state, (void)on; }

static void mem_trap(void *state, enum tcg_trap trap, uint64_t addr)
{
    struct randir_state *s = state;
    (void)trap, (void)addr;
    s->faults++;
    tcg_interp_unwind(&s->tcg, TCG_EXIT_RAISED);
}

const struct tcg_interp_mem randir_mem = {
    .ld = mem_ld, .st = mem_st, .ld_bytes = mem_ld_bytes, .st_bytes = mem_st_bytes, .rmw = mem_rmw,
    .changed = mem_changed, .lock = mem_lock, .trap = mem_trap,
};

/* ---- helpers ---- */

static uint64_t mix(void *state, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)state;
    return (a * 0x9e3779b97f4a7c15ull ^ b) * 3 + c - (d << 7);
}

static uint64_t peek(void *state, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    struct randir_state *s = state;
    (void)c, (void)d;
    return s->gpr[a & 15] + s->gpr[9] * 5 + s->gpr[0] + b;
}

static uint64_t poke(void *state, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    struct randir_state *s = state;
    (void)c, (void)d;
    s->gpr[a & 15] += b;
    s->gpr[13] ^= a;
    return s->gpr[3];
}

static uint64_t flags_rw(void *state, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    struct tcg_env *e = state;
    uint32_t old = cc_eflags(e->cc_op & 31, e->cc_op >> 5, e->cc_a, e->cc_b, e->cc_c);
    (void)b, (void)c, (void)d;
    e->cc_op = IR_CC_EFLAGS;
    e->cc_a = (old ^ a) & 0x8d5;
    return old;
}

static const struct ir_helper helpers[] = {
    { "mix", mix, 4, true, IR_EFF_PURE },
    { "peek", peek, 2, true, IR_EFF_READS },
    { "poke", poke, 2, true, IR_EFF_READS | IR_EFF_WRITES },
    { "flags_rw", flags_rw, 1, true, IR_EFF_FLAGS_R | IR_EFF_FLAGS_W },
};

/* ---- generator ---- */

enum { POOL = 10 };

struct gen {
    struct ir *ir;
    uint64_t rng;
    unsigned options;
    struct { ir_ref ref; uint8_t w; } pool[POOL];      /* w: low bits that are defined */
    unsigned n, next;
    ir_ref flags;                                      /* flags of the running instruction, to be put at its end; 0: none */
    unsigned off;
};

static uint64_t rnd(struct gen *g, uint64_t below) { return randir_next(&g->rng) % below; }
static bool chance(struct gen *g, unsigned percent) { return rnd(g, 100) < percent; }

static ir_ref keep(struct gen *g, ir_ref v, unsigned w)
{
    g->pool[g->next].ref = v;
    g->pool[g->next].w = w >= IR_32 ? IR_64 : w;
    g->next = (g->next + 1) % POOL;
    g->n += g->n < POOL;
    return v;
}

static uint64_t edge(struct gen *g)
{
    static const uint64_t v[] = { 0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
        0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff, 0xffffffff80000000 };
    return chance(g, 60) ? v[rnd(g, G_N_ELEMENTS(v))] : chance(g, 50) ? rnd(g, 256) : randir_next(&g->rng);
}

static ir_ref pick(struct gen *g, unsigned w)
{
    for (unsigned tries = 0; g->n && tries < 4; tries++) {
        unsigned i = (unsigned)rnd(g, g->n);
        if (g->pool[i].w >= w) {
            return g->pool[i].ref;
        }
    }
    if (chance(g, 25)) {
        return ir_const(g->ir, (int64_t)edge(g));
    }
    return keep(g, ir_get(g->ir, (unsigned)rnd(g, RANDIR_SLOTS)), IR_64);
}

static ir_ref pick_or_const(struct gen *g, unsigned w)
{
    return chance(g, 25) ? ir_const(g->ir, (int64_t)edge(g)) : pick(g, w);
}

static ir_ref current_flags(struct gen *g)
{
    return g->flags && chance(g, 70) ? g->flags : ir_getflags(g->ir);
}

static void set_flags(struct gen *g, ir_ref f)
{
    g->flags = f;
}

static void gen_arith(struct gen *g)
{
    static const uint8_t ops[] = { IR_add, IR_sub, IR_and, IR_or, IR_xor, IR_andn, IR_mul };
    unsigned w = (unsigned)rnd(g, 4), op = ops[rnd(g, G_N_ELEMENTS(ops))];
    ir_ref a = pick(g, w), b = pick_or_const(g, w), r = ir_op2(g->ir, op, w, a, b);

    if (chance(g, 60)) {
        switch (op) {
        case IR_add: set_flags(g, ir_flags(g->ir, IR_CC_ADD, w, r, b, 0)); break;
        case IR_sub: set_flags(g, ir_flags(g->ir, IR_CC_SUB, w, r, b, 0)); break;
        case IR_mul: break;
        default: set_flags(g, ir_flags(g->ir, IR_CC_LOGIC, w, r, 0, 0)); break;
        }
    }
    keep(g, r, w);
}

static void gen_carry(struct gen *g)
{
    unsigned w = (unsigned)rnd(g, 4);
    ir_ref f = current_flags(g), a = pick(g, w), b = pick_or_const(g, w), one = ir_const(g->ir, 1), c, r;
    bool sub = chance(g, 50);

    if (chance(g, 50)) {
        r = ir_op3(g->ir, sub ? IR_sbb : IR_adc, w, a, b, f);
        set_flags(g, ir_flags(g->ir, sub ? IR_CC_SBB : IR_CC_ADC, w, r, b, a));
    } else {
        c = ir_cond(g->ir, IR_COND_C, f);
        r = ir_op2(g->ir, sub ? IR_sub : IR_add, w, a, one);
        set_flags(g, ir_flags(g->ir, sub ? IR_CC_DEC : IR_CC_INC, w, r, c, 0));
    }
    keep(g, r, w);
}

static void gen_shift(struct gen *g)
{
    static const uint8_t ops[] = { IR_shl, IR_shr, IR_sar, IR_rol, IR_ror };
    unsigned w = (unsigned)rnd(g, 4), op = ops[rnd(g, 5)], n = 1 + (unsigned)rnd(g, ir_bits(w) - 1);
    ir_ref a = pick(g, w), r, before;

    if (chance(g, 50)) {
        keep(g, ir_op2(g->ir, op, w, a, pick_or_const(g, IR_8)), w);
        return;
    }
    r = ir_op2i(g->ir, op, w, a, n);
    if (op == IR_shl || op == IR_shr || op == IR_sar) {
        before = ir_op2i(g->ir, op, w, a, n - 1);
        set_flags(g, ir_flags(g->ir, op == IR_shl ? IR_CC_SHL : op == IR_shr ? IR_CC_SHR : IR_CC_SAR, w, r, before, 0));
    }
    keep(g, r, w);
}

static void gen_unary(struct gen *g)
{
    static const uint8_t ops[] = { IR_not, IR_neg, IR_bswap, IR_clz, IR_ctz, IR_popcnt, IR_eqz };
    unsigned w = (unsigned)rnd(g, 4), op = ops[rnd(g, G_N_ELEMENTS(ops))];
    ir_ref r;

    if (op == IR_bswap && w < IR_32) {
        w = IR_32;
    }
    r = ir_op1(g->ir, op, w, pick(g, w));
    if ((op == IR_clz || op == IR_ctz || op == IR_popcnt) && chance(g, 50)) {
        set_flags(g, ir_flags(g->ir, IR_CC_ZONLY, w, r, ir_cond(g->ir, IR_COND_C, current_flags(g)), 0));
    }
    keep(g, r, op == IR_eqz ? IR_64 : w);
}

static void gen_convert(struct gen *g)
{
    unsigned from = (unsigned)rnd(g, 4), w = from + (unsigned)rnd(g, 4 - from);
    ir_ref wide;

    switch (rnd(g, 6)) {
    case 0: keep(g, ir_zext(g->ir, from, pick(g, from)), IR_64); break;
    case 1: keep(g, ir_sext(g->ir, w, from, pick(g, from)), IR_64); break;
    case 2: wide = pick(g, IR_64); keep(g, ir_op2(g->ir, IR_insert8, IR_64, wide, pick(g, IR_8)), IR_64); break;
    case 3: wide = pick(g, IR_64); keep(g, ir_op2(g->ir, IR_insert8h, IR_64, wide, pick(g, IR_8)), IR_64); break;
    case 4: wide = pick(g, IR_64); keep(g, ir_op2(g->ir, IR_insert16, IR_64, wide, pick(g, IR_16)), IR_64); break;
    default: keep(g, ir_op1(g->ir, IR_extract8h, IR_64, pick(g, IR_64)), IR_64); break;
    }
}

static void gen_wide(struct gen *g)
{
    unsigned w = (unsigned)rnd(g, 4);
    ir_ref a = pick(g, w), b = pick_or_const(g, w), lo, hi;

    lo = ir_op2(g->ir, chance(g, 50) ? IR_mulu2 : IR_muls2, w, a, b);
    hi = ir_hi(g->ir, lo);
    if (chance(g, 40)) {
        set_flags(g, ir_flags(g->ir, IR_CC_MUL, w, lo, hi, 0));
    }
    keep(g, lo, w);
    if (chance(g, 50)) {
        keep(g, hi, w);
    }
}

/* The dividend's high part is 0 or the divisor less one, so that the quotient fits. */
static void gen_divide(struct gen *g)
{
    unsigned w = (unsigned)rnd(g, 4);
    int64_t half = (int64_t)(w == IR_64 ? 0x7fffffffffffffffull : (1ull << (ir_bits(w) - 1)) - 1);
    bool is_signed = chance(g, 50);
    ir_ref low = pick(g, w), by, high, q;

    by = ir_op2i(g->ir, IR_or, w, ir_op2i(g->ir, IR_and, w, pick(g, w), half), 1);
    if (is_signed) {
        low = ir_op2i(g->ir, IR_and, w, low, half);
        high = ir_const(g->ir, 0);
        if (chance(g, 50)) {                           /* a negative dividend */
            low = ir_op2i(g->ir, IR_or, w, low, ~half);
            high = ir_const(g->ir, -1);
        }
    } else {
        high = chance(g, 50) ? ir_const(g->ir, 0) : ir_op2i(g->ir, IR_sub, w, by, 1);
    }
    if ((g->options & RANDIR_FAULTS) && chance(g, 3)) {
        by = ir_const(g->ir, 0);
    }
    q = ir_op3(g->ir, is_signed ? IR_divs2 : IR_divu2, w, low, high, by);
    if (chance(g, 50)) {
        keep(g, ir_hi(g->ir, q), w);
    }
    keep(g, q, w);
}

static void gen_lea(struct gen *g)
{
    unsigned w = IR_32 + (unsigned)rnd(g, 2);
    ir_ref a = pick_or_const(g, w), b = chance(g, 60) ? pick_or_const(g, w) : 0;
    unsigned scale = (unsigned)rnd(g, 4);
    keep(g, ir_lea(g->ir, w, a, b, b ? scale : 0, (int32_t)edge(g)), w);
}

static void gen_flags(struct gen *g)
{
    unsigned w = (unsigned)rnd(g, 4);
    ir_ref a = pick(g, w), b = pick_or_const(g, w), f = current_flags(g), c;

    switch (rnd(g, 8)) {
    case 0: case 1: set_flags(g, ir_flags(g->ir, IR_CC_CMP, w, a, b, 0)); break;
    case 2: set_flags(g, ir_flags(g->ir, IR_CC_EFLAGS, IR_32, pick(g, IR_32), 0, 0)); break;
    case 3:
        c = ir_cond(g->ir, (unsigned)rnd(g, 16), f);
        set_flags(g, ir_flags(g->ir, IR_CC_BITC, IR_64, c, ir_op1(g->ir, IR_eflags, IR_32, f), 0));
        break;
    case 4: keep(g, ir_op1(g->ir, IR_eflags, IR_32, f), IR_32); break;
    case 5: keep(g, ir_cond(g->ir, (unsigned)rnd(g, 16), f), IR_64); break;
    default: keep(g, ir_select(g->ir, w, (unsigned)rnd(g, 16), f, a, b), w); break;
    }
}

static struct ir_addr gen_address(struct gen *g, bool aligned)
{
    uint64_t base = chance(g, 50) ? RANDIR_LOW : RANDIR_HIGH;
    struct ir_addr at = { 0 };

    if ((g->options & RANDIR_FAULTS) && chance(g, 2)) {
        base = RANDIR_BAD;
    }
    at.disp = (int64_t)rnd(g, 2048) & (aligned ? ~7 : ~0);
    if (chance(g, 30)) {                               /* constant base */
        at.base = ir_const(g->ir, (int64_t)base);
    } else {
        ir_ref v = ir_op2i(g->ir, IR_and, IR_64, pick(g, IR_64), aligned ? 0xff8 : 0xfff);
        if (chance(g, 50)) {
            at.base = ir_op2i(g->ir, IR_add, IR_64, v, (int64_t)base);
        } else if (base < 0x80000000u) {
            at.base = ir_lea(g->ir, IR_64, v, 0, 0, (int64_t)base);
        } else {
            at.base = ir_lea(g->ir, IR_64, ir_const(g->ir, (int64_t)base), v, 0, 0);
        }
    }
    if (chance(g, 40)) {
        at.index = ir_op2i(g->ir, IR_and, IR_64, pick(g, IR_64), 0x1f);
        at.scale = aligned ? 3 : (unsigned)rnd(g, 4);
    }
    return at;
}

static void gen_memory(struct gen *g)
{
    struct ir_mem m = { .size = (unsigned)rnd(g, 4) };
    unsigned kind = (unsigned)rnd(g, 10), rmw;
    ir_ref v, r;
    struct ir_addr at;

    m.atomic = kind >= 6 && chance(g, 50);
    at = gen_address(g, m.atomic);
    v = pick(g, m.size);
    switch (kind) {
    case 0: case 1: case 2:
        m.sign = chance(g, 40);
        m.intent = chance(g, 10);
        keep(g, ir_ld(g->ir, at, m), IR_64);
        break;
    case 3: case 4:
        ir_st(g->ir, at, m, v);
        break;
    case 5:
        m.write = chance(g, 50);
        ir_probe(g->ir, at, m);
        break;
    case 6: case 7: case 8:
        rmw = (unsigned)rnd(g, 8);
        r = ir_rmw(g->ir, rmw | (rmw == IR_RMW_XCHG || chance(g, 50) ? IR_RMW_OLD : 0), at, m, rmw >= IR_RMW_NEG ? 0 : v);
        if (chance(g, 50)) {
            set_flags(g, ir_flags(g->ir, IR_CC_LOGIC, m.size, r, 0, 0));
        }
        keep(g, r, m.size);
        break;
    default:
        r = ir_cas(g->ir, at, m, v, pick(g, m.size));
        if (chance(g, 70)) {
            set_flags(g, ir_flags(g->ir, IR_CC_CMP, m.size, v, r, 0));
        }
        keep(g, r, m.size);
        break;
    }
}

static void gen_native(struct gen *g)
{
    unsigned x = (unsigned)rnd(g, 16), y = (unsigned)rnd(g, 16);
    struct ir_native n = { .kind = IR_NATIVE_VEC, .map = 1, .reg_kind = IR_NR_VEC, .reg = x, .rm_kind = IR_NR_VEC, .rm = y };
    struct ir_addr at = { 0 };
    ir_ref in = 0, r;

    n.vec_read = 1u << x | 1u << y;
    n.vec_written = 1u << x;
    switch (rnd(g, 7)) {
    case 0: n.prefix = 0x66; n.opcode = 0xfe; break;                              /* paddd */
    case 1: n.prefix = 0x66; n.opcode = 0x70; n.has_imm = true; n.imm = (uint8_t)rnd(g, 256); n.vec_read = 1u << y; break;  /* pshufd */
    case 2:                                                                       /* movq xmm, r64 */
        n.prefix = 0x66, n.opcode = 0x6e, n.w = true, n.rm_kind = IR_NR_INT_IN, n.rm = 0, n.rm_int_in = true, n.vec_read = 0;
        in = pick(g, IR_64);
        break;
    case 3:                                                                       /* movq r64, xmm */
        n.prefix = 0x66, n.opcode = 0x7e, n.w = true, n.rm_kind = IR_NR_INT_OUT, n.rm = 0, n.vec_read = 1u << x, n.vec_written = 0;
        break;
    case 4:                                                                       /* movups xmm, m128 */
        n.opcode = 0x10, n.rm_kind = IR_NR_MEM, n.rm = 0, n.vec_read = 0, n.mem.size = 4;
        break;
    case 5:                                                                       /* movups m128, xmm */
        n.opcode = 0x11, n.rm_kind = IR_NR_MEM, n.rm = 0, n.vec_read = 1u << x, n.vec_written = 0, n.mem.size = 4, n.mem.write = true;
        break;
    default: n.opcode = 0x58; n.fault_fp = true; break;                           /* addps */
    }
    if (n.rm_kind == IR_NR_MEM) {
        at = gen_address(g, false);
    }
    r = ir_native(g->ir, &n, at, in);
    if (n.rm_kind == IR_NR_INT_OUT) {
        keep(g, r, IR_64);
    }
}

static void gen_helper(struct gen *g)
{
    const struct ir_helper *h = &helpers[rnd(g, G_N_ELEMENTS(helpers))];
    ir_ref a[4] = { 0 };

    for (unsigned i = 0; i < h->args; i++) {
        a[i] = pick_or_const(g, IR_64);
    }
    keep(g, ir_call(g->ir, h, a[0], a[1], a[2], a[3]), IR_64);
}

static void gen_env(struct gen *g)
{
    unsigned w = (unsigned)rnd(g, 4), off = STATE(misc) + 8 * (unsigned)rnd(g, 8);

    switch (rnd(g, 3)) {
    case 0: keep(g, ir_ldenv(g->ir, w, off), IR_64); break;
    case 1: keep(g, ir_pcrel(g->ir, (int32_t)edge(g)), IR_64); break;
    default: ir_stenv(g->ir, w, off, pick(g, w)); break;
    }
}

static void gen_op(struct gen *g)
{
    static void (*const makers[])(struct gen *) = {
        gen_arith, gen_arith, gen_arith, gen_arith, gen_carry, gen_shift, gen_shift, gen_unary, gen_convert, gen_convert,
        gen_wide, gen_lea, gen_flags, gen_flags, gen_env,
    };
    makers[rnd(g, G_N_ELEMENTS(makers))](g);
}

static unsigned gen_target(struct gen *g)
{
    struct ir_exit e = { .off = (int32_t)rnd(g, 4096) };

    if (chance(g, 10)) {
        e.off = (int32_t)edge(g);
    }
    e.backward = e.off <= (int32_t)g->off;
    e.wrap32 = chance(g, 5);
    e.flags_dead = !e.wrap32 && e.off >= 0 && e.off < 4096 && (e.off & 3) == 3;    /* so that the pc tells */
    return ir_exit_target(g->ir, e);
}

static void gen_insn(struct gen *g)
{
    unsigned n = 1 + (unsigned)rnd(g, 4);

    ir_insn(g->ir, g->off, 1 + (unsigned)rnd(g, 15));
    g->off += 4;
    g->flags = 0;
    for (unsigned i = 0; i < n; i++) {
        if (chance(g, 20)) {
            gen_memory(g);
        } else if (chance(g, 4)) {
            gen_divide(g);
        } else if ((g->options & RANDIR_NATIVE) && chance(g, 10)) {
            gen_native(g);
        } else {
            gen_op(g);
        }
    }
    /* from here on nothing faults */
    if ((g->options & RANDIR_HELPERS) && chance(g, 8)) {
        gen_helper(g);
    }
    if (g->flags && chance(g, 80)) {
        ir_putflags(g->ir, g->flags);
    }
    for (unsigned i = (unsigned)rnd(g, 3); i > 0; i--) {
        ir_put(g->ir, (unsigned)rnd(g, RANDIR_SLOTS), pick(g, IR_64));
    }
    if (chance(g, 15) && g->ir->n_exits < 50) {
        if (chance(g, 60)) {
            ir_exit_if(g->ir, (unsigned)rnd(g, 16), ir_getflags(g->ir), gen_target(g));
        } else {
            unsigned w = (unsigned)rnd(g, 4);
            ir_exit_ifz(g->ir, w, pick(g, w), chance(g, 50), gen_target(g));
        }
    }
    if (chance(g, 3) && g->ir->n_exits < 50) {
        ir_poll(g->ir, gen_target(g));
    }
}

void randir_make(struct ir *ir, struct arena *arena, uint64_t seed, unsigned options)
{
    struct gen g = { .ir = ir, .rng = seed * 0x2545f4914f6cdd1dull + 1, .options = options & ~RANDIR_NO_FOLD };
    unsigned n;

    ir_begin(ir, arena, &randir_guest);
    ir->no_fold = options & RANDIR_NO_FOLD;
    ir->off_mask = options / RANDIR_OFF;
    n = 1 + (unsigned)rnd(&g, 24);
    g.off = (unsigned)rnd(&g, 3900);
    for (unsigned i = 0; i < n; i++) {
        gen_insn(&g);
    }
    switch (rnd(&g, 6)) {
    case 0: ir_exit_ind(ir, (enum ir_ind)rnd(&g, 3), pick(&g, IR_64)); break;
    case 1: ir_exit_loop(ir, TCG_EXIT_EVENT, gen_target(&g)); break;
    default: ir_exit_jump(ir, gen_target(&g)); break;
    }
}

/* ---- states ---- */

void randir_state_init(struct randir_state *s, uint8_t *ram, uint64_t seed)
{
    struct gen g = { .rng = seed ^ 0x1234567 };
    uint16_t fcw = 0x37f;

    memset(s, 0, sizeof(*s));
    for (unsigned i = 0; i < RANDIR_SLOTS; i++) {
        s->gpr[i] = edge(&g);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(s->misc); i++) {
        s->misc[i] = edge(&g);
    }
    for (unsigned i = 0; i < 16; i++) {
        for (unsigned k = 0; k < 4; k++) {             /* floats of moderate size, so that addps has something to add */
            float v = (float)(int16_t)rnd(&g, 65536) / 16;
            memcpy(s->vec[i] + 4 * k, &v, 4);
        }
    }
    for (unsigned i = 0; i < RANDIR_RAM; i += 8) {
        uint64_t v = edge(&g);
        memcpy(ram + i, &v, 8);
    }
    s->ram = ram;
    s->mxcsr = 0x1f80;
    memcpy(s->fx, &fcw, 2);
    s->env.pcbase = RANDIR_PCBASE;
    s->env.cc_op = IR_CC_EFLAGS;
    s->env.cc_a = randir_next(&g.rng) & 0x8d5;
}

static uint32_t state_flags(const struct randir_state *s)
{
    return cc_eflags(s->env.cc_op & 31, s->env.cc_op >> 5, s->env.cc_a, s->env.cc_b, s->env.cc_c);
}

const char *randir_state_differs(const struct randir_state *a, const struct randir_state *b, bool flags)
{
    return a->env.pc != b->env.pc ? "pc" :
        memcmp(a->gpr, b->gpr, sizeof(a->gpr)) ? "slots" :
        memcmp(a->misc, b->misc, sizeof(a->misc)) ? "env fields" :
        memcmp(a->vec, b->vec, sizeof(a->vec)) ? "vectors" :
        a->mxcsr != b->mxcsr ? "mxcsr" :
        a->faults != b->faults ? "faults" :
        memcmp(a->ram, b->ram, RANDIR_RAM) ? "memory" :
        flags && state_flags(a) != state_flags(b) ? "flags" : NULL;
}

bool randir_flags_dead(const struct ir *ir, uint64_t pc)
{
    for (unsigned i = 0; i < ir->n_exits; i++) {
        const struct ir_exit *e = &ir->exits[i];
        if (e->flags_dead && RANDIR_PCBASE + (uint64_t)(int64_t)e->off == pc) {
            return true;
        }
    }
    return false;
}
