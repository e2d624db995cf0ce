/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "liar.h"

/* Copy between the disk and the pieces of one direction, from @skip bytes into them on. */
static uint32_t transfer(const struct seg *segs, unsigned int nsegs, bool write, uint32_t skip,
			 uint8_t *at, uint64_t room)
{
	uint32_t done = 0;

	for (unsigned int i = 0; i < nsegs; i++) {
		uint32_t len = segs[i].len;
		uint8_t *mem = segs[i].at;

		if (segs[i].write != write)
			continue;
		if (skip >= len) {
			skip -= len;
			continue;
		}
		mem += skip;
		len -= skip;
		skip = 0;
		if (len > room - done)
			len = (uint32_t)(room - done);
		if (write)
			memcpy(mem, at + done, len);
		else
			memcpy(at + done, mem, len);
		done += len;
	}
	return done;
}

static uint32_t bytes_of(const struct seg *segs, unsigned int nsegs, bool write)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < nsegs; i++)
		if (segs[i].write == write)
			sum += segs[i].len;
	return sum;
}

uint32_t disk_request(struct liar *liar, const struct seg *segs, unsigned int nsegs, bool status)
{
	const struct seg *last = &segs[nsegs - 1];
	struct virtio_blk_outhdr hdr;
	uint32_t in, type;
	uint64_t at;
	uint8_t result = VIRTIO_BLK_S_OK;

	if (!nsegs || segs[0].write || segs[0].len < sizeof(hdr) || !last->write || !last->len)
		return 0;
	memcpy(&hdr, segs[0].at, sizeof(hdr));
	type = le32toh(hdr.type);
	at = le64toh(hdr.sector) * SECTOR;
	/* The status is the last byte that may be written. */
	in = bytes_of(segs, nsegs, true) - 1;

	switch (type) {
	case VIRTIO_BLK_T_IN:
		if (at > liar->bytes || in > liar->bytes - at) {
			result = VIRTIO_BLK_S_IOERR;
			break;
		}
		transfer(segs, nsegs, true, 0, liar->disk + at, in);
		break;
	case VIRTIO_BLK_T_OUT: {
		uint32_t out = bytes_of(segs, nsegs, false) - (uint32_t)sizeof(hdr);

		if (at > liar->bytes || out > liar->bytes - at)
			result = VIRTIO_BLK_S_IOERR;
		else
			transfer(segs, nsegs, false, sizeof(hdr), liar->disk + at, out);
		break;
	}
	case VIRTIO_BLK_T_FLUSH:
		break;
	case VIRTIO_BLK_T_GET_ID: {
		uint8_t id[VIRTIO_BLK_ID_BYTES] = "liar";

		transfer(segs, nsegs, true, 0, id, in < sizeof(id) ? in : sizeof(id));
		break;
	}
	default:
		result = VIRTIO_BLK_S_UNSUPP;
	}
	if (status)
		last->at[last->len - 1] = result;
	return in + 1;
}

void disk_config(const struct liar *liar, struct virtio_blk_config *ret_config)
{
	struct virtio_blk_config *c = ret_config;
	uint64_t capacity = liar->bytes / SECTOR;
	uint16_t queues = (uint16_t)liar->nqueues;

	memset(c, 0, sizeof(*c));
	switch (liar->lie) {
	case LIE_CAPACITY_ZERO:
		capacity = 0;
		break;
	case LIE_CAPACITY_MAX:
		capacity = UINT64_MAX;
		break;
	case LIE_CAPACITY_SHRINK:
		if (liar->told)
			capacity = 1;
		break;
	case LIE_QUEUES_ZERO:
		queues = 0;
		break;
	case LIE_QUEUES_MANY:
		queues = UINT16_MAX;
		break;
	case LIE_CONFIG_RANDOM: {
		unsigned short state[3] = {(unsigned short)liar->seed, 0, 0};

		for (size_t i = 0; i < CONFIG_BYTES; i++)
			((uint8_t *)c)[i] = (uint8_t)nrand48(state);
		return;
	}
	default:
		break;
	}
	c->capacity = htole64(capacity);
	c->seg_max = htole32(SEGS_MAX - 2);
	c->blk_size = htole32(SECTOR);
	c->num_queues = htole16(queues);
}
