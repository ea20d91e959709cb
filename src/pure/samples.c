/*-------------------------------------------------------------------------
 *
 * pure/samples.c
 *	  A bounded history of how many slots were in use, and by whom.
 *
 * Owns: the ring and its order.  Must not: know PostgreSQL, or take a lock.
 * The worker writes it (sampler.c), the SQL functions read and clear it.
 *
 *-------------------------------------------------------------------------
 */
#include "pure/samples.h"

#include <string.h>

static PghSample *
newest(PghSamples *samples)
{
	return &samples->ring[(samples->next - 1) % PGH_MAX_SAMPLES];
}

const PghSample *
pgh_samples_get(const PghSamples *samples, uint32_t i)
{
	return &samples->ring[(samples->next - samples->n + i) % PGH_MAX_SAMPLES];
}

bool
pgh_sample_due(const PghSamples *samples, PghTime now)
{
	return samples->n == 0 ||
		pgh_samples_get(samples, samples->n - 1)->at / PGH_SAMPLE_SPAN !=
		now / PGH_SAMPLE_SPAN;
}

void
pgh_sample_holding(PghSample *sample, uint32_t application,
				   uint32_t connections)
{
	PghHolding *largest = sample->largest;
	int			place = PGH_SAMPLE_APPLICATIONS - 1;

	if (connections <= largest[place].connections)
		return;
	for (; place > 0 &&
		 largest[place - 1].connections < connections; place--)
		largest[place] = largest[place - 1];
	largest[place] = (PghHolding)
	{
		application, connections, 0
	};
}

/* How much a counter grew; one that is less was set back to 0 meanwhile. */
static uint32_t
growth(uint64_t before, uint64_t now)
{
	uint64_t	more = now >= before ? now - before : now;

	return more > UINT32_MAX ? UINT32_MAX : (uint32_t) more;
}

void
pgh_samples_add(PghSamples *samples, PghSample *sample,
				const PghSampleTotals *totals)
{
	if (!samples->counting)
		samples->totals = *totals;
	sample->ended = growth(samples->totals.ended, totals->ended);
	sample->refused = growth(samples->totals.refused, totals->refused);
	sample->refused_by_server = growth(samples->totals.refused_by_server,
									   totals->refused_by_server);
	samples->totals = *totals;
	samples->counting = true;

	while (samples->n > 0 && newest(samples)->at >= sample->at)
	{
		samples->next--;
		samples->n--;
	}
	samples->ring[samples->next % PGH_MAX_SAMPLES] = *sample;
	samples->next++;
	if (samples->n < PGH_MAX_SAMPLES)
		samples->n++;
}

void
pgh_samples_clear(PghSamples *samples)
{
	samples->n = 0;
	memset(&samples->totals, 0, sizeof(samples->totals));
}
