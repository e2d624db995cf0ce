/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "console.h"

/* Writes, or reads, before the other ports get their turn. */
#define BUDGET	64U

/*
 * Output that is kept when its queue stops. A request has no bound; Linux makes them of 32 KiB at
 * most, or of what a pipe holds, by default at most this (fs/pipe.c, pipe_max_size).
 */
#define REST_MAX	(1U << 20)

static int ready(struct vloop_dev *dev, int fd, uint32_t events, void *user);

static const char *name(const struct port *port)
{
	return port->spec.name[0] ? port->spec.name : "console";
}

/* Files cannot be watched, and never make anybody wait. */
static void watch(struct port *port, int fd, uint32_t *current, uint32_t events)
{
	if (*current == events)
		return;
	if (*current)
		vloop_dev_unwatch(port->console->dev, fd);
	*current = events;
	if (events && vloop_dev_watch(port->console->dev, fd, events, ready, port) < 0)
		*current = 0;
}

static void unwatch(struct port *port)
{
	watch(port, port->end.in_fd, &port->in_events, 0);
	watch(port, port->end.out_fd, &port->out_events, 0);
}

/* Whether the driver takes input now. */
static bool may_receive(const struct port *port)
{
	return port->rx && (!port->console->multiport || (port->ready && port->open));
}

/* The end of a pipe on standard input is the end of the input only. */
static bool has_hangup(const struct end *end)
{
	return end->kind != END_STDIO || end->terminal;
}

void port_update(struct port *port)
{
	struct end *end = &port->end;
	uint32_t in = 0, out = 0;
	bool accept = end->listen_fd >= 0 && !end->connected;

	if (port->used && end->connected) {
		if (may_receive(port) && !port->in_len && !end->eof)
			in = EPOLLIN;
		/* Also with nothing to do: its end is to be noticed. */
		if (!end->hup && has_hangup(end))
			in |= EPOLLHUP;
		if (port->more || (port->req && !end->hup))
			out = EPOLLOUT;
		if (end->in_fd == end->out_fd) {
			in |= out;
			out = 0;
		}
	}
	watch(port, end->in_fd, &port->in_events, in);
	watch(port, end->out_fd, &port->out_events, out);
	if (accept != port->listen_watched) {
		port->listen_watched = accept;
		if (accept)
			vloop_dev_watch(port->console->dev, end->listen_fd, EPOLLIN, ready, port);
		else
			vloop_dev_unwatch(port->console->dev, end->listen_fd);
	}
}

static void tell_open(struct port *port)
{
	if (port->ready)
		port->tell |= TELL_OPEN;
	control_tell(port->console);
}

static void came(struct port *port)
{
	if (port->dropped != port->dropped_told) {
		vloop_program_error(&console_program,
				    "%s: %" PRIu64 " bytes of output were dropped before this client came",
				    name(port), port->dropped - port->dropped_told);
		port->dropped_told = port->dropped;
	}
	if (end_size_changed(&port->end))
		console_resized(port);
	tell_open(port);
	port_transmit(port);
	port_receive(port);
}

static void gone(struct port *port)
{
	unwatch(port);
	end_hangup(&port->end);
	port->in_len = 0;
	/* The driver takes "closed" for the end of the input that it has found by then. */
	if (port->rx)
		vloop_queue_flush(port->rx);
	tell_open(port);
	if (port->end.kind != END_STDIO)
		return;
	vloop_program_error(&console_program, "%s: the terminal, or who read the standard output, is gone",
			    name(port));
	port->console->error = -EPIPE;
	vloop_stop(port->console->dev);
}

/* A file is never waited for, so it cannot be told when its turn comes. Dropping takes no time. */
static bool takes_turns(const struct port *port)
{
	return port->end.connected && !port->stale && port->end.kind != END_STDIO;
}

/* Nobody is there for output; there may still be input. */
static bool is_absent(const struct port *port)
{
	return !port->end.connected || port->end.hup;
}

static void finish(struct port *port)
{
	if (port->req == &port->rest) {
		free(port->rest_buf);
		port->rest_buf = NULL;
	} else {
		vloop_queue_complete(port->tx, port->req, 0);
	}
	port->req = NULL;
}

