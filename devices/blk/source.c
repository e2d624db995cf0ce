/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "request.h"
#include "source.h"

#define ALIGN_MAX	4096U

int blk_source_size(const struct blk_source *source, uint64_t *ret_size)
{
	/* Works for block devices too, where st_size is 0; nobody uses the file position. */
	off_t end = lseek(source->fd, 0, SEEK_END);

	if (end < 0)
		return -errno;
	*ret_size = (uint64_t)end;
	return 0;
}

/* A number that the kernel tells about the queue of a block device; 0: it does not. */
static unsigned long long queue_limit(dev_t dev, const char *name)
{
	/* A partition has no queue of its own. */
	static const char *const parents[] = { "", "/.." };
	unsigned long long value = 0;

	for (size_t i = 0; i < sizeof(parents) / sizeof(parents[0]); i++) {
		char path[96];
		FILE *file;

		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u%s/queue/%s", major(dev),
			 minor(dev), parents[i], name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fscanf(file, "%llu", &value) != 1)
			value = 0;
		fclose(file);
		break;
	}
	return value;
}

/* From a sector on; never less, as the driver's requests are made of sectors. */
static bool usable_align(uint32_t *align)
{
	if (*align < BLK_SECTOR)
		*align = BLK_SECTOR;
	return *align <= ALIGN_MAX && !(*align & (*align - 1));
}

/*
 * Ask the kernel what O_DIRECT needs.
 *
 * Return: 0; -EINVAL (direct I/O is not possible); -EOPNOTSUPP (it does not tell: before Linux 6.1,
 * and not for every file system).
 */
static int ask_align(struct blk_source *source)
{
	struct statx st;

	if (statx(source->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) < 0 ||
	    !(st.stx_mask & STATX_DIOALIGN))
		return -EOPNOTSUPP;
	if (st.stx_dio_offset_align == 0 || !usable_align(&st.stx_dio_offset_align) ||
	    !usable_align(&st.stx_dio_mem_align))
		return -EINVAL;
	source->block_size = st.stx_dio_offset_align;
	source->mem_align = st.stx_dio_mem_align;
	return 0;
}

/* Whether the kernel takes a read of this alignment, at @at or soon behind it. */
static bool can_read(int fd, void *buf, size_t len, uint64_t at)
{
	ssize_t n;

	at = (at + len - 1) / len * len;
	do
		n = pread(fd, buf, len, (off_t)at);
	while (n < 0 && errno == EINTR);
	return n >= 0;
}

/*
 * Find out by trying. Reads of a hole say nothing: they need no device, and file systems do not check
 * them. Without any data what counts is the device that the file system is on, if it is on one; those
 * that are not check all reads alike.
 */
static int probe_align(struct blk_source *source)
{
	off_t data = lseek(source->fd, 0, SEEK_DATA);
	bool hole = data < 0 && errno == ENXIO;
	unsigned long long len = BLK_SECTOR, mem, least = 0;
	uint64_t at = data < 0 ? 0 : (uint64_t)data;
	struct stat st;
	uint8_t *buf;
	int r = -EINVAL;

	if (hole && fstat(source->fd, &st) == 0)
		least = queue_limit(st.st_dev, "logical_block_size");
	buf = aligned_alloc(ALIGN_MAX, 2 * ALIGN_MAX);
	if (!buf)
		return -ENOMEM;
	while (len <= ALIGN_MAX && (len < least || !can_read(source->fd, buf, len, at)))
		len *= 2;
	if (len <= ALIGN_MAX) {
		mem = hole ? len : BLK_SECTOR;
		while (mem < len && !can_read(source->fd, buf + mem, len, at))
			mem *= 2;
		source->block_size = (uint32_t)len;
		source->mem_align = (uint32_t)mem;
		r = 0;
	}
	free(buf);
	return r;
}

static int open_direct(struct blk_source *source, const char *path, int flags, uint32_t block_size,
		       char *text)
{
	int r;

	source->fd = open(path, flags | O_DIRECT);
	if (source->fd < 0) {
		if (errno != EINVAL)
			return -errno;
		snprintf(text, BLK_SOURCE_TEXT,
			 "this file system has no direct I/O: --direct is ignored");
		return 0;
	}
	r = ask_align(source);
	if (r == -EOPNOTSUPP)
		r = probe_align(source);
	if (r == 0 && (block_size == 0 || source->block_size <= block_size)) {
		source->direct = true;
		return 0;
	}
	if (r < 0)
		snprintf(text, BLK_SOURCE_TEXT, "direct I/O fails: --direct is ignored");
	else
		snprintf(text, BLK_SOURCE_TEXT,
			 "direct I/O needs blocks of %u bytes: --direct is ignored; try --block-size=%u",
			 source->block_size, source->block_size);
	blk_source_close(source);
	return 0;
}

/* Punching behind the end changes nothing and shows whether the file system can do it. */
static bool file_discards(int fd, off_t size)
{
	off_t behind = (size + ALIGN_MAX - 1) / ALIGN_MAX * ALIGN_MAX;

	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, behind, ALIGN_MAX) == 0;
}

static void say_why(char *text, int error, bool read_only)
{
	bool protected = !read_only && (error == EACCES || error == EROFS || error == EPERM);

	snprintf(text, BLK_SOURCE_TEXT, "cannot open it to %s: %s%s",
		 read_only ? "read" : "read and write", strerror(error),
		 protected ? "; --read-only needs less" : "");
}

static int look_at(struct blk_source *source, bool read_only, char *text)
{
	struct stat st;

	if (fstat(source->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		snprintf(text, BLK_SOURCE_TEXT, "neither a regular file nor a block device");
		return -EINVAL;
	}
	source->is_device = S_ISBLK(st.st_mode);
	source->io_size = st.st_blksize > 0 && st.st_blksize <= (1 << 16) &&
					  !(st.st_blksize & (st.st_blksize - 1)) ?
				  (uint32_t)st.st_blksize :
				  ALIGN_MAX;
	if (!read_only)
		source->can_discard = source->is_device ?
					      queue_limit(st.st_rdev, "discard_max_bytes") > 0 :
					      file_discards(source->fd, st.st_size);
	return 0;
}

int blk_source_open(struct blk_source *source, const char *path, bool read_only, bool direct,
		    uint32_t block_size, char text[BLK_SOURCE_TEXT])
{
	/* O_NONBLOCK: a FIFO must be refused, not waited for. Disks do not care. */
	int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK, r = 0;

	*source = (struct blk_source){ .fd = -1, .block_size = BLK_SECTOR, .mem_align = 1 };
	text[0] = '\0';
	if (direct)
		r = open_direct(source, path, flags, block_size, text);
	if (r == 0 && source->fd < 0) {
		source->block_size = BLK_SECTOR;
		source->mem_align = 1;
		source->fd = open(path, flags);
		r = source->fd < 0 ? -errno : 0;
	}
	if (r == 0)
		r = look_at(source, read_only, text);
	/* io_uring would not wait for a file with this flag, but report EAGAIN. */
	if (r == 0 && fcntl(source->fd, F_SETFL, source->direct ? O_DIRECT : 0) < 0)
		r = -errno;
	if (r < 0) {
		blk_source_close(source);
		if (!text[0])
			say_why(text, -r, read_only);
	}
	return r;
}

void blk_source_close(struct blk_source *source)
{
	if (source->fd >= 0)
		close(source->fd);
	source->fd = -1;
}
