/*
 * `native` ops in the interpreter: on a host of the guest's ISA the instruction itself is run, through a thunk that is made once per
 * encoding. Guest registers are mapped to host registers 1 to 4 in order of appearance (0 where the instruction
 * reads xmm0 unasked), so there are few encodings. Elsewhere such ops are not supported.
 *
 * Order: memory input is read (may fault), the thunk runs on a copy, memory output is written (may fault), then registers are committed.
 * FP traps (SDM vol. 1, 11.5): the thunk runs with MXCSR's exceptions masked and its flags clear; if the guest unmasks one that shows up,
 * the trap is reported with registers unchanged and the sticky flags set. x87 errors are pending until the next waiting
 * instruction (SDM vol. 1, 8.6), which is when they are reported here.
 */
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "tcg/interp_priv.h"

#ifdef __x86_64__

#include <sys/mman.h>
#include <unistd.h>

enum { N_VEC = 5, HOST_IN = 1, HOST_IN2 = 2, HOST_OUT = 0, HOST_CTX = 7, THUNK_MAX = 256, THUNK_BUFFER = 1 << 20 };

/* Operand block; rdi points at it while the thunk runs. */
struct block {
    uint8_t fx_host[512] __attribute__((aligned(64)));
    uint8_t fx[512];
    uint8_t vec[N_VEC][64];
    uint8_t mem[128];
    uint64_t in, in2, out, eflags;
    uint32_t mxcsr, host_mxcsr;
};

typedef void thunk_fn(struct block *b);

/* What the thunk's code depends on, as hash key: the encoding with mapped registers. */
struct thunk_key {
    uint8_t kind, prefix, map, opcode, w, vex, l, has_imm, imm, reg_kind, reg, rm_kind, rm, vvvv_kind, vvvv, reg_in, x87;
    uint8_t vec[N_VEC];       /* host register n is in use */
    uint8_t pad[3];
};

/* The process's, not a vCPU's: thunks depend on nothing but the host. Guarded by `lock`; never freed. */
static struct {
    GMutex lock;
    GHashTable *by_key;
    uint8_t *rw, *rx;
    size_t at, size;
} cache;

struct code { uint8_t *p; };

static void byte(struct code *c, unsigned v) { *c->p++ = v; }
static void bytes(struct code *c, const char *s, size_t n) { memcpy(c->p, s, n); c->p += n; }
static void word32(struct code *c, uint32_t v) { memcpy(c->p, &v, 4); c->p += 4; }

/* op with ModRM: reg field `reg`, memory at [rdi + disp32] */
static void modrm_block(struct code *c, unsigned reg, size_t disp)
{
    byte(c, 0x80 | (reg & 7) << 3 | HOST_CTX);
    word32(c, (uint32_t)disp);
}

/* movups / vmovups between host register n (below 8) and its place in the block */
static void move_vec(struct code *c, bool store, bool vex, unsigned n)
{
    if (vex) {
        bytes(c, "\xc5\xfc", 2);                         /* VEX.256.0F */
    } else {
        byte(c, 0x0f);
    }
    byte(c, store ? 0x11 : 0x10);
    modrm_block(c, n, offsetof(struct block, vec) + n * 64);
}

/* Conditional x87 moves take their condition from an integer input. */
static bool is_fcmov(unsigned kind, unsigned opcode, unsigned rm_kind, unsigned reg)
{
    return kind == IR_NATIVE_X87 && (opcode == 0xda || opcode == 0xdb) && rm_kind == IR_NR_X87 && reg < 4;
}

static void instruction(struct code *c, const struct thunk_key *k)
{
    bool mem = k->rm_kind == IR_NR_MEM || k->rm_kind == IR_NR_STATE;

    if (is_fcmov(k->kind, k->opcode, k->rm_kind, k->reg)) {
        bytes(c, "\x85\xc9", 2);                         /* test ecx, ecx */
    }

    if (k->vex) {                                        /* three-byte form; R X B W are inverted, registers below 8 */
        unsigned p = k->prefix == 0x66 ? 1 : k->prefix == 0xf3 ? 2 : k->prefix == 0xf2 ? 3 : 0;
        byte(c, 0xc4);
        byte(c, 0xe0 | k->map);
        byte(c, k->w << 7 | (~k->vvvv & 15) << 3 | k->l << 2 | p);
    } else {
        if (k->prefix) {
            byte(c, k->prefix);
        }
        if (k->w) {
            byte(c, 0x48);
        }
        if (k->map) {
            byte(c, 0x0f);
        }
        if (k->map >= 2) {
            byte(c, k->map == 2 ? 0x38 : 0x3a);
        }
    }
    byte(c, k->opcode);
    if (mem) {
        modrm_block(c, k->reg, offsetof(struct block, mem));
    } else if (k->rm_kind != IR_NR_NONE) {
        byte(c, 0xc0 | (k->reg & 7) << 3 | (k->rm & 7));
    }
    if (k->has_imm) {
        byte(c, k->imm);
    }
}

