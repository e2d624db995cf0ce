// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of device types. All that the transport knows of a type is in its row; the layouts
 * are those of virtio 1.3, chapter 5, and of the kernel's UAPI headers.
 */
#include <linux/bitops.h>
#include <linux/build_bug.h>
#include <linux/fuse.h>
#include <linux/if_ether.h>
#include <linux/input-event-codes.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_console.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_gpio.h>
#include <linux/virtio_input.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <linux/virtio_scsi.h>
#include <linux/virtio_snd.h>
#include <uapi/linux/virtio_vsock.h>
#include <linux/virtio_loopback.h>

#include "compat.h"
#include "types.h"

#define ROLE_ARGS	unsigned int index, unsigned int nvqs, u64 features

/* Linux drivers put no more than this into a request by default: 1280 KiB, in pages. */
#define BLK_SEG_MAX	(1280 * SZ_1K / PAGE_SIZE)

/* Physical blocks of 32 MiB, in logical ones of 512 bytes. */
#define BLK_PHYSICAL_EXP_MAX	16

/* The most sectors whose bytes 32 bits can count. */
#define BLK_ALIGNMENT_MAX	(U32_MAX >> SECTOR_SHIFT)

/*
 * The most that a driver is told of, where it would allocate memory, or loop, by the number
 * alone. Targets and LUNs: virtio 1.3, 5.6.6.1. RSS: what every device has to have, 5.1.4.2, and
 * older drivers have no room for more. The others are far above any real device.
 */
#define SCSI_TARGET_MAX		255
#define SCSI_LUN_MAX		16383
#define NET_RSS_KEY_MAX		40
#define NET_RSS_TABLE_MAX	128
#define SOUND_ITEMS_MAX		256
#define GPIO_LINES_MAX		4096
#define GPIO_NAMES_MAX		SZ_32K
#define INPUT_SLOTS_MAX		1024	/* as newer input cores have it */
#define INPUT_TEXT_MAX		63
#define FUSE_ERRORS		512	/* those from here on are the kernel's own */

static const struct vlb_role rx_role = { .flags = VLB_ROLE_RX | VLB_ROLE_LEN };
static const struct vlb_role tx_role = { .flags = 0 };

/* Events that the driver takes whole, whatever used.len says. */
static const struct vlb_role event_role = { .flags = VLB_ROLE_RX | VLB_ROLE_CLEAR };

/*
 * While a disk is silent in the scan for its partitions, sync(2) waits for the lock of that scan, whoever
 * calls it and for whatever.
 */
static const struct vlb_role blk_role = {
	.flags = VLB_ROLE_WATCH_USERS, .nend = 1, .end = { VIRTIO_BLK_S_IOERR },
};

static const struct vlb_role *blk_roles(ROLE_ARGS)
{
	return &blk_role;
}

static const struct vlb_role *rx_roles(ROLE_ARGS)
{
	return &rx_role;
}

static const struct vlb_role net_ctrl_role = {
	.flags = VLB_ROLE_CLEAR | VLB_ROLE_WATCHDOG, .nend = 1, .end = { 1 /* VIRTIO_NET_ERR */ },
};

/* The driver's last queue is the control queue, whatever the config space says by now. */
static const struct vlb_role *net_roles(ROLE_ARGS)
{
	if ((features & BIT_ULL(VIRTIO_NET_F_CTRL_VQ)) && index == nvqs - 1)
		return &net_ctrl_role;
	return index % 2 ? &tx_role : &rx_role;
}

/*
 * The driver complains, with a stack trace, of more sense data than it has room for. It has one buffer
 * for the whole answer, and back-ends differ in what they say that they wrote.
 */
static bool scsi_seen(struct vlb_device *vlb, unsigned long *facts, const u8 *piece, u32 len,
		      u32 total)
{
	const struct virtio_scsi_cmd_resp *resp = (const void *)piece;

	return total < sizeof(*resp) ||
	       le32_to_cpu((__force __le32)resp->sense_len) <= sizeof(resp->sense);
}

