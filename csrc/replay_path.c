/* L3 path. Replay. */
#include "replay_path.h"

#include "hash.h"
#include "log_scan.h"

/* A record stands in line twice, each time for the memory that its next step needs: first for its part of the ring, then,
 * once its lane is known, for its part of the index. Each is a cache miss; so many of them are under way at once. */
#define AHEAD 16
#define LINE (2 * AHEAD)

typedef struct {
    skv_position position;
    skv_record record;
    skv_key key;
    skv_lane *lane; /* NULL: not known yet */
} waiting;

typedef struct {
    skv_parts *parts;
    uint64_t replayed;
    waiting line[LINE]; /* from first on, count of them */
    unsigned first, count;
} replaying;

static uint64_t newest_applied(const skv_parts *parts)
{
    uint64_t newest = 0;
    for (uint32_t i = 0; i < parts->lane_count; i++) {
        uint64_t applied = skv_shard_applied(parts->lanes[i].shard);
        newest = applied > newest ? applied : newest;
    }
    return newest;
}

static waiting *in_line(replaying *replay, unsigned place)
{
    return &replay->line[(replay->first + place) % LINE];
}

static void find_lane(const replaying *replay, waiting *next)
{
    next->lane = skv_parts_lane(replay->parts, next->key);
    skv_index_prefetch(next->lane->active, next->key.hash);
}

/* The first in line, unless its shard has it already. Nobody else is there yet: no lock is needed. */
static skv_code enter_first(replaying *replay, skv_error *err)
{
    waiting *first = in_line(replay, 0);
    if (!first->lane)
        find_lane(replay, first);
    replay->first = (replay->first + 1) % LINE;
    replay->count--;
    if (first->record.seqno <= skv_shard_applied(first->lane->shard))
        return SKV_OK;
    if (skv_index_reserve(first->lane->active, first->key.hash, 0) != SKV_OK)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory: cannot index the log");
    skv_index_insert(first->lane->active, first->key.hash, first->position, &first->record, 0);
    skv_pressure_add(&replay->parts->pressure, skv_record_bytes(&first->record));
    replay->replayed++;
    return SKV_OK;
}

static skv_code enter_all(replaying *replay, skv_error *err)
{
    skv_code code = SKV_OK;
    while (code == SKV_OK && replay->count)
        code = enter_first(replay, err);
    return code;
}

static skv_code enter(replaying *replay, skv_position position, const skv_record *record, skv_error *err)
{
    waiting *last = in_line(replay, replay->count++);
    *last = (waiting){position, *record, skv_key_of(record->key), NULL};
    skv_ring_prefetch(replay->parts->ring, last->key.hash);
    if (replay->count > AHEAD)
        find_lane(replay, in_line(replay, replay->count - 1 - AHEAD));
    return replay->count < LINE ? SKV_OK : enter_first(replay, err);
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

skv_code skv_replay(skv_parts *parts, uint64_t *replayed, skv_error *err)
{
    replaying replay = {.parts = parts};
    skv_log_found_tail tail;
    const skv_log_visitor visitor = {prepare_lanes, index_record, &replay};
    skv_code code = skv_log_scan(parts->log, newest_applied(parts), &visitor, &tail, err);
    if (code == SKV_OK)
        code = refuse_older_shards(parts, tail.applied_sum, err);
    if (code == SKV_OK && !tail.closed)
        code = secure_shards(parts, err);
    if (code == SKV_OK)
        code = skv_log_visit_records(parts->log, tail.visited_seqno + 1, tail.proven_seqno, index_record, &replay, err);
    if (code == SKV_OK)
        code = enter_all(&replay, err);
    if (code == SKV_OK)
        code = skv_log_start(parts->log, tail.proven_seqno + 1, tail.tail_bytes, err);
    if (code == SKV_OK)
        code = write_tail_again(&replay, &tail, err);
    if (code == SKV_OK)
        code = skv_log_sync_start(parts->log, err); /* empty or not: its header must be there before an append */
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
