/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vloop-console as a program: run it, talk to its front-end side and to its clients.
 */
#ifndef TESTS_CONSOLE_PROGRAM_H
#define TESTS_CONSOLE_PROGRAM_H

#include <sys/types.h>

#include "child.h"
#include "frontend.h"

/* Queues, virtio 1.3, 5.3.2 */
#define RX	   0U
#define TX	   1U
#define CONTROL_RX 2U
#define CONTROL_TX 3U
#define RX1	   4U
#define TX1	   5U

/*
 * Names in a directory of the test's own, and the options that say them: the front-end's socket, a
 * socket or link of a port, another one, a file of ports.
 */
extern char console_path[128], console_tty[128], console_other[128], console_ports[128];
extern char console_socket_option[160], console_unix_option[160], console_ports_option[160];
int console_files_make(void **state);
int console_files_remove(void **state);
void console_write_ports(const char *text);

/* Run the program. What it prints goes to @out, -1: where the test's own output goes. */
pid_t console_run(const char *const *args, int out);
#define CONSOLE_RUN(...) \
	console_run((const char *const[]){ console_socket_option, __VA_ARGS__, NULL }, -1)
/* All that is printed to the pipe @fd, which is closed then. */
void console_read(int fd, char *ret_text, size_t size);

/* Connect a front-end with @queues queues of 64 entries. */
void console_begin(struct frontend *fe, uint64_t features, unsigned int queues);

/* A client of one of its sockets. */
int console_client(const char *at);
void console_expect(int fd, const void *bytes, size_t len);

/* A request of @len bytes, made; any request, awaited; one of output, there and back. */
void console_add(struct frontend *fe, unsigned int q, uint32_t offset, uint32_t len, bool write);
uint32_t console_used(struct frontend *fe, unsigned int q);
void console_send(struct frontend *fe, unsigned int q, const void *bytes, uint32_t len);

/* The program has taken the client @fd when output arrives there; before, that is dropped. */
void console_settle(struct frontend *fe, unsigned int q, int fd);

/* One entry of a list of tests. */
#define CONSOLE_TEST(name) { #name, name, console_files_make, console_files_remove, NULL }

#endif
