/* Buses: names, choice, properties of shared tables, removal of what hangs below. */
#include "core/bus.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/device.h"
#include "core/machine.h"

struct slot {
    char *address;
    uint8_t level;
};
struct card {
    struct device dev;
    struct slot slot;
    struct bus below;
};
static unsigned ended;

#define SLOT(type_, member_) { .name = #member_, .use = FIELD_PROP, .type = type_, .offset = offsetof(struct slot, member_), \
    .size = sizeof(((struct slot *)0)->member_), .help = "shared" }
static const struct field slot_fields[] = { SLOT(FIELD_STRING, address), SLOT(FIELD_U8, level) };
static const struct field card_fields[] = {
    STATE_STRUCT(struct card, slot, slot_fields, 1), WIRING(struct card, below),
};

static bool card_init(struct device *d, GError **err)
{
    (void)err;
    bus_init(&((struct card *)d)->below, d->machine, "thing", d, NULL);
    return true;
}

static void card_fini(struct device *d)
{
    bus_fini(&((struct card *)d)->below);
    ended++;
}

static const struct device_class card_class = {
    .name = "card", .bus = "thing", .size = sizeof(struct card), .version = 1, .fields = card_fields, .n_fields = 2,
    .init = card_init, .fini = card_fini,
};

static struct machine *m;
static struct bus root;
static bool room;
static bool has_room(struct bus *b) { return b && room; }

static void setup(void)
{
    m = machine_new();
    machine_lock(m);
    room = true;
    ended = 0;
    bus_init(&root, m, "thing", NULL, "thing.0");
    root.has_room = has_room;
}

static void teardown(void)
{
    machine_unlock(m);
    machine_free(m);
}

TestSuite(bus, .init = setup, .fini = teardown);

Test(bus, properties_of_an_inner_table)
{
    GError *err = NULL;
    cr_assert(device_class_check(&card_class, &err), "%s", err ? err->message : "");
    struct card *c = (struct card *)device_make(m, &card_class, "a", &err, "address", "4.1", "level", "7", NULL);
    cr_assert(c, "%s", err ? err->message : "");
    cr_expect(!strcmp(c->slot.address, "4.1") && c->slot.level == 7 && c->dev.bus == &root && !c->dev.parent);
    cr_expect(!device_set(&c->dev, "adress", "1", &err) && strstr(err->message, "did you mean 'address'"), "%s", err->message);
}

Test(bus, found_by_name_or_by_room)
{
    GError *err = NULL;
    struct card *a = (struct card *)device_make(m, &card_class, "a", &err, NULL);
    struct card *b = (struct card *)device_make(m, &card_class, NULL, &err, "bus", "a.0", NULL);
    cr_assert(a && b);
    cr_expect(b->dev.bus == &a->below && b->dev.parent == &a->dev && !strcmp(a->below.name, "a.0"));
    room = false;
    struct card *c = (struct card *)device_make(m, &card_class, NULL, &err, NULL);
    cr_assert(c && c->dev.bus == &a->below, "the first one is full");
    cr_expect(!device_make(m, &card_class, NULL, &err, "bus", "thing.0", NULL) && strstr(err->message, "'thing.0' is full"), "%s", err->message);
    g_clear_error(&err);
    cr_expect(!device_make(m, &card_class, NULL, &err, "bus", "thong.0", NULL) && strstr(err->message, "did you mean 'thing.0'"), "%s", err->message);
}

Test(bus, removal_takes_all_below)
{
    GError *err = NULL;
    struct card *a = (struct card *)device_make(m, &card_class, "a", &err, NULL);
    cr_assert(device_make(m, &card_class, "b", &err, "bus", "a.0", NULL) && device_make(m, &card_class, "c", &err, "bus", "b.0", NULL));
    device_remove(&a->dev);
    cr_expect(ended == 3 && !device_find(m, "c") && m->buses->len == 1 && m->devices->len == 0);
}
