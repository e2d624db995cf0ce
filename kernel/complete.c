// SPDX-License-Identifier: GPL-2.0-only
/* From the back-end's used ring to the driver's. */
#include <linux/nospec.h>

#include "trace.h"
#include "vlb.h"

/* Requests given back to the driver under one lock. */
#define BATCH	16

/**
 * vlb_ring_free - give back what a request holds in its ring
 * @ring: the ring, with the lock of its queue
 * @req: the request
 * @id: its id
 */
void vlb_ring_free(struct vlb_ring *ring, struct vlb_request *req, u16 id)
{
	unsigned int i;
	u16 last = id;

	for (i = 1; i < req->ndesc; i++)
		last = ring->next[last];
	ring->next[last] = ring->free_head;
	ring->free_head = id;
	ring->nfree += req->ndesc;
	vlb_arena_free(&ring->arena, req->runs, req->nruns);
}

/* The back-end broke the rules; it is not listened to any more. */
static void break_ring(struct vlb_queue *q, const char *why, u32 value)
{
	q->ring->broken = true;
	dev_err_ratelimited(&q->vlb->dev, "queue %u: back-end %s (%u); device is broken\n",
			    q->index, why, value);
	vlb_device_break_async(q->vlb, VLB_BROKEN_RING);
}

/* Apart, for kernels that clear what functions have on the stack. */
static noinline_for_stack void copy_in_planned(struct vlb_queue *q, struct vlb_ring *ring, u16 id,
					       u32 len)
{
	struct vlb_request *req = &ring->requests[id];
	struct vlb_plan plan;

	/* The same chain and the same runs as at submission, which went well. */
	vlb_plan_build(&plan, &q->vring, req->head);
	vlb_plan_place(&plan, ring->slots_off + id * VLB_SLOT_BYTES + VLB_TABLE_BYTES,
		       ring->arena_off, req->runs, req->nruns);
	vlb_copy_in(&req->at, plan.seg + plan.nout, ring->pool, len);
}

static void copy_in(struct vlb_queue *q, struct vlb_ring *ring, u16 id, u32 len)
{
	struct vlb_request *req = &ring->requests[id];

	if (req->nin <= VLB_IN_KEPT)
		vlb_copy_in(&req->at, req->in, ring->pool, len);
	else
		copy_in_planned(q, ring, id, len);
}

/* The same with the second buffer, and with what was asked. */
static void mend(struct vlb_queue *q, const struct vlb_request *req)
{
	u32 asked_len, len;
	const u8 *asked = vlb_chain_piece(&q->vring, req->head, &asked_len);
	u8 *answer = vlb_at_next_piece(&req->at, &len);

	if (asked && answer)
		q->role->mend(asked, asked_len, answer, len);
}

/* What is not for the driver is taken away again; nobody else has seen the driver's buffer. */
static void show(struct vlb_queue *q, struct vlb_request *req, u32 len)
{
	const struct vlb_role *role = q->role;
	u32 have;
	u8 *piece = vlb_at_piece(&req->at, &have);

	if (!piece)
		return;
	if (role->seen(q->vlb, q->vlb->facts, piece, min(len, have), req->in_len)) {
		if (role->mend)
			mend(q, req);
		return;
	}
	memset(piece, 0, have);
	memcpy(piece, role->start, min_t(u32, have, role->nstart));
}

static bool is_early(struct vlb_queue *q, struct vlb_request *req, u32 len)
{
	const struct vlb_role *role = q->role;
	u32 have;
	u8 *piece;

	if (!role->early)
		return false;
	piece = vlb_at_piece(&req->at, &have);
	return piece && role->early(q->vlb->facts, piece, min(len, have));
}

/* Drivers take events whole; GPIO's forgets about a line whose event has another length. */
static bool is_event(const struct vlb_role *role)
{
	return (role->flags & VLB_ROLE_RX) && !(role->flags & VLB_ROLE_LEN);
}

/*
 * Check one used element, and copy what the device wrote to the driver. -EPROTO: the device is broken;
 * -EAGAIN: it is left for later.
 */
