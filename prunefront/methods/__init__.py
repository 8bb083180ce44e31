"""The pruning methods: one generator each.

A method is given weights to start from, what it needs to train, and which weights may be pruned. It yields
(level, weights in model order) for each of its levels; `prunefront.pipeline.run.record` does the rest.
"""
