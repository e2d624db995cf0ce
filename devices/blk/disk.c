/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "blk.h"

#define FEATURE(bit)		(1ULL << (bit))
#define CONFIG_LEN		offsetof(struct virtio_blk_config, max_secure_erase_sectors)
#define SIZE_CHECK_SECONDS	2

/* Requests may be cut in more pieces than the driver made where its memory is not in one piece. */
#define EXTRA_SEGMENTS		8

/*
 * Largest discard or write-zeroes range, in sectors: 1 GiB for a file, where it is a matter of the
 * file system's records. Block devices may really take their time.
 */
#define FILE_RANGE_MAX		(1U << 21)
#define DEVICE_RANGE_MAX	(1U << 17)

static uint32_t range_max(const struct blk *blk)
{
	return blk->source.is_device ? DEVICE_RANGE_MAX : FILE_RANGE_MAX;
}

static bool has_discard(const struct blk *blk)
{
	return !blk->options.read_only && (blk->options.null || blk->source.can_discard);
}

void blk_disk_limits(const struct blk *blk, struct blk_limits *ret_limits)
{
	uint64_t features = blk->driver_features;

	*ret_limits = (struct blk_limits){
		.capacity = atomic_load_explicit(&blk->capacity, memory_order_relaxed),
		.align = blk->source.block_size / BLK_SECTOR,
		.read_only = blk->options.read_only,
	};
	if (features & FEATURE(VIRTIO_BLK_F_DISCARD))
		ret_limits->max_discard = range_max(blk);
	if (features & FEATURE(VIRTIO_BLK_F_WRITE_ZEROES))
		ret_limits->max_write_zeroes = range_max(blk);
}

static uint64_t offered_features(const struct blk *blk)
{
	uint64_t features = FEATURE(VIRTIO_BLK_F_SEG_MAX) | FEATURE(VIRTIO_BLK_F_BLK_SIZE) |
			    FEATURE(VIRTIO_BLK_F_TOPOLOGY) | FEATURE(VIRTIO_BLK_F_FLUSH);

	if (blk->options.num_queues > 1)
		features |= FEATURE(VIRTIO_BLK_F_MQ);
	if (blk->options.read_only)
		return features | FEATURE(VIRTIO_BLK_F_RO);
	features |= FEATURE(VIRTIO_BLK_F_CONFIG_WCE) | FEATURE(VIRTIO_BLK_F_WRITE_ZEROES);
	if (has_discard(blk))
		features |= FEATURE(VIRTIO_BLK_F_DISCARD);
	return features;
}

/* virtio 1.3, 5.2.4; everything is little-endian. */
static void fill_config(struct blk *blk)
{
	struct virtio_blk_config *config = &blk->config;
	uint32_t block_size = blk->options.block_size, io_size = blk->source.io_size;

	config->capacity = htole64(atomic_load(&blk->capacity));
	config->seg_max = htole32(blk->options.seg_max);
	config->blk_size = htole32(block_size);
	if (io_size < block_size)
		io_size = block_size;
	/* In blocks: log2 of a physical block; the smallest good transfer. */
	config->physical_block_exp = (uint8_t)__builtin_ctz(io_size / block_size);
	config->min_io_size = htole16((uint16_t)(io_size / block_size));
	config->wce = 1;
	config->num_queues = htole16((uint16_t)blk->options.num_queues);
	if (has_discard(blk)) {
		config->max_discard_sectors = htole32(range_max(blk));
		config->max_discard_seg = htole32(BLK_RANGES_MAX);
		config->discard_sector_alignment = htole32(io_size / BLK_SECTOR);
	}
	if (!blk->options.read_only) {
		config->max_write_zeroes_sectors = htole32(range_max(blk));
		config->max_write_zeroes_seg = htole32(BLK_RANGES_MAX);
		config->write_zeroes_may_unmap = 1;
	}
}

