"""Benchmarks: Twofold, the raw limits of the machine and the peers, side by side in one run.

``python -m bench`` runs everything; ``--only WORKLOAD`` some of it, ``--quick`` a shorter version, ``--json`` for
programs, and ``--profile WORKLOAD`` shows where Twofold's time goes.
"""
