// Instructions in their order.
//
// Function    a memory of ENTRIES instructions of FIELDS words of 32 bits, written word by word. valid_o is high until as many have been taken
//             as there are (count); a step of microprograms is read at any address.
// Latency     the next instruction follows in the cycle after one is taken. Throughput: an instruction a cycle.
// Overflow    none; addresses lie below ENTRIES * FIELDS.
`default_nettype none

module npu_program #(
    parameter  int FIELDS  = 4,
    parameter  int ENTRIES = 16,  // instructions
    localparam int WW      = $clog2(FIELDS * ENTRIES),
    localparam int EW      = $clog2(ENTRIES + 1)
) (
    input  logic                 clk_i,
    input  logic                 rst_i,
    input  logic                 write_valid_i,
    input  logic [WW-1:0]        write_address_i,
    input  logic [31:0]          write_word_i,
    input  logic [EW-1:0]        count_i,
    input  logic                 taken_i,
    output logic                 valid_o,
    output logic [FIELDS*32-1:0] instruction_o
);
  logic [31:0] words_q[FIELDS*ENTRIES];
  logic [EW-1:0] taken_q;
  logic [WW-1:0] from_q;

  always_ff @(posedge clk_i) begin
    if (write_valid_i) words_q[write_address_i] <= write_word_i;
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      taken_q <= '0;
      from_q  <= '0;
    end else if (taken_i) begin
      taken_q <= taken_q + 1'b1;
      from_q  <= from_q + WW'(FIELDS);
    end
  end

  genvar field;
  generate
    for (field = 0; field < FIELDS; field++) begin : g_field
      assign instruction_o[field*32+:32] = words_q[from_q+WW'(field)];
    end
  endgenerate
  assign valid_o = taken_q < count_i;
endmodule

`default_nettype wire
