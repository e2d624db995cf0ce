/* SPDX-License-Identifier: BSD-3-Clause */
/* The device that is made of options and a back-end; the kernel and back-ends are played here. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "stage.h"

static void check_create_error(int error, enum vloop_exit expected)
{
	struct stage stage;

	set_up(&stage, step_plain);
	stage.kernel.fail_request = VLB_IOC_CREATE;
	stage.kernel.fail_error = error;
	assert_int_equal(run(&stage), expected);
	tear_down(&stage);
}

static void test_create_errors(void **state)
{
	(void)state;
	check_create_error(-EEXIST, EXIT_EXISTS);
	check_create_error(-EPERM, EXIT_RIGHTS);
	check_create_error(-ENOSPC, EXIT_MEMORY);
	check_create_error(-EPROTONOSUPPORT, EXIT_MISFIT);
	check_create_error(-EMFILE, EXIT_FAIL);
}

/* Without --name a name that is taken meanwhile is no error. */
static void test_free_name(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_plain);
	stage.options.name = NULL;
	stage.kernel.fail_request = VLB_IOC_CREATE;
	stage.kernel.fail_error = -EEXIST;
	assert_int_equal(run(&stage), EXIT_OK);
	assert_string_equal((char *)stage.kernel.create.name, "blk1");
	tear_down(&stage);
}

static void check_misfit(uint64_t features, uint32_t config_size, uint32_t queues)
{
	struct stage stage;

	set_up(&stage, step_plain);
	stage.backend[0].features = features;
	stage.backend[0].config_size = config_size;
	stage.options.queues = queues;
	assert_int_equal(run(&stage), EXIT_MISFIT);
	assert_int_equal(stage.kernel.create.size, 0);
	tear_down(&stage);
}

static void test_misfits(void **state)
{
	const uint64_t good = (1ULL << 32) | (1ULL << 30) | BLK_MQ;

	(void)state;
	check_misfit(good & ~(1ULL << 32), 96, 1);
	check_misfit(good & ~(1ULL << 30), 96, 1);
	check_misfit(good | (1ULL << 18) | (1ULL << 19) | (1ULL << 20), 96, 1);
	check_misfit(good, 8, 1);
	check_misfit(good, 96, 3);
	check_misfit(good & ~BLK_MQ, 96, 2);
}

static void test_module_limits(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_plain);
	stage.kernel.features = VLB_F_CALL_EVENTFD;
	assert_int_equal(run(&stage), EXIT_MODULE);
	assert_int_equal(stage.kernel.create.size, 0);
	tear_down(&stage);

	set_up(&stage, step_plain);
	stage.options.trusted = true;
	stage.kernel.features &= ~VLB_F_TRUSTED;
	assert_int_equal(run(&stage), EXIT_MODULE);
	assert_int_equal(stage.kernel.create.size, 0);
	tear_down(&stage);

	set_up(&stage, step_plain);
	stage.options.pool = 1ULL << 31;
	assert_int_equal(run(&stage), EXIT_MEMORY);
	assert_int_equal(stage.kernel.create.size, 0);
	tear_down(&stage);

	/* The type's own size is too large for this opener, for so many queues. */
	set_up(&stage, step_plain);
	stage.kernel.pool_max = 20 << 20;
	assert_int_equal(run(&stage), EXIT_OK);
	assert_int_equal(stage.kernel.create.pool_len, 0);
	tear_down(&stage);
	set_up(&stage, step_plain);
	stage.kernel.pool_max = (20 << 20) - 4096;
	assert_int_equal(run(&stage), EXIT_MEMORY);
	assert_int_equal(stage.kernel.create.size, 0);
	tear_down(&stage);
}

/* The command line's address where the back-end has a config space, but no address in it. */
static void test_mac(void **state)
{
	static const uint8_t ours[] = {0x52, 0x54, 0, 1, 2, 3};
	struct stage stage;

	(void)state;
	for (int has = 0; has < 2; has++) {
		set_up(&stage, step_plain);
		stage.options.type = type_by_name("net");
		stage.attach.type = stage.options.type;
		stage.options.config.has_mac = true;
		memcpy(stage.options.config.mac, ours, sizeof(ours));
		stage.accepted = 1ULL << 32;
		stage.backend[0].features &= ~BLK_MQ;
		if (has)
			stage.backend[0].features |= 1ULL << 5;
		stage.backend[0].config_size = 12;
		memset(stage.backend[0].config, 7, 6);
		assert_int_equal(run(&stage), EXIT_OK);
		assert_true(stage.kernel.create.features & (1ULL << 5));
		assert_int_equal(stage.kernel.created_config[5], has ? 7 : 3);
		tear_down(&stage);
	}
}

