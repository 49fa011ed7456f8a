/* L4 house. A mending under way: the copies, what each of their shards proves, and the log that they have in common. */
#ifndef SKV_MEND_H
#define SKV_MEND_H

#include "known.h"
#include "mend_path.h"
#include "remains.h"

struct skv_mend {
    skv_remains copies[SKV_MEND_COPIES_MAX];
    uint64_t upto[SKV_MEND_COPIES_MAX]; /* what each is believed up to */
    uint32_t count, opened;
    skv_manifest manifest; /* of the new store */
    bool guessed;          /* no copy has one */
    skv_ring *ring;        /* owned */
    skv_remnants log;      /* owned */
    skv_known known;       /* owned */
    char *path;            /* owned */
    int dir, lock_fd;
    bool settled, finished;
    skv_mend_plan plan;
    skv_mend_shard *shards; /* owned: one for each */
    uint32_t looked, made;
    uint64_t suspect[SKV_SHARDS_MAX]; /* what is older than that may not be the newest; 0: all is */
    skv_error *losses;                /* owned */
    uint32_t loss_count;
};

/* Look at a shard in every copy. NO_MEMORY, IO. */
skv_code skv_mend_survey(skv_mend *mend, uint32_t number, skv_error *err);
/* Then, once: up to where each of them has the log, what of it is left, and where it ends. NO_MEMORY. */
skv_code skv_mend_settle(skv_mend *mend, skv_error *err);

#endif
