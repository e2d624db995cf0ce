/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports as users write them, on the command line and in a file. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "spec.h"

static const char *problem;

static void right(const char *text, struct port_spec *spec)
{
	assert_int_equal(spec_parse(text, spec, &problem), 0);
}

static void wrong(const char *text, const char *expected)
{
	struct port_spec spec;

	assert_int_equal(spec_parse(text, &spec, &problem), -EINVAL);
	assert_non_null(strstr(problem, expected));
}

static void test_right(void **state)
{
	struct port_spec spec;

	(void)state;
	right("name=a,pty", &spec);
	assert_string_equal(spec.name, "a");
	assert_int_equal(spec.kind, END_PTY);
	assert_string_equal(spec.path, "");
	assert_false(spec.console);
	right("pty,link=/run/x,console,name=org.example.0", &spec);
	assert_string_equal(spec.name, "org.example.0");
	assert_string_equal(spec.path, "/run/x");
	assert_true(spec.console);
	right("name=b,unix=/run/a=b", &spec);
	assert_int_equal(spec.kind, END_UNIX);
	assert_string_equal(spec.path, "/run/a=b");
	right("name=c,stdio", &spec);
	assert_int_equal(spec.kind, END_STDIO);
}

static void test_wrong(void **state)
{
	char text[600] = "name=a,unix=";

	(void)state;
	wrong("", "name= is missing");
	wrong("pty", "name= is missing");
	wrong("name=a", "is missing");
	wrong("name=,pty", "name=");
	wrong("name=a/b,pty", "name=");
	wrong("name=.,pty", "name=");
	wrong("name=a b,pty", "name=");
	wrong("name=\xc3\xa4,pty", "name=");
	wrong("name=a,pty,unix=/x", "not two");
	wrong("name=a,pty,pty", "not two");
	wrong("name=a,unix=", "unix=");
	wrong("name=a,unix=/x,link=/y", "link=");
	wrong("name=a,stdio,link=/y", "link=");
	wrong("name=a,pty,colour=red", "a port has");
	memset(text + strlen(text), 'x', 108);
	wrong(text, "107 bytes");
	memset(text + strlen(text), 'x', sizeof(text) - 1 - strlen(text));
	wrong(text, "too long");
	memset(text, 0, sizeof(text));
	strcpy(text, "pty,name=");
	memset(text + strlen(text), 'n', MESSAGE_NAME);
	struct port_spec spec;
	right(text, &spec);
	assert_int_equal(strlen(spec.name), MESSAGE_NAME);
	strcat(text, "n");
	wrong(text, "name=");
}

static void test_check(void **state)
{
	struct port_spec specs[3];

	(void)state;
	right("name=a,pty", &specs[0]);
	right("name=b,pty", &specs[1]);
	right("name=c,stdio", &specs[2]);
	assert_int_equal(spec_check(specs, 3, &problem), 0);
	right("name=a,stdio", &specs[1]);
	assert_int_equal(spec_check(specs, 3, &problem), -EINVAL);
	assert_non_null(strstr(problem, "name"));
	right("name=b,stdio", &specs[1]);
	assert_int_equal(spec_check(specs, 3, &problem), -EINVAL);
	assert_non_null(strstr(problem, "standard"));
	right("name=b,unix=/x", &specs[1]);
	right("name=c,pty,link=/x", &specs[2]);
	assert_int_equal(spec_check(specs, 3, &problem), -EINVAL);
	assert_non_null(strstr(problem, "path"));
}

static int read_text(const char *text, struct port_spec *specs, unsigned int max,
		     unsigned int *ret_n, unsigned int *ret_line)
{
	char path[] = "/tmp/vloop-ports-XXXXXX";
	int fd = mkstemp(path), r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	r = spec_read_file(path, specs, max, ret_n, ret_line, &problem);
	unlink(path);
	return r;
}

static void test_file(void **state)
{
	struct port_spec specs[2];
	unsigned int n, line;
	char text[700];

	(void)state;
	assert_int_equal(read_text("# two\n\n  name=a,pty \r\n\tname=b,stdio", specs, 2, &n, &line), 0);
	assert_int_equal(n, 2);
	assert_string_equal(specs[1].name, "b");
	assert_int_equal(read_text("", specs, 2, &n, &line), 0);
	assert_int_equal(n, 0);
	assert_int_equal(read_text("name=a,pty\nname=b\n", specs, 2, &n, &line), -EINVAL);
	assert_int_equal(line, 2);
	assert_int_equal(read_text("name=a,pty\nname=b,pty\nname=c,pty\n", specs, 2, &n, &line),
			 -EINVAL);
	assert_int_equal(line, 3);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	assert_int_equal(read_text(text, specs, 2, &n, &line), -EINVAL);
	assert_int_equal(line, 1);
	assert_int_equal(spec_read_file("/", specs, 2, &n, &line, &problem), -EISDIR);
	assert_int_equal(line, 0);
	assert_string_equal(problem, strerror(EISDIR));
	assert_int_equal(spec_read_file("/no/such/file", specs, 2, &n, &line, &problem), -ENOENT);
	assert_int_equal(line, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
