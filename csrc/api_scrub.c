/* L4 house. The contract's scrubbing half: a shard of a store that another process may have open, read like a snapshot. */
#include <stdio.h>

#include "hash.h"
#include "home.h"
#include "manifest.h"
#include "memory.h"
#include "ring.h"
#include "store.h"

#define PACE_BYTES ((uint64_t)1 << 20)
#define MAP_BYTES ((uint64_t)1 << 20) /* at least; LMDB maps what the file asks for */

typedef struct {
    const skv_scrub_part *part;
    const skv_ring *ring;
    const char *name;
    skv_scrub_sum *sum;
    skv_error *found;
    uint32_t capacity;
    int64_t count;
    uint64_t began_ns;
} scrubbing;

static void find(scrubbing *scrub, const skv_error *what)
{
    if (scrub->count < scrub->capacity)
        scrub->found[scrub->count] = *what;
    scrub->count++;
}

/* Never faster than the pace, on the average since the shard was begun. */
static void keep_pace(const scrubbing *scrub)
{
    skv_event nothing = {0};
    uint64_t due_ns, now_ns;
    if (!scrub->part->bytes_per_s)
        return;
    due_ns = scrub->began_ns + (uint64_t)((double)scrub->sum->bytes / (double)scrub->part->bytes_per_s * 1e9);
    while ((now_ns = skv_now_ns()) < due_ns)
        skv_event_wait(&nothing, skv_event_read(&nothing), due_ns - now_ns);
}

static skv_code scrub_record(void *context, const skv_record *record, skv_error *err)
{
    scrubbing *scrub = context;
    uint64_t before = scrub->sum->bytes;
    skv_error wrong = {0};
    (void)err;
    scrub->sum->bytes += record->key.bytes + record->value.bytes;
    scrub->sum->count++;
    scrub->sum->digest += skv_record_digest(record);
    if (!skv_record_verify(record) ||
        skv_ring_route(scrub->ring, skv_key_hash(record->key.data, record->key.bytes)) != scrub->part->shard) {
        (void)skv_fail_at(&wrong, SKV_CORRUPT, scrub->name, 0, record->seqno,
                          "the record with seqno %llu (key of %zu bytes) is not what was written",
                          (unsigned long long)record->seqno, record->key.bytes);
        find(scrub, &wrong);
    }
    if (before / PACE_BYTES != scrub->sum->bytes / PACE_BYTES)
        keep_pace(scrub);
    return SKV_OK;
}

static skv_code scrub_shard(scrubbing *scrub, const skv_lmdb *lmdb, const uint8_t *store_id, skv_error *err)
{
    char folder[SKV_NAME_MAX];
    size_t bytes = strlen(scrub->part->path) + SKV_NAME_MAX + 1;
    char *path = skv_alloc(bytes);
    skv_shard_place place = {
        .lmdb = lmdb, .path = path, .number = scrub->part->shard, .map_bytes = MAP_BYTES, .guest = true};
    skv_shard *shard;
    skv_code code;
    if (!path)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    skv_home_name_shard(scrub->part->shard, folder);
    (void)snprintf(path, bytes, "%s/%s", scrub->part->path, folder);
    memcpy(place.store_id, store_id, SKV_STORE_ID_BYTES);
    code = skv_shard_open(&place, false, &shard, err);
    skv_release(path);
    if (code != SKV_OK)
        return code;
    scrub->name = skv_shard_name(shard);
    scrub->sum->applied_seqno = skv_shard_applied(shard);
    code = skv_shard_walk(shard, scrub_record, scrub, err);
    skv_shard_free(shard);
    return code;
}

int64_t skv_scrub(const skv_lmdb *lmdb, const skv_scrub_part *part, skv_scrub_sum *out, skv_error *found, uint32_t capacity,
                  skv_io *io)
{
    scrubbing scrub = {.part = part, .sum = out, .found = found, .capacity = capacity, .began_ns = skv_now_ns()};
    skv_manifest *manifest = skv_alloc(sizeof *manifest);
    skv_ring *ring = NULL;
    int dir = -1;
    skv_code code = manifest ? skv_os_open_dir(part->path, &dir, &io->error) : skv_fail(&io->error, SKV_NO_MEMORY, "out of memory");
    *out = (skv_scrub_sum){0};
    if (code == SKV_OK)
        code = skv_manifest_peek(dir, manifest, &io->error);
    if (code == SKV_NOT_FOUND)
        code = skv_fail(&io->error, SKV_INVALID, "%s holds no store", part->path);
    if (code == SKV_OK)
        code = skv_ring_create(manifest->weights, manifest->shards, &ring, &io->error);
    scrub.ring = ring;
    if (code == SKV_OK) {
        skv_error wrong = {0};
        out->shards = manifest->shards;
        if (part->shard < manifest->shards && scrub_shard(&scrub, lmdb, manifest->store_id, &wrong) != SKV_OK)
            find(&scrub, &wrong);
    }
    skv_ring_free(ring);
    skv_release(manifest);
    skv_os_close(dir);
    return code == SKV_OK ? scrub.count : code;
}

skv_code skv_forget_guests(skv_store *store, skv_io *io)
{
    skv_code code = skv_store_enter(store, &io->error);
    if (code != SKV_OK)
        return code;
    for (uint32_t i = 0; i < store->parts.lane_count; i++)
        skv_shard_forget_guests(store->parts.lanes[i].shard);
    skv_store_leave(store);
    return SKV_OK;
}
