/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The form of a configuration file, vloop.conf(5): sections, settings, words. What they mean is
 * in run_conf.c. The text may be anything; its size is the caller's to bound.
 */
#ifndef VLOOP_RUN_LEX_H
#define VLOOP_RUN_LEX_H

#include <stddef.h>

#define RUN_WORD_MAX 4095 /* bytes of a word */
#define RUN_WORDS_MAX 1024 /* words of a line with its continuations */

/*
 * What ${socket} and the like become in a word. The text of a file has no control characters, so
 * that nothing else looks like these.
 */
enum run_placeholder { RUN_SOCKET = 1, RUN_NAME, RUN_DIRECTORY };

/* Both count from 1; a column is a character. */
struct run_at {
	unsigned int line;
	unsigned int column;
};

struct run_error {
	struct run_at at;
	char text[256];
};

struct run_word {
	struct run_at at;
	char *text;
};

/* @end: where a further word would have been */
struct run_words {
	struct run_word *list;
	size_t n;
	struct run_at end;
};

enum run_line_kind { RUN_LINE_END, RUN_LINE_SECTION, RUN_LINE_SETTING };

/* @key: of a setting; of a section, only where it begins */
struct run_line {
	enum run_line_kind kind;
	struct run_word key;
	struct run_words words;
};

struct run_lexer {
	const char *next;
	const char *end;
	struct run_at at;
	struct run_error *error;
};

void run_lexer_init(struct run_lexer *lexer, const char *text, size_t len,
		    struct run_error *ret_error);

/*
 * run_lex() - the next line that is not empty; RUN_LINE_END after the last. 0; -EINVAL, with
 * the error filled in; -ENOMEM. run_line_free() is right after each of them.
 */
int run_lex(struct run_lexer *lexer, struct run_line *ret_line);
void run_line_free(struct run_line *line);

/* run_complain() - fill in @error; returns -EINVAL */
int run_complain(struct run_error *error, struct run_at at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
