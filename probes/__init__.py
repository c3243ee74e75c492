"""What can be observed: one module a probe, typed observations, no judgement.

:data:`probes.base.TABLE` lists them all. A probe imports the standard library, psutil, icmplib, dnspython,
:mod:`probes.base`, :mod:`probes.failure` and the operating-system seam :mod:`probes.system`, and nothing else
of this project.
"""
