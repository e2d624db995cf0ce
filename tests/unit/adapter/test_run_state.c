/* SPDX-License-Identifier: BSD-3-Clause */
/* What vloop run does next: order, restarts, limits, the end. Processes and time are made up. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "run_state.h"

#define DEVICES_MAX 4
#define FIRST_TIME 1000

/*
 * @log: what was done, such as "+b0 +a0 -a0 !b0 ": started, asked, killed; "?" is abandoned.
 * @alive: by device and part
 * @start_error: of the next starts
 */
struct stage {
	struct run_conf conf;
	struct run_device_conf devices[DEVICES_MAX];
	struct run_state run;
	uint64_t now;
	uint64_t next;
	char log[4096];
	bool alive[DEVICES_MAX][RUN_PARTS];
	int start_error;
};

static char command_word[] = "prog";
static char *command_list[] = {command_word, NULL};
static char names[DEVICES_MAX][4] = {"d0", "d1", "d2", "d3"};

static void note(struct stage *stage, char what, size_t index, enum run_part part)
{
	size_t len = strlen(stage->log);

	/* Long runs are not looked at by their log. */
	if (len + 8 < sizeof(stage->log))
		sprintf(stage->log + len, "%c%c%zu ", what, part == RUN_BACKEND ? 'b' : 'a', index);
}

static int fake_start(void *context, size_t index, enum run_part part)
{
	struct stage *stage = context;

	/* An adapter never without its back-end, nothing twice, nothing once the end has begun. */
	assert_false(stage->alive[index][part]);
	assert_false(stage->run.stopping);
	assert_false(stage->run.devices[index].leaving);
	if (part == RUN_ADAPTER && stage->devices[index].command.n)
		assert_true(stage->alive[index][RUN_BACKEND]);
	if (stage->start_error)
		return stage->start_error;
	stage->alive[index][part] = true;
	note(stage, '+', index, part);
	return 0;
}

static void fake_signal(void *context, size_t index, enum run_part part, int number)
{
	assert_true(((struct stage *)context)->alive[index][part]);
	note(context, number == SIGKILL ? '!' : '-', index, part);
}

static void fake_abandon(void *context, size_t index, enum run_part part)
{
	((struct stage *)context)->alive[index][part] = false;
	note(context, '?', index, part);
}

static const struct run_ops fake_ops = {
	.start = fake_start,
	.signal = fake_signal,
	.abandon = fake_abandon,
};

static void step(struct stage *stage)
{
	stage->next = run_step(&stage->run, stage->now);
}

static void set_up(struct stage *stage, size_t n)
{
	*stage = (struct stage){.now = FIRST_TIME};
	for (size_t i = 0; i < n; i++)
		stage->devices[i] = (struct run_device_conf){
			.name = names[i],
			.command = {.list = command_list, .n = 1},
			.restart = {.delay_ms = 100, .delay_max_ms = 1000, .limit = 3},
			.stop_timeout_ms = 5000,
		};
	stage->conf = (struct run_conf){.devices = stage->devices, .n = n};
	assert_int_equal(run_state_init(&stage->run, &stage->conf, &fake_ops, stage, stage->now),
			 0);
}

static void up(struct stage *stage, size_t index)
{
	run_device_up(&stage->run, index, stage->now);
	step(stage);
}

static void all_up(struct stage *stage, size_t n)
{
	set_up(stage, n);
	step(stage);
	for (size_t i = 0; i < n; i++)
		up(stage, i);
	assert_true(stage->run.ready || (step(stage), stage->run.ready));
	*stage->log = 0;
}

static void ends(struct stage *stage, size_t index, enum run_part part, int code, int number)
{
	const struct run_end end = {.code = code, .signal = number};

	assert_true(stage->alive[index][part]);
	stage->alive[index][part] = false;
	run_ended(&stage->run, index, part, &end, stage->now);
	step(stage);
}

static void pass(struct stage *stage, uint64_t ms)
{
	stage->now += ms;
	step(stage);
}

static void expect_log(struct stage *stage, const char *log)
{
	assert_string_equal(stage->log, log);
	*stage->log = 0;
}

