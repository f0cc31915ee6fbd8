/*
 * 16550A UART on the ISA bus. Bytes go out as fast as the host takes them; baud rate and frame format are registers only.
 * Spec: National Semiconductor PC16550D data sheet (section 8 registers); OUT2 gates the interrupt as on a PC's serial card.
 */
#include "hw/char/uart16550.h"

#include "base/error.h"
#include "base/log.h"
#include "chardev/registry.h"
#include "core/machine.h"
#include "hw/isa/isa.h"

enum { RBR_THR_DLL, IER_DLM, IIR_FCR, LCR, MCR, LSR, MSR, SCR };
enum { IER_RX = 1, IER_THRE = 2, IER_LINE = 4, IER_MODEM = 8 };
enum { IIR_NONE = 0x01, IIR_MODEM = 0x00, IIR_THRE = 0x02, IIR_RX = 0x04, IIR_LINE = 0x06, IIR_TIMEOUT = 0x0c, IIR_FIFO = 0xc0 };
enum { FCR_ENABLE = 1, FCR_CLEAR_RX = 2, FCR_CLEAR_TX = 4 };
enum { LCR_DLAB = 0x80 };
enum { MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOP = 0x10 };
enum { LSR_DR = 0x01, LSR_OE = 0x02, LSR_BI = 0x10, LSR_THRE = 0x20, LSR_TEMT = 0x40, LSR_ERRORS = 0x1e };
enum { MSR_DELTAS = 0x0f, MSR_TERI = 0x04, MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80 };

static const uint16_t com_port[4] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };
static const uint8_t com_irq[4] = { 4, 3, 4, 3 };
static const uint8_t rx_trigger[4] = { 1, 4, 8, 14 };      /* FCR bits 7:6 */

void uart_default_address(unsigned index, uint16_t *port, uint8_t *irq)
{
    *port = com_port[index & 3];
    *irq = com_irq[index & 3];
}

static void fifo_put(struct uart_fifo *f, uint8_t b) { f->data[(f->head + f->count++) % UART_FIFO] = b; }

static uint8_t fifo_get(struct uart_fifo *f)
{
    uint8_t b = f->data[f->head % UART_FIFO];
    f->head = (f->head + 1) % UART_FIFO;
    f->count--;
    return b;
}

static unsigned fifo_depth(const struct uart *u) { return u->fcr & FCR_ENABLE ? UART_FIFO : 1; }

/* Table 3: what IIR says now, by priority. */
static uint8_t interrupt_id(const struct uart *u)
{
    if ((u->ier & IER_LINE) && (u->lsr & LSR_ERRORS)) {
        return IIR_LINE;
    }
    if ((u->ier & IER_RX) && u->rx.count) {
        /* Below the trigger level the receiver would time out four characters later; time does not pass here. */
        return !(u->fcr & FCR_ENABLE) || u->rx.count >= rx_trigger[u->fcr >> 6] ? IIR_RX : IIR_TIMEOUT;
    }
    if ((u->ier & IER_THRE) && u->thr_empty_pending) {
        return IIR_THRE;
    }
    if ((u->ier & IER_MODEM) && (u->msr & MSR_DELTAS)) {
        return IIR_MODEM;
    }
    return IIR_NONE;
}

