/* See sys_util.h. */
#include "tests/cpu/x86/sys_util.h"

#include <setjmp.h>
#include <string.h>

#include <criterion/criterion.h>

#include "cpu/x86/cpu.h"

static struct sys *current;      /* tests run in processes of their own */
static struct region ram_region;
static jmp_buf out;

/* --- an engine that only does memory --- */

static bool host_of(struct cpu *c, uint64_t va, enum mem_access access, unsigned regime, uint8_t **host, struct mmu_fault *f)
{
    struct mmu_result r;

    if (!x86_walk(c, va, access, regime, true, &r, f)) {
        return false;
    }
    *host = r.pa < SYS_RAM ? current->ram + r.pa : NULL;
    return true;
}

static bool fake_ld(struct cpu *c, uint64_t va, unsigned size, unsigned regime, uint64_t *value, struct mmu_fault *f)
{
    *value = 0;
    for (unsigned i = 0; i < size; i++) {
        uint8_t *p;
        if (!host_of(c, va + i, MEM_READ, regime, &p, f)) {
            return false;
        }
        *value |= (uint64_t)(p ? *p : 0xff) << (i * 8);
    }
    return true;
}

static bool fake_st(struct cpu *c, uint64_t va, unsigned size, unsigned regime, uint64_t value, struct mmu_fault *f)
{
    uint8_t *p[8];

    for (unsigned i = 0; i < size; i++) {
        if (!host_of(c, va + i, MEM_WRITE, regime, &p[i], f)) {
            return false;
        }
    }
    for (unsigned i = 0; i < size; i++) {
        if (p[i]) {
            *p[i] = value >> (i * 8);
        }
    }
    return true;
}

static void *fake_probe(struct cpu *c, uint64_t va, unsigned len, enum mem_access access, unsigned regime, struct mmu_fault *f)
{
    uint8_t *p;

    f->vector = MMU_NO_FAULT;
    if ((va & 4095) + len > 4096) {
        return NULL;
    }
    return host_of(c, va, access, regime, &p, f) ? p : NULL;
}

static void fake_flush(struct cpu *c, enum tlb_flush scope, uint32_t asid, uint64_t va)
{
    (void)c, (void)asid, (void)va;
    current->flushes++;
    current->last_flush = scope;
}

static void fake_kick(struct cpu *c)
{
    (void)c;
    current->kicks++;
}

static void fake_changed(struct cpu *c)
{
    (void)c;
}

static void fake_unwind(struct cpu *c) __attribute__((noreturn));
static void fake_unwind(struct cpu *c)
{
    (void)c;
    longjmp(out, 1);
}

static const struct accel_ops fake = {
    .name = "fake", .ld = fake_ld, .st = fake_st, .probe = fake_probe, .tlb_flush = fake_flush, .kick = fake_kick,
    .mode_changed = fake_changed, .unwind = fake_unwind, .run_exclusive = fake_unwind,
};

/* --- set-up --- */

struct sys *sys_new(const char *model)
{
    struct sys *t = g_new0(struct sys, 1);
    GError *err = NULL;
    struct ram_block *b;
    struct cpu *c;

    current = t;
    t->m = machine_new();
    machine_lock(t->m);
    t->m->accel = &fake;
    b = ram_new(t->m, "ram", SYS_RAM, false, &err);
    cr_assert(b, "%s", err ? err->message : "");
    region_begin(t->m);
    region_init_ram(&ram_region, "ram", b, 0, SYS_RAM);
    region_add(&t->m->memory_root, &ram_region, 0, 0);
    region_commit(t->m);
    t->ram = b->host;
    c = x86_cpu_create(t->m, 0, model, &err);
    cr_assert(c, "%s", err ? err->message : "");
    t->x = x86_of(c);
    t->s = &t->x->s;
    c->ops->reset(c);
    return t;
}

void sys_free(struct sys *t)
{
    machine_unlock(t->m);
    machine_free(t->m);
    g_free(t);
}

bool sys_call(struct sys *t, sys_fn *fn, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    if (setjmp(out)) {
        return false;
    }
    t->result = fn(t->s, a, b, c, d);
    return true;
}

bool sys_raised(struct sys *t, unsigned vector, int64_t code)
{
    struct x86_exception *e = &t->s->exc;
    bool ok = e->pending && e->vector == vector && e->has_code == (code >= 0) && (code < 0 || e->code == (uint32_t)code);

    if (!ok) {
        cr_log_warn("raised: pending %d vector %u code %d %x", e->pending, e->vector, e->has_code, e->code);
    }
    e->pending = false;
    return ok;
}

void sys_put(struct sys *t, uint64_t pa, unsigned size, uint64_t v)
{
    memcpy(t->ram + pa, &v, size);
}

