/*
 * Firmware configuration device: numbered items and a directory of named files, read byte by byte through ports 510h/511h or by
 * DMA through 514h. Spec: "QEMU Firmware Configuration (fw_cfg) Device" (docs/specs/fw_cfg in QEMU's manual).
 */
#include "hw/misc/fw_cfg.h"

#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "core/dma.h"
#include "core/machine.h"

#define MAX_FILES 256
#define NAME_SIZE 56
#define ID_BITS   3u          /* bit 0: ports, bit 1: DMA */
#define DMA_SIGNATURE 0x51454d5520434647ull   /* "QEMU CFG" */
enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };

struct item {
    uint8_t *data;
    uint32_t len;
    bool writable;
    char name[NAME_SIZE];      /* files only */
    void (*before)(void *opaque);
    void (*after)(void *opaque);
    void *before_opaque, *after_opaque;
};

struct fw_cfg {
    struct device dev;
    GHashTable *items;         /* key -> struct item * */
    uint32_t n_files;
    uint16_t key;              /* selected */
    uint32_t offset;           /* of the next byte */
    uint64_t dma_addr;
    struct region ports, dma_port;
};

static void item_free(gpointer p)
{
    struct item *i = p;
    g_free(i->data);
    g_free(i);
}

static struct item *item_find(struct fw_cfg *f, uint16_t key)
{
    return g_hash_table_lookup(f->items, GUINT_TO_POINTER((guint)key));
}

static struct item *item_put(struct fw_cfg *f, uint16_t key, const void *data, size_t len)
{
    struct item *i = g_new0(struct item, 1);
    i->data = g_malloc(len ? len : 1);
    if (len) {
        memcpy(i->data, data, len);
    }
    i->len = len;
    g_hash_table_insert(f->items, GUINT_TO_POINTER((guint)key), i);
    return i;
}

void fw_cfg_add(struct fw_cfg *f, uint16_t key, const void *data, size_t len) { item_put(f, key, data, len); }

void fw_cfg_add_u16(struct fw_cfg *f, uint16_t key, uint16_t v)
{
    v = GUINT16_TO_LE(v);
    item_put(f, key, &v, sizeof(v));
}

void fw_cfg_add_u32(struct fw_cfg *f, uint16_t key, uint32_t v)
{
    v = GUINT32_TO_LE(v);
    item_put(f, key, &v, sizeof(v));
}

void fw_cfg_add_u64(struct fw_cfg *f, uint16_t key, uint64_t v)
{
    v = GUINT64_TO_LE(v);
    item_put(f, key, &v, sizeof(v));
}

static gint by_name(gconstpointer a, gconstpointer b, gpointer opaque)
{
    struct fw_cfg *f = opaque;
    return strcmp(item_find(f, *(const uint16_t *)a)->name, item_find(f, *(const uint16_t *)b)->name);
}

/* Big-endian: count, then {size, key, 0, name}, sorted by name. */
static void make_directory(struct fw_cfg *f)
{
    GByteArray *dir = g_byte_array_new();
    g_autoptr(GArray) keys = g_array_new(FALSE, FALSE, sizeof(uint16_t));
    uint32_t count = GUINT32_TO_BE(f->n_files);
    for (uint16_t n = 0; n < f->n_files; n++) {
        uint16_t key = FW_CFG_FILE_FIRST + n;
        g_array_append_val(keys, key);
    }
    g_array_sort_with_data(keys, by_name, f);
    g_byte_array_append(dir, (const uint8_t *)&count, 4);
    for (unsigned n = 0; n < f->n_files; n++) {
        uint16_t number = g_array_index(keys, uint16_t, n);
        struct item *i = item_find(f, number);
        uint32_t size = GUINT32_TO_BE(i->len);
        uint16_t key[2] = { GUINT16_TO_BE(number), 0 };
        g_byte_array_append(dir, (const uint8_t *)&size, 4);
        g_byte_array_append(dir, (const uint8_t *)key, 4);
        g_byte_array_append(dir, (const uint8_t *)i->name, NAME_SIZE);
    }
    item_put(f, FW_CFG_FILE_DIR, dir->data, dir->len);
    g_byte_array_free(dir, TRUE);
}

