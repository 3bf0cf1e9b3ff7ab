"""The classify page without a browser: every state, every closer look, good input and bad."""

import io
import json
import re
import time
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from page_tools import button, texts
from streamlit.testing.v1 import AppTest

from genrekit.app import session
from genrekit.app.classify import inputs, questions, rhythm
from genrekit.app.classify.compare import agreement
from genrekit.app.classify.download import command, verdicts_json
from genrekit.app.classify.overview import clock
from genrekit.app.classify.questions import Outcome
from genrekit.app.jobs.job import Job
from genrekit.app.kit.clips import CLIPS
from genrekit.audio.degradation import Degradation
from genrekit.audio.synth.demo import COMPOSED
from genrekit.audio.synth.rendering import render
from genrekit.dataset.splits import by_segment
from genrekit.features.extraction import FeatureParams
from genrekit.isolation.pool import WorkerBusy
from genrekit.model.bundle import DEFAULT_MODEL, MODELS, GenreModel, load_model
from genrekit.model.packed import pack_model
from genrekit.model.verdicts import CONFIDENCE_WORDS, Verdict
from genrekit.training.loop import train
from genrekit.training.params import TrainParams
from genrekit.verdict import analysis
from genrekit.verdict.analysis import ModelFile
from genrekit.verdict.report import agreeing_segments

PAGE = "listen/classify.py"


@pytest.fixture
def own_model(app, make_dataset) -> Job:
    """A finished model job whose model takes 3 s segments at 22050 Hz, with its neighbours."""
    folder = session.jobs().new_folder()
    params = FeatureParams()
    rng = np.random.default_rng(0)
    data = make_dataset(genres=("jazz", "metal"), tracks=5, segments=2)
    features = rng.normal(size=(len(data), *params.shape)).astype(np.float32)
    data = type(data)(**{**data.__dict__, "features": features, "params": params})
    split = by_segment(data)
    training = train(data, split, TrainParams(epochs=1, device="cpu"))
    list(training)
    training.model("Made for a test.").save(folder / "model")
    (folder / "started").write_text("0")
    (folder / "events.jsonl").write_text('{"type": "exit", "status": 0}\n')
    return session.jobs().add(folder, "model", "Mine", [], "me")


def wav(samples, rate=22050) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def jazz(seconds=7.0, seed=1) -> bytes:
    return wav(render("jazz", seed=seed, seconds=seconds))


def upload(at: AppTest, *files: tuple[str, bytes]) -> AppTest:
    at.file_uploader[0].set_value([(name, content, "audio/wav") for name, content in files])
    return at.run()


def example(app, job: Job, example="Freshly composed", **settings: str) -> AppTest:
    at = app(PAGE, model=job.id, source="An example", example=example, **settings)
    assert not at.exception
    assert not at.error
    return at


# -- input ------------------------------------------------------------------------------------


def test_an_empty_page_says_what_to_do_first(app, own_model):
    at = app(PAGE, model=own_model.id)
    assert "Songs: wav, mp3" in at.file_uploader[0].label
    assert "An example" in at.segmented_control(key="source").options
    assert not at.header
    assert not at.get("plotly_chart")


def test_without_any_model_the_page_leads_to_training(app, monkeypatch, tmp_path):
    monkeypatch.setattr(inputs, "MODELS", tmp_path)
    at = app(PAGE)
    assert "There is no model yet" in texts(at)
    assert at.get("page_link")


def test_the_verdict_is_the_library_s(app, own_model):
    content = jazz()
    at = upload(app(PAGE, model=own_model.id), ("my *song*.wav", content))
    assert not at.exception
    verdict = load_model(own_model.folder / "model").classify(content)
    assert len(verdict.segments) == 2
    shown = texts(at)
    assert f"{verdict.confidence:.0%}" in shown
    assert (verdict.genre or "Not sure").lower() in " ".join(h.value for h in at.header).lower()
    assert at.header[0].value.endswith(r"my \*song\*\.wav")
    assert f"{agreeing_segments(verdict)} of 2 segments" in shown.replace("*", "")
    assert "WAV · 22.05 kHz · mono · heard: 7 s" in shown


