"""Espalier: exact FPGA accelerators for pruned, quantized neural networks, with open tools."""
