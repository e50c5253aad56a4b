"""Mutants that no bench can kill: (module, line, the line instead) and why."""

ZERO = "a product with a zero adds nothing: only what toggles differs"
SAME = "bits of a slice are all alike if they are all like one of them, whichever"

SURVIVORS: dict[tuple[str, str, str], str] = {
    (
        "pe_os",
        "assign sum     = (a_i == '0 || b_i == '0) ? so_far : so_far + product;",
        "assign sum     = (a_i == '0 && b_i == '0) ? so_far : so_far + product;",
    ): ZERO,
    (
        "pe_ws",
        "assign sum     = (a_i == '0 || w == '0) ? p_i : p_i + product;",
        "assign sum     = (a_i == '0 && w == '0) ? p_i : p_i + product;",
    ): ZERO,
    (
        "npu_lane",
        "assign product  = whole[2*W-1:W-1] == {(W + 1) {whole[2*W-1]}} ? whole[W-1:0] : whole[2*W-1] ? LEAST : MOST;",
        "assign product  = whole[2*W-1:W-1] == {(W + 1) {whole[2+W-1]}} ? whole[W-1:0] : whole[2*W-1] ? LEAST : MOST;",
    ): SAME,
    (
        "npu_scan",
        "assign product = whole[2*W-1:W-1] == {(W + 1) {whole[2*W-1]}} ? whole[W-1:0] : whole[2*W-1] ? LEAST : MOST;",
        "assign product = whole[2*W-1:W-1] == {(W + 1) {whole[2+W-1]}} ? whole[W-1:0] : whole[2*W-1] ? LEAST : MOST;",
    ): SAME,
}
