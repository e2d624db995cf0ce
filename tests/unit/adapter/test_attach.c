/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of a device, with a kernel and back-ends that are played here. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

static void test_plain(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_plain);
	assert_int_equal(run(&stage), EXIT_OK);
	assert_int_equal(stage.kernel.create.type, 2);
	assert_string_equal((char *)stage.kernel.create.name, "disk");
	assert_int_equal(stage.kernel.create.nqueues, 2);
	assert_int_equal(stage.kernel.create.config_len, 96);
	/* vhost-user's bit 30 is not for the driver. */
	assert_int_equal(stage.kernel.create.features & (1ULL << 30), 0);
	assert_true(stage.kernel.create.features & (1ULL << 32));
	assert_int_equal(stage.kernel.starts, 1);
	/* What never waits says so. */
	assert_true(fcntl(stage.kernel.call, F_GETFL) & O_NONBLOCK);
	tear_down(&stage);
	assert_int_equal(stage.backend[0].acked, (1ULL << 32) | BLK_MQ | (1ULL << 30));
	assert_int_equal(stage.backend[0].seen[VHOST_USER_GET_VRING_BASE], 2);
	assert_int_equal(stage.backend[0].region_size, 65536);
}

/* A driver that is unbound and bound again gets a session of its own each time. */
static void step_reset(struct fake_kernel *kernel, unsigned long request)
{
	struct stage *stage = kernel->test;

	if (request == VLB_IOC_REGISTER) {
		probed(stage);
	} else if (request == VLB_IOC_START && kernel->starts == 1) {
		stage->epoch = 1;
		send_event(stage, VLB_EVENT_RESET);
		send_event(stage, VLB_EVENT_DRIVER_OK);
	} else if (request == VLB_IOC_START) {
		send_event(stage, VLB_EVENT_REMOVED);
	}
}

static void test_reset(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_reset);
	assert_int_equal(run(&stage), EXIT_OK);
	assert_int_equal(stage.kernel.sessions, 2);
	assert_int_equal(stage.kernel.stops, 0);
	tear_down(&stage);
	assert_int_equal(stage.backend[0].seen[VHOST_USER_GET_VRING_BASE], 4);
	assert_int_equal(stage.backend[0].seen[VHOST_USER_SET_OWNER], 1);
}

/* The driver has gone on while its rings were made: no loss of the back-end, no failure. */
static void step_stale(struct fake_kernel *kernel, unsigned long request)
{
	struct stage *stage = kernel->test;

	if (request == VLB_IOC_REGISTER) {
		probed(stage);
	} else if (request == VLB_IOC_SESSION && !kernel->sessions) {
		stage->epoch = 1;
		send_event(stage, VLB_EVENT_RESET);
		send_event(stage, VLB_EVENT_DRIVER_OK);
	} else if (request == VLB_IOC_START) {
		send_event(stage, VLB_EVENT_REMOVED);
	}
}

static void test_stale(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_stale);
	stage.kernel.fail_request = VLB_IOC_SESSION;
	stage.kernel.fail_error = -ESTALE;
	assert_int_equal(run(&stage), EXIT_OK);
	assert_int_equal(stage.kernel.sessions, 1);
	assert_int_equal(stage.kernel.stops, 0);
	tear_down(&stage);
}

static void send_write(struct stage *stage, uint64_t id)
{
	struct vlb_event event = {
		.size = sizeof(event),
		.type = VLB_EVENT_CONFIG_WRITE,
		.id = id,
		.offset = 32,
		.len = 1,
		.data = {1},
	};

	fake_event(&stage->kernel, &event);
}

static void step_write(struct fake_kernel *kernel, unsigned long request)
{
	struct stage *stage = kernel->test;

	if (request == VLB_IOC_REGISTER)
		probed(stage);
	else if (request == VLB_IOC_START)
		send_write(stage, 7);
	else if (request == VLB_IOC_ANSWER)
		send_event(stage, VLB_EVENT_REMOVED);
}

static void test_config_write(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_write);
	assert_int_equal(run(&stage), EXIT_OK);
	assert_int_equal(stage.kernel.answers, 1);
	assert_int_equal(stage.kernel.answer.id, 7);
	assert_int_equal(stage.kernel.answer.error, 0);
	assert_int_equal(stage.kernel.answer.len, 96);
	assert_int_equal(stage.kernel.config[32], 1);
	/* The driver is never shown more queues than there are. */
	assert_int_equal(stage.kernel.config[34], 2);
	tear_down(&stage);
	assert_int_equal(stage.backend[0].seen[VHOST_USER_SET_CONFIG], 1);
}