def test_the_verdict_comes_with_the_model_s_accuracy(app, own_model):
    card = load_model(own_model.folder / "model").card
    shown = texts(example(app, own_model))
    assert card["split"]["worth"] in shown
    assert f"split by {card['split']['kind']}" in shown


def test_a_word_and_candidates_come_with_how_often_they_held(app, own_model, monkeypatch):
    counts = {"songs": 40, "held": 37, "candidates": 2.25}
    words = dict.fromkeys(CONFIDENCE_WORDS, (9, 11))
    also = [{"on": "clips of other music", "reliability": counts | {"words": words}}]
    known = ModelFile.card
    monkeypatch.setattr(ModelFile, "card", lambda file: known(file) | {"also_measured": also})

    def judged(song, model):
        result = analysis.analyse(song, model)
        verdict = result.verdict
        names = tuple(verdict.probabilities)
        return replace(result, verdict=replace(verdict, genre=names[0], candidates=names))

    monkeypatch.setattr(questions, "_classified", lambda s, m: Outcome(s, judged(s.song, m)))
    shown = texts(example(app, own_model))
    assert "right for 9 in 10 songs like those it was calibrated on" in shown
    assert "9 of 11 clips of other music" in shown
    assert "37 of 40 clips of other music (2.2 on average)" in shown


def test_an_example_needs_no_file_and_its_settings_are_in_the_address(app, own_model):
    at = example(app, own_model, style="reggae", take="7", length="9")
    assert at.header[0].value.endswith(r"reggae\-7\.wav")
    content = inputs._composed("reggae", 7, 9)
    verdict = load_model(own_model.folder / "model").classify(content)
    assert f"{agreeing_segments(verdict)} of 3 segments" in texts(at).replace("*", "")


@pytest.mark.parametrize("clip", CLIPS, ids=[clip.name for clip in CLIPS])
def test_a_link_opens_a_clip_with_its_verdict(app, own_model, clip):
    at = app(PAGE, model=own_model.id, **clip.query)
    assert not at.exception
    assert at.header[0].value.endswith(rf"{clip.name}\.ogg")
    shown = texts(at)
    assert clip.title in shown
    assert "Composed for GenreKit, played by a synthesiser" in shown
    verdict = load_model(own_model.folder / "model").classify(clip.path.read_bytes())
    assert f"{verdict.confidence:.0%}" in shown
    assert "OGG · 44.1 kHz · stereo" in shown


def test_a_clip_is_chosen_first_and_can_be_downloaded(app, own_model):
    at = app(PAGE, model=own_model.id, source="An example", look="Download")
    assert at.header[0].value.endswith(r"jazz\.ogg")
    labels = [b.label for b in at.get("download_button")]
    assert labels[-1] == "The sound as OGG"
    assert at.code[0].value == "python -m genrekit classify jazz.ogg --model my-model"


@pytest.mark.parametrize(
    "settings",
    [
        {"source": "nonsense"},
        {"source": "An example", "example": "../../etc/passwd"},
        {"source": "An example", "example": "Freshly composed", "style": "<b>", "take": "-1"},
        {"source": "An example", "example": "Freshly composed", "length": "1e9"},
        {"source": "An example", "segment": "-3", "look": "Why?"},
        {"source": "An example", "segment": "²", "look": "Stress test"},
        {"source": "An example", "segment": "99999999999", "look": "Stress test", "level": "77"},
        {"source": "An example", "look": "Why?", "why_genre": "polka", "listener": "../../x"},
        {"source": "An example", "look": "Stress test", "noise": "loud", "low_pass": "0"},
    ],
)
def test_a_link_with_impossible_settings_opens_all_the_same(app, own_model, settings):
    at = app(PAGE, model=own_model.id, **settings)
    assert not at.exception
    assert not at.error


