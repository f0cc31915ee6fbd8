/*
 * The translator's figures: `info jit` and -d jit-stats. Per-region figures are static averages over all regions made.
 */
#include <time.h>
#ifdef __x86_64__
#include <x86intrin.h>
#endif

#include "accel/tcg/accel_priv.h"

static const char *const reason_names[] = {
    [TCG_EXIT_LOOKUP] = "lookup", [TCG_EXIT_KICK] = "kick", [TCG_EXIT_RAISED] = "raised", [TCG_EXIT_HALT] = "halt",
    [TCG_EXIT_MODE] = "mode", [TCG_EXIT_EVENT] = "event", [TCG_EXIT_ONE] = "one", [TCG_EXIT_STOP] = "stop",
};

const char *exit_reason_name(unsigned reason)
{
    return reason < G_N_ELEMENTS(reason_names) ? reason_names[reason] : "?";
}

/* Host clock ticks per ns, measured over a millisecond when somebody asks. */
static double ticks_per_ns(void)
{
#ifdef __x86_64__
    struct timespec a, b;
    uint64_t t = __rdtsc();

    clock_gettime(CLOCK_MONOTONIC, &a);
    g_usleep(1000);
    t = __rdtsc() - t;
    clock_gettime(CLOCK_MONOTONIC, &b);
    return (double)t / ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec));
#else
    return 1;
#endif
}

static double ratio(uint64_t a, uint64_t b)
{
    return b ? (double)a / (double)b : 0;
}

static void line(GString *out, const char *name, uint64_t v)
{
    g_string_append_printf(out, "  %-34s %14" G_GUINT64_FORMAT "\n", name, v);
}

static void line_f(GString *out, const char *name, double v, const char *unit)
{
    g_string_append_printf(out, "  %-34s %14.2f %s\n", name, v, unit);
}

static void translation(struct tcg_accel *ta, GString *out)
{
    double ns = (double)ta->st.ticks / ticks_per_ns();

    g_string_append(out, "translation\n");
    line(out, "regions", ta->st.regions);
    line(out, "  with a crossing instruction", ta->st.crossing);
    line(out, "could not be compiled", ta->st.hopeless);
    line(out, "code pages", ta->st.code_pages);
    line_f(out, "guest instructions per region", ratio(ta->st.insns, ta->st.regions), "");
    line_f(out, "guest bytes per region", ratio(ta->st.guest_bytes, ta->st.regions), "");
    line_f(out, "host instructions per guest's", ratio(ta->st.host_insns, ta->st.insns), "(hot path)");
    line_f(out, "code bytes per guest byte", ratio(ta->st.code_bytes, ta->st.guest_bytes), "(all)");
    line_f(out, "code bytes per guest byte", ratio(ta->st.hot_bytes, ta->st.guest_bytes), "(hot path)");
    line_f(out, "code cache used", (double)ta->st.code_bytes / (1 << 20), "MiB since start");
    line_f(out, "translation time", ns / 1e6, "ms");
    line_f(out, "  per guest instruction", ta->st.insns ? ns / (double)ta->st.insns : 0, "ns");
    line(out, "invalidating stores", ta->st.invalidations);
    line(out, "regions invalidated", ta->st.killed);
    line(out, "regions taken over from another mode", ta->st.adopted);
    line(out, "generations reclaimed", ta->st.reclaims);
    line(out, "handshakes for new code", ta->st.handshakes);
    g_string_append(out, "chaining\n");
    line(out, "direct exits", ta->st.exits);
    line(out, "exits linked", ta->st.links);
    line(out, "exits unlinked", ta->st.unlinks);
    line_f(out, "direct exits linked", 100 * ratio(ta->st.links, ta->st.exits), "%");
}

static void vcpu(struct accel_cpu *ac, GString *out)
{
    g_string_append_printf(out, "vCPU %u\n", ac->c->index);
    line(out, "runs of generated code", ac->st.enters);
    line(out, "guards failed", ac->st.guard_misses);
    line(out, "exits linked by the full path", ac->st.links_full);
    line(out, "jump table misses", ac->st.jump_misses);
    line(out, "jump table fills", ac->st.jump_fills);
    line(out, "region look-ups", ac->st.finds);
    line(out, "inline TLB misses", ac->st.slow);
    line(out, "  second-level hits", ac->st.l2_hits);
    line(out, "  page walks", ac->st.walks);
    line(out, "  walks that faulted", ac->st.faults);
    line_f(out, "  second-level hit rate", 100 * ratio(ac->st.l2_hits, ac->st.l2_hits + ac->st.walks), "%");
    line(out, "instruction TLB fills", ac->st.itlb_fills);
    line(out, "accesses by the full path", ac->st.full);
    line(out, "device reads", ac->st.io_reads);
    line(out, "device writes", ac->st.io_writes);
    line(out, "stores to pages with code", ac->st.code_stores);
    line(out, "  to lines with code", ac->st.code_line_hits);
    line(out, "instructions run alone", ac->st.ones);
    line(out, "  with all others stopped", ac->st.exclusives);
    line(out, "TLB flushes", ac->st.flushes);
    line(out, "  of one page", ac->st.page_flushes);
    line(out, "  tables cleared", ac->st.clears);
    if (ac->ta->verify) {
        line(out, "regions verified", ac->st.verified);
        line(out, "regions not comparable", ac->st.not_verified);
    }
    for (unsigned i = 0; i <= TCG_EXIT_STOP; i++) {
        if (ac->st.exits[i]) {
            g_string_append_printf(out, "  exit %-29s %14" G_GUINT64_FORMAT "\n", exit_reason_name(i), ac->st.exits[i]);
        }
    }
}

void tcg_stats(struct machine *m, GString *out)
{
    struct tcg_accel *ta = m->accel_data;

    g_mutex_lock(&ta->lock);
    translation(ta, out);
    for (unsigned i = 0; i < ta->cpus->len; i++) {
        vcpu(g_ptr_array_index(ta->cpus, i), out);
    }
    g_mutex_unlock(&ta->lock);
}
