/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "console.h"

/* How often pseudo terminals are looked at. */
#define TICK_MS		200

#define BIT(n)		(1ULL << (n))

/* virtio 1.3, 5.3.2: two queues of port 0, two for control, two of each other port. */
#define CONTROL_RX	2U
#define CONTROL_TX	3U

static struct console *to_console(struct vloop_queue *queue)
{
	return vloop_dev_user(vloop_queue_dev(queue));
}

static bool is_control(const struct console *console, unsigned int index)
{
	return console->multiport_offered && (index == CONTROL_RX || index == CONTROL_TX);
}

static struct port *to_port(struct console *console, unsigned int index)
{
	return &console->ports[index < CONTROL_RX ? 0 : index / 2 - 1];
}

static int queue_start(struct vloop_queue *queue)
{
	struct console *console = to_console(queue);
	unsigned int index = vloop_queue_index(queue);

	if (is_control(console, index)) {
		if (index == CONTROL_RX)
			console->control_rx = queue;
		else
			console->control_tx = queue;
		control_begin(console);
		return 0;
	}
	if (index % 2)
		to_port(console, index)->tx = queue;
	else
		to_port(console, index)->rx = queue;
	port_update(to_port(console, index));
	return 0;
}

static void queue_stop(struct vloop_queue *queue)
{
	struct console *console = to_console(queue);
	unsigned int index = vloop_queue_index(queue);
	struct port *port;

	if (is_control(console, index)) {
		if (index == CONTROL_RX)
			console->control_rx = NULL;
		else
			console->control_tx = NULL;
		control_end(console);
		return;
	}
	port = to_port(console, index);
	if (index % 2) {
		port_release(port);
	} else {
		port->rx = NULL;
		port_update(port);
	}
}

static int queue_kick(struct vloop_queue *queue)
{
	struct console *console = to_console(queue);
	unsigned int index = vloop_queue_index(queue);

	if (is_control(console, index))
		return index == CONTROL_RX ? control_tell(console) : control_receive(console);
	if (index % 2)
		return port_transmit(to_port(console, index));
	return port_receive(to_port(console, index));
}

static int negotiated(struct vloop_dev *dev, uint64_t features)
{
	struct console *console = vloop_dev_user(dev);

	/* It may say the same again while the queues run. */
	if (!console->control_rx && !console->control_tx)
		control_forget(console);
	console->multiport = features & BIT(VIRTIO_CONSOLE_F_MULTIPORT);
	return 0;
}

static void driver_gone(struct vloop_dev *dev)
{
	control_forget(vloop_dev_user(dev));
}

/*
 * The one field that a driver may write: a byte that goes out without any queue (5.3.4). QEMU sends the
 * whole space with what the driver wrote in it; the other fields stay what they are.
 */
static int config_write(struct vloop_dev *dev, uint32_t offset, const void *data, uint32_t len)
{
	const uint32_t emerg_wr = offsetof(struct virtio_console_config, emerg_wr);
	struct console *console = vloop_dev_user(dev);

	if (offset > emerg_wr || len <= emerg_wr - offset)
		return -EINVAL;
	vloop_dev_set_config(dev, 0, &console->config, sizeof(console->config));
	port_emergency(&console->ports[0], ((const uint8_t *)data)[emerg_wr - offset]);
	return 0;
}

static const struct vloop_dev_ops ops = {
	.size = sizeof(ops),
	.disconnected = driver_gone,
	.reset = driver_gone,
	.negotiated = negotiated,
	.config_write = config_write,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.queue_kick = queue_kick,
};

static void set_size(struct console *console)
{
	const struct end *end = &console->ports[0].end;

	console->config.cols = htole16(end->cols);
	console->config.rows = htole16(end->rows);
	vloop_dev_set_config(console->dev, 0, &console->config,
			     offsetof(struct virtio_console_config, max_nr_ports));
}

/* A terminal has another size. */
void console_resized(struct port *port)
{
	struct console *console = port->console;

	if (port->id == 0)
		set_size(console);
	if (console->multiport) {
		if (port->ready && port->spec.console)
			port->tell |= TELL_RESIZE;
		control_tell(console);
	} else if (port->id == 0) {
		vloop_dev_config_changed(console->dev);
	}
}

static bool same_spec(const struct port_spec *a, const struct port_spec *b)
{
	return !strcmp(a->name, b->name) && a->kind == b->kind && a->console == b->console &&
	       !strcmp(a->path, b->path);
}

