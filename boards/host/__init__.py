"""The host's side of a board: a session with the link in the hardware, and the network as a function."""
