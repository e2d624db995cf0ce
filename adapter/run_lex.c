/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run_lex.h"

#define END_OF_TEXT (-1)

int run_complain(struct run_error *error, struct run_at at, const char *format, ...)
{
	va_list args;

	error->at = at;
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	return -EINVAL;
}

void run_lexer_init(struct run_lexer *lexer, const char *text, size_t len,
		    struct run_error *ret_error)
{
	*lexer = (struct run_lexer){
		.next = text,
		.end = text + len,
		.at = {.line = 1, .column = 1},
		.error = ret_error,
	};
}

static int peek_at(const struct run_lexer *lexer, size_t offset)
{
	if ((size_t)(lexer->end - lexer->next) <= offset)
		return END_OF_TEXT;
	return (unsigned char)lexer->next[offset];
}

static int peek(const struct run_lexer *lexer)
{
	return peek_at(lexer, 0);
}

static void skip(struct run_lexer *lexer, size_t n)
{
	for (; n && lexer->next < lexer->end; n--) {
		unsigned char c = (unsigned char)*lexer->next++;

		if (c == '\n') {
			lexer->at.line++;
			lexer->at.column = 1;
		} else if ((c & 0xc0) != 0x80) {
			/* The further bytes of a character in UTF-8 have no column of their own. */
			lexer->at.column++;
		}
	}
}

/* Bytes of the line end at @offset, 0 when there is none. */
static size_t line_end(const struct run_lexer *lexer, size_t offset)
{
	if (peek_at(lexer, offset) == '\n')
		return 1;
	if (peek_at(lexer, offset) == '\r' && peek_at(lexer, offset + 1) == '\n')
		return 2;
	return 0;
}

static bool at_line_end(const struct run_lexer *lexer)
{
	return peek(lexer) == END_OF_TEXT || line_end(lexer, 0);
}

static bool at_continuation(const struct run_lexer *lexer)
{
	return peek(lexer) == '\\' && line_end(lexer, 1);
}

static bool at_blank(const struct run_lexer *lexer)
{
	return peek(lexer) == ' ' || peek(lexer) == '\t';
}

static void skip_blanks(struct run_lexer *lexer)
{
	while (at_blank(lexer))
		skip(lexer, 1);
}

static void skip_comment(struct run_lexer *lexer)
{
	while (!at_line_end(lexer))
		skip(lexer, 1);
}

/*
 * To the next word, over the ends of continued lines. A word of such a line that has become a
 * comment takes the rest of its line with it, but not the backslash at the end of that.
 */
static void skip_to_word(struct run_lexer *lexer)
{
	skip_blanks(lexer);
	while (at_continuation(lexer)) {
		skip(lexer, 1 + line_end(lexer, 1));
		skip_blanks(lexer);
		if (peek(lexer) != '#')
			continue;
		while (!at_line_end(lexer) && !at_continuation(lexer))
			skip(lexer, 1);
	}
}

struct word_buffer {
	char text[RUN_WORD_MAX + 1];
	size_t len;
	struct run_at start;
};

static int put(struct run_lexer *lexer, struct word_buffer *buffer, int c)
{
	if (buffer->len == RUN_WORD_MAX)
		return run_complain(lexer->error, buffer->start, "a word of more than %d bytes",
				    RUN_WORD_MAX);
	buffer->text[buffer->len++] = (char)c;
	return 0;
}

/* One byte as it stands. */
static int take_plain(struct run_lexer *lexer, struct word_buffer *buffer)
{
	int c = peek(lexer);

	if ((c < 0x20 && c != '\t') || c == 0x7f)
		return run_complain(lexer->error, lexer->at, "expected text, not the byte 0x%02x",
				    (unsigned int)c);
	skip(lexer, 1);
	return put(lexer, buffer, c);
}

static int take_escape(struct run_lexer *lexer, struct word_buffer *buffer)
{
	static const char special[] = "\\\"'$# \t";
	int c = peek_at(lexer, 1);

	if (c <= 0 || !strchr(special, c))
		return run_complain(lexer->error, lexer->at,
				    "expected one of \\ \" ' $ # or a blank after '\\'; "
				    "write '\\\\' for the character itself");
	skip(lexer, 2);
	return put(lexer, buffer, c);
}

static int take_placeholder(struct run_lexer *lexer, struct word_buffer *buffer)
{
	static const struct {
		const char *text;
		enum run_placeholder value;
	} known[] = {
		{"${socket}", RUN_SOCKET},
		{"${name}", RUN_NAME},
		{"${directory}", RUN_DIRECTORY},
	};
	size_t left = (size_t)(lexer->end - lexer->next);

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		size_t len = strlen(known[i].text);

		if (left < len || memcmp(lexer->next, known[i].text, len) != 0)
			continue;
		skip(lexer, len);
		return put(lexer, buffer, known[i].value);
	}
	return run_complain(lexer->error, lexer->at,
			    "expected ${socket}, ${name} or ${directory}; write '\\$' for the "
			    "character itself");
}

