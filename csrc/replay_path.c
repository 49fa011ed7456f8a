/* L3 path. Replay. */
#include "replay_path.h"

#include "hash.h"
#include "log_scan.h"
#include "memory.h"

/* The thread that opens reads: it verifies segments, hashes keys and finds lanes. The helper's, once there is a batch for
 * it, enters what was read into the indexes; without a helper the one thread does both. Each asks for memory so many records
 * before it needs it: a part of the ring, a line of an index. Those are cache misses; so many of them are under way at once. */
#define AHEAD 16
#define BATCH 512
#define BATCHES 4

typedef struct {
    skv_position position;
    skv_record record;
    skv_key key;
    skv_lane *lane;
} waiting;

typedef struct {
    unsigned count;
    waiting records[BATCH];
} batch;

typedef struct {
    skv_parts *parts;
    batch *batches;     /* a ring of BATCHES */
    unsigned filled;    /* batches, ever */
    unsigned entered;   /* likewise: the entering thread's */
    skv_helper *helper; /* or NULL */
    bool helped;        /* it has begun */
    atomic_int code; /* of entering; once it is not OK the error is there, too */
    skv_error error;
    uint64_t replayed;
} replaying;

/* What a shard holds was durable in the log before. */
static uint64_t newest_in_shards(const skv_parts *parts)
{
    uint64_t newest = 0;
    for (uint32_t i = 0; i < parts->lane_count; i++) {
        uint64_t here = skv_shard_newest(parts->lanes[i].shard);
        newest = here > newest ? here : newest;
    }
    return newest;
}

static batch *batch_at(const replaying *replay, unsigned number)
{
    return &replay->batches[number % BATCHES];
}

/* -- entering --------------------------------------------------------------------------------------------------------- */

/* Unless its shard has it already. Nobody else is there yet: no lock is needed. */
static skv_code enter_one(replaying *replay, const waiting *one)
{
    skv_index *index = one->lane->active;
    if (one->record.seqno <= skv_shard_applied(one->lane->shard))
        return SKV_OK;
    if (skv_index_reserve(index, one->key.hash, 0) != SKV_OK)
        return skv_fail(&replay->error, SKV_NO_MEMORY, "out of memory: cannot index the log");
    skv_index_insert(index, one->key.hash, one->position, &one->record, 0);
    skv_pressure_add(&replay->parts->pressure, skv_record_bytes(&one->record));
    replay->replayed++;
    return SKV_OK;
}

static void ask_for_line(const batch *from, unsigned place)
{
    if (place < from->count)
        skv_index_prefetch(from->records[place].lane->active, from->records[place].key.hash);
}

/* The oldest batch that is not entered yet. */
static void enter_batch(void *context)
{
    replaying *replay = context;
    const batch *from = batch_at(replay, replay->entered++);
    skv_code code = (skv_code)atomic_load(&replay->code);
    for (unsigned i = 0; i < AHEAD; i++)
        ask_for_line(from, i);
    for (unsigned i = 0; i < from->count && code == SKV_OK; i++) {
        ask_for_line(from, i + AHEAD);
        code = enter_one(replay, &from->records[i]);
    }
    atomic_store(&replay->code, code);
}

/* -- reading ---------------------------------------------------------------------------------------------------------- */

static void find_lane(const replaying *replay, waiting *next)
{
    next->lane = skv_parts_lane(replay->parts, next->key);
}

/* Hand over what was read, wait until at most so many batches are left to be entered, and begin an empty one. */
static skv_code close_batch(replaying *replay, unsigned left, skv_error *err)
{
    batch *full = batch_at(replay, replay->filled++);
    skv_code code;
    for (unsigned i = full->count > AHEAD ? full->count - AHEAD : 0; i < full->count; i++)
        find_lane(replay, &full->records[i]);
    if (replay->helped) {
        skv_helper_give(replay->helper, enter_batch, replay);
        skv_helper_await(replay->helper, left);
    } else {
        enter_batch(replay);
    }
    batch_at(replay, replay->filled)->count = 0;
    code = (skv_code)atomic_load(&replay->code);
    if (code != SKV_OK && err)
        *err = replay->error;
    return code;
}

static skv_code enter(replaying *replay, skv_position position, const skv_record *record, skv_error *err)
{
    batch *into = batch_at(replay, replay->filled);
    waiting *last = &into->records[into->count++];
    *last = (waiting){position, *record, skv_key_of(record->key), NULL};
    skv_ring_prefetch(replay->parts->ring, last->key.hash);
    if (into->count > AHEAD)
        find_lane(replay, last - AHEAD);
    if (into->count < BATCH)
        return SKV_OK;
    replay->helped = replay->helper != NULL;
    return close_batch(replay, BATCHES - 1, err);
}

