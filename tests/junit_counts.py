#!/usr/bin/python3
# Prints "PASSED FAILED SKIPPED" of a JUnit file that pytest wrote.
# SPDX-License-Identifier: GPL-2.0-or-later
import sys
import xml.etree.ElementTree

suites = list(xml.etree.ElementTree.parse(sys.argv[1]).getroot().iter("testsuite"))
total, failures, errors, skipped = (sum(int(suite.get(name, "0")) for suite in suites)
                                    for name in ("tests", "failures", "errors", "skipped"))
print(total - failures - errors - skipped, failures + errors, skipped)
