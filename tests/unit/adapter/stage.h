/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a life of a device is played on: a kernel and back-ends that are not real, and an adapter
 * that is. A test's step() is called at each request to the kernel, and sends what happens next.
 */
#ifndef TEST_STAGE_H
#define TEST_STAGE_H

#include <pthread.h>
#include <stdint.h>

#include "attach.h"
#include "fake_backend.h"
#include "fake_kernel.h"

#define BACKENDS 3
#define BLK_MQ (1ULL << 12)

/* Everything a scenario needs; back-end number i serves the connection number i. */
struct stage {
	char directory[32];
	char path[64];
	int listener;
	int signals;
	pthread_t thread;
	struct fake_backend backend[BACKENDS];
	struct fake_kernel kernel;
	struct attach_options options;
	struct attach attach;
	uint32_t epoch;
	uint64_t accepted; /* features, by the driver */
	int link_shift; /* of attach.linked_at, in ms: positive is later */
	unsigned int next_delay[BACKENDS]; /* of reconnecting, when each session was made */
};

void set_up(struct stage *stage, void (*step)(struct fake_kernel *, unsigned long));
void tear_down(struct stage *stage);

/* What the kernel, a supervisor and chance do. */
void send_event(struct stage *stage, uint32_t type);
void send_signal(struct stage *stage, uint32_t number);
void kill_backend(struct stage *stage, int i);

/* probed() - a driver has taken the device */
void probed(struct stage *stage);

/* step_plain() - the driver comes, the driver goes: the plainest life */
void step_plain(struct fake_kernel *kernel, unsigned long request);

/* run() - the whole life, from the first connection on */
enum vloop_exit run(struct stage *stage);

#endif
