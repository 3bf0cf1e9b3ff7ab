"""Counts, numbers and durations in sentences, in the core and on the pages."""

import ast
import re
from pathlib import Path

import pytest

from genrekit.audio.decoder import load_audio
from genrekit.dataset.build import build_dataset
from genrekit.dataset.inspection import inspect_folder
from genrekit.errors import GenreKitError
from genrekit.mel import tones
from genrekit.mel.scale import hz_to_mel, mel_filterbank, mel_frequencies, mel_to_hz
from genrekit.teaching.examples import parse_table
from genrekit.teaching.mlp import MLP
from genrekit.teaching.run import Run, Weight
from genrekit.teaching.settings import RunSettings
from genrekit.teaching.tasks import make_task
from genrekit.wording import agree, counted, duration, numeral, the_first

ROOT = Path(__file__).parents[2]
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
    "app/mel/ear_test.py: count steps",  # a slider from 4 on
    "app/build/dataset_views.py: len(dataset) segments",  # more than are drawn
    "app/classify/why.py: len(starts) segments",  # more than are asked
    "app/classify/why.py: total segments",
    "app/classify/compare.py: count models",  # two who agree
    "app/classify/compare.py: len(verdicts) models",  # two who do not
    "app/mel/sound.py: MAX_CLIP_SECONDS seconds",
    "training/commentary.py: points points",  # a gap of ten or more
    "training/leak.py: 100 * high points",  # the end of an interval
    "model/evaluation.py: total tracks",  # some of which are left out
    "model/neighbours.py: len(self.tracks) recordings",  # two or more
    "model/neighbours.py: found.seconds seconds",  # as many as it takes to tell
    "dataset/upload.py: limits.ratio times",
    "training/leak.py: before points",  # of which three or more were lost
    "cli/commands.py: total tracks",  # twelve styles
    "cli/commands.py: len(STYLES) genres",
    "app/playground/settings.py: LIMITS.table_inputs inputs",
    "app/playground/settings.py: LIMITS.table_rows lines",
    "app/mel/number_list.py: MAX_NUMBERS numbers",
    "teaching/examples.py: LIMITS.table_inputs inputs",
    "isolation/wire.py: numbers[0] parts",  # for the log
    "isolation/wire.py: sum(numbers) bytes",
    "dataset/upload.py: most bytes",  # as many as a name's limit allows
    "app/mel/sound.py: params.n_fft samples",  # a power of two from 256 on
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


NAN, MANY = float("nan"), 3e15
REFUSED = [
    lambda bad: hz_to_mel([440, -bad]),
    lambda bad: mel_to_hz(1e6 if bad == bad else bad),
    lambda bad: mel_frequencies(3, bad, 8000),
    lambda bad: mel_filterbank(bad if bad != bad else -bad, 2048),
    lambda bad: mel_filterbank(22050, 2048, fmax=MANY),
    lambda bad: tones.melody([bad]),
    lambda bad: make_task("sum", 1, low=bad, high=0),
    lambda bad: sum_net().train([[0.1, 0.2]], [0.3], epochs=1, learning_rate=-bad),
    lambda bad: RunSettings(noise=-bad),
    lambda bad: RunSettings(low=bad),
    lambda bad: Run(RunSettings(examples=1), learning_rate=-bad),
    lambda bad: Run(RunSettings(examples=1)).set_weight(Weight(0, 0, 0), bad),
    lambda bad: parse_table("1,2\n3,3e15"),
    lambda bad: load_audio(b"", 22050, max_seconds=-bad),
    lambda bad: inspect_folder(".", segment_seconds=-bad),
    lambda bad: build_dataset(".", "x.parquet", track_seconds=-bad),
]


def sum_net():
    return MLP(2, [3], 1)


@pytest.mark.parametrize("bad", [NAN, MANY])
@pytest.mark.parametrize("refused", REFUSED)
def test_no_refusal_reads_nan_or_an_exponent(refused, bad):
    with pytest.raises(GenreKitError) as caught:
        refused(bad)
    assert not re.search(r"\b(nan|inf)\b|\de[+-]?\d", str(caught.value)), caught.value


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 files are"), (1, "1 file is"), (2, "2 files are"), (1200, "1,200 files are")],
)
def test_counted(count, said):
    assert f"{counted(count, 'file')} {agree(count, 'is', 'are')}" == said
    assert counted(1, "entry", "entries") == "1 entry"
    assert counted(5, "entry", "entries") == "5 entries"
    assert counted(1.0, "second") == "1 second"
    assert counted(0.5, "second") == "0.5 seconds"


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


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 seconds"),
        (0.05, "0.05 seconds"),
        (1, "1 second"),
        (0.999, "1 second"),
        (29.97, "29.97 seconds"),
        (59.996, "1 minute"),
        (60, "1 minute"),
        (100, "1 minute 40 seconds"),
        (61, "1 minute 1 second"),
        (900.0, "15 minutes"),
        (3599.6, "1 hour"),
        (5400, "1 hour 30 minutes"),
        (86_400, "24 hours"),
        (360_000_000, "100,000 hours"),
    ],
)
def test_a_duration_in_words(seconds, words):
    assert duration(seconds) == words


def test_one_of_a_unit_needs_no_number():
    assert the_first(60) == "the first minute"
    assert the_first(3600) == "the first hour"
    assert the_first(6) == "the first 6 seconds"
    assert the_first(100) == "the first 1 minute 40 seconds"


def test_nobody_else_says_minutes_and_hours_by_itself():
    """A number before the word is wrong for 1, and unreadable for a third."""
    by_itself = re.compile(r"\}\s*\"?\s*(minute|hour)s?\b")
    found = [path.name for path in SOURCES if by_itself.search(path.read_text(encoding="utf-8"))]
    assert found == []
