/* L3. What crosses the boundary as msgpack becomes the ops of a write. */
#ifndef SKV_BATCH_H
#define SKV_BATCH_H

#include "io.h"
#include "msgpack.h"
#include "write_path.h"

/* Take the ops of a batch: a map {key: value}, or an array of [key, value] and, where `deletes` are welcome, of keys and
 * [key, value, ttl_ms]. ttl_ms: of those that name none. They point into the blob. WRONG_TYPE names the item, whose index is
 * error.offset; NO_MEMORY. owned: out->ops, by skv_release, on failure too. */
skv_code skv_batch_take(skv_unpack *in, bool deletes, uint64_t ttl_ms, skv_write *out, skv_io *io);
/* One bin of item number `item`; `what` is the complaint when it is none. */
skv_code skv_batch_take_bytes(skv_unpack *in, skv_slice *out, uint32_t item, const char *what, skv_io *io);
skv_code skv_batch_refuse(skv_io *io, uint32_t item, const char *what);
/* Keys, lengths and ttl of all ops, lengths in sum too. INVALID, KEY_TOO_LONG, VALUE_TOO_LARGE. */
skv_code skv_batch_check(skv_write *write, skv_io *io);

#endif
