/* L2 part. The manifest. */
#include "manifest.h"

#include <stdbool.h>
#include <stddef.h>

#include "bytes.h"
#include "hash.h"
#include "msgpack.h"
#include "os.h"

#define MANIFEST_NAME "MANIFEST"
#define MANIFEST_COPY "MANIFEST.bak"
#define MANIFEST_TEMP "MANIFEST.new"
#define FILE_BYTES_MAX 16384

_Static_assert(FILE_BYTES_MAX > SKV_MANIFEST_BODY + 256 + SKV_SHARDS_MAX * SKV_MP_HEAD_MAX + SKV_LINEAGE_BYTES_MAX, "every manifest fits");

#define FIELDS_NEEDED 3

/* The fields that are there only when they are not 0. */
typedef struct {
    const char *name;
    size_t offset;
} setting;

static const setting settings[] = {
    {"max_writes_per_s", offsetof(skv_settings, max_writes_per_s)},
    {"max_bytes_per_s", offsetof(skv_settings, max_bytes_per_s)},
    {"retain_log_bytes", offsetof(skv_settings, retain_log_bytes)},
    {"unflushed_bytes", offsetof(skv_settings, unflushed_bytes)},
};
#define SETTINGS (sizeof settings / sizeof settings[0])

static uint64_t read_setting(const skv_settings *from, const setting *which)
{
    uint64_t value;
    memcpy(&value, (const char *)from + which->offset, sizeof value);
    return value;
}

/* -- bytes ---------------------------------------------------------------------------------------------------------- */

static size_t encode_settings(uint8_t *out, const skv_settings *from, uint8_t *count)
{
    uint8_t *at = out;
    for (size_t i = 0; i < SETTINGS; i++) {
        uint64_t value = read_setting(from, &settings[i]);
        if (!value)
            continue;
        at += skv_pack_str(at, settings[i].name);
        at += skv_pack_uint(at, value);
        ++*count;
    }
    return (size_t)(at - out);
}

static size_t encode_lineage(uint8_t *out, const skv_manifest *manifest, uint8_t *count)
{
    uint8_t *at = out;
    if (!manifest->lineage_bytes)
        return 0;
    at += skv_pack_str(at, "lineage");
    at += skv_pack_bin_head(at, manifest->lineage_bytes);
    memcpy(at, manifest->lineage, manifest->lineage_bytes);
    ++*count;
    return (size_t)(at - out) + manifest->lineage_bytes;
}

static size_t encode_body(uint8_t *out, const skv_manifest *manifest)
{
    uint8_t *at = out, count = FIELDS_NEEDED;
    at += skv_pack_map(at, 0);
    at += skv_pack_str(at, "store_id");
    at += skv_pack_bin_head(at, SKV_STORE_ID_BYTES);
    memcpy(at, manifest->store_id, SKV_STORE_ID_BYTES);
    at += SKV_STORE_ID_BYTES;
    at += skv_pack_str(at, "epoch");
    at += skv_pack_uint(at, manifest->epoch);
    at += skv_pack_str(at, "weights");
    at += skv_pack_array5(at, manifest->shards);
    for (uint32_t i = 0; i < manifest->shards; i++)
        at += skv_pack_uint(at, manifest->weights[i]);
    at += encode_settings(at, &manifest->settings, &count);
    at += encode_lineage(at, manifest, &count);
    (void)skv_pack_map(out, count);
    return (size_t)(at - out);
}

static size_t encode(uint8_t out[FILE_BYTES_MAX], const skv_manifest *manifest)
{
    size_t body = encode_body(out + SKV_MANIFEST_BODY, manifest), bytes = SKV_MANIFEST_BODY + body;
    memcpy(out, SKV_MANIFEST_MAGIC, 8);
    skv_store32(out + SKV_MANIFEST_VERSION, SKV_FORMAT_VERSION);
    skv_store32(out + SKV_MANIFEST_BODY_BYTES, (uint32_t)body);
    skv_store64(out + SKV_MANIFEST_GENERATION, manifest->generation);
    skv_store64(out + SKV_MANIFEST_CHECKSUM, skv_hash64(out + SKV_MANIFEST_VERSION, bytes - SKV_MANIFEST_VERSION, 0));
    return bytes;
}

