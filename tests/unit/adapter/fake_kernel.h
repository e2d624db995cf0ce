/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel module's control interface, played by a test: calls are counted and answered,
 * and the test's own function decides in each of them what happens next. It runs in the
 * caller's thread, so that a scenario is a sequence without any timing.
 */
#ifndef FAKE_KERNEL_H
#define FAKE_KERNEL_H

#include <stdint.h>

#include "kdev.h"

/*
 * @step: called after each VLB_IOC_* has been carried out
 * @events: our end of the descriptor that the adapter reads
 * @call: the call file of queue 0, in the last session
 * @fail_request, @fail_error: make this call fail, once
 * @features, @pool_max: of VLB_IOC_INFO
 * @create, @created_config, @session_flags, @answer, @stop_flags, @config_flags, @config: as last given
 */
struct fake_kernel {
	struct kdev kdev;
	void (*step)(struct fake_kernel *kernel, unsigned long request);
	void *test;
	int events;
	int call;
	unsigned long fail_request;
	int fail_error;
	unsigned int sessions, starts, stops, removals, configs, answers;
	struct vlb_create create;
	uint8_t created_config[VLB_CONFIG_MAX];
	uint32_t session_flags;
	struct vlb_config answer;
	uint32_t stop_flags;
	uint32_t config_flags;
	uint8_t config[VLB_CONFIG_MAX];
	uint64_t pool_len;
	uint64_t features;
	uint64_t pool_max;
};

void fake_kernel_init(struct fake_kernel *kernel);
void fake_kernel_free(struct fake_kernel *kernel);

/* fake_event() - queue an event for the adapter */
void fake_event(struct fake_kernel *kernel, const struct vlb_event *event);

#endif
