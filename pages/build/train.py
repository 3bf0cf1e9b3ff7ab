"""The page that trains a classifier on a dataset, and shows its score, exam and model card."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import streamlit as st

from genrekit.app import session
from genrekit.app.build.dataset_views import read
from genrekit.app.build.training_views import show_curves, show_exam, show_leak, show_run
from genrekit.app.jobs.job import Job
from genrekit.app.kit.glossary import page_heading, setting
from genrekit.app.kit.inputs import INPUTS, fold, offer_change
from genrekit.app.kit.job_panel import job_panel, show_origin, watch
from genrekit.app.kit.widgets import (
    URL,
    check_upload,
    escape,
    first_step,
    number_input,
    plain_errors,
)
from genrekit.audio.synth.demo import COMPOSED
from genrekit.dataset.dataset import Dataset
from genrekit.dataset.splits import held_out_in_words, make_split
from genrekit.errors import DatasetError, GenreKitError
from genrekit.features.presets import PRESETS
from genrekit.system.records import read_toml
from genrekit.training.params import NETWORK_DEFAULTS, TrainParams
from genrekit.wording import counted, numeral

TABLES = read_toml(__file__)
SPLITS, NETWORKS, CLASSICAL = TABLES["splits"], TABLES["networks"], TABLES["classical"]
PAGE = "train"
# So often a run is drawn again: an epoch of the simple network takes a tenth of a second.
_REFRESH_SECONDS = 0.5
RATES = [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 2e-3, 3e-3, 4e-3]
SUFFIXES = (".parquet", ".npz", ".json")


def choose_dataset() -> Job | None:
    """Return the dataset to train on: one made in this visit, or an uploaded one."""
    current = session.current("dataset")
    known = session.owned("dataset")
    if current is not None and current.active:
        job_panel(current)
        return None
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    if known:
        with left:
            current = st.selectbox(
                "Dataset",
                known,
                index=next((i for i, job in enumerate(known) if current == job), 0),
                format_func=lambda job: title(job, known),
                key=f"of_{known[0].id}",  # the newest: while there is no other, the choice stays
            )
        if current is not None:
            session.remember("dataset", current.id)
    else:
        if current is not None:
            job_panel(current)  # it failed, and says why
        st.info("First prepare a dataset: the demo one takes about six seconds.")
        first_step("build/dataset.py", "Prepare a dataset", ":material/library_music:")
    with right.popover("Your own file", icon=":material/upload:", width="stretch"):
        upload_dataset()
    return current if known else None


def title(job: Job, known: list[Job]) -> str:
    """Return a title that no other has: the browser answers with the chosen title alone."""
    alike = [other.id for other in known if other.title == job.title]
    place = alike.index(job.id) + 1
    return job.title if len(alike) == 1 else f"{job.title} ({place} of {len(alike)})"


def upload_dataset() -> None:
    upload = st.file_uploader(
        "A dataset as Parquet or NPZ from here, or as the course's JSON", type=list(SUFFIXES)
    )
    if upload is None or not st.button("Use this file", icon=":material/upload:"):
        return
    suffix = Path(upload.name).suffix.lower()
    if suffix not in SUFFIXES:
        raise DatasetError("That file's name ends in none of .parquet, .npz and .json: rename it.")
    check_upload(upload.size, "send a smaller dataset")
    folder = session.jobs().new_folder()
    (folder / f"upload{suffix}").write_bytes(upload.getvalue())
    command = ["import", f"upload{suffix}", "-o", "data.parquet", "--progress", "json"]
    session.start("dataset", f"Uploaded {suffix[1:]} file", [command], folder)


def choose_recipe(job: Job, dataset: Dataset) -> tuple[TrainParams, str]:
    left, right = st.columns(2)
    with left:
        offered = offered_splits(dataset)
        split = st.radio(
            options=offered, format_func=SPLITS.__getitem__, **setting("train", "split")
        )
        held_out = st.empty()
        if dataset.tracks is None:
            st.warning(
                "This dataset does not say which segments come from the same song, so songs may "
                "stand on both sides and the score cannot be trusted. Build it from the audio to "
                "get one that can."
            )
        network = choose("Network", NETWORKS, "network", "everyday" * is_everyday(dataset) or "mlp")
    with right:
        if network == "classical":
            network = choose("Method", CLASSICAL, "method", "svm")
        params = choose_params(NETWORK_DEFAULTS[network])
    split = split or "segment"
    held_out.caption(say_held_out(str(job.folder / "data.parquet"), split, params.seed))
    return params, split


def is_everyday(dataset: Dataset) -> bool:
    return dataset.params == PRESETS["everyday"]


def choose(label: str, table: dict[str, dict[str, str]], key: str, usual: str) -> str:
    """Return the name that the visitor chooses from a table of labels and explanations."""
    chosen = st.radio(
        label,
        list(table),
        index=list(table).index(usual),
        format_func=lambda name: table[name]["label"],
        captions=[each["about"] for each in table.values()],
        key=key,
        **URL,
    )
    return chosen or usual


def choose_params(usual: TrainParams) -> TrainParams:
    """Let the visitor change the defaults of a network, each of which has its own settings."""
    if usual.recipe == "fit":
        st.caption("It is fitted at once, so there are no epochs and no learning rate to choose.")
        return replace(usual, seed=choose_seed())

    def own(name: str) -> dict[str, Any]:
        return setting("train", name, name if usual.network == "mlp" else f"{name}_{usual.network}")

    epochs = st.slider(min_value=1, max_value=200, value=usual.epochs, **own("epochs"))
    with st.expander("More settings"):
        rate = st.select_slider(
            options=RATES, value=usual.learning_rate, format_func=numeral, **own("rate")
        )
        batch = st.select_slider(
            options=[8, 16, 32, 64, 128], value=usual.batch_size, **own("batch")
        )
        seed = choose_seed()
        best = st.toggle(value=True, **setting("train", "best"))
        scales = usual.network != "everyday"  # whose backbone knows features as they are
        normalise = scales and st.toggle(**setting("train", "normalise"))
    return replace(
        usual,
        epochs=epochs,
        batch_size=batch,
        learning_rate=rate,
        seed=seed,
        keep="best" if best else "last",
        normalise=normalise,
    )


def choose_seed() -> int:
    about = setting("train", "seed")
    return int(number_input(st, min_value=0, max_value=10_000, value=0, **about))


@st.cache_data(max_entries=64, show_spinner=False)
def say_held_out(path: str, how: str, seed: int) -> str:
    """Say how much this split holds out, which is rarely exactly 30%."""
    dataset = read(path)
    try:
        return f"Held out: {held_out_in_words(dataset, make_split(dataset, how, seed))}."
    except GenreKitError as error:
        return str(error)


def offered_splits(dataset: Dataset) -> list[str]:
    if dataset.tracks is None:
        return ["segment"]
    known = {
        "artist": dataset.artists is not None and bool((dataset.artists != "").any()),
        "folder": any(record.part for record in dataset.records),
    }
    return [name for name in SPLITS if known.get(name, True)]


def recipe(params: TrainParams) -> list[str]:
    options = ["--network", params.network, "--seed", str(params.seed), "--progress", "json"]
    if params.recipe == "fit":
        return options
    options += ["--epochs", str(params.epochs), "--batch-size", str(params.batch_size)]
    options += ["--learning-rate", f"{params.learning_rate:g}", "--keep", params.keep]
    return [*options, "--recipe", params.recipe] + ["--normalise"] * params.normalise


def buttons(dataset_job: Job, dataset: Dataset, params: TrainParams, split: str) -> None:
    data = f"../{dataset_job.id}/data.parquet"
    name = dataset_job.title.lower()
    train, leak = st.columns(2)
    if train.button("Train", type="primary", icon=":material/play_arrow:", disabled=busy("model")):
        command = ["train", data, "-o", "model", "--split", split, *recipe(params)]
        if any(command[0] == "demo-data" for command in dataset_job.commands):
            command += ["--about", COMPOSED]
        session.start("model", f"Classifier on {name}, split by {split}", [command])
    if dataset.tracks is not None and leak.button(
        "Leak meter: every split",
        icon=":material/water_drop:",
        disabled=busy("leak"),
        help="Trains the same network under each split, and shows how much of the score is "
        "owed to songs that it had met before.",
    ):
        command = ["leak-meter", data, "-o", "leak.json", *recipe(params)]
        session.start("leak", f"Leak meter on {name}", [command])


def say_other_features() -> None:
    st.info(
        "This network needs features of its own: prepare the dataset again, and choose "
        "*Everyday* as its features."
    )
    label, icon = "Prepare a dataset for it", ":material/library_music:"
    first_step("build/dataset.py", label, icon, preset="Everyday")


def busy(kind: str) -> bool:
    job = session.current(kind)
    return job is not None and job.active


def show_title(job: Job, newest: bool) -> None:
    """Show in a line what was trained, and the button that brings the inputs back."""
    with st.container(key=f"trained_{job.kind}", horizontal=True, vertical_alignment="center"):
        st.header(escape(job.title), anchor=False, width="content")
        st.caption(settings_in_words(job), width="stretch")
        if newest:
            offer_change(PAGE)


def settings_in_words(job: Job) -> str:
    """Return the settings in a job's last command, as words with dots between them."""
    given = dict(pairwise(job.commands[-1]))
    names = {"--epochs": "epochs", "--learning-rate": "learning rate", "--seed": "seed"}
    said = [f"{name} {given[option]}" for option, name in names.items() if option in given]
    return " · ".join([given["--network"], *said]) if "--network" in given else ""


