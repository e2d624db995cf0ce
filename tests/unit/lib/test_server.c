/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A whole device, spoken to by a front-end over its socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "frontend.h"
#include "server.h"
#include "sock.h"

#define BASIC	 (BIT64(F_VERSION_1) | BIT64(VHOST_USER_F_PROTOCOL_FEATURES))
#define RINGS	 (BIT64(F_EVENT_IDX) | BIT64(F_INDIRECT_DESC))
#define PROTOCOL (~0ULL)

static const enum vloop_dispatch dispatches[] = {
	VLOOP_DISPATCH_LOOP,
	VLOOP_DISPATCH_THREAD,
	VLOOP_DISPATCH_CALLER,
};

static void begin(struct frontend *fe, struct server *server, uint64_t features)
{
	frontend_connect(fe, server->path);
	frontend_negotiate(fe, features, PROTOCOL);
	frontend_set_memory(fe);
}

static void check_data(struct frontend *fe, unsigned int q, uint32_t len)
{
	uint8_t *data = frontend_data(fe, q);

	memset(data, 0, len + 1);
	assert_int_equal(frontend_read_request(fe, q, len), len);
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(data[i], 0x5a);
	assert_int_equal(data[len], 0);
}

/* Every way to serve queues, with every kind of ring, on one device after another. */
static void test_requests(void **state)
{
	static const uint64_t features[] = {
		BASIC,
		BASIC | RINGS,
		BASIC | BIT64(F_RING_PACKED),
		BASIC | RINGS | BIT64(F_RING_PACKED),
	};
	unsigned int fds = count_fds();

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct server server;

		server_start(&server, dispatches[i], 0);
		for (unsigned int k = 0; k < 4; k++) {
			struct frontend fe;

			begin(&fe, &server, features[k]);
			assert_true((fe.features & features[k]) == features[k]);
			frontend_start_queue(&fe, 0, 16);
			frontend_start_queue(&fe, 1, 8);
			for (unsigned int n = 0; n < 100; n++) {
				check_data(&fe, 0, 100 + n);
				check_data(&fe, 1, 200 + n);
			}
			frontend_close(&fe);
		}
		frontend_check(server.path);
		server_stop(&server);
		assert_int_equal(server.result, 0);
		assert_int_equal(atomic_load(&server.errors), 0);
		assert_int_equal(atomic_load(&server.disconnected), 5);
	}
	assert_int_equal(count_fds(), fds);
}

/* A queue that has stopped tells where it was, and goes on from there. */
static void test_stop_and_resume(void **state)
{
	static const uint64_t features[] = { BASIC | RINGS, BASIC | RINGS | BIT64(F_RING_PACKED) };

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct server server;

		server_start(&server, dispatches[i], 0);
		for (unsigned int k = 0; k < 2; k++) {
			struct frontend fe;
			uint32_t base;

			begin(&fe, &server, features[k]);
			frontend_start_queue(&fe, 0, 16);
			for (unsigned int n = 1; n <= 40; n++) {
				check_data(&fe, 0, 64);
				base = frontend_stop_queue(&fe, 0);
				/* n requests on; a packed ring has passed its end (n / 16) times. */
				if (k == 0)
					assert_int_equal(base, n);
				else
					assert_int_equal(base & 0xffff,
							 (n % 16) | (n / 16 % 2 ? 0 : 0x8000));
				frontend_resume_queue(&fe, 0, base);
			}
			frontend_close(&fe);
		}
		server_stop(&server);
		assert_int_equal(atomic_load(&server.errors), 0);
	}
}

/* The answer to GET_VRING_BASE comes after the requests in flight have been completed. */
static void test_stop_drains(void **state)
{
	struct server server;
	struct frontend fe;
	uint32_t id, len;

	(void)state;
	server_start(&server, VLOOP_DISPATCH_THREAD, 0);
	atomic_store(&server.hold, 1);
	begin(&fe, &server, BASIC);
	frontend_start_queue(&fe, 0, 16);
	for (unsigned int i = 0; i < 5; i++) {
		struct buffer buffer = { frontend_guest(0, DATA_OFFSET), 10, true };

		driver_add(&fe.driver[0], &buffer, 1, false);
	}
	driver_publish(&fe.driver[0]);
	frontend_kick(&fe, 0);
	/* What was not taken before the stop stays in the ring; what was taken is back. */
	id = frontend_stop_queue(&fe, 0);
	assert_int_equal(le16toh(fe.driver[0].used->idx), id);
	while (driver_used(&fe.driver[0], &id, &len))
		assert_int_equal(len, 10);
	assert_int_equal(atomic_load(&server.running), 0);
	frontend_close(&fe);
	server_stop(&server);
}

