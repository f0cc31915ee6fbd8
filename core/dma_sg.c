/*
 * Scattered transfers: guest ranges as one iovec list. See core/dma.h.
 */
#include <string.h>
#include <sys/uio.h>

#include "core/dma.h"
#include "core/machine.h"

void dma_sg_init(struct dma_sg *sg, struct address_space *as, bool write)
{
    *sg = (struct dma_sg){ .as = as, .write = write, .ok = true };
}

/* Neighbours in one RAM block become one piece; block NULL: a bounce buffer, always a piece of its own. */
static void append(struct dma_sg *sg, void *host, size_t len, struct ram_block *block)
{
    struct iovec *last = sg->n ? &sg->iov[sg->n - 1] : NULL;

    if (last && block && block == sg->last && (char *)last->iov_base + last->iov_len == host) {
        last->iov_len += len;
    } else {
        if (sg->n == sg->room) {
            sg->room = sg->room ? 2 * sg->room : 8;
            sg->iov = g_renew(struct iovec, sg->iov, sg->room);
        }
        sg->iov[sg->n++] = (struct iovec){ host, len };
    }
    sg->last = block;
    sg->bytes += len;
}

static struct ram_block *block_of(const struct dma_sg *sg, const void *host)
{
    uint64_t offset;

    return ram_find_host(sg->as->machine, host, &offset);
}

static bool add(struct dma_sg *sg, uint64_t addr, uint64_t len, bool ram_only)
{
    if (len > DMA_SG_MAX - sg->bytes) {
        return false;
    }
    while (len) {
        size_t piece = len;
        void *host = dma_map(sg->as, addr, &piece, sg->write);
        struct ram_block *block = host ? block_of(sg, host) : NULL;

        if (!host && ram_only) {
            return false;
        }
        if (!host) {
            /* Page by page: what lies behind a hole may be RAM again. */
            piece = MIN(len, PAGE_SIZE - (addr & (PAGE_SIZE - 1)));
            host = g_malloc(piece);
            memset(host, 0xff, piece);
            sg->ok = false;
        }
        append(sg, host, piece, block);
        addr += piece;
        len -= piece;
    }
    return true;
}

bool dma_sg_add(struct dma_sg *sg, uint64_t addr, uint64_t len) { return add(sg, addr, len, false); }
bool dma_sg_add_ram(struct dma_sg *sg, uint64_t addr, uint64_t len) { return add(sg, addr, len, true); }

void dma_sg_end(struct dma_sg *sg, uint64_t written)
{
    for (unsigned i = 0; i < sg->n; i++) {
        struct iovec *v = &sg->iov[i];

        if (!block_of(sg, v->iov_base)) {
            g_free(v->iov_base);
        } else {
            dma_unmap(sg->as, v->iov_base, sg->write ? MIN(written, v->iov_len) : 0);
        }
        written -= MIN(written, v->iov_len);
    }
    g_free(sg->iov);
    *sg = (struct dma_sg){ .as = sg->as, .write = sg->write, .ok = true };
}

/* Walks the list; to_list: buf -> list. */
static size_t copy(const struct dma_sg *sg, uint64_t offset, uint8_t *buf, size_t len, bool to_list)
{
    size_t done = 0;

    for (unsigned i = 0; i < sg->n && done < len; i++) {
        const struct iovec *v = &sg->iov[i];

        if (offset >= v->iov_len) {
            offset -= v->iov_len;
            continue;
        }
        size_t piece = MIN(len - done, v->iov_len - offset);
        uint8_t *host = (uint8_t *)v->iov_base + offset;
        memcpy(to_list ? host : buf + done, to_list ? buf + done : host, piece);
        done += piece;
        offset = 0;
    }
    return done;
}

size_t dma_sg_read(const struct dma_sg *sg, uint64_t offset, void *buf, size_t len) { return copy(sg, offset, buf, len, false); }

size_t dma_sg_write(struct dma_sg *sg, uint64_t offset, const void *buf, size_t len)
{
    return copy(sg, offset, (uint8_t *)buf, len, true);
}
