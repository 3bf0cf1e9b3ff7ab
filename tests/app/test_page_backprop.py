"""The backprop page without a browser: settings, controls, panels, links and refusals."""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_tools import texts
from streamlit.testing.v1 import AppTest

from genrekit.app.playground.names import LOOKS, weight_names
from genrekit.app.playground.panels import proof_table
from genrekit.app.playground.state import BYTES, EXAMPLES, FIRST, Playground
from genrekit.teaching.inspect_run import check_gradient
from genrekit.teaching.presets import EXPERIMENTS
from genrekit.teaching.run import Run, Weight
from genrekit.teaching.settings import RunSettings

PAGE = str(Path(__file__).parents[2] / "pages/learn/backprop.py")


def opened(**settings: str) -> AppTest:
    at = AppTest.from_file(PAGE, default_timeout=30)
    for key, value in settings.items():
        at.query_params[key] = value
    at.run()
    assert not at.exception
    return at


def state(at: AppTest) -> Playground:
    kept: Playground = at.session_state["_playground"]
    return kept


class Message:
    """What a film's message to the browser holds."""

    def __init__(self, content: bytes) -> None:
        length = int.from_bytes(content[:4], "little")
        self.head: dict[str, Any] = json.loads(content[4 : 4 + length])
        self.numbers = np.frombuffer(content[4 + length :], "<f8")

    def moments(self) -> Any:
        """The moments of its stretch, one a row."""
        stretch, (inputs, *_) = self.head["stretch"], self.head["sizes"]
        start = self.head["count"] * (inputs + 1) if stretch["examples"] else 0
        end = len(self.numbers) - 2 * stretch["epochs"]
        return self.numbers[start:end].reshape(stretch["moments"], -1)


def message(at: AppTest) -> Message:
    return Message(at.get("bidi_component")[0].proto.bytes)


def words(at: AppTest) -> str:
    return "\n".join(m.value for m in at.markdown)


def test_it_opens_with_the_courses_network_and_waits() -> None:
    at = opened()
    sent = message(at)
    assert state(at).run.settings == RunSettings()
    assert (sent.head["epochs"], sent.head["count"], sent.head["sizes"]) == (50, 1000, [2, 5, 1])
    assert not sent.head["play"]
    # The film begins before training, with examples and moments to play at once.
    moments = sent.moments()
    assert moments[0, 0] == 0
    np.testing.assert_array_equal(moments[:41, 0], range(41))
    np.testing.assert_array_equal(moments[0, 3:], Run(RunSettings()).moment().parameters)
    examples = sent.numbers[:3000]
    np.testing.assert_array_equal(examples[:2000].reshape(1000, 2), state(at).run.inputs)
    np.testing.assert_array_equal(examples[2000:], state(at).run.targets[:, 0])


def test_the_rest_of_a_run_is_one_message_and_is_sent_once() -> None:
    at = opened()
    assert message(at).moments()[-1, 0] >= FIRST
    at.run()
    assert "stretch" not in message(at).head
    state(at).film(state(at).run.seen, 0, examples=False)
    at.run()
    sent = message(at)
    seen = sent.moments()[:, 0]
    assert seen[-1] == 50_000
    assert max(np.diff(seen)) <= 25  # a new picture of it for each of the screen's, at full speed
    assert not sent.head["stretch"]["examples"]
    assert len(at.get("bidi_component")[0].proto.bytes) < 300_000


@pytest.mark.parametrize("index", range(len(EXPERIMENTS)))
def test_every_experiment_is_short_enough_for_one_message(index: int) -> None:
    experiment = EXPERIMENTS[index]
    assert experiment.epochs * experiment.settings.examples <= EXAMPLES


def test_a_part_of_the_film_can_be_had_in_finer_steps() -> None:
    at = opened()
    kept = state(at)
    kept.film(kept.run.seen, 500, examples=False)
    end = kept.run.seen
    at.run()
    kept.film(1000, 1, examples=False)
    at.run()
    fine = message(at).moments()
    assert (fine[0, 0], fine[1, 0]) == (1000, 1001)
    assert kept.run.seen == max(end, int(fine[-1, 0]))
    # Whatever a browser asks for, nothing is made that the film does not lead to.
    kept.film(10**9, 1, examples=False)
    assert kept.stretch is not None
    assert kept.stretch.moments[0, 0] <= 50_000


def test_a_cut_begins_a_take_from_the_moment_shown() -> None:
    at = opened()
    kept, before = state(at), state(at).run
    kept.film(before.seen, 100, examples=False)
    kept.cut(1500, lambda run: run.set_weight(Weight(1, 2, 0), 4.5))
    assert (kept.take, kept.base) == (2, 1500)
    at.run()
    moments = message(at).moments()
    was = before.at(1500)
    index = was.all_weights().index(Weight(1, 2, 0))
    expected = was.moment().parameters
    expected[index] = 4.5
    np.testing.assert_array_equal(moments[0, 3:], expected)
    assert moments[0, 0] == 1500
    assert message(at).head["changed"]