/* virtio_scsi_cmd_resp.response is byte 11; the answers on the control queue begin with it. */
static const struct vlb_role scsi_role = {
	.nstart = 12, .start = { [11] = VIRTIO_SCSI_S_FAILURE }, .seen = scsi_seen,
};
static const struct vlb_role scsi_ctrl_role = {
	.flags = VLB_ROLE_CLEAR | VLB_ROLE_WATCHDOG, .nstart = 1, .start = { VIRTIO_SCSI_S_FAILURE },
};

static const struct vlb_role *scsi_roles(ROLE_ARGS)
{
	switch (index) {
	case 0: return &scsi_ctrl_role;
	case 1: return &event_role;
	default: return &scsi_role;
	}
}

static const struct vlb_role rtc_role = {
	.flags = VLB_ROLE_CLEAR, .nstart = 1, .start = { 5 /* VIRTIO_RTC_S_EIO */ },
};

static const struct vlb_role *rtc_roles(ROLE_ARGS)
{
	return index ? &event_role : &rtc_role;
}

static const struct vlb_role *input_roles(ROLE_ARGS)
{
	return index ? &tx_role : &event_role;
}

/*
 * Older kernels join short packets, down to those of no bytes, with what waits in the connection, but
 * keep one apart that is the end of a message: without a bound when it has no bytes. They take each
 * packet's word for that, also where there are no messages.
 */
static bool vsock_seen(struct vlb_device *vlb, unsigned long *facts, const u8 *piece, u32 len,
		       u32 total)
{
	const struct virtio_vsock_hdr *hdr = (const void *)piece;

	return len < sizeof(*hdr) || le16_to_cpu(hdr->op) != VIRTIO_VSOCK_OP_RW || !hdr->flags;
}

static const struct vlb_role vsock_rx_role = {
	.flags = VLB_ROLE_RX | VLB_ROLE_LEN, .seen = VLB_VSOCK_BYTES_ALONE ? vsock_seen : NULL,
};

static const struct vlb_role *vsock_roles(ROLE_ARGS)
{
	switch (index) {
	case 0: return &vsock_rx_role;
	case 1: return &tx_role;
	default: return &rx_role;
	}
}

/* VIRTIO_SND_S_IO_ERR as le32: first word of an answer, first of the two words of a transfer. */
static const struct vlb_role sound_ctrl_role = {
	.flags = VLB_ROLE_CLEAR, .nstart = 4, .start = { 0x03, 0x80 },
};
static const struct vlb_role sound_pcm_role = {
	.flags = VLB_ROLE_CLEAR, .nend = 8, .end = { 0x03, 0x80 },
};

static const struct vlb_role *sound_roles(ROLE_ARGS)
{
	switch (index) {
	case 0: return &sound_ctrl_role;
	case 1: return &event_role;
	default: return &sound_pcm_role;
	}
}

/*
 * The driver hands the answer's error and length on as they are, and file systems use both as
 * sizes of what they asked for. FUSE bounds them where an answer comes through /dev/fuse
 * (fs/fuse/dev.c), and so does this.
 */
static bool fs_seen(struct vlb_device *vlb, unsigned long *facts, const u8 *piece, u32 len,
		    u32 total)
{
	const struct fuse_out_header *head = (const void *)piece;

	return len >= sizeof(*head) && head->len >= sizeof(*head) && head->len <= total &&
	       head->error <= 0 && head->error > -FUSE_ERRORS;
}

/*
 * When a time-out that the device asked for is over, FUSE frees the requests, those in the driver's
 * virtqueue as well (7.2).
 */
static void fs_mend(const u8 *asked, u32 asked_len, u8 *answer, u32 len)
{
	const struct fuse_in_header *head = (const void *)asked;
	struct fuse_init_out *init = (void *)answer;

	if (asked_len >= sizeof(*head) && head->opcode == FUSE_INIT &&
	    len >= offsetofend(struct fuse_init_out, flags2))
		init->flags2 &= ~VLB_FUSE_REQUEST_TIMEOUT;
}