/* A successor is told again what the driver wrote: the driver relies on it. */
static void step_write_again(struct fake_kernel *kernel, unsigned long request)
{
	struct stage *stage = kernel->test;

	if (request == VLB_IOC_REGISTER)
		probed(stage);
	else if (request == VLB_IOC_START && kernel->starts == 1)
		send_write(stage, 7);
	else if (request == VLB_IOC_ANSWER)
		kill_backend(stage, 0);
	else if (request == VLB_IOC_START)
		send_event(stage, VLB_EVENT_REMOVED);
}

static void test_config_write_again(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_write_again);
	assert_int_equal(run(&stage), EXIT_OK);
	assert_int_equal(stage.kernel.starts, 2);
	assert_int_equal(stage.kernel.answers, 1);
	assert_int_equal(stage.kernel.config[32], 1);
	tear_down(&stage);
	assert_int_equal(stage.backend[0].seen[VHOST_USER_SET_CONFIG], 1);
	assert_int_equal(stage.backend[1].seen[VHOST_USER_SET_CONFIG], 1);
	assert_int_equal(stage.backend[1].config[32], 1);
}

static void test_config_write_refused(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_write);
	stage.backend[0].fault_at = VHOST_USER_SET_CONFIG;
	stage.backend[0].fault = FAULT_REFUSE;
	assert_int_equal(run(&stage), EXIT_OK);
	assert_int_equal(stage.kernel.answers, 1);
	assert_int_equal(stage.kernel.answer.error, EIO);
	/* To refuse is not to be gone. */
	assert_int_equal(stage.kernel.stops, 0);
	tear_down(&stage);
}

static void test_config_write_lost(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_write);
	stage.backend[0].fault_at = VHOST_USER_SET_CONFIG;
	stage.backend[0].fault = FAULT_CLOSE;
	assert_int_equal(run(&stage), EXIT_OK);
	assert_int_equal(stage.kernel.answers, 1);
	assert_int_equal(stage.kernel.answer.error, EIO);
	assert_int_equal(stage.kernel.stops, 1);
	tear_down(&stage);
}

/*
 * Questions are forwarded as whole config spaces, with all that was asked so far, also what a
 * back-end before did not hear.
 */
static void step_question(struct fake_kernel *kernel, unsigned long request)
{
	struct stage *stage = kernel->test;
	struct vlb_event event = {
		.size = sizeof(event),
		.type = VLB_EVENT_CONFIG_WRITE,
		.epoch = 1,
		.len = 1,
	};

	if (request == VLB_IOC_REGISTER) {
		probed(stage);
	} else if (request == VLB_IOC_START) {
		event.id = kernel->starts;
		event.offset = kernel->starts - 1;
		event.data[0] = kernel->starts == 1 ? 0x11 : 0x22;
		fake_event(kernel, &event);
	} else if (request == VLB_IOC_ANSWER && kernel->answers == 2) {
		send_event(stage, VLB_EVENT_REMOVED);
	}
}

static void test_question(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_question);
	stage.options.type = type_by_name("input");
	stage.attach.type = stage.options.type;
	stage.accepted = 1ULL << 32;
	for (int i = 0; i < BACKENDS; i++) {
		memset(stage.backend[i].config, 0, sizeof(stage.backend[i].config));
		stage.backend[i].features &= ~BLK_MQ;
		stage.backend[i].config_size = 136;
		stage.backend[i].config[8] = 'x';
	}
	stage.backend[0].fault_at = VHOST_USER_SET_CONFIG;
	stage.backend[0].fault = FAULT_CLOSE;
	assert_int_equal(run(&stage), EXIT_OK);
	assert_int_equal(stage.kernel.answers, 2);
	assert_int_equal(stage.kernel.answer.error, 0);
	assert_int_equal(stage.kernel.answer.len, 136);
	tear_down(&stage);
	assert_int_equal(stage.backend[1].seen[VHOST_USER_SET_CONFIG], 2);
	assert_int_equal(stage.backend[1].config[0], 0x11);
	assert_int_equal(stage.backend[1].config[1], 0x22);
	assert_int_equal(stage.backend[1].config[8], 'x');
}

/* A disk that grows while it is in use. */
static void step_change(struct fake_kernel *kernel, unsigned long request)
{
	struct stage *stage = kernel->test;
	struct vhost_user_msg msg;

	if (request == VLB_IOC_REGISTER) {
		probed(stage);
	} else if (request == VLB_IOC_START) {
		stage->backend[0].config[1] = 5;
		vhost_user_init(&msg, VHOST_USER_BACKEND_CONFIG_CHANGE, 0);
		assert_int_equal(vhost_user_send(stage->backend[0].channel, &msg, 1000), 0);
	} else if (request == VLB_IOC_CONFIG) {
		send_event(stage, VLB_EVENT_REMOVED);
	}
}

