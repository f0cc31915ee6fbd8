/*
 * What the command line says about firmware, watchdogs and defaults of devices: -boot, -fw_cfg, -smbios, -acpitable, -option-rom, -L,
 * -watchdog-action, -action, -global. See main/config.h.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "core/device.h"
#include "core/machine.h"
#include "main/config.h"

/* --- -boot --- */

bool boot_options_merge(struct options **into, const char *text, GError **err)
{
    static const struct option_desc desc[] = {
        { "order", OPT_STRING, NULL, NULL, NULL, 0, 0 }, { "once", OPT_STRING, NULL, NULL, NULL, 0, 0 }, { "menu", OPT_BOOL, NULL, NULL, NULL, 0, 0 },
        { "strict", OPT_BOOL, NULL, NULL, NULL, 0, 0 }, { "splash", OPT_STRING, NULL, NULL, NULL, 0, 0 },
        { "splash-time", OPT_UINT, NULL, NULL, NULL, 0, 65535 }, { "reboot-timeout", OPT_STRING, NULL, NULL, NULL, 0, 0 }, { 0 },
    };
    struct options *o = options_parse(text, "order", desc, err);

    if (!o) {
        return false;
    }
    if (options_has(o, "splash")) {
        options_free(o);
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: splash= (splash-time= is)");
    }
    for (unsigned i = 0; i < 2; i++) {
        const char *v = options_string(o, i ? "once" : "order", "");

        if (strspn(v, "abcdefghijklmnop") != strlen(v)) {
            error_set(err, EMU_ERROR_INVALID, "'%s': drives are letters from a to p", v);
            options_free(o);
            return false;
        }
    }
    if (*into) {
        options_merge(*into, o);
        options_free(o);
    } else {
        *into = o;
    }
    return true;
}

/* --- -action, -watchdog-action --- */

static const char *const watchdog_names[] = { "reset", "shutdown", "poweroff", "pause", "debug", "none", "inject-nmi", NULL };   /* enum watchdog_action */

bool action_options_merge(struct options **into, const char *text, GError **err)
{
    static const char *const reboot[] = { "reset", "shutdown", NULL }, *const shutdown[] = { "poweroff", "pause", NULL };
    static const char *const panic[] = { "pause", "shutdown", "exit-failure", "none", NULL };
    static const struct option_desc desc[] = {
        { "reboot", OPT_ENUM, NULL, NULL, reboot, 0, 0 }, { "shutdown", OPT_ENUM, NULL, NULL, shutdown, 0, 0 },
        { "panic", OPT_ENUM, NULL, NULL, panic, 0, 0 }, { "watchdog", OPT_ENUM, NULL, NULL, watchdog_names, 0, 0 }, { 0 },
    };
    struct options *o = options_parse(text, NULL, desc, err);

    if (!o) {
        return false;
    }
    if (options_has(o, "panic")) {
        options_free(o);
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: panic= (no device reports a panic of the guest)");
    }
    if (*into) {
        options_merge(*into, o);
        options_free(o);
    } else {
        *into = o;
    }
    return true;
}

static bool apply_action(const struct config *cfg, struct machine *m, GError **err)
{
    const char *watchdog = cfg->action ? options_string(cfg->action, "watchdog", cfg->watchdog_action) : cfg->watchdog_action;

    if (cfg->action) {
        m->no_reboot = m->no_reboot || !strcmp(options_string(cfg->action, "reboot", ""), "shutdown");
        m->no_shutdown = m->no_shutdown || !strcmp(options_string(cfg->action, "shutdown", ""), "pause");
    }
    if (watchdog && !g_strv_contains(watchdog_names, watchdog)) {
        return error_unknown(err, "action", watchdog, watchdog_names, NULL) || error_prefix(err, "-watchdog-action");
    }
    for (unsigned i = 0; watchdog && watchdog_names[i]; i++) {
        m->watchdog_action = strcmp(watchdog, watchdog_names[i]) ? m->watchdog_action : (enum watchdog_action)i;
    }
    return true;
}

/* --- -global --- */

static bool apply_global(struct machine *m, const char *text, GError **err)
{
    static const struct option_desc desc[] = {
        { "driver", OPT_STRING, NULL, NULL, NULL, 0, 0 }, { "property", OPT_STRING, NULL, NULL, NULL, 0, 0 },
        { "value", OPT_STRING, NULL, NULL, NULL, 0, 0 }, { 0 },
    };
    const char *equals = strchr(text, '=');
    g_autofree char *left = g_strndup(text, equals ? (size_t)(equals - text) : strlen(text));
    char *dot = strrchr(left, '.');
    struct options *o;
    bool ok;

    if (equals && dot) {
        *dot = 0;
        device_global(m, left, dot + 1, equals + 1);
        return true;
    }
    o = options_parse(text, NULL, desc, err);
    if (!o) {
        return false;
    }
    ok = options_has(o, "driver") && options_has(o, "property") && options_has(o, "value");
    if (ok) {
        device_global(m, options_string(o, "driver", ""), options_string(o, "property", ""), options_string(o, "value", ""));
    } else {
        error_set(err, EMU_ERROR_INVALID, "neither DEVICE.KEY=VALUE nor driver=,property=,value=");
    }
    options_free(o);
    return ok;
}

bool machine_apply(const struct config *cfg, struct machine *m, GError **err)
{
    for (unsigned i = 0; i < cfg->globals->len; i++) {
        if (!apply_global(m, g_ptr_array_index(cfg->globals, i), err)) {
            return error_prefix(err, "-global %s", (const char *)g_ptr_array_index(cfg->globals, i));
        }
    }
    return apply_action(cfg, m, err);
}

/* --- all of it --- */

/* NULL-terminated in place. */
static const char *const *list_of(GPtrArray *a)
{
    if (!a->len) {
        return NULL;
    }
    if (g_ptr_array_index(a, a->len - 1)) {
        g_ptr_array_add(a, NULL);
    }
    return (const char *const *)a->pdata;
}

bool spec_firmware(const struct config *cfg, struct machine_spec *spec, GError **err)
{
    const struct options *b = cfg->boot;

    (void)err;
    spec->fw_cfg = list_of(cfg->fw_cfg);
    spec->smbios = list_of(cfg->smbios);
    spec->acpi_tables = list_of(cfg->acpi_tables);
    spec->option_roms = list_of(cfg->option_roms);
    spec->data_dirs = list_of(cfg->data_dirs);
    spec->boot_floppy_check = true;
    spec->boot_splash_time = spec->boot_reboot_timeout = -1;
    if (b) {
        spec->boot_order = options_string(b, "order", NULL);
        spec->boot_once = options_string(b, "once", NULL);
        spec->boot_menu = options_bool(b, "menu", false);
        spec->boot_strict = options_bool(b, "strict", false);
        spec->boot_splash_time = options_has(b, "splash-time") ? (int)options_uint(b, "splash-time", 0) : -1;
        spec->boot_reboot_timeout = atoi(options_string(b, "reboot-timeout", "-1"));
    }
    return true;
}
