/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests of a block device, from the driver's bytes to something that can be done
 * (virtio 1.3, 5.2.6). Nothing here touches a file.
 */
#ifndef BLK_REQUEST_H
#define BLK_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <vloop/vloop.h>

#define BLK_SECTOR	512U
#define BLK_ID_LEN	20U		/* virtio 1.3, 5.2.6: GET_ID */
#define BLK_RANGES_MAX	16U		/* ranges in one discard or write-zeroes request */
#define BLK_DATA_MAX	(1U << 30)	/* data of one request; used lengths have 32 bits */

enum blk_action {
	BLK_LOST,		/* not even a status can be returned: complete with nothing */
	BLK_ANSWERED,		/* nothing to be done; .status is the answer */
	BLK_READ,
	BLK_WRITE,
	BLK_FLUSH,
	BLK_GET_ID,
	BLK_DISCARD,
	BLK_WRITE_ZEROES,
};

/* What decides whether a request is allowed. */
struct blk_limits {
	uint64_t capacity;		/* sectors of 512 bytes */
	uint32_t align;			/* sectors that data has to come in; 1 or more */
	uint32_t max_discard;		/* sectors in one range; 0: there is no discard */
	uint32_t max_write_zeroes;	/* the same */
	bool read_only;
};

/* Pieces of the driver's memory; consumed from the front. */
struct blk_vec {
	struct iovec *iov;
	uint32_t n;
};

/* Bytes of the disk. */
struct blk_range {
	uint64_t offset;
	uint64_t len;
	bool unmap;
};

/*
 * A checked request. @in and @out point into the iovecs of the vloop_req, which they change:
 * without the header, without the status byte, and shorter with everything that was transferred.
 */
struct blk_request {
	enum blk_action action;
	uint8_t status;
	uint8_t *status_at;
	uint32_t used;			/* writable bytes, status included */
	struct blk_vec in;		/* what the driver gets */
	struct blk_vec out;		/* what the driver sent */
	uint64_t offset;		/* READ, WRITE: in bytes ... */
	uint64_t len;			/* ... of the disk */
	uint32_t n_ranges;		/* DISCARD, WRITE_ZEROES */
	struct blk_range ranges[BLK_RANGES_MAX];
};

/*
 * Read and check a request. Every word is loaded from the driver's memory once.
 *
 * What breaks the rules becomes BLK_ANSWERED with VIRTIO_BLK_S_IOERR or VIRTIO_BLK_S_UNSUPP.
 */
void blk_parse(struct vloop_req *req, const struct blk_limits *limits,
	       struct blk_request *ret_request);

/*
 * Store the status, and zeroes wherever data was promised and did not come, so that the returned
 * length is true: the bytes to be given to vloop_queue_complete().
 */
uint32_t blk_finish(struct blk_request *request, uint8_t status);

/* Forget the first @len bytes, or all. */
void blk_vec_advance(struct blk_vec *vec, uint64_t len);

/* Copy between a buffer and the beginning of @vec, which has @len bytes or more. */
void blk_vec_load(const struct blk_vec *vec, void *buf, size_t len);
void blk_vec_store(const struct blk_vec *vec, const void *buf, size_t len);

/*
 * blk_vec_aligned() - whether every kernel takes the pieces for direct I/O as they are: older ones,
 * such as 6.12, want each length to suit, and not only all of them together. @mem, @len: powers of two
 */
bool blk_vec_aligned(const struct blk_vec *vec, uint32_t mem, uint32_t len);

#endif
