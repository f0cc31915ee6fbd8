/*
 * The x86 CPU as the rest of the machine sees it: creation, reset, a loader's entry state, dumps, and the table of operations.
 * Spec: Intel SDM vol. 3 chapter 9 (state after RESET and INIT).
 */
#include "cpu/x86/cpu.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "core/x86_entry.h"
#include "core/x86_intc.h"
#include "cpu/x86/models.h"
#include "cpu/x86/sys_priv.h"
#include "cpu/x86/translate.h"

/* --- registers as a table --- */

struct reg {
    const char *name;
    uint16_t offset;
    uint8_t size;
    bool kept_by_init;
    uint64_t reset;
};

static const struct reg regs[] = {
#define REG(name, member, size, reset, init, gdb, kvm) { #name, __builtin_offsetof(struct x86_state, member), size, init, reset },
#include "cpu/x86/regs.def"
#undef REG
};

static uint64_t reg_get(const struct x86_state *s, const struct reg *r)
{
    uint64_t v = 0;

    memcpy(&v, (const char *)s + r->offset, r->size);
    return v;
}

/* --- reset --- */

static void reset_x87(struct x86_state *s)
{
    memset(s->fx, 0, sizeof(s->fx));
    s->fx[0] = 0x40;      /* FCW 0040h after RESET */
    memset(s->vec, 0, sizeof(s->vec));
    s->tcg.vec_low = 1;
    s->tcg.mem_high = 0;
    memset(s->opmask, 0, sizeof(s->opmask));
    memset(s->mtrr_fixed, 0, sizeof(s->mtrr_fixed));
    memset(s->mtrr_base, 0, sizeof(s->mtrr_base));
    memset(s->mtrr_mask, 0, sizeof(s->mtrr_mask));
    memset(s->mc_bank, 0, sizeof(s->mc_bank));
}

void x86_reset_registers(struct x86_cpu *x, bool init)
{
    struct x86_state *s = &x->s;
    uint64_t cache_bits = init ? s->cr0 & (CR0_CD | CR0_NW) : CR0_CD | CR0_NW;

    for (unsigned i = 0; i < sizeof(regs) / sizeof(regs[0]); i++) {
        if (!init || !regs[i].kept_by_init) {
            memcpy((char *)s + regs[i].offset, &regs[i].reset, regs[i].size);
        }
    }
    if (!init) {
        reset_x87(s);
        if (x->cpuid_words[W_1_ECX] >> 3 & 1) {
            s->misc_enable |= 1 << 18;
        }
    }
    s->cr0 = CR0_ET | cache_bits;
    s->env.cc_op = IR_CC_EFLAGS;
    s->env.cc_a = s->env.cc_b = s->env.cc_c = 0;
    s->gpr[X86_RDX] = (x->family > 15 ? 15u : x->family) << 8 | (x->cpu_model & 15u) << 4 | x->stepping | (uint32_t)(x->cpu_model >> 4) << 16;
    for (unsigned i = 0; i < 6; i++) {
        x86_set_seg(s, i, 0, 0, 0xffff, SEG_P | SEG_S | SEG_RW | SEG_ACCESSED, false);
    }
    x86_set_seg(s, X86_CS, 0xf000, 0xffff0000, 0xffff, SEG_P | SEG_S | SEG_CODE | SEG_RW | SEG_ACCESSED, false);
    s->ldt = (struct x86_segment){ .limit = 0xffff, .attr = SEG_P | SYS_LDT };
    s->tr = (struct x86_segment){ .limit = 0xffff, .attr = SEG_P | SYS_TSS32_BUSY };
    s->gdt = s->idt = (struct x86_table){ 0, 0xffff };
    s->env.pc = 0xfffffff0;
    s->shadow = s->shadow_ss = s->nmi_masked = s->smm = s->in_delivery = s->irq_waits = s->shutdown = s->step_masked = false;
    s->init_waits = s->was_halted = s->ferr_error = s->ignne = false;
    s->nmi_waits &= init;           /* INIT forgets neither */
    s->smi_waits &= init;
    s->dr6_pending = 0;
    s->exc = (struct x86_exception){ .pending = false };
    s->monitor_addr = ~0ull;
    x86_update_hflags(s);
}

