/* Bridges and messages: bus numbers, windows, swizzled pins, DMA through bridges; MSI and MSI-X masking and pending bits; slots by addr=. */
#include "hw/pci/pci_bridge.h"

#include <criterion/criterion.h>

#include "core/boot_order.h"
#include "core/dma.h"
#include "hw/pci/i440fx.h"
#include "tests/hw/hw_util.h"

struct card {
    struct pci_device pci;
    struct region mem;
};

static enum access_status card_read(void *o, uint64_t at, unsigned size, uint64_t *v) { (void)o, (void)size; *v = 0xc0de0000 | at; return ACCESS_OK; }
static enum access_status card_write(void *o, uint64_t at, unsigned size, uint64_t v) { (void)o, (void)at, (void)size, (void)v; return ACCESS_OK; }
static const struct region_ops card_ops = { .read = card_read, .write = card_write };

static bool card_init(struct device *d, GError **err)
{
    static const struct pci_id id = { .vendor = 0x1234, .device = 0x5678, .class = 0x020000, .pin = 1 };
    struct card *c = (struct card *)d;
    region_init_io(&c->mem, "card-mem", &card_ops, c, 0x1000);
    if (!pci_device_init(&c->pci, &id, err)) {
        return false;
    }
    pci_bar_add(&c->pci, 0, PCI_BAR_MEM32, &c->mem, 0x1000);
    cr_assert(pci_msi_init(&c->pci, 4, true, true));
    cr_assert(pci_msix_init_bar(&c->pci, 70, 1, err));
    pcie_endpoint_init(&c->pci);
    return pci_device_ready(&c->pci, err);
}

static const struct field card_fields[] = { PCI_FIELDS(struct card), WIRING(struct card, mem) };
static const struct device_class card_class = {
    .name = "card", .bus = "pci", .size = sizeof(struct card), .version = 1, .fields = card_fields, .n_fields = G_N_ELEMENTS(card_fields),
    .init = card_init, .reset = pci_class_reset, .settle = pci_class_settle, .fini = pci_class_fini,
};

static struct test_machine t;
static struct pci_host *host;
static struct card *card;
static unsigned messages, line_level[4];
static uint64_t last_addr;
static uint32_t last_data;

static void on_msi(void *o, uint64_t addr, uint32_t data) { (void)o; messages++, last_addr = addr, last_data = data; }
static unsigned route(void *o, struct pci_device *p, unsigned pin) { (void)o; return (pci_slot(p) + pin) & 3; }
static void line(void *o, unsigned n, int level) { (void)o; line_level[n] = level; }

static void cfg_out(unsigned bus, unsigned slot, unsigned at, unsigned size, uint32_t v) { pci_config_write(&host->bus, bus, slot << 3, at, size, v); }
static uint32_t cfg_in(unsigned bus, unsigned slot, unsigned at) { return pci_config_read(&host->bus, bus, slot << 3, at, 4); }

/* Slot 3: a root port, bus 1; behind it in slot 0 a bridge to PCI, bus 2; the card in its slot 5. */
static void setup(void)
{
    GError *err = NULL;
    test_machine_make(&t);
    t.m->main_ram = ram_new(t.m, "ram", 1 << 20, false, &err);
    static struct region ram;
    region_init_ram(&ram, "ram", t.m->main_ram, 0, 1 << 20);
    region_add(&t.m->memory_root, &ram, 0, 0);
    host = (struct pci_host *)test_device(&t, &q35_host_class);
    host->bus.msi = on_msi;
    host->bus.route = route;
    host->bus.line = line;
    cr_assert(device_make(t.m, &pcie_root_port_class, "rp", &err, "addr", "3", NULL));
    cr_assert(device_make(t.m, &pcie_pci_bridge_class, "br", &err, "bus", "rp", NULL), "%s", err ? err->message : "");
    card = (struct card *)device_make(t.m, &card_class, NULL, &err, "bus", "br", "addr", "0x5", NULL);
    cr_assert(card, "%s", err ? err->message : "");
    devices_reset(t.m);
    cfg_out(0, 3, 0x18, 4, 0x00020100);
    cfg_out(1, 0, 0x18, 4, 0x00020201);
}

static void teardown(void) { test_machine_free(&t); }

TestSuite(bridge, .init = setup, .fini = teardown);

