/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The connection of a device to its back-end, over the lives of several back-ends.
 *
 *              link_reconnect()                       VLB_IOC_START
 *   not linked ---------------> linked, not started ----------------> started
 *       ^                          |        ^                           |
 *       |        link_lost()       |        |       link_reset()        |
 *       +--------------------------+        +---------------------------+
 *       +---------------------------------------------------------------+
 *
 * A session is set up when there is both a link and a driver that is ready, whichever comes
 * last. In the kernel, cutting comes before talking: link_lost() stops the session first.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "attach.h"

#define DELAY_FIRST_MS 50
#define DELAY_MAX_MS 1000
/* A link that lasts as long as the longest delay cannot make sessions any faster than that one. */
#define LASTING_MS DELAY_MAX_MS

/*
 * A peer that stays away, or comes back unfit every second, is worth one line and not one
 * per try.
 */
static void complain(struct attach *attach, const char *problem)
{
	if (!strcmp(attach->complaint, problem))
		return;
	snprintf(attach->complaint, sizeof(attach->complaint), "%s", problem);
	msg_warn("back-end %s: %s", attach_source(attach), problem);
}

static void schedule_reconnect(struct attach *attach)
{
	if (!attach->reconnect_delay_ms)
		attach->reconnect_delay_ms = DELAY_FIRST_MS;
	attach->reconnect_at = now_ms() + attach->reconnect_delay_ms;
	attach->reconnect_delay_ms *= 2;
	if (attach->reconnect_delay_ms > DELAY_MAX_MS)
		attach->reconnect_delay_ms = DELAY_MAX_MS;
}

static void stop_kernel(struct attach *attach)
{
	const bool fail = attach->options->policy != ON_DISCONNECT_WAIT;
	int ret;

	attach->started = false;
	if (attach->removed)
		return;
	ret = kdev_stop(&attach->kdev, fail ? VLB_STOP_FAIL : 0);
	/* EBADFD: there was no session. ENODEV: the device is gone already. */
	if (ret && ret != -EBADFD && ret != -ENODEV)
		msg_error("stopping the session: %s", strerror(-ret));
}

/*
 * Each session costs a pool that is made and pinned. Losses in quick succession are further and
 * further apart, however fast each successor was there.
 */
static void schedule_after_loss(struct attach *attach)
{
	const bool lasted = now_ms() >= attach->linked_at + LASTING_MS;

	attach->reconnect_delay_ms = lasted ? 0 : attach->loss_delay_ms;
	schedule_reconnect(attach);
	attach->loss_delay_ms = attach->reconnect_delay_ms;
}

void link_up(struct attach *attach)
{
	attach->linked = true;
	attach->linked_at = now_ms();
}

void link_lost(struct attach *attach, const char *reason)
{
	const enum disconnect_policy policy = attach->options->policy;

	stop_kernel(attach);
	complain(attach, reason);
	backend_close(&attach->backend);
	session_free(&attach->session);
	attach->linked = false;
	if (policy == ON_DISCONNECT_REMOVE && !attach->removing) {
		msg_error("removing the device, since its back-end is gone");
		attach->result = EXIT_BACKEND;
		kdev_remove(&attach->kdev);
		attach->removing = true;
		return;
	}
	if (policy == ON_DISCONNECT_REMOVE)
		return;
	supervise_notify("STATUS=Waiting for the back-end: %s", reason);
	schedule_after_loss(attach);
}

static void start_failed(struct attach *attach, int error)
{
	switch (-error) {
	case ESTALE:
	case ENODEV:
	case EBADFD:
		/* The driver went on meanwhile: an event that says how is on its way. */
		return;
	case ENOMEM:
		if (attach->options->hugepages)
			msg_error("no pool of %" PRIu64 " bytes of huge pages: free some "
				  "(vm.nr_hugepages), or leave --hugepages out",
				  attach->pool_len);
		else
			msg_error("the kernel cannot pin a pool of %" PRIu64
				  " bytes: raise RLIMIT_MEMLOCK ('ulimit -l', LimitMEMLOCK=), or "
				  "give a smaller --pool",
				  attach->pool_len);
		attach_fail(attach, EXIT_MEMORY);
		return;
	case EMFILE:
		msg_error("too many open files: raise RLIMIT_NOFILE ('ulimit -n', LimitNOFILE=)");
		attach_fail(attach, EXIT_MEMORY);
		return;
	default:
		msg_error("setting up rings in a pool of %" PRIu64 " bytes: %s", attach->pool_len,
			  strerror(-error));
		attach_fail(attach, EXIT_FAIL);
	}
}

