/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of a queue.
 *
 *   SET_VRING_KICK    the kick descriptor is watched
 *   first kick        "started" (vhost-user.rst, "Ring states"); with SET_VRING_KICK already where the
 *                     record of requests in flight was used before
 *   started, enabled  "running": the ring is mapped, queue_start() was called, requests flow
 *   GET_VRING_BASE, disable, reset, end of the connection
 *                     queue_halt(): the device gives the queue back, drained; only then may its memory
 *                     go away
 *
 * Starting and stopping happen in the control thread. In between the ring belongs to the thread that
 * serves it; making or joining that thread, or the device's own synchronisation in
 * queue_start() and queue_stop(), hands it over.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define RELEASE_NS	10000000	/* how often a thread that is to end is freed of its front-end */

void queue_init(struct vloop_queue *queue, struct vloop_dev *dev, unsigned int index)
{
	queue->dev = dev;
	queue->index = index;
	queue->kick_fd = -1;
	queue->err_fd = -1;
	queue->stop_fd = -1;
	queue->wait_fd = -1;
	atomic_init(&queue->call_fd, -1);
	queue->kick.kind = WATCH_KICK;
	queue->kick.queue = queue;
}

/* Forget what a front-end said; the queue does not run. */
void queue_forget(struct vloop_queue *queue)
{
	int fd = atomic_exchange(&queue->call_fd, -1);

	if (fd >= 0)
		close(fd);
	queue_set_kick(queue, -1);
	if (queue->err_fd >= 0)
		close(queue->err_fd);
	queue->err_fd = -1;
	queue->num = 0;
	queue->base = 0;
	queue->have_addr = false;
	queue->enabled = false;
	atomic_store(&queue->error, 0);
	atomic_store(&queue->call_off, false);
}

void queue_release(struct vloop_queue *queue)
{
	queue_forget(queue);
	if (queue->stop_fd >= 0)
		close(queue->stop_fd);
	ring_free(queue);
}

/* Tell the control thread; the first error counts. Any thread. Return: @error. */
int queue_fail(struct vloop_queue *queue, int error)
{
	int none = 0;

	if (atomic_compare_exchange_strong(&queue->error, &none, error))
		dev_wake(queue->dev);
	return error;
}

/* The watch of the kick descriptor follows the state: see the top of this file. */
static int watch_kick(struct vloop_queue *queue)
{
	bool loop = queue->dev->dispatch == VLOOP_DISPATCH_LOOP;
	bool want = queue->kick_fd >= 0 && (!queue->started || (queue->running && loop));

	if (want == queue->kick.armed)
		return 0;
	if (want)
		return watch_add(queue->dev, &queue->kick, queue->kick_fd, EPOLLIN);
	watch_remove(queue->dev, &queue->kick);
	return 0;
}

