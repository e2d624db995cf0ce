/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages of a program: one line each on stderr, written with one write(2) so that lines of
 * several threads do not mix.
 *
 * Under a supervisor that reads stderr as a journal (JOURNAL_STREAM names it, or is set and stderr
 * is a pipe) each line carries its level as "<3>", see sd-daemon(3); otherwise it begins with the
 * program's name.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdarg.h>

/* Numbers of syslog(3). */
enum vl_log_level {
	VL_LOG_ERROR = 3,
	VL_LOG_WARNING = 4,
	VL_LOG_INFO = 6,
	VL_LOG_DEBUG = 7,
};

/* Once, before threads exist. @name must stay valid. Before that: no name, up to VL_LOG_INFO. */
void vl_log_init(const char *name, int max_level);

/* Write a message if its level is wanted. Any thread. errno is kept. */
void vl_log(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));
void vl_logv(int level, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

#define vl_error(...)	vl_log(VL_LOG_ERROR, __VA_ARGS__)
#define vl_warning(...) vl_log(VL_LOG_WARNING, __VA_ARGS__)
#define vl_info(...)	vl_log(VL_LOG_INFO, __VA_ARGS__)
#define vl_debug(...)	vl_log(VL_LOG_DEBUG, __VA_ARGS__)

/*
 * The text of one line, for vl_log() and the tests: "<3>message\n" or "name: message\n". Line ends
 * and other control characters inside the message become spaces; what does not fit is cut off.
 *
 * Return: the length without the terminating zero.
 */
unsigned int vl_log_line(char *buf, unsigned int size, const char *name, int journal_level,
			 const char *format, va_list args) __attribute__((format(printf, 5, 0)));

#endif
