// SPDX-License-Identifier: GPL-2.0-only
/*
 * A virtqueue: its gates, the driver's used ring, and the change from one session to the next.
 */
#include <linux/bitmap.h>
#include <linux/bottom_half.h>
#include <linux/delay.h>
#include <linux/irqflags.h>
#include <linux/jiffies.h>
#include <linux/rcupdate.h>
#include <linux/sort.h>
#include <linux/virtio_config.h>

#include "trace.h"
#include "vlb.h"

/* Requests for a gate's work that one context answers; a storm of them goes to the thread. */
#define ROUNDS_MAX	8

static void gate_init(struct vlb_gate *gate)
{
	gate->bits = 0;
	init_waitqueue_head(&gate->wait);
}

/*
 * Ask for the gate's work to be done. True: the caller is in and does it, until gate_leave()
 * returns false. False: somebody else is in and will see the request. The barriers order
 * "PENDING is set, RUN is looked at" here against "RUN is cleared, PENDING is looked at" there.
 * Who waits for the gate has precedence: vlb_queue_thaw() sees to the request.
 */
static bool gate_enter(struct vlb_gate *gate)
{
	set_bit(VLB_GATE_PENDING, &gate->bits);
	/* See above. */
	smp_mb__after_atomic();
	if (test_bit(VLB_GATE_WAIT, &gate->bits) ||
	    test_and_set_bit_lock(VLB_GATE_RUN, &gate->bits))
		return false;
	clear_bit(VLB_GATE_PENDING, &gate->bits);
	/* What was asked for before is seen by the work; what comes after sets the bit again. */
	smp_mb__after_atomic();
	return true;
}

static void gate_unlock(struct vlb_gate *gate)
{
	clear_bit_unlock(VLB_GATE_RUN, &gate->bits);
	/* Pairs with gate_enter() and gate_lock(). */
	smp_mb__after_atomic();
	if (test_bit(VLB_GATE_WAIT, &gate->bits))
		wake_up(&gate->wait);
}

/* True: there is new work, and the caller is in again to do it. */
static bool gate_leave(struct vlb_gate *gate)
{
	gate_unlock(gate);
	return test_bit(VLB_GATE_PENDING, &gate->bits) && gate_enter(gate);
}

/* Sleeps until the gate is free; vlb->lock makes the caller the only one that waits. */
static void gate_lock(struct vlb_gate *gate)
{
	set_bit(VLB_GATE_WAIT, &gate->bits);
	/* WAIT is set, then RUN is looked at; gate_unlock() does it the other way round. */
	smp_mb__after_atomic();
	wait_event(gate->wait, !test_and_set_bit_lock(VLB_GATE_RUN, &gate->bits));
	clear_bit(VLB_GATE_WAIT, &gate->bits);
}

/**
 * vlb_queue_more - let the device's thread go on
 * @q: the queue, without its locks; after leaving a gate, so that the thread finds it free
 *
 * Any context. Does nothing once the device is removed.
 */
void vlb_queue_more(struct vlb_queue *q)
{
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	if (q->has_thread)
		kthread_queue_work(q->vlb->worker, &q->work);
	spin_unlock_irqrestore(&q->lock, flags);
}

static bool spins(const struct vlb_queue *q)
{
	return READ_ONCE(q->role)->flags & VLB_ROLE_SPIN;
}

static bool submit_spin(struct vlb_queue *q)
{
	size_t limit = VLB_POSTED_MAX;
	unsigned long flags;
	bool more;

	spin_lock_irqsave(&q->post_lock, flags);
	more = vlb_submit(q, &limit);
	if (q->role->said && q->ready && q->ring)
		vlb_submit_facts(q);
	spin_unlock_irqrestore(&q->post_lock, flags);
	return more;
}

/**
 * vlb_queue_submit - hand the driver's new requests to the back-end
 * @q: the queue
 * @limit: bytes that may be copied and cleared here, SIZE_MAX in a context that can be preempted;
 *	the device's thread sees to the rest
 *
 * Any context.
 */
