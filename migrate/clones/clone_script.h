/*
 * The user's scripts for clones of provider "command": what they are told, and what is made of their answers.
 * docs/clones.md is their contract. They run under sh, in a process group of their own, with a time limit; all they say
 * is bounded, and passwords in it reach no message.
 */
#ifndef CLONE_SCRIPT_H
#define CLONE_SCRIPT_H

#include "clone_record.h"
#include "error.h"

#include <stdbool.h>

struct clone_script {
	const char *state_folder;
	const struct clone_record *record;
	const char *source; /* as the user gave it, password included; may be NULL */
	const char *url;    /* the clone's, once there is one; may be NULL */
	const volatile bool *cancelled;
};

/* *url is what the last line of its output says, to be freed. ERR_UNAVAILABLE when it fails or takes too long. */
int clone_script_create(const struct clone_script *script, const struct clone_commands *commands, char **url,
			struct error *err);
/* 1 when it exits with 0, 0 when with another code. */
int clone_script_ready(const struct clone_script *script, const struct clone_commands *commands, struct error *err);
/* Ends what a create command that was cut short left running, then calls the record's destroy command. */
int clone_script_destroy(const char *state_folder, const struct clone_record *record, const volatile bool *cancelled,
			 struct error *err);

#endif