/* struct fuse_out_header: 16 bytes long, error -EIO. */
static const struct vlb_role fs_role = {
	.nstart = 8, .start = { 16, 0, 0, 0, 0xfb, 0xff, 0xff, 0xff }, .seen = fs_seen,
	.mend = fs_mend,
};

static const struct vlb_role *fs_roles(ROLE_ARGS)
{
	return &fs_role;
}

static const struct vlb_role scmi_role = { .flags = VLB_ROLE_LEN };

static const struct vlb_role *scmi_roles(ROLE_ARGS)
{
	return index ? &rx_role : &scmi_role;
}

/*
 * A transfer is several requests. When one fails, the driver frees those after it without waiting
 * for them (virtio_i2c_complete_reqs()).
 */
static const struct vlb_role i2c_role = {
	.flags = VLB_ROLE_CLEAR | VLB_ROLE_TOGETHER, .nend = 1, .end = { 1 /* VIRTIO_I2C_MSG_ERR */ },
};

static const struct vlb_role *i2c_roles(ROLE_ARGS)
{
	return &i2c_role;
}

/*
 * The driver numbers the frames that it waits for, up to 127, and warns with a stack trace when it is
 * out of numbers, which it is if it is stopped and started again with all of them on their way. That
 * its ring is full is nothing special to it.
 */
static const struct vlb_role can_tx_role = {
	.flags = VLB_ROLE_CLEAR, .ring_max = 64, .nstart = 1, .start = { 1 /* VIRTIO_CAN_RESULT_NOT_OK */ },
};
static const struct vlb_role can_ctrl_role = {
	.flags = VLB_ROLE_CLEAR | VLB_ROLE_WATCHDOG, .nstart = 1, .start = { 1 },
};

static const struct vlb_role *can_roles(ROLE_ARGS)
{
	switch (index) {
	case 0: return &can_tx_role;
	case 1: return &rx_role;
	default: return &can_ctrl_role;
	}
}

static const struct vlb_role *bt_roles(ROLE_ARGS)
{
	return index ? &rx_role : &tx_role;
}

/*
 * The names of all lines are one answer. The driver makes its last byte the end of a name, and takes as
 * many as there are lines: from behind the answer when there are fewer. An answer of another length
 * than it asked for it throws away. Those to other requests are shorter, see gpio_fit().
 */
static bool gpio_seen(struct vlb_device *vlb, unsigned long *facts, const u8 *piece, u32 len,
		      u32 total)
{
	u32 i, names = 1;
	__le16 ngpio;

	if (total <= sizeof(struct virtio_gpio_response) || len < total)
		return true;
	vlb_config_read(vlb, offsetof(struct virtio_gpio_config, ngpio), &ngpio, sizeof(ngpio));
	for (i = sizeof(struct virtio_gpio_response_get_names); i < total - 1; i++)
		names += !piece[i];
	return names >= le16_to_cpu(ngpio);
}

static const struct vlb_role gpio_role = {
	.flags = VLB_ROLE_CLEAR, .nstart = 1, .start = { 1 /* VIRTIO_GPIO_STATUS_ERR */ },
	.seen = gpio_seen,
};

/* The driver complains, with a stack trace, of a status that is neither of the two. */
static bool gpio_event_seen(struct vlb_device *vlb, unsigned long *facts, const u8 *piece, u32 len,
			    u32 total)
{
	return piece[0] <= VIRTIO_GPIO_IRQ_STATUS_VALID;
}

static const struct vlb_role gpio_event_role = {
	.flags = VLB_ROLE_RX | VLB_ROLE_CLEAR, .seen = gpio_event_seen,
};

static const struct vlb_role *gpio_roles(ROLE_ARGS)
{
	return index ? &gpio_event_role : &gpio_role;
}

static const struct vlb_role spi_role = {
	.flags = VLB_ROLE_CLEAR, .nend = 1, .end = { 2 /* VIRTIO_SPI_TRANS_ERR */ },
};

static const struct vlb_role *spi_roles(ROLE_ARGS)
{
	return &spi_role;
}

