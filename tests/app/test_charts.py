"""The look: genres keep their colours, and everything stands out from both backgrounds."""

import re
import tomllib
from itertools import combinations
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

from genrekit.app.kit import charts
from genrekit.app.kit.clips import CLIPS
from genrekit.audio.synth.chart import STYLES
from genrekit.model.bundle import MODELS, load_model
from genrekit.model.verdicts import NO_MUSIC

ROOT = Path(__file__).parents[2]
THEME = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]
STYLE = (ROOT / "genrekit" / "app" / "kit" / "style.css").read_text(encoding="utf-8")
GTZAN = [clip.name for clip in CLIPS]


def rgb(colour):
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def contrast(one, other):
    """WCAG 2.2, from 1 to 21."""
    both = (rgb(value) if isinstance(value, str) else value for value in (one, other))
    low, high = sorted(linear(value) @ [0.2126, 0.7152, 0.0722] for value in both)
    return (high + 0.05) / (low + 0.05)


def linear(value):
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def blended(colour, share, background):
    return share * rgb(colour) + (1 - share) * rgb(background)


def test_contrast_is_measured_as_wcag_does():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


# -- genres -------------------------------------------------------------------------------------


def test_a_genre_has_the_same_colour_whatever_stands_beside_it():
    alone = {name: charts.genre_colours([name])[name] for name in (*GTZAN, *STYLES)}
    assert charts.genre_colours(GTZAN) == {name: alone[name] for name in GTZAN}
    assert charts.genre_colours(STYLES) == {name: alone[name] for name in STYLES}
    assert charts.genre_colours(STYLES[::-1]) == charts.genre_colours(STYLES)
    assert alone["hiphop"] == alone["hip-hop"] == charts.genre_colours(["Hip hop"])["Hip hop"]


def test_the_models_that_ship_know_only_genres_with_a_colour_of_their_own():
    for path in MODELS.glob("*/model.json"):
        genres = load_model(path.parent).genres
        assert len(set(charts.genre_colours(genres).values())) == len(genres)
        assert set(genres) <= {*GTZAN, "electronic"}


def test_unknown_genres_get_colours_that_stay_and_differ():
    own = ["ska", "dub", "fado", "polka", "zydeco", "jazz"]
    colours = charts.genre_colours(own)
    assert list(colours) == own
    assert len(set(colours.values())) == len(own)
    assert charts.genre_colours(own[::-1]) == colours
    assert charts.genre_colours(["dub"]) == {"dub": colours["dub"]}, "first in the alphabet"
    many = charts.genre_colours([f"genre {i}" for i in range(40)])
    assert len(many) == 40
    assert len(set(many.values())) == 17


@pytest.mark.parametrize("background", ["light", "dark"])
def test_whatever_is_drawn_stands_out(background):
    behind = THEME[background]["backgroundColor"]
    drawn = {*charts.PALETTE, *charts.genre_colours([*GTZAN, *STYLES]).values()}
    drawn |= set(charts.genre_colours([f"genre {i}" for i in range(40)]).values())
    assert {c for c in drawn if contrast(c, behind) < 3} == set()


# Machado, Oliveira and Fernandes 2009, severity 1: without green cones, without red ones.
BLIND = {
    "none": np.eye(3),
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
}


@pytest.mark.parametrize("sight", BLIND)
@pytest.mark.parametrize(
    ("genres", "least"),
    [
        (GTZAN, 0.075),
        ([*GTZAN, "electronic"], 0.07),
        ([*GTZAN, "electronic", NO_MUSIC], 0.04),
        (STYLES, 0.045),
    ],
)
def test_no_two_genres_of_a_collection_look_the_same(genres, least, sight):
    """Distances in OKLab (Ottosson 2020): 0.02 is just seen side by side. Patterns and symbols
    tell genres apart too."""
    colours = charts.outcome_colours(genres)
    seen = {genre: oklab(np.array(BLIND[sight]) @ linear(rgb(c))) for genre, c in colours.items()}
    distances = {
        (one, other): np.linalg.norm(seen[one] - seen[other])
        for one, other in combinations(genres, 2)
    }
    assert min(distances.values()) >= least, min(distances, key=distances.get)


def oklab(colour):
    to_cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    to_lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.array(to_lab) @ np.cbrt(np.array(to_cones) @ np.clip(colour, 0, 1))


def test_every_chart_wears_the_template():
    bare = charts.dressed(go.Figure(go.Scatter(x=[0], y=[0])), large=False)
    chart = charts.dressed(charts.figure(x="time, s", y="level, dB", height=200), large=False)
    for one in (bare, chart):
        assert one.layout.template.layout.colorway == charts.PALETTE
        assert one.layout.template.layout.legend.orientation == "h"
    assert (chart.layout.xaxis.title.text, chart.layout.height) == ("time, s", 200)


def test_a_large_chart_has_letters_for_the_back_of_a_room():
    chart = charts.dressed(charts.figure(x="a", y="b", height=200), large=True)
    layout = chart.layout
    sizes = {layout.font.size, layout.xaxis.tickfont.size, layout.yaxis.title.font.size}
    assert sizes == {24}
    assert layout.height == 260


def test_numbers_in_a_large_chart_have_room():
    heat = go.Heatmap(y=list("abcdefghijkl"), z=[[0]] * 12, text=[["0"]] * 12)
    chart = charts.dressed(charts.figure(heat, height=320), large=True)
    assert chart.data[0].textfont.size == 24
    assert chart.layout.height >= 12 * 24 + 200


def test_a_large_chart_has_markers_for_the_back_of_a_room():
    points = go.Scattergl(x=[0], y=[0], mode="markers", marker={"size": 7})
    bare = go.Scatter(x=[0], y=[0], mode="markers")
    usual, large = (charts.dressed(charts.figure(points, bare), large=on) for on in (False, True))
    assert large.data[0].marker.size > 1.5 * usual.data[0].marker.size
    assert large.data[1].marker.size is None


# -- the theme ----------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_can_be_read(scheme):
    theme = THEME[scheme]
    caption = int(re.search(r"currentColor (\d+)%", STYLE).group(1)) / 100
    button = dict(
        zip(
            ("light", "dark"),
            re.search(r"primary.*light-dark\((#\w+), (#\w+)\)", STYLE).groups(),
            strict=True,
        )
    )
    assert contrast(button[scheme], theme["primaryColor"]) >= 4.5
    for background in (theme["backgroundColor"], theme["secondaryBackgroundColor"]):
        for letters in ("textColor", "linkColor", "primaryColor"):
            assert contrast(theme[letters], background) >= 4.5, (letters, background)
        faint = blended(theme["textColor"], caption, background)
        assert contrast(faint, rgb(background)) >= 4.5


def test_letters_of_charts_can_be_read_in_the_light_theme():
    colour = re.search(r"text\[style.*fill: (#\w+)", STYLE).group(1)
    assert contrast(colour, THEME["light"]["backgroundColor"]) >= 4.5


def test_nothing_of_the_theme_comes_from_elsewhere():
    text = (ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8")
    assert "http" not in text
    assert "url(" not in STYLE


def test_a_genre_has_its_symbol_whatever_stands_beside_it():
    def symbols(genres):
        colours = charts.genre_colours(genres)
        return {genre: charts.genre_symbol(colours[genre]) for genre in genres}

    assert symbols(GTZAN[3:5]) == {name: symbols(GTZAN)[name] for name in GTZAN[3:5]}
    assert len(set(symbols(GTZAN).values())) == 7
    assert len(set(symbols([f"genre {i}" for i in range(40)]).values())) > 1
