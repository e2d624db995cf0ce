/* SPDX-License-Identifier: BSD-3-Clause */
/* The conversation with a back-end: a good one, and each way of being bad at each message. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend.h"
#include "details.h"
#include "fake_backend.h"
#include "session.h"
#include "sock.h"
#include "vloop.h"

#define BOUND_MS 60

static void start(struct fake_backend *fake, struct backend *backend, int bound_ms)
{
	backend_init(backend, bound_ms, -1);
	backend_adopt(backend, fake_start_pair(fake));
}

static void stop(struct fake_backend *fake, struct backend *backend)
{
	backend_close(backend);
	fake_stop(fake);
}

/* Two rings in a pool, as the kernel would have laid them out. */
static void make_session(struct session *session)
{
	session_init(session);
	session->nqueues = 3;
	session->pool_len = 65536;
	session->base = 0x1000;
	session->pool = memfd_create("test", MFD_CLOEXEC);
	assert_int_equal(ftruncate(session->pool, 65536), 0);
	session->err = eventfd(0, EFD_CLOEXEC);
	for (uint32_t i = 0; i < 3; i++) {
		session->queue[i] = (struct vlb_session_queue){
			.kick = (uint32_t)eventfd(0, EFD_CLOEXEC),
			.call = (uint32_t)-1,
			.out_call = (uint32_t)eventfd(0, EFD_CLOEXEC),
			/* The driver does not use the one in the middle. */
			.out_num = i == 1 ? 0 : 128,
			.out_desc = 4096 * (3 * i),
			.out_avail = 4096 * (3 * i + 1),
			.out_used = 4096 * (3 * i + 2),
		};
	}
}

/* Everything that an attach says to a back-end, in order; the first error ends it. */
static int whole_life(struct backend *backend)
{
	struct config_space config;
	struct session session;
	uint8_t byte = 1;
	int ret;

	make_session(&session);
	ret = backend_negotiate(backend);
	if (!ret)
		ret = backend_get_config(backend, type_by_name("blk"), &config);
	if (!ret)
		ret = session_offer(&session, backend, backend->features);
	if (!ret)
		ret = backend_set_config(backend, 32, &byte, 1);
	if (!ret)
		ret = session_end(&session, backend);
	/* An answer that came twice shows at the next conversation. */
	if (!ret)
		ret = backend_get_config(backend, type_by_name("blk"), &config);
	session_free(&session);
	return ret;
}

static void test_good(void **state)
{
	struct fake_backend fake;
	struct backend backend;

	(void)state;
	fake_init(&fake);
	start(&fake, &backend, 10000);
	assert_int_equal(whole_life(&backend), 0);
	assert_int_equal(backend.queue_max, 4);
	stop(&fake, &backend);
	assert_int_equal(fake.seen[VHOST_USER_GET_FEATURES], 1);
	assert_int_equal(fake.seen[VHOST_USER_SET_OWNER], 1);
	assert_int_equal(fake.seen[VHOST_USER_SET_VRING_KICK], 2);
	assert_int_equal(fake.seen[VHOST_USER_SET_VRING_ENABLE], 2);
	assert_int_equal(fake.seen[VHOST_USER_GET_VRING_BASE], 2);
	/* Negotiated and driver-ok when it starts, zero when it ends. */
	assert_int_equal(fake.seen[VHOST_USER_SET_STATUS], 3);
	assert_int_equal(fake.config[32], 1);
	assert_int_equal(fake.region_count, 1);
	assert_int_equal(fake.region_size, 65536);
	assert_true(fake.user_addr != 0);
}

