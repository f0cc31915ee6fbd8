/* Kernel loaders: where things are put, what the CPU and the kernel are told, and one clear line for each bad input. */
#include "hw/boards/boot.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <string.h>

#include "core/machine.h"

#define MIB 1048576ull
static char *dir, *kernel, *initrd;
static struct boot_machine m;

static void setup(void)
{
    dir = g_dir_make_tmp("bootXXXXXX", NULL);
    kernel = g_build_filename(dir, "kernel", NULL);
    initrd = g_build_filename(dir, "initrd", NULL);
    m = (struct boot_machine){
        .e820 = { { 0, 0x9fc00, E820_RAM }, { 0x9fc00, 0x400, E820_RESERVED }, { 0xf0000, 0x10000, E820_RESERVED },
                  { MIB, 63 * MIB, E820_RAM } },
        .n_e820 = 4, .low_end = 64 * MIB, .rsdp = 0xf0000, .kernel = kernel };
}

static void teardown(void)
{
    g_autofree char *cmd = g_strdup_printf("rm -rf %s", dir);
    cr_expect_eq(system(cmd), 0);
    g_free(dir), g_free(kernel), g_free(initrd);
}

static void file(const char *path, const void *data, size_t len) { cr_assert(g_file_set_contents(path, data, len, NULL)); }

static void put(uint8_t *p, uint64_t v, unsigned n)
{
    while (n--) {
        *p++ = v;
        v >>= 8;
    }
}

static uint64_t get(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;
    memcpy(&v, p, n);
    return v;
}

static struct boot_image *load(void)
{
    GError *err = NULL;
    struct boot_image *b = boot_load(&m, &err);
    cr_assert(b, "%s", err ? err->message : "?");
    return b;
}

/* The load must fail with one line that holds `part`. */
static void refuse(const char *part)
{
    GError *err = NULL;
    struct boot_image *b = boot_load(&m, &err);
    cr_assert(!b && err, "must be refused: %s", part);
    cr_expect(strstr(err->message, part), "'%s' lacks '%s'", err->message, part);
    cr_expect(!strchr(err->message, '\n'));
    g_clear_error(&err);
}

static const struct boot_blob *blob(const struct boot_image *b, const char *what)
{
    for (unsigned i = 0; i < b->blobs->len; i++) {
        const struct boot_blob *o = &g_array_index(b->blobs, struct boot_blob, i);
        if (g_str_has_prefix(o->what, what)) {
            return o;
        }
    }
    cr_assert_fail("no blob '%s'", what);
    return NULL;
}

/* --- Linux --- */

enum { SETUP = 2 * 512, BODY = 8192 };

static void bzimage(uint8_t *k)
{
    memset(k, 0, SETUP + BODY);
    k[0x1f1] = 1;
    put(k + 0x1f4, BODY / 16, 4);
    put(k + 0x1fe, 0xaa55, 2);
    k[0x200] = 0xeb, k[0x201] = 0x66;
    memcpy(k + 0x202, "HdrS", 4);
    put(k + 0x206, 0x20f, 2);
    k[0x211] = 1;
    put(k + 0x22c, 0x7fffffff, 4);
    put(k + 0x230, 0x200000, 4);
    k[0x234] = 1;
    put(k + 0x236, 1, 2);
    put(k + 0x238, 2047, 4);
    put(k + 0x258, 0x1000000, 8);
    put(k + 0x260, 0x800000, 4);
    memset(k + SETUP, 0x90, BODY);
}

TestSuite(boot, .init = setup, .fini = teardown);

Test(boot, linux_64)
{
    uint8_t k[SETUP + BODY];
    bzimage(k);
    file(kernel, k, sizeof(k));
    file(initrd, "initramfs", 9);
    m.initrd = initrd;
    m.append = "console=ttyS0";
    struct boot_image *b = load();
    cr_expect_eq(b->entry.mode, X86_ENTRY_LONG64);
    cr_expect_eq(b->entry.rip, 0x1000200);
    cr_expect(b->entry.cs.selector == 0x10 && b->entry.data.selector == 0x18);
    const struct boot_blob *p = blob(b, "boot_params"), *i = blob(b, "initrd"), *t = blob(b, "boot page");
    cr_expect_eq(b->entry.gpr[X86_ENTRY_RSI], p->addr);
    cr_expect_eq(get(p->data + 0x218, 4), i->addr);
    cr_expect_eq(get(p->data + 0x21c, 4), 9);
    cr_expect_eq(i->addr, 64 * MIB - 4096);
    cr_expect_str_eq((char *)blob(b, "command line")->data, "console=ttyS0");
    cr_expect_eq(get(p->data + 0x228, 4), blob(b, "command line")->addr);
    cr_expect_eq(p->data[0x210], 0xff);
    cr_expect_eq(p->data[0x1e8], 4);
    cr_expect_eq(get(p->data + 0x2d0 + 3 * 20, 8), MIB);
    cr_expect_eq(get(p->data + 0x2d0 + 3 * 20 + 8, 8), 63 * MIB);
    cr_expect_eq(get(p->data + 0x70, 8), 0xf0000);
    cr_expect_eq(get(p->data + 0x202, 4), 0x53726448);
    cr_expect_eq(p->data[0x1ef], 0, "sentinel");
    cr_expect_eq(b->entry.cr3, t->addr);
    /* the last 2 MiB of 4 GiB: PML4 -> PDPT[3] -> PD[511] */
    uint64_t pdpt = get(t->data, 8) & ~0xfffull, pd = get(t->data + pdpt - t->addr + 24, 8) & ~0xfffull;
    cr_expect_eq(get(t->data + pd - t->addr + 511 * 8, 8), 0xffe00083);
    boot_image_free(b);
}

