// SPDX-License-Identifier: GPL-2.0-only
/* KUnit tests of answers of back-ends in which drivers trust more than they should. */
#include <kunit/test.h>
#include <linux/fuse.h>
#include <linux/sizes.h>
#include <linux/virtio_gpio.h>
#include <linux/virtio_scsi.h>
#include <uapi/linux/virtio_vsock.h>

#include "fake.h"

#define PAGES	64

/* A file system's answer whose head has impossible sizes is an I/O error to the driver. */
static void answers_bad_head(struct kunit *test)
{
	static const struct {
		u32 written;
		u32 len;
		s32 error;
		bool good;
	} answers[] = {
		{ 16 + 64, 16 + 64, 0, true }, { 16, 16, -2, true }, { 16, 16, -511, true },
		{ 16 + 64, 16 + 65, 0, false }, { 16 + 64, U32_MAX, 0, false },
		{ 16, 15, 0, false }, { 16, 0, 0, false }, { 15, 16, 0, false },
		{ 16, 16, 1, false }, { 16, 16, -512, false }, { 16, 16, S32_MIN, false },
	};
	struct fake *f = fake_queue(test, "fs");
	u8 *out = fake_alloc(f, 40, 1), *in = fake_alloc(f, 64, 0x77);
	struct fuse_out_header *head = (void *)fake_alloc(f, sizeof(*head), 0x77);
	struct fake_buf bufs[] = {
		{ out, 40, false }, { head, sizeof(*head), true }, { in, 64, true },
	};
	unsigned int i;

	fake_attach(f, PAGES, true);
	for (i = 0; i < ARRAY_SIZE(answers); i++) {
		struct fuse_out_header *sent;
		u16 driver_head = fake_add(f, bufs, ARRAY_SIZE(bufs)), id;

		fake_submit(f);
		id = fake_expect_taken(f);
		sent = fake_data(f, fake_desc(f, id, 1));
		sent->len = answers[i].len;
		sent->error = answers[i].error;
		fake_finish(f, id, answers[i].written);
		fake_complete(f);
		fake_expect_done(f, driver_head, answers[i].written);
		KUNIT_EXPECT_EQ(test, head->len, answers[i].good ? answers[i].len : sizeof(*head));
		KUNIT_EXPECT_EQ(test, head->error, answers[i].good ? answers[i].error : -EIO);
	}
}

/* The answer to the first request sets up everything but time-outs; others are none of our business. */
static void answers_fuse_init(struct kunit *test)
{
	static const u32 opcodes[] = { FUSE_INIT, FUSE_GETATTR };
	struct fake *f = fake_queue(test, "fs");
	struct fuse_in_header *asked = (void *)fake_alloc(f, sizeof(*asked), 0);
	struct fuse_out_header *head = (void *)fake_alloc(f, sizeof(*head), 0);
	struct fuse_init_out *init = (void *)fake_alloc(f, sizeof(*init), 0), *sent;
	struct fake_buf bufs[] = {
		{ asked, sizeof(*asked), false }, { head, sizeof(*head), true },
		{ init, sizeof(*init), true },
	};
	unsigned int i;

	fake_attach(f, PAGES, true);
	for (i = 0; i < ARRAY_SIZE(opcodes); i++) {
		u16 driver_head, id;

		asked->opcode = opcodes[i];
		driver_head = fake_add(f, bufs, ARRAY_SIZE(bufs));
		fake_submit(f);
		id = fake_expect_taken(f);
		head = fake_data(f, fake_desc(f, id, 1));
		head->len = sizeof(*head) + sizeof(*init);
		head->error = 0;
		sent = fake_data(f, fake_desc(f, id, 2));
		memset(sent, 0xff, sizeof(*sent));
		fake_finish(f, id, sizeof(*head) + sizeof(*init));
		fake_complete(f);
		fake_expect_done(f, driver_head, sizeof(*head) + sizeof(*init));
		if (opcodes[i] == FUSE_INIT)
			sent->flags2 = (u32)~VLB_FUSE_REQUEST_TIMEOUT;
		KUNIT_EXPECT_MEMEQ(test, (u8 *)init, (u8 *)sent, sizeof(*init));
	}
}

