#!/bin/busybox sh
# shellcheck shell=dash
# The guest's first process: obeys the driver (machine.py), which sends a command a line to the second serial port
# and gets what it prints, and its status. The first one is the kernel's console, and the log of the test.

/bin/busybox mkdir -p /bin /proc /sys /dev /run /tmp
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs -o mode=755 tmpfs /run

# Starts a program that answers each line with a line: begin COMMAND...
begin() {
	rm -f /run/orders /run/answers
	mkfifo /run/orders /run/answers
	"$@" </run/orders >/run/answers 2>/run/stderr &
	program=$!
	exec 7>/run/orders 8</run/answers
}

# Prints the answer; fails where the program has ended.
tell() {
	echo "$*" >&7
	read -r answer <&8 && echo "$answer"
}

# The program reads the end of its orders. The status is its own.
finish() {
	exec 7>&-
	wait "$program"
}

exec 9<>/dev/ttyS1 </dev/null >&9 2>&9
stty -F /dev/ttyS1 raw -echo
echo ready
while read -r line <&9; do
	eval "$line"
	printf '\nstatus %d\n' $?
done
