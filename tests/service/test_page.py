"""The page in a real browser: from a picture to its verdict, map, report and history; with errors; for everybody."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

from deepfake_detector.service.db.engine import Database
from deepfake_detector.service.db.keys import KeyStore
from deepfake_detector.service.jobs.folder import Folder
from deepfake_detector.service.routes.page import WEB

PATIENCE = 90_000
"""Milliseconds; a busy machine is slow."""

SIZES = [(360, 740), (1280, 900), (3840, 2160)]


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium; for this module alone, since Playwright's event loop is in the way of others."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is not installed; .ci/run installs it")
        pytest.skip("Chromium is not installed: apt-get install chromium")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=program, args=["--no-sandbox"], timeout=PATIENCE)


@pytest.fixture
def open_page(browser):
    """``open_page(address, width=1280)``; fails if the page complained, or asked anything of another host."""
    contexts, complaints = [], []

    def open_(address, width=1280, height=900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
        page.on(
            "request", lambda asked: None if asked.url.startswith((address, "data:")) else complaints.append(asked.url)
        )
        page.goto(address)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(open_page, server):
    opened = open_page(server.address)
    expect(opened.locator("#work")).to_be_visible()
    return opened


@pytest.fixture
def photo(tmp_path, portrait):
    path = tmp_path / "portrait.jpg"
    path.write_bytes(portrait)
    return path


def upload(page, *files):
    page.set_input_files("#files", [str(file) for file in files])


def cards(page, number):
    found = page.locator("article.result")
    expect(found).to_have_count(number)
    return found


def violations(page):
    found = Axe().run(page).response["violations"]
    return [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found]


def test_from_a_picture_to_its_verdict_and_report(page, photo):
    upload(page, photo)
    card = cards(page, 1).first
    expect(card.locator("h3")).to_have_text("portrait.jpg")
    expect(card.locator(".verdict strong")).to_have_text(re.compile("^(Fake|Real|Uncertain)$"))
    expect(card.locator(".scale p")).to_have_text(re.compile(r"Probability of a fake: \d+ %"))
    expect(card.locator("svg .box")).to_have_count(1)
    expect(card.locator("tbody tr")).to_have_count(1)
    expect(page.locator("#status")).to_have_text(re.compile("^portrait.jpg: (fake|real|uncertain)"))
    assert card.locator(".stack img").first.evaluate("image => image.decode().then(() => image.naturalWidth)") == 512
    card.get_by_label("Show face boxes").uncheck()
    expect(card.locator(".stack svg")).to_be_hidden()
    with page.context.expect_page() as opened:
        card.get_by_role("link", name="Open the report").click()
    expect(opened.value.locator("h1")).to_have_text("Deepfake report")
    with page.expect_download() as saved:
        card.get_by_role("link", name="Save the report").click()
    assert saved.value.suggested_filename.startswith("deepfake-report-")


def reopened(page, change):
    """The card of the newest analysis, opened from the history, after ``change(answer)``."""

    def changed(route):
        answer = route.fetch().json()
        change(answer)
        route.fulfill(json=answer)

    page.route(re.compile("/v1/analyses/[0-9a-f]{32}$"), changed)
    page.locator("#history button").first.click()
    expect(page.locator("article.result h3")).to_be_focused()
    return page.locator("article.result")


def test_uncertain_is_explained(page, photo):
    upload(page, photo)
    cards(page, 1)

    def unsure(answer):
        answer["report"]["verdict"] = answer["verdict"] = "uncertain"

    card = reopened(page, unsure)
    expect(card.locator(".verdict strong")).to_have_text("Uncertain")
    expect(card).to_contain_text("That is an answer")


def test_a_heat_map_can_be_faded_in(page, photo):
    upload(page, photo)
    card = cards(page, 1).first
    drawn = card.locator("img.map")
    assert drawn.evaluate("image => image.decode().then(() => image.naturalWidth)") == 512
    card.get_by_label("Heat map").focus()
    for key, opacity in (("Home", "0"), ("End", "1")):
        page.keyboard.press(key)
        expect(drawn).to_have_css("opacity", opacity)


def test_the_reasons_and_the_provenance_stand_beside_the_score(page, photo):
    upload(page, photo)
    card = cards(page, 1).first
    expect(card.get_by_role("heading", name="Where the score comes from")).to_be_visible()
    expect(card).to_contain_text("Saved again in 4 light ways")
    said = card.get_by_role("heading", name="What the file says of itself").locator("..")
    expect(said).to_contain_text("never part of it")
    expect(said).to_contain_text("It names a camera: SECRET-CAMERA")
    with page.context.expect_page() as opened:
        card.get_by_role("link", name="Forensic views").click()
    expect(opened.value.locator("h1")).to_have_text("Forensic views")
    with page.expect_download() as saved:
        card.get_by_role("link", name="Download as data").click()
    assert json.loads(saved.value.path().read_text())["answer"]["faces"]


def test_without_a_heat_map_none_is_promised(page, photo):
    upload(page, photo)
    cards(page, 1)

    def without_map(answer):
        answer["links"]["heatmaps"] = [None]

    card = reopened(page, without_map)
    expect(card).to_contain_text("There is no heat map")
    expect(card.locator("input[type=range]")).to_have_count(0)


def test_a_video_is_followed_and_shown_with_its_timeline(page, film, tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(film)

    def halfway(route):
        link = route.request.url.removesuffix("/events")
        answer = page.request.get(link).json() | {"state": "running", "progress": 0.43, "seconds_left": 75.2}
        route.fulfill(content_type="text/event-stream", body=f"event: progress\ndata: {json.dumps(answer)}\n\n")

    page.route(re.compile("/events$"), halfway, times=1)
    upload(page, path)
    expect(page.locator(".busy label")).to_have_text("43 % done, about 1:15 left")
    card = cards(page, 1).first
    expect(card.locator(".curve .line")).to_have_count(1)
    expect(card.locator("svg .box")).to_have_count(1)
    slider = card.get_by_label("Frame")
    shown = card.locator(".stack img")
    slider.focus()
    page.keyboard.press("Home")
    expect(shown).to_have_attribute("src", re.compile("/frames/50.jpg$|/frames/0.jpg$"))
    page.keyboard.press("End")
    expect(card.locator("figcaption")).to_contain_text("0:01.1 of 0:01.2")
    assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") == 320
    card.locator(".curve").click(position={"x": 2, "y": 10})
    expect(card.locator("figcaption")).to_contain_text("0:00.0 of")
    expect(card.locator("tbody")).to_contain_text("seen in 12 frames")
    assert violations(page) == []


def test_a_wrong_file_is_refused_in_words(page, tmp_path):
    text = tmp_path / "letter.jpg"
    text.write_text("Dear Sir or Madam")
    upload(page, text)
    expect(page.get_by_role("alert")).to_contain_text("letter.jpg is not a picture or a video")
    expect(page.locator("#sending")).to_be_hidden()
    expect(page.locator("article")).to_have_count(0)


def test_a_file_that_is_too_big_is_not_even_sent(page, tmp_path):
    big = tmp_path / "big.tif"
    with big.open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    sent = []
    page.on("request", lambda asked: sent.append(asked) if asked.method == "POST" else None)
    upload(page, big)
    expect(page.get_by_role("alert")).to_contain_text("big.tif has 68 MB; the limit is 67 MB")
    assert sent == []


def test_several_files_are_followed_to_their_ends(page, photo, tmp_path, png):
    grey, broken = tmp_path / "grey.png", tmp_path / "broken.png"
    grey.write_bytes(png)
    broken.write_bytes(png[:60])
    upload(page, photo, grey, broken)
    found = cards(page, 3)
    assert found.locator("h3").all_inner_texts() == ["portrait.jpg", "grey.png", "broken.png"]
    expect(found.nth(1).locator(".verdict strong")).to_have_text("No face")
    expect(found.nth(2).locator(".verdict strong")).to_have_text("Not analysed")
    expect(page.locator("progress:visible")).to_have_count(0)


def test_files_can_be_dropped_and_pasted(page, portrait):
    give = """([kind, bytes]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], `${kind}.jpg`, {type: "image/jpeg"}));
        const event = kind === "drop" ? new DragEvent(kind, {dataTransfer: transfer, bubbles: true, cancelable: true})
            : new ClipboardEvent(kind, {clipboardData: transfer, bubbles: true});
        document.body.dispatchEvent(event);
    }"""
    for number, kind in enumerate(("drop", "paste"), 1):
        page.evaluate(give, [kind, list(portrait)])
        expect(cards(page, number).first.locator("h3")).to_have_text(f"{kind}.jpg")


def test_history_is_filtered_opened_and_deleted(page, tmp_path, png):
    file = tmp_path / "for history.png"
    file.write_bytes(png)
    upload(page, file)
    cards(page, 1)
    page.reload()
    page.get_by_label("Show", exact=True).select_option("verdict=no_face")
    line = page.locator("#history li", has_text="for history.png").first
    expect(line).to_contain_text("without a face")
    line.get_by_role("button").click()
    card = cards(page, 1).first
    expect(card.locator("h3")).to_be_focused()
    named = page.locator("#history li", has_text="for history.png")  # the list is cut at a page's length
    before = named.count()
    card.get_by_role("button", name="Delete for history.png").click()
    expect(page.locator("article")).to_have_count(0)
    expect(named).to_have_count(before - 1)
    expect(page.locator("#status")).to_have_text("for history.png was deleted.")


def test_everything_can_be_reached_with_the_keyboard(page, photo):
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#files")).to_be_focused()
    assert page.locator(".drop .button").evaluate("button => getComputedStyle(button).outlineStyle") == "solid"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_label("at most about this many")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_to_object_to(open_page, server, photo, scheme):
    page = open_page(server.address, color_scheme=scheme)
    expect(page.locator("#work")).to_be_visible()
    assert violations(page) == []
    upload(page, photo)
    cards(page, 1)
    for summary in page.locator("summary").all():
        summary.click()
    assert violations(page) == []


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1440, "light")])
def test_axe_finds_nothing_to_object_to_in_reports(browser, http, portrait, tmp_path, width, scheme):
    answer = http.post("/v1/analyses", files={"file": ("a.jpg", portrait)}, data={"explain": "true"}).json()
    for name in ("report", "forensic"):
        file = tmp_path / f"{name}.html"
        file.write_bytes(http.get(answer["links"][name]).content)
        # Their own policy would keep axe out.
        page = browser.new_page(bypass_csp=True, viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.set_default_timeout(PATIENCE)
        page.goto(file.as_uri())
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.close()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_nothing_is_wider_than_the_window(open_page, server, photo, width, height):
    page = open_page(server.address, width, height)
    expect(page.locator("#work")).to_be_visible()
    upload(page, photo)
    cards(page, 1)
    page.locator("article summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_logging_in_and_out(open_page, serve, tmp_path, tiny_bundle):
    Folder(tmp_path)
    database = Database(f"sqlite:///{tmp_path / 'service.sqlite3'}")
    database.migrate()
    secret = KeyStore(database).create("press office").secret
    database.close()
    server = serve(tmp_path, "--model", tiny_bundle, "--workers", 1, "--keys", "required")
    page = open_page(server.address)
    field = page.get_by_label("API key")
    field.fill("dfk_wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("the key is wrong")
    assert violations(page) == []
    field.fill(secret)
    page.keyboard.press("Enter")
    expect(page.locator("#who")).to_contain_text("press office")
    assert secret not in page.content() + page.url
    assert page.evaluate("document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)") == "{}{}"
    page.get_by_role("button", name="Log out").click()
    expect(field).to_be_visible()


def test_every_word_on_the_page_stands_in_one_place():
    words = json.loads((WEB / "strings.json").read_text(encoding="utf-8"))
    template = (WEB / "page.html.j2").read_text(encoding="utf-8")
    scripts = "".join(path.read_text(encoding="utf-8") for path in sorted(Path(WEB / "assets").glob("*.js")))
    used = set(re.findall(r"\bt\.(\w+)", template)) | set(re.findall(r"\bsay\(\s*\"(\w+)\"", scripts))
    assert used <= set(words)
    families = ("headline_", "meaning_", "filter_", "state_", "scale_", "point_")
    named = set(re.findall(r'"(\w+)"', scripts))
    assert {word for word in words if word not in used | named and not word.startswith(families)} == set()
    body = re.sub(r"<[^>]*>|{[{%].*?[%}]}", "", template.partition("<body>")[2])
    assert body.split() == []
