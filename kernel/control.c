// SPDX-License-Identifier: GPL-2.0-only
/* /dev/virtio-loopback: see the UAPI header for what each call does. */
#include <linux/bitmap.h>
#include <linux/capability.h>
#include <linux/ctype.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/log2.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "trace.h"
#include "vlb.h"

/**
 * struct vlb_file - an open file
 * @lock: one call that makes or changes the device at a time
 * @vlb: its device; set once
 */
struct vlb_file {
	struct mutex lock;
	struct vlb_device *vlb;
};

union vlb_args {
	u32 size;
	struct vlb_info info;
	struct vlb_type_info type_info;
	struct vlb_create create;
	struct vlb_simple simple;
	struct vlb_session session;
	struct vlb_start start;
	struct vlb_config config;
	struct vlb_status status;
	struct vlb_detach detach;
};

static int ioc_info(struct vlb_file *vf, union vlb_args *args)
{
	struct vlb_info *info = &args->info;

	if (info->__reserved || info->__reserved1)
		return -EINVAL;
	info->out_features = VLB_F_CALL_FILE | VLB_F_CALL_EVENTFD | VLB_F_KICK_FILE |
			     VLB_F_TRUSTED;
	info->out_queues_max = VLB_QUEUES_MAX;
	info->out_queue_size_max = VLB_QUEUE_SIZE_MAX;
	info->out_config_max = VLB_CONFIG_MAX;
	info->out_pool_max = vlb_policy_pool_max();
	return 0;
}

static int ioc_type_info(struct vlb_file *vf, union vlb_args *args)
{
	struct vlb_type_info *info = &args->type_info;
	const struct vlb_type *type = vlb_type_find(info->type);

	if (!type)
		return -ENOENT;
	info->out_class = type->vclass;
	info->out_flags = type->reoffer ? VLB_TYPE_REOFFER : 0;
	info->out_pool_default = type->pool;
	info->out_pool_per_queue = type->pool_queue;
	strscpy_pad(info->out_name, type->name, sizeof(info->out_name));
	return 0;
}

static bool name_ok(const u8 *name)
{
	size_t i, len = strnlen(name, VLB_NAME_MAX);

	if (!len || len == VLB_NAME_MAX || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (i = 0; i < len; i++)
		if (!(isascii(name[i]) && isalnum(name[i])) && !strchr("-_.:", name[i]))
			return false;
	return true;
}

static bool queue_size_ok(u32 size, u32 least)
{
	return is_power_of_2(size) && size >= least && size <= VLB_QUEUE_SIZE_MAX;
}

/* Fill in the defaults, check the rest. */
static int create_check(struct vlb_create *c, const struct vlb_type *type)
{
	u64 pool_default;

	if (c->flags & ~VLB_CREATE_TRUSTED)
		return -EOPNOTSUPP;
	c->queue_size = c->queue_size ?: VLB_QUEUE_SIZE_DEFAULT;
	c->driver_queue_size = c->driver_queue_size ?: VLB_QUEUE_SIZE_DEFAULT;
	c->timeout_ms = c->timeout_ms ?: VLB_TIMEOUT_MS_DEFAULT;
	if (c->__reserved || !c->nqueues || c->nqueues > VLB_QUEUES_MAX ||
	    !queue_size_ok(c->queue_size, 2) ||
	    !queue_size_ok(c->driver_queue_size, VLB_DRIVER_QUEUE_SIZE_MIN) ||
	    c->config_len > VLB_CONFIG_MAX || c->timeout_ms > VLB_TIMEOUT_MS_MAX ||
	    !PAGE_ALIGNED(c->pool_len) || !name_ok(c->name))
		return -EINVAL;
	if (!(c->features & BIT_ULL(VIRTIO_F_VERSION_1)))
		return -EPROTO;

	pool_default = type->pool + (u64)(c->nqueues - 1) * type->pool_queue;
	c->out_pool_min = vlb_pool_min(c->nqueues, c->queue_size);
	c->out_pool_len = c->pool_len ?: PAGE_ALIGN(max(pool_default, c->out_pool_min));
	return c->out_pool_len < c->out_pool_min ? -ENOSPC : 0;
}

static int ioc_create(struct vlb_file *vf, union vlb_args *args)
{
	struct vlb_create *c = &args->create;
	const struct vlb_type *type = vlb_type_find(c->type);
	struct vlb_device *vlb;
	u8 *config = NULL;
	int err;

	if (vf->vlb)
		return -EBADFD;
	if (!type)
		return -EPROTONOSUPPORT;
	err = create_check(c, type);
	if (err)
		return err;
	if (c->config_len) {
		config = memdup_user(u64_to_user_ptr(c->config), c->config_len);
		if (IS_ERR(config))
			return PTR_ERR(config);
	}
	vlb = vlb_device_create(c, config, type);
	kfree(config);
	if (IS_ERR(vlb))
		return PTR_ERR(vlb);
	/* Pairs with file_device(), for read() and poll() in other threads. */
	smp_store_release(&vf->vlb, vlb);
	return 0;
}

static int ioc_register(struct vlb_file *vf, union vlb_args *args)
{
	return args->simple.flags ? -EOPNOTSUPP : vlb_device_register(vf->vlb);
}

static int ioc_remove(struct vlb_file *vf, union vlb_args *args)
{
	return args->simple.flags ? -EOPNOTSUPP : vlb_device_remove(vf->vlb, false);
}

/* A descriptor on its way to user space. */
struct new_fd {
	struct file *file;
	int fd;
};

static int new_fd_make(struct new_fd *new, struct file *file, u32 *ret_fd)
{
	int fd;

	if (IS_ERR(file))
		return PTR_ERR(file);
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		fput(file);
		return fd;
	}
	new->file = file;
	new->fd = fd;
	*ret_fd = fd;
	return 0;
}

