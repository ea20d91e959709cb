/*-------------------------------------------------------------------------
 *
 * shared/refusals.c
 *	  Series of refusals: which are told one by one, and which as a number.
 *
 * Owns: the counts of refusals that are not told yet.  Must not: refuse.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/refusals.h"

#include "pure/limits.h"
#include "pure/text.h"
#include "shared/applications.h"

/* This many refusals of a series are logged and recorded one by one. */
#define PGH_FULLY_REPORTED 10

/*
 * A count of refusals: those since the worker last looked, and above them how
 * many of the series were reported one by one before that.
 */
#define PGH_COUNT_BITS 24
#define PGH_COUNTED(n) ((n) & ((UINT32_C(1) << PGH_COUNT_BITS) - 1))
#define PGH_REPORTED(n) ((n) >> PGH_COUNT_BITS)

PghRefusals *pgh_refusals = NULL;

void
pgh_refusal_add(uint32 application, PghLimit reason, bool observed,
				bool *log_it, bool *record_it)
{
	PghApplication *app = &pgh_applications[application];
	uint32		before = pg_atomic_fetch_add_u32(observed ?
												 &app->observed_refusals[reason] :
												 &app->refusals[reason], 1);

	pg_atomic_write_u32(&pgh_refusals->to_report, 1);
	*log_it = PGH_REPORTED(before) + PGH_COUNTED(before) < PGH_FULLY_REPORTED;
	*record_it = *log_it || PGH_COUNTED(before) == 0;
}

/*
 * How many refusals were kept out of the log since the last second.  A whole
 * second without any ends the series; one that has just begun goes on.
 */
static uint32
take(pg_atomic_uint32 *refusals)
{
	uint32		n = pg_atomic_read_u32(refusals);
	uint32		told;
	uint32		next;

	do
	{
		told = Min(PGH_REPORTED(n) + PGH_COUNTED(n), PGH_FULLY_REPORTED);
		next = PGH_COUNTED(n) == 0 ? 0 : told << PGH_COUNT_BITS;
	} while (n != 0 && !pg_atomic_compare_exchange_u32(refusals, &n, next));
	return PGH_REPORTED(n) + PGH_COUNTED(n) - told;
}

static void
report_for(PghApplication *app, PghLimit reason)
{
	uint32		refused = take(&app->refusals[reason]);
	uint32		observed = take(&app->observed_refusals[reason]);
	char		name[PGH_PRINTED_NAME_LEN];

	(void) pgh_print_name(app->name, name);

	if (refused > 0)
		ereport(LOG,
				(errmsg_plural("%u more connection of application \"%s\" was refused in the last second: %s",
							   "%u more connections of application \"%s\" were refused in the last second: %s",
							   refused, refused, name,
							   pgh_limit_name(reason))));
	if (observed > 0)
		ereport(LOG,
				(errmsg_plural("%u more connection of application \"%s\" would have been refused in the last second: %s",
							   "%u more connections of application \"%s\" would have been refused in the last second: %s",
							   observed, observed, name,
							   pgh_limit_name(reason))));
}

/* Log what was refused; is a series open that may go on? */
static bool
report(PghApplication *app)
{
	bool		open = false;

	for (int i = 0; i < PGH_N_LIMITS; i++)
	{
		report_for(app, i);
		open |= pg_atomic_read_u32(&app->refusals[i]) != 0 ||
			pg_atomic_read_u32(&app->observed_refusals[i]) != 0;
	}
	return open;
}

/*
 * Nearly always there is nothing to report, which must not cost a walk over
 * all names.  The flag is taken down before the walk and put up after the
 * count, so a refusal that the walk has passed puts it up again.
 */
void
pgh_refusals_report(void)
{
	bool		open = false;

	if (pg_atomic_exchange_u32(&pgh_refusals->to_report, 0) == 0)
		return;
	for (int i = 0; i < pgh_n_applications; i++)
		open |= report(&pgh_applications[i]);
	if (open)
		pg_atomic_write_u32(&pgh_refusals->to_report, 1);
}

static Size
size_refusals(void)
{
	return sizeof(PghRefusals);
}

static void
init_refusals(void *area)
{
	pgh_refusals = area;
	pg_atomic_init_u64(&pgh_refusals->headroom_refused_at, 0);
	pg_atomic_init_u32(&pgh_refusals->to_report, 0);
}

PghPart		pgh_refusals_part = {
	.name = "refusals",
	.size = size_refusals,
	.init = init_refusals,
};
