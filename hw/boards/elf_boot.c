/*
 * ELF kernels with a PVH entry (note XEN_ELFNOTE_PHYS32_ENTRY), and ELF segments for other loaders.
 * Spec: Xen docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h (version 1); ELF by libelf.
 */
#include <gelf.h>
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "hw/boards/boot.h"

#define NOTE_PHYS32_ENTRY 18
#define START_INFO_MAGIC  0x336ec578u

struct start_info {
    uint32_t magic, version, flags, nr_modules;
    uint64_t modlist, cmdline, rsdp, memmap;
    uint32_t memmap_entries, reserved;
};
struct module {
    uint64_t addr, size, cmdline, reserved;
};
struct memmap_entry {
    uint64_t addr, size;
    uint32_t type, reserved;
};

#define AT_INFO 0x10000u                 /* start_info, modules, memory map, command line; then the GDT */
#define MAX_CMDLINE 0x40000u

bool elf_is(const uint8_t *data, size_t len) { return len >= SELFMAG && !memcmp(data, ELFMAG, SELFMAG); }

static Elf *open_elf(const uint8_t *data, size_t len, GElf_Ehdr *eh, GError **err)
{
    elf_version(EV_CURRENT);
    Elf *e = elf_memory((char *)data, len);
    if (!e || elf_kind(e) != ELF_K_ELF || !gelf_getehdr(e, eh)) {
        elf_end(e);
        error_set(err, EMU_ERROR_INVALID, "damaged ELF file: %s", elf_errmsg(-1));
        return NULL;
    }
    if (eh->e_machine != EM_386 && eh->e_machine != EM_X86_64) {
        elf_end(e);
        error_set(err, EMU_ERROR_INVALID, "ELF file for another machine (e_machine %u)", eh->e_machine);
        return NULL;
    }
    return e;
}

bool elf_add_segments(struct boot_image *b, const uint8_t *data, size_t len, bool *class64, uint64_t *entry, GError **err)
{
    GElf_Ehdr eh;
    GElf_Phdr ph;
    size_t n = 0, loaded = 0;
    bool ok = true;
    Elf *e = open_elf(data, len, &eh, err);
    if (!e) {
        return false;
    }
    *class64 = gelf_getclass(e) == ELFCLASS64;
    *entry = eh.e_entry;
    elf_getphdrnum(e, &n);
    for (size_t i = 0; ok && i < n; i++) {
        if (!gelf_getphdr(e, i, &ph) || (ph.p_type == PT_LOAD && (ph.p_offset > len || ph.p_filesz > len - ph.p_offset))) {
            ok = error_set(err, EMU_ERROR_INVALID, "truncated: segment %zu lies outside the file", i);
        } else if (ph.p_type == PT_LOAD && ph.p_memsz) {
            g_autofree char *what = g_strdup_printf("segment %zu", i);
            ok = boot_add(b, what, ph.p_paddr, g_memdup2(data + ph.p_offset, ph.p_filesz), ph.p_filesz, ph.p_memsz, err);
            loaded++;
            /* An entry may be given as virtual address; what we jump to is physical. */
            if (eh.e_entry >= ph.p_vaddr && eh.e_entry - ph.p_vaddr < ph.p_memsz) {
                *entry = eh.e_entry - ph.p_vaddr + ph.p_paddr;
            }
        }
    }
    if (ok && !loaded) {
        ok = error_set(err, EMU_ERROR_INVALID, "ELF file without anything to load");
    }
    elf_end(e);
    return ok;
}

/* The note's value: the physical address of the 32-bit entry. */
static bool find_pvh(const uint8_t *data, size_t len, uint64_t *entry, GError **err)
{
    GElf_Ehdr eh;
    GElf_Phdr ph;
    GElf_Nhdr nh;
    size_t n = 0, name, desc;
    bool found = false;
    Elf *e = open_elf(data, len, &eh, err);
    if (!e) {
        return false;
    }
    elf_getphdrnum(e, &n);
    for (size_t i = 0; i < n && !found; i++) {
        if (!gelf_getphdr(e, i, &ph) || ph.p_type != PT_NOTE || ph.p_offset > len || ph.p_filesz > len - ph.p_offset) {
            continue;
        }
        Elf_Data *d = elf_getdata_rawchunk(e, ph.p_offset, ph.p_filesz, ph.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
        for (size_t at = 0, next; d && !found && (next = gelf_getnote(d, at, &nh, &name, &desc)) > 0; at = next) {
            const uint8_t *bytes = (const uint8_t *)d->d_buf + desc;
            if (nh.n_type == NOTE_PHYS32_ENTRY && nh.n_namesz == 4 && !memcmp((char *)d->d_buf + name, "Xen", 4) &&
                (nh.n_descsz == 4 || nh.n_descsz == 8)) {
                uint32_t low;
                memcpy(&low, bytes, 4);
                *entry = low;
                found = true;
            }
        }
    }
    elf_end(e);
    return found || error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: an ELF kernel without PVH entry (a bzImage of it will start)");
}

static bool add_initrd(struct boot_image *b, struct module *mod, GError **err)
{
    uint8_t *data;
    size_t len;
    if (!boot_read_file(b, "initrd", b->machine->initrd, &data, &len, err)) {
        return false;
    }
    g_autofree char *what = g_strdup_printf("initrd '%s'", b->machine->initrd);
    mod->size = len;
    return boot_add_high(b, what, 0x100000, b->machine->low_end, data, len, &mod->addr, err);
}

bool elf_load(struct boot_image *b, const uint8_t *data, size_t len, GError **err)
{
    const struct boot_machine *m = b->machine;
    struct module mod = { 0 };
    uint64_t pvh = 0, entry;
    bool class64;
    if (!find_pvh(data, len, &pvh, err) || !elf_add_segments(b, data, len, &class64, &entry, err)) {
        return false;
    }
    if (m->initrd && !add_initrd(b, &mod, err)) {
        return false;
    }
    const char *text = m->append ? m->append : "";
    size_t map_at = sizeof(struct start_info) + sizeof(mod), text_at = map_at + m->n_e820 * sizeof(struct memmap_entry);
    size_t size = text_at + strlen(text) + 1;
    if (strlen(text) > MAX_CMDLINE) {
        return error_set(err, EMU_ERROR_INVALID, "-append of %zu characters: at most %u", strlen(text), MAX_CMDLINE);
    }
    uint64_t at = boot_overlaps(b, AT_INFO, MAX_CMDLINE + 0x4000) ? boot_end(b) : AT_INFO;
    uint64_t gdt = at + ((size + PAGE_SIZE - 1) & PAGE_MASK);
    uint8_t *info = g_malloc0(size);
    struct start_info si = {
        .magic = START_INFO_MAGIC, .version = 1, .nr_modules = m->initrd ? 1 : 0, .modlist = m->initrd ? at + sizeof(si) : 0,
        .cmdline = at + text_at, .rsdp = m->rsdp, .memmap = at + map_at, .memmap_entries = m->n_e820,
    };
    memcpy(info, &si, sizeof(si));
    memcpy(info + sizeof(si), &mod, sizeof(mod));
    for (unsigned i = 0; i < m->n_e820; i++) {
        struct memmap_entry e = { m->e820[i].addr, m->e820[i].size, m->e820[i].type, 0 };
        memcpy(info + map_at + i * sizeof(e), &e, sizeof(e));
    }
    strcpy((char *)info + text_at, text);
    b->entry.gpr[X86_ENTRY_RBX] = at;
    return boot_add(b, "start info", at, info, size, 0, err) && boot_enter_prot32(b, gdt, pvh, err);
}
