#include "logs.h"

#include <string.h>

#include "check.h"
#include "log_state.h"
#include "scratch.h"

const uint8_t logs_id[SKV_STORE_ID_BYTES] = "a store for test";
const skv_log_sizes logs_small = {SKV_PAGE_BYTES, SKV_PAGE_BYTES};
skv_clock logs_clock;

skv_log *logs_found(int dir, skv_log_sizes sizes)
{
    skv_error err = {0};
    skv_log *log;
    CHECK_OK(skv_log_create(dir, logs_id, sizes, &logs_clock, &log, &err), &err);
    CHECK_OK(skv_log_found(log, &err), &err);
    CHECK_OK(skv_log_start(log, 1, 0, &err), &err);
    CHECK_OK(skv_log_sync_start(log, &err), &err);
    return log;
}

/* -- content -------------------------------------------------------------------------------------------------------- */

static size_t make_key(uint8_t out[32], uint64_t seqno)
{
    return (size_t)snprintf((char *)out, 32, "key %llu", (unsigned long long)seqno);
}

static uint8_t value_byte(unsigned life, uint64_t seqno, size_t at)
{
    return (uint8_t)(17 * life + 3 * seqno + at);
}

static skv_code append_one(skv_log *log, unsigned life, size_t bytes, skv_error *err)
{
    uint8_t key[32], *value = malloc(bytes + 1);
    uint64_t seqno = skv_log_last(log) + 1;
    skv_record record = {.key = {key, make_key(key, seqno)}, .value = {value, bytes}};
    skv_code code = skv_log_reserve(log, skv_record_bytes(&record), err);
    CHECK(value);
    for (size_t i = 0; i < bytes; i++)
        value[i] = value_byte(life, seqno, i);
    if (code == SKV_OK) {
        (void)skv_log_append(log, &record);
        CHECK_EQ(record.seqno, seqno);
    }
    free(value);
    return code;
}

skv_code logs_try(skv_log *log, unsigned life, size_t bytes, skv_error *err)
{
    skv_code code;
    do {
        skv_log_lock(log);
        code = append_one(log, life, bytes, err);
        skv_log_unlock(log);
    } while (code == SKV_BUSY && (code = skv_log_tend(log, err)) == SKV_OK);
    return code;
}

void logs_append(skv_log *log, unsigned life, uint64_t count)
{
    skv_error err = {0};
    for (uint64_t i = 0; i < count; i++)
        CHECK_OK(logs_try(log, life, skv_log_last(log) % 29, &err), &err);
}

void logs_sync(skv_log *log)
{
    skv_error err = {0};
    CHECK_OK(skv_log_wait(log, skv_log_last(log), SKV_NS_PER_S, &err), &err);
    CHECK_EQ(skv_log_durable(log), skv_log_last(log));
}

skv_code logs_mark(skv_log *log, skv_error *err)
{
    log->marked_ns = 0;
    return skv_log_tend(log, err);
}

int logs_files(int dir)
{
    scratch_copy copy;
    int count;
    scratch_save(dir, &copy);
    count = copy.count - 1; /* not the side file */
    scratch_drop(&copy);
    return count;
}

skv_mark logs_slot(int dir, int slot)
{
    skv_mark mark;
    skv_error err = {0};
    size_t bytes;
    uint8_t *file = scratch_read(dir, "log/MARK", &bytes);
    int fd;
    scratch_write(dir, "slot", file, bytes, 0);
    scratch_zero(dir, "slot", SKV_MARK_SLOT_BYTES, (size_t)(1 - slot) * SKV_MARK_SLOT_BYTES);
    CHECK_OK(skv_os_open(dir, "slot", SKV_OPEN_READ, &fd, &err), &err);
    CHECK_OK(skv_mark_read(fd, logs_id, &mark, &err), &err);
    skv_os_close(fd);
    free(file);
    return mark;
}

/* -- recovery ------------------------------------------------------------------------------------------------------- */

