// A serial flash as far as our gateware uses it: asleep until command AB, then read command 03 in SPI mode 0. What it
// holds is in the file +flash=, a byte in hexadecimal on each line.
module espalier_flash #(parameter SIZE = 1) (input cs_n, input clk, input copi, output cipo);
  reg [7:0] memory [0:SIZE-1];
  string file;
  initial if ($value$plusargs("flash=%s", file)) $readmemh(file, memory);

  reg is_awake = 1'b0, is_reading = 1'b0, data = 1'b1;
  reg [31:0] word = 0;
  integer bits = 0;
  always @(posedge clk or posedge cs_n)
    if (cs_n) begin
      if (bits == 8 && word[7:0] == 8'hAB) is_awake <= 1'b1;
      bits <= 0;
    end else begin
      word <= {word[30:0], copi};
      bits <= bits + 1;
    end

  // The answer changes with the falling edge behind the address.
  reg [23:0] address = 0;
  always @(negedge clk)
    if (bits == 32) begin
      is_reading <= is_awake && word[31:24] == 8'h03;
      address <= word[23:0];
      data <= memory[word[23:0]][7];
    end else if (bits > 32) begin
      data <= memory[address][7 - (bits & 7)];
      if ((bits & 7) == 7) address <= address + 1;
    end
  assign cipo = cs_n || !is_reading || data;
endmodule
