/*
 * ACPI tables: RSDP, RSDT, XSDT, FADT, FACS, MADT from the machine's configuration, the DSDT from dsdt.asl, and an SSDT with
 * vCPUs and serial ports. Spec: ACPI 6.3, chapter 5 (tables), 20 (AML encoding), 6.4 (resources).
 */
#include "hw/acpi/tables.h"

#include <string.h>

#include "hw/acpi/dsdt_aml.h"
#include "hw/acpi/piix4_pm.h"

#define OEM_ID       "EMU   "
#define OEM_TABLE_ID "EMUPC   "
#define CREATOR      "EMU "

enum { HEADER_SIZE = 36, LENGTH_AT = 4, CHECKSUM_AT = 9 };

/* --- bytes --- */

static void put(GByteArray *a, uint64_t v, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        uint8_t b = v >> 8 * i;
        g_byte_array_append(a, &b, 1);
    }
}

static void put_text(GByteArray *a, const char *s, unsigned len) { g_byte_array_append(a, (const uint8_t *)s, len); }

static void patch(GByteArray *a, unsigned at, uint64_t v, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        a->data[at + i] = v >> 8 * i;
    }
}

static void zeros(GByteArray *a, unsigned n)
{
    while (n--) {
        put(a, 0, 1);
    }
}

static void align(GByteArray *a, unsigned to) { zeros(a, (to - a->len % to) % to); }

static void checksum(GByteArray *a, unsigned from, unsigned len, unsigned at)
{
    uint8_t sum = 0;
    a->data[at] = 0;
    for (unsigned i = 0; i < len; i++) {
        sum += a->data[from + i];
    }
    a->data[at] = -sum;
}

/* 5.2.6: returns where the table begins; table_end() fills length and checksum. */
static unsigned table_begin(GByteArray *a, const char *signature, uint8_t revision)
{
    align(a, 16);
    unsigned at = a->len;
    put_text(a, signature, 4);
    put(a, 0, 4);
    put(a, revision, 1);
    put(a, 0, 1);
    put_text(a, OEM_ID, 6);
    put_text(a, OEM_TABLE_ID, 8);
    put(a, 1, 4);
    put_text(a, CREATOR, 4);
    put(a, 1, 4);
    return at;
}

static void table_end(GByteArray *a, unsigned at)
{
    patch(a, at + LENGTH_AT, a->len - at, 4);
    checksum(a, at, a->len - at, at + CHECKSUM_AT);
}

/* --- MADT, 5.2.12 --- */

static unsigned make_madt(GByteArray *a, const struct acpi_config *c)
{
    unsigned at = table_begin(a, "APIC", 3);
    put(a, c->lapic_base, 4);
    put(a, 1, 4);                                     /* PCAT_COMPAT: 8259 pair present */
    for (unsigned i = 0; i < c->n_cpus; i++) {
        if (c->apic_id[i] < 255) {
            put(a, 0, 1), put(a, 8, 1), put(a, i, 1), put(a, c->apic_id[i], 1), put(a, 1, 4);
        } else {
            put(a, 9, 1), put(a, 16, 1), put(a, 0, 2), put(a, c->apic_id[i], 4), put(a, 1, 4), put(a, i, 4);
        }
    }
    put(a, 1, 1), put(a, 12, 1), put(a, 0, 1), put(a, 0, 1), put(a, c->ioapic_base, 4), put(a, 0, 4);
    put(a, 2, 1), put(a, 10, 1), put(a, 0, 1), put(a, 0, 1), put(a, 2, 4), put(a, 0, 2);      /* IRQ 0 is on pin 2 */
    for (unsigned irq = 0; irq < 16; irq++) {
        if (c->level_irqs >> irq & 1) {
            put(a, 2, 1), put(a, 10, 1), put(a, 0, 1), put(a, irq, 1), put(a, irq, 4), put(a, 0x000d, 2);
        }
    }
    put(a, 4, 1), put(a, 6, 1), put(a, 0xff, 1), put(a, 0, 2), put(a, 1, 1);                  /* LINT1 of all is NMI */
    table_end(a, at);
    return at;
}

/* --- FADT, 5.2.9 --- */

