/* L2 part (index family). The index: many small open-addressing tables, so that growing one is a short step. */
#include "index.h"

#include <assert.h>

#include "memory.h"
#include "sync.h"

#define TABLES 64
#define TABLE_BITS 6
#define FIRST_CAPACITY 8
#define ENTRY_USED 1
#define ENTRY_DELETE 2
#define ENTRY_KNOWN 4 /* whether the key is below is known */
#define ENTRY_BELOW 8
#define ENTRY_TAG 0xfff0
#define PENDING_SLACK 1024

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
    skv_table tables[TABLES];
    skv_table older; /* replaced versions; a key may occur often */
    skv_index_size size;
    int64_t delta; /* of the keys that are known */
    bool ordered;
    skv_run *runs[SKV_INDEX_RUNS_MAX];
    uint32_t run_count;
    skv_position *pending; /* inserted since the last order */
    uint32_t pending_count, pending_capacity;
};

skv_index *skv_index_create(const skv_slots *slots)
{
    skv_index *index = skv_alloc(sizeof *index);
    if (index) {
        atomic_init(&index->references, 1);
        index->slots = slots;
    }
    return index;
}

void skv_index_keep(skv_index *index)
{
    atomic_fetch_add(&index->references, 1);
}

void skv_index_drop_order(skv_index *index)
{
    for (uint32_t i = 0; i < index->run_count; i++)
        skv_run_release(index->runs[i]);
    skv_release(index->pending);
    index->pending = NULL;
    index->run_count = index->pending_count = index->pending_capacity = 0;
    index->ordered = false;
}

void skv_index_release(skv_index *index)
{
    if (!index || atomic_fetch_sub(&index->references, 1) != 1)
        return;
    for (int i = 0; i < TABLES; i++)
        skv_release(index->tables[i].entries);
    skv_release(index->older.entries);
    skv_index_drop_order(index);
    skv_release(index);
}

/* -- tables --------------------------------------------------------------------------------------------------------- */

static skv_table *table_of(const skv_index *index, uint64_t key_hash)
{
    return (skv_table *)(uintptr_t)&index->tables[key_hash % TABLES];
}

static skv_entry entry_of(uint64_t key_hash, skv_position position, bool deletes)
{
    uint64_t rest = key_hash >> TABLE_BITS;
    return (skv_entry){.hash = (uint32_t)rest,
                   .offset = position.offset,
                   .slot = position.slot,
                   .bits = (uint16_t)(((rest >> 32) << 4 & ENTRY_TAG) | ENTRY_USED | (deletes ? ENTRY_DELETE : 0))};
}

static uint32_t home_of(const skv_table *table, uint32_t hash)
{
    return (uint32_t)((uint64_t)hash * table->capacity >> 32);
}

static uint32_t after(const skv_table *table, uint32_t at)
{
    return at + 1 == table->capacity ? 0 : at + 1;
}

static skv_position position_of(const skv_entry *entry)
{
    return (skv_position){entry->offset, entry->slot};
}

static void place(skv_table *table, skv_entry entry)
{
    uint32_t at = home_of(table, entry.hash);
    while (table->entries[at].bits)
        at = after(table, at);
    table->entries[at] = entry;
}

static skv_code grow(skv_table *old)
{
    skv_table larger = *old;
    larger.capacity = old->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : old->capacity + old->capacity / 2;
    larger.entries = skv_alloc(larger.capacity * sizeof larger.entries[0]);
    if (!larger.entries)
        return SKV_NO_MEMORY;
    for (uint32_t i = 0; i < old->capacity; i++)
        if (old->entries[i].bits)
            place(&larger, old->entries[i]);
    skv_release(old->entries);
    *old = larger;
    return SKV_OK;
}

static skv_code reserve_one(skv_table *table)
{
    /* Three quarters at most, and always one free entry, at which a search ends. */
    while (4 * ((uint64_t)table->used + table->reserved + 1) > 3 * (uint64_t)table->capacity)
        if (grow(table) != SKV_OK)
            return SKV_NO_MEMORY;
    table->reserved++;
    return SKV_OK;
}

skv_code skv_index_reserve(skv_index *index, uint64_t key_hash, bool keep_old)
{
    skv_code code = reserve_one(table_of(index, key_hash));
    if (code == SKV_OK && keep_old) {
        code = reserve_one(&index->older);
        if (code != SKV_OK)
            table_of(index, key_hash)->reserved--;
    }
    return code;
}

