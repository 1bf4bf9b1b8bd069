// Behaviour of the block RAM of Xilinx' 7 series, for simulating netlists: yosys knows only its ports. After UG473: two
// ports that read and write words of their own widths with an enable for each byte, or, in the mode SDP, one that reads
// and one that writes, where the widest word takes the data pins of both. What a write leaves at the output of its own
// port is said by WRITE_MODE. A word that is read while the other port writes it reads as before, though without
// READ_FIRST the device leaves that open. Output registers, cascades, inverted pins and initial outputs other than 0
// are not modelled.
`define XILINX_INIT_18 \
    INIT_00 = 0, INIT_01 = 0, INIT_02 = 0, INIT_03 = 0, INIT_04 = 0, INIT_05 = 0, INIT_06 = 0, INIT_07 = 0, \
    INIT_08 = 0, INIT_09 = 0, INIT_0A = 0, INIT_0B = 0, INIT_0C = 0, INIT_0D = 0, INIT_0E = 0, INIT_0F = 0, \
    INIT_10 = 0, INIT_11 = 0, INIT_12 = 0, INIT_13 = 0, INIT_14 = 0, INIT_15 = 0, INIT_16 = 0, INIT_17 = 0, \
    INIT_18 = 0, INIT_19 = 0, INIT_1A = 0, INIT_1B = 0, INIT_1C = 0, INIT_1D = 0, INIT_1E = 0, INIT_1F = 0, \
    INIT_20 = 0, INIT_21 = 0, INIT_22 = 0, INIT_23 = 0, INIT_24 = 0, INIT_25 = 0, INIT_26 = 0, INIT_27 = 0, \
    INIT_28 = 0, INIT_29 = 0, INIT_2A = 0, INIT_2B = 0, INIT_2C = 0, INIT_2D = 0, INIT_2E = 0, INIT_2F = 0, \
    INIT_30 = 0, INIT_31 = 0, INIT_32 = 0, INIT_33 = 0, INIT_34 = 0, INIT_35 = 0, INIT_36 = 0, INIT_37 = 0, \
    INIT_38 = 0, INIT_39 = 0, INIT_3A = 0, INIT_3B = 0, INIT_3C = 0, INIT_3D = 0, INIT_3E = 0, INIT_3F = 0
`define XILINX_INIT_36 \
    INIT_40 = 0, INIT_41 = 0, INIT_42 = 0, INIT_43 = 0, INIT_44 = 0, INIT_45 = 0, INIT_46 = 0, INIT_47 = 0, \
    INIT_48 = 0, INIT_49 = 0, INIT_4A = 0, INIT_4B = 0, INIT_4C = 0, INIT_4D = 0, INIT_4E = 0, INIT_4F = 0, \
    INIT_50 = 0, INIT_51 = 0, INIT_52 = 0, INIT_53 = 0, INIT_54 = 0, INIT_55 = 0, INIT_56 = 0, INIT_57 = 0, \
    INIT_58 = 0, INIT_59 = 0, INIT_5A = 0, INIT_5B = 0, INIT_5C = 0, INIT_5D = 0, INIT_5E = 0, INIT_5F = 0, \
    INIT_60 = 0, INIT_61 = 0, INIT_62 = 0, INIT_63 = 0, INIT_64 = 0, INIT_65 = 0, INIT_66 = 0, INIT_67 = 0, \
    INIT_68 = 0, INIT_69 = 0, INIT_6A = 0, INIT_6B = 0, INIT_6C = 0, INIT_6D = 0, INIT_6E = 0, INIT_6F = 0, \
    INIT_70 = 0, INIT_71 = 0, INIT_72 = 0, INIT_73 = 0, INIT_74 = 0, INIT_75 = 0, INIT_76 = 0, INIT_77 = 0, \
    INIT_78 = 0, INIT_79 = 0, INIT_7A = 0, INIT_7B = 0, INIT_7C = 0, INIT_7D = 0, INIT_7E = 0, INIT_7F = 0
`define XILINX_INITP_18 \
    INITP_00 = 0, INITP_01 = 0, INITP_02 = 0, INITP_03 = 0, INITP_04 = 0, INITP_05 = 0, INITP_06 = 0, INITP_07 = 0
`define XILINX_INITP_36 \
    INITP_08 = 0, INITP_09 = 0, INITP_0A = 0, INITP_0B = 0, INITP_0C = 0, INITP_0D = 0, INITP_0E = 0, INITP_0F = 0