Test(boot, linux_32_and_placing)
{
    uint8_t k[SETUP + BODY];
    bzimage(k);
    put(k + 0x236, 0, 2);
    file(kernel, k, sizeof(k));
    struct boot_image *b = load();
    cr_expect(b->entry.mode == X86_ENTRY_PROT32 && b->entry.rip == 0x1000000 && b->entry.cr0 == 0x11);
    boot_image_free(b);
    m.low_end = m.e820[3].addr + 16 * MIB;                /* no room at the preferred place */
    m.e820[3].size = 16 * MIB;
    b = load();
    cr_expect_eq(b->entry.rip, 0x200000);
    boot_image_free(b);
    put(k + 0x206, 0x205, 2);                             /* before relocation */
    file(kernel, k, sizeof(k));
    b = load();
    cr_expect_eq(b->entry.rip, 0x100000);
    boot_image_free(b);
}

Test(boot, linux_bad_input)
{
    uint8_t k[SETUP + BODY];
    bzimage(k);
    file(kernel, k, SETUP + BODY - 4096);
    refuse("truncated");
    file(kernel, k, 0x260);
    refuse("truncated");
    put(k + 0x206, 0x105, 2);
    file(kernel, k, sizeof(k));
    refuse("not supported");
    bzimage(k);
    put(k + 0x260, 0x7f000000, 4);
    file(kernel, k, sizeof(k));
    refuse("-m");
    bzimage(k);
    file(kernel, k, sizeof(k));
    g_autofree char *big = g_malloc0(60 * MIB);
    file(initrd, big, 60 * MIB);
    m.initrd = initrd;
    refuse("does not fit");
    m.initrd = "/nowhere/initrd";
    refuse("cannot read initrd '/nowhere/initrd': No such file");
    m.initrd = NULL;
    memset(big, 'x', 5000);
    big[5000] = 0;
    m.append = big;
    refuse("takes 2047");
}

Test(boot, not_a_kernel)
{
    refuse("cannot read kernel");
    file(kernel, "", 0);
    refuse("empty");
    file(kernel, "#!/bin/sh\n", 10);
    refuse("not a kernel");
    file(kernel, "\177ELF", 4);
    refuse("damaged ELF");
    m.kernel = dir;
    refuse("cannot read kernel");
}

/* --- ELF --- */

static size_t elf64(uint8_t *k, uint64_t paddr, uint32_t note_type)
{
    memset(k, 0, 0x2000);
    Elf64_Ehdr *e = (Elf64_Ehdr *)k;
    memcpy(e->e_ident, "\177ELF\2\1\1", 7);
    *e = (Elf64_Ehdr){ .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = 1, .e_entry = paddr, .e_phoff = 64, .e_ehsize = 64,
                       .e_phentsize = 56, .e_phnum = 2 };
    memcpy(e->e_ident, "\177ELF\2\1\1", 7);
    Elf64_Phdr *p = (Elf64_Phdr *)(k + 64);
    p[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = 0x1000, .p_vaddr = 0xffffffff80000000, .p_paddr = paddr, .p_filesz = 0x800, .p_memsz = 0x3000 };
    p[1] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = 0x200, .p_filesz = 20, .p_align = 4 };
    put(k + 0x200, 4, 4), put(k + 0x204, 4, 4), put(k + 0x208, note_type, 4);
    memcpy(k + 0x20c, "Xen", 4);
    put(k + 0x210, paddr + 0x40, 4);
    return 0x2000;
}

