/*-------------------------------------------------------------------------
 *
 * look/wire.h
 *	  Whether anything moves between a backend and its client.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_WIRE_H
#define PGH_WIRE_H

#include "compat.h"

#include "libpq/libpq-be.h"

/* What a backend waits for that only its client can give. */
typedef enum PghAwaits
{
	PGH_AWAITS_NOTHING,
	PGH_AWAITS_BYTES,			/* the client is to send */
	PGH_AWAITS_ROOM				/* the client is to read */
} PghAwaits;

/* How good a look is. */
typedef enum PghSight
{
	PGH_SIGHT_NONE,				/* the number says nothing */
	PGH_SIGHT_AT_REST,			/* it does as long as the backend has not run */
	PGH_SIGHT_COUNTED			/* it does */
} PghSight;

/*
 * Can this be told here at all?  Tried once, by the worker; where it is false
 * none of the others but pgh_wire_awaits() is to be asked.
 */
extern bool pgh_wire_can_be_seen(void);

/* What the backend with this index in core's allProcs waits for. */
extern PghAwaits pgh_wire_awaits(int proc_number);

/*
 * A number by which the other end of a client's connection can be found later,
 * by whoever knows the client's address, too.  0 = it cannot.
 */
extern uint32 pgh_wire_id(const Port *port);

/*
 * How long this process has run, in nanoseconds.  As long as that does not
 * change, it has run none of its code.  False when it is not known.
 */
extern bool pgh_wire_has_run(int pid, uint64 *nanoseconds);

/*
 * A number that changes whenever what a backend waits for has moved a byte;
 * whose client, and whose wire, is told.
 */
extern PghSight pgh_wire_look(const SockAddr *client, uint32 wire_id,
							  PghAwaits awaits, uint32 *number);

/*
 * That number, put together with how often this process has begun to wait
 * where that matters: what its own look must find, too.  False when it is not
 * known.
 */
extern bool pgh_wire_digest(int pid, PghSight sight, uint32 number,
							uint32 *digest);

/*
 * A backend, in its signal handler: does it wait for its client, has it not
 * gone on since somebody took that digest of it, and does nothing lie in its
 * socket, or room?
 */
extern bool pgh_wire_is_still(uint32 wire_id, uint32 digest);

#endif							/* PGH_WIRE_H */
