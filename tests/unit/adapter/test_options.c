/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line of vloop attach. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "attach_options.h"

/* getopt_long() moves the pointers of its vector, never what they point to. */
#define PARSE(options, ...)                                                                   \
	attach_parse((int)(sizeof((const char *[]){"attach", __VA_ARGS__}) / sizeof(char *)), \
		     (char **)(uintptr_t)(const char *[]){"attach", __VA_ARGS__, NULL}, options)

static void test_defaults(void **state)
{
	struct attach_options options;

	(void)state;
	assert_int_equal(PARSE(&options, "blk", "/run/x.sock"), EXIT_OK);
	assert_string_equal(options.type->name, "blk");
	assert_string_equal(options.socket, "/run/x.sock");
	assert_int_equal(options.fd, -1);
	assert_int_equal(options.policy, ON_DISCONNECT_WAIT);
	assert_int_equal(options.timeout_ms, 30000);
	assert_int_equal(options.device_timeout_ms, 10000);
	assert_null(options.name);
	assert_int_equal(options.queues, 0);
}

static void test_everything(void **state)
{
	struct attach_options options;

	(void)state;
	assert_int_equal(PARSE(&options, "--name", "disk-1", "--queues", "4", "--queue-size", "64",
			       "--pool", "8M", "--on-disconnect", "fail", "--read-only",
			       "--timeout", "5", "--background", "--call", "eventfd",
			       "--kick", "eventfd",
			       "--no-event-idx", "--no-indirect", "--json", "--hugepages",
			       "--wait-socket", "3", "--device-timeout", "2", "--no-sandbox", "blk",
			       "x.sock"),
			 EXIT_OK);
	assert_string_equal(options.name, "disk-1");
	assert_int_equal(options.queues, 4);
	assert_int_equal(options.queue_size, 64);
	assert_int_equal(options.pool, 8 << 20);
	assert_int_equal(options.policy, ON_DISCONNECT_FAIL);
	assert_int_equal(options.timeout_ms, 5000);
	assert_int_equal(options.wait_socket_ms, 3000);
	assert_int_equal(options.device_timeout_ms, 2000);
	assert_true(options.read_only && options.background && options.call_eventfd);
	assert_true(options.kick_eventfd);
	assert_true(options.no_event_idx && options.no_indirect && options.json);
	assert_true(options.hugepages && options.no_sandbox);
}

static void test_order(void **state)
{
	struct attach_options options;

	(void)state;
	assert_int_equal(PARSE(&options, "rng", "x.sock", "--name", "r"), EXIT_OK);
	assert_string_equal(options.name, "r");
	assert_string_equal(options.type->name, "rng");
}

static void test_fd(void **state)
{
	struct attach_options options;

	(void)state;
	assert_int_equal(PARSE(&options, "--fd", "3", "rng"), EXIT_OK);
	assert_int_equal(options.fd, 3);
	assert_int_equal(options.policy, ON_DISCONNECT_REMOVE);
	assert_int_equal(PARSE(&options, "--fd", "3", "rng", "x.sock"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "--fd", "3", "--on-disconnect", "wait", "rng"),
			 EXIT_USAGE);
	assert_int_equal(PARSE(&options, "--fd", "3", "--on-disconnect", "remove", "rng"), EXIT_OK);
}

/* In the background the working directory is another one when the back-end comes again. */
static void test_background(void **state)
{
	struct attach_options options;
	char path[108];

	(void)state;
	assert_int_equal(chdir("/dev"), 0);
	assert_int_equal(PARSE(&options, "--background", "blk", "./x.sock"), EXIT_OK);
	assert_string_equal(options.socket, "/dev/./x.sock");
	assert_int_equal(PARSE(&options, "--background", "blk", "/run/x.sock"), EXIT_OK);
	assert_string_equal(options.socket, "/run/x.sock");
	assert_int_equal(PARSE(&options, "blk", "./x.sock"), EXIT_OK);
	assert_string_equal(options.socket, "./x.sock");
	assert_int_equal(PARSE(&options, "--background", "--fd", "3", "blk"), EXIT_OK);
	assert_null(options.socket);

	/* With the directory in front just short enough, and one byte too long. */
	memset(path, 'x', sizeof(path));
	path[102] = 0;
	assert_int_equal(PARSE(&options, "--background", "blk", path), EXIT_OK);
	assert_int_equal(strlen(options.socket), 107);
	path[102] = 'x';
	path[103] = 0;
	assert_int_equal(PARSE(&options, "--background", "blk", path), EXIT_BACKEND);
}

static void test_type_options(void **state)
{
	static const uint8_t mac[] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
	struct attach_options options;

	(void)state;
	assert_int_equal(PARSE(&options, "--mac", "52:54:00:12:34:56", "net", "x"), EXIT_OK);
	assert_true(options.config.has_mac);
	assert_memory_equal(options.config.mac, mac, 6);
	assert_int_equal(PARSE(&options, "--mac", "53:54:00:12:34:56", "net", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "--mac", "52:54:00:12:34:56:78", "net", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "--mac", "52:54:00:12:34:56", "blk", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "--read-only", "rng", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "--tag", "home", "fs", "x"), EXIT_OK);
	assert_int_equal(PARSE(&options, "--tag", "home", "rng", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "--trusted", "console", "x"), EXIT_OK);
	assert_true(options.trusted);
	assert_int_equal(PARSE(&options, "--trusted", "blk", "x"), EXIT_USAGE);
	assert_int_equal(
		PARSE(&options, "--tag", "0123456789012345678901234567890123456", "fs", "x"),
		EXIT_USAGE);
}

static void test_wrong(void **state)
{
	struct attach_options options;

	(void)state;
	assert_int_equal(PARSE(&options, "blk"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "blk", "x", "y"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "disk", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "gpu", "x"), EXIT_MISFIT);
	assert_int_equal(PARSE(&options, "--nonsense", "blk", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "--queues", "0", "blk", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "--queues", "129", "blk", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "--queues", "-1", "blk", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "--queue-size", "100", "blk", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "--queue-size", "2048", "blk", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "--pool", "0", "blk", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "--pool", "64Q", "blk", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "--pool", "9999999T", "blk", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "--timeout", "0", "blk", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "--timeout", "3601", "blk", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "--on-disconnect", "never", "blk", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "--call", "irq", "blk", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "--kick", "pipe", "blk", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "--name", "a/b", "blk", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "--name", "..", "blk", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "--name", "", "blk", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&options, "--name", "a123456789012345678901234567890", "blk", "x"),
			 EXIT_OK);
	assert_int_equal(PARSE(&options, "--name", "a1234567890123456789012345678901", "blk", "x"),
			 EXIT_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),     cmocka_unit_test(test_everything),
		cmocka_unit_test(test_order),	     cmocka_unit_test(test_fd),
		cmocka_unit_test(test_type_options), cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_background),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
