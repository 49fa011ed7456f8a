/* Row 14: hash a 16-byte key and find its shard. Usage: ring_bench SHARDS LOOKUPS; prints one line of JSON.
 * The keys are made beforehand and fit the second-level cache, so that what is timed is the hash and the ring. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "hash.h"
#include "ring.h"

#define KEY_BYTES 16
#define KEYS 32768 /* 512 KiB */
#define SHARES 4000000 /* keys drawn to compare the shares of the shards */

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15ULL; /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec * 1e-9;
}

static double lookups_per_second(const skv_ring *ring, const uint64_t *keys, uint64_t count,
                                 volatile uint64_t *sink)
{
    uint64_t sum = 0;
    double begin = now();
    for (uint64_t i = 0; i < count; i++)
        sum += skv_ring_route(ring, skv_key_hash(&keys[i % KEYS * 2], KEY_BYTES));
    *sink = sum; /* volatile, so that the loop cannot be dropped */
    return (double)count / (now() - begin);
}

static void print_shares(const skv_ring *ring, uint32_t shards, uint64_t *state)
{
    uint32_t counts[SKV_SHARDS_MAX] = {0}, most = 0;
    for (uint32_t i = 0; i < SHARES; i++) {
        uint64_t key[2] = {next_random(state), next_random(state)};
        counts[skv_ring_route(ring, skv_key_hash(key, KEY_BYTES))]++;
    }
    for (uint32_t i = 0; i < shards; i++)
        most = counts[i] > most ? counts[i] : most;
    printf("\"max_share\": %.4f, \"shard_records\": [", (double)most * shards / SHARES);
    for (uint32_t i = 0; i < shards; i++)
        printf(i ? ", %u" : "%u", counts[i]);
    printf("]");
}

int main(int argc, char **argv)
{
    uint64_t count = argc == 3 ? strtoull(argv[2], NULL, 10) : 0, state = 1;
    volatile uint64_t sink;
    uint32_t shards = argc == 3 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
    uint64_t *keys = malloc(KEYS * KEY_BYTES);
    skv_ring *ring;
    skv_error err;
    double rate;
    if (!count || shards > SKV_SHARDS_MAX || !keys || skv_ring_create(NULL, shards, &ring, &err) != SKV_OK)
        return fprintf(stderr, "usage: ring_bench SHARDS LOOKUPS\n"), 2;
    for (int i = 0; i < KEYS * 2; i++)
        keys[i] = next_random(&state);
    lookups_per_second(ring, keys, count / 10 + 1, &sink);
    rate = lookups_per_second(ring, keys, count, &sink);
    printf("{\"per_s\": %.0f, ", rate);
    print_shares(ring, shards, &state);
    printf("}\n");
    skv_ring_free(ring);
    free(keys);
    return 0;
}
