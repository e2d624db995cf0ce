/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vloop-rng: an entropy device (virtio 1.3, 5.4).
 *
 * The driver hands over empty buffers; the device fills them, with one byte at least, and gives them
 * back. Bytes are fetched from the source before a request is taken, so that no request is held
 * while the source or the rate limit makes it wait, and the queue can be stopped at any time.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <vloop/vloop.h>

#define PERIOD_MS_DEFAULT	1000
#define RETRY_MS		20	/* how often a source that cannot be polled is read */

struct rng {
	struct vloop_dev *dev;
	struct vloop_queue *queue;	/* while it runs */
	const char *source;		/* NULL: getrandom(2) */
	int source_fd;
	bool source_is_fifo;
	bool source_watched;
	int retry_fd;			/* timer; -1: the source can be polled, so far */
	uint64_t max_bytes;		/* in one period; 0: no limit */
	uint64_t period_ms;
	int timer_fd;
	uint64_t budget;		/* what is left of max_bytes */
	uint8_t bytes[4096];
	size_t num_bytes;		/* fetched and not given away */
	int error;			/* of the source: the program ends */
};

enum { OPT_SOURCE = 256, OPT_MAX_BYTES, OPT_PERIOD };

static const struct option options[] = {
	{ "source", required_argument, NULL, OPT_SOURCE },
	{ "max-bytes", required_argument, NULL, OPT_MAX_BYTES },
	{ "period", required_argument, NULL, OPT_PERIOD },
	{ NULL, 0, NULL, 0 },
};

static int option(void *user, int val, const char *arg);

static const struct vloop_program program = {
	.size = sizeof(program),
	.name = "vloop-rng",
	.summary = "An entropy device.",
	.type = "rng",
	.options = options,
	.help = "      --source=FILE         read entropy from FILE; default: getrandom(2)\n"
		"      --max-bytes=SIZE      give no more than SIZE bytes in one period\n"
		"      --period=MS           length of a period in milliseconds; default: 1000\n",
	.option = option,
};

static int option(void *user, int val, const char *arg)
{
	struct rng *rng = user;
	char *end;
	int r;

	switch (val) {
	case OPT_SOURCE:
		rng->source = arg;
		return 0;
	case OPT_MAX_BYTES:
		r = vloop_parse_size(arg, &rng->max_bytes);
		if (r < 0 || rng->max_bytes == 0) {
			vloop_program_error(&program, "--max-bytes: not a size: %s", arg);
			return -EINVAL;
		}
		return 0;
	default:
		errno = 0;
		rng->period_ms = strtoul(arg, &end, 10);
		if (errno || *end || arg[0] < '0' || arg[0] > '9' || rng->period_ms == 0 ||
		    rng->period_ms > 3600000) {
			vloop_program_error(&program, "--period: not 1 to 3600000 milliseconds: %s",
					    arg);
			return -EINVAL;
		}
		return 0;
	}
}

static int serve(struct rng *rng);

static int source_ready(struct vloop_dev *dev, int fd, uint32_t events, void *user)
{
	struct rng *rng = user;

	(void)events;
	vloop_dev_unwatch(dev, fd);
	rng->source_watched = false;
	if (serve(rng) < 0)
		vloop_dev_disconnect(dev);
	return 0;
}

static int retry(struct vloop_dev *dev, int fd, uint32_t events, void *user)
{
	uint64_t times;

	(void)events;
	if (read(fd, &times, sizeof(times)) == sizeof(times) && serve(user) < 0)
		vloop_dev_disconnect(dev);
	return 0;
}

/*
 * /dev/hwrng says EAGAIN while the hardware has nothing, and has no poll(2). To read it without
 * O_NONBLOCK would keep the whole program waiting.
 */
static int retry_later(struct rng *rng)
{
	static const struct itimerspec when = { .it_value.tv_nsec = RETRY_MS * 1000000 };

	if (rng->retry_fd < 0) {
		int r;

		rng->retry_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
		if (rng->retry_fd < 0)
			return -errno;
		r = vloop_dev_watch(rng->dev, rng->retry_fd, EPOLLIN, retry, rng);
		if (r < 0)
			return r;
	}
	return timerfd_settime(rng->retry_fd, 0, &when, NULL) < 0 ? -errno : 0;
}

/* A FIFO that nobody writes to has ended only if somebody did. */
static bool at_end(const struct rng *rng)
{
	struct pollfd pollfd = { .fd = rng->source_fd, .events = POLLIN };

	return !rng->source_is_fifo || poll(&pollfd, 1, 0) < 0 || pollfd.revents == POLLHUP;
}

/* Return: 1 (there are bytes); 0 (not yet, serve() will be called again); negative errno. */
static int fetch(struct rng *rng)
{
	ssize_t n;
	int r;

	if (rng->num_bytes)
		return 1;
	if (rng->source_fd < 0)
		n = getrandom(rng->bytes, sizeof(rng->bytes), 0);
	else
		n = read(rng->source_fd, rng->bytes, sizeof(rng->bytes));
	if (n > 0) {
		rng->num_bytes = (size_t)n;
		return 1;
	}
	/* Bytes that were given once are no entropy the second time: a file is not rewound. */
	if (n == 0 && at_end(rng))
		return -ENODATA;
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	if (rng->source_watched)
		return 0;
	r = vloop_dev_watch(rng->dev, rng->source_fd, EPOLLIN, source_ready, rng);
	rng->source_watched = r == 0;
	return r == -EPERM ? retry_later(rng) : r;
}

