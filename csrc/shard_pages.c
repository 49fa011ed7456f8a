/* L2 part (shard family). Reading an environment's file as bytes. The layout is that of LMDB 0.9. */
#include "shard_pages.h"

#include "hash.h"
#include "memory.h"
#include "os.h"
#include "shard_state.h"

#define DEPTH_MAX 32
#define NO_PAGE UINT64_MAX
#define MAGIC 0xBEEFC0DEU
#define DATA_VERSION 1

/* A page: its number, two bytes unused, its kind; then two bounds, or, of a long value, how many pages it takes. */
enum { AT_KIND = 10, AT_LOWER = 12, AT_UPPER = 14, AT_CONTENT = 16 };
enum { KIND_BRANCH = 1, KIND_LEAF = 2, KIND_LONG = 4, KIND_META = 8 };
/* A meta page. */
enum { AT_MAGIC = 16, AT_VERSION = 20, AT_FREE = 40, AT_MAIN = 88, AT_LAST_PAGE = 136, AT_TXN_ID = 144 };
/* A database inside it. */
enum { AT_PAGE_BYTES = 0, AT_BRANCHES = 8, AT_LEAVES = 16, AT_LONG_PAGES = 24, AT_ROOT = 40 };
/* A node: the value's length, or with the flags the child's number; then key, then value or the number of its first page. */
enum { AT_FLAGS = 4, AT_KEY_BYTES = 6, AT_KEY = 8, NODE_LONG = 1 };

typedef struct {
    uint64_t txn_id, last_page, free_root, main_root;
    uint64_t used; /* pages that the meta page counts: both trees, their long values, the meta pages */
} state;

struct skv_pages {
    const uint8_t *base; /* owned */
    size_t file_bytes;
    uint64_t count;
    state states[SKV_PAGES_STATES];
    uint32_t state_count;
};

/* -- the file ------------------------------------------------------------------------------------------------------- */

static uint64_t pages_of(const uint8_t *database)
{
    return skv_load64(database + AT_BRANCHES) + skv_load64(database + AT_LEAVES) + skv_load64(database + AT_LONG_PAGES);
}

static bool read_meta(const skv_pages *pages, uint64_t number, state *out)
{
    const uint8_t *page = pages->base + number * SKV_PAGE_BYTES;
    if (number >= pages->count || skv_load32(page + AT_MAGIC) != MAGIC || skv_load32(page + AT_VERSION) != DATA_VERSION ||
        skv_load32(page + AT_FREE + AT_PAGE_BYTES) != SKV_PAGE_BYTES)
        return false;
    out->txn_id = skv_load64(page + AT_TXN_ID);
    out->last_page = skv_load64(page + AT_LAST_PAGE);
    out->free_root = skv_load64(page + AT_FREE + AT_ROOT);
    out->main_root = skv_load64(page + AT_MAIN + AT_ROOT);
    out->used = pages_of(page + AT_FREE) + pages_of(page + AT_MAIN) + SKV_PAGES_STATES;
    return out->last_page >= SKV_PAGES_STATES - 1 && out->main_root != NO_PAGE;
}

static void read_states(skv_pages *pages)
{
    for (uint64_t number = 0; number < SKV_PAGES_STATES; number++) {
        state found;
        if (!read_meta(pages, number, &found))
            continue;
        if (pages->state_count && found.txn_id > pages->states[0].txn_id) {
            pages->states[1] = pages->states[0];
            pages->states[0] = found;
        } else {
            pages->states[pages->state_count] = found;
        }
        pages->state_count++;
    }
}

static skv_code map_pages(int fd, const char *name, skv_pages *pages, skv_error *err)
{
    uint64_t bytes = 0;
    skv_code code = skv_os_size(fd, name, &bytes, err);
    if (code != SKV_OK)
        return code;
    pages->file_bytes = (size_t)bytes;
    pages->count = bytes / SKV_PAGE_BYTES;
    if (pages->count < SKV_PAGES_STATES)
        return SKV_NOT_FOUND;
    return skv_os_map_file(fd, name, pages->file_bytes, &pages->base, err);
}

skv_code skv_pages_open(int dir, const char *name, skv_pages **out, skv_error *err)
{
    skv_pages *pages;
    int fd;
    skv_code code = skv_os_open(dir, name, SKV_OPEN_READ, &fd, err);
    *out = NULL;
    if (code != SKV_OK)
        return code;
    pages = skv_alloc(sizeof *pages);
    code = pages ? map_pages(fd, name, pages, err) : skv_fail(err, SKV_NO_MEMORY, "out of memory");
    skv_os_close(fd);
    if (code != SKV_OK) {
        skv_pages_free(pages);
        return code;
    }
    read_states(pages);
    *out = pages;
    return SKV_OK;
}

