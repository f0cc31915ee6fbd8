/*
 * What firmware starts from and asks for: the ROM, CMOS, fw_cfg with ACPI and SMBIOS tables, boot order, the kernel of -kernel. Without
 * firmware the same tables are placed in memory and the kernel begins right after reset.
 * Spec: "QEMU Firmware Configuration (fw_cfg) Device", "fw_cfg ACPI linker/loader"; CMOS as SeaBIOS and Bochs's BIOS read it.
 */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "block/block.h"
#include "core/boot_order.h"
#include "core/datafile.h"
#include "core/dma.h"
#include "hw/acpi/acpi_pm.h"
#include "hw/boards/pc.h"
#include "hw/char/uart16550.h"
#include "hw/intc/ioapic.h"
#include "hw/intc/lapic.h"
#include "hw/misc/pflash_cfi01.h"
#include "hw/timer/mc146818.h"

#define DEFAULT_BIOS "bios-256k.bin"
#define BIOS_MAX     (16 * MIB)

/* --- ROM --- */

static bool load_bios(struct pc *pc, GError **err)
{
    struct machine *m = pc->dev.machine;
    const char *name = m->spec.firmware ? m->spec.firmware : DEFAULT_BIOS;
    g_autofree char *path = data_file_find(m, name), *data = NULL;
    gsize len = 0;

    if (!path) {
        return error_set(err, EMU_ERROR_NOT_FOUND, m->spec.firmware ? "-bios %s: no such file, here or in a folder of -L"
                         : "firmware '%s' is not installed (package seabios); -bios names a file, -L a folder, -kernel starts without", name);
    }
    if (!g_file_get_contents(path, &data, &len, err)) {
        return error_prefix(err, "-bios");
    }
    if (!len || len > BIOS_MAX || len % (64 * KIB)) {
        return error_set(err, EMU_ERROR_INVALID, "-bios %s: %zu bytes: firmware is a multiple of 64 KiB, at most 16 MiB", path, len);
    }
    struct ram_block *rom = ram_new(m, "pc.bios", len, true, err);
    if (!rom) {
        return false;
    }
    memcpy(rom->host, data, len);
    uint64_t low = MIN(len, 128 * KIB);
    region_init_ram(&pc->bios, "bios", rom, 0, len);
    region_add(&m->memory_root, &pc->bios, HIGH_RAM - len, 0);
    region_init_alias(&pc->isa_bios, "isa-bios", &pc->bios, len - low, low);
    region_add(&pc->host->memory, &pc->isa_bios, MIB - low, 0);
    pc->firmware = true;
    return true;
}

/* Flash memory of -drive if=pflash or -machine pflash0=: the first one ends at 4 GiB, the second one lies below it. *any: there is one. */
static bool load_flash(struct pc *pc, bool *any, GError **err)
{
    struct machine *m = pc->dev.machine;
    uint64_t end = HIGH_RAM;
    *any = false;
    for (unsigned i = 0; i < G_N_ELEMENTS(pc->flash); i++) {
        char key[] = { 'p', 'f', 'l', 'a', 's', 'h', '0' + i, 0 }, id[] = "system.flash0";
        const struct drive *d = m->drives ? drive_by_place(m->drives, DRIVE_PFLASH, 0, i) : NULL;
        const char *name = m->spec.machine_options ? options_string(m->spec.machine_options, key, NULL) : NULL;
        name = name ? name : d ? d->id : NULL;
        uint64_t size;
        if (!name) {
            continue;
        }
        if (i && !*any) {
            return error_set(err, EMU_ERROR_INVALID, "flash 1 without flash 0");
        }
        id[strlen(id) - 1] += i;
        pc->flash[i] = device_make(m, &pflash_cfi01_class, id, err, "drive", name, NULL);
        if (!pc->flash[i]) {
            return false;
        }
        struct region *r = pflash_region(pc->flash[i], &size);
        end -= size;
        region_add(&m->memory_root, r, end, 0);
        if (!*any) {
            uint64_t low = MIN(size, 128 * KIB);
            region_init_alias(&pc->isa_bios, "isa-bios", r, size - low, low);
            region_add(&pc->host->memory, &pc->isa_bios, MIB - low, 0);
        }
        *any = true;
    }
    pc->firmware = *any;
    return true;
}

