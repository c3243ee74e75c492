"""The operating-system seam: facts and socket tricks that differ from one platform to the next.

``linux`` is complete; nothing else in the project asks ``sys.platform``. What a platform cannot do is
raised as :class:`probes.base.NotApplicable` with its reason.
"""
