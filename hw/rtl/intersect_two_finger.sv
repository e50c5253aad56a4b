// Intersection of two streams of sorted coordinates, one comparison a cycle.
//
// Function    a fiber is coordinates in strictly rising order, then an end mark, whose coordinate means nothing. The side with the smaller
//             coordinate advances, both do on a match; a side at its end mark waits until the other has come to its own. A match gives its
//             coordinate and its position in both fibers, counted from 0; two end marks give an end mark with the lengths of both fibers
//             as positions and coordinate 0.
// Latency     a match is out one edge after its comparison. Fibers take a cycle for every coordinate that any of them has, and one more.
// Throughput  one comparison a cycle; one that gives nothing waits for no room.
// Overflow    positions wrap modulo 2^PW.
`default_nettype none

module intersect_two_finger #(
    parameter int CW = 16,    // bits of a coordinate
    parameter int PW = 16     // bits of a position
) (
    input  logic          clk_i,
    input  logic          rst_i,
    input  logic          a_valid_i,
    output logic          a_ready_o,
    input  logic [CW-1:0] a_coordinate_i,
    input  logic          a_end_i,
    input  logic          b_valid_i,
    output logic          b_ready_o,
    input  logic [CW-1:0] b_coordinate_i,
    input  logic          b_end_i,
    output logic          z_valid_o,
    input  logic          z_ready_i,
    output logic [CW-1:0] z_coordinate_o,
    output logic [PW-1:0] z_a_position_o,
    output logic [PW-1:0] z_b_position_o,
    output logic          z_end_o
);
  logic [PW-1:0] a_position_q, b_position_q, z_a_position_q, z_b_position_q;
  logic [CW-1:0] z_coordinate_q;
  logic z_valid_q, z_end_q;

  logic a_alone, b_alone, meets, has_room, steps;

  assign a_alone  = !a_end_i && (b_end_i || a_coordinate_i < b_coordinate_i);
  assign b_alone  = !b_end_i && (a_end_i || b_coordinate_i < a_coordinate_i);
  assign meets    = !a_alone && !b_alone;
  assign has_room = !z_valid_q || z_ready_i;
  assign steps    = a_valid_i && b_valid_i && (!meets || has_room);

  assign a_ready_o = steps && !b_alone;
  assign b_ready_o = steps && !a_alone;

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
      if (a_ready_o) a_position_q <= a_end_i ? '0 : a_position_q + 1'b1;
      if (b_ready_o) b_position_q <= b_end_i ? '0 : b_position_q + 1'b1;
      if (steps && meets) begin
        z_valid_q      <= 1'b1;
        z_coordinate_q <= a_end_i ? '0 : a_coordinate_i;
        z_a_position_q <= a_position_q;
        z_b_position_q <= b_position_q;
        z_end_q        <= a_end_i;
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
