"""The ten pieces, a function each; every note of them was written for GenreKit."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Final

from examples.score import Mix, Note, Part, Piece, chord, pitch, voiced

__all__ = ["PIECES", "compose"]

DRUM_KIT: Final = 128
BAR: Final = 4
# The notes of E natural minor, in which the two lead guitars of "Iron Weather" move in thirds.
E_MINOR: Final = (0, 2, 4, 6, 7, 9, 11)


def drums(kit: int, mix: Mix, *, loose: float = 4.0) -> Part:
    """A drum kit."""
    return Part("Drums", kit, mix, DRUM_KIT, loose)


def names(symbols: str) -> list[str]:
    """The chord symbols in a text, a bar each."""
    return symbols.replace("|", " ").split()


def root_at(symbol: str, low: int) -> int:
    """The first root of a chord at or above `low`."""
    return low + (chord(symbol)[0] - low) % 12


def stabs(
    part: Part,
    bar: int,
    voicing: Sequence[int],
    hits: Sequence[tuple[float, float]],
    velocity: float,
) -> None:
    """A chord struck at some places of a bar: (beat, length) each."""
    for beat, length in hits:
        for note in voicing:
            part.play(BAR * bar + beat, note, length, velocity)


def power(name: str) -> str:
    """A power chord in the words of a line: root, fifth and octave."""
    letters = "C C# D D# E F F# G G# A A# B".split()
    low = pitch(name)
    return "+".join(f"{letters[n % 12]}{n // 12 - 1}" for n in (low, low + 7, low + 12))


def riff(text: str) -> str:
    """A line whose notes are the roots of power chords."""
    out = []
    for token in text.replace("|", " ").split():
        name, star, rest = token.partition("*")
        bare = name.rstrip("!,")
        chorded = bare if bare == "-" else power(bare)
        out.append(chorded + star + rest + name[len(bare) :])
    return " ".join(out)


def octave_below(text: str) -> str:
    """A line an octave down."""
    letters = "ABCDEFG#b"
    return "".join(
        str(int(sign) - 1) if sign.isdigit() and text[i - 1] in letters else sign
        for i, sign in enumerate(text)
    )


def doubled(piece: Piece, part: Part, width: float = 0.75) -> None:
    """A part played twice, left and right: two takes of one guitarist, never quite together."""
    for side, pan in (("left", -width), ("right", width)):
        mix = replace(part.mix, pan=pan)
        piece.add(replace(part, name=f"{part.name} {side}", mix=mix))


def blues() -> Piece:
    """A twelve-bar shuffle in A with a walking bass and a guitar solo."""
    piece = Piece("blues", "Last Bus Home", 114, 52, swing=0.65, decay=1.0)
    form = names("A7 D7 A7 A7 | D7 D7 A7 A7 | E7 D7 A7 E7")

    kit = piece.add(drums(1, Mix(-4, high_cut=9000, room=-17)))
    kit.beat(0, 12, {"kick": "x...x..o|x..ox...", "snare": "..X...Xo|..X.o.X.", "ride": "xoxxxoxx"})
    kit.beat(44, 1, {"snare": "....oxxX"})
    kit.beat(48, 1, {"crash": "X...", "kick": "X..."})

    bass = piece.add(Part("Bass", 33, Mix(1, high_cut=2500, room=-30), late=4))
    for bar, symbol in enumerate(form):
        after = root_at(form[(bar + 1) % 12], 33)
        root = root_at(symbol, 33)
        steps = (0, 4, 7, 9) if bar % 2 == 0 else (12, 10, 7, 4)
        walk = [root + step for step in steps[:3]]
        walk.append(
            after - 1 if abs(after - 1 - walk[-1]) <= abs(after + 1 - walk[-1]) else after + 1
        )
        for beat, note in enumerate(walk):
            bass.play(BAR * bar + beat, note, 0.9, 96)
            if beat == 2 and bar % 3 == 1:
                bass.play(BAR * bar + 2.5, note, 0.4, 70)
    bass.play(48, 33, 3.6, 100)

    boogie = piece.add(Part("Rhythm guitar", 27, Mix(-4, -0.45, 120, 3500, 4, -20)))
    for bar, symbol in enumerate(form):
        root = root_at(symbol, 40)
        for eighth, top in enumerate((7, 7, 9, 9, 10, 9, 7, 7)):
            for note in (root, root + top):
                boogie.play(BAR * bar + eighth / 2, note, 0.42, 88 - 18 * (eighth % 2))
    boogie.strum(48, [45, 52, 57, 61, 67], 3.5, 84, spread=0.05)

    piano = piece.add(Part("Piano", 1, Mix(-4, 0.4, 150, room=-16)))
    ways = ([(1.5, 0.4), (3.5, 0.3)], [(0.5, 0.3), (1.5, 1.2)], [(1, 0.3), (2.5, 0.4), (3.5, 0.3)])
    for bar, voicing in enumerate(
        voiced(" ".join(f"{name[:-1]}9" for name in form), 55, rootless=True)
    ):
        stabs(piano, bar, voicing, ways[bar % 3], 78)
    piano.line(44, "E6+G5 D6+F5 C#6+E5 C6+Eb5 B5+D5*2 - -", velocity=80)
    piano.strum(48, [61, 64, 67, 71], 3.5, 80)

    organ = piece.add(Part("Organ", 16, Mix(-13, 0.15, 200, 5000, 3, -14)))
    for bar, voicing in enumerate(voiced(" ".join(form), 57)):
        stabs(organ, bar, voicing[:3], [(0, 3.9)], 70)

    solo = piece.add(Part("Lead guitar", 29, Mix(0, 0.1, 180, 1400, 6, -13), loose=9, late=8))
    solo.line(
        0,
        "- E5 G5 /A5*2 A5 G5 E5 | /C5 D5*2 C5 A4*3 - | - A4 C5 /C#5 E5*2 D5 C5 | A4*2 G4 A4*4 - |"
        "/F#5*2! F#5 E5 D5 C5 A4 C5 | D5*3 C5 /D5 F5 D5*2 | - /C#5 E5 G5 /A5*3! - |"
        "G5 /A5 G5 E5 D5 C5 A4 G4 | /G#4 B4 D5*2 E5 D5 B4 G#4 | A4 C5 D5*2 /F5 D5 C5 A4 |"
        "/C#5 A4 C5 A4 /B4 A4 G4 E4 | A4*2 - /G#5! B5! E5 D5 B4 | /C#5+A4*7",
        velocity=98,
    )
    return piece


def classical() -> Piece:
    """A small romance for piano in D: broken chords, a singing melody, and an alto beneath it."""
    tempo = [(0, 78), (4, 82), (8, 84), (12, 76), (14, 80), (16, 86), (24, 76), (28, 66), (30, 58)]
    piece = Piece("classical", "A Letter Unsent", tempo, 34, decay=1.8)

    left = piece.add(Part("Left hand", 0, Mix(-3, -0.1, room=-13), loose=8))
    left.line(
        0,
        "D2 A2 D3 F#3 A3 F#3 D3 A2 | B1 F#2 B2 D3 F#3 D3 B2 F#2 | E2 B2 D3 G3 B3 G3 D3 B2 |"
        "A1 E2 A2 C#3 G3 E3 C#3 A2 | F#2 C3 D3 A3 C4 A3 F#3 D3 | G2 D3 G3 B3 G2 D3 E3 Bb3 |"
        "A2 D3 F#3 A3 A1 G2 C#3 E3 | D2 A2 D3 F#3 A3 D4 F#4*4",
        velocity=54, gate=1.0,
    )  # fmt: skip
    alto = piece.add(Part("Alto", 0, Mix(-9, 0.0, room=-13), loose=8))
    alto.line(
        0, "A4 A4 | F#4 F#4 | G4 B4 | G4 C#5 | F#4 F#4 | D5 D5 | A4 G4 | F#4*2",
        step=2, velocity=52, gate=1.0,
    )  # fmt: skip
    right = piece.add(Part("Right hand", 0, Mix(0, 0.1, room=-13), loose=10, late=12))
    end = right.line(
        0,
        "F#5*3 E5, F#5*2 A5*2! | D5*5 C#5, B4, C#5 | D5*3 E5 G5*2! F#5 E5 | C#5*4 - E5, F#5 G5 |"
        "A5*3! B5 C6*2! A5 F#5 | B5*2 A5 G5 Bb5*2! A5 G5, | F#5*3 G5, E5*2 D5, C#5, |"
        "D5*4, F#5+A5*4,",
        velocity=82, gate=1.0,
    )  # fmt: skip
    right.play(end, pitch("D6"), 3.5, 56)
    left.play(end, pitch("D2"), 3.5, 46)
    for part in piece.parts:
        for bar in range(8):
            halves = (0, 2) if bar in (5, 6) else (0,)
            for half in halves:
                part.controls += [(4 * bar + half, 64, 0), (4 * bar + half + 0.08, 64, 127)]
        part.controls.append((33.8, 64, 0))
    return piece


def country() -> Piece:
    """A train beat in G: alternating bass, boom-chuck guitar, banjo rolls and a steel guitar."""
    piece = Piece("country", "Gravel and Gold", 112, 51, decay=0.9)
    form = names("G G C G | G Em A7 D | G7 C G,D G")

    kit = piece.add(drums(40, Mix(2, 0, 60, room=-19)))
    kit.beat(0, 11, {"kick": "x.x.x.x.", "snare": "ooXoooXoooXoooXx"})
    kit.beat(44, 1, {"kick": "x.x.x.x.", "snare": "ooXoooXooxxxX..."})
    kit.beat(48, 1, {"kick": "X...", "crash": "x..."})

    bass = piece.add(Part("Bass", 32, Mix(0, 0, 50, 3000, room=-30)))
    steel = piece.add(Part("Acoustic guitar", 25, Mix(0, -0.35, 150, room=-19)))
    banjo = piece.add(Part("Banjo", 105, Mix(0, 0.5, 400, room=-19), loose=5))
    roll = (0, 1, 3, 0, 1, 3, 0, 3, 2, 1, 3, 0, 1, 3, 2, 3)
    halves = [symbol for bar in form for symbol in (bar.split(",") * 2)[:2]]
    for half, symbol in enumerate(halves):
        root, low = root_at(symbol, 31), root_at(symbol, 43)
        fifth = root + 7 if root < 36 else root - 5
        strings = [low + 12, low + 12 + chord(symbol)[1][1], low + 19, low + 24]
        for number, note in enumerate((root, fifth)):
            beat = 2 * half + number
            bass.play(beat, note, 0.8, 98)
            steel.play(beat, low, 0.4, 78)
            steel.strum(beat + 0.5, strings, 0.3, 88)
            steel.strum(beat + 0.75, strings[1:], 0.2, 62, up=True)
        tones = next(voiced(symbol, 55))[:3]
        drone = pitch("D5") if symbol in ("G", "G7", "D", "Em") else tones[0] + 12
        for number, string in enumerate(roll[8 * (half % 2) :][:8]):
            at = 2 * half + number / 4
            banjo.play(at, [*tones, drone][string], 0.35, 92 if number % 4 == 0 else 74)
    bass.play(48, 31, 2.6, 100)
    steel.strum(48, [43, 47, 50, 55, 59, 67], 2.6, 90, spread=0.04)
    banjo.strum(48, [55, 59, 62, 67], 2.6, 80, spread=0.06)

    lead = piece.add(Part("Steel guitar", 26, Mix(-3, 0.15, 250, 9000, 10, -12), 8, 8))
    lead.line(
        0,
        "- D5 /E5 G5*2 A5 /B5 A5 | G5*3 E5 D5*4 | /E5*2 G5 A5 G5 E5 C5 D5 | D5*5 - B4 D5 |"
        "/B5*2 B5 A5 G5*2 A5 G5 | E5*3 G5 /B5*2 A5 G5 | /C#5*2 E5 A5*2 G5 E5 C#5 |"
        "D5*4 - D5 E5 F#5 | G5*2 /B5 D6*2 B5 F5 G5 | /E5*2 G5 E5 C5 D5 /E5 C5 |"
        "D5 G5 /B5 A5 F#5 A5 D5 F#5 | G5*4 - D5 E5 F#5 | /B4+G5*5",
        velocity=96,
    )
    return piece


def disco() -> Piece:
    """Four on the floor in E minor, with octave bass, off-beat hats and strings that answer."""
    piece = Piece("disco", "Mirrorball Weather", 120, 50, decay=1.1)
    form = names("Am9 D9 Gmaj9 Cmaj9 | F#m7b5 B7 Em9 E7 | Am9 D9 Gmaj9 B7")

    kit = piece.add(drums(8, Mix(0, room=-20), loose=2))
    kit.beat(0, 12, {
        "kick": "X.X.X.X.", "snare": "..X...X.", "clap": "..x...x.", "open": ".x.x.x.x",
        "hat": "x.oox.oox.oox.oo", "tambourine": "....x.......x...",
    })  # fmt: skip
    kit.beat(
        28,
        1,
        {"high-tom": "........xx......", "tom": "..........xx....", "low-tom": "............xxXX"},
    )
    kit.beat(0, 9, {"crash": "X...|....|....|....|....|....|....|...."})
    kit.beat(48, 1, {"kick": "X...", "crash": "X...", "snare": "X..."})

    bass = piece.add(Part("Bass", 33, Mix(1, 0, 35, 3500, 4, -30), loose=3))
    for bar, symbol in enumerate(form):
        root, after = root_at(symbol, 33), root_at(form[(bar + 1) % 12], 33)
        for eighth in range(6):
            bass.play(
                BAR * bar + eighth / 2, root + 12 * (eighth % 2), 0.36, 104 - 8 * (eighth % 2)
            )
        for step, note in enumerate((root, root + 12, after - 2, after - 1)):
            bass.play(BAR * bar + 3 + step / 4, note, 0.2, 96)
    bass.play(48, 40, 1.5, 106)

    funk = piece.add(Part("Guitar", 28, Mix(-5, 0.5, 300, 8000, room=-22), 8, loose=4))
    keys = piece.add(Part("Electric piano", 5, Mix(-6, -0.4, 150, room=-18)))
    for bar, voicing in enumerate(voiced(" ".join(form), 57, rootless=True)):
        for sixteenth, sign in enumerate("X.oX.oX.oXo.X.oX"):
            if sign != ".":
                length, velocity = (0.22, 92) if sign == "X" else (0.1, 62)
                funk.strum(
                    BAR * bar + sixteenth / 4,
                    [n + 12 for n in voicing[-3:]],
                    length,
                    velocity,
                    spread=0.01,
                )
        stabs(keys, bar, voicing, [(0, 0.7), (1.5, 0.4), (2.75, 0.9)], 84)
    stabs(keys, 12, [59, 62, 66, 67, 76], [(0, 1.5)], 90)

    melody = (
        "E5*3 - - A5 B5 C6 | B5*2 A5*2 F#5*4 | - D5 E5 F#5 G5 A5 B5 D6 | B5*6 G5 E5 |"
        "A5*3 - - A5 B5 C6 | B5*2 A5*2 D#5*4 | - E5 F#5 G5 A5 B5 D6 E6 | D6*2 B5*2 G#5*4 |"
        "C6*3 B5 A5*2 E5*2 | F#5*3 A5 C6*2 D6*2 | B5*4 D6*4 | D#6*3 B5 A5*2 F#5 D#5 | E6*2"
    )
    strings = piece.add(Part("Strings", 48, Mix(-1, 0, 250, room=-10), loose=8))
    strings.line(0, melody, velocity=100)
    low_strings = piece.add(Part("Low strings", 50, Mix(-6, 0, 180, 7000, room=-12), loose=8))
    low_strings.line(0, octave_below(melody), velocity=90)

    brass = piece.add(Part("Brass", 61, Mix(-5, 0, 200, 9000, room=-14), loose=5))
    for bar, voicing in enumerate(voiced(" ".join(form), 60)):
        if bar % 2:
            stabs(brass, bar, voicing[-3:], [(2.5, 0.25), (3, 0.2), (3.5, 0.4)], 104)
    stabs(brass, 12, [64, 67, 71, 76], [(0, 0.5)], 112)
    return piece


def hiphop() -> Piece:
    """A boom-bap beat in D minor, with a dusty electric piano and an upright bass."""
    piece = Piece("hiphop", "Corner Store", 90, 37.5, swing=0.58, grid=0.25, decay=0.8)
    form = names("Dm9 Gm9 Bbmaj7 A7#9 | Dm9 Gm9 Bbmaj7 A7#9 | Dm9")

    kit = piece.add(drums(16, Mix(4, 0, 35, 15000, 12, -24), loose=5))
    kit.beat(0, 9, {
        "kick": "X......x..X.....|X......x..X..x..|X.x....x..X.....|X......x.xX...x.",
        "snare": "....X.......X...|....X..o....X..o",
        "hat": "x.xox.xox.xox.x.|x.x.x.xox.xoxox.", "open": "................|..............x.",
    })  # fmt: skip
    kit.beat(36, 1, {"kick": "X...", "crash": "o..."})

    bass = piece.add(Part("Bass", 32, Mix(1, 0, 40, 1500, 5, -40), loose=8, late=10))
    figures = ("0 - - - - - - 0 - - 0 - 7 - 10 -", "0 - - - - - 0 0 - - 12 - 10 - 7 -")
    for bar, symbol in enumerate(form[:8]):
        root = root_at(symbol, 33)
        for sixteenth, word in enumerate(figures[bar % 2].split()):
            if word != "-":
                length = 1.4 if sixteenth == 0 else 0.4
                bass.play(BAR * bar + sixteenth / 4, root + int(word), length, 100)
    bass.play(32, 38, 3, 100)
    bass.play(36, 38, 1.5, 96)

    keys = piece.add(Part("Electric piano", 4, Mix(2, -0.1, 160, 4500, 6, -18), loose=9, late=8))
    for bar, voicing in enumerate(voiced(" ".join(form), 53, rootless=True)):
        stabs(keys, bar, voicing, [(0, 1.4), (1.75, 0.5), (2.5, 1.2)] if bar % 2 == 0
              else [(0, 1.9), (2.5, 0.4), (3.25, 0.5)], 84)  # fmt: skip
    stabs(keys, 9, [53, 57, 60, 64], [(0, 1.5)], 80)

    vibes = piece.add(Part("Vibraphone", 11, Mix(1, 0.35, 250, 8000, room=-12), loose=9))
    vibes.line(
        0,
        "-*4 A5 F5*2 E5 D5*4 -*4 | -*4 Bb5 A5*2 F5 D5*4 -*4 | -*4 A5 F5*2 D5 C5*4 -*4 |"
        "-*2 C#5 E5 G5*2 F5 E5 C#5*4 -*4 |" * 2 + "-*4 A5 F5*2 E5 D5*8",
        step=0.25, velocity=82,
    )  # fmt: skip
    horn = piece.add(Part("Muted trumpet", 59, Mix(1, -0.3, 300, 7500, 4, -12), loose=9, late=10))
    horn.line(
        16,
        "-*10 D5 F5 /A5*4 | G5*3 F5 D5*4 -*8 | -*10 D5 F5 G5*4 | /A5*6 G5 E5 C#5*4 -*4 |/D5*8",
        step=0.25, velocity=90,
    )  # fmt: skip
    return piece


def jazz() -> Piece:
    """Medium-up swing in F: walking bass, rootless voicings and a tenor solo."""
    piece = Piece("jazz", "Ferry After Midnight", 162, 68, swing=0.63, decay=1.1)
    form = names("Gm7 C7 Fmaj7 D7b9 | Gm7 C7 Fmaj7 F7 | Bbmaj7 Bbm6 Am7 D7b9 | Gm7 C7 F6 D7b9")
    chance = Random(piece.name)

    kit = piece.add(drums(32, Mix(-8, 0, 0, 8000, room=-16)))
    kit.beat(0, 16, {
        "ride": "X.xxX.xx", "foot": "..x...x.", "kick": "o.o.o.o.",
        "snare": "...o....|.....o..|.......o|..o..o..",
    })  # fmt: skip
    kit.beat(28, 1, {"snare": "..oo.xxX"})
    kit.beat(60, 1, {"snare": ".xoxxoxX"})
    kit.beat(64, 1, {"ride-2": "x...", "kick": "x..."})

    bass = piece.add(Part("Bass", 32, Mix(0, 0, 40, 3500, room=-24), late=-3))
    for bar, symbol in enumerate(form):
        root, after = root_at(symbol, 33), root_at(form[(bar + 1) % 16], 33)
        third, fifth = (root + step for step in chord(symbol)[1][1:3])
        walk = [root, third, fifth] if chance.random() < 0.6 else [root, root + 12, fifth]
        walk.append(after + (1 if walk[-1] > after else -1))
        for beat, note in enumerate(walk):
            bass.play(BAR * bar + beat, note, 0.92, 94 + 6 * (beat % 2))
    bass.play(64, 29 + 12, 3, 96)

    piano = piece.add(Part("Piano", 0, Mix(-1, 0.35, 120, 6000, room=-15), late=4))
    ways = (
        [(0, 0.8), (1.5, 0.4)],
        [(1.5, 0.4), (3.5, 0.4)],
        [(0.5, 0.4), (2.5, 1.2)],
        [(1, 0.4), (3.5, 0.4)],
    )
    richer = " ".join(
        {"Gm7": "Gm9", "C7": "C13", "Fmaj7": "Fmaj9", "F7": "F13"}.get(n, n) for n in form
    )
    for bar, voicing in enumerate(voiced(richer, 52, rootless=True)):
        stabs(piano, bar, voicing, ways[int(chance.random() * 4)], 76 + 10 * chance.random())
    piano.strum(64, [57, 62, 67, 72], 3, 74, spread=0.03)

    sax = piece.add(Part("Tenor sax", 66, Mix(2, -0.15, 120, 5000, room=-13), loose=8, late=14))
    sax.line(
        0,
        "- D3 F3 A3 Bb3! A3 G3, F3 | E3 G3 Bb3 D4! C#4 C4 Bb3, G3 | A3*2! C4 A3, F3*3 - |"
        "- F#3 A3 C4 Eb4! D4 C4, A3 | Bb3*3! A3, /Bb3 D4*2 - | - C4! B3 Bb3 A3, G3 F3, E3 |"
        "F3 A3 C4 E4*3! D4, C4 | - A3 C4 Eb4 G4*2! F4, Eb4 | D4*3! F4 D4, Bb3 A3, Bb3 |"
        "C#4*3! C4 Bb3, G3 F3, C#3 | C3 E3 G3 B3 /C4*2! A3*2, | - F#3 G3 A3 C4 Eb4! D4, C4 |"
        "Bb3 G3, Bb3 D4 F4*2! D4*2, | E4! Eb4 D4 C#4 C4 Bb3, G#3 G3 | /A3*3! - C4 D4, /F4*2 |"
        "- C4 Eb4 D4 C4, A3 F#3 Eb3 | /D3 F3*6",
        velocity=92, gate=0.9,
    )  # fmt: skip
    return piece


def metal() -> Piece:
    """A gallop in E minor, palm-muted, then double kick under two lead guitars in thirds."""
    piece = Piece("metal", "Iron Weather", 152, 67, decay=0.9)
    kit = piece.add(drums(16, Mix(1, 0, 35, 14000, 5, -22), loose=3))
    gallop = "x.xxx.xxx.xxx.x."
    kit.beat(0, 8, {"kick": gallop, "snare": "....X.......X...", "china": "x.x.x.x.|x.x.x.x."})
    kit.beat(0, 1, {"crash": "X..."})
    kit.beat(16, 1, {"crash-2": "X..."})
    kit.beat(30, 1, {"low-tom": "xxXX"}, 2)
    kit.beat(32, 8, {"kick": "x" * 16, "snare": "....X.......X...", "ride": "x.x.x.x.",
                     "crash": "X.......|........"})  # fmt: skip
    kit.beat(62, 1, {"high-tom": "xx......", "tom": "..xx....", "low-tom": "....xxXX"}, 2)
    kit.beat(64, 1, {"kick": "X...", "crash": "X...", "crash-2": "X..."})

    chug = Part("Muted guitar", 28, Mix(-1, 0, 75, 4800, 30, -34), loose=4)
    open_strings = Part("Rhythm guitar", 29, Mix(-1, 0, 85, 5200, 20, -30), loose=5)
    bass = Part("Bass", 34, Mix(0, 0, 40, 3500, 10, -40), loose=4)
    endings = ("G2*2 F2*2", "A#2*2 A2*2", "G2*2 F2*2", "E3*2 D3*2")
    for bar in range(8):
        for sixteenth, sign in enumerate(gallop[:12]):
            if sign == "x":
                at = BAR * bar + sixteenth / 4
                for note in (40, 47):
                    chug.play(at, note, 0.2, 112 if sixteenth % 4 == 0 else 96)
                bass.play(at, 28, 0.22, 104)
        open_strings.line(BAR * bar + 3, riff(endings[bar % 4]), step=0.25, velocity=108)
        bass.line(BAR * bar + 3, octave_below(endings[bar % 4]), step=0.25)
    chorus = "E2*4 C3*4 G2*4 D3*4 | E2*4 C3*4 A2*4 B2*4 | E2*3"
    open_strings.line(32, riff(chorus), step=1, velocity=106)
    for start, root in zip(range(32, 64, 4), (28, 36, 31, 38, 28, 36, 33, 35), strict=True):
        for eighth in range(8):
            bass.play(start + eighth / 2, root, 0.45, 102)
    bass.play(64, 28, 3, 106)
    doubled(piece, chug, 0.85)
    doubled(piece, open_strings, 0.85)
    piece.add(bass)

    lead = Part("Lead guitar", 30, Mix(0, 0.25, 200, 6500, 6, -12), loose=6)
    lead.line(
        32,
        "B4 E5 G5 F#5 E5 F#5 G5 B5 | A5*2 G5 E5*2 G5 F#5 E5 | D5 G5 B5 A5 G5 A5 B5 D6 |"
        "C6*2 A5*2 F#5*4 | /E6*2 D6 B5 G5 B5 A5 G5 | E5 G5 C6 B5 A5 G5 E5 G5 |"
        "A5 C6 /E6*2 D6 C6 B5 A5 | /D6*2 B5 F#5 B5 D6 F#6 B5 | /E6*5",
        velocity=104,
    )  # fmt: skip
    piece.add(lead)
    second = Part("Second lead", 30, Mix(-2, -0.25, 200, 6500, 6, -12), loose=6, slides=lead.slides)
    second.notes = [Note(n.start, third_below(n.pitch), n.length, n.velocity) for n in lead.notes]
    piece.add(second)
    return piece


def third_below(note: int) -> int:
    """The note two steps lower in E natural minor."""
    octave, within = divmod(note, 12)
    degree = 7 * octave + E_MINOR.index(within) - 2
    return 12 * (degree // 7) + E_MINOR[degree % 7]


def pop() -> Piece:
    """Synthesisers in C: a pumping pad, an arpeggio, and a hook that climbs."""
    piece = Piece("pop", "Paper Aeroplanes", 118, 51, decay=1.3)
    form = names("Am F C G | Am F C G | Am F C G")

    kit = piece.add(drums(24, Mix(1, 0, 30, room=-22), loose=1))
    kit.beat(0, 4, {"kick": "X...X...", "hat": "x.x.x.x.", "stick": "..x...x."})
    kit.beat(12, 1, {"snare": "........x.x.xxXX"})
    kit.beat(16, 8, {"kick": "X.X.X.X.", "snare": "..X...X.", "clap": "..x...x.",
                     "hat": "x.oxx.oxx.oxx.ox", "open": "...x...x"})  # fmt: skip
    kit.beat(16, 1, {"crash": "X..."})
    kit.beat(32, 1, {"crash": "X..."})
    kit.beat(48, 1, {"crash": "X...", "kick": "X..."})

    bass = piece.add(Part("Synth bass", 38, Mix(1, 0, 35, 3000, 5, -40), loose=1))
    pad = piece.add(Part("Pad", 50, Mix(-5, 0, 200, 7000, room=-12), loose=3))
    pluck = piece.add(Part("Arpeggio", 90, Mix(-7, 0.3, 300, 9000, room=-12), loose=1))
    for bar, (symbol, voicing) in enumerate(zip(form, voiced(" ".join(form), 57), strict=True)):
        root = root_at(symbol, 29)
        for eighth in range(8):
            bass.play(BAR * bar + eighth / 2, root + 12 * (eighth in (3, 7)), 0.4, 100)
        stabs(pad, bar, [*voicing, voicing[0] + 12], [(0, 3.95)], 84)
        ladder = [*voicing, *(n + 12 for n in voicing)]
        for sixteenth, rung in enumerate((0, 2, 4, 3, 1, 3, 5, 4) * 2):
            pluck.play(
                BAR * bar + sixteenth / 4, ladder[rung] + 12, 0.22, 90 - 14 * (sixteenth % 2)
            )
    bass.play(48, 36, 2.5, 100)
    stabs(pad, 12, [60, 64, 67, 72], [(0, 2.8)], 84)
    for beat in range(16, 48):
        pad.controls += [(beat + step / 8, 11, 50 + 77 * step // 6) for step in range(7)]

    verse = "- E5 E5 D5 C5*2 D5*2 | A4*3 C5 C5*2 - C5 | - E5 E5 D5 E5*2 G5*2 | D5*5 - - - |"
    chorus = (
        "A5*2 G5 E5*2 D5 E5 G5 | A5*3 G5 E5*2 C5*2 | G5*2 E5 G5*2 A5 G5 E5 | D5*3 E5 D5*4 |"
        "A5*2 G5 E5*2 G5 A5 C6 | C6*3 B5 A5*2 G5*2 | G5*2 E5 G5*2 A5 B5 C6 | D6*3 B5 G5*2 - - |"
        "C6*5"
    )
    voice = piece.add(Part("Voice", 54, Mix(0, 0, 200, 9000, room=-12), loose=6))
    voice.line(0, verse, velocity=96)
    hook = piece.add(Part("Lead", 81, Mix(-3, 0, 250, 9000, room=-11), loose=3))
    hook.line(16, chorus, velocity=98)
    choir = piece.add(Part("Choir", 53, Mix(-5, 0, 200, 8000, room=-10), loose=6))
    choir.line(16, "C5+E5 | C5+F5 | C5+E5 | B4+D5 |" * 2 + "C5+E5*.7", step=4, velocity=88)
    return piece


def reggae() -> Piece:
    """A one drop in A minor: the skank on two and four, an organ bubble, a bass that leads."""
    piece = Piece("reggae", "Slow Harbour", 146, 66, swing=0.56, decay=1.3)
    form = names("Am Am Dm Dm | G G C E7 | Am Am Dm Dm | G G E7 E7")

    kit = piece.add(drums(8, Mix(1, 0, room=-18), loose=6))
    kit.beat(
        0,
        16,
        {
            "kick": "....X...",
            "stick": "....X...|....X..o|....X...|..o.X.o.",
            "hat": "x.xxx.xx|x.xxx.xx",
        },
    )
    kit.beat(28, 1, {"snare": "......xX", "high-tom": "....xx.."})
    kit.beat(0, 1, {"crash": "x..."})
    kit.beat(32, 1, {"crash": "x..."})
    kit.beat(60, 1, {"snare": "..x.xxxX"})
    kit.beat(64, 1, {"kick": "X...", "crash": "x..."})

    bass = piece.add(Part("Bass", 33, Mix(4, 0, 30, 140, room=-40), loose=8, late=6))
    figures = (
        ((0, 0, 0.9), (1.5, 0, 0.4), (2, 7, 0.9), (3, 3, 0.4), (3.5, 5, 0.4)),
        ((0, 7, 0.9), (1.5, 5, 0.4), (2, 3, 0.9), (3, 0, 0.8)),
        ((0.5, 0, 0.4), (1, 0, 0.9), (2, 7, 0.9), (3, 12, 0.4), (3.5, 10, 0.4)),
        ((0, 7, 1.4), (2, 0, 0.9), (3, -2, 0.4), (3.5, 0, 0.4)),
    )
    for bar, symbol in enumerate(form):
        root = root_at(symbol, 31)
        major = chord(symbol)[1][1] == 4
        for beat, step, length in figures[bar % 4]:
            bass.play(BAR * bar + beat, root + step + (major and step == 3), length, 102)
    bass.play(64, 33, 1.6, 104)

    skank = piece.add(Part("Guitar", 27, Mix(-2, -0.4, 350, 2500, room=-17), loose=6))
    piano = piece.add(Part("Piano", 1, Mix(-6, 0.35, 250, 7000, room=-17), loose=6))
    organ = piece.add(Part("Organ", 16, Mix(-7, 0.15, 200, 4500, 3, -18), loose=6))
    for bar, voicing in enumerate(voiced(" ".join(form), 57)):
        for beat in (1, 3):
            skank.strum(BAR * bar + beat, voicing[:3], 0.22, 98, spread=0.012, up=True)
            stabs(piano, bar, [*voicing[:3], voicing[0] + 12], [(beat, 0.25)], 88)
        stabs(organ, bar, voicing[:3], [(b, 0.3) for b in (0.5, 1, 1.5, 2.5, 3, 3.5)], 76)
    skank.strum(65, [57, 60, 64], 0.3, 98, up=True)

    first = (
        "E5*2 - C5 D5*2 E5*2 | A4*4 -*4 | F5*2 - D5 E5*2 F5*2 | D5*5 -*3 |"
        "G5*3 F5 D5*2 B4*2 | D5*4 -*4 | E5*2 - E5 G5*2 E5*2 | D5*2 C5 B4*2 -*3 |"
    )
    second = (
        "A5*2 - G5 E5*2 C5*2 | E5*4 - E5 G5 A5 | A5*2 - F5 D5*2 F5*2 | A5*4 -*4 |"
        "B5*3 A5 G5*2 D5*2 | G5*4 -*4 | G#5*2 - E5 B5*2 G#5*2 | E5*2 D5 B4*2 -*3 | A4*2"
    )
    horns = piece.add(Part("Trombone", 57, Mix(-3, -0.2, 180, 6000, room=-13), loose=9, late=10))
    horns.line(0, octave_below(first + second), velocity=94, gate=0.85)
    top = piece.add(Part("Trumpet", 56, Mix(-3, 0.2, 250, 8000, room=-13), loose=9, late=10))
    top.line(32, second, velocity=90, gate=0.85)
    return piece


def rock() -> Piece:
    """A riff in A on driven guitars, a chorus that opens up, and a lead above it."""
    piece = Piece("rock", "Copper Wire", 132, 59, decay=0.9)
    kit = piece.add(drums(16, Mix(0, 0, 35, 11000, room=-19), loose=5))
    kit.beat(0, 4, {"kick": "X..x..X.|X..xX...", "snare": "..X...X.", "hat": "XxXxXxXx"})
    kit.beat(14, 1, {"snare": "xx..xx..", "tom": "..xx....", "low-tom": "......XX"}, 2)
    kit.beat(16, 8, {"kick": "X..xX...|X.xxX..x", "snare": "..X...X.", "ride": "XxXxXxXx"})
    kit.beat(46, 1, {"high-tom": "xx......", "tom": "..xx....", "low-tom": "....xxXX"}, 2)
    kit.beat(48, 2, {"kick": "X..x..X.|X..xX...", "snare": "..X...X.|..X..XXX", "hat": "XxXxXxXx"})
    for at in (0, 16, 32, 48, 56):
        kit.beat(at, 1, {"crash": "X...", "kick": "X..."})

    guitar = Part("Rhythm guitar", 29, Mix(2, 0, 90, 1400, 8, -24), loose=7)
    hook = "A2*2 A2 D3*2 A2 G2*2 | A2*2 A2 C3*2 D3 C3 A2 |"
    guitar.line(0, riff(hook * 2), velocity=104, gate=0.9)
    chorus = ("D3", "A2", "E2", "F#2", "D3", "A2", "E2", "E2")
    bass = piece.add(Part("Bass", 34, Mix(1, 0, 40, 3500, 5, -36)))
    bass.line(0, octave_below(hook * 2), velocity=100)
    for bar, root in enumerate(chorus, 4):
        guitar.line(
            BAR * bar, riff(f"{root}*3! {root} {root}*2! {root} {root}"), velocity=100, gate=0.98
        )
        for eighth in range(8):
            bass.play(BAR * bar + eighth / 2, pitch(root) - 12, 0.45, 102)
    guitar.line(48, riff(hook + "A2*5"), velocity=106, gate=0.9)
    bass.line(48, octave_below(hook + "A2*5"), velocity=100)
    doubled(piece, guitar)

    organ = piece.add(Part("Organ", 18, Mix(-10, 0.1, 200, 5000, 4, -16)))
    for bar, voicing in enumerate(voiced("D A E F#m D A E E", 57), 4):
        stabs(organ, bar, voicing, [(0, 3.9)], 84)

    lead = piece.add(Part("Lead guitar", 30, Mix(-1, 0.05, 200, 1700, 4, -12), loose=9, late=6))
    lead.line(4, "- C5 /D5 E5 G5 /A5*3 | -*8 | G5 /A5 G5 E5 D5 C5 A4*2", velocity=98)
    lead.line(
        16,
        "F#5*3 E5 F#5*2 A5*2 | E5*4 - C#5 D5 E5 | /G#5*3 F#5 E5*2 B4*2 | C#5*3 E5 /F#5*4 |"
        "/A5*3 F#5 A5*2 B5*2 | /C#6*4 B5 A5 F#5 E5 | /B5*3 G#5 B5*2 D6 B5 |"
        "G#5 B5 /E6*2 D6 B5 G#5 E5 | /A5*4 -*4 | - C5 /D5 E5 G5 A5 C6 D6 | /E6*2 - /A5*4",
        velocity=100,
    )  # fmt: skip
    return piece


PIECES: Final[dict[str, Callable[[], Piece]]] = {
    function.__name__: function
    for function in (blues, classical, country, disco, hiphop, jazz, metal, pop, reggae, rock)
}


def compose(name: str) -> Piece:
    """The piece of that name."""
    return PIECES[name]()
