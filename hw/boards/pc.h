/*
 * What the boards pc and q35 share. pc.c builds memory, vCPUs and ISA devices, pc_chipset.c the two chip sets, pc_firmware.c what firmware
 * (or a kernel without it) finds.
 */
#ifndef HW_BOARDS_PC_H
#define HW_BOARDS_PC_H

#include "core/device.h"
#include "core/machine.h"
#include "hw/acpi/tables.h"
#include "hw/boards/boot.h"
#include "hw/boards/smbios.h"
#include "hw/intc/apic_bus.h"
#include "hw/isa/isa.h"
#include "hw/misc/fw_cfg.h"
#include "hw/pci/pci_host.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

#define HIGH_RAM   (4 * GIB)
#define EBDA       0x9fc00u
#define ACPI_AREA  0xf0000u              /* of a machine without firmware */
#define SCI_IRQ    9
#define LEVEL_IRQS (1u << 5 | 1u << 9 | 1u << 10 | 1u << 11)
extern const uint8_t pc_pirq_route[4];   /* as firmware sets it; the DSDTs say the same */

enum { PC_PIC, PC_IOAPIC, PC_PIT, PC_RTC, PC_I8042, PC_PORT92, PC_FW_CFG, PC_ISA_ROWS };

struct pc;

/* What a chip set is for the shared code. */
struct pc_chipset {
    uint64_t low_max;                    /* up to here all RAM is below the hole */
    uint64_t low_split;                  /* with more, this much of it is */
    bool q35;
    bool (*build)(struct pc *pc, GError **err);
    void (*firmware)(struct pc *pc);     /* sets its registers as firmware leaves them */
    uint16_t gpe_base;
    uint8_t gpe_bytes;
};

struct pc {
    struct device dev;
    const struct pc_chipset *chipset;
    struct region low_ram, main_ram, high_ram, lapic_mmio, bios, isa_bios, coprocessor;
    struct isa_bus *isa;
    struct device *row[PC_ISA_ROWS];
    struct pci_host *host;
    struct device *memory_controller, *south_bridge, *pm;
    struct apic_bus apics;
    unsigned a20;                        /* gates that are open: bit 0 the 8042's, bit 1 port 92h's */
    struct boot_machine boot;
    struct boot_image *image;            /* a kernel that starts without firmware */
    struct device *flash[2];
    GByteArray *acpi;                    /* the same machine's tables */
    GPtrArray *acpi_extra;               /* -acpitable: GByteArray * */
    struct acpi_tables tables;           /* firmware's */
    struct smbios smbios;
    bool firmware;                       /* a ROM starts */
    bool tables_fresh;                   /* the guest has seen them since the reset */
};

extern const struct pc_chipset pc_i440fx, pc_q35;

bool pc_irqs(struct pc *pc, struct irq_line *lines, GError **err);     /* 16 ISA lines */

/* pc_firmware.c */
bool pc_firmware_load(struct pc *pc, GError **err);        /* ROM or kernel */
bool pc_firmware_finish(struct pc *pc, GError **err);      /* fw_cfg, CMOS, tables */
void pc_firmware_reset(struct pc *pc);
void pc_firmware_free(struct pc *pc);

#endif
