/* L2 part. Where a copy comes from. */
#include "origin.h"

#include <string.h>

#include "bytes.h"
#include "hash.h"
#include "os.h"

#define ORIGIN_TEMP "ORIGIN.new"

skv_origin skv_origin_of(const skv_manifest *source)
{
    uint8_t weights[4 * SKV_SHARDS_MAX];
    skv_origin origin = {.least_seqno = 0};
    memcpy(origin.source_id, source->store_id, SKV_STORE_ID_BYTES);
    for (uint32_t i = 0; i < source->shards; i++)
        skv_store32(weights + 4 * (size_t)i, source->weights[i]);
    origin.layout = skv_hash64(weights, 4 * (size_t)source->shards, 0);
    return origin;
}

bool skv_origin_is(const skv_origin *origin, const skv_manifest *source)
{
    skv_origin wanted = skv_origin_of(source);
    return memcmp(origin->source_id, wanted.source_id, SKV_STORE_ID_BYTES) == 0 && origin->layout == wanted.layout;
}

skv_code skv_origin_write(int dir, const char *name, const skv_origin *origin, skv_error *err)
{
    uint8_t bytes[SKV_ORIGIN_BYTES] = {0};
    int fd;
    skv_code code = skv_os_open(dir, name, SKV_OPEN_CREATE, &fd, err);
    if (code != SKV_OK)
        return code;
    memcpy(bytes, SKV_ORIGIN_MAGIC, 8);
    skv_store32(bytes + SKV_ORIGIN_VERSION, SKV_FORMAT_VERSION);
    memcpy(bytes + SKV_ORIGIN_SOURCE_ID, origin->source_id, SKV_STORE_ID_BYTES);
    memcpy(bytes + SKV_ORIGIN_STORE_ID, origin->store_id, SKV_STORE_ID_BYTES);
    skv_store64(bytes + SKV_ORIGIN_LAYOUT, origin->layout);
    skv_store64(bytes + SKV_ORIGIN_LEAST_SEQNO, origin->least_seqno);
    skv_store64(bytes + SKV_ORIGIN_PROOF_SEQNO, origin->proof_seqno);
    skv_store64(bytes + SKV_ORIGIN_PROOF, origin->proof);
    skv_store64(bytes + SKV_ORIGIN_CHECKSUM,
                skv_hash64(bytes + SKV_ORIGIN_VERSION, SKV_ORIGIN_BYTES - SKV_ORIGIN_VERSION, 0));
    code = skv_os_write(fd, name, bytes, sizeof bytes, 0, err);
    if (code == SKV_OK)
        code = skv_os_sync(fd, name, err);
    skv_os_close(fd);
    return code;
}

skv_code skv_origin_replace(int dir, const char *name, const skv_origin *origin, skv_error *err)
{
    skv_code code = skv_origin_write(dir, ORIGIN_TEMP, origin, err);
    if (code == SKV_OK)
        code = skv_os_rename(dir, ORIGIN_TEMP, name, err);
    return code == SKV_OK ? skv_os_sync_dir(dir, ".", err) : code;
}

static skv_code read_bytes(int fd, const char *name, uint8_t out[SKV_ORIGIN_BYTES], skv_error *err)
{
    uint64_t bytes = 0;
    skv_code code = skv_os_size(fd, name, &bytes, err);
    if (code == SKV_OK && bytes == SKV_ORIGIN_BYTES)
        code = skv_os_read(fd, name, out, SKV_ORIGIN_BYTES, 0, err);
    return code;
}

skv_code skv_origin_read(int dir, const char *name, skv_origin *out, skv_error *err)
{
    uint8_t bytes[SKV_ORIGIN_BYTES] = {0};
    int fd;
    skv_code code = skv_os_open(dir, name, SKV_OPEN_READ, &fd, err);
    if (code != SKV_OK)
        return code;
    code = read_bytes(fd, name, bytes, err);
    skv_os_close(fd);
    if (code != SKV_OK)
        return code;
    if (memcmp(bytes, SKV_ORIGIN_MAGIC, 8) != 0 || skv_load32(bytes + SKV_ORIGIN_VERSION) != SKV_FORMAT_VERSION ||
        skv_load64(bytes + SKV_ORIGIN_CHECKSUM) !=
            skv_hash64(bytes + SKV_ORIGIN_VERSION, SKV_ORIGIN_BYTES - SKV_ORIGIN_VERSION, 0))
        return skv_fail_at(err, SKV_CORRUPT, name, 0, 0, "what says where this copy comes from is damaged");
    memcpy(out->source_id, bytes + SKV_ORIGIN_SOURCE_ID, SKV_STORE_ID_BYTES);
    memcpy(out->store_id, bytes + SKV_ORIGIN_STORE_ID, SKV_STORE_ID_BYTES);
    out->layout = skv_load64(bytes + SKV_ORIGIN_LAYOUT);
    out->least_seqno = skv_load64(bytes + SKV_ORIGIN_LEAST_SEQNO);
    out->proof_seqno = skv_load64(bytes + SKV_ORIGIN_PROOF_SEQNO);
    out->proof = skv_load64(bytes + SKV_ORIGIN_PROOF);
    return SKV_OK;
}
