// SPDX-License-Identifier: GPL-2.0-only
/* KUnit tests of the relay: requests of a fake driver, answered by a fake back-end, or not at all. */
#include <kunit/test.h>
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/virtio_blk.h>

#include "fake.h"

#define PAGES	64

static void expect_segment(struct fake *f, u16 id, unsigned int i, u32 len, bool write)
{
	const struct vring_desc *desc = fake_desc(f, id, i);

	KUNIT_ASSERT_NOT_NULL(f->test, desc);
	KUNIT_EXPECT_EQ(f->test, le32_to_cpu((__force __le32)desc->len), len);
	KUNIT_EXPECT_EQ(f->test, !!(le16_to_cpu((__force __le16)desc->flags) & VRING_DESC_F_WRITE),
			write);
}

/* Headers and trailers stay apart, neighbours become one; the data is the driver's. */
static void write_request(struct kunit *test, bool indirect)
{
	struct fake *f = fake_queue(test, "blk");
	struct fake_disk_request r;
	u8 *data, *status;
	u16 id;

	fake_attach(f, PAGES, indirect);
	fake_add_disk_request(f, &r, true);
	KUNIT_EXPECT_FALSE(test, fake_submit(f));
	id = fake_expect_taken(f);
	expect_segment(f, id, 0, 16, false);
	expect_segment(f, id, 1, 2 * PAGE_SIZE, false);
	expect_segment(f, id, 2, 1, true);
	KUNIT_EXPECT_NULL(test, fake_desc(f, id, 3));
	KUNIT_EXPECT_MEMEQ(test, fake_data(f, fake_desc(f, id, 0)), r.header, 16);
	data = fake_data(f, fake_desc(f, id, 1));
	KUNIT_EXPECT_MEMEQ(test, data, r.data[0], PAGE_SIZE);
	KUNIT_EXPECT_MEMEQ(test, data + PAGE_SIZE, r.data[1], PAGE_SIZE);
	status = fake_data(f, fake_desc(f, id, 2));
	KUNIT_EXPECT_EQ(test, *status, VIRTIO_BLK_S_IOERR);

	fake_expect_nothing_done(f);
	*status = VIRTIO_BLK_S_OK;
	fake_finish(f, id, 1);
	KUNIT_EXPECT_FALSE(test, fake_complete(f));
	fake_expect_done(f, r.head, 1);
	KUNIT_EXPECT_EQ(test, *r.status, VIRTIO_BLK_S_OK);
	fake_expect_empty(f);
}

static void relay_write(struct kunit *test)
{
	write_request(test, false);
}

static void relay_write_indirect(struct kunit *test)
{
	write_request(test, true);
}

static void relay_read(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	u8 *expected = kunit_kmalloc(test, PAGE_SIZE, GFP_KERNEL);
	struct fake_disk_request r;
	u16 id;

	KUNIT_ASSERT_NOT_NULL(test, expected);
	fake_attach(f, PAGES, true);
	fake_add_disk_request(f, &r, false);
	fake_submit(f);
	id = fake_expect_taken(f);
	expect_segment(f, id, 1, 2 * PAGE_SIZE, true);
	memset(fake_data(f, fake_desc(f, id, 1)), 0x44, 2 * PAGE_SIZE);
	*(u8 *)fake_data(f, fake_desc(f, id, 2)) = VIRTIO_BLK_S_OK;
	/* More than there is room for: the driver is told what there is. */
	fake_finish(f, id, U32_MAX);
	fake_complete(f);
	fake_expect_done(f, r.head, 2 * PAGE_SIZE + 1);
	KUNIT_EXPECT_EQ(test, f->q->stats.clamped, 1);
	memset(expected, 0x44, PAGE_SIZE);
	KUNIT_EXPECT_MEMEQ(test, r.data[0], expected, PAGE_SIZE);
	KUNIT_EXPECT_MEMEQ(test, r.data[1], expected, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, *r.status, VIRTIO_BLK_S_OK);
	fake_expect_empty(f);
}

/* An answer that does not touch the status is no success. */
static void relay_silent_answer(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct fake_disk_request r;

	fake_attach(f, PAGES, true);
	fake_add_disk_request(f, &r, false);
	fake_submit(f);
	fake_finish(f, fake_expect_taken(f), 0);
	fake_complete(f);
	fake_expect_done(f, r.head, 0);
	KUNIT_EXPECT_EQ(test, *r.status, VIRTIO_BLK_S_IOERR);
}

