/* What a stall is called: see stall_words.h. */
#include "stall_words.h"

#include "lock_effect.h"
#include "mem.h"

static const struct {
	const char *lock_type; /* pg_locks.locktype */
	enum stall_kind kind;
	const char *label; /* in place of a relation's name */
	const char *mode;  /* that such a lock is held in: of its own transaction everybody has an exclusive one */
} lock_types[] = {
	{"transactionid", STALL_OF_ROWS, "(rows)", "ExclusiveLock"},
	{"tuple", STALL_OF_ROWS, "(rows)", "ExclusiveLock"},
	{"advisory", STALL_OF_ADVISORY, "(advisory lock)", ""},
	{"virtualxid", STALL_OF_OTHER, "(transaction)", "ExclusiveLock"},
	{"object", STALL_OF_OTHER, "(database object)", ""},
	{"", STALL_OF_OTHER, "(other lock)", ""},
};

/* The row for a kind of lock: the last for what is none of the others. */
static size_t find_lock_type(const char *lock_type)
{
	size_t i = 0;
	while (*lock_types[i].lock_type && strcmp(lock_types[i].lock_type, lock_type) != 0)
		i++;
	return i;
}

const char *stall_kind_name(enum stall_kind kind)
{
	static const char *const names[] = {"relation", "rows", "advisory", "other"};
	return names[kind];
}

bool stall_has_relation(const struct stall *stall)
{
	return stall->relation[0] != '(';
}

const char *stall_blocks(const struct stall *stall)
{
	switch (stall->kind) {
	case STALL_OF_RELATION:
		return stall_mode_blocks(stall->mode);
	case STALL_OF_ROWS:
		return stall_has_relation(stall) ? "changes of rows of" : "changes of";
	default:
		return "statements that wait for";
	}
}

char *stall_describe(const struct stall *stall)
{
	switch (stall->kind) {
	case STALL_OF_RELATION:
		return mem_printf("%s %s", stall_mode_blocks(stall->mode), stall->relation);
	case STALL_OF_ROWS:
		if (stall_has_relation(stall))
			return mem_printf("statements on rows of %s that it had changed or locked,", stall->relation);
		return mem_strdup("statements on rows that it had changed or locked,");
	case STALL_OF_ADVISORY:
		return mem_strdup("statements that waited for an advisory lock that it held,");
	default:
		return mem_printf("statements that waited for a lock that it held %s,", stall->relation);
	}
}

const char *stall_mode_blocks(const char *mode)
{
	int rank = lock_mode_rank(mode);
	if (rank == 8)
		return "all access to";
	if (rank == 7)
		return "writes to, and locking reads of,";
	if (rank == 5 || rank == 6)
		return "writes to";
	return "statements on";
}

void stall_words_name(const char *lock_type, enum stall_kind *kind, char *name, size_t size)
{
	size_t type = find_lock_type(lock_type);
	*kind = lock_types[type].kind;
	(void)snprintf(name, size, "%s", lock_types[type].label);
}

const char *stall_words_mode(const char *name)
{
	for (size_t i = 0; *lock_types[i].lock_type; i++) {
		if (strcmp(lock_types[i].label, name) == 0 && *lock_types[i].mode)
			return lock_types[i].mode;
	}
	return "unknown";
}
