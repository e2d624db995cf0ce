/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause */
/*
 * virtio-loopback: a virtio transport whose devices are user-space processes.
 *
 * One open file of /dev/virtio-loopback controls at most one device:
 *
 *   open
 *    | VLB_IOC_CREATE      the device exists under its name, no driver sees it
 *    | VLB_IOC_REGISTER    the virtio driver probes in the background
 *    |
 *    |  read() -> VLB_EVENT_DRIVER_OK     the driver negotiated and made its queues
 *    |    VLB_IOC_SESSION    memory pool, one ring per queue, kick and call descriptors
 *    |    (give all of it to the vhost-user back-end)
 *    |    VLB_IOC_START      requests flow; the adapter is out of the data path
 *    |
 *    |    VLB_IOC_STOP       back-end gone: requests wait, or fail, until the next
 *    |                       VLB_IOC_SESSION + VLB_IOC_START with another back-end
 *    |
 *    |  read() -> VLB_EVENT_RESET         session is cut already; tell the back-end
 *    |  read() -> VLB_EVENT_CONFIG_WRITE  forward it, then VLB_IOC_ANSWER
 *    |
 *    | VLB_IOC_REMOVE      driver is unbound in the background
 *    |  read() -> VLB_EVENT_REMOVED
 *   close                  removes what is still there; requests fail from then on
 *
 * Every structure begins with its size in bytes, set by the caller to what it was
 * compiled with. A larger structure than the kernel knows is accepted when the excess
 * is zero, a smaller one when it holds at least the members of the first version.
 * Members named out_* are written by the kernel, all others are read if nothing else is
 * said. Reserved members must be zero.
 *
 * Errors that mean the same for every call:
 *   EFAULT      a pointer is bad
 *   EINVAL      a size, a reserved member or an argument is out of range
 *   E2BIG       the structure is larger than known and its excess is not zero
 *   EOPNOTSUPP  an unknown flag
 *   ENOTTY      an unknown call
 *   EBADFD      the call does not fit the state of this file's device
 *   EPERM       the policy (module parameters) forbids it
 */
#ifndef _UAPI_LINUX_VIRTIO_LOOPBACK_H
#define _UAPI_LINUX_VIRTIO_LOOPBACK_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define VLB_CONTROL_NODE	"/dev/virtio-loopback"
#define VLB_CLASS_NAME		"virtio-loopback"	/* /sys/class/virtio-loopback/NAME */

#define VLB_NAME_MAX		32	/* bytes, with the terminating zero */
#define VLB_QUEUES_MAX		128	/* queues of one device */
#define VLB_QUEUE_SIZE_MAX	1024	/* entries of one ring */
#define VLB_DRIVER_QUEUE_SIZE_MIN	64	/* entries of one of the driver's */
#define VLB_CONFIG_MAX		1024	/* bytes of config space */

#define VLB_IOC_MAGIC		0xBE

#define VLB_IOC_INFO		_IO(VLB_IOC_MAGIC, 0x00)
#define VLB_IOC_TYPE_INFO	_IO(VLB_IOC_MAGIC, 0x01)
#define VLB_IOC_CREATE		_IO(VLB_IOC_MAGIC, 0x02)
#define VLB_IOC_REGISTER	_IO(VLB_IOC_MAGIC, 0x03)
#define VLB_IOC_SESSION		_IO(VLB_IOC_MAGIC, 0x04)
#define VLB_IOC_START		_IO(VLB_IOC_MAGIC, 0x05)
#define VLB_IOC_STOP		_IO(VLB_IOC_MAGIC, 0x06)
#define VLB_IOC_ANSWER		_IO(VLB_IOC_MAGIC, 0x07)
#define VLB_IOC_CONFIG		_IO(VLB_IOC_MAGIC, 0x08)
#define VLB_IOC_STATUS		_IO(VLB_IOC_MAGIC, 0x09)
#define VLB_IOC_REMOVE		_IO(VLB_IOC_MAGIC, 0x0a)
#define VLB_IOC_DETACH		_IO(VLB_IOC_MAGIC, 0x0b)

