/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "parse.h"

static void test_size(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t size;
	} cases[] = {
		{ "0", 0, 0 },
		{ "512", 0, 512 },
		{ "64K", 0, 65536 },
		{ "64k", 0, 65536 },
		{ "1M", 0, 1048576 },
		{ "2G", 0, 2147483648 },
		{ "1T", 0, 1099511627776 },
		{ "0x10", 0, 16 },
		{ "010", 0, 10 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "16777216T", -ERANGE, 0 },
		{ "16777215T", 0, 16777215ULL << 40 },
		{ "", -EINVAL, 0 },
		{ "K", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "1KB", -EINVAL, 0 },
		{ "1P", -EINVAL, 0 },
		{ "1.5M", -EINVAL, 0 },
		{ "0x", -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t size = 0;

		assert_int_equal(vl_parse_size(cases[i].text, &size), cases[i].result);
		assert_true(size == cases[i].size);
	}
}

static void test_number(void **state)
{
	uint64_t value = 77;

	(void)state;
	assert_int_equal(vl_parse_u64("5", 5, 6, &value), 0);
	assert_int_equal(value, 5);
	assert_int_equal(vl_parse_u64("0x6", 5, 6, &value), 0);
	assert_int_equal(value, 6);
	assert_int_equal(vl_parse_u64("4", 5, 6, &value), -ERANGE);
	assert_int_equal(vl_parse_u64("7", 5, 6, &value), -ERANGE);
	assert_int_equal(vl_parse_u64("5K", 5, 6, &value), -EINVAL);
	assert_int_equal(vl_parse_u64("", 0, 6, &value), -EINVAL);
	assert_int_equal(value, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
