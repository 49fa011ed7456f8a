/* L0. Numbers as values. */
#include "number.h"

#define MP_UINT8 0xcc /* then 16, 32, 64 bits */
#define MP_INT8 0xd0  /* likewise */
#define MP_NEGATIVE_FIX 0xe0
#define MP_POSITIVE_FIX_MAX 0x7f

static uint64_t magnitude_of(int64_t value)
{
    return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

static bool join(bool negative, uint64_t magnitude, int64_t *out)
{
    if (magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

/* -- decimal text --------------------------------------------------------------------------------------------------- */

static bool read_text(skv_slice text, int64_t *out)
{
    bool negative = text.bytes > 0 && text.data[0] == '-';
    const uint8_t *at = text.data + negative, *end = text.data + text.bytes;
    uint64_t magnitude = 0;
    if (at == end || end - at > SKV_NUMBER_BYTES_MAX - 1 || (*at == '0' && text.bytes > 1))
        return false;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9')
            return false;
        magnitude = magnitude * 10 + (uint64_t)(*at - '0'); /* nineteen digits fit */
    }
    return join(negative, magnitude, out);
}

static size_t write_text(int64_t value, uint8_t out[SKV_NUMBER_BYTES_MAX])
{
    uint8_t digits[SKV_NUMBER_BYTES_MAX];
    uint64_t left = magnitude_of(value);
    size_t count = 0, bytes = 0;
    do
        digits[count++] = (uint8_t)('0' + left % 10);
    while (left /= 10);
    if (value < 0)
        out[bytes++] = '-';
    while (count)
        out[bytes++] = digits[--count];
    return bytes;
}

/* -- msgpack -------------------------------------------------------------------------------------------------------- */

static uint64_t big_endian(const uint8_t *at, size_t width)
{
    uint64_t x = 0;
    for (size_t i = 0; i < width; i++)
        x = x << 8 | at[i];
    return x;
}

static bool read_msgpack(skv_slice text, int64_t *out)
{
    uint8_t head = text.bytes ? text.data[0] : 0;
    unsigned kind = (unsigned)(head - MP_UINT8);
    size_t width = (size_t)1 << kind % 4;
    uint64_t bits;
    if (text.bytes == 1 && (head <= MP_POSITIVE_FIX_MAX || head >= MP_NEGATIVE_FIX)) {
        *out = (int8_t)head;
        return true;
    }
    if (head < MP_UINT8 || kind >= 8 || text.bytes != 1 + width)
        return false;
    bits = big_endian(text.data + 1, width);
    if (kind < 4)
        return join(false, bits, out);
    *out = (int64_t)(bits << (64 - 8 * width)) >> (64 - 8 * width);
    return true;
}

static size_t put_bits(uint8_t *out, uint8_t head, uint64_t bits, unsigned log_width)
{
    size_t width = (size_t)1 << log_width;
    out[0] = (uint8_t)(head + log_width);
    for (size_t i = 0; i < width; i++)
        out[1 + i] = (uint8_t)(bits >> (8 * (width - 1 - i)));
    return 1 + width;
}

static size_t write_msgpack(int64_t value, uint8_t out[SKV_NUMBER_BYTES_MAX])
{
    uint64_t reach = value < 0 ? magnitude_of(value + 1) << 1 : (uint64_t)value; /* what the width has to hold */
    unsigned log_width = 0;
    if (value >= -32 && value <= MP_POSITIVE_FIX_MAX) {
        out[0] = (uint8_t)value;
        return 1;
    }
    while (log_width < 3 && reach >> (8 << log_width))
        log_width++;
    return put_bits(out, value < 0 ? MP_INT8 : MP_UINT8, (uint64_t)value, log_width);
}

bool skv_number_read(int format, skv_slice text, int64_t *out)
{
    return format == SKV_NUMBER_MSGPACK ? read_msgpack(text, out) : read_text(text, out);
}

size_t skv_number_write(int format, int64_t value, uint8_t out[SKV_NUMBER_BYTES_MAX])
{
    return format == SKV_NUMBER_MSGPACK ? write_msgpack(value, out) : write_text(value, out);
}
