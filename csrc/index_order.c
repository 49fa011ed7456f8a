/* L2 part (index family). Order: sorted runs of what was inserted, few and of falling size. */
#include "index_state.h"

#include "memory.h"

#define STALE_SLACK 1024
/* A reader that meets one more run spends about as much as merging so many records takes. */
#define RECORDS_PER_EXTRA_RUN 8

void skv_index_drop_order(skv_index *index)
{
    for (uint32_t i = 0; i < index->run_count; i++)
        skv_run_release(index->runs[i]);
    skv_release(index->pending);
    index->pending = NULL;
    index->run_count = index->pending_count = index->pending_capacity = 0;
    index->credit = 0;
    index->ordered = false;
}

static skv_run *run_of_all(const skv_index *index)
{
    skv_run *run = skv_run_create((uint32_t)(index->size.keys + index->older.used));
    if (run) {
        skv_index_copy(index, run->positions);
        (void)skv_index_copy_table(&index->older, run->positions + index->size.keys);
    }
    return run;
}

static skv_run *run_of_pending(const skv_index *index)
{
    skv_run *run = skv_run_create(index->pending_count);
    if (run)
        memcpy(run->positions, index->pending, index->pending_count * sizeof run->positions[0]);
    return run;
}

/* Replaced versions pile up in the runs; when they are the greater part, all is sorted anew. */
static bool mostly_stale(const skv_index *index)
{
    uint64_t held = index->pending_count;
    for (uint32_t i = 0; i < index->run_count; i++)
        held += index->runs[i]->count;
    return held > 2 * (index->size.keys + index->older.used) + STALE_SLACK;
}

skv_code skv_index_take_unsorted(skv_index *index, skv_run **out)
{
    *out = NULL;
    if (index->ordered && (mostly_stale(index) || index->run_count == SKV_INDEX_RUNS_MAX))
        skv_index_drop_order(index);
    if (index->ordered ? !index->pending_count : !index->size.keys)
        return SKV_OK;
    *out = index->ordered ? run_of_pending(index) : run_of_all(index);
    if (!*out)
        return SKV_NO_MEMORY;
    index->ordered = index->sorting = true;
    index->pending_count = 0;
    return SKV_OK;
}

bool skv_index_add_run(skv_index *index, skv_run *run)
{
    index->sorting = false;
    if (!run)
        skv_index_drop_order(index);
    if (!index->ordered) {
        skv_run_release(run);
        return false;
    }
    index->runs[index->run_count++] = run;
    return true;
}

/* The last two, when they should become one. */
static bool last_pair(const skv_index *index, skv_run *pair[2])
{
    if (index->run_count < 2)
        return false;
    pair[0] = index->runs[index->run_count - 2];
    pair[1] = index->runs[index->run_count - 1];
    return pair[0]->count < 4 * (uint64_t)pair[1]->count || pair[0]->count + (uint64_t)pair[1]->count <= index->credit;
}

/* Sizes fall by at least four, so that there are few runs and each record is merged few times; and readers who meet a pair
 * of runs again and again have it merged once they have spent on it what that takes. */
bool skv_index_mergeable(const skv_index *index, skv_run *pair[2])
{
    if (!last_pair(index, pair))
        return false;
    skv_run_keep(pair[0]);
    skv_run_keep(pair[1]);
    return true;
}

void skv_index_replace_runs(skv_index *index, skv_run *pair[2], skv_run *merged)
{
    uint32_t count = index->run_count;
    if (index->ordered && count >= 2 && index->runs[count - 2] == pair[0] && index->runs[count - 1] == pair[1]) {
        skv_run_release(pair[0]);
        skv_run_release(pair[1]);
        index->runs[count - 2] = merged;
        index->run_count--;
        index->credit -= merged->count < index->credit ? merged->count : index->credit;
    } else {
        skv_run_release(merged);
    }
    skv_run_release(pair[0]);
    skv_run_release(pair[1]);
}

bool skv_index_has_order(const skv_index *index)
{
    return index->ordered ? !index->sorting : !index->size.keys;
}

bool skv_index_in_order(const skv_index *index)
{
    skv_run *pair[2];
    return skv_index_has_order(index) && !index->pending_count && !last_pair(index, pair);
}

uint32_t skv_index_runs(skv_index *index, skv_run *out[SKV_INDEX_RUNS_MAX])
{
    if (index->run_count > 1)
        index->credit += RECORDS_PER_EXTRA_RUN * (index->run_count - 1);
    for (uint32_t i = 0; i < index->run_count; i++) {
        skv_run_keep(index->runs[i]);
        out[i] = index->runs[i];
    }
    return index->run_count;
}
