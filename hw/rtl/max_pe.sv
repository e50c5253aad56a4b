// Running maximum of a stream of signed numbers, which starts anew with a number marked `first`.
//
// Function    with each number come the maximum m so far, drop = m before - m, and below = x - m; one of them is 0, none is above 0.
//             With the first number drop is as low as can be. A tag travels with each number.
// Latency     1 cycle. Throughput: one number a cycle, also while the last result leaves.
// Overflow    drop and below saturate at -2^(W-1).
`default_nettype none

module max_pe #(
    parameter int W  = 16,  // bits of a number, at least 2
    parameter int TW = 1    // bits of a tag
) (
    input  logic          clk_i,
    input  logic          rst_i,
    input  logic          valid_i,
    output logic          ready_o,
    input  logic          first_i,
    input  logic [W-1:0]  x_i,
    input  logic [TW-1:0] tag_i,
    output logic          valid_o,
    input  logic          ready_i,
    output logic          first_o,
    output logic [W-1:0]  max_o,
    output logic [W-1:0]  drop_o,
    output logic [W-1:0]  below_o,
    output logic [TW-1:0] tag_o
);
  localparam logic [W-1:0] LOWEST = {1'b1, {(W - 1) {1'b0}}};

  logic [W-1:0] max_q, drop_q, below_q;
  logic [TW-1:0] tag_q;
  logic valid_q, first_q, takes;

  logic [W:0] over;  // x less the maximum before
  logic rises, is_far;
  logic [W-1:0] away;  // the lower less the higher of the two

  assign takes  = !valid_q || ready_i;
  assign over   = {x_i[W-1], x_i} - {max_q[W-1], max_q};
  assign rises  = !over[W];
  assign is_far = over[W] != over[W-1];
  assign away   = is_far ? LOWEST : rises ? -over[W-1:0] : over[W-1:0];

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      max_q   <= '0;
      drop_q  <= '0;
      below_q <= '0;
      tag_q   <= '0;
      valid_q <= 1'b0;
      first_q <= 1'b0;
    end else if (takes) begin
      valid_q <= valid_i;
      if (valid_i) begin
        max_q   <= first_i || rises ? x_i : max_q;
        drop_q  <= first_i ? LOWEST : rises ? away : '0;
        below_q <= first_i || rises ? '0 : away;
        tag_q   <= tag_i;
        first_q <= first_i;
      end
    end
  end

  assign ready_o = takes;
  assign valid_o = valid_q;
  assign first_o = first_q;
  assign max_o   = max_q;
  assign drop_o  = drop_q;
  assign below_o = below_q;
  assign tag_o   = tag_q;
endmodule

`default_nettype wire