static void generic_address(GByteArray *a, unsigned bits, uint64_t addr, unsigned access)
{
    put(a, addr ? 1 : 0, 1), put(a, addr ? bits : 0, 1), put(a, 0, 1), put(a, addr ? access : 0, 1), put(a, addr, 8);
}

static unsigned make_fadt(GByteArray *a, const struct acpi_config *c, uint64_t facs, uint64_t dsdt)
{
    enum { WBINVD = 1 << 0, PROC_C1 = 1 << 2, SLP_BUTTON = 1 << 5, RTC_S4 = 1 << 7, RESET_REG = 1 << 10 };
    enum { LEGACY_DEVICES = 1 << 0, NO_VGA = 1 << 2 };
    uint16_t event = c->pm_base + PM_EVENT, control = c->pm_base + PM_CONTROL, timer = c->pm_base + PM_TIMER, gpe = c->pm_base + PM_GPE;
    unsigned at = table_begin(a, "FACP", 3);
    put(a, facs, 4);
    put(a, dsdt, 4);
    put(a, 0, 1);
    put(a, 0, 1);                                     /* profile: unspecified */
    put(a, c->sci_irq, 2);
    put(a, PM_SMI_PORT, 4);
    put(a, PM_ACPI_ENABLE, 1), put(a, PM_ACPI_DISABLE, 1), put(a, 0, 1), put(a, 0, 1);
    put(a, event, 4), put(a, 0, 4);
    put(a, control, 4), put(a, 0, 4);
    put(a, 0, 4);
    put(a, timer, 4);
    put(a, gpe, 4), put(a, 0, 4);
    put(a, 4, 1), put(a, 2, 1), put(a, 0, 1), put(a, 4, 1);      /* lengths: PM1 event, control, PM2, timer */
    put(a, 4, 1), put(a, 0, 1), put(a, 0, 1), put(a, 0, 1);      /* GPE0, GPE1, GPE1 base, CST_CNT */
    put(a, 0xfff, 2), put(a, 0xfff, 2);                          /* no C2, no C3 */
    put(a, 0, 2), put(a, 0, 2), put(a, 0, 1), put(a, 0, 1);      /* flush, duty */
    put(a, 0, 1), put(a, 0, 1), put(a, 0x32, 1);                 /* day and month alarm: none; century in CMOS 32h */
    put(a, LEGACY_DEVICES | (c->vga ? 0 : NO_VGA), 2);           /* no 8042 for keyboards */
    put(a, 0, 1);
    put(a, WBINVD | PROC_C1 | SLP_BUTTON | RTC_S4 | RESET_REG, 4);
    generic_address(a, 8, 0xcf9, 1);
    put(a, 6, 1);                                                /* value that resets: hard, CPU */
    put(a, 0, 2), put(a, 0, 1);
    put(a, facs, 8);
    put(a, dsdt, 8);
    generic_address(a, 32, event, 2);
    generic_address(a, 0, 0, 0);
    generic_address(a, 16, control, 2);
    generic_address(a, 0, 0, 0);
    generic_address(a, 0, 0, 0);
    generic_address(a, 32, timer, 3);
    generic_address(a, 32, gpe, 1);
    generic_address(a, 0, 0, 0);
    table_end(a, at);
    return at;
}

/* --- SSDT: AML by hand, chapter 20 --- */

enum { AML_NAME = 0x08, AML_BYTE = 0x0a, AML_WORD = 0x0b, AML_DWORD = 0x0c, AML_STRING = 0x0d, AML_SCOPE = 0x10, AML_BUFFER = 0x11,
       AML_EXT = 0x5b, AML_DEVICE = 0x82 };

/* 20.2.4: appends `body` with its length in front (two or more bytes of it, so that the length is known), and frees it. */
static void put_package(GByteArray *a, GByteArray *body)
{
    unsigned len = body->len + (body->len + 2 < 1 << 12 ? 2 : 3);
    if (len < 1 << 12) {
        put(a, 0x40 | (len & 15), 1), put(a, len >> 4, 1);
    } else {
        put(a, 0x80 | (len & 15), 1), put(a, len >> 4, 2);
    }
    g_byte_array_append(a, body->data, body->len);
    g_byte_array_free(body, TRUE);
}