/* Without -bios a kernel starts directly. */
bool pc_firmware_load(struct pc *pc, GError **err)
{
    struct machine *m = pc->dev.machine;
    bool flash;
    if (!load_flash(pc, &flash, err)) {
        return false;
    }
    if (flash && m->spec.firmware) {
        return error_set(err, EMU_ERROR_INVALID, "-bios and flash memory exclude each other");
    }
    return flash || (!m->spec.firmware && m->spec.kernel) || load_bios(pc, err);
}

/* --- CMOS --- */

static uint8_t boot_nibble(char c)
{
    return c == 'a' ? 1 : c == 'c' ? 2 : c == 'd' ? 3 : c == 'n' ? 4 : 0;
}

/* Three drives to try, as drive letters, in two bytes of CMOS. */
static void set_boot_order(struct pc *pc, const char *order)
{
    struct mc146818 *rtc = (struct mc146818 *)pc->row[PC_RTC];
    uint8_t boot[3] = { 0 };
    for (unsigned i = 0; i < 3 && order[i]; i++) {
        boot[i] = boot_nibble(order[i]);
    }
    mc146818_set(rtc, 0x38, boot[2] << 4 | (pc->dev.machine->spec.boot_floppy_check ? 0 : 1));
    mc146818_set(rtc, 0x3d, boot[1] << 4 | boot[0]);
}

static const char *usual_order(const struct machine *m) { return m->spec.boot_order ? m->spec.boot_order : "cad"; }

static void fill_cmos(struct pc *pc)
{
    struct machine *m = pc->dev.machine;
    struct mc146818 *rtc = (struct mc146818 *)pc->row[PC_RTC];
    uint64_t ext = MIN((pc->boot.low_end - MIB) / KIB, 0xffff);
    uint64_t above16 = pc->boot.low_end > 16 * MIB ? MIN((pc->boot.low_end - 16 * MIB) / (64 * KIB), 0xffff) : 0;
    uint64_t high = m->main_ram->size > pc->boot.low_end ? (m->main_ram->size - pc->boot.low_end) / (64 * KIB) : 0;
    const struct {
        uint8_t at, bytes;
        uint64_t value;
    } rows[] = {
        { 0x15, 2, 640 }, { 0x17, 2, ext }, { 0x30, 2, ext }, { 0x34, 2, above16 }, { 0x5b, 3, high },
        { 0x5f, 1, m->spec.cpus - 1 },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        for (unsigned k = 0; k < rows[i].bytes; k++) {
            mc146818_set(rtc, rows[i].at + k, rows[i].value >> 8 * k);
        }
    }
    mc146818_set(rtc, 0x14, mc146818_get(rtc, 0x14) | 0x06);     /* equipment: FPU, PS/2 mouse; floppies are added by their controller */
}

/* --- ACPI --- */

/* Windows of the root bus: what is neither RAM nor ECAM nor the fixed area from FEC00000h on. */
static void acpi_windows(struct pc *pc, struct acpi_config *c)
{
    uint64_t from = pc->boot.low_end, top = 0xfebfffff, high = HIGH_RAM + (pc->dev.machine->main_ram->size - pc->boot.low_end);
    if (pc->host->ecam_mapped) {
        c->ecam = pc->host->ecam_at;
        c->ecam_size = pc->host->ecam_size;
    }
    if (c->ecam_size && c->ecam >= from && c->ecam < top) {
        uint64_t after = c->ecam + c->ecam_size;
        c->memory[0] = (struct acpi_window){ from, c->ecam - 1 };
        c->memory[1] = (struct acpi_window){ after, after < top ? top : 0 };
        if (c->ecam == from) {
            c->memory[0] = c->memory[1];
            c->memory[1].to = 0;
        }
    } else {
        c->memory[0] = (struct acpi_window){ from, top };
    }
    /* Firmware takes up to 32 GiB from a multiple of 32 GiB on. */
    c->memory64.from = (high + GIB - 1) & ~(GIB - 1);
    c->memory64.to = ((high + 32 * GIB - 1) & ~(32 * GIB - 1)) + 32 * GIB - 1;
}

