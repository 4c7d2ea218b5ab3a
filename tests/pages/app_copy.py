"""The app in a folder of its own with the demo workloads' pages besides, so that a test decides how a run behaves."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def app_with_demo_pages(folder: Path) -> Path:
    """Copy the start page, the pages and Streamlit's settings to ``folder``, add the demo pages; returns the start page."""
    (folder / "pages").mkdir(parents=True)
    (folder / ".streamlit").mkdir()
    for name in ("app.py", ".streamlit/config.toml", *(str(page.relative_to(ROOT)) for page in sorted((ROOT / "pages").glob("*.py")))):
        shutil.copy(ROOT / name, folder / name)
    for name in ("demo", "smoothing"):
        (folder / "pages" / f"{name}.py").write_text(f'from lab.ui import experiment_page\n\nexperiment_page.show("{name}")\n')
    return folder / "app.py"
