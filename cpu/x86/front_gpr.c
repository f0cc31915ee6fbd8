/*
 * Helpers of the integer front end that are too long for IR: segment checks, flags of variable shifts, narrow division.
 * General registers only: no libc, no vectors.
 */
#include "cpu/x86/decode.h"
#include "cpu/x86/front_helpers.h"
#include "cpu/x86/state.h"

#define RAISE (IR_EFF_GPR | IR_EFF_FAULTS)
#define HELPER(name, args, ret, effects) \
    const struct ir_helper x86_helper_##name = {#name, (void *)x86_do_##name, args, ret, effects};
#include "cpu/x86/front_helpers.def"
#undef HELPER

enum { VEC_DE = 0, VEC_SS = 12, VEC_GP = 13 };

/* Descriptor type bits in x86_segment.attr (SDM vol. 3, 3.4.5.1). */
enum { TYPE_WRITE = 1 << 1, TYPE_EXPAND_DOWN = 1 << 2, TYPE_CODE = 1 << 3, ATTR_DB = 1 << 10 };

static bool access_allowed(const struct x86_segment *g, bool write)
{
    if (g->attr & TYPE_CODE) {
        return !write && (g->attr & TYPE_WRITE);      /* in code segments that bit means readable */
    }
    return !write || (g->attr & TYPE_WRITE);
}

static bool within_limit(const struct x86_segment *g, uint32_t offset, unsigned size)
{
    uint64_t last = (uint64_t)offset + size - 1;
    if ((g->attr & (TYPE_CODE | TYPE_EXPAND_DOWN)) == TYPE_EXPAND_DOWN) {
        uint64_t top = g->attr & ATTR_DB ? 0xffffffffu : 0xffff;
        return offset > g->limit && last <= top;
    }
    return last <= g->limit;
}

/* SDM vol. 3, 5.3-5.5: limit, type and null checks of a data access outside 64-bit mode. */
bool x86_seg_allows(const struct x86_state *s, unsigned seg, uint32_t offset, unsigned size, bool write)
{
    const struct x86_segment *g = &s->seg[seg];
    bool real = !(s->cr0 & 1) || (s->eflags & X86_FL_V);

    return within_limit(g, offset, size) && (real || (!g->unusable && access_allowed(g, write)));
}

uint64_t x86_do_seg_linear(struct x86_state *s, uint64_t form, uint64_t offset, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    unsigned seg = form & 0xff, size = 1u << (form >> 8 & 0xff);
    if (!x86_seg_allows(s, seg, (uint32_t)offset, size, form >> 16 & 1)) {
        x86_raise(s, seg == X86_SS ? VEC_SS : VEC_GP, true, 0);
    }
    return (uint32_t)(s->seg[seg].base + offset);
}

uint64_t x86_do_check_ip(struct x86_state *s, uint64_t ip, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    if (ip > s->seg[X86_CS].limit) {
        x86_raise(s, VEC_GP, true, 0);
    }
    return 0;
}

/* ---- flags of shifts and rotates by a count in CL (SDM vol. 2, SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR) ---- */

static uint64_t cut(uint64_t v, unsigned bits)
{
    return bits == 64 ? v : v & ((1ull << bits) - 1);
}

static uint32_t szp(uint64_t r, unsigned bits)
{
    uint32_t f = (r >> (bits - 1) & 1 ? X86_FL_S : 0) | (r == 0 ? X86_FL_Z : 0);
    uint8_t p = (uint8_t)r;
    p ^= p >> 4;
    p ^= p >> 2;
    p ^= p >> 1;
    return f | (p & 1 ? 0 : X86_FL_P);
}

uint64_t x86_do_shift_flags(struct x86_state *s, uint64_t form, uint64_t a, uint64_t count, uint64_t old)
{
    (void)s;
    unsigned kind = form & 7, w = form >> 8, bits = 8u << w;
    unsigned n = (unsigned)count & (bits == 64 ? 63 : 31);
    if (n == 0) {
        return old;
    }
    a = cut(a, bits);
    uint64_t top = 1ull << (bits - 1), r;
    bool carry;
    if (kind <= 1) {                                  /* rol, ror: only C and O */
        unsigned k = n % bits;
        if (kind == 0) {
            r = k ? cut(a << k | a >> (bits - k), bits) : a;
            carry = r & 1;
        } else {
            r = k ? cut(a >> k | a << (bits - k), bits) : a;
            carry = r & top;
        }
        bool over = kind == 0 ? !!(r & top) != carry : !!(r & top) != !!(r & top >> 1);
        return (old & ~(uint64_t)(X86_FL_C | X86_FL_O)) | (carry ? X86_FL_C : 0) | (over ? X86_FL_O : 0);
    }
    bool over;
    if (kind == 5) {                                  /* shr */
        uint64_t before = n - 1 < bits ? a >> (n - 1) : 0;
        carry = before & 1;
        r = before >> 1;
        over = !!(before & top) != !!(r & top);
    } else if (kind == 7) {                           /* sar */
        int64_t v = (int64_t)(a << (64 - bits)) >> (64 - bits);
        int64_t before = v >> (n - 1 < 63 ? n - 1 : 63);
        carry = before & 1;
        r = cut((uint64_t)(before >> 1), bits);
        over = false;
    } else {                                          /* shl */
        uint64_t before = n - 1 < bits ? cut(a << (n - 1), bits) : 0;
        carry = before & top;
        r = cut(before << 1, bits);
        over = carry != !!(r & top);
    }
    return szp(r, bits) | (carry ? X86_FL_C : 0) | (over ? X86_FL_O : 0);
}

