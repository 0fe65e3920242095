"""`make lab` as a newcomer meets it: JupyterLab in a real browser, by keyboard, and all of it gone after Ctrl-C."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sys
import time
import urllib.parse
from pathlib import Path

import psutil
import pytest

from workshop.environments import CHECKOUT

pexpect = pytest.importorskip("pexpect", reason="Windows has no terminals of this kind")
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NOTEBOOKS = ("notebooks/00-start-here.ipynb", "notebooks/01-polling-loop.ipynb", "labs/01-polling-loop.ipynb")
_NOT_A_NEWCOMERS = ("BROWSER", "JUPYTER", "PYTEST", "WORKSHOP")
SECONDS = 300  # what anything may take on a busy machine; mostly it takes one


class Terminal:
    """`make lab` in a terminal of its own, with all that it keeps in `folder`.

    address: of the page that it opens; said: what it printed before that.
    """

    def __init__(self, folder, **environment):
        self.temporary = folder / "tmp"
        self.runtime = folder / "runtime"
        self.sandbox = folder / "state" / "sandbox"
        self.temporary.mkdir()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(_NOT_A_NEWCOMERS)},
            "WORKSHOP_STATE": str(folder / "state"),
            "TMPDIR": str(self.temporary),
            "JUPYTER_RUNTIME_DIR": str(self.runtime),
            "JUPYTER_DATA_DIR": str(folder / "data"),
            "JUPYTER_CONFIG_DIR": str(_configuration(folder)),
            "JUPYTERLAB_SETTINGS_DIR": str(_settings(folder)),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
            "IPYTHONDIR": str(folder / "ipython"),
            **environment,
        }
        # What a learner does; without make, what the Makefile does.
        make = shutil.which("make", path=self.environment["PATH"])
        command = [make, f"PYTHON={sys.executable}", "lab"] if make else [sys.executable, "-m", "workshop.cli", "lab"]
        self._child = pexpect.spawn(
            command[0], command[1:], cwd=str(CHECKOUT), env=self.environment, encoding="utf-8", timeout=SECONDS
        )

    def wait_until_it_answers(self):
        self._child.expect(r"http://127\.0\.0\.1:\d+/lab\S*\?token=\w+")
        self.address = self._child.after
        self.said = self._child.before
        # It prints its address a moment before it listens.
        address = urllib.parse.urlsplit(self.address)
        end = time.monotonic() + SECONDS
        while True:
            try:
                return socket.create_connection((address.hostname, address.port), timeout=SECONDS).close()
            except ConnectionRefusedError:
                assert time.monotonic() < end, "JupyterLab does not answer"
                time.sleep(0.02)

    def processes(self):
        """The commands of this `make lab`: itself, JupyterLab, kernels, the sandbox, handlers: {process: its words}."""
        family = set()
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):  # it has just ended, or belongs to somebody else
                if process.environ().get("WORKSHOP_STATE") == self.environment["WORKSHOP_STATE"]:
                    family |= {process, *process.children(recursive=True)}
        running = {}
        for process in family:
            with contextlib.suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE:
                    running[process] = " ".join(process.cmdline())
        return running

    def interrupt(self):
        """Ctrl-C; gives what was said from then on until the end."""
        self._child.sendintr()
        self._child.expect(pexpect.EOF)
        self._child.close()
        return self._child.before

    def hang_up(self):
        """Close the terminal's window; gives the processes that are left after a while."""
        processes = [process for process in self.processes() if process.pid != self._child.pid]
        self._child.ptyproc.fileobj.close()
        os.killpg(self._child.pid, signal.SIGHUP)  # as a shell does to what runs in it
        return psutil.wait_procs(processes, timeout=SECONDS)[1]

    def close(self):
        """However the test went, leave nothing running."""
        self._child.close(force=True)
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()


def _configuration(folder):
    """Configuration of the Jupyter server: its copies of opened notebooks belong here, not into the checkout.

    And a port of its own: the server looks for a free one, but takes it later, and two at once may find the same.
    """
    (folder / "config").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    configuration = {
        "FileCheckpoints": {"checkpoint_dir": str(folder / "checkpoints")},
        "ServerApp": {"port": port},
    }
    (folder / "config" / "jupyter_server_config.json").write_text(json.dumps(configuration))
    return folder / "config"


