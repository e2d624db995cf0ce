/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "disk.h"

#define HEADER_AT 0U /* in the data area of the queue */
#define STATUS_AT 64U
#define DATA_AT 4096U
#define PIECES_MAX 40U

char disk_file[128];
static char dir[64], path[128], socket_option[160];

int disk_files_make(void **state)
{
	int fd;

	(void)state;
	strcpy(dir, "/var/tmp/vloop-blk-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/sock", dir);
	snprintf(socket_option, sizeof(socket_option), "--socket-path=%s", path);
	snprintf(disk_file, sizeof(disk_file), "%s/disk", dir);
	fd = open(disk_file, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, FILE_SIZE) < 0)
		return -1;
	return close(fd);
}

int disk_files_remove(void **state)
{
	(void)state;
	unlink(path);
	unlink(disk_file);
	return rmdir(dir);
}

pid_t disk_run(const char *const *args, int out)
{
	return child_run("VLOOP_BLK", args, out, -1);
}

void disk_start(struct disk *disk, const char *const *args)
{
	const char *all[16] = { socket_option };

	for (int i = 0; args[i]; i++)
		all[i + 1] = args[i];
	disk->pid = disk_run(all, -1);
	disk_connect(disk);
	disk_negotiate(disk, BLK_FEATURES | disk->ring_features);
}

void disk_connect(struct disk *disk)
{
	frontend_connect(&disk->fe, path);
}

void disk_negotiate(struct disk *disk, uint64_t features)
{
	frontend_negotiate(&disk->fe, features, PROTOCOL_FEATURES);
	frontend_set_memory(&disk->fe);
	frontend_start_queue(&disk->fe, 0, 64);
	disk->data = frontend_data(&disk->fe, 0) + DATA_AT;
}

void disk_stop(struct disk *disk)
{
	frontend_close(&disk->fe);
	child_end(disk->pid);
}

/* Cut @len bytes at @at into @pieces; the last one takes what is left. */
static unsigned int cut(struct buffer *buffers, uint32_t at, uint32_t len, uint32_t pieces,
			bool write)
{
	uint32_t each = len / pieces;

	for (uint32_t i = 0; i < pieces; i++) {
		uint32_t now = i + 1 < pieces ? each : len - each * (pieces - 1);

		buffers[i] = (struct buffer){ frontend_guest(0, DATA_OFFSET + DATA_AT + at), now,
					      write };
		at += now;
	}
	return pieces;
}

uint32_t disk_raw(struct disk *disk, const struct buffer *buffers, unsigned int n)
{
	struct frontend *fe = &disk->fe;
	int id = driver_add(&fe->driver[0], buffers, n, fe->features & BIT64(F_INDIRECT_DESC));
	uint32_t used_id, len;

	assert_true(id >= 0);
	if (fe->features & BIT64(F_EVENT_IDX))
		driver_call_after(&fe->driver[0], 1);
	driver_publish(&fe->driver[0]);
	frontend_kick(fe, 0);
	len = frontend_wait_used(fe, 0, &used_id);
	assert_int_equal(used_id, id);
	return len;
}

uint8_t disk_request(struct disk *disk, const struct transfer *t)
{
	uint8_t *area = frontend_data(&disk->fe, 0);
	struct virtio_blk_outhdr hdr = { .type = htole32(t->type), .sector = htole64(t->sector) };
	uint32_t pieces = t->pieces ? t->pieces : 1;
	struct buffer buffers[PIECES_MAX];
	unsigned int n = 0;

	assert_true(2 * pieces + 2 <= PIECES_MAX);
	memcpy(area + HEADER_AT, &hdr, sizeof(hdr));
	area[STATUS_AT] = 0xff;
	buffers[n++] =
		(struct buffer){ frontend_guest(0, DATA_OFFSET + HEADER_AT), sizeof(hdr), false };
	if (t->out_len)
		n += cut(buffers + n, t->out_at, t->out_len, pieces, false);
	if (t->in_len)
		n += cut(buffers + n, t->in_at, t->in_len, pieces, true);
	buffers[n++] = (struct buffer){ frontend_guest(0, DATA_OFFSET + STATUS_AT), 1, true };
	assert_int_equal(disk_raw(disk, buffers, n), t->in_len + 1);
	return area[STATUS_AT];
}

uint8_t disk_read(struct disk *disk, uint64_t sector, uint32_t len)
{
	const struct transfer t = { .type = VIRTIO_BLK_T_IN, .sector = sector, .in_len = len };

	return disk_request(disk, &t);
}

uint8_t disk_write(struct disk *disk, uint64_t sector, uint32_t len)
{
	const struct transfer t = { .type = VIRTIO_BLK_T_OUT, .sector = sector, .out_len = len };

	return disk_request(disk, &t);
}

uint8_t disk_range(struct disk *disk, uint32_t type, uint64_t sector, uint32_t num, uint32_t flags)
{
	const struct virtio_blk_discard_write_zeroes seg = {
		.sector = htole64(sector),
		.num_sectors = htole32(num),
		.flags = htole32(flags),
	};
	const struct transfer t = { .type = type, .out_len = sizeof(seg) };

	memcpy(disk->data, &seg, sizeof(seg));
	return disk_request(disk, &t);
}

void disk_config(struct disk *disk, struct virtio_blk_config *ret_config)
{
	const uint32_t len = offsetof(struct virtio_blk_config, max_secure_erase_sectors);
	struct vhost_user_msg msg;

	memset(ret_config, 0, sizeof(*ret_config));
	vhost_user_init(&msg, VHOST_USER_GET_CONFIG, (uint32_t)VHOST_USER_CONFIG_HDR_SIZE + len);
	msg.payload.config.size = len;
	assert_int_equal(vhost_user_call(disk->fe.sock, &msg, ANSWER_MS), 0);
	assert_int_equal(msg.hdr.size, VHOST_USER_CONFIG_HDR_SIZE + len);
	memcpy(ret_config, msg.payload.config.data, len);
}
