/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The source is a script. It goes on while a driver takes events, and never so fast that events
 * would have to be dropped.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "input.h"
#include "script.h"

#define AHEAD	256	/* events that wait for the driver before the script waits, too */

/* A packet that did not fit would never be complete: state and script would wait for each other. */
_Static_assert(SCRIPT_PACKET_MAX <= STREAM_EVENTS, "a packet of a script fits");

/*
 * @waiting: the timer runs, for SCRIPT_WAIT or to come back soon
 * @name: of the file, for messages
 */
struct play {
	const char *name;
	struct script script;
	struct player player;
	int timer_fd;
	bool waiting;
};

static void start_timer(struct play *play, uint64_t us)
{
	struct itimerspec when = {
		.it_value = {
			.tv_sec = (time_t)(us / 1000000),
			.tv_nsec = (long)(us % 1000000) * 1000,
		},
	};

	/* Zero would stop the timer. */
	if (!us)
		when.it_value.tv_nsec = 1;
	play->waiting = timerfd_settime(play->timer_fd, 0, &when, NULL) == 0;
}

/*
 * A driver that is behind gets the state before anything else, but not within a packet: one that
 * has begun is played to its end.
 */
static void go_on(struct input *in)
{
	struct play *play = in->source_data;
	const struct script_step *step;

	while (!play->waiting && in->events && (!in->stream.behind || in->stream.in_packet) &&
	       stream_ready(&in->stream) < AHEAD) {
		switch (player_next(&play->player, &step)) {
		case PLAYER_EVENT:
			stream_event(&in->stream, step->type, step->code, step->value);
			break;
		case PLAYER_WAIT:
			start_timer(play, step->number);
			break;
		case PLAYER_BUSY:
			start_timer(play, 0);
			break;
		case PLAYER_BLOCKED:
		case PLAYER_DONE:
			return;
		}
	}
}

static int on_timer(struct vloop_dev *dev, int fd, uint32_t events, void *user)
{
	struct input *in = user;
	struct play *play = in->source_data;
	uint64_t times;

	(void)dev;
	(void)events;
	if (read(fd, &times, sizeof(times)) != sizeof(times))
		return 0;
	play->waiting = false;
	go_on(in);
	input_deliver(in);
	return 0;
}

static void output(struct input *in, unsigned int type, unsigned int code, int32_t value)
{
	struct play *play = in->source_data;

	player_output(&play->player, type, code, value);
	go_on(in);
	input_deliver(in);
}

static void play_close(struct input *in)
{
	struct play *play = in->source_data;

	script_free(&play->script);
	if (play->timer_fd >= 0)
		close(play->timer_fd);
	free(play);
}

static const struct source play_source = {
	.start = go_on,
	.room = go_on,
	.output = output,
	.close = play_close,
};

/* Return: bytes; -EFBIG: more than @size; negative errno. */
static ssize_t read_all(int fd, char *text, size_t size)
{
	size_t len = 0;

	for (;;) {
		ssize_t n = read(fd, text + len, size - len);

		if (n == 0)
			return (ssize_t)len;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			len += (size_t)n;
		if (len == size)
			return -EFBIG;
	}
}

static int parse_file(struct play *play, int fd)
{
	char *text = malloc(SCRIPT_BYTES + 1);
	struct script_error error;
	ssize_t len;
	int r;

	if (!text)
		return -ENOMEM;
	len = read_all(fd, text, SCRIPT_BYTES + 1);
	if (len < 0)
		vloop_program_error(&input_program, "%s: cannot read the script: %s", play->name,
				    strerror((int)-len));
	r = len < 0 ? (int)len : script_parse(&play->script, text, (size_t)len, &error);
	if (len >= 0 && r == -EINVAL)
		vloop_program_error(&input_program, "%s:%u:%u: %s", play->name, error.line,
				    error.column, error.text);
	free(text);
	return r;
}

static int load(struct play *play, const char *path)
{
	int fd, r;

	if (!strcmp(path, "-"))
		return parse_file(play, STDIN_FILENO);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		r = -errno;
		vloop_program_error(&input_program, "%s: cannot open the script: %s", path,
				    strerror(-r));
		return r;
	}
	r = parse_file(play, fd);
	close(fd);
	return r;
}

int play_open(struct input *in, const char *path)
{
	struct play *play = calloc(1, sizeof(*play));
	int r;

	if (!play)
		return -ENOMEM;
	play->name = strcmp(path, "-") ? path : "standard input";
	play->timer_fd = -1;
	in->source = &play_source;
	in->source_data = play;
	r = load(play, path);
	if (r < 0)
		return r;
	in->desc = play->script.desc;
	player_init(&play->player, &play->script);
	r = stream_init(&in->stream, &in->desc);
	if (r == 0)
		memcpy(in->stream.state.abs, play->script.initial, sizeof(play->script.initial));
	return r;
}

int play_watch(struct input *in)
{
	struct play *play = in->source_data;

	play->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (play->timer_fd < 0)
		return -errno;
	return vloop_dev_watch(in->dev, play->timer_fd, EPOLLIN, on_timer, in);
}
