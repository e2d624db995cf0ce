/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vloop run: the command, its processes and its signals. What is done when is decided in
 * run_state.c. The parts:
 *
 *   run.c          command line, event loop
 *   run_lex.c      form of the configuration file
 *   run_conf.c     meaning of it: sections, and what follows from the whole
 *   run_settings.c meaning of it: settings
 *   run_state.c    what to start, start again and end next
 *   run_process.c  one process
 *   run_system.c   users, programs, directories
 *
 * One adapter process for each device: a device process that gets at its adapter has that one
 * device, and the confinement of vloop attach is what it is without vloop run.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"
#include "run_process.h"
#include "run_state.h"
#include "signals.h"

struct run_options {
	const char *file;
	const char *directory;
	bool check;
	bool json;
	bool verbose;
};

/*
 * @program: our own, for vloop attach
 * @processes: RUN_PARTS for each device
 */
struct run {
	const struct run_options *options;
	char program[4096];
	struct run_conf conf;
	struct run_state state;
	struct run_directory directory;
	struct run_process *processes;
	struct run_identity *identities;
	int signal_fd;
	bool ready_told;
	bool output_warned;
	size_t up_told;
};

/* A line of one of the processes. */
struct line_context {
	struct run *run;
	size_t index;
};

static struct run_process *process_of(struct run *run, size_t index, enum run_part part)
{
	return &run->processes[index * RUN_PARTS + (size_t)part];
}

/* --- starting and ending processes, for run_state.c */

static int start_backend(struct run *run, size_t index)
{
	const struct run_device_conf *device = &run->conf.devices[index];
	const struct run_plan plan = {
		.argv = device->command.list,
		.environment = device->environment.list,
		.working_directory = device->working_directory.text,
		.identity = &run->identities[index],
	};
	int ret = run_directory_device(&run->directory, device, plan.identity);

	return ret ? ret
		   : run_process_start(process_of(run, index, RUN_BACKEND), &plan, device->name);
}

/* Options of the file come last: where one is there twice, the last one counts. */
static int start_adapter(struct run *run, size_t index)
{
	const struct run_device_conf *device = &run->conf.devices[index];
	const char **argv = calloc(device->args.n + 12, sizeof(*argv));
	struct run_plan plan = {.own_stderr = true};
	char wait[32];
	size_t n = 0;
	int ret;

	if (!argv)
		return -ENOMEM;
	snprintf(wait, sizeof(wait), "--wait-socket=%d", device->attach.wait_socket_ms / 1000);
	argv[n++] = run->program;
	argv[n++] = "attach";
	argv[n++] = "--json";
	argv[n++] = "--name";
	argv[n++] = device->name;
	argv[n++] = wait;
	if (run->options->verbose)
		argv[n++] = "--verbose";
	for (size_t i = 0; i < device->args.n; i++)
		argv[n++] = device->args.list[i];
	argv[n++] = "--";
	argv[n++] = device->attach.type->name;
	argv[n++] = device->socket.text;
	/* execvp(3) does not write to them. */
	plan.argv = (char *const *)(uintptr_t)argv;
	ret = run_process_start(process_of(run, index, RUN_ADAPTER), &plan, device->name);
	free(argv);
	return ret;
}

static int start_part(void *context, size_t index, enum run_part part)
{
	return part == RUN_BACKEND ? start_backend(context, index) : start_adapter(context, index);
}

static void signal_part(void *context, size_t index, enum run_part part, int signal)
{
	struct run *run = context;

	msg_debug("%s: signal %d to the %s", run->conf.devices[index].name, signal,
		  part == RUN_BACKEND ? "back-end" : "adapter");
	run_process_signal(process_of(run, index, part), signal);
}

static void abandon_part(void *context, size_t index, enum run_part part)
{
	struct run_process *process = process_of(context, index, part);

	process->pid = 0;
	run_process_close(process);
}

static const struct run_ops run_ops = {
	.start = start_part,
	.signal = signal_part,
	.abandon = abandon_part,
};

/* --- what processes say */

