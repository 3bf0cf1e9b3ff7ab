"""Write the list of files in architecture.md: each room, and each file's first sentence.

`python docs/make_file_list.py` rewrites it after a file was added, moved or described anew.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- files: written by docs/make_file_list.py -->\n", "<!-- end of files -->"


def file_list() -> str:
    """The list as Markdown."""
    package = ROOT / "genrekit"
    lines = []
    for room in sorted({path.parent for path in package.rglob("*.py")}):
        name = room.relative_to(package).as_posix()
        files = sorted(path for path in room.glob("*.py") if path.name != "__init__.py")
        if files:
            lines += ["", f"**{'the ground' if name == '.' else name + '/'}**", ""]
        lines += [f"- `{path.stem}`: {_about(path)}" for path in files]
    return "\n".join(lines[1:]) + "\n\n"


def _about(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n\n")[0].replace("\n", " ").rstrip(".")


def with_list(page: str) -> str:
    """The page with its list brought up to date."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + file_list() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(with_list(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
