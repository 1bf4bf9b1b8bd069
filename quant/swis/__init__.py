"""SWIS: weights whose groups share few bit positions (Li, Romaszkan, Graening, Gupta 2021)."""
