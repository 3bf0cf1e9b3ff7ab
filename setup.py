"""What pyproject.toml cannot say: the app's files in the wheel, and ranges of versions."""

import re
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

# What genrekit/system/shipped.py finds. Scripts that make models and examples stay out.
SHIPPED = (
    *(
        ".streamlit/config.toml",
        "streamlit_app.py",
        "pages/**/*.py",
        "pages/**/*.toml",
        "examples/*.ogg",
    ),
    *("models/*/*.json", "models/*/*.safetensors", "models/*/*.txt"),
)
# The app reaches into Streamlit's internals, which change with each minor version.
ONE_MINOR_VERSION = {"streamlit"}


class BuildWithApp(build_py):
    """Copy the app's files, which stand beside the package, into it."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # the files are found where they stand
            return
        target = Path(self.build_lib, "genrekit", "shipped")
        shutil.rmtree(target, ignore_errors=True)
        for path in (path for pattern in SHIPPED for path in Path().glob(pattern)):
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / path)


def ranges(file: Path) -> list[str]:
    """Return the packages of a file of requirements: the tested minor version, or a later one.

    The files pin what was tested, for a server of our own. Exact pins in a wheel would forbid it
    beside almost anything else; the next major version may change what we call.
    """
    lines = file.read_text(encoding="utf-8").splitlines()
    pinned = (re.fullmatch(r"([\w.-]+)==((\d+\.\d+)\S*)", line) for line in lines)
    return [
        f"{pin[1]}~={pin[2] if pin[1] in ONE_MINOR_VERSION else pin[3]}" for pin in pinned if pin
    ]


setup(
    cmdclass={"build_py": BuildWithApp},
    install_requires=ranges(Path("requirements.txt")),
    extras_require={
        file.stem.removeprefix("requirements-"): ranges(file)
        for file in Path().glob("requirements-*.txt")
        if file.stem != "requirements-dev"
    },
)
