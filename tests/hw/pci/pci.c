/* PCI: configuration mechanism 1, write masks, BAR sizing, mapping and moving, interrupt routing, reset port. */
#include "hw/pci/pci.h"

#include <criterion/criterion.h>

#include "hw/isa/isa.h"
#include "hw/pci/i440fx.h"
#include "tests/hw/hw_util.h"

struct card {
    struct pci_device pci;
    struct region mem, io, mem64;
};

static enum access_status card_read(void *o, uint64_t at, unsigned size, uint64_t *v) { (void)o, (void)size; *v = 0xc0de0000 | at; return ACCESS_OK; }
static enum access_status card_write(void *o, uint64_t at, unsigned size, uint64_t v) { (void)o, (void)at, (void)size, (void)v; return ACCESS_OK; }
static const struct region_ops card_ops = { .read = card_read, .write = card_write };
static const struct pci_id card_id = { .vendor = 0x1234, .device = 0x5678, .class = 0x020000, .pin = 1 };

static bool card_init(struct device *d, GError **err)
{
    struct card *c = (struct card *)d;
    region_init_io(&c->mem, "card-mem", &card_ops, c, 0x1000);
    region_init_io(&c->io, "card-io", &card_ops, c, 0x20);
    region_init_io(&c->mem64, "card-mem64", &card_ops, c, 0x4000);
    if (!pci_device_init(&c->pci, &card_id, err)) {
        return false;
    }
    pci_bar_add(&c->pci, 0, PCI_BAR_MEM32, &c->mem, 0x1000);
    pci_bar_add(&c->pci, 1, PCI_BAR_IO, &c->io, 0x20);
    pci_bar_add(&c->pci, 2, PCI_BAR_MEM64_PREFETCH, &c->mem64, 0x4000);
    cr_assert_eq(pci_capability_add(&c->pci, 0x09, 10), 0x40);
    cr_assert_eq(pci_capability_add(&c->pci, 0x05, 14), 0x4c);
    cr_assert_eq(pci_capability_add(&c->pci, 0x11, 255), 0);
    return pci_device_ready(&c->pci, err);
}

static const struct field card_fields[] = {
    PCI_FIELDS(struct card), WIRING(struct card, mem), WIRING(struct card, io), WIRING(struct card, mem64),
};
static const struct device_class card_class = {
    .name = "card", .bus = "pci", .size = sizeof(struct card), .version = 1, .fields = card_fields, .n_fields = G_N_ELEMENTS(card_fields),
    .init = card_init, .reset = pci_class_reset, .settle = pci_class_settle, .fini = pci_class_fini,
};

static struct test_machine t;
static struct card *card;
static struct piix3 *bridge;

static void setup(void)
{
    GError *err = NULL;
    test_machine_make(&t);
    test_device(&t, &i440fx_host_class);
    cr_assert(device_make(t.m, &i440fx_class, NULL, &err, "addr", "0", NULL));
    bridge = (struct piix3 *)device_make(t.m, &piix3_class, NULL, &err, "addr", "1", NULL);
    for (unsigned i = 0; i < 16; i++) {
        cr_assert(isa_irq(t.isa, i, &bridge->irq[i], &err));
    }
    card = (struct card *)device_make(t.m, &card_class, NULL, &err, NULL);
    cr_assert(card, "%s", err ? err->message : "");
    cr_assert(device_class_check(&card_class, &err), "%s", err ? err->message : "");
    devices_reset(t.m);
}

static void teardown(void) { test_machine_free(&t); }

static uint32_t addr(unsigned slot, unsigned at) { return 0x80000000u | slot << 11 | (at & 0xfc); }
static uint32_t cfg(unsigned slot, unsigned at) { out(&t, 0xcf8, 4, addr(slot, at)); return in(&t, 0xcfc, 4); }
static void set(unsigned slot, unsigned at, uint32_t v) { out(&t, 0xcf8, 4, addr(slot, at)); out(&t, 0xcfc, 4, v); }

TestSuite(pci, .init = setup, .fini = teardown);

