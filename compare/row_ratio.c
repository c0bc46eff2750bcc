/* How many more rows production has: see row_ratio.h. */
#include "row_ratio.h"

#include "mem.h"
#include "num.h"
#include "thresholds.h"

void row_ratios_init(struct row_ratios *ratios)
{
	*ratios = (struct row_ratios){.all = 1};
}

void row_ratios_release(struct row_ratios *ratios)
{
	for (size_t i = 0; i < ratios->count; i++)
		free(ratios->tables[i].table);
	free(ratios->tables);
	row_ratios_init(ratios);
}

int row_ratios_add(struct row_ratios *ratios, const char *text, struct error *err)
{
	const char *equals = strrchr(text, '=');
	double ratio;
	if (equals == text)
		return error_set(err, ERR_USAGE, "'%s' has no table before the =", text);
	if (num_parse_double(equals ? equals + 1 : text, ROW_RATIO_MIN, ROW_RATIO_MAX, &ratio, err) < 0)
		return error_context(err, "'%s' should look like 20 or orders=120", text);
	ratios->given = true;
	if (!equals) {
		ratios->all = ratio;
		return 0;
	}
	char *table = mem_strndup(text, (size_t)(equals - text));
	for (size_t i = 0; i < ratios->count; i++) {
		if (strcmp(ratios->tables[i].table, table) == 0) {
			ratios->tables[i].ratio = ratio;
			free(table);
			return 0;
		}
	}
	MEM_GROW(ratios->tables, ratios->count, ratios->capacity);
	ratios->tables[ratios->count++] = (struct row_ratio){table, ratio};
	return 0;
}

const struct row_ratio *row_ratios_find(const struct row_ratios *ratios, const char *relation)
{
	for (size_t i = 0; i < ratios->count; i++) {
		if (threshold_names_table(ratios->tables[i].table, relation))
			return &ratios->tables[i];
	}
	return NULL;
}
