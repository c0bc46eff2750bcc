#!/usr/bin/env python3
"""Every document that others read against its schema: documents.py MAKE_REPORTS REHEARSE LOG

Verdicts of every outcome (make_reports), and what a real run writes: a log becomes a replay file, that is replayed
against targets that answer at once and need no server ("null:"), judged and reported. JUnit files go through xmllint.
Exit code 77, which CTest shows as skipped, without python3-jsonschema or xmllint (Debian's libxml2-utils).
"""

import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
DOCS = os.path.join(HERE, "..", "..", "docs")

try:
    import jsonschema
except ImportError:
    jsonschema = None


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


class Schemas:
    def __init__(self):
        self.failed = 0
        self.schemas = {}
        for path in [os.path.join(DOCS, "verdict.schema.json")] + glob.glob(os.path.join(DOCS, "schemas", "*.json")):
            schema = load(path)
            jsonschema.Draft202012Validator.check_schema(schema)
            self.schemas[os.path.basename(path).split(".")[0]] = schema
        assert {"verdict", "run", "create-replay", "trace", "report", "demo"} <= set(self.schemas)

    def check(self, name, document, what):
        schema = self.schemas[name]
        validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
        complaints = [f"{e.json_path}: {e.message[:200]}" for e in validator.iter_errors(document)]
        # Fields are added, never renamed: but then they are described.
        complaints += [f"docs: the schema of {name} does not describe '{key}'"
                       for key in document if key not in schema["properties"]]
        self.say(what, complaints)

    def refuses(self, name, document, what):
        """A schema that takes anything is none."""
        validator = jsonschema.Draft202012Validator(self.schemas[name])
        self.say(what, [] if list(validator.iter_errors(document)) else ["is taken, and should not be"])

    def say(self, what, complaints):
        print(f"{'FAIL' if complaints else 'ok  '}  {what}")
        for complaint in complaints[:20]:
            print("      " + complaint)
        self.failed += len(complaints)


def check_slack(schemas, path):
    """Block Kit's limits, which Slack refuses a whole message for."""
    message = load(path)
    complaints = []
    if not message.get("text") or len(json.dumps(message)) > 12000:
        complaints.append("no text, or too long")
    for block in message["blocks"]:
        texts = [block["text"]] if "text" in block else block.get("fields") or block.get("elements")
        limit = {"header": 150, "section": 3000 if "text" in block else 2000, "context": 3000}[block["type"]]
        for text in texts:
            if not 0 < len(text["text"]) <= limit or text["type"] not in ("plain_text", "mrkdwn"):
                complaints.append(f"{block['type']}: {len(text['text'])} characters of {text['type']}")
    schemas.say(os.path.basename(path), complaints)


def check_reports(schemas, folder):
    for path in sorted(glob.glob(os.path.join(folder, "*.verdict.json"))):
        schemas.check("verdict", load(path), os.path.basename(path))
    broken = load(path)
    del broken["outcome"]
    schemas.refuses("verdict", broken, "a verdict without an outcome")
    broken["outcome"] = "fine"
    schemas.refuses("verdict", broken, "an outcome that there is not")
    for path in sorted(glob.glob(os.path.join(folder, "*.junit.xml"))):
        result = subprocess.run(["xmllint", "--noout", "--nonet", "--schema", os.path.join(HERE, "junit.xsd"), path],
                                capture_output=True, text=True, check=False)
        schemas.say(os.path.basename(path), result.stderr.splitlines() if result.returncode else [])
    for path in sorted(glob.glob(os.path.join(folder, "*.slack.json"))):
        check_slack(schemas, path)


def check_run(schemas, folder, program, log):
    def rehearse(*arguments, codes=(0,)):
        result = subprocess.run([program, *arguments, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                cwd=folder, check=False)
        if result.returncode not in codes:
            sys.exit(f"rehearse {arguments[0]}: exit code {result.returncode}\n{result.stderr.decode()}")
        return json.loads(result.stdout)

    schemas.check("create-replay", rehearse("create-replay", log, "-o", "day.rpl"), "create-replay --json")
    run = rehearse("run-pgreplay", "day.rpl", "--baseline", "null:", "--migrating", "null:", "--speed", "max", "-o",
                   "run", "--commit", "0123abc")
    schemas.check("run", run, "run-pgreplay --json")
    schemas.check("run", load(os.path.join(folder, "run", "run.json")), "run.json")
    verdict = rehearse("compare", "run", codes=(0, 1, 2, 3))
    schemas.check("verdict", verdict, "compare --json")
    if verdict["environment"].get("commit") != "0123abc":
        schemas.say("the commit in the verdict", [str(verdict["environment"].get("commit"))])
    schemas.check("report", rehearse("report", "run", "--format", "html", "--format", "junit"), "report --json")


def main():
    if not jsonschema or not shutil.which("xmllint"):
        print("skipped: needs python3-jsonschema and xmllint (tools/packages.sh)")
        return 77
    schemas = Schemas()
    with tempfile.TemporaryDirectory(prefix="rehearse-documents-") as folder:
        subprocess.run([sys.argv[1], folder], check=True)
        check_reports(schemas, folder)
        check_run(schemas, folder, sys.argv[2], os.path.abspath(sys.argv[3]))
    return 1 if schemas.failed else 0


if __name__ == "__main__":
    sys.exit(main())
