/*
 * Intel 82540EM Gigabit Ethernet ("e1000"): registers, interrupts, reset. Receiving is in e1000_rx.c, transmitting in e1000_tx.c, EEPROM and
 * PHY in e1000_phy.c. Spec: Intel 317453, chapter 13.
 * Left out: flash, wake-up, management, flow control frames; RDTR, RADV, TIDV and TADV delay nothing (ITR does).
 */
#include "hw/net/e1000.h"

#include "base/log.h"
#include "core/machine.h"
#include "hw/net/e1000_priv.h"

/* --- counters --- */

/* They stick at all ones. */
void e1000_count(struct e1000 *e, unsigned counter, uint32_t n)
{
    uint32_t *r = &REG(e, counter);

    *r = *r + n < *r ? UINT32_MAX : *r + n;
}

void e1000_count64(struct e1000 *e, unsigned low, uint32_t n)
{
    uint64_t v = ((uint64_t)REG(e, low + 4) << 32 | REG(e, low)) + n;

    REG(e, low) = (uint32_t)v;
    REG(e, low + 4) = (uint32_t)(v >> 32);
}

/* --- interrupts --- */

/* ITR: at least that many units of 256 ns between one interrupt and the next. */
static void irq_update(struct e1000 *e)
{
    bool want = REG(e, ICR) & REG(e, IMS);
    uint64_t gap = (REG(e, ITR) & 0xffff) * 256ull;

    if (want && !e->irq_high) {
        if (timer_armed(&e->itr)) {
            return;
        }
        if (gap) {
            timer_set(&e->itr, clock_now(e->pci.dev.machine, CLOCK_VIRTUAL_NS) + gap);
        }
    }
    e->irq_high = want;
    pci_set_intx(&e->pci, want);
}

static void itr_over(void *opaque) { irq_update(opaque); }

void e1000_interrupt(struct e1000 *e, uint32_t causes)
{
    REG(e, ICR) |= causes;
    irq_update(e);
}

/* --- reset --- */

static void card_reset(struct e1000 *e)
{
    static const struct { uint16_t at; uint32_t value; } rows[] = {
        { CTRL, CTRL_FD | CTRL_SLU | 0x220 }, { STATUS, STATUS_FD | STATUS_1000 }, { VET, 0x8100 }, { PBA, 0x00100030 }, { LEDCTL, 0x07068302 },
        { FCAL, 0x00c28001 }, { FCAH, 0x0100 }, { FCT, 0x8808 }, { TIPG, 0x00602008 }, { RDTR, 0 }, { RXDCTL, 0x00010000 }, { MANC, 0 },
    };
    const uint8_t *mac = e->nic.mac;

    timer_cancel(&e->itr);
    timer_cancel(&e->tx);
    memset(e->reg, 0, sizeof(e->reg));
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        REG(e, rows[i].at) = rows[i].value;
    }
    REG(e, RA) = mac[0] | mac[1] << 8 | mac[2] << 16 | (uint32_t)mac[3] << 24;
    REG(e, RA + 4) = mac[4] | (uint32_t)mac[5] << 8 | 1u << 31;
    memset(e->context, 0, sizeof(e->context));
    e->tx_len = 0;
    e->tx_bad = e->tx_held = false;
    e->ee_bits = 0;
    e->link = net_link_up(e->nic.net);
    e1000_phy_reset(e);
    REG(e, ICR) = 0;
    irq_update(e);
}

/* --- registers --- */

struct e1000_row {
    uint16_t first, last;                /* offsets */
    uint32_t writable;                   /* mask; 0: read only */
};

static const struct e1000_row rows[] = {
    { CTRL_EXT, CTRL_EXT, ~0u }, { FCAL, FCT, ~0u }, { VET, VET, 0xffff }, { FCTTV, FCTTV, 0xffff }, { TXCW, TXCW, ~0u }, { RXCW, RXCW, 0 },
    { TIPG, TIPG, ~0u }, { AIFS, AIFS, 0xffff }, { LEDCTL, LEDCTL, ~0u }, { PBA, PBA, 0xffff }, { FCRTL, FCRTL, 0x8000fff8 }, { FCRTH, FCRTH, 0xfff8 },
    { ITR, ITR, 0xffff }, { RDBAL, RDBAL, ~15u }, { RDBAH, RDBAH, ~0u }, { RDLEN, RDLEN, 0xfff80 }, { RDH, RDH, 0xffff }, { RDTR, RDTR, 0xffff },
    { RXDCTL, RXDCTL, ~0u }, { RADV, RADV, 0xffff }, { RSRPD, RSRPD, 0xfff }, { TDBAL, TDBAL, ~15u }, { TDBAH, TDBAH, ~0u }, { TDLEN, TDLEN, 0xfff80 },
    { TDH, TDH, 0xffff }, { TIDV, TIDV, 0xffff }, { TXDCTL, TXDCTL, ~0u }, { TADV, TADV, 0xffff }, { TSPMT, TSPMT, ~0u }, { RXCSUM, RXCSUM, 0x7ff },
    { MTA, MTA + 0x1fc, ~0u }, { RA, RA + 0x7c, ~0u }, { VFTA, VFTA + 0x1fc, ~0u }, { WUC, WUC, 0xf }, { WUFC, WUFC, 0xfffff }, { WUS, WUS, 0 },
    { MANC, MANC, ~0u },
};

