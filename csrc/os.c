/* L1. File calls on Linux. Every one loops over EINTR and short transfers here, nowhere else. */
#include "os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(SKV_OS_HERE == AT_FDCWD, "the kernel's name for here");

#ifdef SKV_TESTING
#include <stdatomic.h>

static atomic_long fault_nth, fault_seen;
static atomic_int fault_kind, fault_errno, fault_sticky;

void skv_os_fail(long nth, skv_fault fault, int sys_errno, int sticky)
{
    atomic_store(&fault_seen, 0);
    atomic_store(&fault_kind, (int)fault);
    atomic_store(&fault_errno, sys_errno);
    atomic_store(&fault_sticky, sticky);
    atomic_store(&fault_nth, nth);
}

long skv_os_calls(void)
{
    return atomic_load(&fault_seen);
}

/* The fault that this call meets; sets errno. */
static skv_fault meet_fault(void)
{
    long nth = atomic_load(&fault_nth), now = atomic_fetch_add(&fault_seen, 1) + 1;
    if (nth <= 0 || now < nth || (now > nth && !atomic_load(&fault_sticky)))
        return SKV_FAULT_NONE;
    errno = atomic_load(&fault_kind) == SKV_FAULT_EINTR ? EINTR : atomic_load(&fault_errno);
    return (skv_fault)atomic_load(&fault_kind);
}
#else
typedef enum { SKV_FAULT_NONE, SKV_FAULT_ERROR, SKV_FAULT_SHORT, SKV_FAULT_EINTR } skv_fault;
static skv_fault meet_fault(void)
{
    return SKV_FAULT_NONE;
}
#endif

static bool faulted(void)
{
    skv_fault fault = meet_fault();
    return fault == SKV_FAULT_ERROR || fault == SKV_FAULT_EINTR;
}

skv_code skv_os_open_dir(const char *path, int *out, skv_error *err)
{
    *out = faulted() ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *out >= 0 ? SKV_OK : skv_fail_errno(err, errno, path, "cannot open the directory: %s", strerror(errno));
}

static bool is_file(int fd)
{
    struct stat found;
    return fstat(fd, &found) == 0 && S_ISREG(found.st_mode);
}

