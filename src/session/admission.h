/*-------------------------------------------------------------------------
 *
 * session/admission.h
 *	  Letting a new session in, or not.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_ADMISSION_H
#define PGH_ADMISSION_H

#include "shared/slot.h"

/*
 * Count a session in that has authenticated, and claim its slot; or raise
 * FATAL with SQLSTATE 53300 and the reason.  Must be called with the exit
 * callback in place that gives the slot back.
 */
extern void pgh_admit_session(const PghIdentity *who, Oid roleid,
							  bool superuser);

/*
 * Count a session under the name that it has taken.  "counted_as" is what it
 * was counted as when that was read; returns what it is counted as now.  The
 * session itself and the worker may do so at once.
 */
extern uint32 pgh_rename_session(PghSlot *slot, uint32 counted_as,
								 const char *application);

/*
 * Is a message that is being emitted a refusal of ours, and is it to be kept
 * out of the log because the like was logged within the last second?
 */
extern bool pgh_refusing(bool *quiet);

/*
 * Worker, once a second: log how many refusals were kept out of the log.
 */
extern void pgh_report_refusals(void);

/*
 * Bring what is kept for each rule in line with the rules of this process:
 * a rule that changed begins anew.
 */
extern void pgh_sync_rule_states(void);

/* Does any rule keep slots for its own sessions? */
extern bool pgh_rules_reserve(const PghRuleSet *rules);

/* How many sessions match each rule now; "counts" has PGH_MAX_RULES places. */
extern void pgh_count_rule_sessions(const PghRuleSet *rules, int32 *counts);

#endif							/* PGH_ADMISSION_H */
