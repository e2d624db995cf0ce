/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vloop-rng and vloop-null as programs: what they give to a driver, their options, their end.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"
#include "frontend.h"
#include "sock.h"

#define BASIC (BIT64(F_VERSION_1) | BIT64(VHOST_USER_F_PROTOCOL_FEATURES))

static char dir[64], path[128], socket_option[160], source[128], source_option[160];

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/vloop-rng-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/sock", dir);
	snprintf(socket_option, sizeof(socket_option), "--socket-path=%s", path);
	snprintf(source, sizeof(source), "%s/source", dir);
	snprintf(source_option, sizeof(source_option), "--source=%s", source);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(source);
	return rmdir(dir);
}

#define RUN(variable, ...) child_run(variable, (const char *const[]){ __VA_ARGS__, NULL }, -1, -1)

static void end(pid_t pid)
{
	child_end(pid);
	/* It takes its socket with it. */
	assert_int_equal(access(path, F_OK), -1);
}

static void begin(struct frontend *fe)
{
	frontend_connect(fe, path);
	frontend_negotiate(fe, BASIC, 0);
	frontend_set_memory(fe);
	frontend_start_queue(fe, 0, 16);
}

/* Two requests for 64 bytes have nothing in common, and nothing with what was there before. */
static void test_getrandom(void **state)
{
	pid_t pid = RUN("VLOOP_RNG", socket_option);
	static const uint8_t zero[64];
	uint8_t first[64];
	struct frontend fe;

	(void)state;
	begin(&fe);
	assert_int_equal(frontend_read_request(&fe, 0, 64), 64);
	memcpy(first, frontend_data(&fe, 0), 64);
	assert_memory_not_equal(first, zero, 64);
	assert_int_equal(frontend_read_request(&fe, 0, 64), 64);
	assert_memory_not_equal(first, frontend_data(&fe, 0), 64);
	frontend_close(&fe);
	/* Another front-end, the same program. */
	begin(&fe);
	assert_int_equal(frontend_read_request(&fe, 0, 64), 64);
	frontend_close(&fe);
	end(pid);
}