Test(bridge, numbers)
{
    cr_expect_eq(cfg_in(2, 5, 0), 0x56781234);
    cr_expect_eq(cfg_in(1, 0, 0), 0x000e1b36);
    cr_expect_eq(cfg_in(2, 4, 0), 0xffffffff);
    cr_expect_eq(cfg_in(3, 5, 0), 0xffffffff);
    cfg_out(0, 3, 0x18, 4, 0x00070500), cfg_out(5, 0, 0x18, 4, 0x00060605);
    cr_expect_eq(cfg_in(6, 5, 0), 0x56781234, "buses are renumbered");
    cr_expect_eq(cfg_in(2, 5, 0), 0xffffffff);
    devices_reset(t.m);
    cr_expect_eq(cfg_in(6, 5, 0), 0xffffffff);
    cr_expect_eq(cfg_in(0, 3, 0x18), 0);
}

Test(bridge, windows)
{
    cfg_out(2, 5, 0x10, 4, 0xe0001000), cfg_out(2, 5, 4, 2, 6);
    cfg_out(1, 0, 0x20, 4, 0xe000e000), cfg_out(1, 0, 4, 2, 6);
    cfg_out(0, 3, 0x20, 4, 0xe010e000);
    cr_expect_eq(ld32(&t, 0xe0001004), 0xffffffff, "the port decodes nothing yet");
    cfg_out(0, 3, 4, 2, 6);
    cr_expect_eq(ld32(&t, 0xe0001004), 0xc0de0004);
    cfg_out(0, 3, 0x20, 4, 0xe110e100);
    cr_expect_eq(ld32(&t, 0xe0001004), 0xffffffff, "outside the window");
    cfg_out(0, 3, 0x20, 4, 0xe000e000);
    cr_expect_eq(ld32(&t, 0xe0001004), 0xc0de0004);
    cfg_out(0, 3, 0x3e, 2, 0x40);
    cr_expect_eq(cfg_in(2, 5, 0x10), 0xffffffff, "secondary reset: the inner bridge has lost its numbers");
    cfg_out(1, 0, 0x18, 4, 0x00020201);
    cr_expect_eq(cfg_in(2, 5, 0x10), 0);
}

Test(bridge, pins)
{
    pci_set_intx(&card->pci, true);                       /* slot 5 INTA -> INTB of slot 0 -> INTB of slot 3 -> line (3 + 1) & 3 */
    cr_expect(line_level[0] == 1 && !line_level[1] && !line_level[2] && !line_level[3]);
    cfg_out(2, 5, 4, 2, 0x400);
    cr_expect_eq(line_level[0], 0);
    cfg_out(2, 5, 4, 2, 0);
    cr_expect_eq(line_level[0], 1);
    device_remove(&card->pci.dev);
    cr_expect_eq(line_level[0], 0, "an unplugged device drives nothing");
}

Test(bridge, bus_mastering)
{
    uint32_t v = 0x12345678;
    cr_expect_not(dma_write(pci_dma(&card->pci), 0x1000, &v, 4));
    cfg_out(2, 5, 4, 2, 4), cfg_out(1, 0, 4, 2, 4);
    cr_expect_not(dma_write(pci_dma(&card->pci), 0x1000, &v, 4), "the root port does not forward");
    cfg_out(0, 3, 4, 2, 4);
    cr_expect(dma_write(pci_dma(&card->pci), 0x1000, &v, 4));
    cr_expect_eq(ld32(&t, 0x1000), v);
}

static void master(void)
{
    cfg_out(0, 3, 4, 2, 6), cfg_out(1, 0, 4, 2, 6), cfg_out(2, 5, 4, 2, 6);
    cfg_out(0, 3, 0x20, 4, 0xe000e000), cfg_out(1, 0, 0x20, 4, 0xe000e000);
    messages = 0;
}

Test(bridge, msi)
{
    unsigned at = card->pci.msi_at;
    master();
    cfg_out(2, 5, at + 4, 4, 0xfee01003), cfg_out(2, 5, at + 8, 4, 0), cfg_out(2, 5, at + 12, 2, 0x4041);
    pci_msi_notify(&card->pci, 1);
    cr_expect_eq(messages, 0, "not enabled");
    cfg_out(2, 5, at + 2, 2, 0x21);                       /* enabled, 4 vectors */
    pci_set_intx(&card->pci, true);
    cr_expect_eq(line_level[0], 0, "messages replace the pin");
    pci_notify(&card->pci, 2);
    cr_expect(messages == 1 && last_addr == 0xfee01000 && last_data == 0x4042);
    cfg_out(2, 5, at + 16, 4, 0xf);
    pci_msi_notify(&card->pci, 3);
    pci_msi_notify(&card->pci, 3);
    cr_expect_eq(messages, 1);
    cr_expect_eq(cfg_in(2, 5, at + 20), 1 << 3);
    cfg_out(2, 5, at + 16, 4, 0x7);
    cr_expect(messages == 2 && last_data == 0x4043);
    cr_expect_eq(cfg_in(2, 5, at + 20), 0);
    cfg_out(2, 5, 4, 2, 2);
    pci_msi_notify(&card->pci, 3);
    cr_expect_eq(messages, 2, "no bus master, no message");
}

