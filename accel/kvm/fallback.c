/*
 * Where KVM gives up, the translator goes on: registers are pulled, it executes the instruction (a stretch, when failures cluster), and
 * the registers go back with the next KVM_RUN. It keeps nothing from one time to the next, because KVM has run and written in between.
 */
#include <inttypes.h>

#include "accel/kvm/kvm_priv.h"
#include "base/error.h"
#include "base/log.h"

#define BURST_MAX   256
#define BURST_NEAR  64       /* exits between two failures that count as a cluster */

/* The translator, for this machine and this vCPU, on the first need. */
static bool helper_get(struct hw_cpu *h, GError **err)
{
    struct kvm_accel *k = h->k;
    struct machine *m = k->machine;
    const struct accel_ops *tcg = accel_find("tcg");
    bool ok;

    if (h->helper_ready) {
        return true;
    }
    machine_lock(m);
    if (!tcg || !tcg->run_some) {
        ok = error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: no translator is built in");
    } else {
        ok = engine_open(m, tcg, NULL, err) && engine_cpu_init(h->c, tcg, err);
    }
    k->helper = ok ? tcg : NULL;
    h->helper_ready = ok;
    machine_unlock(m);
    return ok;
}

enum cpu_exit kvm_fallback(struct hw_cpu *h)
{
    struct cpu *c = h->c;
    GError *err = NULL;
    enum cpu_exit e;
    unsigned done = 0;

    if (!helper_get(h, &err)) {
        fprintf(stderr, "emu: kvm: an instruction that it cannot emulate, and no help: %s\n", err->message);
        g_error_free(err);
        return CPU_EXIT_DEBUG;
    }
    kvm_x86_pull(h);
    h->burst = h->exits - h->last_fallback <= BURST_NEAR ? MIN(2 * h->burst, (unsigned)BURST_MAX) : 1;
    log_printf(LOG_UNIMP, "kvm: vCPU %u: not emulated at 0x%" PRIx64 ": the translator runs %u\n", c->index, c->ops->pc(c), h->burst);
    c->engine = h->k->helper;
    e = h->k->helper->run_some(c, h->burst, &done);
    c->engine = c->machine->accel;
    h->look = true;
    h->fallbacks++;
    h->fallback_insns += done;
    h->last_fallback = h->exits;
    return e;
}
