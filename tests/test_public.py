"""The public surface: deliberate, complete and documented."""

import importlib
import inspect
import types
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "genrekit"

# A name appears or goes here in the same change as in the code, the README and the changelog.
SURFACE = {
    "genrekit.commentary": "PATIENCE narrate",
    "genrekit.checks": "Heard hear",
    "genrekit.evidence": "SOFTER_DB Instead SongMap band_edges occlusion song_map words",
    "genrekit.neighbours": "NEIGHBOURS_FILE Embedder Nearest Neighbours SegmentMatch TrackMatch",
    "genrekit.familiarity": "EDGE UNLIKE Space colours distances_between moments nearest_distances "
    "whitened without_own",
    "genrekit.recordings": "OVERLAP_SECONDS SIMILAR Prints Recording cepstra sound_print",
    "genrekit.stress": "ROBUSTNESS SAMPLE_RATE NoiseColour Stress Transform apply late_start "
    "louder mild_equaliser mp3_64k mp3_bytes noise phone_bandwidth quieter stereo_44k stereo_48k",
    "genrekit.augment": "KEPT_BAND filtered masked moved noisy",
    "genrekit.melfile": "is_mel_file read_mel_file",
    "genrekit.outliers": "OUTLIERS babble clicks noise render_outliers tones",
    "genrekit.recipes": "CourseRecipe Recipe RobustRecipe Segments",
    "genrekit.conversion": "MAX_HZ MAX_NUMBERS BadEntry Conversion convert parse_numbers",
    "genrekit.experiments": "EXPERIMENTS Experiment",
    "genrekit.hearing": "STRESS_SECONDS WHY_SEGMENTS Hearing ModelFile Picture Song StressTest "
    "Why agreeing answers excerpt_sound explain harmless hear in_words judge mel_picture nearest "
    "ranked report rest samples_of stress_test table_row to_csv to_json warm_up wav_rendering "
    "why_segments",
    "genrekit.health": "Finding health",
    "genrekit.wording": "agree counted duration numeral the_first",
    "genrekit.insight": "Answer GradientCheck Look answer_after ask check_gradient look "
    "nearest_target rehearse truth",
    "genrekit.maps": "ErrorMap error_map neuron_surface",
    "genrekit.pace": "SPEEDS Pacer",
    "genrekit.playground": "MAX_FRAMES Change EpochRecord Frame Run Weight",
    "genrekit.run_examples": "HELD_OUT Examples Table make_examples parse_table",
    "genrekit.run_settings": "LIMITS OWN Limits RunSettings",
    "genrekit.takeaway": "history_csv network_json run_script",
    "genrekit.fingerprint": "PARAMS SIMILAR fingerprint linked similar_pairs",
    "genrekit.inspection": "Duplicate FileFacts InspectProgress Inspection inspect_folder",
    "genrekit.intake": "UploadLimits safe_name store_files store_folder unpack_zip",
    "genrekit.leak": "LeakBar LeakProgress leak_meter leak_sentence",
    "genrekit.pool": "CRASHED check_workers compute_in_order",
    "genrekit.cluster": "compute_on_cluster",
    "genrekit.memory": "NOT_ENOUGH free_memory give_back lacks_memory require_memory rows_at_once "
    "scratch_folder",
    "genrekit.ranges": "check_number check_switch check_whole",
    "genrekit.remote": "Place PlaceName RemoteFile fetched local_path place",
    "genrekit.projection": "SegmentMap genre_averages segment_map segment_summary",
    "genrekit.resynthesis": "Stage griffin_lim log_mel_from_mfcc match_level "
    "power_from_log_mel resynthesise",
    "genrekit.tones": "PEAK_DBFS StepUnit a_weighting chord equal_steps glide melody nearest_note "
    "note_frequency step_from step_size",
    "genrekit.confine": "die_with limit_files limit_memory shut_in write_below",
    "genrekit.threads": "MAX_THREADS computing_in variables",
    "genrekit.wire": "Incoming Wire WireError named",
    "genrekit.worker_process": "BEGIN BEGUN main",
    "genrekit.workers": "WorkerBusy WorkerFault WorkerLost Workers",
    "genrekit.trace": "BankReport CellTrace clip_params inspect_bank power_spectrogram stft "
    "trace_cell",
    "genrekit": "__version__",
    "genrekit.audio": "AUDIO_SUFFIXES CANCELLED_POWER AudioInfo AudioSource Decoded decode "
    "load_audio probe resampled usable_samples",
    "genrekit.dense": "DenseChain",
    "genrekit.classifier": "NETWORKS CourseMLP GenreCNN build_network count_parameters",
    "genrekit.cli": "main",
    "genrekit.dataset": "Dataset ParquetRows Skipped TrackRecord make_card",
    "genrekit.errors": "AudioError DatasetError GenreKitError ModelError SettingsError",
    "genrekit.evaluation": "Measurement accuracy_interval evaluate measure trained_on",
    "genrekit.exchange": "export_dataset import_dataset",
    "genrekit.features": "DecibelReference FeatureKind FeatureParams dct_matrix extract frames "
    "hann_window log_mel "
    "mfcc power_to_db split_segments",
    "genrekit.files": "DAMAGED_NPZ plain_os_errors replacing without_nan write_whole",
    "genrekit.mel": "FilterNorm MelFormula hz_to_mel mel_filterbank mel_frequencies mel_to_hz",
    "genrekit.metrics": "accuracy choose_threshold confusion_matrix expected_calibration_error "
    "fit_temperature interval_in_words mean_by_group precision_recall share_interval softmax "
    "wilson_interval",
    "genrekit.mlp": "ACTIVATIONS INITIALISERS MLP TASKS Activation EpochReport NeuronOutput Step "
    "make_task neuron numerical_gradients sigmoid sum_task",
    "genrekit.model": "DEFAULT_MODEL MODELS GenreModel SegmentVerdict Verdict",
    "genrekit.preprocess": "TRACK_SECONDS BuildProgress Track build_dataset find_tracks",
    "genrekit.splits": "COURSE_FRACTIONS PARTS Split by_artist by_fold by_segment "
    "by_track from_file held_out_in_words make_split",
    "genrekit.synth": "STYLES render write_demo_dataset",
    "genrekit.tables": "loosely match_tracks read_track_table",
    "genrekit.train_params": "RECIPES TrainParams",
    "genrekit.training": "EpochStats Training kept_band train",
}

