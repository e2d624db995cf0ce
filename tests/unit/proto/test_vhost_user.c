/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The wire codec: what is sent arrives, what is wrong does not, and no descriptor is left open.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "vhost_user.h"

struct pair {
	int a, b;
	unsigned int fds;
};

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static int open_pair(void **state)
{
	unsigned int before = count_fds();
	struct pair *p;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -1;
	p->fds = before;
	p->a = fds[0];
	p->b = fds[1];
	*state = p;
	return 0;
}

/* Every test ends with as many open descriptors as it began with. */
static int close_pair(void **state)
{
	struct pair *p = *state;
	unsigned int before = p->fds;

	close(p->a);
	if (p->b >= 0)
		close(p->b);
	free(p);
	return count_fds() == before ? 0 : -1;
}

/* Bytes as they are, with @n copies of standard input as descriptors. */
static void send_raw(int sock, const void *bytes, size_t len, unsigned int n)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * 64)];
		struct cmsghdr align;
	} control;
	struct iovec iov = { (void *)(uintptr_t)bytes, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n) {
		struct cmsghdr *cmsg;
		int fd = sock;

		memset(&control, 0, sizeof(control));
		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * n);
		cmsg = CMSG_FIRSTHDR(&mh);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n);
		for (unsigned int i = 0; i < n; i++)
			memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &fd, sizeof(fd));
	}
	assert_int_equal(sendmsg(sock, &mh, 0), len);
}

static void send_msg(int sock, uint32_t request, uint32_t flags, uint32_t size, const void *payload,
		     unsigned int fds)
{
	uint8_t bytes[1024];
	uint32_t hdr[3] = { request, flags, size };

	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, hdr, sizeof(hdr));
	if (payload)
		memcpy(bytes + 12, payload, size);
	send_raw(sock, bytes, 12 + size, fds);
}

static void test_there_and_back(void **state)
{
	struct pair *p = *state;
	struct vhost_user_msg msg, got;

	vhost_user_init(&msg, VHOST_USER_ADD_MEM_REG, sizeof(msg.payload.reg));
	msg.payload.reg.region = (struct vhost_user_region){ 1, 2, 3, 4 };
	msg.num_fds = 1;
	msg.fds[0] = p->a;
	assert_int_equal(vhost_user_send(p->a, &msg, -1), 0);
	assert_int_equal(vhost_user_recv(p->b, VHOST_USER_KIND_REQUEST, &got, 0), 0);
	assert_memory_equal(&got.hdr, &msg.hdr, sizeof(msg.hdr));
	assert_memory_equal(&got.payload, &msg.payload, sizeof(msg.payload.reg));
	assert_int_equal(got.num_fds, 1);
	assert_int_equal(fcntl(got.fds[0], F_GETFD), FD_CLOEXEC);
	vhost_user_close_fds(&got);
	assert_int_equal(got.num_fds, 0);
}

/* Two messages in one piece and one message in single bytes are the same to the receiver. */
static void test_stream(void **state)
{
	struct pair *p = *state;
	uint32_t two[6] = { VHOST_USER_SET_OWNER, 1, 0, VHOST_USER_GET_FEATURES, 1, 0 };
	struct vhost_user_msg msg;

	send_raw(p->a, two, sizeof(two), 0);
	assert_int_equal(vhost_user_recv(p->b, VHOST_USER_KIND_REQUEST, &msg, 0), 0);
	assert_int_equal(msg.hdr.request, VHOST_USER_SET_OWNER);
	assert_int_equal(vhost_user_recv(p->b, VHOST_USER_KIND_REQUEST, &msg, 0), 0);
	assert_int_equal(msg.hdr.request, VHOST_USER_GET_FEATURES);
	for (size_t i = 0; i < 12; i++)
		send_raw(p->a, (char *)two + i, 1, 0);
	assert_int_equal(vhost_user_recv(p->b, VHOST_USER_KIND_REQUEST, &msg, 0), 0);
	assert_int_equal(vhost_user_recv(p->b, VHOST_USER_KIND_REQUEST, &msg, 0), -ETIMEDOUT);
}