static void test_config_change(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_change);
	assert_int_equal(run(&stage), EXIT_OK);
	assert_int_equal(stage.kernel.configs, 1);
	assert_int_equal(stage.kernel.config_flags, VLB_CONFIG_NOTIFY);
	assert_int_equal(stage.kernel.config[1], 5);
	tear_down(&stage);
}

/* A disk that has grown when the driver's write brings its new config space, of which the driver is not told. */
static void step_change_and_write(struct fake_kernel *kernel, unsigned long request)
{
	struct stage *stage = kernel->test;
	struct vhost_user_msg msg;

	if (request == VLB_IOC_REGISTER) {
		probed(stage);
	} else if (request == VLB_IOC_START) {
		stage->backend[0].config[1] = 5;
		vhost_user_init(&msg, VHOST_USER_BACKEND_CONFIG_CHANGE, 0);
		assert_int_equal(vhost_user_send(stage->backend[0].channel, &msg, 1000), 0);
		send_write(stage, 7);
	} else if (request == VLB_IOC_CONFIG && kernel->config_flags & VLB_CONFIG_NOTIFY) {
		send_event(stage, VLB_EVENT_REMOVED);
	} else if (request == VLB_IOC_ANSWER) {
		send_signal(stage, SIGTERM);
	} else if (request == VLB_IOC_REMOVE) {
		send_event(stage, VLB_EVENT_REMOVED);
	}
}

static void test_config_change_and_write(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_change_and_write);
	assert_int_equal(run(&stage), EXIT_OK);
	assert_int_equal(stage.kernel.config_flags, VLB_CONFIG_NOTIFY);
	assert_int_equal(stage.kernel.config[1], 5);
	assert_int_equal(stage.kernel.config[32], 1);
	tear_down(&stage);
}

/* A back-end may forget at a reset what was written; the next driver reads it from the kernel's copy. */
static void step_write_reset(struct fake_kernel *kernel, unsigned long request)
{
	struct stage *stage = kernel->test;

	if (request == VLB_IOC_REGISTER) {
		probed(stage);
	} else if (request == VLB_IOC_START && kernel->starts == 1) {
		send_write(stage, 7);
	} else if (request == VLB_IOC_ANSWER) {
		stage->epoch = 1;
		send_event(stage, VLB_EVENT_RESET);
		send_event(stage, VLB_EVENT_DRIVER_OK);
	} else if (request == VLB_IOC_START) {
		send_event(stage, VLB_EVENT_REMOVED);
	}
}

static void test_config_write_reset(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_write_reset);
	assert_int_equal(run(&stage), EXIT_OK);
	assert_int_equal(stage.kernel.starts, 2);
	tear_down(&stage);
	assert_int_equal(stage.backend[0].seen[VHOST_USER_SET_CONFIG], 2);
}

/* SIGTERM: keep serving until the kernel says that the device is gone. A second: now. */
static void step_signals(struct fake_kernel *kernel, unsigned long request)
{
	struct stage *stage = kernel->test;

	if (request == VLB_IOC_REGISTER)
		probed(stage);
	else if (request == VLB_IOC_START)
		send_signal(stage, SIGTERM);
	else if (request == VLB_IOC_REMOVE)
		send_signal(stage, SIGTERM);
	else if (request == VLB_IOC_STOP)
		send_event(stage, VLB_EVENT_REMOVED);
}

static void test_signals(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_signals);
	assert_int_equal(run(&stage), EXIT_OK);
	assert_int_equal(stage.kernel.removals, 1);
	assert_int_equal(stage.kernel.stops, 1);
	assert_int_equal(stage.kernel.stop_flags, VLB_STOP_FAIL);
	tear_down(&stage);
}

static void send_broken(struct stage *stage, uint32_t reason)
{
	struct vlb_event event = {
		.size = sizeof(event), .type = VLB_EVENT_BROKEN, .reason = reason};

	fake_event(&stage->kernel, &event);
}

static void step_broken(struct fake_kernel *kernel, unsigned long request)
{
	struct stage *stage = kernel->test;

	if (request == VLB_IOC_REGISTER) {
		probed(stage);
	} else if (request == VLB_IOC_START) {
		send_broken(stage, VLB_BROKEN_RING);
		send_signal(stage, SIGTERM);
	} else if (request == VLB_IOC_REMOVE) {
		send_event(stage, VLB_EVENT_REMOVED);
	}
}

