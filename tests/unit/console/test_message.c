/* SPDX-License-Identifier: BSD-3-Clause */
/* Control messages as a driver may send them, right and wrong (virtio 1.3, 5.3.6.2). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "message.h"

#define PORTS 4U

/* In memory of its own, so that the sanitizer sees a byte too many. */
static int parse(const char *bytes, size_t len, struct message *ret)
{
	uint8_t *copy = malloc(len ? len : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	r = message_parse(copy, len, PORTS, ret);
	free(copy);
	return r;
}

static void test_right(void **state)
{
	struct message m;

	(void)state;
	assert_int_equal(parse("\xff\xff\xff\xff\0\0\1\0", 8, &m), 0);
	assert_int_equal(m.event, MESSAGE_DEVICE_READY);
	assert_int_equal(m.value, 1);
	assert_int_equal(parse("\3\0\0\0\3\0\0\0", 8, &m), 0);
	assert_int_equal(m.id, 3);
	assert_int_equal(m.event, MESSAGE_PORT_READY);
	assert_int_equal(m.value, 0);
	assert_int_equal(parse("\0\0\0\0\6\0\1\0more", 12, &m), 0);
	assert_int_equal(m.id, 0);
	assert_int_equal(m.event, MESSAGE_PORT_OPEN);
}

static void test_wrong(void **state)
{
	struct message m;

	(void)state;
	for (size_t len = 0; len < 8; len++)
		assert_int_equal(parse("\0\0\0\0\6\0\1\0", len, &m), -EBADMSG);
	assert_int_equal(parse("\4\0\0\0\6\0\1\0", 8, &m), -ERANGE);
	assert_int_equal(parse("\xff\xff\xff\xff\3\0\1\0", 8, &m), -ERANGE);
	assert_int_equal(parse("\0\0\0\0\6\0\2\0", 8, &m), -EINVAL);
	assert_int_equal(parse("\0\0\0\0\6\0\0\1", 8, &m), -EINVAL);
	/* Events of the other direction, and of none. */
	assert_int_equal(parse("\0\0\0\0\1\0\1\0", 8, &m), -EINVAL);
	assert_int_equal(parse("\0\0\0\0\2\0\1\0", 8, &m), -EINVAL);
	assert_int_equal(parse("\0\0\0\0\4\0\1\0", 8, &m), -EINVAL);
	assert_int_equal(parse("\0\0\0\0\5\0\1\0", 8, &m), -EINVAL);
	assert_int_equal(parse("\0\0\0\0\7\0\1\0", 8, &m), -EINVAL);
	assert_int_equal(parse("\0\0\0\0\x08\0\1\0", 8, &m), -EINVAL);
	assert_int_equal(parse("\0\0\0\0\0\1\1\0", 8, &m), -EINVAL);
}

static void test_build(void **state)
{
	struct message m = { .id = 0x01020304, .event = MESSAGE_PORT_NAME, .value = 1 };
	uint8_t buf[MESSAGE_MAX];

	(void)state;
	assert_int_equal(message_build(buf, &m, "ab", 2), 10);
	assert_memory_equal(buf, "\4\3\2\1\7\0\1\0ab", 10);
	assert_int_equal(message_build(buf, &m, NULL, 0), 8);
	assert_int_equal(message_build_resize(buf, 2, 0x0150, 25), 12);
	assert_memory_equal(buf, "\2\0\0\0\5\0\0\0\x50\1\x19\0", 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_build),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
