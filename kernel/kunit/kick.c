// SPDX-License-Identifier: GPL-2.0-only
/* KUnit tests of kick files: what a back-end sees of its requests by poll() and read(). */
#include <kunit/resource.h>
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/poll.h>

#include "fake.h"

#define PAGES	16

static void put_file(void *arg)
{
	fput(arg);
}

/* A disk whose back-end wants kicks, and its file. */
static struct file *attach(struct fake *f)
{
	struct file *file;

	fake_attach(f, PAGES, true);
	f->ring->used->flags = 0;
	file = vlb_kick_file(f->ring->kick);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(f->test, file);
	KUNIT_ASSERT_EQ(f->test, kunit_add_action_or_reset(f->test, put_file, file), 0);
	return file;
}

static void request(struct fake *f)
{
	struct fake_buf bufs[2] = {
		{ fake_alloc(f, 16, 0), 16, false },
		{ fake_alloc(f, 1, 0), 1, true },
	};

	fake_add(f, bufs, ARRAY_SIZE(bufs));
	fake_submit(f);
}

static void answer(struct fake *f)
{
	fake_finish(f, fake_expect_taken(f), 1);
	fake_complete(f);
}

static bool readable(struct file *file)
{
	__poll_t events = vfs_poll(file, NULL);

	return events & EPOLLIN;
}

/* What read() gives, or an error. */
static s64 take(struct file *file)
{
	u64 count = 0;
	loff_t pos = 0;
	ssize_t n = kernel_read(file, &count, sizeof(count), &pos);

	return n == sizeof(count) ? count : n;
}

static ssize_t give(struct file *file, u64 count, size_t len)
{
	loff_t pos = 0;

	return kernel_write(file, &count, len, &pos);
}

/* A kick is to be seen until it is read, unless there is nothing more to do. */
static void kick_out_of_date(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct file *file = attach(f);

	KUNIT_EXPECT_FALSE(test, readable(file));
	request(f);
	KUNIT_EXPECT_TRUE(test, readable(file));
	answer(f);
	KUNIT_EXPECT_FALSE(test, readable(file));
	request(f);
	request(f);
	KUNIT_EXPECT_TRUE(test, readable(file));
	answer(f);
	KUNIT_EXPECT_TRUE(test, readable(file));
	KUNIT_EXPECT_EQ(test, take(file), 3);
	KUNIT_EXPECT_FALSE(test, readable(file));
	answer(f);
	KUNIT_EXPECT_FALSE(test, readable(file));
	KUNIT_EXPECT_EQ(test, take(file), -EAGAIN);
}

/* Who reads without having asked gets what there was. */
static void kick_read_late(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct file *file = attach(f);

	KUNIT_EXPECT_EQ(test, take(file), -EAGAIN);
	request(f);
	answer(f);
	KUNIT_EXPECT_EQ(test, take(file), 1);
	KUNIT_EXPECT_EQ(test, take(file), -EAGAIN);
}

/* Where the back-end wants no kick it gets none, and an old one is seen again. */
static void kick_unwanted(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct file *file = attach(f);

	f->ring->used->flags = (__force __virtio16)cpu_to_le16(VRING_USED_F_NO_NOTIFY);
	request(f);
	KUNIT_EXPECT_FALSE(test, readable(file));
	f->ring->used->flags = 0;
	request(f);
	KUNIT_EXPECT_TRUE(test, readable(file));
	answer(f);
	answer(f);
	KUNIT_EXPECT_FALSE(test, readable(file));
	f->ring->used->flags = (__force __virtio16)cpu_to_le16(VRING_USED_F_NO_NOTIFY);
	request(f);
	KUNIT_EXPECT_TRUE(test, readable(file));
	KUNIT_EXPECT_EQ(test, take(file), 1);
}