static void put_name_dword(GByteArray *a, const char *name, uint32_t v)
{
    put(a, AML_NAME, 1), put_text(a, name, 4), put(a, AML_DWORD, 1), put(a, v, 4);
}

static void put_device(GByteArray *a, GByteArray *body) { put(a, AML_EXT, 1), put(a, AML_DEVICE, 1), put_package(a, body); }

static void put_cpu(GByteArray *a, unsigned n)
{
    GByteArray *body = g_byte_array_new();
    g_autofree char *name = g_strdup_printf("C%03X", n & 0xfff);
    put_text(body, name, 4);
    put(body, AML_NAME, 1), put_text(body, "_HID", 4), put(body, AML_STRING, 1), put_text(body, "ACPI0007", 9);
    put_name_dword(body, "_UID", n);
    put_device(a, body);
}

static void put_serial(GByteArray *a, unsigned n, const struct acpi_serial *s)
{
    GByteArray *body = g_byte_array_new(), *crs = g_byte_array_new();
    g_autofree char *name = g_strdup_printf("COM%u", n + 1);
    put_text(body, name, 4);
    put_name_dword(body, "_HID", 0x0105d041);                    /* EisaId("PNP0501") */
    put_name_dword(body, "_UID", n + 1);
    put(crs, AML_BYTE, 1), put(crs, 8 + 3 + 2, 1);               /* buffer size */
    put(crs, 0x47, 1), put(crs, 1, 1), put(crs, s->port, 2), put(crs, s->port, 2), put(crs, 1, 1), put(crs, 8, 1);
    put(crs, 0x22, 1), put(crs, 1u << s->irq, 2);
    put(crs, 0x79, 1), put(crs, 0, 1);                           /* end, checksum not used */
    put(body, AML_NAME, 1), put_text(body, "_CRS", 4), put(body, AML_BUFFER, 1), put_package(body, crs);
    put_device(a, body);
}

static unsigned make_ssdt(GByteArray *a, const struct acpi_config *c)
{
    unsigned at = table_begin(a, "SSDT", 1);
    GByteArray *cpus = g_byte_array_new(), *isa = g_byte_array_new();
    put_text(cpus, "\\_SB_", 5);
    for (unsigned i = 0; i < c->n_cpus; i++) {
        put_cpu(cpus, i);
    }
    put(a, AML_SCOPE, 1);
    put_package(a, cpus);
    put_text(isa, "\\\x2f\x03_SB_PCI0ISA_", 15);
    for (unsigned i = 0; i < c->n_serial; i++) {
        put_serial(isa, i, &c->serial[i]);
    }
    put(a, AML_SCOPE, 1);
    put_package(a, isa);
    table_end(a, at);
    return at;
}

/* --- all --- */

GByteArray *acpi_build(const struct acpi_config *c, uint64_t at)
{
    GByteArray *a = g_byte_array_new();
    zeros(a, 64);                                                /* RSDP, filled at the end */
    unsigned facs = a->len;                                      /* 5.2.10: on a 64-byte boundary */
    put_text(a, "FACS", 4), put(a, 64, 4);
    zeros(a, 24);
    put(a, 1, 1);
    zeros(a, 31);
    unsigned dsdt = a->len;
    g_byte_array_append(a, dsdt_aml, sizeof(dsdt_aml));
    unsigned table[3];
    table[0] = make_fadt(a, c, at + facs, at + dsdt);
    table[1] = make_ssdt(a, c);
    table[2] = make_madt(a, c);
    unsigned rsdt = table_begin(a, "RSDT", 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        put(a, at + table[i], 4);
    }
    table_end(a, rsdt);
    unsigned xsdt = table_begin(a, "XSDT", 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        put(a, at + table[i], 8);
    }
    table_end(a, xsdt);
    memcpy(a->data, "RSD PTR ", 8);                              /* 5.2.5.3 */
    memcpy(a->data + 9, OEM_ID, 6);
    a->data[15] = 2;
    patch(a, 16, at + rsdt, 4);
    patch(a, 20, 36, 4);
    patch(a, 24, at + xsdt, 8);
    checksum(a, 0, 20, 8);
    checksum(a, 0, 36, 32);
    return a;
}