def test_two_models_of_one_name_can_both_be_chosen(app, own_model, monkeypatch):
    monkeypatch.setattr(session, "owned", lambda kind: [own_model, own_model])
    at = app(PAGE, model=own_model.id)
    assert at.selectbox(key="listener").options[:2] == ["Yours: Mine", "Yours: Mine (2)"]


def test_sounds_survive_a_visit_to_another_page(app, own_model):
    at = upload(app(PAGE, model=own_model.id), ("a song.wav", jazz()))
    at.switch_page("start/home.py").run()
    at.switch_page(PAGE).run()
    assert "Still here from before: a song.wav" in texts(at)
    assert at.header[0].value.endswith(r"a song\.wav")
    at.run()
    assert at.header[0].value.endswith(r"a song\.wav")
    button(at, "Forget").click().run()
    assert not at.header


def test_a_file_that_is_removed_is_gone(app, own_model):
    at = upload(app(PAGE, model=own_model.id), ("a song.wav", jazz()))
    at.file_uploader[0].set_value([])
    at.run()
    assert not at.header


def test_a_choice_hides_the_inputs_until_they_are_asked_for(app, own_model):
    hides = "<style>.st-key-inputs { display: none; }</style>"

    def hidden(at: AppTest) -> bool:
        return hides in [one.proto.body for one in at.get("html")]

    at = app(PAGE, model=own_model.id)
    assert not hidden(at)
    upload(at, ("a.wav", jazz()))
    assert hidden(at)
    button(at, "Change").click().run()
    assert not hidden(at)
    assert button(at, "Change").disabled
    at.run()
    assert not hidden(at), "they stay while nothing is chosen"
    upload(at, ("a.wav", jazz()), ("b.wav", jazz(4, seed=2)))
    assert hidden(at)


def test_the_newest_file_is_shown(app, own_model):
    first, second = ("a.wav", jazz(4)), ("b.wav", jazz(4, seed=2))
    at = upload(app(PAGE, model=own_model.id), first)
    upload(at, first, second)
    assert at.header[1].value.endswith(r"b\.wav")
    at.run()
    assert at.header[1].value.endswith(r"b\.wav")
    upload(at, first, second, ("none.wav", b"no music"))
    assert at.header[1].value.endswith(r"a\.wav"), "one that can be judged"


# -- bad input --------------------------------------------------------------------------------

NOISE = np.random.default_rng(0).normal(0, 0.1, 200_000)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.wav", b"", "It is empty"),
        ("text.mp3", b"hello, hello, hello", "It is not audio in a format"),
        ("cut.flac", b"fLaC" + bytes(40), "it is damaged or incomplete"),
        ("no samples.wav", wav(NOISE[:0]), "0 samples"),
        ("one sample.wav", wav(NOISE[:1]), "of music are needed"),
        ("short.wav", wav(np.full(2000, 0.1)), "of music are needed"),
        ("silent.wav", wav(np.zeros(100_000)), "Silence"),
        ("nan.wav", wav(np.full(100_000, np.nan)), "samples that are not numbers"),
    ],
    # Not by what is in them: a WAV file has the time in it, and names are the same everywhere.
    ids=lambda value: "content" if isinstance(value, bytes) else None,
)
def test_bad_input_gets_a_plain_sentence_and_does_not_stop_the_rest(
    app, own_model, name, content, says
):
    at = app(PAGE, model=own_model.id)
    upload(at, (name, content), ("good.wav", jazz(4)))
    assert not at.exception
    table = at.dataframe[0].value
    assert list(table["file"]) == [name, "good.wav"]
    assert says in table["note"][0]
    assert at.header[1].value.endswith(r"good\.wav"), "the first that can be judged is shown"

    alone = upload(app(PAGE, model=own_model.id), (name, content))
    assert not alone.exception
    assert says in texts(alone)
    for secret in ("Traceback", str(own_model.folder), "/tmp", ".py"):
        assert secret not in texts(alone)