static void drop(struct port *port)
{
	/* Of a port that is gone, nobody is left to be told. */
	if (!port->stale)
		port->dropped += port->req_left;
	finish(port);
}

static void advance(struct port *port, size_t n)
{
	struct vloop_req *req = port->req;

	port->req_left -= n;
	while (port->req_iov && n >= req->readable->iov_len) {
		n -= req->readable->iov_len;
		req->readable++;
		port->req_iov--;
	}
	if (n) {
		req->readable->iov_base = (uint8_t *)req->readable->iov_base + n;
		req->readable->iov_len -= n;
	}
}

/* Write what can be written of the request. True: the next one may follow. */
static bool write_some(struct port *port)
{
	const struct console_options *opt = &port->console->options;
	bool absent = is_absent(port);
	ssize_t n;

	if (!port->req_left) {
		finish(port);
		return true;
	}
	if (absent && opt->wait_absent && port->used && !port->stale)
		return false;
	if (absent || port->stale) {
		drop(port);
		return true;
	}
	n = end_write(&port->end, port->req->readable, port->req_iov);
	if (n >= 0)
		advance(port, (size_t)n);
	else if (n == -EFAULT || (n == -EAGAIN && opt->drop_slow))
		drop(port);
	else if (n == -EAGAIN)
		return false;
	else
		gone(port);
	return true;
}

/* Move output to the outer end. Return: 0, or what the library returned. */
int port_transmit(struct port *port)
{
	unsigned int budget = BUDGET;
	int n = 0;

	port->more = false;
	while (!port->more) {
		if (!port->req) {
			n = port->tx ? vloop_queue_pop(port->tx, &port->req, 1) : 0;
			if (n <= 0) {
				port->req = NULL;
				break;
			}
			port->req_iov = port->req->n_readable;
			port->req_left = port->req->readable_len;
		}
		if (!write_some(port))
			break;
		/* Who has just been found gone is not watched for the next turn. */
		port->more = takes_turns(port) && !is_absent(port) && !--budget;
	}
	if (port->tx)
		vloop_queue_flush(port->tx);
	port_update(port);
	return n < 0 ? n : 0;
}

/* Return: 1 (there are bytes); 0 (not now). */
static int fetch(struct port *port)
{
	struct end *end = &port->end;
	ssize_t n;

	if (port->in_pos < port->in_len)
		return 1;
	port->in_pos = 0;
	port->in_len = 0;
	if (!end->connected || end->eof)
		return 0;
	n = end_read(end, port->in, sizeof(port->in));
	if (end->escaped)
		vloop_stop(port->console->dev);
	if (n > 0) {
		port->in_len = (size_t)n;
		return 1;
	}
	if (n != -EAGAIN && (n < 0 || end->hup))
		gone(port);
	return 0;
}

/* Move input to the driver. Return: 0, or what the library returned. */
int port_receive(struct port *port)
{
	unsigned int budget = BUDGET;
	struct vloop_req *req;
	int n = 0;

	while (may_receive(port)) {
		size_t len;

		if ((!port->in_len && takes_turns(port) && !budget--) || !fetch(port))
			break;
		n = vloop_queue_pop(port->rx, &req, 1);
		if (n <= 0)
			break;
		len = vloop_req_write(req, 0, port->in + port->in_pos, port->in_len - port->in_pos);
		vloop_queue_complete(port->rx, req, (uint32_t)len);
		port->in_pos += len;
		if (port->in_pos == port->in_len) {
			port->in_pos = 0;
			port->in_len = 0;
		}
	}
	if (port->rx)
		vloop_queue_flush(port->rx);
	/* The client may have been found gone: what waited for it is dropped, or waits for the next. */
	if (n >= 0 && (port->req || port->more) && !port->end.connected)
		return port_transmit(port);
	port_update(port);
	return n < 0 ? n : 0;
}

