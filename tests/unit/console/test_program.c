/* SPDX-License-Identifier: BSD-3-Clause */
/* vloop-console as a program: bytes both ways, back-pressure, ports, requests that make no sense. */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_console.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "frontend.h"

#define RX	   0U
#define TX	   1U
#define CONTROL_RX 2U
#define CONTROL_TX 3U
#define RX1	   4U
#define TX1	   5U
#define BASIC	   (BIT64(F_VERSION_1) | BIT64(VHOST_USER_F_PROTOCOL_FEATURES))
#define MULTIPORT  BIT64(VIRTIO_CONSOLE_F_MULTIPORT)
#define PROTOCOL   (BIT64(VHOST_USER_PROTOCOL_F_REPLY_ACK) | BIT64(VHOST_USER_PROTOCOL_F_CONFIG))

static char dir[64], path[128], socket_option[160], tty[128], unix_option[160], other[128],
	ports_option[160], ports[128];

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/vloop-con-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/sock", dir);
	snprintf(socket_option, sizeof(socket_option), "--socket-path=%s", path);
	snprintf(tty, sizeof(tty), "%s/tty", dir);
	snprintf(other, sizeof(other), "%s/other", dir);
	snprintf(unix_option, sizeof(unix_option), "--unix=%s", tty);
	snprintf(ports, sizeof(ports), "%s/ports", dir);
	snprintf(ports_option, sizeof(ports_option), "--ports=%s", ports);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	unlink(tty);
	unlink(other);
	unlink(ports);
	return rmdir(dir);
}

/* What it prints goes to @out, -1: where the test's own output goes. */
static pid_t run(const char *const *args, int out)
{
	const char *argv[10] = { getenv("VLOOP_CONSOLE") };
	pid_t pid;

	assert_non_null(argv[0]);
	for (int i = 0; args[i]; i++)
		argv[i + 1] = args[i];
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* A test that fails must not leave a program behind. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (out >= 0) {
			dup2(out, STDOUT_FILENO);
			dup2(out, STDERR_FILENO);
		}
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	return pid;
}

#define RUN(...) run((const char *const[]){ socket_option, __VA_ARGS__, NULL }, -1)

