/* SPDX-License-Identifier: BSD-3-Clause */
/* The file or block device behind the disk. */
#ifndef BLK_SOURCE_H
#define BLK_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

struct blk_source {
	int fd;			/* -1: the null source */
	bool is_device;		/* a block device, not a regular file */
	bool direct;		/* opened with O_DIRECT */
	bool can_discard;
	uint32_t block_size;	/* smallest unit that can be transferred: 512, or more if direct */
	uint32_t mem_align;	/* of buffers: 1, or more if direct */
	uint32_t io_size;	/* a good unit for discards */
};

/* What went wrong is said in words, as "PATH: message" needs it. */
#define BLK_SOURCE_TEXT	160

/*
 * Open @path.
 * @direct: try O_DIRECT; when the file cannot do that, or only with blocks larger than @block_size
 *	(0: any), the file is opened without it and @text says so
 * @text: empty, or a warning, or the error
 *
 * Return: 0; negative errno.
 */
int blk_source_open(struct blk_source *source, const char *path, bool read_only, bool direct,
		    uint32_t block_size, char text[BLK_SOURCE_TEXT]);

void blk_source_close(struct blk_source *source);

/*
 * The size in bytes, now.
 *
 * Return: 0; negative errno.
 */
int blk_source_size(const struct blk_source *source, uint64_t *ret_size);

#endif