void vlb_queue_submit(struct vlb_queue *q, size_t limit)
{
	unsigned int rounds = 0;
	bool more;

	if (spins(q)) {
		more = submit_spin(q);
	} else {
		if (!gate_enter(&q->submit))
			return;
		do {
			if (READ_ONCE(q->gate_closed)) {
				gate_unlock(&q->submit);
				more = spins(q) && submit_spin(q);
				break;
			}
			more = vlb_submit(q, &limit) || ++rounds == ROUNDS_MAX;
			if (more)
				gate_unlock(&q->submit);
		} while (!more && gate_leave(&q->submit));
	}
	if (more)
		vlb_queue_more(q);
}

/**
 * vlb_queue_notified - the driver has made all requests available that belong together
 * @q: a queue with VLB_ROLE_TOGETHER, from its notify()
 *
 * Its ring shows them one by one, and the device's thread may look at any time: what came back
 * before the last of them was there would be the driver's first word of them.
 */
void vlb_queue_notified(struct vlb_queue *q)
{
	unsigned long flags;
	u16 avail;

	spin_lock_irqsave(&q->lock, flags);
	/* As next_head() reads it elsewhere. */
	avail = le16_to_cpu((__force __le16)smp_load_acquire(&q->vring.avail->idx));
	/* Pairs with next_head(). */
	smp_store_release(&q->notified, avail);
	spin_unlock_irqrestore(&q->lock, flags);
}

/**
 * vlb_queue_change_role - a queue's driver behaves in another way from now on
 * @vlb: its device
 * @index: its number; one that the device does not have is ignored
 * @role: with VLB_ROLE_SPIN; the queue's role is VLB_ROLE_POSTED or this one already
 *
 * May sleep, with the gate of another queue. From the return on no request is left in the driver's
 * ring: a driver that spins takes the first one that comes back for its own.
 */
void vlb_queue_change_role(struct vlb_device *vlb, unsigned int index,
			   const struct vlb_role *role)
{
	struct vlb_queue *q;

	if (index >= vlb->nqueues)
		return;
	q = &vlb->queues[index];
	if (q->role == role || !(q->role->flags & VLB_ROLE_POSTED))
		return;
	WRITE_ONCE(q->gate_closed, true);
	/* Who enters the gate after this leaves again; who is in goes on for a short while. */
	smp_mb();
	while (test_bit_acquire(VLB_GATE_RUN, &q->submit.bits))
		usleep_range(20, 100);
	/* What nobody did meanwhile is done here. */
	WRITE_ONCE(q->role, role);
	while (submit_spin(q))
		cond_resched();
}

/* No room for one more request of such a driver: at most a page, in one piece. */
static bool is_full(struct vlb_queue *q)
{
	bool full;

	spin_lock(&q->lock);
	full = q->ring && !(q->ring->nfree && q->ring->arena.nfree);
	spin_unlock(&q->lock);
	return full;
}

static void refuse(struct vlb_queue *q, bool on)
{
	q->refusing = on;
	q->vq->num_free += on ? -q->vring.num : q->vring.num;
}

/* The driver has nothing in its ring but the request that it spins for. */
static bool may_refuse(struct vlb_queue *q)
{
	return q->refusing || q->vq->num_free == q->vring.num - 1;
}

/**
 * vlb_queue_pace - make the driver find its ring full while the backlog is
 * @q: a queue with VLB_ROLE_REFUSE, from its notify(): under the driver's lock
 *
 * What is in the backlog has been given back, so the driver never sees its ring fill up. Here
 * the number of free entries, which only the driver changes otherwise, and under that same
 * lock, is lowered by the size of the ring: the driver, that has one request at a time, finds
 * none free, keeps its bytes and comes again; virtio_ring then calls notify() though nothing
 * was added (virtqueue_add(), "for historical reasons"). When the back-end has taken nothing
 * for the device's time-out, requests are taken, and dropped, until it goes on.
 */
void vlb_queue_pace(struct vlb_queue *q)
{
	unsigned long limit = msecs_to_jiffies(q->vlb->timeout_ms);
	u64 completed = READ_ONCE(q->stats.completed);
	unsigned long flags;
	bool full;

	spin_lock_irqsave(&q->post_lock, flags);
	q->spun = true;
	if (!q->ready)
		goto unlock;
	full = is_full(q);
	if (!full || (!q->refusing && !q->dropping) || q->full_completed != completed) {
		q->full_since = jiffies;
		q->full_completed = completed;
		q->dropping = false;
	}
	if (full && time_after(jiffies, q->full_since + limit))
		q->dropping = true;
	if (q->refusing != (full && !q->dropping) && may_refuse(q)) {
		refuse(q, !q->refusing);
		q->stats.stalls += q->refusing;
	}
unlock:
	spin_unlock_irqrestore(&q->post_lock, flags);
}

