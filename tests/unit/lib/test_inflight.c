/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests that were in flight when a back-end ended are taken again by its successor, in order and
 * once.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

#define SIZE 16

static void begin(struct fixture *f)
{
	struct vhost_user_inflight info = { .num_queues = 1, .queue_size = SIZE };
	int fd;

	fixture_init(f, 0, SIZE);
	assert_int_equal(inflight_create(f->dev, &info, &fd), 0);
	assert_true(info.mmap_size >= 16 + 16 * SIZE);
	close(fd);
	assert_false(inflight_left(f->queue));
	assert_int_equal(ring_open(f->queue), 0);
	/* A process that comes later does not wait to be kicked for what this one leaves. */
	assert_true(inflight_left(f->queue));
}

static int add(struct fixture *f)
{
	struct buffer buffer = { guest_of(DATA_OFFSET), 64, true };
	int id = driver_add(&f->driver, &buffer, 1, false);

	assert_true(id >= 0);
	driver_publish(&f->driver);
	return id;
}

static void expect_pop(struct fixture *f, const int *ids, int n)
{
	struct vloop_req *reqs[SIZE];

	assert_int_equal(vloop_queue_pop(f->queue, reqs, SIZE), n);
	for (int i = 0; i < n; i++) {
		assert_int_equal(reqs[i]->id_, ids[i]);
		vloop_queue_complete(f->queue, reqs[i], 1);
	}
	vloop_queue_flush(f->queue);
	assert_int_equal(vloop_queue_pop(f->queue, reqs, SIZE), 0);
}

static unsigned int count_used(struct fixture *f)
{
	unsigned int n = 0;
	uint32_t id, len;

	while (driver_used(&f->driver, &id, &len))
		n++;
	return n;
}

/* Some are completed, in another order; the rest comes again in the order of submission. */
static void test_resubmit(void **state)
{
	struct vloop_req *reqs[SIZE];
	struct fixture f;
	int ids[8], rest[7];

	(void)state;
	begin(&f);
	/* Several times around the ring first, so that no index is what it was at the start. */
	for (int i = 0; i < 5 * SIZE + 3; i++) {
		ids[0] = add(&f);
		expect_pop(&f, ids, 1);
		assert_int_equal(count_used(&f), 1);
	}
	for (int i = 0; i < 6; i++)
		ids[i] = add(&f);
	assert_int_equal(vloop_queue_pop(f.queue, reqs, SIZE), 6);
	vloop_queue_complete(f.queue, reqs[4], 1);
	vloop_queue_complete(f.queue, reqs[1], 1);
	vloop_queue_flush(f.queue);
	ids[6] = add(&f);
	fixture_reopen(&f);
	rest[0] = ids[0];
	rest[1] = ids[2];
	rest[2] = ids[3];
	rest[3] = ids[5];
	rest[4] = ids[6];
	expect_pop(&f, rest, 5);
	assert_int_equal(count_used(&f), 7);
	/* And it goes on as if nothing had been. */
	fixture_reopen(&f);
	for (int i = 0; i < 3 * SIZE; i++) {
		ids[0] = add(&f);
		expect_pop(&f, ids, 1);
		assert_int_equal(count_used(&f), 1);
	}
	fixture_free(&f);
}

/* It ended after completing some and before publishing them: all come again. */
static void test_not_published(void **state)
{
	struct vloop_req *reqs[SIZE];
	struct fixture f;
	int ids[3];

	(void)state;
	begin(&f);
	for (int i = 0; i < 3; i++)
		ids[i] = add(&f);
	assert_int_equal(vloop_queue_pop(f.queue, reqs, SIZE), 3);
	vloop_queue_complete(f.queue, reqs[2], 1);
	vloop_queue_complete(f.queue, reqs[0], 1);
	fixture_reopen(&f);
	expect_pop(&f, ids, 3);
	assert_int_equal(count_used(&f), 3);
	fixture_free(&f);
}

/* It ended after publishing some and before it could clear their marks: those do not come again. */
static void test_not_cleared(void **state)
{
	struct vloop_req *reqs[SIZE];
	struct fixture f;
	int ids[5], rest[3];

	(void)state;
	begin(&f);
	for (int i = 0; i < 5; i++)
		ids[i] = add(&f);
	assert_int_equal(vloop_queue_pop(f.queue, reqs, SIZE), 5);
	vloop_queue_complete(f.queue, reqs[0], 1);
	vloop_queue_flush(f.queue);
	vloop_queue_complete(f.queue, reqs[3], 1);
	vloop_queue_complete(f.queue, reqs[1], 1);
	/* As split_flush() does it, up to the moment of its end. */
	f.driver.used->idx = htole16(f.queue->split.used_idx);
	fixture_reopen(&f);
	rest[0] = ids[2];
	rest[1] = ids[4];
	expect_pop(&f, rest, 2);
	assert_int_equal(count_used(&f), 5);
	fixture_free(&f);
}

