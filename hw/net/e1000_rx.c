/*
 * Receiving: address filters (13.4.22, 13.5), descriptors (3.2), checksum results (3.2.9).
 */
#include <string.h>
#include <zlib.h>

#include "core/dma.h"
#include "core/machine.h"
#include "hw/net/e1000_priv.h"

static bool address_matches(const struct e1000 *e, const uint8_t *to)
{
    static const uint8_t shift[4] = { 4, 3, 2, 0 };
    uint32_t rctl = REG(e, RCTL), low = to[0] | to[1] << 8 | to[2] << 16 | (uint32_t)to[3] << 24, high = to[4] | (uint32_t)to[5] << 8;
    unsigned mo = shift[rctl >> 12 & 3], hash = (to[4] >> mo | (unsigned)to[5] << (8 - mo)) & 0xfff;

    if (rctl & (to[0] & 1 ? RCTL_MPE : RCTL_UPE)) {
        return true;
    }
    if ((rctl & RCTL_BAM) && low == 0xffffffff && high == 0xffff) {
        return true;
    }
    for (unsigned i = 0; i < 16; i++) {
        uint32_t rah = REG(e, RA + 8 * i + 4);

        if ((rah & 0x80030000u) == 0x80000000u && REG(e, RA + 8 * i) == low && (rah & 0xffff) == high) {
            return true;
        }
    }
    return (to[0] & 1) && (REG(e, MTA + 4 * (hash >> 5)) >> (hash & 31) & 1);
}

static bool is_tagged(const struct e1000 *e, const uint8_t *f, size_t size)
{
    return size >= 18 && (f[12] << 8 | f[13]) == (int)(REG(e, VET) & 0xffff);
}

static bool passes(const struct e1000 *e, const uint8_t *f, size_t size, bool tagged)
{
    unsigned vid = tagged ? (f[14] << 8 | f[15]) & 0xfff : 0;

    if (!(REG(e, RCTL) & RCTL_LPE) && size > 1518u + (tagged ? 4 : 0)) {
        return false;
    }
    if (tagged && (REG(e, RCTL) & RCTL_VFE) && !(REG(e, VFTA + 4 * (vid >> 5)) >> (vid & 31) & 1)) {
        return false;
    }
    return address_matches(e, f);
}

static unsigned buffer_size(const struct e1000 *e)
{
    unsigned n = REG(e, RCTL) >> 16 & 3;

    return REG(e, RCTL) & RCTL_BSEX ? (n ? 32768u >> n : 2048) : 2048u >> n;
}

static void count_frame(struct e1000 *e, const uint8_t *f, size_t size)
{
    static const unsigned limits[] = { 64, 127, 255, 511, 1023 };
    unsigned k = 0;

    while (k < G_N_ELEMENTS(limits) && size > limits[k]) {
        k++;
    }
    e1000_count(e, PRC64 + 4 * k, 1);
    e1000_count(e, GPRC, 1);
    e1000_count(e, TPR, 1);
    e1000_count64(e, GORCL, (uint32_t)size);
    e1000_count64(e, TORL, (uint32_t)size);
    if (f[0] & 1) {
        e1000_count(e, f[0] == 0xff && f[1] == 0xff ? BPRC : MPRC, 1);
    }
}

/* Sum of 16-bit words, as the descriptor's checksum field shows it: ones' complement, not inverted. */
static uint16_t packet_sum(const uint8_t *f, size_t size, size_t from)
{
    uint32_t s = 0;

    for (size_t i = from; i < size; i++) {
        s += (i - from) & 1 ? (uint32_t)f[i] << 8 : f[i];
    }
    s = (s & 0xffff) + (s >> 16);
    s = (s & 0xffff) + (s >> 16);
    return (uint16_t)s;
}

/* What the descriptor says of IP and TCP or UDP checksums. Only what the sender has checked is called checked. */
static uint8_t checksum_status(const struct e1000 *e, const uint8_t *f, size_t size, const struct net_offload *o)
{
    unsigned type = f[12] << 8 | f[13];
    uint8_t status = 0, protocol;

    if (!(o->flags & NET_CSUM_VALID) || size < 40 || (type != 0x0800 && type != 0x86dd)) {
        return RX_IXSM;
    }
    protocol = type == 0x0800 ? f[14 + 9] : f[14 + 6];
    if (type == 0x0800 && (f[14 + 6] & 0x3f || f[14 + 7])) {
        protocol = 0;                    /* a fragment */
    }
    if (type == 0x0800 && (REG(e, RXCSUM) & 0x100)) {
        status |= RX_IPCS;
    }
    if ((protocol == 6 || protocol == 17) && (REG(e, RXCSUM) & 0x200)) {
        status |= RX_TCPCS;
    }
    return status ? status : RX_IXSM;
}

