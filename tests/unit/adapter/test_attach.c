/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of a device, with a kernel and back-ends that are played here. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "attach.h"
#include "fake_backend.h"
#include "fake_kernel.h"
#include "sock.h"

#define BACKENDS 3
#define BLK_MQ (1ULL << 12)

/* Everything a scenario needs; back-end number i serves the connection number i. */
struct stage {
	char directory[32];
	char path[64];
	int listener;
	int signals;
	pthread_t thread;
	struct fake_backend backend[BACKENDS];
	struct fake_kernel kernel;
	struct attach_options options;
	struct attach attach;
	uint32_t epoch;
	uint64_t accepted; /* features, by the driver */
	int link_shift; /* of attach.linked_at, in ms: positive is later */
	unsigned int next_delay[BACKENDS]; /* of reconnecting, when each session was made */
};

static void *serve_all(void *arg)
{
	struct stage *stage = arg;

	for (int i = 0; i < BACKENDS; i++) {
		int fd = accept(stage->listener, NULL, NULL);

		if (fd < 0)
			break;
		fake_start(&stage->backend[i], fd);
		pthread_join(stage->backend[i].thread, NULL);
	}
	return NULL;
}

static void set_up(struct stage *stage, void (*step)(struct fake_kernel *, unsigned long))
{
	int signals[2];

	memset(stage, 0, sizeof(*stage));
	strcpy(stage->directory, "/tmp/vloop-test-XXXXXX");
	assert_non_null(mkdtemp(stage->directory));
	snprintf(stage->path, sizeof(stage->path), "%s/s", stage->directory);
	stage->listener = vl_sock_listen(stage->path, 4);
	assert_true(stage->listener >= 0);
	/* accept() is to wait. */
	assert_int_equal(fcntl(stage->listener, F_SETFL, 0), 0);
	for (int i = 0; i < BACKENDS; i++) {
		fake_init(&stage->backend[i]);
		stage->backend[i].features |= BLK_MQ;
		stage->backend[i].config[34] = 2;
		stage->backend[i].config_size = 96;
	}
	fake_kernel_init(&stage->kernel);
	stage->kernel.step = step;
	stage->kernel.test = stage;
	stage->accepted = (1ULL << 32) | BLK_MQ;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, signals), 0);
	stage->signals = signals[1];
	stage->options = (struct attach_options){
		.type = type_by_name("blk"),
		.socket = stage->path,
		.fd = -1,
		.name = "disk",
		.queues = 2,
		.timeout_ms = 10000,
		.no_sandbox = true,
	};
	stage->attach = (struct attach){
		.options = &stage->options,
		.type = stage->options.type,
		.kdev = stage->kernel.kdev,
		.signal_fd = signals[0],
		.result_fd = -1,
		/* Appearance is tested apart from this. */
		.announced = true,
	};
	stage->attach.kdev.test = &stage->kernel;
	session_init(&stage->attach.session);
	backend_init(&stage->attach.backend, stage->options.timeout_ms, -1);
	assert_int_equal(pthread_create(&stage->thread, NULL, serve_all, stage), 0);
}

static void tear_down(struct stage *stage)
{
	backend_close(&stage->attach.backend);
	session_free(&stage->attach.session);
	shutdown(stage->listener, SHUT_RDWR);
	pthread_join(stage->thread, NULL);
	close(stage->listener);
	for (int i = 0; i < BACKENDS; i++) {
		if (stage->backend[i].sock >= 0)
			close(stage->backend[i].sock);
		if (stage->backend[i].channel >= 0)
			close(stage->backend[i].channel);
	}
	close(stage->signals);
	close(stage->attach.signal_fd);
	fake_kernel_free(&stage->kernel);
	unlink(stage->path);
	rmdir(stage->directory);
}

static void send_event(struct stage *stage, uint32_t type)
{
	struct vlb_event event = {.size = sizeof(event), .type = type, .epoch = stage->epoch};

	if (type == VLB_EVENT_DRIVER_OK)
		event.features = stage->accepted;
	fake_event(&stage->kernel, &event);
}

static void send_signal(struct stage *stage, uint32_t number)
{
	struct signalfd_siginfo info = {.ssi_signo = number};

	assert_int_equal(send(stage->signals, &info, sizeof(info), 0), sizeof(info));
}

static void kill_backend(struct stage *stage, int i)
{
	shutdown(stage->backend[i].sock, SHUT_RDWR);
}

static enum vloop_exit run(struct stage *stage)
{
	enum vloop_exit ret = attach_learn(&stage->attach);

	if (!ret)
		ret = attach_create(&stage->attach);
	return ret ? ret : attach_run(&stage->attach);
}

static void probed(struct stage *stage)
{
	send_event(stage, VLB_EVENT_REGISTERED);
	send_event(stage, VLB_EVENT_DRIVER_OK);
}

/* The driver comes, the driver goes: the plainest life. */
static void step_plain(struct fake_kernel *kernel, unsigned long request)
{
	struct stage *stage = kernel->test;

	if (request == VLB_IOC_REGISTER)
		probed(stage);
	else if (request == VLB_IOC_START)
		send_event(stage, VLB_EVENT_REMOVED);
}

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

static void step_broken(struct fake_kernel *kernel, unsigned long request)
{
	struct stage *stage = kernel->test;
	struct vlb_event event = {
		.size = sizeof(event), .type = VLB_EVENT_BROKEN, .reason = VLB_BROKEN_RING};

	if (request == VLB_IOC_REGISTER) {
		probed(stage);
	} else if (request == VLB_IOC_START) {
		fake_event(kernel, &event);
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
	assert_int_equal(run(&stage), EXIT_FAIL);
	assert_int_equal(stage.kernel.create.size, 0);
	tear_down(&stage);

	set_up(&stage, step_plain);
	stage.options.pool = 1ULL << 31;
	assert_int_equal(run(&stage), EXIT_MEMORY);
	assert_int_equal(stage.kernel.create.size, 0);
	tear_down(&stage);
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
	assert_int_equal(run(&stage), EXIT_OK);
	assert_int_equal(stage.kernel.create.features & ((1ULL << 28) | (1ULL << 29)), 0);
	assert_true(stage.kernel.create.features & (1ULL << 5));
	assert_int_equal(stage.kernel.create.queue_size, 64);
	assert_int_equal(stage.kernel.create.pool_len % (uint64_t)sysconf(_SC_PAGESIZE), 0);
	assert_true(stage.kernel.create.pool_len >= 70000);
	assert_int_equal(stage.kernel.session_flags, VLB_SESSION_CALL_EVENTFD);
	tear_down(&stage);
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
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_reconnect),
		cmocka_unit_test(test_crashing),
		cmocka_unit_test(test_lasting),
		cmocka_unit_test(test_disconnect_fail),
		cmocka_unit_test(test_disconnect_remove),
		cmocka_unit_test(test_unfit_successor),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_stale),
		cmocka_unit_test(test_config_write),
		cmocka_unit_test(test_config_write_again),
		cmocka_unit_test(test_config_write_refused),
		cmocka_unit_test(test_config_write_lost),
		cmocka_unit_test(test_question),
		cmocka_unit_test(test_config_change),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_create_errors),
		cmocka_unit_test(test_free_name),
		cmocka_unit_test(test_misfits),
		cmocka_unit_test(test_module_limits),
		cmocka_unit_test(test_kick_file),
		cmocka_unit_test(test_wait_interrupted),
		cmocka_unit_test(test_options_reach_kernel),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
