// Behaviour of the PLLs that our tops use, for simulating them: a clock by the data sheets' formulas, locked after a
// while. Parameters that do not change its rate have no effect.
module espalier_pll #(parameter integer MULTIPLY = 1, parameter integer DIVIDE = 1) (
  input source, output reg clock, output reg locked
);
  realtime last = 0, period = 0;
  integer edges = 0;
  initial begin
    clock = 1'b0;
    locked = 1'b0;
    wait (edges >= 2);
    // verilator lint_off ZERODLY
    forever #(period * DIVIDE / MULTIPLY / 2) clock = ~clock;
    // verilator lint_on ZERODLY
  end
  always @(posedge source) begin
    period = $realtime - last;
    last = $realtime;
    edges = edges + 1;
    if (edges == 16) locked = 1'b1;
  end
endmodule

// Lattice FPGA-TN-02200, with CLKOP as the feedback.
module EHXPLLL #(
  parameter CLKI_DIV = 1, parameter CLKFB_DIV = 1, parameter CLKOP_DIV = 8, parameter CLKOS_DIV = 8,
  parameter CLKOP_CPHASE = 0, parameter CLKOS_CPHASE = 0, parameter CLKOP_FPHASE = 0, parameter CLKOS_FPHASE = 0,
  parameter FEEDBK_PATH = "CLKOP", parameter CLKOP_ENABLE = "ENABLED", parameter CLKOS_ENABLE = "ENABLED",
  parameter OUTDIVIDER_MUXA = "DIVA", parameter OUTDIVIDER_MUXB = "DIVB", parameter DPHASE_SOURCE = "DISABLED",
  parameter PLLRST_ENA = "DISABLED", parameter INTFB_WAKE = "DISABLED", parameter STDBY_ENABLE = "DISABLED"
) (
  input CLKI, CLKFB, RST, STDBY, PHASESEL0, PHASESEL1, PHASEDIR, PHASESTEP, PHASELOADREG, PLLWAKESYNC, ENCLKOP, ENCLKOS,
  output CLKOP, CLKOS, LOCK
);
  espalier_pll #(.MULTIPLY(CLKFB_DIV), .DIVIDE(CLKI_DIV)) op (.source(CLKI), .clock(CLKOP), .locked());
  espalier_pll #(.MULTIPLY(CLKFB_DIV * CLKOP_DIV), .DIVIDE(CLKI_DIV * CLKOS_DIV)) os (
    .source(CLKI), .clock(CLKOS), .locked(LOCK)
  );
endmodule

// Lattice FPGA-TN-02052, with simple feedback.
module SB_PLL40_CORE #(
  parameter FEEDBACK_PATH = "SIMPLE", parameter [3:0] DIVR = 0, parameter [6:0] DIVF = 0, parameter [2:0] DIVQ = 0,
  parameter [2:0] FILTER_RANGE = 0
) (
  input REFERENCECLK, RESETB, BYPASS, output PLLOUTGLOBAL, LOCK
);
  espalier_pll #(.MULTIPLY(DIVF + 1), .DIVIDE((DIVR + 1) * 2 ** DIVQ)) pll (
    .source(REFERENCECLK), .clock(PLLOUTGLOBAL), .locked(LOCK)
  );
endmodule

module SB_PLL40_PAD #(
  parameter FEEDBACK_PATH = "SIMPLE", parameter [3:0] DIVR = 0, parameter [6:0] DIVF = 0, parameter [2:0] DIVQ = 0,
  parameter [2:0] FILTER_RANGE = 0
) (
  input PACKAGEPIN, RESETB, BYPASS, output PLLOUTGLOBAL, LOCK
);
  SB_PLL40_CORE #(
    .FEEDBACK_PATH(FEEDBACK_PATH), .DIVR(DIVR), .DIVF(DIVF), .DIVQ(DIVQ), .FILTER_RANGE(FILTER_RANGE)
  ) core (.REFERENCECLK(PACKAGEPIN), .RESETB(RESETB), .BYPASS(BYPASS), .PLLOUTGLOBAL(PLLOUTGLOBAL), .LOCK(LOCK));
endmodule

// Gowin UG286.
module rPLL #(
  parameter FCLKIN = "100", parameter DEVICE = "", parameter IDIV_SEL = 0, parameter FBDIV_SEL = 0,
  parameter ODIV_SEL = 8, parameter CLKFB_SEL = "internal", parameter CLKOUT_BYPASS = "false",
  parameter DYN_IDIV_SEL = "false", parameter DYN_FBDIV_SEL = "false", parameter DYN_ODIV_SEL = "false",
  parameter DYN_DA_EN = "false", parameter PSDA_SEL = "0000", parameter DUTYDA_SEL = "1000",
  parameter CLKOUTD_SRC = "CLKOUT", parameter DYN_SDIV_SEL = 2
) (
  input CLKIN, CLKFB, RESET, RESET_P, input [5:0] FBDSEL, IDSEL, ODSEL, input [3:0] PSDA, DUTYDA, FDLY,
  output CLKOUT, LOCK
);
  espalier_pll #(.MULTIPLY(FBDIV_SEL + 1), .DIVIDE(IDIV_SEL + 1)) pll (.source(CLKIN), .clock(CLKOUT), .locked(LOCK));
endmodule