/* The status byte goes last: a guest that sees DD set finds the rest there. */
static void descriptor_done(struct address_space *as, uint64_t at, const uint8_t d[16])
{
    dma_write(as, at + 8, d + 8, 4);
    dma_write(as, at + 13, d + 13, 3);
    atomic_thread_fence(memory_order_release);
    dma_write(as, at + 12, d + 12, 1);
}

static unsigned descriptors_free(const struct e1000 *e, unsigned n)
{
    unsigned head = REG(e, RDH), tail = REG(e, RDT);

    return head == tail || head >= n || tail >= n ? 0 : (tail + n - head) % n;
}

/* Stores rx_buf in as many descriptors as it takes; they are there. */
static void store(struct e1000 *e, size_t size, uint8_t status, uint16_t sum, uint16_t tag, unsigned n)
{
    struct address_space *as = pci_dma(&e->pci);
    uint64_t base = ((uint64_t)REG(e, RDBAH) << 32 | REG(e, RDBAL)) & ~15ull;
    unsigned room = buffer_size(e);

    for (size_t at = 0; at < size;) {
        uint64_t where = base + 16ull * REG(e, RDH);
        size_t len = MIN(size - at, (size_t)room);
        uint8_t d[16];

        dma_read(as, where, d, sizeof(d));
        dma_write(as, pci_get32(d) | (uint64_t)pci_get32(d + 4) << 32, e->rx_buf + at, len);
        at += len;
        pci_put16(d + 8, (uint16_t)len);
        pci_put16(d + 10, sum);
        d[12] = (uint8_t)(RX_DD | (at == size ? RX_EOP | status : 0));
        d[13] = 0;
        pci_put16(d + 14, at == size ? tag : 0);
        descriptor_done(as, where, d);
        REG(e, RDH) = (REG(e, RDH) + 1) % n;
    }
}

static size_t gather(struct e1000 *e, const struct net_packet *p)
{
    size_t at = 0;

    for (unsigned i = 0; i < p->n; i++) {
        size_t len = MIN(p->iov[i].iov_len, sizeof(e->rx_buf) - 8 - at);

        memcpy(e->rx_buf + at, p->iov[i].iov_base, len);
        at += len;
    }
    if (at < 60) {
        memset(e->rx_buf + at, 0, 60 - at);
        at = 60;
    }
    return at;
}

bool e1000_receive(void *opaque, unsigned queue, const struct net_packet *p)
{
    struct e1000 *e = opaque;
    unsigned n = (REG(e, RDLEN) & 0xfff80) / 16, available = descriptors_free(e, n), threshold = n >> ((REG(e, RCTL) >> 8 & 3) + 1);
    uint8_t status;
    uint16_t sum, tag = 0;
    size_t size;
    bool tagged;

    (void)queue;
    if (!(REG(e, RCTL) & RCTL_EN) || !e->link || p->size > E1000_FRAME) {
        return true;
    }
    size = gather(e, p);
    tagged = is_tagged(e, e->rx_buf, size);
    if (!passes(e, e->rx_buf, size, tagged)) {
        return true;
    }
    if ((uint64_t)available * buffer_size(e) < size + 4) {
        e1000_interrupt(e, INT_RXO);
        return n == 0;                   /* without a ring there is nothing to wait for */
    }
    status = checksum_status(e, e->rx_buf, size, &p->offload);
    sum = packet_sum(e->rx_buf, MIN(size, (size_t)p->size), REG(e, RXCSUM) & 0xff);
    count_frame(e, e->rx_buf, size + 4);
    if (!(REG(e, RCTL) & RCTL_SECRC)) {
        uint32_t fcs = GUINT32_TO_LE((uint32_t)crc32(0, e->rx_buf, (uInt)size));

        memcpy(e->rx_buf + size, &fcs, 4);
        size += 4;
    }
    if (tagged && (REG(e, CTRL) & CTRL_VME)) {
        tag = (uint16_t)(e->rx_buf[14] << 8 | e->rx_buf[15]);
        status |= RX_VP;
        memmove(e->rx_buf + 12, e->rx_buf + 16, size - 16);
        size -= 4;
    }
    store(e, size, status, sum, tag, n);
    available = descriptors_free(e, n);
    e1000_interrupt(e, INT_RXT0 | (available <= threshold ? INT_RXDMT0 : 0));
    return true;
}