/**
 * vlb_queues_unspin - put the rings of drivers that spin in order
 * @vlb: its device, locked; its queues are not ready
 *
 * The driver has broken its queues and goes. On another CPU it may be in the middle of adding or
 * taking back a request, with preemption off at least; new ones it cannot add. What
 * vlb_queue_pace() took is given back. And a driver that finds its queue broken while it spins
 * leaves its request, and frees or uses again what it named it by: it would take that for one of
 * its buffers and free it when it looks for those in the ring (remove_vqs(), virtio_console.c).
 * Whoever spins has taken back all others, so it is alone in the ring. (A port for programs that became
 * a console may have one buffer there instead, if a program still writes to it. That one is lost.)
 */
void vlb_queues_unspin(struct vlb_device *vlb)
{
	bool any = false;
	unsigned int i;

	for (i = 0; i < vlb->nqueues; i++)
		any |= vlb->queues[i].vq && spins(&vlb->queues[i]);
	if (!any)
		return;
	synchronize_rcu();
	for (i = 0; i < vlb->nqueues; i++) {
		struct vlb_queue *q = &vlb->queues[i];

		if (!q->vq || !spins(q))
			continue;
		if (q->refusing)
			refuse(q, false);
		q->dropping = false;
		if (q->vq->num_free == q->vring.num - 1 &&
		    (q->spun || !(q->role->flags & VLB_ROLE_REFUSE)))
			virtqueue_detach_unused_buf(q->vq);
	}
}

/* The driver is told of all that was pushed, if it wants to be. */
static bool wants_call(struct vlb_queue *q)
{
	struct vring *vring = &q->vring;
	u16 old, new;

	WRITE_ONCE(q->callback, false);
	/*
	 * Who pushes after this sets the flag again. Also the used index before the driver's wish;
	 * virtio 1.3, 2.7.10.
	 */
	smp_mb();
	old = q->signalled;
	new = READ_ONCE(q->used_idx);
	q->signalled = new;
	if (q->event_idx)
		return vring_need_event(le16_to_cpu((__force __le16)
						    READ_ONCE(vring_used_event(vring))),
					new, old);
	return !(le16_to_cpu((__force __le16)READ_ONCE(vring->avail->flags)) &
		 VRING_AVAIL_F_NO_INTERRUPT);
}

/*
 * Drivers expect their callback as from an interrupt: softirqs off, and interrupts off where
 * the kernel is not PREEMPT_RT, for the callback alone (kernel/irq/manage.c does so for
 * handlers that are forced into threads).
 */
static void call_driver(struct vlb_queue *q)
{
	unsigned long flags = 0;

	local_bh_disable();
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		local_irq_save(flags);
	/* vlb_queues_call_no_more() waits for who has not seen it here. */
	if (!READ_ONCE(q->quiet) && wants_call(q))
		vring_interrupt(0, q->vq);
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		local_irq_restore(flags);
	local_bh_enable();
}

/**
 * vlb_queue_complete - take what the back-end has finished
 * @q: the queue
 *
 * Process context, interrupts on: called by the back-end's write to its call descriptor, or
 * by the device's thread.
 */
void vlb_queue_complete(struct vlb_queue *q)
{
	unsigned int rounds = 0;
	bool more = false;

	if (!gate_enter(&q->complete))
		return;
	do {
		if (q->ready && q->ring)
			more = vlb_complete(q, VLB_RUN_BUDGET);
		if (q->ready && READ_ONCE(q->callback))
			call_driver(q);
		more = more || ++rounds == ROUNDS_MAX;
		if (more)
			gate_unlock(&q->complete);
	} while (!more && gate_leave(&q->complete));
	if (more)
		vlb_queue_more(q);

	/* Slots are free again, and the driver will not ask a second time. */
	if (READ_ONCE(q->stalled))
		vlb_queue_submit(q, SIZE_MAX);
}

/* Rests of 20 to 100 us; that long in all only if the back-end floods the other queue. */
#define CATCH_UP_RESTS	1000

