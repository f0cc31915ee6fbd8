/*
 * The engine on a toy ISA: the same guest programs under every way of running them.
 */
#include "accel/tcg/tcg_accel.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/options.h"
#include "core/dma.h"
#include "tests/accel/tcg/toy_util.h"

static const char *const ways[] = {
    "backend=interp",
    "backend=interp,one-insn-per-tb=on",
#if CONFIG_TCG_NATIVE
    "chain=off",
    "chain=on",
    "one-insn-per-tb=on",
    "opt=all:off",
    "max-insns=3",
    "verify=on",
#endif
};

#define R(t, n) ((t)->cpu[0]->s.r[n])

/* Each scenario builds its program in fresh machines, one for each way. */
static void each(void (*scenario)(struct toy *t))
{
    for (unsigned i = 0; i < G_N_ELEMENTS(ways); i++) {
        struct toy *t = toy_new(ways[i], 1);

        scenario(t);
        toy_free(t);
    }
}

static uint64_t ram64(struct toy *t, uint64_t at)
{
    uint64_t v;

    memcpy(&v, t->ram->host + at, 8);
    return v;
}

static void set64(struct toy *t, uint64_t at, uint64_t v)
{
    memcpy(t->ram->host + at, &v, 8);
}

/* r0 = sum 1..n */
static uint32_t sum_program(struct toy *t, uint32_t at, unsigned n)
{
    uint32_t loop;

    at = toy_li(t, at, 0, 0);
    at = toy_li(t, at, 1, n);
    loop = at;
    at = toy_put(t, at, 3, TOY_ADD, 0, 1);
    at = toy_put(t, at, 3, TOY_ADDI, 1, -1);
    at = toy_jump(t, at, TOY_JNZ, loop);
    return toy_put(t, at, 1, TOY_HALT);
}

static void loop(struct toy *t)
{
    uint32_t end = sum_program(t, 0x1000, 1000);

    cr_assert_eq(toy_run(t, 0x1000), end);
    cr_assert_eq(R(t, 0), 500500);
    cr_assert_eq(R(t, 1), 0);
}
Test(tcg_accel, loop) { each(loop); }

/* Calls and returns over pages: cross-page exits, indirect jumps. */
static void calls(struct toy *t)
{
    uint32_t at = 0x1000, top;

    toy_put(t, 0x5010, 5, TOY_ADDI, 0, 3, TOY_JR, 7);
    toy_put(t, 0x6020, 5, TOY_ADDI, 0, 5, TOY_JR, 7);
    at = toy_li(t, at, 0, 0);
    at = toy_li(t, at, 1, 200);
    top = at;
    at = toy_call(t, at, 7, 0x5010);
    at = toy_call(t, at, 7, 0x6020);
    at = toy_put(t, at, 3, TOY_ADDI, 1, -1);
    at = toy_jump(t, at, TOY_JNZ, top);
    at = toy_put(t, at, 1, TOY_HALT);
    cr_assert_eq(toy_run(t, 0x1000), at);
    cr_assert_eq(R(t, 0), 200 * 8);
}
Test(tcg_accel, calls) { each(calls); }

