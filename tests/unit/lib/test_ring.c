/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests through split and packed rings, with and without event index and indirect descriptors.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include <cmocka.h>

#include "fixture.h"

#define SPLIT	0
#define EVENT	BIT64(F_EVENT_IDX)
#define INDIR	BIT64(F_INDIRECT_DESC)
#define PACKED	BIT64(F_RING_PACKED)

static int init(void **state, uint64_t features)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fixture_init(f, features, 16);
	*state = f;
	return 0;
}

static int init_split(void **state)
{
	return init(state, SPLIT);
}

static int init_split_all(void **state)
{
	return init(state, EVENT | INDIR);
}

static int init_packed(void **state)
{
	return init(state, PACKED);
}

static int init_packed_all(void **state)
{
	return init(state, PACKED | EVENT | INDIR);
}

static int finish(void **state)
{
	fixture_free(*state);
	free(*state);
	return 0;
}

/* What the driver sends arrives; what the device writes comes back, with its length. */
static void test_round_trip(void **state)
{
	struct fixture *f = *state;
	bool indirect = f->features & INDIR;
	struct buffer buffers[] = {
		{ guest_of(DATA_OFFSET), 5, false },
		{ guest_of(DATA_OFFSET + 4096), 6, false },
		{ guest_of(DATA_OFFSET + 8192), 4, true },
		{ guest_of(DATA_OFFSET + 12288), 100, true },
	};
	struct vloop_req *reqs[4];
	uint32_t id, len;
	char text[16];

	memcpy(f->mem + DATA_OFFSET, "hello", 5);
	memcpy(f->mem + DATA_OFFSET + 4096, " world", 6);
	assert_true(driver_add(&f->driver, buffers, 4, indirect) >= 0);
	assert_int_equal(vloop_queue_pop(f->queue, reqs, 4), 0);
	driver_publish(&f->driver);
	assert_int_equal(vloop_queue_pop(f->queue, reqs, 4), 1);
	assert_int_equal(vloop_queue_in_flight(f->queue), 1);
	assert_int_equal(reqs[0]->n_readable, 2);
	assert_int_equal(reqs[0]->n_writable, 2);
	assert_int_equal(reqs[0]->readable_len, 11);
	assert_int_equal(reqs[0]->writable_len, 104);
	assert_int_equal(vloop_req_read(reqs[0], 3, text, sizeof(text)), 8);
	assert_memory_equal(text, "lo world", 8);
	assert_int_equal(vloop_req_write(reqs[0], 2, "abcdef", 6), 6);
	assert_memory_equal(f->mem + DATA_OFFSET + 8192 + 2, "ab", 2);
	assert_memory_equal(f->mem + DATA_OFFSET + 12288, "cdef", 4);
	assert_false(driver_used(&f->driver, &id, &len));
	vloop_queue_complete(f->queue, reqs[0], 8);
	assert_false(driver_used(&f->driver, &id, &len));
	vloop_queue_flush(f->queue);
	assert_true(driver_used(&f->driver, &id, &len));
	assert_int_equal(len, 8);
	assert_int_equal(vloop_queue_in_flight(f->queue), 0);
	assert_int_equal(vloop_queue_pop(f->queue, reqs, 4), 0);
}

/* A length beyond the writable bytes would make the driver read what nobody wrote. */
static void test_written_is_clamped(void **state)
{
	struct fixture *f = *state;
	struct buffer buffer = { guest_of(DATA_OFFSET), 64, true };
	struct vloop_req *req;
	uint32_t id, len;

	driver_add(&f->driver, &buffer, 1, false);
	driver_publish(&f->driver);
	assert_int_equal(vloop_queue_pop(f->queue, &req, 1), 1);
	vloop_queue_complete(f->queue, req, 65);
	vloop_queue_flush(f->queue);
	assert_true(driver_used(&f->driver, &id, &len));
	assert_int_equal(len, 64);
}

/* A buffer across two memory regions is two pieces; empty buffers are none. */
static void test_pieces(void **state)
{
	struct fixture *f = *state;
	struct buffer buffers[] = {
		{ guest_of(0), 0, false },
		{ guest_of(MEM_SIZE / 2 - 10), 30, false },
		{ 0, 0, true },
	};
	struct vloop_req *req;

	driver_add(&f->driver, buffers, 3, false);
	driver_publish(&f->driver);
	assert_int_equal(vloop_queue_pop(f->queue, &req, 1), 1);
	assert_int_equal(req->n_readable, 2);
	assert_int_equal(req->readable[0].iov_len, 10);
	assert_int_equal(req->readable[1].iov_len, 20);
	assert_int_equal(req->n_writable, 0);
	vloop_queue_complete(f->queue, req, 0);
}

