/*-------------------------------------------------------------------------
 *
 * shared/rule_labels.c
 *	  The selectors of the worker's rules, printed for messages.
 *
 * Owns: the labels.  Must not: know what a rule is for.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/rule_labels.h"

#include "pure/text.h"

typedef struct PghRuleLabels
{
	pg_atomic_uint32 version;
	char		label[PGH_MAX_RULES][PGH_RULE_LABEL_LEN];
} PghRuleLabels;

static PghRuleLabels *labels = NULL;

void
pgh_rule_labels_publish(void)
{
	const PghRuleSet *rules = pgh_current_rules();
	uint32		version = pg_atomic_read_u32(&labels->version);

	/* An earlier worker may have been ended while it wrote. */
	pg_atomic_write_u32(&labels->version, version | 1);
	pg_write_barrier();
	for (int i = 0; i < rules->n; i++)
	{
		char	   *label = labels->label[i];

		(void) pgh_rule_print_selectors(&rules->rule[i], label,
										PGH_RULE_LABEL_LEN);
		pgh_copy_ascii(label, label, PGH_RULE_LABEL_LEN);
	}
	pg_write_barrier();
	pg_atomic_write_u32(&labels->version, (version | 1) + 1);
}

uint32
pgh_rule_labels_version(void)
{
	return pg_atomic_read_u32(&labels->version);
}

void
pgh_rule_label(int rule, uint32 version, char *label)
{
	label[0] = '\0';
	if (rule <= 0 || rule > PGH_MAX_RULES ||
		pg_atomic_read_u32(&labels->version) != version)
		return;
	pg_read_barrier();
	memcpy(label, labels->label[rule - 1], PGH_RULE_LABEL_LEN);
	label[PGH_RULE_LABEL_LEN - 1] = '\0';
	pg_read_barrier();
	if (pg_atomic_read_u32(&labels->version) != version)
		label[0] = '\0';
}

static Size
size_rule_labels(void)
{
	return sizeof(PghRuleLabels);
}

static void
init_rule_labels(void *area)
{
	labels = area;
	pg_atomic_init_u32(&labels->version, 0);
}

PghPart		pgh_rule_labels_part = {
	.name = "labels",
	.size = size_rule_labels,
	.init = init_rule_labels,
};
