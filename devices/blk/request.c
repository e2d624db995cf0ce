/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <linux/virtio_blk.h>
#include <string.h>

#include "request.h"

void blk_vec_advance(struct blk_vec *vec, uint64_t len)
{
	while (vec->n && len >= vec->iov->iov_len) {
		len -= vec->iov->iov_len;
		vec->iov++;
		vec->n--;
	}
	if (vec->n) {
		vec->iov->iov_base = (uint8_t *)vec->iov->iov_base + len;
		vec->iov->iov_len -= len;
	}
}

void blk_vec_load(const struct blk_vec *vec, void *buf, size_t len)
{
	const struct iovec *iov = vec->iov;
	uint8_t *to = buf;

	for (; len; iov++) {
		size_t now = iov->iov_len < len ? iov->iov_len : len;

		memcpy(to, iov->iov_base, now);
		to += now;
		len -= now;
	}
}

void blk_vec_store(const struct blk_vec *vec, const void *buf, size_t len)
{
	const struct iovec *iov = vec->iov;
	const uint8_t *from = buf;

	for (; len; iov++) {
		size_t now = iov->iov_len < len ? iov->iov_len : len;

		memcpy(iov->iov_base, from, now);
		from += now;
		len -= now;
	}
}

bool blk_vec_aligned(const struct blk_vec *vec, uint32_t mem, uint32_t len)
{
	uintptr_t bases = 0, lens = 0;

	for (uint32_t i = 0; i < vec->n; i++) {
		bases |= (uintptr_t)vec->iov[i].iov_base;
		lens |= vec->iov[i].iov_len;
	}
	return !(bases & (mem - 1)) && !(lens & (len - 1));
}

static void answer(struct blk_request *r, uint8_t status)
{
	r->action = BLK_ANSWERED;
	r->status = status;
}

/* The status is the last writable byte, wherever the driver drew the borders (2.7.4). */
static void split_status(struct vloop_req *req, struct blk_request *r)
{
	struct iovec *last = &req->writable[req->n_writable - 1];

	last->iov_len--;
	r->status_at = (uint8_t *)last->iov_base + last->iov_len;
	r->in.iov = req->writable;
	r->in.n = last->iov_len ? req->n_writable : req->n_writable - 1;
}

static bool inside(uint64_t sector, uint64_t num, const struct blk_limits *limits)
{
	return num <= limits->capacity && sector <= limits->capacity - num;
}

static void data_request(struct blk_request *r, const struct blk_limits *limits, uint64_t sector,
			 uint64_t len)
{
	uint64_t num = len / BLK_SECTOR;

	if (len % BLK_SECTOR || len > BLK_DATA_MAX || num % limits->align ||
	    sector % limits->align || !inside(sector, num, limits)) {
		answer(r, VIRTIO_BLK_S_IOERR);
		return;
	}
	if (num == 0) {
		answer(r, VIRTIO_BLK_S_OK);
		return;
	}
	r->offset = sector * BLK_SECTOR;
	r->len = len;
}

/* Return: a status; the first range that is wrong decides (virtio 1.3, 5.2.6.2). */
static uint8_t check_range(const struct virtio_blk_discard_write_zeroes *seg, bool discard,
			   const struct blk_limits *limits, struct blk_range *ret_range)
{
	uint32_t max = discard ? limits->max_discard : limits->max_write_zeroes;
	uint32_t known = discard ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	uint32_t num = le32toh(seg->num_sectors), flags = le32toh(seg->flags);
	uint64_t sector = le64toh(seg->sector);

	if (flags & ~known)
		return VIRTIO_BLK_S_UNSUPP;
	if (num > max || !inside(sector, num, limits))
		return VIRTIO_BLK_S_IOERR;
	ret_range->offset = sector * BLK_SECTOR;
	ret_range->len = (uint64_t)num * BLK_SECTOR;
	ret_range->unmap = flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	return VIRTIO_BLK_S_OK;
}

/* All ranges are checked before anything is done to one of them. */
static void range_request(struct vloop_req *req, const struct blk_limits *limits,
			  struct blk_request *r)
{
	struct virtio_blk_discard_write_zeroes seg;
	const size_t hdr = sizeof(struct virtio_blk_outhdr);
	uint64_t len = req->readable_len - hdr;
	bool discard = r->action == BLK_DISCARD;

	if ((discard ? limits->max_discard : limits->max_write_zeroes) == 0) {
		answer(r, limits->read_only ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_UNSUPP);
		return;
	}
	if (len == 0 || len % sizeof(seg) || len / sizeof(seg) > BLK_RANGES_MAX) {
		answer(r, VIRTIO_BLK_S_IOERR);
		return;
	}
	while (r->n_ranges < len / sizeof(seg)) {
		uint8_t status;

		vloop_req_read(req, hdr + r->n_ranges * sizeof(seg), &seg, sizeof(seg));
		status = check_range(&seg, discard, limits, &r->ranges[r->n_ranges]);
		if (status != VIRTIO_BLK_S_OK) {
			answer(r, status);
			return;
		}
		r->n_ranges++;
	}
}

static void write_request(struct vloop_req *req, const struct blk_limits *limits, uint64_t sector,
			  struct blk_request *r)
{
	if (limits->read_only) {
		answer(r, VIRTIO_BLK_S_IOERR);
		return;
	}
	r->out.iov = req->readable;
	r->out.n = req->n_readable;
	blk_vec_advance(&r->out, sizeof(struct virtio_blk_outhdr));
	data_request(r, limits, sector, req->readable_len - sizeof(struct virtio_blk_outhdr));
}

void blk_parse(struct vloop_req *req, const struct blk_limits *limits, struct blk_request *r)
{
	struct virtio_blk_outhdr hdr;

	r->action = BLK_LOST;
	r->used = 0;
	r->n_ranges = 0;
	if (req->n_writable == 0)
		return;
	split_status(req, r);
	if (req->writable_len > BLK_DATA_MAX + 1ULL) {
		/* Too much to be zeroed: nothing is claimed, but the status is there. */
		r->in.n = 0;
		answer(r, VIRTIO_BLK_S_IOERR);
		return;
	}
	r->used = (uint32_t)req->writable_len;
	if (vloop_req_read(req, 0, &hdr, sizeof(hdr)) < sizeof(hdr)) {
		answer(r, VIRTIO_BLK_S_IOERR);
		return;
	}
	switch (le32toh(hdr.type)) {
	case VIRTIO_BLK_T_IN:
		r->action = BLK_READ;
		data_request(r, limits, le64toh(hdr.sector), r->used - 1);
		return;
	case VIRTIO_BLK_T_OUT:
		r->action = BLK_WRITE;
		write_request(req, limits, le64toh(hdr.sector), r);
		return;
	case VIRTIO_BLK_T_FLUSH:
		r->action = BLK_FLUSH;
		return;
	case VIRTIO_BLK_T_GET_ID:
		r->action = BLK_GET_ID;
		if (r->used - 1 != BLK_ID_LEN)
			answer(r, VIRTIO_BLK_S_IOERR);
		return;
	case VIRTIO_BLK_T_DISCARD:
		r->action = BLK_DISCARD;
		range_request(req, limits, r);
		return;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		r->action = BLK_WRITE_ZEROES;
		range_request(req, limits, r);
		return;
	default:
		answer(r, VIRTIO_BLK_S_UNSUPP);
	}
}

uint32_t blk_finish(struct blk_request *r, uint8_t status)
{
	for (uint32_t i = 0; i < r->in.n; i++)
		memset(r->in.iov[i].iov_base, 0, r->in.iov[i].iov_len);
	*r->status_at = status;
	return r->used;
}
