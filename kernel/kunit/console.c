// SPDX-License-Identifier: GPL-2.0-only
/* KUnit tests of a console's control queue: what its driver says once, the back-end gets to know. */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/virtio_console.h>

#include "fake.h"

#define PAGES	1
/* More than the back-end's ring has entries. */
#define PORTS	(FAKE_NUM + 4)
#define CONTROL	3

/**
 * struct told - what a back-end knows
 * @ready: the driver is ready
 * @open: ports
 * @messages: that it got
 */
struct told {
	bool ready;
	DECLARE_BITMAP(open, PORTS);
	unsigned int messages;
};

static struct fake *control_queue(struct kunit *test)
{
	struct fake *f = fake_queue(test, "console");

	f->q->role = f->vlb->type->role(CONTROL, 2 * PORTS + 2,
					BIT_ULL(VIRTIO_CONSOLE_F_MULTIPORT));
	KUNIT_ASSERT_NOT_NULL(test, f->q->role->said);
	return f;
}

/* The driver, which spins: the message is done at once, whatever becomes of it. */
static void say(struct fake *f, u32 id, u16 event, u16 value)
{
	struct virtio_console_control *msg = fake_alloc(f, sizeof(*msg), 0);
	struct fake_buf buf = { msg, sizeof(*msg), false };
	u16 head;

	msg->id = (__force __virtio32)cpu_to_le32(id);
	msg->event = (__force __virtio16)cpu_to_le16(event);
	msg->value = (__force __virtio16)cpu_to_le16(value);
	head = fake_add(f, &buf, 1);
	vlb_queue_submit(f->q, SIZE_MAX);
	fake_expect_done(f, head, 0);
}

static void say_open(struct fake *f, u32 port, bool open)
{
	say(f, port, VIRTIO_CONSOLE_PORT_OPEN, open);
}

/* The back-end takes what there is, and what comes when there is room for it. */
static void listen(struct fake *f, struct told *told)
{
	u16 id;

	while (fake_take(f, &id)) {
		const struct virtio_console_control *msg = fake_data(f, fake_desc(f, id, 0));
		u32 port = le32_to_cpu((__force __le32)msg->id);
		bool so = msg->value;

		told->messages++;
		switch (le16_to_cpu((__force __le16)msg->event)) {
		case VIRTIO_CONSOLE_DEVICE_READY:
			told->ready = so;
			break;
		case VIRTIO_CONSOLE_PORT_OPEN:
			KUNIT_ASSERT_LT(f->test, port, PORTS);
			assign_bit(port, told->open, so);
			break;
		}
		fake_finish(f, id, 0);
		fake_complete(f);
		/* As vlb_queue_complete() does it. */
		if (f->q->stalled)
			vlb_queue_submit(f->q, SIZE_MAX);
	}
}

