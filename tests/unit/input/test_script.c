/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scripts: what is in them, what is wrong with them and where, and how they are played. The text
 * is allocated without a byte behind it, so that the sanitizer sees who reads on.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "script.h"

static int parse_bytes(struct script *script, const char *text, size_t len,
		       struct script_error *error)
{
	char *copy = malloc(len ? len : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, text, len);
	r = script_parse(script, copy, len, error);
	free(copy);
	return r;
}

static void parse(struct script *script, const char *text)
{
	struct script_error error;
	int r = parse_bytes(script, text, strlen(text), &error);

	if (r)
		fail_msg("%u:%u: %s", error.line, error.column, error.text);
}

static void wrong(const char *text, unsigned int line, unsigned int column, const char *message)
{
	struct script script;
	struct script_error error;
	char where[32], expected[32];

	assert_int_equal(parse_bytes(&script, text, strlen(text), &error), -EINVAL);
	if (!strstr(error.text, message))
		fail_msg("'%s' is not in '%s'", message, error.text);
	snprintf(where, sizeof(where), "%u:%u", error.line, error.column);
	snprintf(expected, sizeof(expected), "%u:%u", line, column);
	assert_string_equal(where, expected);
}

static void test_device(void **state)
{
	struct script s;

	(void)state;
	parse(&s, "# a tablet\n"
		  "\n"
		  "name \"a # tablet\"   # with a name\r\n"
		  "\tserial \"\"\n"
		  "id 0x03 04660 0x5678 65535\n"
		  "property INPUT_PROP_DIRECT 2\n"
		  "bits EV_KEY KEY_1..KEY_3 BTN_TOUCH\n"
		  "bits EV_LED 1\n"
		  "abs ABS_X -010 +0x0A 01 2 3 4\n"
		  "abs ABS_MT_SLOT 0 4");
	assert_string_equal(s.desc.name, "a # tablet");
	assert_string_equal(s.desc.serial, "");
	assert_int_equal(s.desc.id.bustype, 3);
	assert_int_equal(s.desc.id.vendor, 0x1234);
	assert_int_equal(s.desc.id.product, 0x5678);
	assert_int_equal(s.desc.id.version, 0xffff);
	assert_int_equal(s.desc.properties[0], 1 << INPUT_PROP_DIRECT | 1 << INPUT_PROP_BUTTONPAD);
	assert_false(desc_has(&s.desc, EV_KEY, KEY_ESC));
	assert_true(desc_has(&s.desc, EV_KEY, KEY_1));
	assert_true(desc_has(&s.desc, EV_KEY, KEY_2));
	assert_true(desc_has(&s.desc, EV_KEY, KEY_3));
	assert_false(desc_has(&s.desc, EV_KEY, KEY_4));
	assert_true(desc_has(&s.desc, EV_KEY, BTN_TOUCH));
	assert_true(desc_has(&s.desc, EV_LED, LED_CAPSL));
	assert_int_equal(s.desc.abs[ABS_X].min, -10);
	assert_int_equal(s.desc.abs[ABS_X].max, 10);
	assert_int_equal(s.desc.abs[ABS_X].fuzz, 1);
	assert_int_equal(s.desc.abs[ABS_X].flat, 2);
	assert_int_equal(s.desc.abs[ABS_X].resolution, 3);
	assert_int_equal(s.initial[ABS_X], 4);
	assert_int_equal(desc_slots(&s.desc), 5);
	assert_int_equal(s.num_steps, 0);
	script_free(&s);
	parse(&s, "");
	script_free(&s);
}

