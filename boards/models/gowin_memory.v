// Behaviour of Gowin's block RAM, for simulating netlists: yosys and nextpnr know only its ports. After UG285, BSRAM &
// SSRAM: one or two ports, each with its width, an output register where READ_MODE is 1, and what a write leaves at its
// output by WRITE_MODE (0: what was there, 1: the word written, 2: the word overwritten). Words of 16 bits and more
// have byte enables in the lowest bits of their addresses. A word that is read while the other port writes it reads as
// before, though the device leaves that open.
`define GOWIN_INIT(BITS) parameter [BITS - 1:0] \
    INIT_RAM_00 = 0, INIT_RAM_01 = 0, INIT_RAM_02 = 0, INIT_RAM_03 = 0, INIT_RAM_04 = 0, INIT_RAM_05 = 0, \
    INIT_RAM_06 = 0, INIT_RAM_07 = 0, INIT_RAM_08 = 0, INIT_RAM_09 = 0, INIT_RAM_0A = 0, INIT_RAM_0B = 0, \
    INIT_RAM_0C = 0, INIT_RAM_0D = 0, INIT_RAM_0E = 0, INIT_RAM_0F = 0, INIT_RAM_10 = 0, INIT_RAM_11 = 0, \
    INIT_RAM_12 = 0, INIT_RAM_13 = 0, INIT_RAM_14 = 0, INIT_RAM_15 = 0, INIT_RAM_16 = 0, INIT_RAM_17 = 0, \
    INIT_RAM_18 = 0, INIT_RAM_19 = 0, INIT_RAM_1A = 0, INIT_RAM_1B = 0, INIT_RAM_1C = 0, INIT_RAM_1D = 0, \
    INIT_RAM_1E = 0, INIT_RAM_1F = 0, INIT_RAM_20 = 0, INIT_RAM_21 = 0, INIT_RAM_22 = 0, INIT_RAM_23 = 0, \
    INIT_RAM_24 = 0, INIT_RAM_25 = 0, INIT_RAM_26 = 0, INIT_RAM_27 = 0, INIT_RAM_28 = 0, INIT_RAM_29 = 0, \
    INIT_RAM_2A = 0, INIT_RAM_2B = 0, INIT_RAM_2C = 0, INIT_RAM_2D = 0, INIT_RAM_2E = 0, INIT_RAM_2F = 0, \
    INIT_RAM_30 = 0, INIT_RAM_31 = 0, INIT_RAM_32 = 0, INIT_RAM_33 = 0, INIT_RAM_34 = 0, INIT_RAM_35 = 0, \
    INIT_RAM_36 = 0, INIT_RAM_37 = 0, INIT_RAM_38 = 0, INIT_RAM_39 = 0, INIT_RAM_3A = 0, INIT_RAM_3B = 0, \
    INIT_RAM_3C = 0, INIT_RAM_3D = 0, INIT_RAM_3E = 0, INIT_RAM_3F = 0
`define GOWIN_WORDS { \
    INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39, INIT_RAM_38, \
    INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32, INIT_RAM_31, INIT_RAM_30, \
    INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B, INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28, \
    INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24, INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20, \
    INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D, INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18, \
    INIT_RAM_17, INIT_RAM_16, INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10, \
    INIT_RAM_0F, INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08, \
    INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01, INIT_RAM_00 \
  }