uint64_t sys_get(struct sys *t, uint64_t pa, unsigned size)
{
    uint64_t v = 0;

    memcpy(&v, t->ram + pa, size);
    return v;
}

void sys_desc(struct sys *t, unsigned selector, uint32_t base, uint32_t limit, unsigned attr)
{
    uint64_t table = selector & 4 ? SYS_LDT_AT : SYS_GDT;

    sys_put(t, table + (selector & ~7u), 4, (base & 0xffff) << 16 | (limit & 0xffff));
    sys_put(t, table + (selector & ~7u) + 4, 4, (base & 0xff000000) | (attr & 0xf00) << 12 | (limit & 0xf0000) | (attr & 0xff) << 8 | (base >> 16 & 0xff));
}

void sys_gate(struct sys *t, unsigned vector, unsigned selector, uint64_t offset, unsigned type, unsigned dpl, unsigned ist)
{
    bool wide = x86_lma(t->s);
    uint64_t at = SYS_IDT + vector * (wide ? 16 : 8);

    sys_put(t, at, 4, selector << 16 | (offset & 0xffff));
    sys_put(t, at + 4, 4, (offset & 0xffff0000) | 0x8000 | dpl << 13 | type << 8 | ist);
    if (wide) {
        sys_put(t, at + 8, 8, offset >> 32);
    }
}

static void flat_gdt(struct sys *t)
{
    sys_desc(t, SEL_CODE32, 0, 0xfffff, 0xc9b);
    sys_desc(t, SEL_DATA, 0, 0xfffff, 0xc93);
    sys_desc(t, SEL_CODE64, 0, 0xfffff, 0xa9b);
    sys_desc(t, SEL_UCODE32, 0, 0xfffff, 0xcfb);
    sys_desc(t, SEL_UDATA, 0, 0xfffff, 0xcf3);
    sys_desc(t, SEL_UCODE64, 0, 0xfffff, 0xafb);
    sys_desc(t, SEL_TSS, SYS_TSS, 0x2067, 0x089);
    t->s->gdt = (struct x86_table){ SYS_GDT, 0xff };
    t->s->idt = (struct x86_table){ SYS_IDT, 0xfff };
}

static void segs(struct sys *t, unsigned cs, unsigned data)
{
    static const uint8_t order[] = { X86_SS, X86_DS, X86_ES, X86_FS, X86_GS };

    for (unsigned i = 0; i < 5; i++) {
        x86_set_seg(t->s, order[i], data, 0, 0xffffffff, data & 3 ? 0xcf3 : 0xc93, false);
    }
    x86_set_seg(t->s, X86_CS, cs, 0, 0xffffffff, (cs & 3 ? 0x0fb : 0x09b) | (cs == SEL_CODE64 || cs == SEL_UCODE64 ? 0xa00 : 0xc00), false);
    x86_update_hflags(t->s);
}

void sys_protected(struct sys *t)
{
    struct x86_state *s = t->s;

    flat_gdt(t);
    s->cr0 |= CR0_PE;
    segs(t, SEL_CODE32, SEL_DATA);
    s->ldt.unusable = true;
    s->tr = (struct x86_segment){ .selector = SEL_TSS, .base = SYS_TSS, .limit = 0x2067, .attr = 0x8b };
    sys_put(t, SYS_TSS + 4, 4, SYS_STACK0);
    sys_put(t, SYS_TSS + 8, 4, SEL_DATA);
    s->gpr[X86_RSP] = SYS_STACK0 - 0x100;
    s->env.pc = 0x100000;
}

void sys_long(struct sys *t)
{
    struct x86_state *s = t->s;

    flat_gdt(t);
    sys_put(t, SYS_PML4, 8, (SYS_PML4 + 0x1000) | 7);
    sys_put(t, SYS_PML4 + 0x1000, 8, 0x87);
    s->cr3 = SYS_PML4;
    s->cr4 = CR4_PAE | CR4_OSFXSR;
    s->efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
    s->cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_WP | CR0_NE;
    segs(t, SEL_CODE64, SEL_DATA);
    s->ldt.unusable = true;
    s->tr = (struct x86_segment){ .selector = SEL_TSS, .base = SYS_TSS, .limit = 0x2067, .attr = 0x8b };
    sys_put(t, SYS_TSS + 4, 8, SYS_STACK0);
    sys_put(t, SYS_TSS + 36, 8, SYS_IST1);
    s->gpr[X86_RSP] = SYS_STACK0 - 0x100;
    s->env.pc = 0x100000;
}

void sys_user(struct sys *t, uint64_t pc)
{
    segs(t, x86_lma(t->s) ? SEL_UCODE64 : SEL_UCODE32, SEL_UDATA);
    t->s->gpr[X86_RSP] = SYS_STACK3;
    t->s->env.pc = pc;
}