static void test_errors(void **state)
{
	char text[300];

	(void)state;
	wrong("\n  nonsense", 2, 3, "no such statement: nonsense");
	wrong("\x01", 1, 1, "a statement expected");
	wrong("name foo", 1, 6, "double quotes");
	wrong("name", 1, 5, "double quotes");
	wrong("name \"foo\nbar\"", 1, 6, "no end on its line");
	wrong("name \"a\" b", 1, 10, "nothing more expected");
	memset(text, 'x', sizeof(text));
	memcpy(text, "name \"", 6);
	strcpy(text + 6 + 129, "\"");
	wrong(text, 1, 7 + 128, "longer than 128 bytes");
	memset(text, 'x', sizeof(text));
	text[200] = '\0';
	wrong(text, 1, 1, "that long");
	wrong("id 1 2 3", 1, 9, "the version is missing");
	wrong("id 1 2 3 x", 1, 10, "the version is not a number");
	wrong("id 1 2 65536 4", 1, 8, "the product is not between 0 and 65535");
	wrong("id 1 2 3 99999999999999999999", 1, 10, "not a number");
	wrong("id 1 2 3 0x", 1, 10, "not a number");
	wrong("id 1 2 3 08a", 1, 10, "not a number");
	wrong("property INPUT_PROP_FAST", 1, 10, "no property");
	wrong("property 32", 1, 10, "no property");
	wrong("bits EV_FOO 1", 1, 6, "no event type");
	wrong("bits EV_SYN SYN_REPORT", 1, 6, "no event type");
	wrong("bits 32 1", 1, 6, "no event type");
	wrong("bits EV_KEY", 1, 12, "an event code is missing");
	wrong("bits EV_KEY REL_X", 1, 13, "no code of EV_KEY: REL_X");
	wrong("bits EV_LED 16", 1, 13, "no code of EV_LED");
	wrong("bits EV_KEY KEY_3..KEY_1", 1, 13, "before the first");
	wrong("bits EV_KEY KEY_3..", 1, 13, "no code of EV_KEY");
	wrong("bits EV_ABS ABS_X", 1, 6, "use 'abs");
	wrong("abs ABS_X", 1, 10, "the minimum is missing");
	wrong("abs ABS_X 10 9", 1, 14, "below the minimum");
	wrong("abs ABS_X 0 2147483648", 1, 13, "the maximum is not between");
	wrong("abs ABS_X 1 2 3 4 5 6 7", 1, 23, "nothing more expected");
	wrong("abs ABS_MT_SLOT 0 1024", 1, 19, "0 to 1023");
}

static void test_event_errors(void **state)
{
	(void)state;
	wrong("event EV_KEY KEY_A 1\nsync", 1, 14, "does not have this");
	wrong("abs ABS_X 0 1\nevent EV_ABS ABS_Y 1\nsync", 2, 14, "with 'abs'");
	wrong("bits EV_KEY KEY_A\nevent EV_KEY KEY_A\n", 2, 19, "the value is missing");
	wrong("bits EV_KEY KEY_A\nevent EV_KEY KEY_A 1", 2, 21, "no sync");
	wrong("bits EV_KEY KEY_A\nevent EV_KEY KEY_A 1\nsync\nname \"x\"", 4, 1, "before all events");
	wrong("bits EV_LED LED_NUML\nevent EV_LED LED_NUML 1", 2, 7, "only drivers");
	wrong("bits EV_KEY KEY_A\nexpect EV_KEY KEY_A 1", 2, 8, "EV_LED, EV_SND and EV_REP");
	wrong("wait", 1, 5, "a time is missing");
	wrong("wait 5", 1, 6, "us, ms or s");
	wrong("wait -5s", 1, 6, "not a time");
	wrong("wait 5m", 1, 6, "us, ms or s");
	wrong("wait 3601s", 1, 6, "longer than an hour");
	wrong("wait 99999999999999999999us", 1, 6, "not a time");
	wrong("loop 0\nend", 1, 6, "not between 1");
	wrong("loop 2\nsync", 1, 1, "no end");
	wrong("end", 1, 1, "no loop to end");
	wrong("loop 1\nloop 1\nloop 1\nloop 1\nloop 1\nloop 1\nloop 1\nloop 1\n loop 1", 9, 2,
	      "no more than 8");
}

#define REL	"bits EV_REL REL_X\n"
#define EVENT	"event EV_REL REL_X 1\n"

