/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device as the driver sees it: two queues and a configuration space (virtio 1.3, 5.8).
 */
#include <endian.h>
#include <inttypes.h>
#include <string.h>

#include "input.h"

#define EVENT_QUEUE	0
#define STATUS_QUEUE	1
#define BATCH		64

/* ---- events, to the driver ---- */

static void report_overflows(struct input *in)
{
	const struct stream_stats *stats = &in->stream.stats;

	if (stats->overflows == in->told_overflows)
		return;
	in->told_overflows = stats->overflows;
	vloop_program_error(&input_program,
			    "the driver does not keep up: %" PRIu64
			    " events dropped so far, in whole packets; it gets the state instead",
			    stats->dropped);
}

/* A buffer that cannot hold an event goes back empty; the event takes the next one. */
static void give(struct input *in, struct vloop_queue *queue, struct vloop_req *req)
{
	const struct virtio_input_event *event = stream_peek(&in->stream);

	if (req->writable_len < sizeof(*event)) {
		vloop_queue_complete(queue, req, 0);
		return;
	}
	vloop_req_write(req, 0, event, sizeof(*event));
	stream_take(&in->stream);
	vloop_queue_complete(queue, req, sizeof(*event));
}

/* Return: as queue_kick(). */
static int serve_events(struct input *in)
{
	struct vloop_req *reqs[BATCH];
	size_t ready;
	int n = 0;

	if (!in->events)
		return 0;
	while ((ready = stream_ready(&in->stream)) > 0) {
		n = vloop_queue_pop(in->events, reqs, ready < BATCH ? (unsigned int)ready : BATCH);
		if (n <= 0)
			break;
		for (int i = 0; i < n; i++)
			give(in, in->events, reqs[i]);
		if (in->source->room)
			in->source->room(in);
	}
	vloop_queue_flush(in->events);
	report_overflows(in);
	return n < 0 ? n : 0;
}

void input_deliver(struct input *in)
{
	if (serve_events(in) < 0)
		vloop_dev_disconnect(in->dev);
}

/* ---- status, from the driver ---- */

/* Drivers also send back some of what they got (EV_MSC); only what sets something goes on. */
static void output(struct input *in, const struct virtio_input_event *event)
{
	unsigned int type = le16toh(event->type), code = le16toh(event->code);

	if (type != EV_LED && type != EV_SND && type != EV_REP && type != EV_FF)
		return;
	if (desc_has(&in->desc, type, code))
		in->source->output(in, type, code, (int32_t)le32toh(event->value));
}

/* virtio 1.3, 5.8 knows no error: what is too short for an event is taken and means nothing. */
static int serve_status(struct input *in, struct vloop_queue *queue)
{
	struct virtio_input_event event;
	struct vloop_req *req;
	int n;

	while ((n = vloop_queue_pop(queue, &req, 1)) > 0) {
		if (vloop_req_read(req, 0, &event, sizeof(event)) == sizeof(event))
			output(in, &event);
		vloop_queue_complete(queue, req, 0);
	}
	vloop_queue_flush(queue);
	return n;
}

/* ---- the functions of the device ---- */

static struct input *input_of(struct vloop_queue *queue)
{
	return vloop_dev_user(vloop_queue_dev(queue));
}

static int queue_start(struct vloop_queue *queue)
{
	struct input *in = input_of(queue);

	if (vloop_queue_index(queue) != EVENT_QUEUE)
		return 0;
	in->events = queue;
	stream_start(&in->stream);
	if (in->source->start)
		in->source->start(in);
	return 0;
}

static void queue_stop(struct vloop_queue *queue)
{
	struct input *in = input_of(queue);

	if (vloop_queue_index(queue) != EVENT_QUEUE)
		return;
	in->events = NULL;
	stream_stop(&in->stream);
	if (in->source->stop)
		in->source->stop(in);
}

static int queue_kick(struct vloop_queue *queue)
{
	struct input *in = input_of(queue);

	if (vloop_queue_index(queue) == STATUS_QUEUE)
		return serve_status(in, queue);
	return serve_events(in);
}

static void show_selected(struct input *in)
{
	struct virtio_input_config config;

	desc_answer(&in->desc, in->select[0], in->select[1], &config);
	vloop_dev_set_config(in->dev, 0, &config, sizeof(config));
}

/*
 * Front-ends send single bytes or, like QEMU, the whole space with the byte that the driver
 * changed; all but the two selectors is ours.
 */
static int config_write(struct vloop_dev *dev, uint32_t offset, const void *data, uint32_t len)
{
	struct input *in = vloop_dev_user(dev);
	const uint8_t *bytes = data;

	for (uint32_t i = 0; i < len && offset + i < sizeof(in->select); i++)
		in->select[offset + i] = bytes[i];
	show_selected(in);
	return 0;
}

static int connected(struct vloop_dev *dev)
{
	struct input *in = vloop_dev_user(dev);

	memset(in->select, VIRTIO_INPUT_CFG_UNSET, sizeof(in->select));
	show_selected(in);
	return 0;
}

static const struct vloop_dev_ops ops = {
	.size = sizeof(ops),
	.connected = connected,
	.config_write = config_write,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.queue_kick = queue_kick,
};

int input_new(struct input *in)
{
	static const struct virtio_input_config nothing;
	static const struct vloop_dev_desc desc = {
		.size = sizeof(desc),
		.device_id = 18,
		.name = "input",
		.num_queues = 2,
		.dispatch = VLOOP_DISPATCH_LOOP,
		.config = &nothing,
		.config_len = sizeof(nothing),
	};

	return vloop_dev_new(&in->dev, &desc, &ops, in);
}

void input_free(struct input *in)
{
	/* Stops the queues, which the source hears of. */
	vloop_dev_unref(in->dev);
	if (in->source)
		in->source->close(in);
	stream_free(&in->stream);
}
