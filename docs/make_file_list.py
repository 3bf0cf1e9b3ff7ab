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
    lines = []
    for top in ("genrekit", "pages"):
        for room in sorted({path.parent for path in (ROOT / top).rglob("*.py")}):
            files = sorted(path for path in room.glob("*.py") if path.name != "__init__.py")
            if files:
                name = room.relative_to(ROOT).as_posix().removeprefix("genrekit/")
                lines += ["", f"**{'the ground' if name == 'genrekit' else name + '/'}**", ""]
            lines += [f"- `{path.stem}`: {_about(path)}" for path in files]
    return "\n".join(lines[1:]) + "\n\n"


def _about(path: Path) -> str:
    """A file's first sentence, and the names that it offers to others."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    sentence = (ast.get_docstring(tree) or "").partition("\n\n")[0].replace("\n", " ").rstrip(".")
    offers = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    constants = (
        (node for node in ast.walk(*offers) if isinstance(node, ast.Constant)) if offers else ()
    )
    names = [node.value for node in constants if not node.value.isupper()]
    return f"{sentence}. *{', '.join(names)}*" if names else f"{sentence}."


def with_list(page: str) -> str:
    """The page with its list brought up to date."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + file_list() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(with_list(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
