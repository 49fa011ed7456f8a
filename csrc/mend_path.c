/* L3 path. Mending. */
#include "mend_path.h"

#include <stdio.h>

#include "hash.h"
#include "memory.h"
#include "os.h"

#define WAYS 6
#define COMMITS 256 /* a full map takes so many */

bool skv_mend_whole(const skv_mend_view *view)
{
    return view->claims && view->found.count == view->claim.all.count && view->found.digest == view->claim.all.digest;
}

const skv_mend_view *skv_mend_newest(const skv_mend_shard *from, bool whole)
{
    const skv_mend_view *found = NULL;
    for (uint32_t i = 0; i < from->count; i++) {
        const skv_mend_view *view = &from->views[i];
        if (view->claims && (!whole || skv_mend_whole(view)) && (!found || view->upto > found->upto))
            found = view;
    }
    return found;
}

/* -- looking -------------------------------------------------------------------------------------------------------- */

typedef struct {
    const skv_mend_plan *plan;
    uint32_t number;
    skv_mend_view *view;
} looking;

static bool in_place(const skv_mend_plan *plan, uint32_t number, skv_slice key)
{
    return skv_ring_route(plan->ring, skv_key_hash(key.data, key.bytes)) == number;
}

static bool read_record(skv_slice key, skv_slice stored, skv_record *out)
{
    return key.bytes > 0 && key.bytes <= SKV_KEY_BYTES_MAX && skv_stored_decode(key, stored, out);
}

static void note_spoilt(skv_mend_view *view, const skv_record *record)
{
    if (view->spoilt_count < SKV_MEND_SPOILT_MAX)
        view->spoilt[view->spoilt_count] = (skv_spoilt){.seqno = record->seqno,
                                                        .digest = skv_record_digest(record),
                                                        .key = record->key};
    view->spoilt_count++;
}

static skv_code look_at(void *context, skv_slice key, skv_slice stored, skv_error *err)
{
    looking *at = context;
    skv_mend_view *view = at->view;
    skv_shard_claim claim;
    skv_record record;
    (void)err;
    if (skv_pages_claim(key, stored, &claim)) {
        view->claims = claim.number == at->number;
        view->claim = claim;
    } else if (read_record(key, stored, &record)) {
        if (!skv_record_verify(&record)) {
            note_spoilt(view, &record);
        } else if (in_place(at->plan, at->number, key)) {
            view->found.digest += skv_record_digest(&record);
            view->found.count++;
            view->newest_seqno = record.seqno > view->newest_seqno ? record.seqno : view->newest_seqno;
        }
    }
    return SKV_OK;
}

skv_code skv_mend_look(const skv_mend_plan *plan, uint32_t number, skv_pages *pages, uint32_t copy, skv_mend_shard *out,
                       skv_error *err)
{
    skv_code code = SKV_OK;
    bool whole = false;
    out->pages[copy] = pages;
    for (uint32_t i = 0; pages && i < 2 * skv_pages_states(pages) && code == SKV_OK && !whole; i++) {
        skv_mend_view *view = &out->views[out->count++];
        looking at = {plan, number, view};
        *view = (skv_mend_view){.pages = pages, .copy = copy, .state = i / 2, .way = i % 2 ? SKV_PAGES_REACHED : SKV_PAGES_LISTED};
        code = skv_pages_walk(pages, view->state, view->way, (skv_pages_visitor){look_at, &at}, err);
        view->upto = view->claims ? view->claim.applied_seqno : 0;
        whole = skv_mend_whole(view);
    }
    return code;
}

static skv_code see_seqno(void *context, skv_slice key, skv_slice stored, skv_error *err)
{
    skv_mend_seer *to = context;
    skv_record record;
    (void)err;
    if (read_record(key, stored, &record) && skv_record_verify(&record))
        to->see(to->context, record.seqno);
    return SKV_OK;
}

skv_code skv_mend_seqnos(const skv_mend_shard *from, skv_mend_seer to, skv_error *err)
{
    skv_code code = SKV_OK;
    for (uint32_t i = 0; i < from->count && code == SKV_OK; i++) {
        const skv_mend_view *view = &from->views[i];
        code = skv_pages_walk(view->pages, view->state, view->way, (skv_pages_visitor){see_seqno, &to}, err);
    }
    return code;
}

/* -- filling -------------------------------------------------------------------------------------------------------- */

typedef struct {
    const skv_mend_plan *plan;
    skv_mend_shard *from;
    uint32_t number;
    skv_shard *shard;             /* owned: the new one */
    uint64_t map_bytes;           /* its map's */
    uint64_t after_seqno, upto;   /* records that are wanted */
    const skv_mend_view *newest;  /* the one whose sums are to be reached */
    const skv_mend_view *wanted;  /* only what this one has as spoilt; NULL: everything */
    uint64_t bytes;               /* in the open transaction */
} filling;

static void note_replaced(filling *fill, uint64_t digest)
{
    for (uint32_t i = 0; i < fill->from->count; i++) {
        skv_mend_view *view = &fill->from->views[i];
        for (uint32_t n = 0; n < view->spoilt_count && n < SKV_MEND_SPOILT_MAX; n++)
            if (view->spoilt[n].digest == digest)
                view->spoilt[n].replaced = true;
    }
}