@pytest.mark.parametrize(
    "content",
    [wav(np.stack([NOISE] * 8, 1)), wav(NOISE[:40_000], 8000), wav(np.tile(NOISE, 4), 192_000)],
    ids=["8 channels", "8 kHz", "192 kHz"],
)
def test_unusual_sounds_are_classified(app, own_model, content):
    at = upload(app(PAGE, model=own_model.id), ("odd.wav", content))
    assert not at.error
    assert at.header[1:], "a verdict below the name"


def test_only_the_start_of_a_long_song_is_used_and_the_page_says_so(app, own_model, monkeypatch):
    monkeypatch.setenv("GENREKIT_SONG_MINUTES", "0.1")
    inputs.settings.cache_clear()
    at = upload(app(PAGE, model=own_model.id), ("long.wav", jazz(10)))
    assert "Only the first 6 seconds were heard" in texts(at)
    assert "heard: the first 6 s" in texts(at)


def test_too_much_at_once_is_refused(app, own_model, monkeypatch):
    monkeypatch.setenv("GENREKIT_UPLOAD_MEGABYTES", "0.5")
    inputs.settings.cache_clear()
    at = upload(app(PAGE, model=own_model.id), ("a.wav", jazz()))
    assert "are the most that can be taken at once" in texts(at)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/x.wav", "x.wav"),
        ("C:\\music\\x.wav", "x.wav"),
        ("a\nb\x00c.wav", "a b c.wav"),
        ("", "unnamed"),
        ("..", ".."),
        ("<script>alert(1)</script>.wav", "script>.wav"),
        ("é" * 300 + ".wav", "é" * 87 + "…" + "é" * 8 + ".wav"),
    ],
)
def test_names_are_shown_without_folders_and_invisible_characters(name, shown):
    assert inputs.plain_name(name) == shown


def test_an_unexpected_failure_shows_no_traceback(app, own_model, monkeypatch):
    def fail(*args, **kwargs):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(GenreModel, "judge", fail)
    at = upload(app(PAGE, model=own_model.id), ("a.wav", jazz(4, seed=2)))
    assert "Something went wrong on our side" in texts(at)
    assert "secret" not in texts(at)


# -- several files ----------------------------------------------------------------------------


def test_several_files_make_a_table_with_the_library_s_verdicts(app, own_model):
    songs = [("a.wav", jazz(4)), ("b.wav", jazz(7, seed=3)), ("=1+1.wav", b"nothing at all, no")]
    at = upload(app(PAGE, model=own_model.id), *songs)
    table = at.dataframe[0].value
    model = load_model(own_model.folder / "model")
    for row, (_, content) in zip(range(2), songs, strict=False):
        verdict = model.classify(content)
        assert table["verdict"][row] == (verdict.genre or "not sure")
        assert table["confidence"][row] == round(100 * verdict.confidence)
        assert table["segments"][row] == len(verdict.segments)
    assert table["file"][2] == "'=1+1.wav"
    assert at.header[0].value == "3 files, 2 judged"
    assert [b.label for b in at.get("download_button")] == ["All as CSV", "All as JSON"]


def test_the_json_to_download_is_the_command_line_s(own_model):
    content = jazz(4)
    song = analysis.Song(content, 900)
    model = ModelFile.at(own_model.folder / "model")
    good = Outcome(inputs.Sound("a.wav", song), analysis.analyse(song, model))
    bad = Outcome(inputs.Sound("b.wav", song), None, "It is empty.")
    first, second = json.loads(verdicts_json([good, bad]))
    verdict = load_model(own_model.folder / "model").classify(content)
    assert first["file"] == "a.wav"
    assert first["probabilities"] == verdict.probabilities
    assert len(first["segments"]) == 1
    assert second == {"file": "b.wav", "error": "It is empty."}


def test_the_genre_of_a_composed_piece_stands_beside_the_verdict(app, own_model):
    for choice, meant in (("Freshly composed", "reggae"), ("Hip hop", "hip hop")):
        at = example(app, own_model, choice, style="reggae", length="6")
        said = re.search(r"Composed as \*\*(.*?)\*\*; the model (.*)\.", texts(at))
        assert said.group(1) == meant
        shown = [h.value for h in at.header][-1].split()[-1].lower()
        heard = "is not sure what it hears" if shown == "sure" else f"hears **{shown}**"
        assert said.group(2) == heard