skv_code logs_scan(int dir, uint64_t proof_seqno, skv_log **out, skv_log_found_tail *tail, skv_error *err)
{
    skv_code code = skv_log_create(dir, logs_id, logs_small, &logs_clock, out, err);
    if (code == SKV_OK)
        code = skv_log_scan(*out, proof_seqno, NULL, tail, err);
    if (code != SKV_OK) {
        skv_log_free(*out);
        *out = NULL;
    }
    return code;
}

static skv_code append_again(void *context, skv_position position, const skv_record *record, skv_error *err)
{
    skv_record copy = *record;
    (void)position, (void)err;
    (void)skv_log_append(context, &copy);
    CHECK_EQ(copy.seqno, record->seqno);
    return SKV_OK;
}

static skv_code write_tail_again(skv_log *log, const skv_log_found_tail *tail, skv_error *err)
{
    skv_code code = skv_log_start(log, tail->proven_seqno + 1, tail->tail_bytes, err);
    if (code == SKV_OK && tail->tail_bytes)
        code = skv_log_reserve(log, (size_t)tail->tail_bytes, err);
    if (code == SKV_OK && tail->tail_bytes)
        code = skv_log_visit_records(log, tail->proven_seqno + 1, tail->last_seqno, append_again, log, err);
    if (code == SKV_OK)
        code = skv_log_sync_start(log, err);
    if (code == SKV_OK)
        CHECK_EQ(skv_log_durable(log), tail->last_seqno);
    return code;
}

skv_code logs_recover(int dir, uint64_t proof_seqno, skv_log **out, skv_log_found_tail *tail, skv_error *err)
{
    skv_code code = logs_scan(dir, proof_seqno, out, tail, err);
    if (code == SKV_OK && (code = write_tail_again(*out, tail, err)) != SKV_OK) {
        skv_log_free(*out);
        *out = NULL;
    }
    return code;
}

typedef struct {
    unsigned life;
    uint64_t next;
} checking;

static skv_code check_record(void *context, skv_position position, const skv_record *record, skv_error *err)
{
    checking *check = context;
    uint8_t key[32];
    (void)position, (void)err;
    CHECK_EQ(record->seqno, check->next++);
    CHECK(skv_record_verify(record));
    CHECK_EQ(record->key.bytes, make_key(key, record->seqno));
    CHECK(memcmp(record->key.data, key, record->key.bytes) == 0);
    for (size_t i = 0; i < record->value.bytes; i++)
        CHECK_EQ(record->value.data[i], value_byte(check->life, record->seqno, i));
    return SKV_OK;
}

void logs_check(skv_log *log, unsigned life, uint64_t from, uint64_t upto)
{
    skv_error err = {0};
    checking check = {life, from};
    CHECK_OK(skv_log_visit_records(log, from, upto, check_record, &check, &err), &err);
    CHECK_EQ(check.next, upto + 1);
}

void logs_expect(int dir, unsigned life, uint64_t upto)
{
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log;
    CHECK_OK(logs_scan(dir, 0, &log, &tail, &err), &err);
    CHECK_EQ(tail.last_seqno, upto);
    logs_check(log, life, 1, upto);
    skv_log_free(log);
}

/* -- bytes ---------------------------------------------------------------------------------------------------------- */

static bool next_frame(const uint8_t *file, size_t bytes, size_t *offset, skv_frame *frame)
{
    skv_segment_header header;
    CHECK_EQ(skv_segment_header_read(file, &header), SKV_HEADER_GOOD);
    if (!skv_frame_read(file + *offset, bytes - *offset, header.salt, frame))
        return false;
    *offset += skv_frame_span(frame);
    return true;
}

size_t logs_end(const uint8_t *file, size_t bytes, uint32_t *frames)
{
    size_t offset = SKV_SEGMENT_FRAMES;
    skv_frame frame;
    *frames = 0;
    while (next_frame(file, bytes, &offset, &frame))
        ++*frames;
    return offset;
}

size_t logs_frame_at(const uint8_t *file, size_t bytes, uint32_t number, skv_frame *out)
{
    size_t offset = SKV_SEGMENT_FRAMES, at = offset;
    for (uint32_t i = 0; i <= number; i++) {
        at = offset;
        CHECK(next_frame(file, bytes, &offset, out));
    }
    return at;
}
