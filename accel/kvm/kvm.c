/*
 * KVM as an engine: the virtual machine, options, the table of operations. Spec: Documentation/virt/kvm/api.rst.
 *
 * Interrupt controllers and timers are the machine's own devices (kernel-irqchip=off); the kernel gets finished interrupts. What the
 * translator calls helpers does not exist here, so the services of accel_ops are those that have nothing to do.
 */
#include "accel/kvm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "accel/kvm/kvm_priv.h"
#include "base/error.h"
#include "base/log.h"
#include "base/options.h"

static const char *const irqchips[] = { "on", "off", "split", NULL };
static const struct option_desc kvm_options[] = {
    { .name = "fallback", .type = OPT_BOOL, .def = "on", .help = "the translator executes what KVM cannot; off: the machine is held with a report" },
    { .name = "kernel-irqchip", .type = OPT_ENUM, .def = "off", .help = "interrupt controllers in the kernel", .values = irqchips },
    { .name = NULL },
};

int kvm_ioctl(int fd, unsigned long request, void *arg)
{
    int r;

    do {
        r = ioctl(fd, request, arg);
    } while (r < 0 && errno == EINTR && request != KVM_RUN);
    return r;
}

static bool has(struct kvm_accel *k, long cap) { return kvm_ioctl(k->vm, KVM_CHECK_EXTENSION, (void *)cap) > 0; }

/* --- opening --- */

static bool device_open(struct kvm_accel *k, GError **err)
{
    k->fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (k->fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO)) {
        return error_set(err, EMU_ERROR_HOST, "no /dev/kvm: the host has no virtualisation, or its kvm module is not loaded");
    }
    if (k->fd < 0 && errno == EACCES) {
        return error_set(err, EMU_ERROR_HOST, "no permission for /dev/kvm: join the group that owns it (usually kvm)");
    }
    if (k->fd < 0) {
        return error_set(err, EMU_ERROR_HOST, "/dev/kvm: %s", g_strerror(errno));
    }
    if (kvm_ioctl(k->fd, KVM_GET_API_VERSION, NULL) != KVM_API_VERSION) {
        return error_set(err, EMU_ERROR_HOST, "/dev/kvm speaks another version of its interface than %d", KVM_API_VERSION);
    }
    return true;
}

static bool supported_get(struct kvm_accel *k, GError **err)
{
    for (unsigned n = 64; n <= 1024; n *= 2) {
        k->supported = g_malloc0(sizeof(*k->supported) + n * sizeof(k->supported->entries[0]));
        k->supported->nent = n;
        if (!kvm_ioctl(k->fd, KVM_GET_SUPPORTED_CPUID, k->supported)) {
            return true;
        }
        g_clear_pointer(&k->supported, g_free);
        if (errno != E2BIG) {
            break;
        }
    }
    return error_set(err, EMU_ERROR_HOST, "KVM_GET_SUPPORTED_CPUID: %s", g_strerror(errno));
}

static void msrs_get(struct kvm_accel *k)
{
    struct kvm_msr_list none = { 0 };
    g_autofree struct kvm_msr_list *l = NULL;

    k->msrs = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    kvm_ioctl(k->fd, KVM_GET_MSR_INDEX_LIST, &none);
    l = g_malloc0(sizeof(*l) + none.nmsrs * sizeof(l->indices[0]));
    l->nmsrs = none.nmsrs;
    if (!kvm_ioctl(k->fd, KVM_GET_MSR_INDEX_LIST, l)) {
        g_array_append_vals(k->msrs, l->indices, l->nmsrs);
    }
}

/* MSRs of the local APIC, which is ours, come out to us; so do unknown ones, to be logged. */
static bool msr_exits_on(struct kvm_accel *k)
{
    static uint8_t none[32];
    struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_USER_SPACE_MSR,
                                  .args = { KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_FILTER } };
    struct kvm_msr_filter filter = { .flags = KVM_MSR_FILTER_DEFAULT_ALLOW };
    const struct { uint32_t base, n; } ours[] = { { 0x1b, 1 }, { 0x6e0, 1 } };

    for (unsigned i = 0; i < G_N_ELEMENTS(ours); i++) {
        filter.ranges[i] = (struct kvm_msr_filter_range){ .flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE, .base = ours[i].base,
                                                          .nmsrs = ours[i].n, .bitmap = none };
    }
    return has(k, KVM_CAP_X86_USER_SPACE_MSR) && !kvm_ioctl(k->vm, KVM_ENABLE_CAP, &cap) && !kvm_ioctl(k->vm, KVM_X86_SET_MSR_FILTER, &filter);
}

