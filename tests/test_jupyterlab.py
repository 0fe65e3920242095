"""What `workshop/jupyterlab.js` adds to JupyterLab, in a real browser."""

import json

import pytest

from tests.in_jupyterlab import notebook

LINK = 'from IPython.display import Markdown\nMarkdown("[a word](words.ipynb#Words)")'


@pytest.mark.takes(30)
def test_a_link_to_a_word_of_a_notebook_that_is_not_open_yet_leads_to_the_word(tmp_path):
    texts = [*["A line.\n\n" * 200] * 5, "## Words", *["A line.\n\n" * 200] * 5]
    cells = [
        {"id": f"m{number}", "cell_type": "markdown", "metadata": {}, "source": text}
        for number, text in enumerate(texts)
    ]
    words = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    with notebook(tmp_path, LINK) as page:
        (tmp_path / "files" / "words.ipynb").write_text(json.dumps(words))
        page.keyboard.press("Shift+Enter")
        page.get_by_role("link", name="a word").click()
        heading = page.get_by_role("heading", name="Words")
        heading.wait_for()
        page.wait_for_function(
            "heading => { const at = heading.getBoundingClientRect().top; return 0 < at && at < innerHeight; }",
            arg=heading.element_handle(),
        )


DIAGRAM = """from IPython.display import display
display({"text/vnd.mermaid": "flowchart TD\\nA --> B"}, raw=True)"""


@pytest.mark.takes(30)
def test_a_diagram_is_seen_in_another_theme_than_the_one_in_which_it_was_drawn(tmp_path):
    with notebook(tmp_path, DIAGRAM) as page:
        page.keyboard.press("Shift+Enter")
        diagram = page.locator(".jp-RenderedMermaid")
        diagram.wait_for()
        assert page.evaluate("document.body.dataset.jpThemeLight") == "true"
        page.evaluate("document.body.dataset.jpThemeLight = 'false'")  # as JupyterLab says that a theme is dark
        page.wait_for_function(
            "diagram => getComputedStyle(diagram).backgroundColor === 'rgb(255, 255, 255)'",
            arg=diagram.element_handle(),
        )
