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

/* Of all series, so many are logged one by one at once, or in a minute. */
#define PGH_MOST_LOGGED 60

/* And so many have a number of their own in the log in a second. */
#define PGH_MOST_LINES 4

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
	bool		is_new = app->tentative || application == PGH_OTHERS;
	pg_atomic_uint32 *series = observed ?
		is_new ? pgh_refusals->observed_refusals : app->observed_refusals :
		is_new ? pgh_refusals->refusals : app->refusals;
	uint32		before = pg_atomic_fetch_add_u32(&series[reason], 1);
	bool		first = PGH_REPORTED(before) + PGH_COUNTED(before) <
		PGH_FULLY_REPORTED;

	pg_atomic_write_u32(&pgh_refusals->to_report, 1);
	*log_it = first &&
		pg_atomic_fetch_add_u32(&pgh_refusals->logged, 1) < PGH_MOST_LOGGED;
	*record_it = first || PGH_COUNTED(before) == 0;
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

/* What is left over for one line about all the others, by reason. */
typedef struct PghLeftOver
{
	uint32		refused[PGH_N_LIMITS];
	uint32		observed[PGH_N_LIMITS];
	int			lines;			/* that were written, about one application */
} PghLeftOver;

static void
log_refused(const char *application, uint32 refused, uint32 observed,
			PghLimit reason)
{
	char		name[PGH_PRINTED_NAME_LEN];

	(void) pgh_print_name(application, name);
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

static void
report_for(const char *application, uint32 refused, uint32 observed,
		   PghLimit reason, PghLeftOver *left)
{
	if (refused + observed == 0)
		return;
	if (left->lines++ < PGH_MOST_LINES)
	{
		log_refused(application, refused, observed, reason);
		return;
	}
	left->refused[reason] += refused;
	left->observed[reason] += observed;
}

/* Log what was refused; is a series open that may go on? */
static bool
report(const char *application, pg_atomic_uint32 *refusals,
	   pg_atomic_uint32 *observed_refusals, PghLeftOver *left)
{
	bool		open = false;

	for (int i = 0; i < PGH_N_LIMITS; i++)
	{
		uint32		refused = take(&refusals[i]);
		uint32		observed = take(&observed_refusals[i]);

		report_for(application, refused, observed, i, left);
		open |= pg_atomic_read_u32(&refusals[i]) != 0 ||
			pg_atomic_read_u32(&observed_refusals[i]) != 0;
	}
	return open;
}

/* Time goes by: so much may be logged again. */
static void
forgive(void)
{
	uint32		logged = pg_atomic_read_u32(&pgh_refusals->logged);

	/* What was added beyond the most was not logged. */
	while (logged > 0 &&
		   !pg_atomic_compare_exchange_u32(&pgh_refusals->logged, &logged,
										   Min(logged, PGH_MOST_LOGGED) - 1))
		;
}

/*
 * Nearly always there is nothing to report, which must not cost a walk over
 * all names.  The flag is taken down before the walk and put up after the
 * count, so a refusal that the walk has passed puts it up again.
 */
void
pgh_refusals_report(void)
{
	PghLeftOver left = {0};
	bool		open;

	forgive();
	if (pg_atomic_exchange_u32(&pgh_refusals->to_report, 0) == 0)
		return;
	open = report(PGH_NEWCOMERS, pgh_refusals->refusals,
				  pgh_refusals->observed_refusals, &left);
	for (int i = 0; i < pgh_n_applications; i++)
	{
		char		name[PGH_NAME_LEN];

		strlcpy(name, pgh_applications[i].name, sizeof(name));
		open |= report(name, pgh_applications[i].refusals,
					   pgh_applications[i].observed_refusals, &left);
	}
	for (int i = 0; i < PGH_N_LIMITS; i++)
		log_refused(PGH_OTHER_APPLICATIONS, left.refused[i],
					left.observed[i], i);
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
	pg_atomic_init_u32(&pgh_refusals->logged, 0);
	for (int i = 0; i < PGH_N_LIMITS; i++)
	{
		pg_atomic_init_u32(&pgh_refusals->refusals[i], 0);
		pg_atomic_init_u32(&pgh_refusals->observed_refusals[i], 0);
	}
}

PghPart		pgh_refusals_part = {
	.name = "refusals",
	.size = size_refusals,
	.init = init_refusals,
};
