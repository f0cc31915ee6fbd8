/*
 * What the loaders share: files, placing, the two entry states. Spec for segment attributes: Intel SDM vol. 3, 3.4.5, 25.4.1;
 * page tables: 4.5.
 */
#include "hw/boards/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "core/dma.h"

#define GDT_ENTRIES 6
#define KERNEL_FILE_MAX (1ull << 30)
#define SEL_CODE 0x10
#define SEL_DATA 0x18
#define SEL_TSS  0x20

static uint64_t page_up(uint64_t v) { return (v + PAGE_SIZE - 1) & PAGE_MASK; }

/* --- blobs --- */

bool boot_overlaps(const struct boot_image *b, uint64_t addr, uint64_t size)
{
    for (unsigned i = 0; i < b->blobs->len; i++) {
        const struct boot_blob *o = &g_array_index(b->blobs, struct boot_blob, i);
        if (addr < o->addr + o->size && o->addr < addr + size) {
            return true;
        }
    }
    return false;
}

static bool in_ram(const struct boot_machine *m, uint64_t addr, uint64_t size)
{
    for (unsigned i = 0; i < m->n_e820; i++) {
        const struct e820_entry *e = &m->e820[i];
        if (e->type == E820_RAM && addr >= e->addr && addr - e->addr <= e->size && size <= e->size - (addr - e->addr)) {
            return true;
        }
    }
    return false;
}

bool boot_add(struct boot_image *b, const char *what, uint64_t addr, void *data, size_t len, uint64_t size, GError **err)
{
    if (size < len) {
        size = len;
    }
    bool ram = in_ram(b->machine, addr, size);
    if (!ram || boot_overlaps(b, addr, size)) {
        g_free(data);
        return error_set(err, EMU_ERROR_INVALID, "%s needs 0x%" PRIx64 " bytes at 0x%" PRIx64 ", %s", what, size, addr,
                         ram ? "where something else lies" : "where this machine has no RAM (a larger -m may help)");
    }
    struct boot_blob blob = { .what = g_strdup(what), .addr = addr, .data = data, .len = len, .size = size };
    g_array_append_val(b->blobs, blob);
    return true;
}

bool boot_add_high(struct boot_image *b, const char *what, uint64_t floor, uint64_t limit, void *data, size_t len, uint64_t *addr, GError **err)
{
    for (uint64_t at = limit >= len ? (limit - len) & PAGE_MASK : 0; at >= floor && at; at -= PAGE_SIZE) {
        if (in_ram(b->machine, at, len) && !boot_overlaps(b, at, len)) {
            *addr = at;
            return boot_add(b, what, at, data, len, len, err);
        }
    }
    g_free(data);
    return error_set(err, EMU_ERROR_INVALID, "%s of %.1f MiB does not fit into the guest's memory beside the kernel (a larger -m may help)",
                     what, len / 1048576.0);
}

uint64_t boot_end(const struct boot_image *b)
{
    uint64_t end = 0;
    for (unsigned i = 0; i < b->blobs->len; i++) {
        const struct boot_blob *o = &g_array_index(b->blobs, struct boot_blob, i);
        end = MAX(end, o->addr + o->size);
    }
    return page_up(end);
}

/* An initrd larger than memory cannot be of use; a kernel's file may be, its debug information is not loaded. */
static uint64_t file_limit(const struct boot_image *b, bool kernel)
{
    uint64_t ram = 0;
    for (unsigned i = 0; i < b->machine->n_e820; i++) {
        ram += b->machine->e820[i].type == E820_RAM ? b->machine->e820[i].size : 0;
    }
    return kernel ? MAX(ram, KERNEL_FILE_MAX) : ram;
}

bool boot_read_file(const struct boot_image *b, const char *what, const char *path, uint8_t **data, size_t *len, GError **err)
{
    uint64_t limit = file_limit(b, strcmp(what, "kernel") == 0);
    uint8_t *buf = NULL;
    size_t n = 0, room = 0;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0) {
        goto host_error;
    }
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
        error_set(err, EMU_ERROR_INVALID, "%s '%s' is a device, not a regular file", what, path);
        goto fail;
    }
    if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > limit) {
        goto too_large;
    }
    room = S_ISREG(st.st_mode) ? (size_t)st.st_size + 1 : 1 << 20;
    buf = g_malloc(room);
    for (;;) {
        ssize_t got = read(fd, buf + n, room - n);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            goto host_error;
        }
        n += (size_t)got;
        if (n > limit) {
            goto too_large;
        }
        if (!got) {
            break;
        }
        if (n == room) {
            buf = g_realloc(buf, room *= 2);
        }
    }
    close(fd);
    *data = buf;
    *len = n;
    return true;
too_large:
    error_set(err, EMU_ERROR_INVALID, "%s '%s' is larger than %s (%" PRIu64 " MiB)", what, path,
              limit == KERNEL_FILE_MAX ? "any kernel" : "the guest's memory", limit >> 20);
    goto fail;
host_error:
    error_set(err, EMU_ERROR_HOST, "cannot read %s '%s': %s", what, path, g_strerror(errno));