static bool machine_make(struct kvm_accel *k, GError **err)
{
    static const struct { long cap; const char *name; } needed[] = {
        { KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY" }, { KVM_CAP_READONLY_MEM, "KVM_CAP_READONLY_MEM" },
        { KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" }, { KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS" }, { KVM_CAP_XSAVE, "KVM_CAP_XSAVE" },
    };
    int size;

    k->vm = kvm_ioctl(k->fd, KVM_CREATE_VM, NULL);
    if (k->vm < 0) {
        return error_set(err, EMU_ERROR_HOST, "KVM_CREATE_VM: %s", g_strerror(errno));
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(needed); i++) {
        if (!has(k, needed[i].cap)) {
            return error_set(err, EMU_ERROR_HOST, "this KVM is too old: it lacks %s", needed[i].name);
        }
    }
    size = kvm_ioctl(k->fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
    if (size < (int)sizeof(struct kvm_run)) {
        return error_set(err, EMU_ERROR_HOST, "KVM_GET_VCPU_MMAP_SIZE: %s", g_strerror(errno));
    }
    k->run_size = (size_t)size;
    /* Where Intel's processors keep a TSS for real mode: above all RAM, below the firmware. */
    kvm_ioctl(k->vm, KVM_SET_IDENTITY_MAP_ADDR, &(uint64_t){ 0xfeffc000 });
    kvm_ioctl(k->vm, KVM_SET_TSS_ADDR, (void *)0xfeffd000l);
    k->msr_exits = msr_exits_on(k);
    if (!k->msr_exits) {
        log_unimp("kvm: no exits for MSRs: no x2APIC");
    }
    return true;
}

static void kvm_close(struct machine *m)
{
    struct kvm_accel *k = m->hw_data;

    if (!k) {
        return;
    }
    if (k->listener.changed) {
        address_space_unlisten(&m->memory, &k->listener);
    }
    if (k->vm >= 0) {
        close(k->vm);
    }
    if (k->fd >= 0) {
        close(k->fd);
    }
    if (k->msrs) {
        g_array_free(k->msrs, TRUE);
    }
    g_free(k->supported);
    g_free(k);
    m->hw_data = NULL;
}

static bool kvm_usable(struct machine *m, GError **err) { return kvm_selftest(((struct kvm_accel *)m->hw_data)->fd, err); }

static void on_kick(int sig) { (void)sig; }

static bool kvm_open(struct machine *m, const struct options *o, GError **err)
{
    struct kvm_accel *k = m->hw_data = g_new0(struct kvm_accel, 1);
    struct sigaction sa = { .sa_handler = on_kick };
    const char *irqchip = options_string(o, "kernel-irqchip", "off");

    k->machine = m;
    k->fd = k->vm = -1;
    k->fallback = options_bool(o, "fallback", true);
    if (strcmp(irqchip, "off")) {
        error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: kernel-irqchip=%s (there is off)", irqchip);
        goto fail;
    }
    if (!device_open(k, err) || !machine_make(k, err) || !supported_get(k, err)) {
        goto fail;
    }
    msrs_get(k);
    sigemptyset(&sa.sa_mask);
    sigaction(SIGUSR1, &sa, NULL);
    return true;
fail:
    kvm_close(m);
    return false;
}

/* --- vCPUs --- */

static bool kvm_cpu_init(struct cpu *c, GError **err)
{
    struct kvm_accel *k = c->machine->hw_data;
    struct hw_cpu *h;
    int fd;

    if (strcmp(c->ops->isa, "x86_64")) {
        return error_set(err, EMU_ERROR_NOT_SUPPORTED, "not supported: %s under KVM on this host", c->ops->isa);
    }
    fd = kvm_ioctl(k->vm, KVM_CREATE_VCPU, (void *)(uintptr_t)c->index);
    if (fd < 0) {
        return error_set(err, EMU_ERROR_HOST, "KVM_CREATE_VCPU: %s", g_strerror(errno));
    }
    h = g_new0(struct hw_cpu, 1);
    *h = (struct hw_cpu){ .c = c, .k = k, .fd = fd, .here = true, .burst = 1 };
    h->run = mmap(NULL, k->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (h->run == MAP_FAILED) {
        error_set(err, EMU_ERROR_HOST, "a vCPU's shared page: %s", g_strerror(errno));
        close(fd);
        g_free(h);
        return false;
    }
    c->hw = h;
    if (!k->listener.changed) {
        k->listener = (struct region_listener){ kvm_slots_changed, k };
        address_space_listen(&c->machine->memory, &k->listener);
    }
    return true;
}

static void kvm_cpu_fini(struct cpu *c)
{
    struct hw_cpu *h = c->hw;

    if (!h) {
        return;
    }
    munmap(h->run, h->k->run_size);
    close(h->fd);
    g_free(h);
    c->hw = NULL;
}

static void kvm_pull(struct cpu *c) { kvm_x86_pull(c->hw); }

/* After the ISA's reset, or a loader: what counts is in the struct. CPUID is told again, because the APIC is known by now. */
static void kvm_state_here(struct cpu *c)
{
    struct hw_cpu *h = c->hw;

    h->here = true;
    h->unfinished = h->look = false;
}

static void kvm_push(struct cpu *c)
{
    struct hw_cpu *h = c->hw;
    GError *err = NULL;

    h->here = true;
    if (!kvm_x86_vcpu_init(h, &err)) {
        log_unimp("kvm: vCPU %u: %s", c->index, err->message);
        g_error_free(err);
    }
}

/* Views of memory that vCPUs hold are void: they come out. */
static void kvm_flush(struct machine *m)
{
    for (unsigned i = 0; i < m->n_cpus; i++) {
        kvm_kick(m->cpus[i]);
    }
}

/* --- figures --- */

static void kvm_stats(struct machine *m, GString *out)
{
    static const char *const names[KVM_EXITS] = {
        [KVM_EXIT_IO] = "port", [KVM_EXIT_MMIO] = "mmio", [KVM_EXIT_HLT] = "halt", [KVM_EXIT_INTR] = "signal",
        [KVM_EXIT_IRQ_WINDOW_OPEN] = "irq window", [KVM_EXIT_INTERNAL_ERROR] = "not emulated", [KVM_EXIT_X86_RDMSR] = "rdmsr",
        [KVM_EXIT_X86_WRMSR] = "wrmsr", [KVM_EXIT_SHUTDOWN] = "shutdown", [KVM_EXIT_DEBUG] = "debug", [KVM_EXIT_SET_TPR] = "tpr",
    };

    for (unsigned i = 0; i < m->n_cpus; i++) {
        const struct hw_cpu *h = m->cpus[i]->hw;

        g_string_append_printf(out, "vCPU %u: %" G_GUINT64_FORMAT " exits", i, h->exits);
        for (unsigned r = 0; r < KVM_EXITS; r++) {
            if (h->by_reason[r] && names[r]) {
                g_string_append_printf(out, ", %s %" G_GUINT64_FORMAT, names[r], h->by_reason[r]);
            } else if (h->by_reason[r]) {
                g_string_append_printf(out, ", reason %u: %" G_GUINT64_FORMAT, r, h->by_reason[r]);
            }
        }
        g_string_append_printf(out, "; fallback %" G_GUINT64_FORMAT " times, %" G_GUINT64_FORMAT " instructions\n", h->fallbacks,
                               h->fallback_insns);
    }
}

/* --- services that have nothing to do: the processor looks after its own TLB and modes --- */

static void no_flush(struct cpu *c, enum tlb_flush scope, uint32_t asid, uint64_t va) { (void)c, (void)scope, (void)asid, (void)va; }
static void no_change(struct cpu *c) { (void)c; }

const struct accel_ops accel_kvm = {
    .name = "kvm",
    .desc = "the host's processor, by the kernel's KVM",
    .options = kvm_options,
    .open = kvm_open,
    .close = kvm_close,
    .usable = kvm_usable,
    .cpu_init = kvm_cpu_init,
    .cpu_fini = kvm_cpu_fini,
    .run = kvm_run,
    .service = kvm_x86_service,
    .wakes = kvm_x86_wakes,
    .kick = kvm_kick,
    .pull = kvm_pull,
    .push = kvm_push,
    .reset = kvm_state_here,
    .flush = kvm_flush,
    .protect = kvm_protect,
    .dirty_sync = kvm_dirty_sync,
    .stats = kvm_stats,
    .tlb_flush = no_flush,
    .mode_changed = no_change,
};
