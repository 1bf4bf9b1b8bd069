"""Hardware: folds the graph into stages that keep one contract, predicts every cycle, and writes Verilog."""
