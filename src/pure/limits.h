/*-------------------------------------------------------------------------
 *
 * pure/limits.h
 *	  The limits: what each is called, counts, and says.
 *
 * Pure: <stdint.h> <stdbool.h> <stddef.h> <string.h> only, no globals that
 * change, no allocation, no error raised.  Anyone may call it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_LIMITS_H
#define PGH_LIMITS_H

#include "pure/facts.h"

/* What a limit is about. */
typedef enum PghLimitKind
{
	PGH_KIND_NONE,
	PGH_KIND_IDLE_IN_TRANSACTION,	/* ends what idles inside a transaction */
	PGH_KIND_IDLE_SESSION,		/* ends what idles outside of one */
	PGH_KIND_IDLE,				/* ends what idles, in or outside of one */
	PGH_KIND_CLIENT,			/* ends what waits for its client at work */
	PGH_KIND_SESSION,			/* ends it between two transactions */
	PGH_KIND_TRANSACTION,		/* cancels, then ends, whatever its state */
	PGH_KIND_LENGTH,			/* how long something else takes */
	PGH_KIND_SLOTS,				/* who is let in, and who is evicted */
	PGH_KIND_WARNING
} PghLimitKind;

/* In what it is measured. */
typedef enum PghUnit
{
	PGH_UNIT_TIME,				/* microseconds; a setting has milliseconds */
	PGH_UNIT_XIDS,				/* transaction ids */
	PGH_UNIT_COUNT				/* connections, or percent */
} PghUnit;

typedef struct PghLimitInfo
{
	const char *name;			/* the setting's, without its prefix, and the
								 * reason in hygiene.events */
	PghLimitKind kind;
	PghUnit		unit;

	/*
	 * The setting, when it is a limit on one session: what pg_settings says
	 * of it, its default and its largest value.  NULL for all others, which
	 * guc.c defines by themselves or which only rules have.
	 */
	const char *summary;
	const char *detail;
	int32_t		boot;			/* milliseconds, or as it is */
	int32_t		max;

	/* What the session that it ends is told; NULL when it ends none. */
	const char *sqlstate;
	const char *primary;
	const char *cancel_primary; /* when only its statement is cancelled */
	const char *rollback_primary;	/* when only its transaction is rolled
									 * back; NULL where it never is */
	const char *deed;			/* what it did; %s is what was measured */
	const char *allowance;		/* of the setting; %s is the limit */
	const char *hint;
} PghLimitInfo;

extern const PghLimitInfo pgh_limit_info[PGH_N_LIMITS];

/* Is it a limit on one session, which is a setting and may be in a rule? */
static inline bool
pgh_limit_is_setting(PghLimit limit)
{
	return pgh_limit_info[limit].summary != NULL;
}

static inline PghLimitKind
pgh_limit_kind(PghLimit limit)
{
	return pgh_limit_info[limit].kind;
}

static inline PghUnit
pgh_limit_unit(PghLimit limit)
{
	return pgh_limit_info[limit].unit;
}

/* "idle_in_transaction_timeout", "connections", "none". */
static inline const char *
pgh_limit_name(PghLimit limit)
{
	return pgh_limit_info[limit].name;
}

#endif							/* PGH_LIMITS_H */
