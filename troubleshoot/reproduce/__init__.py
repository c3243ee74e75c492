"""The executable catalogue: make an error happen on this machine's real stack, and show the calls that did.

``run.reproduce`` carries out the claims of a code, ``render.render`` shows them. Nothing is imported here: each
claim starts a Python of its own, which should be quick.
"""
