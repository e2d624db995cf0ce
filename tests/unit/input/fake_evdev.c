/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What vloop-input sees when its evdev node is a FIFO: a device with a key, which is unplugged when
 * a byte comes; and a system that has no inotify instances left.
 */
#include <errno.h>
#include <libevdev/libevdev.h>
#include <stddef.h>

int __wrap_libevdev_new_from_fd(int fd, struct libevdev **ret_dev);
int __wrap_libevdev_next_event(struct libevdev *dev, unsigned int flags, struct input_event *event);
int __wrap_inotify_init1(int flags);

int __wrap_libevdev_new_from_fd(int fd, struct libevdev **ret_dev)
{
	(void)fd;
	*ret_dev = libevdev_new();
	return *ret_dev ? libevdev_enable_event_code(*ret_dev, EV_KEY, KEY_A, NULL) : -ENOMEM;
}

int __wrap_libevdev_next_event(struct libevdev *dev, unsigned int flags, struct input_event *event)
{
	(void)dev;
	(void)flags;
	(void)event;
	return -ENODEV;
}

int __wrap_inotify_init1(int flags)
{
	(void)flags;
	errno = EMFILE;
	return -1;
}