`define XILINX_WORDS_18 \
    INIT_3F, INIT_3E, INIT_3D, INIT_3C, INIT_3B, INIT_3A, INIT_39, INIT_38, INIT_37, INIT_36, INIT_35, INIT_34, \
    INIT_33, INIT_32, INIT_31, INIT_30, INIT_2F, INIT_2E, INIT_2D, INIT_2C, INIT_2B, INIT_2A, INIT_29, INIT_28, \
    INIT_27, INIT_26, INIT_25, INIT_24, INIT_23, INIT_22, INIT_21, INIT_20, INIT_1F, INIT_1E, INIT_1D, INIT_1C, \
    INIT_1B, INIT_1A, INIT_19, INIT_18, INIT_17, INIT_16, INIT_15, INIT_14, INIT_13, INIT_12, INIT_11, INIT_10, \
    INIT_0F, INIT_0E, INIT_0D, INIT_0C, INIT_0B, INIT_0A, INIT_09, INIT_08, INIT_07, INIT_06, INIT_05, INIT_04, \
    INIT_03, INIT_02, INIT_01, INIT_00
`define XILINX_WORDS_36 \
    INIT_7F, INIT_7E, INIT_7D, INIT_7C, INIT_7B, INIT_7A, INIT_79, INIT_78, INIT_77, INIT_76, INIT_75, INIT_74, \
    INIT_73, INIT_72, INIT_71, INIT_70, INIT_6F, INIT_6E, INIT_6D, INIT_6C, INIT_6B, INIT_6A, INIT_69, INIT_68, \
    INIT_67, INIT_66, INIT_65, INIT_64, INIT_63, INIT_62, INIT_61, INIT_60, INIT_5F, INIT_5E, INIT_5D, INIT_5C, \
    INIT_5B, INIT_5A, INIT_59, INIT_58, INIT_57, INIT_56, INIT_55, INIT_54, INIT_53, INIT_52, INIT_51, INIT_50, \
    INIT_4F, INIT_4E, INIT_4D, INIT_4C, INIT_4B, INIT_4A, INIT_49, INIT_48, INIT_47, INIT_46, INIT_45, INIT_44, \
    INIT_43, INIT_42, INIT_41, INIT_40
`define XILINX_PARITY_18 \
    INITP_07, INITP_06, INITP_05, INITP_04, INITP_03, INITP_02, INITP_01, INITP_00
`define XILINX_PARITY_36 \
    INITP_0F, INITP_0E, INITP_0D, INITP_0C, INITP_0B, INITP_0A, INITP_09, INITP_08

