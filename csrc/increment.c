/* L4 house. A backup that grows: its shards stay as they are, its log goes on with the original's. So every state since the
 * first copy stays within reach, and an end at any moment leaves a backup, as of some frame's end. FORMAT.md 2. */
#include "copying.h"
#include "keep_path.h"

#define SEGMENT_BYTES_LEAST ((uint64_t)64 << 10) /* an increment may be small, and each has segments of its own */

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

static skv_code newest_applied(const skv_still *base, uint64_t *out, skv_error *err)
{
    skv_code code = SKV_OK;
    *out = 0;
    for (uint32_t i = 0; i < base->manifest.shards && code == SKV_OK; i++) {
        skv_shard *shard;
        code = skv_still_open_shard(base, i, &shard, err);
        if (code != SKV_OK)
            break;
        *out = skv_shard_applied(shard) > *out ? skv_shard_applied(shard) : *out;
        skv_shard_free(shard);
    }
    if (code == SKV_OK && *out > base->tail.last_seqno)
        code = skv_fail_at(err, SKV_CORRUPT, "log", 0, *out, "a shard has applied seqno %llu, but the log ends at %llu",
                           (unsigned long long)*out, (unsigned long long)base->tail.last_seqno);
    return code;
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

/* All up to the proof's record, and each one behind it. */
static skv_code is_same(const skv_copy *copy, uint64_t last, bool *same, skv_error *err)
{
    uint64_t first = copy->origin.proof_seqno + 1, theirs, ours;
    skv_log_rest frame;
    skv_code code = skv_copy_look(copy->log, first, &frame, err);
    *same = code == SKV_OK && frame.previous == copy->origin.proof;
    if (!*same)
        return code;
    code = skv_copy_digest(copy->log, first, last, &ours, err);
    if (code == SKV_OK)
        code = skv_copy_digest(copy->base->log, first, last, &theirs, err);
    *same = code == SKV_OK && theirs == ours;
    return code;
}

/* What the backup has must be the original's, too: one that was put back to an older state, and went on from there, has the
 * same id and other records. */
static skv_code prove_same(skv_copy *copy, uint64_t last, skv_error *err)
{
    bool same = true;
    skv_code code = SKV_OK;
    if (last > copy->stream.upto)
        return skv_fail(err, SKV_INVALID,
                        "the backup %s has seqno %llu, and the store ends at %llu: it was put back to an older state; "
                        "a backup of it needs another directory",
                        copy->path, (unsigned long long)last, (unsigned long long)copy->stream.upto);
    if (!reaches_back(copy, err))
        return copy->store && !copy->pinned ? SKV_FULL : fail_gone(copy, last, err);
    if (last)
        code = is_same(copy, last, &same, err);
    if (code == SKV_NOT_FOUND)
        return fail_gone(copy, last, err);
    if (code == SKV_OK && !same)
        return skv_fail_at(err, SKV_INVALID, "", 0, last,
                           "the records up to seqno %llu are others in the backup %s: the store was put back to an older "
                           "state; a backup of it needs another directory",
                           (unsigned long long)last, copy->path);
    return code;
}

/* Behind what is there, as an open would: whatever ends it, what is there stays. */
static skv_code begin_log(skv_copy *copy, uint64_t last, uint64_t applied, skv_error *err)
{
    skv_clock *clock = copy->store ? &copy->store->parts.clock : &copy->still->clock;
    skv_still *base = copy->base;
    skv_log_copy_terms terms = {.dir = base->dir,
                                .sizes = {SEGMENT_BYTES_LEAST, copy->sizes.segment_bytes_max},
                                .first_seqno = last + 1,
                                .clock_ms = skv_clock_now(clock)};
    skv_code code;
    memcpy(terms.store_id, base->manifest.store_id, SKV_STORE_ID_BYTES);
    skv_log_free(base->log);
    base->log = NULL;
    code = skv_copying_prove(copy, err);
    if (code == SKV_OK)
        code = skv_log_copy_reopen(&terms, applied, &copy->stream.log, err);
    return code == SKV_OK ? skv_log_cursor_create(copy->log, last + 1, &copy->stream.cursor, err) : code;
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

skv_code skv_increment_begin(skv_copy *copy, const skv_manifest *from, skv_error *err)
{
    uint64_t applied = 0, last;
    skv_code code = skv_still_open_to_extend(copy->to.lmdb, copy->path, &copy->base, err);
    if (code == SKV_OK)
        code = know_base(copy, from, err);
    if (code == SKV_OK)
        code = skv_still_read_log(copy->base, err);
    if (code == SKV_OK)
        code = newest_applied(copy->base, &applied, err);
    if (code != SKV_OK)
        return code;
    last = copy->base->tail.last_seqno;
    copy->first_seqno = last + 1;
    copy->stream.upto = copy->store ? skv_log_durable(copy->log) : copy->still->tail.last_seqno;
    code = prove_same(copy, last, err);
    if (code != SKV_OK)
        return code;
    code = mend_home(copy->base, err);
    if (code != SKV_OK)
        return code;
    copy->finished = last == copy->stream.upto && copy->base->tail.closed; /* else it may be in the page cache only */
    return copy->finished ? SKV_OK : begin_log(copy, last, applied, err);
}