/*
 * VLB_IOC_INFO: what this kernel module can do. Works on a file without a device.
 *
 * @size: sizeof(struct vlb_info)
 * @out_features: VLB_F_*; ask for these, never for a version
 * @out_queues_max: queues that one device may have
 * @out_queue_size_max: entries that one ring may have
 * @out_config_max: bytes of config space
 * @out_pool_max: bytes that this opener may give to one pool
 */
struct vlb_info {
	__u32 size;
	__u32 __reserved;
	__aligned_u64 out_features;
	__u32 out_queues_max;
	__u32 out_queue_size_max;
	__u32 out_config_max;
	__u32 __reserved1;
	__aligned_u64 out_pool_max;
};

#define VLB_F_CALL_FILE		(1ULL << 0)	/* call descriptors that complete in the writer */
#define VLB_F_CALL_EVENTFD	(1ULL << 1)	/* call descriptors that are eventfds */
#define VLB_F_KICK_FILE		(1ULL << 2)	/* kick descriptors of the module's own */
#define VLB_F_TRUSTED		(1ULL << 3)	/* VLB_CREATE_TRUSTED */

/*
 * VLB_IOC_TYPE_INFO: the kernel's view of a virtio device type. Works without a device.
 *
 * @type: virtio device id (virtio 1.3, section 5)
 * @out_class: VLB_CLASS_*
 * @out_flags: VLB_TYPE_*
 * @out_pool_default: bytes; a good size for the pool of one session
 * @out_pool_per_queue: bytes; for each queue after the first
 * @out_name: the type's short name, zero-terminated
 *
 * ENOENT: the type is unknown to this module.
 */
struct vlb_type_info {
	__u32 size;
	__u32 type;
	__u32 out_class;
	__u32 out_flags;
	__aligned_u64 out_pool_default;
	__aligned_u64 out_pool_per_queue;
	__u8 out_name[16];
};

#define VLB_CLASS_OPEN		0	/* may be opened to unprivileged users by policy */
#define VLB_CLASS_TRUSTED	1	/* CAP_SYS_ADMIN only */
#define VLB_CLASS_REFUSED	2	/* cannot be relayed, or is unsafe by its nature */

#define VLB_TYPE_REOFFER	(1u << 0)	/* requests in flight move to the next back-end */

/*
 * VLB_IOC_CREATE: make the device under a name.
 *
 * @flags: VLB_CREATE_*
 * @type: virtio device id
 * @vendor: virtio vendor id shown to drivers; any value
 * @features: feature bits 0 to 63 that the back-end offers. VIRTIO_F_VERSION_1 must be
 *	among them. Ring and transport bits are replaced by the transport's own towards
 *	the driver; vhost-user's bit 30 is ignored.
 * @nqueues: 1 to VLB_QUEUES_MAX; what the device has, drivers may use fewer
 * @queue_size: entries of each ring towards the back-end, a power of two of 2 to
 *	VLB_QUEUE_SIZE_MAX; 0 takes the default, 256. Small pools get smaller rings.
 * @driver_queue_size: the same for the driver's private rings, of
 *	VLB_DRIVER_QUEUE_SIZE_MIN at least, since some drivers do not work with smaller ones.
 *	CAN's driver gets 64 whatever is given.
 * @config_len: bytes at @config, 0 to VLB_CONFIG_MAX
 * @timeout_ms: bound of every wait for user space: config writes that the driver reads
 *	back, and unbinding the driver; up to 3600000. 0 takes the default of 30000, which
 *	is also the most without CAP_SYS_ADMIN
 * @config: address of the initial config space
 * @pool_len: bytes, a multiple of the page size, that each session's pool will have; 0
 *	takes the type's default. It bounds the size of a request, so the limits in the
 *	config space that the driver sees are clamped to it.
 * @name: letters, digits, '-', '_', '.' and ':', zero-terminated, not "." or ".."
 * @out_pool_len: bytes; what each VLB_IOC_SESSION has to bring
 * @out_pool_min: bytes; the smallest pool for these queues. Written on ENOSPC too.
 *
 * ENOSPC: @pool_len is below @out_pool_min.
 * EEXIST: the name is in use. EPROTONOSUPPORT: the type is refused, or unknown.
 * EPERM: the type needs CAP_SYS_ADMIN or is not open by policy, or so does @pool_len,
 * @timeout_ms or VLB_CREATE_TRUSTED. EMFILE: too many devices.
 * EPROTO: the back-end does not offer VIRTIO_F_VERSION_1.
 */
