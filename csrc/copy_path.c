/* L3 path. Copying. */
#include "copy_path.h"

#include <stdio.h>

#include "memory.h"

#define BLOCK_BYTES ((size_t)4 << 20)
#define FILE_NAME "/data.mdb"

/* -- shards --------------------------------------------------------------------------------------------------------- */

static skv_code write_file(skv_copy_target *to, skv_shard *from, skv_error *err)
{
    const char *name = skv_shard_name(from);
    uint64_t bytes = 0;
    int fd;
    skv_code code = skv_os_open(to->dir, name, SKV_OPEN_CREATE_NEW, &fd, err);
    if (code != SKV_OK)
        return code;
    code = skv_shard_copy(from, fd, name, err);
    if (code == SKV_OK)
        code = skv_os_sync(fd, name, err);
    if (code == SKV_OK)
        code = skv_os_size(fd, name, &bytes, err);
    skv_os_close(fd);
    to->bytes += bytes;
    return code;
}

static skv_code verify(void *context, const skv_record *record, skv_error *err)
{
    if (skv_record_verify(record))
        return SKV_OK;
    return skv_fail_at(err, SKV_CORRUPT, skv_shard_name(context), 0, record->seqno,
                       "the record with seqno %llu fails its checksum: the original is damaged",
                       (unsigned long long)record->seqno);
}

/* Make it the copy's own, and read all of it once: a damaged page of the original must not go unnoticed. */
static skv_code take_over(skv_copy_target *to, const skv_shard_place *place, skv_error *err)
{
    skv_shard *shard;
    uint64_t applied;
    skv_code code = skv_shard_open(place, false, &shard, err);
    if (code != SKV_OK)
        return code;
    code = skv_shard_give(shard, to->store_id, err);
    if (code == SKV_OK)
        code = skv_shard_walk(shard, verify, shard, err);
    applied = skv_shard_applied(shard);
    skv_shard_free(shard);
    to->applied_sum += applied;
    to->applied_newest = applied > to->applied_newest ? applied : to->applied_newest;
    return code;
}

skv_code skv_copy_shard(skv_copy_target *to, skv_shard *from, skv_error *err)
{
    const char *name = skv_shard_name(from);
    size_t folder = strlen(name) - strlen(FILE_NAME), bytes = strlen(to->path) + SKV_NAME_MAX + 1;
    char *path = skv_alloc(bytes), *inside;
    skv_shard_place place = {.lmdb = to->lmdb, .path = path, .number = skv_shard_number(from), .map_bytes = to->map_bytes};
    skv_code code;
    if (!path)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    (void)snprintf(path, bytes, "%s/%.*s", to->path, (int)folder, name);
    inside = path + strlen(to->path) + 1;
    memcpy(place.store_id, to->from_id, SKV_STORE_ID_BYTES);
    code = write_file(to, from, err);
    if (code == SKV_OK)
        code = take_over(to, &place, err);
    if (code == SKV_OK)
        code = skv_os_sync_dir(to->dir, inside, err);
    skv_release(path);
    return code;
}

/* -- log ------------------------------------------------------------------------------------------------------------ */

static skv_code take(void *context, const skv_record *record, skv_error *err)
{
    skv_copy_stream *stream = context;
    if (record->seqno > stream->upto)
        return SKV_AGAIN;
    stream->bytes += skv_record_bytes(record);
    return skv_log_copy_take(stream->log, record, skv_log_cursor_rest(stream->cursor), err);
}

skv_code skv_copy_log(skv_copy_stream *stream, skv_error *err)
{
    skv_code code = SKV_OK;
    if (skv_log_cursor_next(stream->cursor) <= stream->upto)
        code = skv_log_read(stream->cursor, BLOCK_BYTES, take, stream, err);
    if (code != SKV_OK && code != SKV_AGAIN)
        return code;
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
