// SPDX-License-Identifier: GPL-2.0-only
/* KUnit tests of the table of device types. */
#include <kunit/test.h>
#include <linux/log2.h>
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_gpio.h>
#include <linux/virtio_loopback.h>
#include <linux/virtio_net.h>
#include <linux/virtio_scsi.h>

#include "fake.h"

/* Device ids of virtio 1.3 are below this; one more is unknown to everybody. */
#define IDS	64

static void types_found(struct kunit *test)
{
	unsigned int known = 0;
	u32 id;

	for (id = 0; id < IDS; id++) {
		const struct vlb_type *type = vlb_type_find(id);

		if (!type)
			continue;
		known++;
		KUNIT_EXPECT_EQ(test, type->id, id);
		KUNIT_EXPECT_PTR_EQ(test, vlb_type_by_name(type->name, strlen(type->name)), type);
		KUNIT_EXPECT_NULL(test, vlb_type_by_name(type->name, strlen(type->name) - 1));
	}
	KUNIT_EXPECT_GE(test, known, 1);
	KUNIT_EXPECT_NULL(test, vlb_type_find(0));
	KUNIT_EXPECT_NULL(test, vlb_type_find(U32_MAX));
	KUNIT_EXPECT_NULL(test, vlb_type_by_name("", 0));
	KUNIT_EXPECT_NULL(test, vlb_type_by_name("blkx", 4));
}

/* A row that can be attached has all that the transport takes from it. */
static void types_complete(struct kunit *test)
{
	u32 id;

	for (id = 0; id < IDS; id++) {
		const struct vlb_type *type = vlb_type_find(id);
		const struct vlb_field *field;

		if (!type)
			continue;
		KUNIT_EXPECT_LE(test, type->vclass, VLB_CLASS_REFUSED);
		KUNIT_EXPECT_LT(test, strlen(type->name), sizeof_field(struct vlb_type_info, out_name));
		if (type->vclass == VLB_CLASS_REFUSED) {
			KUNIT_EXPECT_EQ(test, type->pool, 0);
			continue;
		}
		KUNIT_EXPECT_GT(test, type->pool, 0);
		KUNIT_EXPECT_TRUE(test, PAGE_ALIGNED(type->pool));
		KUNIT_EXPECT_TRUE(test, PAGE_ALIGNED(type->pool_queue));
		for (field = type->writable; field && field->len; field++) {
			KUNIT_EXPECT_LE(test, field->offset + field->len, VLB_CONFIG_MAX);
			KUNIT_EXPECT_LE(test, field->len,
					sizeof_field(struct vlb_config_write, data));
		}
	}
}

/* A type whose driver frees what the device has is refused, not trusted. */
static void types_bluetooth(struct kunit *test)
{
	const struct vlb_type *type = vlb_type_by_name("bt", 2);

	KUNIT_ASSERT_NOT_NULL(test, type);
	KUNIT_EXPECT_EQ(test, type->vclass,
			VLB_BT_CLOSE_FREES ? VLB_CLASS_REFUSED : VLB_CLASS_TRUSTED);
}

/* Every queue that a device may have has a role, whose answer fits into it. */
static void types_roles(struct kunit *test)
{
	static const u64 features[] = { 0, ~0ULL };
	unsigned int i, nvqs, index;
	u32 id;

	for (id = 0; id < IDS; id++) {
		const struct vlb_type *type = vlb_type_find(id);

		for (i = 0; type && i < ARRAY_SIZE(features); i++) {
			for (nvqs = 1; nvqs <= VLB_QUEUES_MAX; nvqs++) {
				for (index = 0; index < nvqs; index++) {
					const struct vlb_role *role =
						type->role(index, nvqs, features[i]);

					KUNIT_ASSERT_NOT_NULL(test, role);
					KUNIT_EXPECT_LE(test, role->nstart, sizeof(role->start));
					KUNIT_EXPECT_LE(test, role->nend, sizeof(role->end));
				}
			}
		}
	}
}

