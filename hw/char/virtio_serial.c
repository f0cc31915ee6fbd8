/*
 * Virtio console device: a controller (virtio-serial-pci) with up to 31 ports, each a device of its own on its bus: virtconsole is a console (hvcN) in
 * the guest, virtserialport a named stream (/dev/virtio-ports/NAME). Spec: VIRTIO 1.2, 5.3. Left out: the size of consoles (cols, rows).
 *
 * A port's bytes go through a character device. Buffers stay in the rings until there are bytes, or room, for them; what has gone out of a buffer that
 * the host takes slowly is remembered as an offset.
 */
#include "hw/char/virtio_serial.h"

#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "chardev/registry.h"
#include "core/bus.h"
#include "core/machine.h"
#include "hw/virtio/virtio_pci.h"

enum { MOST_PORTS = 31, PORT_QUEUE = 128, CONTROL_QUEUE = 32, PIECE = 4096, CONTROL_HELD = 512 };
enum { F_SIZE = 0, F_MULTIPORT = 1, F_EMERG_WRITE = 2 };
enum { CONFIG_MAX_PORTS = 4, CONFIG_EMERG = 8, CONFIG_BYTES = 12 };
enum { DEVICE_READY = 0, PORT_ADD = 1, PORT_REMOVE = 2, PORT_READY = 3, CONSOLE_PORT = 4, PORT_OPEN = 6, PORT_NAME = 7 };
#define NR_AUTO UINT32_MAX

struct port;

struct virtio_serial {
    struct virtio v;
    uint32_t max_ports;
    bool emergency_write;
    bool ready;                          /* the guest has said DEVICE_READY */
    struct bus bus;
    struct port *port[MOST_PORTS];
    struct virtqueue *rx[MOST_PORTS], *tx[MOST_PORTS], *control_rx;
    GQueue *held;                        /* GByteArray *: control messages that wait for buffers */
};

struct port {
    struct device dev;
    char *chardev, *name;
    uint32_t nr;
    bool guest_connected;
    uint32_t tx_done;                    /* bytes of the first buffer that have gone out */
    bool host_connected;
    struct virtio_serial *serial;
    struct chardev *chr;
};

static bool is_console(const struct port *p) { return p->dev.class == &virtconsole_class; }

/* --- control messages --- */

static void control_flush(struct virtio_serial *s)
{
    struct virtqueue *q = s->control_rx;
    struct virtio_elem *e;
    GByteArray *m;

    while (!g_queue_is_empty(s->held) && (e = virtio_pop(q, sizeof(*e)))) {
        m = g_queue_pop_head(s->held);
        virtio_push(q, e, dma_sg_write(&e->in, 0, m->data, m->len));
        g_byte_array_unref(m);
    }
    virtio_notify(q);
}

static void control_send(struct virtio_serial *s, uint32_t id, uint16_t event, uint16_t value, const char *text)
{
    uint8_t head[8] = { (uint8_t)id, (uint8_t)(id >> 8), 0, 0, (uint8_t)event, (uint8_t)(event >> 8), (uint8_t)value, (uint8_t)(value >> 8) };
    GByteArray *m;

    if (!virtio_has(&s->v, F_MULTIPORT) || g_queue_get_length(s->held) >= CONTROL_HELD) {
        return;
    }
    m = g_byte_array_new();
    g_byte_array_append(m, head, sizeof(head));
    if (text) {
        g_byte_array_append(m, (const guint8 *)text, (guint)strlen(text) + 1);
    }
    g_queue_push_tail(s->held, m);
    control_flush(s);
}

static void port_announce(struct port *p)
{
    if (is_console(p)) {
        control_send(p->serial, p->nr, CONSOLE_PORT, 1, NULL);
    }
    if (p->name) {
        control_send(p->serial, p->nr, PORT_NAME, 1, p->name);
    }
    if (p->host_connected) {
        control_send(p->serial, p->nr, PORT_OPEN, 1, NULL);
    }
}

static void control_message(struct virtio_serial *s, uint32_t id, uint16_t event, uint16_t value)
{
    struct port *p = id < s->max_ports ? s->port[id] : NULL;

    if (event == DEVICE_READY) {
        s->ready = value == 1;
        for (unsigned i = 0; s->ready && i < s->max_ports; i++) {
            if (s->port[i]) {
                control_send(s, i, PORT_ADD, 1, NULL);
            }
        }
        return;
    }
    if (!p) {
        log_guest("virtio-serial: control message %u for port %u, which is not there", event, id);
    } else if (event == PORT_READY && value) {
        port_announce(p);
    } else if (event == PORT_OPEN) {
        p->guest_connected = value != 0;
        if (p->chr && p->guest_connected) {
            chardev_kick_input(p->chr);
        }
    }
}

