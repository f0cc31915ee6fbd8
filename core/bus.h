/*
 * Buses: what devices plug into, and how `-device x,bus=NAME` finds one. A bridge or controller embeds a struct bus in its own
 * bus struct and gives it a name as users know it ("pci.0", "ide.0", "scsi0.0", "ID.0" by the owner's id). A device class names the
 * kind it wants in device_class.bus; core picks the bus that bus= names, else the first one of that kind with room, before
 * the device's init runs: init finds it in dev.bus. How devices are addressed on a bus is the bus's own business.
 *
 * A kind for which the machine has no bus at all leaves dev.bus NULL: init decides ("isa" and "system" devices need none).
 * Machine lock on every call.
 */
#ifndef CORE_BUS_H
#define CORE_BUS_H

#include <glib.h>
#include <stdbool.h>

struct device;
struct machine;

struct bus {
    const char *kind;                   /* "pci", "ide", "scsi", "virtio-serial-bus", "usb-bus", "isa" */
    char *name;
    struct machine *machine;
    struct device *owner;               /* bridge or controller; NULL: the board */
    GPtrArray *children;                /* struct device *, in order of addition; not owned */
    bool (*has_room)(struct bus *b);    /* NULL: always */
    const char *fw_path;                /* what firmware calls the bus ("/pci@i0cf8"); NULL: as its owner */
    char *(*dev_path)(struct device *d);   /* a device on it ("ethernet@3"), to be freed; NULL: nothing of its own */
};

/*
 * Enters it into the machine's list. name NULL: "ID.0" by the owner's id, else "KIND.N" counted over the machine. The struct
 * is the caller's and must stay until bus_fini().
 */
void bus_init(struct bus *b, struct machine *m, const char *kind, struct device *owner, const char *name);
void bus_fini(struct bus *b);
/* By name, of the kind (NULL: any). NULL with *err: no such bus, with the nearest name, or of another kind. */
struct bus *bus_find(struct machine *m, const char *kind, const char *name, GError **err);
/* The first bus of the kind that has room; NULL: none. *any (may be NULL) says whether there is one at all. */
struct bus *bus_default(struct machine *m, const char *kind, bool *any);

#endif
