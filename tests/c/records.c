#include "records.h"

#include "check.h"

records *records_create(size_t bytes)
{
    records *all = calloc(1, sizeof *all);
    CHECK(all);
    all->base = malloc(bytes);
    CHECK(all->base);
    all->bytes = bytes;
    atomic_store(&all->slots.bases[0], all->base);
    return all;
}

void records_free(records *all)
{
    free(all->base);
    free(all);
}

skv_position records_put(records *all, skv_slice key, bool deletes)
{
    skv_record record = {.key = key, .seqno = ++all->last_seqno, .flags = deletes ? SKV_RECORD_DELETE : 0};
    skv_position position = {(uint32_t)all->end, 0};
    CHECK(all->end + skv_record_bytes(&record) <= all->bytes);
    all->end += skv_record_encode(all->base + all->end, &record);
    return position;
}

skv_record records_at(const records *all, skv_position position)
{
    skv_record record;
    skv_slots_read(&all->slots, position, &record);
    return record;
}

skv_slice records_key(uint8_t out[8], uint64_t number)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(number >> (56 - 8 * i));
    return (skv_slice){out, 8};
}
