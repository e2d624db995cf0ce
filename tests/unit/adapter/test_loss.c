/* SPDX-License-Identifier: BSD-3-Clause */
/* The back-end goes, comes again, or does not. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/sockios.h>

#include <cmocka.h>

#include "stage.h"

/* One back-end after the other; the driver notices nothing of it. */
static void step_reconnect(struct fake_kernel *kernel, unsigned long request)
{
	struct stage *stage = kernel->test;

	if (request == VLB_IOC_REGISTER)
		probed(stage);
	else if (request == VLB_IOC_START && kernel->starts < 3)
		kill_backend(stage, (int)kernel->starts - 1);
	else if (request == VLB_IOC_START)
		send_event(stage, VLB_EVENT_REMOVED);
}

static void test_reconnect(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_reconnect);
	/* The second disk has grown: its driver has to know. */
	stage.backend[1].config[0] = 8;
	stage.backend[2].config[0] = 8;
	assert_int_equal(run(&stage), EXIT_OK);
	assert_int_equal(stage.kernel.starts, 3);
	assert_int_equal(stage.kernel.stops, 2);
	assert_int_equal(stage.kernel.stop_flags, 0);
	assert_int_equal(stage.kernel.configs, 1);
	assert_int_equal(stage.kernel.config_flags, VLB_CONFIG_NOTIFY);
	assert_int_equal(stage.kernel.config[0], 8);
	tear_down(&stage);
	for (int i = 0; i < 3; i++)
		assert_int_equal(stage.backend[i].seen[VHOST_USER_SET_MEM_TABLE], 1);
}

/* Back-ends that die as soon as they serve; @link_shift moves the start of their links. */
static void step_crash(struct fake_kernel *kernel, unsigned long request)
{
	struct stage *stage = kernel->test;

	if (request == VLB_IOC_REGISTER)
		probed(stage);
	else if (request == VLB_IOC_SESSION)
		stage->next_delay[kernel->sessions - 1] = stage->attach.reconnect_delay_ms;
	if (request != VLB_IOC_START)
		return;
	stage->attach.linked_at += (uint64_t)stage->link_shift;
	if (kernel->starts < BACKENDS)
		kill_backend(stage, (int)kernel->starts - 1);
	else
		send_event(stage, VLB_EVENT_REMOVED);
}

/* Each session costs a pool, so there is ever more time between them. */
static void test_crashing(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_crash);
	stage.link_shift = 60 * 1000;
	assert_int_equal(run(&stage), EXIT_OK);
	assert_int_equal(stage.kernel.sessions, BACKENDS);
	assert_int_equal(stage.next_delay[0], 0);
	assert_int_equal(stage.next_delay[2], 2 * stage.next_delay[1]);
	tear_down(&stage);
}

static void test_lasting(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_crash);
	stage.link_shift = -60 * 1000;
	assert_int_equal(run(&stage), EXIT_OK);
	assert_int_equal(stage.kernel.sessions, BACKENDS);
	assert_int_not_equal(stage.next_delay[1], 0);
	assert_int_equal(stage.next_delay[2], stage.next_delay[1]);
	tear_down(&stage);
}

static void test_disconnect_fail(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_reconnect);
	stage.options.policy = ON_DISCONNECT_FAIL;
	assert_int_equal(run(&stage), EXIT_OK);
	assert_int_equal(stage.kernel.starts, 3);
	assert_int_equal(stage.kernel.stop_flags, VLB_STOP_FAIL);
	tear_down(&stage);
}

static void step_remove_on_loss(struct fake_kernel *kernel, unsigned long request)
{
	struct stage *stage = kernel->test;

	if (request == VLB_IOC_REGISTER)
		probed(stage);
	else if (request == VLB_IOC_START)
		kill_backend(stage, 0);
	else if (request == VLB_IOC_REMOVE)
		send_event(stage, VLB_EVENT_REMOVED);
}

static void test_disconnect_remove(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_remove_on_loss);
	stage.options.policy = ON_DISCONNECT_REMOVE;
	assert_int_equal(run(&stage), EXIT_BACKEND);
	assert_int_equal(stage.kernel.starts, 1);
	assert_int_equal(stage.kernel.stop_flags, VLB_STOP_FAIL);
	assert_int_equal(stage.kernel.removals, 1);
	tear_down(&stage);
}

/* A successor that lacks what the driver uses is sent away, and the next one is tried. */
static void step_unfit(struct fake_kernel *kernel, unsigned long request)
{
	struct stage *stage = kernel->test;

	if (request == VLB_IOC_REGISTER)
		probed(stage);
	else if (request == VLB_IOC_START && kernel->starts == 1)
		kill_backend(stage, 0);
	else if (request == VLB_IOC_START)
		send_event(stage, VLB_EVENT_REMOVED);
}

static void test_unfit_successor(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_unfit);
	stage.backend[1].features &= ~BLK_MQ;
	assert_int_equal(run(&stage), EXIT_OK);
	assert_int_equal(stage.kernel.starts, 2);
	tear_down(&stage);
	assert_int_equal(stage.backend[1].seen[VHOST_USER_GET_FEATURES], 1);
	assert_int_equal(stage.backend[1].seen[VHOST_USER_SET_FEATURES], 0);
	assert_int_equal(stage.backend[2].seen[VHOST_USER_SET_FEATURES], 1);
}

/*
 * A back-end that reports an error of a ring, and takes the report back between the adapter's
 * poll() and what comes after it: while the adapter waits for the second half of a message.
 */
struct report {
	struct vhost_user_msg msg;
	pthread_t thread;
	int channel, err;
};

#define HALF (VHOST_USER_HDR_SIZE / 2)

static void *take_back(void *arg)
{
	struct report *report = arg;
	int unread = 0;
	uint64_t count;

	while (!ioctl(report->channel, SIOCOUTQ, &unread) && unread)
		sched_yield();
	fcntl(report->err, F_SETFL, 0);
	(void)!read(report->err, &count, sizeof(count));
	send(report->channel, (char *)&report->msg.hdr + HALF, VHOST_USER_HDR_SIZE - HALF,
	     MSG_NOSIGNAL);
	return NULL;
}

static struct report report;

static void step_ring_error(struct fake_kernel *kernel, unsigned long request)
{
	struct stage *stage = kernel->test;
	uint64_t one = 1;

	if (request == VLB_IOC_REGISTER) {
		probed(stage);
	} else if (request == VLB_IOC_START && kernel->starts == 1) {
		report.channel = stage->backend[0].channel;
		report.err = stage->attach.session.err;
		vhost_user_init(&report.msg, VHOST_USER_BACKEND_CONFIG_CHANGE, 0);
		assert_int_equal(send(report.channel, &report.msg.hdr, HALF, 0), HALF);
		assert_int_equal(write(report.err, &one, sizeof(one)), sizeof(one));
		assert_int_equal(pthread_create(&report.thread, NULL, take_back, &report), 0);
	} else if (request == VLB_IOC_START) {
		send_event(stage, VLB_EVENT_REMOVED);
	}
}

static void test_ring_error(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, step_ring_error);
	assert_int_equal(run(&stage), EXIT_OK);
	pthread_join(report.thread, NULL);
	assert_int_equal(stage.kernel.starts, 2);
	assert_int_equal(stage.kernel.stops, 1);
	tear_down(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reconnect),	  cmocka_unit_test(test_crashing),
		cmocka_unit_test(test_lasting),		  cmocka_unit_test(test_disconnect_fail),
		cmocka_unit_test(test_disconnect_remove), cmocka_unit_test(test_unfit_successor),
		cmocka_unit_test(test_ring_error),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