MODULES = sorted(
    f"genrekit.{path.stem}" for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")
)


@pytest.mark.parametrize("module", SURFACE)
def test_the_surface_is_deliberate(module):
    assert importlib.import_module(module).__all__ == SURFACE[module].split()


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_is_public_and_documents_it(name):
    module = importlib.import_module(name)
    assert len(module.__doc__) > 40
    assert len(set(module.__all__)) == len(module.__all__)
    for public in module.__all__:
        value = getattr(module, public)
        if inspect.isfunction(value) or inspect.isclass(value):
            assert value.__module__ == name, f"{public} is made elsewhere"
            assert own_doc(value), f"{public} has no docstring"


@pytest.mark.parametrize("name", SURFACE)
def test_public_methods_are_documented(name):
    module = importlib.import_module(name)
    members = [
        f"{public}.{member}"
        for public in module.__all__
        for member in bare_members(getattr(module, public))
    ]
    assert not members, f"without a docstring: {members}"


def own_doc(value):
    """A docstring that somebody wrote: dataclasses invent one that repeats their signature."""
    doc = inspect.getdoc(value) if inspect.isfunction(value) else value.__dict__.get("__doc__")
    return doc and not doc.startswith(f"{value.__name__}(")


def bare_members(value):
    """Public methods and properties of a class that have no docstring."""
    if not inspect.isclass(value):
        return []
    kinds = (types.FunctionType, property, classmethod, staticmethod)
    return [
        name
        for name, member in vars(value).items()
        if not name.startswith("_") and isinstance(member, kinds) and not inspect.getdoc(member)
    ]


def test_annotations_are_complete_enough_to_be_read():
    for name in SURFACE:
        module = importlib.import_module(name)
        for public in module.__all__:
            value = getattr(module, public)
            if inspect.isfunction(value):
                signature = inspect.signature(value)
                assert signature.return_annotation is not inspect.Signature.empty, public
                for parameter in signature.parameters.values():
                    assert parameter.annotation is not inspect.Parameter.empty, public


def test_the_package_is_typed():
    assert (PACKAGE / "py.typed").is_file()