static int complete_one(struct vlb_queue *q, struct vlb_ring *ring, u16 *ret_id)
{
	const struct vring_used_elem *elem = &ring->used->ring[ring->used_idx & (ring->num - 1)];
	u32 id = le32_to_cpu((__force __le32)READ_ONCE(elem->id));
	u32 len = le32_to_cpu((__force __le32)READ_ONCE(elem->len));
	struct vlb_request *req;

	if (id >= ring->num) {
		break_ring(q, "completed an id out of range", id);
		return -EPROTO;
	}
	id = array_index_nospec(id, ring->num);
	req = &ring->requests[id];
	/* Pairs with submit_one(): what it wrote of the request is seen from here on. */
	if (!smp_load_acquire(&req->live)) {
		break_ring(q, "completed a request that it does not have", id);
		return -EPROTO;
	}
	WRITE_ONCE(req->live, false);
	*ret_id = id;
	if (req->posted)
		return 0;

	if (len > req->in_len) {
		q->stats.clamped++;
		len = req->in_len;
	}
	copy_in(q, ring, id, q->role->flags & VLB_ROLE_LEN ? len : req->in_len);
	if (is_early(q, req, len)) {
		WRITE_ONCE(req->live, true);
		return -EAGAIN;
	}
	if (q->role->seen)
		show(q, req, len);
	q->stats.bytes_in += len;
	req->written = is_event(q->role) ? req->in_len : len;
	trace_vlb_complete(q, id, req->head, len);
	return 0;
}

static void give_back(struct vlb_queue *q, struct vlb_ring *ring, const u16 *ids, unsigned int n)
{
	unsigned long flags;
	unsigned int i;

	spin_lock_irqsave(&q->lock, flags);
	for (i = 0; i < n; i++) {
		struct vlb_request *req = &ring->requests[ids[i]];

		if (!req->posted)
			vlb_queue_push_used(q, req->head, req->written);
		vlb_ring_free(ring, req, ids[i]);
	}
	spin_unlock_irqrestore(&q->lock, flags);
	q->stats.completed += n;
}

/**
 * vlb_complete - take what the back-end has finished
 * @q: the queue, with its complete gate and a ring
 * @budget: requests to take at most
 *
 * Preemptible. The caller calls the driver when q->callback is set. It may be a process that is
 * hardly ever let run: the work ends with the request at hand when somebody waits for the gate.
 *
 * Return: true if there is more.
 */
bool vlb_complete(struct vlb_queue *q, unsigned int budget)
{
	struct vlb_ring *ring = q->ring;
	u16 ids[BATCH];
	u16 used, left;
	int err = 0;

	if (ring->broken)
		return false;
	q->stats.calls++;
	for (;;) {
		/* Elements after the index; virtio 1.3, 2.7.14. */
		used = le16_to_cpu((__force __le16)smp_load_acquire(&ring->used->idx));
		left = used - ring->used_idx;
		if (left > ring->num) {
			break_ring(q, "moved its used index too far", left);
			return false;
		}
		if (!left) {
			if (!ring->event_idx)
				return false;
			/* Ask for the next call, then look again; virtio 1.3, 2.7.10. */
			*(__virtio16 *)&ring->avail->ring[ring->num] =
				(__force __virtio16)cpu_to_le16(ring->used_idx);
			/* The wish before the second look. */
			smp_mb();
			if (READ_ONCE(ring->used->idx) == (__force __virtio16)cpu_to_le16(used))
				return false;
			continue;
		}
		while (left) {
			unsigned int n;

			for (n = 0; n < BATCH && left; n++, left--) {
				if (vlb_gate_wanted(&q->complete))
					break;
				err = complete_one(q, ring, &ids[n]);
				if (err)
					break;
				ring->used_idx++;
			}
			give_back(q, ring, ids, n);
			WRITE_ONCE(ring->kick->taken, ring->used_idx);
			if (err)
				return false;
			cond_resched();
			if (budget <= n || vlb_gate_wanted(&q->complete))
				return true;
			budget -= n;
		}
	}
}
