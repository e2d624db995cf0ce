/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The source is an evdev node. Life:
 *
 *   plugged     events come; grabbed, if that was asked for, while a driver takes them and no key
 *               is down (who saw a key go down has to see it go up)
 *   unplugged   nothing is held down; waiting for the same device to appear at the same path
 */
#include <errno.h>
#include <fcntl.h>
#include <libevdev/libevdev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "input.h"
#include "place.h"

#define EVENTS_AT_ONCE	512	/* then it is the turn of others */

/*
 * @fd, @dev: -1 and NULL while it is unplugged
 * @place_fd: place_watch(), then
 * @again_fd: eventfd, to come back soon for what libevdev has
 * @complaint: errno that was reported last while it is unplugged
 * @syncing: evdev has dropped events; libevdev gives what has changed instead
 * @led_known, @led: what the driver has set
 */
struct evdev {
	const char *path;
	bool grab;
	bool grabbed;
	int fd;
	struct libevdev *dev;
	int place_fd;
	int again_fd;
	int complaint;
	bool writable;
	bool syncing;
	bool led_known[LED_CNT];
	int32_t led[LED_CNT];
	int32_t rep[REP_CNT];	/* -1: not set by the driver */
};

/* ---- what it is ---- */

static void describe_text(char *at, const char *text)
{
	if (text)
		strncpy(at, text, DESC_STRING);
}

static void describe_bits(struct libevdev *dev, struct input_desc *desc)
{
	for (unsigned int type = 1; type < EV_CNT; type++)
		for (unsigned int code = 0; code < desc_codes(type); code++)
			if (libevdev_has_event_code(dev, type, code))
				desc_set(desc, type, code);
	/* Effects are uploaded by ioctl(2), which virtio cannot carry. */
	for (unsigned int code = 0; code < FF_GAIN; code++)
		desc->bits[EV_FF][code / 8] &= (uint8_t)~(1U << code % 8);
	if (libevdev_has_event_type(dev, EV_REP)) {
		desc_set(desc, EV_REP, REP_DELAY);
		desc_set(desc, EV_REP, REP_PERIOD);
	}
}

static void describe(struct libevdev *dev, struct input_desc *desc)
{
	desc_init(desc);
	describe_text(desc->name, libevdev_get_name(dev));
	describe_text(desc->serial, libevdev_get_uniq(dev));
	desc->id = (struct input_id){
		.bustype = (uint16_t)libevdev_get_id_bustype(dev),
		.vendor = (uint16_t)libevdev_get_id_vendor(dev),
		.product = (uint16_t)libevdev_get_id_product(dev),
		.version = (uint16_t)libevdev_get_id_version(dev),
	};
	for (unsigned int i = 0; i < INPUT_PROP_CNT; i++)
		if (libevdev_has_property(dev, i))
			desc->properties[i / 8] |= (uint8_t)(1U << i % 8);
	describe_bits(dev, desc);
	for (unsigned int code = 0; code < ABS_CNT; code++) {
		const struct input_absinfo *abs = libevdev_get_abs_info(dev, code);

		if (!abs || !desc_has(desc, EV_ABS, code))
			continue;
		desc->abs[code] = (struct desc_abs){
			.min = abs->minimum,
			.max = abs->maximum,
			.fuzz = abs->fuzz,
			.flat = abs->flat,
			.resolution = abs->resolution,
		};
	}
}

/* The state that libevdev read when it opened the device. */
static void load_state(struct libevdev *dev, struct input_state *state)
{
	for (unsigned int type = EV_KEY; type <= EV_SW; type++)
		for (unsigned int code = 0; code < desc_codes(type); code++)
			if (type != EV_ABS || code < ABS_MT_SLOT)
				state_apply(state, type, code,
					    libevdev_get_event_value(dev, type, code));
	for (unsigned int slot = 0; slot < state->slots; slot++) {
		state_apply(state, EV_ABS, ABS_MT_SLOT, (int32_t)slot);
		for (unsigned int code = MT_FIRST; code <= MT_LAST; code++)
			state_apply(state, EV_ABS, code, libevdev_get_slot_value(dev, slot, code));
	}
	if (state->slots)
		state_apply(state, EV_ABS, ABS_MT_SLOT, libevdev_get_current_slot(dev));
}

/* ---- opening and closing ---- */

