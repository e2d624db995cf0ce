/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Events on their way to a driver: order, packets, what happens when the driver takes none.
 */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stream.h"

static struct input_desc desc;
static struct stream stream;

/* Where a test sets it: the allocation that fails. */
static unsigned int fail_at;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
	return fail_at && !--fail_at ? NULL : __real_calloc(n, size);
}

static int make_stream(void **state)
{
	(void)state;
	desc_init(&desc);
	desc_set(&desc, EV_KEY, KEY_A);
	desc_set(&desc, EV_KEY, KEY_B);
	desc_set(&desc, EV_REL, REL_X);
	desc_set(&desc, EV_REL, REL_Y);
	desc_set(&desc, EV_LED, LED_CAPSL);
	desc_set(&desc, EV_REP, REP_DELAY);
	return stream_init(&stream, &desc);
}

static int free_stream(void **state)
{
	(void)state;
	stream_free(&stream);
	return 0;
}

static void event(unsigned int type, unsigned int code, int32_t value)
{
	stream_event(&stream, type, code, value);
}

static void sync_packet(void)
{
	event(EV_SYN, SYN_REPORT, 0);
}

/* A packet of two movements that can be told from all others. */
static void move(int32_t number)
{
	event(EV_REL, REL_X, number);
	event(EV_REL, REL_Y, -number);
	sync_packet();
}

static void take(unsigned int type, unsigned int code, int32_t value)
{
	const struct virtio_input_event *e;

	assert_true(stream_ready(&stream) > 0);
	e = stream_peek(&stream);
	assert_int_equal(le16toh(e->type), type);
	assert_int_equal(le16toh(e->code), code);
	assert_int_equal((int32_t)le32toh(e->value), value);
	stream_take(&stream);
}

static void take_move(int32_t number)
{
	take(EV_REL, REL_X, number);
	take(EV_REL, REL_Y, -number);
	take(EV_SYN, SYN_REPORT, 0);
}

static void take_state(bool a, bool b)
{
	for (int down = 0; down < 2; down++) {
		if (a == down)
			take(EV_KEY, KEY_A, a);
		if (b == down)
			take(EV_KEY, KEY_B, b);
	}
	take(EV_SYN, SYN_REPORT, 0);
}

static void assert_nothing(void)
{
	assert_int_equal(stream_ready(&stream), 0);
}

static void start(void)
{
	stream_start(&stream);
	take_state(false, false);
	assert_nothing();
}

static void test_order(void **state)
{
	(void)state;
	start();
	/* Far more than the ring has, so that it wraps at every place of a packet. */
	for (int32_t i = 1; i <= 10000; i++) {
		move(i);
		move(-i);
		take_move(i);
		take_move(-i);
		assert_nothing();
	}
	assert_int_equal(stream.stats.dropped, 0);
	assert_int_equal(stream.stats.overflows, 0);
	assert_int_equal(stream.stats.sent, 60003);
}

/* A packet can be taken when it is whole. */
static void test_whole_packets(void **state)
{
	(void)state;
	start();
	event(EV_REL, REL_X, 1);
	assert_nothing();
	event(EV_REL, REL_Y, 2);
	assert_nothing();
	sync_packet();
	take(EV_REL, REL_X, 1);
	event(EV_REL, REL_X, 3);
	take(EV_REL, REL_Y, 2);
	take(EV_SYN, SYN_REPORT, 0);
	assert_nothing();
	sync_packet();
	take(EV_REL, REL_X, 3);
	take(EV_SYN, SYN_REPORT, 0);
}

/* What only drivers send does not come back; key repeats are the driver's where there is EV_REP. */
static void test_left_out(void **state)
{
	(void)state;
	start();
	event(EV_LED, LED_CAPSL, 1);
	sync_packet();
	assert_nothing();
	event(EV_KEY, KEY_A, 1);
	event(EV_LED, LED_CAPSL, 0);
	sync_packet();
	take(EV_KEY, KEY_A, 1);
	take(EV_SYN, SYN_REPORT, 0);
	event(EV_KEY, KEY_A, 2);
	event(EV_SYN, SYN_REPORT, 1);
	assert_nothing();
	event(EV_SYN, SYN_MT_REPORT, 0);
	sync_packet();
	take(EV_SYN, SYN_MT_REPORT, 0);
	take(EV_SYN, SYN_REPORT, 0);
}

static void test_own_repeats(void **state)
{
	(void)state;
	memset(desc.bits[EV_REP], 0, sizeof(desc.bits[EV_REP]));
	start();
	event(EV_KEY, KEY_A, 2);
	event(EV_SYN, SYN_REPORT, 1);
	take(EV_KEY, KEY_A, 2);
	take(EV_SYN, SYN_REPORT, 1);
}

