/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests as a driver may send them, right and wrong (virtio 1.3, 5.2.6). Each piece of memory is
 * allocated by itself, so that the sanitizer sees a byte too many.
 */
#include <endian.h>
#include <linux/virtio_blk.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "request.h"

#define HDR	16U
#define PIECES	32

static const struct blk_limits normal = {
	.capacity = 1000, .align = 1, .max_discard = 100, .max_write_zeroes = 100,
};

struct fake {
	struct vloop_req req;
	struct iovec iov[PIECES];
	void *memory[PIECES];
	uint32_t n;
};

static void add(struct fake *f, uint32_t len, bool write)
{
	void *memory = malloc(len);

	assert_non_null(memory);
	memset(memory, 0xee, len);
	assert_true(f->n < PIECES);
	f->iov[f->n].iov_base = memory;
	f->iov[f->n].iov_len = len;
	f->memory[f->n++] = memory;
	if (write) {
		f->req.n_writable++;
		f->req.writable_len += len;
	} else {
		f->req.n_readable++;
		f->req.readable_len += len;
	}
}

/* @readable and @writable: lengths of the pieces, ended by 0. */
static void make(struct fake *f, const uint32_t *readable, const uint32_t *writable)
{
	memset(f, 0, sizeof(*f));
	for (; *readable; readable++)
		add(f, *readable, false);
	for (; *writable; writable++)
		add(f, *writable, true);
	f->req.readable = f->iov;
	f->req.writable = f->iov + f->req.n_readable;
}

#define SIZES(...) ((const uint32_t[]){ __VA_ARGS__, 0 })
#define NOTHING	   ((const uint32_t[]){ 0 })

static void drop(struct fake *f)
{
	while (f->n)
		free(f->memory[--f->n]);
}

/* Put bytes into the readable pieces. */
static void put(struct fake *f, size_t offset, const void *bytes, size_t len)
{
	struct blk_vec vec = { f->req.readable, f->req.n_readable };
	struct iovec copy[PIECES];

	memcpy(copy, f->iov, sizeof(copy));
	blk_vec_advance(&vec, offset);
	blk_vec_store(&vec, bytes, len);
	memcpy(f->iov, copy, sizeof(copy));
}

static void put_header(struct fake *f, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr hdr = { .type = htole32(type), .sector = htole64(sector) };

	put(f, 0, &hdr, sizeof(hdr));
}

static void put_range(struct fake *f, unsigned int i, uint64_t sector, uint32_t num, uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes seg = {
		.sector = htole64(sector), .num_sectors = htole32(num), .flags = htole32(flags),
	};

	put(f, HDR + i * sizeof(seg), &seg, sizeof(seg));
}

/* The status that the driver sees in its last byte. */
static uint8_t status_of(const struct fake *f)
{
	return ((const uint8_t *)f->memory[f->n - 1])[f->iov[f->n - 1].iov_len];
}

/* Parse; it has to be refused with @status, and all that it may read has to be zeroes. */
static void refused(struct fake *f, const struct blk_limits *limits, uint8_t status)
{
	struct blk_request r;
	uint64_t len = f->req.writable_len;

	blk_parse(&f->req, limits, &r);
	assert_int_equal(r.action, BLK_ANSWERED);
	assert_int_equal(r.status, status);
	assert_int_equal(blk_finish(&r, r.status), len);
	assert_int_equal(status_of(f), status);
	for (uint32_t i = f->req.n_readable; i < f->n; i++)
		for (size_t byte = 0; byte < f->iov[i].iov_len; byte++)
			assert_int_equal(((uint8_t *)f->memory[i])[byte], 0);
	drop(f);
}

static void refused_data(uint32_t type, uint64_t sector, uint32_t len,
			 const struct blk_limits *limits)
{
	struct fake f;

	if (type == VIRTIO_BLK_T_IN)
		make(&f, SIZES(HDR), SIZES(len, 1));
	else
		make(&f, SIZES(HDR, len), SIZES(1));
	put_header(&f, type, sector);
	refused(&f, limits, VIRTIO_BLK_S_IOERR);
}

