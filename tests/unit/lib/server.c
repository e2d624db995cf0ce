/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* assert() has to work in every build. */
#undef NDEBUG
#include <assert.h>

#include <cmocka.h>

#include "server.h"

static void finish(struct vloop_queue *queue, struct vloop_req *req)
{
	for (uint32_t i = 0; i < req->n_writable; i++)
		memset(req->writable[i].iov_base, 0x5a, req->writable[i].iov_len);
	vloop_queue_complete(queue, req, (uint32_t)req->writable_len);
}

static int serve(struct vloop_queue *queue)
{
	struct server *server = vloop_dev_user(vloop_queue_dev(queue));
	struct vloop_req *reqs[8];
	int n = atomic_load(&server->fail);

	if (n < 0)
		return n;
	while ((n = vloop_queue_pop(queue, reqs, 8)) > 0)
		for (int i = 0; i < n; i++)
			finish(queue, reqs[i]);
	vloop_queue_flush(queue);
	return n;
}

/* The body of a queue's thread; with "hold" it gives requests back only when it is to stop. */
static int run(struct vloop_queue *queue)
{
	struct server *server = vloop_dev_user(vloop_queue_dev(queue));
	struct vloop_req *held[64];
	int num = 0, n = 0;

	while (vloop_queue_wait(queue) > 0 && !atomic_load(&server->quit)) {
		if (!atomic_load(&server->hold)) {
			n = serve(queue);
			if (n < 0)
				break;
			continue;
		}
		while ((n = vloop_queue_pop(queue, held + num, 64 - (unsigned int)num)) > 0)
			num += n;
		atomic_store(&server->held, (unsigned int)num);
	}
	usleep(atomic_load(&server->late_us));
	while (num)
		finish(queue, held[--num]);
	return n < 0 ? n : 0;
}

static void *worker(void *arg)
{
	struct server_worker *w = arg;
	struct pollfd fds[2] = {
		{ .fd = vloop_queue_kick_fd(w->queue), .events = POLLIN },
		{ .fd = w->stop_fd, .events = POLLIN },
	};

	while (serve(w->queue) >= 0) {
		int r = poll(fds, 2, -1);

		assert(r > 0);
		if (fds[1].revents)
			break;
		vloop_queue_ack_kick(w->queue);
	}
	return NULL;
}

static int queue_start(struct vloop_queue *queue)
{
	struct server *server = vloop_dev_user(vloop_queue_dev(queue));

	atomic_fetch_add(&server->running, 1);
	return 0;
}

static void queue_stop(struct vloop_queue *queue)
{
	struct server *server = vloop_dev_user(vloop_queue_dev(queue));

	atomic_fetch_sub(&server->running, 1);
}

static int caller_start(struct vloop_queue *queue)
{
	struct server *server = vloop_dev_user(vloop_queue_dev(queue));
	struct server_worker *w = &server->workers[vloop_queue_index(queue)];

	w->server = server;
	w->queue = queue;
	w->stop_fd = eventfd(0, EFD_CLOEXEC);
	vloop_queue_set_user(queue, w);
	queue_start(queue);
	return -pthread_create(&w->thread, NULL, worker, w);
}

static void caller_stop(struct vloop_queue *queue)
{
	struct server_worker *w = vloop_queue_user(queue);
	uint64_t one = 1;
	ssize_t n = write(w->stop_fd, &one, sizeof(one));

	assert(n == sizeof(one));
	pthread_join(w->thread, NULL);
	close(w->stop_fd);
	queue_stop(queue);
}

static int connected(struct vloop_dev *dev)
{
	struct server *server = vloop_dev_user(dev);

	atomic_fetch_add(&server->connected, 1);
	return 0;
}

static void disconnected(struct vloop_dev *dev)
{
	struct server *server = vloop_dev_user(dev);

	assert(atomic_load(&server->running) == 0);
	atomic_fetch_add(&server->disconnected, 1);
}

static void reset(struct vloop_dev *dev)
{
	struct server *server = vloop_dev_user(dev);

	assert(atomic_load(&server->running) == 0);
	atomic_fetch_add(&server->resets, 1);
}