/* Disabled rings are not served, and enabled ones go on. */
static void test_enable(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct vhost_user_vring_state state_off = { 0, 0 }, state_on = { 0, 1 };
		struct buffer buffer = { frontend_guest(0, DATA_OFFSET), 10, true };
		struct server server;
		struct frontend fe;
		uint32_t id;

		server_start(&server, dispatches[i], 0);
		begin(&fe, &server, BASIC);
		frontend_start_queue(&fe, 0, 16);
		check_data(&fe, 0, 10);
		assert_int_equal(frontend_ack(&fe, VHOST_USER_SET_VRING_ENABLE, &state_off, 8, -1),
				 0);
		assert_int_equal(atomic_load(&server.running), 0);
		driver_add(&fe.driver[0], &buffer, 1, false);
		driver_publish(&fe.driver[0]);
		frontend_kick(&fe, 0);
		/* Two round trips later nobody has touched it. */
		frontend_get(&fe, VHOST_USER_GET_FEATURES);
		frontend_get(&fe, VHOST_USER_GET_FEATURES);
		assert_int_equal(le16toh(fe.driver[0].used->idx), 1);
		frontend_ack(&fe, VHOST_USER_SET_VRING_ENABLE, &state_on, 8, -1);
		assert_int_equal(frontend_wait_used(&fe, 0, &id), 10);
		frontend_close(&fe);
		server_stop(&server);
		assert_int_equal(atomic_load(&server.errors), 0);
	}
}

/* A front-end that knows no protocol features has its rings enabled from the start. */
static void test_old_frontend(void **state)
{
	struct server server;
	struct frontend fe;

	(void)state;
	server_start(&server, VLOOP_DISPATCH_LOOP, 0);
	begin(&fe, &server, BIT64(F_VERSION_1));
	frontend_start_queue(&fe, 0, 16);
	check_data(&fe, 0, 10);
	frontend_close(&fe);
	server_stop(&server);
	assert_int_equal(atomic_load(&server.errors), 0);
}

static int get_config(struct frontend *fe, uint32_t offset, uint32_t size, uint8_t *data)
{
	struct vhost_user_msg msg;
	int r;

	vhost_user_init(&msg, VHOST_USER_GET_CONFIG, 12 + size);
	msg.payload.config.offset = offset;
	msg.payload.config.size = size;
	r = vhost_user_call(fe->sock, &msg, ANSWER_MS);
	assert_int_equal(r, 0);
	if (msg.hdr.size == 0)
		return -1;
	assert_int_equal(msg.payload.config.offset, offset);
	assert_int_equal(msg.payload.config.size, size);
	memcpy(data, msg.payload.config.data, size);
	return 0;
}

static uint64_t set_config(struct frontend *fe, uint32_t offset, uint32_t size, uint8_t first,
			   uint32_t flags)
{
	struct vhost_user_config config = { .offset = offset, .size = size, .flags = flags };

	memset(config.data, first, sizeof(config.data));
	return frontend_ack(fe, VHOST_USER_SET_CONFIG, &config, 12 + size, -1);
}