Test(boot, pvh)
{
    uint8_t k[0x2000];
    file(kernel, k, elf64(k, 2 * MIB, 18));
    file(initrd, "ramdisk", 7);
    m.initrd = initrd;
    m.append = "quiet";
    struct boot_image *b = load();
    cr_expect(b->entry.mode == X86_ENTRY_PROT32 && b->entry.rip == 2 * MIB + 0x40 && !(b->entry.cr0 & 0x80000000));
    const struct boot_blob *s = blob(b, "start info"), *i = blob(b, "initrd");
    cr_expect_eq(b->entry.gpr[X86_ENTRY_RBX], s->addr);
    cr_expect_eq(get(s->data, 4), 0x336ec578);
    cr_expect_eq(get(s->data + 12, 4), 1);
    cr_expect_eq(get(s->data + get(s->data + 16, 8) - s->addr, 8), i->addr);
    cr_expect_str_eq((char *)s->data + get(s->data + 24, 8) - s->addr, "quiet");
    cr_expect_eq(get(s->data + 32, 8), 0xf0000);
    cr_expect_eq(get(s->data + 48, 4), 4);
    cr_expect_eq(get(s->data + get(s->data + 40, 8) - s->addr + 3 * 24 + 8, 8), 63 * MIB);
    cr_expect_eq(blob(b, "segment 0")->size, 0x3000);
    boot_image_free(b);
    file(kernel, k, elf64(k, 2 * MIB, 17));
    refuse("without PVH");
    file(kernel, k, elf64(k, 2 * MIB, 18) - 0x900);
    refuse("truncated");
    file(kernel, k, elf64(k, 4096 * MIB, 18));
    refuse("no RAM");
}

/* --- multiboot --- */

static size_t multiboot(uint8_t *k, uint32_t flags)
{
    memset(k, 0, 0x1000);
    put(k + 0x20, 0x1badb002, 4);
    put(k + 0x24, flags, 4);
    put(k + 0x28, -(0x1badb002u + flags), 4);
    put(k + 0x2c, MIB + 0x20, 4);                         /* header, load, load end, bss end, entry */
    put(k + 0x30, MIB, 4);
    put(k + 0x38, MIB + 0x2000, 4);
    put(k + 0x3c, MIB + 0x100, 4);
    return 0x1000;
}

Test(boot, multiboot_with_modules)
{
    uint8_t k[0x1000];
    file(kernel, k, multiboot(k, 0x10003));
    file(initrd, "module one", 10);
    g_autofree char *mods = g_strdup_printf("%s first args,%s", initrd, initrd);
    m.initrd = mods;
    m.append = "a b";
    struct boot_image *b = load();
    cr_expect(b->entry.mode == X86_ENTRY_PROT32 && b->entry.rip == MIB + 0x100);
    cr_expect_eq(b->entry.gpr[X86_ENTRY_RAX], 0x2badb002);
    const struct boot_blob *i = blob(b, "multiboot");
    cr_expect_eq(b->entry.gpr[X86_ENTRY_RBX], i->addr);
    cr_expect_eq(get(i->data, 4) & 0x249, 0x249);
    cr_expect_eq(get(i->data + 8, 4), 63 * 1024);
    cr_expect_eq(get(i->data + 20, 4), 2);
    const uint8_t *mod = i->data + get(i->data + 24, 4) - i->addr;
    cr_expect_eq(get(mod, 4), MIB + 0x2000);
    cr_expect_eq(get(mod + 4, 4) - get(mod, 4), 10);
    cr_expect(g_str_has_suffix((char *)i->data + get(mod + 8, 4) - i->addr, "/initrd first args"));
    cr_expect_eq(get(mod + 16, 4), MIB + 0x3000, "modules begin on pages");
    cr_expect(g_str_has_suffix((char *)i->data + get(i->data + 16, 4) - i->addr, "/kernel a b"));
    cr_expect_eq(get(i->data + 44, 4), 4 * 24);
    boot_image_free(b);
}

Test(boot, multiboot_bad_input)
{
    uint8_t k[0x1000];
    file(kernel, k, multiboot(k, 0x10004));
    refuse("video");
    file(kernel, k, multiboot(k, 0x10100));
    refuse("unknown features");
    multiboot(k, 0x10003);
    put(k + 0x34, MIB + 0x8000, 4);
    file(kernel, k, 0x1000);
    refuse("truncated");
    multiboot(k, 0x10003);
    put(k + 0x30, 2 * MIB, 4);
    file(kernel, k, 0x1000);
    refuse("load address");
    file(kernel, k, multiboot(k, 0x10003));
    m.initrd = "/nowhere/mod args";
    refuse("cannot read module '/nowhere/mod'");
    m.initrd = NULL;
    file(kernel, k, multiboot(k, 3));
    refuse("damaged ELF");
}

Test(boot, image_is_written_to_ram)
{
    GError *err = NULL;
    uint8_t k[0x1000], back[4];
    static struct region ram;
    file(kernel, k, multiboot(k, 0x10003));
    struct boot_image *b = load();
    struct machine *mc = machine_new();
    machine_lock(mc);
    struct ram_block *r = ram_new(mc, "ram", 4 * MIB, false, &err);
    region_init_ram(&ram, "ram", r, 0, 4 * MIB);
    region_add(&mc->memory_root, &ram, 0, 0);
    memset(r->host, 0xee, 4 * MIB);
    boot_image_place(b, &mc->memory);
    memcpy(back, r->host + MIB + 0x20, 4);
    cr_expect_eq(get(back, 4), 0x1badb002);
    cr_expect_eq(r->host[MIB + 0x1000], 0, "bss is cleared");
    cr_expect_eq(r->host[MIB + 0x1fff], 0);
    boot_image_free(b);
    machine_unlock(mc);
    machine_free(mc);
}
