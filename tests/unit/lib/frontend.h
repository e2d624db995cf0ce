/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small vhost-user front-end with a driver for each queue, for the tests of the library and of
 * the devices. Everything asserts: a test that calls these wants them to work.
 */
#ifndef TESTS_FRONTEND_H
#define TESTS_FRONTEND_H

#include "driver.h"

#define FRONTEND_QUEUES 6U
#define ANSWER_MS	20000	/* far more than it takes; a test that waits so long has failed */

struct frontend {
	int sock;
	int memfd;
	uint8_t *mem;			/* MEM_SIZE for each queue */
	uint64_t features;		/* acknowledged */
	uint64_t protocol;
	struct driver driver[FRONTEND_QUEUES];
	int kick_fd[FRONTEND_QUEUES];
	int call_fd[FRONTEND_QUEUES];
};

/* Connect to @path, waiting until somebody listens there. */
void frontend_connect(struct frontend *fe, const char *path);
void frontend_take(struct frontend *fe, int sock);
void frontend_close(struct frontend *fe);

/* Acknowledge what is offered of @features and @protocol. */
void frontend_negotiate(struct frontend *fe, uint64_t features, uint64_t protocol);
void frontend_set_memory(struct frontend *fe);

/* Give queue @q to the back-end; @size entries. It is kicked once. */
void frontend_start_queue(struct frontend *fe, unsigned int q, uint16_t size);
/* The same with what there is in the ring already, from @base on. */
void frontend_resume_queue(struct frontend *fe, unsigned int q, uint32_t base);
/* The same again, and not kicked. */
void frontend_offer_queue(struct frontend *fe, unsigned int q, uint32_t base);
uint32_t frontend_stop_queue(struct frontend *fe, unsigned int q);
void frontend_kick(struct frontend *fe, unsigned int q);

/* Wait for a used request of queue @q. Return: its length. */
uint32_t frontend_wait_used(struct frontend *fe, unsigned int q, uint32_t *ret_id);

/* One request with @len writable bytes, there and back. Return: bytes written by the device. */
uint32_t frontend_read_request(struct frontend *fe, unsigned int q, uint32_t len);

/* All of the above for queue 0: whether a back-end is in order. */
void frontend_check(const char *path);

/* Send a request; @fd -1: none. */
void frontend_send(struct frontend *fe, uint32_t request, const void *payload, uint32_t size,
		   int fd);
/* ... with an acknowledgement, which is returned. */
uint64_t frontend_ack(struct frontend *fe, uint32_t request, const void *payload, uint32_t size,
		      int fd);
uint64_t frontend_get(struct frontend *fe, uint32_t request);

static inline uint8_t *frontend_data(struct frontend *fe, unsigned int q)
{
	return fe->mem + q * MEM_SIZE + DATA_OFFSET;
}

static inline uint64_t frontend_guest(unsigned int q, uint32_t offset)
{
	return GUEST_BASE + q * MEM_SIZE + offset;
}

/* How many descriptors this process has open. */
unsigned int count_fds(void);

#endif