/* A field in which the config space ends reads as if it ended before it. True: it is there. */
static bool has_field(u8 *config, u32 len, u32 start, u32 end)
{
	if (len > start && len < end)
		memset(config + start, 0, len - start);
	return len >= end;
}

#define HAS_FIELD(type, field, config, len)							\
	has_field(config, len, offsetof(type, field), offsetofend(type, field))

/* No more than @most in a field of the config space, where it is that long. */
#define FIT_LE(bits, type, field, config, len, most)						\
do {												\
	u8 *at = (config) + offsetof(type, field);						\
												\
	if (HAS_FIELD(type, field, config, len))						\
		put_unaligned_le##bits(min_t(u##bits, get_unaligned_le##bits(at), most), at);	\
} while (0)

/*
 * Every request that the block layer builds within seg_max and size_max fits the arena: the
 * data is one piece there. The driver's segments are merged on the way, so its seg_max is the
 * transport's own and not the back-end's. The block layer sizes a table by the zones that
 * a zoned disk claims to have, without a bound, so there are no such disks. The driver shifts by
 * physical_block_exp as it is, and shifts an alignment until nothing is left of it. Where the ranges of a
 * secure erase are miscounted, some of them are what was in the kernel's memory before.
 */
static void blk_fit(const struct vlb_limits *limits, u8 *config, u32 len, u64 *features)
{
	u8 *exp = config + offsetof(struct virtio_blk_config, physical_block_exp);
	u8 *wce = config + offsetof(struct virtio_blk_config, wce);
	u32 seg_max = clamp_t(u32, limits->request / PAGE_SIZE, 1, BLK_SEG_MAX);
	u32 size_max = rounddown(limits->arena / seg_max, PAGE_SIZE);

	/* A driver that is told of a limit takes what it reads, also behind the config space's end. */
	*features &= ~(BIT_ULL(VLB_BLK_F_ZONED) | BIT_ULL(VIRTIO_BLK_F_SIZE_MAX) |
		       BIT_ULL(VIRTIO_BLK_F_SEG_MAX));
	if (VLB_BLK_ERASE_MISCOUNTS)
		*features &= ~BIT_ULL(VIRTIO_BLK_F_SECURE_ERASE);
	if (len < offsetofend(struct virtio_blk_config, seg_max))
		return;
	put_unaligned_le32(size_max, config + offsetof(struct virtio_blk_config, size_max));
	put_unaligned_le32(seg_max, config + offsetof(struct virtio_blk_config, seg_max));
	*features |= BIT_ULL(VIRTIO_BLK_F_SIZE_MAX) | BIT_ULL(VIRTIO_BLK_F_SEG_MAX);

	if (len >= offsetofend(struct virtio_blk_config, physical_block_exp))
		*exp = min_t(u8, *exp, BLK_PHYSICAL_EXP_MAX);
	/* Whoever reads the cache's type has the driver look that up in a table, or stop with a BUG. */
	if (len >= offsetofend(struct virtio_blk_config, wce))
		*wce = !!*wce;
	FIT_LE(16, struct virtio_blk_config, num_queues, config, len, limits->nqueues);
	FIT_LE(32, struct virtio_blk_config, discard_sector_alignment, config, len,
	       BLK_ALIGNMENT_MAX);
	FIT_LE(32, struct virtio_blk_config, secure_erase_sector_alignment, config, len,
	       BLK_ALIGNMENT_MAX);
}

/* What makes the driver ready to receive more than a packet of the MTU at once. */
#define NET_GUEST_GSO	(BIT_ULL(VIRTIO_NET_F_GUEST_TSO4) | BIT_ULL(VIRTIO_NET_F_GUEST_TSO6) | \
			 BIT_ULL(VIRTIO_NET_F_GUEST_ECN) | BIT_ULL(VIRTIO_NET_F_GUEST_UFO) | \
			 BIT_ULL(VLB_NET_F_GUEST_USO4) | BIT_ULL(VLB_NET_F_GUEST_USO6))

