/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From the source to the driver: events in packets, each ended by SYN_REPORT.
 *
 * Events wait here while the driver has no buffers. What waits is bounded: when it is too much, the
 * packets that the driver has not seen the beginning of are dropped as wholes, and when the driver
 * takes events again it first gets the state of the device as it is then (evdev's SYN_DROPPED
 * means the same to its readers; Linux drivers do not pass that one on). So a driver may miss
 * movements, but never has a key pressed that is not.
 *
 * The same repairs all that a driver may have wrong: state that it has from an earlier back-end,
 * or from a source that was unplugged with keys down.
 *
 *   stopped    no driver: events change the state, and are not kept
 *   in step    what is kept follows what the driver has
 *   out of step (@behind)   events change the state; as soon as nothing is kept any more, and the
 *              source is between two packets, the whole state is the next packet, and all is in
 *              step again
 */
#ifndef VLOOP_INPUT_STREAM_H
#define VLOOP_INPUT_STREAM_H

#include <linux/virtio_input.h>
#include <sys/types.h>

#include "desc.h"

#define STREAM_EVENTS	4096	/* half a second of a fast mouse */

/*
 * @sent: events that the driver took
 * @dropped: events that it will never see
 * @overflows: how often packets were dropped
 */
struct stream_stats {
	uint64_t sent;
	uint64_t dropped;
	uint64_t overflows;
};

/*
 * @events, @size: ring of what is kept; @head, @count: packets that are complete; @open: events
 *	behind them whose SYN_REPORT has not come
 * @in_packet: the source has begun a packet
 * @skip: it is one of which the beginning was dropped
 * @begun: the driver has a part of the first packet
 */
struct stream {
	struct input_state state;
	struct virtio_input_event *events;
	size_t size;
	size_t head;
	size_t count;
	size_t open;
	bool running;
	bool behind;
	bool in_packet;
	bool skip;
	bool begun;
	struct stream_stats stats;
};

/* @desc has to outlive the stream. Return: 0 or -ENOMEM; stream_free() is right in both cases. */
int stream_init(struct stream *stream, const struct input_desc *desc);
void stream_free(struct stream *stream);

/* A driver is there, with a state that nobody knows; it is gone. */
void stream_start(struct stream *stream);
void stream_stop(struct stream *stream);

/* An event of the source. What only goes the other way (LEDs and the like) is left out. */
void stream_event(struct stream *stream, unsigned int type, unsigned int code, int32_t value);

/* The source is gone: a packet that it has begun will not end, and nothing is held down. */
void stream_release(struct stream *stream);

/* The state was set behind the stream's back: tell the driver. */
void stream_resync(struct stream *stream);

/* Events that can be taken now. */
size_t stream_ready(struct stream *stream);

/* The next one; there has to be one. Then take it, when the driver has it. */
const struct virtio_input_event *stream_peek(const struct stream *stream);
void stream_take(struct stream *stream);

#endif
