/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"

static int call(int fd, unsigned long number, void *arg)
{
	return ioctl(fd, number, arg) < 0 ? -errno : 0;
}

int ctl_open(void)
{
	int fd = open(VLB_CONTROL_NODE, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

int ctl_create(int fd, const struct vlb_create *create, uint64_t *ret_pool_len)
{
	struct vlb_create arg = *create;
	int r;

	arg.size = sizeof(arg);
	r = call(fd, VLB_IOC_CREATE, &arg);
	if (r == 0)
		*ret_pool_len = arg.out_pool_len;
	return r;
}

int ctl_simple(int fd, unsigned long number)
{
	struct vlb_simple arg = {.size = sizeof(arg)};

	return call(fd, number, &arg);
}

int ctl_remove(int fd)
{
	return ctl_simple(fd, VLB_IOC_REMOVE);
}

int ctl_detach(int fd, const char *name, uint32_t timeout_ms, uint32_t flags)
{
	struct vlb_detach arg = {.size = sizeof(arg), .flags = flags, .timeout_ms = timeout_ms};

	snprintf((char *)arg.name, sizeof(arg.name), "%s", name);
	return call(fd, VLB_IOC_DETACH, &arg);
}

int ctl_status(int fd, struct vlb_status *ret_status)
{
	memset(ret_status, 0, sizeof(*ret_status));
	ret_status->size = sizeof(*ret_status);
	return call(fd, VLB_IOC_STATUS, ret_status);
}

int ctl_start(int fd, uint32_t epoch)
{
	struct vlb_start arg = {.size = sizeof(arg), .epoch = epoch};

	return call(fd, VLB_IOC_START, &arg);
}

int ctl_stop(int fd, uint32_t flags)
{
	struct vlb_start arg = {.size = sizeof(arg), .flags = flags};

	return call(fd, VLB_IOC_STOP, &arg);
}

int ctl_answer(int fd, uint64_t id, uint32_t error)
{
	struct vlb_config arg = {.size = sizeof(arg), .id = id, .error = error};

	return call(fd, VLB_IOC_ANSWER, &arg);
}

int ctl_session(int fd, uint32_t epoch, uint32_t nqueues, uint64_t pool_len, uint32_t flags,
		struct ctl_session *s)
{
	struct vlb_session arg = {
		.size = sizeof(arg),
		.flags = flags,
		.epoch = epoch,
		.nqueues = nqueues,
		.pool_len = pool_len,
		.queues = (uintptr_t)s->queue,
	};
	int r, memfd = memfd_create("pool", MFD_CLOEXEC);
	void *pool;

	if (memfd < 0)
		return -errno;
	if (ftruncate(memfd, (off_t)pool_len) < 0) {
		close(memfd);
		return -errno;
	}
	pool = mmap(NULL, pool_len, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	close(memfd);
	if (pool == MAP_FAILED)
		return -errno;
	for (uint32_t i = 0; i < nqueues && i < VLB_QUEUES_MAX; i++) {
		memset(&s->queue[i], 0, sizeof(s->queue[i]));
		s->queue[i].kick = (uint32_t)-1;
		if (!(flags & VLB_SESSION_KICK_FILE))
			s->queue[i].kick = (uint32_t)eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		s->queue[i].call = (uint32_t)eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		s->queue[i].out_call = (uint32_t)-1;
	}
	s->nqueues = nqueues;
	s->pool_len = pool_len;
	s->pool = pool;
	arg.pool = (uintptr_t)pool;
	r = call(fd, VLB_IOC_SESSION, &arg);
	s->base = arg.out_base;
	return r;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int ctl_event(int fd, uint32_t type, int timeout_ms, struct vlb_event *ret_event)
{
	int64_t deadline = now_ms() + timeout_ms, left;
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	while ((left = deadline - now_ms()) > 0) {
		if (poll(&pfd, 1, (int)left) <= 0)
			continue;
		if (read(fd, ret_event, sizeof(*ret_event)) == sizeof(*ret_event) &&
		    ret_event->type == type)
			return 0;
	}
	return -ETIMEDOUT;
}
