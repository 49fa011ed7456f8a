/* Mending one shard: of what is left of its copies and of the log, what its own sums prove, and what they do not is said. */
#include "mend_path.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "fake_lmdb.h"
#include "hash.h"
#include "memory.h"
#include "pages.h"
#include "scratch.h"

#define PLACE "mend"
#define SHARD PLACE "/shards/0000"
#define COPIES 3
#define LOG_BYTES 8192

/* A record, as "a1": its key and its seqno, of which its value tells. "a1!" fails its checksum, "-a1" is a delete. */
typedef struct {
    char key;
    uint64_t seqno;
    bool spoilt, deletes;
} fact;

/* The next of "a1 b2 c3"; false: there is none. */
static bool next_fact(const char **facts, fact *out)
{
    char *end;
    while (**facts == ' ')
        ++*facts;
    if (!**facts)
        return false;
    out->deletes = **facts == '-';
    *facts += out->deletes;
    out->key = **facts;
    out->seqno = strtoull(*facts + 1, &end, 10);
    out->spoilt = *end == '!';
    *facts = end + out->spoilt;
    return true;
}

typedef struct {
    int dir;
    pages_file files[COPIES];
    skv_mend_view views[SKV_MEND_VIEWS_MAX];
    skv_mend_shard shard;
    skv_mend_plan plan;
    uint8_t log[LOG_BYTES];
    size_t log_end;
    skv_remnant runs[64];
    skv_log_remains remains;
    skv_remnants together;
    skv_ring *ring;
    skv_mend_result made;
} world;

static world *begin(void)
{
    world *at = calloc(1, sizeof *at);
    skv_error err = {0};
    CHECK(at);
    at->dir = scratch_make(PLACE);
    CHECK_EQ(mkdirat(at->dir, "shards", 0700), 0);
    CHECK_EQ(mkdirat(at->dir, "shards/0000", 0700), 0);
    CHECK_OK(skv_ring_create(NULL, 1, &at->ring, &err), &err);
    at->shard.views = at->views;
    at->remains.runs = at->runs;
    at->plan = (skv_mend_plan){.lmdb = &fake_lmdb, .ring = at->ring, .log = &at->together, .dir = at->dir, .path = PLACE,
                               .store_id = "a store for test", .map_bytes = 1 << 20};
    return at;
}

static void end(world *at)
{
    for (int i = 0; i < COPIES; i++)
        skv_pages_free(at->shard.pages[i]);
    skv_remnants_free(&at->together);
    skv_ring_free(at->ring);
    scratch_remove(at->dir, PLACE);
    fake_lmdb_clear();
    free(at);
}

static skv_record record_of(const fact *from, char value[32])
{
    int bytes = snprintf(value, 32, "of %llu", (unsigned long long)from->seqno);
    return (skv_record){.key = skv_slice_at(&from->key, 1),
                        .value = from->deletes ? (skv_slice){NULL, 0} : skv_slice_at(value, (size_t)bytes),
                        .seqno = from->seqno,
                        .flags = from->deletes ? SKV_RECORD_DELETE : 0};
}

/* The sum of what is right. */
static skv_shard_sum sum_of(const char *facts)
{
    skv_shard_sum sum = {0};
    for (fact is; next_fact(&facts, &is); sum.count++) {
        uint8_t bytes[128];
        char value[32];
        skv_record record = record_of(&is, value);
        (void)skv_record_encode(bytes, &record);
        sum.digest += skv_record_digest(&record);
    }
    return sum;
}

static void put_facts(pages_file *file, uint64_t leaf, const char *facts)
{
    for (fact is; next_fact(&facts, &is);) {
        char value[32];
        skv_record record = record_of(&is, value);
        pages_put_record(file, leaf, &record);
        if (is.spoilt) /* the last byte of the value, which stands where the page's content begins */
            file->bytes[leaf][skv_load16(file->bytes[leaf] + 14) + 8 + 1 + SKV_STORED_HEADER_BYTES + 3] ^= 1;
    }
}

/* A leaf that says what has been applied, and adds up to `right`; NULL: it says nothing. */
static uint64_t add_leaf(pages_file *file, const char *facts, uint64_t applied, const char *right)
{
    uint64_t leaf = pages_add(file, PAGES_LEAF);
    if (right) {
        skv_shard_claim claim = {.store_id = "a store for test", .applied_seqno = applied, .all = sum_of(right)};
        pages_put_claim(file, leaf, &claim);
    }
    put_facts(file, leaf, facts);
    return leaf;
}