/*
 * A free place. Best is one whose last port the driver has forgotten. One that was a console is the
 * last choice for what is none: virtio-loopback goes on serving it as a console until its driver is
 * bound again.
 */
static struct port *free_port(struct console *console, const struct port_spec *spec)
{
	struct port *found = NULL;
	unsigned int best = 0;

	for (unsigned int i = 0; i < console->max_ports; i++) {
		struct port *port = &console->ports[i];
		unsigned int fit = 1 + 2 * (spec->console || !port->was_console) + !port->tell;

		if (port->used || fit <= best)
			continue;
		best = fit;
		found = port;
	}
	return found;
}

static int add_port(struct console *console, const struct port_spec *spec, bool from_file)
{
	struct port *port = free_port(console, spec);
	int r;

	if (!port) {
		vloop_program_error(&console_program,
				    "%s: no room for this port; see --max-ports", spec->name);
		return -ENOSPC;
	}
	r = port_open(port, spec);
	if (r < 0)
		return r;
	port->from_file = from_file;
	control_added(port);
	port_update(port);
	return 0;
}

/* They have to go together with those of the command line, which stay. */
static int read_file(struct console *console, struct port_spec *specs, unsigned int *ret_n)
{
	const struct console_options *opt = &console->options;
	const char *problem;
	unsigned int line;
	int r;

	r = spec_read_file(opt->ports_file, specs, console->max_ports - opt->n, ret_n, &line,
			   &problem);
	if (r == 0) {
		memcpy(specs + *ret_n, opt->specs, opt->n * sizeof(*specs));
		r = spec_check(specs, *ret_n + opt->n, &problem);
		line = 0;
	}
	if (r < 0 && line)
		vloop_program_error(&console_program, "%s:%u: %s", console->options.ports_file, line,
				    problem);
	else if (r < 0)
		vloop_program_error(&console_program, "%s: %s%s", console->options.ports_file,
				    r == -EINVAL ? "" : "cannot read the ports: ", problem);
	return r;
}

static bool listed(const struct port_spec *spec, const struct port_spec *specs, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (same_spec(spec, &specs[i]))
			return true;
	return false;
}

static bool exists(struct console *console, const struct port_spec *spec)
{
	for (unsigned int i = 0; i < console->max_ports; i++)
		if (console->ports[i].used && same_spec(&console->ports[i].spec, spec))
			return true;
	return false;
}

/* Only pseudo terminals are looked at: without one, nothing wakes this process up. */
static void set_tick(struct console *console)
{
	static const struct timespec often = { .tv_nsec = TICK_MS * 1000000L };
	struct itimerspec when = { 0 };

	for (unsigned int i = 0; i < console->max_ports; i++)
		if (console->ports[i].used && console->ports[i].end.kind == END_PTY)
			when = (struct itimerspec){ .it_interval = often, .it_value = often };
	timerfd_settime(console->tick_fd, 0, &when, NULL);
}

/* Make the ports those of the file. A file that cannot be used changes nothing. */
static int follow_file(struct console *console)
{
	struct port_spec specs[CONSOLE_PORTS_MAX];
	unsigned int n;
	int r, first = 0;

	r = read_file(console, specs, &n);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < console->max_ports; i++) {
		struct port *port = &console->ports[i];

		if (!port->used || !port->from_file || listed(&port->spec, specs, n))
			continue;
		port_close(port);
		control_removed(port);
	}
	for (unsigned int i = 0; i < n; i++) {
		if (exists(console, &specs[i]))
			continue;
		r = add_port(console, &specs[i], true);
		if (r < 0 && !first)
			first = r;
	}
	set_tick(console);
	control_tell(console);
	return first;
}

static int signalled(struct vloop_dev *dev, int fd, uint32_t events, void *user)
{
	struct console *console = user;
	struct signalfd_siginfo info;

	(void)dev;
	(void)events;
	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	if (info.ssi_signo == SIGHUP) {
		/* What is wrong has been said, and the ports that there are go on. */
		if (console->options.ports_file)
			follow_file(console);
		return 0;
	}
	for (unsigned int i = 0; i < console->max_ports; i++) {
		struct port *port = &console->ports[i];

		if (port->used && port->end.kind == END_STDIO && end_size_changed(&port->end))
			console_resized(port);
	}
	return 0;
}

