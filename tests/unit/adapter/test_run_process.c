/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes and directories of vloop run: real ones. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "run_process.h"

#define BOUND_MS 60000

/* What a process wrote, each line in < and >. */
static char lines[8192];

static void take(void *context, const char *line)
{
	size_t len = strlen(lines);

	assert_ptr_equal(context, lines);
	snprintf(lines + len, sizeof(lines) - len, "<%s>", line);
}

static int start(struct run_process *process, const struct run_plan *plan)
{
	run_process_init(process);
	*lines = 0;
	return run_process_start(process, plan, "test");
}

/* A shell that runs @script; $0 is its name. */
static void start_shell(struct run_process *process, const char *script)
{
	char sh[] = "sh", c[] = "-c", *copy = strdup(script);
	char *const argv[] = {sh, c, copy, NULL};
	const struct run_plan plan = {.argv = argv};

	assert_int_equal(start(process, &plan), 0);
	free(copy);
}

/* Until its output ends, or has @text. */
static void read_until(struct run_process *process, const char *text)
{
	const uint64_t deadline = now_ms() + BOUND_MS;

	while (process->fd >= 0 && !(text && strstr(lines, text))) {
		struct pollfd fd = {.fd = process->fd, .events = POLLIN};

		assert_true(now_ms() < deadline);
		if (poll(&fd, 1, 100) > 0)
			run_process_read(process, take, lines);
	}
}

static struct run_end await_end(struct run_process *process)
{
	const uint64_t deadline = now_ms() + BOUND_MS;
	struct run_end end;

	while (!run_process_ended(process, &end)) {
		assert_true(now_ms() < deadline);
		poll(NULL, 0, 5);
	}
	assert_int_equal(process->pid, 0);
	return end;
}

static void await_gone(pid_t pid)
{
	const uint64_t deadline = now_ms() + BOUND_MS;
	char path[64], state;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	while ((file = fopen(path, "re")) != NULL) {
		int n = fscanf(file, "%*d %*s %c", &state);

		fclose(file);
		/* Whoever inherits it may take its time to notice. */
		if (n == 1 && state == 'Z')
			break;
		assert_true(now_ms() < deadline);
		poll(NULL, 0, 5);
	}
}

static void test_output(void **state)
{
	struct run_process process;
	struct run_end end;

	(void)state;
	start_shell(&process, "echo one; printf 'two\\r\\n\\n' >&2; printf three; exit 7");
	read_until(&process, NULL);
	end = await_end(&process);
	assert_string_equal(lines, "<one><two><three>");
	assert_int_equal(end.code, 7);
	assert_int_equal(end.signal, 0);
	/* Lines that are too long come in parts. */
	start_shell(&process, "printf '%01500d\\n' 1; echo end");
	read_until(&process, NULL);
	await_end(&process);
	assert_int_equal(strlen(lines), 1500 + 2 + 2 + strlen("<end>"));
	assert_non_null(strstr(lines, "0><0"));
	assert_non_null(strstr(lines, "1><end>"));
}

static void test_world(void **state)
{
	char program[] = "sh", option[] = "-c";
	char script[] = "pwd; echo $A $B ${NOTIFY_SOCKET:-none}; cat; [ -e /dev/fd/50 ] && echo open; "
			"cut -d\" \" -f5 /proc/$$/stat";
	char a[] = "A=1", b[] = "B=2 3";
	char *const argv[] = {program, option, script, NULL};
	char *const environment[] = {a, b, NULL};
	const struct run_plan plan = {
		.argv = argv, .environment = environment, .working_directory = "/"};
	struct run_process process;
	char text[128];

	(void)state;
	setenv("NOTIFY_SOCKET", "/nowhere", 1);
	/* As who started us left it open. */
	assert_int_equal(dup2(STDERR_FILENO, 50), 50);
	assert_int_equal(start(&process, &plan), 0);
	close(50);
	unsetenv("NOTIFY_SOCKET");
	snprintf(text, sizeof(text), "<%d>", process.pid);
	read_until(&process, NULL);
	await_end(&process);
	assert_ptr_equal(strstr(lines, "</><1 2 3 none><"), lines);
	assert_non_null(strstr(lines, text));
	assert_null(strstr(lines, "open"));
}