static void tell_config(struct attach *attach, const struct config_space *config)
{
	int ret;

	attach->config = *config;
	ret = kdev_config(&attach->kdev, config->bytes, config->len, VLB_CONFIG_NOTIFY);
	if (ret && ret != -ENODEV)
		msg_error("telling the driver about the new configuration: %s", strerror(-ret));
}

static void update_config(struct attach *attach, const struct config_space *config)
{
	if (memcmp(config, &attach->config, sizeof(*config)))
		tell_config(attach, config);
}

static void remember_write(struct attach *attach, const struct vlb_event *event)
{
	struct config_write *write = attach->writes;
	uint32_t i;

	for (i = 0; i < attach->nwrites && write->offset != event->offset; i++)
		write++;
	if (i == WRITES_MAX || event->len > sizeof(write->data))
		return;
	if (i == attach->nwrites)
		attach->nwrites++;
	write->offset = event->offset;
	write->len = event->len;
	memcpy(write->data, event->data, event->len);
}

static void apply_write(struct config_space *config, const struct config_write *write)
{
	if (write->offset <= config->len && write->len <= config->len - write->offset)
		memcpy(config->bytes + write->offset, write->data, write->len);
}

/* Send one write of the driver; where all is sent, with all that the driver wrote before. */
static int send_write(struct attach *attach, const struct config_write *write)
{
	struct config_space config = attach->config;

	if (!(attach->type->flags & TYPE_CONFIG_WHOLE))
		return backend_set_config(&attach->backend, write->offset, write->data, write->len);
	for (uint32_t i = 0; i < attach->nwrites; i++)
		apply_write(&config, &attach->writes[i]);
	apply_write(&config, write);
	return backend_set_config(&attach->backend, 0, config.bytes, attach->backend.config_len);
}

/*
 * A new back-end begins with its own defaults, and so may the same one after a reset; the driver
 * relies on what was written before, and the kernel's copy says so to the next driver: a disk's
 * cache mode decides whether it sends flushes.
 */
static int replay_writes(struct attach *attach)
{
	struct config_space config = {0};
	int ret = 0;

	for (uint32_t i = 0; i < attach->nwrites && !ret; i++)
		ret = send_write(attach, &attach->writes[i]);
	if (!ret && attach->nwrites)
		ret = attach_fetch_config(attach, &config);
	if (!ret && attach->nwrites)
		update_config(attach, &config);
	return ret;
}

void link_start_session(struct attach *attach)
{
	const struct session_plan plan = {
		.nqueues = attach->nqueues,
		.pool_len = attach->pool_len,
		.hugepages = attach->options->hugepages,
		.call_eventfd = attach->options->call_eventfd,
		.kick_file = attach->kick_file,
		.epoch = attach->epoch,
	};
	int ret;

	if (!attach->linked || !attach->driver_ok || attach->started)
		return;
	session_free(&attach->session);
	ret = session_prepare(&attach->session, &attach->kdev, &plan);
	if (ret) {
		start_failed(attach, ret);
		return;
	}
	ret = session_offer(&attach->session, &attach->backend, attach->driver_features);
	if (ret) {
		link_lost(attach, attach->backend.problem);
		return;
	}
	if (replay_writes(attach)) {
		link_lost(attach, attach->backend.problem);
		return;
	}
	ret = kdev_start(&attach->kdev, attach->epoch);
	if (ret) {
		start_failed(attach, ret);
		return;
	}
	attach->started = true;
	if (*attach->complaint) {
		msg_info("back-end %s: serving again", attach_source(attach));
		*attach->complaint = 0;
	}
	supervise_notify("STATUS=Serving");
	msg_debug("session of epoch %u started, features 0x%" PRIx64, attach->epoch,
		  attach->driver_features);
}

void link_reset(struct attach *attach)
{
	int ret;

	attach->started = false;
	attach->driver_ok = false;
	if (!attach->linked)
		return;
	/* The kernel has cut the session already; this only tells the back-end. */
	ret = session_end(&attach->session, &attach->backend);
	if (ret) {
		link_lost(attach, attach->backend.problem);
		return;
	}
	session_free(&attach->session);
}

