"""The flags of `espalier quantize --method swis`, each with its unit and default; None where left out."""

from typing import Annotated

from typer import Option

Shifts = Annotated[
    float | None,
    Option(help="Of swis: shifts that a group of weights has on average, as 2.5; 1 to 7 for 8-bit weights. Required."),
]
Group = Annotated[
    int | None, Option(help="Of swis: weights of a filter that share shifts, neighbours along its input channels; 4.")
]
Consecutive = Annotated[
    bool | None,
    Option("--consecutive", help="Of swis: the shifts of a group are neighbours (SWIS-C). Default: any positions."),
]
FiltersAtOnce = Annotated[
    int | None,
    Option(metavar="A", help="Of swis: filters that hardware computes side by side, with equally many shifts; 1."),
]
Joint = Annotated[
    bool | None,
    Option("--joint", help="Of swis: those filters share the positions too, group by group. Default: each its own."),
]
DoubleShift = Annotated[
    bool | None,
    Option("--double-shift", help="Of swis: even numbers of shifts only, for hardware that takes two a cycle."),
]
Even = Annotated[
    bool | None,
    Option("--even", help="Of swis: all filters have the same shifts. Default: by what it costs each filter."),
]
Alpha = Annotated[
    float | None,
    Option(help="Of swis: weight of a group's squared sum of errors beside the sum of squares (MSE++); 1, 0 for none."),
]