module espalier_xilinx_port #(parameter WIDTH = 18, WRITE_WIDTH = 18, ADDRESS = 14, WRITE_MODE = "WRITE_FIRST") (
  input clock, on, reset, input [ADDRESS - 1:0] address, input [7:0] writes, input [71:0] data, stored, overwritten,
  output [ADDRESS - 4:0] first, write_first, output [7:0] enables, output [71:0] merged, output reg [71:0] out
);
  // Units of nine bits; words of less than that are parts of one, and leave its ninth bit alone.
  localparam UNITS = WIDTH < 18 ? 1 : WIDTH / 9;
  localparam WRITE_UNITS = WRITE_WIDTH < 18 ? 1 : WRITE_WIDTH / 9;
  localparam [71:0] MASK = ~(~72'd0 << WIDTH), WRITE_MASK = ~(~72'd0 << WRITE_WIDTH);
  wire [2:0] low = WIDTH < 9 ? address[2:0] & ~(WIDTH - 1) : 0;
  wire [2:0] write_low = WRITE_WIDTH < 9 ? address[2:0] & ~(WRITE_WIDTH - 1) : 0;
  assign first = address[ADDRESS - 1:3] & ~(UNITS - 1);
  assign write_first = address[ADDRESS - 1:3] & ~(WRITE_UNITS - 1);
  assign enables = on && WRITE_WIDTH ? writes & ~(8'hFF << WRITE_UNITS) : 0;
  assign merged = overwritten & ~(WRITE_MASK << write_low) | (data & WRITE_MASK) << write_low;
  initial out = 0;
  always @(posedge clock)
    if (on) begin
      if (reset) out <= 0;
      else if (!enables || WRITE_MODE == "READ_FIRST") out <= stored >> low & MASK;
      else if (WRITE_MODE == "WRITE_FIRST") out <= data & MASK;
    end
endmodule

module espalier_xilinx_memory #(
  parameter SIDE = 2, ADDRESS = 14, READ_A = 0, READ_B = 0, WRITE_A = 0, WRITE_B = 0,
  parameter MODE_A = "WRITE_FIRST", MODE_B = "WRITE_FIRST", RAM_MODE = "TDP", UNSUPPORTED = 0,
  parameter [8192 * SIDE - 1:0] WORDS = 0, parameter [1024 * SIDE - 1:0] PARITY = 0
) (
  input clock_a, clock_b, on_a, on_b, reset_a, reset_b, input [ADDRESS - 1:0] address_a, address_b,
  input [8 * SIDE - 1:0] data_a, data_b, input [SIDE - 1:0] parity_a, parity_b, writes_a,
  input [2 * SIDE - 1:0] writes_b,
  output [8 * SIDE - 1:0] out_a, out_b, output [SIDE - 1:0] out_parity_a, out_parity_b
);
  localparam SDP = RAM_MODE == "SDP";
  reg [8:0] memory [0:1024 * SIDE - 1];
  integer unit, place, spot;
  initial begin
    for (unit = 0; unit < 1024 * SIDE; unit = unit + 1) memory[unit] = {PARITY[unit], WORDS[8 * unit +: 8]};
    if (UNSUPPORTED) $fatal(1, "output registers, cascades, inverted pins and initial outputs are not modelled");
    if (SDP && (READ_B || WRITE_A)) $fatal(1, "in the mode SDP port A reads and port B writes");
  end

  wire [9 * SIDE - 1:0] word_a, word_b;
  wire [71:0] full_a, full_b, merged_a, merged_b;
  wire [71:0] stored_a, stored_b, overwritten_a, overwritten_b;
  wire [ADDRESS - 4:0] first_a, first_b, write_first_a, write_first_b;
  wire [7:0] enables_a, enables_b;
  genvar k;
  generate
    for (k = 0; k < SIDE; k = k + 1) begin
      assign word_a[9 * k +: 9] = {parity_a[k], data_a[8 * k +: 8]};
      assign word_b[9 * k +: 9] = {parity_b[k], data_b[8 * k +: 8]};
      assign {out_parity_a[k], out_a[8 * k +: 8]} = full_a[9 * k +: 9];
      assign {out_parity_b[k], out_b[8 * k +: 8]} = SDP ? full_a[9 * (SIDE + k) +: 9] : full_b[9 * k +: 9];
    end
    for (k = 0; k < 8; k = k + 1) begin
      assign stored_a[9 * k +: 9] = memory[first_a | k];
      assign stored_b[9 * k +: 9] = memory[first_b | k];
      assign overwritten_a[9 * k +: 9] = memory[write_first_a | k];
      assign overwritten_b[9 * k +: 9] = memory[write_first_b | k];
    end
  endgenerate
  wire [71:0] to_b = !SDP ? word_b : WRITE_B == 18 * SIDE ? {word_b, word_a} : word_b;
  espalier_xilinx_port #(READ_A, WRITE_A, ADDRESS, MODE_A) a (
    clock_a, on_a, reset_a, address_a, writes_a, word_a, stored_a, overwritten_a,
    first_a, write_first_a, enables_a, merged_a, full_a
  );
  espalier_xilinx_port #(READ_B, WRITE_B, ADDRESS, MODE_B) b (
    clock_b, on_b, reset_b, address_b, writes_b, to_b, stored_b, overwritten_b,
    first_b, write_first_b, enables_b, merged_b, full_b
  );
  always @(posedge clock_a)
    for (place = 0; place < 8; place = place + 1)
      if (enables_a[place]) memory[write_first_a | place] <= merged_a[9 * place +: 9];
  always @(posedge clock_b)
    for (spot = 0; spot < 8; spot = spot + 1)
      if (enables_b[spot]) memory[write_first_b | spot] <= merged_b[9 * spot +: 9];
endmodule

