/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What each message of the front-end does (vhost-user.rst, "Front-end message types").
 *
 * Messages arrive here checked for shape (proto/vhost_user_table.c). A function returns 0, having
 * made the message its own answer where there is one, or an error, which ends the connection.
 */
#include <errno.h>
#include <sys/mman.h>
#include <syslog.h>
#include <unistd.h>

#include "internal.h"

/* Take the only descriptor out of a message; -1 when there is none. */
static int take_fd(struct vhost_user_msg *msg)
{
	int fd;

	if (msg->num_fds == 0)
		return -1;
	fd = msg->fds[0];
	msg->fds[0] = -1;
	return fd;
}

static void answer_u64(struct vhost_user_msg *msg, uint64_t value)
{
	uint32_t request = msg->hdr.request;

	vhost_user_init_reply(msg, request, sizeof(uint64_t));
	msg->payload.u64 = value;
}

static struct vloop_queue *queue_of(struct vloop_dev *dev, uint64_t index)
{
	if (index >= dev->num_queues) {
		dev_error(dev, "the front-end names queue %llu, there are %u",
			  (unsigned long long)index, dev->num_queues);
		return NULL;
	}
	return &dev->queues[index];
}

static bool any_running(const struct vloop_dev *dev)
{
	for (unsigned int i = 0; i < dev->num_queues; i++)
		if (dev->queues[i].running)
			return true;
	return false;
}

/* Memory may change between these two; queues that ran go on where they were. */
static int pause_queues(struct vloop_dev *dev)
{
	for (unsigned int i = 0; i < dev->num_queues; i++)
		queue_halt(&dev->queues[i]);
	return dev->stuck ? -EBUSY : 0;
}

