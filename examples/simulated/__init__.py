"""Four services that are wrong, each in one place, for ``twofold simulate`` to find: docs/simulation.md shows what it says."""
