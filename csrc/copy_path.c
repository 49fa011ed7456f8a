/* L3 path. Copying. */
#include "copy_path.h"

#include <stdio.h>

#include "hash.h"
#include "memory.h"

#define BLOCK_BYTES ((size_t)4 << 20)
#define FILE_NAME "data.mdb"
#define FOLDER "shards/%04u"

/* -- shards --------------------------------------------------------------------------------------------------------- */

static skv_code open_shard(const skv_copy_target *to, uint32_t number, bool create, skv_shard **out, skv_error *err)
{
    size_t bytes = strlen(to->path) + SKV_NAME_MAX + 1;
    char *path = skv_alloc(bytes);
    skv_shard_place place = {.lmdb = to->lmdb, .path = path, .number = number, .map_bytes = to->map_bytes};
    skv_code code;
    if (!path)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    (void)snprintf(path, bytes, "%s/" FOLDER, to->path, number);
    /* It says that it is the copy's once it is whole. */
    memcpy(place.store_id, create ? to->from_id : to->store_id, SKV_STORE_ID_BYTES);
    code = skv_shard_open(&place, create, out, err);
    skv_release(path);
    return code;
}

static skv_code sync_folder(const skv_copy_target *to, uint32_t number, skv_error *err)
{
    char name[SKV_NAME_MAX];
    (void)snprintf(name, sizeof name, FOLDER, number);
    return skv_os_sync_dir(to->dir, name, err);
}

void skv_copy_shard_begin(skv_shard *from, skv_copy_shard *shard)
{
    *shard = (skv_copy_shard){.from = from, .number = skv_shard_number(from), .applied_seqno = skv_shard_applied(from)};
}

skv_code skv_copy_shard_make(const skv_copy_target *to, skv_copy_shard *shard, skv_error *err)
{
    return open_shard(to, shard->number, true, &shard->to, err);
}

void skv_copy_shard_end(skv_copy_shard *shard)
{
    if (shard->to)
        skv_shard_free(shard->to);
    *shard = (skv_copy_shard){0};
}

static skv_code fail_record(const skv_shard *shard, const skv_record *record, const char *how, skv_error *err)
{
    return skv_fail_at(err, SKV_CORRUPT, skv_shard_name(shard), 0, record->seqno,
                       "the record with seqno %llu %s: the original is damaged", (unsigned long long)record->seqno, how);
}

static skv_code take_record(skv_copy_shard *shard, const skv_record *record, skv_error *err)
{
    skv_copy_stretch *add = &shard->add;
    skv_code code;
    if (!skv_record_verify(record))
        return fail_record(shard->from, record, "fails its checksum", err);
    if (add->key_bytes && skv_key_compare((skv_slice){add->key, add->key_bytes}, record->key) >= 0)
        return fail_record(shard->from, record, "stands in the wrong place", err);
    code = skv_shard_apply(shard->to, record, err);
    add->sum.digest += skv_record_digest(record);
    add->sum.count++;
    add->bytes += skv_record_bytes(record);
    add->key_bytes = record->key.bytes;
    memcpy(add->key, record->key.data, record->key.bytes);
    return code;
}

/* OK: there is more; NOT_FOUND: that was the end. */
static skv_code take_stretch(skv_copy_shard *shard, skv_shard_txn *txn, uint64_t bytes, skv_error *err)
{
    const skv_copy_stretch *all = &shard->all;
    skv_slice last = {all->key_bytes ? all->key : NULL, all->key_bytes};
    skv_shard_cursor *cursor;
    skv_record record;
    skv_code code = skv_shard_cursor_open(shard->from, txn, &cursor, err);
    if (code == SKV_OK)
        code = skv_shard_seek(shard->from, cursor, last, &record, err);
    if (code == SKV_OK && last.data && skv_key_compare(record.key, last) == 0)
        code = skv_shard_next(shard->from, cursor, &record, err);
    while (code == SKV_OK && shard->add.bytes < bytes) {
        code = take_record(shard, &record, err);
        if (code == SKV_OK)
            code = skv_shard_next(shard->from, cursor, &record, err);
    }
    skv_shard_cursor_close(shard->from, txn, cursor);
    return code;
}

