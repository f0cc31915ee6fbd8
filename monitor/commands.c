/*
 * The monitor's commands: rows, and the short functions behind them.
 */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "core/accel.h"
#include "core/device.h"
#include "core/machine.h"
#include "monitor/monitor.h"
#include "monitor/monitor_priv.h"

/* --- the machine --- */

static bool do_quit(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)args, (void)out, (void)err;
    machine_request_shutdown(m, SHUTDOWN_HOST_QUIT);
    return true;
}

static bool do_stop(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)args, (void)out, (void)err;
    if (m->state == RUN_RUNNING) {
        machine_stop(m, RUN_PAUSED);
    }
    return true;
}

static bool do_cont(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)args, (void)out;
    if (m->state == RUN_SHUTDOWN || m->state == RUN_GUEST_PANIC) {
        return error_set(err, EMU_ERROR_FAILED, "the machine is off, system_reset comes first");
    }
    machine_start(m);
    return true;
}

static bool do_reset(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)args, (void)out, (void)err;
    machine_request_reset(m, SHUTDOWN_HOST_QUIT);
    return true;
}

static bool do_powerdown(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)args, (void)out, (void)err;
    machine_request_powerdown(m);
    return true;
}

static bool do_log(struct machine *m, const char *args, GString *out, GError **err)
{
    bool ok;

    (void)out;
    if (!*args) {
        return error_set(err, EMU_ERROR_INVALID, "log needs items, or 'none'");
    }
    cpu_exclusive_begin(m);       /* hot paths read the mask without care */
    ok = log_set_items(args, err);
    cpu_exclusive_end(m);
    return ok;
}

/* accel NAME: the vCPUs go on under another engine. */
static bool do_accel(struct machine *m, const char *args, GString *out, GError **err)
{
    const struct accel_ops *a = accel_find(args);
    const char *names[8];
    unsigned n = 0;

    if (!*args) {
        g_string_append_printf(out, "%s\n", m->accel->name);
        return true;
    }
    if (!a) {
        for (const struct accel_ops *const *l = accels(); *l && n < 7; l++) {
            names[n++] = (*l)->name;
        }
        names[n] = NULL;
        return error_unknown(err, "accelerator", args, names, NULL);
    }
    return engine_switch(m, a, err);
}

/* --- info --- */

static bool info_status(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)args, (void)err;
    g_string_append_printf(out, "VM status: %s\n", run_state_name(m->state));
    return true;
}

static bool info_version(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)m, (void)args, (void)err;
    g_string_append_printf(out, "7.2.0 (emu %s)\n", CONFIG_VERSION);
    return true;
}

static void dump_cpu(struct cpu *c, void *opaque)
{
    if (c->machine->accel && c->machine->accel->pull) {
        c->machine->accel->pull(c);
    }
    c->ops->dump(c, opaque);
}

static bool info_registers(struct machine *m, const char *args, GString *out, GError **err)
{
    bool all = !strcmp(args, "-a");

    if (*args && !all) {
        return error_set(err, EMU_ERROR_INVALID, "info registers takes -a (all vCPUs) or nothing");
    }
    for (unsigned i = 0; i < (all ? m->n_cpus : MIN(m->n_cpus, 1u)); i++) {
        g_string_append_printf(out, "\nCPU#%u\n", i);
        cpu_run_on(m->cpus[i], dump_cpu, out, false);
    }
    return true;
}

static void dump_pc(struct cpu *c, void *opaque)
{
    if (c->machine->accel && c->machine->accel->pull) {
        c->machine->accel->pull(c);
    }
    g_string_append_printf(opaque, "%s CPU #%u: pc=0x%016" PRIx64 "%s%s\n", c->index ? " " : "*", c->index, c->ops->pc(c),
                           atomic_load(&c->halted) ? " (halted)" : "", atomic_load(&c->powered_off) ? " (waits for SIPI)" : "");
}

static bool info_cpus(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)args, (void)err;
    for (unsigned i = 0; i < m->n_cpus; i++) {
        cpu_run_on(m->cpus[i], dump_pc, out, false);
    }
    return true;
}

static bool info_mtree(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)args, (void)err;
    address_space_dump(&m->memory, out);
    address_space_dump(&m->io, out);
    return true;
}

static bool info_qtree(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)args, (void)err;
    device_tree_dump(m, out);
    return true;
}

static bool info_jit(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)args;
    if (!m->accel || !m->accel->stats) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: accelerator %s keeps no figures",
                         m->accel ? m->accel->name : "(none)");
    }
    m->accel->stats(m, out);
    return true;
}

static bool info_name(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)args, (void)err;
    if (m->spec.name) {
        g_string_append_printf(out, "%s\n", m->spec.name);
    }
    return true;
}

static bool info_uuid(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)args, (void)err;
    g_string_append_printf(out, "%s\n", m->spec.uuid ? m->spec.uuid : "00000000-0000-0000-0000-000000000000");
    return true;
}

static const struct command info_commands[] = {
    { "cpus", NULL, "", "the vCPUs and where they are", info_cpus, NULL },
    { "jit", NULL, "", "figures of the translator", info_jit, NULL },
    { "mtree", NULL, "", "memory and port map", info_mtree, NULL },
    { "name", NULL, "", "name of the machine (-name)", info_name, NULL },
    { "qtree", NULL, "", "devices with their properties and state", info_qtree, NULL },
    { "registers", NULL, "[-a]", "registers of the first vCPU (-a: of all)", info_registers, NULL },
    { "status", NULL, "", "whether the machine runs", info_status, NULL },
    { "uuid", NULL, "", "UUID of the machine (-uuid)", info_uuid, NULL },
    { "version", NULL, "", "version of this program", info_version, NULL },
    { 0 },
};

const struct command monitor_commands[] = {
    { "accel", NULL, "[tcg|kvm]", "which engine runs the vCPUs; with a name they go on under that one", do_accel, NULL },
    { "cont", "c", "", "start the machine, or let it go on", do_cont, NULL },
    { "info", NULL, "[subject]", "show a part of the machine's state", NULL, info_commands },
    { "log", NULL, "item[,...]", "what is logged from now on, as -d; 'none' ends it", do_log, NULL },
    { "quit", "q", "", "end the emulator", do_quit, NULL },
    { "stop", "s", "", "hold the machine", do_stop, NULL },
    { "system_powerdown", NULL, "", "press the power button", do_powerdown, NULL },
    { "system_reset", NULL, "", "press the reset button", do_reset, NULL },
    { "x", NULL, "/fmt addr", "memory at a virtual address; fmt is a count, then x d u o c i, then b h w g", monitor_x, NULL },
    { "xp", NULL, "/fmt addr", "memory at a physical address", monitor_xp, NULL },
    { 0 },
};
