"""Benchmarks: Twofold, the raw limits of the machine and the peers, side by side in one run.

``python -m bench`` runs everything on SQLite's files, ``--postgresql`` everything on a PostgreSQL that it starts (or the
one at a URL), and ``--flat`` compares a large log there with a small one. ``--only WORKLOAD`` runs some of it, ``--quick`` a
shorter version, ``--json`` is for programs, and ``--profile WORKLOAD`` shows where Twofold's time goes.

``python -m bench.oracles`` measures simulations: what a command costs in them, and how much of that each oracle takes.

``python -m bench.seeing_through`` measures event handlers, steps of processes and timers, with ``--postgresql`` there.
"""
