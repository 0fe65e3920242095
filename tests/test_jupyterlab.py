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