/**
 * vlb_queue_catch_up - give the driver what the back-end has finished on another queue
 * @vlb: its device
 * @index: the queue's number; one that the device does not have is ignored
 *
 * May sleep, with the gates of one other queue. A device that shares its rings with the driver shows
 * what it does in the order in which it does it, whatever the queues. Here each queue is completed
 * by itself, so where a driver relies on the order the other queue goes first.
 */
void vlb_queue_catch_up(struct vlb_device *vlb, unsigned int index)
{
	struct vlb_queue *q;
	bool more = true;
	unsigned int i;

	if (index >= vlb->nqueues)
		return;
	q = &vlb->queues[index];
	for (i = 0; i < CATCH_UP_RESTS && more; i++) {
		if (i)
			usleep_range(20, 100);
		if (!gate_enter(&q->complete))
			continue;
		/* Where somebody waits for the gate, it may have ended before it began. */
		more = q->ready && q->ring && vlb_complete(q, VLB_RUN_BUDGET) &&
		       vlb_gate_wanted(&q->complete);
		gate_unlock(&q->complete);
		/* Calls the driver, and sees to who found the gate taken. */
		vlb_queue_more(q);
	}
}

/**
 * vlb_queue_in_use - does the driver have a queue?
 * @vlb: its device, of which another queue is ready
 * @index: the queue's number
 *
 * Return: false also where the device does not have it.
 */
bool vlb_queue_in_use(struct vlb_device *vlb, unsigned int index)
{
	return index < vlb->nqueues && vlb->queues[index].vq;
}

/**
 * vlb_queues_call - the driver may be called for queues from now on
 * @vlb: its device
 * @first: the number of the first one
 * @n: how many; those that the device does not have are ignored
 *
 * Any context. Some drivers take what is in a queue that they do not know for nobody's: they free it,
 * with no lock against those who work on the queue at that moment because they know it already, or
 * still (in_intr() and out_intr() of virtio_console.c). Until this is called a queue with
 * VLB_ROLE_KNOWN or VLB_ROLE_PROBED is filled and emptied as always, but the driver does not hear of it.
 */
void vlb_queues_call(struct vlb_device *vlb, unsigned int first, unsigned int n)
{
	unsigned int i;

	for (i = first; i < first + n && i < vlb->nqueues; i++) {
		WRITE_ONCE(vlb->queues[i].quiet, false);
		vlb_queue_more(&vlb->queues[i]);
	}
}

/**
 * vlb_queues_call_no_more - do not call the driver for queues
 * @vlb: its device
 * @first: the number of the first one
 * @n: how many; those that the device does not have are ignored
 *
 * May sleep, with the gates of another queue. From the return on no call is running.
 */
void vlb_queues_call_no_more(struct vlb_device *vlb, unsigned int first, unsigned int n)
{
	unsigned int i;

	for (i = first; i < first + n && i < vlb->nqueues; i++)
		WRITE_ONCE(vlb->queues[i].quiet, true);
	/* For call_driver(), which has interrupts or at least softirqs off from its look at the flag on. */
	synchronize_rcu();
}

/* How often it is looked whether a probe has ended. */
#define PROBED_POLL_MS	10

/* device_is_bound(), which Linux 6.1 does not export. */
static bool is_bound(const struct device *dev)
{
	return READ_ONCE(dev->links.status) == DL_DEV_DRIVER_BOUND;
}

/**
 * vlb_probed_fn - let the driver be called once it is bound
 * @work: the device's probed_work
 *
 * The driver core tells the transport of nothing after DRIVER_OK, which comes in the middle of the probe.
 */
void vlb_probed_fn(struct work_struct *work)
{
	struct vlb_device *vlb = container_of(work, struct vlb_device, probed_work.work);
	unsigned int i;

	mutex_lock(&vlb->lock);
	for (i = 0; vlb->status & VIRTIO_CONFIG_S_DRIVER_OK && i < vlb->nqueues; i++) {
		struct vlb_queue *q = &vlb->queues[i];

		if (!q->vq || !q->quiet || !(READ_ONCE(q->role)->flags & VLB_ROLE_PROBED))
			continue;
		if (is_bound(&vlb->vdev.dev)) {
			vlb_queues_call(vlb, i, 1);
			continue;
		}
		queue_delayed_work(vlb_wq, &vlb->probed_work, msecs_to_jiffies(PROBED_POLL_MS));
		break;
	}
	mutex_unlock(&vlb->lock);
}

