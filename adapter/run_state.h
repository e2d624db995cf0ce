/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vloop run: what is to be done next. Knows no process and no clock: it is told what happened
 * and when, and does things through run_ops.
 *
 * Each device has two parts, its back-end (where the file has a command) and its adapter:
 *
 *	starting   the back-end, then the adapter, which waits for the socket; a part that ends
 *	           is started again after a delay. Devices do so one after another.
 *	up         the adapter has said which kernel device there is. Both parts are started
 *	           again in the same way.
 *	leaving    the adapter is ended, then the back-end. Entered when a part is given up, when
 *	           the device was detached, and for all of them, last one first, at the end.
 *	off        nothing of it runs, and nothing will
 */
#ifndef VLOOP_RUN_STATE_H
#define VLOOP_RUN_STATE_H

#include "run_conf.h"

#define RUN_NEVER UINT64_MAX

enum run_part { RUN_BACKEND, RUN_ADAPTER, RUN_PARTS };

/*
 * @up_since: start of what counts as success: of a back-end, that it runs; of an adapter, that
 *	its device is there. RUN_NEVER: not yet
 * @start_at: when to start it, while it does not run
 * @restarts: without success in between
 * @stop_step: how far ending it has gone; @stop_at: the next step
 */
struct run_proc {
	bool running;
	uint64_t up_since;
	uint64_t start_at;
	uint32_t restarts;
	unsigned int stop_step;
	uint64_t stop_at;
};

struct run_device {
	const struct run_device_conf *conf;
	struct run_proc procs[RUN_PARTS];
	bool up;
	bool was_up;
	bool leaving;
	bool off;
};

/* How a process ended: @signal is 0 when it ended by itself, with @code. */
struct run_end {
	int code;
	int signal;
};

/*
 * @start: 0; -errno, when it has been reported why not
 * @signal: to the part, and to all that it started
 * @abandon: it does not even end by SIGKILL; forget it
 */
struct run_ops {
	int (*start)(void *context, size_t index, enum run_part part);
	void (*signal)(void *context, size_t index, enum run_part part, int signal);
	void (*abandon)(void *context, size_t index, enum run_part part);
};

/*
 * @ready: all devices have been up
 * @hurry: a second request to end came
 * @result: of the first device that was given up
 */
struct run_state {
	const struct run_ops *ops;
	void *context;
	struct run_device *devices;
	size_t n;
	bool ready;
	bool stopping;
	bool hurry;
	enum vloop_exit result;
};

/* run_state_init() - 0 or -ENOMEM. The devices go in the order of @conf, which has to stay. */
int run_state_init(struct run_state *run, const struct run_conf *conf, const struct run_ops *ops,
		   void *context, uint64_t now);
void run_state_free(struct run_state *run);

/*
 * run_step() - do what is due; returns when to call it again if nothing happens before, or
 * RUN_NEVER. To be called after each of the others, too.
 */
uint64_t run_step(struct run_state *run, uint64_t now);

/* A process has ended; a device has come; end all, and, when told again, in a hurry. */
void run_ended(struct run_state *run, size_t index, enum run_part part, const struct run_end *end,
	       uint64_t now);
void run_device_up(struct run_state *run, size_t index, uint64_t now);
void run_stop(struct run_state *run, uint64_t now);

/* run_finished() - nothing runs, and nothing will */
bool run_finished(const struct run_state *run);

/* run_count_up() - devices that are up */
size_t run_count_up(const struct run_state *run);

/*
 * run_backoff() - a part has ended that is to be started again: milliseconds until then, or
 * -1 when the limit is reached. Counts; from the beginning again once it was up for ten seconds,
 * and for the longest delay.
 */
int64_t run_backoff(struct run_proc *proc, const struct run_policy *policy, uint64_t now);

#endif
