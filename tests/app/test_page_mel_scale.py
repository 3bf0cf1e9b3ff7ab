"""The mel scale page, each section, good input and bad, without a browser."""

import base64
import io
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile
from page_tools import SECTIONS, exhibit
from streamlit.testing.v1 import AppTest

from genrekit.app.kit.widgets import escape
from genrekit.app.mel import ear_test, sound_figures
from genrekit.audio.encode import wav_bytes
from genrekit.audio.synth.chart import STYLES
from genrekit.audio.synth.rendering import render
from genrekit.features import extraction
from genrekit.features.extraction import FeatureParams
from genrekit.features.trace import clip_params
from genrekit.mel import tones
from genrekit.mel.scale import hz_to_mel

ROOT = Path(__file__).parents[2]


def opened(section: str, **settings: str) -> AppTest:
    at = AppTest.from_file(str(ROOT / "pages/learn/mel_scale.py"), default_timeout=30)
    at.query_params["mel_view"] = section
    for key, value in settings.items():
        at.query_params[key] = value
    at.run()
    assert not at.exception
    return at


def text(at: AppTest) -> str:
    return "\n".join(
        element.value for kind in (at.markdown, at.caption, at.latex) for element in kind
    )


def metric(at: AppTest, label: str) -> str:
    return next(m.value for m in at.metric if m.label.startswith(label))


def wav(samples: np.ndarray, rate: int = 22_050) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV")
    return buffer.getvalue()


@pytest.mark.parametrize("section", list(SECTIONS))
def test_each_section_opens_working(section: str) -> None:
    at = opened(section)
    assert at.title[0].value == SECTIONS[section]
    assert not at.error
    assert not at.warning


def test_settings_survive_a_visit_to_another_section() -> None:
    at = opened("Filter bank", mel_bands="77")
    at.button_group(key="mel_view").set_value("ear").run()
    assert at.title[0].value == SECTIONS["Ear test"]
    at.button_group(key="mel_view").set_value("bank").run()
    assert at.slider(key="mel_bands").value == 77
    assert at.query_params["mel_bands"] == "77"


@pytest.mark.parametrize(
    ("section", "settings"),
    [
        ("nonsense", {}),
        ("Two rulers", {"mel_hz": "abc"}),
        ("Two rulers", {"mel_hz": "1e300", "mel_axis": "<b>"}),
        ("Two rulers", {"mel_hz": "-5", "mel_formula": "bark"}),
        ("Two rulers", {"mel_list": "440", "mel_unit": "yards"}),
        ("Ear test", {"mel_test": "Test 9", "mel_low": "-5"}),
        ("Filter bank", {"mel_bands": "9999", "mel_band": "200", "mel_n_fft": "3"}),
        ("Filter bank", {"mel_fmax": "20000", "mel_rate": "8000 Hz"}),
        ("Sound to MFCC", {"mel_clip": "../../etc/passwd", "mel_take": "0", "mel_keep": "999"}),
        ("Sound to MFCC", {"mel_moment": "77", "mel_coefficient": "99", "mel_step": "9"}),
        ("Sound to MFCC", {"mel_moment": "nan", "mel_step": "a"}),
    ],
)
def test_a_link_with_impossible_settings_opens_all_the_same(
    section: str, settings: dict[str, str]
) -> None:
    at = opened(section, **settings)
    assert not at.error
    assert at.title[0].value in SECTIONS.values()


# -- two rulers ---------------------------------------------------------------------------------


def tone(**settings: str) -> dict[str, Any]:
    """What the rulers get at an address."""
    return exhibit(opened("Two rulers", **settings), "mel_rulers")


def test_the_rulers_open_with_the_concert_pitch() -> None:
    data = tone()
    assert data["values"] == {"hz": 440, "formula": "htk"}
    assert data["core"]["htk"] == pytest.approx(549.6387, abs=1e-4)
    assert data["core"]["slaney"] == pytest.approx(6.6)
    assert (data["core"]["name"], data["core"]["cents"]) == ("A4", 0)
    assert data["core"]["worth"] == pytest.approx(1.0118, abs=1e-3)


def test_the_link_sets_the_frequency_and_the_formula() -> None:
    data = tone(mel_hz="1000", mel_formula="Slaney")
    assert data["values"] == {"hz": 1000, "formula": "slaney"}
    assert data["core"]["slaney"] == 15
    assert data["core"]["name"] == "B5"
    assert data["core"]["cents"] == pytest.approx(21.3, abs=0.1)
    assert data["core"]["worth"] == pytest.approx(1000 * (6.4 ** (1 / 27) - 1))


