/* What replay asks the kernel to read: each live segment once, before it is needed, and not all of a long log at once. */
#include <fcntl.h>
#include <sys/stat.h>

#include "check.h"
#include "logs.h"
#include "scratch.h"

#define PLACE "ahead"
#define SEGMENTS 8
#define AHEAD 3

static ino_t asked[64];
static int asked_count;
static uint64_t visited;

/* In place of the C library's: os.c asks with it. */
int posix_fadvise(int fd, off_t offset, off_t bytes, int advice)
{
    struct stat found;
    CHECK_EQ(fstat(fd, &found), 0);
    CHECK(asked_count < 64 && advice == POSIX_FADV_WILLNEED && offset == 0 && bytes == found.st_size);
    asked[asked_count++] = found.st_ino;
    return 0;
}

static void expect(void *context, uint64_t first_seqno, uint64_t last_seqno)
{
    (void)context, (void)first_seqno, (void)last_seqno;
    CHECK_EQ(asked_count, 0);
}

/* The records of each segment are visited once it was verified. */
static skv_code visit(void *context, skv_position position, const skv_record *record, skv_error *err)
{
    int number = position.slot + 1, most = number - 1 + AHEAD < SEGMENTS ? number - 1 + AHEAD : SEGMENTS;
    (void)context, (void)record, (void)err;
    CHECK_EQ(asked_count, most);
    visited++;
    return SKV_OK;
}

static void test_each_segment_is_asked_for_once_and_a_few_ahead(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log_found_tail tail;
    const skv_log_visitor visitor = {expect, visit, NULL};
    skv_log *log = logs_found(dir, logs_small);
    skv_stats stats = {0};
    for (; stats.log_segments < SEGMENTS; skv_log_stats_read(log, &stats))
        logs_append(log, 1, 1);
    logs_sync(log);
    CHECK_OK(logs_mark(log, &err), &err);
    skv_log_free(log);
    CHECK_OK(skv_log_create(dir, logs_id, logs_small, &logs_clock, &log, &err), &err);
    CHECK_OK(skv_log_scan(log, 0, &visitor, &tail, &err), &err);
    CHECK(visited > 0);
    CHECK_EQ(asked_count, SEGMENTS);
    for (int i = 0; i < SEGMENTS; i++) {
        char name[32];
        struct stat found;
        CHECK(snprintf(name, sizeof name, "log/%08d.log", i + 1) > 0);
        CHECK_EQ(fstatat(dir, name, &found, 0), 0);
        CHECK_EQ(asked[i], found.st_ino);
    }
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

int main(void)
{
    RUN(test_each_segment_is_asked_for_once_and_a_few_ahead);
    return 0;
}