/* Where a driver cannot have more requests than some on their way, its ring has no more entries. */
static void types_ring_max(struct kunit *test)
{
	static const struct {
		const char *type;
		u16 asked;
		u16 wanted;
	} rings[] = { { "can", 256, 64 }, { "can", 64, 64 }, { "blk", 256, 256 } };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rings); i++) {
		struct vlb_device *vlb = fake_device(test, rings[i].type, 0, NULL);
		struct virtqueue *vq;

		vlb->driver_queue_size = rings[i].asked;
		vlb->vdev.config = &vlb_config_ops;
		INIT_LIST_HEAD(&vlb->vdev.vqs);
		spin_lock_init(&vlb->vdev.vqs_list_lock);
		vq = virtio_find_single_vq(&vlb->vdev, NULL, "first");
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, vq);
		KUNIT_EXPECT_EQ(test, virtqueue_get_vring_size(vq), rings[i].wanted);
		vlb_config_ops.del_vqs(&vlb->vdev);
	}
}

static void random_limits(struct vlb_limits *limits, struct rnd_state *rnd)
{
	unsigned int nqueues = 1 + prandom_u32_state(rnd) % VLB_QUEUES_MAX;
	unsigned int queue_size = 2u << prandom_u32_state(rnd) % ilog2(VLB_QUEUE_SIZE_MAX);
	u64 pool_len = vlb_pool_min(nqueues, queue_size) + prandom_u32_state(rnd) % SZ_256M;

	vlb_pool_limits(limits, pool_len, nqueues, queue_size);
}

/* Whatever the config space holds: only its bytes are changed, and a second time changes no more. */
static void types_fit_random(struct kunit *test)
{
	u8 *once = kunit_kzalloc(test, VLB_CONFIG_MAX, GFP_KERNEL);
	struct vlb_limits limits = { };
	struct rnd_state rnd;
	unsigned int i;
	u32 id;

	KUNIT_ASSERT_NOT_NULL(test, once);
	prandom_seed_state(&rnd, 2);
	for (id = 0; id < IDS; id++) {
		const struct vlb_type *type = vlb_type_find(id);

		for (i = 0; type && type->fit && i < 100; i++) {
			u32 len = prandom_u32_state(&rnd) % (i % 2 ? 128 : VLB_CONFIG_MAX);
			u64 features = ((u64)prandom_u32_state(&rnd) << 32) | prandom_u32_state(&rnd);
			u64 before, after;
			/* Exactly as long, so that KASAN sees a step too far. */
			u8 *config = kzalloc(len, GFP_KERNEL);

			KUNIT_ASSERT_NOT_NULL(test, config);
			prandom_bytes_state(&rnd, config, len);
			random_limits(&limits, &rnd);
			type->fit(&limits, config, len, &features);
			memcpy(once, config, len);
			before = features;
			type->fit(&limits, config, len, &features);
			after = features;
			KUNIT_EXPECT_MEMEQ(test, config, once, len);
			KUNIT_EXPECT_EQ(test, before, after);
			kfree(config);
		}
	}
}

/* A disk's largest request fits the arena, and there are queues for what it may use. */
static void types_fit_blk(struct kunit *test)
{
	const struct vlb_type *type = vlb_type_by_name("blk", 3);
	struct virtio_blk_config config;
	struct vlb_limits limits;
	struct rnd_state rnd;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, type);
	prandom_seed_state(&rnd, 4);
	for (i = 0; i < 1000; i++) {
		u64 features = BIT_ULL(VIRTIO_BLK_F_SECURE_ERASE), most;
		u32 granularity;

		random_limits(&limits, &rnd);
		memset(&config, 0xff, sizeof(config));
		type->fit(&limits, (u8 *)&config, sizeof(config), &features);
		most = (u64)le32_to_cpu((__force __le32)config.seg_max) *
		       le32_to_cpu((__force __le32)config.size_max);
		KUNIT_EXPECT_LE(test, most, limits.arena);
		KUNIT_EXPECT_GE(test, most, PAGE_SIZE);
		KUNIT_EXPECT_EQ(test, le16_to_cpu((__force __le16)config.num_queues),
				limits.nqueues);
		KUNIT_EXPECT_LT(test, config.physical_block_exp, 31);
		KUNIT_EXPECT_LE(test, config.wce, 1);
		granularity = le32_to_cpu((__force __le32)config.discard_sector_alignment);
		KUNIT_EXPECT_LE(test, granularity, U32_MAX >> SECTOR_SHIFT);
		granularity = le32_to_cpu((__force __le32)config.secure_erase_sector_alignment);
		KUNIT_EXPECT_LE(test, granularity, U32_MAX >> SECTOR_SHIFT);
		KUNIT_EXPECT_EQ(test, !!(features & BIT_ULL(VIRTIO_BLK_F_SECURE_ERASE)),
				!VLB_BLK_ERASE_MISCOUNTS);
		KUNIT_EXPECT_TRUE(test, features & BIT_ULL(VIRTIO_BLK_F_SEG_MAX));
		KUNIT_EXPECT_TRUE(test, features & BIT_ULL(VIRTIO_BLK_F_SIZE_MAX));
	}
}

