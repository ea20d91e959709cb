/*-------------------------------------------------------------------------
 *
 * pure/text.h
 *	  Bytes, words and UTF-8 characters, and text that is written into a
 *	  buffer of a fixed size.
 *
 * Owns: what counts as a blank, a digit, a letter or a whole character, for
 * all that we read and write.  Must not: depend on a locale or an encoding of
 * the server: some of it runs where neither is known.
 *
 * Pure: <stdint.h> <stdbool.h> <stddef.h> <string.h> only, no globals that
 * change, no allocation, no error raised.  Anyone may call it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_TEXT_H
#define PGH_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For strspn(), and the digits of a number that is printed. */
#define PGH_DIGITS "0123456789"
#define PGH_HEX_DIGITS PGH_DIGITS "abcdef"

/* ----------
 * Bytes
 * ----------
 */

/* White space: what PostgreSQL's own scanner takes for it. */
static inline bool
pgh_is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline bool
pgh_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline char
pgh_to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char) (c + ('a' - 'A')) : c;
}

static inline bool
pgh_is_letter(char c)
{
	return pgh_to_lower(c) >= 'a' && pgh_to_lower(c) <= 'z';
}

/* What a hexadecimal digit of either case stands for; -1 if it is none. */
static inline int
pgh_hex_value(char c)
{
	if (pgh_is_digit(c))
		return c - '0';
	c = pgh_to_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Is it a byte of a character that is not ASCII? */
static inline bool
pgh_is_high(char c)
{
	return ((uint8_t) c & 0x80) != 0;
}

/* ----------
 * Words and characters
 * ----------
 */

/*
 * Are the bytes from "at" to "end" this word?  "word" in lower case; the case
 * of ASCII is ignored.
 */
extern bool pgh_is_word(const char *at, const char *end, const char *word);

/*
 * Bytes of the UTF-8 character with which a text of "len" bytes, 1 at least,
 * begins; more than "len" if the text ends within it.  0 when these bytes
 * begin none.
 */
extern size_t pgh_character_length(const char *s, size_t len);

/* How many characters a text of "len" bytes of UTF-8 has. */
extern size_t pgh_count_characters(const char *s, size_t len);

/*
 * How much of the first "len" bytes of a text is left without a character
 * that they end within.  Of a text that is not UTF-8 a few bytes may go.
 */
extern size_t pgh_clip_length(const char *s, size_t len);

/* ----------
 * Writing
 * ----------
 */

/* Text being written; "len" goes on counting when the buffer is full. */
typedef struct PghOutput
{
	char	   *buf;
	size_t		size;
	size_t		len;
} PghOutput;

static inline void
pgh_put_char(PghOutput *out, char c)
{
	if (out->len < out->size)
		out->buf[out->len] = c;
	out->len++;
}

extern void pgh_put_text(PghOutput *out, const char *text);

/* A number to the base 10 or 16, with zeros in front up to "width" digits. */
extern void pgh_put_number(PghOutput *out, uint64_t value, unsigned base,
						   int width);

/*
 * Terminate the text, and end it in "..." if it did not fit, never within a
 * character.  Returns the length that the whole has.
 */
extern size_t pgh_finish_output(PghOutput *out);

/*
 * Copy a text for a message, "size" bytes at the most, in one line of ASCII: it
 * may come from a database of another encoding than this client's, who would
 * get an error about that instead of the message.  (One that is refused gets
 * the bytes as they are, for no encoding is set up yet.)  "from" may be "to".
 */
extern void pgh_copy_ascii(const char *from, char *to, size_t size);

/* Room for a name of PGH_NAME_LEN bytes for a message. */
#define PGH_PRINTED_NAME_LEN (2 * 64)

/*
 * Copy a name for a message that puts it between double quotes: those in it are
 * doubled, so that it cannot seem to end before it does.  Returns "to".
 */
extern const char *pgh_print_name(const char *name,
								  char to[PGH_PRINTED_NAME_LEN]);

#endif							/* PGH_TEXT_H */
