/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One queue of a device, put together without a front-end: the ring code by itself.
 */
#ifndef TESTS_FIXTURE_H
#define TESTS_FIXTURE_H

#include "driver.h"

struct fixture {
	struct vloop_dev *dev;
	struct vloop_queue *queue;
	struct driver driver;
	uint8_t *mem;
	int memfd;
	int call_fd;
	uint64_t features;
};

/* A queue of @size entries with ring features @features (bits 28, 29, 34). */
void fixture_init(struct fixture *f, uint64_t features, uint16_t size);
void fixture_free(struct fixture *f);

/* Open the ring again as a new device would: a process that died and its successor. */
void fixture_reopen(struct fixture *f);

/* How often the driver was signalled since the last time. */
uint64_t fixture_calls(struct fixture *f);

#endif
