/* SPDX-License-Identifier: BSD-3-Clause */
/* vloop-blk with a real file, as a driver sees it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "disk.h"

#define BASIC (BIT64(F_VERSION_1) | BIT64(VHOST_USER_F_PROTOCOL_FEATURES))

static char file_option[160];

static int setup(void **state)
{
	int r = disk_files_make(state);

	snprintf(file_option, sizeof(file_option), "--file=%s", disk_file);
	return r;
}

static void fill(uint8_t *data, uint32_t len, uint32_t seed)
{
	for (uint32_t i = 0; i < len; i++) {
		seed = seed * 1103515245U + 12345U;
		data[i] = (uint8_t)(seed >> 16);
	}
}

static void expect(const uint8_t *data, uint32_t len, uint32_t seed)
{
	for (uint32_t i = 0; i < len; i++) {
		seed = seed * 1103515245U + 12345U;
		if (data[i] != (uint8_t)(seed >> 16))
			fail_msg("byte %u of %u is wrong", i, len);
	}
}

static void expect_zeroes(const uint8_t *data, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if (data[i])
			fail_msg("byte %u of %u is not zero", i, len);
}

/* What the file has at @sector. */
static void expect_in_file(uint64_t sector, uint32_t len, uint32_t seed)
{
	int fd = open(disk_file, O_RDONLY | O_CLOEXEC);
	uint8_t *data = malloc(len);

	assert_non_null(data);
	assert_int_equal(pread(fd, data, len, (off_t)sector * 512), len);
	expect(data, len, seed);
	free(data);
	close(fd);
}

static void write_read(struct disk *disk)
{
	static const struct {
		uint64_t sector;
		uint32_t len;
		uint32_t pieces;
		uint32_t at; /* of the buffer, to make it badly aligned */
	} cases[] = {
		{ 0, 512, 1, 0 },	  { SECTORS - 1, 512, 1, 0 },	   { 7, 4096, 3, 0 },
		{ 3, 1 << 20, 16, 0 },	  { 1, 512 * 601, 5, 0 },	   { 2, 512 * 601, 1, 1 },
		{ 100, 512 * 513, 7, 3 }, { 64, 2 * 128 * 1024, 2, 4096 },
	};

	for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct transfer t = { .type = VIRTIO_BLK_T_OUT,
				      .sector = cases[i].sector,
				      .out_at = cases[i].at,
				      .out_len = cases[i].len,
				      .pieces = cases[i].pieces };

		fill(disk->data + t.out_at, t.out_len, i);
		assert_int_equal(disk_request(disk, &t), VIRTIO_BLK_S_OK);
		expect_in_file(t.sector, cases[i].len, i);
		memset(disk->data, 0xaa, t.out_at + t.out_len);
		t = (struct transfer){ .type = VIRTIO_BLK_T_IN,
				       .sector = cases[i].sector,
				       .in_at = cases[i].at,
				       .in_len = cases[i].len,
				       .pieces = cases[i].pieces };
		assert_int_equal(disk_request(disk, &t), VIRTIO_BLK_S_OK);
		expect(disk->data + t.in_at, t.in_len, i);
	}
}

static void test_write_read(void **state)
{
	static const uint64_t rings[] = {
		0,
		BIT64(F_INDIRECT_DESC) | BIT64(F_EVENT_IDX),
		BIT64(F_RING_PACKED),
		BIT64(F_RING_PACKED) | BIT64(F_INDIRECT_DESC) | BIT64(F_EVENT_IDX),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
		struct disk disk = { .ring_features = rings[i] };

		DISK_START(&disk, file_option);
		write_read(&disk);
		disk_stop(&disk);
	}
}

/* Where direct I/O is impossible the program says so and does without: the same has to come out. */
static void test_direct(void **state)
{
	struct disk disk = { 0 };
	struct virtio_blk_config config;

	(void)state;
	DISK_START(&disk, file_option, "--direct", "--block-size=512");
	disk_config(&disk, &config);
	assert_int_equal(le32toh(config.blk_size), 512);
	write_read(&disk);
	disk_stop(&disk);
}

