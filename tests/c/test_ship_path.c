/* Shipping: frames of one store's log become frames of another's, verified, indexed, whole or not at all. */
#include "ship_path.h"

#include <errno.h>
#include <string.h>

#include "check.h"
#include "log_state.h"
#include "logs.h"
#include "made_parts.h"
#include "memory.h"
#include "os.h"
#include "scratch.h"

#define FROM "shipped from"
#define TO "shipped to"
#define LANES 3
#define SLICE_NS (20 * SKV_NS_PER_MS)

typedef struct {
    int from_dir, to_dir;
    skv_parts *from, *to;
    skv_shipment shipment;
} world;

static world begin(uint64_t from_bytes, uint64_t to_bytes)
{
    skv_error err = {0};
    world at = {.from_dir = scratch_make(FROM), .to_dir = scratch_make(TO)};
    at.from = made_parts_create(at.from_dir, LANES, from_bytes);
    at.to = made_parts_create(at.to_dir, LANES, to_bytes);
    CHECK_OK(skv_ship_begin(at.from, at.to, &at.shipment, &err), &err);
    return at;
}

static void end(world *at)
{
    skv_ship_end(&at->shipment);
    made_parts_free(at->from);
    made_parts_free(at->to);
    scratch_remove(at->from_dir, FROM);
    scratch_remove(at->to_dir, TO);
}

/* Close the frame, as a sync does when it begins, without syncing. */
static void close_frame(skv_log *log)
{
    skv_log_lock(log);
    skv_log_close_frame(log);
    log->closed_seqno = log->next_seqno - 1;
    skv_log_unlock(log);
}

/* Puts keys "key n" as one frame, durable. */
static void put_frame(skv_parts *parts, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        (void)made_parts_put(parts);
    logs_sync(parts->log);
}

/* With a tend whenever there is no room. */
static skv_code ship_one(world *at, skv_error *err)
{
    skv_code code = skv_ship_take(&at->shipment, true, err);
    if (code != SKV_OK)
        return code;
    while ((code = skv_ship_put(&at->shipment, 0, err)) == SKV_BUSY)
        CHECK_OK(skv_log_tend(at->to->log, err), err);
    return code;
}

static void ship_all(world *at)
{
    skv_error err = {0};
    skv_code code = SKV_OK;
    while (code == SKV_OK)
        code = ship_one(at, &err);
    CHECK_EQ(code, SKV_AGAIN);
}

/* The newest record of each key "key 1" ... is found in the lane where it belongs. */
static void check_index(skv_parts *parts, uint64_t upto)
{
    for (uint64_t seqno = 1; seqno <= upto; seqno++) {
        char name[32];
        int bytes = snprintf(name, sizeof name, "key %llu", (unsigned long long)seqno);
        skv_key key = skv_key_of(skv_slice_at(name, (size_t)bytes));
        skv_position position;
        skv_record record;
        CHECK(skv_lane_find(skv_parts_lane(parts, key), key, &position, &record));
        CHECK_EQ(record.seqno, seqno);
        CHECK(skv_record_verify(&record));
    }
}

static uint64_t keys_of(const skv_parts *parts)
{
    uint64_t keys = 0;
    for (uint32_t i = 0; i < LANES; i++)
        keys += skv_index_measure(parts->lanes[i].active).keys;
    return keys;
}

static uint64_t heap_of(const skv_parts *parts)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < LANES; i++)
        bytes += skv_index_measure(parts->lanes[i].active).heap_bytes;
    return bytes;
}

static void test_records_arrive_with_their_seqnos_indexed_and_counted(void)
{
    world at = begin(SKV_PAGE_BYTES, SKV_PAGE_BYTES);
    uint64_t bytes = 0;
    skv_error err = {0};
    CHECK_EQ(skv_ship_take(&at.shipment, true, &err), SKV_AGAIN);
    for (uint64_t group = 1; group <= 40; group++) {
        put_frame(at.from, group % 9 + 1); /* two, at the end of a segment */
        while (ship_one(&at, &err) == SKV_OK) {
            bytes += at.shipment.body_bytes;
            CHECK_EQ(skv_log_last(at.to->log) + 1, at.shipment.first_seqno + at.shipment.count);
        }
        CHECK_EQ(skv_log_last(at.to->log), skv_log_last(at.from->log));
    }
    CHECK_EQ(atomic_load(&at.to->pressure.unflushed_bytes), bytes);
    CHECK_EQ(skv_log_last_disk(at.to->log), skv_log_last(at.to->log)); /* somebody waits for its sync */
    check_index(at.to, skv_log_last(at.from->log));
    CHECK_EQ(keys_of(at.to), skv_log_last(at.from->log));
    logs_sync(at.to->log);
    end(&at);
}