static void test_read(void **state)
{
	struct fake f;
	struct blk_request r;

	(void)state;
	make(&f, SIZES(HDR), SIZES(512, 1024, 1));
	put_header(&f, VIRTIO_BLK_T_IN, 997);
	blk_parse(&f.req, &normal, &r);
	assert_int_equal(r.action, BLK_READ);
	assert_int_equal(r.offset, 997 * 512);
	assert_int_equal(r.len, 1536);
	assert_int_equal(r.in.n, 2);
	assert_ptr_equal(r.in.iov[0].iov_base, f.memory[1]);
	assert_int_equal(r.in.iov[1].iov_len, 1024);
	/* A part arrives: the rest is zeroes, not what was there before. */
	memset(f.memory[1], 0x11, 512);
	blk_vec_advance(&r.in, 512);
	assert_int_equal(blk_finish(&r, VIRTIO_BLK_S_IOERR), 1537);
	assert_int_equal(((uint8_t *)f.memory[1])[511], 0x11);
	assert_int_equal(((uint8_t *)f.memory[2])[0], 0);
	assert_int_equal(((uint8_t *)f.memory[2])[1023], 0);
	assert_int_equal(((uint8_t *)f.memory[3])[0], VIRTIO_BLK_S_IOERR);
	drop(&f);
}

static void test_write(void **state)
{
	struct fake f;
	struct blk_request r;

	(void)state;
	make(&f, SIZES(HDR, 512, 512), SIZES(1));
	put_header(&f, VIRTIO_BLK_T_OUT, 0);
	blk_parse(&f.req, &normal, &r);
	assert_int_equal(r.action, BLK_WRITE);
	assert_int_equal(r.offset, 0);
	assert_int_equal(r.len, 1024);
	assert_int_equal(r.out.n, 2);
	assert_ptr_equal(r.out.iov[0].iov_base, f.memory[1]);
	assert_int_equal(blk_finish(&r, VIRTIO_BLK_S_OK), 1);
	drop(&f);
}

/* virtio 1.3, 2.7.4: where the pieces end means nothing. */
static void test_any_layout(void **state)
{
	struct fake f;
	struct blk_request r;
	uint8_t data[512];

	(void)state;
	memset(data, 0x77, sizeof(data));
	make(&f, SIZES(5, 3, 400, 120), SIZES(1));
	put_header(&f, VIRTIO_BLK_T_OUT, 7);
	put(&f, HDR, data, sizeof(data));
	blk_parse(&f.req, &normal, &r);
	assert_int_equal(r.action, BLK_WRITE);
	assert_int_equal(r.offset, 7 * 512);
	assert_int_equal(r.out.n, 2);
	assert_int_equal(r.out.iov[0].iov_len, 392);
	memset(data, 0, sizeof(data));
	blk_vec_load(&r.out, data, sizeof(data));
	assert_int_equal(data[0], 0x77);
	assert_int_equal(data[511], 0x77);
	drop(&f);

	/* Status in one piece with the data. */
	make(&f, SIZES(HDR), SIZES(100, 413));
	put_header(&f, VIRTIO_BLK_T_IN, 7);
	blk_parse(&f.req, &normal, &r);
	assert_int_equal(r.action, BLK_READ);
	assert_int_equal(r.len, 512);
	assert_int_equal(r.in.n, 2);
	assert_int_equal(r.in.iov[1].iov_len, 412);
	assert_ptr_equal(r.status_at, (uint8_t *)f.memory[2] + 412);
	drop(&f);
}

