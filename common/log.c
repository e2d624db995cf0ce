/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

static const char *program_name;
static int max_level_wanted = VL_LOG_INFO;
static int journal;

/*
 * The variable says which file the journal reads, as "device:inode", and is inherited by programs
 * whose stderr is something else, such as a terminal. A pipe leads to a supervisor in between, which
 * hands the level on.
 */
static int takes_levels(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	char own[48];

	if (!stream || fstat(STDERR_FILENO, &st))
		return 0;
	snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return S_ISFIFO(st.st_mode) || !strcmp(stream, own);
}

void vl_log_init(const char *name, int max_level)
{
	program_name = name;
	max_level_wanted = max_level;
	journal = takes_levels();
}

/* What a terminal obeys instead of showing it; U+0080 to U+009F are such characters, too. */
static void blank_controls(char *text, unsigned int len)
{
	unsigned char *at = (unsigned char *)text;

	for (unsigned int i = 0; i < len; i++) {
		if (at[i] < 0x20 || at[i] == 0x7f)
			at[i] = ' ';
		if (at[i] == 0xc2 && i + 1 < len && at[i + 1] >= 0x80 && at[i + 1] <= 0x9f)
			at[i] = at[i + 1] = ' ';
	}
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
	blank_controls(buf + prefix, len - prefix);
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
