/* L2 part (index family). The index: many small open-addressing tables, so that growing one is a short step. */
#include "index_state.h"

#include <assert.h>

#include "memory.h"
#include "sync.h"

#define FIRST_CAPACITY 8
#define PENDING_SLACK 1024

skv_index *skv_index_create(const skv_slots *slots)
{
    skv_index *index = skv_alloc(sizeof *index);
    if (index) {
        atomic_init(&index->references, 1);
        index->slots = slots;
        index->soonest_ms = UINT64_MAX;
    }
    return index;
}

void skv_index_keep(skv_index *index)
{
    atomic_fetch_add(&index->references, 1);
}

static void free_table(skv_index *index, skv_table *table)
{
    if (table->room)
        index->room_bytes -= skv_room_leave(table->room);
    else
        skv_release(table->entries);
}

void skv_index_release(skv_index *index)
{
    if (!index || atomic_fetch_sub(&index->references, 1) != 1)
        return;
    for (int i = 0; i < SKV_INDEX_TABLES; i++)
        free_table(index, &index->tables[i]);
    free_table(index, &index->older);
    (void)skv_room_leave(index->room);
    skv_index_drop_order(index);
    skv_release(index);
}

/* -- tables --------------------------------------------------------------------------------------------------------- */

static skv_table *table_of(const skv_index *index, uint64_t key_hash)
{
    return (skv_table *)(uintptr_t)&index->tables[key_hash % SKV_INDEX_TABLES];
}

static skv_entry entry_of(uint64_t key_hash, skv_position position, bool deletes)
{
    uint64_t rest = key_hash >> SKV_INDEX_TABLE_BITS;
    return (skv_entry){.hash = (uint32_t)rest,
                   .offset = position.offset,
                   .slot = position.slot,
                   .bits = (uint16_t)(((rest >> 32) << 4 & SKV_ENTRY_TAG) | SKV_ENTRY_USED | (deletes ? SKV_ENTRY_DELETE : 0))};
}

static uint32_t home_of(const skv_table *table, uint32_t hash)
{
    return (uint32_t)((uint64_t)hash * table->capacity >> 32);
}

static uint32_t after(const skv_table *table, uint32_t at)
{
    return at + 1 == table->capacity ? 0 : at + 1;
}

static void place(skv_table *table, skv_entry entry)
{
    uint32_t at = home_of(table, entry.hash);
    while (table->entries[at].bits)
        at = after(table, at);
    table->entries[at] = entry;
}

/* Put the entries into larger memory. */
static void move(skv_index *index, skv_table *table, skv_table larger)
{
    for (uint32_t i = 0; i < table->capacity; i++)
        if (table->entries[i].bits)
            place(&larger, table->entries[i]);
    larger.used = table->used;
    larger.reserved = table->reserved;
    larger.unknown = table->unknown;
    free_table(index, table);
    *table = larger;
}

/* A newest room for tables of that capacity, into which all of them move. */
static skv_code make_room(skv_index *index, uint32_t capacity)
{
    skv_room *room = skv_room_create(SKV_INDEX_TABLES, capacity);
    if (!room)
        return SKV_NO_MEMORY;
    index->room_bytes += room->bytes;
    index->room_bytes -= skv_room_leave(index->room);
    index->room = room;
    index->unmoved = SKV_INDEX_TABLES;
    return SKV_OK;
}

static void move_into_room(skv_index *index, skv_table *table)
{
    skv_room *room = index->room;
    size_t from = (size_t)(table - index->tables) * room->capacity;
    room->users++;
    move(index, table, (skv_table){.room = room, .entries = room->entries + from, .capacity = room->capacity});
}

/* One at a time, so that no insert waits for all. */
static void move_next(skv_index *index)
{
    skv_table *table = &index->tables[--index->unmoved];
    if (table->capacity < index->room->capacity)
        move_into_room(index, table);
}

static skv_code grow(skv_index *index, skv_table *table)
{
    uint32_t capacity = table->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : table->capacity + table->capacity / 2;
    skv_table larger = {.capacity = capacity};
    if (table != &index->older && skv_room_pays(SKV_INDEX_TABLES, capacity)) {
        if ((!index->room || index->room->capacity < capacity) && make_room(index, capacity) != SKV_OK)
            return SKV_NO_MEMORY;
        move_into_room(index, table);
        return SKV_OK;
    }
    larger.entries = skv_alloc(capacity * sizeof larger.entries[0]);
    if (!larger.entries)
        return SKV_NO_MEMORY;
    move(index, table, larger);
    return SKV_OK;
}