static void x86_reset(struct cpu *c)
{
    struct x86_cpu *x = x86_of(c);
    bool bsp = c->index == 0;

    x86_reset_registers(x, false);
    x->s.a20 = true;
    c->memory = &c->machine->memory;
    x->s.tsc_offset = 0 - x86_tsc_of_ns(clock_now(c->machine, CLOCK_VIRTUAL_NS), x->tsc_hz);      /* the TSC starts at 0 */
    if (x->lapic) {
        atomic_store(&x->lapic->tsc_offset, (int64_t)x->s.tsc_offset);
        atomic_store(&x->lapic->tsc_hz, x->tsc_hz);
        x->lapic->ops->tsc_changed(x->lapic);
    }
    atomic_fetch_and(&c->request, ~(uint32_t)(CPU_REQ_IRQ | CPU_REQ_NMI | CPU_REQ_SMI | CPU_REQ_INIT | CPU_REQ_SIPI));
    atomic_store(&c->powered_off, !bsp);
    atomic_store(&c->halted, !bsp);
}

/* --- a loader's entry --- */

static void set_entry_seg(struct x86_state *s, unsigned seg, const struct x86_entry_seg *e)
{
    x86_set_seg(s, seg, e->selector, e->base, e->limit, (e->attr & 0xff) | (e->attr >> 4 & 0xf00), !(e->selector & 0xfffc) && !(e->attr & SEG_P));
}

/* What firmware leaves behind: RAM write-back, the VGA hole and the 32-bit PCI hole uncached. */
static void firmware_mtrrs(struct x86_cpu *x)
{
    struct x86_state *s = &x->s;

    for (unsigned i = 0; i < 11; i++) {
        s->mtrr_fixed[i] = i == 2 ? 0 : 0x0606060606060606;      /* [2]: a0000-bffff */
    }
    s->mtrr_base[0] = 0xc0000000;
    s->mtrr_mask[0] = (((1ull << x->phys_bits) - 1) & ~0x3fffffffull) | 0x800;
    s->mtrr_def = 0xc06;
}

void x86_cpu_apply_entry(struct cpu *c, const struct x86_entry *e)
{
    static const uint8_t data[] = { X86_DS, X86_ES, X86_SS, X86_FS, X86_GS };
    struct x86_cpu *x = x86_of(c);
    struct x86_state *s = &x->s;

    s->cr0 = (e->cr0 & CR0_ALL) | CR0_ET;
    s->cr3 = e->cr3;
    s->cr4 = e->cr4 & x->cr4_mask;
    s->efer = e->efer & (x->efer_mask | EFER_LMA);
    for (unsigned i = 0; i < 16; i++) {
        s->gpr[i] = e->gpr[i];
    }
    x86_set_eflags(s, e->rflags, ~0ull);
    set_entry_seg(s, X86_CS, &e->cs);
    for (unsigned i = 0; i < 5; i++) {
        set_entry_seg(s, data[i], &e->data);
    }
    s->tr = (struct x86_segment){ .selector = e->tr.selector, .base = e->tr.base, .limit = e->tr.limit,
                                  .attr = (e->tr.attr & 0xff) | (e->tr.attr >> 4 & 0xf00) };
    s->ldt = (struct x86_segment){ .unusable = true };
    s->gdt = (struct x86_table){ e->gdt_base, e->gdt_limit };
    s->idt = (struct x86_table){ e->idt_base, e->idt_limit };
    firmware_mtrrs(x);
    x86_update_hflags(s);
    s->env.pc = x86_linear_pc(s, e->rip);
    atomic_store(&c->powered_off, false);
    atomic_store(&c->halted, false);
}

