"""The kinds of input: for each, valid sources, ways to damage them, and the functions that read it.

A case is a few files, `Files`: bytes by name. A feeder gets them in a folder and hands them to
the functions that the app hands them to. It returns when there is a result, and raises
GenreKitError when the input was refused; a result that is none is a `FlawError`.
"""

import hashlib
import io
import json
import re
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.fuzz.mutate import Dice, mend, mutated, odd, shaken_text
from genrekit.audio.synth.chart import STYLES
from genrekit.audio.synth.rendering import render
from genrekit.errors import AudioError, GenreKitError
from genrekit.features.extraction import FeatureParams

Files = dict[str, bytes]
Sources = Mapping[str, Sequence[Files]]

SMALL = FeatureParams(
    sample_rate=8000, segment_seconds=1.0, n_fft=512, hop_length=256, n_mels=24, n_mfcc=7
)
SONG_SECONDS = 900.0  # as much as the app hears
_CLIP_SECONDS = 3.2


class FlawError(Exception):
    """The outcome is neither a valid result nor a refusal."""


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes
    ----------
    make : gives the sound sources
    harm : harms one source; gets all sources, to take parts from
    feed : gets the folder of the files, and an empty one to write to
    """

    make: Callable[[], Sequence[Files]]
    harm: Callable[[Files, Sources, Dice], Files]
    feed: Callable[[Path, Path], None]


def check_sentence(text: str) -> None:
    """Check that an error is one readable sentence."""
    if not text.isprintable() or not text.endswith(".") or len(text) > 500:
        raise FlawError(f"Not one plain sentence: {text!r:.300}")


def _harm_only(name: str, kind: str, files: Files, sources: Sources, dice: Dice) -> Files:
    """Damage the bytes of one file, by the structure of its format."""
    others = [content for kinds in sources.values() for content in kinds[0].values()]
    return files | {name: mutated(files[name], kind, others, dice)}


# -- sound ------------------------------------------------------------------------------------

# kind: (libsndfile's format, subtype, sample rate, channels) of each variant
_SNDFILE = {
    "wav": (
        ("WAV", "PCM_16", 22050, 1),
        ("WAVEX", "PCM_24", 11025, 2),
        ("WAV", "FLOAT", 8000, 2),
        ("WAV", "DOUBLE", 8000, 1),
        ("WAV", "IMA_ADPCM", 22050, 2),
        ("WAV", "MS_ADPCM", 22050, 1),
        ("WAV", "ULAW", 8000, 1),
        ("WAV", "GSM610", 8000, 1),
        ("RF64", "PCM_16", 16000, 1),
    ),
    "flac": (
        ("FLAC", "PCM_16", 22050, 1),
        ("FLAC", "PCM_24", 16000, 2),
        ("FLAC", "PCM_S8", 8000, 1),
    ),
    "mp3": (("MP3", "MPEG_LAYER_III", 44100, 2), ("MP3", "MPEG_LAYER_III", 22050, 1)),
    "ogg": (("OGG", "VORBIS", 44100, 2), ("OGG", "VORBIS", 22050, 1)),
    "opus": (("OGG", "OPUS", 48000, 2), ("OGG", "OPUS", 16000, 1)),
    "aiff": (
        ("AIFF", "PCM_16", 22050, 1),
        ("AIFF", "FLOAT", 8000, 2),
        ("AIFF", "ULAW", 8000, 1),
        ("AIFF", "PCM_24", 11025, 2),
    ),
    "au": (("AU", "PCM_16", 22050, 1), ("AU", "FLOAT", 8000, 2), ("AU", "ULAW", 8000, 1)),
}
# kind: (FFmpeg's muxer, encoder, sample rate, channels, options) of each variant
_FFMPEG: dict[str, tuple[tuple[str, str, int, int, dict[str, str]], ...]] = {
    "m4a": (
        ("ipod", "aac", 44100, 2, {}),
        ("mp4", "alac", 22050, 1, {"movflags": "faststart"}),
        ("mp4", "aac", 22050, 1, {"movflags": "frag_keyframe+empty_moov"}),
    ),
    "aac": (("adts", "aac", 44100, 2, {}), ("adts", "aac", 22050, 1, {})),
    "webm": (("webm", "libopus", 48000, 2, {}), ("matroska", "aac", 22050, 1, {})),
    "wma": (("asf", "wmav2", 44100, 2, {}),),
    "rare": (
        ("caf", "alac", 44100, 2, {}),
        ("w64", "pcm_s16le", 22050, 1, {}),
        ("wv", "wavpack", 22050, 1, {}),
        ("tta", "tta", 22050, 1, {}),
        ("avi", "libmp3lame", 44100, 2, {}),
        ("flv", "libmp3lame", 44100, 2, {}),
        ("mpegts", "aac", 44100, 2, {}),
        ("mpeg", "mp2", 44100, 2, {}),
        ("ac3", "ac3", 44100, 2, {}),
        ("voc", "pcm_s16le", 22050, 1, {}),
        ("ogg", "flac", 22050, 1, {}),
        ("wav", "libmp3lame", 22050, 1, {}),
    ),
}


@cache
def _music(rate: int, channels: int) -> NDArray[np.float32]:
    """Return two pieces side by side, shape (samples, channels)."""
    styles = STYLES[:channels]
    pieces = [render(s, seed=1, seconds=_CLIP_SECONDS, sample_rate=rate) for s in styles]
    return np.stack(pieces, axis=1)


def _make_audio(kind: str) -> list[Files]:
    if kind in _SNDFILE:
        return [{f"song.{kind}": _by_sndfile(*variant)} for variant in _SNDFILE[kind]]
    return [{f"song.{kind}": _by_ffmpeg(*variant)} for variant in _FFMPEG[kind]]


def _by_sndfile(container: str, subtype: str, rate: int, channels: int) -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, _music(rate, channels), rate, format=container, subtype=subtype)
    # The time and a random number are in some files, and the same seed should give the same file.
    content = re.sub(rb"(?s)(PEAK.{8}).{4}", rb"\1GKit", file.getvalue(), count=1)
    if container != "OGG":
        return content
    pages = content.split(b"OggS")
    return mend("ogg", b"OggS".join([pages[0], *(p[:10] + b"GKit" + p[14:] for p in pages[1:])]))


def _by_ffmpeg(muxer: str, codec: str, rate: int, channels: int, options: dict[str, str]) -> bytes:
    import av

    layout = {1: "mono", 2: "stereo"}[channels]
    planar = np.ascontiguousarray(_music(rate, channels).T)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "song"
        options = options | {"fflags": "+bitexact"}
        with av.open(str(path), "w", format=muxer, options=options) as container:
            stream: Any = container.add_stream(codec, rate=rate, layout=layout)
            stream.bit_rate = 64_000 * channels
            context = stream.codec_context
            frame = av.AudioFrame.from_ndarray(planar, format="fltp", layout=layout)
            frame.sample_rate = rate
            form, length = context.codec.audio_formats[0].name, context.frame_size or 1024
            resampler = av.AudioResampler(form, layout, rate, frame_size=length)
            for piece in [*resampler.resample(frame), *resampler.resample(None)]:
                container.mux(stream.encode(piece))
            # Lossless coders end with a packet that holds no sound.
            container.mux([packet for packet in stream.encode(None) if packet.size])
        return path.read_bytes()


def _feed_audio(folder: Path, out: Path) -> None:
    """Do all that the app and the command line do with one audio file."""
    from genrekit.audio.decoder import load_audio, probe
    from genrekit.dataset.build import track_features
    from genrekit.dataset.file_check import check_file

    (path,) = folder.iterdir()
    content = path.read_bytes()
    samples = _attempt(lambda: load_audio(path, 22050, max_seconds=SONG_SECONDS))
    again = _attempt(lambda: load_audio(content, 22050, max_seconds=SONG_SECONDS))
    info = _attempt(lambda: probe(path))
    verdict = _attempt(lambda: _shipped_model().classify(content, max_seconds=SONG_SECONDS))
    check_sentence(check_file(path, 3.0).problem or "None.")
    _attempt(lambda: track_features(path, FeatureParams(), 30.0))
    if isinstance(samples, AudioError):
        if str(again) != str(samples):
            raise FlawError(f"As a file: {samples} As bytes: {_shown(again)}")
        if not isinstance(verdict, AudioError):
            raise FlawError(f"It was classified, but cannot be loaded: {samples}")
        raise samples
    _check_samples(samples)
    if isinstance(again, AudioError) or not np.array_equal(samples, again):
        raise FlawError(f"As a file it can be read; as bytes: {_shown(again)}")
    for outcome in (info, verdict):
        if isinstance(outcome, AudioError):
            raise FlawError(f"It was loaded, and then: {outcome}")
    if info.seconds is not None and not info.seconds >= 0:
        raise FlawError(f"A length of {info.seconds} s")
    _check_verdict(verdict)


def _attempt(function: Callable[[], Any]) -> Any:
    """Return the function's result, or the AudioError that it raises."""
    try:
        return function()
    except AudioError as error:
        return error


