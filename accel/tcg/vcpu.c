/*
 * vCPUs and each other: inside and outside, asks, kicks. The rules stand in accel_priv.h.
 */
#include <sched.h>
#include <unistd.h>

#include "accel/tcg/accel_priv.h"

static _Thread_local struct accel_cpu *self;      /* the vCPU that run() was called for on this thread */

struct accel_cpu *vcpu_self(void)
{
    return self;
}

void vcpu_set_self(struct accel_cpu *ac)
{
    self = ac;
}

/* Carries out what others asked for. Own thread, outside. */
static void serve(struct accel_cpu *ac)
{
    uint64_t pages[G_N_ELEMENTS(ac->ask_page)];
    bool flush, all;
    unsigned n;

    g_mutex_lock(&ac->ask_lock);
    flush = ac->ask_flush;
    all = ac->ask_all_writes;
    n = ac->ask_n;
    for (unsigned i = 0; i < n; i++) {
        pages[i] = ac->ask_page[i];
    }
    ac->ask_flush = ac->ask_all_writes = false;
    ac->ask_n = 0;
    atomic_store(&ac->asked, 0);
    g_mutex_unlock(&ac->ask_lock);
    if (flush) {
        tlb_flush_all(ac);
        ac->leave = true;
        vcpu_kick(ac);         /* inside a region: come out soon, so that core/ can free old views */
        return;
    }
    if (all) {
        tlb_drop_writes(ac, NULL, 0);
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        struct code_page *cp = code_page_find(ac->ta, pages[i]);
        struct ram_block *b = cp ? cp->block : ram_find_page(ac->c->machine, pages[i]);

        tlb_drop_writes(ac, b, pages[i] - b->first_page);
    }
}

void vcpu_in(struct accel_cpu *ac)
{
    if (atomic_load_explicit(&ac->seq, memory_order_relaxed) & 1) {
        return;
    }
    for (;;) {
        atomic_fetch_add(&ac->seq, 1);
        if (G_LIKELY(!atomic_load(&ac->asked))) {
            return;
        }
        atomic_fetch_add(&ac->seq, 1);
        serve(ac);
    }
}

void vcpu_out(struct accel_cpu *ac)
{
    uint32_t s = atomic_load_explicit(&ac->seq, memory_order_relaxed);

    if (s & 1) {
        atomic_store_explicit(&ac->seq, s + 1, memory_order_release);
    }
}

/* `kick` makes polls leave; the other jump table makes indirect jumps ask. Any thread. */
void vcpu_kick(struct accel_cpu *ac)
{
    atomic_store(&ac->env->kick, 1);
    __atomic_store_n(&ac->env->jt, ac->tab->miss, __ATOMIC_SEQ_CST);
}

void vcpu_ask_page(struct accel_cpu *to, const struct ram_block *b, uint64_t index)
{
    g_mutex_lock(&to->ask_lock);
    if (to->ask_n == G_N_ELEMENTS(to->ask_page)) {
        to->ask_all_writes = true;
    } else {
        to->ask_page[to->ask_n++] = b->first_page + index;
    }
    atomic_store(&to->asked, 1);
    g_mutex_unlock(&to->ask_lock);
}

void vcpu_ask_flush(struct accel_cpu *to)
{
    g_mutex_lock(&to->ask_lock);
    to->ask_flush = true;
    atomic_store(&to->asked, 1);
    g_mutex_unlock(&to->ask_lock);
    vcpu_kick(to);
}

void vcpu_wait_outside(struct accel_cpu *to)
{
    uint32_t s;

    atomic_thread_fence(memory_order_seq_cst);
    s = atomic_load(&to->seq);
    if (!(s & 1)) {
        return;
    }
    vcpu_kick(to);
    for (unsigned n = 0; atomic_load(&to->seq) == s; n++) {
        if (n < 200) {
            __builtin_ia32_pause();
        } else if (n < 1000) {
            sched_yield();
        } else {
            /* It may have cleared the kick on its way back in, before it saw the ask. */
            vcpu_kick(to);
            g_usleep(20);
        }
    }
}

void writers_drop(struct tcg_accel *ta, struct ram_block *b, uint64_t index, bool drop)
{
    /* Cleared before anybody is awaited: who announces himself from now on sees the new flags. */
    uint64_t mask = atomic_exchange(&b->writers[index], 0);

    if (!mask) {
        return;
    }
    for (unsigned i = 0; i < ta->cpus->len; i++) {
        struct accel_cpu *ac = g_ptr_array_index(ta->cpus, i);

        if (!(mask >> (ac->c->index & 63) & 1)) {
            continue;
        }
        if (ac == self) {
            if (drop) {
                tlb_drop_writes(ac, b, index);
            }
            continue;
        }
        if (drop) {
            vcpu_ask_page(ac, b, index);
        }
        vcpu_wait_outside(ac);
        ta->st.handshakes++;
    }
}
