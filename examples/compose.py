"""Write the example clips: `python -m examples.compose [NAME...] [--font FILE] [--out FOLDER]`.

Writes the score (.mid) and the sound (.ogg) of each piece. Needs FluidSynth and a General MIDI
sound font; README.md says which.
"""

import argparse
from pathlib import Path

from examples.mix import RATE_HZ, encode, loudness, render
from examples.pieces import PIECES, compose

FOLDER = Path(__file__).resolve().parent
FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")


def main() -> None:
    """Compose, play and write."""
    parser = argparse.ArgumentParser(description="Write the example clips.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a piece; all when none")
    parser.add_argument("--font", type=Path, default=FONT, metavar="FILE")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="FOLDER")
    options = parser.parse_args()
    for name in options.names or PIECES:
        piece = compose(name)
        (options.out / f"{name}.mid").write_bytes(piece.midi())
        sound = render(piece, options.font)
        (options.out / f"{name}.ogg").write_bytes(encode(sound))
        print(f"{name}: {len(sound) / RATE_HZ:.1f} s, {loudness(sound):.1f} LUFS")


if __name__ == "__main__":
    main()
