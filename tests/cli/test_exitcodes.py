import pytest

from deepfake_detector.cli.exitcodes import ALL_FINDINGS, ExitCode, Finding, exit_code, parse_fail_on

FAKE, UNCERTAIN, ERROR = Finding.FAKE, Finding.UNCERTAIN, Finding.ERROR


@pytest.mark.parametrize(
    "found, code",
    [
        ([], 0),
        ([UNCERTAIN], 3),
        ([FAKE], 1),
        ([ERROR], 4),
        ([UNCERTAIN, FAKE], 1),
        ([UNCERTAIN, ERROR], 4),
        ([FAKE, ERROR, UNCERTAIN], 4),
    ],
)
def test_failed_inputs_win_over_fakes_and_those_over_the_uncertain(found, code):
    assert exit_code(found) == code


@pytest.mark.parametrize(
    "words, code",
    [("fake", 1), ("uncertain", 3), ("fake,uncertain", 1), ("error", 4), ("none", 0), (" Error , FAKE ", 4)],
)
def test_fail_on_chooses_what_counts(words, code):
    assert exit_code(ALL_FINDINGS, parse_fail_on(words)) == code


@pytest.mark.parametrize("words", ["", "fakes", "fake,none", "fake,,error", "all"])
def test_fail_on_refuses_other_words(words):
    with pytest.raises(ValueError, match="is none of fake, uncertain, error"):
        parse_fail_on(words)


def test_codes_are_those_that_programs_know():
    assert {code.name: code.value for code in ExitCode} == {
        "OK": 0, "FAKE": 1, "USAGE": 2, "UNCERTAIN": 3, "INPUT": 4, "INTERNAL": 70, "INTERRUPTED": 130,
        "BROKEN_PIPE": 141,
    }  # fmt: skip
