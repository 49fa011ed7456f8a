/* L2 part. Consistent hashing with many points per shard (Karger et al. 1997), found through an index on the top bits.
 *
 * The circle is cut into twice as many slices as there are points. Most slices hold no point or one, and their cell
 * answers by itself: the owner before and after that point, and 15 bits of where it lies. The few others, and a hash
 * that these 15 bits cannot place, are searched for from a coarser table. */
#include "ring.h"

#include "bytes.h"
#include "format.h"
#include "hash.h"
#include "memory.h"
#include "radix.h"

#define SKV_RING_POINTS_MAX (1024 * SKV_RING_POINTS)

#define CELL_SEARCH 0x80000000u
#define CELL_PLACE_BITS 15
#define COARSE_SHIFT 3 /* slices of one coarse start */

struct skv_ring {
    uint64_t *points; /* ascending; one sentinel at the end */
    uint8_t *owners;  /* shard of each point */
    uint32_t *cells;  /* of each slice: search 1 bit, place 15, owner up to the point 8, owner after it 8 */
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

static void name_points(skv_pair *pairs, const uint32_t *weights, uint32_t shards)
{
    for (uint32_t shard = 0; shard < shards; shard++)
        for (uint32_t i = 0; i < (weights ? weights[shard] : 1) * SKV_RING_POINTS; i++)
            *pairs++ = (skv_pair){point_of(shard, i), shard};
}

static uint32_t place_in_slice(uint64_t hash, int shift)
{
    return (uint32_t)(hash << (64 - shift) >> (64 - CELL_PLACE_BITS));
}

/* The cell of a slice in which `inside` points lie, the first of them at `at`. */
static uint32_t cell_of(const skv_ring *ring, uint32_t at, uint32_t inside)
{
    if (inside > 1)
        return CELL_SEARCH;
    return (inside ? place_in_slice(ring->points[at], ring->shift) : 0) << 16 | (uint32_t)ring->owners[at] << 8 |
           ring->owners[at + inside];
}

static void index_points(skv_ring *ring, uint32_t count, uint32_t slices)
{
    uint32_t at = 0;
    for (uint32_t slice = 0; slice < slices; slice++) {
        uint32_t inside = 0;
        if (slice % (1 << COARSE_SHIFT) == 0)
            ring->starts[slice >> COARSE_SHIFT] = at;
        while (at + inside < count && ring->points[at + inside] >> ring->shift == slice)
            inside++;
        ring->cells[slice] = cell_of(ring, at, inside);
        at += inside;
    }
}

static skv_code place_points(skv_ring *ring, const uint32_t *weights, uint32_t shards, uint32_t count)
{
    skv_pair *pairs = skv_alloc(count * sizeof *pairs), *scratch = skv_alloc(count * sizeof *scratch);
    skv_code code = SKV_NO_MEMORY;
    if (pairs && scratch) {
        name_points(pairs, weights, shards);
        skv_radix_sort(pairs, scratch, count);
        for (uint32_t i = 0; i < count; i++) {
            ring->points[i] = pairs[i].key;
            ring->owners[i] = (uint8_t)pairs[i].payload;
        }
        ring->points[count] = UINT64_MAX;
        ring->owners[count] = ring->owners[0];
        index_points(ring, count, 1U << (64 - ring->shift));
        code = SKV_OK;
    }
    skv_release(scratch);
    skv_release(pairs);
    return code;
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
    while (1U << bits < 2 * count)
        bits++;
    ring = skv_alloc(sizeof *ring);
    if (!ring)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    ring->shift = 64 - bits;
    ring->points = skv_alloc((count + 1) * sizeof *ring->points);
    ring->owners = skv_alloc((count + 1) * sizeof *ring->owners);
    ring->cells = skv_alloc(((size_t)1 << bits) * sizeof *ring->cells);
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
    uint32_t at = ring->starts[key_hash >> ring->shift >> COARSE_SHIFT];
    while (ring->points[at] < key_hash)
        at++;
    return ring->owners[at];
}

uint32_t skv_ring_route(const skv_ring *ring, uint64_t key_hash)
{
    uint32_t cell = ring->cells[key_hash >> ring->shift], place = place_in_slice(key_hash, ring->shift);
    uint32_t point = cell >> 16; /* of a cell to be searched: more than any place */
    if (__builtin_expect(point > UINT16_MAX / 2 || place == point, 0))
        return search(ring, key_hash);
    return (place < point ? cell >> 8 : cell) & 0xff;
}
