/* System-management mode: the save area of both kinds, what the CPU sees of memory, what waits. AMD APM vol. 2 chapter 10. */
#include <string.h>

#include <criterion/criterion.h>

#include "core/dma.h"
#include "tests/cpu/x86/sys_util.h"

enum { BASE = 0x30000 };
static struct sys *t;

static void start(const char *model, bool wide)
{
    t = sys_new(model);
    if (wide) {
        sys_long(t);
    } else {
        sys_protected(t);
    }
    for (unsigned i = 0; i < 16; i++) {
        t->s->gpr[i] = 0x11111111u * i;
    }
}

static void smi(void)
{
    atomic_fetch_or(&t->x->cpu.request, CPU_REQ_SMI);
    x86_service(&t->x->cpu);
}

Test(smm, area_of_64_bits)
{
    struct x86_state before;

    start("max", true);
    t->s->seg[X86_FS].base = t->s->seg_base_fs = 0xffff800012345678;
    before = *t->s;
    smi();
    cr_assert(t->s->smm && t->s->nmi_masked);
    cr_assert_eq(t->s->env.pc, BASE + 0x8000);
    cr_assert_eq(t->s->hflags & (X86_MODE_PE | X86_MODE_LMA | X86_MODE_CODE_MASK), 0);
    cr_assert_eq(sys_get(t, BASE + 0xfefc, 4), 0x20064);
    cr_assert_eq(sys_get(t, BASE + 0xff78, 8), before.env.pc);
    cr_assert_eq(sys_get(t, BASE + 0xfff0, 8), before.gpr[X86_RCX]);
    cr_assert_eq(sys_get(t, BASE + 0xfe48, 8), 0xffff800012345678);
    cr_assert_eq(sys_get(t, BASE + 0xfed0, 8), before.efer);
    cr_assert(sys_call(t, x86_do_rsm, 0, 0, 0, 0));
    cr_assert_eq(t->result, before.env.pc);
    cr_assert_not(t->s->smm || t->s->nmi_masked);
    cr_assert_eq(memcmp(before.seg, t->s->seg, sizeof(before.seg)), 0);
    cr_assert_eq(t->s->cr0, before.cr0);
    cr_assert_eq(t->s->cr4, before.cr4);
    cr_assert_eq(t->s->efer, before.efer);
    cr_assert_eq(t->s->hflags, before.hflags);
    cr_assert_eq(t->s->dr[7], before.dr[7]);
    sys_free(t);
}

Test(smm, area_of_32_bits)
{
    struct x86_state before;

    start("max,-lm", false);
    before = *t->s;
    smi();
    cr_assert_eq(sys_get(t, BASE + 0xfefc, 4), 0x20000);
    cr_assert_eq(sys_get(t, BASE + 0xfef8, 4), BASE);
    cr_assert_eq(sys_get(t, BASE + 0xfff0, 4), before.env.pc);
    cr_assert_eq(sys_get(t, BASE + 0xffd0, 4), before.gpr[X86_RAX]);
    cr_assert_eq(sys_get(t, BASE + 0xffec, 4), before.gpr[X86_RDI]);
    sys_put(t, BASE + 0xfef8, 4, 0x50000);
    cr_assert(sys_call(t, x86_do_rsm, 0, 0, 0, 0));
    cr_assert_eq(memcmp(before.seg, t->s->seg, sizeof(before.seg)), 0);
    cr_assert_eq(memcmp(&before.tr, &t->s->tr, sizeof(before.tr)), 0);
    smi();
    cr_assert_eq(t->s->env.pc, 0x58000, "SMBASE was relocated");
    sys_free(t);
}

Test(smm, memory_of_its_own)
{
    static struct region smram;
    struct ram_block *b;
    uint32_t v = 0;

    start("max", true);
    b = ram_new(t->m, "smram", 0x20000, false, NULL);
    region_init_ram(&smram, "smram", b, 0, 0x20000);
    region_add(machine_smm_space(t->m), &smram, BASE, 1);
    smi();
    cr_assert(dma_read(t->x->cpu.memory, BASE + 0xfefc, &v, 4) && v == 0x20064);
    cr_assert_eq(sys_get(t, BASE + 0xfefc, 4), 0, "outside SMM it is not there");
    cr_assert(sys_call(t, x86_do_rsm, 0, 0, 0, 0));
    cr_assert_eq(t->x->cpu.memory, &t->m->memory);
    sys_free(t);
}

Test(smm, what_waits)
{
    start("max", true);
    cr_assert_not(sys_call(t, x86_do_rsm, 0, 0, 0, 0));
    cr_assert(sys_raised(t, X86_UD, -1));
    t->s->shadow = true;
    smi();
    cr_assert_not(t->s->smm, "the shadow holds it back");
    cr_assert(sys_call(t, x86_do_end_shadow, 0, 0, 0, 0));
    cr_assert(t->kicks);
    x86_service(&t->x->cpu);
    cr_assert(t->s->smm);
    atomic_fetch_or(&t->x->cpu.request, CPU_REQ_SMI | CPU_REQ_INIT);
    x86_service(&t->x->cpu);
    cr_assert(t->s->smm && t->s->smi_waits && t->s->init_waits);
    cr_assert_eq(t->s->env.pc, BASE + 0x8000);
    cr_assert(sys_call(t, x86_do_rsm, 0, 0, 0, 0));
    x86_service(&t->x->cpu);
    cr_assert_eq(t->s->env.pc & 0xfffff000, 0x38000, "SMI right behind INIT");
    cr_assert(t->s->smm && !t->s->smi_waits && !t->s->init_waits);
    sys_free(t);
}

Test(smm, impossible_state_shuts_down)
{
    start("max", true);
    smi();
    sys_put(t, BASE + 0xff58, 8, CR0_PG);
    cr_assert(sys_call(t, x86_do_rsm, 0, 0, 0, 0));
    cr_assert(t->s->shutdown);
    sys_free(t);
}
