/*
 * Integer instructions that are too long for IR: decimal adjustment, BOUND, ENTER with levels, rotates through carry. Spec: Intel SDM vol. 2.
 */
#include "cpu/x86/helpers.h"
#include "cpu/x86/sys_priv.h"

static uint32_t flags_now(const struct x86_state *s) { return x86_eflags(s) & X86_FL_ARITH; }

static void flags_set(struct x86_state *s, uint32_t f)
{
    s->env.cc_a = f & X86_FL_ARITH;
    s->env.cc_op = IR_CC_EFLAGS;
}

/* S, Z and P of a byte. */
static uint32_t byte_flags(uint8_t v)
{
    return cc_eflags(IR_CC_LOGIC, IR_8, v, 0, 0);
}

/* --- decimal --- */

static uint64_t decimal(struct x86_state *s, uint64_t ax, bool subtract)
{
    uint32_t old = flags_now(s), f = 0;
    uint8_t al = ax, v = al;
    bool carry = old & X86_FL_C;

    if ((al & 15) > 9 || (old & X86_FL_A)) {
        v = subtract ? v - 6 : v + 6;
        f |= X86_FL_A | (carry || (subtract ? al < 6 : al > 0xf9) ? X86_FL_C : 0);
    }
    if (al > 0x99 || carry) {
        v = subtract ? v - 0x60 : v + 0x60;
        f |= X86_FL_C;
    }
    flags_set(s, f | byte_flags(v));
    return (ax & ~0xffull) | v;
}

uint64_t x86_do_daa(struct x86_state *s, uint64_t ax, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    return decimal(s, ax, false);
}

uint64_t x86_do_das(struct x86_state *s, uint64_t ax, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    return decimal(s, ax, true);
}

static uint64_t ascii(struct x86_state *s, uint64_t ax, bool subtract)
{
    uint16_t v = ax;
    uint32_t f = 0;

    if ((v & 15) > 9 || (flags_now(s) & X86_FL_A)) {
        v = subtract ? v - 0x106 : v + 0x106;
        f = X86_FL_A | X86_FL_C;
    }
    v &= 0xff0f;
    flags_set(s, f | byte_flags(v));
    return (ax & ~0xffffull) | v;
}

uint64_t x86_do_aaa(struct x86_state *s, uint64_t ax, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    return ascii(s, ax, false);
}

uint64_t x86_do_aas(struct x86_state *s, uint64_t ax, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    return ascii(s, ax, true);
}

uint64_t x86_do_aam(struct x86_state *s, uint64_t ax, uint64_t base, uint64_t c, uint64_t d)
{
    uint8_t al = ax, n = base;

    (void)c, (void)d;
    if (!n) {
        x86_raise(s, X86_DE, false, 0);
    }
    flags_set(s, byte_flags(al % n));
    return (ax & ~0xffffull) | (uint64_t)(al / n) << 8 | al % n;
}

uint64_t x86_do_aad(struct x86_state *s, uint64_t ax, uint64_t base, uint64_t c, uint64_t d)
{
    uint8_t al = ax, ah = ax >> 8, v = al + ah * (uint8_t)base;

    (void)c, (void)d;
    flags_set(s, byte_flags(v));
    return (ax & ~0xffffull) | v;
}

/* --- BOUND, ENTER --- */

uint64_t x86_do_bound(struct x86_state *s, uint64_t index, uint64_t at, uint64_t opsize, uint64_t d)
{
    unsigned regime = x86_regime_at(s, x86_cpl(s));
    struct mmu_fault f;
    int32_t at_index = opsize == 2 ? (int16_t)index : (int32_t)index;

    (void)d;
    x86_need_aligned(s, at, opsize - 1);
    /* the lower bound is compared before the upper one is read */
    for (unsigned upper = 0; upper < 2; upper++) {
        uint64_t v;
        if (!mem_ld(s, upper ? (uint32_t)(at + opsize) : at, opsize, regime, &v, &f)) {
            x86_raise_fault(s, &f);
        }
        int32_t bound = opsize == 2 ? (int16_t)v : (int32_t)v;
        if (upper ? at_index > bound : at_index < bound) {
            x86_raise(s, X86_BR, false, 0);
        }
    }
    return 0;
}

