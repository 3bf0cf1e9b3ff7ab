from .extraction import FeatureParams as FeatureParams
from .extraction import dct_matrix as dct_matrix
from .extraction import extract as extract
from .extraction import log_mel as log_mel
from .extraction import mfcc as mfcc
from .extraction import power_to_db as power_to_db
from .extraction import split_segments as split_segments
