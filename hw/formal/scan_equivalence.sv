// Proves that a scan in parallel gives what the steps one by one give: h[t] = a[t] * h[t-1] + b[t], Kogge-Stone and Brent-Kung.
// steps: 6
// seeded bug: scan_unit.sv: a[s][i*W+:W] * b[s][(i-DISTANCE)*W+:W] + b[s][i*W+:W] => a[s][(i-DISTANCE)*W+:W] * b[s][(i-DISTANCE)*W+:W] + b[s][i*W+:W]
// seeded bug: scan_unit.sv: a[s][i*W+:W] * a[s][(i-DISTANCE)*W+:W] => a[s][i*W+:W]
`default_nettype none

module scan_equivalence (
    input logic        clk_i,
    input logic        rst_i,
    input logic        valid_i,
    input logic [11:0] a_i,
    input logic [11:0] b_i
);
  localparam int N = 4;
  localparam int W = 3;

  logic kogge_valid, kogge_ready, brent_valid, brent_ready;
  logic [N*W-1:0] kogge_h, brent_h;
  logic [W-1:0] kogge_carry, brent_carry;

  scan_unit #(.WIDTH(N), .W(W), .FORM(0)) u_kogge (
      .clk_i, .rst_i, .load_i(1'b0), .start_i('0), .valid_i, .ready_o(kogge_ready), .a_i, .b_i,
      .valid_o(kogge_valid), .ready_i(1'b1), .h_o(kogge_h), .carry_o(kogge_carry)
  );
  scan_unit #(.WIDTH(N), .W(W), .FORM(1)) u_brent (
      .clk_i, .rst_i, .load_i(1'b0), .start_i('0), .valid_i, .ready_o(brent_ready), .a_i, .b_i,
      .valid_o(brent_valid), .ready_i(1'b1), .h_o(brent_h), .carry_o(brent_carry)
  );

  // the one vector that is looked at, and its steps one by one
  logic began_q, sent_q;
  logic [N*W-1:0] a_q, b_q;
  logic [W-1:0] h0, h1, h2, h3;

  initial begin
    began_q = 1'b0;
    sent_q  = 1'b0;
  end

  assign h0 = b_q[0+:W];
  assign h1 = a_q[1*W+:W] * h0 + b_q[1*W+:W];
  assign h2 = a_q[2*W+:W] * h1 + b_q[2*W+:W];
  assign h3 = a_q[3*W+:W] * h2 + b_q[3*W+:W];

  always @(posedge clk_i) begin
    began_q <= 1'b1;
    if (began_q && valid_i && !sent_q) begin
      sent_q <= 1'b1;
      a_q    <= a_i;
      b_q    <= b_i;
    end
  end

  always @* begin
    assume (rst_i == !began_q);
    if (sent_q) assume (!valid_i);
    if (began_q && kogge_valid) assert (kogge_h == {h3, h2, h1, h0});
    if (began_q && brent_valid) assert (brent_h == {h3, h2, h1, h0});
  end
endmodule

`default_nettype wire
