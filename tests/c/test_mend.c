/* What the copies of a store have together: which of their files count, up to where each has the log, and where it ends. */
#include "mend.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "hash.h"
#include "memory.h"
#include "pages.h"
#include "scratch.h"

#define PLACE "mending"
#define EVERYTHING UINT64_MAX

static const uint8_t our_id[SKV_STORE_ID_BYTES] = "a store for test";
static const uint8_t other_id[SKV_STORE_ID_BYTES] = "of another store";
static const pages_tree none = {.root = PAGES_NONE};

/* Two shards in two copies, of which nothing is there yet. */
typedef struct {
    int dirs[2];
    skv_mend mend;
    skv_mend_shard shards[2];
    uint8_t log[4096];
    size_t log_end;
    skv_remnant runs[2][32];
} world;

static world *begin(void)
{
    static const char *const names[] = {PLACE " a", PLACE " b"};
    world *at = calloc(1, sizeof *at);
    skv_error err = {0};
    CHECK(at);
    at->mend.count = 2;
    at->mend.manifest.shards = 2;
    at->mend.shards = at->shards;
    for (int i = 0; i < 2; i++) {
        skv_remains *copy = &at->mend.copies[i];
        at->dirs[i] = scratch_make(names[i]);
        CHECK_EQ(mkdirat(at->dirs[i], "shards", 0700), 0);
        CHECK_EQ(mkdirat(at->dirs[i], "shards/0000", 0700), 0);
        CHECK_EQ(mkdirat(at->dirs[i], "shards/0001", 0700), 0);
        copy->dir = at->dirs[i];
        memcpy(copy->store_id, our_id, SKV_STORE_ID_BYTES);
        copy->log.runs = at->runs[i];
        copy->log.oldest_seqno = UINT64_MAX;
        at->mend.upto[i] = EVERYTHING;
    }
    CHECK_OK(skv_ring_create(NULL, 2, &at->mend.ring, &err), &err);
    at->mend.plan.ring = at->mend.ring;
    return at;
}

static void end(world *at)
{
    for (int i = 0; i < 2; i++) {
        for (int n = 0; n < 2; n++)
            skv_pages_free(at->shards[i].pages[n]);
        skv_release(at->shards[i].views);
        scratch_remove(at->dirs[i], i ? PLACE " b" : PLACE " a");
    }
    skv_known_free(&at->mend.known);
    skv_remnants_free(&at->mend.log);
    skv_ring_free(at->mend.ring);
    free(at);
}

/* A copy's file of a shard that claims to have applied so much, unless no id is given; with one record of this seqno when it is not
 * 0. */
static void put_shard(world *at, int copy, uint32_t number, const uint8_t *id, uint64_t applied, uint64_t seqno)
{
    pages_file *file = calloc(1, sizeof *file);
    skv_shard_claim claim = {.number = number, .applied_seqno = applied, .all = {.count = 9}};
    char key[16];
    uint64_t leaf;
    CHECK(file);
    pages_begin(file);
    leaf = pages_add(file, PAGES_LEAF);
    if (id) {
        memcpy(claim.store_id, id, SKV_STORE_ID_BYTES);
        pages_put_claim(file, leaf, &claim);
    }
    for (int n = 0; seqno; n++) {
        int bytes = snprintf(key, sizeof key, "key %d", n);
        skv_record record = {.key = skv_slice_at(key, (size_t)bytes), .seqno = seqno};
        if (skv_ring_route(at->mend.ring, skv_key_hash(record.key.data, record.key.bytes)) != number)
            continue;
        pages_put_record(file, leaf, &record);
        break;
    }
    pages_meta(file, 0, 1, none, (pages_tree){.leaves = 1, .root = leaf});
    pages_write(file, at->dirs[copy], number ? "shards/0001/data.mdb" : "shards/0000/data.mdb");
    free(file);
}

/* Records of a copy's log, each a frame of its own. */
static void add_log(world *at, int copy, uint64_t first, uint64_t last)
{
    skv_log_remains *log = &at->mend.copies[copy].log;
    for (uint64_t seqno = first; seqno <= last; seqno++) {
        skv_record record = {.key = skv_slice_at("key", 3), .seqno = seqno};
        uint8_t *to = at->log + at->log_end;
        CHECK(at->log_end + skv_record_bytes(&record) <= sizeof at->log && log->count < 32);
        at->log_end += skv_record_encode(to, &record);
        at->runs[copy][log->count++] = (skv_remnant){seqno, seqno, to, SKV_REMNANT_FRAME, true};
    }
}