/* Bytes are given away once, from the end of the buffer, and wiped. */
static void give(struct rng *rng, struct vloop_req *req)
{
	size_t n = rng->num_bytes;

	if (rng->max_bytes && n > rng->budget)
		n = (size_t)rng->budget;
	if (n > req->writable_len)
		n = (size_t)req->writable_len;
	n = vloop_req_write(req, 0, rng->bytes + rng->num_bytes - n, n);
	rng->num_bytes -= n;
	explicit_bzero(rng->bytes + rng->num_bytes, n);
	if (rng->max_bytes)
		rng->budget -= n;
	vloop_queue_complete(rng->queue, req, (uint32_t)n);
}

/* Serve what can be served now. Return: as queue_kick(). */
static int serve(struct rng *rng)
{
	struct vloop_req *req;
	int n = 0;

	while (rng->queue && (!rng->max_bytes || rng->budget)) {
		n = fetch(rng);
		if (n < 0) {
			vloop_program_error(&program, "%s: cannot read from it: %s",
					    rng->source ? rng->source : "getrandom",
					    n == -ENODATA ? "no more bytes" : strerror(-n));
			rng->error = n;
			vloop_stop(rng->dev);
			break;
		}
		if (n == 0)
			break;
		n = vloop_queue_pop(rng->queue, &req, 1);
		if (n <= 0)
			break;
		give(rng, req);
	}
	if (rng->queue)
		vloop_queue_flush(rng->queue);
	return n < 0 ? n : 0;
}

static int timer_ready(struct vloop_dev *dev, int fd, uint32_t events, void *user)
{
	struct rng *rng = user;
	uint64_t periods;

	(void)events;
	if (read(fd, &periods, sizeof(periods)) != sizeof(periods))
		return 0;
	rng->budget = rng->max_bytes;
	if (serve(rng) < 0)
		vloop_dev_disconnect(dev);
	return 0;
}

static int queue_start(struct vloop_queue *queue)
{
	struct rng *rng = vloop_dev_user(vloop_queue_dev(queue));

	rng->queue = queue;
	return 0;
}

static void queue_stop(struct vloop_queue *queue)
{
	struct rng *rng = vloop_dev_user(vloop_queue_dev(queue));

	rng->queue = NULL;
}

static int queue_kick(struct vloop_queue *queue)
{
	return serve(vloop_dev_user(vloop_queue_dev(queue)));
}

static const struct vloop_dev_desc desc = {
	.size = sizeof(desc),
	.device_id = 4,
	.name = "rng",
	.num_queues = 1,
	.dispatch = VLOOP_DISPATCH_LOOP,
};

static const struct vloop_dev_ops ops = {
	.size = sizeof(ops),
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.queue_kick = queue_kick,
};

static int open_source(struct rng *rng)
{
	struct stat st;
	int r;

	if (!rng->source)
		return 0;
	rng->source_fd = open(rng->source, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	r = rng->source_fd < 0 || fstat(rng->source_fd, &st) ? -errno : 0;
	/* It can be opened, and not read. */
	if (r == 0 && S_ISDIR(st.st_mode))
		r = -EISDIR;
	if (r < 0)
		vloop_program_error(&program, "%s: cannot open the source: %s", rng->source,
				    strerror(-r));
	else
		rng->source_is_fifo = S_ISFIFO(st.st_mode);
	return r;
}

static int start_timer(struct rng *rng)
{
	struct timespec period = {
		.tv_sec = (time_t)(rng->period_ms / 1000),
		.tv_nsec = (long)(rng->period_ms % 1000) * 1000000,
	};
	struct itimerspec when = { .it_interval = period, .it_value = period };

	if (!rng->max_bytes)
		return 0;
	rng->budget = rng->max_bytes;
	rng->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (rng->timer_fd < 0 || timerfd_settime(rng->timer_fd, 0, &when, NULL) < 0)
		return -errno;
	return vloop_dev_watch(rng->dev, rng->timer_fd, EPOLLIN, timer_ready, rng);
}

int main(int argc, char **argv)
{
	struct rng rng = {
		.source_fd = -1,
		.retry_fd = -1,
		.timer_fd = -1,
		.period_ms = PERIOD_MS_DEFAULT,
	};
	struct vloop_args args = { .size = sizeof(args) };
	int r;

	r = vloop_program_parse(&program, argc, argv, &args, &rng);
	if (r)
		return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	if (open_source(&rng) < 0)
		return EXIT_FAILURE;
	r = vloop_dev_new(&rng.dev, &desc, &ops, &rng);
	if (r == 0)
		r = start_timer(&rng);
	if (r < 0)
		vloop_program_error(&program, "cannot make the device: %s", strerror(-r));
	else
		r = vloop_program_run(&program, &args, rng.dev);
	vloop_dev_unref(rng.dev);
	if (rng.source_fd >= 0)
		close(rng.source_fd);
	if (rng.retry_fd >= 0)
		close(rng.retry_fd);
	if (rng.timer_fd >= 0)
		close(rng.timer_fd);
	explicit_bzero(rng.bytes, sizeof(rng.bytes));
	return r < 0 || rng.error ? EXIT_FAILURE : EXIT_SUCCESS;
}
