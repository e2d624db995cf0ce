/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend.h"
#include "sock.h"
#include "vloop.h"

#define CONNECT_STEP_MS 50

static int __attribute__((format(printf, 3, 4)))
problem(struct backend *backend, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(backend->problem, sizeof(backend->problem), format, args);
	va_end(args);
	return error;
}

void backend_init(struct backend *backend, int timeout_ms, int hurry_fd)
{
	*backend = (struct backend){
		.sock = -1, .channel = -1, .timeout_ms = timeout_ms, .hurry_fd = hurry_fd};
}

static bool is_socket(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISSOCK(st.st_mode);
}

int backend_connect(struct backend *backend, const char *path)
{
	int fd = vl_sock_connect(path);

	switch (fd) {
	case -ENOENT:
		return problem(backend, fd, "there is no such socket; is the back-end running?");
	case -ECONNREFUSED:
		return problem(backend, fd, "%s; is the back-end running?",
			       is_socket(path) ? "nobody listens there" : "that is not a socket");
	case -EACCES:
	case -EPERM:
		return problem(backend, fd,
			       "no permission to connect; be root, or get write permission "
			       "for the socket and search permission for its directories");
	case -EAGAIN:
		return problem(backend, fd,
			       "the back-end does not take the connection; it serves "
			       "another front-end");
	case -ENAMETOOLONG:
		return problem(backend, fd, "the path is too long for a socket (107 bytes)");
	default:
		if (fd < 0)
			return problem(backend, fd, "%s", strerror(-fd));
	}
	backend_adopt(backend, fd);
	return 0;
}

static bool worth_waiting(int error)
{
	return error == -ENOENT || error == -ECONNREFUSED || error == -EAGAIN;
}

int backend_connect_wait(struct backend *backend, const char *path, int wait_ms, int stop_fd)
{
	const uint64_t deadline = now_ms() + (uint64_t)wait_ms;
	struct pollfd stop = {.fd = stop_fd, .events = POLLIN};

	for (;;) {
		int ret = backend_connect(backend, path);

		if (!worth_waiting(ret) || now_ms() >= deadline)
			return ret;
		if (poll(&stop, 1, CONNECT_STEP_MS) > 0)
			return problem(backend, -EINTR, "interrupted before the back-end listened");
	}
}

enum vloop_exit backend_connect_error(int error)
{
	return error == -EACCES || error == -EPERM ? EXIT_RIGHTS : EXIT_BACKEND;
}

void backend_adopt(struct backend *backend, int sock)
{
	backend_init(backend, backend->timeout_ms, backend->hurry_fd);
	backend->sock = sock;
}

void backend_close(struct backend *backend)
{
	if (backend->sock >= 0)
		close(backend->sock);
	if (backend->channel >= 0)
		close(backend->channel);
	backend->sock = -1;
	backend->channel = -1;
}

static int explain(struct backend *backend, uint32_t request, int error)
{
	static const char serves_another[] = "; does it serve another front-end?";
	static const char fewer_entries[] = "; a smaller --queue-size may do";
	const char *name = vhost_user_msg_name(VHOST_USER_KIND_REQUEST, request);
	const uint64_t now = now_ms();

	switch (error) {
	case -EAGAIN:
	case -ETIMEDOUT:
		if (backend->hurry_until && now >= backend->hurry_until)
			return problem(backend, error,
				       "it had not answered %s when this program was to end", name);
		/* Connections wait in the socket's backlog while a server serves another. */
		return problem(backend, error, "it did not answer %s within %" PRIu64 " s%s", name,
			       (now - backend->asked_at + 999) / 1000,
			       request == VHOST_USER_GET_FEATURES && !backend->features
				       ? serves_another
				       : "");
	case -ECONNRESET:
		return problem(backend, error, "it closed the connection at %s%s", name,
			       request == VHOST_USER_SET_VRING_NUM ? fewer_entries : "");
	case -EPROTO:
	case -ENOSYS:
		return problem(backend, -EPROTO, "its answer to %s is not what vhost-user allows",
			       name);
	case -EREMOTEIO:
		return problem(backend, error, "it refused %s%s", name,
			       request == VHOST_USER_SET_VRING_NUM ? fewer_entries : "");
	default:
		return problem(backend, error, "%s: %s", name, strerror(-error));
	}
}