static void settle(world *at)
{
    skv_error err = {0};
    for (uint32_t i = 0; i < 2; i++)
        CHECK_OK(skv_mend_survey(&at->mend, i, &err), &err);
    CHECK_OK(skv_mend_settle(&at->mend, &err), &err);
}

static uint64_t upto_of(const world *at, uint32_t shard)
{
    const skv_mend_view *newest = skv_mend_newest(&at->shards[shard], false);
    return newest ? newest->upto : 0;
}

/* The stretches of the log that are missing behind `after`, as "3-4 7-7 ". */
static void check_gaps(const world *at, uint64_t after, const char *wanted)
{
    char found[100] = "", word[40];
    uint64_t first, last = after;
    while (skv_known_gap(&at->mend.known, last, &first, &last)) {
        CHECK(snprintf(word, sizeof word, "%d-%d ", (int)first, (int)last) > 0);
        CHECK(strlen(found) + strlen(word) < sizeof found);
        (void)strcat(found, word);
    }
    if (strcmp(found, wanted) != 0)
        (void)fprintf(stderr, "found %s\n", found);
    CHECK(strcmp(found, wanted) == 0);
}

static void test_files_of_another_store_or_of_another_history_count_for_nothing(void)
{
    for (int how = 0; how < 4; how++) {
        world *at = begin();
        skv_error err = {0};
        at->mend.upto[1] = how ? 7 : EVERYTHING;
        put_shard(at, 0, 0, our_id, 5, 0);
        put_shard(at, 1, 0, how ? our_id : other_id, how == 1 ? 8 : 7, how == 2 ? 8 : how == 3 ? 7 : 0);
        CHECK_OK(skv_mend_survey(&at->mend, 0, &err), &err);
        CHECK_EQ(upto_of(at, 0), how == 3 ? 7 : 5);
        for (uint32_t i = 0; i < at->shards[0].count; i++)
            CHECK(how == 3 || at->shards[0].views[i].copy == 0);
        end(at);
    }
}

static void test_a_file_that_does_not_say_whose_it_is_counts_for_its_records(void)
{
    world *at = begin();
    put_shard(at, 1, 0, NULL, 0, 4);
    settle(at);
    CHECK(at->shards[0].count > 0);
    CHECK_EQ(at->shards[0].views[0].found.count, 1);
    CHECK_EQ(at->mend.plan.last_seqno, 4);
    end(at);
}

static void test_the_log_goes_on_to_what_anything_proves_and_what_follows_from_it(void)
{
    for (int how = 0; how < 5; how++) {
        static const uint64_t ends[] = {6, 9, 12, 6, 7};
        world *at = begin();
        put_shard(at, 0, 0, our_id, how == 1 ? 9 : 3, how == 2 ? 12 : 0); /* a shard's claim, or its newest record */
        put_shard(at, 1, 1, our_id, 2, 0);
        add_log(at, 0, 3, 6);
        at->mend.copies[1].log.proven_seqno = how == 3 ? 11 : how == 4 ? 7 : 0;
        if (how == 3) { /* it is of another history from there on */
            at->mend.upto[1] = 4;
            add_log(at, 1, 7, 8);
        }
        settle(at);
        CHECK_EQ(at->mend.plan.last_seqno, ends[how]);
        check_gaps(at, 2, how == 1 ? "7-9 " : how == 2 ? "7-11 " : how == 4 ? "7-7 " : "");
        end(at);
    }
}

static void test_records_in_shards_fill_holes_of_the_log(void)
{
    world *at = begin();
    put_shard(at, 0, 0, our_id, 1, 4);
    put_shard(at, 1, 1, our_id, 1, 7);
    add_log(at, 0, 2, 3);
    add_log(at, 1, 6, 6);
    add_log(at, 1, 8, 9);
    settle(at);
    CHECK_EQ(at->mend.plan.last_seqno, 9);
    check_gaps(at, 0, "5-5 ");
    CHECK_EQ(at->mend.known.after_seqno, 1);
    end(at);
}

/* The side file says what every shard had when the log was let go, unless one of them is an older copy. */
static void test_an_idle_shard_has_what_its_log_has_let_go(void)
{
    for (int how = 0; how < 6; how++) {
        static const uint64_t wanted[] = {10, 4, 10, 8, 4, 4};
        world *at = begin();
        skv_log_remains *log = &at->mend.copies[0].log;
        put_shard(at, 0, 0, our_id, 4, 0);
        if (how != 2 && how != 5) /* one is missing: it may have had what the side file counts, or all of the log is not as much */
            put_shard(at, 0, 1, our_id, 20, 0);
        log->marked = how != 4;
        log->mark = (skv_mark){.first_seqno = 11, .applied_sum = how == 1 ? 25 : 24};
        log->proven_seqno = how == 5 ? 19 : 20;
        if (how == 3)
            at->mend.upto[0] = 8;
        if (how == 3)
            put_shard(at, 0, 1, our_id, 8, 0), log->mark.applied_sum = 12;
        settle(at);
        CHECK_EQ(upto_of(at, 0), wanted[how]);
        end(at);
    }
}

