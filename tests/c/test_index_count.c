/* How many keys a generation adds to what lies below: exact, asked once for each key, and after a failure still exact. */
#include "index.h"

#include "check.h"
#include "records.h"

#define KEYS 500

typedef struct {
    records *all;
    skv_index *index;
    bool below[KEYS];   /* the shard holds the key */
    uint32_t asked[KEYS];
    int8_t newest[KEYS]; /* 0: not in the index, 1: a value, -1: a delete */
    long fail_at;       /* this question fails; 0: none */
} model;

static bool ask(void *context, skv_key key, skv_code *code)
{
    model *at = context;
    uint64_t number = 0;
    for (size_t i = 0; i < key.bytes.bytes; i++)
        number = number << 8 | key.bytes.data[i];
    CHECK_EQ(key.hash, skv_key_hash(key.bytes.data, key.bytes.bytes));
    if (at->fail_at && --at->fail_at == 0) {
        *code = SKV_IO;
        return false;
    }
    at->asked[number]++;
    return at->below[number];
}

static void insert(model *at, uint64_t number, bool deletes)
{
    uint8_t bytes[8];
    skv_key key = skv_key_of(records_key(bytes, number));
    skv_position position;
    skv_record record;
    CHECK_EQ(skv_index_reserve(at->index, key.hash, 0), SKV_OK);
    position = records_put(at->all, key.bytes, deletes);
    record = records_at(at->all, position);
    skv_index_insert(at->index, key.hash, position, &record, 0);
    at->newest[number] = deletes ? -1 : 1;
}

static void check_delta(model *at)
{
    int64_t wanted = 0;
    uint64_t left = 1;
    CHECK_EQ(skv_index_resolve(at->index, UINT64_MAX, (skv_index_below){ask, at}, &left), SKV_OK);
    CHECK_EQ(left, 0);
    for (uint32_t number = 0; number < KEYS; number++) {
        if (at->newest[number])
            wanted += (at->newest[number] > 0) - (at->below[number] ? 1 : 0);
        CHECK_EQ(at->asked[number], at->newest[number] != 0);
    }
    CHECK_EQ(skv_index_delta(at->index), wanted);
}

static model *create(uint64_t *random)
{
    model *at = calloc(1, sizeof *at);
    CHECK(at);
    at->all = records_create(1 << 18);
    at->index = skv_index_create(&at->all->slots);
    CHECK(at->index);
    for (uint32_t number = 0; number < KEYS; number++)
        at->below[number] = check_random(random) % 2;
    return at;
}

static void release(model *at)
{
    skv_index_release(at->index);
    records_free(at->all);
    free(at);
}

static void test_the_delta_follows_every_put_and_delete(void)
{
    uint64_t random = check_seed();
    model *at = create(&random);
    check_delta(at);
    for (uint32_t op = 1; op <= 4000; op++) {
        uint64_t x = check_random(&random);
        insert(at, x % KEYS, (x >> 32) % 3 == 0);
        if (op < 20 || op % 250 == 0)
            check_delta(at);
    }
    check_delta(at);
    release(at);
}

static void test_a_few_at_a_time_come_to_the_same_answer(void)
{
    uint64_t random = check_seed(), left = 1;
    model *at = create(&random);
    for (uint32_t number = 0; number < KEYS; number++)
        insert(at, number, number % 5 == 0);
    CHECK_EQ(skv_index_resolve(at->index, 0, (skv_index_below){ask, at}, &left), SKV_OK);
    CHECK_EQ(left, KEYS);
    for (uint64_t wanted = KEYS; wanted > 0;) {
        CHECK_EQ(skv_index_resolve(at->index, 7, (skv_index_below){ask, at}, &left), SKV_OK);
        wanted -= wanted < 7 ? wanted : 7;
        CHECK_EQ(left, wanted);
    }
    check_delta(at);
    release(at);
}

static void test_a_question_that_fails_is_asked_again(void)
{
    uint64_t random = check_seed(), left;
    model *at = create(&random);
    for (uint32_t number = 0; number < KEYS; number++)
        insert(at, number, number % 3 == 0);
    for (long nth = 1; nth < 60; nth += 10) {
        at->fail_at = nth;
        CHECK_EQ(skv_index_resolve(at->index, UINT64_MAX, (skv_index_below){ask, at}, &left), SKV_IO);
        insert(at, (uint64_t)nth, true);
    }
    check_delta(at);
    release(at);
}

int main(void)
{
    RUN(test_the_delta_follows_every_put_and_delete);
    RUN(test_a_few_at_a_time_come_to_the_same_answer);
    RUN(test_a_question_that_fails_is_asked_again);
    return 0;
}