/* An answer with more sense data than there is room for is none. */
static void answers_scsi_sense(struct kunit *test)
{
	struct fake *f = fake_queue(test, "scsi");
	struct virtio_scsi_cmd_resp *resp = fake_alloc(f, sizeof(*resp), 0x77), *sent;
	struct fake_buf bufs[] = {
		{ fake_alloc(f, 51, 1), 51, false }, { resp, sizeof(*resp), true },
		{ fake_alloc(f, 512, 0x22), 512, true },
	};
	u32 lens[] = { 0, sizeof(resp->sense), sizeof(resp->sense) + 1, U32_MAX };
	unsigned int i;

	f->q->role = f->vlb->type->role(2, 3, 0);
	fake_attach(f, PAGES, true);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		u16 head = fake_add(f, bufs, ARRAY_SIZE(bufs)), id;
		bool good = lens[i] <= sizeof(resp->sense);

		fake_submit(f);
		id = fake_expect_taken(f);
		sent = fake_data(f, fake_desc(f, id, 1));
		memset(sent, 0, sizeof(*sent));
		sent->sense_len = (__force __virtio32)cpu_to_le32(lens[i]);
		sent->response = VIRTIO_SCSI_S_OK;
		/* As some back-ends do. */
		fake_finish(f, id, 0);
		fake_complete(f);
		fake_expect_done(f, head, 0);
		KUNIT_EXPECT_EQ(test, le32_to_cpu((__force __le32)resp->sense_len),
				good ? lens[i] : 0);
		KUNIT_EXPECT_EQ(test, resp->response,
				good ? VIRTIO_SCSI_S_OK : VIRTIO_SCSI_S_FAILURE);
	}
}

/* An interrupt of a GPIO line has one of two states; any other reads as none, and each is one byte. */
static void answers_gpio_event(struct kunit *test)
{
	struct fake *f = fake_queue(test, "gpio");
	u8 *status = fake_alloc(f, 1, 0x77);
	struct fake_buf bufs[] = { { fake_alloc(f, 2, 1), 2, false }, { status, 1, true } };
	const u8 sent[] = { VIRTIO_GPIO_IRQ_STATUS_VALID, 2, 0xff, VIRTIO_GPIO_IRQ_STATUS_INVALID };
	unsigned int i;

	f->q->role = f->vlb->type->role(1, 2, 0);
	fake_attach(f, PAGES, true);
	for (i = 0; i < ARRAY_SIZE(sent); i++) {
		u16 head = fake_add(f, bufs, ARRAY_SIZE(bufs)), id;

		fake_submit(f);
		id = fake_expect_taken(f);
		*(u8 *)fake_data(f, fake_desc(f, id, 1)) = sent[i];
		fake_finish(f, id, i % 3);
		fake_complete(f);
		fake_expect_done(f, head, 1);
		KUNIT_EXPECT_EQ(test, *status, sent[i] == VIRTIO_GPIO_IRQ_STATUS_VALID);
	}
}

