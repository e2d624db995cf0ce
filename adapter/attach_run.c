/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vloop attach, while the device exists. One thread, one loop; what blocks in it is a
 * conversation with the back-end, which is bounded.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attach.h"
#include "sysfs.h"

#define APPEAR_STEP_MS 10

/* From here on somebody waits for us: a peer that does not answer no longer gets all its time. */
static void note_removal(struct attach *attach)
{
	attach->removing = true;
	if (attach->backend.timeout_ms > BACKEND_HURRY_MS)
		attach->backend.timeout_ms = BACKEND_HURRY_MS;
	supervise_notify("STOPPING=1\nSTATUS=Removing the device");
}

/* Somebody detaches the device, broken or not, and what they do succeeds: so does this process. */
static void note_detach(struct attach *attach)
{
	attach->detached = true;
	if (attach->result == EXIT_BROKEN)
		attach->result = EXIT_OK;
}

static void start_removal(struct attach *attach)
{
	int ret;

	note_removal(attach);
	ret = kdev_remove(&attach->kdev);
	if (ret == -ENODEV) {
		note_detach(attach);
	} else if (ret) {
		/* Closing the file removes what is there, though without waiting for it. */
		msg_error("removing the device: %s; the kernel's log may say why", strerror(-ret));
		attach->result = EXIT_FAIL;
		attach->removed = true;
	}
}

void attach_fail(struct attach *attach, enum vloop_exit result)
{
	attach->result = result;
	kdev_stop(&attach->kdev, VLB_STOP_FAIL);
	if (!attach->removing)
		start_removal(attach);
}

static void handle_broken(struct attach *attach, uint32_t reason)
{
	attach->started = false;
	if (reason == VLB_BROKEN_STOP) {
		/* Nobody but "vloop detach --force" asks for that. */
		msg_warn("the device is detached by force: its requests fail");
		return;
	}
	msg_error("the device is broken: %s; its requests fail until it is detached",
		  kdev_broken_reason(reason));
	if (!attach->detached)
		attach->result = EXIT_BROKEN;
	supervise_notify("STATUS=Broken: %s", kdev_broken_reason(reason));
	if (attach->options->policy == ON_DISCONNECT_REMOVE && !attach->removing)
		start_removal(attach);
}

static void handle_event(struct attach *attach, const struct vlb_event *event)
{
	switch (event->type) {
	case VLB_EVENT_REGISTERED:
		attach->registered = true;
		if (event->reason) {
			msg_error("the kernel refused the device: %s",
				  strerror((int)event->reason));
			attach_fail(attach, EXIT_FAIL);
		}
		break;
	case VLB_EVENT_DRIVER_OK:
		/* Events are states: a reset may have been merged into this one. */
		if (attach->driver_ok || attach->started)
			link_reset(attach);
		attach->epoch = event->epoch;
		attach->driver_features = event->features;
		attach->driver_ok = true;
		link_start_session(attach);
		break;
	case VLB_EVENT_RESET:
		attach->epoch = event->epoch;
		link_reset(attach);
		break;
	case VLB_EVENT_CONFIG_WRITE:
		link_config_write(attach, event);
		break;
	case VLB_EVENT_BROKEN:
		handle_broken(attach, event->reason);
		break;
	case VLB_EVENT_REMOVING:
		if (!attach->removing)
			note_detach(attach);
		note_removal(attach);
		break;
	case VLB_EVENT_REMOVED:
		attach->removed = true;
		break;
	default:
		msg_debug("event %u of a newer kernel module is ignored", event->type);
	}
}

static void handle_kernel(struct attach *attach)
{
	struct vlb_event event;
	int ret;

	while (!attach->removed && (ret = kdev_event(&attach->kdev, &event)) != 0) {
		if (ret < 0) {
			if (ret != -ENODEV) {
				msg_error("reading events of the kernel: %s", strerror(-ret));
				attach->result = EXIT_FAIL;
			}
			attach->removed = true;
			return;
		}
		handle_event(attach, &event);
	}
}

/* On SIGINT somebody sits at the terminal who can be asked; a supervisor cannot. */
static bool spare_busy_device(struct attach *attach, int signal)
{
	char virtio[SYSFS_TEXT], user[SYSFS_TEXT];

	if (sysfs_virtio(attach->name, virtio, sizeof(virtio)) ||
	    !sysfs_in_use(attach->type, virtio, user, sizeof(user)))
		return false;
	if (signal == SIGINT && !attach->in_use_warned) {
		attach->in_use_warned = true;
		msg_error("the device is %s; release it, or interrupt again to remove it all the "
			  "same",
			  user);
		return true;
	}
	msg_warn("removing the device although it is %s", user);
	return false;
}

