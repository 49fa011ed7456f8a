/* L0. The little msgpack that crosses the boundary: arrays, maps, bin, nil, unsigned numbers, short strings.
 * Source: the msgpack specification. Bounded: nothing is read past the end, lengths never drive an allocation. Pure. */
#ifndef SKV_MSGPACK_H
#define SKV_MSGPACK_H

#include <stdbool.h>

#include "bytes.h"

typedef struct {
    const uint8_t *at;  /* borrowed */
    const uint8_t *end;
} skv_unpack;

static inline skv_unpack skv_unpack_of(const char *blob, size_t bytes)
{
    return (skv_unpack){(const uint8_t *)blob, (const uint8_t *)blob + bytes};
}

/* What the next item is. */
typedef enum { SKV_MP_BIN, SKV_MP_STR, SKV_MP_ARRAY, SKV_MP_MAP, SKV_MP_UINT, SKV_MP_NIL, SKV_MP_OTHER, SKV_MP_END } skv_mp_kind;

skv_mp_kind skv_unpack_kind(const skv_unpack *in);
/* Take the next item when it has that kind; false leaves the reader unmoved. */
bool skv_unpack_bin(skv_unpack *in, skv_slice *out);
bool skv_unpack_str(skv_unpack *in, skv_slice *out);
bool skv_unpack_array(skv_unpack *in, uint32_t *count);
bool skv_unpack_map(skv_unpack *in, uint32_t *count);
bool skv_unpack_uint(skv_unpack *in, uint64_t *out);

/* Writers: out has room for SKV_MP_HEAD_MAX bytes more than the payload; each returns the bytes written. */
#define SKV_MP_HEAD_MAX 9
size_t skv_pack_long_bin_head(uint8_t *out, size_t bytes);
static inline size_t skv_pack_bin_head(uint8_t *out, size_t bytes)
{
    if (bytes >= 0x100)
        return skv_pack_long_bin_head(out, bytes);
    out[0] = 0xc4;
    out[1] = (uint8_t)bytes;
    return 2;
}
size_t skv_pack_array5(uint8_t *out, uint32_t count); /* always 5 bytes, so that a count can be filled in later */
size_t skv_pack_str(uint8_t *out, const char *text);  /* at most 31 bytes of text */
size_t skv_pack_map(uint8_t *out, uint8_t count);     /* at most 15 pairs */
size_t skv_pack_uint(uint8_t *out, uint64_t value);
#define SKV_MP_NIL_BYTE 0xc0

#endif