static void test_config(void **state)
{
	uint8_t data[256];
	struct server server;
	struct frontend fe;

	(void)state;
	server_start(&server, VLOOP_DISPATCH_LOOP, 0);
	begin(&fe, &server, BASIC);
	/* Every part of it, and zeros beyond its end. */
	for (uint32_t offset = 0; offset < SERVER_CONFIG; offset++) {
		for (uint32_t size = 1; size <= 40; size += 3) {
			assert_int_equal(get_config(&fe, offset, size, data), 0);
			for (uint32_t i = 0; i < size; i++)
				assert_int_equal(data[i], offset + i < SERVER_CONFIG ? offset + i :
										       0);
		}
	}
	assert_int_equal(get_config(&fe, 0, 256, data), 0);
	assert_int_equal(get_config(&fe, SERVER_CONFIG, 1, data), -1);
	assert_int_equal(get_config(&fe, UINT32_MAX - 1, 1, data), -1);

	/* Writes are the device's to accept. A refused one leaves no trace. */
	assert_int_equal(set_config(&fe, 2, 3, 0xee, 0), 0);
	get_config(&fe, 0, 8, data);
	assert_memory_equal(data, "\x00\x01\xee\xee\xee\x05\x06\x07", 8);
	assert_int_equal(set_config(&fe, 6, 4, 0xdd, 0), EINVAL);
	assert_int_equal(set_config(&fe, 31, 2, 0xdd, 0), ERANGE);
	assert_int_equal(set_config(&fe, 0, 0, 0xdd, 0), ERANGE);
	assert_int_equal(set_config(&fe, 2, 1, 0xdd, 1), EOPNOTSUPP);
	get_config(&fe, 0, 10, data);
	assert_memory_equal(data, "\x00\x01\xee\xee\xee\x05\x06\x07\x08\x09", 10);
	frontend_close(&fe);
	/* Each front-end gets one line in the log for what was refused. */
	begin(&fe, &server, BASIC);
	for (int i = 0; i < 10; i++)
		assert_int_equal(set_config(&fe, 31, 2, 0xdd, 0), ERANGE);
	assert_int_equal(atomic_load(&server.errors), 2);
	frontend_close(&fe);
	server_stop(&server);
}

/* The device changes its configuration space and says so on the channel it was given. */
static void test_config_change(void **state)
{
	struct vhost_user_msg msg;
	struct server server;
	struct frontend fe;
	uint8_t byte;
	int pair[2];

	(void)state;
	server_start(&server, VLOOP_DISPATCH_LOOP, 0);
	begin(&fe, &server, BASIC);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(frontend_ack(&fe, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, pair[1]), 0);
	close(pair[1]);
	assert_int_equal(set_config(&fe, 0, 1, 0x77, 0), 0);
	assert_int_equal(vhost_user_recv(pair[0], VHOST_USER_KIND_BACKEND_REQUEST, &msg, ANSWER_MS),
			 0);
	assert_int_equal(msg.hdr.request, VHOST_USER_BACKEND_CONFIG_CHANGE);
	assert_int_equal(get_config(&fe, 31, 1, &byte), 0);
	assert_int_equal(byte, 0x77);
	/* It never waits for a front-end that does not read: 5000 fill any socket. */
	for (unsigned int i = 0; i < 5000; i++)
		assert_int_equal(set_config(&fe, 0, 1, 0x78, 0), 0);
	close(pair[0]);
	frontend_close(&fe);
	server_stop(&server);
	assert_int_equal(atomic_load(&server.errors), 0);
}

/* Regions come and go while queues run; requests see the new ones. */
static void test_memory_slots(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct vhost_user_mem_reg reg = {
			.region = { 0x900000000ULL, 0x10000, 0x900000000ULL, 0x1000 },
		};
		struct buffer buffer = { 0x900000000ULL + 0xff00, 0x100, true };
		struct server server;
		struct frontend fe;
		uint8_t *map;
		uint32_t id;
		int fd;

		server_start(&server, dispatches[i], 0);
		begin(&fe, &server, BASIC);
		assert_true(frontend_get(&fe, VHOST_USER_GET_MAX_MEM_SLOTS) >= 8);
		frontend_start_queue(&fe, 0, 16);
		check_data(&fe, 0, 10);
		fd = memfd_create("more", MFD_CLOEXEC);
		assert_int_equal(ftruncate(fd, 0x11000), 0);
		map = mmap(NULL, 0x11000, PROT_READ, MAP_SHARED, fd, 0);
		assert_int_equal(frontend_ack(&fe, VHOST_USER_ADD_MEM_REG, &reg, sizeof(reg), fd),
				 0);
		driver_add(&fe.driver[0], &buffer, 1, false);
		driver_publish(&fe.driver[0]);
		frontend_kick(&fe, 0);
		assert_int_equal(frontend_wait_used(&fe, 0, &id), 0x100);
		assert_int_equal(map[0x10fff], 0x5a);
		assert_int_equal(map[0x10eff], 0);
		assert_int_equal(frontend_ack(&fe, VHOST_USER_REM_MEM_REG, &reg, sizeof(reg), -1),
				 0);
		check_data(&fe, 0, 10);
		munmap(map, 0x11000);
		close(fd);
		frontend_close(&fe);
		server_stop(&server);
		assert_int_equal(atomic_load(&server.errors), 0);
	}
}

