// Moves tiles between the outer memory and the buffer, as a program says.
//
// Function    instructions are carried out in their order. One waits until `done` of the top has reached the counts that it names, then moves
//             the words of a loop nest, one each cycle: to_buffer loads, else it drains. The nest has an address on either side.
//             The outer memory answers requests in order, a fixed number of cycles later; it takes one request a cycle at any time.
//             Fields, 32 bits each: 5 counts waited for; flags (0: to the buffer, 1: counts as done when it is through); base of the outer
//             memory, of the buffer; LOOPS trips, innermost first; LOOPS strides of the outer memory; LOOPS strides of the buffer.
// Latency     the first request is out in the cycle after the one in which the last count is reached. loaded_o and drained_o are high in the
//             last cycle of an instruction: what it moved is there in the next.
// Throughput  a word a cycle, also from instruction to instruction.
// Overflow    addresses wrap.
`default_nettype none

module npu_mover #(
    parameter  int W      = 16,  // bits of a word
    parameter  int AW     = 8,   // bits of an address of the outer memory
    parameter  int BW     = 6,   // bits of an address of the buffer
    parameter  int CW     = 8,   // bits of a count
    parameter  int LOOPS  = 2,
    parameter  int FLIGHT = 8,   // requests without an answer, more than the outer memory's latency
    localparam int COUNTS = 5,
    localparam int FIELDS = COUNTS + 3 + 3 * LOOPS
) (
    input  logic                 clk_i,
    input  logic                 rst_i,
    input  logic                 valid_i,    // there is an instruction
    input  logic [FIELDS*32-1:0] instruction_i,
    input  logic [COUNTS*CW-1:0] done_i,     // counts as they are after this cycle
    output logic                 taken_o,
    output logic                 busy_o,
    output logic                 request_valid_o,
    output logic                 request_write_o,
    output logic [AW-1:0]        request_address_o,
    output logic [W-1:0]         request_word_o,
    input  logic                 response_valid_i,
    input  logic [W-1:0]         response_word_i,
    output logic [BW-1:0]        read_address_o,
    input  logic [W-1:0]         read_word_i,
    output logic                 write_valid_o,
    output logic [BW-1:0]        write_address_o,
    output logic [W-1:0]         write_word_o,
    output logic                 loaded_o,
    output logic                 drained_o
);
  localparam int FLAGS = COUNTS, OUTER = COUNTS + 1, INNER = COUNTS + 2, TRIPS = COUNTS + 3;
  localparam int OUTER_STRIDES = TRIPS + LOOPS, INNER_STRIDES = OUTER_STRIDES + LOOPS;

  logic [COUNTS-1:0] reached;
  logic able, outer_ready, outer_valid, loads_q, counts_q, steps, ends, tag_valid, tag_ready, tag_ends;
  logic [LOOPS*CW-1:0] trips;
  logic [LOOPS*AW-1:0] outer_strides;
  logic [LOOPS*BW-1:0] inner_strides;
  logic [$clog2(FLIGHT+1)-1:0] flight;
  logic [2+3*LOOPS-1:0] unused_outer;
  logic [3+3*LOOPS-1:0] unused_inner;
  logic inner_last;

  genvar at;
  generate
    for (at = 0; at < COUNTS; at++) begin : g_wait
      assign reached[at] = done_i[at*CW+:CW] >= instruction_i[at*32+:CW];
    end
    for (at = 0; at < LOOPS; at++) begin : g_loop
      assign trips[at*CW+:CW]         = instruction_i[(TRIPS+at)*32+:CW];
      assign outer_strides[at*AW+:AW] = instruction_i[(OUTER_STRIDES+at)*32+:AW];
      assign inner_strides[at*BW+:BW] = instruction_i[(INNER_STRIDES+at)*32+:BW];
    end
  endgenerate

  assign able    = valid_i && (&reached);
  assign taken_o = able && outer_ready;

  address_generator #(.LOOPS(LOOPS), .AW(AW), .TW(CW)) u_outer (
      .clk_i, .rst_i,
      .start_valid_i(able), .start_ready_o(outer_ready),
      .base_i(instruction_i[OUTER*32+:AW]), .trips_i(trips), .strides_i(outer_strides),
      .valid_o(outer_valid), .ready_i(steps), .address_o(request_address_o),
      .first_o(unused_outer[0]), .last_o(unused_outer[1]), .begins_o(unused_outer[2+:LOOPS]), .ends_o(unused_outer[2+LOOPS+:LOOPS]),
      .first_trips_o(unused_outer[2+2*LOOPS+:LOOPS])
  );
  address_generator #(.LOOPS(LOOPS), .AW(BW), .TW(CW)) u_inner (
      .clk_i, .rst_i,
      .start_valid_i(able), .start_ready_o(unused_inner[0]),
      .base_i(instruction_i[INNER*32+:BW]), .trips_i(trips), .strides_i(inner_strides),
      .valid_o(unused_inner[1]), .ready_i(steps), .address_o(read_address_o),
      .first_o(unused_inner[2]), .last_o(inner_last), .begins_o(unused_inner[3+:LOOPS]), .ends_o(unused_inner[3+LOOPS+:LOOPS]),
      .first_trips_o(unused_inner[3+2*LOOPS+:LOOPS])
  );
  fifo #(.W(BW + 1), .DEPTH(FLIGHT)) u_flight (
      .clk_i, .rst_i,
      .valid_i(request_valid_o && loads_q), .ready_o(tag_ready), .word_i({ends, read_address_o}),
      .valid_o(tag_valid), .ready_i(response_valid_i), .word_o({tag_ends, write_address_o}),
      .count_o(flight)
  );

  assign steps           = outer_valid && tag_ready;
  assign ends            = inner_last && counts_q;
  assign request_valid_o = steps;
  assign request_write_o = !loads_q;
  assign request_word_o  = read_word_i;
  assign write_valid_o   = response_valid_i && tag_valid;
  assign write_word_o    = response_word_i;
  assign loaded_o        = write_valid_o && tag_ends;
  assign drained_o       = steps && !loads_q && ends;
  assign busy_o          = outer_valid || flight != '0;

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      loads_q  <= 1'b0;
      counts_q <= 1'b0;
    end else if (taken_o) begin
      loads_q  <= instruction_i[FLAGS*32];
      counts_q <= instruction_i[FLAGS*32+1];
    end
  end
endmodule

`default_nettype wire
