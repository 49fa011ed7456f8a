/* L4 house. Copying, step by step. */
#include "copying.h"

#include "keep_path.h"
#include "memory.h"

/* -- the original --------------------------------------------------------------------------------------------------- */

skv_code skv_copying_enter(const skv_copy *copy, skv_error *err)
{
    return copy->store ? skv_store_enter(copy->store, err) : SKV_OK;
}

void skv_copying_leave(const skv_copy *copy)
{
    if (copy->store)
        skv_store_leave(copy->store);
}

/* -- life cycle ----------------------------------------------------------------------------------------------------- */

skv_copy *skv_copying_make(const char *path, skv_error *err)
{
    skv_copy *copy = skv_alloc(sizeof *copy);
    if (copy)
        copy->path = skv_alloc(strlen(path) + 1);
    if (!copy || !copy->path) {
        skv_release(copy);
        (void)skv_fail(err, SKV_NO_MEMORY, "out of memory");
        return NULL;
    }
    memcpy(copy->path, path, strlen(path));
    copy->process = skv_os_process_id();
    copy->dir = copy->lock_fd = -1;
    return copy;
}

/* Is there a whole shard, and an original whose log may still reach back when somebody comes again? */
static bool can_be_gone_on_with(const skv_copy *copy)
{
    return copy->store && !copy->worthless && (copy->next_shard || copy->kept_shards);
}

/* What cannot be taken away still says that it is no store. */
static void tidy(skv_copy *copy)
{
    if (copy->finished || copy->lock_fd < 0 || copy->process != skv_os_process_id() || can_be_gone_on_with(copy) ||
        !skv_os_exists(copy->dir, SKV_COPY_NAME))
        return;
    if (skv_manifest_remove(copy->dir, NULL) == SKV_OK && skv_os_remove(copy->dir, SKV_ORIGIN_NAME, NULL) == SKV_OK &&
        skv_home_clear(copy->dir, NULL) == SKV_OK)
        (void)skv_os_remove(copy->dir, SKV_COPY_NAME, NULL);
    if (copy->made && !skv_os_exists(copy->dir, SKV_COPY_NAME)) {
        (void)skv_os_remove(copy->dir, SKV_LOCK_NAME, NULL);
        (void)skv_os_remove_dir(SKV_OS_HERE, copy->path, NULL);
    }
}

/* A shard of an original that nobody has open was opened for the copy alone. */
static void end_shard(skv_copy *copy)
{
    skv_shard *from = copy->shard.from;
    skv_copy_shard_end(&copy->shard);
    if (copy->still && from)
        skv_shard_free(from);
}

void skv_copying_free(skv_copy *copy)
{
    skv_error ignored;
    if (!copy)
        return;
    if (copy->pinned && skv_store_enter(copy->store, &ignored) == SKV_OK) {
        skv_keep_unpin(&copy->store->parts, copy->pin);
        skv_store_leave(copy->store);
    }
    skv_log_cursor_free(copy->stream.cursor);
    skv_log_copy_free(copy->stream.log);
    end_shard(copy);
    tidy(copy);
    skv_still_free(copy->still);
    skv_still_free(copy->base);
    (copy->process == skv_os_process_id() ? skv_home_unlock : skv_os_close)(copy->lock_fd);
    skv_os_close(copy->dir);
    skv_release(copy->path);
    skv_release(copy);
}

/* -- the directory -------------------------------------------------------------------------------------------------- */

/* An attempt to copy this very store while it was open: a restore may have gone back. */
static bool resumes(skv_copy *copy, const skv_manifest *from)
{
    skv_error ignored;
    return copy->store && skv_origin_read(copy->dir, SKV_COPY_NAME, &copy->origin, &ignored) == SKV_OK &&
           copy->origin.proof_seqno && skv_origin_is(&copy->origin, from);
}

