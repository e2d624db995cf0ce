// SPDX-License-Identifier: GPL-2.0-only
/* /sys/class/virtio-loopback/NAME: what the device is, and the counters of its queues. */
#include <linux/kobject.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/user_namespace.h>

#include "vlb.h"

#define DEVICE_ATTR_SHOW(_name, _fmt, _value)						\
static ssize_t _name##_show(struct device *dev, struct device_attribute *attr, char *buf)	\
{											\
	struct vlb_device *vlb = dev_to_vlb(dev);					\
											\
	return sysfs_emit(buf, _fmt "\n", _value);					\
}											\
static DEVICE_ATTR_RO(_name)

static const char * const states[] = {
	[VLB_STATE_CREATED] = "created", [VLB_STATE_WAITING] = "waiting",
	[VLB_STATE_RUNNING] = "running", [VLB_STATE_FAILING] = "failing",
	[VLB_STATE_BROKEN] = "broken", [VLB_STATE_REMOVING] = "removing",
	[VLB_STATE_REMOVED] = "removed",
};

static const char * const reasons[] = {
	[0] = "", [VLB_BROKEN_RING] = "ring", [VLB_BROKEN_TIMEOUT] = "timeout",
	[VLB_BROKEN_STOP] = "stopped", [VLB_BROKEN_OWNER] = "owner",
};

static u64 driver_features(struct vlb_device *vlb)
{
	return READ_ONCE(vlb->status) & VIRTIO_CONFIG_S_FEATURES_OK ? vlb->vdev.features : 0;
}

/* What the driver has submitted and not got back; exact only when nothing moves. */
static unsigned int in_flight(struct vlb_queue *q)
{
	unsigned long flags;
	u16 n = 0;

	spin_lock_irqsave(&q->lock, flags);
	if (q->ready)
		n = le16_to_cpu((__force __le16)READ_ONCE(q->vring.avail->idx)) - q->used_idx;
	spin_unlock_irqrestore(&q->lock, flags);
	return n;
}

static unsigned int all_in_flight(struct vlb_device *vlb)
{
	unsigned int i, n = 0;

	mutex_lock(&vlb->lock);
	for (i = 0; i < vlb->nqueues; i++)
		n += in_flight(&vlb->queues[i]);
	mutex_unlock(&vlb->lock);
	return n;
}

DEVICE_ATTR_SHOW(type, "%s", vlb->type->name);
DEVICE_ATTR_SHOW(type_id, "%u", vlb->type->id);
DEVICE_ATTR_SHOW(state, "%s", states[READ_ONCE(vlb->state)]);
DEVICE_ATTR_SHOW(owner_pid, "%d", vlb->owner_pid);
DEVICE_ATTR_SHOW(owner_uid, "%u", from_kuid_munged(&init_user_ns, vlb->owner_uid));
DEVICE_ATTR_SHOW(driver_features, "0x%016llx", driver_features(vlb));
DEVICE_ATTR_SHOW(device_features, "0x%016llx", vlb->device_features);
DEVICE_ATTR_SHOW(epoch, "%u", READ_ONCE(vlb->epoch));
DEVICE_ATTR_SHOW(sessions, "%u", READ_ONCE(vlb->session_id));
DEVICE_ATTR_SHOW(pool_size, "%llu", vlb->pool_len);
DEVICE_ATTR_SHOW(timeout_ms, "%u", vlb->timeout_ms);
DEVICE_ATTR_SHOW(in_flight, "%u", all_in_flight(vlb));
DEVICE_ATTR_SHOW(broken_reason, "%s", reasons[READ_ONCE(vlb->broken)]);

static struct attribute *vlb_device_attrs[] = {
	&dev_attr_type.attr,
	&dev_attr_type_id.attr,
	&dev_attr_state.attr,
	&dev_attr_owner_pid.attr,
	&dev_attr_owner_uid.attr,
	&dev_attr_driver_features.attr,
	&dev_attr_device_features.attr,
	&dev_attr_epoch.attr,
	&dev_attr_sessions.attr,
	&dev_attr_pool_size.attr,
	&dev_attr_timeout_ms.attr,
	&dev_attr_in_flight.attr,
	&dev_attr_broken_reason.attr,
	NULL
};

static const struct attribute_group vlb_device_group = { .attrs = vlb_device_attrs };

const struct attribute_group *vlb_device_groups[] = { &vlb_device_group, NULL };

/*
 * A queue's directory. @q outlives the directory in the file system, which is taken away before
 * the device's last reference; the kobject itself may live longer.
 */
struct queue_dir {
	struct kobject kobj;
	struct vlb_queue *q;
};

struct queue_attr {
	struct attribute attr;
	u64 (*get)(struct vlb_queue *q);
};

#define QUEUE_ATTR(_name, _value)							\
static u64 queue_##_name(struct vlb_queue *q)						\
{											\
	return _value;									\
}											\
static struct queue_attr queue_attr_##_name = {						\
	.attr = { .name = #_name, .mode = 0444 }, .get = queue_##_name,			\
}

