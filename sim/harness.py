"""The Verilog test bench around a design: clock, sources, sinks, and a probe on every stream, so that Python sleeps."""

from collections.abc import Sequence

from .streams import Stream

PERIOD = 4096  # cycles after which stall patterns repeat; a power of two, so that the index needs no division
RESET_CYCLES = 16
TAIL_CYCLES = 32  # after the last beat the probes listen on: a design may not say too much either

HEADER = """\
// Test bench of module {top}, written by Espalier. Needs no change for other vectors: it reads, from the folder +run=,
// <port>.hex (the beats of all frames) and <port>.stalls (one bit a cycle, repeated: may the source or sink act?),
// and writes <stream>.bin: for every handshake the cycle and the payload, as little-endian 32-bit words.
// Cycle 0 is the first with rst low. +frames= is the number of frames, +limit= the last cycle to wait for.
`timescale 1ns/1ps
module tb;
  reg clk = 1'b0;
  always #5 clk = ~clk;

  // Negative during reset, so that its top bit is the reset.
  reg [31:0] cycle /*verilator public_flat_rd*/ = -32'd{reset};
  wire rst = cycle[31];
  wire [31:0] next = cycle + 32'd1;
  wire [{slot_high}:0] slot = next[{slot_high}:0];
  always @(posedge clk) cycle <= next;

  string run;
  integer frames, limit, state_file, fault_file;
  reg closing = 1'b0;
  reg timed_out /*verilator public_flat_rd*/ = 1'b0;
  reg done /*verilator public_flat_rd*/ = 1'b0;
  initial begin
    if (!$value$plusargs("run=%s", run)) run = ".";
    if (!$value$plusargs("frames=%d", frames)) frames = 1;
    if (!$value$plusargs("limit=%d", limit)) limit = 1000000;
    fault_file = $fopen({{run, "/faults.txt"}}, "w");
  end
"""

SOURCE = """
  // Source {port}: after a handshake in cycle h, valid may rise again in the first allowed cycle from h + 1 on.
  reg [{high}:0] {data} = 0, {port}__read;
  reg {valid} = 1'b0;
  wire {ready};
{last_wire}  reg {port}__allowed [0:{period_high}];
  integer {port}__file, {port}__left, {port}__got;
  initial begin
    #1;
    $readmemh({{run, "/{port}.stalls"}}, {port}__allowed);
    {port}__file = $fopen({{run, "/{port}.hex"}}, "r");
    {port}__left = frames * {beats};
  end
  always @(posedge clk)
    if (!next[31] && (!{valid} || {ready})) begin
      if ({port}__left != 0 && {port}__allowed[slot]) begin
        {port}__got = $fscanf({port}__file, "%h", {port}__read);
        if ({port}__got != 1) $fwrite(fault_file, "{port}.hex ends before +frames=%0d frames\\n", frames);
        {data} <= {port}__read;
        {valid} <= 1'b1;
        {port}__left <= {port}__left - 1;
      end else begin
        // Not the old beat: nobody may look at it.
        {data} <= ~{data};
        {valid} <= 1'b0;
      end
    end
"""

SOURCE_LAST = """\
  integer {port}__position = 0;
  wire {port}_tlast = {valid} && {port}__position == {beats} - 1;
  always @(posedge clk)
    if ({valid} && {ready}) {port}__position <= {port}__position == {beats} - 1 ? 0 : {port}__position + 1;
"""

SINK = """
  // Sink {port}: ready in allowed cycles. What waits for it may neither change nor go away.
  wire [{high}:0] {data};
  wire {valid};
{last_wire}  reg {ready} = 1'b0;
  reg {port}__allowed [0:{period_high}];
  reg {port}__waits = 1'b0;
  reg [{high}:0] {port}__held = 0;
  initial #1 $readmemh({{run, "/{port}.stalls"}}, {port}__allowed);
  always @(posedge clk) begin
    {ready} <= !next[31] && {port}__allowed[slot];
    {port}__waits <= !rst && {valid} && !{ready};
    {port}__held <= {data};
    if ({port}__waits && !closing && !({valid} && {data} == {port}__held))
      $fwrite(fault_file, "{port}: valid fell or the payload changed without a handshake, cycle %0d\\n", cycle);
{last_check}  end
"""

SINK_LAST = """\
    if (!rst && !closing && {valid} && {ready}) begin
      {port}__position <= {port}_tlast ? 0 : {port}__position + 1;
      if ({port}_tlast != ({port}__position == {beats} - 1))
        $fwrite(fault_file, "{port}: tlast is %0d in beat %0d of a frame of {beats}, cycle %0d\\n",
                {port}_tlast, {port}__position, cycle);
    end
"""