/* shld, shrd. For 16-bit operands and counts above 16 the result is undefined; we do what the wide shift of both gives. */
static uint64_t shd(unsigned right, unsigned bits, uint64_t a, uint64_t b, unsigned n, bool *carry)
{
    a = cut(a, bits);
    b = cut(b, bits);
    if (bits == 16 && n > 16) {
        uint64_t wide = right ? a << 32 | b << 16 | a : a << 32 | b << 16 | a;
        if (right) {
            uint64_t v = a | b << 16 | a << 32;
            *carry = v >> (n - 1) & 1;
            return cut(v >> n, 16);
        }
        *carry = wide >> (48 - n) & 1;
        return cut(wide >> (32 - n), 16);
    }
    if (right) {
        *carry = a >> (n - 1) & 1;
        return cut(a >> n | (n < bits ? b << (bits - n) : b), bits);
    }
    *carry = a >> (bits - n) & 1;
    return cut((n < bits ? a << n : 0) | (b >> (bits - n)), bits);
}

uint64_t x86_do_shd_value(struct x86_state *s, uint64_t form, uint64_t a, uint64_t b, uint64_t count)
{
    (void)s;
    unsigned bits = 8u << (form >> 8), n = (unsigned)count & (bits == 64 ? 63 : 31);
    bool carry;
    return n ? shd(form & 1, bits, a, b, n, &carry) : cut(a, bits);
}

uint64_t x86_do_shd_flags(struct x86_state *s, uint64_t form, uint64_t a, uint64_t b, uint64_t old)
{
    (void)s;
    unsigned bits = 8u << (form >> 8 & 0xff), n = (unsigned)(form >> 16) & (bits == 64 ? 63 : 31);
    bool carry;
    if (!n) {
        return old;
    }
    uint64_t r = shd(form & 1, bits, a, b, n, &carry), top = 1ull << (bits - 1);
    return szp(r, bits) | (carry ? X86_FL_C : 0) | ((r ^ a) & top ? X86_FL_O : 0);
}

/* ---- 8- and 16-bit division: the quotient must fit (SDM vol. 2, DIV, IDIV) ---- */

uint64_t x86_do_div8(struct x86_state *s, uint64_t ax, uint64_t divisor, uint64_t sign, uint64_t d)
{
    (void)d;
    if (sign) {
        int32_t a = (int16_t)ax, b = (int8_t)divisor;
        if (b == 0 || a / b != (int8_t)(a / b)) {
            x86_raise(s, VEC_DE, false, 0);
        }
        return (uint8_t)(a / b) | (uint64_t)(uint8_t)(a % b) << 8;
    }
    uint32_t a = (uint16_t)ax, b = (uint8_t)divisor;
    if (b == 0 || a / b > 0xff) {
        x86_raise(s, VEC_DE, false, 0);
    }
    return a / b | (uint64_t)(a % b) << 8;
}

uint64_t x86_do_div16(struct x86_state *s, uint64_t ax, uint64_t dx, uint64_t divisor, uint64_t sign)
{
    uint32_t whole = (uint16_t)ax | (uint32_t)(uint16_t)dx << 16;
    if (sign) {
        int64_t a = (int32_t)whole, b = (int16_t)divisor;
        if (b == 0 || a / b != (int16_t)(a / b)) {
            x86_raise(s, VEC_DE, false, 0);
        }
        return (uint16_t)(a / b) | (uint64_t)(uint16_t)(a % b) << 16;
    }
    uint32_t b = (uint16_t)divisor;
    if (b == 0 || whole / b > 0xffff) {
        x86_raise(s, VEC_DE, false, 0);
    }
    return whole / b | (uint64_t)(whole % b) << 16;
}
