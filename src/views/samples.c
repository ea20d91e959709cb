/*-------------------------------------------------------------------------
 *
 * views/samples.c
 *	  The SQL functions behind hygiene.samples, and what hygiene.report()
 *	  needs to write a text into a page.
 *
 * Owns: what is shown of the samples.  Must not: take one.
 *
 *-------------------------------------------------------------------------
 */
#include "views/views.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "shared/applications.h"
#include "shared/samples.h"

PG_FUNCTION_INFO_V1(pgh_sample_list);
PG_FUNCTION_INFO_V1(pgh_unsampled);
PG_FUNCTION_INFO_V1(pgh_html);

static void
append_numbers(PghRow *row, const Datum *numbers, int n)
{
	pgh_row_datum(row, PointerGetDatum(construct_array((Datum *) numbers, n,
													   INT4OID, sizeof(int32),
													   true, TYPALIGN_INT)));
}

/* What the applications in samples are called, by their ids. */
typedef struct PghNames
{
	PghApplicationId *ids;
	int			n;
} PghNames;

static int
compare_ids(const void *a, const void *b)
{
	uint32		left = ((const PghApplicationId *) a)->id;
	uint32		right = ((const PghApplicationId *) b)->id;

	return left < right ? -1 : left > right;
}

static const char *
name_of(const PghNames *names, uint32 id)
{
	PghApplicationId key = {id};
	PghApplicationId *found = bsearch(&key, names->ids, names->n,
									  sizeof(key), compare_ids);

	return found == NULL ? PGH_OTHER_APPLICATIONS : found->name;
}

/* Three arrays, in step with each other. */
static void
append_holdings(PghRow *row, const PghSample *sample,
				const PghNames *applications)
{
	Datum		names[PGH_SAMPLE_APPLICATIONS];
	Datum		connections[PGH_SAMPLE_APPLICATIONS];
	Datum		idle[PGH_SAMPLE_APPLICATIONS];
	int			n = 0;

	while (n < PGH_SAMPLE_APPLICATIONS && sample->largest[n].connections > 0)
	{
		const PghHolding *holding = &sample->largest[n];

		names[n] = CStringGetTextDatum(name_of(applications,
											   holding->application));
		connections[n] = Int32GetDatum(holding->connections);
		idle[n] = Int32GetDatum(holding->idle_in_transaction);
		n++;
	}
	pgh_row_datum(row, PointerGetDatum(construct_array(names, n, TEXTOID, -1,
													   false, TYPALIGN_INT)));
	append_numbers(row, connections, n);
	if (pgh_may_see_all())
		append_numbers(row, idle, n);
	else
		pgh_row_null(row);
}

Datum
pgh_sample_list(PG_FUNCTION_ARGS)
{
	PghSample  *samples;
	PghNames	names;
	int			n;

	pgh_require_shared();
	InitMaterializedSRF(fcinfo, 0);
	samples = pgh_samples_read(&n);
	names.ids = pgh_application_ids(&names.n);
	for (int i = 0; i < n; i++)
	{
		PghRow		row;

		pgh_row_begin(&row);
		pgh_row_timestamp(&row, samples[i].at);
		pgh_row_int32(&row, samples[i].used);
		pgh_row_int32(&row, samples[i].most_used);
		if (pgh_may_see_all())
			pgh_row_int32(&row, samples[i].idle_in_transaction);
		else
			pgh_row_null(&row);
		pgh_row_int64(&row, samples[i].ended);
		pgh_row_int64(&row, samples[i].refused);
		pgh_row_int64(&row, samples[i].refused_by_server);
		append_holdings(&row, &samples[i], &names);
		pgh_row_end(&row, fcinfo);
	}
	return (Datum) 0;
}

/* What the newest sample does not have yet: one row. */
Datum
pgh_unsampled(PG_FUNCTION_ARGS)
{
	PghSampleTotals lacking;
	PghRow		row;

	pgh_require_shared();
	InitMaterializedSRF(fcinfo, 0);
	pgh_samples_lack(&lacking);
	pgh_row_begin(&row);
	pgh_row_int64(&row, lacking.ended);
	pgh_row_int64(&row, lacking.refused);
	pgh_row_int64(&row, lacking.refused_by_server);
	pgh_row_end(&row, fcinfo);
	return (Datum) 0;
}

/* ----------
 * A text for HTML
 * ----------
 */

#define PGH_REPLACEMENT 0xFFFD

/*
 * The next character's code point, and its length in bytes.  What is no
 * character of UTF-8 is replaced, byte by byte; so is what is not ASCII in a
 * database of another encoding.  Texts of other databases may be in another
 * encoding than this one's, and may be cut inside a character.
 */
static pg_wchar
next_character(const unsigned char *s, int left, int *length)
{
	*length = 1;
	if (!IS_HIGHBIT_SET(*s))
		return *s;
	if (GetDatabaseEncoding() != PG_UTF8 || pg_utf_mblen(s) > left ||
		!pg_utf8_islegal(s, pg_utf_mblen(s)))
		return PGH_REPLACEMENT;
	*length = pg_utf_mblen(s);
	return utf8_to_unicode(s);
}

/* Characters that HTML does not let a page contain, in any way of writing. */
static bool
is_forbidden(pg_wchar c)
{
	return (c < 0x20 && c != '\n' && c != '\t') ||
		(c >= 0x7F && c < 0xA0) ||
		(c >= 0xFDD0 && c <= 0xFDEF) ||
		(c & 0xFFFE) == 0xFFFE;
}

/*
 * The text so that it means itself in HTML, in an element and in a quoted
 * attribute.  The result is ASCII, so that the page is right whatever the
 * client's encoding is.
 */
Datum
pgh_html(PG_FUNCTION_ARGS)
{
	text	   *value = PG_GETARG_TEXT_PP(0);
	const unsigned char *s = (unsigned char *) VARDATA_ANY(value);
	int			left = VARSIZE_ANY_EXHDR(value);
	StringInfoData html;

	pgh_require_shared();
	initStringInfo(&html);
	while (left > 0)
	{
		int			length;
		pg_wchar	c = next_character(s, left, &length);

		if (is_forbidden(c))
			c = PGH_REPLACEMENT;
		if (c > 0x7F || strchr("&<>\"'", (int) c) != NULL)
			appendStringInfo(&html, "&#%u;", (unsigned int) c);
		else
			appendStringInfoChar(&html, (char) c);
		s += length;
		left -= length;
	}
	PG_RETURN_TEXT_P(cstring_to_text_with_len(html.data, html.len));
}
