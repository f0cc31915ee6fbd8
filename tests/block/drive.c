/* Drives over files: data arrives where it should under each engine and cache mode, and what must be refused is. */
#include "block/block.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/options.h"

#define SIZE (1u << 20)

static char path[64];
static struct drives *all;

static void setup(void)
{
    strcpy(path, "/tmp/emu-block-XXXXXX");
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && !ftruncate(fd, SIZE));
    close(fd);
    all = drives_new(&(struct drives_hooks){ 0 });
}

static void teardown(void)
{
    drives_free(all);
    unlink(path);
}

TestSuite(drive, .init = setup, .fini = teardown);

static struct drive *open_drive(const char *more, GError **err)
{
    static const unsigned units[DRIVE_SD + 1] = { [DRIVE_IDE] = 2 };
    g_autofree char *text = g_strdup_printf("file=%s,id=d,if=none%s%s", path, *more ? "," : "", more);
    struct options *o = options_parse(text, "file", NULL, err);
    struct drive *d = o ? drive_open(all, o, false, units, err) : NULL;
    options_free(o);
    return d ? drive_claim(all, "d", &(struct drive_port){ .path = "test" }, err) : NULL;
}

static struct drive *must_open(const char *more)
{
    GError *err = NULL;
    struct drive *d = open_drive(more, &err);
    cr_assert(d, "%s: %s", more, err ? err->message : "?");
    return d;
}

static int result;
static unsigned done;

static void on_done(struct block_req *r, int error)
{
    (void)r;
    result = error;
    done++;
}

static int run(struct drive *d, enum block_op op, uint64_t offset, void *buf, uint64_t bytes, unsigned flags)
{
    /* In two pieces, so that lists are walked. */
    struct iovec v[2] = { { buf, bytes / 2 }, { (char *)buf + bytes / 2, bytes - bytes / 2 } };
    struct block_req r = { .op = op, .flags = flags, .offset = offset, .bytes = op == BLOCK_FLUSH ? 0 : bytes, .iov = v, .n_iov = 2, .done = on_done };
    done = 0;
    drive_submit(d, &r);
    cr_expect_eq(done, 0, "never from inside drive_submit()");
    drive_drain(d);
    cr_expect_eq(done, 1);
    return result;
}

static void fill(uint8_t *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = (uint8_t)((i * 7 + seed) ^ i >> 8);
    }
}

static void host_read(uint64_t offset, void *buf, size_t n)
{
    int fd = open(path, O_RDONLY);
    cr_assert_eq(pread(fd, buf, n, (off_t)offset), (ssize_t)n);
    close(fd);
}

Test(drive, data_arrives_under_every_engine_and_cache_mode)
{
    static const char *const ways[] = { "format=raw,aio=threads", "format=raw", "format=raw,cache=writethrough", "format=raw,cache=unsafe",
                                        "format=raw,cache=none", "format=raw,cache=directsync,aio=threads" };
    uint8_t out[12800], in[12800], host[12800];

    for (unsigned i = 0; i < G_N_ELEMENTS(ways); i++) {
        GError *err = NULL;
        struct drive *d = open_drive(ways[i], &err);
        if (!d && strstr(ways[i], "cache=none")) {
            g_clear_error(&err);          /* a file system without O_DIRECT */
            continue;
        }
        cr_assert(d, "%s: %s", ways[i], err ? err->message : "?");
        cr_expect_eq(drive_size(d), SIZE);
        fill(out, sizeof(out), i);
        /* 512-byte offsets: under cache=none the host wants more, and gets it by a bounce buffer. */
        cr_expect_eq(run(d, BLOCK_WRITE, 512 * 3, out, sizeof(out), 0), 0, "%s", ways[i]);
        cr_expect_eq(run(d, BLOCK_FLUSH, 0, NULL, 0, 0), 0, "%s", ways[i]);
        host_read(512 * 3, host, sizeof(host));
        cr_expect(!memcmp(out, host, sizeof(out)), "%s: the image", ways[i]);
        cr_expect_eq(run(d, BLOCK_READ, 512 * 3, in, sizeof(in), 0), 0);
        cr_expect(!memcmp(out, in, sizeof(out)), "%s: read back", ways[i]);
        drives_free(all);
        all = drives_new(&(struct drives_hooks){ 0 });
    }
}