fail:
    if (fd >= 0) {
        close(fd);
    }
    g_free(buf);
    return false;
}

/* --- entry states --- */

static const struct x86_entry_seg flat_data = { SEL_DATA, 0xc093, 0xffffffff, 0 };
static const struct x86_entry_seg flat_code32 = { SEL_CODE, 0xc09b, 0xffffffff, 0 };
static const struct x86_entry_seg flat_code64 = { SEL_CODE, 0xa09b, 0xffffffff, 0 };
static const struct x86_entry_seg tss = { SEL_TSS, 0x008b, 0x67, 0 };

static void make_gdt(uint64_t *gdt, bool code64)
{
    gdt[SEL_CODE / 8] = code64 ? 0x00af9b000000ffffull : 0x00cf9b000000ffffull;
    gdt[SEL_DATA / 8] = 0x00cf93000000ffffull;
    gdt[SEL_TSS / 8] = 0x00008b0000000067ull;
}

static void enter(struct boot_image *b, uint64_t gdt, uint64_t rip)
{
    b->entry.rip = rip;
    b->entry.rflags = 2;
    b->entry.data = flat_data;
    b->entry.tr = tss;
    b->entry.gdt_base = gdt;
    b->entry.gdt_limit = GDT_ENTRIES * 8 - 1;
    b->entry.idt_limit = 0;
}

bool boot_enter_prot32(struct boot_image *b, uint64_t gdt_base, uint64_t eip, GError **err)
{
    uint64_t *gdt = g_new0(uint64_t, GDT_ENTRIES);
    make_gdt(gdt, false);
    enter(b, gdt_base, eip);
    b->entry.mode = X86_ENTRY_PROT32;
    b->entry.cr0 = 0x11;                                        /* PE, ET */
    b->entry.cs = flat_code32;
    return boot_add(b, "boot GDT", gdt_base, gdt, GDT_ENTRIES * 8, PAGE_SIZE, err);
}

bool boot_enter_long64(struct boot_image *b, uint64_t at, uint64_t rip, GError **err)
{
    uint64_t *t = g_malloc0(7 * PAGE_SIZE), *pdpt = t + 512, *pd = t + 1024;
    t[0] = (at + PAGE_SIZE) | 3;
    for (unsigned i = 0; i < 4; i++) {
        pdpt[i] = (at + (2 + i) * PAGE_SIZE) | 3;
    }
    for (uint64_t i = 0; i < 2048; i++) {
        pd[i] = i << 21 | 0x83;                                 /* 2 MiB, writable */
    }
    make_gdt(t + 6 * 512, true);
    enter(b, at + 6 * PAGE_SIZE, rip);
    b->entry.mode = X86_ENTRY_LONG64;
    b->entry.cr0 = 0x80000011;
    b->entry.cr3 = at;
    b->entry.cr4 = 0x20;                                        /* PAE */
    b->entry.efer = 0x500;                                      /* LME, LMA */
    b->entry.cs = flat_code64;
    return boot_add(b, "boot page tables", at, t, 7 * PAGE_SIZE, 7 * PAGE_SIZE, err);
}

/* --- whole images --- */

struct boot_image *boot_load(const struct boot_machine *m, GError **err)
{
    struct boot_image *b = g_new0(struct boot_image, 1);
    uint8_t *data = NULL;
    size_t len = 0;
    bool ok;

    b->machine = m;
    b->blobs = g_array_new(FALSE, FALSE, sizeof(struct boot_blob));
    ok = boot_read_file(b, "kernel", m->kernel, &data, &len, err);
    if (ok && len == 0) {
        ok = error_set(err, EMU_ERROR_INVALID, "kernel '%s' is empty", m->kernel);
    } else if (ok) {
        ok = linux_is(data, len) ? linux_load(b, data, len, err)
             : multiboot1_is(data, len) ? multiboot1_load(b, data, len, err)
             : elf_is(data, len) ? elf_load(b, data, len, err)
             : error_set(err, EMU_ERROR_INVALID, "not a kernel that can be started (bzImage, multiboot, or ELF with PVH entry)");
        if (!ok) {
            error_prefix(err, "kernel '%s'", m->kernel);
        }
    }
    g_free(data);
    b->machine = NULL;
    if (!ok) {
        boot_image_free(b);
        return NULL;
    }
    return b;
}

void boot_image_place(const struct boot_image *b, struct address_space *as)
{
    for (unsigned i = 0; i < b->blobs->len; i++) {
        const struct boot_blob *o = &g_array_index(b->blobs, struct boot_blob, i);
        dma_write_rom(as, o->addr, o->data, o->len);
        dma_fill(as, o->addr + o->len, 0, o->size - o->len);
    }
}

void boot_image_free(struct boot_image *b)
{
    if (!b) {
        return;
    }
    for (unsigned i = 0; i < b->blobs->len; i++) {
        struct boot_blob *o = &g_array_index(b->blobs, struct boot_blob, i);
        g_free(o->what);
        g_free(o->data);
    }
    g_array_free(b->blobs, TRUE);
    g_free(b);
}