static void with_acpi_config(struct pc *pc, void (*fn)(struct pc *pc, const struct acpi_config *c))
{
    struct machine *m = pc->dev.machine;
    struct acpi_serial serial[4];
    unsigned n_serial = 0;
    g_autofree uint32_t *ids = g_new(uint32_t, pc->apics.n_cpus);
    for (unsigned i = 0; i < pc->apics.n_cpus; i++) {
        ids[i] = pc->apics.cpus[i]->x86.id;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(m->spec.serial); i++) {
        if (m->spec.serial[i]) {
            uart_default_address(i, &serial[n_serial].port, &serial[n_serial].irq);
            n_serial++;
        }
    }
    struct acpi_config c = {
        .q35 = pc->chipset->q35, .n_cpus = pc->apics.n_cpus, .apic_id = ids, .lapic_base = X86_APIC_DEFAULT_BASE,
        .ioapic_base = IOAPIC_DEFAULT_BASE, .pm_base = PM_DEFAULT_BASE, .gpe_base = pc->chipset->gpe_base, .gpe_bytes = pc->chipset->gpe_bytes,
        .sci_irq = SCI_IRQ, .level_irqs = LEVEL_IRQS, .serial = serial, .n_serial = n_serial, .vga = m->spec.graphics, .i8042 = true,
        .extra = pc->acpi_extra ? (GByteArray *const *)pc->acpi_extra->pdata : NULL };
    acpi_windows(pc, &c);
    fn(pc, &c);
}

static void place_acpi(struct pc *pc, const struct acpi_config *c)
{
    if (pc->acpi) {
        g_byte_array_free(pc->acpi, TRUE);
    }
    pc->acpi = acpi_build(c, ACPI_AREA);
}

static void make_tables(struct pc *pc, const struct acpi_config *c)
{
    acpi_tables_free(&pc->tables);
    acpi_tables_make(&pc->tables, c);
    g_byte_array_set_size(pc->tables.tables, (pc->tables.tables->len + 4095) & ~4095u);
}

/* Files whose contents depend on how firmware has set the machine up are made when it first looks, their sizes before. */
static void refresh_tables(void *opaque)
{
    struct pc *pc = opaque;
    struct fw_cfg *f = (struct fw_cfg *)pc->row[PC_FW_CFG];
    if (pc->tables_fresh) {
        return;
    }
    pc->tables_fresh = true;
    with_acpi_config(pc, make_tables);
    fw_cfg_change_file(f, ACPI_FILE_TABLES, pc->tables.tables->data, pc->tables.tables->len);
    fw_cfg_change_file(f, ACPI_FILE_RSDP, pc->tables.rsdp->data, pc->tables.rsdp->len);
    fw_cfg_change_file(f, ACPI_FILE_SCRIPT, pc->tables.script->data, pc->tables.script->len);
}

static bool read_acpitables(struct pc *pc, GError **err)
{
    const char *const *texts = pc->dev.machine->spec.acpi_tables;
    for (unsigned i = 0; texts && texts[i]; i++) {
        GByteArray *t = acpi_table_parse(texts[i], err);
        if (!t) {
            return error_prefix(err, "-acpitable %s", texts[i]);
        }
        if (!pc->acpi_extra) {
            pc->acpi_extra = g_ptr_array_new();
        }
        g_ptr_array_add(pc->acpi_extra, t);
    }
    if (pc->acpi_extra) {
        g_ptr_array_add(pc->acpi_extra, NULL);
    }
    return true;
}

static bool fill_acpi(struct pc *pc, struct fw_cfg *f, GError **err)
{
    static const uint8_t system_states[6] = { 128, 0, 0, 1, 2, 128 };      /* S3, S4 off; S5 on */
    with_acpi_config(pc, make_tables);
    const struct {
        const char *name;
        GByteArray *data;
    } files[] = { { ACPI_FILE_TABLES, pc->tables.tables }, { ACPI_FILE_RSDP, pc->tables.rsdp }, { ACPI_FILE_SCRIPT, pc->tables.script } };
    for (unsigned i = 0; i < G_N_ELEMENTS(files); i++) {
        if (!fw_cfg_add_file(f, files[i].name, files[i].data->data, files[i].data->len, false, err)) {
            return false;
        }
        fw_cfg_before_read(f, files[i].name, refresh_tables, pc);
    }
    return fw_cfg_add_file(f, "etc/system-states", system_states, sizeof(system_states), false, err);
}

/* --- fw_cfg --- */

static bool add_text(struct fw_cfg *f, const char *name, const char *text, GError **err)
{
    return fw_cfg_add_file(f, name, text, strlen(text) + 1, false, err);
}

static bool add_number(struct fw_cfg *f, const char *name, uint64_t v, unsigned size, GError **err)
{
    v = GUINT64_TO_LE(v);
    return fw_cfg_add_file(f, name, &v, size, false, err);
}

