/*
 * Intel 82540EM: registers, and what the files of the card share. Spec: "PCI/PCI-X Family of Gigabit Ethernet Controllers Software
 * Developer's Manual", Intel 317453 (chapter 13 registers, 3.2 receive, 3.3-3.5 transmit, 5 EEPROM).
 */
#ifndef HW_NET_E1000_PRIV_H
#define HW_NET_E1000_PRIV_H

#include "hw/net/nic.h"
#include "hw/pci/pci.h"

enum {                                   /* 13.2: offsets */
    CTRL = 0x00, CTRL_DUP = 0x04, STATUS = 0x08, EECD = 0x10, EERD = 0x14, CTRL_EXT = 0x18, FLA = 0x1c, MDIC = 0x20, FCAL = 0x28, FCAH = 0x2c,
    FCT = 0x30, VET = 0x38, ICR = 0xc0, ITR = 0xc4, ICS = 0xc8, IMS = 0xd0, IMC = 0xd8, RCTL = 0x100, FCTTV = 0x170, TXCW = 0x178, RXCW = 0x180,
    TCTL = 0x400, TIPG = 0x410, AIFS = 0x458, LEDCTL = 0xe00, PBA = 0x1000, FCRTL = 0x2160, FCRTH = 0x2168,
    RDBAL = 0x2800, RDBAH = 0x2804, RDLEN = 0x2808, RDH = 0x2810, RDT = 0x2818, RDTR = 0x2820, RXDCTL = 0x2828, RADV = 0x282c, RSRPD = 0x2c00,
    TDBAL = 0x3800, TDBAH = 0x3804, TDLEN = 0x3808, TDH = 0x3810, TDT = 0x3818, TIDV = 0x3820, TXDCTL = 0x3828, TADV = 0x382c, TSPMT = 0x3830,
    STATS = 0x4000, MPC = 0x4010, PRC64 = 0x405c, GPRC = 0x4074, BPRC = 0x4078, MPRC = 0x407c, GPTC = 0x4080, GORCL = 0x4088, GOTCL = 0x4090, ROC = 0x40ac,
    TORL = 0x40c0, TOTL = 0x40c8, TPR = 0x40d0, TPT = 0x40d4, PTC64 = 0x40d8, MPTC = 0x40f0, BPTC = 0x40f4, STATS_END = 0x4128,
    RXCSUM = 0x5000, MTA = 0x5200, RA = 0x5400, VFTA = 0x5600, WUC = 0x5800, WUFC = 0x5808, WUS = 0x5810, MANC = 0x5820, REGS_END = 0x6000,
};
enum {                                   /* CTRL, STATUS */
    CTRL_FD = 1, CTRL_SLU = 1 << 6, CTRL_RST = 1 << 26, CTRL_VME = 1 << 30, CTRL_PHY_RST = 1u << 31,
    STATUS_FD = 1, STATUS_LU = 2, STATUS_1000 = 0x280,
};
enum {                                   /* EECD, EERD, MDIC */
    EECD_SK = 1, EECD_CS = 2, EECD_DI = 4, EECD_DO = 8, EECD_REQ = 0x40, EECD_GNT = 0x80, EECD_PRES = 0x100,
    EERD_START = 1, EERD_DONE = 0x10, MDIC_WRITE = 1 << 26, MDIC_READ = 2 << 26, MDIC_READY = 1 << 28, MDIC_INT = 1 << 29, MDIC_ERROR = 1 << 30,
};
enum {                                   /* interrupts */
    INT_TXDW = 1, INT_TXQE = 2, INT_LSC = 4, INT_RXDMT0 = 0x10, INT_RXO = 0x40, INT_RXT0 = 0x80, INT_MDAC = 0x200, INT_ALL = 0x1ffdf,
};
enum {                                   /* RCTL */
    RCTL_EN = 2, RCTL_UPE = 8, RCTL_MPE = 0x10, RCTL_LPE = 0x20, RCTL_LBM = 0xc0, RCTL_BAM = 0x8000, RCTL_VFE = 1 << 18, RCTL_BSEX = 1 << 25,
    RCTL_SECRC = 1 << 26,
};
enum { TCTL_EN = 2, TCTL_PSP = 8 };
enum {                                   /* descriptors */
    RX_DD = 1, RX_EOP = 2, RX_IXSM = 4, RX_VP = 8, RX_TCPCS = 0x20, RX_IPCS = 0x40,
    TX_EOP = 1, TX_IC = 4, TX_TSE = 4, TX_RS = 8, TX_RPS = 0x10, TX_DEXT = 0x20, TX_VLE = 0x40, TX_DD = 1,
    TUCMD_TCP = 1, TUCMD_IP = 2, POPTS_IXSM = 1, POPTS_TXSM = 2,
};

#define E1000_REGS (REGS_END / 4)
#define E1000_EEPROM 64                  /* words */
#define E1000_PHY 32
#define E1000_FRAME 16384                /* longest one on the wire */

struct e1000_context {                   /* 3.3.6 */
    uint8_t ipcss, ipcso, tucss, tucso, hdrlen, tucmd;
    uint16_t ipcse, tucse, mss;
    uint32_t paylen;
};

struct e1000 {
    struct pci_device pci;
    struct nic nic;
    /* state */
    uint32_t reg[E1000_REGS];            /* by offset / 4; little more than the registers are used */
    uint16_t eeprom[E1000_EEPROM];
    uint16_t phy[E1000_PHY];
    uint32_t io_address;
    /* serial access to the EEPROM: bits shifted in since chip select, and what is shifted out */
    uint16_t ee_in, ee_out, ee_bits;
    bool link;                           /* what the PHY sees */
    bool irq_high;
    struct e1000_context context[2];     /* [1]: for segmentation */
    struct timer itr, tx;                /* interrupts may come again; transmit */
    /* a packet that is being gathered */
    uint32_t tx_len;
    bool tx_bad, tx_tse, tx_vlan;
    uint8_t tx_popts, tx_cso, tx_css;
    bool tx_legacy_ic;
    uint16_t tx_special;
    uint8_t tx_buf[NET_FRAME_MAX];
    bool tx_held;                        /* the other side has no room: its room() goes on */
    /* wiring */
    struct region mmio, io;
    uint8_t rx_buf[E1000_FRAME + 64];
};

#define REG(e_, at_) ((e_)->reg[(at_) / 4])

/* e1000.c */
void e1000_interrupt(struct e1000 *e, uint32_t causes);
void e1000_count(struct e1000 *e, unsigned counter, uint32_t n);
void e1000_count64(struct e1000 *e, unsigned low, uint32_t n);

/* e1000_rx.c: one frame from the network; false: no descriptors. */
bool e1000_receive(void *opaque, unsigned queue, const struct net_packet *p);
/* e1000_tx.c: works on the ring, at most once around. */
void e1000_transmit(void *opaque);
/* e1000_phy.c */
void e1000_eeprom_fill(struct e1000 *e);
void e1000_eecd_write(struct e1000 *e, uint32_t v);
uint32_t e1000_eecd_read(const struct e1000 *e);
uint32_t e1000_eerd(const struct e1000 *e, uint32_t v);
void e1000_mdic(struct e1000 *e, uint32_t v);
void e1000_phy_reset(struct e1000 *e);
void e1000_link(struct e1000 *e, bool up);

#endif
