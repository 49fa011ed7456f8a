/* L4 house. A backup that grows: its shards stay as they are, its log goes on with the original's. So every state since the
 * first copy stays within reach, and an end at any moment leaves a backup, as of some frame's end. FORMAT.md 2. */
#include "copying.h"
#include "keep_path.h"

/* A new segment is small, as an increment may be, but a fair part of the log: so there are never too many. */
#define SEGMENT_BYTES_LEAST ((uint64_t)64 << 10)
#define SEGMENTS 64

/* Is what lies there a backup of this store, and has nobody written to it since? */
static skv_code know_base(skv_copy *copy, const skv_manifest *from, skv_error *err)
{
    skv_code code = skv_origin_read(copy->base->dir, SKV_ORIGIN_NAME, &copy->origin, err);
    if (code != SKV_OK && code != SKV_NOT_FOUND)
        return code;
    if (code == SKV_NOT_FOUND || !skv_origin_is(&copy->origin, from) ||
        memcmp(copy->origin.store_id, copy->base->manifest.store_id, SKV_STORE_ID_BYTES) != 0)
        return skv_fail(err, SKV_INVALID, "%s holds a store already, which is a copy of another one; a backup needs a directory of its own",
                        copy->path);
    return SKV_OK;
}

static skv_code fail_gone(const skv_copy *copy, uint64_t last, skv_error *err)
{
    uint64_t oldest = skv_log_oldest(copy->log);
    if (oldest <= copy->origin.proof_seqno + 1)
        return skv_fail_at(err, SKV_LOG_GONE, "", 0, last,
                           "the backup %s ends at seqno %llu, but its log does not hold the records behind seqno %llu, by which "
                           "it could be known: make a backup of all in another directory",
                           copy->path, (unsigned long long)last, (unsigned long long)copy->origin.proof_seqno);
    return skv_fail_at(err, SKV_LOG_GONE, "", 0, last,
                       "the backup %s ends at seqno %llu, but the log of the store begins at %llu: make a backup of all in "
                       "another directory; retain_log_bytes says how far the log reaches back",
                       copy->path, (unsigned long long)last, (unsigned long long)oldest);
}

/* Hold the log from the first record on that the proof does not cover. */
static bool reaches_back(skv_copy *copy, skv_error *err)
{
    uint64_t first;
    if (copy->store)
        copy->pinned = skv_keep_pin(&copy->store->parts, &copy->pin, &first, err) == SKV_OK;
    return (copy->pinned || !copy->store) && skv_copying_reaches_back(copy, copy->origin.proof_seqno + 1);
}

/* What the backup's own log shows. */
typedef struct {
    uint64_t last;   /* newest record */
    uint64_t digest; /* of those behind the proof's */
    skv_code code;   /* NOT_FOUND: not all of them are there */
} base_end;

/* All up to the proof's record, and each one behind it. */
static skv_code is_same(const skv_copy *copy, const base_end *theirs, bool *same, skv_error *err)
{
    uint64_t seqno = copy->origin.proof_seqno, ours;
    skv_code code = skv_copy_end(copy->log, seqno, &ours, err);
    *same = code == SKV_OK && ours == copy->origin.proof;
    if (!*same)
        return code;
    code = skv_copy_digest(copy->log, seqno + 1, theirs->last, &ours, err);
    *same = code == SKV_OK && ours == theirs->digest;
    return code == SKV_OK ? theirs->code : code;
}

/* What the backup has must be the original's, too: one that was put back to an older state, and went on from there, has the
 * same id and other records. */
static skv_code prove_same(skv_copy *copy, const base_end *theirs, skv_error *err)
{
    uint64_t last = theirs->last;
    bool same = true;
    skv_code code;
    if (last > copy->stream.upto)
        return skv_fail(err, SKV_INVALID,
                        "the backup %s has seqno %llu, and the store ends at %llu: it was put back to an older state; "
                        "a backup of it needs another directory",
                        copy->path, (unsigned long long)last, (unsigned long long)copy->stream.upto);
    if (!reaches_back(copy, err))
        return copy->store && !copy->pinned ? SKV_FULL : fail_gone(copy, last, err);
    code = is_same(copy, theirs, &same, err);
    if (code == SKV_NOT_FOUND)
        return fail_gone(copy, last, err);
    if (code == SKV_OK && !same)
        return skv_fail_at(err, SKV_INVALID, "", 0, last,
                           "the records up to seqno %llu are others in the backup %s: the store was put back to an older "
                           "state; a backup of it needs another directory",
                           (unsigned long long)last, copy->path);
    return code;
}