static bool is_spoilt_in(const skv_mend_view *view, uint64_t digest)
{
    for (uint32_t n = 0; n < view->spoilt_count && n < SKV_MEND_SPOILT_MAX; n++)
        if (view->spoilt[n].digest == digest)
            return true;
    return false;
}

static skv_code put(filling *fill, const skv_record *record, skv_error *err)
{
    uint64_t digest = skv_record_digest(record);
    skv_code code;
    if (fill->wanted && !is_spoilt_in(fill->wanted, digest))
        return SKV_OK;
    code = skv_shard_apply_newer(fill->shard, record, err);
    note_replaced(fill, digest);
    fill->bytes += record->key.bytes + record->value.bytes;
    if (code != SKV_OK || fill->bytes < fill->map_bytes / COMMITS)
        return code;
    fill->bytes = 0;
    code = skv_shard_apply_commit(fill->shard, 0, err);
    return code == SKV_OK ? skv_shard_apply_begin(fill->shard, err) : code;
}

static skv_code put_stored(void *context, skv_slice key, skv_slice stored, skv_error *err)
{
    filling *fill = context;
    skv_record record;
    if (!read_record(key, stored, &record) || record.seqno <= fill->after_seqno || record.seqno > fill->upto ||
        !skv_record_verify(&record) || !in_place(fill->plan, fill->number, key))
        return SKV_OK;
    return put(fill, &record, err);
}

static skv_code put_logged(void *context, const skv_record *record, skv_error *err)
{
    filling *fill = context;
    return in_place(fill->plan, fill->number, record->key) ? put(fill, record, err) : SKV_OK;
}

static skv_code fill_from_view(filling *fill, const skv_mend_view *view, skv_pages_way way, skv_error *err)
{
    return skv_pages_walk(view->pages, view->state, way, (skv_pages_visitor){put_stored, fill}, err);
}

static skv_code fill_from_log(filling *fill, uint64_t from, uint64_t upto, skv_error *err)
{
    return skv_remnants_visit(fill->plan->log, from, upto, (skv_remnants_taker){put_logged, fill}, err);
}

/* Of each copy the newest state that has its own record, else the newest: its first view. */
static const skv_mend_view *view_of(const skv_mend_shard *from, uint32_t copy)
{
    const skv_mend_view *first = NULL;
    for (uint32_t i = 0; i < from->count; i++) {
        if (from->views[i].copy != copy)
            continue;
        if (from->views[i].claims)
            return &from->views[i];
        first = first ? first : &from->views[i];
    }
    return first;
}

static void close_shard(filling *fill)
{
    skv_shard_free(fill->shard);
    fill->shard = NULL;
}

/* An empty shard, whatever an attempt before left. */
static skv_code begin_shard(filling *fill, skv_error *err)
{
    char name[SKV_NAME_MAX], path[4096];
    skv_shard_place place = {.lmdb = fill->plan->lmdb, .path = path, .number = fill->number, .map_bytes = fill->map_bytes};
    skv_code code;
    close_shard(fill);
    memcpy(place.store_id, fill->plan->store_id, SKV_STORE_ID_BYTES);
    (void)snprintf(name, sizeof name, "shards/%04u/data.mdb", fill->number);
    code = skv_os_remove(fill->plan->dir, name, err);
    if (snprintf(path, sizeof path, "%s/shards/%04u", fill->plan->path, fill->number) >= (int)sizeof path)
        return skv_fail(err, SKV_INVALID, "the path is too long");
    if (code == SKV_OK)
        code = skv_shard_open(&place, true, &fill->shard, err);
    return code == SKV_OK ? skv_shard_apply_begin(fill->shard, err) : code;
}

/* -- attempts ------------------------------------------------------------------------------------------------------- */

/* What is missing is what this copy has as spoilt and nobody else has sound. */
static bool explains(const skv_mend_view *view, skv_shard_sum made)
{
    if (!view->claims || view->spoilt_count > SKV_MEND_SPOILT_MAX)
        return false;
    for (uint32_t n = 0; n < view->spoilt_count; n++) {
        if (view->spoilt[n].replaced)
            continue;
        made.digest += view->spoilt[n].digest;
        made.count++;
    }
    return made.digest == view->claim.all.digest && made.count == view->claim.all.count;
}

static void judge(const filling *fill, skv_mend_result *out)
{
    skv_shard_sum made = skv_shard_applied_sum(fill->shard), right = fill->newest->claim.all;
    out->sum = made;
    out->verdict = SKV_MEND_UNPROVEN;
    out->view = fill->newest;
    if (made.digest == right.digest && made.count == right.count) {
        out->verdict = SKV_MEND_WHOLE;
        return;
    }
    for (uint32_t i = 0; i < fill->from->count && out->verdict == SKV_MEND_UNPROVEN; i++)
        if (fill->from->views[i].upto == fill->newest->upto && explains(&fill->from->views[i], made)) {
            out->verdict = SKV_MEND_LOST;
            out->view = &fill->from->views[i];
        }
}

