"""Everything of the app that needs no Gradio: what a visitor may ask for, the run, and what is kept of it.

`server`, `wording` and `job` need no torch; the page imports the other modules when it first uses them.
"""
