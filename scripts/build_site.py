"""Builds the documentation site: ``python scripts/build_site.py [FOLDER]``, as ``make docs`` does.

Gathers the pages (``docs/``, the README and its like, pages made from the code, the notebook) in a temporary folder,
and lets Zensical make the site of them. Links that lead to a file of the repository lead to a copy of it. Any warning
is an error. Needs the extra ``[docs]``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from site_pages import http_reference, notebook_page, python_reference

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "mkdocs.yml"
NOTEBOOK = ROOT / "notebooks" / "optimized_deepfake_detector_colab.ipynb"
LINK = re.compile(r"(?P<before>!?\[(?P<label>(?:[^\[\]]|\[[^\]]*\])*)\]\()(?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")
FENCE = re.compile(r"^(?:```|~~~)", re.MULTILINE)


@dataclass
class Stage:
    """The folder that the site is made of; ``places`` says where a file of the repository went."""

    folder: Path
    places: dict[Path, PurePosixPath] = field(default_factory=dict)

    def write(self, place: str, content: str) -> None:
        """Put a page there."""
        file = self.folder / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")

    def attach(self, file: Path) -> PurePosixPath:
        """Put a copy of a file of the repository there; text under a name that browsers show instead of saving it."""
        if file not in self.places:
            place = PurePosixPath("files", file.relative_to(ROOT).as_posix())
            if file.suffix not in {".png", ".jpg", ".svg", ".ipynb"}:
                place = place.with_name(place.name + ".txt")
            (self.folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, self.folder / place)
            self.places[file] = place
        return self.places[file]


def pages() -> Iterator[tuple[Path, str]]:
    """Each page that is written by hand or kept in the repository, and its place on the site."""
    yield ROOT / "README.md", "index.md"
    yield ROOT / "CONTRIBUTING.md", "tour.md"
    yield ROOT / "CHANGELOG.md", "changes.md"
    yield ROOT / "samples" / "README.md", "samples.md"
    for card in sorted(ROOT.glob("src/deepfake_detector/scoring/models/*/MODEL_CARD.md")):
        yield card, f"model-cards/{card.parent.name}.md"
    for page in sorted(ROOT.glob("docs/**/*.md")):
        yield page, page.relative_to(ROOT / "docs").as_posix()


def relinked(text: str, source: Path, place: str, stage: Stage) -> str:
    """The page with its relative links leading to pages of the site, or to copies of files; not those in code."""
    pieces = FENCE.split(text)
    fences = [*FENCE.findall(text), ""]

    def link(match: re.Match[str]) -> str:
        target = match["target"]
        if re.match(r"[a-z]+:", target):
            return match[0]
        aim = (source.parent / target).resolve()
        if not aim.exists():
            raise SystemExit(f"{source.relative_to(ROOT)} links to {target}, which does not exist")
        if aim.is_dir():
            if aim / "README.md" not in stage.places:
                return match["label"]
            aim /= "README.md"
        there = stage.places.get(aim) or stage.attach(aim)
        return f"{match['before']}{os.path.relpath(there, Path(place).parent)}{match['anchor'] or ''})"

    done = [piece if number % 2 else LINK.sub(link, piece) for number, piece in enumerate(pieces)]
    return "".join(piece + fence for piece, fence in zip(done, fences, strict=True))


def gather(stage: Stage) -> None:
    """Write all pages into the stage."""
    known = list(pages())
    stage.places |= {source: PurePosixPath(place) for source, place in known}
    if NOTEBOOK.is_file():
        stage.places[NOTEBOOK] = PurePosixPath("notebook.md")
        notebook_page(NOTEBOOK, stage.folder)
    for source, place in known:
        stage.write(place, relinked(source.read_text(encoding="utf-8"), source, place, stage))
    stage.write("reference/python.md", python_reference())
    stage.write("reference/http.md", http_reference())


def navigation(entries: list[Any], folder: Path) -> list[Any]:
    """The navigation without pages that do not exist, and with those that it forgot."""

    def existing(entry: Any) -> Any:
        if isinstance(entry, str):
            return entry if (folder / entry).is_file() else None
        ((title, inner),) = entry.items()
        kept = [found for one in inner if (found := existing(one)) is not None]
        return {title: kept} if kept else None

    def named(entry: Any) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        else:
            for inner in next(iter(entry.values())):
                yield from named(inner)

    kept = [found for entry in entries if (found := existing(entry)) is not None]
    told = {page for entry in kept for page in named(entry)}
    others = sorted(page.relative_to(folder).as_posix() for page in folder.rglob("*.md"))
    decisions = next(entry for entry in kept if isinstance(entry, dict) and "Project" in entry)["Project"]
    at = decisions.index("decisions/README.md")
    decisions[at] = {"Decisions": [page for page in others if page.startswith("decisions/")]}
    decisions[at]["Decisions"].sort(key=lambda page: (not page.endswith("README.md"), page))
    more = [page for page in others if page not in told and not page.startswith("decisions/")]
    return [*kept, {"More": more}] if more else kept


def foreign(site: Path) -> list[str]:
    """What a page of the site would fetch from other hosts; links that a reader may follow are none of it."""
    fetched = re.compile(
        r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(?:https?:)?//[^>]*>"""
        r"""|<link\b(?![^>]*rel=["']?(?:canonical|next|prev))[^>]*\bhref=["']?(?:https?:)?//[^>]*>"""
        r"""|(?:@import\s+|url\()["']?(?:https?:)?//[^;)]*"""
    )
    files = [file for file in sorted(site.rglob("*")) if file.suffix in {".html", ".css"}]
    return [
        f"{file.relative_to(site)}: {found}"
        for file in files
        for found in fetched.findall(file.read_text(encoding="utf-8"))
    ]


def main() -> None:
    """Build the site into a folder, or end with what is wrong."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "site").resolve()
    with tempfile.TemporaryDirectory() as work:
        stage = Stage(Path(work, "docs"))
        gather(stage)
        config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
        config |= {"nav": navigation(config["nav"], stage.folder), "docs_dir": "docs", "site_dir": "site"}
        config["plugins"][1]["mkdocstrings"]["handlers"]["python"]["paths"] = [str(ROOT / "src")]
        Path(work, "mkdocs.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        zensical = Path(sys.executable).with_name("zensical")
        built = subprocess.run(
            [zensical, "build", "--strict", "--config-file", Path(work, "mkdocs.yml")],
            env=os.environ | {"NO_COLOR": "1"},
            check=False,
        )
        if built.returncode:
            raise SystemExit("the site has faults; they are named above, by page and line")
        if hosts := foreign(Path(work, "site")):
            raise SystemExit("the site would fetch from other hosts:\n" + "\n".join(hosts))
        if target.exists():
            shutil.rmtree(target)
        shutil.copytree(Path(work, "site"), target)
    print(target / "index.html")


if __name__ == "__main__":
    main()
