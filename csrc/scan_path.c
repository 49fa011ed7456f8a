/* L3 path. Scans. */
#include "scan_path.h"

#include "memory.h"
#include "msgpack.h"

typedef struct {
    skv_record record; /* where the source stands; its bytes stay for as long as the snapshot lives */
    uint64_t prefix;
    bool ended;
    uint32_t lane;
    skv_run *run; /* owned reference; NULL: the shard */
    uint32_t at, first, last; /* in the run: current, and the bounds [first, last) */
    skv_shard_cursor *cursor; /* owned */
    skv_shard_sum passed;     /* by the cursor */
} source;

struct skv_scan {
    skv_snapshot *snapshot; /* kept */
    skv_scan *next, *previous; /* of the snapshot's; under its lock */
    bool attached;
    int flags;
    bool proving; /* from end to end of a range: every shard's digest of it can be proved */
    skv_shard_range range;
    skv_slice start, stop; /* copies, in bounds */
    source *sources;
    uint32_t count, capacity;
    uint64_t expires_ms; /* of the rows so far, the first to expire; 0: none */
    uint32_t *losers; /* losers[0] is the winner */
    const char *file; /* where the row in hand came from */
    uint8_t bounds[];
};

/* -- sources -------------------------------------------------------------------------------------------------------- */

static skv_lane *lane_of(const skv_scan *scan, const source *from)
{
    return &scan->snapshot->parts->lanes[from->lane];
}

static const skv_slots *slots_of(const skv_scan *scan)
{
    return skv_log_slots(scan->snapshot->parts->log);
}

static bool reversed(const skv_scan *scan)
{
    return (scan->flags & SKV_SCAN_REVERSE) != 0;
}

static void note_prefix(source *from)
{
    from->prefix = skv_order_prefix(from->record.key.data, from->record.key.bytes);
}

static void stand_in_run(const skv_scan *scan, source *from)
{
    from->ended = from->at < from->first || from->at >= from->last;
    if (from->ended)
        return;
    skv_slots_read(slots_of(scan), from->run->positions[from->at], &from->record);
    note_prefix(from);
}

static bool beyond(const skv_scan *scan, skv_slice key)
{
    if (reversed(scan))
        return scan->start.data && skv_key_compare(key, scan->start) < 0;
    return scan->stop.data && skv_key_compare(key, scan->stop) >= 0;
}

/* Take the outcome of a cursor's move. */
static skv_code stand_in_shard(const skv_scan *scan, source *from, skv_code moved, skv_error *err)
{
    from->ended = moved == SKV_NOT_FOUND || (moved == SKV_OK && beyond(scan, from->record.key));
    if (from->ended && scan->proving)
        return skv_shard_prove(lane_of(scan, from)->shard, scan->snapshot->views[from->lane].txn, scan->range,
                               from->passed, err);
    if (moved != SKV_OK)
        return moved == SKV_NOT_FOUND ? SKV_OK : moved;
    if (scan->proving) {
        from->passed.digest += skv_record_digest(&from->record);
        from->passed.count++;
    }
    note_prefix(from);
    return SKV_OK;
}

static skv_code advance(const skv_scan *scan, source *from, skv_error *err)
{
    skv_shard *shard = lane_of(scan, from)->shard;
    if (from->run) {
        from->at += reversed(scan) ? UINT32_MAX : 1; /* before the first wraps around, beyond the last */
        stand_in_run(scan, from);
        return SKV_OK;
    }
    return stand_in_shard(scan, from,
                          reversed(scan) ? skv_shard_previous(shard, from->cursor, &from->record, err)
                                         : skv_shard_next(shard, from->cursor, &from->record, err),
                          err);
}

static source *add_source(skv_scan *scan, uint32_t lane)
{
    if (scan->count == scan->capacity) {
        uint32_t capacity = scan->capacity ? 2 * scan->capacity : 32;
        source *larger = skv_resize(scan->sources, capacity * sizeof larger[0]);
        if (!larger)
            return NULL;
        scan->sources = larger;
        scan->capacity = capacity;
    }
    scan->sources[scan->count] = (source){.lane = lane};
    return &scan->sources[scan->count++];
}

static skv_code add_run(skv_scan *scan, uint32_t lane, skv_run *run, skv_error *err)
{
    source *from = add_source(scan, lane);
    if (!from) {
        skv_run_release(run);
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    }
    from->run = run;
    from->first = scan->start.data ? skv_run_seek(run, slots_of(scan), scan->start) : 0;
    from->last = scan->stop.data ? skv_run_seek(run, slots_of(scan), scan->stop) : run->count;
    from->at = reversed(scan) ? from->last - 1 : from->first;
    stand_in_run(scan, from);
    if (from->ended) { /* nothing in range: one player less in every match */
        skv_run_release(run);
        scan->count--;
    }
    return SKV_OK;
}

