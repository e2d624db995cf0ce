// SPDX-License-Identifier: GPL-2.0-only
/* From the driver's available ring to the back-end's. */
#include "trace.h"
#include "vlb.h"

/* The oldest request that the back-end does not have; false: there is none. */
static bool next_head(struct vlb_queue *q, u16 *ret_head, u64 *ret_seq)
{
	struct vring *vring = &q->vring;
	u16 avail, n;

	if (q->redo_pos < q->redo_num) {
		*ret_head = q->redo[q->redo_pos].head;
		*ret_seq = q->redo[q->redo_pos].seq;
		return true;
	}
	if (q->role->flags & VLB_ROLE_TOGETHER) {
		/* Pairs with vlb_queue_notified(). */
		avail = smp_load_acquire(&q->notified);
	} else {
		/* Pairs with the driver's barrier before it adds to it; virtio 1.3, 2.7.13.3.1. */
		avail = le16_to_cpu((__force __le16)smp_load_acquire(&vring->avail->idx));
	}
	n = avail - q->last_avail;
	/* A driver that takes back what it has made available lowers its index. */
	if (!n || n > vring->num)
		return false;
	*ret_head = le16_to_cpu((__force __le16)
				vring->avail->ring[q->last_avail & (vring->num - 1)]);
	*ret_seq = q->seq;
	return true;
}

static void consume_head(struct vlb_queue *q)
{
	if (q->redo_pos < q->redo_num) {
		q->redo_pos++;
	} else {
		q->last_avail++;
		q->seq++;
	}
}

/*
 * Take an id, descriptors and pages. -ENOSPC: not now, and q->stalled says so to whoever
 * frees some, under the same lock, so that no wake-up is lost. -EMSGSIZE: never.
 */
static int take_slot(struct vlb_queue *q, struct vlb_ring *ring, struct vlb_plan *plan)
{
	struct vlb_request *req;
	unsigned int i, ndesc;
	unsigned long flags;
	int nruns = -ENOSPC, id;
	u16 last;

	if (plan->npages > ring->arena.npages)
		return -EMSGSIZE;

	spin_lock_irqsave(&q->lock, flags);
	id = ring->free_head;
	req = &ring->requests[id];
	if (ring->nfree)
		nruns = vlb_arena_alloc(&ring->arena, plan->npages, req->runs);
	ndesc = ring->indirect ? 1 : plan->nsegs + max(nruns - 1, 0);
	if (nruns < 0 || ndesc > ring->nfree) {
		if (nruns > 0)
			vlb_arena_free(&ring->arena, req->runs, nruns);
		id = ring->nfree == ring->num ? -EMSGSIZE : -ENOSPC;
		q->stalled = id == -ENOSPC;
		spin_unlock_irqrestore(&q->lock, flags);
		return id;
	}
	req->ndesc = ndesc;
	req->nruns = nruns;
	last = id;
	for (i = 1; i < ndesc; i++)
		last = ring->next[last];
	ring->free_head = ring->next[last];
	ring->nfree -= ndesc;
	q->stalled = false;
	spin_unlock_irqrestore(&q->lock, flags);
	return id;
}

static void put_slot(struct vlb_queue *q, struct vlb_ring *ring, u16 id)
{
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	vlb_ring_free(ring, &ring->requests[id], id);
	spin_unlock_irqrestore(&q->lock, flags);
}

static void put_desc(struct vring_desc *desc, u64 addr, u32 len, u16 flags, u16 next)
{
	desc->addr = (__force __virtio64)cpu_to_le64(addr);
	desc->len = (__force __virtio32)cpu_to_le32(len);
	desc->flags = (__force __virtio16)cpu_to_le16(flags);
	desc->next = (__force __virtio16)cpu_to_le16(next);
}

