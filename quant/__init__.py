"""Trains, prunes and quantizes networks in PyTorch and Brevitas, exports them to QONNX; only this room needs torch."""
