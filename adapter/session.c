/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include "session.h"

#define STATUS_NEGOTIATED \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)

void session_init(struct session *session)
{
	memset(session, 0, sizeof(*session));
	session->pool = -1;
	session->err = -1;
}

static void close_fd(uint32_t *fd)
{
	if ((int)*fd >= 0)
		close((int)*fd);
	*fd = (uint32_t)-1;
}

/* Kernel and back-end have references of their own once they were given the descriptors. */
static void close_queue_fds(struct session *session)
{
	for (uint32_t i = 0; i < session->nqueues; i++) {
		close_fd(&session->queue[i].kick);
		close_fd(&session->queue[i].call);
		close_fd(&session->queue[i].out_call);
	}
}

void session_free(struct session *session)
{
	close_queue_fds(session);
	if (session->pool >= 0)
		close(session->pool);
	if (session->err >= 0)
		close(session->err);
	session_init(session);
}

static int make_pool(struct session *session, const struct session_plan *plan)
{
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;

	session->pool_len = plan->pool_len;
	session->pool = memfd_create("vloop-pool", flags | (plan->hugepages ? MFD_HUGETLB : 0));
	if (session->pool < 0)
		return -errno;
	if (ftruncate(session->pool, (off_t)plan->pool_len) < 0)
		return -errno;
	/* A peer that cut the file short would turn the kernel's and our accesses into faults. */
	if (fcntl(session->pool, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	return 0;
}

static bool make_eventfd(uint32_t *ret_fd)
{
	*ret_fd = (uint32_t)eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return (int)*ret_fd >= 0;
}

static int make_eventfds(struct session *session, const struct session_plan *plan)
{
	session->err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (session->err < 0)
		return -errno;
	for (uint32_t i = 0; i < plan->nqueues; i++) {
		struct vlb_session_queue *queue = &session->queue[i];

		memset(queue, 0xff, sizeof(*queue));
		session->nqueues = i + 1;
		queue->out_num = 0;
		if (!plan->kick_file && !make_eventfd(&queue->kick))
			return -errno;
		if (plan->call_eventfd && !make_eventfd(&queue->call))
			return -errno;
	}
	return 0;
}

/*
 * A write to one of the module's files never waits. Back-ends ask before each write where a file
 * does not say so.
 */
static int mark_call_files(struct session *session)
{
	for (uint32_t i = 0; i < session->nqueues; i++) {
		const int call = (int)session->queue[i].out_call;

		if (call >= 0 && fcntl(call, F_SETFL, O_NONBLOCK) < 0)
			return -errno;
	}
	return 0;
}

/*
 * The pool is mapped for this call only: the kernel keeps the pages pinned without it, and
 * they would count as ours.
 */
static int tell_kernel(struct session *session, struct kdev *kdev, const struct session_plan *plan)
{
	struct vlb_session arg = {
		.flags = (plan->call_eventfd ? VLB_SESSION_CALL_EVENTFD : 0) |
			 (plan->kick_file ? VLB_SESSION_KICK_FILE : 0),
		.epoch = plan->epoch,
		.nqueues = plan->nqueues,
		.pool_len = plan->pool_len,
		.queues = (uintptr_t)session->queue,
	};
	void *pool;
	int ret;

	pool = mmap(NULL, plan->pool_len, PROT_READ | PROT_WRITE, MAP_SHARED, session->pool, 0);
	if (pool == MAP_FAILED)
		return -errno;
	arg.pool = (uintptr_t)pool;
	ret = kdev_session(kdev, &arg);
	munmap(pool, plan->pool_len);
	/* Numbers that it wrote before it failed are nobody's. */
	for (uint32_t i = 0; ret && i < session->nqueues; i++) {
		session->queue[i].out_call = (uint32_t)-1;
		if (plan->kick_file)
			session->queue[i].kick = (uint32_t)-1;
	}
	session->base = arg.out_base;
	return ret;
}

int session_prepare(struct session *session, struct kdev *kdev, const struct session_plan *plan)
{
	int ret;

	session_init(session);
	ret = make_pool(session, plan);
	if (!ret)
		ret = make_eventfds(session, plan);
	if (!ret)
		ret = tell_kernel(session, kdev, plan);
	if (!ret)
		ret = mark_call_files(session);
	if (ret)
		session_free(session);
	return ret;
}

static int offer_ring(struct session *session, struct backend *backend, uint32_t index)
{
	const struct vlb_session_queue *queue = &session->queue[index];
	const struct backend_ring ring = {
		.index = index,
		.num = queue->out_num,
		.desc = SESSION_USER_BASE + queue->out_desc,
		.avail = SESSION_USER_BASE + queue->out_avail,
		.used = SESSION_USER_BASE + queue->out_used,
		.kick = (int)queue->kick,
		.call = (int)((int)queue->call >= 0 ? queue->call : queue->out_call),
		.err = session->err,
	};

	return backend_set_ring(backend, &ring);
}

static int offer_rings(struct session *session, struct backend *backend)
{
	int ret = 0;

	for (uint32_t i = 0; i < session->nqueues && !ret; i++)
		if (session->queue[i].out_num)
			ret = offer_ring(session, backend, i);
	for (uint32_t i = 0; i < session->nqueues && !ret; i++)
		if (session->queue[i].out_num)
			ret = backend_enable_ring(backend, i);
	return ret;
}

int session_offer(struct session *session, struct backend *backend, uint64_t features)
{
	const struct backend_memory memory = {
		.guest_addr = session->base,
		.user_addr = SESSION_USER_BASE,
		.size = session->pool_len,
		.fd = session->pool,
	};
	int ret;

	session->offered = true;
	ret = backend_set_features(backend, features);
	if (!ret)
		ret = backend_set_status(backend, STATUS_NEGOTIATED);
	if (!ret)
		ret = backend_set_memory(backend, &memory);
	if (!ret)
		ret = offer_rings(session, backend);
	if (!ret)
		ret = backend_set_status(backend, STATUS_NEGOTIATED | VIRTIO_CONFIG_S_DRIVER_OK);
	if (!ret)
		ret = backend_settle(backend);
	close_queue_fds(session);
	return ret;
}

int session_end(struct session *session, struct backend *backend)
{
	int ret = 0;

	if (!session->offered)
		return 0;
	session->offered = false;
	for (uint32_t i = 0; i < session->nqueues && !ret; i++)
		if (session->queue[i].out_num)
			ret = backend_stop_ring(backend, i);
	return ret ? ret : backend_reset(backend);
}