/*
 * Without mergeable buffers each receive buffer is for the largest packet: the MTU, or 64 KiB of
 * segments, in pages. For the latter the driver takes one page more than MAX_SKB_FRAGS, and a device
 * that fills them all makes it write behind its table of pages (seen on 6.12.107). One that does not
 * fit the arena would be given back as a packet of zeroes that fills it, and come again.
 */
static void net_fit_receive(const struct vlb_limits *limits, u8 *config, u32 len, u64 *features)
{
	u32 mtu_max = clamp_t(s64, (s64)limits->arena - 2 * PAGE_SIZE, ETH_DATA_LEN, U16_MAX);

	if (*features & BIT_ULL(VIRTIO_NET_F_MRG_RXBUF))
		return;
	*features &= ~NET_GUEST_GSO;
	FIT_LE(16, struct virtio_net_config, mtu, config, len, mtu_max);
}

/* All that goes by the control queue. */
#define NET_CTRL							\
	(BIT_ULL(VIRTIO_NET_F_CTRL_VQ) | BIT_ULL(VIRTIO_NET_F_CTRL_RX) |	\
	 BIT_ULL(VIRTIO_NET_F_CTRL_VLAN) | BIT_ULL(VIRTIO_NET_F_CTRL_RX_EXTRA) | \
	 BIT_ULL(VIRTIO_NET_F_GUEST_ANNOUNCE) | BIT_ULL(VIRTIO_NET_F_MQ) |	\
	 BIT_ULL(VIRTIO_NET_F_CTRL_MAC_ADDR) |				\
	 BIT_ULL(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) |			\
	 BIT_ULL(VIRTIO_NET_F_RSS) | BIT_ULL(VIRTIO_NET_F_HASH_REPORT) |	\
	 BIT_ULL(VIRTIO_NET_F_NOTF_COAL) | BIT_ULL(VLB_NET_F_VQ_NOTF_COAL))

/* The driver stops with a BUG when it has something to say and no control queue to say it on. */
static void net_fit_no_control(u8 *config, u32 len, u64 *features)
{
	u8 *status = config + offsetof(struct virtio_net_config, status);

	*features &= ~NET_CTRL;
	/* It answers this one without asking for the feature. */
	if (HAS_FIELD(struct virtio_net_config, status, config, len))
		put_unaligned_le16(get_unaligned_le16(status) & ~VIRTIO_NET_S_ANNOUNCE, status);
}

/*
 * What the driver is not told of, with whatever else. Statistics of the device: asked for also where there
 * is no control queue, which is a BUG, and the numbers of queues and the lengths in the answer are
 * believed. A standby: it would take whatever interface of the machine has its address for its primary,
 * and with it all that goes through that one (net_failover).
 */
#define NET_HIDDEN	(BIT_ULL(VLB_NET_F_DEVICE_STATS) | BIT_ULL(VIRTIO_NET_F_STANDBY))

/* No more pairs than the device has queues for. */
static void net_fit(const struct vlb_limits *limits, u8 *config, u32 len, u64 *features)
{
	u8 *pairs = config + offsetof(struct virtio_net_config, max_virtqueue_pairs);
	u8 *key = config + offsetof(struct virtio_net_config, rss_max_key_size);
	u16 most;

	*features &= ~NET_HIDDEN;
	/*
	 * A driver that spins for the answer never lets the back-end run where there is one CPU only,
	 * and may keep off the timer that bounds its wait elsewhere: softirqs are off for some
	 * commands, and left to a thread that cannot run when there are many.
	 */
	if (VLB_NET_CTRL_SPINS)
		*features &= ~BIT_ULL(VIRTIO_NET_F_CTRL_VQ);
	if (!(*features & BIT_ULL(VIRTIO_NET_F_CTRL_VQ)))
		net_fit_no_control(config, len, features);
	/*
	 * The driver makes up the address that is missing, and tells the device while it probes. Where that
	 * fails it goes without the buffers of an interface that was raised meanwhile.
	 */
	if (!(*features & BIT_ULL(VIRTIO_NET_F_MAC)))
		*features &= ~BIT_ULL(VIRTIO_NET_F_CTRL_MAC_ADDR);
	net_fit_receive(limits, config, len, features);
	most = (limits->nqueues - !!(*features & BIT_ULL(VIRTIO_NET_F_CTRL_VQ))) / 2;
	if (HAS_FIELD(struct virtio_net_config, max_virtqueue_pairs, config, len))
		put_unaligned_le16(clamp(get_unaligned_le16(pairs), 1, max_t(u16, most, 1)), pairs);
	FIT_LE(16, struct virtio_net_config, rss_max_indirection_table_length, config, len,
	       NET_RSS_TABLE_MAX);
	if (len >= offsetofend(struct virtio_net_config, rss_max_key_size))
		key[0] = min_t(u8, key[0], NET_RSS_KEY_MAX);
}

