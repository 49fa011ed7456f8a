/* Many deletes in one call, while a sync takes longer than a call waits. */
#include <stdlib.h>

#include "check.h"
#include "log_state.h"
#include "made_parts.h"
#include "scratch.h"
#include "store.h"

#define PLACE "deletes"

static skv_store *make_store(int *dir, skv_parts **parts)
{
    skv_store *store = calloc(1, sizeof *store);
    CHECK(store != NULL);
    *dir = scratch_make(PLACE);
    *parts = made_parts_create(*dir, 2, 65536);
    made_parts_put_at(*parts, "a", 8);
    made_parts_put_at(*parts, "b", 8);
    made_parts_put_at(*parts, "c", 8);
    store->parts = **parts;
    skv_admission_create(&store->parts.admission);
    store->parts.log->leading = true; /* somebody syncs, for as long as it takes */
    return store;
}

static void free_store(skv_store *store, skv_parts *parts, int dir)
{
    store->parts.log->leading = false;
    skv_admission_free(&store->parts.admission);
    made_parts_free(parts);
    free(store);
    scratch_remove(dir, PLACE);
}

static bool is_deleted(skv_store *store, const char *name)
{
    skv_key key = skv_key_of(skv_slice_at(name, 1));
    skv_position position;
    skv_record record;
    CHECK(skv_lane_find(skv_parts_lane(&store->parts, key), key, &position, &record));
    return skv_record_deletes(&record);
}

/* Story: the call ended with the first key whose record was not durable yet, as if that had been the last, and did not count it. */
static void test_all_keys_are_deleted_and_counted_before_what_was_there_is_durable(uint32_t flags)
{
    static const char blob[] = "\x93\xc4\x01" "a\xc4\x01" "b\xc4\x01" "c";
    int dir;
    skv_parts *parts;
    skv_store *store = make_store(&dir, &parts);
    skv_io io = {.flags = flags};
    skv_code code = skv_delete_many(store, blob, sizeof blob - 1, SKV_ACK_MEMORY, &io);
    CHECK_EQ(io.bytes, 3);
    CHECK(is_deleted(store, "a") && is_deleted(store, "b") && is_deleted(store, "c"));
    if (flags & SKV_IO_NO_WAIT) {
        CHECK_EQ(code, SKV_OK);
        CHECK_EQ(io.wait_seqno, 3);
    } else {
        CHECK_EQ(code, SKV_AGAIN);
        CHECK(io.seqno >= 3 && !io.wait_ack);
    }
    free_store(store, parts, dir);
}

static void test_by_who_waits(void)
{
    test_all_keys_are_deleted_and_counted_before_what_was_there_is_durable(0);
}

static void test_by_who_does_not(void)
{
    test_all_keys_are_deleted_and_counted_before_what_was_there_is_durable(SKV_IO_NO_WAIT);
}

int main(void)
{
    RUN(test_by_who_waits);
    RUN(test_by_who_does_not);
    return 0;
}
