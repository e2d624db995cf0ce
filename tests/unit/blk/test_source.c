/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What direct I/O needs, found out on a real file. Only the answers are the test's: those of
 * a file system whose device has sectors of any size, and which does not check reads of holes.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "request.h"
#include "source.h"

#define FILE_SIZE	(4 << 20)
#define UNTOLD		UINT32_MAX

static struct {
	uint32_t told, told_mem;	/* STATX_DIOALIGN */
	uint32_t align, mem_align;	/* of reads of data */
	const char *device;		/* logical block size in sysfs; NULL: not on a device */
} kernel;

static char path[64];
static int file;

int __wrap_statx(int fd, const char *name, int flags, unsigned int mask, struct statx *st);
ssize_t __wrap_pread(int fd, void *buf, size_t len, off_t at);
ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t at);
FILE *__wrap_fopen(const char *name, const char *mode);
FILE *__wrap_fopen64(const char *name, const char *mode);

int __wrap_statx(int fd, const char *name, int flags, unsigned int mask, struct statx *st)
{
	assert_true(fd >= 0 && name[0] == '\0' && (flags & AT_EMPTY_PATH) &&
		    (mask & STATX_DIOALIGN));
	memset(st, 0, sizeof(*st));
	if (kernel.told == UNTOLD)
		return 0;
	st->stx_mask = STATX_DIOALIGN;
	st->stx_dio_offset_align = kernel.told;
	st->stx_dio_mem_align = kernel.told_mem;
	return 0;
}

ssize_t __wrap_pread(int fd, void *buf, size_t len, off_t at)
{
	off_t data = lseek(fd, at, SEEK_DATA);

	if (data >= at && data < at + (off_t)len &&
	    (((size_t)at | len) % kernel.align || (uintptr_t)buf % kernel.mem_align)) {
		errno = EINVAL;
		return -1;
	}
	memset(buf, 0, len);
	return (ssize_t)len;
}

ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t at)
{
	return __wrap_pread(fd, buf, len, at);
}

FILE *__wrap_fopen(const char *name, const char *mode)
{
	assert_non_null(strstr(name, "/queue/logical_block_size"));
	if (!kernel.device) {
		errno = ENOENT;
		return NULL;
	}
	return fmemopen((void *)(uintptr_t)kernel.device, strlen(kernel.device), mode);
}

FILE *__wrap_fopen64(const char *name, const char *mode)
{
	return __wrap_fopen(name, mode);
}

static int setup(void **state)
{
	(void)state;
	strcpy(path, "/var/tmp/vloop-source-XXXXXX");
	file = mkstemp(path);
	return file < 0 ? -1 : ftruncate(file, FILE_SIZE);
}

static int teardown(void **state)
{
	(void)state;
	close(file);
	return unlink(path);
}

static void write_at(off_t at)
{
	static const uint8_t block[4096] = { 1 };

	assert_int_equal(pwrite(file, block, sizeof(block), at), sizeof(block));
}

/* @block_size 0: direct I/O is not possible. */
static void expect(uint32_t block_size, uint32_t mem_align)
{
	char text[BLK_SOURCE_TEXT];
	struct blk_source source;

	assert_int_equal(blk_source_open(&source, path, false, true, 0, text), 0);
	if (strstr(text, "no direct I/O")) {
		blk_source_close(&source);
		print_message("%s\n", text);
		skip();
	}
	assert_int_equal(source.direct, block_size > 0);
	if (block_size) {
		assert_string_equal(text, "");
		assert_int_equal(source.block_size, block_size);
		assert_int_equal(source.mem_align, mem_align);
	} else {
		assert_string_equal(text, "direct I/O fails: --direct is ignored");
	}
	blk_source_close(&source);
}

/* What the kernel tells counts, with and without data. A sector is the least. */
static void test_told(void **state)
{
	static const struct {
		uint32_t told, told_mem, block_size, mem_align;
	} cases[] = {
		{ 4096, 4096, 4096, 4096 }, { 4096, 512, 4096, 512 }, { 512, 4, 512, 512 },
		{ 1, 1, 512, 512 },	    { 0, 0, 0, 0 },	      { 8192, 512, 0, 0 },
		{ 520, 512, 0, 0 },
	};

	(void)state;
	for (int data = 0; data < 2; data++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			kernel.told = cases[i].told;
			kernel.told_mem = cases[i].told_mem;
			/* Not tried: this would say something else. */
			kernel.align = 2048;
			kernel.mem_align = 2048;
			expect(cases[i].block_size, cases[i].mem_align);
		}
		write_at(0);
	}
}

/* Otherwise reads tell it: reads of data, wherever the first of them are. */
static void test_tried(void **state)
{
	static const uint32_t aligns[] = { 512, 1024, 4096 };

	(void)state;
	kernel.told = UNTOLD;
	for (int first = 1; first >= 0; first--) {
		write_at(first * (1 << 20));
		for (size_t i = 0; i < 3; i++) {
			kernel.align = aligns[i];
			for (size_t k = 0; k <= i; k++) {
				kernel.mem_align = aligns[k];
				expect(aligns[i], aligns[k]);
			}
		}
		kernel.align = 8192;
		expect(0, 0);
	}
}

/* A file that is only a hole, perhaps of no size, tells nothing: its device does, if there is one. */
static void test_hole(void **state)
{
	(void)state;
	kernel.told = UNTOLD;
	kernel.align = 4096;
	kernel.mem_align = 4096;
	for (int empty = 0; empty < 2; empty++) {
		kernel.device = "4096\n";
		expect(4096, 4096);
		kernel.device = "512\n";
		expect(512, 512);
		kernel.device = "65536\n";
		expect(0, 0);
		kernel.device = NULL;
		expect(512, 512);
		assert_int_equal(ftruncate(file, 0), 0);
	}
}

/* A driver that was promised smaller blocks is served through the page cache, which is said. */
static void test_smaller_blocks(void **state)
{
	char text[BLK_SOURCE_TEXT];
	struct blk_source source;

	(void)state;
	kernel.told = 4096;
	kernel.told_mem = 512;
	assert_int_equal(blk_source_open(&source, path, false, true, 512, text), 0);
	assert_false(source.direct);
	if (!strstr(text, "no direct I/O"))
		assert_non_null(strstr(text, "try --block-size=4096"));
	blk_source_close(&source);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_told),
		TEST(test_tried),
		TEST(test_hole),
		TEST(test_smaller_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
