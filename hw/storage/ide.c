/*
 * ATA channel: task file, selection, data port, resets, and what both kinds of units share. Specs: ATA/ATAPI-7 vol. 1 chapter 6, vol. 2 chapter 5.
 * Commands are in ide_disk.c and ide_cd.c. A unit that is not there reads as zeroes, as floating lines do on most boards.
 */
#include "hw/storage/ide.h"

#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "core/machine.h"

const struct field ide_bus_fields[] = {
    WIRING(struct ide_bus, bus),
    WIRING(struct ide_bus, unit),
    WIRING(struct ide_bus, transport),
    WIRING(struct ide_bus, opaque),
    WIRING(struct ide_bus, max_units),
    WIRING(struct ide_bus, serial),
    STATE(struct ide_bus, current),
    STATE(struct ide_bus, control),
    STATE(struct ide_bus, intrq),
};
G_STATIC_ASSERT(G_N_ELEMENTS(ide_bus_fields) == IDE_BUS_N_FIELDS);

/* --- the bus --- */

static bool has_room(struct bus *b)
{
    struct ide_bus *i = (struct ide_bus *)b;
    for (unsigned n = 0; n < i->max_units; n++) {
        if (!i->unit[n]) {
            return true;
        }
    }
    return false;
}

void ide_bus_init(struct ide_bus *b, struct device *owner, const char *name, unsigned max_units, const struct ide_transport *t, void *opaque,
                  char *(*dev_path)(struct device *d))
{
    g_autofree char *free_name = NULL;
    b->transport = t;
    b->opaque = opaque;
    b->max_units = max_units;
    b->serial = 1;
    for (unsigned i = 0; i < owner->machine->buses->len; i++) {
        const struct bus *o = g_ptr_array_index(owner->machine->buses, i);
        b->serial += strcmp(o->kind, "IDE") ? 0 : 2;
    }
    if (!name && !owner->id) {
        for (unsigned n = 0; !free_name || bus_find(owner->machine, NULL, free_name, NULL); n++) {
            g_free(free_name);
            free_name = g_strdup_printf("ide.%u", n);
        }
        name = free_name;
    }
    bus_init(&b->bus, owner->machine, "IDE", owner, name);
    b->bus.has_room = has_room;
    b->bus.dev_path = dev_path;
}

void ide_bus_fini(struct ide_bus *b)
{
    bus_fini(&b->bus);
}

/* --- ends of commands and data phases --- */

void ide_interrupt(struct ide_unit *u)
{
    u->bus->intrq = true;
    u->bus->transport->irq(u->bus);
}

static void over(struct ide_unit *u)
{
    u->phase = IDE_IDLE;
    u->at = u->len = 0;
    if (u->bus->transport->finished) {
        u->bus->transport->finished(u);
    }
    ide_interrupt(u);
}

void ide_done(struct ide_unit *u)
{
    u->status = ATA_DRDY | ATA_DSC;
    u->error = 0;
    over(u);
}

void ide_fail(struct ide_unit *u, uint8_t error)
{
    u->status = ATA_DRDY | ATA_DSC | ATA_ERR;
    u->error = error;
    over(u);
}

void ide_pio_in(struct ide_unit *u, uint32_t bytes, enum ide_next next)
{
    u->phase = IDE_PIO_IN;
    u->next = next;
    u->at = 0;
    u->len = bytes;
    u->status = ATA_DRDY | ATA_DSC | ATA_DRQ;
    u->error = 0;
    if (u->bus->transport->pio) {
        u->bus->transport->pio(u);
    } else {
        ide_interrupt(u);
    }
}

void ide_pio_out(struct ide_unit *u, uint32_t bytes, enum ide_next next, bool interrupt)
{
    u->phase = IDE_PIO_OUT;
    u->next = next;
    u->at = 0;
    u->len = bytes;
    u->status = ATA_DRDY | ATA_DSC | ATA_DRQ;
    if (u->bus->transport->pio) {
        u->bus->transport->pio(u);
    } else if (interrupt) {
        ide_interrupt(u);
    }
}

static void next_done(struct ide_unit *u)
{
    /* The interrupt came with the data; none follows the last word. */
    u->status = ATA_DRDY | ATA_DSC;
    u->phase = IDE_IDLE;
    if (u->bus->transport->finished) {
        u->bus->transport->finished(u);
    }
}

static void (*const nexts[IDE_NEXTS])(struct ide_unit *) = {
    [IDE_NEXT_DONE] = next_done, [IDE_NEXT_READ] = ide_disk_next_read, [IDE_NEXT_WRITE] = ide_disk_next_write, [IDE_NEXT_CDB] = ide_cd_next_cdb,
    [IDE_NEXT_PACKET_IN] = ide_cd_next_in, [IDE_NEXT_PACKET_OUT] = ide_cd_next_out,
};

