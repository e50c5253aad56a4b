// Decoder of the extended Hamming code of `secded_encode`.
//
// Function    one wrong bit, of data or of check bits, is corrected and flagged as single; two, and any other error that no single wrong bit
//             explains, are flagged as double, and the data are then as they stand. Three wrong bits or more may look like one, or like none.
// Latency     none, combinational. Throughput: one word a cycle. Overflow: none.
`default_nettype none

module secded_decode #(
    parameter  int W    = 8,                                // bits of a word
    localparam int C    = $clog2(W + $clog2(W + 1) + 1),    // check bits: the fewest with 2^C > W + C
    localparam int CODE = W + C + 1                         // bits of a code word
) (
    input  logic [CODE-1:0] code_i,
    output logic [W-1:0]    data_o,
    output logic            single_o,
    output logic            double_o
);
  logic [C-1:0] syndrome;     // the place that is wrong, if one is
  logic odd;                  // an odd number of bits is wrong
  logic [CODE-1:0] flips;     // the bit to correct

  always_comb begin
    syndrome = '0;
    for (int k = 1; k < CODE; k++) begin
      if (code_i[k]) syndrome = syndrome ^ C'(k);
    end
  end
  assign odd = ^code_i;

  genvar p;
  generate
    for (p = 0; p < CODE; p++) begin : g_place
      assign flips[p] = odd && syndrome == C'(p);
      if ((p & (p - 1)) != 0) begin : g_data
        assign data_o[p-1-$clog2(p)] = code_i[p] ^ flips[p];
      end
    end
  endgenerate

  assign single_o = |flips;
  assign double_o = (odd || syndrome != '0) && !single_o;
endmodule

`default_nettype wire