static void write_source(const uint8_t *bytes, size_t len)
{
	int fd = open(source, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

/* Each byte of a file comes once, and the end of the file is the end of the device. */
static void test_file(void **state)
{
	uint8_t bytes[256], seen[256] = { 0 };
	uint32_t total = 0;
	struct frontend fe;
	pid_t pid;

	(void)state;
	for (int i = 0; i < 256; i++)
		bytes[i] = (uint8_t)i;
	write_source(bytes, sizeof(bytes));
	pid = RUN("VLOOP_RNG", socket_option, source_option);
	begin(&fe);
	while (total < 256) {
		uint32_t n = frontend_read_request(&fe, 0, 50);

		assert_true(n > 0 && n <= 50);
		total += n;
		for (uint32_t i = 0; i < n; i++)
			seen[frontend_data(&fe, 0)[i]]++;
	}
	for (int i = 0; i < 256; i++)
		assert_int_equal(seen[i], 1);
	/* One request more, which nobody can serve. */
	frontend_kick(&fe, 0);
	assert_int_equal(child_wait(pid), EXIT_FAILURE);
	frontend_close(&fe);
}

/* A source that has nothing yet keeps requests waiting, and does not keep the queue from stopping. */
static void test_fifo(void **state)
{
	struct buffer buffer = { frontend_guest(0, DATA_OFFSET), 10, true };
	struct frontend fe;
	uint32_t id;
	pid_t pid;
	int fd;

	(void)state;
	assert_int_equal(mkfifo(source, 0600), 0);
	fd = open(source, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	pid = RUN("VLOOP_RNG", socket_option, source_option);
	begin(&fe);
	driver_add(&fe.driver[0], &buffer, 1, false);
	driver_publish(&fe.driver[0]);
	frontend_kick(&fe, 0);
	assert_int_equal(frontend_stop_queue(&fe, 0), 0);
	assert_int_equal(le16toh(fe.driver[0].used->idx), 0);
	frontend_resume_queue(&fe, 0, 0);
	assert_int_equal(write(fd, "abcdef", 6), 6);
	assert_int_equal(frontend_wait_used(&fe, 0, &id), 6);
	assert_memory_equal(frontend_data(&fe, 0), "abcdef", 6);
	frontend_close(&fe);
	end(pid);
	close(fd);
}

/* Requests wait for the first writer of a FIFO; when the last one is gone, it has ended. */
static void test_fifo_writer(void **state)
{
	struct buffer buffer = { frontend_guest(0, DATA_OFFSET), 10, true };
	struct frontend fe;
	uint32_t id;
	pid_t pid;
	int fd;

	(void)state;
	assert_int_equal(mkfifo(source, 0600), 0);
	pid = RUN("VLOOP_RNG", socket_option, source_option);
	begin(&fe);
	driver_add(&fe.driver[0], &buffer, 1, false);
	driver_publish(&fe.driver[0]);
	frontend_kick(&fe, 0);
	/* An answer: it has seen the kick. */
	assert_int_equal(frontend_stop_queue(&fe, 0), 0);
	frontend_resume_queue(&fe, 0, 0);
	fd = open(source, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "abcdef", 6), 6);
	assert_int_equal(frontend_wait_used(&fe, 0, &id), 6);
	assert_memory_equal(frontend_data(&fe, 0), "abcdef", 6);
	close(fd);
	frontend_kick(&fe, 0);
	assert_int_equal(child_wait(pid), EXIT_FAILURE);
	frontend_close(&fe);
}

/* A source that has nothing yet and cannot be polled, as /dev/hwrng: requests wait for it, too. */
static void test_not_pollable(void **state)
{
	struct buffer buffer = { frontend_guest(0, DATA_OFFSET), 10, true };
	struct frontend fe;
	uint32_t id;
	pid_t pid;

	(void)state;
	write_source(NULL, 0);
	pid = RUN("VLOOP_RNG_FAKE_HWRNG", socket_option, source_option);
	begin(&fe);
	for (int i = 0; i < 2; i++) {
		driver_add(&fe.driver[0], &buffer, 1, false);
		driver_publish(&fe.driver[0]);
		frontend_kick(&fe, 0);
		/* An answer: it has seen the kick, and can be stopped while it waits. */
		assert_int_equal(frontend_stop_queue(&fe, 0), i);
		frontend_resume_queue(&fe, 0, (uint32_t)i);
		frontend_get(&fe, VHOST_USER_GET_FEATURES);
		write_source((const uint8_t *)"abcdef", 6);
		assert_int_equal(frontend_wait_used(&fe, 0, &id), 6);
		assert_memory_equal(frontend_data(&fe, 0), "abcdef", 6);
	}
	frontend_close(&fe);
	end(pid);
}

/* A front-end that calls an event descriptor what is none harms nobody but itself. */
static void test_pipe_for_calls(void **state)
{
	pid_t pid = RUN("VLOOP_RNG", socket_option);
	struct frontend fe;
	uint64_t queue = 0;
	int fds[2];

	(void)state;
	begin(&fe);
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	close(fds[0]);
	frontend_send(&fe, VHOST_USER_SET_VRING_CALL, &queue, sizeof(queue), fds[1]);
	close(fds[1]);
	frontend_close(&fe);
	begin(&fe);
	assert_int_equal(frontend_read_request(&fe, 0, 64), 64);
	frontend_close(&fe);
	end(pid);
}

/* Another program has taken the path over: it is not removed at the end. */
static void test_socket_of_another(void **state)
{
	pid_t pid = RUN("VLOOP_RNG", socket_option);
	struct frontend fe;
	int other;

	(void)state;
	begin(&fe);
	frontend_close(&fe);
	assert_int_equal(unlink(path), 0);
	other = vl_sock_listen(path, 1);
	assert_true(other >= 0);
	kill(pid, SIGTERM);
	assert_int_equal(child_wait(pid), EXIT_SUCCESS);
	assert_int_equal(unlink(path), 0);
	close(other);
}

/* The terminal goes: so does the program, except under nohup(1). */
static void test_hangup(void **state)
{
	struct frontend fe;
	pid_t pid;

	(void)state;
	/* The tests themselves may run under nohup(1). */
	signal(SIGHUP, SIG_DFL);
	pid = RUN("VLOOP_RNG", socket_option);
	begin(&fe);
	frontend_close(&fe);
	kill(pid, SIGHUP);
	assert_int_equal(child_wait(pid), EXIT_SUCCESS);
	assert_int_equal(access(path, F_OK), -1);

	signal(SIGHUP, SIG_IGN);
	pid = RUN("VLOOP_RNG", socket_option);
	signal(SIGHUP, SIG_DFL);
	begin(&fe);
	kill(pid, SIGHUP);
	assert_int_equal(frontend_read_request(&fe, 0, 64), 64);
	frontend_close(&fe);
	begin(&fe);
	frontend_close(&fe);
	end(pid);
}

/* No more than the limit in one period: the second request stays where it is. */
static void test_limit(void **state)
{
	pid_t pid = RUN("VLOOP_RNG", socket_option, "--max-bytes=16", "--period=3600000");
	struct buffer buffer = { frontend_guest(0, DATA_OFFSET), 64, true };
	struct frontend fe;

	(void)state;
	begin(&fe);
	assert_int_equal(frontend_read_request(&fe, 0, 10), 10);
	assert_int_equal(frontend_read_request(&fe, 0, 10), 6);
	driver_add(&fe.driver[0], &buffer, 1, false);
	driver_publish(&fe.driver[0]);
	frontend_kick(&fe, 0);
	assert_int_equal(frontend_stop_queue(&fe, 0), 2);
	frontend_close(&fe);
	end(pid);
}

/* ... and more in the next one. */
static void test_period(void **state)
{
	pid_t pid = RUN("VLOOP_RNG", socket_option, "--max-bytes=16", "--period=1");
	struct frontend fe;

	(void)state;
	begin(&fe);
	for (int i = 0; i < 10; i++)
		assert_int_equal(frontend_read_request(&fe, 0, 64), 16);
	frontend_close(&fe);
	end(pid);
}

static void test_null(void **state)
{
	pid_t pid = RUN("VLOOP_NULL", socket_option);
	static const uint8_t zero[64];
	struct frontend fe;

	(void)state;
	begin(&fe);
	memset(frontend_data(&fe, 0), 0xff, 65);
	assert_int_equal(frontend_read_request(&fe, 0, 64), 64);
	assert_memory_equal(frontend_data(&fe, 0), zero, 64);
	assert_int_equal(frontend_data(&fe, 0)[64], 0xff);
	frontend_close(&fe);
	end(pid);
}

static void test_once(void **state)
{
	pid_t pid = RUN("VLOOP_NULL", socket_option, "--once");

	(void)state;
	frontend_check(path);
	assert_int_equal(child_wait(pid), EXIT_SUCCESS);
}

/* A connected socket is served to its end. */
static void test_inherited(void **state)
{
	char option[32];
	struct frontend fe;
	int pair[2];
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	fcntl(pair[0], F_SETFD, FD_CLOEXEC);
	snprintf(option, sizeof(option), "--fd=%d", pair[1]);
	pid = RUN("VLOOP_NULL", option);
	close(pair[1]);
	frontend_take(&fe, pair[0]);
	frontend_negotiate(&fe, BASIC, 0);
	frontend_set_memory(&fe);
	frontend_start_queue(&fe, 0, 16);
	assert_int_equal(frontend_read_request(&fe, 0, 64), 64);
	frontend_close(&fe);
	assert_int_equal(child_wait(pid), EXIT_SUCCESS);
}

/* A program that was killed leaves its socket; the next one takes the place, a third one does not. */
static void test_stale_socket(void **state)
{
	pid_t pid = RUN("VLOOP_NULL", socket_option), second;

	(void)state;
	frontend_check(path);
	second = RUN("VLOOP_NULL", socket_option);
	assert_int_equal(child_wait(second), EXIT_FAILURE);
	frontend_check(path);
	kill(pid, SIGKILL);
	assert_int_equal(child_wait(pid), -SIGKILL);
	assert_int_equal(access(path, F_OK), 0);
	pid = RUN("VLOOP_NULL", socket_option);
	frontend_check(path);
	end(pid);
}

/* What a program prints, and its exit status. */
/* Standard streams that are closed stay apart from the files that the program opens. */
static void test_closed_streams(void **state)
{
	const char *program = getenv("VLOOP_RNG");
	char fd[64], target[64];
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = 0; i < 3; i++)
			close(i);
		execl(program, program, socket_option, "--source=/dev/urandom", NULL);
		_exit(127);
	}
	frontend_check(path);
	for (int i = 0; i < 3; i++) {
		ssize_t n;

		snprintf(fd, sizeof(fd), "/proc/%d/fd/%d", pid, i);
		n = readlink(fd, target, sizeof(target) - 1);
		assert_true(n > 0);
		target[n] = '\0';
		assert_string_equal(target, "/dev/null");
	}
	end(pid);
}

