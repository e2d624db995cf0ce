/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run_state.h"

/* Failing can take a while too: a program that is loaded, a device that is looked for. */
#define SUCCESS_MS 10000
/* After the second SIGTERM the adapter fails its requests: that takes no long. */
#define FAIL_MS 5000
#define HURRY_MS 2000
/* What a SIGKILL does not end within this hangs in the kernel. */
#define KILL_MS 10000

/*
 * Steps of ending a part, in this order: ask; ask an adapter again, which fails its requests in
 * flight; kill; forget.
 */
enum stop_step { STOP_ASK, STOP_ASK_AGAIN, STOP_KILL, STOP_ABANDON };

int run_state_init(struct run_state *run, const struct run_conf *conf, const struct run_ops *ops,
		   void *context, uint64_t now)
{
	*run = (struct run_state){.ops = ops, .context = context, .n = conf->n};
	run->devices = calloc(conf->n, sizeof(*run->devices));
	if (!run->devices)
		return -ENOMEM;
	for (size_t i = 0; i < run->n; i++) {
		run->devices[i].conf = &conf->devices[i];
		for (size_t part = 0; part < RUN_PARTS; part++) {
			run->devices[i].procs[part].start_at = now;
			run->devices[i].procs[part].up_since = RUN_NEVER;
		}
	}
	return 0;
}

void run_state_free(struct run_state *run)
{
	free(run->devices);
	run->devices = NULL;
}

static const char *part_name(enum run_part part)
{
	return part == RUN_BACKEND ? "back-end" : "adapter";
}

int64_t run_backoff(struct run_proc *proc, const struct run_policy *policy, uint64_t now)
{
	uint64_t delay = policy->delay_ms;
	uint64_t success = policy->delay_max_ms > SUCCESS_MS ? policy->delay_max_ms : SUCCESS_MS;

	if (proc->up_since != RUN_NEVER && now - proc->up_since >= success)
		proc->restarts = 0;
	if (proc->restarts >= policy->limit)
		return -1;
	for (uint32_t i = 0; i < proc->restarts && delay < policy->delay_max_ms; i++)
		delay *= 2;
	/* A count without a limit only has to be large. */
	if (proc->restarts < RUN_NO_LIMIT - 1)
		proc->restarts++;
	return delay < policy->delay_max_ms ? (int64_t)delay : (int64_t)policy->delay_max_ms;
}

/*
 * A device that cannot be had goes, and with it the whole as long as that is starting: a machine
 * that has half of its devices is not what was asked for. Later the others go on.
 */
static void give_up(struct run_state *run, struct run_device *device, enum vloop_exit result,
		    uint64_t now)
{
	device->leaving = true;
	if (!run->result)
		run->result = result;
	if (!run->ready && !run->stopping) {
		msg_error("%s: the device cannot be had; taking all down", device->conf->name);
		run_stop(run, now);
	} else if (!run->stopping) {
		msg_error("%s: the device is given up", device->conf->name);
	}
}

static void start_again(struct run_state *run, struct run_device *device, enum run_part part,
			enum vloop_exit result, uint64_t now)
{
	const struct run_policy *policy = &device->conf->restart;
	struct run_proc *proc = &device->procs[part];
	int64_t delay = run_backoff(proc, policy, now);

	if (delay < 0) {
		msg_error("%s: the %s has been started %u times without success; see its messages "
			  "above",
			  device->conf->name, part_name(part), proc->restarts + 1);
		give_up(run, device, result, now);
		return;
	}
	proc->start_at = now + (uint64_t)delay;
	if (policy->limit == RUN_NO_LIMIT)
		msg_info("%s: starting the %s again in %.1f s", device->conf->name, part_name(part),
			 (double)delay / 1000);
	else
		msg_info("%s: starting the %s again in %.1f s (%u of %u)", device->conf->name,
			 part_name(part), (double)delay / 1000, proc->restarts, policy->limit);
}

/* An adapter that ends so will do it again. */
static bool is_permanent(const struct run_device *device, enum vloop_exit result)
{
	switch (result) {
	case EXIT_USAGE:
	case EXIT_MISFIT:
	case EXIT_MODULE:
	case EXIT_RIGHTS:
		return true;
	case EXIT_EXISTS:
	case EXIT_MEMORY:
		/* Later it may be our own last one that the kernel has not let go of yet. */
		return !device->was_up;
	default:
		return false;
	}
}

static void describe(char *text, size_t size, const struct run_end *end)
{
	if (end->signal)
		snprintf(text, size, "was ended by signal %d (%s)", end->signal,
			 strsignal(end->signal));
	else
		snprintf(text, size, "ended with status %d", end->code);
}

