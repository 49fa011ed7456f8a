/* L4 house. The contract's scrubbing half: the shards of a store that another process may have open, read like a snapshot;
 * and what a snapshot's shards hold, to be held against another copy's. */
#include <stdio.h>

#include "hash.h"
#include "home.h"
#include "manifest.h"
#include "memory.h"
#include "msgpack.h"
#include "ring.h"
#include "snapshot.h"
#include "store.h"

#define MAP_BYTES ((uint64_t)1 << 20) /* that can surely be had: LMDB maps what the file asks for */

struct skv_scrub {
    const skv_lmdb *lmdb;
    char *path;             /* owned */
    skv_manifest *manifest; /* owned */
    skv_ring *ring;         /* owned */
    uint32_t number;        /* of the shard in hand */
    skv_scrub_sum sum;
    uint64_t state; /* which commit was read */
    bool flushed;   /* there was another one in between */
    size_t key_bytes; /* of the last key; 0: before the first */
    uint8_t key[SKV_KEY_BYTES_MAX];
    /* While the shard is held. */
    skv_shard *shard; /* owned */
    skv_shard_txn *txn;
    skv_shard_cursor *cursor;
};

typedef struct {
    skv_error *found;
    uint32_t capacity;
    int64_t count;
} findings;

static void find(findings *out, const skv_error *what)
{
    if (out->count < out->capacity)
        out->found[out->count] = *what;
    out->count++;
}

/* -- life cycle ----------------------------------------------------------------------------------------------------- */

static skv_code load(skv_scrub *scrub, skv_error *err)
{
    int dir = -1;
    skv_code code = skv_os_open_dir(scrub->path, &dir, err);
    if (code == SKV_OK)
        code = skv_manifest_peek(dir, scrub->manifest, err);
    if (code == SKV_NOT_FOUND)
        code = skv_fail(err, SKV_INVALID, "%s holds no store", scrub->path);
    if (code == SKV_OK)
        code = skv_ring_create(scrub->manifest->weights, scrub->manifest->shards, &scrub->ring, err);
    skv_os_close(dir);
    return code;
}

skv_scrub *skv_scrub_open(const skv_lmdb *lmdb, const char *path, skv_io *io)
{
    size_t bytes = strlen(path) + 1;
    skv_scrub *scrub = skv_alloc(sizeof *scrub);
    if (scrub) {
        scrub->lmdb = lmdb;
        scrub->path = skv_alloc(bytes);
        scrub->manifest = skv_alloc(sizeof *scrub->manifest);
    }
    if (!scrub || !scrub->path || !scrub->manifest) {
        (void)skv_fail(&io->error, SKV_NO_MEMORY, "out of memory");
        skv_scrub_free(scrub);
        return NULL;
    }
    memcpy(scrub->path, path, bytes);
    if (load(scrub, &io->error) == SKV_OK)
        return scrub;
    skv_scrub_free(scrub);
    return NULL;
}

void skv_scrub_free(skv_scrub *scrub)
{
    if (!scrub)
        return;
    skv_scrub_rest(scrub);
    skv_ring_free(scrub->ring);
    skv_release(scrub->manifest);
    skv_release(scrub->path);
    skv_release(scrub);
}

uint32_t skv_scrub_shards(const skv_scrub *scrub)
{
    return scrub->manifest->shards;
}

void skv_scrub_begin(skv_scrub *scrub, uint32_t shard)
{
    skv_scrub_rest(scrub);
    scrub->number = shard;
    scrub->sum = (skv_scrub_sum){0};
    scrub->state = scrub->key_bytes = 0;
    scrub->flushed = false;
}

void skv_scrub_rest(skv_scrub *scrub)
{
    if (scrub->txn) {
        skv_shard_cursor_close(scrub->shard, scrub->txn, scrub->cursor);
        skv_shard_read_end(scrub->shard, scrub->txn);
    }
    if (scrub->shard)
        skv_shard_free(scrub->shard);
    scrub->shard = NULL;
    scrub->txn = NULL;
    scrub->cursor = NULL;
}

