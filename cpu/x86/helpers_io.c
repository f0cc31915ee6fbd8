/*
 * Helpers that reach devices or the host: port I/O with its permission checks, CR8, time, random numbers.
 * Spec: Intel SDM vol. 1 chapter 19 (I/O, permission bitmap), vol. 3, 11.8.6.1 (CR8), 18.17 (TSC).
 */
#include <sys/random.h>

#include "core/x86_intc.h"
#include "cpu/x86/helpers.h"
#include "cpu/x86/sys_priv.h"

/* I/O permission bitmap of the TSS: needed above IOPL and in virtual-8086 mode. */
static void io_check(struct x86_state *s, unsigned port, unsigned size)
{
    struct mmu_fault f;
    uint64_t map, bits;

    if (!(s->cr0 & CR0_PE) || (!(s->eflags & FL_VM) && x86_cpl(s) <= x86_iopl(s))) {
        return;
    }
    if (s->tr.unusable || (s->tr.attr & SEG_TYPE) < SYS_TSS32 || s->tr.limit < 103) {
        x86_raise(s, X86_GP, true, 0);
    }
    if (!mem_ld(s, s->tr.base + 102, 2, X86_REGIME_IMPLICIT, &map, &f)) {
        x86_raise_fault(s, &f);
    }
    map += port >> 3;
    if (map + 1 > s->tr.limit) {      /* two bytes are read always */
        x86_raise(s, X86_GP, true, 0);
    }
    if (!mem_ld(s, s->tr.base + map, 2, X86_REGIME_IMPLICIT, &bits, &f)) {
        x86_raise_fault(s, &f);
    }
    if (bits >> (port & 7) & ((1u << size) - 1)) {
        x86_raise(s, X86_GP, true, 0);
    }
}

/* I/O breakpoints trap behind the instruction. */
static void io_break(struct x86_state *s, unsigned port, unsigned size)
{
    if (!(s->hflags & X86_MODE_IOBP)) {
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        unsigned len = (s->dr[7] >> (18 + i * 4) & 3) + 1;      /* 1, 2, 4 */

        if ((s->dr[7] & 3u << (i * 2)) && (s->dr[7] >> (16 + i * 4) & 3) == 2 && port < s->dr[i] + len && s->dr[i] < port + size) {
            s->dr6_pending |= 1u << i;
            x86_look(s);
        }
    }
}

uint64_t x86_do_in(struct x86_state *s, uint64_t port, uint64_t size, uint64_t c, uint64_t d)
{
    uint64_t v;

    (void)c, (void)d;
    port &= 0xffff;
    io_check(s, port, size);
    as_read(cpu_of(s)->io, port, size, &v);
    io_break(s, port, size);
    return size == 4 ? (uint32_t)v : size == 2 ? (uint16_t)v : (uint8_t)v;
}

uint64_t x86_do_out(struct x86_state *s, uint64_t port, uint64_t size, uint64_t v, uint64_t d)
{
    (void)d;
    port &= 0xffff;
    io_check(s, port, size);
    as_write(cpu_of(s)->io, port, size, size == 4 ? (uint32_t)v : size == 2 ? (uint16_t)v : (uint8_t)v);
    io_break(s, port, size);
    return 0;
}

uint64_t x86_do_mov_to_cr8(struct x86_state *s, uint64_t v, uint64_t b, uint64_t c, uint64_t d)
{
    struct x86_lapic *l = x86_of_state(s)->lapic;

    (void)b, (void)c, (void)d;
    if (x86_cpl(s) || v >> 4) {
        x86_raise(s, X86_GP, true, 0);
    }
    s->cr8 = v;
    if (l) {
        l->ops->set_cr8(l, v);      /* rings if something becomes deliverable */
    }
    return 0;
}

uint64_t x86_do_mov_from_cr8(struct x86_state *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    struct x86_lapic *l = x86_of_state(s)->lapic;

    (void)a, (void)b, (void)c, (void)d;
    if (x86_cpl(s)) {
        x86_raise(s, X86_GP, true, 0);
    }
    return l ? l->ops->get_cr8(l) : s->cr8;
}

uint64_t x86_do_rdtsc(struct x86_state *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    return x86_tsc(x86_of_state(s));
}

static uint64_t random_value(uint64_t w)
{
    uint64_t v = 0;

    while (getrandom(&v, sizeof(v), 0) != sizeof(v)) {
        /* interrupted by a signal */
    }
    return w >= 3 ? v : v & ((1ull << (8u << w)) - 1);
}

uint64_t x86_do_rdrand(struct x86_state *s, uint64_t w, uint64_t b, uint64_t c, uint64_t d)
{
    (void)s, (void)b, (void)c, (void)d;
    return random_value(w);
}

uint64_t x86_do_rdseed(struct x86_state *s, uint64_t w, uint64_t b, uint64_t c, uint64_t d)
{
    (void)s, (void)b, (void)c, (void)d;
    return random_value(w);
}