static bool decode_weights(skv_unpack *in, skv_manifest *out)
{
    if (!skv_unpack_array(in, &out->shards) || out->shards < 1 || out->shards > SKV_SHARDS_MAX)
        return false;
    for (uint32_t i = 0; i < out->shards; i++) {
        uint64_t weight;
        if (!skv_unpack_uint(in, &weight) || weight < 1 || weight > SKV_WEIGHT_MAX)
            return false;
        out->weights[i] = (uint32_t)weight;
    }
    return true;
}

static bool decode_store_id(skv_unpack *in, skv_manifest *out)
{
    skv_slice id;
    if (!skv_unpack_bin(in, &id) || id.bytes != SKV_STORE_ID_BYTES)
        return false;
    memcpy(out->store_id, id.data, SKV_STORE_ID_BYTES);
    return true;
}

static bool decode_lineage(skv_unpack *in, skv_manifest *out)
{
    skv_slice lineage;
    if (!skv_unpack_bin(in, &lineage) || !lineage.bytes || lineage.bytes > SKV_LINEAGE_BYTES_MAX)
        return false;
    memcpy(out->lineage, lineage.data, lineage.bytes);
    out->lineage_bytes = (uint32_t)lineage.bytes;
    return true;
}

static bool decode_setting(skv_unpack *in, const setting *which, skv_manifest *out)
{
    uint64_t value;
    if (!skv_unpack_uint(in, &value) || !value)
        return false;
    memcpy((char *)&out->settings + which->offset, &value, sizeof value);
    return true;
}

static bool named(skv_slice name, const char *wanted)
{
    return name.bytes == strlen(wanted) && memcmp(name.data, wanted, name.bytes) == 0;
}

/* One field; its bit is set in `seen`, where it must not be yet. A name that is not known refuses: what it says might change
 * what the others mean. */
static bool decode_field(skv_unpack *in, uint32_t *seen, skv_manifest *out)
{
    skv_slice name;
    uint32_t bit = 0, before = *seen;
    if (!skv_unpack_str(in, &name))
        return false;
    if (named(name, "store_id"))
        bit = decode_store_id(in, out) ? 1 : 0;
    else if (named(name, "epoch"))
        bit = skv_unpack_uint(in, &out->epoch) ? 2 : 0;
    else if (named(name, "weights"))
        bit = decode_weights(in, out) ? 4 : 0;
    else if (named(name, "lineage"))
        bit = decode_lineage(in, out) ? 8 : 0;
    for (size_t i = 0; i < SETTINGS; i++)
        if (named(name, settings[i].name))
            bit = decode_setting(in, &settings[i], out) ? 16U << i : 0;
    *seen |= bit;
    return *seen != before;
}

static bool decode_body(skv_slice body, skv_manifest *out)
{
    skv_unpack in = {body.data, body.data + body.bytes};
    uint32_t fields, seen = 0;
    if (!skv_unpack_map(&in, &fields))
        return false;
    for (uint32_t i = 0; i < fields; i++)
        if (!decode_field(&in, &seen, out))
            return false;
    return in.at == in.end && (seen & 7) == 7;
}

static skv_code decode(const char *name, const uint8_t *in, size_t bytes, skv_manifest *out, skv_error *err)
{
    if (bytes < SKV_MANIFEST_BODY || memcmp(in, SKV_MANIFEST_MAGIC, 8) != 0 ||
        skv_load32(in + SKV_MANIFEST_BODY_BYTES) != bytes - SKV_MANIFEST_BODY ||
        skv_load64(in + SKV_MANIFEST_CHECKSUM) !=
            skv_hash64(in + SKV_MANIFEST_VERSION, bytes - SKV_MANIFEST_VERSION, 0))
        return skv_fail_at(err, SKV_CORRUPT, name, 0, 0, "the manifest is damaged");
    if (skv_load32(in + SKV_MANIFEST_VERSION) != SKV_FORMAT_VERSION)
        return skv_fail_at(err, SKV_FORMAT, name, SKV_MANIFEST_VERSION, 0,
                           "the store has format version %u; this release knows version %d",
                           skv_load32(in + SKV_MANIFEST_VERSION), SKV_FORMAT_VERSION);
    memset(out, 0, sizeof *out);
    out->generation = skv_load64(in + SKV_MANIFEST_GENERATION);
    if (!decode_body((skv_slice){in + SKV_MANIFEST_BODY, bytes - SKV_MANIFEST_BODY}, out))
        return skv_fail_at(err, SKV_FORMAT, name, SKV_MANIFEST_BODY, 0, "the manifest's fields are not those of version %d",
                           SKV_FORMAT_VERSION);
    return SKV_OK;
}