/* The driver took a part of a packet, then nothing for long: it gets the rest, and the state. */
static void test_overflow(void **state)
{
	uint64_t given = 0;

	(void)state;
	start();
	move(1);
	take(EV_REL, REL_X, 1);
	event(EV_KEY, KEY_A, 1);
	sync_packet();
	for (int32_t i = 2; !stream.stats.overflows; i++)
		move(i);
	assert_true(stream.stats.dropped > STREAM_EVENTS);
	event(EV_KEY, KEY_B, 1);
	sync_packet();
	event(EV_KEY, KEY_A, 0);
	sync_packet();
	take(EV_REL, REL_Y, -1);
	take(EV_SYN, SYN_REPORT, 0);
	take_state(false, true);
	given = stream.stats.dropped;
	/* In step again. */
	move(5);
	take_move(5);
	assert_nothing();
	assert_int_equal(stream.stats.dropped, given);
	assert_int_equal(stream.stats.overflows, 1);
}

/* Every event is sent or counted as dropped. */
static void test_counts(void **state)
{
	uint64_t put = 0;

	(void)state;
	start();
	stream.stats.sent = 0;
	for (int round = 0; round < 5; round++) {
		for (int32_t i = 0; i < 3000; i++) {
			move(i);
			put += 3;
		}
		assert_int_equal(stream.stats.overflows, round + 1);
		take_state(false, false);
		stream.stats.sent -= 3;
		move(0);
		put += 3;
		take_move(0);
		assert_nothing();
		assert_int_equal(stream.stats.sent + stream.stats.dropped, put);
	}
}

/* The state is not sent in the middle of a packet: a driver would see half of it twice. */
static void test_state_between_packets(void **state)
{
	(void)state;
	event(EV_KEY, KEY_A, 1);
	stream_start(&stream);
	assert_nothing();
	event(EV_REL, REL_X, 4);
	assert_nothing();
	sync_packet();
	take_state(true, false);
	move(1);
	take_move(1);
	assert_nothing();
}

/* A source that never ends its packet: bounded, and what comes after the end is right. */
static void test_endless_packet(void **state)
{
	(void)state;
	start();
	for (int32_t i = 0; i < 100000; i++)
		event(EV_REL, REL_X, i);
	event(EV_KEY, KEY_A, 1);
	assert_int_equal(stream.stats.overflows, 1);
	assert_nothing();
	sync_packet();
	take_state(true, false);
	move(1);
	take_move(1);
	assert_nothing();
}

static void test_unplugged(void **state)
{
	(void)state;
	start();
	event(EV_KEY, KEY_A, 1);
	sync_packet();
	event(EV_KEY, KEY_B, 1);
	stream_release(&stream);
	/* What was whole is not lost. */
	take(EV_KEY, KEY_A, 1);
	take(EV_SYN, SYN_REPORT, 0);
	take_state(false, false);
	move(1);
	take_move(1);
	assert_nothing();
}

/* A driver that comes, or comes back, gets the state, and nothing of what was before. */
static void test_restart(void **state)
{
	(void)state;
	move(1);
	event(EV_KEY, KEY_B, 1);
	sync_packet();
	assert_nothing();
	stream_start(&stream);
	take_state(false, true);
	move(2);
	take(EV_REL, REL_X, 2);
	stream_stop(&stream);
	assert_nothing();
	event(EV_KEY, KEY_B, 0);
	sync_packet();
	stream_release(&stream);
	assert_nothing();
	stream_start(&stream);
	take_state(false, false);
	assert_nothing();
}

static void test_no_memory(void **state)
{
	(void)state;
	desc_init(&desc);
	desc_set(&desc, EV_ABS, ABS_MT_SLOT);
	desc.abs[ABS_MT_SLOT].max = 9;
	for (unsigned int nth = 1; nth <= 2; nth++) {
		fail_at = nth;
		assert_int_equal(stream_init(&stream, &desc), -ENOMEM);
		assert_int_equal(fail_at, 0);
		stream_free(&stream);
	}
}

#define TEST(name) { #name, name, make_stream, free_stream, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_order),	   TEST(test_whole_packets), TEST(test_left_out),
		TEST(test_own_repeats),	   TEST(test_overflow),	     TEST(test_counts),
		TEST(test_state_between_packets), TEST(test_endless_packet), TEST(test_unplugged),
		TEST(test_restart),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
