"""docs/data.md names every option and setting, with its default."""

import re
from pathlib import Path

import pytest

from deepfake_detector.cli.main import load_command
from deepfake_detector.training.data.augment_config import AugmentConfig
from deepfake_detector.training.data.sampling import BalanceConfig

TEXT = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")


def rows(heading):
    part = TEXT.split(heading, 1)[1].split("\n#", 1)[0]
    return dict(re.findall(r"^\| `([^`]+)` \| *`?([^|`]*)`? *\|", part, re.MULTILINE))


@pytest.mark.parametrize("name", ["split", "faces", "audit", "twins", "preview-data"])
def test_every_option_is_documented(name):
    options = {
        option
        for parameter in load_command(name).params
        for option in parameter.opts
        if option.startswith("--") and option != "--help"
    }
    assert set(rows(f"## `deepfake {name}")) == options


@pytest.mark.parametrize(
    ("heading", "config"), [("### `augment`", AugmentConfig()), ("### `balance`", BalanceConfig())]
)
def test_every_setting_is_documented_with_its_default(heading, config):
    table = rows(heading)
    assert set(table) == set(type(config).model_fields)
    for name, shown in table.items():
        value = getattr(config, name)
        if shown.startswith("p: "):
            assert float(shown[3:]) == value.p
        elif isinstance(value, bool):
            assert shown == str(value).lower()
        elif isinstance(value, tuple):
            assert shown == str(list(value))
        elif value is None:
            assert not shown.strip()
        else:
            assert shown == str(value)


def test_the_strengths_are_those_of_the_config():
    config = AugmentConfig()
    for words in (
        f"`quality` `{list(config.jpeg.quality)}`",
        f"`scale` `{list(config.resize.scale)}`",
        f"`sigma` `{list(config.blur.sigma)}` pixels",
        f"`length` `[{config.motion.length[0]:g}, {config.motion.length[1]:g}]`",
        f"`amount` `{list(config.sharpen.amount)}`",
        f"`sigma` `[{config.noise.sigma[0]:g}, {config.noise.sigma[1]:g}]` levels",
        f"`brightness` {config.color.brightness}, `contrast` {config.color.contrast}, "
        f"`saturation` {config.color.saturation}, `hue` {config.color.hue:g} degrees, `gamma` {config.color.gamma}",
    ):
        assert words in TEXT
