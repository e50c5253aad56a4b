// Proves that a reader of a double buffer gets, from any place of a bank, the last word that was put there before the bank was handed over,
// whatever the writer does meanwhile, and that a word stays until the next read.
// steps: 10
// seeded bug: double_buffer.sv: if (write_i && write_free_o && write_bank_q == b) => if (write_i && write_bank_q == b)
// seeded bug: double_buffer.sv: if (write_i && write_free_o && write_bank_q == b) => if (write_i && write_free_o)
// seeded bug: double_buffer.sv: read_word_q <= read_bank_q ? => read_word_q <= write_bank_q ?
// seeded bug: double_buffer.sv: if (read_i && read_full_o) => if (read_i)
`default_nettype none

module double_buffer_words (
    input logic       clk_i,
    input logic       rst_i,
    input logic       write_i,
    input logic [1:0] write_at_i,
    input logic [1:0] write_word_i,
    input logic       write_done_i,
    input logic       read_i,
    input logic [1:0] read_at_i,
    input logic       read_done_i,
    input logic [1:0] place_i       // that is looked at: that of the first cycle counts
);
  logic write_free, write_bank, read_full, read_bank, began_q;
  logic [1:0] read_word, full;
  // the place; the last word put there in even and in odd turns of the writer, and whether one was; whose turn each side has
  logic [1:0] place_q, word0_q, word1_q, known_q;
  logic turn_q, head_q;
  // what a read of the place has to give, from the next cycle on
  logic [1:0] expected_q;
  logic expects_q;

  double_buffer #(.W(2), .WORDS(3)) u_buffer (
      .clk_i, .rst_i, .write_free_o(write_free), .write_bank_o(write_bank), .write_i, .write_at_i, .write_word_i, .write_done_i,
      .read_full_o(read_full), .read_bank_o(read_bank), .read_i, .read_at_i, .read_word_o(read_word), .read_done_i, .full_o(full)
  );

  initial began_q = 1'b0;

  always @(posedge clk_i) begin
    began_q <= 1'b1;
    if (!began_q) begin
      place_q    <= place_i;
      turn_q     <= 1'b0;
      head_q     <= 1'b0;
      known_q    <= '0;
      expects_q  <= 1'b1;
      expected_q <= '0;
    end else begin
      if (write_free && write_i && write_at_i == place_q) begin
        if (turn_q) word1_q <= write_word_i;
        else word0_q <= write_word_i;
        known_q[turn_q] <= 1'b1;
      end
      if (write_free && write_done_i) turn_q <= !turn_q;
      if (read_full && read_i) begin
        expects_q  <= read_at_i == place_q && known_q[head_q];
        expected_q <= head_q ? word1_q : word0_q;
      end
      if (read_full && read_done_i) head_q <= !head_q;
    end
  end

  always @* begin
    assume (rst_i == !began_q);
    assume (place_i < 3);
    assume (write_at_i < 3);
    assume (read_at_i < 3);
    if (began_q && expects_q) assert (read_word == expected_q);
  end
endmodule

`default_nettype wire
