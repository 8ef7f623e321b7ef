"""Measuring: speed now, the experiments of the paper later."""
