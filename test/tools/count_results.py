"""Prints "passed NAME", "failed NAME" or "skipped NAME" for each test of CTest's JUnit file.

Skipped is a test that says so itself. One that could not start, or was disabled, has failed.
"""

import sys
import xml.etree.ElementTree

BY_ITSELF = ("SKIP_RETURN_CODE", "SKIP_REGULAR_EXPRESSION_MATCHED")


def verdict(case):
    if case.get("status") == "run":
        return "passed"
    skipped = case.find("skipped")
    if skipped is not None and skipped.get("message", "").startswith(BY_ITSELF):
        return "skipped"
    return "failed"


for testcase in xml.etree.ElementTree.parse(sys.argv[1]).iter("testcase"):
    print(verdict(testcase), testcase.get("name"))
