/* L0. Numbers as values: signed, of 64 bits, as decimal text or as msgpack. Pure. */
#ifndef SKV_NUMBER_H
#define SKV_NUMBER_H

#include <stdbool.h>

#include "bytes.h"
#include "include/shardkv.h"

#define SKV_NUMBER_BYTES_MAX 20

/* Read all of `text`; format is SKV_NUMBER_TEXT (-?[1-9][0-9]* or 0) or SKV_NUMBER_MSGPACK. false: it is no such number. */
bool skv_number_read(int format, skv_slice text, int64_t *out);
/* Write the shortest form; returns its bytes. */
size_t skv_number_write(int format, int64_t value, uint8_t out[SKV_NUMBER_BYTES_MAX]);

#endif