/* Whole blocks only: a file's odd end cannot be reached. */
static int read_capacity(const struct blk *blk, uint64_t *ret_sectors)
{
	uint64_t size = blk->options.size;

	if (!blk->options.null) {
		int r = blk_source_size(&blk->source, &size);

		if (r < 0)
			return r;
	}
	*ret_sectors = size / blk->options.block_size * (blk->options.block_size / BLK_SECTOR);
	return 0;
}

/* The file may have another size: tell the driver. The error of a moment is not the disk's end. */
static void check_size(struct blk *blk)
{
	uint64_t capacity;
	int r = read_capacity(blk, &capacity);

	if (r < 0) {
		vloop_program_error(&blk_program, "%s: cannot read its size: %s",
				    blk->options.file, strerror(-r));
		return;
	}
	if (capacity == atomic_load(&blk->capacity))
		return;
	atomic_store(&blk->capacity, capacity);
	blk->config.capacity = htole64(capacity);
	vloop_dev_set_config(blk->dev, offsetof(struct virtio_blk_config, capacity),
			     &blk->config.capacity, sizeof(blk->config.capacity));
	r = vloop_dev_config_changed(blk->dev);
	if (r < 0)
		vloop_program_error(&blk_program,
				    "%s: now %llu sectors, but the front-end cannot be told: %s",
				    blk->options.file, (unsigned long long)capacity, strerror(-r));
}

static int on_resize(struct vloop_dev *dev, int fd, uint32_t events, void *user)
{
	union {
		struct signalfd_siginfo signal;
		uint64_t ticks;
	} dummy;

	(void)dev;
	(void)events;
	if (read(fd, &dummy, sizeof(dummy)) > 0)
		check_size(user);
	return 0;
}

/* Nobody has to be told while nobody is there, so the process sleeps then. */
static void set_timer(const struct blk *blk, time_t seconds)
{
	struct itimerspec spec = { .it_value.tv_sec = seconds, .it_interval.tv_sec = seconds };

	if (!blk->options.null)
		timerfd_settime(blk->timer_fd, 0, &spec, NULL);
}

/*
 * A driver that cannot flush relies on every write being stable when it completes (virtio 1.3,
 * 5.2.6.2), whatever the field says. Until something was negotiated, that is every driver: one that
 * accepts no features at all says nothing new later.
 */
static void set_cache_mode(struct blk *blk, uint8_t wce)
{
	bool can_flush = blk->driver_features & FEATURE(VIRTIO_BLK_F_FLUSH);

	atomic_store(&blk->write_through, !can_flush || !wce);
	blk->config.wce = wce;
	vloop_dev_set_config(blk->dev, offsetof(struct virtio_blk_config, wce), &wce, sizeof(wce));
}

/*
 * What the next driver finds. Front-ends answer it from a copy of their own, which still has what
 * the driver before wrote: the cache is never turned on here, or a driver that reads "write
 * through" would not flush (virtio 1.3, 5.2.5: after a reset it can be either). Without FLUSH it is
 * off (5.2.5.2).
 */
static void init_cache_mode(struct blk *blk)
{
	uint64_t both = FEATURE(VIRTIO_BLK_F_FLUSH) | FEATURE(VIRTIO_BLK_F_CONFIG_WCE);
	bool wce_only = (blk->driver_features & both) == FEATURE(VIRTIO_BLK_F_CONFIG_WCE);

	set_cache_mode(blk, wce_only ? 0 : blk->config.wce);
}

static int on_connected(struct vloop_dev *dev)
{
	struct blk *blk = vloop_dev_user(dev);

	/* The front-end before may have ended without a reset. */
	blk->driver_features = 0;
	set_cache_mode(blk, 1);
	check_size(blk);
	set_timer(blk, SIZE_CHECK_SECONDS);
	return 0;
}

static void on_disconnected(struct vloop_dev *dev)
{
	set_timer(vloop_dev_user(dev), 0);
}

static int on_negotiated(struct vloop_dev *dev, uint64_t features)
{
	struct blk *blk = vloop_dev_user(dev);

	/* Said again while queues run, it is not a new beginning. */
	if (features == blk->driver_features)
		return 0;
	blk->driver_features = features;
	init_cache_mode(blk);
	return 0;
}

