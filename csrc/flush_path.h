/* L3 path. Flushing: one lane at a time, the one that pays best; sorted, in units of bounded size, durable before the
 * generation is let go; then the log gives back what nobody needs. */
#ifndef SKV_FLUSH_PATH_H
#define SKV_FLUSH_PATH_H

#include "snapshot.h"
#include "write_path.h"

/* Flush the lane that pays best. NOT_FOUND: nothing needs it. BUSY, FULL, IO, CORRUPT: the generation stays sealed and is
 * tried again. *stop: leave early (between units). One thread at a time. */
skv_code skv_flush_step(skv_parts *parts, const atomic_bool *stop, skv_error *err);
/* Wait until something may need a flush, at most timeout_ns. */
void skv_flush_wait_for_work(skv_parts *parts, unsigned seen, uint64_t timeout_ns);
/* Want everything up to seqno flushed, and wait for it one slice. OK, AGAIN, or why flushes fail. */
skv_code skv_flush_upto_seqno(skv_parts *parts, uint64_t seqno, uint64_t slice_ns, skv_error *err);
/* Ask for it alone, forgetting an earlier failure; with slice_ns 0 the call above then only looks. */
void skv_flush_ask(skv_parts *parts, uint64_t seqno);

#endif
