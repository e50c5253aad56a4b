// Proves that the addresses of a nest are base + sum of index * stride, with the indices counted step by step; that the marks of every loop
// are right, the last one at exactly the product of the trips; and when starts are taken. Three loops of 1 to 3 trips, 6 addresses at most.
// steps: 9
// seeded bug: address_generator.sv: in_final[l] ? '0 : index_q => in_final[l] ? index_q[l*TW+:TW] : index_q
// seeded bug: address_generator.sv: else if (steps && inside_ends) => else if (steps)
// seeded bug: address_generator.sv: trips_i[l*TW+:TW] - 1'b1; => trips_i[l*TW+:TW];
// seeded bug: address_generator.sv: for (int l = LOOPS - 2; l >= 0; l--) => for (int l = 0; l < LOOPS - 1; l++)
// seeded bug: address_generator.sv: !valid_q || (ready_i && last_o) => !valid_q || last_o
`default_nettype none

module address_nest (
    input logic       clk_i,
    input logic       rst_i,
    input logic       start_valid_i,
    input logic [1:0] base_i,
    input logic [5:0] trips_i,
    input logic [5:0] strides_i,
    input logic       ready_i
);
  logic start_ready, valid, first, last, began_q;
  logic [1:0] address;
  logic [2:0] begins, ends;

  address_generator #(.LOOPS(3), .AW(2), .TW(2)) u_addresses (
      .clk_i, .rst_i, .start_valid_i, .start_ready_o(start_ready), .base_i, .trips_i, .strides_i,
      .valid_o(valid), .ready_i, .address_o(address), .first_o(first), .last_o(last), .begins_o(begins), .ends_o(ends)
  );

  // the nest that runs, the trips that its loops are in (i is the innermost), and how many addresses were taken
  logic [1:0] base_q, trips0_q, trips1_q, trips2_q, stride0_q, stride1_q, stride2_q, i_q, j_q, k_q;
  logic [2:0] begins_now, ends_now;
  logic [4:0] product, taken_q, total_q;
  logic left_q, free;

  initial began_q = 1'b0;

  assign product    = 5'(trips_i[1:0]) * 5'(trips_i[3:2]) * 5'(trips_i[5:4]);
  assign free       = !left_q || (ready_i && taken_q + 5'd1 == total_q);
  assign begins_now = {i_q == 0 && j_q == 0 && k_q == 0, i_q == 0 && j_q == 0, i_q == 0};
  assign ends_now   = {ends_now[1] && k_q + 2'd1 == trips2_q, ends_now[0] && j_q + 2'd1 == trips1_q, i_q + 2'd1 == trips0_q};

  always @(posedge clk_i) begin
    began_q <= 1'b1;
    if (!began_q) begin
      left_q <= 1'b0;
    end else if (start_valid_i && free) begin
      left_q  <= 1'b1;
      base_q  <= base_i;
      taken_q <= '0;
      total_q <= product;
      {trips2_q, trips1_q, trips0_q}    <= trips_i;
      {stride2_q, stride1_q, stride0_q} <= strides_i;
      {k_q, j_q, i_q}                   <= '0;
    end else if (left_q && ready_i) begin
      taken_q <= taken_q + 1'b1;
      if (taken_q + 5'd1 == total_q) left_q <= 1'b0;
      if (i_q + 2'd1 != trips0_q) begin
        i_q <= i_q + 1'b1;
      end else begin
        i_q <= '0;
        if (j_q + 2'd1 != trips1_q) begin
          j_q <= j_q + 1'b1;
        end else begin
          j_q <= '0;
          k_q <= k_q + 1'b1;
        end
      end
    end
  end

  always @* begin
    assume (rst_i == !began_q);
    assume (product != 0);
    assume (product <= 6);
    if (began_q) begin
      assert (valid == left_q);
      assert (start_ready == free);
      if (left_q) begin
        assert (address == 2'(base_q + i_q * stride0_q + j_q * stride1_q + k_q * stride2_q));
        assert (first == (taken_q == 0));
        assert (last == (taken_q + 5'd1 == total_q));
        assert (begins == begins_now);
        assert (ends == ends_now);
      end
    end
  end
endmodule

`default_nettype wire