def show_leak_job(job: Job) -> None:
    if job.status != "done":
        job_panel(job)
        return
    result = json.loads((job.folder / "leak.json").read_text())
    show_leak(result["bars"], result["sentence"])
    show_origin(job)


def show_model_job(job: Job) -> None:
    if job.status != "done":
        watch(job, show_run, _REFRESH_SECONDS)
        return
    folder = job.folder / "model"
    card = json.loads((folder / "model.json").read_text())["card"]
    # The dataset that it was trained on, while it is kept.
    source = session.find("dataset", Path(job.commands[0][1]).parent.name)
    show_exam(job, folder, card, source)
    show_curves(job.events())
    show_model_card(card)
    show_origin(job)


def show_model_card(card: dict[str, Any]) -> None:
    with st.expander("The model card"):
        calibration = escape(card["calibrated_on"] or "nothing")
        off = round(100 * card["measured"]["calibration_error"])
        segments, worth = card["split"]["segments"], escape(card["split"]["worth"])
        st.markdown(
            f"- {how_trained(card)}\n"
            f"- **Split:** by {card['split']['kind']}, seed {card['split']['seed']}: "
            f"{counted(segments['train'], 'segment')} to train on, {segments['valid']} held out "
            f"({segments['valid'] / sum(segments.values()):.0%}). {worth}\n"
            f"- **Calibration:** its probabilities were adjusted on {calibration}; they are still "
            f"off by {counted(off, 'point')} on average."
        )
        st.caption(
            "Unpack the model that you download, and use it with: python -m genrekit classify SONG "
            "--model my-model. The classify page takes it back as it is."
        )


