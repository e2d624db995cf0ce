/* SPDX-License-Identifier: BSD-3-Clause */
/* Configuration files of vloop run: what they mean, what is said about wrong ones, and garbage. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "run_process.h"

#define DEVICE "[device d]\ntype = rng\n"

static struct run_conf conf;
static struct run_error error;

static int parse(const char *text)
{
	run_conf_free(&conf);
	return run_conf_parse(text, strlen(text), NULL, "/run/vloop/test", &conf, &error);
}

static int tear_down(void **state)
{
	(void)state;
	run_conf_free(&conf);
	return 0;
}

/* @message: how the text begins */
static void wrong(const char *text, unsigned int line, unsigned int column, const char *message)
{
	assert_int_equal(parse(text), -EINVAL);
	if (strncmp(error.text, message, strlen(message)) != 0 || error.at.line != line ||
	    error.at.column != column)
		fail_msg("'%s': %u:%u: %s", text, error.at.line, error.at.column, error.text);
}

static void assert_words(const struct run_list *list, const char *const *words, size_t n)
{
	assert_int_equal(list->n, n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(list->list[i], words[i]);
	assert_null(list->list[n]);
}

#define assert_list(list, ...)                                 \
	assert_words(list, (const char *const[]){__VA_ARGS__}, \
		     sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static void test_defaults(void **state)
{
	const struct run_device_conf *device;

	(void)state;
	assert_int_equal(parse("[device d]\ntype=rng\ncommand=prog"), 0);
	assert_string_equal(conf.directory, "/run/vloop/test");
	assert_int_equal(conf.n, 1);
	device = conf.devices;
	assert_string_equal(device->name, "d");
	assert_string_equal(device->attach.type->name, "rng");
	assert_string_equal(device->directory, "/run/vloop/test/d");
	assert_string_equal(device->socket.text, "/run/vloop/test/d/socket");
	assert_list(&device->command, "prog");
	assert_int_equal(device->args.n, 0);
	assert_int_equal(device->attach.wait_socket_ms, 30000);
	assert_int_equal(device->restart.when, RUN_RESTART_ALWAYS);
	assert_int_equal(device->restart.delay_ms, 100);
	assert_int_equal(device->restart.delay_max_ms, 10000);
	assert_int_equal(device->restart.limit, 10);
	assert_int_equal(device->stop_timeout_ms, 30000);
}

static void test_everything(void **state)
{
	static const char text[] = "# a comment\n"
				   "\n"
				   "  [run]   # another\n"
				   "directory = /run/x\n"
				   "[device disk-0]\n"
				   "\ttype = blk\r\n"
				   "command = prog --socket=${socket} '${socket}' \"a b\"\n"
				   "environment = A=1 'B=2 3'\n"
				   "environment = C=${name}:${directory}\n"
				   "user = nobody\n"
				   "group = \"nogroup\"\n"
				   "working-directory = /tmp\n"
				   "restart = on-failure\n"
				   "restart-delay = 1500ms # and a half\n"
				   "restart-delay-max = 2min\n"
				   "restart-limit = none\n"
				   "stop-timeout = 5\n"
				   "queues = 2\n"
				   "pool = 8M\n"
				   "on-disconnect = fail\n"
				   "read-only = yes\n"
				   "hugepages = no\n"
				   "wait-socket = 7\n"
				   "[device other]\n"
				   "type = fs\n"
				   "tag = home\n"
				   "socket = /run/fs.sock\n"
				   "[device third]\n"
				   "type = console\n"
				   "trusted = yes\n"
				   "socket = /run/console.sock\n";
	const struct run_device_conf *device;

	(void)state;
	assert_int_equal(parse(text), 0);
	assert_string_equal(conf.directory, "/run/x");
	assert_int_equal(conf.n, 3);
	device = &conf.devices[0];
	assert_list(&device->command, "prog", "--socket=/run/x/disk-0/socket", "${socket}", "a b");
	assert_list(&device->environment, "A=1", "B=2 3", "C=disk-0:/run/x/disk-0");
	assert_list(&device->args, "--queues=2", "--pool=8M", "--on-disconnect=fail", "--read-only",
		    "--wait-socket=7");
	assert_string_equal(device->user.text, "nobody");
	assert_string_equal(device->group.text, "nogroup");
	assert_string_equal(device->working_directory.text, "/tmp");
	assert_int_equal(device->restart.when, RUN_RESTART_ON_FAILURE);
	assert_int_equal(device->restart.delay_ms, 1500);
	assert_int_equal(device->restart.delay_max_ms, 120000);
	assert_int_equal(device->restart.limit, RUN_NO_LIMIT);
	assert_int_equal(device->stop_timeout_ms, 5000);
	assert_int_equal(device->attach.queues, 2);
	assert_int_equal(device->attach.pool, 8 << 20);
	assert_int_equal(device->attach.policy, ON_DISCONNECT_FAIL);
	assert_true(device->attach.read_only);
	assert_false(device->attach.hugepages);
	assert_int_equal(device->attach.wait_socket_ms, 7000);
	device = &conf.devices[1];
	assert_null(device->command.list);
	assert_string_equal(device->socket.text, "/run/fs.sock");
	assert_string_equal(device->attach.config.tag, "home");
	assert_true(conf.devices[2].attach.trusted);
}

static void test_words(void **state)
{
	const struct run_list *command = NULL;

	(void)state;
	assert_int_equal(parse(DEVICE "command = a\\ b 'c\"d' \"e'f\" \\\\ \\# g#h '' x'y'\"z\" $5 "
				      "\\${name}\n"),
			 0);
	command = &conf.devices->command;
	assert_list(command, "a b", "c\"d", "e'f", "\\", "#", "g#h", "", "xyz", "$5", "${name}");
	/* Lines that go on, with CR LF too, and words in the middle of them made comments. */
	assert_int_equal(
		parse(DEVICE "command = a \\\n  b\\\r\n#c \\\n\\\n # d\\\n e\nqueues = 1\n"), 0);
	command = &conf.devices->command;
	assert_list(command, "a", "b", "e");
	assert_int_equal(conf.devices->attach.queues, 1);
	/* A comment at the end of them is the end. */
	assert_int_equal(parse(DEVICE "command = a \\\n # b\nqueues = 1"), 0);
	command = &conf.devices->command;
	assert_list(command, "a");
	assert_int_equal(parse(DEVICE "command = a \\"), -EINVAL);
	assert_int_equal(parse(DEVICE "command = \xc3\xa4"), 0);
}

static void test_directory_of_the_command_line(void **state)
{
	static const char text[] = "[run]\ndirectory = /a\n" DEVICE "command = x ${directory}\n";

	(void)state;
	assert_int_equal(run_conf_parse(text, strlen(text), "/b", "/c", &conf, &error), 0);
	assert_string_equal(conf.directory, "/b");
	assert_list(&conf.devices->command, "x", "/b/d");
}

static void test_wrong_form(void **state)
{
	(void)state;
	wrong("[device d\ntype = rng", 1, 1, "expected a closing ]");
	wrong("[device d] x\n", 1, 12, "expected the end of the line after ']'");
	wrong("\n\n   ?", 3, 4, "expected a setting (name = value), a section");
	wrong("; x", 1, 1, "expected a setting");
	wrong(DEVICE "queues 4", 3, 8, "expected '=' after 'queues'");
	wrong(DEVICE "queues", 3, 7, "expected '=' after 'queues'");
	wrong(DEVICE "command = a 'b\nqueues = 4", 3, 13, "expected a closing ' in the same line");
	wrong(DEVICE "command = \"b", 3, 11, "expected a closing \" in the same line");
	wrong(DEVICE "command = \\n", 3, 11, "expected one of \\");
	wrong(DEVICE "command = a ${sockets}", 3, 13, "expected ${socket}, ${name}");
	wrong(DEVICE "command = a ${", 3, 13, "expected ${socket}, ${name}");
	wrong(DEVICE "command = \xc3\xa4\xc3\xb6 \x01", 3, 14, "expected text, not the byte 0x01");
	wrong(DEVICE "command = \x7f", 3, 11, "expected text, not the byte 0x7f");
	wrong(DEVICE "command = a\rb", 3, 12, "expected text, not the byte 0x0d");
}

static void test_wrong_sections(void **state)
{
	(void)state;
	wrong("", 1, 1, "expected at least one section");
	wrong("# nothing\n", 2, 1, "expected at least one section");
	wrong("type = rng\n", 1, 1, "expected a section such as [device NAME] before");
	wrong("[]\n", 1, 2, "expected 'run' or 'device NAME'");
	wrong("[disk]\n", 1, 2, "expected 'run' or 'device NAME'");
	wrong("[device]\n", 1, 8, "expected a name after 'device'");
	wrong("[device a b]\n", 1, 11, "expected ']' after the name");
	wrong("[device a/b]\n", 1, 9, "the name of a device: expected 1 to 31 of letters");
	wrong("[device ${name}]\n", 1, 9, "the name of a device: expected");
	wrong("[run]\n[run]\n", 2, 1, "[run] has to come once");
	wrong(DEVICE "socket = /x\n[run]\n", 4, 1, "[run] has to come once");
	wrong(DEVICE "socket = /x\n" DEVICE, 4, 9, "there is a device 'd' already, in line 1");
	wrong("[device d]\nsocket = /x\n", 1, 1, "device 'd' has no 'type'");
	wrong("\n [device d]\ntype = rng\n", 2, 2, "device 'd' has neither 'command'");
	wrong(DEVICE "user = nobody\nsocket = /x", 3, 1, "'user' is for a 'command'");
}

static void test_wrong_settings(void **state)
{
	(void)state;
	wrong("[run]\ntype = rng", 2, 1, "'type' is no setting of [run]");
	wrong(DEVICE "colour = red", 3, 1, "'colour' is no setting of a device");
	wrong(DEVICE "name = x", 3, 1, "'name' is no setting of a device");
	wrong(DEVICE "background = yes", 3, 1, "'background' is no setting of a device");
	wrong(DEVICE "type = rng", 3, 1, "'type' was given already, in line 2");
	wrong("[device d]\ntype = disk", 2, 8, "type: expected a device type");
	wrong("[device d]\ntype =", 2, 7, "expected a device type");
	wrong("[device d]\ntype = gpu", 2, 8, "gpu devices cannot be attached:");
	wrong("[device d]\ntype = rng blk", 2, 12, "expected the end of the line: 'type' has one");
	wrong("[device d]\ntype = ${name}", 2, 8, "type: expected a device type");
	wrong(DEVICE "socket = x.sock", 3, 10, "socket: expected an absolute path, not 'x.sock'");
	wrong(DEVICE "socket = ''", 3, 10, "socket: expected an absolute path");
	wrong(DEVICE "socket = # none", 3, 10, "expected an absolute path after 'socket ='");
	wrong(DEVICE "command =", 3, 10, "expected a program");
	wrong(DEVICE "command = ''", 3, 11, "command: expected a program");
	wrong(DEVICE "environment = A=1 B", 3, 19, "environment: expected NAME=VALUE, not 'B'");
	wrong(DEVICE "environment = =1", 3, 15, "environment: expected NAME=VALUE");
	wrong(DEVICE "queues = 0", 3, 10, "queues: expected a number from 1 to 128, not '0'");
	wrong(DEVICE "queue-size = 3", 3, 14, "queue-size: expected a power of two from 2 to 1024");
	wrong(DEVICE "pool = big", 3, 8, "pool: expected a size such as 64M");
	wrong(DEVICE "on-disconnect = x", 3, 17, "on-disconnect: expected wait, fail or remove");
	wrong(DEVICE "no-event-idx = 1", 3, 16, "no-event-idx: expected yes or no, not '1'");
	wrong(DEVICE "restart = maybe", 3, 11, "restart: expected always, on-failure or never");
	wrong(DEVICE "restart-delay = 5ms", 3, 17, "restart-delay: expected at least 10ms");
	wrong(DEVICE "restart-delay = 5h", 3, 17, "restart-delay: expected a time such as 500ms");
	wrong(DEVICE "restart-delay = -1", 3, 17, "restart-delay: expected a time such as 500ms");
	wrong(DEVICE "stop-timeout = 2000min", 3, 16, "stop-timeout: expected a time of up to 24");
	wrong(DEVICE "stop-timeout = 99999999999999999999999999s", 3, 16, "stop-timeout: expected");
	wrong(DEVICE "restart-limit = -1", 3, 17, "restart-limit: expected a number up to");
	wrong(DEVICE "socket = /x\nrestart-delay = 1min", 1, 1, "'restart-delay-max' is less");
	wrong(DEVICE "socket = /x\nread-only = yes", 4, 1, "'read-only' is for blk devices");
	wrong("[device d]\nmac = 52:54:00:12:34:56\ntype = blk\nsocket = /x", 2, 1,
	      "'mac' is for net devices");
}

static void test_limits(void **state)
{
	static char text[200000];
	size_t len;

	(void)state;
	len = (size_t)sprintf(text, DEVICE "command = ");
	memset(text + len, 'a', RUN_WORD_MAX);
	text[len + RUN_WORD_MAX] = 0;
	assert_int_equal(parse(text), 0);
	text[len + RUN_WORD_MAX] = 'a';
	text[len + RUN_WORD_MAX + 1] = 0;
	wrong(text, 3, 11, "a word of more than 4095 bytes");

	for (int i = 0; i <= RUN_WORDS_MAX; i++)
		memcpy(text + len + 2 * (size_t)i, "a ", 3);
	wrong(text, 3, 11 + 2 * RUN_WORDS_MAX, "more than 1024 words");
	text[len + 2 * RUN_WORDS_MAX] = 0;
	assert_int_equal(parse(text), 0);
	assert_int_equal(conf.devices->command.n, RUN_WORDS_MAX);

	len = 0;
	for (int i = 0; i < RUN_DEVICES_MAX; i++)
		len += (size_t)sprintf(text + len, "[device d%d]\ntype=rng\nsocket=/s%d\n", i, i);
	assert_int_equal(parse(text), 0);
	assert_int_equal(conf.n, RUN_DEVICES_MAX);
	sprintf(text + len, "[device more]\n");
	wrong(text, 3 * RUN_DEVICES_MAX + 1, 1, "more than 256 devices");

	len = (size_t)sprintf(text, DEVICE "socket = /");
	memset(text + len, 'a', 106);
	text[len + 106] = 0;
	assert_int_equal(parse(text), 0);
	memcpy(text + len + 106, "a", 2);
	wrong(text, 3, 10, "device 'd': the path of its socket is longer than 107 bytes");
}

static void test_system(void **state)
{
	static const char *const paths[] = {":/nowhere", "/nowhere::/none", "/nowhere:", ":"};
	char text[200];

	(void)state;
	assert_int_equal(parse(DEVICE "command = sh\nworking-directory = /"), 0);
	assert_int_equal(run_conf_check_system(&conf, &error), 0);
	assert_int_equal(parse(DEVICE "command = /bin/sh\nuser = root\ngroup = root"), 0);
	assert_int_equal(run_conf_check_system(&conf, &error), 0);
	assert_int_equal(parse(DEVICE "command = sh\nenvironment = PATH=/nowhere"), 0);
	assert_int_equal(run_conf_check_system(&conf, &error), -EINVAL);
	/* An empty element of the path is the working directory, wherever it stands. */
	assert_int_equal(chdir("/bin"), 0);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		sprintf(text, DEVICE "command = sh\nenvironment = PATH=%s", paths[i]);
		assert_int_equal(parse(text), 0);
		assert_int_equal(run_conf_check_system(&conf, &error), 0);
	}
	assert_int_equal(chdir("/"), 0);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		sprintf(text, DEVICE "command = sh\nenvironment = PATH=%s", paths[i]);
		assert_int_equal(parse(text), 0);
		assert_int_equal(run_conf_check_system(&conf, &error), -EINVAL);
	}
	assert_int_equal(parse(DEVICE "command = /no/such/program"), 0);
	assert_int_equal(run_conf_check_system(&conf, &error), -EINVAL);
	assert_int_equal(error.at.line, 3);
	assert_int_equal(error.at.column, 11);
	assert_string_equal(error.text, "there is no program '/no/such/program'");
	assert_int_equal(parse(DEVICE "command = sh\nuser = no-such-user"), 0);
	assert_int_equal(run_conf_check_system(&conf, &error), -EINVAL);
	assert_string_equal(error.text, "there is no user 'no-such-user'");
	assert_int_equal(parse(DEVICE "command = sh\nuser = root\ngroup = no-such-group"), 0);
	assert_int_equal(run_conf_check_system(&conf, &error), -EINVAL);
	assert_int_equal(error.at.line, 5);
	assert_int_equal(parse(DEVICE "command = sh\nworking-directory = /no/such"), 0);
	assert_int_equal(run_conf_check_system(&conf, &error), -EINVAL);
	assert_string_equal(error.text, "there is no directory '/no/such'");
}

