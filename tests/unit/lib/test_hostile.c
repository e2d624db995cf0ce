/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rings and descriptors that are against the rules: -EPROTO, once said, and nothing else happens.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

#define INDIR	BIT64(F_INDIRECT_DESC)
#define PACKED	BIT64(F_RING_PACKED)
#define P_AVAIL (1U << 7)

static unsigned int messages;

static void count_message(void *user, int level, const char *message)
{
	(void)user;
	(void)message;
	if (level <= 3)
		messages++;
}

static void begin(struct fixture *f, uint64_t features)
{
	fixture_init(f, features, 16);
	messages = 0;
	vloop_dev_set_log(f->dev, 7, count_message, NULL);
}

static void expect_refusal(struct fixture *f)
{
	struct vloop_req *reqs[4];

	assert_int_equal(vloop_queue_pop(f->queue, reqs, 4), -EPROTO);
	assert_int_equal(messages, 1);
	assert_int_equal(atomic_load(&f->queue->error), -EPROTO);
	assert_int_equal(vloop_queue_in_flight(f->queue), 0);
	/* It stays so, quietly. */
	assert_int_equal(vloop_queue_pop(f->queue, reqs, 4), -EPROTO);
	assert_int_equal(messages, 1);
	fixture_free(f);
}

static struct split_desc desc_of(uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	return (struct split_desc){ addr, len, flags, next };
}

/* Offer the chain that begins at @head. */
static void offer(struct fixture *f, uint16_t head)
{
	struct split_avail *avail = f->driver.avail;

	avail->ring[avail->idx % 16] = head;
	avail->idx++;
}

static void test_split_bad_head(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 0);
	offer(&f, 16);
	expect_refusal(&f);
}

static void test_split_index_jump(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 0);
	f.driver.avail->idx = 17;
	expect_refusal(&f);
}

static void test_split_loop(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 0);
	f.driver.desc[0] = desc_of(guest_of(DATA_OFFSET), 1, DESC_NEXT, 1);
	f.driver.desc[1] = desc_of(guest_of(DATA_OFFSET), 0, DESC_NEXT, 0);
	offer(&f, 0);
	expect_refusal(&f);
}

static void test_split_next_out_of_range(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 0);
	f.driver.desc[0] = desc_of(guest_of(DATA_OFFSET), 1, DESC_NEXT, 16);
	offer(&f, 0);
	expect_refusal(&f);
}

static void test_split_bad_buffers(void **state)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
	} bad[] = {
		{ 0, 1 },			      /* below all regions */
		{ GUEST_BASE - 1, 2 },		      /* begins before */
		{ GUEST_BASE + MEM_SIZE, 1 },	      /* begins behind */
		{ GUEST_BASE + MEM_SIZE - 1, 2 },     /* ends behind */
		{ GUEST_BASE, UINT32_MAX },	      /* much too long */
		{ UINT64_MAX, 2 },		      /* wraps around */
		{ UINT64_MAX - 0xfff, 0x2000 },
		{ USER_BASE, 1 },		      /* an address of the wrong kind */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct fixture f;

		begin(&f, 0);
		f.driver.desc[3] = desc_of(bad[i].addr, bad[i].len, DESC_WRITE, 0);
		offer(&f, 3);
		expect_refusal(&f);
	}
}

static void test_split_wrong_order(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 0);
	f.driver.desc[0] = desc_of(guest_of(DATA_OFFSET), 1, DESC_WRITE | DESC_NEXT, 1);
	f.driver.desc[1] = desc_of(guest_of(DATA_OFFSET), 1, 0, 0);
	offer(&f, 0);
	expect_refusal(&f);
}

/* The same chain again before it was given back: the first one is served. */
static void test_split_offered_twice(void **state)
{
	struct vloop_req *reqs[4];
	struct fixture f;

	(void)state;
	begin(&f, 0);
	f.driver.desc[5] = desc_of(guest_of(DATA_OFFSET), 1, DESC_WRITE, 0);
	offer(&f, 5);
	offer(&f, 5);
	assert_int_equal(vloop_queue_pop(f.queue, reqs, 4), 1);
	vloop_queue_complete(f.queue, reqs[0], 1);
	vloop_queue_flush(f.queue);
	assert_int_equal(f.driver.used->idx, 1);
	expect_refusal(&f);
}

