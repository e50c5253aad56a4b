// Addresses of a loop nest.
//
// Function    base + sum over loops of index * stride; loop 0 is the innermost. A start loads base, trip counts and strides.
//             first and last mark the first and the last address of the nest. begins[l] marks an address with which loop l begins, that is,
//             loop l and all inside it are in their first trip; ends[l] one with which it ends: all of them are in their last. first_trips[l]:
//             loop l is in its first trip, whatever those inside it are in.
//             A trip count of 0 stands for 2^TW.
// Latency     the first address is out in the cycle after a start. Throughput: an address a cycle. A start is taken where nothing is
//             left, or with the last address, so that nests follow one another without a gap.
// Overflow    addresses wrap modulo 2^AW.
`default_nettype none

module address_generator #(
    parameter int LOOPS = 3,
    parameter int AW    = 16,  // bits of an address, and of a stride
    parameter int TW    = 8    // bits of a trip count
) (
    input  logic                clk_i,
    input  logic                rst_i,
    input  logic                start_valid_i,
    output logic                start_ready_o,
    input  logic [AW-1:0]       base_i,
    input  logic [LOOPS*TW-1:0] trips_i,
    input  logic [LOOPS*AW-1:0] strides_i,
    output logic                valid_o,
    input  logic                ready_i,
    output logic [AW-1:0]       address_o,
    output logic                first_o,
    output logic                last_o,
    output logic [LOOPS-1:0]    begins_o,
    output logic [LOOPS-1:0]    ends_o,
    output logic [LOOPS-1:0]    first_trips_o
);
  logic valid_q, starts, steps;
  logic [LOOPS*AW-1:0] strides_q, at_q;     // at: the address with which the trip that a loop is in began
  logic [LOOPS*TW-1:0] final_q, index_q;    // final: the index of the last trip
  logic [LOOPS-1:0] in_first, in_final;
  logic [AW-1:0] from, by, next;

  // of the loops that have a trip left, the innermost steps; those inside it begin anew
  always_comb begin
    from = at_q[(LOOPS-1)*AW+:AW];
    by   = strides_q[(LOOPS-1)*AW+:AW];
    for (int l = LOOPS - 2; l >= 0; l--) begin
      if (!in_final[l]) begin
        from = at_q[l*AW+:AW];
        by   = strides_q[l*AW+:AW];
      end
    end
  end
  assign next = from + by;

  assign steps         = valid_q && ready_i;
  assign start_ready_o = !valid_q || (ready_i && last_o);
  assign starts        = start_valid_i && start_ready_o;

  always_ff @(posedge clk_i) begin
    if (rst_i) valid_q <= 1'b0;
    else if (starts) valid_q <= 1'b1;
    else if (steps && last_o) valid_q <= 1'b0;
  end

  genvar l;
  generate
    for (l = 0; l < LOOPS; l++) begin : g_loop
      logic inside_ends;

      if (l == 0) begin : g_innermost
        assign inside_ends = 1'b1;
      end else begin : g_outer
        assign inside_ends = &in_final[l-1:0];
      end
      assign in_first[l] = index_q[l*TW+:TW] == '0;
      assign in_final[l] = index_q[l*TW+:TW] == final_q[l*TW+:TW];
      assign begins_o[l] = &in_first[l:0];
      assign ends_o[l]   = inside_ends && in_final[l];

      always_ff @(posedge clk_i) begin
        if (rst_i) begin
          strides_q[l*AW+:AW] <= '0;
          at_q[l*AW+:AW]      <= '0;
          final_q[l*TW+:TW]   <= '0;
          index_q[l*TW+:TW]   <= '0;
        end else if (starts) begin
          strides_q[l*AW+:AW] <= strides_i[l*AW+:AW];
          at_q[l*AW+:AW]      <= base_i;
          final_q[l*TW+:TW]   <= trips_i[l*TW+:TW] - 1'b1;
          index_q[l*TW+:TW]   <= '0;
        end else if (steps && inside_ends) begin
          at_q[l*AW+:AW]    <= next;
          index_q[l*TW+:TW] <= in_final[l] ? '0 : index_q[l*TW+:TW] + 1'b1;
        end
      end
    end
  endgenerate

  assign valid_o       = valid_q;
  assign address_o     = at_q[0+:AW];
  assign first_o       = begins_o[LOOPS-1];
  assign last_o        = ends_o[LOOPS-1];
  assign first_trips_o = in_first;
endmodule

`default_nettype wire
