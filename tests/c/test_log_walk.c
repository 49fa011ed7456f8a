/* A walk sees every record behind its place, once and in order, wherever frames and segments end. */
#include "log_walk.h"

#include "check.h"
#include "logs.h"
#include "scratch.h"

#define PLACES 40

typedef struct {
    uint64_t next_seqno;
    uint64_t most; /* stop behind so many */
} seen;

static bool see(void *context, const skv_record *record)
{
    seen *at = context;
    CHECK_EQ(record->seqno, at->next_seqno);
    CHECK(skv_record_verify(record));
    at->next_seqno++;
    return --at->most > 0;
}

static skv_log_place end_of(skv_log *log)
{
    skv_log_place place;
    skv_log_lock(log);
    place = skv_log_end(log);
    skv_log_unlock(log);
    return place;
}

/* Walk from the place to the end, in one go or in two. */
static void check_walk(skv_log *log, skv_log_place place, uint64_t first_steps)
{
    uint64_t last = end_of(log).seqno, left = last - place.seqno;
    seen at = {.next_seqno = place.seqno + 1, .most = first_steps};
    bool whole = skv_log_walk(log, &place, see, &at);
    CHECK_EQ(whole, left < first_steps);
    CHECK_EQ(place.seqno, whole ? last : last - left + first_steps);
    CHECK_EQ(place.seqno + 1, at.next_seqno);
    at.most = UINT64_MAX;
    skv_log_lock(log);
    CHECK(skv_log_walk_locked(log, &place, see, &at));
    skv_log_unlock(log);
    CHECK_EQ(at.next_seqno, last + 1);
    CHECK(skv_log_walk(log, &place, see, &at)); /* there is no more */
    CHECK_EQ(at.next_seqno, last + 1);
}

static void test_walks_from_random_places_see_everything_behind_them(void)
{
    uint64_t random = check_seed();
    int dir = scratch_make("walk");
    skv_log *log = logs_found(dir, logs_small);
    skv_log_place places[PLACES];
    for (int i = 0; i < PLACES; i++) {
        uint64_t steps = check_random(&random) % 12;
        places[i] = end_of(log);
        for (uint64_t step = 0; step < steps; step++)
            if (check_random(&random) % 4)
                logs_append(log, 1, 1 + check_random(&random) % 9);
            else
                logs_sync(log);
        for (int from = 0; from <= i; from++)
            check_walk(log, places[from], 1 + check_random(&random) % 60);
    }
    skv_log_free(log);
    scratch_remove(dir, "walk");
}

static void test_a_walk_goes_through_segments_that_hold_nothing(void)
{
    skv_error err;
    int dir = scratch_make("walk");
    skv_log *log = logs_found(dir, logs_small);
    skv_log_place place = end_of(log);
    logs_append(log, 1, 3);
    for (int i = 0; i < 3; i++) { /* room is made for more and more, and never used */
        size_t bytes = (size_t)8192 << i;
        skv_log_lock(log);
        while (skv_log_reserve(log, bytes, &err) == SKV_BUSY) {
            skv_log_unlock(log);
            CHECK_OK(skv_log_tend(log, &err), &err);
            skv_log_lock(log);
        }
        skv_log_unlock(log);
    }
    logs_append(log, 1, 3);
    check_walk(log, place, 2);
    check_walk(log, place, 100);
    skv_log_free(log);
    scratch_remove(dir, "walk");
}

static void test_a_segment_without_a_record_behind_the_place_may_go(void)
{
    skv_error err;
    int dir = scratch_make("walk");
    skv_log *log = logs_found(dir, logs_small);
    skv_log_place place;
    uint64_t id;
    logs_append(log, 1, 1);
    id = end_of(log).segment_id;
    do {
        place = end_of(log);
        logs_append(log, 1, 1);
    } while (end_of(log).segment_id == id); /* now the place is the very end of its segment */
    CHECK_EQ(place.segment_id, id);
    logs_sync(log);
    skv_log_retire(log, place.seqno + 1, 0);
    CHECK_OK(skv_log_tend(log, &err), &err);
    check_walk(log, place, 1);
    logs_append(log, 1, 100);
    check_walk(log, place, 100);
    skv_log_free(log);
    scratch_remove(dir, "walk");
}

int main(void)
{
    RUN(test_walks_from_random_places_see_everything_behind_them);
    RUN(test_a_walk_goes_through_segments_that_hold_nothing);
    RUN(test_a_segment_without_a_record_behind_the_place_may_go);
    return 0;
}
