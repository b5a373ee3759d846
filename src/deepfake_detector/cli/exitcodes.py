"""Exit codes, and which of the answers count for them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """What the process says when it ends; documented in ``docs/cli.md``."""

    OK = 0
    FAKE = 1
    LEAK = 1  # of `audit` and `probe`: another word for the same number
    USAGE = 2
    UNCERTAIN = 3
    INPUT = 4
    INTERNAL = 70
    INTERRUPTED = 130
    BROKEN_PIPE = 141


class Finding(StrEnum):
    """What ``--fail-on`` can name."""

    FAKE = "fake"
    UNCERTAIN = "uncertain"
    ERROR = "error"


ALL_FINDINGS = frozenset(Finding)
NOTHING = "none"

_CODES = {Finding.ERROR: ExitCode.INPUT, Finding.FAKE: ExitCode.FAKE, Finding.UNCERTAIN: ExitCode.UNCERTAIN}
"""In the order in which they win."""


def parse_fail_on(text: str) -> frozenset[Finding]:
    """``fake,error`` → the findings; ``none`` → no finding. Raises ValueError for any other word."""
    words = [word.strip().lower() for word in text.split(",")]
    if words == [NOTHING]:
        return frozenset()
    known = {finding.value for finding in Finding}
    wrong = [word for word in words if word not in known]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is none of fake, uncertain, error (joined by commas) or none")
    return frozenset(Finding(word) for word in words)


def exit_code(found: Iterable[Finding], fail_on: frozenset[Finding] = ALL_FINDINGS) -> ExitCode:
    """The code for all that was found: inputs that failed win over fakes, fakes over the uncertain."""
    counted = fail_on.intersection(found)
    return next((code for finding, code in _CODES.items() if finding in counted), ExitCode.OK)
