/* L0. Fill an skv_error. Never allocates; err may be NULL. Every function returns the code it was given. */
#ifndef SKV_ERROR_H
#define SKV_ERROR_H

#include "include/shardkv.h"

/* What happened. The format is printf's. */
skv_code skv_fail(skv_error *err, skv_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same for a file call that set errno; the code follows from it: FULL for a full disk, NO_MEMORY, else IO. */
skv_code skv_fail_errno(skv_error *err, int sys_errno, const char *file, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Damage or misfortune at a place: file, byte offset and the seqno concerned (0: none). */
skv_code skv_fail_at(skv_error *err, skv_code code, const char *file, uint64_t offset, uint64_t seqno,
                     const char *format, ...) __attribute__((format(printf, 6, 7)));

#endif
