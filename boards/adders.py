"""Makes sums carry chains as they are, where yosys would merge them or make them of lookup tables.

The sums of an adder graph drive wires with the attribute espalier_sum. yosys would merge those with one reader into
sums of many operands, but an optimiser has already decided which sums are built once (hw/adder_graph.py). Short sums of
masked numbers (hw/arithmetic.py) drive wires with espalier_chain: lookup tables would take three times as much, for
carry cells take in the masks. Each such `$add` becomes a carry chain at once on ECP5, where yosys would make narrow
ones of lookup tables, and elsewhere a `$alu`, which yosys maps as it is. Wires of adder graphs are kept, so that
boards/chains.py finds them in the netlist.
"""

from .chains import SUM

CHAIN = "espalier_chain"

FILE = "adders.v"

_HEAD = r"""(* techmap_celltype = "$add" *)
module espalier_add (A, B, Y);
  parameter A_SIGNED = 0, B_SIGNED = 0, A_WIDTH = 1, B_WIDTH = 1, Y_WIDTH = 1;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  output [Y_WIDTH-1:0] Y;
"""

# INIT is that of yosys' own adders.
_CARRY_CELLS = r"""
  localparam CELLS = (Y_WIDTH + 1) / 2;
  wire [2*CELLS-1:0] one, two, total;
  wire [CELLS:0] carries;
  \$pos #(.A_SIGNED(A_SIGNED), .A_WIDTH(A_WIDTH), .Y_WIDTH(2*CELLS)) extend_one (.A(A), .Y(one));
  \$pos #(.A_SIGNED(B_SIGNED), .A_WIDTH(B_WIDTH), .Y_WIDTH(2*CELLS)) extend_two (.A(B), .Y(two));
  assign carries[0] = 1'b0;
  assign Y = total[Y_WIDTH-1:0];
  genvar i;
  generate for (i = 0; i < CELLS; i = i + 1) begin : cells
    CCU2C #(.INIT0(16'h96AA), .INIT1(16'h96AA), .INJECT1_0("NO"), .INJECT1_1("NO")) cell_i (
      .CIN(carries[i]), .COUT(carries[i+1]),
      .A0(one[2*i]), .B0(two[2*i]), .C0(1'b0), .D0(1'b1), .S0(total[2*i]),
      .A1(one[2*i+1]), .B1(two[2*i+1]), .C1(1'b0), .D1(1'b1), .S1(total[2*i+1])
    );
  end endgenerate
endmodule
"""

_ALU = r"""
  wire [Y_WIDTH-1:0] propagates, carries;
  (* keep *) \$alu #(
    .A_SIGNED(A_SIGNED), .B_SIGNED(B_SIGNED), .A_WIDTH(A_WIDTH), .B_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)
  ) alu (.A(A), .B(B), .CI(1'b0), .BI(1'b0), .X(propagates), .Y(Y), .CO(carries));
endmodule
"""


def techmap_of(family: str) -> str:
    """The content of ``FILE``."""
    return _HEAD + (_CARRY_CELLS if family == "ecp5" else _ALU)


def prepare(verilog: str, top: str) -> list[str]:
    """The passes before those of the family, of which those for sums need the file ``FILE``."""
    begin = f"hierarchy -top {top}"
    if SUM not in verilog and CHAIN not in verilog:
        return [begin]
    return [
        begin, "proc", "flatten", "opt_expr", "opt_clean", "wreduce t:$add", "opt_clean",
        f"select -set sums a:{SUM} a:{CHAIN} %u %ci1 t:$add %i", f"techmap -map {FILE} @sums",
        f"setattr -set keep 1 a:{SUM}",
    ]  # fmt: skip