static void look(world *at, uint32_t copy)
{
    char name[16];
    skv_error err = {0};
    skv_pages *pages;
    CHECK(snprintf(name, sizeof name, "copy %u", copy) > 0);
    pages_write(&at->files[copy], at->dir, name);
    CHECK_OK(skv_pages_open(at->dir, name, &pages, &err), &err);
    CHECK_OK(skv_mend_look(&at->plan, 0, pages, copy, &at->shard, &err), &err);
}

/* A copy of the shard that has these facts. */
static void add_copy(world *at, uint32_t copy, const char *facts, uint64_t applied, const char *right)
{
    static const pages_tree none = {.root = PAGES_NONE};
    pages_file *file = &at->files[copy];
    uint64_t leaf;
    pages_begin(file);
    leaf = add_leaf(file, facts, applied, right);
    pages_meta(file, 0, 1, none, (pages_tree){.leaves = 1, .root = leaf});
    look(at, copy);
}

/* A copy whose newest state says nothing of itself; the one before has the other facts, and its own record. */
static void add_copy_of_two_states(world *at, uint32_t copy, const char *now, const char *before, uint64_t applied,
                                   const char *right)
{
    pages_file *file = &at->files[copy];
    uint64_t old, new, old_free, new_free;
    pages_begin(file);
    old = add_leaf(file, before, applied, right);
    new = add_leaf(file, now, 0, NULL);
    old_free = pages_add(file, PAGES_LEAF);
    new_free = pages_add(file, PAGES_LEAF);
    pages_put_free(file, old_free, (uint64_t[]){new, new_free}, 2);
    pages_put_free(file, new_free, (uint64_t[]){old, old_free}, 2);
    pages_meta(file, 0, 1, (pages_tree){.leaves = 1, .root = old_free}, (pages_tree){.leaves = 1, .root = old});
    pages_meta(file, 1, 2, (pages_tree){.leaves = 1, .root = new_free}, (pages_tree){.leaves = 1, .root = new});
    look(at, copy);
}

/* A copy whose list of free pages adds up, but has a leaf that is used, and lacks one that is not. */
static void add_mislisted_copy(world *at, uint32_t copy, const char *facts, const char *stale, uint64_t applied,
                               const char *right)
{
    pages_file *file = &at->files[copy];
    uint64_t branch, leaf, used, list;
    pages_begin(file);
    branch = pages_add(file, PAGES_BRANCH);
    leaf = add_leaf(file, "", applied, right);
    used = add_leaf(file, facts, 0, NULL);
    (void)add_leaf(file, stale, 0, NULL);
    list = pages_add(file, PAGES_LEAF);
    pages_link(file, branch, leaf);
    pages_link(file, branch, used);
    pages_put_free(file, list, (uint64_t[]){used}, 1);
    pages_meta(file, 0, 1, (pages_tree){.leaves = 1, .root = list}, (pages_tree){.branches = 1, .leaves = 2, .root = branch});
    look(at, copy);
}

/* What is left of the log: each record a run of its own. */
static void add_log(world *at, const char *facts)
{
    for (fact is; next_fact(&facts, &is);) {
        char value[32];
        skv_record record = record_of(&is, value);
        uint8_t *to = at->log + at->log_end;
        CHECK(at->log_end + skv_record_bytes(&record) <= LOG_BYTES && at->remains.count < 64);
        at->log_end += skv_record_encode(to, &record);
        at->runs[at->remains.count++] = (skv_remnant){is.seqno, is.seqno, to, SKV_REMNANT_FRAME, true};
        at->plan.last_seqno = is.seqno;
    }
}

static skv_code make(world *at, bool complete, skv_error *err)
{
    skv_remnants_part part = {&at->remains, UINT64_MAX};
    skv_remnants_free(&at->together);
    CHECK_OK(skv_remnants_gather(&part, 1, &at->together, err), err);
    return skv_mend_make(&at->plan, 0, &at->shard, complete, &at->made, err);
}

