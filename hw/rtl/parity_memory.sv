// Memory of words with a parity bit each.
//
// Function    a word is stored with a bit that makes its parity even; a word read with an odd number of wrong bits is flagged, not corrected.
//             Bits in `flip` are stored inverted, the parity bit being the highest, to test what follows.
// Latency     1 cycle from read to word and flag; the flag is low when nothing was read, the word stays. A read of what is written in the
//             same cycle gives the word before.
// Throughput  a read and a write a cycle.
// Overflow    none; addresses lie below WORDS. Words are undefined until they are written.
`default_nettype none

module parity_memory #(
    parameter  int W     = 8,                               // bits of a word
    parameter  int WORDS = 16,
    localparam int AW    = WORDS > 1 ? $clog2(WORDS) : 1    // bits of an address
) (
    input  logic          clk_i,
    input  logic          rst_i,
    input  logic          write_i,
    input  logic [AW-1:0] write_address_i,
    input  logic [W-1:0]  write_data_i,
    input  logic [W:0]    flip_i,
    input  logic          read_i,
    input  logic [AW-1:0] read_address_i,
    output logic          read_valid_o,
    output logic [W-1:0]  read_data_o,
    output logic          error_o
);
  logic [W:0] words_q[WORDS];
  logic [W:0] word_q;
  logic valid_q;

  always_ff @(posedge clk_i) begin
    if (write_i) words_q[write_address_i] <= {^write_data_i, write_data_i} ^ flip_i;
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      word_q  <= '0;
      valid_q <= 1'b0;
    end else begin
      if (read_i) word_q <= words_q[read_address_i];
      valid_q <= read_i;
    end
  end

  assign read_valid_o = valid_q;
  assign read_data_o  = word_q[W-1:0];
  assign error_o      = valid_q && ^word_q;
endmodule

`default_nettype wire