/* Take one request, complete it and do not flush; what vloop_queue_pop() said. */
static int serve_one(struct fixture *f)
{
	struct vloop_req *req;
	int n = vloop_queue_pop(f->queue, &req, 1);

	if (n > 0)
		vloop_queue_complete(f->queue, req, 1);
	return n;
}

/*
 * A full ring is recovered: requests taken again and requests completed but not flushed are all that
 * an honest driver can have out, and nobody is refused.
 */
static void test_full_ring(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	for (int i = 0; i < SIZE; i++)
		add(&f);
	for (int i = 0; i < SIZE / 2; i++)
		assert_int_equal(serve_one(&f), 1);
	fixture_reopen(&f);
	for (int lap = 0; lap < 5; lap++) {
		for (int i = 0; i < SIZE; i++)
			assert_int_equal(serve_one(&f), 1);
		assert_int_equal(serve_one(&f), 0);
		vloop_queue_flush(f.queue);
		assert_int_equal(count_used(&f), SIZE);
		for (int i = 0; i < SIZE; i++)
			add(&f);
	}
	fixture_free(&f);
}

/* The heads that the record asks for count, too: one offered again before the flush is too many. */
static void test_offered_before_flush(void **state)
{
	struct fixture f;
	int head = 0;

	(void)state;
	for (int recovered = 0; recovered < 2; recovered++) {
		begin(&f);
		for (int i = 0; i < SIZE / 2; i++)
			head = add(&f);
		if (recovered) {
			struct vloop_req *reqs[SIZE];

			assert_int_equal(vloop_queue_pop(f.queue, reqs, SIZE), SIZE / 2);
			fixture_reopen(&f);
		}
		for (int i = 0; i < SIZE; i++) {
			assert_int_equal(serve_one(&f), 1);
			/* What the driver sees in the used ring before the index. */
			f.driver.avail->ring[f.driver.avail_idx++ % SIZE] = htole16(head);
			driver_publish(&f.driver);
		}
		assert_int_equal(serve_one(&f), -EPROTO);
		assert_int_equal(atomic_load(&f.queue->error), -EPROTO);
		vloop_queue_flush(f.queue);
		assert_int_equal(le16toh(f.driver.used->idx), SIZE);
		fixture_free(&f);
	}
}

/* A record that is garbage leads to requests that are refused or done again, to nothing else. */
static void test_garbage(void **state)
{
	uint32_t seed = 7;

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct vloop_req *reqs[SIZE];
		struct fixture f;
		uint8_t *record;
		int n;

		begin(&f);
		for (int i = 0; i < 4; i++)
			add(&f);
		assert_int_equal(vloop_queue_pop(f.queue, reqs, 2), 2);
		record = f.dev->inflight_map;
		for (size_t i = 10; i < f.dev->inflight_map_len; i++) {
			seed = seed * 1664525 + 1013904223;
			record[i] = (uint8_t)(i % 16 == 0 ? seed >> 24 & 1 : seed >> 16);
		}
		fixture_reopen(&f);
		n = vloop_queue_pop(f.queue, reqs, SIZE);
		assert_true(n <= SIZE && (n >= 0 || n == -EPROTO));
		while (n > 0)
			vloop_queue_complete(f.queue, reqs[--n], 0);
		fixture_free(&f);
	}
}

/* The front-end has the file of the record, and cannot take the memory away from under the device. */
static void test_sealed(void **state)
{
	struct vhost_user_inflight info = { .num_queues = 1, .queue_size = SIZE };
	struct fixture f;
	int fd;

	(void)state;
	fixture_init(&f, 0, SIZE);
	assert_int_equal(inflight_create(f.dev, &info, &fd), 0);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, (off_t)info.mmap_size + 4096), -1);
	assert_int_equal(errno, EPERM);
	/* Nor what the successor needs: to map it for writing, as this one did. */
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(inflight_set(f.dev, &info, fd), 0);
	close(fd);
	fixture_free(&f);
}

/* A packed ring has no record; front-ends are told so by its size. */
static void test_packed_has_none(void **state)
{
	struct vhost_user_inflight info = { 77, 77, 1, SIZE, 0 };
	struct fixture f;
	int fd;

	(void)state;
	fixture_init(&f, BIT64(F_RING_PACKED), SIZE);
	assert_int_equal(inflight_create(f.dev, &info, &fd), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(info.mmap_size, 0);
	assert_null(f.dev->inflight_map);
	fixture_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resubmit),    cmocka_unit_test(test_not_published),
		cmocka_unit_test(test_not_cleared), cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_full_ring),   cmocka_unit_test(test_offered_before_flush),
		cmocka_unit_test(test_sealed),
		cmocka_unit_test(test_packed_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
