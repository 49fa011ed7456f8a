/* LD_PRELOAD library between a process and the file system: counts the file calls below one directory, makes the n-th
 * one fail, fall short or kill the process, and records every change so that a replayer can build crash states.
 *
 * Configured by the environment, read at load and again by skv_shim_arm():
 *   SKV_SHIM_ROOT     directory watched (a real path); everything else passes untouched
 *   SKV_SHIM_FAULT    fail | short | kill-before | kill-middle | kill-after | hang
 *   SKV_SHIM_AT       which counted call is hit, from 1
 *   SKV_SHIM_STICKY   1: that call and all later ones
 *   SKV_SHIM_ERRNO    number for `fail`
 *   SKV_SHIM_CLASS    comma list of write, sync, name, open (default: these), look, map
 *   SKV_SHIM_HOLD     faults befall only while this file (outside the root) exists; what hangs goes on when it is gone,
 *                     the n-th call while it existed also when it has n bytes: a disk as slow as the test likes
 *   SKV_SHIM_SYNC_MS  a sync takes up to this long, as on a disk: others go on meanwhile
 *   SKV_SHIM_MATCH    count only calls whose path contains this
 *   SKV_SHIM_TRACE    append the record of every change to this file (layout: struct event, read by trace.py)
 *   SKV_SHIM_MARKS    writes to this file (outside the root) enter the trace as marks: what was promised, and when
 *   SKV_SHIM_REPORT   at exit: "<calls counted> <call that was hit>"; when a call is hit, at once
 *
 * Blind to raw system calls, io_uring, stores into mapped files and stdio; the byte-for-byte self-check of the
 * replayer finds such a writer. Paths are asked from /proc for each call, so dup, close and rename need no tracking. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CLASS_WRITE = 1, CLASS_SYNC = 2, CLASS_NAME = 4, CLASS_OPEN = 8, CLASS_LOOK = 16, CLASS_MAP = 32 };
enum fault { NONE, FAIL, SHORT, KILL_BEFORE, KILL_MIDDLE, KILL_AFTER, HANG };
enum kind { OPEN = 1, WRITE, SYNC_BEGIN, SYNC_END, TRUNCATE, ALLOCATE, RENAME, UNLINK, MKDIR, MARK, MAPPED, LINK };
enum { FLAG_CREATED = 1, FLAG_TRUNCATED = 2, FLAG_ZEROS = 4, FLAG_FAILED = 8, FLAG_RANGE = 16 };

struct event { /* 48 bytes, then name_bytes of path, then data_bytes of data */
    uint32_t magic;
    uint16_t kind, flags;
    uint64_t serial, file, offset, length;
    uint32_t name_bytes, data_bytes;
};

static struct {
    char root[PATH_MAX], match[PATH_MAX], hold[PATH_MAX], marks[PATH_MAX], report[PATH_MAX];
    unsigned classes;
    int error, sticky, trace;
    enum fault fault;
    unsigned long at, sync_ms;
} config = {.trace = -1};
static atomic_ulong counted;
static atomic_ulong serials;
static char hit_call[PATH_MAX + 64];
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER; /* a change and its record are one step for other threads */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int (*real_open)(const char *, int, ...), (*real_openat)(int, const char *, int, ...);
static ssize_t (*real_write)(int, const void *, size_t), (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwritev)(int, const struct iovec *, int, off_t);
static ssize_t (*real_pwritev2)(int, const struct iovec *, int, off_t, int);
static int (*real_fsync)(int), (*real_fdatasync)(int), (*real_ftruncate)(int, off_t);
static int (*real_sync_file_range)(int, off_t, off_t, unsigned), (*real_fallocate)(int, int, off_t, off_t);
static int (*real_posix_fallocate)(int, off_t, off_t), (*real_renameat2)(int, const char *, int, const char *, unsigned);
static int (*real_unlinkat)(int, const char *, int), (*real_mkdirat)(int, const char *, mode_t);
static int (*real_linkat)(int, const char *, int, const char *, int);
static void *(*real_mmap)(void *, size_t, int, int, int, off_t);

static void setting(char *into, const char *name) {
    const char *value = getenv(name);
    snprintf(into, PATH_MAX, "%s", value ? value : "");
}

static unsigned classes_named(const char *list) {
    static const char *const names[] = {"write", "sync", "name", "open", "look", "map"};
    unsigned classes = 0;
    for (unsigned i = 0; i < 6; i++)
        if (strstr(list, names[i])) classes |= 1u << i;
    return classes ? classes : CLASS_WRITE | CLASS_SYNC | CLASS_NAME | CLASS_OPEN;
}

