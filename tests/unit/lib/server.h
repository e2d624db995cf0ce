/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A real device of the library in a thread of the test: two queues, a configuration space of 32
 * bytes (0, 1, 2 ...), of which the first 8 may be written. Writable buffers are filled with 0x5a.
 */
#ifndef TESTS_SERVER_H
#define TESTS_SERVER_H

#include <pthread.h>
#include <stdatomic.h>

#include <vloop/vloop.h>

#include "frontend.h"

#define SERVER_CONFIG	32
#define SERVER_WRITABLE	8

#define SERVER_BASIC	(BIT64(F_VERSION_1) | BIT64(VHOST_USER_F_PROTOCOL_FEATURES))
#define SERVER_RINGS	(BIT64(F_EVENT_IDX) | BIT64(F_INDIRECT_DESC))

extern const enum vloop_dispatch server_dispatches[3];

struct server {
	struct vloop_dev *dev;
	char path[64];
	char dir[32];
	pthread_t thread;
	int result;		/* of vloop_run() */
	atomic_uint errors;	/* messages of level 3 */
	char error[128];	/* the last one of them */
	atomic_uint connected;
	atomic_uint disconnected;
	atomic_uint resets;
	atomic_uint running;	/* queues between start and stop */
	atomic_uint hold;	/* (threads) requests are completed only when the queue stops ... */
	atomic_uint late_us;	/* ... so many microseconds later */
	atomic_uint held;	/* ... and there are so many of them */
	atomic_int fail;	/* what serving a queue returns instead */
	atomic_uint quit;	/* (threads) they end at the next kick */
	/* VLOOP_DISPATCH_CALLER: a thread of the test's own for each queue. */
	struct server_worker {
		struct server *server;
		struct vloop_queue *queue;
		pthread_t thread;
		int stop_fd;
	} workers[2];
};

/* Without the thread: the test calls vloop_dev_process(). */
void server_open(struct server *server, enum vloop_dispatch dispatch, uint32_t flags);
void server_close(struct server *server);

void server_start(struct server *server, enum vloop_dispatch dispatch, uint32_t flags);
void server_stop(struct server *server);

/* A front-end that has set up everything but its queues; a request of @len bytes; the end by the device. */
void server_connect(struct frontend *fe, struct server *server, uint64_t features);
void server_check_data(struct frontend *fe, unsigned int q, uint32_t len);
void frontend_expect_closed(const struct frontend *fe);

#endif
