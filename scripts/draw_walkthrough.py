"""Run docs/attention-walkthrough.md from top to bottom and keep the pictures it draws in docs/pictures.

pip install matplotlib
python scripts/draw_walkthrough.py
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    """Run the blocks where their pictures shall be."""
    page = DOCS / "attention-walkthrough.md"
    (DOCS / "pictures").mkdir(exist_ok=True)
    os.chdir(DOCS / "pictures")
    session: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        exec(compile(block, str(page), "exec"), session)  # noqa: S102 (the page is ours)
    for picture in sorted(Path().glob("*.png")):
        print(f"{picture.stat().st_size:8} bytes  {picture}")


if __name__ == "__main__":
    main()