static void test_shipping_begins_behind_what_the_peer_has(void)
{
    world at = begin(SKV_PAGE_BYTES, SKV_PAGE_BYTES);
    uint64_t sent;
    skv_error err = {0};
    put_frame(at.from, 5);
    CHECK_OK(ship_one(&at, &err), &err);
    put_frame(at.from, 7);
    skv_ship_end(&at.shipment);
    CHECK_OK(skv_ship_begin(at.from, at.to, &at.shipment, &err), &err);
    CHECK_OK(skv_ship_take(&at.shipment, true, &err), &err);
    sent = at.shipment.first_seqno;
    CHECK_EQ(sent, 6);
    CHECK_EQ(at.shipment.count, 7);
    end(&at);
}

static void test_a_frame_whose_sync_is_under_way_is_taken_by_who_reads_ahead_alone(void)
{
    world at = begin(SKV_PAGE_BYTES, SKV_PAGE_BYTES);
    skv_error err = {0};
    (void)made_parts_put(at.from);
    close_frame(at.from->log);
    CHECK_EQ(skv_ship_take(&at.shipment, false, &err), SKV_AGAIN);
    skv_memory_fail(1, 0);
    CHECK_EQ(skv_ship_take(&at.shipment, true, &err), SKV_NO_MEMORY);
    skv_memory_fail(0, 0);
    CHECK_OK(skv_ship_take(&at.shipment, true, &err), &err); /* that there was no room for it did not pass it by */
    CHECK_EQ(at.shipment.count, 1);
    end(&at);
}

/* Read before its sync has verified anything: what is damaged in memory goes no further. */
static void test_a_record_that_is_damaged_on_its_way_is_refused(void)
{
    static const size_t inside[] = {SKV_RECORD_CHECKSUM, SKV_RECORD_STAMP, SKV_RECORD_STAMP + 1, SKV_RECORD_VALUE_BYTES + 3,
                                    SKV_RECORD_KEY_BYTES + 1, SKV_RECORD_HEADER_BYTES};
    const size_t number = SKV_FRAME_HEADER_BYTES - SKV_FRAME_FIRST_SEQNO; /* before the record: that of its frame */
    world at = begin(16 * SKV_PAGE_BYTES, 16 * SKV_PAGE_BYTES);
    skv_segment *segment = at.from->log->active;
    size_t record = segment->end + SKV_FRAME_HEADER_BYTES;
    (void)made_parts_put(at.from);
    (void)made_parts_put(at.from);
    close_frame(at.from->log);
    for (size_t i = 0; i <= sizeof inside / sizeof inside[0]; i++) {
        skv_error err = {0};
        uint8_t *byte = segment->base + (i ? record + inside[i - 1] : record - number);
        *byte ^= i ? 1 : 3;
        CHECK_EQ(skv_ship_take(&at.shipment, true, &err), SKV_CORRUPT);
        CHECK_EQ(err.code, SKV_CORRUPT);
        CHECK_EQ(err.seqno, i ? 1 : 2);
        *byte ^= i ? 1 : 3;
        skv_ship_end(&at.shipment);
        CHECK_OK(skv_ship_begin(at.from, at.to, &at.shipment, &err), &err);
    }
    ship_all(&at);
    check_index(at.to, 2);
    end(&at);
}

static void test_a_frame_that_is_not_the_next_one_is_refused(void)
{
    world at = begin(SKV_PAGE_BYTES, SKV_PAGE_BYTES);
    skv_error err = {0};
    put_frame(at.from, 3);
    CHECK_OK(skv_ship_take(&at.shipment, true, &err), &err);
    (void)made_parts_put(at.to); /* somebody else appended */
    CHECK_EQ(skv_ship_put(&at.shipment, SLICE_NS, &err), SKV_CORRUPT);
    CHECK_EQ(err.seqno, 1);
    CHECK_EQ(skv_log_last(at.to->log), 1);
    end(&at);
}

