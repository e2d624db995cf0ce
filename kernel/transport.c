// SPDX-License-Identifier: GPL-2.0-only
/*
 * The virtio transport: what a driver sees of a device (struct virtio_config_ops).
 *
 * The driver's rings are split rings in kernel memory that no device process ever sees.
 */
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/virtio_config.h>

#include "trace.h"
#include "vlb.h"

/* Alignment of the used ring; any power of two will do, nobody maps it. */
#define RING_ALIGN	SMP_CACHE_BYTES

static u64 get_features(struct virtio_device *vdev)
{
	return vdev_to_vlb(vdev)->offered;
}

static int finalize_features(struct virtio_device *vdev)
{
	vring_transport_features(vdev);
	if (!__virtio_test_bit(vdev, VIRTIO_F_VERSION_1)) {
		dev_err(&vdev->dev, "driver does not accept VIRTIO_F_VERSION_1\n");
		return -EINVAL;
	}
	return 0;
}

static u8 get_status(struct virtio_device *vdev)
{
	return READ_ONCE(vdev_to_vlb(vdev)->status);
}

/* Let the queues run, or stop them; what is in the driver's ring before DRIVER_OK waits. */
static void set_ready(struct vlb_device *vlb, bool ready)
{
	unsigned int i;

	for (i = 0; i < vlb->nqueues; i++) {
		struct vlb_queue *q = &vlb->queues[i];

		if (!q->vq)
			continue;
		vlb_queue_freeze(q);
		spin_lock_irq(&q->post_lock);
		q->ready = ready;
		spin_unlock_irq(&q->post_lock);
		vlb_queue_thaw(q);
	}
}

static void set_status(struct virtio_device *vdev, u8 status)
{
	struct vlb_device *vlb = vdev_to_vlb(vdev);
	bool up;

	mutex_lock(&vlb->lock);
	up = (status & ~vlb->status) & VIRTIO_CONFIG_S_DRIVER_OK;
	WRITE_ONCE(vlb->status, status);
	if (up) {
		set_ready(vlb, true);
		mod_delayed_work(vlb_wq, &vlb->probed_work, 0);
		vlb_post(vlb, VLB_EVENT_DRIVER_OK);
	}
	mutex_unlock(&vlb->lock);
}

/*
 * Cut first, tell the device afterwards: the back-end never had the driver's memory, so a
 * reset does not wait for it. No callback runs after the return.
 */
static void reset(struct virtio_device *vdev)
{
	struct vlb_device *vlb = vdev_to_vlb(vdev);
	bool was_up;

	if (vlb->type->terminals && !list_empty(&vdev->vqs))
		vlb_terminals_keep(vlb, VLB_QUEUES_MAX);
	mutex_lock(&vlb->lock);
	was_up = vlb->link || (vlb->status & VIRTIO_CONFIG_S_DRIVER_OK);
	set_ready(vlb, false);
	vlb_queues_unspin(vlb);
	bitmap_zero(vlb->facts, VLB_NOTES);
	vlb_link_stop(vlb, VLB_REST_FORGET);
	vlb->epoch++;
	WRITE_ONCE(vlb->status, 0);
	if (vlb->state == VLB_STATE_RUNNING)
		vlb->state = VLB_STATE_WAITING;
	trace_vlb_state(vlb);
	if (was_up)
		vlb_post(vlb, VLB_EVENT_RESET);
	mutex_unlock(&vlb->lock);
}

static bool notify(struct virtqueue *vq)
{
	struct vlb_queue *q = vq->priv;
	size_t limit = VLB_INLINE;

	if (irqs_disabled())
		limit = VLB_INLINE_IRQS_OFF;
	else if (preempt_count())
		limit = VLB_INLINE_ATOMIC;
	if (q->role->flags & VLB_ROLE_TOGETHER)
		vlb_queue_notified(q);
	vlb_watch(q);
	vlb_queue_submit(q, limit);
	if (q->role->flags & VLB_ROLE_REFUSE)
		vlb_queue_pace(q);
	return true;
}

static void del_vq(struct vlb_device *vlb, struct virtqueue *vq)
{
	struct vlb_queue *q = vq->priv;

	mutex_lock(&vlb->lock);
	vlb_queue_freeze(q);
	vlb_queue_detach(q, VLB_REST_FORGET);
	spin_lock_irq(&q->post_lock);
	q->ready = false;
	q->vq = NULL;
	spin_unlock_irq(&q->post_lock);
	vlb_queue_thaw(q);
	mutex_unlock(&vlb->lock);

	vlb_watch_stop(q);
	kvfree(q->redo);
	q->redo = NULL;
	vring_del_virtqueue(vq);
}