struct vlb_create {
	__u32 size;
	__u32 flags;
	__u32 type;
	__u32 vendor;
	__aligned_u64 features;
	__u32 nqueues;
	__u32 queue_size;
	__u32 driver_queue_size;
	__u32 config_len;
	__u32 timeout_ms;
	__u32 __reserved;
	__aligned_u64 config;
	__aligned_u64 pool_len;
	__aligned_u64 out_pool_len;
	__aligned_u64 out_pool_min;
	__u8 name[VLB_NAME_MAX];
};

/*
 * The back-end is trusted as the kernel is: the driver is offered features, too, with which a
 * device could use the faults of drivers that cannot be mended from below them. These are
 * VIRTIO_CONSOLE_F_SIZE, and no others. Takes CAP_SYS_ADMIN.
 */
#define VLB_CREATE_TRUSTED	(1u << 0)

/*
 * VLB_IOC_REGISTER, VLB_IOC_REMOVE: start probing, start removing. Both return at once;
 * VLB_EVENT_REGISTERED and VLB_EVENT_REMOVED tell the end. Removing while the back-end
 * still serves lets the driver finish what is in flight; after the device's timeout_ms
 * requests are failed instead.
 *
 * EBADFD: VLB_IOC_REGISTER was done before. ENODEV: the device is being removed already
 * (VLB_IOC_REMOVE).
 */
struct vlb_simple {
	__u32 size;
	__u32 flags;
};

/*
 * VLB_IOC_SESSION: prepare rings and memory for one back-end.
 *
 * @epoch: of the VLB_EVENT_DRIVER_OK that this answers
 * @pool: page-aligned address of the pool in the caller, a shared mapping of a sealed
 *	memfd; pages of a file system are refused (EINVAL, or EFAULT). The pages are pinned,
 *	charged to the caller's RLIMIT_MEMLOCK, until the session ends. It must be
 *	zero-filled and must not have been used by an earlier session, whose back-end may
 *	still write to it.
 * @pool_len: bytes; out_pool_len of VLB_IOC_CREATE
 * @queues: address of @nqueues structures
 * @nqueues: as in VLB_IOC_CREATE
 * @out_base: guest address of the pool's first byte (SET_MEM_TABLE): descriptors that
 *	the back-end reads are relative to it. Not the one of the session before, whose
 *	memory a back-end might take this one for.
 *
 * A session replaces an earlier one that was not started. EBUSY: a session is started;
 * stop it first. ESTALE: the driver has reset the device since. ENODEV: the device is removed.
 * EBADF: @kick or @call of a queue is no descriptor; EINVAL: or no eventfd.
 * EMFILE: RLIMIT_NOFILE leaves no room for the descriptors. ENOMEM: RLIMIT_MEMLOCK or memory.
 */
struct vlb_session {
	__u32 size;
	__u32 flags;
	__u32 epoch;
	__u32 nqueues;
	__aligned_u64 pool;
	__aligned_u64 pool_len;
	__aligned_u64 queues;
	__aligned_u64 out_base;
};

