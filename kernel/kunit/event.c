// SPDX-License-Identifier: GPL-2.0-only
/* KUnit tests of the events for a device's creator. */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>

#include "fake.h"

/**
 * struct reader - takes one event, as a process does with read()
 * @work: does it
 * @vlb: the device
 * @begun: completed just before
 * @event: what it got
 * @taken: it got one
 */
struct reader {
	struct work_struct work;
	struct vlb_device *vlb;
	struct completion begun;
	struct vlb_event event;
	bool taken;
};

static void reader_fn(struct work_struct *work)
{
	struct reader *r = container_of(work, struct reader, work);

	complete(&r->begun);
	r->taken = vlb_event_take(r->vlb, &r->event);
}

static void expect_event(struct kunit *test, struct vlb_device *vlb, u32 type)
{
	struct vlb_event event;

	KUNIT_EXPECT_TRUE(test, vlb_event_take(vlb, &event));
	KUNIT_EXPECT_EQ(test, event.type, type);
	KUNIT_EXPECT_EQ(test, event.size, sizeof(event));
	KUNIT_EXPECT_EQ(test, event.epoch, vlb->epoch);
}

static void expect_none(struct kunit *test, struct vlb_device *vlb)
{
	struct vlb_event event;

	KUNIT_EXPECT_FALSE(test, vlb_event_pending(vlb));
	KUNIT_EXPECT_FALSE(test, vlb_event_take(vlb, &event));
}

/* States, not a log; a reset takes back what it ends, and comes before what follows it. */
static void event_order(struct kunit *test)
{
	struct vlb_device *vlb = fake_device(test, "rng", 0, NULL);

	expect_none(test, vlb);
	vlb_post(vlb, VLB_EVENT_DRIVER_OK);
	vlb_post(vlb, VLB_EVENT_RESET);
	vlb_post(vlb, VLB_EVENT_RESET);
	expect_event(test, vlb, VLB_EVENT_RESET);
	expect_none(test, vlb);

	vlb_post(vlb, VLB_EVENT_RESET);
	vlb_post(vlb, VLB_EVENT_DRIVER_OK);
	vlb_post(vlb, VLB_EVENT_REGISTERED);
	expect_event(test, vlb, VLB_EVENT_REGISTERED);
	expect_event(test, vlb, VLB_EVENT_RESET);
	expect_event(test, vlb, VLB_EVENT_DRIVER_OK);
	expect_none(test, vlb);
}

/*
 * The driver resets the device while "the driver is ready" is being read. It must not come as an event
 * of the next epoch, whose driver is not ready, with a reset after it that ended nothing.
 */
static void event_reset_meanwhile(struct kunit *test)
{
	struct vlb_device *vlb = fake_device(test, "rng", 0, NULL);
	struct reader r = { .vlb = vlb };

	INIT_WORK_ONSTACK(&r.work, reader_fn);
	init_completion(&r.begun);
	mutex_lock(&vlb->lock);
	vlb_post(vlb, VLB_EVENT_DRIVER_OK);
	queue_work(vlb_wq, &r.work);
	wait_for_completion(&r.begun);
	/* The reader goes as far as it comes without the lock. */
	msleep(100);
	vlb->epoch++;
	vlb_post(vlb, VLB_EVENT_RESET);
	mutex_unlock(&vlb->lock);
	flush_work(&r.work);
	destroy_work_on_stack(&r.work);

	KUNIT_EXPECT_TRUE(test, r.taken);
	KUNIT_EXPECT_EQ(test, r.event.type, VLB_EVENT_RESET);
	KUNIT_EXPECT_EQ(test, r.event.epoch, 1);
	expect_none(test, vlb);
}

static struct kunit_case event_cases[] = {
	KUNIT_CASE(event_order),
	KUNIT_CASE(event_reset_meanwhile),
	{ }
};

struct kunit_suite vlb_event_suite = {
	.name = "vlb_event",
	.suite_init = fake_suite_init,
	.suite_exit = fake_suite_exit,
	.test_cases = event_cases,
};
