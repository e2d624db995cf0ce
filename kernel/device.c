// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a device: created, registered with the driver core, broken, removed.
 *
 * Registering and removing run on the module's workqueue: probing may need the back-end, which
 * the caller is busy with, and removing waits for drivers. Removing is bounded: when it takes
 * longer than the device's time-out, the device breaks, which answers every request that the
 * driver may be waiting for.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/freezer.h>
#include <linux/kmod.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "trace.h"
#include "vlb.h"

/* What may wait for drivers, and what ends their waiting: one never holds up the other. */
struct workqueue_struct *vlb_slow_wq;
struct workqueue_struct *vlb_unmap_wq;
struct workqueue_struct *vlb_wq;

static DEFINE_MUTEX(devices_lock);
static DECLARE_WAIT_QUEUE_HEAD(awake_wait);
bool vlb_asleep;
unsigned int vlb_sleeps;
static LIST_HEAD(devices);		/* by name, until removed */
static atomic_t alive;			/* until freed */
static DECLARE_WAIT_QUEUE_HEAD(alive_wait);

static void device_release(struct device *dev)
{
	struct vlb_device *vlb = dev_to_vlb(dev);

	if (vlb->worker)
		kthread_destroy_worker(vlb->worker);
	kfree(vlb->config);
	kvfree(vlb);
	if (atomic_dec_and_test(&alive))
		wake_up(&alive_wait);
}

static struct class vlb_class = {
	.name = VLB_CLASS_NAME,
	.dev_groups = vlb_device_groups,
	.dev_release = device_release,
};

static void set_state(struct vlb_device *vlb, u32 state)
{
	lockdep_assert_held(&vlb->lock);
	vlb->state = state;
	trace_vlb_state(vlb);
}

/**
 * vlb_device_break - answer all requests as failed, for good
 * @vlb: the device
 * @reason: VLB_BROKEN_*
 */
void vlb_device_break(struct vlb_device *vlb, u32 reason)
{
	mutex_lock(&vlb->lock);
	if (vlb->broken || vlb->state == VLB_STATE_REMOVED) {
		mutex_unlock(&vlb->lock);
		return;
	}
	WRITE_ONCE(vlb->broken, reason);
	vlb->failing = true;
	if (vlb->state != VLB_STATE_REMOVING)
		set_state(vlb, VLB_STATE_BROKEN);
	vlb_link_stop(vlb, VLB_REST_FAIL);
	vlb_post(vlb, VLB_EVENT_BROKEN);
	mutex_unlock(&vlb->lock);

	vlb_config_abort(vlb);
	if (reason == VLB_BROKEN_TIMEOUT)
		dev_err_ratelimited(&vlb->dev, "no answer from user space within %u ms; requests fail from now on\n",
				    vlb->timeout_ms);
}

static void break_fn(struct work_struct *work)
{
	struct vlb_device *vlb = container_of(work, struct vlb_device, break_work);

	vlb_device_break(vlb, READ_ONCE(vlb->break_reason));
}

/**
 * vlb_device_break_async - the same from any context
 * @vlb: the device, that cannot be removed meanwhile
 * @reason: VLB_BROKEN_*
 */
void vlb_device_break_async(struct vlb_device *vlb, u32 reason)
{
	WRITE_ONCE(vlb->break_reason, reason);
	queue_work(vlb_wq, &vlb->break_work);
}

static void bound_removal(struct vlb_device *vlb)
{
	vlb->bound_sleeps = READ_ONCE(vlb_sleeps);
	queue_delayed_work(vlb_wq, &vlb->bound_work, msecs_to_jiffies(vlb->timeout_ms));
}

static void bound_fn(struct work_struct *work)
{
	struct vlb_device *vlb = container_of(work, struct vlb_device, bound_work.work);

	/* Who sleeps answers nothing. */
	if (READ_ONCE(vlb_asleep) || vlb->bound_sleeps != READ_ONCE(vlb_sleeps))
		bound_removal(vlb);
	else
		vlb_device_break(vlb, VLB_BROKEN_TIMEOUT);
}

