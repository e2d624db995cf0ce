/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run_process.h"

/* Reads of what a pipe can hold: nobody can keep us here by writing on. */
#define READS_MAX 64

void run_process_init(struct run_process *process)
{
	process->pid = 0;
	process->fd = -1;
	process->len = 0;
}

/* --- in the child */

enum child_step { STEP_STREAMS, STEP_IDENTITY, STEP_DIRECTORY, STEP_EXEC };

struct child_failure {
	enum child_step step;
	int error;
};

static void __attribute__((noreturn)) child_fail(int fd, enum child_step step)
{
	const struct child_failure failure = {.step = step, .error = errno};

	/* The parent learns from silence too, though less. */
	if (write(fd, &failure, sizeof(failure)) != sizeof(failure))
		_exit(126);
	_exit(127);
}

static void default_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int set_streams(int output, bool own_stderr)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0)
		return -1;
	return own_stderr ? 0 : dup2(output, STDERR_FILENO);
}

static int set_identity(const struct run_identity *identity)
{
	if (!identity || !identity->has)
		return 0;
	if (initgroups(identity->name, identity->gid) || setgid(identity->gid))
		return -1;
	return setuid(identity->uid);
}

/* What systemd tells us is for us; the rest of the environment is inherited. */
static void set_environment(char *const *added)
{
	static const char *const ours[] = {"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC",
					   "LISTEN_PID",    "LISTEN_FDS",   "LISTEN_FDNAMES"};

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		unsetenv(ours[i]);
	for (; added && *added; added++)
		putenv(*added);
}

static void __attribute__((noreturn))
child_run(const struct run_plan *plan, int output, int report, pid_t parent)
{
	/* Our terminal is not for another user to read from, nor to type into. */
	setsid();
	default_signals();
	/* Nor is what whoever started us left open. */
	close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	if (set_streams(output, plan->own_stderr) < 0)
		child_fail(report, STEP_STREAMS);
	if (set_identity(plan->identity) < 0)
		child_fail(report, STEP_IDENTITY);
	/* Forgotten at a change of the user, hence here. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(126);
	if (plan->working_directory && chdir(plan->working_directory))
		child_fail(report, STEP_DIRECTORY);
	set_environment(plan->environment);
	execvp(plan->argv[0], plan->argv);
	child_fail(report, STEP_EXEC);
}

/* --- in the parent */

static int report_failure(const struct run_plan *plan, const struct child_failure *failure,
			  const char *name)
{
	const char *why = strerror(failure->error);

	switch (failure->step) {
	case STEP_STREAMS:
		msg_error("%s: setting up the input and output of '%s': %s", name, plan->argv[0],
			  why);
		break;
	case STEP_IDENTITY:
		msg_error("%s: becoming user '%s': %s", name, plan->identity->name, why);
		break;
	case STEP_DIRECTORY:
		msg_error("%s: working directory '%s': %s", name, plan->working_directory, why);
		break;
	case STEP_EXEC:
		msg_error("%s: running '%s': %s", name, plan->argv[0], why);
		break;
	}
	return -failure->error;
}

static int await_exec(int report, pid_t child, const struct run_plan *plan, const char *name)
{
	struct child_failure failure;
	ssize_t n;

	do {
		n = read(report, &failure, sizeof(failure));
	} while (n < 0 && errno == EINTR);
	if (!n)
		return 0;
	waitpid(child, NULL, 0);
	if (n != sizeof(failure)) {
		msg_error("%s: '%s' did not start", name, plan->argv[0]);
		return -EIO;
	}
	return report_failure(plan, &failure, name);
}

static int fork_and_exec(struct run_process *process, const struct run_plan *plan,
			 const int *output, const int *report, const char *name)
{
	const pid_t parent = getpid();
	pid_t child = fork();
	int ret;

	if (!child)
		child_run(plan, output[1], report[1], parent);
	ret = child < 0 ? -errno : 0;
	/* The child's end closes when the program runs: our own must not keep it open. */
	close(report[1]);
	if (ret) {
		msg_error("%s: starting a process: %s", name, strerror(-ret));
		return ret;
	}
	ret = await_exec(report[0], child, plan, name);
	if (!ret)
		process->pid = child;
	return ret;
}

int run_process_start(struct run_process *process, const struct run_plan *plan, const char *name)
{
	int output[2], report[2], ret;

	if (pipe2(output, O_CLOEXEC) < 0) {
		ret = -errno;
		msg_error("%s: making a pipe: %s", name, strerror(-ret));
		return ret;
	}
	if (pipe2(report, O_CLOEXEC) < 0) {
		ret = -errno;
		msg_error("%s: making a pipe: %s", name, strerror(-ret));
		close(output[0]);
		close(output[1]);
		return ret;
	}
	run_process_close(process);
	ret = fork_and_exec(process, plan, output, report, name);
	close(report[0]);
	close(output[1]);
	if (ret) {
		close(output[0]);
		return ret;
	}
	fcntl(output[0], F_SETFL, O_NONBLOCK);
	process->fd = output[0];
	return 0;
}

void run_process_signal(const struct run_process *process, int signal)
{
	if (process->pid)
		kill(-process->pid, signal);
}

static void end_line(struct run_process *process, void (*take)(void *context, const char *line),
		     void *context)
{
	if (process->len && process->line[process->len - 1] == '\r')
		process->len--;
	process->line[process->len] = 0;
	if (process->len)
		take(context, process->line);
	process->len = 0;
}

static void take_bytes(struct run_process *process, const char *bytes, size_t n,
		       void (*take)(void *context, const char *line), void *context)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\n') {
			end_line(process, take, context);
			continue;
		}
		process->line[process->len++] = bytes[i];
		if (process->len == RUN_LINE_MAX - 1)
			end_line(process, take, context);
	}
}

void run_process_read(struct run_process *process, void (*take)(void *context, const char *line),
		      void *context)
{
	char bytes[RUN_LINE_MAX];
	ssize_t n = 1;

	for (int i = 0; i < READS_MAX && n > 0 && process->fd >= 0; i++) {
		n = read(process->fd, bytes, sizeof(bytes));
		if (n > 0)
			take_bytes(process, bytes, (size_t)n, take, context);
	}
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	end_line(process, take, context);
	close(process->fd);
	process->fd = -1;
}

bool run_process_ended(struct run_process *process, struct run_end *ret_end)
{
	siginfo_t info = {0};

	if (!process->pid)
		return false;
	/* Its number, and that of its group, are ours until we have taken its status. */
	if (waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT) || !info.si_pid)
		return false;
	kill(-process->pid, SIGKILL);
	waitpid(process->pid, NULL, 0);
	process->pid = 0;
	*ret_end = (struct run_end){0};
	if (info.si_code == CLD_EXITED)
		ret_end->code = info.si_status;
	else
		ret_end->signal = info.si_status;
	return true;
}

void run_process_close(struct run_process *process)
{
	if (process->fd >= 0)
		close(process->fd);
	process->fd = -1;
	process->len = 0;
}
