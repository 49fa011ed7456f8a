/* L3 path. Replay. */
#include "replay_path.h"

#include "hash.h"

/* A record enters the index this many records after the line that it needs there was asked for: each is a miss. */
#define AHEAD 16

typedef struct {
    skv_position position;
    skv_record record;
    uint64_t hash;
    skv_lane *lane;
} waiting;

typedef struct {
    skv_parts *parts;
    uint64_t replayed;
    waiting line[AHEAD]; /* from first on, count of them */
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

/* The first in line. Nobody else is there yet: no lock is needed. */
static skv_code enter_first(replaying *replay, skv_error *err)
{
    const waiting *first = &replay->line[replay->first];
    if (skv_index_reserve(first->lane->active, first->hash, 0) != SKV_OK)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory: cannot index the log");
    skv_index_insert(first->lane->active, first->hash, first->position, &first->record, 0);
    skv_pressure_add(&replay->parts->pressure, skv_record_bytes(&first->record));
    replay->first = (replay->first + 1) % AHEAD;
    replay->count--;
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
    skv_key key = skv_key_of(record->key);
    skv_lane *lane = skv_parts_lane(replay->parts, key);
    if (record->seqno <= skv_shard_applied(lane->shard))
        return SKV_OK;
    skv_index_prefetch(lane->active, key.hash);
    replay->line[(replay->first + replay->count++) % AHEAD] = (waiting){position, *record, key.hash, lane};
    return replay->count < AHEAD ? SKV_OK : enter_first(replay, err);
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

skv_code skv_replay(skv_parts *parts, uint64_t *replayed, skv_error *err)
{
    replaying replay = {.parts = parts};
    skv_log_found_tail tail;
    skv_code code = skv_log_scan(parts->log, newest_applied(parts), &tail, err);
    if (code == SKV_OK)
        code = refuse_older_shards(parts, tail.applied_sum, err);
    if (code == SKV_OK && !tail.closed)
        code = secure_shards(parts, err);
    if (code == SKV_OK)
        code = skv_log_visit_records(parts->log, 0, tail.proven_seqno, index_record, &replay, err);
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