static struct item *file_find(struct fw_cfg *f, const char *name)
{
    for (unsigned n = 0; n < f->n_files; n++) {
        struct item *i = item_find(f, FW_CFG_FILE_FIRST + n);
        if (!strcmp(i->name, name)) {
            return i;
        }
    }
    return NULL;
}

void fw_cfg_change_file(struct fw_cfg *f, const char *name, const void *data, size_t len)
{
    struct item *i = file_find(f, name);
    if (i) {
        size_t n = MIN(len, i->len);
        memcpy(i->data, data, n);
        memset(i->data + n, 0, i->len - n);
    }
}

void fw_cfg_before_read(struct fw_cfg *f, const char *name, void (*fn)(void *opaque), void *opaque)
{
    struct item *i = file_find(f, name);
    if (i) {
        i->before = fn;
        i->before_opaque = opaque;
    }
}

void fw_cfg_after_write(struct fw_cfg *f, const char *name, void (*fn)(void *opaque), void *opaque)
{
    struct item *i = file_find(f, name);
    if (i) {
        i->after = fn;
        i->after_opaque = opaque;
    }
}

const uint8_t *fw_cfg_file(struct fw_cfg *f, const char *name, size_t *len)
{
    struct item *i = file_find(f, name);
    *len = i ? i->len : 0;
    return i ? i->data : NULL;
}

struct fw_cfg *fw_cfg_find(struct machine *m)
{
    for (unsigned i = 0; i < m->devices->len; i++) {
        struct device *d = g_ptr_array_index(m->devices, i);
        if (d->class == &fw_cfg_class) {
            return (struct fw_cfg *)d;
        }
    }
    return NULL;
}

bool fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *data, size_t len, bool writable, GError **err)
{
    if (strlen(name) >= NAME_SIZE) {
        return error_set(err, EMU_ERROR_INVALID, "fw_cfg file name '%s' is longer than %u bytes", name, NAME_SIZE - 1);
    }
    if (len > UINT32_MAX) {
        return error_set(err, EMU_ERROR_INVALID, "fw_cfg file '%s' is larger than 4 GiB", name);
    }
    unsigned n = 0;
    while (n < f->n_files && strcmp(item_find(f, FW_CFG_FILE_FIRST + n)->name, name)) {
        n++;
    }
    if (n == MAX_FILES) {
        return error_set(err, EMU_ERROR_INVALID, "more than %u fw_cfg files", MAX_FILES);
    }
    f->n_files = MAX(f->n_files, n + 1);
    struct item *i = item_put(f, FW_CFG_FILE_FIRST + n, data, len);
    g_strlcpy(i->name, name, NAME_SIZE);
    i->writable = writable;
    make_directory(f);
    return true;
}

/* --- guest's side --- */

static void select_key(struct fw_cfg *f, uint16_t key)
{
    f->key = key & ~0x4000;    /* bit 14: write channel of old, ignored */
    f->offset = 0;
    struct item *i = item_find(f, f->key);
    if (i && i->before) {
        i->before(i->before_opaque);
    }
}

/* Bytes beyond the end of an item read as 0. Returns what is left of it at the offset. */
static uint32_t left(struct fw_cfg *f, const struct item *i)
{
    return i && f->offset < i->len ? i->len - f->offset : 0;
}

