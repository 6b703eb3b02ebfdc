"""The parts of bench/gpu_check.py, one module for each group of them."""
