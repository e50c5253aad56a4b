// Multiply-accumulate element of an array in which results stay.
//
// Function    a and b pass on to the right and down; c gathers the sum of a * b from a step marked `first` to one marked `last`, which
//             also puts it into d. Where `shift` is high, d takes what the element above had in it, unless a sum has just ended.
// Latency     operands 1 cycle; a sum is in d one edge after its last step. Throughput: one step a cycle.
// Zeros       where an operand is zero the product is not formed and the sum stays, so that neither toggles.
// Overflow    sums wrap modulo 2^CW.
`default_nettype none

module pe_os #(
    parameter int AW = 8,   // bits of a
    parameter int BW = 8,   // bits of b
    parameter int CW = 32   // bits of a sum
) (
    input  logic          clk_i,
    input  logic          rst_i,
    input  logic [AW-1:0] a_i,
    input  logic          a_valid_i,
    input  logic          first_i,
    input  logic          last_i,
    input  logic          bottom_i,   // this row is the last that the tile uses
    input  logic [BW-1:0] b_i,
    input  logic          b_valid_i,
    input  logic          shift_i,
    input  logic [CW-1:0] d_i,
    input  logic          d_valid_i,
    output logic [AW-1:0] a_o,
    output logic          a_valid_o,
    output logic          first_o,
    output logic          last_o,
    output logic          bottom_o,
    output logic [BW-1:0] b_o,
    output logic          b_valid_o,
    output logic [CW-1:0] d_o,
    output logic          d_valid_o,
    output logic          done_o      // the last sum of a column ends with this edge
);
  logic [AW-1:0] a_q;
  logic [BW-1:0] b_q;
  logic [CW-1:0] c_q, d_q;
  logic a_valid_q, b_valid_q, d_valid_q, first_q, last_q, bottom_q;

  logic works, ends;
  logic [CW-1:0] so_far, sum;
  logic signed [CW-1:0] product;

  assign works   = a_valid_i && b_valid_i;
  assign ends    = works && last_i;
  assign product = CW'($signed(a_i)) * CW'($signed(b_i));
  assign so_far  = first_i ? '0 : c_q;
  assign sum     = (a_i == '0 || b_i == '0) ? so_far : so_far + product;

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      a_q       <= '0;
      b_q       <= '0;
      c_q       <= '0;
      d_q       <= '0;
      a_valid_q <= 1'b0;
      b_valid_q <= 1'b0;
      d_valid_q <= 1'b0;
      first_q   <= 1'b0;
      last_q    <= 1'b0;
      bottom_q  <= 1'b0;
    end else begin
      a_q       <= a_i;
      b_q       <= b_i;
      a_valid_q <= a_valid_i;
      b_valid_q <= b_valid_i;
      first_q   <= first_i;
      last_q    <= last_i;
      bottom_q  <= bottom_i;
      if (works) c_q <= sum;
      if (ends) begin
        d_q       <= sum;
        d_valid_q <= 1'b1;
      end else if (shift_i) begin
        d_q       <= d_i;
        d_valid_q <= d_valid_i;
      end
    end
  end

  assign a_o       = a_q;
  assign a_valid_o = a_valid_q;
  assign first_o   = first_q;
  assign last_o    = last_q;
  assign bottom_o  = bottom_q;
  assign b_o       = b_q;
  assign b_valid_o = b_valid_q;
  assign d_o       = d_q;
  assign d_valid_o = d_valid_q;
  assign done_o    = ends && bottom_i;
endmodule

`default_nettype wire
