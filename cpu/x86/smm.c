/*
 * System-management mode: entry by SMI, RSM, the state-save area. Spec: AMD APM vol. 2 chapter 10 (table 10-1 is the 64-bit save
 * area, revision 64h); Intel SDM vol. 3 chapter 32 (rules of entry and return). CPUs without long mode have the 512 bytes
 * of the P6 family (SDM vol. 3, table 32-1), with descriptors in the part that the manual calls reserved.
 *
 * Left out: I/O instruction restart (its field reads 0 and is ignored) and the I/O trap fields. CR2, DR0-DR3, x87 and vector state are
 * not touched by entry or return, as on hardware. A20 is open in SMM. SMI, INIT and (until an IRET) NMI wait.
 *
 * The CPU sees physical memory through machine.smm while it is in SMM, if the chipset has made that space (machine_smm_space()).
 */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "core/dma.h"
#include "cpu/x86/helpers.h"
#include "cpu/x86/models.h"
#include "cpu/x86/sys_priv.h"

#define AREA_AT 0xfe00u           /* of the area, from SMBASE */
#define AREA_SIZE 0x200u
#define ENTRY_IP 0x8000u
#define REV_64 0x00020064u        /* SMBASE relocation; 64-bit area */
#define REV_32 0x00020000u
#define ATTR_UNUSABLE 0x100u      /* in a limit nibble, which the area does not use: a segment register that holds no segment */

struct area {
    uint8_t b[AREA_SIZE];
};

/* Offsets are those of the manual: from SMBASE. */
static void put(struct area *a, unsigned at, unsigned size, uint64_t v) { memcpy(&a->b[at - AREA_AT], &v, size); }

static uint64_t get(const struct area *a, unsigned at, unsigned size)
{
    uint64_t v = 0;

    memcpy(&v, &a->b[at - AREA_AT], size);
    return v;
}

/* --- what is a plain member of the state --- */

struct save_row {
    uint16_t at;
    uint8_t size;
    uint16_t offset;
};
#define ROW(at, size, member) { at, size, __builtin_offsetof(struct x86_state, member) }

static const struct save_row rows64[] = {
    ROW(0xffb8, 8, gpr[8]), ROW(0xffb0, 8, gpr[9]), ROW(0xffa8, 8, gpr[10]), ROW(0xffa0, 8, gpr[11]), ROW(0xff98, 8, gpr[12]),
    ROW(0xff90, 8, gpr[13]), ROW(0xff88, 8, gpr[14]), ROW(0xff80, 8, gpr[15]),
    ROW(0xffc0, 8, gpr[X86_RDI]), ROW(0xffc8, 8, gpr[X86_RSI]), ROW(0xffd0, 8, gpr[X86_RBP]), ROW(0xffd8, 8, gpr[X86_RSP]),
    ROW(0xffe0, 8, gpr[X86_RBX]), ROW(0xffe8, 8, gpr[X86_RDX]), ROW(0xfff0, 8, gpr[X86_RCX]), ROW(0xfff8, 8, gpr[X86_RAX]),
    ROW(0xff48, 8, cr4), ROW(0xff50, 8, cr3), ROW(0xff58, 8, cr0), ROW(0xff60, 8, dr[7]), ROW(0xff68, 8, dr[6]), ROW(0xfed0, 8, efer),
    ROW(0xfe64, 2, gdt.limit), ROW(0xfe68, 8, gdt.base), ROW(0xfe84, 2, idt.limit), ROW(0xfe88, 8, idt.base), ROW(0xff00, 4, smbase),
};

static const struct save_row rows32[] = {
    ROW(0xfffc, 4, cr0), ROW(0xfff8, 4, cr3), ROW(0xff14, 4, cr4), ROW(0xffc8, 4, dr[7]), ROW(0xffcc, 4, dr[6]),
    ROW(0xffec, 4, gpr[X86_RDI]), ROW(0xffe8, 4, gpr[X86_RSI]), ROW(0xffe4, 4, gpr[X86_RBP]), ROW(0xffe0, 4, gpr[X86_RSP]),
    ROW(0xffdc, 4, gpr[X86_RBX]), ROW(0xffd8, 4, gpr[X86_RDX]), ROW(0xffd4, 4, gpr[X86_RCX]), ROW(0xffd0, 4, gpr[X86_RAX]),
    ROW(0xff74, 4, gdt.base), ROW(0xff70, 2, gdt.limit), ROW(0xff58, 4, idt.base), ROW(0xff54, 2, idt.limit), ROW(0xfef8, 4, smbase),
};

static void rows_save(const struct x86_state *s, struct area *a, const struct save_row *r, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint64_t v = 0;

        memcpy(&v, (const char *)s + r[i].offset, r[i].size);
        put(a, r[i].at, r[i].size, v);
    }
}