/* What waits for its sync is bounded, also over the rounds of loops. */
static void test_packet(void **state)
{
	struct script s;

	(void)state;
	parse(&s, REL "loop 4096\n" EVENT "end\nsync\n");
	script_free(&s);
	wrong(REL "loop 4097\n" EVENT "end\nsync\n", 4, 1, "more than 4096 events without a sync");
	wrong(REL EVENT "loop 4096\n" EVENT "end\nsync\n", 5, 1, "more than 4096");
	wrong(REL "loop 4096\n" EVENT "end\n" EVENT "sync\n", 5, 20, "more than 4096");
	parse(&s, REL "loop 9\nloop 4096\n" EVENT "end\nsync\nend\n");
	script_free(&s);
	wrong(REL "loop 9\nloop 4096\n" EVENT "end\nend\nsync\n", 6, 1, "more than 4096");
	/* Half before the sync of a round, half behind it: together they are too many. */
	wrong(REL "loop 2\nloop 2049\n" EVENT "end\nsync\nloop 2048\n" EVENT "end\nend\nsync\n", 10, 1,
	      "more than 4096");
	parse(&s, REL "loop 1\nloop 2049\n" EVENT "end\nsync\nloop 2048\n" EVENT "end\nend\nsync\n");
	script_free(&s);
	wrong(REL "loop 4294967295\nloop 4294967295\nloop 4294967295\n" EVENT "end\nend\nend\nsync\n",
	      6, 1, "more than 4096");
}

/* A script cut off at every byte, and with a byte that no text has: never a crash. */
static void test_cut(void **state)
{
	static const char text[] =
		"name \"x\"\nid 1 2 3 4\nbits EV_KEY KEY_A..KEY_B\nabs ABS_X 0 1 2 3 4 5\n"
		"loop 3\nevent EV_KEY KEY_A 1\nsync\nwait 3ms\nend\n";
	char copy[sizeof(text)];
	struct script_error error;
	struct script s;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++) {
		if (parse_bytes(&s, text, i, &error) == 0)
			script_free(&s);
		memcpy(copy, text, sizeof(text));
		copy[i] = '\0';
		assert_int_equal(parse_bytes(&s, copy, sizeof(copy), &error), -EINVAL);
	}
}

/* ---- playing ---- */

static void next_event(struct player *p, unsigned int type, unsigned int code, int32_t value)
{
	const struct script_step *step;

	assert_int_equal(player_next(p, &step), PLAYER_EVENT);
	assert_int_equal(step->type, type);
	assert_int_equal(step->code, code);
	assert_int_equal(step->value, value);
}

static void next_wait(struct player *p, uint64_t us)
{
	const struct script_step *step;

	assert_int_equal(player_next(p, &step), PLAYER_WAIT);
	assert_int_equal(step->number, us);
}

static void test_play(void **state)
{
	const struct script_step *step;
	struct script s;
	struct player p;

	(void)state;
	parse(&s, "bits EV_REL REL_X\nbits EV_LED LED_CAPSL\n"
		  "wait 7us\n"
		  "expect EV_LED LED_CAPSL 1\n"
		  "loop 2\n"
		  "  event EV_REL REL_X -3\n"
		  "  loop 3\n"
		  "    sync\n"
		  "  end\n"
		  "  wait 2ms\n"
		  "end\n"
		  "wait 1s\n");
	player_init(&p, &s);
	next_wait(&p, 7);
	assert_int_equal(player_next(&p, &step), PLAYER_BLOCKED);
	player_output(&p, EV_LED, LED_NUML, 1);
	player_output(&p, EV_LED, LED_CNT, 1);
	player_output(&p, EV_KEY, 1, 1);
	assert_int_equal(player_next(&p, &step), PLAYER_BLOCKED);
	player_output(&p, EV_LED, LED_CAPSL, 1);
	for (int round = 0; round < 2; round++) {
		next_event(&p, EV_REL, REL_X, -3);
		for (int i = 0; i < 3; i++)
			next_event(&p, EV_SYN, SYN_REPORT, 0);
		next_wait(&p, 2000);
	}
	next_wait(&p, 1000000);
	assert_int_equal(player_next(&p, &step), PLAYER_DONE);
	assert_int_equal(player_next(&p, &step), PLAYER_DONE);
	script_free(&s);
}

/* A loop of nothing does not keep the program from anything else. */
static void test_busy(void **state)
{
	const struct script_step *step;
	struct script s;
	struct player p;

	(void)state;
	parse(&s, "loop 1000000000\nloop 1000000000\nend\nend\n");
	player_init(&p, &s);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(player_next(&p, &step), PLAYER_BUSY);
	script_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_device), cmocka_unit_test(test_errors),
		cmocka_unit_test(test_event_errors), cmocka_unit_test(test_packet),
		cmocka_unit_test(test_cut), cmocka_unit_test(test_play), cmocka_unit_test(test_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
