// SPDX-License-Identifier: GPL-2.0-only
/* KUnit tests of the relay: requests of a fake driver, answered by a fake back-end, or not at all. */
#include <kunit/test.h>
#include <linux/fuse.h>
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_gpio.h>
#include <linux/virtio_scsi.h>
#include <uapi/linux/virtio_vsock.h>

#include "fake.h"

#define PAGES	64

/* A disk's read or write as its driver builds it: header, data in two buffers, status. */
struct disk_request {
	u8 *header;
	u8 *data[2];
	u8 *status;
	u16 head;
};

static void add_disk_request(struct fake *f, struct disk_request *r, bool write)
{
	struct fake_buf bufs[4];
	unsigned int i;

	r->header = fake_alloc(f, 16, 0x11);
	r->data[0] = fake_alloc(f, PAGE_SIZE, 0x22);
	r->data[1] = fake_alloc(f, PAGE_SIZE, 0x33);
	r->status = fake_alloc(f, 1, 0x77);
	bufs[0] = (struct fake_buf){ r->header, 16, false };
	for (i = 0; i < 2; i++)
		bufs[1 + i] = (struct fake_buf){ r->data[i], PAGE_SIZE, !write };
	bufs[3] = (struct fake_buf){ r->status, 1, true };
	r->head = fake_add(f, bufs, ARRAY_SIZE(bufs));
}

/* As the device's thread does it, whatever the driver is in the middle of. */
static bool submit_unasked(struct fake *f)
{
	size_t limit = SIZE_MAX;

	return vlb_submit(f->q, &limit);
}

/* As the driver's notification does it. */
static bool submit(struct fake *f)
{
	if (f->q->role->flags & VLB_ROLE_TOGETHER)
		vlb_queue_notified(f->q);
	return submit_unasked(f);
}

static bool finish_all(struct fake *f)
{
	return vlb_complete(f->q, UINT_MAX);
}

static void expect_done(struct fake *f, u16 head, u32 len)
{
	u16 got_head;
	u32 got_len;

	KUNIT_ASSERT_TRUE(f->test, fake_done(f, &got_head, &got_len));
	KUNIT_EXPECT_EQ(f->test, got_head, head);
	KUNIT_EXPECT_EQ(f->test, got_len, len);
}

static void expect_nothing_done(struct fake *f)
{
	u16 head;
	u32 len;

	KUNIT_EXPECT_FALSE(f->test, fake_done(f, &head, &len));
}

static u16 expect_taken(struct fake *f)
{
	u16 id = 0;

	KUNIT_ASSERT_TRUE(f->test, fake_take(f, &id));
	return id;
}

/* Nothing is held any more in the back-end's ring. */
static void expect_empty(struct fake *f)
{
	KUNIT_EXPECT_EQ(f->test, f->ring->nfree, FAKE_NUM);
	KUNIT_EXPECT_EQ(f->test, f->ring->arena.nfree, f->ring->arena.npages);
}

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
	struct disk_request r;
	u8 *data, *status;
	u16 id;

	fake_attach(f, PAGES, indirect);
	add_disk_request(f, &r, true);
	KUNIT_EXPECT_FALSE(test, submit(f));
	id = expect_taken(f);
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

	expect_nothing_done(f);
	*status = VIRTIO_BLK_S_OK;
	fake_finish(f, id, 1);
	KUNIT_EXPECT_FALSE(test, finish_all(f));
	expect_done(f, r.head, 1);
	KUNIT_EXPECT_EQ(test, *r.status, VIRTIO_BLK_S_OK);
	expect_empty(f);
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
	struct disk_request r;
	u16 id;

	KUNIT_ASSERT_NOT_NULL(test, expected);
	fake_attach(f, PAGES, true);
	add_disk_request(f, &r, false);
	submit(f);
	id = expect_taken(f);
	expect_segment(f, id, 1, 2 * PAGE_SIZE, true);
	memset(fake_data(f, fake_desc(f, id, 1)), 0x44, 2 * PAGE_SIZE);
	*(u8 *)fake_data(f, fake_desc(f, id, 2)) = VIRTIO_BLK_S_OK;
	/* More than there is room for: the driver is told what there is. */
	fake_finish(f, id, U32_MAX);
	finish_all(f);
	expect_done(f, r.head, 2 * PAGE_SIZE + 1);
	KUNIT_EXPECT_EQ(test, f->q->stats.clamped, 1);
	memset(expected, 0x44, PAGE_SIZE);
	KUNIT_EXPECT_MEMEQ(test, r.data[0], expected, PAGE_SIZE);
	KUNIT_EXPECT_MEMEQ(test, r.data[1], expected, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, *r.status, VIRTIO_BLK_S_OK);
	expect_empty(f);
}

