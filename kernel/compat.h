/* SPDX-License-Identifier: GPL-2.0-only */
/* Differences between Linux 6.1 and 7.2; no other file asks for a version. */
#ifndef VLB_COMPAT_H
#define VLB_COMPAT_H

#include <linux/eventfd.h>
#include <linux/kthread.h>
#include <linux/version.h>
#include <linux/virtio_config.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#include <asm/unaligned.h>
#else
#include <linux/unaligned.h>
#endif

#ifndef __counted_by
#define __counted_by(member)
#endif

/* Feature bits that the headers of 6.1 lack. */
#define VLB_BLK_F_ZONED		17
#define VLB_NET_F_DEVICE_STATS	50
#define VLB_NET_F_VQ_NOTF_COAL	52
#define VLB_NET_F_GUEST_USO4	54
#define VLB_NET_F_GUEST_USO6	55
#define VLB_SND_F_CTLS		0
#define VLB_FUSE_REQUEST_TIMEOUT	BIT(42 - 32)	/* of flags2 */

/* The driver of disks counts the ranges to erase in another way than the block layer. */
#define VLB_BLK_ERASE_MISCOUNTS	(LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0))

/* In the first byte of a CAN controller's config space; they have no header for it. */
#define VLB_CAN_S_CTRL_BUSOFF	1

/* The driver of network devices spins while it waits for the answer to a command. */
#define VLB_NET_CTRL_SPINS	(LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0))

/* The driver of Bluetooth devices frees the buffers that the device has when it is closed. */
#define VLB_BT_CLOSE_FREES	(LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0))

/* What waits in a vsock connection is bounded by its bytes, not by its packets. */
#define VLB_VSOCK_BYTES_ALONE	(LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0))

static inline void vlb_eventfd_signal(struct eventfd_ctx *ctx)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
	eventfd_signal(ctx, 1);
#else
	eventfd_signal(ctx);
#endif
}

static inline struct kthread_worker *vlb_run_worker(const char *name)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 14, 0)
	return kthread_create_worker(0, "vlb-%s", name);
#else
	return kthread_run_worker(0, "vlb-%s", name);
#endif
}

/* One queue that a driver asks for in find_vqs(). */
struct vlb_vq_info {
	vq_callback_t *callback;
	const char *name;
	bool ctx;
};

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
#define VLB_FIND_VQS_ARGS						\
	unsigned int nvqs, struct virtqueue *vqs[],			\
	vq_callback_t *callbacks[], const char * const names[],		\
	const bool *ctx, struct irq_affinity *desc
#define vlb_vq_info_at(i)						\
	((struct vlb_vq_info){ callbacks[i], names[i], ctx ? ctx[i] : false })
#else
#define VLB_FIND_VQS_ARGS						\
	unsigned int nvqs, struct virtqueue *vqs[],			\
	struct virtqueue_info vqs_info[], struct irq_affinity *desc
#define vlb_vq_info_at(i)						\
	((struct vlb_vq_info){ vqs_info[i].callback, vqs_info[i].name, vqs_info[i].ctx })
#endif

#endif