# -- the closer looks -------------------------------------------------------------------------


def test_nothing_expensive_is_computed_in_advance(app, own_model, monkeypatch):
    asked = []
    for name in ("explain", "nearest", "stress_test", "excerpt_sound", "judge"):
        monkeypatch.setattr(analysis, name, lambda *args, name=name: asked.append(name))
    at = example(app, own_model, take="321")
    assert "Look closer" in [control.label for control in at.get("button_group")]
    assert asked == []


def test_why_shows_the_evidence_and_the_nearest_training_segments(app, own_model):
    at = example(app, own_model, look="Why?", segment="2")
    shown = texts(at)
    assert "What it heard in training that sounds alike" in shown
    assert "It matches none of the 9 recordings the model was trained on." in shown
    assert "Nearest to segment 2" in shown.replace("*", "")
    assert "keeps the 38% of all areas that spoke most for" in shown
    assert "Nobody has measured how much that proves for this model" in shown
    table = at.dataframe[0].value
    assert len(table) == 5
    assert list(table["distance"]) == sorted(table["distance"])
    order = at.selectbox(key="why_genre").options
    at.selectbox(key="why_genre").select(order[1]).run()
    assert f"odds for {order[1]} fall" in texts(at)


def test_rhythm_and_key_are_shown_with_a_verdict_on_each_part(app, own_model):
    at = example(app, own_model, look="Rhythm and key", length="9")
    shown = texts(at)
    assert "beats per minute" in shown
    assert "Drums" not in [one.value.strip("*") for one in at.markdown]
    at.toggle(key="parts").set_value(True).run()
    assert not at.exception
    named = [one.value.strip("*") for one in at.markdown]
    assert named.index("Whole song") < named.index("Drums") < named.index("Harmony")


def test_rhythm_that_must_wait_says_so_and_leaves_the_player(app, own_model, monkeypatch):
    def wait(*_, **__):
        raise WorkerBusy("Try again in a minute.")

    monkeypatch.setattr(rhythm, "ask", wait)
    at = example(app, own_model, look="Rhythm and key", length="9")
    assert "Try again in a minute." in [one.value for one in at.info]
    assert "How far to trust it" in texts(at)


def explained(at) -> str:
    """The genre that the sentence on the page explains."""
    return re.search(r"the odds for (\w+) fall", texts(at)).group(1)


@pytest.mark.parametrize("change", ["take", "listener", "look"])
def test_the_evidence_is_for_the_song_and_the_model_on_the_screen(app, own_model, change):
    at = example(app, own_model, look="Why?", length="6")
    order = at.selectbox(key="why_genre").options
    at.selectbox(key="why_genre").select(order[1]).run()
    assert explained(at) == order[1]
    if change == "listener":
        at.selectbox(key="listener").select("Built-in: course-mlp").run()
    elif change == "take":
        at.number_input(key="take").set_value(2).run()
    else:  # the other song is chosen while another look is open
        at.segmented_control(key="look").set_value("Download").run()
        at.number_input(key="take").set_value(2).run()
        at.segmented_control(key="look").set_value("Why?").run()
    assert not at.exception
    likeliest = at.selectbox(key="why_genre").options[0]
    assert at.selectbox(key="why_genre").value == explained(at) == likeliest
    assert at.query_params.get("why_genre") in (None, likeliest)


def test_the_genre_to_explain_stays_while_the_song_does(app, own_model):
    at = example(app, own_model, look="Why?", length="6", why_genre="metal", segment="2")
    assert explained(at) == "metal"
    at.run()
    assert explained(at) == "metal"
    assert "Nearest to segment 2" in texts(at).replace("*", "")