/* A fault in the middle of a region: pc, registers and flags are those before the instruction. */
static void faults(struct toy *t)
{
    uint32_t at = 0x1000, bad;

    t->cpu[0]->table[0][0x40] = 0;
    at = toy_li(t, at, 1, 0x40008);
    at = toy_li(t, at, 2, 5);
    at = toy_li(t, at, 3, 5);
    at = toy_put(t, at, 3, TOY_CMP, 2, 3);
    at = toy_put(t, at, 3, TOY_ADDV, 2, 3);
    bad = at;
    at = toy_put(t, at, 4, TOY_LD, 4, 1, 0);
    at = toy_put(t, at, 1, TOY_HALT);
    R(t, 4) = 77;
    cr_assert_eq(toy_run(t, 0x1000), bad);
    cr_assert_eq(t->cpu[0]->s.vector, TOY_VEC_PF);
    cr_assert_eq(t->cpu[0]->s.fault_addr, 0x40008);
    cr_assert_eq(R(t, 2), 10);
    cr_assert_eq(R(t, 4), 77);
    struct tcg_env *e = &t->cpu[0]->s.env;
    cr_assert(cc_eflags(e->cc_op & 31, e->cc_op >> 5, e->cc_a, e->cc_b, e->cc_c) & 0x40, "equal: Z");
    /* mapped, the instruction goes through; read-only, a store does not */
    t->cpu[0]->table[0][0x40] = 0x40000 | MMU_R;
    set64(t, 0x40008, 0x1234);
    cr_assert_eq(toy_run(t, bad), at);
    cr_assert_eq(R(t, 4), 0x1234);
    bad = at;
    at = toy_put(t, at, 4, TOY_ST, 1, 4, 0);
    at = toy_put(t, at, 1, TOY_HALT);
    cr_assert_eq(toy_run(t, bad), bad);
    cr_assert_eq(t->cpu[0]->s.vector, TOY_VEC_PF);
    /* fetch */
    t->cpu[0]->table[0][0x41] = 0;
    R(t, 5) = 0x41000;
    bad = toy_put(t, at, 2, TOY_JR, 5);
    cr_assert_eq(toy_run(t, at), 0x41000);
    cr_assert_eq(t->cpu[0]->s.fault_addr, 0x41000);
    cr_assert_eq(t->cpu[0]->s.vector, TOY_VEC_PF);
}
Test(tcg_accel, faults) { each(faults); }

static void raises(struct toy *t)
{
    uint32_t at = toy_li(t, 0x1000, 2, 9), bad = at;

    at = toy_put(t, at, 2, TOY_RAISE, 33);
    cr_assert_eq(toy_run(t, 0x1000), bad);
    cr_assert_eq(t->cpu[0]->s.vector, 33);
    cr_assert_eq(R(t, 2), 9);
    /* divide errors; the destination stays */
    at = toy_li(t, at, 3, 0);
    bad = at;
    at = toy_put(t, at, 3, TOY_DIV, 2, 3);
    toy_put(t, at, 1, TOY_HALT);
    cr_assert_eq(toy_run(t, bad - 6), bad);
    cr_assert_eq(t->cpu[0]->s.vector, TOY_VEC_DIV);
    cr_assert_eq(R(t, 2), 9);
    R(t, 3) = 2;
    cr_assert_eq(toy_run(t, bad), at + 1);
    cr_assert_eq(R(t, 2), 4);
}
Test(tcg_accel, raises) { each(raises); }

/* A store over an instruction further on in the same region, over one in another region, and beside code. */
static void self_modifying(struct toy *t)
{
    uint32_t at = 0x1000, patch, sub;

    at = toy_li(t, at, 1, 0);          /* address of the immediate: below */
    at = toy_li(t, at, 2, 42);
    at = toy_put(t, at, 4, TOY_ST8, 1, 2, 0);
    patch = at + 2;
    at = toy_put(t, at, 3, TOY_ADDI, 0, 1);
    at = toy_put(t, at, 1, TOY_HALT);
    toy_li(t, 0x1000, 1, patch);
    for (unsigned round = 0; round < 3; round++) {
        t->ram->host[patch] = 1;
        ram_store_notify(t->m, t->ram, patch, 1);
        R(t, 0) = 0;
        cr_assert_eq(toy_run(t, 0x1000), at);
        cr_assert_eq(R(t, 0), 42, "round %u: the new instruction runs", round);
    }
    /* another region of the same page, run before and after; data in a free line of the page, many times */
    sub = 0x1800;
    toy_put(t, sub, 4, TOY_ADDI, 0, 2, TOY_HALT);
    R(t, 0) = 0;
    toy_run(t, sub);
    cr_assert_eq(R(t, 0), 2);
    at = toy_li(t, 0x1400, 1, sub + 2);
    at = toy_li(t, at, 2, 7);
    at = toy_li(t, at, 3, 0x1f00);
    at = toy_put(t, at, 4, TOY_ST8, 1, 2, 0);
    at = toy_put(t, at, 4, TOY_ST, 3, 2, 8);
    at = toy_jump(t, at, TOY_JMP, sub);
    R(t, 0) = 0;
    cr_assert_eq(toy_run(t, 0x1400), sub + 4);
    cr_assert_eq(R(t, 0), 7);
    cr_assert_eq(ram64(t, 0x1f08), 7);
    /* the same by a helper and by DMA */
    R(t, 1) = sub;
    R(t, 2) = TOY_ADDI | 0 << 8 | 11 << 16 | TOY_HALT << 24;
    at = toy_put(t, 0x2000, 3, TOY_STH, 1, 2);
    at = toy_jump(t, at, TOY_JMP, sub);
    R(t, 0) = 0;
    cr_assert_eq(toy_run(t, 0x2000), sub + 4);
    cr_assert_eq(R(t, 0), 11);
    cr_assert(dma_write(&t->m->memory, sub + 2, (uint8_t[]){ 13 }, 1));
    R(t, 0) = 0;
    toy_run(t, sub);
    cr_assert_eq(R(t, 0), 13);
}
Test(tcg_accel, self_modifying) { each(self_modifying); }

