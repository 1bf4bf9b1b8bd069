"""Mistakes a user can mend; the command line prints each as one line and ends with status 2."""


class EspalierError(ValueError):
    """Base of all errors that name what was found, what was needed, and what to change."""


class GraphError(EspalierError):
    """A model or graph that cannot be brought into integer form or is inconsistent."""


class PlanError(EspalierError):
    """A folding, target or budget that the hardware cannot meet."""


class ToolError(EspalierError):
    """A missing or failing external tool (Verilator, g++, yosys, nextpnr)."""


class BuildError(EspalierError):
    """A file or folder that cannot be read, written, or belongs to something else."""


class LinkError(EspalierError):
    """An accelerator on a board that does not answer, or is not the one that was meant."""
