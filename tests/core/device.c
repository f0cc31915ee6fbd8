/*
 * Field tables: the check finds what is missing; properties, reset, save and load follow the table.
 * (A member that lies where padding could be is out of the check's reach, so the struct has none such.)
 */
#include "core/device.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/machine.h"

struct inner { uint16_t count; uint8_t mode; };
struct dev {
    struct device dev;
    char *label;
    uint32_t iobase;
    uint32_t table[3];
    uint16_t divisor;
    bool fast;
    uint8_t ier, lsr;
    uint8_t ram[10];
    struct timer timer;
    struct inner channel[3];
    void *host;
    int settled;
};

static const struct field inner_fields[] = { STATE(struct inner, count, .reset = 7), STATE(struct inner, mode) };
static const struct field dev_fields[] = {
    PROP(struct dev, iobase, .def = "0x3f8", .max = 0xffff, .help = "first port"),
    PROP(struct dev, fast, .option = "x-fast", .def = "on"),
    PROP(struct dev, label),
    STATE(struct dev, ier), STATE(struct dev, lsr, .reset = 0x60), STATE(struct dev, divisor, .reset = 12),
    STATE(struct dev, ram, .keep = true), STATE(struct dev, table, .elem = 4), STATE(struct dev, timer),
    STATE_STRUCT(struct dev, channel, inner_fields, 3),
    WIRING(struct dev, host), DERIVED(struct dev, settled),
};

static bool dev_init(struct device *d, GError **err)
{
    struct dev *v = (struct dev *)d;

    timer_init(&v->timer, d->machine, CLOCK_VIRTUAL_NS, NULL, v);
    if (v->iobase == 0) {
        g_set_error(err, 1, 1, "no port");
        return false;
    }
    return true;
}

static void dev_settle(struct device *d)
{
    ((struct dev *)d)->settled++;
}

static const struct device_class class = {
    .name = "dev", .desc = "a device", .size = sizeof(struct dev), .version = 2,
    .fields = dev_fields, .n_fields = G_N_ELEMENTS(dev_fields), .init = dev_init, .settle = dev_settle,
};

static struct machine *m;

static void setup(void)
{
    m = machine_new();
    machine_lock(m);
}

static void teardown(void)
{
    machine_unlock(m);
    machine_free(m);
}

TestSuite(device, .init = setup, .fini = teardown);

Test(device, check_accepts_a_full_table)
{
    GError *err = NULL;

    cr_expect(device_class_check(&class, &err), "%s", err ? err->message : "");
}

Test(device, check_names_what_is_missing)
{
    for (unsigned skip = 0; skip < G_N_ELEMENTS(dev_fields); skip++) {
        struct field some[G_N_ELEMENTS(dev_fields)];
        struct device_class broken = class;
        GError *err = NULL;
        unsigned n = 0;

        for (unsigned i = 0; i < G_N_ELEMENTS(dev_fields); i++) {
            if (i != skip) {
                some[n++] = dev_fields[i];
            }
        }
        broken.fields = some;
        broken.n_fields = n;
        cr_expect_not(device_class_check(&broken, &err), "without '%s'", dev_fields[skip].name);
        cr_expect(err && strstr(err->message, "no row for the member at offset"), "%s", err ? err->message : "-");
        g_clear_error(&err);
    }
}

Test(device, check_refuses_bad_rows)
{
    struct field rows[G_N_ELEMENTS(dev_fields)];
    struct device_class broken = class;
    GError *err = NULL;

    broken.fields = rows;
    memcpy(rows, dev_fields, sizeof(rows));
    rows[0].def = "70000";
    cr_expect_not(device_class_check(&broken, &err));
    cr_expect(strstr(err->message, "default of dev.iobase"), "%s", err->message);
    g_clear_error(&err);
    memcpy(rows, dev_fields, sizeof(rows));
    rows[3].offset++;
    cr_expect_not(device_class_check(&broken, NULL));
    memcpy(rows, dev_fields, sizeof(rows));
    rows[3].name = "lsr";
    cr_expect_not(device_class_check(&broken, NULL));
}

