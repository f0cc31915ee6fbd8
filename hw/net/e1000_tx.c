/*
 * Transmitting: legacy, context and data descriptors (3.3), checksums, VLAN tags; segmentation is handed on as an offload (net/net.h), and
 * done by whoever takes the packet. Runs in the main loop, a moment after the guest's write to TDT, at most once around the ring.
 */
#include <string.h>

#include "base/log.h"
#include "core/dma.h"
#include "core/machine.h"
#include "hw/net/e1000_priv.h"

static void put_checksum(uint8_t *f, size_t size, unsigned from, unsigned to, unsigned end)
{
    uint32_t s = 0;

    end = end && end < size ? end + 1 : (unsigned)size;
    if (from >= end || to + 2u > size) {
        return;
    }
    for (unsigned i = from; i < end; i++) {
        s += (i - from) & 1 ? f[i] : (uint32_t)f[i] << 8;
    }
    s = (s & 0xffff) + (s >> 16);
    s = (s & 0xffff) + (s >> 16);
    s = ~s & 0xffff;
    f[to] = (uint8_t)(s >> 8);
    f[to + 1] = (uint8_t)s;
}

static void count_sent(struct e1000 *e, const uint8_t *f, size_t size)
{
    static const unsigned limits[] = { 64, 127, 255, 511, 1023 };
    unsigned k = 0;

    while (k < G_N_ELEMENTS(limits) && size > limits[k]) {
        k++;
    }
    e1000_count(e, PTC64 + 4 * k, 1);
    e1000_count(e, GPTC, 1);
    e1000_count(e, TPT, 1);
    e1000_count64(e, GOTCL, (uint32_t)size);
    e1000_count64(e, TOTL, (uint32_t)size);
    if (f[0] & 1) {
        e1000_count(e, f[0] == 0xff && f[1] == 0xff ? BPTC : MPTC, 1);
    }
}

static bool send_out(struct e1000 *e, uint8_t *f, size_t size, const struct net_offload *o)
{
    struct iovec iov = { f, size };
    struct net_packet p = { .iov = &iov, .n = 1, .size = size, .offload = *o };

    count_sent(e, f, size + 4);
    if ((REG(e, RCTL) & RCTL_LBM) == RCTL_LBM) {
        return e1000_receive(e, 0, &p) || true;
    }
    return net_send(e->nic.net, 0, &p);
}

/* The packet in tx_buf is whole. False: the other side wants a pause. */
static bool packet_end(struct e1000 *e)
{
    const struct e1000_context *c = &e->context[e->tx_tse];
    struct net_offload o = { 0 };
    uint8_t *f = e->tx_buf;
    size_t size = e->tx_len;

    if (e->tx_bad || size < NET_FRAME_MIN || !e->link) {
        if (e->tx_bad) {
            log_guest("e1000: a packet to send of more than %d bytes", NET_FRAME_MAX);
        }
        return true;
    }
    if (e->tx_tse) {
        o = (struct net_offload){ .flags = NET_NEEDS_CSUM, .header_len = c->hdrlen, .gso_size = c->mss, .csum_start = c->tucss,
                                  .csum_offset = (uint16_t)(c->tucso - c->tucss),
                                  .gso = !(c->tucmd & TUCMD_TCP) ? NET_GSO_UDP_L4 : c->tucmd & TUCMD_IP ? NET_GSO_TCP4 : NET_GSO_TCP6 };
    } else {
        if (e->tx_legacy_ic) {
            put_checksum(f, size, e->tx_css, e->tx_cso, 0);
        }
        if (e->tx_popts & POPTS_TXSM) {
            put_checksum(f, size, c->tucss, c->tucso, c->tucse);
        }
        if (e->tx_popts & POPTS_IXSM) {
            put_checksum(f, size, c->ipcss, c->ipcso, c->ipcse);
        }
        if (size > E1000_FRAME) {
            return true;
        }
    }
    if (e->tx_vlan && size + 4 <= sizeof(e->tx_buf)) {
        memmove(f + 16, f + 12, size - 12);
        f[12] = (uint8_t)(REG(e, VET) >> 8);
        f[13] = (uint8_t)REG(e, VET);
        f[14] = (uint8_t)(e->tx_special >> 8);
        f[15] = (uint8_t)e->tx_special;
        o.csum_start += o.flags ? 4 : 0;
        size += 4;
    }
    if (size < 60 && (REG(e, TCTL) & TCTL_PSP)) {
        memset(f + size, 0, 60 - size);
        size = 60;
    }
    return send_out(e, f, size, &o);
}