/* All that the original is needed for until the copying begins. */
static skv_code ask_original(skv_copy *copy, const base_end *theirs, uint64_t *clock_ms, skv_error *err)
{
    skv_code code = skv_copying_enter(copy, err);
    if (code != SKV_OK)
        return code;
    *clock_ms = skv_clock_now(copy->store ? &copy->store->parts.clock : &copy->still->clock);
    copy->stream.upto = copy->store ? skv_log_durable(copy->log) : copy->still->tail.last_seqno;
    code = prove_same(copy, theirs, err);
    if (code == SKV_OK)
        code = skv_copying_prove(copy, err);
    skv_copying_leave(copy);
    return code;
}

static skv_log_sizes choose_sizes(const skv_copy *copy)
{
    uint64_t bytes, segments, most = copy->sizes.segment_bytes_max;
    skv_log_extent(copy->base->log, &bytes, &segments);
    bytes = bytes / SEGMENTS / SEGMENT_BYTES_LEAST * SEGMENT_BYTES_LEAST;
    bytes = bytes > SEGMENT_BYTES_LEAST ? bytes : SEGMENT_BYTES_LEAST;
    return (skv_log_sizes){bytes < most ? bytes : most, most};
}

/* Behind what is there: whatever ends it, what is there stays. */
static skv_code begin_log(skv_copy *copy, uint64_t clock_ms, uint64_t newest, skv_error *err)
{
    skv_still *base = copy->base;
    skv_log_copy_terms terms = {.dir = base->dir,
                                .sizes = choose_sizes(copy),
                                .first_seqno = copy->first_seqno,
                                .clock_ms = clock_ms};
    skv_code code;
    memcpy(terms.store_id, base->manifest.store_id, SKV_STORE_ID_BYTES);
    skv_log_free(base->log);
    base->log = NULL;
    code = skv_log_copy_reopen(&terms, newest, &copy->stream.log, err);
    return code == SKV_OK ? skv_log_cursor_create(copy->log, copy->first_seqno, &copy->stream.cursor, err) : code;
}

/* What the end of the first copy left undone when it was cut short. */
static skv_code mend_home(const skv_still *base, skv_error *err)
{
    skv_manifest manifest;
    skv_code code = skv_manifest_load(base->dir, &manifest, err);
    if (code != SKV_OK || !skv_os_exists(base->dir, SKV_COPY_NAME))
        return code;
    code = skv_manifest_save(base->dir, &manifest, err); /* a killed process may have left it in the page cache */
    if (code == SKV_OK)
        code = skv_os_remove(base->dir, SKV_COPY_NAME, err);
    return code == SKV_OK ? skv_os_sync_dir(base->dir, ".", err) : code;
}

static skv_code look_at_base(skv_copy *copy, const skv_manifest *from, base_end *out, uint64_t *newest, skv_error *err)
{
    skv_still_shards shards;
    skv_code code = skv_still_open_to_extend(copy->to.lmdb, copy->path, &copy->base, err);
    if (code == SKV_OK)
        code = know_base(copy, from, err);
    if (code == SKV_OK)
        code = skv_still_read_log(copy->base, err);
    if (code == SKV_OK)
        code = skv_still_measure(copy->base, &shards, err);
    if (code == SKV_OK)
        code = skv_still_fit(copy->base, &shards, err);
    if (code != SKV_OK)
        return code;
    *newest = shards.newest_seqno;
    out->last = copy->base->tail.last_seqno;
    out->code = skv_copy_digest(copy->base->log, copy->origin.proof_seqno + 1, out->last, &out->digest, err);
    return out->code == SKV_NOT_FOUND ? SKV_OK : out->code;
}

skv_code skv_increment_begin(skv_copy *copy, const skv_manifest *from, skv_error *err)
{
    uint64_t newest = 0, clock_ms = 0;
    base_end theirs = {0};
    skv_code code = look_at_base(copy, from, &theirs, &newest, err);
    uint64_t proven = copy->origin.proof_seqno;
    copy->first_seqno = theirs.last + 1;
    if (code == SKV_OK)
        code = ask_original(copy, &theirs, &clock_ms, err);
    if (code == SKV_OK)
        code = mend_home(copy->base, err);
    if (code != SKV_OK)
        return code;
    copy->finished = theirs.last == copy->stream.upto && copy->base->tail.closed; /* else it may be in the page cache only */
    if (!copy->finished)
        return begin_log(copy, clock_ms, newest, err);
    return copy->origin.proof_seqno > proven ? skv_origin_replace(copy->base->dir, SKV_ORIGIN_NAME, &copy->origin, err) : SKV_OK;
}