/* Sizes around the limits of every message, requests and replies. */
static void test_sizes(void **state)
{
	(void)state;
	for (int kind = VHOST_USER_KIND_REQUEST; kind <= VHOST_USER_KIND_BACKEND_REPLY; kind++) {
		bool reply = kind & 1;

		for (uint32_t request = 0; request < 64; request++) {
			const struct vhost_user_shape *shape =
				vhost_user_shape((enum vhost_user_kind)kind, request);
			struct vhost_user_hdr hdr = { request, reply ? 5 : 1, 0 };
			uint32_t min, max;

			if (!shape) {
				assert_int_equal(vhost_user_check_hdr((enum vhost_user_kind)kind,
								      &hdr),
						 -ENOSYS);
				continue;
			}
			min = reply ? shape->reply_min : shape->size_min;
			max = reply ? shape->reply_max : shape->size_max;
			assert_true(min <= max && max <= sizeof(union vhost_user_payload));
			for (uint32_t size = 0; size < 400; size++) {
				hdr.size = size;
				assert_int_equal(vhost_user_check_hdr((enum vhost_user_kind)kind,
								      &hdr),
						 size >= min && size <= max ? 0 : -EPROTO);
			}
			hdr.size = UINT32_MAX;
			assert_int_equal(vhost_user_check_hdr((enum vhost_user_kind)kind, &hdr),
					 -EPROTO);
		}
	}
}

static void test_flags(void **state)
{
	(void)state;
	for (uint32_t flags = 0; flags < 64; flags++) {
		struct vhost_user_hdr hdr = { VHOST_USER_GET_FEATURES, flags, 0 };
		bool good = flags == 1 || flags == 9;

		assert_int_equal(vhost_user_check_hdr(VHOST_USER_KIND_REQUEST, &hdr),
				 good ? 0 : -EPROTO);
		hdr.size = 8;
		good = flags == 5 || flags == 13;
		assert_int_equal(vhost_user_check_hdr(VHOST_USER_KIND_REPLY, &hdr),
				 good ? 0 : -EPROTO);
	}
}

/* The length of the specification's text, that of everybody's compiler, and the wrong ones. */
static void test_inflight_sizes(void **state)
{
	static const struct {
		uint32_t size;
		int result;
	} cases[] = { { 19, -EPROTO }, { 20, 0 }, { 24, 0 }, { 25, -EPROTO } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vhost_user_hdr hdr = { VHOST_USER_GET_INFLIGHT_FD, VHOST_USER_VERSION,
					      cases[i].size };

		assert_int_equal(vhost_user_check_hdr(VHOST_USER_KIND_REQUEST, &hdr),
				 cases[i].result);
		hdr.flags |= VHOST_USER_FLAG_REPLY;
		assert_int_equal(vhost_user_check_hdr(VHOST_USER_KIND_REPLY, &hdr),
				 cases[i].result);
		hdr.flags = VHOST_USER_VERSION;
		hdr.request = VHOST_USER_SET_INFLIGHT_FD;
		assert_int_equal(vhost_user_check_hdr(VHOST_USER_KIND_REQUEST, &hdr),
				 cases[i].result);
	}
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(vhost_user_msg_name(VHOST_USER_KIND_REQUEST, 5), "SET_MEM_TABLE");
	assert_string_equal(vhost_user_msg_name(VHOST_USER_KIND_BACKEND_REQUEST, 2),
			    "BACKEND_CONFIG_CHANGE");
	assert_string_equal(vhost_user_msg_name(VHOST_USER_KIND_REQUEST, 0), "unknown");
	assert_string_equal(vhost_user_msg_name(VHOST_USER_KIND_REQUEST, UINT32_MAX), "unknown");
}

static void expect_refused(struct pair *p, int error)
{
	struct vhost_user_msg msg;

	assert_int_equal(vhost_user_recv(p->b, VHOST_USER_KIND_REQUEST, &msg, 1000), error);
	assert_int_equal(msg.num_fds, 0);
}