static size_t build(uint8_t *rw, const struct thunk_key *k)
{
    struct code c = { rw };

    bytes(&c, "\x0f\xae", 2);                            /* stmxcsr host_mxcsr */
    modrm_block(&c, 3, offsetof(struct block, host_mxcsr));
    if (k->x87) {
        bytes(&c, "\x48\x0f\xae", 3);                    /* fxsave64 fx_host */
        modrm_block(&c, 0, offsetof(struct block, fx_host));
        bytes(&c, "\x48\x0f\xae", 3);                    /* fxrstor64 fx */
        modrm_block(&c, 1, offsetof(struct block, fx));
    }
    bytes(&c, "\x0f\xae", 2);                            /* ldmxcsr mxcsr */
    modrm_block(&c, 2, offsetof(struct block, mxcsr));
    for (unsigned n = 0; n < N_VEC; n++) {
        if (k->vec[n]) {
            move_vec(&c, false, k->vex, n);
        }
    }
    bytes(&c, "\x48\x8b", 2);                            /* mov rcx, in; mov rdx, in2; mov rax, rdx or 0 */
    modrm_block(&c, HOST_IN, offsetof(struct block, in));
    bytes(&c, "\x48\x8b", 2);
    modrm_block(&c, HOST_IN2, offsetof(struct block, in2));
    bytes(&c, k->reg_in ? "\x48\x89\xd0" : "\x48\x31\xc0", 3);
    instruction(&c, k);
    bytes(&c, "\x48\x89", 2);                            /* mov out, rax */
    modrm_block(&c, HOST_OUT, offsetof(struct block, out));
    byte(&c, 0x9c);                                      /* pushfq; pop eflags */
    byte(&c, 0x8f);
    modrm_block(&c, 0, offsetof(struct block, eflags));
    for (unsigned n = 0; n < N_VEC; n++) {
        if (k->vec[n]) {
            move_vec(&c, true, k->vex, n);
        }
    }
    bytes(&c, "\x0f\xae", 2);                            /* stmxcsr mxcsr */
    modrm_block(&c, 3, offsetof(struct block, mxcsr));
    if (k->x87) {
        bytes(&c, "\x48\x0f\xae", 3);
        modrm_block(&c, 0, offsetof(struct block, fx));
        bytes(&c, "\x48\x0f\xae", 3);
        modrm_block(&c, 1, offsetof(struct block, fx_host));
    }
    bytes(&c, "\x0f\xae", 2);                            /* ldmxcsr host_mxcsr */
    modrm_block(&c, 2, offsetof(struct block, host_mxcsr));
    if (k->vex) {
        bytes(&c, "\xc5\xf8\x77", 3);                    /* vzeroupper */
    }
    byte(&c, 0xc3);
    g_assert(c.p - rw <= THUNK_MAX);
    return c.p - rw;
}

static guint key_hash(gconstpointer p)
{
    const uint8_t *b = p;
    guint h = 5381;
    for (size_t i = 0; i < sizeof(struct thunk_key); i++) {
        h = h * 33 + b[i];
    }
    return h;
}

static gboolean key_equal(gconstpointer a, gconstpointer b) { return memcmp(a, b, sizeof(struct thunk_key)) == 0; }

