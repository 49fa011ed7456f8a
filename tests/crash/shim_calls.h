/* The intercepted names; each hands over to the few functions of shim.c. Included by shim.c alone. */
#define OPEN_MODE                                              \
    mode_t mode = 0;                                           \
    if (flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) {      \
        va_list args;                                          \
        va_start(args, flags), mode = va_arg(args, mode_t), va_end(args); \
    }                                                          \
    ready();
int open(const char *name, int flags, ...) { OPEN_MODE return open_any(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { OPEN_MODE return open_any(AT_FDCWD, name, flags, mode); }
int openat(int fd, const char *name, int flags, ...) { OPEN_MODE return open_any(fd, name, flags, mode); }
int openat64(int fd, const char *name, int flags, ...) { OPEN_MODE return open_any(fd, name, flags, mode); }
int __open_2(const char *name, int flags) { return ready(), open_any(AT_FDCWD, name, flags, 0); }
int __open64_2(const char *name, int flags) { return ready(), open_any(AT_FDCWD, name, flags, 0); }
int __openat_2(int fd, const char *name, int flags) { return ready(), open_any(fd, name, flags, 0); }
int __openat64_2(int fd, const char *name, int flags) { return ready(), open_any(fd, name, flags, 0); }
int creat(const char *name, mode_t mode) { return ready(), open_any(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *name, mode_t mode) { return creat(name, mode); }

#define ONE(data, n) (&(struct iovec){(void *)(data), n})
ssize_t write(int fd, const void *data, size_t n) { return write_any(fd, ONE(data, n), 1, -1, 0, "write"); }
ssize_t pwrite(int fd, const void *data, size_t n, off_t at) { return write_any(fd, ONE(data, n), 1, at, 0, "pwrite"); }
ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at) { return write_any(fd, ONE(data, n), 1, at, 0, "pwrite"); }
ssize_t writev(int fd, const struct iovec *iov, int n) { return write_any(fd, iov, n, -1, 0, "writev"); }
ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at) { return write_any(fd, iov, n, at, 0, "pwritev"); }
ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t at) { return write_any(fd, iov, n, at, 0, "pwritev"); }
ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags) {
    return write_any(fd, iov, n, at, flags, "pwritev2");
}
ssize_t pwritev64v2(int fd, const struct iovec *iov, int n, off64_t at, int flags) {
    return write_any(fd, iov, n, at, flags, "pwritev2");
}

int fsync(int fd) { return ready(), sync_any(fd, real_fsync, "fsync"); }
int fdatasync(int fd) { return ready(), sync_any(fd, real_fdatasync, "fdatasync"); }

/* Starts writeback and promises nothing: counted, never recorded as a sync. */
int sync_file_range(int fd, off64_t offset, off64_t length, unsigned flags) {
    ready();
    char path[PATH_MAX];
    path_of_fd(fd, path);
    enum fault fate = inside(path) ? decide(CLASS_SYNC, path, NULL, "sync_file_range") : NONE;
    int rc = fate == FAIL ? -1 : real_sync_file_range(fd, offset, length, flags);
    if (fate == KILL_AFTER) die();
    return rc;
}

int ftruncate(int fd, off_t size) { return size_any(TRUNCATE, fd, ftruncate_size, 0, size, 0); }
int ftruncate64(int fd, off64_t size) { return size_any(TRUNCATE, fd, ftruncate_size, 0, size, 0); }
int fallocate(int fd, int mode, off_t at, off_t n) { return ready(), size_any(ALLOCATE, fd, real_fallocate, mode, at, n); }
int fallocate64(int fd, int mode, off64_t at, off64_t n) { return fallocate(fd, mode, at, n); }
int posix_fallocate(int fd, off_t at, off_t n) {
    return size_any(ALLOCATE, fd, fallocate_posix, 0, at, n) ? errno : 0; /* it answers the number itself */
}
int posix_fallocate64(int fd, off64_t at, off64_t n) { return posix_fallocate(fd, at, n); }

int rename(const char *from, const char *to) { return name_any(NAME_RENAME, AT_FDCWD, from, AT_FDCWD, to, 0, "rename"); }
int renameat(int a, const char *from, int b, const char *to) { return name_any(NAME_RENAME, a, from, b, to, 0, "rename"); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    return name_any(NAME_RENAME, a, from, b, to, flags, "rename");
}
int link(const char *from, const char *to) { return name_any(NAME_LINK, AT_FDCWD, from, AT_FDCWD, to, 0, "link"); }
int linkat(int a, const char *from, int b, const char *to, int flags) {
    return name_any(NAME_LINK, a, from, b, to, (unsigned)flags, "link");
}
int unlink(const char *name) { return name_any(NAME_UNLINK, AT_FDCWD, name, 0, NULL, 0, "unlink"); }
int unlinkat(int fd, const char *name, int flags) { return name_any(NAME_UNLINK, fd, name, 0, NULL, (unsigned)flags, "unlink"); }
int rmdir(const char *name) { return name_any(NAME_UNLINK, AT_FDCWD, name, 0, NULL, AT_REMOVEDIR, "rmdir"); }
int mkdir(const char *name, mode_t mode) { return name_any(NAME_MKDIR, AT_FDCWD, name, 0, NULL, mode, "mkdir"); }
int mkdirat(int fd, const char *name, mode_t mode) { return name_any(NAME_MKDIR, fd, name, 0, NULL, mode, "mkdir"); }

void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset) {
    ready();
    char path[PATH_MAX] = "";
    if (fd >= 0 && !(flags & MAP_ANONYMOUS)) path_of_fd(fd, path);
    if (!inside(path)) return real_mmap(at, length, protection, flags, fd, offset);
    enum fault fate = decide(CLASS_MAP, path, NULL, "mmap");
    if (fate == FAIL) return MAP_FAILED;
    void *map = real_mmap(at, length, protection, flags, fd, offset);
    if (map != MAP_FAILED && (flags & MAP_SHARED) && (protection & PROT_WRITE))
        emit((struct event){.kind = MAPPED, .file = file_of_fd(fd)}, path, NULL);
    if (fate == KILL_AFTER) die();
    return map;
}
void *mmap64(void *at, size_t length, int protection, int flags, int fd, off64_t offset) {
    return mmap(at, length, protection, flags, fd, offset);
}