/* A pseudo-random walk that is the same every time. */
static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/*
 * Many laps around the ring with chains of different lengths, completed in another order and in batches:
 * each request comes back once, with its own length.
 */
static void test_laps(void **state)
{
	struct fixture *f = *state;
	struct vloop_req *held[16];
	uint32_t expected[16] = { 0 }, seed = 1, added = 0, returned = 0, id, len;
	unsigned int num_held = 0;
	bool out[16] = { false };

	while (returned < 200000) {
		for (uint32_t tries = next_random(&seed) % 6; tries; tries--) {
			unsigned int n = 1 + next_random(&seed) % 4;
			struct buffer buffers[4];
			int got;

			for (unsigned int i = 0; i < n; i++)
				buffers[i] = (struct buffer){ guest_of(DATA_OFFSET + i * 4096),
							      100 + i, i > 0 };
			got = driver_add(&f->driver, buffers, n,
					 (f->features & INDIR) && next_random(&seed) % 2);
			if (got < 0)
				break;
			assert_false(out[got]);
			out[got] = true;
			expected[got] = (added++) % 100;
			if (n == 1)
				expected[got] = 0;
		}
		driver_publish(&f->driver);
		for (;;) {
			int n = vloop_queue_pop(f->queue, &held[num_held], 3);

			assert_true(n >= 0);
			if (n == 0)
				break;
			num_held += (unsigned int)n;
		}
		for (uint32_t n = next_random(&seed) % (num_held + 1); n; n--) {
			unsigned int i = next_random(&seed) % num_held;
			struct vloop_req *req = held[i];

			held[i] = held[--num_held];
			vloop_queue_complete(f->queue, req, expected[req->id_]);
		}
		vloop_queue_flush(f->queue);
		while (driver_used(&f->driver, &id, &len)) {
			assert_true(id < 16 && out[id]);
			assert_int_equal(len, expected[id]);
			out[id] = false;
			returned++;
		}
	}
}

/* Fill the ring, with chains of one or two descriptors, some of them in tables. */
static void fill_ring(struct fixture *f, uint32_t *seed)
{
	const struct buffer buffers[] = {
		{ guest_of(DATA_OFFSET), 16, false },
		{ guest_of(DATA_OFFSET + 4096), 16, true },
	};
	bool table;

	do
		table = (f->features & INDIR) && next_random(seed) % 2;
	while (driver_add(&f->driver, buffers, 1 + next_random(seed) % 2, table) >= 0);
	while (driver_add(&f->driver, buffers, 1, false) >= 0)
		;
	driver_publish(&f->driver);
}

static void keep_full(uint64_t features, uint16_t size)
{
	struct vloop_req *held[16];
	unsigned int num = 0;
	uint32_t seed = size, id, len;
	struct fixture f;

	fixture_init(&f, features, size);
	for (int lap = 0; lap < 300; lap++) {
		fill_ring(&f, &seed);
		while (num < size && vloop_queue_pop(f.queue, &held[num], 1) == 1)
			num++;
		assert_true(num > 0);
		for (uint32_t n = next_random(&seed) % (num + 1); n; n--) {
			unsigned int i = next_random(&seed) % num;
			struct vloop_req *more;

			vloop_queue_complete(f.queue, held[i], 0);
			held[i] = held[--num];
			assert_int_equal(vloop_queue_pop(f.queue, &more, 1), 0);
		}
		vloop_queue_flush(f.queue);
		while (driver_used(&f.driver, &id, &len))
			;
		/* Every few laps, stopped and started when nothing is out. */
		if (num == 0 && lap % 3 == 0) {
			ring_close(f.queue);
			assert_int_equal(ring_open(f.queue), 0);
		}
	}
	assert_int_equal(atomic_load(&f.queue->error), 0);
	while (num)
		vloop_queue_complete(f.queue, held[--num], 0);
	fixture_free(&f);
}

/* A driver that always offers as much as it may is not refused, whatever has not been flushed yet. */
static void test_full_ring(void **state)
{
	(void)state;
	for (uint16_t size = 1; size <= 16; size++) {
		if (!(size & (size - 1))) {
			keep_full(SPLIT, size);
			keep_full(EVENT | INDIR, size);
		}
		keep_full(PACKED, size);
		keep_full(PACKED | EVENT | INDIR, size);
	}
}

