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

/* The memory of all tables of an index, once it is large: one range in huge pages, without which every look costs a walk
 * through the kernel's tables of small ones. */
typedef struct {
    skv_entry *entries;
    size_t bytes;
    uint32_t capacity; /* entries of each table */
    uint32_t users;    /* tables in it, and its index while it is the newest */
} skv_room;

typedef struct {
    skv_room *room; /* NULL: its memory is its own */
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
    skv_room *room; /* the newest */
    uint64_t room_bytes; /* of all */
    uint32_t unmoved; /* tables from here on are in the newest room */
    skv_table older; /* replaced versions; a key may occur often */
    skv_index_size size;
    atomic_uint deletes_met;
    int64_t delta; /* of the keys that are known */
    uint64_t soonest_ms;
    bool ordered;
    bool sorting; /* somebody has positions that are in no run and not pending */
    skv_run *runs[SKV_INDEX_RUNS_MAX];
    uint32_t run_count;
    uint64_t credit; /* records that may be merged because readers met more than one run */
    skv_position *pending; /* inserted since the last order */
    uint32_t pending_count, pending_capacity;
};

static inline skv_position skv_entry_position(const skv_entry *entry)
{
    return (skv_position){entry->offset, entry->slot};
}

/* Are so many tables large enough for a room? */
bool skv_room_pays(uint32_t tables, uint32_t capacity);
/* Its first user is the caller. NULL when memory is out. */
skv_room *skv_room_create(uint32_t tables, uint32_t capacity);
/* The last user frees it; returns the bytes that were freed. NULL: none. */
size_t skv_room_leave(skv_room *room);
/* The positions of a table, in no order; returns where the next would go. */
skv_position *skv_index_copy_table(const skv_table *table, skv_position *out);

#endif
