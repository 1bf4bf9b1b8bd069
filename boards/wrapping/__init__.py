"""A design for people who integrate it themselves: wrapper, FuseSoC file, instance template, LiteX example."""
