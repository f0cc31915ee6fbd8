/* The toy ISA: front end, page walk, machine. See toy_util.h. */
#include "tests/accel/tcg/toy_util.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "accel/tcg/tcg_accel.h"
#include "base/options.h"

static struct toy_cpu *toy_of(struct cpu *c) { return (struct toy_cpu *)c; }
static struct toy_cpu *of_state(void *s) { return (struct toy_cpu *)((char *)s - offsetof(struct toy_cpu, s)); }

#ifdef __x86_64__
#define HOME(n) (n)
#else
#define HOME(n) (-1)
#endif

static const struct tcg_slot toy_slots[] = {
    { "r0", offsetof(struct toy_state, r[0]), IR_64, HOME(0) },
    { "r1", offsetof(struct toy_state, r[1]), IR_64, HOME(1) },
    { "r2", offsetof(struct toy_state, r[2]), IR_64, HOME(2) },
    { "r3", offsetof(struct toy_state, r[3]), IR_64, HOME(3) },
    { "r4", offsetof(struct toy_state, r[4]), IR_64, HOME(6) },
    { "r5", offsetof(struct toy_state, r[5]), IR_64, HOME(12) },
    { "r6", offsetof(struct toy_state, r[6]), IR_64, -1 },
    { "r7", offsetof(struct toy_state, r[7]), IR_64, -1 },
};

static const struct tcg_guest toy_guest = {
    .isa = "toy",
    .slots = toy_slots,
    .n_slots = 8,
    .vec_offset = offsetof(struct toy_state, fx),
    .fx_offset = offsetof(struct toy_state, fx),
    .mxcsr_offset = offsetof(struct toy_state, mxcsr),
    .scratch_offset = offsetof(struct toy_state, tcg),
};

/* ---- helpers ---- */

static uint64_t do_raise(void *state, uint64_t vector, uint64_t b, uint64_t c, uint64_t d)
{
    struct toy_cpu *t = of_state(state);

    (void)b, (void)c, (void)d;
    t->s.raised = true;
    t->s.vector = (uint32_t)vector;
    t->cpu.machine->accel->unwind(&t->cpu);
    return 0;
}

static uint64_t do_asid(void *state, uint64_t asid, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    of_state(state)->s.asid = (uint32_t)asid % TOY_SPACES;
    return 0;
}

static uint64_t do_flush(void *state, uint64_t va, uint64_t b, uint64_t c, uint64_t d)
{
    struct toy_cpu *t = of_state(state);

    (void)b, (void)c, (void)d;
    t->cpu.machine->accel->tlb_flush(&t->cpu, TLB_FLUSH_PAGE, t->s.asid, va);
    return 0;
}

static uint64_t raise_fault(struct toy_cpu *t, const struct mmu_fault *f)
{
    t->s.raised = true;
    t->s.vector = f->vector;
    t->s.fault_addr = f->addr;
    t->cpu.machine->accel->unwind(&t->cpu);
    return 0;
}

static uint64_t do_sth(void *state, uint64_t va, uint64_t value, uint64_t c, uint64_t d)
{
    struct toy_cpu *t = of_state(state);
    struct mmu_fault f;

    (void)c, (void)d;
    return t->cpu.machine->accel->st(&t->cpu, va, 8, t->s.user, value, &f) ? 0 : raise_fault(t, &f);
}

static uint64_t do_ldh(void *state, uint64_t va, uint64_t b, uint64_t c, uint64_t d)
{
    struct toy_cpu *t = of_state(state);
    struct mmu_fault f;
    uint64_t v;

    (void)b, (void)c, (void)d;
    return t->cpu.machine->accel->ld(&t->cpu, va, 8, t->s.user, &v, &f) ? v : raise_fault(t, &f);
}