static void packet_begin(struct e1000 *e)
{
    e->tx_len = 0;
    e->tx_bad = e->tx_tse = e->tx_vlan = e->tx_legacy_ic = false;
    e->tx_popts = 0;
}

static void context(struct e1000 *e, const uint8_t *d)
{
    uint32_t low = pci_get32(d + 8);

    e->context[low >> 24 & TX_TSE ? 1 : 0] = (struct e1000_context){
        .ipcss = d[0], .ipcso = d[1], .ipcse = pci_get16(d + 2), .tucss = d[4], .tucso = d[5], .tucse = pci_get16(d + 6),
        .paylen = low & 0xfffff, .tucmd = (uint8_t)(low >> 24), .hdrlen = d[13], .mss = pci_get16(d + 14),
    };
}

/* One descriptor. False: the other side wants a pause (the descriptor is done). */
static bool descriptor(struct e1000 *e, struct address_space *as, const uint8_t *d)
{
    uint32_t low = pci_get32(d + 8), len;
    uint8_t cmd = (uint8_t)(low >> 24);
    bool on = true;

    if ((cmd & TX_DEXT) && (low >> 20 & 15) == 0) {
        context(e, d);
        return true;
    }
    if (!e->tx_len && !e->tx_bad) {
        packet_begin(e);
        if (cmd & TX_DEXT) {
            e->tx_tse = cmd & TX_TSE;
            e->tx_popts = d[13];
        }
    }
    if (!(cmd & TX_DEXT) && (cmd & TX_IC)) {
        e->tx_legacy_ic = true;
        e->tx_cso = d[10];
        e->tx_css = d[13];
    }
    if ((cmd & TX_VLE) && (REG(e, CTRL) & CTRL_VME)) {
        e->tx_vlan = true;
        e->tx_special = pci_get16(d + 14);
    }
    len = cmd & TX_DEXT ? low & 0xfffff : low & 0xffff;
    if (len > sizeof(e->tx_buf) - e->tx_len) {
        e->tx_bad = true;
    } else {
        dma_read(as, pci_get32(d) | (uint64_t)pci_get32(d + 4) << 32, e->tx_buf + e->tx_len, len);
        e->tx_len += len;
    }
    if (cmd & TX_EOP) {
        on = packet_end(e);
        packet_begin(e);
    }
    return on;
}

void e1000_transmit(void *opaque)
{
    struct e1000 *e = opaque;
    unsigned n = (REG(e, TDLEN) & 0xfff80) / 16;
    uint32_t causes = 0;
    bool on = true;

    for (unsigned i = 0; on && i < n && (REG(e, TCTL) & TCTL_EN) && REG(e, TDH) < n && REG(e, TDT) < n && REG(e, TDH) != REG(e, TDT); i++) {
        struct address_space *as = pci_dma(&e->pci);
        uint64_t at = (((uint64_t)REG(e, TDBAH) << 32 | REG(e, TDBAL)) & ~15ull) + 16ull * REG(e, TDH);
        uint8_t d[16];

        dma_read(as, at, d, sizeof(d));
        on = descriptor(e, as, d);
        if (d[11] & (TX_RS | TX_RPS)) {
            d[12] |= TX_DD;
            atomic_thread_fence(memory_order_release);
            dma_write(as, at + 12, d + 12, 1);
            causes |= INT_TXDW;
        }
        REG(e, TDH) = (REG(e, TDH) + 1) % n;
    }
    e->tx_held = !on;
    if (REG(e, TDH) == REG(e, TDT)) {
        causes |= INT_TXQE;
    }
    e1000_interrupt(e, causes);
}
