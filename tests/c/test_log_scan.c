/* Recovery reads back what the writer wrote. */
#include <string.h>

#include "check.h"
#include "logs.h"
#include "scratch.h"

#define PLACE "scan"

static void test_a_log_that_ended_without_finish_is_read_whole(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log = logs_found(dir, logs_small);
    for (int group = 0; group < 40; group++) {
        logs_append(log, 1, 5);
        logs_sync(log);
    }
    skv_log_free(log);
    logs_expect(dir, 1, 200);
    for (int again = 0; again < 3; again++) {
        CHECK_OK(logs_recover(dir, 0, &log, &tail, &err), &err);
        CHECK_EQ(tail.last_seqno, 200);
        skv_log_free(log);
        logs_expect(dir, 1, 200);
    }
    scratch_remove(dir, PLACE);
}

int main(void)
{
    RUN(test_a_log_that_ended_without_finish_is_read_whole);
    return 0;
}