/* The shards that an attempt makes say whose they are once they are whole: so the word comes before them. */
static skv_code found(skv_copy *copy, const skv_manifest *from, skv_error *err)
{
    skv_code code = skv_home_found(copy->dir, copy->path, SKV_COPY_NAME, from->shards, err);
    copy->origin = skv_origin_of(from);
    if (code == SKV_OK)
        code = skv_os_random(copy->origin.store_id, SKV_STORE_ID_BYTES, err);
    if (code == SKV_OK)
        code = skv_origin_write(copy->dir, SKV_COPY_NAME, &copy->origin, err);
    return code == SKV_OK ? skv_os_sync_dir(copy->dir, ".", err) : code;
}

/* A directory of its own, held, with nothing in it but the word that it is no store, and what may be gone on with. */
static skv_code make_home(skv_copy *copy, const skv_manifest *from, skv_error *err)
{
    skv_code code;
    copy->made = !skv_os_exists(SKV_OS_HERE, copy->path);
    code = skv_os_make_dir(SKV_OS_HERE, copy->path, err);
    if (code == SKV_OK)
        code = skv_os_open_dir(copy->path, &copy->dir, err);
    if (code != SKV_OK)
        return code;
    if (skv_manifest_exists(copy->dir))
        return skv_fail(err, SKV_INVALID,
                        "%s holds a store already, which is no copy of this one or was written to since; a copy needs a "
                        "directory of its own",
                        copy->path);
    if (!skv_os_exists(copy->dir, SKV_COPY_NAME))
        code = skv_home_refuse(copy->dir, copy->path, err);
    if (code == SKV_OK)
        code = skv_home_lock(copy->dir, copy->path, &copy->lock_fd, err);
    if (code != SKV_OK)
        return code;
    copy->resumed = resumes(copy, from);
    return copy->resumed ? skv_home_resume(copy->dir, from->shards, err) : found(copy, from, err);
}

skv_code skv_copying_set_out(skv_copy *copy, const skv_manifest *from, skv_error *err)
{
    skv_code code;
    copy->manifest = *from;
    copy->manifest.generation = 1;
    copy->manifest.lineage_bytes = (uint32_t)copy->lineage.bytes;
    if (copy->lineage.bytes)
        memcpy(copy->manifest.lineage, copy->lineage.data, copy->lineage.bytes);
    code = make_home(copy, from, err);
    memcpy(copy->manifest.store_id, copy->origin.store_id, SKV_STORE_ID_BYTES);
    copy->to.path = copy->path;
    copy->to.dir = copy->dir;
    memcpy(copy->to.from_id, from->store_id, SKV_STORE_ID_BYTES);
    memcpy(copy->to.store_id, copy->manifest.store_id, SKV_STORE_ID_BYTES);
    return code;
}

/* NOT_FOUND: the log does not reach back so far. */
static skv_code pin_back(skv_copy *copy, uint64_t seqno, skv_error *err)
{
    skv_code code = skv_copying_enter(copy, err);
    if (code != SKV_OK)
        return code;
    code = skv_keep_pin_back(&copy->store->parts, copy->pin, seqno) ? SKV_OK : SKV_NOT_FOUND;
    skv_copying_leave(copy);
    return code;
}

/* What an earlier attempt made whole stays, as long as the log has all that came after it. */
static skv_code keep_shard(skv_copy *copy, uint32_t number, bool proven, skv_error *err)
{
    uint64_t applied = 0;
    skv_code code = proven ? skv_copy_shard_look(&copy->to, number, &applied, err) : SKV_NOT_FOUND;
    if (code == SKV_OK)
        code = pin_back(copy, applied + 1, err);
    if (code == SKV_NOT_FOUND)
        return skv_home_empty_shard(copy->dir, number, err);
    if (code != SKV_OK)
        return code;
    copy->first_seqno = applied + 1 < copy->first_seqno ? applied + 1 : copy->first_seqno;
    copy->kept[number] = true;
    copy->kept_shards++;
    skv_copy_shard_keep(&copy->to, applied);
    return SKV_OK;
}

