/* The helpers of front_helpers.def: prototypes and descriptors, as helpers.h has them for helpers.def. */
#ifndef CPU_X86_FRONT_HELPERS_H
#define CPU_X86_FRONT_HELPERS_H

#include "tcg/emit.h"

struct x86_state;

/* What a string instruction is, in one word. */
struct x86_str_form {
    uint8_t size;        /* log2 of the element */
    uint8_t addrsize;    /* 2, 4, 8 */
    uint8_t seg;         /* source segment (enum x86_seg) */
    uint8_t rep;         /* 0 none, 1 rep/repe, 2 repne */
    uint8_t based;       /* offsets need segment base and limit (outside 64-bit code) */
    uint8_t code64;
};

/* May a data access of `size` bytes at this offset go on? Limit, type, null segment; outside 64-bit mode. GPR-only. */
bool x86_seg_allows(const struct x86_state *s, unsigned seg, uint32_t offset, unsigned size, bool write);

#define HELPER(name, args, ret, effects)                                                              \
    uint64_t x86_do_##name(struct x86_state *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d);      \
    extern const struct ir_helper x86_helper_##name;
#include "cpu/x86/front_helpers.def"
#undef HELPER

#endif
