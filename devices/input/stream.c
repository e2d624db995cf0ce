/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stream.h"

int stream_init(struct stream *stream, const struct input_desc *desc)
{
	memset(stream, 0, sizeof(*stream));
	/* Into an empty ring the whole state always fits, and a packet of the source behind it. */
	stream->size = STREAM_EVENTS + state_events_max(desc);
	stream->events = calloc(stream->size, sizeof(*stream->events));
	if (!stream->events)
		return -ENOMEM;
	return state_init(&stream->state, desc);
}

void stream_free(struct stream *stream)
{
	state_free(&stream->state);
	free(stream->events);
}

static struct virtio_input_event *at(const struct stream *stream, size_t i)
{
	return &stream->events[(stream->head + i) % stream->size];
}

static bool ends_packet(const struct virtio_input_event *event)
{
	return le16toh(event->type) == EV_SYN && le16toh(event->code) == SYN_REPORT;
}

void stream_start(struct stream *stream)
{
	stream_stop(stream);
	stream->running = true;
	stream->behind = true;
}

void stream_stop(struct stream *stream)
{
	stream->running = false;
	stream->behind = false;
	stream->begun = false;
	stream->count = 0;
	stream->open = 0;
	stream->skip = stream->in_packet;
}

/* Events at the head that the driver waits for: the rest of a packet that has begun. */
static size_t begun_rest(const struct stream *stream)
{
	size_t n = 0;

	if (!stream->begun)
		return 0;
	while (!ends_packet(at(stream, n++)))
		;
	return n;
}

static void overflow(struct stream *stream)
{
	size_t keep = begun_rest(stream);

	stream->stats.overflows++;
	stream->stats.dropped += stream->count - keep + stream->open;
	stream->count = keep;
	stream->open = 0;
	stream->skip = true;
	stream->behind = true;
}

static void append(struct stream *stream, unsigned int type, unsigned int code, int32_t value)
{
	*at(stream, stream->count + stream->open) = (struct virtio_input_event){
		.type = htole16((uint16_t)type),
		.code = htole16((uint16_t)code),
		.value = htole32((uint32_t)value),
	};
	stream->open++;
}

static void append_state(void *user, unsigned int type, unsigned int code, int32_t value)
{
	append(user, type, code, value);
}

/*
 * What a driver sends to a device comes back from evdev as an event; handed to the driver, it
 * would be sent again. A driver also repeats keys by itself when it was told that the device can.
 */
static bool goes_to_driver(const struct input_desc *desc, unsigned int type, int32_t value)
{
	switch (type) {
	case EV_SYN:
	case EV_REL:
	case EV_ABS:
	case EV_MSC:
	case EV_SW:
		return true;
	case EV_KEY:
		return value != 2 || !desc_has_type(desc, EV_REP);
	default:
		return false;
	}
}

static void end_packet(struct stream *stream)
{
	/* All that was in it may have been left out. */
	if (stream->open == 1)
		stream->open = 0;
	stream->count += stream->open;
	stream->open = 0;
	stream->in_packet = false;
	stream->skip = false;
}

void stream_event(struct stream *stream, unsigned int type, unsigned int code, int32_t value)
{
	bool last = type == EV_SYN && code == SYN_REPORT;

	if (!goes_to_driver(stream->state.desc, type, value))
		return;
	state_apply(&stream->state, type, code, value);
	stream->in_packet = true;
	if (stream->running && !stream->skip && !stream->behind) {
		if (stream->count + stream->open == stream->size)
			overflow(stream);
		else
			append(stream, type, code, value);
	}
	if (stream->running && (stream->skip || stream->behind))
		stream->stats.dropped++;
	if (last)
		end_packet(stream);
}

void stream_release(struct stream *stream)
{
	state_release(&stream->state);
	stream->in_packet = false;
	stream->skip = false;
	stream_resync(stream);
}

void stream_resync(struct stream *stream)
{
	stream->open = 0;
	stream->behind = stream->running;
}

size_t stream_ready(struct stream *stream)
{
	if (stream->behind && !stream->count && !stream->in_packet) {
		stream->behind = false;
		state_send(&stream->state, append_state, stream);
		stream->count = stream->open;
		stream->open = 0;
	}
	return stream->count;
}

const struct virtio_input_event *stream_peek(const struct stream *stream)
{
	return at(stream, 0);
}

void stream_take(struct stream *stream)
{
	stream->begun = !ends_packet(at(stream, 0));
	stream->head = (stream->head + 1) % stream->size;
	stream->count--;
	stream->stats.sent++;
}
