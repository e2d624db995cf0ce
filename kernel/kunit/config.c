// SPDX-License-Identifier: GPL-2.0-only
/* KUnit tests of the config space, with an owner that answers, refuses, or says nothing. */
#include <kunit/test.h>
#include <linux/sizes.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_console.h>
#include <linux/virtio_input.h>

#include "fake.h"

#define CONFIG_LEN	sizeof(struct virtio_blk_config)
#define WCE		offsetof(struct virtio_blk_config, wce)

/**
 * struct owner - answers one config write, as a process does with VLB_IOC_ANSWER
 * @work: does it
 * @vlb: the device
 * @error: of the answer
 * @value: of the byte after the write
 * @event: what was asked
 * @mistaken: what became of an answer to something else
 * @answered: what became of the answer
 * @again: what became of the same answer a second time
 */
struct owner {
	struct work_struct work;
	struct vlb_device *vlb;
	int error;
	u8 value;
	struct vlb_event event;
	int mistaken;
	int answered;
	int again;
};

static void owner_fn(struct work_struct *work)
{
	struct owner *o = container_of(work, struct owner, work);
	struct vlb_event *e = &o->event;

	if (wait_event_interruptible(o->vlb->event_wait, vlb_event_pending(o->vlb)) ||
	    !vlb_event_take(o->vlb, e))
		return;
	o->mistaken = vlb_config_answer(o->vlb, e->id + 1, 0, e->offset, 1, &o->value);
	o->answered = vlb_config_answer(o->vlb, e->id, o->error, e->offset, 1, &o->value);
	o->again = vlb_config_answer(o->vlb, e->id, 0, e->offset, 1, &o->value);
}

static struct vlb_device *disk(struct kunit *test)
{
	u8 *config = kunit_kmalloc(test, CONFIG_LEN, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, config);
	memset(config, 1, CONFIG_LEN);
	return fake_device(test, "blk", CONFIG_LEN, config);
}

static u8 get_byte(struct vlb_device *vlb, unsigned int offset)
{
	u8 byte;

	vlb_config_get(&vlb->vdev, offset, &byte, 1);
	return byte;
}

static void expect_no_event(struct kunit *test, struct vlb_device *vlb)
{
	struct vlb_event event;

	KUNIT_EXPECT_FALSE(test, vlb_event_take(vlb, &event));
}

/* Behind the end there are zeros, and no bytes of the kernel's. */
static void config_read(struct kunit *test)
{
	struct vlb_device *vlb = disk(test);
	u8 bytes[8], zeros[8] = { }, end[8] = { 1, 1, 1, 1 };

	KUNIT_EXPECT_EQ(test, get_byte(vlb, 0), 1);
	vlb_config_get(&vlb->vdev, CONFIG_LEN - 4, bytes, 8);
	KUNIT_EXPECT_MEMEQ(test, bytes, end, 8);
	vlb_config_get(&vlb->vdev, CONFIG_LEN, bytes, 8);
	KUNIT_EXPECT_MEMEQ(test, bytes, zeros, 8);
	memset(bytes, 1, 8);
	vlb_config_get(&vlb->vdev, U32_MAX, bytes, 8);
	KUNIT_EXPECT_MEMEQ(test, bytes, zeros, 8);
}

static void config_without(struct kunit *test)
{
	struct vlb_device *vlb = fake_device(test, "rng", 0, NULL);

	KUNIT_EXPECT_EQ(test, get_byte(vlb, 0), 0);
	KUNIT_EXPECT_EQ(test, vlb_config_replace(vlb, 0, 0, NULL), 0);
	KUNIT_EXPECT_EQ(test, vlb_config_replace(vlb, 0, 1, "x"), -EINVAL);
}

/* The driver is offered this transport's ring features, and nothing that means its memory. */
static void config_features(struct kunit *test)
{
	struct vlb_device *vlb = fake_device(test, "rng", 0, NULL);

	KUNIT_EXPECT_EQ(test, vlb->offered,
			BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) |
			BIT_ULL(VIRTIO_RING_F_EVENT_IDX));
	kfree(vlb->config);
	vlb->device_features = ~0ULL;
	KUNIT_ASSERT_EQ(test, vlb_config_init(vlb, NULL, 0), 0);
	KUNIT_EXPECT_FALSE(test, vlb->offered & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM));
	KUNIT_EXPECT_FALSE(test, vlb->offered & BIT_ULL(VIRTIO_F_RING_PACKED));
	KUNIT_EXPECT_TRUE(test, vlb->offered & BIT_ULL(0));
}