static void test_what_is_gone_is_told(void)
{
    world at = begin(SKV_PAGE_BYTES, SKV_PAGE_BYTES);
    skv_error err = {0};
    put_frame(at.from, 200);
    skv_log_retire(at.from->log, 201, 0);
    CHECK_OK(logs_mark(at.from->log, &err), &err);
    CHECK_EQ(skv_ship_take(&at.shipment, true, &err), SKV_LOG_GONE);
    end(&at);
}

/* Room in the log, then room in the budget: after a slice it is to be called again, and the frame comes once. */
static void test_without_room_it_is_to_be_called_again(void)
{
    world at = begin((uint64_t)1 << 20, SKV_PAGE_BYTES);
    skv_error err = {0};
    skv_code code;
    do {
        put_frame(at.from, 10);
        CHECK_OK(skv_ship_take(&at.shipment, true, &err), &err);
        code = skv_ship_put(&at.shipment, SLICE_NS, &err);
    } while (code == SKV_OK);
    CHECK_EQ(code, SKV_BUSY);
    CHECK_EQ(skv_log_last(at.to->log) + 10, skv_log_last(at.from->log));
    CHECK_OK(skv_log_tend(at.to->log, &err), &err);
    CHECK_OK(skv_ship_put(&at.shipment, SLICE_NS, &err), &err);
    put_frame(at.from, 1);
    CHECK_OK(skv_ship_take(&at.shipment, true, &err), &err);
    atomic_store(&at.to->pressure.unflushed_bytes, atomic_load(&at.to->pressure.budget_bytes));
    CHECK_EQ(skv_ship_put(&at.shipment, SLICE_NS, &err), SKV_BUSY);
    atomic_store(&at.to->pressure.unflushed_bytes, 0);
    CHECK_OK(skv_ship_put(&at.shipment, SLICE_NS, &err), &err);
    CHECK_EQ(skv_log_last(at.to->log), skv_log_last(at.from->log));
    CHECK_EQ(keys_of(at.to), skv_log_last(at.to->log));
    end(&at);
}

static void test_a_peer_that_cannot_flush_or_write_says_so(void)
{
    world at = begin(SKV_PAGE_BYTES, SKV_PAGE_BYTES);
    skv_error err = {0}, why = {0};
    put_frame(at.from, 3);
    CHECK_OK(skv_ship_take(&at.shipment, true, &err), &err);
    (void)skv_fail(&why, SKV_FULL, "no space");
    atomic_store(&at.to->pressure.unflushed_bytes, atomic_load(&at.to->pressure.budget_bytes));
    skv_pressure_fail(&at.to->pressure, SKV_FULL, &why);
    CHECK_EQ(skv_ship_put(&at.shipment, SLICE_NS, &err), SKV_FULL);
    CHECK(strstr(err.text, "the peer's flushes fail") && strstr(err.text, "no space"));
    atomic_store(&at.to->pressure.unflushed_bytes, 0);
    skv_pressure_forget(&at.to->pressure);
    (void)skv_fail(&why, SKV_IO, "a broken disk");
    skv_log_lock(at.to->log);
    skv_log_poison(at.to->log, SKV_IO, &why);
    skv_log_unlock(at.to->log);
    CHECK_EQ(skv_ship_put(&at.shipment, SLICE_NS, &err), SKV_POISONED);
    CHECK_EQ(skv_log_last(at.to->log), 0);
    CHECK_EQ(keys_of(at.to), 0);
    end(&at);
}

/* More records than there is room for at first, longer frames than are kept in memory, and short ones again. */
static void test_frames_of_any_length_are_taken_and_long_ones_take_memory_only_meanwhile(void)
{
    world at = begin((uint64_t)4 << 20, (uint64_t)4 << 20);
    skv_error err = {0};
    char key[16];
    put_frame(at.from, 3000);
    ship_all(&at);
    check_index(at.to, 3000);
    CHECK_EQ(at.shipment.capacity, 1 << 20);
    for (int i = 0; i < 3; i++) {
        CHECK(snprintf(key, sizeof key, "long %d", i) > 0);
        (void)made_parts_put_at(at.from, key, 600000);
    }
    logs_sync(at.from->log);
    CHECK_OK(ship_one(&at, &err), &err);
    CHECK(at.shipment.capacity >= 1800000);
    put_frame(at.from, 1);
    ship_all(&at);
    CHECK_EQ(at.shipment.capacity, 1 << 20);
    CHECK_EQ(skv_log_last(at.to->log), 3004);
    end(&at);
}