def _settings(folder):
    """JupyterLab's settings: never save by itself."""
    plugin = folder / "settings" / "@jupyterlab" / "docmanager-extension" / "plugin.jupyterlab-settings"
    plugin.parent.mkdir(parents=True)
    plugin.write_text('{"autosave": false}')
    return folder / "settings"


class Notebook:
    """The notebook that JupyterLab shows, used by keyboard."""

    def __init__(self, page, path):
        self.page = page
        self._sources = ["".join(cell["source"]) for cell in json.loads((CHECKOUT / path).read_bytes())["cells"]]
        self.panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        self._cells = self.panel.locator(".jp-Cell")
        expect(page.locator(".lm-TabBar-tab.lm-mod-current[data-type=document-title]")).to_have_text(Path(path).name)
        expect(self._cells).to_have_count(len(self._sources))
        expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle")
        # The lessons come with outputs; what is seen from here on was made here.
        page.get_by_role("menuitem", name="Edit", exact=True).click()
        page.get_by_role("menuitem", name="Clear Outputs of All Cells").click()
        expect(self.panel.locator(".jp-OutputArea-output")).to_have_count(0)

    def run_to(self, text):
        """Shift+Enter from the active cell to the one whose source contains the text; gives it when it has run."""
        while True:
            number = self._active()
            self.page.keyboard.press("Shift+Enter")
            expect(self._cells.nth(number + 1)).to_contain_class("jp-mod-active")
            if text in self._sources[number]:
                expect(self._cells.nth(number).locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]:"))
                return self._cells.nth(number)

    def skip_to(self, text):
        """With the arrow keys to the cell whose source contains the text; what stands between is not run."""
        while text not in self._sources[self._active()]:
            number = self._active()
            self.page.keyboard.press("ArrowDown")
            expect(self._cells.nth(number + 1)).to_contain_class("jp-mod-active")

    def _active(self):
        """The number of the cell that the keyboard is at."""
        return self._cells.evaluate_all("cells => cells.findIndex(cell => cell.matches('.jp-mod-active'))")


def said_by(cell):
    """The lines of text that a cell put out."""
    return cell.locator(".jp-OutputArea").inner_text().strip().splitlines()


@pytest.fixture
def make_lab(tmp_path):
    """A function that runs `make lab` in a new terminal, with variables of the environment if need be."""
    started = []
    before = [(CHECKOUT / path).read_bytes() for path in NOTEBOOKS]

    def make_lab(**environment):
        started.append(Terminal(tmp_path, **environment))
        started[-1].wait_until_it_answers()
        return started[-1]

    yield make_lab
    for terminal in started:
        terminal.close()
    assert [(CHECKOUT / path).read_bytes() for path in NOTEBOOKS] == before, "a notebook was saved"


@pytest.fixture
def page():
    if not CHROMIUM:
        pytest.skip("there is no Chromium on this machine: on Debian, apt-get install chromium")
    with playwright.sync_playwright() as driver:
        # A container has no room for Chromium's own sandbox and shared memory. The pages are ours.
        options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=options)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(SECONDS * 1000)
        expect.set_options(timeout=SECONDS * 1000)
        yield page
        browser.close()


