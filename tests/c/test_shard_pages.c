/* An environment's file read as bytes: what belongs to a state is found, what is free is not, and no damage ends the walk. */
#include "shard_pages.h"

#include <errno.h>
#include <string.h>

#include "check.h"
#include "hash.h"
#include "memory.h"
#include "os.h"
#include "pages.h"
#include "scratch.h"

#define PLACE "pages"
#define NAME "data.mdb"
#define KEYS 12

static const pages_tree nothing = {.root = PAGES_NONE};

/* Key n is one letter; its value is the letter and a mark. */
static void put(pages_file *file, uint64_t leaf, int n, char mark)
{
    char key = (char)('a' + n), value[2] = {key, mark};
    pages_put(file, leaf, skv_slice_at(&key, 1), skv_slice_at(value, 2));
}

/* A branch over two leaves with keys 0 to 5; key 6 is a long value; a page that is free has key 7; the list of free pages is one leaf. */
typedef struct {
    uint64_t branch, leaves[2], long_page, free_page, list;
} places;

static places make(pages_file *file)
{
    static uint8_t value[5000];
    places at;
    pages_begin(file);
    at.branch = pages_add(file, PAGES_BRANCH);
    for (int i = 0; i < 2; i++)
        at.leaves[i] = pages_add(file, PAGES_LEAF);
    for (int n = 0; n < 6; n++)
        put(file, at.leaves[n / 3], n, '.');
    memset(value, 'g', sizeof value);
    at.long_page = pages_put_long(file, at.leaves[1], skv_slice_at("g", 1), (skv_slice){value, sizeof value});
    at.free_page = pages_add(file, PAGES_LEAF);
    put(file, at.free_page, 7, '.');
    at.list = pages_add(file, PAGES_LEAF);
    pages_put_free(file, at.list, &at.free_page, 1);
    for (int i = 0; i < 2; i++)
        pages_link(file, at.branch, at.leaves[i]);
    pages_meta(file, 0, 4, (pages_tree){.leaves = 1, .root = at.list}, (pages_tree){1, 2, 2, at.branch});
    return at;
}

typedef struct {
    int times[KEYS];
    size_t bytes[KEYS];
    int all, refuse;
} seen;

static skv_code see(void *context, skv_slice key, skv_slice stored, skv_error *err)
{
    seen *out = context;
    unsigned n = key.bytes == 1 ? (unsigned)key.data[0] - 'a' : KEYS;
    volatile uint8_t sum = 0;
    (void)err;
    for (size_t i = 0; i < key.bytes; i++) /* all of it can be read */
        sum = (uint8_t)(sum + key.data[i]);
    for (size_t i = 0; i < stored.bytes; i++)
        sum = (uint8_t)(sum + stored.data[i]);
    if (n < KEYS) {
        out->times[n]++;
        out->bytes[n] = stored.bytes;
    }
    return ++out->all == out->refuse ? SKV_BUSY : SKV_OK;
}

static skv_pages *open_it(int dir)
{
    skv_error err = {0};
    skv_pages *pages;
    CHECK_OK(skv_pages_open(dir, NAME, &pages, &err), &err);
    return pages;
}

static seen walk(const skv_pages *pages, uint32_t state, skv_pages_way way)
{
    seen out = {.refuse = 0};
    skv_error err = {0};
    CHECK_OK(skv_pages_walk(pages, state, way, (skv_pages_visitor){see, &out}, &err), &err);
    return out;
}

/* The keys of what a walk saw, each once, as letters. */
static void check_keys(const seen *found, const char *keys)
{
    for (int n = 0; n < KEYS; n++)
        CHECK_EQ(found->times[n], strchr(keys, 'a' + n) != NULL);
    CHECK_EQ(found->all, strlen(keys)); /* no pages of the list among them */
}

static void check_walk(int dir, const pages_file *file, skv_pages_way way, const char *keys)
{
    skv_pages *pages;
    seen found;
    pages_write(file, dir, NAME);
    pages = open_it(dir);
    CHECK_EQ(skv_pages_states(pages), 1);
    found = walk(pages, 0, way);
    check_keys(&found, keys);
    skv_pages_free(pages);
}