/* Only of a trusted back-end does the driver learn that consoles have sizes. */
static void config_trusted(struct kunit *test)
{
	struct vlb_device *vlb = fake_device(test, "console", 0, NULL);
	bool trusted[] = { false, true };
	unsigned int i;

	vlb->device_features |= BIT_ULL(VIRTIO_CONSOLE_F_SIZE);
	for (i = 0; i < ARRAY_SIZE(trusted); i++) {
		kfree(vlb->config);
		vlb->trusted = trusted[i];
		KUNIT_ASSERT_EQ(test, vlb_config_init(vlb, NULL, 0), 0);
		KUNIT_EXPECT_EQ(test, !!(vlb->offered & BIT_ULL(VIRTIO_CONSOLE_F_SIZE)), trusted[i]);
	}
}

static void config_replaced(struct kunit *test)
{
	struct vlb_device *vlb = disk(test);
	u32 generation = vlb_config_generation(&vlb->vdev);
	u8 bytes[CONFIG_LEN] = { };

	KUNIT_EXPECT_EQ(test, vlb_config_replace(vlb, CONFIG_LEN - 1, 2, bytes), -EINVAL);
	KUNIT_EXPECT_EQ(test, vlb_config_replace(vlb, CONFIG_LEN + 1, 0, bytes), -EINVAL);
	KUNIT_EXPECT_EQ(test, vlb_config_replace(vlb, U32_MAX, 2, bytes), -EINVAL);
	KUNIT_EXPECT_EQ(test, vlb_config_replace(vlb, 2, U32_MAX, bytes), -EINVAL);
	KUNIT_EXPECT_EQ(test, vlb_config_generation(&vlb->vdev), generation);

	memset(bytes, 2, CONFIG_LEN);
	KUNIT_EXPECT_EQ(test, vlb_config_replace(vlb, 0, CONFIG_LEN, bytes), 0);
	KUNIT_EXPECT_NE(test, vlb_config_generation(&vlb->vdev), generation);
	KUNIT_EXPECT_EQ(test, get_byte(vlb, 0), 2);
	KUNIT_EXPECT_EQ(test, get_byte(vlb, CONFIG_LEN - 1), 2);
}

/* Fields that the type's row does not name, or not so. */
static void config_write_refused(struct kunit *test)
{
	struct vlb_device *vlb = disk(test);
	u8 bytes[8] = { };

	vlb_config_set(&vlb->vdev, 0, bytes, 8);
	vlb_config_set(&vlb->vdev, WCE, bytes, 2);
	vlb_config_set(&vlb->vdev, WCE + 1, bytes, 1);
	vlb_config_set(&vlb->vdev, U32_MAX, bytes, 1);
	expect_no_event(test, vlb);
	KUNIT_EXPECT_EQ(test, get_byte(vlb, 0), 1);
	KUNIT_EXPECT_EQ(test, fake_broken(vlb), 0);
}

static struct owner *write_wce(struct kunit *test, struct vlb_device *vlb, int error, u8 value)
{
	struct owner *o = kunit_kzalloc(test, sizeof(*o), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, o);
	o->vlb = vlb;
	o->error = error;
	o->value = value;
	INIT_WORK(&o->work, owner_fn);
	queue_work(vlb_slow_wq, &o->work);
	vlb_config_set(&vlb->vdev, WCE, "\x05", 1);
	flush_work(&o->work);
	KUNIT_EXPECT_EQ(test, o->event.type, VLB_EVENT_CONFIG_WRITE);
	KUNIT_EXPECT_EQ(test, o->event.offset, WCE);
	KUNIT_EXPECT_EQ(test, o->event.len, 1);
	KUNIT_EXPECT_EQ(test, o->event.data[0], 5);
	KUNIT_EXPECT_EQ(test, o->mistaken, -ENOENT);
	KUNIT_EXPECT_EQ(test, o->answered, 0);
	KUNIT_EXPECT_EQ(test, o->again, -ENOENT);
	KUNIT_EXPECT_EQ(test, fake_broken(vlb), 0);
	return o;
}

/* When the write returns, the driver reads what the owner made of it. */
static void config_write_answered(struct kunit *test)
{
	struct vlb_device *vlb = disk(test);
	struct owner *first, *second;

	first = write_wce(test, vlb, 0, 0);
	KUNIT_EXPECT_EQ(test, get_byte(vlb, WCE), 0);
	second = write_wce(test, vlb, 0, 1);
	KUNIT_EXPECT_EQ(test, get_byte(vlb, WCE), 1);
	KUNIT_EXPECT_NE(test, first->event.id, second->event.id);
}

static void config_write_denied(struct kunit *test)
{
	struct vlb_device *vlb = disk(test);

	write_wce(test, vlb, -EIO, 0);
	KUNIT_EXPECT_EQ(test, get_byte(vlb, WCE), 1);
}