static skv_code keep_shards(skv_copy *copy, bool proven, skv_error *err)
{
    skv_code code = SKV_OK;
    for (uint32_t i = 0; i < copy->manifest.shards && code == SKV_OK; i++)
        code = keep_shard(copy, i, proven, err);
    if (copy->kept_shards)
        copy->least_seqno = copy->origin.proof_seqno;
    return code;
}

static skv_code have_newest(skv_copy *copy, uint64_t durable, skv_error *err)
{
    skv_code code = skv_copying_enter(copy, err);
    if (code != SKV_OK)
        return code;
    skv_copying_have(copy, durable);
    skv_copying_leave(copy);
    return SKV_OK;
}

skv_code skv_copying_pin(skv_copy *copy, skv_error *err)
{
    uint64_t durable;
    bool proven;
    skv_code code = skv_copying_enter(copy, err);
    if (code != SKV_OK)
        return code;
    durable = skv_log_durable(copy->log);
    code = skv_keep_pin(&copy->store->parts, &copy->pin, &copy->first_seqno, err);
    copy->pinned = code == SKV_OK;
    proven = copy->pinned && copy->resumed && skv_copying_is_proven(copy);
    skv_copying_leave(copy);
    if (code == SKV_OK && copy->resumed)
        code = keep_shards(copy, proven, err);
    return code == SKV_OK ? have_newest(copy, durable, err) : code;
}

/* -- pieces --------------------------------------------------------------------------------------------------------- */

static skv_code begin_shard(skv_copy *copy, skv_error *err)
{
    skv_shard *from;
    skv_code code = copy->store ? skv_copying_enter(copy, err) : skv_still_open_shard(copy->still, copy->next_shard, &from, err);
    if (code != SKV_OK)
        return code;
    if (copy->store)
        from = copy->store->parts.lanes[copy->next_shard].shard;
    skv_copy_shard_begin(from, &copy->shard);
    skv_copying_leave(copy);
    return skv_copy_shard_make(&copy->to, &copy->shard, err);
}

/* The next stretch. AGAIN: there are more. */
static skv_code copy_stretch(skv_copy *copy, uint64_t bytes, skv_error *err)
{
    skv_code code = skv_copying_enter(copy, err);
    if (code != SKV_OK)
        return code;
    code = skv_copy_shard_take(&copy->shard, bytes, err);
    skv_copying_leave(copy);
    return code == SKV_OK ? skv_copy_shard_put(&copy->to, &copy->shard, err) : code;
}

/* What a shard holds after its last stretch was read, at the latest. */
static void note_newest(skv_copy *copy)
{
    uint64_t newest = copy->store ? skv_lane_newest_below(&copy->store->parts.lanes[copy->next_shard])
                                  : skv_shard_applied(copy->shard.from);
    skv_shard_size size;
    (void)skv_shard_measure(copy->shard.from, &size, NULL);
    copy->least_seqno = newest > copy->least_seqno ? newest : copy->least_seqno;
    copy->passed_bytes += size.file_bytes;
}

static skv_code end_stretches(skv_copy *copy, skv_error *err)
{
    skv_code code = skv_copying_enter(copy, err);
    if (code != SKV_OK)
        return code;
    note_newest(copy);
    if (copy->store)
        code = skv_copying_prove_shards(copy, err);
    skv_copying_leave(copy);
    if (code == SKV_OK && copy->store)
        code = skv_origin_write(copy->dir, SKV_COPY_NAME, &copy->origin, err);
    return code == SKV_OK ? skv_copy_shard_finish(&copy->to, &copy->shard, err) : code;
}

static skv_code copy_shard(skv_copy *copy, uint64_t bytes, skv_error *err)
{
    skv_code code = copy->shard.from ? SKV_OK : begin_shard(copy, err);
    if (code == SKV_OK)
        code = copy_stretch(copy, bytes, err);
    if (code == SKV_OK)
        code = end_stretches(copy, err);
    if (code != SKV_OK)
        return code;
    end_shard(copy);
    copy->next_shard++;
    return SKV_AGAIN;
}

