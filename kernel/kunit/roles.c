// SPDX-License-Identifier: GPL-2.0-only
/* KUnit tests of what is different by a queue's role: when its requests are offered, and come back. */
#include <kunit/test.h>
#include <linux/virtio_blk.h>

#include "fake.h"

#define PAGES	64

/* A message of an I2C transfer: what is written, and a status. */
struct i2c_message {
	u8 *out;
	u8 *status;
	u16 head;
};

static void add_i2c_message(struct fake *f, struct i2c_message *m)
{
	struct fake_buf bufs[2];

	m->out = fake_alloc(f, PAGE_SIZE, 0x11);
	m->status = fake_alloc(f, 1, 0x77);
	bufs[0] = (struct fake_buf){ m->out, PAGE_SIZE, false };
	bufs[1] = (struct fake_buf){ m->status, 1, true };
	m->head = fake_add(f, bufs, 2);
}

/* One message failed: the driver does not hear of it while the back-end has another one. */
static void roles_together(struct kunit *test)
{
	struct fake *f = fake_queue(test, "i2c");
	struct i2c_message m[5];
	unsigned int i;
	u16 id[2];

	KUNIT_EXPECT_FALSE(test, f->vlb->offered & BIT_ULL(VIRTIO_RING_F_EVENT_IDX));
	fake_attach(f, PAGES, true);
	/* Nor does the back-end get the first before the driver has added the second. */
	add_i2c_message(f, &m[0]);
	KUNIT_EXPECT_FALSE(test, fake_submit_unasked(f));
	KUNIT_EXPECT_FALSE(test, fake_take(f, &id[0]));
	add_i2c_message(f, &m[1]);
	KUNIT_EXPECT_FALSE(test, fake_submit(f));
	for (i = 0; i < 2; i++)
		id[i] = fake_expect_taken(f);

	fake_finish(f, id[0], 0);
	KUNIT_EXPECT_FALSE(test, fake_complete(f));
	fake_expect_nothing_done(f);
	KUNIT_EXPECT_FALSE(test, f->q->callback);
	fake_finish(f, id[1], 0);
	KUNIT_EXPECT_FALSE(test, fake_complete(f));
	KUNIT_EXPECT_TRUE(test, f->q->callback);
	for (i = 0; i < 2; i++)
		fake_expect_done(f, m[i].head, 0);
	fake_expect_empty(f);

	/* The end of the session is the answer to the other one. */
	for (i = 2; i < 4; i++)
		add_i2c_message(f, &m[i]);
	fake_submit(f);
	fake_expect_taken(f);
	fake_finish(f, fake_expect_taken(f), 0);
	fake_complete(f);
	fake_expect_nothing_done(f);
	fake_detach(f, VLB_REST_OFFER);
	fake_expect_done(f, m[3].head, 0);
	fake_expect_done(f, m[2].head, 1);
	fake_expect_nothing_done(f);

	fake_attach(f, PAGES, true);
	add_i2c_message(f, &m[4]);
	fake_submit(f);
	fake_finish(f, fake_expect_taken(f), 0);
	fake_complete(f);
	fake_expect_done(f, m[4].head, 0);
	fake_expect_empty(f);
}

/* What is kept back holds no room that the rest of the transfer needs. */
static void roles_together_stalled(struct kunit *test)
{
	struct fake *f = fake_queue(test, "i2c");
	struct i2c_message m[2];
	unsigned int i;

	fake_attach(f, 1, true);
	for (i = 0; i < 2; i++)
		add_i2c_message(f, &m[i]);
	fake_submit(f);
	KUNIT_EXPECT_TRUE(test, f->q->stalled);
	fake_finish(f, fake_expect_taken(f), 0);
	fake_complete(f);
	fake_expect_nothing_done(f);
	fake_submit_unasked(f);
	fake_finish(f, fake_expect_taken(f), 0);
	fake_complete(f);
	for (i = 0; i < 2; i++)
		fake_expect_done(f, m[i].head, 0);
	fake_expect_empty(f);

	/* The second never gets to a back-end. */
	for (i = 0; i < 2; i++)
		add_i2c_message(f, &m[i]);
	fake_submit(f);
	fake_finish(f, fake_expect_taken(f), 0);
	fake_complete(f);
	fake_detach(f, VLB_REST_FAIL);
	fake_expect_nothing_done(f);
	fake_submit_unasked(f);
	fake_expect_done(f, m[0].head, 0);
	fake_expect_done(f, m[1].head, 1);
	fake_expect_nothing_done(f);
}