/* One memfd seen twice, so that nothing is writable and executable at once. */
static void new_buffer(void)
{
    int fd = memfd_create("emu-interp", MFD_CLOEXEC);

    cache.size = THUNK_BUFFER;
    cache.at = 0;
    if (fd < 0 || ftruncate(fd, THUNK_BUFFER) < 0 ||
        (cache.rw = mmap(NULL, THUNK_BUFFER, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) == MAP_FAILED ||
        (cache.rx = mmap(NULL, THUNK_BUFFER, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0)) == MAP_FAILED) {
        g_error("interpreter: no memory for code that the host lets us run");
    }
    close(fd);
}

static thunk_fn *thunk_for(const struct thunk_key *k)
{
    uint8_t *code;
    thunk_fn *fn;

    g_mutex_lock(&cache.lock);
    if (!cache.by_key) {
        cache.by_key = g_hash_table_new(key_hash, key_equal);
    }
    code = g_hash_table_lookup(cache.by_key, k);
    if (!code) {
        if (!cache.rx || cache.at + THUNK_MAX > cache.size) {
            new_buffer();
        }
        code = cache.rx + cache.at;
        cache.at += (build(cache.rw + cache.at, k) + 15) & ~(size_t)15;
        g_hash_table_insert(cache.by_key, g_memdup2(k, sizeof(*k)), code);
    }
    g_mutex_unlock(&cache.lock);
    memcpy(&fn, &code, sizeof(fn));
    return fn;
}

/* ---- mapping of registers ---- */

struct mapping {
    int guest[N_VEC];         /* guest vector register in host register n, or -1 */
};

static uint8_t map_vec(struct mapping *m, unsigned guest)
{
    unsigned free_at = 0;

    for (unsigned n = 0; n < N_VEC; n++) {
        if (m->guest[n] == (int)guest) {
            return n;
        }
        if (n && !free_at && m->guest[n] < 0) {
            free_at = n;
        }
    }
    m->guest[free_at] = guest;
    return free_at;
}

static uint8_t map_field(struct mapping *m, unsigned kind, unsigned reg)
{
    switch (kind) {
    case IR_NR_STATE:   return 0;
    case IR_NR_VEC:     return map_vec(m, reg);
    case IR_NR_INT_IN:  return HOST_IN;
    case IR_NR_INT_OUT: return HOST_OUT;
    case IR_NR_MEM:     return 0;
    default:            return reg;                      /* MMX and x87 keep their numbers, /n is what it is */
    }
}

static void make_key(const struct ir_native *n, struct thunk_key *k, struct mapping *m)
{
    *m = (struct mapping){ { -1, -1, -1, -1, -1 } };
    if (n->reads_xmm0) {
        m->guest[0] = 0;
    }
    memset(k, 0, sizeof(*k));
    k->kind = n->kind;
    k->prefix = n->prefix;
    k->map = n->map;
    k->opcode = n->opcode;
    k->w = n->w;
    k->vex = n->vex;
    k->l = n->l;
    k->has_imm = n->has_imm;
    k->imm = n->imm_vec ? (uint8_t)(map_vec(m, n->imm >> 4) << 4 | (n->imm & 15)) : n->imm;
    k->reg_kind = n->reg_kind;
    k->reg = map_field(m, n->reg_kind, n->reg);
    k->rm_kind = n->rm_kind;
    k->rm = map_field(m, n->rm_kind, n->rm);
    k->vvvv_kind = n->vvvv_kind;
    k->vvvv = n->vvvv_kind == IR_NR_NONE ? 0 : n->vvvv_kind == IR_NR_INT_IN ? HOST_IN2 : map_field(m, n->vvvv_kind, n->vvvv);
    k->reg_in = n->reg_kind == IR_NR_INT_OUT && n->reg_int_in;
    k->x87 = n->kind == IR_NATIVE_X87 || n->kind == IR_NATIVE_MMX || n->reg_kind == IR_NR_MMX || n->rm_kind == IR_NR_MMX ||
        (n->map == 1 && n->opcode == 0x2a && !n->prefix);                /* cvtpi2ps from memory may do as from a register */
    for (unsigned i = 0; i < N_VEC; i++) {
        k->vec[i] = m->guest[i] >= 0;
    }
}

/* ---- running ---- */

enum { FX_MXCSR = 24, FX_REGS = 32, FX_REGS_END = 160, FSW_ERRORS = 0x3f, MX_FLAGS = 0x3f, MX_MASKS = 0x1f80, MX_UNDERFLOW = 0x10, MX_FTZ = 0x8000, MX_DEFAULT = 0x1f80 };

/* Does the instruction wait for pending x87 errors? SDM vol. 2: fn* forms do not. */
static bool waits(const struct ir_native *n)
{
    if (n->kind != IR_NATIVE_X87) {
        return true;
    }
    if (n->rm_kind == IR_NR_MEM || n->rm_kind == IR_NR_STATE) {
        return !((n->opcode == 0xd9 && (n->reg == 6 || n->reg == 7)) || (n->opcode == 0xdd && (n->reg == 6 || n->reg == 7)));
    }
    return !((n->opcode == 0xdb && n->reg == 4) || (n->opcode == 0xdf && n->reg == 4 && n->rm == 0));
}

static void x87_in(char *state, const struct tcg_guest *g, struct block *b)
{
    uint32_t mxcsr = MX_DEFAULT;

    memcpy(b->fx, state + g->fx_offset, sizeof(b->fx));
    memcpy(b->fx + FX_MXCSR, &mxcsr, 4);
}

static void x87_out(char *state, const struct tcg_guest *g, const struct block *b)
{
    memcpy(state + g->fx_offset, b->fx, FX_MXCSR);
    memcpy(state + g->fx_offset + FX_REGS, b->fx + FX_REGS, FX_REGS_END - FX_REGS);
}

/* The x87 state becomes MMX's: TOP = 0, nothing empty, registers where they are (the image has them in the stack's order). */
static void mmx_begins(uint8_t *fx)
{
    uint8_t regs[128];
    unsigned top = fx[3] >> 3 & 7;

    memcpy(regs, fx + FX_REGS, sizeof(regs));
    for (unsigned i = 0; i < 8; i++) {
        memcpy(fx + FX_REGS + 16 * i, regs + 16 * ((i - top) & 7), 16);
    }
    fx[3] &= ~0x38;
    fx[4] = 0xff;
}

/* The flags that a trap leaves: errors found before the operation keep those found after it from showing. */
static uint32_t trap_flags(uint32_t raised, uint32_t unmasked)
{
    return raised & unmasked & 7 ? raised & 7 : raised;
}

/* Before the instruction: what its memory operand holds. x87 stores that trap leave memory alone, so they are given the old contents. */
static void operand_in(void *state, const struct ir_native *n, uint64_t addr, struct block *b, const struct tcg_interp_mem *mem)
{
    bool rw = n->mem.write && n->kind == IR_NATIVE_X87;

    if (n->rm_kind == IR_NR_STATE) {
        memcpy(b->mem, (char *)state + n->state_off, n->mem.size > 4 ? (size_t)1 << n->mem.size : 16);
    } else if (n->rm_kind == IR_NR_MEM && (rw || !n->mem.write)) {
        mem->ld_bytes(state, addr, rw ? tcg_desc(&n->mem, true, true, true) : tcg_desc(&n->mem, true, false, false), b->mem);
    }
}

/* ldmxcsr, stmxcsr: the guest's MXCSR is in the state, not in the thunk's. */
static bool is_mxcsr(const struct ir_native *n)
{
    return n->kind == IR_NATIVE_VEC && n->map == 1 && n->opcode == 0xae && (n->reg == 2 || n->reg == 3);
}

static void do_mxcsr(void *state, const struct ir_native *n, uint32_t *mxcsr)
{
    void *p = (char *)state + n->state_off;

    g_assert(n->rm_kind == IR_NR_STATE);
    memcpy(n->reg == 2 ? (void *)mxcsr : p, n->reg == 2 ? p : (void *)mxcsr, 4);
}

/*
 * Unmasked, underflow is raised for every tiny result; masked, for inexact ones only, unless results are flushed to zero: which is how
 * tiny ones are found (SDM vol. 1, 4.9.1.5, 10.2.3.3).
 */
static uint32_t tiny(const struct thunk_key *k, const struct block *b)
{
    struct block probe = *b;

    probe.mxcsr |= MX_FTZ;
    thunk_for(k)(&probe);
    return probe.mxcsr & MX_UNDERFLOW;
}

/* vzeroupper, vzeroall: of all registers, whereas a thunk knows a few. */
static void do_vzero(char *state, const struct tcg_guest *g, bool all)
{
    struct tcg_scratch *scratch = (struct tcg_scratch *)(state + g->scratch_offset);

    for (unsigned r = 0; r < 16; r++) {
        memset(state + g->vec_offset + (size_t)r * g->vec_stride + (all ? 0 : 16), 0, all ? 32 : 16);
    }
    scratch->vec_low = 1;
    scratch->mem_high = 0;
}

/* addr: of the memory operand; without one the second integer input. */
uint64_t interp_native(void *state, const struct ir *ir, const struct ir_op *op, uint64_t addr, uint64_t int_in,
                       const struct tcg_interp_mem *mem)
{
    const struct tcg_guest *g = ir->guest;
    const struct ir_native *n = op->native;
    bool in_mem = n->rm_kind == IR_NR_MEM, out = n->reg_kind == IR_NR_INT_OUT || n->rm_kind == IR_NR_INT_OUT ||
        n->vvvv_kind == IR_NR_INT_OUT;
    uint32_t *mxcsr = (uint32_t *)((char *)state + g->mxcsr_offset), unmasked, raised;
    size_t vec_bytes = n->vex ? 32 : 16;
    struct thunk_key k;
    struct mapping m;
    struct block b;
    uint16_t fcw, fsw;

    if (is_mxcsr(n)) {
        do_mxcsr(state, n, mxcsr);
        return 0;
    }
    if (ir_is_vzero(n)) {
        do_vzero(state, g, n->l);
        return 0;
    }
    if (n->vex && n->l && n->vec_written) {
        ((struct tcg_scratch *)((char *)state + g->scratch_offset))->vec_low = 0;
    }
    make_key(n, &k, &m);
    if (k.x87) {
        x87_in(state, g, &b);
        memcpy(&fcw, b.fx, 2);
        memcpy(&fsw, b.fx + 2, 2);
        if ((fsw & ~fcw & FSW_ERRORS) && waits(n) && !(n->kind == IR_NATIVE_VEC && in_mem)) {     /* the CPU works out ES anew on FXRSTOR */
            mem->trap(state, TCG_TRAP_FP_X87, 0);
        }
    }
    operand_in(state, n, addr, &b, mem);
    for (unsigned i = 0; i < N_VEC; i++) {
        if (m.guest[i] >= 0) {
            memcpy(b.vec[i], (char *)state + g->vec_offset + (size_t)m.guest[i] * g->vec_stride, vec_bytes);
        }
    }
    b.in = int_in;
    b.in2 = addr;
    unmasked = ~(*mxcsr >> 7) & MX_FLAGS;
    b.mxcsr = (*mxcsr & ~MX_FLAGS) | MX_MASKS;
    raised = 0;
    if (unmasked & MX_UNDERFLOW) {
        raised = k.x87 ? 0 : tiny(&k, &b);
        b.mxcsr &= ~MX_FTZ;                                /* no effect while underflow is unmasked */
    }
    thunk_for(&k)(&b);
    raised |= b.mxcsr & MX_FLAGS;
    if (raised & unmasked) {
        *mxcsr |= trap_flags(raised, unmasked);
        if (n->reg_kind == IR_NR_MMX || n->rm_kind == IR_NR_MMX) {
            mmx_begins((uint8_t *)state + g->fx_offset);
        }
        mem->trap(state, TCG_TRAP_FP_VEC, 0);
    }
    if (in_mem && n->mem.write) {
        mem->st_bytes(state, addr, tcg_desc(&n->mem, false, true, false), b.mem);
    } else if (n->rm_kind == IR_NR_STATE && n->mem.write) {
        memcpy((char *)state + n->state_off, b.mem, (size_t)1 << n->mem.size);
    }
    *mxcsr |= raised;
    for (unsigned i = 0; i < N_VEC; i++) {
        if (m.guest[i] >= 0 && (n->vec_written >> m.guest[i] & 1)) {
            memcpy((char *)state + g->vec_offset + (size_t)m.guest[i] * g->vec_stride, b.vec[i], vec_bytes);
        }
    }
    if (k.x87) {
        x87_out(state, g, &b);
    }
    return out ? b.out : b.eflags & 0x8d5;
}

#else

uint64_t interp_native(void *state, const struct ir *ir, const struct ir_op *op, uint64_t addr, uint64_t int_in,
                       const struct tcg_interp_mem *mem)
{
    (void)state, (void)ir, (void)addr, (void)int_in, (void)mem;
    fprintf(stderr, "emu: not supported: the guest's vector and x87 instructions on this host (opcode %02x)\n", op->native->opcode);
    exit(1);
}

#endif