module RAMB18E1 #(
  parameter READ_WIDTH_A = 0, READ_WIDTH_B = 0, WRITE_WIDTH_A = 0, WRITE_WIDTH_B = 0, RAM_MODE = "TDP",
  parameter WRITE_MODE_A = "WRITE_FIRST", WRITE_MODE_B = "WRITE_FIRST",
  parameter DOA_REG = 0, DOB_REG = 0, INIT_A = 0, INIT_B = 0, SRVAL_A = 0, SRVAL_B = 0,
  parameter [0:0] IS_CLKARDCLK_INVERTED = 0, IS_CLKBWRCLK_INVERTED = 0, IS_ENARDEN_INVERTED = 0, IS_ENBWREN_INVERTED
    = 0, IS_RSTRAMARSTRAM_INVERTED = 0, IS_RSTRAMB_INVERTED = 0, IS_RSTREGARSTREG_INVERTED = 0,
    IS_RSTREGB_INVERTED = 0,
  parameter [255:0] `XILINX_INIT_18,
  parameter [255:0] `XILINX_INITP_18
) (
  input CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, REGCEAREGCE, REGCEB, RSTRAMARSTRAM, RSTRAMB, RSTREGARSTREG, RSTREGB,
  input [13:0] ADDRARDADDR, ADDRBWRADDR, input [15:0] DIADI, DIBDI, input [1:0] DIPADIP, DIPBDIP, WEA,
  input [3:0] WEBWE, output [15:0] DOADO, DOBDO, output [1:0] DOPADOP, DOPBDOP
);
  espalier_xilinx_memory #(
    .SIDE(2), .ADDRESS(14), .READ_A(READ_WIDTH_A), .READ_B(READ_WIDTH_B), .WRITE_A(WRITE_WIDTH_A),
    .WRITE_B(WRITE_WIDTH_B), .MODE_A(WRITE_MODE_A), .MODE_B(WRITE_MODE_B), .RAM_MODE(RAM_MODE),
    .WORDS({`XILINX_WORDS_18}), .PARITY({`XILINX_PARITY_18}),
    .UNSUPPORTED(DOA_REG || DOB_REG || INIT_A || INIT_B || SRVAL_A || SRVAL_B || |{
      IS_CLKARDCLK_INVERTED, IS_CLKBWRCLK_INVERTED, IS_ENARDEN_INVERTED, IS_ENBWREN_INVERTED,
      IS_RSTRAMARSTRAM_INVERTED, IS_RSTRAMB_INVERTED, IS_RSTREGARSTREG_INVERTED, IS_RSTREGB_INVERTED
    })
  ) memory (
    CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, RSTRAMARSTRAM, RSTRAMB, ADDRARDADDR[13:0], ADDRBWRADDR[13:0],
    DIADI, DIBDI, DIPADIP, DIPBDIP, WEA, WEBWE, DOADO, DOBDO, DOPADOP, DOPBDOP
  );
endmodule

module RAMB36E1 #(
  parameter READ_WIDTH_A = 0, READ_WIDTH_B = 0, WRITE_WIDTH_A = 0, WRITE_WIDTH_B = 0, RAM_MODE = "TDP",
  parameter WRITE_MODE_A = "WRITE_FIRST", WRITE_MODE_B = "WRITE_FIRST",
  parameter RAM_EXTENSION_A = "NONE", RAM_EXTENSION_B = "NONE",
  parameter DOA_REG = 0, DOB_REG = 0, INIT_A = 0, INIT_B = 0, SRVAL_A = 0, SRVAL_B = 0,
  parameter [0:0] IS_CLKARDCLK_INVERTED = 0, IS_CLKBWRCLK_INVERTED = 0, IS_ENARDEN_INVERTED = 0, IS_ENBWREN_INVERTED
    = 0, IS_RSTRAMARSTRAM_INVERTED = 0, IS_RSTRAMB_INVERTED = 0, IS_RSTREGARSTREG_INVERTED = 0,
    IS_RSTREGB_INVERTED = 0,
  parameter [255:0] `XILINX_INIT_18, `XILINX_INIT_36,
  parameter [255:0] `XILINX_INITP_18, `XILINX_INITP_36
) (
  input CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, REGCEAREGCE, REGCEB, RSTRAMARSTRAM, RSTRAMB, RSTREGARSTREG, RSTREGB,
  input [15:0] ADDRARDADDR, ADDRBWRADDR, input [31:0] DIADI, DIBDI, input [3:0] DIPADIP, DIPBDIP, WEA,
  input [7:0] WEBWE, output [31:0] DOADO, DOBDO, output [3:0] DOPADOP, DOPBDOP
);
  espalier_xilinx_memory #(
    .SIDE(4), .ADDRESS(15), .READ_A(READ_WIDTH_A), .READ_B(READ_WIDTH_B), .WRITE_A(WRITE_WIDTH_A),
    .WRITE_B(WRITE_WIDTH_B), .MODE_A(WRITE_MODE_A), .MODE_B(WRITE_MODE_B), .RAM_MODE(RAM_MODE),
    .WORDS({`XILINX_WORDS_36, `XILINX_WORDS_18}), .PARITY({`XILINX_PARITY_36, `XILINX_PARITY_18}),
    .UNSUPPORTED(DOA_REG || DOB_REG || INIT_A || INIT_B || SRVAL_A || SRVAL_B || |{
      IS_CLKARDCLK_INVERTED, IS_CLKBWRCLK_INVERTED, IS_ENARDEN_INVERTED, IS_ENBWREN_INVERTED,
      IS_RSTRAMARSTRAM_INVERTED, IS_RSTRAMB_INVERTED, IS_RSTREGARSTREG_INVERTED, IS_RSTREGB_INVERTED
    } ||
      RAM_EXTENSION_A != "NONE" || RAM_EXTENSION_B != "NONE")
  ) memory (
    CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, RSTRAMARSTRAM, RSTRAMB, ADDRARDADDR[14:0], ADDRBWRADDR[14:0],
    DIADI, DIBDI, DIPADIP, DIPBDIP, WEA, WEBWE, DOADO, DOBDO, DOPADOP, DOPBDOP
  );
endmodule
