#!/usr/bin/env python3
"""make_corpus.py NAME FOLDER: seeds for a fuzz target, cut from the logs that the unit tests read."""
import csv, glob, os, sys

name, folder = sys.argv[1:3]
here = os.path.dirname(os.path.abspath(__file__))
logs = sorted(glob.glob(here + "/../unit/data/capture/*.csv"))


def put(number, data):
    with open("%s/seed-%04d" % (folder, number), "wb") as f:
        f.write(data)


if name == "fuzz_sql_lexer":
    texts = set()
    for log in logs:
        for row in csv.reader(open(log, newline="", encoding="latin1")):
            message = row[13].split(": ", 2)
            if "statement" in row[13] or "execute" in row[13]:
                texts.add(message[-1])
    for number, text in enumerate(sorted(texts)):
        put(number, text.encode("latin1"))
else:
    for number, log in enumerate(logs):
        with open(log, "rb") as f:
            data = f.read()
        lines = data.split(b"\n")
        put(number, data[:20000])
        for part in range(0, len(lines), 25):
            put(1000 + number * 100 + part // 25, b"\n".join(lines[part:part + 25]) + b"\n")
