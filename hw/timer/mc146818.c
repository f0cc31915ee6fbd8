/*
 * MC146818 real-time clock: date from the host's clock plus an offset, alarm, update and periodic interrupts, 114 bytes
 * of RAM, century in byte 32h as on a PC. Spec: Motorola MC146818A data sheet; ports 70h/71h: Intel 82371SB (PIIX3), 2.5.3.
 * Left out: daylight saving (register B bit 0 is kept, without effect), the square-wave pin.
 */
#include "hw/timer/mc146818.h"

#include <time.h>

#include "base/log.h"
#include "core/machine.h"
#include "hw/isa/isa.h"

enum { SECONDS, SECONDS_ALARM, MINUTES, MINUTES_ALARM, HOURS, HOURS_ALARM, WEEKDAY, DAY, MONTH, YEAR, REG_A, REG_B, REG_C, REG_D, CENTURY = 0x32 };
enum { A_UIP = 0x80, A_DIVIDER = 0x70, A_DIVIDER_ON = 0x20, A_RATE = 0x0f };
enum { B_SET = 0x80, B_PIE = 0x40, B_AIE = 0x20, B_UIE = 0x10, B_BINARY = 0x04, B_24H = 0x02 };
enum { C_IRQF = 0x80, C_PF = 0x40, C_AF = 0x20, C_UF = 0x10 };
#define D_VALID 0x80

/* t_BUC: the guest has this long between UIP and the update. */
#define UIP_NS 244000u
/* Dates beyond 2223 do not fit into ns; a guest that sets one gets this. */
#define MAX_SECONDS 8000000000ll

/* --- time as numbers and as registers --- */

static int64_t guest_ns(struct mc146818 *r)
{
    struct machine *m = r->dev.machine;
    return (int64_t)clock_now(m, CLOCK_HOST_NS) + m->spec.rtc_offset_ns + r->offset_ns;
}

static uint8_t encode(const struct mc146818 *r, unsigned v)
{
    return r->ram[REG_B] & B_BINARY ? v : (v / 10 % 10) << 4 | v % 10;
}

static unsigned decode(const struct mc146818 *r, uint8_t v)
{
    return r->ram[REG_B] & B_BINARY ? v : (unsigned)(v >> 4) * 10 + (v & 15);
}

static uint8_t encode_hour(const struct mc146818 *r, unsigned hour)
{
    if (r->ram[REG_B] & B_24H) {
        return encode(r, hour);
    }
    return encode(r, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? 0x80 : 0);
}

static unsigned decode_hour(const struct mc146818 *r, uint8_t v)
{
    if (r->ram[REG_B] & B_24H) {
        return decode(r, v);
    }
    return decode(r, v & 0x7f) % 12 + (v & 0x80 ? 12 : 0);
}

/* Registers 0..9 and century from a time. */
static void to_registers(const struct mc146818 *r, int64_t ns, uint8_t *reg)
{
    time_t t = ns / (int64_t)NS_PER_S - (ns % (int64_t)NS_PER_S < 0);
    struct tm tm;
    if (r->dev.machine->spec.rtc_localtime ? !localtime_r(&t, &tm) : !gmtime_r(&t, &tm)) {
        memset(&tm, 0, sizeof(tm));
    }
    unsigned year = (unsigned)tm.tm_year + 1900;
    reg[SECONDS] = encode(r, tm.tm_sec % 60);          /* no leap seconds */
    reg[MINUTES] = encode(r, tm.tm_min);
    reg[HOURS] = encode_hour(r, tm.tm_hour);
    reg[WEEKDAY] = encode(r, tm.tm_wday + 1);
    reg[DAY] = encode(r, tm.tm_mday);
    reg[MONTH] = encode(r, tm.tm_mon + 1);
    reg[YEAR] = encode(r, year % 100);
    reg[CENTURY] = encode(r, year / 100 % 100);
}

/* The guest has set the registers: the offset becomes what makes them true. */
static void from_registers(struct mc146818 *r, const uint8_t *reg)
{
    struct tm tm = {
        .tm_sec = decode(r, reg[SECONDS]), .tm_min = decode(r, reg[MINUTES]), .tm_hour = decode_hour(r, reg[HOURS]),
        .tm_mday = decode(r, reg[DAY]), .tm_mon = (int)decode(r, reg[MONTH]) - 1,
        .tm_year = (int)(decode(r, reg[CENTURY]) * 100 + decode(r, reg[YEAR])) - 1900, .tm_isdst = -1,
    };
    time_t t = r->dev.machine->spec.rtc_localtime ? mktime(&tm) : timegm(&tm);
    t = CLAMP(t, 0, MAX_SECONDS);
    int64_t now = guest_ns(r), fraction = now % (int64_t)NS_PER_S;
    r->offset_ns += (int64_t)t * (int64_t)NS_PER_S + (fraction < 0 ? fraction + (int64_t)NS_PER_S : fraction) - now;
}

