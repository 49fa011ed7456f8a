/* L3 path. Replay, at open: scan the log, index what the shards have not applied, write the unproven tail again. No shard
 * is written. */
#ifndef SKV_REPLAY_PATH_H
#define SKV_REPLAY_PATH_H

#include "helper.h"
#include "parts.h"

/* Bring log and indexes to where they were. On OK everything that can be read is durable and the log takes appends.
 * helper: NULL for none. */
skv_code skv_replay(skv_parts *parts, skv_helper *helper, uint64_t *replayed, skv_error *err);
/* A new store: an empty log. */
skv_code skv_replay_nothing(skv_parts *parts, skv_error *err);

#endif
