"""The siege: only of this machine, and held only if the server, the victim and memory did."""

import asyncio
import io
import zipfile

import pytest

from benchmarks import __main__ as command
from benchmarks.siege import processes, run
from benchmarks.siege.attack import Attack, Broke, Target
from benchmarks.siege.attacks import ATTACKS
from benchmarks.siege.run import Held, Siege
from benchmarks.siege.victim import Felt

WELL = Felt(pages=[0.1] * 20, verdicts=[1.0])


async def nothing(_: Target) -> None:
    pass


def held(felt: Felt = WELL, broke: str = "") -> Held:
    return Held(Attack("an attack", "nothing", nothing), broke, felt, 1.0)


@pytest.mark.parametrize("url", ["http://example.org", "https://192.0.2.1:80", "http://127.0.0.2"])
def test_no_other_machine_is_attacked(url):
    with pytest.raises(ValueError, match="another machine"):
        Target(url, 1.0)
    Target("http://127.0.0.1:8501", 1.0)


def test_attackers_come_from_addresses_of_their_own():
    target = Target("http://127.0.0.1:1", 1.0)
    found = [target.address() for _ in range(600)]
    assert len(set(found)) == 600


def test_names_tell_attacks_apart():
    assert len({one.name for one in ATTACKS}) == len(ATTACKS) > 20
    assert all(one.about for one in ATTACKS)


@pytest.mark.parametrize(
    ("result", "well"),
    [
        (held(), True),
        (held(broke="it has all files"), False),
        (held(Felt([0.1] * 10 + [5.0] * 2, [1.0])), False),
        (held(Felt([0.1], [11.0])), False),
        (held(Felt([0.1], [])), False),
        (held(Felt([0.1], [1.0], ["a page: no answer"])), False),
    ],
)
def test_what_counts_as_held(result, well):
    assert result.well is well
    assert ("BROKE" not in str(result)) is well
    assert Siege([result], (100.0, 100.0)).held is well
    assert result.broke in str(result)


def test_memory_has_to_come_back():
    assert Siege([held()], (100.0, 110.0)).held
    assert not Siege([held()], (100.0, 111.0)).held
    assert "111%" in str(Siege([held()], (100.0, 111.0)))


def test_an_attack_says_what_it_got_and_has_to_end(monkeypatch):
    async def takes_all(_: Target) -> None:
        raise Broke("all files")

    async def stays(_: Target) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(run, "LATE_SECONDS", 0.01)
    monkeypatch.setattr(
        run,
        "ATTACKS",
        [
            Attack("takes", "", takes_all),
            Attack("stays", "", stays, 0.01),
            Attack("none", "", nothing),
        ],
    )
    said = [run._attack(name, "http://127.0.0.1:1") for name in ("takes", "stays", "none")]
    assert said == ["all files", "the attack did not end", ""]


@pytest.mark.parametrize(("broke", "status"), [("", 0), ("all files", 1)])
def test_the_exit_status_tells(monkeypatch, capsys, broke, status):
    chosen = []

    def siege(attacks):
        chosen.extend(attacks)
        return Siege([held(broke=broke)], (100.0, 100.0))

    monkeypatch.setattr(run, "siege", siege)
    assert command.main(["siege", "--attack", "onlookers"]) == status
    assert [one.name for one in chosen] == ["500 onlookers"]
    assert "attacks held" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("make", "seconds"), [(processes._opus, 10_771), (processes._long_mp3, 10_800)]
)
def test_songs_of_hours_are_what_they_say(make, seconds):
    av = pytest.importorskip("av")
    with av.open(io.BytesIO(make())) as song:
        assert song.duration / av.time_base == pytest.approx(seconds, abs=1)
        assert len([*zip(range(9), song.decode(audio=0), strict=False)]) == 9


def test_a_dataset_of_zeros_is_small_and_claims_to_be_large(monkeypatch):
    monkeypatch.setattr(processes, "_BOMB_ROWS", 10_000)
    content = processes._npz()
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        assert packed.getinfo("features.npy").file_size > 60_000_000
    assert len(content) < 1_000_000
    assert len(processes._parquet()) < 1_000_000
