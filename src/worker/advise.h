/*-------------------------------------------------------------------------
 *
 * worker/advise.h
 *	  Notes what is wrong with how applications connect.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_ADVISE_H
#define PGH_ADVISE_H

#include "compat.h"

#include "datatype/timestamp.h"

/*
 * Look, if the last time is long enough ago.  To be called by the worker about
 * once a second, in a context that is reset after each round.
 */
extern void pgh_advise_look(TimestampTz now);

#endif							/* PGH_ADVISE_H */
