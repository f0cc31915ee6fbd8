/*
 * EEPROM (a 93C46 of 64 words, 5.6; bit by bit through EECD or by EERD) and PHY (13.4.3 and the register set of an 88E1011: IEEE 802.3
 * clause 22 and its extensions at 16 to 20) of the 82540EM. The EEPROM cannot be written.
 */
#include "base/log.h"
#include "hw/net/e1000_priv.h"

enum { EE_CHECKSUM = 0x3f, EE_READ = 6 };
enum {                                   /* PHY */
    PHY_CONTROL = 0, PHY_STATUS = 1, PHY_ID1 = 2, PHY_ID2 = 3, PHY_ADVERTISE = 4, PHY_PARTNER = 5, PHY_EXPANSION = 6, PHY_1000_CONTROL = 9,
    PHY_1000_STATUS = 10, PHY_EXTENDED = 15, PHY_SPECIFIC = 16, PHY_SPECIFIC_STATUS = 17, PHY_INTERRUPT = 18, PHY_EXT_SPECIFIC = 20,
};
enum { CONTROL_RESET = 0x8000, CONTROL_RESTART = 0x0200, STATUS_NEGOTIATED = 0x20, STATUS_LINK = 4, SPECIFIC_LINK = 0x0c00 };

void e1000_eeprom_fill(struct e1000 *e)
{
    static const struct { uint8_t at; uint16_t word; } rows[] = {
        { 0x08, 0x3000 }, { 0x09, 0x1000 },                       /* assembly number */
        { 0x0a, 0x440b },                                         /* initialisation: identifiers below count */
        { 0x0b, 0x1100 }, { 0x0c, 0x1af4 }, { 0x0d, 0x100e }, { 0x0e, 0x8086 }, { 0x0f, 0x3040 },
    };
    uint16_t sum = 0;

    for (unsigned i = 0; i < E1000_EEPROM; i++) {
        e->eeprom[i] = i < 3 ? (uint16_t)(e->nic.mac[2 * i] | e->nic.mac[2 * i + 1] << 8) : 0xffff;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        e->eeprom[rows[i].at] = rows[i].word;
    }
    for (unsigned i = 0; i < EE_CHECKSUM; i++) {
        sum = (uint16_t)(sum + e->eeprom[i]);
    }
    e->eeprom[EE_CHECKSUM] = (uint16_t)(0xbaba - sum);
}

/* A command is a start bit, two bits of operation, six of address; the chip takes DI on the rising edge and puts DO out on it. */
void e1000_eecd_write(struct e1000 *e, uint32_t v)
{
    uint32_t was = REG(e, EECD);

    REG(e, EECD) = v & (EECD_SK | EECD_CS | EECD_DI | EECD_REQ);
    if (!(v & EECD_CS)) {
        e->ee_bits = 0;
        e->ee_in = 0;
        e->ee_out = 0xffff;
        return;
    }
    if (!(v & EECD_SK) || (was & EECD_SK)) {
        return;
    }
    if (e->ee_bits < 9) {
        e->ee_in = (uint16_t)(e->ee_in << 1 | !!(v & EECD_DI));
        e->ee_bits += e->ee_bits || (v & EECD_DI);                /* zeros before the start bit do not count */
        if (e->ee_bits == 9 && (e->ee_in >> 6 & 7) == EE_READ) {
            e->ee_out = e->eeprom[e->ee_in & 63];
            e->ee_bits = 16;                                      /* DO is low for the dummy bit */
        } else if (e->ee_bits == 9) {
            log_unimp("e1000: EEPROM command %03x", e->ee_in & 0x1ff);
        }
    } else if (e->ee_bits >= 16 && e->ee_bits < 32) {
        e->ee_bits++;
    } else if (e->ee_bits == 32) {
        e->ee_in = (uint16_t)((e->ee_in & ~63) | ((e->ee_in + 1) & 63));      /* reading goes on with the next word */
        e->ee_out = e->eeprom[e->ee_in & 63];
        e->ee_bits = 17;
    }
}