static const struct ir_helper helper_raise = { "raise", do_raise, 1, false, IR_EFF_FAULTS };
static const struct ir_helper helper_asid = { "asid", do_asid, 1, false, IR_EFF_CTX | IR_EFF_MODE };
static const struct ir_helper helper_flush = { "flush", do_flush, 1, false, IR_EFF_FAULTS };
static const struct ir_helper helper_sth = { "sth", do_sth, 2, false, IR_EFF_FAULTS };
static const struct ir_helper helper_ldh = { "ldh", do_ldh, 1, true, IR_EFF_FAULTS };

/* ---- front end ---- */

static unsigned length(uint8_t op)
{
    switch (op) {
    case TOY_LI: case TOY_CALL: return 6;
    case TOY_JMP: case TOY_JNZ: return 5;
    case TOY_LD: case TOY_ST: case TOY_ST8: return 4;
    case TOY_ADD: case TOY_ADDI: case TOY_CMP: case TOY_XADD: case TOY_DIV: case TOY_STH: case TOY_LDH: case TOY_ADDV: case TOY_LDW: return 3;
    case TOY_JR: case TOY_RAISE: case TOY_ASID: case TOY_FLAGS: case TOY_FLUSH: case TOY_FLAVOUR: return 2;
    default: return 1;
    }
}

static const struct ir_mem mem64 = { .size = 3 }, mem8 = { .size = 0 }, atomic64 = { .size = 3, .atomic = true };

static unsigned target(struct ir *ir, int32_t off, unsigned here)
{
    return ir_exit_target(ir, (struct ir_exit){ .off = off, .backward = off <= (int32_t)here });
}

static void go(struct ir *ir, int32_t off, unsigned here)
{
    unsigned t = target(ir, off, here);

    if (off <= (int32_t)here || off > 4095) {
        ir_poll(ir, t);
    }
    ir_exit_jump(ir, t);
}

enum { TOY_MODE_FLAVOUR = 4 };

