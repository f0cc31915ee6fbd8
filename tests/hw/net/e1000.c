/* 82540EM: EEPROM, PHY, a frame each way through the rings, filters, interrupts, nonsense in every register. */
#include "hw/net/e1000.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/dma.h"
#include "core/ram.h"
#include "hw/net/e1000_priv.h"
#include "hw/pci/i440fx.h"
#include "tests/hw/hw_util.h"

#define RX_RING 0x10000u
#define TX_RING 0x20000u
#define BUFFERS 0x40000u

static struct test_machine t;
static struct e1000 *e;
static struct net *host;
static struct region ram;
static unsigned got;
static size_t got_size;
static uint8_t got_frame[2048];

static bool take(void *o, unsigned q, const struct net_packet *p)
{
    (void)o, (void)q;
    got++;
    got_size = p->size;
    memcpy(got_frame, p->iov[0].iov_base, MIN(p->iov[0].iov_len, sizeof(got_frame)));
    return true;
}
static const struct net_ops peer_ops = { .model = "peer", .take = take };

/* Registers are reached by the device's own region: where the BAR lies is the PCI tests' business. */
static void wr(unsigned at, uint32_t v) { e->mmio.ops->write(e, at, 4, v); }
static uint32_t rd(unsigned at) { uint64_t v = 0; e->mmio.ops->read(e, at, 4, &v); return (uint32_t)v; }

