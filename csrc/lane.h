/* L2 part. A lane: one shard and the generations of its index, under one lock. What a writer, a reader and a flush of the
 * same shard have to agree on is here and nowhere else. */
#ifndef SKV_LANE_H
#define SKV_LANE_H

#include "clock.h"
#include "index.h"
#include "shard.h"
#include "sync.h"

/* What a sweep did, and the earliest expiry of what it left. */
typedef struct {
    uint64_t next_ms;
    uint64_t removed;
} skv_sweep_tally;

/* Where a sweep of a shard stands: behind a key. */
typedef struct {
    skv_sweep_tally tally;
    size_t key_bytes; /* 0: before the first */
    uint8_t key[SKV_KEY_BYTES_MAX];
} skv_sweep_place;

/* The sweeps of a lane: the flush's thread alone. */
typedef struct {
    uint64_t due_ms; /* nothing in the shard expires before this; 0: nobody has looked yet */
    skv_sweep_place at;
    uint32_t part; /* of the active generation */
    skv_sweep_tally part_tally;
} skv_sweep;

/* To step over so many deletes takes a reader as long as a flush of next to nothing. */
#define SKV_LANE_DELETES_MET 8192

typedef struct {
    skv_shard *shard;      /* owned */
    skv_clock *clock;      /* kept */
    skv_mutex lock;        /* after the log's lock, before nothing */
    skv_mutex order_lock;  /* one thread at a time sorts; before the lock */
    skv_index *active;     /* takes inserts; owned */
    skv_index *sealed;     /* being flushed, or NULL; owned */
    uint64_t sealed_seqno; /* the log as it stood when `sealed` was sealed */
    uint64_t base_records; /* keys that count in the shard when `sealed` was sealed */
    bool applying;         /* part of `sealed` may be in the shard already */
    bool counted;          /* somebody counts keys: a flush learns what lies below before it changes that */
    uint64_t generation;   /* counts flushes: what was read from the shard before may be old after */
    uint64_t flushes, flush_ns, flushed_records;
    uint64_t suspect_below; /* what the shard has of a key is not believed unless it is as new as this; 0: it is */
    skv_sweep sweep;
} skv_lane;

/* What one reader sees of a lane: kept generations, newest first, and a shard that misses nothing but what these hold. */
typedef struct {
    skv_index *generations[2]; /* owned references; NULL where there is none */
    skv_shard_txn *txn;        /* owned */
    uint64_t generation;       /* the lane's, before the transaction began */
    uint64_t first_seqno;      /* of the oldest unflushed record; UINT64_MAX when all is flushed */
} skv_lane_view;

skv_code skv_lane_create(skv_lane *lane, skv_shard *shard, skv_clock *clock, const skv_slots *slots, skv_error *err);
void skv_lane_free(skv_lane *lane);
/* Begin the views' transactions. Outside every lock: while a map is about to grow this waits for those who read, and they may
 * need the locks. owned, on failure too: skv_lanes_release. */
skv_code skv_lanes_begin(skv_lane *lanes, uint32_t count, skv_lane_view *views, skv_error *err);
void skv_lanes_release(skv_lane *lanes, uint32_t count, skv_lane_view *views);
/* Has no flush ended since the view's transaction began? Then it misses nothing that the lane has let go. Under the lock. */
static inline bool skv_lane_view_holds(const skv_lane *lane, const skv_lane_view *view)
{
    return lane->generation == view->generation;
}
/* Keep the generations, under the log's lock: nothing is sealed meanwhile. AGAIN: the view does not hold. */
skv_code skv_lane_view_take(skv_lane *lane, skv_lane_view *view);
/* The oldest unflushed record; UINT64_MAX when all is flushed. Under the lock. */
uint64_t skv_lane_first_seqno(const skv_lane *lane);
/* Nothing in the shard is newer: a flush under way may have put some of what it holds there. Takes the lock. */
uint64_t skv_lane_newest_below(skv_lane *lane);
/* Records and bytes that are unflushed, heap of the index; of the active generation, the deletes that readers met. Takes the lock. */
skv_index_size skv_lane_measure(skv_lane *lane);
/* A key's newest unflushed record: in the active generation, else in the sealed one. Under the lock. */
bool skv_lane_find(const skv_lane *lane, skv_key key, skv_position *position, skv_record *out);

/* Is what the record says that its key is absent: is it a delete, or has it expired by now? */
static inline bool skv_lane_gone(const skv_lane *lane, const skv_record *record)
{
    return skv_record_deletes(record) ||
           (skv_record_expires(record) && skv_clock_passed(lane->clock, record->expires_ms));
}

/* The records of a generation in order, as runs kept for the caller. Sorts what came since the last time, without the
 * lock, and leaves the result for the next. NO_MEMORY. */
skv_code skv_lane_order(skv_lane *lane, skv_index *generation, const skv_slots *slots,
                        skv_run *out[SKV_INDEX_RUNS_MAX], uint32_t *count, skv_error *err);

/* The context of an skv_index_below: does `under` (the generation below, or NULL) or else the shard hold the key? */
typedef struct {
    skv_lane *lane;
    skv_index *under;
    skv_shard_txn *txn;
    skv_error *err;
} skv_lane_below;
bool skv_lane_is_below(void *context, skv_key key, skv_code *code);

#endif
