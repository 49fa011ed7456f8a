/* L4 house. The store: life cycle, the directory, the calls under way. */
#ifndef SKV_STORE_H
#define SKV_STORE_H

#include "manifest.h"
#include "parts.h"

#define SKV_LOCK_NAME "LOCK"
#define SKV_BIRTH_NAME "CREATING"

typedef enum { SKV_STATE_OPEN, SKV_STATE_STOPPING, SKV_STATE_CLOSED } skv_state;

struct skv_store {
    atomic_int state;
    atomic_int calls; /* under way */
    atomic_bool forked;
    atomic_bool stopping; /* what the loops look at */
    skv_event left;       /* a call left while the store was stopping */
    bool readonly;
    char *path; /* owned */
    int dir;
    int lock_fd;
    const skv_lmdb *lmdb;
    skv_options in_force; /* with the defaults filled in */
    skv_manifest manifest;
    skv_parts parts;
    uint64_t replayed_records;
    atomic_ullong last_durable; /* when the store was stopped */
};

/* Every call but the life cycle's stands between these two. CLOSED, FORKED: do not call leave. */
skv_code skv_store_enter(skv_store *store, skv_error *err);
void skv_store_leave(skv_store *store);

/* "shards/0000" and so on. */
void skv_store_name_shard(uint32_t number, char out[SKV_NAME_MAX]);
/* The layout of a new store (birth.c). */
skv_code skv_birth_manifest(skv_store *store, const skv_options *options, skv_error *err);
/* FORMAT when the directory holds what is not ours. Changes nothing. */
skv_code skv_birth_refuse(const skv_store *store, skv_error *err);
/* Its directories: refuses what is not ours, clears what an interrupted creation left. */
skv_code skv_birth_directories(skv_store *store, skv_error *err);

#endif