void skv_index_unreserve(skv_index *index, uint64_t key_hash, bool keep_old)
{
    table_of(index, key_hash)->reserved--;
    if (keep_old)
        index->older.reserved--;
}

/* -- insert and find ------------------------------------------------------------------------------------------------ */

static bool same_hash(const skv_entry *a, const skv_entry *b)
{
    return a->hash == b->hash && ((a->bits ^ b->bits) & ENTRY_TAG) == 0;
}

static skv_entry *find_entry(const skv_index *index, const skv_table *table, const skv_entry *wanted, skv_slice key, skv_record *found)
{
    if (!table->capacity)
        return NULL;
    for (uint32_t at = home_of(table, wanted->hash); table->entries[at].bits; at = after(table, at)) {
        skv_entry *here = &table->entries[at];
        if (!same_hash(here, wanted))
            continue;
        skv_slots_read(index->slots, position_of(here), found);
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

static void replace(skv_index *index, skv_entry *here, skv_entry wanted)
{
    if (here->bits & ENTRY_KNOWN)
        index->delta += (here->bits & ENTRY_DELETE ? 1 : 0) - (wanted.bits & ENTRY_DELETE ? 1 : 0);
    wanted.bits |= here->bits & (ENTRY_KNOWN | ENTRY_BELOW);
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
}

void skv_index_insert(skv_index *index, uint64_t key_hash, skv_position position, const skv_record *record,
                      bool keep_old, uint64_t kept_seqno)
{
    skv_table *table = table_of(index, key_hash);
    skv_entry wanted = entry_of(key_hash, position, skv_record_deletes(record));
    skv_record old;
    skv_entry *here = find_entry(index, table, &wanted, record->key, &old);
    skv_index_unreserve(index, key_hash, keep_old);
    note_size(index, record);
    note_pending(index, position);
    if (!here) {
        place(table, wanted);
        table->used++;
        table->unknown++;
        index->size.keys++;
        return;
    }
    if (keep_old && old.seqno <= kept_seqno) {
        place(&index->older, *here);
        index->older.used++;
    }
    replace(index, here, wanted);
}

/* Among the replaced versions, the newest with seqno <= upto. */
static bool find_older(const skv_index *index, const skv_entry *wanted, skv_slice key, uint64_t upto,
                       skv_position *position, skv_record *out)
{
    const skv_table *older = &index->older;
    bool found = false;
    if (!older->capacity)
        return false;
    for (uint32_t at = home_of(older, wanted->hash); older->entries[at].bits; at = after(older, at)) {
        skv_record record;
        if (!same_hash(&older->entries[at], wanted))
            continue;
        skv_slots_read(index->slots, position_of(&older->entries[at]), &record);
        if (record.seqno > upto || (found && record.seqno < out->seqno) || skv_key_compare(record.key, key) != 0)
            continue;
        *out = record;
        *position = position_of(&older->entries[at]);
        found = true;
    }
    return found;
}

bool skv_index_find(const skv_index *index, uint64_t key_hash, skv_slice key, uint64_t upto, skv_position *position,
                    skv_record *out)
{
    skv_entry wanted = entry_of(key_hash, (skv_position){0, 0}, false);
    const skv_entry *here = find_entry(index, table_of(index, key_hash), &wanted, key, out);
    if (!here)
        return false;
    *position = position_of(here);
    return out->seqno <= upto || find_older(index, &wanted, key, upto, position, out);
}

/* -- counting ------------------------------------------------------------------------------------------------------- */

static skv_code resolve(skv_index *index, skv_entry *here, skv_index_below below, void *context)
{
    skv_code code = SKV_OK;
    skv_record record;
    skv_slots_read(index->slots, position_of(here), &record);
    if (below(context, record.key, &code))
        here->bits |= ENTRY_BELOW;
    if (code != SKV_OK)
        return code;
    here->bits |= ENTRY_KNOWN;
    index->delta += (here->bits & ENTRY_DELETE ? 0 : 1) - (here->bits & ENTRY_BELOW ? 1 : 0);
    return SKV_OK;
}

int64_t skv_index_delta(skv_index *index, uint64_t most, skv_index_below below, void *context, uint64_t *left,
                        skv_code *code)
{
    *left = 0;
    *code = SKV_OK;
    for (int number = 0; number < TABLES; number++) {
        skv_table *table = &index->tables[number];
        for (uint32_t at = 0; table->unknown && most && at < table->capacity; at++) {
            if (!table->entries[at].bits || table->entries[at].bits & ENTRY_KNOWN)
                continue;
            *code = resolve(index, &table->entries[at], below, context);
            if (*code != SKV_OK)
                return 0;
            table->unknown--;
            most--;
        }
        *left += table->unknown;
    }
    return index->delta;
}

/* -- looking -------------------------------------------------------------------------------------------------------- */

skv_index_size skv_index_measure(const skv_index *index)
{
    skv_index_size size = index->size;
    size.heap_bytes = sizeof *index + index->older.capacity * sizeof(skv_entry) +
                      index->pending_capacity * sizeof(skv_position);
    for (int i = 0; i < TABLES; i++)
        size.heap_bytes += index->tables[i].capacity * sizeof(skv_entry);
    for (uint32_t i = 0; i < index->run_count; i++)
        size.heap_bytes += index->runs[i]->count * sizeof(skv_position);
    return size;
}

static skv_position *copy_table(const skv_table *table, skv_position *out)
{
    for (uint32_t i = 0; i < table->capacity; i++)
        if (table->entries[i].bits)
            *out++ = position_of(&table->entries[i]);
    return out;
}

void skv_index_copy(const skv_index *index, skv_position *out)
{
    for (int i = 0; i < TABLES; i++)
        out = copy_table(&index->tables[i], out);
}

/* -- order ---------------------------------------------------------------------------------------------------------- */

static skv_run *run_of_all(const skv_index *index)
{
    skv_run *run = skv_run_create((uint32_t)(index->size.keys + index->older.used));
    if (run) {
        skv_index_copy(index, run->positions);
        (void)copy_table(&index->older, run->positions + index->size.keys);
    }
    return run;
}

static skv_run *run_of_pending(const skv_index *index)
{
    skv_run *run = skv_run_create(index->pending_count);
    if (run)
        memcpy(run->positions, index->pending, index->pending_count * sizeof run->positions[0]);
    return run;
}

/* Replaced versions pile up in the runs; when they are the greater part, all is sorted anew. */
static bool mostly_stale(const skv_index *index)
{
    uint64_t held = index->pending_count;
    for (uint32_t i = 0; i < index->run_count; i++)
        held += index->runs[i]->count;
    return held > 2 * (index->size.keys + index->older.used) + PENDING_SLACK;
}

skv_code skv_index_take_unsorted(skv_index *index, skv_run **out)
{
    *out = NULL;
    if (index->ordered && (mostly_stale(index) || index->run_count == SKV_INDEX_RUNS_MAX))
        skv_index_drop_order(index);
    if (index->ordered && !index->pending_count)
        return SKV_OK;
    *out = index->ordered ? run_of_pending(index) : run_of_all(index);
    if (!*out)
        return SKV_NO_MEMORY;
    index->ordered = true;
    index->pending_count = 0;
    return SKV_OK;
}

bool skv_index_add_run(skv_index *index, skv_run *run)
{
    if (!index->ordered) {
        skv_run_release(run);
        return false;
    }
    index->runs[index->run_count++] = run;
    return true;
}

/* Runs keep sizes that fall by at least four, so that there are few of them and each record is merged few times. */
bool skv_index_mergeable(const skv_index *index, skv_run *pair[2])
{
    if (index->run_count < 2)
        return false;
    pair[0] = index->runs[index->run_count - 2];
    pair[1] = index->runs[index->run_count - 1];
    if (pair[0]->count >= 4 * (uint64_t)pair[1]->count)
        return false;
    skv_run_keep(pair[0]);
    skv_run_keep(pair[1]);
    return true;
}

void skv_index_replace_runs(skv_index *index, skv_run *pair[2], skv_run *merged)
{
    uint32_t count = index->run_count;
    if (index->ordered && count >= 2 && index->runs[count - 2] == pair[0] && index->runs[count - 1] == pair[1]) {
        skv_run_release(pair[0]);
        skv_run_release(pair[1]);
        index->runs[count - 2] = merged;
        index->run_count--;
    } else {
        skv_run_release(merged);
    }
    skv_run_release(pair[0]);
    skv_run_release(pair[1]);
}

uint32_t skv_index_runs(const skv_index *index, skv_run *out[SKV_INDEX_RUNS_MAX])
{
    for (uint32_t i = 0; i < index->run_count; i++) {
        skv_run_keep(index->runs[i]);
        out[i] = index->runs[i];
    }
    return index->run_count;
}
