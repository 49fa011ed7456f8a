/* L3 path. One cut through all lanes, taken under the log's lock: no append is half inside. */
#ifndef SKV_SNAPSHOT_H
#define SKV_SNAPSHOT_H

#include "log_walk.h"
#include "parts.h"

struct skv_snapshot {
    skv_snapshot *next, *previous; /* of the live ones */
    atomic_int references;         /* of the one who took it, and of the list of live ones */
    void *owner;                   /* the store, for the layer above */
    skv_parts *parts;
    skv_mutex lock; /* LMDB transactions are used by one thread at a time */
    bool dead;      /* its store was closed */
    bool owned_by_scan;
    uint64_t seqno;
    skv_cut cut;         /* the same, for indexes */
    skv_log_place place; /* where the log ended: it is kept from here on */
    uint64_t now_ms;     /* when it was taken: what has expired is judged by this */
    uint64_t wait_seqno; /* of the newest disk-level record inside: durable before anything is read */
    uint64_t pin_seqno;  /* the log is needed from here on */
    uint64_t needs;      /* parts->needs when it was taken */
    uint64_t created_ns;
    skv_scan *scans;               /* that read through it; under the lock */
    void (*detach)(skv_scan *scan); /* makes a scan let go of its cursors */
    skv_lane_view views[];
};

/* Is what the record says that its key is absent in this cut? */
static inline bool skv_snapshot_gone(const skv_snapshot *snapshot, const skv_record *record)
{
    return skv_record_deletes(record) ||
           (skv_record_expires(record) &&
            skv_clock_passed_at(&snapshot->parts->clock, record->expires_ms, snapshot->now_ms));
}

/* owned: skv_snapshot_release, at any time. */
skv_code skv_snapshot_take(skv_parts *parts, skv_snapshot **out, skv_error *err);
/* Let go of everything it holds, its scans' cursors first, and leave the list of live ones; takes its lock. The memory
 * goes when this and skv_snapshot_release have both happened, in either order. true: somebody needs less of the log since it
 * was taken, so that it may have been what kept the log. */
bool skv_snapshot_end(skv_snapshot *snapshot);
void skv_snapshot_release(skv_snapshot *snapshot);

#endif
