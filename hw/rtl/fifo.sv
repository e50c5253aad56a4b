// Queue.
//
// Function    words leave in the order in which they came; count is how many are inside.
// Latency     1 cycle: a word that enters an empty queue can leave in the next. Nothing passes from word_i to word_o within a cycle.
// Throughput  a word a cycle at any depth: a full queue takes a word where one leaves, so ready_o follows ready_i within a cycle then.
// Overflow    none: a full queue is not ready.
`default_nettype none

module fifo #(
    parameter int W     = 8,                  // bits of a word
    parameter int DEPTH = 4,                  // words, 1 or more
    localparam int CW   = $clog2(DEPTH + 1)
) (
    input  logic          clk_i,
    input  logic          rst_i,
    input  logic          valid_i,
    output logic          ready_o,
    input  logic [W-1:0]  word_i,
    output logic          valid_o,
    input  logic          ready_i,
    output logic [W-1:0]  word_o,
    output logic [CW-1:0] count_o
);
  logic [CW-1:0] count_q;
  logic full, enters, leaves;

  assign full    = count_q == CW'(DEPTH);
  assign ready_o = !full || ready_i;
  assign valid_o = count_q != '0;
  assign enters  = valid_i && ready_o;
  assign leaves  = valid_o && ready_i;
  assign count_o = count_q;

  always_ff @(posedge clk_i) begin
    if (rst_i) count_q <= '0;
    else if (enters && !leaves) count_q <= count_q + 1'b1;
    else if (leaves && !enters) count_q <= count_q - 1'b1;
  end

  generate
    if (DEPTH == 1) begin : g_one
      logic [W-1:0] word_q;

      always_ff @(posedge clk_i) begin
        if (rst_i) word_q <= '0;
        else if (enters) word_q <= word_i;
      end

      assign word_o = word_q;
    end else begin : g_many
      localparam int PW = $clog2(DEPTH);

      logic [W-1:0] words_q[DEPTH];
      logic [PW-1:0] head_q, tail_q;  // where the oldest word is, and where the next goes

      always_ff @(posedge clk_i) begin
        if (enters) words_q[tail_q] <= word_i;
      end

      always_ff @(posedge clk_i) begin
        if (rst_i) begin
          head_q <= '0;
          tail_q <= '0;
        end else begin
          if (leaves) head_q <= head_q == PW'(DEPTH - 1) ? '0 : head_q + 1'b1;
          if (enters) tail_q <= tail_q == PW'(DEPTH - 1) ? '0 : tail_q + 1'b1;
        end
      end

      assign word_o = words_q[head_q];
    end
  endgenerate
endmodule

`default_nettype wire
