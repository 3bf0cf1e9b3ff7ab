from .scale import FilterNorm as FilterNorm
from .scale import MelFormula as MelFormula
from .scale import hz_to_mel as hz_to_mel
from .scale import mel_filterbank as mel_filterbank
from .scale import mel_frequencies as mel_frequencies
from .scale import mel_to_hz as mel_to_hz