/* -- one shard ------------------------------------------------------------------------------------------------------ */

static skv_code open_shard(skv_scrub *scrub, skv_error *err)
{
    char folder[SKV_NAME_MAX];
    size_t bytes = strlen(scrub->path) + SKV_NAME_MAX + 1;
    char *path = skv_alloc(bytes);
    skv_shard_place place = {
        .lmdb = scrub->lmdb, .path = path, .number = scrub->number, .map_bytes = MAP_BYTES, .guest = true};
    skv_code code;
    if (!path)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    skv_home_name_shard(scrub->number, folder);
    (void)snprintf(path, bytes, "%s/%s", scrub->path, folder);
    memcpy(place.store_id, scrub->manifest->store_id, SKV_STORE_ID_BYTES);
    code = skv_shard_open(&place, false, &scrub->shard, err);
    skv_release(path);
    return code;
}

/* Hold the shard as it is now, and stand on the first record that was not read yet. */
static skv_code stand(skv_scrub *scrub, skv_record *record, skv_error *err)
{
    skv_slice last = {scrub->key_bytes ? scrub->key : NULL, scrub->key_bytes};
    uint64_t state;
    skv_code code = open_shard(scrub, err);
    if (code == SKV_OK)
        code = skv_shard_read_begin(scrub->shard, &scrub->txn, err);
    if (code == SKV_OK)
        code = skv_shard_cursor_open(scrub->shard, scrub->txn, &scrub->cursor, err);
    if (code != SKV_OK)
        return code;
    state = skv_shard_txn_state(scrub->shard, scrub->txn);
    scrub->flushed = scrub->flushed || (scrub->state && scrub->state != state);
    if (!scrub->state)
        scrub->sum.applied_seqno = skv_shard_applied(scrub->shard);
    scrub->state = state;
    code = skv_shard_seek(scrub->shard, scrub->cursor, last, record, err);
    if (code == SKV_OK && last.data && skv_key_compare(record->key, last) == 0)
        code = skv_shard_next(scrub->shard, scrub->cursor, record, err);
    return code;
}

static skv_code take_record(skv_scrub *scrub, const skv_record *record, findings *out, skv_error *err)
{
    skv_error wrong = {0};
    const char *name = skv_shard_name(scrub->shard);
    if (scrub->key_bytes && skv_key_compare((skv_slice){scrub->key, scrub->key_bytes}, record->key) >= 0)
        return skv_fail_at(err, SKV_CORRUPT, name, 0, record->seqno,
                           "the record with seqno %llu stands in the wrong place: its key is not above the one before",
                           (unsigned long long)record->seqno);
    if (!skv_record_verify(record) ||
        skv_ring_route(scrub->ring, skv_key_hash(record->key.data, record->key.bytes)) != scrub->number) {
        (void)skv_fail_at(&wrong, SKV_CORRUPT, name, 0, record->seqno,
                          "the record with seqno %llu (key of %zu bytes) is not what was written",
                          (unsigned long long)record->seqno, record->key.bytes);
        find(out, &wrong);
    }
    scrub->sum.bytes += record->key.bytes + record->value.bytes;
    scrub->sum.count++;
    scrub->sum.digest += skv_record_digest(record);
    scrub->key_bytes = record->key.bytes;
    memcpy(scrub->key, record->key.data, record->key.bytes);
    return SKV_OK;
}

/* All was seen; at one moment, unless there was a flush in between. */
static skv_code end_shard(skv_scrub *scrub, skv_error *err)
{
    skv_shard_sum found = {scrub->sum.digest, scrub->sum.count};
    skv_code code = scrub->flushed ? SKV_OK : skv_shard_prove(scrub->shard, scrub->txn, SKV_SHARD_ALL, found, err);
    scrub->sum.proven = code == SKV_OK && !scrub->flushed;
    return code == SKV_OK ? SKV_NOT_FOUND : code;
}