/* May this back-end stand in for the one that the device was made for? */
static const char *check_successor(struct attach *attach, struct config_space *config)
{
	static char text[160];
	uint64_t needed = attach->driver_ok ? attach->driver_features : attach->features;
	uint64_t missing;
	int ret;

	/* What --read-only and --mac added never came from a back-end. */
	if (attach->options->read_only)
		needed &= ~(1ULL << 5);
	if (attach->options->config.has_mac)
		needed &= ~(1ULL << 5);
	missing = needed & ~attach->backend.features;
	if (missing) {
		snprintf(text, sizeof(text),
			 "it lacks features that the device was attached with "
			 "(0x%" PRIx64 ")",
			 missing);
		return text;
	}
	if (attach->backend.queue_max && attach->type->id != 1 &&
	    attach->backend.queue_max < attach->nqueues) {
		snprintf(text, sizeof(text),
			 "it has %" PRIu64 " queues, the device was attached "
			 "with %u",
			 attach->backend.queue_max, attach->nqueues);
		return text;
	}
	ret = attach_fetch_config(attach, config);
	return ret ? attach->backend.problem : NULL;
}

void link_reconnect(struct attach *attach)
{
	struct backend *backend = &attach->backend;
	struct config_space config = {0};
	const char *unfit;

	attach->reconnect_at = 0;
	if (backend_connect(backend, attach->options->socket) || backend_negotiate(backend)) {
		complain(attach, backend->problem);
		backend_close(backend);
		schedule_reconnect(attach);
		return;
	}
	unfit = check_successor(attach, &config);
	if (unfit) {
		complain(attach, unfit);
		backend_close(backend);
		schedule_reconnect(attach);
		return;
	}
	link_up(attach);
	/* What depends on the driver's writes is right when those were sent again: replay_writes(). */
	if (!attach->nwrites)
		update_config(attach, &config);
	link_start_session(attach);
}

void link_config_changed(struct attach *attach)
{
	struct config_space config = {0};

	attach->backend.config_changed = false;
	if (attach_fetch_config(attach, &config)) {
		link_lost(attach, attach->backend.problem);
		return;
	}
	/* Also what is known already: if a write brought it, the driver was not told. */
	tell_config(attach, &config);
}

/* Forward a write and read the result back: for many types it decides what comes next. */
static int forward_write(struct attach *attach, const struct vlb_event *event,
			 struct config_space *config)
{
	struct backend *backend = &attach->backend;
	const int bound = backend->timeout_ms;
	struct config_write write = {.offset = event->offset, .len = event->len};
	int ret;

	if (event->len > sizeof(write.data))
		return -EPROTO;
	memcpy(write.data, event->data, event->len);
	if (!attach->linked)
		return -ENOTCONN;
	/* Two messages within the time that the kernel waits for our answer. */
	backend->timeout_ms = bound / 3;
	ret = send_write(attach, &write);
	if (!ret)
		ret = attach_fetch_config(attach, config);
	backend->timeout_ms = bound;
	return ret;
}

void link_config_write(struct attach *attach, const struct vlb_event *event)
{
	struct config_space config = {0};
	int ret = forward_write(attach, event, &config);
	int told;

	if (!ret)
		attach->config = config;
	/*
	 * What wants no answer was an action, like a character of an emergency, and is over. A part
	 * of a question counts even if this back-end did not hear it.
	 */
	if (event->id && (!ret || attach->type->flags & TYPE_CONFIG_WHOLE))
		remember_write(attach, event);
	if (event->id && ret)
		told = kdev_answer(&attach->kdev, event->id, EIO, 0, NULL, 0);
	else if (event->id)
		told = kdev_answer(&attach->kdev, event->id, 0, 0, config.bytes, config.len);
	else
		told = ret ? 0 : kdev_config(&attach->kdev, config.bytes, config.len, 0);
	/* ENOENT: the kernel has stopped waiting. It says so itself. */
	if (told && told != -ENOENT && told != -ENODEV)
		msg_error("answering a write to the config space: %s", strerror(-told));
	if (ret == -EREMOTEIO || ret == -ENODATA)
		msg_warn("a write of the driver to its config space (offset %u, %u bytes): %s",
			 event->offset, event->len, attach->backend.problem);
	else if (ret && attach->linked)
		link_lost(attach, attach->backend.problem);
}