/* A page that has a hot write entry becomes code: stores to it are seen from then on. */
static void data_becomes_code(struct toy *t)
{
    uint32_t at = 0x1000;

    R(t, 0) = 0;
    R(t, 1) = 0x9000;
    R(t, 2) = TOY_ADDI | 0 << 8 | 1 << 16 | TOY_HALT << 24;
    R(t, 3) = TOY_ADDI | 0 << 8 | 2 << 16 | TOY_HALT << 24;
    at = toy_put(t, at, 4, TOY_ST, 1, 2, 0);
    at = toy_put(t, at, 4, TOY_ST, 1, 2, 0);
    at = toy_put(t, at, 2, TOY_JR, 1);
    toy_put(t, 0x1100, 6, TOY_ST, 1, 3, 0, TOY_JR, 1);
    for (unsigned i = 0; i < 5; i++) {
        R(t, 0) = 0;
        cr_assert_eq(toy_run(t, 0x1000), 0x9004);
        cr_assert_eq(R(t, 0), 1);
        cr_assert_eq(toy_run(t, 0x1100), 0x9004);
        cr_assert_eq(R(t, 0), 3);
    }
}
Test(tcg_accel, data_becomes_code) { each(data_becomes_code); }

static void devices(struct toy *t)
{
    uint32_t at = 0x1000;

    t->cpu[0]->table[0][0x50] = TOY_MMIO | MMU_R | MMU_W | MMU_X;
    t->cpu[0]->table[0][0x51] = 0x51000 | MMU_R | MMU_W;
    t->cpu[0]->table[0][0x52] = TOY_ROM | MMU_R | MMU_W;
    t->cpu[0]->table[0][0x53] = 0x900000 | MMU_R | MMU_W;       /* nothing there */
    at = toy_li(t, at, 1, 0x50100);
    at = toy_put(t, at, 4, TOY_LD, 2, 1, 8);
    at = toy_put(t, at, 4, TOY_ST, 1, 2, 16);
    at = toy_put(t, at, 4, TOY_ST8, 1, 2, 24);
    at = toy_put(t, at, 1, TOY_HALT);
    cr_assert_eq(toy_run(t, 0x1000), at);
    cr_assert_eq(R(t, 2), 0x1122334455667788ull);
    cr_assert_eq(t->io_last_addr, 0x118);
    cr_assert_eq(t->io_last_value, 0x88);
    cr_assert_eq(t->io_size, 1);
    cr_assert_eq(t->io_reads, 1);
    cr_assert_eq(t->io_writes, 2);
    /* from a device page into RAM and back: both halves, each once */
    R(t, 1) = 0x50ffc;
    R(t, 3) = 0xaabbccdd99887766ull;
    at = toy_put(t, 0x1100, 4, TOY_ST, 1, 3, 0);
    at = toy_put(t, at, 1, TOY_HALT);
    toy_run(t, 0x1100);
    cr_assert_eq(t->io_last_value, 0x99887766);
    cr_assert_eq(t->io_size, 4);
    cr_assert_eq((uint32_t)ram64(t, 0x51000), 0xaabbccddu);
    /* ROM drops stores, a hole reads as ones */
    R(t, 1) = 0x52000;
    toy_run(t, 0x1100);
    cr_assert_eq(t->rom->host[0], 0);
    R(t, 1) = 0x53000;
    toy_put(t, 0x1200, 5, TOY_LD, 2, 1, 0, TOY_HALT);
    toy_run(t, 0x1200);
    cr_assert_eq(R(t, 2), ~0ull);
    /* helpers reach the device as well */
    R(t, 1) = 0x50200;
    R(t, 3) = 5;
    toy_put(t, 0x1300, 7, TOY_LDH, 2, 1, TOY_STH, 1, 3, TOY_HALT);
    toy_run(t, 0x1300);
    cr_assert_eq(R(t, 2), 0x1122334455667788ull);
    cr_assert_eq(t->io_last_value, 5);
    cr_assert_eq(t->io_last_addr, 0x200);
    /* code in the device */
    memcpy(t->io_code, (uint8_t[]){ TOY_ADDI, 5, 9, TOY_HALT }, 4);
    R(t, 5) = 1;
    cr_assert_eq(toy_run(t, 0x50000), 0x50004);
    cr_assert_eq(R(t, 5), 10);
    t->io_code[2] = 3;
    toy_run(t, 0x50000);
    cr_assert_eq(R(t, 5), 13);
}
Test(tcg_accel, devices) { each(devices); }

