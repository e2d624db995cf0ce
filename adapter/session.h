/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One session: a fresh memory pool with the device's rings, known to the kernel and to one
 * back-end.
 *
 *   session_prepare()   the kernel lays out the rings and pins the pool
 *   session_offer()     the back-end gets features, memory and rings
 *   (VLB_IOC_START)
 *   session_end()       GET_VRING_BASE; only while the connection is good
 *   session_free()      in every case
 *
 * The two steps are apart because their failures mean different things: one is about this
 * machine, the other about the peer.
 */
#ifndef VLOOP_SESSION_H
#define VLOOP_SESSION_H

#include "backend.h"
#include "kdev.h"

/*
 * Where rings and memory lie in the address space that the back-end believes to be ours. It
 * is told nothing real: the pool is not even mapped here any more when it reads this.
 */
#define SESSION_USER_BASE (1ULL << 32)

struct session_plan {
	uint32_t nqueues;
	uint64_t pool_len;
	bool hugepages;
	bool call_eventfd;
	bool kick_file;
	uint32_t epoch;
};

/*
 * @pool: the memfd; -1 without a session
 * @err: the eventfd by which the back-end reports a broken ring
 * @offered: some of it reached the back-end
 */
struct session {
	uint32_t nqueues;
	int pool;
	int err;
	bool offered;
	uint64_t pool_len;
	uint64_t base;
	struct vlb_session_queue queue[VLB_QUEUES_MAX];
};

void session_init(struct session *session);

/*
 * session_prepare() - make the pool and the rings. 0; -ESTALE: the driver has reset the
 * device since @plan->epoch; -ENODEV: the device is going; other errors of VLB_IOC_SESSION,
 * memfd_create(2) and mmap(2)
 */
int session_prepare(struct session *session, struct kdev *kdev, const struct session_plan *plan);

/* session_offer() - 0, or an error of the back-end with its @problem set */
int session_offer(struct session *session, struct backend *backend, uint64_t features);

/* session_end() - the back-end finishes; an error means that the connection is no good */
int session_end(struct session *session, struct backend *backend);
void session_free(struct session *session);

#endif
