/* L4 house. The contract's checking half: everything a store consists of is read and held against what proves it. */
#include "hash.h"
#include "memory.h"
#include "origin.h"
#include "ring.h"
#include "still.h"

#define READ_BYTES ((size_t)8 << 20)
enum { PART_MANIFEST, PART_LOG, PART_SHARDS };

struct skv_check {
    skv_still *still; /* owned */
    skv_ring *ring;   /* owned */
};

typedef struct {
    skv_error *out;
    uint32_t capacity;
    int64_t count;
    skv_error *lacking; /* NO_MEMORY, once that kept something from being read */
} findings;

/* What could not be read for want of memory is no finding, and not sound either. */
static bool lacks(findings *found, const skv_error *what)
{
    if (what->code != SKV_NO_MEMORY)
        return false;
    *found->lacking = *what;
    return true;
}

static void find(findings *found, const skv_error *what)
{
    if (lacks(found, what))
        return;
    if (found->count < found->capacity)
        found->out[found->count] = *what;
    found->count++;
}

/* -- life cycle ----------------------------------------------------------------------------------------------------- */

skv_check *skv_check_open(const skv_lmdb *lmdb, const char *path, skv_io *io)
{
    skv_check *check = skv_alloc(sizeof *check);
    skv_code code;
    if (!check) {
        (void)skv_fail(&io->error, SKV_NO_MEMORY, "out of memory");
        return NULL;
    }
    code = skv_still_open(lmdb, path, &check->still, &io->error);
    if (code == SKV_OK)
        code = skv_ring_create(check->still->manifest.weights, check->still->manifest.shards, &check->ring, &io->error);
    if (code != SKV_OK) {
        skv_check_free(check);
        return NULL;
    }
    return check;
}

void skv_check_free(skv_check *check)
{
    if (!check)
        return;
    skv_ring_free(check->ring);
    skv_still_free(check->still);
    skv_release(check);
}

uint32_t skv_check_parts(const skv_check *check)
{
    return PART_SHARDS + check->still->manifest.shards + 1;
}

/* -- parts ---------------------------------------------------------------------------------------------------------- */

static void check_origin(const skv_check *check, findings *found)
{
    skv_error err = {0};
    skv_origin origin;
    skv_code code = skv_origin_read(check->still->dir, SKV_ORIGIN_NAME, &origin, &err);
    if (code == SKV_OK && memcmp(origin.store_id, check->still->manifest.store_id, SKV_STORE_ID_BYTES) != 0)
        code = skv_fail_at(&err, SKV_CORRUPT, SKV_ORIGIN_NAME, SKV_ORIGIN_STORE_ID, 0, "this is another copy's ORIGIN");
    if (code != SKV_OK && code != SKV_NOT_FOUND)
        find(found, &err);
}

static void check_manifest(const skv_check *check, findings *found)
{
    for (int copy = 0; copy < 2; copy++) {
        skv_manifest manifest;
        skv_error err = {0};
        const char *name = copy ? "MANIFEST.bak" : "MANIFEST";
        skv_code code = skv_manifest_look(check->still->dir, copy, &manifest, &err);
        if (code == SKV_NOT_FOUND)
            (void)skv_fail_at(&err, SKV_CORRUPT, name, 0, 0, "this copy of the manifest is missing; the other stands in");
        else if (code == SKV_OK && manifest.generation != check->still->manifest.generation)
            (void)skv_fail_at(&err, SKV_CORRUPT, name, 0, 0, "this copy of the manifest is older than the other");
        if (err.code != SKV_OK)
            find(found, &err);
    }
    check_origin(check, found);
}

static skv_code verify_nothing(void *context, const skv_record *record, skv_error *err)
{
    (void)context, (void)record, (void)err; /* the cursor verified it */
    return SKV_OK;
}

/* Every record, in retained segments and live ones. Behind damage, the next segment is gone on with. */
static void check_records(skv_log *log, findings *found)
{
    uint64_t from = skv_log_oldest(log);
    while (from) {
        skv_error err = {0};
        skv_log_cursor *cursor;
        skv_code code = skv_log_cursor_create(log, from, &cursor, &err);
        while (code == SKV_OK)
            code = skv_log_read(cursor, READ_BYTES, verify_nothing, NULL, &err);
        from = code == SKV_CORRUPT ? skv_log_next_segment(log, skv_log_cursor_next(cursor)) : 0;
        if (code != SKV_AGAIN)
            find(found, &err);
        skv_log_cursor_free(cursor);
    }
}

static void check_log(const skv_check *check, findings *found)
{
    skv_error err = {0};
    if (skv_mark_verify(check->still->dir, check->still->manifest.store_id, &err) != SKV_OK)
        find(found, &err);
    err = (skv_error){0};
    if (skv_still_read_log(check->still, &err) != SKV_OK)
        find(found, &err);
    else
        check_records(check->still->log, found);
}

typedef struct {
    const skv_check *check;
    findings *found;
    const skv_shard *shard;
} visiting;

static skv_code check_record(void *context, const skv_record *record, skv_error *err)
{
    visiting *at = context;
    skv_error wrong = {0};
    uint32_t home = skv_ring_route(at->check->ring, skv_key_hash(record->key.data, record->key.bytes));
    (void)err;
    if (!skv_record_verify(record))
        (void)skv_fail_at(&wrong, SKV_CORRUPT, skv_shard_name(at->shard), 0, record->seqno,
                          "the record with seqno %llu (key of %zu bytes) fails its checksum: it is not what was written",
                          (unsigned long long)record->seqno, record->key.bytes);
    else if (home != skv_shard_number(at->shard))
        (void)skv_fail_at(&wrong, SKV_CORRUPT, skv_shard_name(at->shard), 0, record->seqno,
                          "the record with seqno %llu belongs to shard %u: it is not found here",
                          (unsigned long long)record->seqno, home);
    if (wrong.code != SKV_OK)
        find(at->found, &wrong);
    return SKV_OK;
}

static void check_shard(const skv_check *check, uint32_t number, findings *found)
{
    skv_error err = {0};
    skv_shard *shard;
    skv_code code = skv_still_open_shard(check->still, number, &shard, &err);
    if (code == SKV_OK) {
        visiting at = {check, found, shard};
        code = skv_shard_walk(shard, check_record, &at, &err);
        skv_shard_free(shard);
    }
    if (code != SKV_OK)
        find(found, &err);
}

/* What cannot be read is a finding of its own part. */
static void check_fit(const skv_check *check, findings *found)
{
    skv_still *still = check->still;
    skv_still_shards shards;
    skv_error err = {0};
    if (skv_still_read_log(still, &err) != SKV_OK || skv_still_measure(still, &shards, &err) != SKV_OK)
        (void)lacks(found, &err);
    else if (skv_still_fit(still, &shards, &err) != SKV_OK)
        find(found, &err);
}

int64_t skv_check_part(skv_check *check, uint32_t part, skv_error *out, uint32_t capacity, skv_io *io)
{
    findings found = {out, capacity, 0, &io->error};
    uint32_t parts = skv_check_parts(check);
    if (part >= parts)
        return skv_fail(&io->error, SKV_INVALID, "part %u: there are %u", part, parts);
    io->error.code = SKV_OK;
    if (part == PART_MANIFEST)
        check_manifest(check, &found);
    else if (part == PART_LOG)
        check_log(check, &found);
    else if (part < parts - 1)
        check_shard(check, part - PART_SHARDS, &found);
    else
        check_fit(check, &found);
    return io->error.code == SKV_OK ? found.count : io->error.code;
}
