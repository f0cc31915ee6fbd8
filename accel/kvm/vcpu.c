/*
 * A vCPU under KVM: the run loop, kicks, and what comes out of the kernel. Spec: Documentation/virt/kvm/api.rst, section 5.
 *
 * A kick sets immediate_exit and sends a signal: whichever of the two the vCPU's thread meets first brings it back.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>

#include "accel/kvm/kvm_priv.h"
#include "base/log.h"

void kvm_kick(struct cpu *c)
{
    struct hw_cpu *h = c->hw;

    if (h) {
        __atomic_store_n(&h->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
        if (atomic_load(&h->inside) && !pthread_equal(h->thread, pthread_self())) {
            pthread_kill(h->thread, SIGUSR1);
        }
    }
}

void kvm_finish(struct hw_cpu *h)
{
    if (h->unfinished) {
        __atomic_store_n(&h->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
        kvm_ioctl(h->fd, KVM_RUN, NULL);
        h->unfinished = false;
    }
}

/* --- what comes out --- */

static void port_io(struct hw_cpu *h)
{
    struct kvm_run *r = h->run;
    uint8_t *data = (uint8_t *)r + r->io.data_offset;
    uint64_t v;

    for (uint32_t i = 0; i < r->io.count; i++, data += r->io.size) {
        v = 0;
        if (r->io.direction == KVM_EXIT_IO_OUT) {
            memcpy(&v, data, r->io.size);
            as_write(h->c->io, r->io.port, r->io.size, v);
        } else {
            as_read(h->c->io, r->io.port, r->io.size, &v);
            memcpy(data, &v, r->io.size);
        }
    }
    h->unfinished = true;
}

/* Up to eight bytes, any alignment: in pieces that the dispatcher takes. */
static void memory_io(struct hw_cpu *h)
{
    struct kvm_run *r = h->run;
    uint64_t addr = r->mmio.phys_addr, v;
    unsigned len = MIN(r->mmio.len, 8u), size;

    for (unsigned at = 0; at < len; at += size) {
        size = len - at >= 8 ? 8 : len - at >= 4 ? 4 : len - at >= 2 ? 2 : 1;
        v = 0;
        if (r->mmio.is_write) {
            memcpy(&v, r->mmio.data + at, size);
            as_write(h->c->memory, addr + at, size, v);
        } else {
            as_read(h->c->memory, addr + at, size, &v);
            memcpy(r->mmio.data + at, &v, size);
        }
    }
    h->unfinished = true;
}

static enum cpu_exit triple_fault(struct hw_cpu *h)
{
    struct machine *m = h->c->machine;

    log_printf(LOG_INT | LOG_CPU_RESET, "kvm: vCPU %u shut down (triple fault)\n", h->c->index);
    machine_request_reset(m, SHUTDOWN_TRIPLE_FAULT);
    return CPU_EXIT_RESET;
}

/* Nothing can go on: the state is shown, the machine is held. */
static enum cpu_exit broken(struct hw_cpu *h, const char *what, uint64_t why)
{
    g_autoptr(GString) s = g_string_new(NULL);

    kvm_x86_pull(h);
    h->c->ops->dump(h->c, s);
    fprintf(stderr, "emu: kvm: %s (0x%" PRIx64 "): vCPU %u is held\n%s", what, why, h->c->index, s->str);
    return CPU_EXIT_DEBUG;
}

/* How an exit goes on: CPU_EXIT_AGAIN with *loop set: at once. */
static enum cpu_exit handle(struct hw_cpu *h, bool *loop)
{
    struct kvm_run *r = h->run;

    *loop = true;
    switch (r->exit_reason) {
    case KVM_EXIT_IO:
        port_io(h);
        return CPU_EXIT_AGAIN;
    case KVM_EXIT_MMIO:
        memory_io(h);
        return CPU_EXIT_AGAIN;
    case KVM_EXIT_IRQ_WINDOW_OPEN:
    case KVM_EXIT_SET_TPR:
        return CPU_EXIT_AGAIN;
    case KVM_EXIT_X86_RDMSR:
    case KVM_EXIT_X86_WRMSR:
        r->msr.error = !kvm_x86_msr_exit(h, r->exit_reason == KVM_EXIT_X86_WRMSR);
        h->unfinished = true;
        return CPU_EXIT_AGAIN;
    default:
        break;
    }
    *loop = false;
    switch (r->exit_reason) {
    case KVM_EXIT_INTR:
        return CPU_EXIT_AGAIN;
    case KVM_EXIT_HLT:
        return CPU_EXIT_HALT;
    case KVM_EXIT_SHUTDOWN:
        return triple_fault(h);
    case KVM_EXIT_INTERNAL_ERROR:
        if (r->internal.suberror == KVM_INTERNAL_ERROR_EMULATION && h->k->fallback) {
            return kvm_fallback(h);
        }
        return broken(h, r->internal.suberror == KVM_INTERNAL_ERROR_EMULATION ? "an instruction that it cannot emulate" : "internal error",
                      r->internal.suberror);
    case KVM_EXIT_FAIL_ENTRY:
        return broken(h, "the processor refuses this state", r->fail_entry.hardware_entry_failure_reason);
    case KVM_EXIT_SYSTEM_EVENT:
        if (r->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN) {
            machine_request_shutdown(h->c->machine, SHUTDOWN_GUEST);
        } else {
            machine_request_reset(h->c->machine, SHUTDOWN_GUEST_RESET);
        }
        return CPU_EXIT_RESET;
    case KVM_EXIT_DEBUG:
        return CPU_EXIT_DEBUG;
    default:
        return broken(h, "an exit that is not supported", r->exit_reason);
    }
}

/* --- the loop --- */

/* Registers into the kernel where they are not; false: they cannot be (and the machine is held). */
static bool enter(struct hw_cpu *h)
{
    GError *err = NULL;

    if (h->here) {
        if (!kvm_x86_push(h, &err)) {
            fprintf(stderr, "emu: kvm: vCPU %u: %s\n", h->c->index, err->message);
            g_error_free(err);
            return false;
        }
        h->here = false;
    }
    kvm_x86_enter(h);
    return true;
}

enum cpu_exit kvm_run(struct cpu *c)
{
    struct hw_cpu *h = c->hw;
    enum cpu_exit e;
    bool loop;

    h->thread = pthread_self();
    atomic_store(&h->inside, true);
    do {
        /* Whoever kicks sets the request first: one of the two is seen. */
        __atomic_store_n(&h->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
        if (atomic_load(&c->request) || atomic_load(&c->halted)) {
            return CPU_EXIT_AGAIN;
        }
        if (!enter(h)) {
            return CPU_EXIT_DEBUG;
        }
        int r = kvm_ioctl(h->fd, KVM_RUN, NULL);
        h->unfinished = false;
        kvm_x86_left(h);
        h->exits++;
        if (r && (errno == EINTR || errno == EAGAIN)) {
            return CPU_EXIT_AGAIN;
        }
        if (r) {
            return broken(h, g_strerror(errno), (unsigned)errno);
        }
        h->by_reason[MIN(h->run->exit_reason, KVM_EXITS - 1u)]++;
        e = handle(h, &loop);
    } while (loop);
    return e;
}