static void backend_ended(struct run_state *run, struct run_device *device,
			  const struct run_end *end, uint64_t now)
{
	const enum run_restart when = device->conf->restart.when;
	const bool failed = end->signal || end->code;
	char text[96];

	describe(text, sizeof(text), end);
	msg_warn("%s: the back-end %s", device->conf->name, text);
	if (when == RUN_RESTART_ALWAYS || (when == RUN_RESTART_ON_FAILURE && failed))
		start_again(run, device, RUN_BACKEND, EXIT_BACKEND, now);
	else
		give_up(run, device, failed || !run->ready ? EXIT_BACKEND : EXIT_OK, now);
}

static void adapter_ended(struct run_state *run, struct run_device *device,
			  const struct run_end *end, uint64_t now)
{
	enum vloop_exit result = end->signal ? EXIT_FAIL : (enum vloop_exit)end->code;
	const bool was_detached = !end->signal && !end->code;
	const bool was_up = device->up;
	char text[96];

	device->up = false;
	if (was_detached) {
		msg_info("%s: the device was detached", device->conf->name);
		device->leaving = true;
		return;
	}
	describe(text, sizeof(text), end);
	msg_warn("%s: the adapter %s%s", device->conf->name, text,
		 was_up ? "; the device is gone" : "");
	if (device->conf->restart.when == RUN_RESTART_NEVER || is_permanent(device, result))
		give_up(run, device, result, now);
	else
		start_again(run, device, RUN_ADAPTER, result, now);
}

void run_ended(struct run_state *run, size_t index, enum run_part part, const struct run_end *end,
	       uint64_t now)
{
	struct run_device *device = &run->devices[index];

	device->procs[part].running = false;
	if (run->stopping || device->leaving) {
		if (part == RUN_ADAPTER)
			device->up = false;
		return;
	}
	if (part == RUN_BACKEND)
		backend_ended(run, device, end, now);
	else
		adapter_ended(run, device, end, now);
	device->procs[part].up_since = RUN_NEVER;
}

/* Somebody may have detached a device before the last one came up. */
static bool all_were_up(const struct run_state *run)
{
	for (size_t i = 0; i < run->n; i++)
		if (!run->devices[i].was_up && !run->devices[i].leaving)
			return false;
	return true;
}

void run_device_up(struct run_state *run, size_t index, uint64_t now)
{
	struct run_device *device = &run->devices[index];

	if (!device->procs[RUN_ADAPTER].running)
		return;
	device->up = true;
	device->was_up = true;
	device->procs[RUN_ADAPTER].up_since = now;
}

/* On to the next step at once; but who was killed gets the time that it takes. */
static void hurry_part(struct run_proc *proc, uint64_t now)
{
	if (proc->stop_step < STOP_ABANDON)
		proc->stop_at = now;
}

void run_stop(struct run_state *run, uint64_t now)
{
	run->hurry |= run->stopping;
	run->stopping = true;
	if (!run->hurry)
		return;
	for (size_t i = 0; i < run->n; i++)
		for (size_t part = 0; part < RUN_PARTS; part++)
			hurry_part(&run->devices[i].procs[part], now);
}

size_t run_count_up(const struct run_state *run)
{
	size_t n = 0;

	for (size_t i = 0; i < run->n; i++)
		n += run->devices[i].up;
	return n;
}

bool run_finished(const struct run_state *run)
{
	for (size_t i = 0; i < run->n; i++)
		if (!run->devices[i].off)
			return false;
	return true;
}

/* --- starting */

static void start_part(struct run_state *run, size_t index, enum run_part part, uint64_t now)
{
	struct run_device *device = &run->devices[index];
	struct run_proc *proc = &device->procs[part];
	int ret;

	if (proc->running || proc->start_at > now)
		return;
	ret = run->ops->start(run->context, index, part);
	if (!ret) {
		proc->running = true;
		proc->up_since = part == RUN_BACKEND ? now : RUN_NEVER;
		return;
	}
	proc->up_since = RUN_NEVER;
	if (ret == -ENOENT || ret == -EACCES || ret == -EPERM)
		give_up(run, device, part == RUN_BACKEND ? EXIT_BACKEND : EXIT_FAIL, now);
	else
		start_again(run, device, part, EXIT_FAIL, now);
}

