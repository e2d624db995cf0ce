/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kdev.h"

static int call_ioctl(struct kdev *kdev, unsigned long request, void *arg)
{
	int ret;

	/*
	 * A removal that waits is the only call that a signal may end, and there the caller
	 * wants to know.
	 */
	do {
		ret = ioctl(kdev->fd, request, arg);
	} while (ret < 0 && errno == EINTR && request != VLB_IOC_DETACH);
	return ret < 0 ? -errno : 0;
}

int kdev_open(struct kdev *ret_kdev)
{
	int fd = open(VLB_CONTROL_NODE, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	*ret_kdev = (struct kdev){.fd = fd, .call = call_ioctl};
	return 0;
}

void kdev_close(struct kdev *kdev)
{
	if (kdev->fd >= 0)
		close(kdev->fd);
	kdev->fd = -1;
}

int kdev_info(struct kdev *kdev, struct vlb_info *ret_info)
{
	*ret_info = (struct vlb_info){.size = sizeof(*ret_info)};
	return kdev->call(kdev, VLB_IOC_INFO, ret_info);
}

int kdev_type_info(struct kdev *kdev, uint32_t type, struct vlb_type_info *ret_info)
{
	*ret_info = (struct vlb_type_info){.size = sizeof(*ret_info), .type = type};
	return kdev->call(kdev, VLB_IOC_TYPE_INFO, ret_info);
}

int kdev_create(struct kdev *kdev, struct vlb_create *create)
{
	create->size = sizeof(*create);
	return kdev->call(kdev, VLB_IOC_CREATE, create);
}

static int call_simple(struct kdev *kdev, unsigned long request)
{
	struct vlb_simple arg = {.size = sizeof(arg)};

	return kdev->call(kdev, request, &arg);
}

int kdev_register(struct kdev *kdev)
{
	return call_simple(kdev, VLB_IOC_REGISTER);
}

int kdev_remove(struct kdev *kdev)
{
	return call_simple(kdev, VLB_IOC_REMOVE);
}

int kdev_session(struct kdev *kdev, struct vlb_session *session)
{
	session->size = sizeof(*session);
	return kdev->call(kdev, VLB_IOC_SESSION, session);
}

int kdev_start(struct kdev *kdev, uint32_t epoch)
{
	struct vlb_start arg = {.size = sizeof(arg), .epoch = epoch};

	return kdev->call(kdev, VLB_IOC_START, &arg);
}

int kdev_stop(struct kdev *kdev, uint32_t flags)
{
	struct vlb_start arg = {.size = sizeof(arg), .flags = flags};

	return kdev->call(kdev, VLB_IOC_STOP, &arg);
}

int kdev_config(struct kdev *kdev, const void *data, uint32_t len, uint32_t flags)
{
	struct vlb_config arg = {
		.size = sizeof(arg),
		.flags = flags,
		.len = len,
		.data = (uintptr_t)data,
	};

	return kdev->call(kdev, VLB_IOC_CONFIG, &arg);
}

int kdev_answer(struct kdev *kdev, uint64_t id, uint32_t error, uint32_t offset, const void *data,
		uint32_t len)
{
	struct vlb_config arg = {
		.size = sizeof(arg),
		.offset = offset,
		.len = len,
		.data = (uintptr_t)data,
		.id = id,
		.error = error,
	};

	return kdev->call(kdev, VLB_IOC_ANSWER, &arg);
}

int kdev_detach(struct kdev *kdev, const char *name, uint32_t timeout_ms, uint32_t flags)
{
	struct vlb_detach arg = {.size = sizeof(arg), .flags = flags, .timeout_ms = timeout_ms};

	if (strlen(name) >= sizeof(arg.name))
		return -ENOENT;
	memcpy(arg.name, name, strlen(name));
	return kdev->call(kdev, VLB_IOC_DETACH, &arg);
}

int kdev_event(struct kdev *kdev, struct vlb_event *ret_event)
{
	/* A newer kernel's event may be larger: what this program knows comes first in it. */
	union {
		struct vlb_event event;
		uint8_t room[256];
	} buffer = {.room = {0}};
	ssize_t n = read(kdev->fd, &buffer, sizeof(buffer));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if ((size_t)n < sizeof(buffer.event))
		return -EPROTO;
	*ret_event = buffer.event;
	return 1;
}

enum vloop_exit kdev_open_error(int error)
{
	switch (-error) {
	case ENOENT:
	case ENXIO:
	case ENODEV:
		msg_error("no " VLB_CONTROL_NODE ": the kernel module is not loaded; try 'modprobe "
			  "virtio_loopback', or install it with 'make install'");
		return EXIT_MODULE;
	case EACCES:
	case EPERM:
		msg_error("may not open " VLB_CONTROL_NODE ": run as root, or let the "
			  "administrator open the node to you (virtio-loopback(4))");
		return EXIT_RIGHTS;
	default:
		msg_error("opening " VLB_CONTROL_NODE ": %s", strerror(-error));
		return EXIT_FAIL;
	}
}

const char *kdev_broken_reason(uint32_t reason)
{
	switch (reason) {
	case VLB_BROKEN_RING:
		return "the back-end broke the rules of its ring";
	case VLB_BROKEN_TIMEOUT:
		return "the back-end did not answer in time";
	case VLB_BROKEN_STOP:
		return "it was given up";
	case VLB_BROKEN_OWNER:
		return "the process that served it is gone";
	default:
		return "the kernel gave no reason that this program knows";
	}
}