static void dma_run(struct fw_cfg *f)
{
    struct address_space *as = &f->dev.machine->memory;
    uint64_t at = f->dma_addr;
    f->dma_addr = 0;
    uint32_t d[4];
    if (!dma_read(as, at, d, sizeof(d))) {
        log_guest("fw_cfg: DMA descriptor outside RAM");
        return;
    }
    uint32_t control = GUINT32_FROM_BE(d[0]), len = GUINT32_FROM_BE(d[1]), result = 0;
    uint64_t addr = (uint64_t)GUINT32_FROM_BE(d[2]) << 32 | GUINT32_FROM_BE(d[3]);
    if (control & DMA_SELECT) {
        select_key(f, control >> 16);
    }
    struct item *i = item_find(f, f->key);
    uint32_t n = MIN(left(f, i), len);
    if (control & DMA_READ) {
        bool ok = n == 0 || dma_write(as, addr, i->data + f->offset, n);
        ok = dma_fill(as, addr + n, 0, len - n) && ok;
        result = ok ? 0 : DMA_ERROR;
    } else if (control & DMA_WRITE) {
        if (!i || !i->writable || n < len || !dma_read(as, addr, i->data + f->offset, n)) {
            result = DMA_ERROR;
        } else if (i->after) {
            i->after(i->after_opaque);
        }
    } else if (!(control & DMA_SKIP)) {
        len = 0;
    }
    f->offset = f->offset + len < f->offset ? UINT32_MAX : f->offset + len;
    dma_st32(as, at, GUINT32_TO_BE(result));
}

static enum access_status ports_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct fw_cfg *f = opaque;
    *value = 0;
    if (offset == 1 && size == 1) {
        struct item *i = item_find(f, f->key);
        if (left(f, i)) {
            *value = i->data[f->offset++];
        }
    }
    return ACCESS_OK;
}

static enum access_status ports_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct fw_cfg *f = opaque;
    if (offset == 0 && size == 2) {
        select_key(f, value);
    }
    return ACCESS_OK;          /* writes of data were withdrawn from the interface */
}

static enum access_status dma_port_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    (void)opaque;
    *value = size == 8 ? DMA_SIGNATURE : DMA_SIGNATURE >> (offset ? 0 : 32) & 0xffffffff;
    return ACCESS_OK;
}

static enum access_status dma_port_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct fw_cfg *f = opaque;
    if (size == 4 && offset == 0) {
        f->dma_addr = value << 32;
        return ACCESS_OK;
    }
    f->dma_addr = size == 8 ? value : (f->dma_addr & ~0xffffffffull) | (value & 0xffffffff);
    dma_run(f);
    return ACCESS_OK;
}

static const struct region_ops ports_ops = { .read = ports_read, .write = ports_write, .min_size = 1, .max_size = 2, .unaligned = true };
static const struct region_ops dma_ops = { .read = dma_port_read, .write = dma_port_write, .min_size = 4, .max_size = 8, .big_endian = true };

static bool fw_cfg_init(struct device *d, GError **err)
{
    struct fw_cfg *f = (struct fw_cfg *)d;
    (void)err;
    f->items = g_hash_table_new_full(NULL, NULL, NULL, item_free);
    fw_cfg_add(f, FW_CFG_SIGNATURE, "QEMU", 4);
    fw_cfg_add_u32(f, FW_CFG_ID, ID_BITS);
    make_directory(f);
    region_init_io(&f->ports, "fwcfg", &ports_ops, f, 2);
    region_init_io(&f->dma_port, "fwcfg.dma", &dma_ops, f, 8);
    region_add(&d->machine->io_root, &f->ports, 0x510, 0);
    region_add(&d->machine->io_root, &f->dma_port, 0x514, 0);
    return true;
}

static void fw_cfg_fini(struct device *d)
{
    struct fw_cfg *f = (struct fw_cfg *)d;
    if (f->items) {
        g_hash_table_destroy(f->items);
    }
}

static const struct field fw_cfg_fields[] = {
    WIRING(struct fw_cfg, items),       /* rebuilt by the board from the same command line */
    WIRING(struct fw_cfg, n_files),
    STATE(struct fw_cfg, key),
    STATE(struct fw_cfg, offset),
    STATE(struct fw_cfg, dma_addr),
    WIRING(struct fw_cfg, ports),
    WIRING(struct fw_cfg, dma_port),
};

const struct device_class fw_cfg_class = {
    .name = "fw_cfg_io", .desc = "firmware configuration", .bus = "system", .size = sizeof(struct fw_cfg), .version = 1,
    .fields = fw_cfg_fields, .n_fields = G_N_ELEMENTS(fw_cfg_fields), .init = fw_cfg_init, .fini = fw_cfg_fini,
};