void skv_pages_free(skv_pages *pages)
{
    if (!pages)
        return;
    if (pages->base)
        skv_os_unmap(pages->base, pages->file_bytes);
    skv_release(pages);
}

uint32_t skv_pages_states(const skv_pages *pages)
{
    return pages->state_count;
}

bool skv_pages_claim(skv_slice key, skv_slice stored, skv_shard_claim *out)
{
    const uint8_t *at = stored.data;
    if (key.bytes != SKV_SHARD_META_KEY_BYTES || memcmp(key.data, skv_shard_meta_key, SKV_SHARD_META_KEY_BYTES) != 0 ||
        stored.bytes != SKV_SHARD_META_BYTES || skv_load32(at + SKV_SHARD_META_VERSION) != SKV_FORMAT_VERSION ||
        skv_load64(at) != skv_hash64(at + SKV_SHARD_META_STORE_ID, SKV_SHARD_META_BYTES - SKV_SHARD_META_STORE_ID, 0))
        return false;
    memcpy(out->store_id, at + SKV_SHARD_META_STORE_ID, SKV_STORE_ID_BYTES);
    out->number = skv_load32(at + SKV_SHARD_META_NUMBER);
    out->applied_seqno = skv_load64(at + SKV_SHARD_META_APPLIED_SEQNO);
    out->all = (skv_shard_sum){skv_load64(at + SKV_SHARD_META_DIGEST), skv_load64(at + SKV_SHARD_META_COUNT)};
    return true;
}

/* -- pages and nodes ------------------------------------------------------------------------------------------------ */

/* One bit for each page of the file. */
typedef struct {
    uint8_t *bits;
    uint64_t count; /* of those that are set */
} page_set;

/* false: it was there already. */
static bool add_page(page_set *set, uint64_t number)
{
    uint8_t bit = (uint8_t)(1U << (number % 8));
    if (set->bits[number / 8] & bit)
        return false;
    set->bits[number / 8] |= bit;
    set->count++;
    return true;
}

static bool has_page(const page_set *set, uint64_t number)
{
    return (set->bits[number / 8] >> (number % 8) & 1) != 0;
}

/* A page that is what it says: a branch or a leaf. */
static const uint8_t *page_at(const skv_pages *pages, uint64_t number, uint16_t *kind)
{
    const uint8_t *page;
    uint16_t lower, upper;
    if (number < SKV_PAGES_STATES || number >= pages->count)
        return NULL;
    page = pages->base + number * SKV_PAGE_BYTES;
    if (skv_load64(page) != number)
        return NULL;
    *kind = skv_load16(page + AT_KIND);
    lower = skv_load16(page + AT_LOWER);
    upper = skv_load16(page + AT_UPPER);
    if ((*kind != KIND_BRANCH && *kind != KIND_LEAF) || lower < AT_CONTENT || lower % 2 || lower > upper ||
        upper > SKV_PAGE_BYTES)
        return NULL;
    return page;
}

static uint32_t nodes_of(const uint8_t *page)
{
    return (skv_load16(page + AT_LOWER) - AT_CONTENT) / 2U;
}

/* Its bytes up to the key at least lie inside the page; NULL: they do not. */
static const uint8_t *node_at(const uint8_t *page, uint32_t i)
{
    uint32_t at = skv_load16(page + AT_CONTENT + 2 * (size_t)i);
    if (at < skv_load16(page + AT_LOWER) || at + AT_KEY > SKV_PAGE_BYTES)
        return NULL;
    return at + AT_KEY + skv_load16(page + at + AT_KEY_BYTES) > SKV_PAGE_BYTES ? NULL : page + at;
}

static bool read_node(const skv_pages *pages, const uint8_t *page, uint32_t i, skv_slice *key, skv_slice *stored)
{
    const uint8_t *node = node_at(page, i), *value;
    uint64_t first;
    if (!node)
        return false;
    *key = (skv_slice){node + AT_KEY, skv_load16(node + AT_KEY_BYTES)};
    value = node + AT_KEY + key->bytes;
    *stored = (skv_slice){value, skv_load32(node)};
    if (!(skv_load16(node + AT_FLAGS) & NODE_LONG))
        return stored->bytes <= (size_t)(page + SKV_PAGE_BYTES - value);
    if (page + SKV_PAGE_BYTES - value < 8)
        return false;
    first = skv_load64(value);
    if (first < SKV_PAGES_STATES || first >= pages->count ||
        stored->bytes > pages->file_bytes - first * SKV_PAGE_BYTES - AT_CONTENT)
        return false;
    stored->data = pages->base + first * SKV_PAGE_BYTES + AT_CONTENT;
    return true;
}

/* -- trees ---------------------------------------------------------------------------------------------------------- */

