"""Runs Alembic on a clone, through Alembic's own functions (alembic.command), so that the URL in alembic.ini can be
replaced in memory: env.py sees the project's files as they are, and the clone's URL where the ini names another.

Arguments: what to do, the ini, its section, the target, then what -x gives. The clone's URL is in DATABASE_URL.
  check             the project loads, and knows the target; no database
  before            also: which revisions the database has
  upgrade, downgrade
  after             also: whether the target has been reached
Lines that begin with "rehearse-alembic" are for alembic_runner.c, all others for the user.
"""

import os
import re
import sys
from argparse import Namespace

# Python puts the folder where it runs in front, and a project's folder "alembic" is not the library.
sys.path.append(sys.path.pop(0))


def say(*words):
    sys.stdout.flush()
    os.write(1, ("\nrehearse-alembic " + " ".join(words) + "\n").encode())


try:
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError
except ImportError as error:
    say("without", str(error).replace("\n", " "))
    sys.exit(1)

WHAT, INI, SECTION, TARGET = sys.argv[1:5]


def clone_url(config):
    """The clone's URL, with the driver that the project's own URL names (postgresql+asyncpg://...)."""
    url = os.environ.get("DATABASE_URL", "")
    try:
        scheme = (config.get_main_option("sqlalchemy.url") or "").split("://")[0]
    except Exception:  # it is put together from what is not there
        scheme = ""
    if url.startswith("postgresql://") and scheme.startswith("postgresql+"):
        if not scheme.startswith("postgresql+psycopg"):
            url = url.split("?")[0]  # sslmode is libpq's word
        return scheme + url[len("postgresql"):]
    return url


def goal_of(script):
    """The revisions that the target stands for; none where that depends on where one comes from."""
    if TARGET == "base" or TARGET.endswith("@base") or re.search(r"[+-]\d+$", TARGET):
        return set()
    return {revision.revision for revision in script.get_revisions(TARGET)}


def lineage(script, heads):
    """All revisions that a database with these heads has."""
    return {revision.revision for revision in script.iterate_revisions(tuple(heads), "base")} if heads else set()


def look(config, script):
    """What `alembic current` does: asks the database, and changes nothing."""
    found = set()

    def note(heads, context):
        say("database")
        found.update(heads if isinstance(heads, (tuple, list, set)) else [heads])
        return []

    with EnvironmentContext(config, script, fn=note, dont_mutate=True):
        script.run_env()
    return found - {None}


def main():
    if not os.path.isfile(INI):
        raise CommandError("no such file: " + INI)
    words = Namespace(config=INI, name=SECTION, x=sys.argv[5:] or None, raiseerr=False, sql=False, tag=None,
                      revision=TARGET)
    config = Config(INI, ini_section=SECTION, cmd_opts=words)
    config.set_main_option("sqlalchemy.url", clone_url(config).replace("%", "%%"))
    if WHAT in ("upgrade", "downgrade"):
        getattr(command, WHAT)(config, TARGET)
        return
    script = ScriptDirectory.from_config(config)
    goal = goal_of(script)
    for revision in sorted(script.get_heads()):
        say("head", revision)
    if WHAT == "check":
        return
    current = look(config, script)
    for revision in sorted(current):
        say("current", revision)
    for revision in sorted(goal - lineage(script, current)):
        say("missing", revision)
    if TARGET == "base" and current:
        say("missing", "base")


try:
    main()
except CommandError as error:
    print("FAILED: " + str(error), file=sys.stderr)
    sys.exit(-1)
