/* L0. The explanation of a failure: fixed size, caller's memory. */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void explain(skv_error *err, skv_code code, const char *format, va_list args)
{
    memset(err, 0, sizeof *err);
    err->code = code;
    (void)vsnprintf(err->text, sizeof err->text, format, args);
}

static void name_file(skv_error *err, const char *file)
{
    /* A long path keeps its end: the file's name matters more than the root's. */
    size_t bytes = strlen(file);
    size_t room = sizeof err->file - 1;
    if (bytes > room)
        file += bytes - room;
    (void)snprintf(err->file, sizeof err->file, "%s", file);
}

skv_code skv_fail(skv_error *err, skv_code code, const char *format, ...)
{
    va_list args;
    if (err) {
        va_start(args, format);
        explain(err, code, format, args);
        va_end(args);
    }
    return code;
}

static skv_code code_of_errno(int sys_errno)
{
    switch (sys_errno) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return SKV_FULL;
    case ENOMEM:
        return SKV_NO_MEMORY;
    default:
        return SKV_IO;
    }
}

skv_code skv_fail_errno(skv_error *err, int sys_errno, const char *file, const char *format, ...)
{
    skv_code code = code_of_errno(sys_errno);
    va_list args;
    if (err) {
        va_start(args, format);
        explain(err, code, format, args);
        va_end(args);
        err->sys_errno = sys_errno;
        name_file(err, file);
    }
    return code;
}

skv_code skv_fail_at(skv_error *err, skv_code code, const char *file, uint64_t offset, uint64_t seqno,
                     const char *format, ...)
{
    va_list args;
    if (err) {
        va_start(args, format);
        explain(err, code, format, args);
        va_end(args);
        err->offset = offset;
        err->seqno = seqno;
        name_file(err, file);
    }
    return code;
}
