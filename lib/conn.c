/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One front-end at a time: the next one waits in the backlog of the socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "internal.h"
#include "sock.h"

#define BACKLOG		4
#define LISTEN_RETRY_S	1

/* Serve @fd; it is the device's when this succeeds. */
int conn_take(struct vloop_dev *dev, int fd)
{
	int r;

	if (dev->ops.connected) {
		r = dev->ops.connected(dev);
		if (r < 0) {
			dev_error(dev, "the device refuses the front-end: %s", strerror(-r));
			return r;
		}
	}
	r = watch_add(dev, &dev->conn, fd, EPOLLIN);
	if (r < 0) {
		if (dev->ops.disconnected)
			dev->ops.disconnected(dev);
		return r;
	}
	watch_remove(dev, &dev->listen);
	atomic_store(&dev->disconnect, false);
	dev_info(dev, "front-end connected");
	return 0;
}

/* A front-end that cannot be taken now stays in the backlog, and the socket stays readable. */
static void pause_listening(struct vloop_dev *dev, int error)
{
	static const struct itimerspec delay = { .it_value.tv_sec = LISTEN_RETRY_S };

	watch_remove(dev, &dev->listen);
	timerfd_settime(dev->retry.fd, 0, &delay, NULL);
	if (!dev->paused)
		dev_error(dev, "cannot take a front-end: %s; trying again every %d s",
			  strerror(error), LISTEN_RETRY_S);
	dev->paused = true;
}

void conn_listen(struct vloop_dev *dev)
{
	int r = watch_add(dev, &dev->listen, dev->listen.fd, EPOLLIN);

	if (r < 0)
		pause_listening(dev, -r);
}

void conn_retry(struct vloop_dev *dev)
{
	uint64_t count;

	if (read(dev->retry.fd, &count, sizeof(count)) == sizeof(count))
		conn_listen(dev);
}

/*
 * A connection may be gone before it is taken. A socket that nobody can come through any more ends
 * the device. What else accept(2) says is want of descriptors or memory, or a refusal of the
 * system's policy: it passes, or an administrator sees to it.
 */
int conn_accept(struct vloop_dev *dev, uint32_t events)
{
	int fd = accept4(dev->listen.fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0) {
		switch (errno) {
		case EAGAIN:
		case EINTR:
		case ECONNABORTED:
			/* Shut down; where accept(2) does not wait, it does not say so. */
			return events & EPOLLHUP ? -EINVAL : 0;
		case EBADF:
		case EINVAL:
		case ENOTSOCK:
		case EOPNOTSUPP:
			return -errno;
		default:
			pause_listening(dev, errno);
			return 0;
		}
	}
	dev->paused = false;
	if (conn_take(dev, fd) < 0)
		close(fd);
	return 0;
}

/*
 * Stop everything and forget what this front-end said. Memory is unmapped only when the device has
 * given all queues back; otherwise the device is stuck and keeps it.
 *
 * The front-end is told last: it may take the used rings, and the record of requests in flight, for
 * final when it sees the end, and give them to our successor.
 */
void conn_close(struct vloop_dev *dev)
{
	if (dev->conn.fd < 0)
		return;
	watch_remove(dev, &dev->conn);
	for (unsigned int i = 0; i < dev->num_queues; i++)
		queue_halt(&dev->queues[i]);
	close(dev->conn.fd);
	dev->conn.fd = -1;
	if (dev->stuck)
		return;
	for (unsigned int i = 0; i < dev->num_queues; i++)
		queue_forget(&dev->queues[i]);
	mem_clear(&dev->mem);
	inflight_unmap(dev);
	if (dev->request_fd >= 0)
		close(dev->request_fd);
	dev->request_fd = -1;
	dev->acked = 0;
	dev->acked_protocol = 0;
	dev->status = 0;
	dev->config_refused = false;
	dev_info(dev, "front-end disconnected");
	if (dev->ops.disconnected)
		dev->ops.disconnected(dev);
	dev->done = dev->once || dev->listen.fd < 0;
	if (!dev->done)
		conn_listen(dev);
}