/* Receive buffers wait for the next back-end, whatever becomes of the last; used.len counts. */
static void roles_receive(struct kunit *test)
{
	struct fake *f = fake_queue(test, "rng");
	u8 *in = fake_alloc(f, 64, 0x77);
	struct fake_buf buf = { in, 64, true };
	u16 head, id;

	fake_attach(f, PAGES, true);
	head = fake_add(f, &buf, 1);
	fake_submit(f);
	fake_detach(f, VLB_REST_FAIL);
	fake_expect_nothing_done(f);
	fake_attach(f, PAGES, true);
	fake_submit(f);
	id = fake_expect_taken(f);
	memset(fake_data(f, fake_desc(f, id, 0)), 0x55, 64);
	fake_finish(f, id, 5);
	fake_complete(f);
	fake_expect_done(f, head, 5);
	KUNIT_EXPECT_EQ(test, in[4], 0x55);
	KUNIT_EXPECT_EQ(test, in[5], 0x77);
}

/* Who sleeps for a receive buffer is woken when the device goes, with nothing. */
static void roles_ending(struct kunit *test)
{
	struct fake *f = fake_queue(test, "rng");
	u8 *in = fake_alloc(f, 64, 0x77);
	struct fake_buf buf = { in, 64, true };
	u16 head;

	fake_attach(f, PAGES, true);
	head = fake_add(f, &buf, 1);
	fake_submit(f);
	f->vlb->ending = true;
	fake_detach(f, VLB_REST_FAIL);
	fake_expect_done(f, head, 0);
	head = fake_add(f, &buf, 1);
	fake_submit(f);
	fake_expect_done(f, head, 0);
	KUNIT_EXPECT_EQ(test, in[0], 0x77);
}

static void add_and_watch(struct fake *f, struct fake_disk_request *r)
{
	fake_add_disk_request(f, r, false);
	vlb_watch(f->q);
	fake_submit(f);
}

/* A disk that says nothing is given up when its owner is nobody special, also in mid-session. */
static void roles_watched(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct fake_disk_request r[2];

	fake_attach(f, PAGES, true);
	add_and_watch(f, &r[0]);
	KUNIT_EXPECT_FALSE(test, delayed_work_pending(&f->q->watch));

	f->vlb->privileged = false;
	add_and_watch(f, &r[1]);
	KUNIT_EXPECT_TRUE(test, delayed_work_pending(&f->q->watch));
	fake_finish(f, fake_expect_taken(f), 0);
	fake_complete(f);
	/* The time is over, but not for a back-end that has done something. */
	flush_delayed_work(&f->q->watch);
	KUNIT_EXPECT_EQ(test, fake_broken(f->vlb), 0);
	KUNIT_EXPECT_TRUE(test, delayed_work_pending(&f->q->watch));
	fake_expect_done(f, r[0].head, 0);
	fake_expect_nothing_done(f);

	flush_delayed_work(&f->q->watch);
	KUNIT_EXPECT_EQ(test, fake_broken(f->vlb), VLB_BROKEN_TIMEOUT);
	KUNIT_EXPECT_FALSE(test, delayed_work_pending(&f->q->watch));
	fake_expect_done(f, r[1].head, 2 * PAGE_SIZE + 1);
	KUNIT_EXPECT_EQ(test, *r[1].status, VIRTIO_BLK_S_IOERR);
}

static struct fake *users_disk(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");

	fake_attach(f, PAGES, true);
	f->vlb->privileged = false;
	return f;
}

static void answer(struct fake *f)
{
	fake_finish(f, fake_expect_taken(f), 0);
	fake_complete(f);
}

