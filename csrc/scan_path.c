/* L3 path. Scans. */
#include "scan_path.h"

#include "memory.h"
#include "msgpack.h"

struct skv_scan {
    skv_scan_range range;
    skv_scan *next, *previous; /* of the snapshot's; under its lock */
    bool attached;
    bool keys_only;
    bool crossed; /* deletes, not told yet */
    skv_scan_source *sources;
    uint32_t count, capacity;
    uint64_t expires_ms; /* of the rows so far, the first to expire; 0: none */
    uint64_t rests_on;   /* see skv_scan_rests_on */
    uint32_t *losers;    /* losers[0] is the winner */
    const char *file;    /* where the row in hand came from */
    uint8_t bounds[];
};

/* -- sources -------------------------------------------------------------------------------------------------------- */

/* Room for one more; `count` does not count it yet. */
static skv_scan_source *next_source(skv_scan *scan, skv_error *err)
{
    if (scan->count == scan->capacity) {
        uint32_t capacity = scan->capacity ? 2 * scan->capacity : scan->range.snapshot->parts->lane_count;
        skv_scan_source *larger = skv_resize(scan->sources, capacity * sizeof larger[0]);
        if (!larger) {
            (void)skv_fail(err, SKV_NO_MEMORY, "out of memory");
            return NULL;
        }
        scan->sources = larger;
        scan->capacity = capacity;
    }
    return &scan->sources[scan->count];
}

static skv_code add_shard(skv_scan *scan, uint32_t lane, skv_error *err)
{
    skv_scan_source *source = next_source(scan, err);
    if (!source)
        return SKV_NO_MEMORY;
    scan->count++;
    return skv_source_open_shard(&scan->range, lane, source, err);
}

static skv_code add_run(skv_scan *scan, uint32_t lane, skv_index *generation, skv_run *run, skv_error *err)
{
    skv_scan_source *source = next_source(scan, err);
    if (!source) {
        skv_run_release(run);
        return SKV_NO_MEMORY;
    }
    skv_source_open_run(&scan->range, lane, run, source);
    source->generation = generation;
    if (source->ended) /* nothing in range: one player less in every match */
        skv_source_close(source);
    else
        scan->count++;
    return SKV_OK;
}

static skv_code add_lane(skv_scan *scan, uint32_t number, skv_error *err)
{
    const skv_snapshot *snapshot = scan->range.snapshot;
    skv_code code = add_shard(scan, number, err);
    for (int i = 0; i < 2 && code == SKV_OK; i++) {
        skv_index *generation = snapshot->views[number].generations[i];
        skv_run *runs[SKV_INDEX_RUNS_MAX];
        uint32_t count = 0;
        if (generation)
            code = skv_lane_order(&snapshot->parts->lanes[number], generation, skv_log_slots(snapshot->parts->log), runs,
                                  &count, err);
        for (uint32_t run = 0; run < count; run++) {
            if (code == SKV_OK)
                code = add_run(scan, number, generation, runs[run], err);
            else
                skv_run_release(runs[run]);
        }
    }
    return code;
}

/* -- loser tree ----------------------------------------------------------------------------------------------------- */

static int order_of(const skv_scan_source *a, const skv_scan_source *b)
{
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix ? -1 : 1;
    return skv_key_compare(a->record.key, b->record.key);
}

/* Does a come before b in this scan's direction? */
static bool beats(const skv_scan *scan, uint32_t a, uint32_t b)
{
    const skv_scan_source *left = &scan->sources[a], *right = &scan->sources[b];
    if (left->ended || right->ended)
        return !left->ended;
    return scan->range.reversed ? order_of(left, right) > 0 : order_of(left, right) < 0;
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

/* What the snapshot sees of a key, and where that is. */
static void note_choice(skv_scan *scan, skv_scan_source *from, const skv_record *met)
{
    uint64_t seqno = skv_log_must_wait(scan->range.snapshot->parts->log, met);
    if (seqno > scan->rests_on)
        scan->rests_on = seqno;
    scan->file = skv_source_file(&scan->range, from);
    if (from->run && skv_record_deletes(met)) {
        from->deletes++;
        scan->crossed = true;
    }
}

/* Deletes that readers step over again and again are flushed once that costs less: the flush loop looks. */
static void tell_deletes(skv_scan *scan)
{
    skv_parts *parts = scan->range.snapshot->parts;
    for (uint32_t i = 0; i < scan->count && scan->crossed; i++) {
        skv_scan_source *source = &scan->sources[i];
        uint32_t ever = source->deletes ? skv_index_meet(source->generation, source->deletes) : 0;
        if (ever / SKV_LANE_DELETES_MET != (ever - source->deletes) / SKV_LANE_DELETES_MET)
            skv_event_notify(&parts->pressure.wanted);
        source->deletes = 0;
    }
    scan->crossed = false;
}

/* The newest version of the next key that the snapshot may see; false at the end. Steps over all its versions. */
static skv_code next_key(skv_scan *scan, skv_record *out, bool *found, skv_error *err)
{
    skv_scan_source *top = &scan->sources[scan->losers[0]], *from = NULL;
    skv_slice key = top->record.key;
    *found = !top->ended;
    while (!top->ended && skv_key_compare(top->record.key, key) == 0) {
        skv_code code;
        if (top->record.seqno <= scan->range.snapshot->seqno && (!from || top->record.seqno > out->seqno)) {
            *out = top->record;
            from = top;
        }
        code = skv_source_advance(&scan->range, top, err);
        if (code != SKV_OK)
            return code;
        replay_matches(scan, scan->losers[0]);
        top = &scan->sources[scan->losers[0]];
    }
    if (from)
        note_choice(scan, from, out);
    else
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
    if (!scan->keys_only)
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
        if (code == SKV_OK && !skv_snapshot_gone(scan->range.snapshot, &record)) {
            code = emit(scan, &record, io);
            rows++;
        }
    }
    tell_deletes(scan);
    if (code != SKV_OK)
        return code;
    (void)skv_pack_array5(io->data, scan->keys_only ? rows : 2 * rows);
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
    scan->next = scan->range.snapshot->scans;
    if (scan->next)
        scan->next->previous = scan;
    scan->range.snapshot->scans = scan;
    scan->range.snapshot->detach = skv_scan_detach;
    scan->attached = true;
}

void skv_scan_detach(skv_scan *scan)
{
    if (!scan->attached)
        return;
    for (uint32_t i = 0; i < scan->count; i++)
        skv_source_detach(&scan->range, &scan->sources[i]);
    if (scan->next)
        scan->next->previous = scan->previous;
    if (scan->previous)
        scan->previous->next = scan->next;
    else
        scan->range.snapshot->scans = scan->next;
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
    scan->range = skv_scan_range_of(snapshot, keep_bound(scan->bounds, start), keep_bound(scan->bounds + start.bytes, stop),
                                    (flags & SKV_SCAN_REVERSE) != 0);
    scan->keys_only = (flags & SKV_SCAN_KEYS_ONLY) != 0;
    attach(scan);
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

bool skv_scan_ended(const skv_scan *scan)
{
    return scan->sources[scan->losers[0]].ended;
}

uint64_t skv_scan_rests_on(const skv_scan *scan)
{
    return scan->rests_on;
}

skv_snapshot *skv_scan_snapshot(const skv_scan *scan)
{
    return scan->range.snapshot;
}

void skv_scan_end(skv_scan *scan)
{
    skv_scan_detach(scan);
    for (uint32_t i = 0; i < scan->count; i++)
        skv_source_close(&scan->sources[i]);
    skv_release(scan->losers);
    skv_release(scan->sources);
    skv_release(scan);
}
