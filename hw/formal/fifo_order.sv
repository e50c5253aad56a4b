// Proves that a queue loses no word and keeps the order: any word that enters leaves, unchanged, after exactly those that were inside
// before it, and what is offered stays until it is taken; of depths 1, 2 and 3.
// steps: 8
// seeded bug: fifo.sv: if (enters) words_q[tail_q] <= word_i; => if (valid_i) words_q[tail_q] <= word_i;
// seeded bug: fifo.sv: if (leaves) head_q <= head_q == PW'(DEPTH - 1) => if (leaves) head_q <= head_q == PW'(DEPTH)
// seeded bug: fifo.sv: else if (enters) word_q <= word_i; => else if (valid_i) word_q <= word_i;
`default_nettype none

module fifo_order (
    input logic       clk_i,
    input logic       rst_i,
    input logic [2:0] valid_i,
    input logic [2:0] ready_i,
    input logic [2:0] word_i,
    input logic [2:0] choose_i  // look at the word that enters now, if it is the first so chosen
);
  logic began_q;

  initial began_q = 1'b0;

  always @(posedge clk_i) began_q <= 1'b1;

  always @* assume (rst_i == !began_q);

  genvar d;
  generate
    for (d = 0; d < 3; d++) begin : g_depth
      logic ready, valid, word, enters, leaves, held_q, held_word_q;
      logic [$clog2(d + 2)-1:0] count;
      logic [1:0] inside_q, ahead_q;  // words inside; those before the chosen one
      logic chosen_q, gone_q, chosen_word_q;

      fifo #(.W(1), .DEPTH(d + 1)) u_fifo (
          .clk_i, .rst_i, .valid_i(valid_i[d]), .ready_o(ready), .word_i(word_i[d]),
          .valid_o(valid), .ready_i(ready_i[d]), .word_o(word), .count_o(count)
      );

      assign enters = valid_i[d] && ready;
      assign leaves = valid && ready_i[d];

      always @(posedge clk_i) begin
        held_q      <= began_q && valid && !ready_i[d];
        held_word_q <= word;
        if (!began_q) begin
          inside_q <= '0;
          ahead_q  <= '0;
          chosen_q <= 1'b0;
          gone_q   <= 1'b0;
        end else begin
          inside_q <= inside_q + 2'(enters) - 2'(leaves);
          if (enters && choose_i[d] && !chosen_q) begin
            chosen_q      <= 1'b1;
            chosen_word_q <= word_i[d];
            ahead_q       <= inside_q - 2'(leaves);
          end else if (chosen_q && leaves) begin
            ahead_q <= ahead_q - 1'b1;
            if (ahead_q == 0) gone_q <= 1'b1;
          end
        end
      end

      always @* begin
        if (began_q && chosen_q && !gone_q) assert (valid);
        if (began_q && chosen_q && !gone_q && ahead_q == 0) assert (word == chosen_word_q);
        if (began_q && held_q) assert (valid && word == held_word_q);
      end
    end
  endgenerate
endmodule

`default_nettype wire
