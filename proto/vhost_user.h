/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vhost-user wire protocol, for both of its ends.
 *
 * Numbers, layouts and what a message may look like: QEMU's docs/interop/vhost-user.rst, which
 * this file mirrors in names. All integers are in the byte order of the machine. Nothing here
 * keeps state or allocates memory.
 *
 * Receiving: the header is read and checked against the table of messages before a byte of the
 * payload is, so a size in a message never becomes a read beyond struct vhost_user_msg. What was
 * received is closed again (descriptors) and forgotten when anything is wrong.
 */
#ifndef PROTO_VHOST_USER_H
#define PROTO_VHOST_USER_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Requests of the front-end. */
enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_RESET_OWNER = 4,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_LOG_BASE = 6,
	VHOST_USER_SET_LOG_FD = 7,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_SET_BACKEND_REQ_FD = 21,
	VHOST_USER_GET_CONFIG = 24,
	VHOST_USER_SET_CONFIG = 25,
	VHOST_USER_GET_INFLIGHT_FD = 31,
	VHOST_USER_SET_INFLIGHT_FD = 32,
	VHOST_USER_RESET_DEVICE = 34,
	VHOST_USER_GET_MAX_MEM_SLOTS = 36,
	VHOST_USER_ADD_MEM_REG = 37,
	VHOST_USER_REM_MEM_REG = 38,
	VHOST_USER_SET_STATUS = 39,
	VHOST_USER_GET_STATUS = 40,
	VHOST_USER_REQUEST_END = 45,	/* first number that is not in the table */
};

/* Requests of the back-end, on the channel given by SET_BACKEND_REQ_FD. */
enum vhost_user_backend_request {
	VHOST_USER_BACKEND_CONFIG_CHANGE = 2,
	VHOST_USER_BACKEND_VRING_CALL = 4,
	VHOST_USER_BACKEND_VRING_ERR = 5,
	VHOST_USER_BACKEND_REQUEST_END = 11,
};

/* The bit among the virtio features that says that protocol features exist. */
#define VHOST_USER_F_PROTOCOL_FEATURES		30

enum vhost_user_protocol_feature {
	VHOST_USER_PROTOCOL_F_MQ = 0,
	VHOST_USER_PROTOCOL_F_LOG_SHMFD = 1,
	VHOST_USER_PROTOCOL_F_REPLY_ACK = 3,
	VHOST_USER_PROTOCOL_F_BACKEND_REQ = 5,
	VHOST_USER_PROTOCOL_F_CONFIG = 9,
	VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD = 10,
	VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD = 12,
	VHOST_USER_PROTOCOL_F_RESET_DEVICE = 13,
	VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS = 14,
	VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
	VHOST_USER_PROTOCOL_F_STATUS = 16,
};

#define VHOST_USER_BIT(n)	(1ULL << (n))

/* Header flags. */
#define VHOST_USER_VERSION		1U
#define VHOST_USER_VERSION_MASK		3U
#define VHOST_USER_FLAG_REPLY		(1U << 2)
#define VHOST_USER_FLAG_NEED_REPLY	(1U << 3)
#define VHOST_USER_FLAG_MASK		0xfU	/* all that are defined */

/* SET_VRING_KICK, CALL, ERR: the queue, and a bit that says that no descriptor comes with it. */
#define VHOST_USER_VRING_INDEX_MASK	0xffU
#define VHOST_USER_VRING_NOFD		(1U << 8)

/* SET_CONFIG flags. */
#define VHOST_USER_CONFIG_WRITE		0U	/* a write of the driver */
/* To rust-vmm's front-ends the same: vhost's VhostUserConfigFlags::WRITABLE. */
#define VHOST_USER_CONFIG_WRITABLE 1U
#define VHOST_USER_CONFIG_MIGRATION	1U	/* the whole space, after a live migration */

#define VHOST_USER_REGIONS_MAX		8U	/* in one SET_MEM_TABLE */
#define VHOST_USER_CONFIG_MAX		256U	/* bytes in one GET_CONFIG or SET_CONFIG */
#define VHOST_USER_FDS_MAX		8U	/* one for each region */

struct vhost_user_hdr {
	uint32_t request;
	uint32_t flags;
	uint32_t size;		/* of the payload */
} __attribute__((packed));