static bool fill_e820(struct pc *pc, struct fw_cfg *f, GError **err)
{
    struct machine *m = pc->dev.machine;
    const struct e820_entry rows[2] = { { 0, pc->boot.low_end, E820_RAM }, { HIGH_RAM, m->main_ram->size - pc->boot.low_end, E820_RAM } };
    g_autoptr(GByteArray) a = g_byte_array_new();
    for (unsigned i = 0; i < (rows[1].size ? 2 : 1); i++) {
        g_byte_array_append(a, (const uint8_t *)&rows[i], 20);
    }
    return fw_cfg_add_file(f, "etc/e820", a->data, a->len, false, err);
}

static bool fill_boot(struct pc *pc, struct fw_cfg *f, GError **err)
{
    const struct machine_spec *s = &pc->dev.machine->spec;
    GString *list = boot_order_list(pc->dev.machine);
    if (list->len && s->boot_strict) {
        g_string_truncate(list, list->len - 1);
        g_string_append(list, "\nHALT");
        g_string_append_c(list, 0);
    }
    bool ok = !list->len || fw_cfg_add_file(f, "bootorder", list->str, list->len, false, err);
    g_string_free(list, TRUE);
    fw_cfg_add_u16(f, FW_CFG_BOOT_MENU, s->boot_menu);
    ok = ok && (!s->boot_menu || s->boot_splash_time < 0 || add_number(f, "etc/boot-menu-wait", s->boot_splash_time, 2, err));
    return ok && (s->boot_reboot_timeout < 0 || add_number(f, "etc/boot-fail-wait", s->boot_reboot_timeout, 4, err));
}

/* -fw_cfg [name=]NAME,file=FILE|string=TEXT */
static bool fill_user(struct pc *pc, struct fw_cfg *f, GError **err)
{
    static const struct option_desc desc[] = {
        { "name", OPT_STRING, NULL, NULL, NULL, 0, 0 }, { "file", OPT_STRING, NULL, NULL, NULL, 0, 0 }, { "string", OPT_STRING, NULL, NULL, NULL, 0, 0 },
        { 0 },
    };
    const char *const *texts = pc->dev.machine->spec.fw_cfg;
    for (unsigned i = 0; texts && texts[i]; i++) {
        struct options *o = options_parse(texts[i], "name", desc, err);
        const char *name = o ? options_string(o, "name", "") : NULL, *file = o ? options_string(o, "file", NULL) : NULL;
        const char *string = o ? options_string(o, "string", NULL) : NULL;
        g_autofree char *data = NULL;
        gsize len = 0;
        bool ok = o != NULL;
        if (ok && (!*name || !file == !string)) {
            ok = error_set(err, EMU_ERROR_INVALID, "name= and one of file= and string= are needed");
        }
        if (ok && file) {
            ok = g_file_get_contents(file, &data, &len, err);
        }
        ok = ok && fw_cfg_add_file(f, name, file ? data : string, file ? len : strlen(string), false, err);
        options_free(o);
        if (!ok) {
            return error_prefix(err, "-fw_cfg %s", texts[i]);
        }
    }
    return true;
}

/* -option-rom FILE[,bootindex=N] */
static bool fill_option_roms(struct pc *pc, struct fw_cfg *f, GError **err)
{
    static const struct option_desc desc[] = { { "romfile", OPT_STRING, NULL, NULL, NULL, 0, 0 }, { "bootindex", OPT_UINT, NULL, NULL, NULL, 0, 0 }, { 0 } };
    struct machine *m = pc->dev.machine;
    const char *const *texts = m->spec.option_roms;
    for (unsigned i = 0; texts && texts[i]; i++) {
        struct options *o = options_parse(texts[i], "romfile", desc, err);
        const char *file = o ? options_string(o, "romfile", "") : "";
        g_autofree char *path = data_file_find(m, file), *base = g_path_get_basename(file), *name = g_strdup_printf("genroms/%s", base), *data = NULL;
        gsize len = 0;
        bool ok = o && (path || error_set(err, EMU_ERROR_NOT_FOUND, "no such file, here or in a folder of -L")) &&
                  g_file_get_contents(path, &data, &len, err) && fw_cfg_add_file(f, name, data, len, false, err);
        if (ok && options_has(o, "bootindex")) {
            g_autofree char *where = g_strdup_printf("/rom@%s", name);
            boot_order_add(m, NULL, options_uint(o, "bootindex", 0), where);
        }
        options_free(o);
        if (!ok) {
            return error_prefix(err, "-option-rom %s", texts[i]);
        }
    }
    return true;
}

