/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "types.h"

#define ADDRESSES "its requests carry memory addresses, which a relay cannot translate"

/* Ids: virtio 1.3, section 5. Queues and modules: Linux's drivers. */
static const struct vloop_type types[] = {
	{
		.name = "net",
		.id = 1,
		.module = "virtio_net",
		.queues = 2,
		.mq_bit = 22,
		.count_offset = 8,
		.count_size = 2,
		.config_sizes = {24, 17, 12, 10, 8},
		.config_min = 6,
		.where = {"net/*"},
		.dev_prefix = "",
		.features = features_net,
		.fields = fields_net,
	},
	{
		.name = "blk",
		.id = 2,
		.flags = TYPE_CONFIG_REQUIRED | TYPE_PER_CPU,
		.module = "virtio_blk",
		.queues = 1,
		.mq_bit = 12,
		.count_offset = 34,
		.count_size = 2,
		.config_sizes = {96, 72, 60, 36, 32, 24},
		.config_min = 24,
		.where = {"block/*"},
		.dev_prefix = "/dev/",
		.features = features_blk,
		.fields = fields_blk,
	},
	{
		.name = "console",
		.id = 3,
		.flags = TYPE_ALL_QUEUES,
		.module = "virtio_console",
		.ring_size = 128,
		.queues = 2,
		.queues_fixed = 2,
		.queues_each = 2,
		.mq_bit = 1,
		.count_offset = 4,
		.count_size = 4,
		.config_sizes = {12, 8, 4},
		.several = "ports",
		.where = {"virtio-ports/*"},
		.dev_prefix = "/dev/",
		.features = features_console,
		.fields = fields_console,
	},
	{
		.name = "rng",
		.id = 4,
		.module = "virtio_rng",
		.queues = 1,
		.mq_bit = FIELD_ALWAYS,
		.features = features_none,
		.fields = fields_none,
	},
	{
		.name = "scsi",
		.id = 8,
		.flags = TYPE_PER_CPU,
		.module = "virtio_scsi",
		.ring_size = 128,
		.queues = 3,
		.queues_fixed = 2,
		.mq_bit = FIELD_ALWAYS,
		.count_offset = 0,
		.count_size = 4,
		.config_sizes = {36},
		.config_min = 36,
		.where = {"host*"},
		.dev_prefix = "scsi_",
		.features = features_scsi,
		.fields = fields_scsi,
	},
	{
		.name = "rtc",
		.id = 17,
		.module = "virtio_rtc",
		.queues = 2,
		.mq_bit = FIELD_ALWAYS,
		.where = {"rtc/*", "ptp/*"},
		.dev_prefix = "/dev/",
		.features = features_rtc,
		.fields = fields_none,
	},
	{
		.name = "input",
		.id = 18,
		.flags = TYPE_CONFIG_REQUIRED | TYPE_CONFIG_WHOLE,
		.module = "virtio_input",
		.queues = 2,
		.mq_bit = FIELD_ALWAYS,
		.config_sizes = {136},
		.config_min = 8,
		.where = {"input/*/event*"},
		.dev_prefix = "/dev/input/",
		.features = features_none,
		.fields = fields_input,
		.details = details_input,
	},
	{
		.name = "vsock",
		.id = 19,
		.flags = TYPE_CONFIG_REQUIRED,
		.module = "vmw_vsock_virtio_transport",
		.queues = 3,
		.mq_bit = FIELD_ALWAYS,
		.config_sizes = {8},
		.config_min = 8,
		.features = features_vsock,
		.fields = fields_vsock,
	},
	{
		.name = "sound",
		.id = 25,
		.flags = TYPE_CONFIG_REQUIRED,
		.module = "virtio_snd",
		.ring_size = 64,
		.queues = 4,
		.mq_bit = FIELD_ALWAYS,
		.config_sizes = {16, 12},
		.config_min = 12,
		.where = {"sound/card*"},
		.dev_prefix = "",
		.features = features_sound,
		.fields = fields_sound,
	},
	{
		.name = "fs",
		.id = 26,
		.flags = TYPE_PER_CPU,
		.module = "virtiofs",
		.queues = 2,
		.queues_fixed = 1,
		.mq_bit = FIELD_ALWAYS,
		.count_offset = 36,
		.count_size = 4,
		.config_sizes = {44, 40},
		.config_min = 40,
		.features = features_fs,
		.fields = fields_fs,
	},
	{
		.name = "scmi",
		.id = 32,
		.module = "scmi_transport_virtio",
		.queues = 2,
		.mq_bit = FIELD_ALWAYS,
		.features = features_scmi,
		.fields = fields_none,
	},
	{
		.name = "i2c",
		.id = 34,
		.module = "i2c-virtio",
		.queues = 1,
		.mq_bit = FIELD_ALWAYS,
		.where = {"i2c-*"},
		.dev_prefix = "/dev/",
		.features = features_i2c,
		.fields = fields_none,
	},
	{
		.name = "can",
		.id = 36,
		.module = "virtio_can",
		.ring_size = 64,
		.queues = 3,
		.mq_bit = FIELD_ALWAYS,
		.config_sizes = {2},
		.where = {"net/*"},
		.dev_prefix = "",
		.features = features_can,
		.fields = fields_can,
	},
	{
		.name = "bt",
		.id = 40,
		.module = "virtio_bt",
		.queues = 2,
		.mq_bit = FIELD_ALWAYS,
		.config_sizes = {8, 5},
		.config_min = 5,
		.where = {"bluetooth/*"},
		.dev_prefix = "",
		.features = features_bt,
		.fields = fields_bt,
	},
	{
		.name = "gpio",
		.id = 41,
		.flags = TYPE_CONFIG_REQUIRED,
		.module = "gpio-virtio",
		.queues = 2,
		.mq_bit = FIELD_ALWAYS,
		.config_sizes = {8},
		.config_min = 8,
		.where = {"gpiochip*"},
		.dev_prefix = "/dev/",
		.features = features_gpio,
		.fields = fields_gpio,
	},
	{
		.name = "spi",
		.id = 45,
		.flags = TYPE_CONFIG_REQUIRED,
		.module = "spi-virtio",
		.queues = 1,
		.mq_bit = FIELD_ALWAYS,
		.config_sizes = {32},
		.config_min = 32,
		.where = {"spi_master/*"},
		.dev_prefix = "",
		.features = features_none,
		.fields = fields_spi,
	},
	{.name = "balloon", .id = 5, .refused = ADDRESSES},
	{.name = "gpu", .id = 16, .refused = ADDRESSES},
	{
		.name = "crypto",
		.id = 20,
		.refused = "its vhost-user protocol moves keys over the socket in messages of its "
			   "own, which no driver of this kernel could start",
	},
	{
		.name = "iommu",
		.id = 23,
		.refused = "its driver waits under a spinlock, so that a slow process would stop "
			   "the machine",
	},
	{.name = "mem", .id = 24, .refused = ADDRESSES},
	{
		.name = "pmem",
		.id = 27,
		.refused = "its memory would be mapped by applications without any request that "
			   "could be relayed",
	},
};