def test_a_new_rate_cuts_the_film_and_a_new_network_begins_another() -> None:
    at = opened()
    at.select_slider(key="bp_lr").set_value(0.5).run()
    head = message(at).head
    # The browser knows the moment from which the new rate is to hold.
    assert (head["rate"], head["wanted"], head["take"]) == (0.1, 0.5, 1)

    def faster(run: Run) -> None:
        run.learning_rate = 0.5

    state(at).cut(40, faster)
    at.run()
    head = message(at).head
    assert (head["rate"], head["wanted"], head["take"], head["base"]) == (0.5, 0.5, 2, 40)
    at.slider(key="bp_h1").set_value(7).run()
    head = message(at).head
    assert (head["rate"], head["take"], head["base"]) == (0.5, 3, 0)
    assert head["sizes"] == [2, 7, 1]
    assert head["stretch"]["examples"]


def test_more_epochs_lengthen_the_film() -> None:
    at = opened(bp_epochs="2")
    assert message(at).head["epochs"] == 2
    at.number_input(key="bp_epochs").set_value(3).run()
    assert (message(at).head["epochs"], message(at).head["take"]) == (3, 1)


def test_a_link_holds_every_setting() -> None:
    at = opened(
        bp_task="xor", bp_layers="2", bp_h1="4", bp_h2="3", bp_act="tanh", bp_lr="0.3",
        bp_epochs="7", bp_out="sigmoid", bp_bias="true", bp_init="xavier", bp_seed="5",
        bp_batch="2", bp_n="60", bp_low="-1", bp_high="1", bp_noise="0.05", bp_q1="0.7",
        bp_q2="-0.2", bp_speed="flat out", bp_lines="gradients", bp_map="truth", bp_reach="2.0",
        bp_weight="h1.2 → h2.3",
    )  # fmt: skip
    run = state(at).run
    assert run.settings == RunSettings(
        "xor", (4, 3), "tanh", "sigmoid", True, "xavier", 2, 60, -1.0, 1.0, 0.05, 5
    )
    assert (run.learning_rate, run.epochs) == (0.3, 7)
    view = message(at).head["view"]
    assert (float(view["bp_q1"]), float(view["bp_q2"])) == (0.7, -0.2)
    chosen = {"bp_speed": "flat out", "bp_lines": "gradients", "bp_map": "truth", "bp_reach": "2.0"}
    assert view.items() >= chosen.items()
    assert view["bp_weight"] == "h1.2 → h2.3"
    # A change of page drops them from the address; what was chosen is written there again.
    for key in chosen:
        del at.query_params[key]
    at.run()
    assert message(at).head["view"] == view
    assert at.query_params["bp_map"] == "truth"


@pytest.mark.parametrize("bad", ["nan", "inf", "1e9", "x", "<b>"])
def test_what_a_link_cannot_mean_is_the_default(bad: str) -> None:
    view = message(opened(bp_q1=bad, bp_speed=bad, bp_weight=bad)).head["view"]
    assert view["bp_q1"] == "0.3"
    assert view["bp_speed"] == "5 epochs a second"
    assert view["bp_weight"] == "a → h1"


@pytest.mark.parametrize("index", range(len(EXPERIMENTS)))
def test_every_experiment_reaches_the_widgets_and_the_run(index: int) -> None:
    def script() -> None:
        import streamlit as st

        from genrekit.app.playground.network_view import network_view as view
        from genrekit.app.playground.settings import settings_panel
        from genrekit.app.playground.state import playground

        chosen = st.session_state.pop("chosen", None)
        if chosen is not None:
            from genrekit.app.playground.settings import apply
            from genrekit.teaching.presets import EXPERIMENTS

            apply(st.session_state["_playground"], EXPERIMENTS[chosen])
        st.session_state.setdefault("bp_look", "Nothing")
        view(playground(*settings_panel()))

    at = AppTest.from_function(script, default_timeout=30).run()
    at.session_state["chosen"] = index
    at.run()
    assert not at.exception
    experiment = EXPERIMENTS[index]
    assert state(at).run.settings == experiment.settings
    head = message(at).head
    # It plays at once and says what it shows, and the widgets ask for nothing else.
    assert (head["take"], head["play"], head["rate"]) == (2, True, experiment.learning_rate)
    assert head["wanted"] == experiment.learning_rate
    assert head["told"] == f"{experiment.title}: {experiment.shows}"