typedef struct survey survey;
typedef skv_code (*at_leaf)(survey *on, const uint8_t *page, skv_error *err);

struct survey {
    const skv_pages *pages;
    const state *in;
    page_set tree, free_pages;
    bool sound; /* all of the tree could be read, and each page came once */
    at_leaf leaf;
    skv_pages_visitor to;
};

static skv_code descend(survey *on, uint64_t number, uint32_t depth, skv_error *err)
{
    uint16_t kind;
    const uint8_t *page = page_at(on->pages, number, &kind);
    skv_code code = SKV_OK;
    if (!page || depth > DEPTH_MAX || !add_page(&on->tree, number)) {
        on->sound = false;
        return SKV_OK;
    }
    if (kind == KIND_LEAF)
        return on->leaf(on, page, err);
    for (uint32_t i = 0; i < nodes_of(page) && code == SKV_OK; i++) {
        const uint8_t *node = node_at(page, i);
        if (node)
            code = descend(on, skv_load32(node) | (uint64_t)skv_load16(node + AT_FLAGS) << 32, depth + 1, err);
        else
            on->sound = false;
    }
    return code;
}

static skv_code visit_leaf(survey *on, const uint8_t *page, skv_error *err)
{
    skv_code code = SKV_OK;
    for (uint32_t i = 0; i < nodes_of(page) && code == SKV_OK; i++) {
        skv_slice key, stored;
        if (read_node(on->pages, page, i, &key, &stored))
            code = on->to.visit(on->to.context, key, stored, err);
    }
    return code;
}

/* A leaf of the tree of free pages: under each transaction's number, how many there are, and which. */
static skv_code list_free(survey *on, const uint8_t *page, skv_error *err)
{
    (void)err;
    for (uint32_t i = 0; i < nodes_of(page); i++) {
        skv_slice key, stored;
        if (!read_node(on->pages, page, i, &key, &stored) || key.bytes != 8 || stored.bytes < 8 ||
            skv_load64(stored.data) > stored.bytes / 8 - 1) {
            on->sound = false;
            continue;
        }
        for (uint64_t n = 1; n <= skv_load64(stored.data); n++) {
            uint64_t number = skv_load64(stored.data + 8 * n);
            if (number < SKV_PAGES_STATES || number > on->in->last_page)
                on->sound = false;
            else if (number >= on->pages->count)
                on->free_pages.count++; /* cut off */
            else if (!add_page(&on->free_pages, number))
                on->sound = false;
        }
    }
    return SKV_OK;
}

/* Is the list of free pages whole: does it leave as many as the meta page says are used? */
static skv_code read_list(survey *on, skv_error *err)
{
    skv_code code = SKV_OK;
    on->sound = true;
    on->leaf = list_free;
    if (on->in->free_root != NO_PAGE)
        code = descend(on, on->in->free_root, 0, err);
    on->sound = on->sound && on->free_pages.count + on->in->used == on->in->last_page + 1;
    return code;
}

static skv_code visit_listed(survey *on, skv_error *err)
{
    skv_code code = SKV_OK;
    for (uint64_t number = SKV_PAGES_STATES; number < on->pages->count && number <= on->in->last_page; number++) {
        uint16_t kind;
        const uint8_t *page;
        if (has_page(&on->tree, number) || has_page(&on->free_pages, number))
            continue;
        page = page_at(on->pages, number, &kind);
        if (page && kind == KIND_LEAF)
            code = visit_leaf(on, page, err);
        if (code != SKV_OK)
            return code;
    }
    return SKV_OK;
}

static skv_code walk(survey *on, skv_pages_way way, skv_error *err)
{
    skv_code code;
    if (way == SKV_PAGES_LISTED) {
        code = read_list(on, err);
        if (code != SKV_OK || on->sound)
            return code == SKV_OK ? visit_listed(on, err) : code;
        memset(on->tree.bits, 0, on->pages->count / 8 + 1);
    }
    on->leaf = visit_leaf;
    return descend(on, on->in->main_root, 0, err);
}

skv_code skv_pages_walk(const skv_pages *pages, uint32_t which, skv_pages_way way, skv_pages_visitor to, skv_error *err)
{
    survey on = {.pages = pages, .in = &pages->states[which], .to = to};
    skv_code code = SKV_NO_MEMORY;
    on.tree.bits = skv_alloc(pages->count / 8 + 1);
    on.free_pages.bits = skv_alloc(pages->count / 8 + 1);
    if (on.tree.bits && on.free_pages.bits)
        code = walk(&on, way, err);
    else
        (void)skv_fail(err, SKV_NO_MEMORY, "out of memory");
    skv_release(on.tree.bits);
    skv_release(on.free_pages.bits);
    return code;
}