/* The new shard has these and nothing else, and says that it has all of the log. */
static void check_shard(const world *at, const char *facts)
{
    size_t count = 1; /* its own record */
    skv_error err = {0};
    skv_shard *shard;
    skv_shard_place place = {.lmdb = &fake_lmdb, .path = SHARD, .map_bytes = 1 << 20, .store_id = "a store for test"};
    for (fact is; next_fact(&facts, &is); count++) {
        skv_record found;
        CHECK(fake_lmdb_find(SHARD, skv_slice_at(&is.key, 1), &found));
        CHECK_EQ(found.seqno, is.seqno);
        CHECK(skv_record_verify(&found));
    }
    CHECK_EQ(fake_lmdb_count(SHARD), count);
    CHECK_OK(skv_shard_open(&place, false, &shard, &err), &err);
    CHECK_EQ(skv_shard_applied(shard), at->plan.last_seqno);
    skv_shard_free(shard);
}

static void check_made(world *at, bool complete, skv_mend_verdict verdict, const char *facts)
{
    skv_error err = {0};
    CHECK_OK(make(at, complete, &err), &err);
    CHECK_EQ(at->made.verdict, verdict);
    check_shard(at, facts);
}

static void test_a_whole_copy_and_the_log_behind_it_are_the_shard(void)
{
    static const char has[] = "a1 b2 c3";
    static const char log[] = "a4 -b5 d6";
    static const char right[] = "a4 c3 d6";
    world *at = begin();
    add_copy(at, 0, has, 3, has);
    add_log(at, log);
    CHECK_EQ(at->shard.count, 1); /* one look was enough */
    check_made(at, true, SKV_MEND_WHOLE, right);
    CHECK_EQ(at->made.from_seqno, 3);
    CHECK(skv_mend_whole(at->made.view));
    end(at);
}

static void test_copies_with_different_spoilt_records_are_whole_together(void)
{
    static const char one[] = "a1 b2! c3";
    static const char other[] = "a1! b2 c3";
    static const char right[] = "a1 b2 c3";
    world *at = begin();
    add_copy(at, 0, one, 3, right);
    add_copy(at, 1, other, 3, right);
    CHECK(!skv_mend_newest(&at->shard, true));
    CHECK_EQ(skv_mend_newest(&at->shard, false)->upto, 3);
    at->plan.last_seqno = 3;
    check_made(at, false, SKV_MEND_WHOLE, right);
    CHECK_EQ(at->made.sum.count, 3);
    end(at);
}

/* The newest copy lost a page; an older one and the log since then have what was on it, and what was deleted meanwhile. */
static void test_an_older_copy_is_rolled_forward_by_the_log(void)
{
    static const char older[] = "a1 b2 c3";
    static const char log[] = "b4 -c5 d6 e7";
    static const char newer[] = "a1"; /* at 6; b and d are lost */
    static const char at_six[] = "a1 b4 d6";
    static const char right[] = "a1 b4 d6 e7";
    for (int order = 0; order < 2; order++) {
        world *at = begin();
        add_copy(at, (uint32_t)order, newer, 6, at_six);
        add_copy(at, (uint32_t)(1 - order), older, 3, order ? older : right); /* whole, or lacking something itself */
        add_log(at, log);
        check_made(at, false, SKV_MEND_WHOLE, right);
        CHECK_EQ(at->made.from_seqno, 6);
        end(at);
    }
}

/* The newest copy lost b, the older one has it, and an old a. */
static void test_an_older_record_never_replaces_a_newer_one(void)
{
    static const char newer[] = "a5", older[] = "a1 b2", at_four[] = "a1 b2 x3", right[] = "a5 b2";
    for (uint32_t first = 0; first < 2; first++) {
        world *at = begin();
        add_copy(at, first, newer, 5, right);
        add_copy(at, 1 - first, older, 4, at_four);
        at->plan.last_seqno = 5;
        check_made(at, false, SKV_MEND_WHOLE, right);
        end(at);
    }
}

/* Number 3 is missing in the log. x was deleted by it; or it was of no matter, and b can be had from what comes before it. */
static void test_the_log_counts_since_its_last_hole_or_all_of_it_as_the_sums_say(void)
{
    static const char *const logs[] = {"x2 d4", "b2 d4"}, *const rights[] = {"a1 d4", "a1 b2 d4"};
    for (int i = 0; i < 2; i++) {
        world *at = begin();
        add_copy(at, 0, "a1", 4, rights[i]);
        add_log(at, logs[i]);
        check_made(at, false, SKV_MEND_WHOLE, rights[i]);
        end(at);
    }
}