Test(bridge, msix)
{
    unsigned at = card->pci.msix_at;
    master();
    cfg_out(2, 5, 0x14, 4, 0xe0002000);
    uint64_t e = 0xe0002000 + 16 * 69, pba = 0xe0002000 + 0x800 + 8;
    cr_expect_eq(cfg_in(2, 5, at) >> 16, 69);
    cr_expect_eq(ld32(&t, e + 12), 1, "masked after reset");
    st32(&t, e, 0xfee02003), st32(&t, e + 8, 0x55);
    cfg_out(2, 5, at + 2, 2, 0x8000);
    pci_msix_notify(&card->pci, 69);
    pci_msix_notify(&card->pci, 70);
    cr_expect_eq(messages, 0);
    cr_expect_eq(ld32(&t, pba), 1 << 5);
    cfg_out(2, 5, at + 2, 2, 0xc000);
    st32(&t, e + 12, 0);
    cr_expect_eq(messages, 0, "all are masked");
    cfg_out(2, 5, at + 2, 2, 0x8000);
    cr_expect(messages == 1 && last_addr == 0xfee02000 && last_data == 0x55);
    cr_expect_eq(ld32(&t, pba), 0);
    pci_msix_notify(&card->pci, 69);
    cr_expect_eq(messages, 2);
    GByteArray *saved = device_save(&card->pci.dev);
    devices_reset(t.m);
    GError *err = NULL;
    cr_expect(device_load(&card->pci.dev, saved->data, saved->len, &err));
    cr_expect_eq(card->pci.msix_table[4 * 69 + 2], 0x55);
    g_byte_array_free(saved, TRUE);
}

Test(bridge, slots)
{
    GError *err = NULL;
    cr_expect_not(device_make(t.m, &card_class, NULL, &err, "bus", "br", "addr", "5", NULL));
    cr_expect(strstr(err->message, "taken by card"), "%s", err->message);
    g_clear_error(&err);
    cr_expect_not(device_make(t.m, &card_class, NULL, &err, "bus", "br", "addr", "5.1", NULL));
    g_clear_error(&err);
    cr_expect_not(device_make(t.m, &card_class, NULL, &err, "bus", "br", "addr", "20", NULL));
    g_clear_error(&err);
    cr_expect_not(device_make(t.m, &card_class, NULL, &err, "bus", "rp", NULL), "a port has one slot");
    g_clear_error(&err);
    cr_expect(device_make(t.m, &card_class, NULL, &err, "bus", "br", "addr", "1f.0x0", "multifunction", "on", NULL));
    struct card *c = (struct card *)device_make(t.m, &card_class, NULL, &err, "bus", "br", "addr", "0x1f.0x7", NULL);
    cr_expect(c && c->pci.devfn == 0xff);
    c = (struct card *)device_make(t.m, &card_class, NULL, &err, NULL);
    cr_expect(c && c->pci.bus == &host->bus && c->pci.express_at && c->pci.config_size == 4096);
    cr_expect_eq(c->pci.config[c->pci.express_at + 2] >> 4, PCIE_INTEGRATED);
}

Test(bridge, boot_order)
{
    boot_order_add(t.m, &card->pci.dev, 4, "/ethernet-phy@0");
    boot_order_add(t.m, NULL, 2, "/rom@x");
    boot_order_add(t.m, &card->pci.dev, -1, NULL);
    GString *s = boot_order_list(t.m);
    cr_expect_str_eq(s->str, "/rom@x\n/pci@i0cf8/pci-bridge@3/pci-bridge@0/ethernet@5/ethernet-phy@0");
    cr_expect_eq(s->len, strlen(s->str) + 1);
    g_string_free(s, TRUE);
    device_remove(&card->pci.dev);
    s = boot_order_list(t.m);
    cr_expect_str_eq(s->str, "/rom@x");
    g_string_free(s, TRUE);
}
