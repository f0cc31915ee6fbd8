/*
 * Options written as JSON, as management tools do: nested objects become dotted keys. See base/options.h.
 */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"

static bool add_value(struct options *o, const char *key, json_t *v, const struct option_desc *desc, GError **err);

static bool add_object(struct options *o, const char *prefix, json_t *object, const struct option_desc *desc, GError **err)
{
    const char *name;
    json_t *v;

    json_object_foreach(object, name, v) {
        g_autofree char *key = prefix ? g_strdup_printf("%s.%s", prefix, name) : g_strdup(name);

        if (!add_value(o, key, v, desc, err)) {
            return false;
        }
    }
    return true;
}

static bool add_list(struct options *o, const char *key, json_t *list, const struct option_desc *desc, GError **err)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *v = json_array_get(list, i), *str = json_object_size(v) == 1 ? json_object_get(v, "str") : NULL;
        g_autofree char *numbered = g_strdup_printf("%s.%zu", key, i);

        if (!add_value(o, json_is_object(v) && !str ? numbered : key, str ? str : v, desc, err)) {
            return false;
        }
    }
    return true;
}

static bool add_value(struct options *o, const char *key, json_t *v, const struct option_desc *desc, GError **err)
{
    char number[32];

    switch (json_typeof(v)) {
    case JSON_OBJECT: return add_object(o, key, v, desc, err);
    case JSON_ARRAY:  return add_list(o, key, v, desc, err);
    case JSON_STRING: return options_add(o, key, json_string_value(v), desc, err);
    case JSON_TRUE:   return options_add(o, key, "on", desc, err);
    case JSON_FALSE:  return options_add(o, key, "off", desc, err);
    case JSON_NULL:   return options_add(o, key, "null", desc, err);
    case JSON_INTEGER:
        g_snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        return options_add(o, key, number, desc, err);
    default:
        return error_set(err, EMU_ERROR_INVALID, "%s: a number with a fraction is nothing that an option takes", key);
    }
}

struct options *options_parse_json(const char *text, const struct option_desc *desc, GError **err)
{
    json_error_t where;
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    struct options *o;

    if (!json_is_object(object)) {
        if (object) {
            error_set(err, EMU_ERROR_INVALID, "not a JSON object");
        } else {
            error_set(err, EMU_ERROR_INVALID, "JSON, column %d: %s", where.column, where.text);
        }
        json_decref(object);
        return NULL;
    }
    o = options_parse("", NULL, NULL, NULL);
    if (!add_object(o, NULL, object, desc, err)) {
        options_free(o);
        o = NULL;
    }
    json_decref(object);
    return o;
}
