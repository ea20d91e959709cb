/*-------------------------------------------------------------------------
 *
 * views/suggest_order.h
 *	  Suggested rules in an order in which each is about its own application.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_SUGGEST_ORDER_H
#define PGH_SUGGEST_ORDER_H

#include "compat.h"
#include "pure/rules.h"

#include "datatype/timestamp.h"

#define PGH_WILDCARDS "*?"

/*
 * Sort "n" rules, each with the name of one application as its only selector,
 * so that the first that matches an application is its own, and take out the
 * caps that would count others as well.  Returns how many rules are left.
 */
extern int	pgh_order_suggested(PghRule *suggested, int n, TimestampTz now);

#endif							/* PGH_SUGGEST_ORDER_H */