/* --- garbage */

static uint64_t random_state = 88172645463325252;

/* xorshift64: the same in each run. */
static uint32_t random_below(size_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)((random_state >> 16) % n);
}

static const char *const pieces[] = {
	"[device ",
	"[run]",
	"]",
	"\n",
	"\r\n",
	"\\\n",
	"type = ",
	"rng",
	"blk",
	"command = ",
	"prog",
	"${socket}",
	"${name}",
	"${",
	"'",
	"\"",
	"\\",
	"#",
	"=",
	" ",
	"\t",
	"socket = /s",
	"queues = ",
	"1",
	"d",
	"yes",
	"read-only =",
	"directory=/",
	"environment=",
	"A=b",
	"pool=64M",
	"\xc3\xa4",
	"restart-delay=",
	"10ms",
	"user=root",
	"99999999999999999999",
};

static size_t make_up(char *text, size_t size)
{
	size_t n = random_below(60), len = 0;

	for (size_t i = 0; i < n; i++) {
		const char *piece = pieces[random_below(sizeof(pieces) / sizeof(pieces[0]))];

		if (len + strlen(piece) >= size)
			break;
		memcpy(text + len, piece, strlen(piece));
		len += strlen(piece);
	}
	return len;
}

static size_t mutate(char *text, size_t size)
{
	static const char good[] = "[run]\ndirectory = /run/x # y\n\n[device disk]\ntype = blk\n"
				   "command = prog --socket=${socket} 'a b' \"c ${name}\" \\\n"
				   "\t--more\nqueues = 2\nread-only = yes\n"
				   "environment = A=1 B=2\nrestart-delay = 500ms\n"
				   "[device r]\ntype = rng\nsocket = /run/r.sock\n";
	size_t len = sizeof(good) - 1, n = 1 + random_below(4);

	assert_true(len < size);
	memcpy(text, good, len);
	while (n--) {
		size_t at = random_below(len);

		switch (random_below(4)) {
		case 0:
			text[at] = (char)random_below(256);
			break;
		case 1:
			text[at] ^= (char)(1 << random_below(8));
			break;
		case 2:
			len = at + 1;
			break;
		default:
			memmove(text + at, text + at + 1, len - at - 1);
			len -= len > 1;
		}
	}
	return len;
}

