/* Contract tests that hold for every device class: table complete, reset twice, save and load, random accesses. */
#include <criterion/criterion.h>

#include "hw/acpi/piix4_pm.h"
#include "hw/char/uart16550.h"
#include "hw/display/display.h"
#include "hw/input/i8042.h"
#include "hw/intc/i8259.h"
#include "hw/intc/ioapic.h"
#include "hw/intc/lapic.h"
#include "hw/isa/isa.h"
#include "hw/misc/fw_cfg.h"
#include "hw/misc/misc.h"
#include "hw/pci/i440fx.h"
#include "hw/timer/i8254.h"
#include "hw/timer/mc146818.h"
#include "tests/hw/hw_util.h"

static const struct device_class *const classes[] = {
    &lapic_class, &ioapic_class, &i8259_class, &i8254_class, &mc146818_class, &uart16550_class, &debugexit_class, &port92_class,
    &i8042_class, &vga_pci_class, &secondary_vga_class, &bochs_display_class, &fw_cfg_class, &isa_bus_class, &i440fx_host_class, &i440fx_class, &piix3_class, &piix4_pm_class,
};

Test(classes, every_member_has_a_row)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(classes); i++) {
        GError *err = NULL;
        cr_expect(device_class_check(classes[i], &err), "%s: %s", classes[i]->name, err ? err->message : "?");
        g_clear_error(&err);
    }
}

/* A PC's devices in one machine, without CPUs that run. */
static struct apic_bus apics;
static struct lapic *lapics[1];

static void make_all(struct test_machine *t)
{
    GError *err = NULL;
    test_machine_make(t);
    t->m->main_ram = ram_new(t->m, "ram", 1 << 20, false, &err);
    static struct region ram, mmio;
    region_init_ram(&ram, "ram", t->m->main_ram, 0, 1 << 20);
    region_add(&t->m->memory_root, &ram, 0, 0);
    struct device *pic = test_device(t, &i8259_class);
    struct device *ioapic = test_device(t, &ioapic_class);
    apics = (struct apic_bus){ .cpus = lapics };
    ((struct ioapic *)ioapic)->bus = &apics;
    apics.ioapics[apics.n_ioapics++] = (struct ioapic *)ioapic;
    lapics[0] = lapic_new(t->m, test_cpu(t, 0), 0, &apics, &err);
    lapics[0]->extint_source = (struct extint_source){ i8259_ack, pic };
    apics.n_cpus = 1;
    region_init_io(&mmio, "lapic", &lapic_mmio_ops, &apics, 0x1000);
    region_add(&t->m->memory_root, &mmio, X86_APIC_DEFAULT_BASE, 2);
    test_device(t, &i8254_class);
    test_device(t, &mc146818_class);
    test_device(t, &uart16550_class);
    test_device(t, &port92_class);
    test_device(t, &i8042_class);
    test_device(t, &fw_cfg_class);
    test_device(t, &debugexit_class);
    test_device(t, &i440fx_host_class);
    cr_assert(device_make(t->m, &i440fx_class, NULL, &err, "addr", "0", NULL));
    cr_assert(device_make(t->m, &piix3_class, NULL, &err, "addr", "1", NULL));
    cr_assert(device_make(t->m, &vga_pci_class, NULL, &err, "addr", "2", "romfile", "", NULL));
    cr_assert(device_make(t->m, &piix4_pm_class, NULL, &err, "addr", "1.3", NULL));
    devices_reset(t->m);
}