/* An answer that does not touch the status is no success. */
static void relay_silent_answer(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct disk_request r;

	fake_attach(f, PAGES, true);
	add_disk_request(f, &r, false);
	submit(f);
	fake_finish(f, expect_taken(f), 0);
	finish_all(f);
	expect_done(f, r.head, 0);
	KUNIT_EXPECT_EQ(test, *r.status, VIRTIO_BLK_S_IOERR);
}

/* Each of these breaks the device, once, and completes nothing. */
static void expect_break(struct fake *f)
{
	finish_all(f);
	KUNIT_EXPECT_EQ(f->test, fake_broken(f->vlb), VLB_BROKEN_RING);
	KUNIT_EXPECT_TRUE(f->test, f->ring->broken);
	KUNIT_EXPECT_FALSE(f->test, finish_all(f));
}

static void relay_unknown_id(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct disk_request r;

	fake_attach(f, PAGES, true);
	add_disk_request(f, &r, false);
	submit(f);
	fake_finish(f, FAKE_NUM, 1);
	expect_break(f);
	expect_nothing_done(f);
}

static void relay_id_not_given(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct disk_request r;

	fake_attach(f, PAGES, true);
	add_disk_request(f, &r, false);
	submit(f);
	fake_finish(f, (expect_taken(f) + 1) % FAKE_NUM, 1);
	expect_break(f);
	expect_nothing_done(f);
}

static void relay_id_twice(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct disk_request r;
	u16 id;

	fake_attach(f, PAGES, true);
	add_disk_request(f, &r, false);
	submit(f);
	id = expect_taken(f);
	fake_finish(f, id, 1);
	fake_finish(f, id, 1);
	expect_break(f);
	expect_done(f, r.head, 1);
	expect_nothing_done(f);
}

static void relay_index_jump(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct disk_request r;

	fake_attach(f, PAGES, true);
	add_disk_request(f, &r, false);
	submit(f);
	f->ring->used->idx = (__force __virtio16)cpu_to_le16(FAKE_NUM + 1);
	expect_break(f);
	expect_nothing_done(f);
}

/* Larger than the arena: the driver gets its answer, and the back-end nothing. */
static void relay_too_large(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct disk_request r;
	u16 id;

	fake_attach(f, 1, true);
	add_disk_request(f, &r, true);
	KUNIT_EXPECT_FALSE(test, submit(f));
	KUNIT_EXPECT_FALSE(test, fake_take(f, &id));
	expect_done(f, r.head, 1);
	KUNIT_EXPECT_EQ(test, *r.status, VIRTIO_BLK_S_IOERR);
	KUNIT_EXPECT_EQ(test, f->q->stats.failed, 1);
	expect_empty(f);
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
	submit(f);
	KUNIT_EXPECT_FALSE(test, fake_take(f, &id));
	expect_done(f, head, 512);
	/* Empty. */
	bufs[0].len = 0;
	head = fake_add(f, bufs, 1);
	submit(f);
	KUNIT_EXPECT_FALSE(test, fake_take(f, &id));
	expect_done(f, head, 0);
	expect_empty(f);
}

/* The driver takes a request back that was offered already: nothing is new, least of all old entries. */
static void relay_taken_back(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct disk_request r[2];
	u16 id[2], none;

	fake_attach(f, PAGES, true);
	add_disk_request(f, &r[0], true);
	add_disk_request(f, &r[1], true);
	submit(f);
	id[0] = expect_taken(f);
	id[1] = expect_taken(f);
	f->q->vring.avail->idx = (__force __virtio16)cpu_to_le16(f->avail - 1);
	KUNIT_EXPECT_FALSE(test, submit(f));
	KUNIT_EXPECT_FALSE(test, fake_take(f, &none));
	KUNIT_EXPECT_EQ(test, f->q->stats.requests, 2);
	fake_finish(f, id[0], 1);
	fake_finish(f, id[1], 1);
	finish_all(f);
	expect_empty(f);
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
	submit(f);
	id = expect_taken(f);
	expect_segment(f, id, 0, FAKE_DRIVER_NUM * 512, false);
	fake_finish(f, id, 0);
	finish_all(f);
	expect_done(f, head, 0);
	expect_empty(f);
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
	submit(f);
	id = expect_taken(f);
	expect_segment(f, id, 0, 16, false);
	expect_segment(f, id, 1, FAKE_DRIVER_NUM * 1000, true);
	expect_segment(f, id, 2, 1, true);
	memset(fake_data(f, fake_desc(f, id, 1)), 0x44, FAKE_DRIVER_NUM * 1000);
	*(u8 *)fake_data(f, fake_desc(f, id, 2)) = VIRTIO_BLK_S_OK;
	fake_finish(f, id, FAKE_DRIVER_NUM * 1000 + 1);
	finish_all(f);
	expect_done(f, head, FAKE_DRIVER_NUM * 1000 + 1);
	for (i = 1; i < last; i++)
		KUNIT_EXPECT_MEMEQ(test, bufs[i].data, expected, 1000);
	KUNIT_EXPECT_EQ(test, *status, VIRTIO_BLK_S_OK);
	expect_empty(f);
}

