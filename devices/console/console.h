/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vloop-console: a console, or several named ports (virtio 1.3, 5.3).
 *
 *   main.c      puts it together
 *   options.c   command line
 *   spec.c      what the user says of a port
 *   message.c   messages of the control queues
 *   end.c       the outer end of a port: pseudo terminal, socket, standard input and output
 *   port.c      a port: moves bytes between its outer end and its two queues
 *   control.c   what the driver is told of the ports, and what it says of them
 *   device.c    the device: features, configuration space, queues, signals
 *
 * Everything runs in the control thread and nothing waits. A transmit request is written from where
 * it lies, and given back when the last byte is written, so that a slow reader slows the driver
 * down; only what is left of one when its queue stops is copied. Input is read when the driver has
 * a buffer for it, 4 KiB at once.
 */
#ifndef CONSOLE_CONSOLE_H
#define CONSOLE_CONSOLE_H

#include <linux/virtio_console.h>
#include <stdbool.h>
#include <stdint.h>

#include <vloop/vloop.h>

#include "end.h"
#include "message.h"
#include "spec.h"

/* Two queues each, and the two control queues, of the 256 that vhost-user can name. */
#define CONSOLE_PORTS_MAX	127U

struct console_options {
	struct port_spec specs[CONSOLE_PORTS_MAX];
	unsigned int n;
	bool primary;		/* specs[0] is that of --pty, --unix or --stdio */
	const char *link;
	const char *ports_file;
	uint32_t max_ports;	/* 0: as many as there are */
	bool wait_absent;	/* output waits while nobody is connected */
	bool drop_slow;		/* output is dropped when the reader is slow */
};

/* What the driver still has to be told of a port, in this order. */
enum {
	TELL_REMOVE = 1 << 0,
	TELL_ADD = 1 << 1,
	TELL_CONSOLE = 1 << 2,
	TELL_NAME = 1 << 3,
	TELL_RESIZE = 1 << 4,
	TELL_OPEN = 1 << 5,
};

struct console;

/**
 * struct port - a port; lives as long as the device, used or not
 * @used: it has an outer end
 * @from_file: it comes and goes with the file of ports
 * @tell: TELL_*
 * @told: the driver knows it (MESSAGE_PORT_ADD was sent)
 * @was_console: the driver was told that it is a console, or that its forerunner is
 * @stale: the driver may still have its forerunner, whose output is dropped
 * @ready: the driver can use it
 * @refused: a driver has said that it cannot, which was reported
 * @open: somebody has it open on the driver's side
 * @rx, @tx: its queues, while they run
 * @req: of @tx, or @rest, being written; its iovecs begin with the first byte not written
 * @req_iov: how many of them are left
 * @req_left: bytes not written
 * @rest: takes the place of a request whose queue stopped before it was written
 * @rest_buf, @rest_iov: the bytes of @rest
 * @more: there may be more in @tx, it is only the turn of others
 * @in, @in_pos, @in_len: read from the outer end, and not given to the driver
 * @in_events, @out_events, @listen_watched: what is watched
 * @dropped: bytes of output that nobody got
 * @dropped_told: of those, the ones that were told of
 */
struct port {
	struct console *console;
	unsigned int id;
	struct port_spec spec;
	struct end end;
	bool used;
	bool from_file;
	uint8_t tell;
	bool told;
	bool was_console;
	bool stale;
	bool ready;
	bool refused;
	bool open;
	struct vloop_queue *rx;
	struct vloop_queue *tx;
	struct vloop_req *req;
	uint32_t req_iov;
	uint64_t req_left;
	struct vloop_req rest;
	uint8_t *rest_buf;
	struct iovec rest_iov;
	bool more;
	uint8_t in[4096];
	size_t in_pos;
	size_t in_len;
	uint32_t in_events;
	uint32_t out_events;
	bool listen_watched;
	uint64_t dropped;
	uint64_t dropped_told;
};

/**
 * struct console - the device
 * @multiport: the driver accepted MULTIPORT
 * @ports: max_ports of them
 * @control_rx, @control_tx: queues 2 and 3, while they run
 * @driver_ready: the driver has said that it is, or had said so to an earlier process
 * @resumed: it had; what it has open is not known
 * @signal_fd, @tick_fd, @resume_fd: SIGHUP and SIGWINCH; for pseudo terminals; see control.c
 */
struct console {
	struct console_options options;
	struct vloop_dev *dev;
	struct virtio_console_config config;
	bool multiport;
	bool multiport_offered;
	struct port *ports;
	unsigned int max_ports;
	struct vloop_queue *control_rx;
	struct vloop_queue *control_tx;
	bool driver_ready;
	bool resumed;
	int signal_fd;
	int tick_fd;
	int resume_fd;
	int error;		/* ends the program */
};

extern const struct vloop_program console_program;

/* options.c */
int console_options_check(struct console_options *options);

/* device.c */
int console_open(struct console *console);
void console_close(struct console *console);
void console_resized(struct port *port);

/* port.c */
int port_open(struct port *port, const struct port_spec *spec);
void port_close(struct port *port);
int port_transmit(struct port *port);
int port_receive(struct port *port);
void port_update(struct port *port);
void port_release(struct port *port);
void port_look(struct port *port);
void port_emergency(struct port *port, uint8_t byte);

/* control.c */
int control_receive(struct console *console);
int control_tell(struct console *console);
void control_begin(struct console *console);
void control_end(struct console *console);
void control_forget(struct console *console);
void control_added(struct port *port);
void control_removed(struct port *port);
int control_resume(struct console *console);

#endif
