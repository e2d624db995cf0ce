// SPDX-License-Identifier: GPL-2.0-only
#include <kunit/resource.h>
#include <linux/io.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "fake.h"

/* The module's own are made when it is loaded, which it is not. */
int fake_suite_init(struct kunit_suite *suite)
{
	vlb_wq = alloc_workqueue("vlb-kunit", WQ_UNBOUND, 0);
	vlb_slow_wq = alloc_workqueue("vlb-kunit-slow", WQ_UNBOUND, 0);
	return vlb_wq && vlb_slow_wq ? 0 : -ENOMEM;
}

void fake_suite_exit(struct kunit_suite *suite)
{
	if (vlb_slow_wq)
		destroy_workqueue(vlb_slow_wq);
	if (vlb_wq)
		destroy_workqueue(vlb_wq);
	vlb_wq = NULL;
	vlb_slow_wq = NULL;
}

/* In place of device.c's, whose devices are known to the driver core. */
static void break_fn(struct work_struct *work)
{
	struct vlb_device *vlb = container_of(work, struct vlb_device, break_work);

	WRITE_ONCE(vlb->broken, vlb->break_reason);
}

/* The reason that the module gave for breaking the device; 0: it did not. */
u32 fake_broken(struct vlb_device *vlb)
{
	flush_workqueue(vlb_wq);
	return vlb->broken;
}

static void free_device(void *arg)
{
	struct vlb_device *vlb = arg;

	flush_workqueue(vlb_wq);
	kfree(vlb->config);
}

struct vlb_device *fake_device(struct kunit *test, const char *type, u32 config_len,
			       const void *config)
{
	struct vlb_device *vlb = kunit_kzalloc(test, struct_size(vlb, queues, 1), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, vlb);
	vlb->nqueues = 1;
	vlb->type = vlb_type_by_name(type, strlen(type));
	KUNIT_ASSERT_NOT_NULL(test, vlb->type);
	strscpy(vlb->name, "fake", sizeof(vlb->name));
	vlb->dev.init_name = vlb->name;
	vlb->privileged = true;
	vlb->timeout_ms = VLB_TIMEOUT_MS_DEFAULT;
	vlb->queue_size = FAKE_NUM;
	vlb->pool_len = SZ_1M;
	vlb->device_features = BIT_ULL(VIRTIO_F_VERSION_1);
	mutex_init(&vlb->lock);
	INIT_WORK(&vlb->break_work, break_fn);
	vlb_terminals_init(vlb);
	vlb_events_init(vlb);
	vlb_queue_init(&vlb->queues[0], vlb, 0);
	/* Nothing happens behind the test's back. */
	vlb->queues[0].has_thread = false;
	KUNIT_ASSERT_EQ(test, vlb_config_init(vlb, config, config_len), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_device, vlb), 0);
	return vlb;
}

/* A device whose only queue has a driver, and no back-end. */
struct fake *fake_queue(struct kunit *test, const char *type)
{
	return fake_queue_config(test, type, 0, NULL);
}

struct fake *fake_queue_config(struct kunit *test, const char *type, u32 config_len,
			       const void *config)
{
	struct fake *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	struct vlb_queue *q;
	void *ring;

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->test = test;
	f->vlb = fake_device(test, type, config_len, config);
	f->q = &f->vlb->queues[0];
	q = f->q;
	ring = kunit_kzalloc(test, vring_size(FAKE_DRIVER_NUM, SMP_CACHE_BYTES), GFP_KERNEL);
	q->redo = kunit_kcalloc(test, FAKE_DRIVER_NUM, sizeof(*q->redo), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ring);
	KUNIT_ASSERT_NOT_NULL(test, q->redo);
	vring_init(&q->vring, FAKE_DRIVER_NUM, ring, SMP_CACHE_BYTES);
	q->ready = true;
	return f;
}

