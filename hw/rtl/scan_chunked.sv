// Scan of pairs in chunks: h[t] = a[t] * h[t-1] + b[t], LANES chunks of CHUNK steps side by side.
//
// Function    a block has LANES * CHUNK steps, lane l those from l * CHUNK on; step k of every lane goes in together, and comes out so.
//             Lanes scan their chunks (lh, and lg, the product of a so far); then a carry, the h before a lane, goes from lane to lane;
//             then h = lg * carry + lh, step by step, while the next block is scanned into the words that have been used. `load` sets the
//             h before the next block; the unit has to be empty then. A block that is not full is filled up with (1, 0).
// Latency     step k of a block that is full in cycle c is in h at the end of cycle c + LANES + 1 + k, and leaves one cycle later.
// Throughput  a block every LANES + CHUNK cycles.
// Overflow    sums and products wrap modulo 2^W.
`default_nettype none

module scan_chunked #(
    parameter int LANES = 4,
    parameter int CHUNK = 8,  // steps of a lane
    parameter int W     = 16  // bits of a word
) (
    input  logic               clk_i,
    input  logic               rst_i,
    input  logic               load_i,
    input  logic [W-1:0]       start_i,
    input  logic               valid_i,
    output logic               ready_o,
    input  logic [LANES*W-1:0] a_i,
    input  logic [LANES*W-1:0] b_i,
    output logic               valid_o,
    input  logic               ready_i,
    output logic [LANES*W-1:0] h_o
);
  localparam int SW = $clog2(CHUNK + 1);
  localparam int LW = $clog2(LANES + 1);

  logic [SW-1:0] scanned_q;          // steps of the block that comes in
  logic [LW-1:0] lane_q;             // which carry is next
  logic [SW-1:0] step_q;             // which h is next
  logic completes_q, valid_q;        // a block has its carries; h is there
  logic [LANES*W-1:0] carry_q, h_q;
  logic [W-1:0] next_q;              // the h before lane_q

  logic [SW-1:0] past;               // the step before the one that comes in
  logic free, enters, carries, carries_last, makes, makes_last;
  logic [LANES*W-1:0] h, lh_end, lg_end;

  assign makes        = completes_q && (!valid_q || ready_i);
  assign makes_last   = makes && step_q == SW'(CHUNK - 1);
  assign carries      = scanned_q == SW'(CHUNK);
  assign carries_last = carries && lane_q == LW'(LANES - 1);
  assign free         = !completes_q || scanned_q < step_q || (scanned_q == step_q && makes);
  assign ready_o      = scanned_q != SW'(CHUNK) && free;
  assign enters       = valid_i && ready_o;
  assign past         = scanned_q - 1'b1;

  genvar l, k;
  generate
    for (l = 0; l < LANES; l++) begin : g_lane
      logic [CHUNK*W-1:0] lh_q, lg_q;
      logic [W-1:0] a, b, lh, lg, lh_old, lg_old;

      assign a      = a_i[l*W+:W];
      assign b      = b_i[l*W+:W];
      assign lh_old = lh_q[past*W+:W];
      assign lg_old = lg_q[past*W+:W];
      assign lh     = scanned_q == '0 ? b : a * lh_old + b;
      assign lg     = scanned_q == '0 ? a : a * lg_old;

      for (k = 0; k < CHUNK; k++) begin : g_step
        always_ff @(posedge clk_i) begin
          if (rst_i) begin
            lh_q[k*W+:W] <= '0;
            lg_q[k*W+:W] <= '0;
          end else if (enters && scanned_q == SW'(k)) begin
            lh_q[k*W+:W] <= lh;
            lg_q[k*W+:W] <= lg;
          end
        end
      end

      assign lh_end[l*W+:W] = lh_q[(CHUNK-1)*W+:W];
      assign lg_end[l*W+:W] = lg_q[(CHUNK-1)*W+:W];
      assign h[l*W+:W]      = lg_q[step_q*W+:W] * carry_q[l*W+:W] + lh_q[step_q*W+:W];

      always_ff @(posedge clk_i) begin
        if (rst_i) carry_q[l*W+:W] <= '0;
        else if (carries && lane_q == LW'(l)) carry_q[l*W+:W] <= next_q;
      end
    end
  endgenerate

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      scanned_q   <= '0;
      lane_q      <= '0;
      step_q      <= '0;
      completes_q <= 1'b0;
      valid_q     <= 1'b0;
      h_q         <= '0;
      next_q      <= '0;
    end else begin
      if (carries_last) scanned_q <= '0;
      else if (enters) scanned_q <= scanned_q + 1'b1;

      if (carries_last) lane_q <= '0;
      else if (carries) lane_q <= lane_q + 1'b1;

      if (makes_last) step_q <= '0;
      else if (makes) step_q <= step_q + 1'b1;

      if (carries_last) completes_q <= 1'b1;
      else if (makes_last) completes_q <= 1'b0;

      if (makes) valid_q <= 1'b1;
      else if (ready_i) valid_q <= 1'b0;
      if (makes) h_q <= h;

      if (load_i) next_q <= start_i;
      else if (carries) next_q <= lg_end[lane_q*W+:W] * next_q + lh_end[lane_q*W+:W];
    end
  end

  assign valid_o = valid_q;
  assign h_o     = h_q;
endmodule

`default_nettype wire
