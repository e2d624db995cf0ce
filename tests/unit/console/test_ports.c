/* SPDX-License-Identifier: BSD-3-Clause */
/* vloop-console with several ports, as virtio 1.3, 5.3 has them: who is told what, and when. */
#include <fcntl.h>
#include <linux/virtio_console.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "program.h"

#define MULTIPORT BIT64(VIRTIO_CONSOLE_F_MULTIPORT)

static void tell(struct frontend *fe, uint32_t id, uint16_t event, uint16_t value, uint32_t len)
{
	struct virtio_console_control *msg = (void *)frontend_data(fe, CONTROL_TX);

	msg->id = id;
	msg->event = event;
	msg->value = value;
	console_add(fe, CONTROL_TX, 0, len, false);
	assert_int_equal(console_used(fe, CONTROL_TX), 0);
}

/* The next message, which must be this one; what is behind the header, ended by a zero, is left in
 * @text. */
static void told(struct frontend *fe, uint32_t id, uint16_t event, uint16_t value, char *text)
{
	const struct virtio_console_control *msg = (void *)frontend_data(fe, CONTROL_RX);
	uint32_t len;

	console_add(fe, CONTROL_RX, 0, 256, true);
	len = console_used(fe, CONTROL_RX);
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

	console_add(fe, CONTROL_RX, 0, 256, true);
	usleep(100000);
	assert_false(driver_used(&fe->driver[CONTROL_RX], &id, &len));
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
	snprintf(first, sizeof(first), "--port=name=one,console,unix=%s", console_tty);
	snprintf(line, sizeof(line), "# more\nname=two,unix=%s\n", console_other);
	console_write_ports(line);
	pid = CONSOLE_RUN(first, console_ports_option);
	console_begin(&fe, MULTIPORT, 6);
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
	fd = console_client(console_other);
	told(&fe, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, text);
	assert_int_equal(write(fd, "early", 5), 5);
	console_add(&fe, RX1, 0, 100, true);
	usleep(100000);
	assert_false(driver_used(&fe.driver[RX1], &(uint32_t){0}, &(uint32_t){0}));
	tell(&fe, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, 8);
	assert_int_equal(console_used(&fe, RX1), 5);
	assert_memory_equal(frontend_data(&fe, RX1), "early", 5);
	console_send(&fe, TX1, "reply", 5);
	console_expect(fd, "reply", 5);

	/* Its last bytes, for which there was no buffer when it left, are there before its end is
	 * told. */
	assert_int_equal(write(fd, "last", 4), 4);
	close(fd);
	usleep(100000);
	console_add(&fe, RX1, 0, 100, true);
	told(&fe, 1, VIRTIO_CONSOLE_PORT_OPEN, 0, text);
	assert_true(driver_used(&fe.driver[RX1], &id, &len));
	assert_int_equal(len, 4);

	/* The file changes: one goes, one comes. */
	snprintf(line, sizeof(line), "name=three,unix=%s\n", console_other);
	console_write_ports(line);
	kill(pid, SIGHUP);
	told(&fe, 1, VIRTIO_CONSOLE_PORT_REMOVE, 1, text);
	port_comes(&fe, 1, false, "three");
	console_write_ports("name=four");
	kill(pid, SIGHUP);
	told_nothing(&fe);
	frontend_close(&fe);

	/* The next driver is told from the beginning. */
	console_begin(&fe, MULTIPORT, 6);
	tell(&fe, 0, VIRTIO_CONSOLE_DEVICE_READY, 1, 8);
	port_comes(&fe, 0, true, "one");
	port_comes(&fe, 1, false, "three");
	frontend_close(&fe);

	/* One that was ready for an earlier process says nothing, and has its ports open. */
	console_begin(&fe, MULTIPORT, 6);
	port_comes(&fe, 0, true, "one");
	port_comes(&fe, 1, false, "three");
	fd = console_client(console_other);
	told(&fe, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, text);
	assert_int_equal(write(fd, "late", 4), 4);
	console_add(&fe, RX1, 0, 100, true);
	r = (int)console_used(&fe, RX1);
	assert_int_equal(r, 4);
	close(fd);
	frontend_close(&fe);

	/* One that does not know of ports has the first one for its console. */
	console_begin(&fe, 0, 2);
	fd = console_client(console_tty);
	console_settle(&fe, TX, fd);
	close(fd);
	frontend_close(&fe);
	child_end(pid);
}

/* Under a driver that stays the front-end's memory may change; what it said before still holds. */
static void test_memory_change(void **state)
{
	char first[256], text[256];
	struct frontend fe;
	uint32_t id, len;
	pid_t pid;
	int fd;

	(void)state;
	snprintf(first, sizeof(first), "--port=name=one,unix=%s", console_tty);
	pid = CONSOLE_RUN(first);
	console_begin(&fe, MULTIPORT, 4);
	tell(&fe, 0, VIRTIO_CONSOLE_DEVICE_READY, 1, 8);
	port_comes(&fe, 0, false, "one");

	frontend_set_memory(&fe);
	frontend_get(&fe, VHOST_USER_GET_FEATURES);
	fd = console_client(console_tty);
	told(&fe, 0, VIRTIO_CONSOLE_PORT_OPEN, 1, text);
	console_add(&fe, RX, 0, 100, true);
	assert_int_equal(write(fd, "early", 5), 5);
	told_nothing(&fe);
	assert_false(driver_used(&fe.driver[RX], &id, &len));
	tell(&fe, 0, VIRTIO_CONSOLE_PORT_OPEN, 1, 8);
	assert_int_equal(console_used(&fe, RX), 5);

	close(fd);
	frontend_close(&fe);
	child_end(pid);
}

