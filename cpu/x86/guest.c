/*
 * The x86 guest as the translator sees it: slots and, for x86-64 hosts, which host register is whose home. rsp, rbp and r12 live in
 * registers that survive calls; r9-r11 and r13-r15 stay in memory.
 */
#include "cpu/x86/state.h"
#include "cpu/x86/translate.h"

#define SLOT(name, n, home) { name, __builtin_offsetof(struct x86_state, gpr) + (n) * 8, IR_64, home }

static const struct tcg_slot slots[X86_SLOTS] = {
    SLOT("rax", 0, 0),  SLOT("rcx", 1, 1),   SLOT("rdx", 2, 2),   SLOT("rbx", 3, 3),   SLOT("rsp", 4, 12),  SLOT("rbp", 5, 13),
    SLOT("rsi", 6, 6),  SLOT("rdi", 7, 7),   SLOT("r8", 8, 8),    SLOT("r9", 9, -1),   SLOT("r10", 10, -1), SLOT("r11", 11, -1),
    SLOT("r12", 12, 14), SLOT("r13", 13, -1), SLOT("r14", 14, -1), SLOT("r15", 15, -1),
};

const struct tcg_guest x86_guest = {
    .isa = "x86_64",
    .slots = slots,
    .n_slots = X86_SLOTS,
    .vec_offset = __builtin_offsetof(struct x86_state, vec),
    .vec_stride = 64,
    .n_vec = 16,
    .n_vec_pinned = 14,
    .fx_offset = __builtin_offsetof(struct x86_state, fx),
    .mxcsr_offset = __builtin_offsetof(struct x86_state, mxcsr),
    .scratch_offset = __builtin_offsetof(struct x86_state, tcg),
};