@pytest.mark.parametrize(("hz", "name"), [("0", ""), ("96000", "F♯12")])
def test_the_ends_of_the_range_work(hz: str, name: str) -> None:
    data = tone(mel_hz=hz)
    assert data["values"]["hz"] == float(hz)
    assert data["core"]["name"] == name


def test_both_puzzles_are_explained() -> None:
    at = opened("Two rulers")
    assert "=1126.99" in text(at)
    f = np.array([100, 1000, 8000])
    assert 1127 * np.log(1 + f / 700) == pytest.approx(hz_to_mel(f), rel=1 / 50_000)
    assert 1127.01 * np.log(1 + 1000 / 700) == pytest.approx(1000, abs=5e-4)
    assert any("1000 mel in one" in e.label for e in at.expander)


def test_the_logarithmic_axis_works() -> None:
    at = opened("Two rulers", mel_axis="logarithmic")
    assert not at.error
    assert '"type":"log"' in at.get("plotly_chart")[0].proto.spec


# -- a list ---------------------------------------------------------------------------------------


def test_a_list_becomes_a_table() -> None:
    at = opened("Two rulers", mel_list="440; 1000")
    table = at.dataframe[0].value
    assert table["mel (HTK)"].tolist() == pytest.approx([549.6387, 999.9855], abs=1e-3)
    assert table["nearest note"].tolist() == ["A4", "B5"]
    assert len(at.get("download_button")) == 1


def test_a_list_of_mel() -> None:
    at = opened("Two rulers", mel_unit="mel", mel_list_formula="Slaney", mel_list="15")
    assert at.dataframe[0].value["Hz"].tolist() == [1000]


def test_bad_entries_are_named_and_cannot_format_the_page() -> None:
    at = opened("Two rulers")
    at.text_area(key="mel_text").set_value("440 **bold** -1 <b>x</b>").run()
    warning = at.warning[0].value
    assert "3 entries were left out" in warning
    assert r"entry 2, “\*\*bold\*\*”, is not a number" in warning
    assert r"\<b\>" in warning
    assert "entry 3" in warning
    assert at.dataframe[0].value["Hz"].tolist() == [440]


def test_a_list_without_numbers_says_what_to_do() -> None:
    at = opened("Two rulers")
    at.text_area(key="mel_text").set_value("  ").run()
    assert "type or paste some" in at.info[0].value
    assert not at.dataframe


def test_a_long_list_is_cut_and_left_out_of_the_link() -> None:
    at = opened("Two rulers")
    at.text_area(key="mel_text").set_value("440 " * 10_003).run()
    assert "the last 3 entries" in at.warning[0].value
    assert len(at.dataframe[0].value) == 10_000
    assert "too long for the page's address" in text(at)
    assert "mel_list" not in at.query_params


# -- ear test -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("test", "revealed"),
    [
        ("Test 1", "Both steps are **200 Hz**"),
        ("Test 2", "Both steps are **226 mel**"),
        ("Test 3", "Both steps are **12.0 semitones**"),
        ("Staircases", "equal steps in mel"),
    ],
)
def test_the_answer_comes_after_the_guess(test: str, revealed: str) -> None:
    at = opened("Ear test", mel_test=test)
    assert revealed not in text(at)
    assert len(exhibit(at)) == 2, "two sounds, and no rulers yet"
    at.radio[0].set_value(at.radio[0].options[0]).run()
    assert revealed in text(at)
    rulers = exhibit(at, "mel_steps")
    assert list(rulers["marks"]) == ["A", "B"]
    if test != "Staircases":
        sizes = {name: tones.step_size(*ends, "mel") for name, ends in rulers["marks"].items()}
        assert all(f"{size:.0f} mel" in text(at) for size in sizes.values())


def test_a_mark_on_the_rulers_is_what_was_heard() -> None:
    at = opened("Ear test", mel_test="Staircases", mel_stairs="5")
    at.radio[0].set_value("A").run()
    stairs = exhibit(at, "mel_steps")["marks"]
    assert stairs["A"] == pytest.approx(tones.equal_steps(200, 4000, 5, "mel").tolist())
    assert np.diff(stairs["B"]) == pytest.approx([760] * 5)


