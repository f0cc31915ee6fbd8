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

static bool do_log(struct machine *m, const struct command_args *a, GString *out, GError **err)
{
    bool ok;

    (void)out;
    cpu_exclusive_begin(m);       /* hot paths read the mask without care */
    ok = log_set_items(args_string(a, "items"), err);
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

static bool do_logfile(struct machine *m, const struct command_args *a, GString *out, GError **err)
{
    (void)m, (void)out;
    return log_set_file(args_string(a, "filename"), err);
}

static bool do_cpu(struct machine *m, const struct command_args *a, GString *out, GError **err)
{
    uint64_t n = args_number(a, "index", 0);

    (void)out;
    if (n >= m->n_cpus) {
        return error_set(err, EMU_ERROR_INVALID, "invalid CPU index");
    }
    m->monitor_cpu = (unsigned)n;
    return true;
}

struct cpu *monitor_cpu(struct machine *m) { return m->cpus[MIN(m->monitor_cpu, m->n_cpus - 1)]; }

static bool do_nmi(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)args, (void)out, (void)err;
    for (unsigned i = 0; i < m->n_cpus; i++) {
        cpu_request(m->cpus[i], CPU_REQ_NMI);
    }
    return true;
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

static bool info_registers(struct machine *m, const struct command_args *a, GString *out, GError **err)
{
    uint64_t one = args_number(a, "vcpu", m->n_cpus ? monitor_cpu(m)->index : 0);

    if (one >= m->n_cpus) {
        return error_set(err, EMU_ERROR_INVALID, "CPU#%" PRIu64 " not available", one);
    }
    for (unsigned i = 0; i < m->n_cpus; i++) {
        if (args_flag(a, "all") || i == one) {
            g_string_append_printf(out, "\nCPU#%u\n", i);
            cpu_run_on(m->cpus[i], dump_cpu, out, false);
        }
    }
    return true;
}

struct map_dump {
    GString *out;
    bool entries;
};

static void dump_map(struct cpu *c, void *opaque)
{
    struct map_dump *d = opaque;

    if (c->machine->accel && c->machine->accel->pull) {
        c->machine->accel->pull(c);
    }
    c->ops->dump_map(c, d->entries, d->out);
}

static bool info_map(struct machine *m, bool entries, GString *out, GError **err)
{
    struct map_dump d = { out, entries };
    struct cpu *c = m->n_cpus ? monitor_cpu(m) : NULL;

    if (!c || !c->ops->dump_map) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: page tables of this kind of CPU");
    }
    cpu_run_on(c, dump_map, &d, false);
    return true;
}

static bool info_mem(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)args;
    return info_map(m, false, out, err);
}

static bool info_tlb(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)args;
    return info_map(m, true, out, err);
}

static void dump_pc(struct cpu *c, void *opaque)
{
    if (c->machine->accel && c->machine->accel->pull) {
        c->machine->accel->pull(c);
    }
    g_string_append_printf(opaque, "%s CPU #%u: thread_id=%d pc=0x%016" PRIx64 "%s%s\n", c == monitor_cpu(c->machine) ? "*" : " ", c->index, c->tid,
                           c->ops->pc(c), atomic_load(&c->halted) ? " (halted)" : "",
                           atomic_load(&c->powered_off) ? " (waits for SIPI)" : "");
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

/* Read-only memory as the machine has it now. */
static bool info_roms(struct machine *m, const char *args, GString *out, GError **err)
{
    const struct flat_view *v = region_view(&m->memory);

    (void)args, (void)err;
    for (unsigned i = 0; i < v->n; i++) {
        const struct flat_range *r = &v->r[i];

        if (r->region->kind == REGION_RAM && (r->readonly || r->region->ram->readonly)) {
            g_string_append_printf(out, "addr=%016" PRIx64 " size=0x%06" PRIx64 " mem=%s name=\"%s\"\n", r->start, r->size,
                                   r->region->ram->readonly ? "rom" : "ram", r->region->ram->name);
        }
    }
    return true;
}

static bool info_memory_size(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)args, (void)err;
    g_string_append_printf(out, "base memory: %" PRIu64 "\nplugged memory: 0\n", m->spec.ram_size);
    return true;
}

static const struct command_arg registers_args[] = { { "all", ARG_FLAG, true }, { "vcpu", ARG_NUMBER, true }, { 0 } };
static const struct command_arg items_arg[] = { { "items", ARG_STRING }, { 0 } };
static const struct command_arg file_arg[] = { { "filename", ARG_STRING, false, COMPLETE_FILE }, { 0 } };
static const struct command_arg index_arg[] = { { "index", ARG_NUMBER }, { 0 } };

/* "info history" is the line editor's (monitor.c); the row is here for help. */
static bool info_history(struct machine *m, const char *args, GString *out, GError **err)
{
    (void)m, (void)args, (void)out, (void)err;
    return true;
}

static const struct command info_commands[] = {
    { "cpus", NULL, "", "show infos for each CPU", info_cpus },
    { "history", NULL, "", "show the command line history", info_history },
    { "jit", NULL, "", "show dynamic compiler info", info_jit },
    { "mem", NULL, "", "show the active virtual memory mappings", info_mem },
    { "memory_size_summary", NULL, "", "show the amount of initially allocated and present hotpluggable memory", info_memory_size },
    { "mtree", NULL, "", "show memory tree", info_mtree },
    { "name", NULL, "", "show the current VM name", info_name },
    { "qtree", NULL, "", "show device tree", info_qtree },
    { "registers", NULL, "[-a|vcpu]", "show the cpu registers (-a: show register info for all cpus; vcpu: specific vCPU to query)", .arg = registers_args,
      .exec = info_registers },
    { "roms", NULL, "", "show roms", info_roms },
    { "status", NULL, "", "show the current VM status (running|paused)", info_status },
    { "tlb", NULL, "", "show virtual to physical memory mappings", info_tlb },
    { "uuid", NULL, "", "show the current VM UUID", info_uuid },
    { "version", NULL, "", "show the version of QEMU", info_version },
    { 0 },
};

const struct command monitor_commands[] = {
    { "accel", NULL, "[tcg|kvm]", "which engine runs the vCPUs; with a name they go on under that one", do_accel, NULL },
    { "cont", "c", "", "resume emulation", do_cont },
    { "cpu", NULL, "index", "set the default CPU", .arg = index_arg, .exec = do_cpu },
    { "info", NULL, "[subcommand]", "show various information about the system state", .sub = info_commands },
    { "log", NULL, "item1[,...]", "activate logging of the specified items; 'none' ends it", .arg = items_arg, .exec = do_log },
    { "logfile", NULL, "filename", "output logs to 'filename'", .arg = file_arg, .exec = do_logfile },
    { "nmi", NULL, "", "inject an NMI on the default CPU", do_nmi },
    { "quit", "q", "", "quit the emulator", do_quit },
    { "stop", "s", "", "stop emulation", do_stop },
    { "system_powerdown", NULL, "", "send system power down event", do_powerdown },
    { "system_reset", NULL, "", "reset the system", do_reset },
    { 0 },
};