static void queue_work_fn(struct kthread_work *work)
{
	struct vlb_queue *q = container_of(work, struct vlb_queue, work);

	vlb_queue_submit(q, SIZE_MAX);
	vlb_queue_complete(q);
}

/**
 * vlb_queue_push_used - give a request back to the driver
 * @q: the queue, q->lock held
 * @head: the request
 * @len: bytes written
 *
 * The driver is called from vlb_queue_complete() only; who pushes elsewhere queues q->work.
 */
void vlb_queue_push_used(struct vlb_queue *q, u16 head, u32 len)
{
	struct vring_used *used = q->vring.used;
	struct vring_used_elem *elem = &used->ring[q->used_idx & (q->vring.num - 1)];

	elem->id = (__force __virtio32)cpu_to_le32(head);
	elem->len = (__force __virtio32)cpu_to_le32(len);
	WRITE_ONCE(q->used_idx, q->used_idx + 1);
	q->pushed++;
	/* It is in its place already; the driver sees it with the last one. */
	if ((q->role->flags & VLB_ROLE_TOGETHER) && q->used_idx != q->notified)
		return;
	/* The element before the index; virtio 1.3, 2.7.8.2. */
	smp_store_release(&used->idx, (__force __virtio16)cpu_to_le16(q->used_idx));
	/* Pairs with call_driver(), which reads @used_idx once it has seen the flag. */
	smp_store_release(&q->callback, true);
}

/**
 * vlb_queue_pushed - how much the driver has been given back, ever
 * @vlb: its device
 * @index: the queue's number
 *
 * Return: 0 for a queue that the device does not have.
 */
u64 vlb_queue_pushed(struct vlb_device *vlb, unsigned int index)
{
	struct vlb_queue *q;
	unsigned long flags;
	u64 pushed;

	if (index >= vlb->nqueues)
		return 0;
	q = &vlb->queues[index];
	spin_lock_irqsave(&q->lock, flags);
	pushed = q->pushed;
	spin_unlock_irqrestore(&q->lock, flags);
	return pushed;
}

/**
 * vlb_queue_handled - has the driver handled what it was given?
 * @vlb: its device
 * @index: the number of a queue that the driver has filled with buffers of one entry each; it handles them
 *	in order, and puts each back
 * @pushed: the first so many that it was given, see vlb_queue_pushed()
 *
 * Return: true also where it handles nothing any more, or has no such queue.
 */
bool vlb_queue_handled(struct vlb_device *vlb, unsigned int index, u64 pushed)
{
	bool handled = true;
	unsigned long flags;
	struct vlb_queue *q;
	u16 there;

	if (index >= vlb->nqueues)
		return true;
	q = &vlb->queues[index];
	spin_lock_irqsave(&q->post_lock, flags);
	if (q->vq && q->ready) {
		spin_lock(&q->lock);
		there = le16_to_cpu((__force __le16)READ_ONCE(q->vring.avail->idx)) - q->used_idx;
		handled = q->pushed - (u16)(q->vring.num - there) >= pushed;
		spin_unlock(&q->lock);
	}
	spin_unlock_irqrestore(&q->post_lock, flags);
	return handled;
}

/**
 * vlb_queue_fail - answer a request as failed
 * @q: the queue, with its submit gate (or post_lock), or frozen
 * @head: the request
 */
void vlb_queue_fail(struct vlb_queue *q, u16 head)
{
	u32 len = vlb_chain_fail(&q->vring, head, q->role);
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	vlb_queue_push_used(q, head, len);
	q->stats.failed++;
	spin_unlock_irqrestore(&q->lock, flags);
	vlb_queue_more(q);
}

/**
 * vlb_queue_init - set up a queue that no driver uses yet
 * @q: zeroed
 * @vlb: its device
 * @index: its number
 */
void vlb_queue_init(struct vlb_queue *q, struct vlb_device *vlb, unsigned int index)
{
	q->vlb = vlb;
	q->index = index;
	q->role = vlb->type->role(index, vlb->nqueues, 0);
	q->has_thread = true;
	gate_init(&q->submit);
	gate_init(&q->complete);
	spin_lock_init(&q->post_lock);
	spin_lock_init(&q->lock);
	kthread_init_work(&q->work, queue_work_fn);
	vlb_watch_init(q);
}