/* No room: the request waits, in its place, until some is free. */
static void relay_stall(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct disk_request r[3];
	unsigned int i;
	u16 id[2], last;

	fake_attach(f, 4, true);
	for (i = 0; i < 3; i++)
		add_disk_request(f, &r[i], true);
	KUNIT_EXPECT_FALSE(test, submit(f));
	id[0] = expect_taken(f);
	id[1] = expect_taken(f);
	KUNIT_EXPECT_FALSE(test, fake_take(f, &last));
	KUNIT_EXPECT_TRUE(test, f->q->stalled);
	KUNIT_EXPECT_EQ(test, f->q->stats.stalls, 1);

	fake_finish(f, id[1], 1);
	finish_all(f);
	submit(f);
	KUNIT_EXPECT_FALSE(test, f->q->stalled);
	last = expect_taken(f);
	fake_finish(f, last, 1);
	fake_finish(f, id[0], 1);
	finish_all(f);
	expect_done(f, r[1].head, 1);
	expect_done(f, r[2].head, 1);
	expect_done(f, r[0].head, 1);
	expect_empty(f);
}

/* What the last back-end left unfinished comes first, in order, and nothing twice. */
static void relay_offered_again(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct disk_request r[4];
	unsigned int i;
	u16 id[3];

	fake_attach(f, PAGES, true);
	for (i = 0; i < 3; i++)
		add_disk_request(f, &r[i], true);
	submit(f);
	for (i = 0; i < 3; i++)
		id[i] = expect_taken(f);
	fake_finish(f, id[1], 1);
	finish_all(f);
	expect_done(f, r[1].head, 1);

	fake_detach(f, VLB_REST_OFFER);
	expect_nothing_done(f);
	add_disk_request(f, &r[3], true);
	submit(f);
	expect_nothing_done(f);

	fake_attach(f, PAGES, true);
	submit(f);
	for (i = 0; i < 3; i++)
		id[i] = expect_taken(f);
	KUNIT_EXPECT_EQ(test, f->q->stats.reoffered, 2);
	for (i = 0; i < 3; i++) {
		fake_finish(f, id[i], 1);
		finish_all(f);
	}
	expect_done(f, r[0].head, 1);
	expect_done(f, r[2].head, 1);
	expect_done(f, r[3].head, 1);
	expect_nothing_done(f);
	expect_empty(f);
}

/* Requests fail: those in flight, and those that come. */
static void relay_failing(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct disk_request r[2];

	fake_attach(f, PAGES, true);
	add_disk_request(f, &r[0], true);
	submit(f);
	fake_detach(f, VLB_REST_FAIL);
	expect_done(f, r[0].head, 1);
	KUNIT_EXPECT_EQ(test, *r[0].status, VIRTIO_BLK_S_IOERR);
	add_disk_request(f, &r[1], true);
	submit(f);
	expect_done(f, r[1].head, 1);
	KUNIT_EXPECT_EQ(test, *r[1].status, VIRTIO_BLK_S_IOERR);
	KUNIT_EXPECT_EQ(test, f->q->stats.failed, 2);
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
	fake_finish(f, expect_taken(f), 1);
	finish_all(f);
	expect_done(f, head, 1);

	/* More than the ring ever has room for: it fails, but not here. */
	bufs[1] = (struct fake_buf){ fake_alloc(f, (PAGES + 1) * PAGE_SIZE, 1),
				     (PAGES + 1) * PAGE_SIZE, true };
	large = fake_add(f, bufs, 2);
	limit = SZ_1M;
	KUNIT_EXPECT_TRUE(test, vlb_submit(f->q, &limit));
	expect_nothing_done(f);
	KUNIT_EXPECT_FALSE(test, submit(f));
	expect_done(f, large, (PAGES + 1) * PAGE_SIZE);

	/* The same for all that comes once requests fail. */
	fake_detach(f, VLB_REST_FAIL);
	fake_add_again(f, head);
	limit = SZ_1M;
	KUNIT_EXPECT_TRUE(test, vlb_submit(f->q, &limit));
	expect_nothing_done(f);
	KUNIT_EXPECT_FALSE(test, submit(f));
	expect_done(f, head, SZ_64K);
}