/* A shard that nobody flushed into meanwhile must have given all that it says it has. */
static skv_code read_stretch(skv_copy_shard *shard, uint64_t bytes, skv_error *err)
{
    const skv_copy_stretch *all = &shard->all, *add = &shard->add;
    skv_shard_txn *txn;
    skv_code code = skv_shard_read_begin(shard->from, &txn, err);
    uint64_t state;
    if (code != SKV_OK)
        return code;
    state = skv_shard_txn_state(shard->from, txn);
    shard->flushed = shard->flushed || (all->key_bytes && state != shard->state);
    shard->state = state;
    code = take_stretch(shard, txn, bytes, err);
    if (code == SKV_NOT_FOUND && !shard->flushed) {
        skv_shard_sum whole = {all->sum.digest + add->sum.digest, all->sum.count + add->sum.count};
        skv_code proof = skv_shard_prove(shard->from, txn, SKV_SHARD_ALL, whole, err);
        code = proof == SKV_OK ? code : proof;
    }
    skv_shard_read_end(shard->from, txn);
    return code;
}

skv_code skv_copy_shard_take(skv_copy_shard *shard, uint64_t bytes, skv_error *err)
{
    skv_code code = skv_shard_apply_begin(shard->to, err);
    if (code != SKV_OK)
        return code;
    shard->add = (skv_copy_stretch){.key_bytes = shard->all.key_bytes};
    memcpy(shard->add.key, shard->all.key, shard->all.key_bytes);
    shard->taken = read_stretch(shard, bytes, err);
    if (shard->taken == SKV_OK || shard->taken == SKV_NOT_FOUND || shard->taken == SKV_BUSY)
        return SKV_OK;
    skv_shard_apply_abort(shard->to);
    return shard->taken;
}

static void note(skv_copy_target *to, skv_copy_shard *shard)
{
    skv_copy_stretch *all = &shard->all;
    const skv_copy_stretch *add = &shard->add;
    all->sum.digest += add->sum.digest;
    all->sum.count += add->sum.count;
    all->bytes += add->bytes;
    to->bytes += add->bytes;
    all->key_bytes = add->key_bytes;
    memcpy(all->key, add->key, add->key_bytes);
}

skv_code skv_copy_shard_put(skv_copy_target *to, skv_copy_shard *shard, skv_error *err)
{
    skv_code code = shard->taken == SKV_BUSY ? SKV_BUSY : skv_shard_apply_commit(shard->to, 0, err);
    if (code != SKV_OK)
        skv_shard_apply_abort(shard->to);
    if (code == SKV_BUSY) { /* the map is full: all of it once more */
        code = skv_shard_grow(shard->to, err);
        return code == SKV_OK ? SKV_AGAIN : code;
    }
    if (code != SKV_OK)
        return code;
    note(to, shard);
    return shard->taken == SKV_NOT_FOUND ? SKV_OK : SKV_AGAIN;
}

skv_code skv_copy_shard_finish(skv_copy_target *to, skv_copy_shard *shard, skv_error *err)
{
    skv_shard_size size;
    skv_code code;
    do
        code = skv_shard_give(shard->to, to->store_id, shard->applied_seqno, err);
    while (code == SKV_BUSY && (code = skv_shard_grow(shard->to, err)) == SKV_OK);
    if (code == SKV_OK)
        code = sync_folder(to, shard->number, err);
    (void)skv_shard_measure(shard->to, &size, NULL);
    to->bytes += size.file_bytes > shard->all.bytes ? size.file_bytes - shard->all.bytes : 0;
    skv_copy_shard_keep(to, shard->applied_seqno);
    return code;
}

skv_code skv_copy_shard_look(skv_copy_target *to, uint32_t number, uint64_t *applied_seqno, skv_error *err)
{
    char name[SKV_NAME_MAX];
    skv_shard *shard;
    skv_code code;
    (void)snprintf(name, sizeof name, FOLDER "/" FILE_NAME, number);
    if (!skv_os_exists(to->dir, name))
        return SKV_NOT_FOUND;
    code = open_shard(to, number, false, &shard, err);
    if (code != SKV_OK)
        return code == SKV_CORRUPT || code == SKV_FORMAT ? SKV_NOT_FOUND : code;
    *applied_seqno = skv_shard_applied(shard);
    code = skv_shard_sync(shard, err); /* a killed attempt may have left its last word in the page cache */
    skv_shard_free(shard);
    return code == SKV_OK ? sync_folder(to, number, err) : code;
}

void skv_copy_shard_keep(skv_copy_target *to, uint64_t applied_seqno)
{
    to->applied_sum += applied_seqno;
}

/* -- log ------------------------------------------------------------------------------------------------------------ */

static skv_code take(void *context, const skv_record *record, skv_error *err)
{
    skv_copy_stream *stream = context;
    skv_code code;
    if (record->seqno > stream->upto)
        return SKV_AGAIN;
    code = skv_log_copy_take(stream->log, record, skv_log_cursor_rest(stream->cursor), err);
    if (code == SKV_OK)
        stream->bytes += skv_record_bytes(record);
    return code;
}