static void scsi_fit(const struct vlb_limits *limits, u8 *config, u32 len, u64 *features)
{
	u32 seg_max = clamp_t(u32, limits->request / PAGE_SIZE, 1, BLK_SEG_MAX);
	u8 *max_sectors = config + offsetof(struct virtio_scsi_config, max_sectors);
	u32 sectors;

	/* Two queues are not for commands. */
	FIT_LE(32, struct virtio_scsi_config, num_queues, config, len,
	       max(limits->nqueues, 3) - 2);
	/* The driver looks for every target, and cannot be removed meanwhile. */
	FIT_LE(16, struct virtio_scsi_config, max_target, config, len, SCSI_TARGET_MAX);
	FIT_LE(32, struct virtio_scsi_config, max_lun, config, len, SCSI_LUN_MAX);
	/* The driver cuts it to 16 bits. */
	if (HAS_FIELD(struct virtio_scsi_config, seg_max, config, len))
		put_unaligned_le32(seg_max, config + offsetof(struct virtio_scsi_config, seg_max));
	if (!HAS_FIELD(struct virtio_scsi_config, max_sectors, config, len))
		return;
	/*
	 * 0 lets the driver choose; half of the request is left for headers and odd segments. The block
	 * layer complains of less than a page.
	 */
	sectors = get_unaligned_le32(max_sectors) ?: U32_MAX;
	sectors = min(sectors, limits->request / 2 / SECTOR_SIZE);
	put_unaligned_le32(max_t(u32, sectors, PAGE_SIZE / SECTOR_SIZE), max_sectors);
}

/* Where the ends of messages are dangerous there are streams only, see vsock_seen(). */
static void vsock_fit(const struct vlb_limits *limits, u8 *config, u32 len, u64 *features)
{
	if (VLB_VSOCK_BYTES_ALONE)
		*features &= ~BIT_ULL(VIRTIO_VSOCK_F_SEQPACKET);
}

/*
 * The driver trusts the answers about control elements (mixers): how many values each has, and
 * how many names they have. Without the feature it does not ask.
 */
static void sound_fit(const struct vlb_limits *limits, u8 *config, u32 len, u64 *features)
{
	*features &= ~BIT_ULL(VLB_SND_F_CTLS);
	FIT_LE(32, struct virtio_snd_config, jacks, config, len, SOUND_ITEMS_MAX);
	FIT_LE(32, struct virtio_snd_config, streams, config, len, SOUND_ITEMS_MAX);
	FIT_LE(32, struct virtio_snd_config, chmaps, config, len, SOUND_ITEMS_MAX);
}

/* One queue is not for requests. */
static void fs_fit(const struct vlb_limits *limits, u8 *config, u32 len, u64 *features)
{
	FIT_LE(32, struct virtio_fs_config, num_request_queues, config, len,
	       max(limits->nqueues, 2) - 1);
}

/* See VLB_ROLE_TOGETHER. */
static void i2c_fit(const struct vlb_limits *limits, u8 *config, u32 len, u64 *features)
{
	*features &= ~BIT_ULL(VIRTIO_RING_F_EVENT_IDX);
}

/*
 * Who is off the bus is started again, by a timer or an administrator. can_restart() then frees the
 * frames that wait for their echo, with no lock against the driver to which they come back.
 */
