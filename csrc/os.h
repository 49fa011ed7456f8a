/* L1. The door to the kernel: every file call of the engine is here, so that short writes and EINTR are handled once
 * and tests can count the calls and make them fail (SKV_TESTING). Names are relative to a directory descriptor.
 * A failure fills err with the errno and the name. */
#ifndef SKV_OS_H
#define SKV_OS_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "error.h"

#define SKV_NAME_MAX 64
/* As a directory descriptor: names are relative to the process's working directory. */
#define SKV_OS_HERE (-100)

/* How a file is opened. Always close-on-exec, never through a symbolic link, mode 0600. */
typedef enum { SKV_OPEN_READ, SKV_OPEN_WRITE, SKV_OPEN_CREATE, SKV_OPEN_CREATE_NEW } skv_open_mode;

/* A directory by path. out: descriptor, owned: skv_os_close. */
skv_code skv_os_open_dir(const char *path, int *out, skv_error *err);
/* NOT_FOUND (without err) when a file to read or write does not exist. */
skv_code skv_os_open(int dir, const char *name, skv_open_mode mode, int *out, skv_error *err);
void skv_os_close(int fd);
/* Mode 0700; an existing directory is fine. */
skv_code skv_os_make_dir(int dir, const char *name, skv_error *err);
bool skv_os_exists(int dir, const char *name);
skv_code skv_os_rename(int dir, const char *from, const char *to, skv_error *err);
/* A name that is already gone is fine. */
skv_code skv_os_remove(int dir, const char *name, skv_error *err);
skv_code skv_os_remove_dir(int dir, const char *name, skv_error *err);
/* Call visit for every entry but . and ..; stops at the first code that is not OK and returns it. */
typedef skv_code (*skv_os_visit)(void *context, const char *entry, skv_error *err);
skv_code skv_os_list(int dir, const char *name, skv_os_visit visit, void *context, skv_error *err);

skv_code skv_os_size(int fd, const char *name, uint64_t *out, skv_error *err);
/* Whether the file has no name any more: what is written to it goes with the descriptor. */
bool skv_os_is_unlinked(int fd);
/* All bytes or a failure; a file that ends early is CORRUPT. */
skv_code skv_os_read(int fd, const char *name, void *out, size_t bytes, uint64_t offset, skv_error *err);
skv_code skv_os_write(int fd, const char *name, const void *data, size_t bytes, uint64_t offset, skv_error *err);
/* Two pieces in one call; the second may be empty. */
skv_code skv_os_write2(int fd, const char *name, struct iovec pieces[2], uint64_t offset, skv_error *err);
/* fdatasync. After a failure the state of the file is unknown: never call it again on this descriptor. */
skv_code skv_os_sync(int fd, const char *name, skv_error *err);
/* Send what was written of this range to the device, and wait until it is there. Nothing is durable before a sync. A file
 * system, a sandbox or a kernel that cannot do it is fine. */
skv_code skv_os_write_out(int fd, const char *name, uint64_t offset, uint64_t bytes, skv_error *err);
/* Make the file shorter. */
skv_code skv_os_cut(int fd, const char *name, uint64_t bytes, skv_error *err);
/* Make the names inside a directory durable. */
skv_code skv_os_sync_dir(int dir, const char *name, skv_error *err);
/* Allocate disk space up to `bytes` without changing the size, so that later growth cannot fail for want of space.
 * A file system that cannot do it is fine. */
skv_code skv_os_reserve(int fd, const char *name, uint64_t bytes, skv_error *err);

#define SKV_HUGE_BYTES ((size_t)2 << 20)
/* Zeroed private memory, not yet backed by pages; in its first `huge` bytes these shall be huge ones, for which the kernel
 * places it well when `bytes` is a multiple of SKV_HUGE_BYTES. owned: skv_os_unmap. NULL when memory is out. */
uint8_t *skv_os_map_memory(size_t bytes, size_t huge);
/* The file's bytes, read only. owned: skv_os_unmap. */
skv_code skv_os_map_file(int fd, const char *name, size_t bytes, const uint8_t **out, skv_error *err);
/* The file's bytes will be read soon: let the kernel begin. It may decline. */
void skv_os_will_need(int fd, uint64_t bytes);
/* Put the file's pages in place of the memory at `at`, atomically for readers. Page aligned. false: nothing changed. */
bool skv_os_remap(uint8_t *at, size_t bytes, int fd, uint64_t offset);
/* Put memory with the file's bytes, all of them, in place of the file's pages at `at`. false: what is there may be gone. */
bool skv_os_own(uint8_t *at, size_t bytes, int fd);
void skv_os_unmap(const uint8_t *at, size_t bytes);

/* For a descriptor that other code opened: children of exec shall not inherit it. */
void skv_os_close_on_exec(int fd);
/* Take the exclusive lock of this open file; NOT_FOUND (without err) when another open file holds it. */
skv_code skv_os_lock(int fd, const char *name, skv_error *err);
/* Let go of it, whoever else has this open file: a child that was forked meanwhile may. */
void skv_os_unlock(int fd);
long skv_os_process_id(void);
skv_code skv_os_random(void *out, size_t bytes, skv_error *err);
/* A descriptor that polls readable from a ring until it is stilled. owned: skv_os_close. */
skv_code skv_os_bell_open(int *out, skv_error *err);
void skv_os_bell_ring(int fd);
void skv_os_bell_still(int fd);
/* Bytes by which the file may still grow, says its file system, or the limit of the process; UINT64_MAX: neither does. */
uint64_t skv_os_free_bytes(int fd);

#ifdef SKV_TESTING
typedef enum { SKV_FAULT_NONE, SKV_FAULT_ERROR, SKV_FAULT_SHORT, SKV_FAULT_EINTR } skv_fault;
/* The n-th counted call from now (writes, syncs, names, opens, maps) meets the fault; later ones too when sticky. */
void skv_os_fail(long nth, skv_fault fault, int sys_errno, int sticky);
long skv_os_calls(void);
#endif

#endif
