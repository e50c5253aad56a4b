// Systolic array in which an operand stays: ROWS x COLS multiply-adders, with skew and preload behind the work.
//
// Function    the operand of a tile of R rows loads from the top, its last row first, in R cycles; column j gets its words j cycles later.
//             A step brings one word for each row; row i gets its word i cycles later. Sums move down and leave through the bottom.
// Latency     a step that enters in cycle 0 leaves column j in cycle ROWS + j.
// Throughput  a step a cycle; a tile may start when its operand has loaded and the steps before have entered.
// Overflow    sums wrap modulo 2^CW.
`default_nettype none

module systolic_ws #(
    parameter int ROWS = 4,
    parameter int COLS = 4,
    parameter int AW   = 8,
    parameter int BW   = 8,
    parameter int CW   = 32
) (
    input  logic               clk_i,
    input  logic               rst_i,
    input  logic               valid_i,
    input  logic               first_i,       // of a tile: its operand comes into use
    input  logic [ROWS*AW-1:0] a_i,           // 0 in rows that the tile does not use
    input  logic [COLS-1:0]    load_i,        // columns that the operand has
    input  logic               load_first_i,  // of an operand
    input  logic [COLS*BW-1:0] w_i,
    output logic [COLS*CW-1:0] z_o,
    output logic [COLS-1:0]    z_valid_o
);
  localparam int LANE_A = AW + 2;
  localparam int LANE_W = BW + 2;

  logic [AW-1:0] a[ROWS][COLS+1];
  logic valid[ROWS][COLS+1];
  logic first[ROWS][COLS+1];
  logic [BW-1:0] v[ROWS+1][COLS];
  logic [CW-1:0] p[ROWS+1][COLS];

  genvar r, c;
  generate
    for (r = 0; r < ROWS; r++) begin : g_lane_a
      logic [LANE_A-1:0] late;
      delay_line #(.W(LANE_A), .DEPTH(r)) u_skew (.clk_i, .rst_i, .word_i({valid_i, first_i, a_i[r*AW+:AW]}), .word_o(late));
      assign {valid[r][0], first[r][0], a[r][0]} = late;
    end
    for (c = 0; c < COLS; c++) begin : g_col
      // rows that have been reached by the operand that loads: none moves in a row that it has not come to
      logic [LANE_W-1:0] late;
      logic load, load_first;
      logic [ROWS-1:0] loads;
      delay_line #(.W(LANE_W), .DEPTH(c)) u_skew (.clk_i, .rst_i, .word_i({load_i[c], load_first_i, w_i[c*BW+:BW]}), .word_o(late));
      assign {load, load_first, v[0][c]} = late;
      assign p[0][c] = '0;
      if (ROWS == 1) begin : g_single
        logic unused;
        assign unused = load_first;
      end
      for (r = 0; r < ROWS; r++) begin : g_row
        if (r == 0) begin : g_top
          assign loads[r] = load;
        end else begin : g_below
          assign loads[r] = load && !load_first && g_row[r-1].g_reach.reached_q;
        end
        if (r < ROWS - 1) begin : g_reach
          logic reached_q;
          always_ff @(posedge clk_i) begin
            if (rst_i) reached_q <= 1'b0;
            else reached_q <= loads[r];
          end
        end
        pe_ws #(.AW(AW), .BW(BW), .CW(CW)) u_pe (
            .clk_i, .rst_i,
            .a_i(a[r][c]), .valid_i(valid[r][c]), .first_i(first[r][c]),
            .load_i(loads[r]), .v_i(v[r][c]), .p_i(p[r][c]),
            .a_o(a[r][c+1]), .valid_o(valid[r][c+1]), .first_o(first[r][c+1]),
            .v_o(v[r+1][c]), .p_o(p[r+1][c])
        );
      end
      assign z_o[c*CW+:CW] = p[ROWS][c];
      assign z_valid_o[c]  = valid[ROWS-1][c+1];
    end
  endgenerate
endmodule

`default_nettype wire