static void test_order(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, 3);
	stage.devices[1].command.n = 0;
	step(&stage);
	expect_log(&stage, "+b0 +a0 ");
	assert_int_equal(stage.next, RUN_NEVER);
	pass(&stage, 100000);
	expect_log(&stage, "");
	up(&stage, 0);
	expect_log(&stage, "+a1 ");
	assert_false(stage.run.ready);
	up(&stage, 1);
	expect_log(&stage, "+b2 +a2 ");
	assert_int_equal(run_count_up(&stage.run), 2);
	up(&stage, 2);
	assert_true(stage.run.ready);

	run_stop(&stage.run, stage.now);
	step(&stage);
	expect_log(&stage, "-a2 ");
	ends(&stage, 2, RUN_ADAPTER, 0, 0);
	expect_log(&stage, "-b2 ");
	ends(&stage, 2, RUN_BACKEND, 0, SIGTERM);
	expect_log(&stage, "-a1 ");
	ends(&stage, 1, RUN_ADAPTER, 0, 0);
	expect_log(&stage, "-a0 ");
	/* A back-end that is gone before its turn. */
	ends(&stage, 0, RUN_BACKEND, 1, 0);
	assert_false(run_finished(&stage.run));
	ends(&stage, 0, RUN_ADAPTER, 0, 0);
	expect_log(&stage, "");
	assert_true(run_finished(&stage.run));
	assert_int_equal(stage.run.result, EXIT_OK);
	run_state_free(&stage.run);
}

static void test_delays(void **state)
{
	const struct run_policy policy = {.delay_ms = 100, .delay_max_ms = 1000, .limit = 6};
	static const int delays[] = {100, 200, 400, 800, 1000, 1000, -1, -1};
	const struct run_policy slow = {.delay_ms = 200, .delay_max_ms = 20000, .limit = 6};
	const struct run_policy forever = {
		.delay_ms = 50, .delay_max_ms = 50, .limit = RUN_NO_LIMIT};
	struct run_proc proc = {.up_since = RUN_NEVER};

	(void)state;
	for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++)
		assert_int_equal(run_backoff(&proc, &policy, 100000), delays[i]);
	/* Ten seconds, or the longest delay, make a success. */
	proc.up_since = 90001;
	assert_int_equal(run_backoff(&proc, &policy, 100000), -1);
	proc.up_since = 90000;
	assert_int_equal(run_backoff(&proc, &policy, 100000), 100);
	proc.up_since = 80001;
	assert_int_equal(run_backoff(&proc, &slow, 100000), 400);
	proc.up_since = 80000;
	assert_int_equal(run_backoff(&proc, &slow, 100000), 200);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(run_backoff(&proc, &forever, 100000), 50);
}

static void test_backend_again(void **state)
{
	struct stage stage;

	(void)state;
	all_up(&stage, 2);
	ends(&stage, 0, RUN_BACKEND, 0, SIGKILL);
	expect_log(&stage, "");
	assert_int_equal(stage.next, stage.now + 100);
	pass(&stage, 99);
	expect_log(&stage, "");
	pass(&stage, 1);
	expect_log(&stage, "+b0 ");
	assert_int_equal(stage.next, RUN_NEVER);
	ends(&stage, 0, RUN_BACKEND, 1, 0);
	assert_int_equal(stage.next, stage.now + 200);
	pass(&stage, 200);
	expect_log(&stage, "+b0 ");
	/* Success: from the beginning again. */
	pass(&stage, 10000);
	ends(&stage, 0, RUN_BACKEND, 1, 0);
	assert_int_equal(stage.next, stage.now + 100);
	run_state_free(&stage.run);
}

static void test_adapter_again(void **state)
{
	struct stage stage;

	(void)state;
	all_up(&stage, 2);
	ends(&stage, 0, RUN_ADAPTER, 0, SIGKILL);
	assert_int_equal(run_count_up(&stage.run), 1);
	pass(&stage, 100);
	expect_log(&stage, "+a0 ");
	/* That the name is in use still is no reason to give up, once it was ours. */
	ends(&stage, 0, RUN_ADAPTER, EXIT_EXISTS, 0);
	assert_int_equal(stage.next, stage.now + 200);
	/* Not without its back-end. */
	ends(&stage, 0, RUN_BACKEND, 0, SIGSEGV);
	pass(&stage, 100);
	expect_log(&stage, "+b0 ");
	pass(&stage, 100);
	expect_log(&stage, "+a0 ");
	up(&stage, 0);
	assert_int_equal(run_count_up(&stage.run), 2);
	run_state_free(&stage.run);
}

