/* L2. The parts that a path may be handed together: what one open store is made of, without its life cycle. */
#ifndef SKV_PARTS_H
#define SKV_PARTS_H

#include "acks.h"
#include "admission.h"
#include "lane.h"
#include "log.h"
#include "pressure.h"
#include "ring.h"

/* How many copies can be under way at once. */
#define SKV_PINS_MAX 16

typedef struct {
    skv_ring *ring;     /* owned by the store, as all of these */
    skv_log *log;
    skv_clock clock;
    skv_lane *lanes;
    uint32_t lane_count;
    skv_pressure pressure;
    skv_admission admission;
    skv_acks acks;
    skv_notifiers notifiers; /* outlives the log: who waits hears of the end */
    skv_snapshot *snapshots;        /* live ones, newest first; under the log's lock */
    const skv_cut *cuts;            /* theirs; under the log's lock */
    uint64_t snapshot_count;
    uint64_t needs; /* how often less of the log was needed than before, snapshots aside; under the log's lock */
    uint64_t pins[SKV_PINS_MAX];    /* the log is retained from this record on, for a copy; 0: free; under the log's lock */
    atomic_ullong flush_target;     /* everything up to it shall be flushed */
    skv_event flushed;
    atomic_ullong expired_removed;  /* records that sweeps deleted */
} skv_parts;

static inline skv_lane *skv_parts_lane(const skv_parts *parts, skv_key key)
{
    return &parts->lanes[skv_ring_route(parts->ring, key.hash)];
}

#endif