static int wait_for_end(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void end(pid_t pid)
{
	kill(pid, SIGTERM);
	assert_int_equal(wait_for_end(pid), EXIT_SUCCESS);
}

static void begin(struct frontend *fe, uint64_t features, unsigned int queues)
{
	frontend_connect(fe, path);
	frontend_negotiate(fe, BASIC | features, PROTOCOL);
	frontend_set_memory(fe);
	for (unsigned int q = 0; q < queues; q++)
		frontend_start_queue(fe, q, 64);
}

/* A client of one of its sockets. */
static int client(const char *at)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strcpy(addr.sun_path, at);
	/* It is there before the socket of the front-end, but not before the process. */
	while (connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		assert_true(errno == ENOENT || errno == ECONNREFUSED);
	return fd;
}

static void add(struct frontend *fe, unsigned int q, uint32_t offset, uint32_t len, bool write)
{
	struct buffer buffer = { frontend_guest(q, DATA_OFFSET + offset), len, write };

	assert_true(driver_add(&fe->driver[q], &buffer, 1, false) >= 0);
	driver_publish(&fe->driver[q]);
	frontend_kick(fe, q);
}

static uint32_t used(struct frontend *fe, unsigned int q)
{
	uint32_t id;

	return frontend_wait_used(fe, q, &id);
}

static void send_bytes(struct frontend *fe, unsigned int q, const void *bytes, uint32_t len)
{
	memcpy(frontend_data(fe, q), bytes, len);
	add(fe, q, 0, len, false);
	assert_int_equal(used(fe, q), 0);
}

static void expect_bytes(int fd, const void *bytes, size_t len)
{
	char buf[256];

	assert_true(len <= sizeof(buf));
	assert_int_equal(recv(fd, buf, len, MSG_WAITALL), len);
	assert_memory_equal(buf, bytes, len);
}

/* The back-end has taken the client when output arrives there; before, it is dropped. */
static void settle(struct frontend *fe, unsigned int q, int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	char buf[4096];

	do
		send_bytes(fe, q, ".", 1);
	while (poll(&pfd, 1, 10) == 0);
	while (poll(&pfd, 1, 200) == 1)
		assert_true(read(fd, buf, sizeof(buf)) > 0);
}

static void test_both_ways(void **state)
{
	pid_t pid = RUN(unix_option);
	struct frontend fe;
	int fd = client(tty), second;
	char c;

	(void)state;
	begin(&fe, 0, 2);
	settle(&fe, TX, fd);
	send_bytes(&fe, TX, "hello", 5);
	expect_bytes(fd, "hello", 5);
	assert_int_equal(write(fd, "world, and more", 15), 15);
	add(&fe, RX, 0, 7, true);
	assert_int_equal(used(&fe, RX), 7);
	assert_memory_equal(frontend_data(&fe, RX), "world, ", 7);
	add(&fe, RX, 0, 100, true);
	assert_int_equal(used(&fe, RX), 8);
	assert_memory_equal(frontend_data(&fe, RX), "and more", 8);

	/* The next client waits for the end of the first one. */
	second = client(tty);
	assert_int_equal(write(second, "2", 1), 1);
	send_bytes(&fe, TX, "first", 5);
	expect_bytes(fd, "first", 5);
	assert_int_equal(recv(second, &c, 1, MSG_DONTWAIT), -1);
	assert_int_equal(write(fd, "1", 1), 1);
	close(fd);
	/* What it sent before it left is not lost, and comes before what the second one sends. */
	add(&fe, RX, 0, 100, true);
	assert_int_equal(used(&fe, RX), 1);
	assert_int_equal(frontend_data(&fe, RX)[0], '1');
	add(&fe, RX, 0, 100, true);
	assert_int_equal(used(&fe, RX), 1);
	assert_int_equal(frontend_data(&fe, RX)[0], '2');
	send_bytes(&fe, TX, "second", 6);
	expect_bytes(second, "second", 6);
	close(second);
	frontend_close(&fe);
	/* Another front-end, the same program. */
	fd = client(tty);
	begin(&fe, 0, 2);
	settle(&fe, TX, fd);
	frontend_close(&fe);
	close(fd);
	end(pid);
}

/* Without buffers of the driver nothing more is read; without a reader no request comes back. */
static void test_back_pressure(void **state)
{
	static uint8_t chunk[65536];
	pid_t pid = RUN(unix_option);
	size_t sent = 0, got = 0;
	struct frontend fe;
	int fd = client(tty);
	uint32_t id, len;
	ssize_t n;

	(void)state;
	begin(&fe, 0, 2);
	settle(&fe, TX, fd);
	while ((n = send(fd, chunk, sizeof(chunk), MSG_DONTWAIT)) > 0 || sent == 0) {
		sent += n > 0 ? (size_t)n : 0;
		assert_true(sent < 16 << 20);
	}
	while (got < sent) {
		add(&fe, RX, 0, 100000, true);
		got += used(&fe, RX);
	}
	assert_int_equal(got, sent);

	for (int i = 0; i < 40; i++)
		add(&fe, TX, 0, 1 << 20, false);
	usleep(100000);
	/* No socket holds a megabyte by itself. */
	assert_false(driver_used(&fe.driver[TX], &id, &len));
	for (got = 0; got < (size_t)40 << 20; got += (size_t)n) {
		n = read(fd, chunk, sizeof(chunk));
		assert_true(n > 0);
	}
	for (int i = 0; i < 40; i++)
		used(&fe, TX);
	frontend_close(&fe);
	close(fd);
	end(pid);
}

/* Requests that make no sense come back, and the next one is served. */
static void test_malformed(void **state)
{
	pid_t pid = RUN(unix_option);
	struct buffer both[2];
	struct frontend fe;
	int fd = client(tty);

	(void)state;
	begin(&fe, 0, 2);
	settle(&fe, TX, fd);
	add(&fe, TX, 0, 10, true);
	assert_int_equal(used(&fe, TX), 0);
	add(&fe, TX, 0, 0, false);
	assert_int_equal(used(&fe, TX), 0);
	assert_int_equal(write(fd, "abc", 3), 3);
	add(&fe, RX, 0, 10, false);
	assert_int_equal(used(&fe, RX), 0);
	add(&fe, RX, 0, 0, true);
	assert_int_equal(used(&fe, RX), 0);
	add(&fe, RX, 0, 10, true);
	assert_int_equal(used(&fe, RX), 3);
	/* Something to write in a request to send: only what is readable goes out. */
	memcpy(frontend_data(&fe, TX), "xyz", 3);
	both[0] = (struct buffer){ frontend_guest(TX, DATA_OFFSET), 3, false };
	both[1] = (struct buffer){ frontend_guest(TX, DATA_OFFSET + 100), 3, true };
	assert_true(driver_add(&fe.driver[TX], both, 2, false) >= 0);
	driver_publish(&fe.driver[TX]);
	frontend_kick(&fe, TX);
	assert_int_equal(used(&fe, TX), 0);
	expect_bytes(fd, "xyz", 3);
	frontend_close(&fe);
	close(fd);
	end(pid);
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
	pid = run((const char *const[]){ socket_option, unix_option, NULL }, out[1]);
	close(out[1]);
	begin(&fe, 0, 2);
	send_bytes(&fe, TX, "nobody reads this", 17);
	fd = client(tty);
	/* Other messages may come before it, in reads of their own. */
	for (have = 0, text[0] = 0; !strstr(text, "console: 17 bytes of output were dropped before");
	     have += (size_t)n, text[have] = 0) {
		n = read(out[0], text + have, sizeof(text) - 1 - have);
		assert_true(n > 0);
	}
	close(fd);
	frontend_close(&fe);
	end(pid);
	close(out[0]);

	pid = RUN(unix_option, "--when-absent=wait");
	begin(&fe, 0, 2);
	memcpy(frontend_data(&fe, TX), "patience", 8);
	add(&fe, TX, 0, 8, false);
	usleep(100000);
	assert_false(driver_used(&fe.driver[TX], &id, &len));
	fd = client(tty);
	expect_bytes(fd, "patience", 8);
	assert_int_equal(used(&fe, TX), 0);
	/* One that waits when the queue stops does not hold it up. */
	close(fd);
	add(&fe, TX, 0, 8, false);
	frontend_stop_queue(&fe, TX);
	frontend_close(&fe);
	end(pid);
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
	struct vhost_user_msg msg = { 0 };
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
	pid_t pid = RUN(unix_option);
	struct frontend fe;
	int fd = client(tty);

	(void)state;
	begin(&fe, 0, 2);
	settle(&fe, TX, fd);
	assert_int_equal(set_config(&fe, offsetof(struct virtio_console_config, emerg_wr),
				    "!\0\0\0", 4), 0);
	expect_bytes(fd, "!", 1);
	/* With the whole space around it, of which nothing is taken. */
	config = get_config(&fe);
	assert_int_equal(set_config(&fe, 0, "\7\0\7\0\7\0\0\0?\0\0\0", sizeof(config)), 0);
	expect_bytes(fd, "?", 1);
	after = get_config(&fe);
	assert_memory_equal(&after, &config, sizeof(config));
	/* Nothing else may be written. */
	assert_int_not_equal(set_config(&fe, 0, "\1\0\1\0", 4), 0);
	frontend_close(&fe);
	close(fd);
	end(pid);
}

/* ---- several ports */

static void tell(struct frontend *fe, uint32_t id, uint16_t event, uint16_t value, uint32_t len)
{
	struct virtio_console_control *msg = (void *)frontend_data(fe, CONTROL_TX);

	msg->id = id;
	msg->event = event;
	msg->value = value;
	add(fe, CONTROL_TX, 0, len, false);
	assert_int_equal(used(fe, CONTROL_TX), 0);
}

/* The next message, which must be this one; what is behind the header, ended by a zero, is left in @text. */
static void told(struct frontend *fe, uint32_t id, uint16_t event, uint16_t value, char *text)
{
	const struct virtio_console_control *msg = (void *)frontend_data(fe, CONTROL_RX);
	uint32_t len;

	add(fe, CONTROL_RX, 0, 256, true);
	len = used(fe, CONTROL_RX);
	assert_true(len >= sizeof(*msg));
	assert_int_equal(msg->id, id);
	assert_int_equal(msg->event, event);
	assert_int_equal(msg->value, value);
	len -= (uint32_t)sizeof(*msg);
	memcpy(text, msg + 1, len);
	text[len] = 0;
}

static void told_nothing(struct frontend *fe)
{
	uint32_t id, len;

	add(fe, CONTROL_RX, 0, 256, true);
	usleep(100000);
	assert_false(driver_used(&fe->driver[CONTROL_RX], &id, &len));
}

static void write_ports(const char *text)
{
	int fd = open(ports, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void port_comes(struct frontend *fe, uint32_t id, bool console, const char *name)
{
	char text[256];

	told(fe, id, VIRTIO_CONSOLE_PORT_ADD, 1, text);
	tell(fe, id, VIRTIO_CONSOLE_PORT_READY, 1, 8);
	if (console)
		told(fe, id, VIRTIO_CONSOLE_CONSOLE_PORT, 1, text);
	told(fe, id, VIRTIO_CONSOLE_PORT_NAME, 1, text);
	assert_string_equal(text, name);
	told(fe, id, VIRTIO_CONSOLE_PORT_OPEN, 0, text);
}

static void test_ports(void **state)
{
	char first[256], line[300], text[256];
	struct frontend fe;
	uint32_t id, len;
	int fd, r;
	pid_t pid;

	(void)state;
	snprintf(first, sizeof(first), "--port=name=one,console,unix=%s", tty);
	snprintf(line, sizeof(line), "# more\nname=two,unix=%s\n", other);
	write_ports(line);
	pid = RUN(first, ports_option);
	begin(&fe, MULTIPORT, 6);
	/* Nonsense, before and after the driver is ready. */
	tell(&fe, 0, VIRTIO_CONSOLE_PORT_READY, 1, 8);
	tell(&fe, 0, VIRTIO_CONSOLE_DEVICE_READY, 1, 7);
	tell(&fe, 0, VIRTIO_CONSOLE_DEVICE_READY, 1, 0);
	tell(&fe, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1, 8);
	port_comes(&fe, 0, true, "one");
	tell(&fe, 77, VIRTIO_CONSOLE_PORT_READY, 1, 8);
	tell(&fe, 1, VIRTIO_CONSOLE_PORT_NAME, 1, 8);
	tell(&fe, 1, VIRTIO_CONSOLE_PORT_OPEN, 2, 8);
	port_comes(&fe, 1, false, "two");

	/* A client comes; its bytes wait until somebody has the port open. */
	fd = client(other);
	told(&fe, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, text);
	assert_int_equal(write(fd, "early", 5), 5);
	add(&fe, RX1, 0, 100, true);
	usleep(100000);
	assert_false(driver_used(&fe.driver[RX1], &(uint32_t){ 0 }, &(uint32_t){ 0 }));
	tell(&fe, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, 8);
	assert_int_equal(used(&fe, RX1), 5);
	assert_memory_equal(frontend_data(&fe, RX1), "early", 5);
	send_bytes(&fe, TX1, "reply", 5);
	expect_bytes(fd, "reply", 5);

	/* Its last bytes, for which there was no buffer when it left, are there before its end is told. */
	assert_int_equal(write(fd, "last", 4), 4);
	close(fd);
	usleep(100000);
	add(&fe, RX1, 0, 100, true);
	told(&fe, 1, VIRTIO_CONSOLE_PORT_OPEN, 0, text);
	assert_true(driver_used(&fe.driver[RX1], &id, &len));
	assert_int_equal(len, 4);

	/* The file changes: one goes, one comes. */
	snprintf(line, sizeof(line), "name=three,unix=%s\n", other);
	write_ports(line);
	kill(pid, SIGHUP);
	told(&fe, 1, VIRTIO_CONSOLE_PORT_REMOVE, 1, text);
	port_comes(&fe, 1, false, "three");
	write_ports("name=four");
	kill(pid, SIGHUP);
	told_nothing(&fe);
	frontend_close(&fe);

	/* The next driver is told from the beginning. */
	begin(&fe, MULTIPORT, 6);
	tell(&fe, 0, VIRTIO_CONSOLE_DEVICE_READY, 1, 8);
	port_comes(&fe, 0, true, "one");
	port_comes(&fe, 1, false, "three");
	frontend_close(&fe);

	/* One that was ready for an earlier process says nothing, and has its ports open. */
	begin(&fe, MULTIPORT, 6);
	port_comes(&fe, 0, true, "one");
	port_comes(&fe, 1, false, "three");
	fd = client(other);
	told(&fe, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, text);
	assert_int_equal(write(fd, "late", 4), 4);
	add(&fe, RX1, 0, 100, true);
	r = (int)used(&fe, RX1);
	assert_int_equal(r, 4);
	close(fd);
	frontend_close(&fe);

	/* One that does not know of ports has the first one for its console. */
	begin(&fe, 0, 2);
	fd = client(tty);
	settle(&fe, TX, fd);
	close(fd);
	frontend_close(&fe);
	end(pid);
}

/* As many ports as there can be, all in use, are more than programs may have open files by default. */
static void test_many_ports(void **state)
{
	struct rlimit few, before, limit;
	struct frontend fe;
	pid_t pid;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 256;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	write_ports("");
	pid = RUN(ports_option, "--max-ports=127");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	frontend_connect(&fe, path);
	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, NULL, &limit), 0);
	assert_true(limit.rlim_cur >= 256 * 3 + 127 * 2 + 64 || limit.rlim_cur == limit.rlim_max);
	frontend_close(&fe);
	end(pid);
}

/* A driver can say again and again that it cannot have a port; the log says it once. */
static void test_refused_port(void **state)
{
	char first[256], text[4096];
	const char *line;
	struct frontend fe;
	size_t have = 0;
	int out[2];
	ssize_t n;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	snprintf(first, sizeof(first), "--port=name=one,unix=%s", tty);
	pid = run((const char *const[]){ socket_option, first, NULL }, out[1]);
	close(out[1]);
	begin(&fe, MULTIPORT, 4);
	tell(&fe, 0, VIRTIO_CONSOLE_DEVICE_READY, 1, 8);
	told(&fe, 0, VIRTIO_CONSOLE_PORT_ADD, 1, text);
	for (int i = 0; i < 50; i++)
		tell(&fe, 0, VIRTIO_CONSOLE_PORT_READY, 0, 8);
	frontend_close(&fe);
	end(pid);
	while ((n = read(out[0], text + have, sizeof(text) - 1 - have)) > 0)
		have += (size_t)n;
	text[have] = 0;
	close(out[0]);
	line = strstr(text, "one: the driver could not add this port");
	assert_non_null(line);
	assert_null(strstr(strchr(line, '\n'), "could not add"));
}

/* The size of a pseudo terminal is in the configuration space, and changes there. */
static void test_size(void **state)
{
	char link_option[160];
	struct winsize size = { .ws_col = 132, .ws_row = 50 };
	struct virtio_console_config config;
	struct frontend fe;
	int fd, tries;
	pid_t pid;

	(void)state;
	snprintf(link_option, sizeof(link_option), "--link=%s", tty);
	pid = RUN("--pty", link_option);
	begin(&fe, BIT64(VIRTIO_CONSOLE_F_SIZE), 2);
	fd = open(tty, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, TIOCSWINSZ, &size), 0);
	for (tries = 0; tries < 200; tries++) {
		config = get_config(&fe);
		if (config.cols == 132 && config.rows == 50)
			break;
		usleep(50000);
	}
	assert_true(tries < 200);
	settle(&fe, TX, fd);
	close(fd);
	frontend_close(&fe);
	end(pid);
	/* It takes its link with it. */
	assert_int_equal(access(tty, F_OK), -1);
}