/* OK: there is more. NOT_FOUND: that was all. */
static skv_code read_piece(skv_scrub *scrub, uint64_t bytes, findings *out, skv_error *err)
{
    uint64_t upto = scrub->sum.bytes + bytes;
    skv_record record;
    skv_code code = scrub->cursor ? skv_shard_next(scrub->shard, scrub->cursor, &record, err) : stand(scrub, &record, err);
    while (code == SKV_OK) {
        code = take_record(scrub, &record, out, err);
        if (code != SKV_OK || scrub->sum.bytes >= upto)
            return code;
        code = skv_shard_next(scrub->shard, scrub->cursor, &record, err);
    }
    return code == SKV_NOT_FOUND ? end_shard(scrub, err) : code;
}

/* Damage, and not something that this process lacks. */
static bool tells_damage(skv_code code)
{
    return code == SKV_CORRUPT || code == SKV_FORMAT || code == SKV_IO;
}

int64_t skv_scrub_next(skv_scrub *scrub, uint64_t bytes, skv_scrub_sum *out, skv_error *found, uint32_t capacity, skv_io *io)
{
    findings wrong = {found, capacity, 0};
    skv_code code = read_piece(scrub, bytes, &wrong, &io->error);
    scrub->sum.ended = code != SKV_OK;
    *out = scrub->sum;
    if (scrub->sum.ended)
        skv_scrub_rest(scrub);
    if (tells_damage(code))
        find(&wrong, &io->error);
    else if (code != SKV_OK && code != SKV_NOT_FOUND)
        return code;
    return wrong.count;
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

/* -- comparing ------------------------------------------------------------------------------------------------------ */

uint64_t skv_snapshot_flushed(const skv_snapshot *snapshot)
{
    return snapshot->pin_seqno - 1;
}

/* Take the record of a key out of the sum of its shard. */
static skv_code leave_out(skv_snapshot *snapshot, skv_slice key, skv_shard_total *out, skv_error *err)
{
    const skv_parts *parts = snapshot->parts;
    uint32_t shard = skv_ring_route(parts->ring, skv_key_hash(key.data, key.bytes));
    skv_record record;
    skv_code code = skv_shard_get(parts->lanes[shard].shard, snapshot->views[shard].txn, key, &record, err);
    if (code != SKV_OK)
        return code == SKV_NOT_FOUND ? SKV_OK : code;
    out[shard].digest -= skv_record_digest(&record);
    out[shard].count--;
    return SKV_OK;
}

static skv_code add_up(skv_snapshot *snapshot, skv_unpack keys, skv_shard_total *out, skv_error *err)
{
    const skv_parts *parts = snapshot->parts;
    uint32_t count;
    skv_code code = snapshot->dead ? skv_fail(err, SKV_CLOSED, "the snapshot is closed") : SKV_OK;
    for (uint32_t i = 0; code == SKV_OK && i < parts->lane_count; i++) {
        skv_shard_sum sum = {0};
        code = skv_shard_sum_of(parts->lanes[i].shard, snapshot->views[i].txn, &sum, err);
        out[i] = (skv_shard_total){sum.digest, sum.count};
    }
    if (code == SKV_OK && !skv_unpack_array(&keys, &count))
        code = skv_fail(err, SKV_WRONG_TYPE, "the keys are not an array");
    for (uint32_t i = 0; code == SKV_OK && i < count; i++) {
        skv_slice key;
        code = skv_unpack_bin(&keys, &key) ? leave_out(snapshot, key, out, err)
                                           : skv_fail(err, SKV_WRONG_TYPE, "the key is not bytes");
    }
    return code;
}

skv_code skv_snapshot_totals(skv_store *store, skv_snapshot *snapshot, const char *keys, size_t bytes, skv_shard_total *out,
                             skv_io *io)
{
    skv_code code = skv_store_enter(store, &io->error);
    if (code != SKV_OK)
        return code;
    skv_lock(&snapshot->lock);
    code = add_up(snapshot, skv_unpack_of(keys, bytes), out, &io->error);
    skv_unlock(&snapshot->lock);
    skv_store_leave(store);
    return code;
}
