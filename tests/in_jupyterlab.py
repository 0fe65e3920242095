"""A notebook in JupyterLab in a real browser, with nothing of the user in it: `with notebook(folder, code) as page`."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time

import pytest

SECONDS = 300  # what anything may take on a very busy machine; mostly it takes one


@contextlib.contextmanager
def notebook(folder, *cells):
    """The page of a notebook with these cells of code; its kernel has this process's account and sandbox."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not chromium:
        pytest.skip("there is no Chromium on this machine: on Debian, apt-get install chromium")
    with _server(folder, cells) as address, playwright.sync_playwright() as driver:
        options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = driver.chromium.launch(executable_path=chromium, args=options)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(SECONDS * 1000)
        playwright.expect.set_options(timeout=SECONDS * 1000)
        page.goto(address)
        playwright.expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle")
        page.locator(".jp-Cell").first.click()
        yield page
        browser.close()


@contextlib.contextmanager
def _server(folder, cells):
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}}
    document["metadata"]["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    document["cells"] = [
        {
            "id": f"c{number}",
            "cell_type": "code",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "source": code,
        }
        for number, code in enumerate(cells)
    ]
    (folder / "files").mkdir()
    (folder / "files" / "tried.ipynb").write_text(json.dumps(document))
    own = {f"JUPYTER_{name}": str(folder / name) for name in ("DATA_DIR", "CONFIG_DIR", "RUNTIME_DIR")}
    own |= {f"JUPYTERLAB_{name}_DIR": str(folder / name) for name in ("SETTINGS", "WORKSPACES")}
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--ServerApp.allow_root=True", "--ServerApp.port=0",
        f"--ServerApp.root_dir={folder / 'files'}", "--LabApp.extension_manager=readonly",
    ]  # fmt: skip
    with open(folder / "jupyterlab.log", "w", encoding="utf-8") as log:
        server = subprocess.Popen(command, env={**os.environ, **own}, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield _address(folder / "RUNTIME_DIR", server)
    finally:
        server.terminate()
        server.wait()


def _address(runtime, server):
    end = time.monotonic() + SECONDS
    while server.poll() is None and time.monotonic() < end:
        for path in runtime.glob("jpserver-*.json"):
            with contextlib.suppress(ValueError):  # it is being written
                found = json.loads(path.read_text())
                return f"{found['url']}lab/tree/tried.ipynb?token={found['token']}"
        time.sleep(0.05)
    raise RuntimeError("JupyterLab did not start.")