/* One instruction; true: the region ends with it. */
static bool insn(struct ir *ir, const uint8_t *b, unsigned at, unsigned len, uint32_t mode)
{
    int32_t next = (int32_t)(at + len), rel = 0;
    struct ir_addr addr;
    ir_ref v;

    ir_insn(ir, at, len);
    if (len >= 5) {
        memcpy(&rel, b + len - 4, 4);
    }
    switch (b[0]) {
    case TOY_LI:
        ir_put(ir, b[1], ir_const(ir, rel));
        return false;
    case TOY_ADD:
    case TOY_ADDV:
        v = ir_op2(ir, IR_add, IR_64, ir_get(ir, b[1]), ir_get(ir, b[2]));
        if (b[0] == TOY_ADD) {
            ir_putflags(ir, ir_flags(ir, IR_CC_ADD, IR_64, v, ir_get(ir, b[2]), 0));
        }
        ir_put(ir, b[1], v);
        return false;
    case TOY_ADDI: {
        ir_ref k = ir_const(ir, (int8_t)b[2]);

        v = ir_op2(ir, IR_add, IR_64, ir_get(ir, b[1]), k);
        ir_putflags(ir, ir_flags(ir, IR_CC_ADD, IR_64, v, k, 0));
        ir_put(ir, b[1], v);
        return false;
    }
    case TOY_LD:
        addr = (struct ir_addr){ .base = ir_get(ir, b[2]), .disp = (int8_t)b[3] };
        ir_put(ir, b[1], ir_ld(ir, addr, mem64));
        return false;
    case TOY_LDW:
        ir_put(ir, b[1], ir_ld(ir, (struct ir_addr){ .base = ir_get(ir, b[2]) }, (struct ir_mem){ .size = 3, .intent = true }));
        return false;
    case TOY_ST:
    case TOY_ST8:
        addr = (struct ir_addr){ .base = ir_get(ir, b[1]), .disp = (int8_t)b[3] };
        ir_st(ir, addr, b[0] == TOY_ST ? mem64 : mem8, ir_get(ir, b[2]));
        return false;
    case TOY_XADD:
        ir_rmw(ir, IR_RMW_ADD, (struct ir_addr){ .base = ir_get(ir, b[1]) }, atomic64, ir_get(ir, b[2]));
        return false;
    case TOY_CMP:
        ir_putflags(ir, ir_flags(ir, IR_CC_CMP, IR_64, ir_get(ir, b[1]), ir_get(ir, b[2]), 0));
        return false;
    case TOY_FLAGS:
        ir_put(ir, b[1], ir_op1(ir, IR_eflags, IR_32, ir_getflags(ir)));
        return false;
    case TOY_DIV:
        ir_put(ir, b[1], ir_op3(ir, IR_divu2, IR_64, ir_get(ir, b[1]), ir_const(ir, 0), ir_get(ir, b[2])));
        return false;
    case TOY_NOP:
        return false;
    case TOY_FLAVOUR:
        ir->mode_bound = true;
        ir_put(ir, b[1], ir_const(ir, (mode & TOY_MODE_FLAVOUR) != 0));
        return false;
    case TOY_STH:
        ir_call(ir, &helper_sth, ir_get(ir, b[1]), ir_get(ir, b[2]), 0, 0);
        return false;
    case TOY_LDH:
        ir_put(ir, b[1], ir_call(ir, &helper_ldh, ir_get(ir, b[2]), 0, 0, 0));
        return false;
    case TOY_FLUSH:
        ir_call(ir, &helper_flush, ir_get(ir, b[1]), 0, 0, 0);
        go(ir, next, at);
        return true;
    case TOY_JMP:
        go(ir, next + rel, at);
        return true;
    case TOY_CALL:
        ir_put(ir, b[1], ir_pcrel(ir, next));
        go(ir, next + rel, at);
        return true;
    case TOY_JNZ:
        if (next + rel <= (int32_t)at) {
            /* the poll comes with the jump: taken is the region's end */
            ir_exit_if(ir, IR_COND_Z, ir_getflags(ir), target(ir, next, at));
            go(ir, next + rel, at);
            return true;
        }
        ir_exit_if(ir, IR_COND_NZ, ir_getflags(ir), target(ir, next + rel, at));
        return false;
    case TOY_JR:
        ir_exit_ind(ir, IR_IND_JUMP, ir_get(ir, b[1]));
        return true;
    case TOY_ASID:
        ir_call(ir, &helper_asid, ir_get(ir, b[1]), 0, 0, 0);
        ir_exit_ind(ir, IR_IND_JUMP, ir_pcrel(ir, next));
        return true;
    case TOY_HALT:
        ir_exit_loop(ir, TCG_EXIT_HALT, target(ir, next, at));
        return true;
    case TOY_RAISE:
        ir_call(ir, &helper_raise, ir_const(ir, b[1]), 0, 0, 0);
        ir_exit_loop(ir, TCG_EXIT_LOOKUP, target(ir, next, at));
        return true;
    default:
        ir_call(ir, &helper_raise, ir_const(ir, TOY_VEC_UD), 0, 0, 0);
        ir_exit_loop(ir, TCG_EXIT_LOOKUP, target(ir, next, at));
        return true;
    }
}

static void toy_translate(struct ir *ir, struct tcg_source *src)
{
    unsigned at = src->offset, n = 0;
    uint8_t b[8];

    for (;;) {
        unsigned len = length(src->bytes[at]);

        if (at + len > PAGE_SIZE && n) {
            break;
        }
        if (at + len > PAGE_SIZE && !src->next) {
            src->need_next = true;
            return;
        }
        src->crosses = at + len > PAGE_SIZE;
        for (unsigned i = 0; i < len; i++) {
            b[i] = at + i < PAGE_SIZE ? src->bytes[at + i] : src->next[at + i - PAGE_SIZE];
        }
        n++;
        ir->n_insns = n;
        ir->guest_bytes = at + len - src->offset;
        if (insn(ir, b, at, len, src->key.mode)) {
            return;
        }
        at += len;
        if (n >= src->max_insns || at >= PAGE_SIZE || !ir_has_room(ir)) {
            break;
        }
    }
    go(ir, (int32_t)at, src->offset);
}