/* A new call descriptor while requests flow: none of them is lost, as QEMU does when it masks. */
static void test_call_replaced(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct server server;
		struct frontend fe;
		uint64_t index = 0, none = VHOST_USER_VRING_NOFD;

		server_start(&server, dispatches[i], 0);
		begin(&fe, &server, BASIC);
		frontend_start_queue(&fe, 0, 16);
		for (unsigned int n = 0; n < 50; n++) {
			struct buffer buffer = { frontend_guest(0, DATA_OFFSET), 10, true };
			uint32_t id;

			driver_add(&fe.driver[0], &buffer, 1, false);
			driver_publish(&fe.driver[0]);
			frontend_kick(&fe, 0);
			frontend_send(&fe, VHOST_USER_SET_VRING_CALL, &none, 8, -1);
			close(fe.call_fd[0]);
			fe.call_fd[0] = eventfd(0, EFD_CLOEXEC);
			frontend_send(&fe, VHOST_USER_SET_VRING_CALL, &index, 8, fe.call_fd[0]);
			assert_int_equal(frontend_wait_used(&fe, 0, &id), 10);
		}
		frontend_close(&fe);
		server_stop(&server);
		assert_int_equal(atomic_load(&server.errors), 0);
	}
}

static void test_status_and_reset(void **state)
{
	struct server server;
	struct frontend fe;
	uint64_t status = 15;

	(void)state;
	server_start(&server, VLOOP_DISPATCH_THREAD, 0);
	begin(&fe, &server, BASIC);
	assert_int_equal(frontend_ack(&fe, VHOST_USER_SET_STATUS, &status, 8, -1), 0);
	assert_int_equal(frontend_get(&fe, VHOST_USER_GET_STATUS), 15);
	frontend_start_queue(&fe, 0, 16);
	check_data(&fe, 0, 10);
	status = 0;
	assert_int_equal(frontend_ack(&fe, VHOST_USER_SET_STATUS, &status, 8, -1), 0);
	assert_int_equal(atomic_load(&server.resets), 1);
	assert_int_equal(frontend_get(&fe, VHOST_USER_GET_STATUS), 0);
	frontend_start_queue(&fe, 0, 16);
	check_data(&fe, 0, 10);
	assert_int_equal(frontend_ack(&fe, VHOST_USER_RESET_DEVICE, NULL, 0, -1), 0);
	assert_int_equal(atomic_load(&server.resets), 2);
	assert_int_equal(atomic_load(&server.running), 0);
	frontend_start_queue(&fe, 0, 16);
	check_data(&fe, 0, 10);
	frontend_close(&fe);
	server_stop(&server);
	assert_int_equal(atomic_load(&server.errors), 0);
}

static bool reads_without_waiting(int fd)
{
	uint8_t byte;
	struct iovec iov = { &byte, sizeof(byte) };

	return preadv2(fd, &iov, 1, -1, RWF_NOWAIT) >= 0 || errno != EOPNOTSUPP;
}

/* Kick files that are not eventfds, or do not block, wake a queue's thread too, and it can be stopped. */
static void test_kick_kinds(void **state)
{
	struct buffer buffer = { frontend_guest(0, DATA_OFFSET), 10, true };
	uint64_t index = 0, one = 1;
	struct server server;
	struct frontend fe;
	int pipe_fds[2];
	uint32_t id;

	(void)state;
	server_start(&server, VLOOP_DISPATCH_THREAD, 0);
	begin(&fe, &server, BASIC);
	frontend_start_queue(&fe, 0, 16);
	check_data(&fe, 0, 10);
	assert_int_equal(fcntl(fe.kick_fd[0], F_SETFL, O_NONBLOCK), 0);
	for (unsigned int n = 0; n < 20; n++)
		check_data(&fe, 0, 10);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	if (!reads_without_waiting(pipe_fds[0])) {
		print_message("pipes of this kernel cannot be kick descriptors\n");
		close(pipe_fds[0]);
		close(pipe_fds[1]);
		frontend_close(&fe);
		server_stop(&server);
		return;
	}
	/* A kick of a single byte that was there before. */
	assert_true(driver_add(&fe.driver[0], &buffer, 1, false) >= 0);
	driver_publish(&fe.driver[0]);
	assert_int_equal(write(pipe_fds[1], &one, 1), 1);
	assert_int_equal(frontend_ack(&fe, VHOST_USER_SET_VRING_KICK, &index, 8, pipe_fds[0]), 0);
	assert_int_equal(frontend_wait_used(&fe, 0, &id), 10);
	close(fe.kick_fd[0]);
	fe.kick_fd[0] = pipe_fds[1];
	for (unsigned int n = 0; n < 20; n++)
		check_data(&fe, 0, 10);
	assert_int_equal(write(pipe_fds[1], &one, sizeof(one)), sizeof(one));
	frontend_stop_queue(&fe, 0);
	close(pipe_fds[0]);
	frontend_close(&fe);
	server_stop(&server);
	assert_int_equal(atomic_load(&server.errors), 0);
}

