"""C++ around a module that Verilator has compiled: its ports as words, many cycles in one call, and waves of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

CLOCK = "clk_i"
PERIOD = 10  # ns of a cycle in the waves
_PORT = re.compile(r"VL_(IN|OUT)(?:8|16|64|W)?\(&(\w+),(\d+),(\d+)(?:,\d+)?\);")
_HARNESS = """
#include <cstdint>
#include <string>
#include "V{top}.h"
#include "verilated.h"
#include "verilated_syms.h"
{included}
struct Sim {{ VerilatedContext context; V{top}* model; {held} }};
double sc_time_stamp() {{ return 0; }}

extern "C" {{
{functions}void* make() {{
  Sim* sim = new Sim;
{before}  sim->model = new V{top}(&sim->context, "TOP");
{low_at_first}  sim->model->eval();
  return sim;
}}
// what Verilator keeps by name, it keeps in the context of the thread
void drop(void* it) {{ Sim* sim = (Sim*)it; Verilated::threadContextp(&sim->context); {dropped}delete sim->model; delete sim; }}
void run(void* it, const uint32_t* in, uint32_t* out, int64_t cycles) {{
  V{top}* top = ((Sim*)it)->model;
  Verilated::threadContextp(&((Sim*)it)->context);
  for (int64_t cycle = 0; cycle < cycles; ++cycle) {{
{inputs}
{low}    top->eval();
{fallen}{outputs}
{high}    top->eval();
{risen}    in += {words_in};
    out += {words_out};
  }}
}}
void* site(void* it, const char* scope, const char* name) {{
  const VerilatedScope* found = ((Sim*)it)->context.scopeFind(scope);
  VerilatedVar* var = found ? found->varFind(name) : nullptr;
  return var ? var->datap() : nullptr;
}}
// scope, name, bits of a word, words; one register a line
const char* registers(void* it) {{
  static thread_local std::string text;
  text.clear();
  for (auto& scope : *((Sim*)it)->context.scopeNameMap()) {{
    if (!scope.second->varsp()) continue;
    for (auto& var : *scope.second->varsp()) {{
      if (var.second.isParam()) continue;
      size_t words = 1;
      for (int dim = 1; dim <= var.second.udims(); ++dim) words *= var.second.elements(dim);
      text += std::string(scope.first) + " " + var.first + " " + std::to_string(var.second.packed().elements()) + " " +
              std::to_string(words) + "\\n";
    }}
  }}
  return text.c_str();
}}
}}
"""
_WAVES = """void stop(void* it) {
  Sim* sim = (Sim*)it;
  if (sim->waves) { sim->waves->close(); delete sim->waves; sim->waves = nullptr; }
}
void record(void* it, const char* file) {
  Sim* sim = (Sim*)it;
  stop(it);
  sim->waves = new VerilatedFstC;
  sim->model->trace(sim->waves, 99);
  sim->waves->open(file);
  sim->time = 0;
  sim->waves->dump(0);
}
"""


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a module; `at`: its first 32-bit word among those of all inputs, or of all outputs."""

    name: str
    width: int
    at: int

    @property
    def words(self) -> int:
        """How many 32-bit words it takes."""
        return -(-self.width // 32)


def ports(header: str) -> tuple[dict[str, Port], dict[str, Port]]:
    """Inputs, less the clock, and outputs of a module by name, from the header that Verilator writes."""
    found: dict[str, dict[str, Port]] = {"IN": {}, "OUT": {}}
    for way, name, high, low in _PORT.findall(header):
        if name != CLOCK:
            at = total(found[way])
            found[way][name] = Port(name, int(high) - int(low) + 1, at)
    return found["IN"], found["OUT"]


def total(some: Mapping[str, Port]) -> int:
    """32-bit words of all of them."""
    return sum(port.words for port in some.values())


def harness(top: str, inputs: Mapping[str, Port], outputs: Mapping[str, Port], waves: bool, clocked: bool = True) -> str:
    """C++ functions make, drop, run, site, registers; with waves also record and stop. clocked: whether the module has a clock.

    A cycle of the waves lasts from a rising edge of the clock to the next, `PERIOD` ns; the first begins with the recording. Inputs change
    with the falling edge.
    """
    dump = "    if (((Sim*)it)->waves) ((Sim*)it)->waves->dump(((Sim*)it)->time += {ns});\n"
    return _HARNESS.format(
        low_at_first=f"  sim->model->{CLOCK} = 0;\n" if clocked else "", low=f"    top->{CLOCK} = 0;\n" if clocked else "",
        high=f"    top->{CLOCK} = 1;\n" if clocked else "", top=top, words_in=total(inputs), words_out=total(outputs),
        inputs="\n".join(_line(port, True) for port in inputs.values()), outputs="\n".join(_line(port, False) for port in outputs.values()),
        included='#include "verilated_fst_c.h"\n' if waves else "",
        held="VerilatedFstC* waves = nullptr; uint64_t time = 0;" if waves else "",
        before="  sim->context.traceEverOn(true);\n" if waves else "", dropped="stop(it); " if waves else "",
        fallen=dump.format(ns=PERIOD // 2) if waves else "", risen=dump.format(ns=PERIOD - PERIOD // 2) if waves else "",
        functions=_WAVES if waves else "",
    )  # fmt: skip


def _line(port: Port, goes_in: bool) -> str:
    """C++ that moves a port's words."""
    word = "in" if goes_in else "out"
    if port.width > 64:
        pairs = [(f"top->{port.name}[{part}]", f"{word}[{port.at + part}]") for part in range(port.words)]
    elif port.width > 32 and goes_in:
        return f"    top->{port.name} = (uint64_t)in[{port.at}] | (uint64_t)in[{port.at + 1}] << 32;"
    elif port.width > 32:
        return f"    out[{port.at}] = (uint32_t)top->{port.name}; out[{port.at + 1}] = (uint32_t)(top->{port.name} >> 32);"
    else:
        pairs = [(f"top->{port.name}", f"{word}[{port.at}]")]
    return " ".join(f"{left} = {right};" if goes_in else f"    {right} = {left};" for left, right in pairs)
