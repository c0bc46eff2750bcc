/* Lock modes and whom they keep out: see lock_effect.h. */
#include "lock_effect.h"

#include <stddef.h>
#include <string.h>

static const char *const mode_names[LOCK_RANK_MAX + 1] = {
	"",	     "AccessShareLock",	      "RowShareLock",  "RowExclusiveLock",   "ShareUpdateExclusiveLock",
	"ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"};

/* For each rank the weakest one from which on all conflict with it; Share alone leaves out one, itself. */
static const int conflicts_from[LOCK_RANK_MAX + 1] = {0, 8, 7, 5, 4, 3, 3, 2, 1};
#define SHARE 5

int lock_mode_rank(const char *name)
{
	for (int rank = 1; rank <= LOCK_RANK_MAX; rank++) {
		if (strcmp(name, mode_names[rank]) == 0)
			return rank;
	}
	return 0;
}

const char *lock_mode_name(int rank)
{
	return rank > 0 && rank <= LOCK_RANK_MAX ? mode_names[rank] : "";
}

bool lock_ranks_conflict(int a, int b)
{
	if (a < 1 || b < 1 || a > LOCK_RANK_MAX || b > LOCK_RANK_MAX || (a == SHARE && b == SHARE))
		return false;
	return b >= conflicts_from[a];
}

enum lock_effect lock_effect_of(int rank)
{
	static const struct {
		int client; /* the lock that the client's statement needs */
		enum lock_effect effect;
	} clients[] = {{1, LOCK_EFFECT_ALL},
		       {2, LOCK_EFFECT_ROW_LOCKS},
		       {3, LOCK_EFFECT_WRITES},
		       {5, LOCK_EFFECT_DDL},
		       {8, LOCK_EFFECT_EXCLUSIVE}};
	for (size_t i = 0; i < sizeof(clients) / sizeof(*clients); i++) {
		if (lock_ranks_conflict(rank, clients[i].client))
			return clients[i].effect;
	}
	return LOCK_EFFECT_NONE;
}

const char *lock_effect_words(enum lock_effect effect)
{
	switch (effect) {
	case LOCK_EFFECT_ALL:
		return "reads and writes";
	case LOCK_EFFECT_ROW_LOCKS:
		return "writes, row locks";
	case LOCK_EFFECT_WRITES:
		return "writes";
	case LOCK_EFFECT_DDL:
		return "other DDL";
	case LOCK_EFFECT_EXCLUSIVE:
		return "DROP and ALTER";
	case LOCK_EFFECT_NONE:
	default:
		return "nobody";
	}
}
