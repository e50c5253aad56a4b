// Proves that a queue is never overfull, holds what came less what left, is valid where it holds something, and refuses only where it is
// full and nothing leaves; of depths 1, 2 and 5.
// steps: 14 induction
// seeded bug: fifo.sv: ready_o = !full || ready_i => ready_o = !full && ready_i
// seeded bug: fifo.sv: full    = count_q == CW'(DEPTH) => full    = count_q > CW'(DEPTH)
// seeded bug: fifo.sv: else if (enters && !leaves) => else if (enters)
`default_nettype none

module fifo_levels (
    input logic       clk_i,
    input logic       rst_i,
    input logic [2:0] valid_i,
    input logic [2:0] ready_i,
    input logic [2:0] word_i
);
  logic began_q;

  initial began_q = 1'b0;

  always @(posedge clk_i) began_q <= 1'b1;

  always @* assume (rst_i == !began_q);

  genvar d;
  generate
    for (d = 0; d < 3; d++) begin : g_depth
      localparam int DEPTH = d == 2 ? 5 : d + 1;
      localparam int CW    = $clog2(DEPTH + 1);

      logic ready, valid, word;
      logic [CW-1:0] count;
      logic [3:0] inside_q;

      initial inside_q = '0;

      fifo #(.W(1), .DEPTH(DEPTH)) u_fifo (
          .clk_i, .rst_i, .valid_i(valid_i[d]), .ready_o(ready), .word_i(word_i[d]),
          .valid_o(valid), .ready_i(ready_i[d]), .word_o(word), .count_o(count)
      );

      always @(posedge clk_i) begin
        if (began_q) inside_q <= inside_q + 4'(valid_i[d] && ready) - 4'(valid && ready_i[d]);
      end

      always @* begin
        assert (inside_q <= DEPTH);
        if (began_q) begin
          assert (count == inside_q);
          assert (valid == (inside_q != 0));
          assert (ready == (inside_q != DEPTH || ready_i[d]));
        end
      end
    end
  endgenerate
endmodule

`default_nettype wire