/* A piece may be aligned in memory and not be whole blocks. */
static void test_direct(void **state)
{
	static uint8_t memory[8192] __attribute__((aligned(4096)));
	static const struct {
		size_t at, first, second;
		bool fits, blocks;
	} cases[] = {
		{ 0, 4096, 4096, true, true },
		{ 512, 3584, 4096, true, false },
		{ 512, 4096, 512, true, false },
		{ 512, 3584, 512, true, false },
		{ 256, 4096, 0, false, false },
		{ 0, 256, 256, false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct iovec iov[2] = { { memory + cases[i].at, cases[i].first },
					{ memory, cases[i].second } };
		struct blk_vec vec = { iov, 2 };

		assert_int_equal(blk_vec_aligned(&vec, 512, 512), cases[i].fits);
		assert_int_equal(blk_vec_aligned(&vec, 512, 4096), cases[i].blocks);
		assert_true(blk_vec_aligned(&vec, 1, 1));
	}
}

static void test_no_status(void **state)
{
	struct fake f;
	struct blk_request r;

	(void)state;
	make(&f, SIZES(HDR, 512), NOTHING);
	put_header(&f, VIRTIO_BLK_T_OUT, 0);
	blk_parse(&f.req, &normal, &r);
	assert_int_equal(r.action, BLK_LOST);
	assert_int_equal(r.used, 0);
	drop(&f);
	/* Nothing at all. */
	make(&f, NOTHING, NOTHING);
	blk_parse(&f.req, &normal, &r);
	assert_int_equal(r.action, BLK_LOST);
}

static void test_short_header(void **state)
{
	struct fake f;

	(void)state;
	make(&f, NOTHING, SIZES(512, 1));
	refused(&f, &normal, VIRTIO_BLK_S_IOERR);
	make(&f, SIZES(HDR - 1), SIZES(1));
	refused(&f, &normal, VIRTIO_BLK_S_IOERR);
	make(&f, SIZES(8, 7), SIZES(512, 1));
	refused(&f, &normal, VIRTIO_BLK_S_IOERR);
}

static void test_length(void **state)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT };
	struct fake f;
	struct blk_request r;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		refused_data(types[i], 0, 1, &normal);
		refused_data(types[i], 0, 511, &normal);
		refused_data(types[i], 0, 513, &normal);
		refused_data(types[i], 0, 1025, &normal);
		/* Nothing is a multiple of 512 too, and no work. */
		make(&f, SIZES(HDR), SIZES(1));
		put_header(&f, types[i], 3);
		blk_parse(&f.req, &normal, &r);
		assert_int_equal(r.action, BLK_ANSWERED);
		assert_int_equal(r.status, VIRTIO_BLK_S_OK);
		drop(&f);
	}
}

static void test_range(void **state)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT };
	static const uint64_t wrong[] = { 999, 1000, 1001, 1ULL << 55, UINT64_MAX / 512,
					  UINT64_MAX / 512 + 1, UINT64_MAX - 1, UINT64_MAX };
	const struct blk_limits empty = { .capacity = 0, .align = 1 };

	(void)state;
	for (size_t t = 0; t < 2; t++) {
		for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
			refused_data(types[t], wrong[i], 1024, &normal);
		refused_data(types[t], 0, 512, &empty);
	}
}

/* With direct I/O the file wants whole blocks. */
static void test_alignment(void **state)
{
	const struct blk_limits limits = { .capacity = 1000, .align = 8 };
	struct fake f;
	struct blk_request r;

	(void)state;
	refused_data(VIRTIO_BLK_T_IN, 1, 4096, &limits);
	refused_data(VIRTIO_BLK_T_IN, 8, 512, &limits);
	refused_data(VIRTIO_BLK_T_OUT, 12, 4096, &limits);
	make(&f, SIZES(HDR), SIZES(4096, 1));
	put_header(&f, VIRTIO_BLK_T_IN, 8);
	blk_parse(&f.req, &limits, &r);
	assert_int_equal(r.action, BLK_READ);
	drop(&f);
}

/* The same page over and over makes a request longer than its used length could say. */
static void test_too_long(void **state)
{
	struct fake f;
	struct blk_request r;
	const struct blk_limits huge = { .capacity = UINT64_MAX, .align = 1 };

	(void)state;
	make(&f, SIZES(HDR), SIZES(4096, 1));
	put_header(&f, VIRTIO_BLK_T_IN, 0);
	f.req.writable[0].iov_len = (size_t)BLK_DATA_MAX + 512;
	f.req.writable_len = (uint64_t)BLK_DATA_MAX + 512 + 1;
	blk_parse(&f.req, &huge, &r);
	assert_int_equal(r.action, BLK_ANSWERED);
	assert_int_equal(r.status, VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_finish(&r, r.status), 0);
	assert_int_equal(status_of(&f), VIRTIO_BLK_S_IOERR);
	drop(&f);

	make(&f, SIZES(HDR, 4096), SIZES(1));
	put_header(&f, VIRTIO_BLK_T_OUT, 0);
	f.req.readable[1].iov_len = 1ULL << 32;
	f.req.readable_len = (1ULL << 32) + HDR;
	refused(&f, &huge, VIRTIO_BLK_S_IOERR);
}