static void put_descs(struct vlb_ring *ring, const struct vlb_plan *plan, u16 id)
{
	bool indirect = ring->indirect && plan->nsegs > 1;
	u32 table_off = ring->slots_off + id * VLB_SLOT_BYTES;
	struct vring_desc *table = indirect ? ring->pool + table_off : ring->desc;
	u16 at = indirect ? 0 : id;
	unsigned int i;

	for (i = 0; i < plan->nsegs; i++) {
		const struct vlb_seg *seg = &plan->seg[i];
		u16 flags = seg->write ? VRING_DESC_F_WRITE : 0;
		u16 next = 0;

		if (i + 1 < plan->nsegs) {
			flags |= VRING_DESC_F_NEXT;
			next = indirect ? at + 1 : ring->next[at];
		}
		put_desc(&table[at], ring->base + seg->off, seg->len, flags, next);
		at = next;
	}
	if (indirect)
		put_desc(&ring->desc[id], ring->base + table_off, plan->nsegs * sizeof(*table),
			 VRING_DESC_F_INDIRECT, 0);
}

/* Make the requests since the last time visible, and tell the back-end if it wants that. */
static void publish(struct vlb_queue *q, struct vlb_ring *ring)
{
	u16 old = ring->published, new = ring->avail_idx;
	u16 event, flags;

	if (old == new)
		return;
	ring->published = new;
	/* Descriptors and entries before the index; virtio 1.3, 2.7.13.3. */
	smp_store_release(&ring->avail->idx, (__force __virtio16)cpu_to_le16(new));
	WRITE_ONCE(ring->kick->offered, new);
	/* The index before the back-end's wish; virtio 1.3, 2.7.13.4. */
	smp_mb();
	if (ring->event_idx) {
		event = le16_to_cpu((__force __le16)
				    READ_ONCE(*(__virtio16 *)&ring->used->ring[ring->num]));
		if (!vring_need_event(event, new, old))
			return;
	} else {
		flags = le16_to_cpu((__force __le16)READ_ONCE(ring->used->flags));
		if (flags & VRING_USED_F_NO_NOTIFY)
			return;
	}
	q->stats.kicks++;
	vlb_kick_signal(ring->kick);
}

/* Give a posted request back. */
static void post(struct vlb_queue *q, u16 head)
{
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	vlb_queue_push_used(q, head, 0);
	spin_unlock_irqrestore(&q->lock, flags);
	vlb_queue_more(q);
}

/* The driver gets a request back that nobody will read. */
static void drop(struct vlb_queue *q, u16 head, u32 len)
{
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	q->stats.dropped++;
	q->stats.dropped_bytes += len;
	spin_unlock_irqrestore(&q->lock, flags);
	post(q, head);
}

/* The fact that a request is about, or -1. */
static int note(struct vlb_queue *q, u16 head)
{
	u32 len;
	u8 *piece = vlb_chain_piece(&q->vring, head, &len);

	return piece ? q->role->said(q->vlb, q->vlb->facts, piece, len) : -1;
}

/* The back-end may have it when it is published. */
static void offer(struct vlb_ring *ring, struct vlb_request *req, u16 id)
{
	/* Pairs with complete_one(). */
	smp_store_release(&req->live, true);
	ring->avail->ring[ring->avail_idx & (ring->num - 1)] =
		(__force __virtio16)cpu_to_le16(id);
	ring->avail_idx++;
}

/* The device's thread, or a process with nothing held: it takes all, and rests between requests. */
static bool may_rest(size_t left)
{
	return left >= VLB_REQUEST_MAX;
}

/*
 * Others leave failing to the thread: all that the driver could read is cleared. A driver that spins
 * has no other time than now, and little to be read.
 */
static bool may_fail(const struct vlb_queue *q, size_t left)
{
	return may_rest(left) || (q->role->flags & VLB_ROLE_SPIN);
}

/* Bytes that offering a request copies and clears. */
static size_t cost(const struct vlb_queue *q, const struct vlb_plan *plan)
{
	return plan->out_len + (q->role->flags & VLB_ROLE_CLEAR ? plan->in_len : 0);
}

/*
 * Offer one request. 0: it is offered, or answered as failed. -ENOSPC: no room now; a request that
 * its driver spins for never waits. -EAGAIN: more to copy or clear than this context may.
 */
