/* What a sweep asks an index: when something in it expires first, and its records part by part. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "index.h"
#include "records.h"

#define KEYS 3000

static void insert(records *all, skv_index *index, uint64_t number, uint64_t expires_ms)
{
    uint8_t bytes[8];
    skv_key key = skv_key_of(records_key(bytes, number));
    skv_position position;
    skv_record record;
    CHECK_EQ(skv_index_reserve(index, key.hash, 0), SKV_OK);
    position = records_put(all, key.bytes, false);
    record = records_at(all, position);
    record.expires_ms = expires_ms; /* of the record as inserted: the index looks at no other */
    record.flags = expires_ms ? SKV_RECORD_EXPIRES : 0;
    skv_index_insert(index, key.hash, position, &record, 0);
}

static void test_the_earliest_expiry_of_what_came_since_it_was_said_last(void)
{
    records *all = records_create(1 << 16);
    skv_index *index = skv_index_create(&all->slots);
    CHECK(index);
    CHECK_EQ(skv_index_soonest(index), UINT64_MAX);
    insert(all, index, 1, 0);
    CHECK_EQ(skv_index_soonest(index), UINT64_MAX);
    insert(all, index, 2, 500);
    insert(all, index, 3, 700);
    CHECK_EQ(skv_index_soonest(index), 500);
    skv_index_expect(index, UINT64_MAX);
    insert(all, index, 1, 600);
    CHECK_EQ(skv_index_soonest(index), 600);
    skv_index_expect(index, 550);
    insert(all, index, 2, 800);
    CHECK_EQ(skv_index_soonest(index), 550);
    skv_index_release(index);
    records_free(all);
}

static void test_the_parts_hold_each_key_once(void)
{
    records *all = records_create(1 << 18);
    skv_index *index = skv_index_create(&all->slots);
    uint32_t *met = calloc(KEYS, sizeof *met), found = 0;
    CHECK(index && met);
    for (uint64_t number = 0; number < KEYS; number++)
        insert(all, index, number, 0);
    for (uint64_t number = 0; number < KEYS; number += 3)
        insert(all, index, number, 0);
    for (uint32_t part = 0; part < SKV_INDEX_PARTS; part++) {
        skv_run *run;
        CHECK_EQ(skv_index_copy_part(index, part, &run), SKV_OK);
        for (uint32_t i = 0; run && i < run->count; i++) {
            skv_record record = records_at(all, run->positions[i]);
            uint64_t number = 0;
            for (size_t byte = 0; byte < record.key.bytes; byte++)
                number = number << 8 | record.key.data[byte];
            CHECK_EQ(met[number]++, 0);
            found++;
        }
        skv_run_release(run);
    }
    CHECK_EQ(found, KEYS);
    free(met);
    skv_index_release(index);
    records_free(all);
}

int main(void)
{
    RUN(test_the_earliest_expiry_of_what_came_since_it_was_said_last);
    RUN(test_the_parts_hold_each_key_once);
    return 0;
}
