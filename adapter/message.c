/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>
#include <time.h>

#include "log.h"
#include "vloop.h"

static const char *device;
static bool background;

void msg_setup(bool verbose)
{
	const int level = verbose ? VL_LOG_DEBUG : VL_LOG_INFO;

	vl_log_init("vloop", level);
	setlogmask(LOG_UPTO(level));
}

void msg_device(const char *name)
{
	device = name;
}

void msg_to_syslog(void)
{
	openlog("vloop", LOG_PID, LOG_DAEMON);
	background = true;
}

static void __attribute__((format(printf, 2, 0))) emit(int level, const char *format, va_list args)
{
	const char *mark = level == VL_LOG_WARNING ? "warning: " : "";
	char text[900];

	vsnprintf(text, sizeof(text), format, args);
	if (background)
		syslog(level, "%s: %s", device ? device : "vloop", text);
	else if (device)
		vl_log(level, "%s: %s%s", device, mark, text);
	else
		vl_log(level, "%s%s", mark, text);
}

#define MSG_FUNCTION(name, level)          \
	void name(const char *format, ...) \
	{                                  \
		va_list args;              \
                                           \
		va_start(args, format);    \
		emit(level, format, args); \
		va_end(args);              \
	}

MSG_FUNCTION(msg_error, VL_LOG_ERROR)
MSG_FUNCTION(msg_warn, VL_LOG_WARNING)
MSG_FUNCTION(msg_info, VL_LOG_INFO)
MSG_FUNCTION(msg_debug, VL_LOG_DEBUG)

int usage_error(const char *subcommand, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	emit(VL_LOG_ERROR, format, args);
	va_end(args);
	return option_error(subcommand);
}

int option_error(const char *subcommand)
{
	fprintf(stderr, "Try 'vloop%s%s --help'.\n", subcommand ? " " : "",
		subcommand ? subcommand : "");
	return EXIT_USAGE;
}

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}
