// SPDX-License-Identifier: GPL-2.0-only
/*
 * Call descriptors: how a back-end says that it has finished requests.
 *
 * The usual one is a file of this module's: the back-end's write() takes the completions in the
 * back-end's own context, so nobody has to be woken, and the copying is charged to it. For
 * consumers in the kernel that insist on an eventfd (KVM, vhost, io_uring) there is an eventfd
 * whose signal wakes the device's thread.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>

#include "vlb.h"

/**
 * struct vlb_call - an open call descriptor
 * @q: its queue; the device is referenced
 * @session_id: the session it was made for; nothing happens in any other
 */
struct vlb_call {
	struct vlb_queue *q;
	u32 session_id;
};

static ssize_t call_write(struct file *file, const char __user *buf, size_t count, loff_t *pos)
{
	struct vlb_call *call = file->private_data;

	/* As an eventfd: 8 bytes at least. How often does not matter, only that. */
	if (count < sizeof(u64))
		return -EINVAL;
	if (call->session_id == READ_ONCE(call->q->vlb->session_id))
		vlb_queue_complete(call->q);
	return sizeof(u64);
}

static __poll_t call_poll(struct file *file, poll_table *wait)
{
	return EPOLLOUT | EPOLLWRNORM;
}

static int call_release(struct inode *inode, struct file *file)
{
	struct vlb_call *call = file->private_data;

	put_device(&call->q->vlb->dev);
	kfree(call);
	return 0;
}

static const struct file_operations call_fops = {
	.owner = THIS_MODULE,
	.write = call_write,
	.poll = call_poll,
	.release = call_release,
	.llseek = noop_llseek,
};

/**
 * vlb_call_file - make a call descriptor
 * @q: its queue
 * @session_id: that the session will have once started
 *
 * Return: a file to be installed or put, or an error.
 */
struct file *vlb_call_file(struct vlb_queue *q, u32 session_id)
{
	struct vlb_call *call = kzalloc(sizeof(*call), GFP_KERNEL_ACCOUNT);
	struct file *file;

	if (!call)
		return ERR_PTR(-ENOMEM);
	call->q = q;
	call->session_id = session_id;
	file = anon_inode_getfile("[virtio-loopback-call]", &call_fops, call, O_RDWR);
	if (IS_ERR(file)) {
		kfree(call);
		return file;
	}
	get_device(&q->vlb->dev);
	return file;
}

/**
 * struct vlb_call_eventfd - an eventfd that is listened to
 * @q: the queue whose thread is woken
 * @ctx: the eventfd
 * @wait: in its wait queue
 * @table: how @wait got there
 */
struct vlb_call_eventfd {
	struct vlb_queue *q;
	struct eventfd_ctx *ctx;
	wait_queue_entry_t wait;
	poll_table table;
};

/* In the signaller's context, under the eventfd's lock with interrupts off. */
static int eventfd_wake(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct vlb_call_eventfd *call = container_of(wait, struct vlb_call_eventfd, wait);

	if (key_to_poll(key) & EPOLLIN)
		vlb_queue_more(call->q);
	return 0;
}

static void eventfd_queue(struct file *file, wait_queue_head_t *head, poll_table *table)
{
	struct vlb_call_eventfd *call = container_of(table, struct vlb_call_eventfd, table);

	add_wait_queue(head, &call->wait);
}

/**
 * vlb_call_eventfd_add - listen to an eventfd
 * @q: its queue
 * @fd: of the caller's
 *
 * Return: to be given to vlb_call_eventfd_del(), or an error.
 */
struct vlb_call_eventfd *vlb_call_eventfd_add(struct vlb_queue *q, int fd)
{
	struct vlb_call_eventfd *call;
	struct file *file;
	int err = -EBADF;

	call = kzalloc(sizeof(*call), GFP_KERNEL_ACCOUNT);
	if (!call)
		return ERR_PTR(-ENOMEM);
	file = fget(fd);
	if (!file)
		goto free;
	call->q = q;
	call->ctx = eventfd_ctx_fileget(file);
	if (IS_ERR(call->ctx)) {
		err = PTR_ERR(call->ctx);
		goto put;
	}
	init_waitqueue_func_entry(&call->wait, eventfd_wake);
	init_poll_funcptr(&call->table, eventfd_queue);
	vfs_poll(file, &call->table);
	fput(file);
	return call;

put:
	fput(file);
free:
	kfree(call);
	return ERR_PTR(err);
}

/**
 * vlb_call_eventfd_del - listen no more
 * @call: from vlb_call_eventfd_add()
 */
void vlb_call_eventfd_del(struct vlb_call_eventfd *call)
{
	u64 count;

	eventfd_ctx_remove_wait_queue(call->ctx, &call->wait, &count);
	eventfd_ctx_put(call->ctx);
	kfree(call);
}
