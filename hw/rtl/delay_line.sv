// A chain of registers.
//
// Function    what goes in comes out again. Latency: DEPTH cycles, none for 0. Throughput: one word a cycle.
`default_nettype none

module delay_line #(
    parameter int W     = 8,  // bits of a word
    parameter int DEPTH = 1   // registers
) (
    input  logic         clk_i,
    input  logic         rst_i,
    input  logic [W-1:0] word_i,
    output logic [W-1:0] word_o
);
  generate
    if (DEPTH == 0) begin : g_none
      logic unused;
      assign unused = clk_i ^ rst_i;
      assign word_o = word_i;
    end else begin : g_chain
      logic [W*DEPTH-1:0] chain_q;

      always_ff @(posedge clk_i) begin
        if (rst_i) chain_q <= '0;
        else chain_q <= (W * DEPTH)'({chain_q, word_i});
      end

      assign word_o = chain_q[W*DEPTH-1-:W];
    end
  endgenerate
endmodule

`default_nettype wire
