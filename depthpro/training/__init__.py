"""Training: the curriculum that makes weights, and the paper's ablations in miniature.

recipe → batches → `phases` (network and loss of a phase) → `loop` (step, log, checkpoint)
"""
