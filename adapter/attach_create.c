/* SPDX-License-Identifier: BSD-3-Clause */
/* vloop attach, before the device exists: does this back-end fit, and what shall it be? */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "attach.h"

#define BIT(n) (1ULL << (n))
/* Of vhost, not of the device: dirty pages are logged during migration, which there is none of. */
#define VHOST_LOG_ALL 26
#define BLK_READ_ONLY 5
#define BLK_FLUSH 9
#define BLK_CONFIG_WCE 11
#define BLK_WCE_OFFSET 32
#define NET_MAC 5
#define HUGE_PAGE (2ULL << 20)

/* Longer ones take CAP_SYS_ADMIN (VLB_IOC_CREATE). */
#define TIMEOUT_USER_MS (30 * 1000)

/* virtio_net features that do nothing without the control queue (virtio 1.3, 5.1.3.1). */
#define NET_CONTROL                                                                               \
	(BIT(2) | BIT(17) | BIT(18) | BIT(19) | BIT(20) | BIT(21) | BIT(22) | BIT(23) | BIT(50) | \
	 BIT(52) | BIT(53) | BIT(57) | BIT(60))

/* More bits of others than this, and it is another type; fewer may be a newer version. */
#define STRANGE_FEATURES_MAX 2

const char *attach_source(const struct attach *attach)
{
	return attach->options->socket ? attach->options->socket : "the given descriptor";
}

static int connect_first(struct attach *attach)
{
	const struct attach_options *options = attach->options;

	if (options->fd >= 0) {
		backend_adopt(&attach->backend, options->fd);
		return 0;
	}
	/* Signals that end us are events here (attach.c): one of them ends the wait. */
	return backend_connect_wait(&attach->backend, options->socket, options->wait_socket_ms,
				    attach->signal_fd);
}

static enum vloop_exit check_features(struct attach *attach)
{
	const char *name = attach->type->name;
	uint64_t strange = type_unknown_features(attach->type, attach->backend.features);

	if (!(attach->backend.features & BIT(VIRTIO_F_VERSION_1))) {
		msg_error("%s: it does not offer VIRTIO_F_VERSION_1 (features 0x%" PRIx64 "); only "
			  "back-ends of virtio 1.0 and later can be attached",
			  attach_source(attach), attach->backend.features);
		return EXIT_MISFIT;
	}
	if (!strange)
		return EXIT_OK;
	if (__builtin_popcountll(strange) <= STRANGE_FEATURES_MAX || attach->options->force) {
		msg_warn(
			"%s: it offers features that this program does not know for %s: 0x%" PRIx64,
			attach_source(attach), name, strange);
		return EXIT_OK;
	}
	msg_error("%s: it offers features that no %s device has (0x%" PRIx64 "): it is of another "
		  "type; 'vloop probe' shows more, --force attaches it all the same",
		  attach_source(attach), name, strange);
	return EXIT_MISFIT;
}

/* With what the back-end does not have and the command line has. */
static int get_config(struct attach *attach, struct config_space *ret_config)
{
	const struct config_wishes *wishes = &attach->options->config;
	int ret = backend_get_config(&attach->backend, attach->type, ret_config);

	if (ret == -ENODATA)
		return config_make_up(attach->type, wishes, ret_config);
	if (!ret && wishes->has_mac && !(attach->backend.features & BIT(NET_MAC)))
		memcpy(ret_config->bytes, wishes->mac, sizeof(wishes->mac));
	return ret;
}

int attach_fetch_config(struct attach *attach, struct config_space *ret_config)
{
	int ret = get_config(attach, ret_config);

	if (!ret)
		config_set_queues(attach->type, attach->nqueues, ret_config);
	return ret;
}

