/* SPDX-License-Identifier: BSD-3-Clause */
/* vloop attach --background: who waits for the device, and what becomes of it when that is ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "attach.h"

#define PATIENCE_S 10

/*
 * The two processes: the one that waits is this function's child, and writes to @out; the one in
 * the background tells @tell what it sees. With @device it reports one.
 */
static pid_t start(int out, int tell, const char *device)
{
	const struct timespec patience = {.tv_sec = device ? 0 : PATIENCE_S, .tv_nsec = 300000000};
	pid_t pid = fork();
	int result_fd;
	sigset_t set;

	assert_true(pid >= 0);
	if (pid)
		return pid;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	dup2(out, STDOUT_FILENO);
	if (supervise_fork(&result_fd))
		_exit(1);
	if (write(tell, "r", 1) != 1)
		_exit(1);
	if (device)
		supervise_report(result_fd, device);
	close(result_fd);
	_exit(write(tell, sigtimedwait(&set, NULL, &patience) == SIGTERM ? "T" : "-", 1) != 1);
}

static char next(int fd)
{
	char c = 0;

	assert_int_equal(read(fd, &c, 1), 1);
	return c;
}

/* Ctrl-C before the device is up: no device is wanted. */
static void test_interrupted(void **state)
{
	int tell[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(tell), 0);
	pid = start(STDERR_FILENO, tell[1], NULL);
	assert_int_equal(next(tell[0]), 'r');
	kill(pid, SIGINT);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(next(tell[0]), 'T');
	close(tell[0]);
	close(tell[1]);
}

/* The one that waited ends with the device on its output, and the other lives on. */
static void test_up(void **state)
{
	int tell[2], out[2], status;
	char text[64] = "";
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(tell), 0);
	assert_int_equal(pipe(out), 0);
	pid = start(out[1], tell[1], "/dev/vda");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(read(out[0], text, sizeof(text) - 1), 9);
	assert_string_equal(text, "/dev/vda\n");
	assert_int_equal(next(tell[0]), 'r');
	assert_int_equal(next(tell[0]), '-');
	close(out[0]);
	close(out[1]);
	close(tell[0]);
	close(tell[1]);
}

/* With an output that takes nothing, the device is there all the same. */
static void check_not_told(int out)
{
	int tell[2], status;
	pid_t pid;

	assert_int_equal(pipe(tell), 0);
	pid = start(out, tell[1], "/dev/vda");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_int_equal(next(tell[0]), 'r');
	assert_int_equal(next(tell[0]), '-');
	close(tell[0]);
	close(tell[1]);
}

static void test_not_told(void **state)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), out[2];

	(void)state;
	assert_true(full >= 0);
	check_not_told(full);
	close(full);
	assert_int_equal(pipe(out), 0);
	close(out[0]);
	check_not_told(out[1]);
	close(out[1]);
}

/* What goes to syslog(3) is what would go to a terminal. */
static void test_levels(void **state)
{
	(void)state;
	msg_setup(true);
	assert_int_equal(setlogmask(0), LOG_UPTO(LOG_DEBUG));
	msg_setup(false);
	assert_int_equal(setlogmask(0), LOG_UPTO(LOG_INFO));
}

/* A back-end's socket that is a standard stream outlives the stream. */
static void test_move_fd(void **state)
{
	int pair[2], in = dup(STDIN_FILENO), moved;
	char c = 'x';

	(void)state;
	assert_true(in > STDERR_FILENO);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(dup2(pair[0], STDIN_FILENO), STDIN_FILENO);
	close(pair[0]);
	moved = supervise_move_fd(STDIN_FILENO);
	assert_true(moved > STDERR_FILENO);
	/* The stream does not take what is the socket's, and closing it does not end that. */
	assert_int_equal(write(pair[1], &c, 1), 1);
	assert_int_equal(read(STDIN_FILENO, &c, 1), 0);
	assert_int_equal(dup2(in, STDIN_FILENO), STDIN_FILENO);
	assert_int_equal(read(moved, &c, 1), 1);
	assert_int_equal(supervise_move_fd(moved), moved);
	close(moved);
	close(pair[1]);
	close(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interrupted), cmocka_unit_test(test_up),
		cmocka_unit_test(test_not_told),    cmocka_unit_test(test_levels),
		cmocka_unit_test(test_move_fd),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	/* The background processes are left behind by their parents; here they are waited for. */
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
