/* An explanation fits its memory whatever it says, and names code, place and errno. */
#include "error.h"

#include <errno.h>
#include <string.h>

#include "check.h"

static void test_a_failure_returns_its_code_and_forgets_the_one_before(void)
{
    skv_error err;
    CHECK_EQ(skv_fail_at(&err, SKV_CORRUPT, "log/00000001.log", 512, 77, "bad %s", "frame"), SKV_CORRUPT);
    CHECK_EQ(err.code, SKV_CORRUPT);
    CHECK_EQ(err.offset, 512);
    CHECK_EQ(err.seqno, 77);
    CHECK(strcmp(err.file, "log/00000001.log") == 0);
    CHECK(strcmp(err.text, "bad frame") == 0);
    CHECK_EQ(skv_fail(&err, SKV_INVALID, "shards is %d", 0), SKV_INVALID);
    CHECK(err.offset == 0 && err.seqno == 0 && err.sys_errno == 0 && err.file[0] == 0);
    CHECK(strcmp(err.text, "shards is 0") == 0);
}

static void test_errno_decides_the_code(void)
{
    static const struct {
        int sys_errno;
        skv_code code;
    } cases[] = {{ENOSPC, SKV_FULL}, {EDQUOT, SKV_FULL}, {EFBIG, SKV_FULL}, {ENOMEM, SKV_NO_MEMORY},
                 {EIO, SKV_IO},      {EACCES, SKV_IO},   {EROFS, SKV_IO}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        skv_error err;
        CHECK_EQ(skv_fail_errno(&err, cases[i].sys_errno, "f", "x"), cases[i].code);
        CHECK_EQ(err.code, cases[i].code);
        CHECK_EQ(err.sys_errno, cases[i].sys_errno);
    }
}

static void test_what_is_too_long_is_cut_and_a_path_keeps_its_end(void)
{
    char path[1000], text[1000];
    skv_error err;
    memset(path, 'd', sizeof path);
    memcpy(path + sizeof path - 10, "/data.mdb", 10);
    memset(text, 't', sizeof text);
    text[sizeof text - 1] = 0;
    CHECK_EQ(skv_fail_at(&err, SKV_IO, path, 0, 0, "%s", text), SKV_IO);
    CHECK_EQ(strlen(err.file), sizeof err.file - 1);
    CHECK_EQ(strlen(err.text), sizeof err.text - 1);
    CHECK(strcmp(err.file + strlen(err.file) - 9, "/data.mdb") == 0);
}

static void test_nobody_needs_to_listen(void)
{
    CHECK_EQ(skv_fail(NULL, SKV_FULL, "x"), SKV_FULL);
    CHECK_EQ(skv_fail_errno(NULL, ENOSPC, "f", "x"), SKV_FULL);
    CHECK_EQ(skv_fail_at(NULL, SKV_CORRUPT, "f", 1, 2, "x"), SKV_CORRUPT);
}

int main(void)
{
    RUN(test_a_failure_returns_its_code_and_forgets_the_one_before);
    RUN(test_errno_decides_the_code);
    RUN(test_what_is_too_long_is_cut_and_a_path_keeps_its_end);
    RUN(test_nobody_needs_to_listen);
    return 0;
}