static int ready(struct vloop_dev *dev, int fd, uint32_t events, void *user)
{
	struct port *port = user;
	int r = 0;

	if (fd == port->end.listen_fd) {
		if (!port->end.connected && end_accept(&port->end) == 0)
			came(port);
		port_update(port);
		return 0;
	}
	if (events & (EPOLLHUP | EPOLLERR) && fd == port->end.in_fd && has_hangup(&port->end)) {
		port->end.hup = true;
		/* Nobody is there to take what it may have left, or nothing will follow it. */
		if (!may_receive(port) || port->end.eof || port->end.kind == END_STDIO) {
			gone(port);
			port_transmit(port);
			return 0;
		}
	}
	if (port->req || port->more)
		r = port_transmit(port);
	if (r == 0)
		r = port_receive(port);
	if (r < 0)
		vloop_dev_disconnect(dev);
	return 0;
}

/* A pseudo terminal is looked at from time to time: nothing tells of an open, or of a new size. */
void port_look(struct port *port)
{
	if (!port->used || port->end.kind != END_PTY)
		return;
	if (end_look(&port->end)) {
		came(port);
		/* It is gone already, and nobody is there to take what it left. */
		if (port->end.hup && !may_receive(port))
			gone(port);
	} else if (port->end.connected && end_size_changed(&port->end)) {
		console_resized(port);
	}
}

/* Copy what is left of the request, which goes back to the driver. False: it is too much. */
static bool keep_rest(struct port *port)
{
	size_t len = (size_t)port->req_left;

	if (port->req_left > REST_MAX)
		return false;
	port->rest_buf = malloc(len);
	if (!port->rest_buf)
		return false;
	vloop_req_read(port->req, 0, port->rest_buf, len);
	finish(port);
	port->rest_iov = (struct iovec){ port->rest_buf, len };
	port->rest = (struct vloop_req){ .readable = &port->rest_iov, .n_readable = 1 };
	port->req = &port->rest;
	port->req_iov = 1;
	port->req_left = len;
	return true;
}

/* The transmit queue stops, for good or while the front-end changes its memory. */
void port_release(struct port *port)
{
	if (port->req && port->req != &port->rest) {
		write_some(port);
		if (port->req && !keep_rest(port))
			drop(port);
	}
	vloop_queue_flush(port->tx);
	port->tx = NULL;
	/* The client may have been found gone. */
	port_transmit(port);
}

void port_emergency(struct port *port, uint8_t byte)
{
	struct iovec iov = { &byte, 1 };

	if (!port->used || !port->end.connected || end_write(&port->end, &iov, 1) != 1)
		port->dropped++;
}

int port_open(struct port *port, const struct port_spec *spec)
{
	const char *problem;
	int r;

	r = end_open(&port->end, spec, &problem);
	if (r < 0) {
		vloop_program_error(&console_program, "%s%s%s: %s: %s",
				    spec->name[0] ? spec->name : "console", spec->path[0] ? ", " : "",
				    spec->path, problem, strerror(-r));
		end_close(&port->end);
		return r;
	}
	port->spec = *spec;
	port->used = true;
	port->in_pos = 0;
	port->in_len = 0;
	if (port->end.kind == END_PTY) {
		printf("%s: %s\n", name(port), port->end.slave);
		if (fflush(stdout))
			vloop_program_error(&console_program,
					    "%s: writing %s to the standard output: %s",
					    name(port), port->end.slave, strerror(errno));
	}
	return 0;
}

void port_close(struct port *port)
{
	if (!port->used)
		return;
	if (port->console->dev) {
		port->used = false;
		unwatch(port);
		if (port->listen_watched)
			vloop_dev_unwatch(port->console->dev, port->end.listen_fd);
		port->listen_watched = false;
	}
	end_close(&port->end);
	port->used = false;
	if (port->req == &port->rest)
		drop(port);
	/* What waits is not for the port that gets this place. Nobody is there: it is dropped. */
	if (port->tx && port_transmit(port) < 0)
		vloop_dev_disconnect(port->console->dev);
	if (port->dropped != port->dropped_told)
		vloop_program_error(&console_program,
				    "%s: %" PRIu64 " bytes of output were dropped", name(port),
				    port->dropped - port->dropped_told);
	port->dropped = 0;
	port->dropped_told = 0;
}
