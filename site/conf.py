"""Sphinx's settings for the site. What it reads, build.py has written."""

import tomllib
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parent.parent
_PROJECT = tomllib.loads((_CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Where the repository is: the one setting. Links and buttons that need it are there once it is set.
_REPOSITORY = _PROJECT.get("urls", {}).get("Repository", "")

project = "Stop polling"
author = "the contributors"
copyright = "the contributors. Prose and pictures: CC BY 4.0; code: Apache-2.0"
version = release = _PROJECT["version"]
language = "en"

extensions = ["myst_nb"]
exclude_patterns = ["README.md"]  # index.md includes parts of it
nb_execution_mode = "off"
nb_ipywidgets_js = {}  # no output needs a widget; these would be loaded from another host
myst_enable_extensions = ["attrs_inline", "colon_fence"]
myst_heading_anchors = 4
myst_heading_slug_func = "build.anchor"
nitpicky = True
suppress_warnings = ["mystnb.unknown_mime_type"]  # of an output's other forms; the page has one that is known

html_theme = "sphinx_book_theme"
html_title = "Stop polling"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_use_index = False
html_show_sphinx = False
html_theme_options = {
    "show_toc_level": 2,
    "use_fullscreen_button": False,
    "use_download_button": False,
    "show_navbar_depth": 1,
    "search_bar_text": "Search",
    "navbar_start": [],
    "navbar_center": [],
    "navbar_end": [],
    "navbar_persistent": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    **(
        {"repository_url": _REPOSITORY, "use_repository_button": True, "use_issues_button": True} if _REPOSITORY else {}
    ),
}
if _REPOSITORY:
    html_theme_options |= {"repository_url": _REPOSITORY, "use_repository_button": True, "use_issues_button": True}
