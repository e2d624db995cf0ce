/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lies that go on beside the service. Their threads run until the process ends, and work on
 * descriptors and mappings of their own: those of the queue come and go with the connection.
 */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "liar.h"
#include "log.h"

#define STORM_THREADS 4

/*
 * @spare: ranges that are left alone
 */
struct scribble {
	uint8_t *map;
	uint64_t size;
	unsigned int nspare;
	struct {
		uint64_t from;
		uint64_t to;
	} spare[QUEUES_MAX];
};

static void spawn(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, fn, arg))
		abort();
	pthread_detach(thread);
}

static void *storm(void *arg)
{
	const int fd = *(int *)arg;
	uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) == sizeof(one))
		;
	vl_info("the call descriptor takes no more writes");
	return NULL;
}

static void begin_storm(const struct queue *queue)
{
	int *fd = malloc(sizeof(*fd));

	if (!fd)
		abort();
	*fd = dup(queue->call);
	for (int i = 0; i < STORM_THREADS; i++)
		spawn(storm, fd);
}

/* Small values hit indexes and ids, large ones everything else. */
static uint64_t nasty(struct random_data *state)
{
	int32_t a, b;

	random_r(state, &a);
	random_r(state, &b);
	switch (a & 7) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX;
	case 2:
		return (uint64_t)b & 0xff;
	case 3:
		return 0x0001000100010001ULL * ((uint64_t)b & 0xffff);
	default:
		return (uint64_t)b << 33 ^ (uint64_t)a;
	}
}

static void *scribbler(void *arg)
{
	struct scribble *s = arg;
	struct random_data state = {0};
	char buf[64];

	initstate_r(1, buf, sizeof(buf), &state);
	for (;;) {
		uint64_t value = nasty(&state);
		int32_t where, page;
		uint64_t off;
		bool spare = false;

		random_r(&state, &where);
		random_r(&state, &page);
		/* Mostly low: there are the rings and the slots in use. */
		off = (uint64_t)page & (page & 0x100000 ? 0xfffff : 0xffff);
		off = (off ^ (uint64_t)where << (page & 0x200000 ? 12 : 0)) % (s->size - 8) & ~7ULL;
		for (unsigned int i = 0; i < s->nspare; i++)
			spare |= off + 8 > s->spare[i].from && off < s->spare[i].to;
		if (!spare)
			memcpy(s->map + off, &value, sizeof(value));
	}
	return NULL;
}

static void begin_scribble(const struct liar *liar, bool spare_used)
{
	struct scribble *s = calloc(1, sizeof(*s));
	void *map =
		mmap(NULL, liar->pool.size, PROT_READ | PROT_WRITE, MAP_SHARED, liar->pool.fd, 0);

	if (!s || map == MAP_FAILED)
		abort();
	s->map = map;
	s->size = liar->pool.size;
	for (unsigned int i = 0; spare_used && i < liar->nqueues; i++) {
		const struct queue *queue = &liar->queues[i];

		if (!queue->used)
			continue;
		s->spare[s->nspare].from = (uint64_t)((uint8_t *)queue->used - liar->pool.map);
		s->spare[s->nspare].to = s->spare[s->nspare].from + 6 + queue->num * 8UL;
		s->nspare++;
	}
	spawn(scribbler, s);
}

static void *flood(void *arg)
{
	struct liar *liar = arg;
	struct vhost_user_msg msg;

	vhost_user_init(&msg, VHOST_USER_BACKEND_CONFIG_CHANGE, 0);
	while (vhost_user_send(liar->channel, &msg, 1000) == 0)
		;
	vl_info("the back-end channel takes no more messages");
	return NULL;
}

static void *channel_garbage(void *arg)
{
	struct liar *liar = arg;
	uint8_t bytes[4096];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)random();
	while (send(liar->channel, bytes, sizeof(bytes), MSG_NOSIGNAL) > 0)
		;
	vl_info("the back-end channel takes no more bytes");
	return NULL;
}

static void send_unasked(const struct liar *liar)
{
	struct vhost_user_msg msg;

	vhost_user_init_reply(&msg, VHOST_USER_GET_FEATURES, sizeof(uint64_t));
	vhost_user_send(liar->sock, &msg, 1000);
}

static void cut(const struct liar *liar)
{
	uint64_t one = 1;

	if (write(liar->cut, &one, sizeof(one)) < 0)
		abort();
}

/* With requests in flight, and time between the steps for the front-end to be confused. */
static void *close_in_odd_order(void *arg)
{
	struct liar *liar = arg;

	for (unsigned int i = 0; i < liar->nqueues; i++) {
		struct queue *queue = &liar->queues[i];
		int call = queue->call;

		queue->call = -1;
		if (call >= 0)
			close(call);
		usleep(50000);
	}
	close(liar->pool.fd);
	liar->pool.fd = -1;
	usleep(50000);
	shutdown(liar->channel, SHUT_RDWR);
	usleep(50000);
	shutdown(liar->sock, SHUT_WR);
	usleep(50000);
	cut(liar);
	return NULL;
}

/* The child has everything but the sockets, and is what is left of this process. */
static void hand_off(struct queue *queue)
{
	struct liar *liar = queue->liar;
	pid_t child = fork();

	if (child < 0)
		abort();
	if (child)
		_exit(0);
	close(liar->sock);
	close(liar->channel);
	close(liar->listen);
	begin_scribble(liar, false);
	begin_storm(queue);
	for (;;)
		pause();
}

void threads_begin(struct queue *queue)
{
	struct liar *liar = queue->liar;

	if (!lie_due(liar, liar->lie))
		return;
	if (liar->connection > 1 || !lie_once(liar))
		return;
	switch (liar->lie) {
	case LIE_CALL_STORM:
		begin_storm(queue);
		break;
	case LIE_CALL_STALE:
		begin_storm(queue);
		cut(liar);
		break;
	case LIE_POOL_STALE:
		begin_scribble(liar, false);
		cut(liar);
		break;
	case LIE_FEATURES_CHANGE:
		cut(liar);
		break;
	case LIE_SCRIBBLE_TABLES:
	case LIE_SCRIBBLE_ALL:
		begin_scribble(liar, liar->lie == LIE_SCRIBBLE_TABLES);
		break;
	case LIE_FD_ORDER:
		spawn(close_in_odd_order, liar);
		break;
	case LIE_HANDOFF:
		hand_off(queue);
		break;
	case LIE_CONFIG_FLOOD:
		spawn(flood, liar);
		break;
	case LIE_CAPACITY_SHRINK: {
		struct vhost_user_msg msg;

		vhost_user_init(&msg, VHOST_USER_BACKEND_CONFIG_CHANGE, 0);
		vhost_user_send(liar->channel, &msg, 1000);
		break;
	}
	case LIE_CHANNEL_GARBAGE:
		spawn(channel_garbage, liar);
		break;
	case LIE_UNASKED:
		send_unasked(liar);
		break;
	default:
		break;
	}
}