skv_code skv_os_open(int dir, const char *name, skv_open_mode mode, int *out, skv_error *err)
{
    static const int flags[] = {[SKV_OPEN_READ] = O_RDONLY,
                                [SKV_OPEN_WRITE] = O_RDWR,
                                [SKV_OPEN_CREATE] = O_RDWR | O_CREAT,
                                [SKV_OPEN_CREATE_NEW] = O_RDWR | O_CREAT | O_EXCL};
    do {
        *out = faulted() ? -1 : openat(dir, name, flags[mode] | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    } while (*out < 0 && errno == EINTR);
    if (*out >= 0 && is_file(*out))
        return SKV_OK;
    if (*out < 0 && errno == ENOENT && (mode == SKV_OPEN_READ || mode == SKV_OPEN_WRITE))
        return SKV_NOT_FOUND;
    if (*out >= 0 || errno == EISDIR || errno == ELOOP || errno == ENXIO) {
        skv_os_close(*out);
        *out = -1;
        return skv_fail_at(err, SKV_CORRUPT, name, 0, 0, "a directory, a link or something else is in the place of a file");
    }
    return skv_fail_errno(err, errno, name, "cannot open the file: %s", strerror(errno));
}

void skv_os_close(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

skv_code skv_os_make_dir(int dir, const char *name, skv_error *err)
{
    if ((faulted() ? -1 : mkdirat(dir, name, 0700)) == 0 || errno == EEXIST)
        return SKV_OK;
    return skv_fail_errno(err, errno, name, "cannot make the directory: %s", strerror(errno));
}

bool skv_os_exists(int dir, const char *name)
{
    struct stat found;
    return fstatat(dir, name, &found, AT_SYMLINK_NOFOLLOW) == 0;
}

skv_code skv_os_rename(int dir, const char *from, const char *to, skv_error *err)
{
    if ((faulted() ? -1 : renameat(dir, from, dir, to)) == 0)
        return SKV_OK;
    return skv_fail_errno(err, errno, from, "cannot rename to %s: %s", to, strerror(errno));
}

static skv_code remove_name(int dir, const char *name, int flags, skv_error *err)
{
    if ((faulted() ? -1 : unlinkat(dir, name, flags)) == 0 || errno == ENOENT)
        return SKV_OK;
    return skv_fail_errno(err, errno, name, "cannot remove: %s", strerror(errno));
}

skv_code skv_os_remove(int dir, const char *name, skv_error *err)
{
    return remove_name(dir, name, 0, err);
}

skv_code skv_os_remove_dir(int dir, const char *name, skv_error *err)
{
    return remove_name(dir, name, AT_REMOVEDIR, err);
}

skv_code skv_os_list(int dir, const char *name, skv_os_visit visit, void *context, skv_error *err)
{
    skv_code code = SKV_OK;
    struct dirent *entry;
    int fd = faulted() ? -1 : openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    if (!stream) {
        code = errno == ENOENT ? SKV_NOT_FOUND
                               : skv_fail_errno(err, errno, name, "cannot list the directory: %s", strerror(errno));
        skv_os_close(fd);
        return code;
    }
    while (code == SKV_OK && (entry = readdir(stream)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            code = visit(context, entry->d_name, err);
    (void)closedir(stream);
    return code;
}

skv_code skv_os_size(int fd, const char *name, uint64_t *out, skv_error *err)
{
    struct stat found;
    if ((faulted() ? -1 : fstat(fd, &found)) != 0)
        return skv_fail_errno(err, errno, name, "cannot read the size: %s", strerror(errno));
    *out = (uint64_t)found.st_size;
    return SKV_OK;
}

bool skv_os_is_unlinked(int fd)
{
    struct stat found;
    return fstat(fd, &found) == 0 && found.st_nlink == 0;
}

skv_code skv_os_read(int fd, const char *name, void *out, size_t bytes, uint64_t offset, skv_error *err)
{
    uint8_t *at = out;
    while (bytes > 0) {
        ssize_t got = faulted() ? -1 : pread(fd, at, bytes, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return skv_fail_errno(err, errno, name, "cannot read %zu bytes at %llu: %s", bytes,
                                  (unsigned long long)offset, strerror(errno));
        if (got == 0)
            return skv_fail_at(err, SKV_CORRUPT, name, offset, 0, "the file ends %zu bytes too early", bytes);
        at += got;
        offset += (uint64_t)got;
        bytes -= (size_t)got;
    }
    return SKV_OK;
}

static ssize_t write_some(int fd, struct iovec *pieces, int count, uint64_t offset)
{
    skv_fault fault = meet_fault();
    if (fault == SKV_FAULT_ERROR || fault == SKV_FAULT_EINTR)
        return -1;
    if (fault == SKV_FAULT_SHORT)
        return pwrite(fd, pieces[0].iov_base, (pieces[0].iov_len + 1) / 2, (off_t)offset);
    return pwritev(fd, pieces, count, (off_t)offset);
}

static void advance(struct iovec pieces[2], size_t done)
{
    for (int i = 0; i < 2; i++) {
        size_t here = done < pieces[i].iov_len ? done : pieces[i].iov_len;
        pieces[i].iov_base = (uint8_t *)pieces[i].iov_base + here;
        pieces[i].iov_len -= here;
        done -= here;
    }
}

skv_code skv_os_write2(int fd, const char *name, struct iovec pieces[2], uint64_t offset, skv_error *err)
{
    while (pieces[0].iov_len + pieces[1].iov_len > 0) {
        int skip = pieces[0].iov_len == 0;
        ssize_t put = write_some(fd, pieces + skip, 2 - skip, offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            int why = put < 0 ? errno : EIO;
            return skv_fail_errno(err, why, name, "cannot write %zu bytes at %llu: %s",
                                  pieces[0].iov_len + pieces[1].iov_len, (unsigned long long)offset, strerror(why));
        }
        advance(pieces, (size_t)put);
        offset += (uint64_t)put;
    }
    return SKV_OK;
}

skv_code skv_os_write(int fd, const char *name, const void *data, size_t bytes, uint64_t offset, skv_error *err)
{
    struct iovec pieces[2] = {{(void *)(uintptr_t)data, bytes}, {NULL, 0}};
    return skv_os_write2(fd, name, pieces, offset, err);
}

skv_code skv_os_sync(int fd, const char *name, skv_error *err)
{
    if ((faulted() ? -1 : fdatasync(fd)) == 0)
        return SKV_OK;
    return skv_fail_errno(err, errno, name, "cannot sync: %s", strerror(errno));
}

skv_code skv_os_write_out(int fd, const char *name, uint64_t offset, uint64_t bytes, skv_error *err)
{
    const unsigned all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    if ((faulted() ? -1 : sync_file_range(fd, (off_t)offset, (off_t)bytes, all)) == 0 || errno == EINVAL ||
        errno == ESPIPE || errno == EOPNOTSUPP || errno == ENOSYS || errno == EPERM)
        return SKV_OK;
    return skv_fail_errno(err, errno, name, "cannot write out: %s", strerror(errno));
}

skv_code skv_os_cut(int fd, const char *name, uint64_t bytes, skv_error *err)
{
    if ((faulted() ? -1 : ftruncate(fd, (off_t)bytes)) == 0)
        return SKV_OK;
    return skv_fail_errno(err, errno, name, "cannot cut the file to %llu bytes: %s", (unsigned long long)bytes,
                          strerror(errno));
}

skv_code skv_os_sync_dir(int dir, const char *name, skv_error *err)
{
    int fd = faulted() ? -1 : openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd < 0 || (faulted() ? -1 : fsync(fd)) != 0;
    int why = errno;
    skv_os_close(fd);
    return failed ? skv_fail_errno(err, why, name, "cannot sync the directory: %s", strerror(why)) : SKV_OK;
}

skv_code skv_os_reserve(int fd, const char *name, uint64_t bytes, skv_error *err)
{
    if ((faulted() ? -1 : fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes)) == 0 || errno == EOPNOTSUPP ||
        errno == ENOSYS || errno == EINTR)
        return SKV_OK;
    return skv_fail_errno(err, errno, name, "cannot reserve %llu bytes of disk space: %s", (unsigned long long)bytes,
                          strerror(errno));
}

/* The race detector's own mmap counts a new mapping as a write to every byte of it; to readers of a remapped range the
 * bytes stay what they were, so the bare call is used in every build. */
static void *map(void *at, size_t bytes, int flags, int fd, uint64_t offset)
{
    int protection = flags & MAP_PRIVATE ? PROT_READ | PROT_WRITE : PROT_READ;
    long found = faulted() ? -1 : syscall(SYS_mmap, at, bytes, protection, flags, fd, (off_t)offset);
    return found == -1 ? MAP_FAILED : (void *)found;
}

uint8_t *skv_os_map_memory(size_t bytes, size_t huge)
{
    void *at = map(NULL, bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    if (huge)
        (void)madvise(at, huge, MADV_HUGEPAGE);
    return at;
}

skv_code skv_os_map_file(int fd, const char *name, size_t bytes, const uint8_t **out, skv_error *err)
{
    void *at = map(NULL, bytes, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return skv_fail_errno(err, errno, name, "cannot map %zu bytes: %s", bytes, strerror(errno));
    *out = at;
    return SKV_OK;
}

void skv_os_will_need(int fd, uint64_t bytes)
{
    (void)posix_fadvise(fd, 0, (off_t)bytes, POSIX_FADV_WILLNEED);
}

bool skv_os_remap(uint8_t *at, size_t bytes, int fd, uint64_t offset)
{
    return map(at, bytes, MAP_SHARED | MAP_FIXED, fd, offset) != MAP_FAILED;
}

bool skv_os_own(uint8_t *at, size_t bytes, int fd)
{
    return map(at, bytes, MAP_PRIVATE | MAP_FIXED, fd, 0) != MAP_FAILED;
}

void skv_os_unmap(const uint8_t *at, size_t bytes)
{
    if (at)
        (void)syscall(SYS_munmap, (uintptr_t)at, bytes);
}

void skv_os_close_on_exec(int fd)
{
    int flags = fcntl(fd, F_GETFD);
    if (flags >= 0)
        (void)fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
}

skv_code skv_os_lock(int fd, const char *name, skv_error *err)
{
    int got;
    do {
        got = faulted() ? -1 : flock(fd, LOCK_EX | LOCK_NB);
    } while (got != 0 && errno == EINTR);
    if (got == 0)
        return SKV_OK;
    if (errno == EWOULDBLOCK)
        return SKV_NOT_FOUND;
    return skv_fail_errno(err, errno, name, "cannot lock: %s", strerror(errno));
}

void skv_os_unlock(int fd)
{
    (void)flock(fd, LOCK_UN);
}

long skv_os_process_id(void)
{
    return (long)getpid();
}

skv_code skv_os_random(void *out, size_t bytes, skv_error *err)
{
    if (getrandom(out, bytes, 0) == (ssize_t)bytes)
        return SKV_OK;
    return skv_fail_errno(err, errno, "", "cannot read random bytes: %s", strerror(errno));
}

skv_code skv_os_bell_open(int *out, skv_error *err)
{
    *out = faulted() ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return *out >= 0 ? SKV_OK : skv_fail_errno(err, errno, "", "cannot make an eventfd: %s", strerror(errno));
}

/* A counter that is full is readable, and one that is empty is still: neither failure says anything. */
void skv_os_bell_ring(int fd)
{
    (void)!eventfd_write(fd, 1);
}

void skv_os_bell_still(int fd)
{
    eventfd_t rings;
    (void)!eventfd_read(fd, &rings);
}

uint64_t skv_os_free_bytes(int fd)
{
    struct statvfs found;
    struct stat file;
    struct rlimit limit;
    uint64_t bytes = fstatvfs(fd, &found) == 0 ? (uint64_t)found.f_bavail * found.f_frsize : UINT64_MAX;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || fstat(fd, &file) != 0 || limit.rlim_cur >= (uint64_t)file.st_size + bytes)
        return bytes;
    return limit.rlim_cur > (uint64_t)file.st_size ? limit.rlim_cur - (uint64_t)file.st_size : 0;
}
