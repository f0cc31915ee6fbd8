/*
 * ICH9: LPC bridge with interrupt routing and power management (00:1f.0), SMBus (00:1f.3). See ich9_lpc.c, ich9_smb.c.
 */
#ifndef HW_ACPI_ICH9_H
#define HW_ACPI_ICH9_H

#include "hw/acpi/acpi_pm.h"
#include "hw/acpi/smbus.h"
#include "hw/pci/pci.h"

enum { ICH9_GPE = 0x20, ICH9_SMI_EN = 0x30, ICH9_SMI_STS = 0x34, ICH9_TCO = 0x60, ICH9_PM_SIZE = 0x80 };
#define ICH9_RCBA_DEFAULT 0xfed1c000u
#define ICH9_RCBA_SIZE    0x4000u

struct tco {
    struct machine *machine;
    uint16_t reload, status1, status2, control1, control2;
    uint8_t data_in, data_out, message1, message2, wdcnt, irq_gen;
    uint8_t timeouts;            /* since the last reload */
    struct timer timer;
};

struct ich9_lpc {
    struct pci_device pci;
    struct acpi_pm pm;
    struct tco tco;
    uint8_t smi_command, smi_data;
    uint32_t smi_en, smi_sts;
    uint32_t gcs;                /* RCBA: general control and status; bit 5: the watchdog does not reset */
    uint16_t ir[7];              /* RCBA: interrupt routing of devices 25 to 31: kept, without effect */
    uint8_t level;               /* PIRQ A-H: a bit each */
    struct irq_line irq[16];     /* ISA lines of ours; filled by the board */
    struct irq_line gsi[8];      /* I/O APIC pins 16 to 23 */
    uint8_t driven[16];          /* which PIRQs hold IRQ n high */
    struct region pm_ports, smi_ports, rcba;
    bool pm_mapped, rcba_mapped;
    uint16_t pm_at;
    uint32_t rcba_at;
    bool smi;                    /* the machine has system management mode */
};

extern const struct device_class ich9_lpc_class, ich9_smb_class;

/* What firmware leaves, after a reset: PMBASE, RCBA, PIRQ n to ISA IRQ irq[n % 4]. Machine lock. */
void ich9_firmware(struct ich9_lpc *l, const uint8_t irq[4]);

/* TCO watchdog: registers at their offset in its block. */
extern const struct field tco_fields[14];
void tco_init(struct tco *t, struct machine *m);
uint16_t tco_read(struct tco *t, unsigned at);
void tco_write(struct tco *t, unsigned at, uint16_t value);

#endif