/* Two for each queue. */
static int new_fds_make(struct vlb_link *link, struct new_fd *fds,
			struct vlb_session_queue *queues, const unsigned long *present)
{
	struct vlb_device *vlb = link->vlb;
	unsigned int i;
	int err = 0;

	for_each_set_bit(i, present, vlb->nqueues) {
		if (link->flags & VLB_SESSION_KICK_FILE)
			err = new_fd_make(&fds[2 * i], vlb_kick_file(link->rings[i].kick),
					  &queues[i].kick);
		if (!err && !(link->flags & VLB_SESSION_CALL_EVENTFD))
			err = new_fd_make(&fds[2 * i + 1],
					  vlb_call_file(&vlb->queues[i], vlb->session_id + 1),
					  &queues[i].out_call);
		if (err)
			return err;
	}
	return 0;
}

/* Give them to user space, or take them back. */
static void new_fds_end(struct new_fd *fds, unsigned int n, bool install)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (!fds[i].file)
			continue;
		if (install) {
			fd_install(fds[i].fd, fds[i].file);
		} else {
			put_unused_fd(fds[i].fd);
			fput(fds[i].file);
		}
	}
}

/* May a session of this epoch be made, and for which queues? */
static int session_allowed(struct vlb_device *vlb, u32 epoch, unsigned long *ret_present)
{
	unsigned int i;

	lockdep_assert_held(&vlb->lock);
	if (vlb->state == VLB_STATE_REMOVED)
		return -ENODEV;
	if (vlb->broken)
		return -EBADFD;
	if (vlb->started)
		return -EBUSY;
	if (vlb->epoch != epoch || !(vlb->status & VIRTIO_CONFIG_S_DRIVER_OK))
		return -ESTALE;
	bitmap_zero(ret_present, VLB_QUEUES_MAX);
	for (i = 0; i < vlb->nqueues; i++)
		if (vlb->queues[i].vq)
			__set_bit(i, ret_present);
	return 0;
}

static int session_install(struct vlb_device *vlb, struct vlb_link *link)
{
	DECLARE_BITMAP(present, VLB_QUEUES_MAX);
	int err;

	mutex_lock(&vlb->lock);
	err = session_allowed(vlb, link->epoch, present);
	if (!err) {
		vlb_link_destroy(vlb->link);
		vlb->link = link;
		vlb->links++;
	}
	mutex_unlock(&vlb->lock);
	return err;
}

static int session_make(struct vlb_device *vlb, struct vlb_session *s,
			struct vlb_session_queue *queues, struct new_fd *fds)
{
	DECLARE_BITMAP(present, VLB_QUEUES_MAX);
	struct vlb_link *link;
	u64 base;
	int err;

