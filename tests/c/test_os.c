/* File calls: whole or failed, whatever the kernel does in between. */
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "scratch.h"

#define PLACE "os"
#define NAME "file"

static int make_file(int dir)
{
    skv_error err = {0};
    int fd;
    CHECK_OK(skv_os_open(dir, NAME, SKV_OPEN_CREATE_NEW, &fd, &err), &err);
    return fd;
}

static void fill(uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
}

static void check_content(int fd, const uint8_t *wanted, size_t bytes, uint64_t offset)
{
    skv_error err = {0};
    uint8_t *got = malloc(bytes);
    CHECK(got);
    CHECK_OK(skv_os_read(fd, NAME, got, bytes, offset, &err), &err);
    CHECK(memcmp(got, wanted, bytes) == 0);
    free(got);
}

static void test_short_writes_and_interruptions_leave_no_gap(void)
{
    static const skv_fault faults[] = {SKV_FAULT_NONE, SKV_FAULT_SHORT, SKV_FAULT_EINTR};
    uint8_t data[3001];
    fill(data, sizeof data);
    for (size_t f = 0; f < 3; f++)
        for (long nth = 1; nth < 5; nth++) {
            int dir = scratch_make(PLACE), fd = make_file(dir), sticky = faults[f] == SKV_FAULT_SHORT && nth == 4;
            skv_error err = {0};
            struct iovec pieces[2] = {{data, 1000}, {data + 1000, 2001}};
            skv_os_fail(sticky ? 1 : nth, faults[f], 0, sticky);
            CHECK_OK(skv_os_write(fd, NAME, data, sizeof data, 5, &err), &err);
            CHECK_OK(skv_os_write2(fd, NAME, pieces, 4000, &err), &err);
            skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
            check_content(fd, data, sizeof data, 5);
            check_content(fd, data, sizeof data, 4000);
            CHECK_EQ(scratch_size(dir, NAME), 7001);
            skv_os_close(fd);
            scratch_remove(dir, PLACE);
        }
}

static void test_two_pieces_of_any_size_are_written(void)
{
    uint8_t data[64];
    fill(data, sizeof data);
    for (size_t first = 0; first < 4; first++)
        for (size_t second = 0; second < 4; second++) {
            int dir = scratch_make(PLACE), fd = make_file(dir);
            skv_error err = {0};
            struct iovec pieces[2] = {{data, first}, {data + first, second}};
            skv_os_fail(1, SKV_FAULT_SHORT, 0, 1);
            CHECK_OK(skv_os_write2(fd, NAME, pieces, 0, &err), &err);
            skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
            CHECK_EQ(scratch_size(dir, NAME), first + second);
            if (first + second)
                check_content(fd, data, first + second, 0);
            skv_os_close(fd);
            scratch_remove(dir, PLACE);
        }
}

static void test_a_read_goes_on_after_an_interruption_and_refuses_a_file_that_ends(void)
{
    int dir = scratch_make(PLACE), fd = make_file(dir);
    skv_error err = {0};
    uint8_t data[100], got[100];
    uint64_t bytes;
    fill(data, sizeof data);
    scratch_write(dir, NAME, data, sizeof data, 0);
    skv_os_fail(1, SKV_FAULT_EINTR, 0, 0);
    CHECK_OK(skv_os_read(fd, NAME, got, sizeof got, 0, &err), &err);
    CHECK(memcmp(got, data, sizeof data) == 0);
    CHECK_EQ(skv_os_read(fd, NAME, got, 50, 60, &err), SKV_CORRUPT);
    CHECK_EQ(err.offset, 100);
    CHECK_OK(skv_os_size(fd, NAME, &bytes, &err), &err);
    CHECK_EQ(bytes, 100);
    skv_os_close(fd);
    scratch_remove(dir, PLACE);
}

static void test_files_are_private_closed_on_exec_and_never_behind_a_link(void)
{
    int dir = scratch_make(PLACE), fd = make_file(dir), other;
    skv_error err = {0};
    struct stat found;
    CHECK_EQ(fstat(fd, &found), 0);
    CHECK_EQ(found.st_mode & 0777, 0600);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK_EQ(skv_os_open(dir, NAME, SKV_OPEN_CREATE_NEW, &other, &err), SKV_IO);
    CHECK_EQ(err.sys_errno, EEXIST);
    CHECK_EQ(skv_os_open(dir, "none", SKV_OPEN_READ, &other, &err), SKV_NOT_FOUND);
    CHECK_EQ(skv_os_open(dir, "none", SKV_OPEN_WRITE, &other, &err), SKV_NOT_FOUND);
    CHECK_EQ(symlinkat(NAME, dir, "link"), 0);
    for (skv_open_mode mode = SKV_OPEN_READ; mode <= SKV_OPEN_CREATE; mode++)
        CHECK_EQ(skv_os_open(dir, "link", mode, &other, &err), SKV_CORRUPT);
    skv_os_close(fd);
    skv_os_close(-1);
    scratch_remove(dir, PLACE);
}