/* The most queues that this back-end can have as a device of its type. */
static uint64_t queue_limit(const struct attach *attach, const struct config_space *config)
{
	const struct vloop_type *type = attach->type;
	uint64_t told = attach->backend.queue_max;
	uint64_t has = config_request_queues(type, attach->backend.features, config);
	uint64_t most = config_queues(type, attach->backend.features, config);

	/* Counted in pairs by all sides; the control queue is behind the last one. */
	if (type->id == 1)
		return 2 * (told && told < has ? told : has) + 1;
	return told && told < most ? told : most;
}

/* How many queues the device is made with; the driver may use fewer. */
static enum vloop_exit choose_queues(struct attach *attach, const struct config_space *config)
{
	const struct vloop_type *type = attach->type;
	uint64_t most = queue_limit(attach, config), n = type->queues;
	uint32_t least = type->queues_fixed < n ? type->queues_fixed + 1 : type->queues;

	if (type->flags & TYPE_PER_CPU)
		n = type->queues_fixed + (uint64_t)get_nprocs();
	if (type->flags & TYPE_ALL_QUEUES || n > most)
		n = most;
	if (n > VLB_QUEUES_MAX)
		n = VLB_QUEUES_MAX;
	if (attach->options->queues)
		n = attach->options->queues;
	if (n > most) {
		msg_error("%s: --queues %" PRIu64 ", but it has %" PRIu64, attach_source(attach), n,
			  most);
		return EXIT_MISFIT;
	}
	if (n < least) {
		msg_error("%s: %" PRIu64 " queues, but a %s device needs %u at least",
			  attach_source(attach), n, type->name, least);
		return EXIT_MISFIT;
	}
	attach->nqueues = (uint32_t)n;
	return EXIT_OK;
}

/*
 * The field wce says whether there is a cache to flush, for drivers that know of CONFIG_WCE.
 * qemu-storage-daemon has 0 there until a driver writes it, and caches all the same. Without the
 * feature a driver always flushes (virtio 1.3, 5.2.5.1).
 */
static bool denies_cache(const struct attach *attach, uint64_t features)
{
	const uint64_t both = BIT(BLK_FLUSH) | BIT(BLK_CONFIG_WCE);

	return attach->type->id == 2 && (features & both) == both &&
	       !config_get(&attach->config, BLK_WCE_OFFSET, 1);
}

static void choose_features(struct attach *attach)
{
	const struct attach_options *options = attach->options;
	uint64_t features = attach->backend.features;

	features &= ~(BIT(VHOST_USER_F_PROTOCOL_FEATURES) | BIT(VHOST_LOG_ALL));
	/* It would make the back-end ask for an IOTLB that nobody serves. */
	features &= ~BIT(VIRTIO_F_ACCESS_PLATFORM);
	if (options->no_event_idx)
		features &= ~BIT(VIRTIO_RING_F_EVENT_IDX);
	if (options->no_indirect)
		features &= ~BIT(VIRTIO_RING_F_INDIRECT_DESC);
	if (attach->type->id == 2 && options->read_only)
		features |= BIT(BLK_READ_ONLY);
	if (denies_cache(attach, features)) {
		msg_debug("%s: it says that it has no cache (wce = 0), which may be wrong: the "
			  "driver is to flush, and CONFIG_WCE is not offered",
			  attach_source(attach));
		features &= ~BIT(BLK_CONFIG_WCE);
	}
	if (attach->type->id == 1) {
		if (options->config.has_mac)
			features |= BIT(NET_MAC);
		/* Back-ends offer these for front-ends that serve the control queue themselves. */
		if (attach->nqueues % 2 == 0)
			features &= ~NET_CONTROL;
	}
	attach->features = features;
}

enum vloop_exit attach_learn(struct attach *attach)
{
	struct config_space config = {0};
	enum vloop_exit result;
	int ret;