#define NTYPES (sizeof(types) / sizeof(types[0]))

const struct vloop_type *type_by_name(const char *name)
{
	for (size_t i = 0; i < NTYPES; i++)
		if (!strcmp(types[i].name, name))
			return &types[i];
	return NULL;
}

const struct vloop_type *type_by_id(uint32_t id)
{
	for (size_t i = 0; i < NTYPES; i++)
		if (types[i].id == id)
			return &types[i];
	return NULL;
}

const char *type_names(void)
{
	static char text[256];
	size_t len = 0;

	for (size_t i = 0; i < NTYPES; i++)
		if (!types[i].refused)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s",
						len ? ", " : "", types[i].name);
	return text;
}

/* virtio 1.3, section 6, and the vhost-user specification. */
static const struct feature_name features_common[] = {
	{24, "notify-on-empty"},
	{26, "log-all"},
	{27, "any-layout"},
	{28, "indirect-desc"},
	{29, "event-idx"},
	{30, "protocol-features"},
	{32, "version-1"},
	{33, "access-platform"},
	{34, "ring-packed"},
	{35, "in-order"},
	{36, "order-platform"},
	{37, "sr-iov"},
	{38, "notification-data"},
	{39, "notif-config-data"},
	{40, "ring-reset"},
	{41, "admin-vq"},
	{0, NULL},
};

static const struct feature_name protocol_features[] = {
	{0, "mq"},
	{1, "log-shmfd"},
	{2, "rarp"},
	{3, "reply-ack"},
	{4, "net-mtu"},
	{5, "backend-req"},
	{6, "cross-endian"},
	{7, "crypto-session"},
	{8, "pagefault"},
	{9, "config"},
	{10, "backend-send-fd"},
	{11, "host-notifier"},
	{12, "inflight-shmfd"},
	{13, "reset-device"},
	{14, "inband-notifications"},
	{15, "configure-mem-slots"},
	{16, "status"},
	{17, "xen-mmap"},
	{18, "shared-object"},
	{19, "device-state"},
	{20, "get-vring-base-inflight"},
	{21, "gpa-addresses"},
	{22, "shmem"},
	{0, NULL},
};

static const char *look_up(const struct feature_name *table, unsigned int bit)
{
	for (; table->name; table++)
		if (table->bit == bit)
			return table->name;
	return NULL;
}

const char *feature_name(const struct vloop_type *type, unsigned int bit)
{
	const char *name = look_up(features_common, bit);

	if (!name && type && type->features)
		name = look_up(type->features, bit);
	return name;
}

const char *protocol_feature_name(unsigned int bit)
{
	return look_up(protocol_features, bit);
}

uint64_t type_unknown_features(const struct vloop_type *type, uint64_t features)
{
	uint64_t unknown = 0;

	/* 0 to 23 and 50 to 127 belong to the device type (virtio 1.3, section 2.2). */
	for (unsigned int bit = 0; bit < 64; bit++) {
		if (!(features & (1ULL << bit)) || (bit >= 24 && bit < 50))
			continue;
		if (!feature_name(type, bit))
			unknown |= 1ULL << bit;
	}
	return unknown;
}
