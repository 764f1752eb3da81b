"""Everything of the app that needs no Gradio: the limits of a visitor, the run, and what is kept of it.

`server`, `wording` and `job` need no torch; the page imports the other modules when it first uses them.
"""