static void add_one(struct fixture *f)
{
	struct buffer buffer = { guest_of(DATA_OFFSET), 64, true };

	assert_true(driver_add(&f->driver, &buffer, 1, false) >= 0);
	driver_publish(&f->driver);
}

/* Kicks are wanted when the ring was found empty, and not while the device is busy. */
static void test_kicks(void **state)
{
	struct fixture *f = *state;
	bool event = f->features & EVENT;
	struct vloop_req *req;

	for (int lap = 0; lap < 40; lap++) {
		uint32_t id, len;

		assert_int_equal(vloop_queue_pop(f->queue, &req, 1), 0);
		add_one(f);
		assert_true(driver_wants_kick(&f->driver, event, 1));
		assert_int_equal(vloop_queue_pop(f->queue, &req, 1), 1);
		add_one(f);
		assert_false(driver_wants_kick(&f->driver, event, 1));
		vloop_queue_complete(f->queue, req, 1);
		assert_int_equal(vloop_queue_pop(f->queue, &req, 1), 1);
		vloop_queue_complete(f->queue, req, 1);
		vloop_queue_flush(f->queue);
		while (driver_used(&f->driver, &id, &len))
			;
	}
}

/* One signal for a batch, and none that the driver does not want. */
static void test_calls(void **state)
{
	struct fixture *f = *state;
	bool event = f->features & EVENT;
	struct vloop_req *reqs[8];
	uint32_t id, len;

	for (int lap = 0; lap < 40; lap++) {
		if (event)
			driver_call_after(&f->driver, 3);
		else
			driver_calls_on(&f->driver);
		for (int i = 0; i < 5; i++)
			add_one(f);
		assert_int_equal(vloop_queue_pop(f->queue, reqs, 8), 5);
		vloop_queue_flush(f->queue);
		assert_int_equal(fixture_calls(f), 0);
		vloop_queue_complete(f->queue, reqs[0], 1);
		vloop_queue_complete(f->queue, reqs[1], 1);
		vloop_queue_flush(f->queue);
		assert_int_equal(fixture_calls(f), event ? 0 : 1);
		vloop_queue_complete(f->queue, reqs[2], 1);
		vloop_queue_complete(f->queue, reqs[3], 1);
		vloop_queue_flush(f->queue);
		assert_int_equal(fixture_calls(f), 1);
		if (!event)
			driver_calls_off(&f->driver);
		vloop_queue_complete(f->queue, reqs[4], 1);
		vloop_queue_flush(f->queue);
		assert_int_equal(fixture_calls(f), 0);
		while (driver_used(&f->driver, &id, &len))
			;
	}
}

/* A queue that stops and starts goes on where it was. */
static void test_base(void **state)
{
	struct fixture *f = *state;
	struct vloop_req *req;
	uint32_t id, len;

	for (int lap = 0; lap < 40; lap++) {
		add_one(f);
		assert_int_equal(vloop_queue_pop(f->queue, &req, 1), 1);
		vloop_queue_complete(f->queue, req, 7);
		vloop_queue_flush(f->queue);
		ring_close(f->queue);
		assert_int_equal(ring_open(f->queue), 0);
		assert_true(driver_used(&f->driver, &id, &len));
		assert_int_equal(len, 7);
		assert_int_equal(vloop_queue_pop(f->queue, &req, 1), 0);
	}
}

#define ALL(test)                                                                                  \
	{ #test " split", test, init_split, finish, NULL },                                        \
		{ #test " split event indirect", test, init_split_all, finish, NULL },             \
		{ #test " packed", test, init_packed, finish, NULL },                              \
		{ #test " packed event indirect", test, init_packed_all, finish, NULL }

/* Taking note of a kick never waits, even where the descriptor would and the kick is gone. */
static void test_ack_kick(void **state)
{
	struct fixture *f = *state;
	int fd = eventfd(3, EFD_CLOEXEC);
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	assert_true(fd >= 0);
	queue_set_kick(f->queue, fd);
	assert_int_equal(poll(&pfd, 1, 0), 1);
	vloop_queue_ack_kick(f->queue);
	assert_int_equal(poll(&pfd, 1, 0), 0);
	vloop_queue_ack_kick(f->queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALL(test_round_trip), ALL(test_written_is_clamped), ALL(test_pieces),
		ALL(test_laps),	      ALL(test_kicks),		    ALL(test_calls),
		ALL(test_base),	      ALL(test_ack_kick),
		cmocka_unit_test(test_full_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