void ide_pio_moved(struct ide_unit *u, uint32_t bytes)
{
    u->at += bytes;
    if (u->at >= u->len) {
        u->phase = IDE_WAIT;
        nexts[u->next < IDE_NEXTS ? u->next : IDE_NEXT_DONE](u);
    }
}

void ide_dma_go(struct ide_unit *u)
{
    if (u->phase == IDE_DMA && !u->sg_live) {
        if (u->cd) {
            ide_cd_dma(u);
        } else {
            ide_disk_dma(u);
        }
    }
}

void ide_sg_end(struct ide_unit *u, uint64_t written)
{
    if (u->sg_live) {
        dma_sg_end(&u->sg, written);
        u->sg_live = false;
    }
}

/* --- resets --- */

void ide_unit_cancel(struct ide_unit *u)
{
    u->cancelling = true;
    drive_cancel(u->conf.drive);
    u->cancelling = false;
    ide_sg_end(u, UINT64_MAX);
    if (u->packet_live) {
        scsi_end(&u->packet);
        u->packet_live = false;
    }
    u->phase = IDE_IDLE;
    u->at = u->len = u->left = 0;
}

void ide_unit_reset(struct ide_unit *u, bool hard)
{
    ide_unit_cancel(u);
    u->r = (struct ide_regs){ .count = 1, .lba = { 1, u->cd ? 0x14 : 0, u->cd ? 0xeb : 0 } };
    u->hob = (struct ide_regs){ 0 };
    u->select = u->unit ? 0xb0 : 0xa0;
    u->error = 1;                                              /* diagnostics passed */
    u->status = u->cd ? 0 : ATA_DRDY | ATA_DSC;
    u->standby = false;
    if (hard) {
        u->multiple = 16;
        u->udma = 5;
        u->mdma = 0;
        u->pio = 4;
        u->smart_off = u->read_look_ahead_off = false;
        disk_conf_geometry(&u->conf, &u->cyls, &u->heads, &u->secs);
        if (u->cd) {
            scsi_lun_reset(&u->lun);
        }
    }
}

void ide_bus_reset(struct ide_bus *b)
{
    b->current = 0;
    b->control = 0;
    for (unsigned i = 0; i < 2; i++) {
        if (b->unit[i]) {
            ide_unit_reset(b->unit[i], true);
        }
    }
    b->intrq = false;
    b->transport->irq(b);
}

/* --- registers --- */

static struct ide_unit *current(struct ide_bus *b) { return b->unit[b->current & 1]; }

/* What the guest sees of the status while the software reset is held. */
static uint8_t status_of(struct ide_bus *b)
{
    struct ide_unit *u = current(b);
    if (!u) {
        return 0;
    }
    return b->control & ATA_CTL_SRST ? ATA_BSY : u->status;
}

uint8_t ide_alt_status(struct ide_bus *b) { return status_of(b); }

uint8_t ide_reg_read(struct ide_bus *b, unsigned reg)
{
    struct ide_unit *u = current(b);
    if (!u) {
        return 0;
    }
    const struct ide_regs *r = b->control & ATA_CTL_HOB ? &u->hob : &u->r;
    switch (reg) {
    case ATA_FEATURE:
        return b->control & ATA_CTL_HOB ? r->feature : u->error;
    case ATA_COUNT:
        return r->count;
    case ATA_LBA0:
    case ATA_LBA1:
    case ATA_LBA2:
        return r->lba[reg - ATA_LBA0];
    case ATA_SELECT:
        return u->select;
    default:
        b->intrq = false;
        b->transport->irq(b);
        return status_of(b);
    }
}

static void set_reg(struct ide_unit *u, unsigned reg, uint8_t value)
{
    if (!u || u->status & (ATA_BSY | ATA_DRQ)) {
        return;
    }
    switch (reg) {
    case ATA_FEATURE:
        u->hob.feature = u->r.feature;
        u->r.feature = value;
        break;
    case ATA_COUNT:
        u->hob.count = u->r.count;
        u->r.count = value;
        break;
    case ATA_SELECT:
        u->select = value | 0xa0;
        break;
    default:
        u->hob.lba[reg - ATA_LBA0] = u->r.lba[reg - ATA_LBA0];
        u->r.lba[reg - ATA_LBA0] = value;
    }
}

static void diagnostic(struct ide_bus *b)
{
    for (unsigned i = 0; i < 2; i++) {
        if (b->unit[i]) {
            ide_unit_reset(b->unit[i], false);
        }
    }
    b->current = 0;
    b->intrq = true;
    b->transport->irq(b);
}