/* What is offered but not wanted stays unacknowledged: facts of doc/architecture, by bit. */
static void test_acknowledged_features(void **state)
{
	struct fake_backend fake;
	struct backend backend;

	(void)state;
	fake_init(&fake);
	start(&fake, &backend, 10000);
	assert_int_equal(whole_life(&backend), 0);
	stop(&fake, &backend);
	assert_int_equal(fake.acked, fake.features);
	assert_int_equal(fake.acked_protocol & ~BACKEND_PROTOCOL_WANTED, 0);
	assert_int_equal(fake.acked_protocol & VHOST_USER_BIT(21), 0);
	assert_true(fake.acked_protocol & VHOST_USER_BIT(VHOST_USER_PROTOCOL_F_CONFIG));
}

static void test_features_are_masked(void **state)
{
	struct fake_backend fake;
	struct backend backend;

	(void)state;
	fake_init(&fake);
	start(&fake, &backend, 10000);
	assert_int_equal(backend_negotiate(&backend), 0);
	/* Bit 5 was added by ourselves (--read-only): the back-end never offered it. */
	assert_int_equal(backend_set_features(&backend, VHOST_USER_BIT(32) | VHOST_USER_BIT(5)), 0);
	stop(&fake, &backend);
	assert_int_equal(fake.acked,
			 VHOST_USER_BIT(32) | VHOST_USER_BIT(VHOST_USER_F_PROTOCOL_FEATURES));
}

/* Before protocol features existed: no acknowledgements, no config, rings enabled. */
static void test_legacy(void **state)
{
	struct config_space config;
	struct fake_backend fake;
	struct backend backend;
	struct session session;

	(void)state;
	fake_init(&fake);
	fake.features = VHOST_USER_BIT(32);
	start(&fake, &backend, 10000);
	assert_int_equal(backend_negotiate(&backend), 0);
	assert_int_equal(backend_get_config(&backend, type_by_name("blk"), &config), -ENODATA);
	make_session(&session);
	assert_int_equal(session_offer(&session, &backend, VHOST_USER_BIT(32)), 0);
	assert_int_equal(session_end(&session, &backend), 0);
	session_free(&session);
	stop(&fake, &backend);
	assert_int_equal(fake.seen[VHOST_USER_GET_PROTOCOL_FEATURES], 0);
	assert_int_equal(fake.seen[VHOST_USER_SET_VRING_ENABLE], 0);
	assert_int_equal(fake.seen[VHOST_USER_SET_STATUS], 0);
	assert_int_equal(fake.acked, VHOST_USER_BIT(32));
	/* And once more: what acknowledges nothing is asked whether it has read all, before the
	 * first kick. */
	assert_int_equal(fake.seen[VHOST_USER_GET_FEATURES], 2);
}

static void check_config_size(uint32_t size, bool exact, int expected, uint32_t asked)
{
	struct config_space config;
	struct fake_backend fake;
	struct backend backend;

	fake_init(&fake);
	fake.config_size = size;
	fake.config_exact = exact;
	fake.config[0] = 0x5a;
	start(&fake, &backend, 10000);
	assert_int_equal(backend_negotiate(&backend), 0);
	assert_int_equal(backend_get_config(&backend, type_by_name("blk"), &config), expected);
	if (!expected) {
		assert_int_equal(backend.config_ask, asked);
		assert_int_equal(config.len, 96);
		assert_int_equal(config.bytes[0], 0x5a);
		assert_int_equal(config.bytes[95], 0);
		/* The second time without searching. */
		assert_int_equal(backend_get_config(&backend, type_by_name("blk"), &config), 0);
	} else {
		assert_string_not_equal(backend.problem, "");
	}
	stop(&fake, &backend);
}