static void test_split_too_many_segments(void **state)
{
	struct fixture f;
	struct split_desc *table;

	(void)state;
	begin(&f, INDIR);
	table = (void *)(f.mem + TABLE_OFFSET);
	for (uint16_t i = 0; i < 65; i++)
		table[i] = desc_of(guest_of(DATA_OFFSET), 1, DESC_NEXT, (uint16_t)(i + 1));
	table[64].flags = 0;
	f.driver.desc[0] = desc_of(guest_of(TABLE_OFFSET), 65 * 16, DESC_INDIRECT, 0);
	offer(&f, 0);
	expect_refusal(&f);
}

static void test_split_bad_indirect(void **state)
{
	static const struct {
		struct split_desc desc, inner;
		uint64_t features;
	} bad[] = {
		/* not negotiated */
		{ { GUEST_BASE + TABLE_OFFSET, 16, DESC_INDIRECT, 0 }, { 0, 0, 0, 0 }, 0 },
		/* no descriptor, half a descriptor */
		{ { GUEST_BASE + TABLE_OFFSET, 0, DESC_INDIRECT, 0 }, { 0, 0, 0, 0 }, INDIR },
		{ { GUEST_BASE + TABLE_OFFSET, 24, DESC_INDIRECT, 0 }, { 0, 0, 0, 0 }, INDIR },
		/* outside; across the end of memory */
		{ { 0, 16, DESC_INDIRECT, 0 }, { 0, 0, 0, 0 }, INDIR },
		{ { GUEST_BASE + MEM_SIZE - 16, 32, DESC_INDIRECT, 0 }, { 0, 0, 0, 0 }, INDIR },
		/* more than a table */
		{ { GUEST_BASE + TABLE_OFFSET, 16, DESC_INDIRECT | DESC_NEXT, 1 },
		  { 0, 0, 0, 0 },
		  INDIR },
		/* a table inside of a table; a next one beyond the table; a circle */
		{ { GUEST_BASE + TABLE_OFFSET, 16, DESC_INDIRECT, 0 },
		  { GUEST_BASE + TABLE_OFFSET, 16, DESC_INDIRECT, 0 },
		  INDIR },
		{ { GUEST_BASE + TABLE_OFFSET, 16, DESC_INDIRECT, 0 },
		  { GUEST_BASE + DATA_OFFSET, 16, DESC_NEXT, 1 },
		  INDIR },
		{ { GUEST_BASE + TABLE_OFFSET, 16, DESC_INDIRECT, 0 },
		  { GUEST_BASE + DATA_OFFSET, 0, DESC_NEXT, 0 },
		  INDIR },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct fixture f;

		begin(&f, bad[i].features);
		memcpy(f.mem + TABLE_OFFSET, &bad[i].inner, sizeof(bad[i].inner));
		f.driver.desc[0] = bad[i].desc;
		offer(&f, 0);
		expect_refusal(&f);
	}
}

static struct packed_desc pdesc(uint64_t addr, uint32_t len, uint16_t id, uint16_t flags)
{
	return (struct packed_desc){ addr, len, id, (uint16_t)(flags | P_AVAIL) };
}