/* Whoever waits for a gate gets it after the request at hand. */
static void relay_waited_for(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct disk_request r[3];
	unsigned int i;
	u16 id[3];

	fake_attach(f, PAGES, true);
	for (i = 0; i < 3; i++)
		add_disk_request(f, &r[i], true);
	set_bit(VLB_GATE_WAIT, &f->q->submit.bits);
	KUNIT_EXPECT_TRUE(test, submit(f));
	id[0] = expect_taken(f);
	KUNIT_EXPECT_FALSE(test, fake_take(f, &id[1]));
	clear_bit(VLB_GATE_WAIT, &f->q->submit.bits);
	KUNIT_EXPECT_FALSE(test, submit(f));
	for (i = 1; i < 3; i++)
		id[i] = expect_taken(f);

	for (i = 0; i < 3; i++)
		fake_finish(f, id[i], 1);
	set_bit(VLB_GATE_WAIT, &f->q->complete.bits);
	KUNIT_EXPECT_TRUE(test, finish_all(f));
	expect_nothing_done(f);
	clear_bit(VLB_GATE_WAIT, &f->q->complete.bits);
	KUNIT_EXPECT_FALSE(test, finish_all(f));
	for (i = 0; i < 3; i++)
		expect_done(f, r[i].head, 1);
	expect_empty(f);
}

/* The driver has reset the device: its buffers are its own again. */
static void relay_forgotten(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct disk_request r;
	u16 id;

	fake_attach(f, PAGES, true);
	add_disk_request(f, &r, true);
	submit(f);
	fake_detach(f, VLB_REST_FORGET);
	expect_nothing_done(f);
	KUNIT_EXPECT_EQ(test, *r.status, 0x77);
	fake_attach(f, PAGES, true);
	submit(f);
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
	submit(f);
	fake_detach(f, VLB_REST_OFFER);
	expect_done(f, head, 1);
	KUNIT_EXPECT_EQ(test, *in, 1);
}

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
static void relay_together(struct kunit *test)
{
	struct fake *f = fake_queue(test, "i2c");
	struct i2c_message m[5];
	unsigned int i;
	u16 id[2];

	KUNIT_EXPECT_FALSE(test, f->vlb->offered & BIT_ULL(VIRTIO_RING_F_EVENT_IDX));
	fake_attach(f, PAGES, true);
	/* Nor does the back-end get the first before the driver has added the second. */
	add_i2c_message(f, &m[0]);
	KUNIT_EXPECT_FALSE(test, submit_unasked(f));
	KUNIT_EXPECT_FALSE(test, fake_take(f, &id[0]));
	add_i2c_message(f, &m[1]);
	KUNIT_EXPECT_FALSE(test, submit(f));
	for (i = 0; i < 2; i++)
		id[i] = expect_taken(f);

	fake_finish(f, id[0], 0);
	KUNIT_EXPECT_FALSE(test, finish_all(f));
	expect_nothing_done(f);
	KUNIT_EXPECT_FALSE(test, f->q->callback);
	fake_finish(f, id[1], 0);
	KUNIT_EXPECT_FALSE(test, finish_all(f));
	KUNIT_EXPECT_TRUE(test, f->q->callback);
	for (i = 0; i < 2; i++)
		expect_done(f, m[i].head, 0);
	expect_empty(f);

	/* The end of the session is the answer to the other one. */
	for (i = 2; i < 4; i++)
		add_i2c_message(f, &m[i]);
	submit(f);
	expect_taken(f);
	fake_finish(f, expect_taken(f), 0);
	finish_all(f);
	expect_nothing_done(f);
	fake_detach(f, VLB_REST_OFFER);
	expect_done(f, m[3].head, 0);
	expect_done(f, m[2].head, 1);
	expect_nothing_done(f);

	fake_attach(f, PAGES, true);
	add_i2c_message(f, &m[4]);
	submit(f);
	fake_finish(f, expect_taken(f), 0);
	finish_all(f);
	expect_done(f, m[4].head, 0);
	expect_empty(f);
}