void ide_command(struct ide_unit *u, uint8_t command)
{
    if (u->status & (ATA_BSY | ATA_DRQ) && !(u->cd && command == 0x08)) {
        log_guest("ide: command %02x while %02x is not over", command, u->command);
        return;
    }
    u->bus->intrq = false;
    u->bus->transport->irq(u->bus);
    u->command = command;
    u->error = 0;
    u->status = ATA_BSY | ATA_DRDY;
    u->phase = IDE_WAIT;
    u->standby &= command == 0xe5;
    ide_disk_command(u, command);
}

void ide_reg_write(struct ide_bus *b, unsigned reg, uint8_t value)
{
    struct ide_unit *u = current(b);
    b->control &= (uint8_t)~ATA_CTL_HOB;
    if (b->control & ATA_CTL_SRST) {
        return;
    }
    switch (reg) {
    case ATA_COMMAND:
        if (value == 0x90 && (b->unit[0] || b->unit[1])) {
            diagnostic(b);
        } else if (u) {
            ide_command(u, value);
        }
        break;
    case ATA_SELECT:
        b->current = value >> 4 & 1;
        set_reg(b->unit[0], reg, value);               /* both units see it */
        set_reg(b->unit[1], reg, value);
        break;
    default:
        set_reg(b->unit[0], reg, value);
        set_reg(b->unit[1], reg, value);
    }
}

void ide_control_write(struct ide_bus *b, uint8_t value)
{
    uint8_t old = b->control;
    b->control = value & (ATA_CTL_NIEN | ATA_CTL_SRST | ATA_CTL_HOB);
    for (unsigned i = 0; i < 2 && ((old ^ value) & ATA_CTL_SRST); i++) {
        if (b->unit[i]) {
            ide_unit_reset(b->unit[i], false);
        }
    }
    if ((old ^ value) & ATA_CTL_SRST) {
        b->current = 0;
        b->intrq = false;
    }
    b->transport->irq(b);
}

uint32_t ide_data_read(struct ide_bus *b, unsigned size)
{
    struct ide_unit *u = current(b);
    uint32_t v = 0;
    if (!u || u->phase != IDE_PIO_IN) {
        return 0;
    }
    unsigned n = MIN(size, u->len - u->at);
    memcpy(&v, u->buf + u->at, n);
    ide_pio_moved(u, n);
    return v;
}

void ide_data_write(struct ide_bus *b, unsigned size, uint32_t value)
{
    struct ide_unit *u = current(b);
    if (!u || u->phase != IDE_PIO_OUT) {
        return;
    }
    unsigned n = MIN(size, u->len - u->at);
    memcpy(u->buf + u->at, &value, n);
    ide_pio_moved(u, n);
}

/* --- units as devices --- */

void ide_put_string(uint8_t *words, const char *s, unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        words[i ^ 1] = *s ? (uint8_t)*s++ : ' ';
    }
}

static bool unit_init(struct device *d, GError **err, bool cd)
{
    struct ide_unit *u = (struct ide_unit *)d;
    struct ide_bus *b = (struct ide_bus *)d->bus;
    struct drive_port port = { .opaque = &u->lun };
    if (!b) {
        return error_set(err, EMU_ERROR_INVALID, "this machine has no IDE bus");
    }
    if (u->unit == UINT32_MAX) {
        u->unit = b->unit[0] ? 1 : 0;
    }
    if (u->unit >= b->max_units) {
        return error_set(err, EMU_ERROR_INVALID, "IDE unit %u: bus '%s' has %s", u->unit, b->bus.name, b->max_units == 1 ? "unit 0 only" : "units 0 and 1");
    }
    if (b->unit[u->unit]) {
        return error_set(err, EMU_ERROR_INVALID, "IDE unit %u is in use", u->unit);
    }
    u->cd = cd;
    if (cd) {
        port.medium = scsi_lun_medium;
        port.eject_request = scsi_lun_eject_request;
    }
    g_autofree char *suffix = g_strdup_printf("/disk@%x", u->unit);
    if (!disk_conf_init(&u->conf, d, cd ? DISK_CD : DISK_FIXED, &port, suffix, err)) {
        return false;
    }
    if (u->conf.logical_block_size != (cd ? 2048u : 512u)) {
        return error_set(err, EMU_ERROR_INVALID, "logical_block_size must be %u for IDE", cd ? 2048u : 512u);
    }
    if (!cd && drive_read_only(u->conf.drive)) {
        return error_set(err, EMU_ERROR_INVALID, "Block node is read-only: an IDE disk cannot be");
    }
    if (u->conf.serial) {
        g_strlcpy(u->serial_text, u->conf.serial, 21);
    } else {
        g_snprintf(u->serial_text, sizeof(u->serial_text), "QM%05u", b->serial + u->unit);
    }
    scsi_lun_init(&u->lun, &u->conf, cd);
    u->lun.atapi = true;
    u->lun.vendor = "QEMU";
    u->lun.product = u->model ? u->model : "QEMU DVD-ROM";
    u->lun.revision = u->version;
    u->lun.serial = u->serial_text;
    u->bus = b;
    b->unit[u->unit] = u;
    return true;
}

