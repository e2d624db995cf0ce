// SPDX-License-Identifier: GPL-2.0-only
/*
 * Terminals (drivers/tty/hvc) whose console goes.
 *
 * When hvc's thread khvcd asks for input of a console that virtio_console has just forgotten, it hangs the
 * terminal up by a work of struct tty_struct, and puts its reference. The last reference to a terminal uses
 * the same work, and believes that it is free. If everybody else is gone by then, a work that is queued is
 * initialised again, and the kernel dies (6.1 to 7.2, seen on 6.12.117). So from before the driver forgets a
 * console until khvcd is done with it, open terminals are kept: of all consoles, since which one belongs to
 * which is hvc's secret.
 */
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/tty.h>

#include "vlb.h"

/* Documentation/admin-guide/devices.txt */
#define HVC_MAJOR	229

/* hvc has 8 (HVC_ALLOC_TTY_ADAPTERS, drivers/tty/hvc/hvc_console.h). */
#define TERMINALS_MAX	16

/* Only what a driver or khvcd does for longer is not waited for. */
#define PATIENCE	(10 * HZ)

/**
 * struct vlb_terminals - what was open at one moment
 * @node: in the list of the device
 * @queue: the driver forgets the console when it handles what it is given of this queue; or none that
 *	there is
 * @pushed: how much it was given of it then, see vlb_queue_handled()
 * @given: it was; before, @pushed is the least that it will be
 * @until: the end of all patience; a moment of jiffies
 * @num: entries of @tty
 * @tty: referenced
 */
struct vlb_terminals {
	struct llist_node node;
	unsigned int queue;
	u64 pushed;
	bool given;
	unsigned long until;
	unsigned int num;
	struct tty_struct *tty[TERMINALS_MAX];
};

/**
 * vlb_terminals_keep - the driver is about to forget a console
 * @vlb: the device
 * @queue: the driver does so when it handles what it is given next of this queue, and they are kept
 *	until then. If the device has no such queue: until vlb_terminals_release().
 *
 * May sleep. Where memory is short they are not kept.
 */
void vlb_terminals_keep(struct vlb_device *vlb, unsigned int queue)
{
	struct vlb_terminals *kept = kzalloc(sizeof(*kept), GFP_KERNEL_ACCOUNT);
	struct tty_struct *tty;
	unsigned int i;

	if (!kept)
		return;
	for (i = 0; i < TERMINALS_MAX; i++) {
		/* Takes a reference; opens nothing. */
		tty = tty_kopen_shared(MKDEV(HVC_MAJOR, i));
		if (IS_ERR(tty))
			break;
		if (tty)
			kept->tty[kept->num++] = tty;
	}
	if (!kept->num) {
		kfree(kept);
		return;
	}
	kept->queue = queue;
	kept->pushed = vlb_queue_pushed(vlb, queue) + 1;
	kept->until = jiffies + PATIENCE;
	if (queue < vlb->nqueues) {
		llist_add(&kept->node, &vlb->terminals);
		queue_work(vlb_slow_wq, &vlb->terminals_work);
	} else {
		llist_add(&kept->node, &vlb->terminals_at_reset);
	}
}

/* It has no terminal in its hands: with one it does not sleep, but for locks of PREEMPT_RT. */
static bool khvcd_rests(void)
{
	struct task_struct *task;
	bool rests = true;

	rcu_read_lock();
	for_each_process(task) {
		if (!(task->flags & PF_KTHREAD) || strcmp(task->comm, "khvcd"))
			continue;
		/* Pairs with set_current_state(): the work that it has queued is seen from here on. */
		rests = smp_load_acquire(&task->__state) & (TASK_NORMAL | TASK_FROZEN);
	}
	rcu_read_unlock();
	return rests;
}

/* More may follow, and more again: what is waited for is fixed when the first of it is there. */
static bool is_over(struct vlb_device *vlb, struct vlb_terminals *kept)
{
	u64 pushed = vlb_queue_pushed(vlb, kept->queue);
	unsigned int i;

	if (!kept->given && pushed >= kept->pushed) {
		kept->given = true;
		kept->pushed = pushed;
	}
	if (!vlb_queue_handled(vlb, kept->queue, kept->pushed) || !khvcd_rests())
		return false;
	for (i = 0; i < kept->num; i++)
		if (work_busy(&kept->tty[i]->hangup_work))
			return false;
	return true;
}

/*
 * Whoever reads a terminal into memory that does not come (FUSE) holds up its hanging up. Such a terminal
 * stays: one reference too many loses memory, one too few uses it twice.
 */
static void release(struct vlb_terminals *kept)
{
	unsigned int i;

	for (i = 0; i < kept->num; i++)
		if (!work_busy(&kept->tty[i]->hangup_work))
			tty_kref_put(kept->tty[i]);
	kfree(kept);
}

static void release_all(struct vlb_device *vlb, struct llist_node *all)
{
	struct vlb_terminals *kept, *next;

	llist_for_each_entry_safe(kept, next, all, node) {
		while (!is_over(vlb, kept) && time_before(jiffies, kept->until))
			usleep_range(1000, 1100);
		release(kept);
	}
}

static void release_fn(struct work_struct *work)
{
	struct vlb_device *vlb = container_of(work, struct vlb_device, terminals_work);

	release_all(vlb, llist_del_all(&vlb->terminals));
}

/**
 * vlb_terminals_release - the driver has forgotten its consoles
 * @vlb: the device, without queues
 *
 * May sleep, until khvcd is done with them, or for some seconds.
 */
void vlb_terminals_release(struct vlb_device *vlb)
{
	struct llist_node *at_reset = llist_del_all(&vlb->terminals_at_reset);
	struct vlb_terminals *kept;

	cancel_work_sync(&vlb->terminals_work);
	release_all(vlb, llist_del_all(&vlb->terminals));
	/* The driver may have taken its time since then. */
	llist_for_each_entry(kept, at_reset, node)
		kept->until = jiffies + PATIENCE;
	release_all(vlb, at_reset);
}

/**
 * vlb_terminals_init - a device of which nothing is kept
 * @vlb: the device
 */
void vlb_terminals_init(struct vlb_device *vlb)
{
	init_llist_head(&vlb->terminals);
	init_llist_head(&vlb->terminals_at_reset);
	INIT_WORK(&vlb->terminals_work, release_fn);
}
