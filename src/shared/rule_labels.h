/*-------------------------------------------------------------------------
 *
 * shared/rule_labels.h
 *	  The selectors of the worker's rules, printed for messages.
 *
 * A session that is ended may not have read the settings yet by which the
 * worker ends it, so it cannot print the rule itself.
 *
 * version						W the worker, odd while labels are changing; R
 *								anyone; atomic
 * label						W the worker; R anyone, between two reads of
 *								version
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_RULE_LABELS_H
#define PGH_RULE_LABELS_H

#include "shared/part.h"

/* Longest text of a rule's selectors kept for a message. */
#define PGH_RULE_LABEL_LEN 96

extern PghPart pgh_rule_labels_part;

/* Worker: the labels of the rules that it has from now on. */
extern void pgh_rule_labels_publish(void);

/* Worker: which rules those are, for pgh_rule_label(). */
extern uint32 pgh_rule_labels_version(void);

/*
 * The label of a rule, from 1, in PGH_RULE_LABEL_LEN bytes; "" when other
 * rules have taken the place of those.  Takes no lock.
 */
extern void pgh_rule_label(int rule, uint32 version, char *label);

#endif							/* PGH_RULE_LABELS_H */
