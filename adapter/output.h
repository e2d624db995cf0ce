/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One description of a thing, printed either as JSON or as text: what a script reads and
 * what a person reads can then not drift apart.
 */
#ifndef VLOOP_OUTPUT_H
#define VLOOP_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

#include "types.h"

/* out_print() - print @object and release it */
void out_print(struct json_object *object, bool json);

/*
 * out_finish() - see that what was printed has arrived. @result, or EXIT_FAIL after a message when
 * @result says that all is well.
 */
int out_finish(int result);

/*
 * out_string() - @value as UTF-8, which JSON has to be (RFC 8259, 8.1): U+FFFD for each byte of a
 * path or name that is none
 */
struct json_object *out_string(const char *value);

/*
 * Add a member to @object. out_text() with NULL adds null. out_features() adds an array of
 * words, with the number of each bit that has no word.
 */
void out_text(struct json_object *object, const char *key, const char *value);
void out_number(struct json_object *object, const char *key, uint64_t value);
void out_bool(struct json_object *object, const char *key, bool value);
void out_hex(struct json_object *object, const char *key, uint64_t value);
void out_features(struct json_object *object, const char *key, const struct vloop_type *type,
		  uint64_t features);
void out_protocol_features(struct json_object *object, const char *key, uint64_t features);

#endif