/* What an old backup has of keys that were deleted since stays deleted, though no log tells of it any more. */
static void test_an_old_backup_gives_back_spoilt_records_alone(void)
{
    static const char now[] = "a1 b2! d9";
    static const char old[] = "a1 b2 c3 d4";
    static const char right[] = "a1 b2 d9";
    world *at = begin();
    add_copy(at, 0, now, 9, right);
    add_copy(at, 1, old, 4, old);
    at->plan.last_seqno = 9;
    check_made(at, false, SKV_MEND_WHOLE, right);
    CHECK_EQ(at->made.from_seqno, 9);
    end(at);
}

/* Such a backup beside a record that nobody has: that one is lost, and no other is in doubt. */
static void test_a_lost_record_is_told_though_an_old_backup_has_what_was_deleted(void)
{
    world *at = begin();
    add_copy(at, 0, "a1 b2! d9", 9, "a1 b2 d9");
    add_copy(at, 1, "a1 c3 d4", 4, "a1 b2 c3 d4");
    at->plan.last_seqno = 9;
    check_made(at, false, SKV_MEND_LOST, "a1 d9");
    CHECK_EQ(at->made.from_seqno, 9);
    end(at);
}

/* An old backup that is whole made a repair worse: the log since then is gone, so all that is as old came into doubt, and what was
 * deleted came back; without the backup one record was lost. */
static void test_a_newer_copy_whose_losses_are_known_is_better_than_an_older_whole_one(void)
{
    static const char older[] = "a1 b2";
    world *at = begin();
    add_copy(at, 0, "a1 c6!", 6, "a1 c6");
    add_copy(at, 1, older, 2, older);
    at->plan.last_seqno = 6;
    check_made(at, false, SKV_MEND_LOST, "a1");
    CHECK_EQ(at->made.from_seqno, 6);
    end(at);
}

/* x is found in the log when all of it is tried, which proves nothing; the shard that is made does not have it. */
static void test_what_another_attempt_found_is_lost_all_the_same(void)
{
    static const char right[] = "a1 x3 d5";
    world *at = begin();
    add_copy(at, 0, "a1", 5, right);
    add_copy(at, 1, "x3! d5", 5, right);
    add_log(at, "y2 x3 d5");
    check_made(at, false, SKV_MEND_LOST, "a1 d5");
    CHECK(!at->made.view->spoilt[0].replaced);
    end(at);
}

/* Of a newer state without its own record nothing is known, so its copy counts as the one before. */
static void test_an_older_state_counts_when_the_newer_one_does_not_say_what_it_has(void)
{
    world *at = begin();
    add_copy_of_two_states(at, 0, "a5", "a1", 2, "a1 b2");
    add_copy(at, 1, "b2", 2, "a1 b2");
    at->plan.last_seqno = 5;
    check_made(at, false, SKV_MEND_WHOLE, "a5 b2");
    CHECK_EQ(at->made.from_seqno, 2);
    end(at);
}

/* A state that has nothing, and does not say so, is no whole one: the state before is looked at, too. */
static void test_a_state_that_lost_everything_is_not_taken_for_an_empty_one(void)
{
    world *at = begin();
    add_copy_of_two_states(at, 0, "", "a1 b2", 2, "a1 b2");
    at->plan.last_seqno = 2;
    check_made(at, true, SKV_MEND_WHOLE, "a1 b2");
    end(at);
}

/* By the tree what the list of free pages misses is found: in a copy that is whole then, in one that is not, and behind the log. */
static void test_a_wrong_list_of_free_pages_hides_nothing(void)
{
    world *at = begin();
    add_mislisted_copy(at, 0, "b2 c3", "a1", 3, "b2 c3");
    at->plan.last_seqno = 3;
    check_made(at, true, SKV_MEND_WHOLE, "b2 c3");
    end(at);
    at = begin();
    add_mislisted_copy(at, 0, "b2 c3!", "a1", 3, "b2 c3");
    add_copy(at, 1, "c3", 3, "b2 c3");
    at->plan.last_seqno = 3;
    check_made(at, false, SKV_MEND_WHOLE, "b2 c3");
    end(at);
    at = begin();
    add_copy(at, 0, "a1", 1, "a1");
    add_mislisted_copy(at, 1, "b2 c3!", "a1", 3, "a1 b2 c3");
    at->plan.last_seqno = 3;
    check_made(at, true, SKV_MEND_WHOLE, "a1 b2");
    end(at);
}