/* Limits that are not there are not offered. */
static void types_fit_blk_short(struct kunit *test)
{
	const u64 both = BIT_ULL(VIRTIO_BLK_F_SIZE_MAX) | BIT_ULL(VIRTIO_BLK_F_SEG_MAX);
	const struct vlb_limits limits = { .request = SZ_1M, .arena = SZ_1M, .nqueues = 1 };
	const struct vlb_type *type = vlb_type_by_name("blk", 3);
	struct virtio_blk_config config = { };
	u32 len;

	KUNIT_ASSERT_NOT_NULL(test, type);
	for (len = 0; len <= sizeof(config); len++) {
		u64 features = both;

		type->fit(&limits, (u8 *)&config, len, &features);
		KUNIT_EXPECT_EQ(test, features,
				len < offsetofend(struct virtio_blk_config, seg_max) ? 0 : both);
	}
}

/* A CAN controller is never off the bus, whatever else it says. */
static void types_fit_can(struct kunit *test)
{
	const struct vlb_type *type = vlb_type_by_name("can", 3);
	const struct vlb_limits limits = { };
	u8 config[] = { 0xff, 0xff };
	u64 features = ~0ULL;

	KUNIT_ASSERT_NOT_NULL(test, type);
	type->fit(&limits, config, sizeof(config), &features);
	KUNIT_EXPECT_EQ(test, config[0], 0xfe);
	KUNIT_EXPECT_EQ(test, config[1], 0xff);
	KUNIT_EXPECT_EQ(test, features, ~0ULL);
}

/* GPIO lines have names where there is room for one of each. */
static void types_fit_gpio(struct kunit *test)
{
	static const struct {
		u16 lines;
		u32 size;
		u32 wanted;
	} configs[] = {
		{ 4, 4, 4 }, { 4, 3, 0 }, { 4, 0, 0 }, { 1, 1, 1 }, { 0, 0, 0 },
		{ U16_MAX, SZ_1M, SZ_32K }, { U16_MAX, 4095, 0 },
	};
	const struct vlb_type *type = vlb_type_by_name("gpio", 4);
	const struct vlb_limits limits = { };
	struct virtio_gpio_config config;
	unsigned int i;
	u64 features;

	KUNIT_ASSERT_NOT_NULL(test, type);
	for (i = 0; i < ARRAY_SIZE(configs); i++) {
		config.ngpio = cpu_to_le16(configs[i].lines);
		config.gpio_names_size = cpu_to_le32(configs[i].size);
		type->fit(&limits, (u8 *)&config, sizeof(config), &features);
		KUNIT_EXPECT_LE(test, le16_to_cpu(config.ngpio), 4096);
		KUNIT_EXPECT_EQ(test, le32_to_cpu(config.gpio_names_size), configs[i].wanted);
	}
}

