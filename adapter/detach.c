/* SPDX-License-Identifier: BSD-3-Clause */
/* vloop detach: remove a device by its name or by its kernel device. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kdev.h"
#include "parse.h"
#include "sysfs.h"

#define CLASS "/sys/class/virtio-loopback"
#define OPEN_BOUND_MS 2000
#define PROCESS_BOUND_MS 5000

/*
 * An exclusive open tells users in other mount namespaces too. It can hang for as long as the
 * disk does, so a child tries it; if it has not come back in time we know nothing, and a disk
 * that hangs is what people detach.
 */
static bool claimed(const char *device)
{
	int fds[2], status = 0;
	struct pollfd wait;
	pid_t child;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return false;
	child = fork();
	if (!child) {
		int fd = open(device, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);

		_exit(fd < 0 && errno == EBUSY);
	}
	close(fds[1]);
	wait = (struct pollfd){.fd = fds[0], .events = POLLIN};
	/* The child's end of the pipe closes with it. */
	if (child > 0 && poll(&wait, 1, OPEN_BOUND_MS) > 0)
		waitpid(child, &status, 0);
	else if (child > 0)
		kill(child, SIGKILL);
	close(fds[0]);
	return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

static bool in_use(const char *name, char *ret_user, size_t size)
{
	const struct vloop_type *type =
		type_by_id((uint32_t)sysfs_number(0, CLASS "/%s/type_id", name));
	char virtio[SYSFS_TEXT], device[SYSFS_TEXT];

	if (!type || type->id != 2 || sysfs_virtio(name, virtio, sizeof(virtio)))
		return false;
	if (sysfs_in_use(type, virtio, ret_user, size))
		return true;
	if (sysfs_kernel_device(type, virtio, device, sizeof(device)) || !claimed(device))
		return false;
	snprintf(ret_user, size, "in use (%s cannot be opened exclusively)", device);
	return true;
}

/* A descriptor of the "vloop attach" that serves device @name, or -1. */
static int serving_process(const char *name)
{
	const uint64_t pid = sysfs_number(0, CLASS "/%s/owner_pid", name);
	char comm[SYSFS_TEXT];

	/* In another namespace the number is somebody else's. */
	if (sysfs_read(comm, sizeof(comm), "/proc/%" PRIu64 "/comm", pid) || strcmp(comm, "vloop"))
		return -1;
	return pidfd_open((pid_t)pid, 0);
}

/*
 * It has the module's file open, and a name in the list of processes, for a moment after the device
 * is gone: whoever removes the module next would be told that it is in use.
 */
static void await_process(int pidfd, int bound_ms)
{
	struct pollfd wait = {.fd = pidfd, .events = POLLIN};

	if (pidfd < 0)
		return;
	poll(&wait, 1, bound_ms);
	close(pidfd);
}

static enum vloop_exit explain(const char *name, int error, uint64_t timeout_s)
{
	switch (-error) {
	case ENOENT:
	case ENODEV:
		msg_error("no device '%s'; 'vloop list' shows what there is", name);
		return EXIT_ABSENT;
	case EPERM:
	case EACCES:
		msg_error("device '%s' belongs to another user", name);
		return EXIT_RIGHTS;
	case ETIMEDOUT:
		msg_error("device '%s' is not gone after %u s; its removal goes on, --force fails "
			  "its requests",
			  name, (unsigned int)timeout_s);
		return EXIT_TIMEOUT;
	case EINTR:
		msg_error("interrupted; the removal of '%s' goes on", name);
		return EXIT_TIMEOUT;
	default:
		msg_error("detaching '%s': %s", name, strerror(-error));
		return EXIT_FAIL;
	}
}

struct order {
	bool all;
	bool force;
	uint64_t timeout_s;
};

static enum vloop_exit detach(struct kdev *kdev, const struct order *order, const char *name)
{
	char user[2 * SYSFS_TEXT];
	int ret, pidfd;

	if (!order->force && in_use(name, user, sizeof(user))) {
		msg_error("device '%s' is %s; release it first, or detach it with --force", name,
			  user);
		return EXIT_BUSY;
	}
	pidfd = order->timeout_s ? serving_process(name) : -1;
	ret = kdev_detach(kdev, name, (uint32_t)order->timeout_s * 1000,
			  order->force ? VLB_DETACH_FORCE : 0);
	await_process(pidfd, ret ? 0 : PROCESS_BOUND_MS);
	/* Nobody has named it: it may have gone by itself meanwhile. */
	if (order->all && (ret == -ENOENT || ret == -ENODEV))
		ret = 0;
	return ret ? explain(name, ret, order->timeout_s) : EXIT_OK;
}

static enum vloop_exit detach_found(struct kdev *kdev, const struct order *order, const char *text)
{
	char name[VLB_NAME_MAX];
	int ret = sysfs_find(text, name, sizeof(name));

	return ret ? sysfs_find_error(text, ret) : detach(kdev, order, name);
}

static enum vloop_exit detach_all(struct kdev *kdev, const struct order *order)
{
	enum vloop_exit first = EXIT_OK;
	char **names;
	size_t n;

	if (sysfs_names(&names, &n))
		return sysfs_no_module();
	for (size_t i = 0; i < n; i++) {
		enum vloop_exit result = detach(kdev, order, names[i]);

		if (!first)
			first = result;
	}
	sysfs_names_free(names, n);
	return first;
}

/* What one cannot be detached for does not keep the others. */
static enum vloop_exit carry_out(const struct order *order, char **texts, int n)
{
	enum vloop_exit first = EXIT_OK;
	struct kdev kdev;
	int ret = kdev_open(&kdev);

	if (ret)
		return kdev_open_error(ret);
	if (order->all)
		first = detach_all(&kdev, order);
	for (int i = 0; i < n; i++) {
		enum vloop_exit result = detach_found(&kdev, order, texts[i]);

		if (!first)
			first = result;
	}
	kdev_close(&kdev);
	return first;
}

static int run_detach(int argc, char **argv)
{
	static const struct option options[] = {
		{"all", no_argument, NULL, 'a'},
		{"force", no_argument, NULL, 'f'},
		{"timeout", required_argument, NULL, 't'},
		{0},
	};
	struct order order = {.timeout_s = 60};
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'a')
			order.all = true;
		else if (c == 'f')
			order.force = true;
		else if (c != 't')
			return option_error("detach");
		else if (vl_parse_u64(optarg, 0, 86400, &order.timeout_s))
			return usage_error("detach",
					   "--timeout wants whole seconds, up to 86400, not '%s'",
					   optarg);
	}
	if (order.all && optind < argc)
		return usage_error("detach", "--all leaves nothing to name, such as '%s'",
				   argv[optind]);
	if (!order.all && optind == argc)
		return usage_error("detach", "expected NAME, or --all");
	return (int)carry_out(&order, argv + optind, argc - optind);
}

const struct subcommand cmd_detach = {
	.name = "detach",
	.run = run_detach,
	.summary = "remove devices",
	.help = "Usage: vloop detach [OPTION...] NAME...\n"
		"       vloop detach [OPTION...] --all\n"
		"\n"
		"Remove devices, one after another, and wait until each is gone. NAME is a\n"
		"name, or a kernel device (/dev/vda, vda, virtio3). A disk that is in use stays.\n"
		"\n"
		"  --all              all devices that there are\n"
		"  --force            remove them even if in use, and fail requests at once\n"
		"  --timeout SECONDS  longest wait for each (60); its removal goes on after that,\n"
		"                     and 0 does not wait\n",
};