#define VLB_SESSION_CALL_EVENTFD	(1u << 0)	/* @call is an eventfd of the caller's */
#define VLB_SESSION_KICK_FILE		(1u << 1)	/* @kick is a new file of the module's */

/*
 * @kick: an eventfd that the kernel signals when requests are available; ignored for
 *	queues that the driver does not use.
 *	With VLB_SESSION_KICK_FILE it is written instead: a new descriptor for the back-end,
 *	closed on exec, O_NONBLOCK. It is used as an eventfd: read() of 8 bytes gives the number
 *	of kicks since the last one, write() of 8 bytes adds to it and never waits. But
 *	poll(), and a read() that waits, put kicks off while every request that was offered has
 *	been taken back: a back-end that has found them by itself is not woken. A read()
 *	that does not wait gives EAGAIN only if there was no kick. What has been written
 *	is never put off, nor is the kick of VLB_IOC_START. The kernel's own users of
 *	eventfds (KVM, vhost) refuse it.
 * @call: with VLB_SESSION_CALL_EVENTFD: an eventfd that the back-end signals
 * @out_call: otherwise: a new descriptor for the back-end, closed on exec. write() of 8
 *	bytes takes completions in the writer's context.
 * @out_num: entries of the ring; 0: the driver does not use this queue
 * @out_desc, @out_avail, @out_used: byte offsets of the ring's parts in the pool
 *	(virtio 1.3, section 2.7, split virtqueue)
 */
struct vlb_session_queue {
	__u32 kick;
	__u32 call;
	__u32 out_call;
	__u32 out_num;
	__aligned_u64 out_desc;
	__aligned_u64 out_avail;
	__aligned_u64 out_used;
};

/*
 * VLB_IOC_START: requests flow. Requests that an earlier session left unfinished are
 * offered first, in the order of their submission. Every queue is kicked once.
 *
 * VLB_IOC_STOP: end the session. From the return on, its back-end reaches nothing.
 * Completions that it published before are taken first.
 *
 * @epoch: as in VLB_IOC_SESSION; ignored by VLB_IOC_STOP
 * @flags: VLB_STOP_*, for VLB_IOC_STOP only
 */
struct vlb_start {
	__u32 size;
	__u32 flags;
	__u32 epoch;
	__u32 __reserved;
};

#define VLB_STOP_FAIL	(1u << 0)	/* fail requests, now and until the next start */
#define VLB_STOP_BROKEN	(1u << 1)	/* and for good: the device can only be removed */

/*
 * VLB_IOC_CONFIG: replace bytes of the config space. The driver gets a config change
 * interrupt if @flags has VLB_CONFIG_NOTIFY: at once, or within 250 ms of the one before, since
 * drivers log what they find. The config space of a GPIO device stays as it was made.
 *
 * VLB_IOC_ANSWER: the answer to VLB_EVENT_CONFIG_WRITE. The bytes replace the config
 * space before the driver goes on. Where a config space answers questions (input), the driver
 * finds zeroes instead of an answer if there is an @error, and the question itself (select and
 * subsel) stays as the driver wrote it, whatever @data has there.
 *
 * @id: of the event (VLB_IOC_ANSWER)
 * @error: 0, or an errno: the back-end refused (VLB_IOC_ANSWER)
 * @offset, @len: bytes within the config_len of VLB_IOC_CREATE; @len may be 0
 * @data: address of @len bytes
 *
 * ENOENT: nobody waits for that answer (any more).
 */
struct vlb_config {
	__u32 size;
	__u32 flags;
	__u32 offset;
	__u32 len;
	__aligned_u64 data;
	__aligned_u64 id;
	__u32 error;
	__u32 __reserved;
};

#define VLB_CONFIG_NOTIFY	(1u << 0)

