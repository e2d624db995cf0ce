/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A front-end that breaks the protocol: the connection is closed with an error message, the next
 * one works, and nothing is left behind.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "frontend.h"
#include "server.h"

#define BASIC	 (BIT64(F_VERSION_1) | BIT64(VHOST_USER_F_PROTOCOL_FEATURES))
#define PROTOCOL (~0ULL)

static struct server server;

static void begin(struct frontend *fe)
{
	frontend_connect(fe, server.path);
	frontend_negotiate(fe, BASIC, PROTOCOL);
	atomic_store(&server.errors, 0);
}

/* Everything that still comes is an acknowledgement or an answer; then the connection ends. */
static void expect_closed(struct frontend *fe)
{
	char rest[4096];

	for (;;) {
		struct pollfd pfd = { .fd = fe->sock, .events = POLLIN };
		ssize_t n;

		assert_int_equal(poll(&pfd, 1, ANSWER_MS), 1);
		n = recv(fe->sock, rest, sizeof(rest), 0);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			break;
		assert_true(n > 0);
	}
	frontend_close(fe);
	frontend_check(server.path);
}

static void expect_refused(struct frontend *fe)
{
	expect_closed(fe);
	assert_true(atomic_load(&server.errors) > 0);
}

/* Bytes as they are, with @num_fds descriptors. */
static void send_raw(struct frontend *fe, const void *bytes, size_t len, unsigned int num_fds)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * 32)];
		struct cmsghdr align;
	} control;
	struct iovec iov = { (void *)(uintptr_t)bytes, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (num_fds) {
		struct cmsghdr *cmsg;

		memset(&control, 0, sizeof(control));
		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * num_fds);
		cmsg = CMSG_FIRSTHDR(&mh);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * num_fds);
		for (unsigned int i = 0; i < num_fds; i++)
			memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &fe->memfd, sizeof(int));
	}
	/* The device may have closed the connection in the middle of it. */
	if (sendmsg(fe->sock, &mh, MSG_NOSIGNAL) < 0)
		assert_true(errno == EPIPE || errno == ECONNRESET);
}

struct raw {
	uint32_t request, flags, size;
	uint8_t payload[600];
};

/* A header that lies about nothing but @size, with that many zero bytes behind it. */
static void try_raw(uint32_t request, uint32_t flags, uint32_t size, uint32_t sent_size,
		    unsigned int num_fds)
{
	struct raw raw = { .request = request, .flags = flags, .size = size };
	struct frontend fe;

	begin(&fe);
	send_raw(&fe, &raw, 12 + sent_size, num_fds);
	expect_refused(&fe);
}

static void test_sizes(void **state)
{
	(void)state;
	for (uint32_t request = 0; request < VHOST_USER_REQUEST_END + 3; request++) {
		const struct vhost_user_shape *shape =
			vhost_user_shape(VHOST_USER_KIND_REQUEST, request);
		unsigned int fds = shape ? shape->fds_min : 0;

		if (!shape) {
			try_raw(request, 1, 0, 0, 0);
			try_raw(request, 1, 8, 8, 1);
			continue;
		}
		if (shape->size_min) {
			try_raw(request, 1, 0, 0, fds);
			try_raw(request, 1, shape->size_min - 1U, shape->size_min - 1U, fds);
		}
		try_raw(request, 1, shape->size_max + 1U, shape->size_max + 1U, fds);
		try_raw(request, 1, 0x7fffffff, 100, fds);
		try_raw(request, 1, 0xffffffff, 0, fds);
	}
	/* Numbers that are negative as an int, or beyond every table. */
	try_raw(0xffffffff, 1, 0, 0, 0);
	try_raw(0x80000005, 1, 8, 8, 0);
}

static void test_flags(void **state)
{
	static const uint32_t bad[] = { 0, 2, 3, 4, 5, 13, 0x11, 0x80000001, 0xffffffff };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		try_raw(VHOST_USER_GET_FEATURES, bad[i], 0, 0, 0);
		try_raw(VHOST_USER_SET_FEATURES, bad[i], 8, 8, 0);
	}
}