def _shown(outcome: Any) -> str:
    return str(outcome) if isinstance(outcome, AudioError) else "other samples."


def _check_samples(samples: NDArray[np.float32]) -> None:
    if samples.dtype != np.float32 or samples.ndim != 1 or not len(samples):
        raise FlawError(f"Samples of {samples.dtype} and shape {samples.shape}")
    if not np.isfinite(samples).all():
        raise FlawError("Samples that are not finite")
    if len(samples) > (SONG_SECONDS + 1) * 22050:
        raise FlawError(f"{len(samples) / 22050:.0f} s of samples, more than asked for")


def _check_verdict(verdict: Any) -> None:
    for row in (verdict, *verdict.segments):
        values = list(row.probabilities.values())
        if values and not (min(values) >= 0 and sum(values) < 1 + 1e-3):
            raise FlawError(f"Probabilities {values}")
    if not 0 <= verdict.confidence <= 1 + 1e-6:
        raise FlawError(f"A confidence of {verdict.confidence}")


@cache
def _shipped_model() -> Any:
    from genrekit.model.bundle import load_model

    return load_model()


# -- uploads ----------------------------------------------------------------------------------

_NAMES = (
    *("blues/a.wav", "blues/b.wav", "rock/b.flac", "Rock/B.FLAC", "rock/c", "../x.wav", "/x.wav"),
    *("C:\\x.wav", "blues\\x.wav", "blues/a.wav/c.wav", "blues/", "", ".", "..", "/", "//a.wav"),
    *("blues/\0a.wav", "blues/a\nb.wav", "__MACOSX/a", "blues/.hidden.wav", "con.wav", "a/CON"),
    *("x" * 300 + ".wav", "a/b/c/d/e/f/g.wav", "blues/ä.wav", "blues/a\u0308.wav", "a/... "),
    *("top.wav", "tracks.csv", "wrap/blues/a.wav", "wrap/wrap/rock/b.flac", "blues/🎸.wav"),
    *("blues/\u202evaw.wav", "blues/a.zip", "Icon\r", "blues/Icon\r", "~/x.wav", "a:b/c.wav"),
    *("blues/\ud800.wav", "blues/%s.wav", "blues/<b>.wav", " /a.wav", "a/" * 200 + "a.wav"),
)