/* A reader of a pipe would wait for its writer for ever. */
static void test_what_is_no_file_is_damage(void)
{
    int dir = scratch_make(PLACE), other;
    skv_error err = {0};
    CHECK_EQ(mkdirat(dir, "folder", 0700), 0);
    CHECK_EQ(mkfifoat(dir, "pipe", 0600), 0);
    for (skv_open_mode mode = SKV_OPEN_READ; mode <= SKV_OPEN_CREATE; mode++) {
        CHECK_EQ(skv_os_open(dir, "folder", mode, &other, &err), SKV_CORRUPT);
        CHECK_EQ(skv_os_open(dir, "pipe", mode, &other, &err), SKV_CORRUPT);
        CHECK_EQ(other, -1);
    }
    scratch_remove(dir, PLACE);
}

static skv_code count_entry(void *context, const char *entry, skv_error *err)
{
    int *count = context;
    (void)err;
    return ++*count == 2 && strcmp(entry, "") != 0 ? SKV_CONFLICT : SKV_OK;
}

static void test_names_come_and_go(void)
{
    int dir = scratch_make(PLACE), seen = 0;
    skv_error err = {0};
    skv_os_close(make_file(dir));
    CHECK(skv_os_exists(dir, NAME));
    CHECK_OK(skv_os_rename(dir, NAME, "other", &err), &err);
    CHECK(!skv_os_exists(dir, NAME) && skv_os_exists(dir, "other"));
    CHECK_EQ(skv_os_rename(dir, NAME, "other", &err), SKV_IO);
    CHECK_OK(skv_os_make_dir(dir, "inside", &err), &err);
    CHECK_OK(skv_os_make_dir(dir, "inside", &err), &err);
    CHECK_EQ(skv_os_list(dir, ".", count_entry, &seen, &err), SKV_CONFLICT); /* log, other, inside: stops at the second */
    CHECK_EQ(seen, 2);
    CHECK_EQ(skv_os_list(dir, "none", count_entry, &seen, &err), SKV_NOT_FOUND);
    CHECK_OK(skv_os_sync_dir(dir, "inside", &err), &err);
    CHECK_OK(skv_os_remove_dir(dir, "inside", &err), &err);
    CHECK_OK(skv_os_remove_dir(dir, "inside", &err), &err);
    CHECK_OK(skv_os_remove(dir, "other", &err), &err);
    CHECK_OK(skv_os_remove(dir, "other", &err), &err);
    scratch_remove(dir, PLACE);
}

static void test_a_lock_belongs_to_one_open_file(void)
{
    int dir = scratch_make(PLACE), first = make_file(dir), second;
    skv_error err = {0};
    CHECK_OK(skv_os_open(dir, NAME, SKV_OPEN_WRITE, &second, &err), &err);
    CHECK_OK(skv_os_lock(first, NAME, &err), &err);
    CHECK_EQ(skv_os_lock(second, NAME, &err), SKV_NOT_FOUND);
    skv_os_close(first);
    skv_os_fail(1, SKV_FAULT_EINTR, 0, 0);
    CHECK_OK(skv_os_lock(second, NAME, &err), &err);
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    skv_os_close(second);
    scratch_remove(dir, PLACE);
}

static void test_memory_becomes_the_files_pages_at_the_same_address(void)
{
    int dir = scratch_make(PLACE), fd = make_file(dir);
    skv_error err = {0};
    uint8_t data[8192], *memory = skv_os_map_memory(sizeof data, 0);
    const uint8_t *mapped;
    CHECK(memory);
    fill(data, sizeof data);
    memset(memory, 1, sizeof data);
    scratch_write(dir, NAME, data, sizeof data, 0);
    CHECK(skv_os_remap(memory, 4096, fd, 0));
    CHECK(memcmp(memory, data, 4096) == 0);
    CHECK_EQ(memory[4096], 1);
    skv_os_fail(1, SKV_FAULT_ERROR, ENOMEM, 1);
    CHECK(!skv_os_remap(memory + 4096, 4096, fd, 4096));
    CHECK_EQ(memory[4096], 1);
    CHECK(!skv_os_map_memory(4096, 0));
    CHECK_EQ(skv_os_map_file(fd, NAME, sizeof data, &mapped, &err), SKV_NO_MEMORY);
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    CHECK_OK(skv_os_map_file(fd, NAME, sizeof data, &mapped, &err), &err);
    CHECK(memcmp(mapped, data, sizeof data) == 0);
    scratch_write(dir, NAME, "new", 3, 100); /* a mapping sees what is written */
    CHECK(memcmp(mapped + 100, "new", 3) == 0 && memcmp(memory + 100, "new", 3) == 0);
    skv_os_unmap(mapped, sizeof data);
    skv_os_unmap(memory, sizeof data);
    skv_os_unmap(NULL, 0);
    skv_os_close(fd);
    scratch_remove(dir, PLACE);
}

