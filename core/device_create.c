/*
 * Devices by what users say: -device, device_add. See core/device.h.
 */
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "core/device_priv.h"
#include "core/machine.h"

static const struct device_class *class_find(const struct options *o, GError **err)
{
    const char *name = options_string(o, "driver", NULL);
    const struct device_class *c = name ? device_class_find(name) : NULL;

    if (!name) {
        error_set(err, EMU_ERROR_INVALID, "Parameter 'driver' is missing");
    } else if (!c) {
        error_unknown(err, "device", name, device_class_names(), "-device help");
    } else if (!c->user_creatable) {
        error_set(err, EMU_ERROR_INVALID, "'%s' is part of a machine and cannot be added", name);
        c = NULL;
    }
    return c;
}

const struct device_class *device_class_of(const char *text, GError **err)
{
    struct options *o = options_parse(text, "driver", NULL, err);
    const struct device_class *c = o ? class_find(o, err) : NULL;

    options_free(o);
    return c;
}

/* The machine may have had its reset already. */
static void reset_late(struct device *d)
{
    for (enum reset_phase phase = RESET_ENTER; phase <= RESET_EXIT; phase++) {
        device_reset(d, phase);
    }
}

struct device *device_create(struct machine *m, const char *text, GError **err)
{
    struct options *o = options_parse(text, "driver", NULL, err);
    const struct device_class *class = o ? class_find(o, err) : NULL;
    const char *id = o ? options_string(o, "id", NULL) : NULL, *key, *value;
    struct device *d = NULL;
    bool ok = class != NULL;

    if (ok && id && device_find(m, id)) {
        ok = error_set(err, EMU_ERROR_INVALID, "Duplicate device ID '%s'", id);
    }
    if (ok) {
        d = device_new(m, class, id);
        for (unsigned i = 0; ok && i < options_count(o); i++) {
            options_at(o, i, &key, &value);
            ok = !strcmp(key, "driver") || !strcmp(key, "id") || device_set(d, key, value, err);
        }
        if (!ok) {
            device_free(d);
        }
        ok = ok && device_add(d, err);
    }
    options_free(o);
    if (ok) {
        reset_late(d);
    }
    return ok ? d : NULL;
}
