/*
 * What generated code and C share at run time: the head of every ISA's state struct, the address context, the scratch area.
 * Layouts are asserted in tcg/env.c; the x86-64 back end addresses them by constant offsets.
 *
 * Host registers while generated code runs (x86-64 host):
 *   rsp  host stack, 16-byte aligned inside a region     rbp  state + 128 (offsets 0..255 have 8-bit displacements)
 *   r15  address context (tlb_ctx.entry)                 r9 r10 r11  scratch S T I: the allocator's only free registers
 *   the rest: homes of guest registers, by tcg_guest.slots[].home.   xmm0-13 homes of vector registers, xmm14-15 scratch
 *   MXCSR is the guest's. x87 is the guest's while scratch.x87_live is set.
 */
#ifndef TCG_ENV_H
#define TCG_ENV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* First member of every ISA's state struct, named `env`. 64 bytes. */
struct tcg_env {
    uint64_t pcbase;             /* linear address of the page that the running region lies in */
    struct tcg_jump *jt;         /* jump table in force: ctx's own, or the always-miss table while kicked */
    struct tcg_tlb *ctx;         /* address context in force (what r15 points into) */
    uint64_t cc_a, cc_b, cc_c;   /* lazily kept flags at region boundaries */
    uint32_t cc_op;              /* enum ir_cc | width << 5 */
    _Atomic uint8_t kick;        /* not 0: leave generated code at the next poll */
    uint8_t pad[3];
    uint64_t pc;                 /* linear address of the next guest instruction; valid outside generated code only */
};

enum tcg_trap { TCG_TRAP_DIV, TCG_TRAP_FP_VEC, TCG_TRAP_FP_X87, TCG_TRAP_ALIGN, TCG_TRAP_BUS };

/* Why generated code returned to the run loop. */
enum tcg_exit_reason {
    TCG_EXIT_LOOKUP,             /* env.pc has no region yet, or chaining is off */
    TCG_EXIT_KICK,               /* a poll saw the kick byte */
    TCG_EXIT_RAISED,             /* an exception was raised; env.pc is the instruction (or the next, as the ISA decides) */
    TCG_EXIT_HALT,               /* the CPU halts */
    TCG_EXIT_MODE,               /* mode key may have changed: look again */
    TCG_EXIT_EVENT,              /* an interrupt may be deliverable now (sti, popf, mov ss shadow over) */
    TCG_EXIT_ONE,                /* run the instruction at env.pc alone (self-modifying store, crossing atomic, ...) */
    TCG_EXIT_STOP,               /* reset, shutdown, debug: the ISA has left word for the loop */
};

/* ---- address context: software TLB, code map, jump table of one (vCPU, address space, regime) ---- */

#define TCG_REGIMES 4
#define TLB_BITS 10                       /* entries; index mask is in memory so that it can grow */
#define TLB_ENTRIES (1u << TLB_BITS)
#define CODE_MAP_BITS 12
#define CODE_MAP_ENTRIES (1u << CODE_MAP_BITS)
#define JUMP_BITS 14
#define JUMP_ENTRIES (1u << JUMP_BITS)

/*
 * Page tags. A hot entry's tag is the linear page address. An entry that must not hit (empty, MMIO, code page, not yet
 * dirty, watched) holds its slot's page address with bit 12 flipped: the address that would match belongs to another slot,
 * so nothing that the guest can form ever hits it.
 */
struct tlb_entry {
    _Atomic uint64_t read;       /* tag */
    _Atomic uint64_t write;      /* tag; other threads may store an invalid one */
    uint64_t addend;             /* host address = linear + addend, for RAM */
    uint64_t info;               /* RAM page number | flags; for the slow path */
};

struct tcg_jump {                /* jump-table entry */
    uint64_t pc;                 /* linear; an empty entry holds a pc that belongs to another slot */
    void *code;
};

struct tcg_tlb {
    /* Code map: [id % entries] = linear page | id / entries, for code page number `id`: "this page is that code page, now" */
    uint64_t code_map[CODE_MAP_ENTRIES];
    struct {
        struct tcg_jump *jump;   /* this context's jump table */
        uint32_t asid;
        uint32_t mode;           /* mode key that the jump table was filled under */
        uint8_t regime;
        bool stale;              /* clear before use */
        bool large;              /* holds pieces of pages larger than 4 KiB */
        uint8_t pad[5];
        uint64_t fills;
        uint64_t stamp;          /* last use, for choosing a victim */
        uint64_t reserved;
        uint64_t reserved2;
        uint64_t mask;           /* [r15 - 8]: (entries - 1) * sizeof(struct tlb_entry) */
    } h;
    struct tlb_entry entry[TLB_ENTRIES];  /* r15 points here */
};

/* Slot of the jump table; linear pages do not count much, aligned targets spread over all of it. The back end computes the same. */
static inline unsigned jump_index(uint64_t pc) { return (unsigned)(pc ^ pc >> 4) & (JUMP_ENTRIES - 1); }
static inline uint64_t jump_invalid_pc(unsigned index) { return index == 0; }

static inline uint64_t tlb_invalid_tag(unsigned index) { return ((uint64_t)index << 12) ^ (1u << 12); }

/* ---- scratch: what thunks save, at guest->scratch_offset ---- */
struct tcg_scratch {
    uint64_t host_rsp;           /* stack pointer to unwind to: set by tcg_enter */
    uint64_t call_ra;            /* return address of the last call out of a region: key of the restore map. 0 outside */
    uint64_t save_s, save_t, save_i;
    uint64_t arg[4], ret;        /* helper arguments and result */
    uint32_t host_mxcsr;         /* default for C code */
    uint8_t x87_live;            /* the host's x87 holds the guest's state */
    uint8_t vec_saved;           /* vector homes are in memory now (inside leave_native) */
    uint8_t in_code;             /* generated code is running (or C called from it) */
    uint8_t bounce_pending;      /* a store went to the bounce buffer and must be carried out */
    uint64_t bounce_addr;        /* its linear address and size */
    uint32_t bounce_size;
    uint32_t exit_reason;
    void *interp_jmp;            /* not NULL: the interpreter is running; where tcg_interp_unwind() jumps */
    uint64_t exit_ra;            /* return address of the exit's `call`: key of the exit record, for linking */
    /*
     * vec_low: the upper halves of all vector registers are zero, and so they are not loaded. 0 is always right: who writes vectors from
     * outside clears it. Generated code and interpreter clear it before they write an upper half, vzeroupper sets it.
     * mem_high: those in memory may be something else all the same, until the registers are stored the next time.
     */
    uint8_t vec_low, mem_high;
    uint64_t swapped;            /* back end's own: homes of rax and rdx are in T and I while not 0 (divide with foreign operands) */
    uint8_t bounce[128] __attribute__((aligned(64)));
};

#endif
