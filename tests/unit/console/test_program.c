/* SPDX-License-Identifier: BSD-3-Clause */
/* vloop-console as a program: bytes both ways, back-pressure, nonsense, options. */
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/virtio_console.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "program.h"

static void test_both_ways(void **state)
{
	pid_t pid = CONSOLE_RUN(console_unix_option);
	struct frontend fe;
	int fd = console_client(console_tty), second;
	char c;

	(void)state;
	console_begin(&fe, 0, 2);
	console_settle(&fe, TX, fd);
	console_send(&fe, TX, "hello", 5);
	console_expect(fd, "hello", 5);
	assert_int_equal(write(fd, "world, and more", 15), 15);
	console_add(&fe, RX, 0, 7, true);
	assert_int_equal(console_used(&fe, RX), 7);
	assert_memory_equal(frontend_data(&fe, RX), "world, ", 7);
	console_add(&fe, RX, 0, 100, true);
	assert_int_equal(console_used(&fe, RX), 8);
	assert_memory_equal(frontend_data(&fe, RX), "and more", 8);

	/* The next client waits for the end of the first one. */
	second = console_client(console_tty);
	assert_int_equal(write(second, "2", 1), 1);
	console_send(&fe, TX, "first", 5);
	console_expect(fd, "first", 5);
	assert_int_equal(recv(second, &c, 1, MSG_DONTWAIT), -1);
	assert_int_equal(write(fd, "1", 1), 1);
	close(fd);
	/* What it sent before it left is not lost, and comes before what the second one sends. */
	console_add(&fe, RX, 0, 100, true);
	assert_int_equal(console_used(&fe, RX), 1);
	assert_int_equal(frontend_data(&fe, RX)[0], '1');
	console_add(&fe, RX, 0, 100, true);
	assert_int_equal(console_used(&fe, RX), 1);
	assert_int_equal(frontend_data(&fe, RX)[0], '2');
	console_send(&fe, TX, "second", 6);
	console_expect(second, "second", 6);
	close(second);
	frontend_close(&fe);
	/* Another front-end, the same program. */
	fd = console_client(console_tty);
	console_begin(&fe, 0, 2);
	console_settle(&fe, TX, fd);
	frontend_close(&fe);
	close(fd);
	child_end(pid);
}

/* Without buffers of the driver nothing more is read; without a reader no request comes back. */
static void test_back_pressure(void **state)
{
	static uint8_t chunk[65536];
	pid_t pid = CONSOLE_RUN(console_unix_option);
	size_t sent = 0, got = 0;
	struct frontend fe;
	int fd = console_client(console_tty);
	uint32_t id, len;
	ssize_t n;

	(void)state;
	console_begin(&fe, 0, 2);
	console_settle(&fe, TX, fd);
	while ((n = send(fd, chunk, sizeof(chunk), MSG_DONTWAIT)) > 0 || sent == 0) {
		sent += n > 0 ? (size_t)n : 0;
		assert_true(sent < 16 << 20);
	}
	while (got < sent) {
		console_add(&fe, RX, 0, 100000, true);
		got += console_used(&fe, RX);
	}
	assert_int_equal(got, sent);

	for (int i = 0; i < 40; i++)
		console_add(&fe, TX, 0, 1 << 20, false);
	usleep(100000);
	/* No socket holds a megabyte by itself. */
	assert_false(driver_used(&fe.driver[TX], &id, &len));
	for (got = 0; got < (size_t)40 << 20; got += (size_t)n) {
		n = read(fd, chunk, sizeof(chunk));
		assert_true(n > 0);
	}
	for (int i = 0; i < 40; i++)
		console_used(&fe, TX);
	frontend_close(&fe);
	close(fd);
	child_end(pid);
}

