// SPDX-License-Identifier: GPL-2.0-only
/* The time-out of a queue whose driver waits for answers, maybe with a lock that others need. */
#include <linux/jiffies.h>
#include <linux/workqueue.h>

#include "vlb.h"

/* From now on, a time-out without an answer is too long if somebody waits for one already. */
static void arm_watch(struct vlb_queue *q, bool waited)
{
	lockdep_assert_held(&q->lock);
	q->watching = true;
	q->watch_pushed = q->pushed;
	q->watch_waited = waited;
	q->watch_sleeps = READ_ONCE(vlb_sleeps);
	q->watch_asleep = READ_ONCE(vlb_asleep);
	queue_delayed_work(vlb_wq, &q->watch, msecs_to_jiffies(q->vlb->timeout_ms));
}

/*
 * Who is asleep is not silent. But where a driver waits with a lock that others need, a whole
 * period on the way into sleep is too long all the same: the machine may be waiting for that lock
 * itself.
 */
static bool has_slept(const struct vlb_queue *q)
{
	if (q->watch_sleeps != READ_ONCE(vlb_sleeps))
		return true;
	return READ_ONCE(vlb_asleep) &&
	       !(q->watch_asleep && (READ_ONCE(q->role)->flags & VLB_ROLE_WATCHDOG));
}

/*
 * Where something came back the next period decides, even if nothing is out now: whoever offers
 * requests may find one more, of which the driver does not notify.
 */
static void watch_fn(struct work_struct *work)
{
	struct vlb_queue *q = container_of(work, struct vlb_queue, watch.work);
	bool waits = false, moved = false, silent;

	spin_lock_irq(&q->lock);
	if (q->ready && !q->failing) {
		waits = le16_to_cpu((__force __le16)READ_ONCE(q->vring.avail->idx)) != q->used_idx;
		moved = q->pushed != q->watch_pushed;
	}
	silent = waits && q->watch_waited && !moved && !has_slept(q);
	q->watching = false;
	if (!silent && (waits || moved))
		arm_watch(q, waits);
	spin_unlock_irq(&q->lock);

	if (silent)
		vlb_device_break(q->vlb, VLB_BROKEN_TIMEOUT);
}

/**
 * vlb_watch_init - set up the watch of a queue
 * @q: the queue, on which nothing was made available yet
 */
void vlb_watch_init(struct vlb_queue *q)
{
	INIT_DELAYED_WORK(&q->watch, watch_fn);
}

/**
 * vlb_watch - bound the time that a driver waits on this queue, where the role asks for it
 * @q: a queue on which a request was just made available
 *
 * Any context. The device breaks when nothing was completed for its time-out.
 */
void vlb_watch(struct vlb_queue *q)
{
	u8 watched = q->vlb->privileged ? VLB_ROLE_WATCHDOG :
					  VLB_ROLE_WATCHDOG | VLB_ROLE_WATCH_USERS;
	unsigned long flags;

	if (!(READ_ONCE(q->role)->flags & watched))
		return;
	spin_lock_irqsave(&q->lock, flags);
	/* The work may be on its way, and is to find what it was armed with. */
	if (!q->watching)
		arm_watch(q, true);
	spin_unlock_irqrestore(&q->lock, flags);
}

/**
 * vlb_watch_stop - end the watch of a queue
 * @q: a queue that no driver uses any more
 *
 * Sleeps until the work has ended.
 */
void vlb_watch_stop(struct vlb_queue *q)
{
	cancel_delayed_work_sync(&q->watch);
	q->watching = false;
}
