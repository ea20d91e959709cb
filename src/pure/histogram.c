/*-------------------------------------------------------------------------
 *
 * pure/histogram.c
 *	  How many periods lasted how long, in half a kilobyte.
 *
 * Owns: the buckets, and what is read out of them.  Must not: know what a
 * period is of, read a clock, allocate, or raise an error.  Anyone may call
 * it.
 *
 * A count is a small floating-point number: four bits of exponent, twelve of
 * mantissa.  Beyond 4095 one is added only at every 2nd, 4th, 8th time and so
 * on, chosen by a hash of what was counted before.  So a busy bucket is known
 * to one or two percent up to 134 million, and a rare period beside it is not
 * forgotten, as it would be if all counts were halved when one is full.
 *
 *-------------------------------------------------------------------------
 */
#include "pure/histogram.h"

#define SECOND INT64_C(1000000)
#define N_OCTAVES 16

#define MANTISSA_BITS 12
#define MANTISSA_MASK ((1 << MANTISSA_BITS) - 1)
#define COUNT_MAX UINT16_MAX

/* Into how many parts each octave is divided, as a power of two. */
static const uint8_t octave_bits[N_OCTAVES] = {
	4, 4, 4, 4, 3, 3, 3, 3, 3, 3, 2, 2, 1, 1, 1, 1
};

/* ----------
 * Counts
 * ----------
 */

static uint32_t
decode(uint16_t count)
{
	return (uint32_t) (count & MANTISSA_MASK) << (count >> MANTISSA_BITS);
}

static uint16_t
encode(uint64_t value)
{
	unsigned	exponent = 0;

	while (value >> exponent > MANTISSA_MASK)
		exponent++;
	if (exponent > COUNT_MAX >> MANTISSA_BITS)
		return COUNT_MAX;
	return (uint16_t) (exponent << MANTISSA_BITS | value >> exponent);
}

/* Bits that look random, from a number that is another one each time. */
static uint64_t
scatter(uint64_t x)
{
	x += UINT64_C(0x9E3779B97F4A7C15);
	x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
	return x ^ (x >> 31);
}

static uint16_t
increment(uint16_t count, uint64_t nth)
{
	unsigned	exponent = count >> MANTISSA_BITS;

	if (count == COUNT_MAX ||
		(scatter(nth) & ((UINT64_C(1) << exponent) - 1)) != 0)
		return count;
	if ((count & MANTISSA_MASK) < MANTISSA_MASK)
		return count + 1;
	return (uint16_t) ((exponent + 1) << MANTISSA_BITS |
					   1 << (MANTISSA_BITS - 1));
}

/* ----------
 * Buckets
 * ----------
 */

/* Where a bucket begins; that of the one behind the last is PGH_NEVER. */
PghTime
pgh_bucket_begins(int bucket)
{
	int			octave = 0;

	if (bucket >= PGH_BUCKETS)
		return PGH_NEVER;
	for (; octave < N_OCTAVES && bucket >= 1 << octave_bits[octave]; octave++)
		bucket -= 1 << octave_bits[octave];
	if (octave == N_OCTAVES)
		return SECOND << N_OCTAVES;
	return (SECOND << octave) +
		((SECOND << octave) >> octave_bits[octave]) * bucket;
}

/* The bucket of a length of a second or more. */
static int
bucket_of(PghTime length)
{
	int			bucket = 0;

	for (int octave = 0; octave < N_OCTAVES; octave++)
	{
		PghTime		begins = SECOND << octave;
		int			parts = 1 << octave_bits[octave];

		if (length < 2 * begins)
			return bucket +
				(int) ((length - begins) / (begins >> octave_bits[octave]));
		bucket += parts;
	}
	return bucket;
}

uint32_t
pgh_bucket_count(const PghHistogram *histogram, int bucket)
{
	return decode(histogram->count[bucket]);
}

/* Nothing in a bucket is longer than the longest of all. */
static PghTime
bucket_ends(const PghHistogram *histogram, int bucket)
{
	PghTime		end = pgh_bucket_begins(bucket + 1);

	return end < histogram->longest ? end : histogram->longest;
}

