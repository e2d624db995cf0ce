/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sending and receiving vhost-user messages. What they may contain: vhost_user_table.c.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "vhost_user.h"

/* Room for the descriptors of a message, aligned as cmsg(3) wants it. */
union fd_buffer {
	char bytes[CMSG_SPACE(sizeof(int) * VHOST_USER_FDS_MAX)];
	struct cmsghdr align;
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t deadline_of(int timeout_ms)
{
	return timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
}

/* Wait until the socket is ready, until @deadline (-1: for ever). */
static int wait_for(int sock, short events, int64_t deadline)
{
	struct pollfd pfd = { .fd = sock, .events = events };

	for (;;) {
		int64_t left = deadline < 0 ? -1 : deadline - now_ms();
		int n;

		if (deadline >= 0 && left < 0)
			left = 0;
		n = poll(&pfd, 1, (int)left);
		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

void vhost_user_init(struct vhost_user_msg *msg, uint32_t request, uint32_t payload_size)
{
	memset(msg, 0, sizeof(*msg));
	msg->hdr.request = request;
	msg->hdr.flags = VHOST_USER_VERSION;
	msg->hdr.size = payload_size;
}

void vhost_user_init_reply(struct vhost_user_msg *reply, uint32_t request, uint32_t payload_size)
{
	vhost_user_init(reply, request, payload_size);
	reply->hdr.flags |= VHOST_USER_FLAG_REPLY;
}

void vhost_user_close_fds(struct vhost_user_msg *msg)
{
	for (uint32_t i = 0; i < msg->num_fds; i++) {
		if (msg->fds[i] >= 0)
			close(msg->fds[i]);
		msg->fds[i] = -1;
	}
	msg->num_fds = 0;
}

/* Take over all descriptors of a control message; those beyond the room for them are closed. */
static void collect_fds(struct vhost_user_msg *msg, struct msghdr *mh)
{
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(mh); cmsg; cmsg = CMSG_NXTHDR(mh, cmsg)) {
		size_t n;

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
			if (msg->num_fds < VHOST_USER_FDS_MAX)
				msg->fds[msg->num_fds++] = fd;
			else
				close(fd);
		}
	}
}

/*
 * Read @len bytes. Descriptors ride on the first byte of a message (@mh_fds is wanted there only);
 * plain reads of the rest make the kernel drop any others.
 */
static int recv_all(int sock, void *buf, size_t len, struct vhost_user_msg *msg, bool want_fds,
		    int64_t deadline)
{
	size_t done = 0;

	while (done < len) {
		union fd_buffer control;
		struct iovec iov = { (char *)buf + done, len - done };
		struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n;
		int r;

		if (want_fds && done == 0) {
			mh.msg_control = &control;
			mh.msg_controllen = sizeof(control);
		}
		n = recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n > 0) {
			collect_fds(msg, &mh);
			if (mh.msg_flags & MSG_CTRUNC)
				return -EPROTO;
			done += (size_t)n;
			continue;
		}
		if (n == 0)
			return want_fds && done == 0 ? -ECONNRESET : -EPROTO;
		if (errno == EINTR)
			continue;
		if (errno == ECONNRESET)
			return want_fds && done == 0 ? -ECONNRESET : -EPROTO;
		if (errno != EAGAIN)
			return -errno;
		r = wait_for(sock, POLLIN, deadline);
		if (r < 0)
			return r;
	}
	return 0;
}

int vhost_user_recv(int sock, enum vhost_user_kind kind, struct vhost_user_msg *msg, int timeout_ms)
{
	int64_t deadline = deadline_of(timeout_ms);
	int r;

	memset(msg, 0, sizeof(*msg));
	r = recv_all(sock, &msg->hdr, sizeof(msg->hdr), msg, true, deadline);
	if (r == 0)
		r = vhost_user_check_hdr(kind, &msg->hdr);
	if (r == 0 && msg->hdr.size)
		r = recv_all(sock, &msg->payload, msg->hdr.size, msg, false, deadline);
	if (r == 0)
		r = vhost_user_check_msg(kind, msg);
	if (r < 0)
		vhost_user_close_fds(msg);
	return r;
}

static void attach_fds(struct msghdr *mh, union fd_buffer *control,
		       const struct vhost_user_msg *msg)
{
	size_t bytes = msg->num_fds * sizeof(int);
	struct cmsghdr *cmsg;

	memset(control, 0, sizeof(*control));
	mh->msg_control = control;
	mh->msg_controllen = CMSG_SPACE(bytes);
	cmsg = CMSG_FIRSTHDR(mh);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(bytes);
	memcpy(CMSG_DATA(cmsg), msg->fds, bytes);
}

int vhost_user_send(int sock, const struct vhost_user_msg *msg, int timeout_ms)
{
	char *bytes = (char *)(uintptr_t)msg + offsetof(struct vhost_user_msg, hdr);
	size_t len = VHOST_USER_HDR_SIZE + msg->hdr.size, done = 0;
	int64_t deadline = deadline_of(timeout_ms);

	if (msg->hdr.size > sizeof(msg->payload) || msg->num_fds > VHOST_USER_FDS_MAX)
		return -EINVAL;
	while (done < len) {
		union fd_buffer control;
		struct iovec iov = { bytes + done, len - done };
		struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n;
		int r;

		if (done == 0 && msg->num_fds)
			attach_fds(&mh, &control, msg);
		n = sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n >= 0) {
			done += (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EPIPE)
			return -ECONNRESET;
		if (errno != EAGAIN)
			return -errno;
		if (timeout_ms == 0 && done == 0)
			return -EAGAIN;
		r = wait_for(sock, POLLOUT, deadline);
		if (r < 0)
			return r;
	}
	return 0;
}

int vhost_user_call(int sock, struct vhost_user_msg *msg, int timeout_ms)
{
	const struct vhost_user_shape *shape;
	uint32_t request = msg->hdr.request;
	int64_t deadline = deadline_of(timeout_ms), left;
	bool need_ack;
	int r;

	shape = vhost_user_shape(VHOST_USER_KIND_REQUEST, request);
	if (!shape)
		return -EINVAL;
	need_ack = !shape->replies && (msg->hdr.flags & VHOST_USER_FLAG_NEED_REPLY);
	r = vhost_user_send(sock, msg, timeout_ms);
	msg->num_fds = 0;
	if (r < 0 || (!shape->replies && !need_ack))
		return r;

	left = deadline < 0 ? -1 : deadline - now_ms();
	if (deadline >= 0 && left < 0)
		left = 0;
	r = vhost_user_recv(sock, VHOST_USER_KIND_REPLY, msg, (int)left);
	if (r < 0)
		return r;
	if (msg->hdr.request != request) {
		vhost_user_close_fds(msg);
		return -EPROTO;
	}
	return need_ack && msg->payload.u64 ? -EREMOTEIO : 0;
}