static void control_queue(struct virtqueue *q)
{
    struct virtio_elem *e;
    uint8_t m[8];

    while ((e = virtio_pop(q, sizeof(*e)))) {
        bool whole = dma_sg_read(&e->out, 0, m, sizeof(m)) == sizeof(m);

        virtio_push(q, e, 0);
        if (whole) {
            control_message((struct virtio_serial *)q->v, (uint32_t)(m[0] | m[1] << 8 | m[2] << 16) | (uint32_t)m[3] << 24,
                            (uint16_t)(m[4] | m[5] << 8), (uint16_t)(m[6] | m[7] << 8));
        }
    }
    virtio_notify(q);
}

static void control_room(struct virtqueue *q) { control_flush((struct virtio_serial *)q->v); }

/* --- bytes --- */

/* Sends a buffer from tx_done on; false: the host takes no more now. */
static bool buffer_send(struct port *p, const struct virtio_elem *e)
{
    uint8_t buf[PIECE];
    size_t n, sent;

    while ((n = dma_sg_read(&e->out, p->tx_done, buf, sizeof(buf)))) {
        sent = chardev_write(p->chr, buf, n);
        p->tx_done += (uint32_t)sent;
        if (sent < n) {
            return false;
        }
    }
    return true;
}

static void tx_work(struct virtqueue *q)
{
    struct virtio_serial *s = (struct virtio_serial *)q->v;
    struct port *p = s->port[GPOINTER_TO_UINT(q->opaque)];
    struct virtio_elem *e;

    while ((e = virtio_pop(q, sizeof(*e)))) {
        if (p && p->chr && !buffer_send(p, e)) {
            virtio_unpop(q, e);          /* writable() comes back */
            break;
        }
        if (p) {
            p->tx_done = 0;
        }
        virtio_push(q, e, 0);
    }
    virtio_notify(q);
}

static void rx_work(struct virtqueue *q)
{
    struct port *p = ((struct virtio_serial *)q->v)->port[GPOINTER_TO_UINT(q->opaque)];

    if (p && p->chr) {
        chardev_kick_input(p->chr);
    }
}

static size_t can_take(void *opaque)
{
    struct port *p = opaque;
    struct virtqueue *q = p->serial->rx[p->nr];
    struct virtio_elem *e;
    size_t n;

    if ((virtio_has(&p->serial->v, F_MULTIPORT) && !p->guest_connected) || !(e = virtio_pop(q, sizeof(*e)))) {
        return 0;
    }
    n = MIN(e->in.bytes, (uint64_t)PIECE);
    virtio_unpop(q, e);
    return n;
}

static void take(void *opaque, const uint8_t *buf, size_t len)
{
    struct port *p = opaque;
    struct virtqueue *q = p->serial->rx[p->nr];
    struct virtio_elem *e;

    while (len && (e = virtio_pop(q, sizeof(*e)))) {
        size_t n = dma_sg_write(&e->in, 0, buf, len);

        virtio_push(q, e, n);
        buf += n;
        len -= n;
    }
    virtio_notify(q);
}

static void writable(void *opaque)
{
    struct port *p = opaque;

    tx_work(p->serial->tx[p->nr]);
}

/* A console is there whether somebody looks or not. */
static void event(void *opaque, enum chardev_event e)
{
    struct port *p = opaque;

    if (e == CHARDEV_BREAK || is_console(p)) {
        return;
    }
    p->host_connected = e == CHARDEV_OPENED;
    if (p->serial->ready) {
        control_send(p->serial, p->nr, PORT_OPEN, p->host_connected, NULL);
    }
}

static void moved(void *opaque, struct chardev *now) { ((struct port *)opaque)->chr = now; }

/* --- ports --- */

static bool free_nr(const struct virtio_serial *s, unsigned from, uint32_t *nr)
{
    for (unsigned i = from; i < s->max_ports; i++) {
        if (!s->port[i]) {
            *nr = i;
            return true;
        }
    }
    return false;
}

