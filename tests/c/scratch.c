#include "scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static int remove_one(const char *path, const struct stat *found, int kind, struct FTW *where)
{
    (void)found, (void)kind, (void)where;
    return remove(path);
}

static void remove_tree(const char *name)
{
    if (access(name, F_OK) == 0)
        CHECK_EQ(nftw(name, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

int scratch_make(const char *name)
{
    int dir;
    remove_tree(name);
    CHECK_EQ(mkdir(name, 0700), 0);
    dir = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(dir >= 0);
    CHECK_EQ(mkdirat(dir, "log", 0700), 0);
    return dir;
}

void scratch_remove(int dir, const char *name)
{
    CHECK_EQ(close(dir), 0);
    remove_tree(name);
}

static int open_file(int dir, const char *file, int flags)
{
    int fd = openat(dir, file, flags | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    return fd;
}

long scratch_size(int dir, const char *file)
{
    struct stat found;
    return fstatat(dir, file, &found, 0) == 0 ? (long)found.st_size : -1;
}

uint8_t *scratch_read(int dir, const char *file, size_t *bytes)
{
    int fd = open_file(dir, file, O_RDONLY);
    uint8_t *data;
    *bytes = (size_t)scratch_size(dir, file);
    data = malloc(*bytes + 1);
    CHECK(data);
    CHECK_EQ(pread(fd, data, *bytes, 0), *bytes);
    (void)close(fd);
    return data;
}

void scratch_write(int dir, const char *file, const void *data, size_t bytes, size_t offset)
{
    int fd = open_file(dir, file, O_WRONLY | O_CREAT);
    CHECK_EQ(pwrite(fd, data, bytes, (off_t)offset), bytes);
    (void)close(fd);
}

void scratch_zero(int dir, const char *file, size_t bytes, size_t offset)
{
    uint8_t *zeros = calloc(1, bytes + 1);
    CHECK(zeros);
    scratch_write(dir, file, zeros, bytes, offset);
    free(zeros);
}

void scratch_flip(int dir, const char *file, size_t bit)
{
    int fd = open_file(dir, file, O_RDWR);
    uint8_t byte;
    CHECK_EQ(pread(fd, &byte, 1, (off_t)(bit / 8)), 1);
    byte = (uint8_t)(byte ^ 1U << bit % 8);
    CHECK_EQ(pwrite(fd, &byte, 1, (off_t)(bit / 8)), 1);
    (void)close(fd);
}

void scratch_cut(int dir, const char *file, size_t bytes)
{
    int fd = open_file(dir, file, O_WRONLY);
    CHECK_EQ(ftruncate(fd, (off_t)bytes), 0);
    (void)close(fd);
}

static DIR *list_log(int dir)
{
    DIR *stream = fdopendir(open_file(dir, "log", O_RDONLY | O_DIRECTORY));
    CHECK(stream);
    return stream;
}

static void name_entry(const struct dirent *entry, char out[64])
{
    CHECK(snprintf(out, 64, "log/%s", entry->d_name) < 64);
}

void scratch_save(int dir, scratch_copy *out)
{
    DIR *stream = list_log(dir);
    struct dirent *entry;
    *out = (scratch_copy){0};
    while ((entry = readdir(stream)) != NULL) {
        int at = out->count;
        if (entry->d_name[0] == '.')
            continue;
        CHECK(at < SCRATCH_FILES_MAX);
        name_entry(entry, out->files[at].name);
        out->files[at].data = scratch_read(dir, out->files[at].name, &out->files[at].bytes);
        out->count++;
    }
    (void)closedir(stream);
}

void scratch_restore(int dir, const scratch_copy *copy)
{
    DIR *stream = list_log(dir);
    struct dirent *entry;
    char name[64];
    while ((entry = readdir(stream)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        name_entry(entry, name);
        CHECK_EQ(unlinkat(dir, name, 0), 0);
    }
    (void)closedir(stream);
    for (int i = 0; i < copy->count; i++)
        scratch_write(dir, copy->files[i].name, copy->files[i].data, copy->files[i].bytes, 0);
}

void scratch_drop(scratch_copy *copy)
{
    for (int i = 0; i < copy->count; i++)
        free(copy->files[i].data);
    copy->count = 0;
}