/* What is kept back holds no room that the rest of the transfer needs. */
static void relay_together_stalled(struct kunit *test)
{
	struct fake *f = fake_queue(test, "i2c");
	struct i2c_message m[2];
	unsigned int i;

	fake_attach(f, 1, true);
	for (i = 0; i < 2; i++)
		add_i2c_message(f, &m[i]);
	submit(f);
	KUNIT_EXPECT_TRUE(test, f->q->stalled);
	fake_finish(f, expect_taken(f), 0);
	finish_all(f);
	expect_nothing_done(f);
	submit_unasked(f);
	fake_finish(f, expect_taken(f), 0);
	finish_all(f);
	for (i = 0; i < 2; i++)
		expect_done(f, m[i].head, 0);
	expect_empty(f);

	/* The second never gets to a back-end. */
	for (i = 0; i < 2; i++)
		add_i2c_message(f, &m[i]);
	submit(f);
	fake_finish(f, expect_taken(f), 0);
	finish_all(f);
	fake_detach(f, VLB_REST_FAIL);
	expect_nothing_done(f);
	submit_unasked(f);
	expect_done(f, m[0].head, 0);
	expect_done(f, m[1].head, 1);
	expect_nothing_done(f);
}

/* Receive buffers wait for the next back-end, whatever becomes of the last; used.len counts. */
static void relay_receive(struct kunit *test)
{
	struct fake *f = fake_queue(test, "rng");
	u8 *in = fake_alloc(f, 64, 0x77);
	struct fake_buf buf = { in, 64, true };
	u16 head, id;

	fake_attach(f, PAGES, true);
	head = fake_add(f, &buf, 1);
	submit(f);
	fake_detach(f, VLB_REST_FAIL);
	expect_nothing_done(f);
	fake_attach(f, PAGES, true);
	submit(f);
	id = expect_taken(f);
	memset(fake_data(f, fake_desc(f, id, 0)), 0x55, 64);
	fake_finish(f, id, 5);
	finish_all(f);
	expect_done(f, head, 5);
	KUNIT_EXPECT_EQ(test, in[4], 0x55);
	KUNIT_EXPECT_EQ(test, in[5], 0x77);
}

/* Who sleeps for a receive buffer is woken when the device goes, with nothing. */
static void relay_ending(struct kunit *test)
{
	struct fake *f = fake_queue(test, "rng");
	u8 *in = fake_alloc(f, 64, 0x77);
	struct fake_buf buf = { in, 64, true };
	u16 head;

	fake_attach(f, PAGES, true);
	head = fake_add(f, &buf, 1);
	submit(f);
	f->vlb->ending = true;
	fake_detach(f, VLB_REST_FAIL);
	expect_done(f, head, 0);
	head = fake_add(f, &buf, 1);
	submit(f);
	expect_done(f, head, 0);
	KUNIT_EXPECT_EQ(test, in[0], 0x77);
}

/* A file system's answer whose head has impossible sizes is an I/O error to the driver. */
static void relay_bad_head(struct kunit *test)
{
	static const struct {
		u32 written;
		u32 len;
		s32 error;
		bool good;
	} answers[] = {
		{ 16 + 64, 16 + 64, 0, true }, { 16, 16, -2, true }, { 16, 16, -511, true },
		{ 16 + 64, 16 + 65, 0, false }, { 16 + 64, U32_MAX, 0, false },
		{ 16, 15, 0, false }, { 16, 0, 0, false }, { 15, 16, 0, false },
		{ 16, 16, 1, false }, { 16, 16, -512, false }, { 16, 16, S32_MIN, false },
	};
	struct fake *f = fake_queue(test, "fs");
	u8 *out = fake_alloc(f, 40, 1), *in = fake_alloc(f, 64, 0x77);
	struct fuse_out_header *head = (void *)fake_alloc(f, sizeof(*head), 0x77);
	struct fake_buf bufs[] = {
		{ out, 40, false }, { head, sizeof(*head), true }, { in, 64, true },
	};
	unsigned int i;

	fake_attach(f, PAGES, true);
	for (i = 0; i < ARRAY_SIZE(answers); i++) {
		struct fuse_out_header *sent;
		u16 driver_head = fake_add(f, bufs, ARRAY_SIZE(bufs)), id;

		submit(f);
		id = expect_taken(f);
		sent = fake_data(f, fake_desc(f, id, 1));
		sent->len = answers[i].len;
		sent->error = answers[i].error;
		fake_finish(f, id, answers[i].written);
		finish_all(f);
		expect_done(f, driver_head, answers[i].written);
		KUNIT_EXPECT_EQ(test, head->len, answers[i].good ? answers[i].len : sizeof(*head));
		KUNIT_EXPECT_EQ(test, head->error, answers[i].good ? answers[i].error : -EIO);
	}
}