static void rows_load(struct x86_state *s, const struct area *a, const struct save_row *r, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint64_t v = get(a, r[i].at, r[i].size);

        memcpy((char *)s + r[i].offset, &v, r[i].size);
    }
}

/* --- segments: selector, attributes as descriptor bits 8-23, limit, base --- */

static unsigned attr_to_area(const struct x86_segment *g)
{
    return (g->attr & 0xff) | (g->attr & 0xf00) << 4 | (g->unusable ? ATTR_UNUSABLE : 0);
}

static void seg_from_area(struct x86_segment *g, unsigned selector, unsigned attr, uint32_t limit, uint64_t base)
{
    *g = (struct x86_segment){ .selector = selector, .attr = (attr & 0xff) | (attr >> 4 & 0xf00), .limit = limit, .base = base,
                               .unusable = attr & ATTR_UNUSABLE };
}

/* es cs ss ds fs gs in the order of enum x86_seg, then LDTR and TR. */
static const uint16_t seg_at64[8] = { 0xfe00, 0xfe10, 0xfe20, 0xfe30, 0xfe40, 0xfe50, 0xfe70, 0xfe90 };
static const struct { uint16_t selector, attr, limit, base; } seg_at32[8] = {
    { 0xffa8, 0xff84, 0xff88, 0xff8c }, { 0xffac, 0xff90, 0xff94, 0xff98 }, { 0xffb0, 0xff9c, 0xffa0, 0xffa4 },
    { 0xffb4, 0xff2c, 0xff30, 0xff34 }, { 0xffb8, 0xff38, 0xff3c, 0xff40 }, { 0xffbc, 0xff44, 0xff48, 0xff4c },
    { 0xffc0, 0xff78, 0xff7c, 0xff80 }, { 0xffc4, 0xff5c, 0xff60, 0xff64 },
};

static struct x86_segment *seg_n(struct x86_state *s, unsigned i)
{
    return i < 6 ? &s->seg[i] : i == 6 ? &s->ldt : &s->tr;
}

/* --- the area as a whole --- */

static bool is_wide(const struct x86_state *s)
{
    return x86_of_state((void *)s)->cpuid_words[W_EXT_EDX] >> 29 & 1;
}

static void area_save(struct x86_state *s, struct area *a, bool halted)
{
    bool wide = is_wide(s);
    uint64_t rip = x86_code64(s) ? s->env.pc : (uint32_t)(s->env.pc - s->seg[X86_CS].base);

    memset(a, 0, sizeof(*a));
    rows_save(s, a, wide ? rows64 : rows32, wide ? G_N_ELEMENTS(rows64) : G_N_ELEMENTS(rows32));
    for (unsigned i = 0; i < 8; i++) {
        const struct x86_segment *g = seg_n(s, i);

        if (wide) {
            put(a, seg_at64[i], 2, g->selector);
            put(a, seg_at64[i] + 2, 2, attr_to_area(g));
            put(a, seg_at64[i] + 4, 4, g->limit);
            put(a, seg_at64[i] + 8, 8, g->base);
        } else {
            put(a, seg_at32[i].selector, 4, g->selector);
            put(a, seg_at32[i].attr, 4, attr_to_area(g));
            put(a, seg_at32[i].limit, 4, g->limit);
            put(a, seg_at32[i].base, 4, g->base);
        }
    }
    put(a, wide ? 0xff70 : 0xfff4, wide ? 8 : 4, x86_eflags(s));
    put(a, wide ? 0xff78 : 0xfff0, wide ? 8 : 4, rip);
    put(a, wide ? 0xfec9 : 0xff02, 1, halted);
    put(a, wide ? 0xfeca : 0xff1a, 1, s->nmi_masked);      /* 32-bit: a reserved byte */
    put(a, 0xfefc, 4, wide ? REV_64 : REV_32);
}

/* Control registers that no instruction could have made: RSM shuts down (SDM vol. 3, 32.3.2). */
static bool control_ok(const struct x86_state *s, uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    const struct x86_cpu *x = x86_of_state((void *)s);
    bool lma = (cr0 & CR0_PG) && (efer & EFER_LME);

    return !(cr0 >> 32) && !((cr0 & CR0_PG) && !(cr0 & CR0_PE)) && !((cr0 & CR0_NW) && !(cr0 & CR0_CD)) && !(cr4 & ~x->cr4_mask) &&
           !(efer & ~(x->efer_mask | EFER_LMA)) && !(lma && !(cr4 & CR4_PAE));
}

