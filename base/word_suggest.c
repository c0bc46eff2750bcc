/* The name that a mistyped word comes closest to: see word_suggest.h. */
#include "word_suggest.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	SUGGEST_WORD_MAX = 40
};

/* Damerau-Levenshtein distance (optimal string alignment) of two short words; large when one is long. */
static size_t word_distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	size_t d[SUGGEST_WORD_MAX + 1][SUGGEST_WORD_MAX + 1];
	if (la > SUGGEST_WORD_MAX || lb > SUGGEST_WORD_MAX)
		return SIZE_MAX;
	for (size_t i = 0; i <= la; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= lb; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		for (size_t j = 1; j <= lb; j++) {
			size_t best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[la][lb];
}

const char *word_suggest(const char *word, const char *const *names)
{
	const char *best = NULL;
	size_t len = strlen(word);
	size_t limit = len < 4 ? 1 : len < 9 ? 2 : 3;
	size_t best_distance = limit + 1;
	for (size_t i = 0; names[i]; i++) {
		size_t distance = word_distance(word, names[i]);
		if (distance > limit && len >= 3 && strncmp(names[i], word, len) == 0)
			distance = limit;
		if (distance < best_distance) {
			best_distance = distance;
			best = names[i];
		}
	}
	return best;
}