static void test_config(void **state)
{
	struct disk disk = { 0 };
	struct virtio_blk_config config;

	(void)state;
	DISK_START(&disk, file_option, "--num-queues=2", "--seg-max=77", "--block-size=4096");
	disk_config(&disk, &config);
	assert_int_equal(le64toh(config.capacity), SECTORS);
	assert_int_equal(le32toh(config.seg_max), 77);
	assert_int_equal(le32toh(config.blk_size), 4096);
	assert_int_equal(le16toh(config.num_queues), 2);
	assert_int_equal(config.wce, 1);
	assert_true(le32toh(config.max_write_zeroes_sectors) > 0);
	assert_int_equal(frontend_get(&disk.fe, VHOST_USER_GET_FEATURES) & BIT64(VIRTIO_BLK_F_MQ),
			 BIT64(VIRTIO_BLK_F_MQ));
	disk_stop(&disk);
}

static uint64_t set_config(struct disk *disk, uint32_t offset, const void *data, uint32_t len)
{
	struct vhost_user_config config = { .offset = offset, .size = len };

	memcpy(config.data, data, len);
	return frontend_ack(&disk->fe, VHOST_USER_SET_CONFIG, &config,
			    (uint32_t)VHOST_USER_CONFIG_HDR_SIZE + len, -1);
}

#ifndef __NR_cachestat
#define __NR_cachestat 451
#endif

/* Pages of the file that have not reached the medium; -1: this kernel does not tell (before 6.5). */
static int64_t pages_unsafe(int fd)
{
	struct {
		uint64_t offset, len;
	} range = { 0, 0 };
	struct {
		uint64_t cached, dirty, writeback, evicted, recently_evicted;
	} stat;

	if (syscall(__NR_cachestat, fd, &range, &stat, 0) < 0)
		return -1;
	return (int64_t)(stat.dirty + stat.writeback);
}

/* Whether what is only in the page cache can be told from what is safe, with this file system, too. */
static bool can_tell(int fd)
{
	static const uint8_t page[4096] = { 1 };
	bool unsafe = false;

	/* The kernel may write back at any time. */
	for (int tries = 0; tries < 20 && !unsafe; tries++)
		unsafe = pwrite(fd, page, sizeof(page), 0) > 0 && pages_unsafe(fd) > 0;
	return unsafe && fdatasync(fd) == 0 && pages_unsafe(fd) == 0;
}