static bool hd_init(struct device *d, GError **err) { return unit_init(d, err, false); }
static bool cd_init(struct device *d, GError **err) { return unit_init(d, err, true); }

static void unit_fini(struct device *d)
{
    struct ide_unit *u = (struct ide_unit *)d;
    if (u->bus) {
        ide_unit_cancel(u);
        u->bus->unit[u->unit] = NULL;
    }
    disk_conf_fini(&u->conf, d);
}

static void unit_reset(struct device *d, enum reset_phase phase)
{
    if (phase == RESET_ENTER) {
        ide_unit_reset((struct ide_unit *)d, true);
    }
}

static bool unit_load_check(struct device *d, GError **err)
{
    struct ide_unit *u = (struct ide_unit *)d;
    return (u->at <= u->len && u->len <= IDE_BUF && u->next < IDE_NEXTS && u->phase <= IDE_WAIT) ||
           error_set(err, EMU_ERROR_INVALID, "%s: impossible transfer", d->class->name);
}

static const struct field regs_fields[] = {
    STATE(struct ide_regs, feature),
    STATE(struct ide_regs, count),
    STATE(struct ide_regs, lba),
};

static const struct field unit_fields[] = {
    DISK_CONF(struct ide_unit, conf),
    SCSI_LUN(struct ide_unit, lun),
    PROP(struct ide_unit, unit, .def = "4294967295", .help = "0: first, 1: second unit of the channel; default: the first free one"),
    PROP(struct ide_unit, model, .help = "model that the guest reads"),
    PROP(struct ide_unit, version, .option = "ver", .def = "2.5+", .help = "firmware revision that the guest reads"),
    PROP(struct ide_unit, wwn, .def = "0", .help = "world-wide name; 0: none"),
    STATE(struct ide_unit, status),
    STATE(struct ide_unit, error),
    STATE(struct ide_unit, select),
    STATE_STRUCT(struct ide_unit, r, regs_fields, 1),
    STATE_STRUCT(struct ide_unit, hob, regs_fields, 1),
    STATE(struct ide_unit, ext),
    STATE(struct ide_unit, command),
    STATE(struct ide_unit, multiple),
    STATE(struct ide_unit, udma),
    STATE(struct ide_unit, mdma),
    STATE(struct ide_unit, pio),
    STATE(struct ide_unit, cyls),
    STATE(struct ide_unit, heads),
    STATE(struct ide_unit, secs),
    STATE(struct ide_unit, smart_off),
    STATE(struct ide_unit, read_look_ahead_off),
    STATE(struct ide_unit, standby),
    STATE(struct ide_unit, smart_errors),
    STATE(struct ide_unit, smart_self_test),
    STATE(struct ide_unit, phase),
    STATE(struct ide_unit, next),
    STATE(struct ide_unit, at),
    STATE(struct ide_unit, len),
    STATE(struct ide_unit, lba),
    STATE(struct ide_unit, left),
    STATE(struct ide_unit, packet_left),
    STATE(struct ide_unit, packet_at),
    STATE(struct ide_unit, packet_limit),
    STATE(struct ide_unit, packet_dma),
    STATE(struct ide_unit, cdb),
    STATE(struct ide_unit, buf, .keep = true),                 /* nobody reads it without filling it; 128 KiB need no clearing */
    WIRING(struct ide_unit, bus),
    WIRING(struct ide_unit, cd),
    WIRING(struct ide_unit, sg),
    WIRING(struct ide_unit, sg_live),
    WIRING(struct ide_unit, cancelling),
    WIRING(struct ide_unit, io),
    WIRING(struct ide_unit, iov),
    WIRING(struct ide_unit, packet),
    WIRING(struct ide_unit, packet_live),
    WIRING(struct ide_unit, serial_text),
};

const struct device_class ide_hd_class = {
    .name = "ide-hd", .desc = "ATA disk", .bus = "IDE", .user_creatable = true, .size = sizeof(struct ide_unit), .version = 1,
    .fields = unit_fields, .n_fields = G_N_ELEMENTS(unit_fields),
    .init = hd_init, .fini = unit_fini, .reset = unit_reset, .load_check = unit_load_check,
};

const struct device_class ide_cd_class = {
    .name = "ide-cd", .desc = "ATAPI CD and DVD drive", .bus = "IDE", .user_creatable = true, .size = sizeof(struct ide_unit), .version = 1,
    .fields = unit_fields, .n_fields = G_N_ELEMENTS(unit_fields),
    .init = cd_init, .fini = unit_fini, .reset = unit_reset, .load_check = unit_load_check,
};