static int submit_one(struct vlb_queue *q, struct vlb_ring *ring, u16 head, u64 seq,
		      size_t *left, size_t *unpublished)
{
	struct vlb_plan *plan = &q->plan;
	struct vlb_request *req;
	int id, fact = -1;
	bool posted, spin;
	unsigned int i;

	if (vlb_plan_build(plan, &q->vring, head)) {
		if (!may_fail(q, *left))
			return -EAGAIN;
		vlb_queue_fail(q, head);
		return 0;
	}
	posted = (q->role->flags & VLB_ROLE_POSTED) && !plan->in_len;
	spin = posted && (q->role->flags & VLB_ROLE_SPIN);
	if (q->role->said)
		fact = note(q, head);
	if (spin && plan->out_len > VLB_POSTED_MAX) {
		drop(q, head, plan->out_len);
		return 0;
	}
	if (cost(q, plan) > *left)
		return -EAGAIN;

	id = take_slot(q, ring, plan);
	if (id >= 0 && vlb_plan_place(plan, ring->slots_off + id * VLB_SLOT_BYTES + VLB_TABLE_BYTES,
				      ring->arena_off, ring->requests[id].runs,
				      ring->requests[id].nruns)) {
		put_slot(q, ring, id);
		id = -EMSGSIZE;
	}
	if (id < 0) {
		if (id == -ENOSPC && !spin)
			return id;
		if (fact >= 0) {
			__set_bit(fact, q->vlb->untold);
			post(q, head);
		} else if (posted) {
			drop(q, head, plan->out_len);
		} else {
			if (!may_fail(q, *left))
				return -EAGAIN;
			vlb_queue_fail(q, head);
		}
		return 0;
	}

	vlb_copy_out(plan, &q->vring, head, ring->pool, &ring->requests[id].at);
	if (plan->in_len && !(q->role->flags & VLB_ROLE_LEN))
		vlb_plan_preset(plan, ring->pool, q->role);
	put_descs(ring, plan, id);

	req = &ring->requests[id];
	req->seq = seq;
	req->head = head;
	req->posted = posted;
	req->in_len = plan->in_len;
	req->out_len = plan->out_len;
	req->nin = plan->nsegs - plan->nout;
	if (req->nin <= VLB_IN_KEPT)
		for (i = 0; i < req->nin; i++)
			req->in[i] = plan->seg[plan->nout + i];
	offer(ring, req, id);

	q->stats.requests++;
	if (q->redo_pos < q->redo_num)
		q->stats.reoffered++;
	q->stats.bytes_out += plan->out_len;
	*left -= cost(q, plan);
	*unpublished += plan->out_len;
	trace_vlb_submit(q, id, head, plan->out_len, plan->in_len);
	if (fact >= 0)
		__clear_bit(fact, q->vlb->untold);
	if (posted)
		post(q, head);
	return 0;
}

/* Offer a message that says what the driver has said. False: no room. */
static bool submit_fact(struct vlb_queue *q, struct vlb_ring *ring, unsigned int fact)
{
	struct vlb_plan plan = { .nsegs = 1, .nout = 1 };
	struct vlb_request *req;
	u8 bytes[VLB_FACT_BYTES];
	int id;

	plan.out_len = q->role->restate(fact, test_bit(fact, q->vlb->facts), bytes);
	plan.seg[0].len = plan.out_len;
	id = take_slot(q, ring, &plan);
	if (id < 0)
		return false;
	vlb_plan_place(&plan, ring->slots_off + id * VLB_SLOT_BYTES + VLB_TABLE_BYTES,
		       ring->arena_off, NULL, 0);
	memcpy(ring->pool + plan.seg[0].off, bytes, plan.out_len);
	put_descs(ring, &plan, id);
	req = &ring->requests[id];
	req->posted = true;
	req->in_len = 0;
	req->out_len = plan.out_len;
	req->nin = 0;
	q->stats.requests++;
	q->stats.bytes_out += plan.out_len;
	offer(ring, req, id);
	return true;
}

