/* SPDX-License-Identifier: BSD-3-Clause */
/* vloop attach, once: the driver's device has appeared, or has not come in time. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "attach.h"
#include "output.h"
#include "sysfs.h"

/*
 * This process must not need its own device to make progress: its memory is locked, so that
 * no page of it has to be read back through the device, and its allocations do not start
 * write-back (facts.md, 3; prctl(2)). Without the rights for it things work until memory is
 * short, hence no error.
 */
static void avoid_own_device(void)
{
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0))
		msg_debug("PR_SET_IO_FLUSHER is not allowed");
	if (mlockall(MCL_CURRENT))
		msg_debug("locking memory is not allowed");
}

static void print_result(struct attach *attach, const char *virtio, const char *device)
{
	struct json_object *object;
	const char *line = device ? device : virtio;

	if (!attach->options->json) {
		supervise_report(attach->result_fd, line);
		return;
	}
	object = json_object_new_object();
	out_text(object, "name", attach->name);
	out_text(object, "type", attach->type->name);
	out_text(object, "device", device);
	out_text(object, "virtio", *virtio ? virtio : NULL);
	out_number(object, "queues", attach->nqueues);
	out_number(object, "pool_size", attach->pool_len);
	supervise_report(attach->result_fd,
			 json_object_to_json_string_ext(object, JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}

static void announce(struct attach *attach, const char *virtio, const char *device)
{
	const char *step;
	int ret;

	attach->announced = true;
	if (device)
		msg_info("%s is %s", attach_source(attach), device);
	print_result(attach, virtio, device);
	supervise_notify("READY=1\nSTATUS=%s", attach->started ? "Serving" : "Waiting");
	if (attach->result_fd >= 0) {
		close(attach->result_fd);
		attach->result_fd = -1;
	}
	avoid_own_device();
	if (attach->options->no_sandbox)
		return;
	ret = sandbox_enter(&step);
	if (ret)
		msg_warn("this process cannot be confined, and goes on with all its rights: %s: %s",
			 step, strerror(-ret));
}

static void warn_missing(const struct attach *attach, const char *virtio)
{
	char driver[SYSFS_TEXT];

	if (!*virtio)
		msg_warn("the kernel does not show the device on the virtio bus yet");
	else if (sysfs_driver(virtio, driver, sizeof(driver)))
		msg_warn("no driver bound to %s; try 'modprobe %s' (the kernel may not have it)",
			 virtio, attach->type->module);
	else
		msg_warn("driver %s is bound to %s, but its device has not appeared within %d s",
			 driver, virtio, attach->options->device_timeout_ms / 1000);
}

void ready_check(struct attach *attach)
{
	char virtio[SYSFS_TEXT] = "", device[SYSFS_TEXT];
	bool late = now_ms() >= attach->appear_deadline;

	if (!attach->registered && !late)
		return;
	if (!sysfs_virtio(attach->name, virtio, sizeof(virtio)) &&
	    !sysfs_kernel_device(attach->type, virtio, device, sizeof(device))) {
		announce(attach, virtio, device);
		return;
	}
	if (!late)
		return;
	warn_missing(attach, virtio);
	announce(attach, virtio, NULL);
}
