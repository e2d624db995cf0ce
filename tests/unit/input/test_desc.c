/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the configuration space answers (virtio 1.3, 5.8.5), and the state as it is sent to drivers.
 */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "desc.h"

static struct input_desc desc;

static int make_desc(void **state)
{
	(void)state;
	desc_init(&desc);
	strcpy(desc.name, "a device");
	strcpy(desc.serial, "s-1");
	desc.id = (struct input_id){ 0x0003, 0x1234, 0x5678, 0x9abc };
	desc.properties[0] = 1 << INPUT_PROP_DIRECT;
	desc_set(&desc, EV_KEY, KEY_A);
	desc_set(&desc, EV_KEY, KEY_B);
	desc_set(&desc, EV_REL, REL_WHEEL);
	desc_set(&desc, EV_ABS, ABS_X);
	desc.abs[ABS_X] = (struct desc_abs){ -5, 1000, 1, 2, 3 };
	return 0;
}

static void check(uint8_t select, uint8_t subsel, const void *bytes, size_t len)
{
	static const uint8_t zero[sizeof(struct virtio_input_config)];
	struct virtio_input_config config;

	memset(&config, 0xee, sizeof(config));
	desc_answer(&desc, select, subsel, &config);
	assert_int_equal(config.select, select);
	assert_int_equal(config.subsel, subsel);
	assert_int_equal(config.size, len);
	assert_memory_equal(config.reserved, zero, sizeof(config.reserved));
	assert_memory_equal(config.u.bitmap, bytes, len);
	assert_memory_equal(config.u.bitmap + len, zero, sizeof(config.u) - len);
}

static void test_answers(void **state)
{
	static const uint8_t ids[] = { 3, 0, 0x34, 0x12, 0x78, 0x56, 0xbc, 0x9a };
	static const uint8_t abs[] = { 0xfb, 0xff, 0xff, 0xff, 0xe8, 3, 0, 0, 1, 0,
				       0,    0,	   2,	 0,    0,    0, 3, 0, 0, 0 };
	uint8_t keys[KEY_B / 8 + 1] = { 0 };

	(void)state;
	check(VIRTIO_INPUT_CFG_UNSET, 0, NULL, 0);
	check(VIRTIO_INPUT_CFG_ID_NAME, 0, "a device", 8);
	check(VIRTIO_INPUT_CFG_ID_SERIAL, 0, "s-1", 3);
	check(VIRTIO_INPUT_CFG_ID_DEVIDS, 0, ids, sizeof(ids));
	check(VIRTIO_INPUT_CFG_PROP_BITS, 0, (uint8_t[]){ 1 << INPUT_PROP_DIRECT }, 1);
	keys[KEY_A / 8] = 1 << KEY_A % 8;
	keys[KEY_B / 8] |= 1 << KEY_B % 8;
	check(VIRTIO_INPUT_CFG_EV_BITS, EV_KEY, keys, sizeof(keys));
	check(VIRTIO_INPUT_CFG_EV_BITS, EV_REL, (uint8_t[]){ 0, 1 }, 2);
	check(VIRTIO_INPUT_CFG_EV_BITS, EV_ABS, (uint8_t[]){ 1 }, 1);
	check(VIRTIO_INPUT_CFG_ABS_INFO, ABS_X, abs, sizeof(abs));
}

