/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Split rings, from the device's side (virtio 1.3, 2.7).
 *
 * Indices run freely over 16 bits; an entry is found by masking. All of the ring is shared with
 * the driver, which may write anything at any time: each word is loaded once.
 */
#include <errno.h>

#include "internal.h"

#define AVAIL_NO_INTERRUPT	1U
#define USED_NO_NOTIFY		1U
#define CHAIN_MAX		32768U	/* descriptors; indices are of 16 bits, queues half of that */

static uint16_t load16(const uint16_t *p)
{
	return le16toh(__atomic_load_n(p, __ATOMIC_RELAXED));
}

static void store16(uint16_t *p, uint16_t value)
{
	__atomic_store_n(p, htole16(value), __ATOMIC_RELAXED);
}

int split_open(struct vloop_queue *queue)
{
	const struct mem *mem = &queue->dev->mem;
	struct split *s = &queue->split;
	uint32_t num = queue->size;

	if (num & (num - 1))
		return ring_error(queue, "size of a split ring is not a power of two");
	s->desc = mem_user(mem, queue->desc_addr, num * sizeof(*s->desc), 16);
	s->avail = mem_user(mem, queue->avail_addr,
			    sizeof(*s->avail) + (num + 1) * sizeof(uint16_t), 2);
	s->used = mem_user(mem, queue->used_addr,
			   sizeof(*s->used) + num * sizeof(s->used->ring[0]) + sizeof(uint16_t), 4);
	if (!s->desc || !s->avail || !s->used)
		return ring_error(queue, "not in the shared memory, or not aligned");
	s->last_avail = (uint16_t)queue->base;
	s->seen_avail = s->last_avail;
	s->used_idx = load16(&s->used->idx);
	s->published = s->used_idx;
	return 0;
}

uint32_t split_base(const struct vloop_queue *queue)
{
	return queue->split.last_avail;
}

/* Ask the driver to kick for the entry after the last one taken. */
static void arm(struct vloop_queue *queue)
{
	struct split *s = &queue->split;

	if (queue->event_idx)
		store16((uint16_t *)&s->used->ring[queue->size], s->last_avail);
	else
		store16(&s->used->flags, 0);
	queue->armed = true;
	/*
	 * The driver publishes its index and then looks whether a kick is wanted; here it is the
	 * other way round, so one of both sees the other (virtio 1.3, 2.7.13.4.1).
	 */
	atomic_thread_fence(memory_order_seq_cst);
}

static void disarm(struct vloop_queue *queue)
{
	/* With the event index an index that has been passed asks for nothing. */
	if (!queue->event_idx)
		store16(&queue->split.used->flags, USED_NO_NOTIFY);
	queue->armed = false;
}

/* Look for new entries. Return: 1; 0 (none, and a kick will come if @may_arm); -EPROTO. */
static int look(struct vloop_queue *queue, bool may_arm)
{
	struct split *s = &queue->split;

	for (;;) {
		/* Pairs with the driver's barrier before its index; virtio 1.3, 2.7.13.3. */
		s->seen_avail = le16toh(__atomic_load_n(&s->avail->idx, __ATOMIC_ACQUIRE));
		if (s->seen_avail != s->last_avail)
			break;
		if (!may_arm || queue->armed)
			return 0;
		arm(queue);
	}
	if ((uint16_t)(s->seen_avail - s->last_avail) > queue->size) {
		s->seen_avail = s->last_avail;
		return ring_error(queue, "available index jumped");
	}
	if (queue->armed)
		disarm(queue);
	return 1;
}