void x86_cpu_connect_intc(struct cpu *c, struct x86_lapic *lapic)
{
    struct x86_cpu *x = x86_of(c);

    x->lapic = lapic;
    x->apic_id = lapic->id;
    atomic_store(&lapic->tsc_offset, (int64_t)x->s.tsc_offset);
    atomic_store(&lapic->tsc_hz, x->tsc_hz);
}

void x86_cpu_connect_ferr(struct cpu *c, struct irq_line line)
{
    x86_of(c)->ferr = line;
}

void x86_cpu_ignne(struct cpu *c)
{
    struct x86_cpu *x = x86_of(c);

    x->s.ignne = true;
    irq_set(&x->ferr, 0);
}

void x86_cpu_set_a20(struct cpu *c, bool open)
{
    struct x86_state *s = &x86_of(c)->s;

    if (s->a20 != open) {
        s->a20 = open;
        if (c->engine && c->engine->tlb_flush) {
            c->engine->tlb_flush(c, TLB_FLUSH_ALL, 0, 0);
        }
    }
}

/* --- registers stored by another engine --- */

uint64_t x86_rip(const struct x86_state *s)
{
    return x86_code64(s) ? s->env.pc : (uint32_t)(s->env.pc - s->seg[X86_CS].base);
}

void x86_stored(struct x86_state *s, uint64_t rip)
{
    for (unsigned i = 0; i < 6; i++) {
        const struct x86_segment *g = &s->seg[i];

        x86_set_seg(s, i, g->selector, g->base, g->limit, g->attr, g->unusable);
    }
    x86_update_hflags(s);
    s->env.pc = x86_linear_pc(s, rip);
}

/* --- looking at it --- */

static uint64_t x86_pc(struct cpu *c)
{
    return x86_of(c)->s.env.pc;
}

/* As regs.def names them, in any case; eflags, segments' selectors. */
static bool x86_reg(struct cpu *c, const char *name, uint64_t *value)
{
    const struct x86_state *s = &x86_of(c)->s;

    if (!g_ascii_strcasecmp(name, "eflags") || !g_ascii_strcasecmp(name, "rflags")) {
        *value = x86_eflags(s);
        return true;
    }
    for (unsigned i = 0; i < sizeof(regs) / sizeof(regs[0]); i++) {
        /* $eax is the low half of rax. */
        bool low = g_ascii_tolower(name[0]) == 'e' && regs[i].name[0] == 'r' && !g_ascii_strcasecmp(name + 1, regs[i].name + 1);

        if (low || !g_ascii_strcasecmp(name, regs[i].name)) {
            *value = low ? (uint32_t)reg_get(s, &regs[i]) : reg_get(s, &regs[i]);
            return true;
        }
    }
    return false;
}

static bool x86_debug_translate(struct cpu *c, uint64_t va, uint64_t *pa)
{
    struct mmu_result r;
    struct mmu_fault f;

    if (!x86_walk(c, va, MEM_READ, X86_REGIME_SUPER_AC, false, &r, &f)) {
        return false;
    }
    *pa = r.pa;
    return true;
}

static unsigned x86_disas_mode(struct cpu *c)
{
    static const uint8_t bits[] = { 16, 32, 64, 64 };

    return bits[x86_of(c)->s.hflags & X86_MODE_CODE_MASK];
}

static void dump_segment(GString *out, const char *name, const struct x86_segment *g)
{
    g_string_append_printf(out, "%-4s=%04x %016" PRIx64 " %08x %04x%s\n", name, g->selector, g->base, g->limit, g->attr,
                           g->unusable ? " null" : "");
}

static void dump_vectors(const struct x86_state *s, GString *out)
{
    unsigned n = x86_code64(s) ? 16 : 8;

    g_string_append_printf(out, "FCW=%02x%02x FSW=%02x%02x FTW=%02x\n", s->fx[1], s->fx[0], s->fx[3], s->fx[2], s->fx[4]);
    for (unsigned i = 0; i < n; i++) {
        uint64_t v[2];

        memcpy(v, s->vec[i], 16);
        g_string_append_printf(out, "XMM%02u=%016" PRIx64 "%016" PRIx64 "%s", i, v[1], v[0], i & 1 ? "\n" : " ");
    }
}

