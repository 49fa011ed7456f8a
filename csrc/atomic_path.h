/* L3 path. Atomic writes: look at the keys, append on condition that nothing has changed since, look again when it has.
 * Nothing is locked in between, so nobody ever waits for somebody else's look. */
#ifndef SKV_ATOMIC_PATH_H
#define SKV_ATOMIC_PATH_H

#include "read_path.h"

/* What a change of one key writes, given what is there; found NULL: the key is absent. It completes the op, which comes as
 * a put of an empty value; what the op points to has to outlive the write. Called anew for every look. Not OK: nothing is
 * written, and the code is the answer. */
typedef skv_code (*skv_change)(void *context, const skv_record *found, skv_write_op *op, skv_error *err);

/* Change one key: the write has one op, of which only the key counts. What skv_write_append and the change can answer.
 * The answer rests on write->wait_seqno: see skv_atomic_answer. */
skv_code skv_atomic_change(skv_parts *parts, skv_write *write, skv_change change, void *context, skv_io *io);
/* Append the write when its conditions hold. CONFLICT, without a text: conditions->broken does not. */
skv_code skv_atomic_append(skv_parts *parts, skv_write *write, skv_io *io);
/* P3: before anybody hears what became of the write, wait a slice until what the answer rests on is durable. The sync of a
 * write that waits for the disk covers it. `code` is the answer; BUSY: ask anew; POISONED. */
skv_code skv_atomic_answer(skv_parts *parts, const skv_write *write, skv_code code, skv_io *io);

#endif
