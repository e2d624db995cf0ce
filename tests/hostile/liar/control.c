/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "liar.h"
#include "log.h"

#define SEND_MS 1000

void pool_forget(struct liar *liar)
{
	if (liar->pool.map)
		munmap(liar->pool.map, liar->pool.size);
	if (liar->pool.fd >= 0)
		close(liar->pool.fd);
	memset(&liar->pool, 0, sizeof(liar->pool));
	liar->pool.fd = -1;
}

/* --- Replies. Lies about them apply to one kind of message, named on the command line. */

/* Header and payload in one piece, whatever the header says about its size. */
static int send_raw(int sock, const struct vhost_user_msg *msg, size_t payload)
{
	ssize_t n = send(sock, &msg->hdr, VHOST_USER_HDR_SIZE + payload, MSG_NOSIGNAL);

	return n < 0 ? -errno : 0;
}

static int lie_reply(struct liar *liar, struct vhost_user_msg *msg)
{
	size_t size = msg->hdr.size;
	int r;

	switch (liar->lie) {
	case LIE_REPLY_NONE:
		return 0;
	case LIE_REPLY_CLOSE:
		return -ECONNRESET;
	case LIE_REPLY_TWICE:
		r = send_raw(liar->sock, msg, size);
		return r ? r : send_raw(liar->sock, msg, size);
	case LIE_REPLY_VERSION:
		msg->hdr.flags = (msg->hdr.flags & ~VHOST_USER_VERSION_MASK) | 2;
		break;
	case LIE_REPLY_FLAGS:
		msg->hdr.flags |= 0xdead0000;
		break;
	case LIE_REPLY_REQUEST:
		msg->hdr.request = msg->hdr.request == VHOST_USER_GET_FEATURES
					   ? VHOST_USER_GET_QUEUE_NUM
					   : VHOST_USER_GET_FEATURES;
		break;
	case LIE_REPLY_SHORT:
		msg->hdr.size = (uint32_t)--size;
		break;
	case LIE_REPLY_LONG:
		size = sizeof(msg->payload);
		msg->hdr.size = (uint32_t)size;
		break;
	case LIE_REPLY_HUGE:
		msg->hdr.size = UINT32_MAX;
		break;
	case LIE_REPLY_HALF:
		size /= 2;
		break;
	case LIE_REPLY_FDS:
		for (; msg->num_fds < VHOST_USER_FDS_MAX; msg->num_fds++)
			msg->fds[msg->num_fds] = STDERR_FILENO;
		return vhost_user_send(liar->sock, msg, SEND_MS);
	case LIE_REPLY_VALUE:
		memset(&msg->payload, 0xff, size);
		break;
	default:
		break;
	}
	return send_raw(liar->sock, msg, size);
}

static int reply(struct liar *liar, struct vhost_user_msg *msg)
{
	msg->hdr.flags = VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY;
	msg->num_fds = 0;
	if (liar->lie >= LIE_REPLY_NONE && liar->lie <= LIE_REPLY_VALUE &&
	    msg->hdr.request == liar->message)
		return lie_reply(liar, msg);
	return vhost_user_send(liar->sock, msg, SEND_MS);
}

static int reply_u64(struct liar *liar, struct vhost_user_msg *msg, uint64_t value)
{
	msg->hdr.size = sizeof(value);
	msg->payload.u64 = value;
	return reply(liar, msg);
}

static int acknowledge(struct liar *liar, struct vhost_user_msg *msg, bool ok)
{
	if (!(msg->hdr.flags & VHOST_USER_FLAG_NEED_REPLY))
		return ok ? 0 : -EPROTO;
	return reply_u64(liar, msg, !ok);
}

static int reply_config(struct liar *liar, struct vhost_user_msg *msg)
{
	struct virtio_blk_config config;
	uint32_t size = msg->payload.config.size;

	/* What the front-end asks for beyond it reads as zeros. */
	disk_config(liar, &config);
	memset(msg->payload.config.data, 0, sizeof(msg->payload.config.data));
	memcpy(msg->payload.config.data, &config, size < sizeof(config) ? size : sizeof(config));
	if (liar->lie == LIE_CONFIG_SIZE)
		size = VHOST_USER_CONFIG_MAX;
	msg->payload.config.size = size;
	msg->hdr.size = VHOST_USER_CONFIG_HDR_SIZE + size;
	return reply(liar, msg);
}

static uint64_t offered(const struct liar *liar)
{
	const uint64_t removed = VHOST_USER_BIT(VIRTIO_BLK_F_FLUSH);

	if (liar->lie == LIE_CONFIG_RANDOM)
		return liar->offered | 0x7fff;
	if (liar->lie == LIE_FEATURES_CHANGE && liar->connection == 2)
		return liar->offered & ~removed;
	return liar->offered;
}

static uint64_t queue_number(const struct liar *liar)
{
	switch (liar->lie) {
	case LIE_QUEUES_ZERO:
		return 0;
	case LIE_QUEUES_MANY:
		return UINT64_MAX;
	default:
		return liar->nqueues;
	}
}

/* --- What the front-end sets up. */

static bool set_memory(struct liar *liar, struct vhost_user_msg *msg)
{
	const struct vhost_user_region *region = &msg->payload.mem.regions[0];
	struct pool *pool = &liar->pool;
	void *map;

	if (msg->payload.mem.num != 1 || region->mmap_offset)
		return false;
	pool_forget(liar);
	map = mmap(NULL, region->size, PROT_READ | PROT_WRITE, MAP_SHARED, msg->fds[0], 0);
	if (map == MAP_FAILED)
		return false;
	pool->map = map;
	pool->fd = msg->fds[0];
	msg->fds[0] = -1;
	pool->size = region->size;
	pool->guest = region->guest_addr;
	pool->user = region->user_addr;
	return true;
}

