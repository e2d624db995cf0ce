/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vloop-input: an input device (virtio 1.3, 5.8).
 *
 *   main.c     options
 *   device.c   the device: its queues and its configuration space
 *   evdev.c    a source: an evdev node, which may be unplugged and come back
 *   play.c     a source: a script
 *   place.c    waiting for a file to appear
 *   stream.c   events on their way to the driver
 *   desc.c     what a device is, and its state
 *   script.c   the text of scripts
 */
#ifndef VLOOP_INPUT_H
#define VLOOP_INPUT_H

#include <vloop/vloop.h>

#include "desc.h"
#include "stream.h"

struct input;

/*
 * Where events come from, by stream_event(); then input_deliver() has to be called.
 * @start: a driver takes events from now on
 * @stop: none does any more
 * @room: the driver took events
 * @output: the driver sent this (EV_LED and the like), and the device has it
 * @close: free everything
 */
struct source {
	void (*start)(struct input *in);
	void (*stop)(struct input *in);
	void (*room)(struct input *in);
	void (*output)(struct input *in, unsigned int type, unsigned int code, int32_t value);
	void (*close)(struct input *in);
};

/*
 * @events, @status: the queues, while they run
 * @select: what the driver wants to see of the configuration space
 * @error: of the source: the program ends
 */
struct input {
	struct vloop_dev *dev;
	struct input_desc desc;
	struct stream stream;
	const struct source *source;
	void *source_data;
	struct vloop_queue *events;
	uint8_t select[2];
	uint64_t told_overflows;
	int error;
};

extern const struct vloop_program input_program;

/*
 * The sources. First _open(), which fills in->desc and in->source and says on stderr what is wrong;
 * then input_new(); then _watch(). Return: 0 or a negative errno.
 */
int evdev_open(struct input *in, const char *path, bool grab);
int evdev_watch(struct input *in);
int play_open(struct input *in, const char *path);
int play_watch(struct input *in);

/* Make the device. Return: 0 or a negative errno. */
int input_new(struct input *in);
void input_free(struct input *in);

/* Hand the driver what it has room for. */
void input_deliver(struct input *in);

#endif
