"""The bundled clips: short pieces composed for GenreKit."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from genrekit.system.records import read_toml
from genrekit.system.shipped import shipped_folder

__all__ = ["CLIPS", "EXAMPLE", "FOLDER", "ORIGIN", "Clip"]

FOLDER: Final = shipped_folder() / "examples"
# The classify page's name for bundled clips.
EXAMPLE: Final = "An example"
ORIGIN: Final = (
    "Composed for GenreKit, played by a synthesiser: FluidSynth with the sound font Fluid R3."
)


@dataclass(frozen=True)
class Clip:
    """A piece; `name` is its genre in one lower-case word, as in the collection GTZAN."""

    name: str
    label: str
    title: str
    seconds: int

    @property
    def path(self) -> Path:
        """The file of the sound: Ogg Vorbis, stereo, 44.1 kHz."""
        return FOLDER / f"{self.name}.ogg"

    @property
    def query(self) -> dict[str, str]:
        """The settings that open the classify page on this clip."""
        return {"source": EXAMPLE, "example": self.label}


CLIPS: Final = tuple(Clip(**clip) for clip in read_toml(__file__)["clips"])