/* The answer to the first request sets up everything but time-outs; others are none of our business. */
static void relay_fuse_init(struct kunit *test)
{
	static const u32 opcodes[] = { FUSE_INIT, FUSE_GETATTR };
	struct fake *f = fake_queue(test, "fs");
	struct fuse_in_header *asked = (void *)fake_alloc(f, sizeof(*asked), 0);
	struct fuse_out_header *head = (void *)fake_alloc(f, sizeof(*head), 0);
	struct fuse_init_out *init = (void *)fake_alloc(f, sizeof(*init), 0), *sent;
	struct fake_buf bufs[] = {
		{ asked, sizeof(*asked), false }, { head, sizeof(*head), true },
		{ init, sizeof(*init), true },
	};
	unsigned int i;

	fake_attach(f, PAGES, true);
	for (i = 0; i < ARRAY_SIZE(opcodes); i++) {
		u16 driver_head, id;

		asked->opcode = opcodes[i];
		driver_head = fake_add(f, bufs, ARRAY_SIZE(bufs));
		submit(f);
		id = expect_taken(f);
		head = fake_data(f, fake_desc(f, id, 1));
		head->len = sizeof(*head) + sizeof(*init);
		head->error = 0;
		sent = fake_data(f, fake_desc(f, id, 2));
		memset(sent, 0xff, sizeof(*sent));
		fake_finish(f, id, sizeof(*head) + sizeof(*init));
		finish_all(f);
		expect_done(f, driver_head, sizeof(*head) + sizeof(*init));
		if (opcodes[i] == FUSE_INIT)
			sent->flags2 = (u32)~VLB_FUSE_REQUEST_TIMEOUT;
		KUNIT_EXPECT_MEMEQ(test, (u8 *)init, (u8 *)sent, sizeof(*init));
	}
}

/* An answer with more sense data than there is room for is none. */
static void relay_scsi_sense(struct kunit *test)
{
	struct fake *f = fake_queue(test, "scsi");
	struct virtio_scsi_cmd_resp *resp = fake_alloc(f, sizeof(*resp), 0x77), *sent;
	struct fake_buf bufs[] = {
		{ fake_alloc(f, 51, 1), 51, false }, { resp, sizeof(*resp), true },
		{ fake_alloc(f, 512, 0x22), 512, true },
	};
	u32 lens[] = { 0, sizeof(resp->sense), sizeof(resp->sense) + 1, U32_MAX };
	unsigned int i;

	f->q->role = f->vlb->type->role(2, 3, 0);
	fake_attach(f, PAGES, true);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		u16 head = fake_add(f, bufs, ARRAY_SIZE(bufs)), id;
		bool good = lens[i] <= sizeof(resp->sense);

		submit(f);
		id = expect_taken(f);
		sent = fake_data(f, fake_desc(f, id, 1));
		memset(sent, 0, sizeof(*sent));
		sent->sense_len = (__force __virtio32)cpu_to_le32(lens[i]);
		sent->response = VIRTIO_SCSI_S_OK;
		/* As some back-ends do. */
		fake_finish(f, id, 0);
		finish_all(f);
		expect_done(f, head, 0);
		KUNIT_EXPECT_EQ(test, le32_to_cpu((__force __le32)resp->sense_len),
				good ? lens[i] : 0);
		KUNIT_EXPECT_EQ(test, resp->response,
				good ? VIRTIO_SCSI_S_OK : VIRTIO_SCSI_S_FAILURE);
	}
}

/* An interrupt of a GPIO line has one of two states; any other reads as none, and each is one byte. */
static void relay_gpio_event(struct kunit *test)
{
	struct fake *f = fake_queue(test, "gpio");
	u8 *status = fake_alloc(f, 1, 0x77);
	struct fake_buf bufs[] = { { fake_alloc(f, 2, 1), 2, false }, { status, 1, true } };
	const u8 sent[] = { VIRTIO_GPIO_IRQ_STATUS_VALID, 2, 0xff, VIRTIO_GPIO_IRQ_STATUS_INVALID };
	unsigned int i;

	f->q->role = f->vlb->type->role(1, 2, 0);
	fake_attach(f, PAGES, true);
	for (i = 0; i < ARRAY_SIZE(sent); i++) {
		u16 head = fake_add(f, bufs, ARRAY_SIZE(bufs)), id;

		submit(f);
		id = expect_taken(f);
		*(u8 *)fake_data(f, fake_desc(f, id, 1)) = sent[i];
		fake_finish(f, id, i % 3);
		finish_all(f);
		expect_done(f, head, 1);
		KUNIT_EXPECT_EQ(test, *status, sent[i] == VIRTIO_GPIO_IRQ_STATUS_VALID);
	}
}