static void toy_key(void *state, struct tcg_key *key)
{
    struct toy_state *s = state;

    key->mode = 1 + s->user + (s->flavour ? TOY_MODE_FLAVOUR : 0);
    key->asid = s->asid;
    key->regime = (uint8_t)s->user;
    key->code_regime = (uint8_t)s->user;
    key->salted = false;
    key->salt = 0;
}

static void toy_trap(struct cpu *c, enum tcg_trap trap, uint64_t addr)
{
    struct toy_state *s = &toy_of(c)->s;

    s->raised = true;
    s->vector = trap == TCG_TRAP_DIV ? TOY_VEC_DIV : 0x100u + trap;
    s->fault_addr = addr;
}

static const struct tcg_front toy_front = { .mode_optional = TOY_MODE_FLAVOUR, .key = toy_key, .translate = toy_translate, .trap = toy_trap };

/* ---- CPU ---- */

static bool toy_walk(struct cpu *c, uint64_t va, enum mem_access access, unsigned regime, bool commit, struct mmu_result *res,
                     struct mmu_fault *fault)
{
    struct toy_cpu *t = toy_of(c);
    uint64_t pte = va >> 12 < TOY_PAGES ? t->table[t->s.asid][va >> 12] : 0;
    static const uint8_t need[] = { [MEM_READ] = MMU_R, [MEM_WRITE] = MMU_W, [MEM_EXEC] = MMU_X };

    (void)regime;
    (void)commit;
    t->walks++;
    if (!(pte & need[access])) {
        *fault = (struct mmu_fault){ TOY_VEC_PF, access, va };
        return false;
    }
    *res = (struct mmu_result){ .pa = (pte & PAGE_MASK) | (va & 4095), .page_size = PAGE_SIZE, .rights = pte & 7 };
    return true;
}

static void toy_raise(struct cpu *c, const struct mmu_fault *f)
{
    struct toy_state *s = &toy_of(c)->s;

    s->raised = true;
    s->vector = f->vector;
    s->fault_addr = f->addr;
}

static void toy_service(struct cpu *c)
{
    struct toy_cpu *t = toy_of(c);

    t->services++;
    atomic_fetch_and(&c->request, CPU_REQ_STOP | CPU_REQ_WORK);
    if (t->s.raised) {
        atomic_fetch_or(&c->request, CPU_REQ_IRQ);       /* ends toy_run() */
    }
}

static bool toy_wakes(struct cpu *c)
{
    (void)c;
    return false;
}

static void toy_reset(struct cpu *c)
{
    struct toy_cpu *t = toy_of(c);

    memset(&t->s, 0, offsetof(struct toy_state, tcg));
    t->s.mxcsr = 0x1f80;
    for (unsigned a = 0; a < TOY_SPACES; a++) {
        for (unsigned p = 0; p < TOY_PAGES; p++) {
            t->table[a][p] = (uint64_t)p << 12 | MMU_R | MMU_W | MMU_X;
        }
    }
}

static uint64_t toy_pc(struct cpu *c)
{
    return toy_of(c)->s.env.pc;
}

const struct cpu_ops toy_ops = {
    .isa = "toy", .size = sizeof(struct toy_cpu), .state_offset = offsetof(struct toy_cpu, s), .tcg = &toy_guest, .front = &toy_front,
    .reset = toy_reset, .service = toy_service, .wakes = toy_wakes, .walk = toy_walk, .raise = toy_raise, .pc = toy_pc,
};

/* ---- machine ---- */

