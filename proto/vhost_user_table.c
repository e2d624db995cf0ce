/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What each vhost-user message may look like, and the checks that follow from it.
 *
 * Pure functions: the fuzzer and the tests call them without a socket.
 */
#include <errno.h>
#include <string.h>

#include "vhost_user.h"

#define U64	sizeof(uint64_t)
#define STATE	sizeof(struct vhost_user_vring_state)
#define ADDR	sizeof(struct vhost_user_vring_addr)
#define REG	sizeof(struct vhost_user_mem_reg)
#define CFG_MIN VHOST_USER_CONFIG_HDR_SIZE
#define CFG_MAX sizeof(struct vhost_user_config)
#define MEM_MIN VHOST_USER_MEM_TABLE_HDR_SIZE
#define MEM_MAX sizeof(struct vhost_user_mem_table)
#define INF_MIN VHOST_USER_INFLIGHT_MIN_SIZE
#define INF_MAX sizeof(struct vhost_user_inflight)

/* A request that is at most acknowledged. */
#define PLAIN(n, min, max, fmin, fmax)                                                             \
	{                                                                                          \
		.name = n, .size_min = min, .size_max = max, .fds_min = fmin, .fds_max = fmax,     \
		.reply_min = U64, .reply_max = U64                                                 \
	}
/* A request that is answered. */
#define QUERY(n, size, rmin, rmax, rfds)                                                           \
	{                                                                                          \
		.name = n, .size_min = size, .size_max = size, .replies = true, .reply_min = rmin, \
		.reply_max = rmax, .reply_fds_max = rfds                                           \
	}

static const struct vhost_user_shape front_end_shapes[VHOST_USER_REQUEST_END] = {
	[VHOST_USER_GET_FEATURES] = QUERY("GET_FEATURES", 0, U64, U64, 0),
	[VHOST_USER_SET_FEATURES] = PLAIN("SET_FEATURES", U64, U64, 0, 0),
	[VHOST_USER_SET_OWNER] = PLAIN("SET_OWNER", 0, 0, 0, 0),
	[VHOST_USER_RESET_OWNER] = PLAIN("RESET_OWNER", 0, 0, 0, 0),
	[VHOST_USER_SET_MEM_TABLE] =
		PLAIN("SET_MEM_TABLE", MEM_MIN, MEM_MAX, 0, VHOST_USER_REGIONS_MAX),
	[VHOST_USER_SET_VRING_NUM] = PLAIN("SET_VRING_NUM", STATE, STATE, 0, 0),
	[VHOST_USER_SET_VRING_ADDR] = PLAIN("SET_VRING_ADDR", ADDR, ADDR, 0, 0),
	[VHOST_USER_SET_VRING_BASE] = PLAIN("SET_VRING_BASE", STATE, STATE, 0, 0),
	[VHOST_USER_GET_VRING_BASE] = QUERY("GET_VRING_BASE", STATE, STATE, STATE, 0),
	[VHOST_USER_SET_VRING_KICK] = PLAIN("SET_VRING_KICK", U64, U64, 0, 1),
	[VHOST_USER_SET_VRING_CALL] = PLAIN("SET_VRING_CALL", U64, U64, 0, 1),
	[VHOST_USER_SET_VRING_ERR] = PLAIN("SET_VRING_ERR", U64, U64, 0, 1),
	[VHOST_USER_GET_PROTOCOL_FEATURES] = QUERY("GET_PROTOCOL_FEATURES", 0, U64, U64, 0),
	[VHOST_USER_SET_PROTOCOL_FEATURES] = PLAIN("SET_PROTOCOL_FEATURES", U64, U64, 0, 0),
	[VHOST_USER_GET_QUEUE_NUM] = QUERY("GET_QUEUE_NUM", 0, U64, U64, 0),
	[VHOST_USER_SET_VRING_ENABLE] = PLAIN("SET_VRING_ENABLE", STATE, STATE, 0, 0),
	[VHOST_USER_SET_BACKEND_REQ_FD] = PLAIN("SET_BACKEND_REQ_FD", 0, U64, 1, 1),
	[VHOST_USER_GET_CONFIG] = {
		.name = "GET_CONFIG", .size_min = CFG_MIN, .size_max = CFG_MAX, .replies = true,
		/* An empty reply says that the back-end cannot answer. */
		.reply_min = 0, .reply_max = CFG_MAX,
	},
	[VHOST_USER_SET_CONFIG] = PLAIN("SET_CONFIG", CFG_MIN, CFG_MAX, 0, 0),
	[VHOST_USER_GET_INFLIGHT_FD] = {
		.name = "GET_INFLIGHT_FD", .size_min = INF_MIN, .size_max = INF_MAX,
		.replies = true, .reply_min = INF_MIN, .reply_max = INF_MAX, .reply_fds_max = 1,
	},
	[VHOST_USER_SET_INFLIGHT_FD] = PLAIN("SET_INFLIGHT_FD", INF_MIN, INF_MAX, 1, 1),
	[VHOST_USER_RESET_DEVICE] = PLAIN("RESET_DEVICE", 0, 0, 0, 0),
	[VHOST_USER_GET_MAX_MEM_SLOTS] = QUERY("GET_MAX_MEM_SLOTS", 0, U64, U64, 0),
	[VHOST_USER_ADD_MEM_REG] = PLAIN("ADD_MEM_REG", REG, REG, 1, 1),
	/* The descriptor is useless there, and some front-ends send one. */
	[VHOST_USER_REM_MEM_REG] = PLAIN("REM_MEM_REG", REG, REG, 0, 1),
	[VHOST_USER_SET_STATUS] = PLAIN("SET_STATUS", U64, U64, 0, 0),
	[VHOST_USER_GET_STATUS] = QUERY("GET_STATUS", 0, U64, U64, 0),
};

