/*
 * Reference semantics of flags kinds (enum ir_cc): six EFLAGS bits from operation and operands. SDM vol. 1, 3.4.3.1
 * and the instruction pages; what those leave undefined is as ir.h says. Built with general registers only.
 */
#include "tcg/ir.h"

enum { F_C = 1 << 0, F_P = 1 << 2, F_A = 1 << 4, F_Z = 1 << 6, F_S = 1 << 7, F_O = 1 << 11, F_ALL = F_C | F_P | F_A | F_Z | F_S | F_O };

/* Bit n: n has an even number of ones. */
#define EVEN_PARITY 0x9669u

static uint32_t result_flags(uint64_t r, uint64_t top)
{
    uint32_t f = r == 0 ? F_Z : 0;
    f |= r & top ? F_S : 0;
    f |= EVEN_PARITY >> ((r ^ r >> 4) & 15) & 1 ? F_P : 0;
    return f;
}

/* C, O and A of x - y (- 1) = r. */
static uint32_t sub_flags(uint64_t x, uint64_t y, uint64_t r, uint64_t top)
{
    uint64_t borrow = (~x & y) | (~(x ^ y) & r);
    return (borrow & top ? F_C : 0) | ((x ^ y) & (x ^ r) & top ? F_O : 0) | ((x ^ y ^ r) & F_A);
}

static uint32_t add_flags(uint64_t x, uint64_t y, uint64_t r, uint64_t top)
{
    uint64_t carry = (x & y) | ((x | y) & ~r);
    return (carry & top ? F_C : 0) | ((r ^ x) & (r ^ y) & top ? F_O : 0) | ((x ^ y ^ r) & F_A);
}

uint32_t cc_eflags(unsigned kind, unsigned w, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t top = 1ull << (ir_bits(w) - 1), m = top | (top - 1);
    uint64_t eflags = a, bits = b, carry = a & 1;
    bool c_in;

    a &= m;
    b &= m;
    c &= m;
    switch (kind) {
    case IR_CC_EFLAGS: return eflags & F_ALL;
    case IR_CC_ADD:    return result_flags(a, top) | add_flags((a - b) & m, b, a, top);
    case IR_CC_SUB:    return result_flags(a, top) | sub_flags((a + b) & m, b, a, top);
    case IR_CC_CMP:    c = (a - b) & m; return result_flags(c, top) | sub_flags(a, b, c, top);
    case IR_CC_LOGIC:  return result_flags(a, top);
    case IR_CC_ADC:    return result_flags(a, top) | add_flags(c, b, a, top);
    case IR_CC_SBB:    return result_flags(a, top) | sub_flags(c, b, a, top);
    case IR_CC_INC:    return result_flags(a, top) | (a == top ? F_O : 0) | ((a & 15) == 0 ? F_A : 0) | (bits & F_C);
    case IR_CC_DEC:    return result_flags(a, top) | (a == top - 1 ? F_O : 0) | ((a & 15) == 15 ? F_A : 0) | (bits & F_C);
    case IR_CC_SHL:
        c_in = b & top;
        return result_flags(a, top) | (c_in ? F_C : 0) | (c_in != !!(a & top) ? F_O : 0);
    case IR_CC_SHR:    return result_flags(a, top) | (b & F_C) | ((b ^ a) & top ? F_O : 0);
    case IR_CC_SAR:    return result_flags(a, top) | (b & F_C);
    case IR_CC_MUL:    return result_flags(a, top) | (b ? F_C | F_O : 0);
    case IR_CC_BITC:   return (bits & (F_ALL & ~F_C)) | carry;
    case IR_CC_ZONLY:  return (a == 0 ? F_Z : 0) | (bits & F_C);
    default:           return 0;
    }
}

bool cc_test(unsigned cond, uint32_t f)
{
    bool less = !(f & F_S) != !(f & F_O), yes;

    switch (cond >> 1) {
    case IR_COND_O >> 1:  yes = f & F_O; break;
    case IR_COND_C >> 1:  yes = f & F_C; break;
    case IR_COND_Z >> 1:  yes = f & F_Z; break;
    case IR_COND_BE >> 1: yes = f & (F_C | F_Z); break;
    case IR_COND_S >> 1:  yes = f & F_S; break;
    case IR_COND_P >> 1:  yes = f & F_P; break;
    case IR_COND_L >> 1:  yes = less; break;
    default:              yes = less || (f & F_Z); break;
    }
    return yes != (cond & 1);
}
