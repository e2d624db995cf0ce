/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vloop-blk: a disk.
 *
 *   main.c      puts it together
 *   options.c   command line
 *   disk.c      what the driver is told: features, configuration space, size, cache mode
 *   request.c   what the driver wants: requests, checked
 *   source.c    the file or block device
 *   uring.c     a queue's thread with a file: requests, kicks and completions in one io_uring
 *   op.c        one request in that io_uring, step by step
 *   null.c      a queue's thread without a file, for measuring
 *
 * The control thread owns struct blk. Queue threads read it, and it changes under them only
 * where it is atomic.
 */
#ifndef BLK_BLK_H
#define BLK_BLK_H

#include <linux/virtio_blk.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <vloop/vloop.h>

#include "request.h"
#include "source.h"

struct blk_options {
	const char *file;	/* NULL: the null source */
	bool null;
	uint64_t size;		/* of the null source, in bytes */
	bool read_only;
	bool direct;
	uint32_t num_queues;
	uint32_t queue_depth;
	uint32_t seg_max;
	uint32_t block_size;	/* 0: what fits */
	char serial[BLK_ID_LEN];	/* not terminated when it is that long */
};

struct blk {
	struct blk_options options;
	struct blk_source source;
	struct vloop_dev *dev;
	struct virtio_blk_config config;
	uint64_t features;		/* offered */
	uint64_t driver_features;	/* accepted; fixed while queues run */
	int resize_fd;			/* SIGHUP */
	int timer_fd;			/* ticks while there is a front-end */
	_Atomic uint64_t capacity;	/* in sectors */
	atomic_bool write_through;	/* writes have to be on the medium when they complete */
};

extern const struct vloop_program blk_program;

/* options.c */
void blk_options_init(struct blk_options *options);

/* What the options are together. Return: 0; -EINVAL, said on stderr. */
int blk_options_check(struct blk_options *options);

/* disk.c */

/*
 * Make the device for @blk, of which options and source are set.
 *
 * Return: 0; negative errno, said on stderr.
 */
int blk_disk_open(struct blk *blk);
void blk_disk_close(struct blk *blk);

/* What requests have to obey now. */
void blk_disk_limits(const struct blk *blk, struct blk_limits *ret_limits);

/* uring.c: whether this kernel and this process have what it takes. Return: 0; negative errno. */
int blk_uring_probe(void);
int blk_uring_run(struct vloop_queue *queue);

/* null.c */
int blk_null_run(struct vloop_queue *queue);

#endif
