/* L0. The only door to the heap. In builds for tests (SKV_TESTING) the n-th allocation can be made to fail. */
#ifndef SKV_MEMORY_H
#define SKV_MEMORY_H

#include <stddef.h>

/* owned: skv_release. NULL when memory is out; zeroed. */
void *skv_alloc(size_t bytes);
/* As realloc; on NULL the old block is still owned by the caller. New bytes are not cleared. */
void *skv_resize(void *block, size_t bytes);
/* Accepts NULL. */
void skv_release(void *block);

#ifdef SKV_TESTING
/* Fail the n-th allocation from now (1 = the next), and every later one when sticky; 0 turns it off. */
void skv_memory_fail(long nth, int sticky);
/* Allocations since the last skv_memory_fail. */
long skv_memory_count(void);
#endif

#endif
