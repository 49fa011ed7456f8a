/* L4 house. The contract's mending half: a sound store is made of what is left of a damaged one and its copies. */
#include <stdio.h>

#include "log_copy.h"
#include "memory.h"
#include "mend.h"
#include "settings.h"
#include "store.h"

#define LOSSES_MAX 1000

/* -- the new store's directory -------------------------------------------------------------------------------------- */

static skv_code found_home(skv_mend *mend, skv_error *err)
{
    skv_code code = skv_os_make_dir(SKV_OS_HERE, mend->path, err);
    if (code == SKV_OK)
        code = skv_os_open_dir(mend->path, &mend->dir, err);
    if (code == SKV_OK && skv_manifest_exists(mend->dir))
        code = skv_fail(err, SKV_INVALID, "%s holds a store already", mend->path);
    if (code == SKV_OK)
        code = skv_home_lock(mend->dir, mend->path, &mend->lock_fd, err);
    return code == SKV_OK ? skv_home_found(mend->dir, mend->path, SKV_COPY_NAME, mend->manifest.shards, err) : code;
}

/* The damaged store's own; else a copy's; else that of a store with equal weights, which the sums of its shards will prove. */
static skv_code choose_manifest(skv_mend *mend, skv_error *err)
{
    const skv_remains *own = &mend->copies[0];
    const skv_remains *from = NULL;
    for (uint32_t i = mend->count; i-- > 0;)
        from = mend->copies[i].manifested ? &mend->copies[i] : from;
    mend->guessed = !from;
    if (from)
        mend->manifest = from->manifest;
    else
        mend->manifest.shards = skv_remains_shards(own);
    for (uint32_t i = 0; !from && i < mend->manifest.shards; i++)
        mend->manifest.weights[i] = 1;
    if (!mend->manifest.shards)
        return skv_fail_at(err, SKV_CORRUPT, "MANIFEST", 0, 0, "neither a manifest nor a shard is left, in any copy");
    if (!own->named)
        return skv_os_random(mend->manifest.store_id, SKV_STORE_ID_BYTES, err);
    memcpy(mend->manifest.store_id, own->store_id, SKV_STORE_ID_BYTES);
    return SKV_OK;
}

static skv_code refuse_layouts(const skv_mend *mend, const skv_mend_source *sources, skv_error *err)
{
    const skv_manifest *ours = &mend->manifest;
    for (uint32_t i = 0; i < mend->count; i++) {
        const skv_manifest *theirs = &mend->copies[i].manifest;
        if (mend->copies[i].manifested &&
            (theirs->shards != ours->shards || memcmp(theirs->weights, ours->weights, ours->shards * sizeof ours->weights[0]) != 0))
            return skv_fail(err, SKV_INVALID, "%s is not a copy of %s: its shards are others", sources[i].path, sources[0].path);
    }
    return SKV_OK;
}

/* -- life cycle ----------------------------------------------------------------------------------------------------- */

static skv_code set_out(skv_mend *mend, const skv_lmdb *lmdb, skv_error *err)
{
    skv_code code = skv_ring_create(mend->manifest.weights, mend->manifest.shards, &mend->ring, err);
    if (code == SKV_OK)
        code = found_home(mend, err);
    mend->shards = skv_alloc(mend->manifest.shards * sizeof *mend->shards);
    mend->losses = skv_alloc(LOSSES_MAX * sizeof *mend->losses);
    if (code == SKV_OK && (!mend->shards || !mend->losses))
        code = skv_fail(err, SKV_NO_MEMORY, "out of memory");
    mend->plan = (skv_mend_plan){.lmdb = lmdb,
                                 .ring = mend->ring,
                                 .log = &mend->log,
                                 .dir = mend->dir,
                                 .path = mend->path,
                                 .map_bytes = SKV_MAP_BYTES_DEFAULT};
    memcpy(mend->plan.store_id, mend->manifest.store_id, SKV_STORE_ID_BYTES);
    return code;
}

static skv_code open_mend(skv_mend *mend, const skv_lmdb *lmdb, const skv_mend_source *sources, skv_error *err)
{
    skv_code code = SKV_OK;
    mend->dir = mend->lock_fd = -1;
    if (mend->count < 1 || mend->count > SKV_MEND_COPIES_MAX)
        return skv_fail(err, SKV_INVALID, "%u copies: 1 to %d can be", mend->count, SKV_MEND_COPIES_MAX);
    if (!mend->path)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    for (; mend->opened < mend->count && code == SKV_OK; mend->opened++) {
        mend->upto[mend->opened] = sources[mend->opened].upto;
        code = skv_remains_open(sources[mend->opened].path, &mend->copies[mend->opened], err);
    }
    if (code == SKV_OK)
        code = choose_manifest(mend, err);
    if (code == SKV_OK)
        code = refuse_layouts(mend, sources, err);
    return code == SKV_OK ? set_out(mend, lmdb, err) : code;
}