PROBE = """
  // {layer}: {lanes} lanes of {tensor}
  integer {name}__records, {name}__beats = 0, {name}__total;
  initial begin
    #1;
    {name}__records = $fopen({{run, "/{name}.bin"}}, "wb");
    {name}__total = frames * {beats};
  end
  always @(posedge clk)
    if (!rst && !closing && {valid} && {ready}) begin
      $fwrite({name}__records, "%u", {{{pad}{payload}, cycle}});
      {name}__beats <= {name}__beats + 1;
    end
"""

FOOTER = """
  // The end: every stream has all its beats and a little silence followed, or the cycle limit is reached.
  wire complete = {complete};
  integer silence = 0;
  always @(posedge clk) begin
    if (complete) silence <= silence + 1;
    if (!closing && !rst && (silence == {tail} || cycle >= limit)) begin
      closing <= 1'b1;
      timed_out <= !complete;
    end
    if (closing && !done) begin
      done <= 1'b1;
      state_file = $fopen({{run, "/state.txt"}}, "w");
{state}      $fclose(state_file);
      $fclose(fault_file);
{close}    end
  end

`ifdef WAVES
  integer waves_from, waves_to;
  initial begin
    if (!$value$plusargs("waves_from=%d", waves_from)) waves_from = 0;
    if (!$value$plusargs("waves_to=%d", waves_to)) waves_to = 2147483647;
  end
  always @(posedge clk) begin
    if (next == waves_from) begin
      $dumpfile({{run, "/waves.", `WAVES}});
      $dumpvars(0, tb);
    end
`ifdef VERILATOR
    // Here $dumpoff is ignored.
    if (!rst && cycle == waves_to) $c("vlSymsp->_traceDumpClose();");
`else
    if (!rst && cycle == waves_to) $dumpoff;
`endif
  end
`endif
endmodule
"""


def write_harness(top: str, streams: Sequence[Stream], others: Sequence[tuple[str, str]] = ()) -> str:
    """Verilog of the module ``tb`` around module ``top``; one text serves any frames, stalls and limits.

    others: ports that no stream has, with what is tied to them.
    """
    parts = [HEADER.format(top=top, reset=RESET_CYCLES, slot_high=PERIOD.bit_length() - 2)]
    parts += [source(stream) for stream in streams if stream.direction == "in"]
    parts += [sink(stream) for stream in streams if stream.direction == "out"]
    parts.append(instance(top, streams, others))
    parts += [probe(stream) for stream in streams]
    return "".join([*parts, footer(streams)])


def words_of(stream: Stream) -> dict[str, object]:
    data, valid, ready = stream.wires
    return {
        "port": stream.port, "data": data, "valid": valid, "ready": ready,
        "high": stream.bits - 1, "beats": stream.beats, "period_high": PERIOD - 1,
    }  # fmt: skip


def source(stream: Stream) -> str:
    words = words_of(stream)
    return SOURCE.format(**words, last_wire=SOURCE_LAST.format(**words) if stream.axi else "")


def sink(stream: Stream) -> str:
    words = words_of(stream)
    last_wire = "  wire {port}_tlast;\n  integer {port}__position = 0;\n".format(**words) if stream.axi else ""
    return SINK.format(**words, last_wire=last_wire, last_check=SINK_LAST.format(**words) if stream.axi else "")


def instance(top: str, streams: Sequence[Stream], others: Sequence[tuple[str, str]]) -> str:
    wires = ["clk", "rst"]
    for stream in streams:
        if stream.port:
            wires += [*stream.wires, *([f"{stream.port}_tlast"] if stream.axi else [])]
    ports = [f".{wire}({wire})" for wire in wires] + [f".{port}({tied})" for port, tied in others]
    return f"\n  \\{top} dut ({', '.join(ports)});\n"


def probe(stream: Stream) -> str:
    payload, valid, ready = stream.wires
    missing = 32 * stream.words - stream.bits
    return PROBE.format(
        layer=stream.layer, lanes=stream.lanes, tensor=stream.tensor, name=stream.name, beats=stream.beats,
        payload=payload, valid=valid, ready=ready, pad=f"{missing}'d0, " if missing else "",
    )  # fmt: skip


def footer(streams: Sequence[Stream]) -> str:
    state = ""
    for stream in streams:
        _, valid, ready = stream.wires
        line = f'"{stream.name} %0d %0d %0d\\n", {valid}, {ready}, {stream.name}__beats'
        state += f"      $fwrite(state_file, {line});\n"
    return FOOTER.format(
        complete=" && ".join(f"{stream.name}__beats >= {stream.name}__total" for stream in streams),
        tail=TAIL_CYCLES,
        state=state,
        close="".join(f"      $fclose({stream.name}__records);\n" for stream in streams),
    )
