// SPDX-License-Identifier: GPL-2.0-only
/* Events for the device's creator: states, not a log, so that nothing piles up. */
#include "vlb.h"

/* The order of delivery: what ends things before what begins them. */
static const u8 order[] = {
	VLB_EVENT_REGISTERED, VLB_EVENT_BROKEN, VLB_EVENT_RESET, VLB_EVENT_DRIVER_OK,
	VLB_EVENT_CONFIG_WRITE, VLB_EVENT_REMOVING, VLB_EVENT_REMOVED,
};

/**
 * vlb_events_init - no event is pending
 * @vlb: the device
 */
void vlb_events_init(struct vlb_device *vlb)
{
	spin_lock_init(&vlb->event_lock);
	init_waitqueue_head(&vlb->event_wait);
}

/**
 * vlb_post - make an event pending
 * @vlb: the device
 * @event: VLB_EVENT_*
 *
 * Any context. A reset takes back a DRIVER_OK that nobody has read.
 */
void vlb_post(struct vlb_device *vlb, u32 event)
{
	unsigned long flags;

	spin_lock_irqsave(&vlb->event_lock, flags);
	if (event == VLB_EVENT_RESET)
		vlb->events &= ~BIT(VLB_EVENT_DRIVER_OK);
	vlb->events |= BIT(event);
	spin_unlock_irqrestore(&vlb->event_lock, flags);
	wake_up_interruptible(&vlb->event_wait);
}

/**
 * vlb_event_pending - is there an event?
 * @vlb: the device
 *
 * Return: whether.
 */
bool vlb_event_pending(struct vlb_device *vlb)
{
	return READ_ONCE(vlb->events);
}

static u32 take(struct vlb_device *vlb)
{
	unsigned int i;
	u32 event = 0;

	spin_lock_irq(&vlb->event_lock);
	for (i = 0; i < ARRAY_SIZE(order) && !event; i++)
		if (vlb->events & BIT(order[i]))
			event = order[i];
	vlb->events &= ~BIT(event);
	spin_unlock_irq(&vlb->event_lock);
	return event;
}

/* What the back-end is to acknowledge: what the driver accepted and the back-end knows. */
static u64 acked_features(struct vlb_device *vlb)
{
	u64 ring = BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) | BIT_ULL(VIRTIO_RING_F_EVENT_IDX);

	return ((vlb->vdev.features & ~ring) | ring) & vlb->device_features;
}

/**
 * vlb_event_take - take the next event
 * @vlb: the device
 * @ret_event: to be filled in
 *
 * Return: false: there is none.
 */
bool vlb_event_take(struct vlb_device *vlb, struct vlb_event *ret_event)
{
	u32 type;

	memset(ret_event, 0, sizeof(*ret_event));
	ret_event->size = sizeof(*ret_event);
	/* Or a reset between the event and what it tells would make it one of the next epoch. */
	mutex_lock(&vlb->lock);
	do {
		type = take(vlb);
	} while (type == VLB_EVENT_CONFIG_WRITE && !vlb_config_take(vlb, ret_event));
	ret_event->type = type;
	ret_event->epoch = vlb->epoch;
	if (type == VLB_EVENT_DRIVER_OK)
		ret_event->features = acked_features(vlb);
	else if (type == VLB_EVENT_BROKEN)
		ret_event->reason = vlb->broken;
	else if (type == VLB_EVENT_REGISTERED)
		ret_event->reason = -vlb->register_error;
	mutex_unlock(&vlb->lock);
	return type;
}