static void test_broken(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_broken);
	assert_int_equal(run(&stage), EXIT_BROKEN);
	assert_int_equal(stage.kernel.removals, 1);
	tear_down(&stage);
}

static void step_broken_detach(struct fake_kernel *kernel, unsigned long request)
{
	struct stage *stage = kernel->test;

	if (request == VLB_IOC_REGISTER) {
		probed(stage);
	} else if (request == VLB_IOC_START) {
		send_broken(stage, VLB_BROKEN_TIMEOUT);
		send_event(stage, VLB_EVENT_REMOVING);
		send_event(stage, VLB_EVENT_REMOVED);
	}
}

/* Whoever detaches a device gets what they want, so that no supervisor brings it back. */
static void test_broken_detach(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_broken_detach);
	assert_int_equal(run(&stage), EXIT_OK);
	assert_int_equal(stage.kernel.removals, 0);
	tear_down(&stage);
}

static void step_forced_detach(struct fake_kernel *kernel, unsigned long request)
{
	struct stage *stage = kernel->test;

	if (request == VLB_IOC_REGISTER) {
		probed(stage);
	} else if (request == VLB_IOC_START) {
		send_event(stage, VLB_EVENT_REMOVING);
		send_broken(stage, VLB_BROKEN_STOP);
		send_event(stage, VLB_EVENT_REMOVED);
	}
}

static void step_forced_detach_behind(struct fake_kernel *kernel, unsigned long request)
{
	struct stage *stage = kernel->test;

	if (request == VLB_IOC_REGISTER) {
		probed(stage);
	} else if (request == VLB_IOC_START) {
		send_broken(stage, VLB_BROKEN_STOP);
		send_event(stage, VLB_EVENT_REMOVING);
		send_event(stage, VLB_EVENT_REMOVED);
	}
}

static void test_forced_detach(void **state)
{
	static const enum disconnect_policy policies[] = {ON_DISCONNECT_WAIT, ON_DISCONNECT_REMOVE};
	struct stage stage;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		set_up(&stage, step_forced_detach);
		stage.options.policy = policies[i];
		assert_int_equal(run(&stage), EXIT_OK);
		tear_down(&stage);
		set_up(&stage, step_forced_detach_behind);
		stage.options.policy = policies[i];
		assert_int_equal(run(&stage), EXIT_OK);
		assert_int_equal(stage.kernel.removals, 0);
		tear_down(&stage);
	}
}

/* It is detached before this process has removed it. */
static void step_detach_first(struct fake_kernel *kernel, unsigned long request)
{
	struct stage *stage = kernel->test;

	if (request == VLB_IOC_REGISTER) {
		probed(stage);
	} else if (request == VLB_IOC_START) {
		send_broken(stage, VLB_BROKEN_RING);
	} else if (request == VLB_IOC_REMOVE) {
		send_event(stage, VLB_EVENT_REMOVING);
		send_event(stage, VLB_EVENT_REMOVED);
	}
}

static void test_detach_first(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_detach_first);
	stage.options.policy = ON_DISCONNECT_REMOVE;
	assert_int_equal(run(&stage), EXIT_BROKEN);
	tear_down(&stage);
	set_up(&stage, step_detach_first);
	stage.options.policy = ON_DISCONNECT_REMOVE;
	stage.kernel.fail_request = VLB_IOC_REMOVE;
	stage.kernel.fail_error = -ENODEV;
	assert_int_equal(run(&stage), EXIT_OK);
	tear_down(&stage);
}

static void step_no_memory(struct fake_kernel *kernel, unsigned long request)
{
	struct stage *stage = kernel->test;

	if (request == VLB_IOC_REGISTER)
		probed(stage);
	else if (request == VLB_IOC_REMOVE)
		send_event(stage, VLB_EVENT_REMOVED);
}

static void test_no_memory(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_no_memory);
	stage.kernel.fail_request = VLB_IOC_SESSION;
	stage.kernel.fail_error = -ENOMEM;
	assert_int_equal(run(&stage), EXIT_MEMORY);
	assert_int_equal(stage.kernel.stop_flags, VLB_STOP_FAIL);
	tear_down(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_stale),
		cmocka_unit_test(test_config_write),
		cmocka_unit_test(test_config_write_again),
		cmocka_unit_test(test_config_write_refused),
		cmocka_unit_test(test_config_write_lost),
		cmocka_unit_test(test_question),
		cmocka_unit_test(test_config_change),
		cmocka_unit_test(test_config_change_and_write),
		cmocka_unit_test(test_config_write_reset),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_broken_detach),
		cmocka_unit_test(test_forced_detach),
		cmocka_unit_test(test_detach_first),
		cmocka_unit_test(test_no_memory),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
