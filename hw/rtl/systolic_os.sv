// Systolic array in which results stay: ROWS x COLS multiply-adders, with skew and drain.
//
// Function    a step of a tile enters with one word of a for each row and one of b for each column; row i and column j get theirs i and j
//             cycles later. When a column has all its sums they leave through the bottom, the lowest row of the array first.
// Latency     a tile of R rows, C columns and K steps that starts in cycle 0 has left in cycle K + R + C - 2 + ROWS.
// Throughput  a step a cycle; the next tile may start K, or K + R less its own steps, cycles after this one, whichever is more.
// Overflow    sums wrap modulo 2^CW.
`default_nettype none

module systolic_os #(
    parameter int ROWS = 4,
    parameter int COLS = 4,
    parameter int AW   = 8,
    parameter int BW   = 8,
    parameter int CW   = 32
) (
    input  logic               clk_i,
    input  logic               rst_i,
    input  logic               valid_i,
    input  logic               first_i,
    input  logic               last_i,
    input  logic [ROWS-1:0]    rows_i,    // rows that the tile uses, from 0 on
    input  logic [COLS-1:0]    cols_i,    // columns that it uses, from 0 on
    input  logic [ROWS*AW-1:0] a_i,
    input  logic [COLS*BW-1:0] b_i,
    output logic [COLS*CW-1:0] z_o,
    output logic [COLS-1:0]    z_valid_o
);
  localparam int LANE_A = AW + 4;
  localparam int LANE_B = BW + 1;

  // between elements: [row][column], the last of each is what leaves
  logic [AW-1:0] a[ROWS][COLS+1];
  logic a_valid[ROWS][COLS+1];
  logic first[ROWS][COLS+1];
  logic last[ROWS][COLS+1];
  logic bottom[ROWS][COLS+1];
  logic [BW-1:0] b[ROWS+1][COLS];
  logic b_valid[ROWS+1][COLS];
  logic [CW-1:0] d[ROWS+1][COLS];
  logic d_valid[ROWS+1][COLS];

  genvar r, c;
  generate
    for (r = 0; r < ROWS; r++) begin : g_lane_a
      logic [LANE_A-1:0] lane, late;
      logic used, is_bottom;
      assign used = valid_i && rows_i[r];
      if (r == ROWS - 1) begin : g_bottom
        assign is_bottom = 1'b1;
      end else begin : g_above
        assign is_bottom = !rows_i[r+1];
      end
      assign lane = {used, first_i, last_i, is_bottom, a_i[r*AW+:AW]};
      delay_line #(.W(LANE_A), .DEPTH(r)) u_skew (.clk_i, .rst_i, .word_i(lane), .word_o(late));
      assign {a_valid[r][0], first[r][0], last[r][0], bottom[r][0], a[r][0]} = late;
    end
    for (c = 0; c < COLS; c++) begin : g_lane_b
      logic [LANE_B-1:0] lane, late;
      assign lane = {valid_i && cols_i[c], b_i[c*BW+:BW]};
      delay_line #(.W(LANE_B), .DEPTH(c)) u_skew (.clk_i, .rst_i, .word_i(lane), .word_o(late));
      assign {b_valid[0][c], b[0][c]} = late;
      assign d[0][c] = '0;
      assign d_valid[0][c] = 1'b0;
    end
    for (c = 0; c < COLS; c++) begin : g_col
      // a token starts when a column has its last sum, and goes down a row a cycle: rows from its own on shift
      logic [ROWS-1:0] token_q, shifts, dones;
      for (r = 0; r < ROWS; r++) begin : g_row
        assign shifts[r] = |token_q[r:0];
        pe_os #(.AW(AW), .BW(BW), .CW(CW)) u_pe (
            .clk_i, .rst_i,
            .a_i(a[r][c]), .a_valid_i(a_valid[r][c]), .first_i(first[r][c]), .last_i(last[r][c]), .bottom_i(bottom[r][c]),
            .b_i(b[r][c]), .b_valid_i(b_valid[r][c]),
            .shift_i(shifts[r]), .d_i(d[r][c]), .d_valid_i(d_valid[r][c]),
            .a_o(a[r][c+1]), .a_valid_o(a_valid[r][c+1]), .first_o(first[r][c+1]), .last_o(last[r][c+1]), .bottom_o(bottom[r][c+1]),
            .b_o(b[r+1][c]), .b_valid_o(b_valid[r+1][c]),
            .d_o(d[r+1][c]), .d_valid_o(d_valid[r+1][c]), .done_o(dones[r])
        );
      end
      always_ff @(posedge clk_i) begin
        if (rst_i) token_q <= '0;
        else token_q <= (token_q << 1) | ROWS'(|dones);
      end
      assign z_o[c*CW+:CW] = d[ROWS][c];
      assign z_valid_o[c]  = d_valid[ROWS][c] && (token_q != '0);
    end
  endgenerate
endmodule

`default_nettype wire
