/* L4 house. The store: life cycle, the directory, the calls under way. */
#ifndef SKV_STORE_H
#define SKV_STORE_H

#include "home.h"
#include "manifest.h"
#include "parts.h"

/* Of a store that is opened without options. */
#define SKV_SEGMENT_BYTES_MIN ((uint64_t)4 << 20)
#define SKV_SEGMENT_BYTES_MAX ((uint64_t)64 << 20)
#define SKV_MAP_BYTES_DEFAULT ((uint64_t)16 << 30)

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
    skv_mutex settings_lock; /* of the manifest's settings and generation, once the store is open */
    skv_parts parts;
    uint64_t replayed_records;
    atomic_ullong last_durable; /* when the store was stopped */
    atomic_bool stopped;        /* skv_stop has synced, or failed */
    skv_error stop_error;       /* why it failed; written before */
};

/* Every call but the life cycle's stands between these two. CLOSED, FORKED: do not call leave. */
skv_code skv_store_enter(skv_store *store, skv_error *err);
/* The same for a call that writes: READ_ONLY, too. */
skv_code skv_store_enter_to_write(skv_store *store, skv_error *err);
void skv_store_leave(skv_store *store);

#endif