static uint64_t counter_read(struct e1000 *e, unsigned at)
{
    uint32_t v = REG(e, at);

    REG(e, at) = 0;
    return v;
}

static enum access_status mmio_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct e1000 *e = opaque;
    unsigned at = (unsigned)offset;

    (void)size;
    *value = at < REGS_END ? REG(e, at) : 0;
    if (at >= STATS && at < STATS_END) {
        *value = counter_read(e, at);
    } else if (at == ICR) {
        REG(e, ICR) = 0;
        irq_update(e);
        *value |= *value & REG(e, IMS) ? 1u << 31 : 0;
    } else if (at == EECD) {
        *value = e1000_eecd_read(e);
    } else if (at == CTRL_DUP) {
        *value = REG(e, CTRL);
    } else if (at == ICS || at == IMC) {
        *value = 0;
    }
    return ACCESS_OK;
}

static void control_write(struct e1000 *e, uint32_t v)
{
    if (v & CTRL_RST) {
        card_reset(e);
        return;
    }
    if (v & CTRL_PHY_RST) {
        e1000_phy_reset(e);
    }
    REG(e, CTRL) = v & ~(uint32_t)(CTRL_RST | CTRL_PHY_RST);
}

/* More may come at once: the guest is not kept waiting for the host. */
static void transmit_soon(struct e1000 *e)
{
    if ((REG(e, TCTL) & TCTL_EN) && REG(e, TDH) != REG(e, TDT) && !e->tx_held && !timer_armed(&e->tx)) {
        timer_set(&e->tx, clock_now(e->pci.dev.machine, CLOCK_VIRTUAL_NS));
    }
}

static void row_write(struct e1000 *e, unsigned at, uint32_t v)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (at >= rows[i].first && at <= rows[i].last) {
            REG(e, at) = (REG(e, at) & ~rows[i].writable) | (v & rows[i].writable);
            return;
        }
    }
    log_guest("e1000: write of %08x to register %05x", v, at);
}

static enum access_status mmio_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct e1000 *e = opaque;
    uint32_t v = (uint32_t)value;

    (void)size;
    switch (offset) {
    case CTRL: case CTRL_DUP: control_write(e, v); break;
    case EECD: e1000_eecd_write(e, v); break;
    case EERD: REG(e, EERD) = e1000_eerd(e, v); break;
    case MDIC: e1000_mdic(e, v); break;
    case ICR: REG(e, ICR) &= ~v; irq_update(e); break;
    case ICS: e1000_interrupt(e, v & INT_ALL); break;
    case IMS: REG(e, IMS) |= v & INT_ALL; irq_update(e); break;
    case IMC: REG(e, IMS) &= ~v; irq_update(e); break;
    case RCTL: REG(e, RCTL) = v; net_ready(e->nic.net, 0); break;
    case RDT: REG(e, RDT) = v & 0xffff; net_ready(e->nic.net, 0); break;
    case TCTL: REG(e, TCTL) = v; transmit_soon(e); break;
    case TDT: REG(e, TDT) = v & 0xffff; transmit_soon(e); break;
    default: row_write(e, (unsigned)offset, v); break;
    }
    return ACCESS_OK;
}

/* 13.3: an address register and a window to what it names. */
static enum access_status io_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct e1000 *e = opaque;

    if (offset == 0) {
        *value = e->io_address;
        return ACCESS_OK;
    }
    *value = 0;
    return offset == 4 && e->io_address < 0x20000 ? mmio_read(e, e->io_address & ~3u, size, value) : ACCESS_OK;
}

static enum access_status io_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct e1000 *e = opaque;

    if (offset == 0) {
        e->io_address = (uint32_t)value;
    } else if (offset == 4 && e->io_address < 0x20000) {
        return mmio_write(e, e->io_address & ~3u, size, value);
    }
    return ACCESS_OK;
}

static const struct region_ops mmio_ops = { .read = mmio_read, .write = mmio_write, .min_size = 4, .max_size = 4 };
static const struct region_ops io_ops = { .read = io_read, .write = io_write, .min_size = 4, .max_size = 4 };

/* --- the device --- */

static void room(void *opaque, unsigned queue)
{
    struct e1000 *e = opaque;

    (void)queue;
    e->tx_held = false;
    transmit_soon(e);
}

static void link_changed(void *opaque, bool up) { e1000_link(opaque, up); }

