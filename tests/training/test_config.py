"""Experiment files: read, overridden, refused with the near miss, and written back the same."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.training.config import JoinConfig, TrainConfig, check_config, dump_config, load_config
from deepfake_detector.training.data.synthetic import SyntheticConfig

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "experiment.yaml"
    path.write_text("name: first\ndata: {source: photos}\ntrain: {epochs: 7}\n")
    return path


def test_defaults_and_values(file):
    config = load_config(file)
    assert (config.name, config.train.epochs, config.train.from_block) == ("first", 7, None)
    assert config.data.rule().size == 224
    assert config.model.head == "linear"


def test_overrides_are_yaml_and_win(file):
    overrides = ["train.epochs=3", "data.sets=[a, b]", "model.head={dense: [256]}", "augment.jpeg.p=0.7", "name=other"]
    config = load_config(file, overrides)
    assert config.train.epochs == 3
    assert config.data.sets == ("a", "b")
    assert config.model.head.dense == (256,)
    assert config.augment.jpeg.p == 0.7
    assert config.name == "other"


def test_written_back_the_same(file, tmp_path):
    config = load_config(file, ["model.head={dense: [64, 32]}", "data.sets=[a]"])
    (tmp_path / "again.yaml").write_text(dump_config(config))
    assert load_config(tmp_path / "again.yaml") == config


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epoch=3", "unknown key 'train.epoch'; did you mean 'epochs'"),
        ("trian.epochs=3", "unknown key 'trian'; did you mean 'train'"),
        ("augment.jpeg.qualty=3", "unknown key 'augment.jpeg.qualty'; did you mean 'quality'"),
        ("augment.zzz=3", "unknown key 'augment.zzz'; known are "),
        ("model.head={dens: [3]}", "model.head.dense is missing.*unknown key 'model.head.dens'; did you mean 'dense'"),
        ("model.head=dense", "model.head: Input should be 'linear'"),
        ("synthetic.recipes.selfblend=1", "unknown key 'synthetic.recipes.selfblend'; did you mean 'self_blend'"),
        ("synthetic.recipes={self_blend: 0, swap: 0, part_swap: 0}", "all recipes have the share 0"),
        ("train.epochs=-1", "train.epochs: .*greater than or equal to 0.*got -1"),
        ("train.epochs=many", "train.epochs: .*integer"),
        ("data.size=225", "multiple of 32"),
        ("train.lr=.inf", "finite"),
        ("train.schedule=exponential", "'cosine' or 'constant'"),
        ("train.epochs", "write it as section.key=value"),
        ("=3", "write it as section.key=value"),
        ("name.x=3", "name: .*string"),
        ("name=off", "name: .*string .*got False; put it in quotes"),
        ("train.epochs.x=3", "epochs is no section"),
        ("name=../x", "name: .*pattern"),
        ("data.source={", "is not YAML"),
    ],
)
def test_mistakes_are_named(file, override, message):
    with pytest.raises(ConfigError, match=message):
        load_config(file, [override])


@pytest.mark.parametrize(
    ("text", "message"), [("[1, 2]", "holds no settings"), ("a: [", "is not YAML"), ("name: x", "data is missing")]
)
def test_files_that_are_no_config(tmp_path, text, message):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(tmp_path / "x.yaml")


def test_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot read the config"):
        load_config(tmp_path / "no.yaml")


def test_a_section_may_be_empty_before_an_override(tmp_path):
    (tmp_path / "x.yaml").write_text("data: {source: x}\ntrain:\n")
    assert load_config(tmp_path / "x.yaml", ["train.lr=0.5"]).train.lr == 0.5


def test_every_setting_is_described():
    def undescribed(section, where):
        for name, field in section.model_fields.items():
            if not field.description:
                yield f"{where}.{name}"
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                yield from undescribed(field.annotation, f"{where}.{name}")

    assert list(undescribed(TrainConfig, "config")) == []


OTHERS = {REPOSITORY / "configs" / name for name in ("search.yaml", "video.yaml")}
CONFIGS = sorted({*(REPOSITORY / "configs").rglob("*.yaml")} - OTHERS)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_committed_configs_are_valid(path):
    assert load_config(path).data.rule().size >= 32


def test_checks_content_without_a_file():
    assert check_config({"data": {"source": "x"}}, "a test").seed == 0


def documented(section):
    """Rows of a section's table in docs/training.md: setting → default, as YAML."""
    text = (REPOSITORY / "docs" / "training.md").read_text(encoding="utf-8")
    part = text.split(f"\n### `{section}`", 1)[1].split("\n#", 1)[0]
    return dict(re.findall(r"^\| `([^`]+)` \| `?([^|]*?)`? \|", part, re.MULTILINE))


@pytest.mark.parametrize(
    "section",
    ["data", "synthetic", "model", "head", "train", "loss", "join", "calibration", "tracking", "cluster", "card"],
)
def test_every_setting_is_documented_with_its_default(section):
    optional = {"synthetic": SyntheticConfig, "join": JoinConfig}
    fields = optional.get(section, TrainConfig.model_fields[section].annotation).model_fields
    rows = documented(section)
    assert list(rows) == list(fields)
    for name, field in fields.items():
        if field.is_required():
            assert rows[name] == "(needed)"
            continue
        default = field.get_default(call_default_factory=True)
        value = list(default) if isinstance(default, tuple) else default
        value = value.model_dump() if isinstance(value, BaseModel) else value
        shown = yaml.safe_load(rows[name])
        assert shown == (str(value) if isinstance(value, str | Path) else value), name


def test_every_option_is_documented():
    from deepfake_detector.cli.main import load_command

    text = (REPOSITORY / "docs" / "training.md").read_text(encoding="utf-8")
    options = {o for p in load_command("train").params for o in p.opts if o.startswith("--") and o != "--help"}
    assert set(re.findall(r"^\| `(--[a-z]+)`", text, re.MULTILINE)) == options