/**
 * vlb_queue_freeze - keep everybody out of a queue
 * @q: the queue, vlb->lock held
 *
 * From the return on nobody submits, completes or calls the driver. Sleeps for runs, which end with the
 * request at hand when they are waited for. That of a console's control queue may itself wait for runs
 * of other queues, for a grace period of RCU, for memory, and for whoever makes or ends a terminal. Where
 * the driver spins, changes are made under post_lock as well.
 */
void vlb_queue_freeze(struct vlb_queue *q)
{
	gate_lock(&q->complete);
	gate_lock(&q->submit);
}

/**
 * vlb_queue_thaw - let everybody in again
 * @q: the queue, vlb->lock held
 */
void vlb_queue_thaw(struct vlb_queue *q)
{
	gate_unlock(&q->submit);
	gate_unlock(&q->complete);
	vlb_queue_more(q);
}

/**
 * vlb_queue_attach - give a queue its ring to a back-end
 * @q: frozen
 * @ring: of the session that starts
 */
void vlb_queue_attach(struct vlb_queue *q, struct vlb_ring *ring)
{
	unsigned long flags;

	spin_lock_irqsave(&q->post_lock, flags);
	q->ring = ring;
	q->failing = false;
	q->stalled = false;
	if (q->role->said) {
		bitmap_copy(q->vlb->untold, q->vlb->facts, VLB_FACTS);
		vlb_submit_facts(q);
	}
	spin_unlock_irqrestore(&q->post_lock, flags);
}

static int redo_cmp(const void *a, const void *b)
{
	const struct vlb_redo *x = a, *y = b;

	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* A request that the driver has back already, and the back-end will not read. */
static void count_unread(struct vlb_queue *q, const struct vlb_request *req)
{
	unsigned long flags;

	/* What is said again is not lost. */
	if (q->role->said)
		return;
	spin_lock_irqsave(&q->lock, flags);
	q->stats.dropped++;
	q->stats.dropped_bytes += req->out_len;
	spin_unlock_irqrestore(&q->lock, flags);
}

/**
 * vlb_queue_keeps - do requests wait for a back-end, whatever happens?
 * @q: the queue, with a gate or frozen
 *
 * Return: true if no request of it may fail.
 */
bool vlb_queue_keeps(const struct vlb_queue *q)
{
	return (q->role->flags & VLB_ROLE_RX) && !READ_ONCE(q->vlb->ending);
}

/* Collect what the back-end has not finished, with what it was not even offered again. */
static void collect_rest(struct vlb_queue *q, struct vlb_ring *ring, enum vlb_rest rest)
{
	bool again = vlb_queue_keeps(q) ||
		     (rest == VLB_REST_OFFER && q->vlb->type->reoffer);
	unsigned int id, n = q->redo_num - q->redo_pos;

	memmove(q->redo, q->redo + q->redo_pos, n * sizeof(*q->redo));
	for (id = 0; id < ring->num; id++) {
		struct vlb_request *req = &ring->requests[id];

		if (!req->live)
			continue;
		req->live = false;
		if (req->posted) {
			count_unread(q, req);
		} else if (again) {
			q->redo[n].seq = req->seq;
			q->redo[n++].head = req->head;
		} else {
			vlb_queue_fail(q, req->head);
			cond_resched();
		}
	}
	sort(q->redo, n, sizeof(*q->redo), redo_cmp, NULL);
	q->redo_pos = 0;
	q->redo_num = n;
}

/**
 * vlb_queue_detach - take a queue's ring away from its back-end
 * @q: frozen
 * @rest: what becomes of unfinished requests, and of those that come
 */
void vlb_queue_detach(struct vlb_queue *q, enum vlb_rest rest)
{
	struct vlb_ring *ring = q->ring;
	unsigned long flags;

	spin_lock_irqsave(&q->post_lock, flags);
	q->ring = NULL;
	q->stalled = false;
	q->failing = rest == VLB_REST_FAIL;
	if (rest == VLB_REST_FORGET) {
		q->redo_pos = 0;
		q->redo_num = 0;
	}
	spin_unlock_irqrestore(&q->post_lock, flags);

	if (ring && rest != VLB_REST_FORGET)
		collect_rest(q, ring, rest);
}