/* Levels as in sd-daemon(3), which many programs write under a supervisor. */
static void log_backend(void *context, const char *line)
{
	const struct line_context *where = context;
	const char *name = where->run->conf.devices[where->index].name;
	int level = 6;

	if (line[0] == '<' && line[1] >= '0' && line[1] <= '7' && line[2] == '>') {
		level = line[1] - '0';
		line += 3;
	}
	if (level <= 3)
		msg_error("%s: back-end: %s", name, line);
	else if (level == 4)
		msg_warn("%s: back-end: %s", name, line);
	else
		msg_info("%s: back-end: %s", name, line);
}

static const char *member(struct json_object *object, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(object, key, &value) ? json_object_get_string(value)
							      : NULL;
}

/* The one line of vloop attach --json: the device is there. */
static void take_device(void *context, const char *line)
{
	const struct line_context *where = context;
	struct run *run = where->run;
	struct json_object *object = json_tokener_parse(line);
	const char *device;

	if (!object) {
		msg_debug("%s: unexpected output: %s", run->conf.devices[where->index].name, line);
		return;
	}
	device = member(object, "device");
	if (!device)
		device = member(object, "virtio");
	/* What a stream says that failed before. */
	errno = EIO;
	if (run->options->json)
		printf("%s\n", line);
	else
		printf("%s: %s\n", run->conf.devices[where->index].name,
		       device ? device : "no kernel device");
	if ((fflush(stdout) || ferror(stdout)) && !run->output_warned) {
		/* The devices are there in any case. */
		msg_warn("which devices came could not be written to the standard output: %s",
			 strerror(errno));
		run->output_warned = true;
	}
	json_object_put(object);
	run_device_up(&run->state, where->index, now_ms());
}

static void read_output(struct run *run, size_t index, enum run_part part)
{
	struct line_context context = {.run = run, .index = index};

	run_process_read(process_of(run, index, part),
			 part == RUN_BACKEND ? log_backend : take_device, &context);
}

/* --- events */

static void reap(struct run *run)
{
	for (size_t i = 0; i < run->conf.n; i++)
		for (int part = 0; part < RUN_PARTS; part++) {
			struct run_process *process = process_of(run, i, (enum run_part)part);
			struct run_end end;

			if (!run_process_ended(process, &end))
				continue;
			/* What it said last is the reason, most of the time. */
			read_output(run, i, (enum run_part)part);
			run_process_close(process);
			run_ended(&run->state, i, (enum run_part)part, &end, now_ms());
		}
}

static void stop(struct run *run, uint32_t signal)
{
	const bool again = run->state.stopping;

	msg_info("%s: %s", strsignal((int)signal),
		 again ? "ending everything at once, requests in flight fail"
		       : "taking the devices down");
	run_stop(&run->state, now_ms());
}

