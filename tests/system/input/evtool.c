/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sources and readers of input events, for the system tests.
 *
 *   evtool source KIND      a uinput mouse, keyboard or tablet: prints its node, then obeys lines on
 *                           standard input, and prints "led CODE VALUE" when somebody sets one:
 *                             event TYPE CODE VALUE ...   a packet, SYN_REPORT is added
 *                             stream NODE EVENTS          send so many at 8000 a second, and read
 *                                                         them back from NODE
 *                             quit
 *   evtool compare A B      do two nodes say the same of themselves? Prints what differs
 *   evtool down NODE        codes of the keys that are down, and of the LEDs that are on
 *   evtool led NODE CODE VALUE
 *   evtool value NODE CODE  value of an absolute axis
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/input.h>
#include <linux/uinput.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define RATE 8000U /* events per second */
/*
 * Packets that were sent and not read back yet. evdev keeps 64 events for each of its readers, so
 * this many run over neither the back-end's buffer at the source nor the one at NODE, and whatever is
 * missing was lost in between. Where the source had to wait for it, that is said.
 */
#define WINDOW 12U
#define PACKET_MAX 4U
#define BITS(n) (((n) + 7) / 8)

static void die(const char *what)
{
	fprintf(stderr, "evtool: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static int open_node(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		die(path);
	return fd;
}

/* ---- sources ---- */

static void set_bit(int fd, unsigned long request, int bit)
{
	if (ioctl(fd, request, bit) < 0)
		die("uinput bit");
}

static void set_abs(int fd, uint16_t code, struct input_absinfo info)
{
	struct uinput_abs_setup setup = { .code = code, .absinfo = info };

	set_bit(fd, UI_SET_ABSBIT, code);
	if (ioctl(fd, UI_ABS_SETUP, &setup) < 0)
		die("UI_ABS_SETUP");
}

static void make_mouse(int fd)
{
	set_bit(fd, UI_SET_EVBIT, EV_KEY);
	set_bit(fd, UI_SET_EVBIT, EV_REL);
	for (int code = BTN_LEFT; code <= BTN_MIDDLE; code++)
		set_bit(fd, UI_SET_KEYBIT, code);
	set_bit(fd, UI_SET_RELBIT, REL_X);
	set_bit(fd, UI_SET_RELBIT, REL_Y);
	set_bit(fd, UI_SET_RELBIT, REL_WHEEL);
	set_bit(fd, UI_SET_PROPBIT, INPUT_PROP_POINTER);
}

static void make_keyboard(int fd)
{
	set_bit(fd, UI_SET_EVBIT, EV_KEY);
	set_bit(fd, UI_SET_EVBIT, EV_MSC);
	set_bit(fd, UI_SET_EVBIT, EV_LED);
	set_bit(fd, UI_SET_EVBIT, EV_REP);
	for (int code = KEY_ESC; code <= KEY_F12; code++)
		set_bit(fd, UI_SET_KEYBIT, code);
	set_bit(fd, UI_SET_MSCBIT, MSC_SCAN);
	for (int code = LED_NUML; code <= LED_COMPOSE; code++)
		set_bit(fd, UI_SET_LEDBIT, code);
}

static void make_tablet(int fd)
{
	set_bit(fd, UI_SET_EVBIT, EV_KEY);
	set_bit(fd, UI_SET_EVBIT, EV_ABS);
	set_bit(fd, UI_SET_EVBIT, EV_SW);
	set_bit(fd, UI_SET_KEYBIT, BTN_TOUCH);
	set_bit(fd, UI_SET_SWBIT, SW_TABLET_MODE);
	set_bit(fd, UI_SET_PROPBIT, INPUT_PROP_DIRECT);
	set_bit(fd, UI_SET_PROPBIT, INPUT_PROP_SEMI_MT);
	set_abs(fd, ABS_X, (struct input_absinfo){ .maximum = 4095, .resolution = 40, .value = 7 });
	set_abs(fd, ABS_Y, (struct input_absinfo){ .minimum = -100, .maximum = 3000, .flat = 3 });
	set_abs(fd, ABS_PRESSURE, (struct input_absinfo){ .maximum = 255, .fuzz = 4 });
	set_abs(fd, ABS_MT_SLOT, (struct input_absinfo){ .maximum = 9 });
	set_abs(fd, ABS_MT_TRACKING_ID, (struct input_absinfo){ .maximum = 65535 });
	set_abs(fd, ABS_MT_POSITION_X, (struct input_absinfo){ .maximum = 4095 });
	set_abs(fd, ABS_MT_POSITION_Y, (struct input_absinfo){ .maximum = 3000 });
}

static const struct kind {
	const char *name;
	void (*make)(int fd);
	struct uinput_setup setup;
} kinds[] = {
	{ "mouse", make_mouse, { .id = { BUS_USB, 0x1234, 0x0001, 0x0100 }, .name = "Test mouse" } },
	{ "keyboard",
	  make_keyboard,
	  { .id = { BUS_BLUETOOTH, 0x1234, 0xfedc, 0xffff }, .name = "Test keyboard" } },
	{ "tablet", make_tablet, { .id = { BUS_I2C, 0, 2, 0 }, .name = "Test \303\244 tablet" } },
};

/* Print the node of a uinput device. */
static void print_node(int fd)
{
	char name[64], pattern[128];
	glob_t found = { 0 };

	if (ioctl(fd, UI_GET_SYSNAME(sizeof(name)), name) < 0)
		die("UI_GET_SYSNAME");
	snprintf(pattern, sizeof(pattern), "/sys/devices/virtual/input/%s/event*", name);
	for (int i = 0; i < 6000 && glob(pattern, 0, NULL, &found); i++)
		usleep(10000);
	if (!found.gl_pathc)
		die(pattern);
	printf("/dev/input/%s\n", strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	fflush(stdout);
}

static void send_events(int fd, const struct input_event *events, size_t n)
{
	size_t len = n * sizeof(*events);

	if (write(fd, events, len) != (ssize_t)len)
		die("writing events");
}

/* ---- stream ---- */

/*
 * Packet @i of a source: keys go down and up, movements are never zero, and what is next to each
 * other differs, so that a packet that is lost, doubled or cut shows.
 */
static size_t packet(const struct kind *kind, uint32_t i, struct input_event *ret_events)
{
	int32_t down = !(i & 1);
	uint16_t key = (uint16_t)(KEY_1 + i / 2 % 10);
	size_t n = 0;

	if (!strcmp(kind->name, "keyboard")) {
		ret_events[n++] = (struct input_event){ .type = EV_MSC, .code = MSC_SCAN,
							.value = (int32_t)(i % 100000) };
		ret_events[n++] =
			(struct input_event){ .type = EV_KEY, .code = key, .value = down };
	} else {
		ret_events[n++] = (struct input_event){ .type = EV_REL, .code = REL_X,
							.value = (int32_t)(i % 100000) + 1 };
		ret_events[n++] = (struct input_event){ .type = EV_REL, .code = REL_Y,
							.value = -(int32_t)(i % 777) - 1 };
		if (i % 16 < 2)
			ret_events[n++] = (struct input_event){ .type = EV_KEY, .code = BTN_LEFT,
								.value = down };
	}
	ret_events[n++] = (struct input_event){ .type = EV_SYN, .code = SYN_REPORT };
	return n;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/*
 * @packets, @at: what was read back so far: packets, and events of the one that is coming
 * @held: packets that were due and had to wait for room in the window
 */
struct progress {
	uint32_t packets;
	size_t at;
	uint32_t held;
};

/* Return: whether what came is what was sent. */
static bool check(const struct kind *kind, const struct input_event *events, size_t n,
		  struct progress *p)
{
	for (size_t i = 0; i < n; i++) {
		struct input_event want[PACKET_MAX];
		size_t len = packet(kind, p->packets, want);

		if (events[i].type == EV_SYN && events[i].code == SYN_DROPPED) {
			printf("stream FAIL: evdev dropped events after packet %u: more came than this reader's buffer holds\n",
			       p->packets);
			return false;
		}
		if (events[i].type != want[p->at].type || events[i].code != want[p->at].code ||
		    events[i].value != want[p->at].value) {
			printf("stream FAIL: event %zu of packet %u is %u/%u/%d and not %u/%u/%d\n",
			       p->at, p->packets, events[i].type, events[i].code, events[i].value,
			       want[p->at].type, want[p->at].code, want[p->at].value);
			return false;
		}
		if (++p->at == len) {
			p->at = 0;
			p->packets++;
		}
	}
	return true;
}

/* Wait until @deadline or until there is something. Return: whether all is right so far. */
static bool read_back(const struct kind *kind, int node, uint64_t wait_ns, struct progress *p)
{
	struct timespec timeout = { .tv_sec = (time_t)(wait_ns / 1000000000),
				    .tv_nsec = (long)(wait_ns % 1000000000) };
	struct pollfd pfd = { .fd = node, .events = POLLIN };
	struct input_event events[64];
	ssize_t n;

	if (ppoll(&pfd, 1, &timeout, NULL) <= 0)
		return true;
	n = read(node, events, sizeof(events));
	if (n < 0 && errno != EAGAIN)
		die("reading events");
	return n < 0 || check(kind, events, (size_t)n / sizeof(events[0]), p);
}

/*
 * A key that is down for long repeats. Readers are told that it does not any more, with the next
 * packet: here, before there is the one that counts.
 */
static void stop_repeating(const char *path)
{
	const struct input_event end = { .type = EV_SYN, .code = SYN_REPORT };
	unsigned int never[2] = { 0, 0 };
	int node = open_node(path, O_RDWR);

	/* Where there are no keys that repeat, this fails. */
	if (ioctl(node, EVIOCSREP, never) == 0)
		send_events(node, &end, 1);
	close(node);
}

static void stream(const struct kind *kind, int uinput, const char *path, uint32_t num)
{
	int node;
	uint64_t start = now_ns(), sent_events = 0, quiet_since = start, done;
	struct progress back = { 0 };
	uint32_t sent = 0;
	bool good = true, held = false;

	stop_repeating(path);
	node = open_node(path, O_RDONLY | O_NONBLOCK);
	while (good && (sent_events < num || back.packets < sent)) {
		uint64_t now = now_ns(), due = start + sent_events * 1000000000 / RATE;
		uint32_t before = back.packets;
		bool is_due = sent_events < num && now >= due;

		if (is_due && sent - back.packets < WINDOW) {
			struct input_event events[PACKET_MAX];
			size_t n = packet(kind, sent++, events);

			send_events(uinput, events, n);
			sent_events += n;
			held = false;
		} else {
			back.held += is_due && !held;
			held = is_due;
			good = read_back(kind, node, due > now ? due - now : 10000000, &back);
		}
		if (back.packets != before || back.packets == sent)
			quiet_since = now;
		if (now - quiet_since > 60000000000) {
			printf("stream FAIL: %u packets sent, %u came, then nothing for a minute\n",
			       sent, back.packets);
			good = false;
		}
	}
	done = now_ns();
	/* Nothing may come behind the last one. */
	for (int i = 0; i < 20 && good; i++)
		good = read_back(kind, node, 10000000, &back);
	if (good && (back.packets != sent || back.at)) {
		printf("stream FAIL: more came than was sent\n");
		good = false;
	}
	if (good)
		printf("stream ok: %llu events in %u packets, %llu per second, %u packets held back\n",
		       (unsigned long long)sent_events, sent,
		       (unsigned long long)(sent_events * 1000000000 / (done - start)), back.held);
	close(node);
}

/* ---- commands of a source ---- */

static void send_packet(int uinput, char *words)
{
	struct input_event events[PACKET_MAX * 8] = { 0 };
	size_t n = 0;
	unsigned int type, code;
	int value, used;

	while (n + 1 < sizeof(events) / sizeof(events[0]) &&
	       sscanf(words, "%u %u %d%n", &type, &code, &value, &used) == 3) {
		events[n].type = (uint16_t)type;
		events[n].code = (uint16_t)code;
		events[n++].value = value;
		words += used;
	}
	events[n++].type = EV_SYN;
	send_events(uinput, events, n);
}

/* Return: whether to go on. */
static bool obey(const struct kind *kind, int uinput, char *line)
{
	char path[256];
	unsigned int num;

	if (!strncmp(line, "event ", 6))
		send_packet(uinput, line + 6);
	else if (sscanf(line, "stream %255s %u", path, &num) == 2)
		stream(kind, uinput, path, num);
	else
		return false;
	fflush(stdout);
	return true;
}

static void report_outputs(int uinput)
{
	struct input_event event;

	if (read(uinput, &event, sizeof(event)) != sizeof(event))
		return;
	if (event.type == EV_LED)
		printf("led %u %d\n", event.code, event.value);
	fflush(stdout);
}

/* Lines are taken one byte at a time, so that poll() sees all that is left. */
static bool read_line(char *line, size_t size)
{
	for (size_t n = 0; n < size - 1; n++) {
		if (read(STDIN_FILENO, line + n, 1) != 1)
			return false;
		if (line[n] == '\n') {
			line[n] = '\0';
			return true;
		}
	}
	return false;
}

static int run_source(const char *name)
{
	const struct kind *kind = kinds;
	struct pollfd pfds[2];
	char line[512];
	int fd;

	while (kind < kinds + sizeof(kinds) / sizeof(kinds[0]) && strcmp(kind->name, name))
		kind++;
	if (kind == kinds + sizeof(kinds) / sizeof(kinds[0])) {
		fprintf(stderr, "evtool: no kind of source: %s\n", name);
		return EXIT_FAILURE;
	}
	fd = open_node("/dev/uinput", O_RDWR);
	kind->make(fd);
	if (ioctl(fd, UI_DEV_SETUP, &kind->setup) < 0 || ioctl(fd, UI_DEV_CREATE) < 0)
		die("UI_DEV_CREATE");
	print_node(fd);
	pfds[0] = (struct pollfd){ .fd = fd, .events = POLLIN };
	pfds[1] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
	while (poll(pfds, 2, -1) > 0) {
		if (pfds[0].revents)
			report_outputs(fd);
		if (pfds[1].revents &&
		    (!read_line(line, sizeof(line)) || !obey(kind, fd, line)))
			break;
	}
	ioctl(fd, UI_DEV_DESTROY);
	close(fd);
	return EXIT_SUCCESS;
}

/* ---- nodes ---- */

static int differs(const char *what, unsigned int number)
{
	printf("different: %s %u\n", what, number);
	return 1;
}

static int compare_axes(int a, int b)
{
	uint8_t axes[BITS(ABS_CNT)] = { 0 };
	int found = 0;

	if (ioctl(a, EVIOCGBIT(EV_ABS, sizeof(axes)), axes) < 0)
		die("EVIOCGBIT");
	for (unsigned int code = 0; code < ABS_CNT; code++) {
		struct input_absinfo x, y;

		if (!(axes[code / 8] & 1 << code % 8))
			continue;
		if (ioctl(a, EVIOCGABS(code), &x) < 0 || ioctl(b, EVIOCGABS(code), &y) < 0)
			found += differs("axis that is missing", code);
		else if (x.minimum != y.minimum || x.maximum != y.maximum || x.fuzz != y.fuzz ||
			 x.flat != y.flat || x.resolution != y.resolution)
			found += differs("range of axis", code);
	}
	return found;
}

static int run_compare(const char *path_a, const char *path_b)
{
	int a = open_node(path_a, O_RDONLY), b = open_node(path_b, O_RDONLY), found = 0;
	char x[KEY_CNT] = { 0 }, y[KEY_CNT] = { 0 };

	if (ioctl(a, EVIOCGNAME(sizeof(x)), x) < 0 || ioctl(b, EVIOCGNAME(sizeof(y)), y) < 0)
		die("EVIOCGNAME");
	printf("name: %s\n", x);
	if (!*x || strcmp(x, y))
		found += differs("name", 0);
	if (ioctl(a, EVIOCGID, x) < 0 || ioctl(b, EVIOCGID, y) < 0)
		die("EVIOCGID");
	if (memcmp(x, y, sizeof(struct input_id)))
		found += differs("id", 0);
	memset(x, 0, sizeof(x));
	memset(y, 0, sizeof(y));
	if (ioctl(a, EVIOCGPROP(sizeof(x)), x) < 0 || ioctl(b, EVIOCGPROP(sizeof(y)), y) < 0)
		die("EVIOCGPROP");
	if (memcmp(x, y, sizeof(x)))
		found += differs("properties", 0);
	for (unsigned int type = 0; type < EV_FF; type++) {
		memset(x, 0, sizeof(x));
		memset(y, 0, sizeof(y));
		/* Fails for types that have no codes, on both sides. */
		ioctl(a, EVIOCGBIT(type, sizeof(x)), x);
		ioctl(b, EVIOCGBIT(type, sizeof(y)), y);
		if (memcmp(x, y, sizeof(x)))
			found += differs("codes of event type", type);
	}
	return found + compare_axes(a, b) ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void print_bits(const char *what, const uint8_t *bits, unsigned int num)
{
	for (unsigned int bit = 0; bit < num; bit++)
		if (bits[bit / 8] & 1 << bit % 8)
			printf("%s %u\n", what, bit);
}

static int run_down(const char *path)
{
	uint8_t keys[BITS(KEY_CNT)] = { 0 }, leds[BITS(LED_CNT)] = { 0 };
	int fd = open_node(path, O_RDONLY);

	if (ioctl(fd, EVIOCGKEY(sizeof(keys)), keys) < 0 ||
	    ioctl(fd, EVIOCGLED(sizeof(leds)), leds) < 0)
		die("EVIOCGKEY");
	print_bits("key", keys, KEY_CNT);
	print_bits("led", leds, LED_CNT);
	return EXIT_SUCCESS;
}

static int run_led(const char *path, const char *code, const char *value)
{
	const struct input_event events[] = {
		{ .type = EV_LED, .code = (uint16_t)atoi(code), .value = atoi(value) },
		{ .type = EV_SYN, .code = SYN_REPORT },
	};

	send_events(open_node(path, O_WRONLY), events, 2);
	return EXIT_SUCCESS;
}

static int run_value(const char *path, const char *code)
{
	struct input_absinfo info;

	if (ioctl(open_node(path, O_RDONLY), EVIOCGABS(atoi(code)), &info) < 0)
		die("EVIOCGABS");
	printf("%d\n", info.value);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "source"))
		return run_source(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "compare"))
		return run_compare(argv[2], argv[3]);
	if (argc == 3 && !strcmp(argv[1], "down"))
		return run_down(argv[2]);
	if (argc == 5 && !strcmp(argv[1], "led"))
		return run_led(argv[2], argv[3], argv[4]);
	if (argc == 4 && !strcmp(argv[1], "value"))
		return run_value(argv[2], argv[3]);
	fprintf(stderr, "evtool: wrong arguments; see the head of its source\n");
	return EXIT_FAILURE;
}