static int resume_queues(struct vloop_dev *dev)
{
	for (unsigned int i = 0; i < dev->num_queues; i++) {
		int r = queue_update(&dev->queues[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- features ---- */

static int get_features(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	answer_u64(msg, dev->features);
	return 0;
}

static int set_features(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	uint64_t features = msg->payload.u64, foreign = features & ~dev->features;
	uint64_t virtio = features & ~BIT64(VHOST_USER_F_PROTOCOL_FEATURES);
	int r;

	if (foreign) {
		dev_error(dev, "features that were not offered: %#llx",
			  (unsigned long long)foreign);
		return -EPROTO;
	}
	if (features != dev->acked && any_running(dev)) {
		dev_error(dev, "features change while queues run");
		return -EPROTO;
	}
	if (dev->ops.negotiated) {
		r = dev->ops.negotiated(dev, virtio);
		if (r < 0)
			return r;
	}
	dev->acked = features;
	/* Without the bit there is no SET_VRING_ENABLE: vhost-user.rst, "Ring states". */
	if (!(features & BIT64(VHOST_USER_F_PROTOCOL_FEATURES)))
		for (unsigned int i = 0; i < dev->num_queues; i++)
			dev->queues[i].enabled = true;
	return resume_queues(dev);
}

static int get_protocol_features(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	answer_u64(msg, dev->protocol_features);
	return 0;
}

static int set_protocol_features(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	uint64_t foreign = msg->payload.u64 & ~dev->protocol_features;

	if (foreign) {
		dev_error(dev, "protocol features that were not offered: %#llx",
			  (unsigned long long)foreign);
		return -EPROTO;
	}
	dev->acked_protocol = msg->payload.u64;
	return 0;
}

/* Ownership means nothing to this back-end: it has one front-end at a time. */
static int set_owner(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	(void)dev;
	(void)msg;
	return 0;
}

static int get_queue_num(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	answer_u64(msg, dev->num_queues);
	return 0;
}

static int set_request_fd(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	if (dev->request_fd >= 0)
		close(dev->request_fd);
	dev->request_fd = take_fd(msg);
	return 0;
}

/* ---- memory ---- */

static int set_mem_table(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	int r = pause_queues(dev);

	if (r < 0)
		return r;
	mem_clear(&dev->mem);
	for (uint32_t i = 0; i < msg->payload.mem.num; i++) {
		struct vhost_user_region region = msg->payload.mem.regions[i];

		r = mem_add(&dev->mem, &region, msg->fds[i]);
		if (r < 0) {
			dev_error(dev, "cannot map memory region %u", i);
			return r;
		}
	}
	return resume_queues(dev);
}

static int get_max_mem_slots(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	(void)dev;
	answer_u64(msg, MEM_SLOTS_MAX);
	return 0;
}

static int add_mem_reg(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	struct vhost_user_region region = msg->payload.reg.region;
	int r = pause_queues(dev);

	if (r == 0)
		r = mem_add(&dev->mem, &region, msg->fds[0]);
	return r < 0 ? r : resume_queues(dev);
}

static int rem_mem_reg(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	struct vhost_user_region region = msg->payload.reg.region;
	int r = pause_queues(dev);

	if (r == 0)
		r = mem_remove(&dev->mem, &region);
	return r < 0 ? r : resume_queues(dev);
}

/* ---- queues ---- */

/* Rings do not change under a running queue. */
static struct vloop_queue *idle_queue(struct vloop_dev *dev, uint32_t index)
{
	struct vloop_queue *queue = queue_of(dev, index);

	if (queue && queue->running) {
		dev_error(dev, "queue %u: its ring changes while it runs", index);
		return NULL;
	}
	return queue;
}

static int set_vring_num(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	struct vloop_queue *queue = idle_queue(dev, msg->payload.state.index);
	uint32_t num = msg->payload.state.num;

	if (!queue)
		return -EPROTO;
	if (num == 0 || num > dev->queue_size_max) {
		dev_error(dev, "queue %u: size %u, at most %u is possible", queue->index, num,
			  dev->queue_size_max);
		return -EPROTO;
	}
	queue->num = num;
	return 0;
}

static int set_vring_addr(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	struct vloop_queue *queue = idle_queue(dev, msg->payload.addr.index);

	/* The only flag is for the dirty log of a live migration, which is not offered. */
	if (!queue || msg->payload.addr.flags)
		return -EPROTO;
	queue->desc_addr = msg->payload.addr.desc;
	queue->avail_addr = msg->payload.addr.avail;
	queue->used_addr = msg->payload.addr.used;
	queue->have_addr = true;
	return 0;
}

static int set_vring_base(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	struct vloop_queue *queue = idle_queue(dev, msg->payload.state.index);

	if (!queue)
		return -EPROTO;
	queue->base = msg->payload.state.num;
	return 0;
}

/* Stops the queue; it starts again with a new kick descriptor, so no late kick can do it. */
static int get_vring_base(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	struct vloop_queue *queue = queue_of(dev, msg->payload.state.index);

	if (!queue)
		return -EPROTO;
	queue_halt(queue);
	if (dev->stuck)
		return -EBUSY;
	queue_set_kick(queue, -1);
	vhost_user_init_reply(msg, VHOST_USER_GET_VRING_BASE,
			      sizeof(struct vhost_user_vring_state));
	msg->payload.state.index = queue->index;
	msg->payload.state.num = queue->base;
	return 0;
}

static int set_vring_kick(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	struct vloop_queue *queue = queue_of(dev, msg->payload.u64 & VHOST_USER_VRING_INDEX_MASK);
	int kicked;

	if (!queue)
		return -EPROTO;
	if (msg->payload.u64 & VHOST_USER_VRING_NOFD) {
		dev_error(dev, "queue %u: rings without a kick descriptor are not supported",
			  queue->index);
		return -EPROTO;
	}
	kicked = queue_try_kick(queue, msg->fds[0]);
	if (kicked < 0)
		return kicked;
	queue_halt(queue);
	if (dev->stuck)
		return -EBUSY;
	queue_set_kick(queue, take_fd(msg));
	/* What was left unfinished is not kicked for again; without a ring it has to wait. */
	queue->started = kicked || (queue->num && queue->have_addr && inflight_left(queue));
	return queue_update(queue);
}

static int set_vring_call(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	struct vloop_queue *queue = queue_of(dev, msg->payload.u64 & VHOST_USER_VRING_INDEX_MASK);

	if (!queue)
		return -EPROTO;
	if (msg->num_fds && !queue_can_signal(queue, msg->fds[0]))
		return -EOPNOTSUPP;
	return queue_set_call(queue, take_fd(msg));
}

static int set_vring_err(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	struct vloop_queue *queue = queue_of(dev, msg->payload.u64 & VHOST_USER_VRING_INDEX_MASK);

	if (!queue)
		return -EPROTO;
	if (msg->num_fds && !queue_can_signal(queue, msg->fds[0]))
		return -EOPNOTSUPP;
	if (queue->err_fd >= 0)
		close(queue->err_fd);
	queue->err_fd = take_fd(msg);
	return 0;
}

static int set_vring_enable(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	struct vloop_queue *queue = queue_of(dev, msg->payload.state.index);
	int r;

	if (!queue || msg->payload.state.num > 1 ||
	    !(dev->acked & BIT64(VHOST_USER_F_PROTOCOL_FEATURES)))
		return -EPROTO;
	queue->enabled = msg->payload.state.num;
	r = queue_update(queue);
	return dev->stuck ? -EBUSY : r;
}

/* ---- configuration space ---- */

/*
 * How loudly to speak of an access that is refused and leaves the connection: a guest can go on with
 * those for ever, and the first says it all.
 */
int config_level(struct vloop_dev *dev)
{
	int level = dev->config_refused ? LOG_DEBUG : LOG_ERR;

	dev->config_refused = true;
	return level;
}

static int get_config(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	uint32_t offset = msg->payload.config.offset, size = msg->payload.config.size, n = 0, at;

	/* In virtio-mmio it begins there, and so it did for some front-ends (cloud-hypervisor). */
	at = offset == VLOOP_CONFIG_MAX ? 0 : offset;
	/* Front-ends of another version ask for more than there is: the rest reads as zero. */
	if (at >= dev->config_len || size == 0) {
		dev_log(dev, config_level(dev),
			"bytes %u to %u of the configuration space, which has %u", offset,
			offset + size, dev->config_len);
		vhost_user_init_reply(msg, VHOST_USER_GET_CONFIG, 0);
		return 0;
	}
	vhost_user_init_reply(msg, VHOST_USER_GET_CONFIG,
			      (uint32_t)VHOST_USER_CONFIG_HDR_SIZE + size);
	msg->payload.config.offset = offset;
	msg->payload.config.size = size;
	n = size < dev->config_len - at ? size : dev->config_len - at;
	memcpy(msg->payload.config.data, dev->config + at, n);
	return 0;
}

static int set_config(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	uint32_t offset = msg->payload.config.offset, size = msg->payload.config.size;
	uint8_t before[VLOOP_CONFIG_MAX];
	int r;

	if (!dev->ops.config_write || (msg->payload.config.flags != VHOST_USER_CONFIG_WRITE &&
				       msg->payload.config.flags != VHOST_USER_CONFIG_WRITABLE))
		return -EOPNOTSUPP;
	if (size == 0 || offset >= dev->config_len || size > dev->config_len - offset)
		return -ERANGE;
	memcpy(before, dev->config, sizeof(before));
	memcpy(dev->config + offset, msg->payload.config.data, size);
	r = dev->ops.config_write(dev, offset, msg->payload.config.data, size);
	if (r < 0)
		memcpy(dev->config, before, sizeof(before));
	return r;
}

/* ---- status, reset, requests in flight ---- */

static int reset_device(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	int r = pause_queues(dev);

	(void)msg;
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < dev->num_queues; i++) {
		queue_set_kick(&dev->queues[i], -1);
		dev->queues[i].base = 0;
		dev->queues[i].enabled =
			!(dev->acked & BIT64(VHOST_USER_F_PROTOCOL_FEATURES));
	}
	dev->status = 0;
	if (dev->ops.reset)
		dev->ops.reset(dev);
	return 0;
}

static int set_status(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	if (msg->payload.u64 > UINT8_MAX)
		return -EPROTO;
	/* virtio 1.3, 2.1.2: writing 0 resets the device. */
	if (msg->payload.u64 == 0)
		return dev->status ? reset_device(dev, msg) : 0;
	dev->status = (uint8_t)msg->payload.u64;
	return 0;
}

static int get_status(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	answer_u64(msg, dev->status);
	return 0;
}

static int get_inflight_fd(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	struct vhost_user_inflight info = msg->payload.inflight;
	uint32_t size = msg->hdr.size;
	int fd, r;

	if (any_running(dev))
		return -EPROTO;
	r = inflight_create(dev, &info, &fd);
	if (r < 0)
		return r;
	vhost_user_init_reply(msg, VHOST_USER_GET_INFLIGHT_FD, size);
	msg->payload.inflight = info;
	if (fd >= 0) {
		msg->fds[0] = fd;
		msg->num_fds = 1;
	}
	return 0;
}

static int set_inflight_fd(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	struct vhost_user_inflight info = msg->payload.inflight;

	if (any_running(dev))
		return -EPROTO;
	return inflight_set(dev, &info, msg->fds[0]);
}

/* A message belongs to a protocol feature, or (-1) to all front-ends. */
static const struct {
	int (*run)(struct vloop_dev *dev, struct vhost_user_msg *msg);
	int feature;
} handlers[VHOST_USER_REQUEST_END] = {
	[VHOST_USER_GET_FEATURES] = { get_features, -1 },
	[VHOST_USER_SET_FEATURES] = { set_features, -1 },
	[VHOST_USER_SET_OWNER] = { set_owner, -1 },
	[VHOST_USER_RESET_OWNER] = { set_owner, -1 },
	[VHOST_USER_SET_MEM_TABLE] = { set_mem_table, -1 },
	[VHOST_USER_SET_VRING_NUM] = { set_vring_num, -1 },
	[VHOST_USER_SET_VRING_ADDR] = { set_vring_addr, -1 },
	[VHOST_USER_SET_VRING_BASE] = { set_vring_base, -1 },
	[VHOST_USER_GET_VRING_BASE] = { get_vring_base, -1 },
	[VHOST_USER_SET_VRING_KICK] = { set_vring_kick, -1 },
	[VHOST_USER_SET_VRING_CALL] = { set_vring_call, -1 },
	[VHOST_USER_SET_VRING_ERR] = { set_vring_err, -1 },
	[VHOST_USER_GET_PROTOCOL_FEATURES] = { get_protocol_features, -1 },
	[VHOST_USER_SET_PROTOCOL_FEATURES] = { set_protocol_features, -1 },
	[VHOST_USER_GET_QUEUE_NUM] = { get_queue_num, VHOST_USER_PROTOCOL_F_MQ },
	[VHOST_USER_SET_VRING_ENABLE] = { set_vring_enable, -1 },
	[VHOST_USER_SET_BACKEND_REQ_FD] = { set_request_fd, VHOST_USER_PROTOCOL_F_BACKEND_REQ },
	[VHOST_USER_GET_CONFIG] = { get_config, VHOST_USER_PROTOCOL_F_CONFIG },
	[VHOST_USER_SET_CONFIG] = { set_config, VHOST_USER_PROTOCOL_F_CONFIG },
	[VHOST_USER_GET_INFLIGHT_FD] = { get_inflight_fd, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD },
	[VHOST_USER_SET_INFLIGHT_FD] = { set_inflight_fd, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD },
	[VHOST_USER_RESET_DEVICE] = { reset_device, VHOST_USER_PROTOCOL_F_RESET_DEVICE },
	[VHOST_USER_GET_MAX_MEM_SLOTS] = { get_max_mem_slots,
					   VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS },
	[VHOST_USER_ADD_MEM_REG] = { add_mem_reg, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS },
	[VHOST_USER_REM_MEM_REG] = { rem_mem_reg, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS },
	[VHOST_USER_SET_STATUS] = { set_status, VHOST_USER_PROTOCOL_F_STATUS },
	[VHOST_USER_GET_STATUS] = { get_status, VHOST_USER_PROTOCOL_F_STATUS },
};

int control_handle(struct vloop_dev *dev, struct vhost_user_msg *msg)
{
	uint32_t request = msg->hdr.request;
	int feature;

	if (request >= VHOST_USER_REQUEST_END || !handlers[request].run)
		return -ENOSYS;
	feature = handlers[request].feature;
	if (feature >= 0 && !(dev->acked_protocol & BIT64(feature))) {
		dev_error(dev, "request without its protocol feature, bit %d", feature);
		return -EPROTO;
	}
	return handlers[request].run(dev, msg);
}