static void add_and_watch(struct fake *f, struct disk_request *r)
{
	add_disk_request(f, r, false);
	vlb_queue_watch(f->q);
	submit(f);
}

/* A disk that says nothing is given up when its owner is nobody special, also in mid-session. */
static void relay_watched(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct disk_request r[2];

	fake_attach(f, PAGES, true);
	add_and_watch(f, &r[0]);
	KUNIT_EXPECT_FALSE(test, delayed_work_pending(&f->q->watch));

	f->vlb->privileged = false;
	add_and_watch(f, &r[1]);
	KUNIT_EXPECT_TRUE(test, delayed_work_pending(&f->q->watch));
	fake_finish(f, expect_taken(f), 0);
	finish_all(f);
	/* The time is over, but not for a back-end that has done something. */
	flush_delayed_work(&f->q->watch);
	KUNIT_EXPECT_EQ(test, fake_broken(f->vlb), 0);
	KUNIT_EXPECT_TRUE(test, delayed_work_pending(&f->q->watch));
	expect_done(f, r[0].head, 0);
	expect_nothing_done(f);

	flush_delayed_work(&f->q->watch);
	KUNIT_EXPECT_EQ(test, fake_broken(f->vlb), VLB_BROKEN_TIMEOUT);
	KUNIT_EXPECT_FALSE(test, delayed_work_pending(&f->q->watch));
	expect_done(f, r[1].head, 2 * PAGE_SIZE + 1);
	KUNIT_EXPECT_EQ(test, *r[1].status, VIRTIO_BLK_S_IOERR);
}

/* The same when no back-end comes. */
static void relay_watched_alone(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct disk_request r;

	f->vlb->privileged = false;
	add_and_watch(f, &r);
	expect_nothing_done(f);
	flush_delayed_work(&f->q->watch);
	KUNIT_EXPECT_EQ(test, fake_broken(f->vlb), VLB_BROKEN_TIMEOUT);
	/* For the thread. */
	submit(f);
	expect_done(f, r.head, 2 * PAGE_SIZE + 1);
	KUNIT_EXPECT_EQ(test, *r.status, VIRTIO_BLK_S_IOERR);
}

/* With fewer names of GPIO lines than lines there are none, as many as the driver knows of. */
static void relay_gpio_names(struct kunit *test)
{
	static const struct {
		const char *names;
		u32 written;
		bool good;
	} answers[] = {
		{ "a\0b\0c\0ddd", 10, true }, { "\0\0\0\0\0\0\0\0\0", 10, true },
		{ "a\0b\0c\0\0\0\0", 10, true }, { "aaaaa\0\0\0d", 10, true },
		{ "aaa\0bbb\0c", 10, false }, { "aaaa\0bbbc", 10, false },
		{ "aaaaaa\0b\0", 10, false }, { "aaaaaaaaa", 10, false },
		{ "aaaaaaaaa", 9, true },
	};
	struct virtio_gpio_config config = {
		.ngpio = cpu_to_le16(4), .gpio_names_size = cpu_to_le32(9),
	};
	struct fake *f = fake_queue_config(test, "gpio", sizeof(config), &config);
	u8 *in = fake_alloc(f, 10, 0x77);
	struct fake_buf bufs[] = { { fake_alloc(f, 8, 1), 8, false }, { in, 10, true } };
	unsigned int i;
	u8 *sent;
	u16 head, id;

	config.ngpio = cpu_to_le16(1);
	KUNIT_ASSERT_EQ(test, vlb_config_replace(f->vlb, 0, sizeof(config), (u8 *)&config), 0);
	fake_attach(f, PAGES, true);
	for (i = 0; i < ARRAY_SIZE(answers); i++) {
		head = fake_add(f, bufs, ARRAY_SIZE(bufs));
		submit(f);
		id = expect_taken(f);
		sent = fake_data(f, fake_desc(f, id, 1));
		sent[0] = VIRTIO_GPIO_STATUS_OK;
		memcpy(sent + 1, answers[i].names, 9);
		fake_finish(f, id, answers[i].written);
		finish_all(f);
		expect_done(f, head, answers[i].written);
		KUNIT_EXPECT_EQ(test, in[0],
				answers[i].good ? VIRTIO_GPIO_STATUS_OK : VIRTIO_GPIO_STATUS_ERR);
		KUNIT_EXPECT_EQ(test, in[1], answers[i].good ? answers[i].names[0] : 0);
	}

	/* Other answers are not names. */
	bufs[1].len = sizeof(struct virtio_gpio_response);
	head = fake_add(f, bufs, ARRAY_SIZE(bufs));
	submit(f);
	id = expect_taken(f);
	sent = fake_data(f, fake_desc(f, id, 1));
	sent[0] = VIRTIO_GPIO_STATUS_OK;
	sent[1] = 1;
	fake_finish(f, id, 2);
	finish_all(f);
	expect_done(f, head, 2);
	KUNIT_EXPECT_EQ(test, in[0], VIRTIO_GPIO_STATUS_OK);
	KUNIT_EXPECT_EQ(test, in[1], 1);
}

