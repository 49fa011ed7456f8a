#include "made_parts.h"

#include <string.h>

#include "check.h"
#include "logs.h"
#include "memory.h"
#include "shard_state.h"

#define BUDGET_BYTES ((uint64_t)64 << 20)

static skv_parts *make(int dir, uint32_t lanes, skv_log *log)
{
    skv_error err = {0};
    skv_parts *parts = skv_alloc(sizeof *parts);
    CHECK(parts);
    parts->lanes = skv_alloc(lanes * sizeof *parts->lanes);
    CHECK(parts->lanes);
    parts->lane_count = lanes;
    parts->log = log;
    skv_pressure_create(&parts->pressure, BUDGET_BYTES);
    skv_acks_create(&parts->acks);
    CHECK_OK(skv_ring_create(NULL, lanes, &parts->ring, &err), &err);
    for (uint32_t i = 0; i < lanes; i++) {
        skv_shard *shard = skv_alloc(sizeof *shard);
        CHECK(shard);
        skv_mutex_create(&shard->lock);
        shard->fd = dir; /* can be synced */
        CHECK_OK(skv_lane_create(&parts->lanes[i], shard, &parts->clock, skv_log_slots(parts->log), &err), &err);
    }
    return parts;
}

skv_parts *made_parts_create(int dir, uint32_t lanes, uint64_t segment_bytes)
{
    return make(dir, lanes, logs_found(dir, (skv_log_sizes){segment_bytes, segment_bytes}));
}

skv_parts *made_parts_open(int dir, uint32_t lanes, uint64_t segment_bytes)
{
    skv_error err = {0};
    skv_log *log;
    CHECK_OK(skv_log_create(dir, logs_id, (skv_log_sizes){segment_bytes, segment_bytes}, &logs_clock, &log, &err), &err);
    return make(dir, lanes, log);
}

void made_parts_free(skv_parts *parts)
{
    for (uint32_t i = 0; i < parts->lane_count; i++)
        skv_lane_free(&parts->lanes[i]);
    skv_ring_free(parts->ring);
    skv_acks_free(&parts->acks);
    skv_pressure_free(&parts->pressure);
    skv_log_free(parts->log);
    skv_release(parts->lanes);
    skv_release(parts);
}

static skv_code try_put(skv_parts *parts, skv_record *record, uint32_t *lane, skv_error *err)
{
    skv_key key = skv_key_of(record->key);
    skv_index *index;
    skv_position position;
    skv_code code = skv_log_reserve(parts->log, skv_record_bytes(record), err);
    if (code != SKV_OK)
        return code;
    *lane = skv_ring_route(parts->ring, key.hash);
    index = parts->lanes[*lane].active;
    CHECK_EQ(skv_index_reserve(index, key.hash, parts->cuts), SKV_OK);
    position = skv_log_append(parts->log, record);
    skv_index_insert(index, key.hash, position, record, parts->cuts);
    return SKV_OK;
}

uint32_t made_parts_put_at(skv_parts *parts, const char *key, size_t value_bytes)
{
    skv_error err = {0};
    skv_record record = {.key = skv_slice_at(key, strlen(key)), .value = {calloc(1, value_bytes + 1), value_bytes}};
    uint32_t lane = 0;
    skv_code code;
    do {
        skv_log_lock(parts->log);
        code = try_put(parts, &record, &lane, &err);
        skv_log_unlock(parts->log);
    } while (code == SKV_BUSY && (code = skv_log_tend(parts->log, &err)) == SKV_OK);
    CHECK_OK(code, &err);
    free((void *)(uintptr_t)record.value.data);
    return lane;
}

uint32_t made_parts_put(skv_parts *parts)
{
    char key[32];
    CHECK(snprintf(key, sizeof key, "key %llu", (unsigned long long)skv_log_last(parts->log) + 1) > 0);
    return made_parts_put_at(parts, key, 8);
}

void made_parts_seal(skv_parts *parts, uint32_t lane)
{
    skv_lane *at = &parts->lanes[lane];
    at->sealed = at->active;
    at->sealed_seqno = skv_log_last(parts->log);
    at->active = skv_index_create(skv_log_slots(parts->log));
    CHECK(at->active);
}

void made_parts_flush(skv_parts *parts, uint32_t lane, uint64_t applied)
{
    skv_lane *at = &parts->lanes[lane];
    if (!at->sealed)
        made_parts_seal(parts, lane);
    skv_index_release(at->sealed);
    at->sealed = NULL;
    at->generation++;
    atomic_store(&at->shard->applied_seqno, applied);
}
