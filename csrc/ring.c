/* L2 part. Consistent hashing with many points per shard (Karger et al. 1997), found through an index on the top bits.
 *
 * The circle is cut into four times as many slices as there are points. Most slices hold no point or one, and two bytes answer
 * for them: the owner of the first point at or after the slice's beginning, and where in the slice a point lies; behind
 * that point the next slice's owner is the answer. The few others, and a hash that one byte cannot place, are searched
 * for from a coarser table. The cells of 64 shards take 2 MiB. */
#include "ring.h"

#include <stdbool.h>

#include "bytes.h"
#include "format.h"
#include "hash.h"
#include "memory.h"

#define SKV_RING_POINTS_MAX (1024 * SKV_RING_POINTS)

#define PLACE_BITS 8
#define PLACE_SEARCH 255 /* several points, or one at the very end */
#define COARSE_SHIFT 3   /* slices of one coarse start */

typedef struct {
    uint8_t place; /* of the point, in 256ths of the slice; 0 also for none */
    uint8_t owner; /* of the first point at or after the slice's beginning */
} cell;

struct skv_ring {
    uint64_t *points; /* ascending; one sentinel at the end */
    uint8_t *owners;  /* shard of each point */
    cell *cells;      /* one for each slice, and one more */
    uint32_t *starts; /* first point of every coarse slice */
    int shift;        /* a slice is the bits above */
};

_Static_assert(SKV_SHARDS_MAX <= 256, "an owner fits a byte");

static uint64_t point_of(uint32_t shard, uint32_t number)
{
    uint8_t name[8];
    skv_store32(name, shard);
    skv_store32(name + 4, number);
    return skv_hash64(name, sizeof name, SKV_RING_SEED);
}

static skv_code check_weights(const uint32_t *weights, uint32_t shards, uint32_t *points, skv_error *err)
{
    *points = 0;
    if (shards < 1 || shards > SKV_SHARDS_MAX)
        return skv_fail(err, SKV_INVALID, "shards is %u; it must be 1..%d", shards, SKV_SHARDS_MAX);
    for (uint32_t i = 0; i < shards; i++) {
        uint32_t weight = weights ? weights[i] : 1;
        if (weight < 1 || weight > SKV_WEIGHT_MAX)
            return skv_fail(err, SKV_INVALID, "weight of shard %u is %u; it must be 1..%d", i, weight, SKV_WEIGHT_MAX);
        *points += weight * SKV_RING_POINTS;
    }
    if (*points > SKV_RING_POINTS_MAX)
        return skv_fail(err, SKV_INVALID, "the weights sum to %u; at most %d", *points / SKV_RING_POINTS,
                        SKV_RING_POINTS_MAX / SKV_RING_POINTS);
    return SKV_OK;
}

static uint32_t points_of(const uint32_t *weights, uint32_t shard)
{
    return (weights ? weights[shard] : 1) * SKV_RING_POINTS;
}

static uint32_t coarse_slice(const skv_ring *ring, uint64_t hash)
{
    return (uint32_t)(hash >> ring->shift >> COARSE_SHIFT);
}

/* Says how many lie in each coarse slice. */
static void name_points(skv_ring *ring, uint64_t *named, const uint32_t *weights, uint32_t shards)
{
    for (uint32_t shard = 0; shard < shards; shard++)
        for (uint32_t i = 0; i < points_of(weights, shard); i++) {
            *named = point_of(shard, i);
            ring->starts[coarse_slice(ring, *named++)]++;
        }
}

/* From the last to the first: each slice's end moves back to its beginning. */
static void scatter_points(skv_ring *ring, const uint64_t *named, const uint32_t *weights, uint32_t shards, uint32_t count)
{
    for (uint32_t slice = 1; slice <= coarse_slice(ring, UINT64_MAX); slice++)
        ring->starts[slice] += ring->starts[slice - 1];
    for (uint32_t shard = shards; shard-- > 0;)
        for (uint32_t i = points_of(weights, shard); i-- > 0;) {
            uint64_t hash = named[--count];
            uint32_t at = --ring->starts[coarse_slice(ring, hash)];
            ring->points[at] = hash;
            ring->owners[at] = (uint8_t)shard;
        }
}