static void test_limit_at_start(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, 3);
	step(&stage);
	up(&stage, 0);
	expect_log(&stage, "+b0 +a0 +b1 +a1 ");
	for (uint64_t delay = 100; delay <= 400; delay *= 2) {
		ends(&stage, 1, RUN_BACKEND, 1, 0);
		assert_int_equal(stage.next, stage.now + delay);
		pass(&stage, delay);
		expect_log(&stage, "+b1 ");
	}
	ends(&stage, 1, RUN_BACKEND, 1, 0);
	/* The third was never begun, the others go in reverse order. */
	expect_log(&stage, "-a1 ");
	ends(&stage, 1, RUN_ADAPTER, EXIT_BACKEND, 0);
	expect_log(&stage, "-a0 ");
	ends(&stage, 0, RUN_ADAPTER, 0, 0);
	expect_log(&stage, "-b0 ");
	ends(&stage, 0, RUN_BACKEND, 0, 0);
	assert_true(run_finished(&stage.run));
	assert_int_equal(stage.run.result, EXIT_BACKEND);
	run_state_free(&stage.run);
}

static void test_limit_later(void **state)
{
	struct stage stage;

	(void)state;
	all_up(&stage, 2);
	stage.devices[0].restart.limit = 0;
	ends(&stage, 0, RUN_BACKEND, 1, 0);
	expect_log(&stage, "-a0 ");
	ends(&stage, 0, RUN_ADAPTER, 0, 0);
	pass(&stage, 100000);
	expect_log(&stage, "");
	assert_false(run_finished(&stage.run));
	/* The other is kept as before. */
	ends(&stage, 1, RUN_BACKEND, 1, 0);
	pass(&stage, 100);
	expect_log(&stage, "+b1 ");
	run_stop(&stage.run, stage.now);
	step(&stage);
	ends(&stage, 1, RUN_ADAPTER, 0, 0);
	ends(&stage, 1, RUN_BACKEND, 0, 0);
	assert_true(run_finished(&stage.run));
	assert_int_equal(stage.run.result, EXIT_BACKEND);
	run_state_free(&stage.run);
}

static void test_permanent(void **state)
{
	static const enum vloop_exit codes[] = {EXIT_USAGE,  EXIT_MISFIT, EXIT_MODULE,
						EXIT_RIGHTS, EXIT_EXISTS, EXIT_MEMORY};
	struct stage stage;

	(void)state;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		set_up(&stage, 2);
		step(&stage);
		ends(&stage, 0, RUN_ADAPTER, (int)codes[i], 0);
		expect_log(&stage, "+b0 +a0 -b0 ");
		ends(&stage, 0, RUN_BACKEND, 0, 0);
		assert_true(run_finished(&stage.run));
		assert_int_equal(stage.run.result, codes[i]);
		run_state_free(&stage.run);
	}
}

static void test_policies(void **state)
{
	struct stage stage;

	(void)state;
	all_up(&stage, 2);
	stage.devices[0].restart.when = RUN_RESTART_ON_FAILURE;
	ends(&stage, 0, RUN_BACKEND, 1, 0);
	pass(&stage, 100);
	expect_log(&stage, "+b0 ");
	ends(&stage, 0, RUN_BACKEND, 0, 0);
	expect_log(&stage, "-a0 ");
	ends(&stage, 0, RUN_ADAPTER, 0, 0);
	assert_int_equal(stage.run.result, EXIT_OK);

	stage.devices[1].restart.when = RUN_RESTART_NEVER;
	ends(&stage, 1, RUN_ADAPTER, EXIT_BACKEND, 0);
	expect_log(&stage, "-b1 ");
	ends(&stage, 1, RUN_BACKEND, 0, 0);
	assert_true(run_finished(&stage.run));
	assert_int_equal(stage.run.result, EXIT_BACKEND);
	run_state_free(&stage.run);

	/* A program that ends well before the device was there is of no use. */
	set_up(&stage, 1);
	stage.devices[0].restart.when = RUN_RESTART_ON_FAILURE;
	step(&stage);
	ends(&stage, 0, RUN_BACKEND, 0, 0);
	ends(&stage, 0, RUN_ADAPTER, 0, SIGTERM);
	assert_true(run_finished(&stage.run));
	assert_int_equal(stage.run.result, EXIT_BACKEND);
	run_state_free(&stage.run);
}