/* Nobody answers: the driver goes on, and the device is broken. */
static void config_write_unanswered(struct kunit *test)
{
	struct vlb_device *vlb = disk(test);
	struct vlb_event event;

	vlb->timeout_ms = 10;
	vlb_config_set(&vlb->vdev, WCE, "\x05", 1);
	KUNIT_EXPECT_EQ(test, fake_broken(vlb), VLB_BROKEN_TIMEOUT);
	/* Too late. */
	KUNIT_EXPECT_FALSE(test, vlb_event_take(vlb, &event) && event.id);
	KUNIT_EXPECT_EQ(test, vlb_config_answer(vlb, 1, 0, WCE, 1, "\x05"), -ENOENT);
	KUNIT_EXPECT_EQ(test, get_byte(vlb, WCE), 1);
	/* A broken device asks nobody. */
	vlb_config_set(&vlb->vdev, WCE, "\x05", 1);
	expect_no_event(test, vlb);
}

/* The same with a device whose owner is gone. */
static void config_write_orphan(struct kunit *test)
{
	struct vlb_device *vlb = disk(test);

	vlb->orphan = true;
	vlb_config_set(&vlb->vdev, WCE, "\x05", 1);
	expect_no_event(test, vlb);
	vlb_config_abort(vlb);
	KUNIT_EXPECT_EQ(test, get_byte(vlb, WCE), 1);
}

/* A field that is written in any context: not waited for, and lost when written too fast. */
static void config_write_posted(struct kunit *test)
{
	const unsigned int offset = offsetof(struct virtio_console_config, emerg_wr);
	struct virtio_console_config config = { };
	struct vlb_device *vlb = fake_device(test, "console", sizeof(config), &config);
	struct vlb_event event;

	local_irq_disable();
	vlb_config_set(&vlb->vdev, offset, "1234", 4);
	vlb_config_set(&vlb->vdev, offset, "5678", 4);
	local_irq_enable();
	KUNIT_ASSERT_TRUE(test, vlb_event_take(vlb, &event));
	KUNIT_EXPECT_EQ(test, event.id, 0);
	KUNIT_EXPECT_EQ(test, event.offset, offset);
	KUNIT_EXPECT_MEMEQ(test, event.data, "1234", 4);
	expect_no_event(test, vlb);
	vlb_config_set(&vlb->vdev, offset, "abcd", 4);
	KUNIT_ASSERT_TRUE(test, vlb_event_take(vlb, &event));
	KUNIT_EXPECT_MEMEQ(test, event.data, "abcd", 4);
}

/* A question that has no answer, and then one with another question in it. */
static void config_question(struct kunit *test)
{
	const unsigned int answer = offsetof(struct virtio_input_config, u);
	struct virtio_input_config config;
	struct vlb_device *vlb;

	memset(&config, 7, sizeof(config));
	vlb = fake_device(test, "input", sizeof(config), &config);
	vlb->orphan = true;
	vlb_config_set(&vlb->vdev, 0, "\x01", 1);
	KUNIT_EXPECT_EQ(test, get_byte(vlb, 0), VIRTIO_INPUT_CFG_ID_NAME);
	KUNIT_EXPECT_EQ(test, get_byte(vlb, 1), 7);
	KUNIT_EXPECT_EQ(test, get_byte(vlb, 2), 0);
	KUNIT_EXPECT_EQ(test, get_byte(vlb, answer), 0);
	KUNIT_EXPECT_EQ(test, get_byte(vlb, sizeof(config) - 1), 0);

	memset(&config, 128, sizeof(config));
	KUNIT_EXPECT_EQ(test, vlb_config_replace(vlb, 0, sizeof(config), (u8 *)&config), 0);
	KUNIT_EXPECT_EQ(test, vlb_config_replace(vlb, 1, 1, (u8 *)&config), 0);
	KUNIT_EXPECT_EQ(test, get_byte(vlb, 0), VIRTIO_INPUT_CFG_ID_NAME);
	KUNIT_EXPECT_EQ(test, get_byte(vlb, 1), 7);
	/* Shorter than the driver's own room for a name. */
	KUNIT_EXPECT_EQ(test, get_byte(vlb, 2), 63);
	KUNIT_EXPECT_EQ(test, get_byte(vlb, answer), 128);
}

static struct kunit_case config_cases[] = {
	KUNIT_CASE(config_read),
	KUNIT_CASE(config_without),
	KUNIT_CASE(config_features),
	KUNIT_CASE(config_trusted),
	KUNIT_CASE(config_replaced),
	KUNIT_CASE(config_write_refused),
	KUNIT_CASE(config_write_answered),
	KUNIT_CASE(config_write_denied),
	KUNIT_CASE(config_write_unanswered),
	KUNIT_CASE(config_write_orphan),
	KUNIT_CASE(config_write_posted),
	KUNIT_CASE(config_question),
	{ }
};

struct kunit_suite vlb_config_suite = {
	.name = "vlb_config",
	.suite_init = fake_suite_init,
	.suite_exit = fake_suite_exit,
	.test_cases = config_cases,
};
