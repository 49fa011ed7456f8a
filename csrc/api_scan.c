/* L4 house. The contract's snapshots and scans. */
#include "io.h"
#include "keep_path.h"
#include "scan_path.h"
#include "store.h"
#include "write_path.h"

static skv_code closed(skv_error *err)
{
    return skv_fail(err, SKV_CLOSED, "the snapshot is closed");
}

/* -- snapshots ------------------------------------------------------------------------------------------------------ */

static skv_code open_snapshot(skv_store *store, skv_snapshot **out, skv_io *io)
{
    skv_code code = skv_snapshot_take(&store->parts, out, &io->error);
    if (code == SKV_OK)
        (*out)->owner = store;
    return code;
}

static void end_snapshot(skv_store *store, skv_snapshot *snapshot)
{
    if (skv_snapshot_end(snapshot) && !store->readonly) /* who only looks leaves the log as it is */
        skv_keep_retire_rest(&store->parts);
}

skv_code skv_snapshot_open(skv_store *store, skv_snapshot **out, skv_io *io)
{
    skv_code code = skv_store_enter(store, &io->error);
    *out = NULL;
    if (code != SKV_OK)
        return code;
    code = open_snapshot(store, out, io);
    if (code == SKV_OK)
        code = skv_answer_wait(&store->parts, io->seqno = (*out)->wait_seqno, io);
    if (code != SKV_OK && code != SKV_AGAIN && *out) {
        end_snapshot(store, *out);
        skv_snapshot_release(*out);
        *out = NULL;
    }
    skv_store_leave(store);
    return code;
}

uint64_t skv_snapshot_seqno(const skv_snapshot *snapshot)
{
    return snapshot->seqno;
}

void skv_snapshot_close(skv_snapshot *snapshot)
{
    skv_store *store = snapshot->owner;
    skv_error ignored;
    if (skv_store_enter(store, &ignored) != SKV_OK)
        return; /* closing the store ends all of its snapshots; in a forked child they are the parent's */
    end_snapshot(store, snapshot);
    skv_store_leave(store);
}

void skv_snapshot_free(skv_snapshot *snapshot)
{
    if (!snapshot)
        return;
    if (atomic_load(&((skv_store *)snapshot->owner)->forked))
        return; /* the parent's memory: its locks may be held by threads that do not exist here */
    skv_snapshot_close(snapshot);
    skv_snapshot_release(snapshot);
}

/* -- scans ---------------------------------------------------------------------------------------------------------- */

static skv_code check_bound(size_t bytes, skv_error *err)
{
    if (bytes <= SKV_KEY_BYTES_MAX)
        return SKV_OK;
    return skv_fail(err, SKV_KEY_TOO_LONG, "a bound of the scan has %zu bytes; at most %d", bytes, SKV_KEY_BYTES_MAX);
}

static skv_code begin_scan(skv_snapshot *snapshot, skv_slice start, skv_slice stop, int flags, skv_scan **out,
                           skv_error *err)
{
    skv_code code;
    skv_lock(&snapshot->lock);
    code = snapshot->dead ? closed(err) : skv_scan_begin(snapshot, start, stop, flags, out, err);
    skv_unlock(&snapshot->lock);
    return code;
}

/* A scan of no snapshot takes one of its own; it is freed with the scan. */
static skv_code scan_now(skv_store *store, skv_slice start, skv_slice stop, int flags, skv_scan **out, skv_io *io)
{
    skv_snapshot *own;
    skv_code code = open_snapshot(store, &own, io);
    if (code != SKV_OK)
        return code;
    own->owned_by_scan = true;
    io->seqno = own->wait_seqno;
    code = begin_scan(own, start, stop, flags, out, &io->error);
    if (code == SKV_OK)
        return SKV_OK;
    end_snapshot(store, own);
    skv_snapshot_release(own);
    return code;
}

/* Where a scan of this workspace ends: before the reserved keys, unless it may see them. */
static skv_slice public_stop(skv_slice stop, const skv_io *io)
{
    skv_slice end = skv_first_reserved();
    if (io->flags & SKV_IO_RESERVED || (stop.data && skv_key_compare(stop, end) < 0))
        return stop;
    return end;
}

/* NULL: io->error says why. io->seqno: what the whole cut rests on; 0: that is durable. */
static skv_scan *open_scan(skv_store *store, const skv_scan_terms *terms, skv_io *io)
{
    skv_slice from = skv_slice_at(terms->start, terms->start_bytes);
    skv_slice to = public_stop(skv_slice_at(terms->stop, terms->stop_bytes), io);
    skv_scan *scan = NULL;
    skv_code code = check_bound(terms->start_bytes, &io->error);
    io->seqno = 0;
    if (code == SKV_OK)
        code = check_bound(terms->stop_bytes, &io->error);
    if (code == SKV_OK)
        code = terms->snapshot ? begin_scan(terms->snapshot, from, to, terms->flags, &scan, &io->error)
                               : scan_now(store, from, to, terms->flags, &scan, io);
    if (io->seqno <= skv_log_durable(store->parts.log))
        io->seqno = 0;
    return code == SKV_OK ? scan : NULL;
}