/* An input device is asked one question after another, each with the whole config space. */
static void test_details(void **state)
{
	struct json_object *object = json_object_new_object(), *details, *value;
	struct fake_backend fake;
	struct backend backend;
	struct config_space config;
	const struct vloop_type *type = type_by_name("input");

	(void)state;
	fake_init(&fake);
	fake.config_size = 136;
	/* It gives the same answer to everything, and a size that does not fit. */
	fake.config[2] = 255;
	memset(fake.config + 8, 'a', 128);
	start(&fake, &backend, 10000);
	assert_int_equal(backend_negotiate(&backend), 0);
	assert_int_equal(backend_get_config(&backend, type, &config), 0);
	assert_int_equal(details_ask(object, &backend, type), 0);
	stop(&fake, &backend);
	assert_int_equal(fake.seen[VHOST_USER_SET_CONFIG], 10);
	assert_int_equal(fake.config[0], 0x11);
	assert_int_equal(fake.config[1], 0x12);
	assert_true(json_object_object_get_ex(object, "details", &details));
	assert_true(json_object_object_get_ex(details, "name", &value));
	assert_int_equal(strlen(json_object_get_string(value)), 128);
	assert_true(json_object_object_get_ex(details, "ids", &value));
	assert_string_equal(json_object_get_string(value),
			    "bus 0x6161, vendor 0x6161, product 0x6161, version 0x6161");
	assert_true(json_object_object_get_ex(details, "keys", &value));
	assert_int_equal(json_object_get_int(value), 3 * 128);
	json_object_put(object);
}

static void test_config_sizes(void **state)
{
	(void)state;
	/* Features 0 give only the capacity a meaning: the smallest size is asked first. */
	check_config_size(96, false, 0, 24);
	check_config_size(24, true, 0, 24);
	check_config_size(36, true, 0, 36);
	check_config_size(60, true, 0, 60);
	check_config_size(96, true, 0, 96);
	check_config_size(8, false, -ENODATA, 0);
	check_config_size(61, true, -ENODATA, 0);
}

static const uint32_t answered[] = {
	VHOST_USER_GET_FEATURES,       VHOST_USER_GET_PROTOCOL_FEATURES,
	VHOST_USER_GET_QUEUE_NUM,      VHOST_USER_SET_OWNER,
	VHOST_USER_SET_BACKEND_REQ_FD, VHOST_USER_GET_CONFIG,
	VHOST_USER_SET_FEATURES,       VHOST_USER_SET_STATUS,
	VHOST_USER_SET_MEM_TABLE,      VHOST_USER_SET_VRING_NUM,
	VHOST_USER_SET_VRING_BASE,     VHOST_USER_SET_VRING_ADDR,
	VHOST_USER_SET_VRING_ERR,      VHOST_USER_SET_VRING_CALL,
	VHOST_USER_SET_VRING_KICK,     VHOST_USER_SET_VRING_ENABLE,
	VHOST_USER_SET_CONFIG,	       VHOST_USER_GET_VRING_BASE,
};

static int expected_error(uint32_t request, enum fault fault)
{
	const struct vhost_user_shape *shape = vhost_user_shape(VHOST_USER_KIND_REQUEST, request);

	switch (fault) {
	case FAULT_SILENT:
	case FAULT_HALF:
		return -ETIMEDOUT;
	case FAULT_CLOSE:
		return -ECONNRESET;
	case FAULT_REFUSE:
		return shape->replies ? 0 : -EREMOTEIO;
	case FAULT_EMPTY:
		/* The one answer that may be empty: it says no, to every size. */
		return request == VHOST_USER_GET_CONFIG ? -ENODATA : -EPROTO;
	default:
		return -EPROTO;
	}
}

static void test_faults(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(answered) / sizeof(answered[0]); i++) {
		for (int fault = FAULT_SILENT; fault < FAULT_END; fault++) {
			const bool waits = fault == FAULT_SILENT || fault == FAULT_HALF;
			struct fake_backend fake;
			struct backend backend;
			int ret;

			fake_init(&fake);
			fake.fault_at = answered[i];
			fake.fault = (enum fault)fault;
			start(&fake, &backend, waits ? BOUND_MS : 10000);
			ret = whole_life(&backend);
			if (ret != expected_error(answered[i], (enum fault)fault))
				fail_msg("%s, fault %d: got %d, problem '%s'",
					 vhost_user_msg_name(VHOST_USER_KIND_REQUEST, answered[i]),
					 fault, ret, backend.problem);
			if (ret)
				assert_string_not_equal(backend.problem, "");
			stop(&fake, &backend);
		}
	}
}