static void can_fit(const struct vlb_limits *limits, u8 *config, u32 len, u64 *features)
{
	if (len)
		config[0] &= ~VLB_CAN_S_CTRL_BUSOFF;
}

static void gpio_fit(const struct vlb_limits *limits, u8 *config, u32 len, u64 *features)
{
	const struct virtio_gpio_config *gpio = (const void *)config;

	FIT_LE(16, struct virtio_gpio_config, ngpio, config, len, GPIO_LINES_MAX);
	FIT_LE(32, struct virtio_gpio_config, gpio_names_size, config, len, GPIO_NAMES_MAX);
	/* Each name has an end. Without a block of them the driver does not ask. */
	if (len >= sizeof(*gpio) && le32_to_cpu(gpio->gpio_names_size) < le16_to_cpu(gpio->ngpio))
		FIT_LE(32, struct virtio_gpio_config, gpio_names_size, config, len, 0);
}

/*
 * hvc_remove() frees a console whose resize work may still be queued (drivers/tty/hvc, 6.1 to 7.2),
 * so a device that changes the size while it is removed could take the machine down. Nobody but
 * hvc can cancel that work, and waiting for everything on the kernel's shared work queue would be
 * waiting for other processes. Without this feature the driver resizes nothing.
 */
#define CONSOLE_TRUSTING	BIT_ULL(VIRTIO_CONSOLE_F_SIZE)

/* No more ports than the device has queues for. */
static void console_fit(const struct vlb_limits *limits, u8 *config, u32 len, u64 *features)
{
	unsigned int pairs = limits->nqueues / 2;

	if (pairs < 2)
		*features &= ~BIT_ULL(VIRTIO_CONSOLE_F_MULTIPORT);
	else
		FIT_LE(32, struct virtio_console_config, max_nr_ports, config, len, pairs - 1);
}

#define INPUT_ANSWER	offsetof(struct virtio_input_config, size)

/*
 * The driver takes 64 bytes of a text, and looks for its end there. Older input cores allocate as
 * many slots as they are told. What is too short for every answer gives none, or the end of one
 * would be missed here.
 */
static void input_fit(const struct vlb_limits *limits, u8 *config, u32 len, u64 *features)
{
	struct virtio_input_config *answer = (struct virtio_input_config *)config;
	u8 *max = config + offsetof(struct virtio_input_config, u.abs.max);

	if (len < sizeof(*answer)) {
		if (len > INPUT_ANSWER)
			config[INPUT_ANSWER] = 0;
		return;
	}
	switch (answer->select) {
	case VIRTIO_INPUT_CFG_ID_NAME:
	case VIRTIO_INPUT_CFG_ID_SERIAL:
		answer->size = min_t(u8, answer->size, INPUT_TEXT_MAX);
		break;
	case VIRTIO_INPUT_CFG_ABS_INFO:
		if (answer->subsel == ABS_MT_SLOT)
			put_unaligned_le32(min_t(u32, get_unaligned_le32(max),
						 INPUT_SLOTS_MAX - 1), max);
		break;
	}
}

static const struct vlb_field blk_writable[] = {
	{ offsetof(struct virtio_blk_config, wce), 1, true },
	{ }
};

static const struct vlb_field console_writable[] = {
	{ offsetof(struct virtio_console_config, emerg_wr), 4, false },
	{ }
};

static const struct vlb_field scsi_writable[] = {
	{ offsetof(struct virtio_scsi_config, sense_size), 4, true },
	{ offsetof(struct virtio_scsi_config, cdb_size), 4, true },
	{ }
};

static const struct vlb_field input_writable[] = {
	{ offsetof(struct virtio_input_config, select), 1, true, INPUT_ANSWER },
	{ offsetof(struct virtio_input_config, subsel), 1, true, INPUT_ANSWER },
	{ }
};

#define BT_CLASS	(VLB_BT_CLOSE_FREES ? VLB_CLASS_REFUSED : VLB_CLASS_TRUSTED)
#define BT_POOL		(VLB_BT_CLOSE_FREES ? 0 : SZ_1M)

