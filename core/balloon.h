/*
 * The machine's balloon, as the monitor sees it: machine.balloon, NULL when there is none. Machine lock.
 */
#ifndef CORE_BALLOON_H
#define CORE_BALLOON_H

#include <stdint.h>

enum balloon_stat {
    BALLOON_SWAP_IN, BALLOON_SWAP_OUT, BALLOON_MAJOR_FAULTS, BALLOON_MINOR_FAULTS, BALLOON_FREE, BALLOON_TOTAL, BALLOON_AVAILABLE,
    BALLOON_DISK_CACHES, BALLOON_HUGETLB_ALLOCS, BALLOON_HUGETLB_FAILURES, BALLOON_STATS,
};
#define BALLOON_UNKNOWN UINT64_MAX

struct balloon {
    void *owner;
    void (*set_target)(void *owner, uint64_t bytes);       /* memory the guest shall keep */
    uint64_t (*actual)(void *owner);                       /* memory it has, bytes */
    uint64_t stats[BALLOON_STATS];                         /* bytes or counts, as the guest said last */
    int64_t stats_at;                                      /* host seconds of that; 0: never */
};

extern const char *const balloon_stat_names[BALLOON_STATS];    /* as QMP has them: "stat-swap-in" */

#endif