/* A config space that ends in the middle: what there is of it is bounded all the same. */
static void types_fit_scsi_short(struct kunit *test)
{
	const struct vlb_type *type = vlb_type_by_name("scsi", 4);
	const struct vlb_limits limits = { .request = SZ_1M, .arena = SZ_1M, .nqueues = 4 };
	struct virtio_scsi_config config;
	u64 features = 0;
	u32 len;

	KUNIT_ASSERT_NOT_NULL(test, type);
	for (len = 0; len <= sizeof(config); len++) {
		memset(&config, 0, sizeof(config));
		memset(&config, 0xff, len);
		type->fit(&limits, (u8 *)&config, len, &features);
		KUNIT_EXPECT_EQ(test, le32_to_cpu((__force __le32)config.num_queues),
				len < offsetofend(struct virtio_scsi_config, num_queues) ? 0 : 2);
		KUNIT_EXPECT_EQ(test, le32_to_cpu((__force __le32)config.seg_max),
				len < offsetofend(struct virtio_scsi_config, seg_max) ?
				0 : SZ_1M / PAGE_SIZE);
		if (len < offsetofend(struct virtio_scsi_config, max_sectors))
			KUNIT_EXPECT_EQ(test, config.max_sectors, 0);
		KUNIT_EXPECT_LE(test, le32_to_cpu((__force __le32)config.max_sectors),
				SZ_1M / SECTOR_SIZE);
		KUNIT_EXPECT_LT(test, le16_to_cpu((__force __le16)config.max_target), 1000);
		KUNIT_EXPECT_LT(test, le32_to_cpu((__force __le32)config.max_lun), SZ_64K);
	}
	/* A request holds a page at least. */
	config.max_sectors = (__force __virtio32)cpu_to_le32(1);
	type->fit(&limits, (u8 *)&config, sizeof(config), &features);
	KUNIT_EXPECT_EQ(test, le32_to_cpu((__force __le32)config.max_sectors),
			PAGE_SIZE / SECTOR_SIZE);
}

/* A receive buffer fits the arena, and the driver's table of pages. */
static void types_fit_net_receive(struct kunit *test)
{
	const u64 gso = BIT_ULL(VIRTIO_NET_F_GUEST_TSO4) | BIT_ULL(VIRTIO_NET_F_GUEST_TSO6);
	const struct vlb_type *type = vlb_type_by_name("net", 3);
	struct vlb_limits limits = { .request = SZ_64K, .arena = SZ_64K, .nqueues = 2 };
	struct virtio_net_config config;
	u64 features = gso;

	KUNIT_ASSERT_NOT_NULL(test, type);
	memset(&config, 0xff, sizeof(config));
	type->fit(&limits, (u8 *)&config, sizeof(config), &features);
	KUNIT_EXPECT_EQ(test, features & gso, 0);
	KUNIT_EXPECT_LE(test, le16_to_cpu((__force __le16)config.mtu), SZ_64K - 2 * PAGE_SIZE);

	/* Mergeable buffers are pages. */
	memset(&config, 0xff, sizeof(config));
	features = gso | BIT_ULL(VIRTIO_NET_F_MRG_RXBUF);
	type->fit(&limits, (u8 *)&config, sizeof(config), &features);
	KUNIT_EXPECT_EQ(test, features & gso, gso);
	KUNIT_EXPECT_EQ(test, le16_to_cpu((__force __le16)config.mtu), U16_MAX);

	limits.arena = SZ_1M;
	features = gso;
	type->fit(&limits, (u8 *)&config, sizeof(config), &features);
	KUNIT_EXPECT_EQ(test, features & gso, 0);
	KUNIT_EXPECT_EQ(test, le16_to_cpu((__force __le16)config.mtu), U16_MAX);
}

