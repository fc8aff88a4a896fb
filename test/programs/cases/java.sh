# shellcheck shell=bash disable=SC2034
case_about="javac, and threads, direct buffers, deflaters and class loading in the JVM"
case_quick=no
case_needs=(default-jdk-headless=javac)
case_programs=(javac java)
case_timeout=300

run_round() {
	local scale=4 collector
	[[ $QUICK == yes ]] && scale=1
	subject javac -g -Xlint:all -Werror -d classes "$DATA/Work.java"
	(cd classes && find . -name '*.class' -exec sha256sum {} + | LC_ALL=C sort) >out/classes
	for collector in UseG1GC UseSerialGC UseParallelGC; do
		subject java -Xmx512m "-XX:+$collector" -cp classes Work "$scale" >"out/$collector"
	done
	# The memory that the compilers and the interpreter take, traced by the JVM itself.
	subject java -Xmx256m -XX:NativeMemoryTracking=summary -XX:+UnlockDiagnosticVMOptions \
		-XX:+PrintNMTStatistics -cp classes Work 1 >log/tracked
	grep -q 'Native Memory Tracking' log/tracked || die "no native memory statistics"
}