/* Loads that demand write permission: RAM, over two pages, a device, a page with code, read-only. */
static void intents(struct toy *t)
{
    static const uint64_t at[] = { 0x20008, 0x20ffc, 0x50100, 0x1100, 0x51000 };

    t->cpu[0]->table[0][0x50] = TOY_MMIO | MMU_R | MMU_W;
    t->cpu[0]->table[0][0x51] = 0x51000 | MMU_R;
    toy_put(t, 0x1000, 4, TOY_LDW, 3, 1, TOY_HALT);
    for (unsigned i = 0; i < G_N_ELEMENTS(at); i++) {
        uint64_t v = 0x0101010101010101ull * (i + 3);

        if (at[i] < 0x50000) {
            set64(t, at[i], v);
        }
        R(t, 1) = at[i];
        R(t, 3) = 0;
        cr_assert_eq(toy_run(t, 0x1000), i == 4 ? 0x1000 : 0x1004);
        cr_assert_eq(R(t, 3), i == 4 ? 0 : i == 2 ? 0x1122334455667788ull : v, "%u", i);
    }
    cr_assert_eq(t->cpu[0]->s.vector, TOY_VEC_PF);
    cr_assert_eq(t->io_writes, 0);
}
Test(tcg_accel, intents) { each(intents); }