static void test_read_only(void **state)
{
	const struct blk_limits limits = { .capacity = 1000, .align = 1, .read_only = true };
	static const uint32_t types[] = { VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES };
	struct fake f;
	struct blk_request r;

	(void)state;
	refused_data(VIRTIO_BLK_T_OUT, 0, 512, &limits);
	for (size_t i = 0; i < 2; i++) {
		make(&f, SIZES(HDR, 16), SIZES(1));
		put_header(&f, types[i], 0);
		put_range(&f, 0, 0, 8, 0);
		refused(&f, &limits, VIRTIO_BLK_S_IOERR);
	}
	make(&f, SIZES(HDR), SIZES(512, 1));
	put_header(&f, VIRTIO_BLK_T_IN, 0);
	blk_parse(&f.req, &limits, &r);
	assert_int_equal(r.action, BLK_READ);
	drop(&f);
}

static void test_types(void **state)
{
	/* SCSI passthrough, lifetime, secure erase, zones, the legacy barrier bit, nonsense. */
	static const uint32_t unknown[] = { 2, 3, 10, 14, 15, 16, 24, 1U << 31, UINT32_MAX };
	struct fake f;
	struct blk_request r;

	(void)state;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		make(&f, SIZES(HDR), SIZES(512, 1));
		put_header(&f, unknown[i], 0);
		refused(&f, &normal, VIRTIO_BLK_S_UNSUPP);
	}
	make(&f, SIZES(HDR), SIZES(1));
	put_header(&f, VIRTIO_BLK_T_FLUSH, 0);
	blk_parse(&f.req, &normal, &r);
	assert_int_equal(r.action, BLK_FLUSH);
	drop(&f);
}

static void test_get_id(void **state)
{
	struct fake f;
	struct blk_request r;

	(void)state;
	make(&f, SIZES(HDR), SIZES(20, 1));
	put_header(&f, VIRTIO_BLK_T_GET_ID, 0);
	blk_parse(&f.req, &normal, &r);
	assert_int_equal(r.action, BLK_GET_ID);
	drop(&f);
	make(&f, SIZES(HDR), SIZES(19, 1));
	put_header(&f, VIRTIO_BLK_T_GET_ID, 0);
	refused(&f, &normal, VIRTIO_BLK_S_IOERR);
	make(&f, SIZES(HDR), SIZES(1));
	put_header(&f, VIRTIO_BLK_T_GET_ID, 0);
	refused(&f, &normal, VIRTIO_BLK_S_IOERR);
}

