"""The tour, the way on from page to page, and the presenter view, without a browser."""

import re
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl

import pytest
import streamlit as st
from page_tools import button, exhibit, texts

from genrekit.app.classify import why
from genrekit.app.kit import tour
from genrekit.app.kit.tour import STOPS, read_stops, stop_at

REPOSITORY = Path(__file__).parents[2]
FRAME = (REPOSITORY / "pages" / "frame.py").read_text(encoding="utf-8")


def links(at):
    return {link.label: link for link in at.get("page_link")}


def test_the_tour_visits_every_page_of_the_navigation_in_its_order():
    pages = re.findall(r'page\("([^"]+)"', FRAME)
    visited = list(dict.fromkeys(stop.page for stop in STOPS))
    assert visited == [
        page for page in pages if page not in ("start/glossary.py", "start/privacy.py")
    ]
    for stop in STOPS:
        assert (REPOSITORY / "pages" / stop.page).is_file()
        address = f', "{stop.address}"' if stop.address else ""
        assert re.search(rf'page\("{stop.page}", "[^"]+", "\w+"{address}\)', FRAME)


def test_the_tour_takes_ten_minutes():
    assert sum(stop.minutes for stop in STOPS) == 10


STOP = {"page": "learn/neuron.py", "address": "neuron", "title": "A", "minutes": 1, "show": "B"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"minutes": "1"}, "C: minutes is '1'"),
        ({"page": "learn/nueron.py"}, "C: there is no page learn/nueron.py"),
        ({"title": "A"}, "A: two stops have this title"),
    ],
)
def test_a_mistake_in_the_tour_names_its_stop(change, message):
    with pytest.raises(ValueError, match=message):
        read_stops({"stops": [STOP, {**STOP, "title": "C", **change}]})


def test_a_place_in_the_app_is_one_stop():
    for number, stop in enumerate(STOPS):
        assert stop_at(stop.address, stop.enter) == number
        assert stop_at(stop.address, {**stop.enter, **stop.query}) == number, "setting up stays"
    assert stop_at("mel-scale", {}) == 1
    assert stop_at("glossary", {}) is None


@pytest.mark.parametrize("number", range(len(STOPS)))
def test_a_stop_says_what_to_do_and_leads_on(app, number):
    stop = STOPS[number]
    at = app(stop.page, tour="1", **stop.enter)
    assert not at.error
    assert f"{number + 1} of {len(STOPS)}" in texts(at)
    assert stop.show in texts(at)
    assert len(stop.show) <= 56, "a line on a phone"
    assert ("Next" in links(at)) == (number + 1 < len(STOPS))
    assert ("Back" in links(at)) == (number > 0)
    for label, way in (("Back", number - 1), ("Next", number + 1)):
        if label in links(at):
            query = parse_qs(links(at)[label].proto.query_string)
            assert query == {name: [v] for name, v in {**STOPS[way].query, "tour": "1"}.items()}


@pytest.mark.parametrize("stop", [stop for stop in STOPS if stop.query], ids=lambda s: s.title)
def test_what_a_stop_sets_up_is_accepted(app, stop):
    at = app(stop.page, tour="1", **{**stop.query, **stop.then})
    assert not at.exception
    assert not at.error
    assert at.query_params["tour"] == "1"


def test_a_guess_is_kept_and_the_core_s_answer_shown_beside_it(app):
    at = app("learn/neuron.py", tour="1", **STOPS[3].query)
    assert exhibit(at, "neuron_view")["core"]["answer"] == 1
    at.query_params.update(parse_qsl(links(at)["1"].proto.query_string))
    at.run()
    assert exhibit(at, "neuron_view")["core"] == {"products": [0.5, 0.5], "sum": -0.5, "answer": 0}
    said = "You said 1. It outputs 0, for its sum is −0.5."
    assert said in texts(at)
    at.query_params["nr_x1"] = "2"
    at.run()
    assert exhibit(at, "neuron_view")["core"]["answer"] == 1
    assert said in texts(at), "of the question, whatever is dragged later"
    assert "1" not in links(at)


def test_the_genre_guessed_stands_beside_the_model_s(app):
    at = app("listen/classify.py", tour="1")
    query = dict(parse_qsl(links(at)["Jazz"].proto.query_string))
    at = app("listen/classify.py", **query)
    assert "Blues" in [heading.value for heading in at.header]
    assert "You said Jazz. It says Blues: fairly sure, 78%." in texts(at)


def test_the_answer_to_a_guess_does_not_wait_for_the_evidence(app, monkeypatch):
    monkeypatch.setattr(why, "explain", lambda *_: st.stop())
    at = app("listen/classify.py", tour="1")
    at = app("listen/classify.py", **dict(parse_qsl(links(at)["Blues"].proto.query_string)))
    assert "You said Blues. It says Blues: fairly sure, 78%." in texts(at)


def test_every_page_leads_on_without_the_tour_and_without_its_bar(app):
    at = app("learn/neuron.py")
    assert "Next: A network that learns" in links(at)
    assert "tour" not in at.query_params
    assert "4 of 8" not in texts(at)


def test_only_the_frame_leads_on():
    pages = [p for p in (REPOSITORY / "pages").glob("*/*.py") if "Next:" in p.read_text("utf-8")]
    assert pages == []


def test_the_tour_stays_when_the_page_is_switched_and_can_be_left(app):
    at = app("start/home.py")
    button(at, "Take the ten-minute tour").click().run()
    assert at.query_params["tour"] == "1"
    at.query_params.clear()  # as a browser does when the navigation is used
    at.switch_page("learn/neuron.py").run()
    assert "4 of 8" in texts(at)
    assert at.query_params["tour"] == "1"
    button(at, "Leave the tour").click().run()
    assert "4 of 8" not in texts(at)
    assert "tour" not in at.query_params


def test_the_presenter_view_enlarges_charts_and_can_be_left(app):
    at = app("learn/mel_scale.py", mel_view="Filter bank")
    usual = [chart.proto.spec for chart in at.get("plotly_chart")]
    button(at, "Presenter view").click().run()
    assert at.query_params["present"] == "1"
    large = [chart.proto.spec for chart in at.get("plotly_chart")]
    assert '"size":24' not in usual[0].replace(" ", "")
    assert '"size":24' in large[0].replace(" ", "")
    assert "Presenter view" not in [b.label for b in at.button]
    button(at, "Leave presenter view").click().run()
    assert "present" not in at.query_params
    assert [chart.proto.spec for chart in at.get("plotly_chart")] == usual


@pytest.mark.parametrize("value", ["0", "", "yes", "<b>"])
def test_a_mode_is_on_or_off_and_nothing_else(app, value):
    at = app("learn/neuron.py", tour=value, present=value)
    assert not at.session_state[tour.TOUR]
    assert not at.session_state[tour.PRESENT]
    assert "4 of 8" not in texts(at)