/* The shard that is made outgrew the map that it began with, and the repair failed. */
static void test_a_shard_that_outgrows_its_map_is_made_in_a_larger_one(void)
{
    static const char has[] = "a1 b2 c3 d4 e5 f6 g7 h8 i9 j10 k11 l12 m13 n14 o15 p16 q17 r18 s19 t20";
    for (int i = 0; i < 2; i++) {
        world *at = begin();
        at->plan.map_bytes = SKV_SHARD_META_KEY_BYTES + SKV_SHARD_META_BYTES + 100;
        add_copy(at, 0, has, i ? 20 : 0, i ? has : NULL);
        add_log(at, "u21 -a22");
        check_made(at, true, i ? SKV_MEND_WHOLE : SKV_MEND_UNPROVEN,
                   "b2 c3 d4 e5 f6 g7 h8 i9 j10 k11 l12 m13 n14 o15 p16 q17 r18 s19 t20 u21");
        end(at);
    }
}

static void test_a_record_that_is_spoilt_everywhere_is_told_and_all_others_are_proven(void)
{
    static const char one[] = "a1 b2! c3!";
    static const char other[] = "a1! b2! c3";
    static const char right[] = "a1 b2 c3", left[] = "a1 c3";
    world *at = begin();
    uint32_t lost = 0;
    add_copy(at, 0, one, 3, right);
    add_copy(at, 1, other, 3, right);
    at->plan.last_seqno = 3;
    check_made(at, false, SKV_MEND_LOST, left);
    for (uint32_t i = 0; i < at->made.view->spoilt_count; i++)
        if (!at->made.view->spoilt[i].replaced) {
            CHECK_EQ(at->made.view->spoilt[i].seqno, 2);
            CHECK(at->made.view->spoilt[i].key.data[0] == 'b');
            lost++;
        }
    CHECK_EQ(lost, 1);
    end(at);
}

static void test_what_does_not_add_up_is_not_proven(void)
{
    static const char one[] = "a1", other[] = "b2";
    static const char right[] = "a1 b2 c3", left[] = "a1 b2";
    world *at = begin();
    add_copy(at, 0, one, 3, right);
    add_copy(at, 1, other, 3, right);
    at->plan.last_seqno = 3;
    check_made(at, false, SKV_MEND_UNPROVEN, left);
    CHECK_EQ(at->made.view->claim.all.count, 3);
    CHECK_EQ(at->made.sum.count, 2);
    CHECK_EQ(at->made.from_seqno, 3);
    end(at);
}

/* As many records as there should be, but others: what an older copy has was deleted since, or what is spoilt is not what is missing. */
static void test_numbers_alone_prove_nothing(void)
{
    world *at = begin();
    add_copy(at, 0, "a1", 4, "a1 b2");
    add_copy(at, 1, "a1 c3", 3, "a1 c3 y1");
    at->plan.last_seqno = 4;
    check_made(at, false, SKV_MEND_UNPROVEN, "a1 c3");
    end(at);
    at = begin();
    add_copy(at, 0, "a1 b2!", 4, "a1 d4");
    at->plan.last_seqno = 4;
    check_made(at, false, SKV_MEND_UNPROVEN, "a1");
    end(at);
}

/* All that is lost of an older copy is known, but not what the newer one lacks. */
static void test_what_explains_an_older_copy_does_not_explain_the_newest(void)
{
    world *at = begin();
    add_copy(at, 0, "a1 b2!", 3, "a1 b2");
    add_copy(at, 1, "a1", 6, "a1 b2 c6");
    at->plan.last_seqno = 6;
    check_made(at, false, SKV_MEND_UNPROVEN, "a1");
    end(at);
    at = begin();
    add_copy(at, 0, "", 0, "a1");
    add_copy(at, 1, "", 0, NULL); /* what says nothing lacks nothing, but explains nothing either */
    check_made(at, false, SKV_MEND_UNPROVEN, "");
    end(at);
}