Test(drive, borders_are_kept)
{
    struct drive *d = must_open("format=raw");
    uint8_t buf[1024] = { 0 };
    cr_expect_eq(run(d, BLOCK_WRITE, SIZE - 512, buf, 1024, 0), EIO, "over the end");
    cr_expect_eq(run(d, BLOCK_READ, UINT64_MAX - 511, buf, 1024, 0), EIO, "sum wraps");
    struct stat st;
    cr_expect(!stat(path, &st) && st.st_size == SIZE, "the file did not grow");
    cr_expect_eq(run(d, BLOCK_WRITE, SIZE - 1024, buf, 1024, 0), 0, "the last sectors");
}

Test(drive, read_only_is)
{
    struct drive *d = must_open("format=raw,readonly=on");
    uint8_t buf[512] = { 1 }, host[512];
    cr_expect(drive_read_only(d));
    cr_expect_neq(run(d, BLOCK_WRITE, 0, buf, 512, 0), 0);
    host_read(0, host, 512);
    cr_expect_eq(host[0], 0);
}

Test(drive, zeroes_and_discards)
{
    struct drive *d = must_open("format=raw,discard=unmap");
    uint8_t buf[8192], host[8192];
    memset(buf, 0xa5, sizeof(buf));
    cr_assert_eq(run(d, BLOCK_WRITE, 0, buf, sizeof(buf), 0), 0);
    cr_expect_eq(run(d, BLOCK_ZERO, 512, NULL, 1024, BLOCK_MAY_UNMAP), 0);
    cr_expect_eq(run(d, BLOCK_DISCARD, 4096, NULL, 4096, 0), 0);
    cr_expect_eq(run(d, BLOCK_FLUSH, 0, NULL, 0, 0), 0);
    host_read(0, host, sizeof(host));
    cr_expect(host[511] == 0xa5 && host[512] == 0 && host[1535] == 0 && host[1536] == 0xa5);
}

Test(drive, snapshot_leaves_the_image_alone)
{
    struct drive *d = must_open("format=raw,snapshot=on");
    uint8_t out[3072], in[3072], host[3072], zero[3072] = { 0 };
    fill(out, sizeof(out), 9);
    cr_assert_eq(run(d, BLOCK_WRITE, 512 * 100, out, sizeof(out), 0), 0);
    cr_expect_eq(run(d, BLOCK_FLUSH, 0, NULL, 0, 0), 0);
    cr_expect_eq(run(d, BLOCK_READ, 512 * 100, in, sizeof(in), 0), 0);
    cr_expect(!memcmp(in, out, sizeof(in)), "the guest sees what it wrote");
    cr_expect_eq(run(d, BLOCK_READ, 512 * 96, in, sizeof(in), 0), 0);
    cr_expect(!memcmp(in, zero, 2048) && !memcmp(in + 2048, out, 1024), "a read over both");
    host_read(512 * 100, host, sizeof(host));
    cr_expect(!memcmp(host, zero, sizeof(host)));
}

Test(drive, forms_that_are_not_built_are_never_raw)
{
    static const struct { unsigned at; const char *magic; unsigned len; const char *name; } rows[] = {
        { 0, "QFI\xfb\0\0\0\3", 8, "qcow2" }, { 0, "KDMV", 4, "vmdk" }, { 0x40, "\x7f\x10\xda\xbe", 4, "vdi" }, { 0, "vhdxfile", 8, "vhdx" },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        GError *err = NULL;
        int fd = open(path, O_WRONLY | O_TRUNC);
        cr_assert(!ftruncate(fd, SIZE) && pwrite(fd, rows[i].magic, rows[i].len, rows[i].at) == (ssize_t)rows[i].len);
        close(fd);
        cr_expect(!open_drive("", &err) && strstr(err->message, rows[i].name), "%s: %s", rows[i].name, err ? err->message : "taken");
        g_clear_error(&err);
    }
    must_open("format=raw");              /* who says it is raw gets it raw */
}

/* A guest that turns its raw disk into another form would be another disk at the next start. */
Test(drive, probed_raw_does_not_become_a_header)
{
    struct drive *d = must_open("");
    uint8_t buf[512] = "QFI\xfb";
    cr_expect_neq(run(d, BLOCK_WRITE, 0, buf, 512, 0), 0);
}

Test(drive, two_writers_are_kept_apart)
{
    GError *err = NULL;
    must_open("format=raw");
    struct drives *first = all;
    all = drives_new(&(struct drives_hooks){ 0 });
    cr_expect(!open_drive("format=raw", &err) && strstr(err->message, "lock"), "%s", err ? err->message : "taken");
    drives_free(all);
    all = first;
}
