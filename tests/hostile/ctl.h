/* SPDX-License-Identifier: BSD-3-Clause */
/* The control device, for programs that do not mean well: no call is checked before it is made. */
#ifndef HOSTILE_CTL_H
#define HOSTILE_CTL_H

#include <linux/virtio_loopback.h>
#include <stdint.h>

#define CTL_QUEUES_MAX 8

/*
 * A session as user space has it: the pool stays mapped for as long as the process lives, since
 * other threads may be scribbling over it.
 */
struct ctl_session {
	uint8_t *pool;
	uint64_t pool_len;
	uint64_t base;
	uint32_t nqueues;
	struct vlb_session_queue queue[VLB_QUEUES_MAX];
};

int ctl_open(void);

/* All below: 0 or -errno. */
int ctl_create(int fd, const struct vlb_create *create, uint64_t *ret_pool_len);
int ctl_simple(int fd, unsigned long call);
int ctl_remove(int fd);
int ctl_detach(int fd, const char *name, uint32_t timeout_ms, uint32_t flags);
int ctl_status(int fd, struct vlb_status *ret_status);
int ctl_start(int fd, uint32_t epoch);
int ctl_stop(int fd, uint32_t flags);
int ctl_answer(int fd, uint64_t id, uint32_t error);
int ctl_session(int fd, uint32_t epoch, uint32_t nqueues, uint64_t pool_len, uint32_t flags,
		struct ctl_session *ret_session);

/* The next event of @type, others are dropped; -ETIMEDOUT. */
int ctl_event(int fd, uint32_t type, int timeout_ms, struct vlb_event *ret_event);

#endif