/* Requests that make no sense come back, and the next one is served. */
static void test_malformed(void **state)
{
	pid_t pid = CONSOLE_RUN(console_unix_option);
	struct buffer both[2];
	struct frontend fe;
	int fd = console_client(console_tty);

	(void)state;
	console_begin(&fe, 0, 2);
	console_settle(&fe, TX, fd);
	console_add(&fe, TX, 0, 10, true);
	assert_int_equal(console_used(&fe, TX), 0);
	console_add(&fe, TX, 0, 0, false);
	assert_int_equal(console_used(&fe, TX), 0);
	assert_int_equal(write(fd, "abc", 3), 3);
	console_add(&fe, RX, 0, 10, false);
	assert_int_equal(console_used(&fe, RX), 0);
	console_add(&fe, RX, 0, 0, true);
	assert_int_equal(console_used(&fe, RX), 0);
	console_add(&fe, RX, 0, 10, true);
	assert_int_equal(console_used(&fe, RX), 3);
	/* Something to write in a request to send: only what is readable goes out. */
	memcpy(frontend_data(&fe, TX), "xyz", 3);
	both[0] = (struct buffer){frontend_guest(TX, DATA_OFFSET), 3, false};
	both[1] = (struct buffer){frontend_guest(TX, DATA_OFFSET + 100), 3, true};
	assert_true(driver_add(&fe.driver[TX], both, 2, false) >= 0);
	driver_publish(&fe.driver[TX]);
	frontend_kick(&fe, TX);
	assert_int_equal(console_used(&fe, TX), 0);
	console_expect(fd, "xyz", 3);
	frontend_close(&fe);
	close(fd);
	child_end(pid);
}

/* Nobody is there: output is dropped and counted, or it waits. */
static void test_absent(void **state)
{
	struct frontend fe;
	char text[512];
	int out[2], fd;
	uint32_t id, len;
	size_t have;
	ssize_t n;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = console_run((const char *const[]){console_socket_option, console_unix_option, NULL},
			  out[1]);
	close(out[1]);
	console_begin(&fe, 0, 2);
	console_send(&fe, TX, "nobody reads this", 17);
	fd = console_client(console_tty);
	/* Other messages may come before it, in reads of their own. */
	for (have = 0, text[0] = 0;
	     !strstr(text, "console: 17 bytes of output were dropped before");
	     have += (size_t)n, text[have] = 0) {
		n = read(out[0], text + have, sizeof(text) - 1 - have);
		assert_true(n > 0);
	}
	close(fd);
	frontend_close(&fe);
	child_end(pid);
	close(out[0]);

	pid = CONSOLE_RUN(console_unix_option, "--when-absent=wait");
	console_begin(&fe, 0, 2);
	memcpy(frontend_data(&fe, TX), "patience", 8);
	console_add(&fe, TX, 0, 8, false);
	usleep(100000);
	assert_false(driver_used(&fe.driver[TX], &id, &len));
	fd = console_client(console_tty);
	console_expect(fd, "patience", 8);
	assert_int_equal(console_used(&fe, TX), 0);
	/* One that waits when the queue stops does not hold it up. */
	close(fd);
	console_add(&fe, TX, 0, 8, false);
	frontend_stop_queue(&fe, TX);
	frontend_close(&fe);
	child_end(pid);
}

static uint64_t set_config(struct frontend *fe, uint32_t offset, const void *bytes, uint32_t len)
{
	struct vhost_user_msg msg;

	memset(&msg, 0, sizeof(msg));
	msg.payload.config.offset = offset;
	msg.payload.config.size = len;
	memcpy(msg.payload.config.data, bytes, len);
	return frontend_ack(fe, VHOST_USER_SET_CONFIG, &msg.payload,
			    (uint32_t)VHOST_USER_CONFIG_HDR_SIZE + len, -1);
}

static struct virtio_console_config get_config(struct frontend *fe)
{
	struct vhost_user_msg msg = {0};
	struct virtio_console_config config;

	vhost_user_init(&msg, VHOST_USER_GET_CONFIG, 0);
	msg.payload.config.size = sizeof(config);
	msg.hdr.size = (uint32_t)(VHOST_USER_CONFIG_HDR_SIZE + sizeof(config));
	assert_int_equal(vhost_user_call(fe->sock, &msg, ANSWER_MS), 0);
	memcpy(&config, msg.payload.config.data, sizeof(config));
	return config;
}

static void test_emergency_write(void **state)
{
	struct virtio_console_config config, after;
	pid_t pid = CONSOLE_RUN(console_unix_option);
	struct frontend fe;
	int fd = console_client(console_tty);

	(void)state;
	console_begin(&fe, 0, 2);
	console_settle(&fe, TX, fd);
	assert_int_equal(
		set_config(&fe, offsetof(struct virtio_console_config, emerg_wr), "!\0\0\0", 4), 0);
	console_expect(fd, "!", 1);
	/* With the whole space around it, of which nothing is taken. */
	config = get_config(&fe);
	assert_int_equal(set_config(&fe, 0, "\7\0\7\0\7\0\0\0?\0\0\0", sizeof(config)), 0);
	console_expect(fd, "?", 1);
	after = get_config(&fe);
	assert_memory_equal(&after, &config, sizeof(config));
	/* Nothing else may be written. */
	assert_int_not_equal(set_config(&fe, 0, "\1\0\1\0", 4), 0);
	frontend_close(&fe);
	close(fd);
	child_end(pid);
}

