"""Keeps the sums of an adder graph apart: yosys would merge those with one reader into sums of many operands.

That is cheaper for some designs, but here an optimiser has already decided which sums are built once
(hw/adder_graph.py). Each `$add` that drives a wire with the attribute espalier_sum becomes a `$alu`, which yosys maps
to a carry chain as it is. The wires are kept, so that boards/chains.py finds them in the netlist.
"""

from .chains import SUM

FILE = "adders.v"

TECHMAP = r"""(* techmap_celltype = "$add" *)
module espalier_add (A, B, Y);
  parameter A_SIGNED = 0, B_SIGNED = 0, A_WIDTH = 1, B_WIDTH = 1, Y_WIDTH = 1;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  output [Y_WIDTH-1:0] Y;
  wire [Y_WIDTH-1:0] propagates, carries;
  (* keep *) \$alu #(
    .A_SIGNED(A_SIGNED), .B_SIGNED(B_SIGNED), .A_WIDTH(A_WIDTH), .B_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)
  ) alu (.A(A), .B(B), .CI(1'b0), .BI(1'b0), .X(propagates), .Y(Y), .CO(carries));
endmodule
"""


def prepare(verilog: str, top: str) -> list[str]:
    """The passes before those of the family, of which those for sums need ``TECHMAP`` in the file ``FILE``."""
    check = f"hierarchy -check -top {top}"
    if SUM not in verilog:
        return [check]
    return [
        check, "proc", "flatten", "opt_expr", "opt_clean", "wreduce t:$add", "opt_clean",
        f"select -set sums a:{SUM} %ci1 t:$add %i", f"techmap -map {FILE} @sums", f"setattr -set keep 1 a:{SUM}",
    ]  # fmt: skip
