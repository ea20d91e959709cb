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

/* Allocate the memory of the worker; once, in the current context. */
extern void pgh_incident_start(void);

/*
 * This many slots are in use: begin an incident, go on with it, or end it.
 * To be called by the worker, at least once a second, after its pass.
 */
extern void pgh_incident_look(int used, TimestampTz now);

#endif							/* PGH_INCIDENT_H */