static void test_what_belongs_to_a_state_is_found_both_ways_and_what_is_free_is_not(void)
{
    static pages_file file;
    int dir = scratch_make(PLACE);
    places at = make(&file);
    check_walk(dir, &file, SKV_PAGES_REACHED, "abcdefg");
    check_walk(dir, &file, SKV_PAGES_LISTED, "abcdefg");
    memset(file.bytes[at.branch] + 16, 0xff, 100); /* the list needs no branch, the tree does */
    check_walk(dir, &file, SKV_PAGES_LISTED, "abcdefg");
    check_walk(dir, &file, SKV_PAGES_REACHED, "");
    scratch_remove(dir, PLACE);
}

/* Each of these makes the list one that does not add up: then it is what the tree reaches that counts, and here that is nothing. */
static void test_a_list_of_free_pages_that_does_not_add_up_is_not_believed(void)
{
    static pages_file file;
    int dir = scratch_make(PLACE);
    for (int how = 0; how < 11; how++) {
        places at = make(&file);
        uint8_t *list = file.bytes[at.list];
        uint8_t *node = list + skv_load16(list + 16), *entry = node + 8 + 8;
        memset(file.bytes[at.branch], 0, SKV_PAGE_BYTES);
        switch (how) {
        case 0: memset(list, 0, SKV_PAGE_BYTES); break;
        case 1: skv_store64(entry, 2); break;                     /* more than there is room for */
        case 2: skv_store64(entry, 0); break;                     /* one too few */
        case 3: skv_store64(entry + 8, 1); break;                 /* a meta page */
        case 4: skv_store64(entry + 8, file.count); break;        /* behind the last page */
        case 5: skv_store16(node + 6, 7), memmove(node + 15, entry, 16); break; /* no transaction's number */
        case 6: skv_store64(file.bytes[0] + 40 + 40, at.free_page + 1000); break;
        case 7: skv_store64(file.bytes[0] + 88 + 16, 3); break;   /* a leaf more than there can be */
        case 8: skv_store32(node, 4); break;                      /* too short for a number */
        case 9: skv_store64(file.bytes[0] + 40 + 40, PAGES_NONE); break; /* no list, but pages are missing */
        default: skv_store64(list, at.list + 1); break;           /* a page that says that it is another one */
        }
        check_walk(dir, &file, SKV_PAGES_LISTED, "");
    }
    scratch_remove(dir, PLACE);
}

static void test_a_page_that_is_not_what_it_says_is_passed_by(void)
{
    static const struct {
        uint16_t kind, lower, upper;
    } heads[] = {{3, 22, 4000}, {0, 22, 4000}, {4, 22, 4000}, {PAGES_LEAF, 14, 4000}, {PAGES_LEAF, 23, 4000},
                 {PAGES_LEAF, 4000, 22}, {PAGES_LEAF, 22, SKV_PAGE_BYTES + 2}};
    static pages_file file;
    int dir = scratch_make(PLACE);
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        uint8_t *page;
        places at = make(&file);
        page = file.bytes[at.leaves[0]];
        skv_store16(page + 10, heads[i].kind);
        skv_store16(page + 12, heads[i].lower);
        skv_store16(page + 14, heads[i].upper);
        check_walk(dir, &file, SKV_PAGES_LISTED, "defg");
        check_walk(dir, &file, SKV_PAGES_REACHED, "defg");
        at = make(&file);
        skv_store16(file.bytes[at.branch] + 10, 3); /* what it leads to is not believed either */
        check_walk(dir, &file, SKV_PAGES_REACHED, "");
    }
    scratch_remove(dir, PLACE);
}

