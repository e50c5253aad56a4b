// exp of a fixed-point number that is not above 0; the twin of accelsim.workload.fixed.exp.
//
// Function    y = exp(x), 1.0 being 1 << OF; x above 0 counts as 0. exp(x) is 2^-(k + f): 2^-f is a polynomial of degree 4, one step a
//             stage, and k shifts it. A tag travels with each word. G + OF has to be below 30.
// Latency     6 cycles. Throughput: one word a cycle; a stage takes the next where it is empty or is being emptied.
// Rounding    products are cut off at OF + G fraction bits, y is rounded half up. With 16.8 bits in and OF = 15, y is within 0.7 of its last
//             place.
// Overflow    none: y is at most 1.0.
`default_nettype none

module exp_pe #(
    parameter int XW = 16,  // bits of x, signed
    parameter int XF = 8,   // fraction bits of x
    parameter int OF = 15,  // fraction bits of y
    parameter int G  = 5,   // more fraction bits inside, at least 1
    parameter int TW = 1    // bits of a tag
) (
    input  logic          clk_i,
    input  logic          rst_i,
    input  logic          valid_i,
    output logic          ready_o,
    input  logic [XW-1:0] x_i,
    input  logic [TW-1:0] tag_i,
    output logic          valid_o,
    input  logic          ready_i,
    output logic [OF:0]   y_o,
    output logic [TW-1:0] tag_o
);
  localparam int CF    = OF + G;              // fraction bits inside
  localparam int SW    = XW + CF + 1;         // bits of -x * log2(e), with XF more fraction bits
  localparam int KW    = $clog2(OF + 3);      // bits of k, of which nothing is left from OF + 2 on
  localparam int MW    = 2 * CF + 1;          // bits of f * power
  localparam int STEPS = 4;                   // of the polynomial
  localparam int LAST  = STEPS + 1;           // stage that shifts; stage 0 finds k and f

  // constants, with 30 fraction bits, and rounded: 2^-f = 1 - c1 f + c2 f^2 - c3 f^3 + c4 f^4
  localparam logic [31:0] HALF = 32'd1 << (29 - CF);
  localparam logic [CF:0] LOG2_E = (CF + 1)'((32'd1549082005 + HALF) >> (30 - CF));
  localparam logic [CF:0] C1 = (CF + 1)'((32'd744227394 + HALF) >> (30 - CF));
  localparam logic [CF:0] C2 = (CF + 1)'((32'd257296441 + HALF) >> (30 - CF));
  localparam logic [CF:0] C3 = (CF + 1)'((32'd57293836 + HALF) >> (30 - CF));
  localparam logic [CF:0] C4 = (CF + 1)'((32'd7353877 + HALF) >> (30 - CF));
  localparam logic [CF:0] ONE = (CF + 1)'(1) << CF;

  // a stage takes a word where it or one behind it has room
  logic [LAST:0] valid_q, takes, loads;
  logic [TW-1:0] tag[LAST+2];  // into each stage, and out of the last

  assign loads  = {valid_q[LAST-1:0], valid_i} & takes;
  assign tag[0] = tag_i;

  always_ff @(posedge clk_i) begin
    if (rst_i) valid_q <= '0;
    else valid_q <= loads | (valid_q & ~takes);
  end

  genvar s;
  generate
    for (s = 0; s <= LAST; s++) begin : g_stage
      logic [TW-1:0] tag_q;

      assign takes[s] = ready_i || !(&valid_q[LAST:s]);

      always_ff @(posedge clk_i) begin
        if (rst_i) tag_q <= '0;
        else if (loads[s]) tag_q <= tag[s];
      end

      assign tag[s+1] = tag_q;
    end
  endgenerate

  // k and f into a step, and the polynomial so far
  logic [KW-1:0] k[STEPS+1];
  logic [CF-1:0] f[STEPS+1];
  logic [CF:0] power[STEPS+1];

  // stage 0: k and f
  logic [XW-1:0] depth;
  logic [SW-XF-1:0] scaled;
  logic [SW-XF-CF-1:0] whole;
  logic [KW-1:0] k_q;
  logic [CF-1:0] f_q;

  assign depth  = x_i[XW-1] ? -x_i : '0;
  assign scaled = (SW - XF)'((SW'(depth) * SW'(LOG2_E)) >> XF);
  assign whole  = scaled[SW-XF-1:CF];

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      k_q <= '0;
      f_q <= '0;
    end else if (loads[0]) begin
      k_q <= 32'(whole) > OF + 2 ? KW'(OF + 2) : KW'(whole);
      f_q <= scaled[CF-1:0];
    end
  end

  assign k[0]     = k_q;
  assign f[0]     = f_q;
  assign power[0] = C4;

  // the polynomial: power = c - f * power
  generate
    for (s = 0; s < STEPS; s++) begin : g_step
      localparam logic [CF:0] C = s == 0 ? C3 : s == 1 ? C2 : s == 2 ? C1 : ONE;
      logic [KW-1:0] deep_q;
      logic [CF-1:0] part_q;
      logic [CF:0] power_q;

      always_ff @(posedge clk_i) begin
        if (rst_i) begin
          deep_q  <= '0;
          part_q  <= '0;
          power_q <= '0;
        end else if (loads[s+1]) begin
          deep_q  <= k[s];
          part_q  <= f[s];
          power_q <= C - (CF + 1)'((MW'(f[s]) * MW'(power[s])) >> CF);
        end
      end

      assign k[s+1]     = deep_q;
      assign f[s+1]     = part_q;
      assign power[s+1] = power_q;
    end
  endgenerate

  // the last stage: shift and round
  logic [OF+1:0] shifted;  // with the bit that decides
  logic [OF:0] y_q;

  assign shifted = (OF + 2)'(power[STEPS] >> (G - 1)) >> k[STEPS];

  always_ff @(posedge clk_i) begin
    if (rst_i) y_q <= '0;
    else if (loads[LAST]) y_q <= (OF + 1)'((shifted + (OF + 2)'(1)) >> 1);
  end

  assign ready_o = takes[0];
  assign valid_o = valid_q[LAST];
  assign y_o     = y_q;
  assign tag_o   = tag[LAST+1];
endmodule

`default_nettype wire
