/*
 * Linux bzImage: the 64-bit boot protocol where the kernel offers it, else the 32-bit one. Kernels that need their real-mode code
 * (zImage, protocol before 2.00) are refused. Spec: Linux Documentation/arch/x86/boot.rst and zero-page.rst; names as there.
 */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "hw/boards/boot.h"

enum {                                   /* offsets in the file's header = in boot_params */
    SETUP_SECTS = 0x1f1, BOOT_FLAG = 0x1fe, HEADER_END = 0x201, HEADER = 0x202, VERSION = 0x206, TYPE_OF_LOADER = 0x210,
    LOADFLAGS = 0x211, CODE32_START = 0x214, RAMDISK_IMAGE = 0x218, RAMDISK_SIZE = 0x21c, CMD_LINE_PTR = 0x228, INITRD_ADDR_MAX = 0x22c,
    KERNEL_ALIGNMENT = 0x230, RELOCATABLE = 0x234, XLOADFLAGS = 0x236, CMDLINE_SIZE = 0x238, PREF_ADDRESS = 0x258, INIT_SIZE = 0x260,
};
enum { ACPI_RSDP_ADDR = 0x070, ALT_MEM_K = 0x1e0, E820_ENTRIES = 0x1e8, E820_TABLE = 0x2d0, E820_SIZE = 20, BOOT_PARAMS = 4096 };
enum { LOADED_HIGH = 1, XLF_KERNEL_64 = 1 };
#define LOADER_UNDEFINED 0xff

/* Low memory: all of it is free RAM for the kernel once it has read what is here. */
#define AT_BOOT_PARAMS 0x10000u
#define AT_TABLES      0x11000u
#define AT_CMDLINE     0x20000u

#define LOAD_DEFAULT   0x100000u
#define INITRD_MAX_OLD 0x37ffffffu       /* before protocol 2.03 */

static uint16_t get16(const uint8_t *p) { return p[0] | p[1] << 8; }
static uint32_t get32(const uint8_t *p) { return get16(p) | (uint32_t)get16(p + 2) << 16; }
static uint64_t get64(const uint8_t *p) { return get32(p) | (uint64_t)get32(p + 4) << 32; }

static void put(uint8_t *p, uint64_t v, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        p[i] = v >> 8 * i;
    }
}

bool linux_is(const uint8_t *data, size_t len)
{
    return len >= 0x250 && get16(data + BOOT_FLAG) == 0xaa55 && !memcmp(data + HEADER, "HdrS", 4);
}

/* What the header says, with the defaults of older protocols. */
struct kernel {
    const uint8_t *h;                    /* the file */
    uint16_t version;
    uint8_t params[BOOT_PARAMS];         /* boot_params being made */
    size_t setup_size;                   /* real-mode part of the file */
    uint64_t load, size;                 /* where the rest goes, and what it needs there */
    uint64_t initrd_max;
    uint32_t cmdline_max;
    bool long64;
};

static bool read_header(struct kernel *k, size_t len, GError **err)
{
    const uint8_t *h = k->h;
    k->version = get16(h + VERSION);
    if (k->version < 0x200 || !(h[LOADFLAGS] & LOADED_HIGH)) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: a Linux kernel this old (zImage, or boot protocol before 2.00)");
    }
    k->setup_size = ((h[SETUP_SECTS] ? h[SETUP_SECTS] : 4) + 1) * 512u;
    uint64_t syssize = (uint64_t)get32(h + 0x1f4) * 16;
    if (k->setup_size >= len || (k->version >= 0x204 && syssize > len - k->setup_size + 15)) {
        return error_set(err, EMU_ERROR_INVALID, "truncated: the header promises %" PRIu64 " bytes, the file has %zu",
                         k->setup_size + syssize, len);
    }
    k->initrd_max = k->version >= 0x203 ? get32(h + INITRD_ADDR_MAX) : INITRD_MAX_OLD;
    k->cmdline_max = k->version >= 0x206 ? get32(h + CMDLINE_SIZE) : 255;
    k->long64 = k->version >= 0x20c && (get16(h + XLOADFLAGS) & XLF_KERNEL_64);
    size_t copy = HEADER + h[HEADER_END] - SETUP_SECTS;
    memcpy(k->params + SETUP_SECTS, h + SETUP_SECTS, MIN(copy, len - SETUP_SECTS));
    return true;
}

