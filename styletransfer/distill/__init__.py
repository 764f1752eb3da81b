"""Fit a compact network to a teacher: `python -m styletransfer.distill --teacher WEIGHTS --images FOLDER -o FILE`.

The student is VGG-19 with fewer channels and without some convolutions; at matched layers, 1x1 heads predict the
teacher's activations. It starts from a closed-form solution, layer by layer. Then all layers learn together, from crops
of pictures, procedural textures, and pictures that the student itself is optimising, on which it will be used (as an
imitator visits its own states in Ross et al. 2011).

The gradient of a run depends on differences: of the picture's Gram matrices from the style's, and of its activations
from the content's. An error that both sides share does no harm, so the fit is scored on the differences, too: optimised
pictures come with their content and their style.

This package imports nothing: torch must be imported after the program has set how its threads wait.
"""