	mutex_lock(&vlb->lock);
	err = session_allowed(vlb, s->epoch, present);
	mutex_unlock(&vlb->lock);
	if (err)
		return err;
	link = vlb_link_create(vlb, s, queues, present);
	if (IS_ERR(link))
		return PTR_ERR(link);
	base = link->base;
	err = new_fds_make(link, fds, queues, present);
	if (!err && copy_to_user(u64_to_user_ptr(s->queues), queues,
				 vlb->nqueues * sizeof(*queues)))
		err = -EFAULT;
	if (!err)
		err = session_install(vlb, link);
	if (err)
		vlb_link_destroy(link);
	else
		s->out_base = base;
	return err;
}

static int ioc_session(struct vlb_file *vf, union vlb_args *args)
{
	struct vlb_session *s = &args->session;
	struct vlb_session_queue *queues;
	struct vlb_device *vlb = vf->vlb;
	struct new_fd *fds;
	unsigned int i;
	int err;

	if (s->flags & ~(VLB_SESSION_CALL_EVENTFD | VLB_SESSION_KICK_FILE))
		return -EOPNOTSUPP;
	if (s->nqueues != vlb->nqueues)
		return -EINVAL;
	queues = memdup_user(u64_to_user_ptr(s->queues), vlb->nqueues * sizeof(*queues));
	if (IS_ERR(queues))
		return PTR_ERR(queues);
	for (i = 0; i < vlb->nqueues; i++)
		queues[i].out_num = 0;
	fds = kcalloc(2 * vlb->nqueues, sizeof(*fds), GFP_KERNEL);
	if (fds) {
		err = session_make(vlb, s, queues, fds);
		new_fds_end(fds, 2 * vlb->nqueues, !err);
	} else {
		err = -ENOMEM;
	}
	kfree(fds);
	kfree(queues);
	return err;
}

static int ioc_start(struct vlb_file *vf, union vlb_args *args)
{
	struct vlb_device *vlb = vf->vlb;
	int err = 0;

	if (args->start.flags)
		return -EOPNOTSUPP;
	if (args->start.__reserved)
		return -EINVAL;
	mutex_lock(&vlb->lock);
	if (vlb->epoch != args->start.epoch) {
		err = -ESTALE;
	} else if (!vlb->link || vlb->started || vlb->broken || vlb->ending) {
		err = -EBADFD;
	} else {
		vlb->failing = false;
		if (vlb->state != VLB_STATE_REMOVING)
			vlb->state = VLB_STATE_RUNNING;
		trace_vlb_state(vlb);
		vlb_link_start(vlb);
	}
	mutex_unlock(&vlb->lock);
	return err;
}

static int ioc_stop(struct vlb_file *vf, union vlb_args *args)
{
	struct vlb_device *vlb = vf->vlb;
	u32 flags = args->start.flags;

	if (flags & ~(VLB_STOP_FAIL | VLB_STOP_BROKEN))
		return -EOPNOTSUPP;
	if (args->start.__reserved)
		return -EINVAL;
	if (flags & VLB_STOP_BROKEN) {
		vlb_device_break(vlb, VLB_BROKEN_STOP);
		return 0;
	}
	mutex_lock(&vlb->lock);
	if (!vlb->broken && vlb->state != VLB_STATE_REMOVED) {
		vlb->failing = flags & VLB_STOP_FAIL;
		if (vlb->state == VLB_STATE_RUNNING || vlb->state == VLB_STATE_WAITING ||
		    vlb->state == VLB_STATE_FAILING)
			vlb->state = vlb->failing ? VLB_STATE_FAILING : VLB_STATE_WAITING;
		trace_vlb_state(vlb);
		vlb_link_stop(vlb, vlb->failing ? VLB_REST_FAIL : VLB_REST_OFFER);
	}
	mutex_unlock(&vlb->lock);
	return 0;
}

static u8 *config_bytes(const struct vlb_config *c)
{
	if (c->len > VLB_CONFIG_MAX || c->__reserved)
		return ERR_PTR(-EINVAL);
	return c->len ? memdup_user(u64_to_user_ptr(c->data), c->len) : NULL;
}