/* One node alone, which would be whole if bytes outside of its place counted. */
static void test_a_node_among_the_offsets_or_at_the_end_of_its_page_is_none(void)
{
    static pages_file file;
    int dir = scratch_make(PLACE);
    for (int how = 0; how < 2; how++) {
        uint64_t leaf;
        uint8_t *page;
        skv_pages *pages;
        pages_begin(&file);
        leaf = pages_add(&file, PAGES_LEAF);
        page = file.bytes[leaf];
        (void)pages_add(&file, PAGES_LEAF); /* begins with its number: so might a long value's first page stand there */
        pages_put(&file, leaf, skv_slice_at("ab", 2), skv_slice_at("", 0));
        if (how) /* its value's first page would be named behind the end of the page */
            skv_store16(page + skv_load16(page + 16) + 4, 1);
        else
            skv_store16(page + 16, 16);
        pages_meta(&file, 0, 1, nothing, (pages_tree){0, 2, 0, leaf});
        pages_write(&file, dir, NAME);
        pages = open_it(dir);
        CHECK_EQ(walk(pages, 0, SKV_PAGES_LISTED).all, 0);
        skv_pages_free(pages);
    }
    scratch_remove(dir, PLACE);
}

/* Counted once the number of pages comes out right, but which other one is free is not known. */
static void test_a_page_that_is_free_twice_is_none_that_the_list_tells_of(void)
{
    static pages_file file;
    int dir = scratch_make(PLACE);
    places at = make(&file);
    uint64_t twice[2] = {at.free_page, at.free_page};
    uint8_t *list = file.bytes[at.list];
    skv_store16(list + 12, 16);
    skv_store16(list + 14, SKV_PAGE_BYTES);
    pages_put_free(&file, at.list, twice, 2);
    memset(file.bytes[at.branch], 0, SKV_PAGE_BYTES);
    check_walk(dir, &file, SKV_PAGES_LISTED, "");
    scratch_remove(dir, PLACE);
}

/* The list's root is a page of the data: that it was looked at as a list does not hide it. */
static void test_a_list_that_leads_into_the_data_hides_none_of_it(void)
{
    static pages_file file;
    int dir = scratch_make(PLACE);
    places at = make(&file);
    skv_store64(file.bytes[0] + 40 + 40, at.leaves[0]);
    check_walk(dir, &file, SKV_PAGES_LISTED, "abcdefg");
    scratch_remove(dir, PLACE);
}

/* A state's last page may lie before the end of the file, or behind it, when free pages were cut off. */
static void test_pages_behind_a_states_last_one_are_not_its_own_and_those_that_are_cut_off_may_be_free(void)
{
    static pages_file file;
    int dir = scratch_make(PLACE);
    places at = make(&file);
    uint64_t behind[2] = {at.free_page, file.count};
    put(&file, pages_add(&file, PAGES_LEAF), 8, '.'); /* of a newer state */
    check_walk(dir, &file, SKV_PAGES_LISTED, "abcdefg");
    skv_store16(file.bytes[at.list] + 12, 16);
    skv_store16(file.bytes[at.list] + 14, SKV_PAGE_BYTES);
    pages_put_free(&file, at.list, behind, 2);
    skv_store64(file.bytes[0] + 136, file.count - 1);
    memset(file.bytes[at.branch], 0, SKV_PAGE_BYTES);
    check_walk(dir, &file, SKV_PAGES_LISTED, "abcdefg");
    file.count--;
    check_walk(dir, &file, SKV_PAGES_LISTED, "abcdefg");
    scratch_remove(dir, PLACE);
}

static void test_no_list_is_needed_when_no_page_is_free(void)
{
    static pages_file file;
    int dir = scratch_make(PLACE);
    uint64_t leaf;
    pages_begin(&file);
    leaf = pages_add(&file, PAGES_LEAF);
    put(&file, leaf, 3, '.');
    pages_meta(&file, 1, 1, nothing, (pages_tree){.leaves = 1, .root = leaf});
    check_walk(dir, &file, SKV_PAGES_LISTED, "d");
    check_walk(dir, &file, SKV_PAGES_REACHED, "d");
    scratch_remove(dir, PLACE);
}

