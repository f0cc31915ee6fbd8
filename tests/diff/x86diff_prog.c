/*
 * Differential test of the x86 front end, the interpreter and the back end against the host CPU: random sequences out of insn.def.
 *
 *   x86diff_prog [-n SEQUENCES] [-t SECONDS] [-s SEED] [-r NAME,NAME...] [-v] [-l] [-k] [-e interp|backend]
 *
 * -s SEED with -n 1 repeats one sequence (the seed that a report names), -v shows IR and code, -r takes only these rows,
 * -l lists the rows that are not covered, -k goes on behind a difference. Prints `ok ...` or `not ok ...`.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "disas/disas.h"
#include "tests/diff/x86diff_util.h"

enum { FLAGS_SEEN = X86_FL_ARITH | X86_FL_D | X86_FL_T | X86_FL_AC | X86_FL_ID | X86_FL_N, MXCSR_EXACT = 0xffff, MXCSR_PE = 0x20, MXCSR_UM = 0x800, MXCSR_OM = 0x400, MOST_REPORTS = 20, LARGEST_IMAGE = 832 };

struct options {
    uint64_t n, seed;
    unsigned seconds, engines;             /* bit mask of 1 << enum xd_engine */
    const char *only;
    bool verbose, list, keep_going;
};

static uint8_t code[XD_CODE_SIZE], mem[XD_RW_SIZE], native_mem[XD_RW_SIZE];
static uint8_t *const ram = (uint8_t *)(uintptr_t)XD_RW;

/* ---- comparison ---- */

static uint32_t undefined_at(const struct xd_seq *q, uint64_t rip, int vector)
{
    uint64_t off = rip - q->start - (vector == 3 ? 1 : 0);
    uint32_t all = 0;

    for (unsigned k = 0; k <= q->n; k++) {
        if (q->insn[k].off == off) {
            return q->insn[k].undef;
        }
        all |= q->insn[k].undef;
    }
    return all;
}

/* The instruction at rip; NULL: none, or one of the loads of registers. */
static const struct x86_row *row_at(const struct xd_seq *q, uint64_t rip)
{
    for (unsigned k = 0; k < q->n; k++) {
        if (q->insn[k].off == rip - q->start) {
            return q->insn[k].row;
        }
    }
    return NULL;
}

static bool is_memory_fault(int vector) { return (vector >= 12 && vector <= 14) || vector == 17; }

/* Which byte of a large image, or of a masked store's lanes, is named is the CPU's affair. */
static bool page_fault_differs(const struct xd_seq *q, const struct xd_result *a, const struct xd_result *b)
{
    uint64_t apart = a->cr2 > b->cr2 ? a->cr2 - b->cr2 : b->cr2 - a->cr2;

    if (a->vector != 14 || b->vector != 14 || q->any_operand) {
        return false;
    }
    const struct x86_row *row = row_at(q, a->s.rip);
    unsigned most = q->partial_ok ? LARGEST_IMAGE : row && row->handler == X86_H_vmaskmov ? 32 : 0;
    return apart > most || ((a->code ^ b->code) & 2);
}

/*
 * Non-canonical addresses of the stack segment: the host says #SS, we say #GP. Operands that wrap at 4 GiB in flat 32-bit segments: beyond
 * the limit for the host, a page fault for us, who do not check limits of flat segments.
 */
static bool same_end(const struct xd_seq *q, const struct xd_result *a, const struct xd_result *b)
{
    bool wraps = q->mode == X86_CODE32 && (((a->vector == 12 || a->vector == 13) && b->vector == 14 && b->cr2 > 0xfffffff0) ||
                                           (a->vector == 14 && a->cr2 > 0xfffffff0 && (b->vector == 12 || b->vector == 13)));
    /* a pending x87 error and a fault of the same instruction's operand: the host looks at the error first, the back end last */
    bool both = a->vector == 16 && (b->vector == 13 || b->vector == 14 || b->vector == 17) && a->s.rip == b->s.rip;
    bool any = q->any_operand && is_memory_fault(a->vector) && is_memory_fault(b->vector);
    return both || any || a->vector == b->vector || (a->vector == 12 && b->vector == 13 && q->mode == X86_CODE64) || wraps;
}

static void differ(GString *out, const char *what, uint64_t host, uint64_t ours)
{
    g_string_append_printf(out, "    %-8s host %016" PRIx64 "  ours %016" PRIx64 "\n", what, host, ours);
}

