"""The diagrams of the notebooks, drawn once and kept as SVG, so that the site is made without a browser.

`workshop diagrams` draws what is missing and takes away what nothing shows any more; `workshop solutions` ends with
it. JupyterLab draws them in Chromium, so they are what a learner sees. A file's name comes from the diagram's source,
so one that has changed is one that is missing.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

SITE = Path(__file__).resolve().parent
CHECKOUT = SITE.parent
DIAGRAMS = SITE / "diagrams"
FOLDERS = ("notebooks", "labs", "solutions")
FENCE = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 120  # for JupyterLab to start, and to draw, on a busy machine


def sources(notebook):
    """The sources of a notebook's diagrams, in mermaid's language, from markdown and outputs. notebook: a dict."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            yield from FENCE.findall("".join(cell["source"]))
        for output in cell.get("outputs", []):
            if "text/vnd.mermaid" in output.get("data", {}):
                yield "".join(output["data"]["text/vnd.mermaid"])


def file_of(source):
    """Where the diagram of this source is kept; it may be missing."""
    return DIAGRAMS / (hashlib.sha256(source.strip().encode()).hexdigest()[:16] + ".svg")


def update():
    """Draw what is missing, take away what nothing shows; returns how many were drawn. Raises RuntimeError."""
    wanted = {}
    for folder in FOLDERS:
        for path in sorted((CHECKOUT / folder).glob("*.ipynb")):
            for source in sources(json.loads(path.read_text(encoding="utf-8"))):
                wanted[file_of(source)] = source
    for path in set(DIAGRAMS.glob("*.svg")) - set(wanted):
        path.unlink()
    missing = {path: source for path, source in wanted.items() if not path.exists()}
    if missing:
        DIAGRAMS.mkdir(exist_ok=True)
        for path, svg in zip(missing, draw(list(missing.values())), strict=True):
            path.write_text(svg.rstrip("\n") + "\n", encoding="utf-8", newline="\n")
    return len(missing)


def draw(diagrams):
    """The diagrams of these sources as SVG: a list of texts. Raises RuntimeError where there is no Chromium."""
    from playwright.sync_api import expect, sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        raise RuntimeError("The diagrams cannot be drawn: there is no Chromium here. Install it, and run this again.")
    with _jupyterlab(diagrams) as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(address, timeout=SECONDS * 1000)
        drawn = page.locator(".jp-RenderedMermaid img")
        expect(drawn).to_have_count(len(diagrams), timeout=SECONDS * 1000)
        addresses = drawn.evaluate_all("pictures => pictures.map(picture => picture.src)")
        browser.close()
    svgs = [urllib.parse.unquote(each.partition(",")[2]) for each in addresses]
    return [svg[svg.index("<svg") :] for svg in svgs]  # without a head that names the place of a DTD


@contextlib.contextmanager
def _jupyterlab(diagrams):
    """A JupyterLab of its own; gives the address of a notebook that shows the diagrams, a cell each."""
    with tempfile.TemporaryDirectory(prefix="workshop-diagrams-") as folder:
        cells = [
            {"id": f"d{i}", "cell_type": "markdown", "metadata": {}, "source": f"```mermaid\n{source.strip()}\n```"}
            for i, source in enumerate(diagrams)
        ]
        notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
        Path(folder, "files").mkdir()
        Path(folder, "files", "diagrams.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
        own = ("DATA_DIR", "CONFIG_DIR", "RUNTIME_DIR")
        environment = {**os.environ, **{f"JUPYTER_{name}": str(Path(folder, name)) for name in own}}
        environment.update({f"JUPYTERLAB_{name}_DIR": str(Path(folder, name)) for name in ("SETTINGS", "WORKSPACES")})
        command = [
            sys.executable, "-m", "jupyterlab", "--no-browser", "--ServerApp.allow_root=True", "--ServerApp.port=0",
            f"--ServerApp.root_dir={Path(folder, 'files')}", "--Application.log_level=ERROR",
            "--LabApp.extension_manager=readonly",
        ]  # fmt: skip
        server = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            yield _address(Path(folder, "RUNTIME_DIR"), server)
        finally:
            server.terminate()
            server.wait()


def _address(runtime, server):
    end = time.monotonic() + SECONDS
    while server.poll() is None and time.monotonic() < end:
        for path in runtime.glob("jpserver-*.json"):
            with contextlib.suppress(ValueError):
                found = json.loads(path.read_text())
                return f"{found['url']}lab/tree/diagrams.ipynb?token={found['token']}"
        time.sleep(0.05)
    raise RuntimeError("JupyterLab did not start, so no diagram was drawn.")


def main():
    try:
        print(f"site/diagrams: {update()} drawn.")
    except RuntimeError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