/* Port 0 is for consoles: it is all that drivers without MULTIPORT know. */
static bool nr_choose(struct port *p, GError **err)
{
    struct virtio_serial *s = p->serial;

    if (p->nr == NR_AUTO) {
        return free_nr(s, is_console(p) ? 0 : 1, &p->nr) ||
               error_set(err, EMU_ERROR_INVALID, "virtio-serial-bus: Maximum port limit for this device reached");
    }
    if (p->nr >= s->max_ports) {
        return error_set(err, EMU_ERROR_INVALID, "virtio-serial-bus: Out-of-range port id specified, max. allowed: %u", s->max_ports - 1);
    }
    if (s->port[p->nr]) {
        return error_set(err, EMU_ERROR_INVALID, "virtio-serial-bus: A port already exists at id %u", p->nr);
    }
    return p->nr || is_console(p) ||
           error_set(err, EMU_ERROR_INVALID, "virtio-serial-bus: Port number 0 on virtio-serial devices reserved for virtconsole devices for backward compatibility.");
}

static bool name_free(const struct port *p, GError **err)
{
    const struct virtio_serial *s = p->serial;

    for (unsigned i = 0; p->name && i < s->max_ports; i++) {
        if (s->port[i] && !g_strcmp0(s->port[i]->name, p->name)) {
            return error_set(err, EMU_ERROR_INVALID, "virtio-serial-bus: A port already exists by name %s", p->name);
        }
    }
    return true;
}

static bool port_init(struct device *d, GError **err)
{
    struct port *p = (struct port *)d;

    if (!d->bus) {
        return error_set(err, EMU_ERROR_INVALID, "No 'virtio-serial-bus' bus found for device '%s'; -device virtio-serial-pci makes one", d->class->name);
    }
    p->serial = (struct virtio_serial *)((char *)d->bus - offsetof(struct virtio_serial, bus));
    if (!nr_choose(p, err) || !name_free(p, err)) {
        return false;
    }
    if (p->chardev) {
        p->chr = chardevs_claim(d->machine->chardevs, p->chardev, d->id ? d->id : d->class->name, err);
        if (!p->chr) {
            return error_prefix(err, "Property '%s.chardev' can't find value '%s'", d->class->name, p->chardev);
        }
    } else if (is_console(p)) {
        return error_set(err, EMU_ERROR_INVALID, "chardev= is missing: the console's character device");
    }
    p->serial->port[p->nr] = p;
    p->host_connected = is_console(p);
    if (p->chr) {
        chardev_attach(p->chr, &(struct chardev_port){
            .can_take = can_take, .take = take, .event = event, .writable = writable, .moved = moved, .opaque = p });
    }
    if (p->serial->ready) {
        control_send(p->serial, p->nr, PORT_ADD, 1, NULL);
    }
    return true;
}

static void port_fini(struct device *d)
{
    struct port *p = (struct port *)d;

    chardevs_release(d->machine->chardevs, p->chr);
    p->serial->port[p->nr] = NULL;
    if (p->serial->ready) {
        control_send(p->serial, p->nr, PORT_REMOVE, 1, NULL);
    }
}

static void port_settle(struct device *d)
{
    struct port *p = (struct port *)d;

    tx_work(p->serial->tx[p->nr]);
    if (p->chr) {
        chardev_kick_input(p->chr);
    }
}

/* --- the controller --- */

static bool has_room(struct bus *b)
{
    struct virtio_serial *s = (struct virtio_serial *)((char *)b - offsetof(struct virtio_serial, bus));
    uint32_t nr;

    return free_nr(s, 1, &nr);
}

static bool port_queues(struct virtio_serial *s, unsigned i, GError **err)
{
    s->rx[i] = virtio_queue_add(&s->v, PORT_QUEUE, rx_work, err);
    s->tx[i] = s->rx[i] ? virtio_queue_add(&s->v, PORT_QUEUE, tx_work, err) : NULL;
    if (!s->tx[i]) {
        return false;
    }
    s->rx[i]->opaque = s->tx[i]->opaque = GUINT_TO_POINTER(i);
    return true;
}

