// SPDX-License-Identifier: GPL-2.0-only
/*
 * The config space. Reads are served from the kernel's copy. Writes are for the fields that the
 * type's row names: user space forwards them, and the driver waits for the answer, with a bound,
 * where it reads the result back.
 */
#include <linux/jiffies.h>
#include <linux/slab.h>
#include <linux/virtio_config.h>

#include "trace.h"
#include "vlb.h"

/*
 * Bits that belong to rings and transports (virtio 1.3, 6): the driver gets this transport's
 * own. Bit 30 is vhost-user's; ACCESS_PLATFORM would make the driver's ring DMA memory.
 */
#define TRANSPORT_BITS	GENMASK_ULL(VIRTIO_TRANSPORT_F_END, VIRTIO_TRANSPORT_F_START)
#define LEGACY_BITS	(BIT_ULL(VIRTIO_F_NOTIFY_ON_EMPTY) | BIT_ULL(VIRTIO_F_ANY_LAYOUT) | \
			 BIT_ULL(30))
#define DRIVER_BITS	(BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) | \
			 BIT_ULL(VIRTIO_RING_F_EVENT_IDX))

/* Between two notifications of the driver. */
#define NOTIFY_INTERVAL_MS	250

/* The driver sees what the pool can hold; called before it does, or with config_lock held. */
static u64 clamp_config(struct vlb_device *vlb, u64 features)
{
	struct vlb_limits limits;

	vlb_pool_limits(&limits, vlb->pool_len, vlb->nqueues, vlb->queue_size);
	if (vlb->type->fit)
		vlb->type->fit(&limits, vlb->config, vlb->config_len, &features);
	return features;
}

/**
 * vlb_config_init - set config space and features as the driver will see them
 * @vlb: the device, with its pool and queues sized
 * @config: from user space; NULL without any
 * @len: bytes, at most VLB_CONFIG_MAX
 *
 * Return: 0 or -ENOMEM.
 */
int vlb_config_init(struct vlb_device *vlb, const u8 *config, u32 len)
{
	u64 features = vlb->device_features & ~(TRANSPORT_BITS | LEGACY_BITS);

	if (!vlb->trusted)
		features &= ~vlb->type->trusting;
	spin_lock_init(&vlb->config_lock);
	mutex_init(&vlb->config_mutex);
	init_completion(&vlb->config_write.done);
	vlb->config = kzalloc(max(len, 1U), GFP_KERNEL);
	if (!vlb->config)
		return -ENOMEM;
	if (len)
		memcpy(vlb->config, config, len);
	vlb->config_len = len;
	vlb->offered = clamp_config(vlb, features | DRIVER_BITS);
	return 0;
}

/**
 * vlb_config_read - read what the driver sees; what lies behind the config space reads as zero
 * @vlb: the device
 * @offset: bytes
 * @buf: for the result
 * @len: bytes
 */
void vlb_config_read(struct vlb_device *vlb, unsigned int offset, void *buf, unsigned int len)
{
	unsigned long flags;
	u32 have = 0;

	spin_lock_irqsave(&vlb->config_lock, flags);
	if (offset < vlb->config_len)
		have = min(len, vlb->config_len - offset);
	memcpy(buf, vlb->config + offset, have);
	spin_unlock_irqrestore(&vlb->config_lock, flags);
	memset(buf + have, 0, len - have);
}

/**
 * vlb_config_get - virtio_config_ops.get
 * @vdev: the device
 * @offset: bytes
 * @buf: for the result
 * @len: bytes
 */
void vlb_config_get(struct virtio_device *vdev, unsigned int offset, void *buf, unsigned int len)
{
	vlb_config_read(vdev_to_vlb(vdev), offset, buf, len);
}

/**
 * vlb_config_generation - virtio_config_ops.generation
 * @vdev: the device
 *
 * Return: a number that changes with the config space.
 */
u32 vlb_config_generation(struct virtio_device *vdev)
{
	return READ_ONCE(vdev_to_vlb(vdev)->generation);
}

static const struct vlb_field *find_field(const struct vlb_device *vlb, u32 offset, u32 len)
{
	const struct vlb_field *field = vlb->type->writable;

	for (; field && field->len; field++)
		if (field->offset == offset && field->len == len && offset + len <= vlb->config_len)
			return field;
	return NULL;
}

