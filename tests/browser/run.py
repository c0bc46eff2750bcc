#!/usr/bin/env python3
"""Opens the reports in Chromium and looks at them as a reader would: run.py MAKE_REPORTS

Every report of make_reports is laid out at the widths of a desk and of a phone, in light and in dark, and for A4, and
page_checks.js looks at each. Nothing may be fetched, and nothing written to the console. To know that the checks see
what they are for, a page with a fault of each kind (faulty.html) is opened first: all of them must be found. Exit code
77, which CTest shows as skipped, when there is no Chromium.
"""

import base64
import os
import subprocess
import sys
import tempfile
import time

import chromium

HERE = os.path.dirname(os.path.abspath(__file__))
WIDTHS = (1280, 390)
PAPER = 695  # A4 less margins of 13 mm, at 96 pixels an inch
PAGES_MAX = 12
NAMES = ("hurts", "errors", "clear", "cannot_tell", "invalid", "aa", "long")

FAULTS = ("no language", "something active", "not 1 body > header", "skips a level", "not unique", "named by nothing",
          "leads nowhere", "without scope", "2 cells under 1 heads", "picture without a name", "without a label",
          "order of focus", "wider than the window", "keyboard cannot", "contrast 2.85 of pale", "of black on grey",
          "cut off on paper", "folded on paper", "no line to write on", "console: a fault", "fetched: http://127.0.0.1:9/")


class Page:
    def __init__(self, browser):
        self.browser = browser
        with open(os.path.join(HERE, "page_checks.js"), encoding="utf-8") as file:
            self.checks = file.read()

    def load(self, path, width, scheme, paper=False):
        b = self.browser
        b.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        b.call("Emulation.setEmulatedMedia", media="print" if paper else "screen",
               features=[{"name": "prefers-color-scheme", "value": scheme}])
        b.events.clear()
        wrong = b.call("Page.navigate", url="file://" + path).get("errorText")
        if wrong:
            raise chromium.BrowserError(f"{path}: {wrong}")
        # The events before the load are complaints or none; wait_for() would drop them.
        seen = []
        while True:
            event = b.events.pop(0) if b.events else b.read_message(time.monotonic() + b.timeout)
            seen.append(event)
            if event.get("method") == "Page.loadEventFired":
                break
        return seen

    @staticmethod
    def complaints_of(events, path):
        for event in events:
            method, params = event.get("method"), event.get("params", {})
            if method == "Network.requestWillBeSent":
                url = params["request"]["url"]
                if url != "file://" + path and not url.startswith("data:"):
                    yield "fetched: " + url
            elif method == "Runtime.consoleAPICalled":
                yield "console: " + " ".join(str(a.get("value")) for a in params["args"])
            elif method == "Runtime.exceptionThrown":
                yield "exception: " + params["exceptionDetails"]["text"]
            elif method == "Log.entryAdded":
                yield "log: " + params["entry"]["text"]

    def check(self, path, width, scheme, paper=False, contrast=True):
        events = self.load(path, width, scheme, paper)
        script = f"({self.checks})({'true' if contrast else 'false'}, {'true' if paper else 'false'})"
        complaints = self.browser.evaluate(script)
        return complaints + list(self.complaints_of(events + self.browser.events, path))

    def print(self, path):
        """Pages of the page as PDF."""
        self.load(path, PAPER, "light")
        self.browser.call("Emulation.setEmulatedMedia", media="")
        answer = self.browser.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
        pdf = base64.b64decode(answer["data"])
        if not pdf.startswith(b"%PDF-"):
            raise chromium.BrowserError("not a PDF")
        return pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ")


def check_faults(page):
    """The checks see every fault."""
    path = os.path.join(HERE, "faulty.html")
    found = page.check(path, 390, "light") + page.check(path, PAPER, "light", paper=True)
    return ["not seen: " + fault for fault in FAULTS if not any(fault in one for one in found)]


def check_reports(page, folder):
    failed = []

    def look(name, what, complaints):
        print(f"{'FAIL' if complaints else 'ok  '}  {name}: {what}")
        for complaint in complaints:
            print("      " + complaint)
        failed.extend(complaints)

    for name in NAMES:
        path = os.path.join(folder, name + ".report.html")
        for width in WIDTHS:
            for scheme in ("light", "dark"):
                look(name, f"{width} px, {scheme}", page.check(path, width, scheme))
        # Dark on the screen is light on paper.
        look(name, "paper", page.check(path, PAPER, "dark", paper=True))
        pages = page.print(path)
        look(name, f"{pages} pages", [] if 0 < pages <= PAGES_MAX else ["too many or none"])
    path = os.path.join(folder, "huge.report.html")
    for width in WIDTHS:
        look("huge", f"{width} px", page.check(path, width, "light", contrast=False))
    look("huge", "paper", page.check(path, PAPER, "light", paper=True, contrast=False))
    return failed


def main():
    if not chromium.find():
        print("skipped: there is no chromium (Debian's package of that name; tools/packages.sh)")
        return 77
    with tempfile.TemporaryDirectory(prefix="rehearse-reports-") as folder:
        subprocess.run([sys.argv[1], folder], check=True)
        with chromium.Chromium() as browser:
            browser.open_page()
            page = Page(browser)
            unseen = check_faults(page)
            print("\n".join(unseen) or "ok    every fault of faulty.html is seen")
            failed = check_reports(page, folder)
    return 1 if unseen or failed else 0


if __name__ == "__main__":
    sys.exit(main())
