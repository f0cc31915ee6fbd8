/*
 * Back ends: IR to host code. One const struct tcg_backend per host; accel/tcg/ is the caller.
 *
 * Contract between generated code and the functions of struct tcg_runtime (accel/tcg supplies them, in *_gpr.c):
 *
 * Memory access that misses the inline TLB. The stub loads the address into T and calls the slow thunk. The thunk stores every pinned
 * register to its slot (state is precise as of the start of the instruction), sets scratch.call_ra, saves S, and calls
 *     slow(state, address, desc) -> {addend, status}
 * with general registers only. status 0: go on with the access at [addend + address]. status 1: the thunk saves vectors, x87 and
 * MXCSR (leave_native) and calls slow_full(state, address, desc), which may take locks and talk to devices, and returns the addend.
 * Either may instead not return: it raises and calls tcg_unwind(). For MMIO, page-crossing and code-page accesses slow_full
 * answers with the address of scratch.bounce: loads (and the read half of read-modify-writes) find the data there; after a store the
 * stub calls the done thunk, which carries the store out when scratch.bounce_pending is set (bounce_flush under leave_native).
 *
 * Direct exits: `jmp rel32` / `jcc rel32`, displacement never across a 64-byte line, at first to a stub that ends in `call link`. link(state,
 * return address) -> host code to go on with (it may patch the exit), or the epilogue with scratch.exit_reason set. The unlinked path has not
 * touched env.pcbase: link and link_full set it when they return code on another page, and link_full sets env.pc when it returns NULL.
 * Flags are in env.cc_* whenever link is called. lookup need not set pcbase: the thunk does.
 *
 * Restore map: one row per place where C can be entered from a region, keyed by return address, ascending in host_off.
 */
#ifndef TCG_BACKEND_H
#define TCG_BACKEND_H

#include <glib.h>

#include "tcg/emit.h"

/* Access descriptor, as slow() gets it. */
enum tcg_desc {
    TCG_D_SIZE    = 7,        /* log2 bytes, up to 64 */
    TCG_D_WRITE   = 1 << 3,   /* demands write permission and takes effect as a store */
    TCG_D_READ    = 1 << 4,   /* data is wanted (with WRITE: read-modify-write) */
    TCG_D_ALIGN   = 1 << 5,   /* TCG_TRAP_ALIGN if misaligned */
    TCG_D_ATOMIC  = 1 << 6,   /* crossing and MMIO need the stop-the-world path */
    TCG_D_PROBE   = 1 << 7,   /* permission only */
    TCG_D_REGIME  = 8,        /* shift: 0 = current, else 1 + regime; 4 bits */
};
/* tcg/env.c. A load with mem.intent gets READ | WRITE | PROBE: reads, but write permission is demanded already. */
uint32_t tcg_desc(const struct ir_mem *m, bool read, bool write, bool probe);

/* Where a value is at a map row: relative to the state as the thunk left it. */
enum tcg_loc_kind { LOC_NONE, LOC_SLOT, LOC_S, LOC_T, LOC_I, LOC_STACK, LOC_CONST, LOC_KEPT /* already in cc_a/b/c */,
    LOC_ENV_CARRY /* the carry of the flags in env.cc_* as they stand: 0 or 1 */ };
struct tcg_loc {
    uint8_t kind;
    uint8_t w;               /* value is meaningful in this width only (subregisters of slots) */
    bool high8;              /* LOC_SLOT: bits 8-15 of it */
    int32_t v;               /* slot number, stack offset, or constant (sign-extended) */
};
struct tcg_map_row {
    uint32_t host_off;       /* return address or faulting instruction, from the region's code start */
    int16_t pc_off;          /* guest instruction, from pcbase */
    uint16_t insn;           /* its index in the region */
    uint8_t cc;              /* enum ir_cc | width << 5; TCG_CC_KEPT: flags are in env already */
    uint8_t trap;            /* enum tcg_trap for host-trap rows, else 0xff */
    struct tcg_loc loc[3];
};
#define TCG_CC_KEPT 0xff

/* A direct exit as compiled. */
struct tcg_code_exit {
    uint32_t patch_off;      /* of the rel32 */
    uint32_t stub_off;       /* what it jumps to while unlinked */
    uint32_t link_ra;        /* return address of the stub's `call link`, from code start */
    uint16_t target;         /* index in ir.exits */
    bool cross;              /* leaves the page: `guard_off` and `id_off` are to be patched too */
    uint32_t id_off;         /* cross: where the code-page id is (back end private layout, see patch) */
};

struct tcg_code {            /* result of compile(); arrays belong to the arena given */
    uint8_t *rx;             /* where it runs */
    uint32_t size, hot_size; /* bytes in all; bytes before the out-of-line part */
    uint32_t host_insns;     /* on the hot path */
    struct tcg_map_row *map;
    uint32_t n_map;
    struct tcg_code_exit *exits;
    uint32_t n_exits;
};

struct tcg_slow_result { uint64_t addend, status; };

