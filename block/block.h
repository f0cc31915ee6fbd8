/*
 * The port between a disk device and what holds its data.
 *
 * Two levels. A *drive* is what a device holds: name, tray, medium, write cache, what to do on errors, serial number, statistics. Below it
 * is a graph of *nodes*: a format (`raw`, `snapshot`; others come later and say which bytes of the guest lie where) over what does I/O (`file`,
 * `host_device`, `null-co`). How a file does I/O (io_uring, worker threads) is apart again: block/engine.h.
 *
 * Requests are asynchronous. The device owns the struct and what iov points at until done() is called, which is never from inside
 * drive_submit(). done() runs in the main loop, or in drive_drain() and drive_cancel() of the same drive.
 *
 * Locks: all calls are serialised by the caller; in the emulator by the machine lock, which the main loop holds while it dispatches.
 *
 * What a guest may rely on: a write that was done before a FLUSH was submitted is on the medium when the flush is done (fdatasync of the
 * host), unless the user asked for cache.no-flush; a write with BLOCK_FUA, or with the write cache off, is on the medium when it is done.
 */
#ifndef BLOCK_BLOCK_H
#define BLOCK_BLOCK_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/uio.h>

struct drives;
struct node;
struct options;

enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_ZERO, BLOCK_OPS };
enum block_flags {
    BLOCK_FUA = 1,                       /* on the medium when done */
    BLOCK_MAY_UNMAP = 2,                 /* ZERO: the space may be given back */
};

struct drive;

struct block_req {
    enum block_op op;
    unsigned flags;
    uint64_t offset, bytes;              /* multiples of 512; FLUSH: 0 */
    const struct iovec *iov;             /* READ and WRITE: `bytes` in all */
    unsigned n_iov;
    void (*done)(struct block_req *r, int error);   /* error: 0 or an errno value */
    void *opaque;                        /* the device's */
    /* block/'s */
    struct drive *drive;
    struct node *node;
    void (*up)(struct block_req *r, int error);
    struct block_req *next;
    int64_t began;                       /* host microseconds */
    int result;
    enum block_op orig_op;               /* before zeroes were detected */
    uint64_t orig_offset;
};

enum drive_if { DRIVE_IDE, DRIVE_VIRTIO, DRIVE_SCSI, DRIVE_FLOPPY, DRIVE_PFLASH, DRIVE_NONE, DRIVE_SD };
enum drive_on_error { ON_ERROR_DEFAULT, ON_ERROR_REPORT, ON_ERROR_IGNORE, ON_ERROR_STOP, ON_ERROR_ENOSPC };

struct drive_stats {
    uint64_t ops[BLOCK_OPS], bytes[BLOCK_OPS], failed[BLOCK_OPS], invalid[BLOCK_OPS], time_ns[BLOCK_OPS];
    uint64_t highest;                    /* end of the highest write */
    int64_t last;                        /* host microseconds of the last request */
};

/* What a device gives when it takes a drive. Any function may be NULL. */
struct drive_port {
    /* The user has put in another medium (load) or taken it away. Not called for what the guest does itself. */
    void (*medium)(void *opaque, bool load);
    void (*eject_request)(void *opaque, bool force);      /* the button was pressed while the tray is locked */
    void (*resized)(void *opaque);
    const char *device_id;               /* of -device id=; for info block */
    const char *path;                    /* how the device is named else ("ide.0/0") */
    bool removable;                      /* medium and tray */
    bool tray;                           /* has a tray that can be open (CD) */
    void *opaque;
};

struct drive {
    char *id;                            /* NULL: made for a node that a device names itself */
    struct drives *all;
    struct node *medium;                 /* NULL: empty */
    enum drive_if interface;
    int bus, unit;                       /* as asked for; -1: not asked for */
    bool cdrom;                          /* media=cdrom */
    bool read_only;                      /* asked for; see drive_read_only() */
    bool claimed;                        /* a device has it */
    bool was_claimed;
    bool auto_made;                      /* a device is made for it by main/ */
    bool tray_open, tray_locked;
    bool write_cache;                    /* false: every write is FUA */
    bool probed_raw;                     /* nobody said it is raw: block 0 must not become another format's header */
    bool detect_zeroes, detect_unmap;
    char *serial;
    enum drive_on_error on_read, on_write;
    struct drive_port port;
    struct drive_stats stats;
    unsigned in_flight;
    struct block_req *parked;            /* failed, to be tried again when the machine goes on */
    bool io_error, no_space;             /* why the machine was stopped */
};