static void test_packed_bad_descriptors(void **state)
{
	static const struct packed_desc bad[][2] = {
		/* id beyond the ring */
		{ { GUEST_BASE + DATA_OFFSET, 1, 16, P_AVAIL }, { 0, 0, 0, 0 } },
		/* outside */
		{ { GUEST_BASE + MEM_SIZE, 1, 0, P_AVAIL }, { 0, 0, 0, 0 } },
		/* readable behind writable */
		{ { GUEST_BASE, 1, 0, P_AVAIL | DESC_NEXT | DESC_WRITE },
		  { GUEST_BASE, 1, 0, P_AVAIL } },
		/* a table that was not negotiated, a table in a chain */
		{ { GUEST_BASE + TABLE_OFFSET, 16, 0, P_AVAIL | DESC_INDIRECT }, { 0, 0, 0, 0 } },
		{ { GUEST_BASE + TABLE_OFFSET, 16, 0, P_AVAIL | DESC_INDIRECT | DESC_NEXT },
		  { GUEST_BASE, 1, 0, P_AVAIL } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct fixture f;

		begin(&f, i == 4 ? PACKED | INDIR : PACKED);
		memcpy(f.driver.pdesc, bad[i], sizeof(bad[i]));
		expect_refusal(&f);
	}
}

static void test_packed_bad_indirect(void **state)
{
	static const uint32_t bad_len[] = { 0, 8, 17, 32769 * 16, MEM_SIZE };

	(void)state;
	for (size_t i = 0; i < sizeof(bad_len) / sizeof(bad_len[0]); i++) {
		struct fixture f;

		begin(&f, PACKED | INDIR);
		f.driver.pdesc[0] = pdesc(guest_of(TABLE_OFFSET), bad_len[i], 0, DESC_INDIRECT);
		expect_refusal(&f);
	}
}

/* Every descriptor says that the chain goes on. */
static void test_packed_endless(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, PACKED);
	for (uint16_t i = 0; i < 16; i++)
		f.driver.pdesc[i] = pdesc(guest_of(DATA_OFFSET), 1, 0, DESC_NEXT);
	expect_refusal(&f);
}

static void test_packed_id_twice(void **state)
{
	struct vloop_req *reqs[4];
	struct fixture f;

	(void)state;
	begin(&f, PACKED);
	f.driver.pdesc[0] = pdesc(guest_of(DATA_OFFSET), 1, 3, DESC_WRITE);
	f.driver.pdesc[1] = pdesc(guest_of(DATA_OFFSET), 1, 3, DESC_WRITE);
	assert_int_equal(vloop_queue_pop(f.queue, reqs, 4), 1);
	vloop_queue_complete(f.queue, reqs[0], 1);
	/* The ring refuses the second one, although the first has been given back by now. */
	expect_refusal(&f);
}

/* More is offered than the ring has, while nothing was given back. */
static void test_packed_overrun(void **state)
{
	struct vloop_req *reqs[16];
	struct fixture f;

	(void)state;
	begin(&f, PACKED);
	for (uint16_t i = 0; i < 16; i++)
		f.driver.pdesc[i] = pdesc(guest_of(DATA_OFFSET), 1, i, DESC_WRITE);
	assert_int_equal(vloop_queue_pop(f.queue, reqs, 16), 16);
	/* The next lap: available is now the other way round. */
	f.driver.pdesc[0].flags = DESC_WRITE | 1U << 15;
	assert_int_equal(vloop_queue_pop(f.queue, reqs, 1), -EPROTO);
	assert_int_equal(messages, 1);
	assert_int_equal(vloop_queue_in_flight(f.queue), 16);
	fixture_free(&f);
}

/* Take one request, complete it and do not flush; what vloop_queue_pop() said. */
static int serve_one(struct fixture *f)
{
	struct vloop_req *req;
	int n = vloop_queue_pop(f->queue, &req, 1);

	if (n > 0)
		vloop_queue_complete(f->queue, req, 0);
	return n;
}

/* What was completed is offered again before the used index says that it is back. */
static void test_split_offered_before_flush(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 0);
	f.driver.desc[5] = desc_of(guest_of(DATA_OFFSET), 1, DESC_WRITE, 0);
	for (int i = 0; i < 16; i++) {
		offer(&f, 5);
		assert_int_equal(serve_one(&f), 1);
	}
	offer(&f, 5);
	expect_refusal(&f);
}

/* The same while others are in flight. */
static void test_split_offered_beside_others(void **state)
{
	struct vloop_req *reqs[16];
	struct fixture f;

	(void)state;
	begin(&f, 0);
	for (uint16_t i = 0; i < 12; i++) {
		f.driver.desc[i] = desc_of(guest_of(DATA_OFFSET), 1, DESC_WRITE, 0);
		offer(&f, i);
	}
	assert_int_equal(vloop_queue_pop(f.queue, reqs, 16), 12);
	vloop_queue_complete(f.queue, reqs[3], 1);
	for (int i = 0; i < 8; i++)
		offer(&f, 3);
	for (int i = 0; i < 4; i++)
		assert_int_equal(serve_one(&f), 1);
	assert_int_equal(serve_one(&f), -EPROTO);
	assert_int_equal(messages, 1);
	assert_int_equal(vloop_queue_in_flight(f.queue), 11);
	fixture_free(&f);
}

