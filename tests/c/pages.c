#include "pages.h"

#include <string.h>

#include "check.h"
#include "hash.h"
#include "scratch.h"

void pages_begin(pages_file *file)
{
    memset(file, 0, sizeof *file);
    file->count = 2;
}

static uint8_t *next_page(pages_file *file, uint16_t kind)
{
    uint8_t *page = file->bytes[file->count];
    CHECK(file->count < PAGES_MAX);
    skv_store64(page, file->count++);
    skv_store16(page + 10, kind);
    return page;
}

uint64_t pages_add(pages_file *file, uint16_t kind)
{
    uint8_t *page = next_page(file, kind);
    skv_store16(page + 12, 16);
    skv_store16(page + 14, SKV_PAGE_BYTES);
    return file->count - 1;
}

/* Room for a node; even, as LMDB has it. */
static uint8_t *add_node(pages_file *file, uint64_t number, size_t bytes)
{
    uint8_t *page = file->bytes[number];
    uint16_t lower = skv_load16(page + 12), upper = (uint16_t)(skv_load16(page + 14) - (bytes + 1) / 2 * 2);
    CHECK(upper >= lower + 2 && upper < SKV_PAGE_BYTES);
    skv_store16(page + lower, upper);
    skv_store16(page + 12, (uint16_t)(lower + 2));
    skv_store16(page + 14, upper);
    return page + upper;
}

static uint8_t *add_key(uint8_t *node, uint32_t value_bytes, uint16_t flags, skv_slice key)
{
    skv_store32(node, value_bytes);
    skv_store16(node + 4, flags);
    skv_store16(node + 6, (uint16_t)key.bytes);
    if (key.bytes)
        memcpy(node + 8, key.data, key.bytes);
    return node + 8 + key.bytes;
}

void pages_put(pages_file *file, uint64_t leaf, skv_slice key, skv_slice value)
{
    uint8_t *node = add_node(file, leaf, 8 + key.bytes + value.bytes);
    memcpy(add_key(node, (uint32_t)value.bytes, 0, key), value.data, value.bytes);
}

uint64_t pages_put_long(pages_file *file, uint64_t leaf, skv_slice key, skv_slice value)
{
    uint8_t *node = add_node(file, leaf, 8 + key.bytes + 8), *first = next_page(file, 4);
    uint64_t number = file->count - 1;
    skv_store64(add_key(node, (uint32_t)value.bytes, 1, key), number);
    file->count += (16 + value.bytes - 1) / SKV_PAGE_BYTES;
    CHECK(file->count <= PAGES_MAX);
    skv_store32(first + 12, (uint32_t)(file->count - number));
    memcpy(first + 16, value.data, value.bytes);
    return number;
}

void pages_link(pages_file *file, uint64_t branch, uint64_t child)
{
    uint8_t *node = add_node(file, branch, 8);
    skv_store32(node, (uint32_t)child);
    skv_store16(node + 4, (uint16_t)(child >> 32));
}

void pages_put_record(pages_file *file, uint64_t leaf, skv_record *record)
{
    uint8_t encoded[2 * SKV_PAGE_BYTES], stored[2 * SKV_PAGE_BYTES];
    size_t head;
    CHECK(skv_record_bytes(record) <= sizeof encoded);
    (void)skv_record_encode(encoded, record);
    head = skv_stored_encode(stored, record);
    if (record->value.bytes)
        memcpy(stored + head, record->value.data, record->value.bytes);
    pages_put(file, leaf, record->key, (skv_slice){stored, head + record->value.bytes});
}

void pages_put_claim(pages_file *file, uint64_t leaf, const skv_shard_claim *claim)
{
    static const uint8_t key[SKV_SHARD_META_KEY_BYTES];
    uint8_t bytes[SKV_SHARD_META_BYTES] = {0};
    memcpy(bytes + SKV_SHARD_META_STORE_ID, claim->store_id, SKV_STORE_ID_BYTES);
    skv_store32(bytes + SKV_SHARD_META_NUMBER, claim->number);
    skv_store32(bytes + SKV_SHARD_META_VERSION, SKV_FORMAT_VERSION);
    skv_store64(bytes + SKV_SHARD_META_APPLIED_SEQNO, claim->applied_seqno);
    skv_store64(bytes + SKV_SHARD_META_DIGEST, claim->all.digest);
    skv_store64(bytes + SKV_SHARD_META_COUNT, claim->all.count);
    skv_store64(bytes, skv_hash64(bytes + 8, sizeof bytes - 8, 0));
    pages_put(file, leaf, (skv_slice){key, sizeof key}, (skv_slice){bytes, sizeof bytes});
}

void pages_put_free(pages_file *file, uint64_t leaf, const uint64_t *numbers, uint64_t count)
{
    uint8_t key[8], list[8 * (PAGES_MAX + 1)];
    CHECK(count <= PAGES_MAX);
    skv_store64(key, 1);
    skv_store64(list, count);
    for (uint64_t i = 0; i < count; i++)
        skv_store64(list + 8 * (i + 1), numbers[i]);
    pages_put(file, leaf, (skv_slice){key, 8}, (skv_slice){list, 8 * (count + 1)});
}

static void put_tree(uint8_t *at, pages_tree tree)
{
    skv_store64(at + 8, tree.branches);
    skv_store64(at + 16, tree.leaves);
    skv_store64(at + 24, tree.long_pages);
    skv_store64(at + 40, tree.root);
}

void pages_meta(pages_file *file, int which, uint64_t txn_id, pages_tree free_pages, pages_tree data)
{
    uint8_t *page = file->bytes[which];
    skv_store64(page, (uint64_t)which);
    skv_store16(page + 10, 8);
    skv_store32(page + 16, 0xBEEFC0DE);
    skv_store32(page + 20, 1);
    skv_store32(page + 40, SKV_PAGE_BYTES);
    put_tree(page + 40, free_pages);
    put_tree(page + 88, data);
    skv_store64(page + 136, file->count - 1);
    skv_store64(page + 144, txn_id);
}

void pages_write(const pages_file *file, int dir, const char *name)
{
    scratch_write(dir, name, file->bytes, file->count * SKV_PAGE_BYTES, 0);
    scratch_cut(dir, name, file->count * SKV_PAGE_BYTES);
}
