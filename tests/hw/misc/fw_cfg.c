/* fw_cfg: items by port and by DMA, the directory, writable files, nonsense; and the ports of A20, reset and debug exit. */
#include "hw/misc/fw_cfg.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/dma.h"
#include "hw/input/i8042.h"
#include "hw/misc/misc.h"
#include "tests/hw/hw_util.h"

static struct test_machine t;
static struct fw_cfg *f;
static struct region ram;
static int a20 = -1;

static void on_a20(void *o, unsigned n, int level) { (void)o, (void)n; a20 = level; }

static void setup(void)
{
    GError *err = NULL;
    test_machine_make(&t);
    t.m->main_ram = ram_new(t.m, "ram", 0x10000, false, &err);
    region_init_ram(&ram, "ram", t.m->main_ram, 0, 0x10000);
    region_add(&t.m->memory_root, &ram, 0, 0);
    f = (struct fw_cfg *)test_device(&t, &fw_cfg_class);
    cr_assert(fw_cfg_add_file(f, "etc/one", "hello", 5, false, &err));
    cr_assert(fw_cfg_add_file(f, "etc/two", "12345678", 8, true, &err));
    devices_reset(t.m);
}

static void teardown(void) { test_machine_free(&t); }

static void read_item(uint16_t key, uint8_t *buf, unsigned n)
{
    out(&t, 0x510, 2, key);
    for (unsigned i = 0; i < n; i++) {
        buf[i] = inb(&t, 0x511);
    }
}

static uint32_t dma(uint32_t control, uint32_t len, uint64_t addr)
{
    uint32_t d[4] = { GUINT32_TO_BE(control), GUINT32_TO_BE(len), GUINT32_TO_BE(addr >> 32), GUINT32_TO_BE((uint32_t)addr) };
    dma_write(&t.m->memory, 0x100, d, sizeof(d));
    out(&t, 0x514, 4, 0);
    out(&t, 0x518, 4, GUINT32_TO_BE(0x100));
    return GUINT32_FROM_BE(dma_ld32(&t.m->memory, 0x100));
}

TestSuite(fw_cfg, .init = setup, .fini = teardown);

Test(fw_cfg, signature_and_id)
{
    uint8_t b[8];
    read_item(0, b, 5);
    cr_expect(!memcmp(b, "QEMU\0", 5), "beyond the end is 0");
    read_item(1, b, 4);
    cr_expect_eq(b[0], 3);
    cr_expect_eq(in(&t, 0x514, 4), GUINT32_TO_BE(0x51454d55), "DMA signature");
    read_item(0x1234, b, 2);
    cr_expect(b[0] == 0 && b[1] == 0);
}

Test(fw_cfg, directory)
{
    uint8_t b[4 + 2 * 64];
    read_item(0x19, b, sizeof(b));
    cr_expect_eq(b[3], 2);
    cr_expect(b[7] == 5 && b[8] == 0 && b[9] == 0x20 && !strcmp((char *)b + 12, "etc/one"));
    cr_expect(b[71] == 8 && b[73] == 0x21 && !strcmp((char *)b + 76, "etc/two"));
}

Test(fw_cfg, dma_read_skip_write)
{
    char b[8] = "";
    cr_expect_eq(dma(0x20 << 16 | 8 | 2, 7, 0x200), 0);
    dma_read(&t.m->memory, 0x200, b, 7);
    cr_expect(!memcmp(b, "hello\0", 7));
    cr_expect_eq(dma(0x20 << 16 | 8 | 4, 3, 0), 0);
    cr_expect_eq(dma(2, 2, 0x200), 0);
    dma_read(&t.m->memory, 0x200, b, 2);
    cr_expect(!memcmp(b, "lo", 2));
    cr_expect_eq(dma(0x20 << 16 | 8 | 16, 2, 0x200), 1, "not writable");
    cr_expect_eq(dma(0x21 << 16 | 8 | 16, 2, 0x200), 0);
    uint8_t two[8];
    read_item(0x21, two, 8);
    cr_expect(!memcmp(two, "lo345678", 8));
    cr_expect_eq(dma(0x21 << 16 | 8 | 16, 9, 0x200), 1, "more than the file holds");
    cr_expect_eq(dma(0x20 << 16 | 8 | 2, 5, 0x123456789000), 1, "not RAM");
}

Test(fw_cfg, names_that_are_too_long_and_replacing)
{
    GError *err = NULL;
    char name[100];
    memset(name, 'x', 99);
    name[99] = 0;
    cr_expect_not(fw_cfg_add_file(f, name, "", 0, false, &err));
    g_clear_error(&err);
    cr_expect(fw_cfg_add_file(f, "etc/one", "HELLO!", 6, false, &err));
    uint8_t b[6];
    read_item(0x20, b, 6);
    cr_expect(!memcmp(b, "HELLO!", 6));
}

Test(fw_cfg, a20_ports)
{
    struct device *p = test_device(&t, &port92_class), *k = test_device(&t, &i8042_class);
    port92_connect_a20(p, (struct irq_line){ on_a20, NULL, 0 });
    i8042_connect_a20(k, (struct irq_line){ on_a20, NULL, 0 });
    devices_reset(t.m);
    cr_expect_eq(a20, 1);
    outb(&t, 0x92, 0);
    cr_expect_eq(a20, 0);
    outb(&t, 0x92, 2);
    cr_expect_eq(a20, 1);
    outb(&t, 0x64, 0xd1), outb(&t, 0x60, 0xdd);
    cr_expect_eq(a20, 0);
    outb(&t, 0x64, 0xdf);
    cr_expect_eq(a20, 1);
    outb(&t, 0x64, 0xaa);
    cr_expect_eq(inb(&t, 0x64) & 1, 1);
    cr_expect_eq(inb(&t, 0x60), 0x55);
    cr_expect_eq(inb(&t, 0x64) & 1, 0);
}