static void test_descriptors(void **state)
{
	struct pair *p = *state;
	struct vhost_user_mem_table table = { .num = 2 };
	uint64_t nofd = VHOST_USER_VRING_NOFD, high = 1ULL << 9;
	struct vhost_user_msg msg;

	/* none wanted */
	send_msg(p->a, VHOST_USER_SET_OWNER, 1, 0, NULL, 1);
	expect_refused(p, -EPROTO);
	/* one wanted */
	send_msg(p->a, VHOST_USER_ADD_MEM_REG, 1, 40, NULL, 0);
	expect_refused(p, -EPROTO);
	send_msg(p->a, VHOST_USER_ADD_MEM_REG, 1, 40, NULL, 2);
	expect_refused(p, -EPROTO);
	/* one, or the bit that says none */
	send_msg(p->a, VHOST_USER_SET_VRING_CALL, 1, 8, NULL, 0);
	expect_refused(p, -EPROTO);
	send_msg(p->a, VHOST_USER_SET_VRING_CALL, 1, 8, &nofd, 1);
	expect_refused(p, -EPROTO);
	send_msg(p->a, VHOST_USER_SET_VRING_CALL, 1, 8, &high, 1);
	expect_refused(p, -EPROTO);
	send_msg(p->a, VHOST_USER_SET_VRING_CALL, 1, 8, &nofd, 0);
	assert_int_equal(vhost_user_recv(p->b, VHOST_USER_KIND_REQUEST, &msg, 0), 0);
	/* one for each region, and as many regions as the size says */
	send_msg(p->a, VHOST_USER_SET_MEM_TABLE, 1, 8 + 64, &table, 1);
	expect_refused(p, -EPROTO);
	send_msg(p->a, VHOST_USER_SET_MEM_TABLE, 1, 8 + 64, &table, 3);
	expect_refused(p, -EPROTO);
	send_msg(p->a, VHOST_USER_SET_MEM_TABLE, 1, 8 + 32, &table, 2);
	expect_refused(p, -EPROTO);
	table.num = 9;
	send_msg(p->a, VHOST_USER_SET_MEM_TABLE, 1, 8 + 256, &table, 8);
	expect_refused(p, -EPROTO);
	table.num = 2;
	send_msg(p->a, VHOST_USER_SET_MEM_TABLE, 1, 8 + 64, &table, 2);
	assert_int_equal(vhost_user_recv(p->b, VHOST_USER_KIND_REQUEST, &msg, 0), 0);
	assert_int_equal(msg.num_fds, 2);
	vhost_user_close_fds(&msg);
}

/* More than any message may have: the kernel cuts them off, and the rest is closed too. */
static void test_too_many_descriptors(void **state)
{
	struct pair *p = *state;

	send_msg(p->a, VHOST_USER_SET_MEM_TABLE, 1, 8, NULL, 40);
	expect_refused(p, -EPROTO);
}

static void test_config(void **state)
{
	struct pair *p = *state;
	struct vhost_user_config config = { .offset = 0, .size = 8 };
	struct vhost_user_msg msg;

	send_msg(p->a, VHOST_USER_SET_CONFIG, 1, 12 + 7, &config, 0);
	expect_refused(p, -EPROTO);
	send_msg(p->a, VHOST_USER_SET_CONFIG, 1, 12, &config, 0);
	expect_refused(p, -EPROTO);
	config.size = 257;
	send_msg(p->a, VHOST_USER_GET_CONFIG, 1, 12, &config, 0);
	expect_refused(p, -EPROTO);
	config.size = 8;
	config.offset = UINT32_MAX - 4;
	send_msg(p->a, VHOST_USER_SET_CONFIG, 1, 12 + 8, &config, 0);
	expect_refused(p, -EPROTO);
	config.offset = 3;
	send_msg(p->a, VHOST_USER_SET_CONFIG, 1, 12 + 256, &config, 0);
	assert_int_equal(vhost_user_recv(p->b, VHOST_USER_KIND_REQUEST, &msg, 0), 0);
	/* Some front-ends send the room for the answer, some do not. */
	send_msg(p->a, VHOST_USER_GET_CONFIG, 1, 12, &config, 0);
	assert_int_equal(vhost_user_recv(p->b, VHOST_USER_KIND_REQUEST, &msg, 0), 0);
	send_msg(p->a, VHOST_USER_GET_CONFIG, 1, 12 + 8, &config, 0);
	assert_int_equal(vhost_user_recv(p->b, VHOST_USER_KIND_REQUEST, &msg, 0), 0);
	/* A reply without content says no; one of another size lies. */
	send_msg(p->a, VHOST_USER_GET_CONFIG, 5, 0, NULL, 0);
	assert_int_equal(vhost_user_recv(p->b, VHOST_USER_KIND_REPLY, &msg, 0), 0);
	send_msg(p->a, VHOST_USER_GET_CONFIG, 5, 12 + 4, &config, 0);
	assert_int_equal(vhost_user_recv(p->b, VHOST_USER_KIND_REPLY, &msg, 0), -EPROTO);
}

static void test_unknown(void **state)
{
	struct pair *p = *state;

	send_msg(p->a, VHOST_USER_SET_LOG_BASE, 1, 16, NULL, 1);
	expect_refused(p, -ENOSYS);
}