static void vdev_release(struct device *dev)
{
	put_device(&vdev_to_vlb(dev_to_virtio(dev))->dev);
}

static void register_fn(struct work_struct *work)
{
	struct vlb_device *vlb = container_of(work, struct vlb_device, register_work);
	struct virtio_device *vdev = &vlb->vdev;
	int err;

	/* Where no udev answers the event, the driver is loaded all the same. */
	request_module("virtio:d%08Xv%08X", vdev->id.device, vdev->id.vendor);

	get_device(&vlb->dev);
	vdev->dev.parent = &vlb->dev;
	vdev->dev.release = vdev_release;
	vdev->config = &vlb_config_ops;
	err = register_virtio_device(vdev);
	if (err) {
		dev_err(&vlb->dev, "cannot register with the virtio bus: %d\n", err);
		put_device(&vdev->dev);
	}
	mutex_lock(&vlb->lock);
	vlb->registered = !err;
	vlb->register_error = err;
	if (!err)
		strscpy(vlb->virtio_name, dev_name(&vdev->dev), sizeof(vlb->virtio_name));
	mutex_unlock(&vlb->lock);
	vlb_post(vlb, VLB_EVENT_REGISTERED);
}

/* Call descriptors may outlive the device; its thread does not wait for them. */
static void stop_thread(struct vlb_device *vlb)
{
	unsigned int i;

	for (i = 0; i < vlb->nqueues; i++) {
		struct vlb_queue *q = &vlb->queues[i];

		spin_lock_irq(&q->lock);
		q->has_thread = false;
		spin_unlock_irq(&q->lock);
	}
	kthread_destroy_worker(vlb->worker);
	vlb->worker = NULL;
}

/*
 * Return what somebody sleeps for, now and from now on. A reader of /dev/hwrng that asks for more
 * just when its driver has woken all readers would never let the driver go.
 */
static void end_requests(struct vlb_device *vlb)
{
	mutex_lock(&vlb->lock);
	WRITE_ONCE(vlb->ending, true);
	vlb_link_stop(vlb, VLB_REST_FAIL);
	mutex_unlock(&vlb->lock);
}

static void remove_fn(struct work_struct *work)
{
	struct vlb_device *vlb = container_of(work, struct vlb_device, remove_work);

	/*
	 * The driver's end may wait for requests, with the lock of its device, which the machine
	 * takes of all on its way into sleep. The work is busy before this looks: either it sees
	 * the one or who sleeps the other.
	 */
	smp_mb();
	wait_event(awake_wait, !READ_ONCE(vlb_asleep));
	/* First: the probe may wait for who sleeps for this very device. */
	if (vlb->type->waited)
		end_requests(vlb);
	flush_work(&vlb->register_work);
	if (vlb->registered)
		unregister_virtio_device(&vlb->vdev);
	cancel_delayed_work_sync(&vlb->bound_work);
	cancel_delayed_work_sync(&vlb->probed_work);

	mutex_lock(&vlb->lock);
	vlb_link_stop(vlb, VLB_REST_FORGET);
	set_state(vlb, VLB_STATE_REMOVED);
	mutex_unlock(&vlb->lock);
	cancel_work_sync(&vlb->break_work);
	cancel_delayed_work_sync(&vlb->notify_work);

	vlb_stats_del(vlb);
	device_del(&vlb->dev);
	mutex_lock(&devices_lock);
	list_del(&vlb->node);
	mutex_unlock(&devices_lock);
	stop_thread(vlb);

	vlb_post(vlb, VLB_EVENT_REMOVED);
	complete_all(&vlb->removed);
	/* For who has read that event already, and waits for the end. */
	wake_up_interruptible(&vlb->event_wait);
	put_device(&vlb->dev);
}

