/*
 * Kernels that start without firmware: what a loader makes of -kernel, -initrd and -append. A loader puts copies of everything
 * into a struct boot_image; the board writes it to guest RAM and sets the CPU at each reset.
 */
#ifndef HW_BOARDS_BOOT_H
#define HW_BOARDS_BOOT_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/region.h"
#include "core/x86_entry.h"

enum e820_type { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3, E820_NVS = 4 };

struct e820_entry {
    uint64_t addr, size;
    uint32_t type;
};

#define BOOT_E820_MAX 16

/* The machine as a loader sees it. */
struct boot_machine {
    struct e820_entry e820[BOOT_E820_MAX];
    unsigned n_e820;
    uint64_t low_end;            /* end of the RAM that begins at 1 MiB */
    uint64_t rsdp;               /* 0: no ACPI */
    const char *kernel, *initrd, *append;   /* initrd and append may be NULL */
};

struct boot_blob {
    char *what;                  /* for messages */
    uint64_t addr;
    uint8_t *data;
    size_t len;
    uint64_t size;               /* in memory: the rest is zero */
};

struct boot_image {
    const struct boot_machine *machine;   /* during loading only */
    GArray *blobs;               /* struct boot_blob */
    struct x86_entry entry;
};

/* Reads the kernel and finds out what it is. NULL with *err: one line that says what is wrong. */
struct boot_image *boot_load(const struct boot_machine *m, GError **err);
/* Writes all blobs. Machine lock, vCPUs parked. */
void boot_image_place(const struct boot_image *b, struct address_space *as);
void boot_image_free(struct boot_image *b);

/* --- for the loaders of this folder --- */

/* Adds a blob; takes data over (also on failure). False: there is no RAM, or something lies there already. */
bool boot_add(struct boot_image *b, const char *what, uint64_t addr, void *data, size_t len, uint64_t size, GError **err);
/* The same at the highest page-aligned place that ends at or below `limit` and starts at or above `floor`; *addr is set. */
bool boot_add_high(struct boot_image *b, const char *what, uint64_t floor, uint64_t limit, void *data, size_t len, uint64_t *addr, GError **err);
/* End of the highest blob, rounded up to a page. */
uint64_t boot_end(const struct boot_image *b);
bool boot_overlaps(const struct boot_image *b, uint64_t addr, uint64_t size);
/* Reads a file or pipe up to what is sensible for this machine. *data: g_free(). */
bool boot_read_file(const struct boot_image *b, const char *what, const char *path, uint8_t **data, size_t *len, GError **err);
/* Flat 32-bit protected mode without paging, GDT at gdt_base: code 0x10, data 0x18, TSS 0x20. Adds the GDT. */
bool boot_enter_prot32(struct boot_image *b, uint64_t gdt_base, uint64_t eip, GError **err);
/* Long mode on identity page tables of the first 4 GiB (7 pages from tables_base; the last holds the GDT). */
bool boot_enter_long64(struct boot_image *b, uint64_t tables_base, uint64_t rip, GError **err);

/* The formats. is: does the file look like one? */
bool linux_is(const uint8_t *data, size_t len);
bool linux_load(struct boot_image *b, const uint8_t *data, size_t len, GError **err);
bool multiboot1_is(const uint8_t *data, size_t len);
bool multiboot1_load(struct boot_image *b, const uint8_t *data, size_t len, GError **err);
bool elf_is(const uint8_t *data, size_t len);
bool elf_load(struct boot_image *b, const uint8_t *data, size_t len, GError **err);
/* PT_LOAD segments of an ELF file at their physical addresses; class64: which class was found. */
bool elf_add_segments(struct boot_image *b, const uint8_t *data, size_t len, bool *class64, uint64_t *entry, GError **err);

#endif
