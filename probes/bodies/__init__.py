"""The work of the larger probes: ``bodies.NAME`` is what ``probes.NAME`` does, loaded when the probe first runs.

Plan and judge read requests and results; what it takes to observe is of no use to them and would be half of a start.
"""