skv_mend *skv_mend_open(const skv_lmdb *lmdb, const skv_mend_source *sources, uint32_t count, const char *path, skv_io *io)
{
    skv_mend *mend = skv_alloc(sizeof *mend);
    if (!mend) {
        (void)skv_fail(&io->error, SKV_NO_MEMORY, "out of memory");
        return NULL;
    }
    mend->count = count;
    mend->path = skv_alloc(strlen(path) + 1);
    if (mend->path)
        memcpy(mend->path, path, strlen(path));
    if (open_mend(mend, lmdb, sources, &io->error) == SKV_OK)
        return mend;
    skv_mend_free(mend);
    return NULL;
}

void skv_mend_free(skv_mend *mend)
{
    if (!mend)
        return;
    for (uint32_t i = 0; mend->shards && i < mend->manifest.shards; i++) {
        for (uint32_t n = 0; n < SKV_MEND_COPIES_MAX; n++)
            skv_pages_free(mend->shards[i].pages[n]);
        skv_release(mend->shards[i].views);
    }
    skv_release(mend->shards);
    skv_release(mend->losses);
    skv_known_free(&mend->known);
    skv_remnants_free(&mend->log);
    skv_ring_free(mend->ring);
    for (uint32_t i = 0; i < mend->opened; i++)
        skv_remains_close(&mend->copies[i]);
    skv_os_close(mend->lock_fd);
    skv_os_close(mend->dir);
    skv_release(mend->path);
    skv_release(mend);
}

/* -- what is lost --------------------------------------------------------------------------------------------------- */

static skv_error *next_loss(skv_mend *mend)
{
    uint32_t at = mend->loss_count < LOSSES_MAX ? mend->loss_count : LOSSES_MAX - 1;
    mend->loss_count++;
    return &mend->losses[at];
}

/* Bytes that may be a key, as text. */
static void show(skv_slice key, char out[65])
{
    size_t n = 0;
    for (; n < key.bytes && n < 64; n++)
        out[n] = (char)(key.data[n] >= ' ' && key.data[n] <= '~' ? key.data[n] : '?');
    out[n] = 0;
}

static void lose_spoilt(skv_mend *mend, uint32_t shard, const char *name, const skv_mend_view *view)
{
    mend->suspect[shard] = 1;
    for (uint32_t n = 0; n < view->spoilt_count; n++) {
        const skv_spoilt *spoilt = &view->spoilt[n];
        char shown[65];
        show(spoilt->key, shown);
        if (!spoilt->replaced)
            (void)skv_fail_at(next_loss(mend), SKV_CORRUPT, name, 0, spoilt->seqno,
                              "the record with seqno %llu is sound in no copy; its key may be '%s'",
                              (unsigned long long)spoilt->seqno, shown);
    }
}

static void note_losses(skv_mend *mend, uint32_t shard, const skv_mend_result *made)
{
    char folder[SKV_NAME_MAX], name[SKV_NAME_MAX + 16];
    uint64_t first, last = made->from_seqno;
    skv_home_name_shard(shard, folder);
    (void)snprintf(name, sizeof name, "%s/data.mdb", folder);
    if (made->verdict == SKV_MEND_LOST)
        lose_spoilt(mend, shard, name, made->view);
    if (made->verdict == SKV_MEND_UNPROVEN) {
        mend->suspect[shard] = made->from_seqno + 1;
        (void)skv_fail_at(next_loss(mend), SKV_CORRUPT, name, 0, 0,
                          "%llu sound records are left in all copies together, %llu belong here: which are lost or old is not known",
                          (unsigned long long)made->sum.count,
                          (unsigned long long)(made->view ? made->view->claim.all.count : 0));
    }
    while (skv_known_gap(&mend->known, last, &first, &last)) {
        mend->suspect[shard] = last + 1; /* each is newer than the one before */
        (void)skv_fail_at(next_loss(mend), SKV_CORRUPT, name, 0, first,
                          "the log's records with seqno %llu to %llu are sound in no copy, and this shard had not applied them",
                          (unsigned long long)first, (unsigned long long)last);
    }
}

/* -- pieces --------------------------------------------------------------------------------------------------------- */

