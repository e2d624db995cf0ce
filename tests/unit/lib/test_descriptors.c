/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The descriptors that a front-end gives a device to be kicked by, and to call.
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
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "frontend.h"
#include "server.h"

/* A new call descriptor while requests flow: none of them is lost, as QEMU does when it masks. */
static void test_call_replaced(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct server server;
		struct frontend fe;
		uint64_t index = 0, none = VHOST_USER_VRING_NOFD;

		server_start(&server, server_dispatches[i], 0);
		server_connect(&fe, &server, SERVER_BASIC);
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
	server_connect(&fe, &server, SERVER_BASIC);
	frontend_start_queue(&fe, 0, 16);
	server_check_data(&fe, 0, 10);
	assert_int_equal(fcntl(fe.kick_fd[0], F_SETFL, O_NONBLOCK), 0);
	for (unsigned int n = 0; n < 20; n++)
		server_check_data(&fe, 0, 10);
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
		server_check_data(&fe, 0, 10);
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

		server_start(&server, server_dispatches[i], 0);
		for (unsigned int k = 0; k < 2; k++) {
			struct frontend fe;
			uint64_t index = 0;

			assert_true(files[k] >= 0);
			assert_false(reads_without_waiting(files[k]));
			server_connect(&fe, &server, SERVER_BASIC);
			frontend_start_queue(&fe, 0, 16);
			server_check_data(&fe, 0, 10);
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

		server_start(&server, server_dispatches[i], 0);
		server_connect(&fe, &server, SERVER_BASIC);
		assert_int_equal(fcntl(fe.call_fd[0], F_GETFL) & O_NONBLOCK, 0);
		fill(fe.call_fd[0]);
		frontend_start_queue(&fe, 0, 16);
		request_without_call(&fe);
		base = frontend_stop_queue(&fe, 0);
		assert_int_equal(base, 1);
		empty(fe.call_fd[0]);
		frontend_resume_queue(&fe, 0, base);
		server_check_data(&fe, 0, 20);
		frontend_close(&fe);
		server_stop(&server);
		assert_int_equal(atomic_load(&server.errors), 0);
	}
}

/*
 * The same behind the library's back: a thread that waits for the front-end can be stopped, and
 * nobody else waits.
 */
static void test_call_filled_later(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct server server;
		struct frontend fe;

		server_start(&server, server_dispatches[i], 0);
		server_connect(&fe, &server, SERVER_BASIC);
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

		server_connect(&fe, &server, SERVER_BASIC);
		assert_int_equal(frontend_ack(&fe, messages[i / 2], &index, 8,
					      i % 2 ? pipes[1] : socks[0]),
				 EOPNOTSUPP);
		frontend_expect_closed(&fe);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_call_replaced),
		cmocka_unit_test(test_kick_kinds),
		cmocka_unit_test(test_kick_refused),
		cmocka_unit_test(test_call_full),
		cmocka_unit_test(test_call_filled_later),
		cmocka_unit_test(test_call_to_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