/* Between double quotes, or without quotes. */
static int take_expanded(struct run_lexer *lexer, struct word_buffer *buffer)
{
	if (peek(lexer) == '\\')
		return take_escape(lexer, buffer);
	if (peek(lexer) == '$' && peek_at(lexer, 1) == '{')
		return take_placeholder(lexer, buffer);
	return take_plain(lexer, buffer);
}

static int take_quoted(struct run_lexer *lexer, struct word_buffer *buffer)
{
	const struct run_at start = lexer->at;
	const int quote = peek(lexer);
	int ret = 0;

	skip(lexer, 1);
	while (!ret && peek(lexer) != quote) {
		if (at_line_end(lexer))
			return run_complain(lexer->error, start,
					    "expected a closing %c in the same line", quote);
		ret = quote == '"' ? take_expanded(lexer, buffer) : take_plain(lexer, buffer);
	}
	if (!ret)
		skip(lexer, 1);
	return ret;
}

static int take_word(struct run_lexer *lexer, int closing, struct word_buffer *buffer)
{
	int ret = 0;

	buffer->len = 0;
	buffer->start = lexer->at;
	while (!ret && !at_blank(lexer) && !at_line_end(lexer) && !at_continuation(lexer) &&
	       peek(lexer) != closing) {
		if (peek(lexer) == '"' || peek(lexer) == '\'')
			ret = take_quoted(lexer, buffer);
		else
			ret = take_expanded(lexer, buffer);
	}
	buffer->text[buffer->len] = 0;
	return ret;
}

static int add_word(struct run_lexer *lexer, struct run_words *words,
		    const struct word_buffer *buffer)
{
	struct run_word *list;

	if (words->n == RUN_WORDS_MAX)
		return run_complain(lexer->error, buffer->start, "more than %d words",
				    RUN_WORDS_MAX);
	/* Doubled at each power of two. */
	if (!(words->n & (words->n - 1))) {
		list = realloc(words->list, (words->n ? 2 * words->n : 1) * sizeof(*list));
		if (!list)
			return -ENOMEM;
		words->list = list;
	}
	list = &words->list[words->n];
	list->at = buffer->start;
	list->text = strdup(buffer->text);
	if (!list->text)
		return -ENOMEM;
	words->n++;
	return 0;
}

/* Words up to the end of the line, or to @closing (END_OF_TEXT: none), which is not taken. */
static int take_words(struct run_lexer *lexer, int closing, struct run_words *words)
{
	struct word_buffer buffer;
	int ret = 0;

	for (;;) {
		skip_to_word(lexer);
		words->end = lexer->at;
		if (peek(lexer) == '#')
			skip_comment(lexer);
		if (at_line_end(lexer) || peek(lexer) == closing)
			return 0;
		ret = take_word(lexer, closing, &buffer);
		if (!ret)
			ret = add_word(lexer, words, &buffer);
		if (ret)
			return ret;
	}
}

static int take_section(struct run_lexer *lexer, struct run_line *line)
{
	const struct run_at start = lexer->at;
	int ret;

	line->kind = RUN_LINE_SECTION;
	skip(lexer, 1);
	ret = take_words(lexer, ']', &line->words);
	if (ret)
		return ret;
	if (peek(lexer) != ']')
		return run_complain(lexer->error, start, "expected a closing ] in the same line");
	skip(lexer, 1);
	skip_blanks(lexer);
	if (peek(lexer) == '#')
		skip_comment(lexer);
	if (!at_line_end(lexer))
		return run_complain(lexer->error, lexer->at,
				    "expected the end of the line after ']'");
	return 0;
}

static bool is_key_byte(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

static int take_setting(struct run_lexer *lexer, struct run_line *line)
{
	size_t len = 0;

	line->kind = RUN_LINE_SETTING;
	while (is_key_byte(peek_at(lexer, len)))
		len++;
	if (!len)
		return run_complain(lexer->error, lexer->at,
				    "expected a setting (name = value), a section such as "
				    "[device NAME], or a comment (#)");
	line->key.text = strndup(lexer->next, len);
	if (!line->key.text)
		return -ENOMEM;
	skip(lexer, len);
	skip_blanks(lexer);
	if (peek(lexer) != '=')
		return run_complain(lexer->error, lexer->at, "expected '=' after '%.40s'",
				    line->key.text);
	skip(lexer, 1);
	return take_words(lexer, END_OF_TEXT, &line->words);
}

int run_lex(struct run_lexer *lexer, struct run_line *ret_line)
{
	*ret_line = (struct run_line){.kind = RUN_LINE_END};
	for (;;) {
		skip_blanks(lexer);
		if (peek(lexer) == '#')
			skip_comment(lexer);
		if (peek(lexer) == END_OF_TEXT)
			return 0;
		if (!line_end(lexer, 0))
			break;
		skip(lexer, line_end(lexer, 0));
	}
	ret_line->key.at = lexer->at;
	return peek(lexer) == '[' ? take_section(lexer, ret_line) : take_setting(lexer, ret_line);
}

void run_line_free(struct run_line *line)
{
	for (size_t i = 0; i < line->words.n; i++)
		free(line->words.list[i].text);
	free(line->words.list);
	free(line->key.text);
	*line = (struct run_line){.kind = RUN_LINE_END};
}
