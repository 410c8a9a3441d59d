"""One line per test for ./test/run, in place of pytest's own terminal report."""

import re
import time


def name_of(nodeid, prefix):
    """test/e2e/test_run.py::test_exit_code[x] -> e2e/run/exit_code[x]"""
    match = re.fullmatch(r"(?:.*/)?test_(\w+)\.py::test_(.+)", nodeid)
    return f"{prefix}/{match[1]}/{match[2]}" if match else f"{prefix}/{nodeid}"


class Report:
    """Prints and counts; a test is passed only if its setup, call and teardown are."""

    def __init__(self, results, failures_file, prefix):
        self.results = results
        self.failures_file = failures_file
        self.prefix = prefix
        self.start = 0.0
        self.verdict = "pass"
        self.failures = []
        self.reason = ""

    def pytest_runtest_logstart(self, nodeid, location):
        self.start = time.monotonic()
        self.verdict, self.failures, self.reason = "pass", [], ""

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.verdict = "fail"
            self.failures.append(report)
        elif report.skipped and self.verdict == "pass":
            self.verdict = "skip"
            self.reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""

    def pytest_runtest_logfinish(self, nodeid, location):
        self.write(name_of(nodeid, self.prefix), time.monotonic() - self.start)

    def pytest_collectreport(self, report):
        if report.failed:
            self.verdict, self.failures, self.reason = "fail", [report], ""
            self.write(f"{self.prefix}/{report.nodeid}", 0.0)

    def write(self, name, seconds):
        """All lines of a test at once: another stage may print meanwhile."""
        line = f"{self.verdict}  {name:<66} {seconds:7.2f} s  {self.reason}".rstrip()
        details = "".join(self.details())
        print(f"{line}\n{details}", end="", flush=True)
        with open(self.results, "a", encoding="utf-8") as file:
            file.write(f"{self.verdict}\t{name}\t{seconds:.2f}\n")
        if self.verdict == "fail":
            with open(self.failures_file, "a", encoding="utf-8") as file:
                file.write(f"{name}\n{details}")

    def details(self):
        for report in self.failures:
            yield f"--- {getattr(report, 'when', 'collect')}\n{report.longreprtext}\n"
            for title, text in report.sections:
                yield f"--- {title}\n{text}\n"
            yield "---\n"
