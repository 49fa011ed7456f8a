/* L0. msgpack. */
#include "msgpack.h"

#include <assert.h>

static size_t left(const skv_unpack *in)
{
    return (size_t)(in->end - in->at);
}

skv_mp_kind skv_unpack_kind(const skv_unpack *in)
{
    uint8_t byte;
    if (in->at >= in->end)
        return SKV_MP_END;
    byte = *in->at;
    if (byte >= 0xc4 && byte <= 0xc6)
        return SKV_MP_BIN;
    if ((byte & 0xe0) == 0xa0 || (byte >= 0xd9 && byte <= 0xdb))
        return SKV_MP_STR;
    if ((byte & 0xf0) == 0x90 || byte == 0xdc || byte == 0xdd)
        return SKV_MP_ARRAY;
    if ((byte & 0xf0) == 0x80 || byte == 0xde || byte == 0xdf)
        return SKV_MP_MAP;
    if (byte < 0x80 || (byte >= 0xcc && byte <= 0xcf))
        return SKV_MP_UINT;
    return byte == SKV_MP_NIL_BYTE ? SKV_MP_NIL : SKV_MP_OTHER;
}

/* Big-endian number of `width` bytes after the head byte; false when the input is too short. */
static bool number_after_head(const skv_unpack *in, size_t width, uint64_t *out)
{
    uint64_t x = 0;
    if (left(in) < 1 + width)
        return false;
    for (size_t i = 0; i < width; i++)
        x = x << 8 | in->at[1 + i];
    *out = x;
    return true;
}

static bool take_payload(skv_unpack *in, size_t head, uint64_t bytes, skv_slice *out)
{
    if (left(in) < head || left(in) - head < bytes)
        return false;
    *out = (skv_slice){in->at + head, (size_t)bytes};
    in->at += head + bytes;
    return true;
}

bool skv_unpack_bin(skv_unpack *in, skv_slice *out)
{
    size_t width;
    uint64_t bytes;
    if (skv_unpack_kind(in) != SKV_MP_BIN)
        return false;
    width = (size_t)1 << (*in->at - 0xc4);
    return number_after_head(in, width, &bytes) && take_payload(in, 1 + width, bytes, out);
}

bool skv_unpack_str(skv_unpack *in, skv_slice *out)
{
    size_t width = 0;
    uint64_t bytes;
    if (skv_unpack_kind(in) != SKV_MP_STR)
        return false;
    bytes = *in->at & 0x1f;
    if (*in->at >= 0xd9) {
        width = (size_t)1 << (*in->at - 0xd9);
        if (!number_after_head(in, width, &bytes))
            return false;
    }
    return take_payload(in, 1 + width, bytes, out);
}

static bool take_count(skv_unpack *in, uint8_t wide_head, uint32_t *count)
{
    uint64_t wide = *in->at & 0x0f;
    size_t width = 0;
    if (*in->at >= wide_head) {
        width = *in->at == wide_head ? 2 : 4;
        if (!number_after_head(in, width, &wide))
            return false;
    }
    in->at += 1 + width;
    *count = (uint32_t)wide;
    return true;
}

bool skv_unpack_array(skv_unpack *in, uint32_t *count)
{
    return skv_unpack_kind(in) == SKV_MP_ARRAY && take_count(in, 0xdc, count);
}

bool skv_unpack_map(skv_unpack *in, uint32_t *count)
{
    return skv_unpack_kind(in) == SKV_MP_MAP && take_count(in, 0xde, count);
}

bool skv_unpack_uint(skv_unpack *in, uint64_t *out)
{
    size_t width;
    if (skv_unpack_kind(in) != SKV_MP_UINT)
        return false;
    if (*in->at < 0x80) {
        *out = *in->at++;
        return true;
    }
    width = (size_t)1 << (*in->at - 0xcc);
    if (!number_after_head(in, width, out))
        return false;
    in->at += 1 + width;
    return true;
}

static size_t put_number(uint8_t *out, uint8_t head, uint64_t value, size_t width)
{
    out[0] = head;
    for (size_t i = 0; i < width; i++)
        out[1 + i] = (uint8_t)(value >> (8 * (width - 1 - i)));
    return 1 + width;
}

size_t skv_pack_long_bin_head(uint8_t *out, size_t bytes)
{
    if (bytes < 0x10000)
        return put_number(out, 0xc5, bytes, 2);
    return put_number(out, 0xc6, bytes, 4);
}

size_t skv_pack_array5(uint8_t *out, uint32_t count)
{
    return put_number(out, 0xdd, count, 4);
}

size_t skv_pack_str(uint8_t *out, const char *text)
{
    size_t bytes = strlen(text);
    assert(bytes < 32);
    out[0] = (uint8_t)(0xa0 | bytes);
    memcpy(out + 1, text, bytes);
    return 1 + bytes;
}

size_t skv_pack_map(uint8_t *out, uint8_t count)
{
    assert(count < 16);
    out[0] = (uint8_t)(0x80 | count);
    return 1;
}

size_t skv_pack_uint(uint8_t *out, uint64_t value)
{
    return value < 0x80 ? (out[0] = (uint8_t)value, (size_t)1) : put_number(out, 0xcf, value, 8);
}