static void update(struct uart *u)
{
    u->lsr = u->rx.count ? u->lsr | LSR_DR : u->lsr & ~LSR_DR;
    bool out2 = (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;     /* in loop mode the pin is inactive */
    irq_set(&u->irq, out2 && interrupt_id(u) != IIR_NONE);
}

static void modem_lines(struct uart *u)
{
    uint8_t lines;
    if (u->mcr & MCR_LOOP) {
        lines = (u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) |
                (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0);
    } else {
        lines = MSR_CTS | MSR_DSR | (u->chr && !chardev_connected(u->chr) ? 0 : MSR_DCD);
    }
    uint8_t changed = (lines ^ u->msr) & 0xf0, deltas = changed >> 4 & ~MSR_TERI;
    if ((changed & MSR_RI) && !(lines & MSR_RI)) {
        deltas |= MSR_TERI;                                       /* trailing edge only */
    }
    u->msr = lines | (u->msr & MSR_DELTAS) | deltas;
}

/* --- transmit --- */

static void receive(struct uart *u, uint8_t b)
{
    if (u->rx.count >= fifo_depth(u)) {
        u->lsr |= LSR_OE;
        if (u->fcr & FCR_ENABLE) {
            return;                                               /* the FIFO keeps what it has */
        }
        u->rx.count = 0;
    }
    fifo_put(&u->rx, b);
}

static void transmit(struct uart *u)
{
    while (u->tx.count) {
        uint8_t b = u->tx.data[u->tx.head % UART_FIFO];
        if (u->mcr & MCR_LOOP) {
            receive(u, b);
        } else if (u->chr && chardev_write(u->chr, &b, 1) == 0) {
            break;                                                /* writable() will go on */
        }
        fifo_get(&u->tx);
    }
    if (!u->tx.count) {
        if (!(u->lsr & LSR_THRE)) {
            u->thr_empty_pending = true;
        }
        u->lsr |= LSR_THRE | LSR_TEMT;
    }
}

static void write_thr(struct uart *u, uint8_t b)
{
    u->thr_empty_pending = false;
    u->lsr &= ~(LSR_THRE | LSR_TEMT);
    if (u->tx.count >= fifo_depth(u)) {
        log_guest("uart: THR written while full");
        if (u->tx.count >= UART_FIFO) {
            fifo_get(&u->tx);
        }
    }
    fifo_put(&u->tx, b);
    transmit(u);
}

/* --- registers --- */

static void write_fcr(struct uart *u, uint8_t value)
{
    if ((value ^ u->fcr) & FCR_ENABLE) {
        value |= FCR_CLEAR_RX | FCR_CLEAR_TX;
    }
    if (value & FCR_CLEAR_RX) {
        u->rx.count = 0;
        u->lsr &= ~LSR_BI;
    }
    if (value & FCR_CLEAR_TX) {
        u->tx.count = 0;
        transmit(u);
    }
    u->fcr = value & FCR_ENABLE ? value & 0xc9 : 0;               /* other bits need bit 0 set */
}

static enum access_status uart_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct uart *u = opaque;
    (void)size;
    value &= 0xff;
    switch (offset) {
    case RBR_THR_DLL:
        if (u->lcr & LCR_DLAB) {
            u->divisor = (u->divisor & 0xff00) | value;
        } else {
            write_thr(u, value);
        }
        break;
    case IER_DLM:
        if (u->lcr & LCR_DLAB) {
            u->divisor = (u->divisor & 0xff) | value << 8;
        } else {
            bool on = (value & ~u->ier) & IER_THRE;
            u->ier = value & 0x0f;
            if (on && (u->lsr & LSR_THRE)) {
                u->thr_empty_pending = true;                      /* enabling it while empty raises it */
            }
        }
        break;
    case IIR_FCR:
        write_fcr(u, value);
        break;
    case LCR:
        u->lcr = value;
        break;
    case MCR:
        u->mcr = value & 0x1f;
        modem_lines(u);
        transmit(u);
        break;
    case SCR:
        u->scr = value;
        break;
    }
    update(u);                                                    /* LSR, MSR: factory test, read-only */
    if (u->chr) {
        chardev_kick_input(u->chr);
    }
    return ACCESS_OK;
}

static uint8_t read_rbr(struct uart *u)
{
    if (!u->rx.count) {
        return u->rx.data[(u->rx.head + UART_FIFO - 1) % UART_FIFO];
    }
    uint8_t b = fifo_get(&u->rx);
    update(u);
    if (u->chr) {
        chardev_kick_input(u->chr);
    }
    return b;
}

static enum access_status uart_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct uart *u = opaque;
    (void)size;
    switch (offset) {
    case RBR_THR_DLL:
        *value = u->lcr & LCR_DLAB ? u->divisor & 0xff : read_rbr(u);
        break;
    case IER_DLM:
        *value = u->lcr & LCR_DLAB ? u->divisor >> 8 : u->ier;
        break;
    case IIR_FCR:
        *value = interrupt_id(u) | (u->fcr & FCR_ENABLE ? IIR_FIFO : 0);
        if ((*value & 0x0f) == IIR_THRE) {
            u->thr_empty_pending = false;
        }
        break;
    case LCR:
        *value = u->lcr;
        break;
    case MCR:
        *value = u->mcr;
        break;
    case LSR:
        *value = u->lsr;
        u->lsr &= ~LSR_ERRORS;
        break;
    case MSR:
        *value = u->msr;
        u->msr &= ~MSR_DELTAS;
        break;
    default:
        *value = u->scr;
    }
    update(u);
    return ACCESS_OK;
}

/* --- host side --- */

static size_t can_take(void *opaque)
{
    struct uart *u = opaque;
    return u->mcr & MCR_LOOP || u->rx.count >= fifo_depth(u) ? 0 : fifo_depth(u) - u->rx.count;
}

static void take(void *opaque, const uint8_t *buf, size_t len)
{
    struct uart *u = opaque;
    for (size_t i = 0; i < len; i++) {
        receive(u, buf[i]);
    }
    update(u);
}

static void event(void *opaque, enum chardev_event e)
{
    struct uart *u = opaque;
    if (e == CHARDEV_BREAK && !(u->mcr & MCR_LOOP)) {
        receive(u, 0);
        u->lsr |= LSR_BI;
    }
    modem_lines(u);
    update(u);
}

