"""Proof by simulation: runs the Verilog under cocotb and Verilator and compares every beat, value and cycle."""
