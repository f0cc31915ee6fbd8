/*
 * What the command line says, before a machine is made of it. Strings are argv's or owned by the struct.
 */
#ifndef MAIN_CONFIG_H
#define MAIN_CONFIG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct machine;
struct machine_spec;
struct options;

struct config {
    struct options *machine;             /* all -machine, merged */
    GPtrArray *accels;                   /* const char *: each -accel */
    GPtrArray *netdevs, *nics, *nets;    /* const char *: each -netdev, -nic, -net (main/networks.c) */
    GPtrArray *serials, *devices;        /* const char *: each -serial, -device */
    GPtrArray *chardevs, *monitors;      /* const char *: each -chardev, -mon */
    GPtrArray *objects;                  /* const char *: each -object */
    GPtrArray *drives;                   /* main/drives.c: each option about a disk */
    const char *cpu, *smp, *memory, *rtc, *name, *uuid, *monitor, *display, *parallel, *debugcon;
    GPtrArray *fw_cfg, *smbios, *acpi_tables, *option_roms, *data_dirs, *globals;     /* const char *: each option of that name */
    struct options *boot, *action;       /* all -boot, -action, merged */
    const char *watchdog_action;
    const char *kernel, *initrd, *append, *firmware, *dtb;
    GPtrArray *vncs;                     /* const char *: each -vnc */
    const char *vga, *keyboard;          /* -vga, -k */
    const char *pidfile, *log_items, *log_file;
    bool snapshot, nographic, nodefaults, no_reboot, no_shutdown, stopped, quiet, daemonize, no_acpi, full_screen;
    uint8_t escape;                      /* -echr */
    void (*print)(FILE *out);            /* print this and end with status 0 */
    const char *print_device;            /* -device X,help */
    const char *print_object;            /* -object X,help: the X */
};

void config_init(struct config *cfg);
void config_fini(struct config *cfg);

/* Reads argv by the option table. False with *err on the first mistake. */
bool config_parse(struct config *cfg, int argc, char **argv, GError **err);
void config_help(FILE *out);
void config_version(FILE *out);
void config_man(FILE *out);              /* the manual page, from the same table */

/* Values that have a syntax of their own. */
bool spec_smp(const char *text, struct machine_spec *spec, unsigned max, GError **err);
bool spec_memory(const char *text, uint64_t *bytes, GError **err);
bool spec_rtc(const char *text, int64_t now_ns, struct machine_spec *spec, GError **err);
bool spec_uuid(const char *text, GError **err);

/* Everything of the configuration that the board needs, character devices excepted. */
bool spec_fill(const struct config *cfg, struct machine_spec *spec, GError **err);
/* Its part for firmware: -boot, -fw_cfg, -smbios, -L ... (spec_firmware.c) */
bool spec_firmware(const struct config *cfg, struct machine_spec *spec, GError **err);
/* -global: into the machine's list. -watchdog-action, -action: into the machine. */
bool machine_apply(const struct config *cfg, struct machine *m, GError **err);
bool boot_options_merge(struct options **into, const char *text, GError **err);
bool action_options_merge(struct options **into, const char *text, GError **err);
struct options *machine_options_parse(const char *text, GError **err);
void machine_help(FILE *out);
void accel_help(FILE *out);
void device_help(FILE *out);

#endif