/* Without a control queue there is nothing that the driver would send a command for. */
static void types_fit_net_control(struct kunit *test)
{
	const struct vlb_limits limits = { .request = SZ_64K, .arena = SZ_64K, .nqueues = 3 };
	const u64 control = BIT_ULL(VIRTIO_NET_F_CTRL_VQ) | BIT_ULL(VIRTIO_NET_F_MQ) |
			    BIT_ULL(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	const struct vlb_type *type = vlb_type_by_name("net", 3);
	struct virtio_net_config config;
	u64 features = control;
	u16 status;

	KUNIT_ASSERT_NOT_NULL(test, type);
	memset(&config, 0xff, sizeof(config));
	type->fit(&limits, (u8 *)&config, sizeof(config), &features);
	status = le16_to_cpu((__force __le16)config.status);
	KUNIT_EXPECT_EQ(test, features, VLB_NET_CTRL_SPINS ? 0 : control);
	KUNIT_EXPECT_EQ(test, !!(status & VIRTIO_NET_S_ANNOUNCE), !VLB_NET_CTRL_SPINS);

	features = control & ~BIT_ULL(VIRTIO_NET_F_CTRL_VQ);
	type->fit(&limits, (u8 *)&config, sizeof(config), &features);
	status = le16_to_cpu((__force __le16)config.status);
	KUNIT_EXPECT_EQ(test, features, 0);
	KUNIT_EXPECT_FALSE(test, status & VIRTIO_NET_S_ANNOUNCE);
	KUNIT_EXPECT_TRUE(test, status & VIRTIO_NET_S_LINK_UP);

	/* Nor in half a field. */
	memset(&config, 0xff, sizeof(config));
	features = 0;
	type->fit(&limits, (u8 *)&config, offsetof(struct virtio_net_config, status) + 1, &features);
	status = le16_to_cpu((__force __le16)config.status);
	KUNIT_EXPECT_FALSE(test, status & VIRTIO_NET_S_ANNOUNCE);

	/* The address is set on the control queue where the device has one of its own. */
	features = control | BIT_ULL(VIRTIO_NET_F_CTRL_MAC_ADDR);
	type->fit(&limits, (u8 *)&config, sizeof(config), &features);
	KUNIT_EXPECT_FALSE(test, features & BIT_ULL(VIRTIO_NET_F_CTRL_MAC_ADDR));
	features = control | BIT_ULL(VIRTIO_NET_F_CTRL_MAC_ADDR) | BIT_ULL(VIRTIO_NET_F_MAC);
	type->fit(&limits, (u8 *)&config, sizeof(config), &features);
	KUNIT_EXPECT_EQ(test, !!(features & BIT_ULL(VIRTIO_NET_F_CTRL_MAC_ADDR)),
			!VLB_NET_CTRL_SPINS);
}

/* With every other feature: no driver is told of these. */
static void types_fit_net_hidden(struct kunit *test)
{
	const struct vlb_limits limits = { .request = SZ_64K, .arena = SZ_64K, .nqueues = 3 };
	const struct vlb_type *type = vlb_type_by_name("net", 3);
	struct virtio_net_config config = { };
	u64 features = ~0ULL;

	KUNIT_ASSERT_NOT_NULL(test, type);
	type->fit(&limits, (u8 *)&config, sizeof(config), &features);
	KUNIT_EXPECT_FALSE(test, features & BIT_ULL(VLB_NET_F_DEVICE_STATS));
	KUNIT_EXPECT_FALSE(test, features & BIT_ULL(VIRTIO_NET_F_STANDBY));
	KUNIT_EXPECT_TRUE(test, features & BIT_ULL(VIRTIO_NET_F_MAC));
}

static struct kunit_case types_cases[] = {
	KUNIT_CASE(types_found),
	KUNIT_CASE(types_complete),
	KUNIT_CASE(types_bluetooth),
	KUNIT_CASE(types_roles),
	KUNIT_CASE(types_ring_max),
	KUNIT_CASE(types_fit_random),
	KUNIT_CASE(types_fit_blk),
	KUNIT_CASE(types_fit_blk_short),
	KUNIT_CASE(types_fit_can),
	KUNIT_CASE(types_fit_gpio),
	KUNIT_CASE(types_fit_scsi_short),
	KUNIT_CASE(types_fit_net_receive),
	KUNIT_CASE(types_fit_net_control),
	KUNIT_CASE(types_fit_net_hidden),
	{ }
};

struct kunit_suite vlb_types_suite = {
	.name = "vlb_types",
	.suite_init = fake_suite_init,
	.suite_exit = fake_suite_exit,
	.test_cases = types_cases,
};