static skv_code add_shard(skv_scan *scan, uint32_t lane, skv_error *err)
{
    source *from = add_source(scan, lane);
    skv_shard *shard = scan->snapshot->parts->lanes[lane].shard;
    skv_code code;
    if (!from)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    from->ended = true;
    code = skv_shard_cursor_open(shard, scan->snapshot->views[lane].txn, &from->cursor, err);
    if (code != SKV_OK)
        return code;
    return stand_in_shard(scan, from,
                          reversed(scan) ? skv_shard_seek_before(shard, from->cursor, scan->stop, &from->record, err)
                                         : skv_shard_seek(shard, from->cursor, scan->start, &from->record, err),
                          err);
}

static skv_code add_lane(skv_scan *scan, uint32_t number, skv_error *err)
{
    skv_lane *lane = &scan->snapshot->parts->lanes[number];
    skv_code code = add_shard(scan, number, err);
    for (int i = 0; i < 2 && code == SKV_OK; i++) {
        skv_index *generation = scan->snapshot->views[number].generations[i];
        skv_run *runs[SKV_INDEX_RUNS_MAX];
        uint32_t count = 0;
        if (generation)
            code = skv_lane_order(lane, generation, slots_of(scan), runs, &count, err);
        for (uint32_t run = 0; run < count; run++) {
            if (code == SKV_OK)
                code = add_run(scan, number, runs[run], err);
            else
                skv_run_release(runs[run]);
        }
    }
    return code;
}

/* -- loser tree ----------------------------------------------------------------------------------------------------- */

static int order_of(const source *a, const source *b)
{
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix ? -1 : 1;
    return skv_key_compare(a->record.key, b->record.key);
}

/* Does a come before b in this scan's direction? */
static bool beats(const skv_scan *scan, uint32_t a, uint32_t b)
{
    const source *left = &scan->sources[a], *right = &scan->sources[b];
    if (left->ended || right->ended)
        return !left->ended;
    return reversed(scan) ? order_of(left, right) > 0 : order_of(left, right) < 0;
}

/* Play the matches from a leaf to the root. UINT32_MAX in a match: nobody has played there yet. */
static void replay_matches(skv_scan *scan, uint32_t player)
{
    for (uint32_t match = (player + scan->count) / 2; match > 0; match /= 2) {
        uint32_t other = scan->losers[match];
        if (other == UINT32_MAX) {
            scan->losers[match] = player;
            return;
        }
        if (beats(scan, other, player)) {
            scan->losers[match] = player;
            player = other;
        }
    }
    scan->losers[0] = player;
}

static skv_code plant_tree(skv_scan *scan, skv_error *err)
{
    scan->losers = skv_alloc(scan->count * sizeof scan->losers[0]);
    if (!scan->losers)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    for (uint32_t i = 0; i < scan->count; i++)
        scan->losers[i] = UINT32_MAX;
    for (uint32_t i = 0; i < scan->count; i++)
        replay_matches(scan, i);
    return SKV_OK;
}

/* -- rows ----------------------------------------------------------------------------------------------------------- */

/* The newest version of the next key that the snapshot may see; false at the end. Steps over all its versions. */
static skv_code next_key(skv_scan *scan, skv_record *out, bool *found, skv_error *err)
{
    source *top = &scan->sources[scan->losers[0]];
    skv_slice key = top->record.key;
    bool visible = false;
    *found = !top->ended;
    while (!top->ended && skv_key_compare(top->record.key, key) == 0) {
        skv_code code;
        if (top->record.seqno <= scan->snapshot->seqno && (!visible || top->record.seqno > out->seqno)) {
            *out = top->record;
            scan->file = top->run ? "log" : skv_shard_name(lane_of(scan, top)->shard);
            visible = true;
        }
        code = advance(scan, top, err);
        if (code != SKV_OK)
            return code;
        replay_matches(scan, scan->losers[0]);
        top = &scan->sources[scan->losers[0]];
    }
    if (*found && !visible)
        out->flags = SKV_RECORD_DELETE; /* every version came after the snapshot */
    return SKV_OK;
}

static uint8_t *pack_bin(uint8_t *at, skv_slice bytes)
{
    at += skv_pack_bin_head(at, bytes.bytes);
    if (bytes.bytes)
        memcpy(at, bytes.data, bytes.bytes);
    return at + bytes.bytes;
}

