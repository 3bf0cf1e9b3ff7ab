from .bundle import DEFAULT_MODEL as DEFAULT_MODEL
from .bundle import MODELS as MODELS
from .bundle import GenreModel as GenreModel
from .evaluation import Measurement as Measurement
from .evaluation import evaluate as evaluate
from .verdicts import SegmentVerdict as SegmentVerdict
from .verdicts import Verdict as Verdict
