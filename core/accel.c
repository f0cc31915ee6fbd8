/*
 * The engines that are built in. See core/accel.h.
 */
#include "core/accel.h"

#include <string.h>

static const struct accel_ops *const *accel_list;   /* set once by main/ before anything is parsed */

void accels_set(const struct accel_ops *const *list)
{
    accel_list = list;
}

const struct accel_ops *const *accels(void)
{
    return accel_list;
}

const struct accel_ops *accel_find(const char *name)
{
    for (const struct accel_ops *const *a = accel_list; a && *a; a++) {
        if (!strcmp((*a)->name, name)) {
            return *a;
        }
    }
    return NULL;
}
