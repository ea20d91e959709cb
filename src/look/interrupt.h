/*-------------------------------------------------------------------------
 *
 * look/interrupt.h
 *	  A way into the main context of a backend that waits for its client.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_INTERRUPT_H
#define PGH_INTERRUPT_H

#include "compat.h"

/*
 * Find the way in and try it.  Called once, in the postmaster, by _PG_init();
 * every backend inherits what was found.  Returns whether it works here.
 */
extern bool pgh_interrupt_prepare(void);

/*
 * Have "action" called in the main context of this process, with interrupts
 * held, the next time that it looks at them.  Only where the way in works.
 * Safe in a signal handler that has interrupted a wait.  One that has not
 * been carried out yet is not called twice.
 */
extern void pgh_interrupt_raise(void (*action) (void));

#endif							/* PGH_INTERRUPT_H */
