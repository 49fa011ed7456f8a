/* L4 house. What the copies of a store have, together. */
#include "mend.h"

#include "memory.h"

/* -- looking at every copy ------------------------------------------------------------------------------------------ */

/* A file of another store, or of a history that is not ours, proves nothing. */
static void drop_foreign(const skv_mend *mend, uint32_t copy, skv_mend_shard *shard, uint32_t from)
{
    bool foreign = false;
    for (uint32_t i = from; i < shard->count; i++) {
        const skv_mend_view *view = &shard->views[i];
        foreign = foreign || view->newest_seqno > mend->upto[copy] ||
                  (view->claims && (view->claim.applied_seqno > mend->upto[copy] ||
                                    memcmp(view->claim.store_id, mend->copies[copy].store_id, SKV_STORE_ID_BYTES) != 0));
    }
    shard->count = foreign ? from : shard->count;
}

skv_code skv_mend_survey(skv_mend *mend, uint32_t number, skv_error *err)
{
    skv_mend_shard *shard = &mend->shards[number];
    skv_code code = SKV_OK;
    shard->views = skv_alloc((size_t)4 * mend->count * sizeof *shard->views);
    if (!shard->views)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    for (uint32_t copy = 0; copy < mend->count && code == SKV_OK; copy++) {
        skv_pages *pages;
        uint32_t before = shard->count;
        code = skv_remains_pages(&mend->copies[copy], number, &pages, err);
        if (code == SKV_OK)
            code = skv_mend_look(&mend->plan, number, pages, copy, shard, err);
        drop_foreign(mend, copy, shard, before);
    }
    return code;
}

/* The newest state of a copy's shard, when it says what it has. */
static const skv_mend_view *claim_of(const skv_mend_shard *shard, uint32_t copy)
{
    for (uint32_t i = 0; i < shard->count; i++)
        if (shard->views[i].copy == copy && shard->views[i].state == 0 && shard->views[i].claims)
            return &shard->views[i];
    return NULL;
}

/* Every record up to which seqno is in the shards of a copy, says its side file: that holds when none of them is older than
 * the side file remembers, where one that is missing may have had all. Without side files, the log itself begins behind it. */
static uint64_t settled_upto(const skv_mend *mend, uint32_t copy)
{
    const skv_log_remains *log = &mend->copies[copy].log;
    uint64_t sum = 0;
    bool marked = false;
    for (uint32_t i = 0; i < mend->manifest.shards; i++) {
        const skv_mend_view *view = claim_of(&mend->shards[i], copy);
        sum += view ? view->claim.applied_seqno : log->proven_seqno;
    }
    for (uint32_t i = 0; i < mend->count; i++)
        marked = marked || mend->copies[i].log.marked;
    if (!marked && log->oldest_seqno != UINT64_MAX)
        return log->oldest_seqno - 1;
    return log->marked && sum >= log->mark.applied_sum ? log->mark.first_seqno - 1 : 0;
}

/* A shard in which nothing was written for long has all of the log that its copy has let go. */
static void raise_views(skv_mend *mend)
{
    for (uint32_t copy = 0; copy < mend->count; copy++) {
        uint64_t settled = settled_upto(mend, copy);
        settled = settled < mend->upto[copy] ? settled : mend->upto[copy];
        for (uint32_t i = 0; i < mend->manifest.shards; i++) {
            const skv_mend_view *own = claim_of(&mend->shards[i], copy);
            for (uint32_t n = 0; own && n < mend->shards[i].count; n++) {
                skv_mend_view *view = &mend->shards[i].views[n];
                if (view->claims && view->claim.applied_seqno >= own->claim.applied_seqno && view->upto < settled)
                    view->upto = settled;
            }
        }
    }
}

/* -- what the logs have in common ----------------------------------------------------------------------------------- */

static uint64_t proven_upto(const skv_mend *mend)
{
    uint64_t proven = 0;
    for (uint32_t i = 0; i < mend->count; i++) {
        uint64_t here = mend->copies[i].log.proven_seqno;
        here = here < mend->upto[i] ? here : mend->upto[i];
        proven = here > proven ? here : proven;
    }
    for (uint32_t i = 0; i < mend->manifest.shards; i++)
        for (uint32_t n = 0; n < mend->shards[i].count; n++) {
            const skv_mend_view *view = &mend->shards[i].views[n];
            uint64_t here = view->newest_seqno > view->upto ? view->newest_seqno : view->upto;
            proven = here > proven ? here : proven;
        }
    return proven;
}

static skv_code add_record(void *context, const skv_record *record, skv_error *err)
{
    (void)err;
    skv_known_add(context, record->seqno);
    return SKV_OK;
}

static void add_seqno(void *context, uint64_t seqno)
{
    skv_known_add(context, seqno);
}

/* Which records of the log are known, from behind what every shard has. */
static skv_code gather_known(skv_mend *mend, skv_error *err)
{
    uint64_t low = mend->plan.last_seqno;
    skv_code code;
    for (uint32_t i = 0; i < mend->manifest.shards; i++)
        for (uint32_t n = 0; n < mend->shards[i].count; n++)
            if (mend->shards[i].views[n].claims && mend->shards[i].views[n].upto < low)
                low = mend->shards[i].views[n].upto;
    code = skv_known_create(low, mend->plan.last_seqno, &mend->known, err);
    if (code == SKV_OK)
        code = skv_remnants_visit(&mend->log, low + 1, mend->plan.last_seqno, (skv_remnants_taker){add_record, &mend->known}, err);
    for (uint32_t i = 0; i < mend->manifest.shards && code == SKV_OK; i++)
        if (mend->known.count < mend->plan.last_seqno - low)
            code = skv_mend_seqnos(&mend->shards[i], (skv_mend_seer){add_seqno, &mend->known}, err);
    return code;
}

skv_code skv_mend_settle(skv_mend *mend, skv_error *err)
{
    skv_remnants_part parts[SKV_MEND_COPIES_MAX];
    uint64_t proven;
    skv_code code = SKV_OK;
    raise_views(mend);
    proven = proven_upto(mend);
    for (uint32_t i = 0; i < mend->count && code == SKV_OK; i++) {
        code = skv_log_remains_salvage(&mend->copies[i].log, proven, err);
        parts[i] = (skv_remnants_part){&mend->copies[i].log, mend->upto[i]};
    }
    if (code == SKV_OK)
        code = skv_remnants_gather(parts, mend->count, &mend->log, err);
    if (code != SKV_OK)
        return code;
    mend->plan.last_seqno = skv_remnants_tail(&mend->log, proven);
    return gather_known(mend, err);
}
