/* L4 house. By what a copy is known later, when it is gone on with or grows: a frame of the original's log, whose checksum covers
 * all frames before. FORMAT.md 2. */
#include "copying.h"
#include "keep_path.h"

bool skv_copying_reaches_back(skv_copy *copy, uint64_t seqno)
{
    return copy->store ? skv_keep_pin_back(&copy->store->parts, copy->pin, seqno) : skv_log_oldest(copy->log) <= seqno;
}

/* What nobody needs but for this proof may be gone, or damaged. */
static skv_code note(skv_copy *copy, uint64_t seqno, uint64_t proof, skv_code code)
{
    copy->origin.proof_seqno = code == SKV_OK ? seqno : 0;
    copy->origin.proof = code == SKV_OK ? proof : 0;
    return code == SKV_NOT_FOUND || code == SKV_CORRUPT ? SKV_OK : code;
}

/* -- an unfinished copy -------------------------------------------------------------------------------------------- */

skv_code skv_copying_prove_shards(skv_copy *copy, skv_error *err)
{
    skv_log_rest frame;
    uint64_t seqno = skv_log_durable(copy->log);
    skv_code code = skv_copy_look(copy->log, seqno, &frame, err);
    return note(copy, seqno, frame.checksum, code);
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
    skv_log_rest last;
    uint64_t seqno = copy->stream.upto, proof = 0;
    skv_code code = skv_copy_look(copy->log, seqno, &last, err);
    if (code == SKV_OK && !(copy->still && copy->still->tail.closed)) /* an open may write a frame again that no other proves */
        seqno = last.durable_upto;
    if (code == SKV_OK || code == SKV_NOT_FOUND)
        code = skv_copy_end(copy->log, seqno, &proof, err);
    return note(copy, seqno, proof, code);
}
