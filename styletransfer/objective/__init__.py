"""The loss of one scale: its targets, and its value and gradient for a picture."""

from .regions import StyleMoments
from .terms import matched_layers, term_weights
from .total import Anchor, Evaluation, Objective
from .variation import FLAT

__all__ = ["FLAT", "Anchor", "Evaluation", "Objective", "StyleMoments", "matched_layers", "term_weights"]
