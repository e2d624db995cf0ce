/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "log.h"

static unsigned int line(char *buf, unsigned int size, const char *name, int level,
			 const char *format, ...) __attribute__((format(printf, 5, 6)));

static unsigned int line(char *buf, unsigned int size, const char *name, int level,
			 const char *format, ...)
{
	unsigned int len;
	va_list args;

	va_start(args, format);
	len = vl_log_line(buf, size, name, level, format, args);
	va_end(args);
	return len;
}

static void test_line(void **state)
{
	char buf[32];

	(void)state;
	assert_int_equal(line(buf, sizeof(buf), "prog", -1, "a %d", 5), 10);
	assert_string_equal(buf, "prog: a 5\n");
	line(buf, sizeof(buf), NULL, -1, "a");
	assert_string_equal(buf, "a\n");
	line(buf, sizeof(buf), "prog", 3, "a");
	assert_string_equal(buf, "<3>a\n");
	/* What somebody else wrote cannot begin a line of its own. */
	line(buf, sizeof(buf), "prog", -1, "a%s", "\nb\x1b[c");
	assert_string_equal(buf, "prog: a b [c\n");
	/* Nor be an order to the terminal in the C1 characters; other characters stay. */
	line(buf, sizeof(buf), "prog", -1, "a%s", "\xc2\x9b" "2J\xc3\x9b\xc2\xa9\xc2");
	assert_string_equal(buf, "prog: a  2J\xc3\x9b\xc2\xa9\xc2\n");
}

static void test_long(void **state)
{
	char buf[16];

	(void)state;
	assert_int_equal(line(buf, sizeof(buf), "prog", -1, "%s", "0123456789abcdef"), 15);
	assert_string_equal(buf, "prog: 01234567\n");
	assert_int_equal(line(buf, sizeof(buf), "a very long name", -1, "%s", "text"), 15);
	assert_string_equal(buf, "a very long na\n");
}

/* Levels above the wanted one are silent; errno survives. */
static void test_levels(void **state)
{
	char buf[256];
	int fds[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	unsetenv("JOURNAL_STREAM");
	vl_log_init("prog", VL_LOG_INFO);
	vl_debug("not this");
	errno = ENOENT;
	vl_error("this %s", "one");
	assert_int_equal(errno, ENOENT);
	setenv("JOURNAL_STREAM", "1:2", 1);
	vl_log_init("prog", VL_LOG_WARNING);
	vl_info("not this");
	vl_warning("and this");
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fds[1]);
	n = read(fds[0], buf, sizeof(buf) - 1);
	assert_true(n > 0);
	buf[n] = '\0';
	assert_string_equal(buf, "prog: this one\n<4>and this\n");
	close(fds[0]);
}

/* A journal that somebody else's stderr leads to. */
static void test_other_journal(void **state)
{
	char path[] = "/tmp/vloop-log-XXXXXX", buf[64] = "", own[48];
	int file = mkstemp(path), saved = dup(STDERR_FILENO);
	struct stat st;

	(void)state;
	assert_true(file >= 0);
	unlink(path);
	dup2(file, STDERR_FILENO);
	setenv("JOURNAL_STREAM", "1:2", 1);
	vl_log_init("prog", VL_LOG_INFO);
	vl_error("one");
	assert_int_equal(fstat(file, &st), 0);
	snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", own, 1);
	vl_log_init("prog", VL_LOG_INFO);
	vl_error("two");
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_true(pread(file, buf, sizeof(buf) - 1, 0) > 0);
	assert_string_equal(buf, "prog: one\n<3>two\n");
	close(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_other_journal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
