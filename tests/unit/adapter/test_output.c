/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "output.h"

#define BAD "\xef\xbf\xbd"

static void check(const char *value, const char *wanted)
{
	struct json_object *object = json_object_new_object();
	struct json_object *member;

	out_text(object, "key", value);
	assert_true(json_object_object_get_ex(object, "key", &member));
	assert_string_equal(json_object_get_string(member), wanted);
	json_object_put(object);
}

/* The first and the last character of each length, and around the surrogates. */
static void test_characters(void **state)
{
	static const char *const good[] = {
		"",
		"/run/disk.sock",
		"\x01\x7f",
		"\xc2\x80",
		"\xdf\xbf",
		"\xe0\xa0\x80",
		"\xed\x9f\xbf",
		"\xee\x80\x80",
		"\xef\xbf\xbf",
		"\xf0\x90\x80\x80",
		"\xf4\x8f\xbf\xbf",
		"\xc3\xbc.",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		check(good[i], good[i]);
}

static void test_other_bytes(void **state)
{
	(void)state;
	check("\xff", BAD);
	check("/run/\xfc"
	      "ber",
	      "/run/" BAD "ber");
	check("\x80\xbf", BAD BAD);
	/* Cut off, at the end and before something else. */
	check("a\xc3", "a" BAD);
	check("\xe2\x82", BAD BAD);
	check("\xf0\x9f\x98.", BAD BAD BAD ".");
	check("\xc3\xc3\xbc", BAD "\xc3\xbc");
	/* Longer than needed. */
	check("\xc1\xbf", BAD BAD);
	check("\xe0\x9f\xbf", BAD BAD BAD);
	check("\xf0\x8f\xbf\xbf", BAD BAD BAD BAD);
	/* Surrogates, beyond the last one, and five bytes. */
	check("\xed\xa0\x80", BAD BAD BAD);
	check("\xed\xbf\xbf", BAD BAD BAD);
	check("\xf4\x90\x80\x80", BAD BAD BAD BAD);
	check("\xf8\x88\x80\x80\x80", BAD BAD BAD BAD BAD);
}

static void test_no_text(void **state)
{
	struct json_object *object = json_object_new_object();
	struct json_object *member;

	(void)state;
	out_text(object, "key", NULL);
	assert_true(json_object_object_get_ex(object, "key", &member));
	assert_null(member);
	json_object_put(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_characters),
		cmocka_unit_test(test_other_bytes),
		cmocka_unit_test(test_no_text),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
