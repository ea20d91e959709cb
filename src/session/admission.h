/*-------------------------------------------------------------------------
 *
 * session/admission.h
 *	  Letting a new session in, or one that takes another name.
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
extern void pgh_admit_session(const PghLogin *login, const char *name);

/*
 * Count a session for a name that it has taken, after so many transactions
 * under the one before; or have it ended like one that is refused, as soon as
 * that is possible.  Raises nothing.  Returns whether it may stay.
 */
extern bool pgh_admit_name(PghSlot *slot, const char *name,
						   uint64 transactions);

#endif							/* PGH_ADMISSION_H */
