/* SPDX-License-Identifier: BSD-3-Clause */
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

#include "sock.h"

static char dir[64], path[128];

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/vloop-sock-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/s", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static void test_listen_and_connect(void **state)
{
	bool listening;
	int a, b, c;

	(void)state;
	assert_int_equal(vl_sock_connect(path), -ENOENT);
	a = vl_sock_listen(path, 4);
	assert_true(a >= 0);
	assert_int_equal(fcntl(a, F_GETFD), FD_CLOEXEC);
	assert_true(fcntl(a, F_GETFL) & O_NONBLOCK);
	b = vl_sock_connect(path);
	assert_true(b >= 0);
	assert_int_equal(fcntl(b, F_GETFD), FD_CLOEXEC);
	assert_false(fcntl(b, F_GETFL) & O_NONBLOCK);
	c = accept(a, NULL, NULL);
	assert_true(c >= 0);
	assert_int_equal(vl_sock_kind(a, &listening), 0);
	assert_true(listening);
	assert_int_equal(vl_sock_kind(b, &listening), 0);
	assert_false(listening);
	close(a);
	close(b);
	close(c);
}

/* A socket in use stays, also when its backlog is full; one that nobody listens on is replaced. */
static void test_stale(void **state)
{
	int first, second, clients[8];

	(void)state;
	first = vl_sock_listen(path, 1);
	assert_true(first >= 0);
	assert_int_equal(vl_sock_listen(path, 1), -EADDRINUSE);
	for (int i = 0; i < 8; i++)
		clients[i] = vl_sock_connect(path);
	assert_int_equal(clients[7], -EAGAIN);
	assert_int_equal(vl_sock_listen(path, 1), -EADDRINUSE);
	for (int i = 0; i < 8; i++)
		if (clients[i] >= 0)
			close(clients[i]);
	close(first);
	assert_int_equal(vl_sock_connect(path), -ECONNREFUSED);
	second = vl_sock_listen(path, 1);
	assert_true(second >= 0);
	close(second);
}

static void test_in_the_way(void **state)
{
	char big[200];
	int fd;

	(void)state;
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(vl_sock_listen(path, 1), -EEXIST);
	assert_int_equal(access(path, F_OK), 0);
	memset(big, 'x', sizeof(big));
	big[107] = '\0';
	assert_int_equal(vl_sock_connect(big), -ENOENT);
	big[107] = 'x';
	big[108] = '\0';
	assert_int_equal(vl_sock_connect(big), -ENAMETOOLONG);
	assert_int_equal(vl_sock_listen(big, 1), -ENAMETOOLONG);
	assert_int_equal(vl_sock_connect(""), -EINVAL);
}

static void test_kind(void **state)
{
	bool listening;
	int fds[2], udp;

	(void)state;
	assert_int_equal(vl_sock_kind(-1, &listening), -EBADF);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(vl_sock_kind(fds[0], &listening), -ENOTSOCK);
	close(fds[0]);
	close(fds[1]);
	udp = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(vl_sock_kind(udp, &listening), -EPROTOTYPE);
	close(udp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_listen_and_connect, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_stale, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_in_the_way, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_kind, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