/* Data and instructions over two pages. */
static void crossing(struct toy *t)
{
    uint32_t at;

    /* data; a fault on the second page leaves the first alone */
    R(t, 1) = 0x20ffd;
    R(t, 2) = 0x8877665544332211ull;
    toy_put(t, 0x1000, 9, TOY_ST, 1, 2, 0, TOY_LD, 3, 1, 0, TOY_HALT);
    cr_assert_eq(toy_run(t, 0x1000), 0x1009);
    cr_assert_eq(R(t, 3), R(t, 2));
    cr_assert_eq(ram64(t, 0x20ffd), R(t, 2));
    set64(t, 0x20ffd, 0);
    t->cpu[0]->table[0][0x22] = 0;
    R(t, 1) = 0x21ffd;
    cr_assert_eq(toy_run(t, 0x1000), 0x1000);
    cr_assert_eq(t->cpu[0]->s.fault_addr, 0x22000);
    cr_assert_eq(ram64(t, 0x21ff0), 0);
    cr_assert_eq(ram64(t, 0x21ff5), 0);
    /* an instruction whose second half is patched, and whose second page is mapped elsewhere */
    at = toy_put(t, 0x7ffb, 3, TOY_ADDI, 0, 1);
    at = toy_li(t, at, 4, 0x01020304);
    at = toy_put(t, at, 1, TOY_HALT);
    R(t, 0) = 0;
    cr_assert_eq(toy_run(t, 0x7ffb), at);
    cr_assert_eq(R(t, 4), 0x01020304);
    cr_assert(dma_write(&t->m->memory, 0x8003, (uint8_t[]){ 0x55 }, 1));
    toy_run(t, 0x7ffb);
    cr_assert_eq(R(t, 4), 0x55020304);
    memcpy(t->ram->host + 0x30000, t->ram->host + 0x8000, 64);
    t->ram->host[0x30003] = 0x66;
    t->cpu[0]->table[0][8] = 0x30000 | MMU_R | MMU_W | MMU_X;
    t->m->accel->tlb_flush(&t->cpu[0]->cpu, TLB_FLUSH_PAGE, 0, 0x8000);
    cr_assert_eq(toy_run(t, 0x7ffb), at);
    cr_assert_eq(R(t, 4), 0x66020304);
    t->cpu[0]->table[0][8] = 0;
    t->m->accel->tlb_flush(&t->cpu[0]->cpu, TLB_FLUSH_PAGE, 0, 0x8000);
    cr_assert_eq(toy_run(t, 0x7ffb), 0x7ffe);
    cr_assert_eq(t->cpu[0]->s.vector, TOY_VEC_PF);
    cr_assert_eq(R(t, 0), 4);
}
Test(tcg_accel, crossing) { each(crossing); }

/* One linear page, other code in every address space; the caller jumps there directly and indirectly. */
static void spaces(struct toy *t)
{
    uint32_t at = 0x1000, top;

    for (unsigned a = 0; a < TOY_SPACES; a++) {
        t->cpu[0]->table[a][0x60] = (0x60000 + a * 0x1000) | MMU_R | MMU_X | MMU_W;
        toy_put(t, 0x60000 + a * 0x1000, 5, TOY_ADDI, 0, a, TOY_JR, 7);
    }
    at = toy_li(t, at, 0, 0);
    at = toy_li(t, at, 1, 3 * TOY_SPACES);
    at = toy_li(t, at, 2, 0);
    top = at;
    at = toy_put(t, at, 2, TOY_ASID, 2);
    at = toy_call(t, at, 7, 0x60000);
    at = toy_put(t, at, 3, TOY_ADDI, 2, 1);
    at = toy_put(t, at, 3, TOY_ADDI, 1, -1);
    at = toy_jump(t, at, TOY_JNZ, top);
    at = toy_put(t, at, 1, TOY_HALT);
    cr_assert_eq(toy_run(t, 0x1000), at);
    cr_assert_eq(R(t, 0), 3 * TOY_SPACES * (TOY_SPACES - 1) / 2);
}
Test(tcg_accel, spaces) { each(spaces); }

/* Remapping with a flush of the page: data, code reached by a linked exit, code reached by a jump table. */
static void remap(struct toy *t)
{
    toy_put(t, 0x70000, 5, TOY_ADDI, 0, 1, TOY_JR, 7);
    toy_put(t, 0x71000, 5, TOY_ADDI, 0, 2, TOY_JR, 7);
    set64(t, 0x72000, 100);
    set64(t, 0x73000, 200);
    for (unsigned i = 0; i < 20; i++) {
        uint32_t at = 0x1000;

        t->cpu[0]->table[0][0x61] = (i & 1 ? 0x71000u : 0x70000u) | MMU_R | MMU_X;
        t->cpu[0]->table[0][0x62] = (i & 1 ? 0x73000u : 0x72000u) | MMU_R;
        R(t, 2) = 0x61000;
        R(t, 3) = 0x62000;
        if (!i) {
            at = toy_put(t, at, 2, TOY_FLUSH, 2);
            at = toy_put(t, at, 2, TOY_FLUSH, 3);
            at = toy_call(t, at, 7, 0x61000);
            at = toy_li(t, at, 7, at + 8);
            at = toy_put(t, at, 2, TOY_JR, 2);
            at = toy_put(t, at, 4, TOY_LD, 4, 3, 0);
            toy_put(t, at, 1, TOY_HALT);
        }
        R(t, 0) = 0;
        toy_run(t, 0x1000);
        cr_assert_eq(R(t, 0), i & 1 ? 4 : 2, "round %u", i);
        cr_assert_eq(R(t, 4), i & 1 ? 200 : 100);
    }
}
Test(tcg_accel, remap) { each(remap); }