/* A copy without its own record has more than the sums are about: it comes after they were reached. */
static void test_what_is_newer_than_the_sums_comes_after_them(void)
{
    world *at = begin();
    add_copy(at, 0, "a1", 3, "a1 b2");
    add_copy(at, 1, "b2 c9", 0, NULL);
    at->plan.last_seqno = 9;
    check_made(at, false, SKV_MEND_WHOLE, "a1 b2 c9");
    CHECK_EQ(at->made.sum.count, 2);
    CHECK_EQ(at->made.from_seqno, 3);
    end(at);
}

static void test_without_any_claim_all_there_is_is_put_together_and_nothing_is_proven(void)
{
    static const char has[] = "a7 b2";
    static const char log[] = "a3 c4 d6";
    static const char all[] = "a7 b2 c4 d6";
    world *at = begin();
    add_copy(at, 0, has, 0, NULL);
    add_log(at, log); /* 5 is missing in it */
    at->plan.last_seqno = 7;
    CHECK(!skv_mend_newest(&at->shard, false));
    CHECK_EQ(at->shard.views[0].newest_seqno, 7);
    check_made(at, false, SKV_MEND_UNPROVEN, all);
    CHECK(!at->made.view);
    CHECK_EQ(at->made.from_seqno, 7);
    end(at);
}

/* The log misses something behind the whole copy, so what is newer is tried first; it proves nothing, and the whole one it is. */
static void test_an_older_whole_copy_is_better_than_a_newer_one_that_is_not_proven(void)
{
    static const char older[] = "a1 b2", newer[] = "a6";
    static const char at_six[] = "a6 b2 x4";
    static const char right[] = "a6 b2";
    world *at = begin();
    add_copy(at, 0, newer, 6, at_six);
    add_copy(at, 1, older, 2, older);
    at->plan.last_seqno = 6;
    check_made(at, false, SKV_MEND_WHOLE, right);
    CHECK_EQ(at->made.from_seqno, 2); /* from there on the log is needed, and whoever asked knows what it lacks */
    CHECK_EQ(skv_mend_newest(&at->shard, true)->upto, 2);
    CHECK_EQ(skv_mend_newest(&at->shard, false)->upto, 6);
    end(at);
}

static void test_another_shards_records_and_claim_count_for_nothing(void)
{
    char has[200] = "", here[200] = "";
    world *at = begin();
    skv_error err = {0};
    int count = 0;
    skv_ring_free(at->ring);
    CHECK_OK(skv_ring_create(NULL, 2, &at->ring, &err), &err);
    at->plan.ring = at->ring;
    for (int i = 0; i < 26; i++) {
        char key = (char)('a' + i), word[16];
        CHECK(snprintf(word, sizeof word, "%c%d ", key, i + 1) > 0);
        (void)strcat(has, word);
        if (skv_ring_route(at->ring, skv_key_hash((const uint8_t *)&key, 1)) == 0) {
            (void)strcat(here, word);
            count++;
        }
    }
    CHECK(count > 3 && count < 23);
    add_copy(at, 0, has, 20, here);
    add_log(at, has);
    CHECK(skv_mend_whole(&at->shard.views[0]));
    check_made(at, true, SKV_MEND_WHOLE, here);
    at->shard.count = 0;
    skv_pages_free(at->shard.pages[0]);
    at->shard.pages[0] = NULL;
    {
        skv_pages *pages;
        CHECK_OK(skv_pages_open(at->dir, "copy 0", &pages, &err), &err);
        CHECK_OK(skv_mend_look(&at->plan, 1, pages, 0, &at->shard, &err), &err);
        for (uint32_t i = 0; i < at->shard.count; i++)
            CHECK(!at->shard.views[i].claims); /* it is shard 0's */
    }
    end(at);
}

static void test_more_spoilt_records_than_there_is_room_for_prove_nothing(void)
{
    for (int count = SKV_MEND_SPOILT_MAX; count <= SKV_MEND_SPOILT_MAX + 1; count++) {
        world *at = begin();
        char has[1000] = "", word[16];
        for (int i = 0; i < count; i++) {
            CHECK(snprintf(word, sizeof word, "%c%d! ", '0' + i, i + 1) > 0);
            (void)strcat(has, word);
        }
        add_copy(at, 0, has, 100, has);
        at->plan.last_seqno = 100;
        check_made(at, false, count > SKV_MEND_SPOILT_MAX ? SKV_MEND_UNPROVEN : SKV_MEND_LOST, "");
        CHECK_EQ(at->shard.views[0].spoilt_count, count);
        end(at);
    }
}