/* What a client has not taken when it leaves is dropped, whichever end is noticed first. */
static void test_left_unread(void **state)
{
	pid_t pid = RUN(unix_option);
	struct frontend fe;
	int fd = client(tty);

	(void)state;
	begin(&fe, 0, 2);
	settle(&fe, TX, fd);
	add(&fe, TX, 0, 1 << 20, false);
	usleep(100000);
	/* Both have happened when it looks; the queue was first. */
	kill(pid, SIGSTOP);
	add(&fe, RX, 0, 100, true);
	close(fd);
	kill(pid, SIGCONT);
	assert_int_equal(used(&fe, TX), 0);
	frontend_close(&fe);
	end(pid);
}

/* ---- standard input and output */

static pid_t run_stdio(int in, int out)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(in, STDIN_FILENO);
		dup2(out, STDOUT_FILENO);
		execl(getenv("VLOOP_CONSOLE"), "vloop-console", socket_option, "--stdio", NULL);
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
	write_ports("skipped, taken");
	in = open(ports, O_RDONLY | O_CLOEXEC);
	assert_int_equal(lseek(in, 9, SEEK_SET), 9);
	out = open(other, O_CREAT | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
	assert_int_equal(write(out, "before\n", 7), 7);
	pid = run_stdio(in, out);
	begin(&fe, 0, 2);
	add(&fe, RX, 0, 100, true);
	assert_int_equal(used(&fe, RX), 5);
	assert_memory_equal(frontend_data(&fe, RX), "taken", 5);
	send_bytes(&fe, TX, "after\n", 6);
	assert_int_equal(pread(out, text, sizeof(text) - 1, 0), 13);
	assert_string_equal(text, "before\nafter\n");
	frontend_close(&fe);
	end(pid);
	close(in);
	close(out);
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
	while (access(path, F_OK))
		usleep(1000);
	close(master);
	assert_int_equal(wait_for_end(pid), EXIT_FAILURE);
}