/*
 * Files of which a read may wait although poll(2) said otherwise: the front-end could take what is there
 * at the wrong moment. They are refused, and the queue that runs goes on until the connection ends.
 */
static void test_kick_refused(void **state)
{
	unsigned int fds = count_fds();

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		int files[] = { inotify_init1(IN_CLOEXEC),
				posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC) };
		struct server server;

		server_start(&server, dispatches[i], 0);
		for (unsigned int k = 0; k < 2; k++) {
			struct frontend fe;
			uint64_t index = 0;

			assert_true(files[k] >= 0);
			assert_false(reads_without_waiting(files[k]));
			begin(&fe, &server, BASIC);
			frontend_start_queue(&fe, 0, 16);
			check_data(&fe, 0, 10);
			assert_int_equal(frontend_ack(&fe, VHOST_USER_SET_VRING_KICK, &index, 8,
						      files[k]),
					 EOPNOTSUPP);
			close(files[k]);
			frontend_close(&fe);
			/* What is wrong, and the message. */
			assert_int_equal(atomic_load(&server.errors), 2 * (k + 1));
		}
		frontend_check(server.path);
		server_stop(&server);
	}
	assert_int_equal(count_fds(), fds);
}

/* One front-end at a time; the next one is served when the first has gone. */
static void test_second_frontend(void **state)
{
	struct frontend first, second;
	struct server server;

	(void)state;
	server_start(&server, VLOOP_DISPATCH_LOOP, 0);
	begin(&first, &server, BASIC);
	frontend_start_queue(&first, 0, 16);
	check_data(&first, 0, 10);
	frontend_connect(&second, server.path);
	check_data(&first, 0, 10);
	frontend_close(&first);
	frontend_negotiate(&second, BASIC, PROTOCOL);
	frontend_set_memory(&second);
	frontend_start_queue(&second, 0, 16);
	check_data(&second, 0, 10);
	assert_int_equal(atomic_load(&server.connected), 2);
	frontend_close(&second);
	server_stop(&server);
	assert_int_equal(atomic_load(&server.errors), 0);
}

/* With VLOOP_DEV_ONCE the end of the connection is the end of the loop. */
static void test_once(void **state)
{
	struct server server;

	(void)state;
	server_start(&server, VLOOP_DISPATCH_LOOP, VLOOP_DEV_ONCE);
	frontend_check(server.path);
	pthread_join(server.thread, NULL);
	assert_int_equal(server.result, -ENOTCONN);
	vloop_dev_unref(server.dev);
	assert_int_equal(rmdir(server.dir), 0);
}

/* A request of which no call tells. */
static void request_without_call(struct frontend *fe)
{
	struct buffer buffer = { frontend_guest(0, DATA_OFFSET), 10, true };
	uint32_t id, len;

	assert_int_not_equal(driver_add(&fe->driver[0], &buffer, 1, false), -1);
	driver_publish(&fe->driver[0]);
	frontend_kick(fe, 0);
	while (!driver_used(&fe->driver[0], &id, &len))
		usleep(1000);
	assert_int_equal(len, 10);
}

static void fill(int fd)
{
	const uint64_t most = UINT64_MAX - 1;

	assert_int_equal(write(fd, &most, sizeof(most)), sizeof(most));
}

static void empty(int fd)
{
	uint64_t count;

	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
}

