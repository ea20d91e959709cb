/*-------------------------------------------------------------------------
 *
 * worker/pressure.h
 *	  How connection slots fill up: growth, and the warning at warn_at.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_PRESSURE_H
#define PGH_PRESSURE_H

#include "look/scan.h"

/*
 * Take a sample of the slots in use and of the sessions that idle in a
 * transaction, update the growth, and log and record when warn_at is crossed.
 * Called by the worker about once a second.
 */
extern void pgh_pressure_sample(int used, int stuck, TimestampTz now);

#endif							/* PGH_PRESSURE_H */
