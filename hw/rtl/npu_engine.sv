// An array of lanes that work in step, as a program says.
//
// Function    instructions are carried out in their order. One waits until `done` of the top has reached the counts that it names, then goes
//             through a loop nest. At each point every lane in use (a bit of `lanes` for each, row by row) runs the steps of a microprogram on
//             up to three operands from the buffer and writes its last value to the buffer. An address is that of the nest plus an offset of
//             the lane's own. `first` of `npu_lane` is high where all loops that `reduces` names are in their first trip and the instruction
//             begins the sums.
//             The word b may choose the word c: so many words further on for each that it counts.
//             KIND 1 has lanes of `npu_scan` in place of `npu_lane`; constants of its steps are shifts.
//             Fields, 32 bits each: 5 counts waited for; flags (0: begins sums, 1: counts as done when it is through, 8 and up: loops
//             that reduce); first step, steps; lanes; how far on in c the word b counts; bases of a, b, c and the result; for each lane its
//             four offsets; LOOPS trips, innermost first; strides of each loop, of all loops for a, then b, c and the result.
//             A step: 32 bits of constant, 4 each of op, x, z, 2 of to, 1 of folds (see `npu_lane`), 8 of the cycles it takes, less one,
//             4 of w.
// Latency     the first step is taken in the cycle after the one in which the last count is reached; finished_o is high in the last cycle
//             of an instruction: its results are there in the next.
// Throughput  a point in as many cycles as its steps take, also from instruction to instruction.
// Overflow    addresses wrap. There are 32 lanes at most.
`default_nettype none

module npu_engine #(
    parameter  int W       = 8,   // bits of a word
    parameter  int BW      = 8,   // bits of an address of the buffer
    parameter  int CW      = 8,   // bits of a count
    parameter  int LANES   = 2,
    parameter  int LOOPS   = 3,
    parameter  int STEPS   = 8,   // of all microprograms, a power of two
    parameter  int KIND    = 0,   // 0: lanes that compute, 1: lanes that scan
    localparam int COUNTS  = 5,
    localparam int SW      = $clog2(STEPS),
    localparam int FIELDS  = COUNTS + 9 + 4 * LANES + 5 * LOOPS
) (
    input  logic                  clk_i,
    input  logic                  rst_i,
    input  logic                  valid_i,
    input  logic [FIELDS*32-1:0]  instruction_i,
    input  logic [COUNTS*CW-1:0]  done_i,
    output logic                  taken_o,
    output logic                  busy_o,
    output logic [SW-1:0]         step_o,
    input  logic [58:0]           step_i,
    output logic [3*LANES*BW-1:0] address_o,   // of a, b and the result, lane by lane
    input  logic [3*LANES*W-1:0]  word_i,
    output logic [LANES*BW-1:0]   chosen_address_o,  // of c
    input  logic [LANES*W-1:0]    chosen_word_i,
    output logic [LANES-1:0]      write_valid_o,
    output logic [LANES*W-1:0]    write_word_o,
    output logic                  finished_o
);
  localparam int FLAGS = COUNTS, FIRST_STEP = COUNTS + 1, STEP_COUNT = COUNTS + 2, IN_USE = COUNTS + 3, APART = COUNTS + 4;
  localparam int BASES = COUNTS + 5, OFFSETS = COUNTS + 9, TRIPS = OFFSETS + 4 * LANES, STRIDES = TRIPS + LOOPS;

  logic [COUNTS-1:0] reached;
  logic [3:0] stream_ready, stream_valid, stream_last;
  logic unused_streams, unused_step, able, begins_q, counts_q, step_ends, point_ends, first;
  logic [LOOPS*CW-1:0] trips;
  logic [LOOPS-1:0] reduces_q, in_first;
  logic [SW-1:0] first_step_q, final_step_q, step_q;
  logic [7:0] held_q;
  logic [LANES-1:0] in_use_q;
  logic [4*BW-1:0] from;
  logic [BW-1:0] apart_q;
  logic [4*LANES*BW-1:0] offsets_q;

  genvar at, loop, lane;
  generate
    for (at = 0; at < COUNTS; at++) begin : g_wait
      assign reached[at] = done_i[at*CW+:CW] >= instruction_i[at*32+:CW];
    end
    for (at = 0; at < LOOPS; at++) begin : g_trips
      assign trips[at*CW+:CW] = instruction_i[(TRIPS+at)*32+:CW];
    end
    for (at = 0; at < 4; at++) begin : g_stream
      logic [LOOPS*BW-1:0] strides;
      logic [LOOPS-1:0] first_trips;
      logic [2*LOOPS:0] unused;

      for (loop = 0; loop < LOOPS; loop++) begin : g_stride
        assign strides[loop*BW+:BW] = instruction_i[(STRIDES+at*LOOPS+loop)*32+:BW];
      end
      address_generator #(.LOOPS(LOOPS), .AW(BW), .TW(CW)) u_addresses (
          .clk_i, .rst_i,
          .start_valid_i(able), .start_ready_o(stream_ready[at]),
          .base_i(instruction_i[(BASES+at)*32+:BW]), .trips_i(trips), .strides_i(strides),
          .valid_o(stream_valid[at]), .ready_i(point_ends), .address_o(from[at*BW+:BW]),
          .first_o(unused[0]), .last_o(stream_last[at]), .begins_o(unused[1+:LOOPS]), .ends_o(unused[1+LOOPS+:LOOPS]),
          .first_trips_o(first_trips)
      );
      if (at == 0) begin : g_first
        assign in_first = first_trips;
      end else begin : g_same
        logic unused_first;
        assign unused_first = ^first_trips;
      end
    end
  endgenerate

  assign unused_streams = ^{stream_ready[3:1], stream_valid[3:1], stream_last[3:1]};  // all are in step
  assign unused_step    = ^step_i;  // of narrow words, the constant is cut

  assign able       = valid_i && (&reached);
  assign taken_o    = able && stream_ready[0];
  assign busy_o     = stream_valid[0];
  assign step_o     = step_q;
  assign step_ends  = busy_o && held_q == step_i[54:47];
  assign point_ends = step_ends && step_q == final_step_q;
  assign finished_o = point_ends && stream_last[0] && counts_q;
  assign first      = begins_q && (&(in_first | ~reduces_q));

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      begins_q         <= 1'b0;
      counts_q         <= 1'b0;
      reduces_q        <= '0;
      first_step_q     <= '0;
      final_step_q     <= '0;
      in_use_q         <= '0;
      apart_q          <= '0;
      offsets_q        <= '0;
    end else if (taken_o) begin
      begins_q     <= instruction_i[FLAGS*32];
      counts_q     <= instruction_i[FLAGS*32+1];
      reduces_q    <= instruction_i[FLAGS*32+8+:LOOPS];
      first_step_q <= instruction_i[FIRST_STEP*32+:SW];
      final_step_q <= instruction_i[FIRST_STEP*32+:SW] + instruction_i[STEP_COUNT*32+:SW] - 1'b1;
      in_use_q     <= instruction_i[IN_USE*32+:LANES];
      apart_q      <= instruction_i[APART*32+:BW];
      for (int each = 0; each < 4 * LANES; each++) offsets_q[each*BW+:BW] <= instruction_i[(OFFSETS+each)*32+:BW];
    end
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      step_q <= '0;
      held_q <= '0;
    end else begin
      held_q <= busy_o && !step_ends ? held_q + 1'b1 : '0;
      if (taken_o) step_q <= instruction_i[FIRST_STEP*32+:SW];
      else if (point_ends) step_q <= first_step_q;
      else if (step_ends) step_q <= step_q + 1'b1;
    end
  end

  generate
    for (lane = 0; lane < LANES; lane++) begin : g_lane
      for (at = 0; at < 3; at++) begin : g_address
        localparam int OF = at == 2 ? 3 : at;
        assign address_o[(3*lane+at)*BW+:BW] = from[OF*BW+:BW] + offsets_q[(4*lane+OF)*BW+:BW];
      end
      assign chosen_address_o[lane*BW+:BW] = from[2*BW+:BW] + offsets_q[(4*lane+2)*BW+:BW] + BW'(word_i[(3*lane+1)*W+:W]) * apart_q;
      if (KIND == 0) begin : g_computes
        npu_lane #(.W(W)) u_lane (
            .clk_i, .rst_i,
            .op_i(step_i[35:32]), .x_i(step_i[39:36]), .z_i(step_i[43:40]), .w_i(step_i[58:55]), .to_i(step_i[45:44]),
            .keeps_i(step_ends), .folds_i(step_i[46]), .first_i(first), .constant_i(step_i[W-1:0]),
            .a_i(word_i[(3*lane+0)*W+:W]), .b_i(word_i[(3*lane+1)*W+:W]), .c_i(chosen_word_i[lane*W+:W]),
            .so_far_i(word_i[(3*lane+2)*W+:W]), .y_o(write_word_o[lane*W+:W])
        );
      end else begin : g_scans
        logic unused;
        assign unused = ^{word_i[(3*lane+2)*W+:W], first};  // no value is added to
        npu_scan #(.W(W)) u_lane (
            .x_i(step_i[37:36]), .z_i(step_i[41:40]), .w_i(step_i[56:55]), .shift_i(step_i[W-1:0]),
            .a_i(word_i[(3*lane+0)*W+:W]), .b_i(word_i[(3*lane+1)*W+:W]), .c_i(chosen_word_i[lane*W+:W]), .y_o(write_word_o[lane*W+:W])
        );
      end
      assign write_valid_o[lane] = point_ends && in_use_q[lane];
    end
  endgenerate
endmodule

`default_nettype wire