static bool push_aligned(struct x86_state *s, struct x86_stack *st, unsigned size, uint64_t v, struct mmu_fault *f)
{
    x86_need_aligned(s, st->base + ((st->sp - size) & st->mask), size - 1);
    return x86_push(s, st, size, v, f);
}

static bool pop_aligned(struct x86_state *s, struct x86_stack *st, unsigned size, uint64_t *v, struct mmu_fault *f)
{
    x86_need_aligned(s, st->base + (st->sp & st->mask), size - 1);
    return x86_pop(s, st, size, v, f);
}

uint64_t x86_do_enter(struct x86_state *s, uint64_t opsize, uint64_t bytes, uint64_t level, uint64_t d)
{
    struct x86_stack st, frames;
    struct mmu_fault f;
    uint64_t v, frame;

    (void)d;
    level &= 31;
    x86_stack_current(s, &st);
    if (!push_aligned(s, &st, opsize, s->gpr[X86_RBP], &f)) {
        x86_raise_fault(s, &f);
    }
    frame = st.sp;
    frames = st;
    frames.sp = s->gpr[X86_RBP];
    for (unsigned i = 1; i < level; i++) {
        frames.sp -= opsize;
        struct x86_stack at = frames;
        if (!pop_aligned(s, &at, opsize, &v, &f) || !push_aligned(s, &st, opsize, v, &f)) {
            x86_raise_fault(s, &f);
        }
    }
    if (level && !push_aligned(s, &st, opsize, frame & st.mask, &f)) {
        x86_raise_fault(s, &f);
    }
    st.sp -= bytes & 0xffff;
    /* The new top of stack must be writable (SDM vol. 2, ENTER: #PF, #SS): pop moves sp up, push comes back to it. */
    struct x86_stack top = st;
    if (!x86_pop(s, &top, opsize, &v, &f) || !x86_push(s, &top, opsize, v, &f)) {
        f.code |= f.vector == X86_PF ? 2 : 0;          /* it is a write that the CPU tries */
        x86_raise_fault(s, &f);
    }
    if (opsize == 2) {
        s->gpr[X86_RBP] = (s->gpr[X86_RBP] & ~0xffffull) | (frame & 0xffff);
    } else {
        s->gpr[X86_RBP] = opsize == 8 ? frame : (uint32_t)frame;
    }
    x86_stack_commit(s, &st);
    return 0;
}

/* --- rotates through carry --- */

static uint64_t cut(uint64_t v, unsigned w) { return w == IR_64 ? v : v & ((1ull << ir_bits(w)) - 1); }

static uint64_t rotate_carry(struct x86_state *s, uint64_t v, unsigned count, unsigned w, bool left)
{
    unsigned bits = ir_bits(w);
    uint32_t f = flags_now(s);
    uint64_t carry = f & X86_FL_C, r = cut(v, w);

    count &= w == IR_64 ? 63 : 31;
    count %= bits + 1;
    if (!count) {
        return r;
    }
    for (unsigned i = 0; i < count; i++) {
        uint64_t out = left ? r >> (bits - 1) & 1 : r & 1;
        r = left ? cut(r << 1 | carry, w) : r >> 1 | carry << (bits - 1);
        carry = out;
    }
    uint64_t top = r >> (bits - 1) & 1, next = r >> (bits - 2) & 1;
    f &= ~(uint32_t)(X86_FL_C | X86_FL_O);
    f |= carry ? X86_FL_C : 0;
    f |= (left ? top ^ carry : top ^ next) ? X86_FL_O : 0;
    flags_set(s, f);
    return r;
}

uint64_t x86_do_rcl(struct x86_state *s, uint64_t v, uint64_t count, uint64_t w, uint64_t d)
{
    (void)d;
    return rotate_carry(s, v, count, w, true);
}

uint64_t x86_do_rcr(struct x86_state *s, uint64_t v, uint64_t count, uint64_t w, uint64_t d)
{
    (void)d;
    return rotate_carry(s, v, count, w, false);
}