/* Take the name; -EEXIST, or -EMFILE: too many devices. */
static int claim_name(struct vlb_device *vlb)
{
	unsigned int all = 0, mine = 0;
	struct vlb_device *other;
	int err = 0;

	mutex_lock(&devices_lock);
	list_for_each_entry(other, &devices, node) {
		if (!strcmp(other->name, vlb->name))
			err = -EEXIST;
		all++;
		mine += uid_eq(other->owner_uid, vlb->owner_uid);
	}
	if (!err && (all >= vlb_policy_devices_max(true) ||
		     (!capable(CAP_SYS_ADMIN) && mine >= vlb_policy_devices_max(false))))
		err = -EMFILE;
	if (!err)
		list_add_tail(&vlb->node, &devices);
	mutex_unlock(&devices_lock);
	return err;
}

static struct vlb_device *device_alloc(const struct vlb_create *args, const struct vlb_type *type)
{
	struct vlb_device *vlb = kvzalloc(struct_size(vlb, queues, args->nqueues),
					  GFP_KERNEL_ACCOUNT);
	unsigned int i;

	if (!vlb)
		return NULL;
	atomic_inc(&alive);
	device_initialize(&vlb->dev);
	vlb->dev.class = &vlb_class;
	vlb->nqueues = args->nqueues;
	vlb->type = type;
	strscpy(vlb->name, args->name, sizeof(vlb->name));
	vlb->owner_uid = current_uid();
	vlb->owner_pid = task_tgid_nr(current);
	vlb->privileged = capable(CAP_SYS_ADMIN);
	vlb->trusted = args->flags & VLB_CREATE_TRUSTED;
	vlb->state = VLB_STATE_CREATED;
	vlb->timeout_ms = args->timeout_ms;
	vlb->queue_size = args->queue_size;
	vlb->driver_queue_size = args->driver_queue_size;
	vlb->pool_len = args->out_pool_len;
	vlb->device_features = args->features;
	vlb->vdev.id.device = args->type;
	vlb->vdev.id.vendor = args->vendor;
	mutex_init(&vlb->lock);
	INIT_WORK(&vlb->register_work, register_fn);
	INIT_WORK(&vlb->remove_work, remove_fn);
	INIT_WORK(&vlb->break_work, break_fn);
	INIT_DELAYED_WORK(&vlb->bound_work, bound_fn);
	INIT_DELAYED_WORK(&vlb->probed_work, vlb_probed_fn);
	INIT_DELAYED_WORK(&vlb->notify_work, vlb_config_notify_fn);
	vlb_terminals_init(vlb);
	init_completion(&vlb->removed);
	vlb_events_init(vlb);
	for (i = 0; i < vlb->nqueues; i++)
		vlb_queue_init(&vlb->queues[i], vlb, i);
	return vlb;
}

/**
 * vlb_device_create - make a device
 * @args: checked, defaults filled in, out_pool_len set
 * @config: its config space
 * @type: its type
 *
 * Return: the device, whose reference is the caller's, or an error: see VLB_IOC_CREATE.
 */
struct vlb_device *vlb_device_create(const struct vlb_create *args, const u8 *config,
				     const struct vlb_type *type)
{
	struct vlb_device *vlb;
	int err;

	err = vlb_policy_create(type, args);
	if (err)
		return ERR_PTR(err);
	vlb = device_alloc(args, type);
	if (!vlb)
		return ERR_PTR(-ENOMEM);
	err = vlb_config_init(vlb, config, args->config_len);
	if (err)
		goto put;
	vlb->worker = vlb_run_worker(vlb->name);
	if (IS_ERR(vlb->worker)) {
		err = PTR_ERR(vlb->worker);
		vlb->worker = NULL;
		goto put;
	}
	err = claim_name(vlb);
	if (err)
		goto put;
	err = dev_set_name(&vlb->dev, "%s", vlb->name) ?: device_add(&vlb->dev);
	if (err)
		goto unclaim;
	err = vlb_stats_add(vlb);
	if (err)
		goto del;
	mutex_lock(&devices_lock);
	vlb->visible = true;
	mutex_unlock(&devices_lock);
	return vlb;

del:
	device_del(&vlb->dev);
unclaim:
	mutex_lock(&devices_lock);
	list_del(&vlb->node);
	mutex_unlock(&devices_lock);
put:
	put_device(&vlb->dev);
	return ERR_PTR(err);
}

