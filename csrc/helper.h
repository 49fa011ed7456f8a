/* L2. Helpers: a thread that was lent to an open, for work that is better done by two. It works, or waits, until it is
 * dismissed. C starts no thread itself.
 *
 * Threads: one gives and awaits; run is the helper's own; dismiss may come from any, at any time. */
#ifndef SKV_HELPER_H
#define SKV_HELPER_H

#include "include/shardkv.h"

/* Have work(context) done by the helper's thread. The work before it is over. */
void skv_helper_give(skv_helper *helper, void (*work)(void *context), void *context);
/* Wait until what was given is done; nobody may have dismissed the helper before. */
void skv_helper_await(skv_helper *helper);

#endif