static void test_ranges(void **state)
{
	struct fake f;
	struct blk_request r;

	(void)state;
	/* Cut anywhere. */
	make(&f, SIZES(HDR + 3, 20, 9), SIZES(1));
	put_header(&f, VIRTIO_BLK_T_WRITE_ZEROES, 0);
	put_range(&f, 0, 10, 100, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
	put_range(&f, 1, 999, 1, 0);
	blk_parse(&f.req, &normal, &r);
	assert_int_equal(r.action, BLK_WRITE_ZEROES);
	assert_int_equal(r.n_ranges, 2);
	assert_int_equal(r.ranges[0].offset, 10 * 512);
	assert_int_equal(r.ranges[0].len, 100 * 512);
	assert_true(r.ranges[0].unmap);
	assert_int_equal(r.ranges[1].offset, 999 * 512);
	assert_int_equal(r.ranges[1].len, 512);
	assert_false(r.ranges[1].unmap);
	drop(&f);

	make(&f, SIZES(HDR, BLK_RANGES_MAX * 16), SIZES(1));
	put_header(&f, VIRTIO_BLK_T_DISCARD, 0);
	for (unsigned int i = 0; i < BLK_RANGES_MAX; i++)
		put_range(&f, i, i, 1, 0);
	blk_parse(&f.req, &normal, &r);
	assert_int_equal(r.action, BLK_DISCARD);
	assert_int_equal(r.n_ranges, BLK_RANGES_MAX);
	drop(&f);
}

static void test_bad_range_lists(void **state)
{
	static const uint32_t lengths[] = { 1, 15, 17, 24, (BLK_RANGES_MAX + 1) * 16 };
	struct fake f;

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		make(&f, SIZES(HDR, lengths[i]), SIZES(1));
		memset(f.memory[1], 0, lengths[i]);
		put_header(&f, VIRTIO_BLK_T_DISCARD, 0);
		refused(&f, &normal, VIRTIO_BLK_S_IOERR);
	}
	make(&f, SIZES(HDR), SIZES(1));
	put_header(&f, VIRTIO_BLK_T_WRITE_ZEROES, 0);
	refused(&f, &normal, VIRTIO_BLK_S_IOERR);
}

/* One bad range is enough, wherever it is, and nothing is done to the others. */
static void test_bad_ranges(void **state)
{
	static const struct {
		uint32_t type;
		uint64_t sector;
		uint32_t num;
		uint32_t flags;
		uint8_t status;
	} cases[] = {
		{ VIRTIO_BLK_T_DISCARD, 0, 101, 0, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_WRITE_ZEROES, 0, 101, 0, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_DISCARD, 0, UINT32_MAX, 0, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_DISCARD, 1000, 1, 0, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_DISCARD, UINT64_MAX, 1, 0, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_DISCARD, UINT64_MAX - 49, 50, 0, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_WRITE_ZEROES, 1ULL << 55, 1, 0, VIRTIO_BLK_S_IOERR },
		/* 5.2.6.2: unmap has no meaning for discard; other flags for neither. */
		{ VIRTIO_BLK_T_DISCARD, 0, 1, 1, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_DISCARD, 0, 1, 2, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 2, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 1U << 31, VIRTIO_BLK_S_UNSUPP },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake f;

		make(&f, SIZES(HDR, 32), SIZES(1));
		put_header(&f, cases[i].type, 0);
		put_range(&f, 0, 0, 8, 0);
		put_range(&f, 1, cases[i].sector, cases[i].num, cases[i].flags);
		refused(&f, &normal, cases[i].status);
	}
}

static void test_not_negotiated(void **state)
{
	const struct blk_limits limits = { .capacity = 1000, .align = 1 };
	static const uint32_t types[] = { VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct fake f;

		make(&f, SIZES(HDR, 16), SIZES(1));
		put_header(&f, types[i], 0);
		put_range(&f, 0, 0, 8, 0);
		refused(&f, &limits, VIRTIO_BLK_S_UNSUPP);
	}
}

/* Data where it has no meaning is not read, and comes back as zeroes. */
static void test_superfluous(void **state)
{
	struct fake f;
	struct blk_request r;

	(void)state;
	make(&f, SIZES(HDR, 512), SIZES(64, 1));
	put_header(&f, VIRTIO_BLK_T_OUT, 0);
	blk_parse(&f.req, &normal, &r);
	assert_int_equal(r.action, BLK_WRITE);
	assert_int_equal(r.len, 512);
	assert_int_equal(blk_finish(&r, VIRTIO_BLK_S_OK), 65);
	assert_int_equal(((uint8_t *)f.memory[2])[0], 0);
	assert_int_equal(((uint8_t *)f.memory[2])[63], 0);
	drop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_any_layout),
		cmocka_unit_test(test_direct),
		cmocka_unit_test(test_no_status),
		cmocka_unit_test(test_short_header),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_range),
		cmocka_unit_test(test_alignment),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_get_id),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_bad_range_lists),
		cmocka_unit_test(test_bad_ranges),
		cmocka_unit_test(test_not_negotiated),
		cmocka_unit_test(test_superfluous),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