static void test_no_start(void **state)
{
	char program[] = "/no/such/program", shell[] = "sh";
	char *const argv[] = {program, NULL}, *const good[] = {shell, NULL};
	const struct run_plan missing = {.argv = argv};
	const struct run_plan nowhere = {.argv = good, .working_directory = "/no/such"};
	struct run_process process;

	(void)state;
	assert_int_equal(start(&process, &missing), -ENOENT);
	assert_int_equal(process.pid, 0);
	assert_int_equal(process.fd, -1);
	assert_int_equal(start(&process, &nowhere), -ENOENT);
}

/* The whole group: told, and not left when its leader ends. */
static void test_group(void **state)
{
	struct run_process process;
	struct run_end end;
	pid_t child;

	(void)state;
	start_shell(&process, "sleep 1000 & echo pid $!; wait");
	read_until(&process, ">");
	assert_int_equal(sscanf(lines, "<pid %d>", &child), 1);
	run_process_signal(&process, SIGTERM);
	end = await_end(&process);
	assert_int_equal(end.signal, SIGTERM);
	await_gone(child);
	run_process_close(&process);

	start_shell(&process, "trap '' TERM; sleep 1000 & echo pid $!");
	read_until(&process, ">");
	assert_int_equal(sscanf(lines, "<pid %d>", &child), 1);
	end = await_end(&process);
	assert_int_equal(end.code, 0);
	await_gone(child);
	run_process_close(&process);
	/* Signals to who is gone go nowhere. */
	run_process_signal(&process, SIGKILL);
}

/*
 * A session whose terminal stops background processes that write to it. 7: ours could write, and has not
 * the terminal for its own.
 */
static int write_to_terminal(void)
{
	char sh[] = "sh", c[] = "-c";
	char script[] = "echo line >&2; (: <>/dev/tty) 2>/dev/null && exit 8; exit 7";
	char *const argv[] = {sh, c, script, NULL};
	const struct run_plan plan = {.argv = argv, .own_stderr = true};
	const uint64_t deadline = now_ms() + BOUND_MS;
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
	struct run_process process;
	struct run_end end = {0};
	struct termios mode;

	if (setsid() < 0 || master < 0 || grantpt(master) || unlockpt(master))
		return 1;
	slave = open(ptsname(master), O_RDWR);
	if (slave < 0 || tcgetattr(slave, &mode))
		return 2;
	mode.c_lflag |= TOSTOP;
	if (tcsetattr(slave, TCSANOW, &mode) || dup2(slave, STDERR_FILENO) < 0)
		return 3;
	if (start(&process, &plan))
		return 4;
	while (!run_process_ended(&process, &end)) {
		if (now_ms() > deadline) {
			run_process_signal(&process, SIGKILL);
			return 5;
		}
		usleep(10000);
	}
	return end.code;
}

