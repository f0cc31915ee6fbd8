/*
 * Devices: a C struct plus ONE table of its fields.
 *
 * The table says of each member what it is: a property (settable by -device x,prop=v), state (reset to a declared
 * value, saved in snapshots, shown by info), or wiring (host side: never reset, never saved). From it core/ makes
 * option parsing, help, info qtree, introspection, reset and snapshot. device_class_check() walks offsets and sizes at
 * start-up and names the first member that no row accounts for.
 *
 * `settle` recomputes outputs (irq lines, timers) from state; core/ calls it after reset and after load, and the
 * device itself at the end of each register write. Nothing else touches a line.
 */
#ifndef CORE_DEVICE_H
#define CORE_DEVICE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/clock.h"

struct machine;
struct device;

enum field_type {
    FIELD_U8, FIELD_U16, FIELD_U32, FIELD_U64, FIELD_BOOL,
    FIELD_BYTES,       /* raw bytes, any size (arrays of bytes; also arrays of u16/u32/u64 with .elem set) */
    FIELD_STRING,      /* char *, owned by the device; properties only */
    FIELD_TIMER,       /* struct timer: saved as its deadline, cancelled on reset */
    FIELD_STRUCT,      /* a struct with a table of its own (.fields), .count of them in a row */
    FIELD_OPAQUE,      /* wiring */
};

enum field_use { FIELD_PROP, FIELD_STATE, FIELD_WIRING, FIELD_DERIVED };

struct field {
    const char *name;         /* member name; properties: the option's name where it differs (see .option) */
    enum field_use use;
    enum field_type type;
    size_t offset, size;      /* size: of the whole member */
    uint64_t reset;           /* STATE scalars: value after reset (BYTES and STRUCT: zero or the inner table) */
    bool keep;                /* STATE that survives a reset (RTC RAM, sticky bits) */
    uint8_t elem;             /* FIELD_BYTES of wider elements: their size */
    uint32_t count;           /* FIELD_STRUCT */
    const struct field *fields;
    unsigned n_fields;
    /* properties */
    const char *option;       /* name on the command line; NULL: `name` */
    const char *def;          /* default as text */
    uint64_t min, max;        /* both 0: whatever fits */
    const char *const *values;    /* FIELD_STRING: what it may be; NULL: anything */
    const char *help;
};

#define FIELD_OF(type_, member) .name = #member, .offset = offsetof(type_, member), .size = sizeof(((type_ *)0)->member)
#define FIELD_SCALAR_TYPE(type_, member) _Generic(((type_ *)0)->member, \
    uint8_t: FIELD_U8, uint16_t: FIELD_U16, uint32_t: FIELD_U32, uint64_t: FIELD_U64, bool: FIELD_BOOL, \
    struct timer: FIELD_TIMER, char *: FIELD_STRING, default: FIELD_BYTES)
/* Rows. Extra designators follow: STATE(struct uart, lsr, .reset = 0x60) */
#define STATE(type_, member, ...)   { FIELD_OF(type_, member), .use = FIELD_STATE, .type = FIELD_SCALAR_TYPE(type_, member), ##__VA_ARGS__ }
#define PROP(type_, member, ...)    { FIELD_OF(type_, member), .use = FIELD_PROP, .type = FIELD_SCALAR_TYPE(type_, member), ##__VA_ARGS__ }
#define WIRING(type_, member)       { FIELD_OF(type_, member), .use = FIELD_WIRING, .type = FIELD_OPAQUE }
#define DERIVED(type_, member)      { FIELD_OF(type_, member), .use = FIELD_DERIVED, .type = FIELD_OPAQUE }
#define STATE_STRUCT(type_, member, table, n) { FIELD_OF(type_, member), .use = FIELD_STATE, .type = FIELD_STRUCT, \
    .count = (n), .fields = (table), .n_fields = G_N_ELEMENTS(table) }

enum reset_phase { RESET_ENTER, RESET_HOLD, RESET_EXIT };

struct device_class {
    const char *name;              /* as in -device name */
    const char *desc;              /* one line for help */
    const char *bus;               /* "pci", "isa", "system": what it plugs into, for -device */
    bool user_creatable;           /* may be made by -device */
    size_t size;                   /* sizeof of the device's struct */
    uint32_t version;              /* of the state */
    const struct field *fields;
    unsigned n_fields;
    /* All with the machine lock. Any may be NULL. */
    bool (*init)(struct device *d, GError **err);   /* properties are set; map regions, make timers, connect */
    void (*fini)(struct device *d);
    void (*reset)(struct device *d, enum reset_phase phase);  /* beyond what the table does; ENTER comes after it */
    bool (*load_check)(struct device *d, GError **err);       /* refuse impossible state */
    void (*settle)(struct device *d);
    const void *data;              /* for a family of classes that share their hooks: what this one is */
};

struct bus;

struct device {                    /* first member of every device's struct, named `dev` */
    const struct device_class *class;
    struct machine *machine;
    const char *id;                /* from -device id=, or NULL; owned */
    struct device *parent;         /* the bus's owner, or NULL */
    struct bus *bus;               /* what it is plugged into (core/bus.h), or NULL */
    void *bus_data;                /* what the bus keeps per device */
    GError *global_error;          /* a -global for it does not fit */
};

/* -global: a default for devices of the class (or alias) of that name, made from now on. A wrong value shows when such a device is added. */
void device_global(struct machine *m, const char *class, const char *prop, const char *value);

/* Makes a device (zeroed, properties at defaults), not yet initialised. Owned by the machine once added. */
struct device *device_new(struct machine *m, const struct device_class *class, const char *id);
/* A property of the class's table, or of a table of one struct in it (what all PCI devices share); also "bus". */
bool device_set(struct device *d, const char *prop, const char *value, GError **err);
/* Finds it a bus, runs init and adds it to the machine; on failure the device is freed. */
bool device_add(struct device *d, GError **err);
/* What -device and device_add say: "NAME[,key=value...]" or JSON with "driver". Also resets it. NULL with *err. */
struct device *device_create(struct machine *m, const char *text, GError **err);
/* The class that such a text names, if users may make one. NULL with *err. */
const struct device_class *device_class_of(const char *text, GError **err);
/* Takes it out of the machine and frees it, with everything on the buses it owns. Machine lock. */
void device_remove(struct device *d);
/* By id; NULL: none. Machine lock. */
struct device *device_find(struct machine *m, const char *id);
/* For boards: new + set pairs ("prop", "value", ..., NULL) + add. NULL on failure. */
struct device *device_make(struct machine *m, const struct device_class *class, const char *id, GError **err, ...)
    G_GNUC_NULL_TERMINATED;

void device_reset(struct device *d, enum reset_phase phase);
void devices_reset(struct machine *m);          /* all three phases over all devices, in order of addition */
bool device_class_check(const struct device_class *c, GError **err);
void device_class_help(const struct device_class *c, FILE *out);   /* -device x,help */
void device_tree_dump(struct machine *m, GString *out);            /* info qtree */

/* Snapshot of one device as named fields (JSON-like key/value in a byte stream). */
GByteArray *device_save(struct device *d);
bool device_load(struct device *d, const uint8_t *data, size_t len, GError **err);

/* The classes built in: explicit array, filled by main/ before anything is parsed. */
void device_classes_set(const struct device_class *const *classes /* NULL-terminated */);
const struct device_class *device_class_find(const char *name);    /* aliases included */
const struct device_class *const *device_classes(void);
const char *const *device_class_names(void);                       /* NULL-terminated, for suggestions */

#endif
