/* What is left of several logs, as one: each seqno once, in order, from the best run that has it. */
#include "remnants.h"

#include <string.h>

#include "check.h"
#include "memory.h"

#define SEQNOS 64
#define RUNS 12
#define PARTS 3

/* A run as records in memory; the value of each says which run it is of. */
typedef struct {
    uint8_t bytes[SEQNOS * 32];
} body;

typedef struct {
    skv_remnant runs[RUNS];
    body bodies[RUNS];
    skv_log_remains remains;
} log_of;

/* Records from..last; count from `first` on. */
static skv_remnant fill(body *out, uint8_t tag, uint64_t from, uint64_t first, uint64_t last, skv_remnant_rank rank)
{
    size_t at = 0;
    for (uint64_t seqno = from; seqno <= last; seqno++) {
        skv_record record = {.key = {(const uint8_t *)"key", 3}, .value = {&tag, 1}, .seqno = seqno};
        at += skv_record_encode(out->bytes + at, &record);
        CHECK(at <= sizeof out->bytes);
    }
    return (skv_remnant){.first_seqno = first, .last_seqno = last, .records = out->bytes, .rank = rank};
}

static void add(log_of *log, uint8_t tag, uint64_t first, uint64_t last, skv_remnant_rank rank)
{
    size_t at = log->remains.count++;
    CHECK(at < RUNS);
    log->runs[at] = fill(&log->bodies[at], tag, first, first, last, rank);
    log->remains.runs = log->runs;
}

static skv_remnants gather(const skv_remnants_part *parts, size_t count)
{
    skv_error err = {0};
    skv_remnants all;
    CHECK_OK(skv_remnants_gather(parts, count, &all, &err), &err);
    return all;
}

/* What a visit saw: the tag of each seqno. */
typedef struct {
    uint8_t tags[SEQNOS];
    uint64_t last, refuse;
} seen;

static skv_code see(void *context, const skv_record *record, skv_error *err)
{
    seen *out = context;
    (void)err;
    CHECK(record->seqno > out->last); /* in order, once */
    out->last = record->seqno;
    out->tags[record->seqno] = record->value.data[0];
    return record->seqno == out->refuse ? SKV_BUSY : SKV_OK;
}

static seen visit(const skv_remnants *all, uint64_t from, uint64_t upto, uint64_t refuse)
{
    seen out = {.refuse = refuse};
    skv_error err = {0};
    skv_code code = skv_remnants_visit(all, from, upto, (skv_remnants_taker){see, &out}, &err);
    CHECK_EQ(code, refuse && out.tags[refuse] ? SKV_BUSY : SKV_OK);
    return out;
}

/* best: the rank of each seqno, SKV_REMNANT_RANKS where there is none. */
static void check_unbroken(const skv_remnants *all, const uint8_t best[SEQNOS])
{
    for (uint64_t upto = 1; upto < SEQNOS; upto++) {
        uint64_t first = upto + 1;
        while (first > 1 && best[first - 1] < SKV_REMNANT_RANKS)
            first--;
        CHECK_EQ(skv_remnants_unbroken(all, upto), first);
    }
}

/* Any runs of any rank in up to three logs, believed up to any seqno: against a search through all of them for each seqno. */
static void test_each_seqno_comes_once_from_a_run_of_the_best_rank_that_has_it(void)
{
    static log_of logs[PARTS];
    uint64_t random = check_seed();
    for (int round = 0; round < 400; round++) {
        skv_remnants_part parts[PARTS];
        uint8_t best[SEQNOS];
        skv_remnants all;
        memset(logs, 0, sizeof logs);
        memset(best, SKV_REMNANT_RANKS, sizeof best);
        for (int i = 0; i < PARTS; i++) {
            uint64_t upto = check_random(&random) % 4 ? UINT64_MAX : check_random(&random) % SEQNOS;
            for (uint64_t n = check_random(&random) % RUNS; n > 0; n--) {
                uint64_t first = 1 + check_random(&random) % (SEQNOS - 1), last = first + check_random(&random) % 12;
                uint8_t rank = (uint8_t)(check_random(&random) % SKV_REMNANT_RANKS);
                last = last < SEQNOS ? last : SEQNOS - 1;
                add(&logs[i], (uint8_t)(rank + 1), first, last, rank);
                for (uint64_t seqno = first; seqno <= last && seqno <= upto; seqno++)
                    best[seqno] = rank < best[seqno] ? rank : best[seqno];
            }
            parts[i] = (skv_remnants_part){&logs[i].remains, upto};
        }
        all = gather(parts, PARTS);
        for (uint64_t from = 1; from < SEQNOS; from += 1 + check_random(&random) % 9) {
            uint64_t upto = from + check_random(&random) % (SEQNOS - from);
            seen out = visit(&all, from, upto, 0);
            for (uint64_t seqno = 1; seqno < SEQNOS; seqno++)
                CHECK_EQ(out.tags[seqno],
                         seqno >= from && seqno <= upto && best[seqno] < SKV_REMNANT_RANKS ? best[seqno] + 1 : 0);
        }
        check_unbroken(&all, best);
        for (size_t n = 0; n < all.ends[SKV_REMNANT_STRAY]; n++) /* what is not believed is no run */
            CHECK(all.runs[n].first_seqno <= all.runs[n].last_seqno);
        skv_remnants_free(&all);
    }
}