static skv_code make_next(skv_mend *mend, skv_error *err)
{
    char folder[SKV_NAME_MAX];
    uint32_t number = mend->made;
    const skv_mend_view *whole = skv_mend_newest(&mend->shards[number], true);
    skv_mend_result made;
    uint64_t first, last;
    bool complete = whole && !skv_known_gap(&mend->known, whole->upto, &first, &last);
    skv_code code = skv_mend_make(&mend->plan, number, &mend->shards[number], complete, &made, err);
    if (code != SKV_OK)
        return code;
    if (mend->guessed && made.verdict != SKV_MEND_WHOLE)
        return skv_fail_at(err, SKV_CORRUPT, "MANIFEST", 0, 0, "no copy has a manifest, and what is left does not tell the layout");
    note_losses(mend, number, &made);
    mend->made++;
    skv_home_name_shard(number, folder);
    return skv_os_sync_dir(mend->dir, folder, err);
}

static skv_code make_log(skv_mend *mend, skv_error *err)
{
    skv_log_copy_terms terms = {.dir = mend->dir,
                                .sizes = {SKV_SEGMENT_BYTES_MIN, SKV_SEGMENT_BYTES_MAX},
                                .first_seqno = mend->plan.last_seqno + 1};
    skv_log_copy *log;
    skv_code code;
    memcpy(terms.store_id, mend->manifest.store_id, SKV_STORE_ID_BYTES);
    for (uint32_t i = 0; i < mend->count; i++)
        if (mend->copies[i].log.mark.clock_ms > terms.clock_ms)
            terms.clock_ms = mend->copies[i].log.mark.clock_ms;
    code = skv_log_copy_create(&terms, &log, err);
    if (code != SKV_OK)
        return code;
    code = skv_log_copy_finish(log, mend->plan.last_seqno * mend->manifest.shards, err);
    skv_log_copy_free(log);
    return code;
}

/* The manifest comes last: a store exists once it is there. */
static skv_code finish(skv_mend *mend, skv_error *err)
{
    static const char *const folders[] = {"shards", "..", "."};
    skv_code code = make_log(mend, err);
    for (size_t i = 0; i < sizeof folders / sizeof folders[0] && code == SKV_OK; i++)
        code = skv_os_sync_dir(mend->dir, folders[i], err);
    if (code == SKV_OK)
        code = skv_manifest_save(mend->dir, &mend->manifest, err);
    if (code == SKV_OK)
        code = skv_os_remove(mend->dir, SKV_COPY_NAME, err);
    if (code == SKV_OK)
        code = skv_os_sync_dir(mend->dir, ".", err);
    mend->finished = code == SKV_OK;
    if (mend->finished) { /* for a check of it */
        skv_os_close(mend->lock_fd);
        mend->lock_fd = -1;
    }
    return code;
}

static skv_code next_piece(skv_mend *mend, skv_error *err)
{
    skv_code code;
    if (mend->finished)
        return SKV_OK;
    if (mend->looked < mend->manifest.shards) {
        code = skv_mend_survey(mend, mend->looked++, err);
    } else if (!mend->settled) {
        mend->settled = true;
        code = skv_mend_settle(mend, err);
    } else if (mend->made < mend->manifest.shards) {
        code = make_next(mend, err);
    } else {
        return finish(mend, err);
    }
    return code == SKV_OK ? SKV_AGAIN : code;
}

skv_code skv_mend_next(skv_mend *mend, skv_mend_progress *out, skv_io *io)
{
    skv_code code = next_piece(mend, &io->error);
    *out = (skv_mend_progress){.seqno = mend->plan.last_seqno,
                               .shards = mend->manifest.shards,
                               .done = mend->looked + mend->made + mend->finished,
                               .total = 2 * mend->manifest.shards + 1};
    return code;
}

int64_t skv_mend_losses(const skv_mend *mend, skv_error *out, uint32_t capacity)
{
    uint32_t kept = mend->loss_count < LOSSES_MAX ? mend->loss_count : LOSSES_MAX;
    for (uint32_t i = 0; i < kept && i < capacity; i++)
        out[i] = mend->losses[i];
    return mend->loss_count;
}

uint64_t skv_mend_suspect(const skv_mend *mend, uint32_t shard)
{
    return shard < mend->manifest.shards ? mend->suspect[shard] : 0;
}

skv_code skv_suspect(skv_store *store, uint32_t shard, uint64_t below_seqno, skv_io *io)
{
    skv_code code = skv_store_enter(store, &io->error);
    if (code != SKV_OK)
        return code;
    if (shard < store->parts.lane_count)
        store->parts.lanes[shard].suspect_below = below_seqno;
    else
        code = skv_fail(&io->error, SKV_INVALID, "shard %u: there are %u", shard, store->parts.lane_count);
    skv_store_leave(store);
    return code;
}