/*
 * The bound for the rest of a message that has begun, or for room for an answer. @hurry_fd is not
 * looked at meanwhile, so it is never longer than in a hurry.
 */
static int rest_ms(uint64_t deadline)
{
	uint64_t now = now_ms();

	if (now >= deadline)
		return 0;
	return deadline - now < BACKEND_HURRY_MS ? (int)(deadline - now) : BACKEND_HURRY_MS;
}

static int serve_channel(struct backend *backend, uint64_t deadline)
{
	struct vhost_user_msg msg, reply;
	uint64_t result = 0;
	int ret;

	ret = vhost_user_recv(backend->channel, VHOST_USER_KIND_BACKEND_REQUEST, &msg,
			      rest_ms(deadline));
	if (ret == -ECONNRESET) {
		/* It gave the channel up; the connection may live on without. */
		close(backend->channel);
		backend->channel = -1;
		return 0;
	}
	if (ret == -ETIMEDOUT)
		return problem(backend, ret, "it sent only a part of a message on its own channel");
	if (ret)
		return problem(backend, ret,
			       "it sent a message on its own channel that vhost-user "
			       "does not allow");
	vhost_user_close_fds(&msg);
	if (msg.hdr.request == VHOST_USER_BACKEND_CONFIG_CHANGE)
		backend->config_changed = true;
	else
		result = 1;
	if (!(msg.hdr.flags & VHOST_USER_FLAG_NEED_REPLY))
		return 0;
	vhost_user_init_reply(&reply, msg.hdr.request, sizeof(result));
	reply.payload.u64 = result;
	ret = vhost_user_send(backend->channel, &reply, rest_ms(deadline));
	return ret ? problem(backend, ret, "it does not read its own channel") : 0;
}

/* Somebody waits for this program to end, or does not any more. */
static void look_for_hurry(struct backend *backend)
{
	struct pollfd hurry = {.fd = backend->hurry_fd, .events = POLLIN};

	if (poll(&hurry, 1, 0) <= 0)
		backend->hurry_until = 0;
	else if (!backend->hurry_until)
		backend->hurry_until = now_ms() + BACKEND_HURRY_MS;
}

static uint64_t sooner(const struct backend *backend, uint64_t deadline)
{
	return backend->hurry_until && backend->hurry_until < deadline ? backend->hurry_until :
									 deadline;
}

/*
 * Wait for an answer, or for room for a message. A back-end may ask for something on its own channel
 * first and go on only when it has been served, so that is done meanwhile. @deadline comes
 * closer in a hurry. @problem is set on failure.
 */
static int wait_for(struct backend *backend, uint32_t request, short events, uint64_t *deadline)
{
	for (;;) {
		struct pollfd fds[] = {
			{.fd = backend->sock, .events = events},
			{.fd = backend->channel, .events = POLLIN},
			{.fd = backend->hurry_until ? -1 : backend->hurry_fd, .events = POLLIN},
		};
		uint64_t now = now_ms();
		int n;

		if (now >= *deadline)
			return explain(backend, request, -ETIMEDOUT);
		n = poll(fds, 3, (int)(*deadline - now));
		if (n < 0 && errno != EINTR)
			return explain(backend, request, -errno);
		if (n <= 0)
			continue;
		if (fds[0].revents)
			return 0;
		if (fds[1].revents && serve_channel(backend, *deadline) < 0)
			return -EPROTO;
		if (fds[2].revents) {
			look_for_hurry(backend);
			*deadline = sooner(backend, *deadline);
		}
	}
}