void *fake_alloc(struct fake *f, size_t len, u8 fill)
{
	void *data = kunit_kmalloc(f->test, len, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(f->test, data);
	memset(data, fill, len);
	return data;
}

static void free_ring(void *arg)
{
	struct vlb_ring *ring = arg;

	vlb_kick_put(ring->kick);
	vlb_arena_exit(&ring->arena);
	vfree(ring->pool);
}

/* What vlb_link_create() does with the owner's memory, and VLB_IOC_START then. */
void fake_attach(struct fake *f, u32 arena_pages, bool indirect)
{
	struct kunit *test = f->test;
	struct vlb_ring *ring = kunit_kzalloc(test, sizeof(*ring), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, ring);
	ring->kick = vlb_kick_new();
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, ring->kick);
	KUNIT_ASSERT_EQ(test, vlb_arena_init(&ring->arena, arena_pages), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_ring, ring), 0);
	ring->base = VLB_POOL_BASE;
	ring->num = FAKE_NUM;
	ring->nfree = FAKE_NUM;
	ring->indirect = indirect;
	ring->slots_off = PAGE_SIZE;
	ring->arena_off = ring->slots_off + PAGE_ALIGN(FAKE_NUM * VLB_SLOT_BYTES);
	ring->pool = vzalloc(ring->arena_off + arena_pages * PAGE_SIZE);
	ring->requests = kunit_kcalloc(test, FAKE_NUM, sizeof(*ring->requests), GFP_KERNEL);
	ring->next = kunit_kcalloc(test, FAKE_NUM, sizeof(*ring->next), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ring->pool);
	KUNIT_ASSERT_NOT_NULL(test, ring->requests);
	KUNIT_ASSERT_NOT_NULL(test, ring->next);
	for (i = 0; i < FAKE_NUM; i++)
		ring->next[i] = i + 1;
	ring->desc = ring->pool;
	ring->avail = ring->pool + SZ_1K;
	ring->used = ring->pool + SZ_2K;
	/* This back-end looks by itself. */
	ring->used->flags = (__force __virtio16)cpu_to_le16(VRING_USED_F_NO_NOTIFY);

	mutex_lock(&f->vlb->lock);
	vlb_queue_freeze(f->q);
	vlb_queue_attach(f->q, ring);
	vlb_queue_thaw(f->q);
	mutex_unlock(&f->vlb->lock);
	f->ring = ring;
	f->taken = 0;
}

void fake_detach(struct fake *f, enum vlb_rest rest)
{
	mutex_lock(&f->vlb->lock);
	vlb_queue_freeze(f->q);
	vlb_queue_detach(f->q, rest);
	vlb_queue_thaw(f->q);
	mutex_unlock(&f->vlb->lock);
	f->ring = NULL;
}

/* Descriptors of a chain, from table[first] on. */
static void put_chain(struct vring_desc *table, u16 first, u16 mask, const struct fake_buf *bufs,
		      unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct vring_desc *desc = &table[(first + i) & mask];
		u16 flags = bufs[i].write ? VRING_DESC_F_WRITE : 0;

		if (i + 1 < n)
			flags |= VRING_DESC_F_NEXT;
		desc->addr = (__force __virtio64)cpu_to_le64(virt_to_phys(bufs[i].data));
		desc->len = (__force __virtio32)cpu_to_le32(bufs[i].len);
		desc->flags = (__force __virtio16)cpu_to_le16(flags);
		desc->next = (__force __virtio16)cpu_to_le16((first + i + 1) & mask);
	}
}

/* Make what begins at a descriptor available. */
static void make_available(struct fake *f, u16 head)
{
	struct vring *vring = &f->q->vring;

	vring->avail->ring[f->avail++ & (vring->num - 1)] = (__force __virtio16)cpu_to_le16(head);
	/* The entry before the index, as a driver does it. */
	smp_store_release(&vring->avail->idx, (__force __virtio16)cpu_to_le16(f->avail));
}

/* Make a request available: its first descriptor. */
u16 fake_add(struct fake *f, const struct fake_buf *bufs, unsigned int n)
{
	u16 head = f->next_desc, mask = f->q->vring.num - 1;

	put_chain(f->q->vring.desc, head, mask, bufs, n);
	f->next_desc = (head + n) & mask;
	make_available(f, head);
	return head;
}

/* The same with a table of its own. */
u16 fake_add_indirect(struct fake *f, const struct fake_buf *bufs, unsigned int n)
{
	struct vring_desc *table = fake_alloc(f, n * sizeof(*table), 0);
	u16 head = f->next_desc, mask = f->q->vring.num - 1;
	struct vring_desc *desc = &f->q->vring.desc[head];

	put_chain(table, 0, U16_MAX, bufs, n);
	desc->addr = (__force __virtio64)cpu_to_le64(virt_to_phys(table));
	desc->len = (__force __virtio32)cpu_to_le32(n * sizeof(*table));
	desc->flags = (__force __virtio16)cpu_to_le16(VRING_DESC_F_INDIRECT);
	f->next_desc = (head + 1) & mask;
	make_available(f, head);
	return head;
}

void fake_add_disk_request(struct fake *f, struct fake_disk_request *r, bool write)
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

/* A request that the driver has back, made available once more. */
void fake_add_again(struct fake *f, u16 head)
{
	make_available(f, head);
}