/* ---- what is somebody else's */

/* Another program has taken the paths over: they are not removed at the end. */
static void test_paths_of_others(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	pid_t pid = RUN(unix_option);
	char target[64], option[160];
	struct frontend fe;
	int fds[2];

	(void)state;
	/* An answer: by then it knows which ones are its own. */
	begin(&fe, 0, 2);
	frontend_close(&fe);
	for (int i = 0; i < 2; i++) {
		strcpy(addr.sun_path, i ? tty : path);
		fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(unlink(addr.sun_path), 0);
		assert_int_equal(bind(fds[i], (struct sockaddr *)&addr, sizeof(addr)), 0);
	}
	end(pid);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(access(tty, F_OK), 0);
	close(fds[0]);
	close(fds[1]);

	/* A link that is none to a pseudo terminal is somebody's. */
	assert_int_equal(symlink("elsewhere", other), 0);
	snprintf(option, sizeof(option), "--link=%s", other);
	pid = RUN("--pty", option);
	assert_int_equal(wait_for_end(pid), EXIT_FAILURE);
	assert_int_equal(readlink(other, target, sizeof(target)), 9);
	/* One to a pseudo terminal was left behind. */
	unlink(other);
	assert_int_equal(symlink("/dev/pts/4096", other), 0);
	pid = RUN("--pty", option);
	begin(&fe, 0, 2);
	frontend_close(&fe);
	assert_int_not_equal(readlink(other, target, sizeof(target)), 13);
	end(pid);
}

