/* L3 path. The sources of a scan. */
#include "scan_source.h"

static skv_shard *shard_of(const skv_scan_range *range, const skv_scan_source *source)
{
    return range->snapshot->parts->lanes[source->lane].shard;
}

static const skv_slots *slots_of(const skv_scan_range *range)
{
    return skv_log_slots(range->snapshot->parts->log);
}

skv_scan_range skv_scan_range_of(skv_snapshot *snapshot, skv_slice start, skv_slice stop, bool reversed)
{
    skv_scan_range range = {.snapshot = snapshot, .start = start, .stop = stop, .reversed = reversed};
    range.end = reversed ? start : stop;
    range.end_prefix = skv_order_prefix(range.end.data, range.end.bytes);
    range.part = stop.data ? SKV_SHARD_PUBLIC : SKV_SHARD_ALL;
    range.proving = !start.data && (!stop.data || skv_key_compare(stop, skv_first_reserved()) == 0);
    return range;
}

/* Note the key's prefix; is the key behind the end of the range? */
static bool beyond(const skv_scan_range *range, skv_scan_source *source)
{
    int order;
    source->prefix = skv_order_prefix(source->record.key.data, source->record.key.bytes);
    if (!range->end.data)
        return false;
    if (source->prefix == range->end_prefix)
        order = skv_key_compare(source->record.key, range->end);
    else
        order = source->prefix < range->end_prefix ? -1 : 1;
    return range->reversed ? order < 0 : order >= 0;
}

static void stand_in_run(const skv_scan_range *range, skv_scan_source *source)
{
    source->ended = source->at >= source->run->count;
    if (source->ended)
        return;
    skv_slots_read(slots_of(range), source->run->positions[source->at], &source->record);
    source->ended = beyond(range, source);
}

/* Take the outcome of a cursor's move. */
static skv_code stand_in_shard(const skv_scan_range *range, skv_scan_source *source, skv_code moved, skv_error *err)
{
    source->ended = moved == SKV_NOT_FOUND || (moved == SKV_OK && beyond(range, source));
    if (source->ended && range->proving)
        return skv_shard_prove(shard_of(range, source), range->snapshot->views[source->lane].txn, range->part,
                               source->passed, err);
    if (moved != SKV_OK)
        return moved == SKV_NOT_FOUND ? SKV_OK : moved;
    if (source->record.seqno > range->snapshot->seqno) /* what a shard shows was in the log before its transaction began */
        return skv_fail_at(err, SKV_CORRUPT, skv_shard_name(shard_of(range, source)), 0, source->record.seqno,
                           "the shard holds a record with seqno %llu, but the log ends at %llu",
                           (unsigned long long)source->record.seqno, (unsigned long long)range->snapshot->seqno);
    if (range->proving) {
        source->passed.digest += skv_record_digest(&source->record);
        source->passed.count++;
    }
    return SKV_OK;
}

skv_code skv_source_open_shard(const skv_scan_range *range, uint32_t lane, skv_scan_source *out, skv_error *err)
{
    skv_shard *shard = range->snapshot->parts->lanes[lane].shard;
    skv_code code;
    *out = (skv_scan_source){.lane = lane, .ended = true};
    code = skv_shard_cursor_open(shard, range->snapshot->views[lane].txn, &out->cursor, err);
    if (code != SKV_OK)
        return code;
    return stand_in_shard(range, out,
                          range->reversed ? skv_shard_seek_before(shard, out->cursor, range->stop, &out->record, err)
                                          : skv_shard_seek(shard, out->cursor, range->start, &out->record, err),
                          err);
}

void skv_source_open_run(const skv_scan_range *range, uint32_t lane, skv_run *run, skv_scan_source *out)
{
    const skv_slots *slots = slots_of(range);
    *out = (skv_scan_source){.lane = lane, .run = run};
    if (range->reversed) /* before the first wraps around, beyond the last */
        out->at = (range->stop.data ? skv_run_seek(run, slots, range->stop) : run->count) - 1;
    else
        out->at = range->start.data ? skv_run_seek(run, slots, range->start) : 0;
    stand_in_run(range, out);
}

skv_code skv_source_advance(const skv_scan_range *range, skv_scan_source *source, skv_error *err)
{
    skv_shard *shard = shard_of(range, source);
    if (source->run) {
        source->at += range->reversed ? UINT32_MAX : 1;
        stand_in_run(range, source);
        return SKV_OK;
    }
    return stand_in_shard(range, source,
                          range->reversed ? skv_shard_previous(shard, source->cursor, &source->record, err)
                                          : skv_shard_next(shard, source->cursor, &source->record, err),
                          err);
}

const char *skv_source_file(const skv_scan_range *range, const skv_scan_source *source)
{
    return source->run ? "log" : skv_shard_name(shard_of(range, source));
}

void skv_source_detach(const skv_scan_range *range, skv_scan_source *source)
{
    skv_shard_cursor_close(shard_of(range, source), range->snapshot->views[source->lane].txn, source->cursor);
    source->cursor = NULL;
}

void skv_source_close(skv_scan_source *source)
{
    skv_run_release(source->run);
}