/* Whatever the text: an answer, a place that is in the text, and no word with a control character.
 */
static void check_garbage(const char *garbage, size_t len)
{
	/* Of exactly that size, so that a byte too many is seen. */
	char *text = malloc(len ? len : 1);
	unsigned int lines = 1;
	int ret;

	assert_non_null(text);
	memcpy(text, garbage, len);
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	run_conf_free(&conf);
	ret = run_conf_parse(text, len, NULL, "/run/vloop/test", &conf, &error);
	assert_true(ret == 0 || ret == -EINVAL);
	if (ret) {
		assert_in_range(error.at.line, 1, lines);
		assert_in_range(error.at.column, 1, len + 1);
		assert_true(*error.text);
	}
	for (size_t i = 0; !ret && i < conf.n; i++)
		for (size_t j = 0; j < conf.devices[i].command.n; j++)
			for (const char *p = conf.devices[i].command.list[j]; *p; p++)
				assert_true((unsigned char)*p >= 0x20 || *p == '\t');
	free(text);
}

static void test_garbage(void **state)
{
	char text[4096];
	size_t len;

	(void)state;
	for (int i = 0; i < 60000; i++) {
		switch (i % 3) {
		case 0:
			len = make_up(text, sizeof(text));
			break;
		case 1:
			len = mutate(text, sizeof(text));
			break;
		default:
			len = random_below(64);
			for (size_t j = 0; j < len; j++)
				text[j] = (char)random_below(256);
		}
		check_garbage(text, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_defaults, tear_down),
		cmocka_unit_test_teardown(test_everything, tear_down),
		cmocka_unit_test_teardown(test_words, tear_down),
		cmocka_unit_test_teardown(test_directory_of_the_command_line, tear_down),
		cmocka_unit_test_teardown(test_wrong_form, tear_down),
		cmocka_unit_test_teardown(test_wrong_sections, tear_down),
		cmocka_unit_test_teardown(test_wrong_settings, tear_down),
		cmocka_unit_test_teardown(test_limits, tear_down),
		cmocka_unit_test_teardown(test_system, tear_down),
		cmocka_unit_test_teardown(test_garbage, tear_down),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
