/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "sock.h"
#include "stage.h"

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

void set_up(struct stage *stage, void (*step)(struct fake_kernel *, unsigned long))
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

void tear_down(struct stage *stage)
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

void send_event(struct stage *stage, uint32_t type)
{
	struct vlb_event event = {.size = sizeof(event), .type = type, .epoch = stage->epoch};

	if (type == VLB_EVENT_DRIVER_OK)
		event.features = stage->accepted;
	fake_event(&stage->kernel, &event);
}

void send_signal(struct stage *stage, uint32_t number)
{
	struct signalfd_siginfo info = {.ssi_signo = number};

	assert_int_equal(send(stage->signals, &info, sizeof(info), 0), sizeof(info));
}

void kill_backend(struct stage *stage, int i)
{
	shutdown(stage->backend[i].sock, SHUT_RDWR);
}

void step_plain(struct fake_kernel *kernel, unsigned long request)
{
	struct stage *stage = kernel->test;

	if (request == VLB_IOC_REGISTER)
		probed(stage);
	else if (request == VLB_IOC_START)
		send_event(stage, VLB_EVENT_REMOVED);
}

enum vloop_exit run(struct stage *stage)
{
	enum vloop_exit ret = attach_learn(&stage->attach);

	if (!ret)
		ret = attach_create(&stage->attach);
	return ret ? ret : attach_run(&stage->attach);
}

void probed(struct stage *stage)
{
	send_event(stage, VLB_EVENT_REGISTERED);
	send_event(stage, VLB_EVENT_DRIVER_OK);
}