def test_a_newcomer_runs_the_first_cells_and_ends_it_all(make_lab, page):
    terminal = make_lab()
    page.goto(terminal.address)

    # Lesson 00 is what opens. Its first cell says where code runs; the toy task is seen to fail, then to pass.
    lesson = Notebook(page, NOTEBOOKS[0])
    line = said_by(lesson.run_to("%load_ext workshop"))
    endpoint = json.loads((terminal.sandbox / "state.json").read_text())["endpoint"]
    assert line == [f"sandbox · account 111122223333 · us-east-1 · {endpoint}"]
    refused = said_by(lesson.run_to("lab.check(1)"))
    assert refused[0] == "Exercise 1: not attempted" and 2 <= len(refused) <= 4
    lesson.run_to("put_item")
    assert said_by(lesson.run_to("lab.check(1)")) == ["Exercise 1: done. The table you-00-airports holds ZRH, Zurich."]

    # What is folded away opens by keyboard.
    details = lesson.panel.locator("details").first
    details.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(details).to_have_attribute("open", "")

    # The link at its end leads to lesson 01, whose state machine is drawn, with words for who cannot see it.
    lesson.panel.get_by_role("link", name="01-polling-loop").click()
    lesson = Notebook(page, NOTEBOOKS[1])
    lesson.run_to("airports = migration(")
    lesson.skip_to("arn = airports.arn")
    figure = lesson.run_to("draw(loop)").locator("figure")
    graph = figure.get_by_role("img", name="A state machine")  # who hears the page hears this, and then the words
    assert graph.get_attribute("src").startswith("data:image/svg+xml")
    page.wait_for_function("picture => picture.complete && picture.height > 300", arg=graph.element_handle())
    assert (
        "Done? (Choice) / if $states.input.Status = 'stopped', then Go on" in figure.locator("figcaption").inner_text()
    )

    # So does the one to lab 01, whose first check says in a few lines that there is no answer yet.
    lesson.panel.get_by_role("link", name="01-polling-loop").click()
    lab = Notebook(page, NOTEBOOKS[2])
    refused = said_by(lab.run_to("lab.check(1)"))
    assert refused[0] == "Exercise 1: not attempted" and 2 <= len(refused) <= 4

    # Run All stops at that check again, and there the learner is afterwards. The tab says that this is the lab.
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Run All Cells")).click()
    stopped = lab.panel.locator(".jp-Cell.jp-mod-active")
    expect(stopped).to_contain_text("Exercise 1: not attempted")
    expect(stopped).to_be_in_viewport()
    tab = page.locator(".lm-TabBar-tab.lm-mod-current[data-type=document-title] .lm-TabBar-tabLabel")
    assert tab.evaluate("label => getComputedStyle(label, '::before').content") == '"Lab "'

    # Ctrl-C, and nothing is left: not JupyterLab, not one of the three kernels, not the sandbox.
    running = terminal.processes().values()
    assert sum("ipykernel" in command for command in running) == 3
    assert sum("jupyterlab" in command for command in running) == 1
    assert sum("-m sandbox" in command for command in running) == 1
    assert terminal.interrupt().strip().splitlines()[-1] == "JupyterLab and the sandbox have ended."
    assert not terminal.processes()
    assert not list(terminal.temporary.iterdir()) and not (terminal.sandbox / "tmp").exists()
    assert [path.name for path in terminal.runtime.iterdir()] == ["jupyter_cookie_secret"]


def test_the_address_is_printed_where_there_is_no_browser(make_lab):
    everything_but_browsers = os.pathsep.join(
        folder
        for folder in os.environ["PATH"].split(os.pathsep)
        if not any(shutil.which(browser, path=folder) for browser in ("www-browser", "w3m", "lynx", "links", "elinks"))
    )
    terminal = make_lab(PATH=everything_but_browsers, DISPLAY="", WAYLAND_DISPLAY="")
    assert terminal.address.partition("?")[0].endswith("/lab/tree/notebooks/00-start-here.ipynb")
    assert "Traceback" not in terminal.said
    terminal.interrupt()


def test_the_browser_is_opened_where_there_is_one_and_a_closed_terminal_ends_it_too(make_lab, tmp_path):
    opened = tmp_path / "opened"
    os.mkfifo(opened)
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{opened}"\n')
    browser.chmod(0o755)
    terminal = make_lab(BROWSER=f"{browser} %s")
    page = opened.read_text().strip()  # a page of JupyterLab's own that leads on, so that no token is on a command line
    assert terminal.address.partition("?")[0].rpartition("/lab/")[2] in Path(page.removeprefix("file://")).read_text(
        encoding="utf-8"
    )
    assert not terminal.hang_up()
    assert not list(terminal.temporary.iterdir())
