"""A verdict as a line, as JSON and as a table, the same from the command line and the pages."""

import csv
import io
import json
from dataclasses import replace

import pytest
import soundfile
from alike import assert_alike

from genrekit.audio.synth.rendering import render
from genrekit.cli.main import main
from genrekit.errors import AudioError
from genrekit.model.tags import SoundsLike
from genrekit.model.verdicts import SegmentVerdict, Verdict, clear_tags
from genrekit.verdict.analysis import ModelFile, Song, judge
from genrekit.verdict.report import (
    agreeing_segments,
    candidates_in_words,
    report,
    segment_rows,
    summary_line,
    table_row,
    to_csv,
    to_json,
)


def part(**probabilities):
    return SegmentVerdict(0, 1, probabilities)


def test_segments_agree_with_the_likeliest_genre():
    parts = (part(a=0.6, b=0.4), part(a=0.3, b=0.7), part(a=0.9, b=0.1))
    assert agreeing_segments(Verdict("a", 0.6, {"b": 0.4, "a": 0.6}, parts, "")) == 2
    assert agreeing_segments(Verdict(None, 0.6, {"b": 0.4, "a": 0.6}, parts, "unsure")) == 2
    assert agreeing_segments(Verdict(None, 0, {}, (), "silence")) == 0


def test_a_segment_that_is_no_music_agrees_with_no_genre():
    parts = (part(a=0.6, b=0.4), part(a=0.3, b=0.1))
    assert agreeing_segments(Verdict("a", 0.45, {"a": 0.45, "b": 0.25}, parts, "")) == 1
    assert agreeing_segments(Verdict(None, 0.3, {"a": 0.3, "b": 0.2}, parts, "")) == 1


def test_several_candidates_are_a_promise():
    verdict = Verdict("a", 0.5, {"a": 0.5}, (), "")
    assert candidates_in_words(verdict) == ""
    assert candidates_in_words(replace(verdict, candidates=("a",))) == ""
    assert candidates_in_words(replace(verdict, candidates=("rock", "pop", "country"))) == (
        "One of rock, pop or country: right for 9 in 10 songs like those it was calibrated on."
    )


def test_the_line_of_an_unsure_verdict_names_the_candidates():
    verdict = Verdict(
        None, 0.4, {"a": 0.4, "b": 0.35}, (), "No genre stands out.", None, ("a", "b")
    )
    assert summary_line("x", verdict).startswith(
        "x: not sure. No genre stands out. One of a or b: right for 9 in 10"
    )


def test_the_json_is_that_of_the_command_line(tmp_path, demo_bundle, capsys):
    good, bad = tmp_path / "good.wav", tmp_path / "bad.wav"
    soundfile.write(good, render("jazz", seed=1, seconds=7.5, sample_rate=8000), 8000)
    bad.write_bytes(b"not music at all, not at all")
    assert main(["classify", str(good), str(bad), "--model", str(demo_bundle), "--json"]) == 1
    printed = capsys.readouterr().out
    model = ModelFile.at(demo_bundle)
    with pytest.raises(AudioError) as refused:
        judge(Song(bad.read_bytes(), 900), model)
    reports = [
        report(str(good), judge(Song(good.read_bytes(), 900), model)),
        report(str(bad), str(refused.value)),
    ]
    assert_alike(json.loads(printed), json.loads(to_json(reports)))
    assert json.loads(printed)[0]["genre"] == reports[0]["genre"]


def test_a_note_is_added_to_the_line():
    note = "Only the first 15 minutes were heard."
    verdict = Verdict("jazz", 0.7, {"rock": 0.1, "jazz": 0.7, "pop": 0.2}, (), note)
    assert summary_line("x", verdict) == f"x: jazz 70% (then pop 20%, rock 10%). {note}"


def test_what_rounds_to_nothing_is_not_named():
    verdict = Verdict("jazz", 0.996, {"rock": 0.003, "jazz": 0.996, "pop": 0.001}, (), "")
    assert summary_line("x", verdict) == "x: jazz 100%."
    assert repr(verdict).splitlines()[1] == "jazz 100%"


