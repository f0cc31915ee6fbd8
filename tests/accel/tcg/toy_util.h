/*
 * A toy ISA for the tests of accel/tcg: eight registers, instructions of 1 to 6 bytes, a page table that is an array.
 */
#ifndef TESTS_ACCEL_TCG_TOY_UTIL_H
#define TESTS_ACCEL_TCG_TOY_UTIL_H

#include "core/accel.h"
#include "core/machine.h"
#include "tcg/emit.h"

#define TOY_PAGES 256
#define TOY_SPACES 16
#define TOY_RAM (1u << 20)
#define TOY_MMIO 0x200000u             /* physical; 64 KiB of device */
#define TOY_ROM 0x300000u

enum toy_op {
    TOY_LI = 1,       /* rd imm32 */
    TOY_ADD,          /* rd rs        flags */
    TOY_ADDI,         /* rd imm8      flags */
    TOY_LD,           /* rd rs disp8  64 bit */
    TOY_ST,           /* rb rs disp8  64 bit */
    TOY_JMP,          /* rel32 from the end */
    TOY_JNZ,          /* rel32 */
    TOY_JR,           /* rs */
    TOY_HALT,
    TOY_RAISE,        /* imm8 */
    TOY_ST8,          /* rb rs disp8 */
    TOY_ASID,         /* rs: address space = rs */
    TOY_CMP,          /* rd rs */
    TOY_FLAGS,        /* rd = EFLAGS bits */
    TOY_XADD,         /* rb rs: lock [rb] += rs */
    TOY_DIV,          /* rd /= rs */
    TOY_CALL,         /* rd rel32: rd = next; jump */
    TOY_NOP,
    TOY_FLUSH,        /* rs: drop the translation of that page */
    TOY_STH,          /* rb rs: store by a helper, accel->st */
    TOY_LDH,          /* rd rs: load by a helper, accel->ld */
    TOY_ADDV,         /* rd rs: add without flags, keeps them pending over what follows */
    TOY_LDW,          /* rd rs: load that demands write permission */
    TOY_FLAVOUR,      /* rd = the state's flavour, known when it is translated: a bit of the mode that nobody else looks at */
    TOY_UNIMP = 0xff,
};

struct toy_state {
    struct tcg_env env;
    uint64_t r[8];
    uint32_t asid, user, flavour;
    bool raised, halted;
    uint32_t vector;
    uint64_t fault_addr;
    uint32_t mxcsr;
    uint8_t fx[512] __attribute__((aligned(64)));
    struct tcg_scratch tcg;
};

struct toy_cpu {
    struct cpu cpu;
    struct toy_state s __attribute__((aligned(64)));
    /* [asid][page]: physical page << 12 | MMU_* ; 0: not mapped */
    uint64_t table[TOY_SPACES][TOY_PAGES];
    unsigned walks, services;
    bool stop_on_service;
};

struct toy {
    struct machine *m;
    struct ram_block *ram, *rom;
    struct region ram_region, rom_region, io_region;
    struct toy_cpu *cpu[4];
    uint64_t io_last_addr, io_last_value;
    unsigned io_reads, io_writes, io_size;
    uint8_t io_code[16];               /* what reads of the device's first bytes give */
};

extern const struct cpu_ops toy_ops;

enum { TOY_VEC_PF = 14, TOY_VEC_DIV = 0, TOY_VEC_UD = 6 };

/* options: as after -accel tcg, ; NULL: none. Aborts the test on failure. */
struct toy *toy_new(const char *options, unsigned cpus);
void toy_free(struct toy *t);
/* Guest code is written with these, from `at` (physical = linear in space 0). Each returns the address behind. */
uint32_t toy_put(struct toy *t, uint32_t at, unsigned n, ...);
uint32_t toy_li(struct toy *t, uint32_t at, unsigned rd, uint32_t imm);
uint32_t toy_jump(struct toy *t, uint32_t at, enum toy_op op, uint32_t to);      /* JMP, JNZ */
uint32_t toy_call(struct toy *t, uint32_t at, unsigned rd, uint32_t to);
/* Runs vCPU 0 from `pc` until it halts or raises. Returns the halting instruction's successor or the faulting pc. */
uint64_t toy_run(struct toy *t, uint64_t pc);

#endif