static void test_descriptors(void **state)
{
	(void)state;
	for (uint32_t request = 0; request < VHOST_USER_REQUEST_END; request++) {
		const struct vhost_user_shape *shape =
			vhost_user_shape(VHOST_USER_KIND_REQUEST, request);

		if (!shape)
			continue;
		for (unsigned int n = shape->fds_max + 1U; n <= 32; n += 7)
			try_raw(request, 1, shape->size_min, shape->size_min, n);
		if (shape->fds_min)
			try_raw(request, 1, shape->size_min, shape->size_min, 0);
	}
	/* Bit 8 and a descriptor exclude each other, and one of both has to be there. */
	for (uint32_t request = VHOST_USER_SET_VRING_KICK; request <= VHOST_USER_SET_VRING_ERR;
	     request++)
		try_raw(request, 1, 8, 8, 0);
}

/* Descriptors that ride on the payload, or on the second half of a header. */
static void test_late_descriptors(void **state)
{
	struct raw raw = { .request = VHOST_USER_ADD_MEM_REG, .flags = 1, .size = 40 };
	struct frontend fe;

	(void)state;
	begin(&fe);
	send_raw(&fe, &raw, 12, 0);
	send_raw(&fe, raw.payload, 40, 1);
	expect_refused(&fe);
	begin(&fe);
	send_raw(&fe, &raw, 5, 0);
	send_raw(&fe, (char *)&raw + 5, 47, 3);
	expect_refused(&fe);
}

/* The connection ends inside of a message, at each byte of it. */
static void test_cut_off(void **state)
{
	struct raw raw = { .request = VHOST_USER_SET_VRING_NUM, .flags = 1, .size = 8 };

	(void)state;
	for (size_t len = 1; len < 20; len++) {
		struct frontend fe;

		begin(&fe);
		send_raw(&fe, &raw, len, len % 2);
		shutdown(fe.sock, SHUT_WR);
		expect_refused(&fe);
	}
}

/* Half a message, and then nothing: the device does not wait for ever. */
static void test_stalled(void **state)
{
	struct raw raw = { .request = VHOST_USER_SET_VRING_NUM, .flags = 1, .size = 8 };
	struct frontend fe;

	(void)state;
	begin(&fe);
	send_raw(&fe, &raw, 15, 0);
	expect_refused(&fe);
}

/* A message in single bytes is as good as any. */
static void test_in_bytes(void **state)
{
	struct raw raw = { .request = VHOST_USER_GET_STATUS, .flags = 1, .size = 0 };
	struct vhost_user_msg msg;
	struct frontend fe;

	(void)state;
	begin(&fe);
	for (size_t i = 0; i < 12; i++)
		send_raw(&fe, (char *)&raw + i, 1, 0);
	assert_int_equal(vhost_user_recv(fe.sock, VHOST_USER_KIND_REPLY, &msg, ANSWER_MS), 0);
	assert_int_equal(msg.hdr.request, VHOST_USER_GET_STATUS);
	frontend_close(&fe);
	frontend_check(server.path);
}

/* Right in shape, wrong in content, with @setup done before. */
static void refuse(uint32_t request, const void *payload, uint32_t size, int fd)
{
	struct frontend fe;

	begin(&fe);
	frontend_set_memory(&fe);
	/* The same with and without an acknowledgement: then it says no first. */
	assert_int_not_equal(frontend_ack(&fe, request, payload, size, fd), 0);
	expect_refused(&fe);
	begin(&fe);
	frontend_set_memory(&fe);
	frontend_send(&fe, request, payload, size, fd);
	expect_refused(&fe);
}

