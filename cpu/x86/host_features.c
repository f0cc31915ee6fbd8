/*
 * What the host must have for what the guest is offered. Vector instructions are emitted as they are (translate_vec.c), so a host that lacks
 * one of these sets cannot run it; all other features are made of plain instructions, or the back end has a way without them.
 * Spec: Intel SDM vol. 1, 14.3 (detection of AVX: CPUID, OSXSAVE, XCR0).
 */
#include "cpu/x86/host_features.h"

#ifdef __x86_64__
#include <cpuid.h>

/* Bits that need the same bit of the host; those in `avx` also upper halves that the host's system saves. */
static const struct { uint8_t word; uint32_t bits, avx; } native[] = {
    { W_1_ECX, 1u << 0 | 1u << 1 | 1u << 9 | 1u << 12 | 1u << 19 | 1u << 20 | 1u << 25 | 1u << 28 | 1u << 29,   /* sse3 pclmul ssse3 fma sse4.1 */
      1u << 12 | 1u << 28 | 1u << 29 },                                                                        /* sse4.2 aes avx f16c */
    { W_7_EBX, 1u << 5 | 1u << 29, 1u << 5 },                                                                  /* avx2 sha */
    { W_7_ECX, 1u << 8 | 1u << 9 | 1u << 10, 1u << 9 | 1u << 10 },                                             /* gfni vaes vpclmulqdq */
};

static bool saves_avx(void)
{
    uint32_t a, b, c, d;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) {
        return false;
    }
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (a & 6) == 6;
}

uint32_t x86_host_lacks(enum x86_cpuid_word word)
{
    for (unsigned i = 0; i < sizeof(native) / sizeof(native[0]); i++) {
        const struct x86_word_place *p = &x86_word_places[word];
        uint32_t r[4] = { 0 };

        if (native[i].word != word) {
            continue;
        }
        __get_cpuid_count(p->leaf, p->subleaf, &r[0], &r[1], &r[2], &r[3]);
        return native[i].bits & ~(r[p->reg] & ~(saves_avx() ? 0 : native[i].avx));
    }
    return 0;
}

#else

uint32_t x86_host_lacks(enum x86_cpuid_word word)
{
    (void)word;
    return 0;                /* no vector instruction runs here at all; the interpreter says so when one comes */
}

#endif