Test(pci, ids_and_absent_slots)
{
    cr_expect_eq(cfg(0, 0), 0x12378086);
    cr_expect_eq(cfg(1, 0), 0x70008086);
    cr_expect_eq(card->pci.devfn, 2 << 3);
    cr_expect_eq(cfg(2, 0), 0x56781234);
    cr_expect_eq(cfg(3, 0), 0xffffffff);
    out(&t, 0xcf8, 4, addr(2, 0) | 1 << 16);
    cr_expect_eq(in(&t, 0xcfc, 4), 0xffffffff, "there is only bus 0");
    out(&t, 0xcf8, 4, addr(2, 0) & ~0x80000000u);
    cr_expect_eq(in(&t, 0xcfc, 4), 0xffffffff, "not enabled");
    out(&t, 0xcf8, 4, addr(2, 0));
    cr_expect_eq(in(&t, 0xcfe, 2), 0x5678);
    cr_expect_eq(in(&t, 0xcfd, 1), 0x12);
    cr_expect_eq(in(&t, 0xcf8, 4), addr(2, 0));
}

Test(pci, read_only_bits_stay)
{
    set(2, 0, 0);
    cr_expect_eq(cfg(2, 0), 0x56781234);
    set(2, 8, 0xffffffff);
    cr_expect_eq(cfg(2, 8), 0x02000000);
    set(2, 4, 0xffffffff);
    cr_expect_eq(cfg(2, 4), 0x00100547);
    cr_expect_eq(cfg(2, 0x34), 0x4c);
    cr_expect_eq(cfg(2, 0x4c) & 0xffff, 0x4005);
}

Test(pci, bars_are_sized_mapped_and_moved)
{
    set(2, 0x10, 0xffffffff), set(2, 0x14, 0xffffffff), set(2, 0x18, 0xffffffff), set(2, 0x1c, 0xffffffff), set(2, 0x20, 0xffffffff);
    cr_expect_eq(cfg(2, 0x10), 0xfffff000);
    cr_expect_eq(cfg(2, 0x14), 0xffffffe1);
    cr_expect_eq(cfg(2, 0x18), 0xffffc00c);
    cr_expect_eq(cfg(2, 0x1c), 0xffffffff);
    cr_expect_eq(cfg(2, 0x20), 0);
    set(2, 0x10, 0xe0000000);
    set(2, 0x14, 0xc000);
    set(2, 0x18, 0x40000000), set(2, 0x1c, 0x8);
    cr_expect_eq(ld32(&t, 0xe0000010), 0xffffffff, "off");
    set(2, 4, 7);
    cr_expect_eq(ld32(&t, 0xe0000010), 0xc0de0010);
    cr_expect_eq(in(&t, 0xc01c, 4), 0xc0de001c);
    cr_expect_eq(ld32(&t, 0x840000020), 0xc0de0020);
    set(2, 0x10, 0xe1000000);
    cr_expect_eq(ld32(&t, 0xe0000010), 0xffffffff);
    cr_expect_eq(ld32(&t, 0xe1000010), 0xc0de0010);
    set(2, 0x10, 0xffffffff);
    cr_expect_eq(ld32(&t, 0xfffff010), 0xffffffff, "a BAR being sized is nowhere");
    set(2, 0x10, 0xe1000000);
    devices_reset(t.m);
    cr_expect_eq(ld32(&t, 0xe1000010), 0xffffffff);
    cr_expect_eq(cfg(2, 0x10), 0);
}

Test(pci, interrupts_are_routed)
{
    set(1, 0x60, 0x0b0a8080);                             /* A, B off, C: 10, D: 11 */
    pci_set_intx(&card->pci, true);                       /* slot 2, INTA: PIRQ B */
    cr_expect_eq(t.irq_level[10], 0);
    set(1, 0x60, 0x0b0a0580);
    cr_expect_eq(t.irq_level[5], 1);
    cr_expect(cfg(2, 4) & 0x00080000);
    set(1, 0x60, 0x0b0a0a80);
    cr_expect(t.irq_level[5] == 0 && t.irq_level[10] == 1);
    set(2, 4, 0x400);
    cr_expect_eq(t.irq_level[10], 0, "INTx disabled");
    set(2, 4, 0);
    cr_expect_eq(t.irq_level[10], 1);
    set(1, 0x60, 0x0b0a0080);
    cr_expect_eq(t.irq_level[0], 0, "IRQ 0 cannot be had");
    devices_reset(t.m);
    cr_expect_eq(t.irq_level[10], 0);
}

Test(pci, reset_control)
{
    outb(&t, 0xcf9, 2);
    cr_expect_eq(inb(&t, 0xcf9), 2);
    out(&t, 0xcf8, 4, addr(0, 0));
    cr_expect_eq(inb(&t, 0xcf9), 2, "the address register is not in the way");
    cr_expect_eq(in(&t, 0xcf8, 4), addr(0, 0));
}
