/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device: what it offers, its configuration space, its messages, its end.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#ifndef VLOOP_LIBRARY_VERSION
#error "the build says the version"
#endif

/* Bits of device types (virtio 1.3, 2.2), as opposed to those of rings and transports. */
#define DEVICE_FEATURES		(0xffffffULL | ~0ULL << 50)

#define KNOWN_FLAGS                                                                                \
	(VLOOP_DEV_NO_PACKED | VLOOP_DEV_NO_INDIRECT | VLOOP_DEV_NO_EVENT_IDX | VLOOP_DEV_ONCE)

const char *vloop_version(void)
{
	return VLOOP_LIBRARY_VERSION;
}

void dev_log(const struct vloop_dev *dev, int level, const char *format, ...)
{
	char message[512];
	va_list args;
	int n;

	if (!dev->log || level > dev->log_level)
		return;
	n = snprintf(message, sizeof(message), "%s: ", dev->name);
	if (n < 0 || (size_t)n >= sizeof(message))
		n = 0;
	va_start(args, format);
	vsnprintf(message + n, sizeof(message) - (size_t)n, format, args);
	va_end(args);
	dev->log(dev->log_user, level, message);
}

void vloop_dev_set_log(struct vloop_dev *dev, int level, vloop_log_fn fn, void *user)
{
	dev->log = fn;
	dev->log_user = user;
	dev->log_level = level;
}

static uint64_t offered_features(const struct vloop_dev_desc *desc)
{
	uint64_t features = desc->features | BIT64(F_VERSION_1) |
			    BIT64(VHOST_USER_F_PROTOCOL_FEATURES);

	if (!(desc->flags & VLOOP_DEV_NO_INDIRECT))
		features |= BIT64(F_INDIRECT_DESC);
	if (!(desc->flags & VLOOP_DEV_NO_EVENT_IDX))
		features |= BIT64(F_EVENT_IDX);
	if (!(desc->flags & VLOOP_DEV_NO_PACKED))
		features |= BIT64(F_RING_PACKED);
	return features;
}

static uint64_t offered_protocol_features(const struct vloop_dev_desc *desc)
{
	uint64_t features = BIT64(VHOST_USER_PROTOCOL_F_MQ) |
			    BIT64(VHOST_USER_PROTOCOL_F_REPLY_ACK) |
			    BIT64(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD) |
			    BIT64(VHOST_USER_PROTOCOL_F_RESET_DEVICE) |
			    BIT64(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) |
			    BIT64(VHOST_USER_PROTOCOL_F_STATUS);

	/* The back-end's channel is there to tell of changes of the configuration space only. */
	if (desc->config_len)
		features |= BIT64(VHOST_USER_PROTOCOL_F_CONFIG) |
			    BIT64(VHOST_USER_PROTOCOL_F_BACKEND_REQ);
	return features;
}

