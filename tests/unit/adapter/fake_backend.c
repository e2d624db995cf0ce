/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_backend.h"

void fake_init(struct fake_backend *fake)
{
	memset(fake, 0, sizeof(*fake));
	fake->features = VHOST_USER_BIT(32) | VHOST_USER_BIT(29) | VHOST_USER_BIT(28) |
			 VHOST_USER_BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	fake->protocol = VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_MQ) |
			 VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |
			 VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ) |
			 VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_CONFIG) |
			 VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_STATUS) |
			 VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS) |
			 VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_LOG_SHMFD) | VHOST_USER_BIT(21);
	fake->queues = 4;
	fake->config_size = 60;
	fake->sock = -1;
	fake->channel = -1;
}

static void answer_config(struct fake_backend *fake, struct vhost_user_msg *msg)
{
	uint32_t size = msg->payload.config.size;

	if (size > fake->config_size || (fake->config_exact && size != fake->config_size)) {
		msg->hdr.size = 0;
		return;
	}
	memcpy(msg->payload.config.data, fake->config, size);
	msg->hdr.size = VHOST_USER_CONFIG_HDR_SIZE + size;
}

/* Do what the request says; true when it has an answer of its own, now in @msg. */
static bool act(struct fake_backend *fake, struct vhost_user_msg *msg)
{
	switch (msg->hdr.request) {
	case VHOST_USER_GET_FEATURES:
		msg->payload.u64 = fake->features;
		break;
	case VHOST_USER_GET_PROTOCOL_FEATURES:
		msg->payload.u64 = fake->protocol;
		break;
	case VHOST_USER_GET_QUEUE_NUM:
		msg->payload.u64 = fake->queues;
		break;
	case VHOST_USER_GET_CONFIG:
		answer_config(fake, msg);
		return true;
	case VHOST_USER_GET_VRING_BASE:
		return true;
	case VHOST_USER_SET_FEATURES:
		fake->acked = msg->payload.u64;
		return false;
	case VHOST_USER_SET_PROTOCOL_FEATURES:
		fake->acked_protocol = msg->payload.u64;
		return false;
	case VHOST_USER_SET_CONFIG:
		memcpy(fake->config + msg->payload.config.offset, msg->payload.config.data,
		       msg->payload.config.size);
		return false;
	case VHOST_USER_SET_MEM_TABLE:
		fake->region_count = msg->payload.mem.num;
		fake->region_size = msg->payload.mem.regions[0].size;
		fake->user_addr = msg->payload.mem.regions[0].user_addr;
		return false;
	case VHOST_USER_SET_BACKEND_REQ_FD:
		fake->channel = msg->fds[0];
		msg->fds[0] = -1;
		return false;
	default:
		return false;
	}
	msg->hdr.size = sizeof(uint64_t);
	return true;
}

static void send_raw(int sock, const struct vhost_user_msg *msg, uint32_t payload, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {.bytes = {0}};
	struct iovec iov = {
		.iov_base = (char *)(uintptr_t)msg + offsetof(struct vhost_user_msg, hdr),
		.iov_len = VHOST_USER_HDR_SIZE + payload,
	};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		struct cmsghdr *cmsg;

		mh.msg_control = &control;
		mh.msg_controllen = sizeof(control);
		cmsg = CMSG_FIRSTHDR(&mh);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	}
	/* The front-end may be gone already; that is what some tests are about. */
	(void)!sendmsg(sock, &mh, MSG_NOSIGNAL);
}

/* Send an answer that is wrong as the test wants; false: the connection ends here. */
static bool send_faulty(struct fake_backend *fake, struct vhost_user_msg *msg, bool is_ack)
{
	uint32_t size = msg->hdr.size;

	switch (fake->fault) {
	case FAULT_SILENT:
		return true;
	case FAULT_CLOSE:
		return false;
	case FAULT_SHORT:
		send_raw(fake->sock, msg, size - 1, -1);
		return false;
	case FAULT_HALF:
		send_raw(fake->sock, msg, size - 1, -1);
		return true;
	case FAULT_LONG:
		msg->hdr.size = size + 8;
		break;
	case FAULT_EMPTY:
		msg->hdr.size = 0;
		break;
	case FAULT_HUGE:
		msg->hdr.size = UINT32_MAX;
		size = sizeof(msg->payload);
		break;
	case FAULT_NO_REPLY_FLAG:
		msg->hdr.flags &= ~VHOST_USER_FLAG_REPLY;
		break;
	case FAULT_VERSION:
		msg->hdr.flags |= 3;
		break;
	case FAULT_OTHER_REQUEST:
		msg->hdr.request = msg->hdr.request == VHOST_USER_GET_FEATURES
					   ? VHOST_USER_GET_QUEUE_NUM
					   : VHOST_USER_GET_FEATURES;
		break;
	case FAULT_REFUSE:
		if (is_ack)
			msg->payload.u64 = 1;
		break;
	case FAULT_TWICE:
		send_raw(fake->sock, msg, size, -1);
		break;
	default:
		break;
	}
	send_raw(fake->sock, msg, fake->fault == FAULT_HUGE ? size : msg->hdr.size,
		 fake->fault == FAULT_FD ? STDIN_FILENO : -1);
	return true;
}

static void *serve(void *arg)
{
	struct fake_backend *fake = arg;
	struct vhost_user_msg msg;
	bool go_on = true;

	while (go_on && !vhost_user_recv(fake->sock, VHOST_USER_KIND_REQUEST, &msg, -1)) {
		bool ack = msg.hdr.flags & VHOST_USER_FLAG_NEED_REPLY;
		uint32_t request = msg.hdr.request;
		bool answer = act(fake, &msg);

		vhost_user_close_fds(&msg);
		if (!answer && ack) {
			msg.hdr.size = sizeof(uint64_t);
			msg.payload.u64 = 0;
		}
		if (answer || ack) {
			msg.hdr.flags = VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY;
			if (fake->fault != FAULT_NONE && request == fake->fault_at)
				go_on = send_faulty(fake, &msg, !answer);
			else
				send_raw(fake->sock, &msg, msg.hdr.size, -1);
		}
		atomic_fetch_add(&fake->seen[request], 1);
	}
	shutdown(fake->sock, SHUT_RDWR);
	return NULL;
}

void fake_start(struct fake_backend *fake, int sock)
{
	fake->sock = sock;
	assert_int_equal(pthread_create(&fake->thread, NULL, serve, fake), 0);
}

int fake_start_pair(struct fake_backend *fake)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	fake_start(fake, pair[0]);
	return pair[1];
}

void fake_stop(struct fake_backend *fake)
{
	shutdown(fake->sock, SHUT_RDWR);
	pthread_join(fake->thread, NULL);
	close(fake->sock);
	if (fake->channel >= 0)
		close(fake->channel);
	fake->sock = -1;
	fake->channel = -1;
}
