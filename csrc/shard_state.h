/* L2 part (shard family). The shard's state, seen by shard*.c only, which alone know LMDB. */
#ifndef SKV_SHARD_STATE_H
#define SKV_SHARD_STATE_H

#include "lmdb_api.h"
#include "os.h"
#include "shard.h"
#include "sync.h"

#define SKV_SHARD_POOL_MAX 64

/* A read transaction, and a cursor of it that waits for its next use. */
struct skv_shard_txn {
    MDB_txn *inner;
    MDB_cursor *cursor; /* owned, or NULL */
    bool fresh;         /* in the pool: still shows the newest commit, can be used as it is */
    uint64_t tries;     /* the shard's when it began */
};

typedef struct {
    uint64_t applied_seqno;
    uint64_t newest_seqno; /* of what was ever put in or taken out */
    skv_shard_sum all;
    skv_shard_sum reserved; /* of reserved keys */
    uint64_t expiring;      /* records with an expiry */
} skv_shard_meta;

/* The tree as it was, beside the one that a flush packs anew. */
typedef struct {
    skv_shard_txn *txn; /* NULL: nothing is packed anew */
    skv_shard_cursor *cursor;
    MDB_val key, stored; /* the first record that is not in the new tree yet */
    uint64_t left;       /* from there on */
} skv_shard_old;

struct skv_shard {
    const skv_lmdb *lmdb;
    MDB_env *env;
    MDB_dbi dbi;
    int fd; /* LMDB's */
    uint32_t number;
    uint8_t store_id[SKV_STORE_ID_BYTES];
    char name[SKV_NAME_MAX];

    skv_mutex lock; /* of the pool and the gate */
    skv_shard_txn *pool[SKV_SHARD_POOL_MAX];
    uint32_t pooled;
    uint64_t newest_txn_id;
    uint32_t open_txns;
    uint32_t stayed;   /* of these, at the end of the last try to grow the map */
    uint64_t tries;    /* that failed, because of those that stayed */
    uint64_t gate_ns;  /* how long the next one holds others back */
    bool growing;
    skv_event quiet; /* a transaction ended, or growing did */

    MDB_txn *writing; /* the applying thread's */
    MDB_cursor *cursor;
    skv_shard_old old;
    bool appending; /* keys come behind the last one: pages are packed full */
    skv_shard_meta meta;    /* committed */
    skv_shard_meta pending; /* of the open transaction */
    atomic_ullong applied_seqno;
    atomic_ullong records, public_records, expiring;
};

/* The key of the shard's own record: zeros, longer than any key of a user. */
extern const uint8_t skv_shard_meta_key[SKV_SHARD_META_KEY_BYTES];

static inline MDB_val skv_val_of(skv_slice slice)
{
    return (MDB_val){slice.bytes, (void *)(uintptr_t)slice.data};
}

static inline skv_slice skv_slice_of(const MDB_val *val)
{
    return (skv_slice){val->mv_data, val->mv_size};
}

/* What an LMDB code means. */
skv_code skv_shard_fail(skv_shard *shard, int rc, const char *doing, skv_error *err);
/* Begin reading. A guest's map may have been outgrown since it was made: then it is made again, while nothing is read in it. */
int skv_shard_begin(skv_shard *shard, MDB_txn **out);
/* The shard's own record, checked against the number of records. */
skv_code skv_shard_read_meta(skv_shard *shard, MDB_txn *txn, skv_shard_meta *out, skv_error *err);
void skv_shard_encode_meta(const skv_shard *shard, const skv_shard_meta *meta, uint8_t out[SKV_SHARD_META_BYTES]);
/* End a transaction that goes back to no pool. */
void skv_shard_txn_free(skv_shard *shard, skv_shard_txn *txn);
/* A commit was made: pooled transactions that show an older state let go of it. */
void skv_shard_committed(skv_shard *shard, uint64_t txn_id);
/* While a shard is packed anew: let the old records below a key follow (NULL data: all that are left). */
skv_code skv_shard_old_follow(skv_shard *shard, skv_slice below, skv_error *err);
/* Is this the key of the next old record? Then leave it behind. */
bool skv_shard_old_is_next(const skv_shard *shard, skv_slice key);
skv_code skv_shard_old_leave(skv_shard *shard, skv_error *err);
void skv_shard_old_end(skv_shard *shard);
/* Let readers without a transaction see what was committed. */
void skv_shard_publish(skv_shard *shard);

#endif