/* Each of these breaks the device, once, and completes nothing. */
static void expect_break(struct fake *f)
{
	fake_complete(f);
	KUNIT_EXPECT_EQ(f->test, fake_broken(f->vlb), VLB_BROKEN_RING);
	KUNIT_EXPECT_TRUE(f->test, f->ring->broken);
	KUNIT_EXPECT_FALSE(f->test, fake_complete(f));
}

static void relay_unknown_id(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct fake_disk_request r;

	fake_attach(f, PAGES, true);
	fake_add_disk_request(f, &r, false);
	fake_submit(f);
	fake_finish(f, FAKE_NUM, 1);
	expect_break(f);
	fake_expect_nothing_done(f);
}

static void relay_id_not_given(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct fake_disk_request r;

	fake_attach(f, PAGES, true);
	fake_add_disk_request(f, &r, false);
	fake_submit(f);
	fake_finish(f, (fake_expect_taken(f) + 1) % FAKE_NUM, 1);
	expect_break(f);
	fake_expect_nothing_done(f);
}

static void relay_id_twice(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct fake_disk_request r;
	u16 id;

	fake_attach(f, PAGES, true);
	fake_add_disk_request(f, &r, false);
	fake_submit(f);
	id = fake_expect_taken(f);
	fake_finish(f, id, 1);
	fake_finish(f, id, 1);
	expect_break(f);
	fake_expect_done(f, r.head, 1);
	fake_expect_nothing_done(f);
}

static void relay_index_jump(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct fake_disk_request r;

	fake_attach(f, PAGES, true);
	fake_add_disk_request(f, &r, false);
	fake_submit(f);
	f->ring->used->idx = (__force __virtio16)cpu_to_le16(FAKE_NUM + 1);
	expect_break(f);
	fake_expect_nothing_done(f);
}

/* Larger than the arena: the driver gets its answer, and the back-end nothing. */
static void relay_too_large(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct fake_disk_request r;
	u16 id;

	fake_attach(f, 1, true);
	fake_add_disk_request(f, &r, true);
	KUNIT_EXPECT_FALSE(test, fake_submit(f));
	KUNIT_EXPECT_FALSE(test, fake_take(f, &id));
	fake_expect_done(f, r.head, 1);
	KUNIT_EXPECT_EQ(test, *r.status, VIRTIO_BLK_S_IOERR);
	KUNIT_EXPECT_EQ(test, f->q->stats.failed, 1);
	fake_expect_empty(f);
}

/* Chains that no driver should build are answered without the back-end. */
static void relay_bad_chains(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct fake_buf bufs[2];
	u16 id, head;

	fake_attach(f, PAGES, true);
	/* Device-writable first. */
	bufs[0] = (struct fake_buf){ fake_alloc(f, 512, 0), 512, true };
	bufs[1] = (struct fake_buf){ fake_alloc(f, 512, 0), 512, false };
	head = fake_add(f, bufs, 2);
	fake_submit(f);
	KUNIT_EXPECT_FALSE(test, fake_take(f, &id));
	fake_expect_done(f, head, 512);
	/* Empty. */
	bufs[0].len = 0;
	head = fake_add(f, bufs, 1);
	fake_submit(f);
	KUNIT_EXPECT_FALSE(test, fake_take(f, &id));
	fake_expect_done(f, head, 0);
	fake_expect_empty(f);
}

/* The driver takes a request back that was offered already: nothing is new, least of all old entries. */
static void relay_taken_back(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct fake_disk_request r[2];
	u16 id[2], none;

	fake_attach(f, PAGES, true);
	fake_add_disk_request(f, &r[0], true);
	fake_add_disk_request(f, &r[1], true);
	fake_submit(f);
	id[0] = fake_expect_taken(f);
	id[1] = fake_expect_taken(f);
	f->q->vring.avail->idx = (__force __virtio16)cpu_to_le16(f->avail - 1);
	KUNIT_EXPECT_FALSE(test, fake_submit(f));
	KUNIT_EXPECT_FALSE(test, fake_take(f, &none));
	KUNIT_EXPECT_EQ(test, f->q->stats.requests, 2);
	fake_finish(f, id[0], 1);
	fake_finish(f, id[1], 1);
	fake_complete(f);
	fake_expect_empty(f);
}