@pytest.mark.parametrize("test", ["Test 1", "Test 2", "Test 3", "Staircases"])
def test_the_tones_sent_to_the_ear_are_quiet_and_start_in_silence(
    test: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[np.ndarray, int]] = []

    def noted(samples: np.ndarray, rate: int) -> bytes:
        sent.append((samples, rate))
        return wav_bytes(samples, rate)

    monkeypatch.setattr(ear_test, "wav_bytes", noted)
    opened("Ear test", mel_test=test)
    assert len(sent) == 2
    for samples, rate in sent:
        assert np.abs(samples).max() <= 10 ** (-12 / 20) + 1e-4
        assert np.abs(samples[: rate // 1000]).max() < 0.01
        assert np.abs(samples[-rate // 1000 :]).max() < 0.01


def test_a_new_test_starts_unanswered() -> None:
    at = opened("Ear test")
    at.radio[0].set_value("Step A").run()
    at.number_input(key="mel_top").set_value(500).run()
    assert at.radio[0].value is None
    at.radio[0].set_value("Step B").run()
    assert "Both steps are **300 Hz**" in text(at)


def test_impossible_steps_are_refused_in_words() -> None:
    at = opened("Ear test", mel_low="800", mel_top="400")
    assert "must go up" in at.error[0].value
    at = opened("Ear test", mel_test="Test 3", mel_low="200", mel_top="4000")
    assert "few people hear" in at.error[0].value


# -- filter bank --------------------------------------------------------------------------------


def test_empty_bands_are_explained_and_the_remedies_work() -> None:
    for button in (0, 1):
        at = opened("Filter bank", mel_bands="128", mel_n_fft="256")
        assert "bands are empty" in at.warning[0].value
        assert "86.1 Hz" in at.warning[0].value
        at.button[button].click().run()
        assert not at.warning
        assert "Every band catches" in at.success[0].value


def test_an_empty_range_is_refused_in_words() -> None:
    at = opened("Filter bank", mel_fmin="5000", mel_fmax="4000")
    assert "The range is empty" in at.error[0].value


def test_a_lower_sample_rate_pulls_the_range_with_it() -> None:
    at = opened("Filter bank")
    at.selectbox(key="mel_rate").set_value(8000).run()
    assert not at.exception
    assert not at.error
    assert at.number_input(key="mel_fmax").value == 4000


@pytest.mark.parametrize("bands", [1, 2, 256])
def test_any_number_of_bands_can_be_drawn(bands: int) -> None:
    at = opened("Filter bank", mel_bands=str(bands), mel_zoom="its lowest part")
    assert not at.error
    assert len(at.get("plotly_chart")) == 1


# -- from sound to MFCC -------------------------------------------------------------------------


def test_every_generated_clip_works() -> None:
    at = opened("Sound to MFCC")
    clips = [o for o in at.selectbox(key="mel_clip").options if not o.startswith("Your")]
    assert len(clips) == len(STYLES) + 2
    for clip in clips[:4]:
        at = opened("Sound to MFCC", mel_clip=clip)
        assert not at.error
        assert len(exhibit(at)["pictures"]) == 4


def test_what_is_sent_stays_small() -> None:
    for section in SECTIONS:
        at = opened(section)
        for figure in at.get("plotly_chart"):
            assert len(figure.proto.spec) < 1_000_000
        for component in at.get("bidi_component"):
            assert len(component.proto.json) < 200_000


def test_the_traced_sum_is_the_mfcc() -> None:
    at = opened("Sound to MFCC", mel_clip="Music: metal", mel_moment="2.0", mel_coefficient="4")
    clip = render("metal", seed=1, seconds=5.0)
    params = clip_params(clip, FeatureParams())
    expected = extraction.mfcc(clip[np.newaxis], params)[0, round(2.0 * 22050 / 512), 4]
    assert metric(at, "The sum") == metric(at, "The MFCC")
    assert metric(at, "The sum").replace("−", "-") == f"{expected:.3f}"
    table = at.dataframe[0].value
    assert table["sum so far"].iloc[-1] == pytest.approx(float(expected), abs=1e-3)
    assert table["product"].sum() == pytest.approx(float(expected), abs=1e-3)


def test_nothing_uploaded_yet_says_what_to_do() -> None:
    for source in ("Your own file", "Your microphone"):
        at = opened("Sound to MFCC", mel_clip=source)
        assert "add a sound" in at.info[0].value
        assert not at.get("bidi_component")


def test_an_upload_is_cut_to_six_seconds_and_kept_between_sections() -> None:
    at = opened("Sound to MFCC", mel_clip="Your own file")
    noise = 0.1 * np.random.default_rng(0).standard_normal(8 * 44_100)
    at.file_uploader[0].upload("a_*b*.wav", wav(noise, 44_100), "audio/wav").run()
    assert not at.error
    assert exhibit(at)["seconds"] == pytest.approx(6)
    assert r"a\_\*b\*\.wav, its first 6.0 s." in text(at)
    at.button_group(key="mel_view").set_value("calculator").run()
    at.button_group(key="mel_view").set_value("sound").run()
    assert r"a\_\*b\*\.wav" in text(at)
    assert exhibit(at)["seconds"] == pytest.approx(6)


def test_a_recording_works() -> None:
    at = opened("Sound to MFCC", mel_clip="Your microphone")
    tone = 0.2 * np.sin(np.arange(48_000) * 0.05)
    at.audio_input[0].upload("recording.wav", wav(tone, 48_000), "audio/wav").run()
    assert not at.error
    assert metric(at, "The sum") == metric(at, "The MFCC")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "It is empty"),
        (b"not audio at all, and long enough", "It is not audio"),
        (wav(np.zeros(0)), "It contains no sound"),
        (wav(np.zeros(44_100)), "It is silent"),
        (wav(0.1 * np.ones(500)), "too short"),
        (wav(0.1 * np.ones(30_000))[:60], "It "),
    ],
    ids=["empty", "text", "no samples", "silent", "short", "cut off"],
)
def test_bad_files_are_refused_by_name(data: bytes, message: str) -> None:
    at = opened("Sound to MFCC", mel_clip="Your own file")
    at.file_uploader[0].upload("<i>bad</i>.wav", data, "audio/wav").run()
    assert not at.exception
    assert len(at.error) == 1
    assert r"\<i\>bad" in at.error[0].value, "Markdown must not obey a file's name"
    shown = at.error[0].value.replace("\\", "")
    assert shown.startswith("<i>bad</i>.wav: It ")
    assert message in shown
    assert not at.get("bidi_component")


def test_a_file_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    at = opened("Sound to MFCC", mel_clip="Your own file")
    at.file_uploader[0].upload("big.wav", bytes(50_000_001), "audio/wav").run()
    assert "larger than 50 MB" in at.error[0].value


def test_taking_the_file_away_takes_its_pictures_away() -> None:
    at = opened("Sound to MFCC", mel_clip="Your own file")
    sound = 0.1 * np.random.default_rng(0).standard_normal(22_050)
    at.file_uploader[0].upload("a.wav", wav(sound), "audio/wav").run()
    assert at.get("bidi_component")
    at.file_uploader[0].clear().run()
    assert not at.get("bidi_component")
    assert "add a sound" in at.info[0].value


# -- views --------------------------------------------------------------------------------------


def test_markdown_is_escaped() -> None:
    hostile = "**b** _i_ [l](http://x) <b> `c` $x$ :red[r] # h ~s~ | \\ ![i](j) &amp;"
    escaped = escape(hostile)
    assert unquote(escaped.replace("\\\\", "\0").replace("\\", "").replace("\0", "\\")) == hostile
    for character in "*_[]()<>`$:#~|!&":
        count = escaped.count(character)
        assert escaped.count("\\" + character) == count


def test_the_spectrogram_s_rows_are_the_loudest_bins() -> None:
    db = np.full((5, 1025), -60.0)
    db[:, 93] = 0.0  # 93 × 22050 / 2048 is 1001 Hz
    pooled, top = sound_figures._pooled(db, FeatureParams())
    assert pooled.shape == (5, 256)
    assert np.argmax(pooled[0]) * top / 256 == pytest.approx(1001, abs=top / 256)


def test_the_pictures_are_those_of_the_sound() -> None:
    sound = tones.glide(440, 440, 2.0, sample_rate=22_050)
    params = clip_params(sound, FeatureParams())
    wave, spectrum, mel, mfcc = sound_figures.pictures(sound, params)
    kinds = (np.int8, np.uint8, np.uint8, np.float32)
    values = [
        np.frombuffer(base64.b64decode(picture["values"]), kind)
        for picture, kind in zip((wave, spectrum, mel, mfcc), kinds, strict=True)
    ]
    assert np.abs(values[0]).max() == 127
    for picture, levels in ((spectrum, values[1]), (mel, values[2])):
        levels = levels.reshape(len(picture["hz"]), params.frames)
        assert levels.max() == 255
        assert picture["hz"][levels.mean(axis=1).argmax()] == pytest.approx(440, abs=30)
    expected = extraction.mfcc(sound[np.newaxis], params)[0]
    np.testing.assert_array_equal(values[3].reshape(expected.T.shape), expected.T)
    ticks = {text: share for share, text in mel["ticks"]}
    assert list(ticks) == ["1k", "2k", "5k", "10k"]
    assert mel["hz"][int(ticks["1k"] * 128)] == pytest.approx(1000, rel=0.03)
