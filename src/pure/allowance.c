/*-------------------------------------------------------------------------
 *
 * pure/allowance.c
 *	  So many at once, and then one in so much time.
 *
 * Owns: the arithmetic, and how much is recorded of what is only observed.
 * Must not: read a clock, a setting or shared memory, allocate, or raise an
 * error: it is compiled and tested without PostgreSQL.  Anyone may call it.
 *
 *-------------------------------------------------------------------------
 */
#include "pure/allowance.h"

#define HOUR (INT64_C(3600) * 1000000)

/*
 * Of what one limit would have done to one application so many are recorded
 * one by one, then one an hour; and of all of them together so many, then
 * eight an hour.  So a week is at most 200 + 7 * 24 * 8 = 1544 events, and the
 * first ones of each: less than the 2000 that the ring has, 400 of which may
 * be refusals.
 */
static const PghAllowed observed_of_one = {50, HOUR};
static const PghAllowed observed_of_all = {200, HOUR / 8};

/* How far off the moment is; after the clock was set back, as if none was. */
static PghTime
used_up(const PghAllowance *allowance, const PghAllowed *allowed, PghTime now)
{
	PghTime		ahead = allowance->whole_at - now;

	if (ahead <= 0 || ahead > (allowed->most + 1) * allowed->period)
		return 0;
	return ahead;
}

bool
pgh_allowance_has(const PghAllowance *allowance, const PghAllowed *allowed,
				  PghTime now)
{
	return used_up(allowance, allowed, now) <=
		(allowed->most - 1) * allowed->period;
}

void
pgh_allowance_use(PghAllowance *allowance, const PghAllowed *allowed,
				  PghTime now)
{
	PghTime		ahead = used_up(allowance, allowed, now) + allowed->period;
	PghTime		most = (allowed->most + 1) * allowed->period;

	allowance->whole_at = now + (ahead < most ? ahead : most);
}

bool
pgh_observed_is_recorded(PghAllowance *one, PghAllowance *all, PghTime now)
{
	bool		first = one->whole_at == 0;

	if (!first && (!pgh_allowance_has(one, &observed_of_one, now) ||
				   !pgh_allowance_has(all, &observed_of_all, now)))
		return false;
	pgh_allowance_use(one, &observed_of_one, now);
	pgh_allowance_use(all, &observed_of_all, now);
	return true;
}
