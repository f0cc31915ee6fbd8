/*
 * bootindex= : which devices firmware should try, in which order. A device with such a property calls boot_order_add() in its init; the board
 * hands the list to firmware as Open Firmware paths ("/pci@i0cf8/scsi@4/disk@0,0"). Paths are made when the list is asked for.
 * Machine lock.
 */
#ifndef CORE_BOOT_ORDER_H
#define CORE_BOOT_ORDER_H

#include <glib.h>
#include <stdint.h>

struct device;
struct machine;

/* index < 0: nothing is added. suffix: what follows the device's own path ("/disk@0,0"), or NULL; d NULL: the whole path. */
void boot_order_add(struct machine *m, struct device *d, int64_t index, const char *suffix);
/* The device goes away. */
void boot_order_remove(struct machine *m, const struct device *d);
/* Lines by rising index, each ending in a newline, the last in a NUL instead; empty: nobody asked. Free with g_string_free(). */
GString *boot_order_list(struct machine *m);
/* "/pci@i0cf8/ethernet@3": bus by bus (bus.dev_path). Free with g_free(). */
char *device_fw_path(struct device *d);
void boot_order_free(struct machine *m);

#endif