static bool serial_init(struct virtio *v, GError **err)
{
    struct virtio_serial *s = (struct virtio_serial *)v;

    if (!port_queues(s, 0, err) || !(s->control_rx = virtio_queue_add(v, CONTROL_QUEUE, control_room, err)) ||
        !virtio_queue_add(v, CONTROL_QUEUE, control_queue, err)) {
        return false;
    }
    for (unsigned i = 1; i < s->max_ports; i++) {
        if (!port_queues(s, i, err)) {
            return false;
        }
    }
    v->offered |= s->emergency_write ? VIRTIO_BIT(F_EMERG_WRITE) : 0;
    v->config_size = s->emergency_write ? CONFIG_BYTES : CONFIG_EMERG;
    v->config[CONFIG_MAX_PORTS] = (uint8_t)s->max_ports;
    v->vectors = s->max_ports + 1;
    s->held = g_queue_new();
    bus_init(&s->bus, v->dev->machine, "virtio-serial-bus", v->dev, NULL);
    s->bus.has_room = has_room;
    return true;
}

static void serial_reset(struct virtio *v)
{
    struct virtio_serial *s = (struct virtio_serial *)v;

    s->ready = false;
    g_queue_clear_full(s->held, (GDestroyNotify)g_byte_array_unref);
    for (unsigned i = 0; i < s->max_ports; i++) {
        if (s->port[i]) {
            s->port[i]->guest_connected = false;
            s->port[i]->tx_done = 0;
        }
    }
}

static void serial_fini(struct virtio *v)
{
    struct virtio_serial *s = (struct virtio_serial *)v;

    bus_fini(&s->bus);
    g_queue_free_full(s->held, (GDestroyNotify)g_byte_array_unref);
}

static void serial_config_write(struct virtio *v, unsigned offset, unsigned size, const uint8_t *bytes)
{
    struct virtio_serial *s = (struct virtio_serial *)v;

    (void)size;
    for (unsigned i = 0; offset == CONFIG_EMERG && i < s->max_ports; i++) {
        if (s->port[i] && is_console(s->port[i])) {
            chardev_write(s->port[i]->chr, bytes, 1);
            return;
        }
    }
}

static const struct field serial_fields[] = {
    VIRTIO_FIELDS,
    PROP(struct virtio_serial, max_ports, .def = "31", .min = 1, .max = MOST_PORTS, .help = "ports there can be"),
    PROP(struct virtio_serial, emergency_write, .option = "emergency-write", .def = "on", .help = "a register that writes to the first console"),
    STATE(struct virtio_serial, ready),
    WIRING(struct virtio_serial, bus),
    WIRING(struct virtio_serial, port),
    WIRING(struct virtio_serial, rx),
    WIRING(struct virtio_serial, tx),
    WIRING(struct virtio_serial, control_rx),
    WIRING(struct virtio_serial, held),
};
static const struct virtio_class serial_class = {
    .name = "virtio-serial", .id = VIRTIO_ID_CONSOLE, .config_size = CONFIG_BYTES, .features = VIRTIO_BIT(F_MULTIPORT), .init = serial_init,
    .fini = serial_fini, .reset = serial_reset, .config_write = serial_config_write,
};
static const struct field serial_pci_fields[] = { VIRTIO_PCI_FIELDS, VIRTIO_PCI_DEVICE(struct virtio_serial, serial_fields) };
static const struct virtio_pci_variant serial_pci[] = VIRTIO_PCI_VARIANTS(&serial_class, 0x078000, 0x1003);
const struct device_class virtio_serial_pci_classes[3] =
    VIRTIO_PCI_CLASSES("virtio-serial", "controller of consoles and named streams", serial_pci, struct virtio_serial, serial_pci_fields);

static const struct field port_fields[] = {
    PROP(struct port, chardev, .help = "id of the character device it is connected to"),
    PROP(struct port, name, .help = "what the guest finds it by"),
    PROP(struct port, nr, .def = "4294967295", .help = "number of the port; 4294967295: the first free one"),
    STATE(struct port, guest_connected),
    STATE(struct port, tx_done),
    DERIVED(struct port, host_connected),
    WIRING(struct port, serial),
    WIRING(struct port, chr),
};

#define PORT_CLASS(name_, desc_) { .name = name_, .desc = desc_, .bus = "virtio-serial-bus", .user_creatable = true, .size = sizeof(struct port), \
    .version = 1, .fields = port_fields, .n_fields = G_N_ELEMENTS(port_fields), .init = port_init, .fini = port_fini, .settle = port_settle }
const struct device_class virtserialport_class = PORT_CLASS("virtserialport", "named stream of a virtio-serial controller");
const struct device_class virtconsole_class = PORT_CLASS("virtconsole", "console of a virtio-serial controller");
