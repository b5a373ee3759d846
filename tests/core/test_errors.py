import inspect
import re

import pytest

from deepfake_detector.core import errors
from deepfake_detector.core.errors import DeepfakeDetectorError, MissingExtraError

ALL = [value for _, value in inspect.getmembers(errors, inspect.isclass) if issubclass(value, DeepfakeDetectorError)]


def test_every_error_has_a_code_of_its_own():
    codes = [error.code for error in ALL]
    assert len(set(codes)) == len(ALL) > 15
    assert all(re.fullmatch(r"[a-z_]+", code) for code in codes)
    assert all("code" in vars(error) for error in ALL)


def test_the_docstring_draws_the_tree_as_it_is():
    drawn, stack = {}, {}
    for line in errors.__doc__.splitlines():
        found = re.match(r"^([\s│├└─]*)(\w+Error)\b", line)
        if found:
            depth, name = len(found.group(1)), found.group(2)
            stack = {at: parent for at, parent in stack.items() if at < depth}
            drawn[name] = stack[max(stack)] if stack else None
            stack[depth] = name
    real = {error.__name__: error.__base__.__name__ for error in ALL}
    real["DeepfakeDetectorError"] = None
    assert drawn == real


@pytest.mark.parametrize("error", ALL)
def test_every_error_says_what_it_means(error):
    assert error.__doc__.strip().endswith(".")


def test_a_missing_extra_says_what_to_install():
    error = MissingExtraError("Opening HEIC pictures", "heic")
    assert error.extra == "heic"
    assert 'pip install "deepfake-detector[heic]"' in str(error)
