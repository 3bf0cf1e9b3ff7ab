from .leak import leak_meter as leak_meter
from .leak import leak_sentence as leak_sentence
from .loop import EpochStats as EpochStats
from .loop import Training as Training
from .loop import train as train
from .params import NETWORK_DEFAULTS as NETWORK_DEFAULTS
from .params import TrainParams as TrainParams