static const struct vhost_user_shape back_end_shapes[VHOST_USER_BACKEND_REQUEST_END] = {
	[VHOST_USER_BACKEND_CONFIG_CHANGE] = PLAIN("BACKEND_CONFIG_CHANGE", 0, 0, 0, 0),
	[VHOST_USER_BACKEND_VRING_CALL] = PLAIN("BACKEND_VRING_CALL", STATE, STATE, 0, 0),
	[VHOST_USER_BACKEND_VRING_ERR] = PLAIN("BACKEND_VRING_ERR", STATE, STATE, 0, 0),
};

static bool is_reply(enum vhost_user_kind kind)
{
	return kind == VHOST_USER_KIND_REPLY || kind == VHOST_USER_KIND_BACKEND_REPLY;
}

const struct vhost_user_shape *vhost_user_shape(enum vhost_user_kind kind, uint32_t request)
{
	const struct vhost_user_shape *shape = NULL;

	if (kind == VHOST_USER_KIND_REQUEST || kind == VHOST_USER_KIND_REPLY) {
		if (request < VHOST_USER_REQUEST_END)
			shape = &front_end_shapes[request];
	} else if (request < VHOST_USER_BACKEND_REQUEST_END) {
		shape = &back_end_shapes[request];
	}
	return shape && shape->name ? shape : NULL;
}

const char *vhost_user_msg_name(enum vhost_user_kind kind, uint32_t request)
{
	const struct vhost_user_shape *shape = vhost_user_shape(kind, request);

	return shape ? shape->name : "unknown";
}

int vhost_user_check_hdr(enum vhost_user_kind kind, const struct vhost_user_hdr *hdr)
{
	const struct vhost_user_shape *shape;
	bool reply = hdr->flags & VHOST_USER_FLAG_REPLY;
	uint32_t min, max;

	if ((hdr->flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION ||
	    (hdr->flags & ~VHOST_USER_FLAG_MASK) || reply != is_reply(kind))
		return -EPROTO;
	if (hdr->size > sizeof(union vhost_user_payload))
		return -EPROTO;
	shape = vhost_user_shape(kind, hdr->request);
	if (!shape)
		return -ENOSYS;
	min = reply ? shape->reply_min : shape->size_min;
	max = reply ? shape->reply_max : shape->size_max;
	return hdr->size < min || hdr->size > max ? -EPROTO : 0;
}

/*
 * Descriptors and the NOFD bit exclude each other. QEMU sends no descriptor only with the bit set;
 * a kick without either would leave the queue without any way to be started.
 */
static bool vring_fd_ok(const struct vhost_user_msg *msg)
{
	bool nofd = msg->payload.u64 & VHOST_USER_VRING_NOFD;

	if (msg->payload.u64 & ~(uint64_t)(VHOST_USER_VRING_INDEX_MASK | VHOST_USER_VRING_NOFD))
		return false;
	return msg->num_fds == (nofd ? 0 : 1);
}

static bool mem_table_ok(const struct vhost_user_msg *msg)
{
	uint32_t num = msg->payload.mem.num;

	if (num > VHOST_USER_REGIONS_MAX || msg->num_fds != num)
		return false;
	return msg->hdr.size == MEM_MIN + num * sizeof(struct vhost_user_region);
}

/* SET_CONFIG has its bytes behind the header; GET_CONFIG has room for them, or nothing. */
static bool config_ok(const struct vhost_user_msg *msg)
{
	uint32_t offset = msg->payload.config.offset, size = msg->payload.config.size;

	if (msg->hdr.size == 0)
		return true;
	if (msg->hdr.size < CFG_MIN || size > VHOST_USER_CONFIG_MAX || offset > UINT32_MAX - size)
		return false;
	if (msg->hdr.request == VHOST_USER_GET_CONFIG && msg->hdr.size == CFG_MIN)
		return true;
	/* SPDK's front-end sends the largest message whatever it writes. */
	if (msg->hdr.request == VHOST_USER_SET_CONFIG &&
	    msg->hdr.size == CFG_MIN + VHOST_USER_CONFIG_MAX)
		return true;
	return msg->hdr.size == CFG_MIN + size;
}

int vhost_user_check_msg(enum vhost_user_kind kind, const struct vhost_user_msg *msg)
{
	const struct vhost_user_shape *shape;
	int r;

	r = vhost_user_check_hdr(kind, &msg->hdr);
	if (r < 0)
		return r;
	shape = vhost_user_shape(kind, msg->hdr.request);
	if (is_reply(kind)) {
		if (msg->num_fds > shape->reply_fds_max)
			return -EPROTO;
		if (kind == VHOST_USER_KIND_REPLY && msg->hdr.request == VHOST_USER_GET_CONFIG)
			return config_ok(msg) ? 0 : -EPROTO;
		return 0;
	}
	if (msg->num_fds < shape->fds_min || msg->num_fds > shape->fds_max)
		return -EPROTO;
	if (kind != VHOST_USER_KIND_REQUEST)
		return 0;
	switch (msg->hdr.request) {
	case VHOST_USER_SET_VRING_KICK:
	case VHOST_USER_SET_VRING_CALL:
	case VHOST_USER_SET_VRING_ERR:
		return vring_fd_ok(msg) ? 0 : -EPROTO;
	case VHOST_USER_SET_MEM_TABLE:
		return mem_table_ok(msg) ? 0 : -EPROTO;
	case VHOST_USER_GET_CONFIG:
	case VHOST_USER_SET_CONFIG:
		return config_ok(msg) ? 0 : -EPROTO;
	default:
		return 0;
	}
}
