/*
 * Surfaces as picture files: PPM (netpbm, P6) and PNG (RFC 2083; 8-bit RGB, one IDAT, zlib level 1: a screen dump is waited for).
 * The file is written whole or the error says why.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/error.h"
#include "ui/console.h"

/* One row as RGB bytes. */
static void row_rgb(const struct ui_surface *s, int y, uint8_t *out)
{
    const uint32_t *p = (const uint32_t *)(const void *)(s->data + (size_t)y * (size_t)s->stride);

    for (int x = 0; x < s->width; x++, out += 3) {
        out[0] = (uint8_t)(p[x] >> 16);
        out[1] = (uint8_t)(p[x] >> 8);
        out[2] = (uint8_t)p[x];
    }
}

static bool write_file(const char *path, const uint8_t *data, size_t len, GError **err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool ok = fd >= 0;

    while (ok && len) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        ok = n >= 0;
        data += ok ? n : 0;
        len -= ok ? (size_t)n : 0;
    }
    if (!ok) {
        error_set(err, EMU_ERROR_HOST, "%s: %s", path, g_strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

bool ui_surface_write_ppm(const struct ui_surface *s, const char *path, GError **err)
{
    char head[64];
    size_t n = (size_t)g_snprintf(head, sizeof(head), "P6\n%d %d\n255\n", s->width, s->height), row = (size_t)s->width * 3;
    uint8_t *buf = g_malloc(n + row * (size_t)s->height);
    bool ok;

    memcpy(buf, head, n);
    for (int y = 0; y < s->height; y++) {
        row_rgb(s, y, buf + n + row * (size_t)y);
    }
    ok = write_file(path, buf, n + row * (size_t)s->height, err);
    g_free(buf);
    return ok;
}

static void put32(GByteArray *b, uint32_t v)
{
    uint8_t bytes[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

    g_byte_array_append(b, bytes, 4);
}

static void chunk(GByteArray *b, const char type[4], const uint8_t *data, size_t len)
{
    uLong crc = crc32(crc32(0, NULL, 0), (const Bytef *)type, 4);

    put32(b, (uint32_t)len);
    g_byte_array_append(b, (const guint8 *)type, 4);
    g_byte_array_append(b, data, (guint)len);
    put32(b, (uint32_t)(len ? crc32(crc, data, (uInt)len) : crc));
}

bool ui_surface_write_png(const struct ui_surface *s, const char *path, GError **err)
{
    static const uint8_t signature[8] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
    size_t row = (size_t)s->width * 3 + 1;
    uint8_t *raw = g_malloc(row * (size_t)s->height), *packed;
    uLongf packed_len = compressBound((uLong)(row * (size_t)s->height));
    GByteArray *file = g_byte_array_new(), *head = g_byte_array_new();
    bool ok;

    for (int y = 0; y < s->height; y++) {
        raw[row * (size_t)y] = 0;                                /* filter: none */
        row_rgb(s, y, raw + row * (size_t)y + 1);
    }
    packed = g_malloc(packed_len);
    ok = compress2(packed, &packed_len, raw, (uLong)(row * (size_t)s->height), 1) == Z_OK;
    put32(head, (uint32_t)s->width);
    put32(head, (uint32_t)s->height);
    g_byte_array_append(head, (const guint8 *)"\x08\x02\0\0\0", 5);      /* 8 bit, RGB, no interlace */
    g_byte_array_append(file, signature, sizeof(signature));
    chunk(file, "IHDR", head->data, head->len);
    chunk(file, "IDAT", packed, packed_len);
    chunk(file, "IEND", (const uint8_t *)"", 0);
    ok = ok ? write_file(path, file->data, file->len, err) : error_set(err, EMU_ERROR_FAILED, "%s: cannot be compressed", path);
    g_byte_array_free(head, TRUE);
    g_byte_array_free(file, TRUE);
    g_free(packed);
    g_free(raw);
    return ok;
}
