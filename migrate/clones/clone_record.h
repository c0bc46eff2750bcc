/*
 * A clone's record: a small JSON file in the state folder, there from before the clone exists until after it is gone.
 * Whoever takes a clone down (the command that made it, the guardian, `cleanup` after a crash) acts on the record
 * alone, so it says everything that is needed for that, and nothing secret.
 *
 * Records are trusted only as far as they can be: the state folder and the file must be ours alone, every field is
 * checked, and what a record names is removed only when it carries the mark that belongs to the record
 * (clone_remove.h).
 */
#ifndef CLONE_RECORD_H
#define CLONE_RECORD_H

#include "clone_owner.h"
#include "error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CLONE_NAME_MAX	40 /* of a set, and of a lane */
#define CLONE_ID_LENGTH 32 /* hex digits */

enum clone_record_state {
	CLONE_MAKING, /* from before it exists */
	CLONE_UP,     /* it can be used, by its owner */
	CLONE_KEPT    /* a snapshot: it stays when its owner is gone, for its time to live */
};

/* How the user's scripts take part (clone_command.c). Each is run by sh; all may be NULL but create and destroy. */
struct clone_commands {
	const char *create;
	const char *ready;
	const char *destroy;
	int64_t timeout_ns; /* of each */
};

struct clone_record {
	char *name;	/* "SET-LANE", unique in the state folder */
	char *set;	/* the clones that were made together */
	char *lane;	/* of the set */
	char *id;	/* random, the same for the whole set */
	char *provider; /* "local", "command"; "scratch" for scratch_folder.h */
	struct clone_owner owner;
	uid_t uid;     /* who made it, and may remove it */
	uid_t run_uid; /* whom its folder belongs to */
	enum clone_record_state state;
	char *folder; /* absolute, without links, ending in "/rehearse-NAME"; NULL where there is none */
	char *url;    /* without a password; NULL while there is none */
	int64_t created_wall_ns;
	int64_t time_to_live_ns;
	int64_t size_bytes;	       /* -1 when not known */
	int64_t point_in_time_wall_ns; /* 0: as it was when it was made */
	char *destroy;		       /* provider "command": the user's command, */
	int64_t timeout_ns;	       /* its time limit, */
	char *source;		       /* and what it is told; without a password */
};

void clone_record_release(struct clone_record *record);
/* Letters, digits, '-' and '_', at most CLONE_NAME_MAX, the first a letter or digit. */
bool clone_name_is_good(const char *name);
/* A new random id, to be freed. */
char *clone_record_new_id(void);
/* The name of the file that marks the record's folder as ours, to be freed. */
char *clone_record_marker(const struct clone_record *record);
/* When its time to live is over. */
int64_t clone_record_expiry_wall_ns(const struct clone_record *record);
const char *clone_record_state_name(enum clone_record_state state);
/* A copy of a URL without its password, to be freed; NULL for NULL. */
char *clone_url_without_password(const char *url);

/*
 * The folder of all records, made when it is not there: DIR/clones, where DIR is `given`, else $REHEARSE_STATE_DIR,
 * else $XDG_STATE_HOME/rehearse, else ~/.local/state/rehearse, else (no home to write to) /var/tmp/rehearse-UID.
 * ERR_USAGE when it is not ours alone. *out is to be freed.
 */
int clone_state_folder(const char *given, char **out, struct error *err);
/* Writes a new one. ERR_USAGE when there is one of that name: of two runs with one name, one gets it. */
int clone_record_create(const char *state_folder, const struct clone_record *record, struct error *err);
/* Replaces it, whole or not at all. */
int clone_record_update(const char *state_folder, const struct clone_record *record, struct error *err);
/* ERR_DATA for a file that is not ours, or says what no record of ours says. */
int clone_record_load(const char *state_folder, const char *file, struct clone_record *out, struct error *err);
/* Removes the file; fine when it is not there. */
void clone_record_unlink(const char *state_folder, const struct clone_record *record);

#endif
