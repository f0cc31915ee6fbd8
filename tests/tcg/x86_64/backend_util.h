/*
 * What the tests of the x86-64 back end share: a runtime (struct tcg_runtime) over the flat memory of randir, with a real
 * TLB, injected faults and the bounce buffer.
 */
#ifndef TESTS_TCG_X86_64_BACKEND_UTIL_H
#define TESTS_TCG_X86_64_BACKEND_UTIL_H

#include "tcg/codebuf.h"
#include "tests/tcg/randir_util.h"

enum bt_mode { BT_FILL = 1, BT_BOUNCE = 2 };   /* what slow() does with RAM: fill the TLB, bounce now and then */

struct bt {
    struct tcg_codebuf cb;
    struct tcg_code code;
    const struct ir *ir;
    struct randir_state *s;
    struct tcg_tlb *tlb;
    unsigned mode;
    uint64_t rng;
    unsigned slow_calls, link_calls, flushes;
    void *(*link_hook)(uint64_t ra);
};
extern struct bt bt;

void bt_open(void);
bool bt_compile(struct ir *ir, struct arena *a);
/* Runs the compiled region on a state whose registers are set. Returns the exit reason. */
uint32_t bt_run(struct randir_state *s);
void bt_dump_ir(const struct ir *ir);
void bt_dump(const struct ir *ir);             /* IR and code, to stderr */

#endif
