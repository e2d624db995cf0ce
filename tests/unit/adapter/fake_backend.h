/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vhost-user back-end that does what a test says, in a thread of its own: well-behaved, or
 * wrong in one way at one message.
 */
#ifndef FAKE_BACKEND_H
#define FAKE_BACKEND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "vhost_user.h"

enum fault {
	FAULT_NONE,
	FAULT_SILENT, /* never answers */
	FAULT_CLOSE, /* closes instead of answering */
	FAULT_SHORT, /* a payload shorter than the header says, then closes */
	FAULT_HALF, /* the same, then silence */
	FAULT_LONG, /* eight bytes more than the answer may have */
	FAULT_EMPTY, /* no payload */
	FAULT_HUGE, /* a size that no message has */
	FAULT_NO_REPLY_FLAG, /* an answer without the reply flag */
	FAULT_VERSION, /* another protocol version */
	FAULT_OTHER_REQUEST, /* an answer to something else */
	FAULT_FD, /* a descriptor that was not asked for */
	FAULT_REFUSE, /* an acknowledgement other than 0 */
	FAULT_TWICE, /* the answer, twice */
	FAULT_END,
};

/*
 * Set before fake_start(); the counters are read after fake_stop().
 *
 * @config, @config_exact: answer GET_CONFIG of this size only, or of any size up to it
 * @seen: how often each request came
 * @kick, @call: descriptors of queue 0, from the last SET_VRING_KICK and CALL
 */
struct fake_backend {
	uint64_t features;
	uint64_t protocol;
	uint64_t queues;
	uint32_t config_size;
	bool config_exact;
	uint8_t config[VHOST_USER_CONFIG_MAX];
	uint32_t fault_at;
	enum fault fault;
	int sock;
	int channel;
	pthread_t thread;
	atomic_uint seen[VHOST_USER_REQUEST_END];
	uint64_t acked;
	uint64_t acked_protocol;
	uint32_t region_count;
	uint64_t region_size;
	uint64_t user_addr;
};

/* fake_init() - a modern back-end with everything that vloop can use */
void fake_init(struct fake_backend *fake);

/* fake_start() - serve @sock, which is taken over */
void fake_start(struct fake_backend *fake, int sock);

/* fake_start_pair() - the same on a new socketpair; the other end is returned */
int fake_start_pair(struct fake_backend *fake);

/* fake_stop() - cut the connection and wait for the thread */
void fake_stop(struct fake_backend *fake);

#endif
