/* L0. The caller's workspace: growing its buffer, appending to it. */
#ifndef SKV_IO_H
#define SKV_IO_H

#include <stdbool.h>

#include "bytes.h"
#include "error.h"

/* Must calls with it return at once? */
static inline bool skv_io_no_wait(const skv_io *io)
{
    return (io->flags & SKV_IO_NO_WAIT) != 0;
}
/* Room for `bytes` more behind io->bytes. NO_MEMORY leaves everything as it was. */
skv_code skv_io_room(skv_io *io, size_t bytes);
/* Append; the room must be there. */
void skv_io_append(skv_io *io, const void *data, size_t bytes);
/* Append a msgpack bin, making room. */
skv_code skv_io_append_bin(skv_io *io, skv_slice value);

#endif