/* Send @msg, and put its answer in its place if it has one. @problem is set on failure. */
static int converse(struct backend *backend, struct vhost_user_msg *msg)
{
	uint64_t deadline;
	const uint32_t request = msg->hdr.request;
	const struct vhost_user_shape *shape;
	bool ack;
	int ret;

	if (backend->sock < 0)
		return problem(backend, -ENOTCONN, "there is no connection");
	shape = vhost_user_shape(VHOST_USER_KIND_REQUEST, request);
	ack = !shape->replies && request != VHOST_USER_SET_PROTOCOL_FEATURES &&
	      backend_has(backend, VHOST_USER_PROTOCOL_F_REPLY_ACK);
	if (ack)
		msg->hdr.flags |= VHOST_USER_FLAG_NEED_REPLY;
	look_for_hurry(backend);
	backend->asked_at = now_ms();
	deadline = sooner(backend, backend->asked_at + (uint64_t)backend->timeout_ms);
	ret = wait_for(backend, request, POLLOUT, &deadline);
	if (ret)
		return ret;
	ret = vhost_user_send(backend->sock, msg, rest_ms(deadline));
	msg->num_fds = 0;
	if (!ret && (ack || shape->replies)) {
		ret = wait_for(backend, request, POLLIN, &deadline);
		if (ret)
			return ret;
		ret = vhost_user_recv(backend->sock, VHOST_USER_KIND_REPLY, msg, rest_ms(deadline));
		if (ret == -ETIMEDOUT)
			return problem(backend, ret, "it sent only a part of its answer to %s",
				       shape->name);
		if (!ret) {
			/* None of the answers that we ask for brings a descriptor. */
			if (msg->num_fds || msg->hdr.request != request)
				ret = -EPROTO;
			else if (ack && msg->payload.u64)
				ret = -EREMOTEIO;
			vhost_user_close_fds(msg);
		}
	}
	return ret ? explain(backend, request, ret) : 0;
}

static int get_u64(struct backend *backend, uint32_t request, uint64_t *ret_value)
{
	struct vhost_user_msg msg;
	int ret;

	vhost_user_init(&msg, request, 0);
	ret = converse(backend, &msg);
	if (!ret)
		*ret_value = msg.payload.u64;
	return ret;
}

static int set_u64(struct backend *backend, uint32_t request, uint64_t value)
{
	struct vhost_user_msg msg;

	vhost_user_init(&msg, request, sizeof(value));
	msg.payload.u64 = value;
	return converse(backend, &msg);
}

static int set_state(struct backend *backend, uint32_t request, uint32_t index, uint32_t num)
{
	struct vhost_user_msg msg;

	vhost_user_init(&msg, request, sizeof(msg.payload.state));
	msg.payload.state = (struct vhost_user_vring_state){.index = index, .num = num};
	return converse(backend, &msg);
}

static int set_vring_fd(struct backend *backend, uint32_t request, uint32_t index, int fd)
{
	struct vhost_user_msg msg;

	vhost_user_init(&msg, request, sizeof(msg.payload.u64));
	msg.payload.u64 = index;
	msg.num_fds = 1;
	msg.fds[0] = fd;
	return converse(backend, &msg);
}

static int open_channel(struct backend *backend)
{
	struct vhost_user_msg msg;
	int pair[2];
	int ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return problem(backend, -errno, "socketpair: %s", strerror(errno));
	backend->channel = pair[0];
	vhost_user_init(&msg, VHOST_USER_SET_BACKEND_REQ_FD, 0);
	msg.num_fds = 1;
	msg.fds[0] = pair[1];
	ret = converse(backend, &msg);
	close(pair[1]);
	return ret;
}

static int negotiate_protocol(struct backend *backend)
{
	int ret;

	ret = get_u64(backend, VHOST_USER_GET_PROTOCOL_FEATURES, &backend->protocol_offered);
	if (ret)
		return ret;
	/* In force for the messages that follow, not for this one: no acknowledgement. */
	ret = set_u64(backend, VHOST_USER_SET_PROTOCOL_FEATURES,
		      backend->protocol_offered & BACKEND_PROTOCOL_WANTED);
	if (ret)
		return ret;
	backend->protocol = backend->protocol_offered & BACKEND_PROTOCOL_WANTED;
	if (!backend_has(backend, VHOST_USER_PROTOCOL_F_MQ))
		return 0;
	return get_u64(backend, VHOST_USER_GET_QUEUE_NUM, &backend->queue_max);
}

int backend_settle(struct backend *backend)
{
	uint64_t features;

	if (backend_has(backend, VHOST_USER_PROTOCOL_F_REPLY_ACK))
		return 0;
	return get_u64(backend, VHOST_USER_GET_FEATURES, &features);
}