/* A back-end that answers only when its own request has been served. */
static void test_channel(void **state)
{
	struct fake_backend fake;
	struct vhost_user_msg msg;
	struct backend backend;

	(void)state;
	fake_init(&fake);
	start(&fake, &backend, 10000);
	assert_int_equal(backend_negotiate(&backend), 0);
	vhost_user_init(&msg, VHOST_USER_BACKEND_CONFIG_CHANGE, 0);
	msg.hdr.flags |= VHOST_USER_FLAG_NEED_REPLY;
	assert_int_equal(vhost_user_send(fake.channel, &msg, 1000), 0);
	assert_int_equal(backend_channel(&backend), 0);
	assert_true(backend.config_changed);
	assert_int_equal(vhost_user_recv(fake.channel, VHOST_USER_KIND_BACKEND_REPLY, &msg, 1000),
			 0);
	assert_int_equal(msg.payload.u64, 0);

	/* What it may not ask for is refused, and not a reason to part. */
	vhost_user_init(&msg, VHOST_USER_BACKEND_VRING_CALL, sizeof(msg.payload.state));
	msg.hdr.flags |= VHOST_USER_FLAG_NEED_REPLY;
	assert_int_equal(vhost_user_send(fake.channel, &msg, 1000), 0);
	assert_int_equal(backend_channel(&backend), 0);
	assert_int_equal(vhost_user_recv(fake.channel, VHOST_USER_KIND_BACKEND_REPLY, &msg, 1000),
			 0);
	assert_true(msg.payload.u64 != 0);

	/* Nonsense is. */
	msg.hdr.size = 4000;
	assert_int_equal(send(fake.channel, &msg.hdr, sizeof(msg.hdr), 0), sizeof(msg.hdr));
	assert_true(backend_channel(&backend) < 0);
	stop(&fake, &backend);
}

/* The same while an answer is waited for, which is not to blame. */
static void test_channel_nonsense(void **state)
{
	struct fake_backend fake;
	struct vhost_user_msg msg;
	struct config_space config;
	struct backend backend;

	(void)state;
	fake_init(&fake);
	fake.fault_at = VHOST_USER_GET_CONFIG;
	fake.fault = FAULT_SILENT;
	start(&fake, &backend, 10000);
	assert_int_equal(backend_negotiate(&backend), 0);
	vhost_user_init(&msg, VHOST_USER_BACKEND_CONFIG_CHANGE, 0);
	msg.hdr.size = 4000;
	assert_int_equal(send(fake.channel, &msg.hdr, sizeof(msg.hdr), 0), sizeof(msg.hdr));
	assert_int_equal(backend_get_config(&backend, type_by_name("blk"), &config), -EPROTO);
	assert_non_null(strstr(backend.problem, "on its own channel"));
	stop(&fake, &backend);
}

static void test_channel_closed(void **state)
{
	struct fake_backend fake;
	struct backend backend;

	(void)state;
	fake_init(&fake);
	start(&fake, &backend, 10000);
	assert_int_equal(backend_negotiate(&backend), 0);
	shutdown(fake.channel, SHUT_RDWR);
	assert_int_equal(backend_channel(&backend), 0);
	assert_int_equal(backend.channel, -1);
	assert_int_equal(backend_set_features(&backend, 0), 0);
	stop(&fake, &backend);
}

/* Somebody waits for this program: a silent peer no longer gets its whole time. */
static void test_hurry(void **state)
{
	int hurry = eventfd(1, EFD_CLOEXEC);
	struct fake_backend fake;
	struct backend backend;

	(void)state;
	fake_init(&fake);
	fake.fault_at = VHOST_USER_GET_FEATURES;
	fake.fault = FAULT_SILENT;
	backend_init(&backend, 3600 * 1000, hurry);
	backend_adopt(&backend, fake_start_pair(&fake));
	assert_int_equal(backend_negotiate(&backend), -ETIMEDOUT);
	stop(&fake, &backend);
	close(hurry);
}