/* @table comes from the driver and may have any alignment when it is an indirect one. */
static int walk(struct vloop_queue *queue, struct vloop_req *req, const void *table, uint32_t num,
		uint16_t idx, bool nested)
{
	uint32_t left = num < CHAIN_MAX ? num : CHAIN_MAX;

	for (;;) {
		struct split_desc desc;
		uint16_t flags;
		int r;

		if (idx >= num)
			return ring_error(queue, "descriptor index out of range");
		if (left-- == 0)
			return ring_error(queue, "endless descriptor chain");
		copy_once(&desc, (const uint8_t *)table + (size_t)idx * sizeof(desc));
		flags = le16toh(desc.flags);
		if (flags & DESC_INDIRECT) {
			uint32_t len = le32toh(desc.len);
			const void *inner;

			if (nested || (flags & DESC_NEXT))
				return ring_error(queue, "indirect table inside of a chain");
			inner = ring_indirect(queue, le64toh(desc.addr), len);
			if (!inner)
				return -EPROTO;
			return walk(queue, req, inner, len / sizeof(desc), 0, true);
		}
		r = ring_add(queue, req, le64toh(desc.addr), le32toh(desc.len), flags & DESC_WRITE);
		if (r < 0)
			return r;
		if (!(flags & DESC_NEXT))
			return 0;
		idx = le16toh(desc.next);
	}
}

static int take(struct vloop_queue *queue, uint16_t head, struct vloop_req **ret_req)
{
	struct vloop_req *req;
	int r;

	if (head >= queue->size)
		return ring_error(queue, "descriptor index out of range");
	req = ring_begin(queue, head);
	if (!req)
		return ring_error(queue, "descriptor offered twice");
	r = walk(queue, req, queue->split.desc, queue->size, head, false);
	if (r < 0)
		return r;
	req->in_flight_ = 1;
	if (queue->inflight)
		inflight_taken(queue, head);
	*ret_req = req;
	return 0;
}

int split_pop(struct vloop_queue *queue, struct vloop_req **reqs, unsigned int max)
{
	struct split *s = &queue->split;
	unsigned int n = 0;
	int r = 0;

	while (n < max) {
		uint16_t head;

		if (queue->resubmit_next < queue->resubmit_num) {
			head = queue->resubmit[queue->resubmit_next++];
		} else {
			if (s->last_avail == s->seen_avail) {
				r = look(queue, n == 0);
				if (r <= 0)
					break;
			}
			/*
			 * What was completed is the driver's again only when the used index has
			 * been published: until then there is nothing that it could offer.
			 */
			if (queue->in_flight + n + (uint16_t)(s->used_idx - s->published) >=
			    queue->size) {
				r = ring_error(queue, "more requests than it has entries");
				break;
			}
			head = load16(&s->avail->ring[s->last_avail & (queue->size - 1)]);
			s->last_avail++;
		}
		r = take(queue, head, &reqs[n]);
		if (r < 0)
			break;
		n++;
	}
	/* What was taken before an error is the device's to complete; the next call fails. */
	return n ? (int)n : r;
}

void split_complete(struct vloop_queue *queue, const struct vloop_req *req, uint32_t written)
{
	struct split *s = &queue->split;
	struct split_used_elem *elem = &s->used->ring[s->used_idx & (queue->size - 1)];

	__atomic_store_n(&elem->id, htole32(req->id_), __ATOMIC_RELAXED);
	__atomic_store_n(&elem->len, htole32(written), __ATOMIC_RELAXED);
	s->used_idx++;
	if (queue->inflight)
		inflight_completed(queue, req->id_);
}

bool split_flush(struct vloop_queue *queue)
{
	struct split *s = &queue->split;
	uint16_t old = s->published, event;

	if (old == s->used_idx)
		return false;
	/* Data and elements before the index; virtio 1.3, 2.7.8. */
	__atomic_store_n(&s->used->idx, htole16(s->used_idx), __ATOMIC_RELEASE);
	s->published = s->used_idx;
	if (queue->inflight)
		inflight_published(queue);
	/* The index before the look at what the driver wants; virtio 1.3, 2.7.7.2. */
	atomic_thread_fence(memory_order_seq_cst);
	if (!queue->event_idx)
		return !(load16(&s->avail->flags) & AVAIL_NO_INTERRUPT);
	event = load16(&s->avail->ring[queue->size]);
	return need_event(event, s->used_idx, old);
}
