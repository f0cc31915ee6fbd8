/*
 * ACPI tables: RSDP, RSDT, XSDT, FADT, FACS, MADT, MCFG, HPET from the machine's configuration, the DSDT from the board's .asl, and an SSDT
 * with what differs from machine to machine: vCPUs, serial ports, PCI windows, optional devices. Spec: ACPI 6.3, chapter 5 (tables),
 * 20 (AML encoding), 6.4 (resources); PCI Firmware 3.0, 4.1.2 (MCFG); IA-PC HPET 1.0a, 3.2.4; "Virtual Machine Generation ID" (Microsoft, 2012).
 */
#include "hw/acpi/tables.h"

#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "hw/acpi/acpi_pm.h"
#include "hw/acpi/dsdt_i440fx_aml.h"
#include "hw/acpi/dsdt_q35_aml.h"
#include "hw/acpi/loader.h"

#define OEM_ID       "EMU   "
#define OEM_TABLE_ID "EMUPC   "
#define CREATOR      "EMU "
#define TABLES_ROUND 0x1000u              /* files keep their sizes when the guest changes the machine */

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

/* A pointer into the file of tables. */
static void put_pointer(struct acpi_tables *t, uint32_t target, unsigned size)
{
    loader_add_pointer(t->script, ACPI_FILE_TABLES, t->tables->len, size, ACPI_FILE_TABLES);
    put(t->tables, target, size);
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

static void table_end(struct acpi_tables *t, unsigned at)
{
    patch(t->tables, at + LENGTH_AT, t->tables->len - at, 4);
    loader_add_checksum(t->script, ACPI_FILE_TABLES, at + CHECKSUM_AT, at, t->tables->len - at);
}

/* --- MADT, 5.2.12 --- */

static unsigned make_madt(struct acpi_tables *t, const struct acpi_config *c)
{
    GByteArray *a = t->tables;
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
    table_end(t, at);
    return at;
}

/* --- FADT, 5.2.9 --- */

static void generic_address(GByteArray *a, unsigned bits, uint64_t addr, unsigned access)
{
    put(a, addr ? 1 : 0, 1), put(a, addr ? bits : 0, 1), put(a, 0, 1), put(a, addr ? access : 0, 1), put(a, addr, 8);
}

static unsigned make_fadt(struct acpi_tables *t, const struct acpi_config *c, uint32_t facs, uint32_t dsdt)
{
    GByteArray *a = t->tables;
    enum { WBINVD = 1 << 0, PROC_C1 = 1 << 2, SLP_BUTTON = 1 << 5, RTC_S4 = 1 << 7, RESET_REG = 1 << 10 };
    enum { LEGACY_DEVICES = 1 << 0, HAS_8042 = 1 << 1, NO_VGA = 1 << 2 };
    uint16_t event = c->pm_base + PM_EVENT, control = c->pm_base + PM_CONTROL, timer = c->pm_base + PM_TIMER;
    unsigned at = table_begin(a, "FACP", 3);
    put_pointer(t, facs, 4);
    put_pointer(t, dsdt, 4);
    put(a, 0, 1);
    put(a, 0, 1);                                     /* profile: unspecified */
    put(a, c->sci_irq, 2);
    put(a, PM_SMI_PORT, 4);
    put(a, PM_ACPI_ENABLE, 1), put(a, PM_ACPI_DISABLE, 1), put(a, 0, 1), put(a, 0, 1);
    put(a, event, 4), put(a, 0, 4);
    put(a, control, 4), put(a, 0, 4);
    put(a, 0, 4);
    put(a, timer, 4);
    put(a, c->gpe_base, 4), put(a, 0, 4);
    put(a, 4, 1), put(a, 2, 1), put(a, 0, 1), put(a, 4, 1);      /* lengths: PM1 event, control, PM2, timer */
    put(a, c->gpe_bytes, 1), put(a, 0, 1), put(a, 0, 1), put(a, 0, 1);      /* GPE0, GPE1, GPE1 base, CST_CNT */
    put(a, 0xfff, 2), put(a, 0xfff, 2);                          /* no C2, no C3 */
    put(a, 0, 2), put(a, 0, 2), put(a, 0, 1), put(a, 0, 1);      /* flush, duty */
    put(a, 0, 1), put(a, 0, 1), put(a, 0x32, 1);                 /* day and month alarm: none; century in CMOS 32h */
    put(a, LEGACY_DEVICES | (c->i8042 ? HAS_8042 : 0) | (c->vga ? 0 : NO_VGA), 2);
    put(a, 0, 1);
    put(a, WBINVD | PROC_C1 | SLP_BUTTON | RTC_S4 | RESET_REG, 4);
    generic_address(a, 8, 0xcf9, 1);
    put(a, 6, 1);                                                /* value that resets: hard, CPU */
    put(a, 0, 2), put(a, 0, 1);
    put_pointer(t, facs, 8);
    put_pointer(t, dsdt, 8);
    generic_address(a, 32, event, 2);
    generic_address(a, 0, 0, 0);
    generic_address(a, 16, control, 2);
    generic_address(a, 0, 0, 0);
    generic_address(a, 0, 0, 0);
    generic_address(a, 32, timer, 3);
    generic_address(a, 8u * c->gpe_bytes, c->gpe_base, 1);
    generic_address(a, 0, 0, 0);
    table_end(t, at);
    return at;
}

/* --- MCFG, HPET --- */

static unsigned make_mcfg(struct acpi_tables *t, const struct acpi_config *c)
{
    GByteArray *a = t->tables;
    /* Without ECAM now (firmware may turn it on later) the table keeps its place under a name that nobody looks for. */
    unsigned at = table_begin(a, c->ecam_size ? "MCFG" : "NCFG", 1);
    put(a, 0, 8);
    put(a, c->ecam, 8), put(a, 0, 2), put(a, 0, 1), put(a, c->ecam_size ? (c->ecam_size >> 20) - 1 : 0, 1), put(a, 0, 4);
    table_end(t, at);
    return at;
}

static unsigned make_hpet(struct acpi_tables *t)
{
    GByteArray *a = t->tables;
    unsigned at = table_begin(a, "HPET", 1);
    put(a, 0x8086a201, 4);                                       /* as its capability register says */
    put(a, 0, 1), put(a, 0, 1), put(a, 0, 1), put(a, 0, 1), put(a, 0xfed00000, 8);
    put(a, 0, 1), put(a, 0, 2), put(a, 0, 1);
    table_end(t, at);
    return at;
}

/* --- SSDT: AML by hand, chapter 20 --- */

enum { AML_NAME = 0x08, AML_BYTE = 0x0a, AML_WORD = 0x0b, AML_DWORD = 0x0c, AML_STRING = 0x0d, AML_QWORD = 0x0e, AML_SCOPE = 0x10, AML_BUFFER = 0x11,
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

static unsigned make_ssdt(struct acpi_tables *t, const struct acpi_config *c)
{
    GByteArray *a = t->tables;
    unsigned at = table_begin(a, "SSDT", 1);
    const struct {
        const char *name;
        uint64_t value;
    } names[] = {                                                /* what the DSDTs ask for */
        { "P1MN", c->memory[0].from }, { "P1MX", c->memory[0].to }, { "P2MN", c->memory[1].from }, { "P2MX", c->memory[1].to },
        { "P6MN", c->memory64.from }, { "P6MX", c->memory64.to }, { "ECMB", c->ecam }, { "ECML", c->ecam_size },
        { "HPEN", c->hpet }, { "KBEN", c->i8042 }, { "PVEN", c->pvpanic },
    };
    GByteArray *cpus = g_byte_array_new(), *isa = g_byte_array_new();
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        put(a, AML_NAME, 1), put(a, '\\', 1), put_text(a, names[i].name, 4), put(a, AML_QWORD, 1), put(a, names[i].value, 8);
    }
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
    table_end(t, at);
    return at;
}

/* --- virtual machine generation id: a device whose ADDR says where the 16 bytes are --- */

static unsigned make_vmgenid(struct acpi_tables *t)
{
    GByteArray *a = t->tables, *scope = g_byte_array_new(), *body = g_byte_array_new();
    unsigned at = table_begin(a, "SSDT", 1);
    put(a, AML_NAME, 1), put_text(a, "\\VGIA", 5), put(a, AML_DWORD, 1);
    loader_add_pointer(t->script, ACPI_FILE_TABLES, a->len, 4, ACPI_FILE_VMGENID);
    put(a, t->vmgenid_at, 4);
    put_text(body, "VGEN", 4);
    put(body, AML_NAME, 1), put_text(body, "_HID", 4), put(body, AML_STRING, 1), put_text(body, "QEMUVGID", 9);
    put(body, AML_NAME, 1), put_text(body, "_CID", 4), put(body, AML_STRING, 1), put_text(body, "VM_Gen_Counter", 15);
    put(body, AML_NAME, 1), put_text(body, "_DDN", 4), put(body, AML_STRING, 1), put_text(body, "VM_Gen_Counter", 15);
    /* Method (ADDR, 0) { Return (Package (2) { VGIA, 0 }) }: VarPackage, for its element is looked up */
    GByteArray *method = g_byte_array_new(), *package = g_byte_array_new();
    put_text(method, "ADDR", 4), put(method, 0, 1);
    put(package, AML_BYTE, 1), put(package, 2, 1), put_text(package, "\\VGIA", 5), put(package, 0, 1);
    put(method, 0xa4, 1), put(method, 0x13, 1), put_package(method, package);
    put(body, 0x14, 1), put_package(body, method);
    put_text(scope, "\\_SB_", 5);
    put_device(scope, body);
    put(a, AML_SCOPE, 1);
    put_package(a, scope);
    table_end(t, at);
    return at;
}

/* --- all --- */

static unsigned make_extra(struct acpi_tables *t, const GByteArray *table)
{
    GByteArray *a = t->tables;
    align(a, 16);
    unsigned at = a->len;
    g_byte_array_append(a, table->data, table->len);
    return at;
}

static void make_rsdp(struct acpi_tables *t, uint32_t rsdt, uint32_t xsdt)
{
    GByteArray *r = t->rsdp;                                     /* 5.2.5.3 */
    put_text(r, "RSD PTR ", 8);
    put(r, 0, 1);
    put_text(r, OEM_ID, 6);
    put(r, 2, 1);
    loader_add_pointer(t->script, ACPI_FILE_RSDP, 16, 4, ACPI_FILE_TABLES);
    put(r, rsdt, 4);
    put(r, 36, 4);
    loader_add_pointer(t->script, ACPI_FILE_RSDP, 24, 8, ACPI_FILE_TABLES);
    put(r, xsdt, 8);
    zeros(r, 4);
    loader_add_checksum(t->script, ACPI_FILE_RSDP, 8, 0, 20);
    loader_add_checksum(t->script, ACPI_FILE_RSDP, 32, 0, 36);
}

static unsigned make_root(struct acpi_tables *t, const char *signature, unsigned size, const GArray *at)
{
    unsigned root = table_begin(t->tables, signature, 1);
    for (unsigned i = 0; i < at->len; i++) {
        put_pointer(t, g_array_index(at, unsigned, i), size);
    }
    table_end(t, root);
    return root;
}

void acpi_tables_make(struct acpi_tables *t, const struct acpi_config *c)
{
    const uint8_t *dsdt_code = c->q35 ? dsdt_q35_aml : dsdt_i440fx_aml;
    size_t dsdt_len = c->q35 ? sizeof(dsdt_q35_aml) : sizeof(dsdt_i440fx_aml);
    GByteArray *a = g_byte_array_new();
    *t = (struct acpi_tables){ .tables = a, .rsdp = g_byte_array_new(), .script = g_byte_array_new() };
    loader_allocate(t->script, ACPI_FILE_RSDP, 16, true);
    loader_allocate(t->script, ACPI_FILE_TABLES, 64, false);
    if (c->vmgenid) {
        t->vmgenid = g_byte_array_new();
        t->vmgenid_at = 40;                                      /* OVMF wants room for a table's head before data */
        zeros(t->vmgenid, 4096);
        memcpy(t->vmgenid->data + t->vmgenid_at, c->vmgenid, 16);
        loader_allocate(t->script, ACPI_FILE_VMGENID, 4096, false);
        loader_write_pointer(t->script, ACPI_FILE_VMGENID_ADDR, 0, 8, ACPI_FILE_VMGENID, t->vmgenid_at);
    }
    unsigned facs = a->len;                                      /* 5.2.10: on a 64-byte boundary */
    put_text(a, "FACS", 4), put(a, 64, 4);
    zeros(a, 24);
    put(a, 1, 1);
    zeros(a, 31);
    unsigned dsdt = a->len;
    g_byte_array_append(a, dsdt_code, dsdt_len);
    g_autoptr(GArray) at = g_array_new(FALSE, FALSE, sizeof(unsigned));
    unsigned table[] = { make_fadt(t, c, facs, dsdt), make_ssdt(t, c), make_madt(t, c) };
    g_array_append_vals(at, table, G_N_ELEMENTS(table));
    if (c->q35) {
        unsigned mcfg = make_mcfg(t, c);
        g_array_append_val(at, mcfg);
    }
    if (c->hpet) {
        unsigned hpet = make_hpet(t);
        g_array_append_val(at, hpet);
    }
    if (c->vmgenid) {
        unsigned vmgenid = make_vmgenid(t);
        g_array_append_val(at, vmgenid);
    }
    for (unsigned i = 0; c->extra && c->extra[i]; i++) {
        unsigned extra = make_extra(t, c->extra[i]);
        g_array_append_val(at, extra);
    }
    unsigned rsdt = make_root(t, "RSDT", 4, at), xsdt = make_root(t, "XSDT", 8, at);
    make_rsdp(t, rsdt, xsdt);
}

void acpi_tables_free(struct acpi_tables *t)
{
    GByteArray **all[] = { &t->tables, &t->rsdp, &t->script, &t->vmgenid };
    for (unsigned i = 0; i < G_N_ELEMENTS(all); i++) {
        if (*all[i]) {
            g_byte_array_free(*all[i], TRUE);
            *all[i] = NULL;
        }
    }
}

GByteArray *acpi_build(const struct acpi_config *c, uint64_t at)
{
    GByteArray *all = g_byte_array_new();
    struct acpi_tables t;
    struct loader_file files[3] = { { ACPI_FILE_RSDP, NULL, at }, { ACPI_FILE_TABLES, NULL, at + 64 }, { ACPI_FILE_VMGENID, NULL, 0 } };

    acpi_tables_make(&t, c);
    files[0].data = t.rsdp;
    files[1].data = t.tables;
    files[2].data = t.vmgenid;
    files[2].at = (at + 64 + t.tables->len + 4095) & ~4095ull;
    loader_run(t.script, files, t.vmgenid ? 3 : 2);
    for (unsigned i = 0; i < (t.vmgenid ? 3 : 2); i++) {
        zeros(all, files[i].at - at - all->len);
        g_byte_array_append(all, files[i].data->data, files[i].data->len);
    }
    acpi_tables_free(&t);
    return all;
}

/* --- -acpitable --- */

GByteArray *acpi_table_parse(const char *text, GError **err)
{
    static const struct option_desc desc[] = {
        { "file", OPT_STRING, NULL, "a whole table, or several with commas", NULL, 0, 0 }, { "data", OPT_STRING, NULL, NULL, NULL, 0, 0 },
        { "sig", OPT_STRING, NULL, NULL, NULL, 0, 0 }, { "rev", OPT_UINT, NULL, NULL, NULL, 0, 255 },
        { "oem_id", OPT_STRING, NULL, NULL, NULL, 0, 0 }, { "oem_table_id", OPT_STRING, NULL, NULL, NULL, 0, 0 },
        { "oem_rev", OPT_UINT, NULL, NULL, NULL, 0, 0 }, { "asl_compiler_id", OPT_STRING, NULL, NULL, NULL, 0, 0 },
        { "asl_compiler_rev", OPT_UINT, NULL, NULL, NULL, 0, 0 }, { 0 },
    };
    static const struct {
        const char *key;
        uint8_t at, size;
        bool number;
    } members[] = { { "sig", 0, 4, false }, { "rev", 8, 1, true }, { "oem_id", 10, 6, false }, { "oem_table_id", 16, 8, false },
                    { "oem_rev", 24, 4, true }, { "asl_compiler_id", 28, 4, false }, { "asl_compiler_rev", 32, 4, true } };
    struct options *o = options_parse(text, NULL, desc, err);
    const char *file = o ? options_string(o, "file", NULL) : NULL, *data = o ? options_string(o, "data", NULL) : NULL;
    g_autofree char *bytes = NULL;
    GByteArray *a = NULL;
    gsize len = 0;

    if (!o) {
        return NULL;
    }
    if (!file == !data) {
        error_set(err, EMU_ERROR_INVALID, "one of file= (a table with its header) and data= (what follows the header) is needed");
    } else if (g_file_get_contents(file ? file : data, &bytes, &len, err) && file && len < HEADER_SIZE) {
        error_set(err, EMU_ERROR_INVALID, "'%s' is too short for a table", file);
    } else if (bytes) {
        a = g_byte_array_new();
        if (data) {
            table_begin(a, "OEM0", 1);
        }
        g_byte_array_append(a, (const uint8_t *)bytes, len);
        for (unsigned i = 0; i < G_N_ELEMENTS(members); i++) {
            const char *v = options_string(o, members[i].key, NULL);
            if (v && members[i].number) {
                patch(a, members[i].at, options_uint(o, members[i].key, 0), members[i].size);
            } else if (v) {
                strncpy((char *)a->data + members[i].at, v, members[i].size);
            }
        }
        uint8_t sum = 0;
        patch(a, LENGTH_AT, a->len, 4);
        a->data[CHECKSUM_AT] = 0;
        for (unsigned i = 0; i < a->len; i++) {
            sum += a->data[i];
        }
        a->data[CHECKSUM_AT] = -sum;
    }
    options_free(o);
    return a;
}
