/*
 * Nodes and engines, for block/ only.
 */
#ifndef BLOCK_BLOCK_PRIV_H
#define BLOCK_BLOCK_PRIV_H

#include "base/error.h"
#include "base/options.h"
#include "block/block.h"

#define BLOCK_SECTOR 512u

struct node_class {
    const char *name;                    /* driver= */
    /* Must end in one block_complete(), or r->up() later from the main loop; never in a call of r->up() inside. */
    void (*submit)(struct node *n, struct block_req *r);
    void (*close)(struct node *n);
    bool (*resize)(struct node *n, uint64_t bytes, GError **err);   /* NULL: it cannot */
};

struct node {
    const struct node_class *class;
    struct drives *all;
    char *name;                          /* node-name, or "#block123" */
    char *filename;
    struct node *child;                  /* what this one lies on; owned */
    unsigned users;                      /* drives and nodes that hold it; a named node of -blockdev also counts one for its list */
    uint64_t size;                       /* bytes */
    bool read_only, listed;
    bool discard, no_flush, direct;
    bool detect_zeroes, detect_unmap, write_through;
    bool probed_raw;
};

/* How files do I/O. */
struct engine;
struct file;
struct engine_class {
    const char *name;                    /* aio= */
    struct engine *(*open)(struct drives *all, GError **err);
    void (*submit)(struct engine *e, struct file *f, struct block_req *r);   /* READ, WRITE, FLUSH only; aligned as the file wants it */
    void (*unplug)(struct engine *e);
    void (*reap)(struct engine *e);      /* finished ones to block_complete(); may be NULL */
    void (*close)(struct engine *e);
};

struct engine {
    const struct engine_class *class;
    struct drives *all;
};

struct file {
    struct node node;
    int fd;
    bool device;                         /* a block device, not a regular file */
    uint32_t align;                      /* of offset and length; 1: any */
    uint32_t align_memory;
    struct engine *engine;               /* NULL: worker threads */
    GMutex rmw;                          /* one read-modify-write at a time */
    bool lost;                           /* fdatasync has failed: the kernel may have dropped data */
};

struct drives {
    struct drives_hooks hooks;
    GPtrArray *drives;                   /* struct drive * */
    GPtrArray *nodes;                    /* struct node *, all */
    unsigned next_node, next_id;
    int event;                           /* eventfd: something has completed */
    GSource *source;
    GMutex lock;                         /* guards finished, last */
    struct block_req *finished, **last;
    GThreadPool *pool;
    struct engine *uring;
    bool uring_tried;
    unsigned plugged;
    struct node refused;                 /* where requests go that are wrong from the start */
};

/* A finished request: up() will be called by the main loop. Any thread. */
void block_complete(struct block_req *r, int error);
/* For reap(): without waking anybody. True: it is the first of the list. */
bool block_complete_quiet(struct block_req *r, int error);
/* To worker threads. */
void pool_submit(struct file *f, struct block_req *r);
/* O_DIRECT can take it as it is. */
bool file_node_aligned(const struct file *f, const struct block_req *r);
extern const struct engine_class uring_engine;

void node_init(struct node *n, const struct node_class *c, struct drives *all, const char *name);
struct node *node_find(const struct drives *all, const char *name);
void node_ref(struct node *n);
void node_unref(struct node *n);
static inline void node_submit(struct node *n, struct block_req *r)
{
    r->node = n;
    n->class->submit(n, r);
}

/* Puts in another medium, whose reference passes to the drive. */
bool drive_change_node(struct drive *d, struct node *n, bool force, GError **err);
/* Runs a request of our own on a node and waits. 0 or errno. */
int node_run(struct node *n, enum block_op op, uint64_t offset, void *buf, uint64_t bytes);
/* Calls up() of what has finished: of one drive, or (NULL) of all. Returns how many. */
unsigned block_dispatch(struct drives *all, const struct drive *only);
/* Waits for something to finish. */
void block_wait(struct drives *all);

/* What a node that does I/O is told. */
struct file_conf {
    const char *driver, *filename, *name;
    bool read_only, auto_read_only, direct, no_flush, discard;
    bool probed;                         /* the user did not say which form it has */
    enum { LOCKING_AUTO, LOCKING_ON, LOCKING_OFF } locking;
    const char *aio;                     /* NULL: the best there is */
};
struct node *file_node_open(struct drives *all, const struct file_conf *c, GError **err);
struct node *null_node_open(struct drives *all, const struct file_conf *c, uint64_t size, bool zeroes, GError **err);
/* A window of the child, which becomes its own. size 0: to the end. */
struct node *raw_node_open(struct node *child, uint64_t offset, uint64_t size, const char *name, GError **err);
struct node *snapshot_node_open(struct node *base, GError **err);
/* The form of an image by its first bytes ("qcow2"), or NULL. */
const char *probe_header(const uint8_t *buf, size_t len);
const char *probe_node(struct node *n);

#endif