/* A signal ends the wait for a back-end that does not come. */
static void test_wait_interrupted(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_plain);
	stage.options.socket = "/nonexistent/socket";
	stage.options.wait_socket_ms = 3600 * 1000;
	send_signal(&stage, SIGTERM);
	assert_int_equal(run(&stage), EXIT_BACKEND);
	tear_down(&stage);
}

static void test_options_reach_kernel(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_plain);
	stage.options.no_event_idx = true;
	stage.options.no_indirect = true;
	stage.options.read_only = true;
	stage.options.call_eventfd = true;
	stage.options.kick_eventfd = true;
	stage.options.queue_size = 64;
	stage.options.pool = 70000;
	stage.options.trusted = true;
	assert_int_equal(run(&stage), EXIT_OK);
	assert_int_equal(stage.kernel.create.flags, VLB_CREATE_TRUSTED);
	assert_int_equal(stage.kernel.create.features & ((1ULL << 28) | (1ULL << 29)), 0);
	assert_true(stage.kernel.create.features & (1ULL << 5));
	assert_int_equal(stage.kernel.create.queue_size, 64);
	assert_int_equal(stage.kernel.create.driver_queue_size, 64);
	assert_int_equal(stage.kernel.create.pool_len % (uint64_t)sysconf(_SC_PAGESIZE), 0);
	assert_true(stage.kernel.create.pool_len >= 70000);
	assert_int_equal(stage.kernel.session_flags, VLB_SESSION_CALL_EVENTFD);
	tear_down(&stage);
}

/* Back-ends of some types take less than the module's default. */
static void test_ring_size(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_plain);
	assert_int_equal(run(&stage), EXIT_OK);
	assert_int_equal(stage.kernel.create.queue_size, 0);
	tear_down(&stage);
	assert_int_equal(type_by_name("sound")->ring_size, 64);
	assert_int_equal(type_by_name("can")->ring_size, 64);
	assert_int_equal(type_by_name("scsi")->ring_size, 128);
	assert_int_equal(type_by_name("console")->ring_size, 128);
	assert_int_equal(type_by_name("blk")->ring_size, 0);
}

/* The module refuses a smaller ring for the driver; what none was asked for is its own choice. */
static void test_small_queues(void **state)
{
	static const uint32_t wanted[][2] = {{2, 64}, {32, 64}, {128, 128}, {0, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		struct stage stage;

		set_up(&stage, step_plain);
		stage.options.queue_size = wanted[i][0];
		assert_int_equal(run(&stage), EXIT_OK);
		assert_int_equal(stage.kernel.create.queue_size, wanted[i][0]);
		assert_int_equal(stage.kernel.create.driver_queue_size, wanted[i][1]);
		tear_down(&stage);
	}
}

/* What a driver is offered of a back-end with @features, and @wce in its config space. */
static uint64_t offered(uint64_t features, uint8_t wce)
{
	struct stage stage;

	set_up(&stage, step_plain);
	stage.backend[0].features |= features;
	stage.backend[0].config[32] = wce;
	assert_int_equal(run(&stage), EXIT_OK);
	tear_down(&stage);
	return stage.kernel.create.features & ((1ULL << 9) | (1ULL << 11));
}

/* A driver that is told that there is no cache would never flush. */
static void test_cache_mode(void **state)
{
	const uint64_t flush = 1ULL << 9, config_wce = 1ULL << 11;

	(void)state;
	assert_int_equal(offered(flush | config_wce, 0), flush);
	assert_int_equal(offered(flush | config_wce, 1), flush | config_wce);
	assert_int_equal(offered(config_wce, 0), config_wce);
	assert_int_equal(offered(flush, 0), flush);
}

/* The module's own kick files where it has them. */
static void test_kick_file(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_plain);
	assert_int_equal(run(&stage), EXIT_OK);
	assert_int_equal(stage.kernel.session_flags, VLB_SESSION_KICK_FILE);
	tear_down(&stage);

	set_up(&stage, step_plain);
	stage.kernel.features &= ~VLB_F_KICK_FILE;
	assert_int_equal(run(&stage), EXIT_OK);
	assert_int_equal(stage.kernel.session_flags, 0);
	tear_down(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create_errors),
		cmocka_unit_test(test_free_name),
		cmocka_unit_test(test_misfits),
		cmocka_unit_test(test_module_limits),
		cmocka_unit_test(test_mac),
		cmocka_unit_test(test_wait_interrupted),
		cmocka_unit_test(test_options_reach_kernel),
		cmocka_unit_test(test_ring_size),
		cmocka_unit_test(test_small_queues),
		cmocka_unit_test(test_cache_mode),
		cmocka_unit_test(test_kick_file),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
