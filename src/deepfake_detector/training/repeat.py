"""How a result says what to type to get it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence


def command_line(words: Sequence[str], flags: Mapping[str, object]) -> str:
    """``deepfake`` with these words and flags, quoted for a shell.

    A flag is repeated for each value of a tuple, stands alone for True, and is left out for None and False.
    """
    line = ["deepfake", *words]
    for flag, given in flags.items():
        for value in given if isinstance(given, tuple) else (given,):
            if value is not None and value is not False:
                line += [flag] if value is True else [flag, str(value)]
    return shlex.join(line)
