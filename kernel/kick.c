// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kick descriptors: how a back-end learns that there are requests.
 *
 * An eventfd keeps each kick until somebody reads it, also when the back-end was at work and has
 * found the request by itself meanwhile. When it comes to rest it pays for that: poll() returns
 * at once, the count is read, the ring is empty. The usual kick descriptor is therefore a
 * file of this module's, which knows that a kick is out of date when all that was offered has
 * come back. For back-ends that hand it to somebody in the kernel who insists on an eventfd (KVM,
 * vhost) there are eventfds.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "vlb.h"

/* As an eventfd's. */
#define COUNT_MAX	(U64_MAX - 1)

/**
 * vlb_kick_new - a kick with a file of this module's
 *
 * Return: a reference, or an error.
 */
struct vlb_kick *vlb_kick_new(void)
{
	struct vlb_kick *kick = kzalloc(sizeof(*kick), GFP_KERNEL_ACCOUNT);

	if (!kick)
		return ERR_PTR(-ENOMEM);
	kref_init(&kick->ref);
	init_waitqueue_head(&kick->wait);
	return kick;
}

/**
 * vlb_kick_new_eventfd - a kick that signals an eventfd
 * @fd: of the caller's
 *
 * Return: a reference, or an error.
 */
struct vlb_kick *vlb_kick_new_eventfd(int fd)
{
	struct vlb_kick *kick = vlb_kick_new();
	struct eventfd_ctx *eventfd;

	if (IS_ERR(kick))
		return kick;
	eventfd = eventfd_ctx_fdget(fd);
	if (IS_ERR(eventfd)) {
		vlb_kick_put(kick);
		return ERR_CAST(eventfd);
	}
	kick->eventfd = eventfd;
	return kick;
}

static void kick_free(struct kref *ref)
{
	struct vlb_kick *kick = container_of(ref, struct vlb_kick, ref);

	if (kick->eventfd)
		eventfd_ctx_put(kick->eventfd);
	kfree(kick);
}

/**
 * vlb_kick_put - give up a reference
 * @kick: the kick
 */
void vlb_kick_put(struct vlb_kick *kick)
{
	kref_put(&kick->ref, kick_free);
}

static void add(struct vlb_kick *kick, u64 n, bool forced)
{
	unsigned long flags;

	spin_lock_irqsave(&kick->wait.lock, flags);
	WRITE_ONCE(kick->count, kick->count + min(n, COUNT_MAX - kick->count));
	if (forced)
		WRITE_ONCE(kick->forced, true);
	/* With its lock. */
	if (waitqueue_active(&kick->wait))
		wake_up_locked_poll(&kick->wait, EPOLLIN);
	spin_unlock_irqrestore(&kick->wait.lock, flags);
}

/**
 * vlb_kick_signal - there are requests
 * @kick: the kick of their ring; its @offered says so already
 *
 * Any context.
 */
void vlb_kick_signal(struct vlb_kick *kick)
{
	if (kick->eventfd)
		vlb_eventfd_signal(kick->eventfd);
	else
		add(kick, 1, false);
}

/**
 * vlb_kick_start - the ring starts, with requests or without
 * @kick: its kick
 */
void vlb_kick_start(struct vlb_kick *kick)
{
	if (kick->eventfd)
		vlb_eventfd_signal(kick->eventfd);
	else
		add(kick, 1, true);
}

/*
 * Kicks are put off while all that was offered has come back: the back-end would find nothing.
 * None is lost: a request is offered before its kick is signalled, so whoever polls sees @offered
 * move, or is in the wait queue already when the kick comes. A back-end that wants no kick does
 * not wait for one. Nothing of this is read from the pool.
 */
static bool is_readable(const struct vlb_kick *kick)
{
	return READ_ONCE(kick->count) && (READ_ONCE(kick->forced) ||
		READ_ONCE(kick->offered) != READ_ONCE(kick->taken));
}

static __poll_t kick_poll(struct file *file, poll_table *wait)
{
	struct vlb_kick *kick = file->private_data;

	/* The lock that this takes is the one that @count changes with. */
	poll_wait(file, &kick->wait, wait);
	return is_readable(kick) ? EPOLLIN | EPOLLOUT : EPOLLOUT;
}

/*
 * A read that does not wait takes what there is: libvhost-user ends when it gets an error after
 * a kick.
 */
static ssize_t kick_read(struct kiocb *iocb, struct iov_iter *to)
{
	struct file *file = iocb->ki_filp;
	struct vlb_kick *kick = file->private_data;
	bool wait = !(file->f_flags & O_NONBLOCK) && !(iocb->ki_flags & IOCB_NOWAIT);
	u64 count;
	int err;

	if (iov_iter_count(to) < sizeof(count))
		return -EINVAL;
	spin_lock_irq(&kick->wait.lock);
	if (wait) {
		err = wait_event_interruptible_locked_irq(kick->wait, is_readable(kick));
		if (err) {
			spin_unlock_irq(&kick->wait.lock);
			return err;
		}
	}
	count = kick->count;
	WRITE_ONCE(kick->count, 0);
	WRITE_ONCE(kick->forced, false);
	spin_unlock_irq(&kick->wait.lock);
	if (!count)
		return -EAGAIN;
	return copy_to_iter(&count, sizeof(count), to) == sizeof(count) ? sizeof(count) : -EFAULT;
}

/* Back-ends kick themselves: to look again, or to end a thread that sleeps in a read. */
static ssize_t kick_write(struct kiocb *iocb, struct iov_iter *from)
{
	struct vlb_kick *kick = iocb->ki_filp->private_data;
	u64 n;

	if (iov_iter_count(from) < sizeof(n))
		return -EINVAL;
	if (copy_from_iter(&n, sizeof(n), from) != sizeof(n))
		return -EFAULT;
	if (n > COUNT_MAX)
		return -EINVAL;
	if (n)
		add(kick, n, true);
	return sizeof(n);
}

static int kick_release(struct inode *inode, struct file *file)
{
	vlb_kick_put(file->private_data);
	return 0;
}

static const struct file_operations kick_fops = {
	.owner = THIS_MODULE,
	.read_iter = kick_read,
	.write_iter = kick_write,
	.poll = kick_poll,
	.release = kick_release,
	.llseek = noop_llseek,
};

/**
 * vlb_kick_file - make a descriptor for the back-end
 * @kick: from vlb_kick_new()
 *
 * Return: a file to be installed or put, or an error.
 */
struct file *vlb_kick_file(struct vlb_kick *kick)
{
	struct file *file;

	file = anon_inode_getfile("[virtio-loopback-kick]", &kick_fops, kick,
				  O_RDWR | O_NONBLOCK);
	if (IS_ERR(file))
		return file;
	kref_get(&kick->ref);
	/* For io_uring: kick_read() heeds IOCB_NOWAIT. */
	file->f_mode |= FMODE_NOWAIT;
	return file;
}
