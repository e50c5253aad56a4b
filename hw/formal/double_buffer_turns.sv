// Proves of a double buffer that the writer's bank is free and the reader's full whenever they may work, and never the same one then; that
// each side takes the banks in turn from bank 0 on; and that at most two banks are handed over and not given back.
// steps: 12 induction
// seeded bug: double_buffer.sv: write_free_o = !full_q[write_bank_q] => write_free_o = !full_q[read_bank_q]
// seeded bug: double_buffer.sv: gives        = read_full_o && read_done_i => gives        = read_done_i
// seeded bug: double_buffer.sv: if (hands && write_bank_q == b) full_q[b] <= 1'b1; => if (hands && read_bank_q == b) full_q[b] <= 1'b1;
`default_nettype none

module double_buffer_turns (
    input logic       clk_i,
    input logic       rst_i,
    input logic       write_i,
    input logic       write_at_i,
    input logic [1:0] write_word_i,
    input logic       write_done_i,
    input logic       read_i,
    input logic       read_at_i,
    input logic       read_done_i
);
  logic write_free, write_bank, read_full, read_bank, began_q;
  logic [1:0] read_word, full;
  logic [3:0] handed_q, given_q, held;  // banks so far, modulo 16

  double_buffer #(.W(2), .WORDS(2)) u_buffer (
      .clk_i, .rst_i, .write_free_o(write_free), .write_bank_o(write_bank), .write_i, .write_at_i, .write_word_i, .write_done_i,
      .read_full_o(read_full), .read_bank_o(read_bank), .read_i, .read_at_i, .read_word_o(read_word), .read_done_i, .full_o(full)
  );

  initial begin
    began_q  = 1'b0;
    handed_q = '0;
    given_q  = '0;
  end

  assign held = handed_q - given_q;

  always @(posedge clk_i) begin
    began_q <= 1'b1;
    if (began_q && write_free && write_done_i) handed_q <= handed_q + 1'b1;
    if (began_q && read_full && read_done_i) given_q <= given_q + 1'b1;
  end

  always @* begin
    assume (rst_i == !began_q);
    if (!began_q) assert (handed_q == 0 && given_q == 0);
    if (began_q) begin
      assert (write_bank == handed_q[0]);
      assert (read_bank == given_q[0]);
      assert (write_free == (held != 2));
      assert (read_full == (held != 0));
      assert (held <= 2);
      assert ($countones(full) == held);
      if (write_free) assert (!full[write_bank]);
      if (read_full) assert (full[read_bank]);
      if (write_free && read_full) assert (write_bank != read_bank);
    end
  end
endmodule

`default_nettype wire