void
pgh_histogram_add(PghHistogram *histogram, PghTime length)
{
	uint16_t   *count;

	if (length < PGH_SHORTEST_PERIOD)
	{
		if (histogram->below < UINT32_MAX)
			histogram->below++;
		return;
	}
	count = &histogram->count[bucket_of(length)];
	*count = increment(*count, histogram->n++);
	if (length > histogram->longest)
		histogram->longest = length;
}

void
pgh_histogram_merge(PghHistogram *into, const PghHistogram *from)
{
	for (int i = 0; i < PGH_BUCKETS; i++)
		into->count[i] = encode((uint64_t) decode(into->count[i]) +
								decode(from->count[i]));
	into->n += from->n;
	into->below = from->below > UINT32_MAX - into->below ? UINT32_MAX :
		into->below + from->below;
	if (from->longest > into->longest)
		into->longest = from->longest;
}

/* ----------
 * What is read out of them
 * ----------
 */

/*
 * The share of what lies between two ends that is at "limit" or beyond.  A
 * bucket whose ends meet holds one length only.
 */
static double
share_beyond(PghTime begins, PghTime ends, PghTime limit)
{
	if (limit <= begins)
		return 1;
	if (limit > ends)
		return 0;
	if (ends <= begins)
		return 1;
	return (double) (ends - limit) / (double) (ends - begins);
}

/* The longest one is known exactly, so it is never left out. */
static double
at_least_the_longest(const PghHistogram *histogram, PghTime limit,
					 double count)
{
	return histogram->longest >= limit && histogram->n > 0 && count < 1 ?
		1 : count;
}

double
pgh_histogram_count(const PghHistogram *histogram, PghTime limit)
{
	double		count = histogram->below *
		share_beyond(0, PGH_SHORTEST_PERIOD, limit);

	for (int i = 0; i < PGH_BUCKETS; i++)
		if (histogram->count[i] != 0)
			count += decode(histogram->count[i]) *
				share_beyond(pgh_bucket_begins(i),
							 bucket_ends(histogram, i), limit);
	return at_least_the_longest(histogram, limit, count);
}

/* What a bucket's part beyond "limit" exceeds it by, in the mean. */
static double
excess_of(PghTime begins, PghTime ends, PghTime limit)
{
	PghTime		from = limit > begins ? limit : begins;

	return ((double) (from - limit) + (double) (ends - limit)) / 2;
}

double
pgh_histogram_excess(const PghHistogram *histogram, PghTime limit)
{
	double		excess = 0;

	for (int i = 0; i < PGH_BUCKETS; i++)
	{
		PghTime		begins;
		PghTime		ends;

		if (histogram->count[i] == 0)
			continue;
		begins = pgh_bucket_begins(i);
		ends = bucket_ends(histogram, i);
		if (limit < ends)
			excess += decode(histogram->count[i]) *
				share_beyond(begins, ends, limit) *
				excess_of(begins, ends, limit);
	}
	return excess;
}

/* Of n in order, the number, from 1, of the last one that a share takes in. */
static uint64_t
rank_of(double share, uint64_t n)
{
	uint64_t	rank = (uint64_t) (share * (double) n);

	return (double) rank < share * (double) n || rank == 0 ? rank + 1 : rank;
}

/* So far from one end to the other; a large one is rounded, but not beyond. */
static PghTime
length_at(PghTime begins, PghTime ends, double share)
{
	double		length = (double) begins + (double) (ends - begins) * share;

	return length < (double) ends ? (PghTime) length : ends;
}

PghTime
pgh_histogram_percentile(const PghHistogram *a, const PghHistogram *b,
						 double share)
{
	static const PghHistogram none;
	const PghHistogram *longer;
	uint64_t	rank = 0;

	b = b != NULL ? b : &none;
	longer = a->longest > b->longest ? a : b;
	for (int i = 0; i < PGH_BUCKETS; i++)
		rank += (uint64_t) decode(a->count[i]) + decode(b->count[i]);
	rank = rank_of(share, rank);
	for (int i = 0; i < PGH_BUCKETS; i++)
	{
		uint64_t	count = (uint64_t) decode(a->count[i]) +
			decode(b->count[i]);

		if (rank > 0 && rank <= count)
			return length_at(pgh_bucket_begins(i), bucket_ends(longer, i),
							 (double) rank / (double) count);
		rank -= count;
	}
	return longer->longest;
}