static skv_code verify(const skv_scan *scan, const skv_record *record, skv_error *err)
{
    if (skv_record_verify(record))
        return SKV_OK;
    return skv_fail_at(err, SKV_CORRUPT, scan->file, 0, record->seqno, "the record with seqno %llu fails its checksum",
                       (unsigned long long)record->seqno);
}

static skv_code emit(skv_scan *scan, const skv_record *record, skv_io *io)
{
    uint8_t *at;
    skv_code code = skv_io_room(io, 1 + 2 * SKV_MP_HEAD_MAX + record->key.bytes + record->value.bytes);
    if (code != SKV_OK)
        return code;
    at = io->data + io->bytes;
    at = pack_bin(at, record->key);
    if (!(scan->flags & SKV_SCAN_KEYS_ONLY))
        at = pack_bin(at, record->value);
    io->bytes = (uint64_t)(at - io->data);
    if (record->expires_ms && (!scan->expires_ms || record->expires_ms < scan->expires_ms))
        scan->expires_ms = record->expires_ms;
    return SKV_OK;
}

int64_t skv_scan_rows(skv_scan *scan, uint32_t rows_max, uint32_t bytes_max, skv_io *io)
{
    uint32_t rows = 0;
    bool found = true;
    skv_code code = skv_io_room(io, SKV_MP_HEAD_MAX);
    io->bytes = 5;
    while (code == SKV_OK && found && rows < rows_max && io->bytes < bytes_max) {
        skv_record record;
        code = next_key(scan, &record, &found, &io->error);
        if (code != SKV_OK || !found || skv_record_deletes(&record))
            continue;
        code = verify(scan, &record, &io->error); /* before its expiry is believed */
        if (code == SKV_OK && !skv_snapshot_gone(scan->snapshot, &record)) {
            code = emit(scan, &record, io);
            rows++;
        }
    }
    if (code != SKV_OK)
        return code;
    (void)skv_pack_array5(io->data, scan->flags & SKV_SCAN_KEYS_ONLY ? rows : 2 * rows);
    return rows;
}

/* -- life cycle ----------------------------------------------------------------------------------------------------- */

static skv_slice keep_bound(uint8_t *room, skv_slice bound)
{
    if (!bound.data)
        return bound;
    memcpy(room, bound.data, bound.bytes);
    return (skv_slice){room, bound.bytes};
}

static void attach(skv_scan *scan)
{
    scan->next = scan->snapshot->scans;
    if (scan->next)
        scan->next->previous = scan;
    scan->snapshot->scans = scan;
    scan->snapshot->detach = skv_scan_detach;
    scan->attached = true;
}

void skv_scan_detach(skv_scan *scan)
{
    if (!scan->attached)
        return;
    for (uint32_t i = 0; i < scan->count; i++) {
        skv_shard_cursor_close(lane_of(scan, &scan->sources[i])->shard, scan->sources[i].cursor);
        scan->sources[i].cursor = NULL;
    }
    if (scan->next)
        scan->next->previous = scan->previous;
    if (scan->previous)
        scan->previous->next = scan->next;
    else
        scan->snapshot->scans = scan->next;
    scan->attached = false;
}

skv_code skv_scan_begin(skv_snapshot *snapshot, skv_slice start, skv_slice stop, int flags, skv_scan **out,
                        skv_error *err)
{
    skv_code code = SKV_OK;
    skv_scan *scan = skv_alloc(sizeof *scan + start.bytes + stop.bytes + 1);
    *out = NULL;
    if (!scan)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    scan->snapshot = snapshot;
    attach(scan);
    scan->flags = flags;
    scan->range = stop.data ? SKV_SHARD_PUBLIC : SKV_SHARD_ALL;
    scan->proving = !start.data && (!stop.data || skv_key_compare(stop, skv_first_reserved()) == 0);
    scan->start = keep_bound(scan->bounds, start);
    scan->stop = keep_bound(scan->bounds + start.bytes, stop);
    for (uint32_t i = 0; i < snapshot->parts->lane_count && code == SKV_OK; i++)
        code = add_lane(scan, i, err);
    if (code == SKV_OK)
        code = plant_tree(scan, err);
    if (code != SKV_OK) {
        skv_scan_end(scan);
        return code;
    }
    *out = scan;
    return SKV_OK;
}

uint64_t skv_scan_expires(const skv_scan *scan)
{
    return scan->expires_ms;
}

skv_snapshot *skv_scan_snapshot(const skv_scan *scan)
{
    return scan->snapshot;
}

void skv_scan_end(skv_scan *scan)
{
    skv_scan_detach(scan);
    for (uint32_t i = 0; i < scan->count; i++)
        skv_run_release(scan->sources[i].run);
    skv_release(scan->losers);
    skv_release(scan->sources);
    skv_release(scan);
}
