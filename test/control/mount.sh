#!/usr/bin/env bash
# The control files as real files, by FUSE: cat, echo, grep, tee and inotify do what they do in /sys.
set -euo pipefail

usage() {
	echo "Usage: mount.sh LIBRARY TOOL SUBJECT [files|nodes|slabtop]"
}

[[ ${1:-} != --help ]] || { usage; exit 0; }
[[ $# -ge 3 ]] || { usage >&2; exit 2; }
library=$1 tool=$2 subject=$3 part=${4:-files}

skip() {
	echo "skipped: $*" >&2
	exit 77
}

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

# same WHAT GOT EXPECTED
same() {
	[[ $2 == "$3" ]] || fail "$1: '$2', expected '$3'"
}

# refused WORD FILE COMMAND...: the command fails, and says that word of the file.
refused() {
	local word=$1 file=$2 said
	shift 2
	if said=$(LC_ALL=C "$@" 2>&1); then
		fail "$* succeeds"
	fi
	[[ $said == *"$word"* ]] || fail "$* on $file: '$said', expected '$word'"
}

write() {
	echo "$1" >"$2"
}

[[ -x $(dirname "$tool")/uslub-mount ]] || fail "uslub-mount was not built: libfuse3-dev is missing"
[[ -c /dev/fuse ]] || skip "there is no /dev/fuse"
if [[ $(id -u) != 0 ]] && ! command -v fusermount3 >/dev/null; then
	skip "only root can mount without fusermount3"
fi

work=$(mktemp -d)
files=$work/mount
mkdir -m 700 "$work/sockets" "$files"

unmount() {
	if command -v fusermount3 >/dev/null; then
		fusermount3 -u "$files"
	else
		umount "$files"
	fi
}

clean_up() {
	[[ -z ${process:-} ]] || kill "$process" 2>/dev/null || true
	exec 4<&-
	! mountpoint -q "$files" || unmount
	rm -rf "$work"
}
trap clean_up EXIT

start_subject() {
	mkfifo "$work/orders"
	LD_PRELOAD=$library USLUB=control:$work/sockets$options "$subject" <"$work/orders" >>"$work/said" &
	process=$!
	exec 3>"$work/orders"
	told "hold 5000 2048" held
}

# told ORDER WORD: the program does it, and says so in a line that begins with the word.
told() {
	: >"$work/said"
	echo "$1" >&3
	for _ in $(seq 500); do
		! grep -q "^$2" "$work/said" || return 0
		sleep 0.01
	done
	fail "the program does not say $2"
}

# comes FILE TEXT: the file reads so, now or soon.
comes() {
	for _ in $(seq 1000); do
		[[ $(cat "$1") != "$2" ]] || return 0
		sleep 0.01
	done
	fail "$1 still reads $(cat "$1"), not $2"
}

options=
[[ $part != nodes ]] ||
	options=,nodes:4,distance:10/20/20/40,node_size:256M/4G/64M/1G,node_cpus:0/1,policy:preferred:1
start_subject
"$tool" mount --dir "$work/sockets" "$files" || skip "this machine lets nobody mount"
same "the processes" "$(ls "$files")" "$process"
tree=$files/$process
node=$tree/devices/system/node
cache=$tree/kernel/slab/kmalloc-2048

reads() {
	same "the tree" "$(cd "$tree" && echo *)" "devices kernel slabinfo"
	same "online" "$(cat "$node/online")" 0
	same "state" "$(cat "$node/node0/state")" online
	same "objects" "$(cat "$cache/objects")" "5000 N0=5000"
	same "byte by byte" "$(dd if="$cache/objects" bs=1 status=none)" "5000 N0=5000"
	same "from an offset" "$(dd if="$cache/objects" bs=1 skip=5 status=none)" "N0=5000"
	same "what grep finds" "$(grep -c . "$node/node0/numastat")" 6
	same "slabinfo's rows" "$(grep -c '^kmalloc-' "$tree/slabinfo")" 73
	same "all of a cache's files" "$(cd "$cache" && cat -- * | wc -l)" \
		"$(cd "$cache" && find . -type f ! -name shrink ! -name validate ! -name ctor | wc -l)"
	same "modes" "$(cd "$node" && stat -c '%a %F' online probe node0 node0/state | tr '\n' ,)" \
		"444 regular file,200 regular file,555 directory,644 regular file,"
	same "the size shown" "$(stat -c %s "$cache/objects")" 4096
	same "every file of the tree can be looked at" "$(find "$tree" ! -readable ! -perm 200 | wc -l)" 0
}

writes() {
	write 33 "$cache/remote_node_defrag_ratio"
	same "echo" "$(cat "$cache/remote_node_defrag_ratio")" 33
	same "tee" "$(echo 44 | tee "$cache/remote_node_defrag_ratio")" 44
	same "tee" "$(cat "$cache/remote_node_defrag_ratio")" 44
	printf 55 >>"$cache/remote_node_defrag_ratio"
	same "appended" "$(cat "$cache/remote_node_defrag_ratio")" 55
	write 1 "$cache/shrink"
	write 1 "$cache/validate"
	write 0 "$cache/alloc_slowpath"
	touch "$cache/objects"
}

errors() {
	refused "Permission denied" online write 1 "$node/online"
	refused "Permission denied" online truncate -s 0 "$node/online"
	refused "Permission denied" probe cat "$node/probe"
	refused "Permission denied" new write 1 "$node/new"
	refused "Operation not permitted" online rm -f "$node/online"
	refused "Operation not permitted" new mkdir "$node/new"
	refused "Operation not permitted" new ln -s online "$node/new"
	refused "Operation not permitted" online mv "$node/online" "$node/new"
	refused "Invalid argument" state write online "$node/node0/state"
	refused "Invalid argument" state write nonsense "$node/node0/state"
	refused "Device or resource busy" state write offline "$node/node0/state"
	refused "Numerical result out of range" probe write "1024 1G" "$node/probe"
	refused "Numerical result out of range" ratio write 101 "$cache/remote_node_defrag_ratio"
	refused "Invalid argument" ratio write x "$cache/remote_node_defrag_ratio"
	refused "Invalid argument" shrink write 0 "$cache/shrink"
	refused "No such file or directory" none cat "$cache/none"
	refused "No such file or directory" 1 ls "$files/1"
	refused "Is a directory" cache cat "$cache"
	refused "Not a directory" below ls "$cache/objects/x"
}

# Whoever watches a file learns that it was written to.
inotify() {
	python3 - "$cache/remote_node_defrag_ratio" <<'END'
import ctypes, os, select, struct, sys
libc = ctypes.CDLL(None)
fd = libc.inotify_init()
assert libc.inotify_add_watch(fd, os.fsencode(sys.argv[1]), 2) > 0, "no watch"
assert not select.select([fd], [], [], 0.1)[0], "an event too early"
with open(sys.argv[1], "w") as file:
    file.write("66\n")
assert select.select([fd], [], [], 5)[0], "no event"
assert struct.unpack_from("iI", os.read(fd, 4096))[1] == 2, "another event"
END
	same "watched" "$(cat "$cache/remote_node_defrag_ratio")" 66
}

# A process takes its files with it; one that is open has nothing to say any more.
ends() {
	local said
	exec 4<"$cache/objects"
	exec 3>&-
	wait "$process" || fail "the program failed"
	said=$(LC_ALL=C; read -r line <&4 2>&1 && echo "it reads $line") || true
	[[ $said == *"No such device"* ]] || fail "a file of a process that is gone: $said"
	exec 4<&-
	same "no processes" "$(ls "$files")" ""
	unmount
	! mountpoint -q "$files" || fail "it is mounted still"
}

node_lists() {
	local file
	same "possible" "$(cat "$node/possible")" 0-3
	for file in online has_memory has_normal_memory; do
		same "$file" "$(cat "$node/$file")" 0-3
	done
	same "has_cpu" "$(cat "$node/has_cpu")" 0-1
	same "policy" "$(cat "$node/policy")" preferred:1
	same "cpulist" "$(cat "$node"/node?/cpulist | tr '\n' ,)" 0,1,,,
	same "distance" "$(cat "$node/node0/distance")" "10 20 20 40"
	same "sizes" "$(grep -h MemTotal "$node"/node?/meminfo | tr -s ' ' | cut -d' ' -f2,4 | tr '\n' ,)" \
		"0 262144,1 4194304,2 65536,3 1048576,"
	same "what is on node 1" "$(cat "$cache/objects")" "5000 N1=5000"
	same "hits" "$(grep -c '^numa_hit [1-9]' "$node/node1/numastat")" 1
	echo "7 64M" >"$node/probe"
	same "with a gap" "$(cat "$node/possible")" 0-3,7
	same "not online yet" "$(cat "$node/online")" 0-3
	same "the directories" "$(cd "$node" && echo node*)" "node0 node1 node2 node3 node7"
	echo online | tee "$node/node7/state" >/dev/null
	same "with a gap" "$(cat "$node/online")" 0-3,7
	echo offline >"$node/node2/state"
	comes "$node/node2/state" offline
	same "with two gaps" "$(cat "$node/online" "$node/has_memory" | tr '\n' ' ')" "0-1,3,7 0-1,3,7 "
	same "who is online" "$(cd "$node" && grep -l online node?/state | tr '\n' ' ')" \
		"node0/state node1/state node3/state node7/state "
	same "a column less" "$(cat "$node/node0/distance")" "10 20 40 20"
}

used() {
	sed -n 's/.*MemUsed: *\([0-9]*\) kB/\1/p' "$node/node$1/meminfo"
}

# A node goes offline with objects on it, while threads allocate; and comes back.
node_leaves() {
	local before drawn
	told "untouched 1024" untouched
	told churn churning
	before=$(used 1)
	((before > 1000000)) || fail "node 1 has $before KiB"
	for _ in $(seq 20); do
		echo offline >"$node/node1/state"
		drawn=$("$tool" node --dir "$work/sockets" "$process")
		! grep -Eq '^ +1  going-offline ' <<<"$drawn" || break
		# It was done before anybody looked.
		echo online >"$node/node1/state"
	done
	grep -Eq '^ +1  going-offline ' <<<"$drawn" || fail "it is not followed: $drawn"
	grep '^ *1 ' <<<"$drawn" | tail -1 | grep -Eq '^ +1  offline +4096M +0K ' || fail "not to its end: $drawn"
	same "done" "$(cat "$node/node1/state")" offline
	same "its memory" "$(used 1)" 0
	# The threads have now more, now less.
	(($(used 0) + 4096 >= before)) || fail "node 0 has $(used 0) KiB, node 1 had $before"
	[[ $(cat "$cache/objects") != *N1=* ]] || fail "objects on node 1: $(cat "$cache/objects")"
	echo online >"$node/node1/state"
	same "back" "$(cat "$node/node1/state")" online
	told churned wrong
	same "objects that were another's" "$(grep wrong "$work/said")" "wrong 0"
	write 1 "$cache/validate"
}

node_errors() {
	refused "Invalid argument" state write online "$node/node1/state"
	refused "Invalid argument" state write nonsense "$node/node1/state"
	refused "Invalid argument" state write offline "$node/node2/state"
	refused "File exists" probe write "7 64M" "$node/probe"
	refused "Numerical result out of range" probe write "1024 64M" "$node/probe"
	refused "Invalid argument" probe write 8 "$node/probe"
	refused "Permission denied" probe cat "$node/probe"
	refused "Permission denied" online write 0 "$node/online"
	refused "Permission denied" meminfo write 0 "$node/node1/meminfo"
	refused "Invalid argument" policy write remote "$node/policy"
	refused "Numerical result out of range" policy write bind:0,5 "$node/policy"
	refused "No such file or directory" node5 write online "$node/node5/state"
	write bind:0,3 "$node/policy"
	same "policy" "$(cat "$node/policy")" bind:0,3
	write local "$node/policy"
	prlimit --pid "$process" --as="$(($(ps -o vsz= -p "$process") * 1024)):"
	write "9 64M" "$node/probe"
	refused "Cannot allocate memory" state write online "$node/node9/state"
	same "after a veto" "$(cat "$node/node9/state")" offline
	prlimit --pid "$process" --as=unlimited:
	write online "$node/node9/state"
	for one in 0 1 3 7; do
		write offline "$node/node$one/state"
	done
	refused "Device or resource busy" state write offline "$node/node9/state"
	comes "$node/online" 9
	write online "$node/node0/state"
}

# What writes through the mount is told to who watches; what the process does by itself is not, and poll(2) is always
# true.
node_watched() {
	python3 - "$node/node3/state" <<'END'
import ctypes, os, select, struct, sys, time
libc = ctypes.CDLL(None)
fd = libc.inotify_init()
assert libc.inotify_add_watch(fd, os.fsencode(sys.argv[1]), 2) > 0, "no watch"
state = open(sys.argv[1])
poll = select.poll()
poll.register(state, select.POLLIN | select.POLLPRI | select.POLLERR)
assert poll.poll(0) == [(state.fileno(), select.POLLIN)], "poll"
with open(sys.argv[1], "w") as file:
    file.write("online\n")
assert select.select([fd], [], [], 5)[0], "no event"
assert struct.unpack_from("iI", os.read(fd, 4096))[1] == 2, "another event"
assert state.read() == "online\n"
with open(sys.argv[1], "w") as file:
    file.write("offline\n")
os.read(fd, 4096)
state.seek(0)
while state.read() != "offline\n":
    state.seek(0)
assert not select.select([fd], [], [], 0.1)[0], "going-offline to offline is told"
END
}

# procps' own parser, of a mount namespace's own /proc/slabinfo.
slabtop_reads() {
	local table
	unshare -m true 2>/dev/null || skip "this machine makes no mount namespace"
	table=$(unshare -m bash -c 'mount --bind "$1" /proc/slabinfo && slabtop -o -s o' - "$tree/slabinfo") ||
		fail "slabtop: $table"
	[[ $table =~ Active\ /\ Total\ Caches\ .*/\ 73\  ]] || fail "not 73 caches: $table"
	grep -Eq '^ *[0-9]+ +5000 +[0-9]+% +2\.00K +[0-9]+ +32 .*kmalloc-2048 *$' <<<"$table" ||
		fail "no row of kmalloc-2048: $table"
}

case $part in
files)
	for step in reads writes errors inotify ends; do
		"$step"
		echo "$step: ok"
	done
	;;
nodes)
	for step in node_lists node_leaves node_errors node_watched; do
		"$step"
		echo "$step: ok"
	done
	;;
slabtop) slabtop_reads ;;
*) usage >&2; exit 2 ;;
esac
