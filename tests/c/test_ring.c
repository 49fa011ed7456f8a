/* The ring: the shard that the format's words pick, balanced, and moving no more than it must. */
#include "ring.h"

#include <string.h>

#include "bytes.h"
#include "check.h"
#include "format.h"
#include "hash.h"
#include "radix.h"

static skv_ring *make(const uint32_t *weights, uint32_t shards)
{
    skv_error err = {0};
    skv_ring *ring;
    CHECK_OK(skv_ring_create(weights, shards, &ring, &err), &err);
    return ring;
}

/* The sum of what 1000 hashes give, folded with the hash itself: the numbers come from a Python program. */
static uint64_t golden(const uint32_t *weights, uint32_t shards)
{
    skv_ring *ring = make(weights, shards);
    uint64_t digest = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        uint8_t bytes[4];
        skv_store32(bytes, i);
        skv_store32(bytes, skv_ring_route(ring, skv_hash64(bytes, 4, 0)));
        digest = skv_hash64(bytes, 4, digest);
    }
    skv_ring_free(ring);
    return digest;
}

static void test_placement_is_the_same_on_every_platform(void)
{
    static const uint32_t weights[] = {1, 2, 3};
    CHECK_EQ(golden(NULL, 8), 0x64fe0f3e7206e3e2ULL);
    CHECK_EQ(golden(NULL, 64), 0xe61d857b42de8660ULL);
    CHECK_EQ(golden(weights, 3), 0x823a376724558a0fULL);
    CHECK_EQ(golden(NULL, 256), 0x58965b299bc26425ULL);
}

/* All points in order, straight from the format's words. */
static size_t make_points(const uint32_t *weights, uint32_t shards, skv_pair **out)
{
    size_t count = 0, at = 0;
    skv_pair *scratch;
    for (uint32_t s = 0; s < shards; s++)
        count += weights[s] * SKV_RING_POINTS;
    *out = malloc(count * sizeof **out);
    scratch = malloc(count * sizeof *scratch);
    CHECK(*out && scratch);
    for (uint32_t s = 0; s < shards; s++)
        for (uint32_t i = 0; i < weights[s] * SKV_RING_POINTS; i++) {
            uint8_t name[8];
            skv_store32(name, s);
            skv_store32(name + 4, i);
            (*out)[at++] = (skv_pair){skv_hash64(name, 8, SKV_RING_SEED), s};
        }
    skv_radix_sort(*out, scratch, count);
    free(scratch);
    return count;
}

/* Before, at and after every point, and at both ends of the circle. */
static void test_the_first_point_at_or_after_a_hash_decides(void)
{
    static const uint32_t layouts[][4] = {{1, 0}, {1, 1, 0}, {3, 1, 7, 2}, {64, 1, 1, 0}};
    for (size_t l = 0; l < 4; l++) {
        uint32_t shards = layouts[l][1] == 0 ? 1 : layouts[l][2] == 0 ? 2 : layouts[l][3] == 0 ? 3 : 4;
        skv_ring *ring = make(layouts[l], shards);
        skv_pair *points;
        size_t count = make_points(layouts[l], shards, &points);
        for (size_t i = 0; i < count; i++) {
            CHECK_EQ(skv_ring_route(ring, points[i].key), points[i].payload);
            CHECK_EQ(skv_ring_route(ring, points[i].key + 1), points[(i + 1) % count].payload);
            if (i && points[i - 1].key + 1 < points[i].key)
                CHECK_EQ(skv_ring_route(ring, points[i].key - 1), points[i].payload);
        }
        CHECK_EQ(skv_ring_route(ring, 0), points[0].payload);
        CHECK_EQ(skv_ring_route(ring, UINT64_MAX), points[0].payload);
        free(points);
        skv_ring_free(ring);
    }
}

static void count_keys(const skv_ring *ring, uint32_t counts[SKV_SHARDS_MAX], uint32_t keys)
{
    memset(counts, 0, SKV_SHARDS_MAX * sizeof counts[0]);
    for (uint32_t i = 0; i < keys; i++)
        counts[skv_ring_route(ring, skv_key_hash(&i, sizeof i))]++;
}

static void test_the_fullest_of_64_shards_holds_5_percent_more_than_the_mean(void)
{
    skv_ring *ring = make(NULL, 64);
    uint32_t counts[SKV_SHARDS_MAX], keys = 1 << 20, most = 0;
    count_keys(ring, counts, keys);
    for (uint32_t s = 0; s < 64; s++)
        most = counts[s] > most ? counts[s] : most;
    CHECK(most * 64ULL * 100 < keys * 106ULL); /* 1.05, and the luck of the draw */
    skv_ring_free(ring);
}

static void test_weights_are_shares(void)
{
    static const uint32_t weights[] = {1, 2, 5, 8};
    skv_ring *ring = make(weights, 4);
    uint32_t counts[SKV_SHARDS_MAX], keys = 1 << 18;
    count_keys(ring, counts, keys);
    for (uint32_t s = 0; s < 4; s++) {
        uint64_t fair = (uint64_t)keys * weights[s] / 16;
        CHECK(counts[s] > fair * 94 / 100 && counts[s] < fair * 106 / 100);
    }
    skv_ring_free(ring);
}

static void test_a_new_shard_takes_its_share_and_moves_nothing_else(void)
{
    for (uint32_t shards = 1; shards < 40; shards += 6) {
        skv_ring *old = make(NULL, shards), *new = make(NULL, shards + 1);
        uint64_t moved = 0, keys = 100000;
        for (uint64_t i = 0; i < keys; i++) {
            uint64_t hash = skv_key_hash(&i, sizeof i);
            uint32_t before = skv_ring_route(old, hash), after = skv_ring_route(new, hash);
            CHECK(after == before || after == shards);
            moved += after != before;
        }
        CHECK(moved * (shards + 1) > keys * 9 / 10 && moved * (shards + 1) < keys * 11 / 10);
        skv_ring_free(new);
        skv_ring_free(old);
    }
}

static void expect_invalid(const uint32_t *weights, uint32_t shards)
{
    skv_error err = {0};
    skv_ring *ring = (skv_ring *)&err;
    CHECK_EQ(skv_ring_create(weights, shards, &ring, &err), SKV_INVALID);
    CHECK(!ring && err.text[0]);
}

static void test_bad_layouts_are_refused(void)
{
    static const uint32_t zero[] = {1, 0}, heavy[] = {1, SKV_WEIGHT_MAX + 1};
    uint32_t sum[SKV_SHARDS_MAX];
    for (uint32_t s = 0; s < SKV_SHARDS_MAX; s++)
        sum[s] = SKV_WEIGHT_MAX;
    expect_invalid(NULL, 0);
    expect_invalid(NULL, SKV_SHARDS_MAX + 1);
    expect_invalid(zero, 2);
    expect_invalid(heavy, 2);
    expect_invalid(sum, SKV_SHARDS_MAX);
    skv_ring_free(NULL);
}

int main(void)
{
    RUN(test_placement_is_the_same_on_every_platform);
    RUN(test_the_first_point_at_or_after_a_hash_decides);
    RUN(test_the_fullest_of_64_shards_holds_5_percent_more_than_the_mean);
    RUN(test_weights_are_shares);
    RUN(test_a_new_shard_takes_its_share_and_moves_nothing_else);
    RUN(test_bad_layouts_are_refused);
    return 0;
}