static void x86_dump(struct cpu *c, GString *out)
{
    static const char *const seg_names[] = { "ES", "CS", "SS", "DS", "FS", "GS" };
    const struct x86_state *s = &x86_of(c)->s;
    uint64_t fl = x86_eflags(s);
    unsigned column = 0;

    g_string_append_printf(out, "CPU#%u\nRIP=%016" PRIx64 " RFL=%08" PRIx64 " [%c%c%c%c%c%c%c%c] CPL=%u HLT=%d A20=%d\n", c->index,
                           x86_code64(s) ? s->env.pc : (uint32_t)(s->env.pc - s->seg[X86_CS].base), fl,
                           fl & X86_FL_D ? 'D' : '-', fl & X86_FL_O ? 'O' : '-', fl & X86_FL_I ? 'I' : '-', fl & X86_FL_S ? 'S' : '-',
                           fl & X86_FL_Z ? 'Z' : '-', fl & X86_FL_A ? 'A' : '-', fl & X86_FL_P ? 'P' : '-', fl & X86_FL_C ? 'C' : '-',
                           x86_cpl(s), atomic_load(&c->halted), s->a20);
    g_string_append_printf(out, "%-14s=%016" PRIx64 "\n", "cr0", s->cr0);
    for (unsigned i = 0; i < sizeof(regs) / sizeof(regs[0]); i++) {
        g_string_append_printf(out, "%-14s=%016" PRIx64 "%s", regs[i].name, reg_get(s, &regs[i]), ++column % 3 ? "  " : "\n");
    }
    if (column % 3) {
        g_string_append_c(out, '\n');
    }
    for (unsigned i = 0; i < 6; i++) {
        dump_segment(out, seg_names[i], &s->seg[i]);
    }
    dump_segment(out, "LDT", &s->ldt);
    dump_segment(out, "TR", &s->tr);
    g_string_append_printf(out, "GDT=     %016" PRIx64 " %08x\nIDT=     %016" PRIx64 " %08x\n", s->gdt.base, s->gdt.limit, s->idt.base,
                           s->idt.limit);
    dump_vectors(s, out);
}

/* --- creation --- */

static bool x86_init(struct cpu *c, GError **err)
{
    struct x86_cpu *x = x86_of(c);

    if (!x86_model_apply(x, c->model, err)) {
        return false;
    }
    x->apic_id = x86_apic_id(c->machine, c->index);
    x->s.a20 = true;
    x86_reset_registers(x, false);
    return true;
}

struct cpu *x86_cpu_create(struct machine *m, unsigned index, const char *model, GError **err)
{
    return cpu_new(m, &x86_cpu_ops, index, model ? model : "max", err);
}

/* The whole state: what generated code works on begins at state_offset. */
_Static_assert(__builtin_offsetof(struct x86_cpu, s) % 64 == 0, "vectors in the state are moved aligned");

static const struct tcg_front x86_front = { .mode_optional = X86_MODE_OPTIONAL, .key = x86_key, .translate = x86_translate, .trap = x86_trap };

const struct cpu_ops x86_cpu_ops = {
    .isa = "x86_64",
    .size = sizeof(struct x86_cpu),
    .state_offset = __builtin_offsetof(struct x86_cpu, s),
    .tcg = &x86_guest,
    .front = &x86_front,
    .init = x86_init,
    .reset = x86_reset,
    .service = x86_service,
    .startup = x86_startup,
    .wakes = x86_wakes,
    .walk = x86_walk,
    .watch = x86_watch,
    .raise = x86_raise_pending,
    .pc = x86_pc,
    .dump = x86_dump,
    .reg = x86_reg,
    .dump_map = x86_dump_map,
    .debug_translate = x86_debug_translate,
    .disas_mode = x86_disas_mode,
};