/* A back-end that comes later is told all that is so, also what does not fit its ring at once. */
static void console_told_later(struct kunit *test)
{
	struct fake *f = control_queue(test);
	struct told told = { };
	unsigned int i;

	say(f, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	for (i = 0; i < PORTS; i++)
		say_open(f, i, true);
	say_open(f, 2, false);
	fake_attach(f, PAGES, false);
	listen(f, &told);
	KUNIT_EXPECT_TRUE(test, told.ready);
	for (i = 0; i < PORTS; i++)
		KUNIT_EXPECT_EQ(test, test_bit(i, told.open), i != 2);
	/* Each once, and what is not so needs no words. */
	KUNIT_EXPECT_EQ(test, told.messages, PORTS);
	KUNIT_EXPECT_EQ(test, f->q->stats.dropped, 0);
}

/* A back-end that is slow is told in the end what found its ring full. */
static void console_told_slowly(struct kunit *test)
{
	struct fake *f = control_queue(test);
	struct told told = { };
	unsigned int i;

	fake_attach(f, PAGES, false);
	say(f, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	for (i = 0; i < PORTS; i++)
		say_open(f, i, true);
	for (i = 0; i < PORTS; i += 2)
		say_open(f, i, false);
	listen(f, &told);
	KUNIT_EXPECT_TRUE(test, told.ready);
	for (i = 0; i < PORTS; i++)
		KUNIT_EXPECT_EQ(test, test_bit(i, told.open), i % 2);
	KUNIT_EXPECT_EQ(test, f->q->stats.dropped, 0);
	KUNIT_EXPECT_EQ(test, f->ring->nfree, FAKE_NUM);
}

/* A driver that spins is served, and asked for its next notification, also while somebody waits for the queue. */
static void console_spins_while_wanted(struct kunit *test)
{
	struct fake *f = fake_queue(test, "console");
	struct fake_buf buf = { fake_alloc(f, 1, 'x'), 1, false };
	u16 i, head;
	u32 len;

	f->q->role = f->vlb->type->role(1, 2, 0);
	KUNIT_ASSERT_TRUE(test, f->q->role->flags & VLB_ROLE_SPIN);
	f->q->event_idx = true;
	set_bit(VLB_GATE_WAIT, &f->q->submit.bits);
	/* First with nobody who takes it. */
	for (i = 1; i <= 4; i++) {
		if (i == 3) {
			clear_bit(VLB_GATE_WAIT, &f->q->submit.bits);
			fake_attach(f, PAGES, false);
			set_bit(VLB_GATE_WAIT, &f->q->submit.bits);
		}
		fake_add(f, &buf, 1);
		vlb_queue_submit(f->q, VLB_INLINE_IRQS_OFF);
		KUNIT_EXPECT_TRUE(test, fake_done(f, &head, &len));
		KUNIT_EXPECT_EQ(test, le16_to_cpu((__force __le16)vring_avail_event(&f->q->vring)), i);
	}
	clear_bit(VLB_GATE_WAIT, &f->q->submit.bits);
}

/* The back-end sends a message about port 0 to the driver. */
static void send(struct fake *f, u16 event)
{
	const struct virtio_console_control msg = {
		.event = (__force __virtio16)cpu_to_le16(event),
		.value = (__force __virtio16)cpu_to_le16(1),
	};
	u16 id;

	KUNIT_ASSERT_TRUE(f->test, fake_take(f, &id));
	memcpy(fake_data(f, fake_desc(f, id, 0)), &msg, sizeof(msg));
	fake_finish(f, id, sizeof(msg));
}

/* What the driver is told next: the event, 0 for one that is kept from it, -1: nothing. */
static int hear(struct fake *f, const struct virtio_console_control *msgs)
{
	u16 head;
	u32 len;

	fake_complete(f);
	if (!fake_done(f, &head, &len))
		return -1;
	KUNIT_EXPECT_EQ(f->test, len, sizeof(*msgs));
	return le16_to_cpu((__force __le16)msgs[head].event);
}

/* A message is handled when the driver has put its buffer back, and those of all before. */
static void console_message_handled(struct kunit *test)
{
	struct fake *f = fake_queue(test, "console");
	struct virtio_console_control *msgs = fake_alloc(f, FAKE_DRIVER_NUM * sizeof(*msgs), 0);
	struct fake_buf buf = { msgs, sizeof(*msgs), true };
	struct virtqueue vq;
	unsigned int i;

	f->q->role = f->vlb->type->role(CONTROL - 1, 4, BIT_ULL(VIRTIO_CONSOLE_F_MULTIPORT));
	f->q->vq = &vq;
	f->q->quiet = true;
	fake_attach(f, PAGES, false);
	for (i = 0; i < FAKE_DRIVER_NUM; i++) {
		buf.data = &msgs[i];
		KUNIT_ASSERT_EQ(test, fake_add(f, &buf, 1), i);
	}
	vlb_queue_submit(f->q, SIZE_MAX);

	KUNIT_EXPECT_FALSE(test, vlb_queue_handled(f->vlb, 0, 1));
	send(f, VIRTIO_CONSOLE_PORT_ADD);
	send(f, VIRTIO_CONSOLE_PORT_NAME);
	KUNIT_EXPECT_FALSE(test, vlb_queue_handled(f->vlb, 0, 1));
	KUNIT_EXPECT_EQ(test, hear(f, msgs), VIRTIO_CONSOLE_PORT_ADD);
	KUNIT_EXPECT_EQ(test, hear(f, msgs), VIRTIO_CONSOLE_PORT_NAME);
	KUNIT_EXPECT_EQ(test, vlb_queue_pushed(f->vlb, 0), 2);
	KUNIT_EXPECT_FALSE(test, vlb_queue_handled(f->vlb, 0, 1));
	fake_add(f, &buf, 1);
	KUNIT_EXPECT_TRUE(test, vlb_queue_handled(f->vlb, 0, 1));
	KUNIT_EXPECT_FALSE(test, vlb_queue_handled(f->vlb, 0, 2));

	f->q->ready = false;
	KUNIT_EXPECT_TRUE(test, vlb_queue_handled(f->vlb, 0, 2));
	KUNIT_EXPECT_TRUE(test, vlb_queue_handled(f->vlb, f->vlb->nqueues, 1));
	f->q->vq = NULL;
}

/*
 * A port that the driver is about to add is removed only when it has said that it knows it. From then on
 * it is called for the port's queues, until the removal.
 */
static void console_port_removed_early(struct kunit *test)
{
	struct virtio_console_control ready = {
		.event = (__force __virtio16)cpu_to_le16(VIRTIO_CONSOLE_PORT_READY),
		.value = (__force __virtio16)cpu_to_le16(1),
	};
	const u64 features = BIT_ULL(VIRTIO_CONSOLE_F_MULTIPORT);
	struct fake *f = fake_queue(test, "console");
	const struct vlb_role *tx = f->vlb->type->role(CONTROL, 4, features);
	const struct vlb_role *port = f->vlb->type->role(0, 4, features);
	struct virtio_console_control *msgs = fake_alloc(f, FAKE_NUM * sizeof(*msgs), 0);
	struct virtqueue vq;
	unsigned int i;

	KUNIT_EXPECT_TRUE(test, port->flags & VLB_ROLE_KNOWN);
	f->q->role = f->vlb->type->role(CONTROL - 1, 4, features);
	f->q->vq = &vq;
	f->q->quiet = true;
	fake_attach(f, PAGES, false);
	for (i = 0; i < FAKE_NUM; i++) {
		struct fake_buf buf = { &msgs[i], sizeof(msgs[i]), true };

		KUNIT_ASSERT_EQ(test, fake_add(f, &buf, 1), i);
	}
	vlb_queue_submit(f->q, SIZE_MAX);

	/* The driver has no such port. */
	send(f, VIRTIO_CONSOLE_PORT_REMOVE);
	KUNIT_EXPECT_EQ(test, hear(f, msgs), 0);
	send(f, VIRTIO_CONSOLE_PORT_ADD);
	send(f, VIRTIO_CONSOLE_PORT_NAME);
	send(f, VIRTIO_CONSOLE_PORT_REMOVE);
	KUNIT_EXPECT_EQ(test, hear(f, msgs), VIRTIO_CONSOLE_PORT_ADD);
	KUNIT_EXPECT_EQ(test, hear(f, msgs), VIRTIO_CONSOLE_PORT_NAME);
	KUNIT_EXPECT_EQ(test, hear(f, msgs), -1);
	KUNIT_EXPECT_TRUE(test, f->q->quiet);

	tx->said(f->vlb, f->vlb->facts, (const u8 *)&ready, sizeof(ready));
	KUNIT_EXPECT_FALSE(test, f->q->quiet);
	KUNIT_EXPECT_EQ(test, hear(f, msgs), VIRTIO_CONSOLE_PORT_REMOVE);
	KUNIT_EXPECT_TRUE(test, f->q->quiet);
	KUNIT_EXPECT_EQ(test, hear(f, msgs), -1);

	/* One that the driver cannot add. */
	send(f, VIRTIO_CONSOLE_PORT_ADD);
	send(f, VIRTIO_CONSOLE_PORT_ADD);
	KUNIT_EXPECT_EQ(test, hear(f, msgs), VIRTIO_CONSOLE_PORT_ADD);
	KUNIT_EXPECT_EQ(test, hear(f, msgs), -1);
	ready.value = 0;
	tx->said(f->vlb, f->vlb->facts, (const u8 *)&ready, sizeof(ready));
	KUNIT_EXPECT_EQ(test, hear(f, msgs), VIRTIO_CONSOLE_PORT_ADD);
	KUNIT_EXPECT_TRUE(test, f->q->quiet);
	f->q->vq = NULL;
}

static struct kunit_case console_cases[] = {
	KUNIT_CASE(console_message_handled),
	KUNIT_CASE(console_port_removed_early),
	KUNIT_CASE(console_spins_while_wanted),
	KUNIT_CASE(console_told_later),
	KUNIT_CASE(console_told_slowly),
	{ }
};

struct kunit_suite vlb_console_suite = {
	.name = "vlb_console",
	.suite_init = fake_suite_init,
	.suite_exit = fake_suite_exit,
	.test_cases = console_cases,
};