/* The end between messages is a normal end; inside of one it is not. */
static void test_end(void **state)
{
	struct pair *p = *state;
	uint32_t hdr[5] = { VHOST_USER_SET_FEATURES, 1, 8, 0, 0 };
	struct vhost_user_msg msg;

	for (size_t len = 0; len < 20; len++) {
		if (len)
			send_raw(p->a, hdr, len, 1);
		shutdown(p->a, SHUT_WR);
		assert_int_equal(vhost_user_recv(p->b, VHOST_USER_KIND_REQUEST, &msg, 1000),
				 len ? -EPROTO : -ECONNRESET);
		close(p->a);
		close(p->b);
		{
			int fds[2];

			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
			p->a = fds[0];
			p->b = fds[1];
		}
	}
}

static void test_send_limits(void **state)
{
	struct pair *p = *state;
	struct vhost_user_msg msg;
	int r = 0;

	vhost_user_init(&msg, VHOST_USER_GET_FEATURES, sizeof(msg.payload) + 1);
	assert_int_equal(vhost_user_send(p->a, &msg, 0), -EINVAL);
	vhost_user_init(&msg, VHOST_USER_GET_FEATURES, 0);
	msg.num_fds = VHOST_USER_FDS_MAX + 1;
	assert_int_equal(vhost_user_send(p->a, &msg, 0), -EINVAL);
	msg.num_fds = 0;
	/* Nobody reads. */
	for (int i = 0; i < 1000000 && r == 0; i++)
		r = vhost_user_send(p->a, &msg, 0);
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(vhost_user_send(p->a, &msg, 1), -ETIMEDOUT);
	close(p->b);
	p->b = -1;
	assert_int_equal(vhost_user_send(p->a, &msg, 1000), -ECONNRESET);
}

/* vhost_user_call(): the reply is read into the same message, and has to belong to it. */
static void test_call(void **state)
{
	struct pair *p = *state;
	uint64_t value = 0x1234, no = 5;
	struct vhost_user_msg msg;

	send_msg(p->b, VHOST_USER_GET_FEATURES, 5, 8, &value, 0);
	vhost_user_init(&msg, VHOST_USER_GET_FEATURES, 0);
	assert_int_equal(vhost_user_call(p->a, &msg, 1000), 0);
	assert_int_equal(msg.payload.u64, value);

	/* no reply is waited for, as nobody asked for one */
	vhost_user_init(&msg, VHOST_USER_SET_FEATURES, 8);
	assert_int_equal(vhost_user_call(p->a, &msg, 1000), 0);

	value = 0;
	send_msg(p->b, VHOST_USER_SET_FEATURES, 5, 8, &value, 0);
	vhost_user_init(&msg, VHOST_USER_SET_FEATURES, 8);
	msg.hdr.flags |= VHOST_USER_FLAG_NEED_REPLY;
	assert_int_equal(vhost_user_call(p->a, &msg, 1000), 0);

	send_msg(p->b, VHOST_USER_SET_FEATURES, 5, 8, &no, 0);
	vhost_user_init(&msg, VHOST_USER_SET_FEATURES, 8);
	msg.hdr.flags |= VHOST_USER_FLAG_NEED_REPLY;
	assert_int_equal(vhost_user_call(p->a, &msg, 1000), -EREMOTEIO);
	assert_int_equal(msg.payload.u64, 5);

	/* of another request, a request instead of a reply, no answer at all */
	send_msg(p->b, VHOST_USER_GET_STATUS, 5, 8, &value, 0);
	vhost_user_init(&msg, VHOST_USER_GET_FEATURES, 0);
	assert_int_equal(vhost_user_call(p->a, &msg, 1000), -EPROTO);
	send_msg(p->b, VHOST_USER_GET_FEATURES, 1, 0, NULL, 0);
	vhost_user_init(&msg, VHOST_USER_GET_FEATURES, 0);
	assert_int_equal(vhost_user_call(p->a, &msg, 1000), -EPROTO);
	vhost_user_init(&msg, VHOST_USER_GET_FEATURES, 0);
	assert_int_equal(vhost_user_call(p->a, &msg, 1), -ETIMEDOUT);
	vhost_user_init(&msg, VHOST_USER_SET_LOG_BASE, 0);
	assert_int_equal(vhost_user_call(p->a, &msg, 1), -EINVAL);
}

#define TEST(name) { #name, name, open_pair, close_pair, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_there_and_back), TEST(test_stream),
		TEST(test_sizes),	   TEST(test_flags),
		TEST(test_names),	   TEST(test_descriptors),
		TEST(test_config),	   TEST(test_too_many_descriptors),
		TEST(test_unknown),	   TEST(test_end),
		TEST(test_send_limits),	   TEST(test_call),
		TEST(test_inflight_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
