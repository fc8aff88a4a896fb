# shellcheck shell=bash disable=SC2034
case_about="gdb steps a threaded program: breakpoints, watchpoints, python, symbols of the tree"
case_quick=no
case_needs=(gdb gcc libc6-dev)
case_programs=(gdb debugged)
case_timeout=150

prepare() {
	gcc -g -O0 -o debugged "$DATA/debugged.c" -pthread
}

# Addresses and numbers of processes and threads differ from run to run.
normalised() {
	sed -E -e 's/0x[0-9a-f]+/ADDRESS/g' -e 's/\(LWP [0-9]+\)/(LWP N)/g' \
		-e 's/(process|Thread) [0-9A-Z]+/\1 N/g' -e '/^warning: /d'
}

run_round() {
	# The program is traced under the library as well: it inherits what is preloaded.
	subject gdb -nx -batch -x "$DATA/debugged.gdb" "$INPUT/debugged" >log/session 2>log/errors
	grep -q 'exited normally' log/session || die "the program did not end: $(tail log/session)"
	grep -E '^(\$|#|Hardware|Old|New|list|python|sum|Breakpoint)' log/session | normalised >out/session
	# The debugger on itself reads far more symbols.
	subject gdb -nx -batch -ex 'info functions ^mem' -ex 'info types .' -ex 'disassemble main' \
		"$INPUT/debugged" 2>&1 | normalised >out/symbols
	subject gdb -nx -batch -ex 'info line malloc' -ex 'info address main' -ex 'info sharedlibrary' \
		-ex 'maintenance print statistics' "$(command -v gdb)" >log/itself 2>&1
}