/* Where that is so: the file. Otherwise the test is skipped. */
static int open_to_tell(void)
{
	int fd = open(disk_file, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	if (!can_tell(fd)) {
		print_message("kernel or file system do not tell what has not been written back\n");
		close(fd);
		skip();
	}
	return fd;
}

enum how { IN_ONE, IN_PIECES, ZEROES };

/* Change a part of the disk. Zeroes in the middle of a block go through the page cache. */
static void change(struct disk *disk, enum how how, uint32_t seed)
{
	const struct transfer t = { .type = VIRTIO_BLK_T_OUT,
				    .out_len = 8192,
				    .pieces = how == IN_PIECES ? 3 : 1 };

	if (how == ZEROES) {
		assert_int_equal(disk_range(disk, VIRTIO_BLK_T_WRITE_ZEROES, 1, 6, 0),
				 VIRTIO_BLK_S_OK);
		return;
	}
	fill(disk->data, t.out_len, seed);
	assert_int_equal(disk_request(disk, &t), VIRTIO_BLK_S_OK);
}

/* Whether such a change may be lost after it was completed. */
static bool is_cached(struct disk *disk, enum how how, int fd)
{
	int64_t unsafe = 0;

	for (uint32_t tries = 0; tries < 20 && !unsafe; tries++) {
		change(disk, IN_ONE, tries);
		assert_int_equal(fdatasync(fd), 0);
		change(disk, how, tries + 1);
		unsafe = pages_unsafe(fd);
	}
	return unsafe;
}

static void reset_device(struct disk *disk)
{
	static const uint64_t statuses[] = { 15, 0 };

	for (int i = 0; i < 2; i++)
		assert_int_equal(frontend_ack(&disk->fe, VHOST_USER_SET_STATUS, &statuses[i],
					      sizeof(statuses[i]), -1),
				 0);
}

/* Each driver has the cache mode that it was told of, or the one that it relies on. */
static void test_cache_mode_holds(void **state)
{
	const uint32_t wce_at = offsetof(struct virtio_blk_config, wce);
	const uint64_t protocol = PROTOCOL_FEATURES;
	static const uint8_t off = 0, on = 1;
	struct disk disk = { 0 };
	struct virtio_blk_config config;
	int fd = open_to_tell();

	(void)state;
	DISK_START(&disk, file_option);
	for (enum how how = IN_ONE; how <= ZEROES; how++)
		assert_true(is_cached(&disk, how, fd));
	assert_int_equal(set_config(&disk, wce_at, &off, sizeof(off)), 0);
	for (enum how how = IN_ONE; how <= ZEROES; how++)
		assert_false(is_cached(&disk, how, fd));
	/* The next driver is told so by the front-end, which need not ask. */
	reset_device(&disk);
	disk_config(&disk, &config);
	assert_int_equal(config.wce, 0);
	disk_negotiate(&disk, BASIC | BIT64(VIRTIO_BLK_F_FLUSH));
	assert_false(is_cached(&disk, IN_ONE, fd));
	reset_device(&disk);
	disk_negotiate(&disk, BLK_FEATURES);
	disk_config(&disk, &config);
	assert_int_equal(config.wce, 0);
	for (enum how how = IN_ONE; how <= ZEROES; how++)
		assert_false(is_cached(&disk, how, fd));
	assert_int_equal(set_config(&disk, wce_at, &on, sizeof(on)), 0);
	assert_true(is_cached(&disk, IN_ONE, fd));
	assert_int_equal(set_config(&disk, wce_at, &off, sizeof(off)), 0);
	/* The front-end dies. What the next one reads holds, before and after it accepts features. */
	frontend_close(&disk.fe);
	disk_connect(&disk);
	frontend_send(&disk.fe, VHOST_USER_SET_PROTOCOL_FEATURES, &protocol, sizeof(protocol), -1);
	disk_config(&disk, &config);
	assert_int_equal(config.wce, 1);
	disk_negotiate(&disk, BLK_FEATURES);
	disk_config(&disk, &config);
	assert_int_equal(config.wce, 1);
	assert_true(is_cached(&disk, IN_ONE, fd));
	/* Drivers that cannot flush: a legacy one, which accepts nothing, and a modern one. */
	frontend_close(&disk.fe);
	disk_connect(&disk);
	disk_negotiate(&disk, 0);
	assert_false(is_cached(&disk, IN_ONE, fd));
	frontend_close(&disk.fe);
	disk_connect(&disk);
	disk_negotiate(&disk, BIT64(F_VERSION_1));
	assert_false(is_cached(&disk, IN_ONE, fd));
	disk_stop(&disk);
	close(fd);
}

/*
 * A driver that can choose, but not flush: it has no cache, and none when it asks for one
 * (virtio 1.3, 5.2.5.2).
 */
static void test_cache_mode_without_flush(void **state)
{
	const uint32_t wce_at = offsetof(struct virtio_blk_config, wce);
	const uint64_t features = BASIC | BIT64(VIRTIO_BLK_F_CONFIG_WCE);
	static const uint8_t on = 1;
	struct disk disk = { 0 };
	struct virtio_blk_config config;
	int fd = open_to_tell();

	(void)state;
	DISK_START(&disk, file_option);
	reset_device(&disk);
	disk_negotiate(&disk, features);
	disk_config(&disk, &config);
	assert_int_equal(config.wce, 0);
	assert_false(is_cached(&disk, IN_ONE, fd));
	assert_int_equal(set_config(&disk, wce_at, &on, sizeof(on)), 0);
	assert_false(is_cached(&disk, IN_ONE, fd));
	/* The next one begins as this one did. */
	reset_device(&disk);
	disk_negotiate(&disk, features);
	disk_config(&disk, &config);
	assert_int_equal(config.wce, 0);
	disk_stop(&disk);
	close(fd);
}

/* The driver may choose its cache mode and nothing else. */
static void test_cache_mode(void **state)
{
	const uint32_t wce_at = offsetof(struct virtio_blk_config, wce);
	static const uint8_t off = 0, nonsense = 2;
	static const uint64_t capacity;
	struct disk disk = { 0 };
	struct virtio_blk_config config;

	(void)state;
	DISK_START(&disk, file_option);
	assert_int_equal(set_config(&disk, wce_at, &off, 1), 0);
	disk_config(&disk, &config);
	assert_int_equal(config.wce, 0);
	write_read(&disk);
	assert_int_equal(disk_range(&disk, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), VIRTIO_BLK_S_OK);
	assert_int_not_equal(set_config(&disk, wce_at, &nonsense, 1), 0);
	assert_int_not_equal(set_config(&disk, 0, &capacity, sizeof(capacity)), 0);
	disk_config(&disk, &config);
	assert_int_equal(config.wce, 0);
	assert_int_equal(le64toh(config.capacity), SECTORS);
	disk_stop(&disk);
}

static void test_flush_and_id(void **state)
{
	struct disk disk = { 0 };
	const struct transfer flush = { .type = VIRTIO_BLK_T_FLUSH };
	const struct transfer id = { .type = VIRTIO_BLK_T_GET_ID, .in_len = 20 };
	const struct transfer other = { .type = 4711, .in_len = 512 };

	(void)state;
	DISK_START(&disk, file_option, "--serial=twenty bytes of text");
	assert_int_equal(disk_request(&disk, &flush), VIRTIO_BLK_S_OK);
	assert_int_equal(disk_request(&disk, &id), VIRTIO_BLK_S_OK);
	assert_memory_equal(disk.data, "twenty bytes of text", 20);
	assert_int_equal(disk_request(&disk, &other), VIRTIO_BLK_S_UNSUPP);
	disk_stop(&disk);
}

static blkcnt_t blocks(void)
{
	struct stat st;

	assert_int_equal(stat(disk_file, &st), 0);
	return st.st_blocks;
}

static void test_discard(void **state)
{
	struct disk disk = { 0 };
	const uint32_t len = 1 << 20;
	blkcnt_t before;

	(void)state;
	DISK_START(&disk, file_option);
	fill(disk.data, len, 1);
	assert_int_equal(disk_write(&disk, 0, len), VIRTIO_BLK_S_OK);
	/* Room of a file may be given only when it reaches the disk. */
	sync();
	if (!(disk.fe.features & BIT64(VIRTIO_BLK_F_DISCARD))) {
		print_message("no discard: this file system cannot punch holes\n");
		disk_stop(&disk);
		skip();
	}
	before = blocks();
	assert_int_equal(disk_range(&disk, VIRTIO_BLK_T_DISCARD, 128, 1024, 0), VIRTIO_BLK_S_OK);
	assert_true(blocks() < before);
	assert_int_equal(disk_read(&disk, 0, len), VIRTIO_BLK_S_OK);
	expect(disk.data, 128 * 512, 1);
	expect_zeroes(disk.data + 128 * 512, 1024 * 512);
	assert_int_equal(disk_range(&disk, VIRTIO_BLK_T_DISCARD, SECTORS - 1, 2, 0),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(disk_range(&disk, VIRTIO_BLK_T_DISCARD, 0, 8, 1), VIRTIO_BLK_S_UNSUPP);
	disk_stop(&disk);
}

static void test_write_zeroes(void **state)
{
	struct disk disk = { 0 };
	struct virtio_blk_discard_write_zeroes segs[3] = {
		{ .sector = htole64(0), .num_sectors = htole32(3) },
		{ .sector = htole64(77), .num_sectors = htole32(0) },
		{ .sector = htole64(1000), .num_sectors = htole32(48), .flags = htole32(1) },
	};
	const struct transfer list = { .type = VIRTIO_BLK_T_WRITE_ZEROES, .out_len = sizeof(segs) };
	const uint32_t len = 1 << 20;

	(void)state;
	DISK_START(&disk, file_option);
	fill(disk.data, len, 2);
	assert_int_equal(disk_write(&disk, 0, len), VIRTIO_BLK_S_OK);
	memcpy(disk.data, segs, sizeof(segs));
	assert_int_equal(disk_request(&disk, &list), VIRTIO_BLK_S_OK);
	assert_int_equal(disk_read(&disk, 0, len), VIRTIO_BLK_S_OK);
	expect_zeroes(disk.data, 3 * 512);
	expect_zeroes(disk.data + 1000 * 512, 48 * 512);
	/* What lies between is as it was. */
	fill(disk.data + len, len, 2);
	assert_memory_equal(disk.data + 3 * 512, disk.data + len + 3 * 512, 997 * 512);
	assert_memory_equal(disk.data + 1048 * 512, disk.data + len + 1048 * 512, 1000 * 512);
	/* Larger than one step of writing zeroes where the file system cannot do it. */
	assert_int_equal(disk_range(&disk, VIRTIO_BLK_T_WRITE_ZEROES, 0, 2001, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(disk_read(&disk, 0, 2002 * 512), VIRTIO_BLK_S_OK);
	expect_zeroes(disk.data, 2001 * 512);
	assert_memory_equal(disk.data + 2001 * 512, disk.data + len + 2001 * 512, 512);
	disk_stop(&disk);
}

/* Each bad request has its status, and the next good one is served. */
static void test_bad_requests(void **state)
{
	struct disk disk = { 0 };
	const uint64_t guest = frontend_guest(0, DATA_OFFSET + 4096);
	const struct buffer short_header[] = { { guest, 15, false }, { guest + 64, 1, true } };
	const struct buffer no_status[] = { { guest, 16, false }, { guest + 64, 512, false } };
	const struct buffer only_status[] = { { guest + 64, 1, true } };

	(void)state;
	DISK_START(&disk, file_option);
	assert_int_equal(disk_raw(&disk, short_header, 2), 1);
	assert_int_equal(disk.data[64], VIRTIO_BLK_S_IOERR);
	memset(disk.data, 0, 64);
	disk.data[0] = VIRTIO_BLK_T_OUT;
	assert_int_equal(disk_raw(&disk, no_status, 2), 0);
	disk.data[64] = 0xff;
	assert_int_equal(disk_raw(&disk, only_status, 1), 1);
	assert_int_equal(disk.data[64], VIRTIO_BLK_S_IOERR);
	assert_int_equal(disk_read(&disk, SECTORS, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(disk_read(&disk, UINT64_MAX, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(disk_write(&disk, SECTORS - 1, 1024), VIRTIO_BLK_S_IOERR);
	memset(disk.data, 0xcc, 513);
	assert_int_equal(disk_read(&disk, 0, 513), VIRTIO_BLK_S_IOERR);
	expect_zeroes(disk.data, 513);
	write_read(&disk);
	disk_stop(&disk);
}

static void test_read_only(void **state)
{
	struct disk disk = { 0 };

	(void)state;
	DISK_START(&disk, file_option);
	fill(disk.data, 4096, 5);
	assert_int_equal(disk_write(&disk, 0, 4096), VIRTIO_BLK_S_OK);
	disk_stop(&disk);
	assert_int_equal(chmod(disk_file, 0400), 0);
	DISK_START(&disk, file_option, "--read-only");
	assert_true(disk.fe.features & BIT64(VIRTIO_BLK_F_RO));
	assert_int_equal(disk_write(&disk, 0, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(disk_range(&disk, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(disk_read(&disk, 0, 4096), VIRTIO_BLK_S_OK);
	expect(disk.data, 4096, 5);
	disk_stop(&disk);
}

static void wait_for_capacity(struct disk *disk, uint64_t sectors)
{
	struct virtio_blk_config config;

	for (int tries = 0; tries < ANSWER_MS / 10; tries++) {
		disk_config(disk, &config);
		if (le64toh(config.capacity) == sectors)
			return;
		usleep(10000);
	}
	fail_msg("the capacity stays at %llu", (unsigned long long)le64toh(config.capacity));
}

static void test_resize(void **state)
{
	struct disk disk = { 0 };

	(void)state;
	DISK_START(&disk, file_option);
	assert_int_equal(disk_read(&disk, SECTORS, 512), VIRTIO_BLK_S_IOERR);
	/* With a signal, and without. An odd end is not counted. */
	assert_int_equal(truncate(disk_file, FILE_SIZE + 4096), 0);
	kill(disk.pid, SIGHUP);
	wait_for_capacity(&disk, SECTORS + 8);
	assert_int_equal(disk_read(&disk, SECTORS, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(truncate(disk_file, 8192 + 511), 0);
	wait_for_capacity(&disk, 16);
	assert_int_equal(disk_read(&disk, 16, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(disk_read(&disk, 15, 512), VIRTIO_BLK_S_OK);
	disk_stop(&disk);
}

/* The file ends before the disk does, and nobody said so yet. */
static void test_shorter_than_told(void **state)
{
	struct disk disk = { 0 };

	(void)state;
	DISK_START(&disk, file_option);
	assert_int_equal(truncate(disk_file, 4096), 0);
	memset(disk.data, 0xcc, 8192);
	assert_int_equal(disk_read(&disk, 0, 8192), VIRTIO_BLK_S_IOERR);
	expect_zeroes(disk.data, 8192);
	assert_int_equal(disk_read(&disk, 0, 4096), VIRTIO_BLK_S_OK);
	disk_stop(&disk);
}

/* Stopping a queue waits for its requests: what was taken is complete when the answer is there. */
static void test_stop_in_flight(void **state)
{
	const uint16_t num = 16;
	struct disk disk = { 0 };
	struct frontend *fe = &disk.fe;
	struct virtio_blk_outhdr hdr = { .type = htole32(VIRTIO_BLK_T_OUT) };
	uint8_t *area;
	uint32_t base, id, len, done = 0;

	(void)state;
	DISK_START(&disk, file_option);
	area = frontend_data(fe, 0);
	for (uint32_t i = 0; i < num; i++) {
		const uint64_t at = frontend_guest(0, DATA_OFFSET + i * 32);
		const struct buffer buffers[] = {
			{ at, sizeof(hdr), false },
			{ frontend_guest(0, DATA_OFFSET + 4096), 128 * 1024, false },
			{ at + sizeof(hdr), 1, true },
		};

		hdr.sector = htole64(i * 256);
		memcpy(area + i * 32, &hdr, sizeof(hdr));
		area[i * 32 + sizeof(hdr)] = 0xff;
		assert_true(driver_add(&fe->driver[0], buffers, 3, false) >= 0);
	}
	driver_publish(&fe->driver[0]);
	frontend_kick(fe, 0);
	base = frontend_stop_queue(fe, 0);
	while (driver_used(&fe->driver[0], &id, &len))
		done++;
	assert_int_equal(done, base);
	/* The rest is served when the queue goes on. */
	frontend_resume_queue(fe, 0, base);
	for (; done < num; done++)
		frontend_wait_used(fe, 0, &id);
	for (uint32_t i = 0; i < num; i++)
		assert_int_equal(area[i * 32 + sizeof(hdr)], VIRTIO_BLK_S_OK);
	disk_stop(&disk);
}

static void test_null(void **state)
{
	struct disk disk = { 0 };
	struct virtio_blk_config config;
	const struct transfer flush = { .type = VIRTIO_BLK_T_FLUSH };
	const struct transfer id = { .type = VIRTIO_BLK_T_GET_ID, .in_len = 20 };

	(void)state;
	DISK_START(&disk, "--null", "--size=1M", "--serial=null");
	disk_config(&disk, &config);
	assert_int_equal(le64toh(config.capacity), 2048);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(disk_write(&disk, 0, 4096), VIRTIO_BLK_S_OK);
		assert_int_equal(disk_read(&disk, 2040, 4096), VIRTIO_BLK_S_OK);
	}
	assert_int_equal(disk_read(&disk, 2048, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(disk_request(&disk, &flush), VIRTIO_BLK_S_OK);
	assert_int_equal(disk_range(&disk, VIRTIO_BLK_T_DISCARD, 0, 8, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(disk_request(&disk, &id), VIRTIO_BLK_S_OK);
	assert_string_equal((char *)disk.data, "null");
	disk_stop(&disk);
}

/* What the program prints until it ends, which it has to do with failure. */
static void failing(const char *const *args, char *text, size_t size)
{
	int out[2];
	pid_t pid;
	size_t at = 0;
	ssize_t n;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = disk_run(args, out[1]);
	close(out[1]);
	while (at + 1 < size && (n = read(out[0], text + at, size - 1 - at)) > 0)
		at += (size_t)n;
	text[at] = '\0';
	close(out[0]);
	assert_int_equal(child_wait(pid), EXIT_FAILURE);
}

static void test_wrong_options(void **state)
{
	static const struct {
		const char *args[4];
		const char *text;
	} cases[] = {
		{ { "--socket-path=/nowhere/s" }, "--null" },
		{ { "--socket-path=/nowhere/s", "--null", "--file=x" }, "--null" },
		{ { "--socket-path=/nowhere/s", "--file=/nowhere/x" }, "No such file" },
		{ { "--socket-path=/nowhere/s", "--file=/dev/null" }, "neither a regular file" },
		{ { "--socket-path=/nowhere/s", "--file=x", "--size=1M" }, "--size" },
		{ { "--socket-path=/nowhere/s", "--null", "--size=0" }, "--size" },
		{ { "--socket-path=/nowhere/s", "--null", "--num-queues=0" }, "--num-queues" },
		{ { "--socket-path=/nowhere/s", "--null", "--queue-depth=100" }, "--queue-depth" },
		{ { "--socket-path=/nowhere/s", "--null", "--seg-max=1001" }, "--seg-max" },
		{ { "--socket-path=/nowhere/s", "--null", "--block-size=1024" }, "--block-size" },
		{ { "--socket-path=/nowhere/s", "--null", "--serial=123456789012345678901" },
		  "20 bytes" },
		{ { "--socket-path=/nowhere/s", "--null" }, "/nowhere/s" },
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		failing(cases[i].args, text, sizeof(text));
		if (!strstr(text, cases[i].text))
			fail_msg("\"%s\" is not in: %s", cases[i].text, text);
	}
}

/* It may grow later, but more likely somebody made the wrong file. */
static void test_empty_file(void **state)
{
	char option[160], text[512];

	(void)state;
	assert_int_equal(truncate(disk_file, 511), 0);
	snprintf(option, sizeof(option), "--file=%s", disk_file);
	failing((const char *const[]){ "--socket-path=/nowhere/s", option, NULL }, text,
		sizeof(text));
	if (!strstr(text, "shorter than a block of 512 bytes"))
		fail_msg("it does not say that the disk is empty: %s", text);
}

/* In a process of its own, as a filter stays for good: let io_uring_setup(2) fail. */
static void forbid_io_uring(int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned int)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(2);
}

static void test_without_io_uring(void **state)
{
	static const int errors[] = { ENOSYS, EPERM };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			const char *args[] = { "--socket-path=/nowhere/s", file_option, NULL };
			char text[512];

			forbid_io_uring(errors[i]);
			failing(args, text, sizeof(text));
			_exit(strstr(text, "io_uring is not") ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, disk_files_remove)
	const struct CMUnitTest tests[] = {
		TEST(test_write_read),
		TEST(test_direct),
		TEST(test_config),
		TEST(test_cache_mode),
		TEST(test_cache_mode_holds),
		TEST(test_cache_mode_without_flush),
		TEST(test_flush_and_id),
		TEST(test_discard),
		TEST(test_write_zeroes),
		TEST(test_bad_requests),
		TEST(test_read_only),
		TEST(test_resize),
		TEST(test_shorter_than_told),
		TEST(test_stop_in_flight),
		TEST(test_null),
		TEST(test_wrong_options),
		TEST(test_empty_file),
		TEST(test_without_io_uring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
