/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

/* strtoull(3) takes signs and blanks, which are typing errors here. */
static int parse_number(const char *text, uint64_t *ret_value, const char **ret_rest)
{
	int base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	*ret_value = strtoull(text, &end, base);
	if (errno)
		return -errno;
	*ret_rest = end;
	return 0;
}

int vl_parse_size(const char *text, uint64_t *ret_size)
{
	static const char suffixes[] = "KMGT";
	unsigned int shift = 0;
	const char *rest;
	uint64_t value;
	int r;

	r = parse_number(text, &value, &rest);
	if (r < 0)
		return r;
	if (*rest) {
		const char *suffix = strchr(suffixes, toupper((unsigned char)*rest));

		if (!suffix || rest[1])
			return -EINVAL;
		shift = 10 * (unsigned int)(suffix - suffixes + 1);
	}
	if (value > UINT64_MAX >> shift)
		return -ERANGE;
	*ret_size = value << shift;
	return 0;
}

int vl_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	const char *rest;
	uint64_t value;
	int r;

	r = parse_number(text, &value, &rest);
	if (r < 0)
		return r;
	if (*rest)
		return -EINVAL;
	if (value < min || value > max)
		return -ERANGE;
	*ret_value = value;
	return 0;
}
