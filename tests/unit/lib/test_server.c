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
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "frontend.h"
#include "server.h"
#include "sock.h"

/* Every way to serve queues, with every kind of ring, on one device after another. */
static void test_requests(void **state)
{
	static const uint64_t features[] = {
		SERVER_BASIC,
		SERVER_BASIC | SERVER_RINGS,
		SERVER_BASIC | BIT64(F_RING_PACKED),
		SERVER_BASIC | SERVER_RINGS | BIT64(F_RING_PACKED),
	};
	unsigned int fds = count_fds();

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct server server;

		server_start(&server, server_dispatches[i], 0);
		for (unsigned int k = 0; k < 4; k++) {
			struct frontend fe;

			server_connect(&fe, &server, features[k]);
			assert_true((fe.features & features[k]) == features[k]);
			frontend_start_queue(&fe, 0, 16);
			frontend_start_queue(&fe, 1, 8);
			for (unsigned int n = 0; n < 100; n++) {
				server_check_data(&fe, 0, 100 + n);
				server_check_data(&fe, 1, 200 + n);
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
	static const uint64_t features[] = { SERVER_BASIC | SERVER_RINGS, SERVER_BASIC | SERVER_RINGS | BIT64(F_RING_PACKED) };

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct server server;

		server_start(&server, server_dispatches[i], 0);
		for (unsigned int k = 0; k < 2; k++) {
			struct frontend fe;
			uint32_t base;

			server_connect(&fe, &server, features[k]);
			frontend_start_queue(&fe, 0, 16);
			for (unsigned int n = 1; n <= 40; n++) {
				server_check_data(&fe, 0, 64);
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

/* A front-end whose back-end has died gives the next one its kick descriptor, and does not kick
 * again. */
static void test_resume_unkicked(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct buffer buffer = {frontend_guest(0, DATA_OFFSET), 10, true};
		struct vhost_user_msg msg;
		struct server server;
		struct frontend fe;
		uint32_t base, id;
		uint64_t count;

		server_start(&server, server_dispatches[i], 0);
		server_connect(&fe, &server, SERVER_BASIC);
		vhost_user_init(&msg, VHOST_USER_GET_INFLIGHT_FD, sizeof(msg.payload.inflight));
		msg.payload.inflight =
			(struct vhost_user_inflight){.num_queues = 1, .queue_size = 16};
		assert_int_equal(vhost_user_call(fe.sock, &msg, ANSWER_MS), 0);
		vhost_user_close_fds(&msg);
		frontend_start_queue(&fe, 0, 16);
		server_check_data(&fe, 0, 64);
		base = frontend_stop_queue(&fe, 0);
		while (read(fe.kick_fd[0], &count, sizeof(count)) > 0)
			;
		driver_add(&fe.driver[0], &buffer, 1, false);
		driver_publish(&fe.driver[0]);
		frontend_offer_queue(&fe, 0, base);
		assert_int_equal(frontend_wait_used(&fe, 0, &id), 10);
		frontend_close(&fe);
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
	server_connect(&fe, &server, SERVER_BASIC);
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

/* The end of a connection that the device ends comes after them, too: nothing is published later. */
static void test_close_drains(void **state)
{
	static const uint64_t rings[] = { 0, BIT64(F_RING_PACKED) };

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		struct buffer buffer = { frontend_guest(0, DATA_OFFSET), 10, true };
		struct server server;
		struct frontend fe;
		uint32_t id, len;

		server_start(&server, VLOOP_DISPATCH_THREAD, 0);
		atomic_store(&server.hold, 1);
		atomic_store(&server.late_us, 200000);
		server_connect(&fe, &server, SERVER_BASIC | rings[i]);
		frontend_start_queue(&fe, 0, 16);
		assert_true(driver_add(&fe.driver[0], &buffer, 1, false) >= 0);
		driver_publish(&fe.driver[0]);
		frontend_kick(&fe, 0);
		for (int ms = 0; !atomic_load(&server.held); ms++) {
			assert_true(ms < ANSWER_MS);
			usleep(1000);
		}
		vloop_dev_disconnect(server.dev);
		frontend_expect_closed(&fe);
		assert_true(driver_used(&fe.driver[0], &id, &len));
		assert_int_equal(len, 10);
		frontend_close(&fe);
		server_stop(&server);
		assert_int_equal(atomic_load(&server.errors), 0);
	}
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

		server_start(&server, server_dispatches[i], 0);
		server_connect(&fe, &server, SERVER_BASIC);
		frontend_start_queue(&fe, 0, 16);
		server_check_data(&fe, 0, 10);
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
	server_connect(&fe, &server, BIT64(F_VERSION_1));
	frontend_start_queue(&fe, 0, 16);
	server_check_data(&fe, 0, 10);
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
	server_connect(&fe, &server, SERVER_BASIC);
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
	/* Where some believe that it begins. */
	assert_int_equal(get_config(&fe, 256, 8, data), 0);
	assert_memory_equal(data, "\x00\x01\x02\x03\x04\x05\x06\x07", 8);
	assert_int_equal(get_config(&fe, SERVER_CONFIG, 1, data), -1);
	assert_int_equal(get_config(&fe, UINT32_MAX - 1, 1, data), -1);

	/* Writes are the device's to accept. A refused one leaves no trace. */
	assert_int_equal(set_config(&fe, 2, 3, 0xee, 0), 0);
	get_config(&fe, 0, 8, data);
	assert_memory_equal(data, "\x00\x01\xee\xee\xee\x05\x06\x07", 8);
	assert_int_equal(set_config(&fe, 6, 4, 0xdd, 0), EINVAL);
	assert_int_equal(set_config(&fe, 31, 2, 0xdd, 0), ERANGE);
	assert_int_equal(set_config(&fe, 0, 0, 0xdd, 0), ERANGE);
	assert_int_equal(set_config(&fe, 2, 1, 0xdd, 2), EOPNOTSUPP);
	/* rust-vmm's front-ends say "writable" for a write. */
	assert_int_equal(set_config(&fe, 4, 1, 0xee, 1), 0);
	get_config(&fe, 0, 10, data);
	assert_memory_equal(data, "\x00\x01\xee\xee\xee\x05\x06\x07\x08\x09", 10);
	frontend_close(&fe);
	/* Each front-end gets one line in the log for what was refused. */
	server_connect(&fe, &server, SERVER_BASIC);
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
	server_connect(&fe, &server, SERVER_BASIC);
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

		server_start(&server, server_dispatches[i], 0);
		server_connect(&fe, &server, SERVER_BASIC);
		assert_true(frontend_get(&fe, VHOST_USER_GET_MAX_MEM_SLOTS) >= 8);
		frontend_start_queue(&fe, 0, 16);
		server_check_data(&fe, 0, 10);
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
		server_check_data(&fe, 0, 10);
		munmap(map, 0x11000);
		close(fd);
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
	server_connect(&fe, &server, SERVER_BASIC);
	assert_int_equal(frontend_ack(&fe, VHOST_USER_SET_STATUS, &status, 8, -1), 0);
	assert_int_equal(frontend_get(&fe, VHOST_USER_GET_STATUS), 15);
	frontend_start_queue(&fe, 0, 16);
	server_check_data(&fe, 0, 10);
	status = 0;
	assert_int_equal(frontend_ack(&fe, VHOST_USER_SET_STATUS, &status, 8, -1), 0);
	assert_int_equal(atomic_load(&server.resets), 1);
	assert_int_equal(frontend_get(&fe, VHOST_USER_GET_STATUS), 0);
	frontend_start_queue(&fe, 0, 16);
	server_check_data(&fe, 0, 10);
	assert_int_equal(frontend_ack(&fe, VHOST_USER_RESET_DEVICE, NULL, 0, -1), 0);
	assert_int_equal(atomic_load(&server.resets), 2);
	assert_int_equal(atomic_load(&server.running), 0);
	frontend_start_queue(&fe, 0, 16);
	server_check_data(&fe, 0, 10);
	frontend_close(&fe);
	server_stop(&server);
	assert_int_equal(atomic_load(&server.errors), 0);
}

/* One front-end at a time; the next one is served when the first has gone. */
static void test_second_frontend(void **state)
{
	struct frontend first, second;
	struct server server;

	(void)state;
	server_start(&server, VLOOP_DISPATCH_LOOP, 0);
	server_connect(&first, &server, SERVER_BASIC);
	frontend_start_queue(&first, 0, 16);
	server_check_data(&first, 0, 10);
	frontend_connect(&second, server.path);
	server_check_data(&first, 0, 10);
	frontend_close(&first);
	frontend_negotiate(&second, SERVER_BASIC, ~0ULL);
	frontend_set_memory(&second);
	frontend_start_queue(&second, 0, 16);
	server_check_data(&second, 0, 10);
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

static void fail_queue(enum vloop_dispatch dispatch, bool late, bool quit)
{
	struct server server;
	struct frontend fe;
	uint64_t index = 0, count;
	int err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	server_start(&server, dispatch, 0);
	server_connect(&fe, &server, SERVER_BASIC);
	frontend_send(&fe, VHOST_USER_SET_VRING_ERR, &index, 8, err);
	if (late) {
		frontend_start_queue(&fe, 0, 16);
		server_check_data(&fe, 0, 10);
	}
	if (quit)
		atomic_store(&server.quit, 1);
	else
		atomic_store(&server.fail, -EIO);
	if (late)
		frontend_kick(&fe, 0);
	else
		frontend_start_queue(&fe, 0, 16);
	frontend_expect_closed(&fe);
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

		server_start(&server, server_dispatches[i], 0);
		server_connect(&fe, &server, SERVER_BASIC);
		frontend_send(&fe, VHOST_USER_SET_VRING_ERR, &index, 8, err);
		frontend_start_queue(&fe, 0, 16);
		server_check_data(&fe, 0, 10);
		fe.driver[0].avail->idx = htole16(1000);
		frontend_kick(&fe, 0);
		frontend_expect_closed(&fe);
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

static int no_requests(struct vloop_queue *queue)
{
	(void)queue;
	return 0;
}

/* Two that share an inherited socket wake up for one front-end: who is late does not wait. */
static void test_socket_shared(void **state)
{
	static const struct vloop_dev_desc desc = {
		.size = sizeof(desc),
		.name = "late",
		.num_queues = 1,
	};
	static const struct vloop_dev_ops ops = { .size = sizeof(ops), .queue_kick = no_requests };
	struct vloop_dev *late;
	struct server server;
	int client, fd;

	(void)state;
	server_open(&server, VLOOP_DISPATCH_LOOP, 0);
	fd = fcntl(server.dev->listen.fd, F_DUPFD_CLOEXEC, 0);
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	assert_int_equal(vloop_dev_new(&late, &desc, &ops, NULL), 0);
	assert_int_equal(vloop_dev_take_fd(late, fd), 0);
	client = vl_sock_connect(server.path);
	assert_true(client >= 0);
	assert_int_equal(process(&server), 0);
	assert_true(vloop_dev_connected(server.dev));
	/* Without it the next line does not come back. */
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(conn_accept(late, EPOLLIN), 0);
	assert_false(vloop_dev_connected(late));
	vloop_dev_unref(late);
	close(client);
	server_close(&server);
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
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_stop_and_resume),
		cmocka_unit_test(test_resume_unkicked),
		cmocka_unit_test(test_stop_drains),
		cmocka_unit_test(test_close_drains),
		cmocka_unit_test(test_enable),
		cmocka_unit_test(test_old_frontend),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_config_change),
		cmocka_unit_test(test_memory_slots),
		cmocka_unit_test(test_status_and_reset),
		cmocka_unit_test(test_second_frontend),
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_device_fails),
		cmocka_unit_test(test_driver_fails),
		cmocka_unit_test(test_no_descriptors),
		cmocka_unit_test(test_socket_shared),
		cmocka_unit_test(test_socket_shut_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