static void test_detached(void **state)
{
	struct stage stage;

	(void)state;
	all_up(&stage, 1);
	ends(&stage, 0, RUN_ADAPTER, 0, 0);
	expect_log(&stage, "-b0 ");
	ends(&stage, 0, RUN_BACKEND, 0, 0);
	assert_true(run_finished(&stage.run));
	assert_int_equal(stage.run.result, EXIT_OK);
	run_state_free(&stage.run);
	/* Before the others are there: they come all the same. */
	set_up(&stage, 2);
	step(&stage);
	ends(&stage, 0, RUN_ADAPTER, 0, 0);
	step(&stage);
	expect_log(&stage, "+b0 +a0 -b0 +b1 +a1 ");
	ends(&stage, 0, RUN_BACKEND, 0, 0);
	up(&stage, 1);
	step(&stage);
	assert_true(stage.run.ready);
	run_state_free(&stage.run);
}

/* An adapter that ends for what it met is started again, whether anybody has seen its device or not. */
static void test_broken(void **state)
{
	struct stage stage;

	(void)state;
	all_up(&stage, 1);
	ends(&stage, 0, RUN_ADAPTER, EXIT_BROKEN, 0);
	pass(&stage, 100);
	expect_log(&stage, "+a0 ");
	ends(&stage, 0, RUN_ADAPTER, EXIT_BROKEN, 0);
	pass(&stage, 200);
	expect_log(&stage, "+a0 ");
	run_state_free(&stage.run);
}

static void test_cannot_start(void **state)
{
	struct stage stage;

	(void)state;
	set_up(&stage, 1);
	stage.start_error = -ENOENT;
	step(&stage);
	assert_true(run_finished(&stage.run));
	assert_int_equal(stage.run.result, EXIT_BACKEND);
	run_state_free(&stage.run);

	set_up(&stage, 1);
	stage.start_error = -EAGAIN;
	step(&stage);
	assert_int_equal(stage.next, stage.now + 100);
	stage.start_error = 0;
	pass(&stage, 100);
	expect_log(&stage, "+b0 +a0 ");
	run_state_free(&stage.run);

	/* Later: what is left of the device is ended at once. */
	all_up(&stage, 2);
	stage.start_error = -ENOENT;
	ends(&stage, 0, RUN_BACKEND, 1, 0);
	pass(&stage, 100);
	expect_log(&stage, "-a0 ");
	assert_int_equal(stage.next, stage.now + 5000);
	ends(&stage, 0, RUN_ADAPTER, 0, 0);
	assert_false(run_finished(&stage.run));
	stage.devices[1].restart.limit = 0;
	ends(&stage, 1, RUN_ADAPTER, EXIT_FAIL, 0);
	expect_log(&stage, "-b1 ");
	ends(&stage, 1, RUN_BACKEND, 0, 0);
	assert_true(run_finished(&stage.run));
	assert_int_equal(stage.run.result, EXIT_BACKEND);
	run_state_free(&stage.run);
}

static void test_resistance(void **state)
{
	struct stage stage;

	(void)state;
	all_up(&stage, 1);
	run_stop(&stage.run, stage.now);
	step(&stage);
	assert_int_equal(stage.next, stage.now + 5000);
	pass(&stage, 4999);
	expect_log(&stage, "-a0 ");
	pass(&stage, 1);
	expect_log(&stage, "-a0 ");
	pass(&stage, 5000);
	expect_log(&stage, "!a0 ");
	pass(&stage, 9999);
	expect_log(&stage, "");
	/* Nobody waits for ever, not even for the kernel. */
	pass(&stage, 1);
	expect_log(&stage, "?a0 -b0 ");
	pass(&stage, 5000);
	expect_log(&stage, "!b0 ");
	ends(&stage, 0, RUN_BACKEND, 0, SIGKILL);
	assert_true(run_finished(&stage.run));
	assert_int_equal(stage.run.result, EXIT_TIMEOUT);
	run_state_free(&stage.run);
}