/* Output that a client has not taken goes with the port, and not to the client of the next one. */
static void replace_port(const char *policy, bool present, bool stopped)
{
	static uint8_t rest[3 << 20];
	char line[300], text[4096], expected[100];
	size_t got = 0;
	struct pollfd kick;
	struct frontend fe;
	int out[2], fd = -1;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	snprintf(line, sizeof(line), "name=two,unix=%s\n", console_other);
	console_write_ports(line);
	pid = console_run(
		(const char *const[]){console_socket_option, console_ports_option, policy, NULL},
		out[1]);
	close(out[1]);
	console_begin(&fe, MULTIPORT, 4);
	kick = (struct pollfd){.fd = fe.kick_fd[TX], .events = POLLIN};
	tell(&fe, 0, VIRTIO_CONSOLE_DEVICE_READY, 1, 8);
	port_comes(&fe, 0, false, "two");
	if (present) {
		fd = console_client(console_other);
		told(&fe, 0, VIRTIO_CONSOLE_PORT_OPEN, 1, text);
	}
	memset(frontend_data(&fe, TX), 'o', 1 << 20);
	for (int i = 0; i < 3; i++)
		console_add(&fe, TX, 0, 1 << 20, false);
	/* What is left of the first request is not in the queue any more. */
	if (stopped) {
		usleep(100000);
		frontend_resume_queue(&fe, TX, frontend_stop_queue(&fe, TX));
		/* The queue runs again when its kick has been taken: a port that goes before knows
		 * of no output. */
		while (poll(&kick, 1, 0) > 0)
			usleep(1000);
	}

	snprintf(line, sizeof(line), "name=three,unix=%s\n", console_tty);
	console_write_ports(line);
	kill(pid, SIGHUP);
	told(&fe, 0, VIRTIO_CONSOLE_PORT_REMOVE, 1, text);
	for (int i = 0; i < 3; i++)
		console_used(&fe, TX);
	if (present) {
		while ((n = read(fd, rest, sizeof(rest))) > 0)
			got += (size_t)n;
		close(fd);
	}
	assert_true(got < sizeof(rest));

	/* What it writes before it has heard of that, also at the last moment. */
	fd = console_client(console_tty);
	console_send(&fe, TX, "old", 3);
	told(&fe, 0, VIRTIO_CONSOLE_PORT_ADD, 1, text);
	memcpy(frontend_data(&fe, TX), "old", 3);
	assert_true(driver_add(&fe.driver[TX],
			       &(struct buffer){frontend_guest(TX, DATA_OFFSET), 3, false}, 1,
			       false) >= 0);
	driver_publish(&fe.driver[TX]);
	tell(&fe, 0, VIRTIO_CONSOLE_PORT_READY, 1, 8);
	console_used(&fe, TX);
	told(&fe, 0, VIRTIO_CONSOLE_PORT_NAME, 1, text);
	told(&fe, 0, VIRTIO_CONSOLE_PORT_OPEN, 1, text);
	console_send(&fe, TX, "new", 3);
	console_expect(fd, "new", 3);
	close(fd);
	frontend_close(&fe);
	child_end(pid);
	console_read(out[0], text, sizeof(text));
	snprintf(expected, sizeof(expected), "two: %zu bytes of output were dropped\n",
		 sizeof(rest) - got);
	assert_non_null(strstr(text, expected));
	assert_null(strstr(text, "three: "));
}

static void test_replaced_port(void **state)
{
	(void)state;
	for (int stopped = 0; stopped < 2; stopped++) {
		replace_port("--when-absent=drop", true, stopped);
		replace_port("--when-absent=wait", false, stopped);
	}
}

/* As many ports as there can be, all in use, are more than programs may have open files by default.
 */
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
	console_write_ports("");
	pid = CONSOLE_RUN(console_ports_option, "--max-ports=127");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	frontend_connect(&fe, console_path);
	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, NULL, &limit), 0);
	assert_true(limit.rlim_cur >= 256 * 3 + 127 * 2 + 64 || limit.rlim_cur == limit.rlim_max);
	frontend_close(&fe);
	child_end(pid);
}

/* A driver can say again and again that it cannot have a port; the log says it once. */
static void test_refused_port(void **state)
{
	char first[256], text[4096];
	const char *line;
	struct frontend fe;
	int out[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	snprintf(first, sizeof(first), "--port=name=one,unix=%s", console_tty);
	pid = console_run((const char *const[]){console_socket_option, first, NULL}, out[1]);
	close(out[1]);
	console_begin(&fe, MULTIPORT, 4);
	tell(&fe, 0, VIRTIO_CONSOLE_DEVICE_READY, 1, 8);
	told(&fe, 0, VIRTIO_CONSOLE_PORT_ADD, 1, text);
	for (int i = 0; i < 50; i++)
		tell(&fe, 0, VIRTIO_CONSOLE_PORT_READY, 0, 8);
	frontend_close(&fe);
	child_end(pid);
	console_read(out[0], text, sizeof(text));
	line = strstr(text, "one: the driver could not add this port");
	assert_non_null(line);
	assert_null(strstr(strchr(line, '\n'), "could not add"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONSOLE_TEST(test_ports),
		CONSOLE_TEST(test_memory_change),
		CONSOLE_TEST(test_replaced_port),
		CONSOLE_TEST(test_many_ports),
		CONSOLE_TEST(test_refused_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