static int output_of(const char *const *args, char *buf, size_t size)
{
	size_t len = 0;
	int out[2];
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = run(args, out[1]);
	close(out[1]);
	while ((n = read(out[0], buf + len, size - 1 - len)) > 0)
		len += (size_t)n;
	buf[len] = '\0';
	close(out[0]);
	return wait_for_end(pid);
}

#define OUTPUT(...) \
	output_of((const char *const[]){ socket_option, __VA_ARGS__, NULL }, out, sizeof(out))

static void test_options(void **state)
{
	char out[4096];

	(void)state;
	assert_int_equal(OUTPUT("--print-capabilities"), 0);
	assert_non_null(strstr(out, "\"serial\""));
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
	assert_string_equal(out, "vloop-console: /no/such/file: No such file or directory\n");
	write_ports("name=a,pty\nnonsense\n");
	assert_int_equal(OUTPUT(ports_option), 1);
	assert_non_null(strstr(out, "/ports:2: a port has"));
	/* The ports of the file and those of the command line are one device's. */
	write_ports("name=a,pty\n");
	assert_int_equal(OUTPUT("--port=name=a,stdio", ports_option), 1);
	assert_non_null(strstr(out, "/ports: two ports have the same name"));
	assert_int_equal(OUTPUT("--port=name=b,pty", ports_option, "--max-ports=1"), 1);
	assert_non_null(strstr(out, "2 ports, but --max-ports is 1"));
	/* A file of somebody's is neither a socket nor a link. */
	assert_int_equal(OUTPUT(unix_option, "--pty"), 1);
	snprintf(out, sizeof(out), "--unix=%s", ports);
	assert_int_equal(OUTPUT(out), 1);
}

#define TEST(name) { #name, name, make_dir, remove_dir, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_both_ways), TEST(test_back_pressure), TEST(test_malformed),
		TEST(test_absent),    TEST(test_emergency_write), TEST(test_ports),
		TEST(test_size),      TEST(test_left_unread), TEST(test_stdio_files),
		TEST(test_stdio_hangup), TEST(test_paths_of_others), TEST(test_refused_port),
		TEST(test_many_ports),
		TEST(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