static const struct net_ops ops = { .model = "e1000", .card = true, .take = e1000_receive, .room = room, .link = link_changed };

static const struct pci_id id = {
    .vendor = 0x8086, .device = 0x100e, .subsystem_vendor = 0x1af4, .subsystem = 0x1100, .revision = 3, .class = 0x020000, .pin = 1,
    .rom = "efi-e1000.rom",
};

static bool e1000_init(struct device *d, GError **err)
{
    struct e1000 *e = (struct e1000 *)d;

    timer_init(&e->itr, d->machine, CLOCK_VIRTUAL_NS, itr_over, e);
    timer_init(&e->tx, d->machine, CLOCK_VIRTUAL_NS, e1000_transmit, e);
    region_init_io(&e->mmio, "e1000-mmio", &mmio_ops, e, 0x20000);
    region_init_io(&e->io, "e1000-io", &io_ops, e, 0x40);
    if (!pci_device_init(&e->pci, &id, err)) {
        return false;
    }
    pci_bar_add(&e->pci, 0, PCI_BAR_MEM32, &e->mmio, 0x20000);
    pci_bar_add(&e->pci, 1, PCI_BAR_IO, &e->io, 0x40);
    if (!nic_init(&e->nic, d, &ops, e, 1, err) || !pci_device_ready(&e->pci, err)) {
        pci_device_fini(&e->pci);
        nic_fini(&e->nic, d);
        return false;
    }
    e1000_eeprom_fill(e);
    return true;
}

static void e1000_fini(struct device *d)
{
    struct e1000 *e = (struct e1000 *)d;

    nic_fini(&e->nic, d);
    pci_device_fini(&e->pci);
}

static void e1000_reset(struct device *d, enum reset_phase phase)
{
    struct e1000 *e = (struct e1000 *)d;

    pci_class_reset(d, phase);
    if (phase == RESET_ENTER) {
        net_purge(e->nic.net);
        card_reset(e);
    }
}

static void e1000_settle(struct device *d)
{
    struct e1000 *e = (struct e1000 *)d;

    pci_device_settle(&e->pci);
    pci_set_intx(&e->pci, e->irq_high);
    transmit_soon(e);
    net_ready(e->nic.net, 0);
}

/* A snapshot made by nobody of ours may say anything. */
static bool e1000_load_check(struct device *d, GError **err)
{
    struct e1000 *e = (struct e1000 *)d;

    (void)err;
    e->tx_len = MIN(e->tx_len, (uint32_t)sizeof(e->tx_buf));
    e->ee_bits = MIN(e->ee_bits, 32);
    return true;
}

static const struct field context_fields[] = {
    STATE(struct e1000_context, ipcss), STATE(struct e1000_context, ipcso), STATE(struct e1000_context, tucss), STATE(struct e1000_context, tucso),
    STATE(struct e1000_context, hdrlen), STATE(struct e1000_context, tucmd), STATE(struct e1000_context, ipcse), STATE(struct e1000_context, tucse),
    STATE(struct e1000_context, mss), STATE(struct e1000_context, paylen),
};

static const struct field e1000_fields[] = {
    PCI_FIELDS(struct e1000),
    NIC_FIELDS(struct e1000, nic),
    STATE(struct e1000, reg, .elem = 4),
    STATE(struct e1000, eeprom, .elem = 2, .keep = true),
    STATE(struct e1000, phy, .elem = 2),
    STATE(struct e1000, io_address),
    STATE(struct e1000, ee_in), STATE(struct e1000, ee_out), STATE(struct e1000, ee_bits),
    STATE(struct e1000, link), STATE(struct e1000, irq_high),
    STATE_STRUCT(struct e1000, context, context_fields, 2),
    STATE(struct e1000, itr), STATE(struct e1000, tx),
    STATE(struct e1000, tx_len), STATE(struct e1000, tx_bad), STATE(struct e1000, tx_tse), STATE(struct e1000, tx_vlan),
    STATE(struct e1000, tx_popts), STATE(struct e1000, tx_cso), STATE(struct e1000, tx_css), STATE(struct e1000, tx_legacy_ic),
    STATE(struct e1000, tx_special), STATE(struct e1000, tx_buf), DERIVED(struct e1000, tx_held),
    WIRING(struct e1000, mmio), WIRING(struct e1000, io), DERIVED(struct e1000, rx_buf),
};

const struct device_class e1000_class = {
    .name = "e1000", .desc = "Intel Gigabit Ethernet (82540EM)", .bus = "pci", .user_creatable = true, .size = sizeof(struct e1000), .version = 1,
    .fields = e1000_fields, .n_fields = G_N_ELEMENTS(e1000_fields), .init = e1000_init, .fini = e1000_fini, .reset = e1000_reset,
    .load_check = e1000_load_check, .settle = e1000_settle,
};
