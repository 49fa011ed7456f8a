/* L2 part (index family). Sorted runs: radix on the 8 bytes after what all keys share, then comparison among equals. */
#include "run.h"

#include <assert.h>

#include "memory.h"
#include "radix.h"

skv_run *skv_run_create(uint32_t count)
{
    skv_run *run = skv_alloc(sizeof *run + count * sizeof run->positions[0]);
    if (run) {
        atomic_init(&run->references, 1);
        run->count = count;
    }
    return run;
}

void skv_run_keep(skv_run *run)
{
    atomic_fetch_add(&run->references, 1);
}

void skv_run_release(skv_run *run)
{
    if (run && atomic_fetch_sub(&run->references, 1) == 1)
        skv_release(run);
}

static int compare_records(const skv_record *a, const skv_record *b)
{
    int order = skv_key_compare(a->key, b->key);
    return order ? order : (a->seqno < b->seqno) - (a->seqno > b->seqno);
}

static int compare_positions(const skv_slots *slots, skv_position a, skv_position b)
{
    skv_record left, right;
    skv_slots_read(slots, a, &left);
    skv_slots_read(slots, b, &right);
    return compare_records(&left, &right);
}

static uint64_t pack(skv_position position)
{
    return (uint64_t)position.slot << 32 | position.offset;
}

static skv_position unpack(uint64_t packed)
{
    return (skv_position){(uint32_t)packed, (uint16_t)(packed >> 32)};
}

/* How many leading bytes do all keys share? */
static size_t shared_bytes(const skv_run *run, const skv_slots *slots)
{
    skv_record first, other;
    size_t shared;
    skv_slots_read(slots, run->positions[0], &first);
    shared = first.key.bytes;
    for (uint32_t i = 1; i < run->count && shared; i++) {
        size_t same = 0;
        skv_slots_read(slots, run->positions[i], &other);
        while (same < shared && same < other.key.bytes && first.key.data[same] == other.key.data[same])
            same++;
        shared = same;
    }
    return shared;
}

static void sift(const skv_slots *slots, skv_pair *heap, size_t root, size_t count)
{
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        skv_pair swapped;
        if (child + 1 < count && compare_positions(slots, unpack(heap[child].payload), unpack(heap[child + 1].payload)) < 0)
            child++;
        if (compare_positions(slots, unpack(heap[root].payload), unpack(heap[child].payload)) >= 0)
            return;
        swapped = heap[root];
        heap[root] = heap[child];
        heap[child] = swapped;
    }
}

/* Heap sort: in place, and never worse than n log n whatever the keys are. */
static void sort_equals(const skv_slots *slots, skv_pair *pairs, size_t count)
{
    for (size_t root = count / 2; root-- > 0;)
        sift(slots, pairs, root, count);
    for (size_t left = count; left-- > 1;) {
        skv_pair top = pairs[0];
        pairs[0] = pairs[left];
        pairs[left] = top;
        sift(slots, pairs, 0, left);
    }
}

static void sort_pairs(skv_run *run, const skv_slots *slots, skv_pair *pairs, skv_pair *scratch)
{
    size_t skip = shared_bytes(run, slots), count = run->count;
    for (size_t i = 0; i < count; i++) {
        skv_record record;
        skv_slots_read(slots, run->positions[i], &record);
        pairs[i] = (skv_pair){skv_order_prefix(record.key.data + skip, record.key.bytes - skip), pack(run->positions[i])};
    }
    skv_radix_sort(pairs, scratch, count);
    for (size_t from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count && pairs[to].key == pairs[from].key; to++)
            continue;
        if (to - from > 1)
            sort_equals(slots, pairs + from, to - from);
    }
    for (size_t i = 0; i < count; i++)
        run->positions[i] = unpack(pairs[i].payload);
}

skv_code skv_run_sort(skv_run *run, const skv_slots *slots)
{
    skv_pair *pairs, *scratch;
    if (run->count < 2)
        return SKV_OK;
    pairs = skv_alloc(run->count * sizeof *pairs);
    scratch = skv_alloc(run->count * sizeof *scratch);
    if (pairs && scratch)
        sort_pairs(run, slots, pairs, scratch);
    skv_release(scratch);
    skv_release(pairs);
    return pairs && scratch ? SKV_OK : SKV_NO_MEMORY;
}

skv_run *skv_run_merge(const skv_run *a, const skv_run *b, const skv_slots *slots)
{
    skv_run *merged = skv_run_create(a->count + b->count);
    uint32_t i = 0, j = 0, at = 0;
    if (!merged)
        return NULL;
    while (i < a->count && j < b->count) {
        if (compare_positions(slots, a->positions[i], b->positions[j]) <= 0)
            merged->positions[at++] = a->positions[i++];
        else
            merged->positions[at++] = b->positions[j++];
    }
    while (i < a->count)
        merged->positions[at++] = a->positions[i++];
    while (j < b->count)
        merged->positions[at++] = b->positions[j++];
    return merged;
}

uint32_t skv_run_seek(const skv_run *run, const skv_slots *slots, skv_slice key)
{
    uint32_t low = 0, high = run->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        skv_record record;
        skv_slots_read(slots, run->positions[middle], &record);
        if (skv_key_compare(record.key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
