/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The outer end of a port: a pseudo terminal, a Unix socket, or the standard input and output. It has
 * one client at a time, or none. Nothing here waits.
 */
#ifndef CONSOLE_END_H
#define CONSOLE_END_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <termios.h>

#include "spec.h"

/* Leaves --stdio when the standard input is a terminal; the key that virsh and telnet have for it. */
#define END_ESCAPE	0x1d	/* Ctrl-] */

/**
 * struct end - an outer end
 * @kind: END_*
 * @path: of the socket or of the link to the pseudo terminal; "" without one
 * @in_fd: read from here, -1: nobody is there. A pseudo terminal's is open all the time.
 * @out_fd: write here; may be the same
 * @in_shared, @out_shared: END_STDIO; others have it too, and not with O_NONBLOCK
 * @listen_fd: END_UNIX; clients come here
 * @socket_dev, @socket_ino: its file
 * @connected: somebody is there
 * @hup: it is gone, but what it wrote last may still be there to be read
 * @eof: it writes no more
 * @escaped: the user typed END_ESCAPE
 * @terminal: END_STDIO: the standard input is a terminal
 * @cols, @rows: size of the terminal, 0: not known
 * @saved: END_STDIO: how the terminal was
 * @slave: END_PTY: its name
 */
struct end {
	enum end_kind kind;
	char path[SPEC_PATH];
	int in_fd;
	int out_fd;
	bool in_shared;
	bool out_shared;
	int listen_fd;
	dev_t socket_dev;
	ino_t socket_ino;
	bool connected;
	bool hup;
	bool eof;
	bool escaped;
	bool terminal;
	uint16_t cols;
	uint16_t rows;
	struct termios saved;
	char slave[32];
};

/**
 * end_open() - make it ready for clients
 * @ret_problem: what could not be done, a constant string
 *
 * Return: 0 or a negative errno; end_close() is called in both cases.
 */
int end_open(struct end *end, const struct port_spec *spec, const char **ret_problem);

/** end_close() - send the client away, and remove what end_open() made */
void end_close(struct end *end);

/** end_accept() - END_UNIX: take the next client. Return: 0 or a negative errno. */
int end_accept(struct end *end);

/**
 * end_look() - END_PTY: see whether somebody came
 *
 * Return: whether that is so. @hup is set for a client that is gone again, and left bytes to read.
 */
bool end_look(struct end *end);

/** end_hangup() - the client is gone, or is sent away */
void end_hangup(struct end *end);

/** end_size_changed() - ask the terminal for its size. Return: whether it is another one. */
bool end_size_changed(struct end *end);

/**
 * end_read() - take bytes
 *
 * Return: their number; 0: there will be no more (@eof is set); -EAGAIN: not now; another negative
 * errno: the client is gone.
 */
ssize_t end_read(struct end *end, void *buf, size_t len);

/**
 * end_write() - give bytes
 *
 * Return: how many were taken; -EAGAIN: none now; -EFAULT: the bytes are not there; another
 * negative errno: the client is gone.
 */
ssize_t end_write(struct end *end, const struct iovec *iov, unsigned int n);

#endif