/**
 * vlb_device_find - look up a device
 * @name: its name
 *
 * Return: the device with a reference, or NULL.
 */
struct vlb_device *vlb_device_find(const char *name)
{
	struct vlb_device *vlb, *found = NULL;

	mutex_lock(&devices_lock);
	list_for_each_entry(vlb, &devices, node) {
		if (vlb->visible && !strcmp(vlb->name, name)) {
			found = vlb;
			get_device(&vlb->dev);
			break;
		}
	}
	mutex_unlock(&devices_lock);
	return found;
}

/**
 * vlb_device_register - let a driver probe the device
 * @vlb: the device
 *
 * Waits while the machine sleeps, which waits for probes when nobody can answer them any more.
 *
 * Return: 0, -ERESTARTSYS, or -EBADFD: done before, or removed.
 */
int vlb_device_register(struct vlb_device *vlb)
{
	int err;

	/* Nobody holds up others, who wait for devices_lock, with a device that is done with. */
	if (READ_ONCE(vlb->state) != VLB_STATE_CREATED)
		return -EBADFD;
	do {
		err = wait_event_freezable(awake_wait, !READ_ONCE(vlb_asleep));
		if (err)
			return err;
		mutex_lock(&devices_lock);
		if (!vlb_asleep)
			break;
		mutex_unlock(&devices_lock);
	} while (true);
	err = -EBADFD;
	mutex_lock(&vlb->lock);
	if (vlb->state == VLB_STATE_CREATED) {
		set_state(vlb, VLB_STATE_WAITING);
		queue_work(vlb_slow_wq, &vlb->register_work);
		err = 0;
	}
	mutex_unlock(&vlb->lock);
	mutex_unlock(&devices_lock);
	return err;
}

/**
 * vlb_device_remove - begin to remove the device
 * @vlb: the device
 * @force: fail requests now, not only after the time-out
 *
 * Return: 0, or -ENODEV: it is being removed already.
 */
int vlb_device_remove(struct vlb_device *vlb, bool force)
{
	int err = -ENODEV;

	mutex_lock(&vlb->lock);
	if (vlb->state != VLB_STATE_REMOVING && vlb->state != VLB_STATE_REMOVED) {
		set_state(vlb, VLB_STATE_REMOVING);
		vlb_post(vlb, VLB_EVENT_REMOVING);
		get_device(&vlb->dev);
		bound_removal(vlb);
		queue_work(vlb_slow_wq, &vlb->remove_work);
		err = 0;
	}
	mutex_unlock(&vlb->lock);
	if (force)
		vlb_device_break(vlb, VLB_BROKEN_STOP);
	return err;
}

/**
 * vlb_device_orphan - the creating file is closed: nobody serves the device any more
 * @vlb: the device; the caller's reference is taken
 *
 * Does not wait: memory goes with the last reference.
 */
void vlb_device_orphan(struct vlb_device *vlb)
{
	mutex_lock(&vlb->lock);
	WRITE_ONCE(vlb->orphan, true);
	if (vlb->state != VLB_STATE_REMOVED)
		dev_info_ratelimited(&vlb->dev, "its adapter is gone; removing the device\n");
	mutex_unlock(&vlb->lock);
	vlb_config_abort(vlb);
	vlb_device_break(vlb, VLB_BROKEN_OWNER);
	vlb_device_remove(vlb, false);
	put_device(&vlb->dev);
}

