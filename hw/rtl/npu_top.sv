// A small processor for cascades: a mover, an array, a row of vector lanes and a scan unit around one buffer, each with a program of its own.
//
// Function    four programs run side by side and wait for each other by counts of what is done: loads, drains, firings of the array, of
//             the vector lanes and of the scan unit (`npu_mover`, `npu_engine`). Programs and microprograms are written through the host
//             port before run goes high; space 1: mover, 2: array, 3: vector, 4: scan, 5 to 7: microprograms of array, vector and scan, a
//             step as two words, the low one first; 8: the buffer.
//             The outer memory is behind the request and response port.
// Latency     an instruction's first cycle is the one after the cycle in which the last count that it waits for is reached.
// Throughput  a word and a point of each engine a cycle. Every lane has ports of its own into the buffer.
// Overflow    counts wrap at 2^CW; programs are shorter than that.
`default_nettype none

module npu_top #(
    parameter  int W       = 8,    // bits of a word
    parameter  int AW      = 8,    // bits of an address of the outer memory
    parameter  int BW      = 3,    // bits of an address of the buffer
    parameter  int CW      = 8,    // bits of a count
    parameter  int ROWS    = 1,    // of the array
    parameter  int COLUMNS = 2,
    parameter  int LANES   = 1,    // of the vector unit
    parameter  int SCANS   = 1,    // lanes of the scan unit
    parameter  int LOOPS   = 2,    // of a nest of an engine
    parameter  int NEST    = 2,    // loops of a tile that is moved
    parameter  int FLIGHT  = 4,    // loads without an answer
    parameter  int STEPS   = 2,    // of microprograms, of each engine
    parameter  int ENTRIES = 2,    // instructions of each program
    localparam int EW      = $clog2(ENTRIES + 1)
) (
    input  logic            clk_i,
    input  logic            rst_i,
    input  logic            host_valid_i,
    input  logic [3:0]      host_space_i,
    input  logic [31:0]     host_address_i,
    input  logic [31:0]     host_word_i,
    input  logic            run_i,
    input  logic [4*EW-1:0] count_i,             // instructions: of mover, array, vector, scan
    output logic            request_valid_o,
    output logic            request_write_o,
    output logic [AW-1:0]   request_address_o,
    output logic [W-1:0]    request_word_o,
    input  logic            response_valid_i,
    input  logic [W-1:0]    response_word_i,
    output logic [3:0]      taken_o,             // an instruction of mover, array, vector, scan is taken: its first cycle is the next
    output logic [4:0]      done_o,              // the last cycle of a load, a drain, a firing of array, of vector, of scan
    output logic            busy_o
);
  localparam int COUNTS = 5, UNITS = 3, ARRAY = ROWS * COLUMNS, ALL = ARRAY + LANES + SCANS;
  localparam int MOVER = COUNTS + 3 + 3 * NEST, ENGINE = COUNTS + 9 + 5 * LOOPS, SW = $clog2(STEPS), MW = $clog2(MOVER * ENTRIES);

  logic [COUNTS*CW-1:0] done, done_q;
  logic [UNITS:0] valid, taken, busy;
  logic [MOVER*32-1:0] mover_instruction;
  logic [3*ALL*BW-1:0] address;
  logic [3*ALL*W-1:0] word;
  logic [ALL*BW-1:0] chosen_address;
  logic [ALL*W-1:0] chosen_word;
  logic [ALL-1:0] write_valid;
  logic [ALL*W-1:0] write_word;
  logic [BW-1:0] drain_address, load_address;
  logic load_valid;
  logic [W-1:0] load_word;
  logic [W-1:0] buffer_q[2**BW];
  logic unused;

  assign unused  = ^host_address_i;
  assign taken_o = taken;
  assign busy_o  = (|valid) || (|busy);

  // what is done, as of the end of this cycle
  genvar at;
  generate
    for (at = 0; at < COUNTS; at++) begin : g_done
      assign done[at*CW+:CW] = done_q[at*CW+:CW] + CW'(done_o[at]);
    end
  endgenerate
  always_ff @(posedge clk_i) begin
    if (rst_i) done_q <= '0;
    else done_q <= done;
  end

  npu_program #(.FIELDS(MOVER), .ENTRIES(ENTRIES)) u_mover_program (
      .clk_i, .rst_i,
      .write_valid_i(host_valid_i && host_space_i == 4'd1), .write_address_i(host_address_i[MW-1:0]), .write_word_i(host_word_i),
      .count_i(count_i[0+:EW]), .taken_i(taken[0]), .valid_o(valid[0]), .instruction_o(mover_instruction)
  );
  npu_mover #(.W(W), .AW(AW), .BW(BW), .CW(CW), .LOOPS(NEST), .FLIGHT(FLIGHT)) u_mover (
      .clk_i, .rst_i,
      .valid_i(run_i && valid[0]), .instruction_i(mover_instruction), .done_i(done), .taken_o(taken[0]), .busy_o(busy[0]),
      .request_valid_o, .request_write_o, .request_address_o, .request_word_o, .response_valid_i, .response_word_i,
      .read_address_o(drain_address), .read_word_i(buffer_q[drain_address]),
      .write_valid_o(load_valid), .write_address_o(load_address), .write_word_o(load_word), .loaded_o(done_o[0]), .drained_o(done_o[1])
  );

  // array, vector lanes and scan unit, lane after lane
  generate
    for (at = 0; at < UNITS; at++) begin : g_unit
      localparam int OWN = at == 0 ? ARRAY : at == 1 ? LANES : SCANS, FROM = at == 0 ? 0 : at == 1 ? ARRAY : ARRAY + LANES;
      localparam int PW = $clog2((ENGINE + 4 * OWN) * ENTRIES);
      logic [(ENGINE+4*OWN)*32-1:0] instruction;
      logic [SW-1:0] step;
      logic [31:0] low_q[STEPS];
      logic [26:0] high_q[STEPS];

      always_ff @(posedge clk_i) begin
        if (host_valid_i && host_space_i == 4'(5 + at)) begin
          if (host_address_i[0]) high_q[host_address_i[SW:1]] <= host_word_i[26:0];
          else low_q[host_address_i[SW:1]] <= host_word_i;
        end
      end
      npu_program #(.FIELDS(ENGINE + 4 * OWN), .ENTRIES(ENTRIES)) u_program (
          .clk_i, .rst_i,
          .write_valid_i(host_valid_i && host_space_i == 4'(2 + at)), .write_address_i(host_address_i[PW-1:0]), .write_word_i(host_word_i),
          .count_i(count_i[(1+at)*EW+:EW]), .taken_i(taken[1+at]), .valid_o(valid[1+at]), .instruction_o(instruction)
      );
      npu_engine #(.W(W), .BW(BW), .CW(CW), .LANES(OWN), .LOOPS(LOOPS), .STEPS(STEPS), .KIND(at == 2 ? 1 : 0)) u_engine (
          .clk_i, .rst_i,
          .valid_i(run_i && valid[1+at]), .instruction_i(instruction), .done_i(done), .taken_o(taken[1+at]), .busy_o(busy[1+at]),
          .step_o(step), .step_i({high_q[step], low_q[step]}),
          .address_o(address[3*FROM*BW+:3*OWN*BW]), .word_i(word[3*FROM*W+:3*OWN*W]),
          .chosen_address_o(chosen_address[FROM*BW+:OWN*BW]), .chosen_word_i(chosen_word[FROM*W+:OWN*W]),
          .write_valid_o(write_valid[FROM+:OWN]), .write_word_o(write_word[FROM*W+:OWN*W]), .finished_o(done_o[2+at])
      );
    end
  endgenerate

  // the buffer: a port for every operand and result of every lane, and two for the mover
  generate
    for (at = 0; at < 3 * ALL; at++) begin : g_read
      assign word[at*W+:W] = buffer_q[address[at*BW+:BW]];
    end
    for (at = 0; at < ALL; at++) begin : g_choose
      assign chosen_word[at*W+:W] = buffer_q[chosen_address[at*BW+:BW]];
    end
  endgenerate
  always_ff @(posedge clk_i) begin
    if (host_valid_i && host_space_i == 4'd8) buffer_q[host_address_i[BW-1:0]] <= host_word_i[W-1:0];
    if (load_valid) buffer_q[load_address] <= load_word;
    for (int lane = 0; lane < ALL; lane++) begin
      if (write_valid[lane]) buffer_q[address[(3*lane+2)*BW+:BW]] <= write_word[lane*W+:W];
    end
  end
endmodule

`default_nettype wire
