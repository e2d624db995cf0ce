/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One connection to a vhost-user back-end, as its front-end.
 *
 * Nothing the peer does makes a call here wait longer than its bound, and everything it says
 * is checked. A call that fails leaves a sentence in @problem for the message that its caller
 * writes; the connection is of no further use then, except after -EREMOTEIO and -ENODATA.
 *
 * Errors that mean the same for every call:
 *   ETIMEDOUT   no answer within the bound
 *   ECONNRESET  the back-end closed the connection
 *   EPROTO      it sent something that the protocol does not allow
 *   EREMOTEIO   it acknowledged with an error
 */
#ifndef VLOOP_BACKEND_H
#define VLOOP_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "types.h"
#include "vhost_user.h"

/* What is acknowledged of the protocol features that a back-end offers (doc/architecture). */
#define BACKEND_PROTOCOL_WANTED                               \
	(VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_MQ) |           \
	 VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |    \
	 VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ) |  \
	 VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_CONFIG) |       \
	 VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_RESET_DEVICE) | \
	 VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_STATUS))

/*
 * @sock: -1 when there is no connection
 * @channel: our end of the BACKEND_REQ channel, -1 without one
 * @timeout_ms: bound of each conversation; a message that has begun has BACKEND_HURRY_MS at most
 * @hurry_fd: BACKEND_HURRY_MS after this became readable all waits end, until it is not any more;
 *	-1: never
 * @hurry_until: when that is; 0: it is not readable
 * @asked_at: when the last conversation began
 * @features: what it offers, bit 30 included
 * @protocol_offered, @protocol: what it offers and what was acknowledged
 * @queue_max: queues it says it has (GET_QUEUE_NUM), 0 when it does not say
 * @config_ask: size of GET_CONFIG that it is known to answer, 0 at first
 * @config_len: bytes that it answered
 * @config_changed: it announced a change; cleared by whoever acts on it
 */
struct backend {
	int sock;
	int channel;
	int timeout_ms;
	int hurry_fd;
	uint64_t hurry_until;
	uint64_t asked_at;
	uint64_t features;
	uint64_t protocol_offered;
	uint64_t protocol;
	uint64_t queue_max;
	uint32_t config_ask;
	uint32_t config_len;
	bool config_changed;
	char problem[200];
};

#define BACKEND_HURRY_MS 2000

/* One ring as the back-end gets to know it; addresses are of the front-end's user space. */
struct backend_ring {
	uint32_t index;
	uint32_t num;
	uint64_t desc;
	uint64_t avail;
	uint64_t used;
	int kick;
	int call;
	int err;
};

struct backend_memory {
	uint64_t guest_addr;
	uint64_t user_addr;
	uint64_t size;
	int fd;
};

void backend_init(struct backend *backend, int timeout_ms, int hurry_fd);

/* backend_connect() - 0, or what connect() says; @problem is set */
int backend_connect(struct backend *backend, const char *path);

/*
 * backend_connect_wait() - the same, for @wait_ms again and again while nobody listens there; ended
 * by input at @stop_fd, which may be -1
 */
int backend_connect_wait(struct backend *backend, const char *path, int wait_ms, int stop_fd);

/* backend_connect_error() - the exit code for such an error */
enum vloop_exit backend_connect_error(int error);

/* backend_adopt() - use a connected socket; takes it over */
void backend_adopt(struct backend *backend, int sock);
void backend_close(struct backend *backend);

/*
 * backend_settle() - wait until it has read what it was sent; where it acknowledges messages that
 * is so already. A kick that came before SET_VRING_ENABLE is lost with rust-vmm's back-ends, which
 * read kicks in another thread.
 */
int backend_settle(struct backend *backend);

/* backend_negotiate() - features, protocol features, number of queues, owner, channel */
int backend_negotiate(struct backend *backend);

static inline bool backend_has(const struct backend *backend, unsigned int protocol_bit)
{
	return backend->protocol & VHOST_USER_BIT(protocol_bit);
}

/*
 * backend_get_config() - the config space, in the largest size that the back-end answers and
 * filled up with zeroes to the type's size.
 *
 * -ENODATA: it does not have one. -EMSGSIZE: it has less than this type needs.
 */
int backend_get_config(struct backend *backend, const struct vloop_type *type,
		       struct config_space *ret_config);

/* backend_set_config() - a write of the driver; -ENODATA without the CONFIG feature */
int backend_set_config(struct backend *backend, uint32_t offset, const void *data, uint32_t len);

/* backend_set_features() - acknowledge; bit 30 is added where it was offered */
int backend_set_features(struct backend *backend, uint64_t features);
int backend_set_memory(struct backend *backend, const struct backend_memory *memory);
int backend_set_ring(struct backend *backend, const struct backend_ring *ring);

/* backend_enable_ring() - rings are enabled from the start without protocol features */
int backend_enable_ring(struct backend *backend, uint32_t index);

/* backend_set_status() - does nothing without the STATUS feature */
int backend_set_status(struct backend *backend, uint8_t status);

/* backend_stop_ring() - GET_VRING_BASE: the back-end finishes and forgets this ring */
int backend_stop_ring(struct backend *backend, uint32_t index);

/* backend_reset() - the driver's reset, by SET_STATUS or RESET_DEVICE where there is one */
int backend_reset(struct backend *backend);

/* backend_channel() - take one message of the back-end's own; call when @channel is readable */
int backend_channel(struct backend *backend);

#endif
