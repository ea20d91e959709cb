/*-------------------------------------------------------------------------
 *
 * worker/incident.h
 *	  Notices when connection slots run out, and writes down what happened.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_INCIDENT_H
#define PGH_INCIDENT_H

#include "compat.h"

#include "datatype/timestamp.h"

#include "shared/worker_state.h"

/* Allocate the memory of the worker; once, in the current context. */
extern void pgh_incident_start(void);

/*
 * This many slots are in use, and so many were at most since the last call:
 * begin an incident, go on with it, or end it.  To be called by the worker, at
 * least once a second, after its pass.
 */
extern void pgh_incident_look(int used, const PghPeak *peak, TimestampTz now);

/*
 * A session is asked to leave because slots are short; to be called before it
 * is.
 */
extern void pgh_incident_note_eviction(void);

#endif							/* PGH_INCIDENT_H */
