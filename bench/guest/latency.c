/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench-latency: how long an event takes from its source to the application that waits for it.
 *
 *   bench-latency input NAME COUNT    makes a uinput device called NAME, says its node, waits for the
 *                                     end of the standard input and for a second input device of that
 *                                     name, then writes events and reads every one from both nodes:
 *                                     the source's own is the floor
 *   bench-latency console TTY PTY COUNT
 *                                     sends a byte to TTY, has it sent back by a process that
 *                                     reads PTY, the other end of the same console, and waits for
 *                                     it; every other byte goes through a pair of ptys instead: the
 *                                     floor
 *
 * Prints a line for each of "floor" and "ours": name, samples, and the 50th, 99th and 99.99th
 * percentile in nanoseconds, with tabs between.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/input.h>
#include <linux/uinput.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define WAIT_S	     30	     /* for a device, an event or a byte */
#define PAUSE_NS     1000000 /* between samples: one is over before the next begins */
#define WARM_UP	     100     /* samples that do not count */
#define COUNT_MAX    1000000
#define NS_PER_S     1000000000L

struct samples {
	const char *name;
	uint32_t count;
	int64_t *ns;
};

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "bench-latency: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void pause_ns(long ns)
{
	struct timespec time = {.tv_nsec = ns};

	nanosleep(&time, NULL);
}

static void samples_init(struct samples *samples, const char *name, uint32_t count)
{
	samples->name = name;
	samples->count = count;
	samples->ns = calloc(count, sizeof(*samples->ns));
	if (!samples->ns)
		die("no memory for %u samples", count);
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The smallest sample that @part of ten thousand samples do not exceed. */
static int64_t percentile(const struct samples *samples, uint32_t part)
{
	uint64_t rank = ((uint64_t)samples->count * part + 9999) / 10000;

	return samples->ns[rank - 1];
}

static void samples_print(struct samples *samples)
{
	qsort(samples->ns, samples->count, sizeof(*samples->ns), compare);
	printf("%s\t%u\t%lld\t%lld\t%lld\n", samples->name, samples->count,
	       (long long)percentile(samples, 5000), (long long)percentile(samples, 9900),
	       (long long)percentile(samples, 9999));
}

/* --- input */

/* A node that is read by a thread of its own, as an application would. */
struct reader {
	int fd;
	uint32_t count;
	const int64_t *sent;
	struct samples samples;
	pthread_t thread;
	_Atomic uint32_t done;
};

static void read_event(int fd, struct input_event *ret_event)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	ssize_t n;

	do {
		if (poll(&pfd, 1, WAIT_S * 1000) <= 0)
			die("no event within %d s", WAIT_S);
		n = read(fd, ret_event, sizeof(*ret_event));
	} while (n < 0 && errno == EAGAIN);
	if (n != sizeof(*ret_event))
		die("reading events: %s", n < 0 ? strerror(errno) : "the device is gone");
}

static void *reader_thread(void *arg)
{
	struct reader *reader = arg;

	for (uint32_t i = 0; i < reader->count; i++) {
		struct input_event event;

		do
			read_event(reader->fd, &event);
		while (event.type != EV_SYN || event.code != SYN_REPORT);
		if (i >= WARM_UP)
			reader->samples.ns[i - WARM_UP] = now_ns() - reader->sent[i];
		reader->done = i + 1;
	}
	return NULL;
}

/* Opens an event node with this name other than @except; -1: there is none. */
static int open_node(const char *name, const char *except, char *ret_node)
{
	DIR *dir = opendir("/dev/input");
	struct dirent *entry;
	int fd = -1;

	while (dir && fd < 0 && (entry = readdir(dir))) {
		char path[NAME_MAX + 16], found[UINPUT_MAX_NAME_SIZE] = "";

		if (strncmp(entry->d_name, "event", 5) || !strcmp(entry->d_name, except))
			continue;
		snprintf(path, sizeof(path), "/dev/input/%s", entry->d_name);
		fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (ioctl(fd, EVIOCGNAME(sizeof(found) - 1), found) < 0 || strcmp(found, name)) {
			close(fd);
			fd = -1;
			continue;
		}
		snprintf(ret_node, NAME_MAX + 1, "%s", entry->d_name);
	}
	if (dir)
		closedir(dir);
	return fd;
}

static int wait_node(const char *name, const char *except, char *ret_node)
{
	for (int64_t end = now_ns() + WAIT_S * NS_PER_S; now_ns() < end; pause_ns(20000000)) {
		int fd = open_node(name, except, ret_node);

		if (fd >= 0)
			return fd;
	}
	die("no input device '%s'%s%s within %d s", name, *except ? " beside " : "", except, WAIT_S);
}

static int make_mouse(const char *name)
{
	struct uinput_setup setup = {.id = {.bustype = BUS_VIRTUAL, .vendor = 1, .product = 1}};
	int fd = open("/dev/uinput", O_WRONLY | O_CLOEXEC);

	snprintf(setup.name, sizeof(setup.name), "%s", name);
	if (fd < 0 || ioctl(fd, UI_SET_EVBIT, EV_REL) || ioctl(fd, UI_SET_RELBIT, REL_X) ||
	    ioctl(fd, UI_SET_EVBIT, EV_KEY) || ioctl(fd, UI_SET_KEYBIT, BTN_LEFT) ||
	    ioctl(fd, UI_DEV_SETUP, &setup) || ioctl(fd, UI_DEV_CREATE))
		die("/dev/uinput: %s", strerror(errno));
	return fd;
}

