/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_kernel.h"

#define RING 16

static int play_session(struct fake_kernel *kernel, struct vlb_session *arg)
{
	struct vlb_session_queue *queue = (struct vlb_session_queue *)(uintptr_t)arg->queues;
	const uint8_t *pool = (const uint8_t *)(uintptr_t)arg->pool;
	unsigned char resident;

	kernel->sessions++;
	kernel->session_flags = arg->flags;
	assert_int_equal(arg->nqueues, kernel->create.nqueues);
	assert_int_equal(arg->pool_len, kernel->pool_len);
	/* Mapped, and as zero as a pool has to be. */
	assert_int_equal(mincore((void *)(uintptr_t)pool, 4096, &resident), 0);
	assert_int_equal(pool[0], 0);
	arg->out_base = 0;
	for (uint32_t i = 0; i < arg->nqueues; i++) {
		queue[i].out_num = RING;
		queue[i].out_desc = 4096ULL * i;
		queue[i].out_avail = 4096ULL * i + 1024;
		queue[i].out_used = 4096ULL * i + 2048;
		if (!(arg->flags & VLB_SESSION_CALL_EVENTFD))
			queue[i].out_call = (uint32_t)eventfd(0, EFD_CLOEXEC);
		if (arg->flags & VLB_SESSION_KICK_FILE)
			queue[i].kick = (uint32_t)eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	if (kernel->call >= 0)
		close(kernel->call);
	kernel->call = dup((int)queue[0].out_call);
	return 0;
}

static int play(struct fake_kernel *kernel, unsigned long request, void *arg)
{
	struct vlb_create *create = arg;
	struct vlb_config *config = arg;
	struct vlb_info *info = arg;
	struct vlb_type_info *type = arg;

	switch (request) {
	case VLB_IOC_INFO:
		info->out_features = kernel->features;
		info->out_queues_max = VLB_QUEUES_MAX;
		info->out_pool_max = kernel->pool_max;
		return 0;
	case VLB_IOC_TYPE_INFO:
		type->out_pool_default = 16 << 20;
		type->out_pool_per_queue = 4 << 20;
		return 0;
	case VLB_IOC_CREATE:
		kernel->create = *create;
		memcpy(kernel->created_config, (void *)(uintptr_t)create->config, create->config_len);
		create->out_pool_len = create->pool_len ? create->pool_len : 65536;
		kernel->pool_len = create->out_pool_len;
		return 0;
	case VLB_IOC_REGISTER:
		return 0;
	case VLB_IOC_SESSION:
		return play_session(kernel, arg);
	case VLB_IOC_START:
		kernel->starts++;
		return 0;
	case VLB_IOC_STOP:
		kernel->stops++;
		kernel->stop_flags = ((struct vlb_start *)arg)->flags;
		return 0;
	case VLB_IOC_CONFIG:
		kernel->configs++;
		kernel->config_flags = config->flags;
		memcpy(kernel->config, (void *)(uintptr_t)config->data, config->len);
		return 0;
	case VLB_IOC_ANSWER:
		kernel->answers++;
		kernel->answer = *config;
		if (config->len)
			memcpy(kernel->config, (void *)(uintptr_t)config->data, config->len);
		return 0;
	case VLB_IOC_REMOVE:
		kernel->removals++;
		return 0;
	default:
		return -ENOTTY;
	}
}

static int call(struct kdev *kdev, unsigned long request, void *arg)
{
	struct fake_kernel *kernel = kdev->test;
	int ret;

	if (kernel->fail_request == request && kernel->fail_error) {
		ret = kernel->fail_error;
		kernel->fail_error = 0;
	} else {
		ret = play(kernel, request, arg);
	}
	if (kernel->step)
		kernel->step(kernel, request);
	return ret;
}

void fake_kernel_init(struct fake_kernel *kernel)
{
	int pair[2];

	memset(kernel, 0, sizeof(*kernel));
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	kernel->kdev = (struct kdev){.fd = pair[0], .call = call, .test = kernel};
	kernel->events = pair[1];
	kernel->call = -1;
	kernel->pool_max = 1 << 30;
	kernel->features =
		VLB_F_CALL_FILE | VLB_F_CALL_EVENTFD | VLB_F_KICK_FILE | VLB_F_TRUSTED;
}

void fake_kernel_free(struct fake_kernel *kernel)
{
	kdev_close(&kernel->kdev);
	close(kernel->events);
	if (kernel->call >= 0)
		close(kernel->call);
}

void fake_event(struct fake_kernel *kernel, const struct vlb_event *event)
{
	assert_int_equal(send(kernel->events, event, sizeof(*event), 0), sizeof(*event));
}