skv_scan *skv_scan_open(skv_store *store, skv_snapshot *snapshot, const char *start, size_t start_bytes,
                        const char *stop, size_t stop_bytes, int flags, skv_io *io)
{
    const skv_scan_terms terms = {snapshot, start, stop, start_bytes, stop_bytes, flags, 0, 0};
    skv_scan *scan;
    if (skv_store_enter(store, &io->error) != SKV_OK)
        return NULL;
    scan = open_scan(store, &terms, io);
    skv_store_leave(store);
    return scan;
}

static int64_t next_rows(skv_scan *scan, uint32_t rows_max, uint32_t bytes_max, skv_io *io)
{
    skv_snapshot *snapshot = skv_scan_snapshot(scan);
    int64_t rows;
    io->bytes = 0;
    skv_lock(&snapshot->lock);
    rows = snapshot->dead ? closed(&io->error) : skv_scan_rows(scan, rows_max, bytes_max, io);
    skv_unlock(&snapshot->lock);
    return rows;
}

static void end_scan(skv_store *store, skv_scan *scan)
{
    skv_snapshot *snapshot = skv_scan_snapshot(scan);
    bool owned = snapshot->owned_by_scan;
    skv_lock(&snapshot->lock);
    skv_scan_end(scan);
    skv_unlock(&snapshot->lock);
    if (owned) {
        end_snapshot(store, snapshot);
        skv_snapshot_release(snapshot);
    }
}

/* After the first rows: let go of a scan that has given all that it was asked for; its answer rests on the records that it
 * met, and on nothing else in its cut. */
static skv_scan *keep_rest(skv_store *store, const skv_scan_terms *terms, skv_scan *scan, int64_t rows, skv_io *io)
{
    if (rows >= 0 && !skv_scan_ended(scan) && !(terms->flags & SKV_SCAN_ONLY && rows == (int64_t)terms->rows_max))
        return scan;
    io->seqno = io->seqno ? skv_scan_rests_on(scan) : 0;
    end_scan(store, scan);
    return NULL;
}

int64_t skv_scan_first(skv_store *store, const skv_scan_terms *terms, skv_scan **rest, skv_io *io)
{
    skv_scan *scan;
    int64_t rows = 0;
    skv_code code = skv_store_enter(store, &io->error);
    *rest = NULL;
    if (code != SKV_OK)
        return code;
    scan = open_scan(store, terms, io);
    if (!scan) {
        skv_store_leave(store);
        return io->error.code;
    }
    rows = next_rows(scan, terms->rows_max, terms->bytes_max, io);
    scan = keep_rest(store, terms, scan, rows, io);
    if (rows >= 0)
        code = skv_answer_wait(&store->parts, io->seqno, io);
    if (code != SKV_OK && code != SKV_AGAIN) {
        if (scan)
            end_scan(store, scan);
        scan = NULL;
        rows = code;
    }
    if (io->seqno <= skv_log_durable(store->parts.log))
        io->seqno = 0;
    *rest = scan;
    skv_store_leave(store);
    return rows;
}

int64_t skv_scan_next(skv_scan *scan, uint32_t rows_max, uint32_t bytes_max, skv_io *io)
{
    skv_store *store = skv_scan_snapshot(scan)->owner;
    int64_t rows;
    skv_code code = skv_store_enter(store, &io->error);
    if (code != SKV_OK)
        return code;
    rows = next_rows(scan, rows_max, bytes_max, io);
    skv_store_leave(store);
    return rows;
}

void skv_scan_free(skv_scan *scan)
{
    skv_snapshot *snapshot;
    skv_store *store;
    skv_error ignored;
    bool entered;
    if (!scan)
        return;
    snapshot = skv_scan_snapshot(scan);
    store = snapshot->owner;
    if (atomic_load(&store->forked))
        return; /* the parent's memory: its locks may be held by threads that do not exist here */
    entered = skv_store_enter(store, &ignored) == SKV_OK;
    skv_lock(&snapshot->lock);
    skv_scan_end(scan);
    skv_unlock(&snapshot->lock);
    if (entered)
        skv_store_leave(store);
    if (snapshot->owned_by_scan)
        skv_snapshot_free(snapshot);
}

