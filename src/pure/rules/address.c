/*-------------------------------------------------------------------------
 *
 * pure/rules/address.c
 *	  Address blocks of pg_hygiene.rules: text to bytes and back.
 *
 * Owns: the notation of IPv4 and IPv6.  Must not: call the C library for it
 * (that one knows sockets, and a name to be resolved during a login must not
 * even be possible).  For parse.c and print.c only.
 *
 *-------------------------------------------------------------------------
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pure/rules.h"
#include "pure/rules/internal.h"

/* Exactly four decimal numbers up to 255; a leading zero could be octal. */
static bool
parse_inet(const char *s, size_t len, uint8_t *bytes)
{
	size_t		i = 0;

	for (int group = 0; group < 4; group++)
	{
		size_t		start = i;
		int			value = 0;

		while (i < len && i < start + 3 && pgh_is_digit(s[i]))
			value = value * 10 + (s[i++] - '0');
		if (i == start || value > 255 || (s[start] == '0' && i > start + 1))
			return false;
		bytes[group] = (uint8_t) value;
		if (group < 3 && (i >= len || s[i++] != '.'))
			return false;
	}
	return i == len;
}

/* Up to four hexadecimal digits; returns how many, 0 if there is none. */
static size_t
parse_hex_group(const char *s, size_t len, uint32_t *value)
{
	size_t		i;

	*value = 0;
	for (i = 0; i < len && i < 4; i++)
	{
		const int	digit = pgh_hex_value(s[i]);

		if (digit < 0)
			break;
		*value = *value * 16 + (uint32_t) digit;
	}
	return i;
}

/* Groups with at most one "::", the last two perhaps as a dotted quad. */
static bool
parse_inet6(const char *s, size_t len, uint8_t *bytes)
{
	uint8_t		part[16];
	size_t		n = 0;			/* bytes of part in use */
	size_t		gap = 16;		/* where "::" stands; 16 for nowhere */
	size_t		i = 0;

	if (len >= 2 && s[0] == ':' && s[1] == ':')
	{
		gap = 0;
		i = 2;
	}
	while (i < len)
	{
		uint32_t	value;
		size_t		digits;

		if (n <= 12 && parse_inet(s + i, len - i, part + n))
		{
			n += 4;
			break;
		}
		digits = parse_hex_group(s + i, len - i, &value);
		if (digits == 0 || n > 14)
			return false;
		part[n++] = (uint8_t) (value >> 8);
		part[n++] = (uint8_t) (value & 0xFF);
		i += digits;
		if (i == len)
			break;
		if (s[i++] != ':' || i == len)
			return false;
		if (s[i] == ':')
		{
			if (gap < 16)
				return false;
			gap = n;
			i++;
		}
	}
	/* "::" stands for one group at least */
	if (gap < 16 ? n > 14 : n != 16)
		return false;
	if (gap > n)
		gap = n;
	memset(bytes, 0, 16);
	memcpy(bytes, part, gap);
	memcpy(bytes + 16 - (n - gap), part + gap, n - gap);
	return true;
}

/*
 * Bring a block to the one form in which it is compared and printed: no bits
 * beyond the prefix, and IPv4 never dressed as IPv6.
 */
static void
normalize_block(PghSelector *sel)
{
	uint8_t    *bytes = sel->address.bytes;

	if (sel->prefix_len >= 96 && pgh_find_mapped_inet(&sel->address) != NULL)
	{
		sel->address.family = PGH_ADDRESS_INET;
		sel->prefix_len -= 96;
		memmove(bytes, bytes + 12, 4);
		memset(bytes + 4, 0, 12);
	}
	for (int i = 0; i < 16; i++)
	{
		int			bits = (int) sel->prefix_len - i * 8;

		if (bits <= 0)
			bytes[i] = 0;
		else if (bits < 8)
			bytes[i] &= (uint8_t) (0xFF << (8 - bits));
	}
}

/* Exactly these bytes as an address or a block; without /n it is a host. */
bool
pgh_parse_block(const char *s, size_t len, PghSelector *sel)
{
	const char *slash = memchr(s, '/', len);
	size_t		head = slash ? (size_t) (slash - s) : len;
	int			max;
	int			prefix = 0;

	memset(&sel->address, 0, sizeof(sel->address));
	if (parse_inet(s, head, sel->address.bytes))
		sel->address.family = PGH_ADDRESS_INET;
	else if (parse_inet6(s, head, sel->address.bytes))
		sel->address.family = PGH_ADDRESS_INET6;
	else
		return false;
	max = sel->address.family == PGH_ADDRESS_INET ? 32 : 128;
	if (slash != NULL)
	{
		size_t		digits = len - head - 1;

		if (digits < 1 || digits > 3 || (slash[1] == '0' && digits > 1))
			return false;
		for (size_t i = 1; i <= digits; i++)
		{
			if (!pgh_is_digit(slash[i]))
				return false;
			prefix = prefix * 10 + (slash[i] - '0');
		}
		if (prefix > max)
			return false;
	}
	sel->prefix_len = (uint8_t) (slash ? prefix : max);
	normalize_block(sel);
	return true;
}

/* The group of an IPv6 address, 0 to 7. */
static uint32_t
group_of(const uint8_t *bytes, int i)
{
	return (uint32_t) bytes[i * 2] << 8 | bytes[i * 2 + 1];
}

/*
 * The first of the longest runs of zero groups; one group alone is none, as
 * RFC 5952 has it.  Returns its length.
 */
static int
find_zero_groups(const uint8_t *bytes, int *start)
{
	int			best = 0;

	for (int i = 0; i < 8; i++)
	{
		int			len = 0;

		while (i + len < 8 && group_of(bytes, i + len) == 0)
			len++;
		if (len > best)
		{
			best = len;
			*start = i;
		}
	}
	return best >= 2 ? best : 0;
}

static void
put_inet6(PghOutput *out, const uint8_t *bytes)
{
	int			start = 8;
	int			zeros = find_zero_groups(bytes, &start);

	for (int i = 0; i < 8; i++)
	{
		if (zeros > 0 && i == start)
		{
			pgh_put_text(out, "::");
			i += zeros - 1;
			continue;
		}
		if (i > 0 && (zeros == 0 || i != start + zeros))
			pgh_put_char(out, ':');
		pgh_put_number(out, group_of(bytes, i), 16, 1);
	}
}

static void
put_inet(PghOutput *out, const uint8_t *bytes)
{
	for (int i = 0; i < 4; i++)
	{
		if (i > 0)
			pgh_put_char(out, '.');
		pgh_put_number(out, bytes[i], 10, 1);
	}
}

/* A block of one address is printed without /n. */
void
pgh_put_block(PghOutput *out, const PghSelector *sel)
{
	const bool inet = sel->address.family == PGH_ADDRESS_INET;

	if (inet)
		put_inet(out, sel->address.bytes);
	else
		put_inet6(out, sel->address.bytes);
	if (sel->prefix_len != (inet ? 32 : 128))
	{
		pgh_put_char(out, '/');
		pgh_put_number(out, sel->prefix_len, 10, 1);
	}
}
