/*
 * The machine: what a board builds and everything else hangs from. There is one per process, but nothing relies on
 * that: every function gets the machine, device or vCPU it works on.
 *
 * The machine lock guards device state and the region tree. vCPU threads do not hold it in guest code.
 */
#ifndef CORE_MACHINE_H
#define CORE_MACHINE_H

#include <glib.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/cpu.h"
#include "core/irq.h"
#include "core/region.h"

struct accel_ops;
struct device;
struct board;
struct chardev;
/* Host ends, opaque here: made by main/, looked up by name by the devices that use them. */
struct drives;      /* block/ */
struct nets;        /* net/ */
struct ui;          /* ui/ */
struct displays;    /* main/ */
struct balloon;
struct chardevs;    /* chardev/ */

/* What the command line asked for, resolved. Filled by main/, read by boards. Strings belong to main/. */
struct machine_spec {
    const struct board *board;
    const char *cpu_model;          /* as given after -cpu: "model,+feat,..." ; NULL: the board's default */
    unsigned cpus, max_cpus, sockets, dies, cores, threads;
    uint64_t ram_size;              /* bytes */
    const char *kernel, *initrd, *append, *firmware, *dtb;
    const char *const *data_dirs;   /* -L, NULL-terminated; NULL: none */
    const char *name, *uuid;
    struct chardev *serial[4];      /* NULL: none */
    /* For firmware. Lists are NULL-terminated, NULL: none. */
    const char *const *fw_cfg, *const *smbios, *const *acpi_tables, *const *option_roms;   /* as given to -fw_cfg, -smbios, ... */
    const char *boot_order, *boot_once;       /* drive letters; NULL: the board's default; once: for the first boot */
    bool boot_menu, boot_strict, boot_floppy_check;
    int boot_splash_time, boot_reboot_timeout;   /* ms; < 0: not said */
    bool acpi, hpet, graphics, smm;
    int64_t rtc_offset_ns;          /* added to the host clock; -rtc base= */
    bool rtc_localtime;
    struct options *machine_options;
};

enum watchdog_action { WATCHDOG_RESET, WATCHDOG_SHUTDOWN, WATCHDOG_POWEROFF, WATCHDOG_PAUSE, WATCHDOG_DEBUG, WATCHDOG_NONE, WATCHDOG_NMI };

enum run_state { RUN_PRELAUNCH, RUN_RUNNING, RUN_PAUSED, RUN_SHUTDOWN, RUN_GUEST_PANIC };

enum shutdown_cause { SHUTDOWN_NONE, SHUTDOWN_GUEST, SHUTDOWN_GUEST_RESET, SHUTDOWN_TRIPLE_FAULT, SHUTDOWN_HOST_QUIT, SHUTDOWN_SIGNAL };

struct machine {
    struct machine_spec spec;
    const struct accel_ops *accel;
    const struct accel_ops *engines[2];   /* those that are open */
    void *accel_data;               /* the translator's */
    void *hw_data;                  /* a hardware engine's */

    struct machine_priv *priv;      /* core/machine.c */

    struct address_space memory, io;
    struct region memory_root, io_root;
    struct address_space smm;       /* what an x86 CPU in system-management mode sees; smm.root is NULL until machine_smm_space() */
    struct region smm_root, smm_memory;
    struct address_space nothing;   /* an empty one: what a device reaches that may not do DMA */
    struct region nothing_root;
    GPtrArray *ram;                 /* struct ram_block * */
    struct ram_block *main_ram;
    uint64_t low_ram;               /* bytes of it below the hole under 4 GiB; 0: all, or another layout */
    uint64_t ram_pages;             /* RAM page numbers handed out so far */

    unsigned n_cpus;
    struct cpu **cpus;

