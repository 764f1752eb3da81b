"""Fit a compact network to a teacher: `python -m styletransfer.distill --teacher WEIGHTS --images FOLDER -o FILE`.

The student is VGG-19 with fewer channels and some convolutions left out, and with a 1x1 head at each matched layer that
predicts the teacher's activations. It starts from a closed-form solution, layer by layer. Then all of it learns
together, from crops of pictures, procedural textures, and pictures that it is itself optimising at the time (as Ross et
al. 2011 have an imitator visit its own states), since those are what it is used on.

A run is led by differences: of the picture's Gram matrices from the style's, and of its activations from the content's.
An error that both sides share does no harm, so the fit is scored on the differences, too: pictures under way come with
their content and their style.
"""

from .course import Fit, distill, held_out_score, new_student, packed, take_over, teacher_scale
from .layers import fit_layers, leading_channels
from .losses import content_difference_error, gram_difference_error, grams
from .program import main, parse_widths

__all__ = [
    "Fit",
    "content_difference_error",
    "distill",
    "fit_layers",
    "gram_difference_error",
    "grams",
    "held_out_score",
    "leading_channels",
    "main",
    "new_student",
    "packed",
    "parse_widths",
    "take_over",
    "teacher_scale",
]
