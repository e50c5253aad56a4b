// Multiply-accumulate element of an array in which an operand stays.
//
// Function    a passes on to the right; p is the sum that comes from above plus a * w. The next operand moves down through v where `load`
//             is high, and becomes w with the step marked `first`.
// Latency     1 cycle. Throughput: one step a cycle.
// Zeros       where an operand is zero the product is not formed.
// Overflow    sums wrap modulo 2^CW.
`default_nettype none

module pe_ws #(
    parameter int AW = 8,   // bits of a
    parameter int BW = 8,   // bits of w
    parameter int CW = 32   // bits of a sum
) (
    input  logic          clk_i,
    input  logic          rst_i,
    input  logic [AW-1:0] a_i,
    input  logic          valid_i,
    input  logic          first_i,
    input  logic          load_i,
    input  logic [BW-1:0] v_i,
    input  logic [CW-1:0] p_i,
    output logic [AW-1:0] a_o,
    output logic          valid_o,
    output logic          first_o,
    output logic [BW-1:0] v_o,
    output logic [CW-1:0] p_o
);
  logic [AW-1:0] a_q;
  logic [BW-1:0] w_q, v_q;
  logic [CW-1:0] p_q;
  logic valid_q, first_q;

  logic [BW-1:0] w;
  logic [CW-1:0] sum;
  logic signed [CW-1:0] product;

  assign w       = first_i ? v_q : w_q;
  assign product = CW'($signed(a_i)) * CW'($signed(w));
  assign sum     = (a_i == '0 || w == '0) ? p_i : p_i + product;

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      a_q     <= '0;
      w_q     <= '0;
      v_q     <= '0;
      p_q     <= '0;
      valid_q <= 1'b0;
      first_q <= 1'b0;
    end else begin
      a_q     <= a_i;
      valid_q <= valid_i;
      first_q <= first_i;
      if (load_i) v_q <= v_i;
      if (valid_i) begin
        w_q <= w;
        p_q <= sum;
      end
    end
  end

  assign a_o     = a_q;
  assign valid_o = valid_q;
  assign first_o = first_q;
  assign v_o     = v_q;
  assign p_o     = p_q;
endmodule

`default_nettype wire