/* Atomics over two pages and on devices run with everybody else stopped. */
static void atomics(struct toy *t)
{
    R(t, 1) = 0x20ffc;
    R(t, 2) = 0x100000001ull;
    set64(t, 0x20ffc, 0xffffffff00000005ull);
    toy_put(t, 0x1000, 4, TOY_XADD, 1, 2, TOY_HALT);
    cr_assert_eq(toy_run(t, 0x1000), 0x1004);
    cr_assert_eq(ram64(t, 0x20ffc), 6);
    R(t, 1) = 0x20000;
    toy_run(t, 0x1000);
    cr_assert_eq(ram64(t, 0x20000), R(t, 2));
    t->cpu[0]->table[0][0x50] = TOY_MMIO | MMU_R | MMU_W;
    R(t, 1) = 0x50100;
    toy_run(t, 0x1000);
    cr_assert_eq(t->io_last_value, 0x1122334455667788ull + R(t, 2));
    cr_assert_eq(t->io_reads, 1);
    cr_assert_eq(t->io_writes, 1);
    cr_assert_not(machine_locked(t->m));
}
Test(tcg_accel, atomics) { each(atomics); }

/* Code that does not care about a bit of the mode is not translated again when it changes, and goes on into code that does care. */
static void flavours(struct toy *t)
{
    uint32_t at = toy_li(t, 0x1000, 1, 50), loop = at, sub = 0x1400;

    at = toy_jump(t, at, TOY_JMP, sub);
    toy_put(t, sub, 2, TOY_FLAVOUR, 2);
    toy_put(t, sub + 2, 3, TOY_ADD, 0, 2);
    toy_jump(t, sub + 5, TOY_JMP, at);
    at = toy_put(t, at, 3, TOY_ADDI, 1, -1);
    at = toy_jump(t, at, TOY_JNZ, loop);
    at = toy_put(t, at, 1, TOY_HALT);
    for (unsigned round = 0; round < 12; round++) {
        t->cpu[0]->s.flavour = round & 1;
        R(t, 0) = 0;
        cr_assert_eq(toy_run(t, 0x1000), at);
        cr_assert_eq(R(t, 0), round & 1 ? 50 : 0);
    }
}
Test(tcg_accel, flavours) { each(flavours); }
Test(tcg_accel, adoption)
{
    struct toy *t = toy_new(NULL, 1);
    GString *s = g_string_new(NULL);
    const char *found;

    flavours(t);
    accel_tcg.stats(t->m, s);
    found = strstr(s->str, "taken over from another mode");
    cr_assert(found);
    cr_assert_gt(atoi(found + strlen("taken over from another mode")), 2);
    g_string_free(s, TRUE);
    toy_free(t);
}

/* More code than the cache holds: generations are reclaimed and what comes after runs right. */
static void reclaim(struct toy *t)
{
    for (unsigned i = 0; i < 3000; i++) {
        uint32_t at = 0x10000, start = at + (i % 61) * 16;

        at = start;
        for (unsigned k = 0; k < 25; k++) {
            at = toy_put(t, at, 4, TOY_LD, 2, 1, 8);
        }
        at = toy_put(t, at, 3, TOY_ADDI, 0, i & 63);
        at = toy_put(t, at, 1, TOY_HALT);
        ram_store_notify(t->m, t->ram, start, at - start);
        R(t, 0) = 0;
        R(t, 1) = 0x20000;
        cr_assert_eq(toy_run(t, start), at);
        cr_assert_eq(R(t, 0), i & 63);
    }
}
Test(tcg_accel, reclaim)
{
    struct toy *t = toy_new("tb-size=2", 1);
    GString *s = g_string_new(NULL);

    reclaim(t);
    accel_tcg.stats(t->m, s);
    cr_assert(strstr(s->str, "generations reclaimed"));
    g_string_free(s, TRUE);
    toy_free(t);
    t = toy_new("backend=interp", 1);
    reclaim(t);
    toy_free(t);
}