module espalier_gowin_port #(
  parameter UNIT = 9, WIDTH = 36, READ_MODE = 0, WRITE_MODE = 0, RESET_MODE = "SYNC"
) (
  input clock, on, writes, keeps, reset, input [13:0] address, input [35:0] data, input [35:0] stored,
  output [3:0] enables, output [35:0] merged, output [35:0] out
);
  // Words as wide as a unit of eight or nine bits, or parts of one, have no byte enables.
  localparam UNITS = WIDTH < 8 ? 1 : WIDTH / UNIT;
  assign enables = !(on & writes) ? 4'b0 : UNITS == 4 ? address[3:0] : UNITS == 2 ? {2'b0, address[1:0]} : 4'b1;
  wire [2:0] low = WIDTH < 8 ? address[2:0] & ~(WIDTH - 1) : 0;
  localparam [35:0] MASK = ~(~36'd0 << WIDTH);
  wire [35:0] read = stored >> low & MASK;
  assign merged = stored & ~(MASK << low) | (data & MASK) << low;
  reg [35:0] latch = 0, register = 0;
  wire now = RESET_MODE == "ASYNC" & reset;
  always @(posedge clock, posedge now)
    if (now | reset) begin
      latch <= 0;
      register <= 0;
    end else begin
      if (on) latch <= !writes || WRITE_MODE == 2 ? read : WRITE_MODE == 1 ? data & MASK : latch;
      if (keeps) register <= latch;
    end
  assign out = READ_MODE ? register : latch;
endmodule

module espalier_gowin_memory #(
  parameter UNIT = 9, WIDTH_A = 36, WIDTH_B = 36, READ_A = 0, READ_B = 0, WRITE_A = 0, WRITE_B = 0,
  parameter RESET_MODE = "SYNC", parameter [2048 * UNIT - 1:0] WORDS = 0
) (
  input clock_a, on_a, writes_a, keeps_a, reset_a, input [13:0] address_a, input [35:0] data_a, output [35:0] out_a,
  input clock_b, on_b, writes_b, keeps_b, reset_b, input [13:0] address_b, input [35:0] data_b, output [35:0] out_b
);
  reg [UNIT - 1:0] memory [0:2047];
  integer unit;
  initial for (unit = 0; unit < 2048; unit = unit + 1) memory[unit] = WORDS[unit * UNIT +: UNIT];

  // A wide word is up to four units, the first one lowest.
  wire [10:0] first_a = address_a[13:3] & ~(WIDTH_A >= 32 ? 11'd3 : WIDTH_A >= 16 ? 11'd1 : 11'd0);
  wire [10:0] first_b = address_b[13:3] & ~(WIDTH_B >= 32 ? 11'd3 : WIDTH_B >= 16 ? 11'd1 : 11'd0);
  wire [35:0] stored_a = {memory[first_a | 11'd3], memory[first_a | 11'd2], memory[first_a | 11'd1], memory[first_a]};
  wire [35:0] stored_b = {memory[first_b | 11'd3], memory[first_b | 11'd2], memory[first_b | 11'd1], memory[first_b]};
  wire [3:0] enables_a, enables_b;
  wire [35:0] merged_a, merged_b;
  espalier_gowin_port #(UNIT, WIDTH_A, READ_A, WRITE_A, RESET_MODE) a (
    clock_a, on_a, writes_a, keeps_a, reset_a, address_a, data_a, stored_a, enables_a, merged_a, out_a
  );
  espalier_gowin_port #(UNIT, WIDTH_B, READ_B, WRITE_B, RESET_MODE) b (
    clock_b, on_b, writes_b, keeps_b, reset_b, address_b, data_b, stored_b, enables_b, merged_b, out_b
  );
  integer place;
  always @(posedge clock_a)
    for (place = 0; place < 4; place = place + 1)
      if (enables_a[place]) memory[first_a + place] <= merged_a[place * UNIT +: UNIT];
  integer spot;
  always @(posedge clock_b)
    for (spot = 0; spot < 4; spot = spot + 1)
      if (enables_b[spot]) memory[first_b + spot] <= merged_b[spot * UNIT +: UNIT];
endmodule

module SP #(
  parameter READ_MODE = 0, WRITE_MODE = 0, BIT_WIDTH = 32, BLK_SEL = 0, RESET_MODE = "SYNC", `GOWIN_INIT(256)
) (
  output [31:0] DO, input [31:0] DI, input [2:0] BLKSEL, input [13:0] AD, input WRE, CLK, CE, OCE, RESET
);
  espalier_gowin_memory #(
    .UNIT(8), .WIDTH_A(BIT_WIDTH), .READ_A(READ_MODE), .WRITE_A(WRITE_MODE), .RESET_MODE(RESET_MODE),
    .WORDS(`GOWIN_WORDS)
  ) memory (
    CLK, CE && BLKSEL == BLK_SEL, WRE, OCE, RESET, AD, DI, DO, 1'b0, 1'b0, 1'b0, 1'b0, 1'b0, 14'd0, 36'd0,
  );
endmodule

module SPX9 #(
  parameter READ_MODE = 0, WRITE_MODE = 0, BIT_WIDTH = 36, BLK_SEL = 0, RESET_MODE = "SYNC", `GOWIN_INIT(288)
) (
  output [35:0] DO, input [35:0] DI, input [2:0] BLKSEL, input [13:0] AD, input WRE, CLK, CE, OCE, RESET
);
  espalier_gowin_memory #(
    .UNIT(9), .WIDTH_A(BIT_WIDTH), .READ_A(READ_MODE), .WRITE_A(WRITE_MODE), .RESET_MODE(RESET_MODE),
    .WORDS(`GOWIN_WORDS)
  ) memory (
    CLK, CE && BLKSEL == BLK_SEL, WRE, OCE, RESET, AD, DI, DO, 1'b0, 1'b0, 1'b0, 1'b0, 1'b0, 14'd0, 36'd0,
  );
endmodule