/* Whatever was read is in the indexes afterwards. */
static skv_code enter_all(replaying *replay, skv_error *err)
{
    return close_batch(replay, 0, err);
}

static skv_code index_record(void *context, skv_position position, const skv_record *record, skv_error *err)
{
    return enter(context, position, record, err);
}

static skv_code append_again(void *context, skv_position position, const skv_record *record, skv_error *err)
{
    replaying *replay = context;
    skv_record copy = *record;
    position = skv_log_append(replay->parts->log, &copy);
    return enter(replay, position, &copy, err);
}

/* What no completed sync proves may be in the page cache only. It is copied into the fresh segment, as one frame, and
 * synced; only then does that segment's header make the old copy void. */
static skv_code write_tail_again(replaying *replay, const skv_log_found_tail *tail, skv_error *err)
{
    skv_log *log = replay->parts->log;
    skv_code code = SKV_OK;
    if (tail->tail_bytes)
        code = skv_log_reserve(log, (size_t)tail->tail_bytes, err);
    if (code == SKV_OK && tail->tail_bytes)
        code = skv_log_visit_records(log, tail->proven_seqno + 1, tail->last_seqno, append_again, replay, err);
    if (code == SKV_OK)
        code = enter_all(replay, err);
    skv_log_note_disk(log);
    return code;
}

/* What a shard has applied only grows: less than the side file remembers means that one of them was put back. */
static skv_code refuse_older_shards(const skv_parts *parts, uint64_t least, skv_error *err)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < parts->lane_count; i++)
        sum += skv_shard_applied(parts->lanes[i].shard);
    return sum >= least ? SKV_OK
                        : skv_fail_at(err, SKV_CORRUPT, "shards", 0, 0,
                                      "a shard is older than the log remembers: it was replaced by an earlier copy");
}

/* What a shard says it has applied lets the log forget: it must be on disk, not only in the page cache of a process that
 * was killed while it committed. */
static skv_code secure_shards(skv_parts *parts, skv_error *err)
{
    skv_code code = SKV_OK;
    for (uint32_t i = 0; i < parts->lane_count && code == SKV_OK; i++)
        code = skv_shard_sync(parts->lanes[i].shard, err);
    return code;
}

/* Each lane gets its share of what no shard has yet. */
static void prepare_lanes(void *context, uint64_t first_seqno, uint64_t last_seqno)
{
    skv_parts *parts = ((replaying *)context)->parts;
    for (uint32_t i = 0; i < parts->lane_count; i++) {
        uint64_t applied = skv_shard_applied(parts->lanes[i].shard);
        uint64_t from = applied >= first_seqno ? applied + 1 : first_seqno;
        if (from <= last_seqno)
            skv_index_prepare(parts->lanes[i].active, (last_seqno - from + 1) / parts->lane_count);
    }
}

static skv_code replay_log(replaying *replay, skv_error *err)
{
    skv_parts *parts = replay->parts;
    skv_log_found_tail tail;
    const skv_log_visitor visitor = {prepare_lanes, index_record, replay};
    skv_code code = skv_log_scan(parts->log, newest_in_shards(parts), &visitor, &tail, err);
    if (code == SKV_OK)
        code = refuse_older_shards(parts, tail.applied_sum, err);
    if (code == SKV_OK && !tail.closed)
        code = secure_shards(parts, err);
    if (code == SKV_OK)
        code = skv_log_visit_records(parts->log, tail.visited_seqno + 1, tail.proven_seqno, index_record, replay, err);
    if (code == SKV_OK)
        code = enter_all(replay, err);
    if (code == SKV_OK)
        code = skv_log_start(parts->log, tail.proven_seqno + 1, tail.tail_bytes, err);
    if (code == SKV_OK)
        code = write_tail_again(replay, &tail, err);
    if (code == SKV_OK)
        code = skv_log_sync_start(parts->log, err); /* empty or not: its header must be there before an append */
    return code;
}

skv_code skv_replay(skv_parts *parts, skv_helper *helper, uint64_t *replayed, skv_error *err)
{
    replaying replay = {.parts = parts, .helper = helper, .batches = skv_alloc(BATCHES * sizeof(batch))};
    skv_code code = replay.batches ? replay_log(&replay, err) : skv_fail(err, SKV_NO_MEMORY, "out of memory: cannot replay the log");
    if (replay.helped)
        skv_helper_await(helper, 0);
    skv_release(replay.batches);
    *replayed = replay.replayed;
    return code;
}

skv_code skv_replay_nothing(skv_parts *parts, skv_error *err)
{
    skv_code code = skv_log_found(parts->log, err);
    if (code == SKV_OK)
        code = skv_log_start(parts->log, 1, 0, err);
    return code == SKV_OK ? skv_log_sync_start(parts->log, err) : code;
}