struct vhost_user_vring_state {
	uint32_t index;
	uint32_t num;
} __attribute__((packed));

struct vhost_user_vring_addr {
	uint32_t index;
	uint32_t flags;		/* bit 0: log */
	uint64_t desc;		/* all four: addresses of the front-end's user space */
	uint64_t used;		/* packed rings: device event suppression */
	uint64_t avail;		/* packed rings: driver event suppression */
	uint64_t log;
} __attribute__((packed));

struct vhost_user_region {
	uint64_t guest_addr;	/* what descriptors hold */
	uint64_t size;
	uint64_t user_addr;	/* what SET_VRING_ADDR holds */
	uint64_t mmap_offset;	/* into the file behind the descriptor */
} __attribute__((packed));

struct vhost_user_mem_table {
	uint32_t num;
	uint32_t padding;
	struct vhost_user_region regions[VHOST_USER_REGIONS_MAX];
} __attribute__((packed));

struct vhost_user_mem_reg {	/* ADD_MEM_REG, REM_MEM_REG */
	uint64_t padding;
	struct vhost_user_region region;
} __attribute__((packed));

struct vhost_user_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	uint8_t data[VHOST_USER_CONFIG_MAX];
} __attribute__((packed));

/*
 * QEMU, DPDK and rust-vmm send what their compilers make of the four members, 24 bytes, and refuse
 * an answer of another size; the text of the specification adds up to 20. Both are taken, and
 * a reply is as long as its request.
 */
struct vhost_user_inflight {
	uint64_t mmap_size;
	uint64_t mmap_offset;
	uint16_t num_queues;
	uint16_t queue_size;
	uint32_t padding;
} __attribute__((packed));

union vhost_user_payload {
	uint64_t u64;
	struct vhost_user_vring_state state;
	struct vhost_user_vring_addr addr;
	struct vhost_user_mem_table mem;
	struct vhost_user_mem_reg reg;
	struct vhost_user_config config;
	struct vhost_user_inflight inflight;
	uint8_t bytes[268];
};

/*
 * One message with its descriptors. @hdr and @payload lie in memory as on the wire, one behind
 * the other; @align puts the payload's 64-bit members where they belong.
 *
 * Descriptors of a received message belong to the receiver, who takes one by setting its slot to
 * -1 and closes the rest with vhost_user_close_fds(). Those of a message to be sent stay the sender's.
 */
struct vhost_user_msg {
	uint32_t align;
	struct vhost_user_hdr hdr;
	union vhost_user_payload payload;
	uint32_t num_fds;
	int fds[VHOST_USER_FDS_MAX];
};

#define VHOST_USER_HDR_SIZE		12U
#define VHOST_USER_CONFIG_HDR_SIZE	offsetof(struct vhost_user_config, data)
#define VHOST_USER_MEM_TABLE_HDR_SIZE	offsetof(struct vhost_user_mem_table, regions)
#define VHOST_USER_INFLIGHT_MIN_SIZE	offsetof(struct vhost_user_inflight, padding)

static_assert(sizeof(struct vhost_user_hdr) == VHOST_USER_HDR_SIZE, "wire layout");
static_assert(sizeof(struct vhost_user_vring_state) == 8, "wire layout");
static_assert(sizeof(struct vhost_user_vring_addr) == 40, "wire layout");
static_assert(sizeof(struct vhost_user_region) == 32, "wire layout");
static_assert(sizeof(struct vhost_user_mem_table) == 264, "wire layout");
static_assert(sizeof(struct vhost_user_mem_reg) == 40, "wire layout");
static_assert(sizeof(struct vhost_user_config) == 268, "wire layout");
static_assert(sizeof(struct vhost_user_inflight) == 24, "wire layout");
static_assert(offsetof(struct vhost_user_msg, payload) ==
		      offsetof(struct vhost_user_msg, hdr) + VHOST_USER_HDR_SIZE,
	      "header and payload are sent as one piece");

/* Which of the four kinds of message is expected on a socket; says which table row applies. */
enum vhost_user_kind {
	VHOST_USER_KIND_REQUEST,		/* front-end to back-end */
	VHOST_USER_KIND_REPLY,			/* ... and its answer or acknowledgement */
	VHOST_USER_KIND_BACKEND_REQUEST,	/* back-end to front-end */
	VHOST_USER_KIND_BACKEND_REPLY,		/* ... and its acknowledgement */
};