int backend_negotiate(struct backend *backend)
{
	struct vhost_user_msg msg;
	int ret;

	ret = get_u64(backend, VHOST_USER_GET_FEATURES, &backend->features);
	if (!ret && (backend->features & VHOST_USER_BIT(VHOST_USER_F_PROTOCOL_FEATURES)))
		ret = negotiate_protocol(backend);
	if (ret)
		return ret;
	vhost_user_init(&msg, VHOST_USER_SET_OWNER, 0);
	ret = converse(backend, &msg);
	if (!ret && backend_has(backend, VHOST_USER_PROTOCOL_F_BACKEND_REQ))
		ret = open_channel(backend);
	return ret;
}

/* One GET_CONFIG of @size bytes from the start; -ENODATA when the answer is empty. */
static int ask_config(struct backend *backend, uint32_t size, struct config_space *config)
{
	struct vhost_user_msg msg;
	uint32_t got;
	int ret;

	vhost_user_init(&msg, VHOST_USER_GET_CONFIG, VHOST_USER_CONFIG_HDR_SIZE + size);
	msg.payload.config.size = size;
	ret = converse(backend, &msg);
	if (ret)
		return ret;
	if (msg.hdr.size <= VHOST_USER_CONFIG_HDR_SIZE)
		return -ENODATA;
	got = msg.hdr.size - VHOST_USER_CONFIG_HDR_SIZE;
	if (got > size || msg.payload.config.offset)
		return explain(backend, VHOST_USER_GET_CONFIG, -EPROTO);
	memset(config, 0, sizeof(*config));
	memcpy(config->bytes, msg.payload.config.data, got);
	config->len = got;
	return 0;
}

/* The first size that covers every member which the offered features give a meaning. */
static uint32_t wanted_size(const struct vloop_type *type, uint64_t features)
{
	uint32_t size = 0;

	for (const struct config_field *field = type->fields; field->name; field++) {
		uint32_t end = (uint32_t)field->offset + field->size;

		if (field->gate != FIELD_ALWAYS && !(features & (1ULL << field->gate)))
			continue;
		if (end > size)
			size = end;
	}
	return size;
}

/*
 * Servers differ: some answer their own structure's size only, some anything up to it, some
 * anything from it on. Begin with what the features ask for, then larger, then smaller.
 */
static int search_config(struct backend *backend, const struct vloop_type *type,
			 struct config_space *config)
{
	uint32_t wanted = wanted_size(type, backend->features);
	int ret = -ENODATA, n = 0, first;

	while (n < VLOOP_CONFIG_SIZES && type->config_sizes[n])
		n++;
	for (first = n; first > 0 && type->config_sizes[first - 1] < wanted;)
		first--;
	for (int step = 0; step < n && ret == -ENODATA; step++) {
		int i = step < first ? first - 1 - step : step;

		ret = ask_config(backend, type->config_sizes[i], config);
		if (!ret)
			backend->config_ask = type->config_sizes[i];
	}
	return ret;
}

int backend_get_config(struct backend *backend, const struct vloop_type *type,
		       struct config_space *ret_config)
{
	int ret;

	if (!backend_has(backend, VHOST_USER_PROTOCOL_F_CONFIG) || !type->config_sizes[0])
		return problem(backend, -ENODATA, "it has no config space to ask for");
	if (backend->config_ask)
		ret = ask_config(backend, backend->config_ask, ret_config);
	else
		ret = search_config(backend, type, ret_config);
	if (ret == -ENODATA)
		return problem(backend, ret,
			       "it answered no GET_CONFIG of a size that %s devices "
			       "have",
			       type->name);
	if (ret)
		return ret;
	if (ret_config->len < type->config_min)
		return problem(backend, -EMSGSIZE,
			       "its config space has %u bytes, a %s device has "
			       "%u at least",
			       ret_config->len, type->name, type->config_min);
	backend->config_len = ret_config->len;
	ret_config->len = type->config_sizes[0];
	return 0;
}

