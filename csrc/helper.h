/* L2. Helpers: a thread that was lent to an open, for work that is better done by two. It works, or waits, until it is
 * dismissed. C starts no thread itself.
 *
 * Threads: one gives and awaits; run is the helper's own; dismiss may come from any, at any time. */
#ifndef SKV_HELPER_H
#define SKV_HELPER_H

#include "include/shardkv.h"

/* Have work(context) done by the helper's thread, once for each call, one after the other. What was given before and is not
 * done is the same. */
void skv_helper_give(skv_helper *helper, void (*work)(void *context), void *context);
/* Wait until at most so many of those are left to be done; nobody may have dismissed the helper before. */
void skv_helper_await(skv_helper *helper, unsigned left);

#endif
