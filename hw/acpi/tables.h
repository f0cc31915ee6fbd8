/*
 * ACPI tables of a machine as it was built. See tables.c.
 */
#ifndef HW_ACPI_TABLES_H
#define HW_ACPI_TABLES_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct acpi_serial {
    uint16_t port;
    uint8_t irq;
};

/* A window [from, to] through which the root bus sees an address space; to 0: there is none. */
struct acpi_window {
    uint64_t from, to;
};

struct acpi_config {
    bool q35;                         /* else i440fx */
    unsigned n_cpus;
    const uint32_t *apic_id;          /* n_cpus of them */
    uint32_t lapic_base, ioapic_base;
    uint16_t pm_base;
    uint16_t gpe_base;                /* and gpe_bytes of status and enable together */
    uint8_t gpe_bytes;
    uint8_t sci_irq;
    uint16_t level_irqs;              /* bit n: ISA IRQ n is level triggered, active high */
    const struct acpi_serial *serial;
    unsigned n_serial;
    bool vga, hpet, i8042, pvpanic;
    uint64_t ecam, ecam_size;         /* memory-mapped configuration space; size 0: none */
    struct acpi_window memory[2], memory64;
    const uint8_t *vmgenid;           /* 16 bytes; NULL: none */
    GByteArray *const *extra;         /* whole tables of the user's, NULL-terminated; may be NULL */
};

/* Files for firmware (fw_cfg names below) and the script that links them; pointers in them are offsets before it has run. */
struct acpi_tables {
    GByteArray *tables, *rsdp, *script;
    uint32_t vmgenid_at;              /* of the 16 bytes in ACPI_FILE_VMGENID */
    GByteArray *vmgenid;              /* NULL: none */
};
#define ACPI_FILE_TABLES  "etc/acpi/tables"
#define ACPI_FILE_RSDP    "etc/acpi/rsdp"
#define ACPI_FILE_SCRIPT  "etc/table-loader"
#define ACPI_FILE_VMGENID "etc/vmgenid_guid"
#define ACPI_FILE_VMGENID_ADDR "etc/vmgenid_addr"

void acpi_tables_make(struct acpi_tables *t, const struct acpi_config *c);
void acpi_tables_free(struct acpi_tables *t);
/* One block to be placed at guest-physical `at` (a multiple of 64), linked; the RSDP is its first byte. Free with g_byte_array_free. */
GByteArray *acpi_build(const struct acpi_config *c, uint64_t at);
/* Reads a table of -acpitable: file=/data= and header fields. NULL with *err. */
GByteArray *acpi_table_parse(const char *text, GError **err);

#endif
