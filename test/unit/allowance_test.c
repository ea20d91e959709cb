/*-------------------------------------------------------------------------
 *
 * allowance_test.c
 *	  So many at once, then one in so much time; and that a week of what is
 *	  only observed on a busy server fits the ring of events.
 *
 *-------------------------------------------------------------------------
 */
#include "pure/allowance.h"
#include "tap.h"

#include <string.h>

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* The ring's default size, less the fifth that refusals may take. */
#define ROOM (2000 - 400)

#define NOW (INT64_C(800000000) * SECOND)

static void
test_arithmetic(void)
{
	static const PghAllowed three = {3, 10 * SECOND};
	PghAllowance allowance = {0};

	for (int i = 0; i < 3; i++)
	{
		tap_ok(pgh_allowance_has(&allowance, &three, NOW), "the %dth of three",
			   i + 1);
		pgh_allowance_use(&allowance, &three, NOW);
	}
	tap_ok(!pgh_allowance_has(&allowance, &three, NOW), "no fourth");
	tap_ok(!pgh_allowance_has(&allowance, &three, NOW + 10 * SECOND - 1),
		   "nor a moment before the period is over");
	tap_ok(pgh_allowance_has(&allowance, &three, NOW + 10 * SECOND),
		   "one when it is");
	pgh_allowance_use(&allowance, &three, NOW + 10 * SECOND);
	tap_ok(!pgh_allowance_has(&allowance, &three, NOW + 11 * SECOND),
		   "and no other");
	tap_ok(pgh_allowance_has(&allowance, &three, NOW - HOUR),
		   "the clock was set back: all of it is there");
	for (int i = 0; i < 100; i++)
		pgh_allowance_use(&allowance, &three, NOW);
	tap_ok(pgh_allowance_has(&allowance, &three, NOW + 20 * SECOND),
		   "what is used beyond it is no debt");
}

/*
 * A week in which "a_minute" sessions are observed each minute, of so many
 * applications and limits in turn.
 */
static void
test_week(int a_minute, int series)
{
	static PghAllowance one[400];
	PghAllowance all = {0};
	int			n = 0;
	int			on_the_first_day = 0;
	int			turn = 0;
	int			seen[400] = {0};
	int			fewest = 1000000;

	memset(one, 0, sizeof(one));
	for (PghTime at = 0; at < 7 * DAY; at += MINUTE)
	{
		for (int i = 0; i < a_minute; i++, turn++)
			if (pgh_observed_is_recorded(&one[turn % series], &all, NOW + at))
			{
				n++;
				seen[turn % series]++;
			}
		if (at < DAY)
			on_the_first_day = n;
	}
	for (int i = 0; i < series; i++)
		if (seen[i] < fewest)
			fewest = seen[i];
	tap_ok(n <= ROOM, "%d a minute of %d sorts: %d events in a week, "
		   "%d of them on the first day", a_minute, series, n,
		   on_the_first_day);
	tap_ok(fewest >= 1, "each has one, the least %d", fewest);
}

int
main(void)
{
	test_arithmetic();
	test_week(12, 1);
	test_week(12, 3);
	test_week(12, 8);
	test_week(12, 40);
	test_week(600, 1);
	test_week(600, 40);
	return tap_done();
}
