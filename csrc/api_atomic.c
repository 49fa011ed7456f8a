/* L4 house. The contract's atomic writes: what each makes of the record that is there; atomic_path does the rest. */
#include "atomic_path.h"
#include "batch.h"
#include "io.h"
#include "memory.h"
#include "number.h"
#include "store.h"

/* -- one key -------------------------------------------------------------------------------------------------------- */

/* What every change of one key is given. */
typedef struct {
    const skv_terms *terms;
    skv_io *io;
    skv_slice value;       /* of put_if */
    uint64_t version;      /* likewise */
    int64_t delta, number; /* of incr; number: where it begins */
    uint8_t digits[SKV_NUMBER_BYTES_MAX];
} change;

static skv_code change_and_wait(skv_store *store, skv_slice key, skv_change make, change *with)
{
    skv_io *io = with->io;
    skv_write_op op = {.record.key = key};
    skv_write write = {.ops = &op, .count = 1, .ack = with->terms->ack};
    skv_code code = skv_store_enter_to_write(store, &io->error);
    if (code != SKV_OK)
        return code;
    code = skv_write_check(key, with->value.bytes, io);
    if (code == SKV_OK)
        code = skv_write_check_ttl(with->terms->ttl_ms, &io->error);
    if (code == SKV_OK) {
        code = skv_atomic_change(&store->parts, &write, make, with, io);
        code = skv_atomic_answer(&store->parts, &write, code, io);
    }
    if (code == SKV_OK)
        code = skv_write_wait(&store->parts, io->seqno, write.ack, io);
    skv_store_leave(store);
    return code;
}

static skv_code put_expected(void *context, const skv_record *found, skv_write_op *op, skv_error *err)
{
    const change *with = context;
    (void)err;
    with->io->version = found ? found->seqno : 0;
    op->record.value = with->value;
    op->ttl_ms = with->terms->ttl_ms;
    return with->io->version == with->version ? SKV_OK : SKV_CONFLICT;
}

int64_t skv_put_if(skv_store *store, const char *key, size_t key_bytes, const char *value, size_t value_bytes,
                   uint64_t version, const skv_terms *terms, skv_io *io)
{
    change with = {.terms = terms, .io = io, .value = skv_slice_at(value, value_bytes), .version = version};
    skv_code code = change_and_wait(store, skv_slice_at(key, key_bytes), put_expected, &with);
    return code == SKV_OK ? (int64_t)io->seqno : code;
}

static skv_code add_to_number(void *context, const skv_record *found, skv_write_op *op, skv_error *err)
{
    change *with = context;
    int64_t number = with->number;
    if (found && !skv_number_read(with->terms->number, found->value, &number))
        return skv_fail(err, SKV_INVALID, "the value of the key is not %s of 64 bits",
                        with->terms->number == SKV_NUMBER_TEXT ? "a decimal integer" : "an integer");
    if (__builtin_add_overflow(number, with->delta, &with->io->number))
        return skv_fail(err, SKV_INVALID, "%lld and %lld make more than 64 bits hold", (long long)number,
                        (long long)with->delta);
    op->record.value = (skv_slice){with->digits, skv_number_write(with->terms->number, with->io->number, with->digits)};
    if (found)
        op->record.expires_ms = found->expires_ms;
    else
        op->ttl_ms = with->terms->ttl_ms;
    return SKV_OK;
}

int64_t skv_incr(skv_store *store, const char *key, size_t key_bytes, int64_t delta, int64_t initial,
                 const skv_terms *terms, skv_io *io)
{
    change with = {.terms = terms, .io = io, .delta = delta, .number = initial};
    skv_code code = change_and_wait(store, skv_slice_at(key, key_bytes), add_to_number, &with);
    return code == SKV_OK ? (int64_t)io->seqno : code;
}