static void handle_signals(struct run *run)
{
	struct signalfd_siginfo info;
	bool child = false;

	while (read(run->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			child = true;
		else
			stop(run, info.ssi_signo);
	}
	if (child)
		reap(run);
}

static int block_signals(void)
{
	static const int taken[] = {SIGINT, SIGTERM, SIGCHLD};
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		sigaddset(&set, taken[i]);
	vl_add_hangup(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void tell_supervisor(struct run *run)
{
	const struct run_state *state = &run->state;
	size_t up = run_count_up(state);

	if (state->stopping || (up == run->up_told && state->ready == run->ready_told))
		return;
	if (state->ready && !run->ready_told)
		msg_info("%zu of %zu devices are up", up, state->n);
	supervise_notify("%sSTATUS=%zu of %zu devices are up",
			 state->ready && !run->ready_told ? "READY=1\n" : "", up, state->n);
	run->ready_told = state->ready;
	run->up_told = up;
}

static int poll_timeout(uint64_t next)
{
	uint64_t now = now_ms();

	if (next == RUN_NEVER)
		return -1;
	if (next <= now)
		return 0;
	return next - now < INT32_MAX ? (int)(next - now) : INT32_MAX;
}

static int wait_and_handle(struct run *run, struct pollfd *fds, uint64_t next)
{
	const size_t n = run->conf.n * RUN_PARTS;

	for (size_t i = 0; i < n; i++)
		fds[i] = (struct pollfd){.fd = run->processes[i].fd, .events = POLLIN};
	fds[n] = (struct pollfd){.fd = run->signal_fd, .events = POLLIN};
	if (poll(fds, n + 1, poll_timeout(next)) < 0)
		return errno == EINTR ? 0 : -errno;
	for (size_t i = 0; i < n; i++)
		if (fds[i].revents)
			read_output(run, i / RUN_PARTS, (enum run_part)(i % RUN_PARTS));
	if (fds[n].revents)
		handle_signals(run);
	return 0;
}

static enum vloop_exit loop(struct run *run)
{
	struct pollfd *fds = calloc(run->conf.n * RUN_PARTS + 1, sizeof(*fds));
	bool stopping_told = false;
	uint64_t next;
	int ret = fds ? 0 : -ENOMEM;

	while (!ret) {
		next = run_step(&run->state, now_ms());
		tell_supervisor(run);
		if (run->state.stopping && !stopping_told)
			supervise_notify("STOPPING=1\nSTATUS=Taking the devices down");
		stopping_told = run->state.stopping;
		if (run_finished(&run->state))
			break;
		ret = wait_and_handle(run, fds, next);
	}
	free(fds);
	if (ret) {
		msg_error("waiting for events: %s", strerror(-ret));
		return EXIT_FAIL;
	}
	return run->state.result;
}

/* --- the file */

/* /etc/vloop/lab.conf has /run/vloop/lab. */
static void default_directory(const char *file, char *ret_path, size_t size)
{
	const char *slash = strrchr(file, '/');
	const char *base = slash ? slash + 1 : file;
	size_t len = strlen(base);

	if (len > 5 && !strcmp(base + len - 5, ".conf"))
		len -= 5;
	snprintf(ret_path, size, "/run/vloop/%.*s", (int)len, base);
}

static enum vloop_exit read_file(const char *path, char **ret_text, size_t *ret_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = malloc(RUN_FILE_MAX + 1);
	ssize_t n = 1;
	size_t len = 0;

	while (fd >= 0 && text && n > 0 && len <= RUN_FILE_MAX) {
		n = read(fd, text + len, RUN_FILE_MAX + 1 - len);
		if (n > 0)
			len += (size_t)n;
	}
	if (fd < 0 || !text || n < 0 || len > RUN_FILE_MAX) {
		const int error = len > RUN_FILE_MAX ? EFBIG : errno;

		msg_error("reading '%s': %s", path,
			  error == EFBIG ? "it is larger than 1 MiB" : strerror(error));
		free(text);
		if (fd >= 0)
			close(fd);
		return error == EACCES ? EXIT_RIGHTS : EXIT_FAIL;
	}
	close(fd);
	*ret_text = text;
	*ret_len = len;
	return EXIT_OK;
}

static void say_where(const struct run *run, const struct run_error *error)
{
	msg_error("%s:%u:%u: %s", run->options->file, error->at.line, error->at.column,
		  error->text);
}

static enum vloop_exit load(struct run *run)
{
	const struct run_options *options = run->options;
	struct run_error error;
	enum vloop_exit result;
	char directory[4096];
	char *text;
	size_t len;
	int ret;

	result = read_file(options->file, &text, &len);
	if (result)
		return result;
	default_directory(options->file, directory, sizeof(directory));
	ret = run_conf_parse(text, len, options->directory, directory, &run->conf, &error);
	free(text);
	if (!ret)
		ret = run_conf_check_system(&run->conf, &error);
	if (ret == -EINVAL)
		say_where(run, &error);
	else if (ret)
		msg_error("reading '%s': %s", options->file, strerror(-ret));
	return ret == -EINVAL ? EXIT_USAGE : ret ? EXIT_FAIL : EXIT_OK;
}

static int print_check(const struct run *run)
{
	struct json_object *all = json_object_new_object();

	for (size_t i = 0; i < run->conf.n; i++) {
		const struct run_device_conf *device = &run->conf.devices[i];
		struct json_object *object = json_object_new_object();
		struct json_object *command = json_object_new_array();
		struct json_object *args = json_object_new_array();

		out_text(object, "type", device->attach.type->name);
		out_text(object, "socket", device->socket.text);
		for (size_t j = 0; j < device->args.n; j++)
			json_object_array_add(args, out_string(device->args.list[j]));
		json_object_object_add(object, "options", args);
		for (size_t j = 0; j < device->command.n; j++)
			json_object_array_add(command, out_string(device->command.list[j]));
		json_object_object_add(object, "command", command);
		json_object_object_add(all, device->name, object);
	}
	out_print(all, run->options->json);
	return out_finish(EXIT_OK);
}

/* --- the whole */

static enum vloop_exit prepare(struct run *run)
{
	struct run_error error;
	ssize_t len = readlink("/proc/self/exe", run->program, sizeof(run->program) - 1);

	if (len < 0) {
		msg_error("reading the link /proc/self/exe: %s", strerror(errno));
		return EXIT_FAIL;
	}
	run->processes = calloc(run->conf.n * RUN_PARTS, sizeof(*run->processes));
	run->identities = calloc(run->conf.n, sizeof(*run->identities));
	if (!run->processes || !run->identities ||
	    run_state_init(&run->state, &run->conf, &run_ops, run, now_ms())) {
		msg_error("no memory for %zu devices", run->conf.n);
		return EXIT_FAIL;
	}
	for (size_t i = 0; i < run->conf.n * RUN_PARTS; i++)
		run_process_init(&run->processes[i]);
	for (size_t i = 0; i < run->conf.n; i++)
		if (run_identity(&run->conf.devices[i], &run->identities[i], &error)) {
			say_where(run, &error);
			return EXIT_USAGE;
		}
	run->signal_fd = block_signals();
	if (run->signal_fd < 0) {
		msg_error("taking signals: %s", strerror(errno));
		return EXIT_FAIL;
	}
	return EXIT_OK;
}

static enum vloop_exit run_it(struct run *run)
{
	enum vloop_exit result = prepare(run);

	if (result)
		return result;
	result = run_directory_take(&run->directory, &run->conf, run->options->file);
	if (result)
		return result;
	result = loop(run);
	run_directory_leave(&run->directory, &run->conf);
	return result;
}

static int run_parse(int argc, char **argv, struct run_options *ret_options)
{
	static const struct option long_options[] = {
		{"check", no_argument, NULL, 'c'},
		{"directory", required_argument, NULL, 'd'},
		{"json", no_argument, NULL, 'j'},
		{"verbose", no_argument, NULL, 'v'},
		{0},
	};
	int c;

	*ret_options = (struct run_options){0};
	optind = 1;
	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (c == 'c')
			ret_options->check = true;
		else if (c == 'd')
			ret_options->directory = optarg;
		else if (c == 'j')
			ret_options->json = true;
		else if (c == 'v')
			ret_options->verbose = true;
		else
			return option_error("run");
	}
	if (argc - optind != 1)
		return usage_error("run", "expected one FILE");
	if (ret_options->directory && ret_options->directory[0] != '/')
		return usage_error("run", "--directory wants an absolute path, not '%s'",
				   ret_options->directory);
	ret_options->file = argv[optind];
	return EXIT_OK;
}

static int run_run(int argc, char **argv)
{
	struct run_options options;
	struct run run = {.options = &options, .signal_fd = -1};
	int ret = run_parse(argc, argv, &options);

	if (ret)
		return ret;
	msg_setup(options.verbose);
	ret = (int)load(&run);
	if (!ret && options.check)
		ret = print_check(&run);
	else if (!ret)
		ret = (int)run_it(&run);
	if (run.signal_fd >= 0)
		close(run.signal_fd);
	run_state_free(&run.state);
	free(run.processes);
	free(run.identities);
	run_conf_free(&run.conf);
	return ret;
}

const struct subcommand cmd_run = {
	.name = "run",
	.run = run_run,
	.summary = "start back-ends and attach them, as a file says",
	.help = "Usage: vloop run [OPTION...] FILE\n"
		"\n"
		"Start the back-ends that FILE names, attach them in its order, print the kernel\n"
		"device of each, and keep both going until SIGTERM or Ctrl-C; then take all down\n"
		"in reverse order. A second signal speeds that up. FILE is as in vloop.conf(5).\n"
		"\n"
		"  --check            only say whether FILE is right, and what it means\n"
		"  --directory DIR    for sockets, instead of /run/vloop/ and FILE's name\n"
		"  --json             print a JSON object for each device\n"
		"  --verbose          more messages\n",
};
