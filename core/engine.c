/*
 * The engines of a machine: which are open, which vCPU has its part of them, and the change from one to another while the machine lives.
 * See core/accel.h.
 */
#include "base/error.h"
#include "base/log.h"
#include "core/accel.h"
#include "core/machine.h"

static bool is_in(const struct accel_ops *const *list, const struct accel_ops *a) { return list[0] == a || list[1] == a; }

static void put(const struct accel_ops **list, const struct accel_ops *a) { list[list[0] ? 1 : 0] = a; }

bool engine_open(struct machine *m, const struct accel_ops *a, const struct options *o, GError **err)
{
    g_assert(machine_locked(m));
    if (is_in(m->engines, a)) {
        return true;
    }
    if (a->open && !a->open(m, o, err)) {
        return false;
    }
    put(m->engines, a);
    return true;
}

void engine_close(struct machine *m, const struct accel_ops *a)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(m->engines); i++) {
        if (m->engines[i] == a) {
            m->engines[i] = NULL;
            if (a->close) {
                a->close(m);
            }
        }
    }
}

void engines_close(struct machine *m)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(m->engines); i++) {
        if (m->engines[i]) {
            engine_close(m, m->engines[i]);
        }
    }
}

bool engine_cpu_init(struct cpu *c, const struct accel_ops *a, GError **err)
{
    if (is_in(c->ready, a)) {
        return true;
    }
    if (a->cpu_init && !a->cpu_init(c, err)) {
        return false;
    }
    put(c->ready, a);
    return true;
}

void engine_cpu_fini(struct cpu *c)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(c->ready); i++) {
        if (c->ready[i] && c->ready[i]->cpu_fini) {
            c->ready[i]->cpu_fini(c);
        }
        c->ready[i] = NULL;
    }
}

static void pull_one(struct cpu *c, void *opaque)
{
    (void)opaque;
    if (c->machine->accel->pull) {
        c->machine->accel->pull(c);
    }
}

/* Every part that can be refused, before anything is changed. */
static bool prepare(struct machine *m, const struct accel_ops *to, GError **err)
{
    bool ok = engine_open(m, to, NULL, err);

    for (unsigned i = 0; ok && i < m->n_cpus; i++) {
        ok = engine_cpu_init(m->cpus[i], to, err);
    }
    return ok;
}

bool engine_switch(struct machine *m, const struct accel_ops *to, GError **err)
{
    const struct accel_ops *from = m->accel;
    enum run_state state = m->state;
    bool ok;

    if (from == to) {
        return true;
    }
    if (!prepare(m, to, err)) {
        return error_prefix(err, "accelerator %s", to->name);
    }
    if (state == RUN_RUNNING) {
        machine_stop(m, RUN_PAUSED);
    }
    for (unsigned i = 0; i < m->n_cpus; i++) {
        cpu_run_on(m->cpus[i], pull_one, NULL, false);
    }
    ok = !to->take_over || to->take_over(m, true, err);
    if (ok) {
        if (from->take_over) {
            from->take_over(m, false, NULL);
        }
        m->accel = to;
        for (unsigned i = 0; i < m->n_cpus; i++) {
            struct cpu *c = m->cpus[i];

            c->engine = to;
            if (to->reset) {
                to->reset(c);
            }
            if (to->push) {
                to->push(c);
            }
            /* Whatever waits is looked at anew by the other engine. */
            atomic_fetch_or(&c->request, CPU_REQ_IRQ);
        }
    }
    if (state == RUN_RUNNING) {
        machine_start(m);
    }
    return ok || error_prefix(err, "accelerator %s", to->name);
}
