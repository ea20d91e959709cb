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
extern void pgh_admit_session(const PghLogin *login, const char *application);

#endif							/* PGH_ADMISSION_H */