/* The question is the driver's; what is there answers an earlier one. */
static void ask_anew(struct vlb_device *vlb, const struct vlb_field *field, const void *buf)
{
	lockdep_assert_held(&vlb->config_lock);
	memcpy(vlb->config + field->offset, buf, field->len);
	if (field->answer < vlb->config_len)
		memset(vlb->config + field->answer, 0, vlb->config_len - field->answer);
	vlb->generation++;
}

/* Hand the write to user space; false: an earlier one is on its way, or nobody will answer. */
static bool ask(struct vlb_device *vlb, const struct vlb_field *field, const void *buf)
{
	struct vlb_config_write *write = &vlb->config_write;
	unsigned long flags;
	bool free;

	spin_lock_irqsave(&vlb->config_lock, flags);
	if (field->answer)
		ask_anew(vlb, field, buf);
	free = !write->busy && !vlb->orphan && !READ_ONCE(vlb->broken);
	if (free) {
		write->busy = true;
		write->id = field->wait ? ++vlb->config_id : 0;
		write->offset = field->offset;
		write->len = field->len;
		memcpy(write->data, buf, field->len);
		reinit_completion(&write->done);
	}
	spin_unlock_irqrestore(&vlb->config_lock, flags);
	if (free)
		vlb_post(vlb, VLB_EVENT_CONFIG_WRITE);
	return free;
}

static void ask_and_wait(struct vlb_device *vlb, const struct vlb_field *field, const void *buf)
{
	struct vlb_config_write *write = &vlb->config_write;
	unsigned long bound = msecs_to_jiffies(vlb->timeout_ms);
	unsigned int sleeps = READ_ONCE(vlb_sleeps);
	int error = -ENODEV;
	bool late = false;

	mutex_lock(&vlb->config_mutex);
	if (ask(vlb, field, buf)) {
		/* Who sleeps answers nothing. */
		while (!wait_for_completion_timeout(&write->done, bound) &&
		       (READ_ONCE(vlb_asleep) || sleeps != READ_ONCE(vlb_sleeps)))
			sleeps = READ_ONCE(vlb_sleeps);
		spin_lock_irq(&vlb->config_lock);
		/* An answer may say ETIMEDOUT too. */
		late = write->id;
		error = late ? -ETIMEDOUT : write->error;
		write->busy = false;
		write->id = 0;
		spin_unlock_irq(&vlb->config_lock);
	}
	mutex_unlock(&vlb->config_mutex);

	trace_vlb_config_write(vlb, field->offset, field->len, error);
	if (late) {
		dev_err_ratelimited(&vlb->dev, "config write at offset %u was not answered within %u ms; device is broken\n",
				    field->offset, vlb->timeout_ms);
		vlb_device_break_async(vlb, VLB_BROKEN_TIMEOUT);
	} else if (error) {
		dev_warn_ratelimited(&vlb->dev, "config write at offset %u failed: %d\n",
				     field->offset, error);
	}
}

/**
 * vlb_config_set - virtio_config_ops.set
 * @vdev: the device
 * @offset: bytes
 * @buf: what to write
 * @len: bytes
 *
 * Only what the type's row allows goes further, one field at a time. May sleep where the row
 * says so; other fields may be written in any context, and lost when written too fast.
 */
void vlb_config_set(struct virtio_device *vdev, unsigned int offset, const void *buf,
		    unsigned int len)
{
	struct vlb_device *vlb = vdev_to_vlb(vdev);
	const struct vlb_field *field = find_field(vlb, offset, len);

	if (!field)
		dev_warn_ratelimited(&vlb->dev, "driver may not write config bytes %u to %u\n",
				     offset, offset + len - 1);
	else if (field->wait)
		ask_and_wait(vlb, field, buf);
	else
		ask(vlb, field, buf);
}

static bool range_ok(const struct vlb_device *vlb, u32 offset, u32 len)
{
	return offset <= vlb->config_len && len <= vlb->config_len - offset;
}

static void replace(struct vlb_device *vlb, u32 offset, u32 len, const u8 *data)
{
	const struct vlb_field *field = vlb->type->writable;
	u32 skip = field && field->answer > offset ? min(field->answer - offset, len) : 0;

	lockdep_assert_held(&vlb->config_lock);
	if (vlb->type->fixed)
		return;
	memcpy(vlb->config + offset + skip, data + skip, len - skip);
	clamp_config(vlb, vlb->offered);
	vlb->generation++;
}