uint32_t e1000_eecd_read(const struct e1000 *e)
{
    bool data = e->ee_bits >= 17 ? e->ee_out >> (32 - e->ee_bits) & 1 : e->ee_bits != 16;

    return REG(e, EECD) | EECD_PRES | (REG(e, EECD) & EECD_REQ ? EECD_GNT : 0) | (data ? EECD_DO : 0);
}

uint32_t e1000_eerd(const struct e1000 *e, uint32_t v)
{
    unsigned at = v >> 8 & 0xff;

    if (!(v & EERD_START)) {
        return v;
    }
    return (v & 0xff00) | EERD_DONE | (at < E1000_EEPROM ? (uint32_t)e->eeprom[at] << 16 : 0xffff0000u);
}

/* --- PHY --- */

static void link_update(struct e1000 *e)
{
    bool was = REG(e, STATUS) & STATUS_LU;

    e->phy[PHY_STATUS] &= (uint16_t)~(STATUS_LINK | STATUS_NEGOTIATED);
    e->phy[PHY_SPECIFIC_STATUS] &= (uint16_t)~SPECIFIC_LINK;
    REG(e, STATUS) &= ~(uint32_t)STATUS_LU;
    if (e->link) {
        e->phy[PHY_STATUS] |= STATUS_LINK | STATUS_NEGOTIATED;
        e->phy[PHY_SPECIFIC_STATUS] |= SPECIFIC_LINK;
        REG(e, STATUS) |= STATUS_LU;
    }
    e->phy[PHY_PARTNER] = e->link ? 0xcde1 : 0;
    e->phy[PHY_1000_STATUS] = e->link ? 0x3c00 : 0;
    if (was != e->link) {
        e1000_interrupt(e, INT_LSC);
    }
}

void e1000_link(struct e1000 *e, bool up)
{
    e->link = up;
    link_update(e);
}

void e1000_phy_reset(struct e1000 *e)
{
    static const uint16_t reset[E1000_PHY] = {
        [PHY_CONTROL] = 0x1140, [PHY_STATUS] = 0x7949, [PHY_ID1] = 0x0141, [PHY_ID2] = 0x0c20, [PHY_ADVERTISE] = 0x0de1, [PHY_EXPANSION] = 1,
        [PHY_1000_CONTROL] = 0x0e00, [PHY_EXTENDED] = 0x3000, [PHY_SPECIFIC] = 0x0360, [PHY_SPECIFIC_STATUS] = 0xa000, [PHY_EXT_SPECIFIC] = 0x0d60,
    };

    for (unsigned i = 0; i < E1000_PHY; i++) {
        e->phy[i] = reset[i];
    }
    link_update(e);
}

static void phy_write(struct e1000 *e, unsigned at, uint16_t v)
{
    static const uint32_t writable = 1u << PHY_CONTROL | 1u << PHY_ADVERTISE | 1u << PHY_1000_CONTROL | 1u << PHY_SPECIFIC | 1u << PHY_INTERRUPT |
                                     1u << PHY_EXT_SPECIFIC | 1u << 7 | 7u << 29;

    if (!(writable >> at & 1)) {
        return;
    }
    if (at == PHY_CONTROL && (v & CONTROL_RESET)) {
        e1000_phy_reset(e);
        return;
    }
    e->phy[at] = at == PHY_CONTROL ? v & (uint16_t)~(CONTROL_RESET | CONTROL_RESTART | 0x3f) : v;
    if (at == PHY_CONTROL && (v & CONTROL_RESTART) && e->link) {
        e1000_interrupt(e, INT_LSC);     /* the other side answers at once */
    }
}

void e1000_mdic(struct e1000 *e, uint32_t v)
{
    unsigned at = v >> 16 & 31;

    if ((v >> 21 & 31) != 1) {
        v |= MDIC_ERROR;
    } else if (v & MDIC_READ) {
        v = (v & 0xffff0000u) | e->phy[at];
    } else if (v & MDIC_WRITE) {
        phy_write(e, at, (uint16_t)v);
    }
    REG(e, MDIC) = v | MDIC_READY;
    if (v & MDIC_INT) {
        e1000_interrupt(e, INT_MDAC);
    }
}
