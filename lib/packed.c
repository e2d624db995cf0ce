/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packed rings, from the device's side (virtio 1.3, 2.8).
 *
 * One ring of descriptors is written by both sides. Position and wrap counter together say whose
 * turn a descriptor is. A request takes as many places when it is used as it took when it was made
 * available, whatever the order, and only the first of them is written.
 */
#include <errno.h>

#include "internal.h"

#define DESC_AVAIL	(1U << 7)
#define DESC_USED	(1U << 15)

/* virtio 1.3, 2.8.14: event suppression, in the high half of the word */
#define EVENT_ENABLE	(0U << 16)
#define EVENT_DISABLE	(1U << 16)
#define EVENT_DESC	(2U << 16)
#define EVENT_FLAGS	(3U << 16)

int packed_open(struct vloop_queue *queue)
{
	const struct mem *mem = &queue->dev->mem;
	struct packed *p = &queue->packed;

	p->desc = mem_user(mem, queue->desc_addr, queue->size * sizeof(*p->desc), 16);
	p->driver_event = mem_user(mem, queue->avail_addr, sizeof(*p->driver_event), 4);
	p->device_event = mem_user(mem, queue->used_addr, sizeof(*p->device_event), 4);
	if (!p->desc || !p->driver_event || !p->device_event)
		return ring_error(queue, "not in the shared memory, or not aligned");
	/* Both positions, each with its wrap counter: vhost-user.rst, "vring state description". */
	p->avail_idx = queue->base & 0x7fff;
	p->avail_wrap = queue->base >> 15 & 1;
	p->used_idx = queue->base >> 16 & 0x7fff;
	p->used_wrap = queue->base >> 31;
	if (p->avail_idx >= queue->size || p->used_idx >= queue->size)
		return ring_error(queue, "position beyond its end");
	p->batch = 0;
	p->desc_out = 0;
	return 0;
}

uint32_t packed_base(const struct vloop_queue *queue)
{
	const struct packed *p = &queue->packed;

	return p->avail_idx | (uint32_t)p->avail_wrap << 15 | (uint32_t)p->used_idx << 16 |
	       (uint32_t)p->used_wrap << 31;
}

static void store_event(packed_event *event, uint32_t value)
{
	__atomic_store_n(event, htole32(value), __ATOMIC_RELAXED);
}

static void arm(struct vloop_queue *queue)
{
	struct packed *p = &queue->packed;

	if (queue->event_idx)
		store_event(p->device_event,
			    p->avail_idx | (uint32_t)p->avail_wrap << 15 | EVENT_DESC);
	else
		store_event(p->device_event, EVENT_ENABLE);
	queue->armed = true;
	/* One of both sees the other, as with split rings; virtio 1.3, 2.8.21.3.1. */
	atomic_thread_fence(memory_order_seq_cst);
}

static void disarm(struct vloop_queue *queue)
{
	/* An event position asks again one lap later, which costs one kick that was not needed. */
	if (!queue->event_idx)
		store_event(queue->packed.device_event, EVENT_DISABLE);
	queue->armed = false;
}

/* Whether the next descriptor is available; its flags, if so. Kicks are asked for if @may_arm. */
static bool look(struct vloop_queue *queue, bool may_arm, uint16_t *ret_flags)
{
	struct packed *p = &queue->packed;

	for (;;) {
		/* Pairs with the driver's barrier before the flags; virtio 1.3, 2.8.21.1. */
		uint16_t flags =
			le16toh(__atomic_load_n(&p->desc[p->avail_idx].flags, __ATOMIC_ACQUIRE));
		bool avail = flags & DESC_AVAIL, used = flags & DESC_USED;

		if (avail == p->avail_wrap && used != p->avail_wrap) {
			if (queue->armed)
				disarm(queue);
			*ret_flags = flags;
			return true;
		}
		if (!may_arm || queue->armed)
			return false;
		arm(queue);
	}
}

