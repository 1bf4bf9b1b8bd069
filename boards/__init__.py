"""Synthesis for devices by name: yosys, nextpnr, area per layer and Fmax."""