@cache
def _contents() -> tuple[bytes, ...]:
    """Contents for hostile names: sounds, nothing, silence, noise, a table, an archive."""
    sounds = _by_sndfile("WAV", "ULAW", 8000, 1), _by_sndfile("FLAC", "PCM_16", 8000, 1)
    table = b"track,artist\nblues/a,Ana\nrock/b,Ben\n"
    archive = _zipped([("a/b.wav", b"x")])
    return (*sounds, table, b"", bytes(1_500_000), b"\xff" * 5000, archive)


def _zipped(
    members: Iterable[tuple[str, bytes]],
    method: int = zipfile.ZIP_STORED,
    attributes: Callable[[], int] = lambda: 0,
) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name that stands there twice is meant
        for name, content in members:
            member = zipfile.ZipInfo(name)
            member.external_attr = attributes()
            archive.writestr(member, content, method)
    return file.getvalue()


def _make_zips() -> list[Files]:
    wav, flac, table, *_ = _contents()
    members = {"music/blues/a.wav": wav, "music/rock/b.flac": flac, "music/tracks.csv": table}
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    return [{"upload.zip": _zipped(members.items(), method)} for method in methods]


def _harm_zip(files: Files, sources: Sources, dice: Dice) -> Files:
    if dice.random() < 0.5:
        return _harm_only("upload.zip", "zip", files, sources, dice)
    method = dice.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    kinds = (0, 0, 0, 0, 0o100644, 0o120777, 0o040755, 0o010644)
    members = [
        (name.encode("utf-8", "replace").decode(), content) for name, content in _hostile(dice)
    ]
    made = {"upload.zip": _zipped(members, method, lambda: dice.choice(kinds) << 16)}
    return _harm_only("upload.zip", "zip", made, sources, dice) if dice.random() < 0.4 else made