static bool is_eventfd(int fd)
{
	char path[64], target[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	return strcmp(target, "anon_inode:[eventfd]") == 0;
}

/*
 * Whether the file can be a kick descriptor. One that the kernel cannot read without waiting is refused:
 * the front-end could read it just before vloop_queue_ack_kick() does, which would sleep where nobody
 * wakes it. Eventfds before Linux 5.8 are such files, too; start() makes those non-blocking.
 *
 * The byte is too little for eventfds and for the kick files of virtio-loopback, which keep their
 * count. Of another file it may be all that there is, and is a kick then.
 *
 * Return: 1 (yes, and it was kicked); 0 (yes); -EOPNOTSUPP.
 */
int queue_try_kick(struct vloop_queue *queue, int fd)
{
	uint8_t byte;
	struct iovec iov = { &byte, sizeof(byte) };
	ssize_t n;

	do
		n = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n > 0;
	if (errno != EOPNOTSUPP || is_eventfd(fd))
		return 0;
	dev_error(queue->dev,
		  "queue %u: the kick descriptor cannot be read without waiting: it should be an eventfd",
		  queue->index);
	return -EOPNOTSUPP;
}

/* Replace the kick descriptor; -1 takes it away. The queue does not run. */
void queue_set_kick(struct vloop_queue *queue, int fd)
{
	watch_remove(queue->dev, &queue->kick);
	if (queue->kick_fd >= 0)
		close(queue->kick_fd);
	queue->kick_fd = fd;
	queue->started = false;
}

/*
 * Whether the file can be one that is signalled: an eventfd, or the like. Those are of the kernel's own
 * making, and have no type. Pipes, sockets and terminals are refused: once the front-end had one
 * full, only the front-end could end a write to it, see release_call().
 */
bool queue_can_signal(struct vloop_queue *queue, int fd)
{
	struct stat st;

	if (!fstat(fd, &st) && !(st.st_mode & S_IFMT))
		return true;
	dev_error(queue->dev, "queue %u: what it is to signal is no event file: it should be an eventfd",
		  queue->index);
	return false;
}

/*
 * Write to an eventfd of the front-end. With @waits the file may be one whose write waits: O_NONBLOCK is
 * not ours to set, since it would hold for the front-end too, which may read the file and rely on
 * waiting. A file that is full has a signal that was not taken yet, and needs no other.
 *
 * What is left is a front-end that fills its file between the two calls, or makes it wait after it
 * was handed over. In a queue's thread it stops its own queue, and release_call() ends that. The
 * control thread, which always comes with @waits, would wait until somebody reads the file or kills
 * the process: against a front-end that meets the instant between poll(2) and write(2) there is
 * nothing, as no write to an eventfd takes RWF_NOWAIT.
 */
static void signal_file(int fd, bool waits)
{
	static const uint64_t one = 1;
	struct pollfd file = { .fd = fd, .events = POLLOUT };
	ssize_t n;

	if (waits && (poll(&file, 1, 0) <= 0 || !(file.revents & POLLOUT)))
		return;
	do
		n = write(fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
}

/*
 * Replace the call descriptor, also while the queue runs: front-ends do that when the driver masks
 * its interrupt. @fd -1: no calls. It belongs to the queue afterwards.
 */
int queue_set_call(struct vloop_queue *queue, int fd)
{
	int old = atomic_load(&queue->call_fd);
	bool waits;

	if (fd < 0) {
		atomic_store(&queue->call_off, true);
		return 0;
	}
	/* The front-end can clear O_NONBLOCK again: only a queue's thread relies on it. */
	waits = queue->dev->dispatch != VLOOP_DISPATCH_THREAD ||
		!(fcntl(fd, F_GETFL) & O_NONBLOCK);
	/* Until the file has been replaced, what suits both. */
	if (waits)
		atomic_store(&queue->call_waits, true);
	if (old < 0) {
		atomic_store(&queue->call_fd, fd);
	} else {
		int r = dup3(fd, old, O_CLOEXEC) < 0 ? -errno : 0;

		close(fd);
		if (r < 0)
			return r;
	}
	atomic_store(&queue->call_waits, waits);
	atomic_store(&queue->call_off, false);
	/* What was published meanwhile, or by a predecessor that died before its signal. */
	signal_file(atomic_load(&queue->call_fd), true);
	return 0;
}

/* A call that cannot be delivered is the front-end's affair. */
void queue_signal(struct vloop_queue *queue)
{
	int fd = atomic_load_explicit(&queue->call_fd, memory_order_relaxed);

	if (fd < 0 || atomic_load_explicit(&queue->call_off, memory_order_relaxed))
		return;
	signal_file(fd, atomic_load_explicit(&queue->call_waits, memory_order_relaxed));
}

void queue_signal_error(struct vloop_queue *queue)
{
	if (queue->err_fd >= 0)
		signal_file(queue->err_fd, true);
}

static void *thread_main(void *arg)
{
	struct vloop_queue *queue = arg;
	int r = queue->dev->ops.queue_run(queue);

	vloop_queue_flush(queue);
	if (r < 0)
		queue_fail(queue, r);
	else if (!vloop_queue_stopping(queue))
		queue_fail(queue, -ESHUTDOWN);
	return NULL;
}

/*
 * The thread waits for edges: one system call for each wake-up, and the kick's count is never read,
 * since it means nothing.
 */
static int open_wait(struct vloop_queue *queue)
{
	struct epoll_event kick = { .events = EPOLLIN | EPOLLET };
	struct epoll_event stop = { .events = EPOLLIN };

	queue->wait_fd = epoll_create1(EPOLL_CLOEXEC);
	if (queue->wait_fd < 0)
		return -errno;
	if (epoll_ctl(queue->wait_fd, EPOLL_CTL_ADD, queue->kick_fd, &kick) < 0 ||
	    epoll_ctl(queue->wait_fd, EPOLL_CTL_ADD, queue->stop_fd, &stop) < 0) {
		int r = -errno;

		close(queue->wait_fd);
		queue->wait_fd = -1;
		return r;
	}
	return 0;
}

static int start_thread(struct vloop_queue *queue)
{
	sigset_t all, before;
	char name[16];
	int r;

	queue->first_wait = true;
	if (queue->stop_fd < 0) {
		queue->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (queue->stop_fd < 0)
			return -errno;
	}
	r = open_wait(queue);
	if (r < 0)
		return r;
	/* Signals are for the program's own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&queue->thread, NULL, thread_main, queue);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r) {
		close(queue->wait_fd);
		queue->wait_fd = -1;
		return -r;
	}
	queue->have_thread = true;
	snprintf(name, sizeof(name), "queue-%u", queue->index);
	pthread_setname_np(queue->thread, name);
	return 0;
}

/*
 * The thread may wait in write(2) of the call descriptor, against a front-end that filled it after
 * all: taking what it wrote wakes the thread. Nobody else has an eventfd full.
 */
static void release_call(struct vloop_queue *queue)
{
	struct pollfd call = { .fd = atomic_load(&queue->call_fd), .events = POLLOUT };
	uint64_t count;
	struct iovec iov = { &count, sizeof(count) };

	if (call.fd >= 0 && poll(&call, 1, 0) == 0 &&
	    preadv2(call.fd, &iov, 1, -1, RWF_NOWAIT) > 0)
		dev_debug(queue->dev, "queue %u: the front-end had filled its call descriptor",
			  queue->index);
}

static void stop_thread(struct vloop_queue *queue)
{
	static const uint64_t one = 1;
	uint64_t dummy;
	int r;

	if (!queue->have_thread)
		return;
	if (write(queue->stop_fd, &one, sizeof(one)) < 0)
		dev_error(queue->dev, "queue %u: cannot signal its thread", queue->index);
	do {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += RELEASE_NS;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		r = pthread_timedjoin_np(queue->thread, NULL, &until);
		if (r == ETIMEDOUT)
			release_call(queue);
	} while (r == ETIMEDOUT);
	queue->have_thread = false;
	close(queue->wait_fd);
	queue->wait_fd = -1;
	if (read(queue->stop_fd, &dummy, sizeof(dummy)) < 0)
		dev_debug(queue->dev, "queue %u: stop was not signalled", queue->index);
}

static int start(struct vloop_queue *queue)
{
	struct vloop_dev *dev = queue->dev;
	int flags, r;

	r = ring_open(queue);
	if (r < 0) {
		inflight_close(queue);
		return r;
	}
	atomic_store(&queue->stopping, false);
	/* A read must never wait, and the front-end could read first. */
	flags = fcntl(queue->kick_fd, F_GETFL);
	if (flags < 0 || fcntl(queue->kick_fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		r = -errno;
		ring_close(queue);
		return r;
	}
	queue->running = true;
	if (dev->ops.queue_start) {
		r = dev->ops.queue_start(queue);
		if (r < 0) {
			dev_error(dev, "queue %u: the device cannot start it: %s", queue->index,
				  strerror(-r));
			queue->running = false;
			ring_close(queue);
			return r;
		}
	}
	if (dev->dispatch == VLOOP_DISPATCH_THREAD) {
		r = start_thread(queue);
		if (r < 0) {
			dev_error(dev, "queue %u: no thread: %s", queue->index, strerror(-r));
			queue_halt(queue);
			return r;
		}
	}
	/* Requests may be waiting from before; a kick for them may have gone to somebody else. */
	queue->check = dev->dispatch == VLOOP_DISPATCH_LOOP;
	dev_debug(dev, "queue %u: runs, %s ring of %u entries", queue->index,
		  queue->is_packed ? "packed" : "split", queue->size);
	return 0;
}

/* Stop the queue if it runs. Afterwards nobody uses its ring or its memory, or dev->stuck is set. */
void queue_halt(struct vloop_queue *queue)
{
	struct vloop_dev *dev = queue->dev;

	if (!queue->running)
		return;
	atomic_store(&queue->stopping, true);
	stop_thread(queue);
	if (dev->ops.queue_stop)
		dev->ops.queue_stop(queue);
	vloop_queue_flush(queue);
	if (queue->in_flight) {
		dev_error(dev, "queue %u: the device did not complete %u requests when it stopped",
			  queue->index, queue->in_flight);
		dev->stuck = true;
		return;
	}
	queue->running = false;
	queue->check = false;
	ring_close(queue);
	/* Without this the loop would be told of kicks that nobody takes. */
	watch_kick(queue);
	dev_debug(dev, "queue %u: stopped", queue->index);
}

/* Start or stop the queue, as its state wants. */
int queue_update(struct vloop_queue *queue)
{
	bool want = queue->kick_fd >= 0 && queue->started && queue->enabled;
	int r;

	if (!want)
		queue_halt(queue);
	else if (!queue->running) {
		if (!queue->have_addr || queue->num == 0) {
			dev_error(queue->dev, "queue %u: kicked before it has a ring",
				  queue->index);
			return -EPROTO;
		}
		r = start(queue);
		if (r < 0)
			return r;
	}
	return watch_kick(queue);
}

/* The loop found the kick descriptor readable. */
void queue_kicked(struct vloop_queue *queue)
{
	int r = 0;

	if (!queue->started) {
		/* The kick stays where it is, for whoever serves the queue. */
		queue->started = true;
		r = queue_update(queue);
	} else {
		vloop_queue_ack_kick(queue);
		queue->check = false;
		if (queue->running)
			r = queue->dev->ops.queue_kick(queue);
	}
	if (r < 0)
		queue_fail(queue, r);
}

int vloop_queue_wait(struct vloop_queue *queue)
{
	struct epoll_event event;

	if (queue->first_wait) {
		queue->first_wait = false;
		return !vloop_queue_stopping(queue);
	}
	while (!vloop_queue_stopping(queue)) {
		int n = epoll_wait(queue->wait_fd, &event, 1, -1);

		if (n > 0)
			return !vloop_queue_stopping(queue);
		if (n < 0 && errno != EINTR)
			return -errno;
	}
	return 0;
}

void vloop_queue_ack_kick(struct vloop_queue *queue)
{
	uint64_t count;
	struct iovec iov = { &count, sizeof(count) };
	ssize_t n;

	/*
	 * Nothing there: somebody was faster, and looking at the ring is right in any case. The
	 * front-end may be that somebody, and may have made the file a blocking one: a plain read
	 * could sleep where nobody wakes it.
	 */
	do
		n = preadv2(queue->kick_fd, &iov, 1, -1, RWF_NOWAIT);
	while (n < 0 && errno == EINTR);
	/* An eventfd before Linux 5.8: queue_try_kick(). */
	if (n < 0 && errno == EOPNOTSUPP)
		while (read(queue->kick_fd, &count, sizeof(count)) < 0 && errno == EINTR)
			;
}

int vloop_queue_kick_fd(const struct vloop_queue *queue)
{
	return queue->kick_fd;
}

int vloop_queue_stop_fd(const struct vloop_queue *queue)
{
	return queue->stop_fd;
}

bool vloop_queue_stopping(const struct vloop_queue *queue)
{
	return atomic_load_explicit(&queue->stopping, memory_order_acquire);
}

unsigned int vloop_queue_index(const struct vloop_queue *queue)
{
	return queue->index;
}

unsigned int vloop_queue_size(const struct vloop_queue *queue)
{
	return queue->size;
}

struct vloop_dev *vloop_queue_dev(const struct vloop_queue *queue)
{
	return queue->dev;
}

void vloop_queue_set_user(struct vloop_queue *queue, void *user)
{
	queue->user = user;
}

void *vloop_queue_user(const struct vloop_queue *queue)
{
	return queue->user;
}
