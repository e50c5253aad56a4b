// `npu_top` with an outer memory that answers after a fixed time.
//
// Function    space 0 of the host port is the outer memory: it is written through it while run is low, and read at any time.
// Latency     LATENCY cycles from a request to its answer, 1 or more; see `npu_top` for the rest.
// Throughput  a request a cycle.
// Overflow    none; addresses lie below 2^AW.
`default_nettype none

module processor_system #(
    parameter  int W       = 8, 
    parameter  int AW      = 4,    // bits of an address of the outer memory
    parameter  int BW      = 3,    // bits of an address of the buffer
    parameter  int CW      = 8, 
    parameter  int ROWS    = 1,
    parameter  int COLUMNS = 2,
    parameter  int LANES   = 1,
    parameter  int SCANS   = 1,
    parameter  int LOOPS   = 2,
    parameter  int NEST    = 2,
    parameter  int LATENCY = 4,    // cycles
    parameter  int STEPS   = 2, 
    parameter  int ENTRIES = 2,
    localparam int EW      = $clog2(ENTRIES + 1)
) (
    input  logic            clk_i,
    input  logic            rst_i,
    input  logic            host_valid_i,
    input  logic [3:0]      host_space_i,
    input  logic [31:0]     host_address_i,
    input  logic [31:0]     host_word_i,
    input  logic            run_i,
    input  logic [4*EW-1:0] count_i,
    output logic [W-1:0]    host_word_o,
    output logic [3:0]      taken_o,
    output logic [4:0]      done_o,
    output logic            busy_o
);
  logic request_valid, request_write;
  logic [AW-1:0] request_address;
  logic [W-1:0] request_word;
  logic [LATENCY-1:0] valid_q;
  logic [LATENCY*W-1:0] word_q;
  logic [W-1:0] words_q[2**AW];

  npu_top #(
      .W(W), .AW(AW), .BW(BW), .CW(CW), .ROWS(ROWS), .COLUMNS(COLUMNS), .LANES(LANES), .SCANS(SCANS), .LOOPS(LOOPS), .NEST(NEST),
      .FLIGHT(LATENCY + 1), .STEPS(STEPS), .ENTRIES(ENTRIES)
  ) u_top (
      .clk_i, .rst_i, .host_valid_i, .host_space_i, .host_address_i, .host_word_i, .run_i, .count_i,
      .request_valid_o(request_valid), .request_write_o(request_write), .request_address_o(request_address),
      .request_word_o(request_word), .response_valid_i(valid_q[LATENCY-1]), .response_word_i(word_q[(LATENCY-1)*W+:W]),
      .taken_o, .done_o, .busy_o
  );

  always_ff @(posedge clk_i) begin
    if (host_valid_i && host_space_i == 4'd0) words_q[host_address_i[AW-1:0]] <= host_word_i[W-1:0];
    else if (request_valid && request_write) words_q[request_address] <= request_word;
  end
  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      valid_q <= '0;
      word_q  <= '0;
    end else begin
      valid_q <= LATENCY'({valid_q, request_valid && !request_write});
      word_q  <= (LATENCY * W)'({word_q, words_q[request_address]});
    end
  end
  assign host_word_o = words_q[host_address_i[AW-1:0]];
endmodule

`default_nettype wire