def _hostile(dice: Dice) -> list[tuple[str, bytes]]:
    """Return names, most of them harmless alone, and contents."""
    names = [dice.choice(dice.choice((_NAMES[:3], _NAMES))) for _ in range(dice.randrange(6))]
    return [(name, dice.choice(_contents()[: dice.choice((3, 7))])) for name in names]


def _feed_zip(folder: Path, out: Path) -> None:
    from genrekit.dataset.inspection import inspect_folder
    from genrekit.dataset.upload import unpack_zip

    target = out / "music"
    with (folder / "upload.zip").open("rb") as file:
        _check_unpacked(unpack_zip(file, target), out)
    try:
        *_, last = inspect_folder(target, workers=1)
    except GenreKitError:  # there is no music in it: what was unpacked is its owner's to remove
        shutil.rmtree(target)
        raise
    assert last.inspection is not None


def _check_unpacked(paths: Sequence[Path], out: Path) -> None:
    there = sorted(path for path in out.rglob("*") if not path.is_dir())
    if sorted(paths) != there or not there:
        raise FlawError(f"Said to be unpacked: {len(paths)} files; there are {len(there)}")
    if any(path.is_symlink() or not path.is_file() for path in there):
        raise FlawError("Something that is no file was unpacked")


def _make_uploads() -> list[Files]:
    wav, flac, *_ = _contents()
    return [_as_upload([("blues/a.wav", wav), ("rock/b.flac", flac)])]


def _as_upload(files: Sequence[tuple[str, bytes]]) -> Files:
    """Return the files and their names as one JSON: a folder could not hold such names."""
    return {"files.json": json.dumps([(n, c.decode("latin-1")) for n, c in files]).encode()}


def _harm_upload(files: Files, sources: Sources, dice: Dice) -> Files:
    return _as_upload(_hostile(dice))


def _feed_upload(folder: Path, out: Path) -> None:
    """Read the files as a folder, and one by one."""
    from genrekit.dataset.upload import store_files, store_folder

    named = json.loads((folder / "files.json").read_bytes())
    files = [(name, content.encode("latin-1")) for name, content in named]
    single = [(*_genre_and_name(name), content) for name, content in files]
    with tempfile.TemporaryDirectory(dir=out) as other:
        try:
            _check_unpacked(store_files(iter(single), Path(other) / "music"), Path(other))
        except GenreKitError as error:
            check_sentence(str(error))
            if any(Path(other).iterdir()):
                raise FlawError(f"Files were left behind: {error}") from None
    _check_unpacked(store_folder(iter(files), out / "music"), out)


def _genre_and_name(path: str) -> tuple[str, str]:
    genre, _, name = path.rpartition("/")
    return genre, name


# -- a folder of music ------------------------------------------------------------------------


def _make_folders() -> list[Files]:
    wav, flac, table, *_ = _contents()
    mp3 = _by_sndfile("MP3", "MPEG_LAYER_III", 22050, 1)
    return [
        {"blues/a.wav": wav, "blues/b.wav": wav, "rock/b.flac": flac, "rock/c.mp3": mp3}
        | {"tracks.csv": table}
    ]


def _harm_folder(files: Files, sources: Sources, dice: Dice) -> Files:
    files = dict(files)
    for name in dice.sample(sorted(files), dice.choice((1, 2, 5))):
        files = _harm_only(name, name.rpartition(".")[2], files, sources, dice)
    for _ in range(dice.choice((0, 0, 1, 3))):
        name = dice.choice(_NAMES).replace("\0", "").replace("\ud800", "\udcff")
        if _fits_beside(name, files):
            files[name] = dice.choice(list(files.values()))
    return files


