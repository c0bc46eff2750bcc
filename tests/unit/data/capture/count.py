#!/usr/bin/env python3
"""Counts what the csvlogs of this folder hold, by the csv module and a few rules written apart from the C code.

    count.py > counts.json      test_capture.c compares, reason by reason
"""
import csv, glob, json, os, re

STATEMENT = re.compile(r"(?:duration: [\d.]+ ms  )?(statement|parse|bind|execute fetch from|execute|fastpath function call)\b"
                       r"(?:: | )", re.S)
CUT = re.compile(r"'((?:[^']|'')*)\.\.\.'(?:,|$)", re.S)
COPY = re.compile(r"\s*copy\b.*\b(from\s+stdin|to\s+stdout)", re.S | re.I)


def kind_of(row):
    severity, message, context, query = row[11], row[13], row[18], row[19]
    backend = row[23] if len(row) > 23 else ""
    if backend == "walsender":
        return "replication"
    if severity in ("WARNING", "NOTICE"):
        return "notice"
    if severity in ("ERROR", "FATAL"):
        return "background" if backend == "parallel worker" else "error"
    if re.match(r"(duration: [\d.]+ ms  )?(statement|execute|parse|bind|disconnection)", message) and (context or query):
        return "forged"
    if re.match(r"duration: [\d.]+ ms  plan:", message):
        return "auto_explain"
    m = STATEMENT.match(message)
    if m:
        return {"execute fetch from": "fetch", "fastpath function call": "fastpath"}.get(m.group(1), m.group(1))
    if re.fullmatch(r"duration: [\d.]+ ms", message):
        return "duration"
    for begin, kind in (("connection received", "connection_received"), ("connection authorized", "connect"),
                        ("disconnection", "disconnect"), ("unexpected EOF", "connection_lost"),
                        ("temporary file", "temporary_file"), ("process ", "lock_wait")):
        if message.startswith(begin):
            return kind
    return "background" if not row[1] else "other_log"


def is_cut(parameters):
    """A value of the limit's length (cut_parameters.csv has 16), dots apart."""
    return any(len(m.replace("''", "'").encode("latin1")) == 16 for m in CUT.findall(parameters))


def count(path):
    items = dict.fromkeys(("connect", "simple", "execute", "cancel", "disconnect"), 0)
    inferred = dict.fromkeys(("connect", "cancel", "disconnect"), 0)
    skipped = dict.fromkeys(("copy", "fastpath", "truncated", "unparsed", "filtered"), 0)
    sessions, gone, open_text, bound = {}, set(), {}, {}
    workers_seen = path.endswith("v12.csv")  # has no backend_type: the worker's pid is that of no connection

    def skip(reason):
        skipped[reason] = skipped.get(reason, 0) + 1

    records = list(csv.reader(open(path, newline="", encoding="latin1")))
    connected = {r[5] for r in records if r[13].startswith("connection received")}
    for r in records:
        kind, sid = kind_of(r), r[5]
        if kind == "error" and workers_seen and sid not in connected:
            kind = "background"
        text = r[13].split(": ", 2 if r[13].startswith("duration: ") else 1)[-1]
        if kind == "statement":
            if COPY.match(text):
                skip("copy")
                open_text.pop(sid, None)
            else:
                items["simple"] += 1
                open_text[sid] = None if r[13].startswith("duration") else text
        elif kind == "execute":
            if is_cut(r[14]):
                skip("truncated")
            else:
                items["execute"] += 1
                # names of these logs may hold ": ", so the text's end is what is kept
                open_text[sid] = None if r[13].startswith("duration") else r[13]
        elif kind == "connect":
            items["connect"] += 1
            sessions[sid] = True
        elif kind == "disconnect":
            items["disconnect"] += 1
            gone.add(sid)
        elif kind == "error":
            query, last = r[19], open_text.get(sid)
            user = r[13] == "canceling statement due to user request"
            if not query:
                skip("failed_login")
                gone.add(sid)
            elif last and last.endswith(query):
                open_text[sid] = None
                if user:
                    items["cancel"] += 1
                else:
                    skip("error_of_item")
            elif COPY.match(query):
                skip("copy")
            elif "$1" in query and "with parameters" not in r[18] and not bound.get(sid) == query:
                skip("no_parameters")
            elif is_cut(r[18]):
                skip("truncated")
            else:
                items["execute" if "$1" in query else "simple"] += 1
                if user:
                    items["cancel"] += 1
                    inferred["cancel"] += 1
        else:
            skip(kind)
    for sid in sessions:
        if sid not in gone:
            items["disconnect"] += 1
            inferred["disconnect"] += 1
    return dict(log_records=len(records), sessions=len(sessions), statements=items["simple"] + items["execute"],
                items=items, inferred=inferred, skipped=dict(sorted(skipped.items())))


here = os.path.dirname(os.path.abspath(__file__))
print(json.dumps({os.path.basename(p): count(p) for p in sorted(glob.glob(here + "/*.csv"))}, indent=1))