static int ioc_config(struct vlb_file *vf, union vlb_args *args)
{
	struct vlb_config *c = &args->config;
	struct vlb_device *vlb = vf->vlb;
	u8 *data;
	int err;

	if (c->flags & ~VLB_CONFIG_NOTIFY)
		return -EOPNOTSUPP;
	data = config_bytes(c);
	if (IS_ERR(data))
		return PTR_ERR(data);
	err = vlb_config_replace(vlb, c->offset, c->len, data);
	kfree(data);
	/* A driver that reads it begins again at each change: it is to come to an end. */
	if (!err && time_after_eq64(vlb->config_moment, get_jiffies_64()))
		schedule_timeout_killable(1);
	vlb->config_moment = get_jiffies_64();
	if (!err && c->flags & VLB_CONFIG_NOTIFY)
		vlb_config_notify(vlb);
	return err;
}

static int ioc_answer(struct vlb_file *vf, union vlb_args *args)
{
	struct vlb_config *c = &args->config;
	u8 *data;
	int err;

	if (c->flags)
		return -EOPNOTSUPP;
	if (c->error > MAX_ERRNO)
		return -EINVAL;
	data = config_bytes(c);
	if (IS_ERR(data))
		return PTR_ERR(data);
	err = vlb_config_answer(vf->vlb, c->id, -(int)c->error, c->offset, c->len, data);
	kfree(data);
	return err;
}

static int ioc_status(struct vlb_file *vf, union vlb_args *args)
{
	struct vlb_status *s = &args->status;
	struct vlb_device *vlb = vf->vlb;

	mutex_lock(&vlb->lock);
	s->out_state = vlb->state;
	s->out_epoch = vlb->epoch;
	s->out_driver_status = vlb->status;
	s->out_driver_features = 0;
	if (vlb->status & VIRTIO_CONFIG_S_FEATURES_OK)
		s->out_driver_features = vlb->vdev.features;
	strscpy_pad(s->out_virtio, vlb->virtio_name, sizeof(s->out_virtio));
	mutex_unlock(&vlb->lock);
	return 0;
}

static int ioc_detach(struct vlb_file *vf, union vlb_args *args)
{
	struct vlb_detach *d = &args->detach;
	struct vlb_device *vlb;
	long left = 1;

	if (d->flags & ~VLB_DETACH_FORCE)
		return -EOPNOTSUPP;
	if (d->__reserved || !name_ok(d->name))
		return -EINVAL;
	vlb = vlb_device_find(d->name);
	if (!vlb)
		return -ENOENT;
	if (!uid_eq(vlb->owner_uid, current_uid()) && !capable(CAP_SYS_ADMIN)) {
		put_device(&vlb->dev);
		return -EPERM;
	}
	vlb_device_remove(vlb, d->flags & VLB_DETACH_FORCE);
	if (d->timeout_ms)
		left = wait_for_completion_interruptible_timeout(&vlb->removed,
								 msecs_to_jiffies(d->timeout_ms));
	put_device(&vlb->dev);
	return left < 0 ? -EINTR : left ? 0 : -ETIMEDOUT;
}

struct vlb_ioctl {
	int (*run)(struct vlb_file *vf, union vlb_args *args);
	u16 size;	/* of the structure now */
	u16 min;	/* of its first version */
	bool device;	/* needs one; the file's lock is held */
};

#define IOCTL(_run, _type, _last, _device) \
	{ _run, sizeof(_type), offsetofend(_type, _last), _device }

static const struct vlb_ioctl ioctls[] = {
	[_IOC_NR(VLB_IOC_INFO)] = IOCTL(ioc_info, struct vlb_info, out_pool_max, false),
	[_IOC_NR(VLB_IOC_TYPE_INFO)] = IOCTL(ioc_type_info, struct vlb_type_info, out_name, false),
	[_IOC_NR(VLB_IOC_CREATE)] = IOCTL(ioc_create, struct vlb_create, name, false),
	[_IOC_NR(VLB_IOC_REGISTER)] = IOCTL(ioc_register, struct vlb_simple, flags, true),
	[_IOC_NR(VLB_IOC_SESSION)] = IOCTL(ioc_session, struct vlb_session, out_base, true),
	[_IOC_NR(VLB_IOC_START)] = IOCTL(ioc_start, struct vlb_start, __reserved, true),
	[_IOC_NR(VLB_IOC_STOP)] = IOCTL(ioc_stop, struct vlb_start, __reserved, true),
	[_IOC_NR(VLB_IOC_ANSWER)] = IOCTL(ioc_answer, struct vlb_config, __reserved, true),
	[_IOC_NR(VLB_IOC_CONFIG)] = IOCTL(ioc_config, struct vlb_config, __reserved, true),
	[_IOC_NR(VLB_IOC_STATUS)] = IOCTL(ioc_status, struct vlb_status, out_virtio, true),
	[_IOC_NR(VLB_IOC_REMOVE)] = IOCTL(ioc_remove, struct vlb_simple, flags, true),
	[_IOC_NR(VLB_IOC_DETACH)] = IOCTL(ioc_detach, struct vlb_detach, name, false),
};