def test_a_chosen_segment_keeps_its_time_under_a_model_with_other_segments(
    app, own_model, monkeypatch
):
    at = example(app, own_model, look="Why?", length="9", segment="3")
    assert "Nearest to segment 3" in texts(at).replace("*", "")
    analyse = analysis.analyse

    def in_halves(song, model):
        result = analyse(song, model)
        halves = tuple(
            replace(part, start=start, end=start + 1.5)
            for part in result.verdict.segments
            for start in (part.start, part.start + 1.5)
        )
        return replace(result, verdict=replace(result.verdict, segments=halves))

    monkeypatch.setattr(analysis, "analyse", in_halves)
    at.selectbox(key="listener").select("Built-in: course-mlp").run()
    assert at.query_params["segment"] == "5"
    at.number_input(key="take").set_value(2).run()
    assert at.query_params["segment"] == "1", "another song begins at its start"


def test_why_of_a_model_without_neighbours_says_so(app, own_model):
    (own_model.folder / "model" / "neighbours.safetensors").unlink()
    assert "does not carry the segments" in texts(example(app, own_model, look="Why?", take="5"))


def test_some_segments_of_a_long_song_are_explained(app, own_model):
    at = upload(app(PAGE, model=own_model.id, look="Why?", segment="25"), ("a.wav", jazz(80)))
    assert not at.exception
    assert "20 of the 26 segments were asked" in texts(at)


def test_a_stress_test_says_whether_the_verdict_holds(app, own_model):
    at = example(app, own_model, look="Stress test")
    assert "Nothing is changed yet" in texts(at)
    at.slider(key="level").set_value(-40).run()
    at.select_slider(key="low_pass").set_value("500").run()
    content = inputs._composed("jazz", 1, 15)
    test = analysis.stress_test(
        analysis.Song(content, 900),
        ModelFile.at(own_model.folder / "model"),
        Degradation(level_db=-40, low_pass_hz=500),
    )
    assert ("It holds" if test.holds else "It flips") in texts(at)
    assert len(at.get("audio")) == 2
    button(at, "All back to zero").click().run()
    assert "Nothing is changed yet" in texts(at)


def test_a_degradation_is_in_the_address(app, own_model):
    at = example(app, own_model, look="Stress test", noise="0", phone="0.5", level="-6")
    assert "Nothing is changed yet" not in texts(at)
    assert (at.slider(key="level").value, at.select_slider(key="noise").value) == (-6, "0")


def test_silence_after_a_degradation_flips_the_verdict(app, own_model):
    quiet = wav(0.003 * render("jazz", seed=1, seconds=4))
    at = upload(app(PAGE, model=own_model.id, look="Stress test", level="-40"), ("q.wav", quiet))
    assert "It flips" in texts(at)
    assert "Silence" in texts(at)


def test_all_models_are_compared_with_their_accuracy(app, own_model):
    at = example(app, own_model, look="Compare models")
    shown = texts(at)
    shipped = sorted(path.parent.name for path in MODELS.glob("*/model.json"))
    assert "Yours: Mine" in shown
    content = inputs._composed("jazz", 1, 15)
    for name in shipped:
        assert f"Built-in: {name}" in shown
        verdict = load_model(name).classify(content)
        assert f"{verdict.confidence:.0%}" in shown or not verdict.probabilities
    assert "Each figure is worth what its split is worth" in shown


def test_built_in_models_are_listed_default_first_then_by_accuracy(app, own_model):
    at = example(app, own_model)
    own, first, *others = at.selectbox(key="listener").options
    assert (own, first) == ("Yours: Mine", f"Built-in: {DEFAULT_MODEL}")
    scores = {choice.label: choice.accuracy for choice in inputs.model_choices()}
    assert others == sorted(others, key=lambda label: -scores[label])
    at.selectbox(key="listener").select("Built-in: course-mlp").run()
    assert "the course's network, on MFCCs." in texts(at)


def verdict(genre):
    return Verdict(genre, 0.9, {"a": 0.9, "b": 0.1}, (), "")


