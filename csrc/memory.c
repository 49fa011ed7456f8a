/* L0. Heap calls, counted in builds for tests. */
#include "memory.h"

#include <stdlib.h>

#ifdef SKV_TESTING
#include <stdatomic.h>

static atomic_long fail_nth;
static atomic_int fail_sticky;
static atomic_long seen;

void skv_memory_fail(long nth, int sticky)
{
    atomic_store(&seen, 0);
    atomic_store(&fail_sticky, sticky);
    atomic_store(&fail_nth, nth);
}

long skv_memory_count(void)
{
    return atomic_load(&seen);
}

static int must_fail(void)
{
    long nth = atomic_load(&fail_nth);
    long now = atomic_fetch_add(&seen, 1) + 1;
    return nth > 0 && (now == nth || (atomic_load(&fail_sticky) && now > nth));
}
#else
static int must_fail(void)
{
    return 0;
}
#endif

void *skv_alloc(size_t bytes)
{
    return must_fail() ? NULL : calloc(1, bytes ? bytes : 1);
}

void *skv_resize(void *block, size_t bytes)
{
    return must_fail() ? NULL : realloc(block, bytes ? bytes : 1);
}

void skv_release(void *block)
{
    free(block);
}