static void handle_signal(struct attach *attach)
{
	struct signalfd_siginfo info;

	if (read(attach->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (attach->removing) {
		msg_warn("failing the requests in flight");
		kdev_stop(&attach->kdev, VLB_STOP_FAIL);
		attach->started = false;
		return;
	}
	if (!spare_busy_device(attach, (int)info.ssi_signo))
		start_removal(attach);
}

/* Between requests the socket is silent: input there is the end, or a peer gone astray. */
static void handle_socket(struct attach *attach, short revents)
{
	char byte;
	ssize_t n = recv(attach->backend.sock, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n > 0)
		link_lost(attach, "it sent a message that nobody asked for");
	else if (n == 0 || (revents & (POLLHUP | POLLERR)))
		link_lost(attach, "it closed the connection");
}

static void handle_channel(struct attach *attach)
{
	if (backend_channel(&attach->backend) < 0)
		link_lost(attach, attach->backend.problem);
}

static int next_timeout(const struct attach *attach)
{
	uint64_t now = now_ms();
	int timeout = -1;

	if (!attach->linked && attach->reconnect_at)
		timeout = attach->reconnect_at > now ? (int)(attach->reconnect_at - now) : 0;
	if (!attach->announced && (timeout < 0 || timeout > APPEAR_STEP_MS))
		timeout = APPEAR_STEP_MS;
	return timeout;
}

static int wait_and_handle(struct attach *attach)
{
	enum { KERNEL, SIGNAL, SOCKET, CHANNEL, RING_ERROR, N };
	struct pollfd fds[N] = {
		[KERNEL] = {.fd = attach->kdev.fd, .events = POLLIN},
		[SIGNAL] = {.fd = attach->signal_fd, .events = POLLIN},
		[SOCKET] = {.fd = attach->linked ? attach->backend.sock : -1, .events = POLLIN},
		[CHANNEL] = {.fd = attach->linked ? attach->backend.channel : -1, .events = POLLIN},
		[RING_ERROR] = {.fd = attach->session.err, .events = POLLIN},
	};

	if (poll(fds, N, next_timeout(attach)) < 0)
		return errno == EINTR ? 0 : -errno;
	/*
	 * The back-end first: its loss must be known before a kernel event starts a
	 * conversation. Each step may end the connection, so each asks whether it is there.
	 */
	if (fds[CHANNEL].revents && attach->linked)
		handle_channel(attach);
	if (fds[SOCKET].revents && attach->linked)
		handle_socket(attach, fds[SOCKET].revents);
	/*
	 * The eventfd is shared by all rings; which of them it was is in the back-end's own log. It
	 * is not read, since the back-end could make that wait: its flags and count are shared.
	 */
	if (fds[RING_ERROR].revents && attach->linked && attach->session.err >= 0)
		link_lost(attach, "it reported an error on a ring");
	if (fds[KERNEL].revents)
		handle_kernel(attach);
	if (fds[SIGNAL].revents && !attach->removed)
		handle_signal(attach);
	return 0;
}

static void finish(struct attach *attach)
{
	if (attach->linked)
		session_end(&attach->session, &attach->backend);
	backend_close(&attach->backend);
	session_free(&attach->session);
	attach->linked = false;
}

enum vloop_exit attach_run(struct attach *attach)
{
	int ret = kdev_register(&attach->kdev);

	if (ret) {
		msg_error("registering the device: %s; the kernel's log may say why",
			  strerror(-ret));
		finish(attach);
		return EXIT_FAIL;
	}
	attach->appear_deadline = now_ms() + (uint64_t)attach->options->device_timeout_ms;
	while (!attach->removed) {
		ret = wait_and_handle(attach);
		if (ret) {
			msg_error("waiting for events: %s", strerror(-ret));
			attach->result = EXIT_FAIL;
			break;
		}
		if (attach->linked && attach->backend.config_changed && !attach->removed)
			link_config_changed(attach);
		if (!attach->linked && attach->reconnect_at && now_ms() >= attach->reconnect_at)
			link_reconnect(attach);
		if (!attach->announced && !attach->removing)
			ready_check(attach);
	}
	finish(attach);
	return attach->result;
}
