"""Style transfer: a schedule of scales, the loop over them, and the records of its steps and result."""

from .forecast import Forecast, forecast
from .loop import iterate, measure_styles, stylize
from .records import Losses, Result, RunState, Step
from .run import StyleTargets
from .scales import Scale, schedule

__all__ = [
    "Forecast",
    "Losses",
    "Result",
    "RunState",
    "Scale",
    "Step",
    "StyleTargets",
    "forecast",
    "iterate",
    "measure_styles",
    "schedule",
    "stylize",
]
