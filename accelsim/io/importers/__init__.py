"""Networks and problems of other tools as workloads of accelsim: each module of `formats` reads one format."""
