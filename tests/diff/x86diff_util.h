/*
 * The differential test of the x86 translator: what its parts share.
 *
 * One sequence of instructions is run three times from the same state on the same memory: by the host CPU itself, by the IR interpreter, and
 * by the back end's code. Guest addresses are host addresses. Everything lies below 2 GiB, so that 32-bit code and
 * displacements reach it. No machine, no page tables: rights of the few pages are a table here. 16-bit code has its CS based at XD_CODE and its data
 * segments at XD_DATA, of 64 KiB each.
 */
#ifndef TESTS_DIFF_X86DIFF_UTIL_H
#define TESTS_DIFF_X86DIFF_UTIL_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "cpu/x86/decode.h"

#define XD_PAGE 4096u
#define XD_RESERVE 0x10000000ull       /* nothing else of the process lies in [XD_RESERVE, XD_RESERVE_END) */
#define XD_RESERVE_END 0x40000000ull
#define XD_DATA 0x20000000ull          /* no access | read only | read-write | read-write | no access */
#define XD_RO (XD_DATA + XD_PAGE)
#define XD_RW (XD_DATA + 2 * XD_PAGE)
#define XD_RW_SIZE (2 * XD_PAGE)
#define XD_NONE (XD_RW + XD_RW_SIZE)
#define XD_CODE 0x28000000ull          /* two pages, read and execute */
#define XD_CODE_SIZE (2 * XD_PAGE)
#define XD_SLOT (XD_RO + 64)           /* holds the address of XD_STOP, eight times */
#define XD_STOP (XD_CODE + 0x1f00)     /* int3 */

enum { XD_MAX_INSNS = 48, XD_TIMEOUT = -1, XD_LOST = -2 };

struct xd_state {
    uint64_t gpr[16], rip, fs_base, gs_base;
    uint32_t eflags, mxcsr;
    uint8_t fx[160];                   /* x87 part of an FXSAVE image */
    uint8_t ymm[16][32];
    bool low;                          /* their upper halves are all zero */
};

struct xd_result {
    struct xd_state s;
    int vector;                        /* how it ended: exception number, XD_TIMEOUT, XD_LOST */
    uint32_t code;                     /* page faults: error code */
    uint64_t cr2;
};

/* A sequence. Boundary k is where instruction k begins. */
struct xd_seq {
    uint64_t seed;
    enum x86_code_mode mode;
    uint64_t start;
    unsigned n, len;
    struct {
        uint16_t off, len;             /* from start */
        const struct x86_row *row;     /* NULL: an auxiliary mov */
        uint32_t undef;                /* flags that are undefined before it */
    } insn[XD_MAX_INSNS + 1];          /* [n]: the int3 behind the last */
    struct { uint64_t at; unsigned len; } ignore[4];   /* memory whose contents are not defined */
    unsigned n_ignore;
    bool partial_ok;                   /* an instruction may leave part of its store behind when it faults */
    bool any_operand;                  /* which of two operands is tried first is the CPU's affair */
    struct xd_state init;
};

/* ---- x86gen_util.c ---- */
struct xd_gen;
/* only: names to choose rows from ("addps,fld"), or NULL. */
struct xd_gen *xd_gen_new(const char *only);
void xd_gen_free(struct xd_gen *g);
/* Writes the code into `code` (XD_CODE_SIZE bytes, as they are to stand at XD_CODE) and memory's contents into mem (XD_RW_SIZE). */
void xd_gen_make(struct xd_gen *g, struct xd_seq *q, uint64_t seed, uint8_t *code, uint8_t *mem);
/* Rows that are not tested, with reasons, one line each; returns their number. *tested: the others. */
unsigned xd_gen_untested(const struct xd_gen *g, GString *out, unsigned *tested);
uint64_t xd_random(uint64_t *rng);

/* ---- x86native_util.c ---- */
/* Maps the areas and installs signal handlers. False: *why says what the host lacks. */
bool xd_native_init(const char **why);
void xd_native_code(const uint8_t *code);      /* puts code (XD_CODE_SIZE) in place */
void xd_native_run(const struct xd_seq *q, struct xd_result *r);
bool xd_native_has_avx(void);                  /* upper halves of vectors are compared */
bool xd_native_has_16bit(void);                /* segments of 16-bit code can be made */
bool xd_native_has_segs(void);                 /* FS and GS bases can be set */
uint16_t xd_native_selector(unsigned seg, enum x86_code_mode mode);     /* by enum x86_seg */
/* The back end's host traps: called for SIGFPE outside native runs; false: not ours. */
extern bool (*xd_fpe_hook)(void *ucontext);

/* ---- x86emu_util.c ---- */
enum xd_engine { XD_INTERP, XD_BACKEND };
bool xd_emu_init(const char **why);
void xd_emu_run(enum xd_engine e, const struct xd_seq *q, struct xd_result *r);
bool xd_emu_has_backend(void);
/* Text of the IR and host code of what was last translated, for reports. */
void xd_emu_verbose(bool on);

#endif
