// Online softmax of rows of scores, in one pass; the twin of accelsim.workload.fixed.online_softmax.
//
// Function    with each score x of a row come the maximum m so far, weight = exp(x - m), factor = exp(m before - m), by which all that was
//             gathered before has to be multiplied, and sum = sum before * factor + weight. The factor is 0 with the first score of a row.
//             The row is complete with the word marked `last`. One of weight and factor is 1, so that a score needs one exp.
// Latency     8 cycles. Throughput: one score a cycle, rows back to back; a stage takes the next where it is empty or is being emptied.
// Rounding    sum before * factor is rounded half up; exp as in exp_pe.
// Overflow    differences saturate at -2^(XW-1), sums at 2^(OF+SI) - 1, which rows of fewer than 2^SI scores do not reach.
`default_nettype none

module softmax_lane #(
    parameter int XW = 16,  // bits of a score, signed
    parameter int XF = 8,   // fraction bits of a score
    parameter int OF = 15,  // fraction bits of weights, factors and sums
    parameter int G  = 5,   // more fraction bits inside, at least 1
    parameter int SI = 8    // bits of a sum before the point, at least 1
) (
    input  logic             clk_i,
    input  logic             rst_i,
    input  logic             valid_i,
    output logic             ready_o,
    input  logic             first_i,
    input  logic             last_i,
    input  logic [XW-1:0]    x_i,
    output logic             valid_o,
    input  logic             ready_i,
    output logic             first_o,
    output logic             last_o,
    output logic [OF:0]      weight_o,
    output logic [OF:0]      factor_o,
    output logic [OF+SI-1:0] sum_o,
    output logic [XW-1:0]    max_o
);
  localparam int SW = OF + SI;  // bits of a sum
  localparam int PW = SW + OF + 1;
  localparam logic [OF:0] ONE = (OF + 1)'(1) << OF;
  localparam logic [PW-1:0] HALF = PW'(1) << (OF - 1);

  // out of the running maximum
  logic max_valid, max_first, max_last, exp_takes;
  logic [XW-1:0] high, drop, below;

  max_pe #(.W(XW), .TW(1)) u_max (
      .clk_i, .rst_i, .valid_i, .ready_o, .first_i, .x_i, .tag_i(last_i),
      .valid_o(max_valid), .ready_i(exp_takes), .first_o(max_first), .max_o(high), .drop_o(drop), .below_o(below), .tag_o(max_last)
  );

  // out of exp
  logic exp_valid, exp_first, exp_last, is_below, takes;
  logic [XW-1:0] exp_max;
  logic [OF:0] power;

  exp_pe #(.XW(XW), .XF(XF), .OF(OF), .G(G), .TW(XW + 3)) u_exp (
      .clk_i, .rst_i, .valid_i(max_valid), .ready_o(exp_takes), .x_i(below | drop), .tag_i({max_first, max_last, below != '0, high}),
      .valid_o(exp_valid), .ready_i(takes), .y_o(power), .tag_o({exp_first, exp_last, is_below, exp_max})
  );

  // the sum
  logic valid_q, first_q, last_q;
  logic [OF:0] weight_q, factor_q, weight, factor;
  logic [SW-1:0] sum_q;
  logic [SW:0] sum;
  logic [XW-1:0] max_q;

  assign takes  = !valid_q || ready_i;
  assign weight = is_below ? power : ONE;
  assign factor = exp_first ? '0 : is_below ? ONE : power;
  assign sum    = (SW + 1)'((PW'(sum_q) * PW'(factor) + HALF) >> OF) + (SW + 1)'(weight);

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      valid_q  <= 1'b0;
      first_q  <= 1'b0;
      last_q   <= 1'b0;
      weight_q <= '0;
      factor_q <= '0;
      sum_q    <= '0;
      max_q    <= '0;
    end else if (takes) begin
      valid_q <= exp_valid;
      if (exp_valid) begin
        first_q  <= exp_first;
        last_q   <= exp_last;
        weight_q <= weight;
        factor_q <= factor;
        sum_q    <= sum[SW] ? '1 : sum[SW-1:0];
        max_q    <= exp_max;
      end
    end
  end

  assign valid_o  = valid_q;
  assign first_o  = first_q;
  assign last_o   = last_q;
  assign weight_o = weight_q;
  assign factor_o = factor_q;
  assign sum_o    = sum_q;
  assign max_o    = max_q;
endmodule

`default_nettype wire
