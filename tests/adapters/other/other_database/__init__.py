"""The smallest database that is none of ours: in memory, and found by its name (other:) as an installed package is.

What it uses of Twofold is what anybody's adapter may use; of our own adapters it uses nothing.
"""