int backend_set_config(struct backend *backend, uint32_t offset, const void *data, uint32_t len)
{
	struct vhost_user_msg msg;

	if (!backend_has(backend, VHOST_USER_PROTOCOL_F_CONFIG))
		return problem(backend, -ENODATA, "it has no config space to write to");
	if (len > VHOST_USER_CONFIG_MAX)
		return problem(backend, -EREMOTEIO, "%u bytes are too many for SET_CONFIG", len);
	vhost_user_init(&msg, VHOST_USER_SET_CONFIG, VHOST_USER_CONFIG_HDR_SIZE + len);
	msg.payload.config.offset = offset;
	msg.payload.config.size = len;
	msg.payload.config.flags = VHOST_USER_CONFIG_WRITE;
	memcpy(msg.payload.config.data, data, len);
	return converse(backend, &msg);
}

int backend_set_features(struct backend *backend, uint64_t features)
{
	const uint64_t bit30 = VHOST_USER_BIT(VHOST_USER_F_PROTOCOL_FEATURES);

	return set_u64(backend, VHOST_USER_SET_FEATURES,
		       (features & backend->features & ~bit30) | (backend->features & bit30));
}

int backend_set_memory(struct backend *backend, const struct backend_memory *memory)
{
	struct vhost_user_msg msg;

	vhost_user_init(&msg, VHOST_USER_SET_MEM_TABLE,
			VHOST_USER_MEM_TABLE_HDR_SIZE + sizeof(struct vhost_user_region));
	msg.payload.mem.num = 1;
	msg.payload.mem.regions[0] = (struct vhost_user_region){
		.guest_addr = memory->guest_addr,
		.size = memory->size,
		.user_addr = memory->user_addr,
	};
	msg.num_fds = 1;
	msg.fds[0] = memory->fd;
	return converse(backend, &msg);
}

int backend_set_ring(struct backend *backend, const struct backend_ring *ring)
{
	struct vhost_user_msg msg;
	int ret;

	ret = set_state(backend, VHOST_USER_SET_VRING_NUM, ring->index, ring->num);
	if (!ret)
		ret = set_state(backend, VHOST_USER_SET_VRING_BASE, ring->index, 0);
	if (ret)
		return ret;
	vhost_user_init(&msg, VHOST_USER_SET_VRING_ADDR, sizeof(msg.payload.addr));
	msg.payload.addr = (struct vhost_user_vring_addr){
		.index = ring->index,
		.desc = ring->desc,
		.avail = ring->avail,
		.used = ring->used,
	};
	ret = converse(backend, &msg);
	if (!ret)
		ret = set_vring_fd(backend, VHOST_USER_SET_VRING_ERR, ring->index, ring->err);
	if (!ret)
		ret = set_vring_fd(backend, VHOST_USER_SET_VRING_CALL, ring->index, ring->call);
	/* Last: some back-ends start to work on the ring with it. */
	if (!ret)
		ret = set_vring_fd(backend, VHOST_USER_SET_VRING_KICK, ring->index, ring->kick);
	return ret;
}

int backend_enable_ring(struct backend *backend, uint32_t index)
{
	if (!(backend->features & VHOST_USER_BIT(VHOST_USER_F_PROTOCOL_FEATURES)))
		return 0;
	return set_state(backend, VHOST_USER_SET_VRING_ENABLE, index, 1);
}

int backend_set_status(struct backend *backend, uint8_t status)
{
	if (!backend_has(backend, VHOST_USER_PROTOCOL_F_STATUS))
		return 0;
	return set_u64(backend, VHOST_USER_SET_STATUS, status);
}

int backend_stop_ring(struct backend *backend, uint32_t index)
{
	return set_state(backend, VHOST_USER_GET_VRING_BASE, index, 0);
}

int backend_reset(struct backend *backend)
{
	struct vhost_user_msg msg;

	if (backend_has(backend, VHOST_USER_PROTOCOL_F_STATUS))
		return backend_set_status(backend, 0);
	if (!backend_has(backend, VHOST_USER_PROTOCOL_F_RESET_DEVICE))
		return 0;
	vhost_user_init(&msg, VHOST_USER_RESET_DEVICE, 0);
	return converse(backend, &msg);
}

int backend_channel(struct backend *backend)
{
	return serve_channel(backend, now_ms() + (uint64_t)backend->timeout_ms);
}