/* A machine reset drops every translation: the cache does not fill up over many of them. */
Test(tcg_accel, reset)
{
    struct toy *t = toy_new("tb-size=2", 2);
    GString *s = g_string_new(NULL);
    const char *found;

    for (unsigned i = 0; i < 3000; i++) {
        uint32_t at = 0x10000 + i % 61 * 0x1000, start = at;

        for (unsigned k = 0; k < 25; k++) {
            at = toy_put(t, at, 4, TOY_LD, 2, 1, 8);
        }
        at = toy_put(t, at, 3, TOY_ADDI, 0, i & 63);
        at = toy_put(t, at, 1, TOY_HALT);
        ram_store_notify(t->m, t->ram, start, at - start);
        R(t, 0) = 0;
        R(t, 1) = 0x80000;
        cr_assert_eq(toy_run(t, start), at);
        cr_assert_eq(R(t, 0), i & 63);
        if (i % 100 == 99) {
            accel_tcg.reset(&t->cpu[0]->cpu);
            accel_tcg.reset(&t->cpu[1]->cpu);
        }
    }
    accel_tcg.stats(t->m, s);
    found = strstr(s->str, "generations reclaimed");
    cr_assert(found);
    cr_assert_eq(atoi(found + strlen("generations reclaimed")), 0);
    g_string_free(s, TRUE);
    toy_free(t);
}

/* ---- threads ---- */

static void *kicker(void *opaque)
{
    struct toy *t = opaque;

    g_usleep(20000);
    cpu_request(&t->cpu[0]->cpu, CPU_REQ_IRQ);
    accel_tcg.kick(&t->cpu[0]->cpu);
    return NULL;
}

/* Loops without an end see a kick: a jump to itself, a loop of indirect jumps, one over two pages. */
static void kicks(struct toy *t)
{
    static const uint32_t starts[] = { 0x1000, 0x2000, 0x3ff0 };

    toy_jump(t, 0x1000, TOY_JMP, 0x1000);
    toy_put(t, toy_li(t, 0x2000, 1, 0x2000), 2, TOY_JR, 1);
    toy_jump(t, 0x3ff0, TOY_JMP, 0x4100);
    toy_jump(t, 0x4100, TOY_JMP, 0x3ff0);
    for (unsigned i = 0; i < G_N_ELEMENTS(starts); i++) {
        GThread *th = g_thread_new("kicker", kicker, t);
        gint64 from = g_get_monotonic_time(), us;

        t->cpu[0]->s.env.pc = starts[i];
        atomic_store(&t->cpu[0]->cpu.request, 0);
        cr_assert_eq(accel_tcg.run(&t->cpu[0]->cpu), CPU_EXIT_AGAIN);
        us = g_get_monotonic_time() - from;
        g_thread_join(th);
        cr_assert_lt(us, 5000000);
    }
}
Test(tcg_accel, kicks, .timeout = 60) { each(kicks); }

static _Atomic bool done;

static void *vcpu_loop(void *opaque)
{
    struct cpu *c = opaque;

    while (!atomic_load(&done)) {
        if (accel_tcg.run(c) == CPU_EXIT_HALT) {
            break;
        }
        atomic_store(&c->request, 0);
    }
    return NULL;
}

/*
 * vCPU 1 stores new instructions into a page with hot entries, again and again; vCPU 0 makes it a code page each time. What vCPU 0
 * runs last is what was stored last.
 */
