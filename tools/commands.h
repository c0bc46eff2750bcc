/* Every command that the program has, by the file that defines it, and the values of the options common to them. */
#ifndef COMMANDS_H
#define COMMANDS_H

#include "command.h"

extern const struct command cmd_create_replay;
extern const struct command cmd_show_replay;
extern const struct command cmd_run_replay; /* run-pgreplay, by its other name run-replay */
extern const struct command cmd_compare;
extern const struct command cmd_report;
extern const struct command cmd_test_migration;
extern const struct command cmd_calibrate;
extern const struct command cmd_create_snapshot;
extern const struct command cmd_list_snapshots;
extern const struct command cmd_destroy_snapshot;
extern const struct command cmd_cleanup;
extern const struct command cmd_migrate;
extern const struct command cmd_trace;
extern const struct command cmd_alembic_upgrade;
extern const struct command cmd_demo;
extern const struct command cmd_help;
extern const struct command cmd_version;

extern bool common_json, common_quiet, common_verbose, common_help;
extern const char *common_config;

#endif