module SDPB #(
  parameter READ_MODE = 0, BIT_WIDTH_0 = 32, BIT_WIDTH_1 = 32, BLK_SEL_0 = 0, BLK_SEL_1 = 0, RESET_MODE = "SYNC",
  `GOWIN_INIT(256)
) (
  input CLKA, CEA, CLKB, CEB, OCE, RESETA, RESETB, input [13:0] ADA, ADB, input [31:0] DI,
  input [2:0] BLKSELA, BLKSELB, output [31:0] DO
);
  espalier_gowin_memory #(
    .UNIT(8), .WIDTH_A(BIT_WIDTH_0), .WIDTH_B(BIT_WIDTH_1), .READ_B(READ_MODE), .RESET_MODE(RESET_MODE),
    .WORDS(`GOWIN_WORDS)
  ) memory (
    CLKA, CEA && BLKSELA == BLK_SEL_0, 1'b1, 1'b0, RESETA, ADA, DI, ,
    CLKB, CEB && BLKSELB == BLK_SEL_1, 1'b0, OCE, RESETB, ADB, 36'd0, DO
  );
endmodule

module SDPX9B #(
  parameter READ_MODE = 0, BIT_WIDTH_0 = 36, BIT_WIDTH_1 = 36, BLK_SEL_0 = 0, BLK_SEL_1 = 0, RESET_MODE = "SYNC",
  `GOWIN_INIT(288)
) (
  input CLKA, CEA, CLKB, CEB, OCE, RESETA, RESETB, input [13:0] ADA, ADB, input [35:0] DI,
  input [2:0] BLKSELA, BLKSELB, output [35:0] DO
);
  espalier_gowin_memory #(
    .UNIT(9), .WIDTH_A(BIT_WIDTH_0), .WIDTH_B(BIT_WIDTH_1), .READ_B(READ_MODE), .RESET_MODE(RESET_MODE),
    .WORDS(`GOWIN_WORDS)
  ) memory (
    CLKA, CEA && BLKSELA == BLK_SEL_0, 1'b1, 1'b0, RESETA, ADA, DI, ,
    CLKB, CEB && BLKSELB == BLK_SEL_1, 1'b0, OCE, RESETB, ADB, 36'd0, DO
  );
endmodule

module DPB #(
  parameter READ_MODE0 = 0, READ_MODE1 = 0, WRITE_MODE0 = 0, WRITE_MODE1 = 0, BIT_WIDTH_0 = 16, BIT_WIDTH_1 = 16,
  parameter BLK_SEL_0 = 0, BLK_SEL_1 = 0, RESET_MODE = "SYNC", `GOWIN_INIT(256)
) (
  input CLKA, CEA, CLKB, CEB, OCEA, OCEB, RESETA, RESETB, WREA, WREB, input [13:0] ADA, ADB,
  input [15:0] DIA, DIB, input [2:0] BLKSELA, BLKSELB, output [15:0] DOA, DOB
);
  espalier_gowin_memory #(
    .UNIT(8), .WIDTH_A(BIT_WIDTH_0), .WIDTH_B(BIT_WIDTH_1), .READ_A(READ_MODE0), .READ_B(READ_MODE1),
    .WRITE_A(WRITE_MODE0), .WRITE_B(WRITE_MODE1), .RESET_MODE(RESET_MODE), .WORDS(`GOWIN_WORDS)
  ) memory (
    CLKA, CEA && BLKSELA == BLK_SEL_0, WREA, OCEA, RESETA, ADA, DIA, DOA,
    CLKB, CEB && BLKSELB == BLK_SEL_1, WREB, OCEB, RESETB, ADB, DIB, DOB
  );
endmodule

module DPX9B #(
  parameter READ_MODE0 = 0, READ_MODE1 = 0, WRITE_MODE0 = 0, WRITE_MODE1 = 0, BIT_WIDTH_0 = 18, BIT_WIDTH_1 = 18,
  parameter BLK_SEL_0 = 0, BLK_SEL_1 = 0, RESET_MODE = "SYNC", `GOWIN_INIT(288)
) (
  input CLKA, CEA, CLKB, CEB, OCEA, OCEB, RESETA, RESETB, WREA, WREB, input [13:0] ADA, ADB,
  input [17:0] DIA, DIB, input [2:0] BLKSELA, BLKSELB, output [17:0] DOA, DOB
);
  espalier_gowin_memory #(
    .UNIT(9), .WIDTH_A(BIT_WIDTH_0), .WIDTH_B(BIT_WIDTH_1), .READ_A(READ_MODE0), .READ_B(READ_MODE1),
    .WRITE_A(WRITE_MODE0), .WRITE_B(WRITE_MODE1), .RESET_MODE(RESET_MODE), .WORDS(`GOWIN_WORDS)
  ) memory (
    CLKA, CEA && BLKSELA == BLK_SEL_0, WREA, OCEA, RESETA, ADA, DIA, DOA,
    CLKB, CEB && BLKSELB == BLK_SEL_1, WREB, OCEB, RESETB, ADB, DIB, DOB
  );
endmodule