/* virtio 1.3, 2.8.7: all descriptors of the table, in order; only WRITE counts in them. */
static int walk_indirect(struct vloop_queue *queue, struct vloop_req *req,
			 const struct packed_desc *desc)
{
	uint32_t len = le32toh(desc->len);
	const uint8_t *table = ring_indirect(queue, le64toh(desc->addr), len);

	if (!table)
		return -EPROTO;
	if (len / sizeof(*desc) > VLOOP_QUEUE_SIZE_MAX)
		return ring_error(queue, "indirect table of a wrong size");
	for (uint32_t at = 0; at < len; at += sizeof(*desc)) {
		struct packed_desc inner;
		int r;

		copy_once(&inner, table + at);
		r = ring_add(queue, req, le64toh(inner.addr), le32toh(inner.len),
			     le16toh(inner.flags) & DESC_WRITE);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * How many descriptors the chain has, and its buffer id, which is in the last one. The flags are
 * loaded again when the buffers are read, but the length of the chain is decided here. Descriptors
 * that were filled but not flushed are not the driver's yet.
 */
static int measure(struct vloop_queue *queue, uint16_t flags, uint16_t *ret_count, uint16_t *ret_id)
{
	const struct packed *p = &queue->packed;
	uint32_t idx = p->avail_idx, count = 1;

	for (;;) {
		if (p->desc_out + p->batch + count > queue->size)
			return ring_error(queue, "more descriptors than the ring has");
		if (!(flags & DESC_NEXT))
			break;
		idx = idx + 1 == queue->size ? 0 : idx + 1;
		count++;
		flags = le16toh(__atomic_load_n(&p->desc[idx].flags, __ATOMIC_RELAXED));
	}
	*ret_id = le16toh(__atomic_load_n(&p->desc[idx].id, __ATOMIC_RELAXED));
	*ret_count = (uint16_t)count;
	return 0;
}

static int take(struct vloop_queue *queue, uint16_t first_flags, struct vloop_req **ret_req)
{
	struct packed *p = &queue->packed;
	uint16_t count = 0, id = 0, idx = p->avail_idx;
	bool wrap = p->avail_wrap;
	struct vloop_req *req;
	int r;

	r = measure(queue, first_flags, &count, &id);
	if (r < 0)
		return r;
	/* Ids below the size are what the in-flight record of vhost-user.rst presumes, too. */
	if (id >= queue->size)
		return ring_error(queue, "buffer id out of range");
	req = ring_begin(queue, id);
	if (!req)
		return ring_error(queue, "buffer id offered twice");
	for (uint16_t i = 0; i < count; i++) {
		struct packed_desc desc;
		uint16_t flags;

		copy_once(&desc, &p->desc[idx]);
		flags = i ? le16toh(desc.flags) : first_flags;
		if (!(flags & DESC_INDIRECT))
			r = ring_add(queue, req, le64toh(desc.addr), le32toh(desc.len),
				     flags & DESC_WRITE);
		else if (count > 1)
			r = ring_error(queue, "indirect table inside of a chain");
		else
			r = walk_indirect(queue, req, &desc);
		if (r < 0)
			return r;
		if (++idx == queue->size) {
			idx = 0;
			wrap = !wrap;
		}
	}
	p->avail_idx = idx;
	p->avail_wrap = wrap;
	p->desc_out += count;
	req->num_desc_ = count;
	req->in_flight_ = 1;
	*ret_req = req;
	return 0;
}

int packed_pop(struct vloop_queue *queue, struct vloop_req **reqs, unsigned int max)
{
	unsigned int n = 0;
	uint16_t flags;
	int r = 0;

	while (n < max && look(queue, n == 0, &flags)) {
		r = take(queue, flags, &reqs[n]);
		if (r < 0)
			break;
		n++;
	}
	return n ? (int)n : r;
}

void packed_complete(struct vloop_queue *queue, const struct vloop_req *req, uint32_t written)
{
	struct packed *p = &queue->packed;
	struct packed_desc *desc = &p->desc[p->used_idx];
	uint16_t flags = written ? DESC_WRITE : 0;

	if (p->used_wrap)
		flags |= DESC_AVAIL | DESC_USED;
	__atomic_store_n(&desc->id, htole16(req->id_), __ATOMIC_RELAXED);
	__atomic_store_n(&desc->len, htole32(written), __ATOMIC_RELAXED);
	/* The driver goes on from descriptor to descriptor: the first one holds all others back. */
	if (p->batch == 0) {
		p->first_idx = p->used_idx;
		p->first_flags = flags;
	} else {
		__atomic_store_n(&desc->flags, htole16(flags), __ATOMIC_RELEASE);
	}
	p->batch += req->num_desc_;
	p->desc_out -= req->num_desc_;
	p->used_idx += req->num_desc_;
	if (p->used_idx >= queue->size) {
		p->used_idx -= queue->size;
		p->used_wrap = !p->used_wrap;
	}
}

bool packed_flush(struct vloop_queue *queue)
{
	struct packed *p = &queue->packed;
	uint16_t old = p->used_idx - p->batch, position;
	uint32_t event;
	bool wrap;

	if (p->batch == 0)
		return false;
	p->batch = 0;
	/* Everything else before these flags; virtio 1.3, 2.8.6. */
	__atomic_store_n(&p->desc[p->first_idx].flags, htole16(p->first_flags), __ATOMIC_RELEASE);
	atomic_thread_fence(memory_order_seq_cst);
	event = le32toh(__atomic_load_n(p->driver_event, __ATOMIC_RELAXED));
	if ((event & EVENT_FLAGS) == EVENT_DISABLE)
		return false;
	if ((event & EVENT_FLAGS) != EVENT_DESC || !queue->event_idx)
		return true;
	/* A position of the lap before lies below the one of this lap. */
	position = event & 0x7fff;
	wrap = event >> 15 & 1;
	if (wrap != p->used_wrap)
		position -= queue->size;
	return need_event(position, p->used_idx, old);
}
