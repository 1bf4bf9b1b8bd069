"""The link between a design's streams and a host: packets over a line of bytes, acknowledged and repeated."""