@pytest.fixture
def heard():
    """A verdict of two segments, with tags."""
    tags = (
        SoundsLike("folk", "style", 0.991, True),
        SoundsLike("acoustic", "instrument", 0.98, True),
        SoundsLike("mellow", "mood", 0.97, True),
        SoundsLike("60s", "era", 0.96, True),
        SoundsLike("sad", "mood", 0.4, False),
    )
    strengths = {"folk": 0.991, "acoustic": 0.5, "mellow": 0.25, "60s": 0.1, "sad": 0.0}
    parts = (SegmentVerdict(0, 3, {"a": 0.7, "b": 0.3}, strengths),) * 2
    return Verdict("a", 0.7, {"a": 0.7, "b": 0.3}, parts, "", sounds_like=tags)


def test_the_clear_tags_are_named_where_there_is_room(heard):
    assert clear_tags(heard) == ["folk", "acoustic", "mellow", "60s"]
    said = "Also hears: folk, acoustic, mellow."
    assert summary_line("x", heard) == f"x: a 70% (then b 30%). {said}"
    unsure = replace(heard, genre=None, note="No genre stands out.")
    assert summary_line("x", unsure) == f"x: not sure. No genre stands out. {said}"
    assert table_row("x", heard)["sounds like"] == "folk, acoustic, mellow, 60s"
    row = segment_rows(heard)[1]
    assert list(row)[:5] == ["start", "end", "a", "b", "sounds like folk"]
    assert row["sounds like folk"] == 0.991


def test_a_model_without_tags_says_nothing_of_them():
    verdict = Verdict("a", 0.7, {"a": 0.7, "b": 0.3}, (part(a=0.7, b=0.3),), "")
    assert "hears" not in summary_line("x", verdict)
    assert list(segment_rows(verdict)[0]) == ["start", "end", "a", "b"]
    assert "sounds like" not in table_row("x", verdict)
    written = json.loads(to_json([report("x", verdict)]))[0]
    assert written["sounds_like"] == []
    assert written["segments"][0]["sounds_like"] == {}


def test_the_json_has_every_tag_of_the_song_and_of_each_segment(heard):
    written = json.loads(to_json([report("x", heard)]))[0]
    assert written["sounds_like"][0] == {
        "tag": "folk",
        "kind": "style",
        "stronger_than": 0.991,
        "clear": True,
    }
    assert len(written["sounds_like"]) == 5
    assert written["segments"][1]["sounds_like"] == heard.segments[1].sounds_like


HOSTILE = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", 'a"b,c', "line\nbreak", "ordinary"]


def test_no_cell_of_the_csv_is_taken_for_a_formula():
    text = to_csv([{"file": name, "number": -1.5, "=column": ""} for name in HOSTILE])
    header, *rows = list(csv.reader(io.StringIO(text, newline="")))
    assert header == ["file", "number", "'=column"]
    assert [row[0].lstrip("'") for row in rows] == HOSTILE
    assert not any(row[0].startswith(tuple("=+-@\t\r\n")) for row in rows)
    assert rows[-1] == ["ordinary", "-1.5", ""]


def test_rows_of_different_columns_share_one_table():
    parts = (part(blues=0.61234567, jazz=0.3),) * 7
    verdict = Verdict(
        "blues", 0.61234567, {"blues": 0.61234567, "jazz": 0.3}, parts, "", None, ("blues", "jazz")
    )
    text = to_csv([table_row("bad.wav", "It is empty."), table_row("good.wav", verdict, 7.52)])
    bad, good = list(csv.DictReader(io.StringIO(text)))
    assert bad["note"] == "It is empty."
    assert bad["confidence"] == ""
    assert (good["confidence"], good["blues"], good["seconds"]) == ("0.6123", "0.6123", "7.5")
    assert (good["segments"], good["agreeing"]) == ("7", "7")
    assert (good["candidates"], good["no music"]) == ("blues, jazz", "0.0877")


def test_each_segment_is_a_row():
    first, second = segment_rows(Verdict("a", 1.0, {"a": 1.0}, (part(a=0.98765432),) * 2, ""))
    assert first == second == {"start": 0, "end": 1, "a": 0.9877, "no music": 0.0123}
