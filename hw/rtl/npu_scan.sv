// What one lane of the scan unit computes: a step of a linear recurrence.
//
// Function    y = ((x z) >> shift) + w of three words, each chosen among the operands a, b, c (4 to 6), for h' = ((a h) >> shift) + b; the
//             shift keeps the sign. Words are signed. Steps follow one another through the buffer, where h is. The scan is serial: sums that
//             saturate and products that are rounded have no parallel form with the same bits.
// Latency     y follows its operands within the cycle.
// Throughput  a step a cycle.
// Overflow    product and sum saturate.
`default_nettype none

module npu_scan #(
    parameter int W = 8  // bits of a word
) (
    input  logic [1:0]   x_i,
    input  logic [1:0]   z_i,
    input  logic [1:0]   w_i,
    input  logic [W-1:0] shift_i,
    input  logic [W-1:0] a_i,
    input  logic [W-1:0] b_i,
    input  logic [W-1:0] c_i,
    output logic [W-1:0] y_o
);
  localparam logic [W-1:0] LEAST = {1'b1, {(W - 1) {1'b0}}}, MOST = {1'b0, {(W - 1) {1'b1}}};

  logic [W-1:0] x, z, w, product, scaled;
  logic [2*W-1:0] whole;
  logic [W:0] sum;

  assign x       = x_i[1] ? c_i : x_i[0] ? b_i : a_i;
  assign z       = z_i[1] ? c_i : z_i[0] ? b_i : a_i;
  assign w       = w_i[1] ? c_i : w_i[0] ? b_i : a_i;
  assign whole   = $signed(x) * $signed(z);
  assign product = whole[2*W-1:W-1] == {(W + 1) {whole[2*W-1]}} ? whole[W-1:0] : whole[2*W-1] ? LEAST : MOST;
  assign scaled  = $unsigned($signed(product) >>> shift_i);
  assign sum     = {scaled[W-1], scaled} + {w[W-1], w};
  assign y_o     = sum[W] == sum[W-1] ? sum[W-1:0] : sum[W] ? LEAST : MOST;
endmodule

`default_nettype wire