/* A call descriptor that takes no more and would wait: no one waits, and it is not lost later. */
static void test_call_full(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct server server;
		struct frontend fe;
		uint32_t base;

		server_start(&server, dispatches[i], 0);
		begin(&fe, &server, BASIC);
		assert_int_equal(fcntl(fe.call_fd[0], F_GETFL) & O_NONBLOCK, 0);
		fill(fe.call_fd[0]);
		frontend_start_queue(&fe, 0, 16);
		request_without_call(&fe);
		base = frontend_stop_queue(&fe, 0);
		assert_int_equal(base, 1);
		empty(fe.call_fd[0]);
		frontend_resume_queue(&fe, 0, base);
		check_data(&fe, 0, 20);
		frontend_close(&fe);
		server_stop(&server);
		assert_int_equal(atomic_load(&server.errors), 0);
	}
}

/* The same behind the library's back: a thread that waits for the front-end can be stopped. */
static void test_call_filled_later(void **state)
{
	struct server server;
	struct frontend fe;

	(void)state;
	server_start(&server, VLOOP_DISPATCH_THREAD, 0);
	begin(&fe, &server, BASIC);
	assert_int_equal(fcntl(fe.call_fd[0], F_SETFL, O_NONBLOCK), 0);
	frontend_start_queue(&fe, 0, 16);
	/* An answer: the signal that comes with a new call descriptor is there. */
	frontend_get(&fe, VHOST_USER_GET_FEATURES);
	empty(fe.call_fd[0]);
	fill(fe.call_fd[0]);
	assert_int_equal(fcntl(fe.call_fd[0], F_SETFL, 0), 0);
	request_without_call(&fe);
	assert_int_equal(frontend_stop_queue(&fe, 0), 1);
	frontend_close(&fe);
	frontend_check(server.path);
	server_stop(&server);
	assert_int_equal(atomic_load(&server.errors), 0);
}

static void expect_closed(const struct frontend *fe)
{
	struct pollfd fd = { .fd = fe->sock, .events = POLLIN };
	uint8_t byte;

	assert_int_equal(poll(&fd, 1, ANSWER_MS), 1);
	assert_int_equal(read(fe->sock, &byte, 1), 0);
}

/* A write to what is no event file could wait for a front-end, for ever: see test_call_filled_later(). */
static void test_call_to_others(void **state)
{
	static const uint32_t messages[] = { VHOST_USER_SET_VRING_CALL, VHOST_USER_SET_VRING_ERR };
	const uint64_t index = 0;
	struct server server;
	int pipes[2], socks[2];

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks), 0);
	server_start(&server, VLOOP_DISPATCH_THREAD, 0);
	for (int i = 0; i < 4; i++) {
		struct frontend fe;

		begin(&fe, &server, BASIC);
		assert_int_equal(frontend_ack(&fe, messages[i / 2], &index, 8,
					      i % 2 ? pipes[1] : socks[0]),
				 EOPNOTSUPP);
		expect_closed(&fe);
		frontend_close(&fe);
		/* What is wrong, and the message. */
		assert_int_equal(atomic_load(&server.errors), 2 * (i + 1));
	}
	frontend_check(server.path);
	server_stop(&server);
	for (int i = 0; i < 2; i++) {
		close(pipes[i]);
		close(socks[i]);
	}
}

static void fail_queue(enum vloop_dispatch dispatch, bool late, bool quit)
{
	struct server server;
	struct frontend fe;
	uint64_t index = 0, count;
	int err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	server_start(&server, dispatch, 0);
	begin(&fe, &server, BASIC);
	frontend_send(&fe, VHOST_USER_SET_VRING_ERR, &index, 8, err);
	if (late) {
		frontend_start_queue(&fe, 0, 16);
		check_data(&fe, 0, 10);
	}
	if (quit)
		atomic_store(&server.quit, 1);
	else
		atomic_store(&server.fail, -EIO);
	if (late)
		frontend_kick(&fe, 0);
	else
		frontend_start_queue(&fe, 0, 16);
	expect_closed(&fe);
	assert_int_equal(atomic_load(&server.errors), 1);
	assert_non_null(strstr(server.error, "queue 0: "));
	assert_non_null(strstr(server.error, quit ? "ended early" : strerror(EIO)));
	assert_int_equal(read(err, &count, sizeof(count)), sizeof(count));
	close(err);
	frontend_close(&fe);
	atomic_store(&server.fail, 0);
	atomic_store(&server.quit, 0);
	frontend_check(server.path);
	server_stop(&server);
	assert_int_equal(atomic_load(&server.errors), 1);
}