static int open_pty(void)
{
	int fd = open(console_tty, O_RDWR | O_NOCTTY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* The size of a pseudo terminal is in the configuration space, and changes there. */
static void test_size(void **state)
{
	char link_option[160];
	struct winsize size = {.ws_col = 132, .ws_row = 50};
	struct virtio_console_config config;
	struct frontend fe;
	int fd, tries;
	pid_t pid;

	(void)state;
	snprintf(link_option, sizeof(link_option), "--link=%s", console_tty);
	pid = CONSOLE_RUN("--pty", link_option);
	console_begin(&fe, BIT64(VIRTIO_CONSOLE_F_SIZE), 2);
	fd = open_pty();
	assert_int_equal(ioctl(fd, TIOCSWINSZ, &size), 0);
	for (tries = 0; tries < 200; tries++) {
		config = get_config(&fe);
		if (config.cols == 132 && config.rows == 50)
			break;
		usleep(50000);
	}
	assert_true(tries < 200);
	console_settle(&fe, TX, fd);
	close(fd);
	frontend_close(&fe);
	child_end(pid);
	/* It takes its link with it. */
	assert_int_equal(access(console_tty, F_OK), -1);
}

/* What a client has not taken when it leaves is dropped, whichever end is noticed first. */
static void test_left_unread(void **state)
{
	pid_t pid = CONSOLE_RUN(console_unix_option);
	struct frontend fe;
	int fd = console_client(console_tty);

	(void)state;
	console_begin(&fe, 0, 2);
	console_settle(&fe, TX, fd);
	console_add(&fe, TX, 0, 1 << 20, false);
	usleep(100000);
	/* Both have happened when it looks; the queue was first. */
	kill(pid, SIGSTOP);
	console_add(&fe, RX, 0, 100, true);
	close(fd);
	kill(pid, SIGCONT);
	assert_int_equal(console_used(&fe, TX), 0);
	frontend_close(&fe);
	child_end(pid);
}

/* Also when that is more than one turn, in requests that the driver has been told of together. */
static void test_much_left_unread(void **state)
{
	pid_t pid = CONSOLE_RUN(console_unix_option);
	struct frontend fe;
	int fd = console_client(console_tty);

	(void)state;
	console_begin(&fe, 0, 2);
	console_settle(&fe, TX, fd);
	frontend_stop_queue(&fe, TX);
	frontend_start_queue(&fe, TX, 256);
	for (int i = 0; i < 256; i++)
		console_add(&fe, TX, 0, 1024, false);
	usleep(100000);
	/* No buffer to read into: its end is noticed as such, and not in the input. */
	close(fd);
	for (int i = 0; i < 256; i++)
		console_used(&fe, TX);
	frontend_close(&fe);
	child_end(pid);
}

/* The input of a pseudo terminal's client waits for buffers: its successor has the output. */
static void test_pty_successor(void **state)
{
	char link_option[160];
	struct frontend fe;
	int fd;
	pid_t pid;

	(void)state;
	snprintf(link_option, sizeof(link_option), "--link=%s", console_tty);
	pid = CONSOLE_RUN("--pty", link_option);
	console_begin(&fe, 0, 2);
	fd = open_pty();
	console_settle(&fe, TX, fd);
	/* A buffer comes before the successor is noticed; the second time, after that. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(write(fd, "abc", 3), 3);
		usleep(100000);
		close(fd);
		usleep(100000);
		fd = open_pty();
		if (i == 1)
			console_settle(&fe, TX, fd);
		console_add(&fe, RX, 0, 100, true);
		assert_int_equal(console_used(&fe, RX), 3);
		assert_memory_equal(frontend_data(&fe, RX), "abc", 3);
		console_settle(&fe, TX, fd);
	}
	close(fd);
	frontend_close(&fe);
	child_end(pid);
}

/* Queues stop while memory changes: output that waits for its reader, or for a client, is not lost.
 */
static void test_pause(void **state)
{
	static uint8_t got[1 << 20];
	pid_t pid = CONSOLE_RUN(console_unix_option, "--when-absent=wait");
	struct frontend fe;
	int fd = console_client(console_tty);
	uint32_t id, len;

	(void)state;
	console_begin(&fe, 0, 2);
	console_settle(&fe, TX, fd);
	for (size_t i = 0; i < sizeof(got); i++)
		frontend_data(&fe, TX)[i] = (uint8_t)(i >> 8);
	console_add(&fe, TX, 0, sizeof(got), false);
	usleep(100000);
	assert_false(driver_used(&fe.driver[TX], &id, &len));
	frontend_set_memory(&fe);
	/* The driver has it back and may write to it; a second pause makes no difference. */
	console_used(&fe, TX);
	memset(frontend_data(&fe, TX), 'x', sizeof(got));
	frontend_set_memory(&fe);
	console_add(&fe, TX, 0, 3, false);
	assert_int_equal(recv(fd, got, sizeof(got), MSG_WAITALL), sizeof(got));
	for (size_t i = 0; i < sizeof(got); i++)
		assert_int_equal(got[i], (uint8_t)(i >> 8));
	console_expect(fd, "xxx", 3);
	console_used(&fe, TX);
	close(fd);

	/* Nobody is there, not even a front-end. */
	usleep(100000);
	memcpy(frontend_data(&fe, TX), "patience", 8);
	console_add(&fe, TX, 0, 8, false);
	usleep(100000);
	frontend_close(&fe);
	fd = console_client(console_tty);
	console_expect(fd, "patience", 8);
	close(fd);
	child_end(pid);
}

/* A client that comes, writes and leaves before anybody looks. */
static void write_at_once(pid_t pid, size_t len)
{
	static char bytes[6000];
	int fd;

	kill(pid, SIGSTOP);
	fd = open_pty();
	memset(bytes, 'i', sizeof(bytes));
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
	kill(pid, SIGCONT);
}

/* What it wrote is input at once, or when the driver has buffers, and not its successor's. */
static void test_pty_short_client(void **state)
{
	char link_option[160];
	struct frontend fe;
	uint32_t id, len;
	size_t got;
	pid_t pid;
	int fd;

	(void)state;
	snprintf(link_option, sizeof(link_option), "--link=%s", console_tty);
	pid = CONSOLE_RUN("--pty", link_option);
	/* No driver is there: dropped, as of a client that was there for longer. */
	while (access(console_path, F_OK))
		usleep(1000);
	write_at_once(pid, 5);
	usleep(500000);
	console_begin(&fe, 0, 2);
	console_add(&fe, RX, 0, 8192, true);
	usleep(500000);
	assert_false(driver_used(&fe.driver[RX], &id, &len));
	write_at_once(pid, 7);
	assert_int_equal(console_used(&fe, RX), 7);

	write_at_once(pid, 6000);
	usleep(500000);
	for (got = 0; got < 6000; got += console_used(&fe, RX))
		console_add(&fe, RX, 0, 8192, true);
	assert_int_equal(got, 6000);

	write_at_once(pid, 3);
	usleep(500000);
	fd = open_pty();
	console_settle(&fe, TX, fd);
	console_add(&fe, RX, 0, 8192, true);
	assert_int_equal(console_used(&fe, RX), 3);
	close(fd);
	frontend_close(&fe);
	child_end(pid);
}

/* ---- standard input and output */

static pid_t run_stdio(int in, int out)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Permissions are for root as well, where that is who runs the tests. */
		prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0);
		dup2(in, STDIN_FILENO);
		dup2(out, STDOUT_FILENO);
		execl(getenv("VLOOP_CONSOLE"), "vloop-console", console_socket_option, "--stdio",
		      NULL);
		_exit(127);
	}
	return pid;
}