	ret = connect_first(attach);
	if (!ret)
		ret = backend_negotiate(&attach->backend);
	if (ret) {
		msg_error("%s: %s", attach_source(attach), attach->backend.problem);
		return backend_connect_error(ret);
	}
	result = check_features(attach);
	if (result)
		return result;
	ret = get_config(attach, &config);
	if (ret == -ENODATA && attach->type->id == 26) {
		msg_error("%s: it has no config space: give the file system's --tag",
			  attach_source(attach));
		return EXIT_USAGE;
	}
	if (ret) {
		msg_error("%s: %s; is it a %s back-end?", attach_source(attach),
			  attach->backend.problem, attach->type->name);
		return ret == -ENODATA || ret == -EMSGSIZE ? EXIT_MISFIT : EXIT_BACKEND;
	}
	result = choose_queues(attach, &config);
	if (result)
		return result;
	config_set_queues(attach->type, attach->nqueues, &config);
	attach->config = config;
	choose_features(attach);
	link_up(attach);
	return EXIT_OK;
}

enum vloop_exit attach_name_taken(const char *name)
{
	msg_error("the name '%s' is in use; 'vloop list' shows by whom", name);
	return EXIT_EXISTS;
}

static enum vloop_exit create_error(struct attach *attach, int error,
				    const struct vlb_create *create)
{
	const char *type = attach->type->name;

	switch (-error) {
	case EEXIST:
		return attach_name_taken(attach->name);
	case EPROTONOSUPPORT:
		msg_error("the kernel module does not take %s devices with this kernel "
			  "(virtio-loopback(4))",
			  type);
		return EXIT_MISFIT;
	case EPROTO:
		msg_error("%s: the kernel misses VIRTIO_F_VERSION_1", attach_source(attach));
		return EXIT_MISFIT;
	case EPERM:
	case EACCES:
		if (attach->options->trusted) {
			msg_error("no permission: --trusted is for root (CAP_SYS_ADMIN)");
			return EXIT_RIGHTS;
		}
		msg_error("no permission to make a %s device%s: run as root, or see the policy of "
			  "the module in virtio-loopback(4)",
			  type,
			  create->timeout_ms > TIMEOUT_USER_MS ? " with so long a --timeout" : "");
		return EXIT_RIGHTS;
	case EMFILE:
		msg_error("the module's limit on the number of devices is reached "
			  "(virtio-loopback(4))");
		return EXIT_FAIL;
	case ENOSPC:
		msg_error("a pool of %" PRIu64
			  " bytes is too small for %u queues: give --pool %" PRIu64
			  " at least, or smaller queues (--queue-size)",
			  (uint64_t)create->pool_len, attach->nqueues,
			  (uint64_t)create->out_pool_min);
		return EXIT_MEMORY;
	case ENOMEM:
		msg_error("no memory for device '%s'", attach->name);
		return EXIT_MEMORY;
	default:
		msg_error("making device '%s': %s", attach->name, strerror(-error));
		return EXIT_FAIL;
	}
}

static int try_create(struct attach *attach, struct vlb_create *create, const char *name)
{
	memset(create->name, 0, sizeof(create->name));
	memcpy(create->name, name, strnlen(name, sizeof(create->name) - 1));
	memcpy(attach->name, create->name, sizeof(attach->name));
	return kdev_create(&attach->kdev, create);
}

/* Without a name: the first free of blk0, blk1 ... Others may be looking for theirs too. */
static int create_named(struct attach *attach, struct vlb_create *create)
{
	char name[VLB_NAME_MAX];
	int ret = -EEXIST;

	if (attach->options->name)
		return try_create(attach, create, attach->options->name);
	for (unsigned int i = 0; i < 10000 && ret == -EEXIST; i++) {
		snprintf(name, sizeof(name), "%s%u", attach->type->name, i);
		ret = try_create(attach, create, name);
	}
	return ret;
}

/* Of an older module, such as is still loaded after a newer one was installed. */
static enum vloop_exit module_lacks(const char *option, const char *value)
{
	msg_error("the kernel module that is loaded is older, and does not have %s%s; load it anew "
		  "(vloop detach --all && modprobe -r virtio_loopback && modprobe "
		  "virtio_loopback), or leave the option out",
		  option, value);
	return EXIT_MODULE;
}

