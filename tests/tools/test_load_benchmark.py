"""The load benchmark: a small crowd in a real server, and that it notices what goes wrong."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.Slider_pb2 import Slider

import benchmarks.__main__ as command
from benchmarks.load import browser, crowd
from benchmarks.load.crowd import Load
from benchmarks.load.tab import Element, Lost, Tab, another_value

pytestmark = pytest.mark.tools


def aside(function, *arguments, **named):
    """What a function gives in a thread of its own: Playwright keeps an event loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments, **named).result()


def test_a_small_crowd_loses_nothing(monkeypatch):
    monkeypatch.setattr(crowd, "THINK_SECONDS", (0.1, 0.3))
    monkeypatch.setattr(crowd, "KEEP_SECONDS", 2)
    monkeypatch.setattr(crowd, "FORGET_SECONDS", 3)
    result = aside(crowd.load, visitors=4, stay=3, live=1)
    assert result.lost == []
    assert {"go train", "go classify"} < {a for a in result.seconds if a.startswith("go ")}
    for action in ("hear an upload", "job: import", "job: train"):
        assert len(result.seconds[action]) >= 1, action
        assert min(result.seconds[action]) > 0.001, action
    assert all(0.5 < time < 3 for time in result.seconds[crowd.LIVE])
    assert len(result.seconds[crowd.LIVE]) > 1
    assert "from sound to bars, p95" in str(result)
    # Training starts a process that imports PyTorch; a page does not.
    assert result.seconds["job: train"][0] > 5 * min(result.simple())
    before, within, after = result.memory
    assert 100 < before < 3000
    assert within > 100
    assert after > 100
    assert 0 < result.processor < 2
    assert "lost: 0; goal 0, reached" in str(result)


# -- failures are noticed ---------------------------------------------------------------------


def told(*messages: ForwardMsg) -> Tab:
    tab = Tab("", None, {}, {})  # type: ignore[arg-type]
    for message in messages:
        tab._take(message)
    return tab


def ended(status: int = ForwardMsg.FINISHED_SUCCESSFULLY) -> ForwardMsg:
    return ForwardMsg(script_finished=status)


def alert(body: str) -> ForwardMsg:
    message = ForwardMsg()
    message.metadata.delta_path.extend([0, 0])
    message.delta.new_element.alert.body = body
    message.delta.new_element.alert.format = Alert.ERROR
    return message


def test_an_exception_on_the_page_loses_the_action():
    failed = ForwardMsg()
    failed.metadata.delta_path.extend([0, 3])
    failed.delta.new_element.exception.type = "ValueError"
    with pytest.raises(Lost, match="ValueError"):
        told(failed, ended())._complain()


def test_the_sentence_for_the_unforeseen_loses_it_and_a_refusal_does_not():
    with pytest.raises(Lost, match="Something went wrong on our side"):
        told(alert("Something went wrong on our side: reload."), ended())._complain()
    refusing = told(alert("The range is empty: widen it."), ended())
    refusing._complain()
    assert refusing.refusals == ["The range is empty: widen it."]


@pytest.mark.parametrize("kind", ["page_not_found", "compile error"])
def test_a_script_that_does_not_run_loses_it(kind):
    message = ForwardMsg()
    message.page_not_found.page_name = "nowhere"
    if kind == "compile error":
        message = ended(ForwardMsg.FINISHED_WITH_COMPILE_ERROR)
    with pytest.raises(Lost):
        told(message)._complain()


def test_what_takes_a_place_takes_away_all_that_was_in_it():
    def heading(text: str, *path: int) -> ForwardMsg:
        message = ForwardMsg()
        message.metadata.delta_path.extend(path)
        message.delta.new_element.heading.body = text
        return message

    tab = told(heading("one", 0, 0, 1), heading("two", 0, 1), heading("three", 0, 0))
    assert sorted(tab.text().split()) == ["three", "two"]


def test_other_values_are_such_as_the_widget_allows():
    slider = Slider(min=-1, max=1, step=0.25, default=[0.5])
    rng = random.Random(0)
    values = {another_value(Element("slider", slider, ""), rng) for _ in range(300)}
    assert values == {-1 + 0.25 * i for i in range(9)}


def test_the_command_fails_when_something_was_lost(monkeypatch, capsys):
    result = Load(2, memory=(200.0, 300.0, 210.0))
    result.seconds["go neuron"] = [0.1] * 95 + [0.5] * 5
    monkeypatch.setattr(crowd, "load", lambda visitors, stay, live: result)
    monkeypatch.setattr(browser, "paints", lambda: None)
    assert command.main(["load"]) == 0
    said = capsys.readouterr().out
    assert "p95: 120 ms; goal 300 ms, reached" in said  # between the 95th value and the 96th
    assert "50.0 MB each" in said
    assert "105% of before; goal 110%, reached" in said
    result.lost.append("visitor 1: disconnected")
    assert command.main(["load"]) == 1
    assert "LOST visitor 1" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        command.main(["load", "mlp"])