static int output_of(const char *const *args, char *buf, size_t size)
{
	size_t len = 0;
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = child_run("VLOOP_RNG", args, fds[1], -1);
	close(fds[1]);
	while ((n = read(fds[0], buf + len, size - 1 - len)) > 0)
		len += (size_t)n;
	buf[len] = '\0';
	close(fds[0]);
	status = child_wait(pid);
	return status;
}

#define OUTPUT(...) output_of((const char *const[]){ __VA_ARGS__, NULL }, out, sizeof(out))

static void test_options(void **state)
{
	char out[4096];

	(void)state;
	assert_int_equal(OUTPUT("--print-capabilities"), 0);
	assert_string_equal(out, "{\n  \"type\": \"rng\"\n}\n");
	assert_int_equal(OUTPUT("--help"), 0);
	assert_non_null(strstr(out, "--max-bytes"));
	assert_non_null(strstr(out, "--socket-path"));
	assert_int_equal(OUTPUT("-V"), 0);
	assert_string_equal(out, "vloop-rng 0.1.0\n");
	assert_int_equal(OUTPUT("--verbose"), 1);
	assert_string_equal(out,
			    "vloop-rng: one of --socket-path and --fd is needed; see --help\n");
	assert_int_equal(OUTPUT(socket_option, "--fd=3"), 1);
	assert_string_equal(
		out,
		"vloop-rng: only one of --socket-path and --fd can be given; see --help\n");
	assert_int_equal(OUTPUT("--socket-path="), 1);
	assert_string_equal(out, "vloop-rng: --socket-path: the path is empty\n");
	assert_int_equal(OUTPUT("--socket-path=/dev/null"), 1);
	assert_non_null(strstr(out, "something that is not a socket is there"));
	assert_int_equal(OUTPUT("--fd=x"), 1);
	assert_string_equal(out, "vloop-rng: --fd: not a descriptor number: x\n");
	assert_int_equal(OUTPUT("--fd=999"), 1);
	assert_int_equal(OUTPUT("--no-such-option"), 1);
	assert_non_null(strstr(out, "vloop-rng: see --help\n"));
	assert_int_equal(OUTPUT(socket_option, "--source=/"), 1);
	assert_string_equal(out, "vloop-rng: /: cannot open the source: Is a directory\n");
	assert_int_equal(OUTPUT(socket_option, "extra"), 1);
	assert_string_equal(out, "vloop-rng: unexpected argument: extra\n");
	assert_int_equal(OUTPUT(socket_option, "--max-bytes=0"), 1);
	assert_int_equal(OUTPUT(socket_option, "--period=0"), 1);
	assert_int_equal(OUTPUT(socket_option, "--period=-1"), 1);
	assert_int_equal(OUTPUT(socket_option, source_option), 1);
	assert_non_null(strstr(out, "No such file"));
	assert_int_equal(OUTPUT("--socket-path=/no/such/directory/sock"), 1);
}

/* What was asked for did not arrive: that is an error. */
static void test_full_output(void **state)
{
	static const char *const options[] = { "--help", "--version", "--print-capabilities" };

	(void)state;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

		assert_true(full >= 0);
		assert_int_equal(
			child_wait(child_run("VLOOP_RNG", (const char *const[]){ options[i], NULL },
					     full, -1)),
			1);
		close(full);
	}
}

#define TEST(name) { #name, name, make_dir, remove_dir, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_getrandom), TEST(test_file),	 TEST(test_fifo),
		TEST(test_limit),     TEST(test_period), TEST(test_null),
		TEST(test_once),      TEST(test_inherited), TEST(test_stale_socket),
		TEST(test_fifo_writer), TEST(test_not_pollable),
		TEST(test_pipe_for_calls), TEST(test_socket_of_another), TEST(test_closed_streams),
		TEST(test_full_output),
		TEST(test_hangup),    TEST(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