/* Whether the next device may begin. */
static bool step_start(struct run_state *run, size_t index, uint64_t now)
{
	struct run_device *device = &run->devices[index];
	const bool own = device->conf->command.n > 0;

	if (own)
		start_part(run, index, RUN_BACKEND, now);
	if (!device->leaving && (!own || device->procs[RUN_BACKEND].running))
		start_part(run, index, RUN_ADAPTER, now);
	return device->was_up;
}

/* --- ending */

static void stop_further(struct run_state *run, size_t index, enum run_part part, uint64_t now)
{
	struct run_device *device = &run->devices[index];
	struct run_proc *proc = &device->procs[part];
	const char *name = device->conf->name;
	const uint32_t patience = device->conf->stop_timeout_ms;

	if (proc->stop_step == STOP_ASK_AGAIN && part == RUN_BACKEND)
		proc->stop_step = STOP_KILL;
	switch (proc->stop_step++) {
	case STOP_ASK:
		run->ops->signal(run->context, index, part, SIGTERM);
		proc->stop_at = now + (run->hurry && patience > HURRY_MS ? HURRY_MS : patience);
		break;
	case STOP_ASK_AGAIN:
		run->ops->signal(run->context, index, part, SIGTERM);
		proc->stop_at = now + (run->hurry ? HURRY_MS : FAIL_MS);
		break;
	case STOP_KILL:
		msg_warn("%s: the %s does not end; killing it", name, part_name(part));
		run->ops->signal(run->context, index, part, SIGKILL);
		proc->stop_at = now + KILL_MS;
		break;
	default:
		msg_error("%s: the %s does not even end by SIGKILL; leaving it behind", name,
			  part_name(part));
		run->ops->abandon(run->context, index, part);
		proc->running = false;
		if (!run->result)
			run->result = EXIT_TIMEOUT;
	}
}

static bool stop_part(struct run_state *run, size_t index, enum run_part part, uint64_t now)
{
	struct run_proc *proc = &run->devices[index].procs[part];

	while (proc->running && (!proc->stop_step || proc->stop_at <= now))
		stop_further(run, index, part, now);
	return !proc->running;
}

/* The adapter first: with its back-end it can finish what is in flight. */
static void step_stop(struct run_state *run, size_t index, uint64_t now)
{
	struct run_device *device = &run->devices[index];

	if (!stop_part(run, index, RUN_ADAPTER, now))
		return;
	if (stop_part(run, index, RUN_BACKEND, now))
		device->off = true;
}

static void stop_all(struct run_state *run, uint64_t now)
{
	bool wait = false;

	for (size_t i = run->n; i-- > 0;) {
		/* In a hurry nobody waits for anybody; nor does what was being ended already. */
		if (wait && !run->hurry && !run->devices[i].leaving)
			continue;
		step_stop(run, i, now);
		wait |= !run->devices[i].off;
	}
}

static void start_and_keep(struct run_state *run, uint64_t now)
{
	bool may_begin = true;

	for (size_t i = 0; i < run->n && may_begin && !run->stopping; i++) {
		if (!run->devices[i].leaving)
			may_begin = step_start(run, i, now);
		/* Starting may have ended it. */
		if (run->devices[i].leaving && !run->stopping)
			step_stop(run, i, now);
	}
}

static uint64_t next_of(const struct run_state *run, const struct run_device *device,
			enum run_part part)
{
	const struct run_proc *proc = &device->procs[part];

	if (run->stopping || device->leaving)
		return proc->running && proc->stop_step ? proc->stop_at : RUN_NEVER;
	if (proc->running || (part == RUN_BACKEND && !device->conf->command.n))
		return RUN_NEVER;
	/* An adapter waits for its back-end, and that has a time of its own. */
	if (part == RUN_ADAPTER && device->conf->command.n && !device->procs[RUN_BACKEND].running)
		return RUN_NEVER;
	return proc->start_at;
}

static uint64_t next_time(const struct run_state *run)
{
	uint64_t next = RUN_NEVER;

	for (size_t i = 0; i < run->n; i++) {
		const struct run_device *device = &run->devices[i];

		for (int part = 0; part < RUN_PARTS && !device->off; part++) {
			uint64_t time = next_of(run, device, (enum run_part)part);

			if (time < next)
				next = time;
		}
		if (!run->stopping && !device->leaving && !device->was_up)
			break;
	}
	return next;
}

uint64_t run_step(struct run_state *run, uint64_t now)
{
	if (!run->stopping) {
		run->ready |= all_were_up(run);
		start_and_keep(run, now);
	}
	/* Starting may have ended it all. */
	if (run->stopping)
		stop_all(run, now);
	return next_time(run);
}