bool fake_done(struct fake *f, u16 *ret_head, u32 *ret_len)
{
	struct vring *vring = &f->q->vring;
	struct vring_used_elem *elem = &vring->used->ring[f->seen & (vring->num - 1)];

	/* Elements after the index, as a driver does it. */
	if (le16_to_cpu((__force __le16)smp_load_acquire(&vring->used->idx)) == f->seen)
		return false;
	f->seen++;
	*ret_head = le32_to_cpu((__force __le32)elem->id);
	*ret_len = le32_to_cpu((__force __le32)elem->len);
	return true;
}

bool fake_take(struct fake *f, u16 *ret_id)
{
	struct vring_avail *avail = f->ring->avail;

	/* Entries after the index, as a back-end does it. */
	if (le16_to_cpu((__force __le16)smp_load_acquire(&avail->idx)) == f->taken)
		return false;
	*ret_id = le16_to_cpu((__force __le16)avail->ring[f->taken++ & (FAKE_NUM - 1)]);
	KUNIT_ASSERT_LT(f->test, *ret_id, FAKE_NUM);
	return true;
}

/* The i-th descriptor of a request, or NULL behind the last one. */
struct vring_desc *fake_desc(struct fake *f, u16 id, unsigned int i)
{
	struct vring_desc *table = f->ring->desc, *desc = &table[id];

	if (le16_to_cpu((__force __le16)desc->flags) & VRING_DESC_F_INDIRECT) {
		unsigned int left = le32_to_cpu((__force __le32)desc->len) / sizeof(*desc);

		KUNIT_ASSERT_GT(f->test, left, 0);
		table = fake_data(f, desc);
		desc = table;
	}
	for (; i; i--) {
		if (!(le16_to_cpu((__force __le16)desc->flags) & VRING_DESC_F_NEXT))
			return NULL;
		desc = &table[le16_to_cpu((__force __le16)desc->next)];
	}
	return desc;
}

/* Where a descriptor of the pool points to; it lies in the pool. */
void *fake_data(struct fake *f, const struct vring_desc *desc)
{
	u64 off = le64_to_cpu((__force __le64)desc->addr) - f->ring->base;
	u64 end = f->ring->arena_off + (u64)f->ring->arena.npages * PAGE_SIZE;

	KUNIT_ASSERT_LE(f->test, off, end);
	KUNIT_ASSERT_LE(f->test, le32_to_cpu((__force __le32)desc->len), end - off);
	return f->ring->pool + off;
}

void fake_finish(struct fake *f, u32 id, u32 len)
{
	struct vring_used *used = f->ring->used;
	u16 idx = le16_to_cpu((__force __le16)used->idx);
	struct vring_used_elem *elem = &used->ring[idx & (FAKE_NUM - 1)];

	elem->id = (__force __virtio32)cpu_to_le32(id);
	elem->len = (__force __virtio32)cpu_to_le32(len);
	/* The element before the index, as a back-end does it. */
	smp_store_release(&used->idx, (__force __virtio16)cpu_to_le16(idx + 1));
}

/* As the device's thread does it, whatever the driver is in the middle of. */
bool fake_submit_unasked(struct fake *f)
{
	size_t limit = SIZE_MAX;

	return vlb_submit(f->q, &limit);
}

/* As the driver's notification does it. */
bool fake_submit(struct fake *f)
{
	if (f->q->role->flags & VLB_ROLE_TOGETHER)
		vlb_queue_notified(f->q);
	return fake_submit_unasked(f);
}

bool fake_complete(struct fake *f)
{
	return vlb_complete(f->q, UINT_MAX);
}

void fake_expect_done(struct fake *f, u16 head, u32 len)
{
	u16 got_head;
	u32 got_len;

	KUNIT_ASSERT_TRUE(f->test, fake_done(f, &got_head, &got_len));
	KUNIT_EXPECT_EQ(f->test, got_head, head);
	KUNIT_EXPECT_EQ(f->test, got_len, len);
}

void fake_expect_nothing_done(struct fake *f)
{
	u16 head;
	u32 len;

	KUNIT_EXPECT_FALSE(f->test, fake_done(f, &head, &len));
}

/* Nothing is held any more in the back-end's ring. */
void fake_expect_empty(struct fake *f)
{
	KUNIT_EXPECT_EQ(f->test, f->ring->nfree, FAKE_NUM);
	KUNIT_EXPECT_EQ(f->test, f->ring->arena.nfree, f->ring->arena.npages);
}

u16 fake_expect_taken(struct fake *f)
{
	u16 id = 0;

	KUNIT_ASSERT_TRUE(f->test, fake_take(f, &id));
	return id;
}