static bool answers(const struct vloop_dev *dev, const struct vhost_user_msg *msg)
{
	return (dev->acked_protocol & BIT64(VHOST_USER_PROTOCOL_F_REPLY_ACK)) &&
	       (msg->hdr.flags & VHOST_USER_FLAG_NEED_REPLY);
}

/*
 * Read one message, do what it says and answer it.
 *
 * Return: 0; negative errno: the connection is to be closed.
 */
int conn_readable(struct vloop_dev *dev)
{
	const char *name;
	struct vhost_user_msg msg;
	uint32_t request;
	bool ack;
	int r, sent;

	r = vhost_user_recv(dev->conn.fd, VHOST_USER_KIND_REQUEST, &msg, PARTIAL_MESSAGE_MS);
	request = msg.hdr.request;
	name = vhost_user_msg_name(VHOST_USER_KIND_REQUEST, request);
	if (r == -ECONNRESET)
		return r;
	if (r < 0) {
		dev_error(dev, "bad message from the front-end: request %u (%s), flags %#x, %u bytes: %s",
			  request, name, msg.hdr.flags, msg.hdr.size,
			  r == -ENOSYS ? "unknown request" : strerror(-r));
		return r;
	}
	ack = answers(dev, &msg);
	r = control_handle(dev, &msg);
	sent = r;
	/* A refused write of the driver is not the end of the world; anything else is. */
	if (request == VHOST_USER_SET_CONFIG && r < 0 && r != -EPROTO) {
		dev_log(dev, config_level(dev), "%s: %s", name, strerror(-r));
		r = 0;
	} else if (r < 0) {
		dev_error(dev, "%s: %s", name, strerror(-r));
	} else {
		dev_debug(dev, "%s", name);
	}
	if (vhost_user_shape(VHOST_USER_KIND_REQUEST, request)->replies) {
		if (r == 0)
			r = vhost_user_send(dev->conn.fd, &msg, REPLY_MS);
	} else if (ack) {
		struct vhost_user_msg reply;
		int s;

		vhost_user_init_reply(&reply, request, sizeof(uint64_t));
		reply.payload.u64 = sent < 0 ? (uint64_t)-sent : 0;
		s = vhost_user_send(dev->conn.fd, &reply, REPLY_MS);
		if (r == 0)
			r = s;
	}
	vhost_user_close_fds(&msg);
	return r;
}

static int take_listening(struct vloop_dev *dev, int fd)
{
	int flags = fcntl(fd, F_GETFL), timer, r;

	/* Another process may have the socket, too, and be faster: accept(2) shall not wait. */
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (timer < 0)
		return -errno;
	r = watch_add(dev, &dev->retry, timer, EPOLLIN);
	if (r == 0)
		r = watch_add(dev, &dev->listen, fd, EPOLLIN);
	if (r < 0) {
		watch_remove(dev, &dev->retry);
		dev->retry.fd = -1;
		close(timer);
		return r;
	}
	dev->done = false;
	return 0;
}

int vloop_dev_listen(struct vloop_dev *dev, const char *path)
{
	struct stat st;
	char *copy;
	int fd, r;

	if (dev->listen.fd >= 0 || dev->conn.fd >= 0)
		return -EALREADY;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	fd = vl_sock_listen(path, BACKLOG);
	r = fd < 0 ? fd : lstat(path, &st) ? -errno : take_listening(dev, fd);
	if (r < 0) {
		if (fd >= 0) {
			close(fd);
			unlink(path);
		}
		free(copy);
		return r;
	}
	dev->socket_path = copy;
	dev->socket_dev = st.st_dev;
	dev->socket_ino = st.st_ino;
	return 0;
}

int vloop_dev_take_fd(struct vloop_dev *dev, int fd)
{
	bool listening;
	int r;

	if (dev->listen.fd >= 0 || dev->conn.fd >= 0)
		return -EALREADY;
	r = vl_sock_kind(fd, &listening);
	if (r < 0)
		return r;
	r = listening ? take_listening(dev, fd) : conn_take(dev, fd);
	if (r == 0)
		dev->done = false;
	return r;
}

bool vloop_dev_connected(const struct vloop_dev *dev)
{
	return dev->conn.fd >= 0;
}