/* A request that comes when the time is just over has all its time. */
static void roles_watched_late(struct kunit *test)
{
	struct fake *f = users_disk(test);
	struct fake_disk_request r[2];

	add_and_watch(f, &r[0]);
	answer(f);
	/* As when the work has been taken from its queue, and is about to run. */
	KUNIT_ASSERT_TRUE(test, cancel_delayed_work(&f->q->watch));
	add_and_watch(f, &r[1]);
	f->q->watch.work.func(&f->q->watch.work);
	KUNIT_EXPECT_EQ(test, fake_broken(f->vlb), 0);
	KUNIT_EXPECT_TRUE(test, delayed_work_pending(&f->q->watch));
	flush_delayed_work(&f->q->watch);
	KUNIT_EXPECT_EQ(test, fake_broken(f->vlb), VLB_BROKEN_TIMEOUT);
}

/* Whoever offers requests may find one of which the driver did not notify. */
static void roles_watched_unasked(struct kunit *test)
{
	struct fake *f = users_disk(test);
	struct fake_disk_request r[2];

	add_and_watch(f, &r[0]);
	answer(f);
	flush_delayed_work(&f->q->watch);
	fake_add_disk_request(f, &r[1], false);
	fake_submit_unasked(f);
	/* It may have been there for a moment only. */
	flush_delayed_work(&f->q->watch);
	KUNIT_EXPECT_EQ(test, fake_broken(f->vlb), 0);
	flush_delayed_work(&f->q->watch);
	KUNIT_EXPECT_EQ(test, fake_broken(f->vlb), VLB_BROKEN_TIMEOUT);
}

/* So many requests came back that the used index is the same again. */
static void roles_watched_busy(struct kunit *test)
{
	struct fake *f = users_disk(test);
	struct fake_disk_request r;
	unsigned int i;

	add_and_watch(f, &r);
	spin_lock_irq(&f->q->lock);
	for (i = 0; i <= U16_MAX; i++)
		vlb_queue_push_used(f->q, r.head, 0);
	spin_unlock_irq(&f->q->lock);
	flush_delayed_work(&f->q->watch);
	KUNIT_EXPECT_EQ(test, fake_broken(f->vlb), 0);
	flush_delayed_work(&f->q->watch);
	KUNIT_EXPECT_EQ(test, fake_broken(f->vlb), VLB_BROKEN_TIMEOUT);
}

/* A machine that sleeps does not count as time. */
static void roles_watched_asleep(struct kunit *test)
{
	struct fake *f = users_disk(test);
	struct fake_disk_request r;

	add_and_watch(f, &r);
	KUNIT_ASSERT_EQ(test, vlb_devices_sleep(), 0);
	flush_delayed_work(&f->q->watch);
	KUNIT_EXPECT_EQ(test, fake_broken(f->vlb), 0);
	vlb_devices_wake();
	flush_delayed_work(&f->q->watch);
	KUNIT_EXPECT_EQ(test, fake_broken(f->vlb), 0);
	flush_delayed_work(&f->q->watch);
	KUNIT_EXPECT_EQ(test, fake_broken(f->vlb), VLB_BROKEN_TIMEOUT);
}

/* A disk is given up when no back-end comes, too. */
static void roles_watched_alone(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct fake_disk_request r;

	f->vlb->privileged = false;
	add_and_watch(f, &r);
	fake_expect_nothing_done(f);
	flush_delayed_work(&f->q->watch);
	KUNIT_EXPECT_EQ(test, fake_broken(f->vlb), VLB_BROKEN_TIMEOUT);
	/* For the thread. */
	fake_submit(f);
	fake_expect_done(f, r.head, 2 * PAGE_SIZE + 1);
	KUNIT_EXPECT_EQ(test, *r.status, VIRTIO_BLK_S_IOERR);
}

static struct kunit_case roles_cases[] = {
	KUNIT_CASE(roles_together),
	KUNIT_CASE(roles_together_stalled),
	KUNIT_CASE(roles_receive),
	KUNIT_CASE(roles_ending),
	KUNIT_CASE(roles_watched),
	KUNIT_CASE(roles_watched_alone),
	KUNIT_CASE(roles_watched_late),
	KUNIT_CASE(roles_watched_unasked),
	KUNIT_CASE(roles_watched_busy),
	KUNIT_CASE(roles_watched_asleep),
	{ }
};

struct kunit_suite vlb_roles_suite = {
	.name = "vlb_roles",
	.suite_init = fake_suite_init,
	.suite_exit = fake_suite_exit,
	.test_cases = roles_cases,
};
