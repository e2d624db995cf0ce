/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control queues (virtio 1.3, 5.3.6.2). What the driver is to be told is kept as states, a bit
 * each, and becomes a message when the driver has a buffer for it: nothing piles up.
 *
 * A driver that said DEVICE_READY to an earlier process does not say it again to this one;
 * virtio-loopback does it, also for the ports that are open. From elsewhere there may come nothing:
 * when the driver has been quiet for a while, the ports are added all the same; a driver that knows
 * them answers with PORT_READY (drivers/char/virtio_console.c), and goes on. Of ports that the earlier
 * process had and this one has not, the driver is told that they are gone.
 */
#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>

#include "console.h"

#define RESUME_MS	300

/* Messages told at once; a driver that refills its queue meanwhile is served later. */
#define BUDGET		1024U

static size_t build(struct port *port, uint8_t bit, uint8_t *buf)
{
	struct message message = { .id = port->id, .value = 1 };

	switch (bit) {
	case TELL_REMOVE:
		message.event = MESSAGE_PORT_REMOVE;
		break;
	case TELL_ADD:
		message.event = MESSAGE_PORT_ADD;
		break;
	case TELL_CONSOLE:
		message.event = MESSAGE_CONSOLE_PORT;
		break;
	case TELL_NAME:
		message.event = MESSAGE_PORT_NAME;
		return message_build(buf, &message, port->spec.name, strlen(port->spec.name));
	case TELL_RESIZE:
		return message_build_resize(buf, port->id, port->end.cols, port->end.rows);
	case TELL_OPEN:
		message.event = MESSAGE_PORT_OPEN;
		message.value = port->end.connected;
		break;
	}
	return message_build(buf, &message, NULL, 0);
}

/* Tell the first thing that is to be told of this port. Return: as vloop_queue_pop(). */
static int tell_one(struct console *console, struct port *port)
{
	uint8_t bit = port->tell & (uint8_t)-port->tell;
	uint8_t buf[MESSAGE_MAX];
	size_t len = build(port, bit, buf);
	struct vloop_req *req;
	int n;

	n = vloop_queue_pop(console->control_rx, &req, 1);
	if (n <= 0)
		return n;
	if (req->writable_len < len) {
		/* Too short for any message. */
		vloop_queue_complete(console->control_rx, req, 0);
		return n;
	}
	vloop_req_write(req, 0, buf, len);
	vloop_queue_complete(console->control_rx, req, (uint32_t)len);
	port->tell &= (uint8_t)~bit;
	if (bit == TELL_CONSOLE)
		port->was_console = true;
	return n;
}

/* Tell what there is to be told, as long as the driver has buffers. */
int control_tell(struct console *console)
{
	unsigned int budget = BUDGET;
	int n = 1;

	if (!console->multiport || !console->control_rx)
		return 0;
	for (unsigned int i = 0; i < console->max_ports && n > 0 && budget; i++)
		while (console->ports[i].tell && n > 0 && budget--)
			n = tell_one(console, &console->ports[i]);
	vloop_queue_flush(console->control_rx);
	return n < 0 ? n : 0;
}

void control_added(struct port *port)
{
	if (!port->console->driver_ready)
		return;
	port->told = true;
	port->tell |= TELL_ADD;
}

static void tell_removal(struct port *port)
{
	port->tell |= TELL_REMOVE;
	port->stale = true;
}

void control_removed(struct port *port)
{
	/* What is not told yet is not told any more; the driver may not even know the port. */
	port->tell &= TELL_REMOVE;
	if (port->told)
		tell_removal(port);
	port->told = false;
	port->ready = false;
	port->refused = false;
	port->open = false;
}

static void driver_is_ready(struct console *console, bool resumed)
{
	console->driver_ready = true;
	console->resumed = resumed;
	for (unsigned int i = 0; i < console->max_ports; i++)
		if (console->ports[i].used)
			control_added(&console->ports[i]);
		else
			tell_removal(&console->ports[i]);
}

static int port_is_ready(struct port *port)
{
	/* It has the new port only now: output that is there already is none of this port's. */
	int r = port->stale ? port_transmit(port) : 0;

	if (r < 0)
		return r;
	port->stale = false;
	port->ready = true;
	/* It does not say again what it said to the process before this one. */
	if (port->console->resumed)
		port->open = true;
	if (port->spec.console)
		port->tell |= TELL_CONSOLE;
	if (port->spec.console && port->end.cols)
		port->tell |= TELL_RESIZE;
	if (port->spec.name[0])
		port->tell |= TELL_NAME;
	port->tell |= TELL_OPEN;
	return port_receive(port);
}

static int obey(struct console *console, const struct message *message)
{
	struct port *port = NULL;

	if (message->event != MESSAGE_DEVICE_READY) {
		port = &console->ports[message->id];
		/* It may have been removed while the message was on its way. */
		if (!port->used || !port->told)
			return 0;
	}
	switch (message->event) {
	case MESSAGE_DEVICE_READY:
		if (message->value)
			driver_is_ready(console, false);
		return 0;
	case MESSAGE_PORT_READY:
		if (message->value)
			return port_is_ready(port);
		if (!port->refused)
			vloop_program_error(&console_program,
					    "%s: the driver could not add this port",
					    port->spec.name);
		port->refused = true;
		port->ready = false;
		return 0;
	default:
		port->open = message->value;
		return port_receive(port);
	}
}

/* Take the driver's messages. Those that make no sense are answered, and change nothing. */
int control_receive(struct console *console)
{
	struct vloop_req *req;
	int n = 0, r = 0;

	while (console->control_tx && r == 0 &&
	       (n = vloop_queue_pop(console->control_tx, &req, 1)) > 0) {
		uint8_t bytes[MESSAGE_HEADER];
		struct message message;
		size_t len = vloop_req_read(req, 0, bytes, sizeof(bytes));

		if (message_parse(bytes, len, console->max_ports, &message) == 0 &&
		    console->multiport)
			r = obey(console, &message);
		vloop_queue_complete(console->control_tx, req, 0);
	}
	if (console->control_tx)
		vloop_queue_flush(console->control_tx);
	if (r == 0 && n == 0)
		r = control_tell(console);
	return r < 0 ? r : n;
}

/* The timer has run out: the driver is not going to say that it is ready. */
int control_resume(struct console *console)
{
	if (console->driver_ready || !console->control_rx || !console->control_tx)
		return 0;
	driver_is_ready(console, true);
	return control_tell(console);
}

/* A control queue runs, maybe again: the front-end may change its memory under a driver that stays. */
void control_begin(struct console *console)
{
	struct itimerspec when = { .it_value.tv_nsec = RESUME_MS * 1000000L };

	if (console->multiport && !console->driver_ready && console->control_rx && console->control_tx)
		timerfd_settime(console->resume_fd, 0, &when, NULL);
}

/* A control queue stops. */
void control_end(struct console *console)
{
	static const struct itimerspec never;

	timerfd_settime(console->resume_fd, 0, &never, NULL);
}

/* The driver is gone: the next one knows nothing. */
void control_forget(struct console *console)
{
	console->driver_ready = false;
	console->resumed = false;
	for (unsigned int i = 0; i < console->max_ports; i++) {
		struct port *port = &console->ports[i];

		port->tell = 0;
		port->told = false;
		port->was_console = false;
		port->stale = false;
		port->ready = false;
		port->open = false;
		port_update(port);
	}
}