static void test_queue_numbers(void **state)
{
	static const uint32_t bad[] = { 2, 255, 256, 0x80000000, 0xffffffff };
	static const uint32_t states[] = {
		VHOST_USER_SET_VRING_NUM,
		VHOST_USER_SET_VRING_BASE,
		VHOST_USER_SET_VRING_ENABLE,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct vhost_user_vring_state s = { bad[i], 1 };
		struct vhost_user_vring_addr addr = { .index = bad[i] };
		uint64_t with_fd = bad[i];
		struct frontend fe;

		for (size_t k = 0; k < sizeof(states) / sizeof(states[0]); k++)
			refuse(states[k], &s, sizeof(s), -1);
		refuse(VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), -1);
		begin(&fe);
		{
			struct raw raw = { VHOST_USER_GET_VRING_BASE, 1, 8, { 0 } };

			memcpy(raw.payload, &s, sizeof(s));
			send_raw(&fe, &raw, 20, 0);
		}
		expect_refused(&fe);
		for (uint32_t request = VHOST_USER_SET_VRING_KICK;
		     request <= VHOST_USER_SET_VRING_ERR; request++) {
			struct raw raw = { request, 1, 8, { 0 } };

			begin(&fe);
			memcpy(raw.payload, &with_fd, 8);
			send_raw(&fe, &raw, 20, 1);
			expect_refused(&fe);
		}
	}
}

static void test_queue_values(void **state)
{
	static const uint32_t bad_num[] = { 0, 257, 65536, 0xffffffff };
	struct vhost_user_vring_addr addr = { .flags = 1 };
	struct vhost_user_vring_state enable = { 0, 2 };
	uint64_t unkicked = VHOST_USER_VRING_NOFD;

	(void)state;
	for (size_t i = 0; i < sizeof(bad_num) / sizeof(bad_num[0]); i++) {
		struct vhost_user_vring_state s = { 0, bad_num[i] };

		refuse(VHOST_USER_SET_VRING_NUM, &s, sizeof(s), -1);
	}
	refuse(VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	refuse(VHOST_USER_SET_VRING_ENABLE, &enable, sizeof(enable), -1);
	refuse(VHOST_USER_SET_VRING_KICK, &unkicked, sizeof(unkicked), -1);
}

static void test_features(void **state)
{
	uint64_t foreign = BIT64(60), protocol = BIT64(VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS);
	struct frontend fe;

	(void)state;
	refuse(VHOST_USER_SET_FEATURES, &foreign, 8, -1);
	refuse(VHOST_USER_SET_PROTOCOL_FEATURES, &protocol, 8, -1);
	/* Features change under a running queue. */
	begin(&fe);
	frontend_set_memory(&fe);
	frontend_start_queue(&fe, 0, 16);
	frontend_read_request(&fe, 0, 10);
	foreign = BIT64(F_VERSION_1);
	frontend_send(&fe, VHOST_USER_SET_FEATURES, &foreign, 8, -1);
	expect_refused(&fe);
}

/* Messages of protocol features that were not acknowledged. */
static void test_not_negotiated(void **state)
{
	static const uint32_t requests[] = {
		VHOST_USER_GET_QUEUE_NUM,     VHOST_USER_SET_BACKEND_REQ_FD,
		VHOST_USER_GET_CONFIG,	      VHOST_USER_SET_CONFIG,
		VHOST_USER_GET_INFLIGHT_FD,   VHOST_USER_SET_INFLIGHT_FD,
		VHOST_USER_RESET_DEVICE,      VHOST_USER_GET_MAX_MEM_SLOTS,
		VHOST_USER_ADD_MEM_REG,	      VHOST_USER_REM_MEM_REG,
		VHOST_USER_SET_STATUS,	      VHOST_USER_GET_STATUS,
	};
	struct vhost_user_vring_state enable = { 0, 1 };
	struct frontend fe;

	(void)state;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		const struct vhost_user_shape *shape =
			vhost_user_shape(VHOST_USER_KIND_REQUEST, requests[i]);
		struct raw raw = { .request = requests[i], .flags = 1, .size = shape->size_min };

		frontend_connect(&fe, server.path);
		frontend_negotiate(&fe, BASIC, 0);
		atomic_store(&server.errors, 0);
		send_raw(&fe, &raw, 12 + shape->size_min, shape->fds_min);
		expect_refused(&fe);
	}
	frontend_connect(&fe, server.path);
	frontend_negotiate(&fe, BIT64(F_VERSION_1), 0);
	atomic_store(&server.errors, 0);
	frontend_send(&fe, VHOST_USER_SET_VRING_ENABLE, &enable, sizeof(enable), -1);
	expect_refused(&fe);
}

