"""The site: made without a network, and read in a real browser as a visitor does, from disk."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
from pathlib import Path

import pytest

from workshop.environments import CHECKOUT, SITE, set_up

sys.path.insert(0, str(CHECKOUT / "site"))
import diagrams

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HTML = CHECKOUT / "site" / "_build" / "html"
NOTEBOOKS = [path for folder in diagrams.FOLDERS for path in sorted((CHECKOUT / folder).glob("*.ipynb"))]


def test_each_diagram_is_drawn_and_none_is_left_over():
    read = (json.loads(path.read_text(encoding="utf-8")) for path in NOTEBOOKS)
    wanted = {diagrams.file_of(source).name for notebook in read for source in diagrams.sources(notebook)}
    assert {path.name for path in diagrams.DIAGRAMS.iterdir()} == wanted, "run `workshop diagrams`, with a Chromium"


def test_a_drawn_diagram_needs_nothing_from_elsewhere():
    for path in diagrams.DIAGRAMS.glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        assert text.startswith("<svg") and "<script" not in text and "@import" not in text, path.name
        assert 'href="http' not in text and "url(http" not in text, path.name


@pytest.mark.long
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_diagrams_are_drawn_in_their_order():
    named = ["flowchart TD\naccTitle: First\na[Ask] --> b[Answer]", "flowchart TD\naccTitle: Second\nc[Wait]"]
    first, second = diagrams.draw(named)
    assert "First</title>" in first and "Answer" in first
    assert "Second</title>" in second and "Wait" in second and "Answer" not in second


def without_network(command):
    """The command in a network namespace that has no routes, where this system lets one make such; else as it is."""
    alone = ["unshare", "--user", "--map-root-user", "--net"]
    can = shutil.which("unshare") and subprocess.run([*alone, "true"], capture_output=True, check=False).returncode == 0
    return [*alone, *command] if can else command


@pytest.fixture(scope="module")
def site(testrun_uid):
    """The folder of its pages, made once in a run, whichever of pytest's workers comes first."""
    import fcntl

    made = Path(tempfile.gettempdir(), f"workshop-site-{testrun_uid}")
    with made.open("a+", encoding="utf-8") as told:
        fcntl.flock(told, fcntl.LOCK_EX)
        told.seek(0)
        if not told.read():
            set_up([SITE])
            command = without_network([str(SITE.python), str(CHECKOUT / "site" / "build.py")])
            run = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
            assert run.returncode == 0, run.stdout + run.stderr
            told.write("made")
    return HTML


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here")
    start = tmp_path_factory.mktemp("browser") / "chromium"
    start.write_text("#!/bin/sh\nexec " + " ".join(without_network([CHROMIUM])) + ' "$@"\n')
    start.chmod(0o755)
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=str(start), args=["--no-sandbox"])
        yield running
        running.close()


def pages(site):
    return sorted(path for path in site.rglob("*.html") if "_static" not in path.parts)


@pytest.mark.long
@pytest.mark.xdist_group("site")
@pytest.mark.skipif(os.name == "nt", reason="stands in for the browser with a shell script")
class TestSite:
    def test_it_has_a_page_for_each_notebook(self, site):
        for path in NOTEBOOKS:
            assert (site / path.relative_to(CHECKOUT).with_suffix(".html")).exists()

    def test_each_page_opens_and_each_link_inside_leads_somewhere(self, site, browser):
        context = browser.new_context(viewport={"width": 390, "height": 800})
        page = context.new_page()
        asked, faults, links, anchors = [], [], {}, {}
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        for path in pages(site):
            page.goto(path.as_uri())
            seen = page.evaluate("""() => ({
                links: [...document.querySelectorAll("a[href]")].map(link => link.href),
                ids: [...document.querySelectorAll("[id]")].map(element => element.id),
                wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
                broken: [...document.images].filter(image => image.complete && !image.naturalWidth).map(i => i.src),
                silent: [...document.images].filter(image => !image.alt).map(image => image.src.slice(0, 80)),
                titles: document.querySelectorAll("article h1").length,
            })""")
            anchors[path] = set(seen["ids"])
            links[path] = [urllib.parse.urlsplit(link) for link in seen["links"]]
            name = path.relative_to(site)
            assert not seen["broken"] and not seen["silent"], (name, seen)
            assert seen["wide"] <= 0, f"{name} is {seen['wide']} pixels wider than a phone"
            assert seen["titles"] == 1 or name.name == "search.html", name
        for path, found in links.items():
            for link in found:
                if link.scheme == "file":
                    target = Path(urllib.parse.unquote(link.path))
                    assert target.exists(), f"{path.relative_to(site)} leads to {target}"
                    if link.fragment and target in anchors:
                        assert urllib.parse.unquote(link.fragment) in anchors[target], (path, link)
                else:
                    assert link.scheme in ("https", "http"), (path, link)
        assert not faults
        assert not [url for url in asked if not url.startswith(("file:", "data:"))]

    def test_a_lesson_its_lab_and_its_solution_lead_to_each_other(self, site, browser):
        page = browser.new_page()
        page.goto((site / "notebooks" / "01-polling-loop.html").as_uri())
        about = page.locator(".about")
        for name, title in (("Lab 01", "Lab 01: "), ("Solution 01", "Solution 01: "), ("Lesson 01", "Lesson 01: ")):
            about.get_by_role("link", name=name).click()
            playwright.expect(page.locator("article h1")).to_contain_text(title)

    def test_search_works_from_disk(self, site, browser):
        page = browser.new_page()
        page.goto((site / "search.html").as_uri() + "?q=reconciler")
        playwright.expect(page.locator("#search-results li").first).to_be_visible(timeout=60_000)

    def test_a_lab_tells_no_answer(self, site, browser):
        page = browser.new_page()
        page.goto((site / "labs" / "01-polling-loop.html").as_uri())
        assert page.locator(".cell_output").count() == 0
        page.goto((site / "solutions" / "01-polling-loop.html").as_uri())
        assert page.locator(".cell_output").count() > 5

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_text_can_be_told_from_its_ground(self, site, browser, scheme):
        """The contrast of WCAG's level AA, 4.5, of paragraphs, and of what outputs of HTML say."""
        page = browser.new_context(color_scheme=scheme).new_page()
        for name in ("notebooks/04-durable-functions", "solutions/01-polling-loop"):
            page.goto((site / f"{name}.html").as_uri())
            low = page.evaluate("""() => {
                const channels = text => (text.match(/[\\d.]+/g) || []).map(Number);
                const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
                    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
                    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
                const ground = element => {
                    for (; element; element = element.parentElement) {
                        const [r, g, b, a = 1] = channels(getComputedStyle(element).backgroundColor);
                        if (a > 0.5) return [r, g, b];
                    }
                    return [255, 255, 255];
                };
                return [...document.querySelectorAll(
                    "article p, article li, article td, article th, article caption, article summary")]
                    .filter(element => element.textContent.trim())
                    .map(element => {
                        const both = [light(channels(getComputedStyle(element).color)), light(ground(element))];
                        return [(Math.max(...both) + 0.05) / (Math.min(...both) + 0.05), element.textContent.trim()];
                    })
                    .filter(([contrast]) => contrast < 4.5).slice(0, 5);
            }""")
            assert low == [], f"{name}, {scheme}"
