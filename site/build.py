"""Makes the site from the notebooks as they are stored; `make site` runs it with the Python of site/.venv.

It needs no network and no browser, and runs no cell. What Sphinx reads is a copy of the notebooks in which
- a diagram in mermaid's language is the SVG that `workshop solutions` has stored for it (diagrams/),
- a picture has its words as alternative text, and shows them on demand,
- a page says beside its title what it is, and which pages belong to it.
"""

import base64
import html
import json
import re
import shutil
import sys
import tomllib
from pathlib import Path

import diagrams
from sphinx.cmd.build import main as sphinx

SITE = Path(__file__).resolve().parent
CHECKOUT = SITE.parent
SOURCE = SITE / "_build" / "source"
HTML = SITE / "_build" / "html"

DATA = "workshop/data/README.md"
ORIGIN = "ORIGIN.md"
KINDS = {"notebooks": "Lesson", "labs": "Lab", "solutions": "Solution"}
_CODE_SPAN = re.compile(r"`((?:notebooks|labs|solutions)/[\w-]+\.ipynb)`")


class SiteError(Exception):
    """The site cannot be made; the message says what to do."""


def stage():
    """Write what Sphinx reads into SOURCE."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    SOURCE.mkdir(parents=True)
    for name in ("README.md", ORIGIN, "site/index.md"):
        shutil.copy(CHECKOUT / name, SOURCE)
    (SOURCE / DATA).parent.mkdir(parents=True)
    shutil.copy(CHECKOUT / DATA, SOURCE / DATA)
    shutil.copytree(CHECKOUT / "notebooks" / "images", SOURCE / "notebooks" / "images")
    contents = _binder()
    for folder, kind in KINDS.items():
        contents += f"\n```{{toctree}}\n:hidden:\n:caption: {kind}s\n\n"
        for path in sorted((CHECKOUT / folder).glob("*.ipynb")):
            target = SOURCE / folder / path.name
            target.parent.mkdir(exist_ok=True)
            target.write_text(json.dumps(page(path)), encoding="utf-8")
            contents += f"{folder}/{path.stem}\n"
        contents += "```\n"
    contents += f"\n```{{toctree}}\n:hidden:\n:caption: More\n\n{ORIGIN}\n{DATA}\n```\n"
    with open(SOURCE / "index.md", "a", encoding="utf-8") as index:
        index.write(contents)


def anchor(title):
    """A heading's anchor as JupyterLab makes it: links inside of a notebook are written so."""
    return title.replace(" ", "-")


def _binder():
    """A line for the front page, once pyproject.toml names a repository that Binder can fetch; else nothing."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)/?", project.get("urls", {}).get("Repository", ""))
    if not found:
        return ""
    link = f"https://mybinder.org/v2/gh/{found[1]}/HEAD?urlpath=lab/tree/notebooks/00-start-here.ipynb"
    return f"\n**With nothing to install:** [open it on Binder]({link}). Binder is public: put no credentials there.\n"


def page(path):
    """A notebook as the site shows it: a dict of nbformat."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            source = diagrams.FENCE.sub(lambda found: _figure(found[1].strip()), "".join(cell["source"]))
            cell["source"] = _CODE_SPAN.sub(lambda found: _link(path, found[1]), source)
        elif cell["cell_type"] == "code":
            cell["outputs"] = _outputs(cell["outputs"])
    title, _, rest = "".join(notebook["cells"][0]["source"]).partition("\n")
    name = f"{KINDS[path.parent.name]} {path.stem[:2]}"
    title = re.sub(r"^# (Lab \d+: )?", f"# {name}: ", title)
    notebook["cells"][0]["source"] = f"{title}\n\n{_relatives(path)}\n{rest}"
    return notebook


def _relatives(path):
    """A line under the title: how the page is meant, and where the pages of the same number are."""
    what = {
        "notebooks": "A lesson with the outputs of one run. To run it yourself, see [how to start](../index.md#start).",
        "labs": "The exercises, to read. To do them, see [how to start](../index.md#start).",
        "solutions": "The solved lab, with the outputs of one run. **It tells all answers.**",
    }[path.parent.name]
    links = [
        f"[{kind} {path.stem[:2]}](../{folder}/{path.name})"
        for folder, kind in KINDS.items()
        if folder != path.parent.name and (CHECKOUT / folder / path.name).exists()
    ]
    return f":::{{container}} about\n{what}\n\n{' · '.join(links)}\n:::\n"


def _link(path, target):
    """A code span that names a notebook, as a link to its page."""
    if not (CHECKOUT / target).exists():
        raise SiteError(f"{path.relative_to(CHECKOUT)} names {target}, which is not there.")
    return f"[{Path(target).stem}](../{target})"


def _outputs(outputs):
    kept, words = [], None
    for output in outputs:
        data = output.get("data", {})
        text = "".join(data.get("text/plain", ""))
        if "text/vnd.mermaid" in data:
            output = _html(_figure("".join(data["text/vnd.mermaid"]).strip(), text))
        elif "image/png" in data:
            words = text
            output = _html(_picture("image/png", base64.b64decode("".join(data["image/png"])), text))
        elif words and list(data) == ["text/plain"] and text == words:
            continue  # the same words again, for those who do not see the picture: they are folded below it
        kept.append(output)
    return kept


def _html(text):
    return {"output_type": "display_data", "metadata": {}, "data": {"text/html": text, "text/plain": ""}}


def _figure(mermaid, words=None):
    """A diagram as a picture. words: the same as text; by default what the diagram says of itself."""
    file = diagrams.file_of(mermaid)
    if not file.exists():
        raise SiteError(f"site/diagrams lacks {file.name}: run `workshop diagrams`. It draws this:\n{mermaid[:300]}")
    if words is None:
        words = ". ".join(re.findall(r"^\s*acc(?:Title|Descr): *(.*)$", mermaid, re.MULTILINE))
    return _picture("image/svg+xml", file.read_bytes(), words)


def _picture(kind, content, words):
    """An image as HTML. kind: its media type; content: bytes; words: the same as text, folded below it."""
    width = _width(kind, content)
    source = f"data:{kind};base64,{base64.b64encode(content).decode()}"
    # As wide as it was drawn where there is room; never so small that its text cannot be read: then it scrolls.
    style = f"width: {width}px; min-width: {width // 2}px"
    short = html.escape(words.strip().split("\n")[0])
    return (
        f'<figure class="picture"><div><img style="{style}" src="{source}" alt="{short}"></div>'
        f"<details><summary>The picture in words</summary><pre>{html.escape(words.strip())}</pre></details></figure>"
    )


def _width(kind, content):
    if kind == "image/png":
        return int.from_bytes(content[16:20], "big")
    return round(float(re.search(rb'viewBox="\S+ \S+ (\S+) \S+"', content)[1]))


def main():
    try:
        stage()
    except SiteError as error:
        sys.exit(str(error))
    shutil.rmtree(HTML, ignore_errors=True)
    status = sphinx(["-b", "html", "-c", str(SITE), "-d", str(SITE / "_build" / "trees"), "-q", "-W", "--keep-going",
                     str(SOURCE), str(HTML)])  # fmt: skip
    if status == 0:
        print(f"The site is in {HTML.relative_to(CHECKOUT)}; open index.html.")
    return status


if __name__ == "__main__":
    sys.exit(main())