static void setup(void)
{
    GError *err = NULL;
    got = 0;
    test_machine_make(&t);
    t.m->main_ram = ram_new(t.m, "ram", 1 << 20, false, &err);
    region_init_ram(&ram, "ram", t.m->main_ram, 0, 1 << 20);
    region_add(&t.m->memory_root, &ram, 0, 0);
    test_device(&t, &i440fx_host_class);
    t.m->nets = nets_new();
    nets_run(t.m->nets, true);
    host = net_new(t.m->nets, "h", &peer_ops, NULL, 1, &err);
    e = (struct e1000 *)device_make(t.m, &e1000_class, NULL, &err, "netdev", "h", "romfile", "", NULL);
    cr_assert(e, "%s", err ? err->message : "");
    devices_reset(t.m);
    pci_put16(&e->pci.config[PCI_COMMAND], PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
    pci_device_settle(&e->pci);
}

static void teardown(void)
{
    struct nets *s = t.m->nets;
    test_machine_free(&t);
    nets_free(s);
}
TestSuite(e1000, .init = setup, .fini = teardown);

static void rings(void)
{
    uint8_t d[16] = { 0 };
    for (unsigned i = 0; i < 8; i++) {
        pci_put32(d, BUFFERS + 2048 * i);
        dma_write(&t.m->memory, RX_RING + 16 * i, d, 16);
    }
    wr(RDBAL, RX_RING), wr(RDLEN, 128), wr(RDH, 0), wr(RDT, 4);
    wr(TDBAL, TX_RING), wr(TDLEN, 128), wr(TDH, 0), wr(TDT, 0);
    wr(RCTL, RCTL_EN | RCTL_BAM | RCTL_SECRC);
    wr(TCTL, TCTL_EN | TCTL_PSP);
}

static void from_host(const char *to, size_t size)
{
    uint8_t f[2000] = { 0 };
    memcpy(f, to, 6);
    f[size - 1] = 0x77;
    net_send_frame(host, 0, f, size);
}

Test(e1000, eeprom_and_phy)
{
    uint16_t sum = 0;
    for (unsigned i = 0; i < 64; i++) {
        wr(EERD, i << 8 | EERD_START);
        cr_assert(rd(EERD) & EERD_DONE);
        sum = (uint16_t)(sum + (rd(EERD) >> 16));
    }
    cr_assert_eq(sum, 0xbaba);
    wr(MDIC, MDIC_READ | 1 << 21 | 2 << 16);
    cr_assert_eq(rd(MDIC) & 0xffff, 0x0141);
    cr_assert(rd(STATUS) & STATUS_LU);
    net_set_link(host, false);
    cr_assert(!(rd(STATUS) & STATUS_LU));
    cr_assert(rd(ICR) & INT_LSC);
    cr_assert_eq(rd(ICR), 0);
}

Test(e1000, eeprom_bit_by_bit)
{
    unsigned command = 6 << 6 | 1, v = 0;
    wr(EECD, EECD_REQ);
    cr_assert(rd(EECD) & EECD_GNT);
    for (int i = 8; i >= 0; i--) {
        uint32_t di = command >> i & 1 ? EECD_DI : 0;
        wr(EECD, EECD_REQ | EECD_CS | di), wr(EECD, EECD_REQ | EECD_CS | di | EECD_SK);
    }
    for (unsigned i = 0; i < 16; i++) {
        wr(EECD, EECD_REQ | EECD_CS), wr(EECD, EECD_REQ | EECD_CS | EECD_SK);
        v = v << 1 | !!(rd(EECD) & EECD_DO);
    }
    cr_assert_eq(v, 0x1200, "%x", v);           /* MAC 52:54:00:12:34:56, word 1 */
}

Test(e1000, receives)
{
    uint8_t d[16];
    rings();
    wr(IMS, INT_RXT0);
    from_host("\x52\x54\x00\x12\x34\x56", 42);
    dma_read(&t.m->memory, RX_RING, d, 16);
    cr_assert_eq(pci_get16(d + 8), 60);
    cr_assert_eq(d[12] & 3, RX_DD | RX_EOP);
    cr_assert_eq(rd(RDH), 1);
    cr_assert(rd(ICR) & INT_RXT0);
    from_host("\x52\x54\x00\x12\x34\x57", 60);  /* somebody else's */
    from_host("\x01\x00\x5e\x00\x00\x01", 60);  /* a group nobody asked for */
    cr_assert_eq(rd(RDH), 1);
    from_host("\xff\xff\xff\xff\xff\xff", 60);
    wr(RCTL, RCTL_EN | RCTL_UPE | RCTL_SECRC);
    from_host("\x52\x54\x00\x12\x34\x57", 60);
    cr_assert_eq(rd(RDH), 3);
    from_host("\x52\x54\x00\x12\x34\x56", 61);
    from_host("\x52\x54\x00\x12\x34\x56", 62);  /* no descriptor: waits */
    cr_assert_eq(rd(RDH), 4);
    wr(RDT, 6);
    cr_assert_eq(rd(RDH), 5);
    cr_assert_eq(rd(GPRC), 5);
    cr_assert_eq(rd(GPRC), 0);
}

Test(e1000, transmits)
{
    uint8_t d[16] = { 0 }, f[100] = { 0 };
    rings();
    memset(f, 0x11, sizeof(f));
    dma_write(&t.m->memory, BUFFERS, f, sizeof(f));
    pci_put32(d, BUFFERS), pci_put16(d + 8, 20), d[11] = 0;
    dma_write(&t.m->memory, TX_RING, d, 16);
    pci_put16(d + 8, 30), d[11] = TX_EOP | TX_RS;
    dma_write(&t.m->memory, TX_RING + 16, d, 16);
    wr(TDT, 2);
    clock_step(t.m, 1000);
    cr_assert_eq(got, 1);
    cr_assert_eq(got_size, 60);                 /* padded */
    cr_assert(got_frame[49] == 0x11 && got_frame[50] == 0);
    dma_read(&t.m->memory, TX_RING + 16, d, 16);
    cr_assert_eq(d[12] & TX_DD, TX_DD);
    cr_assert(rd(ICR) & INT_TXDW);
}

Test(e1000, interrupts_keep_their_distance)
{
    wr(ITR, 1000);                              /* 256 us */
    wr(IMS, INT_RXT0);
    wr(ICS, INT_RXT0);
    cr_assert(e->irq_high);
    rd(ICR);
    cr_assert(!e->irq_high);
    wr(ICS, INT_RXT0);
    cr_assert(!e->irq_high);
    clock_step(t.m, 255000);
    cr_assert(!e->irq_high);
    clock_step(t.m, 2000);
    cr_assert(e->irq_high);
}

Test(e1000, nonsense)
{
    uint32_t x = 1;
    for (unsigned i = 0; i < 200000; i++) {
        x = x * 1664525u + 1013904223u;
        wr((x >> 8) % (i & 1 ? 0x6000 : 0x4000) & ~3u, x ^ x << 13);
        rd((x >> 10) % 0x20000 & ~3u);
        if (i % 100 == 0) {
            rings();
            wr(RDT, x >> 16), wr(TDT, x >> 17);
            dma_write(&t.m->memory, TX_RING + (x >> 20 & 0x7f), &x, 4);
            from_host("\xff\xff\xff\xff\xff\xff", 60 + x % 1900);
            clock_step(t.m, x & 0xffff);
        }
        if (i % 5000 == 0) {
            devices_reset(t.m);
        }
    }
}
