/* L2 part (index family). The index's state, seen by index*.c only. */
#ifndef SKV_INDEX_STATE_H
#define SKV_INDEX_STATE_H

#include "index.h"

#define SKV_INDEX_TABLES SKV_INDEX_PARTS
#define SKV_INDEX_TABLE_BITS 6
#define SKV_ENTRY_USED 1
#define SKV_ENTRY_DELETE 2
#define SKV_ENTRY_KNOWN 4 /* whether the key is below is known */
#define SKV_ENTRY_BELOW 8
#define SKV_ENTRY_TAG 0xfff0

typedef struct {
    uint32_t hash;
    uint32_t offset;
    uint16_t slot;
    uint16_t bits;
} skv_entry;

_Static_assert(sizeof(skv_entry) == 12, "12 bytes per key");

typedef struct {
    skv_entry *entries;
    uint32_t capacity;
    uint32_t used;
    uint32_t reserved;
    uint32_t unknown;
} skv_table;

struct skv_index {
    atomic_uint references;
    const skv_slots *slots; /* kept until the index is freed */
    skv_table tables[SKV_INDEX_TABLES];
    skv_table older; /* replaced versions; a key may occur often */
    skv_index_size size;
    int64_t delta; /* of the keys that are known */
    uint64_t soonest_ms;
    bool ordered;
    skv_run *runs[SKV_INDEX_RUNS_MAX];
    uint32_t run_count;
    skv_position *pending; /* inserted since the last order */
    uint32_t pending_count, pending_capacity;
};

static inline skv_position skv_entry_position(const skv_entry *entry)
{
    return (skv_position){entry->offset, entry->slot};
}

/* The positions of a table, in no order; returns where the next would go. */
skv_position *skv_index_copy_table(const skv_table *table, skv_position *out);

#endif