/* The end of a message reaches a driver that counts packets; others have streams only. */
static void relay_vsock_message(struct kunit *test)
{
	const u64 messages = BIT_ULL(VIRTIO_VSOCK_F_SEQPACKET);
	struct fake *f = fake_queue(test, "vsock");
	struct virtio_vsock_hdr *hdr = fake_alloc(f, SZ_4K, 0x77), *sent;
	struct fake_buf buf = { hdr, SZ_4K, true };
	u64 features = messages;
	unsigned int i;

	f->vlb->type->fit(NULL, NULL, 0, &features);
	KUNIT_EXPECT_EQ(test, features, VLB_VSOCK_BYTES_ALONE ? 0 : messages);
	fake_attach(f, PAGES, true);
	for (i = 0; i < 3; i++) {
		u16 head = fake_add(f, &buf, 1), op = i ? VIRTIO_VSOCK_OP_RW : VIRTIO_VSOCK_OP_SHUTDOWN;
		u16 id;

		submit(f);
		id = expect_taken(f);
		sent = fake_data(f, fake_desc(f, id, 0));
		*sent = (struct virtio_vsock_hdr){
			.op = cpu_to_le16(op), .flags = cpu_to_le32(i < 2 ? VIRTIO_VSOCK_SEQ_EOM : 0),
		};
		fake_finish(f, id, sizeof(*sent));
		finish_all(f);
		expect_done(f, head, sizeof(*sent));
		KUNIT_EXPECT_EQ(test, le16_to_cpu(hdr->op),
				i == 1 && VLB_VSOCK_BYTES_ALONE ? 0 : op);
	}
}

/* Whatever the back-end writes into its half of the pool: no access goes astray. */
static void relay_random_back_end(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct disk_request r[3];
	struct rnd_state rnd;
	unsigned int i, round;
	u16 head;
	u32 len;

	prandom_seed_state(&rnd, 3);
	for (i = 0; i < 3; i++)
		add_disk_request(f, &r[i], i % 2);
	for (round = 0; round < 200; round++) {
		fake_attach(f, 1 + prandom_u32_state(&rnd) % 12, round % 2);
		submit(f);
		for (i = 0; i < 6; i++) {
			prandom_bytes_state(&rnd, f->ring->desc, FAKE_NUM * sizeof(*f->ring->desc));
			prandom_bytes_state(&rnd, f->ring->avail, SZ_64);
			prandom_bytes_state(&rnd, f->ring->pool + f->ring->slots_off,
					    FAKE_NUM * VLB_SLOT_BYTES);
			fake_finish(f, prandom_u32_state(&rnd) % (FAKE_NUM + 1),
				    prandom_u32_state(&rnd));
			finish_all(f);
			while (fake_done(f, &head, &len)) {
				KUNIT_EXPECT_LE(test, len, 2 * PAGE_SIZE + 1);
				fake_add_again(f, head);
			}
			submit(f);
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
	KUNIT_CASE(relay_together),
	KUNIT_CASE(relay_together_stalled),
	KUNIT_CASE(relay_receive),
	KUNIT_CASE(relay_ending),
	KUNIT_CASE(relay_bad_head),
	KUNIT_CASE(relay_fuse_init),
	KUNIT_CASE(relay_scsi_sense),
	KUNIT_CASE(relay_gpio_event),
	KUNIT_CASE(relay_watched),
	KUNIT_CASE(relay_watched_alone),
	KUNIT_CASE(relay_gpio_names),
	KUNIT_CASE(relay_vsock_message),
	KUNIT_CASE(relay_random_back_end),
	{ }
};

struct kunit_suite vlb_relay_suite = {
	.name = "vlb_relay",
	.suite_init = fake_suite_init,
	.suite_exit = fake_suite_exit,
	.test_cases = relay_cases,
};