static void test_hurry(void **state)
{
	struct stage stage;

	(void)state;
	all_up(&stage, 2);
	run_stop(&stage.run, stage.now);
	step(&stage);
	expect_log(&stage, "-a1 ");
	run_stop(&stage.run, stage.now);
	step(&stage);
	expect_log(&stage, "-a1 -a0 ");
	ends(&stage, 0, RUN_ADAPTER, 0, 0);
	expect_log(&stage, "-b0 ");
	run_stop(&stage.run, stage.now);
	step(&stage);
	expect_log(&stage, "!a1 !b0 ");
	/* Killed is killed: a further one does not make us forget them. */
	run_stop(&stage.run, stage.now);
	step(&stage);
	expect_log(&stage, "");
	ends(&stage, 0, RUN_BACKEND, 0, SIGKILL);
	ends(&stage, 1, RUN_ADAPTER, 0, SIGKILL);
	expect_log(&stage, "-b1 ");
	ends(&stage, 1, RUN_BACKEND, 0, 0);
	assert_true(run_finished(&stage.run));
	run_state_free(&stage.run);
}

/* --- anything, at any time; fake_start() and fake_signal() have the rules */

static uint64_t random_state = 88172645463325252;

static uint32_t random_below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16) % n;
}

static void anything(struct stage *stage)
{
	size_t index = random_below((uint32_t)stage->conf.n);
	enum run_part part = (enum run_part)random_below(RUN_PARTS);
	static const int codes[] = {0, 0, 1, EXIT_BACKEND, EXIT_BROKEN, EXIT_EXISTS};

	switch (random_below(6)) {
	case 0:
	case 1:
		if (stage->alive[index][RUN_ADAPTER])
			run_device_up(&stage->run, index, stage->now);
		break;
	case 2:
		if (stage->alive[index][part])
			ends(stage, index, part, codes[random_below(6)],
			     random_below(2) ? 0 : SIGKILL);
		break;
	case 3:
		stage->start_error = random_below(4) ? 0 : -EAGAIN;
		break;
	default:
		/* Whoever waits for something sees to it that it comes. */
		if (stage->next != RUN_NEVER && stage->next > stage->now)
			stage->now = stage->next;
		stage->now += random_below(50);
	}
	step(stage);
}

static void test_anything(void **state)
{
	struct stage stage;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		set_up(&stage, 1 + random_below(DEVICES_MAX));
		for (size_t i = 0; i < stage.conf.n; i++) {
			stage.devices[i].restart.when = (enum run_restart)random_below(3);
			stage.devices[i].command.n = random_below(4) > 0;
			stage.devices[i].attach.policy = (enum disconnect_policy)random_below(3);
		}
		step(&stage);
		for (uint32_t i = random_below(200); i; i--)
			anything(&stage);
		run_stop(&stage.run, stage.now);
		step(&stage);
		/* Nobody ends by itself any more: there is an end all the same. */
		for (int i = 0; i < 100 && !run_finished(&stage.run); i++) {
			assert_int_not_equal(stage.next, RUN_NEVER);
			assert_true(stage.next > stage.now);
			pass(&stage, stage.next - stage.now);
		}
		assert_true(run_finished(&stage.run));
		for (size_t i = 0; i < stage.conf.n; i++)
			assert_false(stage.alive[i][RUN_BACKEND] || stage.alive[i][RUN_ADAPTER]);
		run_state_free(&stage.run);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),	       cmocka_unit_test(test_delays),
		cmocka_unit_test(test_backend_again),  cmocka_unit_test(test_adapter_again),
		cmocka_unit_test(test_limit_at_start), cmocka_unit_test(test_limit_later),
		cmocka_unit_test(test_permanent),      cmocka_unit_test(test_policies),
		cmocka_unit_test(test_detached),       cmocka_unit_test(test_cannot_start),
		cmocka_unit_test(test_resistance),     cmocka_unit_test(test_hurry),
		cmocka_unit_test(test_anything),       cmocka_unit_test(test_broken),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