/*
 * The refused rows: a balloon, memory or IOMMU device is told guest addresses, which mean
 * nothing here, a GPU's commands carry them, and persistent memory is a shared mapping.
 */
static const struct vlb_type types[] = {
	{ 1, "net", VLB_CLASS_OPEN, true, SZ_8M, SZ_4M, NULL, net_roles, net_fit },
	{ 2, "blk", VLB_CLASS_OPEN, true, SZ_16M, SZ_4M, blk_writable, blk_roles, blk_fit },
	{ 3, "console", VLB_CLASS_OPEN, false, SZ_2M, SZ_1M, console_writable, vlb_console_roles,
	  console_fit, .terminals = true, .trusting = CONSOLE_TRUSTING },
	{ 4, "rng", VLB_CLASS_TRUSTED, true, SZ_128K, 0, NULL, rx_roles, NULL, true },
	{ 5, "balloon", VLB_CLASS_REFUSED, false, 0, 0, NULL, rx_roles, NULL },
	{ 8, "scsi", VLB_CLASS_TRUSTED, false, SZ_16M, SZ_4M, scsi_writable, scsi_roles, scsi_fit,
	  .needed_asleep = true },
	{ 16, "gpu", VLB_CLASS_REFUSED, false, 0, 0, NULL, rx_roles, NULL },
	{ 17, "rtc", VLB_CLASS_TRUSTED, false, SZ_256K, SZ_128K, NULL, rtc_roles, NULL },
	{ 18, "input", VLB_CLASS_TRUSTED, false, SZ_512K, SZ_256K, input_writable, input_roles,
	  input_fit },
	{ 19, "vsock", VLB_CLASS_TRUSTED, false, SZ_8M, SZ_4M, NULL, vsock_roles, vsock_fit },
	{ 23, "iommu", VLB_CLASS_REFUSED, false, 0, 0, NULL, rx_roles, NULL },
	{ 24, "mem", VLB_CLASS_REFUSED, false, 0, 0, NULL, rx_roles, NULL },
	{ 25, "sound", VLB_CLASS_TRUSTED, false, SZ_4M, SZ_1M, NULL, sound_roles,
	  sound_fit },
	{ 26, "fs", VLB_CLASS_TRUSTED, false, SZ_16M, SZ_8M, NULL, fs_roles, fs_fit },
	{ 27, "pmem", VLB_CLASS_REFUSED, false, 0, 0, NULL, rx_roles, NULL },
	{ 32, "scmi", VLB_CLASS_TRUSTED, false, SZ_512K, SZ_512K, NULL, scmi_roles, NULL },
	{ 34, "i2c", VLB_CLASS_TRUSTED, false, SZ_1M, 0, NULL, i2c_roles, i2c_fit,
	  .needed_asleep = true },
	{ 36, "can", VLB_CLASS_OPEN, false, SZ_1M, SZ_512K, NULL, can_roles, can_fit },
	{ 40, "bt", BT_CLASS, false, BT_POOL, BT_POOL, NULL, bt_roles, NULL },
	{ 41, "gpio", VLB_CLASS_TRUSTED, false, SZ_1M, SZ_1M, NULL, gpio_roles, gpio_fit,
	  .fixed = true, .needed_asleep = true },
	{ 45, "spi", VLB_CLASS_TRUSTED, false, SZ_1M, 0, NULL, spi_roles, NULL,
	  .needed_asleep = true },
};

/**
 * vlb_type_find - look up a type
 * @id: virtio device id
 *
 * Return: its row, or NULL.
 */
const struct vlb_type *vlb_type_find(u32 id)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].id == id)
			return &types[i];
	return NULL;
}

/**
 * vlb_type_by_name - look up a type
 * @name: its short name, not necessarily terminated
 * @len: bytes of @name
 *
 * Return: its row, or NULL.
 */
const struct vlb_type *vlb_type_by_name(const char *name, size_t len)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (strlen(types[i].name) == len && !memcmp(types[i].name, name, len))
			return &types[i];
	return NULL;
}