static int open_node(struct evdev *ev)
{
	int r;

	ev->writable = true;
	ev->fd = open(ev->path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (ev->fd < 0 && (errno == EACCES || errno == EROFS || errno == EPERM)) {
		ev->writable = false;
		ev->fd = open(ev->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	}
	if (ev->fd < 0)
		return -errno;
	r = libevdev_new_from_fd(ev->fd, &ev->dev);
	if (r < 0) {
		close(ev->fd);
		ev->fd = -1;
		return r;
	}
	ev->syncing = false;
	return 0;
}

static void close_node(struct evdev *ev)
{
	libevdev_free(ev->dev);
	ev->dev = NULL;
	if (ev->fd >= 0)
		close(ev->fd);
	ev->fd = -1;
	ev->grabbed = false;
}

/* ---- grabbing ---- */

static void update_grab(struct input *in)
{
	struct evdev *ev = in->source_data;
	bool want = ev->grab && in->events;
	int r;

	if (!ev->dev || want == ev->grabbed)
		return;
	if (want && state_key_down(&in->stream.state))
		return;
	r = libevdev_grab(ev->dev, want ? LIBEVDEV_GRAB : LIBEVDEV_UNGRAB);
	if (r == 0)
		ev->grabbed = want;
	else if (r != -ENODEV)
		vloop_program_error(&input_program, "%s: cannot grab it: %s", ev->path,
				    r == -EBUSY ? "another program has" : strerror(-r));
}

/* ---- what drivers send ---- */

static void write_output(struct evdev *ev, unsigned int type, unsigned int code, int32_t value)
{
	const struct input_event events[] = {
		{ .type = (uint16_t)type, .code = (uint16_t)code, .value = value },
		{ .type = EV_SYN, .code = SYN_REPORT },
	};

	if (ev->fd < 0 || !ev->writable)
		return;
	/* A device that was unplugged says so to its reader as well. */
	if (write(ev->fd, events, sizeof(events)) < 0 && errno != ENODEV)
		vloop_program_error(&input_program, "%s: cannot set %s: %s", ev->path,
				    libevdev_event_code_get_name(type, code), strerror(errno));
}

static void output(struct input *in, unsigned int type, unsigned int code, int32_t value)
{
	struct evdev *ev = in->source_data;

	if (type == EV_LED) {
		ev->led_known[code] = true;
		ev->led[code] = value;
	} else if (type == EV_REP) {
		ev->rep[code] = value;
	}
	write_output(ev, type, code, value);
}

/* A device that was plugged in again has forgotten them. */
static void restore_outputs(struct evdev *ev)
{
	for (unsigned int code = 0; code < LED_CNT; code++)
		if (ev->led_known[code])
			write_output(ev, EV_LED, code, ev->led[code]);
	for (unsigned int code = 0; code < REP_CNT; code++)
		if (ev->rep[code] >= 0)
			write_output(ev, EV_REP, code, ev->rep[code]);
}

/* ---- plugged ---- */

static void unplug(struct input *in);

/*
 * libevdev reads more than it gives out at once, and what it has to say after events were dropped
 * it finds out by itself: for these the node does not become readable.
 */
static void come_back(struct evdev *ev)
{
	static const uint64_t one = 1;

	if (!ev->syncing && libevdev_has_event_pending(ev->dev) <= 0)
		return;
	if (write(ev->again_fd, &one, sizeof(one)) < 0)
		vloop_program_error(&input_program, "%s: events are late: %s", ev->path,
				    strerror(errno));
}

/* Return: whether the device is still there. */
static bool read_events(struct input *in)
{
	struct evdev *ev = in->source_data;

	for (int i = 0; i < EVENTS_AT_ONCE; i++) {
		struct input_event event;
		int r = libevdev_next_event(ev->dev,
					    ev->syncing ? LIBEVDEV_READ_FLAG_SYNC :
							  LIBEVDEV_READ_FLAG_NORMAL,
					    &event);

		if (r == -EAGAIN && ev->syncing) {
			ev->syncing = false;
			continue;
		}
		if (r == -EAGAIN || r == -EINTR)
			return true;
		if (r < 0)
			return false;
		if (r == LIBEVDEV_READ_STATUS_SYNC && !ev->syncing) {
			vloop_program_error(&input_program,
					    "%s: the kernel dropped events: this process did not read them in time",
					    ev->path);
			ev->syncing = true;
			continue;
		}
		stream_event(&in->stream, event.type, event.code, event.value);
	}
	come_back(ev);
	return true;
}

static int on_events(struct vloop_dev *dev, int fd, uint32_t events, void *user)
{
	struct input *in = user;

	(void)dev;
	(void)fd;
	(void)events;
	if (!read_events(in))
		unplug(in);
	input_deliver(in);
	update_grab(in);
	return 0;
}

static int on_again(struct vloop_dev *dev, int fd, uint32_t events, void *user)
{
	struct input *in = user;
	struct evdev *ev = in->source_data;
	uint64_t times;

	/* It may have been unplugged meanwhile. */
	if (read(fd, &times, sizeof(times)) != sizeof(times) || !ev->dev)
		return 0;
	return on_events(dev, ev->fd, events, user);
}

static int watch_node(struct input *in)
{
	struct evdev *ev = in->source_data;

	if (!ev->writable)
		vloop_program_error(&input_program,
				    "%s: may be read only: LEDs will not be set (no write permission)",
				    ev->path);
	return vloop_dev_watch(in->dev, ev->fd, EPOLLIN, on_events, in);
}

/* ---- unplugged ---- */

static void complain(struct evdev *ev, int error, const char *text)
{
	if (ev->complaint == error)
		return;
	ev->complaint = error;
	vloop_program_error(&input_program, "%s: %s", ev->path, text);
}

/* Return: whether the device is there again. */
static bool plug(struct input *in)
{
	struct evdev *ev = in->source_data;
	struct input_desc desc;
	int r;

	r = open_node(ev);
	if (r < 0) {
		if (r != -ENOENT && r != -ENODEV && r != -ENXIO)
			complain(ev, -r, strerror(-r));
		return false;
	}
	describe(ev->dev, &desc);
	if (memcmp(&desc, &in->desc, sizeof(desc))) {
		complain(ev, EEXIST, "another device is there now; waiting for the one before");
		close_node(ev);
		return false;
	}
	r = watch_node(in);
	if (r < 0) {
		complain(ev, -r, strerror(-r));
		close_node(ev);
		return false;
	}
	vloop_program_error(&input_program, "%s: plugged in again", ev->path);
	load_state(ev->dev, &in->stream.state);
	restore_outputs(ev);
	stream_resync(&in->stream);
	update_grab(in);
	return true;
}

static void stop_waiting(struct input *in)
{
	struct evdev *ev = in->source_data;

	if (ev->place_fd < 0)
		return;
	vloop_dev_unwatch(in->dev, ev->place_fd);
	close(ev->place_fd);
	ev->place_fd = -1;
}

static void wait_for_node(struct input *in);

static int on_place(struct vloop_dev *dev, int fd, uint32_t events, void *user)
{
	struct input *in = user;

	(void)dev;
	(void)fd;
	(void)events;
	stop_waiting(in);
	wait_for_node(in);
	input_deliver(in);
	return 0;
}

/* Watch first, look then: nothing falls in between. */
static void wait_for_node(struct input *in)
{
	struct evdev *ev = in->source_data;
	int r;

	r = place_watch(ev->path);
	if (r >= 0) {
		ev->place_fd = r;
		r = vloop_dev_watch(in->dev, ev->place_fd, EPOLLIN, on_place, in);
	}
	if (plug(in)) {
		stop_waiting(in);
	} else if (r < 0) {
		vloop_program_error(&input_program, "%s: cannot wait for it to come back: %s",
				    ev->path, strerror(-r));
		in->error = r;
		vloop_stop(in->dev);
	}
}

static void unplug(struct input *in)
{
	struct evdev *ev = in->source_data;

	vloop_program_error(&input_program, "%s: unplugged; waiting for it", ev->path);
	vloop_dev_unwatch(in->dev, ev->fd);
	close_node(ev);
	stream_release(&in->stream);
	ev->complaint = 0;
	wait_for_node(in);
}

/* ---- the source ---- */

static void evdev_close(struct input *in)
{
	struct evdev *ev = in->source_data;

	close_node(ev);
	if (ev->place_fd >= 0)
		close(ev->place_fd);
	if (ev->again_fd >= 0)
		close(ev->again_fd);
	free(ev);
}

static const struct source evdev_source = {
	.start = update_grab,
	.stop = update_grab,
	.output = output,
	.close = evdev_close,
};

/* To know now, and not when a driver comes. */
static int try_grab(struct evdev *ev)
{
	int r = libevdev_grab(ev->dev, LIBEVDEV_GRAB);

	if (r == 0)
		r = libevdev_grab(ev->dev, LIBEVDEV_UNGRAB);
	if (r < 0)
		vloop_program_error(&input_program, "%s: --grab: %s", ev->path,
				    r == -EBUSY ? "another program has grabbed it" : strerror(-r));
	return r;
}

static int open_first(struct evdev *ev)
{
	int r = open_node(ev);

	if (r == 0)
		return ev->grab ? try_grab(ev) : 0;
	if (r == -ENOTTY || r == -EINVAL)
		vloop_program_error(&input_program, "%s: not an evdev node (/dev/input/eventN)",
				    ev->path);
	else if (r == -EACCES)
		vloop_program_error(&input_program,
				    "%s: %s; evdev nodes belong to root and to the group 'input'",
				    ev->path, strerror(-r));
	else
		vloop_program_error(&input_program, "%s: cannot open the device: %s", ev->path,
				    strerror(-r));
	return r;
}

int evdev_open(struct input *in, const char *path, bool grab)
{
	struct evdev *ev = calloc(1, sizeof(*ev));
	int r;

	if (!ev)
		return -ENOMEM;
	ev->path = path;
	ev->grab = grab;
	ev->fd = -1;
	ev->place_fd = -1;
	ev->again_fd = -1;
	for (unsigned int code = 0; code < REP_CNT; code++)
		ev->rep[code] = -1;
	in->source = &evdev_source;
	in->source_data = ev;
	r = open_first(ev);
	if (r < 0)
		return r;
	describe(ev->dev, &in->desc);
	r = stream_init(&in->stream, &in->desc);
	if (r == 0)
		load_state(ev->dev, &in->stream.state);
	return r;
}

int evdev_watch(struct input *in)
{
	struct evdev *ev = in->source_data;
	int r;

	ev->again_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ev->again_fd < 0)
		return -errno;
	r = vloop_dev_watch(in->dev, ev->again_fd, EPOLLIN, on_again, in);
	return r < 0 ? r : watch_node(in);
}
