/*
 * -d in_asm, op, op_opt, out_asm, exec, cpu, mmu: what the translator is given, what it makes of it, and what runs.
 */
#include <inttypes.h>

#include "accel/tcg/accel_priv.h"
#include "base/log.h"

static tcg_disassembler disassemble;      /* set once by main/ before anything is translated */

void tcg_set_disassembler(tcg_disassembler fn)
{
    disassemble = fn;
}

static void show(FILE *out, unsigned mode, uint64_t pc, const uint8_t *bytes, size_t len)
{
    if (disassemble) {
        disassemble(out, mode, pc, bytes, len);
        return;
    }
    for (size_t i = 0; i < len; i++) {
        if (i % 16 == 0) {
            fprintf(out, "%s0x%08" G_GINT64_MODIFIER "x: ", i ? "\n" : "", pc + i);
        }
        fprintf(out, " %02x", bytes[i]);
    }
    fputc('\n', out);
}

/* The region's guest bytes; of one that crosses both parts. Returns how many; buf holds 2 * PAGE_SIZE. */
static size_t guest_bytes(const struct tcg_source *src, uint32_t len, uint8_t *buf)
{
    size_t n = 0;

    for (; n < len && src->offset + n < PAGE_SIZE; n++) {
        buf[n] = src->bytes[src->offset + n];
    }
    for (size_t i = 0; n < len && src->next && i < PAGE_SIZE; i++, n++) {
        buf[n] = src->next[i];
    }
    return n;
}

void trace_translation(struct accel_cpu *ac, const struct tcg_source *src, const struct ir *ir)
{
    uint8_t *buf = g_malloc(2 * PAGE_SIZE);
    size_t n = guest_bytes(src, ir->guest_bytes, buf);
    FILE *out = log_lock();

    fprintf(out, "----------------\nIN: vCPU %u, 0x%" G_GINT64_MODIFIER "x, mode 0x%x, %u instructions\n", ac->c->index,
            src->pcbase + src->offset, src->key.mode, ir->n_insns);
    show(out, ac->ops->disas_mode ? ac->ops->disas_mode(ac->c) : 0, src->pcbase + src->offset, buf, n);
    log_unlock();
    g_free(buf);
}

static void print_line(void *opaque, const char *text)
{
    fprintf(opaque, "%s\n", text);
}

void trace_ir(uint32_t item, const char *title, const struct ir *ir)
{
    FILE *out = log_lock();

    (void)item;
    fprintf(out, "%s:\n", title);
    ir_dump(ir, print_line, out);
    log_unlock();
}

void trace_host_code(const struct tcg_code *code)
{
    FILE *out = log_lock();

    fprintf(out, "OUT: %u bytes, %u on the hot path, %u host instructions\n", code->size, code->hot_size, code->host_insns);
    show(out, TCG_DISAS_HOST, (uint64_t)(uintptr_t)code->rx, code->rx, code->size);
    log_unlock();
}

void trace_bytes(FILE *out, struct accel_cpu *ac, uint64_t pc, const struct code_region *r)
{
    struct code_page *cp = code_page_find(ac->ta, r->page);

    show(out, ac->ops->disas_mode ? ac->ops->disas_mode(ac->c) : 0, pc, cp->block->host + (cp->index << PAGE_BITS) + r->offset,
         MIN(r->end, PAGE_SIZE) - r->offset);
}

void trace_enter(struct accel_cpu *ac, const struct code_region *r)
{
    if (log_on(LOG_EXEC)) {
        log_printf(LOG_EXEC, "vCPU %u: 0x%" G_GINT64_MODIFIER "x mode 0x%x, %u instructions at %p\n", ac->c->index, ac->env->pc,
                   r->mode, r->n_insns, (void *)r->rx);
    }
    if (log_on(LOG_CPU) && ac->ops->dump) {
        GString *s = g_string_new(NULL);

        ac->ops->dump(ac->c, s);
        log_printf(LOG_CPU, "%s", s->str);
        g_string_free(s, TRUE);
    }
}

void mmu_note(void *arg)
{
    static const char *const scopes[] = {
        [TLB_FLUSH_ALL] = "everything", [TLB_FLUSH_NONGLOBAL] = "all but globals", [TLB_FLUSH_ASID] = "one address space", [TLB_FLUSH_PAGE] = "one page",
    };
    const struct mmu_note *n = arg;
    unsigned cpu = n->ac->c->index;
    char access = "rwx"[n->access];

    if (n->res) {
        log_printf(LOG_MMU, "vCPU %u: walk %016" PRIx64 " %c regime %u -> %016" PRIx64 " %s%s%s%s, page of 0x%" PRIx64 "\n", cpu, n->va, access,
                   n->regime, n->res->pa, n->res->rights & MMU_R ? "r" : "-", n->res->rights & MMU_W ? "w" : "-",
                   n->res->rights & MMU_X ? "x" : "-", n->res->global ? " global" : "", n->res->page_size);
    } else if (n->fault) {
        log_printf(LOG_MMU, "vCPU %u: walk %016" PRIx64 " %c regime %u: fault, vector %u code %04x\n", cpu, n->va, access, n->regime,
                   n->fault->vector, n->fault->code);
    } else {
        log_printf(LOG_MMU, "vCPU %u: flush %s, asid %u, address %016" PRIx64 "\n", cpu, scopes[n->scope], n->asid, n->va);
    }
}