/* All pairs of selectors; those of test_answers() are the only ones that exist. */
static void test_the_rest_is_empty(void **state)
{
	static const uint8_t exist[][2] = {
		{ VIRTIO_INPUT_CFG_ID_NAME, 0 },	 { VIRTIO_INPUT_CFG_ID_SERIAL, 0 },
		{ VIRTIO_INPUT_CFG_ID_DEVIDS, 0 },	 { VIRTIO_INPUT_CFG_PROP_BITS, 0 },
		{ VIRTIO_INPUT_CFG_EV_BITS, EV_KEY },	 { VIRTIO_INPUT_CFG_EV_BITS, EV_REL },
		{ VIRTIO_INPUT_CFG_EV_BITS, EV_ABS },	 { VIRTIO_INPUT_CFG_ABS_INFO, ABS_X },
	};
	unsigned int answers = 0;

	(void)state;
	for (unsigned int select = 0; select < 256; select++) {
		for (unsigned int subsel = 0; subsel < 256; subsel++) {
			struct virtio_input_config config;
			bool exists = false;

			for (size_t i = 0; i < sizeof(exist) / sizeof(exist[0]); i++)
				exists |= select == exist[i][0] && subsel == exist[i][1];
			desc_answer(&desc, (uint8_t)select, (uint8_t)subsel, &config);
			assert_int_equal(config.size != 0, exists);
			answers += exists;
			if (!exists)
				check((uint8_t)select, (uint8_t)subsel, NULL, 0);
		}
	}
	assert_int_equal(answers, sizeof(exist) / sizeof(exist[0]));
}

/* The largest answers fit, and end where their content does. */
static void test_largest(void **state)
{
	uint8_t bits[DESC_BITMAP];

	(void)state;
	memset(desc.name, 'x', DESC_STRING);
	check(VIRTIO_INPUT_CFG_ID_NAME, 0, desc.name, 128);
	memset(desc.bits[EV_KEY], 0xff, sizeof(desc.bits[EV_KEY]));
	memset(bits, 0xff, sizeof(bits));
	check(VIRTIO_INPUT_CFG_EV_BITS, EV_KEY, bits, KEY_CNT / 8);
	/* Codes that a type does not have are not set, wherever they would land. */
	desc_set(&desc, EV_LED, LED_CNT);
	desc_set(&desc, EV_CNT, 0);
	desc_set(&desc, EV_SYN, 0);
	assert_false(desc_has_type(&desc, EV_LED));
	assert_false(desc_has_type(&desc, EV_SYN));
	assert_false(desc_has(&desc, 0xffffffff, 0));
	assert_false(desc_has(&desc, EV_KEY, 0xffffffff));
}

/* ---- state ---- */

struct seen {
	struct {
		unsigned int type, code;
		int32_t value;
	} events[2048];
	size_t n;
};

static void see(void *user, unsigned int type, unsigned int code, int32_t value)
{
	struct seen *seen = user;

	assert_true(seen->n < sizeof(seen->events) / sizeof(seen->events[0]));
	seen->events[seen->n].type = type;
	seen->events[seen->n].code = code;
	seen->events[seen->n++].value = value;
}

static void assert_sent(const struct input_state *state, const int (*want)[3], size_t n)
{
	struct seen *seen = calloc(1, sizeof(*seen));

	assert_non_null(seen);
	state_send(state, see, seen);
	assert_true(seen->n <= state_events_max(state->desc));
	for (size_t i = 0; i < n && i < seen->n; i++) {
		assert_int_equal(seen->events[i].type, want[i][0]);
		assert_int_equal(seen->events[i].code, want[i][1]);
		assert_int_equal(seen->events[i].value, want[i][2]);
	}
	assert_int_equal(seen->n, n);
	free(seen);
}

#define ASSERT_SENT(state, ...)                                                  \
	assert_sent(state, (const int[][3]){ __VA_ARGS__ },                       \
		    sizeof((const int[][3]){ __VA_ARGS__ }) / sizeof(int[3]))