static void fill_fixed(struct pc *pc, struct fw_cfg *f)
{
    struct machine *m = pc->dev.machine;
    uint8_t uuid[16] = { 0 };
    unsigned n = 0;
    for (const char *c = m->spec.uuid; c && *c && n < 16; c++) {
        if (g_ascii_isxdigit(c[0]) && g_ascii_isxdigit(c[1])) {
            uuid[n++] = g_ascii_xdigit_value(c[0]) << 4 | g_ascii_xdigit_value(c[1]);
            c++;
        }
    }
    fw_cfg_add(f, FW_CFG_UUID, uuid, sizeof(uuid));
    fw_cfg_add_u64(f, FW_CFG_RAM_SIZE, m->main_ram->size);
    fw_cfg_add_u16(f, FW_CFG_NB_CPUS, m->spec.cpus);
    fw_cfg_add_u16(f, FW_CFG_MAX_CPUS, MAX(m->spec.max_cpus, m->spec.cpus));
    fw_cfg_add_u16(f, FW_CFG_NOGRAPHIC, !m->spec.graphics);
    fw_cfg_add_u32(f, FW_CFG_IRQ0_OVERRIDE, 1);
}

static bool fill_fw_cfg(struct pc *pc, GError **err)
{
    struct machine *m = pc->dev.machine;
    struct fw_cfg *f = (struct fw_cfg *)pc->row[PC_FW_CFG];
    fill_fixed(pc, f);
    return fill_e820(pc, f, err) && (!m->spec.acpi || fill_acpi(pc, f, err)) &&
           fw_cfg_add_file(f, "etc/smbios/smbios-tables", pc->smbios.tables->data, pc->smbios.tables->len, false, err) &&
           fw_cfg_add_file(f, "etc/smbios/smbios-anchor", pc->smbios.anchor->data, pc->smbios.anchor->len, false, err) &&
           fill_option_roms(pc, f, err) && fill_boot(pc, f, err) &&
           fill_user(pc, f, err) && add_text(f, "opt/emu/version", CONFIG_VERSION, err);
}

/* --- all --- */

static bool load_kernel(struct pc *pc, GError **err)
{
    const struct machine_spec *s = &pc->dev.machine->spec;
    pc->boot.kernel = s->kernel;
    pc->boot.initrd = s->initrd;
    pc->boot.append = s->append;
    pc->boot.rsdp = s->acpi ? ACPI_AREA : 0;
    pc->image = boot_load(&pc->boot, err);
    return pc->image != NULL;
}

bool pc_firmware_finish(struct pc *pc, GError **err)
{
    struct machine *m = pc->dev.machine;
    if (pc->firmware && m->spec.kernel) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: -kernel through firmware; without -bios and flash the kernel starts by itself");
    }
    fill_cmos(pc);
    set_boot_order(pc, m->spec.boot_once ? m->spec.boot_once : usual_order(m));
    if (!smbios_make(m, m->spec.smbios, &pc->smbios, err) || !read_acpitables(pc, err) || !fill_fw_cfg(pc, err)) {
        return false;
    }
    return pc->firmware || load_kernel(pc, err);
}

void pc_firmware_reset(struct pc *pc)
{
    struct machine *m = pc->dev.machine;
    /* -boot once= is for the power-on; the resets before the machine runs belong to it. */
    if (m->spec.boot_once && m->state != RUN_PRELAUNCH) {
        set_boot_order(pc, usual_order(m));
    }
    if (!pc->image) {
        return;
    }
    pc->chipset->firmware(pc);
    if (m->spec.acpi) {
        with_acpi_config(pc, place_acpi);
        dma_write_rom(&m->memory, ACPI_AREA, pc->acpi->data, pc->acpi->len);
    }
}

void pc_firmware_free(struct pc *pc)
{
    boot_image_free(pc->image);
    acpi_tables_free(&pc->tables);
    smbios_free(&pc->smbios);
    if (pc->acpi) {
        g_byte_array_free(pc->acpi, TRUE);
    }
    for (unsigned i = 0; pc->acpi_extra && i + 1 < pc->acpi_extra->len; i++) {
        g_byte_array_free(g_ptr_array_index(pc->acpi_extra, i), TRUE);
    }
    if (pc->acpi_extra) {
        g_ptr_array_free(pc->acpi_extra, TRUE);
    }
}