def _fits_beside(name: str, names: Iterable[str]) -> bool:
    """Return whether a file system accepts a file of this name beside the others."""
    parts = name.split("/")
    above = {"/".join(parts[:i]) for i in range(1, len(parts))}
    beneath = any(other.startswith(name + "/") for other in names)
    plain = len(name) < 250 and not {"", ".", ".."} & {*parts}
    return plain and not beneath and not above & {*names}


def _feed_folder(folder: Path, out: Path) -> None:
    """Inspect the folder, make a dataset of it, and read that."""
    from genrekit.dataset.build import build_dataset
    from genrekit.dataset.dataset import Dataset
    from genrekit.dataset.inspection import Inspection, inspect_folder

    *_, last = inspect_folder(folder, workers=1, segment_seconds=1.0)
    assert last.inspection is not None
    for file in last.inspection.files:
        check_sentence(file.problem or "None.")
    last.inspection.write(out / "inspection.json")
    if Inspection.read(out / "inspection.json") != last.inspection:
        raise FlawError("The inspection is another one after writing and reading")
    (out / "inspection.json").unlink()
    made = out / "data.parquet"
    for progress in build_dataset(folder, made, SMALL, workers=1):
        check_sentence(getattr(progress, "reason", None) or "None.")
    Dataset.read(made)


def _make_inspections() -> list[Files]:
    from genrekit.dataset.inspection import inspect_folder

    with tempfile.TemporaryDirectory() as folder:
        _write(_make_folders()[0], Path(folder))
        *_, last = inspect_folder(folder, workers=1)
    return [{"inspection.json": json.dumps(last.inspection.to_dict()).encode()}]


def _write(files: Files, folder: Path) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _harm_json(name: str, files: Files, sources: Sources, dice: Dice) -> Files:
    if dice.random() < 0.2:
        return _harm_only(name, "json", files, sources, dice)
    return files | {name: shaken_text(json.loads(files[name]), dice)}


def _feed_inspection(folder: Path, out: Path) -> None:
    from genrekit.dataset.inspection import Inspection

    read = Inspection.read(folder / "inspection.json")
    counts = (*read.genres.values(), *read.containers.values())
    if not read.seconds >= 0 or any(count < 1 for count in counts):
        raise FlawError(f"{read.seconds} s of music, files {counts}")


# -- tables -----------------------------------------------------------------------------------


def _make_tables() -> list[Files]:
    lines = ["track,artist,part"]
    for genre in "abc":
        lines += [f"{genre}/{i},artist {i},{part}" for i, part in enumerate(("train", "test"))]
    return [{"tracks.csv": ("\r\n".join(lines) + "\r\n").encode()}]


def _feed_table(folder: Path, out: Path) -> None:
    from genrekit.dataset.splits import from_file
    from genrekit.dataset.track_table import read_track_table

    path = folder / "tracks.csv"
    split = from_file(_dataset(), path)
    if not len(split.train) or not len(split.test):
        raise FlawError("A split without a part")
    read_track_table(path, "artist")


# -- datasets ---------------------------------------------------------------------------------


@cache
def _dataset() -> Any:
    """Return three genres with two tracks of three segments each."""
    from genrekit.dataset.dataset import Dataset, Skipped, TrackRecord

    tracks = [f"{genre}/{i}" for genre in "abc" for i in range(2)]
    rng = np.random.default_rng(0)
    return Dataset(
        features=rng.normal(size=(18, *SMALL.shape)).astype(np.float32),
        labels=np.repeat(np.arange(3), 6),
        genres=("a", "b", "c"),
        params=SMALL,
        tracks=np.repeat(tracks, 3),
        segments=np.tile(np.arange(3), 6),
        artists=np.repeat([f"artist {track[-1]}" for track in tracks], 3),
        track_seconds=30.0,
        records=tuple(
            TrackRecord(track, f"{track}.wav", track[0], "x", "0" * 64, 3) for track in tracks
        ),
        skipped=(Skipped("c/9", None, "It is silent."), Skipped("a/0", 3, "It is silent.")),
    )


def _make_dataset(suffix: str) -> list[Files]:
    from genrekit.dataset.formats import export_dataset

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"data.{suffix}"
        if suffix == "parquet":
            _dataset().write(path)
        else:
            export_dataset(_dataset(), path)
        return [{path.name: path.read_bytes()}]


