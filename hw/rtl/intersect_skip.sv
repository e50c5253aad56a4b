// Intersection of two streams of sorted coordinates that skips runs of up to S coordinates in a cycle.
//
// Function    each side shows the next `count` coordinates of its fiber, 0 to S of them, in strictly rising order, the first in the low bits,
//             and is told how many to drop with this edge. `end` says that no more follow what is shown; it may come with the last of them
//             or later. What is shown stays until it is dropped, more may join it; a side that shows nothing and no end is waited for.
//             Let the head be the first coordinate, and above all others where a fiber has ended. The side with the smaller head drops all
//             that it shows below the other head, and the other side none. Equal heads are a match: both sides drop one. Where both have
//             ended, `done` tells both that the fiber is over. A match gives its coordinate and its position in both fibers, counted from
//             0; the end gives an end mark with the lengths of both fibers as positions and coordinate 0. S = 1 is `intersect_two_finger`.
// Latency     a match is out one edge after its comparison. Where windows are as full as they can be, a match takes 1 cycle, L coordinates
//             of one side between two of the other (or before the first, or after the last) ceil(L / S), and the end 1.
// Throughput  one match, or S coordinates skipped, a cycle; a skip waits for no room.
// Overflow    positions wrap modulo 2^PW.
`default_nettype none

module intersect_skip #(
    parameter  int S  = 4,     // coordinates of a window
    parameter  int CW = 16,    // bits of a coordinate
    parameter  int PW = 16,    // bits of a position
    localparam int DW = $clog2(S + 1)
) (
    input  logic            clk_i,
    input  logic            rst_i,
    input  logic [S*CW-1:0] a_coordinates_i,
    input  logic [DW-1:0]   a_count_i,
    input  logic            a_end_i,
    output logic [DW-1:0]   a_drop_o,
    input  logic [S*CW-1:0] b_coordinates_i,
    input  logic [DW-1:0]   b_count_i,
    input  logic            b_end_i,
    output logic [DW-1:0]   b_drop_o,
    output logic            done_o,            // with this edge both fibers are over, what is shown next is of the next ones
    output logic            z_valid_o,
    input  logic            z_ready_i,
    output logic [CW-1:0]   z_coordinate_o,
    output logic [PW-1:0]   z_a_position_o,
    output logic [PW-1:0]   z_b_position_o,
    output logic            z_end_o
);
  logic [PW-1:0] a_position_q, b_position_q, z_a_position_q, z_b_position_q;
  logic [CW-1:0] z_coordinate_q;
  logic z_valid_q, z_end_q;

  logic [CW-1:0] a_head, b_head;
  logic [S-1:0] a_below, b_below;    // coordinates below the head of the other side
  logic [DW-1:0] a_run, b_run;
  logic a_empty, b_empty, knows, meets, has_room, takes;

  assign a_head  = a_coordinates_i[CW-1:0];
  assign b_head  = b_coordinates_i[CW-1:0];
  assign a_empty = a_count_i == '0;
  assign b_empty = b_count_i == '0;

  genvar s;
  generate
    for (s = 0; s < S; s++) begin : g_slot
      assign a_below[s] = DW'(s) < a_count_i && (b_empty || a_coordinates_i[s*CW+:CW] < b_head);
      assign b_below[s] = DW'(s) < b_count_i && (a_empty || b_coordinates_i[s*CW+:CW] < a_head);
    end
  endgenerate

  always_comb begin
    a_run = '0;
    b_run = '0;
    for (int k = 0; k < S; k++) begin
      a_run = a_run + DW'(a_below[k]);
      b_run = b_run + DW'(b_below[k]);
    end
  end

  assign knows    = (!a_empty || a_end_i) && (!b_empty || b_end_i);
  assign meets    = !a_below[0] && !b_below[0];
  assign has_room = !z_valid_q || z_ready_i;
  assign takes    = knows && meets && has_room;

  assign a_drop_o = takes && !a_empty ? DW'(1) : knows ? a_run : '0;
  assign b_drop_o = takes && !b_empty ? DW'(1) : knows ? b_run : '0;
  assign done_o   = takes && a_empty;

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      a_position_q   <= '0;
      b_position_q   <= '0;
      z_valid_q      <= 1'b0;
      z_coordinate_q <= '0;
      z_a_position_q <= '0;
      z_b_position_q <= '0;
      z_end_q        <= 1'b0;
    end else begin
      a_position_q <= done_o ? '0 : a_position_q + PW'(a_drop_o);
      b_position_q <= done_o ? '0 : b_position_q + PW'(b_drop_o);
      if (takes) begin
        z_valid_q      <= 1'b1;
        z_coordinate_q <= a_empty ? '0 : a_head;
        z_a_position_q <= a_position_q;
        z_b_position_q <= b_position_q;
        z_end_q        <= a_empty;
      end else if (z_ready_i) begin
        z_valid_q <= 1'b0;
      end
    end
  end

  assign z_valid_o      = z_valid_q;
  assign z_coordinate_o = z_coordinate_q;
  assign z_a_position_o = z_a_position_q;
  assign z_b_position_o = z_b_position_q;
  assign z_end_o        = z_end_q;
endmodule

`default_nettype wire