/**
 * vlb_config_replace - user space changes the config space
 * @vlb: the device
 * @offset: bytes
 * @len: bytes
 * @data: the new bytes
 *
 * Return: 0 or -EINVAL.
 */
int vlb_config_replace(struct vlb_device *vlb, u32 offset, u32 len, const u8 *data)
{
	if (!range_ok(vlb, offset, len))
		return -EINVAL;
	spin_lock_irq(&vlb->config_lock);
	replace(vlb, offset, len, data);
	spin_unlock_irq(&vlb->config_lock);
	return 0;
}

/**
 * vlb_config_notify - tell the driver that the config space is another one
 * @vlb: the device
 *
 * Drivers log what is new. Who changes it all the time is heard now and then, the last change always.
 */
void vlb_config_notify(struct vlb_device *vlb)
{
	const u64 now = get_jiffies_64();

	mutex_lock(&vlb->lock);
	if (vlb->state != VLB_STATE_REMOVED)
		queue_delayed_work(vlb_wq, &vlb->notify_work,
				   now < vlb->notify_next ? vlb->notify_next - now : 0);
	mutex_unlock(&vlb->lock);
}

/**
 * vlb_config_notify_fn - the same from a context of its own
 * @work: the device's notify_work
 */
void vlb_config_notify_fn(struct work_struct *work)
{
	struct vlb_device *vlb = container_of(work, struct vlb_device, notify_work.work);
	u64 now;

	mutex_lock(&vlb->lock);
	now = get_jiffies_64();
	if (now < vlb->notify_next) {
		/* Asked for while the last one was on its way. */
		queue_delayed_work(vlb_wq, &vlb->notify_work, vlb->notify_next - now);
	} else {
		vlb->notify_next = now + msecs_to_jiffies(NOTIFY_INTERVAL_MS);
		/* A driver that is still looking at the device is told when it has done so. */
		if (vlb->status & VIRTIO_CONFIG_S_DRIVER)
			virtio_config_changed(&vlb->vdev);
	}
	mutex_unlock(&vlb->lock);
}

/**
 * vlb_config_answer - user space answers a config write
 * @vlb: the device
 * @id: of the event
 * @error: 0 or -errno
 * @offset: bytes
 * @len: bytes
 * @data: the config space after the write
 *
 * Return: 0, -EINVAL, or -ENOENT: nobody waits for it.
 */
int vlb_config_answer(struct vlb_device *vlb, u64 id, int error, u32 offset, u32 len,
		      const u8 *data)
{
	struct vlb_config_write *write = &vlb->config_write;
	int ret = -ENOENT;

	if (!range_ok(vlb, offset, len))
		return -EINVAL;
	spin_lock_irq(&vlb->config_lock);
	if (write->busy && id && write->id == id) {
		if (!error)
			replace(vlb, offset, len, data);
		write->id = 0;
		write->error = error;
		complete(&write->done);
		ret = 0;
	}
	spin_unlock_irq(&vlb->config_lock);
	return ret;
}

/**
 * vlb_config_take - take the write that VLB_EVENT_CONFIG_WRITE tells of
 * @vlb: the device
 * @event: to be filled in
 *
 * Return: false: there is none any more.
 */
bool vlb_config_take(struct vlb_device *vlb, struct vlb_event *event)
{
	struct vlb_config_write *write = &vlb->config_write;
	bool have;

	spin_lock_irq(&vlb->config_lock);
	have = write->busy;
	if (have) {
		event->id = write->id;
		event->offset = write->offset;
		event->len = write->len;
		memcpy(event->data, write->data, write->len);
		if (!write->id)
			write->busy = false;
	}
	spin_unlock_irq(&vlb->config_lock);
	return have;
}

/**
 * vlb_config_abort - nobody will answer
 * @vlb: the device, marked as orphan or broken
 */
void vlb_config_abort(struct vlb_device *vlb)
{
	struct vlb_config_write *write = &vlb->config_write;

	spin_lock_irq(&vlb->config_lock);
	if (write->busy && write->id) {
		write->id = 0;
		write->error = -ENODEV;
		complete(&write->done);
	}
	spin_unlock_irq(&vlb->config_lock);
}