/* The value stays, under a new expiry. */
static skv_code touch_found(void *context, const skv_record *found, skv_write_op *op, skv_error *err)
{
    const change *with = context;
    skv_io *io = with->io;
    skv_code code;
    (void)err;
    if (!found)
        return SKV_NOT_FOUND;
    io->bytes = 0;
    code = skv_io_room(io, found->value.bytes);
    if (code != SKV_OK)
        return code;
    skv_io_append(io, found->value.data, found->value.bytes);
    op->record.value = (skv_slice){io->data, io->bytes};
    op->ttl_ms = with->terms->ttl_ms;
    return SKV_OK;
}

skv_code skv_touch(skv_store *store, const char *key, size_t key_bytes, const skv_terms *terms, skv_io *io)
{
    change with = {.terms = terms, .io = io};
    return change_and_wait(store, skv_slice_at(key, key_bytes), touch_found, &with);
}

/* -- batches -------------------------------------------------------------------------------------------------------- */

static skv_code refuse_condition(skv_io *io, uint32_t item, const char *what)
{
    return skv_fail_at(&io->error, SKV_WRONG_TYPE, "", item, 0, "condition %u: %s", item, what);
}

static skv_code take_condition(skv_unpack *in, skv_condition *out, uint32_t item, skv_io *io)
{
    uint32_t parts;
    if (!skv_unpack_array(in, &parts) || parts != 3 || !skv_unpack_bin(in, &out->key) ||
        !skv_unpack_uint(in, &out->least) || !skv_unpack_uint(in, &out->most))
        return refuse_condition(io, item, "not a key, a least and a most version");
    return skv_write_check(out->key, 0, io);
}

/* owned: out->items, by skv_release, on failure too. */
static skv_code take_conditions(skv_unpack *in, skv_conditions *out, skv_io *io)
{
    skv_code code = SKV_OK;
    uint32_t count;
    if (!skv_unpack_array(in, &count) || count > (size_t)(in->end - in->at))
        return refuse_condition(io, 0, "the conditions are not an array");
    if (!count)
        return SKV_OK;
    out->items = skv_alloc(count * sizeof out->items[0]);
    if (!out->items)
        return skv_fail(&io->error, SKV_NO_MEMORY, "out of memory: %u conditions", count);
    out->count = count;
    for (uint32_t i = 0; i < count && code == SKV_OK; i++)
        code = take_condition(in, &out->items[i], i, io);
    return code;
}

/* nil, or a bin. */
static bool take_bound(skv_unpack *in, skv_slice *out)
{
    if (skv_unpack_kind(in) != SKV_MP_NIL)
        return skv_unpack_bin(in, out);
    in->at++;
    return true;
}

static bool in_order(const skv_range *before, const skv_range *range)
{
    return (!before || (before->stop.data && skv_key_compare(before->stop, range->start) <= 0)) &&
           (!range->stop.data || skv_key_compare(range->start, range->stop) <= 0);
}

static skv_code take_range(skv_unpack *in, skv_conditions *out, uint32_t item, skv_io *io)
{
    skv_range *range = &out->ranges[item];
    uint32_t parts;
    if (!skv_unpack_array(in, &parts) || parts != 2 || !take_bound(in, &range->start) || !take_bound(in, &range->stop))
        return skv_fail_at(&io->error, SKV_WRONG_TYPE, "", item, 0, "range %u: not a start and a stop", item);
    if (!in_order(item ? range - 1 : NULL, range))
        return skv_fail_at(&io->error, SKV_INVALID, "", item, 0, "range %u is not in order", item);
    return SKV_OK;
}

/* owned: out->ranges, by skv_release, on failure too. */
static skv_code take_ranges(skv_unpack *in, skv_conditions *out, skv_io *io)
{
    skv_code code = SKV_OK;
    uint32_t count;
    if (!skv_unpack_array(in, &count) || count > (size_t)(in->end - in->at))
        return skv_fail(&io->error, SKV_WRONG_TYPE, "the ranges are not an array");
    if (count) {
        out->ranges = skv_alloc(count * sizeof out->ranges[0]);
        if (!out->ranges)
            return skv_fail(&io->error, SKV_NO_MEMORY, "out of memory: %u ranges", count);
    }
    out->range_count = count;
    for (uint32_t i = 0; i < count && code == SKV_OK; i++)
        code = take_range(in, out, i, io);
    if (code == SKV_OK && !skv_unpack_uint(in, &out->expires_ms))
        return skv_fail(&io->error, SKV_WRONG_TYPE, "the first expiry inside the ranges is not a number");
    return code;
}

