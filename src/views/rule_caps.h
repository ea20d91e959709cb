/*-------------------------------------------------------------------------
 *
 * views/rule_caps.h
 *	  What follows from the caps and reserves of rules that are only tried.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_RULE_CAPS_H
#define PGH_RULE_CAPS_H

#include "look/scan.h"

/* Sessions of this moment that match each rule of a list. */
typedef struct PghRuleCounts
{
	int32		sessions[PGH_MAX_RULES];
} PghRuleCounts;

/*
 * Whether the application at each place of the table has more connections than
 * pg_hygiene.connections_per_application allows, and a NOTICE if some have.
 * Takes the lock of the applications; allocated in the current context.
 */
extern const bool *pgh_note_full_applications(void);

/*
 * Count them.  Of a rule that goes by addresses none are counted for a caller
 * who may not see where clients come from: a few lists would find it out.
 */
extern void pgh_count_for_caps(const PghRuleSet *rules, TimestampTz now,
							   PghRuleCounts *counts);

/* A NOTICE for each rule that more sessions match than it allows. */
extern void pgh_note_exceeded_caps(const PghRuleSet *rules,
								   const PghRuleCounts *counts);

/*
 * The first such rule that this session matches, as "connections = 40 by rule
 * 1", else the cap of its application, as "connections_per_application = 20";
 * NULL if neither is exceeded.  "full" is what pgh_note_full_applications()
 * found.  Allocated in the current context.
 */
extern const char *pgh_exceeded_cap(const PghRuleSet *rules,
									const PghRuleCounts *counts,
									const bool *full,
									const PghSession *session,
									TimestampTz now);

/* A WARNING if rules keep more slots for some than there are. */
extern void pgh_warn_of_reserves(const PghRuleSet *rules, TimestampTz now);

/* A NOTICE about how to try rules further, and how to set them. */
extern void pgh_note_next_steps(void);

#endif							/* PGH_RULE_CAPS_H */
