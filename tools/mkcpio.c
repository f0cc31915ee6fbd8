/*
 * mkcpio < LIST > IMAGE: writes a cpio archive in the "newc" form that Linux unpacks as its initramfs
 * (kernel documentation, driver-api/early-userspace/buffer-format). Needs no root: owners are 0:0 and device nodes
 * are only described. LIST has one entry a line, MODE in octal, names without spaces and without a leading slash:
 *     dir NAME MODE            file NAME MODE HOST-FILE
 *     link NAME TARGET         nod NAME MODE c|b MAJOR MINOR
 *     tree PREFIX HOST-FOLDER  everything below HOST-FOLDER, put below PREFIX (. for the root)
 * Folders on the way to a name are made (mode 755) the first time they are needed. A later file of the same name wins
 * in the kernel, as in any cpio. Times are 0, so the same input gives the same image.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct image {
    FILE *out;
    unsigned long offset;
    unsigned inode;
    char **dirs;                /* folders already written */
    size_t dir_count;
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "mkcpio: %s: %s\n", what, why);
    exit(1);
}

static void put(struct image *im, const void *data, size_t n)
{
    if (n && fwrite(data, 1, n, im->out) != n) {
        die("output", strerror(errno));
    }
    im->offset += n;
}

static void pad(struct image *im, unsigned to)
{
    static const char zero[512];
    put(im, zero, (to - im->offset % to) % to);
}

static void header(struct image *im, const char *name, unsigned mode, unsigned long size, unsigned major, unsigned minor)
{
    char h[128];
    unsigned nlink = S_ISDIR(mode) ? 2 : 1;
    int n = snprintf(h, sizeof(h), "070701%08X%08X%08X%08X%08X%08X%08lX%08X%08X%08X%08X%08X%08X", im->inode++, mode, 0u, 0u,
                     nlink, 0u, size, 0u, 0u, major, minor, (unsigned)strlen(name) + 1, 0u);
    put(im, h, n);
    put(im, name, strlen(name) + 1);
    pad(im, 4);
}

static bool dir_known(struct image *im, const char *name)
{
    for (size_t i = im->dir_count; i-- > 0;) {
        if (!strcmp(im->dirs[i], name)) {
            return true;
        }
    }
    im->dirs = realloc(im->dirs, (im->dir_count + 1) * sizeof(*im->dirs));
    im->dirs[im->dir_count++] = strdup(name);
    return false;
}

static void put_dir(struct image *im, const char *name, unsigned mode);

static void put_parents(struct image *im, const char *name)
{
    const char *slash = strrchr(name, '/');
    if (slash) {
        char *parent = strndup(name, slash - name);
        put_dir(im, parent, 0755);
        free(parent);
    }
}

static void put_dir(struct image *im, const char *name, unsigned mode)
{
    if (dir_known(im, name)) {
        return;
    }
    put_parents(im, name);
    header(im, name, S_IFDIR | mode, 0, 0, 0);
}

static void put_file(struct image *im, const char *name, unsigned mode, const char *host)
{
    FILE *f = fopen(host, "rb");
    struct stat st;
    if (!f || fstat(fileno(f), &st)) {
        die(host, strerror(errno));
    }
    if (st.st_size > UINT32_MAX) {
        die(host, "over 4 GiB");
    }
    put_parents(im, name);
    header(im, name, S_IFREG | mode, st.st_size, 0, 0);
    static char buf[1 << 16];
    unsigned long left = st.st_size;
    while (left) {
        size_t n = fread(buf, 1, left < sizeof(buf) ? left : sizeof(buf), f);
        if (!n) {
            die(host, "it shrank while being read");
        }
        put(im, buf, n);
        left -= n;
    }
    fclose(f);
    pad(im, 4);
}

static void put_link(struct image *im, const char *name, const char *target)
{
    put_parents(im, name);
    header(im, name, S_IFLNK | 0777, strlen(target), 0, 0);
    put(im, target, strlen(target));
    pad(im, 4);
}

static void put_tree(struct image *im, const char *prefix, const char *host)
{
    struct dirent **entries;
    int n = scandir(host, &entries, NULL, alphasort);
    if (n < 0) {
        die(host, strerror(errno));
    }
    for (int i = 0; i < n; i++) {
        const char *leaf = entries[i]->d_name;
        if (strcmp(leaf, ".") && strcmp(leaf, "..")) {
            char from[4096], name[4096], target[4096];
            struct stat st;
            snprintf(from, sizeof(from), "%s/%s", host, leaf);
            snprintf(name, sizeof(name), "%s%s%s", strcmp(prefix, ".") ? prefix : "", strcmp(prefix, ".") ? "/" : "", leaf);
            if (lstat(from, &st)) {
                die(from, strerror(errno));
            }
            if (S_ISDIR(st.st_mode)) {
                put_dir(im, name, st.st_mode & 07777);
                put_tree(im, name, from);
            } else if (S_ISLNK(st.st_mode)) {
                ssize_t len = readlink(from, target, sizeof(target) - 1);
                if (len < 0) {
                    die(from, strerror(errno));
                }
                target[len] = 0;
                put_link(im, name, target);
            } else if (S_ISREG(st.st_mode)) {
                put_file(im, name, st.st_mode & 07777, from);
            }
        }
        free(entries[i]);
    }
    free(entries);
}

/* One line of the list; false if it is not understood. */
static bool put_line(struct image *im, const char *line)
{
    char name[4096], other[4096], type;
    unsigned mode, major, minor;
    int end = 0;
    if (sscanf(line, "dir %4095s %o %n", name, &mode, &end) == 2 && !line[end]) {
        put_dir(im, name, mode);
    } else if (sscanf(line, "file %4095s %o %4095s %n", name, &mode, other, &end) == 3 && !line[end]) {
        put_file(im, name, mode, other);
    } else if (sscanf(line, "link %4095s %4095s %n", name, other, &end) == 2 && !line[end]) {
        put_link(im, name, other);
    } else if (sscanf(line, "tree %4095s %4095s %n", name, other, &end) == 2 && !line[end]) {
        put_tree(im, name, other);
    } else if (sscanf(line, "nod %4095s %o %c %u %u %n", name, &mode, &type, &major, &minor, &end) == 5 && !line[end] &&
               (type == 'c' || type == 'b')) {
        put_parents(im, name);
        header(im, name, (type == 'c' ? S_IFCHR : S_IFBLK) | mode, 0, major, minor);
    } else {
        return line[0] == '#' || line[strspn(line, " \t\n")] == 0;
    }
    return true;
}

int main(void)
{
    struct image im = {.out = stdout, .inode = 1};
    char line[9000];
    while (fgets(line, sizeof(line), stdin)) {
        if (!put_line(&im, line)) {
            die("cannot read this line", line);
        }
    }
    header(&im, "TRAILER!!!", 0, 0, 0, 0);
    pad(&im, 512);
    if (fclose(stdout)) {
        die("output", strerror(errno));
    }
    return 0;
}
