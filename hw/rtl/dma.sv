// Copies words from one memory to another, each side in rows.
//
// Function    a start loads, for each side, the address of its first word, how many rows it has, the words of a row, which lie behind one
//             another, and the distance from a row's first word to the next row's. Word i of the source becomes word i of the target.
//             Both sides must have the same words in all: rows and words of a row may differ, their product may not. 0 of either stands
//             for 2^CW. Addresses count words.
//             start_i is taken where busy_o is low; busy_o is high from the next cycle until the last word is written, done_o for one
//             cycle after that, in which the next start may come.
//             Source: requests, and a response for each, in order, one cycle or more after its request. Target: writes. While busy_o is
//             low no response is taken and nothing is written.
// Latency     the first request is out in the cycle after a start; a response passes to the target within the cycle.
// Throughput  a word a cycle if FLIGHT is more than the cycles from a request to its response.
// Overflow    addresses wrap modulo 2^AW.
`default_nettype none

module dma #(
    parameter int W      = 32,  // bits of a word
    parameter int AW     = 16,  // bits of an address
    parameter int CW     = 8,   // bits of a count
    parameter int FLIGHT = 4    // requests that may be without a response, 1 or more
) (
    input  logic          clk_i,
    input  logic          rst_i,
    input  logic          start_i,
    output logic          busy_o,
    output logic          done_o,
    input  logic [AW-1:0] source_i,
    input  logic [CW-1:0] source_rows_i,
    input  logic [CW-1:0] source_words_i,
    input  logic [AW-1:0] source_stride_i,
    input  logic [AW-1:0] target_i,
    input  logic [CW-1:0] target_rows_i,
    input  logic [CW-1:0] target_words_i,
    input  logic [AW-1:0] target_stride_i,
    output logic          request_valid_o,
    input  logic          request_ready_i,
    output logic [AW-1:0] request_address_o,
    input  logic          response_valid_i,
    output logic          response_ready_o,
    input  logic [W-1:0]  response_word_i,
    output logic          write_valid_o,
    input  logic          write_ready_i,
    output logic [AW-1:0] write_address_o,
    output logic [W-1:0]  write_word_o
);
  localparam int FW = $clog2(FLIGHT + 1);

  logic starts, source_left, target_left, target_last, may_request, requests, responds, done_q;
  logic [FW-1:0] flight_q;
  logic [8:0] unused_source;
  logic [7:0] unused_target;

  assign busy_o = target_left;
  assign starts = start_i && !busy_o;

  address_generator #(.LOOPS(2), .AW(AW), .TW(CW)) u_source (
      .clk_i, .rst_i,
      .start_valid_i(starts), .start_ready_o(unused_source[0]),
      .base_i(source_i), .trips_i({source_rows_i, source_words_i}), .strides_i({source_stride_i, AW'(1)}),
      .valid_o(source_left), .ready_i(may_request && request_ready_i), .address_o(request_address_o),
      .first_o(unused_source[1]), .last_o(unused_source[2]), .begins_o(unused_source[4:3]), .ends_o(unused_source[6:5]),
      .first_trips_o(unused_source[8:7])
  );
  address_generator #(.LOOPS(2), .AW(AW), .TW(CW)) u_target (
      .clk_i, .rst_i,
      .start_valid_i(starts), .start_ready_o(unused_target[0]),
      .base_i(target_i), .trips_i({target_rows_i, target_words_i}), .strides_i({target_stride_i, AW'(1)}),
      .valid_o(target_left), .ready_i(response_valid_i && write_ready_i), .address_o(write_address_o),
      .first_o(unused_target[1]), .last_o(target_last), .begins_o(unused_target[3:2]), .ends_o(unused_target[5:4]),
      .first_trips_o(unused_target[7:6])
  );

  assign may_request      = flight_q != FW'(FLIGHT);
  assign request_valid_o  = source_left && may_request;
  assign requests         = request_valid_o && request_ready_i;
  assign write_valid_o    = target_left && response_valid_i;
  assign write_word_o     = response_word_i;
  assign response_ready_o = target_left && write_ready_i;
  assign responds         = write_valid_o && write_ready_i;

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      flight_q <= '0;
      done_q   <= 1'b0;
    end else begin
      if (requests && !responds) flight_q <= flight_q + 1'b1;
      else if (responds && !requests) flight_q <= flight_q - 1'b1;
      done_q <= responds && target_last;
    end
  end

  assign done_o = done_q;
endmodule

`default_nettype wire