/* Files are read and written where they are, like any program does it. */
static void test_stdio_files(void **state)
{
	char text[64] = "";
	struct frontend fe;
	int in, out;
	pid_t pid;

	(void)state;
	console_write_ports("skipped, taken");
	in = open(console_ports, O_RDONLY | O_CLOEXEC);
	assert_int_equal(lseek(in, 9, SEEK_SET), 9);
	out = open(console_other, O_CREAT | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
	assert_int_equal(write(out, "before\n", 7), 7);
	pid = run_stdio(in, out);
	console_begin(&fe, 0, 2);
	console_add(&fe, RX, 0, 100, true);
	assert_int_equal(console_used(&fe, RX), 5);
	assert_memory_equal(frontend_data(&fe, RX), "taken", 5);
	console_send(&fe, TX, "after\n", 6);
	assert_int_equal(pread(out, text, sizeof(text) - 1, 0), 13);
	assert_string_equal(text, "before\nafter\n");
	frontend_close(&fe);
	child_end(pid);
	close(in);
	close(out);
}

/* Those of another user cannot be opened again. They are shared then, and left as they were. */
static void test_stdio_of_another(void **state)
{
	static uint8_t chunk[65536];
	struct frontend fe;
	size_t got = 0;
	int in[2], out[2];
	ssize_t n;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(fchmod(in[0], 0), 0);
	assert_int_equal(fchmod(out[1], 0), 0);
	pid = run_stdio(in[0], out[1]);
	console_begin(&fe, 0, 2);
	/* Output that finds no room keeps nobody waiting. */
	console_add(&fe, TX, 0, 1 << 20, false);
	usleep(100000);
	assert_int_equal(write(in[1], "input", 5), 5);
	console_add(&fe, RX, 0, 100, true);
	assert_int_equal(console_used(&fe, RX), 5);
	for (; got < 1 << 20; got += (size_t)n) {
		n = read(out[0], chunk, sizeof(chunk));
		assert_true(n > 0);
	}
	assert_int_equal(console_used(&fe, TX), 0);
	frontend_close(&fe);
	child_end(pid);
	assert_false(fcntl(in[0], F_GETFL) & O_NONBLOCK);
	assert_false(fcntl(out[1], F_GETFL) & O_NONBLOCK);
	for (int i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
}

/* The terminal is gone: so is the program, also while no driver is there. */
static void test_stdio_hangup(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;
	pid_t pid;

	(void)state;
	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(slave >= 0);
	pid = run_stdio(slave, slave);
	close(slave);
	while (access(console_path, F_OK))
		usleep(1000);
	close(master);
	assert_int_equal(child_wait(pid), EXIT_FAILURE);
}

/* Who does not find the name of the pseudo terminal on the standard output finds it in the log. */
static void test_pty_not_printed(void **state)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), log[2];
	char text[512];
	struct frontend fe;
	pid_t pid;

	(void)state;
	assert_true(full >= 0);
	assert_int_equal(pipe2(log, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(full, STDOUT_FILENO);
		dup2(log[1], STDERR_FILENO);
		execl(getenv("VLOOP_CONSOLE"), "vloop-console", console_socket_option, "--pty",
		      NULL);
		_exit(127);
	}
	close(full);
	close(log[1]);
	console_begin(&fe, 0, 2);
	frontend_close(&fe);
	child_end(pid);
	console_read(log[0], text, sizeof(text));
	assert_non_null(strstr(text, "vloop-console: console: writing /dev/pts/"));
}

/* ---- what is somebody else's */

/* Another program has taken the paths over: they are not removed at the end. */
static void test_paths_of_others(void **state)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	pid_t pid = CONSOLE_RUN(console_unix_option);
	char target[64], option[160];
	struct frontend fe;
	int fds[2];

	(void)state;
	/* An answer: by then it knows which ones are its own. */
	console_begin(&fe, 0, 2);
	frontend_close(&fe);
	for (int i = 0; i < 2; i++) {
		strcpy(addr.sun_path, i ? console_tty : console_path);
		fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(unlink(addr.sun_path), 0);
		assert_int_equal(bind(fds[i], (struct sockaddr *)&addr, sizeof(addr)), 0);
	}
	child_end(pid);
	assert_int_equal(access(console_path, F_OK), 0);
	assert_int_equal(access(console_tty, F_OK), 0);
	close(fds[0]);
	close(fds[1]);

	/* A link that is none to a pseudo terminal is somebody's. */
	assert_int_equal(symlink("elsewhere", console_other), 0);
	snprintf(option, sizeof(option), "--link=%s", console_other);
	pid = CONSOLE_RUN("--pty", option);
	assert_int_equal(child_wait(pid), EXIT_FAILURE);
	assert_int_equal(readlink(console_other, target, sizeof(target)), 9);
	/* One to a pseudo terminal was left behind. */
	unlink(console_other);
	assert_int_equal(symlink("/dev/pts/4096", console_other), 0);
	pid = CONSOLE_RUN("--pty", option);
	console_begin(&fe, 0, 2);
	frontend_close(&fe);
	assert_int_not_equal(readlink(console_other, target, sizeof(target)), 13);
	child_end(pid);
}

