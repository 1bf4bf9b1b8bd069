// Behaviour of Gowin's multipliers, for simulating netlists: yosys and nextpnr know only their ports. After UG287, DSP:
// operands A and B, signed where ASIGN and BSIGN say so, with their registers, the pipeline register and the output
// register, all on CLK with CE and a synchronous RESET. Cascades and registers of the signs are not modelled.
module espalier_gowin_multiplier #(
  parameter WIDTH = 9, AREG = 0, BREG = 0, PIPE_REG = 0, OUT_REG = 0, SIGN_REG = 0, RESET_MODE = "SYNC"
) (
  input [WIDTH - 1:0] A, B, input ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET, output [2 * WIDTH - 1:0] DOUT
);
  reg [WIDTH - 1:0] input_a = 0, input_b = 0;
  reg [2 * WIDTH - 1:0] pipeline = 0, result = 0;
  wire [WIDTH - 1:0] x = AREG ? input_a : A;
  wire [WIDTH - 1:0] y = BREG ? input_b : B;
  // The lowest bits of a product of operands extended to its width are those of the product.
  wire [2 * WIDTH - 1:0] product = {{WIDTH{ASIGN & x[WIDTH - 1]}}, x} * {{WIDTH{BSIGN & y[WIDTH - 1]}}, y};
  wire [2 * WIDTH - 1:0] summed = PIPE_REG ? pipeline : product;
  always @(posedge CLK) begin
    if (CE) begin input_a <= A; input_b <= B; pipeline <= product; result <= summed; end
    if (RESET) begin input_a <= 0; input_b <= 0; pipeline <= 0; result <= 0; end
  end
  assign DOUT = OUT_REG ? result : summed;
  initial
    if (SIGN_REG || RESET_MODE != "SYNC") $fatal(1, "registers of signs and asynchronous resets are not modelled");
  always @* if (ASEL || BSEL) $fatal(1, "cascaded operands are not modelled");
endmodule

module MULT9X9 #(
  parameter AREG = 0, BREG = 0, OUT_REG = 0, PIPE_REG = 0, ASIGN_REG = 0, BSIGN_REG = 0, SOA_REG = 0,
  parameter MULT_RESET_MODE = "SYNC"
) (
  input [8:0] A, SIA, B, SIB, input ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET, output [17:0] DOUT
);
  espalier_gowin_multiplier #(9, AREG, BREG, PIPE_REG, OUT_REG, ASIGN_REG || BSIGN_REG, MULT_RESET_MODE) multiplier (
    A, B, ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET, DOUT
  );
endmodule

module MULT18X18 #(
  parameter AREG = 0, BREG = 0, OUT_REG = 0, PIPE_REG = 0, ASIGN_REG = 0, BSIGN_REG = 0, SOA_REG = 0,
  parameter MULT_RESET_MODE = "SYNC"
) (
  input [17:0] A, SIA, B, SIB, input ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET, output [35:0] DOUT
);
  espalier_gowin_multiplier #(18, AREG, BREG, PIPE_REG, OUT_REG, ASIGN_REG || BSIGN_REG, MULT_RESET_MODE) multiplier (
    A, B, ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET, DOUT
  );
endmodule