/*
 * VLB_IOC_STATUS: where the device is.
 *
 * @out_state: VLB_STATE_*
 * @out_epoch: number of resets by the driver so far
 * @out_driver_features: what the driver accepted; 0 before it did, which is early in its probe
 * @out_driver_status: virtio status byte (virtio 1.3, section 2.1)
 * @out_virtio: name on the virtio bus, "virtio3"; empty until VLB_EVENT_REGISTERED
 */
struct vlb_status {
	__u32 size;
	__u32 out_state;
	__u32 out_epoch;
	__u32 out_driver_status;
	__aligned_u64 out_driver_features;
	__u8 out_virtio[VLB_NAME_MAX];
};

#define VLB_STATE_CREATED	1	/* no driver yet */
#define VLB_STATE_WAITING	2	/* registered; requests wait for a session */
#define VLB_STATE_RUNNING	3	/* a session is started */
#define VLB_STATE_FAILING	4	/* requests fail until the next start */
#define VLB_STATE_BROKEN	5	/* requests fail for good */
#define VLB_STATE_REMOVING	6
#define VLB_STATE_REMOVED	7

/*
 * VLB_IOC_DETACH: remove somebody's device by its name, and wait for the end. For the
 * creator's user and CAP_SYS_ADMIN. Works on a file without a device.
 *
 * @timeout_ms: longest wait; 0 does not wait. The removal goes on after a time-out.
 * @name: as in VLB_IOC_CREATE
 *
 * ENOENT: no such device. ETIMEDOUT, EINTR: still on its way.
 */
struct vlb_detach {
	__u32 size;
	__u32 flags;
	__u32 timeout_ms;
	__u32 __reserved;
	__u8 name[VLB_NAME_MAX];
};

#define VLB_DETACH_FORCE	(1u << 0)	/* fail requests at once instead of finishing them */

/*
 * read() gives one event and needs room for a whole one (else EINVAL); poll() says EPOLLIN when
 * there is one. O_NONBLOCK: EAGAIN. A newer kernel may give a larger event: @size tells. On a file
 * without a device read() is EBADFD, and poll() says EPOLLERR. After VLB_EVENT_REMOVED, read() gives 0
 * and poll() says EPOLLHUP.
 *
 * Events are states, not a log: two resets that nobody read in between are one event.
 * VLB_EVENT_RESET comes before the VLB_EVENT_DRIVER_OK that follows it.
 *
 * @type: VLB_EVENT_*
 * @epoch: number of resets by the driver so far
 * @id: VLB_EVENT_CONFIG_WRITE: to be given to VLB_IOC_ANSWER; 0: wants no answer
 * @features: VLB_EVENT_DRIVER_OK: what to acknowledge to the back-end (SET_FEATURES),
 *	without vhost-user's bit 30
 * @offset, @len, @data: VLB_EVENT_CONFIG_WRITE: what the driver wrote
 * @reason: VLB_EVENT_BROKEN: VLB_BROKEN_*; VLB_EVENT_REGISTERED: 0, or an errno
 */
struct vlb_event {
	__u32 size;
	__u32 type;
	__u32 epoch;
	__u32 reason;
	__aligned_u64 id;
	__aligned_u64 features;
	__u32 offset;
	__u32 len;
	__u8 data[24];
};

#define VLB_EVENT_REGISTERED	1	/* probing has ended (a driver may come later) */
#define VLB_EVENT_DRIVER_OK	2
#define VLB_EVENT_RESET		3
#define VLB_EVENT_CONFIG_WRITE	4
#define VLB_EVENT_BROKEN	5
#define VLB_EVENT_REMOVING	6	/* somebody asked for removal; keep serving */
#define VLB_EVENT_REMOVED	7

#define VLB_BROKEN_RING		1	/* the back-end broke the rules of its ring */
#define VLB_BROKEN_TIMEOUT	2	/* user space did not answer within timeout_ms */
#define VLB_BROKEN_STOP		3	/* VLB_STOP_BROKEN, or VLB_DETACH_FORCE */
#define VLB_BROKEN_OWNER	4	/* the creating file was closed */

#endif
