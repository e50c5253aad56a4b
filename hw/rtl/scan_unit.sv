// Scan of pairs: h[t] = a[t] * h[t-1] + b[t], WIDTH steps at a time.
//
// Function    stages combine pairs, all at distances 1, 2, 4, ... (FORM 0, Kogge-Stone) or up a tree and down again (FORM 1, Brent-Kung);
//             the last brings in the h before the vector. WIDTH 1 is a serial scan. `load` sets the h before the next vector; the unit has
//             to be empty then.
// Latency     1 cycle and one for each combining stage: log2(WIDTH), rounded up, or nearly twice as many with a tree.
// Throughput  a vector a cycle; a stage takes the next where it is empty or is being emptied.
// Overflow    sums and products wrap modulo 2^W.
`default_nettype none

module scan_unit #(
    parameter int WIDTH = 8,   // pairs of a vector
    parameter int W     = 16,  // bits of a word
    parameter int FORM  = 0
) (
    input  logic               clk_i,
    input  logic               rst_i,
    input  logic               load_i,
    input  logic [W-1:0]       start_i,
    input  logic               valid_i,
    output logic               ready_o,
    input  logic [WIDTH*W-1:0] a_i,
    input  logic [WIDTH*W-1:0] b_i,
    output logic               valid_o,
    input  logic               ready_i,
    output logic [WIDTH*W-1:0] h_o,
    output logic [W-1:0]       carry_o  // the h before the vector
);
  localparam int UP    = FORM == 0 ? $clog2(WIDTH) : $clog2(WIDTH + 1) - 1;
  localparam int DOWN  = FORM == 0 ? 0 : $clog2(WIDTH / 3 + 1);
  localparam int DEPTH = UP + DOWN;  // stages that combine

  // into stage s, and out of the last
  logic [WIDTH*W-1:0] a[DEPTH+1];
  logic [WIDTH*W-1:0] b[DEPTH+1];
  logic valid[DEPTH+1];

  assign a[0]     = a_i;
  assign b[0]     = b_i;
  assign valid[0] = valid_i;

  genvar s, i;
  generate
    for (s = 0; s < DEPTH; s++) begin : g_stage
      localparam bit IS_UP = s < UP;
      localparam int DISTANCE = IS_UP ? 1 << s : 1 << (DEPTH - 1 - s);

      logic [WIDTH*W-1:0] a_q, b_q, a_next, b_next;
      logic valid_q, takes, goes;

      if (s == DEPTH - 1) begin : g_last
        assign goes = g_carry.takes;
      end else begin : g_inner
        assign goes = g_stage[s+1].takes;
      end
      assign takes = !valid_q || goes;

      for (i = 0; i < WIDTH; i++) begin : g_pair
        localparam bit COMBINES = FORM == 0 ? i >= DISTANCE :
            IS_UP ? (i + 1) % (2 * DISTANCE) == 0 : i + 1 >= 3 * DISTANCE && (i + 1) % (2 * DISTANCE) == DISTANCE;
        if (COMBINES) begin : g_combine
          assign a_next[i*W+:W] = a[s][i*W+:W] * a[s][(i-DISTANCE)*W+:W];
          assign b_next[i*W+:W] = a[s][i*W+:W] * b[s][(i-DISTANCE)*W+:W] + b[s][i*W+:W];
        end else begin : g_pass
          assign a_next[i*W+:W] = a[s][i*W+:W];
          assign b_next[i*W+:W] = b[s][i*W+:W];
        end
      end

      always_ff @(posedge clk_i) begin
        if (rst_i) begin
          a_q     <= '0;
          b_q     <= '0;
          valid_q <= 1'b0;
        end else if (takes) begin
          valid_q <= valid[s];
          if (valid[s]) begin
            a_q <= a_next;
            b_q <= b_next;
          end
        end
      end

      assign a[s+1]     = a_q;
      assign b[s+1]     = b_q;
      assign valid[s+1] = valid_q;
    end

    if (1) begin : g_carry
      logic [WIDTH*W-1:0] h, h_q;
      logic [W-1:0] carry_q, next_q;  // the h before the vector that is here, and before the next
      logic valid_q, takes;

      assign takes = !valid_q || ready_i;
      for (i = 0; i < WIDTH; i++) begin : g_step
        assign h[i*W+:W] = a[DEPTH][i*W+:W] * next_q + b[DEPTH][i*W+:W];
      end

      always_ff @(posedge clk_i) begin
        if (rst_i) begin
          h_q     <= '0;
          carry_q <= '0;
          next_q  <= '0;
          valid_q <= 1'b0;
        end else begin
          if (takes) begin
            valid_q <= valid[DEPTH];
            if (valid[DEPTH]) begin
              h_q     <= h;
              carry_q <= next_q;
              next_q  <= h[(WIDTH-1)*W+:W];
            end
          end
          if (load_i) next_q <= start_i;
        end
      end
    end

    if (DEPTH == 0) begin : g_serial
      assign ready_o = g_carry.takes;
    end else begin : g_parallel
      assign ready_o = g_stage[0].takes;
    end
  endgenerate

  assign valid_o = g_carry.valid_q;
  assign h_o     = g_carry.h_q;
  assign carry_o = g_carry.carry_q;
endmodule

`default_nettype wire
