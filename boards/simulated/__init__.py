"""A whole board in simulation, its serial line a pseudo-terminal."""