struct slow_peer {
	int sock;
	int hurry;
	pthread_t thread;
};

/* With an hour for each answer, but for a hurry. */
static void peer_start(struct slow_peer *peer, unsigned int hurry, void *(*answer)(void *),
		       struct backend *backend)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	peer->sock = pair[0];
	peer->hurry = eventfd(hurry, EFD_CLOEXEC);
	assert_int_equal(pthread_create(&peer->thread, NULL, answer, peer), 0);
	backend_init(backend, 3600 * 1000, peer->hurry);
	backend_adopt(backend, pair[1]);
}

static void peer_stop(struct slow_peer *peer, struct backend *backend)
{
	backend_close(backend);
	pthread_join(peer->thread, NULL);
	close(peer->sock);
	close(peer->hurry);
}

/* Answers late, and only after somebody was in a hurry. */
static void *answer_late(void *arg)
{
	const struct slow_peer *peer = arg;
	struct vhost_user_msg msg;

	if (vhost_user_recv(peer->sock, VHOST_USER_KIND_REQUEST, &msg, 10000))
		return NULL;
	usleep((BACKEND_HURRY_MS + 100) * 1000);
	eventfd_write(peer->hurry, 1);
	usleep(100 * 1000);
	vhost_user_init_reply(&msg, VHOST_USER_GET_FEATURES, sizeof(uint64_t));
	msg.payload.u64 = VHOST_USER_BIT(32);
	vhost_user_send(peer->sock, &msg, 1000);
	return NULL;
}

/* The time that is left begins with the hurry, however long the wait was before. */
static void test_hurry_late(void **state)
{
	struct slow_peer peer;
	struct backend backend;

	(void)state;
	peer_start(&peer, 0, answer_late, &backend);
	assert_int_equal(backend_negotiate(&backend), 0);
	assert_true(backend.features == VHOST_USER_BIT(32));
	peer_stop(&peer, &backend);
}

/* Answers each message, and takes its time. */
static void *answer_slowly(void *arg)
{
	const struct slow_peer *peer = arg;
	struct vhost_user_msg msg;

	while (!vhost_user_recv(peer->sock, VHOST_USER_KIND_REQUEST, &msg, 60000)) {
		vhost_user_close_fds(&msg);
		usleep(BACKEND_HURRY_MS / 4 * 1000);
		vhost_user_init_reply(&msg, VHOST_USER_GET_FEATURES, sizeof(uint64_t));
		msg.payload.u64 = VHOST_USER_BIT(32);
		if (vhost_user_send(peer->sock, &msg, 1000))
			break;
	}
	return NULL;
}

/* All messages together have the time that a hurry leaves, not each for itself. */
static void test_hurry_many(void **state)
{
	struct slow_peer peer;
	struct backend backend;
	int tries, ret = 0;

	(void)state;
	peer_start(&peer, 1, answer_slowly, &backend);
	for (tries = 0; tries < 20 && !ret; tries++)
		ret = backend_negotiate(&backend);
	assert_int_equal(ret, -ETIMEDOUT);
	assert_non_null(strstr(backend.problem, "was to end"));
	peer_stop(&peer, &backend);
}

/* A peer that does not read is nobody to wait an hour for, in a hurry. */
static void test_hurry_full(void **state)
{
	int hurry = eventfd(1, EFD_CLOEXEC), pair[2], tries, ret = 0;
	struct backend backend;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	backend_init(&backend, 3600 * 1000, hurry);
	backend_adopt(&backend, pair[1]);
	for (tries = 0; tries < 1000000 && !ret; tries++)
		ret = backend_set_features(&backend, 0);
	assert_int_equal(ret, -ETIMEDOUT);
	backend_close(&backend);
	close(pair[0]);
	close(hurry);
}