static struct queue *queue_of(struct liar *liar, uint32_t index)
{
	return index < liar->nqueues ? &liar->queues[index] : NULL;
}

static void *user_at(const struct pool *pool, uint64_t user, uint64_t len)
{
	uint64_t off = user - pool->user;

	if (user < pool->user || off > pool->size || len > pool->size - off)
		return NULL;
	return pool->map + off;
}

static bool set_addr(struct liar *liar, const struct vhost_user_vring_addr *addr)
{
	struct queue *queue = queue_of(liar, addr->index);

	if (!queue || !queue->num)
		return false;
	queue->desc = user_at(&liar->pool, addr->desc, queue->num * sizeof(*queue->desc));
	queue->avail = user_at(&liar->pool, addr->avail, 6 + queue->num * 2UL);
	queue->used = user_at(&liar->pool, addr->used, 6 + queue->num * 8UL);
	return queue->desc && queue->avail && queue->used;
}

static bool set_fd(struct liar *liar, struct vhost_user_msg *msg)
{
	struct queue *queue = queue_of(liar, msg->payload.u64 & VHOST_USER_VRING_INDEX_MASK);
	int *at;

	if (!queue || !msg->num_fds)
		return queue;
	if (msg->hdr.request == VHOST_USER_SET_VRING_ERR)
		return true;
	at = msg->hdr.request == VHOST_USER_SET_VRING_KICK ? &queue->kick : &queue->call;
	if (*at >= 0)
		close(*at);
	*at = msg->fds[0];
	msg->fds[0] = -1;
	return true;
}

static bool set_state(struct liar *liar, uint32_t request,
		      const struct vhost_user_vring_state *state)
{
	struct queue *queue = queue_of(liar, state->index);

	if (!queue)
		return false;
	switch (request) {
	case VHOST_USER_SET_VRING_NUM:
		queue->num = state->num <= 32768 ? state->num : 0;
		return queue->num;
	case VHOST_USER_SET_VRING_BASE:
		queue->last_avail = (uint16_t)state->num;
		queue->used_idx = (uint16_t)state->num;
		return true;
	default:
		if (state->num)
			return queue_start(queue) == 0;
		queue_stop(queue);
		return true;
	}
}

static int get_base(struct liar *liar, struct vhost_user_msg *msg)
{
	struct queue *queue = queue_of(liar, msg->payload.state.index);

	if (!queue)
		return -EPROTO;
	queue_close(queue);
	msg->payload.state.num = queue->last_avail;
	return reply(liar, msg);
}

static int handle(struct liar *liar, struct vhost_user_msg *msg)
{
	const uint64_t protocol = VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_MQ) |
				  VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |
				  VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ) |
				  VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_CONFIG);
	bool ok = true;

	switch (msg->hdr.request) {
	case VHOST_USER_GET_FEATURES:
		return reply_u64(liar, msg, offered(liar));
	case VHOST_USER_GET_PROTOCOL_FEATURES:
		return reply_u64(liar, msg, protocol);
	case VHOST_USER_GET_QUEUE_NUM:
		return reply_u64(liar, msg, queue_number(liar));
	case VHOST_USER_GET_CONFIG:
		return reply_config(liar, msg);
	case VHOST_USER_GET_VRING_BASE:
		return get_base(liar, msg);
	case VHOST_USER_SET_FEATURES:
		liar->features = msg->payload.u64;
		break;
	case VHOST_USER_SET_PROTOCOL_FEATURES:
		liar->protocol = msg->payload.u64;
		break;
	case VHOST_USER_SET_BACKEND_REQ_FD:
		liar->channel = msg->fds[0];
		msg->fds[0] = -1;
		break;
	case VHOST_USER_SET_MEM_TABLE:
		ok = set_memory(liar, msg);
		break;
	case VHOST_USER_SET_VRING_ADDR:
		ok = set_addr(liar, &msg->payload.addr);
		break;
	case VHOST_USER_SET_VRING_KICK:
	case VHOST_USER_SET_VRING_CALL:
	case VHOST_USER_SET_VRING_ERR:
		ok = set_fd(liar, msg);
		break;
	case VHOST_USER_SET_VRING_NUM:
	case VHOST_USER_SET_VRING_BASE:
	case VHOST_USER_SET_VRING_ENABLE:
		ok = set_state(liar, msg->hdr.request, &msg->payload.state);
		break;
	case VHOST_USER_SET_OWNER:
		break;
	default:
		ok = false;
	}
	if (!ok)
		vl_warning("%s is refused",
			   vhost_user_msg_name(VHOST_USER_KIND_REQUEST, msg->hdr.request));
	return acknowledge(liar, msg, ok);
}

int control_message(struct liar *liar)
{
	struct vhost_user_msg msg;
	int r;

	r = vhost_user_recv(liar->sock, VHOST_USER_KIND_REQUEST, &msg, -1);
	if (r < 0)
		return r;
	vl_debug("%s", vhost_user_msg_name(VHOST_USER_KIND_REQUEST, msg.hdr.request));
	r = handle(liar, &msg);
	vhost_user_close_fds(&msg);
	return r;
}
