/*
 * Multiboot 1 kernels, with modules as QEMU's users give them: -initrd "file args,file2 args" (",," is a comma in a name).
 * Spec: Multiboot Specification 0.6.96, sections 3.1 to 3.3. Left out: video modes, drives, APM table, a.out symbols.
 */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "hw/boards/boot.h"

#define HEADER_MAGIC 0x1badb002u
#define LOADER_MAGIC 0x2badb002u
#define SEARCH       8192u
#define LOADER_NAME  "emu"
enum { H_ALIGN = 1, H_MEMORY = 2, H_VIDEO = 4, H_ADDRESSES = 0x10000 };
enum { I_MEMORY = 1, I_BOOT_DEVICE = 2, I_CMDLINE = 4, I_MODULES = 8, I_MMAP = 0x40, I_LOADER = 0x200 };

struct info {                            /* section 3.3, as far as it is filled */
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
    uint32_t drives_length, drives_addr, config_table, loader_name, apm_table, vbe[4];
};
struct module {
    uint32_t start, end, cmdline, reserved;
};
struct mmap_entry {
    uint32_t size;
    uint64_t addr, len;
    uint32_t type;
} __attribute__((packed));

static uint32_t get32(const uint8_t *p) { return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24; }

/* Offset of the header, or -1. */
static long find_header(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i + 12 <= MIN(len, SEARCH); i += 4) {
        if (get32(data + i) == HEADER_MAGIC && get32(data + i) + get32(data + i + 4) + get32(data + i + 8) == 0) {
            return i;
        }
    }
    return -1;
}

bool multiboot1_is(const uint8_t *data, size_t len) { return find_header(data, len) >= 0; }

/* Kernels that bring their addresses instead of ELF headers (flag 16). */
static bool load_addresses(struct boot_image *b, const uint8_t *data, size_t len, size_t header, uint64_t *entry, GError **err)
{
    if (header + 32 > len) {
        return error_set(err, EMU_ERROR_INVALID, "truncated multiboot header");
    }
    const uint8_t *h = data + header;
    uint32_t header_addr = get32(h + 12), load_addr = get32(h + 16), load_end = get32(h + 20), bss_end = get32(h + 24);
    *entry = get32(h + 28);
    uint32_t before = header_addr - load_addr;
    if (header_addr < load_addr || before > header) {
        return error_set(err, EMU_ERROR_INVALID, "multiboot header: load address 0x%x does not go with header address 0x%x", load_addr, header_addr);
    }
    size_t from = header - before, size = len - from;
    if (load_end) {
        if (load_end < load_addr || load_end - load_addr > size) {
            return error_set(err, EMU_ERROR_INVALID, "truncated: the multiboot header promises more than the file has");
        }
        size = load_end - load_addr;
    }
    uint64_t in_memory = bss_end > load_addr ? bss_end - load_addr : size;
    return boot_add(b, "kernel", load_addr, g_memdup2(data + from, size), size, in_memory, err);
}

/* "file args" -> file; commas inside were doubled. */
static bool add_module(struct boot_image *b, const char *text, struct module *mod, GError **err)
{
    g_autofree char *path = g_strndup(text, strcspn(text, " "));
    uint8_t *data;
    size_t len;
    if (!*path) {
        return error_set(err, EMU_ERROR_INVALID, "-initrd: a module without a file name");
    }
    if (!boot_read_file(b, "module", path, &data, &len, err)) {
        return false;
    }
    uint64_t at = boot_end(b);
    g_autofree char *what = g_strdup_printf("module '%s'", path);
    mod->start = at;
    mod->end = at + len;
    return boot_add(b, what, at, data, len, 0, err);
}

static GPtrArray *split_modules(const char *text)
{
    GPtrArray *out = g_ptr_array_new_with_free_func(g_free);
    GString *s = g_string_new(NULL);
    for (const char *p = text; *text; p++) {
        if (*p == ',' && p[1] == ',') {
            g_string_append_c(s, *p++);
        } else if (*p && *p != ',') {
            g_string_append_c(s, *p);
        } else {
            g_ptr_array_add(out, g_strdup(s->str));
            g_string_truncate(s, 0);
            if (!*p) {
                break;
            }
        }
    }
    g_string_free(s, TRUE);
    return out;
}

