/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What vloop-input sees when its evdev node is a FIFO: a device with a key, where each byte is an
 * event; and a system that has no inotify instances left.
 *
 *   a, r, A   the key goes down, repeats, goes up
 *   -         SYN_REPORT
 *   d         SYN_DROPPED: the key is up
 *   0         the device is unplugged
 *
 * As libevdev does, it reads what there is, and gives it out one by one.
 */
#include <errno.h>
#include <libevdev/libevdev.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

int __wrap_libevdev_new_from_fd(int fd, struct libevdev **ret_dev);
int __wrap_libevdev_next_event(struct libevdev *dev, unsigned int flags, struct input_event *event);
int __wrap_libevdev_has_event_pending(struct libevdev *dev);
int __wrap_inotify_init1(int flags);

static int node = -1;
static char queue[4096];
static ssize_t taken, queued;
static unsigned int deltas; /* how many are left to say after SYN_DROPPED */

int __wrap_libevdev_new_from_fd(int fd, struct libevdev **ret_dev)
{
	node = fd;
	*ret_dev = libevdev_new();
	return *ret_dev ? libevdev_enable_event_code(*ret_dev, EV_KEY, KEY_A, NULL) : -ENOMEM;
}

static int say(struct input_event *event, int status, uint16_t type, uint16_t code, int value)
{
	*event = (struct input_event){ .type = type, .code = code, .value = value };
	return status;
}

static int next_delta(struct input_event *event)
{
	switch (deltas) {
	case 2:
		deltas--;
		return say(event, LIBEVDEV_READ_STATUS_SYNC, EV_KEY, KEY_A, 0);
	case 1:
		deltas--;
		return say(event, LIBEVDEV_READ_STATUS_SYNC, EV_SYN, SYN_REPORT, 0);
	default:
		return -EAGAIN;
	}
}

int __wrap_libevdev_next_event(struct libevdev *dev, unsigned int flags, struct input_event *event)
{
	(void)dev;
	if (flags & LIBEVDEV_READ_FLAG_SYNC)
		return next_delta(event);
	deltas = 0;
	if (taken == queued) {
		taken = 0;
		queued = read(node, queue, sizeof(queue));
		if (queued < 0)
			queued = 0;
		if (queued == 0)
			return -EAGAIN;
	}
	switch (queue[taken++]) {
	case 'a':
		return say(event, LIBEVDEV_READ_STATUS_SUCCESS, EV_KEY, KEY_A, 1);
	case 'r':
		return say(event, LIBEVDEV_READ_STATUS_SUCCESS, EV_KEY, KEY_A, 2);
	case 'A':
		return say(event, LIBEVDEV_READ_STATUS_SUCCESS, EV_KEY, KEY_A, 0);
	case '-':
		return say(event, LIBEVDEV_READ_STATUS_SUCCESS, EV_SYN, SYN_REPORT, 0);
	case 'd':
		deltas = 2;
		return say(event, LIBEVDEV_READ_STATUS_SYNC, EV_SYN, SYN_DROPPED, 0);
	default:
		return -ENODEV;
	}
}

int __wrap_libevdev_has_event_pending(struct libevdev *dev)
{
	struct pollfd pollfd = { .fd = node, .events = POLLIN };

	(void)dev;
	return taken < queued ? 1 : poll(&pollfd, 1, 0);
}

int __wrap_inotify_init1(int flags)
{
	(void)flags;
	errno = EMFILE;
	return -1;
}