/* Few are out of place, and by little: two lie in a coarse slice, on average. */
static void sort_points(skv_ring *ring, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        uint64_t hash = ring->points[i];
        uint8_t owner = ring->owners[i];
        uint32_t at = i;
        for (; at > 0 && ring->points[at - 1] > hash; at--) {
            ring->points[at] = ring->points[at - 1];
            ring->owners[at] = ring->owners[at - 1];
        }
        ring->points[at] = hash;
        ring->owners[at] = owner;
    }
}

static uint8_t place_in_slice(uint64_t hash, int shift)
{
    return (uint8_t)(hash << (64 - shift) >> (64 - PLACE_BITS));
}

static void index_points(skv_ring *ring, uint32_t count, uint32_t slices)
{
    uint32_t next = 0;
    for (uint32_t i = 0; i <= count; i++) {
        uint32_t slice = i < count ? (uint32_t)(ring->points[i] >> ring->shift) : slices;
        bool first = next <= slice;
        for (; next <= slice; next++)
            ring->cells[next].owner = ring->owners[i];
        ring->cells[slice].place = first ? place_in_slice(ring->points[i], ring->shift) : PLACE_SEARCH;
    }
    ring->cells[slices].place = 0;
}

static skv_code place_points(skv_ring *ring, const uint32_t *weights, uint32_t shards, uint32_t count)
{
    uint64_t *named = skv_alloc(count * sizeof *named);
    if (!named)
        return SKV_NO_MEMORY;
    name_points(ring, named, weights, shards);
    scatter_points(ring, named, weights, shards, count);
    skv_release(named);
    sort_points(ring, count);
    ring->points[count] = UINT64_MAX;
    ring->owners[count] = ring->owners[0];
    index_points(ring, count, 1U << (64 - ring->shift));
    return SKV_OK;
}

skv_code skv_ring_create(const uint32_t *weights, uint32_t shards, skv_ring **out, skv_error *err)
{
    uint32_t count;
    int bits = COARSE_SHIFT;
    skv_ring *ring;
    skv_code code = check_weights(weights, shards, &count, err);
    *out = NULL;
    if (code != SKV_OK)
        return code;
    while (1U << bits < 4 * count)
        bits++;
    ring = skv_alloc(sizeof *ring);
    if (!ring)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    ring->shift = 64 - bits;
    ring->points = skv_alloc((count + 1) * sizeof *ring->points);
    ring->owners = skv_alloc((count + 1) * sizeof *ring->owners);
    ring->cells = skv_alloc((((size_t)1 << bits) + 1) * sizeof *ring->cells);
    ring->starts = skv_alloc(((size_t)1 << (bits - COARSE_SHIFT)) * sizeof *ring->starts);
    if (!ring->points || !ring->owners || !ring->cells || !ring->starts || place_points(ring, weights, shards, count) != SKV_OK) {
        skv_ring_free(ring);
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    }
    *out = ring;
    return SKV_OK;
}

void skv_ring_free(skv_ring *ring)
{
    if (!ring)
        return;
    skv_release(ring->starts);
    skv_release(ring->cells);
    skv_release(ring->owners);
    skv_release(ring->points);
    skv_release(ring);
}

static uint32_t search(const skv_ring *ring, uint64_t key_hash)
{
    uint32_t at = ring->starts[coarse_slice(ring, key_hash)];
    while (ring->points[at] < key_hash)
        at++;
    return ring->owners[at];
}

void skv_ring_prefetch(const skv_ring *ring, uint64_t key_hash)
{
    __builtin_prefetch(&ring->cells[key_hash >> ring->shift]);
}

uint32_t skv_ring_route(const skv_ring *ring, uint64_t key_hash)
{
    const cell *here = &ring->cells[key_hash >> ring->shift];
    uint8_t place = place_in_slice(key_hash, ring->shift);
    if (__builtin_expect(here->place == PLACE_SEARCH || place == here->place, 0))
        return search(ring, key_hash);
    return here[place > here->place].owner;
}