/* A tree that runs in a circle, has a page twice, or is deeper than any. */
static void test_a_tree_that_is_none_is_walked_to_its_end(void)
{
    static pages_file file;
    int dir = scratch_make(PLACE);
    places at = make(&file);
    pages_link(&file, at.branch, at.branch);
    pages_link(&file, at.branch, at.leaves[0]);
    pages_link(&file, at.branch, (uint64_t)1 << 40);
    check_walk(dir, &file, SKV_PAGES_REACHED, "abcdefg");
    pages_begin(&file);
    for (int depth = 0; depth < 40; depth++) {
        uint64_t branch = pages_add(&file, PAGES_BRANCH);
        pages_link(&file, branch, branch + 1);
    }
    put(&file, pages_add(&file, PAGES_LEAF), 0, '.');
    pages_meta(&file, 0, 1, nothing, (pages_tree){40, 1, 0, 2});
    check_walk(dir, &file, SKV_PAGES_REACHED, "");
    check_walk(dir, &file, SKV_PAGES_LISTED, "a");
    scratch_remove(dir, PLACE);
}

static void test_nodes_that_lie_outside_of_their_page_or_file_are_passed_by(void)
{
    static pages_file file;
    int dir = scratch_make(PLACE);
    for (int how = 0; how < 7; how++) {
        places at = make(&file);
        uint8_t *page = file.bytes[at.leaves[1]];
        uint8_t *node = page + skv_load16(page + 16 + 2 * (how < 4 ? 0 : 3)); /* d, or g */
        switch (how) {
        case 0: skv_store16(page + 16, 17); break;
        case 1: skv_store16(page + 16, SKV_PAGE_BYTES - 4); break;
        case 2: skv_store32(node, SKV_PAGE_BYTES); break;
        case 3: skv_store16(node + 6, SKV_PAGE_BYTES); break;
        case 4: skv_store64(node + 9, 1); break;
        case 5: skv_store64(node + 9, file.count); break;
        default: skv_store32(node, UINT32_MAX); break;
        }
        check_walk(dir, &file, SKV_PAGES_LISTED, how < 4 ? "abcefg" : "abcdef");
    }
    scratch_remove(dir, PLACE);
}

static void test_a_long_value_may_reach_to_the_end_of_the_file_and_no_further(void)
{
    static pages_file file;
    int dir = scratch_make(PLACE);
    for (uint32_t more = 0; more < 2; more++) {
        static uint8_t value[2 * SKV_PAGE_BYTES - 16];
        uint64_t leaf;
        uint8_t *page;
        pages_begin(&file);
        leaf = pages_add(&file, PAGES_LEAF);
        (void)pages_put_long(&file, leaf, skv_slice_at("a", 1), (skv_slice){value, sizeof value});
        page = file.bytes[leaf];
        skv_store32(page + skv_load16(page + 16), (uint32_t)sizeof value + more);
        pages_meta(&file, 0, 1, nothing, (pages_tree){0, 1, 2, leaf});
        check_walk(dir, &file, SKV_PAGES_LISTED, more ? "" : "a");
    }
    scratch_remove(dir, PLACE);
}

static void test_states_come_newest_first_and_only_those_whose_meta_page_can_be_read(void)
{
    static pages_file file;
    int dir = scratch_make(PLACE);
    for (int newer = 0; newer < 2; newer++) {
        uint64_t leaves[2];
        skv_pages *pages;
        pages_begin(&file);
        for (int i = 0; i < 2; i++) {
            leaves[i] = pages_add(&file, PAGES_LEAF);
            put(&file, leaves[i], i, '.');
        }
        for (int i = 0; i < 2; i++)
            pages_meta(&file, i, i == newer ? 8 : 7, nothing, (pages_tree){.leaves = 1, .root = leaves[i]});
        pages_write(&file, dir, NAME);
        pages = open_it(dir);
        CHECK_EQ(skv_pages_states(pages), 2);
        for (uint32_t state = 0; state < 2; state++) {
            seen found = walk(pages, state, SKV_PAGES_REACHED);
            check_keys(&found, (newer == 0) == (state == 0) ? "a" : "b");
        }
        skv_pages_free(pages);
        for (int how = 0; how < 5; how++) { /* magic, version, size of a page, no tree, no pages */
            static const size_t at[] = {16, 20, 40, 88 + 40, 136};
            pages_file damaged = file;
            seen found;
            memset(damaged.bytes[newer] + at[how], how == 3 ? 0xff : 0, how == 3 || how == 4 ? 8 : 4);
            pages_write(&damaged, dir, NAME);
            pages = open_it(dir);
            CHECK_EQ(skv_pages_states(pages), 1);
            found = walk(pages, 0, SKV_PAGES_REACHED);
            check_keys(&found, newer == 0 ? "b" : "a");
            skv_pages_free(pages);
        }
    }
    scratch_remove(dir, PLACE);
}