/* --- interrupts --- */

static void update_irq(struct mc146818 *r)
{
    uint8_t c = r->ram[REG_C] & (C_PF | C_AF | C_UF);
    bool on = c & r->ram[REG_B];                       /* the same bit numbers on purpose */
    r->ram[REG_C] = c | (on ? C_IRQF : 0);
    irq_set(&r->irq, on);
}

static bool running(const struct mc146818 *r)
{
    return (r->ram[REG_A] & A_DIVIDER) == A_DIVIDER_ON && !(r->ram[REG_B] & B_SET);
}

static uint64_t period_ns(const struct mc146818 *r)
{
    unsigned rate = r->ram[REG_A] & A_RATE;
    if (!rate || (r->ram[REG_A] & A_DIVIDER) != A_DIVIDER_ON) {
        return 0;
    }
    if (rate <= 2) {
        rate += 7;                                     /* table 5: 256 and 128 Hz */
    }
    return NS_PER_S * (1u << (rate - 1)) / 32768;
}

/* PF is set by the passing of time, whether somebody waits for it or polls. */
static void see_periods(struct mc146818 *r)
{
    uint64_t period = period_ns(r);
    if (period) {
        uint64_t n = (clock_now(r->dev.machine, CLOCK_VIRTUAL_NS) - r->periodic_start) / period;
        if (n > r->periodic_seen) {
            r->ram[REG_C] |= C_PF;
        }
        r->periodic_seen = n;
    }
}

static void arm_periodic(struct mc146818 *r)
{
    uint64_t period = period_ns(r);
    if (period && (r->ram[REG_B] & B_PIE)) {
        timer_set(&r->periodic, r->periodic_start + (r->periodic_seen + 1) * period);
    } else {
        timer_cancel(&r->periodic);
    }
}

static void periodic_fire(void *opaque)
{
    struct mc146818 *r = opaque;
    see_periods(r);
    update_irq(r);
    arm_periodic(r);
}

static void arm_second(struct mc146818 *r)
{
    if (!running(r)) {
        timer_cancel(&r->second);
        return;
    }
    uint64_t now = clock_now(r->dev.machine, CLOCK_HOST_NS);
    int64_t fraction = ((int64_t)now + r->dev.machine->spec.rtc_offset_ns + r->offset_ns) % (int64_t)NS_PER_S;
    timer_set(&r->second, now + NS_PER_S - (fraction < 0 ? fraction + NS_PER_S : (uint64_t)fraction));
}

/* 11xxxxxx in an alarm register means "any". */
static bool alarm_matches(const struct mc146818 *r, const uint8_t *now)
{
    static const uint8_t pair[3] = { SECONDS, MINUTES, HOURS };
    for (unsigned i = 0; i < 3; i++) {
        uint8_t want = r->ram[pair[i] + 1];
        if ((want & 0xc0) != 0xc0 && want != now[pair[i]]) {
            return false;
        }
    }
    return true;
}

static void second_fire(void *opaque)
{
    struct mc146818 *r = opaque;
    uint8_t now[CMOS_SIZE];
    to_registers(r, guest_ns(r), now);
    r->ram[REG_C] |= C_UF | (alarm_matches(r, now) ? C_AF : 0);
    update_irq(r);
    arm_second(r);
}

/* --- ports --- */

static bool is_time(unsigned n)
{
    return n == CENTURY || (n <= YEAR && n != SECONDS_ALARM && n != MINUTES_ALARM && n != HOURS_ALARM);
}

static uint8_t rtc_read(struct mc146818 *r, unsigned n)
{
    uint8_t now[CMOS_SIZE];
    if (is_time(n) && !(r->ram[REG_B] & B_SET)) {
        to_registers(r, guest_ns(r), now);
        return now[n];
    }
    switch (n) {
    case REG_A: {
        int64_t fraction = guest_ns(r) % (int64_t)NS_PER_S;
        bool uip = running(r) && (fraction < 0 ? fraction + (int64_t)NS_PER_S : fraction) >= (int64_t)(NS_PER_S - UIP_NS);
        return (r->ram[REG_A] & 0x7f) | (uip ? A_UIP : 0);
    }
    case REG_C: {
        see_periods(r);
        update_irq(r);
        uint8_t c = r->ram[REG_C];
        r->ram[REG_C] = 0;
        update_irq(r);
        return c;
    }
    case REG_D:
        return D_VALID;
    }
    return r->ram[n];
}

static void write_time(struct mc146818 *r, unsigned n, uint8_t value)
{
    if (!(r->ram[REG_B] & B_SET)) {
        uint8_t now[CMOS_SIZE];
        to_registers(r, guest_ns(r), now);
        now[n] = value;
        from_registers(r, now);
        arm_second(r);
    }
    r->ram[n] = value;
}

