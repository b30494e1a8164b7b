"""What docs/testing.md says: the ways to get this wrong, and the tests of each."""
import os
import re

ROW = re.compile(r"^\| ([A-H]\d+) \|[^|]*\|([^|]*)\|$", re.MULTILINE)


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def rows_of(source):
    """Pairs of a row's name and its tests, in backquotes."""
    return ROW.findall(text_of(os.path.join(source, "docs", "testing.md")))