/* Why the machine cannot sleep, or NULL. */
static const char *keeps_awake(struct vlb_device *vlb)
{
	bool answered;

	if (work_busy(&vlb->register_work))
		return "its driver is looking at it";
	if (work_busy(&vlb->remove_work))
		return "its driver is letting it go";
	mutex_lock(&vlb->lock);
	answered = vlb->registered && !vlb->failing;
	mutex_unlock(&vlb->lock);
	if (answered && vlb->type->needed_asleep)
		return "its driver may use it when nobody can answer; detach it first";
	return NULL;
}

/**
 * vlb_devices_sleep - the machine is going to sleep, and user space to be frozen
 *
 * Return: 0, or -EBUSY: a driver would wait for an answer then.
 */
int vlb_devices_sleep(void)
{
	struct vlb_device *vlb;
	const char *why = NULL;

	mutex_lock(&devices_lock);
	WRITE_ONCE(vlb_asleep, true);
	/* Before the look at remove_work; remove_fn() has the same the other way round. */
	smp_mb();
	list_for_each_entry(vlb, &devices, node) {
		why = keeps_awake(vlb);
		if (!why)
			continue;
		dev_warn_ratelimited(&vlb->dev, "keeps the machine from sleeping: %s\n", why);
		break;
	}
	if (why)
		WRITE_ONCE(vlb_asleep, false);
	mutex_unlock(&devices_lock);
	if (!why)
		return 0;
	wake_up_all(&awake_wait);
	return -EBUSY;
}

/**
 * vlb_devices_wake - user space runs again
 */
void vlb_devices_wake(void)
{
	mutex_lock(&devices_lock);
	WRITE_ONCE(vlb_sleeps, vlb_sleeps + 1);
	WRITE_ONCE(vlb_asleep, false);
	mutex_unlock(&devices_lock);
	wake_up_all(&awake_wait);
}

/* One that is not broken, and its reference; or NULL. */
static struct vlb_device *find_whole(void)
{
	struct vlb_device *vlb, *found = NULL;

	mutex_lock(&devices_lock);
	list_for_each_entry(vlb, &devices, node) {
		if (!vlb->visible || READ_ONCE(vlb->broken) ||
		    READ_ONCE(vlb->state) == VLB_STATE_REMOVED)
			continue;
		get_device(&vlb->dev);
		found = vlb;
		break;
	}
	mutex_unlock(&devices_lock);
	return found;
}

/**
 * vlb_devices_give_up - break all devices
 */
void vlb_devices_give_up(void)
{
	struct vlb_device *vlb;

	while ((vlb = find_whole())) {
		vlb_device_break(vlb, VLB_BROKEN_TIMEOUT);
		put_device(&vlb->dev);
	}
}

static void destroy_workqueues(void)
{
	struct workqueue_struct *all[] = { vlb_slow_wq, vlb_unmap_wq, vlb_wq };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i])
			destroy_workqueue(all[i]);
}

/**
 * vlb_devices_init - before any device
 *
 * Return: 0 or -errno.
 */
int vlb_devices_init(void)
{
	int err = -ENOMEM;

	vlb_slow_wq = alloc_workqueue("virtio-loopback-slow", WQ_UNBOUND, WQ_MAX_ACTIVE);
	vlb_unmap_wq = alloc_workqueue("virtio-loopback-unmap", WQ_UNBOUND, WQ_MAX_ACTIVE);
	/* A disk that must be given up has to be, also where memory for a thread waits for it. */
	vlb_wq = alloc_workqueue("virtio-loopback", WQ_UNBOUND | WQ_MEM_RECLAIM, WQ_MAX_ACTIVE);
	if (vlb_slow_wq && vlb_unmap_wq && vlb_wq)
		err = class_register(&vlb_class);
	if (err)
		destroy_workqueues();
	return err;
}

/**
 * vlb_devices_exit - no file of this module is open
 *
 * Devices that lost their creator may still be on their way out. Their requests end within their
 * time-out; some drivers then wait until nobody has their node open any more (sound, i2c).
 */
void vlb_devices_exit(void)
{
	wait_event(alive_wait, !atomic_read(&alive));
	class_unregister(&vlb_class);
	destroy_workqueues();
}
