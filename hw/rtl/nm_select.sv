// Selector of N:M structured sparsity: of every M activations, the N that meet a stored weight.
//
// Function    lane n gives the activation that index n names, of the M of a group, beside weight n. Several indices may name the same one. An
//             index of M or more is flagged in its lane, where the activation is then 0.
// Latency     1 cycle. Throughput: a group a cycle. Overflow: none.
`default_nettype none

module nm_select #(
    parameter int N  = 2,    // weights of a group
    parameter int M  = 4,    // activations of a group
    parameter int W  = 8,    // bits of an activation and of a weight
    parameter int IW = 2     // bits of an index, log2(M) or more
) (
    input  logic            clk_i,
    input  logic            rst_i,
    input  logic            valid_i,
    output logic            ready_o,
    input  logic [M*W-1:0]  activations_i,
    input  logic [N*W-1:0]  weights_i,
    input  logic [N*IW-1:0] indices_i,
    output logic            valid_o,
    input  logic            ready_i,
    output logic [N*W-1:0]  activations_o,
    output logic [N*W-1:0]  weights_o,
    output logic [N-1:0]    outside_o    // lanes whose index names no activation
);
  logic [N*W-1:0] chosen, activations_q, weights_q;
  logic [N-1:0] outside, outside_q;
  logic valid_q;

  genvar n, m;
  generate
    for (n = 0; n < N; n++) begin : g_lane
      logic [M-1:0] hits;
      logic [W-1:0] word;
      for (m = 0; m < M; m++) begin : g_hit
        assign hits[m] = indices_i[n*IW+:IW] == IW'(m);
      end
      always_comb begin
        word = '0;
        for (int k = 0; k < M; k++) begin
          if (hits[k]) word = activations_i[k*W+:W];
        end
      end
      assign chosen[n*W+:W] = word;
      assign outside[n]     = !(|hits);
    end
  endgenerate

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      valid_q       <= 1'b0;
      activations_q <= '0;
      weights_q     <= '0;
      outside_q     <= '0;
    end else if (ready_o) begin
      valid_q <= valid_i;
      if (valid_i) begin
        activations_q <= chosen;
        weights_q     <= weights_i;
        outside_q     <= outside;
      end
    end
  end

  assign ready_o       = !valid_q || ready_i;
  assign valid_o       = valid_q;
  assign activations_o = activations_q;
  assign weights_o     = weights_q;
  assign outside_o     = outside_q;
endmodule

`default_nettype wire
