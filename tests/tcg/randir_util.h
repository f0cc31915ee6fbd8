/*
 * Random regions for the tests of tcg/: a small guest of its own, a generator, and flat memory for the interpreter. Regions keep the
 * rules of tcg/ir.h, never look at undefined bits, and give flags ops inputs that belong together.
 */
#ifndef TESTS_TCG_RANDIR_UTIL_H
#define TESTS_TCG_RANDIR_UTIL_H

#include "tcg/backend.h"

#define RANDIR_SLOTS 16
#define RANDIR_PCBASE 0x555500400000ull
#define RANDIR_LOW 0x20001000ull              /* both addresses are the same RAM */
#define RANDIR_HIGH 0x7654321000ull
#define RANDIR_RAM 8192                       /* bytes: two pages; accesses may cross from one to the other */
#define RANDIR_BAD 0x30000000ull              /* a load or store from here to +4095 faults */

struct randir_state {
    struct tcg_env env;
    uint64_t gpr[RANDIR_SLOTS];
    uint64_t misc[8];                         /* ldenv, stenv */
    uint32_t mxcsr;
    uint32_t pad;
    uint8_t *ram;
    uint64_t faults;                          /* times that trap() or a bad address was met */
    uint8_t fx[512] __attribute__((aligned(64)));
    uint8_t vec[32][64] __attribute__((aligned(64)));
    struct tcg_scratch tcg;
};

extern const struct tcg_guest randir_guest;   /* homes as the x86 guest has them on an x86-64 host */
extern const struct tcg_interp_mem randir_mem;

enum randir_options {
    RANDIR_NO_FOLD = 1,                       /* builder's folding off; the same region otherwise */
    RANDIR_NATIVE  = 2,                       /* vector and x87 instructions too */
    RANDIR_FAULTS  = 4,                       /* now and then an access that faults, a division by zero */
    RANDIR_HELPERS = 8,
    RANDIR_OFF     = 256,                     /* times a mask: ir.off_mask */
};

uint64_t randir_next(uint64_t *rng);
/* Makes the region that belongs to `seed`, into *ir (ir_begin() is called inside). Not optimised. */
void randir_make(struct ir *ir, struct arena *arena, uint64_t seed, unsigned options);
/* State and RAM that belong to `seed`. ram: RANDIR_RAM bytes. */
void randir_state_init(struct randir_state *s, uint8_t *ram, uint64_t seed);
/* NULL, or what differs between two states after a region (flags by value). `flags`: compare them. */
const char *randir_state_differs(const struct randir_state *a, const struct randir_state *b, bool flags);
/* True if the exit that left at env.pc had flags_dead set: flags are not to be compared. */
bool randir_flags_dead(const struct ir *ir, uint64_t pc);

#endif
