/*-------------------------------------------------------------------------
 *
 * guc.h
 *	  The settings pg_hygiene.*, as this process has them now.
 *
 * Each process reads its own copy: the worker's decides what happens to
 * sessions, a connecting backend's (which is the postmaster's at its fork)
 * who is let in.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_GUC_H
#define PGH_GUC_H

#include "compat.h"
#include "pure/rules.h"

extern int	pgh_mode;			/* PghMode */
extern int	pgh_limit_setting[PGH_N_LIMITS];	/* milliseconds, or ids */
extern int	pgh_connections_per_application;
extern int	pgh_headroom;		/* as set: -1 = automatic */
extern int	pgh_headroom_min_idle;	/* ms */
extern int	pgh_warn_at;		/* percent */
extern int	pgh_max_events;
extern int	pgh_max_applications;
extern bool pgh_exempt_superusers;
extern bool pgh_tell_client;
extern bool pgh_application_families;

/* Define the settings.  Only while the library is being preloaded. */
extern void pgh_define_settings(void);

/* The rules in force in this process; never NULL. */
extern const PghRuleSet *pgh_current_rules(void);

/* The server-wide limits, before any rule. */
extern void pgh_server_limits(PghLimits *limits);

/*
 * Which rules match an identity, and the limits that follow, by the settings
 * that this process has.
 */
extern void pgh_limits_for(const PghIdentity *who, PghRuleBits *bits,
						   PghLimits *limits);

/* The same for a list of rules that is not in force. */
extern void pgh_limits_under(const PghRuleSet *rules,
							 const PghLimits *server_wide,
							 const PghIdentity *who, PghRuleBits *bits,
							 PghLimits *limits);

/*
 * The shortest time limit that may hold for anybody, in microseconds, or
 * PGH_NEVER: no session that begins to be idle now can be due sooner.
 */
extern int64 pgh_shortest_limit(void);

/* Free slots to keep: the setting, or 5 % of max_connections, at least 3. */
extern int	pgh_effective_headroom(void);

/*
 * Parse rules text into palloc'd memory of the current context.  Raises
 * invalid_parameter_value with the position and what was expected.
 */
extern PghRuleSet *pgh_parse_rules_or_error(const char *text);

#endif							/* PGH_GUC_H */
