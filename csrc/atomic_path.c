/* L3 path. Atomic writes. */
#include "atomic_path.h"

typedef struct {
    skv_change change;
    void *context;
    skv_write_op *op;
} pending;

static skv_code change_record(void *context, const skv_record *found, skv_error *err)
{
    pending *now = context;
    skv_slice key = now->op->record.key;
    *now->op = (skv_write_op){.record = {.key = key, .value = {key.data, 0}}}; /* empty, but never a null pointer */
    return now->change(now->context, found, now->op, err);
}

static skv_code look(skv_parts *parts, skv_condition *only, pending *now, skv_error *err)
{
    skv_code code = skv_read_version(parts, only->key, change_record, now, &only->seen, err);
    if (code == SKV_NOT_FOUND && !only->seen.version)
        code = change_record(now, NULL, err);
    only->least = only->most = only->seen.version;
    return code;
}

skv_code skv_atomic_change(skv_parts *parts, skv_write *write, skv_change change, void *context, skv_io *io)
{
    skv_condition only = {.key = write->ops->record.key};
    skv_conditions conditions = {.items = &only, .count = 1};
    pending now = {change, context, write->ops};
    skv_code code;
    write->conditions = &conditions;
    do {
        code = look(parts, &only, &now, &io->error);
        write->wait_seqno = only.seen.wait_seqno;
        if (code != SKV_OK)
            break;
        code = skv_write_append(parts, write, io);
    } while (code == SKV_CONFLICT || code == SKV_AGAIN);
    write->conditions = NULL;
    return code;
}

/* Gather the evidence; what is plainly broken never gets as far as the log's lock. */
static skv_code look_at_keys(skv_parts *parts, skv_conditions *conditions, skv_error *err)
{
    for (uint32_t i = 0; i < conditions->count; i++) {
        skv_condition *condition = &conditions->items[i];
        skv_code code;
        if (condition->seen.below)
            continue;
        code = skv_read_version(parts, condition->key, NULL, NULL, &condition->seen, err);
        if (code != SKV_OK && code != SKV_NOT_FOUND)
            return code;
        if (!skv_condition_holds(condition)) {
            conditions->broken = i;
            conditions->met = condition->seen;
            return SKV_CONFLICT;
        }
    }
    return SKV_OK;
}

/* The newest of what the answer rests on: everything that was seen, or what broke a condition. */
static uint64_t rests_on(const skv_conditions *conditions, skv_code code)
{
    uint64_t newest = 0;
    if (code == SKV_CONFLICT)
        return conditions->met.wait_seqno;
    for (uint32_t i = 0; i < conditions->count; i++)
        if (conditions->items[i].seen.wait_seqno > newest)
            newest = conditions->items[i].seen.wait_seqno;
    return newest;
}

skv_code skv_atomic_append(skv_parts *parts, skv_write *write, skv_io *io)
{
    skv_code code;
    do {
        code = look_at_keys(parts, write->conditions, &io->error);
        if (code == SKV_OK)
            code = skv_conditions_walk(parts, write->conditions);
        if (code == SKV_OK)
            code = skv_write_append(parts, write, io);
    } while (code == SKV_AGAIN);
    write->wait_seqno = rests_on(write->conditions, code);
    return code;
}

skv_code skv_atomic_answer(skv_parts *parts, const skv_write *write, skv_code code, skv_io *io)
{
    bool covered = code == SKV_BUSY || (code == SKV_OK && write->ack != SKV_ACK_MEMORY);
    skv_code waited = covered ? SKV_OK : skv_answer_wait(parts, write->wait_seqno, io);
    if (waited == SKV_AGAIN)
        return code == SKV_OK ? SKV_AGAIN : skv_fail(&io->error, SKV_BUSY, "what the answer rests on is not durable yet");
    return waited == SKV_OK ? code : waited;
}