static int check_desc(const struct vloop_dev_desc *desc, const struct vloop_dev_ops *ops)
{
	if (desc->size < sizeof(*desc) || ops->size < sizeof(*ops) || !desc->name)
		return -EINVAL;
	if (desc->features & ~DEVICE_FEATURES || desc->flags & ~KNOWN_FLAGS)
		return -EINVAL;
	if (desc->num_queues == 0 || desc->num_queues > VLOOP_QUEUES_MAX)
		return -EINVAL;
	if (desc->queue_size_max > VLOOP_QUEUE_SIZE_MAX ||
	    desc->queue_size_max & (desc->queue_size_max - 1))
		return -EINVAL;
	if (desc->segments_max > UINT16_MAX)
		return -EINVAL;
	if (desc->config_len > VLOOP_CONFIG_MAX || (desc->config_len && !desc->config))
		return -EINVAL;
	switch (desc->dispatch) {
	case VLOOP_DISPATCH_LOOP:
		return ops->queue_kick ? 0 : -EINVAL;
	case VLOOP_DISPATCH_THREAD:
		return ops->queue_run ? 0 : -EINVAL;
	case VLOOP_DISPATCH_CALLER:
		return ops->queue_start && ops->queue_stop ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

static int open_loop(struct vloop_dev *dev)
{
	dev->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (dev->epoll_fd < 0)
		return -errno;
	dev->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (dev->wake_fd < 0)
		return -errno;
	return watch_add(dev, &dev->wake, dev->wake_fd, EPOLLIN);
}

static struct vloop_dev *alloc_dev(const struct vloop_dev_desc *desc)
{
	struct vloop_dev *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return NULL;
	dev->refs = 1;
	dev->epoll_fd = -1;
	dev->wake_fd = -1;
	dev->request_fd = -1;
	dev->listen.kind = WATCH_LISTEN;
	dev->listen.fd = -1;
	dev->retry.kind = WATCH_RETRY;
	dev->retry.fd = -1;
	dev->conn.kind = WATCH_CONN;
	dev->conn.fd = -1;
	dev->wake.kind = WATCH_WAKE;
	dev->name = strdup(desc->name);
	dev->queues = calloc(desc->num_queues, sizeof(*dev->queues));
	if (!dev->name || !dev->queues) {
		free(dev->name);
		free(dev->queues);
		free(dev);
		return NULL;
	}
	dev->num_queues = desc->num_queues;
	for (unsigned int i = 0; i < dev->num_queues; i++)
		queue_init(&dev->queues[i], dev, i);
	return dev;
}

int vloop_dev_new(struct vloop_dev **ret_dev, const struct vloop_dev_desc *desc,
		  const struct vloop_dev_ops *ops, void *user)
{
	struct vloop_dev *dev;
	int r;

	r = check_desc(desc, ops);
	if (r < 0)
		return r;
	dev = alloc_dev(desc);
	if (!dev)
		return -ENOMEM;
	dev->ops = *ops;
	dev->user = user;
	dev->features = offered_features(desc);
	dev->protocol_features = offered_protocol_features(desc);
	dev->queue_size_max = desc->queue_size_max ? desc->queue_size_max : DEFAULT_QUEUE_SIZE;
	dev->segments_max = desc->segments_max ? desc->segments_max : DEFAULT_SEGMENTS;
	dev->dispatch = (enum vloop_dispatch)desc->dispatch;
	dev->once = desc->flags & VLOOP_DEV_ONCE;
	dev->config_len = desc->config_len;
	if (desc->config_len)
		memcpy(dev->config, desc->config, desc->config_len);
	r = open_loop(dev);
	if (r < 0) {
		vloop_dev_unref(dev);
		return r;
	}
	*ret_dev = dev;
	return 0;
}

struct vloop_dev *vloop_dev_ref(struct vloop_dev *dev)
{
	dev->refs++;
	return dev;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* Another program may have taken the path over. */
static void remove_socket(const struct vloop_dev *dev)
{
	struct stat st;

	if (dev->socket_path && !lstat(dev->socket_path, &st) && st.st_dev == dev->socket_dev &&
	    st.st_ino == dev->socket_ino)
		unlink(dev->socket_path);
}

struct vloop_dev *vloop_dev_unref(struct vloop_dev *dev)
{
	if (!dev || --dev->refs)
		return NULL;
	/* The socket goes first: nobody shall connect to a device that is about to end. */
	watch_remove(dev, &dev->listen);
	close_fd(dev->listen.fd);
	dev->listen.fd = -1;
	remove_socket(dev);
	conn_close(dev);
	/* Requests that the device kept may still be written to by it: leave all that they need. */
	if (dev->stuck)
		return NULL;
	for (unsigned int i = 0; i < dev->num_queues; i++)
		queue_release(&dev->queues[i]);
	while (dev->user_watches)
		vloop_dev_unwatch(dev, dev->user_watches->fd);
	watch_remove(dev, &dev->retry);
	close_fd(dev->retry.fd);
	close_fd(dev->wake_fd);
	close_fd(dev->epoll_fd);
	free(dev->socket_path);
	free(dev->queues);
	free(dev->name);
	free(dev);
	return NULL;
}

void *vloop_dev_user(const struct vloop_dev *dev)
{
	return dev->user;
}

uint64_t vloop_dev_features(const struct vloop_dev *dev)
{
	return dev->acked & ~BIT64(VHOST_USER_F_PROTOCOL_FEATURES);
}

struct vloop_queue *vloop_dev_queue(struct vloop_dev *dev, unsigned int index)
{
	return index < dev->num_queues ? &dev->queues[index] : NULL;
}

int vloop_dev_set_config(struct vloop_dev *dev, uint32_t offset, const void *data, uint32_t len)
{
	if (offset > dev->config_len || len > dev->config_len - offset)
		return -ERANGE;
	memcpy(dev->config + offset, data, len);
	return 0;
}

int vloop_dev_config_changed(struct vloop_dev *dev)
{
	struct vhost_user_msg msg;
	int r;

	if (dev->conn.fd < 0)
		return 0;
	if (dev->request_fd < 0)
		return -EOPNOTSUPP;
	vhost_user_init(&msg, VHOST_USER_BACKEND_CONFIG_CHANGE, 0);
	r = vhost_user_send(dev->request_fd, &msg, 0);
	/* A full socket holds such a message already, and it will make the driver read everything. */
	return r == -EAGAIN ? 0 : r;
}