static int ticked(struct vloop_dev *dev, int fd, uint32_t events, void *user)
{
	struct console *console = user;
	uint64_t ticks;

	(void)dev;
	(void)events;
	if (read(fd, &ticks, sizeof(ticks)) == sizeof(ticks))
		for (unsigned int i = 0; i < console->max_ports; i++)
			port_look(&console->ports[i]);
	return 0;
}

static int resumes(struct vloop_dev *dev, int fd, uint32_t events, void *user)
{
	uint64_t ticks;

	(void)events;
	if (read(fd, &ticks, sizeof(ticks)) == sizeof(ticks) && control_resume(user) < 0)
		vloop_dev_disconnect(dev);
	return 0;
}

static int watch_events(struct console *console)
{
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	console->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	console->tick_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	console->resume_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (console->signal_fd < 0 || console->tick_fd < 0 || console->resume_fd < 0)
		return -errno;
	r = vloop_dev_watch(console->dev, console->signal_fd, EPOLLIN, signalled, console);
	if (r == 0)
		r = vloop_dev_watch(console->dev, console->tick_fd, EPOLLIN, ticked, console);
	if (r == 0)
		r = vloop_dev_watch(console->dev, console->resume_fd, EPOLLIN, resumes, console);
	return r;
}

/*
 * Each queue has three descriptors of the front-end's, each port up to two of its own; and a few more.
 * A client that cannot be taken for want of them would keep the loop busy.
 */
static void raise_file_limit(unsigned int num_queues, unsigned int num_ports)
{
	const rlim_t wanted = 3 * num_queues + 2 * num_ports + 128;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int make_device(struct console *console)
{
	struct vloop_dev_desc desc = {
		.size = sizeof(desc),
		.device_id = 3,
		.name = "console",
		.features = BIT(VIRTIO_CONSOLE_F_SIZE) | BIT(VIRTIO_CONSOLE_F_EMERG_WRITE),
		.num_queues = 2,
		.dispatch = VLOOP_DISPATCH_LOOP,
		.config = &console->config,
		.config_len = sizeof(console->config),
	};

	console->config.max_nr_ports = htole32(console->max_ports);
	if (console->multiport_offered) {
		desc.features |= BIT(VIRTIO_CONSOLE_F_MULTIPORT);
		desc.num_queues = 2 * (console->max_ports + 1);
	}
	raise_file_limit(desc.num_queues, console->max_ports);
	return vloop_dev_new(&console->dev, &desc, &ops, console);
}

static int open_ports(struct console *console)
{
	const struct console_options *opt = &console->options;
	int r = 0;

	for (unsigned int i = 0; i < opt->n && r == 0; i++)
		r = add_port(console, &opt->specs[i], false);
	if (r == 0 && opt->ports_file)
		r = follow_file(console);
	set_tick(console);
	return r;
}

/**
 * console_open() - make the device and its ports; says itself what went wrong
 *
 * Return: 0 or a negative errno; console_close() is called in both cases.
 */
int console_open(struct console *console)
{
	const struct console_options *opt = &console->options;
	int r;

	console->signal_fd = -1;
	console->tick_fd = -1;
	console->resume_fd = -1;
	console->multiport_offered = !opt->primary || opt->n > 1 || opt->ports_file;
	console->max_ports = opt->max_ports;
	console->ports = calloc(console->max_ports, sizeof(*console->ports));
	if (!console->ports)
		return -ENOMEM;
	for (unsigned int i = 0; i < console->max_ports; i++) {
		console->ports[i].console = console;
		console->ports[i].id = i;
		console->ports[i].end = (struct end){ .in_fd = -1, .out_fd = -1, .listen_fd = -1 };
	}
	r = make_device(console);
	if (r == 0)
		r = watch_events(console);
	if (r < 0) {
		vloop_program_error(&console_program, "cannot make the device: %s", strerror(-r));
		return r;
	}
	r = open_ports(console);
	if (r == 0)
		set_size(console);
	return r;
}

void console_close(struct console *console)
{
	/* The queues stop here, so that nothing of them is left when the ports close. */
	console->dev = vloop_dev_unref(console->dev);
	for (unsigned int i = 0; console->ports && i < console->max_ports; i++)
		port_close(&console->ports[i]);
	free(console->ports);
	if (console->signal_fd >= 0)
		close(console->signal_fd);
	if (console->tick_fd >= 0)
		close(console->tick_fd);
	if (console->resume_fd >= 0)
		close(console->resume_fd);
}