static skv_code reserve_one(skv_index *index, skv_table *table)
{
    /* Three quarters at most, and always one free entry, at which a search ends. */
    while (4 * ((uint64_t)table->used + table->reserved + 1) > 3 * (uint64_t)table->capacity)
        if (grow(index, table) != SKV_OK)
            return SKV_NO_MEMORY;
    table->reserved++;
    return SKV_OK;
}

void skv_index_prepare(skv_index *index, uint64_t keys)
{
    uint64_t capacity = keys / SKV_INDEX_TABLES * 3 / 2;
    if (capacity < UINT32_MAX && skv_room_pays(SKV_INDEX_TABLES, (uint32_t)capacity))
        (void)make_room(index, (uint32_t)capacity); /* without it they grow in steps */
}

skv_code skv_index_reserve(skv_index *index, uint64_t key_hash, const skv_cut *cuts)
{
    skv_code code;
    if (index->unmoved)
        move_next(index);
    code = reserve_one(index, table_of(index, key_hash));
    if (code == SKV_OK && cuts) {
        code = reserve_one(index, &index->older);
        if (code != SKV_OK)
            table_of(index, key_hash)->reserved--;
    }
    return code;
}

void skv_index_prefetch(const skv_index *index, uint64_t key_hash)
{
    const skv_table *table = table_of(index, key_hash);
    if (table->capacity)
        __builtin_prefetch(&table->entries[home_of(table, (uint32_t)(key_hash >> SKV_INDEX_TABLE_BITS))], 1);
}

void skv_index_unreserve(skv_index *index, uint64_t key_hash, const skv_cut *cuts)
{
    table_of(index, key_hash)->reserved--;
    if (cuts)
        index->older.reserved--;
}

/* -- insert and find ------------------------------------------------------------------------------------------------ */

static bool same_hash(const skv_entry *a, const skv_entry *b)
{
    return a->hash == b->hash && ((a->bits ^ b->bits) & SKV_ENTRY_TAG) == 0;
}

static skv_entry *find_entry(const skv_index *index, const skv_table *table, const skv_entry *wanted, skv_slice key, skv_record *found)
{
    if (!table->capacity)
        return NULL;
    for (uint32_t at = home_of(table, wanted->hash); table->entries[at].bits; at = after(table, at)) {
        skv_entry *here = &table->entries[at];
        if (!same_hash(here, wanted))
            continue;
        skv_slots_read(index->slots, skv_entry_position(here), found);
        if (skv_key_compare(found->key, key) == 0)
            return here;
    }
    return NULL;
}

static void note_pending(skv_index *index, skv_position position)
{
    if (!index->ordered)
        return;
    if (index->pending_count == index->pending_capacity) {
        uint32_t capacity = index->pending_capacity ? 2 * index->pending_capacity : 256;
        skv_position *larger = NULL;
        /* Nobody scans while this many came: whoever scans next sorts anew. */
        if (index->pending_count <= index->size.keys + PENDING_SLACK)
            larger = skv_resize(index->pending, capacity * sizeof larger[0]);
        if (!larger) {
            skv_index_drop_order(index);
            return;
        }
        index->pending = larger;
        index->pending_capacity = capacity;
    }
    index->pending[index->pending_count++] = position;
}

static void replace(skv_index *index, skv_entry *here, skv_entry wanted, skv_slice key)
{
    if (here->bits & SKV_ENTRY_KNOWN && !skv_key_reserved(key))
        index->delta += (here->bits & SKV_ENTRY_DELETE ? 1 : 0) - (wanted.bits & SKV_ENTRY_DELETE ? 1 : 0);
    wanted.bits |= here->bits & (SKV_ENTRY_KNOWN | SKV_ENTRY_BELOW);
    *here = wanted;
}

static void note_size(skv_index *index, const skv_record *record)
{
    if (!index->size.first_seqno) {
        index->size.first_seqno = record->seqno;
        index->size.first_ns = skv_now_ns();
    }
    index->size.last_seqno = record->seqno;
    index->size.bytes += skv_record_bytes(record);
    if (skv_record_expires(record) && record->expires_ms < index->soonest_ms)
        index->soonest_ms = record->expires_ms;
}

/* Among the replaced versions, the newest with seqno <= upto. */
static skv_entry *find_older(const skv_index *index, const skv_entry *wanted, skv_slice key, uint64_t upto, skv_record *out)
{
    const skv_table *older = &index->older;
    skv_entry *found = NULL;
    if (!older->capacity)
        return NULL;
    for (uint32_t at = home_of(older, wanted->hash); older->entries[at].bits; at = after(older, at)) {
        skv_record record;
        if (!same_hash(&older->entries[at], wanted))
            continue;
        skv_slots_read(index->slots, skv_entry_position(&older->entries[at]), &record);
        if (record.seqno > upto || (found && record.seqno < out->seqno) || skv_key_compare(record.key, key) != 0)
            continue;
        *out = record;
        found = &older->entries[at];
    }
    return found;
}

