/*-------------------------------------------------------------------------
 *
 * comment_test.c
 *	  What statements say of their program: tags, source, trace.
 *
 *-------------------------------------------------------------------------
 */
#include "pure/comment.h"
#include "tap.h"

static void
test_source(void)
{
	static const struct
	{
		const char *query;
		const char *source;		/* "" = none */
	}			cases[] = {
		{"SELECT 1 /*controller='polls',action='vote',framework='django%3A4'*/",
		"polls#vote"},
		{"SELECT 1 /*route='%2Fcart%2F%3Aid',action='x'*/", "/cart/:id"},
		{"/*action='vote'*/ SELECT 1", "vote"},
		{"SELECT 1 /*file='app/models/cart.py',line='31'*/",
		"app/models/cart.py:31"},
		{"SELECT 1 /* code.filepath='a.py', code.lineno='7' */", "a.py:7"},
		{"SELECT 1 /*line='31',route='r',file='f'*/", "f:31"},
		{"SELECT 1 /*source_location='a.rb:3'*/ /*route='no'*/", "a.rb:3"},
		{"SELECT 1 /*route='one'*/ /*route='two'*/", "one"},
		{"SELECT 1 /* orders.py:31 */ /*route='r'*/", "r"},
		{"SELECT 1 /*route='it\\'s'*/", "it's"},
		{"SELECT 1 /*route='a%0Ab%zz'*/", "a?b%zz"},
		{"SELECT '/*route=''no''*/'", ""},
		{"SELECT \"/*route='no'*/\"", ""},
		{"SELECT 1 /*route=''*/", ""},
		{"SELECT 1 /*xroute='no',route2='no'*/", ""},
		{"SELECT 1 /*route='cut", ""},
		{"SELECT 1 /*route=", ""},
		{"SELECT 1 /*", ""},
		{"SELECT 1 /* orders.py:31 */", ""},
		{"", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		char		out[64];
		bool		found = pgh_find_source(cases[i].query, out, sizeof(out));

		tap_is_text(found ? out : "", cases[i].source, "%s", cases[i].query);
	}
}

static void
test_trace(void)
{
	static const char id[] = "4bf92f3577b34da6a3ce929d0e0e4736";
	char		query[160];
	char		out[PGH_TRACE_ID_LEN];

	snprintf(query, sizeof(query),
			 "SELECT 1 /*route='r',traceparent='00-%s-00f067aa0ba902b7-01'*/",
			 id);
	tap_ok(pgh_find_trace(query, out), "there is a trace");
	tap_is_text(out, id, "its number");
	query[strlen(query) - 35] = 'x';
	tap_ok(!pgh_find_trace(query, out), "none that is no number");
	tap_ok(!pgh_find_trace("SELECT 1 /*traceparent='00-4bf9'*/", out),
		   "none that is too short");
}

/* In any buffer, and cut anywhere. */
static void
test_bounds(void)
{
	static const char query[] =
	"SELECT 'x' /*controller='polls',action='vo%74e',line='3'*/";
	char		text[sizeof(query)];

	for (size_t cut = 0; cut < sizeof(query); cut++)
		for (size_t size = 1; size < 16; size++)
		{
			char	   *out = malloc(size);

			memcpy(text, query, cut);
			text[cut] = '\0';
			(void) pgh_find_source(text, out, size);
			if (strlen(out) >= size)
				tap_ok(false, "cut at %d, %d bytes", (int) cut, (int) size);
			free(out);
		}
	tap_ok(true, "no buffer is left");
}

int
main(void)
{
	test_source();
	test_trace();
	test_bounds();
	return tap_done();
}