/* A message that has begun and does not end has no hour, hurry or not. */
static void test_half(void **state)
{
	struct vhost_user_msg msg;
	struct fake_backend fake;
	struct backend backend;

	(void)state;
	fake_init(&fake);
	fake.fault_at = VHOST_USER_SET_FEATURES;
	fake.fault = FAULT_SILENT;
	start(&fake, &backend, 3600 * 1000);
	assert_int_equal(backend_negotiate(&backend), 0);
	vhost_user_init(&msg, VHOST_USER_BACKEND_CONFIG_CHANGE, 0);
	assert_int_equal(send(fake.channel, &msg.hdr, 4, 0), 4);
	assert_int_equal(backend_set_features(&backend, 0), -EPROTO);
	stop(&fake, &backend);

	fake_init(&fake);
	fake.fault_at = VHOST_USER_GET_FEATURES;
	fake.fault = FAULT_HALF;
	start(&fake, &backend, 3600 * 1000);
	assert_int_equal(backend_negotiate(&backend), -ETIMEDOUT);
	assert_non_null(strstr(backend.problem, "a part of its answer"));
	stop(&fake, &backend);
}

static void test_connect_errors(void **state)
{
	char path[200];
	struct backend backend;

	(void)state;
	backend_init(&backend, 1000, -1);
	assert_int_equal(backend_connect(&backend, "/nonexistent/socket"), -ENOENT);
	assert_non_null(strstr(backend.problem, "no such socket"));
	assert_int_equal(backend_connect(&backend, "/dev/null"), -ECONNREFUSED);
	assert_non_null(strstr(backend.problem, "not a socket"));
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	assert_int_equal(backend_connect(&backend, path), -ENAMETOOLONG);
	assert_int_equal(backend_set_features(&backend, 0), -ENOTCONN);
}

/* vloop probe blk of this back-end, at a socket. Return: its exit status. */
static int probe(struct fake_backend *fake)
{
	char path[] = "/tmp/vloop-probe-XXXXXX";
	const char *argv[] = {"probe", path, "blk", NULL};
	int fd = mkstemp(path), null = open("/dev/null", O_WRONLY | O_CLOEXEC), listener;
	pid_t child;
	int status;

	assert_true(fd >= 0);
	close(fd);
	unlink(path);
	listener = vl_sock_listen(path, 1);
	assert_true(listener >= 0);
	fflush(stdout);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		dup2(null, STDOUT_FILENO);
		_exit(cmd_probe.run(3, (char **)(uintptr_t)argv));
	}
	assert_int_equal(fcntl(listener, F_SETFL, 0), 0);
	fake_start(fake, accept(listener, NULL, NULL));
	assert_int_equal(waitpid(child, &status, 0), child);
	fake_stop(fake);
	unlink(path);
	close(listener);
	close(null);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* A back-end of another type is not one that went away. */
static void test_probe_status(void **state)
{
	struct fake_backend fake;

	(void)state;
	fake_init(&fake);
	assert_int_equal(probe(&fake), EXIT_OK);
	fake_init(&fake);
	fake.config_size = 3;
	assert_int_equal(probe(&fake), EXIT_MISFIT);
	fake_init(&fake);
	fake.fault_at = VHOST_USER_GET_CONFIG;
	fake.fault = FAULT_CLOSE;
	assert_int_equal(probe(&fake), EXIT_BACKEND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_acknowledged_features),
		cmocka_unit_test(test_features_are_masked),
		cmocka_unit_test(test_legacy),
		cmocka_unit_test(test_details),
		cmocka_unit_test(test_config_sizes),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_channel),
		cmocka_unit_test(test_channel_nonsense),
		cmocka_unit_test(test_channel_closed),
		cmocka_unit_test(test_hurry),
		cmocka_unit_test(test_hurry_late),
		cmocka_unit_test(test_hurry_many),
		cmocka_unit_test(test_hurry_full),
		cmocka_unit_test(test_half),
		cmocka_unit_test(test_connect_errors),
		cmocka_unit_test(test_probe_status),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
