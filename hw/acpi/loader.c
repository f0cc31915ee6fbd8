/*
 * Table-loader script. Spec: "QEMU fw_cfg ACPI linker/loader" (docs/specs in QEMU's manual): 128-byte commands, little-endian.
 */
#include "hw/acpi/loader.h"

#include <string.h>

enum { ALLOCATE = 1, ADD_POINTER = 2, ADD_CHECKSUM = 3, WRITE_POINTER = 4 };
#define NAME_SIZE 56

struct command {
    uint32_t command;
    union {
        struct {
            char file[NAME_SIZE];
            uint32_t align;
            uint8_t zone;
        } __attribute__((packed)) allocate;
        struct {
            char file[NAME_SIZE], target[NAME_SIZE];
            uint32_t offset;
            uint8_t size;
        } __attribute__((packed)) pointer;
        struct {
            char file[NAME_SIZE];
            uint32_t offset, start, len;
        } __attribute__((packed)) checksum;
        struct {
            char file[NAME_SIZE], target[NAME_SIZE];
            uint32_t at, offset;
            uint8_t size;
        } __attribute__((packed)) write;
        uint8_t pad[124];
    };
};

static void append(GByteArray *script, struct command *c, uint32_t command)
{
    G_STATIC_ASSERT(sizeof(*c) == 128);
    c->command = GUINT32_TO_LE(command);
    g_byte_array_append(script, (const uint8_t *)c, sizeof(*c));
}

void loader_allocate(GByteArray *script, const char *file, uint32_t align, bool fseg)
{
    struct command c = { 0 };
    g_strlcpy(c.allocate.file, file, NAME_SIZE);
    c.allocate.align = GUINT32_TO_LE(align);
    c.allocate.zone = fseg ? 2 : 1;
    append(script, &c, ALLOCATE);
}

void loader_add_pointer(GByteArray *script, const char *file, uint32_t offset, uint8_t size, const char *target)
{
    struct command c = { 0 };
    g_strlcpy(c.pointer.file, file, NAME_SIZE);
    g_strlcpy(c.pointer.target, target, NAME_SIZE);
    c.pointer.offset = GUINT32_TO_LE(offset);
    c.pointer.size = size;
    append(script, &c, ADD_POINTER);
}

void loader_add_checksum(GByteArray *script, const char *file, uint32_t offset, uint32_t start, uint32_t len)
{
    struct command c = { 0 };
    g_strlcpy(c.checksum.file, file, NAME_SIZE);
    c.checksum.offset = GUINT32_TO_LE(offset);
    c.checksum.start = GUINT32_TO_LE(start);
    c.checksum.len = GUINT32_TO_LE(len);
    append(script, &c, ADD_CHECKSUM);
}

void loader_write_pointer(GByteArray *script, const char *file, uint32_t at, uint8_t size, const char *target, uint32_t offset)
{
    struct command c = { 0 };
    g_strlcpy(c.write.file, file, NAME_SIZE);
    g_strlcpy(c.write.target, target, NAME_SIZE);
    c.write.at = GUINT32_TO_LE(at);
    c.write.offset = GUINT32_TO_LE(offset);
    c.write.size = size;
    append(script, &c, WRITE_POINTER);
}

static struct loader_file *find(struct loader_file *files, unsigned n, const char *name)
{
    for (unsigned i = 0; i < n; i++) {
        if (!strcmp(files[i].name, name)) {
            return &files[i];
        }
    }
    return NULL;
}

static void add(uint8_t *p, unsigned size, uint64_t v)
{
    for (unsigned i = 0, carry = 0; i < size; i++) {
        unsigned sum = p[i] + (v >> 8 * i & 0xff) + carry;
        p[i] = sum;
        carry = sum >> 8;
    }
}

void loader_run(const GByteArray *script, struct loader_file *files, unsigned n)
{
    for (unsigned at = 0; at + sizeof(struct command) <= script->len; at += sizeof(struct command)) {
        const struct command *c = (const struct command *)(script->data + at);
        uint32_t command = GUINT32_FROM_LE(c->command);
        struct loader_file *f = find(files, n, c->allocate.file), *target;
        if (command == ADD_POINTER && f && (target = find(files, n, c->pointer.target))) {
            add(f->data->data + GUINT32_FROM_LE(c->pointer.offset), c->pointer.size, target->at);
        } else if (command == ADD_CHECKSUM && f) {
            uint8_t sum = 0, *p = f->data->data + GUINT32_FROM_LE(c->checksum.start);
            for (uint32_t i = 0; i < GUINT32_FROM_LE(c->checksum.len); i++) {
                sum += p[i];
            }
            f->data->data[GUINT32_FROM_LE(c->checksum.offset)] -= sum;
        } else if (command == WRITE_POINTER && f && (target = find(files, n, c->write.target))) {
            add(f->data->data + GUINT32_FROM_LE(c->write.at), c->write.size, target->at + GUINT32_FROM_LE(c->write.offset));
        }
    }
}