typedef struct {
    uint64_t sum, count;
} seqnos;

static void note_seqno(void *context, uint64_t seqno)
{
    seqnos *out = context;
    out->sum += seqno;
    out->count++;
}

static void test_the_seqnos_of_all_records_that_hold_are_told(void)
{
    static const char one[] = "a1 b2!", other[] = "c40";
    world *at = begin();
    seqnos found = {0};
    skv_error err = {0};
    add_copy(at, 0, one, 2, other);
    add_copy(at, 1, other, 40, other);
    CHECK_OK(skv_mend_look(&at->plan, 0, NULL, 2, &at->shard, &err), &err); /* a file that is missing */
    CHECK_EQ(at->shard.count, 3); /* one was looked at both ways */
    CHECK_OK(skv_mend_seqnos(&at->shard, (skv_mend_seer){note_seqno, &found}, &err), &err);
    CHECK_EQ(found.count, 3);
    CHECK_EQ(found.sum, 42);
    end(at);
}

static void test_failures_are_told_and_the_next_attempt_makes_the_shard(void)
{
    static const char one[] = "a1 b2! c3";
    static const char other[] = "a1! b2 c3";
    static const char log[] = "d4";
    static const char right[] = "a1 b2 c3 d4", then[] = "a1 b2 c3";
    for (int memory = 0; memory < 2; memory++) {
        bool met = true;
        long nth;
        for (nth = 1; met; nth++) {
            world *at = begin();
            skv_error err = {0};
            skv_code code;
            add_copy(at, 0, one, 3, then);
            add_copy(at, 1, other, 3, then);
            add_log(at, log);
            CHECK_OK(make(at, false, &err), &err); /* so that the log is gathered */
            if (memory)
                skv_memory_fail(nth, 0);
            else
                fake_lmdb_fail(nth);
            code = skv_mend_make(&at->plan, 0, &at->shard, false, &at->made, &err);
            met = (memory ? skv_memory_count() : fake_lmdb_calls()) >= nth;
            skv_memory_fail(0, 0);
            fake_lmdb_fail(0);
            CHECK_EQ(code, met ? (memory ? SKV_NO_MEMORY : SKV_IO) : SKV_OK);
            check_made(at, false, SKV_MEND_WHOLE, right);
            end(at);
        }
        CHECK(nth > 5);
    }
}

int main(void)
{
    RUN(test_a_whole_copy_and_the_log_behind_it_are_the_shard);
    RUN(test_copies_with_different_spoilt_records_are_whole_together);
    RUN(test_an_older_copy_is_rolled_forward_by_the_log);
    RUN(test_an_older_record_never_replaces_a_newer_one);
    RUN(test_the_log_counts_since_its_last_hole_or_all_of_it_as_the_sums_say);
    RUN(test_an_old_backup_gives_back_spoilt_records_alone);
    RUN(test_a_lost_record_is_told_though_an_old_backup_has_what_was_deleted);
    RUN(test_a_newer_copy_whose_losses_are_known_is_better_than_an_older_whole_one);
    RUN(test_what_another_attempt_found_is_lost_all_the_same);
    RUN(test_an_older_state_counts_when_the_newer_one_does_not_say_what_it_has);
    RUN(test_a_state_that_lost_everything_is_not_taken_for_an_empty_one);
    RUN(test_a_wrong_list_of_free_pages_hides_nothing);
    RUN(test_a_shard_that_outgrows_its_map_is_made_in_a_larger_one);
    RUN(test_a_record_that_is_spoilt_everywhere_is_told_and_all_others_are_proven);
    RUN(test_what_does_not_add_up_is_not_proven);
    RUN(test_numbers_alone_prove_nothing);
    RUN(test_what_explains_an_older_copy_does_not_explain_the_newest);
    RUN(test_what_is_newer_than_the_sums_comes_after_them);
    RUN(test_without_any_claim_all_there_is_is_put_together_and_nothing_is_proven);
    RUN(test_an_older_whole_copy_is_better_than_a_newer_one_that_is_not_proven);
    RUN(test_another_shards_records_and_claim_count_for_nothing);
    RUN(test_more_spoilt_records_than_there_is_room_for_prove_nothing);
    RUN(test_the_seqnos_of_all_records_that_hold_are_told);
    RUN(test_failures_are_told_and_the_next_attempt_makes_the_shard);
    return 0;
}