/* The start of the ring, and what a back-end writes, are about something else than requests. */
static void kick_forced(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct file *file = attach(f);

	vlb_kick_start(f->ring->kick);
	KUNIT_EXPECT_TRUE(test, readable(file));
	KUNIT_EXPECT_EQ(test, take(file), 1);

	KUNIT_EXPECT_EQ(test, give(file, 5, 8), 8);
	KUNIT_EXPECT_TRUE(test, readable(file));
	request(f);
	answer(f);
	KUNIT_EXPECT_TRUE(test, readable(file));
	KUNIT_EXPECT_EQ(test, take(file), 6);
	request(f);
	answer(f);
	KUNIT_EXPECT_FALSE(test, readable(file));
}

static void kick_write_limits(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct file *file = attach(f);

	KUNIT_EXPECT_EQ(test, give(file, 1, 7), -EINVAL);
	KUNIT_EXPECT_EQ(test, give(file, U64_MAX, 8), -EINVAL);
	KUNIT_EXPECT_EQ(test, give(file, 0, 8), 8);
	KUNIT_EXPECT_FALSE(test, readable(file));
	KUNIT_EXPECT_EQ(test, give(file, U64_MAX - 1, 8), 8);
	KUNIT_EXPECT_EQ(test, give(file, U64_MAX - 1, 8), 8);
	KUNIT_EXPECT_EQ(test, (u64)take(file), U64_MAX - 1);
	KUNIT_EXPECT_EQ(test, take(file), -EAGAIN);
}

/**
 * struct sleeper - a thread of a back-end that sleeps in read()
 * @work: does it
 * @file: with O_NONBLOCK cleared
 * @got: what it gave
 */
struct sleeper {
	struct work_struct work;
	struct file *file;
	s64 got;
};

static void sleeper_fn(struct work_struct *work)
{
	struct sleeper *s = container_of(work, struct sleeper, work);

	WRITE_ONCE(s->got, take(s->file));
}

/* A kick that is out of date does not wake a thread, and neither hides the next one from it. */
static void kick_sleeper(struct kunit *test)
{
	struct fake *f = fake_queue(test, "blk");
	struct sleeper *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, s);
	s->file = attach(f);
	s->file->f_flags &= ~O_NONBLOCK;
	INIT_WORK(&s->work, sleeper_fn);
	request(f);
	answer(f);
	queue_work(vlb_wq, &s->work);
	/* A look that comes too early is repeated. */
	while (!waitqueue_active(&f->ring->kick->wait) && !READ_ONCE(s->got))
		usleep_range(20, 100);
	KUNIT_EXPECT_EQ(test, READ_ONCE(s->got), 0);
	request(f);
	flush_work(&s->work);
	KUNIT_EXPECT_EQ(test, s->got, 2);
	answer(f);
}

/* The file outlives the session. */
static void kick_without_session(struct kunit *test)
{
	struct vlb_kick *kick = vlb_kick_new();
	struct file *file;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, kick);
	file = vlb_kick_file(kick);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	vlb_kick_start(kick);
	vlb_kick_put(kick);
	KUNIT_EXPECT_TRUE(test, readable(file));
	KUNIT_EXPECT_EQ(test, take(file), 1);
	KUNIT_EXPECT_EQ(test, give(file, 2, 8), 8);
	KUNIT_EXPECT_EQ(test, take(file), 2);
	fput(file);
}

static struct kunit_case kick_cases[] = {
	KUNIT_CASE(kick_out_of_date),
	KUNIT_CASE(kick_read_late),
	KUNIT_CASE(kick_unwanted),
	KUNIT_CASE(kick_forced),
	KUNIT_CASE(kick_write_limits),
	KUNIT_CASE(kick_sleeper),
	KUNIT_CASE(kick_without_session),
	{ }
};

struct kunit_suite vlb_kick_suite = {
	.name = "vlb_kick",
	.suite_init = fake_suite_init,
	.suite_exit = fake_suite_exit,
	.test_cases = kick_cases,
};