skv_code skv_copy_log_take(skv_copy_stream *stream, uint64_t bytes, skv_error *err)
{
    skv_code code = SKV_OK;
    if (skv_log_cursor_next(stream->cursor) <= stream->upto)
        code = skv_log_read(stream->cursor, bytes, take, stream, err);
    stream->full = code == SKV_BUSY;
    return code == SKV_AGAIN || code == SKV_BUSY ? SKV_OK : code;
}

skv_code skv_copy_log_put(skv_copy_stream *stream, skv_error *err)
{
    skv_code code = stream->full ? skv_log_copy_make_room(stream->log, err) : SKV_OK;
    if (code == SKV_OK)
        code = skv_log_copy_sync(stream->log, err);
    if (code != SKV_OK)
        return code;
    return skv_log_cursor_next(stream->cursor) > stream->upto ? SKV_OK : SKV_AGAIN;
}

typedef struct {
    skv_log_cursor *cursor;
    skv_copy_range *range;
} finding_cut;

static void note_end(skv_copy_range *range, uint64_t seqno)
{
    if (seqno <= range->until)
        range->cut = seqno;
    if (seqno >= range->applied && !range->least)
        range->least = seqno;
}

static skv_code look_for_end(void *context, const skv_record *record, skv_error *err)
{
    finding_cut *at = context;
    (void)err;
    if (skv_log_cursor_rest(at->cursor).last_seqno == record->seqno)
        note_end(at->range, record->seqno);
    return SKV_OK;
}

skv_code skv_copy_find_cut(skv_log *log, skv_copy_range *range, skv_error *err)
{
    finding_cut at = {.range = range};
    skv_code code = skv_log_cursor_create(log, range->first_seqno, &at.cursor, err);
    range->cut = range->least = 0;
    note_end(range, range->first_seqno - 1); /* nothing of the log */
    while (code == SKV_OK)
        code = skv_log_read(at.cursor, BLOCK_BYTES, look_for_end, &at, err);
    skv_log_cursor_free(at.cursor);
    return code == SKV_AGAIN ? SKV_OK : code;
}

/* -- by what a log is known ----------------------------------------------------------------------------------------- */

typedef struct {
    skv_log_cursor *cursor;
    uint64_t last_seqno;
    uint64_t digest;
    skv_log_rest frame; /* of the newest record that was read */
} looking;

static skv_code look_at_record(void *context, const skv_record *record, skv_error *err)
{
    looking *at = context;
    uint64_t stamp = record->seqno << 8 | record->flags;
    (void)err;
    if (record->seqno > at->last_seqno)
        return SKV_AGAIN; /* not ours */
    at->digest = skv_hash64(record->key.data, record->key.bytes, at->digest ^ stamp);
    at->digest = skv_hash64(record->value.data, record->value.bytes, at->digest ^ record->expires_ms);
    at->frame = skv_log_cursor_rest(at->cursor);
    return SKV_OK;
}

static skv_code look(skv_log *log, uint64_t first_seqno, size_t bytes, looking *at, skv_error *err)
{
    skv_code code = skv_log_cursor_create(log, first_seqno, &at->cursor, err);
    while (code == SKV_OK && skv_log_cursor_next(at->cursor) <= at->last_seqno)
        code = skv_log_read(at->cursor, bytes, look_at_record, at, err);
    if (code == SKV_AGAIN && skv_log_cursor_next(at->cursor) > at->last_seqno)
        code = SKV_OK;
    skv_log_cursor_free(at->cursor);
    return code == SKV_LOG_GONE || code == SKV_AGAIN ? SKV_NOT_FOUND : code;
}

skv_code skv_copy_look(skv_log *log, uint64_t seqno, skv_log_rest *out, skv_error *err)
{
    looking at = {.last_seqno = seqno};
    skv_code code = look(log, seqno, 1, &at, err);
    *out = at.frame;
    return code;
}

skv_code skv_copy_end(skv_log *log, uint64_t seqno, uint64_t *out, skv_error *err)
{
    skv_log_rest frame;
    skv_code code = skv_copy_look(log, seqno + 1, &frame, err);
    *out = frame.previous;
    if (code != SKV_NOT_FOUND || skv_log_begins_behind(log, seqno, out))
        return code == SKV_NOT_FOUND ? SKV_OK : code;
    code = skv_copy_look(log, seqno, &frame, err);
    *out = frame.checksum;
    return code;
}

skv_code skv_copy_digest(skv_log *log, uint64_t first_seqno, uint64_t last_seqno, uint64_t *out, skv_error *err)
{
    looking at = {.last_seqno = last_seqno};
    skv_code code = look(log, first_seqno, BLOCK_BYTES, &at, err);
    *out = at.digest;
    return code;
}
