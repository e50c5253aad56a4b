// A small processor for cascades: a mover, an array and a row of vector lanes around one buffer, each with a program of its own.
//
// Function    three programs run side by side and wait for each other by counts of what is done: loads, drains, firings of the array, firings
//             of the vector lanes (`npu_mover`, `npu_engine`). Programs and microprograms are written through the host port before run goes
//             high; space 1: mover, 2: array, 3: vector, 4 and 5: microprograms of array and vector, a step as two words, the low one first;
//             6: the buffer.
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
    input  logic [2:0]      host_space_i,
    input  logic [31:0]     host_address_i,
    input  logic [31:0]     host_word_i,
    input  logic            run_i,
    input  logic [3*EW-1:0] count_i,             // instructions: of mover, array, vector
    output logic            request_valid_o,
    output logic            request_write_o,
    output logic [AW-1:0]   request_address_o,
    output logic [W-1:0]    request_word_o,
    input  logic            response_valid_i,
    input  logic [W-1:0]    response_word_i,
    output logic [2:0]      taken_o,             // an instruction of mover, array, vector is taken: its first cycle is the next
    output logic [3:0]      done_o,              // the last cycle of a load, a drain, a firing of array, of vector
    output logic            busy_o
);
  localparam int MOVER = 7 + 3 * NEST, ENGINE = 13 + 5 * LOOPS, SW = $clog2(STEPS), ARRAY = ROWS * COLUMNS;
  localparam int MW = $clog2(MOVER * ENTRIES), PW = $clog2((ENGINE + 4 * ARRAY) * ENTRIES), VW = $clog2((ENGINE + 4 * LANES) * ENTRIES), ALL = ARRAY + LANES;

  logic [4*CW-1:0] done, done_q;
  logic [2:0] valid, taken, busy;
  logic [MOVER*32-1:0] mover_instruction;
  logic [(ENGINE+4*ARRAY)*32-1:0] array_instruction;
  logic [(ENGINE+4*LANES)*32-1:0] vector_instruction;
  logic [SW-1:0] array_step, vector_step;
  logic [3*ALL*BW-1:0] address;
  logic [3*ALL*W-1:0] word;
  logic [ALL*BW-1:0] chosen_address;
  logic [ALL*W-1:0] chosen_word;
  logic [ALL-1:0] write_valid;
  logic [ALL*W-1:0] write_word;
  logic [BW-1:0] drain_address, load_address;
  logic load_valid;
  logic [W-1:0] load_word;
  logic [31:0] array_low_q[STEPS], vector_low_q[STEPS];
  logic [26:0] array_high_q[STEPS], vector_high_q[STEPS];
  logic [W-1:0] buffer_q[2**BW];
  logic unused;

  assign unused  = ^host_address_i[31:SW+1];
  assign taken_o = taken;
  assign busy_o  = (|valid) || (|busy);

  // what is done, as of the end of this cycle
  genvar at;
  generate
    for (at = 0; at < 4; at++) begin : g_done
      assign done[at*CW+:CW] = done_q[at*CW+:CW] + CW'(done_o[at]);
    end
  endgenerate
  always_ff @(posedge clk_i) begin
    if (rst_i) done_q <= '0;
    else done_q <= done;
  end

  npu_program #(.FIELDS(MOVER), .ENTRIES(ENTRIES)) u_mover_program (
      .clk_i, .rst_i,
      .write_valid_i(host_valid_i && host_space_i == 3'd1), .write_address_i(host_address_i[MW-1:0]), .write_word_i(host_word_i),
      .count_i(count_i[0+:EW]), .taken_i(taken[0]), .valid_o(valid[0]), .instruction_o(mover_instruction)
  );
  npu_program #(.FIELDS(ENGINE + 4 * ARRAY), .ENTRIES(ENTRIES)) u_array_program (
      .clk_i, .rst_i,
      .write_valid_i(host_valid_i && host_space_i == 3'd2), .write_address_i(host_address_i[PW-1:0]), .write_word_i(host_word_i),
      .count_i(count_i[EW+:EW]), .taken_i(taken[1]), .valid_o(valid[1]), .instruction_o(array_instruction)
  );
  npu_program #(.FIELDS(ENGINE + 4 * LANES), .ENTRIES(ENTRIES)) u_vector_program (
      .clk_i, .rst_i,
      .write_valid_i(host_valid_i && host_space_i == 3'd3), .write_address_i(host_address_i[VW-1:0]), .write_word_i(host_word_i),
      .count_i(count_i[2*EW+:EW]), .taken_i(taken[2]), .valid_o(valid[2]), .instruction_o(vector_instruction)
  );

  always_ff @(posedge clk_i) begin
    if (host_valid_i && host_space_i == 3'd4) begin
      if (host_address_i[0]) array_high_q[host_address_i[SW:1]] <= host_word_i[26:0];
      else array_low_q[host_address_i[SW:1]] <= host_word_i;
    end
    if (host_valid_i && host_space_i == 3'd5) begin
      if (host_address_i[0]) vector_high_q[host_address_i[SW:1]] <= host_word_i[26:0];
      else vector_low_q[host_address_i[SW:1]] <= host_word_i;
    end
  end

  npu_mover #(.W(W), .AW(AW), .BW(BW), .CW(CW), .LOOPS(NEST), .FLIGHT(FLIGHT)) u_mover (
      .clk_i, .rst_i,
      .valid_i(run_i && valid[0]), .instruction_i(mover_instruction), .done_i(done), .taken_o(taken[0]), .busy_o(busy[0]),
      .request_valid_o, .request_write_o, .request_address_o, .request_word_o, .response_valid_i, .response_word_i,
      .read_address_o(drain_address), .read_word_i(buffer_q[drain_address]),
      .write_valid_o(load_valid), .write_address_o(load_address), .write_word_o(load_word), .loaded_o(done_o[0]), .drained_o(done_o[1])
  );
  npu_engine #(.W(W), .BW(BW), .CW(CW), .LANES(ARRAY), .LOOPS(LOOPS), .STEPS(STEPS)) u_array (
      .clk_i, .rst_i,
      .valid_i(run_i && valid[1]), .instruction_i(array_instruction), .done_i(done), .taken_o(taken[1]), .busy_o(busy[1]),
      .step_o(array_step), .step_i({array_high_q[array_step], array_low_q[array_step]}),
      .address_o(address[0+:3*ARRAY*BW]), .word_i(word[0+:3*ARRAY*W]),
      .chosen_address_o(chosen_address[0+:ARRAY*BW]), .chosen_word_i(chosen_word[0+:ARRAY*W]),
      .write_valid_o(write_valid[0+:ARRAY]), .write_word_o(write_word[0+:ARRAY*W]), .finished_o(done_o[2])
  );
  npu_engine #(.W(W), .BW(BW), .CW(CW), .LANES(LANES), .LOOPS(LOOPS), .STEPS(STEPS)) u_vector (
      .clk_i, .rst_i,
      .valid_i(run_i && valid[2]), .instruction_i(vector_instruction), .done_i(done), .taken_o(taken[2]), .busy_o(busy[2]),
      .step_o(vector_step), .step_i({vector_high_q[vector_step], vector_low_q[vector_step]}),
      .address_o(address[3*ARRAY*BW+:3*LANES*BW]), .word_i(word[3*ARRAY*W+:3*LANES*W]),
      .chosen_address_o(chosen_address[ARRAY*BW+:LANES*BW]), .chosen_word_i(chosen_word[ARRAY*W+:LANES*W]),
      .write_valid_o(write_valid[ARRAY+:LANES]), .write_word_o(write_word[ARRAY*W+:LANES*W]), .finished_o(done_o[3])
  );

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
    if (host_valid_i && host_space_i == 3'd6) buffer_q[host_address_i[BW-1:0]] <= host_word_i[W-1:0];
    if (load_valid) buffer_q[load_address] <= load_word;
    for (int lane = 0; lane < ALL; lane++) begin
      if (write_valid[lane]) buffer_q[address[(3*lane+2)*BW+:BW]] <= write_word[lane*W+:W];
    end
  end
endmodule

`default_nettype wire
