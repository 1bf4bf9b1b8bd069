"""What a netlist takes of a device, summed into resources."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Area:
    """Cells of a netlist.

    lut: lookup tables (LUT4 on ECP5; LUT1 to LUT4 on Gowin; on iCE40 logic cells, also those that only a flip-flop
    takes; on Xilinx LUT1 to LUT6 and inverters, each as one). carry: CCU2C, SB_CARRY, ALU, or CARRY4 and CARRY8.
    lutram: DPR16X4 on ECP5, RAM16SDP4 on Gowin; on Xilinx the lookup tables that serve as memory. bram: block RAMs as
    the family has them, of 4 kbit on iCE40 and 18 kbit elsewhere. dsp: multiplier blocks, on Gowin of 18 x 18 bits.
    """

    lut: int = 0
    carry: int = 0
    lutram: int = 0
    ff: int = 0
    bram: int = 0
    dsp: int = 0
