/*-------------------------------------------------------------------------
 *
 * session/holder.h
 *	  Who holds what a client is refused for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_HOLDER_H
#define PGH_HOLDER_H

#include "message.h"
#include "pure/rules.h"

/*
 * Find the application that holds the most connections of the server, or most
 * of those of a rule, if that is another one than "application" and holds more
 * than it does; fills in holder and holder_holds.  "own" is how many that one
 * holds.  Allocates nothing and raises no error.
 */
extern void pgh_find_holder(uint32 application, int own,
							PghRefusalFacts *told);
extern void pgh_find_rule_holder(const PghRule *rule, uint32 application,
								 PghRefusalFacts *told);

#endif							/* PGH_HOLDER_H */