static bool area_load(struct x86_state *s, const struct area *a, uint64_t *rip)
{
    bool wide = is_wide(s);
    uint64_t cr0 = wide ? get(a, 0xff58, 8) : get(a, 0xfffc, 4), cr4 = wide ? get(a, 0xff48, 8) : get(a, 0xff14, 4);
    uint64_t efer = wide ? get(a, 0xfed0, 8) : 0;

    if (!control_ok(s, cr0, cr4, efer)) {
        return false;
    }
    rows_load(s, a, wide ? rows64 : rows32, wide ? G_N_ELEMENTS(rows64) : G_N_ELEMENTS(rows32));
    s->cr0 = (cr0 & CR0_ALL) | CR0_ET;
    s->efer = (efer & ~(uint64_t)EFER_LMA) | ((cr0 & CR0_PG) && (efer & EFER_LME) ? EFER_LMA : 0);
    s->dr[6] = (s->dr[6] & 0x1e00f) | DR6_FIXED;
    s->dr[7] = (s->dr[7] & 0xffff2fff) | 0x400;
    for (unsigned i = 0; i < 8; i++) {
        struct x86_segment g;

        if (wide) {
            seg_from_area(&g, get(a, seg_at64[i], 2), get(a, seg_at64[i] + 2, 2), get(a, seg_at64[i] + 4, 4), get(a, seg_at64[i] + 8, 8));
        } else {
            seg_from_area(&g, get(a, seg_at32[i].selector, 2), get(a, seg_at32[i].attr, 2), get(a, seg_at32[i].limit, 4),
                          get(a, seg_at32[i].base, 4));
        }
        if (i < 6) {
            x86_set_seg(s, i, g.selector, g.base, g.limit, g.attr, g.unusable);
        } else {
            *seg_n(s, i) = g;
        }
    }
    x86_set_eflags(s, get(a, wide ? 0xff70 : 0xfff4, wide ? 8 : 4), ~0ull);
    *rip = get(a, wide ? 0xff78 : 0xfff0, wide ? 8 : 4);
    s->nmi_masked = get(a, wide ? 0xfeca : 0xff1a, 1) & 1;
    if ((s->cr0 & CR0_PG) && (s->cr4 & CR4_PAE) && !(s->efer & EFER_LMA)) {
        x86_load_pdptes(s, s->cr3);
    }
    return true;
}

/* --- entry and return --- */

static void see_memory(struct x86_state *s, bool smm)
{
    struct cpu *c = cpu_of(s);
    struct machine *m = c->machine;

    s->smm = smm;
    c->memory = smm && m->smm.root ? &m->smm : &m->memory;
    accel_of(s)->tlb_flush(c, TLB_FLUSH_ALL, 0, 0);
}

void x86_smm_enter(struct x86_state *s, bool halted)
{
    const unsigned data = SEG_P | SEG_S | SEG_RW | SEG_ACCESSED | SEG_G;
    struct cpu *c = cpu_of(s);
    struct area a;

    log_printf(LOG_INT, "vCPU %u: SMI at pc %04x:%016" PRIx64 ", smbase %08x\n", c->index, s->seg[X86_CS].selector, s->env.pc, s->smbase);
    area_save(s, &a, halted);
    see_memory(s, true);
    s->smi_count++;
    if (!dma_write(c->memory, (uint64_t)s->smbase + AREA_AT, a.b, sizeof(a.b))) {
        log_guest("vCPU %u: the SMM state-save area at %08x is not RAM", c->index, s->smbase + AREA_AT);
    }
    s->nmi_masked = true;
    s->shadow = s->shadow_ss = false;
    s->cr0 &= ~(uint64_t)(CR0_PE | CR0_EM | CR0_TS | CR0_PG);
    s->cr4 = 0;
    s->efer = 0;
    s->dr[7] = 0x400;
    x86_set_eflags(s, 2, ~0ull);
    for (unsigned i = 0; i < 6; i++) {
        x86_set_seg(s, i, 0, 0, 0xffffffff, data, false);
    }
    x86_set_seg(s, X86_CS, s->smbase >> 4 & 0xffff, s->smbase, 0xffffffff, data | SEG_CODE, false);
    x86_update_hflags(s);
    s->env.pc = (uint32_t)(s->smbase + ENTRY_IP);
    accel_of(s)->mode_changed(c);
}

uint64_t x86_do_rsm(struct x86_state *s, uint64_t a0, uint64_t b, uint64_t c0, uint64_t d)
{
    struct cpu *c = cpu_of(s);
    struct area a;
    uint64_t rip = 0;

    (void)a0, (void)b, (void)c0, (void)d;
    if (!s->smm) {
        x86_raise(s, X86_UD, false, 0);
    }
    dma_read(c->memory, (uint64_t)s->smbase + AREA_AT, a.b, sizeof(a.b));
    bool halted = get(&a, is_wide(s) ? 0xfec9 : 0xff02, 1) & 1;
    see_memory(s, false);
    if (!area_load(s, &a, &rip)) {
        log_guest("vCPU %u: RSM finds an impossible state", c->index);
        x86_triple_fault(s);
    } else if (halted) {
        atomic_store(&c->halted, true);      /* HLT goes on where it waited: its end is what was saved */
    }
    x86_update_hflags(s);
    x86_look(s);                             /* SMI, INIT, NMI that waited; and the loop sees `halted` */
    return x86_linear_pc(s, rip);
}
