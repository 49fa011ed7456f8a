/* Assertions of the C tests: the first one that fails says where and what it saw, and ends the program. */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "shardkv.h"

/* The test that runs, for the report. */
static const char *check_running = "";

#define RUN(test) (check_running = #test, test())
#define CHECK(condition) ((condition) ? (void)0 : check_fail(__FILE__, __LINE__, #condition))
#define CHECK_EQ(left, right) \
    check_equal(__FILE__, __LINE__, #left " == " #right, (long long)(left), (long long)(right))
/* A call that must succeed; err says why it did not. */
#define CHECK_OK(call, err) check_ok(__FILE__, __LINE__, #call, (call), (err))

static inline void check_fail(const char *file, int line, const char *what)
{
    (void)fprintf(stderr, "%s:%d: %s: %s\n", file, line, check_running, what);
    abort();
}

static inline void check_equal(const char *file, int line, const char *what, long long left, long long right)
{
    if (left == right)
        return;
    (void)fprintf(stderr, "%lld and %lld\n", left, right);
    check_fail(file, line, what);
}

static inline void check_ok(const char *file, int line, const char *what, skv_code code, const skv_error *err)
{
    if (code == SKV_OK)
        return;
    (void)fprintf(stderr, "code %d: %s at %llu: %s\n", code, err->file, (unsigned long long)err->offset, err->text);
    check_fail(file, line, what);
}

/* splitmix64. */
static inline uint64_t check_random(uint64_t *state)
{
    uint64_t x = *state += 0x9E3779B97F4A7C15ULL;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
}

/* A seed that differs from run to run and is printed, or the one that the environment gives. */
static inline uint64_t check_seed(void)
{
    const char *given = getenv("SHARDKV_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    (void)printf("seed: SHARDKV_TEST_SEED=%llu\n", (unsigned long long)seed);
    (void)fflush(stdout); /* an abort does not */
    return seed;
}

#endif