static enum fault fault_named(const char *name) {
    static const char *const names[] = {"", "fail", "short", "kill-before", "kill-middle", "kill-after", "hang"};
    for (int i = 0; i < 7; i++)
        if (!strcmp(name, names[i])) return (enum fault)i;
    abort();
}

static void read_environment(void) {
    char text[PATH_MAX];
    setting(config.match, "SKV_SHIM_MATCH");
    setting(config.marks, "SKV_SHIM_MARKS");
    setting(config.hold, "SKV_SHIM_HOLD");
    setting(config.report, "SKV_SHIM_REPORT");
    setting(text, "SKV_SHIM_CLASS"), config.classes = classes_named(text);
    setting(text, "SKV_SHIM_FAULT"), config.fault = fault_named(text);
    setting(text, "SKV_SHIM_AT"), config.at = strtoul(text, NULL, 10);
    setting(text, "SKV_SHIM_SYNC_MS"), config.sync_ms = strtoul(text, NULL, 10);
    setting(text, "SKV_SHIM_STICKY"), config.sticky = text[0] == '1';
    setting(text, "SKV_SHIM_ERRNO"), config.error = text[0] ? atoi(text) : EIO;
    setting(text, "SKV_SHIM_TRACE");
    if (config.trace >= 0) close(config.trace);
    config.trace = text[0] ? real_open(text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    atomic_store(&serials, (unsigned long)getpid() << 32);
    atomic_store(&counted, 0);
    hit_call[0] = 0;
    setting(config.root, "SKV_SHIM_ROOT");
}

static void start(void) {
#define LOAD(name) *(void **)&real_##name = dlsym(RTLD_NEXT, #name)
    LOAD(open), LOAD(openat), LOAD(write), LOAD(writev), LOAD(pwritev), LOAD(pwritev2), LOAD(fsync), LOAD(fdatasync);
    LOAD(ftruncate), LOAD(sync_file_range), LOAD(fallocate), LOAD(posix_fallocate), LOAD(renameat2), LOAD(unlinkat);
    LOAD(mkdirat), LOAD(linkat), LOAD(mmap);
    read_environment();
}

static void ready(void) { pthread_once(&once, start); }
__attribute__((constructor)) static void loaded(void) { ready(); }

/* Read the environment again and count from zero: one process can run many faults. */
void skv_shim_arm(void) { ready(), read_environment(); }
unsigned long skv_shim_count(void) { return atomic_load(&counted); }
const char *skv_shim_hit(void) { return hit_call; }

static void report(void) {
    if (!config.report[0]) return;
    int fd = real_open(config.report, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    char text[PATH_MAX + 96];
    int n = snprintf(text, sizeof text, "%lu %s\n", atomic_load(&counted), hit_call);
    if (fd >= 0 && real_write(fd, text, (size_t)n) == n) close(fd);
}
__attribute__((destructor)) static void unloaded(void) { report(); }

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

static int inside(const char *path) {
    size_t n = strlen(config.root);
    return n && !strncmp(path, config.root, n) && (path[n] == '/' || !path[n]);
}

static void path_of_fd(int fd, char *path) {
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    path[n > 0 ? n : 0] = 0;
}

/* The absolute path that `name` means, "." and ".." taken out by their text. */
static void resolve(int dirfd, const char *name, char *path) {
    char whole[2 * PATH_MAX], base[PATH_MAX] = "";
    if (name[0] != '/' && dirfd == AT_FDCWD && !getcwd(base, sizeof base)) base[0] = 0;
    if (name[0] != '/' && dirfd != AT_FDCWD) path_of_fd(dirfd, base);
    snprintf(whole, sizeof whole, "%s/%s", base, name);
    size_t n = 0;
    char *rest = NULL;
    for (char *part = strtok_r(whole, "/", &rest); part; part = strtok_r(NULL, "/", &rest)) {
        if (!strcmp(part, ".")) continue;
        if (!strcmp(part, "..")) {
            while (n && path[--n] != '/') {}
            continue;
        }
        if (n + strlen(part) + 2 > PATH_MAX) break;
        path[n++] = '/', strcpy(path + n, part), n += strlen(part);
    }
    path[n] = 0;
}

/* Count one call and decide its fate. FAIL comes back with errno set. */
static enum fault decide(unsigned class, const char *path, const char *other, const char *call) {
    if (!(class & config.classes)) return NONE;
    if (config.match[0] && !strstr(path, config.match) && !(other && strstr(other, config.match))) return NONE;
    if (config.hold[0] && access(config.hold, F_OK)) return NONE;
    unsigned long n = atomic_fetch_add(&counted, 1) + 1;
    if (!config.at || !(n == config.at || (config.sticky && n > config.at))) return NONE;
    if (n == config.at) snprintf(hit_call, sizeof hit_call, "%s %s", call, path), report();
    if (config.fault == KILL_BEFORE) die();
    if (config.fault == KILL_MIDDLE && class != CLASS_WRITE) die();
    if (config.fault == HANG) {
        struct stat held; /* who comes as number n goes on when the file has n bytes, or is gone */
        while (!stat(config.hold, &held) && (unsigned long)held.st_size < n) poll(NULL, 0, 2);
        return NONE;
    }
    if (config.fault == FAIL) errno = config.error;
    return config.fault;
}

static void emit(struct event event, const char *name, const struct iovec *iov) {
    if (config.trace < 0) return;
    int saved = errno;
    const char *data = iov ? iov->iov_base : NULL;
    event.magic = 0x564b5331, event.name_bytes = name ? (uint32_t)strlen(name) : 0;
    size_t n = iov ? iov->iov_len : 0;
    if (n > 64 && !data[0] && !memcmp(data, data + 1, n - 1)) event.flags |= FLAG_ZEROS, n = 0;
    event.data_bytes = (uint32_t)n;
    struct iovec parts[3] = {{&event, sizeof event}, {(void *)name, event.name_bytes}, {(void *)data, n}};
    if (real_writev(config.trace, parts, 3) != (ssize_t)(sizeof event + event.name_bytes + n)) abort();
    errno = saved;
}

static uint64_t next_serial(void) { return atomic_fetch_add(&serials, 1) + 1; }

static uint64_t file_of_fd(int fd) {
    struct stat st;
    return fstat(fd, &st) ? 0 : (uint64_t)st.st_ino;
}

/* Change and record as one step; only when a trace is kept, so that counting alone leaves threads as they were. */
static void step_begin(void) { if (config.trace >= 0) pthread_mutex_lock(&order); }
static void step_end(enum fault fate) {
    if (config.trace >= 0) pthread_mutex_unlock(&order);
    if (fate == KILL_AFTER) die();
}

static int open_any(int dirfd, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX], opened[PATH_MAX];
    resolve(dirfd, name, path);
    if (!inside(path)) return real_openat(dirfd, name, flags, mode);
    int changes = (flags & O_CREAT) || (flags & O_ACCMODE) != O_RDONLY;
    enum fault fate = decide(changes ? CLASS_OPEN : CLASS_LOOK, path, NULL, "open");
    if (fate == FAIL) return -1;
    step_begin();
    struct stat st;
    int existed = !fstatat(AT_FDCWD, path, &st, 0);
    int fd = real_openat(dirfd, name, flags, mode);
    if (fd >= 0 && config.trace >= 0) {
        unsigned how = (existed ? 0u : FLAG_CREATED) | (existed && (flags & O_TRUNC) ? FLAG_TRUNCATED : 0u);
        path_of_fd(fd, opened);
        emit((struct event){.kind = OPEN, .flags = (uint16_t)how, .file = file_of_fd(fd)}, opened, NULL);
    }
    step_end(fate);
    return fd;
}

/* The first `bytes` of a vector, in `into`; returns how many entries. */
static int vector_prefix(struct iovec *into, const struct iovec *iov, int n, size_t bytes) {
    int kept = 0;
    for (; kept < n && bytes; kept++) {
        into[kept] = iov[kept];
        if (into[kept].iov_len > bytes) into[kept].iov_len = bytes;
        bytes -= into[kept].iov_len;
    }
    return kept;
}

static ssize_t vector_write(int fd, const struct iovec *iov, int n, off_t offset, int flags) {
    if (flags) return real_pwritev2(fd, iov, n, offset, flags);
    return offset < 0 ? real_writev(fd, iov, n) : real_pwritev(fd, iov, n, offset);
}

static void emit_write(int fd, const struct iovec *iov, int n, off_t offset, int rwf, size_t written) {
    if (config.trace < 0 || !written) return;
    if (offset < 0) offset = lseek(fd, 0, SEEK_CUR) - (off_t)written;
    struct iovec parts[IOV_MAX], flat = {malloc(written), written};
    size_t at = 0;
    n = vector_prefix(parts, iov, n, written);
    for (int i = 0; i < n; at += parts[i].iov_len, i++) memcpy((char *)flat.iov_base + at, parts[i].iov_base, parts[i].iov_len);
    uint64_t serial = next_serial();
    struct event event = {.kind = WRITE, .serial = serial, .file = file_of_fd(fd), .offset = (uint64_t)offset, .length = written};
    emit(event, NULL, &flat);
    free(flat.iov_base);
    if (!(fcntl(fd, F_GETFL) & O_DSYNC) && !(rwf & (RWF_DSYNC | RWF_SYNC))) return;
    event.kind = SYNC_END, event.flags = FLAG_RANGE; /* only what this call wrote is durable */
    emit(event, NULL, NULL);
}

static ssize_t write_any(int fd, const struct iovec *iov, int n, off_t offset, int rwf, const char *call) {
    ready();
    char path[PATH_MAX];
    path_of_fd(fd, path);
    int mark = config.marks[0] && !strcmp(path, config.marks);
    if (!mark && !inside(path)) return vector_write(fd, iov, n, offset, rwf);
    enum fault fate = mark ? NONE : decide(CLASS_WRITE, path, NULL, call);
    if (fate == FAIL) return -1;
    struct iovec part[IOV_MAX];
    if (fate == SHORT || fate == KILL_MIDDLE) {
        size_t total = 0;
        for (int i = 0; i < n; i++) total += iov[i].iov_len;
        if (total > 1) n = vector_prefix(part, iov, n, total / 2), iov = part;
    }
    step_begin();
    ssize_t written = vector_write(fd, iov, n, offset, rwf);
    if (written > 0 && !mark) emit_write(fd, iov, n, offset, rwf, (size_t)written);
    if (written > 0 && mark) emit((struct event){.kind = MARK, .length = (uint64_t)written}, NULL, iov);
    step_end(fate == KILL_MIDDLE ? KILL_AFTER : fate);
    return written;
}

static int sync_any(int fd, int (*real)(int), const char *call) {
    ready();
    char path[PATH_MAX];
    path_of_fd(fd, path);
    if (!inside(path)) return real(fd);
    enum fault fate = decide(CLASS_SYNC, path, NULL, call);
    struct event event = {.kind = SYNC_BEGIN, .serial = next_serial(), .file = file_of_fd(fd)};
    step_begin(), emit(event, path, NULL), step_end(NONE);
    if (config.sync_ms) poll(NULL, 0, (int)(event.serial * 2654435761u % (config.sync_ms + 1)));
    int rc = fate == FAIL ? -1 : real(fd);
    event.kind = SYNC_END, event.flags = rc ? FLAG_FAILED : 0;
    step_begin(), emit(event, path, NULL), step_end(fate);
    return rc;
}

static int size_any(enum kind kind, int fd, int (*real)(int, int, off_t, off_t), int mode, off_t offset, off_t length) {
    ready();
    char path[PATH_MAX];
    path_of_fd(fd, path);
    if (!inside(path)) return real(fd, mode, offset, length);
    enum fault fate = decide(CLASS_WRITE, path, NULL, kind == TRUNCATE ? "ftruncate" : "fallocate");
    if (fate == FAIL) return -1;
    step_begin();
    int rc = real(fd, mode, offset, length);
    struct event event = {.kind = (uint16_t)kind, .flags = (uint16_t)(mode << 8), .file = file_of_fd(fd)};
    event.offset = (uint64_t)offset, event.length = (uint64_t)length;
    if (!rc) emit(event, NULL, NULL);
    step_end(fate);
    return rc;
}

enum { NAME_RENAME, NAME_UNLINK, NAME_MKDIR, NAME_LINK };
static const uint16_t name_kinds[] = {RENAME, UNLINK, MKDIR, LINK};
static int name_any(int verb, int dirfd, const char *name, int todir, const char *to, unsigned flags, const char *call) {
    ready();
    char path[2 * PATH_MAX], other[PATH_MAX] = "";
    resolve(dirfd, name, path);
    if (to) resolve(todir, to, other);
    enum fault fate = inside(path) || inside(other) ? decide(CLASS_NAME, path, other, call) : NONE;
    if (fate == FAIL) return -1;
    step_begin();
    int rc = verb == NAME_RENAME   ? real_renameat2(dirfd, name, todir, to, flags)
             : verb == NAME_UNLINK ? real_unlinkat(dirfd, name, (int)flags)
             : verb == NAME_LINK   ? real_linkat(dirfd, name, todir, to, (int)flags)
                                   : real_mkdirat(dirfd, name, flags);
    if (to) strcat(path, "\n"), strcat(path, other);
    if (!rc && (inside(path) || inside(other))) emit((struct event){.kind = name_kinds[verb]}, path, NULL);
    step_end(fate);
    return rc;
}

static int fallocate_posix(int fd, int mode, off_t offset, off_t length) {
    (void)mode;
    errno = real_posix_fallocate(fd, offset, length);
    return errno ? -1 : 0;
}
static int ftruncate_size(int fd, int mode, off_t size, off_t none) { return (void)mode, (void)none, real_ftruncate(fd, size); }

#include "shim_calls.h"
