/* L4 house. By what a copy is known later, when it is gone on with or grows: a frame of the original's log, whose checksum covers
 * all frames before. FORMAT.md 2. */
#include "copying.h"
#include "keep_path.h"

bool skv_copying_reaches_back(skv_copy *copy, uint64_t seqno)
{
    return copy->store ? skv_keep_pin_back(&copy->store->parts, copy->pin, seqno) : skv_log_oldest(copy->log) <= seqno;
}

/* -- an unfinished copy -------------------------------------------------------------------------------------------- */

skv_code skv_copying_prove_shards(skv_copy *copy, skv_error *err)
{
    skv_log_rest frame;
    uint64_t seqno = skv_log_durable(copy->log);
    skv_code code = seqno ? skv_copy_look(copy->log, seqno, &frame, err) : SKV_NOT_FOUND;
    copy->origin.proof_seqno = code == SKV_OK ? seqno : 0;
    copy->origin.proof = code == SKV_OK ? frame.checksum : 0;
    return code == SKV_NOT_FOUND ? SKV_OK : code;
}

bool skv_copying_is_proven(skv_copy *copy)
{
    skv_error ignored;
    skv_log_rest frame;
    uint64_t seqno = copy->origin.proof_seqno;
    return seqno <= skv_log_durable(copy->log) && skv_keep_pin_back(&copy->store->parts, copy->pin, seqno) &&
           skv_copy_look(copy->log, seqno, &frame, &ignored) == SKV_OK && frame.checksum == copy->origin.proof;
}

/* -- a copy that grows --------------------------------------------------------------------------------------------- */

void skv_copying_have(skv_copy *copy, uint64_t seqno)
{
    skv_error ignored;
    skv_log_rest frame;
    uint64_t first, digest;
    if (!seqno || skv_copy_look(copy->log, seqno, &frame, &ignored) != SKV_OK)
        return;
    first = frame.durable_upto + 1;
    if (first < copy->first_seqno && skv_copying_reaches_back(copy, first) &&
        skv_copy_digest(copy->log, first, seqno, &digest, &ignored) == SKV_OK)
        copy->first_seqno = first;
}

skv_code skv_copying_prove(skv_copy *copy, skv_error *err)
{
    skv_log_rest last, next;
    skv_code code = copy->stream.upto ? skv_copy_look(copy->log, copy->stream.upto, &last, err) : SKV_NOT_FOUND;
    if (code == SKV_OK)
        code = skv_copy_look(copy->log, last.durable_upto + 1, &next, err);
    copy->origin.proof_seqno = code == SKV_OK ? last.durable_upto : 0;
    copy->origin.proof = code == SKV_OK ? next.previous : 0;
    return code == SKV_NOT_FOUND ? SKV_OK : code;
}