static void write_b(struct mc146818 *r, uint8_t value)
{
    uint8_t old = r->ram[REG_B];
    if (!(old & B_SET) && (value & B_SET)) {
        to_registers(r, guest_ns(r), r->ram);          /* the time stands while SET is on */
    }
    if (value & B_SET) {
        value &= ~B_UIE;
    }
    r->ram[REG_B] = value;
    if ((old & B_SET) && !(value & B_SET)) {
        from_registers(r, r->ram);
    }
    see_periods(r);
    update_irq(r);
    arm_periodic(r);
    arm_second(r);
}

static void rtc_write(struct mc146818 *r, unsigned n, uint8_t value)
{
    if (is_time(n)) {
        write_time(r, n, value);
        return;
    }
    switch (n) {
    case REG_A:
        see_periods(r);
        r->ram[REG_A] = value & 0x7f;
        r->periodic_start = clock_now(r->dev.machine, CLOCK_VIRTUAL_NS);
        r->periodic_seen = 0;
        arm_periodic(r);
        arm_second(r);
        break;
    case REG_B:
        write_b(r, value);
        break;
    case REG_C:
    case REG_D:
        break;                                         /* read-only */
    default:
        r->ram[n] = value;
    }
}

static enum access_status port_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct mc146818 *r = opaque;
    (void)size;
    *value = offset ? rtc_read(r, r->index) : 0xff;    /* port 70h is write-only */
    return ACCESS_OK;
}

static enum access_status port_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct mc146818 *r = opaque;
    (void)size;
    if (offset) {
        rtc_write(r, r->index, value);
    } else {
        r->index = value & (CMOS_SIZE - 1);            /* bit 7 is the NMI mask, which nothing here raises */
    }
    return ACCESS_OK;
}

void mc146818_set(struct mc146818 *r, unsigned n, uint8_t value)
{
    if (n > REG_D && n < CMOS_SIZE) {
        r->ram[n] = value;
    }
}

uint8_t mc146818_get(const struct mc146818 *r, unsigned n) { return n < CMOS_SIZE ? r->ram[n] : 0; }

static const struct region_ops port_ops = { .read = port_read, .write = port_write, .min_size = 1, .max_size = 1 };

static bool rtc_init(struct device *d, GError **err)
{
    struct mc146818 *r = (struct mc146818 *)d;
    struct isa_bus *bus = isa_bus_find(d->machine, err);
    if (!bus || !isa_irq(bus, 8, &r->irq, err)) {
        return false;
    }
    timer_init(&r->periodic, d->machine, CLOCK_VIRTUAL_NS, periodic_fire, r);
    timer_init(&r->second, d->machine, CLOCK_HOST_NS, second_fire, r);
    r->ram[REG_A] = 0x26;                              /* as a PC's firmware leaves it: running, 1024 Hz */
    r->ram[REG_B] = B_24H;
    region_init_io(&r->ports, "rtc", &port_ops, r, 2);
    region_add(&d->machine->io_root, &r->ports, 0x70, 0);
    return true;
}

static void rtc_reset(struct device *d, enum reset_phase phase)
{
    struct mc146818 *r = (struct mc146818 *)d;
    if (phase == RESET_ENTER) {                        /* "RESET": time and RAM live on the battery */
        r->ram[REG_B] &= ~(B_PIE | B_AIE | B_UIE);
        r->ram[REG_C] = 0;
        if (r->ram[REG_B] & B_SET) {
            r->ram[REG_B] &= ~B_SET;
            from_registers(r, r->ram);
        }
    }
}

static void rtc_settle(struct device *d)
{
    struct mc146818 *r = (struct mc146818 *)d;
    update_irq(r);
    arm_periodic(r);
    arm_second(r);
}

static const struct field rtc_fields[] = {
    STATE(struct mc146818, ram, .keep = true),
    STATE(struct mc146818, index),
    { FIELD_OF(struct mc146818, offset_ns), .use = FIELD_STATE, .type = FIELD_U64, .keep = true },
    STATE(struct mc146818, periodic_start, .keep = true),
    STATE(struct mc146818, periodic_seen, .keep = true),
    STATE(struct mc146818, periodic),
    STATE(struct mc146818, second),
    WIRING(struct mc146818, irq),
    WIRING(struct mc146818, ports),
};

const struct device_class mc146818_class = {
    .name = "mc146818rtc", .desc = "MC146818 real-time clock", .bus = "isa", .size = sizeof(struct mc146818), .version = 1,
    .fields = rtc_fields, .n_fields = G_N_ELEMENTS(rtc_fields), .init = rtc_init, .reset = rtc_reset, .settle = rtc_settle,
};
