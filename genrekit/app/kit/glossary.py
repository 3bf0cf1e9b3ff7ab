"""The one glossary: every technical word of the app, in a sentence or two, and where it is met.

Pages do not define words themselves: they show what stands here, with `page_words` for a whole page
and `tip` beside a widget.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import streamlit as st

__all__ = ["GROUPS", "PLACES", "TERMS", "Mention", "Term", "anchor", "find", "page_words", "tip"]


@dataclass(frozen=True)
class Mention:
    """A page, or a part of one, with the query that opens it."""

    title: str
    page: str
    query: Mapping[str, str]


def _mel(title: str) -> Mention:
    return Mention(f"Mel scale: {title}", "learn/mel_scale.py", {"mel_view": title})


PLACES: Final[dict[str, Mention]] = {
    "calculator": _mel("Calculator"),
    "list": _mel("List"),
    "ear": _mel("Ear test"),
    "bank": _mel("Filter bank"),
    "sound": _mel("Sound to MFCC"),
    "trace": _mel("Trace a number"),
    "neuron": Mention("Neuron", "learn/neuron.py", {}),
    "backprop": Mention("Backprop playground", "learn/backprop.py", {}),
    "dataset": Mention("Dataset", "build/dataset.py", {}),
    "train": Mention("Train", "build/train.py", {}),
    "classify": Mention("Classify", "listen/classify.py", {}),
}


@dataclass(frozen=True)
class Term:
    """A word, what it means, what it looks like here, and where it is met, first place first.

    `also` are other forms under which it stands on a page.
    """

    name: str
    says: str
    here: str
    places: tuple[str, ...]
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = set(self.places) - set(PLACES)
        if unknown or not self.places:
            raise ValueError(f"{self.name}: no such places: {unknown or 'none given'}")

    @property
    def pattern(self) -> re.Pattern[str]:
        """Finds the word in a text, also in the plural."""
        forms = "|".join(re.escape(form) for form in (self.name.split(" (")[0], *self.also))
        return re.compile(rf"\b(?:{forms})(?:s|es)?\b", re.IGNORECASE)


def _t(name: str, says: str, here: str, places: str, *also: str) -> Term:
    return Term(name, says, here, tuple(places.split()), also)


# In the order in which they are met; a term is explained with terms before it.
GROUPS: Final[dict[str, tuple[Term, ...]]] = {
    "Sound": (
        _t(
            "Hertz (Hz)",
            "Vibrations a second. The more of them, the higher the tone.",
            "The first of the two rulers: 440 Hz is the A that orchestras tune to.",
            "calculator list ear bank sound trace dataset classify",
            "Hz",
            "kHz",
        ),
        _t(
            "Mel",
            "A unit of how high a tone sounds: one mel more is heard as about the same step "
            "everywhere, whereas one hertz more is not.",
            "The second ruler, and the heights of the bands of a filter bank.",
            "calculator list ear bank sound trace dataset train",
        ),
        _t(
            "Octave",
            "The step from a tone to the one with twice its frequency. It has 12 semitones, the "
            "steps from one piano key to the next.",
            "On the logarithmic axis of the curve all octaves are equally wide.",
            "calculator",
        ),
        _t(
            "Semitone (and cent)",
            "A twelfth of an octave, the step from one piano key to the next. A hundredth of it "
            "is a cent, less than most people can hear.",
            "“A4 + 3 cents” is a tone a trifle above the A of the middle of the piano.",
            "calculator list ear",
            "cent",
        ),
        _t(
            "Decibel (dB)",
            "A measure of level that counts ratios: 10 dB more is ten times the power, and sounds "
            "about twice as loud.",
            "The brightness of a spectrogram: its darkest is 80 dB below its brightest.",
            "sound ear trace classify",
            "dB",
        ),
        _t(
            "Sample rate",
            "How many times a second a recording measures the air pressure; one such measurement "
            "is a sample. Tones up to half the sample rate can be held.",
            "22,050 Hz, unless you choose another: 22,050 numbers for each second of sound.",
            "bank trace dataset",
            "sample",
        ),
        _t(
            "Window (n_fft)",
            "The short stretch of sound that one spectrum looks at, faded in and out at its ends. "
            "n_fft is its length in samples.",
            "2048 samples are 93 ms. Longer tells pitches apart, shorter tells moments apart.",
            "bank trace dataset",
            "n_fft",
        ),
        _t(
            "Frame",
            "One moment of a sound, as long as the window. Frames overlap, and each is described "
            "by a few numbers.",
            "A column of a spectrogram; a segment of 3 s has 130.",
            "trace dataset",
        ),
        _t(
            "Hop",
            "The step from one frame to the next. Half the hop, twice the frames.",
            "512 samples, which are 23 ms.",
            "dataset",
        ),
        _t(
            "Spectrum (FFT)",
            "How much there is of each frequency in one frame. The fast Fourier transform (FFT) "
            "computes it.",
            "The second chart of the trace; columns of it side by side are a spectrogram.",
            "bank sound trace",
            "FFT",
            "spectra",
        ),
        _t(
            "Bin",
            "One value of a spectrum: what there is in a narrow range of frequencies. Bins lie "
            "the sample rate divided by n_fft apart.",
            "The green dots under the triangles. A band that catches no dot is empty.",
            "bank",
        ),
        _t(
            "Spectrogram",
            "A picture of a sound: time to the right, frequency upwards, and the brighter, the "
            "louder.",
            "The second picture of four; in mel bands it is a mel spectrogram.",
            "sound classify",
        ),
        _t(
            "Mel band (filter bank)",
            "A range of frequencies that are added up, the middle counting most. Bands are narrow "
            "for low tones and wide for high ones; all of them together are a filter bank.",
            "A triangle of the drawing; a row of the mel spectrogram.",
            "bank sound trace dataset train",
            "filter bank",
            "band",
        ),
        _t(
            "Log-mel",
            "The levels of the mel bands in decibels, kept as they are: more numbers than MFCCs, "
            "and more of the sound.",
            "What the convolutional network learns best from.",
            "train",
        ),
        _t(
            "DCT",
            "The discrete cosine transform: it describes a row of numbers as a sum of waves, from "
            "slow to fast, and says how much of each there is.",
            "It turns the levels of the mel bands into MFCCs.",
            "trace",
        ),
        _t(
            "MFCC",
            "Mel-frequency cepstral coefficient: one of a few numbers that describe the colour of "
            "a sound in one frame. The first is its loudness; later ones tell ever finer detail.",
            "13 of them a frame are what the course's network is given.",
            "sound trace bank dataset train",
            "coefficient",
        ),
        _t(
            "Phase",
            "The exact timing of each vibration. Spectrograms leave it out, for it is hardly "
            "heard.",
            "To hear a spectrogram it must be guessed again, which sounds a little hollow.",
            "sound",
        ),
    ),
    "Neurons": (
        _t(
            "Neuron (unit)",
            "A small calculation: it multiplies each input by a weight, adds everything up, and "
            "bends the sum. In a network it is also called a unit.",
            "A circle of the drawing, with its answer in it.",
            "neuron backprop train",
            "unit",
        ),
        _t(
            "Weight",
            "A number that says how much an input counts, and in which direction. What a network "
            "learns is its weights.",
            "A line of the drawing: the thicker the larger, dashed when negative.",
            "neuron backprop trace bank train",
        ),
        _t(
            "Bias",
            "A number that a neuron adds to its sum whatever comes in. It moves the point from "
            "which it says yes.",
            "AND needs one of −1.5; OR does with −0.5.",
            "neuron backprop",
        ),
        _t(
            "Activation function",
            "The curve that bends a neuron's sum into its answer. Without it, layers on layers "
            "could do no more than one.",
            "The curve under “The bend”; the choice in the playground's settings.",
            "neuron backprop",
            "activation",
        ),
        _t(
            "Sigmoid",
            "An activation function shaped like an S: any sum becomes a number between 0 and 1.",
            "The course's neuron; its answer can never be more than 1.",
            "neuron backprop",
        ),
        _t(
            "Tanh",
            "The hyperbolic tangent, an S from −1 to 1.",
            "A choice among the activation functions.",
            "neuron backprop",
            "hyperbolic tangent",
        ),
        _t(
            "ReLU",
            "Rectified linear unit: it passes what is above 0 and makes 0 of the rest.",
            "The bends of the genre classifiers.",
            "neuron backprop",
        ),
        _t(
            "Neural network",
            "Neurons in layers: the answers of one layer are the inputs of the next. Layers "
            "between the inputs and the answer are called hidden.",
            "The drawing of the playground, with inputs on the left and the answer on the right.",
            "backprop neuron dataset train classify",
            "network",
            "hidden layer",
            "layer",
        ),
    ),
    "Learning": (
        _t(
            "Target",
            "The right answer to an example, which the network is told after it has answered.",
            "For 0.3 and 0.1 it is 0.4, when the task is to add.",
            "backprop",
        ),
        _t(
            "Label",
            "The right answer that comes with a piece of music: its genre.",
            "The name of the folder that a track lies in.",
            "dataset",
        ),
        _t(
            "Error",
            "The target less the answer, for a single example.",
            "“Slow motion”, second stage.",
            "backprop",
        ),
        _t(
            "Loss",
            "One number for how wrong a network is. To learn is to make it smaller. For numbers "
            "it is half the square of the error, for genres the cross-entropy.",
            "“Slow motion”, second stage; the falling curve of the train page.",
            "backprop train",
        ),
        _t(
            "Mean squared error (MSE)",
            "The average square of the error over many examples: twice the average loss of the "
            "playground.",
            "The falling curve of the playground.",
            "backprop",
            "squared error",
            "training error",
        ),
        _t(
            "Cross-entropy",
            "The loss of a classifier: little when the right genre was given a high probability, "
            "much when it was given a low one. It is counted in nats.",
            "Guessing among ten genres costs 2.3 nats; being sure and right costs 0.",
            "train",
            "nats",
        ),
        _t(
            "Gradient (derivative)",
            "For each weight, how fast the loss would grow if the weight were raised a little, "
            "∂L/∂w. A step goes against it.",
            "Choose “gradients” above the drawing, and the lines show it.",
            "backprop",
            "derivative",
        ),
        _t(
            "Backpropagation",
            "The way to all gradients at once: how the loss changes with the answer is passed back "
            "through the network, layer by layer, down to every weight.",
            "“Slow motion”, third stage, with every number.",
            "backprop",
            "backprop",
            "backpropagated",
        ),
        _t(
            "Delta",
            "How fast the loss would grow with a unit's sum, ∂L/∂h: what comes back from the units "
            "after it, times the slope of its own curve.",
            "The first row of each table in “Slow motion”.",
            "backprop",
        ),
        _t(
            "Learning rate",
            "How long each step is: a weight moves by minus the learning rate times its gradient. "
            "Too small and nothing moves; too large and it overshoots.",
            "0.1 in the playground; a thousandth of that for music.",
            "backprop train",
        ),
        _t(
            "Epoch",
            "One round through all examples that are trained on.",
            "A step to the right in the curves.",
            "backprop train",
        ),
        _t(
            "Batch",
            "The examples that are looked at before the weights move once; their gradients are "
            "averaged.",
            "1 in the playground, 32 on the train page.",
            "backprop train",
        ),
        _t(
            "Seed",
            "The number that dice are started from. The same seed gives the same dice, so a run "
            "can be repeated.",
            "It decides the first weights, and who is held out.",
            "backprop train",
        ),
        _t(
            "Held out",
            "Kept from training, so that the score on it shows what a network makes of music it "
            "has not met. Many call it the validation set, or the test set.",
            "The dashed curve, and the exam below it.",
            "train backprop classify",
            "hold out",
            "hold music out",
            "held-out",
        ),
        _t(
            "Memorising (overfitting)",
            "Learning the examples by heart instead of what they have in common: better and "
            "better on them, no better on anything else.",
            "The two loss curves part: one still falls, the other climbs.",
            "train",
            "memorises",
        ),
        _t(
            "Dropout (regularisation)",
            "Making learning by heart harder, which is called regularisation. Dropout is one way: "
            "in each step some of the network's numbers are switched off at random.",
            "The convolutional network is trained with it.",
            "train",
            "regularisation",
        ),
        _t(
            "Convolutional network (CNN)",
            "A network that slides small patterns over the picture of a sound, so that it knows "
            "them wherever they stand.",
            "The second of the two networks, and the one in the model that comes first.",
            "train",
            "convolutional",
        ),
    ),
    "Data and scores": (
        _t(
            "Course (the)",
            "The lessons in music and machine learning that GenreKit grew out of. What they did "
            "is offered beside what is done better today.",
            "The course's neuron, its network, its split by segment and its kind of file.",
            "neuron backprop dataset train",
        ),
        _t(
            "Track",
            "One recording, such as one file or one song.",
            "A row of the dataset's card.",
            "dataset train classify",
        ),
        _t(
            "Segment",
            "A piece of a track, a few seconds long. Each is one example to learn from, and each "
            "gets a verdict of its own.",
            "3 s, so a track of 30 s gives ten; a bar of the strip under a song.",
            "dataset train classify",
        ),
        _t(
            "Dataset",
            "Segments as numbers, each with its label and the track it comes from.",
            "A file to take away, as Parquet, NPZ or JSON.",
            "dataset train classify",
        ),
        _t(
            "Parquet, NPZ and JSON",
            "Three kinds of file for tables of numbers: Parquet is quick and keeps everything, "
            "NPZ is NumPy's, JSON is text that any program reads.",
            "The three downloads below a dataset.",
            "dataset train",
            "Parquet",
            "NPZ",
        ),
        _t(
            "Hash (SHA-256)",
            "A fingerprint of a file's contents: change one bit, and it is another.",
            "A column of the dataset's card, by which a recording is known again.",
            "dataset",
            "sha256",
        ),
        _t(
            "Standard deviation",
            "How far values usually lie from their average.",
            "The unit of the picture of averages: 1 is as far off as is usual.",
            "dataset train",
        ),
        _t(
            "Principal component",
            "The direction in which a cloud of points is widest: the best single number to tell "
            "the points apart. The share of the variance is how much of the spread it shows.",
            "The axes of the map of all segments.",
            "dataset",
            "variance",
        ),
        _t(
            "Split",
            "Who is trained on and who is held out: single segments, whole tracks or whole "
            "artists.",
            "The first choice on the train page, named beside every score.",
            "train dataset classify",
        ),
        _t(
            "Leak",
            "When something of the exam was seen in training. Segments of one song sound alike, "
            "so a network that knows the song looks as if it knew the genre.",
            "The leak meter measures how much of a score it makes.",
            "train",
        ),
        _t(
            "Accuracy",
            "The share that was right, of segments or of tracks.",
            "The curve that climbs, and the first figures of the exam.",
            "train",
            "share of segments right",
        ),
        _t(
            "Confusion matrix",
            "A table of what was taken for what: a row for each true genre, a column for each "
            "verdict. What is right stands on the diagonal.",
            "The blue table of the exam.",
            "train",
        ),
        _t(
            "Recall (and precision)",
            "Recall: of a genre's music, the share that was recognised. Precision: of what was "
            "called by the genre's name, the share that is.",
            "A row for each genre below the exam.",
            "train",
            "precision",
        ),
        _t(
            "Model (and its card)",
            "A trained network with all it needs to hear: how sound becomes numbers, the names "
            "of the genres, and a card that says what it was trained and measured on. Such a "
            "folder is also called a bundle.",
            "What you train, download, and choose on the classify page.",
            "train classify",
            "model card",
        ),
    ),
    "Verdicts": (
        _t(
            "Verdict",
            "The genre that a model gives a song, or “not sure” where its probability is too low "
            "to be trusted.",
            "The large word at the top.",
            "classify train",
        ),
        _t(
            "Probability (confidence)",
            "How much of its belief a model gives a genre; over all genres it adds up to 100%. "
            "The verdict's is called its confidence.",
            "The bars beside the verdict.",
            "classify train",
            "probabilities",
            "confidence",
        ),
        _t(
            "Calibration",
            "Setting a model's probabilities right: of all verdicts given with 70%, about 70% "
            "should be right.",
            "The model card says how far off they are on average.",
            "train",
            "calibrated",
        ),
        _t(
            "Margin",
            "By how many points the likeliest genre leads the second.",
            "In the line below the player, for each segment.",
            "classify",
        ),
        _t(
            "Occlusion",
            "Finding out what a verdict rests on by covering one place after another, and asking "
            "again each time.",
            "“Why” turns places of the picture down and watches the verdict.",
            "classify",
        ),
        _t(
            "Odds",
            "A probability against its opposite: at 75% the odds are three to one.",
            "“Why” tells by how much the odds fall when a place is turned down.",
            "classify",
        ),
        _t(
            "Nearest segments",
            "The training segments that the network describes by numbers most like those of "
            "yours: to it they sound alike.",
            "The table below “Why”.",
            "classify",
            "nearest to segment",
        ),
        _t(
            "Low-pass filter",
            "It lets low frequencies through and takes away what is above.",
            "A slider of the stress test.",
            "classify",
        ),
    ),
}
TERMS: Final = tuple(term for group in GROUPS.values() for term in group)
_BY_NAME: Final = {term.name.split(" (")[0].lower(): term for term in TERMS}


def anchor(term: Term) -> str:
    """The term's place in the address of the glossary page: learning-rate."""
    return re.sub(r"[^a-z0-9]+", "-", term.name.split(" (")[0].lower())


def find(text: str) -> list[Term]:
    """The terms in whose name or explanation `text` occurs; those named so come first."""
    wanted = text.strip().lower()
    named = [term for term in TERMS if wanted in " ".join((term.name, *term.also)).lower()]
    return named + [t for t in TERMS if t not in named and wanted in t.says.lower()]


def tip(name: str, more: str = "") -> str:
    """What a term means, for `help=` of a widget; `more` is what to know about the setting."""
    return f"{_BY_NAME[name.lower()].says} {more}".strip()


def page_words(place: str) -> None:
    """A button that opens the explanation of every technical word of a page."""
    with st.popover("Words on this page", icon=":material/dictionary:", type="tertiary"):
        for term in TERMS:
            if place in term.places:
                st.markdown(f"**{term.name}:** {term.says}")
        # A link, not a page link: in a new tab the visitor's place on this page is not lost.
        st.markdown("[The whole glossary](glossary) opens in a new tab.")