static void test_a_run_may_begin_with_records_that_do_not_count(void)
{
    static body bytes;
    skv_remnant run = fill(&bytes, 5, 3, 6, 9, SKV_REMNANT_RECORD);
    skv_log_remains remains = {.runs = &run, .count = 1};
    skv_remnants_part part = {&remains, UINT64_MAX};
    skv_remnants all = gather(&part, 1);
    seen out = visit(&all, 1, 20, 0);
    for (uint64_t seqno = 1; seqno < 20; seqno++)
        CHECK_EQ(out.tags[seqno], seqno >= 6 && seqno <= 9 ? 5 : 0);
    CHECK_EQ(skv_remnants_unbroken(&all, 9), 6);
    CHECK_EQ(skv_remnants_unbroken(&all, 10), 11);
    skv_remnants_free(&all);
}

static void test_what_take_answers_ends_the_visit(void)
{
    static log_of log;
    skv_remnants_part part = {&log.remains, UINT64_MAX};
    skv_remnants all;
    add(&log, 1, 1, 4, SKV_REMNANT_FRAME);
    add(&log, 1, 5, 9, SKV_REMNANT_FRAME);
    all = gather(&part, 1);
    for (uint64_t refuse = 1; refuse <= 9; refuse++)
        CHECK_EQ(visit(&all, 1, 9, refuse).last, refuse);
    skv_remnants_free(&all);
}

/* Behind what is proven only whole frames count that follow from the header of their segment, one from the other. */
static void test_the_tail_is_of_frames_that_follow_one_from_the_other(void)
{
    static log_of log;
    skv_remnants_part part = {&log.remains, UINT64_MAX};
    skv_remnants all;
    add(&log, 1, 1, 4, SKV_REMNANT_FRAME);
    add(&log, 1, 5, 6, SKV_REMNANT_FRAME);
    add(&log, 1, 7, 8, SKV_REMNANT_RECORD);
    add(&log, 1, 9, 12, SKV_REMNANT_FRAME);
    add(&log, 1, 14, 15, SKV_REMNANT_FRAME);
    for (int i = 0; i < 5; i++)
        log.runs[i].joined = true;
    all = gather(&part, 1);
    CHECK_EQ(skv_remnants_tail(&all, 0), 6);
    CHECK_EQ(skv_remnants_tail(&all, 5), 6);
    CHECK_EQ(skv_remnants_tail(&all, 7), 7);
    CHECK_EQ(skv_remnants_tail(&all, 8), 12); /* 7 and 8 are proven, whoever has them */
    CHECK_EQ(skv_remnants_tail(&all, 10), 12);
    CHECK_EQ(skv_remnants_tail(&all, 13), 15);
    CHECK_EQ(skv_remnants_tail(&all, 40), 40);
    skv_remnants_free(&all);
    log.runs[1].joined = false;
    all = gather(&part, 1);
    CHECK_EQ(skv_remnants_tail(&all, 0), 4);
    skv_remnants_free(&all);
    part.upto = 3; /* believed up to there */
    all = gather(&part, 1);
    CHECK_EQ(skv_remnants_tail(&all, 0), 3);
    skv_remnants_free(&all);
}

static void test_of_nothing_there_is_nothing(void)
{
    skv_log_remains none = {0};
    skv_remnants_part part = {&none, UINT64_MAX};
    for (size_t count = 0; count <= 1; count++) {
        skv_remnants all = gather(&part, count);
        CHECK_EQ(visit(&all, 1, UINT64_MAX, 0).last, 0);
        CHECK_EQ(skv_remnants_unbroken(&all, 5), 6);
        CHECK_EQ(skv_remnants_tail(&all, 5), 5);
        skv_remnants_free(&all);
    }
    {
        skv_error err = {0};
        skv_remnants all;
        skv_memory_fail(1, 0);
        CHECK_EQ(skv_remnants_gather(&part, 1, &all, &err), SKV_NO_MEMORY);
        skv_memory_fail(0, 0);
        skv_remnants_free(&all);
    }
}

int main(void)
{
    RUN(test_each_seqno_comes_once_from_a_run_of_the_best_rank_that_has_it);
    RUN(test_a_run_may_begin_with_records_that_do_not_count);
    RUN(test_what_take_answers_ends_the_visit);
    RUN(test_the_tail_is_of_frames_that_follow_one_from_the_other);
    RUN(test_of_nothing_there_is_nothing);
    return 0;
}
