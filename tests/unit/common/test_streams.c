/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "streams.h"

static int is_null(int fd)
{
	struct stat st, null;

	return !fstat(fd, &st) && !stat("/dev/null", &null) && st.st_rdev == null.st_rdev;
}

/* In a child whose streams of the mask @closed are closed. Return: 0, or what is wrong. */
static int check(unsigned int closed)
{
	char c = 'x';
	int fd;

	for (fd = 0; fd < 3; fd++)
		if (dup2(fd, 10 + fd) < 0)
			return 1;
	for (fd = 0; fd < 3; fd++)
		if (closed & 1U << fd)
			close(fd);
	if (vl_open_streams())
		return 2;
	/* What was open is what it was. */
	for (fd = 0; fd < 3; fd++) {
		struct stat now, before;

		if (closed & 1U << fd) {
			if (!is_null(fd))
				return 3;
		} else if (fstat(fd, &now) || fstat(10 + fd, &before) ||
			   now.st_ino != before.st_ino) {
			return 4;
		}
	}
	if (closed & 1 && (read(0, &c, 1) >= 0 || errno != EBADF))
		return 5;
	if (closed & 2 && (write(1, &c, 1) >= 0 || errno != EBADF))
		return 6;
	fd = open("/dev/zero", O_RDONLY);
	return fd > 2 ? 0 : 7;
}

static void test_closed(void **state)
{
	(void)state;
	for (unsigned int closed = 0; closed < 8; closed++) {
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (!pid)
			_exit(check(closed));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