static void compare_x87(const struct xd_state *a, const struct xd_state *b, GString *out)
{
    static const struct { const char *name; unsigned at, len; } parts[] = { { "fcw", 0, 2 }, { "fsw", 2, 2 }, { "ftw", 4, 1 } };
    char name[16];

    for (unsigned i = 0; i < 3; i++) {
        uint64_t x = 0, y = 0;
        memcpy(&x, a->fx + parts[i].at, parts[i].len);
        memcpy(&y, b->fx + parts[i].at, parts[i].len);
        if (x != y) {
            differ(out, parts[i].name, x, y);
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        uint64_t x[2] = {0}, y[2] = {0};
        memcpy(x, a->fx + 32 + 16 * i, 10);
        memcpy(y, b->fx + 32 + 16 * i, 10);
        if (memcmp(x, y, 16)) {
            snprintf(name, sizeof(name), "st%u", i);
            differ(out, name, x[0], y[0]);
            differ(out, "  exp", x[1], y[1]);
        }
    }
}

/*
 * The interpreter runs an instruction with errors masked and then looks which of them should have trapped. Precision errors can be
 * too many then: with underflow or overflow unmasked a result is scaled instead, and dpps, dppd stop at their first step.
 */
static bool mxcsr_differs(const struct xd_seq *q, const struct xd_state *a, const struct xd_state *b, int vector, enum xd_engine e)
{
    uint32_t d = (a->mxcsr ^ b->mxcsr) & MXCSR_EXACT;

    if (!d || e != XD_INTERP || vector != 19) {
        return d;
    }
    const struct x86_row *row = row_at(q, a->rip);
    if (row && strstr(row->name, "dpp")) {
        return false;
    }
    return (d & ~MXCSR_PE) || (a->mxcsr & ~b->mxcsr & MXCSR_PE) || (a->mxcsr & (MXCSR_UM | MXCSR_OM)) == (MXCSR_UM | MXCSR_OM);
}

/* Intel's x87 state has become MMX's in part (TOP is 0) when an MMX store faults. */
static bool mmx_store_faulted(const struct xd_seq *q, const struct xd_state *a, int vector)
{
    const struct x86_row *row = row_at(q, a->rip);
    return is_memory_fault(vector) && row && (row->handler == X86_H_mmx_store || row->handler == X86_H_mmx_to_gpr);
}

static void compare_state(const struct xd_seq *q, const struct xd_state *a, const struct xd_state *b, int vector, enum xd_engine e,
                          GString *out)
{
    static const char *const names[16] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                           "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };
    uint32_t fl = FLAGS_SEEN & ~undefined_at(q, a->rip, vector);
    char name[16];

    const struct x86_row *row = row_at(q, a->rip);
    bool string = is_memory_fault(vector) && row && (row->marks & X86_ROW_STRING);

    for (unsigned i = 0; i < 16; i++) {
        /* string instructions with 32-bit addresses: Intel has cut the registers already when the first element faults */
        bool cut = string && (i == X86_RCX || i == X86_RSI || i == X86_RDI) && a->gpr[i] == (uint32_t)b->gpr[i];
        if (a->gpr[i] != b->gpr[i] && !cut) {
            differ(out, names[i], a->gpr[i], b->gpr[i]);
        }
    }
    if (a->rip != b->rip) {
        differ(out, "rip", a->rip, b->rip);
    }
    if ((a->eflags ^ b->eflags) & fl) {
        differ(out, "eflags", a->eflags & fl, b->eflags & fl);
    }
    if (mxcsr_differs(q, a, b, vector, e)) {
        differ(out, "mxcsr", a->mxcsr, b->mxcsr);
    }
    if (xd_native_has_segs() && (a->fs_base != b->fs_base || a->gs_base != b->gs_base)) {
        differ(out, "fs", a->fs_base, b->fs_base);
        differ(out, "gs", a->gs_base, b->gs_base);
    }
    if (is_memory_fault(vector) && row && row->handler == X86_H_xstate && row->arg == X86_XSTATE_XRSTOR) {
        return;                      /* Intel has restored a part of it when it finds what is wrong */
    }
    if (!mmx_store_faulted(q, a, vector)) {
        compare_x87(a, b, out);
    }
    for (unsigned i = 0; i < 16; i++) {
        uint64_t x[4], y[4];
        memcpy(x, a->ymm[i], 32);
        memcpy(y, b->ymm[i], 32);
        for (int k = 3; k >= 0 && memcmp(x, y, 32); k--) {
            snprintf(name, sizeof(name), "v%u.q%d", i, k);
            differ(out, name, x[k], y[k]);
        }
    }
}

static bool ignored(const struct xd_seq *q, uint64_t at)
{
    for (unsigned i = 0; i < q->n_ignore; i++) {
        if (at - q->ignore[i].at < q->ignore[i].len) {
            return true;
        }
    }
    return false;
}

static void compare_memory(const struct xd_seq *q, const uint8_t *a, const uint8_t *b, GString *out)
{
    char name[16];

    if (!memcmp(a, b, XD_RW_SIZE)) {
        return;
    }
    for (unsigned i = 0, n = 0; i < XD_RW_SIZE && n < 12; i++) {
        if (a[i] != b[i] && !ignored(q, XD_RW + i)) {
            snprintf(name, sizeof(name), "+%x", i);
            differ(out, name, a[i], b[i]);
            n++;
        }
    }
}

/*
 * What the host does and we do not: AMD's misaligned mode (MXCSR.MM, which other makers' CPUs do not have), and its alignment checks where
 * Intel makes none; the order in which ENTER checks its many accesses.
 */
static bool hosts_own(const struct xd_seq *q, const struct xd_result *a, const struct xd_result *b)
{
    const struct x86_row *row = row_at(q, a->s.rip);

    if (a->vector == 17 && row && row->handler == X86_H_enter) {
        return true;
    }
    /* a masked store whose mask is empty may fault all the same (SDM vol. 2, MASKMOVDQU) */
    if (is_memory_fault(a->vector) && row && (row->handler == X86_H_vec_maskmov || row->handler == X86_H_mmx_maskmov) && b->s.rip != a->s.rip) {
        return true;
    }
    return a->s.mxcsr > 0xffff || (a->vector == 17 && (b->vector != 17 || b->s.rip != a->s.rip) && __builtin_cpu_is("amd"));
}

/* A near return or jump to a non-canonical address: the host's #GP is the branch's, ours the target's (the branch has been done). */
static bool went_astray(const struct xd_result *a, const struct xd_result *b)
{
    return a->vector == 13 && (b->vector == 13 || b->vector == 1) && (uint64_t)((int64_t)(b->s.rip << 16) >> 16) != b->s.rip;
}

/* An x87 store that an unmasked error keeps from being done does not touch memory; our permission check comes before. */
static bool store_suppressed(const struct xd_seq *q, const struct xd_result *a, const struct xd_result *b)
{
    const struct x86_row *row = row_at(q, b->s.rip);
    return row && (row->marks & X86_ROW_X87) && (row->marks & X86_ROW_FPEXC) && is_memory_fault(b->vector) && a->s.rip != b->s.rip &&
           ((a->s.fx[2] & ~a->s.fx[0] & 0x3f) || (~q->init.fx[0] & 0x3f));
}

static void compare(const struct xd_seq *q, const struct xd_result *a, const struct xd_result *b, enum xd_engine e, GString *out)
{
    if (went_astray(a, b) || hosts_own(q, a, b) || store_suppressed(q, a, b)) {
        return;
    }
    if (!same_end(q, a, b) || page_fault_differs(q, a, b)) {
        g_string_append_printf(out, "    ended    host vector %d code %x cr2 %" PRIx64 "  ours vector %d code %x cr2 %" PRIx64 "\n", a->vector, a->code,
                               a->cr2, b->vector, b->code, b->cr2);
    }
    compare_state(q, &a->s, &b->s, a->vector, e, out);
    if (!(q->partial_ok && a->vector != 3)) {
        compare_memory(q, native_mem, ram, out);
    }
}

/* ---- reports ---- */

static void report(const struct xd_seq *q, const char *engine, const char *text)
{
    GString *g = g_string_new(NULL);
    const struct xd_state *s = &q->init;

    for (unsigned k = 0; k < q->n; k++) {
        const uint8_t *p = code + (q->start - XD_CODE) + q->insn[k].off;
        disas_print(g, (enum disas_mode)q->mode, q->start + q->insn[k].off, p, q->insn[k].len, 1);
        if (strstr(g->str + (g->len > 30 ? g->len - 30 : 0), ".byte")) {
            g_string_append_printf(g, "    (%s:", q->insn[k].row ? q->insn[k].row->name : "mov");
            for (unsigned b = 0; b < q->insn[k].len; b++) {
                g_string_append_printf(g, " %02x", p[b]);
            }
            g_string_append(g, ")\n");
        }
    }
    printf("  seed %" PRIu64 ", %s, %d-bit code:\n%s%s", q->seed, engine, q->mode, g->str, text);
    printf("    from rax %" PRIx64 " rcx %" PRIx64 " rdx %" PRIx64 " rbx %" PRIx64 " rsp %" PRIx64 " rbp %" PRIx64 " rsi %" PRIx64 " rdi %" PRIx64
           " eflags %x mxcsr %x fcw %02x%02x fsw %02x%02x\n", s->gpr[0], s->gpr[1], s->gpr[2], s->gpr[3], s->gpr[4], s->gpr[5], s->gpr[6], s->gpr[7],
           s->eflags, s->mxcsr, s->fx[1], s->fx[0], s->fx[3], s->fx[2]);
    g_string_free(g, TRUE);
    fflush(stdout);
}

/* ---- the run ---- */

struct counts { uint64_t sequences, instructions, differ, timeouts, faults; };

static void one(struct xd_gen *g, uint64_t seed, const struct options *o, struct counts *n)
{
    static const char *const engine_name[] = { "interpreter", "back end" };
    struct xd_seq q;
    struct xd_result host, ours;
    GString *text;

    xd_gen_make(g, &q, seed, code, mem);
    xd_native_code(code);
    memcpy(ram, mem, XD_RW_SIZE);
    xd_native_run(&q, &host);
    memcpy(native_mem, ram, XD_RW_SIZE);
    n->sequences++;
    n->instructions += q.n;
    n->faults += host.vector != 3;
    if (host.vector == XD_TIMEOUT) {
        n->timeouts++;
        return;
    }
    text = g_string_new(NULL);
    for (unsigned e = XD_INTERP; e <= XD_BACKEND; e++) {
        if (!(o->engines >> e & 1)) {
            continue;
        }
        if (o->verbose) {
            report(&q, engine_name[e], "");
        }
        memcpy(ram, mem, XD_RW_SIZE);
        xd_emu_run((enum xd_engine)e, &q, &ours);
        compare(&q, &host, &ours, (enum xd_engine)e, text);
        if (text->len) {
            if (n->differ++ < MOST_REPORTS) {
                report(&q, engine_name[e], text->str);
            }
            break;
        }
    }
    g_string_free(text, TRUE);
}

static bool options_parse(struct options *o, int argc, char **argv)
{
    int c;

    while ((c = getopt(argc, argv, "n:t:s:r:e:vlk")) != -1) {
        switch (c) {
        case 'n': o->n = strtoull(optarg, NULL, 0); break;
        case 't': o->seconds = (unsigned)strtoul(optarg, NULL, 0); break;
        case 's': o->seed = strtoull(optarg, NULL, 0); break;
        case 'r': o->only = optarg; break;
        case 'e': o->engines = strcmp(optarg, "interp") ? 1 << XD_BACKEND : 1 << XD_INTERP; break;
        case 'v': o->verbose = true; break;
        case 'l': o->list = true; break;
        case 'k': o->keep_going = true; break;
        default: return false;
        }
    }
    return optind == argc;
}

int main(int argc, char **argv)
{
    struct options o = { .n = 20000, .seed = 1, .engines = 3 };
    struct counts n = {0};
    const char *why = NULL;
    GString *untested = g_string_new(NULL);
    time_t end;

    if (!options_parse(&o, argc, argv)) {
        fprintf(stderr, "usage: %s [-n sequences] [-t seconds] [-s seed] [-r rows] [-e interp|backend] [-v] [-l] [-k]\n", argv[0]);
        return 2;
    }
    if (!xd_native_init(&why) || !xd_emu_init(&why)) {
        printf("skipped x86diff: %s\n", why);
        return 0;
    }
    xd_emu_verbose(o.verbose);
    o.engines &= xd_emu_has_backend() ? 3 : 1 << XD_INTERP;
    struct xd_gen *g = xd_gen_new(o.only);
    unsigned tested, rest = xd_gen_untested(g, untested, &tested);
    if (o.list) {
        printf("%u rows tested, %u not:\n%s", tested, rest, untested->str);
    }
    end = o.seconds ? time(NULL) + o.seconds : 0;
    for (uint64_t i = 0; i < o.n; i++) {
        one(g, o.seed + i, &o, &n);
        if ((n.differ && !o.keep_going) || (end && i % 64 == 0 && time(NULL) >= end)) {
            break;
        }
    }
    printf("%s x86diff: %" PRIu64 " sequences, %" PRIu64 " instructions of %u rows (%u not covered), %" PRIu64 " ended in a fault, %" PRIu64
           " did not end, %" PRIu64 " differ\n", n.differ || !n.sequences ? "not ok" : "ok", n.sequences, n.instructions, tested, rest, n.faults, n.timeouts, n.differ);
    xd_gen_free(g);
    g_string_free(untested, TRUE);
    return n.differ != 0;
}
