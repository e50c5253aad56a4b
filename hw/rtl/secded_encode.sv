// Encoder of an extended Hamming code: single errors can be corrected, double errors detected.
//
// Function    place p of the code word, from 1 on, holds check bit k where p = 2^k and the next bit of data elsewhere; check bit k makes the
//             parity of all places whose number has bit k set even, and place 0 the parity of the whole word.
// Latency     none, combinational. Throughput: one word a cycle. Overflow: none.
`default_nettype none

module secded_encode #(
    parameter  int W    = 8,                                // bits of a word
    localparam int C    = $clog2(W + $clog2(W + 1) + 1),    // check bits: the fewest with 2^C > W + C
    localparam int CODE = W + C + 1                         // bits of a code word
) (
    input  logic [W-1:0]    data_i,
    output logic [CODE-1:0] code_o
);
  logic [CODE-1:1] spread, hamming;
  logic [C-1:0] checks;

  genvar p;
  generate
    for (p = 1; p < CODE; p++) begin : g_place
      if ((p & (p - 1)) == 0) begin : g_check
        assign spread[p]  = 1'b0;
        assign hamming[p] = checks[$clog2(p)];
      end else begin : g_data
        assign spread[p]  = data_i[p-1-$clog2(p)];
        assign hamming[p] = spread[p];
      end
    end
  endgenerate

  always_comb begin
    checks = '0;
    for (int k = 1; k < CODE; k++) begin
      if (spread[k]) checks = checks ^ C'(k);
    end
  end

  assign code_o = {hamming, ^hamming};
endmodule

`default_nettype wire
