"""Fit a compact network to a teacher: `python -m styletransfer.distill --teacher WEIGHTS --images FOLDER -o FILE`.

The student is VGG-19 with fewer channels and some convolutions left out, and with a 1x1 head at each matched layer that
predicts the teacher's activations. It starts from a closed-form solution, layer by layer. Then all of it learns
together, from crops of pictures, procedural textures, and pictures that it is itself optimising at the time (as Ross et
al. 2011 have an imitator visit its own states), since those are what it is used on.

A run is led by differences: of the picture's Gram matrices from the style's, and of its activations from the content's.
An error that both sides share does no harm, so the fit is scored on the differences, too: pictures under way come with
their content and their style.

The names are in the modules: torch must not come before the program has said how its threads wait.
"""