static void test_terminal(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (!child)
		_exit(write_to_terminal());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

/* --- directories */

static char root[] = "/tmp/vloop-run.XXXXXX";
static char path[64];
static struct run_conf conf;

static void load(const char *text)
{
	struct run_error error;

	run_conf_free(&conf);
	snprintf(path, sizeof(path), "%s/a/b", root);
	assert_int_equal(run_conf_parse(text, strlen(text), path, "/", &conf, &error), 0);
}

static bool exists(const char *name)
{
	struct stat file;
	char full[256];

	snprintf(full, sizeof(full), "%s/%s", root, name);
	return !lstat(full, &file);
}

static void touch(const char *name)
{
	char full[256];
	FILE *file;

	snprintf(full, sizeof(full), "%s/%s", root, name);
	file = fopen(full, "we");
	assert_non_null(file);
	fclose(file);
}

static int make_root(void **state)
{
	(void)state;
	strcpy(root, "/tmp/vloop-run.XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	char command[128];

	(void)state;
	run_conf_free(&conf);
	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	return system(command);
}

static void test_directory(void **state)
{
	const struct run_identity nobody = {0};
	struct run_directory directory, second;
	struct stat file;
	mode_t mask;

	(void)state;
	load("[device d]\ntype = rng\nsocket = /s\n[device e]\ntype = rng\nsocket = /t\n");
	mask = umask(077);
	assert_int_equal(run_directory_take(&directory, &conf, "f"), EXIT_OK);
	umask(mask);
	/* Others pass through to the directory that is theirs. */
	assert_int_equal(stat(path, &file), 0);
	assert_int_equal(file.st_mode & 0777, 0711);
	assert_int_equal(run_directory_take(&second, &conf, "g"), EXIT_EXISTS);

	assert_int_equal(run_directory_device(&directory, &conf.devices[0], &nobody), 0);
	assert_true(exists("a/b/d"));
	touch("a/b/d/socket");
	touch("a/b/d/more");
	assert_int_equal(run_directory_device(&directory, &conf.devices[0], &nobody), 0);
	assert_false(exists("a/b/d/socket"));
	assert_true(exists("a/b/d/more"));
	touch("a/b/d/socket");

	run_directory_leave(&directory, &conf);
	assert_false(exists("a/b"));
	assert_true(exists("a"));
	assert_int_equal(run_directory_take(&directory, &conf, "f"), EXIT_OK);
	/* What somebody else put there stays. */
	touch("a/b/other");
	run_directory_leave(&directory, &conf);
	assert_true(exists("a/b/other"));
	assert_false(exists("a/b/@pid"));
}

static void test_bad_directory(void **state)
{
	struct run_directory directory;
	char link[80];

	(void)state;
	load("[device d]\ntype = rng\nsocket = /s\n");
	snprintf(link, sizeof(link), "%s/a", root);
	assert_int_equal(mkdir(link, 0755), 0);
	assert_int_equal(mkdir(path, 0777), 0);
	assert_int_equal(chmod(path, 0777), 0);
	assert_int_equal(run_directory_take(&directory, &conf, "f"), EXIT_RIGHTS);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("/", path), 0);
	assert_int_equal(run_directory_take(&directory, &conf, "f"), EXIT_FAIL);
	assert_int_equal(unlink(path), 0);
	touch("a/b");
	assert_int_equal(run_directory_take(&directory, &conf, "f"), EXIT_FAIL);
}

/* A back-end's user may put anything in its directory, also in place of it. */
static void test_hostile_directory(void **state)
{
	const struct run_identity nobody = {0};
	struct run_directory directory;
	char full[256];

	(void)state;
	load("[device d]\ntype = rng\nsocket = /s\n");
	assert_int_equal(run_directory_take(&directory, &conf, "f"), EXIT_OK);
	touch("kept");
	snprintf(full, sizeof(full), "%s/d", path);
	assert_int_equal(symlink(root, full), 0);
	assert_true(run_directory_device(&directory, &conf.devices[0], &nobody) < 0);
	assert_int_equal(unlink(full), 0);
	assert_int_equal(run_directory_device(&directory, &conf.devices[0], &nobody), 0);
	snprintf(full, sizeof(full), "%s/d/link", path);
	assert_int_equal(symlink(root, full), 0);
	snprintf(full, sizeof(full), "%s/d/tree", path);
	assert_int_equal(mkdir(full, 0755), 0);
	run_directory_leave(&directory, &conf);
	assert_true(exists("kept"));
	assert_true(exists("a/b/d/tree"));
	assert_false(exists("a/b/d/link"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output),
		cmocka_unit_test(test_world),
		cmocka_unit_test(test_no_start),
		cmocka_unit_test(test_group),
		cmocka_unit_test(test_terminal),
		cmocka_unit_test_setup_teardown(test_directory, make_root, remove_root),
		cmocka_unit_test_setup_teardown(test_bad_directory, make_root, remove_root),
		cmocka_unit_test_setup_teardown(test_hostile_directory, make_root, remove_root),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