    GPtrArray *devices;             /* struct device *, in order of addition */
    GPtrArray *buses;               /* struct bus *, in order of making */
    GPtrArray *globals;             /* char *: class, property, value, class ... (device_global()) */
    GPtrArray *boot_order;          /* core/boot_order.c; NULL: nobody asked */
    GPtrArray *objects;             /* struct object *: -object */
    GPtrArray *reset_hooks;         /* struct reset_hook *: loaders and boards */
    struct irq_line power_button;   /* system_powerdown presses it */
    void *board_data;
    struct drives *drives;          /* these four: NULL where the room is left out */
    struct nets *nets;
    struct ui *ui;
    struct displays *displays;      /* main/ */
    struct balloon *balloon;        /* core/balloon.h */
    struct chardevs *chardevs;

    unsigned monitor_cpu;       /* index of the vCPU that monitor commands are about */
    enum run_state state;
    bool no_reboot, no_shutdown;
    enum watchdog_action watchdog_action;
    int exit_status;
};

struct board {
    const char *name;               /* "pc-i440fx-7.2" */
    const char *alias;              /* "pc" */
    const char *desc;
    const char *isa;                /* "x86_64" */
    const char *default_cpu;
    unsigned max_cpus;
    uint64_t default_ram;
    uint8_t ide_units;              /* drives on one default IDE bus, by which -drive index= counts; 0: 2 */
    const struct option_desc *options;    /* -machine key=... beyond the common ones */
    bool (*build)(struct machine *m, GError **err);   /* machine lock held */
    /* Every device of the command line is there: the board makes its tables for firmware. NULL: nothing to do. Machine lock. */
    bool (*finish)(struct machine *m, GError **err);
};

struct machine *machine_new(void);
void machine_free(struct machine *m);

/*
 * The root of the address space that CPUs in system-management mode use: all of memory_root at priority 0. Chipsets add their SMRAM to it
 * with a priority of 1 and up, and enable it by their registers. Made by the first call. Machine lock.
 */
struct region *machine_smm_space(struct machine *m);

void machine_lock(struct machine *m);
void machine_unlock(struct machine *m);
bool machine_locked(struct machine *m);     /* by this thread; for asserts and for as_read() */

/* Runs the board's build, resets, starts the vCPU threads parked. m->accel is open, m->spec is filled. Lock not held. */
bool machine_build(struct machine *m, GError **err);
/* The last step of building, after the devices of the command line: board.finish, then a reset. Lock not held. */
bool machine_finish(struct machine *m, GError **err);
void machine_start(struct machine *m);      /* cont; machine lock */
void machine_stop(struct machine *m, enum run_state state);   /* returns when every vCPU is parked; machine lock */

/* Requests, from any thread; carried out by the main loop. */
void machine_request_reset(struct machine *m, enum shutdown_cause cause);
void machine_request_shutdown(struct machine *m, enum shutdown_cause cause);
void machine_request_powerdown(struct machine *m);            /* the power button */
void machine_request_exit(struct machine *m, int status);     /* isa-debug-exit */
void machine_watchdog(struct machine *m);                     /* a watchdog has expired: what -watchdog-action says */
void machine_request_pause(struct machine *m);                /* machine_stop() by the main loop */

/* Reset functions of boards and loaders, run after the devices' reset, in order. Machine lock. */
void machine_on_reset(struct machine *m, void (*fn)(void *opaque), void *opaque);
void machine_reset(struct machine *m);      /* vCPUs parked, machine lock */

/*
 * The main loop: serves fds, timers and requests until the machine ends. Returns the exit status. Works on the default
 * GLib context and holds the machine lock whenever it is not sleeping, so every GLib source is dispatched under it.
 * Lock not held by the caller.
 */
int machine_run(struct machine *m);
/* Wakes the main loop (a new timer, a request). Any thread. */
void machine_wake(struct machine *m);

/* State changes, for monitors. */
void machine_on_state(struct machine *m, void (*fn)(void *opaque, enum run_state s), void *opaque);
const char *run_state_name(enum run_state s);

#endif