/* --- for devices; machine lock --- */

/*
 * The drive that drive= of a device names: an id of -drive, or a node-name of -blockdev, for which a drive is made. One device has it
 * at a time. NULL with *err: no such drive, or it is in use.
 */
struct drive *drive_claim(struct drives *all, const char *name, const struct drive_port *port, GError **err);
/* An empty drive with removable media, for a device without drive=. */
struct drive *drive_claim_empty(struct drives *all, const struct drive_port *port);
/* Gives it back after drive_cancel(). NULL is fine. */
void drive_release(struct drive *d);

uint64_t drive_size(const struct drive *d);          /* bytes, a multiple of 512; 0 without medium */
bool drive_read_only(const struct drive *d);         /* the medium cannot be written */
static inline bool drive_has_medium(const struct drive *d) { return d->medium && !d->tray_open; }
/* The node discards what it is told to (discard=unmap), and zeroes may be made without writing them. */
bool drive_discards(const struct drive *d);

/*
 * Starts a request. A request beyond the end, a write to what is read-only, or one without medium is done with an error (EIO, EACCES, ENOMEDIUM).
 * Errors that the drive's policy swallows never come back.
 */
void drive_submit(struct drive *d, struct block_req *r);
/* Between these, requests may be collected and handed to the host together. They nest. */
void drive_plug(struct drive *d);
void drive_unplug(struct drive *d);
/* Waits until nothing is in flight; done() of this drive's requests is called in here. Parked requests stay parked. */
void drive_drain(struct drive *d);
/* The same, and parked requests are done with ECANCELED: for reset, unplug, eject. */
void drive_cancel(struct drive *d);
/* The guest opens, closes, locks. */
void drive_set_tray(struct drive *d, bool open);
void drive_lock_tray(struct drive *d, bool locked);

/* A synchronous read before the machine runs (firmware in flash, geometry guesses). 0 or errno. */
int drive_read_now(struct drive *d, uint64_t offset, void *buf, size_t len);

/* --- for main/ and monitors; machine lock once the machine exists --- */

struct drives_hooks {
    /* A policy asks for it: the machine shall stop. The request is tried again by drives_resume(). */
    void (*stop)(void *opaque, struct drive *d, int error);
    void *opaque;
};

struct drives *drives_new(const struct drives_hooks *hooks);
/* Drains, flushes and closes everything. NULL is fine. */
void drives_free(struct drives *all);
void drives_drain(struct drives *all);
/* Flushes every medium to the host, waiting. 0 or the first errno. */
int drives_flush(struct drives *all);
void drives_resume(struct drives *all);
unsigned drives_count(const struct drives *all);
struct drive *drives_at(const struct drives *all, unsigned n);
struct drive *drive_find(const struct drives *all, const char *id);
struct drive *drive_by_place(const struct drives *all, enum drive_if i, int bus, int unit);
/* By drive id, or by the id of the device that has it. */
struct drive *drive_find_any(const struct drives *all, const char *name);

/* -drive: the options as parsed. The node is opened here. NULL with *err. units_per_bus: by interface, what index= counts by; 0: one bus has all. */
struct drive *drive_open(struct drives *all, struct options *o, bool snapshot, const unsigned *units_per_bus, GError **err);
/* -blockdev: makes a named node. */
bool node_open_options(struct drives *all, struct options *o, GError **err);
/* Takes the drive out; in use: refused. */
bool drive_delete(struct drive *d, GError **err);
/* Monitor's change and eject. format NULL: probed; mode "retain", "read-only", "read-write". */
bool drive_change(struct drive *d, const char *file, const char *format, const char *mode, bool force, GError **err);
bool drive_eject(struct drive *d, bool force, GError **err);
bool drive_resize(struct drive *d, uint64_t bytes, GError **err);
const char *drive_if_name(enum drive_if i);

/* What info block shows. */
struct node_info {
    const char *name, *driver, *file;    /* file: of the node that does I/O */
    bool read_only, write_back, direct, no_flush, discard, detect_zeroes;
};
void drive_info(const struct drive *d, struct node_info *info);

/* What block/ says to the user that is no error; to standard error unless a test listens. */
void block_warn(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

#endif