/* A chain that comes back to its beginning ends where the ring would. */
static void relay_loop(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct fake_buf bufs[2];
	struct vring_desc *last;
	u16 id, head;

	fake_attach(f, PAGES, true);
	bufs[0] = (struct fake_buf){ fake_alloc(f, 512, 1), 512, false };
	bufs[1] = (struct fake_buf){ fake_alloc(f, 512, 2), 512, false };
	head = fake_add(f, bufs, 2);
	last = &f->q->vring.desc[head + 1];
	last->flags |= (__force __virtio16)cpu_to_le16(VRING_DESC_F_NEXT);
	last->next = (__force __virtio16)cpu_to_le16(head);
	fake_submit(f);
	id = fake_expect_taken(f);
	expect_segment(f, id, 0, FAKE_DRIVER_NUM * 512, false);
	fake_finish(f, id, 0);
	fake_complete(f);
	fake_expect_done(f, head, 0);
	fake_expect_empty(f);
}

/* What most drivers send: their descriptors are in a table beside the ring. */
static void relay_driver_indirect(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct fake_buf bufs[FAKE_DRIVER_NUM + 2];
	u8 *status = fake_alloc(f, 1, 0x77), *expected = fake_alloc(f, 1000, 0x44);
	unsigned int i, last = ARRAY_SIZE(bufs) - 1;
	u16 id, head;

	/* Odd lengths: pieces of the pool and buffers of the driver's end at different places. */
	bufs[0] = (struct fake_buf){ fake_alloc(f, 16, 0x11), 16, false };
	for (i = 1; i < last; i++)
		bufs[i] = (struct fake_buf){ fake_alloc(f, 1000, 0), 1000, true };
	bufs[last] = (struct fake_buf){ status, 1, true };
	fake_attach(f, PAGES, true);
	head = fake_add_indirect(f, bufs, ARRAY_SIZE(bufs));
	fake_submit(f);
	id = fake_expect_taken(f);
	expect_segment(f, id, 0, 16, false);
	expect_segment(f, id, 1, FAKE_DRIVER_NUM * 1000, true);
	expect_segment(f, id, 2, 1, true);
	memset(fake_data(f, fake_desc(f, id, 1)), 0x44, FAKE_DRIVER_NUM * 1000);
	*(u8 *)fake_data(f, fake_desc(f, id, 2)) = VIRTIO_BLK_S_OK;
	fake_finish(f, id, FAKE_DRIVER_NUM * 1000 + 1);
	fake_complete(f);
	fake_expect_done(f, head, FAKE_DRIVER_NUM * 1000 + 1);
	for (i = 1; i < last; i++)
		KUNIT_EXPECT_MEMEQ(test, bufs[i].data, expected, 1000);
	KUNIT_EXPECT_EQ(test, *status, VIRTIO_BLK_S_OK);
	fake_expect_empty(f);
}

/* No room: the request waits, in its place, until some is free. */
static void relay_stall(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct fake_disk_request r[3];
	unsigned int i;
	u16 id[2], last;

	fake_attach(f, 4, true);
	for (i = 0; i < 3; i++)
		fake_add_disk_request(f, &r[i], true);
	KUNIT_EXPECT_FALSE(test, fake_submit(f));
	id[0] = fake_expect_taken(f);
	id[1] = fake_expect_taken(f);
	KUNIT_EXPECT_FALSE(test, fake_take(f, &last));
	KUNIT_EXPECT_TRUE(test, f->q->stalled);
	KUNIT_EXPECT_EQ(test, f->q->stats.stalls, 1);

	fake_finish(f, id[1], 1);
	fake_complete(f);
	fake_submit(f);
	KUNIT_EXPECT_FALSE(test, f->q->stalled);
	last = fake_expect_taken(f);
	fake_finish(f, last, 1);
	fake_finish(f, id[0], 1);
	fake_complete(f);
	fake_expect_done(f, r[1].head, 1);
	fake_expect_done(f, r[2].head, 1);
	fake_expect_done(f, r[0].head, 1);
	fake_expect_empty(f);
}

/* What the last back-end left unfinished comes first, in order, and nothing twice. */
static void relay_offered_again(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct fake_disk_request r[4];
	unsigned int i;
	u16 id[3];

	fake_attach(f, PAGES, true);
	for (i = 0; i < 3; i++)
		fake_add_disk_request(f, &r[i], true);
	fake_submit(f);
	for (i = 0; i < 3; i++)
		id[i] = fake_expect_taken(f);
	fake_finish(f, id[1], 1);
	fake_complete(f);
	fake_expect_done(f, r[1].head, 1);

	fake_detach(f, VLB_REST_OFFER);
	fake_expect_nothing_done(f);
	fake_add_disk_request(f, &r[3], true);
	fake_submit(f);
	fake_expect_nothing_done(f);

	fake_attach(f, PAGES, true);
	fake_submit(f);
	for (i = 0; i < 3; i++)
		id[i] = fake_expect_taken(f);
	KUNIT_EXPECT_EQ(test, f->q->stats.reoffered, 2);
	for (i = 0; i < 3; i++) {
		fake_finish(f, id[i], 1);
		fake_complete(f);
	}
	fake_expect_done(f, r[0].head, 1);
	fake_expect_done(f, r[2].head, 1);
	fake_expect_done(f, r[3].head, 1);
	fake_expect_nothing_done(f);
	fake_expect_empty(f);
}