/* Any access of any size with any value; nothing may crash, hang or reach outside guest RAM. */
static void random_accesses(struct test_machine *t, unsigned n, guint32 seed)
{
    static const uint16_t ports[] = { 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x40, 0x41, 0x42, 0x43, 0x61, 0x70, 0x71, 0x3f8, 0x3f9, 0x3fa, 0x3fb,
        0x3fc, 0x3fd, 0x3fe, 0x3ff, 0x92, 0x60, 0x64, 0x510, 0x511, 0x514, 0x518, 0xcf8, 0xcf9, 0xcfc, 0xcfd, 0xcfe, 0x600, 0x602, 0x604,
        0x608, 0x60c, 0x60e, 0xb2, 0xb3, 0x501, 0x3c0, 0x3c2, 0x3c4, 0x3c5, 0x3ce, 0x3cf, 0x3d4, 0x3d5, 0x3da, 0x1ce, 0x1cf };
    GRand *r = g_rand_new_with_seed(seed);
    for (unsigned i = 0; i < n; i++) {
        unsigned size = 1u << g_rand_int_range(r, 0, 3);
        uint64_t value = g_rand_boolean(r) ? g_rand_int(r) : g_rand_int(r) & 0xff, v;
        uint16_t port = ports[g_rand_int_range(r, 0, G_N_ELEMENTS(ports))] + (g_rand_int_range(r, 0, 8) ? 0 : g_rand_int_range(r, 0, 4));
        uint64_t addr = (g_rand_boolean(r) ? X86_APIC_DEFAULT_BASE : IOAPIC_DEFAULT_BASE) +
                        (g_rand_int_range(r, 0, 0x40) << 4) + (g_rand_int_range(r, 0, 8) ? 0 : g_rand_int_range(r, 0, 16));
        switch (g_rand_int_range(r, 0, 6)) {
        case 0: as_read(&t->m->io, port, size, &v); break;
        case 1: as_write(&t->m->io, port, size, value); break;
        case 2: as_read(&t->m->memory, addr, size, &v); break;
        case 3: as_write(&t->m->memory, addr, size, value); break;
        case 4: {
            uint32_t msr = 0x800 + g_rand_int_range(r, 0, 0x50);
            lapics[0]->x86.ops->msr_read(&lapics[0]->x86, g_rand_int_range(r, 0, 8) ? msr : 0x6e0, &v);
            lapics[0]->x86.ops->msr_write(&lapics[0]->x86, g_rand_int_range(r, 0, 50) ? msr : 0x1b, value);
            lapics[0]->x86.ops->ack(&lapics[0]->x86);
            break;
        }
        case 5: clock_step(t->m, g_rand_int_range(r, 0, 100000)); break;
        }
    }
    g_rand_free(r);
}

Test(classes, random_accesses_are_harmless)
{
    struct test_machine t;
    for (guint32 seed = 1; seed <= 8; seed++) {
        make_all(&t);
        random_accesses(&t, 20000, seed);
        test_machine_free(&t);
    }
}

static GPtrArray *save_all(struct test_machine *t)
{
    GPtrArray *out = g_ptr_array_new_with_free_func((GDestroyNotify)g_byte_array_unref);
    for (unsigned i = 0; i < t->m->devices->len; i++) {
        g_ptr_array_add(out, device_save(g_ptr_array_index(t->m->devices, i)));
    }
    return out;
}

static void expect_same(struct test_machine *t, GPtrArray *a, GPtrArray *b)
{
    for (unsigned i = 0; i < a->len; i++) {
        GByteArray *x = g_ptr_array_index(a, i), *y = g_ptr_array_index(b, i);
        cr_expect(x->len == y->len && !memcmp(x->data, y->data, x->len), "%s differs",
                  ((struct device *)g_ptr_array_index(t->m->devices, i))->class->name);
    }
}

Test(classes, a_second_reset_changes_nothing)
{
    struct test_machine t;
    make_all(&t);
    random_accesses(&t, 5000, 99);
    devices_reset(t.m);
    GPtrArray *a = save_all(&t);
    devices_reset(t.m);
    GPtrArray *b = save_all(&t);
    expect_same(&t, a, b);
    g_ptr_array_unref(a);
    g_ptr_array_unref(b);
    test_machine_free(&t);
}

Test(classes, what_was_saved_loads_and_saves_the_same)
{
    struct test_machine t;
    make_all(&t);
    random_accesses(&t, 5000, 7);
    GPtrArray *a = save_all(&t);
    random_accesses(&t, 500, 8);
    for (unsigned i = 0; i < a->len; i++) {
        GByteArray *x = g_ptr_array_index(a, i);
        struct device *d = g_ptr_array_index(t.m->devices, i);
        GError *err = NULL;
        cr_expect(device_load(d, x->data, x->len, &err), "%s: %s", d->class->name, err ? err->message : "?");
        g_clear_error(&err);
    }
    GPtrArray *b = save_all(&t);
    cr_expect_eq(a->len, b->len);
    g_ptr_array_unref(a);
    g_ptr_array_unref(b);
    test_machine_free(&t);
}