static enum access_status io_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    struct toy *t = opaque;

    t->io_reads++;
    t->io_size = size;
    t->io_last_addr = offset;
    *value = 0x1122334455667788ull;
    if (offset + size <= sizeof(t->io_code)) {
        *value = 0;
        memcpy(value, t->io_code + offset, size);
    }
    return ACCESS_OK;
}

static enum access_status io_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct toy *t = opaque;

    t->io_writes++;
    t->io_size = size;
    t->io_last_addr = offset;
    t->io_last_value = value;
    return ACCESS_OK;
}

static const struct region_ops io_ops = { .read = io_read, .write = io_write, .min_size = 1, .max_size = 8, .unaligned = true };

struct toy *toy_new(const char *text, unsigned cpus)
{
    struct toy *t = g_new0(struct toy, 1);
    struct machine *m = t->m = machine_new();
    struct options *o = text ? options_parse(text, NULL, accel_tcg.options, NULL) : NULL;

    g_assert(!text || o);
    m->accel = &accel_tcg;
    m->spec.cpus = cpus;
    g_assert(accel_tcg.open(m, o, NULL));
    if (o) {
        options_free(o);
    }
    machine_lock(m);
    t->ram = m->main_ram = ram_new(m, "ram", TOY_RAM, false, NULL);
    t->rom = ram_new(m, "rom", PAGE_SIZE, true, NULL);
    region_init_ram(&t->ram_region, "ram", t->ram, 0, TOY_RAM);
    region_init_ram(&t->rom_region, "rom", t->rom, 0, PAGE_SIZE);
    region_init_io(&t->io_region, "io", &io_ops, t, 0x10000);
    region_add(&m->memory_root, &t->ram_region, 0, 0);
    region_add(&m->memory_root, &t->io_region, TOY_MMIO, 0);
    region_add(&m->memory_root, &t->rom_region, TOY_ROM, 0);
    for (unsigned i = 0; i < cpus; i++) {
        t->cpu[i] = (struct toy_cpu *)cpu_new(m, &toy_ops, i, "toy", NULL);
        toy_reset(&t->cpu[i]->cpu);
        accel_tcg.reset(&t->cpu[i]->cpu);
    }
    machine_unlock(m);
    return t;
}

void toy_free(struct toy *t)
{
    machine_free(t->m);
    g_free(t);
}

uint32_t toy_put(struct toy *t, uint32_t at, unsigned n, ...)
{
    va_list ap;

    va_start(ap, n);
    while (n--) {
        t->ram->host[at++] = (uint8_t)va_arg(ap, int);
    }
    va_end(ap);
    return at;
}

uint32_t toy_li(struct toy *t, uint32_t at, unsigned rd, uint32_t imm)
{
    at = toy_put(t, at, 2, TOY_LI, rd);
    memcpy(t->ram->host + at, &imm, 4);
    return at + 4;
}

uint32_t toy_jump(struct toy *t, uint32_t at, enum toy_op op, uint32_t to)
{
    int32_t rel = (int32_t)(to - (at + 5));

    at = toy_put(t, at, 1, op);
    memcpy(t->ram->host + at, &rel, 4);
    return at + 4;
}

uint32_t toy_call(struct toy *t, uint32_t at, unsigned rd, uint32_t to)
{
    int32_t rel = (int32_t)(to - (at + 6));

    at = toy_put(t, at, 2, TOY_CALL, rd);
    memcpy(t->ram->host + at, &rel, 4);
    return at + 4;
}

uint64_t toy_run(struct toy *t, uint64_t pc)
{
    struct toy_cpu *c = t->cpu[0];
    enum cpu_exit e;

    c->s.env.pc = pc;
    c->s.raised = false;
    c->s.vector = 0xffffffff;
    atomic_store(&c->cpu.request, 0);
    do {
        atomic_fetch_and(&c->cpu.request, ~(uint32_t)CPU_REQ_IRQ);
        e = accel_tcg.run(&c->cpu);
    } while (e == CPU_EXIT_AGAIN && !c->s.raised);
    return c->s.env.pc;
}
