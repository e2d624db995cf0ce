/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel side of one device: an open file of /dev/virtio-loopback. Every call is 0 or
 * -errno and says nothing by itself; kdev_explain() has the words for a person.
 */
#ifndef VLOOP_KDEV_H
#define VLOOP_KDEV_H

#include <stdint.h>

#include <linux/virtio_loopback.h>

#include "vloop.h"

/*
 * @call: ioctl(), or what a test puts in its place; returns 0 or -errno
 * @fd: read and polled for events
 */
struct kdev {
	int fd;
	int (*call)(struct kdev *kdev, unsigned long request, void *arg);
	void *test;
};

/* kdev_open() - 0; -ENOENT, -ENXIO: the module is not loaded; -EACCES, -EPERM: no right */
int kdev_open(struct kdev *ret_kdev);
void kdev_close(struct kdev *kdev);

int kdev_info(struct kdev *kdev, struct vlb_info *ret_info);
int kdev_type_info(struct kdev *kdev, uint32_t type, struct vlb_type_info *ret_info);
int kdev_create(struct kdev *kdev, struct vlb_create *create);
int kdev_register(struct kdev *kdev);
int kdev_session(struct kdev *kdev, struct vlb_session *session);
int kdev_start(struct kdev *kdev, uint32_t epoch);
int kdev_stop(struct kdev *kdev, uint32_t flags);
int kdev_config(struct kdev *kdev, const void *data, uint32_t len, uint32_t flags);

/* kdev_answer() - @error is an errno or 0; @data replaces @len bytes from @offset */
int kdev_answer(struct kdev *kdev, uint64_t id, uint32_t error, uint32_t offset, const void *data,
		uint32_t len);
int kdev_remove(struct kdev *kdev);
int kdev_detach(struct kdev *kdev, const char *name, uint32_t timeout_ms, uint32_t flags);

/* kdev_event() - 1: @ret_event is filled in; 0: nothing there; -errno */
int kdev_event(struct kdev *kdev, struct vlb_event *ret_event);

/*
 * kdev_open_error() - print why kdev_open() failed with @error and what to do; returns the
 * exit code for it
 */
enum vloop_exit kdev_open_error(int error);

/* The words of sysfs and messages for VLB_STATE_* and VLB_BROKEN_*. */
const char *kdev_broken_reason(uint32_t reason);

#endif
