/*
 * Helpers of the vector front end that need general registers only.
 */
#include "cpu/x86/fpu_helpers.h"
#include "cpu/x86/state.h"

enum { VEC_GP = 13, MXCSR_MASK = 0xffff };

uint64_t x86_do_check_mxcsr(struct x86_state *s, uint64_t value, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    if (value & ~(uint64_t)MXCSR_MASK) {
        x86_raise(s, VEC_GP, true, 0);
    }
    return 0;
}

uint64_t x86_do_check_align(struct x86_state *s, uint64_t at, uint64_t mask, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    if (at & mask) {
        x86_raise(s, VEC_GP, true, 0);
    }
    return 0;
}