/* The conflict told: which condition, and what was found instead. */
static skv_code tell(const skv_conditions *conditions, skv_io *io)
{
    static const char *const texts[] = {"the key of condition %u is absent", "the key of condition %u has version %llu",
                                        "the range of condition %u was written to: version %llu",
                                        "a key in a range expired (condition %u)"};
    uint32_t broken = conditions->broken, keys = conditions->count, ranges = conditions->range_count;
    int which = broken < keys ? conditions->met.version != 0 : broken < keys + ranges ? 2 : 3;
    io->version = conditions->met.version;
    return skv_fail_at(&io->error, SKV_CONFLICT, "", broken, io->version, texts[which], broken,
                       (unsigned long long)io->version);
}

static skv_code append_if(skv_store *store, skv_write *write, skv_io *io)
{
    skv_code code = skv_atomic_append(&store->parts, write, io);
    code = skv_atomic_answer(&store->parts, write, code, io);
    return code == SKV_CONFLICT ? tell(write->conditions, io) : code;
}

static skv_code take_and_append_if(skv_store *store, skv_unpack *in, const skv_terms *terms, skv_conditions *conditions,
                                   skv_io *io)
{
    skv_write write = {.conditions = conditions, .ack = terms->ack};
    uint32_t parts = 0;
    skv_code code = SKV_OK;
    if (!skv_unpack_array(in, &parts) || parts != (conditions->walked.segment_id ? 4 : 2))
        code = skv_fail(&io->error, SKV_WRONG_TYPE, "not a batch with its conditions");
    if (code == SKV_OK)
        code = skv_batch_take(in, true, terms->ttl_ms, &write, io);
    if (code == SKV_OK)
        code = skv_batch_check(&write, io);
    if (code == SKV_OK)
        code = take_conditions(in, conditions, io);
    if (code == SKV_OK && parts == 4)
        code = take_ranges(in, conditions, io);
    if (code == SKV_OK)
        code = append_if(store, &write, io);
    skv_release(write.ops);
    return code;
}

static skv_code apply_blob_if(skv_store *store, skv_unpack in, const skv_terms *terms, const skv_snapshot *snapshot,
                              skv_io *io)
{
    skv_conditions conditions = {0};
    skv_code code;
    if (snapshot)
        conditions.walked = snapshot->place;
    code = take_and_append_if(store, &in, terms, &conditions, io);
    skv_release(conditions.items);
    skv_release(conditions.ranges);
    return code;
}

/* The snapshot keeps the log for as long as its lock is held. */
static skv_code apply_after(skv_store *store, skv_snapshot *snapshot, skv_unpack in, const skv_terms *terms, skv_io *io)
{
    skv_code code;
    if (snapshot->owner != store)
        return skv_fail(&io->error, SKV_INVALID, "the snapshot belongs to another store");
    skv_lock(&snapshot->lock);
    code = snapshot->dead ? skv_fail(&io->error, SKV_CLOSED, "the snapshot is closed")
                          : apply_blob_if(store, in, terms, snapshot, io);
    skv_unlock(&snapshot->lock);
    return code;
}

skv_code skv_apply_if(skv_store *store, skv_snapshot *snapshot, const char *blob, size_t blob_bytes,
                      const skv_terms *terms, skv_io *io)
{
    skv_unpack in = skv_unpack_of(blob, blob_bytes);
    skv_code code = skv_store_enter_to_write(store, &io->error);
    if (code != SKV_OK)
        return code;
    code = snapshot ? apply_after(store, snapshot, in, terms, io) : apply_blob_if(store, in, terms, NULL, io);
    if (code == SKV_OK)
        code = skv_write_wait(&store->parts, io->seqno, terms->ack, io);
    skv_store_leave(store);
    return code;
}