/* Requests fail: those in flight, and those that come. */
static void relay_failing(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct fake_disk_request r[2];

	fake_attach(f, PAGES, true);
	fake_add_disk_request(f, &r[0], true);
	fake_submit(f);
	fake_detach(f, VLB_REST_FAIL);
	fake_expect_done(f, r[0].head, 1);
	KUNIT_EXPECT_EQ(test, *r[0].status, VIRTIO_BLK_S_IOERR);
	fake_add_disk_request(f, &r[1], true);
	fake_submit(f);
	fake_expect_done(f, r[1].head, 1);
	KUNIT_EXPECT_EQ(test, *r[1].status, VIRTIO_BLK_S_IOERR);
	KUNIT_EXPECT_EQ(test, f->q->stats.failed, 2);
	KUNIT_EXPECT_EQ(test, f->q->stats.reoffered, 0);
}

/* What is too much for the driver's context is left to the device's thread, clearing too. */
static void relay_limits(struct kunit *test)
{
	struct fake *f = fake_queue(test, "rtc");
	struct fake_buf bufs[2];
	size_t limit = SZ_16K;
	u16 id, head, large;

	bufs[0] = (struct fake_buf){ fake_alloc(f, 8, 1), 8, false };
	bufs[1] = (struct fake_buf){ fake_alloc(f, SZ_64K, 1), SZ_64K, true };
	fake_attach(f, PAGES, true);
	head = fake_add(f, bufs, 2);
	KUNIT_EXPECT_TRUE(test, vlb_submit(f->q, &limit));
	KUNIT_EXPECT_FALSE(test, fake_take(f, &id));
	KUNIT_EXPECT_EQ(test, limit, SZ_16K);
	limit = SZ_128K;
	KUNIT_EXPECT_FALSE(test, vlb_submit(f->q, &limit));
	KUNIT_EXPECT_EQ(test, limit, SZ_128K - SZ_64K - 8);
	fake_finish(f, fake_expect_taken(f), 1);
	fake_complete(f);
	fake_expect_done(f, head, 1);

	/* More than the ring ever has room for: it fails, but not here. */
	bufs[1] = (struct fake_buf){ fake_alloc(f, (PAGES + 1) * PAGE_SIZE, 1),
				     (PAGES + 1) * PAGE_SIZE, true };
	large = fake_add(f, bufs, 2);
	limit = SZ_1M;
	KUNIT_EXPECT_TRUE(test, vlb_submit(f->q, &limit));
	fake_expect_nothing_done(f);
	KUNIT_EXPECT_FALSE(test, fake_submit(f));
	fake_expect_done(f, large, (PAGES + 1) * PAGE_SIZE);

	/* The same for all that comes once requests fail. */
	fake_detach(f, VLB_REST_FAIL);
	fake_add_again(f, head);
	limit = SZ_1M;
	KUNIT_EXPECT_TRUE(test, vlb_submit(f->q, &limit));
	fake_expect_nothing_done(f);
	KUNIT_EXPECT_FALSE(test, fake_submit(f));
	fake_expect_done(f, head, SZ_64K);
}

/* Whoever waits for a gate gets it after the request at hand. */
static void relay_waited_for(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct fake_disk_request r[3];
	unsigned int i;
	u16 id[3];

	fake_attach(f, PAGES, true);
	for (i = 0; i < 3; i++)
		fake_add_disk_request(f, &r[i], true);
	set_bit(VLB_GATE_WAIT, &f->q->submit.bits);
	KUNIT_EXPECT_TRUE(test, fake_submit(f));
	id[0] = fake_expect_taken(f);
	KUNIT_EXPECT_FALSE(test, fake_take(f, &id[1]));
	clear_bit(VLB_GATE_WAIT, &f->q->submit.bits);
	KUNIT_EXPECT_FALSE(test, fake_submit(f));
	for (i = 1; i < 3; i++)
		id[i] = fake_expect_taken(f);

	for (i = 0; i < 3; i++)
		fake_finish(f, id[i], 1);
	set_bit(VLB_GATE_WAIT, &f->q->complete.bits);
	KUNIT_EXPECT_TRUE(test, fake_complete(f));
	fake_expect_nothing_done(f);
	clear_bit(VLB_GATE_WAIT, &f->q->complete.bits);
	KUNIT_EXPECT_FALSE(test, fake_complete(f));
	for (i = 0; i < 3; i++)
		fake_expect_done(f, r[i].head, 1);
	fake_expect_empty(f);
}