/* Of one copy, shard 0 has applied 4 and shard 1 20: the side file's sum. Its log begins with 11. */
static void survey_an_idle_shard_and_a_newer(world *at)
{
    skv_log_remains *log = &at->mend.copies[0].log;
    skv_error err = {0};
    put_shard(at, 0, 0, our_id, 4, 0);
    put_shard(at, 0, 1, our_id, 20, 0);
    log->marked = true;
    log->mark = (skv_mark){.first_seqno = 11, .applied_sum = 24};
    for (uint32_t i = 0; i < 2; i++)
        CHECK_OK(skv_mend_survey(&at->mend, i, &err), &err);
}

/* The newest state does not say what it has; the one before may lack the flush after which the log was let go. */
static void test_an_older_state_of_a_shard_is_no_idle_shard(void)
{
    world *at = begin();
    skv_error err = {0};
    survey_an_idle_shard_and_a_newer(at);
    for (uint32_t n = 0; n < at->shards[0].count; n++)
        at->shards[0].views[n].state = 1;
    CHECK_OK(skv_mend_settle(&at->mend, &err), &err);
    CHECK_EQ(upto_of(at, 0), 4);
    end(at);
}

/* Of one file, the state before the newest is behind it, and one that says nothing says nothing of where the log is needed from. */
static void test_each_view_of_a_shard_is_judged_by_what_it_says_itself(void)
{
    world *at = begin();
    skv_error err = {0};
    skv_mend_view *views;
    survey_an_idle_shard_and_a_newer(at);
    views = at->shards[0].views;
    CHECK_EQ(at->shards[0].count, 2);
    views[1].state = 1;
    views[1].upto = views[1].claim.applied_seqno = 3;
    at->shards[1].views[1].claims = false;
    at->shards[1].views[1].upto = 0;
    CHECK_OK(skv_mend_settle(&at->mend, &err), &err);
    CHECK_EQ(views[0].upto, 10);
    CHECK_EQ(views[1].upto, 3);
    CHECK_EQ(at->mend.known.after_seqno, 3);
    end(at);
}

static void test_without_any_side_file_the_log_says_by_its_beginning_what_was_let_go(void)
{
    for (int marked = 0; marked < 2; marked++) {
        world *at = begin();
        put_shard(at, 0, 0, our_id, 4, 0);
        put_shard(at, 0, 1, our_id, 20, 0);
        at->mend.copies[0].log.oldest_seqno = 12;
        at->mend.copies[1].log.marked = marked; /* any at all: then a missing one is no reason to guess */
        settle(at);
        CHECK_EQ(upto_of(at, 0), marked ? 4 : 11);
        CHECK_EQ(upto_of(at, 1), 20);
        end(at);
    }
}

static void test_without_memory_it_is_told(void)
{
    bool met = true;
    for (long nth = 1; met; nth++) {
        world *at = begin();
        skv_error err = {0};
        skv_code code = SKV_OK;
        put_shard(at, 0, 0, our_id, 3, 4);
        put_shard(at, 1, 1, our_id, 2, 0);
        add_log(at, 0, 3, 6);
        skv_memory_fail(nth, 0);
        for (uint32_t i = 0; i < 2 && code == SKV_OK; i++)
            code = skv_mend_survey(&at->mend, i, &err);
        if (code == SKV_OK)
            code = skv_mend_settle(&at->mend, &err);
        met = skv_memory_count() >= nth;
        skv_memory_fail(0, 0);
        CHECK_EQ(code, met ? SKV_NO_MEMORY : SKV_OK);
        end(at);
    }
}

int main(void)
{
    RUN(test_files_of_another_store_or_of_another_history_count_for_nothing);
    RUN(test_a_file_that_does_not_say_whose_it_is_counts_for_its_records);
    RUN(test_the_log_goes_on_to_what_anything_proves_and_what_follows_from_it);
    RUN(test_records_in_shards_fill_holes_of_the_log);
    RUN(test_an_idle_shard_has_what_its_log_has_let_go);
    RUN(test_an_older_state_of_a_shard_is_no_idle_shard);
    RUN(test_each_view_of_a_shard_is_judged_by_what_it_says_itself);
    RUN(test_without_any_side_file_the_log_says_by_its_beginning_what_was_let_go);
    RUN(test_without_memory_it_is_told);
    return 0;
}
