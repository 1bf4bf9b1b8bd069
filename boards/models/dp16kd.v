// Behaviour of ECP5's block RAM, for simulating netlists: yosys and nextpnr know only its ports. After TN1264, Lattice's
// guide to its memories; addresses, byte enables and INITVAL are as yosys' mapping (lattice/brams_map_16kd.v) gives them:
// two sides that read and write, or, with a width of 36, writes on side A and reads on side B. REGMODE puts a register
// behind a side. A word that is read while the other side writes it reads as before, though the device leaves that open.
// WRITETHROUGH is not modelled.
module DP16KD #(
  parameter DATA_WIDTH_A = 18, parameter DATA_WIDTH_B = 18,
  parameter REGMODE_A = "NOREG", parameter REGMODE_B = "NOREG",
  parameter WRITEMODE_A = "NORMAL", parameter WRITEMODE_B = "NORMAL",
  parameter RESETMODE = "SYNC", parameter ASYNC_RESET_RELEASE = "SYNC",
  parameter CSDECODE_A = "0b000", parameter CSDECODE_B = "0b000",
  parameter CLKAMUX = "CLKA", parameter CLKBMUX = "CLKB", parameter GSR = "ENABLED",
  parameter [319:0]
    INITVAL_00 = 0, INITVAL_01 = 0, INITVAL_02 = 0, INITVAL_03 = 0, INITVAL_04 = 0, INITVAL_05 = 0, INITVAL_06 = 0,
    INITVAL_07 = 0, INITVAL_08 = 0, INITVAL_09 = 0, INITVAL_0A = 0, INITVAL_0B = 0, INITVAL_0C = 0, INITVAL_0D = 0,
    INITVAL_0E = 0, INITVAL_0F = 0, INITVAL_10 = 0, INITVAL_11 = 0, INITVAL_12 = 0, INITVAL_13 = 0, INITVAL_14 = 0,
    INITVAL_15 = 0, INITVAL_16 = 0, INITVAL_17 = 0, INITVAL_18 = 0, INITVAL_19 = 0, INITVAL_1A = 0, INITVAL_1B = 0,
    INITVAL_1C = 0, INITVAL_1D = 0, INITVAL_1E = 0, INITVAL_1F = 0, INITVAL_20 = 0, INITVAL_21 = 0, INITVAL_22 = 0,
    INITVAL_23 = 0, INITVAL_24 = 0, INITVAL_25 = 0, INITVAL_26 = 0, INITVAL_27 = 0, INITVAL_28 = 0, INITVAL_29 = 0,
    INITVAL_2A = 0, INITVAL_2B = 0, INITVAL_2C = 0, INITVAL_2D = 0, INITVAL_2E = 0, INITVAL_2F = 0, INITVAL_30 = 0,
    INITVAL_31 = 0, INITVAL_32 = 0, INITVAL_33 = 0, INITVAL_34 = 0, INITVAL_35 = 0, INITVAL_36 = 0, INITVAL_37 = 0,
    INITVAL_38 = 0, INITVAL_39 = 0, INITVAL_3A = 0, INITVAL_3B = 0, INITVAL_3C = 0, INITVAL_3D = 0, INITVAL_3E = 0,
    INITVAL_3F = 0
) (
  input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2,
  DIA1, DIA0, ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0, CEA, OCEA,
  CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
  output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2,
  DOA1, DOA0,
  input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2,
  DIB1, DIB0, ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0, CEB, OCEB,
  CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
  output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2,
  DOB1, DOB0
);
  wire [17:0] data_a = {
    DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1,
    DIA0
  };
  wire [17:0] data_b = {
    DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1,
    DIB0
  };
  wire [13:0] address_a = {
    ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0
  };
  wire [13:0] address_b = {
    ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0
  };
  wire clock_a = CLKAMUX == "INV" ? ~CLKA : CLKA;
  wire clock_b = CLKBMUX == "INV" ? ~CLKB : CLKB;
  wire on_a = CEA & ~(CSA0 | CSA1 | CSA2);
  wire on_b = CEB & ~(CSB0 | CSB1 | CSB2);
  reg [35:0] latch_a = 0, latch_b = 0, register_a = 0, register_b = 0;

  // Units of nine bits; narrow words leave the ninth bit alone. INITVAL words hold sixteen words of 18 bits, 20 apart.
  reg [8:0] memory [0:2047];
  wire [20479:0] initial_words = {
    INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38, INITVAL_37,
    INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30, INITVAL_2F, INITVAL_2E,
    INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28, INITVAL_27, INITVAL_26, INITVAL_25,
    INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20, INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C,
    INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18, INITVAL_17, INITVAL_16, INITVAL_15, INITVAL_14, INITVAL_13,
    INITVAL_12, INITVAL_11, INITVAL_10, INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A,
    INITVAL_09, INITVAL_08, INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01,
    INITVAL_00
  };
  integer unit;
  initial for (unit = 0; unit < 2048; unit = unit + 1)
    memory[unit] = initial_words[(unit >> 1) * 20 + (unit & 1) * 9 +: 9];

  function [35:0] read(input integer width, input [13:0] address);
    case (width)
      36: read = {memory[{address[13:5], 2'd3}], memory[{address[13:5], 2'd2}],
                  memory[{address[13:5], 2'd1}], memory[{address[13:5], 2'd0}]};
      18: read = {18'd0, memory[{address[13:4], 1'b1}], memory[{address[13:4], 1'b0}]};
      9: read = {27'd0, memory[address[13:3]]};
      4: read = {32'd0, memory[address[13:3]][{1'b0, address[2], 2'b00} +: 4]};
      2: read = {34'd0, memory[address[13:3]][{1'b0, address[2:1], 1'b0} +: 2]};
      default: read = {35'd0, memory[address[13:3]][{1'b0, address[2:0]}]};
    endcase
  endfunction

  task write(input integer width, input [13:0] address, input [35:0] data);
    case (width)
      36: begin
        if (address[0]) memory[{address[13:5], 2'd0}] <= data[8:0];
        if (address[1]) memory[{address[13:5], 2'd1}] <= data[17:9];
        if (address[2]) memory[{address[13:5], 2'd2}] <= data[26:18];
        if (address[3]) memory[{address[13:5], 2'd3}] <= data[35:27];
      end
      18: begin
        if (address[0]) memory[{address[13:4], 1'b0}] <= data[8:0];
        if (address[1]) memory[{address[13:4], 1'b1}] <= data[17:9];
      end
      9: memory[address[13:3]] <= data[8:0];
      4: memory[address[13:3]][{1'b0, address[2], 2'b00} +: 4] <= data[3:0];
      2: memory[address[13:3]][{1'b0, address[2:1], 1'b0} +: 2] <= data[1:0];
      default: memory[address[13:3]][{1'b0, address[2:0]}] <= data[0];
    endcase
  endtask

  initial if (WRITEMODE_A == "WRITETHROUGH" || WRITEMODE_B == "WRITETHROUGH") $fatal(1, "WRITETHROUGH is not modelled");

  always @(posedge clock_a) begin
    if (OCEA) register_a <= latch_a;
    if (on_a) begin
      if (!WEA || WRITEMODE_A == "READBEFOREWRITE") latch_a <= read(DATA_WIDTH_A, address_a);
      if (WEA) write(DATA_WIDTH_A, address_a, {data_b, data_a});
    end
    if (RSTA) begin latch_a <= 0; register_a <= 0; end
  end

  always @(posedge clock_b) begin
    if (OCEB) register_b <= latch_b;
    if (on_b) begin
      if (!WEB || WRITEMODE_B == "READBEFOREWRITE") latch_b <= read(DATA_WIDTH_B, address_b);
      if (WEB) write(DATA_WIDTH_B, address_b, {18'd0, data_b});
    end
    if (RSTB) begin latch_b <= 0; register_b <= 0; end
  end

  wire wide = DATA_WIDTH_B == 36;
  wire [17:0] low = REGMODE_A == "OUTREG" ? register_b[17:0] : latch_b[17:0];
  wire [17:0] high = REGMODE_B == "OUTREG" ? register_b[35:18] : latch_b[35:18];
  wire [17:0] side_a = REGMODE_A == "OUTREG" ? register_a[17:0] : latch_a[17:0];
  wire [17:0] side_b = REGMODE_B == "OUTREG" ? register_b[17:0] : latch_b[17:0];
  assign {
    DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1,
    DOA0
  } = wide ? low : side_a;
  assign {
    DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1,
    DOB0
  } = wide ? high : side_b;
endmodule
