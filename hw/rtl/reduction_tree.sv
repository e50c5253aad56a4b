// Binary tree that reduces a vector to a word.
//
// Function    the sum (OP 0), maximum (1), minimum (2) or product (3) of INPUTS words; registers behind each level, an odd word passes on.
// Latency     log2(INPUTS) cycles, rounded up. Throughput: a vector a cycle; a level takes the next where it is empty or is being emptied.
// Overflow    sums and products wrap modulo 2^W; maximum and minimum are of words in two's complement.
`default_nettype none

module reduction_tree #(
    parameter int INPUTS = 8,  // words of a vector, 2 or more
    parameter int W      = 16, // bits of a word
    parameter int OP     = 0
) (
    input  logic                clk_i,
    input  logic                rst_i,
    input  logic                valid_i,
    output logic                ready_o,
    input  logic [INPUTS*W-1:0] word_i,
    output logic                valid_o,
    input  logic                ready_i,
    output logic [W-1:0]        word_o
);
  localparam int DEPTH = $clog2(INPUTS);

  genvar l, p;
  generate
    for (l = 0; l < DEPTH; l++) begin : g_level
      localparam int IN    = (INPUTS + (1 << l) - 1) >> l;
      localparam int OUT   = (IN + 1) / 2;
      localparam int PAIRS = IN / 2;

      logic [IN*W-1:0] below;
      logic [OUT*W-1:0] node, node_q;
      logic comes, takes, goes, valid_q;

      if (l == 0) begin : g_first
        assign below = word_i;
        assign comes = valid_i;
      end else begin : g_next
        assign below = g_level[l-1].node_q;
        assign comes = g_level[l-1].valid_q;
      end
      if (l == DEPTH - 1) begin : g_last
        assign goes = ready_i;
      end else begin : g_inner
        assign goes = g_level[l+1].takes;
      end
      assign takes = !valid_q || goes;

      for (p = 0; p < PAIRS; p++) begin : g_pair
        logic signed [W-1:0] left, right;
        assign left  = below[2*p*W+:W];
        assign right = below[(2*p+1)*W+:W];
        if (OP == 0) begin : g_add
          assign node[p*W+:W] = left + right;
        end else if (OP == 1) begin : g_max
          assign node[p*W+:W] = left > right ? left : right;
        end else if (OP == 2) begin : g_min
          assign node[p*W+:W] = left < right ? left : right;
        end else begin : g_mul
          assign node[p*W+:W] = left * right;
        end
      end
      if (OUT > PAIRS) begin : g_odd
        assign node[PAIRS*W+:W] = below[2*PAIRS*W+:W];
      end

      always_ff @(posedge clk_i) begin
        if (rst_i) begin
          node_q  <= '0;
          valid_q <= 1'b0;
        end else if (takes) begin
          valid_q <= comes;
          if (comes) node_q <= node;
        end
      end
    end
  endgenerate

  assign ready_o = g_level[0].takes;
  assign valid_o = g_level[DEPTH-1].valid_q;
  assign word_o  = g_level[DEPTH-1].node_q;
endmodule

`default_nettype wire