/* All that any copy has, the newest of each key, and what the log says of it since `logged_from`. alone: what the newest copy
 * has, and only those of the others that it has as spoilt; so they may be as old as they like. */
static skv_code attempt(filling *fill, uint64_t logged_from, skv_pages_way way, bool alone, skv_error *err)
{
    skv_code code = begin_shard(fill, err);
    for (uint32_t i = 0; i < fill->from->count; i++)
        for (uint32_t n = 0; n < fill->from->views[i].spoilt_count && n < SKV_MEND_SPOILT_MAX; n++)
            fill->from->views[i].spoilt[n].replaced = false;
    if (alone && code == SKV_OK)
        code = fill_from_view(fill, fill->newest, way, err);
    fill->wanted = alone ? fill->newest : NULL;
    for (uint32_t copy = 0; copy < SKV_MEND_COPIES_MAX && code == SKV_OK; copy++) {
        const skv_mend_view *view = view_of(fill->from, copy);
        if (view)
            code = fill_from_view(fill, view, way, err);
    }
    if (code == SKV_OK)
        code = fill_from_log(fill, logged_from, fill->upto, err);
    fill->wanted = NULL;
    return code;
}

static skv_code try_union(filling *fill, skv_mend_result *out, skv_error *err)
{
    uint64_t unbroken = skv_remnants_unbroken(fill->plan->log, fill->upto);
    skv_mend_verdict wanted = SKV_MEND_WHOLE;
    skv_code code = SKV_OK;
    for (int n = 0; n < 2 * WAYS && code == SKV_OK; n++) {
        int how = n % WAYS / 2; /* alone, since the log is unbroken, with all of the log */
        wanted = n < WAYS ? SKV_MEND_WHOLE : SKV_MEND_LOST;
        code = attempt(fill, how == 1 ? unbroken : 1, n % 2 ? SKV_PAGES_REACHED : SKV_PAGES_LISTED, how == 0, err);
        if (code == SKV_OK)
            judge(fill, out);
        if (code != SKV_OK || out->verdict <= wanted)
            return code;
    }
    return code;
}

static skv_code take_whole(filling *fill, const skv_mend_view *view, skv_mend_result *out, skv_error *err)
{
    skv_code code = begin_shard(fill, err);
    fill->upto = UINT64_MAX;
    if (code == SKV_OK)
        code = fill_from_view(fill, view, view->way, err);
    *out = (skv_mend_result){.verdict = SKV_MEND_WHOLE, .from_seqno = view->upto, .view = view, .sum = view->found};
    return code;
}

/* No copy says what the shard should hold. */
static skv_code take_what_there_is(filling *fill, skv_mend_result *out, skv_error *err)
{
    fill->upto = fill->plan->last_seqno;
    *out = (skv_mend_result){.verdict = SKV_MEND_UNPROVEN, .from_seqno = fill->upto};
    return attempt(fill, 1, SKV_PAGES_LISTED, false, err);
}

static skv_code choose(filling *fill, bool complete, skv_mend_result *out, skv_error *err)
{
    const skv_mend_view *whole = skv_mend_newest(fill->from, true);
    skv_code code;
    fill->newest = skv_mend_newest(fill->from, false);
    if (!fill->newest)
        return take_what_there_is(fill, out, err);
    if (whole && (complete || whole->upto == fill->newest->upto))
        return take_whole(fill, whole, out, err);
    fill->upto = fill->newest->upto;
    out->from_seqno = fill->upto;
    code = try_union(fill, out, err);
    if (code == SKV_OK && whole && out->verdict == SKV_MEND_UNPROVEN)
        return take_whole(fill, whole, out, err);
    return code;
}

static skv_code make_shard(filling *fill, bool complete, skv_mend_result *out, skv_error *err)
{
    const skv_mend_shard *from = fill->from;
    uint64_t last_seqno = fill->plan->last_seqno;
    skv_code code = choose(fill, complete, out, err);
    fill->after_seqno = out->from_seqno;
    fill->upto = last_seqno;
    for (uint32_t i = 0; i < from->count && code == SKV_OK; i++)
        code = fill_from_view(fill, &from->views[i], from->views[i].way, err);
    if (code == SKV_OK)
        code = fill_from_log(fill, out->from_seqno + 1, last_seqno, err);
    return code == SKV_OK ? skv_shard_apply_commit(fill->shard, last_seqno, err) : code;
}

skv_code skv_mend_make(const skv_mend_plan *plan, uint32_t number, skv_mend_shard *from, bool complete, skv_mend_result *out,
                       skv_error *err)
{
    uint64_t map_bytes = plan->map_bytes;
    skv_code code;
    do {
        filling fill = {.plan = plan, .from = from, .number = number, .map_bytes = map_bytes};
        *out = (skv_mend_result){0};
        code = make_shard(&fill, complete, out, err);
        close_shard(&fill);
        map_bytes *= 2;
    } while (code == SKV_BUSY); /* the map is full: all of it once more */
    return code;
}