static void test_memory(void **state)
{
	static const struct vhost_user_region bad[] = {
		{ 0, 0, 0, 0 },				      /* empty */
		{ UINT64_MAX - 0xfff, 0x2000, 0, 0 },	      /* wraps around */
		{ 0, 0x2000, UINT64_MAX - 0xfff, 0 },
		{ 0, 0x2000, 0, UINT64_MAX - 0xfff },
		{ 0, 0x2000, 0, (uint64_t)INT64_MAX - 0xfff },
		{ 0, UINT64_MAX, 0, 0 },
		{ 0, FRONTEND_QUEUES * MEM_SIZE + 1, 0, 0 }, /* beyond the end of the file */
		{ 0, 0x1000, 0, FRONTEND_QUEUES * MEM_SIZE },
		{ GUEST_BASE, 0x1000, 0, 0 },		      /* where another one is */
		{ GUEST_BASE - 0x1000, 0x1001, 0, 0 },
		{ GUEST_BASE + FRONTEND_QUEUES * MEM_SIZE - 1, 0x1000, 0, 0 },
	};
	int fd = memfd_create("bad", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(fd, FRONTEND_QUEUES * MEM_SIZE), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct vhost_user_mem_reg reg = { .region = bad[i] };
		struct vhost_user_mem_table table = { .num = 1 };

		refuse(VHOST_USER_ADD_MEM_REG, &reg, sizeof(reg), fd);
		refuse(VHOST_USER_REM_MEM_REG, &reg, sizeof(reg), -1);
		table.regions[0] = bad[i];
		if (i < 8)
			refuse(VHOST_USER_SET_MEM_TABLE, &table, 8 + 32, fd);
	}
	close(fd);
}