/* Chains of @count descriptors, again and again around the ring. */
static void offer_packed_before_flush(uint16_t count)
{
	struct fixture f;

	begin(&f, PACKED);
	for (uint16_t at = 0; at < 17; at++) {
		uint16_t flags = (at + 1) % count ? DESC_NEXT : 0;

		if (at % count == 0 && at)
			assert_int_equal(serve_one(&f), 1);
		f.driver.pdesc[at % 16] = pdesc(guest_of(DATA_OFFSET), 1, 3, flags);
	}
	/* The first one of the next lap: available is now the other way round. */
	f.driver.pdesc[0].flags = 1U << 15;
	expect_refusal(&f);
}

static void test_packed_offered_before_flush(void **state)
{
	(void)state;
	offer_packed_before_flush(1);
	offer_packed_before_flush(2);
	offer_packed_before_flush(8);
}

/* Rings that cannot be: outside of the memory, not aligned, of no possible size or position. */
static void test_bad_rings(void **state)
{
	struct fixture f;
	struct vloop_queue *queue;

	(void)state;
	begin(&f, 0);
	queue = f.queue;
	queue->num = 12;
	assert_int_equal(ring_open(queue), -EPROTO);
	queue->num = 16;
	queue->desc_addr = USER_BASE + 8;
	assert_int_equal(ring_open(queue), -EPROTO);
	queue->desc_addr = USER_BASE + MEM_SIZE - 16;
	assert_int_equal(ring_open(queue), -EPROTO);
	queue->desc_addr = USER_BASE;
	queue->used_addr = USER_BASE + USED_OFFSET + 2;
	assert_int_equal(ring_open(queue), -EPROTO);
	queue->used_addr = UINT64_MAX - 3;
	assert_int_equal(ring_open(queue), -EPROTO);
	queue->used_addr = USER_BASE + USED_OFFSET;
	queue->avail_addr = USER_BASE + AVAIL_OFFSET + 1;
	assert_int_equal(ring_open(queue), -EPROTO);
	/* Parts of one ring may lie in different regions, but one part may not lie in two. */
	queue->avail_addr = USER_BASE + MEM_SIZE / 2 - 8;
	assert_int_equal(ring_open(queue), -EPROTO);
	queue->avail_addr = USER_BASE + MEM_SIZE / 2;
	assert_int_equal(ring_open(queue), 0);
	fixture_free(&f);

	begin(&f, PACKED);
	f.queue->base = 16;
	assert_int_equal(ring_open(f.queue), -EPROTO);
	f.queue->base = 16U << 16;
	assert_int_equal(ring_open(f.queue), -EPROTO);
	f.queue->base = 15 | 15U << 16;
	assert_int_equal(ring_open(f.queue), 0);
	fixture_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split_bad_head),
		cmocka_unit_test(test_split_index_jump),
		cmocka_unit_test(test_split_loop),
		cmocka_unit_test(test_split_next_out_of_range),
		cmocka_unit_test(test_split_bad_buffers),
		cmocka_unit_test(test_split_wrong_order),
		cmocka_unit_test(test_split_offered_twice),
		cmocka_unit_test(test_split_too_many_segments),
		cmocka_unit_test(test_split_bad_indirect),
		cmocka_unit_test(test_packed_bad_descriptors),
		cmocka_unit_test(test_packed_bad_indirect),
		cmocka_unit_test(test_packed_endless),
		cmocka_unit_test(test_packed_id_twice),
		cmocka_unit_test(test_packed_overrun),
		cmocka_unit_test(test_split_offered_before_flush),
		cmocka_unit_test(test_split_offered_beside_others),
		cmocka_unit_test(test_packed_offered_before_flush),
		cmocka_unit_test(test_bad_rings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
