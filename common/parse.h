/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers on command lines.
 */
#ifndef COMMON_PARSE_H
#define COMMON_PARSE_H

#include <stdint.h>

/*
 * A size in bytes: "512", "64K", "1M", "2G", "1T" (powers of 1024, either case).
 *
 * Return: 0; -EINVAL (not that; also a sign or blanks); -ERANGE.
 */
int vl_parse_size(const char *text, uint64_t *ret_size);

/*
 * A decimal or 0x number from @min to @max.
 *
 * Return: 0; -EINVAL; -ERANGE.
 */
int vl_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value);

#endif