/* All shards are there. What any of them holds was durable before: the log up to what is durable now explains it. */
static skv_code begin_log(skv_copy *copy, skv_error *err)
{
    skv_log_copy_terms terms = {.dir = copy->dir, .sizes = copy->sizes, .first_seqno = copy->first_seqno};
    skv_code code = skv_copying_enter(copy, err);
    if (code != SKV_OK)
        return code;
    memcpy(terms.store_id, copy->manifest.store_id, SKV_STORE_ID_BYTES);
    terms.clock_ms = skv_clock_now(copy->store ? &copy->store->parts.clock : &copy->still->clock);
    if (copy->store)
        copy->stream.upto = skv_log_durable(copy->log);
    code = skv_copying_prove(copy, err);
    skv_copying_leave(copy);
    if (code == SKV_OK)
        code = skv_log_copy_create(&terms, &copy->stream.log, err);
    if (code == SKV_OK)
        code = skv_log_cursor_create(copy->log, copy->first_seqno, &copy->stream.cursor, err);
    return code == SKV_OK ? SKV_AGAIN : code;
}

/* Before the manifest, so that there is no moment at which it is a store and does not say what it is of. */
static skv_code say_origin(skv_copy *copy, skv_error *err)
{
    copy->origin.least_seqno = copy->least_seqno < copy->stream.upto ? copy->least_seqno : copy->stream.upto;
    return skv_origin_write(copy->dir, SKV_ORIGIN_NAME, &copy->origin, err);
}

/* The manifest comes last: a copy exists once it is there. */
static skv_code finish(skv_copy *copy, skv_error *err)
{
    skv_code code = skv_log_copy_finish(copy->stream.log, copy->to.applied_sum, err);
    if (code == SKV_OK)
        code = say_origin(copy, err);
    if (code == SKV_OK)
        code = skv_os_sync_dir(copy->dir, "shards", err);
    if (code == SKV_OK)
        code = skv_os_sync_dir(copy->dir, "..", err);
    if (code == SKV_OK)
        code = skv_os_sync_dir(copy->dir, ".", err);
    if (code == SKV_OK)
        code = skv_manifest_save(copy->dir, &copy->manifest, err);
    if (code != SKV_OK)
        return code;
    copy->finished = true;
    code = skv_os_remove(copy->dir, SKV_COPY_NAME, err);
    if (code == SKV_OK)
        code = skv_os_sync_dir(copy->dir, ".", err);
    skv_home_unlock(copy->lock_fd); /* it may be opened now, while this still keeps the original's log for it */
    copy->lock_fd = -1;
    return code;
}

static skv_code copy_log(skv_copy *copy, uint64_t bytes, skv_error *err)
{
    skv_code code = skv_copying_enter(copy, err);
    if (code != SKV_OK)
        return code;
    code = skv_copy_log_take(&copy->stream, bytes, err);
    skv_copying_leave(copy);
    return code == SKV_OK ? skv_copy_log_put(&copy->stream, err) : code;
}

static skv_code next_piece(skv_copy *copy, uint64_t bytes, skv_error *err)
{
    skv_code code;
    while (!copy->base && copy->next_shard < copy->manifest.shards && copy->kept[copy->next_shard])
        copy->next_shard++;
    if (!copy->base && copy->next_shard < copy->manifest.shards)
        return copy_shard(copy, bytes, err);
    if (!copy->stream.log)
        return begin_log(copy, err);
    code = copy_log(copy, bytes, err);
    if (code != SKV_OK)
        return code;
    if (!copy->base)
        return finish(copy, err);
    code = skv_log_copy_finish(copy->stream.log, 0, err);
    if (code == SKV_OK)
        code = skv_origin_replace(copy->base->dir, SKV_ORIGIN_NAME, &copy->origin, err);
    copy->finished = code == SKV_OK;
    return code;
}

skv_code skv_copying_next(skv_copy *copy, uint64_t bytes, skv_error *err)
{
    skv_code code = copy->finished ? SKV_OK : next_piece(copy, bytes, err);
    if (code == SKV_CORRUPT)
        copy->worthless = true;
    return code;
}
