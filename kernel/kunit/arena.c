// SPDX-License-Identifier: GPL-2.0-only
/* KUnit tests of the page allocator. */
#include <kunit/test.h>
#include <linux/prandom.h>

#include "fake.h"

#define PAGES	200

/* The suite's arena; what is taken is marked in "taken" too. */
struct model {
	struct vlb_arena arena;
	bool taken[PAGES];
	u32 nfree;
};

static int arena_init(struct kunit *test)
{
	struct model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->nfree = PAGES;
	test->priv = m;
	return vlb_arena_init(&m->arena, PAGES);
}

static void arena_exit(struct kunit *test)
{
	struct model *m = test->priv;

	vlb_arena_exit(&m->arena);
	KUNIT_EXPECT_NULL(test, m->arena.map);
}

/* Allocate, and hold the result against the model. */
static int take(struct kunit *test, u32 npages, struct vlb_run *runs)
{
	struct model *m = test->priv;
	int n = vlb_arena_alloc(&m->arena, npages, runs), i;
	u32 sum = 0, page;

	if (n < 0) {
		KUNIT_EXPECT_EQ(test, n, -ENOSPC);
		KUNIT_EXPECT_EQ(test, m->arena.nfree, m->nfree);
		return n;
	}
	KUNIT_ASSERT_LE(test, n, VLB_RUNS_MAX);
	for (i = 0; i < n; i++) {
		KUNIT_ASSERT_LE(test, (u64)runs[i].start + runs[i].npages, PAGES);
		for (page = runs[i].start; page < runs[i].start + runs[i].npages; page++) {
			KUNIT_ASSERT_FALSE_MSG(test, m->taken[page], "page %u is taken twice", page);
			m->taken[page] = true;
		}
		sum += runs[i].npages;
	}
	KUNIT_EXPECT_EQ(test, sum, npages);
	m->nfree -= sum;
	KUNIT_EXPECT_EQ(test, m->arena.nfree, m->nfree);
	return n;
}

static void give(struct kunit *test, const struct vlb_run *runs, int n)
{
	struct model *m = test->priv;
	int i;

	vlb_arena_free(&m->arena, runs, n);
	for (i = 0; i < n; i++) {
		memset(m->taken + runs[i].start, 0, runs[i].npages);
		m->nfree += runs[i].npages;
	}
	KUNIT_EXPECT_EQ(test, m->arena.nfree, m->nfree);
}

static void arena_lowest_first(struct kunit *test)
{
	struct vlb_run a, b, c, runs[VLB_RUNS_MAX];

	KUNIT_EXPECT_EQ(test, take(test, 0, runs), 0);
	KUNIT_ASSERT_EQ(test, take(test, 3, &a), 1);
	KUNIT_ASSERT_EQ(test, take(test, 5, &b), 1);
	KUNIT_ASSERT_EQ(test, take(test, 1, &c), 1);
	KUNIT_EXPECT_EQ(test, a.start, 0);
	KUNIT_EXPECT_EQ(test, b.start, 3);
	KUNIT_EXPECT_EQ(test, c.start, 8);
	give(test, &b, 1);
	KUNIT_ASSERT_EQ(test, take(test, 4, runs), 1);
	KUNIT_EXPECT_EQ(test, runs[0].start, 3);
}

static void arena_to_the_last_page(struct kunit *test)
{
	struct vlb_run all, runs[VLB_RUNS_MAX];

	KUNIT_EXPECT_EQ(test, take(test, PAGES + 1, runs), -ENOSPC);
	KUNIT_EXPECT_EQ(test, take(test, U32_MAX, runs), -ENOSPC);
	KUNIT_ASSERT_EQ(test, take(test, PAGES, &all), 1);
	KUNIT_EXPECT_EQ(test, take(test, 1, runs), -ENOSPC);
	give(test, &all, 1);
	KUNIT_EXPECT_EQ(test, take(test, PAGES, runs), 1);
}

/* Every other page is free: a request gets as many pieces as it may have, and no more. */
static void arena_scattered(struct kunit *test)
{
	struct vlb_run single[PAGES], runs[VLB_RUNS_MAX];
	unsigned int i;

	for (i = 0; i < PAGES; i++)
		KUNIT_ASSERT_EQ(test, take(test, 1, &single[i]), 1);
	for (i = 0; i < PAGES; i += 2)
		give(test, &single[i], 1);
	KUNIT_EXPECT_EQ(test, take(test, VLB_RUNS_MAX + 1, runs), -ENOSPC);
	KUNIT_EXPECT_EQ(test, take(test, VLB_RUNS_MAX, runs), VLB_RUNS_MAX);
	give(test, runs, VLB_RUNS_MAX);
	/* Two in one piece, and the pieces before it. */
	give(test, &single[5], 1);
	KUNIT_EXPECT_EQ(test, take(test, 3, runs), 1);
}

static void arena_random(struct kunit *test)
{
	struct slot {
		struct vlb_run runs[VLB_RUNS_MAX];
		int n;
	} *slots = kunit_kcalloc(test, 32, sizeof(*slots), GFP_KERNEL);
	struct rnd_state rnd;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, slots);
	prandom_seed_state(&rnd, 1);
	for (i = 0; i < 20000; i++) {
		struct slot *slot = &slots[prandom_u32_state(&rnd) % 32];

		if (slot->n) {
			give(test, slot->runs, slot->n);
			slot->n = 0;
		} else {
			slot->n = max(0, take(test, 1 + prandom_u32_state(&rnd) % 24, slot->runs));
		}
	}
}

static struct kunit_case arena_cases[] = {
	KUNIT_CASE(arena_lowest_first),
	KUNIT_CASE(arena_to_the_last_page),
	KUNIT_CASE(arena_scattered),
	KUNIT_CASE(arena_random),
	{ }
};

struct kunit_suite vlb_arena_suite = {
	.name = "vlb_arena",
	.init = arena_init,
	.exit = arena_exit,
	.test_cases = arena_cases,
};