static void test_a_file_that_is_missing_or_too_short_is_none(void)
{
    static pages_file file;
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_pages *pages;
    CHECK_EQ(skv_pages_open(dir, NAME, &pages, &err), SKV_NOT_FOUND);
    CHECK(!pages);
    (void)make(&file);
    pages_write(&file, dir, NAME);
    scratch_cut(dir, NAME, 2 * SKV_PAGE_BYTES - 1);
    CHECK_EQ(skv_pages_open(dir, NAME, &pages, &err), SKV_NOT_FOUND);
    CHECK(!pages);
    skv_pages_free(NULL);
    pages_write(&file, dir, NAME);
    scratch_cut(dir, NAME, 2 * SKV_PAGE_BYTES + 100); /* meta pages, and nothing that they tell of */
    pages = open_it(dir);
    CHECK_EQ(walk(pages, 0, SKV_PAGES_LISTED).all, 0);
    CHECK_EQ(walk(pages, 0, SKV_PAGES_REACHED).all, 0);
    skv_pages_free(pages);
    scratch_remove(dir, PLACE);
}

static void test_a_claim_is_whole_or_none(void)
{
    static pages_file file;
    skv_shard_claim claim = {"a store for test", 3, 77, {0x123456789abcdef0, 5}}, found = {.number = 0};
    uint64_t leaf;
    uint8_t *node;
    skv_slice key, stored;
    pages_begin(&file);
    leaf = pages_add(&file, PAGES_LEAF);
    pages_put_claim(&file, leaf, &claim);
    node = file.bytes[leaf] + skv_load16(file.bytes[leaf] + 16);
    key = (skv_slice){node + 8, SKV_SHARD_META_KEY_BYTES};
    stored = (skv_slice){node + 8 + SKV_SHARD_META_KEY_BYTES, SKV_SHARD_META_BYTES};
    CHECK(skv_pages_claim(key, stored, &found));
    CHECK(memcmp(found.store_id, claim.store_id, SKV_STORE_ID_BYTES) == 0);
    CHECK(found.number == 3 && found.applied_seqno == 77);
    CHECK(found.all.digest == claim.all.digest && found.all.count == 5);
    for (size_t bit = 0; bit < 8 * (size_t)(SKV_SHARD_META_KEY_BYTES + SKV_SHARD_META_BYTES); bit++) {
        node[8 + bit / 8] ^= (uint8_t)(1U << bit % 8);
        CHECK(!skv_pages_claim(key, stored, &found));
        node[8 + bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    {
        uint8_t *bytes = node + 8 + SKV_SHARD_META_KEY_BYTES;
        skv_store32(bytes + SKV_SHARD_META_VERSION, SKV_FORMAT_VERSION + 1);
        skv_store64(bytes, skv_hash64(bytes + 8, SKV_SHARD_META_BYTES - 8, 0));
        CHECK(!skv_pages_claim(key, stored, &found));
        skv_store32(bytes + SKV_SHARD_META_VERSION, SKV_FORMAT_VERSION);
        skv_store64(bytes, skv_hash64(bytes + 8, SKV_SHARD_META_BYTES - 8, 0));
        CHECK(skv_pages_claim(key, stored, &found));
    }
    key.bytes--;
    CHECK(!skv_pages_claim(key, stored, &found));
    key.bytes++;
    stored.bytes--;
    CHECK(!skv_pages_claim(key, stored, &found));
}

/* Any bits and any bytes anywhere: the walk ends, stays inside the file, and no page comes twice. */
static void test_no_damage_ends_the_walk(void)
{
    static pages_file file, damaged;
    uint64_t random = check_seed();
    int dir = scratch_make(PLACE);
    (void)make(&file);
    for (int i = 0; i < 3000; i++) {
        skv_pages *pages;
        damaged = file;
        for (uint64_t n = 1 + check_random(&random) % 5; n > 0; n--) {
            uint64_t page = check_random(&random) % file.count, at = check_random(&random) % (n % 2 ? 160 : SKV_PAGE_BYTES);
            damaged.bytes[page][at] = (uint8_t)check_random(&random);
        }
        pages_write(&damaged, dir, NAME);
        if (i % 5 == 0)
            scratch_cut(dir, NAME, 2 * SKV_PAGE_BYTES + check_random(&random) % (5 * SKV_PAGE_BYTES));
        pages = open_it(dir);
        for (uint32_t state = 0; state < skv_pages_states(pages); state++) {
            CHECK(walk(pages, state, SKV_PAGES_LISTED).all < 10000);
            CHECK(walk(pages, state, SKV_PAGES_REACHED).all < 10000);
        }
        skv_pages_free(pages);
    }
    scratch_remove(dir, PLACE);
}

static skv_code walk_all(int dir)
{
    skv_error err = {0};
    skv_pages *pages;
    seen found = {.refuse = 0};
    skv_code code = skv_pages_open(dir, NAME, &pages, &err);
    CHECK_EQ(code == SKV_OK, pages != NULL);
    if (code == SKV_OK)
        code = skv_pages_walk(pages, 0, SKV_PAGES_LISTED, (skv_pages_visitor){see, &found}, &err);
    CHECK_EQ(code, err.code);
    skv_pages_free(pages);
    return code;
}

static void test_failures_are_told_and_what_visit_answers_ends_the_walk(void)
{
    static pages_file file;
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_pages *pages;
    (void)make(&file);
    pages_write(&file, dir, NAME);
    for (long nth = 1; nth <= 4; nth++) { /* the pages, and two sets */
        skv_memory_fail(nth, 0);
        CHECK_EQ(walk_all(dir), nth <= 3 ? SKV_NO_MEMORY : SKV_OK);
        skv_memory_fail(0, 0);
    }
    for (long nth = 1; nth <= 4; nth++) { /* open, size, map */
        skv_os_fail(nth, SKV_FAULT_ERROR, EIO, 0);
        CHECK_EQ(walk_all(dir), nth <= 3 ? SKV_IO : SKV_OK);
        skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    }
    pages = open_it(dir);
    for (int refuse = 1; refuse <= 7; refuse++)
        for (skv_pages_way way = SKV_PAGES_LISTED; way <= SKV_PAGES_REACHED; way++) {
            seen found = {.refuse = refuse};
            CHECK_EQ(skv_pages_walk(pages, 0, way, (skv_pages_visitor){see, &found}, &err), SKV_BUSY);
            CHECK_EQ(found.all, refuse);
        }
    skv_pages_free(pages);
    scratch_remove(dir, PLACE);
}

int main(void)
{
    RUN(test_what_belongs_to_a_state_is_found_both_ways_and_what_is_free_is_not);
    RUN(test_a_list_of_free_pages_that_does_not_add_up_is_not_believed);
    RUN(test_a_page_that_is_not_what_it_says_is_passed_by);
    RUN(test_a_node_among_the_offsets_or_at_the_end_of_its_page_is_none);
    RUN(test_a_page_that_is_free_twice_is_none_that_the_list_tells_of);
    RUN(test_a_list_that_leads_into_the_data_hides_none_of_it);
    RUN(test_pages_behind_a_states_last_one_are_not_its_own_and_those_that_are_cut_off_may_be_free);
    RUN(test_no_list_is_needed_when_no_page_is_free);
    RUN(test_a_tree_that_is_none_is_walked_to_its_end);
    RUN(test_nodes_that_lie_outside_of_their_page_or_file_are_passed_by);
    RUN(test_a_long_value_may_reach_to_the_end_of_the_file_and_no_further);
    RUN(test_states_come_newest_first_and_only_those_whose_meta_page_can_be_read);
    RUN(test_a_file_that_is_missing_or_too_short_is_none);
    RUN(test_a_claim_is_whole_or_none);
    RUN(test_no_damage_ends_the_walk);
    RUN(test_failures_are_told_and_what_visit_answers_ends_the_walk);
    return 0;
}