/* Releases come before presses; what is not the device's is ignored. */
static void test_state(void **state)
{
	struct input_state s;

	(void)state;
	desc_set(&desc, EV_SW, SW_LID);
	assert_int_equal(state_init(&s, &desc), 0);
	ASSERT_SENT(&s, { EV_KEY, KEY_A, 0 }, { EV_KEY, KEY_B, 0 }, { EV_SW, SW_LID, 0 },
		    { EV_ABS, ABS_X, 0 }, { EV_SYN, SYN_REPORT, 0 });
	assert_false(state_key_down(&s));
	state_apply(&s, EV_KEY, KEY_A, 1);
	state_apply(&s, EV_KEY, KEY_C, 1);
	state_apply(&s, EV_SW, SW_LID, 1);
	state_apply(&s, EV_ABS, ABS_X, 77);
	state_apply(&s, EV_ABS, ABS_Y, 78);
	state_apply(&s, 77, 1, 1);
	state_apply(&s, EV_KEY, KEY_CNT, 1);
	assert_true(state_key_down(&s));
	ASSERT_SENT(&s, { EV_KEY, KEY_B, 0 }, { EV_KEY, KEY_A, 1 }, { EV_SW, SW_LID, 1 },
		    { EV_ABS, ABS_X, 77 }, { EV_SYN, SYN_REPORT, 0 });
	state_release(&s);
	ASSERT_SENT(&s, { EV_KEY, KEY_A, 0 }, { EV_KEY, KEY_B, 0 }, { EV_SW, SW_LID, 1 },
		    { EV_ABS, ABS_X, 77 }, { EV_SYN, SYN_REPORT, 0 });
	state_free(&s);
}

static void test_contacts(void **state)
{
	struct input_state s;

	(void)state;
	desc_init(&desc);
	desc_set(&desc, EV_ABS, ABS_MT_SLOT);
	desc_set(&desc, EV_ABS, ABS_MT_TRACKING_ID);
	desc_set(&desc, EV_ABS, ABS_MT_POSITION_X);
	desc.abs[ABS_MT_SLOT].max = 1;
	assert_int_equal(state_init(&s, &desc), 0);
	assert_int_equal(s.slots, 2);
	state_apply(&s, EV_ABS, ABS_MT_SLOT, 1);
	state_apply(&s, EV_ABS, ABS_MT_TRACKING_ID, 40);
	state_apply(&s, EV_ABS, ABS_MT_POSITION_X, 9);
	/* No such slots: the one before is meant. */
	state_apply(&s, EV_ABS, ABS_MT_SLOT, 2);
	state_apply(&s, EV_ABS, ABS_MT_SLOT, -1);
	state_apply(&s, EV_ABS, ABS_MT_POSITION_X, 10);
	ASSERT_SENT(&s, { EV_ABS, ABS_MT_SLOT, 0 }, { EV_ABS, ABS_MT_TRACKING_ID, -1 },
		    { EV_ABS, ABS_MT_SLOT, 1 }, { EV_ABS, ABS_MT_TRACKING_ID, 40 },
		    { EV_ABS, ABS_MT_POSITION_X, 10 }, { EV_ABS, ABS_MT_SLOT, 1 },
		    { EV_SYN, SYN_REPORT, 0 });
	state_release(&s);
	ASSERT_SENT(&s, { EV_ABS, ABS_MT_SLOT, 0 }, { EV_ABS, ABS_MT_TRACKING_ID, -1 },
		    { EV_ABS, ABS_MT_SLOT, 1 }, { EV_ABS, ABS_MT_TRACKING_ID, -1 },
		    { EV_ABS, ABS_MT_SLOT, 1 }, { EV_SYN, SYN_REPORT, 0 });
	state_free(&s);
}

/* Contacts without slots have no state; a range that nobody can serve is cut. */
static void test_odd_contacts(void **state)
{
	struct input_state s;

	(void)state;
	desc_init(&desc);
	desc_set(&desc, EV_ABS, ABS_MT_POSITION_X);
	assert_int_equal(state_init(&s, &desc), 0);
	state_apply(&s, EV_ABS, ABS_MT_POSITION_X, 9);
	ASSERT_SENT(&s, { EV_SYN, SYN_REPORT, 0 });
	state_free(&s);
	desc_set(&desc, EV_ABS, ABS_MT_SLOT);
	desc.abs[ABS_MT_SLOT].max = -1;
	assert_int_equal(desc_slots(&desc), 0);
	desc.abs[ABS_MT_SLOT].max = INT32_MAX;
	assert_int_equal(desc_slots(&desc), DESC_SLOTS_MAX);
}

#define TEST(name) { #name, name, make_desc, NULL, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_answers), TEST(test_the_rest_is_empty), TEST(test_largest),
		TEST(test_state),   TEST(test_contacts),	  TEST(test_odd_contacts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