/* -- files ---------------------------------------------------------------------------------------------------------- */

static skv_code write_copy(int dir, const char *name, const uint8_t *file, size_t bytes, skv_error *err)
{
    int fd;
    skv_code code = skv_os_remove(dir, MANIFEST_TEMP, err);
    if (code == SKV_OK)
        code = skv_os_open(dir, MANIFEST_TEMP, SKV_OPEN_CREATE_NEW, &fd, err);
    if (code != SKV_OK)
        return code;
    code = skv_os_write(fd, MANIFEST_TEMP, file, bytes, 0, err);
    if (code == SKV_OK)
        code = skv_os_sync(fd, MANIFEST_TEMP, err);
    skv_os_close(fd);
    if (code == SKV_OK)
        code = skv_os_rename(dir, MANIFEST_TEMP, name, err);
    return code == SKV_OK ? skv_os_sync_dir(dir, ".", err) : code;
}

skv_code skv_manifest_save(int dir, const skv_manifest *manifest, skv_error *err)
{
    uint8_t file[FILE_BYTES_MAX];
    size_t bytes = encode(file, manifest);
    skv_code code = write_copy(dir, MANIFEST_NAME, file, bytes, err);
    return code == SKV_OK ? write_copy(dir, MANIFEST_COPY, file, bytes, err) : code;
}

static skv_code load_copy(int dir, const char *name, skv_manifest *out, skv_error *err)
{
    uint8_t file[FILE_BYTES_MAX];
    uint64_t bytes = 0;
    int fd;
    skv_code code = skv_os_open(dir, name, SKV_OPEN_READ, &fd, err);
    if (code != SKV_OK)
        return code;
    code = skv_os_size(fd, name, &bytes, err);
    if (code == SKV_OK && bytes > sizeof file)
        code = skv_fail_at(err, SKV_CORRUPT, name, sizeof file, 0, "the manifest is too long");
    if (code == SKV_OK)
        code = skv_os_read(fd, name, file, (size_t)bytes, 0, err);
    skv_os_close(fd);
    return code == SKV_OK ? decode(name, file, (size_t)bytes, out, err) : code;
}

/* Gone or damaged: the other copy can stand in. Any other failure is not ours to mend. */
static bool lost(skv_code code)
{
    return code == SKV_NOT_FOUND || code == SKV_CORRUPT;
}

skv_code skv_manifest_load(int dir, skv_manifest *out, skv_error *err)
{
    skv_manifest copy;
    skv_error copy_error = {0};
    skv_code first = load_copy(dir, MANIFEST_NAME, out, err), second;
    if (first != SKV_OK && !lost(first))
        return first;
    second = load_copy(dir, MANIFEST_COPY, &copy, &copy_error);
    if (second != SKV_OK && (!lost(second) || first == SKV_NOT_FOUND)) {
        *err = copy_error;
        return second;
    }
    if (first != SKV_OK && second != SKV_OK)
        return first;
    if (first == SKV_OK && second == SKV_OK && copy.generation == out->generation)
        return SKV_OK;
    if (first != SKV_OK || (second == SKV_OK && copy.generation > out->generation))
        *out = copy;
    return skv_manifest_save(dir, out, err);
}

skv_code skv_manifest_look(int dir, int copy, skv_manifest *out, skv_error *err)
{
    return load_copy(dir, copy ? MANIFEST_COPY : MANIFEST_NAME, out, err);
}

skv_code skv_manifest_peek(int dir, skv_manifest *out, skv_error *err)
{
    skv_manifest copy;
    skv_code first = load_copy(dir, MANIFEST_NAME, out, err), second;
    second = load_copy(dir, MANIFEST_COPY, &copy, first == SKV_OK || first == SKV_NOT_FOUND ? err : NULL);
    if (second == SKV_OK && (first != SKV_OK || copy.generation > out->generation))
        *out = copy;
    if (first == SKV_OK || second == SKV_OK)
        return SKV_OK;
    return first == SKV_NOT_FOUND ? second : first;
}

skv_code skv_manifest_remove(int dir, skv_error *err)
{
    static const char *const names[] = {MANIFEST_TEMP, MANIFEST_NAME, MANIFEST_COPY};
    skv_code code = SKV_OK;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && code == SKV_OK; i++)
        code = skv_os_remove(dir, names[i], err);
    return code;
}

bool skv_manifest_exists(int dir)
{
    return skv_os_exists(dir, MANIFEST_NAME) || skv_os_exists(dir, MANIFEST_COPY);
}
