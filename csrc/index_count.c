/* L2 part (index family). Counting: what each key adds to the generations below, learnt once. */
#include "index_state.h"

static skv_code resolve(skv_index *index, skv_entry *here, skv_index_below below)
{
    skv_code code = SKV_OK;
    skv_record record;
    bool counts;
    skv_slots_read(index->slots, skv_entry_position(here), &record);
    counts = !skv_key_reserved(record.key);
    if (counts && below.ask(below.context, skv_key_of(record.key), &code))
        here->bits |= SKV_ENTRY_BELOW;
    if (code != SKV_OK)
        return code;
    here->bits |= SKV_ENTRY_KNOWN;
    if (counts)
        index->delta += (here->bits & SKV_ENTRY_DELETE ? 0 : 1) - (here->bits & SKV_ENTRY_BELOW ? 1 : 0);
    return SKV_OK;
}

skv_code skv_index_resolve(skv_index *index, uint64_t most, skv_index_below below, uint64_t *left)
{
    *left = 0;
    for (int number = 0; number < SKV_INDEX_TABLES; number++) {
        skv_table *table = &index->tables[number];
        for (uint32_t at = 0; table->unknown && most && at < table->capacity; at++) {
            skv_code code;
            if (!table->entries[at].bits || table->entries[at].bits & SKV_ENTRY_KNOWN)
                continue;
            code = resolve(index, &table->entries[at], below);
            if (code != SKV_OK)
                return code;
            table->unknown--;
            most--;
        }
        *left += table->unknown;
    }
    return SKV_OK;
}

int64_t skv_index_delta(const skv_index *index)
{
    return index->delta;
}