/* A write of byte 0 changes byte 31 too, and the driver is told. */
static int config_write(struct vloop_dev *dev, uint32_t offset, const void *data, uint32_t len)
{
	const uint8_t *bytes = data;

	if (offset + len > SERVER_WRITABLE)
		return -EINVAL;
	if (offset == 0) {
		vloop_dev_set_config(dev, 31, &bytes[0], 1);
		vloop_dev_config_changed(dev);
	}
	return 0;
}

static void log_message(void *user, int level, const char *message)
{
	struct server *server = user;

	if (level <= 3) {
		snprintf(server->error, sizeof(server->error), "%s", message);
		atomic_fetch_add(&server->errors, 1);
	}
	if (getenv("VLOOP_TEST_LOG"))
		fprintf(stderr, "<%d>%s\n", level, message);
}

static void *loop(void *arg)
{
	struct server *server = arg;

	server->result = vloop_run(server->dev);
	return NULL;
}

void server_open(struct server *server, enum vloop_dispatch dispatch, uint32_t flags)
{
	uint8_t config[SERVER_CONFIG];
	struct vloop_dev_desc desc = {
		.size = sizeof(desc),
		.name = "test",
		.num_queues = 2,
		.queue_size_max = 256,
		.segments_max = 32,
		.dispatch = dispatch,
		.flags = flags,
		.config = config,
		.config_len = sizeof(config),
	};
	struct vloop_dev_ops ops = {
		.size = sizeof(ops),
		.connected = connected,
		.disconnected = disconnected,
		.reset = reset,
		.config_write = config_write,
		.queue_start = dispatch == VLOOP_DISPATCH_CALLER ? caller_start : queue_start,
		.queue_stop = dispatch == VLOOP_DISPATCH_CALLER ? caller_stop : queue_stop,
		.queue_kick = serve,
		.queue_run = run,
	};
	char *dir;
	int r;

	memset(server, 0, sizeof(*server));
	for (unsigned int i = 0; i < sizeof(config); i++)
		config[i] = (uint8_t)i;
	strcpy(server->dir, "/tmp/vloop-test-XXXXXX");
	dir = mkdtemp(server->dir);
	assert(dir);
	snprintf(server->path, sizeof(server->path), "%s/sock", server->dir);
	r = vloop_dev_new(&server->dev, &desc, &ops, server);
	assert(r == 0);
	vloop_dev_set_log(server->dev, 7, log_message, server);
	r = vloop_dev_listen(server->dev, server->path);
	assert(r == 0);
}

void server_start(struct server *server, enum vloop_dispatch dispatch, uint32_t flags)
{
	int r;

	server_open(server, dispatch, flags);
	r = pthread_create(&server->thread, NULL, loop, server);
	assert(r == 0);
}

void server_stop(struct server *server)
{
	vloop_stop(server->dev);
	pthread_join(server->thread, NULL);
	server_close(server);
}

void server_close(struct server *server)
{
	vloop_dev_unref(server->dev);
	/* The socket has been removed, or the directory could not be. */
	if (rmdir(server->dir) < 0)
		abort();
}

const enum vloop_dispatch server_dispatches[3] = {
	VLOOP_DISPATCH_LOOP,
	VLOOP_DISPATCH_THREAD,
	VLOOP_DISPATCH_CALLER,
};

void server_connect(struct frontend *fe, struct server *server, uint64_t features)
{
	frontend_connect(fe, server->path);
	frontend_negotiate(fe, features, ~0ULL);
	frontend_set_memory(fe);
}

void server_check_data(struct frontend *fe, unsigned int q, uint32_t len)
{
	uint8_t *data = frontend_data(fe, q);

	memset(data, 0, len + 1);
	assert_int_equal(frontend_read_request(fe, q, len), len);
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(data[i], 0x5a);
	assert_int_equal(data[len], 0);
}

void frontend_expect_closed(const struct frontend *fe)
{
	struct pollfd fd = { .fd = fe->sock, .events = POLLIN };
	uint8_t byte;

	assert_int_equal(poll(&fd, 1, ANSWER_MS), 1);
	assert_int_equal(read(fe->sock, &byte, 1), 0);
}
