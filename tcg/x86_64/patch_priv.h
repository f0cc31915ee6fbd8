/* Layout of a cross-page exit: offsets of its fields from the first byte. See emit_exit.c. */
#ifndef TCG_X86_64_PATCH_PRIV_H
#define TCG_X86_64_PATCH_PRIV_H

#include <stddef.h>

#include "tcg/env.h"

#define GUARD_IMM 7
#define GUARD_DISP 14
#define GUARD_REL 33
#define GUARD_OFF 0xfffu
#define GUARD_MAP ((int)offsetof(struct tcg_tlb, code_map) - (int)offsetof(struct tcg_tlb, entry))

#endif
