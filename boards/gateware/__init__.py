"""What of a bitstream is hardware, beside the accelerator and its link."""
