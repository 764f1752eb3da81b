"""Picture files to tensors and back; the only place that uses PIL."""

from .checks import MAX_SETTINGS, SETTINGS_KEY
from .read import MAX_BYTES, MAX_PIXELS, READABLE, Source, load_alpha, load_image, read_settings
from .write import SUFFIXES, check_encodable, encode_image, save_animation, save_image

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "MAX_SETTINGS",
    "READABLE",
    "SETTINGS_KEY",
    "SUFFIXES",
    "Source",
    "check_encodable",
    "encode_image",
    "load_alpha",
    "load_image",
    "read_settings",
    "save_animation",
    "save_image",
]