static void cross_modifying(const char *way)
{
    struct toy *t = toy_new(way, 2);
    GThread *th;
    uint64_t seen = 0;

    atomic_store(&done, false);
    /* vCPU 1: r2 += 1, store its low byte as the operand of `addi r0, n`, for ever */
    toy_put(t, 0x1000, 7, TOY_ADDI, 2, 1, TOY_ST8, 1, 2, 0);
    toy_jump(t, 0x1007, TOY_JMP, 0x1000);
    toy_put(t, 0x9000, 4, TOY_ADDI, 0, 0, TOY_HALT);
    t->cpu[1]->s.r[1] = 0x9002;
    t->cpu[1]->s.env.pc = 0x1000;
    th = g_thread_new("vcpu1", vcpu_loop, t->cpu[1]);
    for (gint64 until = g_get_monotonic_time() + G_USEC_PER_SEC / 2; g_get_monotonic_time() < until;) {
        uint64_t last = R(t, 0);

        R(t, 0) = 0;
        cr_assert_eq(toy_run(t, 0x9000), 0x9004);
        seen += R(t, 0) != last;
    }
    atomic_store(&done, true);
    cpu_request(&t->cpu[1]->cpu, CPU_REQ_IRQ);
    accel_tcg.kick(&t->cpu[1]->cpu);
    g_thread_join(th);
    /* it is still now: what runs is exactly what memory holds */
    R(t, 0) = 0;
    toy_run(t, 0x9000);
    cr_assert_eq(R(t, 0), (uint64_t)(int8_t)t->ram->host[0x9002], "stale code under %s", way);
    cr_assert_gt(seen, 0);
    toy_free(t);
}
Test(tcg_accel, cross_modifying, .timeout = 60)
{
    cross_modifying("backend=interp");
#if CONFIG_TCG_NATIVE
    cross_modifying("chain=on");
#endif
}

/* Dirty tracking: after protect() returns, a store sets the page dirty again, also from a vCPU that had it hot. */
static void count_run(void *opaque, uint64_t offset, uint64_t len)
{
    (void)offset;
    *(uint64_t *)opaque += len;
}

static void dirty(const char *way)
{
    struct toy *t = toy_new(way, 1);
    GThread *th;
    uint64_t pages = 0;
    unsigned missed = 0;

    atomic_store(&done, false);
    toy_put(t, 0x1000, 7, TOY_ADDI, 2, 1, TOY_ST, 1, 2, 0);
    toy_jump(t, 0x1007, TOY_JMP, 0x1000);
    R(t, 1) = 0x9000;
    t->cpu[0]->s.env.pc = 0x1000;
    ram_collect_dirty(t->m, t->ram, RAM_CLEAN_DISPLAY, 0x9000, 0x1000, count_run, &pages);
    th = g_thread_new("vcpu0", vcpu_loop, t->cpu[0]);
    for (unsigned i = 0; i < 200; i++) {
        uint64_t before;

        g_usleep(100);
        ram_collect_dirty(t->m, t->ram, RAM_CLEAN_DISPLAY, 0x9000, 0x1000, count_run, &pages);
        before = ram64(t, 0x9000);
        for (unsigned k = 0; k < 1000 && ram64(t, 0x9000) == before; k++) {
            g_usleep(10);
        }
        /* it has stored since: the page must be dirty */
        missed += ram64(t, 0x9000) != before && (atomic_load(&t->ram->flags[9]) & RAM_CLEAN_DISPLAY);
    }
    atomic_store(&done, true);
    cpu_request(&t->cpu[0]->cpu, CPU_REQ_IRQ);
    accel_tcg.kick(&t->cpu[0]->cpu);
    g_thread_join(th);
    cr_assert_eq(missed, 0, "%s", way);
    cr_assert_gt(pages, 0);
    toy_free(t);
}
Test(tcg_accel, dirty, .timeout = 60)
{
    dirty("backend=interp");
#if CONFIG_TCG_NATIVE
    dirty("chain=on");
#endif
}

Test(tcg_accel, options)
{
    static const char *const bad[] = { "thread=single", "verify=on,backend=interp", "opt=nopass:off", "opt=fold", "opt=all:maybe" };

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        struct machine *m = machine_new();
        GError *err = NULL;
        struct options *o = options_parse(bad[i], NULL, accel_tcg.options, &err);

        cr_assert(o);
        cr_assert_not(accel_tcg.open(m, o, &err), "%s", bad[i]);
        cr_assert(err && strlen(err->message) > 10, "%s", bad[i]);
        g_error_free(err);
        options_free(o);
        machine_free(m);
    }
}
