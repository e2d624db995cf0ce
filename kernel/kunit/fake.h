/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A device whose driver, back-end and owner are the test. Everything is freed when the test ends.
 */
#ifndef VLB_KUNIT_FAKE_H
#define VLB_KUNIT_FAKE_H

#include <kunit/test.h>

#include "../vlb.h"

/* Entries of the driver's ring, and of the back-end's. */
#define FAKE_DRIVER_NUM	16
#define FAKE_NUM	8

/**
 * struct fake - a device with one queue
 * @test: whose it is
 * @vlb: the device; not known to the driver core
 * @q: its queue, ready
 * @ring: towards the back-end, attached to @q, or NULL
 * @next_desc: first descriptor of the driver's next request
 * @avail: the driver's available index
 * @seen: what the driver has taken of its used ring
 * @taken: what the back-end has taken of its available ring
 */
struct fake {
	struct kunit *test;
	struct vlb_device *vlb;
	struct vlb_queue *q;
	struct vlb_ring *ring;
	u16 next_desc;
	u16 avail;
	u16 seen;
	u16 taken;
};

/* A buffer of the driver's. */
struct fake_buf {
	void *data;
	u32 len;
	bool write;
};

/* A disk's read or write as its driver builds it: header, data in two buffers, status. */
struct fake_disk_request {
	u8 *header;
	u8 *data[2];
	u8 *status;
	u16 head;
};

extern struct kunit_suite vlb_answers_suite;
extern struct kunit_suite vlb_arena_suite;
extern struct kunit_suite vlb_config_suite;
extern struct kunit_suite vlb_console_suite;
extern struct kunit_suite vlb_event_suite;
extern struct kunit_suite vlb_kick_suite;
extern struct kunit_suite vlb_relay_suite;
extern struct kunit_suite vlb_roles_suite;
extern struct kunit_suite vlb_types_suite;

int fake_suite_init(struct kunit_suite *suite);
void fake_suite_exit(struct kunit_suite *suite);

struct vlb_device *fake_device(struct kunit *test, const char *type, u32 config_len,
			       const void *config);
u32 fake_broken(struct vlb_device *vlb);

struct fake *fake_queue(struct kunit *test, const char *type);
struct fake *fake_queue_config(struct kunit *test, const char *type, u32 config_len,
			       const void *config);
void *fake_alloc(struct fake *f, size_t len, u8 fill);
void fake_attach(struct fake *f, u32 arena_pages, bool indirect);
void fake_detach(struct fake *f, enum vlb_rest rest);

/* The driver. */
u16 fake_add(struct fake *f, const struct fake_buf *bufs, unsigned int n);
u16 fake_add_indirect(struct fake *f, const struct fake_buf *bufs, unsigned int n);
void fake_add_disk_request(struct fake *f, struct fake_disk_request *r, bool write);
void fake_add_again(struct fake *f, u16 head);
bool fake_done(struct fake *f, u16 *ret_head, u32 *ret_len);
void fake_expect_done(struct fake *f, u16 head, u32 len);
void fake_expect_nothing_done(struct fake *f);

/* The relay between them. */
bool fake_submit(struct fake *f);
bool fake_submit_unasked(struct fake *f);
bool fake_complete(struct fake *f);
void fake_expect_empty(struct fake *f);

/* The back-end. */
bool fake_take(struct fake *f, u16 *ret_id);
u16 fake_expect_taken(struct fake *f);
struct vring_desc *fake_desc(struct fake *f, u16 id, unsigned int i);
void *fake_data(struct fake *f, const struct vring_desc *desc);
void fake_finish(struct fake *f, u32 id, u32 len);

#endif
