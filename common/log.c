/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

static const char *program_name;
static int max_level_wanted = VL_LOG_INFO;
static int journal;

void vl_log_init(const char *name, int max_level)
{
	program_name = name;
	max_level_wanted = max_level;
	journal = getenv("JOURNAL_STREAM") != NULL;
}

unsigned int vl_log_line(char *buf, unsigned int size, const char *name, int journal_level,
			 const char *format, va_list args)
{
	unsigned int prefix = 0, len;
	int n = 0;

	if (journal_level >= 0)
		n = snprintf(buf, size, "<%d>", journal_level);
	else if (name)
		n = snprintf(buf, size, "%s: ", name);
	if (n > 0)
		prefix = (unsigned int)n < size ? (unsigned int)n : size - 1;

	n = vsnprintf(buf + prefix, size - prefix, format, args);
	len = prefix;
	if (n > 0)
		len += (unsigned int)n < size - prefix ? (unsigned int)n : size - prefix - 1;
	for (unsigned int i = prefix; i < len; i++)
		if ((unsigned char)buf[i] < 0x20 || buf[i] == 0x7f)
			buf[i] = ' ';
	if (len > size - 2)
		len = size - 2;
	buf[len] = '\n';
	buf[len + 1] = '\0';
	return len + 1;
}

void vl_logv(int level, const char *format, va_list args)
{
	char line[1024];
	int saved = errno;
	unsigned int len;

	if (level > max_level_wanted)
		return;
	len = vl_log_line(line, sizeof(line), program_name, journal ? level : -1, format, args);
	/* Nobody can be told when stderr does not work. */
	if (write(STDERR_FILENO, line, len) < 0)
		len = 0;
	errno = saved;
}

void vl_log(int level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vl_logv(level, format, args);
	va_end(args);
}
