"""`make docs`: writes the pages that say what the code says. Tests compare them."""

from devtools import command_pages, endpoint_pages, error_pages, settings_pages
from devtools.settings_pages import ROOT

PAGES = {
    ROOT / "docs" / "reference" / "settings.md": settings_pages.render_list,
    ROOT / ".env.example": settings_pages.render_env,
    error_pages.PAGE: error_pages.render,
    endpoint_pages.PAGE: endpoint_pages.render,
    command_pages.PAGE: command_pages.render,
}

if __name__ == "__main__":
    for path, render in PAGES.items():
        path.write_text(render(), "utf-8")