def how_trained(card: dict[str, Any]) -> str:
    training = card["training"]
    if training["recipe"] == "fit":
        of = counted(card["split"]["segments"]["train"], "training segment")
        label = CLASSICAL[training["network"]]["label"]
        return f"**{label}:** fitted to {training['segments_fitted']} of {of}"
    rate = numeral(training["learning_rate"])
    return (
        f"**Network:** {training['network']}, {counted(card['parameters'], 'trained weight')}; "
        f"{counted(training['epochs_run'], 'epoch')}, batches of {training['batch_size']}, "
        f"learning rate {rate}; kept: epoch {training['kept_epoch']}"
    )


def newest_job(made: list[Job]) -> str | None:
    """Return the id of the newest job, None while a dataset is newer than all."""
    datasets = session.known("dataset")
    if not made or (datasets and datasets[0].created > made[0].created):
        return None
    return made[0].id


def choose_inputs() -> None:
    """Let the visitor choose a dataset and how to train on it, and start."""
    dataset_job = choose_dataset()
    if dataset_job is None:
        return
    dataset = read(str(dataset_job.folder / "data.parquet"))
    known = dataset.tracks is not None
    tracks = counted(len(dataset.records), "track") if known else "tracks unknown"
    genres = counted(len(dataset.genres), "genre")
    st.markdown(f"{counted(len(dataset), 'segment')}, {tracks}, {genres}.")
    params, split = choose_recipe(dataset_job, dataset)
    if params.network == "everyday" and not is_everyday(dataset):
        say_other_features()
    else:
        buttons(dataset_job, dataset, params, split)


page_heading("train")
with plain_errors():
    session.sync()
    shows = {"model": show_model_job, "leak": show_leak_job}
    found = [job for job in map(session.current, shows) if job is not None]
    made = sorted(found, key=lambda job: -job.created)
    with st.container(key=INPUTS), plain_errors():
        choose_inputs()
    fold(PAGE, newest_job(made))
    for job in made:
        show_title(job, newest=job is made[0])
        shows[job.kind](job)
