"""The pages cannot drift from the program: what it has is written down, and what is written down it has."""

import ast
import itertools
import re
import shlex
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from deepfake_detector.cli.main import COMMANDS, load_command
from deepfake_detector.training.config import TrainConfig

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "deepfake_detector"
PAGES = [
    page
    for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("samples/*.md")])
    if page.name != "CHANGELOG.md"
]
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
MADE = re.compile(r"<!-- Below: made by `make docs`.*", re.DOTALL)
BY_HAND = "\n".join(MADE.sub("", text) for text in TEXTS.values())
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]*)#([^)\s]+)\)")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(page, *languages):
    return [code for language, code in FENCE.findall(TEXTS[page]) if language in languages]


def commands(page):
    """Each command line that begins with ``deepfake`` in the shell blocks of a page, as words."""
    lines = "\n".join(blocks(page, "", "sh", "console")).replace("\\\n", " ").splitlines()
    for line in (line.strip().removeprefix("$ ") for line in lines):
        if line.startswith("deepfake "):
            words = shlex.split(line, comments=True)
            end = next((at for at, word in enumerate(words) if word in {"|", "||", "&&", ";", ">", ">>"}), len(words))
            yield words[1:end]


def command_of(words):
    name = next((name for name in (" ".join(words[:2]), words[0]) if name in COMMANDS), None)
    assert name, f"there is no command 'deepfake {' '.join(words)}'"
    return name, words[len(name.split()) :]


@each_page
def test_the_commands_in_it_exist(page):
    for words in commands(page):
        if words in (["--help"], ["--version"]):
            continue
        name, rest = command_of(words)
        options = {option for parameter in load_command(name).params for option in parameter.opts}
        options |= {option for parameter in load_command(name).params for option in parameter.secondary_opts}
        used = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert used <= options | {"--help"}, f"deepfake {name} has no {used - options}"


def settings(model, prefix=""):
    """Each key that a config may have, with its sections: ``train``, ``train.epochs`` …"""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from settings(inner, f"{prefix}{name}.")


@each_page
def test_the_settings_in_it_exist(page):
    known = set(settings(TrainConfig))
    for words in commands(page):
        for option, value in itertools.pairwise(words):
            if option == "--set":
                assert value.partition("=")[0] in known, value
    for code in blocks(page, "yaml"):
        content = yaml.safe_load(code)
        if "space" in content:  # of a search
            assert set(content["space"]) <= known
            continue
        assert set(content) <= set(TrainConfig.model_fields), f"{page.name}: {set(content)}"


@each_page
def test_the_python_in_it_imports_what_exists(page):
    for code in blocks(page, "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("deepfake_detector"):
                module = import_module(node.module)
                for alias in node.names:
                    assert hasattr(module, alias.name), f"{node.module} has no {alias.name}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_described_by_hand(name):
    assert re.search(rf"\bdeepfake {name}\b", BY_HAND)


def test_every_setting_of_a_training_is_in_a_table():
    rows = set(re.findall(r"^\| `([\w.]+)` \|", BY_HAND, re.MULTILINE))
    sections = set(re.findall(r"^### `(\w+)`", BY_HAND, re.MULTILINE))
    for name in TrainConfig.model_fields:
        assert name in sections or re.search(rf"`{name}`", BY_HAND), f"no page says what {name} is"
    nested = {key.split(".")[1] for key in settings(TrainConfig) if key.count(".") == 1}
    assert nested <= rows, f"in no table: {nested - rows}"


def test_every_environment_variable_is_documented():
    read = set()
    for file in SOURCE.rglob("*.py"):
        read |= set(re.findall(r"\b(?:DEEPFAKE_[A-Z_]+|DATABASE_URL)\b", file.read_text(encoding="utf-8")))
    documented = set(re.findall(r"\b(?:DEEPFAKE_[A-Z_]+|DATABASE_URL)\b", BY_HAND))
    assert read <= documented, f"on no page: {read - documented}"


def test_every_extra_is_documented():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    documented = {word for found in re.findall(r"\[([\w,-]+)\]", BY_HAND) for word in found.split(",")}
    assert set(extras) <= documented, f"on no page: {set(extras) - documented}"


@each_page
def test_it_installs_from_the_checkout(page):
    """The name belongs to another project on the public index."""
    assert not re.search(r"pip install [^\n]*deepfake-detector", TEXTS[page])


def test_the_figures_are_those_of_the_results():
    made = [sys.executable, str(ROOT / "benchmarks" / "make_results.py"), "--check"]
    checked = subprocess.run(made, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def slug(heading):
    """The anchor that code hosts and the site give a heading."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")


def anchors(page):
    text = FENCE.sub("", TEXTS[page])
    return {slug(heading) for heading in re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE)}


@each_page
def test_links_to_headings_lead_to_headings(page):
    for target, anchor in LINK.findall(FENCE.sub("", TEXTS[page])):
        if "://" not in target:
            aim = (page.parent / target).resolve() if target else page
            assert anchor in anchors(aim), f"{page.name} links to {target}#{anchor}"
