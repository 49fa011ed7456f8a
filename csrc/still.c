/* L4 house. A store that nobody has open. */
#include "still.h"

#include <errno.h>
#include <stdio.h>

#include "bytes.h"
#include "memory.h"

#define MAP_BYTES ((uint64_t)1 << 20) /* at least; LMDB maps what the file asks for */

static skv_code fail_no_store(const skv_still *still, skv_error *err)
{
    return skv_fail(err, SKV_INVALID, "%s holds no store", still->path);
}

typedef skv_code (*taking_lock)(int dir, const char *path, int *out, skv_error *err);

static skv_code open_still(skv_still *still, taking_lock lock, skv_error *err)
{
    skv_code code = skv_os_open_dir(still->path, &still->dir, err);
    if (code == SKV_IO && err->sys_errno == ENOENT)
        return fail_no_store(still, err);
    if (code == SKV_OK && !skv_manifest_exists(still->dir))
        return skv_os_exists(still->dir, SKV_COPY_NAME) ? skv_home_refuse(still->dir, still->path, err)
                                                        : fail_no_store(still, err);
    if (code == SKV_OK)
        code = lock(still->dir, still->path, &still->lock_fd, err);
    return code == SKV_OK ? skv_manifest_peek(still->dir, &still->manifest, err) : code;
}

static skv_code hold(const skv_lmdb *lmdb, const char *path, taking_lock lock, skv_still **out, skv_error *err)
{
    skv_still *still = skv_alloc(sizeof *still);
    skv_code code;
    *out = NULL;
    if (still)
        still->path = skv_alloc(strlen(path) + 1);
    if (!still || !still->path) {
        skv_release(still);
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    }
    memcpy(still->path, path, strlen(path));
    still->dir = still->lock_fd = -1;
    still->lmdb = lmdb;
    code = open_still(still, lock, err);
    if (code != SKV_OK) {
        skv_still_free(still);
        return code;
    }
    *out = still;
    return SKV_OK;
}

skv_code skv_still_open(const skv_lmdb *lmdb, const char *path, skv_still **out, skv_error *err)
{
    return hold(lmdb, path, skv_home_lock_still, out, err);
}

skv_code skv_still_open_to_extend(const skv_lmdb *lmdb, const char *path, skv_still **out, skv_error *err)
{
    return hold(lmdb, path, skv_home_lock, out, err);
}

void skv_still_free(skv_still *still)
{
    if (!still)
        return;
    skv_log_free(still->log);
    skv_os_close(still->lock_fd);
    skv_os_close(still->dir);
    skv_release(still->path);
    skv_release(still);
}

skv_code skv_still_read_log(skv_still *still, skv_error *err)
{
    skv_log_sizes none = {0};
    skv_log *log;
    skv_code code;
    if (still->log)
        return SKV_OK;
    code = skv_log_create(still->dir, still->manifest.store_id, none, &still->clock, &log, err);
    if (code != SKV_OK)
        return code;
    code = skv_log_scan_still(log, &still->tail, err);
    if (code == SKV_OK)
        still->log = log;
    else
        skv_log_free(log);
    return code;
}

skv_code skv_still_open_shard(const skv_still *still, uint32_t number, skv_shard **out, skv_error *err)
{
    char name[SKV_NAME_MAX];
    size_t bytes = strlen(still->path) + SKV_NAME_MAX + 1;
    char *path = skv_alloc(bytes);
    skv_shard_place place = {.lmdb = still->lmdb, .path = path, .number = number, .map_bytes = MAP_BYTES, .still = true};
    skv_code code;
    *out = NULL;
    if (!path)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    skv_home_name_shard(number, name);
    (void)snprintf(path, bytes, "%s/%s", still->path, name);
    memcpy(place.store_id, still->manifest.store_id, SKV_STORE_ID_BYTES);
    code = skv_os_exists(still->dir, name) ? skv_shard_open(&place, false, out, err)
                                           : skv_fail_at(err, SKV_CORRUPT, name, 0, 0, "the shard is missing");
    skv_release(path);
    return code;
}

skv_code skv_still_measure(const skv_still *still, skv_still_shards *out, skv_error *err)
{
    *out = (skv_still_shards){0};
    for (uint32_t i = 0; i < still->manifest.shards; i++) {
        skv_shard_size size;
        skv_shard *shard;
        uint64_t newest;
        skv_code code = skv_still_open_shard(still, i, &shard, err);
        if (code != SKV_OK)
            return code;
        code = skv_shard_measure(shard, &size, err);
        newest = skv_shard_newest(shard);
        out->file_bytes += size.file_bytes;
        out->applied_sum += skv_shard_applied(shard);
        out->newest_seqno = newest > out->newest_seqno ? newest : out->newest_seqno;
        skv_shard_free(shard);
        if (code != SKV_OK)
            return code;
    }
    return SKV_OK;
}

skv_code skv_still_fit(const skv_still *still, const skv_still_shards *shards, skv_error *err)
{
    uint64_t last = still->tail.last_seqno;
    if (shards->newest_seqno > last)
        return skv_fail_at(err, SKV_CORRUPT, "log", 0, last,
                           "a shard holds seqno %llu, but the log ends at %llu: the end of the log is lost",
                           (unsigned long long)shards->newest_seqno, (unsigned long long)last);
    if (shards->applied_sum < still->tail.applied_sum)
        return skv_fail_at(err, SKV_CORRUPT, "shards", 0, 0,
                           "a shard is older than the log remembers: it was replaced by an earlier copy");
    return SKV_OK;
}