QUEUE_ATTR(requests, READ_ONCE(q->stats.requests));
QUEUE_ATTR(completed, READ_ONCE(q->stats.completed));
QUEUE_ATTR(bytes_out, READ_ONCE(q->stats.bytes_out));
QUEUE_ATTR(bytes_in, READ_ONCE(q->stats.bytes_in));
QUEUE_ATTR(kicks, READ_ONCE(q->stats.kicks));
QUEUE_ATTR(calls, READ_ONCE(q->stats.calls));
QUEUE_ATTR(stalls, READ_ONCE(q->stats.stalls));
QUEUE_ATTR(failed, READ_ONCE(q->stats.failed));
QUEUE_ATTR(reoffered, READ_ONCE(q->stats.reoffered));
QUEUE_ATTR(clamped, READ_ONCE(q->stats.clamped));
QUEUE_ATTR(dropped, READ_ONCE(q->stats.dropped));
QUEUE_ATTR(dropped_bytes, READ_ONCE(q->stats.dropped_bytes));

static u64 queue_in_flight(struct vlb_queue *q)
{
	u64 n;

	mutex_lock(&q->vlb->lock);
	n = in_flight(q);
	mutex_unlock(&q->vlb->lock);
	return n;
}

static struct queue_attr queue_attr_in_flight = {
	.attr = { .name = "in_flight", .mode = 0444 }, .get = queue_in_flight,
};

/* Entries of the ring to the back-end; 0 without a session. */
static u64 queue_size(struct vlb_queue *q)
{
	u64 n;

	mutex_lock(&q->vlb->lock);
	n = q->ring ? q->ring->num : 0;
	mutex_unlock(&q->vlb->lock);
	return n;
}

static struct queue_attr queue_attr_size = {
	.attr = { .name = "size", .mode = 0444 }, .get = queue_size,
};

static u64 queue_driver_size(struct vlb_queue *q)
{
	u64 n;

	mutex_lock(&q->vlb->lock);
	n = q->vq ? q->vring.num : 0;
	mutex_unlock(&q->vlb->lock);
	return n;
}

static struct queue_attr queue_attr_driver_size = {
	.attr = { .name = "driver_size", .mode = 0444 }, .get = queue_driver_size,
};

static struct attribute *queue_attrs[] = {
	&queue_attr_requests.attr,
	&queue_attr_completed.attr,
	&queue_attr_bytes_out.attr,
	&queue_attr_bytes_in.attr,
	&queue_attr_kicks.attr,
	&queue_attr_calls.attr,
	&queue_attr_stalls.attr,
	&queue_attr_failed.attr,
	&queue_attr_reoffered.attr,
	&queue_attr_clamped.attr,
	&queue_attr_dropped.attr,
	&queue_attr_dropped_bytes.attr,
	&queue_attr_in_flight.attr,
	&queue_attr_size.attr,
	&queue_attr_driver_size.attr,
	NULL
};
ATTRIBUTE_GROUPS(queue);

static ssize_t queue_show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	struct queue_dir *dir = container_of(kobj, struct queue_dir, kobj);

	return sysfs_emit(buf, "%llu\n", container_of(attr, struct queue_attr, attr)->get(dir->q));
}

static void queue_dir_release(struct kobject *kobj)
{
	kfree(container_of(kobj, struct queue_dir, kobj));
}

static const struct sysfs_ops queue_sysfs_ops = { .show = queue_show };

static const struct kobj_type queue_ktype = {
	.sysfs_ops = &queue_sysfs_ops,
	.release = queue_dir_release,
	.default_groups = queue_groups,
};

/**
 * vlb_stats_del - take away the queues' directories
 * @vlb: the device
 */
void vlb_stats_del(struct vlb_device *vlb)
{
	unsigned int i;

	for (i = 0; i < vlb->nqueues; i++) {
		struct kobject *kobj = vlb->queues[i].kobj;

		if (!kobj)
			continue;
		vlb->queues[i].kobj = NULL;
		kobject_del(kobj);
		kobject_put(kobj);
	}
	kobject_put(vlb->queues_kobj);
	vlb->queues_kobj = NULL;
}

/**
 * vlb_stats_add - make the queues' directories
 * @vlb: the device, known to sysfs
 *
 * Return: 0 or -errno.
 */
int vlb_stats_add(struct vlb_device *vlb)
{
	unsigned int i;
	int err;

	vlb->queues_kobj = kobject_create_and_add("queues", &vlb->dev.kobj);
	if (!vlb->queues_kobj)
		return -ENOMEM;
	for (i = 0; i < vlb->nqueues; i++) {
		struct queue_dir *dir = kzalloc(sizeof(*dir), GFP_KERNEL);

		err = -ENOMEM;
		if (!dir)
			goto del;
		dir->q = &vlb->queues[i];
		err = kobject_init_and_add(&dir->kobj, &queue_ktype, vlb->queues_kobj, "%u", i);
		if (err) {
			kobject_put(&dir->kobj);
			goto del;
		}
		vlb->queues[i].kobj = &dir->kobj;
	}
	return 0;

del:
	vlb_stats_del(vlb);
	return err;
}