/* The pool that this device will have; each opener has its limit. 0: the module chooses. */
static enum vloop_exit choose_pool(struct attach *attach, const struct vlb_info *info,
				   uint64_t *ret_len)
{
	const struct attach_options *options = attach->options;
	uint64_t unit = options->hugepages ? HUGE_PAGE : (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t len = options->pool;
	struct vlb_type_info type;
	int ret;

	if (!len) {
		ret = kdev_type_info(&attach->kdev, attach->type->id, &type);
		if (ret)
			return create_error(attach, ret == -ENOENT ? -EPROTONOSUPPORT : ret, NULL);
		len = type.out_pool_default + (attach->nqueues - 1) * type.out_pool_per_queue;
	}
	len = (len + unit - 1) / unit * unit;
	if (len > info->out_pool_max) {
		msg_error("a pool of %" PRIu64 " bytes for %u queues is larger than the %" PRIu64
			  " that you may have (virtio-loopback(4)); give a smaller --pool, or fewer "
			  "--queues",
			  len, attach->nqueues, (uint64_t)info->out_pool_max);
		return EXIT_MEMORY;
	}
	*ret_len = options->pool || options->hugepages ? len : 0;
	return EXIT_OK;
}

/* Does the module have what was asked for? */
static enum vloop_exit check_module(struct attach *attach, uint64_t *ret_pool_len)
{
	const struct attach_options *options = attach->options;
	uint64_t call = options->call_eventfd ? VLB_F_CALL_EVENTFD : VLB_F_CALL_FILE;
	struct vlb_info info;
	int ret = kdev_info(&attach->kdev, &info);

	if (ret) {
		msg_error("asking the kernel module what it can do: %s", strerror(-ret));
		return EXIT_FAIL;
	}
	if (!(info.out_features & call))
		return module_lacks("--call ", options->call_eventfd ? "eventfd" : "file");
	if (options->trusted && !(info.out_features & VLB_F_TRUSTED))
		return module_lacks("--trusted", "");
	attach->kick_file = !options->kick_eventfd && (info.out_features & VLB_F_KICK_FILE);
	if (attach->nqueues > info.out_queues_max) {
		msg_error("%u queues are more than the %u of this kernel module", attach->nqueues,
			  info.out_queues_max);
		return EXIT_FAIL;
	}
	return choose_pool(attach, &info, ret_pool_len);
}

/* The driver's rings are of no smaller size; 0 is the module's default. */
static uint32_t driver_queue_size(const struct attach_options *options)
{
	uint32_t size = options->queue_size;

	return size && size < VLB_DRIVER_QUEUE_SIZE_MIN ? VLB_DRIVER_QUEUE_SIZE_MIN : size;
}

enum vloop_exit attach_create(struct attach *attach)
{
	const struct attach_options *options = attach->options;
	struct vlb_create create = {
		.flags = options->trusted ? VLB_CREATE_TRUSTED : 0,
		.type = attach->type->id,
		.vendor = 0x564c4f4f, /* "VLOO" */
		.features = attach->features,
		.nqueues = attach->nqueues,
		.queue_size = options->queue_size ? options->queue_size : attach->type->ring_size,
		.driver_queue_size = driver_queue_size(options),
		.config_len = attach->config.len,
		.timeout_ms = (uint32_t)options->timeout_ms,
		.config = (uintptr_t)attach->config.bytes,
	};
	uint64_t pool_len = 0;
	enum vloop_exit result = check_module(attach, &pool_len);
	int ret;

	if (result)
		return result;
	create.pool_len = pool_len;
	ret = create_named(attach, &create);
	if (ret)
		return create_error(attach, ret, &create);
	attach->pool_len = create.out_pool_len;
	return EXIT_OK;
}
