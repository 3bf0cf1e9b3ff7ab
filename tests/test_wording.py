"""Counts and numbers in sentences, in the core and on the pages."""

import ast
import re
from pathlib import Path

import pytest

from genrekit.wording import agree, counted, numeral

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*ROOT.glob("genrekit/**/*.py"), *ROOT.glob("pages/**/*.py")])

# Nouns that are counted in sentences.
NOUNS = (
    "artists bands bins bytes channels clips coefficients columns copies datasets days duplicates "
    "entries epochs errors examples files folders frames genres groups hours inputs iterations "
    "jobs labels layers lines maps members minutes models neighbours networks neurons notes "
    "numbers pairs parts pieces points products recordings rows runs samples seconds segments "
    "songs songs starts steps targets times tracks units values weights words"
).split()
# What is counted there is never 1, or is a limit that says so of itself.
NEVER_ONE = {
    "app/mel_ear.py: count steps",  # a slider from 4 on
    "app/dataset_views.py: len(dataset) segments",  # more than are drawn
    "app/verdict_views.py: len(starts) segments",  # more than are asked
    "app/verdict_views.py: total segments",
    "app/verdict_views.py: count models",  # two who agree
    "app/verdict_views.py: len(verdicts) models",  # two who do not
    "app/mel_sound.py: MAX_CLIP_SECONDS seconds",
    "app/training_views.py: gap segments",  # a share of them
    "app/training_views.py: since epochs",  # patience is more
    "health.py: size units",  # twins are two
    "intake.py: limits.ratio times",
    "leak.py: before points",  # of which three or more were lost
    "cli.py: total tracks",  # twelve styles
    "cli.py: len(STYLES) genres",
    "app/playground_settings.py: LIMITS.table_inputs inputs",
    "app/playground_settings.py: LIMITS.table_rows lines",
    "app/mel_list.py: MAX_NUMBERS numbers",
    "run_examples.py: LIMITS.table_inputs inputs",
    "wire.py: numbers[0] parts",  # for the log
    "wire.py: sum(numbers) bytes",
    "intake.py: most bytes",  # as many as a name's limit allows
    "tones.py: steps steps",  # refused where below 1
    "resynthesis.py: iterations iterations",
    "neighbours.py: k neighbours",
    "evidence.py: columns columns",
    "app/mel_sound.py: clip.params.sample_rate numbers",  # a second of sound
    "app/mel_sound.py: per_second * (1 + clip.params.n_fft // 2) numbers",
    "app/mel_sound.py: per_second * clip.params.n_mels numbers",
    "app/mel_sound.py: per_second * keep numbers",
    "app/mel_sound.py: params.n_fft samples",  # a power of two from 256 on
}


def counts(path):
    """Each number in an f-string that is followed by a plural, as "file: number noun"."""
    name = path.relative_to(ROOT).as_posix().removeprefix("genrekit/")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, after in zip(node.values, node.values[1:], strict=False):
            if not (isinstance(value, ast.FormattedValue) and isinstance(after, ast.Constant)):
                continue
            near = re.match(
                rf"\*{{0,2}} (?:(?!of )[a-z-]+ )??({'|'.join(NOUNS)})\b", str(after.value)
            )
            spec = ast.unparse(value.format_spec) if value.format_spec else ""
            if near and not re.search(r"\.[1-9]", spec):
                yield f"{name}: {ast.unparse(value.value)} {near[1]}"


def test_every_count_agrees_with_its_noun():
    """A plural after a number is written by `counted`, lest a page says "1 units"."""
    found = {place for path in SOURCES for place in counts(path)}
    assert found <= NEVER_ONE, f"use genrekit.wording.counted: {sorted(found - NEVER_ONE)}"


def test_nobody_else_chooses_between_one_and_many():
    choice = re.compile(r" if (len\()?[\w.]+\)? (==|!=) 1 else")
    for path in SOURCES:
        if path.name != "wording.py":
            for line in path.read_text(encoding="utf-8").splitlines():
                assert "'s' if" not in line, f"{path}: {line}"
                assert not (choice.search(line) and re.search(r"[a-z]s[\"']", line)), line


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 files are"), (1, "1 file is"), (2, "2 files are"), (1200, "1,200 files are")],
)
def test_counted(count, said):
    assert f"{counted(count, 'file')} {agree(count, 'is', 'are')}" == said
    assert counted(1, "entry", "entries") == "1 entry"
    assert counted(5, "entry", "entries") == "5 entries"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-0.125, "−0.125"),
        (9999.7, "10,000"),
        (1234567.8, "1,234,568"),
        (5.912e-13, "5.912 × 10⁻¹³"),
        (3e20, "3 × 10²⁰"),
        (float("nan"), "not a number"),
        (float("inf"), "infinity"),
        (-float("inf"), "−infinity"),
    ],
)
def test_numeral(value, said):
    assert numeral(value) == said
