// Memory of words that survive a wrong bit.
//
// Function    a word is stored as the code word of `secded_encode`; what is read is corrected and flagged as `secded_decode` says. What is
//             stored stays wrong until it is written again. Bits in `flip` are stored inverted, to test what follows.
// Latency     1 cycle from read to word and flags; flags are low when nothing was read, the word stays. A read of what is written in the
//             same cycle gives the word before.
// Throughput  a read and a write a cycle.
// Overflow    none; addresses lie below WORDS. Words are undefined until they are written.
`default_nettype none

module secded_memory #(
    parameter  int W     = 8,                                // bits of a word
    parameter  int WORDS = 16,
    localparam int AW    = WORDS > 1 ? $clog2(WORDS) : 1,    // bits of an address
    localparam int C     = $clog2(W + $clog2(W + 1) + 1),    // check bits
    localparam int CODE  = W + C + 1                         // bits of a code word
) (
    input  logic            clk_i,
    input  logic            rst_i,
    input  logic            write_i,
    input  logic [AW-1:0]   write_address_i,
    input  logic [W-1:0]    write_data_i,
    input  logic [CODE-1:0] flip_i,
    input  logic            read_i,
    input  logic [AW-1:0]   read_address_i,
    output logic            read_valid_o,
    output logic [W-1:0]    read_data_o,
    output logic            single_o,
    output logic            double_o
);
  logic [CODE-1:0] words_q[WORDS];
  logic [CODE-1:0] code, code_q;
  logic valid_q, single, double;

  secded_encode #(.W(W)) u_encode (.data_i(write_data_i), .code_o(code));
  secded_decode #(.W(W)) u_decode (.code_i(code_q), .data_o(read_data_o), .single_o(single), .double_o(double));

  always_ff @(posedge clk_i) begin
    if (write_i) words_q[write_address_i] <= code ^ flip_i;
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      code_q  <= '0;
      valid_q <= 1'b0;
    end else begin
      if (read_i) code_q <= words_q[read_address_i];
      valid_q <= read_i;
    end
  end

  assign read_valid_o = valid_q;
  assign single_o     = valid_q && single;
  assign double_o     = valid_q && double;
endmodule

`default_nettype wire