/* The driver has reset the device: its buffers are its own again. */
static void relay_forgotten(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct fake_disk_request r;
	u16 id;

	fake_attach(f, PAGES, true);
	fake_add_disk_request(f, &r, true);
	fake_submit(f);
	fake_detach(f, VLB_REST_FORGET);
	fake_expect_nothing_done(f);
	KUNIT_EXPECT_EQ(test, *r.status, 0x77);
	fake_attach(f, PAGES, true);
	fake_submit(f);
	KUNIT_EXPECT_FALSE(test, fake_take(f, &id));
}

/* A type whose requests must not be done twice fails them, even where others wait. */
static void relay_not_twice(struct kunit *test)
{
	struct fake *f = fake_queue(test, "i2c");
	u8 *out = fake_alloc(f, 8, 1), *in = fake_alloc(f, 1, 0x77);
	struct fake_buf bufs[] = { { out, 8, false }, { in, 1, true } };
	u16 head;

	fake_attach(f, PAGES, true);
	head = fake_add(f, bufs, 2);
	fake_submit(f);
	fake_detach(f, VLB_REST_OFFER);
	fake_expect_done(f, head, 1);
	KUNIT_EXPECT_EQ(test, *in, 1);
}

/* Whatever the back-end writes into its half of the pool: no access goes astray. */
static void relay_random_back_end(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct fake_disk_request r[3];
	struct rnd_state rnd;
	unsigned int i, round;
	u16 head;
	u32 len;

	prandom_seed_state(&rnd, 3);
	for (i = 0; i < 3; i++)
		fake_add_disk_request(f, &r[i], i % 2);
	for (round = 0; round < 200; round++) {
		fake_attach(f, 1 + prandom_u32_state(&rnd) % 12, round % 2);
		fake_submit(f);
		for (i = 0; i < 6; i++) {
			prandom_bytes_state(&rnd, f->ring->desc, FAKE_NUM * sizeof(*f->ring->desc));
			prandom_bytes_state(&rnd, f->ring->avail, SZ_64);
			prandom_bytes_state(&rnd, f->ring->pool + f->ring->slots_off,
					    FAKE_NUM * VLB_SLOT_BYTES);
			fake_finish(f, prandom_u32_state(&rnd) % (FAKE_NUM + 1),
				    prandom_u32_state(&rnd));
			fake_complete(f);
			while (fake_done(f, &head, &len)) {
				KUNIT_EXPECT_LE(test, len, 2 * PAGE_SIZE + 1);
				fake_add_again(f, head);
			}
			fake_submit(f);
		}
		fake_detach(f, round % 3 ? VLB_REST_OFFER : VLB_REST_FAIL);
	}
	KUNIT_EXPECT_EQ(test, fake_broken(f->vlb), VLB_BROKEN_RING);
}

static struct kunit_case relay_cases[] = {
	KUNIT_CASE(relay_write),
	KUNIT_CASE(relay_write_indirect),
	KUNIT_CASE(relay_read),
	KUNIT_CASE(relay_silent_answer),
	KUNIT_CASE(relay_unknown_id),
	KUNIT_CASE(relay_id_not_given),
	KUNIT_CASE(relay_id_twice),
	KUNIT_CASE(relay_index_jump),
	KUNIT_CASE(relay_too_large),
	KUNIT_CASE(relay_bad_chains),
	KUNIT_CASE(relay_taken_back),
	KUNIT_CASE(relay_loop),
	KUNIT_CASE(relay_driver_indirect),
	KUNIT_CASE(relay_stall),
	KUNIT_CASE(relay_offered_again),
	KUNIT_CASE(relay_failing),
	KUNIT_CASE(relay_limits),
	KUNIT_CASE(relay_waited_for),
	KUNIT_CASE(relay_forgotten),
	KUNIT_CASE(relay_not_twice),
	KUNIT_CASE(relay_random_back_end),
	{ }
};

struct kunit_suite vlb_relay_suite = {
	.name = "vlb_relay",
	.suite_init = fake_suite_init,
	.suite_exit = fake_suite_exit,
	.test_cases = relay_cases,
};