static void writable(void *opaque)
{
    struct uart *u = opaque;
    transmit(u);
    update(u);
}

static const struct region_ops uart_ops = { .read = uart_read, .write = uart_write, .min_size = 1, .max_size = 1 };

static void moved(void *opaque, struct chardev *now) { ((struct uart *)opaque)->chr = now; }

/* index= not given: the first that no other one has. */
static bool index_choose(struct uart *u, GError **err)
{
    struct machine *m = u->dev.machine;
    bool taken[4] = { false };

    for (unsigned i = 0; i < m->devices->len; i++) {
        struct device *d = g_ptr_array_index(m->devices, i);
        if (d->class == u->dev.class) {
            taken[((struct uart *)d)->index] = true;
        }
    }
    if (u->index < 4) {
        return true;
    }
    for (u->index = 0; u->index < 4 && taken[u->index]; u->index++) {
    }
    return u->index < 4 || error_set(err, EMU_ERROR_INVALID, "Max. supported number of ISA serial ports is 4.");
}

static bool chardev_find(struct uart *u, GError **err)
{
    struct machine *m = u->dev.machine;

    if (!u->chardev) {
        u->chr = m->spec.serial[u->index];
        return true;
    }
    u->chr = chardevs_claim(m->chardevs, u->chardev, u->dev.id ? u->dev.id : "serial", err);
    return u->chr || error_prefix(err, "Property 'isa-serial.chardev' can't find value '%s'", u->chardev);
}

static bool uart_init(struct device *d, GError **err)
{
    struct uart *u = (struct uart *)d;
    struct isa_bus *bus = isa_bus_find(d->machine, err);
    if (!index_choose(u, err) || !bus || !isa_irq(bus, u->irq_number ? u->irq_number : com_irq[u->index], &u->irq, err)) {
        return false;
    }
    if (!chardev_find(u, err)) {
        return false;
    }
    if (u->chr) {
        chardev_attach(u->chr, &(struct chardev_port){
            .can_take = can_take, .take = take, .event = event, .writable = writable, .moved = moved, .opaque = u });
    }
    region_init_io(&u->ports, "serial", &uart_ops, u, 8);
    region_add(&d->machine->io_root, &u->ports, u->iobase ? u->iobase : com_port[u->index], 0);
    return true;
}

static void uart_fini(struct device *d)
{
    struct uart *u = (struct uart *)d;
    chardevs_release(d->machine->chardevs, u->chr);
    region_del(&u->ports);
}

static void uart_settle(struct device *d)
{
    struct uart *u = (struct uart *)d;
    modem_lines(u);
    update(u);
    if (u->chr) {
        chardev_kick_input(u->chr);
    }
}

static void uart_reset(struct device *d, enum reset_phase phase)
{
    struct uart *u = (struct uart *)d;
    if (phase == RESET_EXIT) {
        modem_lines(u);
        u->msr &= ~MSR_DELTAS;                                    /* the lines did not change, we just began to look */
    }
}

static const struct field fifo_fields[] = {
    STATE(struct uart_fifo, data),
    STATE(struct uart_fifo, head),
    STATE(struct uart_fifo, count),
};

static const struct field uart_fields[] = {
    PROP(struct uart, index, .def = "4294967295", .help = "0 to 3 for COM1 to COM4: ports, IRQ and which -serial; 4294967295: the first free one"),
    PROP(struct uart, chardev, .help = "id of the character device it is connected to"),
    PROP(struct uart, iobase, .def = "0", .max = 0xfff8, .help = "first port; 0: by index"),
    PROP(struct uart, irq_number, .option = "irq", .def = "0", .max = 15, .help = "ISA interrupt; 0: by index"),
    STATE(struct uart, ier),
    STATE(struct uart, fcr),
    STATE(struct uart, lcr),
    STATE(struct uart, mcr, .reset = MCR_OUT2),                   /* data sheet: 0; PCs' firmware leaves the gate open */
    STATE(struct uart, lsr, .reset = LSR_THRE | LSR_TEMT),
    STATE(struct uart, msr),
    STATE(struct uart, scr),
    STATE(struct uart, divisor, .reset = 12),                     /* 9600 baud */
    STATE(struct uart, thr_empty_pending),
    STATE_STRUCT(struct uart, rx, fifo_fields, 1),
    STATE_STRUCT(struct uart, tx, fifo_fields, 1),
    WIRING(struct uart, chr),
    WIRING(struct uart, irq),
    WIRING(struct uart, ports),
};

const struct device_class uart16550_class = {
    .name = "isa-serial", .desc = "16550A serial port", .bus = "isa", .user_creatable = true, .size = sizeof(struct uart), .version = 1,
    .fields = uart_fields, .n_fields = G_N_ELEMENTS(uart_fields),
    .init = uart_init, .fini = uart_fini, .reset = uart_reset, .settle = uart_settle,
};