/*
 * What a message may look like.
 *
 * @name: as in the specification, without its prefix
 * @size_min, @size_max: payload of the request
 * @fds_min, @fds_max: descriptors with the request
 * @replies: it has an answer of its own, always; otherwise at most an acknowledgement (a u64)
 *	when REPLY_ACK was negotiated and the request asked for one
 * @reply_min, @reply_max, @reply_fds_max: the shape of that answer
 */
struct vhost_user_shape {
	const char *name;
	uint16_t size_min;
	uint16_t size_max;
	uint8_t fds_min;
	uint8_t fds_max;
	bool replies;
	uint16_t reply_min;
	uint16_t reply_max;
	uint8_t reply_fds_max;
};

/* The row for a request, or NULL when this code does not know it. */
const struct vhost_user_shape *vhost_user_shape(enum vhost_user_kind kind, uint32_t request);

/* "SET_MEM_TABLE" and so on; "unknown" for others. Never NULL. */
const char *vhost_user_msg_name(enum vhost_user_kind kind, uint32_t request);

/*
 * Check a header as received: version, flags, a known request, the payload size for it.
 *
 * Return: 0; -EPROTO. -ENOSYS: well-formed, but a request that is not in the table; its payload
 * cannot be read.
 */
int vhost_user_check_hdr(enum vhost_user_kind kind, const struct vhost_user_hdr *hdr);

/*
 * Check a whole message: vhost_user_check_hdr(), the number of descriptors, and what the payload
 * says about its own length (SET_MEM_TABLE, SET_CONFIG, GET_CONFIG).
 *
 * Return: 0; -EPROTO; -ENOSYS.
 */
int vhost_user_check_msg(enum vhost_user_kind kind, const struct vhost_user_msg *msg);

/* Close the descriptors that are still in the message. */
void vhost_user_close_fds(struct vhost_user_msg *msg);

/*
 * Receive one message.
 * @sock: a Unix stream socket, blocking or not
 * @timeout_ms: for the whole message; -1: no limit; 0: only what is there already
 *
 * Return: 0; -ETIMEDOUT (nothing or not all came in time; after a part of a message the
 * connection is of no use any more); -ECONNRESET (closed by the peer between messages);
 * -EPROTO (cut off inside a message, or against the table: @msg->hdr holds the header as received,
 * for a log line); -ENOSYS (not in the table; as -EPROTO); other errors of recvmsg(2). In every case
 * but 0, no descriptor is left open.
 */
int vhost_user_recv(int sock, enum vhost_user_kind kind, struct vhost_user_msg *msg,
		    int timeout_ms);

/*
 * Send one message, as @msg->hdr, payload and fds say.
 * @timeout_ms: for the whole message; -1: no limit; 0: only if it can go now
 *
 * Return: 0; -EAGAIN (nothing was sent, @timeout_ms is 0); -ETIMEDOUT; -ECONNRESET (the peer is
 * gone); other errors of sendmsg(2).
 */
int vhost_user_send(int sock, const struct vhost_user_msg *msg, int timeout_ms);

/* Set up the header of a request or, from it, of its reply; forgets payload and descriptors. */
void vhost_user_init(struct vhost_user_msg *msg, uint32_t request, uint32_t payload_size);
void vhost_user_init_reply(struct vhost_user_msg *reply, uint32_t request, uint32_t payload_size);

/*
 * Front-end: send a request and receive its reply into the same message.
 *
 * Whether there is one is read from the table and the NEED_REPLY flag (set it only when
 * REPLY_ACK has been negotiated). An acknowledgement other than 0 is -EREMOTEIO, with the value
 * in @msg->payload.u64. Descriptors to be sent stay the caller's, and @msg has those of the
 * reply afterwards.
 *
 * Return: 0; -EREMOTEIO; as vhost_user_send() and vhost_user_recv(), except that a reply that
 * belongs to another request is -EPROTO too.
 */
int vhost_user_call(int sock, struct vhost_user_msg *msg, int timeout_ms);

#endif
