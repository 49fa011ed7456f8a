/* L2 part (log family). The side file. */
#include "mark.h"

#include <stdbool.h>

#include "bytes.h"
#include "hash.h"

#define MARK_NAME "log/MARK"

skv_code skv_mark_write(int fd, const uint8_t store_id[SKV_STORE_ID_BYTES], const skv_mark *mark, skv_error *err)
{
    uint8_t slot[SKV_MARK_SLOT_BYTES] = {0};
    skv_code code;
    memcpy(slot, SKV_MARK_MAGIC, 8);
    skv_store64(slot + SKV_MARK_GENERATION, mark->generation);
    memcpy(slot + SKV_MARK_STORE_ID, store_id, SKV_STORE_ID_BYTES);
    skv_store64(slot + SKV_MARK_DURABLE_SEQNO, mark->durable_seqno);
    skv_store64(slot + SKV_MARK_FIRST_SEGMENT_ID, mark->first_segment_id);
    skv_store64(slot + SKV_MARK_FIRST_SEQNO, mark->first_seqno);
    skv_store64(slot + SKV_MARK_CLOSED_SEGMENT_ID, mark->closed_segment_id);
    skv_store64(slot + SKV_MARK_APPLIED_SUM, mark->applied_sum);
    skv_store64(slot + SKV_MARK_CLOCK_MS, mark->clock_ms);
    skv_store64(slot + SKV_MARK_KEPT_SEGMENT_ID, mark->kept_segment_id);
    skv_store64(slot + SKV_MARK_KEPT_SEQNO, mark->kept_seqno);
    skv_store64(slot + SKV_MARK_CHECKSUM,
                skv_hash64(slot + SKV_MARK_GENERATION, SKV_MARK_SLOT_BYTES - SKV_MARK_GENERATION, 0));
    code = skv_os_write(fd, MARK_NAME, slot, sizeof slot, (mark->generation % 2) * SKV_MARK_SLOT_BYTES, err);
    return code == SKV_OK ? skv_os_sync(fd, MARK_NAME, err) : code;
}

static bool read_slot(const uint8_t *slot, const uint8_t *store_id, skv_mark *out)
{
    if (memcmp(slot, SKV_MARK_MAGIC, 8) != 0 ||
        skv_load64(slot + SKV_MARK_CHECKSUM) !=
            skv_hash64(slot + SKV_MARK_GENERATION, SKV_MARK_SLOT_BYTES - SKV_MARK_GENERATION, 0) ||
        memcmp(slot + SKV_MARK_STORE_ID, store_id, SKV_STORE_ID_BYTES) != 0)
        return false;
    out->generation = skv_load64(slot + SKV_MARK_GENERATION);
    out->durable_seqno = skv_load64(slot + SKV_MARK_DURABLE_SEQNO);
    out->first_segment_id = skv_load64(slot + SKV_MARK_FIRST_SEGMENT_ID);
    out->first_seqno = skv_load64(slot + SKV_MARK_FIRST_SEQNO);
    out->closed_segment_id = skv_load64(slot + SKV_MARK_CLOSED_SEGMENT_ID);
    out->applied_sum = skv_load64(slot + SKV_MARK_APPLIED_SUM);
    out->clock_ms = skv_load64(slot + SKV_MARK_CLOCK_MS);
    out->kept_segment_id = skv_load64(slot + SKV_MARK_KEPT_SEGMENT_ID);
    out->kept_seqno = skv_load64(slot + SKV_MARK_KEPT_SEQNO);
    return true;
}

skv_code skv_mark_read(int fd, const uint8_t store_id[SKV_STORE_ID_BYTES], skv_mark *out, skv_error *err)
{
    uint8_t slots[2 * SKV_MARK_SLOT_BYTES];
    skv_mark marks[2];
    bool good[2];
    skv_code code = skv_os_read(fd, MARK_NAME, slots, sizeof slots, 0, err);
    if (code != SKV_OK)
        return code;
    for (int i = 0; i < 2; i++)
        good[i] = read_slot(slots + i * SKV_MARK_SLOT_BYTES, store_id, &marks[i]);
    if (!good[0] && !good[1])
        return skv_fail_at(err, SKV_CORRUPT, MARK_NAME, 0, 0,
                           "both slots of the side file are damaged or belong to another store");
    *out = good[1] && (!good[0] || marks[1].generation > marks[0].generation) ? marks[1] : marks[0];
    return SKV_OK;
}

static skv_code verify_slots(int fd, const uint8_t *store_id, skv_error *err)
{
    uint8_t slots[2 * SKV_MARK_SLOT_BYTES];
    skv_mark ignored;
    skv_code code = skv_os_read(fd, MARK_NAME, slots, sizeof slots, 0, err);
    for (uint64_t i = 0; code == SKV_OK && i < 2; i++)
        if (!read_slot(slots + i * SKV_MARK_SLOT_BYTES, store_id, &ignored))
            code = skv_fail_at(err, SKV_CORRUPT, MARK_NAME, i * SKV_MARK_SLOT_BYTES, 0,
                               "slot %d of the side file is damaged or of another store; the other may stand in", (int)i);
    return code;
}

skv_code skv_mark_verify(int dir, const uint8_t store_id[SKV_STORE_ID_BYTES], skv_error *err)
{
    int fd;
    skv_code code = skv_os_open(dir, MARK_NAME, SKV_OPEN_READ, &fd, err);
    if (code == SKV_NOT_FOUND)
        return skv_fail_at(err, SKV_CORRUPT, MARK_NAME, 0, 0, "the log's side file is missing");
    if (code != SKV_OK)
        return code;
    code = verify_slots(fd, store_id, err);
    skv_os_close(fd);
    return code;
}