static int run_locked(struct vlb_file *vf, const struct vlb_ioctl *op, union vlb_args *args)
{
	int err;

	/* Waits for others, and touches nothing of this file. */
	if (op->run == ioc_detach)
		return op->run(vf, args);
	/* Who holds it may sleep in a page fault, for as long as another process likes. */
	if (mutex_lock_interruptible(&vf->lock))
		return -ERESTARTSYS;
	if (!op->device)
		err = op->run(vf, args);
	else if (!vf->vlb)
		err = -EBADFD;
	else
		err = op->run(vf, args);
	mutex_unlock(&vf->lock);
	return err;
}

static long control_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;
	const struct vlb_ioctl *op;
	union vlb_args args = { };
	u32 size;
	int err;

	if (_IOC_TYPE(cmd) != VLB_IOC_MAGIC || _IOC_NR(cmd) >= ARRAY_SIZE(ioctls) ||
	    cmd != _IO(VLB_IOC_MAGIC, _IOC_NR(cmd)))
		return -ENOTTY;
	op = &ioctls[array_index_nospec(_IOC_NR(cmd), ARRAY_SIZE(ioctls))];
	if (get_user(size, (u32 __user *)user))
		return -EFAULT;
	if (size < op->min || size > PAGE_SIZE)
		return -EINVAL;
	err = copy_struct_from_user(&args, op->size, user, size);
	if (err)
		return err;
	err = run_locked(file->private_data, op, &args);
	args.size = size;
	/* ENOSPC has something to say in an out member. */
	if ((!err || err == -ENOSPC) && copy_to_user(user, &args, min_t(u32, size, op->size)))
		err = -EFAULT;
	return err;
}

static struct vlb_device *file_device(struct file *file)
{
	struct vlb_file *vf = file->private_data;

	/* Pairs with ioc_create(). */
	return smp_load_acquire(&vf->vlb);
}

static ssize_t control_read(struct file *file, char __user *buf, size_t count, loff_t *pos)
{
	struct vlb_device *vlb = file_device(file);
	struct vlb_event event;

	if (!vlb)
		return -EBADFD;
	if (count < sizeof(event))
		return -EINVAL;
	while (!vlb_event_take(vlb, &event)) {
		/* There is none after the device's end. */
		if (completion_done(&vlb->removed) && !vlb_event_pending(vlb))
			return 0;
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event_interruptible(vlb->event_wait, vlb_event_pending(vlb) ||
							      completion_done(&vlb->removed)))
			return -ERESTARTSYS;
	}
	return copy_to_user(buf, &event, sizeof(event)) ? -EFAULT : sizeof(event);
}

static __poll_t control_poll(struct file *file, poll_table *wait)
{
	struct vlb_device *vlb = file_device(file);

	if (!vlb)
		return EPOLLERR;
	poll_wait(file, &vlb->event_wait, wait);
	if (vlb_event_pending(vlb))
		return EPOLLIN | EPOLLRDNORM;
	/* After the last event, not before it. */
	return completion_done(&vlb->removed) ? EPOLLHUP : 0;
}

static int control_open(struct inode *inode, struct file *file)
{
	struct vlb_file *vf = kzalloc(sizeof(*vf), GFP_KERNEL_ACCOUNT);

	if (!vf)
		return -ENOMEM;
	mutex_init(&vf->lock);
	file->private_data = vf;
	return stream_open(inode, file);
}

static int control_release(struct inode *inode, struct file *file)
{
	struct vlb_file *vf = file->private_data;

	if (vf->vlb)
		vlb_device_orphan(vf->vlb);
	kfree(vf);
	return 0;
}

static const struct file_operations control_fops = {
	.owner = THIS_MODULE,
	.open = control_open,
	.release = control_release,
	.read = control_read,
	.poll = control_poll,
	.unlocked_ioctl = control_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

struct miscdevice vlb_control = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "virtio-loopback",
	.fops = &control_fops,
	.mode = 0600,
};
