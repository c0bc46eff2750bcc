/* Sign flips, bootstrap and McNemar: see block_test.h. */
#include "block_test.h"

#include "mem.h"
#include "random_stream.h"

#include <math.h>

#define BOOTSTRAP_DRAWS 1999

static double root_of_squares(const struct block_series *s)
{
	double sum = 0;
	for (size_t i = 0; i < s->blocks; i++)
		sum += s->x[i] * s->x[i];
	return sqrt(sum);
}

static double dot(const double *x, const double *signs, size_t n)
{
	double sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += x[i] * signs[i];
	return sum;
}

static void draw_signs(struct random_stream *random, double *signs, size_t n)
{
	uint64_t bits = 0;
	for (size_t i = 0; i < n; i++) {
		if (i % 64 == 0)
			bits = random_stream_next(random);
		signs[i] = bits & 1 ? 1.0 : -1.0;
		bits >>= 1;
	}
}

static double largest_flipped(const struct block_series *series, size_t count, const double *roots,
			      double *const signs[BLOCK_TEST_GROUPS])
{
	double largest = -INFINITY;
	for (size_t i = 0; i < count; i++) {
		if (roots[i] == 0)
			continue;
		double t = dot(series[i].x, signs[series[i].group], series[i].blocks) / roots[i];
		if (t > largest)
			largest = t;
	}
	return largest;
}

void block_test_sign_flips(const struct block_series *series, size_t count, uint64_t seed, double *p)
{
	size_t blocks[BLOCK_TEST_GROUPS] = {0};
	double *signs[BLOCK_TEST_GROUPS];
	double *roots = mem_zalloc(count, sizeof(*roots));
	double *observed = mem_zalloc(count, sizeof(*observed));
	uint64_t *above = mem_zalloc(count, sizeof(*above));
	for (size_t i = 0; i < count; i++) {
		double sum = 0;
		for (size_t b = 0; b < series[i].blocks; b++)
			sum += series[i].x[b];
		roots[i] = root_of_squares(&series[i]);
		/* A hair less than it is: a draw that flips nothing ties with it, whatever the order of the sum. */
		observed[i] = roots[i] > 0 ? sum / roots[i] - 1e-9 : -INFINITY;
		if (series[i].blocks > blocks[series[i].group])
			blocks[series[i].group] = series[i].blocks;
	}
	for (int g = 0; g < BLOCK_TEST_GROUPS; g++)
		signs[g] = mem_zalloc(blocks[g], sizeof(double));
	struct random_stream random = {seed};
	for (int draw = 0; draw < BLOCK_TEST_DRAWS; draw++) {
		for (int g = 0; g < BLOCK_TEST_GROUPS; g++)
			draw_signs(&random, signs[g], blocks[g]);
		double largest = largest_flipped(series, count, roots, signs);
		for (size_t i = 0; i < count; i++)
			above[i] += largest >= observed[i];
	}
	for (size_t i = 0; i < count; i++)
		p[i] = (1.0 + (double)above[i]) / (BLOCK_TEST_DRAWS + 1.0);
	for (int g = 0; g < BLOCK_TEST_GROUPS; g++)
		free(signs[g]);
	free(above);
	free(observed);
	free(roots);
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;
	return (x > y) - (x < y);
}

void block_test_bootstrap(const double *d, size_t n, uint64_t seed, double *low, double *high)
{
	double means[BOOTSTRAP_DRAWS];
	struct random_stream random = {seed};
	for (int draw = 0; draw < BOOTSTRAP_DRAWS; draw++) {
		double sum = 0;
		for (size_t i = 0; i < n; i++)
			sum += d[random_stream_below(&random, (uint32_t)n)];
		means[draw] = sum / (double)n;
	}
	qsort(means, BOOTSTRAP_DRAWS, sizeof(means[0]), compare_doubles);
	*low = means[(int)(0.025 * (BOOTSTRAP_DRAWS + 1)) - 1];
	*high = means[(int)(0.975 * (BOOTSTRAP_DRAWS + 1)) - 1];
}

struct block_ratio block_test_ratio(const double *d, size_t n, uint64_t seed)
{
	struct block_ratio ratio = {0};
	double low, high, sum = 0;
	if (n == 0)
		return ratio;
	for (size_t i = 0; i < n; i++)
		sum += d[i];
	block_test_bootstrap(d, n, seed, &low, &high);
	ratio.ratio = exp(sum / (double)n);
	ratio.low = exp(low);
	ratio.high = exp(high);
	return ratio;
}

double block_test_binomial_tail(uint64_t k, uint64_t n, double share)
{
	if (k == 0)
		return 1;
	if (k > n || share <= 0)
		return 0;
	if (share >= 1)
		return 1;
	double sum = 0;
	for (uint64_t i = k; i <= n; i++) {
		double log_term = lgamma((double)n + 1) - lgamma((double)i + 1) - lgamma((double)(n - i) + 1) +
				  (double)i * log(share) + (double)(n - i) * log1p(-share);
		double term = exp(log_term);
		sum += term;
		/* Past the mode the terms only shrink. */
		if ((double)i > (double)n * share && term < sum * 1e-15)
			break;
	}
	return sum < 1 ? sum : 1;
}

double block_test_mcnemar(uint64_t only_migrating, uint64_t only_baseline)
{
	return block_test_binomial_tail(only_migrating, only_migrating + only_baseline, 0.5);
}