/* Appends bytes to the information block; returns their guest address. */
static uint32_t info_put(GByteArray *a, uint64_t base, const void *p, size_t n)
{
    while (a->len % 4) {
        g_byte_array_append(a, (const uint8_t *)"", 1);
    }
    uint32_t at = base + a->len;
    g_byte_array_append(a, p, n);
    return at;
}

static bool add_info(struct boot_image *b, GPtrArray *texts, struct module *mods, GError **err)
{
    const struct boot_machine *m = b->machine;
    uint64_t base = boot_end(b);
    GByteArray *a = g_byte_array_new();
    struct info info = {
        .flags = I_MEMORY | I_BOOT_DEVICE | I_CMDLINE | I_MODULES | I_MMAP | I_LOADER, .mem_lower = 640,
        .mem_upper = MIN((m->low_end - 0x100000) / 1024, UINT32_MAX), .boot_device = 0x8000ffff, .mods_count = texts->len,
    };
    g_byte_array_append(a, (const uint8_t *)&info, sizeof(info));
    g_autofree char *cmdline = g_strdup_printf("%s%s%s", m->kernel, m->append && *m->append ? " " : "", m->append ? m->append : "");
    info.cmdline = info_put(a, base, cmdline, strlen(cmdline) + 1);
    info.loader_name = info_put(a, base, LOADER_NAME, sizeof(LOADER_NAME));
    for (unsigned i = 0; i < texts->len; i++) {
        const char *t = g_ptr_array_index(texts, i);
        mods[i].cmdline = info_put(a, base, t, strlen(t) + 1);
    }
    info.mods_addr = info_put(a, base, mods, texts->len * sizeof(*mods));
    info.mmap_addr = base + a->len;
    info.mmap_length = m->n_e820 * sizeof(struct mmap_entry);
    for (unsigned i = 0; i < m->n_e820; i++) {
        struct mmap_entry e = { sizeof(e) - 4, m->e820[i].addr, m->e820[i].size, m->e820[i].type };
        g_byte_array_append(a, (const uint8_t *)&e, sizeof(e));
    }
    memcpy(a->data, &info, sizeof(info));
    size_t size = a->len;
    b->entry.gpr[X86_ENTRY_RAX] = LOADER_MAGIC;
    b->entry.gpr[X86_ENTRY_RBX] = base;
    return boot_add(b, "multiboot information", base, g_byte_array_free(a, FALSE), size, 0, err);
}

bool multiboot1_load(struct boot_image *b, const uint8_t *data, size_t len, GError **err)
{
    size_t header = find_header(data, len);
    uint32_t flags = get32(data + header + 4);
    uint64_t entry = 0;
    bool class64 = false;
    if (flags & H_VIDEO) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: a multiboot kernel that asks for a video mode");
    }
    if (flags & 0xffff & ~(H_ALIGN | H_MEMORY)) {
        return error_set(err, EMU_ERROR_INVALID, "multiboot header requires unknown features (flags 0x%x)", flags);
    }
    bool ok = flags & H_ADDRESSES ? load_addresses(b, data, len, header, &entry, err)
                                  : elf_add_segments(b, data, len, &class64, &entry, err);
    if (ok && class64) {
        return error_set(err, EMU_ERROR_INVALID, "a multiboot kernel must be a 32-bit ELF file, this one is 64-bit");
    }
    GPtrArray *texts = split_modules(b->machine->initrd ? b->machine->initrd : "");
    struct module *mods = g_new0(struct module, texts->len + 1);
    for (unsigned i = 0; ok && i < texts->len; i++) {
        ok = add_module(b, g_ptr_array_index(texts, i), &mods[i], err);
    }
    ok = ok && add_info(b, texts, mods, err) && boot_enter_prot32(b, boot_end(b), entry, err);
    g_free(mods);
    g_ptr_array_free(texts, TRUE);
    return ok;
}
