/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Descriptors that the control thread watches.
 *
 * They are all in one epoll set, which is itself the descriptor that vloop_dev_fd() gives out. Events
 * are taken one at a time: handling one may close the descriptor of another.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "internal.h"

#define EVENTS_PER_CALL	64	/* vloop_dev_process() comes back to its caller after so many */

int watch_add(struct vloop_dev *dev, struct watch *watch, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	if (epoll_ctl(dev->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	watch->fd = fd;
	watch->armed = true;
	return 0;
}

void watch_remove(struct vloop_dev *dev, struct watch *watch)
{
	if (!watch->armed)
		return;
	epoll_ctl(dev->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	watch->armed = false;
}

/* Make the control thread look at the flags of device and queues. Any thread, signal handlers. */
void dev_wake(struct vloop_dev *dev)
{
	static const uint64_t one = 1;
	int saved = errno;
	ssize_t n;

	do
		n = write(dev->wake_fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
	errno = saved;
}

static void drain_wake(struct vloop_dev *dev)
{
	uint64_t count;

	while (read(dev->wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

/* Messages that are wrong end the connection, nothing else. */
static int handle(struct vloop_dev *dev, struct watch *watch, uint32_t events)
{
	int r = 0;

	switch (watch->kind) {
	case WATCH_LISTEN:
		return conn_accept(dev, events);
	case WATCH_RETRY:
		conn_retry(dev);
		break;
	case WATCH_CONN:
		r = conn_readable(dev);
		break;
	case WATCH_WAKE:
		drain_wake(dev);
		break;
	case WATCH_KICK:
		queue_kicked(watch->queue);
		break;
	case WATCH_USER:
		return watch->fn(dev, watch->fd, events, watch->user);
	}
	if (r < 0)
		conn_close(dev);
	return 0;
}

/* ring_error() has said what is wrong with a ring. */
static void say_failure(const struct vloop_queue *queue, int error)
{
	if (!queue->broken)
		dev_error(queue->dev, "queue %u: cannot be served, closing the connection: %s",
			  queue->index,
			  error == -ESHUTDOWN ? "its thread ended early" : strerror(-error));
}

/* What had to wait until no function of the device or of the library was in the middle of something. */
static void run_deferred(struct vloop_dev *dev)
{
	bool close_it = atomic_exchange(&dev->disconnect, false);

	if (close_it && dev->conn.fd >= 0)
		dev_info(dev, "the device sends the front-end away");
	for (unsigned int i = 0; i < dev->num_queues; i++) {
		struct vloop_queue *queue = &dev->queues[i];
		int error;

		if (queue->check && queue->running && !atomic_load(&queue->error)) {
			int r;

			queue->check = false;
			r = dev->ops.queue_kick(queue);
			if (r < 0)
				queue_fail(queue, r);
		}
		error = atomic_load(&queue->error);
		if (error) {
			say_failure(queue, error);
			queue_signal_error(queue);
			close_it = true;
		}
	}
	if (close_it && dev->conn.fd >= 0)
		conn_close(dev);
}

/* One event. Return: 1; 0 (none came in time); negative errno. */
static int process_one(struct vloop_dev *dev, int timeout_ms)
{
	struct epoll_event event;
	int n, r;

	n = epoll_wait(dev->epoll_fd, &event, 1, timeout_ms);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n == 0)
		return 0;
	r = handle(dev, event.data.ptr, event.events);
	run_deferred(dev);
	if (dev->stuck)
		return -EBUSY;
	if (r < 0)
		return r;
	return dev->done ? -ENOTCONN : 1;
}

int vloop_dev_process(struct vloop_dev *dev)
{
	if (dev->stuck)
		return -EBUSY;
	if (dev->done)
		return -ENOTCONN;
	for (int i = 0; i < EVENTS_PER_CALL; i++) {
		int r = process_one(dev, 0);

		if (r <= 0)
			return r;
	}
	return 0;
}

int vloop_run(struct vloop_dev *dev)
{
	while (!atomic_exchange(&dev->stop, false)) {
		int r;

		if (dev->stuck)
			return -EBUSY;
		if (dev->done)
			return -ENOTCONN;
		r = process_one(dev, -1);
		if (r < 0)
			return r;
	}
	return 0;
}

void vloop_stop(struct vloop_dev *dev)
{
	atomic_store(&dev->stop, true);
	dev_wake(dev);
}

void vloop_dev_disconnect(struct vloop_dev *dev)
{
	atomic_store(&dev->disconnect, true);
	dev_wake(dev);
}

int vloop_dev_fd(const struct vloop_dev *dev)
{
	return dev->epoll_fd;
}

int vloop_dev_watch(struct vloop_dev *dev, int fd, uint32_t events, vloop_watch_fn fn, void *user)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch)
		return -ENOMEM;
	watch->kind = WATCH_USER;
	watch->fn = fn;
	watch->user = user;
	r = watch_add(dev, watch, fd, events);
	if (r < 0) {
		free(watch);
		return r;
	}
	watch->next = dev->user_watches;
	dev->user_watches = watch;
	return 0;
}

int vloop_dev_unwatch(struct vloop_dev *dev, int fd)
{
	for (struct watch **at = &dev->user_watches; *at; at = &(*at)->next) {
		struct watch *watch = *at;

		if (watch->fd != fd)
			continue;
		watch_remove(dev, watch);
		*at = watch->next;
		free(watch);
		return 0;
	}
	return -ENOENT;
}