def _feed_dataset(folder: Path, out: Path) -> None:
    """Import the dataset, inspect it, write it and read that."""
    from genrekit.dataset.dataset import Dataset
    from genrekit.dataset.formats import import_dataset

    (path,) = folder.iterdir()
    dataset = import_dataset(path, SMALL)
    if sum(dataset.counts().values()) != len(dataset):
        raise FlawError("The genres' segments are not all segments")
    copy = out / "copy.parquet"
    dataset.write(copy)
    if Dataset.read(copy).sha256 != dataset.sha256:
        raise FlawError("Written and read, it is another dataset")


def _harm_parquet(files: Files, sources: Sources, dice: Dice) -> Files:
    if dice.random() < 0.5:
        return _harm_only("data.parquet", "parquet", files, sources, dice)
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(files["data.parquet"]))
    for _ in range(dice.choice((0, 1, 1, 2))):
        table = _harm_table(table, dice)
    card = dict(table.schema.metadata or {})
    if dice.random() < 0.6 and b"genrekit" in card:
        card[b"genrekit"] = shaken_text(json.loads(card[b"genrekit"]), dice)
    file = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata(card),
        file,
        compression=dice.choice(("none", "snappy", "gzip", "zstd", "brotli", "lz4")),
        row_group_size=dice.choice((1, 5, 1000)),
        version=dice.choice(("1.0", "2.6")),
    )
    made = {"data.parquet": file.getvalue()}
    if dice.random() < 0.2:
        return _harm_only("data.parquet", "parquet", made, sources, dice)
    return made


def _harm_table(table: Any, dice: Dice) -> Any:
    """Return a table with one column, or its rows, unlike those of a dataset."""
    import pyarrow as pa

    at = dice.randrange(len(table.column_names))
    name, n = table.column_names[at], len(table)
    floats = [0.0] * SMALL.shape[0] * SMALL.shape[1]
    columns = (
        pa.array([None] * n, pa.int32()),
        pa.array([2**40] * n, pa.int64()),
        pa.array([-1] * n, pa.int8()),
        pa.array([0.5] * n),
        pa.array(["x"] * n),
        pa.array(["a\nb\0"] * n, pa.large_string()),
        pa.array([b"\xff"] * n),
        pa.array([[1.0]] * n),
        pa.array([[]] * n, pa.list_(pa.float32())),
        pa.array([[None] * len(floats)] * n, pa.list_(pa.float32())),
        pa.array([floats] * n, pa.list_(pa.float64())),
        pa.array([floats] * n, pa.large_list(pa.float32())),
        pa.array([floats] * n, pa.list_(pa.float32(), len(floats))),
        pa.array([[float("nan")] * len(floats)] * n, pa.list_(pa.float32())),
        pa.array([{"x": 1}] * n),
        pa.array([True] * n),
        pa.nulls(n),
        pa.array(["a"] * n).dictionary_encode(),
        pa.array([*[0] * (n - 1), None][:n], pa.int32()),
    )
    match dice.randrange(5):
        case 0:
            return table.remove_column(at)
        case 1:
            return table.slice(0, dice.randrange(3))
        case 2:
            return pa.concat_tables([table, table])
        case 3:
            return table.append_column(name, table.column(name))
    return table.set_column(at, name, dice.choice(columns))


# -- NPZ --------------------------------------------------------------------------------------


def _make_mel() -> list[Files]:
    rng = np.random.default_rng(0)
    file = io.BytesIO()
    np.savez_compressed(
        file,
        level=rng.integers(0, 256, (4, SMALL.n_mels, 80), np.uint8),
        dynamic_range_db=np.full(4, 60, np.float32),
        track=np.array(["a/0", "a/1", "b/0", "b/1"]),
        genre=np.array(["a", "a", "b", "b"]),
    )
    return [{"data.npz": _without_dates(file.getvalue())}]


def _make_npz() -> list[Files]:
    return [{"data.npz": _without_dates(_make_dataset("npz")[0]["data.npz"])}]