/* A device that cannot serve a queue: why the connection ends is said, once, and the front-end told. */
static void test_device_fails(void **state)
{
	(void)state;
	for (int late = 0; late < 2; late++) {
		fail_queue(VLOOP_DISPATCH_LOOP, late, false);
		fail_queue(VLOOP_DISPATCH_THREAD, late, false);
		fail_queue(VLOOP_DISPATCH_THREAD, late, true);
	}
}

/* A ring that is bad: that is the reason, and nothing more is said. */
static void test_driver_fails(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct server server;
		struct frontend fe;
		uint64_t index = 0, count;
		int err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

		server_start(&server, dispatches[i], 0);
		begin(&fe, &server, BASIC);
		frontend_send(&fe, VHOST_USER_SET_VRING_ERR, &index, 8, err);
		frontend_start_queue(&fe, 0, 16);
		check_data(&fe, 0, 10);
		fe.driver[0].avail->idx = htole16(1000);
		frontend_kick(&fe, 0);
		expect_closed(&fe);
		assert_int_equal(atomic_load(&server.errors), 1);
		assert_non_null(strstr(server.error, "available index jumped"));
		assert_int_equal(read(err, &count, sizeof(count)), sizeof(count));
		close(err);
		frontend_close(&fe);
		server_stop(&server);
	}
}

static void wait_for_work(const struct server *server)
{
	struct pollfd fd = { .fd = vloop_dev_fd(server->dev), .events = POLLIN };

	assert_int_equal(poll(&fd, 1, -1), 1);
}

static int process(struct server *server)
{
	wait_for_work(server);
	return vloop_dev_process(server->dev);
}

/* Without descriptors: nothing ends, nothing spins, it is said once; with them, all goes on. */
static void test_no_descriptors(void **state)
{
	struct rlimit none = { 0 }, before;
	struct server server;
	unsigned int fds = count_fds();
	int client;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none.rlim_max = before.rlim_max;
	server_open(&server, VLOOP_DISPATCH_LOOP, 0);
	client = vl_sock_connect(server.path);
	assert_true(client >= 0);
	for (unsigned int i = 0; i < 2; i++) {
		wait_for_work(&server);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
		/* The timer, then the socket. */
		assert_int_equal(vloop_dev_process(server.dev), 0);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
		assert_false(server.dev->listen.armed);
		assert_false(vloop_dev_connected(server.dev));
		assert_int_equal(atomic_load(&server.errors), 1);
	}
	assert_int_equal(process(&server), 0);
	assert_true(vloop_dev_connected(server.dev));
	close(client);
	assert_int_equal(process(&server), 0);
	assert_false(vloop_dev_connected(server.dev));
	assert_true(server.dev->listen.armed);
	server_close(&server);
	assert_int_equal(count_fds(), fds);
}

/* An inherited socket that another process has shut down: no front-end can come. */
static void test_socket_shut_down(void **state)
{
	struct server server;

	(void)state;
	server_open(&server, VLOOP_DISPATCH_LOOP, 0);
	assert_int_equal(shutdown(server.dev->listen.fd, SHUT_RDWR), 0);
	assert_int_equal(process(&server), -EINVAL);
	server_close(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),      cmocka_unit_test(test_stop_and_resume),
		cmocka_unit_test(test_stop_drains),   cmocka_unit_test(test_enable),
		cmocka_unit_test(test_old_frontend),  cmocka_unit_test(test_config),
		cmocka_unit_test(test_config_change), cmocka_unit_test(test_memory_slots),
		cmocka_unit_test(test_call_replaced), cmocka_unit_test(test_status_and_reset),
		cmocka_unit_test(test_kick_kinds),    cmocka_unit_test(test_kick_refused),
		cmocka_unit_test(test_second_frontend),
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_call_full),
		cmocka_unit_test(test_call_filled_later),
		cmocka_unit_test(test_call_to_others),
		cmocka_unit_test(test_device_fails),
		cmocka_unit_test(test_driver_fails),
		cmocka_unit_test(test_no_descriptors),
		cmocka_unit_test(test_socket_shut_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
