"""What can be observed: one module a probe (the work of a larger one in ``bodies``), typed observations, no judgement.

The table in :mod:`probes.table` lists them all. A probe imports the standard library, psutil, icmplib, dnspython, h11,
:mod:`probes.base`, :mod:`probes.failure` and the operating-system seam :mod:`probes.system`, and nothing else
of this project.
"""
