// What one lane of an engine computes: a step of a microprogram.
//
// Function    y = x op z of two words, chosen among 4 temporaries (0 to 3), operands a, b, c (4 to 6), the result so far (7) and the step's
//             constant (8). op: 0 add, 1 sub, 2 mul, 3 max, 4 min, 5 shift right by z, sign kept, 6 copy of x, 7 w + x z (w chosen as x and z are), 8 absolute
//             value of x, 9 x < z (1 or 0), 10 exp of x, 11 x / z rounded down (0 where z is 0). Words are signed.
//             exp: x has 8 fraction bits and counts as 0 if above; y has 15. The twin of accelsim.workload.fixed.exp; only of words of 22 bits or
//             more, of narrower ones it is a copy.
//             folds: the step joins its value to the result so far: the first time, it is z alone, or of op 7 the product.
//             y goes to the temporary `to` where `keeps` is high.
// Latency     y follows its operands within the cycle (steps that need longer are held); a temporary has it in the next.
// Throughput  a step a cycle.
// Overflow    all operations saturate.
`default_nettype none

module npu_lane #(
    parameter int W = 8  // bits of a word
) (
    input  logic         clk_i,
    input  logic         rst_i,
    input  logic [3:0]   op_i,
    input  logic [3:0]   x_i,
    input  logic [3:0]   z_i,
    input  logic [3:0]   w_i,
    input  logic [1:0]   to_i,
    input  logic         keeps_i,
    input  logic         folds_i,
    input  logic         first_i,
    input  logic [W-1:0] constant_i,
    input  logic [W-1:0] a_i,
    input  logic [W-1:0] b_i,
    input  logic [W-1:0] c_i,
    input  logic [W-1:0] so_far_i,
    output logic [W-1:0] y_o
);
  localparam logic [3:0] ADD = 0, SUB = 1, MUL = 2, MAX = 3, MIN = 4, SHIFT = 5, MAC = 7, ABS = 8, LESS = 9, EXP = 10, DIV = 11;
  localparam logic [W-1:0] LEAST = {1'b1, {(W - 1) {1'b0}}}, MOST = {1'b0, {(W - 1) {1'b1}}};

  logic [4*W-1:0] kept_q;
  logic [W-1:0] x, z, w, power, product, found, rest, quotient, below;
  logic [2*W-1:0] whole;
  logic less;

  function automatic logic [W-1:0] chosen(
      input logic [3:0] which, input logic [4*W-1:0] kept, input logic [W-1:0] a, input logic [W-1:0] b, input logic [W-1:0] c,
      input logic [W-1:0] so_far, input logic [W-1:0] constant
  );
    case (which)
      4'd0:    chosen = kept[0+:W];
      4'd1:    chosen = kept[W+:W];
      4'd2:    chosen = kept[2*W+:W];
      4'd3:    chosen = kept[3*W+:W];
      4'd4:    chosen = a;
      4'd5:    chosen = b;
      4'd6:    chosen = c;
      4'd7:    chosen = so_far;
      default: chosen = constant;
    endcase
  endfunction

  // a sum or a difference has a bit more than its words, of which the two highest differ where it overflows
  function automatic logic [W-1:0] saturated(input logic [W:0] sum);
    saturated = sum[W] == sum[W-1] ? sum[W-1:0] : sum[W] ? LEAST : MOST;
  endfunction

  assign x        = chosen(x_i, kept_q, a_i, b_i, c_i, so_far_i, constant_i);
  assign z        = chosen(z_i, kept_q, a_i, b_i, c_i, so_far_i, constant_i);
  assign w        = chosen(w_i, kept_q, a_i, b_i, c_i, so_far_i, constant_i);
  assign less     = $signed(x) < $signed(z);
  assign whole    = $signed(x) * $signed(z);
  assign product  = whole[2*W-1:W-1] == {(W + 1) {whole[2*W-1]}} ? whole[W-1:0] : whole[2*W-1] ? LEAST : MOST;
  assign quotient = z == '0 ? '0 : $unsigned($signed(x) / $signed(z));
  assign rest     = z == '0 ? '0 : $unsigned($signed(x) % $signed(z));
  assign below    = quotient - W'(rest != '0 && x[W-1] != z[W-1]);

  generate
    if (W >= 22) begin : g_exp
      // constants with 20 fraction bits: 2^-f = 1 - c1 f + c2 f^2 - c3 f^3 + c4 f^4
      localparam logic [20:0] LOG2_E = 21'd1512775, C1 = 21'd726785, C2 = 21'd251266, C3 = 21'd55951, C4 = 21'd7182;
      logic [W-1:0] down;
      logic [W+20:0] scaled;
      logic [W-8:0] turns;
      logic [4:0] k;
      logic [19:0] f;
      logic [41:0] at1, at2, at3, at4;
      logic [20:0] p1, p2, p3, p4, shifted;
      logic unused;

      assign down    = x[W-1] ? -x : '0;
      assign scaled  = (W + 21)'(down) * (W + 21)'(LOG2_E);
      assign f       = scaled[8+:20];
      assign turns   = scaled[W+20:28];
      assign k       = turns > (W - 7)'(17) ? 5'd17 : turns[4:0];
      assign at1     = 42'(f) * 42'(C4);
      assign p1      = C3 - at1[40:20];
      assign at2     = 42'(f) * 42'(p1);
      assign p2      = C2 - at2[40:20];
      assign at3     = 42'(f) * 42'(p2);
      assign p3      = C1 - at3[40:20];
      assign at4     = 42'(f) * 42'(p3);
      assign p4      = 21'h100000 - at4[40:20];
      assign shifted = (p4 >> (k + 5'd4)) + 21'd1;
      assign power   = W'(shifted[20:1]);
      assign unused  = ^{scaled[7:0], shifted[0], at1[41], at1[19:0], at2[41], at2[19:0], at3[41], at3[19:0], at4[41], at4[19:0]};
    end else begin : g_no_exp
      assign power = x;
    end
  endgenerate

  always_comb begin
    case (op_i)
      ADD:     found = saturated({x[W-1], x} + {z[W-1], z});
      SUB:     found = saturated({x[W-1], x} - {z[W-1], z});
      MUL:     found = product;
      MAX:     found = less ? z : x;
      MIN:     found = less ? x : z;
      SHIFT:   found = $unsigned($signed(x) >>> z);
      MAC:     found = saturated({w[W-1], w} + {product[W-1], product});
      ABS:     found = x == LEAST ? MOST : x[W-1] ? -x : x;
      LESS:    found = W'(less);
      EXP:     found = power;
      DIV:     found = x == LEAST && z == '1 ? MOST : below;
      default: found = x;
    endcase
  end
  assign y_o = folds_i && first_i ? (op_i == MAC ? product : z) : found;

  always_ff @(posedge clk_i) begin
    if (rst_i) kept_q <= '0;
    else if (keeps_i) kept_q[to_i*W+:W] <= y_o;
  end
endmodule

`default_nettype wire
