# The face of the package: what type checkers see, and what `__init__.py` loads on first use.
from .audio.decoder import load_audio as load_audio
from .audio.decoder import probe as probe
from .audio.degradation import Degradation as Degradation
from .audio.degradation import degrade as degrade
from .audio.synth.demo import write_demo_dataset as write_demo_dataset
from .audio.synth.rendering import render as render
from .dataset.build import build_dataset as build_dataset
from .dataset.dataset import Dataset as Dataset
from .dataset.formats import export_dataset as export_dataset
from .dataset.formats import import_dataset as import_dataset
from .dataset.inspection import inspect_folder as inspect_folder
from .dataset.splits import by_artist as by_artist
from .dataset.splits import by_segment as by_segment
from .dataset.splits import by_track as by_track
from .dataset.splits import make_split as make_split
from .errors import GenreKitError as GenreKitError
from .features.extraction import FeatureParams as FeatureParams
from .features.extraction import log_mel as log_mel
from .features.extraction import mfcc as mfcc
from .features.extraction import split_segments as split_segments
from .mel.scale import hz_to_mel as hz_to_mel
from .mel.scale import mel_filterbank as mel_filterbank
from .mel.scale import mel_to_hz as mel_to_hz
from .model.bundle import GenreModel as GenreModel
from .model.bundle import load_model as load_model
from .model.evaluation import evaluate as evaluate
from .model.onnx_export import export_model as export_model
from .model.verdicts import Verdict as Verdict
from .teaching.mlp import MLP as MLP
from .teaching.neuron import neuron as neuron
from .training.estimator import GenreClassifier as GenreClassifier
from .training.leak import leak_meter as leak_meter
from .training.loop import train as train
from .training.params import TrainParams as TrainParams

__version__: str