static void test_what_a_snapshot_sees_stays_findable(void)
{
    world at = begin(SKV_PAGE_BYTES, SKV_PAGE_BYTES);
    skv_key key = skv_key_of(skv_slice_at("key", 3));
    const skv_lane *lane = skv_parts_lane(at.to, key);
    const skv_cut cut = {NULL, 1};
    skv_position position;
    skv_record record;
    (void)made_parts_put_at(at.from, "key", 1);
    logs_sync(at.from->log);
    ship_all(&at);
    at.to->cuts = &cut;
    (void)made_parts_put_at(at.from, "key", 1);
    logs_sync(at.from->log);
    ship_all(&at);
    CHECK(skv_index_find(lane->active, key, 1, &position, &record));
    CHECK_EQ(record.seqno, 1);
    CHECK(skv_index_find(lane->active, key, UINT64_MAX, &position, &record));
    CHECK_EQ(record.seqno, 2);
    end(&at);
}

/* The n-th allocation fails: nothing of the frame is there then, and it comes when called again. */
static void test_without_memory_a_frame_is_absent_and_can_be_put_again(void)
{
    bool met = true;
    long nth;
    for (nth = 1; met; nth += 1 + nth / 16) {
        world at = begin((uint64_t)1 << 16, (uint64_t)1 << 16);
        skv_error err = {0};
        skv_code code;
        put_frame(at.from, 300);
        skv_memory_fail(nth, 0);
        code = skv_ship_take(&at.shipment, true, &err);
        if (code == SKV_OK)
            code = skv_ship_put(&at.shipment, SLICE_NS, &err);
        met = skv_memory_count() >= nth;
        skv_memory_fail(0, 0);
        CHECK_EQ(code, met ? SKV_NO_MEMORY : SKV_OK);
        if (met) {
            CHECK_EQ(skv_log_last(at.to->log), 0);
            CHECK_EQ(keys_of(at.to), 0);
            skv_ship_end(&at.shipment);
            CHECK_OK(skv_ship_begin(at.from, at.to, &at.shipment, &err), &err);
            ship_all(&at);
        }
        check_index(at.to, 300);
        end(&at);
    }
    CHECK(nth > 100);
}

/* What an attempt reserved in the index before it ran out of memory is given back. */
static void test_a_put_that_fails_again_and_again_reserves_nothing(void)
{
    world at = begin((uint64_t)1 << 16, (uint64_t)1 << 16);
    skv_error err = {0};
    long needed = 0;
    skv_code code;
    put_frame(at.from, 300);
    CHECK_OK(skv_ship_take(&at.shipment, true, &err), &err);
    do { /* fails often at the same record, then comes one allocation further */
        for (int i = 0; i < 40; i++) {
            skv_memory_fail(i < 39 ? 1 : 2, 1);
            code = skv_ship_put(&at.shipment, SLICE_NS, &err);
            skv_memory_fail(0, 0);
            if (code == SKV_OK)
                break;
            CHECK_EQ(code, SKV_NO_MEMORY);
        }
    } while (code != SKV_OK && ++needed < 1000);
    CHECK_OK(code, &err);
    CHECK_EQ(heap_of(at.to), heap_of(at.from));
    check_index(at.to, 300);
    end(&at);
}

int main(void)
{
    RUN(test_records_arrive_with_their_seqnos_indexed_and_counted);
    RUN(test_shipping_begins_behind_what_the_peer_has);
    RUN(test_a_frame_whose_sync_is_under_way_is_taken_by_who_reads_ahead_alone);
    RUN(test_a_record_that_is_damaged_on_its_way_is_refused);
    RUN(test_a_frame_that_is_not_the_next_one_is_refused);
    RUN(test_what_is_gone_is_told);
    RUN(test_without_room_it_is_to_be_called_again);
    RUN(test_a_peer_that_cannot_flush_or_write_says_so);
    RUN(test_frames_of_any_length_are_taken_and_long_ones_take_memory_only_meanwhile);
    RUN(test_what_a_snapshot_sees_stays_findable);
    RUN(test_without_memory_a_frame_is_absent_and_can_be_put_again);
    RUN(test_a_put_that_fails_again_and_again_reserves_nothing);
    return 0;
}
