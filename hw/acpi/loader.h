/*
 * Table-loader script: how firmware places ACPI tables that it gets as files. See loader.c.
 */
#ifndef HW_ACPI_LOADER_H
#define HW_ACPI_LOADER_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Appends a command. fseg: below 1 MiB (F0000h..FFFFFh). */
void loader_allocate(GByteArray *script, const char *file, uint32_t align, bool fseg);
/* The pointer of `size` bytes at `offset` of `file` holds an offset into `target`: it becomes an address. */
void loader_add_pointer(GByteArray *script, const char *file, uint32_t offset, uint8_t size, const char *target);
void loader_add_checksum(GByteArray *script, const char *file, uint32_t offset, uint32_t start, uint32_t len);
/* The address of `offset` in `target` is written into the (writable) file, for the device to know. */
void loader_write_pointer(GByteArray *script, const char *file, uint32_t at, uint8_t size, const char *target, uint32_t offset);

/* What firmware would do, for a start without it: files with their addresses chosen by the caller. */
struct loader_file {
    const char *name;
    GByteArray *data;
    uint64_t at;
};
void loader_run(const GByteArray *script, struct loader_file *files, unsigned n);

#endif
