/* Environments of LMDB 0.9 made by hand, page by page, so that each can be damaged where it hurts. The layout is written down
 * here a second time on purpose. */
#ifndef PAGES_H
#define PAGES_H

#include "record.h"
#include "shard_pages.h"

#define PAGES_MAX 64

typedef struct {
    uint8_t bytes[PAGES_MAX][SKV_PAGE_BYTES];
    uint64_t count;
} pages_file;

/* Of a tree, as a meta page has it. */
typedef struct {
    uint64_t branches, leaves, long_pages, root;
} pages_tree;

enum { PAGES_BRANCH = 1, PAGES_LEAF = 2 };
#define PAGES_NONE UINT64_MAX

/* Two blank pages, for the meta pages. */
void pages_begin(pages_file *file);
/* The next page, empty, a branch or a leaf; returns its number. */
uint64_t pages_add(pages_file *file, uint16_t kind);
/* A node at the end of a leaf. */
void pages_put(pages_file *file, uint64_t leaf, skv_slice key, skv_slice value);
/* The same, with the value in pages of its own, which come next; returns the first of them. */
uint64_t pages_put_long(pages_file *file, uint64_t leaf, skv_slice key, skv_slice value);
/* A child of a branch. */
void pages_link(pages_file *file, uint64_t branch, uint64_t child);
/* A record as a shard stores it. Sets its checksum. */
void pages_put_record(pages_file *file, uint64_t leaf, skv_record *record);
/* The own record of shard `number`. */
void pages_put_claim(pages_file *file, uint64_t leaf, const skv_shard_claim *claim);
/* Pages that are free, as the list has them under one transaction's number. */
void pages_put_free(pages_file *file, uint64_t leaf, const uint64_t *numbers, uint64_t count);
/* Meta page 0 or 1. */
void pages_meta(pages_file *file, int which, uint64_t txn_id, pages_tree free_pages, pages_tree data);
void pages_write(const pages_file *file, int dir, const char *name);

#endif
