// Proves of the extended Hamming code, for words of 4 and 8 bits, whatever they are: if no bit of the code word is inverted the word comes
// back and no flag is raised; one inverted bit is corrected and flagged as single; any two are flagged as double and not as single.
// There are no registers: one step is all there is.
// steps: 1 unrolled
// seeded bug: secded_decode.sv: assign odd = ^code_i; => assign odd = ^code_i[CODE-1:1];
// seeded bug: secded_decode.sv: odd && syndrome == C'(p) => syndrome == C'(p)
// seeded bug: secded_decode.sv: code_i[p] ^ flips[p] => code_i[p]
// seeded bug: secded_decode.sv: (odd || syndrome != '0) => odd
// seeded bug: secded_encode.sv: {hamming, ^hamming} => {hamming, ^spread}
`default_nettype none

module secded (
    input logic        clk_i,
    input logic [3:0]  small_i,
    input logic [7:0]  small_flip_i,
    input logic [7:0]  large_i,
    input logic [12:0] large_flip_i
);
  logic [7:0] small_code;
  logic [12:0] large_code;
  logic [3:0] small_data;
  logic [7:0] large_data;
  logic small_single, small_double, large_single, large_double;

  secded_encode #(.W(4)) u_small_encode (.data_i(small_i), .code_o(small_code));
  secded_encode #(.W(8)) u_large_encode (.data_i(large_i), .code_o(large_code));
  secded_decode #(.W(4)) u_small_decode (
      .code_i(small_code ^ small_flip_i), .data_o(small_data), .single_o(small_single), .double_o(small_double)
  );
  secded_decode #(.W(8)) u_large_decode (
      .code_i(large_code ^ large_flip_i), .data_o(large_data), .single_o(large_single), .double_o(large_double)
  );

  // flips less its lowest bit, and less the next
  logic [7:0] small_less_one, small_less_two;
  logic [12:0] large_less_one, large_less_two;
  assign small_less_one = small_flip_i & (small_flip_i - 8'd1);
  assign small_less_two = small_less_one & (small_less_one - 8'd1);
  assign large_less_one = large_flip_i & (large_flip_i - 13'd1);
  assign large_less_two = large_less_one & (large_less_one - 13'd1);

  always @* begin
    if (small_flip_i == '0) assert (small_data == small_i && !small_single && !small_double);
    else if (small_less_one == '0) assert (small_data == small_i && small_single && !small_double);
    else if (small_less_two == '0) assert (!small_single && small_double);
    if (large_flip_i == '0) assert (large_data == large_i && !large_single && !large_double);
    else if (large_less_one == '0) assert (large_data == large_i && large_single && !large_double);
    else if (large_less_two == '0) assert (!large_single && large_double);
  end
endmodule

`default_nettype wire