/**
 * vlb_submit_facts - tell the back-end what it does not know, and the driver does not say again
 * @q: a queue with such a role and a ring, with its post_lock
 *
 * What finds no room is said when there is some: q->stalled is set, and nothing is submitted after
 * it that would clear that.
 */
void vlb_submit_facts(struct vlb_queue *q)
{
	unsigned long *untold = q->vlb->untold;
	unsigned int fact;

	for_each_set_bit(fact, untold, VLB_FACTS) {
		if (!submit_fact(q, q->ring, fact))
			break;
		__clear_bit(fact, untold);
	}
	publish(q, q->ring);
}

/* Ask for the driver's next notification. True: a request came before it could see that. */
static bool ask_driver(struct vlb_queue *q)
{
	u16 head;
	u64 seq;

	if (!q->event_idx)
		return false;
	vring_avail_event(&q->vring) = (__force __virtio16)cpu_to_le16(q->last_avail);
	/* The wish before the second look at the index; virtio 1.3, 2.7.10. */
	smp_mb();
	return next_head(q, &head, &seq);
}

/*
 * Somebody waits for the gate, and this context ends its work. Not where the driver spins: there the gate is
 * not held, and a driver that is not asked for its next notification would spin for ever, on the one CPU
 * that who waits could run on.
 */
static bool is_wanted(const struct vlb_queue *q)
{
	return !(q->role->flags & VLB_ROLE_SPIN) && vlb_gate_wanted(&q->submit);
}

/* Without a back-end requests wait, or fail; where the driver spins they are lost. True: more. */
static bool submit_nowhere(struct vlb_queue *q, size_t limit)
{
	bool posted = q->role->flags & VLB_ROLE_POSTED;
	unsigned int budget = VLB_RUN_BUDGET;
	u16 head;
	u64 seq;

	if ((!q->failing && !(q->role->flags & VLB_ROLE_SPIN)) || vlb_queue_keeps(q))
		return false;
	if (!may_fail(q, limit))
		return true;
	do {
		while (next_head(q, &head, &seq)) {
			if (!budget--)
				return true;
			consume_head(q);
			if (q->role->said) {
				/* The next back-end is told what matters of it. */
				note(q, head);
				post(q, head);
			} else if (posted && !vlb_plan_build(&q->plan, &q->vring, head) &&
				   !q->plan.in_len) {
				drop(q, head, q->plan.out_len);
			} else {
				vlb_queue_fail(q, head);
			}
			if (may_rest(limit))
				cond_resched();
			if (is_wanted(q))
				return true;
		}
	} while (ask_driver(q));
	return false;
}

/**
 * vlb_submit - offer new requests to the back-end
 * @q: the queue, with its submit gate (where the driver spins: post_lock)
 * @limit: bytes that may be copied and cleared in this context, made less by what was; SIZE_MAX in
 *	one that can be preempted
 *
 * Waits for nothing. Requests that find no room stay in the driver's ring and go on when some is
 * freed. The work ends with the request at hand when somebody waits for the gate.
 *
 * Return: true if there is more to do, in the device's thread.
 */
bool vlb_submit(struct vlb_queue *q, size_t *limit)
{
	unsigned int budget = VLB_RUN_BUDGET;
	struct vlb_ring *ring = q->ring;
	size_t unpublished = 0;
	int err = 0;
	u16 head;
	u64 seq;

	if (!q->ready)
		return false;
	if (!ring)
		return submit_nowhere(q, *limit);

	do {
		while (budget && next_head(q, &head, &seq)) {
			err = submit_one(q, ring, head, seq, limit, &unpublished);
			if (err)
				break;
			consume_head(q);
			budget--;
			if (unpublished >= VLB_PUBLISH_BYTES) {
				publish(q, ring);
				unpublished = 0;
			}
			if (may_rest(*limit))
				cond_resched();
			if (is_wanted(q))
				budget = 0;
		}
		publish(q, ring);
		if (err == -ENOSPC) {
			q->stats.stalls++;
			return false;
		}
		if (err || !budget)
			return true;
	} while (ask_driver(q));
	return false;
}