static void on_reset(struct vloop_dev *dev)
{
	init_cache_mode(vloop_dev_user(dev));
}

/* Only the cache mode can be written (virtio 1.3, 5.2.5). */
static int on_config_write(struct vloop_dev *dev, uint32_t offset, const void *data, uint32_t len)
{
	struct blk *blk = vloop_dev_user(dev);
	uint8_t wce;

	if (offset != offsetof(struct virtio_blk_config, wce) || len != sizeof(wce) ||
	    !(blk->driver_features & FEATURE(VIRTIO_BLK_F_CONFIG_WCE)))
		return -EPERM;
	memcpy(&wce, data, sizeof(wce));
	if (wce > 1)
		return -EINVAL;
	/*
	 * Writes that completed before stay in the cache, as they may: the driver flushes them.
	 */
	set_cache_mode(blk, wce);
	return 0;
}

/* For SIGHUP and for the clock, the same is done. */
static int watch_size(struct blk *blk)
{
	sigset_t hup;
	int r;

	/* Also for the null source, which a stray SIGHUP shall not end. */
	sigemptyset(&hup);
	sigaddset(&hup, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &hup, NULL) < 0)
		return -errno;
	if (blk->options.null)
		return 0;
	blk->resize_fd = signalfd(-1, &hup, SFD_CLOEXEC | SFD_NONBLOCK);
	blk->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (blk->resize_fd < 0 || blk->timer_fd < 0)
		return -errno;
	r = vloop_dev_watch(blk->dev, blk->resize_fd, EPOLLIN, on_resize, blk);
	return r < 0 ? r : vloop_dev_watch(blk->dev, blk->timer_fd, EPOLLIN, on_resize, blk);
}

static int make_device(struct blk *blk)
{
	const struct vloop_dev_desc desc = {
		.size = sizeof(desc),
		.device_id = 2,
		.name = "blk",
		.features = blk->features,
		.num_queues = blk->options.num_queues,
		.queue_size_max = blk->options.queue_depth,
		/* The header and the status are pieces of their own. */
		.segments_max = blk->options.seg_max + 2 + EXTRA_SEGMENTS,
		.dispatch = VLOOP_DISPATCH_THREAD,
		.config = &blk->config,
		.config_len = CONFIG_LEN,
	};
	const struct vloop_dev_ops ops = {
		.size = sizeof(ops),
		.connected = on_connected,
		.disconnected = on_disconnected,
		.negotiated = on_negotiated,
		.config_write = blk->options.read_only ? NULL : on_config_write,
		.reset = on_reset,
		.queue_run = blk->options.null ? blk_null_run : blk_uring_run,
	};

	return vloop_dev_new(&blk->dev, &desc, &ops, blk);
}

int blk_disk_open(struct blk *blk)
{
	uint64_t capacity;
	int r;

	r = read_capacity(blk, &capacity);
	if (r < 0) {
		vloop_program_error(&blk_program, "%s: cannot read its size: %s",
				    blk->options.file, strerror(-r));
		return r;
	}
	if (capacity == 0)
		vloop_program_error(&blk_program,
				    "%s: shorter than a block of %u bytes; the disk is empty until it grows",
				    blk->options.file, blk->options.block_size);
	atomic_store(&blk->capacity, capacity);
	blk->features = offered_features(blk);
	fill_config(blk);
	r = make_device(blk);
	if (r == 0)
		r = watch_size(blk);
	if (r < 0) {
		vloop_program_error(&blk_program, "cannot make the device: %s", strerror(-r));
		blk_disk_close(blk);
	}
	return r;
}

void blk_disk_close(struct blk *blk)
{
	blk->dev = vloop_dev_unref(blk->dev);
	if (blk->resize_fd >= 0)
		close(blk->resize_fd);
	if (blk->timer_fd >= 0)
		close(blk->timer_fd);
	blk->resize_fd = -1;
	blk->timer_fd = -1;
}