/* With fewer names of GPIO lines than lines there are none, as many as the driver knows of. */
static void answers_gpio_names(struct kunit *test)
{
	static const struct {
		const char *names;
		u32 written;
		bool good;
	} answers[] = {
		{ "a\0b\0c\0ddd", 10, true }, { "\0\0\0\0\0\0\0\0\0", 10, true },
		{ "a\0b\0c\0\0\0\0", 10, true }, { "aaaaa\0\0\0d", 10, true },
		{ "aaa\0bbb\0c", 10, false }, { "aaaa\0bbbc", 10, false },
		{ "aaaaaa\0b\0", 10, false }, { "aaaaaaaaa", 10, false },
		{ "aaaaaaaaa", 9, true },
	};
	struct virtio_gpio_config config = {
		.ngpio = cpu_to_le16(4), .gpio_names_size = cpu_to_le32(9),
	};
	struct fake *f = fake_queue_config(test, "gpio", sizeof(config), &config);
	u8 *in = fake_alloc(f, 10, 0x77);
	struct fake_buf bufs[] = { { fake_alloc(f, 8, 1), 8, false }, { in, 10, true } };
	unsigned int i;
	u8 *sent;
	u16 head, id;

	config.ngpio = cpu_to_le16(1);
	KUNIT_ASSERT_EQ(test, vlb_config_replace(f->vlb, 0, sizeof(config), (u8 *)&config), 0);
	fake_attach(f, PAGES, true);
	for (i = 0; i < ARRAY_SIZE(answers); i++) {
		head = fake_add(f, bufs, ARRAY_SIZE(bufs));
		fake_submit(f);
		id = fake_expect_taken(f);
		sent = fake_data(f, fake_desc(f, id, 1));
		sent[0] = VIRTIO_GPIO_STATUS_OK;
		memcpy(sent + 1, answers[i].names, 9);
		fake_finish(f, id, answers[i].written);
		fake_complete(f);
		fake_expect_done(f, head, answers[i].written);
		KUNIT_EXPECT_EQ(test, in[0],
				answers[i].good ? VIRTIO_GPIO_STATUS_OK : VIRTIO_GPIO_STATUS_ERR);
		KUNIT_EXPECT_EQ(test, in[1], answers[i].good ? answers[i].names[0] : 0);
	}

	/* Other answers are not names. */
	bufs[1].len = sizeof(struct virtio_gpio_response);
	head = fake_add(f, bufs, ARRAY_SIZE(bufs));
	fake_submit(f);
	id = fake_expect_taken(f);
	sent = fake_data(f, fake_desc(f, id, 1));
	sent[0] = VIRTIO_GPIO_STATUS_OK;
	sent[1] = 1;
	fake_finish(f, id, 2);
	fake_complete(f);
	fake_expect_done(f, head, 2);
	KUNIT_EXPECT_EQ(test, in[0], VIRTIO_GPIO_STATUS_OK);
	KUNIT_EXPECT_EQ(test, in[1], 1);
}

/* The end of a message reaches a driver that counts packets; others have streams only. */
static void answers_vsock_message(struct kunit *test)
{
	const u64 messages = BIT_ULL(VIRTIO_VSOCK_F_SEQPACKET);
	struct fake *f = fake_queue(test, "vsock");
	struct virtio_vsock_hdr *hdr = fake_alloc(f, SZ_4K, 0x77), *sent;
	struct fake_buf buf = { hdr, SZ_4K, true };
	u64 features = messages;
	unsigned int i;

	f->vlb->type->fit(NULL, NULL, 0, &features);
	KUNIT_EXPECT_EQ(test, features, VLB_VSOCK_BYTES_ALONE ? 0 : messages);
	fake_attach(f, PAGES, true);
	for (i = 0; i < 3; i++) {
		u16 head = fake_add(f, &buf, 1), op = i ? VIRTIO_VSOCK_OP_RW : VIRTIO_VSOCK_OP_SHUTDOWN;
		u16 id;

		fake_submit(f);
		id = fake_expect_taken(f);
		sent = fake_data(f, fake_desc(f, id, 0));
		*sent = (struct virtio_vsock_hdr){
			.op = cpu_to_le16(op), .flags = cpu_to_le32(i < 2 ? VIRTIO_VSOCK_SEQ_EOM : 0),
		};
		fake_finish(f, id, sizeof(*sent));
		fake_complete(f);
		fake_expect_done(f, head, sizeof(*sent));
		KUNIT_EXPECT_EQ(test, le16_to_cpu(hdr->op),
				i == 1 && VLB_VSOCK_BYTES_ALONE ? 0 : op);
	}
}

static struct kunit_case answers_cases[] = {
	KUNIT_CASE(answers_bad_head),
	KUNIT_CASE(answers_fuse_init),
	KUNIT_CASE(answers_scsi_sense),
	KUNIT_CASE(answers_gpio_event),
	KUNIT_CASE(answers_gpio_names),
	KUNIT_CASE(answers_vsock_message),
	{ }
};

struct kunit_suite vlb_answers_suite = {
	.name = "vlb_answers",
	.suite_init = fake_suite_init,
	.suite_exit = fake_suite_exit,
	.test_cases = answers_cases,
};