static void test_inflight(void **state)
{
	static const struct vhost_user_inflight bad[] = {
		{ 0, 0, 1, 16, 0 },	/* too small */
		{ 4096, 0, 0, 16, 0 },	/* no queue, too many queues */
		{ 4096, 0, 3, 16, 0 },
		{ 4096, 0, 1, 0, 0 },
		{ 65536, 0, 1, 257, 0 },
		{ 4096, 1, 1, 16, 0 },	/* not a page */
		{ 4096, FRONTEND_QUEUES * MEM_SIZE, 1, 16, 0 },	/* beyond the file */
		{ UINT64_MAX, 0, 1, 16, 0 },
		{ 4096, UINT64_MAX & ~0xfffULL, 1, 16, 0 },
	};
	int fd = memfd_create("bad", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(fd, FRONTEND_QUEUES * MEM_SIZE), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refuse(VHOST_USER_SET_INFLIGHT_FD, &bad[i], sizeof(bad[i]), fd);
	close(fd);
}

/* Kicked without a ring, with a ring outside of the memory, with memory taken away. */
static void test_order(void **state)
{
	uint64_t index = 0;
	struct vhost_user_vring_state s = { 0, 16 };
	struct vhost_user_vring_addr addr = { .desc = 0x1000, .avail = 0x2000, .used = 0x3000 };
	struct vhost_user_mem_table none = { .num = 0 };
	struct frontend fe;

	(void)state;
	begin(&fe);
	frontend_send(&fe, VHOST_USER_SET_VRING_KICK, &index, 8, fe.kick_fd[0]);
	s.num = 1;
	frontend_send(&fe, VHOST_USER_SET_VRING_ENABLE, &s, sizeof(s), -1);
	frontend_kick(&fe, 0);
	expect_refused(&fe);

	begin(&fe);
	frontend_set_memory(&fe);
	s.num = 16;
	frontend_send(&fe, VHOST_USER_SET_VRING_NUM, &s, sizeof(s), -1);
	frontend_send(&fe, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	frontend_send(&fe, VHOST_USER_SET_VRING_KICK, &index, 8, fe.kick_fd[0]);
	s.num = 1;
	frontend_send(&fe, VHOST_USER_SET_VRING_ENABLE, &s, sizeof(s), -1);
	frontend_kick(&fe, 0);
	expect_refused(&fe);

	begin(&fe);
	frontend_set_memory(&fe);
	frontend_start_queue(&fe, 0, 16);
	frontend_read_request(&fe, 0, 10);
	frontend_send(&fe, VHOST_USER_SET_MEM_TABLE, &none, 8, -1);
	expect_refused(&fe);

	begin(&fe);
	frontend_set_memory(&fe);
	frontend_start_queue(&fe, 0, 16);
	frontend_read_request(&fe, 0, 10);
	s.num = 8;
	frontend_send(&fe, VHOST_USER_SET_VRING_NUM, &s, sizeof(s), -1);
	expect_refused(&fe);
}

/* A driver that breaks its ring while requests flow. */
static void test_bad_ring(void **state)
{
	(void)state;
	for (int n = 0; n < 10; n++) {
		struct frontend fe;

		begin(&fe);
		frontend_set_memory(&fe);
		frontend_start_queue(&fe, 0, 16);
		frontend_read_request(&fe, 0, 10);
		fe.driver[0].avail->idx = 1000;
		frontend_kick(&fe, 0);
		expect_refused(&fe);
	}
}

/* A front-end that asks and never reads, and one that leaves at once. */
static void test_rude(void **state)
{
	struct raw raw = { .request = VHOST_USER_GET_FEATURES, .flags = 1 };
	struct frontend fe;

	(void)state;
	begin(&fe);
	for (int n = 0; n < 3000; n++)
		send_raw(&fe, &raw, 12, 0);
	frontend_close(&fe);
	frontend_check(server.path);
	for (int n = 0; n < 50; n++) {
		frontend_connect(&fe, server.path);
		frontend_close(&fe);
	}
	frontend_check(server.path);
}

static unsigned int fds_before;

static int start_loop(void **state)
{
	(void)state;
	fds_before = count_fds();
	server_start(&server, VLOOP_DISPATCH_LOOP, 0);
	return 0;
}

static int start_threads(void **state)
{
	(void)state;
	fds_before = count_fds();
	server_start(&server, VLOOP_DISPATCH_THREAD, 0);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	server_stop(&server);
	return server.result || count_fds() != fds_before;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),	       cmocka_unit_test(test_flags),
		cmocka_unit_test(test_descriptors),    cmocka_unit_test(test_late_descriptors),
		cmocka_unit_test(test_cut_off),	       cmocka_unit_test(test_stalled),
		cmocka_unit_test(test_in_bytes),       cmocka_unit_test(test_queue_numbers),
		cmocka_unit_test(test_queue_values),   cmocka_unit_test(test_features),
		cmocka_unit_test(test_not_negotiated), cmocka_unit_test(test_memory),
		cmocka_unit_test(test_inflight),       cmocka_unit_test(test_order),
		cmocka_unit_test(test_bad_ring),       cmocka_unit_test(test_rude),
	};
	const struct CMUnitTest in_threads[] = {
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_bad_ring),
	};
	int failed = cmocka_run_group_tests(tests, start_loop, stop);

	return failed + cmocka_run_group_tests(in_threads, start_threads, stop);
}
