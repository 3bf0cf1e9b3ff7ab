"""The panel "What else it hears": what stands out in words, and the rest in one line."""

from dataclasses import replace

import numpy as np
import pytest
from page_tools import texts

from genrekit.app.classify import hears, inputs, questions
from genrekit.app.classify.inputs import ModelChoice
from genrekit.model.tags import TAG_KINDS, SoundsLike
from genrekit.verdict import analysis
from genrekit.verdict.analysis import ModelFile

REPORTED = [tag for tag, kind in TAG_KINDS.items() if kind]


def tags(clear: int) -> tuple[SoundsLike, ...]:
    """All tags, of which the first are clear."""
    strengths = np.linspace(0.999, 0.01, len(REPORTED))
    return tuple(
        SoundsLike(tag, TAG_KINDS[tag], float(share), i < clear)
        for i, (tag, share) in enumerate(zip(REPORTED, strengths, strict=True))
    )


def test_each_kind_has_a_heading_and_each_tag_words():
    words = hears._WORDS
    assert set(words["kinds"]) == {TAG_KINDS[tag] for tag in REPORTED}
    assert list(words["phrases"]) == REPORTED


def test_the_rest_is_one_line():
    assert hears.not_sure(tags(4)) == (
        "**Not sure:** electronic, female vocalists, dance, 00s, alternative rock, and 40 weaker "
        "tags."
    )


@pytest.fixture
def heard(app, monkeypatch):
    """A function that opens the page with a song in which some tags are clear."""
    analyse = analysis.analyse

    def open_with(clear: int, card: dict):
        def analyse_with_tags(song, model):
            result = analyse(song, model)
            verdict = result.verdict
            parts = tuple(
                replace(part, sounds_like=dict.fromkeys(REPORTED, 0.5)) for part in verdict.segments
            )
            return replace(
                result, verdict=replace(verdict, segments=parts, sounds_like=tags(clear))
            )

        monkeypatch.setattr(analysis, "analyse", analyse_with_tags)
        monkeypatch.setattr(ModelFile, "card", lambda self: card)
        questions._value.clear()
        at = app("listen/classify.py", source=inputs.EXAMPLE, listener="Built-in: course-mlp")
        questions._value.clear()
        html = [block.proto.body for block in at.get("html") if 'class="hears"' in block.proto.body]
        return at, html

    return open_with


def test_what_is_clear_is_said_in_words_by_kind(heard):
    halves = {"tags": 9, "clear": 0.7, "top_tenth": 0.89, "top_quarter": 0.98}
    card = {"reference": "They are *7* songs.", "tags": {"songs": 319, "halves": halves}}
    at, (html,) = heard(6, card)
    assert "More <strong>like rock</strong> than 99% of the reference songs" in html
    assert html.index("<h4>Styles</h4>") < html.index("<h4>Voice</h4>")
    assert "<h4>Era</h4>" not in html
    shown = texts(at)
    assert "What else it hears" in shown
    assert "Not sure:** dance, " in shown
    assert "They are *7* songs." in shown.replace("\\", "")
    assert (
        "of the tags that were clear in one half of 319 songs, 89% were among the strongest tenth "
        "in the other half as well" in shown
    )


def test_nothing_clear_is_said_too(heard):
    at, html = heard(0, {})
    assert html == []
    assert "Nothing stands out clearly." in texts(at)


def test_a_model_without_tags_has_no_panel(app):
    at = app("listen/classify.py", source=inputs.EXAMPLE, listener="Built-in: course-mlp")
    assert "What else it hears" not in texts(at)


def test_a_model_of_one_s_own_has_the_reference_of_its_backbone(monkeypatch, tmp_path):
    cards = {"everyday": {"reference": "Seven songs."}, "mine": {"about": "Mine."}}
    monkeypatch.setattr(ModelFile, "card", lambda self: cards[self.folder.rpartition("/")[2]])
    own = ModelChoice("Yours: Mine", "Mine", ModelFile.at(tmp_path / "mine"), True)
    assert hears._worth(own) == r"Seven songs\."
