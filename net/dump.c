/*
 * filter-dump: pcap files (the classic format of libpcap: 24-byte header, microseconds, link type Ethernet).
 * Packets are written as they are sent, before offloads are applied, as with QEMU.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/error.h"
#include "net/net_priv.h"

struct pcap_file {
    uint32_t magic;
    uint16_t major, minor;
    int32_t zone;
    uint32_t accuracy, snap_length, link_type;
};

struct pcap_packet {
    uint32_t seconds, microseconds, kept, length;
};

bool net_dump_add(struct nets *s, const char *id, const char *netdev, const char *path, uint32_t maxlen, GError **err)
{
    struct net *n = net_find(s, netdev);
    struct pcap_file head = { 0xa1b2c3d4, 2, 4, 0, 0, maxlen ? maxlen : 65536, 1 };
    struct net_dump *d;
    int fd;

    if (!n || n->ops->card) {
        return error_set(err, EMU_ERROR_NOT_FOUND, "filter-dump: there is no netdev '%s'", netdev);
    }
    for (unsigned i = 0; i < s->dumps->len; i++) {
        if (!strcmp(((struct net_dump *)g_ptr_array_index(s->dumps, i))->id, id)) {
            return error_set(err, EMU_ERROR_INVALID, "filter-dump: there is an object '%s' already", id);
        }
    }
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, &head, sizeof(head)) != sizeof(head)) {
        error_set(err, EMU_ERROR_HOST, "filter-dump: cannot write '%s': %s", path, g_strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    d = g_new0(struct net_dump, 1);
    *d = (struct net_dump){ .id = g_strdup(id), .net = n, .fd = fd, .maxlen = head.snap_length };
    g_ptr_array_add(s->dumps, d);
    return true;
}

void dump_free(struct net_dump *d)
{
    close(d->fd);
    g_free(d->id);
    g_free(d);
}

bool net_dump_del(struct nets *s, const char *id)
{
    for (unsigned i = 0; i < s->dumps->len; i++) {
        struct net_dump *d = g_ptr_array_index(s->dumps, i);

        if (!strcmp(d->id, id)) {
            g_ptr_array_remove_index(s->dumps, i);
            dump_free(d);
            return true;
        }
    }
    return false;
}

void dumps_forget(struct nets *s, const struct net *n)
{
    for (unsigned i = s->dumps->len; i-- > 0;) {
        struct net_dump *d = g_ptr_array_index(s->dumps, i);

        if (d->net == n) {
            g_ptr_array_remove_index(s->dumps, i);
            dump_free(d);
        }
    }
}

static void write_packet(struct net_dump *d, const struct net_packet *p)
{
    size_t kept = MIN(p->size, (size_t)d->maxlen), total = sizeof(struct pcap_packet) + kept;
    g_autofree uint8_t *buf = g_malloc(total);
    struct timeval now;
    struct pcap_packet head;
    ssize_t done;

    gettimeofday(&now, NULL);
    head = (struct pcap_packet){ (uint32_t)now.tv_sec, (uint32_t)now.tv_usec, (uint32_t)kept, (uint32_t)p->size };
    memcpy(buf, &head, sizeof(head));
    packet_copy(p, 0, buf + sizeof(head), kept);
    done = write(d->fd, buf, total);
    if (done != (ssize_t)total && !d->failed) {
        d->failed = true;
        g_printerr("emu: filter-dump %s: %s\n", d->id, done < 0 ? g_strerror(errno) : "the file ends in mid-packet");
    }
}

void dumps_packet(struct nets *s, const struct net *a, const struct net *b, const struct net_packet *p)
{
    for (unsigned i = 0; i < s->dumps->len; i++) {
        struct net_dump *d = g_ptr_array_index(s->dumps, i);

        if ((d->net == a || d->net == b) && !d->failed) {
            write_packet(d, p);
        }
    }
}