/* Every call that the switch counts fails with the errno it is given, and says which file. */
static void test_every_counted_call_can_fail(void)
{
    int dir = scratch_make(PLACE), fd = make_file(dir), other, seen = 0;
    skv_error err = {0};
    uint8_t byte = 1;
    uint64_t bytes;
    struct iovec pieces[2] = {{&byte, 1}, {NULL, 0}};
#define FAILS(call) (skv_os_fail(1, SKV_FAULT_ERROR, ENOSPC, 0), CHECK_EQ((call), SKV_FULL), CHECK_EQ(skv_os_calls(), 1), \
                     CHECK_EQ(err.sys_errno, ENOSPC), CHECK(err.file[0] && err.text[0]))
    FAILS(skv_os_open_dir(PLACE, &other, &err));
    FAILS(skv_os_open(dir, "new", SKV_OPEN_CREATE, &other, &err));
    FAILS(skv_os_make_dir(dir, "new", &err));
    FAILS(skv_os_rename(dir, NAME, "new", &err));
    FAILS(skv_os_remove(dir, NAME, &err));
    FAILS(skv_os_remove_dir(dir, "log", &err));
    FAILS(skv_os_list(dir, ".", count_entry, &seen, &err));
    FAILS(skv_os_size(fd, NAME, &bytes, &err));
    FAILS(skv_os_read(fd, NAME, &byte, 1, 0, &err));
    FAILS(skv_os_write(fd, NAME, &byte, 1, 0, &err));
    FAILS(skv_os_write2(fd, NAME, pieces, 0, &err));
    FAILS(skv_os_sync(fd, NAME, &err));
    FAILS(skv_os_write_out(fd, NAME, 0, 4096, &err));
    FAILS(skv_os_sync_dir(dir, "log", &err));
    FAILS(skv_os_reserve(fd, NAME, 4096, &err));
    FAILS(skv_os_lock(fd, NAME, &err));
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    CHECK(scratch_size(dir, NAME) == 0 && scratch_size(dir, "new") == -1);
    skv_os_close(fd);
    scratch_remove(dir, PLACE);
}

static void test_room_is_reserved_without_changing_the_size(void)
{
    int dir = scratch_make(PLACE), fd = make_file(dir);
    skv_error err = {0};
    uint8_t one[32] = {0}, two[32] = {0};
    CHECK_OK(skv_os_reserve(fd, NAME, 1 << 20, &err), &err);
    CHECK_EQ(scratch_size(dir, NAME), 0);
    CHECK(skv_os_free_bytes(fd) > 0);
    CHECK_EQ(skv_os_process_id(), getpid());
    CHECK_OK(skv_os_random(one, sizeof one, &err), &err);
    CHECK_OK(skv_os_random(two, sizeof two, &err), &err);
    CHECK(memcmp(one, two, sizeof one) != 0);
    skv_os_close(fd);
    scratch_remove(dir, PLACE);
}

/* Story: a file system without sync_file_range got no second segment. */
static void test_where_writing_out_is_not_supported_it_is_left_out(void)
{
    const int unsupported[] = {EINVAL, ESPIPE, EOPNOTSUPP, ENOSYS, EPERM};
    int dir = scratch_make(PLACE), fd = make_file(dir);
    skv_error err = {0};
    for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++) {
        skv_os_fail(1, SKV_FAULT_ERROR, unsupported[i], 0);
        CHECK_OK(skv_os_write_out(fd, NAME, 0, 4096, &err), &err);
        CHECK_EQ(skv_os_calls(), 1);
    }
    skv_os_fail(1, SKV_FAULT_ERROR, EIO, 0);
    CHECK_EQ(skv_os_write_out(fd, NAME, 0, 4096, &err), SKV_IO);
    CHECK_EQ(err.sys_errno, EIO);
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    skv_os_close(fd);
    scratch_remove(dir, PLACE);
}

int main(void)
{
    RUN(test_short_writes_and_interruptions_leave_no_gap);
    RUN(test_two_pieces_of_any_size_are_written);
    RUN(test_a_read_goes_on_after_an_interruption_and_refuses_a_file_that_ends);
    RUN(test_files_are_private_closed_on_exec_and_never_behind_a_link);
    RUN(test_what_is_no_file_is_damage);
    RUN(test_names_come_and_go);
    RUN(test_a_lock_belongs_to_one_open_file);
    RUN(test_memory_becomes_the_files_pages_at_the_same_address);
    RUN(test_every_counted_call_can_fail);
    RUN(test_where_writing_out_is_not_supported_it_is_left_out);
    RUN(test_room_is_reserved_without_changing_the_size);
    return 0;
}
