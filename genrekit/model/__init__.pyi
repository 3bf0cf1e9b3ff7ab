from .bundle import DEFAULT_MODEL as DEFAULT_MODEL
from .bundle import MODELS as MODELS
from .bundle import GenreModel as GenreModel
from .bundle import SegmentVerdict as SegmentVerdict
from .bundle import Verdict as Verdict
from .evaluation import Measurement as Measurement
from .evaluation import evaluate as evaluate
