/*-------------------------------------------------------------------------
 *
 * pure/text.c
 *	  Words, UTF-8 characters, and text that is written into a buffer.
 *
 * Owns and must not: see text.h.  Anyone may call it, in any process, with
 * any bytes.
 *
 *-------------------------------------------------------------------------
 */
#include "pure/text.h"

#include <string.h>

bool
pgh_is_word(const char *at, const char *end, const char *word)
{
	for (; at < end && *word != '\0'; at++, word++)
		if (pgh_to_lower(*at) != *word)
			return false;
	return at == end && *word == '\0';
}

static inline bool
continues_character(char c)
{
	return ((uint8_t) c & 0xC0) == 0x80;
}

/* How long a character is that begins with this byte; 0 if none does. */
static size_t
length_by_lead(char c)
{
	const uint8_t lead = (uint8_t) c;

	if (lead < 0x80)
		return 1;
	if (lead < 0xC2 || lead > 0xF4)
		return 0;
	return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

size_t
pgh_character_length(const char *s, size_t len)
{
	const size_t length = length_by_lead(*s);

	for (size_t i = 1; i < length && i < len; i++)
		if (!continues_character(s[i]))
			return 0;
	return length;
}

size_t
pgh_count_characters(const char *s, size_t len)
{
	size_t		n = 0;

	for (size_t i = 0; i < len; i++)
		if (!continues_character(s[i]))
			n++;
	return n;
}

size_t
pgh_clip_length(const char *s, size_t len)
{
	size_t		lead = len;

	while (lead > 0 && len - lead < 3 && continues_character(s[lead - 1]))
		lead--;
	if (lead > 0 && length_by_lead(s[lead - 1]) > len - lead + 1)
		return lead - 1;
	return len;
}

void
pgh_put_text(PghOutput *out, const char *text)
{
	for (; *text != '\0'; text++)
		pgh_put_char(out, *text);
}

void
pgh_put_number(PghOutput *out, uint64_t value, unsigned base, int width)
{
	char		digits[20];
	int			n = 0;

	do
		digits[n++] = PGH_HEX_DIGITS[value % base];
	while ((value /= base) > 0);
	for (; width > n; width--)
		pgh_put_char(out, '0');
	while (n > 0)
		pgh_put_char(out, digits[--n]);
}

size_t
pgh_finish_output(PghOutput *out)
{
	size_t		dots = 3;
	size_t		cut;

	if (out->len < out->size)
		out->buf[out->len] = '\0';
	else if (out->size > 0)
	{
		if (dots > out->size - 1)
			dots = out->size - 1;
		cut = pgh_clip_length(out->buf, out->size - 1 - dots);
		memset(out->buf + cut, '.', dots);
		out->buf[cut + dots] = '\0';
	}
	return out->len;
}

void
pgh_copy_ascii(const char *from, char *to, size_t size)
{
	size_t		n = 0;

	for (const char *c = from; *c != '\0' && n < size - 1; c++)
	{
		if (pgh_is_high(*c))
		{
			if (!pgh_is_high(c[1]))
				to[n++] = '?';	/* for all that stand together */
		}
		else
			to[n++] = (unsigned char) *c < ' ' ? ' ' : *c;
	}
	to[n] = '\0';
}

const char *
pgh_print_name(const char *name, char to[PGH_PRINTED_NAME_LEN])
{
	size_t		len = 0;

	for (; *name != '\0' && len + 2 < PGH_PRINTED_NAME_LEN; name++)
	{
		if (*name == '"')
			to[len++] = '"';
		to[len++] = *name;
	}
	to[len] = '\0';
	return to;
}
