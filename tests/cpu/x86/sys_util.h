/*
 * One vCPU with RAM and no engine, for tests of the system side: memory goes through the page walk each time, raising jumps out.
 */
#ifndef TESTS_CPU_X86_SYS_UTIL_H
#define TESTS_CPU_X86_SYS_UTIL_H

#include "cpu/x86/helpers.h"
#include "cpu/x86/sys_priv.h"

#define SYS_RAM (32u << 20)

struct sys {
    struct machine *m;
    struct x86_cpu *x;
    struct x86_state *s;
    uint8_t *ram;
    unsigned flushes;             /* tlb_flush() calls */
    enum tlb_flush last_flush;
    unsigned kicks;
    uint64_t result;              /* of the last sys_call() */
};

/* The model text as -cpu takes it; the vCPU is as after RESET. */
struct sys *sys_new(const char *model);
void sys_free(struct sys *t);

typedef uint64_t sys_fn(struct x86_state *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d);
/* Runs a helper; false: it raised, and the exception is pending in the state. */
bool sys_call(struct sys *t, sys_fn *fn, uint64_t a, uint64_t b, uint64_t c, uint64_t d);
/* It raised exactly this; code < 0: none. Clears it. */
bool sys_raised(struct sys *t, unsigned vector, int64_t code);

void sys_put(struct sys *t, uint64_t pa, unsigned size, uint64_t v);
uint64_t sys_get(struct sys *t, uint64_t pa, unsigned size);

/* Where the set-ups below put things (physical = linear). */
enum { SYS_GDT = 0x1000, SYS_IDT = 0x2000, SYS_TSS = 0x3000, SYS_LDT_AT = 0x4000, SYS_TSS2 = 0x5000, SYS_PML4 = 0x10000, SYS_STACK0 = 0x80000,
       SYS_IST1 = 0x90000, SYS_STACK3 = 0xa0000 };
/* Selectors of the flat GDT: code and data of both levels, 64-bit code, TSS (16 bytes in long mode). */
enum { SEL_CODE32 = 0x08, SEL_DATA = 0x10, SEL_CODE64 = 0x18, SEL_UCODE32 = 0x23, SEL_UDATA = 0x2b, SEL_UCODE64 = 0x33, SEL_TSS = 0x40,
       SEL_FREE = 0x50 };

void sys_desc(struct sys *t, unsigned selector, uint32_t base, uint32_t limit_field, unsigned attr /* as x86_segment.attr */);
/* type 14 interrupt, 15 trap ...; size of the entry by mode */
void sys_gate(struct sys *t, unsigned vector, unsigned selector, uint64_t offset, unsigned type, unsigned dpl, unsigned ist);
/* Flat 32-bit protected mode at CPL 0 without paging, TSS with ss0:esp0, IDT empty. */
void sys_protected(struct sys *t);
/* 64-bit mode at CPL 0; the first 1 GiB mapped 1:1 by a 1 GiB user page, TSS with RSP0 and IST1. */
void sys_long(struct sys *t);
/* To CPL 3 at pc, in the mode that was set up. */
void sys_user(struct sys *t, uint64_t pc);

#endif