static int output_of(const char *const *args, char *buf, size_t size)
{
	int out[2];
	pid_t pid;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = console_run(args, out[1]);
	close(out[1]);
	console_read(out[0], buf, size);
	return child_wait(pid);
}

#define OUTPUT(...) \
	output_of((const char *const[]){console_socket_option, __VA_ARGS__, NULL}, out, sizeof(out))

static void test_options(void **state)
{
	char out[4096];

	(void)state;
	assert_int_equal(OUTPUT("--print-capabilities"), 0);
	assert_non_null(strstr(out, "\"console\""));
	assert_int_equal(OUTPUT("--help"), 0);
	assert_non_null(strstr(out, "--when-slow"));
	assert_int_equal(OUTPUT("--once"), 1);
	assert_non_null(strstr(out, "is needed; see --help"));
	assert_int_equal(OUTPUT("--pty", "--stdio"), 1);
	assert_non_null(strstr(out, "only one of"));
	assert_int_equal(OUTPUT("--port=pty"), 1);
	assert_string_equal(out, "vloop-console: --port=pty: name= is missing\n");
	assert_int_equal(OUTPUT("--port=name=a,pty", "--port=name=a,pty"), 1);
	assert_non_null(strstr(out, "same name"));
	assert_int_equal(OUTPUT("--port=name=a,pty", "--port=name=b,pty", "--max-ports=1"), 1);
	assert_non_null(strstr(out, "2 ports, but --max-ports is 1"));
	assert_int_equal(OUTPUT("--pty", "--max-ports=2"), 1);
	assert_int_equal(OUTPUT("--pty", "--max-ports=128"), 1);
	assert_int_equal(OUTPUT("--unix=/no/such/directory/socket"), 1);
	assert_non_null(strstr(out, "/no/such/directory/socket: cannot listen"));
	assert_int_equal(OUTPUT("--stdio", "--link=/tmp/x"), 1);
	assert_int_equal(OUTPUT("--pty", "--when-slow=maybe"), 1);
	assert_int_equal(OUTPUT("--ports=/no/such/file"), 1);
	assert_string_equal(out,
			    "vloop-console: /no/such/file: cannot read the ports: No such file "
			    "or directory\n");
	console_write_ports("name=a,pty\nnonsense\n");
	assert_int_equal(OUTPUT(console_ports_option), 1);
	assert_non_null(strstr(out, "/ports:2: a port has"));
	/* The ports of the file and those of the command line are one device's. */
	console_write_ports("name=a,pty\n");
	assert_int_equal(OUTPUT("--port=name=a,stdio", console_ports_option), 1);
	assert_non_null(strstr(out, "/ports: two ports have the same name"));
	assert_int_equal(OUTPUT("--port=name=b,pty", console_ports_option, "--max-ports=1"), 1);
	assert_non_null(strstr(out, "2 ports, but --max-ports is 1"));
	/* A file of somebody's is neither a socket nor a link. */
	assert_int_equal(OUTPUT(console_unix_option, "--pty"), 1);
	snprintf(out, sizeof(out), "--unix=%s", console_ports);
	assert_int_equal(OUTPUT(out), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONSOLE_TEST(test_both_ways),
		CONSOLE_TEST(test_back_pressure),
		CONSOLE_TEST(test_malformed),
		CONSOLE_TEST(test_absent),
		CONSOLE_TEST(test_emergency_write),
		CONSOLE_TEST(test_size),
		CONSOLE_TEST(test_left_unread),
		CONSOLE_TEST(test_much_left_unread),
		CONSOLE_TEST(test_pause),
		CONSOLE_TEST(test_pty_successor),
		CONSOLE_TEST(test_pty_short_client),
		CONSOLE_TEST(test_stdio_files),
		CONSOLE_TEST(test_stdio_hangup),
		CONSOLE_TEST(test_pty_not_printed),
		CONSOLE_TEST(test_stdio_of_another),
		CONSOLE_TEST(test_paths_of_others),
		CONSOLE_TEST(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