/* Is there a snapshot that sees the record with seqno `from`, and not the next kept one of its key? */
static bool is_seen(const skv_cut *cut, uint64_t from, uint64_t next)
{
    while (cut && cut->seqno >= next)
        cut = cut->older;
    return cut && cut->seqno >= from;
}

/* In the place of the version before, when no snapshot sees that any more: a key that is written again and again beside
 * snapshots that come and go has no more versions here than snapshots see. */
static void keep_older(skv_index *index, skv_entry entry, const skv_record *old, const skv_cut *cuts)
{
    skv_record last;
    skv_entry *before = find_older(index, &entry, old->key, UINT64_MAX, &last);
    if (before && !is_seen(cuts, last.seqno, old->seqno)) {
        *before = entry;
        return;
    }
    place(&index->older, entry);
    index->older.used++;
}

void skv_index_insert(skv_index *index, uint64_t key_hash, skv_position position, const skv_record *record,
                      const skv_cut *cuts)
{
    skv_table *table = table_of(index, key_hash);
    skv_entry wanted = entry_of(key_hash, position, skv_record_deletes(record));
    skv_record old;
    skv_entry *here = find_entry(index, table, &wanted, record->key, &old);
    skv_index_unreserve(index, key_hash, cuts);
    note_size(index, record);
    note_pending(index, position);
    if (!here) {
        place(table, wanted);
        table->used++;
        table->unknown++;
        index->size.keys++;
        return;
    }
    if (cuts && old.seqno <= cuts->seqno)
        keep_older(index, *here, &old, cuts);
    replace(index, here, wanted, record->key);
}

bool skv_index_find(const skv_index *index, skv_key key, uint64_t upto, skv_position *position, skv_record *out)
{
    skv_entry wanted = entry_of(key.hash, (skv_position){0, 0}, false);
    const skv_entry *here = find_entry(index, table_of(index, key.hash), &wanted, key.bytes, out);
    if (here && out->seqno > upto)
        here = find_older(index, &wanted, key.bytes, upto, out);
    if (here)
        *position = skv_entry_position(here);
    return here != NULL;
}

/* -- looking -------------------------------------------------------------------------------------------------------- */

uint32_t skv_index_meet(skv_index *index, uint32_t deletes)
{
    return atomic_fetch_add(&index->deletes_met, deletes) + deletes;
}

skv_index_size skv_index_measure(const skv_index *index)
{
    skv_index_size size = index->size;
    size.deletes_met = atomic_load(&index->deletes_met);
    size.heap_bytes = sizeof *index + index->room_bytes + index->older.capacity * sizeof(skv_entry) +
                      index->pending_capacity * sizeof(skv_position);
    for (int i = 0; i < SKV_INDEX_TABLES; i++)
        if (!index->tables[i].room)
            size.heap_bytes += index->tables[i].capacity * sizeof(skv_entry);
    for (uint32_t i = 0; i < index->run_count; i++)
        size.heap_bytes += index->runs[i]->count * sizeof(skv_position);
    return size;
}

uint64_t skv_index_first_seqno(const skv_index *index)
{
    return index->size.first_seqno;
}

skv_position *skv_index_copy_table(const skv_table *table, skv_position *out)
{
    for (uint32_t i = 0; i < table->capacity; i++)
        if (table->entries[i].bits)
            *out++ = skv_entry_position(&table->entries[i]);
    return out;
}

void skv_index_copy(const skv_index *index, skv_position *out)
{
    for (int i = 0; i < SKV_INDEX_TABLES; i++)
        out = skv_index_copy_table(&index->tables[i], out);
}

skv_code skv_index_copy_part(const skv_index *index, uint32_t part, skv_run **out)
{
    const skv_table *table = &index->tables[part];
    *out = table->used ? skv_run_create(table->used) : NULL;
    if (*out)
        (void)skv_index_copy_table(table, (*out)->positions);
    return *out || !table->used ? SKV_OK : SKV_NO_MEMORY;
}

uint64_t skv_index_soonest(const skv_index *index)
{
    return index->soonest_ms;
}

void skv_index_expect(skv_index *index, uint64_t soonest_ms)
{
    index->soonest_ms = soonest_ms;
}
