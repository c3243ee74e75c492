"""Many targets at once: one connection each, then the full checklist for what failures have in common.

:func:`troubleshoot.check.run.check` is the door; :mod:`troubleshoot.check.model` says what goes in and comes out.
"""
