# shellcheck shell=bash
# What a case may call.  Sourced by run-case, which sets the variables named here.
#
# A case is a file cases/NAME.sh that says in variables what it is and in functions what it does:
#
#   case_about     one line for --list
#   case_quick     yes: also part of the smaller set
#   case_needs     Debian packages; "package=command" is content with a command from elsewhere
#   case_programs  executables (base names, patterns) that must have run on the library
#   case_others    executables that bring a malloc of their own: there the library must be loaded
#   case_timeout   seconds for all of it
#   case_baseline  what to preload in the glibc round: for programs that are linked to another malloc
#   prepare        makes input in $INPUT, once, with nothing preloaded (may be left out)
#   run_round      runs in an empty directory, twice, under the same path; what it leaves in out/
#                  must be the same both times, and stderr goes to the log or into log/
#
# Variables for these functions: QUICK (yes or no), ROUND (glibc or preload), INPUT, DATA (the
# directory of the same name here), TREE (the source tree), PRELOAD.  run_round has out/, log/,
# tmp/ and home/ in its current directory.  Functions run under errexit.

SERVER_PIDS=()

die() {
	echo "case: $*" >&2
	exit 1
}

# Run a program on the allocator of this round.  Bash makes its background jobs ignore two
# signals; programs that rely on them get them back.
subject() {
	env --default-signal=INT,QUIT "LD_PRELOAD=$PRELOAD" "$@"
}

# subject_as USER PROGRAM...: as another user where we are root, as ourselves otherwise.
subject_as() {
	local user=$1
	shift
	setpriv_to "$user"
	"${to_user[@]}" env --default-signal=INT,QUIT "LD_PRELOAD=$PRELOAD" "$@"
}

# Sets to_user: the command that becomes another user, where we may.
setpriv_to() {
	to_user=()
	if [[ $(id -u) == 0 ]]; then
		to_user=(setpriv --reuid "$1" --regid "$(id -g "$1")" --init-groups)
	fi
}

# give_to USER PATH...: lets subject_as write there.
give_to() {
	local user=$1
	shift
	if [[ $(id -u) == 0 ]]; then
		chown "$user:" "$@"
	fi
}

# start_server NAME PROGRAM...: in the background, output to log/NAME.  It ends with the round.
start_server() {
	local name=$1
	shift
	# Not through subject: the PID must be the program's.
	env --default-signal=INT,QUIT "LD_PRELOAD=$PRELOAD" "$@" >"log/$name" 2>&1 &
	SERVER_PIDS+=("$!")
}

# The same for another user.
start_server_as() {
	local user=$1 name=$2
	shift 2
	setpriv_to "$user"
	"${to_user[@]}" env --default-signal=INT,QUIT "LD_PRELOAD=$PRELOAD" "$@" \
		>"log/$name" 2>&1 &
	SERVER_PIDS+=("$!")
}

is_running() {
	kill -0 "$1" 2>/dev/null
}

# A signal that comes between the shell's fork and its exec is lost in the shell.
await_exec() {
	local shell tries
	shell=$(readlink "/proc/$$/exe")
	for ((tries = 0; tries < 600; tries++)); do
		[[ $(readlink "/proc/$1/exe") == "$shell" ]] || return 0
		sleep 0.1
	done
}

# stop_server [SIGNAL]: end the newest server, by default with SIGTERM.
stop_server() {
	local pid=${SERVER_PIDS[-1]}
	await_exec "$pid"
	is_running "$pid" || die "the server $pid is gone before it was stopped"
	kill -s "${1:-TERM}" "$pid"
	await_server
}

# The newest server must leave within a minute and with status 0.
await_server() {
	local last=$((${#SERVER_PIDS[@]} - 1)) pid status=0 tries
	pid=${SERVER_PIDS[last]}
	for ((tries = 0; tries < 600; tries++)); do
		is_running "$pid" || break
		sleep 0.1
	done
	if is_running "$pid"; then
		kill -KILL "$pid"
		echo "case: the server $pid did not stop" >&2
	fi
	wait "$pid" || status=$?
	unset "SERVER_PIDS[last]"
	[[ $status == 0 ]] || die "the server $pid ended with status $status"
}

# For the trap of a round that failed: leave no server behind.
kill_servers() {
	local pid
	for pid in "${SERVER_PIDS[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
	done
}

# wait_until SECONDS COMMAND...: until it succeeds, and no longer than the newest server lives.
wait_until() {
	local seconds=$1 end pid=${SERVER_PIDS[-1]:-}
	shift
	end=$((SECONDS + seconds))
	until "$@" >/dev/null 2>&1; do
		[[ -z $pid ]] || is_running "$pid" || die "the server ended while starting"
		((SECONDS < end)) || die "gave up after $seconds s: $*"
		sleep 0.1
	done
}

# A TCP port on the loopback that nothing listens at.
free_port() {
	local port tries
	for ((tries = 0; tries < 100; tries++)); do
		port=$((20000 + RANDOM % 12000))
		if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
			echo "$port"
			return
		fi
	done
	die "found no free port on the loopback"
}

# expect NAME WANTED GOT: for what must hold in itself, not only be the same in both rounds.
expect() {
	[[ $2 == "$3" ]] || die "$1: expected $2, got $3"
}