struct tcg_runtime {
    struct tcg_slow_result (*slow)(void *state, uint64_t addr, uint32_t desc);   /* GPR-only */
    uint64_t (*slow_full)(void *state, uint64_t addr, uint32_t desc);
    void (*bounce_flush)(void *state);
    void *(*link)(void *state, uint64_t ra);          /* GPR-only; NULL: take the full path */
    void *(*link_full)(void *state, uint64_t ra);     /* translates; code to run, or NULL: leave (scratch.exit_reason) */
    void *(*lookup)(void *state, uint64_t pc);        /* GPR-only: jump-table miss; NULL: leave with TCG_EXIT_LOOKUP and env.pc set */
    void (*changed)(void *state);                     /* GPR-only: after IR_EFF_CTX/MODE helpers: recompute env.ctx and env.jt */
    void (*lock)(void *state, bool on);               /* machine lock around IR_EFF_LOCK helpers; vectors are saved */
    /* Around every helper that is not IR_EFF_GPR: it may block (locks, devices), so the engine must not wait for this vCPU. NULL: nothing */
    void (*outside)(void *state, bool on);
};

struct tcg_codebuf;          /* tcg/codebuf.h */

struct tcg_backend {
    const char *name;        /* "x86_64", "interp" */
    /* Once per process and guest: emits prologue, epilogue and thunks into the buffer. */
    bool (*init)(struct tcg_codebuf *cb, const struct tcg_guest *guest, const struct tcg_runtime *rt, GError **err);
    /* Compiles at the buffer's allocation point; false when it does not fit (the caller makes room and tries again). One compiler at a
     * time (caller's lock). */
    bool (*compile)(struct tcg_codebuf *cb, struct ir *ir, struct arena *a, struct tcg_code *out);
    /* Runs from `code` until something leaves; the reason is in scratch.exit_reason, env.pc is set. */
    void (*enter)(void *state, void *code);
    /* Points a direct exit at target, or back at its stub (NULL). For cross exits page_id is the dense number of the target's code page.
     * Safe while other vCPUs execute it. A cross exit is bound to the first page_id it is given; calls with another one change nothing. */
    void (*patch)(struct tcg_codebuf *cb, uint8_t *rx, const struct tcg_code_exit *e, const uint8_t *target, uint32_t page_id);
    /* Makes a dead region's entry leave with TCG_EXIT_LOOKUP (for jumps that could not be unlinked in time). Only when no vCPU can stand inside
     * the first 5 bytes of the region's code. */
    void (*kill)(struct tcg_codebuf *cb, uint8_t *rx, uint32_t size);
};
extern const struct tcg_backend tcg_backend_x86_64;

/*
 * Unwinding from C called by generated code (slow paths and helpers), GPR-only: drops the C frames and returns from enter() with
 * `reason`. The caller has restored pc and flags (accel/tcg does, from the map). Never returns.
 */
void tcg_unwind(void *state, uint32_t reason) __attribute__((noreturn));

/* First thing in tcg_unwind(): if the interpreter is running, ends tcg_interp() with `reason` and does not return. GPR-only. */
void tcg_interp_unwind(struct tcg_scratch *scratch, uint32_t reason);

/* SIGFPE in generated code: called by accel's handler with the fault's host pc known to lie in a region; redirects the context to a stub that
 * stores the homes as the slow thunk does and then calls `fn(state, host pc)`. `uc` is the handler's ucontext_t. */
void tcg_host_trap_redirect(void *uc, void (*fn)(void *state, uint64_t host_pc));

/*
 * interp.c: runs the IR on the state; memory through these. env.pcbase is the caller's to set. Returns the exit reason, also in
 * scratch.exit_reason; env.pc is set. Direct and indirect exits answer TCG_EXIT_LOOKUP. While it runs env.pc is the instruction's own address, slots
 * and flags in the state are precise, scratch.call_ra is 0. C may leave it by tcg_unwind(). Bits that ops.def calls undefined are filled with a
 * pattern, so that who looks at them is found out.
 */
struct tcg_interp_mem {
    /* zero-extended; raises and unwinds on faults. PROBE without READ: permission only, nothing is read (sizes up to 64 bytes) */
    uint64_t (*ld)(void *state, uint64_t addr, uint32_t desc);
    void (*st)(void *state, uint64_t addr, uint32_t desc, uint64_t value);
    void (*ld_bytes)(void *state, uint64_t addr, uint32_t desc, void *buf);    /* native ops */
    void (*st_bytes)(void *state, uint64_t addr, uint32_t desc, const void *buf);
    /* atomic read-modify-write: fn(old, opaque) -> new, under whatever makes it atomic; returns old */
    uint64_t (*rmw)(void *state, uint64_t addr, uint32_t desc, uint64_t (*fn)(uint64_t old, void *opaque), void *opaque);
    void (*changed)(void *state);
    void (*lock)(void *state, bool on);
    void (*outside)(void *state, bool on);                                     /* as in struct tcg_runtime */
    /* Divide error, unmasked FP error of a native op: raises, unwinds. */
    void (*trap)(void *state, enum tcg_trap trap, uint64_t addr);
};
uint32_t tcg_interp(void *state, const struct ir *ir, const struct tcg_interp_mem *mem);

#endif