/* Where the protected-mode part goes: where the kernel would like to run, if there is room. */
static bool choose_place(struct kernel *k, size_t file_size, const struct boot_machine *m, GError **err)
{
    const uint8_t *h = k->h;
    k->load = LOAD_DEFAULT;
    k->size = file_size;
    if (k->version >= 0x20a) {
        uint64_t preferred = get64(h + PREF_ADDRESS), align = get32(h + KERNEL_ALIGNMENT);
        k->size = MAX(get32(h + INIT_SIZE), k->size);
        bool fits = preferred >= LOAD_DEFAULT && preferred <= m->low_end && k->size <= m->low_end - preferred;
        if (fits) {
            k->load = preferred;
        } else if (h[RELOCATABLE] && align) {
            k->load = (LOAD_DEFAULT + align - 1) / align * align;
        }
    }
    if (k->load > m->low_end || k->size > m->low_end - k->load) {
        return error_set(err, EMU_ERROR_INVALID, "needs memory up to %.0f MiB, the guest has %.0f (a larger -m may help)",
                         (k->load + k->size) / 1048576.0, m->low_end / 1048576.0);
    }
    return true;
}

static bool add_initrd(struct kernel *k, struct boot_image *b, GError **err)
{
    const struct boot_machine *m = b->machine;
    uint8_t *data;
    size_t len;
    uint64_t at;
    if (!m->initrd) {
        return true;
    }
    if (!boot_read_file(b, "initrd", m->initrd, &data, &len, err)) {
        return false;
    }
    if (len == 0) {
        g_free(data);
        return true;
    }
    uint64_t limit = MIN(m->low_end, k->initrd_max + 1);
    g_autofree char *what = g_strdup_printf("initrd '%s'", m->initrd);
    if (!boot_add_high(b, what, LOAD_DEFAULT, limit, data, len, &at, err)) {
        return false;
    }
    put(k->params + RAMDISK_IMAGE, at, 4);
    put(k->params + RAMDISK_SIZE, len, 4);
    return true;
}

static bool add_cmdline(struct kernel *k, struct boot_image *b, GError **err)
{
    const char *text = b->machine->append ? b->machine->append : "";
    size_t len = strlen(text);
    if (len > k->cmdline_max) {
        return error_set(err, EMU_ERROR_INVALID, "-append of %zu characters: this kernel takes %u", len, k->cmdline_max);
    }
    put(k->params + CMD_LINE_PTR, AT_CMDLINE, 4);
    return boot_add(b, "command line", AT_CMDLINE, g_strdup(text), len + 1, 0, err);
}

static void fill_params(struct kernel *k, const struct boot_machine *m)
{
    uint8_t *p = k->params;
    p[TYPE_OF_LOADER] = LOADER_UNDEFINED;
    put(p + CODE32_START, k->load, 4);
    put(p + ACPI_RSDP_ADDR, m->rsdp, 8);
    put(p + ALT_MEM_K, MIN((m->low_end - LOAD_DEFAULT) / 1024, UINT32_MAX), 4);
    p[E820_ENTRIES] = m->n_e820;
    for (unsigned i = 0; i < m->n_e820; i++) {
        uint8_t *e = p + E820_TABLE + i * E820_SIZE;
        put(e, m->e820[i].addr, 8);
        put(e + 8, m->e820[i].size, 8);
        put(e + 16, m->e820[i].type, 4);
    }
}

bool linux_load(struct boot_image *b, const uint8_t *data, size_t len, GError **err)
{
    struct kernel k = { .h = data };
    const struct boot_machine *m = b->machine;
    if (!read_header(&k, len, err)) {
        return false;
    }
    size_t size = len - k.setup_size;
    if (!choose_place(&k, size, m, err) ||
        !boot_add(b, "kernel", k.load, g_memdup2(data + k.setup_size, size), size, k.size, err) ||
        !add_initrd(&k, b, err) || !add_cmdline(&k, b, err)) {
        return false;
    }
    fill_params(&k, m);
    b->entry.gpr[X86_ENTRY_RSI] = AT_BOOT_PARAMS;
    if (!boot_add(b, "boot_params", AT_BOOT_PARAMS, g_memdup2(k.params, BOOT_PARAMS), BOOT_PARAMS, 0, err) ||
        !(k.long64 ? boot_enter_long64(b, AT_TABLES, k.load + 0x200, err) : boot_enter_prot32(b, AT_TABLES, k.load, err))) {
        return false;
    }
    /* Everything is placed: what the kernel needs beyond its image was reserved, but need not be cleared. */
    g_array_index(b->blobs, struct boot_blob, 0).size = size;
    return true;
}