Test(device, properties)
{
    GError *err = NULL;
    struct dev *d = (struct dev *)device_make(m, &class, "u0", &err, "x-fast", "off", "label", "a", NULL);

    cr_assert_not_null(d);
    cr_expect(d->iobase == 0x3f8 && !d->fast && !strcmp(d->label, "a"));
    cr_expect_not(device_set(&d->dev, "iobse", "1", &err));
    cr_expect_str_eq(err->message, "dev: unknown property 'iobse', did you mean 'iobase'?");
    g_clear_error(&err);
    cr_expect_not(device_set(&d->dev, "iobase", "65536", &err));
    cr_expect_str_eq(err->message, "dev.iobase: 65536 is not between 0 and 65535");
    g_clear_error(&err);
    cr_expect_not(device_set(&d->dev, "ier", "1", NULL), "state is no property");
    cr_expect_null(device_make(m, &class, NULL, &err, "iobase", "0", NULL));
    cr_expect_str_eq(err->message, "dev: no port");
    cr_expect_eq(m->devices->len, 1);
}

Test(device, reset_follows_the_table)
{
    struct dev *d = (struct dev *)device_make(m, &class, NULL, NULL, NULL);

    d->ier = 1;
    d->ram[3] = 9;
    d->table[1] = 5;
    d->channel[2].mode = 4;
    d->host = d;
    timer_set(&d->timer, 1000);
    devices_reset(m);
    cr_expect(d->ier == 0 && d->lsr == 0x60 && d->divisor == 12 && d->ram[3] == 9 && d->table[1] == 0);
    cr_expect(d->channel[0].count == 7 && d->channel[2].mode == 0 && d->host == d && !timer_armed(&d->timer));
    cr_expect_eq(d->settled, 1);
    cr_expect_eq(d->iobase, 0x3f8);
}

Test(device, save_and_load)
{
    struct dev *a = (struct dev *)device_make(m, &class, NULL, NULL, NULL);
    struct dev *b = (struct dev *)device_make(m, &class, NULL, NULL, NULL);
    GByteArray *s, *t;
    GError *err = NULL;

    a->ier = 3;
    a->divisor = 0x1234;
    a->ram[9] = 8;
    a->table[2] = 0xdeadbeef;
    a->channel[1] = (struct inner){ 99, 2 };
    timer_set(&a->timer, 123456789);
    s = device_save(&a->dev);
    cr_assert(device_load(&b->dev, s->data, s->len, &err), "%s", err ? err->message : "");
    cr_expect(b->ier == 3 && b->divisor == 0x1234 && b->ram[9] == 8 && b->table[2] == 0xdeadbeef);
    cr_expect(b->channel[1].count == 99 && b->channel[1].mode == 2 && b->timer.deadline == 123456789 && b->settled == 1);
    t = device_save(&b->dev);
    cr_expect(t->len == s->len && !memcmp(s->data, t->data, s->len));
    for (guint n = 0; n < s->len; n++) {
        uint8_t *cut = g_memdup2(s->data, n);

        /* A cut between two records is a shorter, valid stream; any other is refused. */
        device_load(&b->dev, cut, n, NULL);
        g_free(cut);
    }
    cr_expect_not(device_load(&b->dev, s->data, s->len - 1, NULL));
    ((uint8_t *)memmem(s->data, s->len, "divisor", 7))[0] = 'D';
    cr_expect_not(device_load(&b->dev, s->data, s->len, &err));
    cr_expect_str_eq(err->message, "dev: unknown field 'Divisor' in the saved state");
    g_clear_error(&err);
    s->data[0] = 3;
    cr_expect_not(device_load(&b->dev, s->data, s->len, &err));
    cr_expect(strstr(err->message, "version 3"));
    g_clear_error(&err);
    g_byte_array_unref(s);
    g_byte_array_unref(t);
}

Test(device, qtree_shows_properties_and_state)
{
    GString *s = g_string_new(NULL);

    device_make(m, &class, "u0", NULL, NULL);
    device_tree_dump(m, s);
    cr_expect(strstr(s->str, "dev: dev, id \"u0\"") && strstr(s->str, "iobase (property) = 1016") && strstr(s->str, "channel[2]"));
    g_string_free(s, TRUE);
}