static void move_mouse(int uinput)
{
	const struct input_event events[] = {
		{.type = EV_REL, .code = REL_X, .value = 1},
		{.type = EV_SYN, .code = SYN_REPORT},
	};

	if (write(uinput, events, sizeof(events)) != sizeof(events))
		die("writing to /dev/uinput: %s", strerror(errno));
}

static void measure_input(const char *name, uint32_t count)
{
	static struct reader readers[2] = {{.samples.name = "floor"}, {.samples.name = "ours"}};
	int64_t *sent = calloc(count + WARM_UP, sizeof(*sent));
	char source[NAME_MAX + 1], node[NAME_MAX + 1];
	int uinput = make_mouse(name);

	if (!sent)
		die("no memory for %u samples", count);
	readers[0].fd = wait_node(name, "", source);
	printf("source\t/dev/input/%s\n", source);
	fflush(stdout);
	while (getchar() != EOF)
		;
	readers[1].fd = wait_node(name, source, node);
	for (int i = 0; i < 2; i++) {
		struct reader *reader = &readers[i];

		reader->count = count + WARM_UP;
		reader->sent = sent;
		samples_init(&reader->samples, reader->samples.name, count);
		errno = pthread_create(&reader->thread, NULL, reader_thread, reader);
		if (errno)
			die("a thread: %s", strerror(errno));
	}
	for (uint32_t i = 0; i < count + WARM_UP; i++) {
		sent[i] = now_ns();
		move_mouse(uinput);
		do
			pause_ns(PAUSE_NS);
		while (readers[0].done <= i || readers[1].done <= i);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(readers[i].thread, NULL);
		samples_print(&readers[i].samples);
	}
}

/* --- console */

static void make_raw(int fd, const char *what)
{
	struct termios termios;

	if (tcgetattr(fd, &termios))
		die("%s: %s", what, strerror(errno));
	cfmakeraw(&termios);
	if (tcsetattr(fd, TCSANOW, &termios))
		die("%s: %s", what, strerror(errno));
}

static int open_tty(const char *path)
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	make_raw(fd, path);
	return fd;
}

/* A process that sends back what it reads. */
static pid_t start_echo(int fd)
{
	pid_t pid = fork();
	char byte;

	if (pid < 0)
		die("a process: %s", strerror(errno));
	if (pid)
		return pid;
	while (read(fd, &byte, 1) == 1)
		if (write(fd, &byte, 1) != 1)
			break;
	_exit(1);
}

static int64_t round_trip(int fd, char byte)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	int64_t start = now_ns();
	char back;

	if (write(fd, &byte, 1) != 1)
		die("writing a byte: %s", strerror(errno));
	if (poll(&pfd, 1, WAIT_S * 1000) <= 0 || read(fd, &back, 1) != 1)
		die("a byte did not come back within %d s", WAIT_S);
	if (back != byte)
		die("byte 0x%02x came back as 0x%02x", (unsigned char)byte, (unsigned char)back);
	return now_ns() - start;
}

static void measure_console(const char *tty, const char *pty, uint32_t count)
{
	struct samples floor, ours;
	int pair[2], fds[2];
	pid_t echoes[2];

	samples_init(&floor, "floor", count);
	samples_init(&ours, "ours", count);
	if (openpty(&pair[0], &pair[1], NULL, NULL, NULL))
		die("a pair of ptys: %s", strerror(errno));
	make_raw(pair[1], "a pty");
	fds[0] = open_tty(tty);
	fds[1] = open_tty(pty);
	echoes[0] = start_echo(pair[0]);
	echoes[1] = start_echo(fds[1]);
	for (uint32_t i = 0; i < count + WARM_UP; i++) {
		/* Every byte but those that flow control or a line discipline could mean. */
		char byte = (char)('a' + i % 26);
		int64_t short_way = round_trip(pair[1], byte), long_way = round_trip(fds[0], byte);

		if (i >= WARM_UP) {
			floor.ns[i - WARM_UP] = short_way;
			ours.ns[i - WARM_UP] = long_way;
		}
		pause_ns(PAUSE_NS);
	}
	for (int i = 0; i < 2; i++) {
		kill(echoes[i], SIGKILL);
		waitpid(echoes[i], NULL, 0);
	}
	samples_print(&floor);
	samples_print(&ours);
}

static uint32_t parse_count(const char *text)
{
	char *end;
	unsigned long count = strtoul(text, &end, 10);

	if (*end || end == text || count < 1 || count > COUNT_MAX)
		die("'%s' is not a number from 1 to %d", text, COUNT_MAX);
	return (uint32_t)count;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "input"))
		measure_input(argv[2], parse_count(argv[3]));
	else if (argc == 5 && !strcmp(argv[1], "console"))
		measure_console(argv[2], argv[3], parse_count(argv[4]));
	else
		die("usage: bench-latency input NAME COUNT | console TTY PTY COUNT");
	return 0;
}
