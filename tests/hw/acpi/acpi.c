/* ACPI: registers of the PIIX4 and the tables: checksums, pointers, iasl takes the SSDT apart and together. */
#include <criterion/criterion.h>
#include <string.h>

#include "hw/acpi/piix4_pm.h"
#include "hw/acpi/tables.h"
#include "hw/pci/i440fx.h"
#include "tests/hw/hw_util.h"

static struct test_machine t;
static struct piix4_pm *pm;

static void setup(void)
{
    GError *err = NULL;
    test_machine_make(&t);
    test_device(&t, &i440fx_host_class);
    pm = (struct piix4_pm *)device_make(t.m, &piix4_pm_class, NULL, &err, "addr", "1.3", NULL);
    cr_assert(pm);
    devices_reset(t.m);
    piix4_pm_firmware(pm);
}

static void teardown(void) { test_machine_free(&t); }

TestSuite(acpi, .init = setup, .fini = teardown);

Test(acpi, enabling_by_the_smi_port)
{
    cr_expect_eq(in(&t, 0x604, 2), 0);
    outb(&t, 0xb2, 0xf1);
    cr_expect_eq(in(&t, 0x604, 2), 1);
    outb(&t, 0xb2, 0xf0);
    cr_expect_eq(in(&t, 0x604, 2), 0);
}

Test(acpi, power_button_raises_sci)
{
    outb(&t, 0xb2, 0xf1);
    out(&t, 0x602, 2, 0x100);
    acpi_pm_button(&pm->pm, 0, 1);
    cr_expect_eq(t.irq_level[9], 1);
    cr_expect_eq(in(&t, 0x600, 2), 0x100);
    out(&t, 0x600, 2, 0x100);
    cr_expect_eq(t.irq_level[9], 0);
    cr_expect_eq(in(&t, 0x600, 4), 0x01000000);
    out(&t, 0x602, 1, 0xff);
    cr_expect_eq(in(&t, 0x602, 2), 0x121);
}

Test(acpi, pm_timer)
{
    uint32_t a = in(&t, 0x608, 4);
    clock_step(t.m, 1000000000);
    cr_expect(labs((long)in(&t, 0x608, 4) - a - 3579545) <= 1);
    outb(&t, 0xb2, 0xf1);
    out(&t, 0x602, 2, 1);
    clock_step(t.m, 3000000000ull);                       /* 2^23 ticks are 2.34 s */
    cr_expect_eq(t.irq_level[9], 1);
    cr_expect_eq(in(&t, 0x600, 2) & 1, 1);
    cr_expect_eq(in(&t, 0x608, 4) >> 24, 0);
}

Test(acpi, ports_follow_pmbase)
{
    out(&t, 0xcf8, 4, 0x80000000 | 1 << 11 | 3 << 8 | 0x40);
    cr_expect_eq(in(&t, 0xcfc, 4), 0x601);
}

static uint8_t sum(const uint8_t *p, size_t n)
{
    uint8_t s = 0;
    while (n--) {
        s += *p++;
    }
    return s;
}

static uint64_t get(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;
    memcpy(&v, p, n);
    return v;
}

static void check_tables(bool q35)
{
    static const uint8_t vmgenid[16] = { 1, 2, 3 };
    enum { AT = 0xf0000, CPUS = 300 };
    uint32_t ids[CPUS];
    for (unsigned i = 0; i < CPUS; i++) {
        ids[i] = i;
    }
    const struct acpi_serial serial[] = { { 0x3f8, 4 }, { 0x2f8, 3 } };
    GByteArray *a = acpi_build(&(struct acpi_config){ .n_cpus = CPUS, .apic_id = ids, .lapic_base = 0xfee00000, .ioapic_base = 0xfec00000,
        .pm_base = 0x600, .gpe_base = 0x60c, .gpe_bytes = 4, .sci_irq = 9, .hpet = true, .q35 = q35, .ecam = 0xb0000000, .ecam_size = 0x10000000,
        .memory = { { 0x80000000, 0xafffffff }, { 0xc0000000, 0xfebfffff } }, .memory64 = { 1ull << 32, (1ull << 36) - 1 }, .vmgenid = vmgenid,
         .level_irqs = 0xe20, .serial = serial, .n_serial = 2 }, AT);
    const uint8_t *d = a->data;
    cr_assert(!memcmp(d, "RSD PTR ", 8));
    cr_expect(sum(d, 20) == 0 && sum(d, 36) == 0);
    cr_expect(a->len <= 0x10000);
    const uint8_t *xsdt = d + get(d + 24, 8) - AT, *rsdt = d + get(d + 16, 4) - AT;
    cr_assert(!memcmp(xsdt, "XSDT", 4) && !memcmp(rsdt, "RSDT", 4));
    unsigned n = (get(xsdt + 4, 4) - 36) / 8;
    cr_expect_eq(n, (get(rsdt + 4, 4) - 36) / 4);
    const char *dir = g_dir_make_tmp("acpiXXXXXX", NULL);
    for (unsigned i = 0; i <= n; i++) {
        const uint8_t *fadt = d + get(xsdt + 36, 8) - AT;
        const uint8_t *table = i == n ? d + get(fadt + 140, 8) - AT : d + get(xsdt + 36 + 8 * i, 8) - AT;
        size_t len = get(table + 4, 4);
        cr_assert(table + len <= d + a->len);
        cr_expect_eq(sum(table, len), 0, "%.4s", (const char *)table);
        if (!memcmp(table, "FACP", 4)) {
            cr_expect_eq(len, 244);
            cr_expect_eq(get(table + 116, 1), 1, "reset register in I/O space");
            cr_expect_eq(get(table + 120, 8), 0xcf9);
            cr_expect_eq(get(table + 128, 1), 6);
            cr_expect_eq(get(table + 76, 4), 0x608);
            cr_expect_eq(get(table + 132, 8) % 64, 0);
            cr_expect(!memcmp(d + get(table + 132, 8) - AT, "FACS", 4));
        }
        g_autofree char *path = g_strdup_printf("%s/t%u.aml", dir, i);
        g_autofree char *cmd = g_strdup_printf("cd %s && iasl -d t%u.aml >log 2>&1 && sed -i s/QEMUVGID/QEMU0003/ t%u.dsl && iasl t%u.dsl >>log 2>&1 || { cat log; false; }",
            dir, i, i, i);       /* iasl does not like the name that guests know */
        cr_assert(g_file_set_contents(path, (const char *)table, len, NULL));
        bool aml = !memcmp(table, "DSDT", 4) || !memcmp(table, "SSDT", 4);
        cr_expect(!aml || system(cmd) == 0, "iasl does not like %.4s", (const char *)table);
        if (!memcmp(table, "SSDT", 4) && i == 1) {
            g_autofree char *check = g_strdup_printf("grep -c ACPI0007 %s/t%u.dsl | grep -qx 300 && grep -c PNP0501 %s/t%u.dsl | grep -qx 2", dir, i, dir, i);
            cr_expect_eq(system(check), 0);
        }
    }
    g_autofree char *clean = g_strdup_printf("rm -rf %s", dir);
    cr_expect_eq(system(clean), 0);
    g_byte_array_unref(a);
}

Test(acpi, tables) { check_tables(false); }
Test(acpi, tables_of_q35) { check_tables(true); }
