// Double buffer: one bank is filled while the other is read.
//
// Function    two banks of WORDS words, free at first. Both sides begin with bank 0 and then take turns.
//             Writer  while write_free_o is high the bank write_bank_o is the writer's: write_i puts write_word_i at write_at_i, in any
//                     order; write_done_i hands the bank over, with its last write or after it. The writer's bank is then the other one.
//             Reader  while read_full_o is high the bank read_bank_o is the reader's: read_i asks for the word at read_at_i;
//                     read_done_i gives the bank back, with its last read or after it. The reader's bank is then the other one.
//             While write_free_o is low, write_i and write_done_i do nothing; while read_full_o is low, read_i and read_done_i do nothing.
//             A word that was not written keeps what the bank had there. Places are below WORDS.
// Latency     a word is on read_word_o in the cycle after read_i and stays until the next; a bank that is handed over or given back
//             shows on the other side in the next cycle.
// Throughput  a write and a read a cycle, in different banks; no cycle is lost between banks.
// Overflow    none: what a side does without a bank has no effect.
`default_nettype none

module double_buffer #(
    parameter int W     = 8,                                // bits of a word
    parameter int WORDS = 16,                               // words of a bank, 1 or more
    localparam int PW   = WORDS > 1 ? $clog2(WORDS) : 1     // bits of a place
) (
    input  logic          clk_i,
    input  logic          rst_i,
    output logic          write_free_o,
    output logic          write_bank_o,
    input  logic          write_i,
    input  logic [PW-1:0] write_at_i,
    input  logic [W-1:0]  write_word_i,
    input  logic          write_done_i,
    output logic          read_full_o,
    output logic          read_bank_o,
    input  logic          read_i,
    input  logic [PW-1:0] read_at_i,
    output logic [W-1:0]  read_word_o,
    input  logic          read_done_i,
    output logic [1:0]    full_o        // banks that are handed over and not given back
);
  logic [1:0] full_q;
  logic write_bank_q, read_bank_q;
  logic [W-1:0] read_word_q;
  logic [2*W-1:0] words_read;
  logic hands, gives;

  assign write_free_o = !full_q[write_bank_q];
  assign read_full_o  = full_q[read_bank_q];
  assign hands        = write_free_o && write_done_i;
  assign gives        = read_full_o && read_done_i;

  genvar b;
  generate
    for (b = 0; b < 2; b++) begin : g_bank
      logic [W-1:0] words_q[WORDS];

      always_ff @(posedge clk_i) begin
        if (write_i && write_free_o && write_bank_q == b) words_q[write_at_i] <= write_word_i;
      end

      always_ff @(posedge clk_i) begin
        if (rst_i) full_q[b] <= 1'b0;
        else if (hands && write_bank_q == b) full_q[b] <= 1'b1;
        else if (gives && read_bank_q == b) full_q[b] <= 1'b0;
      end

      assign words_read[b*W+:W] = words_q[read_at_i];
    end
  endgenerate

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      write_bank_q <= 1'b0;
      read_bank_q  <= 1'b0;
      read_word_q  <= '0;
    end else begin
      if (hands) write_bank_q <= !write_bank_q;
      if (gives) read_bank_q <= !read_bank_q;
      if (read_i && read_full_o) read_word_q <= read_bank_q ? words_read[W+:W] : words_read[0+:W];
    end
  end

  assign write_bank_o = write_bank_q;
  assign read_bank_o  = read_bank_q;
  assign read_word_o  = read_word_q;
  assign full_o       = full_q;
endmodule

`default_nettype wire