@pytest.mark.parametrize(
    ("verdicts", "says"),
    [
        (["a", "a", "a"], "All 3 models agree: a"),
        (["a", "b", "a"], "2 of 3 models agree: a"),
        (["a", "b"], "no two say the same"),
        (["a", None], "no two say the same"),
        ([None, None], "No model is sure"),
        (["a"], "One model was asked; it says a"),
    ],
)
def test_the_models_agreement_in_words(verdicts, says):
    text = agreement([verdict(genre) for genre in verdicts])
    assert says in text.replace("*", "")


def test_the_command_gives_the_same_verdict(app, own_model):
    at = example(app, own_model, look="Download", listener="Built-in: course-mlp")
    assert at.code[0].value == "python -m genrekit classify jazz-1.wav --model course-mlp"
    labels = [b.label for b in at.get("download_button")]
    assert labels == ["This verdict as JSON", "Its segments as CSV", "The sound as WAV"]


@pytest.mark.parametrize(
    ("name", "quoted"), [("-rf.wav", "./-rf.wav"), ("a; b$(c).mp3", "'a; b$(c).mp3'")]
)
def test_a_hostile_name_is_one_quoted_word_of_the_command(own_model, name, quoted):
    own = inputs.ModelChoice("Yours: Mine", "Mine", ModelFile("x", 0), True)
    assert command(name, own) == (f"python -m genrekit classify {quoted} --model my-model")


@pytest.mark.parametrize(
    ("seconds", "text"), [(3, "3 s"), (8.54, "8.5 s"), (59.99, "1:00 min"), (187.2, "3:07 min")]
)
def test_times_are_written_as_people_write_them(seconds, text):
    assert clock(seconds) == text


# -- models of one's own ----------------------------------------------------------------------


def finish(job: Job) -> None:
    deadline = time.monotonic() + 120
    while job.active:
        assert time.monotonic() < deadline, "it did not end in time"
        time.sleep(0.05)


def send_model(at: AppTest, content: bytes) -> Job:
    (uploader,) = (one for one in at.file_uploader if "zip" in one.label)
    uploader.set_value(("mine.zip", content, "application/zip"))
    at.run()
    button(at, "Use this model").click().run()
    job = session.jobs().get(at.session_state["model"])
    finish(job)
    at.run()
    assert not at.exception
    return job


def test_a_downloaded_model_comes_back_and_is_chosen(app, own_model):
    at = app(PAGE)
    assert at.selectbox(key="listener").value == f"Built-in: {DEFAULT_MODEL}"
    job = send_model(at, pack_model(own_model.folder / "model"))
    assert job.status == "done", job.log()
    assert at.selectbox(key="listener").value == "Yours: Uploaded mine"
    assert at.query_params["model"] in (job.id, [job.id]), "the link shares it"
    upload(at, ("a song.wav", jazz()))
    assert "nobody has checked them here" in texts(at)
    train_page = app("build/train.py", model=job.id)
    assert train_page.header[0].value == "Uploaded mine"
    assert "nobody has checked them here" in texts(train_page)


def test_a_file_that_is_no_model_is_refused_by_its_job(app):
    at = app(PAGE)
    job = send_model(at, b"no zip file")
    assert job.status == "failed"
    assert "It is not a zip file" in texts(at)
    assert at.selectbox(key="listener").value == f"Built-in: {DEFAULT_MODEL}"


def test_a_model_of_composed_pieces_offers_the_built_in_one(app, own_model):
    at = upload(app(PAGE, model=own_model.id), ("a song.wav", jazz()))
    assert "knows only composed pieces" not in texts(at)
    card = own_model.folder / "model" / "model.json"
    card.write_text(card.read_text().replace("Made for a test.", COMPOSED))
    at = upload(app(PAGE, model=own_model.id), ("a song.wav", jazz()))
    assert "knows only composed pieces" in texts(at)
    assert re.search(r"The built-in model (is not sure|hears)", texts(at))
    button(at, "Use the built-in model").click().run()
    assert at.selectbox(key="listener").value == f"Built-in: {DEFAULT_MODEL}"
    assert "knows only composed pieces" not in texts(at)