def _without_dates(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return _zipped([(name, archive.read(name)) for name in archive.namelist()])


def _harm_npz(files: Files, sources: Sources, dice: Dice) -> Files:
    if dice.random() < 0.35:
        return _harm_only("data.npz", "zip", files, sources, dice)
    with zipfile.ZipFile(io.BytesIO(files["data.npz"])) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for _ in range(dice.choice((1, 1, 2))):
        name = dice.choice(sorted(members))
        if name == "card.npy" and dice.random() < 0.8:
            card = json.loads(str(np.load(io.BytesIO(members[name]))))
            text = shaken_text(card, dice).decode("utf-8", "replace")
            members[name] = _npy(np.array(text))
        elif dice.random() < 0.1:
            del members[name]
        elif dice.random() < 0.5:
            members[name] = _odd_npy(dice)
        else:
            members[name] = _harmed_npy(members[name], dice)
    method = dice.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    made = {"data.npz": _zipped(members.items(), method)}
    return _harm_only("data.npz", "zip", made, sources, dice) if dice.random() < 0.2 else made


def _npy(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _odd_npy(dice: Dice) -> bytes:
    n = dice.choice((0, 1, 4, 18, 19))
    return _npy(
        dice.choice(
            (
                np.array([None] * n, object),
                np.array({"a": 1}, object),
                np.zeros(n),
                np.full(n, np.nan, np.float32),
                np.full(n, np.inf, np.float32),
                np.full(n, 1e38, np.float32),
                np.zeros(n, complex),
                np.zeros(n, bool),
                np.full(n, 2**64 - 1, np.uint64),
                np.full(n, -1, np.int8),
                np.full(n, 2**31, np.int64),
                np.zeros(n, "M8[s]"),
                np.zeros(n, "S3"),
                np.full(n, "a\n\0b"),
                np.array(["\ud800"] * n),
                np.zeros(n, [("x", "i4"), ("y", "U2")]),
                np.zeros((n, 0, 7), np.float32),
                np.zeros((n, 32, 0), np.float32),
                np.full((n, *SMALL.shape), 3.4e38, np.float32),
                np.zeros((n, *SMALL.shape), ">f4"),
                np.zeros((n, SMALL.n_mels, 80), np.uint8),
                np.array(odd(dice) if dice.random() < 0.5 else 5, object).astype(str),
                np.array(5),
                np.zeros((1,) * 32, np.uint8),
            )
        )
    )


def _harmed_npy(content: bytes, dice: Dice) -> bytes:
    """Return an array with another shape or type in its header, or of another length."""
    size = int.from_bytes(content[8:10], "little")
    header, body = content[10 : 10 + size].decode("latin-1"), content[10 + size :]
    shapes = ("(0,)", "()", "(-1,)", "(99999999999,)", "(2**9,)", "(4, 4)", "(1e9,)", "None")
    types = ("|O", "<f8", ">f4", "<U0", "<U999999999", "|V8", "<M8", "<f3", "|b1", "[('a','<f4')]")
    match dice.randrange(6):
        case 0:
            header = re.sub(r"\([^)]*\)", dice.choice(shapes), header, count=1)
        case 1:
            header = re.sub(r"'descr': '[^']*'", f"'descr': '{dice.choice(types)}'", header)
        case 2:
            header = header.replace("False", dice.choice(("True", "None", "__import__('os')")))
        case 3:
            body = body[: dice.randrange(len(body) + 1)]
        case 4:
            header = dice.choice(("", "{}", "{" * 3000, "[]" * 500, "\xff", header * 50))
        case 5:
            return mutated(content, "npy", (), dice)
    version = content[:6] + dice.choice((b"\1\0", b"\1\0", b"\2\0", b"\x09\0"))
    width = 4 if version[6] == 2 else 2
    return version + len(header).to_bytes(width, "little") + header.encode("latin-1") + body


def _feed_mel(folder: Path, out: Path) -> None:
    from dataclasses import replace

    from genrekit.dataset.mel_archive import is_mel_file, read_mel_file

    path = folder / "data.npz"
    if is_mel_file(path) not in (True, False):
        raise FlawError("Neither yes nor no")
    dataset = read_mel_file(path, replace(SMALL, ref="max"))
    dataset.write(out / "copy.parquet")


# -- models -----------------------------------------------------------------------------------


def _make_models() -> list[Files]:
    import torch

    from genrekit.model.bundle import GenreModel
    from genrekit.model.classical import Classical
    from genrekit.model.networks import build_network

    made = []
    mlp = FeatureParams("mfcc", 2000, 1.0, n_fft=256, n_mels=16, n_mfcc=4)
    cnn = FeatureParams("log_mel", 4000, 1.0, n_fft=256, hop_length=128, n_mels=16)
    for name, params in (("mlp", mlp), ("cnn", cnn), ("svm", mlp), ("knn", cnn)):
        network = build_network(name, params.shape, 3, seed=0)
        if isinstance(network, Classical):
            network.adapt(params)
            network.head.fit(torch.randn(12, network.head.in_features), torch.arange(12) % 3)
        model = GenreModel(
            network,
            name,
            params,
            ("a", "b", "c"),
            np.zeros(params.coefficients, np.float32),
            np.ones(params.coefficients, np.float32),
            temperature=1.5,
            threshold=0.4,
            card={"about": "A model for tests.", "measured": {"accuracy": 0.5}},
        )
        with tempfile.TemporaryDirectory() as folder:
            model.save(folder)
            made.append({path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())})
    return made


def _harm_model(files: Files, sources: Sources, dice: Dice) -> Files:
    card, weights = files["model.json"], files["weights.safetensors"]
    what = dice.choice(("card", "card", "header", "weights", "both"))
    if what == "header":
        weights = _harmed_tensors(weights, dice)
    elif what in ("weights", "both"):
        weights = mutated(weights, "safetensors", (card,), dice)
    about = json.loads(card)
    if dice.random() < 0.85:
        about["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    card = json.dumps(about).encode()
    if what in ("card", "both"):
        card = shaken_text(about, dice)
    made = {"model.json": card, "weights.safetensors": weights}
    if dice.random() < 0.03:
        del made[dice.choice(sorted(made))]
    return made


def _harmed_tensors(weights: bytes, dice: Dice) -> bytes:
    """Damage the table of contents of safetensors, at the right length."""
    size = int.from_bytes(weights[:8], "little")
    header = json.loads(weights[8 : 8 + size])
    if dice.random() < 0.5:
        entry = header[dice.choice(sorted(header))]
        entry[dice.choice(("dtype", "shape", "data_offsets"))] = dice.choice(
            ("F64", "BF16", "I64", "BOOL", "F8_E4M3", "X", [1], [0], [-1], [2**63], [0, 4], [4, 0])
        )
        text = json.dumps(header).encode()
    else:
        text = shaken_text(header, dice)
    return len(text).to_bytes(8, "little") + text + weights[8 + size :]


def _feed_model(folder: Path, out: Path) -> None:
    """Load the model, and have it judge five seconds of music."""
    from genrekit.model.bundle import load_model

    model = load_model(folder)
    rate = model.params.sample_rate
    song = np.resize(_music(8000, 1)[:, 0], 5 * rate).astype(np.float32)
    _check_verdict(model.classify(song, sample_rate=rate))


# ---------------------------------------------------------------------------------------------


def _audio_kind(kind: str) -> Kind:
    return Kind(partial(_make_audio, kind), partial(_harm_only, f"song.{kind}", kind), _feed_audio)


AUDIO = {kind: _audio_kind(kind) for kind in (*_SNDFILE, *_FFMPEG)}
OTHERS = {
    "zip": Kind(_make_zips, _harm_zip, _feed_zip),
    "upload": Kind(_make_uploads, _harm_upload, _feed_upload),
    "folder": Kind(_make_folders, _harm_folder, _feed_folder),
    "inspection": Kind(_make_inspections, partial(_harm_json, "inspection.json"), _feed_inspection),
    "table": Kind(_make_tables, partial(_harm_only, "tracks.csv", "csv"), _feed_table),
    "parquet": Kind(partial(_make_dataset, "parquet"), _harm_parquet, _feed_dataset),
    "npz": Kind(_make_npz, _harm_npz, _feed_dataset),
    "json": Kind(partial(_make_dataset, "json"), partial(_harm_json, "data.json"), _feed_dataset),
    "mel": Kind(_make_mel, _harm_npz, _feed_mel),
    "model": Kind(_make_models, _harm_model, _feed_model),
}
KINDS = AUDIO | OTHERS
