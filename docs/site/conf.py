"""Configuration of Sphinx for the site of docs/. `make docs` builds it with docs/site/build.py."""

project = "CTO"
copyright = "the CTO project, MIT licence"  # noqa: A001 - Sphinx's name
extensions = ["myst_parser"]
myst_heading_anchors = 4  # as GitHub makes them, so that links work in both
html_theme = "furo"
html_title = "CTO"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = html_use_index = False
html_show_sphinx = False
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"
html_theme_options = {"top_of_page_buttons": []}
