// Behaviour of ECP5's multiplier, for simulating netlists: yosys and nextpnr know only its ports. After TN1267, Lattice's
// guide to sysDSP: operands A and B, signed or not, with their input registers, the pipeline register and the output
// register, all on CLK0 with CE0 and RST0 as our netlist edit uses them. Signs must not change. Cascades, operand C and
// the other clocks are not modelled.
module MULT18X18D #(
  parameter REG_INPUTA_CLK = "NONE", REG_INPUTA_CE = "CE0", REG_INPUTA_RST = "RST0",
  parameter REG_INPUTB_CLK = "NONE", REG_INPUTB_CE = "CE0", REG_INPUTB_RST = "RST0",
  parameter REG_PIPELINE_CLK = "NONE", REG_PIPELINE_CE = "CE0", REG_PIPELINE_RST = "RST0",
  parameter REG_OUTPUT_CLK = "NONE", REG_OUTPUT_CE = "CE0", REG_OUTPUT_RST = "RST0"
) (
  input A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0,
  input B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0,
  input C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0,
  input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB, CLK0, CE0, RST0,
  output P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16, P15,
  P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
);
  wire [17:0] a = {
    A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0
  };
  wire [17:0] b = {
    B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0
  };
  reg [17:0] input_a = 0, input_b = 0;
  reg [35:0] pipeline = 0, result = 0;
  wire [17:0] x = REG_INPUTA_CLK == "NONE" ? a : input_a;
  wire [17:0] y = REG_INPUTB_CLK == "NONE" ? b : input_b;
  // The lowest 36 bits of a product of operands extended to 36 bits are those of the product.
  wire [35:0] product = {{18{SIGNEDA & x[17]}}, x} * {{18{SIGNEDB & y[17]}}, y};
  wire [35:0] summed = REG_PIPELINE_CLK == "NONE" ? product : pipeline;

  always @(posedge CLK0) begin
    if (CE0) begin input_a <= a; input_b <= b; pipeline <= product; result <= summed; end
    if (RST0) begin input_a <= 0; input_b <= 0; pipeline <= 0; result <= 0; end
  end

  assign {
    P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16, P15, P14,
    P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
  } = REG_OUTPUT_CLK == "NONE" ? summed : result;
endmodule
