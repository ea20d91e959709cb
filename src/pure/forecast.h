/*-------------------------------------------------------------------------
 *
 * pure/forecast.h
 *	  How fast connection slots fill up, and when they will be used up.
 *
 * Pure: <stdint.h> <stdbool.h> <stddef.h> <string.h> only, time is an
 * argument, no globals that change, no allocation, no error raised.  Anyone
 * may call it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_FORECAST_H
#define PGH_FORECAST_H

#include "pure/facts.h"

/* Readings are a second apart or more, and four minutes are looked at. */
#define PGH_READINGS 242

typedef struct PghReading
{
	PghTime		at;
	int32_t		used;			/* slots in use */
	int32_t		stuck;			/* of them: idle in a transaction */
} PghReading;

/* All zero is one without a reading. */
typedef struct PghForecast
{
	int32_t		n;				/* readings held */
	int32_t		newest;			/* index of the last one */
	PghReading	ring[PGH_READINGS];
} PghForecast;

/* Has it been a second, or was the clock set back, since the last reading? */
extern bool pgh_reading_due(const PghForecast *forecast, PghTime now);

/* Add a reading.  After one from the future all earlier ones are dropped. */
extern void pgh_forecast_add(PghForecast *forecast, PghTime now, int used,
							 int stuck);

/*
 * How fast the used slots grow, in thousandths of a slot per minute, over the
 * last minute or what there is of it.  Growth counts only when it is likely to
 * go on, else this is 0: an ordinary rollout is over when it could be told
 * from a leak by its numbers.  It is likely to go on
 *
 *	 - when as many or half as many get stuck in a transaction,
 *	 - when it has gone on for nearly three minutes without a pause of 20
 *	   seconds, or for four without one of a minute; then it is that of the
 *	   slowest of these spans,
 *	 - or when four fifths of the usable slots are in use: there is no time to
 *	   wait for certainty.
 */
extern int64_t pgh_forecast_growth(const PghForecast *forecast, int usable);

/* When so many slots are used up at this growth, in microseconds; -1 never. */
extern PghTime pgh_forecast_exhaustion(int available, int64_t growth);

#endif							/* PGH_FORECAST_H */