static void del_vqs(struct virtio_device *vdev)
{
	struct vlb_device *vlb = vdev_to_vlb(vdev);
	struct virtqueue *vq, *next;

	list_for_each_entry_safe(vq, next, &vdev->vqs, list)
		del_vq(vlb, vq);
	vlb_terminals_release(vlb);
}

static struct virtqueue *setup_vq(struct vlb_device *vlb, unsigned int index, unsigned int nvqs,
				  const struct vlb_vq_info *info)
{
	const struct vlb_role *role = vlb->type->role(index, nvqs, vlb->vdev.features);
	u16 num = min_not_zero(vlb->driver_queue_size, role->ring_max);
	struct vlb_queue *q = &vlb->queues[index];
	struct virtqueue *vq;

	vq = vring_create_virtqueue(index, num, RING_ALIGN, &vlb->vdev, true, true, info->ctx,
				    notify, info->callback, info->name);
	if (!vq)
		return ERR_PTR(-ENOMEM);
	vq->num_max = num;
	vq->priv = q;

	q->redo = kvcalloc(virtqueue_get_vring_size(vq), sizeof(*q->redo), GFP_KERNEL);
	if (!q->redo) {
		vring_del_virtqueue(vq);
		return ERR_PTR(-ENOMEM);
	}
	q->vring = *virtqueue_get_vring(vq);
	q->event_idx = virtio_has_feature(&vlb->vdev, VIRTIO_RING_F_EVENT_IDX);
	q->last_avail = 0;
	q->notified = 0;
	q->used_idx = 0;
	q->signalled = 0;
	q->callback = false;
	q->stalled = false;
	q->gate_closed = false;
	q->spun = false;
	q->refusing = false;
	q->dropping = false;
	q->redo_pos = 0;
	q->redo_num = 0;
	mutex_lock(&vlb->lock);
	vlb_queue_freeze(q);
	q->vq = vq;
	q->role = role;
	q->quiet = role->flags & (VLB_ROLE_PROBED | VLB_ROLE_KNOWN);
	q->failing = vlb->failing || vlb->ending;
	vlb_queue_thaw(q);
	mutex_unlock(&vlb->lock);
	return vq;
}

static int find_vqs(struct virtio_device *vdev, VLB_FIND_VQS_ARGS)
{
	struct vlb_device *vlb = vdev_to_vlb(vdev);
	unsigned int i, index = 0, named = 0;

	for (i = 0; i < nvqs; i++)
		named += !!vlb_vq_info_at(i).name;
	for (i = 0; i < nvqs; i++) {
		struct vlb_vq_info info = vlb_vq_info_at(i);

		if (!info.name) {
			vqs[i] = NULL;
			continue;
		}
		if (index == vlb->nqueues) {
			dev_err(&vdev->dev, "driver wants more than the device's %u queues\n",
				vlb->nqueues);
			del_vqs(vdev);
			return -ENOENT;
		}
		vqs[i] = setup_vq(vlb, index++, named, &info);
		if (IS_ERR(vqs[i])) {
			del_vqs(vdev);
			return PTR_ERR(vqs[i]);
		}
	}
	return 0;
}

static const char *bus_name(struct virtio_device *vdev)
{
	return vdev_to_vlb(vdev)->name;
}

/* From the return on, no callback that began earlier is still running. */
static void synchronize_cbs(struct virtio_device *vdev)
{
	struct vlb_device *vlb = vdev_to_vlb(vdev);
	unsigned int i;

	mutex_lock(&vlb->lock);
	for (i = 0; i < vlb->nqueues; i++) {
		vlb_queue_freeze(&vlb->queues[i]);
		vlb_queue_thaw(&vlb->queues[i]);
	}
	mutex_unlock(&vlb->lock);
}

const struct virtio_config_ops vlb_config_ops = {
	.get = vlb_config_get,
	.set = vlb_config_set,
	.generation = vlb_config_generation,
	.get_status = get_status,
	.set_status = set_status,
	.reset = reset,
	.find_vqs = find_vqs,
	.del_vqs = del_vqs,
	.synchronize_cbs = synchronize_cbs,
	.get_features = get_features,
	.finalize_features = finalize_features,
	.bus_name = bus_name,
};
