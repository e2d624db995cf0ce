/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vloop-input as a program, with a script as its source: what a driver reads in the configuration
 * space, what it gets for right and wrong buffers, what becomes of what it sends.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/input.h>
#include <linux/virtio_input.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"
#include "frontend.h"

#define EVENTS	 0U
#define STATUS	 1U
#define BASIC	 (BIT64(F_VERSION_1) | BIT64(VHOST_USER_F_PROTOCOL_FEATURES))
#define PROTOCOL (BIT64(VHOST_USER_PROTOCOL_F_REPLY_ACK) | BIT64(VHOST_USER_PROTOCOL_F_CONFIG))
#define PIECES	 16

static char dir[64], path[128], socket_option[160], script[128], script_option[160];

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/vloop-input-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/sock", dir);
	snprintf(socket_option, sizeof(socket_option), "--socket-path=%s", path);
	snprintf(script, sizeof(script), "%s/script", dir);
	snprintf(script_option, sizeof(script_option), "--script=%s", script);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(script);
	unlink(path);
	return rmdir(dir);
}

static void write_script(const char *text)
{
	int fd = open(script, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static pid_t start(const char *text)
{
	write_script(text);
	return child_run("VLOOP_INPUT",
			 (const char *const[]){ socket_option, script_option, NULL }, -1, -1);
}

static void begin(struct frontend *fe, uint64_t ring_features)
{
	frontend_connect(fe, path);
	frontend_negotiate(fe, BASIC | ring_features, PROTOCOL);
	frontend_set_memory(fe);
	frontend_start_queue(fe, EVENTS, 64);
	frontend_start_queue(fe, STATUS, 16);
}

/* ---- configuration space ---- */

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

static void get_config(struct frontend *fe, struct virtio_input_config *ret_config)
{
	struct vhost_user_msg msg;

	vhost_user_init(&msg, VHOST_USER_GET_CONFIG,
			(uint32_t)(VHOST_USER_CONFIG_HDR_SIZE + sizeof(*ret_config)));
	msg.payload.config.size = sizeof(*ret_config);
	assert_int_equal(vhost_user_call(fe->sock, &msg, ANSWER_MS), 0);
	assert_int_equal(msg.hdr.size, VHOST_USER_CONFIG_HDR_SIZE + sizeof(*ret_config));
	memcpy(ret_config, msg.payload.config.data, sizeof(*ret_config));
}

static const char device[] = "name \"a name\"\nserial \"no 7\"\nid 3 2 1 9\n"
			     "bits EV_KEY KEY_A KEY_B\nbits EV_LED LED_CAPSL\n";

/* As Linux does it through virtio-loopback: a byte at a time. */
static void test_config_bytes(void **state)
{
	static const uint8_t select = VIRTIO_INPUT_CFG_EV_BITS, subsel = EV_LED;
	struct virtio_input_config config;
	struct frontend fe;
	pid_t pid = start(device);

	(void)state;
	begin(&fe, 0);
	get_config(&fe, &config);
	assert_int_equal(config.size, 0);
	assert_int_equal(set_config(&fe, 0, &select, 1), 0);
	get_config(&fe, &config);
	assert_int_equal(config.select, select);
	assert_int_equal(config.size, 0);
	assert_int_equal(set_config(&fe, 1, &subsel, 1), 0);
	get_config(&fe, &config);
	assert_int_equal(config.subsel, subsel);
	assert_int_equal(config.size, 1);
	assert_int_equal(config.u.bitmap[0], 1 << LED_CAPSL);
	frontend_close(&fe);
	/* Another driver begins with nothing selected. */
	begin(&fe, 0);
	get_config(&fe, &config);
	assert_int_equal(config.select, VIRTIO_INPUT_CFG_UNSET);
	assert_int_equal(config.size, 0);
	frontend_close(&fe);
	child_end(pid);
}

/* As QEMU does it: all of it, with what is not the driver's. */
static void test_config_at_once(void **state)
{
	struct virtio_input_config config;
	struct frontend fe;
	pid_t pid = start(device);

	(void)state;
	begin(&fe, 0);
	memset(&config, 0xee, sizeof(config));
	config.select = VIRTIO_INPUT_CFG_ID_NAME;
	config.subsel = 0;
	assert_int_equal(set_config(&fe, 0, &config, sizeof(config)), 0);
	get_config(&fe, &config);
	assert_int_equal(config.select, VIRTIO_INPUT_CFG_ID_NAME);
	assert_int_equal(config.size, 6);
	assert_memory_equal(config.u.string, "a name\0", 8);
	/* Nothing but the selectors can be written; nothing behind the end. */
	assert_int_equal(set_config(&fe, 2, "\xff\xff", 2), 0);
	get_config(&fe, &config);
	assert_int_equal(config.size, 6);
	assert_int_not_equal(set_config(&fe, sizeof(config) - 1, "\1\2", 2), 0);
	assert_int_not_equal(set_config(&fe, sizeof(config), "\1", 1), 0);
	frontend_close(&fe);
	child_end(pid);
}

/* ---- queues ---- */

/* A buffer cut into @pieces of @len bytes in all. Return: what the device says that it wrote. */
static uint32_t request(struct frontend *fe, unsigned int q, uint32_t len, unsigned int pieces,
			bool write)
{
	struct buffer buffers[PIECES];
	uint32_t id;

	assert_true(pieces <= PIECES);
	for (unsigned int i = 0; i < pieces; i++)
		buffers[i] = (struct buffer){ frontend_guest(q, DATA_OFFSET + len / pieces * i),
					      len / pieces, write };
	assert_true(driver_add(&fe->driver[q], buffers, pieces, false) >= 0);
	driver_publish(&fe->driver[q]);
	frontend_kick(fe, q);
	return frontend_wait_used(fe, q, &id);
}

static void assert_event(struct frontend *fe, uint16_t type, uint16_t code, int32_t value)
{
	struct virtio_input_event event;

	memcpy(&event, frontend_data(fe, EVENTS), sizeof(event));
	assert_int_equal(le16toh(event.type), type);
	assert_int_equal(le16toh(event.code), code);
	assert_int_equal((int32_t)le32toh(event.value), value);
}

static void next(struct frontend *fe, uint16_t type, uint16_t code, int32_t value)
{
	assert_int_equal(request(fe, EVENTS, 8, 1, true), 8);
	assert_event(fe, type, code, value);
}

static void next_state(struct frontend *fe, bool a)
{
	next(fe, EV_KEY, a ? KEY_B : KEY_A, 0);
	next(fe, EV_KEY, a ? KEY_A : KEY_B, a);
	next(fe, EV_SYN, SYN_REPORT, 0);
}

static const char events[] = "bits EV_KEY KEY_A KEY_B\n"
			     "event EV_KEY KEY_A 1\nsync\nevent EV_KEY KEY_A 0\nsync\n";

static void test_events(void **state)
{
	struct frontend fe;
	pid_t pid = start(events);

	(void)state;
	begin(&fe, 0);
	next_state(&fe, false);
	next(&fe, EV_KEY, KEY_A, 1);
	/* The driver goes with the key down, and comes back: it is still down. */
	frontend_stop_queue(&fe, EVENTS);
	frontend_start_queue(&fe, EVENTS, 64);
	next(&fe, EV_KEY, KEY_A, 0);
	next(&fe, EV_KEY, KEY_B, 0);
	next(&fe, EV_SYN, SYN_REPORT, 0);
	frontend_close(&fe);
	child_end(pid);
}

/* Buffers of other shapes hold an event; those that cannot go back empty, and no event is lost. */
static void test_buffers(void **state)
{
	static const uint8_t untouched[8] = { 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc };
	struct frontend fe;
	pid_t pid;

	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		pid = start(events);
		begin(&fe, packed ? BIT64(F_RING_PACKED) : 0);
		next_state(&fe, false);
		memset(frontend_data(&fe, EVENTS), 0xcc, 64);
		assert_int_equal(request(&fe, EVENTS, 7, 1, true), 0);
		assert_int_equal(request(&fe, EVENTS, 1, 1, true), 0);
		assert_int_equal(request(&fe, EVENTS, 0, 1, true), 0);
		assert_int_equal(request(&fe, EVENTS, 8, 1, false), 0);
		assert_int_equal(request(&fe, EVENTS, 6, 2, true), 0);
		assert_memory_equal(frontend_data(&fe, EVENTS), untouched, 8);
		assert_int_equal(request(&fe, EVENTS, 8, 8, true), 8);
		assert_event(&fe, EV_KEY, KEY_A, 1);
		memset(frontend_data(&fe, EVENTS), 0xcc, 64);
		assert_int_equal(request(&fe, EVENTS, 64, 1, true), 8);
		assert_event(&fe, EV_SYN, SYN_REPORT, 0);
		assert_memory_equal(frontend_data(&fe, EVENTS) + 8, untouched, 8);
		next(&fe, EV_KEY, KEY_A, 0);
		next(&fe, EV_SYN, SYN_REPORT, 0);
		frontend_close(&fe);
		child_end(pid);
	}
}

static uint32_t status(struct frontend *fe, uint16_t type, uint16_t code, int32_t value,
		       uint32_t len, unsigned int pieces, bool write)
{
	struct virtio_input_event event = { htole16(type), htole16(code),
					    htole32((uint32_t)value) };

	memcpy(frontend_data(fe, STATUS), &event, sizeof(event));
	return request(fe, STATUS, len, pieces, write);
}

/* What the driver sets arrives; what is no event, or not for this device, is taken and ignored. */
static void test_status(void **state)
{
	struct frontend fe;
	pid_t pid = start("bits EV_KEY KEY_A KEY_B\nbits EV_LED LED_CAPSL\n"
			  "expect EV_LED LED_CAPSL 5\nevent EV_KEY KEY_A 1\nsync\n"
			  "expect EV_LED LED_CAPSL 0\nevent EV_KEY KEY_B 1\nsync\n");

	(void)state;
	begin(&fe, 0);
	next_state(&fe, false);
	assert_int_equal(status(&fe, EV_LED, LED_CAPSL, 5, 7, 1, false), 0);
	assert_int_equal(status(&fe, EV_LED, LED_CAPSL, 5, 0, 1, false), 0);
	assert_int_equal(status(&fe, EV_LED, LED_CAPSL, 5, 8, 1, true), 0);
	assert_int_equal(status(&fe, EV_LED, LED_NUML, 5, 8, 1, false), 0);
	assert_int_equal(status(&fe, EV_LED, 0xffff, 5, 8, 1, false), 0);
	assert_int_equal(status(&fe, 0xffff, 1, 5, 8, 1, false), 0);
	assert_int_equal(status(&fe, EV_KEY, KEY_A, 5, 8, 1, false), 0);
	assert_int_equal(status(&fe, EV_SYN, SYN_REPORT, 0, 8, 1, false), 0);
	assert_int_equal(status(&fe, EV_LED, LED_CAPSL, 5, 8, 4, false), 0);
	next(&fe, EV_KEY, KEY_A, 1);
	next(&fe, EV_SYN, SYN_REPORT, 0);
	assert_int_equal(status(&fe, EV_LED, LED_CAPSL, 0, 16, 1, false), 0);
	next(&fe, EV_KEY, KEY_B, 1);
	next(&fe, EV_SYN, SYN_REPORT, 0);
	frontend_close(&fe);
	child_end(pid);
}

/* A program that was killed with a key down: its successor takes the key from the driver. */
static void test_killed(void **state)
{
	struct frontend fe;
	pid_t pid = start(events);

	(void)state;
	begin(&fe, 0);
	next_state(&fe, false);
	next(&fe, EV_KEY, KEY_A, 1);
	next(&fe, EV_SYN, SYN_REPORT, 0);
	kill(pid, SIGKILL);
	assert_int_equal(child_wait(pid), -SIGKILL);
	frontend_close(&fe);
	pid = start(events);
	begin(&fe, 0);
	next_state(&fe, false);
	frontend_close(&fe);
	child_end(pid);
}

/* A long script waits for a driver that is slow, and nothing of it is lost. */
static void test_slow_driver(void **state)
{
	struct frontend fe;
	pid_t pid = start("bits EV_REL REL_X\nloop 5000\nevent EV_REL REL_X 1\nsync\nend\n"
			  "event EV_REL REL_X 2\nsync\n");

	(void)state;
	begin(&fe, 0);
	next(&fe, EV_SYN, SYN_REPORT, 0);
	for (int i = 0; i < 5000; i++) {
		next(&fe, EV_REL, REL_X, 1);
		next(&fe, EV_SYN, SYN_REPORT, 0);
	}
	next(&fe, EV_REL, REL_X, 2);
	next(&fe, EV_SYN, SYN_REPORT, 0);
	frontend_close(&fe);
	child_end(pid);
}

/* Whether all timers of @pid are over, and it knows. */
static bool timers_over(pid_t pid)
{
	char name[320], text[512];
	struct dirent *entry;
	bool over = true;
	ssize_t n;
	DIR *fds;
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/fdinfo", pid);
	fds = opendir(name);
	assert_non_null(fds);
	while (over && (entry = readdir(fds))) {
		snprintf(name, sizeof(name), "/proc/%d/fdinfo/%s", pid, entry->d_name);
		fd = open(name, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		n = read(fd, text, sizeof(text) - 1);
		text[n < 0 ? 0 : n] = '\0';
		if (strstr(text, "\nticks: "))
			over = strstr(text, "\nticks: 0\n") && strstr(text, "\nit_value: (0, 0)\n");
		close(fd);
	}
	closedir(fds);
	return over;
}

static void wait_timers_over(pid_t pid)
{
	for (int ms = 0; !timers_over(pid); ms += 10) {
		assert_true(ms < ANSWER_MS);
		usleep(10000);
	}
}

/* A driver goes while a packet of the script is not complete: the next one gets the state, and the rest. */
static void test_gone_within_packet(void **state)
{
	struct frontend fe;
	pid_t pid = start("bits EV_KEY KEY_A KEY_B\nbits EV_LED LED_CAPSL\n"
			  "event EV_KEY KEY_A 1\nexpect EV_LED LED_CAPSL 1\n"
			  "event EV_KEY KEY_A 0\nevent EV_KEY KEY_B 1\nsync\n"
			  "event EV_KEY KEY_B 0\nsync\n");

	(void)state;
	begin(&fe, 0);
	next_state(&fe, false);
	frontend_close(&fe);
	begin(&fe, 0);
	assert_int_equal(status(&fe, EV_LED, LED_CAPSL, 1, 8, 1, false), 0);
	next(&fe, EV_KEY, KEY_A, 0);
	next(&fe, EV_KEY, KEY_B, 1);
	next(&fe, EV_SYN, SYN_REPORT, 0);
	next(&fe, EV_KEY, KEY_B, 0);
	next(&fe, EV_SYN, SYN_REPORT, 0);
	frontend_close(&fe);
	child_end(pid);

	/* What the script waits for comes while no driver takes events. */
	pid = start("bits EV_KEY KEY_A KEY_B\nevent EV_KEY KEY_A 1\nwait 200ms\nsync\n");
	begin(&fe, 0);
	next_state(&fe, false);
	frontend_stop_queue(&fe, EVENTS);
	wait_timers_over(pid);
	frontend_start_queue(&fe, EVENTS, 64);
	next_state(&fe, true);
	frontend_close(&fe);
	child_end(pid);
}

/* ---- a node ---- */

/* The program with the device of fake_evdev.c. Return: the other end of its node. */
static int start_node(pid_t *ret_pid, int log)
{
	char evdev_option[160];
	int fd;

	assert_int_equal(mkfifo(script, 0600), 0);
	fd = open(script, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	snprintf(evdev_option, sizeof(evdev_option), "--evdev=%s", script);
	*ret_pid = child_run("VLOOP_INPUT_FAKE_EVDEV",
			     (const char *const[]){ socket_option, evdev_option, NULL }, log, -1);
	return fd;
}

/* All of @bytes at once: see fake_evdev.c. */
static void burst(int fd, const char *bytes)
{
	assert_true(strlen(bytes) <= PIPE_BUF);
	assert_int_equal(write(fd, bytes, strlen(bytes)), strlen(bytes));
}

static void next_of(struct frontend *fe, const char *bytes)
{
	for (; *bytes; bytes++)
		if (*bytes == '-')
			next(fe, EV_SYN, SYN_REPORT, 0);
		else
			next(fe, EV_KEY, KEY_A, *bytes == 'a' ? 1 : *bytes == 'r' ? 2 : 0);
}

/* More than is taken at once, of which the node does not tell a second time. */
static void test_burst(void **state)
{
	char bytes[1025];
	struct frontend fe;
	pid_t pid;
	int fd;

	(void)state;
	fd = start_node(&pid, -1);
	begin(&fe, 0);
	next_of(&fe, "A-");
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = "a-A-"[i % 4];
	bytes[sizeof(bytes) - 1] = '\0';
	burst(fd, bytes);
	next_of(&fe, bytes);
	/* Events were dropped, and what to say instead is in no queue. */
	strcpy(bytes, "ar-");
	for (size_t i = 3; i < 511; i++)
		bytes[i] = "A-a-"[(i - 3) % 4];
	strcpy(bytes + 511, "d");
	burst(fd, bytes);
	bytes[511] = '\0';
	next_of(&fe, bytes);
	next_of(&fe, "A-");
	frontend_close(&fe);
	child_end(pid);
	close(fd);
}

/* A device that is unplugged, and cannot be waited for, ends the program with an error. */
static void test_unplugged(void **state)
{
	char out[4096];
	int fd, log[2], status;
	struct frontend fe;
	ssize_t n;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(log, O_CLOEXEC), 0);
	fd = start_node(&pid, log[1]);
	close(log[1]);
	begin(&fe, 0);
	next(&fe, EV_KEY, KEY_A, 0);
	assert_int_equal(unlink(script), 0);
	assert_int_equal(write(fd, "", 1), 1);
	status = child_wait(pid);
	n = read(log[0], out, sizeof(out) - 1);
	assert_true(n > 0);
	out[n] = '\0';
	assert_non_null(strstr(out, "cannot wait for it to come back: Too many open files"));
	assert_int_equal(status, EXIT_FAILURE);
	frontend_close(&fe);
	close(log[0]);
	close(fd);
}

/* ---- command line ---- */

static int output_of(const char *const *args, const char *input, char *buf, size_t size)
{
	size_t len = 0;
	int out[2], in[2];
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(write(in[1], input, strlen(input)), strlen(input));
	pid = child_run("VLOOP_INPUT", args, out[1], in[0]);
	close(out[1]);
	close(in[0]);
	close(in[1]);
	while ((n = read(out[0], buf + len, size - 1 - len)) > 0)
		len += (size_t)n;
	buf[len] = '\0';
	close(out[0]);
	return child_wait(pid);
}

#define OUTPUT_OF(input, ...) \
	output_of((const char *const[]){ __VA_ARGS__, NULL }, input, out, sizeof(out))
#define OUTPUT(...) OUTPUT_OF("", __VA_ARGS__)

static void test_options(void **state)
{
	char out[4096];

	(void)state;
	assert_int_equal(OUTPUT("--print-capabilities"), 0);
	assert_string_equal(out, "{\n  \"type\": \"input\",\n  \"features\": [\n"
				 "    \"evdev-path\",\n    \"no-grab\"\n  ]\n}\n");
	assert_int_equal(OUTPUT("--help"), 0);
	assert_non_null(strstr(out, "--script"));
	assert_int_equal(OUTPUT(socket_option), 1);
	assert_string_equal(out,
			    "vloop-input: one of --evdev and --script is needed; see --help\n");
	assert_int_equal(OUTPUT(socket_option, script_option, "--evdev=/dev/null"), 1);
	assert_int_equal(OUTPUT(socket_option, script_option, "--grab"), 1);
	assert_int_equal(OUTPUT(socket_option, script_option), 1);
	assert_non_null(strstr(out, "No such file"));
	assert_int_equal(OUTPUT(socket_option, "--evdev=/no/such/node"), 1);
	assert_string_equal(
		out,
		"vloop-input: /no/such/node: cannot open the device: No such file or directory\n");
	assert_int_equal(OUTPUT(socket_option, "--evdev=/dev/null"), 1);
	assert_string_equal(out,
			    "vloop-input: /dev/null: not an evdev node (/dev/input/eventN)\n");
	assert_int_equal(OUTPUT_OF("sync\n loop\n", socket_option, "--script=-"), 1);
	assert_string_equal(out,
			    "vloop-input: standard input:2:6: the number of rounds is missing\n");
	write_script("wrong");
	assert_int_equal(OUTPUT(socket_option, script_option), 1);
	assert_non_null(strstr(out, "/script:1:1: no such statement: wrong"));
}

#define TEST(name) { #name, name, make_dir, remove_dir, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_config_bytes), TEST(test_config_at_once), TEST(test_events),
		TEST(test_buffers),	 TEST(test_status),	    TEST(test_killed),
		TEST(test_slow_driver),	 TEST(test_gone_within_packet),
		TEST(test_burst),	 TEST(test_unplugged),	    TEST(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