def test_the_proof_shows_all_decimals_in_which_the_two_differ() -> None:
    run = Run(RunSettings(bias=True))
    run.advance(3000)
    x, t = run.next_example
    check = check_gradient(run, x, float(t[0]))
    table = proof_table(check, weight_names(run))
    for _, row in table.iterrows():
        shown = {name: Decimal(row[name]) for name in ("backpropagated", "measured", "difference")}
        assert abs(shown["backpropagated"] - shown["measured"]) == shown["difference"]
        assert "e" not in "".join(row.astype(str)).lower().replace("answer", "").replace("bias", "")
    assert max(map(float, table["difference"])) == pytest.approx(
        check.largest_difference, abs=2e-13
    )
    np.testing.assert_allclose(
        table["backpropagated"].astype(float), check.backpropagated, atol=1e-13
    )


def test_the_gradient_is_proved_on_the_page_at_the_moment_shown() -> None:
    at = opened(bp_look="Prove the gradient")
    assert message(at).head["follow"]
    assert "agree" in at.success[0].value
    assert len(at.dataframe[0].value) == 15
    first = at.dataframe[0].value["backpropagated"].tolist()
    state(at).shown = 40
    at.run()
    assert at.dataframe[0].value["backpropagated"].tolist() != first


def test_it_can_be_taken_away_at_the_moment_shown() -> None:
    at = opened(bp_look="Take away", bp_lr="0.3")
    assert "learning_rate=0.3" in at.code[1].value
    assert "run.advance" not in at.code[1].value
    assert "bp_lr=0.3" in at.code[0].value
    state(at).shown = 33
    at.run()
    assert "run.advance(33)" in at.code[1].value


def test_nothing_below_the_film_asks_for_the_moment() -> None:
    assert not message(opened()).head["follow"]


@pytest.mark.parametrize("look", LOOKS)
def test_numbers_beyond_all_numbers_are_said_in_words(look: str) -> None:
    at = opened(bp_act="identity", bp_high="5", bp_lr="10", bp_n="200", bp_look=look)
    assert state(at).run.broken
    sent = message(at)
    assert sent.head["stretch"]["broken"]
    assert np.isfinite(sent.moments()[:, 3:]).all()
    state(at).shown = state(at).run.seen
    at.run()
    said = texts(at) + " ".join(code.value for code in at.code).split("print(")[-1]
    assert not re.search(r"\b(nan|inf)\b|not a number|e[+-]\d\d", said, re.IGNORECASE), said
    found = " ".join(message for message, _ in sent.head["stretch"]["findings"][-1][1])
    assert "until the computer could not hold them" in found


def test_own_numbers_of_other_widths() -> None:
    at = opened(bp_task="own", bp_table="1,2,3,4\n0.1,0.2,0.3,0.4")
    assert state(at).run.mlp.layer_sizes == (3, 5, 1)
    head = message(at).head
    assert [key for key in head["view"] if key.startswith("bp_q")] == ["bp_q1", "bp_q2", "bp_q3"]
    assert head["names"][0] == ["x1", "x2", "x3"]
    # Between own numbers nobody knows the truth, nor the error.
    assert head["choices"]["bp_map"] == ["answer"]
    assert [row[0] for row in message(at).numbers[:6].reshape(2, 3)] == [1, 0.1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bp_task": "own", "bp_table": "1,2\n3,<b>x</b>"}, "which is not a number"),
        ({"bp_task": "own", "bp_table": ""}, "0 rows of numbers"),
        ({"bp_low": "0.6"}, "The range from 0.6 to 0.5 is empty"),
    ],
)
def test_bad_settings_are_one_plain_sentence(settings: dict[str, str], message: str) -> None:
    at = opened(**settings)
    assert len(at.error) == 1
    assert message in at.error[0].value.replace("\\", "")


def test_trouble_comes_with_a_remedy() -> None:
    at = opened(bp_task="difference", bp_n="50")
    _, ((message_, remedy), *_) = message(at).head["stretch"]["findings"][0]
    assert "cannot be reached" in message_
    assert "identity output" in remedy


def test_two_sessions_are_apart() -> None:
    one, two = opened(), opened()
    state(one).cut(0, lambda run: run.set_weight(Weight(0, 0, 0), 2.0))
    assert state(two).run.changes == []
    assert message(one).head["run"] != message(two).head["run"]


def test_what_travels_is_small_even_for_the_largest_network() -> None:
    at = opened(bp_layers="3", bp_h1="8", bp_h2="8", bp_h3="8", bp_bias="true", bp_n="10",
                bp_epochs="2000")  # fmt: skip
    for _ in range(3):
        kept = state(at)
        kept.film(kept.run.seen, 1, examples=True)
        at.run()
        content = at.get("bidi_component")[0].proto.bytes
        assert len(content) < 1.1 * BYTES
        assert Message(content).head["stretch"]["moments"] > 100


def test_every_weight_has_a_name() -> None:
    run = Run(RunSettings(hidden=(2, 2), bias=True))
    labels = weight_names(run)
    assert len(set(labels)) == len(labels) == len(run.all_weights()) == 4 + 4 + 2 + 5
    assert labels[0] == "a → h1.1"
    assert labels[-1] == "bias of answer"
